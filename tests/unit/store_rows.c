/* Rows in, rows out: tables, order, lanes, opening again, backups, bounds. */
#include "store_kit.h"

static void
store_get__finds_in_its_table_only(void **state)
{
	struct kit *k = *state;
	static const char *const values[STORE_TABLES] = { "i", "w", "r", "s", "h", "l", "c", "m",
		"p" };

	kit_open(k);
	for (unsigned t = 0; t < STORE_TABLES; t++)
		assert_int_equal(kit_put(k, t, "key", values[t]), STORE_OK);
	for (unsigned t = 0; t < STORE_TABLES; t++)
		kit_expect(k, t, "key", values[t]);
	kit_expect_none(k, STORE_WANTED, "kex");
}

static void
store_get__appends_and_leaves_the_rest(void **state)
{
	struct kit *k = *state;
	struct buf b = { 0 };

	kit_open(k);
	kit_put(k, STORE_HUB, "k", "value");
	buf_cstr(&b, "head:");
	assert_int_equal(store_get(k->s, STORE_HUB, STR("absent"), &b), ERR_NOT_FOUND);
	assert_int_equal(store_get(k->s, STORE_HUB, STR("k"), &b), ERR_OK);
	assert_true(str_eq(buf_view(&b), STR("head:value")));
	buf_fini(&b);
}

static void
store_batch__later_change_of_a_key_wins(void **state)
{
	struct kit *k = *state;
	struct store_batch *b = store_batch_new();

	kit_open(k);
	store_batch_put(b, 0, STORE_WANTED, STR("a"), STR("1"));
	store_batch_put(b, 0, STORE_WANTED, STR("a"), STR("2"));
	store_batch_put(b, 0, STORE_WANTED, STR("b"), STR("1"));
	store_batch_delete(b, 0, STORE_WANTED, STR("b"));
	store_batch_put(b, 0, STORE_WANTED, STR("bin\0ary"), STR("\0\xff\0"));
	assert_int_equal(store_batch_count(b), 3);
	assert_int_equal(kit_commit(k, 1, b), STORE_OK);
	kit_expect(k, STORE_WANTED, "a", "2");
	kit_expect_none(k, STORE_WANTED, "b");
	kit_expect_none(k, STORE_WANTED, "bin");
}

static void
store_batch__clear_empties_and_an_empty_one_completes(void **state)
{
	struct kit *k = *state;
	struct store_batch *b = store_batch_new();

	kit_open(k);
	store_batch_put(b, 0, STORE_WANTED, STR("a"), STR("1"));
	assert_true(store_batch_bytes(b) >= 2);
	store_batch_clear(b);
	assert_int_equal(store_batch_count(b), 0);
	assert_int_equal(store_batch_bytes(b), 0);
	assert_int_equal(kit_commit(k, 0, b), STORE_OK);
	kit_expect_none(k, STORE_WANTED, "a");
}

/* ---- scans ---- */

static void
fill_numbers(struct kit *k, unsigned n)
{
	struct store_batch *b = store_batch_new();

	for (unsigned i = 0; i < n; i++) {
		char key[16];
		unsigned at = i * 7919 % n; /* not in order; 7919 is prime */

		snprintf(key, sizeof key, "%05u", at);
		store_batch_put(b, 0, STORE_REPORTED, str_of(key), str_of(key));
	}
	assert_int_equal(kit_commit(k, 0, b), STORE_OK);
}

static unsigned
expect_range(struct kit *k, const char *from, const char *to, enum store_scan how, unsigned first)
{
	struct store_cursor *c = NULL;
	struct str key, value;
	unsigned n = 0;
	enum err e;

	assert_int_equal(
	    store_cursor_open(k->s, STORE_REPORTED, str_of(from), str_of(to), how, &c), ERR_OK);
	while ((e = store_next(c, &key, &value)) == ERR_OK) {
		char want[16];

		snprintf(want, sizeof want, "%05u", first + n++);
		assert_true(str_eq(key, str_of(want)));
		assert_true(str_eq(value, key));
	}
	assert_int_equal(e, ERR_END);
	assert_int_equal(store_next(c, &key, &value), ERR_END);
	store_cursor_close(c);
	return n;
}

