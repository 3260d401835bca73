/*
 * A cluster under one seed: processes that run cluster_step (src/cluster), a thin shard model with counters for twins, two PostgreSQL servers, the
 * network between them, and clocks; one queue of events, no threads. What goes wrong is nemesis.c's, what must hold oracle.c's.
 *
 *   events.c    time, clocks, the network
 *   server.c    PostgreSQL: rows, locks, transactions, the standby; calls.c, servers.c
 *   process.c   a node: connections, and what cluster_step asks for
 *   shards.c    its shards: rounds, commits, answers, the lease at each
 *   nemesis.c   crashes, stops, cuts, failovers, clocks
 *   oracle.c    what each answer is checked against
 */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "cluster/cluster.h"
#include "rnd.h"

#define SHARDS  6
#define NODES   5 /* ids at most */
#define SLOTS   8 /* processes: NODES, and others that have their ids, from other directories */
#define SERVERS 2
#define VALUES  8192
#define MS      INT64_C(1000)
#define S       INT64_C(1000000)

enum thread_of { T_BEAT, T_WORK, T_COMMIT, T_LOAD, T_WORKER, T_EDGE, THREADS };
enum { CONNS = T_LOAD + 1 };
/* Questions that cluster_step does not ask. */
#define Q_COMMIT ((enum cluster_question)(CLUSTER_GIVE + 1))
#define Q_COPY   ((enum cluster_question)(CLUSTER_GIVE + 2))
#define Q_PUT    ((enum cluster_question)(CLUSTER_GIVE + 3))
#define Q_MARK   ((enum cluster_question)(CLUSTER_GIVE + 4))

struct world;
struct event;
typedef void event_run(struct world *w, struct event *e);

/* A question to a server, and the answer to it. */
struct msg {
	int slot, conn, server, backend;
	uint32_t life, serial,
	    number; /* of the process, its connection, and what was asked there */
	struct cluster_do d;
	uint64_t mask; /* of a commit */
	int64_t epoch[SHARDS], pos[SHARDS];
	uint32_t value[SHARDS];
	bool fenced;   /* the answer TH001 */
	uint32_t vain; /* told_in_vain */
	struct cluster_input in;
	struct cluster_view *view;
};

struct op {
	int shard, edge;
	bool write, over;
	uint32_t floor; /* the newest that somebody had heard of when it began */
	int64_t common; /* version of what is hub-wide that had been answered then */
	int64_t judged; /* that it was judged by */
	uint32_t value; /* that it read or made */
	uint64_t run;   /* under which */
	int forgets;    /* failovers that have forgotten something, as it began */
	bool after_peace;
};

struct event {
	int64_t at_us;
	uint64_t seq;
	event_run *run;
	int slot; /* -1: nobody's */
	uint32_t life;
	enum thread_of thread;
	int a;
	int64_t x;
	struct op *op;
	struct cluster_do *d;
	struct msg *m;
};

/* ---- the database ---- */

struct node_row {
	bool there, takes;
	int64_t generation, beat, common;
	enum cluster_state state;
	int dir;
};

struct shard_row {
	int64_t epoch, pos, generation;
	int owner; /* id; -1 */
};

struct tables {
	struct node_row node[NODES];
	struct shard_row shard[SHARDS];
	uint32_t value[SHARDS]; /* rec */
	int64_t common;
};

enum role { ROLE_DOWN, ROLE_PRIMARY, ROLE_STANDBY };

struct backend {
	bool alive;
	int slot, id, conn;
	uint32_t life, serial;
	int64_t generation;
	struct tx *tx;
};

#define ROWS (NODES + 2 * SHARDS + 1)
struct row_lock {
	struct tx *owner;
	int nshare;
};

