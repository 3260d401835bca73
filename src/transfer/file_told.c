/* The end of an import or export job on files, told to the log as shard 0 tells that of others (docs/spec/events.md, E-95). */
#include "log/log.h"
#include "transfer/files.h"

#define AGAIN_US (INT64_C(1) * 1000000)
#define TRIES    60 /* of a hub that takes no changes, as import_batch's */

static void
put_counts(struct out *o, const struct file_job *job)
{
	out_open(out_key(o, "deviceJobStatistics"));
	out_u64(out_key(o, "deviceCount"), job->done + job->failed);
	out_u64(out_key(o, "failedCount"), job->failed);
	out_u64(out_key(o, "succeededCount"), job->done);
	out_close(o);
}

static void
put_told(struct buf *doc, const struct file_job *job, enum file_job_status status, int64_t end_us)
{
	struct str reason = str_of(job->reason);
	struct doc_writer dw;
	struct out o;

	if (!utf8_valid(reason)) /* it may be cut */
		reason = STR_NONE;
	doc_writer_init(&dw, doc, 0);
	o = out_to_doc(&dw);
	out_open(&o);
	out_cstr(out_key(&o, "jobId"), job->id);
	out_cstr(out_key(&o, "type"), job->import ? "import" : "export");
	out_cstr(out_key(&o, "status"), file_job_status_name(status));
	out_time(out_key(&o, "startTime"), job->start_us);
	out_time(out_key(&o, "endTime"), end_us);
	out_some_str(&o, "failureReason", reason);
	put_counts(&o, job);
	out_close(&o);
}

/* On the loop. */
static void
told(struct work *w)
{
	struct file_jobs *j = w->owner;

	pthread_mutex_lock(&j->mu);
	j->told = true;
	j->refused = w->reply.fault.code != F_NONE;
	pthread_cond_signal(&j->stopped);
	pthread_mutex_unlock(&j->mu);
	work_free(w);
}

static bool
tell(struct file_jobs *j, struct str id, struct str what)
{
	struct work *w = work_new(j->o.loop, id.n + what.n, told);
	bool taken;

	w->op.kind = OP_JOB_TOLD;
	w->op.actor = ACTOR_JOB;
	w->op.actor_name = work_str(w, id);
	w->op.told = work_str(w, what);
	w->owner = j;
	j->told = false;
	fleet_submit(j->o.fleet, w);
	pthread_mutex_lock(&j->mu);
	while (!j->told)
		pthread_cond_wait(&j->stopped, &j->mu);
	taken = !j->refused;
	pthread_mutex_unlock(&j->mu);
	return taken;
}

/* False: the hub stops. */
static bool
rest(struct file_jobs *j)
{
	int64_t until_us = clock_mono_us() + AGAIN_US;
	bool stop;

	pthread_mutex_lock(&j->mu);
	while (!j->stop && cond_wait_until(&j->stopped, &j->mu, until_us))
		;
	stop = j->stop;
	pthread_mutex_unlock(&j->mu);
	return !stop;
}

void
file_job_tell(struct file_job *job, enum file_job_status status, int64_t end_us)
{
	struct buf doc = { 0 };
	bool taken = false;

	put_told(&doc, job, status, end_us);
	for (int i = 0; i < TRIES && !taken; i++) {
		taken = tell(job->all, str_of(job->id), buf_view(&doc));
		if (!taken && !rest(job->all))
			break;
	}
	if (!taken)
		log_text(LOG_WARN,
		    "the end of job %s is not in the event log: the hub takes no changes", job->id);
	buf_fini(&doc);
}
