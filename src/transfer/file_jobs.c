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
#include "transfer/files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ID_DIGITS  32
#define DEVICES    "devices.txt"
#define ERRORS     "importErrors.log"
#define PATIENCE_S 60 /* for a hub that takes no changes */

enum file_job_status { RUNNING, COMPLETED, FAILED, CANCELLED };

struct file_job {
	struct file_job *next; /* older */
	struct file_jobs *all;
	char id[ID_DIGITS + 1];
	bool import, keys;
	char *uri[2], *name[2]; /* of the input and the output; uri[0] NULL: an export */
	char *actor;
	int in, out; /* directories; the thread's */
	/* with mu: */
	enum file_job_status status;
	unsigned progress;
	int64_t start_us, end_us;
	char reason[FAULT_TEXT_MAX];
};

struct file_jobs {
	struct file_jobs_options o;
	struct container_root *roots;
	pthread_mutex_t mu;
	pthread_cond_t stopped; /* signalled with stop and with a cancel */
	struct file_job *newest;
	unsigned n;
	bool stop, busy; /* busy: a thread works */
	bool has_thread; /* one is to be joined */
	pthread_t thread;
};

/* ---- the state, under mu ---- */

static bool
job_goes_on(struct file_job *job)
{
	bool on;

	pthread_mutex_lock(&job->all->mu);
	on = job->status == RUNNING && !job->all->stop;
	pthread_mutex_unlock(&job->all->mu);
	return on;
}

static void
job_progress(struct file_job *job, uint64_t done, uint64_t all)
{
	unsigned percent = all > 0 && done < all ? (unsigned)(done * 100 / all) : 99;

	pthread_mutex_lock(&job->all->mu);
	job->progress = percent < 99 ? percent : 99;
	pthread_mutex_unlock(&job->all->mu);
}

static void __attribute__((format(printf, 2, 3)))
job_fails(struct file_job *job, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	pthread_mutex_lock(&job->all->mu);
	if (job->status == RUNNING) {
		job->status = FAILED;
		vsnprintf(job->reason, sizeof(job->reason), fmt, ap);
	}
	pthread_mutex_unlock(&job->all->mu);
	va_end(ap);
}

/* A second, or until it is to stop. */
static void
job_rests(struct file_job *job)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&job->all->mu);
	if (job->status == RUNNING && !job->all->stop)
		pthread_cond_timedwait(&job->all->stopped, &job->all->mu, &until);
	pthread_mutex_unlock(&job->all->mu);
}

/* ---- export ---- */

static bool
export_pages(struct file_job *job, struct new_file *nf)
{
	struct file_jobs_options *o = &job->all->o;
	struct buf lines = { 0 }, place = { 0 }, next = { 0 };
	struct fault f = { 0 };
	uint64_t nline = 0;
	bool good = true;

	do {
		lines.n = next.n = 0;
		if (export_page(o->store, buf_view(&place), EXPORT_LINES_MAX, job->keys, &lines,
		        &next, &f) != ERR_OK) {
			job_fails(job, "%s", f.text);
			good = false;
		} else if (!new_file_write(nf, buf_view(&lines))) {
			job_fails(job, "%s cannot be written: %s", nf->name, strerror(errno));
			good = false;
		}
		for (size_t i = 0; i < lines.n; i++)
			nline += lines.p[i] == '\n';
		job_progress(job, nline, fleet_identities(o->fleet));
		place.n = 0;
		buf_str(&place, buf_view(&next));
	} while (good && place.n > 0 && job_goes_on(job));
	buf_fini(&lines), buf_fini(&place), buf_fini(&next);
	return good && job_goes_on(job);
}

static void
export_run(struct file_job *job)
{
	struct new_file nf;

	if (!new_file_open(&nf, job->out, str_of(job->name[1]), job->id))
		job_fails(job, "%s cannot be made: %s", job->name[1], strerror(errno));
	else if (export_pages(job, &nf) && !new_file_commit(&nf))
		job_fails(job, "%s cannot be written: %s", job->name[1], strerror(errno));
	new_file_end(&nf);
}

/* ---- import ---- */

/* The lines of one batch; false: it cannot go on. */
static bool
import_batch(
    struct file_job *job, const struct batch *b, struct import_result *out, struct fault *f)
{
	struct import_options o = { .fleet = job->all->o.fleet,
		.actor = str_of(job->actor),
		.mode = import_mode_default,
		.first_line = b->line };
	enum err e = import_lines(&o, buf_view(&b->text), out, f);

