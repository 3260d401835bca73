/* E-106, E-107: what grows over starts does so by epochs, whatever the clock says. */
#include "hub_kit.h"

#define YEAR (INT64_C(365) * 86400 * SECOND)

static uint64_t
generation_of(struct kit *k, const char *id)
{
	struct identity found;
	const struct row *r = row_find(k->sh, str_of(id), STR_NONE);

	assert_non_null(r);
	row_read_identity(r, &found);
	return found.generation;
}

static void
restart_years_earlier(struct kit *k)
{
	k->env.now_us -= YEAR;
	kit_restart(k);
}

static void
epochs__E106_marks_numbers_and_generations_grow_over_clocks_set_back(void **state)
{
	struct kit *k = *state;
	uint64_t mark = 0, number = 0, generation = 0, session_epoch = 0;

	for (unsigned i = 0; i < 5; i++) {
		kit_device(k, "d1");
		assert_true(shard_mark(k->sh) > mark);
		mark = shard_mark(k->sh);
		assert_true(generation_of(k, "d1") > generation);
		generation = generation_of(k, "d1");
		assert_true(kit_connect(k, "d1", 1, true) > session_epoch);
		session_epoch = k->reply.session_epoch;
		assert_true(
		    shard_number(k->sh, 0) > number && shard_number(k->sh, 0) > session_epoch);
		number = shard_number(k->sh, 0);
		assert_int_equal(kit_delete(k, "d1", "*"), F_NONE);
		mark = shard_mark(k->sh);
		restart_years_earlier(k);
		assert_true(shard_mark(k->sh) > mark);
	}
}

static void
epochs__E107_the_logs_time_goes_on_behind_what_is_stored(void **state)
{
	struct kit *k = *state;
	int64_t before = 0;

	kit_device(k, "d1");
	for (unsigned i = 0; i < 3; i++) {
		restart_years_earlier(k);
		kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
		assert_true(k->sh->log.end.time_us >= before + 10000);
		before = k->sh->log.end.time_us;
	}
}

/* A start that does not get as far as its first commit has told nobody of more than the beginning. */
static void
epochs__E106_what_is_not_on_disk_is_not_told(void **state)
{
	struct kit *k = *state;
	uint64_t told;

	kit_device(k, "d1");
	kit_restart(k);
	kit_shard(k, shard_new(k->sh->index, kit_features));
	shard_loaded(k->sh, &(struct shard_begin){ .now_us = BEGIN });
	assert_true(shard_epoch_due(k->sh));
	told = shard_mark(k->sh);
	k->sh->mark += 3;
	assert_int_equal(shard_mark(k->sh), told);
	k->hold = true;
	shard_epoch_raise(k->sh, &k->env);
	assert_false(shard_epoch_due(k->sh));
	assert_int_equal(shard_mark(k->sh), told + 3);
	kit_fail(k, false);
	assert_true(shard_epoch_due(k->sh));
	assert_int_equal(shard_mark(k->sh), told);
}

static uint64_t
first_mark(const struct str *record, const struct shard_begin *b)
{
	struct shard *sh = shard_new(3, NULL);
	uint64_t mark;

	if (record != NULL)
		assert_int_equal(shard_common(sh, STR("epoch/\0\3"), record), ERR_OK);
	shard_loaded(sh, b);
	mark = shard_mark(sh);
	shard_free(sh);
	return mark;
}

static void
epochs__E106_begins_above_former_times_and_is_the_stores_where_that_has_it(void **state)
{
	const struct str stored = STR("\1\5\7"); /* epoch 5 */
	uint64_t first = first_mark(NULL, &(struct shard_begin){ .now_us = BEGIN });

	(void)state;
	assert_true(first > (uint64_t)BEGIN);
	assert_int_equal(first & ((UINT64_C(1) << 40) - 1), 0);
	assert_int_equal(
	    first_mark(&stored, &(struct shard_begin){ .now_us = BEGIN }), UINT64_C(6) << 40);
	assert_int_equal(first_mark(&stored, &(struct shard_begin){ .now_us = BEGIN, .epoch = 9 }),
	    UINT64_C(9) << 40);
}

static void
epochs__what_cannot_be_one_is_damage(void **state)
{
	static const struct str bad[] = { { "", 0 }, { "\2\5\7", 3 }, { "\1\0\7", 3 },
		{ "\1\5", 2 }, { "\1\5\7\0", 4 }, { "\1\xfe\xff\xff\x07\7", 6 } };
	struct shard *sh = shard_new(3, NULL);

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(shard_common(sh, STR("epoch/\0\3"), &bad[i]), ERR_CORRUPT);
	shard_free(sh);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(epochs__E106_marks_numbers_and_generations_grow_over_clocks_set_back),
		kit_test(epochs__E107_the_logs_time_goes_on_behind_what_is_stored),
		kit_test(epochs__E106_what_is_not_on_disk_is_not_told),
		kit_test(
		    epochs__E106_begins_above_former_times_and_is_the_stores_where_that_has_it),
		kit_test(epochs__what_cannot_be_one_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
