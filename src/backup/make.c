/*
 * A backup is made in four steps:
 *
 *   stage    DATA/backup.stage: the store's checkpoint, links to its table files, on its own file system
 *   place    each file in DIR.partial: a link, to the stage or to a former backup, or else a copy
 *   read     each of them once more from there: its checksums, for the manifest, and against those of the store
 *   name     the manifest, then DIR
 */
#include "backup/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_MAX      ((size_t)1 << 20) /* bytes of a file beside the store */
#define PIECE        ((size_t)256 * 1024)
#define COUNT_MEMORY (UINT64_C(16) << 20) /* of the store that is opened to count */

struct table_sum {
	char name[BACKUP_NAME_MAX]; /* store/000012.sst */
	uint32_t crc32c;
};

struct make {
	const struct backup_source *s;
	const char *dir;
	char partial[OS_PATH_MAX], stage[OS_PATH_MAX];
	struct manifest m, like;
	struct buf sums; /* struct table_sum, by name */
	uint64_t copied_bytes;
	struct fault *f;
};

static enum err
given_up(struct make *k)
{
	fault_set(k->f, F_ServiceUnavailable, "the backup was given up: the hub stops");
	return ERR_END;
}

/* ---- a place for it ---- */

static void
tell(const struct make *k, const char *fmt, const char *path)
{
	char line[BACKUP_WHY_MAX + 128];

	snprintf(line, sizeof(line), "%s%s", path, fmt);
	if (k->s->warn != NULL)
		k->s->warn(k->s->ctx, line);
}

/* The path's fault, unless it is the disk's or the machine's: errno. */
static enum err
not_made(struct make *k, const char *why)
{
	bool ours = errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == ENOMEM;
	bool exists = errno == EEXIST;

	fault_set(
	    k->f, ours ? F_ServerError : F_ArgumentInvalid, "%s cannot be made: %s", k->dir, why);
	return exists ? ERR_EXISTS : ERR_IO;
}

/* A backup in the hub's own directory would go with it, and be taken for a part of it. */
static enum err
place_check(struct make *k)
{
	bool below = false;
	struct fault why;
	struct stat st;

	if (os_is_below(k->dir, k->s->data, &below, &why) != ERR_OK)
		return not_made(k, why.text);
	if (below)
		return fault_set(
		    k->f, F_ArgumentInvalid, "%s is in the hub's data directory", k->dir);
	if (lstat(k->dir, &st) == 0) {
		errno = EEXIST;
		return not_made(k, strerror(EEXIST));
	}
	return ERR_OK;
}

static enum err
place_take(struct make *k)
{
	struct stat st;
	enum err e;
	bool was;

	if (lstat(k->partial, &st) == 0) {
		if ((e = partial_remove(k->partial, k->s->hub, &was, k->f)) != ERR_OK)
			return e;
		if (was)
			tell(k, " was cut short, and is removed", k->partial);
	}
	if (partial_make(k->partial, k->s->hub, NULL) != ERR_OK)
		return not_made(k, strerror(errno));
	return ERR_OK;
}

static bool
stage_path(const char *data, char out[OS_PATH_MAX])
{
	return join(out, data, BACKUP_STAGE);
}

bool
backup_clean_stage(const char *data)
{
	char stage[OS_PATH_MAX], beside[OS_PATH_MAX + sizeof(PARTIAL)];
	bool there = false;

	if (!stage_path(data, stage))
		return false;
	snprintf(beside, sizeof(beside), "%s" PARTIAL, stage);
	there = access(stage, F_OK) == 0 || access(beside, F_OK) == 0;
	os_remove_tree(stage, TREE_DEPTH, NULL);
	os_remove_tree(beside, TREE_DEPTH, NULL);
	return there;
}

/* ---- placing ---- */

