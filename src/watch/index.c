/*
 * See index.h.
 *
 *   paths      each different path once, with how many watches name it, and whether its value has changed in the change at hand
 *   entries    a watch with the numbers of its paths; key entries hang in a table by (path, value), the others in one list
 *
 * Removal leaves holes that are used again, so numbers of paths and entries stay.
 */
#include "watch/index.h"

#include "query/paths.h"

#include <math.h>

#define NONE UINT32_MAX

struct watched_path {
	const struct path *path; /* of `owner`'s plan; NULL: free */
	struct watch *owner;
	unsigned records; /* that its value is in */
	bool connection;  /* it is connectionState */
	uint32_t nuser;   /* entries that look at it */
	uint32_t nkey;    /* entries that have it as key */
	bool changed;     /* in the change at hand */
};

struct look {
	uint32_t path;
	bool shown; /* by the select list; else the condition reads it */
};

struct entry {
	struct watch *watch; /* NULL: free */
	uint64_t id;
	struct look *looks;
	uint32_t nlook;
	uint32_t key;   /* a path; NONE: it is asked at every change */
	uint32_t asked; /* the change that it was asked at */
};

/* (path, value) of a key, and an entry that has it; of one pair as many as there are entries, chained. */
struct pair {
	uint32_t entry; /* NONE: free */
	uint32_t next;  /* pair, and 1; 0: none */
	uint32_t path;
	uint64_t hash;
	struct value v; /* the plan's */
};

struct watch_index {
	struct watched_path *paths;
	uint32_t npath, cappath;
	struct entry *entries;
	uint32_t nentry, capentry, count;
	struct pair *pairs;
	uint32_t npair, cappair, free_pair; /* free_pair: and 1 */
	struct table table;                 /* hash -> first pair */
	uint32_t change;
	unsigned records;
	bool connection;
	struct buf was; /* a value of the row as it was */
};

struct watch_index *
watch_index_new(void)
{
	return xcalloc(1, sizeof(struct watch_index));
}

static void
entry_fini(struct entry *e)
{
	watch_unref(e->watch);
	free(e->looks);
}

void
watch_index_free(struct watch_index *ix)
{
	if (ix == NULL)
		return;
	for (uint32_t i = 0; i < ix->nentry; i++)
		if (ix->entries[i].watch != NULL)
			entry_fini(&ix->entries[i]);
	for (uint32_t i = 0; i < ix->npath; i++)
		watch_unref(ix->paths[i].owner);
	free(ix->paths);
	free(ix->entries);
	free(ix->pairs);
	table_fini(&ix->table);
	buf_fini(&ix->was);
	free(ix);
}

uint32_t
watch_index_count(const struct watch_index *ix)
{
	return ix->count;
}

unsigned
watch_index_records(const struct watch_index *ix)
{
	return ix->records;
}

bool
watch_index_connection(const struct watch_index *ix)
{
	return ix->connection;
}

/* One more of an array that doubles; returns its place. */
#define GROW(array, n, cap)                                                                        \
	do {                                                                                       \
		if ((n) == (cap)) {                                                                \
			(cap) = (cap) ? (cap)*2 : 16;                                              \
			(array) = xrealloc((array), (cap) * sizeof(*(array)));                     \
		}                                                                                  \
	} while (0)

/* ---- paths ---- */

/* Its number: NONE if there is no room. */
static uint32_t
path_take(struct watch_index *ix, const struct path *path, const struct watch *w)
{
	struct query_needs needs = query_path_needs(path);
	uint32_t at = NONE;

	for (uint32_t i = 0; i < ix->npath; i++) {
		if (ix->paths[i].path == NULL) {
			at = i;
		} else if (query_path_same(ix->paths[i].path, path)) {
			ix->paths[i].nuser++;
			return i;
		}
	}
	if (at == NONE && ix->npath == WATCH_PATHS_MAX)
		return NONE;
	if (at == NONE) {
		GROW(ix->paths, ix->npath, ix->cappath);
		at = ix->npath++;
	}
	ix->paths[at] = (struct watched_path){ .path = path,
		.owner = watch_ref(w),
		.records = hub_records_of(&needs),
		.connection = (needs.roots & QUERY_ROOT_BIT(QUERY_ROOT_CONNECTION_STATE)) != 0,
		.nuser = 1 };
	return at;
}

