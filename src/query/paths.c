/* See paths.h. */
#include "query/paths.h"
#include "query/priv.h"

const struct path *
query_path_next(const struct query *q, const struct path *before)
{
	return before == NULL ? q->paths : before->next;
}

bool
query_path_same(const struct path *a, const struct path *b)
{
	return path_equal(a, b);
}

bool
query_path_in_condition(const struct path *p)
{
	return p->in_condition;
}

struct query_needs
query_path_needs(const struct path *p)
{
	struct query_needs needs = { 0 };

	switch (p->kind) {
	case PATH_UNKNOWN: break;
	case PATH_ROOT: needs.roots = QUERY_ROOT_BIT(p->root); break;
	case PATH_SECTION: needs.sections = QUERY_SECTION_BIT(p->section); break;
	case PATH_PROPERTIES:
	case PATH_CONVERGED:
		needs.sections =
		    QUERY_SECTION_BIT(SECTION_DESIRED) | QUERY_SECTION_BIT(SECTION_REPORTED);
		break;
	}
	return needs;
}

struct doc
query_path_get(
    const struct path *p, const struct query_row_ops *ops, const void *row, struct query_scratch *s)
{
	const struct row r = { ops, row, s, NULL };

	return path_get(&r, p);
}

/* ---- keys ---- */

static bool
may_be_key(const struct path *p)
{
	if (p->kind == PATH_ROOT)
		return p->nstep == 0 &&
		    (p->root == QUERY_ROOT_DEVICE_ID || p->root == QUERY_ROOT_MODULE_ID);
	return p->kind == PATH_SECTION && p->nstep > 0 &&
	    (p->steps[0].n == 0 || p->steps[0].p[0] != '$');
}

static bool
all_plain(const struct value *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i].kind != V_BOOL && v[i].kind != V_NUMBER && v[i].kind != V_STRING)
			return false;
	return true;
}

static void
better(struct query_key *best, const struct expr *path, const struct value *v, uint32_t n)
{
	if (path->kind != E_PATH || !may_be_key(path->path) || !all_plain(v, n))
		return;
	if (best->path == NULL || n < best->n)
		*best = (struct query_key){ path->path, n, v };
}

/* A list keeps what can equal something only; null can, as a value of a root. */
static void
find_key(const struct expr *e, struct query_key *best)
{
	const struct expr *b;

	if (e->kind == E_COMPARE && e->relop == REL_EQ) {
		b = e->first->next;
		if (b->kind == E_CONST)
			better(best, e->first, &b->constant, 1);
		else if (e->first->kind == E_CONST)
			better(best, b, &e->first->constant, 1);
	} else if (e->kind == E_IN) {
		better(best, e->first, e->list->v, e->list->n);
	} else if (e->kind == E_AND) {
		for (const struct expr *c = e->first; c != NULL; c = c->next)
			find_key(c, best);
	}
}

bool
query_key_of(const struct query *q, struct query_key *key)
{
	*key = (struct query_key){ 0 };
	if (q->where != NULL)
		find_key(q->where, key);
	return key->path != NULL;
}
