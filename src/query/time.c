/*
 * Times in conditions. A document's own times are texts in UTC and compared as texts, so a constant with an offset would be
 * compared by its local hour: it is made the text in UTC that a document would have, once, in the plan. Texts that users
 * have written are no times to anybody but them, and what is compared with those stays as it is.
 */
#include "query/priv.h"

static bool
root_is_time(enum query_root root)
{
	enum { TEXT, ANY, TIME };
	static const uint8_t kinds[] = {
#define X(id, name, collections, kind) kind,
		QUERY_ROOTS(X)
#undef X
	};

	return kinds[root] == TIME;
}

static bool
path_is_time(const struct path *p)
{
	if (p->kind == PATH_ROOT)
		return p->nstep == 0 && root_is_time(p->root);
	return p->kind == PATH_SECTION && p->nstep > 1 && p->section != SECTION_TAGS &&
	    str_eq(p->steps[0], STR("$metadata")) &&
	    str_eq(p->steps[p->nstep - 1], STR("$lastUpdated"));
}

/* In HAVING a path stands for a grouped one. */
static bool
is_time(const struct query *q, const struct expr *e, bool of_groups)
{
	const struct item *g = q->groups;

	if (e->kind != E_PATH)
		return false;
	if (!of_groups)
		return path_is_time(e->path);
	for (uint32_t i = 0; g != NULL && i < e->path->slot; i++)
		g = g->next;
	return g != NULL && path_is_time(g->path);
}

/* Ends in +hh:mm or -hh:mm, and is a time. */
static bool
has_offset(const struct value *v, int64_t *us)
{
	struct str s = v->string;

	return v->kind == V_STRING && s.n > 6 && char_among(s.p[s.n - 6], "+-") &&
	    s.p[s.n - 3] == ':' && time_parse(s, us);
}

static bool
in_utc(struct query *q, struct value *v)
{
	char text[TIME_TEXT_MAX];
	int64_t us;

	if (!has_offset(v, &us))
		return false;
	*v = value_string(arena_str(&q->arena, (struct str){ text, time_format(us, text) }));
	return true;
}

static void
list_in_utc(struct query *q, struct expr *e)
{
	struct list *l = arena_alloc(&q->arena, sizeof(*l));
	struct value *v = arena_alloc(&q->arena, e->list->n * sizeof(*v) + 1);
	bool any = false;

	bytes_copy(v, e->list->v, e->list->n * sizeof(*v));
	for (uint32_t i = 0; i < e->list->n; i++)
		any |= in_utc(q, &v[i]);
	if (!any)
		return;
	*l = *e->list;
	l->v = v;
	list_sort(v, l->n);
	e->list = l;
}

static void
walk(struct query *q, struct expr *e, bool of_groups)
{
	if (e->kind == E_COMPARE) {
		struct expr *a = e->first, *b = a->next;

		if (b->kind == E_CONST && is_time(q, a, of_groups))
			in_utc(q, &b->constant);
		else if (a->kind == E_CONST && is_time(q, b, of_groups))
			in_utc(q, &a->constant);
	} else if (e->kind == E_IN && is_time(q, e->first, of_groups)) {
		list_in_utc(q, e);
	}
	for (struct expr *c = e->first; c != NULL; c = c->next)
		walk(q, c, of_groups);
}

void
plan_times(struct query *q)
{
	if (q->where != NULL)
		walk(q, q->where, false);
	if (q->having != NULL)
		walk(q, q->having, true);
}
