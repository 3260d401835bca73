/* Bytes of table files that change on the disk, with nobody asking for them: found by the scrub, and by an opening that verifies. */
#include "store/priv.h"
#include "store_kit.h"

#define PATIENT_MS 1u /* between passes */
#define FAST       (1ull << 40)

/* Rows in a table file, whose path is given. */
static const char *
make_table(struct kit *k, char path[256])
{
	char key[16], value[600];

	kit_open(k);
	memset(value, 'v', sizeof value - 1);
	value[sizeof value - 1] = '\0';
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof key, "%d", i);
		value[i] = (char)('a' + i);
		assert_int_equal(kit_put(k, STORE_REPORTED, key, value), STORE_OK);
	}
	kit_close(k);
	kit_open(k); /* replays the log into a table file */
	kit_close(k);
	assert_non_null(kit_file(k, ".sst", path));
	return strrchr(path, '/') + 1;
}

static uint64_t
passes(struct kit *k)
{
	struct store_stats now;

	store_stats(k->s, &now);
	return now.scrub_passes;
}

/* Two more, so one that began after the call. */
static void
await_pass(struct kit *k)
{
	uint64_t from = passes(k);

	for (int i = 0; passes(k) < from + 2; i++) {
		assert_true(i < PATIENCE_MAX_S * 1000);
		usleep(1000);
	}
}

static void
expect_damaged(struct kit *k, const char *name)
{
	struct store_damage d;

	store_damage(k->s, &d);
	assert_int_equal(d.n, name != NULL);
	if (name != NULL)
		assert_int_equal(d.number[0], strtoull(name, NULL, 10));
}

static bool
was_warned(struct kit *k, const char *a, const char *b)
{
	bool was;

	pthread_mutex_lock(&k->mu);
	was = strstr(k->warned, a) != NULL && strstr(k->warned, b) != NULL;
	pthread_mutex_unlock(&k->mu);
	return was;
}

static unsigned
warnings(struct kit *k)
{
	unsigned n;

	pthread_mutex_lock(&k->mu);
	n = k->nwarn;
	pthread_mutex_unlock(&k->mu);
	return n;
}

static void
scrub_open(struct kit *k)
{
	k->o.scrub_bytes_per_s = FAST;
	k->o.scrub_rest_ms = PATIENT_MS;
	kit_open(k);
}

/* The last 60 bytes have filling that nobody reads, and no checksum has. */
static void
scrub__O05_O06_names_the_file_for_any_flipped_byte_and_forgets_it_when_it_is_mended(void **state)
{
	struct kit *k = *state;
	char path[256];
	const char *name = make_table(k, path);
	off_t size = kit_size(path);

	scrub_open(k);
	await_pass(k);
	expect_damaged(k, NULL);
	for (off_t at = 0; at < size - 60; at += 97) {
		unsigned nwarn = warnings(k);

		kit_flip(path, at, 0x10);
		await_pass(k);
		expect_damaged(k, name);
		assert_int_equal(warnings(k), nwarn + 1);
		assert_true(was_warned(k, name, "found by the scrub"));
		kit_flip(path, at, 0x10);
		await_pass(k);
		expect_damaged(k, NULL);
	}
	assert_int_equal(store_state(k->s, NULL), STORE_READY);
	assert_int_equal(kit_put(k, STORE_REPORTED, "x", "y"), STORE_OK);
}

static void
scrub__O06_tells_once_and_names_a_file_that_is_missing(void **state)
{
	struct kit *k = *state;
	char path[256], aside[200];
	const char *name = make_table(k, path);
	unsigned nwarn;

	scrub_open(k);
	kit_saved_as(k, "aside", aside);
	nwarn = warnings(k);
	assert_int_equal(rename(path, aside), 0);
	await_pass(k);
	await_pass(k);
	expect_damaged(k, name);
	assert_int_equal(warnings(k), nwarn + 1);
	assert_true(was_warned(k, name, "No such file"));
	assert_int_equal(rename(aside, path), 0);
	await_pass(k);
	expect_damaged(k, NULL);
}

/* What a read meets is known, too, where there is no scrub. */
static void
store_damage__O03_names_what_a_read_has_met(void **state)
{
	struct kit *k = *state;
	struct buf b = { 0 };
	char path[256];
	const char *name = make_table(k, path);

	kit_flip(path, 100, 1);
	kit_open(k);
	expect_damaged(k, NULL);
	assert_int_equal(kit_get(k, STORE_REPORTED, "0", &b), ERR_CORRUPT);
	expect_damaged(k, name);
	assert_int_equal(passes(k), 0);
	buf_fini(&b);
}

