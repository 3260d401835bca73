/* backup.json as somebody else may have written it, with checksums that fit: what leads elsewhere, is no name or is no file (O-167). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup.h"
#include "os/os.h"
#include "sealed/sealed.h"

#define SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" /* of no byte */

static char dir[64], why[BACKUP_WHY_MAX];

static int
setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/twinhub-manifest-XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	return os_remove_tree(dir, 3, NULL) == ERR_OK ? 0 : -1;
}

static void
put(const char *name, struct str bytes)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(os_replace_file(path, bytes, 0600, NULL), ERR_OK);
}

/* With each file empty. */
static enum err
read_of(const char *const *names, unsigned n, struct manifest *m)
{
	struct manifest w = { .n = n, .files = calloc(n, sizeof *w.files) };
	enum err e;

	for (unsigned i = 0; i < n; i++) {
		snprintf(w.files[i].name, sizeof w.files[i].name, "%s", names[i]);
		snprintf(w.files[i].sha256, sizeof w.files[i].sha256, "%s", SUM);
	}
	assert_int_equal(manifest_write(dir, &w, NULL), ERR_OK);
	manifest_fini(&w);
	e = manifest_read(dir, m, why, sizeof why);
	return e;
}

static void
manifest__O167_names_that_lead_elsewhere_are_none(void **state)
{
	static const char *const bad[] = { "../hub.json", "/etc/passwd", "store/../hub.json",
		"store//a", "store/a/b", "store/", "", ".", "..", ".hidden", "store/.a", "other/a",
		"a\nb", "a\x1b[2Jb", "a b", "store/a\\b", "\xc3\xa9" };
	static const char *const good[] = { "hub.json", "store/000012.sst",
		"store/MANIFEST-000004" };
	struct manifest m;

	(void)state;
	assert_int_equal(read_of(good, 3, &m), ERR_OK);
	assert_int_equal(m.n, 3);
	manifest_fini(&m);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		if (read_of(&bad[i], 1, &m) != ERR_CORRUPT)
			fail_msg("'%s' is taken", bad[i]);
		assert_non_null(strstr(why, "it is no manifest of a backup"));
		manifest_fini(&m);
	}
}

static void
manifest__O167_one_that_is_twice_or_out_of_order_is_none(void **state)
{
	static const char *const twice[] = { "a", "a" };
	struct manifest m;
	struct buf text = { 0 };

	(void)state;
	assert_int_equal(read_of(twice, 2, &m), ERR_CORRUPT);
	manifest_fini(&m);
	buf_cstr(&text,
	    "{\"made\":\"2026-11-30T00:00:00Z\",\"files\":[{\"name\":\"b\",\"bytes\":0,\"sha256\":"
	    "\"" SUM "\"},{\"name\":\"a\",\"bytes\":0,\"sha256\":\"" SUM "\"}],\"sha256\":\"" SUM
	    "\"");
	sealed_end(&text);
	put(BACKUP_FILE, buf_view(&text));
	assert_int_equal(manifest_read(dir, &m, why, sizeof why), ERR_CORRUPT);
	manifest_fini(&m);
	buf_fini(&text);
}

/* 16 MB are more than any has, a pipe has no end, and what a link leads to is not this backup's. */
static void
manifest__O167_what_is_no_file_or_has_no_end_is_refused(void **state)
{
	char path[128], other[128];
	struct manifest m;
	struct buf big = { 0 };

	(void)state;
	snprintf(path, sizeof path, "%s/" BACKUP_FILE, dir);
	snprintf(other, sizeof other, "%s/other", dir);
	buf_reserve(&big, (17u << 20));
	memset(big.p, ' ', 17u << 20);
	big.n = 17u << 20;
	put(BACKUP_FILE, buf_view(&big));
	buf_fini(&big);
	assert_int_equal(manifest_read(dir, &m, why, sizeof why), ERR_SIZE);
	assert_non_null(strstr(why, "backup.json: longer than 16777216 bytes"));
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(manifest_read(dir, &m, why, sizeof why), ERR_CORRUPT);
	assert_non_null(strstr(why, "backup.json is no file"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(manifest_read(dir, &m, why, sizeof why), ERR_CORRUPT);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(manifest_read(dir, &m, why, sizeof why), ERR_NOT_FOUND);
	put(BACKUP_MARK, STR(""));
	assert_int_equal(manifest_read(dir, &m, why, sizeof why), ERR_CORRUPT);
	assert_non_null(strstr(why, "it was cut short, or is being made"));
}

/* ---- what is there beside what it says ---- */

struct seen {
	char text[512];
};

static void
on_bad(void *ctx, const char *file, const char *what)
{
	struct seen *s = ctx;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof s->text - n, "%s %s;", file, what);
}

static void
expect_bad(const struct manifest *m, const char *text)
{
	struct seen s = { "" };
	struct backup_checkup up = { .bad = on_bad, .ctx = &s };

	assert_int_equal(backup_verify(dir, m, &up), text[0] == '\0' ? ERR_OK : ERR_CORRUPT);
	assert_string_equal(s.text, text);
}

static void
verify__O167_links_pipes_and_directories_in_place_of_files_are_named(void **state)
{
	static const char *const names[] = { "hub.json", "store/CURRENT" };
	char path[128], store[128], away[128];
	struct manifest m;

	(void)state;
	snprintf(path, sizeof path, "%s/hub.json", dir);
	snprintf(store, sizeof store, "%s/store", dir);
	snprintf(away, sizeof away, "%s/away", dir);
	assert_int_equal(mkdir(store, 0700), 0);
	put("hub.json", STR(""));
	put("store/CURRENT", STR(""));
	assert_int_equal(read_of(names, 2, &m), ERR_OK);
	expect_bad(&m, "");
	assert_int_equal(unlink(path), 0);
	expect_bad(&m, "hub.json missing;");
	assert_int_equal(symlink("store/CURRENT", path), 0);
	expect_bad(&m, "hub.json is no file;");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_bad(&m, "hub.json is no file;");
	assert_int_equal(unlink(path), 0);
	put("hub.json", STR(""));
	assert_int_equal(rename(store, away), 0);
	assert_int_equal(symlink("away", store), 0);
	expect_bad(&m, "away is not in the manifest;store is no directory;");
	manifest_fini(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    manifest__O167_names_that_lead_elsewhere_are_none, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    manifest__O167_one_that_is_twice_or_out_of_order_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    manifest__O167_what_is_no_file_or_has_no_end_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    verify__O167_links_pipes_and_directories_in_place_of_files_are_named, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
