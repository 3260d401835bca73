/* Bytes that are not what was written: found, named, never served. And torn ends, which are nobody's fault. */
#include "store_kit.h"

#define CORRUPT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

/* Three commits in a log that no table file has taken yet; the sizes of the log after the second and third. As a kill leaves it,
 * it is saved as "killed": then the last one may be torn. */
static void
make_log(struct kit *k, char *path, off_t *before, off_t *after)
{
	kit_open(k);
	assert_int_equal(kit_put(k, STORE_REPORTED, "one", "first value"), STORE_OK);
	assert_int_equal(kit_put(k, STORE_WANTED, "two", "second value"), STORE_OK);
	assert_non_null(kit_file(k, ".log", path));
	*before = kit_size(path);
	assert_int_equal(kit_put(k, STORE_REPORTED, "three", "third value"), STORE_OK);
	kit_save(k, "killed");
	kit_close(k);
	*after = kit_size(path);
	assert_true(*after > *before && *before > 0);
}

/* Opening is refused, and the file's name is in the reason. */
static void
expect_refused(struct kit *k, const char *name)
{
	enum err e;

	k->f.text[0] = 0;
	e = store_open(&k->o, &k->s, &k->f);
	if (e != ERR_CORRUPT || k->f.code != F_StoredDamaged || strstr(k->f.text, name) == NULL)
		fail_msg("opening with damaged %s: error %d, fault %d, '%s'", name, e,
		    (int)k->f.code, k->f.text);
}

struct found {
	unsigned n;
	char file[300];
};

static void
note_bad(void *ctx, const char *file, const char *why)
{
	struct found *f = ctx;

	f->n++;
	snprintf(f->file, sizeof f->file, "%s: %.200s", file, why);
}

/* The offline check names that file and no other. */
static void
expect_found(struct kit *k, const char *name)
{
	struct found found = { 0 };

	assert_int_equal(kit_check(k->dir, note_bad, &found, NULL, NULL, &k->f), ERR_CORRUPT);
	assert_int_equal(k->f.code, F_StoredDamaged);
	assert_int_equal(found.n, 1);
	if (!str_starts(str_of(found.file), str_of(name)))
		fail_msg("named %s instead of %s", found.file, name);
}

static void
store_open__torn_tail_of_any_length_is_dropped(void **state)
{
	struct kit *k = *state;
	char path[256];
	off_t before, after;

	make_log(k, path, &before, &after);
	for (off_t n = before; n < after; n++) {
		kit_restore(k, "killed");
		assert_int_equal(truncate(path, n), 0);
		kit_open(k);
		kit_expect(k, STORE_REPORTED, "one", "first value");
		kit_expect(k, STORE_WANTED, "two", "second value");
		kit_expect_none(k, STORE_REPORTED, "three");
	}
}

/* As a machine's crash leaves it: the length is there, the bytes are not. */
static void
store_open__zeros_for_a_tail_are_dropped(void **state)
{
	struct kit *k = *state;
	char path[256];
	off_t before, after;

	make_log(k, path, &before, &after);
	kit_restore(k, "killed");
	assert_int_equal(truncate(path, before), 0);
	assert_int_equal(truncate(path, before + 100000), 0);
	kit_open(k);
	kit_expect(k, STORE_WANTED, "two", "second value");
	kit_expect_none(k, STORE_REPORTED, "three");
}

static void
store_open__any_flipped_byte_in_a_log_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];
	off_t before, after;

	make_log(k, path, &before, &after);
	for (off_t at = 0; at < after; at++)
		for (int bit = 0; bit < 8; bit += 7) {
			kit_flip(path, at, (uint8_t)(1 << bit));
			expect_refused(k, strrchr(path, '/') + 1);
			kit_flip(path, at, (uint8_t)(1 << bit));
		}
	kit_open(k); /* whole again */
	kit_expect(k, STORE_REPORTED, "three", "third value");
}

static void
store_check__names_the_log_for_a_flipped_byte(void **state)
{
	struct kit *k = *state;
	char path[256];
	off_t before, after;

	make_log(k, path, &before, &after);
	for (off_t at = 0; at < after; at += 13) {
		kit_flip(path, at, 1);
		expect_found(k, strrchr(path, '/') + 1);
		kit_flip(path, at, 1);
	}
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, NULL, &k->f), ERR_OK);
}