static void
store_cursor__gives_rows_in_key_order_within_bounds(void **state)
{
	struct kit *k = *state;

	kit_open(k);
	fill_numbers(k, 1000);
	for (int reopened = 0; reopened < 2; reopened++) {
		assert_int_equal(expect_range(k, "", "", STORE_SCAN, 0), 1000);
		assert_int_equal(expect_range(k, "", "", STORE_SCAN_BULK, 0), 1000);
		assert_int_equal(expect_range(k, "00100", "00200", STORE_SCAN, 100), 100);
		assert_int_equal(expect_range(k, "00990", "", STORE_SCAN, 990), 10);
		assert_int_equal(expect_range(k, "00200", "00100", STORE_SCAN, 0), 0);
		assert_int_equal(expect_range(k, "1", "", STORE_SCAN, 0), 0);
		kit_close(k);
		kit_open(k); /* the second time from table files */
	}
}

static void
store_cursor__shows_the_moment_of_its_opening(void **state)
{
	struct kit *k = *state;
	struct store_cursor *c;
	struct str key, value;

	kit_open(k);
	kit_put(k, STORE_REPORTED, "a", "1");
	assert_int_equal(
	    store_cursor_open(k->s, STORE_REPORTED, STR_NONE, STR_NONE, STORE_SCAN, &c), ERR_OK);
	kit_put(k, STORE_REPORTED, "b", "2");
	assert_int_equal(store_next(c, &key, &value), ERR_OK);
	assert_int_equal(store_next(c, &key, &value), ERR_END);
	store_cursor_close(c);
}

/* ---- lanes ---- */

#define BATCHES 200

struct writer {
	struct kit *k;
	unsigned lane;
};

static void *
write_lane(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 1; i <= BATCHES; i++) {
		struct store_batch *b = store_batch_new();
		char key[32], value[32];

		snprintf(key, sizeof key, "%u/%u", w->lane, i);
		snprintf(value, sizeof value, "%u", i);
		store_batch_put(b, 0, STORE_REPORTED, str_of(key), str_of(value));
		snprintf(key, sizeof key, "last/%u", w->lane);
		store_batch_put(b, 0, STORE_HUB, str_of(key), str_of(value));
		if (i > STORE_LANE_INFLIGHT)
			kit_await(w->k, w->lane, i - STORE_LANE_INFLIGHT);
		store_submit(w->k->s, w->lane, b, i);
	}
	kit_await(w->k, w->lane, BATCHES);
	return NULL;
}

static void
store_submit__completes_in_order_in_every_lane(void **state)
{
	struct kit *k = *state;
	struct writer w[KIT_LANES];
	pthread_t t[KIT_LANES];
	struct store_stats st;

	kit_open(k);
	for (unsigned i = 0; i < KIT_LANES; i++) {
		w[i] = (struct writer){ k, i };
		assert_int_equal(pthread_create(&t[i], NULL, write_lane, &w[i]), 0);
	}
	for (unsigned i = 0; i < KIT_LANES; i++) {
		char key[32];

		pthread_join(t[i], NULL);
		assert_int_equal(k->in_order[i], BATCHES);
		snprintf(key, sizeof key, "%u/%u", i, BATCHES / 2);
		kit_expect(k, STORE_REPORTED, key, "100");
		snprintf(key, sizeof key, "last/%u", i);
		kit_expect(k, STORE_HUB, key, "200");
	}
	store_stats(k->s, &st);
	assert_int_equal(st.commits, KIT_LANES * BATCHES);
	assert_int_equal(st.commit_failures, 0);
	assert_true(st.wal_bytes >= st.commit_bytes);
	assert_true(st.memtable_bytes > 0);
}

/* The memory of a batch serves again, and nothing that was in it. */
static void
store_batch__of_a_lane_is_used_again_empty(void **state)
{
	struct kit *k = *state;
	struct store_batch *a, *b;

	kit_open(k);
	a = store_batch_next(k->s, 2);
	store_batch_put(
	    a, 0, STORE_HUB, STR("a"), STR("a value of some length, so that memory is used"));
	store_submit(k->s, 2, a, 1);
	kit_await(k, 2, 1);
	b = store_batch_next(k->s, 2);
	assert_ptr_equal(a, b);
	assert_int_equal(store_batch_count(b), 0);
	assert_int_equal(store_batch_bytes(b), 0);
	store_batch_delete(b, 0, STORE_HUB, STR("x"));
	store_submit(k->s, 2, b, 2);
	a = store_batch_next(k->s, 2); /* that one is on its way */
	assert_ptr_not_equal(a, b);
	store_batch_put(a, 0, STORE_HUB, STR("c"), STR("3"));
	kit_await(k, 2, 2);
	store_submit(k->s, 2, a, 3);
	kit_await(k, 2, 3);
	kit_expect(k, STORE_HUB, "a", "a value of some length, so that memory is used");
	kit_expect(k, STORE_HUB, "c", "3");
}

