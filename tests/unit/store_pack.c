/* Records of the log stand many to a row, and are read as if each had one of its own. */
#include "store_kit.h"

#include "rnd.h"
#include "store/pack.h"

/* ---- records that their place alone determines ---- */

#define VALUE_MAX 700u

static enum store_table
table_of(uint32_t shard, uint64_t position)
{
	struct rnd r = { .state = shard * 1000003u + position + 1 };

	rnd_u64(&r);
	return rnd_below(&r, 3) == 0 ? STORE_LOG : STORE_CHANGES;
}

static struct str
value_of(uint32_t shard, uint64_t position, char room[VALUE_MAX])
{
	struct rnd r = { .state = shard * 7919u + position + 1 };
	uint32_t n;

	rnd_u64(&r);
	n = 1 + rnd_below(&r, rnd_below(&r, 20) == 0 ? VALUE_MAX - 1 : 90);
	for (uint32_t i = 0; i < n; i++)
		room[i] = (char)rnd_below(&r, 256); /* as a packed row begins, too */
	return (struct str){ room, n };
}

static struct str
key_of(uint32_t shard, uint64_t position, char room[PACK_KEY])
{
	room[0] = (char)(shard >> 8);
	room[1] = (char)shard;
	for (int i = 0; i < 8; i++)
		room[2 + i] = (char)(position >> (56 - 8 * i));
	return (struct str){ room, PACK_KEY };
}

static uint64_t
position_of(struct str key)
{
	uint64_t position = 0;

	assert_int_equal(key.n, PACK_KEY);
	for (int i = 2; i < 10; i++)
		position = position << 8 | (unsigned char)key.p[i];
	return position;
}

/* ---- rows ---- */

struct rows {
	unsigned n;
	struct {
		enum store_table table;
		struct buf key, value;
	} v[64];
};

static void
take_row(void *ctx, enum store_table t, struct str key, struct str value)
{
	struct rows *rows = ctx;

	assert_true(rows->n < 64);
	rows->v[rows->n].table = t;
	buf_str(&rows->v[rows->n].key, key);
	buf_str(&rows->v[rows->n++].value, value);
}

static void
rows_fini(struct rows *rows)
{
	for (unsigned i = 0; i < rows->n; i++) {
		buf_fini(&rows->v[i].key);
		buf_fini(&rows->v[i].value);
	}
	rows->n = 0;
}

static unsigned
records_in(const struct rows *rows, unsigned i, uint64_t *first)
{
	struct pack_walk w;
	struct str key, value;
	unsigned n = 0;
	enum err e;

	pack_walk_begin(&w, buf_view(&rows->v[i].key), buf_view(&rows->v[i].value));
	while ((e = pack_walk_next(&w, &key, &value)) == ERR_OK)
		if (n++ == 0)
			*first = position_of(key);
	assert_int_equal(e, ERR_END);
	return n;
}

/* From 200 on, a row ends with its stretch, with its records, and with its bytes. */
static void
pack__rows_end_with_their_stretch_and_at_their_bounds(void **state)
{
	static const struct {
		uint64_t first;
		unsigned n;
	} expected[] = { { 200, 56 }, { 256, 64 }, { 320, 64 }, { 384, 64 }, { 448, 53 },
		{ 501, 1 } };
	static char large[PACK_BYTES];
	struct rows rows = { 0 };
	struct packer *p = packer_new(take_row, &rows);
	char keys[302][PACK_KEY];
	uint64_t first = 0;

	(void)state;
	for (unsigned i = 0; i < 301; i++)
		packer_add(p, STORE_CHANGES, key_of(3, 200 + i, keys[i]), STR("record"));
	packer_add(p, STORE_CHANGES, key_of(3, 501, keys[301]), (struct str){ large, PACK_BYTES });
	packer_end(p);
	assert_int_equal(rows.n, sizeof(expected) / sizeof(expected[0]));
	for (unsigned i = 0; i < rows.n; i++) {
		assert_int_equal(records_in(&rows, i, &first), expected[i].n);
		assert_int_equal(first, expected[i].first);
	}
	packer_free(p);
	rows_fini(&rows);
}