static bool
copy_bytes(struct make *k, int in, int out, enum err *e)
{
	char *piece = xmalloc(PIECE);
	ssize_t n = 1;

	while (*e == ERR_OK && n > 0) {
		while ((n = read(in, piece, PIECE)) < 0 && errno == EINTR)
			;
		if (n < 0 || !os_write_all(out, (struct str){ piece, (size_t)(n > 0 ? n : 0) }))
			*e = ERR_IO;
		if (n <= 0 || *e != ERR_OK)
			continue;
		k->copied_bytes += (uint64_t)n;
		if (k->s->pace != NULL && !k->s->pace(k->s->ctx, (size_t)n))
			*e = given_up(k);
	}
	free(piece);
	return *e == ERR_OK;
}

static enum err
copy_file(struct make *k, const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
	enum err e = ERR_OK;

	if (in < 0)
		return os_fault(k->f, "opening", from);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		e = os_fault(k->f, "creating", to);
	else if (!copy_bytes(k, in, out, &e) && e == ERR_IO)
		e = os_fault(k->f, "copying", to);
	if (e == ERR_OK && fsync(out) != 0)
		e = os_fault(k->f, OS_SYNC_FAILED "writing", to);
	if (out >= 0 && close(out) != 0 && e == ERR_OK)
		e = os_fault(k->f, "writing", to);
	close(in);
	return e;
}

static int
sum_order(const void *a, const void *b)
{
	return strcmp(((const struct table_sum *)a)->name, ((const struct table_sum *)b)->name);
}

/* NULL: no table of the store. */
static const struct table_sum *
sum_find(const struct make *k, const char *name)
{
	struct table_sum key;

	snprintf(key.name, sizeof(key.name), "%s", name);
	return k->sums.n == 0
	    ? NULL
	    : bsearch(&key, k->sums.p, k->sums.n / sizeof(key), sizeof(key), sum_order);
}

/* What was read is what the manifest will say of it. */
static enum err
note_file(struct make *k, const char *name, const struct sums *sums)
{
	struct backup_file *file;

	if (k->m.n == BACKUP_FILES_MAX) {
		fault_set(k->f, F_ServerError, "a backup of more than %u files", BACKUP_FILES_MAX);
		return ERR_SIZE;
	}
	if (k->m.n % 256 == 0)
		k->m.files = xrealloc(k->m.files, (k->m.n + 256) * sizeof(*k->m.files));
	file = &k->m.files[k->m.n++];
	snprintf(file->name, sizeof(file->name), "%s", name);
	snprintf(file->sha256, sizeof(file->sha256), "%s", sums->sha256);
	file->bytes = sums->bytes;
	k->m.bytes += sums->bytes;
	return ERR_OK;
}

static enum err
read_back(struct make *k, const char *name, const char *path, struct sums *sums)
{
	const struct table_sum *table = sum_find(k, name);
	enum err e = file_sums(path, k->s->pace, k->s->ctx, sums, k->f);

	if (e == ERR_END)
		return given_up(k);
	if (e != ERR_OK || table == NULL || table->crc32c == sums->crc32c)
		return e;
	fault_set(k->f, F_StoredDamaged,
	    "%s: %s is damaged: it does not match the store's checksum", k->s->data, name);
	return ERR_CORRUPT;
}

/* A former backup's copy of the same table, if it is as good as it was. False: there is none, and nothing was placed. */
static bool
place_like(struct make *k, const char *name, const char *to, struct sums *sums, enum err *e)
{
	const struct backup_file *was = manifest_find(&k->like, name);
	const struct table_sum *table = sum_find(k, name);
	char from[OS_PATH_MAX];

	if (was == NULL || table == NULL || !join(from, k->s->like, name) || link(from, to) != 0)
		return false;
	*e = file_sums(to, k->s->pace, k->s->ctx, sums, k->f);
	if (*e == ERR_END)
		*e = given_up(k);
	if (*e == ERR_END ||
	    (*e == ERR_OK && sums->crc32c == table->crc32c &&
	        strcmp(sums->sha256, was->sha256) == 0))
		return true;
	if (*e != ERR_OK || strcmp(sums->sha256, was->sha256) != 0)
		tell(k, " is damaged: the backup that it is in is not good any more", from);
	*e = ERR_OK;
	unlink(to);
	return false;
}

