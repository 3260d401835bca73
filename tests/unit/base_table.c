/* The hash table against an array that is searched from end to end, and the hashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"
#include "rnd.h"

#define KEYS 3000

/* present[v]: value v is in the table; its key is v itself. */
struct model {
	bool present[KEYS];
	bool collide; /* all keys in four hashes */
};

static uint64_t
hash_of(const struct model *m, uint32_t v)
{
	uint32_t key = m->collide ? v % 4 : v;

	return hash_table((struct str){ (char *)&key, sizeof(key) });
}

static bool
same(const void *ctx, uint32_t value, const void *key)
{
	const struct model *m = ctx;

	assert_true(value < KEYS && m->present[value]);
	return value == *(const uint32_t *)key;
}

static void
assert_agrees(const struct table *t, const struct model *m)
{
	uint32_t used = 0;

	for (uint32_t v = 0; v < KEYS; v++) {
		uint32_t got = table_get(t, hash_of(m, v), same, m, &v);
		assert_int_equal(got, m->present[v] ? v : TABLE_NONE);
		used += m->present[v];
	}
	assert_int_equal(t->used, used);
}

static void
agrees_with_model(uint32_t keys, bool collide, int rounds)
{
	struct model m = { .collide = collide };
	struct table t = { 0 };
	struct rnd r = { 21 };

	for (int i = 0; i < rounds; i++) {
		uint32_t v = rnd_below(&r, keys);
		if (!m.present[v])
			table_add(&t, hash_of(&m, v), v);
		else
			table_remove(&t, hash_of(&m, v), v);
		m.present[v] = !m.present[v];
		if (i % (rounds / 10) == 0)
			assert_agrees(&t, &m);
	}
	assert_agrees(&t, &m);
	for (uint32_t v = 0; v < KEYS; v++) {
		if (m.present[v])
			table_remove(&t, hash_of(&m, v), v);
		m.present[v] = false;
	}
	assert_agrees(&t, &m);
	table_fini(&t);
	assert_null(t.cells);
}

static void
table__agrees_with_a_model(void **state)
{
	(void)state;
	agrees_with_model(KEYS, false, 50000);
	agrees_with_model(20, false, 50000);
}

static void
table__agrees_with_a_model_when_hashes_collide(void **state)
{
	(void)state;
	agrees_with_model(100, true, 20000);
}

/* Removed cells must not fill the table: its size follows what it holds, not what it held. */
static void
table__coming_and_going_does_not_grow_it(void **state)
{
	struct model m = { 0 };
	struct table t = { 0 };
	(void)state;

	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t v = i % KEYS, old = (i + KEYS - 10) % KEYS;
		table_add(&t, hash_of(&m, v), v);
		m.present[v] = true;
		if (i >= 10) {
			table_remove(&t, hash_of(&m, old), old);
			m.present[old] = false;
		}
	}
	assert_int_equal(t.used, 10);
	assert_true(t.mask < 128);
	assert_agrees(&t, &m);
	table_fini(&t);
}

static void
table__empty_has_nothing(void **state)
{
	struct model m = { 0 };
	struct table t = { 0 };
	uint32_t v = 1;
	(void)state;

	assert_int_equal(table_get(&t, hash_of(&m, v), same, &m, &v), TABLE_NONE);
	table_remove(&t, hash_of(&m, v), v);
	table_fini(&t);
}

/* Fixed by data on disk: devices are placed on shards by it. */
static void
hash_stable__never_changes(void **state)
{
	(void)state;
	assert_true(hash_stable(STR("")) == UINT64_C(0x2D06800538D394C2));
	assert_true(hash_stable(STR_NONE) == hash_stable(STR("")));
	assert_true(hash_stable(STR("a")) != hash_stable(STR("b")));
	assert_true(hash_checksum("abc", 3) == hash_stable(STR("abc")));
}

static void
hash_table__depends_on_the_seed(void **state)
{
	uint64_t before = hash_table(STR("device")), stable = hash_stable(STR("device"));
	(void)state;

	hash_seed(12345);
	assert_true(hash_table(STR("device")) != before);
	assert_true(hash_stable(STR("device")) == stable);
	assert_true(hash_table(STR("device")) == hash_table(STR("device")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__agrees_with_a_model),
		cmocka_unit_test(table__agrees_with_a_model_when_hashes_collide),
		cmocka_unit_test(table__coming_and_going_does_not_grow_it),
		cmocka_unit_test(table__empty_has_nothing),
		cmocka_unit_test(hash_stable__never_changes),
		cmocka_unit_test(hash_table__depends_on_the_seed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
