/* The machine's clocks, and sleep. What is judged of the wall clock is base_wall's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <sys/time.h>

#include "os/clock.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)

static volatile sig_atomic_t nsignal;
static unsigned ntold;
static int64_t told_us;

static void
clock__mono_is_one_clock_in_two_units_and_never_goes_back(void **state)
{
	int64_t last_us = clock_mono_us();

	(void)state;
	for (int i = 0; i < 100000; i++) {
		int64_t ns = clock_mono_ns(), us = clock_mono_us();

		assert_true(last_us <= ns / 1000 && ns / 1000 <= us);
		last_us = us;
	}
}

static void
clock__wall_is_the_machines_while_that_goes_evenly(void **state)
{
	int64_t before_us = clock_machine_us(), wall_us = clock_wall_us();

	(void)state;
	/* as it was at the last look, which reads two clocks one after the other */
	assert_in_range(wall_us, before_us - SECOND, clock_machine_us() + SECOND);
	assert_true(before_us > INT64_C(1600000000) * SECOND);
}

static void
heard(enum wall_news news, int64_t by_us)
{
	ntold += news != WALL_SAME;
	told_us = by_us;
}

/* Nobody can set the machine's clock here, but what was stored can be ahead of it. */
static void
clock__says_how_far_it_is_behind_what_was_stored(void **state)
{
	struct wall_state w;
	unsigned nchange = clock_look(&w);

	(void)state;
	clock_tell(heard);
	assert_in_range(w.behind_us, 0, WALL_BACK_US);
	clock_given(clock_machine_us() + 2 * HOUR);
	assert_int_equal(clock_look(&w), nchange);
	assert_in_range(w.behind_us, HOUR, 2 * HOUR);
	assert_int_equal(w.held_us, 0);
	assert_in_range(clock_wall_us(), 1, clock_machine_us() + SECOND); /* it is not followed */
	assert_int_equal(ntold, 0);                                       /* and no jump */
	assert_int_equal(told_us, 0);
}

static void
count(int sig)
{
	(void)sig;
	nsignal++;
}

static void
clock__sleeps_as_long_as_asked_whatever_signals_come(void **state)
{
	const struct sigaction counted = { .sa_handler = count };
	const struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { 0 };
	int64_t from_us = clock_mono_us();

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &counted, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	clock_sleep_us(50000);
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_true(clock_mono_us() - from_us >= 50000);
	assert_true(nsignal > 0);
	clock_sleep_us(0);
	clock_sleep_us(-SECOND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock__mono_is_one_clock_in_two_units_and_never_goes_back),
		cmocka_unit_test(clock__wall_is_the_machines_while_that_goes_evenly),
		cmocka_unit_test(clock__says_how_far_it_is_behind_what_was_stored),
		cmocka_unit_test(clock__sleeps_as_long_as_asked_whatever_signals_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
