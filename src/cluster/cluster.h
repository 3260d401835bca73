/*
 * cluster: what a node of several over one PostgreSQL does, and when (docs/cluster-design.md, 4): its beat and its lease, the death of others, the
 * shards that it takes and gives, and what has become of a commit that nobody has heard of.
 *
 * One step function, cluster_step(state, input, now) -> outputs. It has no I/O, no clock, no threads: questions to the database are outputs, and
 * what came of each is an input. Who runs it has a lock around it, and a thread for each connection, which does what is asked there:
 *
 *   CLUSTER_BEAT     the beat and nothing else: nothing may keep it waiting
 *   CLUSTER_WORK     start, burial, ends of connections, taking and giving: these wait for locks
 *   CLUSTER_COMMIT   the committer's; asked here only after an outcome that is unknown
 *
 * A question that is asked is answered, once, by CLUSTER_LOST at the latest when the patience is over; there is one at a time on a connection.
 *
 *   shard:   NONE -take-> TAKING -> LOADING -> OWNED -detach-> LEAVING -> GIVING -> NONE
 *
 * Times are microseconds on a clock that counts suspension (CLOCK_BOOTTIME) of the node itself; a clock on the wall is compared with the database's
 * alone, and decides nothing but whether the node takes shards.
 */
#ifndef TWINHUB_CLUSTER_CLUSTER_H
#define TWINHUB_CLUSTER_CLUSTER_H

#include "base/base.h"

#define CLUSTER_SHARDS_MAX 64u
#define CLUSTER_NODES_MAX  64u /* rows of the table of nodes, those that are no more among them */
#define CLUSTER_ID_MAX     64u
#define CLUSTER_TEXT_MAX   200u
#define CLUSTER_DO_MAX     16u /* outputs of one step */

struct cluster_times {
	int64_t beat_us;
	int64_t lease_us;  /* from when a beat was sent */
	int64_t death_us;  /* of silence; over 1.5 times the lease */
	int64_t orphan_us; /* a shard of nobody's is anybody's after that */
	int64_t settle_us; /* a node gets shards of others when it has beaten for so long */
	int64_t clock_us;  /* a clock that is further from the database's: no shards */
	int64_t retry_us;  /* between attempts to reach a server */
};

extern const struct cluster_times cluster_times; /* 1 s, 4 s, 6 s, 3 s, 30 s, 10 s, 0.5 s */

struct cluster_options {
	const char *node; /* 1 to CLUSTER_ID_MAX bytes; copied */
	unsigned shards;
	unsigned hosts; /* in the list of servers */
	bool single;    /* --durability single: a primary without a standby will do */
	struct cluster_times times;
};

/* ---- what the database holds, as of a beat ---- */

enum cluster_state { CLUSTER_LIVE, CLUSTER_DRAINING, CLUSTER_BURIED, CLUSTER_REVOKED };

struct cluster_node {
	char id[CLUSTER_ID_MAX + 1];
	int64_t generation, beat;
	enum cluster_state state;
	bool takes; /* shards: its clock is right */
};

struct cluster_row {
	int64_t epoch, pos; /* pos: commits */
	int owner;          /* index of a node in the view; -1: none that is there */
	int64_t generation; /* of the owner's incarnation */
};

struct cluster_view {
	unsigned nnode;
	struct cluster_node nodes[CLUSTER_NODES_MAX];
	struct cluster_row rows[CLUSTER_SHARDS_MAX];
};

/* Whose each shard should be, as an index of a node; -1: nobody takes any. Live nodes that take shards, in order of id, have quotas of floor or
 * ceil; shards in order, each to the node with the highest hash that has some left. */
void cluster_place(const struct cluster_view *v, unsigned shards, int place[CLUSTER_SHARDS_MAX]);

/* ---- outputs ---- */

enum cluster_conn { CLUSTER_BEAT, CLUSTER_WORK, CLUSTER_COMMIT, CLUSTER_CONNS };

/* Each but DIAL and LOOK is one call that commits itself (section 3). */
enum cluster_question {
	CLUSTER_DIAL, /* host: which one of the list to begin with */
	CLUSTER_LOOK, /* the row of this node's id */
	CLUSTER_BEGIN, /* th_begin: a new incarnation, instead of (generation, beat) or of one of the same directory */
	CLUSTER_ASK_BEAT, /* th_beat: takes, common as it is in force here */
	CLUSTER_BURY,     /* th_bury: node, generation, beat */
	CLUSTER_KILL, /* pg_terminate_backend: node, generation, all connections or, from CLUSTER_COMMIT, others of that kind */
	CLUSTER_TAKE, /* th_take_one: shard, epoch as it was seen */
	CLUSTER_GIVE  /* th_give: shard, epoch, to node and generation */
};

