/*
 * One worker: inbox -> hub_apply -> commit -> whoever waits.
 *
 * A turn: what has come, in; operations, parcels, sweeps and jobs into the gathering round; the round to the store; a slice of a
 * tour. Nobody hears of anything before it is on disk: gate.h.
 */
#include "log/log.h"
#include "metric/metric.h"
#include "watch/touched.h"
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
	if (kind == RECORD_LOG || kind == RECORD_CHANGES)
		tail_gather(w, shard, key, value);
}

static void
env_del(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	struct worker *w = ctx;

	gate_del(&w->gate, shard, kind, key);
}

/* ---- how many identities there are ---- */

void
worker_identities_changed(struct worker *w, int64_t by)
{
	if (by != 0)
		atomic_fetch_add(&w->fleet->identities, (uint64_t)by);
}

void
worker_identities_left(struct worker *w)
{
	uint64_t all = atomic_load(&w->fleet->identities) +
	    atomic_load(&w->fleet->identities_of_others),
	         most = limit_most(w->env.counts, LIMIT_IDENTITIES, w->fleet->o.identities_max);

	w->env.identities_left = most > all ? most - all : 0;
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
	w->env.log = w->catalogue->log;
	w->env.messages = w->catalogue->messages;
	w->env.counts = w->catalogue->counts;
	w->jobs.tick_us = 0; /* more of them may run, perhaps */
	sweep_configure(w);
	if (before != NULL)
		catalogue_drop(w->fleet->o.catalogue, before);
}

void
worker_apply(struct worker *w, struct shard *sh, const struct op *op, struct reply *reply)
{
	uint32_t before = shard_identities(sh);
	unsigned missing;
	bool hit = true;

	gate_begin(&w->gate);
	while (w->key.n = 0, (missing = hub_missing(sh, op, &w->key)) != 0) {
		hit = false;
		if (worker_load(w, sh, buf_view(&w->key), missing, &reply->fault) == ERR_OK)
			continue;
		if (op->kind != OP_DISCONNECT) {
			gate_settle(&w->gate);
			return;
		}
		break; /* the link is gone whatever the store says */
	}
	metric_add(hit ? METRIC_DOCUMENT_HITS : METRIC_DOCUMENT_MISSES, 0, 1);
	worker_identities_left(w);
	messages_begin(w);
	w->env.undo = gate_undo(&w->gate);
	hub_apply(sh, op, &w->env, reply);
	watches_hear(w, sh);
	gate_settle(&w->gate);
	messages_end(w, sh);
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
			round_ended(w);
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
	int64_t now = epochs_time_us(w, clock_wall_us());

	if (now > w->env.now_us || w->env.now_us - now > WALL_BACK_US)
		w->env.now_us = now; /* it stands still for small steps back, and follows others */
	w->env.ahead_us = clock_ahead_us();
	w->env.elapsed_us = clock_elapsed_us();
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

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		if (shard_cached_bytes(w->shards[s]) > share)
			shard_evict(w->shards[s], share - share / 8);
}

/* While what changed is still in memory. */
static void
settle_columns(struct worker *w)
{
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		shard_columns_settle(w->shards[s], &w->query_scratch);
}

/* Nothing is left that anyone waits for. The counters are raised before a sender looks at `stop`: whoever was not
 * refused is waited for. */
bool
worker_finished(struct worker *w)
{
	return w->stopping && gate_idle(&w->gate) && w->queue == NULL &&
	    !inbox_has(&w->inbox, false) && atomic_load(&w->nwork) == 0 &&
	    atomic_load(&w->fleet->ntour) == 0 && connections_told(w);
}

/*
 * What a turn does, in this order: it must not be another one. Behind the epochs works come first, for devices wait for them; what nobody waits for
 * fills the rest of the round; the columns learn of changes while their records are still in memory; tours look at what was
 * done before them.
 */
static const struct {
	void (*turn)(struct worker *w);
	/* how long nothing is to be done; 0: now; -1: until something comes */
	int64_t (*patience_us)(const struct worker *w);
	bool writes; /* nothing is, while the hub stops or a repair is to be written */
} parts_of_turn[] = {
	{ epochs_turn, epochs_patience_us, true },
	{ run_queue, NULL, false },
	{ serve_turn, serve_patience_us, false },
	{ parcel_turn, parcel_patience_us, false },
	{ shifts_turn, shifts_patience_us, false },
	{ sweep_turn, sweep_patience_us, true },
	{ messages_turn, messages_patience_us, true },
	{ jobs_turn, jobs_patience_us, true },
	{ connections_turn, connections_patience_us, true },
	{ round_turn, round_patience_us, false },
	{ settle_columns, NULL, false },
	{ tour_turn, tours_patience_us, false },
	{ watches_turn, watches_patience_us, false },
	{ evict, NULL, false },
	{ figures_turn, figures_patience_us, false },
};
#define PARTS (sizeof(parts_of_turn) / sizeof(parts_of_turn[0]))

void
worker_turn(struct worker *w)
{
	take_box(w);
	begin_turn(w);
	for (unsigned i = 0; i < PARTS; i++)
		parts_of_turn[i].turn(w);
}

static int64_t
patience_us(const struct worker *w)
{
	bool writes = !w->stopping && !gate_needs_repair(&w->gate);
	int64_t least = -1;

	for (unsigned i = 0; i < PARTS && least != 0; i++) {
		int64_t us = -1;

		if (parts_of_turn[i].patience_us != NULL && (writes || !parts_of_turn[i].writes))
			us = parts_of_turn[i].patience_us(w);
		if (us >= 0 && (least < 0 || us < least))
			least = us;
	}
	return least;
}

static void
wait_for_more(struct worker *w)
{
	int64_t since_ns = clock_mono_ns();

	atomic_fetch_add(&w->turns, 1);
	mailbox_wait(&w->box, patience_us(w));
	atomic_fetch_add(&w->turns, 1);
	inbox_rest(&w->inbox, (uint64_t)(clock_mono_ns() - since_ns));
}

void
worker_main(void *arg)
{
	struct worker *w = arg;

	atomic_fetch_add(&w->turns, 1);
	while (!worker_finished(w)) {
		if (!serve_awaits(w) || gate_in_flight(&w->gate))
			wait_for_more(w);
		worker_turn(w);
		atomic_fetch_add(&w->turns, 2);
	}
	atomic_fetch_add(&w->turns, 1);
}

/* What is kept in a shard beside its twins, and hears of them. Watches hear last: of what the others have made of it (E-56). */
static const struct feature *const features[] = { &configuration_feature, &job_feature,
	&message_feature, &routing_feature, &settings_feature, &partition_feature, &watch_feature,
	NULL };

struct shard *
shard_make(uint32_t s)
{
	return shard_new(s, features);
}

void
worker_init(struct worker *w, struct fleet *f, unsigned index, uint64_t mine)
{
	w->fleet = f;
	w->index = index;
	w->mine = mine;
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		w->shards[s] = shard_make(s);
	w->queue_end = &w->queue;
	inbox_init(&w->inbox);
	w->inbox.share_bytes = f->o.work_bytes / 4;
	lanes_init(w);
	w->parcels_end = &w->parcels;
	w->later_end = &w->later;
	w->sweep = sweep_task_new();
	jobs_init(w);
	messages_init(w);
	watches_init(w);
	round_init(w);
	slice_init(w);
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
	tails_fini(w);
	watches_fini(w);
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		shard_free(w->shards[s]);
	task_free(w->sweep);
	jobs_fini(w);
	messages_fini(w);
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
