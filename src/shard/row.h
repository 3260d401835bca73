/*
 * A shard from inside, for the rooms of the core: its rows, how they come, change and go.
 *
 * A row is an identity's place: its number is durable and never moves while the identity lives, and rests ROW_GRACE_US after
 * its end; its address is as lasting (row_at). It holds its records as blobs, immutable: a change puts a new blob in the
 * old one's place, so whoever needs the old one (an undo entry, who still reads in it) keeps a reference.
 *
 * Whoever changes a row goes through row_write, row_create, undo_deleted, row_set_presence and what undo.c offers: there a
 * change is written, noted for undo and columns, and told to features (shard/feature.h).
 */
#ifndef TWINHUB_SHARD_ROW_H
#define TWINHUB_SHARD_ROW_H

#include "base/reason.h"
#include "query/columns.h"
#include "shard/shard.h"

/* ---- blobs ---- */

/* A stored record in memory, immutable. The row holds one reference, each undo entry that concerns it another: what has
 * more than one is younger than the store and must not be dropped from the cache. */
struct blob {
	uint32_t refs, n;
	char bytes[];
};

/* "There is no such record": distinct from NULL, "not in memory". */
extern struct blob blob_none;

struct blob *blob_new(struct str bytes);
/* The same with the position of its newest record of the log at the end (record.h). */
struct blob *blob_new_headed(struct str bytes, uint64_t position);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct blob *b); /* NULL and blob_none are fine */
static inline struct str
blob_str(const struct blob *b)
{
	return (struct str){ b->bytes, b->n };
}

/* ---- rows ---- */

/* A call of a method (hub/methods.c): in memory only, gone with the session or the process. */
struct call {
	struct call *next;
	struct reply_to caller;
	uint64_t number;
	uint64_t logged; /* position of the record that it was called; 0: there is none */
	/* of a waiting one, in bytes: */
	struct str device, module, name;
	struct str payload; /* of a sent one the length only */
	char bytes[];
};
void calls_free(struct call *first);

/* A live session of an identity. */
struct presence {
	struct reply_to session;
	uint64_t session_epoch;
	bool clean;
	bool restored;        /* its subscriptions are those of a session before it */
	struct opened opened; /* what opened it */
	struct blob *filters; /* a session record; never NULL */
	unsigned listens;     /* bit per enum filter_kind */
	struct call *calls;   /* of methods, sent and not answered */
	uint32_t ncall, call_bytes;
};

/* What has become of its session since the log has last told of that (connection.c). */
struct untold {
	uint32_t begun; /* sessions */
	uint8_t why;    /* enum reason: the last one has ended so */
	bool lost;      /* the one that the log knows of has ended with the program */
	bool listed;
};

struct row {
	char *id; /* its key: shard, device, 0, module; and one more 0. NULL: the row is free */
	uint8_t device_n, module_n;
	uint8_t nmessage;            /* in its queue, whose record may not be in memory */
	bool touched : 1;            /* since the eviction hand passed */
	bool disabled : 1, edge : 1; /* as the identity record says: row_see_identity */
	bool awaited : 1;            /* calls wait for it */
	uint32_t number;             /* its own, of one that is not free */
	/* row number + 1 of a device's newest module; of a module: of the next one. 0: none */
	uint32_t chain;
	/* What its records say, for the version of its twin (T-14), though they may not be in memory any more. 0: not known since the start */
	uint32_t reported_version;
	uint64_t counter;
	struct untold untold;
	struct blob *records[RECORD_KINDS]; /* NULL: not in memory; &blob_none: there is none */
	struct presence *presence;          /* row_set_presence */
	int64_t activity_us, presence_us;   /* last activity; last change of the connection */
};

/* The log of a shard (log.c). */
struct log_end {
	uint64_t next;   /* the position of the next record */
	int64_t time_us; /* of the last one: it never goes back */
	bool stored;     /* it is from the first record on */
};
struct shard_log {
	struct log_end end;
	/* Who changes what is written now, and whether the whole twin. Texts are borrowed for the operation. */
	struct log_cause {
		enum actor_kind actor;
		struct str name;
		struct str why; /* what has made it do that: EVENT_CAUSE */
		bool replaces;
	} cause;
	/* The position of one record that stands for all of this identity's that are written now; 0: none does. */
	uint64_t whole;
	struct buf record, parts[6]; /* working memory */
};