/* A log of many blocks: flips all over it, and a sector of zeros, which RocksDB itself skips without a word. */
static void
store_open__damage_in_a_long_log_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256], *value = calloc(1, 50001);
	struct store_batch *b;
	off_t size;
	int fd;

	kit_open(k);
	memset(value, 'v', 50000);
	for (unsigned i = 0; i < 20; i++) {
		char key[16];

		snprintf(key, sizeof key, "k%u", i);
		b = store_batch_new();
		store_batch_put(b, 0, STORE_WANTED, str_of(key), str_of(value));
		assert_int_equal(kit_commit(k, 0, b), STORE_OK);
	}
	free(value);
	kit_close(k);
	kit_file(k, ".log", path);
	size = kit_size(path);
	for (off_t at = 0; at < size; at += 4001) {
		kit_flip(path, at, 0x20);
		expect_refused(k, strrchr(path, '/') + 1);
		kit_flip(path, at, 0x20);
	}
	for (off_t at = 32768 + 4; at < 32768 + 8; at++) { /* length and type at a block's start */
		kit_flip(path, at, 0xff);
		expect_refused(k, strrchr(path, '/') + 1);
		kit_flip(path, at, 0xff);
	}
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, (char[512]){ 0 }, 512, 65536), 512);
	close(fd);
	expect_refused(k, strrchr(path, '/') + 1);
}

static void
store_open__missing_newest_log_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];
	off_t before, after;

	make_log(k, path, &before, &after);
	assert_int_equal(unlink(path), 0);
	expect_refused(k, strrchr(path, '/') + 1);
	expect_found(k, strrchr(path, '/') + 1);
}

/* Enough that RocksDB goes on to a second log while the first still holds rows: one table's buffer is full, all tables'
 * buffers together are far from it. If they were not, the seldom written table would be flushed, and the first log not be
 * needed any more though it is perhaps still there. */
static void
fill_logs(struct kit *k)
{
	const size_t n = 1000000;
	char *value = calloc(1, n + 1);
	char key[16];

	memset(value, 'v', n);
	k->o.memory_bytes = 512 << 20;
	kit_open(k);
	kit_put(k, STORE_SESSION, "seldom", "written");
	for (unsigned i = 0; i < 36; i++) {
		struct store_batch *b = store_batch_new();

		snprintf(key, sizeof key, "k%u", i);
		store_batch_put(b, 0, STORE_WANTED, str_of(key), str_of(value));
		assert_int_equal(kit_commit(k, 0, b), STORE_OK);
	}
	free(value);
	kit_close(k);
}

struct names {
	unsigned n;
	char path[64][256];
};

static void
list_files(struct kit *k, const char *suffix, struct names *out)
{
	DIR *d = opendir(k->dir);
	struct dirent *de;

	out->n = 0;
	while ((de = readdir(d)) != NULL && out->n < 64)
		if (str_ends(str_of(de->d_name), str_of(suffix)))
			snprintf(out->path[out->n++], 256, "%s/%.60s", k->dir, de->d_name);
	closedir(d);
}

static void
store_open__any_missing_log_is_refused(void **state)
{
	struct kit *k = *state;
	struct names logs;
	unsigned nneeded = 0;

	fill_logs(k);
	kit_save(k, "whole");
	list_files(k, ".log", &logs);
	for (unsigned i = 0; i < logs.n; i++) {
		kit_restore(k, "whole");
		if (kit_size(logs.path[i]) == 0)
			continue; /* of the making, not yet removed: nobody needs it */
		assert_int_equal(unlink(logs.path[i]), 0);
		expect_refused(k, strrchr(logs.path[i], '/') + 1);
		nneeded++;
	}
	assert_true(nneeded >= 2);
	kit_restore(k, "whole");
	kit_open(k);
	kit_expect(k, STORE_SESSION, "seldom", "written");
}

/* The manifest tracks logs then: whoever opens without saying so ends in an assertion of RocksDB. */
static void
store_check__passes_a_store_and_its_backup_whose_manifest_tracks_logs(void **state)
{
	struct kit *k = *state;
	char backup[200];
	uint64_t nrows = 0;

	fill_logs(k);
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, &nrows, &k->f), ERR_OK);
	assert_int_equal(nrows, 37);
	snprintf(backup, sizeof backup, "%s/backup", k->root);
	kit_open(k);
	assert_int_equal(kit_put(k, STORE_SESSION, "later", "row"), STORE_OK);
	assert_int_equal(store_checkpoint(k->s, backup, &k->f), ERR_OK);
	kit_close(k);
	assert_int_equal(kit_check(backup, NULL, NULL, NULL, &nrows, &k->f), ERR_OK);
	assert_int_equal(nrows, 38);
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, &nrows, &k->f), ERR_OK);
	assert_int_equal(nrows, 38);
}

/* ---- table files ---- */

static const char *const rows[] = { "a", "b", "c", "d", "e" };

