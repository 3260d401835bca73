/* Partitions: rows and ends as bytes, and appends in a shard (E-100). */
#include "partition/priv.h"

#define KIT_FEATURES &partition_feature
#include "hub_kit.h"

static struct kit k;

static int
setup(void **state)
{
	(void)state;
	kit_init(&k);
	kit_shard(&k, shard_new(1, kit_features));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kit_fini(&k);
	return 0;
}

/* So many entries behind `old`, to partition 1 of 4. */
static enum fault_code
append(struct partition_end *old, uint32_t n)
{
	static struct partition_entry v[PARTITION_APPEND];
	struct op op = { .kind = OP_PARTITION_APPEND, .actor = ACTOR_HUB, .partition = 1 };
	struct partition_end next = *old;
	struct buf payload = { 0 };
	enum fault_code code;

	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct partition_entry){ .sequence = next.next++,
			.position = next.at[5]++,
			.time_us = next.last_us += i % 3,
			.shard = 5,
			.telemetry = i % 2 == 0 };
	partition_append_put(&payload, 1, old, &next, v, n, NULL, 0);
	op.payload = buf_view(&payload);
	code = kit_run(&k, &op);
	buf_fini(&payload);
	if (code == F_NONE)
		*old = next;
	return code;
}

static void
partition__E100_an_append_moves_the_end_with_its_rows(void **state)
{
	struct partition_end end, stored;

	(void)state;
	assert_false(partition_stored(k.sh, 1, 4, &end));
	assert_int_equal(end.next, 0);
	assert_int_equal(end.at[5], 1);
	assert_int_equal(append(&end, 3), F_NONE);
	assert_int_equal(append(&end, 600), F_NONE);
	assert_true(partition_stored(k.sh, 1, 4, &stored));
	assert_int_equal(stored.next, 603);
	assert_int_equal(stored.at[5], 604);
	assert_int_equal(stored.at[9], 1);
	assert_int_equal(stored.last_us, end.last_us);
}

static void
partition__E100_who_is_behind_appends_nothing(void **state)
{
	struct partition_end end, late, stored;

	(void)state;
	(void)partition_stored(k.sh, 1, 4, &end);
	late = end;
	assert_int_equal(append(&end, 3), F_NONE);
	assert_int_equal(append(&late, 5), F_PreconditionFailed);
	assert_true(partition_stored(k.sh, 1, 4, &stored));
	assert_int_equal(stored.next, 3);
}

static void
rows__E100_give_what_was_put(void **state)
{
	static const char row[] = "\1\2\12\105\7\0\5\200\1\3", cut[] = "\1\2\12\105\7\0\5\200",
	                  other[] = "\2\0\0", shard[] = "\1\1\0\200\1\0";
	struct partition_entry e;
	struct partition_row r;

	(void)state;
	partition_row_begin(&r, 254, (struct str){ row, sizeof(row) - 1 });
	assert_int_equal(partition_row_next(&r, &e), ERR_OK);
	assert_true(
	    e.sequence == 254 && e.shard == 5 && e.telemetry && e.position == 7 && e.time_us == 10);
	assert_int_equal(partition_row_next(&r, &e), ERR_OK);
	assert_true(e.sequence == 255 && e.shard == 5 && !e.telemetry && e.position == 128 &&
	    e.time_us == 13);
	assert_int_equal(partition_row_next(&r, &e), ERR_END);
	partition_row_begin(&r, 0, (struct str){ cut, sizeof(cut) - 1 });
	assert_int_equal(partition_row_next(&r, &e), ERR_OK);
	assert_int_equal(partition_row_next(&r, &e), ERR_CORRUPT);
	partition_row_begin(&r, 0, (struct str){ other, sizeof(other) - 1 });
	assert_int_equal(partition_row_next(&r, &e), ERR_CORRUPT);
	partition_row_begin(&r, 0, (struct str){ shard, sizeof(shard) - 1 });
	assert_int_equal(partition_row_next(&r, &e), ERR_CORRUPT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    partition__E100_an_append_moves_the_end_with_its_rows, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    partition__E100_who_is_behind_appends_nothing, setup, teardown),
		cmocka_unit_test(rows__E100_give_what_was_put),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
