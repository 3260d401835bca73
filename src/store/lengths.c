/*
 * LENGTHS: how long the newest manifest and the newest log were at the least, and whose RocksDB wrote them:
 *
 *   manifest 12 4711
 *   log 13 129
 *   rocksdb 7.8.3
 *   sum 0f3c9a2b             CRC-32C of the lines above
 *
 * A manifest or log that ends with a whole record is whole to RocksDB, whatever it has lost: it would start with the state
 * before, and delete for good the tables that the manifest does not name any more. So what is durable is written down here,
 * after it is and before something depends on it: at an opening; at the first batch of each log; when a flush or compaction is in the
 * manifest, before the files that it replaces go; at most LENGTHS_TICK_MS after a batch; at closing. Never more than what is durable:
 * the files are synced first; and never a part of a row, which may be of a write that fails, and then RocksDB cuts it off. A store of former programs has none, which is accepted: they are bounds from below, so also what such
 * a program left behind when it had the store in between is never too much.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/priv.h"

#define LENGTHS_BYTES_MAX 256
#define VANISHED_TRIES    3 /* a name that was read, and is another's before it is opened */

/* ---- the file ---- */

static uint32_t
sum_of(struct str text)
{
	struct crc_table table;

	crc_init(&table);
	return crc_more(&table, 0, text.p, text.n);
}

enum err
lengths_write(const char *dir, const struct lengths *l, struct fault *f)
{
	struct buf text = { 0 };
	enum err e;

	buf_printf(&text,
	    "manifest %" PRIu64 " %" PRIu64 "\nlog %" PRIu64 " %" PRIu64 "\nrocksdb %s\n",
	    l->manifest, l->manifest_bytes, l->log, l->log_bytes, l->rocksdb);
	buf_printf(&text, "sum %08" PRIx32 "\n", sum_of(buf_view(&text)));
	e = file_replace(dir, LENGTHS_FILE, buf_view(&text), f);
	buf_fini(&text);
	return e;
}

/* Takes "WORD " and what follows it to the line's end. */
static bool
take_line(struct str *rest, const char *word, struct str *value)
{
	struct str line;

	if (!str_cut(*rest, '\n', &line, rest) || !str_starts(line, str_of(word)))
		return false;
	*value = str_sub(line, strlen(word));
	return true;
}

static bool
take_numbers(struct str *rest, const char *word, uint64_t *a, uint64_t *b)
{
	struct str value, first, second;

	return take_line(rest, word, &value) && str_cut(value, ' ', &first, &second) &&
	    str_u64(first, a) && str_u64(second, b);
}

static bool
lengths_parse(struct str text, struct lengths *l)
{
	struct str rest = text, version, sum, covered;
	char expected[16];

	if (!take_numbers(&rest, "manifest ", &l->manifest, &l->manifest_bytes) ||
	    !take_numbers(&rest, "log ", &l->log, &l->log_bytes) ||
	    !take_line(&rest, "rocksdb ", &version) || version.n >= sizeof l->rocksdb)
		return false;
	covered = (struct str){ text.p, text.n - rest.n };
	snprintf(l->rocksdb, sizeof l->rocksdb, STR_FMT, STR_ARG(version));
	snprintf(expected, sizeof expected, "%08" PRIx32, sum_of(covered));
	return take_line(&rest, "sum ", &sum) && rest.n == 0 && str_eq(sum, str_of(expected));
}

enum err
lengths_read(const char *dir, struct lengths *out, struct fault *f)
{
	struct buf text = { 0 };
	enum err e = file_read(dir, LENGTHS_FILE, LENGTHS_BYTES_MAX, &text, f);

	*out = (struct lengths){ 0 };
	if (e == ERR_OK && !lengths_parse(buf_view(&text), out)) {
		*out = (struct lengths){ 0 };
		fault_set(
		    f, F_StoredDamaged, "%s/" LENGTHS_FILE ": does not match its checksum", dir);
		e = ERR_CORRUPT;
	}
	buf_fini(&text);
	return e;
}

/* ---- the files that it is about ---- */

/* Opens what is now the newest of its kind, or says which one that is and how long. fd: -1 when there is none. */
static enum err
open_newest_log(const char *dir, uint64_t *number, int *fd, struct fault *f)
{
	char name[NAME_BYTES];
	struct logs found;
	enum err e = logs_list(dir, &found, f);

	*number = found.newest;
	*fd = -1;
	if (e != ERR_OK || found.newest == 0)
		return e;
	snprintf(name, sizeof name, "%06" PRIu64 ".log", found.newest);
	return file_open(dir, name, fd, f);
}

static enum err
open_manifest(const char *dir, uint64_t *number, int *fd, struct fault *f)
{
	char name[NAME_BYTES];
	enum err e = manifest_name(dir, name, number, f);

	*fd = -1;
	return e != ERR_OK ? e : file_open(dir, name, fd, f);
}

static enum err
size_of(int fd, uint64_t *bytes, struct fault *f)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return os_fault(f, "reading", "a log");
	*bytes = (uint64_t)st.st_size;
	return ERR_OK;
}

