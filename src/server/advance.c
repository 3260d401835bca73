/*
 * Time for tests: what a test has advanced, on its way to all who wait for a time. Whoever reads a clock finds it ahead by then (os/clock.h);
 * here are woken those who sleep until a time that has come, or count by another clock:
 *
 *   loops      the ends of tokens, which stand in their wheels by the clock that was not advanced
 *   workers    locks, messages, jobs, what depends on the time
 *   store      how old its log is; a file of it is as old as itself, so what is in memory becomes one before
 */
#include "server/priv.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

bool
admin_clock_advance(void *ctx, int64_t by_us)
{
	struct server *s = ctx;
	bool within;

	store_log_to_files(s->store);
	pthread_mutex_lock(&mutex);
	within = by_us <= CLOCK_AHEAD_MAX_US - clock_ahead_us();
	if (within)
		clock_advance(by_us);
	pthread_mutex_unlock(&mutex);
	if (!within)
		return false;
	for (unsigned i = 0; i < s->nio; i++)
		mqtt_loop_later(s->io[i].mqtt, by_us);
	fleet_poke(s->fleet);
	settings_retain(s);
	return true;
}
