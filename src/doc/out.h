/*
 * out: JSON text written a piece at a time, for answers that are no document. It puts the commas, colons and quotes, so whoever
 * writes an object says what is in it and nothing else:
 *
 *	struct out o = out_to(&json);
 *
 *	out_open(&o);
 *	out_key(&o, "id");
 *	out_str(&o, id);
 *	out_key(&o, "waves");
 *	out_list(&o);
 *	for (...)
 *		out_u64(&o, wave[i]);
 *	out_close(&o);
 *	out_close(&o);                  {"id":"...","waves":[1,2]}
 *
 * Appends to a buffer of the caller's, which may take away in between what is in it. Values in an object have a key before
 * them, those in a list have none: anything else is our own mistake, and asserted.
 */
#ifndef TWINHUB_DOC_OUT_H
#define TWINHUB_DOC_OUT_H

#include "doc/doc.h"

#define OUT_DEPTH_MAX 32 /* objects and lists open at a time */

struct out {
	struct buf *to;
	uint32_t lists; /* bit d: what is open at depth d + 1 is a list */
	uint8_t depth;
	bool due;   /* a comma before the next one */
	bool keyed; /* a key waits for its value */
};

struct out out_to(struct buf *to);

void out_open(struct out *o); /* an object */
void out_list(struct out *o);
void out_close(struct out *o); /* what was opened last */
/* name: plain ASCII, as our members are; text for what comes from elsewhere. */
void out_key(struct out *o, const char *name);
void out_key_str(struct out *o, struct str name);

void out_str(struct out *o, struct str s); /* UTF-8; escaped */
void out_cstr(struct out *o, const char *s);
void out_u64(struct out *o, uint64_t v);
void out_i64(struct out *o, int64_t v);
void out_fixed(struct out *o, double v, int ndecimal);
void out_bool(struct out *o, bool v);
void out_null(struct out *o);
/* For a writer that appends one whole value by itself: where to. */
struct buf *out_value(struct out *o);
/* What is JSON text already: the value of a key (empty: null), or in a list values, in an object members, with their commas, if
 * there are any. */
void out_json(struct out *o, struct str json);

#endif
