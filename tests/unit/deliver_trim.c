/* What retention has dropped goes from the front of a partition (E-105), over a real store. */
#include "store_kit.h"

#include "deliver/priv.h"

#define PARTITION 1u
#define EACH      3u /* appends of so many entries: a row each */
#define APPENDS   40u

/* The rows of an append, as a shard would write them. */
static void
append(struct store_batch *b, struct partition_end *end, int64_t time_us)
{
	struct partition_end next = *end;
	struct partition_entry v[EACH];
	struct buf payload = { 0 };
	struct str key;
	struct rd rd;

	for (uint32_t i = 0; i < EACH; i++)
		v[i] = (struct partition_entry){ .sequence = next.next++,
			.position = next.at[PARTITION]++,
			.time_us = time_us,
			.shard = PARTITION,
			.telemetry = true };
	partition_append_put(&payload, PARTITION, end, &next, v, EACH, NULL, 0);
	rd = rd_of(buf_view(&payload));
	rd_varint(&rd);
	rd_lstr(&rd);
	for (uint64_t n = rd_varint(&rd); n > 0; n--) {
		key = rd_lstr(&rd);
		store_batch_put(b, PARTITION, STORE_PARTITIONS, key, rd_lstr(&rd));
	}
	assert_false(rd.bad);
	buf_fini(&payload);
	*end = next;
}

/* A clock that was ahead: as times of a partition never fall, its entries have a later one than their records, and than any record that is left. */
static void
trim__E105_what_is_gone_goes_at_once_whatever_its_entries_time(void **state)
{
	struct kit *k = *state;
	struct feed_extent extent = { .family[FEED_CHANGES].oldest_us = 1 };
	struct partition_end end;
	struct store_batch *b;
	struct trim t;

	kit_open(k);
	partition_end_init(&end, 4);
	b = store_batch_new();
	for (uint32_t i = 0; i < APPENDS; i++)
		append(b, &end, 5000000);
	assert_int_equal(kit_commit(k, 0, b), STORE_OK);

	/* half of them are gone; of the next one, one */
	extent.family[FEED_TELEMETRY].oldest_us = 1000;
	extent.family[FEED_TELEMETRY].oldest.next[PARTITION] = 1 + APPENDS / 2 * EACH + 1;
	assert_int_equal(trim_look(k->s, &extent, PARTITION, &end, &t), ERR_OK);
	assert_int_equal(t.begin, APPENDS / 2 * EACH + 1);
	assert_int_equal(t.n, 0);

	/* with the next look rows go whose begin behind them is on disk */
	end.begin = t.begin;
	assert_int_equal(trim_look(k->s, &extent, PARTITION, &end, &t), ERR_OK);
	assert_int_equal(t.begin, end.begin);
	assert_int_equal(t.n, APPENDS / 2);
	kit_close(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    trim__E105_what_is_gone_goes_at_once_whatever_its_entries_time, kit_setup,
		    kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
