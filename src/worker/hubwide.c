/*
 * What is hub-wide and kept on shard 0: configurations, settings, sinks and routes (docs/cluster-design.md, 10). The node that has the shard hears of
 * changes behind their commits; others have copies, made of its records; and a change is answered when all of them work by it.
 */
#include "worker/priv.h"

#include <stdlib.h>

/* ---- of another node's records ---- */

/* A shard 0 that is nobody's: its features read their records as they do everywhere. */
struct hubwide {
	struct shard *sh;
};

struct hubwide *
hubwide_new(void)
{
	struct hubwide *h = xcalloc(1, sizeof(*h));

	h->sh = shard_make(0);
	return h;
}

void
hubwide_free(struct hubwide *h)
{
	if (h == NULL)
		return;
	shard_free(h->sh);
	free(h);
}

enum err
hubwide_add(struct hubwide *h, struct str key, struct str value)
{
	return shard_common(h->sh, key, &value);
}

struct configurations *
hubwide_configurations(const struct hubwide *h)
{
	return configurations_stored(h->sh);
}

struct routing *
hubwide_routing(const struct hubwide *h)
{
	return routing_stored(h->sh);
}

struct settings *
hubwide_settings(const struct hubwide *h)
{
	return settings_stored(h->sh);
}

/* ---- with the shard ---- */

/* Shard 0, or an empty one in *none, which is the caller's. */
static const struct shard *
shard_0(const struct fleet *f, struct shard **none)
{
	const struct worker *w = shard_worker(f, 0);

	*none = w == NULL ? shard_make(0) : NULL;
	return w == NULL ? *none : w->shards[0];
}

bool
fleet_has_hub(const struct fleet *f)
{
	return shard_worker(f, 0) != NULL;
}

struct configurations *
fleet_configurations(const struct fleet *f)
{
	struct shard *none;
	struct configurations *set = configurations_stored(shard_0(f, &none));

	shard_free(none);
	return set;
}

struct routing *
fleet_routing(const struct fleet *f)
{
	struct shard *none;
	struct routing *set = routing_stored(shard_0(f, &none));

	shard_free(none);
	return set;
}

struct settings *
fleet_settings(const struct fleet *f)
{
	struct shard *none;
	struct settings *set = settings_stored(shard_0(f, &none));

	shard_free(none);
	return set;
}

/* Settings that nobody has stored yet are the options', which are in force. */
void
hubwide_came(struct worker *w, const struct shard *sh)
{
	const struct fleet_options *o = &w->fleet->o;
	struct settings *set = settings_stored(sh);

	if (o->on_configurations != NULL)
		o->on_configurations(configurations_stored(sh));
	if (o->on_routing != NULL)
		o->on_routing(routing_stored(sh));
	if (o->on_settings != NULL && set->counter != 0)
		o->on_settings(set);
	else
		settings_unref(set);
	fleet_poke(w->fleet);
}

void
hubwide_left(struct worker *w)
{
	if (w->fleet->o.on_hub_left != NULL)
		w->fleet->o.on_hub_left();
}

/* ---- answers that wait for all nodes ---- */

/* What the hub itself writes down, nobody waits for, but the next look at a rollout: it counts what all nodes have made of the step before. */
bool
work_spreads(const struct worker *w, const struct work *k)
{
	static const bool kinds[OP_KINDS] = { [OP_CONFIGURATION_PUT] = true,
		[OP_CONFIGURATION_DELETE] = true,
		[OP_ROLLOUT] = true,
		[OP_SINK_PUT] = true,
		[OP_SINK_DELETE] = true,
		[OP_ROUTE_PUT] = true,
		[OP_ROUTE_DELETE] = true,
		[OP_SETTINGS_PATCH] = true };

	return w->fleet->o.on_spread != NULL && kinds[k->op.kind] &&
	    (k->op.actor != ACTOR_HUB || k->op.kind == OP_ROLLOUT) && k->reply.fault.code == F_NONE;
}

void
fleet_spread(struct fleet *f, struct work *k)
{
	work_over(k->at, k);
	if (atomic_load(&f->stop))
		fleet_poke(f); /* who stops waits for it */
}
