/*
 * Import and export jobs (service-rest.md 12).
 *
 *   running --all is done--> completed
 *      |----cannot go on---> failed
 *      |----cancel---------> cancelled       what an import has applied by then stays
 *
 * A job is running as soon as it is made: there is no queue, a second one is refused (L-40). A cancelled one shows so at once;
 * its thread may need a moment more, and until then no other job begins.
 */
#include "metric/metric.h"
#include "transfer/files.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEVICES "devices.txt"

/* ---- the thread ---- */

static void
job_main(void *arg)
{
	struct file_job *job = arg;
	struct file_jobs *j = job->all;
	enum file_job_status status;
	int64_t end_us;

	file_job_run(job);
	if (job->in >= 0)
		close(job->in);
	close(job->out);
	pthread_mutex_lock(&j->mu);
	status = job->status != RUNNING ? job->status : j->stop ? CANCELLED : COMPLETED;
	end_us = job->end_us != 0 ? job->end_us : clock_wall_us();
	job->over = true;
	pthread_mutex_unlock(&j->mu);
	if (status == FAILED)
		metric_add(METRIC_JOBS_FAILED, METRIC_IMPORT_EXPORT, 1);
	file_job_tell(job, status, end_us);
	pthread_mutex_lock(&j->mu);
	job->status = status;
	if (status == COMPLETED)
		job->progress = 100;
	job->end_us = end_us;
	j->busy = false;
	pthread_mutex_unlock(&j->mu);
}

static void
file_job_free(struct file_job *job)
{
	for (int i = 0; i < 2; i++) {
		free(job->uri[i]);
		free(job->name[i]);
	}
	free(job->actor);
	free(job);
}

/* ---- what is asked for ---- */

static struct str
text_member(struct doc body, const char *name)
{
	struct doc v = doc_get(body, str_of(name));

	return doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
}

static char *
text_kept(struct str s)
{
	struct str before, after;

	str_cut(s, '?', &before, &after); /* a signature is nobody else's */
	return str_dup0(before);
}

static enum err
take_names(struct file_job *job, struct doc body, struct fault *f)
{
	static const char *const members[2] = { "inputBlobName", "outputBlobName" };

	for (int i = 0; i < 2; i++) {
		struct str name = text_member(body, members[i]);

		if (name.n == 0)
			name = STR(DEVICES);
		if (!blob_name_valid(name))
			return fault_set(
			    f, F_ArgumentInvalid, "%s is not the name of a file", members[i]);
		job->name[i] = str_dup0(name);
	}
	return ERR_OK;
}

static enum err
take_containers(struct file_job *job, struct doc body, struct fault *f)
{
	struct file_jobs *j = job->all;
	struct str in = text_member(body, "inputBlobContainerUri"),
	           out = text_member(body, "outputBlobContainerUri");

	if (out.n == 0 || (job->import && in.n == 0))
		return fault_set(f, F_ArgumentInvalid, "%s is missing",
		    out.n == 0 ? "outputBlobContainerUri" : "inputBlobContainerUri");
	job->uri[1] = text_kept(out);
	if (job->import) {
		job->uri[0] = text_kept(in);
		job->in = container_open(j->roots, j->o.ndir, in, f);
	}
	if (!job->import || job->in >= 0)
		job->out = container_open(j->roots, j->o.ndir, out, f);
	return job->out >= 0 ? ERR_OK : ERR_ARG;
}

static enum err
take_body(struct file_job *job, struct doc body, struct fault *f)
{
	struct str type = text_member(body, "type");

	job->import = str_ieq(type, STR("import"));
	job->keys = doc_kind(doc_getc(body, "excludeKeysInExport")) != DOC_TRUE;
	if (doc_kind(body) != DOC_OBJECT || (!job->import && !str_ieq(type, STR("export"))))
		return fault_set(f, F_ArgumentInvalid, "type is neither import nor export");
	if (doc_kind(doc_getc(body, "includeConfigurations")) == DOC_TRUE)
		return fault_set(f, F_ArgumentInvalid,
		    "includeConfigurations: this hub imports and exports identities and twins "
		    "only");
	if (take_names(job, body, f) != ERR_OK)
		return ERR_ARG;
	return take_containers(job, body, f);
}

static void
make_id(char id[FILE_JOB_ID + 1])
{
	unsigned char random[FILE_JOB_ID / 2] = { 0 };

	(void)RAND_bytes(random, sizeof(random));
	hex_write(id, random, sizeof(random));
	id[2 * sizeof(random)] = '\0';
}

/* ---- views ---- */

const char *
file_job_status_name(enum file_job_status status)
{
	static const char *const names[] = { [RUNNING] = "running",
		[COMPLETED] = "completed",
		[FAILED] = "failed",
		[CANCELLED] = "cancelled" };

	return names[status];
}

static void
put_job(struct out *o, const struct file_job *job)
{
	out_open(o);
	out_cstr(out_key(o, "jobId"), job->id);
	out_cstr(out_key(o, "type"), job->import ? "import" : "export");
	out_cstr(out_key(o, "status"), file_job_status_name(job->status));
	out_u64(out_key(o, "progress"), job->progress);
	out_some_time(o, "startTimeUtc", job->start_us);
	out_some_time(o, "endTimeUtc", job->end_us);
	out_some_str(o, "inputBlobContainerUri", str_of(job->uri[0]));
	out_some_str(o, "inputBlobName", str_of(job->import ? job->name[0] : NULL));
	out_some_str(o, "outputBlobContainerUri", str_of(job->uri[1]));
	out_some_str(o, "outputBlobName", str_of(job->import ? NULL : job->name[1]));
	out_bool(out_key(o, "excludeKeysInExport"), !job->keys);
	out_cstr(out_key(o, "storageAuthenticationType"), "keyBased");
	out_some_str(o, "failureReason", str_of(job->reason));
	out_close(o);
}

