/*
 * shard: a 64th of the fleet in memory, and what it has written that is not on disk yet.
 *
 *   rows      an identity each, device or module, at a number and an address that are its own while it lives (shard/row.h)
 *   records   what the store holds of it; of each row those that were needed lately are in memory (shard/record.h)
 *   undo      every change in memory notes how it is taken back, should its commit fail
 *   columns   what queries ask for, by row (query/columns.h), brought up to date before each look
 *   features  what the rooms above keep in a shard and hear of its rows (shard/feature.h)
 *
 * Pure: what it writes, and what it sets off, goes through struct hub_env. One thread at a time may use a shard.
 * What is stored: docs/architecture.md, "Stored formats".
 */
#ifndef TWINHUB_SHARD_SHARD_H
#define TWINHUB_SHARD_SHARD_H

#include "auth/auth.h"
#include "codec/codec.h"
#include "event/event.h"
#include "event/what.h"
#include "message/message.h"
#include "query/query.h"
#include "twin/twin.h"

#define SHARDS 64u /* fixed when a data directory is made; a power of two */

/* The shard of a device and of its modules. */
uint32_t hub_shard_of(struct str device);

/* ---- records: what the store holds ---- */

enum record_kind {
	RECORD_IDENTITY, /* keys, authentication, row number */
	RECORD_WANTED,   /* etag counter, tags, desired, configurations */
	RECORD_REPORTED, /* last activity, reported */
	RECORD_SESSION,  /* filters of a durable session; absent: none */
	RECORD_QUEUE,    /* of messages to a device (message/message.h); absent: it is empty */
	RECORD_KINDS,
	RECORD_LOG = RECORD_KINDS, /* the log's messages: event/event.h */
	RECORD_CHANGES,            /* and all else of it */
	RECORD_MESSAGE,            /* the body of a message to a device */
	RECORD_PARTITION,          /* of events, as partitions number them: partition/partition.h */
	RECORD_COMMON              /* of no identity: those of features; shard_common */
};
#define RECORD_BIT(kind) (1u << (kind))

/* Key: shard (2 bytes, big-endian), device id, 0, module id. At most HUB_KEY_MAX bytes. */
#define HUB_KEY_MAX    (3 + 2 * ID_MAX)
#define HUB_PREFIX_MAX 32 /* of keys of RECORD_COMMON */
void hub_key(struct buf *out, uint32_t shard, struct str device, struct str module);
/* Can these bytes be that record? Asked once, when they come from the store. */
bool record_valid(enum record_kind kind, struct str bytes);

/* Subscriptions, as OP_SUBSCRIBE and the stored session hold them. */
#define FILTERS_MAX 5 /* L-77 */

struct filter {
	enum filter_kind kind;
	uint8_t qos;     /* requested, or granted: 0 or 1 */
	struct str name; /* method name of a per-method filter; else the filter's text is implied */
};
void filters_put(struct buf *out, const struct filter *f);
bool filters_next(struct rd *rd, struct filter *f); /* false at the end, or when rd->bad */

/* The record of a shard's epoch (epoch.c), as bytes: for who carries a hub to where epochs are kept otherwise. */
void epoch_record_put(
    struct buf *key, struct buf *value, uint32_t shard, uint64_t epoch, int64_t at_us);
/* Of another key or value: false. */
bool epoch_record_get(
    struct str key, struct str value, uint32_t *shard, uint64_t *epoch, int64_t *at_us);

/* One line of an export: an item that OP_IDENTITY_IMPORT takes, as JSON without a line break. The records are as stored.
 * keys: with the symmetric keys. ERR_CORRUPT: they cannot be what was written; json is as before. */
enum err hub_export_item(struct buf *json, struct str key, struct str identity, struct str wanted,
    struct str reported, bool keys);

/* ---- what a change in a shard is given, and what it gives ---- */

/* Who it is there: a client's session or request, or, of calls of methods, a job. */
enum caller { CALLER_CLIENT, CALLER_JOB, CALLERS };

/* Where an answer goes. A stale generation is dropped silently by the receiver. */
struct reply_to {
	uint8_t node;   /* the slot of the node that it is on */
	uint8_t caller; /* enum caller */
	uint16_t loop;
	uint32_t slot, generation;
};

struct undo;
struct effect;
struct catalogue;
struct limit_counts;

