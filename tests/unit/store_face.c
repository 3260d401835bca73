/* Two stores with one face: RocksDB's, and the simulator's, which the tests of the gate and of the whole fleet rest on. What one
 * holds after the same batches the other holds. */
#include "store_kit.h"

#include "rnd.h"
#include "sim_store.h"
#include "store/face.h"

#define BATCHES   150
#define CHANGES   40 /* in one at most */
#define NAMES     200
#define TABLES_OF 3

static void
sim_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	(void)lane, (void)cookie;
	*(enum store_result *)ctx = result;
}

static struct str
any_key(struct rnd *rnd, char room[16])
{
	snprintf(room, 16, "%03u", rnd_below(rnd, NAMES));
	return str_of(room);
}

static struct store_batch *
any_batch(uint64_t seed, struct store *s)
{
	struct store_batch *b = store_batch_next(s, 0);
	struct rnd rnd = { seed * 2 + 1 };

	for (unsigned n = rnd_below(&rnd, CHANGES); n > 0; n--) {
		enum store_table t = rnd_below(&rnd, TABLES_OF);
		char key[16], value[32];
		struct str name = any_key(&rnd, key);

		snprintf(value, sizeof value, "%llu/%u", (unsigned long long)seed, n);
		if (rnd_below(&rnd, 3) == 0)
			store_batch_delete(b, 0, t, name);
		else
			store_batch_put(b, 0, t, name, str_of(value));
	}
	return b;
}

static void
same_rows(struct store *a, struct store *b, enum store_table t, struct str from, struct str to)
{
	struct store_cursor *ca, *cb;
	struct str ka, va, kb, vb;
	enum err e;

	assert_int_equal(store_cursor_open(a, t, from, to, STORE_SCAN, &ca), ERR_OK);
	assert_int_equal(store_cursor_open(b, t, from, to, STORE_SCAN, &cb), ERR_OK);
	do {
		e = store_next(ca, &ka, &va);
		assert_int_equal(store_next(cb, &kb, &vb), e);
		assert_true(e == ERR_END || (str_eq(ka, kb) && str_eq(va, vb)));
	} while (e == ERR_OK);
	store_cursor_close(ca);
	store_cursor_close(cb);
}

static void
same_value(struct store *a, struct store *b, enum store_table t, struct str key)
{
	struct buf va = { 0 }, vb = { 0 };

	assert_int_equal(store_get(a, t, key, &va), store_get(b, t, key, &vb));
	assert_true(str_eq(buf_view(&va), buf_view(&vb)));
	buf_fini(&va);
	buf_fini(&vb);
}

static void
store_face__both_stores_hold_the_same_after_the_same_batches(void **state)
{
	struct kit *k = *state;
	enum store_result result = STORE_FAILED;
	struct store *sim = sim_store_new(1, &result, sim_done);
	struct rnd rnd = { 5 };

	kit_open(k);
	for (uint64_t seed = 1; seed <= BATCHES; seed++) {
		enum store_table t = rnd_below(&rnd, TABLES_OF);
		char from[16], to[16];

		assert_int_equal(kit_commit(k, 0, any_batch(seed, k->s)), STORE_OK);
		store_submit(sim, 0, any_batch(seed, sim), seed);
		sim_store_end(sim, 0, true, true);
		assert_int_equal(result, STORE_OK);
		same_value(k->s, sim, t, any_key(&rnd, from));
		same_rows(k->s, sim, t, any_key(&rnd, from), any_key(&rnd, to));
	}
	for (enum store_table t = 0; t < STORE_TABLES; t++)
		same_rows(k->s, sim, t, STR_NONE, STR_NONE);
	sim_store_free(sim);
}

/* As RocksDB's after a failed write: store_full shows that. */
static void
store_face__the_simulated_one_refuses_until_it_is_resumed(void **state)
{
	enum store_result result = STORE_OK;
	struct store *sim = sim_store_new(1, &result, sim_done);
	struct str value;

	(void)state;
	store_submit(sim, 0, any_batch(1, sim), 1);
	sim_store_end(sim, 0, false, false);
	assert_int_equal(result, STORE_FAILED);
	for (int i = 0; i < 2; i++) {
		struct store_batch *b = store_batch_next(sim, 0);

		store_batch_put(b, 0, STORE_HUB, STR("a"), STR("1"));
		store_submit(sim, 0, b, 2);
		sim_store_end(sim, 0, true, true);
		assert_int_equal(result, i == 0 ? STORE_UNDONE : STORE_OK);
		assert_int_equal(sim_store_peek(sim, STORE_HUB, STR("a"), &value), i == 1);
		store_resume(sim, 0);
	}
	sim_store_free(sim);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    store_face__both_stores_hold_the_same_after_the_same_batches, kit_setup,
		    kit_teardown),
		cmocka_unit_test(store_face__the_simulated_one_refuses_until_it_is_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
