/*
 * Jobs in a worker: the parts that its shards have in what is running, in slices between batches, their writes in the same
 * commits as everybody's (docs/architecture.md, "Jobs"). Each turn one job has the slice; the next turn is another one's.
 */
#include "metric/metric.h"
#include "worker/priv.h"

#include <stdlib.h>

#define QUIET_US 100000   /* nobody else has come for so long */
#define CLOCK_US 10000000 /* how long to wait for a time of day: the clock may be set meanwhile */

/* ---- the set of jobs, and reports ---- */

/* Of the new set, those that have ended so since the old one. */
static void
count_failed(const struct jobs *old, const struct jobs *set)
{
	const struct job *was;

	for (uint32_t i = 0; i < set->n; i++) {
		if (set->v[i]->state.status != JOB_FAILED)
			continue;
		was = jobs_number(old, set->v[i]->number);
		if (was == NULL || was->state.status != JOB_FAILED)
			metric_add(METRIC_JOBS_FAILED, METRIC_SCHEDULED, 1);
	}
}

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
	if (old != NULL)
		jobs_go_on(set, old);
	f->jobs = set;
	hub_jobs_put(f, old, set);
	pthread_mutex_unlock(&f->jobs_mutex);
	if (old != NULL)
		count_failed(old, set);
	atomic_fetch_add(&f->jobs_version, 1);
	jobs_unref(old);
	fleet_poke(f);
	hub_jobs_hear(f);
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
	set = f->jobs != NULL ? jobs_ref(f->jobs) : NULL;
	pthread_mutex_unlock(&f->jobs_mutex);
	if (set == NULL)
		return;
	jobs_unref(w->jobs.set);
	w->jobs.set = set;
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		jobs_know(w->shards[s], set);
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

	if (holds_shard(r->to, 0)) /* else all report again when shard 0 is back */
		jobs_reported(r->to->shards[0], &r->r);
	r->to->jobs.tick_us = 0;
	free(r);
}

static void
report_enters(struct worker *w, struct msg *m)
{
	container_of(m, struct report, msg)->to = w;
	mailbox_post(&w->box, m);
}

static void
report_refused(struct fleet *f, struct msg *m, enum fault_code code, const char *why)
{
	(void)f, (void)code, (void)why;
	free(container_of(m, struct report, msg));
}

static bool
report_must(const struct msg *m)
{
	(void)m;
	return true;
}

static int64_t
report_patience_us(const struct msg *m)
{
	(void)m;
	return -1;
}

static const struct traveller travels = { .enter = report_enters,
	.refuse = report_refused,
	.must = report_must,
	.patience_us = report_patience_us };

bool
fleet_job_reported(struct fleet *f, const struct job_report *r)
{
	struct report *out;

	if (f->o.elsewhere != NULL && shard_worker(f, 0) == NULL)
		return false;
	out = xcalloc(1, sizeof(*out));
	out->r = *r;
	out->msg.run = report_arrived;
	route_send(f, 0, &travels, &out->msg);
	return true;
}

/* One that is lost on the way is told again: with shard 0's next set, or by who carries it. */
static void
report_leaves(const struct fleet *f, const struct job_report *r)
{
	if (f->o.elsewhere->job_report != NULL)
		f->o.elsewhere->job_report(f->o.elsewhere->ctx, r);
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
	part_committed(w->shards[r->r.shard], &r->r);
	if (!fleet_job_reported(w->fleet, &r->r))
		report_leaves(w->fleet, &r->r);
	free(r);
}

void
jobs_drop(struct msg *m)
{
	if (m->run == report_arrived)
		free(container_of(m, struct report, msg));
}

static void
report(void *ctx, const struct job_report *r)
{
	struct worker *w = ctx;
	struct report *out = xcalloc(1, sizeof(*out));
	struct store_epoch epoch = { 0 };

	(void)store_epoch(w->fleet->o.store, r->shard, &epoch);
	out->r = *r;
	out->r.epoch = epoch.number;
	gate_after(&w->gate, report_goes, out);
}

void
jobs_save(struct worker *w, struct shard *sh, struct job *j)
{
	w->jobs.part->job = j;
	part_task_save(w->jobs.part, sh, &w->slice);
}

/* ---- the work: parts ---- */

static bool
calls_full(void *ctx)
{
	return job_calls_full(ctx);
}

static void
call(void *ctx, const struct job *j, uint32_t shard, uint32_t row)
{
	job_call_begin(ctx, j, shard, row);
}

static bool
paces(void *ctx, bool again, int64_t *wait_ns)
{
	return limiter_paces(((struct worker *)ctx)->fleet->o.limiter, again, wait_ns);
}

static void
saved(void *ctx)
{
	job_calls_listed(ctx);
}

void
jobs_init(struct worker *w)
{
	struct worker_jobs *js = &w->jobs;

	js->face = (struct part_face){ .ctx = w,
		.calls_full = calls_full,
		.call = call,
		.paces = paces,
		.report = report,
		.family_row = configure_family_row,
		.saved = saved };
	js->part = part_task_new(&js->face);
	js->calls_us = INT64_MAX;
	/* What a start has to do is due from the beginning on, whichever set of jobs is the first that this worker sees: another
	 * worker may have moved on to a newer one by then. */
	js->calls_check = true;
}

/* Of several that rest the first that is due says for how long. */
static void
rest_until(struct worker_jobs *js, int64_t us)
{
	if (js->rest_us == 0 || us < js->rest_us)
		js->rest_us = us;
}