struct hub_env {
	int64_t now_us; /* one instant per batch; goes back with the clock, if that is set back */
	/* since some point in the past; never goes back: for what has to rest */
	int64_t elapsed_us;
	int64_t ahead_us;    /* of the clocks of clients, whose tokens are judged: 0 but in tests */
	struct sas_mac *mac; /* of the calling thread */
	const struct catalogue *catalogue;
	const struct log_what *log;           /* which records are made; NULL: log_what_default */
	const struct message_rules *messages; /* NULL: message_rules_default */
	/* how many there may be of other things; NULL: nothing is said */
	const struct limit_counts *counts;
	uint64_t identities_left;    /* how many more may be created (L-24) */
	uint64_t message_bytes_left; /* of messages that may be given to sessions now */
	bool can_write; /* false: the store takes no writes; only what op_writes denies comes */
	struct buf *scratch; /* working memory, kept from call to call */
	void *ctx;
	void (*random)(void *ctx, void *p, size_t n);
	void (*put)(
	    void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value);
	void (*del)(void *ctx, uint32_t shard, enum record_kind kind, struct str key);
	void (*effect)(void *ctx, const struct effect *e);
	struct undo *undo;
};

static inline const struct log_what *
env_logs(const struct hub_env *env)
{
	return env->log != NULL ? env->log : &log_what_default;
}

static inline const struct message_rules *
env_messages(const struct hub_env *env)
{
	return env->messages != NULL ? env->messages : &message_rules_default;
}

struct undo *undo_new(void);
void undo_free(struct undo *u);
/*
 * Put everything back that the operations since undo_new / the last undo_commit did, newest first. The sink hears what
 * the store must hold then: a batch that failed may be found there all the same. Until undo_commit is called the
 * documents that were put back stay in memory, so that nobody reads from the store what never happened.
 */
struct undo_sink {
	void *ctx;
	void (*put)(
	    void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value);
	void (*del)(void *ctx, uint32_t shard, enum record_kind kind, struct str key);
};
void undo_rollback(struct undo *u, const struct undo_sink *sink);
/* They are on disk, or, after a rollback, the sink's writes are: forget them. */
void undo_commit(struct undo *u);
/* Bytes of the documents that it keeps in memory; a rollback's writes are about as many. */
size_t undo_bytes(const struct undo *u);
/* Move the entries of `from` behind those of u. */
void undo_append(struct undo *u, struct undo *from);

/* ---- a shard ---- */

struct shard;
struct feature;

/* features: NULL at the end, borrowed for its life; NULL: none. */
struct shard *shard_new(uint32_t index, const struct feature *const *features);
void shard_free(struct shard *sh);
uint32_t shard_index(const struct shard *sh);

/* At start: one identity record as stored, in the order of their keys. ERR_CORRUPT if it is not one, its row is taken,
 * or it is a module without its device. */
enum err shard_load(struct shard *sh, struct str key, struct str record);
/* Then its queues, as stored: how many messages each device has is known from then on. ERR_CORRUPT: it is none, or nobody's. */
enum err shard_load_queue(struct shard *sh, struct str key, struct str record);
/* One record of RECORD_COMMON as stored; value NULL: it is gone. ERR_CORRUPT. What is no feature's here is passed over. */
enum err shard_common(struct shard *sh, struct str key, const struct str *value);
/* The prefixes of the keys that a shard has there: give the one before, first STR_NONE, until false. */
bool shard_common_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX]);
/*
 * After the last: the free rows begin their rest; marks and epochs of sessions go on with the shard's next epoch. Answered is the time from
 * which the shard's goes on: now, or 10 ms behind the newest time that is stored of it, if that is later.
 */
struct shard_begin {
	int64_t now_us, elapsed_us;
	/* the last one of a log whose end is not stored, of a directory of format 1; else 0 */
	uint64_t position;
	/* of a store that keeps epochs itself, raised already, with its newest time; 0: it does not, there is a record */
	uint64_t epoch;
	int64_t at_us;
	/* so long it is waited for sessions that go on (O-231), until the log tells that they have ended; 0: there are none */
	int64_t patience_us;
};
int64_t shard_loaded(struct shard *sh, const struct shard_begin *b);
/* Is the epoch not stored yet, or taken back? Then it is to be, with the first writes of all. */
bool shard_epoch_due(const struct shard *sh);
void shard_epoch_raise(struct shard *sh, const struct hub_env *env);
/* Is the log's end stored? It is from the first record on. */
bool shard_log_known(const struct shard *sh);
/* The position that the next record of the log gets. */
uint64_t shard_log_next(const struct shard *sh);
/* What such a record of another node's says; 0: it is none. */
uint64_t log_end_position(struct str record);
/* The end of the log as it is now: it belongs into each batch that has records of the log, once. */
void shard_put_log_end(struct shard *sh, const struct undo_sink *sink);

/* Give one record of an identity that is not in memory; value NULL: there is none. ERR_CORRUPT names nothing: the caller knows
 * the key. */