struct server {
	enum role role;
	struct tables local, visible; /* local: what is in its log */
	int64_t lsn, acked, sent_us, clock_off_us;
	unsigned timeline;
	bool names;  /* synchronous_standby_names is not empty */
	bool linked; /* its standby gets its log */
	struct row_lock locks[ROWS];
	struct tx *txs; /* oldest first */
	struct backend *backends;
	int nbackend;
};

/* ---- a process ---- */

struct conn_of {
	bool open, waits;
	int server, backend;
	enum cluster_question question;
	uint32_t serial, number;
};

struct round_of {
	struct op *ops[64]; /* that wait for it */
	unsigned nop;
	uint64_t mask; /* shards that it writes */
	uint32_t value[SHARDS];
	int64_t epoch[SHARDS], pos[SHARDS];
	bool blind;
	int forgets;   /* as it was sent */
	bool by_truth; /* made there, as it was told */
	unsigned id;
};

enum { SHARD_OUT, SHARD_IN, SHARD_LEAVING };

struct proc {
	bool alive, disk_full;
	uint32_t life;
	int id, dir;
	struct cluster *c;
	double rate;
	int64_t off_us, wall_off_us;
	int64_t until_us[THREADS]; /* that a thread is stopped */
	int64_t told_us[THREADS];  /* the last of what it was told comes then */
	uint64_t tick;
	struct conn_of conns[CONNS];
	int64_t in_force;
	bool durable, blind; /* blind: its last beat has said that there is no standby */
	int64_t beat;        /* the number of its last beat */
	int64_t beats_us;    /* since when its beats have this connection */
	int forgets;         /* as of its start */
	/* shards.c */
	int state[SHARDS];
	int64_t since_us[SHARDS], taken[SHARDS]; /* taken: epochs */
	uint32_t memory[SHARDS], stored[SHARDS], loaded[SHARDS];
	unsigned nleaving[SHARDS]; /* answers on their way out */
	struct round_of gathers, flies;
	bool flying, unknown;
	struct cluster_do loading;
	unsigned load_host;
	/* shards, a bit each, of which it knows what is gone: there it must not go on */
	uint32_t lost;
};

struct world {
	uint64_t seed;
	struct rnd r;
	int64_t now_us, peace_us;
	uint64_t nseq;
	struct event **heap;
	unsigned nheap, cap;
	int nid;
	struct proc procs[SLOTS];
	struct server servers[SERVERS];
	int truth; /* the server that is the primary for who promotes */
	bool forgetful, drains;
	bool cut[SLOTS][SERVERS][2]; /* to the server, from it */
	int64_t cut_until_us[SLOTS][SERVERS][2];
	bool apart[SLOTS][SLOTS]; /* from, to */
	int trap;                 /* a slot and 1: see trapped */
	int64_t slow_us;          /* on the way to servers, at most */
	bool peace;
	/* oracle.c */
	uint32_t heard[SHARDS]; /* the newest that somebody has been told */
	struct op *made[SHARDS][VALUES];
	struct {
		int slot;
		uint32_t life;
	} acker[SHARDS][VALUES]; /* by epoch */
	unsigned by_pos[SHARDS]
	               [VALUES]; /* the round that was acknowledged with this count of commits */
	unsigned nround;
	int64_t put_common, answered_common;
	int64_t put_us[SLOTS]; /* each one's clock when it was made, and */
	uint32_t put_life[SLOTS];
	int forgets;
	int64_t forgot_us;
	struct op *ops;
	unsigned nop, nread, nwrote, nrefused;
};

