/*
 * Shards that come and go while the hub runs (docs/cluster-design.md, 4.4 and 4.6). A shard that goes is as after a stop, and one that comes
 * as after a start: what is on disk is all that there is of it, so nothing of a worker's has to be carried over.
 *
 *   fleet_release   the route is closed: what comes waits there. The worker that has the shard
 *     DRAINS        applies what had come before, and finishes tours that are in the midst of it; begins nothing there any more
 *     ENDS          ends its calls, and its sessions, where they do not outlive it, a share of them in each turn, and tells the log
 *     FENCED        waits until all of that is on disk
 *     OUT           and then forgets the shard, unless a repair has to be written first
 *   fleet_take      a thread of its own reads the shard; a worker gets it by a message. Sessions that have outlived the former owner are
 *                   resumed: OP_RESUME is all that the route lets through to it, until each loop has had its answers (O-236). Then the route is
 *                   opened, and what waited there comes.
 */
#include "hub/leave.h"
#include "log/log.h"
#include "watch/touched.h"
#include "worker/priv.h"

#include <stdlib.h>

#define SESSIONS_TURN_MAX 256u /* that end in one turn */
#define LINE_LOOK_US      INT64_C(1000000)
#define RESUME_US         INT64_C(10000000) /* until a session that nobody has resumed has ended */

/* ---- it goes ---- */

static struct shift *
shift_of(const struct worker *w, uint32_t s)
{
	return &w->fleet->shifts[s];
}

static uint32_t
shard_of(const struct shift *x)
{
	return (uint32_t)(x - x->fleet->shifts);
}

static void
shift_over(struct shift *x, enum err e)
{
	shard_moved *done = x->done;
	void *ctx = x->ctx;
	uint32_t s = shard_of(x);
	struct fault why = x->fault;

	atomic_store(&x->under_way, false);
	done(ctx, s, e, &why);
}

/* false: somebody else moves it. */
static bool
shift_begin(struct fleet *f, uint32_t shard, shard_moved *done, void *ctx)
{
	struct shift *x = &f->shifts[shard];

	if (atomic_exchange(&x->under_way, true))
		return false;
	x->done = done;
	x->ctx = ctx;
	x->fault = (struct fault){ .code = F_NONE };
	x->sh = NULL;
	return true;
}

static void
goes(struct msg *m)
{
	struct shift *x = container_of(m, struct shift, msg);
	struct worker *w = x->from;

	w->leaving |= UINT64_C(1) << shard_of(x);
	x->step = SHIFT_DRAINS;
	x->row = 0;
	watches_moved(w);
}

enum err
fleet_release(struct fleet *f, uint32_t shard, shard_moved *done, void *ctx)
{
	struct shift *x = &f->shifts[shard];

	if (atomic_load(&f->stop) || !shift_begin(f, shard, done, ctx))
		return ERR_ARG;
	x->from = shard_worker(f, shard);
	if (x->from == NULL) {
		atomic_store(&x->under_way, false);
		return ERR_ARG;
	}
	x->msg.run = goes;
	route_close(f, shard, &x->msg);
	return ERR_OK;
}

/* A tour is in the midst of it: rows are by number, but what it knows of columns is the shard's in memory. */
static bool
toured(const struct worker *w, uint32_t s)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		for (const struct tour *k = w->lanes[i].first; k != NULL; k = k->next)
			if (k->inside == s + 1)
				return true;
	return false;
}

static void
fenced(void *ctx, void *p, enum gate_end end)
{
	struct shift *x = p;

	(void)ctx;
	if (end == GATE_UNDONE) {
		x->step = SHIFT_ENDS; /* what was told has to be told again */
		x->row = 0;
	} else {
		x->step = SHIFT_OUT;
	}
}

/* Its sessions end, and the log has all of that; then what is on its way to the disk is the last of it. */
static void
ends(struct worker *w, struct shift *x)
{
	struct shard *sh = w->shards[shard_of(x)];
	int64_t since_us;

	if (!w->env.can_write)
		return;
	w->env.undo = gate_undo(&w->gate);
	(w->fleet->o.resume != NULL ? shard_end_calls : shard_end_sessions)(
	    sh, &x->row, SESSIONS_TURN_MAX, &w->env);
	watch_forget(sh);
	if (x->row == shard_rows(sh))
		connections_tell(sh, SESSIONS_TURN_MAX, &w->env);
	gate_settle(&w->gate);
	notes_behind_reply(w);
	if (x->row < shard_rows(sh) || connections_wait(sh, &since_us))
		return;
	x->step = SHIFT_FENCED;
	gate_after(&w->gate, fenced, x);
}

