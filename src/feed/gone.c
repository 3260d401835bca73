/* Identities that have gone since: see gone.h. */
#include "feed/gone.h"

#include <stdlib.h>

#include "feed/then.h"

void
gone_clear(struct gone *g)
{
	g->keys.n = 0;
	g->n = g->next = 0;
}

void
gone_fini(struct gone *g)
{
	buf_fini(&g->keys);
	free(g->v);
}

enum err
gone_add(struct gone *g, struct str key, uint64_t position)
{
	if (g->keys.n + key.n + (g->n + 1) * sizeof(*g->v) > THEN_GONE_MAX)
		return ERR_FULL;
	if (g->n == g->room) {
		g->room = g->room ? 2 * g->room : 64;
		g->v = xrealloc(g->v, g->room * sizeof(*g->v));
	}
	g->v[g->n++] = (struct gone_one){ (uint32_t)g->keys.n, (uint32_t)key.n, position };
	buf_str(&g->keys, key);
	return ERR_OK;
}

struct str
gone_key(const struct gone *g, const struct gone_one *one)
{
	return (struct str){ g->keys.p + one->at, one->n };
}

static int
compare(const void *a, const void *b, void *ctx)
{
	const struct gone_one *x = a, *y = b;
	const struct gone *g = ctx;
	int by_key = str_cmp(gone_key(g, x), gone_key(g, y));

	if (by_key != 0)
		return by_key;
	return x->position < y->position ? -1 : x->position > y->position;
}

void
gone_sort(struct gone *g, struct str from)
{
	uint32_t n = 0;

	if (g->n > g->next)
		qsort_r(g->v + g->next, g->n - g->next, sizeof(*g->v), compare, g);
	for (uint32_t i = g->next; i < g->n; i++) {
		struct str key = gone_key(g, &g->v[i]);

		if (str_cmp(key, from) >= 0 && (n == 0 || !str_eq(gone_key(g, &g->v[n - 1]), key)))
			g->v[n++] = g->v[i];
	}
	g->n = n;
	g->next = 0;
}

const struct gone_one *
gone_next(const struct gone *g)
{
	return g->next < g->n ? &g->v[g->next] : NULL;
}

void
gone_pass(struct gone *g)
{
	g->next++;
}
