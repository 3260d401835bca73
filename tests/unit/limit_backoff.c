/* Who fails to authenticate again and again: waits, who is locked out by whom, and who is not. */
#include "limit/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define S INT64_C(1000000000)

static struct backoff b;
static struct backoff_wait w;
static int64_t now;

static int
begin(void **state)
{
	(void)state;
	backoff_init(&b, 60 * S);
	now = 1000 * S;
	return 0;
}

static int
end(void **state)
{
	(void)state;
	backoff_fini(&b);
	return 0;
}

static struct backoff_who
who(uint64_t name, uint64_t address)
{
	return (struct backoff_who){ name, address };
}

static void
failed(struct backoff_who x, unsigned n)
{
	while (n-- > 0)
		(void)backoff_failed(&b, x, REASON_KEY_SIGNATURE, now, &w);
}

static int64_t
waits(struct backoff_who x)
{
	return backoff_holds(&b, x, false, now, &w) ? w.wait_ns / S : 0;
}

static void
backoff__O33_from_the_fifth_failure_on_twice_as_long(void **state)
{
	static const int64_t expected[] = { 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60 };

	(void)state;
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		failed(who(1, 7), 1);
		assert_int_equal(waits(who(1, 7)), expected[i]);
		assert_int_equal(w.failures, i + 1);
		now += expected[i] * S;
		assert_int_equal(waits(who(1, 7)), 0);
	}
	assert_int_equal(w.cause, REASON_KEY_SIGNATURE);
	now += 600 * S;
	failed(who(1, 7), 4);
	assert_int_equal(waits(who(1, 7)), 0); /* it was quiet for long enough */
}

static void
backoff__O34_wrong_keys_from_elsewhere_lock_nobody_out(void **state)
{
	(void)state;
	failed(who(1, 7), 1000);
	assert_true(waits(who(1, 7)) > 0);
	assert_int_equal(waits(who(1, 8)), 0); /* the same device, another address */
	assert_int_equal(waits(who(2, 7)), 0); /* another device, the same address */
	backoff_passed(&b, who(2, 7), now);
	assert_int_equal(waits(who(2, 7)), 0);
}

static void
backoff__O34_who_is_known_is_judged_while_it_waits(void **state)
{
	(void)state;
	failed(who(1, 7), 6);
	assert_int_equal(
	    waits(who(1, 7)), 1); /* the sixth came within the wait: nobody counts it */
	assert_int_equal(w.failures, 5);
	assert_false(
	    backoff_holds(&b, who(1, 7), true, now, &w)); /* known otherwise, or a policy */
	now += 2 * S;
	backoff_passed(&b, who(1, 7), now);
	failed(who(1, 7), 4);
	assert_int_equal(w.wait_ns, 0); /* in a row, anew */
	failed(who(1, 7), 1);
	assert_int_equal(w.wait_ns, S);
	assert_int_equal(waits(who(1, 7)), 0); /* it waits, but is judged */
	for (int i = 0; i < 1000; i++)         /* wrong ones, however many, change nothing */
		assert_true(backoff_failed(&b, who(1, 7), REASON_KEY_SIGNATURE, now, &w));
	assert_int_equal(w.wait_ns, S);
	backoff_passed(&b, who(1, 7), now);
	assert_int_equal(backoff_waiting(&b, now), 0);
}

static void
backoff__O34_an_address_of_many_failures_holds_each_after_its_first(void **state)
{
	(void)state;
	for (unsigned i = 1; i < BACKOFF_ADDRESS_FREE; i++) {
		assert_false(backoff_failed(&b, who(100 + i, 7), REASON_IDENTITY_UNKNOWN, now, &w));
		assert_int_equal(w.wait_ns, 0);
	}
	assert_true(backoff_failed(&b, who(999, 7), REASON_IDENTITY_UNKNOWN, now, &w));
	assert_true(w.by_address && w.wait_ns == S);
	assert_int_equal(waits(who(999, 7)), 1);
	assert_int_equal(waits(who(5, 7)), 0); /* whoever has not failed is judged */
	assert_false(backoff_failed(&b, who(999, 8), REASON_IDENTITY_UNKNOWN, now, &w));
}

static void
backoff__O33_what_is_no_failure_of_authentication_counts_for_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		(void)backoff_failed(&b, who(1, 7), REASON_DISABLED, now, &w);
		(void)backoff_failed(&b, who(1, 7), REASON_POLICY_RIGHTS, now, &w);
		(void)backoff_failed(&b, who(1, 7), REASON_RATE_LIMIT, now, &w);
		(void)backoff_failed(&b, who(1, 0), REASON_KEY_SIGNATURE, now, &w); /* free */
	}
	assert_int_equal(waits(who(1, 7)) + waits(who(1, 0)), 0);
	assert_int_equal(backoff_waiting(&b, now), 0);
}

static void
backoff__O35_many_names_make_nobody_wait(void **state)
{
	(void)state;
	failed(who(1, 7), 10);
	for (uint64_t i = 0; i < 200000; i++)
		(void)backoff_failed(&b, who(1000 + i, 8), REASON_IDENTITY_UNKNOWN, now, &w);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(waits(who(500000 + i, 9)), 0);
	assert_true(backoff_waiting(&b, now) <= BACKOFF_ENTRIES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    backoff__O33_from_the_fifth_failure_on_twice_as_long, begin, end),
		cmocka_unit_test_setup_teardown(
		    backoff__O34_wrong_keys_from_elsewhere_lock_nobody_out, begin, end),
		cmocka_unit_test_setup_teardown(
		    backoff__O34_who_is_known_is_judged_while_it_waits, begin, end),
		cmocka_unit_test_setup_teardown(
		    backoff__O34_an_address_of_many_failures_holds_each_after_its_first, begin,
		    end),
		cmocka_unit_test_setup_teardown(
		    backoff__O33_what_is_no_failure_of_authentication_counts_for_nothing, begin,
		    end),
		cmocka_unit_test_setup_teardown(
		    backoff__O35_many_names_make_nobody_wait, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
