/*
 * store, inside. The order of locks: a lane's mu, or the store's lock (shared by readers and committers, exclusive to
 * the healer) and then mark.mu or fail.mu; nothing is held over a callback but the shared lock.
 *
 * Files in the directory are RocksDB's, and two of ours, which say what RocksDB alone cannot know:
 *   NEWEST-WAL   the number of the newest log that may hold acknowledged rows. RocksDB notices a missing log only
 *                when a newer one exists.
 *   LENGTHS      how long manifest and newest log were at the least. RocksDB takes a file cut between records for whole.
 */
#ifndef TWINHUB_STORE_PRIV_H
#define TWINHUB_STORE_PRIV_H

#include <stdatomic.h>
#include <stdio.h>

#include <rocksdb/c.h>

#include "os/clock.h"
#include "os/os.h"
#include "os/thread.h"
#include "store/face.h"
#include "store/tables.h"

#ifdef __cplusplus
#error "C only: tables.cc has tables.h"
#endif

/* ---- files.c: a directory's files. Names are relative to dir; errors are those of os.h ---- */

#define NAME_BYTES 64
#define PATH_BYTES OS_PATH_MAX

/* "000012.log" with ".log" gives 12. */
bool file_number(const char *name, const char *suffix, uint64_t *number);
bool dir_has(const char *dir, const char *name);
enum err file_open(const char *dir, const char *name, int *fd, struct fault *f); /* for reading */
/* What CURRENT says: the name (of NAME_BYTES) and number of the manifest in force. ERR_CORRUPT when that is none. */
enum err manifest_name(const char *dir, char *name, uint64_t *number, struct fault *f);
/* Does the file system take a new file of so many bytes now? Quotas, inodes and a file system that has become read-only
 * are not in statvfs(2). */
enum err dir_takes(const char *dir, uint64_t bytes, struct fault *f);
/* The whole of a small file; ERR_NOT_FOUND, ERR_SIZE over max, ERR_IO. */
enum err file_read(const char *dir, const char *name, size_t max, struct buf *out, struct fault *f);
/* os_replace_file. */
enum err file_replace(const char *dir, const char *name, struct str content, struct fault *f);

/* ---- crc.c: CRC-32C (Castagnoli), as RocksDB has it in its logs and for whole files ---- */

struct crc_table {
	uint32_t t[8][256];
};

void crc_init(struct crc_table *c); /* 10 us */
/* Start with crc 0. */
uint32_t crc_more(const struct crc_table *c, uint32_t crc, const void *p, size_t n);

/* Whom a look at files tells. */
struct findings {
	store_tell *bad, *note;
	void *ctx;
};

/* ---- wal.c: the files that are written as a log ---- */

/* Each table file of a closed store against its checksum of the whole. check.c */
void tables_check(const char *dir, const struct findings *to);

/* Checks CURRENT, the manifest it names, every log, and that none is missing or cut. The files are corrupt if bad was called. */
void logs_check(const char *dir, const struct findings *to, uint64_t *nfiles);

/*
 * The end of the last whole row of a log at or behind `from`, which is 0 or the end of a row: what is being written, or was
 * written in part, is not counted. RocksDB cuts such a part off when it closes the file. 1 GB/s.
 */
enum err rows_end(int fd, uint64_t from, uint64_t *end, struct fault *f);

/* Numbers and sizes of the logs. */
struct logs {
	uint64_t newest, bytes; /* newest: 0 if there is none */
};
enum err logs_list(const char *dir, struct logs *out, struct fault *f);

/* ---- engine.c: one open RocksDB ---- */

#define ENGINE_FAMILIES (1 + STORE_TABLES)  /* RocksDB insists on "default"; nothing is in it */
#define ENGINE_FORMER   (1 + STORE_CHANGES) /* of format 1 */

struct engine {
	rocksdb_t *db; /* NULL: closed */
	/* how many there are: less of a store of format 1 that is opened for reading, which has none from STORE_CHANGES on */
	unsigned families;
	rocksdb_column_family_handle_t *family[ENGINE_FAMILIES];
	rocksdb_cache_t *cache;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
};

enum engine_mode { ENGINE_OPEN, ENGINE_CREATE, ENGINE_READ_ONLY };

/* told: see tables.h; may be NULL. */
enum err engine_open(struct engine *e, const char *dir, const struct store_options *o,
    enum engine_mode mode, const struct tables_told *told, struct fault *f);
