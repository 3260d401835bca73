/*
 * os: threads, and waiting for each other with an end. A mutex is pthread's; a condition too, but made by cond_init, so that
 * its timeouts are of clock_mono_us and not of a clock that somebody sets.
 *
 * Threads have the system's stack (8 MB of addresses, usually) and a name, which `top -H`, gdb and /proc show. Signals are the
 * main thread's affair: they are blocked in each other one, whatever its maker has blocked, but for those that a thread brings upon
 * itself (SIGSEGV, SIGABRT and the like).
 */
#ifndef TWINHUB_THREAD_H
#define TWINHUB_THREAD_H

#include <pthread.h>

#include "base/base.h"

#define THREAD_NAME_MAX 16 /* bytes with the NUL: the kernel's; what is longer is cut */

/* { 0 }: none. Its owner's alone; may be moved. */
struct thread {
	pthread_t id;
	bool runs; /* is to be joined */
};

/*
 * Begin run(ctx) on a thread of its own. t must have none that is to be joined; the format gives its name ("worker 3").
 * ERR_IO: the system gives none; f, which may be NULL, gets ServiceUnavailable and a line with the name; errno is the system's.
 */
enum err thread_start(struct thread *t, void (*run)(void *ctx), void *ctx, struct fault *f,
    const char *name, ...) __attribute__((format(printf, 5, 6)));
/* Until it has ended. Fine where there is none, and a second time. */
void thread_join(struct thread *t);
/* It ends by itself, and nobody waits for it. Fine where there is none. */
void thread_let_go(struct thread *t);

/* To be ended by pthread_cond_destroy. */
void cond_init(pthread_cond_t *c);
/* With mu held, as it is afterwards. False: until_us (clock_mono_us) has come. It may wake for nothing, as pthread's do. */
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *mu, int64_t until_us);

#endif
