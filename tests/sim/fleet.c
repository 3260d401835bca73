/*
 * Columns against documents, while everybody writes: histories of a whole fleet (world.h), each look at columns checked.
 *
 *   TWINHUB_SIM_SEED=7 sim_fleet       that history again
 *   TWINHUB_SIM_SECONDS=600 sim_fleet  other histories for that long; the seed is printed if one fails
 *   TWINHUB_SIM_HISTORIES=n            so many from that seed on
 */
#include "world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define STEPS     3300
#define HISTORIES 40
#define ROWS_MAX  250000u /* judged in one history: a large fleet's is over sooner */

/* Which history, and where in it: whatever ends the process says so, the hub's own assertions too. */
static char where[64];
static int nwhere;

static void
on_signal(int sig)
{
	signal(sig, SIG_DFL);
	(void)!write(STDERR_FILENO, where, (size_t)nwhere);
	raise(sig);
}

static void
hear_signals(void)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], on_signal);
}

static void
say_where(uint64_t seed, int step)
{
	nwhere = snprintf(where, sizeof(where), "TWINHUB_SIM_SEED=%llu fails in step %d\n",
	    (unsigned long long)seed, step);
}

static void
history(uint64_t seed)
{
	struct rnd r = { (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1 };
	uint64_t before = seen.judged;
	struct world *w;

	say_where(seed, 0);
	w = world_new(seed, DEVICES_MAX);
	for (int i = 0; i < STEPS && seen.judged - before < ROWS_MAX; i++) {
		say_where(seed, i);
		world_step(w, world_draw_kind(&r), rnd_u64(&r));
	}
	world_free(w);
}

/* Of two that are started together each has its own histories. */
static uint64_t
seed_anew(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
show_seen(void)
{
	static const char *const names[] = { SEEN_FIELDS(SEEN_NAME) };
	const uint64_t counts[] = { SEEN_FIELDS(SEEN_COUNT) };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		print_message("%s %llu\n", names[i], (unsigned long long)counts[i]);
}

/* What never happens is not tested. */
static void
check_seen(void)
{
	static const char *const names[] = { SEEN_FIELDS(SEEN_NAME) };
	const uint64_t counts[] = { SEEN_FIELDS(SEEN_COUNT) };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (counts[i] == 0)
			fail_msg("%s: none in all histories", names[i]);
}

static void
fleet__columns_agree_with_documents_whatever_is_written(void **state)
{
	const char *seed_text = getenv("TWINHUB_SIM_SEED"), *s = getenv("TWINHUB_SIM_SECONDS");
	const char *most = getenv("TWINHUB_SIM_HISTORIES");
	time_t end = time(NULL) + (s ? atol(s) : 0);
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : seed_anew();
	uint64_t n = 0, least = most ? strtoull(most, NULL, 10) : seed_text ? 1 : HISTORIES;

	(void)state;
	hear_signals();
	do {
		history(seed++);
	} while (++n < least || time(NULL) < end);
	show_seen();
	if (seed_text == NULL)
		check_seen();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(
	    fleet__columns_agree_with_documents_whatever_is_written) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
