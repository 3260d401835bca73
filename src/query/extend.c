/*
 * Extensions of the language: DISTINCT, HAVING, ORDER BY, IS_CONVERGED, AS OF. Their words are none of the reserved ones: they mean
 * something only where nothing else can stand.
 *
 * DISTINCT is GROUP BY of all items. HAVING and ORDER BY of groups are on paths of their own, q->refs, whose slots count
 * the grouped paths and then the tallies of a group: groups.c binds values to them.
 */
#include "query/priv.h"

/* ---- parsing ---- */

void
parse_distinct(struct parser *p)
{
	struct token tok = p->tok;
	const char *at = p->p;

	if (!p->extensions || !tok_word(&tok, "DISTINCT"))
		return;
	lex_next(p);
	if (p->tok.kind == TOK_BAD)
		return;
	if (parse_at_name(p) || tok_op(&p->tok, '*') || tok_word(&p->tok, "TOP")) {
		p->q->distinct = true;
		return;
	}
	p->tok = tok; /* a root of that name */
	p->p = at;
}

/* A name that is no path of the document, and may have no steps. */
struct path *
parse_converged(struct parser *p, const struct token *name)
{
	struct token first = p->tok;
	struct path *path;

	if (p->of_groups) {
		parse_fault(p, name->at, "IS_CONVERGED looks into rows, not into groups");
		return NULL;
	}
	if (parse_op(p, ')')) {
		path = path_new(p, name, NULL, 0);
		path->converged = true;
		return path;
	}
	if (!parse_at_name(p)) {
		parse_unexpected(p, "a path or )");
		return NULL;
	}
	lex_next(p);
	if ((path = parse_path(p, &first)) == NULL)
		return NULL;
	path->converged = true;
	return parse_op(p, ')') || parse_unexpected(p, ") after the path") ? path : NULL;
}

static bool
makes_groups(const struct query *q)
{
	bool found = q->ngroup > 0 || (q->distinct && !q->facts.whole);

	for (const struct item *it = q->items; it != NULL; it = it->next)
		found |= it->kind != ITEM_PATH;
	return found;
}

bool
parse_having(struct parser *p)
{
	if (!makes_groups(p->q))
		return parse_fault(p, p->tok.at, "HAVING without GROUP BY or an aggregate");
	p->of_groups = true;
	p->q->having = parse_condition(p);
	p->of_groups = false;
	return p->q->having != NULL;
}

/* A path, or of groups an aggregate. */
static struct path *
parse_sort_path(struct parser *p)
{
	struct token first = p->tok;

	if (!parse_at_name(p)) {
		parse_unexpected(p, p->of_groups ? "a path or an aggregate" : "a path");
		return NULL;
	}
	lex_next(p);
	if (p->of_groups && item_aggregate(&first, NULL) && parse_op(p, '('))
		return parse_tally(p, &first);
	return parse_path(p, &first);
}

static bool
parse_sorts(struct parser *p)
{
	struct sort **tail = &p->q->order;
	unsigned n = 0;

	do {
		struct sort *s = arena_alloc(&p->q->arena, sizeof(*s));
		if (n++ == QUERY_ITEMS_MAX)
			return parse_fault(p, p->tok.at, "more than %u items", QUERY_ITEMS_MAX);
		if ((s->path = parse_sort_path(p)) == NULL)
			return false;
		if (!parse_word(p, "ASC"))
			s->down = parse_word(p, "DESC");
		*tail = s;
		tail = &s->next;
	} while (parse_op(p, ','));
	return true;
}

/* Rows are sorted before anything of them is written: what they are sorted by is asked for with the condition. */
bool
parse_order(struct parser *p)
{
	bool parsed;

	if (!parse_word(p, "BY"))
		return parse_unexpected(p, "BY");
	p->of_groups = makes_groups(p->q);
	p->in_condition = true;
	parsed = parse_sorts(p);
	p->of_groups = p->in_condition = false;
	p->q->facts.ordered = !makes_groups(p->q);
	return parsed;
}

/* ---- AS OF (Q-94) ---- */

bool
parse_at_past(struct parser *p)
{
	struct token tok = p->tok;
	const char *at = p->p;
	bool found = false;

	if (!p->extensions || !tok_word(&tok, "AS"))
		return false;
	lex_next(p);
	if (tok_word(&p->tok, "OF")) {
		lex_next(p);
		found = p->tok.kind == TOK_STRING;
	}
	p->tok = tok;
	p->p = at;
	return found;
}

