/*
 * One worker: inbox -> hub_apply -> commit -> whoever waits.
 *
 * Two rounds alternate. Operations are applied to the gathering round, on a state that already holds what is in flight.
 * Everything that leaves is put in order behind the newest round it may have seen; when that round is on disk it goes.
 * When a round fails, both are undone, newest first, and all that waits is answered with ServiceUnavailable.
 */
#include "log/log.h"
#include "worker/priv.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

static struct round *
gathering(struct worker *w)
{
	return &w->round[w->gathering];
}

struct round *
worker_round(struct worker *w)
{
	return gathering(w);
}

static struct round *
in_flight(struct worker *w)
{
	return &w->round[!w->gathering];
}

/* Is there state in memory that is on its way to the disk? A repair brings what is in memory already. */
static bool
commit_awaited(const struct worker *w)
{
	return w->in_flight && !w->repairing;
}

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
env_put(void *ctx, enum record_kind kind, struct str key, struct str value)
{
	store_batch_put(gathering(ctx)->batch, record_tables[kind], key, value);
}

static void
env_del(void *ctx, enum record_kind kind, struct str key)
{
	store_batch_delete(gathering(ctx)->batch, record_tables[kind], key);
}

static void
env_effect(void *ctx, const struct effect *e)
{
	struct worker *w = ctx;
	struct note *n;

	if (e->kind == EFFECT_CONFIGURATIONS) {
		worker_leave(w, LEAVE_CONFIGURATIONS, shard_configurations(w->shards[0]));
		return;
	}
	if (e->kind == EFFECT_JOBS) {
		worker_leave(w, LEAVE_JOBS, shard_jobs(w->shards[0]));
		return;
	}
	if (e->kind > EFFECT_METHOD && e->session.node == NODE_JOBS) {
		job_call_heard(w, e);
		return;
	}
	n = note_new(e, w->fleet->o.on_note);
	if (e->kind < EFFECT_METHOD) {
		worker_leave(w, LEAVE_NOTE, n);
		return;
	}
	n->msg.next = NULL;
	*w->later_end = &n->msg;
	w->later_end = &n->msg.next;
}

/* ---- the gate ---- */

static void
leaves_push(struct leaves *l, enum leave_kind kind, void *p)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	l->v[l->n++] = (struct leave){ kind, p };
}

static void
leave_now(struct worker *w, struct leave l)
{
	struct note *note = l.p;

	switch (l.kind) {
	case LEAVE_WORK:
		work_home(l.p);
		atomic_fetch_sub(&w->nwork, 1);
		break;
	case LEAVE_NOTE: loop_post(w->fleet->o.loops[note->session.loop], &note->msg); break;
	case LEAVE_WALK: walk_go_on(w, l.p); break;
	case LEAVE_PARCEL: parcel_home(w, l.p); break;
	case LEAVE_CONFIGURATIONS:
		if (w->fleet->o.on_configurations == NULL) {
			configurations_free(l.p);
			break;
		}
		w->fleet->o.on_configurations(l.p);
		fleet_poke(w->fleet);
		break;
	case LEAVE_JOBS: jobs_set_leaves(w, l.p); break;
	case LEAVE_REPORT: jobs_report_leaves(w, l.p); break;
	case LEAVE_CALL: job_call_leaves(w, l.p, true); break;
	}
}

void
worker_leave(struct worker *w, enum leave_kind kind, void *p)
{
	struct round *g = gathering(w);

	assert(g->leaves.n == 0 || store_batch_count(g->batch) > 0);
	if (store_batch_count(g->batch) > 0)
		leaves_push(&g->leaves, kind, p);
	else if (commit_awaited(w))
		leaves_push(&in_flight(w)->leaves, kind, p);
	else
		leave_now(w, (struct leave){ kind, p });
}

static void
leaves_go(struct worker *w, struct leaves *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		leave_now(w, l->v[i]);
	l->n = 0;
}

static void
work_fails(struct work *k)
{
	k->reply.body.n = 0;
	k->reply.etag[0] = '\0';
	k->reply.epoch = 0;
	k->reply.session_present = false;
	fault_set(&k->reply.fault, F_ServiceUnavailable,
	    "the change could not be stored, try again later");
}

/* A device is not called: its caller does not wait for it, and cancels. */
static void
note_fails(struct worker *w, const struct note *n)
{
	const struct effect e = { .kind = EFFECT_CALL_UNSENT, .session = n->caller };
	struct note *out;

	if (n->kind != EFFECT_METHOD)
		return;
	if (n->caller.node == NODE_JOBS) {
		job_call_heard(w, &e);
		return;
	}
	out = note_new(&e, w->fleet->o.on_note);
	loop_post(w->fleet->o.loops[out->session.loop], &out->msg);
}

static void
walk_fault(struct fault *f)
{
	fault_set(f, F_ServiceUnavailable,
	    "the state that was seen could not be stored, try again later");
}