/* What it has told of sessions, and has not yet (connection.c). */
struct shard_connections {
	uint8_t *bits; /* by row: it is connected, as the log says */
	uint32_t nbyte;
	uint64_t *ended; /* by row: where the log last tells of a session's end; 0: nowhere */
	uint32_t nended;
	uint32_t *rows; /* those listed, oldest first, from `from` on; some have gone since */
	uint32_t from, n, cap;
	int64_t since_us;  /* the oldest, by elapsed_us */
	int64_t missed_us; /* connections_missed_us; 0: they have been missed */
};

/* Who serves it (epoch.c). */
struct shard_epoch {
	uint64_t now, stored;        /* stored: 0: there is none; another than now: it is due */
	int64_t at_us, stored_at_us; /* the newest time of the shard when it began */
};

struct free_row {
	uint32_t row;
	int64_t since_us;
};

#define FEATURES_MAX 8u /* of a shard */

struct shard {
	uint32_t index;
	uint32_t nrow;       /* row numbers are below this */
	struct row **chunks; /* row_at */
	uint32_t nchunk, capchunk;
	struct table ids;
	struct free_row *free; /* oldest first, from free_from on */
	uint32_t nfree, capfree, free_from;
	uint32_t nidentity;
	struct shard_counts counts;
	uint64_t cached_bytes;
	uint32_t cached[RECORD_KINDS]; /* rows with the record in memory */
	uint32_t hand;                 /* of the eviction clock */
	uint32_t last;                 /* row that row_find found last: an operation looks twice */
	struct call *waiting;          /* for their devices, oldest first */
	uint32_t ncall;                /* waiting and sent */
	size_t waiting_bytes;          /* of their payloads */
	uint64_t call_last;
	struct shard_log log;
	struct shard_connections connections;
	struct shard_epoch epoch;
	uint64_t number_next; /* shard_number's */
	uint64_t nmessage;    /* in all queues */
	struct locks locks;   /* of messages that are out: in memory only */
	bool messages_held;   /* a session has been given less than it may have, for want of room */
	uint64_t mark;        /* one more with every change of a row; grows over restarts */
	uint64_t generation;  /* the newest identity's; each has one of its own */
	struct columns *columns; /* NULL until queries want them */
	struct {
		uint8_t *bits; /* by row: RECORD_BIT and the bits below; 0: not listed */
		uint32_t *rows;
		uint32_t n, room; /* rows listed; rows that bits holds */
	} changed;                /* since the columns were last brought up to date */
	struct {
		const struct feature *feature;
		void *state;
		unsigned watch;
	} features[FEATURES_MAX];
	uint32_t nfeature;
	unsigned watch; /* what any of them wants to hear of: RECORD_BITs and WATCH_* */
};

/* Page tokens and bitmaps name rows: a freed number rests this long before another identity gets it. */
#define ROW_GRACE_US (INT64_C(600) * 1000000)

#define ROWS_CHUNK   128u /* rows that are allocated at a time, for good: their addresses stay */
static inline struct row *
row_at(const struct shard *sh, uint32_t row)
{
	assert(row < sh->nrow);
	return &sh->chunks[row / ROWS_CHUNK][row % ROWS_CHUNK];
}
static inline uint32_t
row_number(const struct shard *sh, const struct row *r)
{
	(void)sh;
	return r->number;
}
struct str row_key(const struct row *r);
struct str row_device(const struct row *r);
struct str row_module(const struct row *r);
/* The row of an identity, NULL if there is none. */
struct row *row_find(struct shard *sh, struct str device, struct str module);
/* Modules are rows of their own, chained to their device's, newest first. NULL: there is none (any more). */
struct row *module_first(struct shard *sh, const struct row *device);
struct row *module_next(struct shard *sh, const struct row *module);

