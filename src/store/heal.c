/*
 * What happens when a write has failed.
 *
 *            write error                 space, opened
 *   READY ----------------> FULL, FAILED --------------> READY   (generation + 1)
 *     |                        |  ^  |
 *     |                        |  +--+ every retry_ms: not enough space, or opening failed
 *     | corrupt file           | found corrupt at opening
 *     +------> CORRUPT <-------+
 *
 * RocksDB stays unable to write after a failed append to its log, even when space returned: closing and opening again
 * is what works; and so it does when the directory went away and has come back. Opening writes the replayed log into
 * table files, so it needs about as much space as the log is long. Until the disk has shown that it takes that much,
 * nothing is closed: what is open can be read. Opened in vain, it is opened for reading.
 */
#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "store/priv.h"

static void
die(struct rocks *s, const struct fault *f)
{
	char line[FAULT_TEXT_MAX + 80];

	snprintf(line, sizeof line, "cannot know what is on disk, exiting: %s", f->text);
	if (s->o.fatal != NULL) {
		s->o.fatal(s->o.ctx, line);
		return;
	}
	fprintf(stderr, "twinhub: %s\n", line);
	_exit(EX_IOERR);
}

static enum store_state
state_for(enum err e)
{
	if (e == ERR_CORRUPT)
		return STORE_IS_CORRUPT;
	return e == ERR_FULL ? STORE_IS_FULL : STORE_IS_FAILED;
}

bool
store_is_away(const struct rocks *s)
{
	return !dir_has(s->dir, "CURRENT");
}

void
state_told(const struct rocks *s, enum store_state state, const struct fault *why)
{
	static const char *const states[] = {
		[STORE_READY] = "the store works again",
		[STORE_IS_FULL] = "the disk is full, changes are refused",
		[STORE_IS_FAILED] = "the store has failed, changes are refused",
		[STORE_IS_CORRUPT] = "the store is damaged, changes are refused until a start",
	};
	char line[FAULT_TEXT_MAX + 80];

	if (s->o.warn == NULL)
		return;
	if (state == STORE_READY)
		snprintf(line, sizeof(line), "%s", states[state]);
	else
		snprintf(line, sizeof(line), "%s: %s", states[state], why->text);
	s->o.warn(s->o.ctx, line);
}

static void
fail_as(struct rocks *s, enum err e, const struct fault *f)
{
	bool unknown = e != ERR_FULL && engine_error_is_sync(f);
	bool first;

	pthread_mutex_lock(&s->fail.mu);
	if ((first = s->state == STORE_READY)) {
		s->state = unknown ? STORE_IS_CORRUPT : state_for(e);
		s->fail.why = *f;
		pthread_cond_signal(&s->fail.wake);
	}
	pthread_mutex_unlock(&s->fail.mu);
	if (e == ERR_CORRUPT)
		damage_met(s, f);
	if (unknown)
		die(s, f);
	else if (first)
		state_told(s, s->state, f);
}

/* A log of which RocksDB has flushed all is removed by its name: not from a directory that has come back, and needs it until it is opened
 * again. What is left over goes then. */
static void
keep_files(struct rocks *s)
{
	char *error = NULL;

	rocksdb_disable_file_deletions(s->engine.db, &error);
	rocksdb_free(error);
}

/* To RocksDB a file that is missing is a corrupt store. What a failed sync means does not change with it. */
void
store_fail(struct rocks *s, enum err e, const struct fault *f)
{
	struct fault away = { 0 };

	keep_files(s);
	if (e != ERR_FULL && !engine_error_is_sync(f) && store_is_away(s)) {
		fault_set(&away, F_ServerError, "%s is not there: %s", s->dir, f->text);
		e = ERR_IO;
		f = &away;
	}
	fail_as(s, e, f);
}

/* A directory that comes back is another one to the system, so it is held anew. */
static enum err
hold_again(struct rocks *s, struct fault *f)
{
	struct stat held, now;
	int fd;
	enum err e;

	if (stat(s->dir, &now) != 0)
		return os_fault(f, "opening", s->dir);
	if (fstat(s->held, &held) == 0 && held.st_dev == now.st_dev && held.st_ino == now.st_ino)
		return ERR_OK;
	if ((e = os_hold_dir(s->dir, &fd, f)) != ERR_OK)
		return e;
	close(s->held);
	s->held = fd;
	return ERR_OK;
}

static enum err
not_as_left(const struct rocks *s, struct fault *f)
{
	fault_set(f, F_ServerError, "%s is not as it was left: start the hub again", s->dir);
	return ERR_CORRUPT;
}

