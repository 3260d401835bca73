/* Sets of sinks, routes and cursors: immutable, a change makes another one. */
#include "routing/priv.h"

struct cursor *
cursor_new(int64_t of_us, struct str bytes)
{
	struct cursor *c = xmalloc(sizeof(*c) + bytes.n);

	refs_init(&c->refs);
	c->of_us = of_us;
	c->n = bytes.n;
	bytes_copy(c->bytes, bytes.p, bytes.n);
	return c;
}

struct cursor *
cursor_ref(struct cursor *c)
{
	refs_take(&c->refs);
	return c;
}

void
cursor_unref(struct cursor *c)
{
	if (c != NULL && refs_drop(&c->refs))
		free(c);
}

/* ---- sets ---- */

static struct routing *
empty(void)
{
	struct routing *set = xcalloc(1, sizeof(*set));

	refs_init(&set->refs);
	return set;
}

struct routing *
routing_new(void)
{
	struct routing *set = empty();

	set->routes[set->nroute++] = fallback_new();
	return set;
}

struct routing *
routing_ref(struct routing *set)
{
	refs_take(&set->refs);
	return set;
}

void
routing_unref(struct routing *set)
{
	if (set == NULL || !refs_drop(&set->refs))
		return;
	for (uint32_t i = 0; i < set->nsink; i++) {
		sink_def_unref(set->sinks[i]);
		cursor_unref(set->cursors[i]);
	}
	for (uint32_t i = 0; i < set->nroute; i++)
		route_def_unref(set->routes[i]);
	free(set);
}

struct sink_def *
routing_sink(const struct routing *set, struct str id)
{
	for (uint32_t i = 0; i < set->nsink; i++)
		if (str_eq(set->sinks[i]->id, id))
			return set->sinks[i];
	return NULL;
}

struct route_def *
routing_route(const struct routing *set, struct str id)
{
	for (uint32_t i = 0; i < set->nroute; i++)
		if (str_eq(set->routes[i]->id, id))
			return set->routes[i];
	return NULL;
}

struct cursor *
routing_cursor(const struct routing *set, struct str id)
{
	for (uint32_t i = 0; i < set->nsink; i++)
		if (str_eq(set->sinks[i]->id, id))
			return set->cursors[i];
	return NULL;
}

bool
routing_leads_to(const struct routing *set, struct str sink)
{
	for (uint32_t i = 0; i < set->nroute; i++)
		if (str_eq(set->routes[i]->endpoint, sink))
			return true;
	return false;
}

/* ---- the next one ---- */

/* A cursor is its sink's as long as that is the same one. */
static void
add_sink(struct routing *to, struct sink_def *d, struct cursor *c)
{
	assert(to->nsink < SINKS_MAX);
	to->sinks[to->nsink] = sink_def_ref(d);
	if (c != NULL && c->of_us == d->created_us)
		to->cursors[to->nsink] = cursor_ref(c);
	to->nsink++;
}

static void
add_route(struct routing *to, struct route_def *d)
{
	assert(to->nroute < ROUTES_MAX);
	to->routes[to->nroute++] = route_def_ref(d);
}

static void
copy_sinks(struct routing *to, const struct routing *set)
{
	for (uint32_t i = 0; i < set->nsink; i++)
		add_sink(to, set->sinks[i], set->cursors[i]);
}

static void
copy_routes(struct routing *to, const struct routing *set)
{
	for (uint32_t i = 0; i < set->nroute; i++)
		add_route(to, set->routes[i]);
}

struct routing *
routing_with_sink(const struct routing *set, struct str id, struct sink_def *d)
{
	struct routing *to = empty();

	for (uint32_t i = 0; i < set->nsink; i++) {
		int order = str_cmp(set->sinks[i]->id, id);

		if (d != NULL && order >= 0) {
			add_sink(to, d, order == 0 ? set->cursors[i] : NULL);
			d = NULL;
		}
		if (order != 0)
			add_sink(to, set->sinks[i], set->cursors[i]);
	}
	if (d != NULL)
		add_sink(to, d, NULL);
	copy_routes(to, set);
	return to;
}

struct routing *
routing_with_route(const struct routing *set, struct str id, struct route_def *d)
{
	struct routing *to = empty();

	copy_sinks(to, set);
	for (uint32_t i = 0; i < set->nroute; i++) {
		int order = str_cmp(set->routes[i]->id, id);

		if (d != NULL && order >= 0) {
			add_route(to, d);
			d = NULL;
		}
		if (order != 0)
			add_route(to, set->routes[i]);
	}
	if (d != NULL)
		add_route(to, d);
	return to;
}

struct routing *
routing_with_cursor(const struct routing *set, struct str id, struct cursor *c)
{
	struct routing *to = empty();

	for (uint32_t i = 0; i < set->nsink; i++)
		add_sink(to, set->sinks[i], str_eq(set->sinks[i]->id, id) ? c : set->cursors[i]);
	copy_routes(to, set);
	return to;
}
