/* Values as fields, by tables: one row says where a field is in its struct, how it is written, and what it may be. */
#ifndef TWINHUB_FRAME_FIELDS_H
#define TWINHUB_FRAME_FIELDS_H

#include "base/base.h"

enum field_type {
	FIELD_NUMBER, /* unsigned, of 1, 2, 4 or 8 bytes; a bool is one, of at most 1 */
	FIELD_SIGNED, /* of 4 or 8 bytes */
	FIELD_TEXT,   /* a struct str */
	FIELD_BYTES,  /* an array of so many */
	FIELD_CHARS,  /* an array that ends with NUL */
	FIELD_BUF     /* a struct buf; read: appended to */
};

struct field {
	uint8_t tag; /* rising in a table; for ever of one meaning */
	uint8_t type;
	uint16_t at, size;
	uint64_t most; /* numbers: the highest that may be; texts and bufs: bytes */
	const char *name;
};

/* The size of a member says how it is written. */
#define FIELD_OF(tag, type, s, member, most)                                                       \
	{                                                                                          \
		tag, type, offsetof(struct s, member), sizeof(((struct s *)0)->member), most,      \
		    #member                                                                        \
	}

void fields_write(struct buf *out, const struct field *f, size_t n, const void *from);
/* Members without a field stay as they are, those with one are first made 0 (bufs stay). ERR_PROTOCOL: fault says which field; what was
 * appended to bufs stays the caller's. */
enum err fields_read(struct str in, const struct field *f, size_t n, void *to, struct fault *fault);

#endif
