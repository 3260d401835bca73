/*
 * store: what is durable. Nine ordered tables of bytes; batches that are on disk, all or nothing, before
 * their completion is reported; reads and scans beside them. RocksDB stands behind it (or another store: face.h) and is seen nowhere else.
 *
 * Threads: reads, submits and questions come from any thread; each lane has one committer thread of the
 * store's own, and completions are reported on it. One process at a time has a directory open.
 *
 * Faults of the disk are of four kinds, and the store never ends the program for the first three:
 *   full     a write found no space: STORE_FULL. Batches are refused until space is back; the store opens itself
 *            again once the disk takes what that needs. Reads go on, but wait while it is opened: 1 to 2 s.
 *   failed   a write failed otherwise: STORE_FAILED. As above.
 *   corrupt  stored bytes are not what was written, or a file is missing. In logs and manifest it is named at open; in a table file at
 *            the read that meets it, by the scrub, with `verify` at open, and by store_check. Met by a write or compaction it fails the store until it is opened anew.
 *   fsync    the kernel could not say what is on disk. Not retried: store_options.fatal.
 */
#ifndef TWINHUB_STORE_H
#define TWINHUB_STORE_H

#include "base/base.h"

/* The numbers are part of the stored format: append only. */
enum store_table {
	STORE_IDENTITY,
	STORE_WANTED,
	STORE_REPORTED,
	STORE_SESSION,
	STORE_HUB, /* the catalogue, counters */
	STORE_LOG, /* the log's messages: whole files are dropped, oldest first, by size and by age */
	STORE_CHANGES,    /* and all else of it, likewise */
	STORE_MESSAGES,   /* to devices, that wait for them */
	STORE_PARTITIONS, /* the log once more, as partitions number it */
	STORE_TABLES
};

#define STORE_KEY_MAX       (4 * 1024)                 /* bytes */
#define STORE_BATCH_MAX     ((size_t)64 * 1024 * 1024) /* bytes, as store_batch_bytes counts */
#define STORE_LANE_INFLIGHT 2 /* batches submitted and not yet reported, per lane */
/* bytes of memory that a lane keeps for the next batch */
#define STORE_SPARE_MAX ((size_t)8 * 1024 * 1024)
#define STORE_LANES_MAX 65 /* one for each shard's worker, and one for what comes from elsewhere */

enum store_result {
	STORE_OK,     /* on disk */
	STORE_FULL,   /* no space; see store_resume */
	STORE_FAILED, /* any other error; see store_resume */
	/* refused before any of it was written, as the store is not ready or an earlier batch of the lane failed: it is certainly
	 * not there, nor will it be found */
	STORE_UNDONE
};

/*
 * The end of a batch, on the lane's committer thread; short, never blocking. In the order of submission within a
 * lane. store_submit may be called from it.
 */
typedef void store_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result);

/* How much of the two tables of the log stays. */
struct store_retention {
	uint64_t log_bytes;     /* of STORE_LOG on disk; 0: 1 GB; UINT64_MAX: nothing goes */
	uint64_t log_age_s;     /* older files of STORE_LOG go; 0: never by age */
	uint64_t changes_bytes; /* the same of STORE_CHANGES; 0: 4 GB */
	uint64_t changes_age_s;
};

struct store_options {
	const char *dir; /* the store's alone; its parent must exist */
	bool create;     /* make it when there is none; else that is ERR_NOT_FOUND */
	/* change no byte of it: logs are replayed in memory, nothing may be submitted */
	bool read_only;
	/* without a log and without syncs: for what is thrown away at the next start */
	bool scratch;
	unsigned lanes; /* committers, 1..STORE_LANES_MAX: one for each worker */
	/* block cache and write buffers together; 0: 64 MB; at least 16 MB */
	uint64_t memory_bytes;
	struct store_retention retention; /* at first; store_retain */
	/* space that shall stay free: store_has_space, and before opening again */
	uint64_t floor_bytes;
	unsigned retry_ms; /* between attempts to open again after a failure; 0: 1,000 */
	bool verify; /* at opening each table file is read against its checksum: ERR_CORRUPT */
	uint64_t scrub_bytes_per_s; /* at which table files are read again; 0: they are not */
	unsigned scrub_rest_ms;     /* between two such passes; 0: a day */
	/* NULL, or by how much its clock is ahead of the machine's: for tests, in which the log gets old by order */
	int64_t (*ahead_us)(void);
	unsigned tick_ms; /* until the length of what is acknowledged is noted; 0: 10,000 */
	void *ctx;        /* for the callbacks; each of them may be NULL */
	store_done *done;
	/* One line, no newline: failed, works again, corrupt file met or found by the scrub, torn record dropped. From any thread. */
	void (*warn)(void *ctx, const char *line);
	/* fsync failed; must not return except in tests. NULL: the line to stderr and _exit(EX_IOERR). */
	void (*fatal)(void *ctx, const char *line);
};

