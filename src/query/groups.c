/*
 * Groups: a hash table from the encoded values of the grouped paths to one row of tallies. Keys stand one behind the
 * other in `keys`; group g has the tallies [g * ntally, (g + 1) * ntally). Without GROUP BY there is one group with
 * an empty key from the start.
 */
#include "query/priv.h"

#include <math.h>
#include <stdlib.h>

#define TABLE_BYTES 32 /* of a group in `table` and `order` */

/* ---- the table ---- */

static struct str
key_of(const struct query_groups *g, uint32_t i)
{
	return (struct str){ g->keys.p + g->group[i].key, g->group[i].keylen };
}

static bool
same_key(const void *ctx, uint32_t value, const void *key)
{
	return str_eq(key_of(ctx, value), *(const struct str *)key);
}

static enum err
make_room(struct query_groups *g, size_t keylen, struct fault *f)
{
	size_t each = sizeof(*g->group) + g->q->ntally * sizeof(*g->tally) + TABLE_BYTES;

	if (g->n > 0 &&
	    (g->keys.n + keylen + (g->n + 1) * each > g->max_bytes || g->n == UINT32_MAX - 1)) {
		fault_set(f, F_ArgumentInvalid,
		    "The query makes more groups than fit into its limit of %zu bytes, after %u "
		    "groups",
		    g->max_bytes, (unsigned)g->n);
		return ERR_SIZE;
	}
	if (g->n == g->cap) {
		g->cap = g->cap ? g->cap * 2 : 1;
		g->group = xrealloc(g->group, g->cap * sizeof(*g->group));
		g->tally =
		    xrealloc(g->tally, ((size_t)g->cap * g->q->ntally + 1) * sizeof(*g->tally));
	}
	return ERR_OK;
}

enum err
groups_find(struct query_groups *g, struct str key, uint32_t *out, struct fault *f)
{
	uint64_t hash = hash_table(key);
	enum err e;

	*out = table_get(&g->table, hash, same_key, g, &key);
	if (*out != TABLE_NONE)
		return ERR_OK;
	if ((e = make_room(g, key.n, f)))
		return e;
	*out = g->n++;
	g->group[*out] = (struct group){ g->keys.n, key.n };
	buf_str(&g->keys, key);
	memset(g->tally + (size_t)*out * g->q->ntally, 0, g->q->ntally * sizeof(*g->tally));
	table_add(&g->table, hash, *out);
	return ERR_OK;
}

struct query_groups *
query_groups_new(const struct query *q, size_t max_bytes)
{
	struct query_groups *g = xcalloc(1, sizeof(*g));
	uint32_t first;

	assert(q->facts.aggregate);
	g->q = q;
	g->max_bytes = max_bytes;
	buf_reserve(&g->keys, 1); /* the empty key stands somewhere too */
	if (q->ngroup == 0)
		(void)groups_find(g, STR(""), &first, NULL); /* the first group always fits */
	return g;
}

void
query_groups_free(struct query_groups *g)
{
	if (g == NULL)
		return;
	buf_fini(&g->keys);
	buf_fini(&g->key);
	free(g->group);
	free(g->tally);
	free(g->order);
	table_fini(&g->table);
	free(g);
}

/* ---- counting ---- */

enum err
query_groups_add(struct query_groups *g, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s, struct fault *f)
{
	struct row r = { ops, row, s, NULL };
	uint32_t i;
	enum err e;

	row_begin(&r);
	g->key.n = 0;
	for (const struct item *it = g->q->groups; it != NULL; it = it->next)
		key_put(&g->key, path_get(&r, it->path), &s->values);
	if ((e = groups_find(g, buf_view(&g->key), &i, f)))
		return e;
	for (const struct item *it = g->q->items; it != NULL; it = it->next) {
		struct tally *t = &g->tally[(size_t)i * g->q->ntally + it->slot];
		if (it->kind == ITEM_COUNT) {
			t->n++;
		} else if (it->kind != ITEM_PATH) {
			struct value v = path_value(&r, it->path, false);
			tally_add(t, it->kind, v.kind == V_NUMBER, v.number);
		}
	}
	return ERR_OK;
}

enum err
query_groups_merge(struct query_groups *into, const struct query_groups *from, struct fault *f)
{
	uint32_t ntally = into->q->ntally, to;
	enum err e;

	assert(into->q == from->q);
	for (uint32_t i = 0; i < from->n; i++) {
		if ((e = groups_find(into, key_of(from, i), &to, f)))
			return e;
		for (const struct item *it = into->q->items; it != NULL; it = it->next) {
			const struct tally *t = &from->tally[(size_t)i * ntally + it->slot];
			if (it->kind != ITEM_PATH)
				tally_add(&into->tally[(size_t)to * ntally + it->slot], it->kind,
				    t->n, t->v);
		}
	}
	return ERR_OK;
}

/* ---- results ---- */

static int
group_order(const void *a, const void *b, void *g)
{
	return str_cmp(key_of(g, *(const uint32_t *)a), key_of(g, *(const uint32_t *)b));
}

void
query_groups_finish(struct query_groups *g)
{
	g->order = xrealloc(g->order, ((size_t)g->n + 1) * sizeof(*g->order));
	for (uint32_t i = 0; i < g->n; i++)
		g->order[i] = i;
	qsort_r(g->order, g->n, sizeof(*g->order), group_order, g);
}

uint32_t
query_groups_count(const struct query_groups *g)
{
	return g->n < g->q->facts.top ? g->n : (uint32_t)g->q->facts.top;
}

/* The result of an aggregate; false if it has none. */
static bool
tally_result(const struct tally *t, enum item_kind kind, double *out)
{
	*out = kind == ITEM_COUNT ? (double)t->n : kind == ITEM_AVG ? t->v / (double)t->n : t->v;
	return (kind == ITEM_COUNT || t->n > 0) && isfinite(*out);
}

/* One member, or nothing. */
static bool
write_member(
    const struct query_groups *g, uint32_t group, const struct item *it, char sep, struct buf *json)
{
	struct rd at = rd_of(key_of(g, group));
	size_t before = json->n;
	double v;

	buf_putc(json, sep);
	buf_str(json, it->key);
	if (it->kind == ITEM_PATH) {
		for (uint32_t i = 0; i < it->slot; i++)
			key_write(NULL, &at);
		if (key_write(json, &at))
			return true;
	} else if (tally_result(&g->tally[(size_t)group * g->q->ntally + it->slot], it->kind, &v)) {
		number_write(json, v);
		return true;
	}
	json->n = before;
	return false;
}

static void
write_group(const struct query_groups *g, uint32_t group, struct buf *json)
{
	char sep = '{';

	for (const struct item *it = g->q->items; it != NULL; it = it->next)
		if (write_member(g, group, it, sep, json))
			sep = ',';
	buf_cstr(json, sep == '{' ? "{}" : "}");
}

void
query_groups_write(const struct query_groups *g, uint32_t from, uint32_t n, struct buf *json)
{
	uint32_t count = query_groups_count(g);

	assert(g->order != NULL);
	for (uint32_t i = from; i < count && i - from < n; i++) {
		if (i > from)
			buf_putc(json, ',');
		write_group(g, g->order[i], json);
	}
}
