/*
 * A data directory that is made by a command: everything is written into DIR/.restore and made durable there; then each file gets its name,
 * hub.json last, so what was cut short is no hub. The target may be a mount point, so it is filled, not replaced.
 */
#include "cli/priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/os.h"

#define STAGE      ".restore"
#define DEPTH_MOST 2 /* the directory, the store in it */

/* Not of the file system, where the directory is all of one. */
static bool
is_ours(const char *name)
{
	return strcmp(name, "lost+found") != 0;
}

static enum err
any_entry(void *ctx, const char *name)
{
	(void)ctx;
	return is_ours(name) ? ERR_EXISTS : ERR_OK;
}

static bool
is_there(const char *dir, const char *name)
{
	char path[DATA_PATH_MAX];

	return data_path(path, dir, name) && access(path, F_OK) == 0;
}

int
stage_begin(const char *dir, const char *what, bool *made, char stage[DATA_PATH_MAX])
{
	struct fault f = { 0 };
	enum err e;

	if (!data_path(stage, dir, STAGE))
		return cli_fail(EXIT_USAGE, "the path of the directory is too long");
	*made = mkdir(dir, 0700) == 0;
	if (!*made && errno != EEXIST)
		return cli_fail(EXIT_FAILED, "%s cannot be made: %s", dir, strerror(errno));
	e = os_each_entry(dir, any_entry, NULL, &f);
	if (e == ERR_EXISTS && is_there(dir, STAGE) && !is_there(dir, "hub.json"))
		return cli_fail(EXIT_CONFLICT,
		    "%s is not empty: %s into it was cut short. What is in it is no hub yet: "
		    "remove "
		    "that, and do it again",
		    dir, what);
	if (e == ERR_EXISTS)
		return cli_fail(EXIT_CONFLICT, "%s is not empty", dir);
	return e == ERR_OK ? EXIT_DONE : cli_fail(EXIT_FAILED, "%s", f.text);
}

/* ---- giving names ---- */

struct naming {
	const char *stage, *dir;
	int code;
};

static enum err
name_one(struct naming *m, const char *name)
{
	char from[DATA_PATH_MAX], to[DATA_PATH_MAX];

	errno = ENAMETOOLONG;
	if (data_path(from, m->stage, name) && data_path(to, m->dir, name) && rename(from, to) == 0)
		return ERR_OK;
	m->code = cli_fail(EXIT_FAILED, "%s cannot be put in its place: %s", name, strerror(errno));
	return ERR_IO;
}

static enum err
name_entry(void *ctx, const char *name)
{
	return strcmp(name, "hub.json") == 0 ? ERR_OK : name_one(ctx, name);
}

/* hub.json last, when all else is durable: without it a directory is not one that holds a hub. */
int
stage_end(const char *stage, const char *dir)
{
	struct naming m = { stage, dir, EXIT_DONE };

	if (os_each_entry(stage, name_entry, &m, NULL) == ERR_OK &&
	    os_sync_dir(dir, NULL) == ERR_OK && name_one(&m, "hub.json") == ERR_OK &&
	    rmdir(stage) == 0 && os_sync_dir(dir, NULL) == ERR_OK &&
	    os_sync_parent(dir, NULL) == ERR_OK)
		return EXIT_DONE;
	return m.code != EXIT_DONE
	    ? m.code
	    : cli_fail(EXIT_FAILED, "%s cannot be filled: %s", dir, strerror(errno));
}

/* ---- taking back ---- */

struct back {
	const char *dir;
	struct fault *f;
};

static enum err
back_entry(void *ctx, const char *name)
{
	const struct back *b = ctx;
	char path[DATA_PATH_MAX];

	if (!is_ours(name))
		return ERR_OK;
	errno = ENAMETOOLONG;
	if (!data_path(path, b->dir, name))
		return os_fault(b->f, "removing", name);
	if (unlink(path) == 0)
		return ERR_OK;
	return errno == EISDIR ? os_remove_tree(path, DEPTH_MOST, b->f)
	                       : os_fault(b->f, "removing", path);
}

/* It was missing or empty: all that is in it came from here. */
void
stage_drop(const char *dir, bool made)
{
	struct fault f;
	enum err e = os_each_entry(dir, back_entry, &(struct back){ dir, &f }, &f);

	if (e == ERR_OK && made && rmdir(dir) != 0)
		e = os_fault(&f, "removing", dir);
	if (e != ERR_OK)
		cli_fail(EXIT_FAILED, "what was made of it stays: %s", f.text);
}
