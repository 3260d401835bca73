/*
 * Two buffers: lines are copied into one while the thread writes the other. The mutex is held for a copy or a swap and never
 * while something is written, so a reader who stalls costs lines and nobody's time. Once a line was dropped all are,
 * until the thread takes the buffer: so the count stands where they are missing.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "log/priv.h"

void
log_queue_init(struct log_queue *q, size_t max)
{
	pthread_condattr_t attr;

	*q = (struct log_queue){ .max = max, .fill = xmalloc(max), .drain = xmalloc(max) };
	pthread_mutex_init(&q->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->filled, &attr);
	pthread_cond_init(&q->emptied, &attr);
	pthread_condattr_destroy(&attr);
}

void
log_queue_fini(struct log_queue *q)
{
	pthread_cond_destroy(&q->filled);
	pthread_cond_destroy(&q->emptied);
	pthread_mutex_destroy(&q->mutex);
	free(q->fill);
	free(q->drain);
}

bool
log_queue_put(struct log_queue *q, const char *line, size_t n)
{
	bool fits;

	pthread_mutex_lock(&q->mutex);
	fits = q->ndropped == 0 && n <= q->max - q->n;
	if (fits) {
		memcpy(q->fill + q->n, line, n);
		q->n += n;
		q->nline++;
	} else {
		q->ndropped++;
	}
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->mutex);
	return fits;
}

static struct timespec
after(int64_t us)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += us / 1000000;
	t.tv_nsec += us % 1000000 * 1000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

bool
log_queue_take(struct log_queue *q, int64_t wait_us, struct log_batch *out)
{
	struct timespec until = after(wait_us);
	char *taken;
	bool more;

	pthread_mutex_lock(&q->mutex);
	q->writing = false;
	if (q->n == 0)
		pthread_cond_broadcast(&q->emptied);
	while (q->n == 0 && q->ndropped == 0 && !q->stopping && !q->nudged &&
	    pthread_cond_timedwait(&q->filled, &q->mutex, &until) != ETIMEDOUT)
		;
	more = !q->stopping || q->n > 0 || q->ndropped > 0;
	taken = q->fill;
	*out = (struct log_batch){ taken, q->n, q->nline, q->ndropped };
	q->fill = q->drain;
	q->drain = taken;
	q->n = q->nline = 0;
	q->ndropped = 0;
	q->nudged = false;
	q->writing = out->n > 0 || out->ndropped > 0 || !more;
	pthread_mutex_unlock(&q->mutex);
	return more;
}

void
log_queue_nudge(struct log_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->nudged = true;
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->mutex);
}

void
log_queue_begin(struct log_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->stopping = q->writing = false;
	pthread_mutex_unlock(&q->mutex);
}

void
log_queue_done(struct log_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->writing = false;
	pthread_cond_broadcast(&q->emptied);
	pthread_mutex_unlock(&q->mutex);
}

void
log_queue_stop(struct log_queue *q)
{
	pthread_mutex_lock(&q->mutex);
	q->stopping = true;
	pthread_cond_signal(&q->filled);
	pthread_mutex_unlock(&q->mutex);
}

bool
log_queue_await(struct log_queue *q, int64_t timeout_us)
{
	struct timespec until = after(timeout_us);
	bool done;

	pthread_mutex_lock(&q->mutex);
	while ((q->n > 0 || q->ndropped > 0 || q->writing) &&
	    pthread_cond_timedwait(&q->emptied, &q->mutex, &until) != ETIMEDOUT)
		;
	done = q->n == 0 && q->ndropped == 0 && !q->writing;
	pthread_mutex_unlock(&q->mutex);
	return done;
}
