/*
 * Backups of a running hub: of its own accord, by --backup-dir, and when an operator asks. One at a time; what is read and written for one is
 * paced. How they went is remembered, for /readyz, GET /admin/backups and metrics. O-160 to O-167.
 */
#include "backup/backup.h"
#include "hub/hub.h"
#include "os/os.h"
#include "os/thread.h"
#include "server/priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define SECOND_US  INT64_C(1000000)
#define RETRY_US   (300 * SECOND_US) /* after a failure, unless the next one is due before */
#define NAME_TRIES 60u
#define SAID_MAX   1000u /* backups of the directory in an answer */

struct success {
	char path[DATA_PATH_MAX];
	struct backup_made made;
	int64_t at_us,
	    took_us; /* when it began, by the wall clock; 0: it was there before this start */
	bool scheduled;
};

struct backups {
	char hub[64];
	pthread_mutex_t making; /* who makes one */
	int64_t due_ns;         /* of the next read or write; under it */
	pthread_mutex_t mu;
	pthread_cond_t wake;
	struct thread thread;
	bool stop;
	int64_t running_us; /* since when one is being made, by the wall clock; 0: none is */
	uint64_t nsuccess, nfailure; /* since the start */
	struct success last;         /* at_us 0: none is known */
	int64_t failed_us;           /* the last failure; 0: none */
	int64_t failing_us; /* since when no scheduled one has gone well; 0: the last did */
	char failed_path[DATA_PATH_MAX], why[FAULT_TEXT_MAX];
	int64_t next_us; /* by the wall clock, of the next scheduled one; 0: there are none */
};

/* ---- pace ---- */

static bool
stopping(struct backups *b)
{
	bool stop;

	pthread_mutex_lock(&b->mu);
	stop = b->stop;
	pthread_mutex_unlock(&b->mu);
	return stop;
}

/* False when the hub stops. */
static bool
rest_until(struct backups *b, int64_t until_us)
{
	bool stop;

	pthread_mutex_lock(&b->mu);
	while (!b->stop && cond_wait_until(&b->wake, &b->mu, until_us))
		;
	stop = b->stop;
	pthread_mutex_unlock(&b->mu);
	return !stop;
}

static bool
pace(void *ctx, size_t nbyte)
{
	struct server *s = ctx;
	struct backups *b = s->backups;
	int64_t now = clock_mono_ns();

	if (s->o.backup_bytes == 0)
		return !stopping(b);
	if (b->due_ns < now)
		b->due_ns = now;
	if (!rest_until(b, b->due_ns / 1000))
		return false;
	b->due_ns += (int64_t)((double)nbyte / (double)s->o.backup_bytes * 1e9);
	return true;
}

/* ---- one ---- */

static void
warn(void *ctx, const char *line)
{
	(void)ctx;
	log_text(LOG_WARN, "%s", line);
}

static void
note_success(struct backups *b, const struct success *done)
{
	pthread_mutex_lock(&b->mu);
	b->last = *done;
	b->nsuccess++;
	if (done->scheduled)
		b->failing_us = 0;
	pthread_mutex_unlock(&b->mu);
	log_text(LOG_INFO,
	    "backup made: %s, %" PRIu64 " bytes in %" PRIu64 " files, %" PRIu64
	    " bytes copied, %" PRIu64 " identities, %" PRId64 " ms",
	    done->path, done->made.bytes, done->made.files, done->made.copied_bytes,
	    done->made.identities, done->took_us / 1000);
}

static void
note_failure(struct backups *b, const char *path, bool scheduled, const char *why)
{
	int64_t now = clock_wall_us();

	pthread_mutex_lock(&b->mu);
	b->nfailure++;
	b->failed_us = now;
	if (scheduled && b->failing_us == 0)
		b->failing_us = now;
	snprintf(b->failed_path, sizeof(b->failed_path), "%s", path);
	snprintf(b->why, sizeof(b->why), "%s", why);
	pthread_mutex_unlock(&b->mu);
	log_text(LOG_ERROR, "backup failed: %s: %s", path, why);
}

static void
say_running(struct backups *b, int64_t since_us)
{
	pthread_mutex_lock(&b->mu);
	b->running_us = since_us;
	pthread_mutex_unlock(&b->mu);
}

