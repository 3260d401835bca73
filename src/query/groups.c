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

struct str
groups_key(const struct query_groups *g, uint32_t i)
{
	return (struct str){ g->keys.p + g->group[i].key, g->group[i].keylen };
}

static bool
same_key(const void *ctx, uint32_t value, const void *key)
{
	return str_eq(groups_key(ctx, value), *(const struct str *)key);
}

/* What is counted, with so many groups and bytes of keys more; ORDER BY makes sort keys of them. */
static size_t
groups_bytes(const struct query_groups *g, size_t more, size_t keylen)
{
	bool sorts = g->q->order != NULL;
	size_t each = sizeof(*g->group) + g->q->ntally * sizeof(*g->tally) + TABLE_BYTES +
	    (sorts ? sizeof(struct group) + g->q->ntally * 9u : 0);

	return (g->keys.n + keylen) * (sorts ? 2 : 1) + (g->n + more) * each + g->met.keys.n +
	    g->met.n * (sizeof(struct met) + TABLE_BYTES);
}

size_t
query_groups_bytes(const struct query_groups *g)
{
	return groups_bytes(g, 0, 0);
}

static enum err
too_many(const struct query_groups *g, struct fault *f)
{
	fault_set(f, F_QueryTooLarge,
	    "The query makes more groups than fit into its limit of %zu bytes, after %u groups",
	    g->max_bytes, (unsigned)g->n);
	return ERR_SIZE;
}

static enum err
make_room(struct query_groups *g, size_t keylen, struct fault *f)
{
	if (g->n > 0 && (groups_bytes(g, 1, keylen) > g->max_bytes || g->n == UINT32_MAX - 1))
		return too_many(g, f);
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
	buf_fini(&g->met.keys);
	free(g->met.v);
	table_fini(&g->met.table);
	free(g);
}

/* ---- COUNT(DISTINCT path) ---- */

static struct str
met_key(const struct met_values *m, uint32_t i)
{
	return (struct str){ m->keys.p + m->v[i].key, m->v[i].keylen };
}

static bool
same_met(const void *ctx, uint32_t value, const void *key)
{
	return str_eq(met_key(ctx, value), *(const struct str *)key);
}

#define MET_PREFIX 8 /* group, slot */

static void
put_u32(struct buf *b, uint32_t v)
{
	for (int i = 24; i >= 0; i -= 8)
		buf_putc(b, (char)(v >> i));
}

static uint32_t
get_u32(struct str s)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

struct str
groups_met(const struct query_groups *g, uint32_t i, uint32_t *group, uint32_t *slot)
{
	struct str key = met_key(&g->met, i);

	*group = get_u32(key);
	*slot = get_u32(str_sub(key, 4));
	return str_sub(key, MET_PREFIX);
}

static void
met_begin(struct query_groups *g, uint32_t group, uint32_t slot)
{
	g->key.n = 0;
	put_u32(&g->key, group);
	put_u32(&g->key, slot);
}

/* The key in g->key is one more value, unless it has been met. */
static enum err
met_add(struct query_groups *g, uint32_t group, uint32_t slot, struct fault *f)
{
	struct met_values *m = &g->met;
	struct str key = buf_view(&g->key);
	uint64_t hash = hash_table(key);

	if (table_get(&m->table, hash, same_met, m, &key) != TABLE_NONE)
		return ERR_OK;
	if (groups_bytes(g, 0, 0) + key.n + sizeof(struct met) + TABLE_BYTES > g->max_bytes ||
	    m->n == UINT32_MAX - 1)
		return too_many(g, f);
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 16;
		m->v = xrealloc(m->v, m->cap * sizeof(*m->v));
	}
	m->v[m->n] = (struct met){ m->keys.n, key.n };
	buf_str(&m->keys, key);
	table_add(&m->table, hash, m->n++);
	g->tally[(size_t)group * g->q->ntally + slot].n++;
	return ERR_OK;
}

static enum err
met_row(struct query_groups *g, uint32_t group, const struct item *it, const struct row *r,
    struct fault *f)
{
	struct doc d = path_get(r, it->path);

	if (!doc_defined(d))
		return ERR_OK;
	met_begin(g, group, it->slot);
	key_put(&g->key, d, &r->s->values);
	return met_add(g, group, it->slot, f);
}

enum err
groups_meet(struct query_groups *g, uint32_t group, const struct item *it,
    const struct value *value, struct fault *f)
{
	if (value->kind == V_UNDEFINED)
		return ERR_OK;
	met_begin(g, group, it->slot);
	key_put_value(&g->key, value);
	return met_add(g, group, it->slot, f);
}

enum err
groups_meet_key(
    struct query_groups *g, uint32_t group, uint32_t slot, struct str value, struct fault *f)
{
	met_begin(g, group, slot);
	buf_str(&g->key, value);
	return met_add(g, group, slot, f);
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
		} else if (it->kind == ITEM_DISTINCT) {
			if ((e = met_row(g, i, it, &r, f)))
				return e;
		} else if (it->kind != ITEM_PATH) {
			struct value v = path_value(&r, it->path, false);
			tally_add(t, it->kind, v.kind == V_NUMBER, v.number);
		}
	}
	return ERR_OK;
}