/* One job's parts here, one shard after the other: true: it has had its slice. */
static bool
job_slice(struct worker *w, struct job *j)
{
	struct part_task *pt = w->jobs.part;

	pt->job = j;
	pt->shards = fleet_shards(w->fleet);
	pt->rest_us = 0;
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1)) {
		pt->task.bookmark.shard = s;
		enum step step = worker_step(w, &pt->task, w->shards[s]);

		notes_behind_reply(w); /* messages to sessions */
		messages_end(w, w->shards[s]);
		if (step == STEP_OVER && pt->task.waits != WAIT_EVENT)
			return true;
		if (pt->rest_us != 0)
			rest_until(&w->jobs, pt->rest_us - w->env.ahead_us); /* by clock_mono_us */
	}
	return false;
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
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1)) {
		number = part_forgotten(w->shards[s], room, &results);
		if (number == 0 || !hub_jobs_knows(w->fleet, w->jobs.set, number))
			continue; /* one that is newer than what this node knows of */
		if (forget_results(w, s, results))
			part_forget(w->shards[s], number, &w->env);
		return;
	}
	w->jobs.forgets = false;
}

/* ---- turns ---- */

static void
tick(struct worker *w)
{
	if (has_shard(w, 0) && w->jobs.tick_us <= w->env.now_us)
		w->jobs.tick_us = jobs_tick(w->shards[0], &w->env);
}

/* Who else is about? */
static void
make_way(struct worker *w, int64_t now_us)
{
	struct worker_jobs *js = &w->jobs;

	if (w->taken.nop > 0)
		js->heard_us = now_us;
	js->quiet = now_us - js->heard_us > QUIET_US;
}

/* One job after the other, until one has had the slice. */
static void
slice_of_jobs(struct worker *w)
{
	struct worker_jobs *js = &w->jobs;

	js->rest_us = 0;
	for (uint32_t i = 0; i < js->set->n; i++) {
		struct job *j = js->set->v[(js->turn + i) % js->set->n];

		if (!job_active(j) || !job_slice(w, j))
			continue;
		js->turn = (js->turn + i + 1) % js->set->n;
		js->rest_us = js->part->task.waits == WAIT_STORE ? clock_mono_us() + RETRY_US : 0;
		return;
	}
	js->busy = js->rest_us != 0; /* else nothing can be done before something comes */
}

void
jobs_turn(struct worker *w)
{
	jobs_learn(w);
	if (w->stopping || !w->env.can_write || w->jobs.set == NULL)
		return;
	make_way(w, clock_mono_us());
	worker_slice_writes(w, ROUND_JOBS);
	tick(w);
	forget(w);
	job_calls_turn(w);
	if (!w->jobs.busy || clock_mono_us() < w->jobs.rest_us)
		return;
	worker_slice_writes(w, ROUND_JOBS);
	messages_begin(w);
	slice_of_jobs(w);
}

void
jobs_restart(struct worker *w)
{
	part_task_stop(w->jobs.part);
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		jobs_undone(w->shards[s]);
	w->jobs.busy = w->jobs.forgets = w->jobs.calls_check = true;
	w->jobs.tick_us = 0;
}

/* What shard 0 was told of the others' parts was in its memory alone: with the next set, which is the same, all tell it again. */
void
jobs_take(struct worker *w, struct shard *sh)
{
	if (w->jobs.set != NULL)
		jobs_know(sh, w->jobs.set);
	w->jobs.busy = w->jobs.forgets = w->jobs.calls_check = true;
	w->jobs.rest_us = 0;
	w->jobs.tick_us = 0;
	if (shard_index(sh) != 0)
		return;
	hub_jobs_begin(w->fleet, jobs_stored(sh));
	fleet_poke(w->fleet);
}

void
jobs_leave(struct worker *w, uint32_t shard)
{
	part_task_stop(w->jobs.part);
	job_calls_leave(w, shard);
	if (shard == 0)
		hub_jobs_end(w->fleet);
}

int64_t
jobs_patience_us(const struct worker *w)
{
	const struct worker_jobs *js = &w->jobs;
	int64_t us = -1, left_us;

	if (js->version != atomic_load(&w->fleet->jobs_version))
		return 0;
	if (js->set == NULL) /* nobody has said yet which jobs there are */
		return -1;
	if (!w->env.can_write)
		return js->busy || js->tick_us != INT64_MAX ? RETRY_US : -1;
	if (js->busy && js->rest_us == 0)
		return round_has_room(w, ROUND_JOBS) || !gate_in_flight(&w->gate) ? 0 : -1;
	if ((js->forgets || js->calls_due) && !gate_in_flight(&w->gate))
		return 0;
	if (js->busy || js->calls_us != INT64_MAX) {
		left_us = js->busy && js->rest_us < js->calls_us ? js->rest_us : js->calls_us;
		left_us -= clock_mono_us();
		us = left_us > 0 ? left_us : 0;
	}
	if (!has_shard(w, 0) || js->tick_us == INT64_MAX)
		return us;
	left_us = js->tick_us - w->env.now_us;
	left_us = left_us > CLOCK_US ? CLOCK_US : left_us > 0 ? left_us : 0;
	return us < 0 || left_us < us ? left_us : us;
}

void
jobs_fini(struct worker *w)
{
	task_free(&w->jobs.part->task);
	job_calls_fini(w);
	jobs_unref(w->jobs.set);
}
