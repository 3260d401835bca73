/*
 * Waiting for other threads. Nothing that a test waits for takes so long on any machine: what is still not there never comes, and
 * the threads that it hangs on cannot be ended. So the process ends, and says what was awaited.
 */
#ifndef TWINHUB_TESTS_PATIENCE_H
#define TWINHUB_TESTS_PATIENCE_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MAX_S 120

__attribute__((unused)) static void
patience_ends(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: not within %d s: %s\n", file, line, PATIENCE_MAX_S, what);
	fflush(NULL);
	_exit(1);
}

/* With the mutex held, until the condition is true; what changes it signals cond. */
#define patience_await(cond, mutex, condition)                                                     \
	do {                                                                                       \
		struct timespec patience_end;                                                      \
		clock_gettime(CLOCK_REALTIME, &patience_end);                                      \
		patience_end.tv_sec += PATIENCE_MAX_S;                                             \
		while (!(condition))                                                               \
			if (pthread_cond_timedwait(cond, mutex, &patience_end) == ETIMEDOUT)       \
				patience_ends(__FILE__, __LINE__, #condition);                     \
	} while (0)

#endif
