/* Files that end with a whole record, but too early: whole to RocksDB, and noticed before anything is removed. */
#include "store_kit.h"

#include <errno.h>
#include <time.h>

#define HEADER_BYTES 7
#define BLOCK_BYTES  32768
#define WAIT_S       60

static void
manifest_path(struct kit *k, char path[256])
{
	char current[256], name[64] = "";
	FILE *f;

	kit_path(k, "CURRENT", current);
	f = fopen(current, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%63s", name), 1);
	fclose(f);
	kit_path(k, name, path);
}

static const char *
base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

struct found {
	unsigned n;
	char file[64], why[200];
};

static void
note_bad(void *ctx, const char *file, const char *why)
{
	struct found *f = ctx;

	if (f->n++ == 0) {
		snprintf(f->file, sizeof f->file, "%.63s", file);
		snprintf(f->why, sizeof f->why, "%.199s", why);
	}
}

/* Neither opening nor checking takes it, both say which file, and neither changes one. */
static void
expect_refused(struct kit *k, const char *name)
{
	struct found found = { 0 };
	char before[64], after[64];
	enum err e;

	kit_print(k, before);
	k->f.text[0] = 0;
	e = store_open(&k->o, &k->s, &k->f);
	if (e != ERR_CORRUPT || strstr(k->f.text, name) == NULL)
		fail_msg("opening with damaged %s: error %d, '%s'", name, e, k->f.text);
	assert_int_equal(kit_check(k->dir, note_bad, &found, NULL, NULL, &k->f), ERR_CORRUPT);
	assert_string_equal(found.file, name);
	kit_print(k, after);
	assert_string_equal(before, after);
}

/* Where records end in a file written as a log; the number of them. */
static unsigned
record_ends(const char *path, off_t ends[], unsigned max)
{
	uint8_t h[HEADER_BYTES];
	off_t at = 0;
	unsigned n = 0;
	int fd = open(path, O_RDONLY);

	while (n < max && pread(fd, h, sizeof h, at) == (ssize_t)sizeof h) {
		at += HEADER_BYTES + (h[4] | h[5] << 8);
		ends[n++] = at;
		if (BLOCK_BYTES - at % BLOCK_BYTES < HEADER_BYTES)
			at += BLOCK_BYTES - at % BLOCK_BYTES;
	}
	close(fd);
	return n;
}

/* Cut at each record's end, and before the first. */
static void
expect_refused_at_every_end(struct kit *k, const char *path, off_t least)
{
	off_t ends[256], size = kit_size(path);
	unsigned n = record_ends(path, ends, 256), ncut = 0;
	char whole[300];

	assert_true(n > 0 && n < 256);
	snprintf(whole, sizeof whole, "%s.whole", k->dir);
	kit_shell("cp -a", path, whole);
	for (unsigned i = 0; i <= n; i++) {
		off_t end = i == 0 ? 0 : ends[i - 1];

		if (end >= least || end >= size)
			continue;
		kit_shell("cp -a", whole, path);
		assert_int_equal(truncate(path, end), 0);
		expect_refused(k, base_name(path));
		ncut++;
	}
	assert_true(ncut > 0);
	kit_shell("cp -a", whole, path);
}

/* A table file, a log with rows, a manifest of many records. */
static void
make_store(struct kit *k)
{
	char key[16];

	kit_open(k);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(key, sizeof key, "k%u", i);
		assert_int_equal(kit_put(k, STORE_REPORTED, key, "first"), STORE_OK);
	}
	kit_close(k);
	kit_open(k);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(key, sizeof key, "k%u", i);
		assert_int_equal(kit_put(k, STORE_REPORTED, key, "second"), STORE_OK);
	}
}

static void
expect_second(struct kit *k)
{
	char key[16];

	kit_open(k);
	for (unsigned i = 0; i < 5; i++) {
		snprintf(key, sizeof key, "k%u", i);
		kit_expect(k, STORE_REPORTED, key, "second");
	}
	kit_close(k);
}

static void
store_open__manifest_cut_at_any_records_end_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];

	make_store(k);
	kit_save(k, "killed");
	kit_close(k);
	manifest_path(k, path);
	expect_refused_at_every_end(k, path, kit_size(path));
	expect_second(k);
	kit_restore(k, "killed");
	expect_refused_at_every_end(k, path, kit_size(path));
	expect_second(k);
}

static void
store_open__log_cut_at_any_records_end_is_refused_by_name_after_a_stop(void **state)
{
	struct kit *k = *state;
	char path[256];

	make_store(k);
	kit_close(k);
	assert_non_null(kit_file(k, ".log", path));
	expect_refused_at_every_end(k, path, kit_size(path));
	expect_second(k);
}

static void
store_open__log_of_length_0_is_refused_by_name_after_a_kill(void **state)
{
	struct kit *k = *state;
	off_t ends[64];
	char path[256];

	make_store(k);
	kit_save(k, "killed");
	kit_restore(k, "killed");
	assert_non_null(kit_file(k, ".log", path));
	assert_true(record_ends(path, ends, 64) >= 5);
	expect_refused_at_every_end(k, path, ends[0]);
	expect_second(k);
}

