/* The clocks of the program. Nobody else reads the machine's wall clock: what it says is judged first (base/wall.h). */
#include <stdio.h>
#include <time.h>

#include "net/priv.h"

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
clock_mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- the wall clock ---- */

static void
tell(enum wall_news news, int64_t by_us)
{
	static const char *const msgs[] = {
		[WALL_HELD] = "the clock has jumped ahead: not followed until it has lasted 60 s",
		[WALL_FOLLOWED] = "the clock's jump ahead has lasted, and is followed",
		[WALL_RETURNED] = "the clock's jump ahead is undone: it was not followed",
		[WALL_SET_BACK] = "the clock was set back: the event log's time stands still",
	};
	char seconds[32];

	if (news == WALL_SAME)
		return;
	if (news == WALL_FOLLOWED || news == WALL_SET_BACK)
		atomic_fetch_add(&the.nchange, 1);
	snprintf(seconds, sizeof seconds, "%lld.%06lld", (long long)(by_us / 1000000),
	    (long long)(by_us % 1000000));
	log_pairs(LOG_WARN, msgs[news],
	    (const struct log_pair[]){ { "seconds", str_of(seconds) }, { NULL, STR_NONE } });
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
	tell(news, by_us);
	return wall_us;
}

int64_t
clock_wall_us(void)
{
	int64_t wall_us = clock_us(CLOCK_REALTIME), mono_us = clock_us(CLOCK_BOOTTIME),
	        offset_us = atomic_load(&the.offset_us);

	if (offset_us != NOT_PLAIN && wall_us - mono_us <= offset_us + WALL_BACK_US &&
	    wall_us - mono_us >= offset_us - WALL_BACK_US)
		return wall_us;
	return judge();
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
