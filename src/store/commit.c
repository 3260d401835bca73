/*
 * Lanes: a bounded queue and a thread each, one write and fsync a batch. RocksDB puts the batches of concurrent lanes
 * under one fsync by itself.
 *
 *        submit          write, fsync          done
 *  ----> queue (2) ----> committer ----> OK ----------> caller
 *                            \---------> error: the lane is poisoned, the store fails; until store_resume
 *                                        everything queued or submitted is refused, unwritten
 */
#include <stdlib.h>

#include "metric/metric.h"
#include "os/clock.h"
#include "store/pack.h"
#include "store/priv.h"

static enum store_result
result_of(enum err e)
{
	if (e == ERR_OK)
		return STORE_OK;
	return e == ERR_FULL ? STORE_FULL : STORE_FAILED;
}

static void
acknowledge(struct rocks *s, uint64_t last)
{
	uint64_t was = atomic_load_explicit(&s->last_row, memory_order_relaxed);

	while (was < last && !atomic_compare_exchange_weak(&s->last_row, &was, last))
		;
}

static void
put_row(void *ctx, enum store_table t, struct str key, struct str value)
{
	struct lane *l = ctx;

	rocksdb_writebatch_put_cf(
	    l->scratch, engine_table(&l->store->engine, t), key.p, key.n, value.p, value.n);
}

static void
batch_translate(const struct store_batch *b, struct lane *l)
{
	struct store_change c;
	size_t at = 0;

	rocksdb_writebatch_clear(l->scratch);
	while (store_batch_next_change(b, &at, &c)) {
		if (!c.put)
			rocksdb_writebatch_delete_cf(
			    l->scratch, engine_table(&l->store->engine, c.table), c.key.p, c.key.n);
		else if (pack_table(c.table))
			packer_add(l->packer, c.table, c.key, c.value);
		else
			put_row(l, c.table, c.key, c.value);
	}
	packer_end(l->packer);
}

/* On disk when it returns ERR_OK, and findable after a crash. */
static enum err
write_batch(struct lane *l, const struct store_batch *b, struct fault *f)
{
	struct rocks *s = l->store;
	char *error = NULL;
	uint64_t last;
	enum err e;

	batch_translate(b, l);
	rocksdb_write(s->engine.db, s->engine.write, l->scratch, &error);
	if (error != NULL)
		return engine_error(error, f);
	last = rocksdb_get_latest_sequence_number(s->engine.db); /* before the look at its log */
	if ((e = mark_current(&s->mark, s->dir, &s->engine, f)) == ERR_OK)
		acknowledge(s, last);
	return e;
}

static enum store_result
commit(struct lane *l, const struct store_batch *b)
{
	struct rocks *s = l->store;
	struct fault f = { 0 };
	bool ready;
	int64_t begin_ns = clock_mono_ns();
	enum err e = ERR_IO;

	store_share(s);
	if ((ready = rocks_state(&s->face, NULL) == STORE_READY) &&
	    (e = write_batch(l, b, &f)) != ERR_OK)
		store_fail(s, e, &f);
	store_unshare(s);
	atomic_fetch_add_explicit(e ? &s->commit_failures : &s->commits, 1, memory_order_relaxed);
	if (e == ERR_OK) {
		atomic_fetch_add_explicit(&s->commit_bytes, b->rows.n, memory_order_relaxed);
		metric_seen(METRIC_COMMIT_SECONDS, 0, (uint64_t)(clock_mono_ns() - begin_ns));
		metric_seen(METRIC_COMMIT_SIZE, 0, b->rows.n);
	}
	return ready ? result_of(e) : STORE_UNDONE;
}

/* The oldest batch; NULL when the lane is to stop and has none. */
static struct store_batch *
take(struct lane *l, uint64_t *cookie, bool *poisoned)
{
	struct store_batch *b = NULL;

	pthread_mutex_lock(&l->mu);
	while (l->queued == 0 && !l->stop)
		pthread_cond_wait(&l->more, &l->mu);
	if (l->queued > 0) {
		b = l->queue[l->head].batch;
		*cookie = l->queue[l->head].cookie;
		l->head = (l->head + 1) % STORE_LANE_INFLIGHT;
		l->queued--;
	}
	*poisoned = l->poisoned;
	pthread_mutex_unlock(&l->mu);
	return b;
}

