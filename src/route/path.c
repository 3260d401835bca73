/* Paths into a body or a twin: `a.list[0].b`. */
#include "route/priv.h"

#define INDEX_DIGITS 9u

/* Cut `[digits]` off a step: its index, or NO_INDEX. */
static bool
cut_index(struct str *step, int32_t *index)
{
	const char *open = step->n > 0 ? memchr(step->p, '[', step->n) : NULL;
	uint64_t n;
	struct str digits;

	*index = NO_INDEX;
	if (open == NULL)
		return memchr(step->p, ']', step->n) == NULL;
	digits = str_sub(*step, (size_t)(open - step->p) + 1);
	if (digits.n < 2 || digits.n - 1 > INDEX_DIGITS || digits.p[digits.n - 1] != ']')
		return false;
	digits.n--;
	if (!str_u64(digits, &n))
		return false;
	*index = (int32_t)n;
	step->n = (size_t)(open - step->p);
	return true;
}

bool
path_parse(struct arena *a, struct str text, struct path *out)
{
	struct str names[ROUTE_STEPS_MAX], step, left = text;
	int32_t indexes[ROUTE_STEPS_MAX];
	struct str *names_copy;
	int32_t *indexes_copy;
	unsigned n = 0;
	bool more;

	do {
		more = str_cut(left, '.', &step, &left);
		if (n == ROUTE_STEPS_MAX || step.n == 0 || !cut_index(&step, &indexes[n]) ||
		    step.n == 0)
			return false;
		names[n++] = step;
	} while (more);
	names_copy = arena_alloc(a, n * sizeof(names[0]));
	indexes_copy = arena_alloc(a, n * sizeof(indexes[0]));
	memcpy(names_copy, names, n * sizeof(names[0]));
	memcpy(indexes_copy, indexes, n * sizeof(indexes[0]));
	*out = (struct path){ names_copy, indexes_copy, n };
	return true;
}

struct doc
path_element(struct doc d, int32_t index)
{
	struct doc_iter it = doc_iter(doc_kind(d) == DOC_ARRAY ? d : DOC_NONE);
	struct doc e = DOC_NONE;
	struct str key;

	for (int32_t i = 0; i <= index; i++)
		if (!doc_next(&it, &key, &e))
			return DOC_NONE;
	return e;
}

struct doc
path_step(struct doc d, const struct path *p, unsigned step)
{
	d = doc_get(d, p->names[step]);
	return p->indexes[step] == NO_INDEX ? d : path_element(d, p->indexes[step]);
}
