/*
 * restore: a backup becomes a data directory. Everything is copied into DIR/.restore and made durable there; then each
 * file gets its name, hub.json last. The target may be a mount point, so it is filled, not replaced.
 */
#include "cli/priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

#define STAGE      ".restore"
#define DEPTH_MOST 2 /* the directory, the store in it */
#define CHUNK      ((size_t)1 << 20)

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

/* Call each entry's name; stops when one returns false. */
static bool
each_entry(const char *dir, bool (*entry)(void *ctx, const char *name), void *ctx)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool ok = d != NULL;

	while (ok && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			ok = entry(ctx, e->d_name);
	if (d != NULL)
		closedir(d);
	return ok;
}

static bool
sync_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* ---- copying ---- */

struct copy {
	const char *from, *to;
	unsigned depth;
	struct failure *failure;
};

static bool copy_dir(const struct copy *c);

static bool
copy_bytes(int in, int out)
{
	char *chunk = xmalloc(CHUNK);
	ssize_t n, done = 0;

	while ((n = read(in, chunk, CHUNK)) > 0)
		for (done = 0; done < n;) {
			ssize_t w = write(out, chunk + done, (size_t)(n - done));

			if (w < 0 && errno == EINTR)
				continue;
			if (w < 0) {
				free(chunk);
				return false;
			}
			done += w;
		}
	free(chunk);
	return n == 0 && fsync(out) == 0;
}

static bool
copy_file(const struct copy *c, const struct stat *st)
{
	int in = open(c->from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), out = -1;
	bool ok;

	if (in >= 0)
		out = open(c->to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, st->st_mode & 0700);
	ok = out >= 0 && fchmod(out, st->st_mode & 0777) == 0 && copy_bytes(in, out);
	if (!ok)
		fails(c->failure, c->from, "cannot be copied");
	if (in >= 0)
		close(in);
	if (out >= 0 && close(out) != 0 && ok)
		ok = fails(c->failure, c->to, "cannot be written");
	return ok;
}

/* endpoint.json says where the hub of the backup was reached, not this one. */
static bool
copy_entry(void *ctx, const char *name)
{
	const struct copy *c = ctx;
	char from[DATA_PATH_MAX], to[DATA_PATH_MAX];
	struct copy below = { from, to, c->depth + 1, c->failure };
	struct stat st;

	if (strcmp(name, "endpoint.json") == 0)
		return true;
	errno = ENAMETOOLONG;
	if (!data_path(from, c->from, name) || !data_path(to, c->to, name) || lstat(from, &st) != 0)
		return fails(c->failure, name, "cannot be copied");
	if (S_ISREG(st.st_mode))
		return copy_file(&below, &st);
	errno = EINVAL;
	if (!S_ISDIR(st.st_mode) || below.depth >= DEPTH_MOST)
		return fails(c->failure, from, "has no place in a backup");
	return copy_dir(&below);
}

static bool
copy_dir(const struct copy *c)
{
	if (mkdir(c->to, 0700) != 0)
		return fails(c->failure, c->to, "cannot be made");
	if (!each_entry(c->from, copy_entry, (void *)c)) {
		if (c->failure->text[0] == '\0')
			fails(c->failure, c->from, "cannot be read");
		return false;
	}
	return sync_dir(c->to) || fails(c->failure, c->to, "cannot be made durable");
}

/* ---- taking back what was copied ---- */

struct place {
	const char *dir;
	unsigned depth;
};

static bool
remove_entry(void *ctx, const char *name)
{
	const struct place *p = ctx;
	char path[DATA_PATH_MAX];
	struct place below = { path, p->depth + 1 };

	if (!data_path(path, p->dir, name) || unlink(path) == 0 || below.depth > DEPTH_MOST)
		return true;
	each_entry(path, remove_entry, &below);
	rmdir(path);
	return true;
}

static void
remove_dir(const char *dir)
{
	struct place p = { dir, 0 };

	each_entry(dir, remove_entry, &p);
	rmdir(dir);
}