/* What is kept for the next batch: to map its memory anew costs a large one more than to fill it. What was hardly used goes. */
static void
batch_done(struct lane *l, struct store_batch *b)
{
	struct store_batch *other = b;

	if (b->rows.cap <= STORE_SPARE_MAX && b->rows.n >= b->rows.cap / 4) {
		store_batch_clear(b);
		pthread_mutex_lock(&l->mu);
		other = l->spare;
		l->spare = b;
		pthread_mutex_unlock(&l->mu);
	}
	store_batch_free(other);
}

struct store_batch *
rocks_batch_next(struct store *face, unsigned lane)
{
	struct rocks *s = rocks_of(face);
	struct lane *l = &s->lanes[lane];
	struct store_batch *b;

	assert(lane < s->nlane);
	pthread_mutex_lock(&l->mu);
	b = l->spare;
	l->spare = NULL;
	pthread_mutex_unlock(&l->mu);
	return b != NULL ? b : store_batch_new();
}

static void
report(struct lane *l, uint64_t cookie, enum store_result result)
{
	const struct store_options *o = &l->store->o;

	pthread_mutex_lock(&l->mu);
	l->inflight--;
	l->poisoned |= result != STORE_OK;
	pthread_mutex_unlock(&l->mu);
	if (o->done != NULL)
		o->done(o->ctx, l->number, cookie, result);
}

static void
lane_run(void *arg)
{
	struct lane *l = arg;
	struct store_batch *b;
	enum store_result result;
	uint64_t cookie;
	bool poisoned;

	while ((b = take(l, &cookie, &poisoned)) != NULL) {
		result = poisoned ? STORE_UNDONE : commit(l, b);
		batch_done(l, b);
		report(l, cookie, result);
	}
}

void
rocks_submit(struct store *face, unsigned lane, struct store_batch *b, uint64_t cookie)
{
	struct rocks *s = rocks_of(face);
	struct lane *l = &s->lanes[lane];
	unsigned at;

	assert(lane < s->nlane && b->rows.n <= STORE_BATCH_MAX);
	pthread_mutex_lock(&l->mu);
	assert(l->inflight < STORE_LANE_INFLIGHT && !l->stop);
	at = (l->head + l->queued) % STORE_LANE_INFLIGHT;
	l->queue[at].batch = b;
	l->queue[at].cookie = cookie;
	l->queued++;
	l->inflight++;
	pthread_mutex_unlock(&l->mu);
	pthread_cond_signal(
	    &l->more); /* after the unlock: the committer does not wake up to wait for it */
}

void
rocks_resume(struct store *face, unsigned lane)
{
	struct rocks *s = rocks_of(face);
	struct lane *l = &s->lanes[lane];

	assert(lane < s->nlane);
	pthread_mutex_lock(&l->mu);
	assert(l->inflight == 0);
	l->poisoned = false;
	pthread_mutex_unlock(&l->mu);
}

uint64_t
lanes_inflight(struct rocks *s)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < s->nlane; i++) {
		pthread_mutex_lock(&s->lanes[i].mu);
		n += s->lanes[i].inflight;
		pthread_mutex_unlock(&s->lanes[i].mu);
	}
	return n;
}

enum err
lanes_start(struct rocks *s, struct fault *f)
{
	for (unsigned i = 0; i < s->o.lanes; i++) {
		struct lane *l = &s->lanes[i];

		l->store = s;
		l->number = i;
		pthread_mutex_init(&l->mu, NULL);
		cond_init(&l->more);
		l->scratch = rocksdb_writebatch_create();
		l->packer = packer_new(put_row, l);
		s->nlane++;
		if (thread_start(&l->thread, lane_run, l, f, "committer %u", i) != ERR_OK)
			return ERR_IO;
	}
	return ERR_OK;
}

void
lanes_stop(struct rocks *s)
{
	for (unsigned i = 0; i < s->nlane; i++) {
		struct lane *l = &s->lanes[i];

		pthread_mutex_lock(&l->mu);
		l->stop = true;
		pthread_mutex_unlock(&l->mu);
		pthread_cond_signal(&l->more);
	}
	for (unsigned i = 0; i < s->nlane; i++) {
		thread_join(&s->lanes[i].thread);
		rocksdb_writebatch_destroy(s->lanes[i].scratch);
		packer_free(s->lanes[i].packer);
		store_batch_free(s->lanes[i].spare);
		pthread_cond_destroy(&s->lanes[i].more);
		pthread_mutex_destroy(&s->lanes[i].mu);
	}
	s->nlane = 0;
}
