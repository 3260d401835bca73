/* A directory that this user may not read is no damaged one: who is told so restores a backup for nothing. */
#include "cli/priv.h"
#include "os/os.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static bool
denied(const char *path, int mode)
{
	return access(path, mode) != 0 && errno == EACCES;
}

struct walk {
	const char *dir;
	unsigned depth; /* of directories that are still looked into */
	char found[DATA_PATH_MAX];
};

static enum err walk(struct walk *w);

/* ERR_DENIED ends it, with the path in found. */
static enum err
walk_entry(void *ctx, const char *name)
{
	struct walk *w = ctx, below = { .depth = w->depth - 1 };
	char path[DATA_PATH_MAX];
	struct stat st;
	enum err e;

	/* The file system's own, where the directory is all of one: root's alone, and nothing of a hub is in it. */
	if (strcmp(name, "lost+found") == 0)
		return ERR_OK;
	if (!data_path(path, w->dir, name) || lstat(path, &st) != 0)
		return ERR_OK;
	if (denied(path, R_OK)) {
		snprintf(w->found, sizeof(w->found), "%s", path);
		return ERR_DENIED;
	}
	if (!S_ISDIR(st.st_mode) || w->depth == 0)
		return ERR_OK;
	below.dir = path;
	e = walk(&below);
	snprintf(w->found, sizeof(w->found), "%s", below.found);
	return e;
}

static enum err
walk(struct walk *w)
{
	if (denied(w->dir, R_OK | X_OK)) {
		snprintf(w->found, sizeof(w->found), "%s", w->dir);
		return ERR_DENIED;
	}
	return os_each_entry(w->dir, walk_entry, w, NULL) == ERR_DENIED ? ERR_DENIED : ERR_OK;
}

/* Whose it is says as whom to try again. */
static int
tell(const char *path)
{
	struct stat st;
	struct passwd *owner = stat(path, &st) == 0 ? getpwuid(st.st_uid) : NULL;

	if (owner == NULL)
		return cli_fail(EXIT_DENIED, "%s may not be read by this user", path);
	return cli_fail(EXIT_DENIED,
	    "%s may not be read by this user: try as its owner, sudo -u %s twinhub ...", path,
	    owner->pw_name);
}

int
data_allowed(const char *dir)
{
	static const char *const files[] = { "hub.json", "policies.json" };
	char path[DATA_PATH_MAX];

	if (denied(dir, X_OK))
		return tell(dir);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (data_path(path, dir, files[i]) && denied(path, R_OK))
			return tell(path);
	return EXIT_DONE;
}

int
data_allowed_whole(const char *dir)
{
	struct walk w = { .dir = dir, .depth = 2 };

	return walk(&w) == ERR_DENIED ? tell(w.found) : EXIT_DONE;
}
