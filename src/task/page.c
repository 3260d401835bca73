#include "task/page.h"

#include <stdlib.h>

#define SPILL_BYTES (64u << 10)

struct page *
page_new(void)
{
	struct page *p = xcalloc(1, sizeof(*p));

	p->limit = QUERY_PAGE_DEFAULT;
	p->bytes_max = PAGE_BYTES_MAX;
	return p;
}

static void
rows_fini(struct page_rows *r)
{
	rope_fini(&r->pieces);
	buf_fini(&r->rest);
}

void
page_free(struct page *p)
{
	if (p == NULL)
		return;
	rows_fini(&p->rows);
	rows_fini(&p->modules);
	buf_fini(&p->marks);
	free(p);
}

static size_t
rows_bytes(const struct page_rows *r)
{
	return r->pieces.n + r->rest.n;
}

bool
page_full(const struct page *p)
{
	return p->nrow == p->limit || p->short_of_room ||
	    rows_bytes(&p->rows) + rows_bytes(&p->modules) >= p->bytes_max;
}

struct buf *
page_row(struct page *p)
{
	if (p->nrow++ > 0 && p->at == NULL)
		buf_putc(&p->rows.rest, ',');
	p->rows_begun = rows_bytes(&p->rows);
	p->modules_begun = rows_bytes(&p->modules);
	return &p->rows.rest;
}

static void
spill(struct page_rows *r)
{
	if (r->rest.n < SPILL_BYTES)
		return;
	rope_put(&r->pieces, buf_view(&r->rest));
	r->rest.n = 0;
}

static void
mark(struct page *p)
{
	buf_varint(&p->marks, p->at->shard);
	buf_varint(&p->marks, p->at->row);
	buf_varint(&p->marks, p->at->generation);
	buf_varint(&p->marks, rows_bytes(&p->rows) - p->rows_begun);
	buf_varint(&p->marks, rows_bytes(&p->modules) - p->modules_begun);
}

void
page_row_ends(struct page *p)
{
	if (p->at != NULL)
		mark(p);
	if (p->rows.rest.n < SPILL_BYTES && p->modules.rest.n < SPILL_BYTES)
		return;
	spill(&p->rows);
	spill(&p->modules);
	p->short_of_room =
	    p->hold != NULL && !p->hold(p->ctx, p->rows.pieces.n + p->modules.pieces.n);
}

void
page_put(struct page *p, struct str row)
{
	buf_str(page_row(p), row);
	page_row_ends(p);
}

void
page_put_modules(struct page *p, struct str row, struct str modules)
{
	struct buf *to = &p->modules.rest;

	buf_str(page_row(p), row);
	if (modules.n > 0 && modules.p[0] == ',')
		modules = str_sub(modules, 1);
	if (modules.n > 0 && rows_bytes(&p->modules) > 0)
		buf_putc(to, ',');
	buf_str(to, modules);
	page_row_ends(p);
}