static void
store_close__finishes_what_was_submitted(void **state)
{
	struct kit *k = *state;
	struct store_batch *a = store_batch_new(), *b = store_batch_new();

	kit_open(k);
	store_batch_put(a, 0, STORE_HUB, STR("a"), STR("1"));
	store_batch_put(b, 0, STORE_HUB, STR("b"), STR("2"));
	store_submit(k->s, 3, a, 1);
	store_submit(k->s, 3, b, 2);
	kit_close(k);
	assert_int_equal(k->in_order[3], 2);
	assert_int_equal(k->last_result[3], STORE_OK);
	kit_open(k);
	kit_expect(k, STORE_HUB, "b", "2");
}

/* ---- opening ---- */

static void
store_open__keeps_what_was_acknowledged(void **state)
{
	struct kit *k = *state;
	char key[16];

	for (int i = 0; i < 5; i++) {
		kit_open(k);
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(kit_put(k, STORE_SESSION, key, "v"), STORE_OK);
		kit_close(k);
	}
	kit_open(k);
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof key, "k%d", i);
		kit_expect(k, STORE_SESSION, key, "v");
	}
	assert_int_equal(store_generation(k->s), 0);
	assert_int_equal(store_state(k->s, &k->f), STORE_READY);
}

static void
store_open__without_create_there_must_be_one(void **state)
{
	struct kit *k = *state;

	k->o.create = false;
	assert_int_equal(store_open(&k->o, &k->s, &k->f), ERR_NOT_FOUND);
	assert_non_null(strstr(k->f.text, k->dir));
	assert_int_equal(mkdir(k->dir, 0700), 0);
	assert_int_equal(store_open(&k->o, &k->s, &k->f), ERR_NOT_FOUND);
	k->o.create = true;
	kit_open(k); /* an empty directory is taken */
	kit_close(k);
	k->o.create = false;
	kit_open(k);
}

static void
store_open__second_one_is_locked_out(void **state)
{
	struct kit *k = *state;
	struct store *second = NULL;
	char command[256];

	kit_open(k);
	assert_int_equal(store_open(&k->o, &second, &k->f), ERR_LOCKED);
	assert_non_null(strstr(k->f.text, k->dir));
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, NULL, &k->f), ERR_LOCKED);
	snprintf(command, sizeof command, "! flock -n %s true", k->dir); /* another process */
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own words */
	kit_put(k, STORE_HUB, "k", "still mine");
	kit_expect(k, STORE_HUB, "k", "still mine");
	kit_close(k);
	kit_open(k);
}

static void
store_open__files_are_the_owners_alone(void **state)
{
	struct kit *k = *state;
	char command[300];

	kit_open(k);
	kit_put(k, STORE_HUB, "k", "v");
	kit_close(k);
	kit_open(k);
	kit_put(k, STORE_HUB, "k", "v");
	snprintf(command, sizeof command, "test -z \"$(find %s -perm /077)\"", k->dir);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own words */
}

static void
store_open__half_made_store_is_made_again(void **state)
{
	struct kit *k = *state;
	char beside[200];

	snprintf(beside, sizeof beside, "%s.creating", k->dir);
	assert_int_equal(mkdir(beside, 0700), 0);
	kit_shell("touch", beside, k->root);
	snprintf(beside, sizeof beside, "%s.creating/MANIFEST-000001", k->dir);
	kit_shell("touch", beside, k->root);
	kit_open(k);
	kit_put(k, STORE_HUB, "k", "v");
	kit_expect(k, STORE_HUB, "k", "v");
}

/* ---- the rest ---- */

static void
store_checkpoint__opens_as_a_store_of_that_moment(void **state)
{
	struct kit *k = *state;
	char dir[200];

	kit_open(k);
	kit_put(k, STORE_WANTED, "before", "1");
	snprintf(dir, sizeof dir, "%s/backup", k->root);
	assert_int_equal(store_checkpoint(k->s, dir, &k->f), ERR_OK);
	assert_int_equal(store_checkpoint(k->s, dir, &k->f), ERR_EXISTS);
	kit_put(k, STORE_WANTED, "after", "2");
	kit_close(k);
	assert_int_equal(kit_check(dir, NULL, NULL, NULL, NULL, &k->f), ERR_OK);
	k->o.dir = dir;
	k->o.create = false;
	kit_open(k);
	kit_expect(k, STORE_WANTED, "before", "1");
	kit_expect_none(k, STORE_WANTED, "after");
	assert_int_equal(kit_put(k, STORE_WANTED, "new", "3"), STORE_OK);
}

