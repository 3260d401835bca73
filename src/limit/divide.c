/* The rates of a hub on several nodes: who may ask any of them has a part of each. */
#include "limit/limit.h"

static void
rate_divide(struct limit_rate *r, unsigned n)
{
	if (r->each_ns == 0 || r->burst == 0) /* no limit; nothing is said */
		return;
	r->each_ns *= n;
	r->burst = r->burst / n > 0 ? r->burst / n : 1;
}

/* A device and a module are on one node at a time: theirs stay. */
void
limit_rules_divide(struct limit_rules *rules, unsigned n)
{
	for (unsigned kind = 0; kind < LIMIT_KINDS; kind++) {
		rate_divide(&rules->rate[LIMIT_POLICY][kind], n);
		rate_divide(&rules->rate[LIMIT_ADDRESS][kind], n);
		rate_divide(&rules->rate[LIMIT_HUB][kind], n);
		for (unsigned i = 0; i < rules->nnamed; i++)
			rate_divide(&rules->named[i].rate[kind], n);
	}
	if (rules->daily > 0)
		rules->daily = rules->daily / n > 0 ? rules->daily / n : 1;
}
