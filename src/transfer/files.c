/*
 * Containers and blobs. A URI comes from whoever may write the registry, who is not to read or write any other file of the
 * hub's user: the path begins at a directory that the operator has named, goes down one component after the other, and no
 * symbolic link is followed.
 */
#include "os/os.h"
#include "transfer/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define URI_MAX 4096

enum err
root_open(struct container_root *root, const char *path, char *why, size_t nwhy)
{
	root->path = path;
	root->fd = -1;
	if (path[0] != '/') {
		snprintf(why, nwhy, "--import-export-dir %s: not an absolute path", path);
		return ERR_ARG;
	}
	root->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root->fd >= 0)
		return ERR_OK;
	snprintf(why, nwhy, "--import-export-dir %s: %s", path, strerror(errno));
	return ERR_ARG;
}

static struct str
without_slashes(struct str path)
{
	while (path.n > 0 && path.p[path.n - 1] == '/')
		path.n--;
	return path;
}

/* The path of a file: URI, decoded into room; STR_NONE: it is none. What is behind a ? is a signature for somebody else. */
static struct str
path_of(struct str uri, char room[URI_MAX])
{
	struct str path, query;

	str_cut(uri, '?', &uri, &query);
	if (uri.n > URI_MAX || uri.n < 7 || !str_ieq((struct str){ uri.p, 7 }, STR("file://")))
		return STR_NONE;
	path = str_sub(uri, 7);
	if (str_starts(path, STR("localhost/")))
		path = str_sub(path, 9);
	path = (struct str){ room, percent_decode(path, room) };
	if (path.n == 0 || path.p[0] != '/' || memchr(path.p, '\0', path.n) != NULL)
		return STR_NONE;
	return path;
}

static int
refuse(struct fault *f, const char *why)
{
	fault_set(f, F_BlobContainerValidationError, "%s", why);
	return -1;
}

/* What the system refuses is the container's fault, unless it would refuse that of any other just now. */
static int
refuse_errno(struct fault *f)
{
	if (errno != EMFILE && errno != ENFILE && errno != ENOMEM)
		return refuse(f, "the container is no directory that can be opened");
	fault_set(f, F_ServiceUnavailable, "the container cannot be opened at the moment: %s",
	    strerror(errno));
	return -1;
}

/* Down from fd, which is taken over. */
static int
walk_down(int fd, struct str rest, struct fault *f)
{
	struct str part;

	while (fd >= 0 && rest.n > 0) {
		char name[256];
		int next;

		str_cut(rest, '/', &part, &rest);
		if (part.n == 0)
			continue;
		if (part.n >= sizeof(name) || str_eq(part, STR(".")) || str_eq(part, STR(".."))) {
			close(fd);
			return refuse(
			    f, "the container's path has a component that it may not have");
		}
		memcpy(name, part.p, part.n);
		name[part.n] = '\0';
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			refuse_errno(f);
		close(fd);
		fd = next;
	}
	return fd;
}

int
container_open(const struct container_root *roots, unsigned n, struct str uri, struct fault *f)
{
	char room[URI_MAX];
	struct str path = path_of(uri, room);

	if (n == 0)
		return refuse(f,
		    "this hub imports and exports no files: its operator can allow it "
		    "with serve --import-export-dir DIR");
	if (path.n == 0)
		return refuse(f,
		    "this hub has no blob storage: a container is a file: URI of a "
		    "directory that the operator has allowed");
	for (unsigned i = 0; i < n; i++) {
		struct str root = without_slashes(str_of(roots[i].path));
		int fd;

		if (!str_starts(path, root) || (path.n != root.n && path.p[root.n] != '/'))
			continue;
		fd = fcntl(roots[i].fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? refuse_errno(f) : walk_down(fd, str_sub(path, root.n), f);
	}
	return refuse(f,
	    "the container is not in a directory that the operator has allowed "
	    "(serve --import-export-dir)");
}

bool
blob_name_valid(struct str name)
{
	return name.n > 0 && name.n <= 200 && name.p[0] != '.' &&
	    memchr(name.p, '/', name.n) == NULL && memchr(name.p, '\0', name.n) == NULL;
}

/* ---- new files ---- */

bool
new_file_open(struct new_file *nf, int dir, struct str name, const char *unique)
{
	struct buf temporary = { 0 };

	buf_printf(&temporary, "." STR_FMT ".%.16s", STR_ARG(name), unique);
	buf_putc(&temporary, '\0');
	nf->dir = dir;
	nf->name = str_dup0(name);
	nf->temporary = temporary.p;
	nf->fd =
	    openat(dir, nf->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return nf->fd >= 0;
}

bool
new_file_write(struct new_file *nf, struct str bytes)
{
	return os_write_all(nf->fd, bytes);
}

bool
new_file_commit(struct new_file *nf)
{
	int fd = nf->fd;
	enum err e;

	if (fsync(fd) != 0)
		return false;
	nf->fd = -1;
	if (close(fd) == 0) {
		e = os_rename_at(nf->dir, nf->temporary, nf->name, NULL);
		if (e == ERR_OK || e == ERR_UNSYNCED) /* then it stays, and the job fails */
			return e == ERR_OK;
	}
	fd = errno;
	unlinkat(nf->dir, nf->temporary, 0);
	errno = fd;
	return false;
}

void
new_file_end(struct new_file *nf)
{
	if (nf->fd >= 0) {
		close(nf->fd);
		unlinkat(nf->dir, nf->temporary, 0);
	}
	free(nf->name);
	free(nf->temporary);
	*nf = (struct new_file){ .fd = -1 };
}