static void
store_space__says_what_is_free(void **state)
{
	struct kit *k = *state;

	k->o.floor_bytes = 1;
	kit_open(k);
	assert_true(store_space(k->s) > 1 << 20);
	assert_true(store_has_space(k->s));
	kit_close(k);
	k->o.floor_bytes = UINT64_MAX;
	kit_open(k);
	assert_false(store_has_space(k->s));
}

/* Until the number, a member of st, is at most that; RocksDB's background threads tell nobody when they are through. */
static void
await_stat(struct kit *k, const uint64_t *number, uint64_t most, struct store_stats *st)
{
	for (int tries = 0; store_stats(k->s, st), *number > most; tries++) {
		assert_true(tries < 3000);
		usleep(10000);
	}
}

#define LOG_MAX   ((uint64_t)4 << 20)
#define EVENT     4096
#define PER_BATCH 64

/* Of 48 MB written, the newest are there, the oldest are not, and the files stay within the bound and one memtable. */
static void
store_log__drops_the_oldest_beyond_its_bound(void **state)
{
	struct kit *k = *state;
	char key[32], event[EVENT];
	uint64_t noise = 88172645463325252u;
	unsigned nbatch = 48 * 1024 * 1024 / (EVENT * PER_BATCH), at = 0;
	struct store_stats st;

	k->o.memory_bytes = 16 << 20;
	k->o.retention.log_bytes = LOG_MAX;
	k->o.retention.log_age_s = 3600;
	kit_open(k);
	for (unsigned i = 0; i < nbatch; i++) {
		struct store_batch *b = store_batch_new();

		for (unsigned j = 0; j < PER_BATCH; j++) {
			for (size_t w = 0; w < EVENT; w += 8) { /* incompressible: xorshift64 */
				noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;
				memcpy(event + w, &noise, 8);
			}
			snprintf(key, sizeof key, "%08u", at++);
			store_batch_put(b, 0, STORE_LOG, str_of(key), (struct str){ event, EVENT });
		}
		assert_int_equal(kit_commit(k, 0, b), STORE_OK);
	}
	await_stat(
	    k, &st.log_bytes, LOG_MAX + (4 << 20), &st); /* files are dropped behind the writes */
	assert_int_equal(kit_get(k, STORE_LOG, "00000000", &(struct buf){ 0 }), ERR_NOT_FOUND);
	{
		struct buf b = { 0 };

		assert_int_equal(kit_get(k, STORE_LOG, key, &b), ERR_OK);
		assert_memory_equal(b.p, event, EVENT);
		buf_fini(&b);
	}
	assert_int_equal(store_state(k->s, NULL), STORE_READY);
}

/* Each opening flushes the log's few rows into a file of their own. */
static void
store_log__merges_small_files(void **state)
{
	struct kit *k = *state;
	struct store_stats st;
	char key[16];

	for (unsigned i = 0; i < 25; i++) {
		kit_open(k);
		snprintf(key, sizeof key, "%08u", i);
		assert_int_equal(kit_put(k, STORE_LOG, key, "event"), STORE_OK);
		kit_close(k);
	}
	kit_open(k);
	await_stat(k, &st.table_files, 10, &st); /* merging goes on behind */
	for (unsigned i = 0; i < 25; i++) {
		snprintf(key, sizeof key, "%08u", i);
		kit_expect(k, STORE_LOG, key, "event");
	}
}

#define ROW_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW_TEST(store_get__finds_in_its_table_only),
		ROW_TEST(store_get__appends_and_leaves_the_rest),
		ROW_TEST(store_batch__later_change_of_a_key_wins),
		ROW_TEST(store_batch__clear_empties_and_an_empty_one_completes),
		ROW_TEST(store_cursor__gives_rows_in_key_order_within_bounds),
		ROW_TEST(store_cursor__shows_the_moment_of_its_opening),
		ROW_TEST(store_submit__completes_in_order_in_every_lane),
		ROW_TEST(store_batch__of_a_lane_is_used_again_empty),
		ROW_TEST(store_close__finishes_what_was_submitted),
		ROW_TEST(store_open__keeps_what_was_acknowledged),
		ROW_TEST(store_open__without_create_there_must_be_one),
		ROW_TEST(store_open__second_one_is_locked_out),
		ROW_TEST(store_open__files_are_the_owners_alone),
		ROW_TEST(store_open__half_made_store_is_made_again),
		ROW_TEST(store_checkpoint__opens_as_a_store_of_that_moment),
		ROW_TEST(store_space__says_what_is_free),
		ROW_TEST(store_log__merges_small_files),
		ROW_TEST(store_log__drops_the_oldest_beyond_its_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