/* ---- changes ---- */

/* Replace a record of a row by bytes (NULL: none), write it through env, and note how to undo it. */
void row_write(struct shard *sh, struct row *r, enum record_kind kind, const struct str *bytes,
    const struct hub_env *env);
/* Records of a row that are not in memory, without which nobody knows its twin's version: before a change of it. */
unsigned row_version_needs(const struct row *r);

/* A row that need not be one of the shard's: as it was, say. Borrowed, as long as it is looked at. */
void hub_row_open_as(struct hub_row *r, const struct shard *sh, const struct row *as);

/* ---- the log: log.c ---- */

/* Append a record: its time and position are the log's, the position is answered. With its end it is part of the round, and is taken
 * back with it. */
uint64_t log_append(struct shard *sh, struct event *e, const struct hub_env *env);
/* The cause of what follows, until the next one. The former one is answered, to be set again. */
struct log_cause log_because(struct shard *sh, enum actor_kind actor, struct str name);
/*
 * What row_write asks: a record of this row, `old` before, is about to become `bytes`: the position that the record shall name, after
 * a record of the change has been appended, if there is one.
 */
uint64_t log_record_written(struct shard *sh, const struct row *r, enum record_kind kind,
    const struct blob *old, struct str bytes, const struct hub_env *env);
/* An identity is made: all of its records are written between these two; they name the position of the one record that tells of it. */
void log_create_begin(struct shard *sh);
void log_create_end(struct shard *sh, const struct row *r, const struct hub_env *env);
/* It goes: all of its records are in memory. */
void log_deleted(struct shard *sh, const struct row *r, const struct hub_env *env);
/* What is no change of a twin, by the cause: it appends the record, and answers the position. */
uint64_t log_notice(struct shard *sh, struct event *e, const struct hub_env *env);
/* A message, of who is the cause, if such are logged. */
void log_sent(struct shard *sh, const struct row *r, enum event_kind kind, struct str body,
    const struct hub_env *env);
/* The stored end of the log: its key, its value as it is now (false: it has none), and one from the store, or a former one; ERR_CORRUPT. */
#define LOG_END_PREFIX "events/"
struct str log_end_key(const struct shard *sh, char room[HUB_PREFIX_MAX]);
bool log_end_value(const struct shard *sh, struct buf *out);
enum err log_end_load(struct shard *sh, const struct str *value);
/* undo.c's: the newest record is taken back, and the end is where it was. */
void log_take_back(struct shard *sh, enum record_kind family, const struct log_end *end,
    const struct undo_sink *sink);
void log_fini(struct shard *sh);

/* ---- epochs: epoch.c ---- */

/* The stored one: its key, and one from the store, or a former one; ERR_CORRUPT. */
#define EPOCH_PREFIX "epoch/"
#define EPOCH_MAX    UINT64_C(0xFFFFFE) /* 24 bits, and one more */
struct str epoch_key(const struct shard *sh, char room[HUB_PREFIX_MAX]);
enum err epoch_load(struct shard *sh, const struct str *value);
/* A number that nobody has had in this shard, and none is larger; larger than `above`, too, which somebody may have had. Epochs of sessions,
 * numbers of messages and of feedback, those of jobs on shard 0. */
uint64_t shard_number(struct shard *sh, uint64_t above);
/* All of it is loaded: what shard_loaded answers. */
int64_t epoch_begin(struct shard *sh, const struct shard_begin *b);

/* ---- what the log says of sessions: connection.c ---- */