/* name: in the stage, a file of the store. */
static enum err
place_entry(void *ctx, const char *name)
{
	struct make *k = ctx;
	char from[OS_PATH_MAX], to[OS_PATH_MAX], known[BACKUP_NAME_MAX];
	struct sums sums;
	enum err e = ERR_OK;

	if ((size_t)snprintf(known, sizeof(known), "store/%s", name) >= sizeof(known) ||
	    !join(from, k->stage, name) || !join(to, k->partial, known)) {
		errno = ENAMETOOLONG;
		return os_fault(k->f, "placing", name);
	}
	/* Only tables are never written again: all else of a stage is its own, and small. */
	if (sum_find(k, known) != NULL && link(from, to) == 0)
		e = read_back(k, known, to, &sums);
	else if (!place_like(k, known, to, &sums, &e)) {
		e = copy_file(k, from, to);
		if (e == ERR_OK)
			e = read_back(k, known, to, &sums);
	}
	return e != ERR_OK ? e : note_file(k, known, &sums);
}

static void
sum_take(void *ctx, const char *file, uint32_t crc32c)
{
	struct make *k = ctx;
	struct table_sum sum = { .crc32c = crc32c };

	snprintf(sum.name, sizeof(sum.name), "store/%s", file);
	buf_put(&k->sums, &sum, sizeof(sum));
}

static enum err
place_store(struct make *k)
{
	char store[OS_PATH_MAX];
	enum err e = store_tables(k->stage, sum_take, k, k->f);

	if (e != ERR_OK)
		return e;
	array_sort(
	    k->sums.p, k->sums.n / sizeof(struct table_sum), sizeof(struct table_sum), sum_order);
	if (!join(store, k->partial, "store") || mkdir(store, 0700) != 0)
		return os_fault(k->f, "making", k->partial);
	e = os_each_entry(k->stage, place_entry, k, k->f);
	return e != ERR_OK ? e : os_sync_dir(store, k->f);
}

/* ---- the files beside the store ---- */

static enum err
place_own(struct make *k, const char *from, const char *name)
{
	char to[OS_PATH_MAX];
	struct buf bytes = { 0 };
	struct sums sums;
	enum err e;

	if (access(from, F_OK) != 0 && errno == ENOENT) /* certificates may be elsewhere */
		return ERR_OK;
	if (!join(to, k->partial, name))
		return os_fault(k->f, "creating", name);
	e = os_read_file(from, OWN_MAX, &bytes, k->f);
	if (e == ERR_OK)
		e = os_replace_file(to, buf_view(&bytes), 0600, k->f);
	if (e == ERR_OK)
		e = read_back(k, name, to, &sums);
	if (e == ERR_OK)
		e = note_file(k, name, &sums);
	buf_fini(&bytes);
	return e;
}

static enum err
place_owns(struct make *k)
{
	static const char *const files[] = { "hub.json", "twinhub.conf", "policies.json", "ca.pem",
		"ca.key", "server-ecdsa.pem", "server-ecdsa.key", "server-rsa.pem",
		"server-rsa.key" };
	char from[OS_PATH_MAX];
	enum err e = ERR_OK;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && e == ERR_OK; i++) {
		/* The settings that are in force, wherever they are. */
		if (k->s->config != NULL && strcmp(files[i], "twinhub.conf") == 0)
			e = place_own(k, k->s->config, files[i]);
		else if (!join(from, k->s->data, files[i]))
			e = os_fault(k->f, "opening", files[i]);
		else
			e = place_own(k, from, files[i]);
	}
	return e;
}

/* ---- how many identities are in it ---- */

