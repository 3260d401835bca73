/* Small files and directories. What is replaced here is whole after a crash: new content to a file beside it, fsync,
 * rename, fsync of the directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "store/priv.h"

enum err
file_fault(struct fault *f, const char *did, const char *dir, const char *name)
{
	int error = errno;

	fault_set(
	    f, F_ServerError, "%s: %s%s%s: %s", did, dir, *name ? "/" : "", name, strerror(error));
	switch (error) {
	case ENOENT: return ERR_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY: return ERR_EXISTS;
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	default: return ERR_IO;
	}
}

/* False if the path is longer than the system could open. */
static bool
path_join(char out[PATH_BYTES], const char *dir, const char *name, const char *suffix)
{
	int n = snprintf(out, PATH_BYTES, "%s/%s%s", dir, name, suffix);

	if (n > 0 && n < PATH_BYTES)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

bool
file_number(const char *name, const char *suffix, uint64_t *number)
{
	struct str s = str_of(name), end = str_of(suffix);

	return str_ends(s, end) && str_u64((struct str){ s.p, s.n - end.n }, number);
}

enum err
dir_each(const char *dir, enum err (*each)(void *ctx, const char *name), void *ctx, struct fault *f)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	enum err e = ERR_OK;

	if (d == NULL)
		return file_fault(f, "opening", dir, "");
	while (e == ERR_OK && (errno = 0, de = readdir(d)) != NULL)
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			e = each(ctx, de->d_name);
	if (e == ERR_OK && errno != 0)
		e = file_fault(f, "listing", dir, "");
	closedir(d);
	return e;
}

enum err
dir_sync(const char *dir, struct fault *f)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e = ERR_OK;

	if (fd < 0)
		return file_fault(f, "opening", dir, "");
	if (fsync(fd) != 0)
		e = file_fault(f, "While fsync", dir, "");
	close(fd);
	return e;
}

enum err
dir_sync_parent(const char *dir, struct fault *f)
{
	char *parent = str_dup0(str_of(dir));
	char *slash = strrchr(parent, '/');
	enum err e;

	if (slash != NULL)
		*(slash == parent ? slash + 1 : slash) = 0;
	e = dir_sync(slash == NULL ? "." : parent, f);
	free(parent);
	return e;
}

bool
dir_has(const char *dir, const char *name)
{
	char path[PATH_BYTES];

	return path_join(path, dir, name, "") && access(path, F_OK) == 0;
}

struct remover {
	const char *dir;
	struct fault *f;
};

static enum err
remove_one(void *ctx, const char *name)
{
	const struct remover *r = ctx;
	char path[PATH_BYTES];

	if (!path_join(path, r->dir, name, "") || unlink(path) != 0)
		return file_fault(r->f, "removing", r->dir, name);
	return ERR_OK;
}

enum err
dir_remove(const char *dir, struct fault *f)
{
	struct remover r = { dir, f };
	enum err e;

	if (access(dir, F_OK) != 0 && errno == ENOENT)
		return ERR_OK;
	if ((e = dir_each(dir, remove_one, &r, f)) != ERR_OK)
		return e;
	return rmdir(dir) == 0 ? ERR_OK : file_fault(f, "removing", dir, "");
}

enum err
dir_hold(const char *dir, int *fd, struct fault *f)
{
	int d = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (d < 0)
		return file_fault(f, "opening", dir, "");
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
	file_fault(f, "locking", dir, "");
	close(d);
	return ERR_IO;
}

/* The file has no name while it grows: a kill leaves nothing of its size behind. */
enum err
dir_takes(const char *dir, uint64_t bytes, struct fault *f)
{
	static const char zeros[4096];
	char path[PATH_BYTES];
	int fd = path_join(path, dir, "probe", ".tmp")
	    ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)
	    : -1;
	enum err e = ERR_OK;

	if (fd < 0)
		return file_fault(f, "creating", dir, "probe.tmp");
	if (unlink(path) != 0 ||
	    (fallocate(fd, 0, 0, (off_t)(bytes + sizeof zeros)) != 0 && errno != EOPNOTSUPP) ||
	    write(fd, zeros, sizeof zeros) != sizeof zeros || fdatasync(fd) != 0)
		e = file_fault(f, "writing", dir, "probe.tmp");
	close(fd);
	return e;
}

enum err
file_read(const char *dir, const char *name, size_t max, struct buf *out, struct fault *f)
{
	char path[PATH_BYTES];
	int fd = path_join(path, dir, name, "") ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n;

	if (fd < 0)
		return file_fault(f, "opening", dir, name);
	buf_reserve(out, max + 1);
	n = read(fd, out->p + out->n, max + 1); /* small: one read is all of it */
	close(fd);
	if (n < 0)
		return file_fault(f, "reading", dir, name);
	if ((size_t)n > max) {
		fault_set(f, F_ServerError, "%s/%s: too long", dir, name);
		return ERR_SIZE;
	}
	out->n += (size_t)n;
	return ERR_OK;
}

static enum err
write_synced(
    const char *path, struct str content, const char *dir, const char *name, struct fault *f)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	enum err e = ERR_OK;
	ssize_t n;

	if (fd < 0)
		return file_fault(f, "creating", dir, name);
	n = write(fd, content.p, content.n);
	if (n >= 0 &&
	    (size_t)n < content.n) { /* what a full disk does to a write across its last block */
		errno = ENOSPC;
		n = -1;
	}
	if (n < 0)
		e = file_fault(f, "writing", dir, name);
	else if (fdatasync(fd) != 0)
		e = file_fault(f, "While fdatasync", dir, name);
	close(fd);
	return e;
}

enum err
file_replace(const char *dir, const char *name, struct str content, struct fault *f)
{
	char path[PATH_BYTES], beside[PATH_BYTES];
	enum err e;

	if (!path_join(path, dir, name, "") || !path_join(beside, dir, name, ".tmp"))
		return file_fault(f, "creating", dir, name);
	if ((e = write_synced(beside, content, dir, name, f)) != ERR_OK)
		return e;
	if (rename(beside, path) != 0)
		return file_fault(f, "renaming", dir, name);
	return dir_sync(dir, f);
}
