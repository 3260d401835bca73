/*
 * Commits that fail: the state is what it was, nobody reads from the store what never happened, and the sink's writes
 * bring the store back. And the cache: what is evicted and read again is the same.
 */
#include "hub_history.h"

#define SEEDS 60
#define STEPS 600

static void
undo__random_histories_with_failures_and_crashes(void **state)
{
	unsigned nfailed = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct lane l;

		lane_init(&l, seed * UINT64_C(0x9E3779B97F4A7C15), 0);
		for (int i = 0; i < STEPS; i++) {
			lane_step(&l);
			switch (rnd_below(&l.rnd, 40)) {
			case 0:
			case 1:
			case 2: lane_submit(&l); break;
			case 3:
			case 4: lane_acked(&l); break;
			case 5:
				nfailed += l.flying;
				lane_failed(&l, rnd_below(&l.rnd, 2) == 0);
				break;
			case 6:
			case 7:
			case 8: lane_repaired(&l); break;
			case 9: shard_evict(l.k.sh, rnd_below(&l.rnd, 2000)); break;
			case 10: lane_check(&l); break;
			case 11: /* the process dies: what was acknowledged is there, and nothing of half a commit */
				lane_crash(&l, rnd_below(&l.rnd, 2) == 0);
				lane_check(&l);
				break;
			default: break;
			}
		}
		lane_fini(&l);
	}
	assert_true(nfailed > SEEDS);
}

/* The documents that a failed commit has replaced are not read again from a store that holds the new ones. */
static void
undo__what_was_put_back_is_not_evicted_before_the_repair(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	k->hold = true;
	kit_patch(k, "d1", NULL, "{'tags':{'a':2}}");
	kit_fail(k, true);
	shard_evict(k->sh, 0);
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1}");
	kit_commit(k); /* the repair */
	shard_evict(k->sh, 0);
	assert_int_equal(shard_cached_bytes(k->sh), 0);
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1}");
}

static void
undo__a_deletion_comes_back_whole(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	kit_subscribe(k, "d1", session_epoch, "d");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	k->hold = true;
	kit_delete(k, "d1", NULL);
	kit_device(k, "d1"); /* made again, in another row */
	kit_fail(k, true);
	shard_evict(k->sh, 0);
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1}");
	kit_shows(k, "connectionState", "'Disconnected'"); /* its link was told to close */
	kit_commit(k);
	assert_int_equal(kit_records(k), 4);
	kit_restart(k);
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1}");
	k->hold = false;
	kit_connect(k, "d1", 2, false);
	assert_true(k->reply.session_present);
}

static void
undo__a_row_goes_back_where_it_was_taken_from(void **state)
{
	struct kit *k = *state;

	kit_device(k, "a");
	kit_device(k, "b");
	kit_delete(k, "a", NULL);
	k->env.elapsed_us += ROW_GRACE_US;
	k->hold = true;
	kit_device(k, "c"); /* in row 0 */
	kit_device(k, "d"); /* in row 2 */
	kit_fail(k, false);
	assert_int_equal(shard_rows(k->sh), 2);
	kit_commit(k);
	kit_device(k, "e");
	assert_int_equal(shard_find(k->sh, STR("e"), STR_NONE), 0);
}

static void
undo__status_comes_back(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	k->hold = true;
	kit_put(k, "d1", "*", "{'status':'disabled'}");
	kit_fail(k, false);
	op = kit_connect_op(k, "d1", 1, true);
	assert_int_equal(kit_run(k, &op), F_NONE);
}

static void
undo__bytes_are_those_of_old_documents(void **state)
{
	struct kit *k = *state;
	struct undo *u = undo_new();
	size_t identity, all;

	kit_device(k, "d1");
	all = shard_cached_bytes(k->sh);
	identity = rows_find(&k->store, RECORD_IDENTITY, (struct str){ "\0\3d1\0", 5 })->value.n;
	k->hold = true;
	kit_put(k, "d1", "*", "{}");
	assert_int_equal(undo_bytes(k->undo), identity);
	undo_append(u, k->undo);
	assert_int_equal(undo_bytes(k->undo), 0);
	assert_int_equal(undo_bytes(u), identity);
	undo_commit(u);
	assert_int_equal(undo_bytes(u), 0);
	all = shard_cached_bytes(k->sh);
	kit_delete(k, "d1", NULL);
	assert_int_equal(undo_bytes(k->undo), all);
	undo_free(u);
}

/* ---- the cache ---- */

static void
evict__never_drops_what_is_not_on_disk(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	k->hold = true;
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	kit_device(k, "d2");
	shard_evict(k->sh, 0);
	rows_clear(&k->store); /* whatever is asked of the store now would fail */
	kit_read(k, "d2");
	kit_shows(k, "version", "2");
}

static void
evict__by_a_clock_those_untouched_go_first(void **state)
{
	struct kit *k = *state;
	uint64_t one;
	char id[16];

	kit_device(k, "d0");
	one = shard_cached_bytes(k->sh);
	for (int i = 1; i < 10; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		kit_device(k, id);
	}
	shard_evict(k->sh, 9 * one + one / 2); /* clears all marks, drops one */
	k->key.n = 0;
	assert_int_not_equal(shard_row_missing(k->sh, 0, 7, &k->key), 0);
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}"); /* touched: the hand passes it */
	shard_evict(k->sh, 8 * one + one / 2);
	assert_int_equal(shard_row_missing(k->sh, 1, 7, &k->key), 0);
	assert_int_not_equal(shard_row_missing(k->sh, 2, 7, &k->key), 0);
	assert_true(shard_cached_bytes(k->sh) <= 8 * one + one / 2);
	shard_evict(k->sh, 0);
	assert_int_equal(shard_cached_bytes(k->sh), 0);
}

/* The same history with and without: the same answers and effects. */
static void
evict__changes_no_answer(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS / 2; seed++) {
		struct lane a, b;

		lane_init(&a, seed * 77777, 0);
		lane_init(&b, seed * 77777, 0);
		for (int i = 0; i < STEPS; i++) {
			lane_step(&a);
			lane_step(&b);
			assert_int_equal(a.k.reply.fault.code, b.k.reply.fault.code);
			assert_true(str_eq(buf_view(&a.k.reply.body), buf_view(&b.k.reply.body)));
			assert_int_equal(a.k.batch.n, b.k.batch.n);
			if (i % 7 == 0)
				lane_submit(&a), lane_submit(&b);
			if (i % 7 == 4)
				lane_acked(&a), lane_acked(&b);
			shard_evict(b.k.sh, (uint64_t)(i % 3) * 400);
		}
		lane_check(&a);
		lane_check(&b);
		assert_true(shard_cached_bytes(a.k.sh) >= shard_cached_bytes(b.k.sh));
		lane_fini(&a);
		lane_fini(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undo__random_histories_with_failures_and_crashes),
		kit_test(undo__what_was_put_back_is_not_evicted_before_the_repair),
		kit_test(undo__a_deletion_comes_back_whole),
		kit_test(undo__a_row_goes_back_where_it_was_taken_from),
		kit_test(undo__status_comes_back),
		kit_test(undo__bytes_are_those_of_old_documents),
		kit_test(evict__never_drops_what_is_not_on_disk),
		kit_test(evict__by_a_clock_those_untouched_go_first),
		cmocka_unit_test(evict__changes_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