/* What LENGTHS says of the file of that kind. */
static off_t
noted(struct kit *k, const char *kind)
{
	char path[256], line[128];
	unsigned long long number, bytes = 0;
	FILE *f;

	kit_path(k, "LENGTHS", path);
	if ((f = fopen(path, "r")) == NULL)
		return -1;
	while (fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, kind, strlen(kind)) == 0)
			(void)sscanf(line + strlen(kind), "%llu %llu", &number, &bytes);
	fclose(f);
	return (off_t)bytes;
}

static void
await_noted(struct kit *k, const char *kind, const char *path)
{
	time_t end = time(NULL) + WAIT_S;

	while (noted(k, kind) != kit_size(path)) {
		assert_true(time(NULL) < end);
		usleep(1000);
	}
}

/* Nobody writes any more: the keeper notes what has been acknowledged. */
static void
store_open__log_that_lost_its_last_row_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];

	k->o.tick_ms = 20;
	make_store(k);
	assert_non_null(kit_file(k, ".log", path));
	await_noted(k, "log", path);
	kit_save(k, "killed");
	kit_restore(k, "killed");
	expect_refused_at_every_end(k, path, kit_size(path));
	assert_int_equal(truncate(path, kit_size(path) - 1), 0);
	expect_refused(k, base_name(path));
}

/* Flushed behind the last batch: what says so in the manifest is noted, before the log goes and with nobody writing. */
static void
store_open__manifest_that_lost_a_flush_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char *value = calloc(1, 1000001), path[256], table[256];
	char key[16];

	memset(value, 'v', 1000000);
	k->o.memory_bytes = 16 << 20;
	k->o.tick_ms = 3600 * 1000;
	kit_open(k);
	for (unsigned i = 0; kit_file(k, ".sst", table) == NULL; i++) {
		snprintf(key, sizeof key, "k%u", i);
		assert_int_equal(kit_put(k, STORE_REPORTED, key, value), STORE_OK);
		assert_true(i < 1000);
	}
	free(value);
	manifest_path(k, path);
	await_noted(k, "manifest", path);
	kit_save_busy(k, "killed");
	kit_restore(k, "killed");
	manifest_path(k, path);
	expect_refused_at_every_end(
	    k, path, noted(k, "manifest")); /* a compaction may have written more since */
}

static void
store_open__any_flipped_byte_in_lengths_is_refused_by_name(void **state)
{
	struct kit *k = *state;
	char path[256];

	make_store(k);
	kit_close(k);
	kit_path(k, "LENGTHS", path);
	for (off_t at = 0, size = kit_size(path); at < size; at++) {
		kit_flip(path, at, 0x02);
		expect_refused(k, "LENGTHS");
		kit_flip(path, at, 0x02);
	}
	expect_second(k);
}

/* A store of a former program has none, and what was noted before such a program had it is too little only. */
static void
store_open__lengths_may_be_missing_or_old(void **state)
{
	struct kit *k = *state;
	char path[256], old[256];

	make_store(k);
	kit_close(k);
	kit_path(k, "LENGTHS", path);
	snprintf(old, sizeof old, "%s/lengths", k->root);
	kit_shell("mv", path, old);
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, NULL, &k->f), ERR_OK);
	expect_second(k);
	kit_shell("cp -a", old, path);
	assert_int_equal(kit_check(k->dir, NULL, NULL, NULL, NULL, &k->f), ERR_OK);
	expect_second(k);
}

static void
put_back(struct kit *k, const char *as, const char *name)
{
	char from[400], to[256];

	snprintf(from, sizeof from, "%s/%s/%.60s", k->root, as, name);
	kit_path(k, name, to);
	kit_shell("cp -a", from, to);
}

static void
store_open__older_files_put_back_are_refused_by_name(void **state)
{
	struct kit *k = *state;
	char manifest[256];

	make_store(k);
	kit_close(k);
	kit_save(k, "old");
	manifest_path(k, manifest);
	expect_second(k);
	kit_save(k, "whole");
	put_back(k, "old", "NEWEST-WAL");
	expect_refused(k, "NEWEST-WAL");
	kit_restore(k, "whole");
	put_back(k, "old", "CURRENT");
	put_back(k, "old", base_name(manifest));
	expect_refused(k, "CURRENT");
}

static void
store_checkpoint__is_covered_too(void **state)
{
	struct kit *k = *state;
	char backup[200], path[256];

	make_store(k);
	kit_saved_as(k, "backup", backup);
	assert_int_equal(store_checkpoint(k->s, backup, &k->f), ERR_OK);
	kit_restore(k, "backup");
	manifest_path(k, path);
	expect_refused_at_every_end(k, path, kit_size(path));
	expect_second(k);
}

#define LENGTHS_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		LENGTHS_TEST(store_open__manifest_cut_at_any_records_end_is_refused_by_name),
		LENGTHS_TEST(
		    store_open__log_cut_at_any_records_end_is_refused_by_name_after_a_stop),
		LENGTHS_TEST(store_open__log_of_length_0_is_refused_by_name_after_a_kill),
		LENGTHS_TEST(store_open__log_that_lost_its_last_row_is_refused_by_name),
		LENGTHS_TEST(store_open__manifest_that_lost_a_flush_is_refused_by_name),
		LENGTHS_TEST(store_open__any_flipped_byte_in_lengths_is_refused_by_name),
		LENGTHS_TEST(store_open__lengths_may_be_missing_or_old),
		LENGTHS_TEST(store_open__older_files_put_back_are_refused_by_name),
		LENGTHS_TEST(store_checkpoint__is_covered_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