/* like: "" when there is none. */
static enum err
make(struct server *s, const char *path, const char *like, bool scheduled, struct success *done,
    struct fault *f)
{
	struct backups *b = s->backups;
	struct backup_source from = { .store = s->store,
		.data = s->o.data,
		.config = s->o.config,
		.program = TWINHUB_VERSION,
		.hub = b->hub,
		.format = DATA_FORMAT,
		.like = like[0] != '\0' ? like : NULL,
		.pace = pace,
		.ctx = s,
		.warn = warn };
	int64_t began_us;
	enum err e;

	pthread_mutex_lock(&b->making);
	began_us = clock_mono_us();
	from.made_us = clock_wall_us();
	*done = (struct success){ .at_us = from.made_us, .scheduled = scheduled };
	snprintf(done->path, sizeof(done->path), "%s", path);
	say_running(b, from.made_us);
	e = backup_make(&from, path, &done->made, f);
	say_running(b, 0);
	done->took_us = clock_mono_us() - began_us;
	pthread_mutex_unlock(&b->making);
	if (e == ERR_OK)
		note_success(b, done);
	/* Of no such place who asked is told; a name that another hub has just taken is no failure. */
	else if (scheduled ? e != ERR_EXISTS : f->code != F_ArgumentInvalid)
		note_failure(b, path, scheduled, f->text);
	return e;
}

/* ---- when an operator asks ---- */

static void
put_made(struct out *o, const struct success *done)
{
	out_time(out_key(o, "made"), done->at_us);
	out_u64(out_key(o, "files"), done->made.files);
	out_u64(out_key(o, "bytes"), done->made.bytes);
	out_u64(out_key(o, "identities"), done->made.identities);
	if (done->took_us == 0)
		return;
	out_u64(out_key(o, "copiedBytes"), done->made.copied_bytes);
	out_fixed(out_key(o, "seconds"), (double)done->took_us / 1e6, 3);
}

enum err
admin_backup(void *ctx, struct str to, struct buf *json, struct fault *f)
{
	struct server *s = ctx;
	struct out o = out_to(json);
	char *dir = str_dup0(to);
	struct success done;
	enum err e = make(s, dir, "", false, &done, f);

	if (e == ERR_OK) {
		out_open(&o);
		out_cstr(out_key(&o, "backup"), dir);
		put_made(&o, &done);
		out_close(&o);
	}
	free(dir);
	return e;
}

/* ---- of its own accord ---- */

static void
told_cut_short(void *ctx, const char *path)
{
	(void)ctx;
	log_text(LOG_WARN, "%s was cut short, and is removed", path);
}

/* The directory, absolute: the working directory is the hub's, and paths are told to others. */
static enum err
directory(const struct server *s, char out[DATA_PATH_MAX], struct fault *f)
{
	const char *dir = s->o.backup_dir;
	char *real;

	if ((real = realpath(dir, NULL)) == NULL)
		return os_fault(f, "finding", dir);
	snprintf(out, DATA_PATH_MAX, "%s", real);
	free(real);
	return ERR_OK;
}

/* Who has made it will not wonder; who had backups in it wonders where they are. */
static enum err
directory_make(const struct server *s, struct fault *f)
{
	const char *dir = s->o.backup_dir;

	if (mkdir(dir, 0700) != 0)
		return errno == EEXIST ? ERR_OK : os_fault(f, "making", dir);
	log_text(LOG_WARN, "%s was not there, and is made for backups", dir);
	return os_sync_parent(dir, f);
}

static bool
is_free(const char *path)
{
	char partial[DATA_PATH_MAX + 16];
	struct stat st;

	snprintf(partial, sizeof(partial), "%s.partial", path); /* another hub's, of this second */
	return lstat(path, &st) != 0 && errno == ENOENT && lstat(partial, &st) != 0 &&
	    errno == ENOENT;
}

/* A name of its own, even if one of this second is there. */
static bool
name_new(const char *dir, int64_t now_us, char name[BACKUP_DIR_NAME_MAX], char path[DATA_PATH_MAX])
{
	for (unsigned i = 0; i < NAME_TRIES; i++) {
		backup_dir_name(now_us + (int64_t)i * SECOND_US, name);
		if (!data_path(path, dir, name))
			return false;
		if (is_free(path))
			return true;
	}
	return false;
}

static void
keep(struct server *s, const char *dir, const char *name)
{
	struct fault f = { 0 };
	unsigned gone;

	if (backups_keep(dir, s->backups->hub, name, (unsigned)s->o.backup_keep, &gone, &f) !=
	    ERR_OK)
		log_text(LOG_WARN, "old backups cannot be removed: %s", f.text);
	if (gone > 0)
		log_text(LOG_INFO, "%u old backups removed, %u are kept", gone,
		    (unsigned)s->o.backup_keep);
}

