/*
 * The columns of one shard: which paths are known, which of them have a column, and the memory they may take.
 *
 * A path is known from its first use; of the known ones beyond COLUMNS_MAX the one that was not used for longest goes.
 * A column that was dropped for want of memory is not built again before REST ticks have passed: columns that together
 * are too large for the limit would drop each other at every query. One that was asked for once goes before others that
 * were asked for in the last REST ticks: questions that nobody repeats shall not cost others their columns.
 */
#include "query/column.h"

#include <stdlib.h>

#define REST 256u /* ticks: turns of queries to the shard */

struct columns *
columns_new(size_t max_bytes, columns_bring *bring, void *rows)
{
	struct columns *c = xcalloc(1, sizeof(*c));

	c->max_bytes = max_bytes;
	c->bring = bring;
	c->bring_rows = rows;
	return c;
}

static void
column_free(struct column *c)
{
	column_drop(c);
	free((void *)c->path.steps);
	free((void *)c->key.p);
	free(c);
}

void
columns_free(struct columns *c)
{
	if (c == NULL)
		return;
	for (uint32_t i = 0; i < c->n; i++)
		column_free(c->v[i]);
	free(c->v);
	free(c->kinds);
	free(c);
}

/* ---- paths ---- */

/* Two roots change without a word to the columns: a telemetry message moves the time, both records the version. */
static bool
may_have_column(const struct path *p)
{
	if (p->kind == PATH_ROOT)
		return p->root != QUERY_ROOT_LAST_ACTIVITY_TIME && p->root != QUERY_ROOT_VERSION;
	return p->kind == PATH_SECTION || p->kind == PATH_CONVERGED;
}

static struct query_needs
needs_of(const struct path *p)
{
	if (p->kind == PATH_ROOT)
		return (struct query_needs){ .roots = QUERY_ROOT_BIT(p->root) };
	if (p->kind == PATH_CONVERGED)
		return (struct query_needs){ .sections = QUERY_SECTION_BIT(SECTION_DESIRED) |
			    QUERY_SECTION_BIT(SECTION_REPORTED) };
	return (struct query_needs){ .sections = (uint8_t)QUERY_SECTION_BIT(p->section) };
}

static void
key_of_path(struct buf *key, const struct path *p)
{
	buf_putc(key, (char)p->kind);
	buf_putc(key, p->kind == PATH_ROOT ? (char)p->root : (char)p->section);
	for (unsigned i = 0; i < p->nstep; i++)
		buf_lstr(key, p->steps[i]);
}

static uint32_t
find(const struct columns *c, struct str key, uint64_t hash)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (c->v[i]->hash == hash && str_eq(c->v[i]->key, key))
			return i;
	return TABLE_NONE;
}

struct column *
columns_find(const struct columns *c, const struct path *p)
{
	struct buf key = { 0 };
	uint32_t i;

	if (!may_have_column(p))
		return NULL;
	key_of_path(&key, p);
	i = find(c, buf_view(&key), hash_table(buf_view(&key)));
	buf_fini(&key);
	return i != TABLE_NONE ? c->v[i] : NULL;
}

/* The column keeps the path by its key: the steps point into it. */
static struct column *
column_new(const struct path *p, struct buf *key)
{
	struct column *c = xcalloc(1, sizeof(*c));
	struct str *steps = xcalloc(p->nstep + 1, sizeof(*steps));
	struct rd rd;

	c->key = buf_view(key); /* the column's from here on */
	c->hash = hash_table(c->key);
	rd = rd_of(str_sub(c->key, 2));
	for (unsigned i = 0; i < p->nstep; i++)
		steps[i] = rd_lstr(&rd);
	c->path = (struct path){ .kind = p->kind,
		.root = p->root,
		.section = p->section,
		.steps = steps,
		.nstep = p->nstep };
	c->needs = needs_of(p);
	dict_init(&c->dict);
	return c;
}

static uint64_t
worth(const struct column *c)
{
	return c->used + (c->uses > 1 ? REST : 0);
}

static uint32_t
least_used(const struct columns *c, bool built)
{
	uint32_t best = TABLE_NONE;

	for (uint32_t i = 0; i < c->n; i++)
		if ((!built || c->v[i]->form != COLUMN_NONE) &&
		    (best == TABLE_NONE || worth(c->v[i]) < worth(c->v[best])))
			best = i;
	return best;
}

static void
columns_forget(struct columns *c, uint32_t i)
{
	column_free(c->v[i]);
	c->v[i] = c->v[--c->n];
	c->changes++;
}

