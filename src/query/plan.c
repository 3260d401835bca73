/* What is checked and found out once a query has been read: what paths mean, names, slots, and facts. */
#include "query/priv.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const item_type_names[] = {
	[QUERY_TWIN] = "Twin",
	[QUERY_RAW] = "Raw",
	[QUERY_DEVICE_JOB] = "DeviceJob",
	[QUERY_JOB_RESPONSE] = "JobResponse",
};

const char *
query_item_type_name(enum query_item_type t)
{
	return item_type_names[t];
}

void
query_free(struct query *q)
{
	if (q == NULL)
		return;
	arena_fini(&q->arena);
	free(q);
}

struct str
query_text(const struct query *q)
{
	return q->text;
}

const struct query_facts *
query_facts(const struct query *q)
{
	return &q->facts;
}

/* ---- paths ---- */

static bool
resolve_paths(struct parser *p)
{
	struct query_facts *facts = &p->q->facts;

	for (struct path *path = p->q->paths; path != NULL; path = path->next) {
		struct query_needs *needs = path->in_condition ? &facts->match : &facts->output;
		enum err e = path_resolve(path, facts->collection);
		if (e != ERR_OK)
			return parse_fault(p, path->at,
			    e == ERR_RANGE ? "IS_CONVERGED takes a path of properties.desired"
			                   : "twins are not part of this collection"); /* */
		if (path->kind == PATH_ROOT)
			needs->roots |= QUERY_ROOT_BIT(path->root);
		else if (path->kind == PATH_SECTION)
			needs->sections |= (uint8_t)QUERY_SECTION_BIT(path->section);
		else if (path->kind == PATH_PROPERTIES || path->kind == PATH_CONVERGED)
			needs->sections |= QUERY_SECTION_BIT(SECTION_DESIRED) |
			    QUERY_SECTION_BIT(SECTION_REPORTED);
	}
	if (facts->whole)
		facts->output = path_all(facts->collection);
	return true;
}

/* Equal paths share a slot: what columns and their values are found by. */
static void
number_paths(struct query *q)
{
	for (struct path *p = q->paths; p != NULL; p = p->next) {
		p->slot = 0;
		while (p->slot < q->nslot && !path_equal(q->slots[p->slot], p))
			p->slot++;
		if (p->slot == q->nslot && q->nslot < SLOTS_MAX)
			q->slots[q->nslot++] = p;
	}
}

/* ---- select list ---- */

/* Plain items of an aggregate query must be grouped: which path of GROUP BY is it? */
static struct item *
find_group(struct query *q, struct item *it)
{
	uint32_t slot = 0;

	for (struct item *g = q->groups; g != NULL; g = g->next, slot++) {
		if (path_equal(g->path, it->path)) {
			it->slot = slot;
			return g;
		}
	}
	return NULL;
}

static void
item_name(struct query *q, struct item *it, struct str name)
{
	struct buf b = { 0 };

	doc_write_json_str(&b, name);
	buf_putc(&b, ':');
	it->key = arena_str(&q->arena, buf_view(&b));
	buf_fini(&b);
}

/* the alias, the alias in GROUP BY, the last step, or a number. */
static bool
name_items(struct parser *p)
{
	struct query *q = p->q;
	unsigned unnamed = 0;
	char number[16];

	for (struct item *it = q->items; it != NULL; it = it->next) {
		struct item *g = NULL;
		if (it->hidden)
			continue;
		if (it->kind == ITEM_PATH && q->facts.aggregate && (g = find_group(q, it)) == NULL)
			return parse_fault(
			    p, it->at, "a path that is not in GROUP BY beside aggregates");
		if (it->alias.p != NULL) {
			item_name(q, it, it->alias);
		} else if (it->kind != ITEM_PATH) {
			number[0] = '$';
			snprintf(number + 1, sizeof(number) - 1, "%u", ++unnamed);
			item_name(q, it, str_of(number));
		} else {
			item_name(
			    q, it, g != NULL && g->alias.p != NULL ? g->alias : it->path->name);
		}
	}
	return true;
}