	for (int i = 0; e == ERR_IO && i < PATIENCE_S && job_goes_on(job); i++) {
		job_rests(job);
		import_result_fini(out);
		o.again = true;
		e = import_lines(&o, buf_view(&b->text), out, f);
	}
	return e == ERR_OK;
}

static bool
batch_run(struct file_job *job, const struct batch *b, struct new_file *errors)
{
	struct import_result result = { 0 };
	struct buf lines = { 0 };
	struct fault f = { 0 };
	bool good = true;

	if (b->too_long > 0) {
		buf_printf(&lines,
		    "{\"errorCode\":%d,\"errorStatus\":\"%s: line %llu has %llu bytes, the limit "
		    "is %zu\"}\n",
		    (int)F_GenericRequestEntityTooLarge, fault_name(F_GenericRequestEntityTooLarge),
		    (unsigned long long)b->line, (unsigned long long)b->too_long, IMPORT_LINE_MAX);
	} else if (import_batch(job, b, &result, &f)) {
		import_faults_write(&lines, &result, true);
	} else {
		good = false;
		job_fails(job, "%.300s (everything before line %llu is done)", f.text,
		    (unsigned long long)b->line);
	}
	if (good && !new_file_write(errors, buf_view(&lines))) {
		good = false;
		job_fails(job, ERRORS " cannot be written: %s", strerror(errno));
	}
	import_result_fini(&result);
	buf_fini(&lines);
	return good;
}

static bool
import_batches(struct file_job *job, int fd, uint64_t size, struct new_file *errors)
{
	struct line_reader r = { .fd = fd, .line = 1 };
	struct batch b = { 0 };
	bool good = true;

	while (good && job_goes_on(job)) {
		if (batch_read(&r, &b) != ERR_OK) {
			job_fails(job, "%s cannot be read: %s", job->name[0], strerror(errno));
			good = false;
			break;
		}
		if (b.text.n == 0 && b.too_long == 0)
			break;
		good = batch_run(job, &b, errors);
		job_progress(job, b.end, size);
	}
	buf_fini(&r.in);
	buf_fini(&b.text);
	return good;
}

/* A plain file, and nothing that a read of it could wait for. */
static int
input_open(struct file_job *job, uint64_t *size)
{
	int fd = openat(job->in, job->name[0], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0) {
		job_fails(job, "%s cannot be opened: %s", job->name[0], strerror(errno));
	} else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		job_fails(job, "%s is no file", job->name[0]);
		close(fd);
		return -1;
	} else {
		*size = (uint64_t)st.st_size;
	}
	return fd;
}

/* The errors are written whatever becomes of the job: what they tell has happened. */
static void
import_run(struct file_job *job)
{
	struct new_file errors;
	uint64_t size = 0;
	int fd = input_open(job, &size);

	if (fd < 0)
		return;
	if (!new_file_open(&errors, job->out, STR(ERRORS), job->id)) {
		job_fails(job, ERRORS " cannot be made: %s", strerror(errno));
	} else {
		import_batches(job, fd, size, &errors);
		if (!new_file_commit(&errors))
			job_fails(job, ERRORS " cannot be written: %s", strerror(errno));
	}
	new_file_end(&errors);
	close(fd);
}

/* ---- the thread ---- */

