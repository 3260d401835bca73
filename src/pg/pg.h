/*
 * pg: the store of a hub whose truth is in PostgreSQL (docs/cluster-design.md, 3 to 5). It is a store like RocksDB's (store/face.h): callers
 * of store.h notice nothing.
 *
 *   submit -> one committer joins what all lanes have waiting -> CALL th_commit, one transaction -> scratch -> done
 *   get, cursors -> scratch: RocksDB without a log, filled by COPY when a shard is taken, thrown away at the next start
 *   of the log's two tables the scratch has what was written since: what is older is read from PostgreSQL
 *
 * A shard is written under a fence: its epoch, its count of commits and the incarnation that has it, compared in the transaction that writes.
 * Who finds another epoch has been replaced, and who finds another count has had its history taken away: both end the program, as nothing
 * that is in memory counts any more.
 *
 * What becomes of a commit is always known before it is reported. A lost connection, a WARNING, or no word for PG_WORD_US leaves that open; then
 * the shards are taken again, which waits for the former transaction or shuts it out, and the count says it. Meanwhile the state is
 * STORE_IS_FAILED and the lanes wait.
 *
 * libpq is seen in this room alone.
 */
#ifndef TWINHUB_PG_PG_H
#define TWINHUB_PG_PG_H

#include "store/store.h"

#define PG_WORD_US     (INT64_C(3) * 1000 * 1000) /* for an answer of the server */
#define PG_SHARDS      64u
#define PG_NODES_MAX   64u /* rows of the table of nodes */
#define PG_NODE_MAX    64u /* bytes of a node's name */
#define PG_ADDRESS_MAX 64u /* with its NUL */
#define PG_PRINT       32u /* bytes of a certificate's */

/* Exit codes, by store_options.fatal's caller: see `enum pg_end`. */
enum pg_end {
	PG_REPLACED = 75, /* another incarnation has a shard of this one's: start anew */
	PG_LOST = 76      /* the database has lost what was acknowledged */
};

/* ---- several nodes: what the tables hold as of a beat (docs/cluster-design.md, 3) ---- */

enum pg_node_state { PG_LIVE, PG_DRAINING, PG_BURIED, PG_REVOKED };

struct pg_node {
	char name[PG_NODE_MAX + 1];
	uint16_t slot; /* its own for as long as its row is there */
	int64_t generation;
	enum pg_node_state state;
	bool takes;                   /* shards: its clock is right */
	char address[PG_ADDRESS_MAX]; /* where its mesh listens; empty: it has none */
	bool has_print;
	uint8_t print[PG_PRINT];
};

struct pg_view {
	unsigned nnode;
	struct pg_node nodes[PG_NODES_MAX]; /* this one, too; in order of name */
	uint16_t slot;                      /* this node's */
	int64_t generation;
	int64_t common;      /* the version of what is hub-wide */
	uint64_t identities; /* of the others that live or drain, each as of its last beat */
	struct pg_shard {
		int64_t epoch;
		int owner; /* a slot; -1: nobody who lives */
	} shards[PG_SHARDS];
	/* a bit each: those that nobody has, or this node already, and that are this node's by placement. What others are to give comes later */
	uint64_t due;
};

/*
 * What drives the node says what is to be done, each from one of its threads at a time. None of them blocks, and none calls this room: that is done
 * later, from another thread.
 */
struct pg_calls {
	/* its records can be read; epoch: by which it was taken */
	void (*attach)(void *ctx, unsigned shard, uint64_t epoch);
	/* it is to go: once nothing of it is left here, no batch either, pg_detached */
	void (*detach)(void *ctx, unsigned shard);
	void (*view)(void *ctx, const struct pg_view *view); /* behind each beat; borrowed */
	/* a shard was given to another node, which sees it with its next beat: to be told to hurry (pg_hurry). NULL: it is not */
	void (*given)(void *ctx);
	/*
	 * What is hub-wide has this version: once it is in force here, pg_in_force; no beat extends the lease before, nor begins the first one. NULL: it
	 * is at once. O-273
	 */
	void (*apply)(void *ctx, int64_t common);
	uint64_t (*identities)(void *ctx); /* how many this node has. NULL: it does not say */
	void *ctx;
};

struct pg_times {
	int64_t settle_us; /* a node that has lived for so long gets shards of others; 0: 30 s */
};

struct pg_options {
	const char *url;  /* postgresql://..., of libpq; several hosts may stand in it */
	const char *node; /* 1 to 64 of A-Z a-z 0-9 - _ */
	const char *hub;  /* the id of the hub: that of the database, or the one it gets */
	const char *dir;  /* an id of the data directory: who has another one is another node */
	/* Of the scratch: dir, lanes, memory, floor, ctx, done, warn, fatal as for RocksDB's. dir is emptied. */
	struct store_options store;
	/* As store_options.fatal, with the code to end with; must not return. */
	void (*ends)(void *ctx, enum pg_end code, const char *line);
	/* Others may have shards, too, and get some. Else ERR_LOCKED while one has and lives, and this node gives none away. */
	bool several;
	const char *address;  /* of its mesh; NULL: none */
	const uint8_t *print; /* of its certificate, PG_PRINT bytes; NULL: none */
	struct pg_calls calls;
	struct pg_times times;
};

