/* The wall clock, judged: what is followed at once, what only later, what is given again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/wall.h"
#include "rnd.h"

#define SECOND INT64_C(1000000)
#define HOUR   (3600 * SECOND)
#define YEAR   (365 * 24 * HOUR)
#define BEGIN  (INT64_C(1790000000) * SECOND)

static struct wall w;
static int64_t wall_us, mono_us, by_us;
static enum wall_news news;

static int
begin(void **state)
{
	(void)state;
	memset(&w, 0, sizeof(w));
	wall_us = BEGIN;
	mono_us = 77 * SECOND;
	return 0;
}

static int64_t
ask(void)
{
	return wall_judge(&w, wall_us, mono_us, &news, &by_us);
}

static void
pass(int64_t us)
{
	wall_us += us;
	mono_us += us;
}

static void
expect(int64_t now_us, enum wall_news n)
{
	assert_int_equal(ask(), now_us);
	assert_int_equal(news, n);
}

static void
wall__is_the_clock_while_that_goes_evenly(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		expect(wall_us, WALL_SAME);
		pass(i * HOUR);
		wall_us += i % 2 ? 400000 : -400000; /* a step that nobody minds */
	}
	assert_int_equal(wall_state(&w, mono_us).held_us, 0);
}

static void
wall__up_to_an_hour_ahead_is_followed_at_once(void **state)
{
	(void)state;
	expect(BEGIN, WALL_SAME);
	for (int i = 0; i < 3; i++) {
		wall_us += WALL_AHEAD_US;
		expect(wall_us, WALL_SAME);
	}
}

static void
wall__a_jump_of_a_second_stamps_nothing(void **state)
{
	(void)state;
	ask();
	wall_us += 20 * YEAR;
	pass(SECOND / 10);
	expect(BEGIN + SECOND / 10, WALL_HELD);
	assert_int_equal(by_us, 20 * YEAR);
	assert_int_equal(wall_state(&w, mono_us).held_us, 20 * YEAR);
	pass(SECOND / 2);
	expect(BEGIN + SECOND * 6 / 10, WALL_SAME);
	wall_us -= 20 * YEAR;
	pass(SECOND / 2);
	expect(BEGIN + SECOND * 11 / 10, WALL_RETURNED);
	assert_int_equal(by_us, 20 * YEAR);
	assert_int_equal(wall_state(&w, mono_us).held_us, 0);
	assert_int_equal(wall_state(&w, mono_us).behind_us, 0);
}

static void
wall__a_jump_that_lasts_is_followed_after_a_minute(void **state)
{
	(void)state;
	ask();
	wall_us += WALL_AHEAD_US + 1;
	expect(BEGIN, WALL_HELD);
	pass(WALL_KEPT_US - 1);
	expect(BEGIN + WALL_KEPT_US - 1, WALL_SAME);
	pass(1);
	expect(wall_us, WALL_FOLLOWED);
	assert_int_equal(by_us, WALL_AHEAD_US + 1);
	pass(1);
	expect(wall_us, WALL_SAME);
}

/* An hour in which nobody has asked proves nothing: the jump may be a second old. */
static void
wall__counts_from_when_the_jump_was_seen(void **state)
{
	(void)state;
	ask();
	pass(HOUR);
	wall_us += YEAR;
	expect(BEGIN + HOUR, WALL_HELD);
	pass(WALL_KEPT_US - 1);
	expect(BEGIN + HOUR + WALL_KEPT_US - 1, WALL_SAME);
}

static void
wall__another_jump_begins_the_minute_anew(void **state)
{
	(void)state;
	ask();
	wall_us += 20 * YEAR;
	ask();
	pass(WALL_KEPT_US / 2);
	wall_us -= 10 * YEAR;
	expect(BEGIN + WALL_KEPT_US / 2, WALL_HELD);
	assert_int_equal(by_us, 10 * YEAR);
	wall_us += WALL_AHEAD_US; /* not so */
	pass(WALL_KEPT_US - 1);
	expect(BEGIN + WALL_KEPT_US * 3 / 2 - 1, WALL_SAME);
	pass(1);
	expect(wall_us, WALL_FOLLOWED);
}

