/* A shard's rows: their numbers and addresses, over many that come, go and are taken back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rnd.h"
#include "shard/record.h"

#include <cmocka.h>

#define SECOND INT64_C(1000000)

static struct str
name_of(unsigned i, char room[16])
{
	return (struct str){ room, (size_t)snprintf(room, 16, "d%u", i) };
}

static void
no_put(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	(void)ctx, (void)shard, (void)kind, (void)key, (void)value;
}

static void
no_del(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	(void)ctx, (void)shard, (void)kind, (void)key;
}

/* Who holds a row, or its records, may let others be made meanwhile. */
static void
rows__an_address_stays_however_many_come(void **state)
{
	struct shard *sh = shard_new(3, NULL);
	struct undo *u = undo_new();
	struct row *at[ROWS_CHUNK * 5 + 1];
	uint32_t n = sizeof(at) / sizeof(at[0]);
	char room[16];

	(void)state;
	for (uint32_t i = 0; i < n; i++) {
		at[i] = row_create(u, sh, name_of(i, room), STR_NONE, 0);
		assert_int_equal(row_number(sh, at[i]), i);
	}
	for (uint32_t i = 0; i < n; i++) {
		assert_ptr_equal(row_at(sh, i), at[i]);
		assert_ptr_equal(row_find(sh, name_of(i, room), STR_NONE), at[i]);
	}
	undo_free(u);
	shard_free(sh);
}

/* A record names its row, whatever its number is and in whichever order they come. */
static void
rows__a_start_takes_numbers_as_they_are(void **state)
{
	static const uint32_t numbers[] = { 700, 0, 129, 128, 2 };
	struct shard *sh = shard_new(3, NULL);
	struct buf key = { 0 }, record = { 0 };
	char room[16];

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct identity id = { .row = numbers[i], .enabled = true, .generation = 1 };

		key.n = record.n = 0;
		hub_key(&key, 3, name_of(i, room), STR_NONE);
		identity_encode(&record, &id);
		assert_int_equal(shard_load(sh, buf_view(&key), buf_view(&record)), ERR_OK);
		assert_int_equal(shard_load(sh, buf_view(&key), buf_view(&record)), ERR_CORRUPT);
	}
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(shard_find(sh, name_of(i, room), STR_NONE), numbers[i]);
	assert_int_equal(shard_rows(sh), 701);
	assert_int_equal(shard_identities(sh), 5);
	shard_loaded(sh, &(struct shard_begin){ 0 });
	/* the free ones rest first */
	struct undo *u = undo_new();
	assert_int_equal(row_number(sh, row_create(u, sh, STR("e1"), STR_NONE, 1)), 701);
	assert_int_equal(row_number(sh, row_create(u, sh, STR("e2"), STR_NONE, ROW_GRACE_US)), 1);
	undo_free(u);
	shard_free(sh);
	buf_fini(&key);
	buf_fini(&record);
}

/* ---- against a model ---- */

#define NAMES 300u /* more than two chunks */

struct model {
	bool there;
	uint32_t row;
	struct row *at;
};

static void
agree(struct shard *sh, const struct model *m)
{
	uint32_t n = 0;
	char room[16];

	for (unsigned i = 0; i < NAMES; i++) {
		uint32_t row = shard_find(sh, name_of(i, room), STR_NONE);

		n += m[i].there;
		assert_int_equal(row, m[i].there ? m[i].row : TABLE_NONE);
		if (m[i].there)
			assert_ptr_equal(row_at(sh, row), m[i].at);
	}
	assert_int_equal(shard_identities(sh), n);
	assert_int_equal(shard_counts(sh)->devices, n);
}

/* One that is not there comes, one that is goes. */
static void
change(struct shard *sh, struct undo *u, struct model *m, unsigned i, int64_t elapsed_us)
{
	struct hub_env env = { .undo = u, .put = no_put, .del = no_del };
	struct str bytes = STR("a record");
	char room[16];

	if (m->there) {
		undo_deleted(u, sh, m->row, elapsed_us);
		m->there = false;
		return;
	}
	m->at = row_create(u, sh, name_of(i, room), STR_NONE, elapsed_us);
	m->row = row_number(sh, m->at);
	m->there = true;
	row_write(sh, m->at, RECORD_WANTED, &bytes, &env);
}

static void
rows__a_round_that_fails_leaves_all_as_it_was(void **state)
{
	struct undo_sink sink = { NULL, no_put, no_del };
	struct model now[NAMES] = { 0 }, before[NAMES];
	struct shard *sh = shard_new(3, NULL);
	struct undo *u = undo_new();
	struct rnd rnd = { 42 };
	int64_t elapsed_us = 0;

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		uint64_t bytes = shard_cached_bytes(sh);

		memcpy(before, now, sizeof(now));
		elapsed_us += (int64_t)rnd_below(&rnd, 200) * SECOND;
		for (unsigned k = rnd_below(&rnd, 60); k > 0; k--) {
			unsigned i = rnd_below(&rnd, NAMES);

			change(sh, u, &now[i], i, elapsed_us);
		}
		agree(sh, now);
		if (rnd_below(&rnd, 3) == 0) {
			undo_rollback(u, &sink);
			memcpy(now, before, sizeof(now));
			assert_int_equal(shard_cached_bytes(sh), bytes);
		}
		undo_commit(u);
		agree(sh, now);
	}
	undo_free(u);
	shard_free(sh);
}

/* ---- modules ---- */

static void
rows__T91_modules_are_chained_to_their_device(void **state)
{
	struct shard *sh = shard_new(3, NULL);
	struct undo *u = undo_new();
	struct row *d = row_create(u, sh, STR("d"), STR_NONE, 0);
	struct row *a = row_create(u, sh, STR("d"), STR("a"), 0);
	struct row *b = row_create(u, sh, STR("d"), STR("b"), 0);
	struct row *c = row_create(u, sh, STR("d"), STR("c"), 0);

	(void)state;
	assert_ptr_equal(module_first(sh, d), c);
	assert_ptr_equal(module_next(sh, c), b);
	undo_deleted(u, sh, row_number(sh, b), 0);
	assert_ptr_equal(module_next(sh, c), a);
	assert_null(module_next(sh, a));
	assert_int_equal(shard_module_row(sh, row_number(sh, d), TABLE_NONE), row_number(sh, c));
	assert_int_equal(shard_module_row(sh, row_number(sh, d), row_number(sh, a)), TABLE_NONE);
	undo_free(u);
	shard_free(sh);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows__an_address_stays_however_many_come),
		cmocka_unit_test(rows__a_start_takes_numbers_as_they_are),
		cmocka_unit_test(rows__a_round_that_fails_leaves_all_as_it_was),
		cmocka_unit_test(rows__T91_modules_are_chained_to_their_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
