/* Backups side by side in one directory: their names, which are ours, which go. */
#include "backup/priv.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "twinhub-"
#define STAMP  16 /* 20261130T093000Z */

void
backup_dir_name(int64_t us, char out[BACKUP_DIR_NAME_MAX])
{
	char text[TIME_TEXT_MAX]; /* 2026-11-30T09:30:00.0000000Z */

	time_format(us, text);
	snprintf(out, BACKUP_DIR_NAME_MAX, PREFIX "%.4s%.2s%.2sT%.2s%.2s%.2sZ", text, text + 5,
	    text + 8, text + 11, text + 14, text + 17);
}

/* Does a name have that form? what stands behind it. */
static bool
name_ours(const char *name, const char **behind)
{
	static const char form[] = "00000000T000000Z";
	const char *p = name + strlen(PREFIX);

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return false;
	for (unsigned i = 0; i < STAMP; i++)
		if (form[i] == '0' ? p[i] < '0' || p[i] > '9' : p[i] != form[i])
			return false;
	*behind = p + STAMP;
	return true;
}

/* ---- listing ---- */

struct listing {
	const char *dir, *hub;
	struct backup_seen *v;
	size_t n;
};

static enum err
list_entry(void *ctx, const char *name)
{
	struct listing *l = ctx;
	char path[OS_PATH_MAX], why[BACKUP_WHY_MAX];
	struct backup_seen *seen;
	struct manifest m;
	const char *behind;
	struct stat st;

	if (!name_ours(name, &behind) || *behind != '\0' || !join(path, l->dir, name) ||
	    lstat(path, &st) != 0 || !S_ISDIR(st.st_mode))
		return ERR_OK;
	if (manifest_read(path, &m, why, sizeof(why)) == ERR_OK && m.listed &&
	    strcmp(m.hub, l->hub) == 0) {
		l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
		seen = &l->v[l->n++];
		*seen = (struct backup_seen){ .made_us = m.made_us,
			.files = m.n,
			.bytes = m.bytes,
			.identities = m.identities };
		snprintf(seen->name, sizeof(seen->name), "%s", name);
	}
	manifest_fini(&m);
	return ERR_OK;
}

/* Newest first; of one moment, as a clock that was set back may make it, by name. */
static int
newest_first(const void *a, const void *b)
{
	const struct backup_seen *x = a, *y = b;

	if (x->made_us != y->made_us)
		return x->made_us > y->made_us ? -1 : 1;
	return strcmp(y->name, x->name);
}

enum err
backups_list(const char *dir, const char *hub, struct backup_seen **out, size_t *n, struct fault *f)
{
	struct listing l = { dir, hub, NULL, 0 };
	enum err e = os_each_entry(dir, list_entry, &l, f);

	array_sort(l.v, l.n, sizeof(*l.v), newest_first);
	*out = l.v;
	*n = l.n;
	return e;
}

/* ---- what was cut short ---- */

struct cleaning {
	const char *dir, *hub;
	void (*told)(void *ctx, const char *path);
	void *ctx;
};

/* PARTIAL.HUB */
static bool
is_own(const char *behind, const char *hub)
{
	size_t n = strlen(PARTIAL);

	return strncmp(behind, PARTIAL, n) == 0 && behind[n] == '.' &&
	    strcmp(behind + n + 1, hub) == 0;
}

static enum err
clean_entry(void *ctx, const char *name)
{
	const struct cleaning *c = ctx;
	char path[OS_PATH_MAX];
	const char *behind;
	bool was;

	if (!name_ours(name, &behind) || !join(path, c->dir, name))
		return ERR_OK;
	if (strcmp(behind, PARTIAL) == 0
	        ? partial_remove(path, c->hub, &was, NULL) == ERR_OK && was
	        : is_own(behind, c->hub) && partial_own_remove(path, NULL) == ERR_OK)
		c->told(c->ctx, path);
	return ERR_OK;
}

void
backups_clean(
    const char *dir, const char *hub, void (*told)(void *ctx, const char *path), void *ctx)
{
	struct cleaning c = { dir, hub, told, ctx };

	os_each_entry(dir, clean_entry, &c, NULL);
}

/* ---- which go ---- */

/* Under the name of a partial one first: a kill in between leaves what is cleaned up, and never half a backup. */
static enum err
remove_one(const char *dir, const char *name, const char *hub, struct fault *f)
{
	char path[OS_PATH_MAX], partial[OS_PATH_MAX];
	int n = snprintf(partial, sizeof(partial), "%s/%s" PARTIAL, dir, name);
	enum err e;

	if (!join(path, dir, name) || n < 0 || (size_t)n >= sizeof(partial))
		return os_fault(f, "removing", name);
	e = partial_from(path, partial, hub, f);
	return e != ERR_OK ? e : partial_discard(partial, f);
}

/* The i-th to go, of n, newest first, of which `at` has just been made: what says that it is of later was made before a clock was set back. */
static size_t
nth_to_go(size_t i, size_t n, size_t at)
{
	return i < at ? at - 1 - i : n - 1 - (i - at);
}

enum err
backups_keep(const char *dir, const char *hub, const char *made, unsigned keep, unsigned *gone,
    struct fault *f)
{
	struct backup_seen *v;
	size_t n, at = 0;
	enum err e = backups_list(dir, hub, &v, &n, f);

	*gone = 0;
	while (at < n && strcmp(v[at].name, made) != 0)
		at++;
	if (at == n) /* it has gone again: then nothing may go for it */
		n = 0;
	for (size_t i = 0; i + keep < n && e == ERR_OK; i++)
		if ((e = remove_one(dir, v[nth_to_go(i, n, at)].name, hub, f)) == ERR_OK)
			++*gone;
	free(v);
	return e;
}
