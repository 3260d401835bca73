/*
 * The hub's jobs, on shard 0: asked for, read, cancelled, and moved by the time and by what the shards report.
 *
 *   QUEUED --start is later--> SCHEDULED --its time, a place is free--> RUNNING --all shards have ended--> COMPLETED, FAILED
 *     |  \___________________________________________________________/     |
 *     +--cancel--> CANCELLED <------------------ cancel -------------------+
 *
 * One that was cancelled while it ran is not settled before its shards have ended, as calls that were sent end as they end.
 */
#include "job/parts.h"
#include "limit/limit.h"

#include <stdlib.h>

/* How far each shard is with a job that is not settled. In memory only: the shards tell it again after a start. */
struct report_set {
	uint64_t number;
	uint32_t nended;
	bool broken; /* some shard */
	bool ended[SHARDS];
	uint64_t epochs[SHARDS];
	struct job_counts counts[SHARDS];
};

struct job_reports {
	uint32_t n, cap;
	struct report_set **v;
};

static struct report_set *
reports_find(const struct shard_jobs *js, uint64_t number)
{
	for (uint32_t i = 0; js->reports != NULL && i < js->reports->n; i++)
		if (js->reports->v[i]->number == number)
			return js->reports->v[i];
	return NULL;
}

/* Those of jobs that are settled, on disk. */
void
reports_trim(struct shard_jobs *js)
{
	struct job_reports *rs = js->reports;

	for (uint32_t i = 0; rs != NULL && i < rs->n;) {
		const struct job *j = jobs_number(js->known, rs->v[i]->number);

		if (j != NULL && job_active(j)) {
			i++;
			continue;
		}
		free(rs->v[i]);
		rs->v[i] = rs->v[--rs->n];
	}
}

static struct report_set *
reports_make(struct shard_jobs *js, uint64_t number)
{
	struct report_set *set = reports_find(js, number);
	struct job_reports *rs;

	if (set != NULL)
		return set;
	if (js->reports == NULL)
		js->reports = xcalloc(1, sizeof(*js->reports));
	rs = js->reports;
	if (rs->n == rs->cap) {
		rs->cap = rs->cap ? rs->cap * 2 : 8;
		rs->v = xrealloc(rs->v, rs->cap * sizeof(*rs->v));
	}
	set = rs->v[rs->n++] = xcalloc(1, sizeof(*set));
	set->number = number;
	return set;
}

void
reports_free(struct job_reports *rs)
{
	for (uint32_t i = 0; rs != NULL && i < rs->n; i++)
		free(rs->v[i]);
	if (rs != NULL)
		free(rs->v);
	free(rs);
}

/* ---- what is written ---- */

static void
job_store(struct shard *sh, struct str id, const struct str *record, const struct hub_env *env)
{
	struct effect e = { .kind = EFFECT_JOBS };
	struct buf key = { 0 };

	buf_cstr(&key, JOB_KEY);
	buf_str(&key, id);
	common_write(sh, buf_view(&key), record, env);
	env->effect(env->ctx, &e);
	buf_fini(&key);
}

/* It has ended, and nothing of it is under way (J-28). */
static void
job_told(
    struct shard *sh, const struct job *j, const struct job_state *s, const struct hub_env *env)
{
	struct event e = { .kind = EVENT_JOB_ENDED };
	struct log_cause was = log_because(sh, ACTOR_JOB, j->id);
	struct doc_writer dw;
	struct buf doc = { 0 };
	struct out o;

	doc_writer_init(&dw, &doc, 0);
	o = out_to_doc(&dw);
	out_open(&o);
	out_str(out_key(&o, "jobId"), j->id);
	out_cstr(out_key(&o, "type"), job_type_name(j->type));
	out_cstr(out_key(&o, "status"), job_status_name(s->status));
	out_time(out_key(&o, "startTime"), s->began_us);
	out_time(out_key(&o, "endTime"), s->end_us);
	out_some_str(&o, "failureReason", s->failure);
	out_open(out_key(&o, "deviceJobStatistics"));
	out_u64(out_key(&o, "deviceCount"), s->counts.devices);
	out_u64(out_key(&o, "failedCount"), s->counts.failed);
	out_u64(out_key(&o, "succeededCount"), s->counts.succeeded);
	out_close(&o);
	out_close(&o);
	e.fields[EVENT_ABOUT] = buf_view(&doc);
	log_notice(sh, &e, env);
	sh->log.cause = was;
	buf_fini(&doc);
}