/* One table file with five rows of some length; its path. */
static void
make_table(struct kit *k, char *path)
{
	char value[2001];

	kit_open(k);
	for (size_t i = 0; i < 5; i++) {
		memset(value, rows[i][0], 2000);
		value[2000] = 0;
		for (int j = 0; j < 2000; j += 3)
			value[j] = (char)('0' + (int)(i * 7 + (size_t)j * 31) % 75);
		assert_int_equal(kit_put(k, STORE_REPORTED, rows[i], value), STORE_OK);
	}
	kit_close(k);
	kit_open(k); /* replays the log into a table file */
	kit_close(k);
	assert_non_null(kit_file(k, ".sst", path));
}

static void
store_check__names_the_table_for_any_flipped_byte(void **state)
{
	struct kit *k = *state;
	char path[256];
	uint64_t nfiles, nrows;
	off_t size;

	make_table(k, path);
	assert_int_equal(kit_check(k->dir, NULL, NULL, &nfiles, &nrows, &k->f), ERR_OK);
	assert_int_equal(nrows, 5);
	assert_true(nfiles >= 4); /* CURRENT, its manifest, a log, a table */
	size = kit_size(path);
	for (off_t at = 0; at<size; at += at> size - 100 ? 1 : 61) {
		kit_flip(path, at, 0x04);
		expect_found(k, strrchr(path, '/') + 1);
		kit_flip(path, at, 0x04);
	}
	assert_int_equal(kit_check(k->dir, NULL, NULL, &nfiles, &nrows, &k->f), ERR_OK);
}

/* Open and read all rows: refused by name, or read right; `bad` counts the former. Never a wrong or missing row. */
static void
read_all_or_refuse(struct kit *k, const char *name, const char *good[5], unsigned *bad)
{
	struct buf b = { 0 };
	enum err e = store_open(&k->o, &k->s, &k->f);

	if (e != ERR_OK) {
		assert_int_equal(e, ERR_CORRUPT);
		assert_int_equal(k->f.code, F_StoredDamaged);
		assert_non_null(strstr(k->f.text, name));
		++*bad;
		return;
	}
	for (size_t i = 0; i < 5; i++) {
		e = kit_get(k, STORE_REPORTED, rows[i], &b);
		if (e == ERR_CORRUPT) {
			assert_non_null(strstr(k->warned, name));
			++*bad;
			break;
		}
		assert_int_equal(e, ERR_OK);
		assert_true(str_eq(buf_view(&b), str_of(good[i])));
	}
	buf_fini(&b);
	kit_close(k);
}

static void
store_get__flipped_byte_is_refused_by_name_or_harmless(void **state)
{
	struct kit *k = *state;
	char path[256], *good[5];
	unsigned bad = 0, n = 0;
	off_t size;

	make_table(k, path);
	kit_open(k);
	for (size_t i = 0; i < 5; i++) {
		struct buf b = { 0 };

		assert_int_equal(kit_get(k, STORE_REPORTED, rows[i], &b), ERR_OK);
		good[i] = str_dup0(buf_view(&b));
		buf_fini(&b);
	}
	kit_close(k);
	kit_save(k, "whole");
	size = kit_size(path);
	for (off_t at = 0; at < size; at += 131, n++) {
		kit_restore(k, "whole");
		kit_flip(path, at, 0x10);
		read_all_or_refuse(k, strrchr(path, '/') + 1, (const char **)good, &bad);
	}
	assert_true(bad > n * 9 / 10); /* harmless is little: the footer's filling, the filter's */
	for (size_t i = 0; i < 5; i++)
		free(good[i]);
}

static void
store_next__flipped_byte_ends_a_scan_by_name(void **state)
{
	struct kit *k = *state;
	struct store_cursor *c;
	struct str key, value;
	char path[256];
	enum err e;

	make_table(k, path);
	kit_flip(path, 100, 1);
	kit_open(k);
	assert_int_equal(
	    store_cursor_open(k->s, STORE_REPORTED, STR_NONE, STR_NONE, STORE_SCAN, &c), ERR_OK);
	while ((e = store_next(c, &key, &value)) == ERR_OK)
		;
	store_cursor_close(c);
	assert_int_equal(e, ERR_CORRUPT);
	assert_non_null(strstr(k->warned, strrchr(path, '/') + 1));
}