/* Nothing was promised: answers become errors, notifications go nowhere. A close still goes: its client comes back. So does
 * what a device answered: no store had a part in it. */
static void
leaves_fail(struct worker *w, struct leaves *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct note *note = l->v[i].p;
		struct walk *walk = l->v[i].p;

		if (l->v[i].kind == LEAVE_WORK)
			work_fails(l->v[i].p);
		else if (l->v[i].kind == LEAVE_WALK)
			walk_fault(&walk->fault);
		else if (l->v[i].kind == LEAVE_PARCEL)
			parcel_fail(l->v[i].p);
		if (l->v[i].kind == LEAVE_NOTE && note->kind != EFFECT_CLOSE &&
		    note->kind != EFFECT_CALL_DONE) {
			note_fails(w, note);
			free(note);
		} else if (l->v[i].kind == LEAVE_CONFIGURATIONS)
			configurations_free(l->v[i].p);
		else if (l->v[i].kind == LEAVE_JOBS)
			jobs_unref(l->v[i].p);
		else if (l->v[i].kind == LEAVE_REPORT)
			jobs_report_free(l->v[i].p);
		else if (l->v[i].kind == LEAVE_CALL)
			job_call_leaves(w, l->v[i].p, false);
		else
			leave_now(w, l->v[i]);
	}
	l->n = 0;
}

/* ---- after a failure ---- */

/* Repairs are kept as operations of their own: a batch that fails is the store's to free. */
static void
repair_put(void *ctx, enum record_kind kind, struct str key, struct str value)
{
	struct worker *w = ctx;

	buf_putc(&w->repair, (char)(kind << 1 | 1));
	buf_lstr(&w->repair, key);
	buf_lstr(&w->repair, value);
}

static void
repair_del(void *ctx, enum record_kind kind, struct str key)
{
	struct worker *w = ctx;

	buf_putc(&w->repair, (char)(kind << 1));
	buf_lstr(&w->repair, key);
}

static void
repair_write(struct worker *w, struct store_batch *batch)
{
	struct rd rd = rd_of(buf_view(&w->repair));

	while (!rd.bad && rd.p < rd.end) {
		unsigned head = rd_u8(&rd);
		struct str key = rd_lstr(&rd);

		if (head & 1)
			store_batch_put(batch, record_tables[head >> 1], key, rd_lstr(&rd));
		else
			store_batch_delete(batch, record_tables[head >> 1], key);
	}
	assert(!rd.bad);
}

/* Bring the store back to what is in memory, before anything else is written: a round of its own. */
static void
repair_submit(struct worker *w)
{
	struct store_batch *b = store_batch_new();

	repair_write(w, b);
	w->in_flight = w->repairing = true;
	store_submit(w->fleet->o.store, w->index, b, 0);
}

static void
on_repaired(struct worker *w, bool ok)
{
	w->repairing = false;
	if (ok) {
		w->repair.n = 0;
		undo_commit(w->undone);
	} else {
		store_resume(w->fleet->o.store, w->index);
	}
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

/* Walks whose turn is not over may have seen what is no more. */
static void
walks_fail(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		for (struct walk *k = w->lanes[i].first; k != NULL; k = k->next)
			walk_fault(&k->fault);
}

static void
round_failed(struct worker *w)
{
	struct undo_sink sink = { w, repair_put, repair_del };
	int64_t before = identities(w);

	undo_rollback(gathering(w)->undo, &sink);
	undo_rollback(in_flight(w)->undo, &sink);
	undo_append(w->undone, gathering(w)->undo);
	undo_append(w->undone, in_flight(w)->undo);
	if (w->repair.n == 0)
		undo_commit(w->undone);
	worker_identities_changed(w, identities(w) - before);
	walks_fail(w);
	sweep_restart(w);
	jobs_restart(w);
	store_batch_clear(gathering(w)->batch);
	gathering(w)->nop = gathering(w)->nparcel = 0;
	store_resume(w->fleet->o.store, w->index);
	leaves_fail(w, &in_flight(w)->leaves);
	leaves_fail(w, &gathering(w)->leaves);
}

/* ---- rounds ---- */

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
	bool ok = atomic_load(&w->result) == STORE_OK;

	w->in_flight = false;
	if (w->repairing) {
		on_repaired(w, ok);
		return;
	}
	if (!ok) {
		round_failed(w);
		return;
	}
	undo_commit(in_flight(w)->undo);
	leaves_go(w, &in_flight(w)->leaves);
}

/* Hand the gathering round to the store; the other one gathers. */
static void
round_submit(struct worker *w)
{
	struct round *g = gathering(w);

	if (w->in_flight || store_batch_count(g->batch) == 0) {
		if (store_batch_count(g->batch) == 0)
			g->nop = g->nparcel = 0;
		return;
	}
	w->in_flight = true;
	w->gathering = !w->gathering;
	store_submit(w->fleet->o.store, w->index, g->batch, 0);
	g->batch = NULL;
	g->nop = g->nparcel = 0;
	gathering(w)->batch = store_batch_new();
	gathering(w)->nop = gathering(w)->nparcel = 0;
}

