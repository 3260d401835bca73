/* Files replaced as a whole, with the errors that a disk can give: the system's calls of this program fail when told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

/* ---- the disk: these stand before libc's ---- */

static struct {
	int file_sync, dir_sync, rename, write; /* errno, or 0: works */
	size_t room;                            /* of a write, when write is set */
	unsigned interrupts;                    /* so many writes end with EINTR */
} disk;

int
fsync(int fd)
{
	struct stat st;
	int error;

	assert_int_equal(fstat(fd, &st), 0);
	error = S_ISDIR(st.st_mode) ? disk.dir_sync : disk.file_sync;
	if (error == 0)
		return (int)syscall(SYS_fsync, fd);
	errno = error;
	return -1;
}

int
rename(const char *from, const char *to)
{
	if (disk.rename == 0)
		return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
	errno = disk.rename;
	return -1;
}

ssize_t
write(int fd, const void *p, size_t n)
{
	if (fd > 2 && disk.interrupts > 0) {
		disk.interrupts--;
		errno = EINTR;
		return -1;
	}
	if (fd > 2 && disk.write != 0) {
		if (disk.room == 0) {
			errno = disk.write;
			return -1;
		}
		n = n < disk.room ? n : disk.room; /* a part first, as a full disk does it */
		disk.room -= n;
	}
	return syscall(SYS_write, fd, p, n);
}

/* ---- the tests ---- */

struct place {
	char dir[64], path[96], beside[104];
};

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	memset(&disk, 0, sizeof disk);
	snprintf(p->dir, sizeof p->dir, "/tmp/twinhub-os-XXXXXX");
	if (mkdtemp(p->dir) == NULL)
		return -1;
	snprintf(p->path, sizeof p->path, "%s/file", p->dir);
	snprintf(p->beside, sizeof p->beside, "%s/file.new", p->dir);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	memset(&disk, 0, sizeof disk);
	if (os_remove_tree(p->dir, 3, NULL) != ERR_OK)
		return -1;
	free(p);
	return 0;
}

static void
expect_content(const struct place *p, const char *content)
{
	struct buf b = { 0 };

	assert_int_equal(os_read_file(p->path, 1000, &b, NULL), ERR_OK);
	assert_true(str_eq(buf_view(&b), str_of(content)));
	assert_int_not_equal(access(p->beside, F_OK), 0); /* nothing is left beside it */
	buf_fini(&b);
}

static void
os_replace_file__gives_new_content_and_mode(void **state)
{
	struct place *p = *state;
	struct stat st;

	assert_int_equal(os_replace_file(p->path, STR("old"), 0600, NULL), ERR_OK);
	disk.interrupts = 3;
	assert_int_equal(os_replace_file(p->path, STR("new"), 0640, NULL), ERR_OK);
	assert_int_equal(disk.interrupts, 0);
	expect_content(p, "new");
	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void
os_replace_file__leaves_the_old_content_on_every_error(void **state)
{
	static const struct {
		int file_sync, rename, write;
		enum err e;
	} cases[] = {
		{ EIO, 0, 0, ERR_IO },
		{ ENOSPC, 0, 0, ERR_FULL },
		{ 0, EACCES, 0, ERR_IO },
		{ 0, EROFS, 0, ERR_IO },
		{ 0, 0, ENOSPC, ERR_FULL },
		{ 0, 0, EDQUOT, ERR_FULL },
		{ 0, 0, EIO, ERR_IO },
	};
	struct place *p = *state;
	struct fault f;

	assert_int_equal(os_replace_file(p->path, STR("old"), 0600, NULL), ERR_OK);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		disk.file_sync = cases[i].file_sync;
		disk.rename = cases[i].rename;
		disk.write = cases[i].write;
		disk.room = 2;
		f.text[0] = '\0';
		assert_int_equal(os_replace_file(p->path, STR("new"), 0600, &f), cases[i].e);
		assert_non_null(strstr(f.text, p->path));
		assert_int_equal(strncmp(f.text, OS_SYNC_FAILED, strlen(OS_SYNC_FAILED)) == 0,
		    cases[i].file_sync != 0);
		expect_content(p, "old");
	}
}

