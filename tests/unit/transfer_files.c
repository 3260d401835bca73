/* Containers and blobs: whoever may write the registry reaches what the operator has named, and no other file. */
#include "transfer/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/os.h"

static char dir[64], allowed[96];
static struct container_root root;
static struct fault f;

static const char *
in(const char *name)
{
	static char path[4][256];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

/* allowed/a/b, allowed2, secret; links within and out of it. */
static int
setup(void **state)
{
	char why[256];

	(void)state;
	strcpy(dir, "/tmp/twinhub-files-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(allowed, sizeof allowed, "%s/allowed", dir);
	return mkdir(allowed, 0700) | mkdir(in("allowed/a"), 0700) |
	    mkdir(in("allowed/a/b"), 0700) | mkdir(in("allowed2"), 0700) |
	    mkdir(in("secret"), 0700) | symlink(in("secret"), in("allowed/out")) |
	    symlink("a", in("allowed/link")) | root_open(&root, allowed, why, sizeof why);
}

static int
teardown(void **state)
{
	(void)state;
	close(root.fd);
	os_remove_tree(dir, 3, NULL);
	return 0;
}

static int
open_uri(const char *before, const char *path)
{
	char uri[512];

	snprintf(uri, sizeof uri, "%s%s%s", before, dir, path);
	f = (struct fault){ 0 };
	return container_open(&root, 1, str_of(uri), &f);
}

static void
container__is_a_directory_below_one_that_is_allowed(void **state)
{
	static const char *const paths[] = { "/allowed", "/allowed/", "/allowed/a",
		"/allowed//a/b/", "/allowed/a?sv=2020&sig=x", "/allowed/%61/b" };
	struct stat st;

	(void)state;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		int fd = open_uri(i % 2 == 0 ? "file://" : "FILE://localhost", paths[i]);

		if (fd < 0)
			fail_msg("%s: %s", paths[i], f.text);
		assert_int_equal(fstat(fd, &st), 0);
		assert_true(S_ISDIR(st.st_mode));
		close(fd);
	}
}

static void
container__is_nothing_else(void **state)
{
	static const struct {
		const char *before, *path, *says;
	} cases[] = {
		{ "file://", "/secret", "not in a directory that the operator has allowed" },
		{ "file://", "/allowed2", "not in a directory that the operator has allowed" },
		{ "file://", "/allowed/../secret", "a component that it may not have" },
		{ "file://", "/allowed/%2e%2e/secret", "a component that it may not have" },
		{ "file://", "/allowed/./a", "a component that it may not have" },
		{ "file://", "/allowed/out", "no directory that can be opened" },
		{ "file://", "/allowed/link", "no directory that can be opened" },
		{ "file://", "/allowed/none", "no directory that can be opened" },
		{ "file://", "/allowed/a%00/b", "no blob storage" },
		{ "https://x", "/allowed", "no blob storage" },
		{ "", "/allowed", "no blob storage" },
		{ "file://elsewhere", "/allowed", "no blob storage" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int fd = open_uri(cases[i].before, cases[i].path);

		if (fd >= 0 || f.code != F_BlobContainerValidationError ||
		    strstr(f.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].path, f.text);
	}
}

static void
container__there_is_none_unless_the_operator_has_named_one(void **state)
{
	struct container_root other;
	char why[256];

	(void)state;
	assert_int_equal(container_open(&root, 0, STR("file:///tmp"), &f), -1);
	assert_non_null(strstr(f.text, "imports and exports no files"));
	assert_int_equal(root_open(&other, "tmp", why, sizeof why), ERR_ARG);
	assert_non_null(strstr(why, "not an absolute path"));
	assert_int_equal(root_open(&other, in("none"), why, sizeof why), ERR_ARG);
	assert_non_null(strstr(why, in("none")));
}

static void
blob__has_a_name_in_its_directory_and_is_not_hidden(void **state)
{
	char name[202];

	(void)state;
	memset(name, 'x', sizeof name);
	assert_true(blob_name_valid(STR("devices.txt")));
	assert_true(blob_name_valid((struct str){ name, 200 }));
	assert_false(blob_name_valid((struct str){ name, 201 }));
	assert_false(blob_name_valid(STR("")));
	assert_false(blob_name_valid(STR(".hidden")));
	assert_false(blob_name_valid(STR("..")));
	assert_false(blob_name_valid(STR("a/b")));
	assert_false(blob_name_valid((struct str){ "a\0b", 3 }));
}

/* Who looks for the name finds the whole file, or the one before. */
static void
new_file__has_its_name_when_it_is_whole(void **state)
{
	struct new_file nf;
	struct buf bytes = { 0 };
	struct stat st;

	(void)state;
	for (int round = 0; round < 2; round++) { /* what was given up is in nobody's way */
		assert_true(new_file_open(&nf, root.fd, STR("f"), "0123456789abcdef"));
		assert_true(new_file_write(&nf, STR("half")));
		new_file_end(&nf);
		assert_int_equal(access(in("allowed/f"), F_OK), -1);
		assert_int_equal(access(in("allowed/.f.0123456789abcdef"), F_OK), -1);
	}
	assert_true(new_file_open(&nf, root.fd, STR("f"), "0123456789abcdef"));
	assert_true(new_file_write(&nf, STR("all ")) && new_file_write(&nf, STR("of it")));
	assert_int_equal(access(in("allowed/f"), F_OK), -1);
	assert_true(new_file_commit(&nf));
	new_file_end(&nf);
	assert_int_equal(os_read_file(in("allowed/f"), 100, &bytes, NULL), ERR_OK);
	assert_true(str_eq(buf_view(&bytes), STR("all of it")));
	assert_int_equal(stat(in("allowed/f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access(in("allowed/.f.0123456789abcdef"), F_OK), -1);
	buf_fini(&bytes);
}

#define FILE_TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FILE_TEST(container__is_a_directory_below_one_that_is_allowed),
		FILE_TEST(container__is_nothing_else),
		FILE_TEST(container__there_is_none_unless_the_operator_has_named_one),
		FILE_TEST(blob__has_a_name_in_its_directory_and_is_not_hidden),
		FILE_TEST(new_file__has_its_name_when_it_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
