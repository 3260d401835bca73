/* foreign: what its files share. */
#ifndef TWINHUB_FOREIGN_PRIV_H
#define TWINHUB_FOREIGN_PRIV_H

#include "foreign/foreign.h"

#define FOREIGN_ITEM_MAX ((size_t)16 << 20) /* bytes of one device with its modules */

/* ---- JSON text, part by part: found by brackets and quotes, not checked ---- */

struct parts {
	const char *p, *end;
	uint64_t line;
	bool object, begun;
	bool bad; /* it ends too early, or is none */
};

/* The members of an object or elements of an array; line: that of the text's first byte. */
struct parts parts_of(struct str text, uint64_t line);
/* The next one; false at the end, or with bad. key: between its quotes, escapes as they are; empty in an array. line: where
 * the value begins. */
bool parts_next(struct parts *s, struct str *key, struct str *value, uint64_t *line);
bool parts_is_object(struct str text);

enum err state_read(struct str text, const struct foreign_sink *sink, struct fault *f);
enum err csv_read(struct str text, const struct foreign_sink *sink, struct fault *f);

/* A member's name and colon, after a comma unless it is the first of its object. */
void foreign_member(struct buf *json, struct str name);

#endif
