/* How long the log is kept, whatever the hub's life is like (E-07). */
#include "store_kit.h"

#include "os/clock.h"

#define AGE_S   3
#define LATE_US INT64_C(6000000) /* three spans, looks, and what the machine makes of it */
#define RECORDS 25

static bool
is_there(struct kit *k, unsigned i)
{
	struct buf b = { 0 };
	char key[16];
	enum err e;

	snprintf(key, sizeof key, "%08u", i);
	e = kit_get(k, STORE_CHANGES, key, &b);
	assert_true(e == ERR_OK || e == ERR_NOT_FOUND);
	buf_fini(&b);
	return e == ERR_OK;
}

static void
put_one(struct kit *k, unsigned i)
{
	char key[16];

	snprintf(key, sizeof key, "%08u", i);
	assert_int_equal(kit_put(k, STORE_CHANGES, key, "a change"), STORE_OK);
}

/* Those that were put since, and are young, are there. */
static void
expect_young(struct kit *k, const int64_t *put_us, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		bool there = is_there(k, i);

		if (clock_mono_us() - put_us[i] < AGE_S * INT64_C(1000000))
			assert_true(there);
		else if (clock_mono_us() - put_us[i] > AGE_S * INT64_C(1000000) + LATE_US)
			assert_false(there);
	}
}

static void
expect_all_gone(struct kit *k, unsigned n, int64_t since_us)
{
	for (unsigned i = 0; i < n; i++)
		while (is_there(k, i)) {
			assert_true(
			    clock_mono_us() - since_us < AGE_S * INT64_C(1000000) + LATE_US);
			usleep(50000);
		}
}

/* Each start makes a small file: they are merged, and none of them takes younger records along when its oldest is due. */
static void
retain__E07_a_hub_that_is_started_often_keeps_what_is_young(void **state)
{
	struct kit *k = *state;
	int64_t put_us[RECORDS];

	k->o.retention.changes_age_s = AGE_S;
	for (unsigned i = 0; i < RECORDS; i++) {
		kit_open(k);
		put_us[i] = clock_mono_us();
		put_one(k, i);
		expect_young(k, put_us, i + 1);
		usleep(200000);
		kit_close(k);
	}
	kit_open(k);
	expect_all_gone(k, RECORDS, clock_mono_us());
}

/* What is in memory alone, and not much of it, becomes old as well; and nothing is written any more when it is due. */
static void
retain__E07_a_quiet_hub_forgets_too(void **state)
{
	struct kit *k = *state;
	int64_t put_us[RECORDS];

	k->o.retention.changes_age_s = AGE_S;
	kit_open(k);
	for (unsigned i = 0; i < RECORDS; i++) {
		put_us[i] = clock_mono_us();
		put_one(k, i);
		expect_young(k, put_us, i + 1);
		usleep(200000);
	}
	expect_all_gone(k, RECORDS, clock_mono_us());
	assert_int_equal(store_state(k->s, NULL), STORE_READY);
}

static void
retain__without_an_age_small_files_are_merged(void **state)
{
	struct kit *k = *state;
	struct store_stats st;

	for (unsigned i = 0; i < 30; i++) {
		kit_open(k);
		put_one(k, i);
		kit_close(k);
	}
	kit_open(k);
	store_stats(k->s, &st);
	for (unsigned i = 0; i < 200 && st.table_files > 10; i++) {
		usleep(50000);
		store_stats(k->s, &st);
	}
	assert_true(st.table_files <= 10);
	for (unsigned i = 0; i < 30; i++)
		assert_true(is_there(k, i));
}

#define ROW_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW_TEST(retain__E07_a_hub_that_is_started_often_keeps_what_is_young),
		ROW_TEST(retain__E07_a_quiet_hub_forgets_too),
		ROW_TEST(retain__without_an_age_small_files_are_merged),
	};

	return cmocka_run_group_tests_name("store: how long the log is kept", tests, NULL, NULL);
}