static void
pack__tables_and_shards_do_not_mix(void **state)
{
	struct rows rows = { 0 };
	struct packer *p = packer_new(take_row, &rows);
	char keys[6][PACK_KEY];
	uint64_t first = 0;

	(void)state;
	packer_add(p, STORE_CHANGES, key_of(1, 10, keys[0]), STR("a"));
	packer_add(p, STORE_LOG, key_of(1, 11, keys[1]), STR("b"));
	packer_add(
	    p, STORE_CHANGES, key_of(65, 12, keys[2]), STR("c")); /* the same slot as shard 1 */
	packer_add(p, STORE_CHANGES, key_of(1, 12, keys[3]), STR("d"));
	packer_add(p, STORE_LOG, key_of(1, 13, keys[4]), STR("e"));
	packer_add(p, STORE_LOG, STR("no position"), STR("f"));
	packer_end(p);
	assert_int_equal(rows.n, 5);
	assert_true(str_eq(buf_view(&rows.v[0].value), STR("a")));
	assert_true(str_eq(buf_view(&rows.v[1].value), STR("c")));
	assert_true(str_eq(buf_view(&rows.v[2].key), STR("no position")));
	assert_int_equal(rows.v[3].table, STORE_LOG);
	assert_int_equal(records_in(&rows, 3, &first), 2);
	assert_int_equal(first, 11);
	assert_true(str_eq(buf_view(&rows.v[4].value), STR("d")));
	packer_free(p);
	rows_fini(&rows);
}

/* Whatever a row has lost or has been given: an end, a record that is wholly within it, or damage. */
static void
pack__damaged_rows_are_told_from_whole_ones(void **state)
{
	struct rows rows = { 0 };
	struct packer *p = packer_new(take_row, &rows);
	char keys[3][PACK_KEY];
	struct rnd r = { .state = 1 };
	struct pack_walk w;
	struct str key, value;
	struct str row;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		packer_add(p, STORE_LOG, key_of(0, 7 + i, keys[i]), STR("some record"));
	packer_end(p);
	row = buf_view(&rows.v[0].value);
	for (size_t n = 1; n < row.n; n++) {
		char *cut = malloc(n); /* its end is the end of memory */
		enum err e;

		memcpy(cut, row.p, n);
		pack_walk_begin(&w, buf_view(&rows.v[0].key), (struct str){ cut, n });
		while ((e = pack_walk_next(&w, &key, &value)) == ERR_OK)
			;
		assert_true(e == ERR_CORRUPT || (n > 1 && (n - 1) % (row.n / 3) == 0));
		free(cut);
	}
	for (unsigned i = 0; i < 20000; i++) {
		unsigned at = 1 + rnd_below(&r, (uint32_t)row.n - 1), n = 0;
		char was = rows.v[0].value.p[at];

		rows.v[0].value.p[at] = (char)rnd_below(&r, 256);
		pack_walk_begin(&w, buf_view(&rows.v[0].key), row);
		while (pack_walk_next(&w, &key, &value) == ERR_OK) {
			assert_true(value.p >= row.p && value.p + value.n <= row.p + row.n);
			assert_true(n++ < row.n);
		}
		rows.v[0].value.p[at] = was;
	}
	packer_free(p);
	rows_fini(&rows);
}

/* ---- in a store ---- */

#define SHARDS_OF 5u

struct log {
	struct kit *k;
	struct rnd r;
	uint64_t next[SHARDS_OF];
};

static void
log_grow(struct log *l)
{
	struct store_batch *b = store_batch_new();
	unsigned n = rnd_below(&l->r, 3) == 0 ? 400 : 6;

	for (unsigned i = 0; i < n; i++) {
		uint32_t shard = rnd_below(&l->r, SHARDS_OF);
		uint64_t position = l->next[shard]++;
		char key[PACK_KEY], value[VALUE_MAX];

		store_batch_put(b, shard, table_of(shard, position), key_of(shard, position, key),
		    value_of(shard, position, value));
	}
	assert_int_equal(kit_commit(l->k, 0, b), STORE_OK);
}