static void
job_move(
    struct shard *sh, const struct job *j, const struct job_state *state, const struct hub_env *env)
{
	struct buf record = { 0 };
	struct str bytes;

	job_encode(&record, j, state);
	bytes = buf_view(&record);
	if (state->settled && !j->state.settled && env_logs(env)->jobs)
		job_told(sh, j, state, env);
	job_store(sh, j->id, &bytes, env); /* j has its last use before this */
	buf_fini(&record);
}

struct jobs *
jobs_stored(const struct shard *sh)
{
	const struct shard_jobs *js = jobs_of(sh);

	return js->stored != NULL ? jobs_ref(js->stored) : jobs_with(NULL, 0, NULL);
}

/* ---- what shards report ---- */

struct job_counts
jobs_counts(const struct shard *sh, const struct job *j)
{
	const struct shard_jobs *js = jobs_of(sh);
	const struct report_set *set = job_active(j) ? reports_find(js, j->number) : NULL;
	struct job_counts c = j->state.counts;

	for (uint32_t s = 0; set != NULL && s < SHARDS; s++) {
		c.devices += set->counts[s].devices;
		c.succeeded += set->counts[s].succeeded;
		c.failed += set->counts[s].failed;
		c.running += set->counts[s].running;
		c.bytes += set->counts[s].bytes;
	}
	return c;
}

void
jobs_reported(struct shard *sh, const struct job_report *r)
{
	struct shard_jobs *js = jobs_of(sh);
	struct job *j = jobs_number(js->stored, r->number);
	struct report_set *set;

	if (j == NULL || !job_active(j))
		return; /* told twice */
	set = reports_make(js, r->number);
	if (r->epoch < set->epochs[r->shard])
		return; /* of a former owner of the shard, late */
	set->epochs[r->shard] = r->epoch;
	if (r->broken) {
		set->broken = true;
		js->next_us = 0;
		return;
	}
	set->counts[r->shard] = r->counts;
	set->nended += (uint32_t)r->ended - (uint32_t)set->ended[r->shard];
	set->ended[r->shard] = r->ended;
	if (set->nended == SHARDS)
		js->next_us = 0;
}

static bool
is_broken(const struct shard_jobs *js, const struct job *j)
{
	const struct report_set *set = reports_find(js, j->number);

	return set != NULL && set->broken;
}

static bool
all_ended(const struct shard_jobs *js, const struct job *j)
{
	const struct report_set *set = reports_find(js, j->number);

	return set != NULL && set->nended == SHARDS;
}

/* ---- time ---- */

static uint32_t
nactive(const struct shard_jobs *js, int64_t now_us)
{
	uint32_t n = 0;

	for (uint32_t i = 0; js->stored != NULL && i < js->stored->n; i++) {
		const struct job *j = js->stored->v[i];

		n += job_active(j) || (j->state.status == JOB_QUEUED && j->start_us <= now_us);
	}
	return n;
}

static uint32_t
nrunning(const struct shard_jobs *js)
{
	uint32_t n = 0;

	for (uint32_t i = 0; js->stored != NULL && i < js->stored->n; i++)
		n += job_active(js->stored->v[i]);
	return n;
}

static int64_t
deadline_us(const struct job *j)
{
	return j->state.began_us + j->max_s * 1000000;
}

/* So many may run, or be queued to run at once. */
static uint32_t
active_most(const struct hub_env *env)
{
	return (uint32_t)limit_most(env->counts, LIMIT_ACTIVE_JOBS, JOBS_ACTIVE_MAX);
}

