/* The offline check: logs as at opening, then each table file against its checksum of the whole, then every row. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/priv.h"

#define READ_BYTES ((size_t)1024 * 1024)

struct check {
	const char *dir;
	struct findings to;
	uint64_t nfiles, nrows;
	bool any, missing;
	struct crc_table crc;
	uint8_t *chunk;
	struct buf tables; /* numbers of those that the manifest names, 8 bytes each */
};

static void
check_bad(void *ctx, const char *file, const char *why)
{
	struct check *c = ctx;

	c->any = true;
	if (strcmp(why, "missing") == 0)
		c->missing = true;
	if (c->to.bad != NULL)
		c->to.bad(c->to.ctx, file, why);
}

static void
check_note(void *ctx, const char *file, const char *what)
{
	const struct check *c = ctx;

	if (c->to.note != NULL)
		c->to.note(c->to.ctx, file, what);
}

/* False on an error, in errno. */
static bool
sum_file(struct check *c, int fd, uint32_t *sum)
{
	ssize_t n;

	*sum = 0;
	while ((n = read(fd, c->chunk, READ_BYTES)) > 0)
		*sum = crc_more(&c->crc, *sum, c->chunk, (size_t)n);
	return n == 0;
}

static uint32_t
be32(const char *p)
{
	const uint8_t *u = (const uint8_t *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void
check_table(void *ctx, uint64_t number, const char *sum, size_t nsum)
{
	struct check *c = ctx;
	char name[NAME_BYTES], path[PATH_BYTES];
	uint32_t found;
	int fd;

	buf_put(&c->tables, &number, sizeof number);
	c->nfiles++;
	snprintf(name, sizeof name, "%06" PRIu64 ".sst", number);
	snprintf(path, sizeof path, "%s/%s", c->dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		check_bad(c, name, errno == ENOENT ? "missing" : strerror(errno));
		return;
	}
	if (nsum != 4)
		check_bad(c, name, "its checksum was not recorded");
	else if (!sum_file(c, fd, &found))
		check_bad(c, name, strerror(errno));
	else if (found != be32(sum))
		check_bad(c, name, "does not match its checksum");
	close(fd);
}

static void
check_tables(struct check *c)
{
	char *error = tables_list(c->dir, check_table, c);

	if (error != NULL && !c->any) /* else it was named before, and better */
		check_bad(c, "CURRENT", error);
	free(error);
}

static void
check_family(
    struct check *c, const struct engine *e, rocksdb_readoptions_t *options, unsigned family)
{
	rocksdb_iterator_t *rows = rocksdb_create_iterator_cf(e->db, options, e->family[family]);
	struct fault f = { 0 };
	char *error = NULL;

	for (rocksdb_iter_seek_to_first(rows); rocksdb_iter_valid(rows); rocksdb_iter_next(rows))
		c->nrows++;
	rocksdb_iter_get_error(rows, &error);
	rocksdb_iter_destroy(rows);
	if (error == NULL)
		return;
	engine_error(error, &f);
	check_bad(c, "", f.text);
}

static bool
is_named(const struct check *c, uint64_t number)
{
	uint64_t named;

	for (size_t at = 0; at < c->tables.n; at += sizeof named) {
		memcpy(&named, c->tables.p + at, sizeof named);
		if (named == number)
			return true;
	}
	return false;
}

/* Of a flush or compaction that did not come to its end, or of the files that one has replaced. */
static enum err
check_unnamed(void *ctx, const char *name)
{
	struct check *c = ctx;
	char manifest[NAME_BYTES];
	uint64_t number;
	bool stray = str_ends(str_of(name), STR(".dbtmp")) ||
	    (file_number(name, ".sst", &number) && !is_named(c, number)) ||
	    (str_starts(str_of(name), STR("MANIFEST-")) &&
	        manifest_name(c->dir, manifest, &number, NULL) == ERR_OK &&
	        strcmp(name, manifest) != 0);

	if (stray)
		check_note(c, name, "is no part of the store, and is removed by a start");
	return ERR_OK;
}

/* What a start makes without a word, and what it cannot know for want of it. */
static void
check_absent(struct check *c)
{
	if (!dir_has(c->dir, LENGTHS_FILE))
		check_note(c, LENGTHS_FILE,
		    "is missing, as in stores of former programs: a start makes it, and does not "
		    "notice whether manifest and newest log have lost their ends");
	if (!dir_has(c->dir, "IDENTITY"))
		check_note(c, "IDENTITY", "is missing: a start makes another");
}

/* That the checksums fit says that files are as written; this, that rows come out of them. */
static void
check_rows(struct check *c)
{
	struct store_options o = { .lanes = 1 };
	struct engine engine;
	struct fault f = { 0 };
	rocksdb_readoptions_t *options;

	if (engine_open(&engine, c->dir, &o, ENGINE_READ_ONLY, NULL, &f) != ERR_OK) {
		check_bad(c, "", f.text);
		return;
	}
	options = rocksdb_readoptions_create();
	rocksdb_readoptions_set_fill_cache(options, 0);
	rocksdb_readoptions_set_total_order_seek(options, 1); /* past the stretches of pack.h */
	rocksdb_readoptions_set_readahead_size(options, READ_BYTES);
	for (unsigned i = 0; i < engine.families; i++)
		check_family(c, &engine, options, i);
	rocksdb_readoptions_destroy(options);
	engine_close(&engine);
}

void
tables_check(const char *dir, const struct findings *to)
{
	struct check c = { .dir = dir, .to = *to };

	c.chunk = xmalloc(READ_BYTES);
	crc_init(&c.crc);
	check_tables(&c);
	free(c.chunk);
	buf_fini(&c.tables);
}

struct listing {
	store_table_seen *seen;
	void *ctx;
	uint64_t without; /* the number of a table that has none; 0: each has one */
};

static void
list_table(void *ctx, uint64_t number, const char *sum, size_t nsum)
{
	struct listing *l = ctx;
	char name[NAME_BYTES];

	snprintf(name, sizeof name, "%06" PRIu64 ".sst", number);
	if (nsum != 4)
		l->without = number;
	else
		l->seen(l->ctx, name, be32(sum));
}

enum err
store_tables(const char *dir, store_table_seen *seen, void *ctx, struct fault *f)
{
	struct listing l = { .seen = seen, .ctx = ctx };
	char *error = tables_list(dir, list_table, &l);

	if (error != NULL)
		fault_set(f, F_ServerError, "%s: %s", dir, error);
	else if (l.without != 0)
		fault_set(f, F_ServerError, "%s/%06" PRIu64 ".sst: its checksum was not recorded",
		    dir, l.without);
	else
		return ERR_OK;
	free(error);
	return ERR_CORRUPT;
}

enum err
store_check(const char *dir, struct store_checkup *up, struct fault *f)
{
	struct check c = { .dir = dir, .to = { up->bad, up->note, up->ctx } };
	const struct findings to = { check_bad, check_note, &c };
	int held;
	enum err e;

	if ((e = os_hold_dir(dir, &held, f)) != ERR_OK)
		return e;
	c.chunk = xmalloc(READ_BYTES);
	crc_init(&c.crc);
	logs_check(dir, &to, &c.nfiles);
	check_absent(&c);
	if (!c.missing) /* RocksDB asserts when it lists the tables of a store whose log is gone */
		check_tables(&c);
	if (!c.any)
		os_each_entry(dir, check_unnamed, &c, NULL);
	if (!c.any)
		check_rows(&c);
	free(c.chunk);
	buf_fini(&c.tables);
	close(held);
	up->nfiles = c.nfiles;
	up->nrows = c.nrows;
	if (!c.any)
		return ERR_OK;
	fault_set(f, F_StoredDamaged, "%s has corrupt files", dir);
	return ERR_CORRUPT;
}
