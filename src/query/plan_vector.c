/* A plan made ready for blocks: its condition as nodes, the paths worth a column, and the turn to a shard. */
#include "query/vector.h"

#include <stdlib.h>

/* ---- leaves ---- */

/* Note the paths below e; false if it cannot be judged from columns. */
static bool
leaf_paths(struct leaf *l, const struct expr *e)
{
	if (e->kind == E_CALL && e->function->deep)
		return false;
	if (e->kind == E_PATH || e->kind == E_DEFINED) {
		uint32_t i = 0;
		while (i < l->nslot && l->slot[i] != e->path->slot)
			i++;
		if (i < l->nslot)
			return true;
		if (i == LEAF_PATHS || e->path->slot == SLOTS_MAX)
			return false;
		l->slot[l->nslot++] = e->path->slot;
		return true;
	}
	for (const struct expr *c = e->first; c != NULL; c = c->next)
		if (!leaf_paths(l, c))
			return false;
	return true;
}

static int
hash_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
leaf_hashes(struct vector *v, struct leaf *l, const struct value *values, uint32_t n)
{
	l->hashes = arena_alloc(&v->arena, (n + 1) * sizeof(*l->hashes));
	for (uint32_t i = 0; i < n; i++)
		if (values[i].kind == V_NUMBER || values[i].kind == V_STRING)
			l->hashes[l->nhash++] = value_hash(&values[i]);
	array_sort(l->hashes, l->nhash, sizeof(*l->hashes), hash_order);
}

/* An equality with strings alone needs no look at the other entries of a dictionary. */
static void
leaf_texts(struct leaf *l, const struct value *values, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (values[i].kind != V_STRING)
			return;
	l->texts = values;
	l->ntext = n;
}

static enum relop
turned(enum relop op)
{
	static const enum relop other[] = { REL_EQ, REL_NE, REL_GT, REL_GE, REL_LT, REL_LE };

	return other[op];
}

static void
leaf_compare(struct vector *v, struct leaf *l)
{
	const struct expr *a = l->e->first, *b = a->next;
	bool left = a->kind == E_PATH;
	const struct expr *constant = left ? b : a;

	if (constant->kind != E_CONST || (left ? a : b)->kind != E_PATH)
		return;
	l->direct = true;
	l->relop = left ? l->e->relop : turned(l->e->relop);
	if (constant->constant.kind == V_NUMBER) {
		l->compares = true;
		l->number = constant->constant.number;
	}
	leaf_hashes(v, l, &constant->constant, 1);
	if (l->relop == REL_EQ || l->relop == REL_NE)
		leaf_texts(l, &constant->constant, 1);
}

/* ARRAY_CONTAINS(path, constant): only of arrays is the document asked. */
static bool
looks_into_path(const struct expr *e)
{
	const struct expr *a = e->first;

	return e->kind == E_CALL && e->function->deep && a->kind == E_PATH &&
	    a->path->slot < SLOTS_MAX && a->next->kind == E_CONST;
}

static void
leaf_make(struct vector *v, struct leaf *l, const struct expr *e)
{
	l->e = e;
	l->deep = looks_into_path(e);
	if (!leaf_paths(l, l->deep ? e->first : e))
		l->kind = LEAF_ASK;
	else
		l->kind = l->nslot == 0 ? LEAF_CONST : l->nslot == 1 ? LEAF_ONE : LEAF_MANY;
	if (l->kind == LEAF_ASK)
		return;
	for (uint32_t i = 0; i < l->nslot; i++)
		v->wanted[l->slot[i]] = true;
	if (l->kind != LEAF_ONE)
		return;
	if (e->kind == E_COMPARE)
		leaf_compare(v, l);
	if (e->kind == E_IN && e->first->kind == E_PATH) {
		l->direct = true;
		leaf_hashes(v, l, e->list->v, e->list->n);
		leaf_texts(l, e->list->v, e->list->n);
	}
}

/* ---- nodes ---- */

static struct node *
node_make(struct vector *v, const struct expr *e, unsigned depth)
{
	struct node *n = arena_alloc(&v->arena, sizeof(*n)), **tail = &n->first;

	if (depth >= v->depth)
		v->depth = depth + 1;
	n->kind = e->kind == E_AND ? NODE_AND
	    : e->kind == E_OR      ? NODE_OR
	    : e->kind == E_NOT     ? NODE_NOT
	                           : NODE_LEAF;
	if (n->kind == NODE_LEAF) {
		leaf_make(v, &n->leaf, e);
		n->slow = n->leaf.kind == LEAF_MANY;
		return n;
	}
	for (const struct expr *c = e->first; c != NULL; c = c->next) {
		*tail = node_make(v, c, depth + 1);
		n->slow |= (*tail)->slow;
		tail = &(*tail)->next;
	}
	return n;
}