enum cluster_do_what {
	CLUSTER_ASK,
	CLUSTER_LOAD, /* shard: read it, epoch, pos and at as taken; then CLUSTER_LOADED or CLUSTER_NOT_LOADED */
	CLUSTER_ATTACH, /* shard: operations may come */
	CLUSTER_DETACH, /* shard: none any more, and when no answer or commit is left, CLUSTER_DETACHED */
	CLUSTER_APPLY,  /* common: policies and so on as of this version; then CLUSTER_IN_FORCE */
	CLUSTER_RESULT, /* yes: the commit whose outcome was unknown was made; else it was not, and never will be. The connection works */
	CLUSTER_DURABLE, /* yes: writes may be acknowledged */
	CLUSTER_SAY,     /* text, for the log */
	CLUSTER_END      /* code, text: end the process. Nothing else is asked from here on */
};

enum cluster_end {
	CLUSTER_FULL = 74,     /* the scratch */
	CLUSTER_REPLACED = 75, /* buried, or a shard is another's: start anew */
	CLUSTER_HISTORY = 76,  /* the database has lost what was acknowledged */
	CLUSTER_REFUSED = 77   /* revoked, or another directory's process of this id lives */
};

struct cluster_do {
	enum cluster_do_what what;
	enum cluster_conn conn; /* CLUSTER_ASK */
	enum cluster_question question;
	unsigned host;
	char node[CLUSTER_ID_MAX + 1];
	int64_t generation, beat;
	unsigned shard;
	int64_t epoch, pos, at;
	int64_t common;
	bool takes, yes;
	enum cluster_end code;
	char text[CLUSTER_TEXT_MAX];
};

struct cluster_outputs {
	unsigned n;
	struct cluster_do v[CLUSTER_DO_MAX];
	int64_t wake_us; /* CLUSTER_TICK then, if nothing else comes */
};

/* ---- inputs ---- */

enum cluster_what {
	CLUSTER_TICK, /* also the first of all */
	CLUSTER_ANSWER,
	CLUSTER_IN_FORCE, /* what CLUSTER_APPLY named */
	CLUSTER_HURRY,    /* something is new: a beat at once, besides those that are due */
	CLUSTER_LOADED,
	CLUSTER_NOT_LOADED, /* full: the scratch is; else the shard is taken once more */
	CLUSTER_DETACHED,
	CLUSTER_MADE,   /* a commit: of shards, a bit each */
	CLUSTER_FENCED, /* TH001: nothing of it is there */
	CLUSTER_UNKNOWN /* no word, a WARNING, no connection; shards 0: there was none yet. The connection is closed */
};

enum cluster_answer {
	CLUSTER_OK,
	CLUSTER_NO,     /* refused by what is there: no row, not now */
	CLUSTER_DEAD,   /* TH002: this incarnation is no more */
	CLUSTER_LOCKED, /* a lock did not come in time */
	CLUSTER_FAILED, /* another error of the server's: nothing of it is done; of DIAL: no connection */
	CLUSTER_LOST /* what became of it is unknown; the connection is closed */
};

struct cluster_input {
	enum cluster_what what;
	enum cluster_conn conn;
	enum cluster_answer answer;
	/* LOOK: `there`, and if so generation, beat, state, `same` directory. BEGIN: generation, clock. BEAT: the number of this beat, and the rest */
	bool there, same;
	enum cluster_state state;
	int64_t generation, beat;
	int64_t common,
	    least; /* least: in force on others that live or drain; INT64_MAX: there are none */
	bool synchronous;          /* synchronous_standby_names is not empty */
	int64_t clock_us, wall_us; /* the database's, and this node's when the answer came */
	const struct cluster_view *view;
	int64_t epoch, pos, at; /* TAKE */
	unsigned shard;
	uint64_t shards;
	bool full;
};

/* ---- */

struct cluster;

struct cluster *cluster_new(const struct cluster_options *o);
void cluster_free(struct cluster *c);
/* *out is overwritten. After CLUSTER_END nothing more is put out. */
void cluster_step(
    struct cluster *c, const struct cluster_input *in, int64_t now_us, struct cluster_outputs *out);

/*
 * Until when answers may leave that no commit proves, and which run of leases that is: another number after each time that none held. To be shown to
 * those who answer, who compare it with the clock themselves: first until_us, then run, then the clock.
 */
struct cluster_lease {
	int64_t until_us;
	uint64_t run;
};
struct cluster_lease cluster_lease(const struct cluster *c);
/* The number of the run that holds at this moment, 0: none. */
static inline uint64_t
cluster_holds(struct cluster_lease l, int64_t now_us)
{
	return now_us < l.until_us ? l.run : 0;
}

/*
 * How far what is hub-wide has come, as of a beat that was sent at sent_us; INT64_MIN: none was. named: the version that is there; least: in force on nodes
 * that are not buried, this one among them, as each said with its last beat. One that was revoked beats no more, and its lease may hold for a
 * while: until it is over, none is.
 */
struct cluster_spread {
	int64_t named, least, sent_us;
	bool others; /* there are others */
};
struct cluster_spread cluster_spread(const struct cluster *c);

/* What a commit of the shard is compared with; false: it is not this node's to write. */
bool cluster_fence(const struct cluster *c, unsigned shard, int64_t *epoch, int64_t *pos);
int64_t cluster_generation(const struct cluster *c);
/* Whose a shard is as far as this node knows, an id and its generation; NULL: nobody's. */
const char *cluster_owner(const struct cluster *c, unsigned shard, int64_t *generation);

#endif