struct store;

/*
 * Where writing is not possible, for want of room or on a disk that takes none, the store is opened for reading: its state is
 * STORE_IS_FULL or STORE_IS_FAILED, as after a failed write, until it can be written.
 *
 * Open the store and recover what was acknowledged: logs are checked byte by byte and replayed (200 MB/s, at most
 * 128 MB). A record torn at the end of a log by a kill was never acknowledged; it is dropped, and told. Sets the umask to 077.
 *
 * ERR_LOCKED     another process, or this one, has it open
 * ERR_NOT_FOUND  nothing there and !create           ERR_CORRUPT  f names the file
 * ERR_FULL       no space to replay the log          ERR_IO       anything else; f has the system's words
 * *out is set only on success; the caller owns it.
 */
enum err store_open(const struct store_options *o, struct store **out, struct fault *f);

/* Finishes and reports what was submitted, then closes. No cursor may be open, no thread inside. NULL is fine. */
void store_close(struct store *s);

/* ---- reading ---- */

/*
 * Append the value of one key to out. Sees every batch reported STORE_OK before the call.
 * ERR_NOT_FOUND; ERR_CORRUPT and ERR_IO (also while the store is being opened again in vain): out is unchanged.
 */
enum err store_get(struct store *s, enum store_table t, struct str key, struct buf *out);

/*
 * Scan the keys from <= key < to in byte order; an empty `to` is the table's end. The rows are those of the moment
 * of opening: take a fresh cursor for each slice where writes go on. A cursor is used and closed by the thread that
 * opened it, and soon: an open one holds up a failed store's opening.
 */
struct store_cursor;
enum store_scan {
	STORE_SCAN = 0,
	STORE_SCAN_BULK = 1, /* many rows: reads ahead 2 MB, leaves the block cache to others */
	STORE_SCAN_ONCE = 2  /* a part of many rows: leaves the block cache to others */
};

enum err store_cursor_open(struct store *s, enum store_table t, struct str from, struct str to,
    enum store_scan how, struct store_cursor **out);
/* Cursors over several tables, all of one moment: a batch is seen by all of them or by none. Each is closed on its own. */
enum err store_cursors_open(struct store *s, const enum store_table *tables, unsigned n,
    struct str from, struct str to, enum store_scan how, struct store_cursor **out);
/* The next row, borrowed until the next call; ERR_END, ERR_CORRUPT, ERR_IO. */
enum err store_next(struct store_cursor *c, struct str *key, struct str *value);
void store_cursor_close(struct store_cursor *c); /* NULL is fine */

/* ---- writing ---- */

/* Changes of one commit, each of a shard; of several of one key the last is kept. Not for two threads at once. */
struct store_batch;

struct store_batch *store_batch_new(void);
void store_batch_free(struct store_batch *b); /* NULL is fine */
void store_batch_put(
    struct store_batch *b, uint32_t shard, enum store_table t, struct str key, struct str value);
/* Of STORE_LOG and STORE_CHANGES only all records together that a former batch has put of a shard: they may stand in one row (pack.h). */
void store_batch_delete(struct store_batch *b, uint32_t shard, enum store_table t, struct str key);
uint32_t store_batch_count(const struct store_batch *b); /* of keys */
size_t store_batch_bytes(const struct store_batch *b);   /* about what the log will grow by */
void store_batch_clear(struct store_batch *b);           /* keeps its memory */
/* An empty batch as store_batch_new() makes it, in the memory of one that this lane is done with, if there is one. */
struct store_batch *store_batch_next(struct store *s, unsigned lane);

/*
 * Hand a batch to the lane's committer, which owns it from here on. Never blocks on the disk. At most
 * STORE_LANE_INFLIGHT at a time: the caller's to keep. An empty batch is reported like others.
 */
void store_submit(struct store *s, unsigned lane, struct store_batch *b, uint64_t cookie);

/*
 * After a batch has failed, all later ones of its lane are refused, whatever the disk does: they were built on what
 * did not happen. When the lane's owner has seen the failure, has no batch in flight and has taken its state back, it
 * says so here; batches are tried again from then on. Also allowed when nothing has failed.
 * One that was full or failed may yet be found on disk when the store was opened again (as one, never in part).
 */
void store_resume(struct store *s, unsigned lane);

/* From now on so much of the log stays. Returns at once: files go soon after, on the store's own threads. Any thread. */
void store_retain(struct store *s, const struct store_retention *r);
/* What the log has in memory gets files, whose age counts from now: before the clock is put ahead. Returns when they are there. */
void store_log_to_files(struct store *s);

