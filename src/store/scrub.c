/*
 * The scrub: each table file is read again and again, slowly, so that a byte that has changed on the disk is met by us and not,
 * months later, by who asks for that twin. Nothing is mended: where the good byte is, only a backup knows. What is damaged is told
 * once, by the file's name, and kept until the file is gone or reads well again.
 *
 *   pass: the files that are in use -> one after the other, at scrub_bytes_per_s -> scrub_rest_ms -> pass ...
 *
 * A pass holds no lock while it reads: a file that goes meanwhile has been replaced, and is none of its findings.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "store/priv.h"

#define REST_MS_DEFAULT (24u * 60 * 60 * 1000)
#define SECOND_NS       INT64_C(1000000000)

/* ---- what is known to be damaged ---- */

static unsigned
place_of(const struct store_damage *d, uint64_t number)
{
	unsigned i = 0;

	while (i < d->n && d->number[i] != number)
		i++;
	return i;
}

/* True if that is news. */
static bool
damage_add(struct rocks *s, uint64_t number)
{
	struct store_damage *d = &s->fail.damage;
	bool news;

	pthread_mutex_lock(&s->fail.mu);
	news = place_of(d, number) == d->n;
	if (news && d->n < STORE_DAMAGED_MAX)
		d->number[d->n++] = number;
	else if (news)
		d->more = true;
	pthread_mutex_unlock(&s->fail.mu);
	return news;
}

static void
damage_drop(struct rocks *s, uint64_t number)
{
	struct store_damage *d = &s->fail.damage;
	unsigned i;

	pthread_mutex_lock(&s->fail.mu);
	if ((i = place_of(d, number)) < d->n)
		d->number[i] = d->number[--d->n];
	pthread_mutex_unlock(&s->fail.mu);
}

void
damage_met(struct rocks *s, const struct fault *f)
{
	const char *end = NULL, *begin;
	uint64_t number;

	for (const char *at = f->text; (at = strstr(at, ".sst")) != NULL; at++)
		end = at;
	for (begin = end; begin != NULL && begin > f->text && begin[-1] >= '0' && begin[-1] <= '9';)
		begin--;
	if (end != NULL && str_u64((struct str){ begin, (size_t)(end - begin) }, &number))
		(void)damage_add(s, number);
}

void
rocks_damage(struct store *face, struct store_damage *out)
{
	struct rocks *s = rocks_of(face);

	pthread_mutex_lock(&s->fail.mu);
	*out = s->fail.damage;
	pthread_mutex_unlock(&s->fail.mu);
}

/* ---- the files ---- */

/* Their numbers, 8 bytes each; false when the store is closed by a failure. */
static bool
list_files(struct rocks *s, struct buf *out)
{
	const rocksdb_livefiles_t *files;
	uint64_t number;
	bool open;

	out->n = 0;
	store_share(s);
	if ((open = s->engine.db != NULL)) {
		files = rocksdb_livefiles(s->engine.db);
		for (int i = 0; i < rocksdb_livefiles_count(files); i++)
			if (file_number(rocksdb_livefiles_name(files, i) + 1, ".sst", &number))
				buf_put(out, &number, sizeof number);
		rocksdb_livefiles_destroy(files);
	}
	store_unshare(s);
	return open;
}

static bool
is_listed(const struct buf *files, uint64_t number)
{
	uint64_t one;

	for (size_t at = 0; at < files->n; at += sizeof one) {
		memcpy(&one, files->p + at, sizeof one);
		if (one == number)
			return true;
	}
	return false;
}

static bool
is_in_use(struct rocks *s, uint64_t number)
{
	struct buf files = { 0 };
	bool in_use = list_files(s, &files) && is_listed(&files, number);

	buf_fini(&files);
	return in_use;
}

/* ---- pace ---- */

/* False when it is to stop. */
static bool
wait_until(struct rocks *s, int64_t at_ns)
{
	bool stop;

	pthread_mutex_lock(&s->scrub.mu);
	while (!s->scrub.stop && cond_wait_until(&s->scrub.wake, &s->scrub.mu, at_ns / 1000))
		;
	stop = s->scrub.stop;
	pthread_mutex_unlock(&s->scrub.mu);
	return !stop;
}

