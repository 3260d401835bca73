/*
 * restore: a backup becomes a data directory. It is held against its manifest, before anything is made of it and once more as it
 * arrives (stage.c).
 */
#include "cli/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup.h"
#include "os/os.h"
#include "store/store.h"

#define DEPTH_MOST 2 /* the directory, the store in it */

/* What failed: said once, by the command. */
struct failure {
	char text[WHY_MAX + 2 * DATA_PATH_MAX];
};

static bool
fails(struct failure *f, const char *path, const char *what)
{
	snprintf(f->text, sizeof(f->text), "%s %s: %s", path, what, strerror(errno));
	return false;
}

/* ---- copying ---- */

struct copy {
	const char *from, *to;
	unsigned depth;
	struct failure *failure;
};

static bool copy_dir(const struct copy *c);

/* In a backup all are the owner's alone. What others may read in a data directory (operations.md) they may again; but settings,
 * which were elsewhere, it may be, for few, with a password in them. */
static mode_t
mode_of(const struct copy *c, const char *name)
{
	struct str s = str_of(name);

	return c->depth > 0 || str_ends(s, STR(".key")) || str_ends(s, STR(".conf")) ||
	        str_eq(s, STR("policies.json"))
	    ? 0600
	    : 0644;
}

static bool
copy_file(const struct copy *c, mode_t mode)
{
	int in = open(c->from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1;
	bool ok;

	if (in >= 0)
		out = open(c->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0600);
	ok = out >= 0 && fchmod(out, mode) == 0 && os_copy(in, out) && fsync(out) == 0;
	if (!ok)
		fails(c->failure, c->from, "cannot be copied");
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) != 0 && ok)
		ok = fails(c->failure, c->to, "cannot be written");
	return ok;
}

/* What is the backup's own: that it is one, and of a directory that a hub has served, where that was reached, what it served and logged. */
static bool
copy_named(const struct copy *c, const char *name)
{
	static const char *const left[] = { BACKUP_FILE, "endpoint.json", SERVED_FILE, "hub.log",
		BACKUP_STAGE };
	char from[DATA_PATH_MAX], to[DATA_PATH_MAX];
	struct copy below = { from, to, c->depth + 1, c->failure };
	struct stat st;

	for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
		if (strcmp(name, left[i]) == 0)
			return true;
	errno = ENAMETOOLONG;
	if (!data_path(from, c->from, name) || !data_path(to, c->to, name) || lstat(from, &st) != 0)
		return fails(c->failure, name, "cannot be copied");
	if (S_ISREG(st.st_mode))
		return copy_file(&below, mode_of(c, name));
	errno = EINVAL;
	if (!S_ISDIR(st.st_mode) || below.depth >= DEPTH_MOST)
		return fails(c->failure, from, "has no place in a backup");
	return copy_dir(&below);
}

static enum err
copy_entry(void *ctx, const char *name)
{
	return copy_named(ctx, name) ? ERR_OK : ERR_IO;
}

static bool
copy_dir(const struct copy *c)
{
	if (mkdir(c->to, 0700) != 0)
		return fails(c->failure, c->to, "cannot be made");
	if (os_each_entry(c->from, copy_entry, (void *)c, NULL) != ERR_OK) {
		if (c->failure->text[0] == '\0')
			fails(c->failure, c->from, "cannot be read");
		return false;
	}
	return os_sync_dir(c->to, NULL) == ERR_OK ||
	    fails(c->failure, c->to, "cannot be made durable");
}

/* ---- the command ---- */

static void
on_bad_file(void *ctx, const char *file, const char *why)
{
	cli_fail(EXIT_DAMAGED, "%s/store/%s: %s", (const char *)ctx, file, why);
}

static void
on_bad_part(void *ctx, const char *file, const char *why)
{
	(void)ctx, (void)file;
	cli_fail(EXIT_DAMAGED, "%s", why);
}

static void
on_bad_listed(void *ctx, const char *file, const char *why)
{
	if (strchr(why, '/') != NULL) /* the system's words name it */
		cli_fail(EXIT_DAMAGED, "%s", why);
	else
		cli_fail(EXIT_DAMAGED, "%s/%s: %s", (const char *)ctx, file, why);
}

/* Files beside each other, as the manifest lists them. */
static int
listed_check(const char *dir, const struct manifest *m)
{
	struct backup_checkup up = { .bad = on_bad_listed, .ctx = (void *)dir };

	return !m->listed || backup_verify(dir, m, &up) == ERR_OK ? EXIT_DONE : EXIT_DAMAGED;
}

static int
manifest_take(const char *backup, struct manifest *m)
{
	char why[BACKUP_WHY_MAX];
	enum err e = manifest_read(backup, m, why, sizeof(why));

	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return cli_fail(exit_of(e), "%s", why);
	if (!m->listed && access(backup, F_OK) == 0)
		cli_note("%s/" BACKUP_FILE ": " NO_MANIFEST, backup);
	return listed_check(backup, m);
}

/* One of a hub with certificates from elsewhere has none. */
static bool
backup_has_ca(const char *backup)
{
	char why[WHY_MAX];
	struct server_options o;

	return data_has_own_ca(backup) &&
	    (options_of_data(backup, &o, why, sizeof(why)) != ERR_OK || o.certs.n == 0);
}

/* A damaged backup is found out before anything is made of it. */
static int
backup_check(const char *backup)
{
	char path[DATA_PATH_MAX];
	struct fault f = { 0 };
	struct store_checkup up = { .bad = on_bad_file, .ctx = (void *)backup };
	enum err e = data_check_parts(backup, backup_has_ca(backup), on_bad_part, NULL);

	if (e != ERR_OK)
		return exit_of(e);
	if (!data_path(path, backup, "store"))
		return cli_fail(EXIT_USAGE, "the path of the backup is too long");
	e = store_check(path, &up, &f);
	if (e == ERR_OK)
		return EXIT_DONE;
	return cli_fail(e == ERR_NOT_FOUND ? EXIT_DAMAGED : exit_of(e), "%s is no good backup: %s",
	    backup, f.text[0] != '\0' ? f.text : "its store is missing");
}

static int
restore(const char *backup, const char *dir, const struct manifest *m)
{
	char stage[DATA_PATH_MAX];
	struct failure f = { "" };
	bool made;
	int code;

	if ((code = stage_begin(dir, "a restore", &made, stage)) != EXIT_DONE)
		return code;
	if (!copy_dir(&(struct copy){ backup, stage, 0, &f }))
		code = cli_fail(EXIT_FAILED, "%s", f.text);
	else if ((code = listed_check(stage, m)) == EXIT_DONE)
		code = stage_end(stage, dir);
	if (code != EXIT_DONE)
		stage_drop(dir, made);
	return code;
}

int
cli_restore(const struct args *a)
{
	const char *backup = a->operand[0], *dir = data_named(a);
	struct manifest m = { 0 };
	int code;

	if (dir == NULL)
		return cli_fail(EXIT_USAGE, "--data DIR is needed, or " DATA_NAME);
	if (access(backup, F_OK) != 0 && errno == ENOENT)
		return cli_fail(EXIT_NOT_FOUND, "there is no backup %s", backup);
	code = data_allowed_whole(backup);
	if (code == EXIT_DONE)
		code = manifest_take(backup, &m);
	if (code == EXIT_DONE)
		code = backup_check(backup);
	if (code == EXIT_DONE)
		code = restore(backup, dir, &m);
	manifest_fini(&m);
	if (code == EXIT_DONE && !output_json(a))
		printf("restored into %s; start it with: twinhub serve --data %s\n", dir, dir);
	return code;
}
