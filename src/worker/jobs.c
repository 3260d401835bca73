/*
 * Jobs in a worker: the parts that its shards have in what is running, in slices between batches, their writes in the same
 * commits as everybody's (docs/architecture.md, "Jobs"). Each turn one job has the slice; the next turn is another one's.
 */
#include "worker/priv.h"

#include <stdlib.h>

/* Writes that one commit takes with it: others' answers wait for them. Without others they may be more. */
#define JOB_WRITES_MAX   300u
#define JOB_WRITES_QUIET 2000u
#define QUIET_US         100000 /* nobody else has come for so long */
#define ORDER_STEPS      256u   /* of putting targets into order, between two looks at the clock */
#define CLOCK_US         10000000 /* how long to wait for a time of day: the clock may be set meanwhile */
#define PACE_BURST_NS    INT64_C(100000000) /* a job that could not go on may catch up on this much */

/* ---- the set of jobs, and reports ---- */

void
jobs_set_goes(void *ctx, void *p, enum gate_end end)
{
	struct fleet *f = ((struct worker *)ctx)->fleet;
	struct jobs *set = p, *old;

	if (end == GATE_UNDONE) {
		jobs_unref(set);
		return;
	}
	pthread_mutex_lock(&f->jobs_mutex);
	old = f->jobs;
	f->jobs = set;
	pthread_mutex_unlock(&f->jobs_mutex);
	atomic_fetch_add(&f->jobs_version, 1);
	jobs_unref(old);
	fleet_poke(f);
}

/* What a start has to do is due from the beginning on, whichever set of jobs is the first that this worker sees: another
 * worker may have moved on to a newer one by then. */
void
jobs_init(struct worker *w)
{
	w->jobs.calls_us = INT64_MAX;
	w->jobs.calls_check = true;
}

/* What was written while a job was still known is on disk now: whoever looks for what it has left finds all of it. */
static void
learnt(void *ctx, void *p, enum gate_end end)
{
	(void)p, (void)end;
	((struct worker *)ctx)->jobs.learning--;
}

static void
jobs_learn(struct worker *w)
{
	struct fleet *f = w->fleet;
	unsigned version = atomic_load(&f->jobs_version);
	struct jobs *set;

	if (w->jobs.version == version)
		return;
	w->jobs.version = version;
	pthread_mutex_lock(&f->jobs_mutex);
	set = jobs_ref(f->jobs);
	pthread_mutex_unlock(&f->jobs_mutex);
	jobs_unref(w->jobs.set);
	w->jobs.set = set;
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_jobs_know(w->shards[s], set);
	w->jobs.busy = w->jobs.forgets = w->jobs.calls_due = true;
	w->jobs.rest_us = 0;
	w->jobs.tick_us = 0;
	w->jobs.learning++;
	gate_after(&w->gate, learnt, NULL);
}

struct report {
	struct msg msg;
	struct worker *from, *to; /* to: shard 0's */
	struct job_report r;
};

static void
report_arrived(struct msg *m)
{
	struct report *r = container_of(m, struct report, msg);

	shard_job_reported(r->to->shards[0], &r->r);
	r->to->jobs.tick_us = 0;
	free(r);
}

static void
report_goes(void *ctx, void *p, enum gate_end end)
{
	struct worker *w = ctx;
	struct report *r = p;

	if (end == GATE_UNDONE) {
		free(r);
		return;
	}
	shard_job_committed(w->shards[r->r.shard], &r->r);
	r->to = w->fleet->of_shard[0];
	r->msg.run = report_arrived;
	mailbox_post(&r->to->box, &r->msg);
}

void
jobs_drop(struct msg *m)
{
	if (m->run == report_arrived)
		free(container_of(m, struct report, msg));
}

static void
report(struct worker *w, const struct job_report *r)
{
	struct report *out = xcalloc(1, sizeof(*out));

	out->r = *r;
	gate_after(&w->gate, report_goes, out);
}

void
jobs_save(struct worker *w, struct shard *sh, const struct job *j)
{
	struct job_report r;

	if (shard_job_save(sh, j, &w->env, &r))
		report(w, &r);
}

/* ---- choosing targets ---- */

static void
scan_stop(struct worker_jobs *js)
{
	if (js->scan == NULL)
		return;
	task_free(&js->scan->task);
	js->scan = NULL;
	rowset_fini(&js->scanned.rows);
}

/* The condition's plan is the job's: the task has one of its own. */
static void
scan_begin(struct worker *w, const struct job *j, uint32_t shard)
{
	struct worker_jobs *js = &w->jobs;
	struct query *q = NULL;
	enum err e = query_parse_condition(job_condition(j), &q, NULL);

	assert(e == ERR_OK);
	(void)e;
	js->scan = query_task_new(q);
	js->scanned.sink = targets_sink();
	js->scan->sink = &js->scanned.sink;
	js->scan->task.place.shard = shard;
	task_begin(&js->scan->task, 0);
	js->scan_job = j->number;
	js->scan_shard = shard;
}