static void
expect_get(struct log *l, uint32_t shard, uint64_t position)
{
	bool there = position >= 1 && position < l->next[shard];
	enum store_table t = table_of(shard, position);
	char key[PACK_KEY], value[VALUE_MAX];
	struct buf got = { 0 };

	assert_int_equal(store_get(l->k->s, t, key_of(shard, position, key), &got),
	    there ? ERR_OK : ERR_NOT_FOUND);
	if (there)
		assert_true(str_eq(buf_view(&got), value_of(shard, position, value)));
	got.n = 0;
	assert_int_equal(store_get(l->k->s, t == STORE_LOG ? STORE_CHANGES : STORE_LOG,
	                     key_of(shard, position, key), &got),
	    ERR_NOT_FOUND);
	buf_fini(&got);
}

static void
expect_scan(struct log *l, enum store_table t, uint32_t shard, uint64_t from, uint64_t to)
{
	char first[PACK_KEY], last[PACK_KEY], room[VALUE_MAX];
	struct store_cursor *c;
	struct str key, value;
	enum err e;

	assert_int_equal(store_cursor_open(l->k->s, t, key_of(shard, from, first),
	                     key_of(shard, to, last), STORE_SCAN, &c),
	    ERR_OK);
	for (uint64_t p = from > 0 ? from : 1; p < to && p < l->next[shard]; p++) {
		if (table_of(shard, p) != t)
			continue;
		assert_int_equal(store_next(c, &key, &value), ERR_OK);
		assert_int_equal(position_of(key), p);
		assert_true(str_eq(value, value_of(shard, p, room)));
	}
	e = store_next(c, &key, &value);
	assert_int_equal(e, ERR_END);
	store_cursor_close(c);
}

static void
store_log__records_are_read_as_they_were_written(void **state)
{
	struct log l = { .k = *state, .r = { .state = 20 } };

	for (unsigned i = 0; i < SHARDS_OF; i++)
		l.next[i] = 1;
	kit_open(l.k);
	for (unsigned i = 0; i < 120; i++) {
		log_grow(&l);
		for (unsigned j = 0; j < 20; j++) {
			uint32_t shard = rnd_below(&l.r, SHARDS_OF);
			uint64_t p = rnd_below(&l.r, (uint32_t)l.next[shard] + 3);

			expect_get(&l, shard, p);
			expect_scan(&l, rnd_below(&l.r, 2) == 0 ? STORE_LOG : STORE_CHANGES, shard,
			    p, p + rnd_below(&l.r, 600));
		}
		if (i % 17 == 16) { /* into files */
			kit_close(l.k);
			kit_open(l.k);
		}
	}
	for (uint32_t s = 0; s < SHARDS_OF; s++)
		for (uint64_t p = 0; p < l.next[s] + 2; p++)
			expect_get(&l, s, p);
}

/* What a batch has put goes with it, and its positions are given anew. */
static void
store_log__a_batch_that_is_taken_back_leaves_no_record(void **state)
{
	struct log l = { .k = *state, .r = { .state = 3 } };
	uint64_t before[SHARDS_OF];

	for (unsigned i = 0; i < SHARDS_OF; i++)
		l.next[i] = 1;
	kit_open(l.k);
	for (unsigned i = 0; i < 40; i++) {
		struct store_batch *b = store_batch_new();

		memcpy(before, l.next, sizeof(before));
		log_grow(&l);
		for (uint32_t s = 0; s < SHARDS_OF; s++)
			for (uint64_t p = before[s]; p < l.next[s]; p++) {
				char key[PACK_KEY];

				store_batch_delete(b, s, table_of(s, p), key_of(s, p, key));
			}
		assert_int_equal(kit_commit(l.k, 0, b), STORE_OK);
		memcpy(l.next, before, sizeof(before));
		for (uint32_t s = 0; s < SHARDS_OF; s++) {
			expect_scan(&l, STORE_LOG, s, 0, 100000);
			expect_scan(&l, STORE_CHANGES, s, 0, 100000);
			expect_get(&l, s, l.next[s]);
		}
		log_grow(&l);
	}
}

#define ROW_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pack__rows_end_with_their_stretch_and_at_their_bounds),
		cmocka_unit_test(pack__tables_and_shards_do_not_mix),
		cmocka_unit_test(pack__damaged_rows_are_told_from_whole_ones),
		ROW_TEST(store_log__records_are_read_as_they_were_written),
		ROW_TEST(store_log__a_batch_that_is_taken_back_leaves_no_record),
	};

	return cmocka_run_group_tests_name("store: rows of the log", tests, NULL, NULL);
}
