/* What a batch holds, as a store reads it: of each key the last change, whatever came before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "rnd.h"
#include "store/face.h"

#define SHARDS_OF 3
#define TABLES_OF 2
#define NAMES     400
#define KEYS      (SHARDS_OF * TABLES_OF * NAMES)

static void
batch__the_last_change_of_a_key_is_kept(void **state)
{
	struct store_batch *b = store_batch_new();
	struct store_change c;
	size_t at = 0;

	(void)state;
	store_batch_put(b, 7, STORE_WANTED, STR("a"), STR("first"));
	store_batch_put(b, 7, STORE_WANTED, STR("b"), STR("goes"));
	store_batch_put(b, 7, STORE_REPORTED, STR("a"), STR("of another table"));
	store_batch_put(b, 8, STORE_WANTED, STR("a"), STR("of another shard"));
	store_batch_delete(b, 7, STORE_WANTED, STR("b"));
	store_batch_put(b, 7, STORE_WANTED, STR("a"), STR("last"));
	assert_int_equal(store_batch_count(b), 4);

	assert_true(store_batch_next_change(b, &at, &c));
	assert_true(c.shard == 7 && c.table == STORE_REPORTED && c.put);
	assert_true(str_eq(c.value, STR("of another table")));
	assert_true(store_batch_next_change(b, &at, &c));
	assert_true(c.shard == 8 && c.table == STORE_WANTED && c.put);
	assert_true(store_batch_next_change(b, &at, &c));
	assert_true(c.shard == 7 && c.table == STORE_WANTED && !c.put && str_eq(c.key, STR("b")));
	assert_true(store_batch_next_change(b, &at, &c));
	assert_true(
	    c.shard == 7 && c.put && str_eq(c.key, STR("a")) && str_eq(c.value, STR("last")));
	assert_false(store_batch_next_change(b, &at, &c));
	store_batch_free(b);
}

static void
batch__none_has_no_change(void **state)
{
	struct store_batch *b = store_batch_new();
	struct store_change c;
	size_t at = 0;

	(void)state;
	store_batch_clear(b);
	assert_false(store_batch_next_change(b, &at, &c));
	assert_int_equal(store_batch_count(b), 0);
	store_batch_free(b);
}

/* By key: the number of its last change, negative if it goes; 0: none. */
struct model {
	int last[KEYS];
	unsigned nkey;
};

static struct str
name_of(unsigned key, char room[16])
{
	snprintf(room, 16, "%u", key % NAMES);
	return str_of(room);
}

static void
change_any(struct store_batch *b, struct model *m, struct rnd *rnd, int number, unsigned keys)
{
	unsigned key = rnd_below(rnd, keys);
	uint32_t shard = key / NAMES % SHARDS_OF;
	enum store_table t = key / NAMES / SHARDS_OF;
	char name[16], value[16];

	m->nkey += m->last[key] == 0;
	if (rnd_below(rnd, 4) == 0) {
		store_batch_delete(b, shard, t, name_of(key, name));
		m->last[key] = -number;
	} else {
		snprintf(value, sizeof(value), "%d", number);
		store_batch_put(b, shard, t, name_of(key, name), str_of(value));
		m->last[key] = number;
	}
}

static void
holds(const struct store_batch *b, const struct model *m)
{
	bool seen[KEYS] = { false };
	struct store_change c;
	size_t at = 0;
	unsigned n = 0;

	for (; store_batch_next_change(b, &at, &c); n++) {
		uint64_t name, number = 0;
		unsigned key;

		assert_true(str_u64(c.key, &name));
		key = ((unsigned)c.table * SHARDS_OF + c.shard) * NAMES + (unsigned)name;
		assert_true(key < KEYS && !seen[key]);
		seen[key] = true;
		assert_int_equal(c.put, m->last[key] > 0);
		if (c.put)
			assert_true(str_u64(c.value, &number) && (int)number == m->last[key]);
	}
	assert_int_equal(n, m->nkey);
	assert_int_equal(store_batch_count(b), m->nkey);
}

/* Large and small ones in turn, in the same memory. */
static void
batch__any_changes_are_held_and_cleared(void **state)
{
	static const unsigned sizes[] = { 3, 5000, 1, 200, 40, 9000, 40, 40 };
	struct store_batch *b = store_batch_new();
	struct rnd rnd = { 11 };

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct model m = { 0 };

		for (unsigned n = 1; n <= sizes[i]; n++)
			change_any(b, &m, &rnd, (int)n, i % 2 ? KEYS : 30);
		holds(b, &m);
		store_batch_clear(b);
		holds(b, &(struct model){ 0 });
	}
	store_batch_free(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batch__the_last_change_of_a_key_is_kept),
		cmocka_unit_test(batch__none_has_no_change),
		cmocka_unit_test(batch__any_changes_are_held_and_cleared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
