/* What a node has counted and last seen of its life with the database (pg_figures). Each is a number of its own: who asks may see them moments apart. */
#include "pg/priv.h"

static unsigned
nodes_that_live(const struct pg_view *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->nnode; i++)
		n += v->nodes[i].state <= PG_DRAINING;
	return n;
}

void
figures_beat(struct pg *p, const struct cluster_input *in, const struct pg_view *view)
{
	struct pg_counts *c = &p->counts;
	unsigned mine = 0, nobodys = 0;

	if (in->answer != CLUSTER_OK) {
		atomic_fetch_add(&c->beat_failures, 1);
		return;
	}
	for (unsigned s = 0; s < PG_SHARDS; s++) {
		mine += view->shards[s].owner == view->slot;
		nobodys += view->shards[s].owner < 0;
	}
	atomic_store(&c->shards, mine);
	atomic_store(&c->orphans, nobodys);
	atomic_store(&c->nodes, nodes_that_live(view));
	atomic_store(&c->synchronous, in->synchronous);
	atomic_store(&c->clock_ahead_us, in->wall_us - in->clock_us);
	atomic_fetch_add(&c->beats, 1);
}

void
figures_load(struct pg *p, int64_t took_us)
{
	atomic_fetch_add(&p->counts.load_us, (uint64_t)took_us);
	atomic_fetch_add(&p->counts.loads, 1);
}

void
figures_unknown(struct pg *p, bool made)
{
	atomic_fetch_add(&p->counts.unknown, 1);
	atomic_fetch_add(&p->counts.unknown_made, made);
}

void
pg_figures(struct store *store, struct pg_figures *out)
{
	struct pg *p = pg_of(store);
	struct pg_counts *c = &p->counts;
	int64_t left_us = atomic_load(&p->drive.until_us) - clock_boot_us();

	*out = (struct pg_figures){ .beats = atomic_load(&c->beats),
		.beat_failures = atomic_load(&c->beat_failures),
		.loads = atomic_load(&c->loads),
		.load_us = atomic_load(&c->load_us),
		.unknown = atomic_load(&c->unknown),
		.unknown_made = atomic_load(&c->unknown_made),
		.nodes = atomic_load(&c->nodes),
		.shards = atomic_load(&c->shards),
		.orphans = atomic_load(&c->orphans),
		.synchronous = atomic_load(&c->synchronous),
		.clock_ahead_us = atomic_load(&c->clock_ahead_us),
		.lease_left_us = drive_lease(&p->drive) != 0 && left_us > 0 ? left_us : 0,
		.lost = atomic_load(&c->lost) };
}