enum outcome {
	SLICE_DONE,    /* there is nothing left to be done here */
	SLICE_BLOCKED, /* something else has to come first */
	SLICE_STUCK,   /* the store cannot be read at the moment */
	SLICE_OVER     /* the time is, or the round has no room */
};

static enum outcome
choose(struct worker *w, struct shard *sh, uint32_t s, const struct job *j, int64_t end_us)
{
	struct worker_jobs *js = &w->jobs;
	struct job_report broken = { .number = j->number, .shard = s, .broken = true };

	if (js->scan != NULL && (js->scan_job != j->number || js->scan_shard != s))
		return SLICE_BLOCKED; /* one at a time */
	if (js->scan == NULL)
		scan_begin(w, j, s);
	worker_slice(w, end_us);
	if (!js->scan->task.ended && worker_step(w, &js->scan->task, sh) == STEP_OVER)
		return SLICE_OVER;
	if (js->scan->task.fault.code != F_NONE) {
		if (js->scan->task.fault.code == F_StoredDamaged)
			report(w, &broken);
		scan_stop(js);
		return SLICE_STUCK;
	}
	shard_job_targets(sh, j, &js->scanned.rows, &w->env);
	scan_stop(js);
	return SLICE_DONE;
}

/* ---- the work ---- */

bool
jobs_have_room(const struct worker *w)
{
	return gate_has_room(&w->gate, w->jobs.writes_max);
}

/* May one more device have its turn (maxUpdatesPerSecond)? All workers take from the same pace. */
static bool
pace_allows(struct worker *w, struct job *j)
{
	int64_t now_ns = clock_mono_us() * 1000, was = atomic_load(&j->pace_ns), until, wait_ns;
	struct limit_rate rate = { 0, 1 };

	if (j->rate == 0)
		return true;
	rate.each_ns = INT64_C(1000000000) / j->rate;
	rate.burst += (uint32_t)(PACE_BURST_NS / rate.each_ns);
	do {
		until = was;
		if (!limit_take(&until, &rate, now_ns, &wait_ns)) {
			w->jobs.rest_us = (now_ns + wait_ns) / 1000 + 1;
			return false;
		}
	} while (!atomic_compare_exchange_weak(&j->pace_ns, &was, until));
	return true;
}

static enum outcome
step_rows(struct worker *w, struct shard *sh, uint32_t s, struct job *j, int64_t end_us)
{
	uint32_t row, before, steps = 0;
	unsigned records;

	while ((row = shard_job_row(sh, j, &records)) != TABLE_NONE) {
		struct fault f = { 0 };
		enum err e;

		if (!jobs_have_room(w))
			return SLICE_OVER;
		e = worker_load_row(w, sh, row, records, &f);
		if ((e != ERR_OK && e != ERR_CORRUPT) ||
		    (e == ERR_OK && worker_load_family(w, sh, row, &f) == ERR_IO))
			return SLICE_STUCK;
		if (!pace_allows(w, j))
			return SLICE_BLOCKED;
		before = shard_identities(sh);
		worker_identities_left(w);
		if (job_calls_full(w))
			return SLICE_BLOCKED; /* an answer wakes it */
		if (shard_job_step(sh, j, e == ERR_CORRUPT, &w->env))
			job_call_begin(w, j, s, row);
		worker_identities_changed(w, (int64_t)shard_identities(sh) - before);
		if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
			return SLICE_OVER;
	}
	return SLICE_DONE;
}

static enum outcome
part_slice(struct worker *w, uint32_t s, struct job *j, int64_t end_us)
{
	struct shard *sh = w->shards[s];
	enum outcome r = SLICE_DONE;
	enum job_phase phase;

	while (r == SLICE_DONE && (phase = shard_job_phase(sh, j)) != JOB_ENDS) {
		if (phase == JOB_CHOOSES) {
			r = choose(w, sh, s, j, end_us);
		} else if (phase == JOB_ORDERS) {
			shard_job_order(sh, j, ORDER_STEPS);
		} else {
			r = step_rows(w, sh, s, j, end_us);
			if (r == SLICE_DONE)
				break;
		}
		if (r == SLICE_DONE && clock_mono_us() >= end_us)
			r = SLICE_OVER;
	}
	jobs_save(w, sh, j);
	job_calls_listed(w);
	return r;
}

static enum outcome
job_slice(struct worker *w, struct job *j, int64_t end_us)
{
	enum outcome all = SLICE_DONE;

	for (uint32_t s = w->shard_from; s < w->shard_to; s++) {
		enum outcome r = part_slice(w, s, j, end_us);

		if (r == SLICE_OVER || r == SLICE_STUCK)
			return r;
		if (r == SLICE_BLOCKED)
			all = r;
	}
	return all;
}

/* ---- jobs that are known no more ---- */

