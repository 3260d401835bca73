/* Looking at a store without changing it; and what is not known here, but to RocksDB. */
#include "store_kit.h"

#include <rocksdb/c.h>

struct found {
	unsigned nbad, nnote;
	char bad[300], notes[2000];
};

static void
on_bad(void *ctx, const char *file, const char *why)
{
	struct found *f = ctx;

	f->nbad++;
	snprintf(f->bad, sizeof f->bad, "%.60s: %.200s", file, why);
}

static void
on_note(void *ctx, const char *file, const char *what)
{
	struct found *f = ctx;
	size_t n = strlen(f->notes);

	f->nnote++;
	snprintf(f->notes + n, sizeof f->notes - n, "%s: %s\n", file, what);
}

static void
look(struct kit *k, struct found *found, uint64_t *nrows)
{
	struct store_checkup up = { .bad = on_bad, .note = on_note, .ctx = found };
	char before[80], after[80];
	enum err e;

	*found = (struct found){ 0 };
	kit_print(k, before);
	e = store_check(k->dir, &up, &k->f);
	kit_print(k, after);
	assert_string_equal(before, after);
	if (e != ERR_OK)
		fail_msg("%s", found->bad);
	*nrows = up.nrows;
}

/* As a kill leaves it: rows in tables, rows in logs only, a flush behind it. */
static void
make_killed(struct kit *k)
{
	kit_open(k);
	assert_int_equal(kit_put(k, STORE_REPORTED, "one", "first"), STORE_OK);
	kit_close(k);
	kit_open(k);
	assert_int_equal(kit_put(k, STORE_REPORTED, "one", "second"), STORE_OK);
	assert_int_equal(kit_put(k, STORE_WANTED, "two", "third"), STORE_OK);
	kit_save(k, "killed");
	kit_restore(k, "killed");
}

static void
store_check__changes_no_byte_of_a_killed_store(void **state)
{
	struct kit *k = *state;
	struct found found;
	uint64_t nrows;

	make_killed(k);
	look(k, &found, &nrows);
	assert_int_equal(nrows, 2);
	assert_string_equal(found.notes, "");
}

static void
store_check__tells_what_a_start_would_drop_or_remove(void **state)
{
	struct kit *k = *state;
	struct found found;
	char path[256], stray[256];
	uint64_t nrows;
	off_t size;
	int fd;

	make_killed(k);
	assert_non_null(kit_file(k, ".sst", path));
	kit_path(k, "999999.sst", stray);
	kit_shell("cp", path, stray);
	kit_path(k, "MANIFEST-000001", stray);
	kit_shell("touch", stray, stray);
	assert_non_null(kit_file(k, ".log", path));
	size = kit_size(path);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "\x12\x34\x56\x78\x40\x00\x01xyz", 10, size), 10);
	close(fd);
	look(k, &found, &nrows);
	assert_int_equal(nrows, 2);
	assert_int_equal(found.nnote, 3);
	assert_non_null(strstr(found.notes, ".log: its last 10 bytes were never acknowledged"));
	assert_non_null(strstr(found.notes, "999999.sst: is no part of the store"));
	assert_non_null(strstr(found.notes, "MANIFEST-000001: is no part of the store"));
	kit_open(k);
	assert_non_null(strstr(k->warned, "its last 10 bytes were never acknowledged"));
	kit_path(k, "999999.sst", stray);
	assert_int_equal(access(stray, F_OK), -1);
	kit_expect(k, STORE_WANTED, "two", "third");
}

static void
store_open__read_only_reads_all_and_changes_no_byte(void **state)
{
	struct kit *k = *state;
	char before[80], after[80];

	make_killed(k);
	kit_print(k, before);
	k->o.read_only = true;
	kit_open(k);
	kit_expect(k, STORE_REPORTED, "one", "second");
	kit_expect(k, STORE_WANTED, "two", "third");
	kit_close(k);
	kit_print(k, after);
	assert_string_equal(before, after);
}

/* ---- a log with records of types that are not known here: one that is compressed begins with such ---- */