static void
goes_out(struct worker *w, struct shift *x)
{
	uint32_t s = shard_of(x);
	struct shard *sh = w->shards[s];

	jobs_leave(w, s);
	messages_moved(w, s);
	atomic_fetch_and(&w->fleet->feedback, ~(UINT64_C(1) << s));
	worker_identities_changed(w, -(int64_t)shard_identities(sh));
	w->mine &= ~(UINT64_C(1) << s);
	w->leaving &= ~(UINT64_C(1) << s);
	w->left |= UINT64_C(1) << s;
	w->shards[s] = NULL;
	shard_free(sh);
	if (s == 0)
		hubwide_left(w);
	figures_look(w);
	shift_over(x, ERR_OK);
}

static void
shift_step(struct worker *w, struct shift *x)
{
	uint32_t s = shard_of(x);

	if (x->step == SHIFT_DRAINS && w->waits[s] == 0 && job_calls_settled(w, s) && !toured(w, s))
		x->step = SHIFT_ENDS;
	if (x->step == SHIFT_ENDS)
		ends(w, x);
	if (x->step == SHIFT_OUT && !gate_needs_repair(&w->gate))
		goes_out(w, x);
}

void
shifts_turn(struct worker *w)
{
	if (w->stopping) { /* it stays whose it is, who ends its sessions as all others */
		w->leaving = w->coming = 0;
		return;
	}
	for (uint32_t s = next_of(w->leaving, 0); s < SHARDS; s = next_of(w->leaving, s + 1)) {
		shift_step(w, shift_of(w, s));
		route_look(w->fleet, s); /* a call that is out, or a store, may keep it long */
	}
	for (uint32_t s = next_of(w->left, 0); s < SHARDS; s = next_of(w->left, s + 1)) {
		if (shard_worker(w->fleet, s) != NULL)
			w->left &= ~(UINT64_C(1) << s);
		else
			route_look(w->fleet, s);
	}
}

int64_t
shifts_patience_us(const struct worker *w)
{
	if (w->stopping)
		return -1;
	for (uint32_t s = next_of(w->leaving, 0); s < SHARDS; s = next_of(w->leaving, s + 1)) {
		const struct shift *x = shift_of(w, s);

		if (x->step == SHIFT_ENDS || x->step == SHIFT_OUT)
			return w->env.can_write && !gate_needs_repair(&w->gate) ? 0 : RETRY_US;
	}
	return (w->left | w->leaving) != 0 ? LINE_LOOK_US : -1;
}

bool
shift_drains(const struct worker *w, uint32_t s)
{
	return shift_of(w, s)->step == SHIFT_DRAINS;
}

/* ---- it comes ---- */

/* Before what waited for it, and what comes from now on. */
static void
opens(struct msg *m)
{
	struct shift *x = container_of(m, struct shift, opens);
	struct worker *w = x->to;
	uint32_t s = shard_of(x);

	w->coming &= ~(UINT64_C(1) << s);
	sweep_takes(w, w->shards[s]);
	jobs_take(w, w->shards[s]);
	watches_moved(w);
	feedback_told(w, w->shards[s], GATE_ON_DISK);
}

void
fleet_known(struct fleet *f, uint32_t shard)
{
	struct shift *x = &f->shifts[shard];

	x->opens.run = opens;
	(void)route_open(f, shard, NULL, &x->opens);
}

/* On the thread of a loop. */
static void
resumed(struct resumption *r)
{
	struct shift *x = container_of(r, struct shift, resumption);

	fleet_known(x->fleet, r->shard);
	shift_over(x, ERR_OK);
}

static void
comes(struct msg *m)
{
	struct shift *x = container_of(m, struct shift, msg);
	struct worker *w = x->to;
	struct shard *sh = x->sh;
	uint32_t s = shard_of(x);

	x->sh = NULL;
	w->shards[s] = sh;
	w->mine |= UINT64_C(1) << s;
	w->coming |= UINT64_C(1) << s;
	w->log_flying[s] = shard_log_next(sh); /* what flies has nothing of it */
	atomic_store(&w->fleet->log_ends[s], w->log_flying[s]);
	epochs_begun(w, x->from_us, x->now_us);
	epochs_turn(w); /* before anything is written there */
	if (s == 0)
		hubwide_came(w, sh);
	worker_identities_changed(w, shard_identities(sh));
	figures_look(w);
	configure_use(sh, w->catalogue->configurations);
	x->resumption.shard = s;
	x->resumption.over = resumed;
	route_half_open(w->fleet, s, w);
	if (w->fleet->o.elsewhere != NULL)
		shift_over(x, ERR_OK); /* whose sessions are to be resumed as well: peers/known.c */
	else if (w->stopping || !fleet_resume(w->fleet, &x->resumption))
		resumed(&x->resumption);
}