#define FORGET_MAX 256u /* results that one turn deletes */

/* Results of one part; false: there may be more. They are not undone: whoever goes on deletes the rest. */
static bool
forget_results(struct worker *w, uint32_t shard, struct str prefix)
{
	struct store_cursor *c;
	struct str key, value;
	uint32_t n = 0;
	enum err e =
	    store_cursor_open(w->fleet->o.store, STORE_HUB, prefix, STR_NONE, STORE_SCAN, &c);

	if (e != ERR_OK)
		return false;
	while (n < FORGET_MAX && (e = store_next(c, &key, &value)) == ERR_OK &&
	    str_starts(key, prefix)) {
		w->env.del(w->env.ctx, shard, RECORD_COMMON, key);
		n++;
	}
	store_cursor_close(c);
	return n < FORGET_MAX && (e == ERR_OK || e == ERR_END);
}

/* Some of what such a job has left, while there is room in the round. */
static void
forget(struct worker *w)
{
	char room[HUB_PREFIX_MAX];
	struct str results;
	uint64_t number;

	if (!w->jobs.forgets || w->jobs.learning > 0 ||
	    gate_in_flight(&w->gate)) /* what is deleted has to be seen as deleted */
		return;
	for (uint32_t s = w->shard_from; s < w->shard_to; s++) {
		number = shard_job_forgotten(w->shards[s], room, &results);
		if (number == 0)
			continue;
		if (forget_results(w, s, results))
			shard_job_forget(w->shards[s], number, &w->env);
		return;
	}
	w->jobs.forgets = false;
}

/* ---- turns ---- */

static void
tick(struct worker *w)
{
	if (w->shard_from == 0 && w->jobs.tick_us <= w->env.now_us)
		w->jobs.tick_us = shard_jobs_tick(w->shards[0], &w->env);
}

/* Who else is about? */
static void
make_way(struct worker *w, int64_t now_us)
{
	struct worker_jobs *js = &w->jobs;

	if (w->taken.nop > 0)
		js->heard_us = now_us;
	js->writes_max = now_us - js->heard_us > QUIET_US ? JOB_WRITES_QUIET : JOB_WRITES_MAX;
}

void
jobs_turn(struct worker *w)
{
	struct worker_jobs *js = &w->jobs;
	int64_t end_us;

	jobs_learn(w);
	if (w->stopping || !w->env.can_write)
		return;
	w->env.undo = gate_undo(&w->gate);
	make_way(w, clock_mono_us());
	tick(w);
	forget(w);
	job_calls_turn(w);
	if (!js->busy || clock_mono_us() < js->rest_us)
		return;
	js->rest_us = 0;
	end_us = clock_mono_us() + SLICE_US;
	for (uint32_t i = 0; i < js->set->n; i++) {
		struct job *j = js->set->v[(js->turn + i) % js->set->n];
		enum outcome r = job_active(j) ? job_slice(w, j, end_us) : SLICE_DONE;

		if (r != SLICE_OVER && r != SLICE_STUCK)
			continue;
		js->turn = (js->turn + i + 1) % js->set->n;
		js->rest_us = r == SLICE_STUCK ? clock_mono_us() + RETRY_US : 0;
		return;
	}
	js->busy = js->rest_us != 0; /* else nothing can be done before something comes */
}

void
jobs_restart(struct worker *w)
{
	scan_stop(&w->jobs);
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_jobs_restart(w->shards[s]);
	w->jobs.busy = w->jobs.forgets = w->jobs.calls_check = true;
	w->jobs.tick_us = 0;
}

int64_t
jobs_patience_us(const struct worker *w)
{
	const struct worker_jobs *js = &w->jobs;
	int64_t us = -1, left_us;

	if (js->version != atomic_load(&w->fleet->jobs_version))
		return 0;
	if (!w->env.can_write)
		return js->busy || js->tick_us != INT64_MAX ? RETRY_US : -1;
	if (js->busy && js->rest_us == 0)
		return jobs_have_room(w) || !gate_in_flight(&w->gate) ? 0 : -1;
	if ((js->forgets || js->calls_due) && !gate_in_flight(&w->gate))
		return 0;
	if (js->busy || js->calls_us != INT64_MAX) {
		left_us = js->busy && js->rest_us < js->calls_us ? js->rest_us : js->calls_us;
		left_us -= clock_mono_us();
		us = left_us > 0 ? left_us : 0;
	}
	if (w->shard_from != 0 || js->tick_us == INT64_MAX)
		return us;
	left_us = js->tick_us - w->env.now_us;
	left_us = left_us > CLOCK_US ? CLOCK_US : left_us > 0 ? left_us : 0;
	return us < 0 || left_us < us ? left_us : us;
}

void
jobs_fini(struct worker *w)
{
	scan_stop(&w->jobs);
	job_calls_fini(w);
	jobs_unref(w->jobs.set);
}