/* ---- giving names ---- */

struct naming {
	const char *stage, *dir;
	struct failure *failure;
};

static bool
name_one(const struct naming *m, const char *name)
{
	char from[DATA_PATH_MAX], to[DATA_PATH_MAX];

	errno = ENAMETOOLONG;
	return (data_path(from, m->stage, name) && data_path(to, m->dir, name) &&
	           rename(from, to) == 0) ||
	    fails(m->failure, name, "cannot be put in its place");
}

static bool
name_entry(void *ctx, const char *name)
{
	return strcmp(name, "hub.json") == 0 || name_one(ctx, name);
}

/* hub.json last: without it a directory is not one that holds a hub. */
static bool
name_all(const char *stage, const char *dir, struct failure *f)
{
	struct naming m = { stage, dir, f };

	if (!each_entry(stage, name_entry, &m) || !sync_dir(dir))
		return f->text[0] != '\0' || fails(f, dir, "cannot be filled");
	return name_one(&m, "hub.json") && rmdir(stage) == 0 && sync_dir(dir);
}

/* ---- the command ---- */

static void
on_bad_file(void *ctx, const char *file, const char *why)
{
	cli_fail(EXIT_DAMAGED, "%s/store/%s: %s", (const char *)ctx, file, why);
}

/* A damaged backup is found out before anything is made of it. */
static int
backup_check(const char *backup)
{
	char path[DATA_PATH_MAX], why[WHY_MAX];
	struct policies *p;
	struct fault f = { 0 };
	enum err e = data_check(backup, why, sizeof(why));

	if (e != ERR_OK)
		return cli_fail(exit_of(e), "%s", why);
	e = policies_load(backup, &p);
	if (e != ERR_OK)
		return cli_fail(EXIT_DAMAGED, "%s/policies.json is missing or damaged", backup);
	policies_free(p);
	if (!data_path(path, backup, "store"))
		return cli_fail(EXIT_USAGE, "the path of the backup is too long");
	e = store_check(path, on_bad_file, (void *)backup, NULL, NULL, &f);
	if (e == ERR_OK)
		return EXIT_DONE;
	return cli_fail(e == ERR_NOT_FOUND ? EXIT_DAMAGED : exit_of(e), "%s is no good backup: %s",
	    backup, f.text[0] != '\0' ? f.text : "its store is missing");
}

static bool
any_entry(void *ctx, const char *name)
{
	(void)ctx, (void)name;
	return false;
}

static int
target_make(const char *dir, bool *made)
{
	*made = mkdir(dir, 0700) == 0;
	if (!*made && errno != EEXIST)
		return cli_fail(EXIT_FAILED, "%s cannot be made: %s", dir, strerror(errno));
	errno = 0;
	if (each_entry(dir, any_entry, NULL))
		return EXIT_DONE;
	if (errno != 0)
		return cli_fail(EXIT_FAILED, "%s: %s", dir, strerror(errno));
	return cli_fail(EXIT_CONFLICT, "%s is not empty", dir);
}

int
cli_restore(const struct args *a)
{
	const char *backup = a->operand[0], *dir = a->option[OPT_DATA];
	char stage[DATA_PATH_MAX];
	struct failure f = { "" };
	bool made;
	int code;

	if (dir == NULL)
		return cli_fail(EXIT_USAGE, "--data DIR is needed");
	if (!data_path(stage, dir, STAGE))
		return cli_fail(EXIT_USAGE, "the path of --data is too long");
	code = backup_check(backup);
	if (code == EXIT_DONE)
		code = target_make(dir, &made);
	if (code != EXIT_DONE)
		return code;
	if (!copy_dir(&(struct copy){ backup, stage, 0, &f }) || !name_all(stage, dir, &f)) {
		remove_dir(stage);
		if (made)
			rmdir(dir);
		return cli_fail(EXIT_FAILED, "%s", f.text);
	}
	if (!output_json(a))
		printf("restored into %s; start it with: twinhub serve --data %s\n", dir, dir);
	return EXIT_DONE;
}