/* What all histories together have seen: what never happens is not tested. */
#define SEEN_FIELDS(X)                                                                             \
	X(reads)                                                                                   \
	X(writes)                                                                                  \
	X(refused)                                                                                 \
	X(refused_by_lease)                                                                        \
	X(takes)                                                                                   \
	X(buried)                                                                                  \
	X(replaced)                                                                                \
	X(lost)                                                                                    \
	X(full)                                                                                    \
	X(made_unknown)                                                                            \
	X(undone_unknown)                                                                          \
	X(failovers)                                                                               \
	X(forgotten)                                                                               \
	X(cancelled)                                                                               \
	X(killed)                                                                                  \
	X(stops)                                                                                   \
	X(traps)                                                                                   \
	X(crashes)                                                                                 \
	X(cuts)                                                                                    \
	X(restarts)                                                                                \
	X(other_dirs)                                                                              \
	X(given)                                                                                   \
	X(revoked)                                                                                 \
	X(drained)                                                                                 \
	X(puts)                                                                                    \
	X(spreads)                                                                                 \
	X(emptied)                                                                                 \
	X(clocks_wrong)                                                                            \
	X(lock_timeouts)                                                                           \
	X(stale_copies)                                                                            \
	X(elsewhere)                                                                               \
	X(server_restarts)
struct seen {
#define SEEN_MEMBER(n) uint64_t n;
	SEEN_FIELDS(SEEN_MEMBER)
};
extern struct seen seen;

/* events.c */
struct event *later(struct world *w, int64_t in_us, event_run *run);
struct event *later_on(
    struct world *w, struct proc *p, enum thread_of t, int64_t in_us, event_run *run);
bool event_next(struct world *w);
void events_free(struct world *w);
int64_t local_us(const struct world *w, const struct proc *p);
int64_t real_us(const struct proc *p, int64_t local);
bool one_in(struct world *w, uint32_t n);
int64_t between(struct world *w, int64_t a, int64_t b);
int64_t net_us(struct world *w, int slot, int server, bool back); /* -1: it is lost */
int64_t pause_us(struct world *w); /* between two steps of one thread */
int slot_of(const struct world *w, const struct proc *p);
void *need(size_t n);
void msg_free(struct msg *m);

/* server.c, servers.c */
void servers_begin(struct world *w);
void servers_free(struct world *w);
int server_connect(struct world *w, int server, struct msg *m); /* a backend; -1 */
event_run server_hears;
void server_kill(struct world *w, int server, int backend, bool cancel);
void server_crash(struct world *w, int server);
void server_restart(struct world *w, int server);
void server_promote(struct world *w, int server);
void server_joins(struct world *w, int server); /* as a standby of the truth */
void server_names(struct world *w, int server, bool names);
void server_link(struct world *w, bool linked);
void server_mark(struct world *w, int id, enum cluster_state state); /* drain, revoke */
void server_put(struct world *w);
const struct tables *truth(const struct world *w);

/* process.c */
void proc_start(struct world *w, struct proc *p);
void proc_end(struct world *w, struct proc *p);
void proc_step(struct world *w, struct proc *p, const struct cluster_input *in);
void proc_ask(struct world *w, struct proc *p, int conn, struct msg *m);
uint64_t proc_lease(const struct world *w, const struct proc *p);
event_run client_hears;

/* shards.c */
event_run shard_loads, shard_attach, shard_detach, op_arrives;
void shards_copied(struct world *w, struct proc *p, const struct msg *m);
void commit_answered(struct world *w, struct proc *p, struct msg *m);
void commit_result(struct world *w, struct proc *p, bool made);
void commit_next(struct world *w, struct proc *p);
void shards_end(struct world *w, struct proc *p);
void op_new(struct world *w, int shard, bool write);

/* nemesis.c */
event_run nemesis, trapped;
void peace(struct world *w);

/* oracle.c */
void answer_read(struct world *w, struct proc *p, struct op *op);
void answer_write(struct world *w, struct proc *p, struct op *op, const struct round_of *r);
void answer_no(struct world *w, struct op *op, const char *why);
void check_owners(struct world *w);
void check_beat(struct world *w, struct proc *p, const struct msg *m);
void check_burial(struct world *w, const struct proc *p);
void check_end(struct world *w);
void forgotten(struct world *w, const struct tables *before);
void __attribute__((format(printf, 2, 3), noreturn))
wrong(const struct world *w, const char *fmt, ...);
void trace(const struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