/*
 * pg_open   url and node outlive it: the schema is made where there is none, and this node has a row, which is nobody's yet. No shard is here.
 * pg_begin  the node begins: it has a generation when it returns. Once what is hub-wide is in force (pg_calls.apply) its lease comes, and shards
 *           (pg_calls.attach), until store_close. Once.
 *
 * ERR_IO with libpq's words; ERR_LOCKED: another node has a shard and lives, or this one may not begin; ERR_ARG: the database is another hub's, or of
 * a newer schema. store_close is due after pg_open alone, whatever pg_begin says.
 */
/* Can the library read it? What it says of one that it cannot read shows the password, so f does not say it. ERR_ARG. */
enum err pg_url_check(const char *url, struct fault *f);
enum err pg_open(const struct pg_options *o, struct store **out, struct fault *f);
enum err pg_begin(struct store *store, struct fault *f);
uint16_t pg_slot(const struct store *store);       /* this node's, from pg_open on */
uint64_t pg_generation(const struct store *store); /* from pg_begin on */
/* Any thread, but not from pg_calls. */
void pg_detached(struct store *store, unsigned shard);
/* Where the logs of others' shards end, as records of theirs. A question to the server: any thread that may wait. ERR_IO. */
enum err pg_log_ends(
    struct store *store, void (*end)(void *ctx, unsigned shard, struct str record), void *ctx);
/* What has not gone well last with the shards and the node; its text may be empty. */
void pg_why(struct store *store, struct fault *f);

/*
 * What all nodes of a hub share besides its data; of the options url, node and hub count. A connection for each call, which takes seconds where the
 * server is away.
 *
 * pg_join  the schema, and the hub with o->hub as its id, are made where there are none. id: out, the hub's
 * get      ERR_NOT_FOUND: it has none; ERR_IO, ERR_CORRUPT
 * set      value stands for former (NULL: for none), and the version of what is hub-wide is raised, in one transaction. ERR_EXISTS: another one is there;
 *          ERR_IO: nothing has changed; ERR_UNSYNCED: nobody knows whether it has.
 */
#define PG_ID_MAX     64
#define PG_SECRET_MAX (1u << 20) /* bytes */
enum err pg_join(const struct pg_options *o, char id[PG_ID_MAX], struct fault *f);
enum err pg_secret_get(
    const struct pg_options *o, const char *name, struct buf *out, struct fault *f);
enum err pg_secret_set(const struct pg_options *o, const char *name, const struct str *former,
    struct str value, struct fault *f);

/*
 * What is hub-wide, all of one moment: secrets by name, and the records of shard 0 of which each node has a copy in force, by key. ERR_IO, also:
 * no server has heard of the version `common`; else what a face's function has returned.
 */
struct pg_common_face {
	void *ctx;
	enum err (*secret)(void *ctx, struct str name, struct str value);
	enum err (*record)(void *ctx, struct str key, struct str value); /* NULL: none is wanted */
};
enum err pg_common_read(
    const struct pg_options *o, int64_t common, const struct pg_common_face *face, struct fault *f);

/* What pg_calls.apply named. Any thread, but not from there. */
void pg_in_force(struct store *store, int64_t common);
/*
 * How far it has come, as of a beat that was sent at sent_us (clock_boot_us): the version that is there, and the least one that is in force on all nodes
 * that are not buried.
 */
struct pg_spread {
	int64_t named, least, sent_us;
	bool others; /* there are others than this one */
};
struct pg_spread pg_common_spread(struct store *store);
/* A beat besides those that are due: something is new. */
void pg_hurry(struct store *store);

/*
 * The lease that holds at this moment, of the store that pg_open gave: a number, another one after each time that none did; 0: none does. From any
 * thread: fleet_options.may_answer.
 */
uint64_t pg_lease(void *store);

/* For metrics; since pg_open, or as the last beat has brought it. Any thread. */
struct pg_figures {
	uint64_t beats,
	    beat_failures;       /* that the database has taken; that it has not, or not in time */
	uint64_t loads, load_us; /* shards that were read when they were taken */
	uint64_t unknown,
	    unknown_made; /* commits without an answer, found out; of them, those that had been made */
	unsigned nodes;           /* that live, this one among them */
	unsigned shards, orphans; /* of this node; of nobody */
	bool synchronous;
	int64_t clock_ahead_us; /* of the database's */
	int64_t lease_left_us;
	int lost; /* 1: the database has lost something that nobody has accepted; 0: not; -1: who has shard 0 knows */
};
void pg_figures(struct store *store, struct pg_figures *out);

#endif