/* Several hubs may have the directory, and choose the same name. name: of the last that was tried. */
static enum err
make_named(struct server *s, const char *dir, const char *like, char name[BACKUP_DIR_NAME_MAX])
{
	char path[DATA_PATH_MAX] = "";
	struct success done;
	struct fault f = { 0 };
	enum err e = ERR_EXISTS;

	fault_set(&f, F_ServerError, "there is no name for it");
	for (unsigned i = 0; i < NAME_TRIES && e == ERR_EXISTS; i++) {
		if (!name_new(dir, clock_wall_us(), name, path))
			break;
		f = (struct fault){ 0 };
		e = make(s, path, like, true, &done, &f);
	}
	if (e == ERR_EXISTS)
		note_failure(s->backups, path[0] != '\0' ? path : dir, true, f.text);
	return e;
}

/* False: it failed. */
static bool
run_scheduled(struct server *s)
{
	char dir[DATA_PATH_MAX], like[DATA_PATH_MAX] = "", name[BACKUP_DIR_NAME_MAX];
	struct backup_seen *v = NULL;
	struct fault f = { 0 };
	size_t n = 0;

	if (directory_make(s, &f) != ERR_OK || directory(s, dir, &f) != ERR_OK ||
	    backups_list(dir, s->backups->hub, &v, &n, &f) != ERR_OK) {
		note_failure(s->backups, s->o.backup_dir, true, f.text);
		free(v);
		return false;
	}
	backups_clean(dir, s->backups->hub, told_cut_short, NULL);
	if (n > 0 && !data_path(like, dir, v[0].name))
		like[0] = '\0';
	free(v);
	if (make_named(s, dir, like, name) != ERR_OK)
		return false;
	keep(s, dir, name);
	return true;
}

/* The newest that is there: its path is remembered as that of the last one. How long until the next is due: us. */
static int64_t
first_due(struct server *s)
{
	struct backups *b = s->backups;
	int64_t every = (int64_t)s->o.backup_every_s * SECOND_US, since = every;
	char dir[DATA_PATH_MAX];
	struct backup_seen *v = NULL;
	struct fault f;
	size_t n = 0;

	if (directory(s, dir, &f) == ERR_OK && backups_list(dir, b->hub, &v, &n, &f) == ERR_OK &&
	    n > 0) {
		since = clock_wall_us() - v[0].made_us;
		pthread_mutex_lock(&b->mu);
		b->last = (struct success){ .made = { v[0].files, v[0].bytes, 0, v[0].identities },
			.at_us = v[0].made_us,
			.scheduled = true };
		if (!data_path(b->last.path, dir, v[0].name))
			b->last.at_us = 0;
		pthread_mutex_unlock(&b->mu);
	}
	free(v);
	return since < 0 ? every : since >= every ? 0 : every - since;
}

static void
say_next(struct backups *b, int64_t in_us)
{
	pthread_mutex_lock(&b->mu);
	b->next_us = clock_wall_us() + in_us;
	pthread_mutex_unlock(&b->mu);
}

static void
backups_main(void *ctx)
{
	struct server *s = ctx;
	struct backups *b = s->backups;
	int64_t every = (int64_t)s->o.backup_every_s * SECOND_US, due = clock_mono_us(), now;
	int64_t retry = every < RETRY_US ? every : RETRY_US;

	for (due += first_due(s);; due += run_scheduled(s) ? every : retry) {
		if (due < (now = clock_mono_us())) /* it took longer than that */
			due = now;
		say_next(b, due - now);
		if (!rest_until(b, due))
			return;
	}
}

/* ---- how they went ---- */

static void
put_list(struct server *s, struct out *o)
{
	char dir[DATA_PATH_MAX], path[DATA_PATH_MAX];
	struct backup_seen *v = NULL;
	struct fault f;
	size_t n = 0;

	out_list(out_key(o, "backups"));
	if (directory(s, dir, &f) == ERR_OK)
		backups_list(dir, s->backups->hub, &v, &n, &f);
	for (size_t i = 0; i < n && i < SAID_MAX; i++) {
		out_open(o);
		if (data_path(path, dir, v[i].name))
			out_cstr(out_key(o, "path"), path);
		out_time(out_key(o, "made"), v[i].made_us);
		out_u64(out_key(o, "files"), v[i].files);
		out_u64(out_key(o, "bytes"), v[i].bytes);
		out_u64(out_key(o, "identities"), v[i].identities);
		out_close(o);
	}
	out_close(o);
	free(v);
}

