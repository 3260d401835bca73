/* A page of stories. Nothing keeps them in an order: all are looked at, and the first of what is behind the last page are kept in a heap. */
#include "story/priv.h"

#include <stdlib.h>

struct page {
	const struct stories_ask *ask;
	struct story_view *v; /* a heap: the last one of the page's order is v[0] */
	uint32_t n;
	bool more;
};

struct place {
	struct str device, module;
	uint32_t nconnect;
};

static struct place
place_of(const struct story_view *v)
{
	return (struct place){ v->device, v->module, v->nconnect };
}

/* Below 0: a comes first. */
static int
compare(const struct stories_ask *ask, struct place a, struct place b)
{
	int c;

	if (ask->by_connects && a.nconnect != b.nconnect)
		return a.nconnect > b.nconnect ? -1 : 1;
	c = str_cmp(a.device, b.device);
	return c != 0 ? c : str_cmp(a.module, b.module);
}

static bool
is_later(const struct page *g, uint32_t a, uint32_t b)
{
	return compare(g->ask, place_of(&g->v[a]), place_of(&g->v[b])) > 0;
}

/* The strings of a view are in it. */
static void
view_move(struct story_view *to, const struct story_view *from)
{
	*to = *from;
	to->device.p = to->text + (from->device.p - from->text);
	to->module.p = to->text + (from->module.p - from->text);
	to->client.p = to->text + (from->client.p - from->text);
}

static void
view_swap(struct story_view *a, struct story_view *b)
{
	struct story_view t;

	view_move(&t, a);
	view_move(a, b);
	view_move(b, &t);
}

static void
sink(struct page *g, uint32_t n)
{
	for (uint32_t at = 0, child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && is_later(g, child + 1, child))
			child++;
		if (!is_later(g, child, at))
			return;
		view_swap(&g->v[child], &g->v[at]);
	}
}

static void
rise(struct page *g, uint32_t at)
{
	for (; at > 0 && is_later(g, at, (at - 1) / 2); at = (at - 1) / 2)
		view_swap(&g->v[at], &g->v[(at - 1) / 2]);
}

static bool
is_wanted(const struct stories_ask *ask, const struct story *s)
{
	if (ask->state != STORY_ANY && s->connected != (ask->state == STORY_CONNECTED))
		return false;
	if (ask->reason != REASON_NONE && s->ended.reason != ask->reason &&
	    s->refused.reason != ask->reason)
		return false;
	return ask->from == NULL ||
	    memcmp(s->known ? s->from.ip : s->refused.from.ip, ask->from->ip,
	        sizeof(ask->from->ip)) == 0;
}

static void
meet(struct page *g, const struct story *s, int64_t now_us)
{
	const struct stories_ask *ask = g->ask;
	struct place here = { { s->ids, s->device_n }, { s->ids + s->device_n, s->module_n },
		story_connects(s, now_us) };
	struct place after = { ask->after.device, ask->after.module, ask->after.nconnect };

	if (!is_wanted(ask, s) || (after.device.n > 0 && compare(ask, here, after) <= 0))
		return;
	if (g->n < ask->limit) {
		story_show(s, now_us, &g->v[g->n]);
		rise(g, g->n++);
		return;
	}
	g->more = true;
	if (compare(ask, here, place_of(&g->v[0])) >= 0)
		return;
	story_show(s, now_us, &g->v[0]);
	sink(g, g->n);
}

bool
stories_list(struct stories *st, const struct stories_ask *ask, int64_t now_us,
    void (*put)(void *ctx, const struct story_view *v), void *ctx)
{
	struct page g = { .ask = ask, .v = xcalloc(ask->limit, sizeof(*g.v)) };

	for (unsigned i = 0; i < STRIPES; i++) {
		struct stripe *p = &st->stripes[i];

		pthread_mutex_lock(&p->mutex);
		for (uint32_t b = 0; b < p->nbucket; b++)
			for (const struct story *s = p->buckets[b]; s != NULL; s = s->chain)
				meet(&g, s, now_us);
		pthread_mutex_unlock(&p->mutex);
	}
	for (uint32_t n = g.n; n > 1; n--) { /* the last one goes to the end, again and again */
		view_swap(&g.v[0], &g.v[n - 1]);
		sink(&g, n - 1);
	}
	for (uint32_t i = 0; i < g.n; i++)
		put(ctx, &g.v[i]);
	free(g.v);
	return g.more;
}
