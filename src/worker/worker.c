/*
 * One worker: inbox -> hub_apply -> commit -> whoever waits.
 *
 * A turn: what has come, in; operations, parcels, sweeps and jobs into the gathering round; the round to the store; a slice of a
 * tour. Nobody hears of anything before it is on disk: gate.h.
 */
#include "log/log.h"
#include "worker/priv.h"

#include <openssl/rand.h>
#include <stdlib.h>

/* ---- what hub_apply asks for ---- */

static void
env_random(void *ctx, void *p, size_t n)
{
	(void)ctx;
	if (RAND_bytes(p, (int)n) != 1) {
		log_fatal("no randomness to be had");
		abort();
	}
}

static void
env_put(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	struct worker *w = ctx;

	gate_put(&w->gate, shard, kind, key, value);
}

static void
env_del(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	struct worker *w = ctx;

	gate_del(&w->gate, shard, kind, key);
}

/* ---- commits ---- */

static void
to_store(void *ctx, struct store_batch *b)
{
	struct worker *w = ctx;

	store_submit(w->fleet->o.store, w->index, b, 0);
}

static void
store_may_try_again(void *ctx)
{
	struct worker *w = ctx;

	store_resume(w->fleet->o.store, w->index);
}

static struct store_batch *
next_batch(void *ctx)
{
	struct worker *w = ctx;

	return store_batch_next(w->fleet->o.store, w->index);
}

static uint64_t
may_answer(void *ctx)
{
	const struct fleet_options *o = &((struct worker *)ctx)->fleet->o;

	return o->may_answer(o->lease);
}

static int64_t
identities(const struct worker *w)
{
	int64_t n = 0;

	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		n += shard_identities(w->shards[s]);
	return n;
}

void
worker_identities_changed(struct worker *w, int64_t by)
{
	if (by != 0)
		atomic_fetch_add(&w->fleet->identities, (uint64_t)by);
}

void
worker_identities_left(struct worker *w)
{
	uint64_t all = atomic_load(&w->fleet->identities);

	w->env.identities_left =
	    w->fleet->o.identities_max > all ? w->fleet->o.identities_max - all : 0;
}

void
fleet_commit_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct fleet *f = *(struct fleet **)ctx;
	struct worker *w = &f->workers[lane];

	(void)cookie;
	atomic_store(&w->result, (int)result);
	mailbox_post(&w->box, &w->completion);
}

static void
on_completion(struct worker *w)
{
	enum store_result result = (enum store_result)atomic_load(&w->result);
	int64_t before = result == STORE_OK ? 0 : identities(w);

	if (gate_ended(&w->gate, result))
		return;
	w->taken.nop = w->taken.nparcel = 0;
	worker_identities_changed(w, identities(w) - before);
	tours_undone(w);
	sweep_restart(w);
	jobs_restart(w);
	gate_tell(&w->gate);
}

static void
round_submit(struct worker *w)
{
	if (gate_submit(&w->gate))
		w->taken.nop = w->taken.nparcel = 0;
}

bool
worker_round_full(const struct worker *w)
{
	return w->taken.nop >= BATCH_OPS_MAX || !gate_has_room(&w->gate, UINT32_MAX);
}

/* ---- one operation ---- */

static void
catalogue_refresh(struct worker *w)
{
	const struct catalogue *before = w->catalogue;

	if (w->catalogue != NULL &&
	    w->catalogue->version == catalogue_version(w->fleet->o.catalogue))
		return;
	w->catalogue = w->env.catalogue = catalogue_use(w->fleet->o.catalogue);
	sweep_configure(w);
	if (before != NULL)
		catalogue_drop(w->fleet->o.catalogue, before);
}

void
worker_apply(struct worker *w, struct shard *sh, const struct op *op, struct reply *reply)
{
	uint32_t before = shard_identities(sh);
	unsigned missing;

	while (w->key.n = 0, (missing = hub_missing(sh, op, &w->key)) != 0) {
		if (worker_load(w, sh, buf_view(&w->key), missing, &reply->fault) == ERR_OK)
			continue;
		if (op->kind != OP_DISCONNECT)
			return;
		break; /* the link is gone whatever the store says */
	}
	worker_identities_left(w);
	w->env.undo = gate_undo(&w->gate);
	hub_apply(sh, op, &w->env, reply);
	gate_settle(&w->gate);
	worker_identities_changed(w, (int64_t)shard_identities(sh) - before);
}

/* ---- the thread ---- */

/* Completions jump the queue: what waits for them is older than what waits in it. Works go to the lines of those who ask. */
static void
take_box(struct worker *w)
{
	struct msg *m = mailbox_take_all(&w->box), *next;

	for (; m != NULL; m = next) {
		next = m->next;
		if (m == &w->completion) {
			on_completion(w);
			continue;
		}
		if (serve_put(w, m))
			continue;
		m->next = NULL;
		*w->queue_end = m;
		w->queue_end = &m->next;
	}
}

static void
run_queue(struct worker *w)
{
	while (w->queue != NULL) {
		struct msg *m = w->queue;

		w->queue = m->next;
		if (w->queue == NULL)
			w->queue_end = &w->queue;
		m->run(m);
	}
}