void engine_close(struct engine *e); /* fine when closed */
/* NULL: there is no such table (engine.families). */
static inline rocksdb_column_family_handle_t *
engine_table(const struct engine *e, enum store_table t)
{
	return e->family[1 + t];
}
/* A number that has grown whenever RocksDB may have begun a new log. */
uint64_t engine_version(const struct engine *e);
/* Takes a RocksDB error's text (and frees it): what it means, and the text in f. */
enum err engine_error(char *text, struct fault *f);
bool engine_error_is_sync(
    const struct fault *f); /* fsync or its kin failed, and not for want of space */

/* ---- lengths.c: LENGTHS ---- */

#define LENGTHS_FILE "LENGTHS"
/* no acknowledged batch is longer without being covered by it */
#define LENGTHS_TICK_MS (10 * 1000)

struct lengths {
	uint64_t manifest, manifest_bytes, log, log_bytes; /* numbers; log 0: there is none */
	char rocksdb[24];                                  /* version of the library */
};

enum err lengths_read(
    const char *dir, struct lengths *out, struct fault *f); /* ERR_NOT_FOUND: of a former program */
enum err lengths_write(const char *dir, const struct lengths *l, struct fault *f);
/* The lengths of the files as they are now: enough to see that one has grown. */
enum err lengths_glance(const char *dir, struct lengths *out, struct fault *f);
/* What is durable in them, made so, in whole rows; said: what was before, to look no further back than needed. */
enum err lengths_look(
    const char *dir, const struct lengths *said, struct lengths *out, struct fault *f);
bool lengths_equal(const struct lengths *a, const struct lengths *b);
/* Each file that is shorter, or older, than it was is bad: then false. */
bool lengths_check(const char *dir, const struct findings *to);

/* ---- mark.c: keeps NEWEST-WAL and LENGTHS ahead of what depends on them ---- */

#define MARK_FILE "NEWEST-WAL"

struct mark {
	pthread_mutex_t mu;
	_Atomic uint64_t version; /* engine_version when it was last looked at; 0: look */
	uint64_t newest;          /* what NEWEST-WAL says */
	struct lengths said;      /* what LENGTHS says */
};

enum err mark_write(const char *dir, uint64_t newest, struct fault *f);
enum err mark_read(const char *dir, uint64_t *newest, struct fault *f);
/* Both files, for a directory that nobody has open. */
enum err mark_make(const char *dir, struct fault *f);
/* After an opening. */
enum err mark_begin(struct mark *m, const char *dir, struct fault *f);
/* After a write and before its acknowledgement. */
enum err mark_current(struct mark *m, const char *dir, const struct engine *e, struct fault *f);
/* After a flush or compaction, before files that it has replaced go. */
enum err mark_manifest(struct mark *m, const char *dir, struct fault *f);
/* Whatever has grown. */
enum err mark_lengths(struct mark *m, const char *dir, struct fault *f);

/* ---- batch.c ---- */

struct store_batch {
	struct buf rows; /* changes, one behind the other */
	uint32_t count;  /* of keys */
	uint32_t nslot;  /* a power of two; 0: no change yet */
	uint32_t *slots; /* by a key's hash: where its last change begins in rows, + 1; 0: free */
};

/* ---- the store ---- */

struct lane {
	struct rocks *store;
	unsigned number;
	struct thread thread;
	pthread_mutex_t mu;
	pthread_cond_t more;
	struct {
		struct store_batch *batch;
		uint64_t cookie;
	} queue[STORE_LANE_INFLIGHT];
	unsigned head, queued;
	unsigned inflight; /* queued, and the one being written */
	bool stop;
	bool poisoned; /* all batches are refused until store_resume */
	rocksdb_writebatch_t *scratch;
	struct packer *packer;     /* fills scratch */
	struct store_batch *spare; /* for store_batch_next; NULL: none */
};

struct rocks {
	struct store face;
	struct store_options o;
	char *dir;
	int held; /* dir itself, under flock(2) while the store lives */
	/* shared, by store_share: engine stays; exclusive: the healer changes it */
	pthread_rwlock_t lock;
	struct engine engine;
	struct tables_told told; /* mark follows the manifest */
	struct buf identity;     /* the content of IDENTITY: no other store is taken for this one */
	_Atomic uint64_t last_row; /* that was acknowledged: its number */
	struct mark mark;
	_Atomic enum store_state state;
	atomic_bool cramped; /* free space is below the floor, and a line has said so */
	_Atomic uint32_t generation;
	_Atomic uint64_t commits, commit_bytes, commit_failures;
	struct {
		pthread_mutex_t mu;
		struct store_stats engine; /* as they were when the engine could be asked last */
	} looked;
	struct {
		pthread_mutex_t mu;  /* state is changed under it */
		pthread_cond_t wake; /* the healer's */
		struct thread healer;
		bool stop;
		uint64_t ncovered;           /* commits that LENGTHS covers; the healer's */
		struct fault why;            /* empty when ready */
		char warned[FAULT_TEXT_MAX]; /* the last corrupt read: told once */
		struct store_damage damage;
	} fail;
	struct {
		struct thread thread;
		pthread_mutex_t mu;
		pthread_cond_t wake; /* signalled with stop */
		bool stop;
		int64_t due_ns; /* the next read, by the monotonic clock; the thread's */
		_Atomic uint64_t bytes, files, passes, of, done;
	} scrub;
	struct {
		struct thread thread;
		pthread_mutex_t mu;
		pthread_cond_t wake; /* signalled with those behind it */
		bool stop, changed;
		struct store_retention next; /* what o.retention is to be, if that has changed */
	} retain;
	unsigned nlane; /* started */
	struct lane lanes[];
};