/* Before each read of a table file. */
static bool
pace(void *ctx, size_t nbyte)
{
	struct rocks *s = ctx;
	int64_t now = clock_mono_ns();

	if (s->scrub.due_ns < now)
		s->scrub.due_ns = now;
	if (!wait_until(s, s->scrub.due_ns))
		return false;
	s->scrub.due_ns +=
	    (int64_t)((double)nbyte / (double)s->o.scrub_bytes_per_s * (double)SECOND_NS);
	atomic_fetch_add_explicit(&s->scrub.bytes, nbyte, memory_order_relaxed);
	return true;
}

/* ---- a pass ---- */

static void
tell(struct rocks *s, uint64_t number, const char *why)
{
	char line[FAULT_TEXT_MAX + PATH_BYTES];

	if (!damage_add(s, number) || s->o.warn == NULL)
		return;
	snprintf(line, sizeof line, "damaged file %s/%06" PRIu64 ".sst, found by the scrub: %s",
	    s->dir, number, why);
	s->o.warn(s->o.ctx, line);
}

static void
scrub_file(struct rocks *s, uint64_t number)
{
	char path[PATH_BYTES];
	bool given_up = false;
	char *why;

	snprintf(path, sizeof path, "%s/%06" PRIu64 ".sst", s->dir, number);
	why = table_read(path, pace, s, &given_up);
	if (!given_up && why == NULL)
		damage_drop(s, number);
	else if (!given_up && !store_is_away(s) && is_in_use(s, number))
		tell(s, number, why);
	if (!given_up)
		atomic_fetch_add_explicit(&s->scrub.files, 1, memory_order_relaxed);
	free(why);
}

/* Those that have been replaced, whoever found them. */
static void
forget_gone(struct rocks *s)
{
	struct buf files = { 0 };
	struct store_damage known;

	rocks_damage(&s->face, &known);
	if (known.n > 0 && list_files(s, &files))
		for (unsigned i = 0; i < known.n; i++)
			if (!is_listed(&files, known.number[i]))
				damage_drop(s, known.number[i]);
	buf_fini(&files);
}

static void
pass(struct rocks *s)
{
	struct buf files = { 0 };
	uint64_t number;

	(void)list_files(s, &files);
	atomic_store(&s->scrub.done, 0);
	atomic_store(&s->scrub.of, files.n / sizeof number);
	for (size_t at = 0; at < files.n; at += sizeof number) {
		memcpy(&number, files.p + at, sizeof number);
		if (!wait_until(s, 0))
			break;
		scrub_file(s, number);
		atomic_fetch_add(&s->scrub.done, 1);
	}
	atomic_store(&s->scrub.of, 0);
	forget_gone(s);
	buf_fini(&files);
	atomic_fetch_add_explicit(&s->scrub.passes, 1, memory_order_relaxed);
}

static void
scrub_run(void *arg)
{
	struct rocks *s = arg;

	do
		pass(s);
	while (wait_until(s, clock_mono_ns() + (int64_t)s->o.scrub_rest_ms * 1000000));
}

enum err
scrub_start(struct rocks *s, struct fault *f)
{
	if (s->o.scrub_bytes_per_s == 0)
		return ERR_OK;
	if (s->o.scrub_rest_ms == 0)
		s->o.scrub_rest_ms = REST_MS_DEFAULT;
	pthread_mutex_init(&s->scrub.mu, NULL);
	cond_init(&s->scrub.wake);
	return thread_start(&s->scrub.thread, scrub_run, s, f, "scrub");
}

void
scrub_stop(struct rocks *s)
{
	if (!s->scrub.thread.runs)
		return;
	pthread_mutex_lock(&s->scrub.mu);
	s->scrub.stop = true;
	pthread_cond_signal(&s->scrub.wake);
	pthread_mutex_unlock(&s->scrub.mu);
	thread_join(&s->scrub.thread);
	pthread_cond_destroy(&s->scrub.wake);
	pthread_mutex_destroy(&s->scrub.mu);
}
