/* Preloaded into a hub: while the file TWINHUB_CLOCK_STOP is there, the clock that its lease goes by stands still, so that it never ends. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic long long stopped_ns; /* 0: it goes */

static int
boot_clock(struct timespec *t)
{
	const char *file = getenv("TWINHUB_CLOCK_STOP");
	long long ns = atomic_load(&stopped_ns);
	int r = (int)syscall(SYS_clock_gettime, CLOCK_BOOTTIME, t);

	if (ns == 0 && file != NULL && access(file, F_OK) == 0) {
		ns = t->tv_sec * 1000000000LL + t->tv_nsec;
		atomic_store(&stopped_ns, ns);
	}
	if (ns != 0) {
		t->tv_sec = ns / 1000000000;
		t->tv_nsec = ns % 1000000000;
	}
	return r;
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	return id == CLOCK_BOOTTIME ? boot_clock(t) : (int)syscall(SYS_clock_gettime, id, t);
}
