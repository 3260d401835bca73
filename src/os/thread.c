/* Threads: begun in one way, so that each has a name and none takes a signal that is the main thread's. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "os/thread.h"

struct start {
	void (*run)(void *ctx);
	void *ctx;
	char name[THREAD_NAME_MAX];
};

static void *
thread_main(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	(void)pthread_setname_np(pthread_self(), s.name);
	s.run(s.ctx);
	return NULL;
}

/* All but what a thread does to itself: blocked, that would end the process without a word. */
static sigset_t
signals_of_main(void)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
		SIGPROF };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		sigdelset(&set, own[i]);
	return set;
}

enum err
thread_start(
    struct thread *t, void (*run)(void *ctx), void *ctx, struct fault *f, const char *name, ...)
{
	sigset_t blocked = signals_of_main(), before;
	struct start *s = xcalloc(1, sizeof *s);
	va_list ap;
	int error;

	assert(!t->runs);
	s->run = run;
	s->ctx = ctx;
	va_start(ap, name);
	vsnprintf(s->name, sizeof s->name, name, ap);
	va_end(ap);
	pthread_sigmask(
	    SIG_SETMASK, &blocked, &before); /* the new one has it from its first moment */
	error = pthread_create(&t->id, NULL, thread_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	t->runs = error == 0;
	if (error == 0)
		return ERR_OK;
	fault_set(f, F_ServiceUnavailable, "no thread is to be had for '%s': %s", s->name,
	    strerror(error));
	free(s);
	errno = error;
	return ERR_IO;
}

void
thread_join(struct thread *t)
{
	if (t->runs)
		pthread_join(t->id, NULL);
	t->runs = false;
}

void
thread_let_go(struct thread *t)
{
	if (t->runs)
		pthread_detach(t->id);
	t->runs = false;
}

/* ---- conditions ---- */

void
cond_init(pthread_cond_t *c)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(c, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

bool
cond_wait_until(pthread_cond_t *c, pthread_mutex_t *mu, int64_t until_us)
{
	const struct timespec until = { until_us / 1000000, until_us % 1000000 * 1000 };

	return pthread_cond_timedwait(c, mu, &until) != ETIMEDOUT;
}