void
resumption_through(struct resumption *r)
{
	if (atomic_fetch_sub(&r->left, 1) == 1)
		r->over(r);
}

/* One thread more, or less. */
static void
reading(struct fleet *f, int by)
{
	pthread_mutex_lock(&f->reading.mutex);
	f->reading.n += (unsigned)by;
	pthread_cond_broadcast(&f->reading.fewer);
	pthread_mutex_unlock(&f->reading.mutex);
}

static void
reads(void *arg)
{
	struct shift *x = arg;
	struct fleet *f = x->fleet;
	struct shard_begin begin = { .now_us = clock_wall_us(),
		.patience_us = f->o.resume != NULL ? RESUME_US : 0 };
	enum err e;

	x->now_us = begin.now_us;
	e = shard_from_store(f, x->sh, &begin, &x->from_us, &x->fault);
	if (e == ERR_OK) {
		x->msg.run = comes;
		mailbox_post(&x->to->box, &x->msg);
	} else {
		shard_free(x->sh);
		x->sh = NULL;
		shift_over(x, e);
	}
	reading(f, -1); /* the last look at the fleet */
}

enum err
fleet_take(struct fleet *f, uint32_t shard, unsigned worker, shard_moved *done, void *ctx)
{
	struct shift *x = &f->shifts[shard];
	struct thread t = { 0 };

	assert(worker < f->o.nworker);
	if (atomic_load(&f->stop) || !shift_begin(f, shard, done, ctx))
		return ERR_ARG;
	if (shard_worker(f, shard) != NULL) {
		atomic_store(&x->under_way, false);
		return ERR_ARG;
	}
	x->to = &f->workers[worker];
	x->sh = shard_make(shard);
	reading(f, 1);
	if (thread_start(&t, reads, x, NULL, "shard %u", shard) == ERR_OK) {
		thread_let_go(&t);
		return ERR_OK;
	}
	reading(f, -1);
	shard_free(x->sh);
	x->sh = NULL;
	atomic_store(&x->under_way, false);
	return ERR_IO;
}

/* ---- by order of a test ---- */

static void
move_ends(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	(void)ctx;
	if (e != ERR_OK)
		log_text(LOG_ERROR, "shard %u has moved, and cannot be read: %s", shard, why->text);
}

static void
move_goes_on(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct fleet *f = ctx;
	unsigned next = (f->shifts[shard].from->index + 1) % f->o.nworker;

	if (e == ERR_OK)
		e = fleet_take(f, shard, next, move_ends, f);
	if (e != ERR_OK && !atomic_load(&f->stop))
		move_ends(f, shard, e, why);
}

void
fleet_move(struct fleet *f, uint32_t shard)
{
	(void)fleet_release(f, shard, move_goes_on, f);
}

/* ---- the end ---- */

void
shifts_init(struct fleet *f)
{
	pthread_mutex_init(&f->reading.mutex, NULL);
	cond_init(&f->reading.fewer);
	for (uint32_t s = 0; s < SHARDS; s++)
		f->shifts[s].fleet = f;
}

/* Those who begin one see that the fleet stops. */
void
shifts_stop(struct fleet *f)
{
	pthread_mutex_lock(&f->reading.mutex);
	while (f->reading.n > 0)
		pthread_cond_wait(&f->reading.fewer, &f->reading.mutex);
	pthread_mutex_unlock(&f->reading.mutex);
}

void
shifts_fini(struct fleet *f)
{
	pthread_cond_destroy(&f->reading.fewer);
	pthread_mutex_destroy(&f->reading.mutex);
}

bool
shifts_drop(struct msg *m)
{
	struct shift *x;

	if (m->run == opens)
		return true;
	if (m->run != comes)
		return m->run == goes;
	x = container_of(m, struct shift, msg);
	shard_free(x->sh);
	x->sh = NULL;
	return true;
}