static void
properties_write(const struct file_job *job, struct buf *json)
{
	struct out o = out_to(json);

	put_job(&o, job);
}

static struct file_job *
job_find(struct file_jobs *j, struct str id)
{
	struct file_job *job = j->newest;

	while (job != NULL && !str_ieq(id, str_of(job->id)))
		job = job->next;
	return job;
}

/* ---- from outside ---- */

/* What is older than the FILE_JOBS_KEPT newest goes. The newest, which may run, is where it begins to count. */
static void
jobs_trim(struct file_job *newest)
{
	struct file_job *last = newest, *job, *older;

	for (unsigned n = 1; n < FILE_JOBS_KEPT && last->next != NULL; n++)
		last = last->next;
	job = last->next;
	last->next = NULL;
	for (; job != NULL; job = older) {
		older = job->next;
		file_job_free(job);
	}
}

/* With mu. */
static enum err
job_start(struct file_jobs *j, struct file_job *job, struct fault *f)
{
	if (j->stop)
		return fault_set(f, F_ServiceUnavailable, "the hub is stopping");
	if (j->busy)
		return fault_set(f, F_JobQuotaExceeded,
		    "another import or export job is running, one is the limit");
	thread_join(&j->thread);
	j->busy = thread_start(&j->thread, job_main, job, f, "file job") == ERR_OK;
	if (!j->busy)
		return ERR_ARG;
	job->next = j->newest;
	j->newest = job;
	jobs_trim(job);
	return ERR_OK;
}

enum err
file_job_create(struct file_jobs *j, struct doc body, struct str policy, char id[FILE_JOB_ID + 1],
    struct buf *json, struct fault *f)
{
	struct file_job *job = xcalloc(1, sizeof(*job));
	enum err e;

	job->all = j;
	job->in = job->out = -1;
	job->actor = str_dup0(policy);
	job->start_us = clock_wall_us();
	make_id(job->id);
	memcpy(id, job->id, sizeof(job->id));
	e = take_body(job, body, f);
	if (e == ERR_OK) {
		pthread_mutex_lock(&j->mu);
		if ((e = job_start(j, job, f)) == ERR_OK)
			properties_write(job, json);
		pthread_mutex_unlock(&j->mu);
	}
	if (e == ERR_OK)
		return e;
	if (job->in >= 0)
		close(job->in);
	if (job->out >= 0)
		close(job->out);
	file_job_free(job);
	return e;
}

void
file_jobs_write(struct file_jobs *j, struct buf *json)
{
	struct out o = out_to(json);

	out_list(&o);
	pthread_mutex_lock(&j->mu);
	for (const struct file_job *job = j->newest; job != NULL; job = job->next)
		put_job(&o, job);
	pthread_mutex_unlock(&j->mu);
	out_close(&o);
}

bool
file_job_write(struct file_jobs *j, struct str id, struct buf *json)
{
	const struct file_job *job;

	pthread_mutex_lock(&j->mu);
	job = job_find(j, id);
	if (job != NULL && json != NULL)
		properties_write(job, json);
	pthread_mutex_unlock(&j->mu);
	return job != NULL;
}

bool
file_job_cancel(struct file_jobs *j, struct str id, bool *was_running)
{
	struct file_job *job;

	pthread_mutex_lock(&j->mu);
	job = job_find(j, id);
	*was_running = job != NULL && job->status == RUNNING && !job->over;
	if (*was_running) {
		job->status = CANCELLED;
		job->end_us = clock_wall_us();
		pthread_cond_signal(&j->stopped);
	}
	pthread_mutex_unlock(&j->mu);
	return job != NULL;
}

enum err
file_jobs_new(const struct file_jobs_options *o, struct file_jobs **out, char *why, size_t nwhy)
{
	struct file_jobs *j = xcalloc(1, sizeof(*j));
	enum err e = ERR_OK;

	j->roots = xcalloc(o->ndir, sizeof(*j->roots));
	pthread_mutex_init(&j->mu, NULL);
	cond_init(&j->stopped);
	j->o = *o;
	j->o.ndir = 0;
	while (j->o.ndir < o->ndir && e == ERR_OK)
		if ((e = root_open(&j->roots[j->o.ndir], o->dirs[j->o.ndir], why, nwhy)) == ERR_OK)
			j->o.ndir++;
	*out = j;
	return e;
}

void
file_jobs_stop(struct file_jobs *j)
{
	pthread_mutex_lock(&j->mu);
	j->stop = true;
	pthread_cond_signal(&j->stopped);
	pthread_mutex_unlock(&j->mu);
	thread_join(&j->thread);
}

void
file_jobs_free(struct file_jobs *j)
{
	struct file_job *next;

	if (j == NULL)
		return;
	file_jobs_stop(j);
	for (struct file_job *job = j->newest; job != NULL; job = next) {
		next = job->next;
		file_job_free(job);
	}
	for (unsigned i = 0; i < j->o.ndir; i++)
		close(j->roots[i].fd);
	pthread_cond_destroy(&j->stopped);
	pthread_mutex_destroy(&j->mu);
	free(j->roots);
	free(j);
}