/* The state that follows, or the same. */
static struct job_state
next_state(const struct shard *sh, const struct job *j, const struct hub_env *env)
{
	const struct shard_jobs *js = jobs_of(sh);
	struct job_state s = j->state;
	int64_t now_us = env->now_us;

	if (job_active(j) && all_ended(js, j)) {
		s.counts = jobs_counts(sh, j);
		s.settled = true;
		if (s.status == JOB_RUNNING) {
			s.status = s.stop == JOB_STOP_FAILED ? JOB_FAILED : JOB_COMPLETED;
			s.end_us = now_us;
		}
	} else if (s.status == JOB_RUNNING && s.stop == JOB_GOES_ON && is_broken(js, j)) {
		s.stop = JOB_STOP_FAILED;
		s.stopped_us = now_us;
		s.failure = STR("a stored record that queryCondition asks for is damaged");
	} else if (s.status == JOB_RUNNING && s.stop == JOB_GOES_ON && deadline_us(j) <= now_us) {
		s.stop = JOB_STOP_LATE;
		s.stopped_us = now_us;
	} else if (s.status == JOB_QUEUED && j->start_us > now_us) {
		s.status = JOB_SCHEDULED;
	} else if ((s.status == JOB_QUEUED || s.status == JOB_SCHEDULED) && j->start_us <= now_us &&
	    nrunning(js) < active_most(env)) {
		s.status = JOB_RUNNING;
		s.began_us = now_us;
	}
	return s;
}

/* When a job is to be looked at again; full: no other one may be begun before one has ended. */
static int64_t
due_us(const struct job *j, bool full)
{
	if (j->state.settled)
		return j->state.end_us + JOB_HISTORY_US;
	if (j->state.status == JOB_SCHEDULED)
		return full ? INT64_MAX : j->start_us;
	return j->state.status == JOB_RUNNING && j->state.stop == JOB_GOES_ON ? deadline_us(j)
	                                                                      : INT64_MAX;
}

/* One step of one job; false: there is none to be made. */
static bool
tick_one(struct shard *sh, const struct job *j, const struct hub_env *env)
{
	struct job_state s = next_state(sh, j, env);

	if (j->state.settled && j->state.end_us + JOB_HISTORY_US <= env->now_us) {
		job_store(sh, j->id, NULL, env);
		return true;
	}
	if (s.status == j->state.status && s.stop == j->state.stop && s.settled == j->state.settled)
		return false;
	job_move(sh, j, &s, env);
	return true;
}

int64_t
jobs_tick(struct shard *sh, const struct hub_env *env)
{
	struct shard_jobs *js = jobs_of(sh);
	int64_t next_us = INT64_MAX;
	bool full;

	if (js->stored == NULL)
		return INT64_MAX;
	if (js->next_us > env->now_us && js->most == active_most(env))
		return js->next_us;
	for (uint32_t i = 0; i < js->stored->n;) {
		uint64_t number = js->stored->v[i]->number;

		if (tick_one(sh, js->stored->v[i], env)) {
			i = jobs_from(js->stored, number); /* the same one again, if it is there */
			continue;
		}
		i++;
	}
	js->most = active_most(env);
	full = nrunning(js) >= js->most;
	for (uint32_t i = 0; i < js->stored->n; i++) {
		int64_t us = due_us(js->stored->v[i], full);

		if (us < next_us)
			next_us = us;
	}
	js->next_us = next_us;
	return next_us;
}

/* ---- operations ---- */

static void
reply_job(const struct shard *sh, const struct job *j, struct reply *reply)
{
	struct hub_job row;

	hub_job_open(&row, sh, j);
	hub_job_ops.write_document(&row, &reply->body);
}

static struct job *
job_named(struct shard *sh, const struct op *op, struct reply *reply)
{
	struct job *j = jobs_find(jobs_of(sh)->stored, op->name);

	if (j == NULL)
		fault_set(
		    &reply->fault, F_JobNotFound, "there is no job " STR_FMT, STR_ARG(op->name));
	return j;
}

static uint64_t
stored_bytes(const struct jobs *all)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < all->n; i++)
		n += all->v[i]->state.counts.bytes;
	return n;
}

