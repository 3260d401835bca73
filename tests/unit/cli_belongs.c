/* Whose a stored row is. */
#include "cli/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "config/config.h"
#include "hub/messages.h"
#include "job/work.h"
#include "partition/partition.h"
#include "routing/routing.h"
#include "settings/settings.h"
#include "shard/shard.h"

static const struct feature *const features[] = { &configuration_feature, &job_feature,
	&message_feature, &routing_feature, &settings_feature, &partition_feature, NULL };

/* Each key that a shard looks for when it is read is of that shard; what is the hub's is asked by shard 0 alone. */
static void
belongs__O285_what_a_shard_reads_is_its_own(void **state)
{
	(void)state;
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct shard *sh = shard_new(s, features);
		struct str prefix = STR_NONE;
		char room[HUB_PREFIX_MAX];
		unsigned n = 0;
		uint32_t of;

		while (shard_common_prefix(sh, &prefix, room)) {
			assert_true(row_shard(STORE_HUB, prefix, &of));
			assert_int_equal(of, s);
			n++;
		}
		assert_in_range(n, s == 0 ? 14 : 8, 20);
		shard_free(sh);
	}
}

static void
assert_of(enum store_table t, const char *key, size_t n, int want)
{
	uint32_t of = 99;
	bool known = row_shard(t, (struct str){ key, n }, &of);

	assert_int_equal(known ? (int)of : -1, want);
}

static void
belongs__O285_keys_of_all_tables(void **state)
{
	(void)state;
	assert_of(STORE_IDENTITY,
	    "\0\x05"
	    "d\0",
	    4, 5);
	assert_of(STORE_REPORTED,
	    "\0\x3f"
	    "d\0m",
	    5, 63);
	assert_of(STORE_MESSAGES,
	    "\0\x07"
	    "d\0",
	    4, 7);
	assert_of(STORE_MESSAGES,
	    "\x80\x07"
	    "12345678"
	    "12345678",
	    18, 7);
	assert_of(STORE_LOG,
	    "\0\x09"
	    "12345678",
	    10, 9);
	assert_of(STORE_PARTITIONS,
	    "\0\x1f"
	    "12345678",
	    10, 31);
	assert_of(STORE_HUB, "partition/\x0a", 11, 10);
	assert_of(STORE_HUB,
	    "jobdone/\0\x0b"
	    "12345678"
	    "1234",
	    22, 11);
	assert_of(STORE_HUB, "sinkat/a", 8, 0);
}

static void
belongs__O285_a_key_that_is_none_is_nobodys(void **state)
{
	(void)state;
	assert_of(STORE_IDENTITY,
	    "\0\x40"
	    "d\0",
	    4, -1);
	assert_of(STORE_IDENTITY, "\x01\x00", 2, -1);
	assert_of(STORE_IDENTITY, "\0", 1, -1);
	assert_of(STORE_IDENTITY, "", 0, -1);
	assert_of(STORE_MESSAGES,
	    "\x80\x40"
	    "1",
	    3, -1);
	assert_of(STORE_HUB, "partition/", 10, -1);
	assert_of(STORE_HUB, "partition/\x40", 11, -1);
	assert_of(STORE_HUB, "jobrows/\0", 9, -1);
	assert_of(STORE_HUB, "of/a/later/program", 18, -1);
	assert_of(STORE_HUB, "", 0, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(belongs__O285_what_a_shard_reads_is_its_own),
		cmocka_unit_test(belongs__O285_keys_of_all_tables),
		cmocka_unit_test(belongs__O285_a_key_that_is_none_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