static struct column *
columns_add(struct columns *c, const struct path *p, struct buf *key)
{
	if (c->v == NULL)
		c->v = xcalloc(COLUMNS_MAX, sizeof(struct column *));
	if (c->n == COLUMNS_MAX)
		columns_forget(c, least_used(c, false));
	return c->v[c->n++] = column_new(p, key);
}

struct column *
columns_use(struct columns *c, const struct path *p, uint32_t rows)
{
	struct buf key = { 0 };
	struct column *col;
	uint32_t i;

	if (!may_have_column(p))
		return NULL;
	key_of_path(&key, p);
	i = find(c, buf_view(&key), hash_table(buf_view(&key)));
	if (i == TABLE_NONE) {
		col = columns_add(c, p, &key);
	} else {
		col = c->v[i];
		buf_fini(&key);
	}
	col->used = c->tick;
	if (col->uses < UINT32_MAX)
		col->uses++;
	if (col->form == COLUMN_NONE && c->tick >= col->rest) {
		column_begin(col, rows);
		col->id = ++c->ids;
	}
	return col;
}

/* ---- rows ---- */

void
column_take(struct column *c, uint32_t row, const struct query_row_ops *ops, const void *data,
    struct query_scratch *s)
{
	struct row r = { ops, data, s, NULL };
	struct value v = ops != NULL ? value_of(path_get(&r, &c->path)) : VALUE_UNDEFINED;

	column_reserve(c, row + 1);
	column_set(c, row, &v);
}

static void
kinds_reserve(struct columns *c, uint32_t rows)
{
	uint32_t n = c->nkind + c->nkind / 4;

	if (rows <= c->nkind)
		return;
	if (n < rows)
		n = rows;
	c->kinds = xrealloc(c->kinds, n);
	memset(c->kinds + c->nkind, ROW_FREE, n - c->nkind);
	c->nkind = n;
}

static void
kind_set(struct columns *c, uint32_t row, enum row_kind kind)
{
	kinds_reserve(c, row + 1);
	c->kinds[row] = (uint8_t)kind;
	if (row >= c->rows)
		c->rows = row + 1;
}

static bool
touches(const struct query_needs *needs, const struct query_needs *what)
{
	return (needs->roots & what->roots) || (needs->sections & what->sections);
}

static bool
covers(const struct query_needs *hand, const struct query_needs *needs)
{
	return (needs->roots & ~hand->roots) == 0 && (needs->sections & ~hand->sections) == 0;
}

void
columns_row_changed(struct columns *c, uint32_t row, enum row_kind kind,
    const struct query_needs *changed, const struct query_needs *at_hand,
    const struct query_row_ops *ops, const void *data, struct query_scratch *s)
{
	kind_set(c, row, kind);
	c->changes++;
	for (uint32_t i = 0; i < c->n; i++) {
		struct column *col = c->v[i];
		bool known = kind == ROW_FREE || covers(at_hand, &col->needs);
		if (col->form == COLUMN_NONE || !touches(&col->needs, changed))
			continue;
		column_reserve(col, row + 1);
		if (known)
			column_take(col, row, kind == ROW_FREE ? NULL : ops, data, s);
		else if (col->complete || row < col->built)
			column_set_stale(col, row);
		if (!col->complete && row >= col->built)
			column_see(col, row, known); /* if not, it will be shown */
	}
}

void
columns_settle(struct columns *c, struct query_scratch *s)
{
	uint32_t rows = c->bring != NULL ? c->bring(c->bring_rows, s) : c->rows;

	if (rows == c->rows)
		return;
	kinds_reserve(c, rows);
	c->rows = rows;
	c->changes++;
}

/* ---- memory ---- */

size_t
columns_bytes(const struct columns *c)
{
	size_t n = sizeof(*c) + c->nkind;

	if (c->v == NULL)
		return n;
	n += COLUMNS_MAX * sizeof(struct column *);
	for (uint32_t i = 0; i < c->n; i++)
		n += column_bytes(c->v[i]);
	return n;
}

uint32_t
columns_made(const struct columns *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n; i++)
		n += c->v[i]->form != COLUMN_NONE;
	return n;
}

void
columns_trim(struct columns *c)
{
	size_t bytes = columns_bytes(c);

	while (bytes > c->max_bytes && c->n > 0) {
		uint32_t i = least_used(c, true);
		if (i == TABLE_NONE) { /* paths alone are too much */
			i = least_used(c, false);
			bytes -= column_bytes(c->v[i]);
			columns_forget(c, i);
			continue;
		}
		bytes -= column_bytes(c->v[i]);
		column_drop(c->v[i]);
		c->changes++;
		bytes += column_bytes(c->v[i]);
		c->v[i]->rest = c->tick + REST;
	}
}