/* Four tables in level 0 are compacted, and one of them is bad: the store takes no more, says why, and does not heal. */
static void
store_submit__corruption_met_by_compaction_fails_the_store_by_name(void **state)
{
	struct kit *k = *state;
	char path[256] = "", value[16];
	struct fault why;

	for (unsigned i = 0; i < 4; i++) {
		if (i == 3)
			kit_flip(path, 10, 1);
		kit_open(k);
		if (i < 3)
			kit_put(k, STORE_WANTED, "key", "value");
		kit_close(k);
		kit_file(k, ".sst", path);
	}
	kit_open(k);
	for (unsigned i = 0;; i++) {
		snprintf(value, sizeof value, "%u", i);
		if (kit_put(k, STORE_WANTED, "key", value) != STORE_OK)
			break;
		kit_close(k);
		kit_open(k);
		assert_true(i < 100);
	}
	assert_int_equal(store_state(k->s, &why), STORE_IS_CORRUPT);
	assert_non_null(strstr(why.text, ".sst"));
	pthread_mutex_lock(&k->mu); /* O-27: its line */
	patience_await(&k->changed, &k->mu,
	    str_starts(str_of(k->warned),
	        STR("the store is damaged, changes are refused until a start: ")));
	pthread_mutex_unlock(&k->mu);
	store_resume(k->s, 0);
	assert_int_equal(kit_put(k, STORE_WANTED, "key", "value"), STORE_UNDONE);
}

static void
store_open__missing_table_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];

	make_table(k, path);
	assert_int_equal(unlink(path), 0);
	expect_refused(k, strrchr(path, '/') + 1);
	expect_found(k, strrchr(path, '/') + 1);
}

static void
store_check__names_each_of_several_bad_files(void **state)
{
	struct kit *k = *state;
	struct names tables;
	struct found found = { 0 };

	for (int i = 0; i < 3; i++) {
		char key[2] = { (char)('a' + i), 0 };

		kit_open(k);
		kit_put(k, STORE_WANTED, key, "value");
		kit_close(k);
	}
	list_files(k, ".sst", &tables);
	assert_int_equal(tables.n, 2);
	kit_flip(tables.path[0], 10, 1);
	assert_int_equal(unlink(tables.path[1]), 0);
	kit_file(k, ".log", tables.path[2]);
	kit_flip(tables.path[2], 10, 1);
	assert_int_equal(kit_check(k->dir, note_bad, &found, NULL, NULL, &k->f), ERR_CORRUPT);
	assert_int_equal(found.n, 3);
}

/* ---- the other files ---- */

static void
store_open__flipped_byte_in_the_manifest_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];
	struct names found;
	off_t size;

	make_table(k, path);
	list_files(k, "", &found);
	for (unsigned i = 0; i < found.n; i++)
		if (strstr(found.path[i], "MANIFEST-") != NULL)
			memcpy(path, found.path[i], sizeof path);
	size = kit_size(path);
	for (off_t at = 0; at < size; at++) {
		kit_flip(path, at, 0x02);
		expect_refused(k, "MANIFEST-");
		kit_flip(path, at, 0x02);
	}
}

static void
expect_refused_when(struct kit *k, const char *name, bool missing)
{
	char path[256];

	kit_restore(k, "whole");
	snprintf(path, sizeof path, "%s/%s", k->dir, name);
	if (missing)
		assert_int_equal(unlink(path), 0);
	else
		kit_flip(path, 0, 0x40);
	expect_refused(k, name);
}

static void
store_open__small_files_damaged_or_missing_are_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];

	make_table(k, path);
	kit_save(k, "whole");
	for (int missing = 0; missing < 2; missing++) {
		expect_refused_when(k, "CURRENT", missing);
		expect_refused_when(k, "NEWEST-WAL", missing);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CORRUPT_TEST(store_open__torn_tail_of_any_length_is_dropped),
		CORRUPT_TEST(store_open__zeros_for_a_tail_are_dropped),
		CORRUPT_TEST(store_open__any_flipped_byte_in_a_log_is_refused_by_name),
		CORRUPT_TEST(store_check__names_the_log_for_a_flipped_byte),
		CORRUPT_TEST(store_open__damage_in_a_long_log_is_refused_by_name),
		CORRUPT_TEST(store_open__missing_newest_log_is_refused_by_name),
		CORRUPT_TEST(store_open__any_missing_log_is_refused),
		CORRUPT_TEST(store_check__passes_a_store_and_its_backup_whose_manifest_tracks_logs),
		CORRUPT_TEST(store_check__names_the_table_for_any_flipped_byte),
		CORRUPT_TEST(store_get__flipped_byte_is_refused_by_name_or_harmless),
		CORRUPT_TEST(store_next__flipped_byte_ends_a_scan_by_name),
		CORRUPT_TEST(store_submit__corruption_met_by_compaction_fails_the_store_by_name),
		CORRUPT_TEST(store_open__missing_table_is_refused_by_name),
		CORRUPT_TEST(store_check__names_each_of_several_bad_files),
		CORRUPT_TEST(store_open__flipped_byte_in_the_manifest_is_refused_by_name),
		CORRUPT_TEST(store_open__small_files_damaged_or_missing_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