static void
put_state(struct backups *b, struct out *o)
{
	pthread_mutex_lock(&b->mu);
	out_bool(out_key(o, "running"), b->running_us != 0);
	out_some_time(o, "runningSince", b->running_us);
	out_u64(out_key(o, "successes"), b->nsuccess);
	out_u64(out_key(o, "failures"), b->nfailure);
	if (b->last.at_us != 0) {
		out_open(out_key(o, "lastSuccess"));
		out_cstr(out_key(o, "path"), b->last.path);
		out_bool(out_key(o, "scheduled"), b->last.scheduled);
		put_made(o, &b->last);
		out_close(o);
	}
	if (b->failed_us != 0) {
		out_open(out_key(o, "lastFailure"));
		out_cstr(out_key(o, "path"), b->failed_path);
		out_time(out_key(o, "time"), b->failed_us);
		out_cstr(out_key(o, "why"), b->why);
		out_close(o);
	}
	out_some_time(o, "failingSince", b->failing_us);
	out_some_time(o, "next", b->next_us);
	pthread_mutex_unlock(&b->mu);
}

void
admin_backups(void *ctx, struct buf *json)
{
	struct server *s = ctx;
	struct out o = out_to(json);

	out_open(&o);
	if (s->o.backup_dir != NULL) {
		out_cstr(out_key(&o, "directory"), s->o.backup_dir);
		out_u64(out_key(&o, "everySeconds"), s->o.backup_every_s);
		out_u64(out_key(&o, "keep"), s->o.backup_keep);
	}
	put_state(s->backups, &o);
	if (s->o.backup_dir != NULL)
		put_list(s, &o);
	out_close(&o);
}

int64_t
admin_backups_failing(void *ctx)
{
	struct server *s = ctx;
	int64_t since;

	pthread_mutex_lock(&s->backups->mu);
	since = s->backups->failing_us;
	pthread_mutex_unlock(&s->backups->mu);
	return since;
}

void
backups_figures(const struct server *s, struct backups_figures *out)
{
	struct backups *b = s->backups;

	pthread_mutex_lock(&b->mu);
	*out = (struct backups_figures){ (double)b->last.at_us / 1e6, (double)b->last.took_us / 1e6,
		b->last.made.bytes, b->nsuccess, b->nfailure };
	pthread_mutex_unlock(&b->mu);
}

/* ---- their life ---- */

enum err
backups_place_check(struct server *s)
{
	const char *dir = s->o.backup_dir;
	char in_it[DATA_PATH_MAX];
	bool below = false;

	if (dir == NULL)
		return ERR_OK;
	if (!data_path(in_it, dir, "x"))
		return fail(s, "the path of --backup-dir is too long");
	/* What a link leads to, if it is there; else what it would be made in. */
	if (os_is_below(in_it, s->o.data, &below, NULL) != ERR_OK)
		os_is_below(dir, s->o.data, &below, NULL);
	return below ? fail(s, "--backup-dir %s is in the hub's data directory", dir) : ERR_OK;
}

enum err
backups_make(struct server *s)
{
	struct backups *b = xcalloc(1, sizeof(*b));

	s->backups = b;
	pthread_mutex_init(&b->making, NULL);
	pthread_mutex_init(&b->mu, NULL);
	cond_init(&b->wake);
	if (data_hub_id(s->o.data, b->hub, sizeof(b->hub), s->why, sizeof(s->why)) != ERR_OK)
		return ERR_ARG;
	if (backup_clean_stage(s->o.data))
		log_text(LOG_WARN, "a backup was cut short: what is left of it in %s is removed",
		    s->o.data);
	return backups_place_check(s);
}

enum err
backups_start(struct server *s)
{
	struct fault f = { 0 };

	if (s->o.backup_dir == NULL ||
	    thread_start(&s->backups->thread, backups_main, s, &f, "backups") == ERR_OK)
		return ERR_OK;
	return fail(s, "%s", f.text);
}

void
backups_stop(struct server *s)
{
	struct backups *b = s->backups;

	pthread_mutex_lock(&b->mu);
	b->stop = true;
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->mu);
	thread_join(&b->thread);
}

void
backups_free(struct server *s)
{
	struct backups *b = s->backups;

	if (b == NULL)
		return;
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->mu);
	pthread_mutex_destroy(&b->making);
	free(b);
	s->backups = NULL;
}