/* Its whole rows, made durable. */
static enum err
rows_of(int fd, uint64_t from, uint64_t *bytes, struct fault *f)
{
	uint64_t size = 0;
	enum err e = size_of(fd, &size, f);

	if (e == ERR_OK)
		e = rows_end(fd, from <= size ? from : 0, bytes, f);
	return e != ERR_OK || fdatasync(fd) == 0 ? e : os_fault(f, OS_SYNC_FAILED, "a log");
}

typedef enum err open_newest(const char *dir, uint64_t *number, int *fd, struct fault *f);

/* A file's number and how much of it counts; said: see lengths_look, NULL for the bare size. */
struct length {
	uint64_t number, bytes;
};

static enum err
newest_length(const char *dir, open_newest *open, const struct length *said, struct length *out,
    struct fault *f)
{
	enum err e = ERR_NOT_FOUND;
	int fd = -1;

	for (unsigned i = 0; i < VANISHED_TRIES && e == ERR_NOT_FOUND; i++)
		e = open(dir, &out->number, &fd, f);
	if (fd < 0)
		return e;
	if (e == ERR_OK && said == NULL)
		e = size_of(fd, &out->bytes, f);
	else if (e == ERR_OK)
		e = rows_of(fd, said->number == out->number ? said->bytes : 0, &out->bytes, f);
	close(fd);
	return e;
}

static enum err
look(const char *dir, const struct lengths *said, struct lengths *out, struct fault *f)
{
	struct length manifest = { 0 }, log = { 0 }, was[2] = { 0 };
	enum err e;

	if (said != NULL) {
		was[0] = (struct length){ said->manifest, said->manifest_bytes };
		was[1] = (struct length){ said->log, said->log_bytes };
	}
	e = newest_length(dir, open_manifest, said ? &was[0] : NULL, &manifest, f);
	if (e == ERR_OK)
		e = newest_length(dir, open_newest_log, said ? &was[1] : NULL, &log, f);
	*out = (struct lengths){ manifest.number, manifest.bytes, log.number, log.bytes, "" };
	snprintf(out->rocksdb, sizeof out->rocksdb, "%s", tables_version());
	return e;
}

enum err
lengths_glance(const char *dir, struct lengths *out, struct fault *f)
{
	return look(dir, NULL, out, f);
}

enum err
lengths_look(const char *dir, const struct lengths *said, struct lengths *out, struct fault *f)
{
	return look(dir, said, out, f);
}

bool
lengths_equal(const struct lengths *a, const struct lengths *b)
{
	return a->manifest == b->manifest && a->manifest_bytes == b->manifest_bytes &&
	    a->log == b->log && a->log_bytes == b->log_bytes && strcmp(a->rocksdb, b->rocksdb) == 0;
}

/* ---- are they still so long? ---- */

static bool
check_length(const char *dir, const char *name, uint64_t least, const struct findings *to)
{
	char why[96];
	struct stat st;
	bool cut;
	int fd;

	if (file_open(dir, name, &fd, NULL) != ERR_OK)
		return true; /* named where it is missed */
	if ((cut = fstat(fd, &st) == 0 && (uint64_t)st.st_size < least)) {
		snprintf(why, sizeof why, "cut: %" PRIu64 " bytes of at least %" PRIu64,
		    (uint64_t)st.st_size, least);
		to->bad(to->ctx, name, why);
	}
	close(fd);
	return !cut;
}

static bool
check_manifest(const char *dir, const struct lengths *l, const struct findings *to)
{
	char name[NAME_BYTES], why[NAME_BYTES + 96];
	uint64_t number;

	if (manifest_name(dir, name, &number, NULL) != ERR_OK || number > l->manifest)
		return true;
	if (number == l->manifest)
		return check_length(dir, name, l->manifest_bytes, to);
	snprintf(why, sizeof why, "names %s, but MANIFEST-%06" PRIu64 " was the newest", name,
	    l->manifest);
	to->bad(to->ctx, "CURRENT", why);
	return false;
}

/* Gone is a log whose rows are in tables: RocksDB knows. */
static bool
check_log(const char *dir, const struct lengths *l, const struct findings *to)
{
	char name[NAME_BYTES];

	snprintf(name, sizeof name, "%06" PRIu64 ".log", l->log);
	return l->log == 0 || check_length(dir, name, l->log_bytes, to);
}

static bool
check_mark(const char *dir, const struct lengths *l, const struct findings *to)
{
	uint64_t newest;

	if (mark_read(dir, &newest, NULL) != ERR_OK || newest >= l->log)
		return true;
	to->bad(to->ctx, MARK_FILE, "names an older log than " LENGTHS_FILE);
	return false;
}

bool
lengths_check(const char *dir, const struct findings *to)
{
	char what[96];
	struct fault f = { 0 };
	struct lengths l;
	enum err e = lengths_read(dir, &l, &f);
	bool manifest, log;

	if (e != ERR_OK) {
		if (e != ERR_NOT_FOUND)
			to->bad(to->ctx, LENGTHS_FILE, f.text);
		return e == ERR_NOT_FOUND;
	}
	if (strcmp(l.rocksdb, tables_version()) != 0) {
		snprintf(what, sizeof what, "written by RocksDB %s, this one is %s", l.rocksdb,
		    tables_version());
		to->note(to->ctx, LENGTHS_FILE, what);
	}
	manifest = check_manifest(dir, &l, to);
	log = check_log(dir, &l, to);
	return check_mark(dir, &l, to) && manifest && log;
}
