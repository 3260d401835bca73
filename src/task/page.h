/*
 * page: the answer of a question that gives rows, as JSON text with commas between, without brackets. Rows gather in a buffer
 * and go from there to a rope in pieces, so nothing as large as a page is ever moved. It ends at `limit` rows, at
 * PAGE_BYTES_MAX, or where who asks has no more room for answers; then `more` says that rows are left.
 */
#ifndef TWINHUB_TASK_PAGE_H
#define TWINHUB_TASK_PAGE_H

#include "query/query.h"

#define PAGE_BYTES_MAX (16u << 20) /* of one page's JSON; at it the page ends early */

/* Rows as JSON: pieces, and the last of them behind those. */
struct page_rows {
	struct rope pieces;
	struct buf rest;
};

struct page {
	uint32_t limit;   /* rows of it, 1 to 1000; of a part of a page 0, too */
	size_t bytes_max; /* PAGE_BYTES_MAX, of a part less */
	uint32_t nrow;    /* that are in it */
	bool more;        /* there may be rows behind it */
	struct page_rows rows;
	/* of the registry's members: identities of modules, beside their devices' */
	struct page_rows modules;
	/* May the answer have so many bytes? What is in `rest` is not counted. NULL: any. */
	bool (*hold)(void *ctx, size_t bytes);
	void *ctx;
	bool short_of_room; /* it ends here: hold said no */
	/* Of a part of a page: rows stand without commas between, and of each there is a mark: where it was, by this, and how long it is (task/walk.h).
	 * NULL: it is a page. */
	const struct query_bookmark *at;
	struct buf marks;
	size_t rows_begun, modules_begun;
};

struct page *page_new(void);    /* limit QUERY_PAGE_DEFAULT */
void page_free(struct page *p); /* NULL is fine */

/* Is there no room for another row? */
bool page_full(const struct page *p);
/* The next row begins: where to append it. */
struct buf *page_row(struct page *p);
/* It is written. */
void page_row_ends(struct page *p);
/* A whole row. */
void page_put(struct page *p, struct str row);
/* The same with what belongs to it. */
void page_put_modules(struct page *p, struct str row, struct str modules);

#endif
