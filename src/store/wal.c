/*
 * The files RocksDB writes as a log: the write-ahead logs and the manifest. Blocks of 32 KB; in them records that
 * never cross a block's end, the rest of a block being zeros when a header does not fit:
 *
 *   | checksum 4, masked CRC-32C of type and payload | length 2 | type 1 | payload ... |     little-endian
 *
 * A long row is FIRST, MIDDLE..., LAST in successive blocks, a short one FULL.
 *
 * RocksDB in its recovery mode 0 refuses a bad checksum, but in the file's last block takes a record that claims to
 * be longer than the file for one torn by a crash, and a header of zeros for the end: one bad byte in a length would
 * drop acknowledged rows without a word. So all of it is read here first (a disk's speed; the replay then finds it in
 * the page cache), with these rules: torn is what ends with the file, and what is torn must not become whole by
 * a shorter length; zeros must go on to the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/priv.h"

#define BLOCK_BYTES  32768
#define HEADER_BYTES 7
#define MASK_DELTA   0xa282ead8u

enum record_type { T_ZERO, T_FULL, T_FIRST, T_MIDDLE, T_LAST };
enum verdict { V_GO_ON, V_TORN, V_ZEROS, V_BAD };

/* Some types, and perhaps those of a newer RocksDB, have the log's number between header and payload. */
#define NUMBER_BYTES 4

struct scan {
	struct crc_table crc;
	uint8_t block[BLOCK_BYTES];
	size_t n;         /* bytes in block */
	bool inside;      /* between FIRST and LAST */
	uint64_t at;      /* file offset of block */
	uint64_t row_at;  /* where the row begins that it is inside of */
	uint64_t torn_at; /* where what counts ends; NOT_TORN: with the file */
	unsigned unknown; /* records of types that are not known here */
	uint8_t unknown_type;
	char why[160];
};

#define NOT_TORN UINT64_MAX

struct record {
	uint32_t sum;
	uint32_t length;
	uint8_t type;
	const uint8_t *payload;
};

static struct record
record_at(const struct scan *s, size_t off)
{
	const uint8_t *h = s->block + off;

	return (struct record){
		.sum = (uint32_t)h[0] | (uint32_t)h[1] << 8 | (uint32_t)h[2] << 16 |
		    (uint32_t)h[3] << 24,
		.length = (uint32_t)h[4] | (uint32_t)h[5] << 8,
		.type = h[6],
		.payload = h + HEADER_BYTES,
	};
}

static uint32_t
mask(uint32_t crc)
{
	return ((crc >> 15) | (crc << 17)) + MASK_DELTA;
}

