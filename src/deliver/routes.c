/* Which events go to a sink: some enabled route of their source leads to it, and its condition is true of them (E-33). */
#include "deliver/priv.h"
#include "shard/told.h"

bool
routes_take(struct feed *f, const struct routing *set, struct str sink, const struct feed_event *e)
{
	static const enum route_source sources[TOLD_SOURCES] = { [TOLD_MESSAGES] = ROUTE_MESSAGES,
		[TOLD_TWINS] = ROUTE_TWIN_CHANGES,
		[TOLD_LIFE_CYCLE] = ROUTE_LIFECYCLE,
		[TOLD_CONNECTIONS] = ROUTE_CONNECTION,
		[TOLD_JOBS] = ROUTE_JOBS,
		[TOLD_METHODS] = ROUTE_METHODS,
		[TOLD_ADMINISTRATION] = ROUTE_ADMINISTRATION };
	enum told_source told = told_source_of(e->e);

	for (uint32_t i = 0; told < TOLD_SOURCES && i < set->nroute; i++) {
		const struct route_def *r = set->routes[i];

		if (r->enabled && r->source == sources[told] && r->compiled != NULL &&
		    str_eq(r->endpoint, sink) && feed_matches(f, r->compiled))
			return true;
	}
	return false;
}