/* Files come and go beside it: what is gone was replaced. */
static void
scrub__finds_nothing_in_a_good_store_that_is_written(void **state)
{
	struct kit *k = *state;
	static char value[64 * 1024];
	struct store_stats now;
	char key[16];

	k->o.memory_bytes = 16 << 20;
	scrub_open(k);
	for (unsigned i = 0; i < 600; i++) {
		for (size_t at = 0; at < sizeof value - 1; at++)
			value[at] = (char)('a' + (at * 7 + i * 13 + at * i % 11) % 26);
		snprintf(key, sizeof key, "%u", i % 50);
		assert_int_equal(kit_put(k, STORE_REPORTED, key, value), STORE_OK);
	}
	await_pass(k);
	store_stats(k->s, &now);
	assert_true(now.scrub_files > 0 && now.scrub_bytes > 0);
	expect_damaged(k, NULL);
	assert_int_equal(warnings(k), 0);
}

/* At a byte a second a file of 1 KB takes an hour: it is not read faster, and closing does not wait for it. */
static void
scrub__O05_keeps_its_rate_and_ends_at_once(void **state)
{
	struct kit *k = *state;
	void *second = NULL;
	struct kit *other;
	struct store_stats now;
	char path[256];

	make_table(k, path);
	k->o.scrub_bytes_per_s = 1;
	kit_open(k);
	assert_int_equal(kit_setup(&second), 0);
	other = second;
	make_table(other, path);
	scrub_open(other);
	await_pass(other);
	await_pass(other);
	store_stats(k->s, &now);
	assert_int_equal(now.scrub_passes, 0);
	assert_int_equal(now.scrub_files, 0);
	kit_close(k);
	assert_int_equal(kit_teardown(&second), 0);
}

static void
scrub__goes_on_while_the_directory_is_away_and_blames_no_file(void **state)
{
	struct kit *k = *state;
	char path[256], away[200];

	make_table(k, path);
	scrub_open(k);
	kit_saved_as(k, "away", away);
	assert_int_equal(rename(k->dir, away), 0);
	await_pass(k);
	assert_int_equal(rename(away, k->dir), 0);
	await_pass(k);
	expect_damaged(k, NULL);
	assert_int_equal(warnings(k), 0);
}

static void
store_open__O05_verify_names_the_table_for_any_flipped_byte(void **state)
{
	struct kit *k = *state;
	char path[256];
	const char *name = make_table(k, path);
	off_t size = kit_size(path);

	k->o.verify = true;
	kit_open(k);
	kit_close(k);
	for (off_t at = 0; at<size; at += at> size - 100 ? 1 : 61) {
		kit_flip(path, at, 0x04);
		assert_int_equal(store_open(&k->o, &k->s, &k->f), ERR_CORRUPT);
		assert_non_null(strstr(k->f.text, name));
		kit_flip(path, at, 0x04);
	}
	kit_open(k);
	kit_close(k);
	kit_flip(path, 100, 1); /* without it nobody notices */
	k->o.verify = false;
	kit_open(k);
}

/* While the healer has the engine, for as long as a disk takes, figures are those of before, and nobody waits for them. O-124. */
static void
store_stats__O124_wait_for_no_store_that_is_opened_again(void **state)
{
	struct kit *k = *state;
	struct store_stats before, then;
	struct rocks *s;

	kit_open(k);
	s = rocks_of(k->s);
	assert_int_equal(kit_put(k, STORE_WANTED, "a", "b"), STORE_OK);
	store_stats(k->s, &before);
	assert_true(before.memtable_bytes > 0 && before.keys > 0);
	pthread_rwlock_wrlock(&s->lock);
	store_stats(k->s, &then);
	assert_int_equal(then.memtable_bytes, before.memtable_bytes);
	assert_int_equal(then.keys, before.keys);
	assert_int_equal(then.commits, 1);
	pthread_rwlock_unlock(&s->lock);
}

#define SCRUB_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		SCRUB_TEST(
		    scrub__O05_O06_names_the_file_for_any_flipped_byte_and_forgets_it_when_it_is_mended),
		SCRUB_TEST(scrub__O06_tells_once_and_names_a_file_that_is_missing),
		SCRUB_TEST(store_damage__O03_names_what_a_read_has_met),
		SCRUB_TEST(scrub__finds_nothing_in_a_good_store_that_is_written),
		SCRUB_TEST(scrub__O05_keeps_its_rate_and_ends_at_once),
		SCRUB_TEST(scrub__goes_on_while_the_directory_is_away_and_blames_no_file),
		SCRUB_TEST(store_open__O05_verify_names_the_table_for_any_flipped_byte),
		SCRUB_TEST(store_stats__O124_wait_for_no_store_that_is_opened_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
