/* What a job does with its files, page by page or batch by batch, until it is through or is to stop. */
#include "foreign/foreign.h"
#include "transfer/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ERRORS     "importErrors.log"
#define PATIENCE_S 60 /* for a hub that takes no changes */

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

/* A second, whatever the wall clock does, or until it is to stop. */
static void
job_rests(struct file_job *job)
{
	int64_t until_us = clock_mono_us() + 1000000;

	pthread_mutex_lock(&job->all->mu);
	if (job->status == RUNNING && !job->all->stop)
		cond_wait_until(&job->all->stopped, &job->all->mu, until_us);
	pthread_mutex_unlock(&job->all->mu);
}

/* ---- export ---- */

static bool
export_pages(struct file_job *job, struct new_file *nf)
{
	struct file_jobs_options *o = &job->all->o;
	struct buf lines = { 0 }, cursor = { 0 }, next = { 0 };
	struct fault f = { 0 };
	uint64_t nline = 0;
	bool good = true;

	do {
		lines.n = next.n = 0;
		if (export_page(o->store, buf_view(&cursor), EXPORT_LINES_MAX, job->keys, &lines,
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
		cursor.n = 0;
		buf_str(&cursor, buf_view(&next));
	} while (good && cursor.n > 0 && job_goes_on(job));
	job->done = nline;
	buf_fini(&lines), buf_fini(&cursor), buf_fini(&next);
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

/* The lines of one batch; on an error the job cannot go on. */
static enum err
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
	return e;
}

static bool
batch_run(struct file_job *job, const struct batch *b, struct new_file *errors)
{
	struct import_result result = { 0 };
	struct buf lines = { 0 };
	struct fault f = { 0 };
	bool good = true;

	if (b->too_long > 0) {
		import_long_line_write(&lines, b->line, b->too_long);
		job->failed++;
	} else if (import_batch(job, b, &result, &f) == ERR_OK) {
		import_faults_write(&lines, &result);
		job->done += result.ndone;
		job->failed += result.nfault;
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

static void
cannot_read(struct file_job *job)
{
	job_fails(job, "%s cannot be read: %s", job->name[0], strerror(errno));
}

/* Of another format each line would be refused, and none would say why. */
static bool
is_lines(struct file_job *job, struct line_reader *r)
{
	enum foreign_kind kind;
	struct str head;
	bool taken;

	if (line_reader_peek(r, &head) != ERR_OK) {
		cannot_read(job);
		return false;
	}
	head.n = head.n < FOREIGN_HEAD_MAX ? head.n : FOREIGN_HEAD_MAX;
	kind = foreign_kind(head);
	taken = kind == FOREIGN_STATE || kind == FOREIGN_CSV;
	if (kind != FOREIGN_LINES)
		job_fails(job, "%s is %s: a job imports lines of JSON, one object each, as UTF-8%s",
		    job->name[0], foreign_name(kind), taken ? " (twinhub import takes it)" : "");
	return kind == FOREIGN_LINES;
}

static bool
import_batches(struct file_job *job, int fd, uint64_t size, struct new_file *errors)
{
	struct line_reader r = { .fd = fd, .line = 1 };
	struct batch b = { 0 };
	bool good = is_lines(job, &r);

	while (good && job_goes_on(job)) {
		if (batch_read(&r, &b) != ERR_OK) {
			cannot_read(job);
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

void
file_job_run(struct file_job *job)
{
	if (job->import)
		import_run(job);
	else
		export_run(job);
}