/* Back from a jump, and further than it came from: that is a step like any other, for who looks after certificates too. */
static void
wall__set_back_beyond_a_held_jump_is_told_as_such(void **state)
{
	(void)state;
	ask();
	wall_us += YEAR;
	expect(BEGIN, WALL_HELD);
	pass(SECOND);
	wall_us -= 3 * YEAR;
	expect(BEGIN + SECOND - 2 * YEAR, WALL_SET_BACK);
	assert_int_equal(by_us, 2 * YEAR);
	assert_int_equal(wall_state(&w, mono_us).held_us, 0);
	assert_int_equal(wall_state(&w, mono_us).behind_us, 2 * YEAR);
}

static void
wall__set_back_is_followed_at_once_and_told_until_it_is_made_up(void **state)
{
	(void)state;
	ask();
	pass(HOUR); /* given without asking, as far as is known here */
	wall_us -= YEAR;
	expect(BEGIN + HOUR - YEAR, WALL_SET_BACK);
	assert_int_equal(by_us, YEAR);
	assert_int_equal(wall_state(&w, mono_us).behind_us, YEAR);
	pass(YEAR - 5);
	assert_int_equal(wall_state(&w, mono_us).behind_us, 5);
	pass(5);
	expect(BEGIN + HOUR, WALL_SAME);
	assert_int_equal(wall_state(&w, mono_us).behind_us, 0);
}

/* Back from a jump that was followed: the error is told by how far it went. */
static void
wall__set_back_after_a_jump_that_was_followed(void **state)
{
	(void)state;
	ask();
	wall_us += 20 * YEAR;
	ask();
	pass(WALL_KEPT_US);
	expect(wall_us, WALL_FOLLOWED);
	wall_us -= 20 * YEAR;
	expect(BEGIN + WALL_KEPT_US, WALL_SET_BACK);
	assert_int_equal(wall_state(&w, mono_us).behind_us, 20 * YEAR);
}

static void
wall__what_is_stored_of_a_later_time_is_known_from_the_start(void **state)
{
	(void)state;
	ask();
	wall_given(&w, BEGIN + HOUR);
	assert_int_equal(wall_state(&w, mono_us).behind_us, HOUR);
	wall_given(&w, BEGIN);
	assert_int_equal(wall_state(&w, mono_us).behind_us, HOUR);
	pass(2 * HOUR);
	assert_int_equal(wall_state(&w, mono_us).behind_us, 0);
}

/* Whatever the clock does: the time makes no step of more than an hour ahead that has not lasted a minute. */
static void
wall__never_follows_what_has_not_lasted(void **state)
{
	struct rnd r = { 20261129 };
	int64_t now, last, lasted_us = 0;

	(void)state;
	last = ask();
	for (int i = 0; i < 200000; i++) {
		int64_t us = (int64_t)rnd_below(&r, 20000000), step = 0;

		if (rnd_below(&r, 8) == 0)
			step = ((int64_t)rnd_below(&r, 3) - 1) * (int64_t)rnd_below(&r, 4 * 3600) *
			    SECOND;
		pass(us);
		wall_us += step;
		lasted_us = step != 0 ? 0 : lasted_us + us;
		now = ask();
		if (now - (last + us) > WALL_AHEAD_US) {
			assert_int_equal(news, WALL_FOLLOWED);
			assert_int_equal(now, wall_us);
		}
		assert_true(now == wall_us || w.held);
		assert_true(!w.held || wall_us - now > WALL_AHEAD_US);
		if (lasted_us >= WALL_KEPT_US + 20 * SECOND)
			assert_int_equal(now, wall_us); /* what lasts is followed */
		last = now;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(wall__is_the_clock_while_that_goes_evenly, begin),
		cmocka_unit_test_setup(wall__up_to_an_hour_ahead_is_followed_at_once, begin),
		cmocka_unit_test_setup(wall__a_jump_of_a_second_stamps_nothing, begin),
		cmocka_unit_test_setup(wall__a_jump_that_lasts_is_followed_after_a_minute, begin),
		cmocka_unit_test_setup(wall__counts_from_when_the_jump_was_seen, begin),
		cmocka_unit_test_setup(wall__another_jump_begins_the_minute_anew, begin),
		cmocka_unit_test_setup(wall__set_back_beyond_a_held_jump_is_told_as_such, begin),
		cmocka_unit_test_setup(
		    wall__set_back_is_followed_at_once_and_told_until_it_is_made_up, begin),
		cmocka_unit_test_setup(wall__set_back_after_a_jump_that_was_followed, begin),
		cmocka_unit_test_setup(
		    wall__what_is_stored_of_a_later_time_is_known_from_the_start, begin),
		cmocka_unit_test_setup(wall__never_follows_what_has_not_lasted, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