/* A line: it is in this state from now on, and why. */
void state_told(const struct rocks *s, enum store_state state, const struct fault *why);

static inline struct rocks *
rocks_of(const struct store *face)
{
	return (struct rocks *)face;
}

/* ---- the functions of its face: store.h says what each does ---- */

void rocks_close(struct store *face); /* rocks.c */
enum store_state rocks_state(struct store *face, struct fault *why);
uint32_t rocks_generation(const struct store *face);
uint64_t rocks_space(const struct store *face);
bool rocks_has_space(const struct store *face);
enum err rocks_get(
    struct store *face, enum store_table t, struct str key, struct buf *out); /* read.c */
enum err rocks_cursors_open(struct store *face, const enum store_table *tables, unsigned n,
    struct str from, struct str to, enum store_scan how, struct store_cursor **out);
enum err rocks_next(struct store_cursor *face, struct str *key, struct str *value);
void rocks_cursor_close(struct store_cursor *face);
struct store_batch *rocks_batch_next(struct store *face, unsigned lane); /* commit.c */
void rocks_submit(struct store *face, unsigned lane, struct store_batch *b, uint64_t cookie);
void rocks_resume(struct store *face, unsigned lane);
void rocks_retain(struct store *face, const struct store_retention *r);          /* retain.c */
void rocks_log_to_files(struct store *face);                                     /* retain.c */
void rocks_damage(struct store *face, struct store_damage *out);                 /* scrub.c */
void rocks_stats(struct store *face, struct store_stats *out);                   /* stats.c */
enum err rocks_checkpoint(struct store *face, const char *dir, struct fault *f); /* checkpoint.c */

/* ---- what its files share ---- */

/*
 * The shared lock. The healer's wish for the exclusive one comes before those of new readers, so it is not starved by them; a thread
 * that has the lock already gets it again all the same, as it may hold a cursor while it reads.
 */
void store_share(struct rocks *s);
void store_unshare(struct rocks *s);

enum err lanes_start(struct rocks *s, struct fault *f); /* commit.c */
void lanes_stop(struct rocks *s);
uint64_t lanes_inflight(struct rocks *s);                /* batches of all lanes */
enum err healer_start(struct rocks *s, struct fault *f); /* heal.c */
void healer_stop(struct rocks *s);
/* A write ended with e: changes the state, wakes the healer, tells the operator. Under the shared lock. */
void store_fail(struct rocks *s, enum err e, const struct fault *f);
enum err scrub_start(struct rocks *s,
    struct fault *f); /* scrub.c; fine when it is off, and both when it does not run */
void scrub_stop(struct rocks *s);
enum err retain_start(struct rocks *s, struct fault *f); /* retain.c */
void retain_stop(struct rocks *s);
/* Of a family of the log that is kept so long; 0: not by age. RocksDB's option, and the time that one file may span. */
uint64_t retain_ttl_s(uint64_t age_s);
uint64_t retain_span_s(uint64_t age_s);
/* RocksDB's option of a family that has so many bytes (as store_retention has them). */
#define RETAIN_FIFO_MAX 80
void retain_fifo(char out[RETAIN_FIFO_MAX], enum store_table t, uint64_t bytes);
/* RocksDB has met corruption: the table file that its words name is noted as damaged. */
void damage_met(struct rocks *s, const struct fault *f);
/* Its directory is not there: a disk that was unplugged, a file system that was taken off. It may return. */
bool store_is_away(const struct rocks *s);
/* A read ended with e: tells the operator if it is corruption. */
enum err store_read_failed(struct rocks *s, char *text);
enum err engine_recover(struct rocks *s, struct fault *f); /* rocks.c: check the logs, open, mark */
/* When that has failed for want of room, or as the disk takes no writes: the engine for reading. Any error leaves it closed. */
enum err engine_recover_to_read(struct rocks *s, enum err e);

#endif