static enum err
count_rows(struct make *k, struct store *store)
{
	struct store_cursor *c;
	struct str key, value;
	size_t nread = 0;
	enum err e =
	    store_cursor_open(store, STORE_IDENTITY, STR_NONE, STR_NONE, STORE_SCAN_BULK, &c);

	if (e != ERR_OK)
		return e;
	while ((e = store_next(c, &key, &value)) == ERR_OK) {
		k->m.identities++;
		nread += key.n + value.n;
		if (nread < PIECE)
			continue;
		if (k->s->pace != NULL && !k->s->pace(k->s->ctx, nread)) {
			e = given_up(k);
			store_cursor_close(c);
			return e;
		}
		nread = 0;
	}
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* Of the copy, and so what is in it; and that it opens as a store. */
static enum err
count(struct make *k)
{
	struct store_options o = { .dir = k->stage,
		.read_only = true,
		.lanes = 1,
		.memory_bytes = COUNT_MEMORY,
		.retention = { UINT64_MAX, 0, UINT64_MAX, 0 } };
	struct store *store = NULL;
	enum err e = store_open(&o, &store, k->f);

	if (e == ERR_OK && (e = count_rows(k, store)) != ERR_OK && e != ERR_END)
		fault_set(k->f, F_ServerError, "the identities of the copy cannot be read");
	store_close(store);
	return e;
}

/* ---- giving it its name ---- */

static enum err
finish(struct make *k)
{
	char mark[OS_PATH_MAX];
	enum err e = manifest_write(k->partial, &k->m, k->f);

	if (e == ERR_OK && (!join(mark, k->partial, BACKUP_MARK) || unlink(mark) != 0))
		e = os_fault(k->f, "removing", BACKUP_MARK);
	if (e == ERR_OK)
		e = os_sync_dir(k->partial, k->f);
	if (e == ERR_OK && (e = os_rename(k->partial, k->dir, k->f)) == ERR_UNSYNCED)
		partial_from(k->dir, k->partial, k->s->hub, NULL);
	return e;
}

static enum err
fill(struct make *k)
{
	enum err e = place_take(k);
	bool was;

	if (e != ERR_OK)
		return e;
	backup_clean_stage(k->s->data);
	if ((e = store_checkpoint(k->s->store, k->stage, k->f)) == ERR_OK &&
	    (e = count(k)) == ERR_OK && (e = place_store(k)) == ERR_OK &&
	    (e = place_owns(k)) == ERR_OK)
		e = finish(k);
	backup_clean_stage(k->s->data);
	if (e != ERR_OK && partial_remove(k->partial, k->s->hub, &was, NULL) != ERR_OK &&
	    access(k->partial, F_OK) == 0)
		tell(k, " cannot be removed", k->partial);
	return e;
}

static enum err
prepare(struct make *k)
{
	char why[BACKUP_WHY_MAX];
	int n = snprintf(k->partial, sizeof(k->partial), "%s" PARTIAL, k->dir);

	if (n < 0 || (size_t)n >= sizeof(k->partial) || !stage_path(k->s->data, k->stage))
		return fault_set(k->f, F_ArgumentInvalid, "the path is too long");
	snprintf(k->m.program, sizeof(k->m.program), "%s", k->s->program);
	snprintf(k->m.hub, sizeof(k->m.hub), "%s", k->s->hub);
	k->m.format = k->s->format;
	if (k->s->like != NULL && manifest_read(k->s->like, &k->like, why, sizeof(why)) != ERR_OK)
		manifest_fini(&k->like);
	return place_check(k);
}

enum err
backup_make(
    const struct backup_source *s, const char *dir, struct backup_made *out, struct fault *f)
{
	struct make k = { .s = s, .dir = dir, .f = f };
	enum err e;

	k.m.made_us = s->made_us;
	if ((e = prepare(&k)) == ERR_OK)
		e = fill(&k);
	if (e != ERR_OK && f->code == F_NONE)
		fault_set(f, F_ServerError, "the hub could not be copied");
	*out = (struct backup_made){ k.m.n, k.m.bytes, k.copied_bytes, k.m.identities };
	buf_fini(&k.sums);
	manifest_fini(&k.m);
	manifest_fini(&k.like);
	return e;
}