static void
write_compressed(struct kit *k)
{
	static const char *const names[] = { "default", "identity", "wanted", "reported", "session",
		"hub", "log", "changes", "messages", "partitions" };
	rocksdb_options_t *base = rocksdb_options_create(), *all = rocksdb_options_create();
	const rocksdb_options_t *each[10];
	rocksdb_column_family_handle_t *families[10];
	rocksdb_writeoptions_t *w = rocksdb_writeoptions_create();
	char *error = NULL;
	rocksdb_t *db;

	rocksdb_options_set_info_log_level(base, 4);
	rocksdb_get_options_from_string(base,
	    "wal_compression=kZSTD;track_and_verify_wals_in_manifest=true;avoid_flush_during_"
	    "recovery=true",
	    all, &error);
	assert_null(error);
	for (int i = 0; i < 10; i++)
		each[i] = all;
	db = rocksdb_open_column_families(all, k->dir, 10, names, each, families, &error);
	if (error != NULL)
		fail_msg("%s", error);
	rocksdb_writeoptions_set_sync(w, 1);
	for (int i = 0; i < 100; i++)
		rocksdb_put_cf(db, w, families[3], "compressed", 10, "row", 3, &error);
	assert_null(error);
	for (int i = 0; i < 10; i++)
		rocksdb_column_family_handle_destroy(families[i]);
	rocksdb_close(db);
	rocksdb_writeoptions_destroy(w);
	rocksdb_options_destroy(all);
	rocksdb_options_destroy(base);
}

static void
store_open__leaves_records_of_unknown_types_to_rocksdb(void **state)
{
	struct kit *k = *state;
	struct found found;
	char path[256], mark[256], line[32];
	uint64_t nrows;
	FILE *f;

	kit_open(k);
	assert_int_equal(kit_put(k, STORE_REPORTED, "one", "first"), STORE_OK);
	kit_close(k);
	write_compressed(k);
	assert_non_null(kit_file(k, ".log", path));
	kit_path(k, "NEWEST-WAL", mark);
	snprintf(line, sizeof line, "%lu\n", strtoul(strrchr(path, '/') + 1, NULL, 10));
	f = fopen(mark, "w");
	fputs(line, f);
	fclose(f);
	look(k, &found, &nrows);
	assert_non_null(
	    strstr(found.notes, "records of types that are not known here (the last one: 9)"));
	assert_int_equal(nrows, 2);
	kit_open(k);
	assert_non_null(strstr(k->warned, "not known here"));
	kit_expect(k, STORE_REPORTED, "one", "first");
	kit_expect(k, STORE_REPORTED, "compressed", "row");
}

/* ---- a store of a former release, which has fewer tables ---- */

/* Only the first `keep` families are left. */
static void
drop_families(struct kit *k, unsigned keep)
{
	static const char *const names[] = { "default", "identity", "wanted", "reported", "session",
		"hub", "log", "changes", "messages", "partitions" };
	rocksdb_options_t *base = rocksdb_options_create(), *o = rocksdb_options_create();
	const rocksdb_options_t *each[10] = { o, o, o, o, o, o, o, o, o, o };
	rocksdb_column_family_handle_t *families[10];
	char *error = NULL;
	rocksdb_t *db;

	rocksdb_get_options_from_string(base,
	    "track_and_verify_wals_in_manifest=true;avoid_flush_during_recovery=true;"
	    "avoid_flush_during_shutdown=true",
	    o, &error);
	assert_null(error);
	db = rocksdb_open_column_families(o, k->dir, 10, names, each, families, &error);
	assert_null(error);
	for (unsigned i = 9; i >= keep; i--)
		rocksdb_drop_column_family(db, families[i], &error);
	assert_null(error);
	for (int i = 0; i < 10; i++)
		rocksdb_column_family_handle_destroy(families[i]);
	rocksdb_close(db);
	rocksdb_options_destroy(o);
	rocksdb_options_destroy(base);
}

/* With 7 it is one of format 1; with more of them making the others was ended. */
static void
store_open__gives_a_former_store_its_new_tables_from_any_point(void **state)
{
	struct kit *k = *state;
	struct found found;
	struct buf b = { 0 };
	uint64_t nrows;

	for (unsigned keep = 10; keep >= 7; keep--) {
		kit_open(k);
		assert_int_equal(kit_put(k, STORE_REPORTED, "one", "first"), STORE_OK);
		kit_close(k);
		drop_families(k, keep);
		look(k, &found, &nrows);
		k->o.read_only = true;
		kit_open(k);
		kit_expect(k, STORE_REPORTED, "one", "first");
		assert_int_equal(store_get(k->s, STORE_CHANGES, STR("none"), &b), ERR_NOT_FOUND);
		assert_int_equal(store_get(k->s, STORE_PARTITIONS, STR("none"), &b), ERR_NOT_FOUND);
		kit_close(k);
		k->o.read_only = false;
		kit_open(k);
		kit_expect(k, STORE_REPORTED, "one", "first");
		assert_int_equal(kit_put(k, STORE_PARTITIONS, "p", "q"), STORE_OK);
		kit_expect(k, STORE_PARTITIONS, "p", "q");
		kit_close(k);
		kit_shell("rm -rf", k->dir, k->dir);
	}
}

