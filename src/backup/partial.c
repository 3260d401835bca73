/*
 * What is not a backup yet, or not any more: NAME.partial. In it is a mark with the hub's id, from before it has that name to behind the manifest, and
 * while it is removed to behind the last file: so whoever finds one knows whose it is, and nobody takes away, or fills, what is another hub's. It is made
 * under a name of the hub's own, NAME.partial.HUB, and gets the other one with the mark in it.
 */
#include "backup/priv.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARK_MOST 64 /* bytes of it */

static enum err
mark_write(const char *path, const char *hub, struct fault *f)
{
	char mark[OS_PATH_MAX];

	if (!join(mark, path, BACKUP_MARK))
		return os_fault(f, "creating", path);
	return os_replace_file(mark, str_of(hub), 0600, f);
}

/* False: too long, errno. */
static bool
own_name(char out[OS_PATH_MAX], const char *path, const char *hub)
{
	int n = snprintf(out, OS_PATH_MAX, "%s.%s", path, hub);

	errno = ENAMETOOLONG;
	return n > 0 && n < OS_PATH_MAX;
}

enum err
partial_own_remove(const char *own, struct fault *f)
{
	struct stat st;

	if (lstat(own, &st) == 0 && S_ISDIR(st.st_mode))
		return partial_discard(own, f);
	errno = ENOENT;
	return os_fault(f, "finding", own);
}

enum err
partial_make(const char *path, const char *hub, struct fault *f)
{
	char own[OS_PATH_MAX];
	enum err e;
	int error;

	if (!own_name(own, path, hub))
		return os_fault(f, "making", path);
	partial_own_remove(own, NULL); /* of an attempt that was killed */
	if (mkdir(own, 0700) != 0)
		return os_fault(f, "making", own);
	e = mark_write(own, hub, f);
	if (e == ERR_OK && rename(own, path) != 0) /* nor onto what somebody has filled */
		e = os_fault(f, "making", path);
	if (e == ERR_OK)
		return e;
	error = errno == ENOTEMPTY ? EEXIST : errno;
	partial_own_remove(own, NULL);
	errno = error;
	return e == ERR_UNSYNCED ? ERR_IO : e;
}

/* Former programs' marks are empty: who has made them is not known, and they were one hub's. */
static bool
is_ours(const char *path, const char *hub)
{
	char mark[OS_PATH_MAX], why[BACKUP_WHY_MAX];
	struct buf text = { 0 };
	struct manifest m;
	enum err e;
	bool ours;

	if (!join(mark, path, BACKUP_MARK))
		return false;
	e = os_read_file(mark, MARK_MOST, &text, NULL);
	ours = e == ERR_OK && (text.n == 0 || str_eq(buf_view(&text), str_of(hub)));
	buf_fini(&text);
	if (e != ERR_NOT_FOUND)
		return ours;
	ours = manifest_read(path, &m, why, sizeof(why)) == ERR_OK && strcmp(m.hub, hub) == 0;
	manifest_fini(&m);
	return ours;
}

enum err
partial_remove(const char *path, const char *hub, bool *was, struct fault *f)
{
	struct stat st;

	*was = true;
	/* What a link leads to is not what was cut short here, whatever is in it. */
	if (lstat(path, &st) != 0)
		return os_fault(f, "finding", path);
	if (S_ISDIR(st.st_mode) && is_ours(path, hub))
		return partial_discard(path, f);
	*was = false;
	if (S_ISDIR(st.st_mode) && (rmdir(path) == 0 || errno == ENOENT))
		return ERR_OK;
	fault_set(f, F_ArgumentInvalid, "%s is there, and no backup of this hub that was cut short",
	    path);
	return ERR_EXISTS;
}

enum err
partial_from(const char *path, const char *partial, const char *hub, struct fault *f)
{
	enum err e = os_rename(path, partial, f);

	if (e == ERR_OK || e == ERR_UNSYNCED) /* without a mark the manifest says whose it is */
		e = mark_write(partial, hub, f);
	return e == ERR_UNSYNCED ? ERR_OK : e;
}

/* ---- removing, the mark last ---- */

struct discard {
	const char *path;
	struct fault *f;
};

static enum err
discard_entry(void *ctx, const char *name)
{
	const struct discard *d = ctx;
	char path[OS_PATH_MAX];

	if (strcmp(name, BACKUP_MARK) == 0)
		return ERR_OK;
	if (!join(path, d->path, name))
		return os_fault(d->f, "removing", name);
	if (unlink(path) == 0)
		return ERR_OK;
	return errno == EISDIR ? os_remove_tree(path, TREE_DEPTH, d->f)
	                       : os_fault(d->f, "removing", path);
}

enum err
partial_discard(const char *path, struct fault *f)
{
	struct discard d = { path, f };
	char mark[OS_PATH_MAX];
	enum err e = os_each_entry(path, discard_entry, &d, f);

	if (e != ERR_OK)
		return e;
	if (!join(mark, path, BACKUP_MARK) || (unlink(mark) != 0 && errno != ENOENT) ||
	    (rmdir(path) != 0 &&
	        errno != ENOENT)) /* another hub that has seen it empty was there first */
		return os_fault(f, "removing", path);
	return ERR_OK;
}