static uint32_t
record_sum(const struct scan *s, const struct record *r)
{
	return mask(crc_more(
	    &s->crc, 0, r->payload - 1, 1 + r->length)); /* the type is before the payload */
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static enum verdict
bad(struct scan *s, size_t off, const char *what)
{
	snprintf(s->why, sizeof s->why, "%s at byte %" PRIu64, what, s->at + off);
	return V_BAD;
}

/* Whether a record could begin here, or nothing more comes: after the end of a record that was believed too long. */
static bool
could_follow(const struct scan *s, size_t off)
{
	struct record r;

	if (s->n - off < HEADER_BYTES)
		return true;
	r = record_at(s, off);
	if (r.type < T_FULL || r.type > T_LAST)
		return false;
	if (r.length > s->n - off - HEADER_BYTES)
		return true;
	return record_sum(s, &r) == r.sum;
}

/*
 * A record that ends beyond the file: torn, unless some shorter length fits its checksum and what follows makes sense.
 * That a torn record is taken for a corrupt one by chance: 32768 lengths in 2^32 sums, 4 types in 256.
 */
static enum verdict
check_tail(struct scan *s, size_t off)
{
	struct record r = record_at(s, off);
	size_t rest = s->n - off - HEADER_BYTES;
	uint32_t crc = crc_more(&s->crc, 0, &r.type, 1);

	for (size_t k = 0; k <= rest; k++) {
		if (k > 0)
			crc = crc_more(&s->crc, crc, r.payload + k - 1, 1);
		if (mask(crc) == r.sum && could_follow(s, off + HEADER_BYTES + k))
			return bad(s, off, "a record with a wrong length");
	}
	return V_TORN;
}

/* The record's length with its header; 0 if its checksum fits none. */
static size_t
record_size(const struct scan *s, size_t off, struct record *r)
{
	if (record_sum(s, r) == r->sum)
		return HEADER_BYTES + r->length;
	if (r->type <= T_LAST || r->length + NUMBER_BYTES > s->n - off - HEADER_BYTES)
		return 0;
	r->length += NUMBER_BYTES;
	return record_sum(s, r) == r->sum ? HEADER_BYTES + r->length : 0;
}

/* Checks it and steps over it. What this program does not know may be known to the library, which reads it after us. */
static enum verdict
check_record(struct scan *s, size_t *off, struct record *r)
{
	size_t n = record_size(s, *off, r);

	if (n == 0)
		return bad(s, *off, "a record does not match its checksum");
	if (r->type == T_ZERO)
		return bad(s, *off, "a record of no type");
	if (r->type > T_LAST) {
		s->unknown++;
		s->unknown_type = r->type;
	} else {
		if (s->inside != (r->type == T_MIDDLE || r->type == T_LAST))
			return bad(s, *off, "a part of a row without the others");
		if (!s->inside)
			s->row_at = s->at + *off;
		s->inside = r->type == T_FIRST || r->type == T_MIDDLE;
	}
	*off += n;
	return V_GO_ON;
}

/* What begins here is no whole record, and the file's last. */
static enum verdict
torn(struct scan *s, size_t off, enum verdict v)
{
	s->torn_at = s->at + off;
	return v;
}

static enum verdict
check_block(struct scan *s)
{
	size_t off = 0;
	enum verdict v;

	while (s->n - off >= HEADER_BYTES) {
		struct record r = record_at(s, off);

		if (all_zero(s->block + off, HEADER_BYTES))
			return all_zero(s->block + off, s->n - off)
			    ? torn(s, off, V_ZEROS)
			    : bad(s, off, "zeros before bytes");
		if (r.length > s->n - off - HEADER_BYTES && s->n == BLOCK_BYTES)
			return bad(s, off, "a record longer than its block");
		if (r.length > s->n - off - HEADER_BYTES)
			return check_tail(s, off) == V_BAD ? V_BAD : torn(s, off, V_TORN);
		if ((v = check_record(s, &off, &r)) != V_GO_ON)
			return v;
	}
	if (s->n == BLOCK_BYTES && !all_zero(s->block + off, s->n - off))
		return bad(s, off, "bytes between blocks");
	return s->n < BLOCK_BYTES && off < s->n ? torn(s, off, V_TORN) : V_GO_ON;
}

/* One block into s; false on an error, in errno. s->n is 0 at the end. */
static bool
next_block(struct scan *s, int fd)
{
	s->at += s->n;
	s->n = 0;
	while (s->n < BLOCK_BYTES) {
		ssize_t n = pread(fd, s->block + s->n, BLOCK_BYTES - s->n, (off_t)(s->at + s->n));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		s->n += (size_t)n;
	}
	return true;
}

/* True if the file is as it was written, a torn end aside; else s->why says what is wrong with it. */
static bool
check_file(struct scan *s, int fd)
{
	enum verdict v = V_GO_ON;

	s->n = 0;
	s->at = 0;
	s->inside = false;
	s->torn_at = NOT_TORN;
	s->unknown = 0;
	for (;;) {
		if (!next_block(s, fd)) {
			snprintf(s->why, sizeof s->why, "%s", strerror(errno));
			return false;
		}
		if (s->n == 0) {
			if (s->inside) /* a row whose last part never came */
				s->torn_at = s->row_at;
			return true;
		}
		if (v == V_ZEROS) { /* nothing may follow them */
			if (!all_zero(s->block, s->n))
				v = bad(s, 0, "bytes after zeros");
		} else {
			v = check_block(s);
		}
		if (v == V_BAD)
			return false;
	}
}

/* Goes by the records that are whole; false when there is none behind them. */
static bool
follow_block(struct scan *s, size_t off, uint64_t *end)
{
	while (s->n - off >= HEADER_BYTES) {
		struct record r = record_at(s, off);

		if (r.length > s->n - off - HEADER_BYTES || check_record(s, &off, &r) != V_GO_ON)
			return false;
		if (!s->inside)
			*end = s->at + off;
	}
	return s->n == BLOCK_BYTES;
}

enum err
rows_end(int fd, uint64_t from, uint64_t *end, struct fault *f)
{
	struct scan *s = xmalloc(sizeof *s);
	size_t off = (size_t)(from % BLOCK_BYTES);
	enum err e = ERR_OK;

	crc_init(&s->crc);
	s->at = from - off;
	s->n = 0;
	s->inside = false;
	s->unknown = 0;
	*end = from;
	do {
		if (!next_block(s, fd))
			e = os_fault(f, "reading", "a log");
		else if (s->n <= off || !follow_block(s, off, end))
			break;
		off = 0;
	} while (e == ERR_OK);
	free(s);
	return e;
}

/* ---- the files of a directory ---- */

struct checker {
	const char *dir;
	const struct findings *to;
	bool whole; /* none was cut: what is torn is torn by a kill */
	uint64_t nfiles;
	struct scan *scan;
};

static void
note_oddities(const struct checker *c, const char *name)
{
	const struct scan *s = c->scan;
	char what[160];

	if (s->torn_at != NOT_TORN && c->whole) {
		snprintf(what, sizeof what,
		    "its last %" PRIu64
		    " bytes were never acknowledged, and are dropped by a start",
		    s->at - s->torn_at);
		c->to->note(c->to->ctx, name, what);
	}
	if (s->unknown > 0) {
		snprintf(what, sizeof what,
		    "%u records of types that are not known here (the last one: %u), left to "
		    "RocksDB",
		    s->unknown, s->unknown_type);
		c->to->note(c->to->ctx, name, what);
	}
}

static void
check_name(struct checker *c, const char *name)
{
	char path[PATH_BYTES];
	int fd;

	c->nfiles++;
	snprintf(path, sizeof path, "%s/%s", c->dir, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		c->to->bad(c->to->ctx, name, errno == ENOENT ? "missing" : strerror(errno));
		return;
	}
	if (check_file(c->scan, fd))
		note_oddities(c, name);
	else
		c->to->bad(c->to->ctx, name, c->scan->why);
	close(fd);
}

static enum err
check_if_log(void *ctx, const char *name)
{
	struct checker *c = ctx;
	uint64_t number;

	if (file_number(name, ".log", &number))
		check_name(c, name);
	return ERR_OK;
}

static void
check_current(struct checker *c)
{
	struct fault f = { 0 };
	char name[NAME_BYTES];
	uint64_t number;

	c->nfiles++;
	if (manifest_name(c->dir, name, &number, &f) != ERR_OK)
		c->to->bad(c->to->ctx, "CURRENT", f.text);
	else
		check_name(c, name);
}

static void
check_newest(struct checker *c)
{
	struct fault f = { 0 };
	struct logs found;
	uint64_t newest;
	char name[NAME_BYTES];

	c->nfiles++;
	if (mark_read(c->dir, &newest, &f) != ERR_OK || logs_list(c->dir, &found, &f) != ERR_OK) {
		c->to->bad(c->to->ctx, MARK_FILE, f.text);
	} else if (found.newest < newest) {
		snprintf(name, sizeof name, "%06" PRIu64 ".log", newest);
		c->to->bad(c->to->ctx, name, "missing");
	}
}

void
logs_check(const char *dir, const struct findings *to, uint64_t *nfiles)
{
	struct checker c = { .dir = dir, .to = to, .scan = xmalloc(sizeof *c.scan) };
	struct fault f = { 0 };

	crc_init(&c.scan->crc);
	c.whole = lengths_check(dir, to);
	check_current(&c);
	if (os_each_entry(dir, check_if_log, &c, &f) != ERR_OK)
		to->bad(to->ctx, "", f.text);
	check_newest(&c);
	*nfiles += c.nfiles;
	free(c.scan);
}

struct lister {
	const char *dir;
	struct logs *out;
};

static enum err
list_if_log(void *ctx, const char *name)
{
	const struct lister *l = ctx;
	char path[PATH_BYTES];
	struct stat st;
	uint64_t number;

	if (!file_number(name, ".log", &number))
		return ERR_OK;
	if (number > l->out->newest)
		l->out->newest = number;
	snprintf(path, sizeof path, "%s/%s", l->dir, name);
	if (stat(path, &st) == 0) /* gone meanwhile: no bytes */
		l->out->bytes += (uint64_t)st.st_size;
	return ERR_OK;
}

enum err
logs_list(const char *dir, struct logs *out, struct fault *f)
{
	struct lister l = { dir, out };

	*out = (struct logs){ 0 };
	return os_each_entry(dir, list_if_log, &l, f);
}