/* A session has begun: r->presence is set with it. One has ended, and why. Noted, and told by connections_tell. */
void connection_begun(struct shard *sh, struct row *r, const struct hub_env *env);
void connection_ended(struct shard *sh, struct row *r, enum reason why, const struct hub_env *env);
/* Its session was forgotten without a word: it is resumed, or has ended at missed_us of elapsed time. */
void connection_lost(struct shard *sh, struct row *r, int64_t missed_us, const struct hub_env *env);
/* The session that the log knows of, and that was not resumed, has ended, as its edge says. */
void connection_left(struct shard *sh, struct row *r, enum reason why, const struct hub_env *env);
/* A session that the log has told of goes on: r->presence is set with it. Nothing is told, unless its end has been. */
void connection_resumed(struct shard *sh, struct row *r, const struct hub_env *env);
/* The identity goes: what is to be told of it is told at once, with the end of the session that it has. */
void connection_gone(struct shard *sh, struct row *r, const struct hub_env *env);
/* undo.c's: the beginning is taken back; what was told is untold again; the row has come back. */
void connection_unbegun(struct shard *sh, struct row *r);
void connection_untold(struct shard *sh, struct row *r, const struct untold *was);
void connection_back(struct shard *sh, struct row *r);
/* Its stored bits: the prefix of their keys, and one from the store, or a former one; ERR_CORRUPT. */
#define CONNECTIONS_PREFIX "connected/"
struct str connections_prefix(const struct shard *sh, char room[HUB_PREFIX_MAX]);
enum err connections_load(struct shard *sh, struct str key, const struct str *value);
/* The same of where their ends are told. */
#define ENDED_PREFIX "ended/"
struct str ended_prefix(const struct shard *sh, char room[HUB_PREFIX_MAX]);
enum err ended_load(struct shard *sh, struct str key, const struct str *value);
/* The position of the newest record of the log that tells of the end of a session of this identity; 0: none is known. */
uint64_t connection_last_end(const struct shard *sh, const struct row *r);
/* All of them: whom they say to be connected is not any more, or not yet. */
void connections_loaded(struct shard *sh, const struct shard_begin *b);
void connections_fini(struct shard *sh);

/* Take a row for a new identity, with no record in memory. */
struct row *row_create(
    struct undo *u, struct shard *sh, struct str device, struct str module, int64_t elapsed_us);
/* Moves the row's contents into the entry and frees the row. */
void undo_deleted(struct undo *u, struct shard *sh, uint32_t row, int64_t elapsed_us);
/* A record of the log is about to be appended. */
void undo_logged(struct undo *u, struct shard *sh, enum record_kind family);
/* It is about to be told what was not. */
void undo_connection(struct undo *u, struct shard *sh, uint32_t row, const struct untold *was);
void undo_connected(struct undo *u, struct shard *sh, uint32_t row, uint64_t session_epoch);
void undo_filters(
    struct undo *u, struct shard *sh, uint32_t row, uint64_t session_epoch, struct blob *old);

struct identity;
/* Its identity record says this now. */
void row_see_identity(struct shard *sh, struct row *r, const struct identity *id);
/* The former one is freed. */
void row_set_presence(struct shard *sh, struct row *r, struct presence *p);
void presence_free(struct presence *p);
/* Another blob, or none, for a record, with no trace in undo, columns or the store: what was read, or is to be read again. */
void row_set_cached(struct shard *sh, struct row *r, enum record_kind kind, struct blob *b);

/* ---- for the files of this room ---- */

/* What of a row has changed: RECORD_BITs, and its session. */
#define CHANGED_PRESENCE RECORD_BIT(RECORD_KINDS)
#define CHANGED_ALL      (RECORD_BIT(RECORD_KINDS + 1) - 1)
/* Note for the columns that a row has come, gone or changed. */
void columns_note_row(struct shard *sh, const struct row *r, unsigned what);

/* A row for a new identity; *since_us is for row_untake, which takes that back. */
struct row *row_take(
    struct shard *sh, struct str device, struct str module, int64_t elapsed_us, int64_t *since_us);
void row_untake(struct shard *sh, uint32_t row, int64_t since_us);
/* Move a row's contents to *out and free it; and back, when *from keeps a reference to each record. */
void row_take_out(struct shard *sh, uint32_t row, int64_t elapsed_us, struct row *out);
void row_put_back(struct shard *sh, uint32_t row, struct row *from);
void row_fini(struct row *r);

/* A record of RECORD_COMMON is about to be another one; old NULL: there was none. */
void undo_common(struct undo *u, struct shard *sh, struct str key, const struct str *old);

#endif