/* An operation that wrote nothing stands or falls with what it may have seen. */
static void
undo_settle(struct worker *w)
{
	struct round *g = gathering(w);

	if (store_batch_count(g->batch) > 0)
		return;
	if (commit_awaited(w))
		undo_append(in_flight(w)->undo, g->undo);
	else
		undo_commit(g->undo);
}

bool
worker_round_full(const struct worker *w)
{
	const struct round *g = &w->round[w->gathering];

	return g->nop >= BATCH_OPS_MAX || store_batch_bytes(g->batch) >= BATCH_BYTES_MAX ||
	    undo_bytes(g->undo) >= BATCH_BYTES_MAX;
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
	w->env.undo = gathering(w)->undo;
	hub_apply(sh, op, &w->env, reply);
	undo_settle(w);
	worker_identities_changed(w, (int64_t)shard_identities(sh) - before);
}

void
worker_later_leave(struct worker *w)
{
	struct msg *m = w->later, *next;

	w->later = NULL;
	w->later_end = &w->later;
	for (; m != NULL; m = next) {
		next = m->next;
		worker_leave(
		    w, LEAVE_NOTE, (struct note *)((char *)m - offsetof(struct note, msg)));
	}
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
	catalogue_refresh(w);
	if (w->repair.n == 0)
		return;
	if (w->env.can_write && !w->in_flight)
		repair_submit(w);
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
	return w->stopping && !w->in_flight && w->queue == NULL && !inbox_has(&w->inbox, false) &&
	    gathering(w)->leaves.n == 0 && atomic_load(&w->nwork) == 0 &&
	    atomic_load(&w->fleet->nwalk) == 0;
}

static int64_t
patience_us(struct worker *w)
{
	int64_t sweep_us, jobs_us;

	if (walks_await(w) || parcel_awaits(w))
		return 0;
	if (w->stopping || w->repair.n > 0)
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
	walk_turn(w);
	evict(w);
}

static void
wait_for_more(struct worker *w)
{
	int64_t since_ns = clock_mono_ns();

	mailbox_wait(&w->box, serve_awaits(w) ? 0 : patience_us(w));
	inbox_rest(&w->inbox, (uint64_t)(clock_mono_ns() - since_ns));
}

void *
worker_main(void *arg)
{
	struct worker *w = arg;

	while (!worker_finished(w)) {
		if (!serve_awaits(w) || w->in_flight)
			wait_for_more(w);
		worker_turn(w);
	}
	return NULL;
}

static void
round_init(struct round *r)
{
	*r = (struct round){ .batch = store_batch_new(), .undo = undo_new() };
}

static void
round_fini(struct round *r)
{
	assert(r->leaves.n == 0);
	store_batch_free(r->batch);
	undo_free(r->undo);
	free(r->leaves.v);
}

void
worker_init(struct worker *w, struct fleet *f, unsigned index, uint32_t from, uint32_t to)
{
	w->fleet = f;
	w->index = index;
	w->shard_from = from;
	w->shard_to = to;
	for (uint32_t s = from; s < to; s++)
		w->shards[s] = shard_new(s);
	w->queue_end = &w->queue;
	inbox_init(&w->inbox);
	lanes_init(w);
	w->parcels_end = &w->parcels;
	w->later_end = &w->later;
	jobs_init(w);
	w->undone = undo_new();
	round_init(&w->round[0]);
	round_init(&w->round[1]);
	store_batch_free(w->round[1].batch);
	w->round[1].batch = NULL;
	w->env = (struct hub_env){ .mac = sas_mac_new(),
		.scratch = &w->scratch,
		.ctx = w,
		.random = env_random,
		.put = env_put,
		.del = env_del,
		.effect = env_effect };
}

void
worker_fini(struct worker *w)
{
	assert(w->queue == NULL && w->parcels == NULL);
	for (unsigned i = 0; i < SHARE_LANES; i++)
		assert(w->lanes[i].first == NULL);
	assert(!inbox_has(&w->inbox, false));
	round_fini(&w->round[0]);
	round_fini(&w->round[1]);
	undo_free(w->undone);
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_free(w->shards[s]);
	jobs_fini(w);
	inbox_fini(&w->inbox);
	if (w->catalogue != NULL)
		catalogue_drop(w->fleet->o.catalogue, w->catalogue);
	sas_mac_free(w->env.mac);
	query_scratch_fini(&w->query_scratch);
	buf_fini(&w->scratch);
	buf_fini(&w->key);
	buf_fini(&w->value);
	buf_fini(&w->repair);
	if (w->has_box)
		mailbox_fini(&w->box);
}