static void
begin_turn(struct worker *w)
{
	int64_t now = clock_wall_us();

	if (now > w->env.now_us || w->env.now_us - now > WALL_BACK_US)
		w->env.now_us = now; /* it stands still for small steps back, and follows others */
	w->env.elapsed_us = clock_mono_us();
	w->env.can_write = store_state(w->fleet->o.store, NULL) == STORE_READY &&
	    store_has_space(w->fleet->o.store);
	w->stopping = atomic_load(&w->fleet->stop);
	gate_turn(
	    &w->gate); /* before the catalogue: what is judged by it is of this lease, or of an earlier one */
	catalogue_refresh(w);
	if (!gate_needs_repair(&w->gate))
		return;
	if (w->env.can_write)
		gate_repair(&w->gate);
	w->env.can_write = false;
}

static void
evict(struct worker *w)
{
	uint64_t share = w->fleet->o.cache_bytes / SHARDS;

	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		if (shard_cached_bytes(w->shards[s]) > share)
			shard_evict(w->shards[s], share - share / 8);
}

/* While what changed is still in memory. */
static void
settle_columns(struct worker *w)
{
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_columns_settle(w->shards[s], &w->query_scratch);
}

/* Nothing is left that anyone waits for. The counters are raised before a sender looks at `stop`: whoever was not
 * refused is waited for. */
bool
worker_finished(struct worker *w)
{
	return w->stopping && gate_idle(&w->gate) && w->queue == NULL &&
	    !inbox_has(&w->inbox, false) && atomic_load(&w->nwork) == 0 &&
	    atomic_load(&w->fleet->ntour) == 0;
}

static int64_t
patience_us(struct worker *w)
{
	int64_t sweep_us, jobs_us;

	if (tours_await(w) || parcel_awaits(w) || gate_awaits(&w->gate))
		return 0;
	if (w->stopping || gate_needs_repair(&w->gate))
		return RETRY_US;
	sweep_us = sweep_patience_us(w);
	jobs_us = jobs_patience_us(w);
	return sweep_us < 0 || (jobs_us >= 0 && jobs_us < sweep_us) ? jobs_us : sweep_us;
}

void
worker_turn(struct worker *w)
{
	take_box(w);
	begin_turn(w);
	run_queue(w);
	serve_turn(w);
	parcel_turn(w);
	sweep_turn(w);
	jobs_turn(w);
	round_submit(w);
	settle_columns(w);
	tour_turn(w);
	evict(w);
}

static void
wait_for_more(struct worker *w)
{
	int64_t since_ns = clock_mono_ns();

	mailbox_wait(&w->box, serve_awaits(w) ? 0 : patience_us(w));
	inbox_rest(&w->inbox, (uint64_t)(clock_mono_ns() - since_ns));
}

void
worker_main(void *arg)
{
	struct worker *w = arg;

	while (!worker_finished(w)) {
		if (!serve_awaits(w) || gate_in_flight(&w->gate))
			wait_for_more(w);
		worker_turn(w);
	}
}

/* What is kept in a shard beside its twins. */
static const struct feature *const features[] = { &configuration_feature, &job_feature, NULL };

void
worker_init(struct worker *w, struct fleet *f, unsigned index, uint32_t from, uint32_t to)
{
	w->fleet = f;
	w->index = index;
	w->shard_from = from;
	w->shard_to = to;
	for (uint32_t s = from; s < to; s++)
		w->shards[s] = shard_new(s, features);
	w->queue_end = &w->queue;
	inbox_init(&w->inbox);
	w->inbox.share_bytes = f->o.work_bytes / 4;
	lanes_init(w);
	w->parcels_end = &w->parcels;
	w->later_end = &w->later;
	jobs_init(w);
	gate_init(&w->gate,
	    &(struct gate_face){ .ctx = w,
	        .submit = to_store,
	        .resume = store_may_try_again,
	        .next = next_batch,
	        .may_answer = f->o.may_answer != NULL ? may_answer : NULL,
	        .reads_fenced = f->o.reads_fenced });
	w->slice = (struct slice){ .ctx = w,
		.scratch = &w->query_scratch,
		.column_bytes = f->o.column_bytes / SHARDS,
		.env = &w->env };
	w->env = (struct hub_env){ .mac = sas_mac_new(),
		.scratch = &w->scratch,
		.ctx = w,
		.random = env_random,
		.put = env_put,
		.del = env_del,
		.effect = notes_effect };
}

void
worker_fini(struct worker *w)
{
	assert(w->queue == NULL && w->parcels == NULL);
	for (unsigned i = 0; i < SHARE_LANES; i++)
		assert(w->lanes[i].first == NULL);
	assert(!inbox_has(&w->inbox, false));
	gate_fini(&w->gate);
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_free(w->shards[s]);
	jobs_fini(w);
	inbox_fini(&w->inbox);
	if (w->catalogue != NULL)
		catalogue_drop(w->fleet->o.catalogue, w->catalogue);
	sas_mac_free(w->env.mac);
	slice_fini(&w->slice);
	query_scratch_fini(&w->query_scratch);
	buf_fini(&w->scratch);
	buf_fini(&w->key);
	buf_fini(&w->value);
	if (w->has_box)
		mailbox_fini(&w->box);
}
