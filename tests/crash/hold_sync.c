/*
 * Preloaded into a hub under test: makes the disk slow, or fail, at the word of the test.
 *
 * The directory TWINHUB_HOLD_CONTROL holds the words. While `hold` is there, no fdatasync, fsync or
 * sync_file_range on a file below TWINHUB_HOLD_DATA begins before the file is gone or a file `permit`
 * can be taken away: one permit, one call. Whoever waits makes `waiting` first. While `fail` is there such calls fail with EIO. While `fail-rename` is
 * there nothing gets a name below TWINHUB_HOLD_DATA by rename. While `full` is there no directory is made below it: ENOSPC.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_US 500

static void
control_path(char out[PATH_MAX], const char *word)
{
	const char *dir = getenv("TWINHUB_HOLD_CONTROL");

	snprintf(out, PATH_MAX, "%s/%s", dir ? dir : "/nonexistent", word);
}

static bool
control_says(const char *word)
{
	char path[PATH_MAX];

	control_path(path, word);
	return access(path, F_OK) == 0;
}

static bool
control_take(const char *word)
{
	char path[PATH_MAX];

	control_path(path, word);
	return unlink(path) == 0;
}

static void
control_put(const char *word)
{
	char path[PATH_MAX];
	int fd;

	control_path(path, word);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static bool
is_data(int fd)
{
	const char *data = getenv("TWINHUB_HOLD_DATA");
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (data == NULL || n <= 0)
		return false;
	path[n] = 0;
	return strncmp(path, data, strlen(data)) == 0;
}

/* Wait until the call may begin; false: it is to fail. */
static bool
admitted(int fd)
{
	int before = errno;

	if (!is_data(fd))
		return true;
	while (control_says("hold") && !control_take("permit")) {
		control_put("waiting");
		usleep(POLL_US);
	}
	if (control_says("fail")) {
		errno = EIO;
		return false;
	}
	errno = before;
	return true;
}

int
fdatasync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
	return admitted(fd) ? real(fd) : -1;
}

int
fsync(int fd)
{
	static int (*real)(int);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "fsync");
	return admitted(fd) ? real(fd) : -1;
}

int
rename(const char *from, const char *to)
{
	static int (*real)(const char *, const char *);
	const char *data = getenv("TWINHUB_HOLD_DATA");

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rename");
	if (data != NULL && strncmp(to, data, strlen(data)) == 0 && control_says("fail-rename")) {
		errno = EIO;
		return -1;
	}
	return real(from, to);
}

int
mkdir(const char *path, mode_t mode)
{
	static int (*real)(const char *, mode_t);
	const char *data = getenv("TWINHUB_HOLD_DATA");

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "mkdir");
	if (data != NULL && strncmp(path, data, strlen(data)) == 0 && control_says("full")) {
		errno = ENOSPC;
		return -1;
	}
	return real(path, mode);
}

int
sync_file_range(int fd, off64_t offset, off64_t n, unsigned flags)
{
	static int (*real)(int, off64_t, off64_t, unsigned);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "sync_file_range");
	return admitted(fd) ? real(fd, offset, n, flags) : -1;
}