/* What is in memory goes with what was left in the directory, and with nothing else that is found there. */
static enum err
is_the_same(struct rocks *s, struct fault *f)
{
	struct buf identity = { 0 };
	struct lengths l;
	enum err e = file_read(s->dir, "IDENTITY", NAME_BYTES, &identity, f);

	if (e == ERR_OK && s->identity.n > 0 &&
	    !str_eq(buf_view(&identity), buf_view(&s->identity))) {
		fault_set(f, F_ServerError, "%s is another store than before", s->dir);
		e = ERR_CORRUPT;
	} else if (e == ERR_OK && s->mark.newest != 0 &&
	    (lengths_read(s->dir, &l, f) != ERR_OK || !lengths_equal(&l, &s->mark.said))) {
		e = not_as_left(s, f);
	}
	buf_fini(&identity);
	return e;
}

/* Each row has its number, so an older copy of the same store is told by its last one. */
static enum err
recover_all(struct rocks *s, struct fault *f)
{
	enum err e = engine_recover(s, f);

	if (e != ERR_OK ||
	    rocksdb_get_latest_sequence_number(s->engine.db) >= atomic_load(&s->last_row))
		return e;
	engine_close(&s->engine);
	return not_as_left(s, f);
}

/* Closing stops RocksDB's own attempts too; readers and committers are kept out by the lock. */
static enum err
open_again(struct rocks *s, struct fault *f)
{
	enum err e;

	pthread_rwlock_wrlock(&s->lock);
	engine_close(&s->engine);
	if ((e = hold_again(s, f)) == ERR_OK && (e = is_the_same(s, f)) == ERR_OK)
		e = recover_all(s, f);
	if (e == ERR_CORRUPT && store_is_away(s)) /* gone in between */
		e = ERR_IO;
	if (e != ERR_OK)
		(void)engine_recover_to_read(s, e);
	if (e == ERR_OK)
		atomic_fetch_add(&s->generation, 1);
	pthread_mutex_lock(&s->fail.mu);
	s->state = e == ERR_OK ? STORE_READY : state_for(e);
	s->fail.why = *f;
	pthread_mutex_unlock(&s->fail.mu);
	pthread_rwlock_unlock(&s->lock);
	return e;
}

static void
try_heal(struct rocks *s)
{
	struct fault f = { 0 };
	struct logs logs;
	enum err e;

	if (store_is_away(s) || logs_list(s->dir, &logs, &f) != ERR_OK ||
	    rocks_space(&s->face) < logs.bytes + s->o.floor_bytes ||
	    dir_takes(s->dir, logs.bytes, &f) != ERR_OK)
		return;
	e = open_again(s, &f);
	if (e == ERR_OK || e == ERR_CORRUPT) /* else it is tried again */
		state_told(s, e == ERR_OK ? STORE_READY : STORE_IS_CORRUPT, &f);
}

/* Batches since the last look are covered by LENGTHS from now on; one that cannot be written is told by the next batch. */
static void
tick(struct rocks *s)
{
	uint64_t commits = atomic_load_explicit(&s->commits, memory_order_relaxed);

	if (commits == s->fail.ncovered)
		return;
	store_share(s);
	if (rocks_state(&s->face, NULL) == STORE_READY &&
	    mark_lengths(&s->mark, s->dir, NULL) == ERR_OK)
		s->fail.ncovered = commits;
	store_unshare(s);
}

static int64_t
after_ms(unsigned ms)
{
	return clock_mono_us() + (int64_t)ms * 1000;
}

/* Under fail.mu: true when there is something to mend, after retry_ms. */
static bool
await_failure(struct rocks *s)
{
	int64_t until_us = after_ms(s->o.retry_ms);

	if (s->state == STORE_READY || s->state == STORE_IS_CORRUPT) {
		cond_wait_until(&s->fail.wake, &s->fail.mu, after_ms(s->o.tick_ms));
		return false;
	}
	while (!s->fail.stop && cond_wait_until(&s->fail.wake, &s->fail.mu, until_us))
		;
	return !s->fail.stop;
}

static void
healer_run(void *arg)
{
	struct rocks *s = arg;
	bool failed;

	pthread_mutex_lock(&s->fail.mu);
	while (!s->fail.stop) {
		failed = await_failure(s);
		pthread_mutex_unlock(&s->fail.mu);
		if (failed)
			try_heal(s);
		else
			tick(s);
		pthread_mutex_lock(&s->fail.mu);
	}
	pthread_mutex_unlock(&s->fail.mu);
}

enum err
healer_start(struct rocks *s, struct fault *f)
{
	return thread_start(&s->fail.healer, healer_run, s, f, "healer");
}

void
healer_stop(struct rocks *s)
{
	pthread_mutex_lock(&s->fail.mu);
	s->fail.stop = true;
	pthread_cond_signal(&s->fail.wake);
	pthread_mutex_unlock(&s->fail.mu);
	thread_join(&s->fail.healer);
}
