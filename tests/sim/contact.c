#include "contact.h"
#include "config/configure.h"
#include "worker/priv.h"
#include "worker/rollouts.h"
#include "world.h"

#include <stdlib.h>

/* ---- turns ---- */

void
contact_begin(struct world *w)
{
	fleet_begin(w->fleet);
	w->rollouts = rollouts_new(w->fleet, w->box, w->loop);
}

void
contact_stop(struct world *w)
{
	rollouts_stop(w->rollouts);
	atomic_store(&w->fleet->stop, true);
}

bool
contact_stopping(const struct world *w)
{
	return atomic_load(&w->fleet->stop);
}

bool
contact_finished(struct world *w)
{
	for (unsigned i = 0; i < w->o.nworker; i++)
		if (!worker_finished(&w->fleet->workers[i]))
			return false;
	return !rollouts_busy(w->rollouts);
}

void
contact_end(struct world *w)
{
	rollouts_free(w->rollouts);
	w->rollouts = NULL;
}

void
contact_turn(struct world *w, unsigned worker)
{
	worker_turn(&w->fleet->workers[worker]);
}

/* ---- looks ---- */

struct shard *
contact_shard(const struct world *w, uint32_t shard)
{
	return w->fleet->of_shard[shard]->shards[shard];
}

unsigned
contact_worker_of(const struct world *w, uint32_t shard)
{
	return w->fleet->of_shard[shard]->index;
}

enum store_table
contact_table(enum record_kind kind)
{
	return record_tables[kind];
}

bool
contact_repairs(const struct world *w, unsigned worker)
{
	return gate_needs_repair(&w->fleet->workers[worker].gate);
}

bool
contact_rests(const struct world *w, unsigned worker)
{
	const struct gate *g = &w->fleet->workers[worker].gate;

	return gate_idle(g) && gate_writes(g) == 0 && !gate_needs_repair(g);
}

bool
contact_forgets(const struct world *w)
{
	for (unsigned i = 0; i < w->o.nworker; i++)
		if (w->fleet->workers[i].jobs.forgets)
			return true;
	return false;
}

bool
contact_in_line(const struct world *w)
{
	for (unsigned i = 0; i < w->o.nworker; i++) {
		const struct worker *k = &w->fleet->workers[i];

		if (k->sweeping || k->catalogue->version != w->catalogue_version)
			return false;
	}
	return !rollouts_busy(w->rollouts);
}

bool
contact_put_off(const struct world *w)
{
	for (uint32_t s = 0; s < SHARDS; s++)
		if (configure_of(contact_shard(w, s))->postponed)
			return true;
	return false;
}

bool
contact_job_chooses(const struct world *w, const struct vector *v)
{
	for (unsigned i = 0; i < w->o.nworker; i++) {
		const struct walk *scan = w->fleet->workers[i].jobs.scan;

		if (scan != NULL && scan->vector == v)
			return true;
	}
	return false;
}

/* ---- walks ---- */

struct ask *
ask_new(enum ask_kind kind, void *owner, void (*done)(struct ask *a))
{
	struct ask *a = xcalloc(1, sizeof(*a));

	a->kind = kind;
	a->owner = owner;
	a->done = done;
	return a;
}

void
ask_free(struct ask *a)
{
	query_free(a->query);
	buf_fini(&a->rows);
	free(a);
}

static void
walk_back(struct walk *walk)
{
	struct ask *a = walk->owner;

	a->fault = walk->fault;
	a->more = walk->more;
	a->nrow = walk->nrow;
	a->place = walk->place;
	for (const struct rope_piece *p = walk->page.first; p != NULL; p = p->next)
		buf_put(&a->rows, p->bytes, p->n);
	buf_str(&a->rows, buf_view(&walk->json));
	a->query = walk->query;
	walk->query = NULL;
	walk_free(walk);
	a->done(a);
}

void
ask_send(struct world *w, struct ask *a)
{
	static const enum walk_kind kinds[] = { WALK_QUERY, WALK_IDENTITIES, WALK_COUNTS,
		WALK_COLUMNS, WALK_JOBS, WALK_DRY_RUN };
	struct walk *walk = walk_new(w->loop, kinds[a->kind], walk_back);

	walk->owner = a;
	walk->query = a->query;
	a->query = NULL;
	walk->limit = a->limit;
	walk->place = a->place;
	walk->count = a->count;
	walk->explain = a->explain;
	walk->job_type = walk->job_status = -1;
	if (a->kind == ASK_DRY_RUN) {
		walk->dry = dryrun_new(a->set, a->record, 3);
		walk->dry_counts = true;
	}
	fleet_walk(w->fleet, walk);
}