/* ---- state ---- */

enum store_state {
	STORE_READY,
	STORE_IS_FULL,   /* opens again when WAL size + floor_bytes are free */
	STORE_IS_FAILED, /* opens again by itself */
	STORE_IS_CORRUPT /* stays so */
};

enum store_state store_state(
    struct store *s, struct fault *why); /* why: may be NULL; text empty when ready */
uint32_t store_generation(
    const struct store *s);                  /* how often it was opened again: 0 after store_open */
uint64_t store_space(const struct store *s); /* free bytes of its file system now; 1 us */
bool store_has_space(const struct store *s); /* store_space >= floor_bytes */

struct store_stats {
	uint64_t commits, commit_bytes, commit_failures; /* batches */
	uint64_t wal_bytes, table_bytes, table_files;    /* on disk */
	uint64_t log_bytes;                              /* of table_bytes, STORE_LOG */
	uint64_t changes_bytes;                          /* of table_bytes, STORE_CHANGES */
	uint64_t l0_files; /* most of any table but those of the log: 20 slow, 36 stop writes */
	uint64_t stall_ms; /* writers held up by compaction, since opening */
	bool write_stopped;
	uint64_t memtable_bytes, cache_bytes, cache_pinned_bytes, reader_bytes; /* memory */
	uint64_t compactions, flushes,
	    memtables;             /* that run; memtables that wait for their flush */
	uint64_t compaction_bytes; /* estimate of what has to be rewritten */
	uint64_t errors;           /* of RocksDB's own work, since opening */
	uint64_t keys, snapshots;  /* estimate; moments that readers hold on to */
	uint64_t inflight;         /* batches submitted and not yet reported */
	uint64_t scrub_bytes, scrub_files,
	    scrub_passes; /* read again since opening; whole passes */
	/* files of the pass under way, and those that it has behind it; 0 of 0: it rests */
	uint64_t scrub_of, scrub_done;
};

/* Table files that a read or the scrub has found damaged, and that are still in use as far as the scrub knows. */
#define STORE_DAMAGED_MAX 16
struct store_damage {
	unsigned n;
	bool more;                          /* there was no place for all */
	uint64_t number[STORE_DAMAGED_MAX]; /* 12: the file 000012.sst */
};
void store_damage(struct store *s, struct store_damage *out);

/* Costs some 100 us, and waits for nothing: while the store is closed by a failure, or is being opened again, what RocksDB says is as it was last. */
void store_stats(struct store *s, struct store_stats *out);

/*
 * An online backup: a directory that opens as a store, with everything reported STORE_OK before the call. On the same
 * file system it shares table files by hard links. dir must not exist, its parent must.
 * ERR_EXISTS, ERR_FULL, ERR_IO, ERR_CORRUPT.
 */
enum err store_checkpoint(struct store *s, const char *dir, struct fault *f);

/*
 * Does the store itself say who serves a shard? Then the number was raised when it was taken by whoever has opened the store, and grows from
 * taker to taker; at_us: the newest time of its commits, of before. false: it does not, and the shard has a record for that.
 */
struct store_epoch {
	uint64_t number;
	int64_t at_us;
};
bool store_epoch(struct store *s, uint32_t shard, struct store_epoch *out);
/* Of such a directory, or another store that nobody writes to: its table files ("000012.sst") and the CRC-32C that each was written with. Changes
 * no byte. ERR_CORRUPT: a checksum was not recorded, or what the library says. */
typedef void store_table_seen(void *ctx, const char *file, uint32_t crc32c);
enum err store_tables(const char *dir, store_table_seen *seen, void *ctx, struct fault *f);
uint32_t store_crc32c(uint32_t crc, const void *bytes, size_t n); /* of more bytes; 0 at first */

/* file: its name in the store's directory. */
typedef void store_tell(void *ctx, const char *file, const char *what);

struct store_checkup {
	store_tell *bad; /* a file that is corrupt, cut or missing; may be NULL */
	/* what a start would drop, remove or make, and what is left to RocksDB; may be NULL */
	store_tell *note;
	void *ctx;
	uint64_t nfiles, nrows; /* out: what was read */
};

/*
 * Check a closed store: each byte of all logs and table files against their checksums, then that each row can be
 * read. Changes no byte in the directory; logs are replayed into memory. Goes on after what is bad. ERR_OK if nothing was,
 * ERR_CORRUPT, ERR_LOCKED, ERR_NOT_FOUND, ERR_IO.
 */
enum err store_check(const char *dir, struct store_checkup *c, struct fault *f);

#endif
