/*
 * Two buffers: lines are copied into one while the thread writes the other. The mutex is held for a copy or a swap and never
 * while something is written, so a reader who stalls costs lines and nobody's time. Once a line was dropped all are,
 * until the thread takes the buffer: so the count stands where they are missing.
 */
#include <stdlib.h>

#include "log/priv.h"

void
log_queue_init(struct log_queue *q, size_t max)
{
	*q = (struct log_queue){ .max = max, .fill = xmalloc(max), .drain = xmalloc(max) };
	pthread_mutex_init(&q->mutex, NULL);
	cond_init(&q->filled);
	cond_init(&q->emptied);
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

bool
log_queue_take(struct log_queue *q, int64_t wait_us, struct log_batch *out)
{
	int64_t until_us = clock_mono_us() + wait_us;
	char *taken;
	bool more;

	pthread_mutex_lock(&q->mutex);
	q->writing = false;
	if (q->n == 0)
		pthread_cond_broadcast(&q->emptied);
	while (q->n == 0 && q->ndropped == 0 && !q->stopping && !q->nudged &&
	    cond_wait_until(&q->filled, &q->mutex, until_us))
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

size_t
log_queue_bytes(struct log_queue *q)
{
	size_t n;

	pthread_mutex_lock(&q->mutex);
	n = q->n;
	pthread_mutex_unlock(&q->mutex);
	return n;
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
	int64_t until_us = clock_mono_us() + timeout_us;
	bool done;

	pthread_mutex_lock(&q->mutex);
	while ((q->n > 0 || q->ndropped > 0 || q->writing) &&
	    cond_wait_until(&q->emptied, &q->mutex, until_us))
		;
	done = q->n == 0 && q->ndropped == 0 && !q->writing;
	pthread_mutex_unlock(&q->mutex);
	return done;
}