/* What a group and its tallies are made of. */
static void
want_items(struct vector *v)
{
	const struct query *q = v->q;

	v->groups_ask = q->ngroup > GROUP_PATHS;
	v->counts = true;
	for (const struct item *it = q->groups; it != NULL; it = it->next)
		v->groups_ask |= it->path->slot == SLOTS_MAX;
	for (const struct item *it = q->items; it != NULL; it = it->next) {
		v->counts &= it->kind == ITEM_COUNT || it->kind == ITEM_PATH;
		v->groups_ask |= it->path != NULL && it->path->slot == SLOTS_MAX;
	}
	if (v->groups_ask)
		return;
	for (const struct item *it = q->groups; it != NULL; it = it->next)
		v->wanted[it->path->slot] = true;
	for (const struct item *it = q->items; it != NULL; it = it->next)
		if (it->path != NULL)
			v->wanted[it->path->slot] = true;
}

struct vector *
vector_new(const struct query *q)
{
	struct vector *v = xcalloc(1, sizeof(*v));

	v->q = q;
	if (q->where != NULL)
		v->where = node_make(v, q->where, 0);
	if (q->facts.aggregate)
		want_items(v);
	for (const struct sort *k = q->facts.ordered ? q->order : NULL; k != NULL; k = k->next)
		if (k->path->slot < SLOTS_MAX)
			v->wanted[k->path->slot] = true;
	v->row.bound = v->bound;
	v->blocks = xmalloc((v->depth + 1) * (size_t)VECTOR_ROWS);
	return v;
}

static void
tables_free(struct node *n)
{
	if (n->kind == NODE_LEAF)
		free(n->leaf.table);
	for (struct node *c = n->first; c != NULL; c = c->next)
		tables_free(c);
}

void
vector_free(struct vector *v)
{
	if (v == NULL)
		return;
	if (v->where != NULL)
		tables_free(v->where);
	free(v->blocks);
	free(v->direct);
	buf_fini(&v->key);
	arena_fini(&v->arena);
	free(v);
}

/* ---- a shard's turn ---- */

void
vector_turn_to(struct vector *v, uint32_t slot, struct column *c)
{
	v->held[slot] = v->building[slot] = NULL;
	v->ready = false;
	if (c == NULL || c->form == COLUMN_NONE)
		return;
	column_advance(c, v->rows);
	column_reserve(c, v->rows);
	if (c->complete)
		v->held[slot] = c;
	else if (c->id == v->mine[slot])
		v->building[slot] = c;
}

/* Which columns there are now. A sweep under way is of columns that may be no more. */
static void
look_around(struct vector *v)
{
	struct columns *c = v->columns;

	v->rows = c->rows;
	v->ready = false;
	memset(v->sweeping, 0, sizeof(v->sweeping));
	for (uint32_t i = 0; i < v->q->nslot; i++)
		if (v->wanted[i])
			vector_turn_to(v, i, columns_find(c, v->q->slots[i]));
	v->changes = c->changes;
}

void
vector_settle(struct vector *v)
{
	columns_settle(v->columns, v->row.s);
	if (v->changes != v->columns->changes)
		look_around(v);
}

void
vector_wrote(struct vector *v)
{
	bool judged = v->judged == v->changes;

	v->changes = ++v->columns->changes;
	if (judged)
		v->judged = v->changes;
}

/* A walk makes the columns that there are, or that it begins, when its first turn in the shard does. One that is dropped for
 * want of memory and begun anew by another walk is that walk's: so each is made once at most by each walk, and what does not
 * fit is asked of the documents. */
static void
use_paths(struct vector *v)
{
	struct columns *c = v->columns;

	v->fresh = true;
	c->tick++;
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		const struct column *was = v->wanted[i] ? columns_find(c, v->q->slots[i]) : NULL;
		v->missed[i] = was == NULL || was->form == COLUMN_NONE || !was->complete;
		was = v->wanted[i] ? columns_use(c, v->q->slots[i], c->rows) : NULL;
		v->mine[i] = was != NULL && was->form != COLUMN_NONE ? was->id : 0;
	}
}

void
vector_open(struct vector *v, struct columns *c, bool begins, struct query_scratch *s)
{
	v->columns = c;
	v->row.s = s;
	v->n = 0;
	columns_settle(c, s);
	if (begins)
		use_paths(v);
	look_around(v);
}

uint32_t
vector_rows(struct vector *v)
{
	vector_settle(v);
	return v->rows;
}

uint32_t
vector_builds(const struct vector *v)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->q->nslot; i++)
		n += v->building[i] != NULL;
	return n;
}

void
vector_facts(const struct vector *v, uint32_t *paths, uint32_t *held)
{
	*paths = *held = 0;
	for (uint32_t i = 0; i < v->q->nslot; i++) {
		*paths += v->wanted[i];
		*held += v->wanted[i] && v->held[i] != NULL;
	}
}