static void
os_replace_file__tells_a_rename_whose_directory_was_not_synced(void **state)
{
	struct place *p = *state;
	struct fault f;

	assert_int_equal(os_replace_file(p->path, STR("old"), 0600, NULL), ERR_OK);
	disk.dir_sync = EIO;
	assert_int_equal(os_replace_file(p->path, STR("new"), 0600, &f), ERR_UNSYNCED);
	assert_non_null(strstr(f.text, p->path));
	assert_int_equal(strncmp(f.text, OS_SYNC_FAILED, strlen(OS_SYNC_FAILED)), 0);
	expect_content(
	    p, "new"); /* neither a failure nor a success: the new file is what is read */
}

static void
os_read_file__takes_no_more_than_it_may(void **state)
{
	struct place *p = *state;
	struct buf b = { 0 };
	struct fault f;

	assert_int_equal(os_read_file(p->path, 10, &b, &f), ERR_NOT_FOUND);
	assert_int_equal(os_replace_file(p->path, STR("0123456789"), 0600, NULL), ERR_OK);
	buf_cstr(&b, "before ");
	assert_int_equal(os_read_file(p->path, 9, &b, &f), ERR_SIZE);
	assert_true(str_eq(buf_view(&b), STR("before ")));
	assert_int_equal(os_read_file(p->path, 10, &b, &f), ERR_OK);
	assert_true(str_eq(buf_view(&b), STR("before 0123456789")));
	buf_fini(&b);
}

static void
os_remove_tree__goes_no_deeper_than_it_may(void **state)
{
	struct place *p = *state;
	char sub[128], deep[160], file[192];

	snprintf(sub, sizeof sub, "%s/a", p->dir);
	snprintf(deep, sizeof deep, "%s/b", sub);
	snprintf(file, sizeof file, "%s/file", deep);
	assert_int_equal(mkdir(sub, 0700), 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	assert_int_equal(os_replace_file(file, STR("x"), 0600, NULL), ERR_OK);
	assert_int_not_equal(os_remove_tree(sub, 0, NULL), ERR_OK);
	assert_int_equal(access(file, F_OK), 0);
	assert_int_equal(os_remove_tree(sub, 1, NULL), ERR_OK);
	assert_int_not_equal(access(sub, F_OK), 0);
	assert_int_equal(os_remove_tree(sub, 0, NULL), ERR_OK); /* there is none */
}

static void
os_is_below__sees_through_links(void **state)
{
	struct place *p = *state;
	char data[128], inner[160], link_path[128], target[192];
	bool below;

	snprintf(data, sizeof data, "%s/data", p->dir);
	snprintf(inner, sizeof inner, "%s/store", data);
	snprintf(link_path, sizeof link_path, "%s/link", p->dir);
	assert_int_equal(mkdir(data, 0700), 0);
	assert_int_equal(mkdir(inner, 0700), 0);
	assert_int_equal(symlink(inner, link_path), 0);
	snprintf(target, sizeof target, "%s/x", link_path);
	assert_int_equal(os_is_below(target, data, &below, NULL), ERR_OK);
	assert_true(below);
	snprintf(target, sizeof target, "%s/../store/./x", inner);
	assert_int_equal(os_is_below(target, data, &below, NULL), ERR_OK);
	assert_true(below);
	snprintf(target, sizeof target, "%s/data-x", p->dir);
	assert_int_equal(os_is_below(target, data, &below, NULL), ERR_OK);
	assert_false(below);
	snprintf(target, sizeof target, "%s/none/x", p->dir);
	assert_int_equal(os_is_below(target, data, &below, NULL), ERR_NOT_FOUND);
}

#define OS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		OS_TEST(os_replace_file__gives_new_content_and_mode),
		OS_TEST(os_replace_file__leaves_the_old_content_on_every_error),
		OS_TEST(os_replace_file__tells_a_rename_whose_directory_was_not_synced),
		OS_TEST(os_read_file__takes_no_more_than_it_may),
		OS_TEST(os_remove_tree__goes_no_deeper_than_it_may),
		OS_TEST(os_is_below__sees_through_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
