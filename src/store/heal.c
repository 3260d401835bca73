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
 * is what works. Opening writes the replayed log into table files, so it needs about as much space as the log is long.
 * Until the disk has shown that it takes that much, nothing is closed: what is open can be read.
 */
#include <errno.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "store/priv.h"

static void
die(struct store *s, const struct fault *f)
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

void
store_fail(struct store *s, enum err e, const struct fault *f)
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
	if (unknown)
		die(s, f);
	else if (first && s->o.warn != NULL)
		s->o.warn(s->o.ctx, f->text);
}

/* Closing stops RocksDB's own attempts too; readers and committers are kept out by the lock. */
static enum err
open_again(struct store *s, struct fault *f)
{
	enum err e;

	pthread_rwlock_wrlock(&s->lock);
	engine_close(&s->engine);
	e = engine_recover(s, f);
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
try_heal(struct store *s)
{
	struct fault f = { 0 };
	struct logs logs;
	enum err e;

	if (logs_list(s->dir, &logs, &f) != ERR_OK ||
	    store_space(s) < logs.bytes + s->o.floor_bytes ||
	    dir_takes(s->dir, logs.bytes, &f) != ERR_OK)
		return;
	e = open_again(s, &f);
	if (s->o.warn != NULL && (e == ERR_OK || e == ERR_CORRUPT)) /* else it is tried again */
		s->o.warn(s->o.ctx, e == ERR_OK ? "the store works again" : f.text);
}

/* Batches since the last look are covered by LENGTHS from now on; one that cannot be written is told by the next batch. */
static void
tick(struct store *s)
{
	uint64_t commits = atomic_load_explicit(&s->commits, memory_order_relaxed);

	if (commits == s->fail.ncovered)
		return;
	pthread_rwlock_rdlock(&s->lock);
	if (store_state(s, NULL) == STORE_READY && mark_lengths(&s->mark, s->dir, NULL) == ERR_OK)
		s->fail.ncovered = commits;
	pthread_rwlock_unlock(&s->lock);
}

static struct timespec
after_ms(unsigned ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

/* Under fail.mu. Until `ms` are over, or something has changed. */
static void
rest(struct store *s, unsigned ms)
{
	struct timespec until = after_ms(ms);

	pthread_cond_timedwait(&s->fail.wake, &s->fail.mu, &until);
}

/* Under fail.mu: true when there is something to mend, after retry_ms. */
static bool
await_failure(struct store *s)
{
	struct timespec until;
	int r = 0;

	if (s->state == STORE_READY || s->state == STORE_IS_CORRUPT) {
		rest(s, s->o.tick_ms);
		return false;
	}
	until = after_ms(s->o.retry_ms);
	while (!s->fail.stop && r != ETIMEDOUT)
		r = pthread_cond_timedwait(&s->fail.wake, &s->fail.mu, &until);
	return !s->fail.stop;
}

static void *
healer_run(void *arg)
{
	struct store *s = arg;
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
	return NULL;
}

enum err
healer_start(struct store *s, struct fault *f)
{
	int error = pthread_create(&s->fail.healer, NULL, healer_run, s);

	if (error == 0)
		return ERR_OK;
	fault_set(f, F_ServerError, "starting the store's healer: %s", strerror(error));
	return ERR_IO;
}

void
healer_stop(struct store *s)
{
	pthread_mutex_lock(&s->fail.mu);
	s->fail.stop = true;
	pthread_cond_signal(&s->fail.wake);
	pthread_mutex_unlock(&s->fail.mu);
	pthread_join(s->fail.healer, NULL);
}