static void
path_drop(struct watch_index *ix, uint32_t at)
{
	struct watched_path *p = &ix->paths[at];

	if (--p->nuser > 0)
		return;
	watch_unref(p->owner);
	*p = (struct watched_path){ 0 };
}

/* ---- keys ---- */

static uint64_t
value_hash(uint32_t path, const struct value *v)
{
	char bytes[16] = { 0 };
	double number =
	    v->kind == V_NUMBER ? v->number + 0.0 : v->kind == V_BOOL && v->truth; /* -0 is 0 */
	uint64_t of_text = v->kind == V_STRING ? hash_table(v->string) : 0;

	memcpy(bytes, &number, sizeof(number));
	memcpy(bytes + 8, &path, sizeof(path));
	bytes[12] = (char)v->kind;
	return of_text ^ hash_table((struct str){ bytes, sizeof(bytes) });
}

struct sought {
	uint32_t path;
	const struct value *v;
};

static bool
same_pair(const void *ctx, uint32_t pair, const void *key)
{
	const struct watch_index *ix = ctx;
	const struct sought *s = key;

	return ix->pairs[pair].path == s->path && ix->pairs[pair].v.kind == s->v->kind &&
	    value_order(&ix->pairs[pair].v, s->v) == 0;
}

static uint32_t
pair_find(const struct watch_index *ix, uint32_t path, const struct value *v)
{
	struct sought s = { path, v };

	return table_get(&ix->table, value_hash(path, v), same_pair, ix, &s);
}

static void
pair_add(struct watch_index *ix, uint32_t entry, uint32_t path, const struct value *v)
{
	uint32_t first = pair_find(ix, path, v), at = ix->free_pair - 1;

	if (ix->free_pair != 0) {
		ix->free_pair = ix->pairs[at].next;
	} else {
		GROW(ix->pairs, ix->npair, ix->cappair);
		at = ix->npair++;
	}
	ix->pairs[at] = (struct pair){ entry, 0, path, value_hash(path, v), *v };
	if (first == TABLE_NONE) {
		table_add(&ix->table, ix->pairs[at].hash, at);
	} else { /* behind the first, which the table knows */
		ix->pairs[at].next = ix->pairs[first].next;
		ix->pairs[first].next = at + 1;
	}
}

/* Of this entry: the one behind it takes its place in the table. */
static void
pair_remove(struct watch_index *ix, uint32_t entry, uint32_t path, const struct value *v)
{
	uint32_t first = pair_find(ix, path, v), before = NONE, at = first;

	while (ix->pairs[at].entry != entry) {
		before = at;
		at = ix->pairs[at].next - 1;
	}
	if (before != NONE) {
		ix->pairs[before].next = ix->pairs[at].next;
	} else {
		table_remove(&ix->table, ix->pairs[at].hash, at);
		if (ix->pairs[at].next != 0)
			table_add(&ix->table, ix->pairs[at].hash, ix->pairs[at].next - 1);
	}
	ix->pairs[at] = (struct pair){ .entry = NONE, .next = ix->free_pair };
	ix->free_pair = at + 1;
}

/* ---- watches ---- */

static struct entry *
entry_find(struct watch_index *ix, uint64_t id)
{
	for (uint32_t i = 0; i < ix->nentry; i++)
		if (ix->entries[i].watch != NULL && ix->entries[i].id == id)
			return &ix->entries[i];
	return NULL;
}