/* CRC-32C, bit by bit. */
static uint32_t
crc_of(const char *p, size_t n)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= (uint8_t)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static void
put_le(char *out, uint32_t v, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = (char)(v >> (8 * i));
}

/* It is RocksDB that refuses what this one does not know; another may know it. */
static void
store_check__leaves_records_of_unknown_types_in_the_manifest_to_rocksdb(void **state)
{
	struct kit *k = *state;
	char path[256], name[64],
	    record[7 + 3] = "......\x2a"
	                    "new";
	uint32_t crc = crc_of(record + 6, 4);
	struct found found = { 0 };
	struct store_checkup up = { .bad = on_bad, .note = on_note, .ctx = &found };
	FILE *f;

	make_killed(k);
	kit_path(k, "CURRENT", path);
	f = fopen(path, "r");
	assert_int_equal(fscanf(f, "%60s", name), 1);
	fclose(f);
	kit_path(k, name, path);
	put_le(record, (crc >> 15 | crc << 17) + 0xa282ead8u, 4);
	put_le(record + 4, 3, 2);
	f = fopen(path, "a");
	assert_int_equal(fwrite(record, 1, sizeof record, f), sizeof record);
	fclose(f);
	store_check(k->dir, &up, &k->f);
	assert_non_null(strstr(found.notes, name));
	assert_non_null(strstr(found.notes, "(the last one: 42), left to RocksDB"));
	assert_int_equal(found.nbad, 1);
	assert_non_null(strstr(found.bad, "unknown record type"));
}

static void
store_check__tells_what_a_store_of_a_former_program_lacks(void **state)
{
	struct kit *k = *state;
	struct found found;
	char path[256];
	uint64_t nrows;

	make_killed(k);
	kit_path(k, "LENGTHS", path);
	assert_int_equal(unlink(path), 0);
	kit_path(k, "IDENTITY", path);
	assert_int_equal(unlink(path), 0);
	look(k, &found, &nrows);
	assert_int_equal(found.nnote, 2);
	assert_non_null(strstr(found.notes, "LENGTHS: is missing"));
	assert_non_null(strstr(found.notes, "IDENTITY: is missing"));
	kit_open(k);
	kit_close(k);
	look(k, &found, &nrows);
	assert_int_equal(found.nnote, 0);
}

static void
replace_in(const char *path, const char *from, const char *to)
{
	char line[1000];

	snprintf(
	    line, sizeof line, "sed -i 's/%s/%s/' '%s' && sed -i '$d' '%s'", from, to, path, path);
	assert_int_equal(system(line), 0); /* NOLINT(cert-env33-c): a test's own words */
}

/* An upgrade of the library: said, and no reason to refuse. */
static void
store_open__tells_when_the_library_is_another(void **state)
{
	struct kit *k = *state;
	struct found found;
	char path[256], text[256] = "";
	uint64_t nrows;
	FILE *f;

	make_killed(k);
	kit_path(k, "LENGTHS", path);
	replace_in(path, "^rocksdb .*", "rocksdb 6.29.5");
	f = fopen(path, "r+");
	assert_true(fread(text, 1, sizeof text - 1, f) > 0);
	fprintf(f, "sum %08x\n", crc_of(text, strlen(text)));
	fclose(f);
	look(k, &found, &nrows);
	assert_non_null(strstr(found.notes, "LENGTHS: written by RocksDB 6.29.5, this one is "));
	kit_open(k);
	assert_non_null(strstr(k->warned, "written by RocksDB 6.29.5"));
}

#define CHECK_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CHECK_TEST(store_check__changes_no_byte_of_a_killed_store),
		CHECK_TEST(store_check__tells_what_a_start_would_drop_or_remove),
		CHECK_TEST(store_open__read_only_reads_all_and_changes_no_byte),
		CHECK_TEST(store_open__gives_a_former_store_its_new_tables_from_any_point),
		CHECK_TEST(store_open__leaves_records_of_unknown_types_to_rocksdb),
		CHECK_TEST(store_check__leaves_records_of_unknown_types_in_the_manifest_to_rocksdb),
		CHECK_TEST(store_check__tells_what_a_store_of_a_former_program_lacks),
		CHECK_TEST(store_open__tells_when_the_library_is_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