static struct job *
oldest_settled(const struct jobs *all)
{
	for (uint32_t i = 0; i < all->n; i++)
		if (all->v[i]->state.settled)
			return all->v[i];
	return NULL;
}

/* Room for one more; the oldest that have ended give way. */
static enum err
make_room(struct shard *sh, const struct hub_env *env, struct fault *f)
{
	struct jobs *all;
	struct job *old;

	while ((all = jobs_of(sh)->stored) != NULL &&
	    (all->n >= JOBS_MAX || stored_bytes(all) > JOBS_BYTES_MAX)) {
		if ((old = oldest_settled(all)) == NULL)
			break;
		job_store(sh, old->id, NULL, env);
	}
	if (all == NULL || all->n < JOBS_MAX)
		return ERR_OK;
	return fault_set(f, F_ThrottlingMaxActiveJobCountExceeded,
	    "%u jobs are waiting or running, the limit", JOBS_MAX);
}

static enum err
check_start(struct shard *sh, const struct job *j, const struct hub_env *env, struct fault *f)
{
	if (j->start_us > env->now_us || nactive(jobs_of(sh), env->now_us) < active_most(env))
		return ERR_OK;
	return fault_set(f, F_ThrottlingMaxActiveJobCountExceeded,
	    "%u jobs are running or queued to run at once, the limit", active_most(env));
}

static uint64_t
next_number(struct shard *sh)
{
	const struct jobs *set = jobs_of(sh)->stored;

	return shard_number(sh, set != NULL && set->n > 0 ? set->v[set->n - 1]->number : 0);
}

/* NULL: f says why not. */
static struct job *
make_job(struct shard *sh, const struct op *op, const struct hub_env *env, struct fault *f)
{
	struct buf unique = { 0 }, record = { 0 };
	struct doc body = doc_of(op->payload);
	struct job *j = NULL;

	if (id_is_dots(op->name)) {
		fault_set(f, F_ArgumentInvalid,
		    "the id is " STR_FMT ", which paths of URLs leave out", STR_ARG(op->name));
		return NULL;
	}
	if (op->nduplicate > 0) {
		doc_put_unique(&unique, body);
		body = doc_of(buf_view(&unique));
	}
	if (job_encode_new(&record, op->name, next_number(sh), body, env->now_us, f) == ERR_OK &&
	    job_new(buf_view(&record), &j) != ERR_OK)
		j = NULL;
	buf_fini(&unique);
	buf_fini(&record);
	return j;
}

void
on_job_put(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct shard_jobs *js = jobs_of(sh);
	struct job *j = NULL;

	(void)r;
	if (jobs_find(js->stored, op->name) != NULL) {
		fault_set(&reply->fault, F_JobAlreadyExists, "the job " STR_FMT " exists",
		    STR_ARG(op->name));
	} else if ((j = make_job(sh, op, env, &reply->fault)) != NULL &&
	    check_start(sh, j, env, &reply->fault) == ERR_OK &&
	    make_room(sh, env, &reply->fault) == ERR_OK) {
		reply_job(sh, j, reply);
		job_store(sh, j->id, &j->record, env);
	}
	job_unref(j);
}

void
on_job_get(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct job *j = job_named(sh, op, reply);

	(void)r, (void)env;
	if (j != NULL)
		reply_job(sh, j, reply);
}

void
on_job_cancel(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct job *j = job_named(sh, op, reply);
	struct job_state s;

	(void)r;
	if (j == NULL)
		return;
	s = j->state;
	if (job_ended(j) || s.stop != JOB_GOES_ON) {
		fault_set(&reply->fault, F_OperationNotAllowedInCurrentState,
		    "the job " STR_FMT " has ended", STR_ARG(op->name));
		return;
	}
	s.status = JOB_CANCELLED;
	s.stop = JOB_STOP_CANCELLED;
	s.end_us = s.stopped_us = env->now_us;
	s.settled = s.began_us == 0;
	job_move(sh, j, &s, env);
	reply_job(sh, jobs_find(jobs_of(sh)->stored, op->name), reply);
}
