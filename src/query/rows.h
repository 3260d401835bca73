/*
 * Rows as a plan sees them, judged and written one at a time. Where rows live, and in which order they come, is the caller's business:
 * it shows each one through `struct query_row_ops`.
 *
 *   for each row: the records that facts.match names are at hand -> query_match -> those of facts.output -> query_project
 *
 * Values are three-valued where Azure's are: what a row does not have is undefined, and an undefined condition does not match.
 * Nothing here fails: a value that a function would make too long is undefined.
 *
 * Ownership: a row is borrowed for the call; what `root` gives is the row's own bytes, or in the scratch. A scratch belongs to one thread
 * at a time and grows to what the largest row has needed.
 */
#ifndef TWINHUB_QUERY_ROWS_H
#define TWINHUB_QUERY_ROWS_H

#include "doc/out.h"
#include "query/plan.h"

/* ---- rows ---- */

struct query_row_ops {
	/* The value of a root field, without stamps; DOC_NONE where the document has no such member. It views the
	 * row's own bytes, which stay as they are until the evaluation of the row is over, or is appended to
	 * scratch and viewed there: then it need only live until the next call of root or section. Called only
	 * for roots of the query's collection. */
	struct doc (*root)(const void *row, enum query_root root, struct buf *scratch);
	/* A section of the twin; NULL if the row has none. Never called for job rows. */
	const struct section *(*section)(const void *row, enum section_kind kind);
	/* Append the whole document as JSON text (SELECT *). */
	void (*write_document)(const void *row, struct buf *json);
};

/* A member of the documents that rows are shown as. A table of them, in the order of the document, writes it and answers
 * query_row_ops.root: what a GET shows and what a query reads is said once. */
struct query_member {
	const char *name;
	enum query_root root; /* QUERY_ROOT_NONE: no query asks for it */
	/* The member, under that name (out_key), or nothing if the row does not have it. */
	void (*put)(const void *row, const char *name, struct out *o);
	unsigned needs; /* the table's owner says what */
};
/* All of them, into an object that is open. */
void query_members_write(
    const struct query_member *members, size_t n, const void *row, struct out *o);
/* The member that is a root; NULL: there is none. */
const struct query_member *query_member_of(
    const struct query_member *members, size_t n, enum query_root root);
/* The value of one, appended to scratch and viewed there; DOC_NONE: the row does not have it. m may be NULL. */
struct doc query_member_value(const struct query_member *m, const void *row, struct buf *scratch);

/* Working memory of one thread, kept from row to row: { 0 } is empty. */
struct query_scratch {
	struct buf bytes, build; /* values of roots and views being looked at */
	struct arena values;     /* strings and documents of the row under evaluation */
};

void query_scratch_fini(struct query_scratch *s);

/* Is the condition exactly true for this row? */
bool query_match(const struct query *q, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s);

/* Append the result of a matching row as one JSON value. Not for aggregates. */
void query_project(const struct query *q, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct buf *json);

#endif
