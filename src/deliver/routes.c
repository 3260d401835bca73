/* Which events go to a sink: some enabled route of their source leads to it, and its condition is true of them (E-33). */
#include "deliver/priv.h"
#include "shard/told.h"

/* Is the route of its source, and true of it? */
static bool
route_takes(struct feed *f, const struct route_def *r, const struct feed_event *e)
{
	return r->enabled && r->source == feed_route_source(e->source) && r->compiled != NULL &&
	    feed_matches(f, r->compiled);
}

bool
routes_take(struct feed *f, const struct routing *set, struct str sink, const struct feed_event *e)
{
	for (uint32_t i = 0; i < set->nroute; i++)
		if (str_eq(set->routes[i]->endpoint, sink) && route_takes(f, set->routes[i], e))
			return true;
	return false;
}

bool
routes_take_built_in(struct feed *f, const struct routing *set, const struct feed_event *e)
{
	bool elsewhere = false, fallback = false;

	for (uint32_t i = 0; i < set->nroute; i++) {
		const struct route_def *r = set->routes[i];

		if (!route_takes(f, r, e))
			continue;
		if (str_eq(r->id, STR(FALLBACK)))
			fallback = true;
		else if (str_eq(r->endpoint, STR(BUILT_IN)))
			return true;
		else
			elsewhere = true;
	}
	return fallback && !elsewhere;
}
