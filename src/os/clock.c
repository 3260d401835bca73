/* Clocks: the judged one costs two readings of the machine's and no lock while that goes evenly. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "os/clock.h"

#define NOT_PLAIN   INT64_MIN
#define LOOK_US     1000 /* both clocks read within that: as if at once */
#define LOOKS       8
#define WHOLE_US(t) ((int64_t)(t).tv_sec * 1000000 + (t).tv_nsec / 1000)

static struct {
	pthread_mutex_t mutex; /* of `wall` */
	struct wall wall;
	_Atomic int64_t
	    offset_us; /* wall.offset_us, for who need not ask: NOT_PLAIN if all have to */
	atomic_uint nchange;
	_Atomic int64_t ahead_us; /* what tests have advanced */
	void (*told)(enum wall_news news, int64_t by_us);
} the = { .mutex = PTHREAD_MUTEX_INITIALIZER, .offset_us = NOT_PLAIN };

static int64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return WHOLE_US(ts);
}

int64_t
clock_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
clock_boot_us(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

int64_t
clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
clock_thread_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- the wall clock ---- */

void
clock_tell(void (*told)(enum wall_news news, int64_t by_us))
{
	the.told = told;
}

/* A thread that is put aside between two clocks would see a step. */
static int64_t
read_both(int64_t *mono_us)
{
	int64_t wall_us;
	unsigned n = 0;

	do {
		*mono_us = clock_us(CLOCK_BOOTTIME);
		wall_us = clock_us(CLOCK_REALTIME);
	} while (clock_us(CLOCK_BOOTTIME) - *mono_us > LOOK_US && ++n < LOOKS);
	return wall_us;
}

static int64_t
judge(void)
{
	enum wall_news news;
	int64_t wall_us, mono_us, by_us;

	pthread_mutex_lock(&the.mutex);
	wall_us = read_both(&mono_us);
	wall_us = wall_judge(&the.wall, wall_us, mono_us, &news, &by_us);
	atomic_store(&the.offset_us, the.wall.held ? NOT_PLAIN : the.wall.offset_us);
	pthread_mutex_unlock(&the.mutex);
	if (news == WALL_FOLLOWED || news == WALL_SET_BACK)
		atomic_fetch_add(&the.nchange, 1);
	if (news != WALL_SAME && the.told != NULL)
		the.told(news, by_us);
	return wall_us;
}

int64_t
clock_clients_us(void)
{
	int64_t wall_us = clock_us(CLOCK_REALTIME), mono_us = clock_us(CLOCK_BOOTTIME),
	        offset_us = atomic_load(&the.offset_us);

	if (offset_us != NOT_PLAIN && wall_us - mono_us <= offset_us + WALL_BACK_US &&
	    wall_us - mono_us >= offset_us - WALL_BACK_US)
		return wall_us;
	return judge();
}

int64_t
clock_wall_us(void)
{
	return clock_clients_us() + clock_ahead_us();
}

int64_t
clock_machine_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

void
clock_given(int64_t stored_us)
{
	pthread_mutex_lock(&the.mutex);
	wall_given(&the.wall, stored_us);
	pthread_mutex_unlock(&the.mutex);
}

unsigned
clock_look(struct wall_state *out)
{
	(void)judge();
	pthread_mutex_lock(&the.mutex);
	*out = wall_state(&the.wall, clock_us(CLOCK_BOOTTIME));
	pthread_mutex_unlock(&the.mutex);
	return atomic_load(&the.nchange);
}

/* ---- time for tests ---- */

void
clock_advance(int64_t by_us)
{
	atomic_fetch_add(&the.ahead_us, by_us);
}

int64_t
clock_ahead_us(void)
{
	return atomic_load_explicit(&the.ahead_us, memory_order_relaxed);
}

int64_t
clock_elapsed_us(void)
{
	return clock_mono_us() + clock_ahead_us();
}

/* ---- sleep ---- */

void
clock_sleep_us(int64_t us)
{
	struct timespec left = { us / 1000000, us % 1000000 * 1000 };

	if (us > 0)
		while (nanosleep(&left, &left) != 0 && errno == EINTR)
			;
}
