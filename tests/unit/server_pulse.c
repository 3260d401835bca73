/* Who stands still, and what a control group allows: the watchdog's and the memory's eyes. */
#include "server/priv.h" /* its fail() is not cmocka's */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define S INT64_C(1000000)

static void
pulse__O103_busy_without_a_turn_is_stuck(void **state)
{
	struct pulse p = { 0 };

	(void)state;
	assert_false(pulse_stands(&p, true, 1, 100 * S, 30 * S));
	assert_false(pulse_stands(&p, true, 1, 129 * S, 30 * S));
	assert_true(pulse_stands(&p, true, 1, 130 * S, 30 * S));
	assert_true(pulse_stands(&p, true, 1, 500 * S, 30 * S));
	assert_false(pulse_stands(&p, true, 3, 501 * S, 30 * S)); /* it has turned */
	assert_true(pulse_stands(&p, true, 3, 531 * S, 30 * S));
}

static void
pulse__O103_who_rests_is_not_stuck(void **state)
{
	struct pulse p = { 0 };

	(void)state;
	for (int64_t at = 1; at < 1000; at += 10)
		assert_false(pulse_stands(&p, false, 2, at * S, 30 * S));
	/* and the time before does not count */
	assert_false(pulse_stands(&p, true, 3, 1000 * S, 30 * S));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pulse__O103_busy_without_a_turn_is_stuck),
		cmocka_unit_test(pulse__O103_who_rests_is_not_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