static void *
job_main(void *arg)
{
	struct file_job *job = arg;
	struct file_jobs *j = job->all;

	if (job->import)
		import_run(job);
	else
		export_run(job);
	if (job->in >= 0)
		close(job->in);
	close(job->out);
	pthread_mutex_lock(&j->mu);
	if (job->status == RUNNING && j->stop)
		job->status = CANCELLED;
	else if (job->status == RUNNING) {
		job->status = COMPLETED;
		job->progress = 100;
	}
	if (job->end_us == 0)
		job->end_us = clock_wall_us();
	j->busy = false;
	pthread_mutex_unlock(&j->mu);
	return NULL;
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
make_id(char id[ID_DIGITS + 1])
{
	unsigned char random[ID_DIGITS / 2] = { 0 };

	(void)RAND_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(id + 2 * i, 3, "%02x", random[i]);
}

/* ---- views ---- */

static void
put_name(struct buf *json, const char *name)
{
	if (json->p[json->n - 1] != '{')
		buf_putc(json, ',');
	buf_printf(json, "\"%s\":", name);
}

static void
put_text(struct buf *json, const char *name, const char *value)
{
	if (value == NULL)
		return;
	put_name(json, name);
	doc_write_json_str(json, str_of(value));
}

static void
put_time(struct buf *json, const char *name, int64_t us)
{
	char t[TIME_TEXT_MAX];

	if (us == 0)
		return;
	t[time_format(us, t)] = '\0';
	put_text(json, name, t);
}

static void
properties_write(const struct file_job *job, struct buf *json)
{
	static const char *const states[] = { [RUNNING] = "running",
		[COMPLETED] = "completed",
		[FAILED] = "failed",
		[CANCELLED] = "cancelled" };

	buf_putc(json, '{');
	put_text(json, "jobId", job->id);
	put_text(json, "type", job->import ? "import" : "export");
	put_text(json, "status", states[job->status]);
	put_name(json, "progress");
	buf_u64(json, job->progress);
	put_time(json, "startTimeUtc", job->start_us);
	put_time(json, "endTimeUtc", job->end_us);
	put_text(json, "inputBlobContainerUri", job->uri[0]);
	put_text(json, "inputBlobName", job->import ? job->name[0] : NULL);
	put_text(json, "outputBlobContainerUri", job->uri[1]);
	put_text(json, "outputBlobName", job->import ? NULL : job->name[1]);
	put_name(json, "excludeKeysInExport");
	buf_cstr(json, job->keys ? "false" : "true");
	put_text(json, "storageAuthenticationType", "keyBased");
	put_text(json, "failureReason", job->reason[0] != '\0' ? job->reason : NULL);
	buf_putc(json, '}');
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

/* The oldest goes, when there are too many: never the one that runs. */
static void
jobs_trim(struct file_jobs *j)
{
	struct file_job **at = &j->newest;

	if (j->n <= FILE_JOBS_KEPT)
		return;
	while ((*at)->next != NULL)
		at = &(*at)->next;
	file_job_free(*at);
	*at = NULL;
	j->n--;
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
	if (j->has_thread)
		pthread_join(j->thread, NULL);
	j->has_thread = j->busy = pthread_create(&j->thread, NULL, job_main, job) == 0;
	if (!j->busy)
		return fault_set(f, F_ServiceUnavailable, "no thread to be had");
	job->next = j->newest;
	j->newest = job;
	j->n++;
	jobs_trim(j);
	return ERR_OK;
}

enum err
file_job_create(
    struct file_jobs *j, struct doc body, struct str policy, struct buf *json, struct fault *f)
{
	struct file_job *job = xcalloc(1, sizeof(*job));
	enum err e;

	job->all = j;
	job->in = job->out = -1;
	job->actor = str_dup0(policy);
	job->start_us = clock_wall_us();
	make_id(job->id);
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
	buf_putc(json, '[');
	pthread_mutex_lock(&j->mu);
	for (const struct file_job *job = j->newest; job != NULL; job = job->next) {
		if (job != j->newest)
			buf_putc(json, ',');
		properties_write(job, json);
	}
	pthread_mutex_unlock(&j->mu);
	buf_putc(json, ']');
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
file_job_cancel(struct file_jobs *j, struct str id)
{
	struct file_job *job;

	pthread_mutex_lock(&j->mu);
	job = job_find(j, id);
	if (job != NULL && job->status == RUNNING) {
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
	pthread_cond_init(&j->stopped, NULL);
	j->o = *o;
	j->o.ndir = 0;
	while (j->o.ndir < o->ndir && e == ERR_OK)
		if ((e = root_open(&j->roots[j->o.ndir], o->dirs[j->o.ndir], why, nwhy)) == ERR_OK)
			j->o.ndir++;
	*out = j;
	return e;
}

void
file_jobs_free(struct file_jobs *j)
{
	struct file_job *next;

	if (j == NULL)
		return;
	pthread_mutex_lock(&j->mu);
	j->stop = true;
	pthread_cond_signal(&j->stopped);
	pthread_mutex_unlock(&j->mu);
	if (j->has_thread)
		pthread_join(j->thread, NULL);
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