/* Of several items with one name the last one stands, defined or not. */
static void
drop_hidden(struct query *q)
{
	struct item **at = &q->items;

	while (*at != NULL) {
		const struct item *later = (*at)->next;
		while (later != NULL && (later->hidden || !str_eq(later->key, (*at)->key)))
			later = later->next;
		if (later != NULL && !(*at)->hidden) {
			*at = (*at)->next;
			q->nitem--;
		} else {
			at = &(*at)->next;
		}
	}
}

static bool
check_items(struct parser *p)
{
	struct query *q = p->q;
	struct query_facts *facts = &q->facts;

	facts->aggregate = q->ngroup > 0;
	for (struct item *it = q->items; it != NULL; it = it->next)
		facts->aggregate |= it->kind != ITEM_PATH;
	if (facts->collection > QUERY_MODULES &&
	    (!facts->whole || q->ngroup || q->distinct || q->order != NULL))
		return parse_fault(
		    p, q->text.p, "jobs are asked with SELECT * only"); /* */
	if (facts->whole && q->ngroup)
		return parse_fault(p, q->groups->at, "GROUP BY with SELECT *"); /* */
	if (!name_items(p))
		return false;
	drop_hidden(q);
	if (!plan_distinct(p))
		return false;
	for (struct item *it = q->items; it != NULL; it = it->next)
		if (it->kind != ITEM_PATH)
			it->slot = q->ntally++;
	return plan_refs(p);
}

/* ---- point lookups ---- */

static int
id_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The strings among constants, in order and without repeats: no other constant can equal an id. */
static struct query_ids
ids_of(struct query *q, const struct value *v, uint32_t n)
{
	struct str *ids = arena_alloc(&q->arena, n * sizeof(*ids));
	struct query_ids out = { .given = true, .v = ids };

	for (uint32_t i = 0; i < n; i++)
		if (v[i].kind == V_STRING)
			ids[out.n++] = v[i].string;
	n = out.n;
	array_sort(ids, n, sizeof(*ids), id_order);
	out.n = 0;
	for (uint32_t i = 0; i < n; i++)
		if (out.n == 0 || !str_eq(ids[out.n - 1], ids[i]))
			ids[out.n++] = ids[i];
	return out;
}

static bool
is_root(const struct expr *e, enum query_root root)
{
	return e->kind == E_PATH && e->path->kind == PATH_ROOT && e->path->root == root &&
	    e->path->nstep == 0;
}

/* What a condition that must be true says of an id. Of several conjuncts the one with the fewest ids. */
static struct query_ids
find_ids(struct query *q, const struct expr *e, enum query_root root)
{
	struct query_ids best = { 0 }, ids;

	if (e->kind == E_COMPARE && e->relop == REL_EQ) {
		if (is_root(e->first, root) && e->first->next->kind == E_CONST)
			return ids_of(q, &e->first->next->constant, 1);
		if (is_root(e->first->next, root) && e->first->kind == E_CONST)
			return ids_of(q, &e->first->constant, 1);
	}
	if (e->kind == E_IN && is_root(e->first, root))
		return ids_of(q, e->list->v, e->list->n);
	if (e->kind == E_AND) {
		for (const struct expr *c = e->first; c != NULL; c = c->next) {
			ids = find_ids(q, c, root);
			if (ids.given && (!best.given || ids.n < best.n))
				best = ids;
		}
	}
	return best;
}

/* ---- all of it ---- */

static enum query_item_type
item_type(const struct query_facts *f)
{
	if (!f->whole)
		return QUERY_RAW;
	return f->collection == QUERY_JOBS       ? QUERY_JOB_RESPONSE
	    : f->collection == QUERY_DEVICE_JOBS ? QUERY_DEVICE_JOB
	                                         : QUERY_TWIN;
}

bool
plan_finish(struct parser *p)
{
	struct query *q = p->q;
	struct query_facts *f = &q->facts;

	plan_order_aliases(q);
	if (!resolve_paths(p) || !plan_past(p) || !check_items(p))
		return false;
	number_paths(q);
	plan_times(q);
	f->hash = hash_stable(q->text);
	f->item_type = item_type(f);
	f->everything = q->where == NULL && !f->nothing;
	if (q->where != NULL) {
		f->device_ids = find_ids(q, q->where, QUERY_ROOT_DEVICE_ID);
		f->job_ids = find_ids(q, q->where, QUERY_ROOT_JOB_ID);
	}
	return true;
}
