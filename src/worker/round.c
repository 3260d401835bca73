/* Rounds in a worker: what each kind of work may add to the one that gathers, and the way to the store and back. */
#include "worker/priv.h"

/* Limits of a round, of operations and parcels that it takes in, and of writes in it when work is to begin that nobody waits for:
 * those who wait for the commit wait for them too. Of bytes each may fill it (gate.h). 0: no limit of its own. */
struct round_limit {
	uint32_t ops, items, writes;
	size_t item_bytes;
};

static struct round_limit
limit_of(const struct worker *w, enum round_writer as)
{
	switch (as) {
	case ROUND_PARCELS:
		return (struct round_limit){ .ops = BATCH_OPS_MAX,
			.items = PARCELS_ROUND_MAX * PARCEL_ITEMS_MAX,
			.item_bytes = (size_t)PARCELS_ROUND_MAX * PARCEL_BYTES_MAX };
	case ROUND_SWEEP: return (struct round_limit){ .writes = SWEEP_WRITES_MAX };
	case ROUND_JOBS:
		return (struct round_limit){ .writes = w->jobs.quiet ? JOB_WRITES_QUIET
			                                             : JOB_WRITES_MAX };
	case ROUND_WORKS: break;
	}
	return (struct round_limit){ .ops = BATCH_OPS_MAX };
}

bool
round_has_room(const struct worker *w, enum round_writer as)
{
	struct round_limit limit = limit_of(w, as);

	return (limit.ops == 0 || w->taken.nop < limit.ops) &&
	    (limit.items == 0 ||
	        (w->taken.nitem < limit.items && w->taken.item_bytes < limit.item_bytes)) &&
	    gate_has_room(&w->gate, limit.writes != 0 ? limit.writes : UINT32_MAX);
}

/* ---- to the store ---- */

uint64_t
fleet_log_end(const struct fleet *f, uint32_t shard)
{
	return atomic_load_explicit(&f->log_ends[shard], memory_order_acquire);
}

static void
put_into(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	store_batch_put(ctx, shard, record_tables[kind], key, value);
}

/* How far the log will be when this batch is on disk. Where it has grown the batch has its end, once for all records. */
static void
log_flies(struct worker *w, struct store_batch *b)
{
	const struct undo_sink sink = { .ctx = b, .put = put_into };

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1)) {
		w->log_flying[s] = shard_log_next(w->shards[s]);
		if (w->log_flying[s] != fleet_log_end(w->fleet, s))
			shard_put_log_end(w->shards[s], &sink);
	}
}

/* It is: whoever reads the log may read so far (E-03, E-28). */
static void
log_landed(struct worker *w)
{
	struct fleet *f = w->fleet;
	bool grew = false;

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1)) {
		if (w->log_flying[s] == fleet_log_end(f, s))
			continue;
		atomic_store_explicit(&f->log_ends[s], w->log_flying[s], memory_order_release);
		grew = true;
	}
	if (grew && f->log_grew != NULL)
		f->log_grew(f->log_ctx);
}

/* Not where this node has the shard: what is on disk there may not be readable here yet. */
void
fleet_log_heard(struct fleet *f, uint32_t shard, struct str record)
{
	struct shard_route *r = &f->routes[shard];
	uint64_t end = log_end_position(record);
	bool grew;

	pthread_mutex_lock(&r->mutex);
	grew = shard_worker(f, shard) == NULL && end > fleet_log_end(f, shard);
	if (grew)
		atomic_store_explicit(&f->log_ends[shard], end, memory_order_release);
	pthread_mutex_unlock(&r->mutex);
	if (grew && f->log_grew != NULL)
		f->log_grew(f->log_ctx);
}

void
fleet_hear_log(struct fleet *f, void (*grew)(void *ctx), void *ctx)
{
	f->log_grew = grew;
	f->log_ctx = ctx;
}

static void
to_store(void *ctx, struct store_batch *b)
{
	struct worker *w = ctx;

	log_flies(w, b);
	tails_fly(w);
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

void
round_init(struct worker *w)
{
	const struct fleet_options *o = &w->fleet->o;

	gate_init(&w->gate,
	    &(struct gate_face){ .ctx = w,
	        .submit = to_store,
	        .resume = store_may_try_again,
	        .next = next_batch,
	        .may_answer = o->may_answer != NULL ? may_answer : NULL,
	        .reads_fenced = o->reads_fenced });
}

static void
round_is_new(struct worker *w)
{
	w->taken.nop = w->taken.nitem = w->taken.nconnection = 0;
	w->taken.item_bytes = 0;
}

void
round_turn(struct worker *w)
{
	if (gate_submit(&w->gate))
		round_is_new(w);
}

int64_t
round_patience_us(const struct worker *w)
{
	if (gate_awaits(&w->gate))
		return 0;
	return w->stopping || gate_needs_repair(&w->gate) ? RETRY_US : -1;
}

/* ---- and back ---- */

void
fleet_commit_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct fleet *f = *(struct fleet **)ctx;
	struct worker *w = &f->workers[lane];

	(void)cookie;
	atomic_store(&w->result, (int)result);
	mailbox_post(&w->box, &w->completion);
}

static int64_t
identities(const struct worker *w)
{
	int64_t n = 0;

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		n += shard_identities(w->shards[s]);
	return n;
}

void
round_ended(struct worker *w)
{
	enum store_result result = (enum store_result)atomic_load(&w->result);
	int64_t before = result == STORE_OK ? 0 : identities(w);

	if (result == STORE_OK) {
		tails_land(w);
		log_landed(w);
	}
	if (gate_ended(&w->gate, result))
		return;
	round_is_new(w);
	w->epochs_due = true;
	tails_fail(w);
	worker_identities_changed(w, identities(w) - before);
	tours_undone(w);
	sweep_restart(w);
	jobs_restart(w);
	watches_undone(w);
	gate_tell(&w->gate);
}