bool
parse_past(struct parser *p)
{
	struct query_facts *facts = &p->q->facts;
	const char *at = p->tok.at;

	if (!parse_word(p, "AS"))
		return true;
	if (!parse_word(p, "OF"))
		return parse_unexpected(p, "OF");
	if (p->tok.kind != TOK_STRING || !time_parse(p->tok.text, &facts->as_of_us))
		return parse_unexpected(p, "a time, as '2026-11-29T10:00:00Z',");
	lex_next(p);
	if (!p->past)
		return parse_fault(p, at, "AS OF is for queries that are asked once");
	if (facts->collection > QUERY_MODULES)
		return parse_fault(p, at, "AS OF is for devices and devices.modules");
	facts->past = true;
	return true;
}

bool
plan_past(struct parser *p)
{
	const uint64_t unknown = QUERY_ROOT_BIT(QUERY_ROOT_CONNECTION_STATE) |
	    QUERY_ROOT_BIT(QUERY_ROOT_LAST_ACTIVITY_TIME) | QUERY_ROOT_BIT(QUERY_ROOT_C2D_COUNT) |
	    QUERY_ROOT_BIT(QUERY_ROOT_CONFIGURATIONS);

	for (struct path *path = p->q->facts.past ? p->q->paths : NULL; path != NULL;
	     path = path->next)
		if (path->kind == PATH_ROOT && (unknown & QUERY_ROOT_BIT(path->root)) != 0)
			return parse_fault(p, path->at,
			    STR_FMT " is not in the log: nobody knows what it was then",
			    STR_ARG(path->name));
	return true;
}

/* ---- what the names mean ---- */

/* The last item with this alias, as the result shows it. */
static const struct item *
item_named(const struct query *q, const struct path *p)
{
	const struct item *found = NULL;

	for (const struct item *it = q->items; p->nstep == 1 && it != NULL; it = it->next)
		if (!it->hidden && it->alias.p != NULL && str_eq(it->alias, p->steps[0]))
			found = it;
	return found;
}

void
plan_order_aliases(struct query *q)
{
	for (struct sort *s = q->facts.ordered ? q->order : NULL; s != NULL; s = s->next) {
		const struct item *it = item_named(q, s->path);
		if (it == NULL)
			continue;
		s->path->steps = it->path->steps;
		s->path->nstep = it->path->nstep;
	}
}

/* The grouped path, by its path or its alias; ngroup if there is none. */
static uint32_t
group_slot(const struct query *q, const struct path *p)
{
	uint32_t slot = 0;

	for (const struct item *g = q->groups; g != NULL; g = g->next, slot++)
		if (path_equal(g->path, p))
			return slot;
	return slot;
}

static uint32_t
alias_slot(const struct query *q, const struct path *p)
{
	uint32_t slot = 0;

	for (const struct item *g = q->groups; g != NULL; g = g->next, slot++)
		if (p->nstep == 1 && g->alias.p != NULL && str_eq(g->alias, p->steps[0]))
			return slot;
	return slot;
}

static bool
resolve_ref(struct parser *p, struct path *ref)
{
	struct query *q = p->q;
	const struct item *it = ref->of != NULL ? ref->of : item_named(q, ref);

	if (it != NULL) {
		ref->slot = it->kind == ITEM_PATH ? it->slot : q->ngroup + it->slot;
		return true;
	}
	ref->slot = alias_slot(q, ref);
	if (ref->slot < q->ngroup)
		return true;
	if (path_resolve(ref, q->facts.collection) == ERR_OK)
		ref->slot = group_slot(q, ref);
	return ref->slot < q->ngroup ||
	    parse_fault(
	        p, ref->at, "neither an aggregate, nor an alias, nor a path that is in GROUP BY");
}

/* A key that has stood before decides nothing, and would only make the sort keys longer. */
static void
drop_repeated(struct query *q)
{
	for (struct sort *s = q->order; s != NULL; s = s->next) {
		struct sort **at = &s->next;
		while (*at != NULL) {
			const struct path *a = s->path, *b = (*at)->path;
			if (q->facts.ordered ? path_equal(a, b) : a->slot == b->slot)
				*at = (*at)->next;
			else
				at = &(*at)->next;
		}
	}
}

bool
plan_refs(struct parser *p)
{
	for (struct path *ref = p->q->refs; ref != NULL; ref = ref->next)
		if (!resolve_ref(p, ref))
			return false;
	drop_repeated(p->q);
	return true;
}

/* After hidden items have been dropped: an item that is not shown makes no difference between rows. */
bool
plan_distinct(struct parser *p)
{
	struct query *q = p->q;
	struct item **tail = &q->groups;

	if (!q->distinct || q->facts.whole) /* no two documents are the same */
		return true;
	if (q->facts.aggregate)
		return parse_fault(p, q->items->at, "DISTINCT beside GROUP BY or an aggregate");
	for (struct item *it = q->items; it != NULL; it = it->next) {
		struct item *g = arena_alloc(&q->arena, sizeof(*g));
		it->slot = q->ngroup++;
		*g = (struct item){ .path = it->path, .at = it->at };
		*tail = g;
		tail = &g->next;
	}
	q->facts.aggregate = true;
	return true;
}
