/*
 * out: a JSON value written a piece at a time: open, key, value, close. It puts the commas, colons and quotes, so whoever
 * writes an object says what is in it and nothing else:
 *
 *	struct out o = out_to(&json);
 *
 *	out_open(&o);
 *	out_str(out_key(&o, "id"), id);
 *	out_list(out_key(&o, "waves"));
 *	for (...)
 *		out_u64(&o, wave[i]);
 *	out_close(&o);
 *	out_close(&o);                  {"id":"...","waves":[1,2]}
 *
 * It has two sinks: text, appended to a buffer of the caller's, which may take away in between what is in it; or a document
 * (doc.h), so that what an answer shows and what a query reads is said once. Values in an object have a key before them,
 * those in a list have none: anything else is our own mistake, and asserted.
 */
#ifndef TWINHUB_DOC_OUT_H
#define TWINHUB_DOC_OUT_H

#include "doc/doc.h"

#define OUT_DEPTH_MAX 32 /* objects and lists open at a time */

struct out {
	struct buf *to;         /* text; or NULL, and */
	struct doc_writer *doc; /* a document without stamps */
	uint32_t lists;         /* bit d: what is open at depth d + 1 is a list */
	uint8_t depth;
	bool due;   /* a comma before the next one */
	bool keyed; /* a key waits for its value */
};

struct out out_to(struct buf *to);
struct out out_to_doc(struct doc_writer *dw);
/* One more value of a list that is gathered: its values so far, with their commas, are in `values`. */
struct out out_next(struct buf *values);

void out_open(struct out *o); /* an object */
void out_list(struct out *o);
void out_close(struct out *o); /* what was opened last */
/* o again, for the value. name: plain ASCII, as our members are; NULL: there is no key, the value stands for itself. Text for
 * what comes from elsewhere. */
struct out *out_key(struct out *o, const char *name);
struct out *out_key_str(struct out *o, struct str name);

void out_str(struct out *o, struct str s); /* UTF-8; escaped */
void out_cstr(struct out *o, const char *s);
void out_str_or_null(struct out *o, struct str s); /* empty: null */
/* A string of plain ASCII. */
void out_format(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void out_time(struct out *o, int64_t us); /* as time_format has it */
void out_u64(struct out *o, uint64_t v);
void out_i64(struct out *o, int64_t v);
void out_fixed(struct out *o, double v, int ndecimal);
void out_bool(struct out *o, bool v);
void out_null(struct out *o);
/* A document, or a part of one; DOC_NONE: null. */
void out_doc(struct out *o, struct doc d);

/* Members that are left out where there is nothing to say: an empty text, the time 0, an undefined value. */
void out_some_str(struct out *o, const char *name, struct str s);
void out_some_time(struct out *o, const char *name, int64_t us);
void out_some_doc(struct out *o, const char *name, struct doc d);

/* ---- to text only ---- */

/* For a writer that appends one whole value by itself: where to. */
struct buf *out_value(struct out *o);
/* What is JSON text already: the value of a key (empty: null), or in a list values, in an object members, with their commas, if
 * there are any. */
void out_json(struct out *o, struct str json);

#endif
