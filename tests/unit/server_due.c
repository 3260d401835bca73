/* What the main thread does from time to time, months of it; and what a signal asks. */
#include "server/priv.h" /* its fail() is not cmocka's */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOOK_US INT64_C(10000000)
#define START   INT64_C(777) /* a monotonic clock begins anywhere */

static const struct wall_state good = { 0 };

static void
due__a_month_has_its_hours_and_days(void **state)
{
	struct due d = due_begin(START, 5, &good);
	unsigned certs = 0, reviews = 0, tickets = 0;

	(void)state;
	for (int64_t t = 0; t <= 30 * 24 * HOUR_US; t += LOOK_US) {
		unsigned what = due_step(&d, START + t, 5, &good);

		certs += (what & DUE_CERTS) != 0;
		reviews += (what & DUE_REVIEW) != 0;
		tickets += (what & DUE_TICKETS) != 0;
		assert_int_equal(what & DUE_LOG_GOES_ON, 0);
	}
	assert_int_equal(certs, 30 * 24);
	assert_int_equal(reviews, 30);
	assert_int_equal(tickets, 30);
}

/* A start has just made and looked at all of it. */
static void
due__nothing_is_at_the_start(void **state)
{
	struct due d = due_begin(START, 0, &good);

	(void)state;
	assert_int_equal(due_step(&d, START, 0, &good), 0);
	assert_int_equal(due_step(&d, START + HOUR_US - 1, 0, &good), 0);
	assert_int_equal(due_step(&d, START + HOUR_US, 0, &good), DUE_CERTS);
	assert_int_equal(due_step(&d, START + HOUR_US, 0, &good), 0);
}

/* Signals wake the thread before its time: what is due is due once, however often it looks. */
static void
due__a_machine_that_slept_makes_up_for_it_once(void **state)
{
	struct due d = due_begin(START, 0, &good);

	(void)state;
	assert_int_equal(
	    due_step(&d, START + 50 * HOUR_US, 0, &good), DUE_CERTS | DUE_REVIEW | DUE_TICKETS);
	assert_int_equal(due_step(&d, START + 50 * HOUR_US + 1, 0, &good), 0);
	assert_int_equal(due_step(&d, START + 51 * HOUR_US, 0, &good), DUE_CERTS);
}

/* By another time other certificates have ended. */
static void
due__a_jump_of_the_clock_looks_at_certificates_again_at_once(void **state)
{
	struct due d = due_begin(START, 3, &good);

	(void)state;
	assert_int_equal(due_step(&d, START + 1, 4, &good), DUE_CERTS | DUE_REVIEW);
	assert_int_equal(due_step(&d, START + 2, 4, &good), 0);
	assert_int_equal(due_step(&d, START + 3, 6, &good), DUE_CERTS | DUE_REVIEW);
	/* the hour goes on from where it was */
	assert_int_equal(due_step(&d, START + HOUR_US, 6, &good), DUE_CERTS);
}

static void
due__that_the_logs_time_goes_on_is_said_once(void **state)
{
	struct wall_state behind = { .behind_us = 7200 * INT64_C(1000000) },
	                  little = { .behind_us = WALL_BACK_US - 1 };
	struct due d = due_begin(START, 0, &behind);

	(void)state;
	assert_true(d.behind);
	assert_int_equal(due_step(&d, START + 1, 0, &behind), 0);
	assert_int_equal(due_step(&d, START + 2, 0, &little), DUE_LOG_GOES_ON);
	assert_int_equal(due_step(&d, START + 3, 0, &good), 0);
	/* set back while it runs: clock_tell has told of that */
	assert_int_equal(due_step(&d, START + 4, 1, &behind), DUE_CERTS | DUE_REVIEW);
	assert_int_equal(due_step(&d, START + 5, 1, &good), DUE_LOG_GOES_ON);
	assert_false(due_begin(START, 0, &little).behind);
}

static void
signals__ask_what_operations_says(void **state)
{
	(void)state;
	assert_int_equal(signal_asks(SIGTERM), ASKED_END);
	assert_int_equal(signal_asks(SIGINT), ASKED_END);
	assert_int_equal(signal_asks(SIGHUP), ASKED_LOG | ASKED_CERTS);
	assert_int_equal(signal_asks(SIGUSR1), ASKED_LOG); /* log rotators: no handshake anew */
	assert_int_equal(signal_asks(-1), 0);              /* none: the time was over */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due__a_month_has_its_hours_and_days),
		cmocka_unit_test(due__nothing_is_at_the_start),
		cmocka_unit_test(due__a_machine_that_slept_makes_up_for_it_once),
		cmocka_unit_test(due__a_jump_of_the_clock_looks_at_certificates_again_at_once),
		cmocka_unit_test(due__that_the_logs_time_goes_on_is_said_once),
		cmocka_unit_test(signals__ask_what_operations_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