static struct entry *
entry_place(struct watch_index *ix)
{
	for (uint32_t i = 0; i < ix->nentry; i++)
		if (ix->entries[i].watch == NULL)
			return &ix->entries[i];
	GROW(ix->entries, ix->nentry, ix->capentry);
	return &ix->entries[ix->nentry++];
}

/* The paths that it looks at; false: no room, and what was taken is dropped with the entry. */
static bool
take_looks(struct watch_index *ix, struct entry *e)
{
	const struct query *q = watch_query(e->watch);
	uint32_t cap = 0;

	for (const struct path *p = query_path_next(q, NULL); p != NULL;
	     p = query_path_next(q, p)) {
		uint32_t at = path_take(ix, p, e->watch);
		if (at == NONE)
			return false;
		GROW(e->looks, e->nlook, cap);
		e->looks[e->nlook++] = (struct look){ at, !query_path_in_condition(p) };
	}
	return true;
}

static void
take_key(struct watch_index *ix, struct entry *e)
{
	struct query_key key;

	if (!query_key_of(watch_query(e->watch), &key) || key.n > WATCH_KEYS_MAX)
		return;
	for (uint32_t i = 0; i < e->nlook && e->key == NONE; i++)
		if (query_path_same(ix->paths[e->looks[i].path].path, key.path))
			e->key = e->looks[i].path;
	ix->paths[e->key].nkey++;
	for (uint32_t i = 0; i < key.n; i++)
		pair_add(ix, (uint32_t)(e - ix->entries), e->key, &key.v[i]);
}

static void
drop_key(struct watch_index *ix, struct entry *e)
{
	struct query_key key;

	if (e->key == NONE)
		return;
	query_key_of(watch_query(e->watch), &key);
	for (uint32_t i = 0; i < key.n; i++)
		pair_remove(ix, (uint32_t)(e - ix->entries), e->key, &key.v[i]);
	ix->paths[e->key].nkey--;
}

static void
entry_drop(struct watch_index *ix, struct entry *e)
{
	for (uint32_t i = 0; i < e->nlook; i++)
		path_drop(ix, e->looks[i].path);
	entry_fini(e);
	*e = (struct entry){ 0 };
	ix->count--;
}

static void
sum_records(struct watch_index *ix)
{
	ix->records = 0;
	ix->connection = false;
	for (uint32_t i = 0; i < ix->nentry; i++) {
		struct query_needs n;
		if (ix->entries[i].watch == NULL)
			continue;
		n = watch_needs(ix->entries[i].watch);
		ix->records |= hub_records_of(&n);
		ix->connection |= query_facts(watch_query(ix->entries[i].watch))->whole ||
		    (n.roots & QUERY_ROOT_BIT(QUERY_ROOT_CONNECTION_STATE)) != 0;
	}
}

enum err
watch_index_add(struct watch_index *ix, const struct watch *w, uint64_t id, struct fault *f)
{
	struct entry *e;

	assert(entry_find(ix, id) == NULL);
	if (ix->count == WATCH_INDEX_MAX) {
		fault_set(f, F_GenericTooManyRequests, "%u queries are watched, as many as may be",
		    WATCH_INDEX_MAX);
		return ERR_FULL;
	}
	e = entry_place(ix);
	*e = (struct entry){ .watch = watch_ref(w), .id = id, .key = NONE };
	ix->count++;
	if (!take_looks(ix, e)) {
		entry_drop(ix, e);
		fault_set(f, F_GenericTooManyRequests,
		    "the watched queries name %u paths, as many as may be", WATCH_PATHS_MAX);
		return ERR_FULL;
	}
	take_key(ix, e);
	sum_records(ix);
	return ERR_OK;
}

void
watch_index_remove(struct watch_index *ix, uint64_t id)
{
	struct entry *e = entry_find(ix, id);

	if (e == NULL)
		return;
	drop_key(ix, e);
	entry_drop(ix, e);
	sum_records(ix);
}

