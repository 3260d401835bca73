/* Files: written whole, replaced whole. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

#define CHUNK_BYTES ((size_t)1 << 20)

enum err
os_fault(struct fault *f, const char *did, const char *path)
{
	int error = errno;

	fault_set(f, F_ServerError, "%s %s: %s", did, path, strerror(error));
	errno = error;
	switch (error) {
	case ENOENT: return ERR_NOT_FOUND;
	case EEXIST:
	case ENOTEMPTY: return ERR_EXISTS;
	case ENOSPC:
	case EDQUOT: return ERR_FULL;
	case ENAMETOOLONG: return ERR_SIZE;
	default: return ERR_IO;
	}
}

void
os_standard_open(void)
{
	static const int unfit[] = { O_WRONLY, O_RDONLY, O_WRONLY };

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", unfit[fd]); /* takes the least number: this one */
}

bool
os_write_all(int fd, struct str bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0) /* what a device does that takes no more */
			errno = ENOSPC;
		if (n <= 0)
			return false;
		bytes = str_sub(bytes, (size_t)n);
	}
	return true;
}

static ssize_t
read_some(int fd, void *p, size_t n)
{
	ssize_t got;

	do
		got = read(fd, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

enum err
os_read_file(const char *path, size_t max, struct buf *out, struct fault *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t start = out->n;
	enum err e = ERR_OK;
	ssize_t n;

	if (fd < 0)
		return os_fault(f, "opening", path);
	do {
		buf_reserve(out, 4096);
		n = read_some(fd, out->p + out->n, 4096);
		if (n > 0)
			out->n += (size_t)n;
	} while (n > 0 && out->n - start <= max);
	if (n < 0) {
		e = os_fault(f, "reading", path);
	} else if (out->n - start > max) {
		fault_set(f, F_ServerError, "%s: longer than %zu bytes", path, max);
		e = ERR_SIZE;
	}
	close(fd);
	if (e != ERR_OK)
		out->n = start;
	return e;
}

bool
os_copy(int in, int out)
{
	char *chunk = xmalloc(CHUNK_BYTES);
	bool ok = true;
	ssize_t n;

	while (ok && (n = read_some(in, chunk, CHUNK_BYTES)) != 0)
		ok = n > 0 && os_write_all(out, (struct str){ chunk, (size_t)n });
	free(chunk);
	return ok;
}

/* ---- replacing ---- */

/* A new file with these bytes, durable but for its name. */
static enum err
write_new(const char *path, struct str bytes, unsigned mode, struct fault *f)
{
	enum err e = ERR_OK;
	int fd;

	unlink(path); /* of an attempt that was killed */
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);
	if (fd < 0)
		return os_fault(f, "creating", path);
	if (fchmod(fd, (mode_t)mode) != 0 || !os_write_all(fd, bytes))
		e = os_fault(f, "writing", path);
	else if (fsync(fd) != 0)
		e = os_fault(f, OS_SYNC_FAILED "writing", path);
	if (close(fd) != 0 && e == ERR_OK)
		e = os_fault(f, "writing", path);
	return e;
}

/* A name that is given, and durable only if the directory is. */
static enum err
unsynced(struct fault *f, const char *name)
{
	fault_set(f, F_ServerError,
	    OS_SYNC_FAILED "%s is replaced, but a crash may bring back what was there: %s", name,
	    strerror(errno));
	return ERR_UNSYNCED;
}

enum err
os_rename(const char *from, const char *to, struct fault *f)
{
	if (rename(from, to) != 0)
		return os_fault(f, "renaming", from);
	return os_sync_parent(to, NULL) == ERR_OK ? ERR_OK : unsynced(f, to);
}

enum err
os_rename_at(int dir, const char *from, const char *to, struct fault *f)
{
	if (renameat(dir, from, dir, to) != 0)
		return os_fault(f, "renaming", from);
	return fsync(dir) == 0 ? ERR_OK : unsynced(f, to);
}

enum err
os_replace_file(const char *path, struct str bytes, unsigned mode, struct fault *f)
{
	char beside[OS_PATH_MAX];
	int n = snprintf(beside, sizeof beside, "%s.new", path), error;
	enum err e;

	if (n < 0 || (size_t)n >= sizeof beside) {
		errno = ENAMETOOLONG;
		return os_fault(f, "creating", path);
	}
	e = write_new(beside, bytes, mode, f);
	if (e == ERR_OK)
		e = os_rename(beside, path, f);
	if (e == ERR_OK || e == ERR_UNSYNCED)
		return e;
	error = errno;
	unlink(beside);
	errno = error;
	return e;
}