enum err hub_fill(struct shard *sh, struct str device, struct str module, enum record_kind kind,
    const struct str *value);
/* Drop documents that no one needs until at most `bytes` are cached, by a clock over the rows; connected sessions
 * and rows touched since the hand passed stay longer. Never drops what an undo entry may put back. */
void shard_evict(struct shard *sh, uint64_t bytes);

/* Grows with every change of a row, over restarts too: of two moments the later one has the larger number. */
uint64_t shard_mark(const struct shard *sh);
uint32_t shard_rows(const struct shard *sh);         /* row numbers are below this */
uint32_t shard_identities(const struct shard *sh);   /* devices and modules */
uint64_t shard_cached_bytes(const struct shard *sh); /* documents in memory */
uint64_t shard_messages(const struct shard *sh);     /* to its devices, that wait */
/* How many identities have no such record in memory. */
uint32_t shard_records_missing(const struct shard *sh, enum record_kind kind);
/* Devices, modules not counted (service-rest.md 14). */
struct shard_counts {
	uint32_t devices, disabled, connected;
};
const struct shard_counts *shard_counts(const struct shard *sh);

/* ---- sessions, in the log ---- */

/* Is there something of them that the log has not told yet? Since when, by elapsed_us. */
bool connections_wait(const struct shard *sh, int64_t *since_us);
/* When sessions that the log knows of, and nobody has resumed by then, have ended, by elapsed_us; INT64_MAX: there are none to be missed. */
int64_t connections_missed_us(const struct shard *sh);
/* It is that late: connections_wait, if there are some. */
void connections_miss(struct shard *sh);
/* Tell it of at most `max` rows, oldest first, by records of this round; how many rows it looked at. */
uint32_t connections_tell(struct shard *sh, uint32_t max, const struct hub_env *env);

/* ---- its rows, by number ---- */

/* A row by number: its ids. false when the row is free. */
bool shard_row(const struct shard *sh, uint32_t row, struct str *device, struct str *module);
/* The row of an identity, TABLE_NONE if there is none. */
uint32_t shard_find(const struct shard *sh, struct str device, struct str module);
/* Of its key, stable over releases: rollout_place. */
uint64_t shard_row_hash(const struct shard *sh, uint32_t row);
/* Records of that row among `wanted` that are not in memory; its key, if there are some, is appended
 * (NULL: nobody wants it). */
unsigned shard_row_missing(struct shard *sh, uint32_t row, unsigned wanted, struct buf *key);
/* The rows of a device's modules: the first after TABLE_NONE, then the next; TABLE_NONE: there are no more. */
uint32_t shard_module_row(const struct shard *sh, uint32_t device, uint32_t after);
/* The identity of a row as the registry shows it (service-rest.md 6.1). */
void hub_row_write_identity(const struct shard *sh, uint32_t row, struct buf *json);

/* ---- its rows, for queries ---- */

/* Records that hold these fields and sections of a row. */
unsigned hub_records_of(const struct query_needs *needs);

/* A row as the query language sees it: hub_query_ops with a struct hub_row prepared for it. */
struct row;
struct hub_row {
	const struct shard *shard;
	uint32_t row;
	const struct row *as;                   /* it, or it as it was */
	struct section sections[SECTION_KINDS]; /* prepared on first use */
	unsigned have;                          /* sections prepared */
	struct str given[RECORD_KINDS];         /* records that are not in memory */
	unsigned ngiven;                        /* which, as RECORD_BITs */
};
extern const struct query_row_ops hub_query_ops;
void hub_row_open(struct hub_row *r, const struct shard *sh, uint32_t row);
/*
 * Records as a scan of the store meets them, for a look without taking them into memory: the row of a key, if there is one,
 * is opened; then each record that is looked at is given to it. What memory has of it is newer, or the same, and is what
 * counts. The scan must have been opened in this turn. Values are borrowed while the row is looked at. False: there is no
 * such row; the record is not what was written.
 */
bool hub_row_meet(struct hub_row *r, struct shard *sh, struct str key);
bool hub_row_give(struct hub_row *r, enum record_kind kind, struct str value);

/*
 * The shard's columns for queries (query/columns.h): made at the first call, with that limit. From then on what changes,
 * or is undone, is noted, and the columns learn of it before each look at them. Of a record that is not in memory any more by
 * then they only know that its values must be asked: hence shard_columns_settle, after changes and before shard_evict. It
 * keeps to the limit, too.
 */
struct columns *shard_columns(struct shard *sh, size_t max_bytes);
/* The same without making them; NULL: there are none. */
const struct columns *shard_columns_there(const struct shard *sh);
void shard_columns_settle(struct shard *sh, struct query_scratch *s);

#endif
