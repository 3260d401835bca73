#include "contact.h"
#include "config/configure.h"
#include "epochs.h"
#include "task/counts.h"
#include "task/registry.h"
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
	routes_stop(w->fleet);
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
	walker_turn(w->fleet);
}

/* ---- shards that move ---- */

static unsigned bound_for[SHARDS];

static void
moved(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct world *w = ctx;

	(void)shard;
	if (e != ERR_OK && !w->dead)
		world_fail("shard %u cannot be read: %s", shard, why->text);
	seen.moved++;
}

static void
released(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct world *w = ctx;

	(void)e, (void)why;
	if (fleet_take(w->fleet, shard, bound_for[shard], moved, w) != ERR_OK &&
	    !contact_stopping(w))
		world_fail("shard %u is nobody's, and cannot be taken", shard);
}

void
contact_move(struct world *w, uint32_t shard, unsigned worker)
{
	bound_for[shard] = worker;
	(void)fleet_release(w->fleet, shard, released, w); /* or it moves already */
}

/* ---- looks ---- */

/* It may be giving it up. */
static const struct worker *
holder(const struct world *w, uint32_t shard)
{
	for (unsigned i = 0; i < w->o.nworker; i++)
		if (holds_shard(&w->fleet->workers[i], shard))
			return &w->fleet->workers[i];
	return NULL;
}

bool
contact_is_nobodys(const struct world *w, uint32_t shard)
{
	return holder(w, shard) == NULL;
}

struct shard *
contact_shard(const struct world *w, uint32_t shard)
{
	const struct worker *of = holder(w, shard);

	return of != NULL ? of->shards[shard] : w->fleet->shifts[shard].sh;
}

unsigned
contact_worker_of(const struct world *w, uint32_t shard)
{
	const struct worker *of = holder(w, shard);

	return of != NULL ? of->index : w->fleet->shifts[shard].to->index;
}

void
contact_partition(const struct world *w, uint32_t partition, uint32_t n, struct partition_end *out)
{
	(void)partition_stored(contact_shard(w, partition), partition, n, out);
}

enum store_table
contact_table(enum record_kind kind)
{
	return record_tables[kind];
}

bool
contact_repairs(const struct world *w, unsigned worker)
{
	const struct worker *of = &w->fleet->workers[worker];

	return gate_needs_repair(&of->gate) ||
	    (gate_in_flight(&of->gate) && atomic_load(&of->result) != STORE_OK);
}

bool
contact_rests(const struct world *w, unsigned worker)
{
	const struct gate *g = &w->fleet->workers[worker].gate;

	for (uint32_t s = 0; s < SHARDS; s++)
		if (atomic_load(&w->fleet->shifts[s].under_way))
			return false;
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

		if (k->sweeping || k->catalogue->version != catalogue_version(w->box))
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
		const struct query_task *scan = w->fleet->workers[i].jobs.part->choice;

		if (scan != NULL && scan->vector == v)
			return true;
	}
	return false;
}

/* ---- tours ---- */

struct inquiry *
ask_new(enum ask_kind kind, void *owner, void (*done)(struct inquiry *a))
{
	struct inquiry *a = xcalloc(1, sizeof(*a));

	a->kind = kind;
	a->owner = owner;
	a->done = done;
	return a;
}

void
ask_free(struct inquiry *a)
{
	query_free(a->query);
	buf_fini(&a->rows);
	free(a);
}

/* Sends the plan back: a query goes on with it. */
static void
take_query(struct inquiry *a, struct tour *tour)
{
	struct query_task *q = query_task_of(tour->task);

	if (a->kind != ASK_QUERY)
		return;
	a->query = q->query;
	q->query = NULL;
}

static void
tour_back(struct tour *tour)
{
	struct inquiry *a = tour->owner;
	const struct task *t = tour->task;
	const struct page *page = t->page;

	a->fault = t->fault;
	a->bookmark = t->bookmark;
	if (t->fault.code == F_NONE && !the_world->dead)
		epochs_marks_told(tour->reflects, a->marks);
	if (page != NULL) {
		a->more = page->more;
		a->nrow = page->nrow;
		for (const struct rope_piece *p = page->rows.pieces.first; p != NULL; p = p->next)
			buf_put(&a->rows, p->bytes, p->n);
		buf_str(&a->rows, buf_view(&page->rows.rest));
	}
	take_query(a, tour);
	tour_free(tour);
	a->done(a);
}

static struct task *
query_of(struct inquiry *a)
{
	struct query_task *q = any_query_task_new(a->query);

	a->query = NULL;
	q->count = a->count;
	q->explain = a->explain;
	return &q->task;
}

static struct task *
dry_run_of(struct inquiry *a)
{
	struct dryrun_task *d = dryrun_task_new();

	d->run = dryrun_new(a->set, a->record, 3);
	d->counts = true;
	return &d->task;
}

static struct task *
task_of(struct inquiry *a)
{
	switch (a->kind) {
	case ASK_QUERY: return query_of(a);
	case ASK_IDENTITIES: return list_task_new();
	case ASK_COUNTS: return &counts_task_new()->task;
	case ASK_COLUMNS: return &columns_task_new()->task;
	case ASK_JOBS: return &jobs_task_new(-1, -1)->task;
	case ASK_DRY_RUN: break;
	}
	return dry_run_of(a);
}

void
ask_send(struct world *w, struct inquiry *a)
{
	struct task *t = task_of(a);
	struct tour *tour = tour_new(w->loop, t, tour_back);

	if (t->page != NULL)
		t->page->limit = a->limit;
	t->bookmark = a->bookmark;
	tour->explain = a->explain;
	tour->owner = a;
	epochs_marks(a->marks);
	fleet_tour(w->fleet, tour);
}