/* ---- results ---- */

/* The result of an aggregate; false if it has none. */
static bool
tally_result(const struct tally *t, enum item_kind kind, double *out)
{
	bool counts = kind == ITEM_COUNT || kind == ITEM_DISTINCT;

	*out = counts ? (double)t->n : kind == ITEM_AVG ? t->v / (double)t->n : t->v;
	return (counts || t->n > 0) && isfinite(*out);
}

/* What paths of HAVING and ORDER BY are bound to. */
static void
bind_group(const struct query_groups *g, uint32_t group, struct arena *a, struct value *bound)
{
	struct rd at = rd_of(groups_key(g, group));
	double v;

	for (uint32_t i = 0; i < g->q->ngroup; i++)
		bound[i] = key_value(&at, a);
	for (const struct item *it = g->q->items; it != NULL; it = it->next)
		if (it->kind != ITEM_PATH)
			bound[g->q->ngroup + it->slot] =
			    tally_result(
			        &g->tally[(size_t)group * g->q->ntally + it->slot], it->kind, &v)
			    ? value_number(v)
			    : VALUE_UNDEFINED;
}

/* The groups that HAVING keeps, into g->order. */
static void
keep_groups(struct query_groups *g)
{
	struct value *bound = xcalloc((size_t)g->q->ngroup + g->q->ntally + 1, sizeof(*bound));
	struct query_scratch s = { 0 };
	struct row r = { NULL, NULL, &s, bound };

	g->order = xrealloc(g->order, ((size_t)g->n + 1) * sizeof(*g->order));
	g->nresult = 0;
	for (uint32_t i = 0; i < g->n; i++) {
		if (g->q->having != NULL) {
			row_begin(&r);
			bind_group(g, i, &s.values, bound);
			if (expr_truth(&r, g->q->having) != IS_TRUE)
				continue;
		}
		g->order[g->nresult++] = i;
	}
	query_scratch_fini(&s);
	free(bound);
}

static int
group_order(const void *a, const void *b, void *g)
{
	return str_cmp(groups_key(g, *(const uint32_t *)a), groups_key(g, *(const uint32_t *)b));
}

/* The i-th value of a group's key, as bytes. */
static struct str
key_part(const struct query_groups *g, uint32_t group, uint32_t i)
{
	struct str key = groups_key(g, group);
	struct rd at = rd_of(key);
	const uint8_t *from;

	while (i-- > 0)
		key_write(NULL, &at);
	from = at.p;
	key_write(NULL, &at);
	return (struct str){ (const char *)from, (size_t)(at.p - from) };
}

struct sorting {
	const struct query_groups *g;
	struct buf keys;
	struct group *key; /* by number of the group */
};

static void
sort_key(struct sorting *s, uint32_t group)
{
	const struct query *q = s->g->q;
	const struct tally *t = s->g->tally + (size_t)group * q->ntally;
	size_t start = s->keys.n;

	for (const struct sort *k = q->order; k != NULL; k = k->next) {
		size_t from = s->keys.n;
		uint32_t slot = k->path->slot;
		const struct item *it = q->items;
		struct value v = VALUE_UNDEFINED;

		if (slot < q->ngroup) {
			buf_str(&s->keys, key_part(s->g, group, slot));
		} else {
			while (it->kind == ITEM_PATH || it->slot != slot - q->ngroup)
				it = it->next;
			if (tally_result(&t[it->slot], it->kind, &v.number))
				v = value_number(v.number);
			key_put_value(&s->keys, &v);
		}
		if (k->down)
			key_invert(&s->keys, from);
	}
	s->key[group] = (struct group){ start, s->keys.n - start };
}

static struct str
sort_key_of(const struct sorting *s, uint32_t group)
{
	return (struct str){ s->keys.p + s->key[group].key, s->key[group].keylen };
}

static int
sorted_order(const void *a, const void *b, void *sorting)
{
	const struct sorting *s = sorting;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int c = str_cmp(sort_key_of(s, x), sort_key_of(s, y));

	return c != 0 ? c : str_cmp(groups_key(s->g, x), groups_key(s->g, y));
}

static void
sort_groups(struct query_groups *g)
{
	struct sorting s = { .g = g, .key = xcalloc((size_t)g->n + 1, sizeof(*s.key)) };

	for (uint32_t i = 0; i < g->nresult; i++)
		sort_key(&s, g->order[i]);
	array_sort_with(g->order, g->nresult, sizeof(*g->order), sorted_order, &s);
	buf_fini(&s.keys);
	free(s.key);
}

void
query_groups_finish(struct query_groups *g)
{
	keep_groups(g);
	if (g->q->order != NULL)
		sort_groups(g);
	else
		array_sort_with(g->order, g->nresult, sizeof(*g->order), group_order, g);
}

uint32_t
query_groups_count(const struct query_groups *g)
{
	return g->nresult < g->q->facts.top ? g->nresult : (uint32_t)g->q->facts.top;
}

/* One member, or nothing. */
static bool
write_member(
    const struct query_groups *g, uint32_t group, const struct item *it, char sep, struct buf *json)
{
	struct rd at = rd_of(groups_key(g, group));
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
		if (!it->hidden && write_member(g, group, it, sep, json))
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
