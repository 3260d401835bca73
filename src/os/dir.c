/* Directories: listed, synced, removed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

enum err
os_each_entry(
    const char *dir, enum err (*each)(void *ctx, const char *name), void *ctx, struct fault *f)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	enum err e = ERR_OK;

	if (d == NULL)
		return os_fault(f, "opening", dir);
	while (e == ERR_OK && (errno = 0, de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			e = each(ctx, de->d_name);
	if (e == ERR_OK && errno != 0)
		e = os_fault(f, "listing", dir);
	closedir(d);
	return e;
}

enum err
os_sync_dir(const char *dir, struct fault *f)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e = ERR_OK;

	if (fd < 0)
		return os_fault(f, "opening", dir);
	if (fsync(fd) != 0)
		e = os_fault(f, OS_SYNC_FAILED, dir);
	close(fd);
	return e;
}

/* "/a/b/" gives "/a", "b" gives ".". free() it. */
static char *
parent_of(const char *path)
{
	struct str s = str_of(path);

	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	while (s.n > 0 && s.p[s.n - 1] != '/')
		s.n--;
	while (s.n > 1 && s.p[s.n - 1] == '/')
		s.n--;
	return str_dup0(s.n == 0 ? STR(".") : s);
}

enum err
os_sync_parent(const char *path, struct fault *f)
{
	char *parent = parent_of(path);
	enum err e = os_sync_dir(parent, f);
	int error = errno;

	free(parent);
	errno = error;
	return e;
}

/* ---- removing ---- */

struct remover {
	const char *dir;
	unsigned depth;
	struct fault *f;
};

static enum err
remove_entry(void *ctx, const char *name)
{
	const struct remover *r = ctx;
	char path[OS_PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s", r->dir, name);

	errno = ENAMETOOLONG;
	if (n > 0 && (size_t)n < sizeof path) {
		if (unlink(path) == 0)
			return ERR_OK;
		if (errno == EISDIR && r->depth > 0)
			return os_remove_tree(path, r->depth - 1, r->f);
	}
	return os_fault(r->f, "removing", name);
}

enum err
os_remove_tree(const char *dir, unsigned depth, struct fault *f)
{
	struct remover r = { dir, depth, f };
	enum err e;

	if (access(dir, F_OK) != 0 && errno == ENOENT)
		return ERR_OK;
	if ((e = os_each_entry(dir, remove_entry, &r, f)) != ERR_OK)
		return e;
	return rmdir(dir) == 0 ? ERR_OK : os_fault(f, "removing", dir);
}

/* ---- where a path leads ---- */

/* at: an absolute path without links, which is used up. */
static bool
passes(char *at, const struct stat *dir)
{
	struct stat st;
	char *slash;

	for (;;) {
		if (stat(at, &st) == 0 && st.st_dev == dir->st_dev && st.st_ino == dir->st_ino)
			return true;
		if ((slash = strrchr(at, '/')) == NULL || at[1] == '\0')
			return false;
		*(slash == at ? slash + 1 : slash) = '\0';
	}
}

enum err
os_is_below(const char *path, const char *dir, bool *below, struct fault *f)
{
	char *parent = parent_of(path), *real = realpath(parent, NULL);
	struct stat st;
	enum err e = ERR_OK;

	if (real == NULL)
		e = os_fault(f, "finding", parent);
	else if (stat(dir, &st) != 0)
		e = os_fault(f, "finding", dir);
	else
		*below = passes(real, &st);
	free(real);
	free(parent);
	return e;
}

enum err
os_hold_dir(const char *dir, int *fd, struct fault *f)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (d < 0)
		return os_fault(f, "opening", dir);
	/* Not fcntl(2): its locks go when any descriptor of the file is closed, and hold nothing within a process. */
	if (flock(d, LOCK_EX | LOCK_NB) == 0) {
		*fd = d;
		return ERR_OK;
	}
	if (errno == EWOULDBLOCK) {
		close(d);
		fault_set(f, F_ServerError, "%s is in use by another hub", dir);
		return ERR_LOCKED;
	}
	os_fault(f, "locking", dir);
	close(d);
	return ERR_IO;
}