/* ---- a change ---- */

static bool
value_differs(struct watch_index *ix, const struct path *p, const struct watch_change *c,
    struct query_scratch *s)
{
	struct doc was = query_path_get(p, c->ops, c->was, s), is;

	ix->was.n = 0;
	if (doc_defined(was)) /* the next look may be at the same scratch */
		buf_str(&ix->was, doc_bytes(was));
	if (doc_defined(was))
		was = doc_of_stamped(buf_view(&ix->was), was.w);
	is = query_path_get(p, c->ops, c->is, s);
	if (!doc_defined(was) || !doc_defined(is))
		return doc_defined(was) != doc_defined(is);
	return !doc_equal(was, is);
}

/* Which paths have another value. */
static void
look_at_paths(struct watch_index *ix, const struct watch_change *c, struct query_scratch *s)
{
	for (uint32_t i = 0; i < ix->npath; i++) {
		struct watched_path *p = &ix->paths[i];

		p->changed = false;
		if (p->path == NULL)
			continue;
		if (p->connection)
			p->changed = c->connection;
		else if (p->records & c->records)
			p->changed = value_differs(ix, p->path, c, s);
	}
}

/* What is asked of one watch. */
struct question {
	struct watch_index *ix;
	const struct watch_change *c;
	struct query_scratch *s;
	watch_asks *asks;
	watch_heard *heard;
	void *ctx;
};

static void
ask(const struct question *q, struct entry *e)
{
	const struct watch_change *c = q->c;
	const struct query *query = watch_query(e->watch);
	bool whole = query_facts(query)->whole, all = c->was == NULL || c->is == NULL;
	struct watch_hit hit = {
		.id = e->id, .watch = e->watch, .moved = all, .differs = all || whole
	};
	bool concerns = all || whole;

	if (e->asked == q->ix->change || query_facts(query)->collection != c->collection)
		return;
	e->asked = q->ix->change;
	for (uint32_t i = 0; i < e->nlook; i++) {
		bool changed = q->ix->paths[e->looks[i].path].changed;
		concerns |= changed;
		hit.differs |= changed && e->looks[i].shown;
		hit.moved |= changed && !e->looks[i].shown;
	}
	if (!concerns || (q->asks != NULL && !q->asks(q->ctx, e->id, hit.moved)))
		return;
	hit.matches = c->is != NULL && query_match(query, c->ops, c->is, q->s);
	q->heard(q->ctx, &hit);
}

/* Those whose key is the row's value. */
static void
ask_key(const struct question *q, uint32_t path, const void *row)
{
	struct watch_index *ix = q->ix;
	struct value v;
	uint32_t at;

	if (row == NULL)
		return;
	v = value_of(query_path_get(ix->paths[path].path, q->c->ops, row, q->s));
	if (v.kind != V_BOOL && v.kind != V_NUMBER && v.kind != V_STRING)
		return;
	at = pair_find(ix, path, &v);
	for (; at != TABLE_NONE; at = ix->pairs[at].next - 1)
		ask(q, &ix->entries[ix->pairs[at].entry]);
}

void
watch_index_ask(struct watch_index *ix, const struct watch_change *c, struct query_scratch *s,
    watch_asks *asks, watch_heard *heard, void *ctx)
{
	const struct question q = { ix, c, s, asks, heard, ctx };
	bool both = c->was != NULL && c->is != NULL;

	ix->change++;
	if (both)
		look_at_paths(ix, c, s);
	for (uint32_t i = 0; i < ix->npath; i++) {
		if (ix->paths[i].nkey == 0)
			continue;
		ask_key(&q, i, c->is);
		if (!both || ix->paths[i].changed)
			ask_key(&q, i, c->was);
	}
	for (uint32_t i = 0; i < ix->nentry; i++)
		if (ix->entries[i].watch != NULL && ix->entries[i].key == NONE)
			ask(&q, &ix->entries[i]);
}
