/* Senders that wait for a disk or a library: each has a thread of its own, so that none waits for another's. */
#include "os/clock.h"
#include "sink/priv.h"

#define LONG_US (INT64_C(3600) * 1000000)

struct waiting {
	const struct waiting_ops *ops;
	void *own;
	struct thread thread;
	pthread_cond_t wake;
};

static void
waiting_main(void *ctx)
{
	struct sender *s = ctx;
	struct waiting *w = s->way;
	struct part part;

	pthread_mutex_lock(&s->all->mu);
	while (!s->ending) {
		int64_t now_us = clock_mono_us(), due_us = now_us + LONG_US;
		struct attempt a = { .end = ATTEMPT_TAKEN };

		if (!sender_begins(s, now_us, &part, &due_us)) {
			(void)cond_wait_until(&w->wake, &s->all->mu, due_us);
			continue;
		}
		pthread_mutex_unlock(&s->all->mu);
		w->ops->attempt(s, w->own, part, &a);
		sender_ended(s, part, &a);
		pthread_mutex_lock(&s->all->mu);
	}
	pthread_mutex_unlock(&s->all->mu);
}

static void
waiting_free(struct sender *s)
{
	struct waiting *w = s->way;

	if (w->ops->fini != NULL)
		w->ops->fini(w->own);
	pthread_cond_destroy(&w->wake);
	free(w);
	s->way = NULL;
}

enum err
waiting_open(struct sender *s, const struct waiting_ops *ops, void *own, struct fault *f)
{
	struct waiting *w = xcalloc(1, sizeof(*w));
	enum err e;

	w->ops = ops;
	w->own = own;
	cond_init(&w->wake);
	s->way = w;
	e = thread_start(&w->thread, waiting_main, s, f, "sink");
	if (e != ERR_OK)
		waiting_free(s);
	return e;
}

void
waiting_wake(struct sender *s)
{
	struct waiting *w = s->way;

	pthread_cond_signal(&w->wake);
}

void
waiting_close(struct sender *s)
{
	struct waiting *w = s->way;

	thread_join(&w->thread);
	waiting_free(s);
}
