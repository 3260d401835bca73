/*
 * worker: the threads that own the shards. Each has one inbox, applies what has gathered there, and makes one commit for
 * all its shards; whatever an operation answers or sets off waits, in order, behind the commit that it may have seen.
 *
 *   loop thread --fleet_submit(work)--> inbox --hub_apply--> batch --store_submit--> fsync --> work->done on its loop
 *
 * One batch is on its way to the disk while the next gathers on the speculative state. If a commit fails, everything since
 * is undone and answered with ServiceUnavailable (docs/architecture.md, "When a commit fails").
 */
#ifndef TWINHUB_WORKER_H
#define TWINHUB_WORKER_H

#include "config/config.h"
#include "config/questions.h"
#include "hub/cargo.h"
#include "hub/messages.h"
#include "job/questions.h"
#include "limit/backoff.h"
#include "limit/limit.h"
#include "metric/metric.h"
#include "net/net.h"
#include "partition/partition.h"
#include "routing/routing.h"
#include "settings/settings.h"
#include "store/store.h"
#include "worker/elsewhere.h"
#include "worker/tour.h"
#include "worker/walk.h"

#include <stdatomic.h>

/* ---- the catalogue in use: replaced whole, read by every thread ---- */

struct catalogue_box;
struct catalogue_box *catalogue_box_new(void);
void catalogue_box_free(struct catalogue_box *box);
/* Replace it. `release` is called, on any thread, when nobody uses this catalogue any more. */
void catalogue_set(
    struct catalogue_box *box, struct catalogue *c, void (*release)(struct catalogue *c));
/* Borrow the current one; give it back with catalogue_drop. */
const struct catalogue *catalogue_use(struct catalogue_box *box);
void catalogue_drop(struct catalogue_box *box, const struct catalogue *c);
/* Its version without borrowing: cheap, to see whether a borrowed one is still current. */
uint64_t catalogue_version(const struct catalogue_box *box);

/* ---- one operation on its way to a shard, and its answer on the way back ---- */

struct work {
	struct msg msg; /* the fleet's */
	struct op op;
	struct reply reply;
	struct loop *home;            /* where done runs */
	void (*done)(struct work *w); /* owns w from then on: ends with work_free */
	uint32_t tag;                 /* the sender's: e.g. packet id and flags */
	bool roomy;        /* the sender's: it has a bound of its own for the bytes of its works */
	struct str rid;    /* the sender's: how it names its request, in bytes */
	void *owner;       /* the sender's: outlives the work */
	uint64_t asker;    /* the sender's: whose share it takes; 0: the hub's own */
	uint64_t edge_nth; /* another node's: the link that it came by (fleet_edge); else 0 */
	uint16_t edge;     /* and that node's slot */
	struct worker *at; /* the fleet's, as is shard */
	uint32_t shard;
	int64_t since_ns;  /* the fleet's: when it was submitted */
	int64_t turn_ns;   /* and when its turn was; 0: it had none */
	size_t used, room; /* of bytes */
	char bytes[];      /* the strings of op */
};

/*
 * What is hub-wide, from the records of shard 0 that another node has; the caller owns each set. add: ERR_CORRUPT.
 */
struct hubwide;
struct hubwide *hubwide_new(void);
void hubwide_free(struct hubwide *h);
enum err hubwide_add(struct hubwide *h, struct str key, struct str value);
struct configurations *hubwide_configurations(const struct hubwide *h);
struct routing *hubwide_routing(const struct hubwide *h);
struct settings *hubwide_settings(const struct hubwide *h);

/* Does nobody use a former catalogue any more? */
bool catalogue_settled(struct catalogue_box *box);

/* ---- rate limits (limit/limit.h) of the whole hub; any thread ---- */

/*
 * The rules in force are those of the start with the hub's settings over them. Who asks before each operation looks at the flag first, which
 * costs a branch as long as there are no rules: NULL for l is the same as none.
 */
struct limiter;
/* Of so many identities at most. */
struct limiter *limiter_new(const struct limit_rules *start, uint64_t nidentity);
void limiter_free(struct limiter *l); /* NULL is fine */
/* From now on over those of the start; keys of named policies are set here. All buckets are full; the day's messages stay counted. ERR_FULL: as
 * limit_rules_over. */
enum err limiter_set(struct limiter *l, const struct limit_rules *set);
/* The hub has so many nodes: this one lets through its part. Where that is new, all buckets are full. */
void limiter_nodes(struct limiter *l, unsigned n);
/* How many there may be of what. */
struct limit_counts limiter_counts(struct limiter *l);
/* Is there any rule? The flag lives as long as l. */
const atomic_bool *limiter_flag(const struct limiter *l);
/* As limits_allow, limits_take, limits_owe, limit_daily_allows, now; what is refused is counted. NULL: always, always, nothing. */
bool limiter_allows(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why);
bool limiter_takes(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why);
/* May jobs do one more device? No: not before *wait_ns. again: it has been put off before, and is not counted once more. */
bool limiter_paces(struct limiter *l, bool again, int64_t *wait_ns);
void limiter_owes(
    struct limiter *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n);
/* So many bytes of the day's messages, as one or more of them. */
void limiter_meters(struct limiter *l, uint64_t bytes);

struct limiter_state {
	struct limit_rules rules;
	struct limit_daily daily;
	uint64_t nbucket,
	    npushed; /* places of the table; limits.pushed, since the rules are in force */
};
/* What is in force now, a copy. */
void limiter_look(struct limiter *l, struct limiter_state *out);

/* ---- who fails to authenticate again and again (limit/backoff.h), of the whole hub; any thread ---- */

struct offenders;
struct offenders *offenders_new(uint32_t most_s); /* 0: NULL */
void offenders_free(struct offenders *o); /* NULL is fine here, and below: nobody is held off */
bool offenders_hold(
    struct offenders *o, struct backoff_who who, bool known, struct backoff_wait *out);
bool offenders_failed(
    struct offenders *o, struct backoff_who who, enum reason why, struct backoff_wait *out);
void offenders_passed(struct offenders *o, struct backoff_who who);
uint32_t offenders_waiting(struct offenders *o);

/* Who asks, and, unless it is a device with its modules, from where. Works of one asker keep their order. */
uint64_t asker_key(struct str who, struct str from);
/* op is zeroed; `room` bytes of strings can be copied in. */
struct work *work_new(struct loop *home, size_t room, void (*done)(struct work *w));
/* Copy a string into the work's own bytes; asserts that it fits. */
struct str work_str(struct work *w, struct str s);
void work_free(struct work *w); /* the reply's body too */
/* What a client shows of itself: copied into op.shown; needs so much room. peer NULL: no TLS. */
#define WORK_SHOWN_ROOM(token) ((token).n + TLS_CN_MAX)
void work_show(struct work *w, struct str token, const struct tls_peer *peer);

/* ---- parcels: many operations of one shard, as an import sends them ---- */

/*
 * Applied whole and in order (hub/cargo.h), within one commit, between other operations: parcels wait until nobody else does, and a
 * commit holds few. Parcels to one shard keep their order.
 */
struct parcel {
	struct msg msg; /* the fleet's, as is `at` */
	struct worker *at;
	struct parcel *next;            /* whoever has it */
	uint32_t shard;                 /* the fleet's */
	void (*done)(struct parcel *p); /* on a worker's thread, or the sender's: short */
	void *owner;                    /* the sender's */
	struct cargo cargo;
};
struct parcel *parcel_new(void (*done)(struct parcel *p), void *owner, struct str actor);
void parcel_free(struct parcel *p);

/* ---- what goes to a session, or to a method's caller, unasked: a struct effect on its way ---- */

struct note {
	struct msg msg; /* the fleet's; run calls fleet_options.on_note on the loop of `session` */
	enum effect_kind kind;
	struct reply_to session; /* a stale one is dropped silently by the receiver */
	enum reason reason;      /* EFFECT_CLOSE; as is paced */
	uint32_t version;
	uint64_t call;
	struct reply_to caller;
	int32_t status;
	enum fault_code fault;
	bool paced;
	/* EFFECT_MESSAGE; body is its record (message/message.h), size what it counts for until it has arrived: fleet.message_bytes */
	uint32_t size;
	atomic_uint_least64_t *counted;
	uint8_t qos;
	bool dup;
	struct str name, body;           /* in bytes */
	void (*on_note)(struct note *n); /* borrows n */
	char bytes[];
};

/* ---- the fleet: all shards and their workers ---- */

struct fleet;

/*
 * Sessions of a shard that has come outlive that (docs/spec/operate.md, O-231 and O-236). Who has called for it owns it, and does nothing else with
 * the shard until it is over.
 */
struct resumption {
	uint32_t shard;
	atomic_uint left;                   /* loops that are not through */
	void (*over)(struct resumption *r); /* on the thread of the last one */
};
/* A loop is through: of each of its sessions of the shard it has sent OP_RESUME, and has the answer. */
void resumption_through(struct resumption *r);

struct fleet_options {
	/* opened with `nworker` lanes and fleet_commit_done; outlives the fleet */
	struct store *store;
	unsigned nworker; /* 1 to SHARDS */
	/* whose each shard is, FLEET_NOBODY: no worker's; borrowed for fleet_new. NULL: even stretches */
	const uint8_t *owners;
	uint64_t cache_bytes; /* documents in memory, all shards together */
	uint64_t query_bytes; /* memory of one query's groups, or of the rows it sorts */
	/* of works of one worker, of senders without a bound of their own; 0: WORK_BYTES_MAX */
	uint64_t work_bytes;
	uint64_t answer_bytes;   /* of answers that are made or have not been read, in all */
	uint64_t column_bytes;   /* memory of columns, all shards together; 0: none are made */
	int64_t slow_sweep_us;   /* a sweep that takes longer has a line in the log; 0: none */
	int64_t tour_us;         /* time of one tour; at it the answer is 400 */
	uint64_t identities_max; /* L-24 */
	struct limiter *limiter; /* of what jobs do; NULL: none */
	struct catalogue_box *catalogue;
	struct loop *const *loops; /* reply_to.loop indexes these */
	unsigned nloop;
	void (*on_note)(struct note *n);
	/* A shard has come: each loop is to have its sessions of it resumed, and to say resumption_through. A worker's thread. NULL: sessions of a
	 * shard that is given up are closed. */
	void (*resume)(struct resumption *r);
	/* The link to who serves these shards, a bit each, has gone: calls of methods there end. NULL: nobody cares. */
	void (*lost)(uint64_t shards);
	/* Who serves these shards, a bit each, cannot be reached from here: sessions of them are to be closed. NULL: nobody cares. */
	void (*cut)(uint64_t shards);
	/* The configurations have changed, on disk: a new catalogue is to be set before it returns. Owns the set. A
	 * worker's thread; NULL: nobody cares. */
	void (*on_configurations)(struct configurations *set);
	/* Sinks, routes or both have changed, on disk. Owns the set. As on_configurations. */
	void (*on_routing)(struct routing *set);
	/* Settings have changed, on disk. Owns them. As on_configurations. */
	void (*on_settings)(struct settings *s);
	/*
	 * For several machines. on_spread: a change of what is hub-wide is on disk, and its answer waits until all nodes work by it: the work is given
	 * back by fleet_spread, once, by any thread. on_hub_left: shard 0 is not here any more; from then on others say what is hub-wide. NULL: nobody
	 * cares.
	 */
	void (*on_spread)(struct work *w);
	void (*on_hub_left)(void);
	/* For several machines: the gate's (worker/gate.h). NULL, false: this process alone has the store. */
	uint64_t (*may_answer)(void *lease);
	void *lease;
	bool reads_fenced;
	uint16_t slot;                     /* this node's, which reply_to.node names */
	const struct elsewhere *elsewhere; /* outlives the fleet; NULL: there are no other nodes */
	/* Whose shards are that are not this process's, for questions; outlives the fleet. NULL: all are its. */
	const struct fleet_walks *walks;
};

#define FLEET_NOBODY 255u

struct fleet *fleet_new(const struct fleet_options *o);
/* To be given to store_open as the completion callback; ctx is a `struct fleet **` that is set before the first submit. */
void fleet_commit_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result);
/* The position behind the last record of a shard's log that is on disk: what is before it may be read, and stays. From any thread. */
uint64_t fleet_log_end(const struct fleet *f, uint32_t shard);
/* Does somebody read at its end? Then its newest records are kept in memory, 64 KB of a shard. */
void fleet_reads_log(struct fleet *f, bool reads);
/*
 * Of each record of a shard's log from `from` on, in order, until it says no: false if they are in the store alone. What is seen may be behind
 * fleet_log_end as it was asked for before.
 */
bool fleet_log_tail(struct fleet *f, uint32_t shard, uint64_t from,
    bool (*seen)(void *ctx, uint64_t position, struct str record), void *ctx);
/* The time of the oldest change that is kept in the log, whoever's; INT64_MAX: none is. ERR_IO, ERR_CORRUPT. */
enum err changes_kept_since(struct store *store, int64_t *time_us);
/* Memory of one query, as in its options. */
size_t fleet_query_bytes(const struct fleet *f);
/* Called behind each commit that has records of the log, on a worker's thread or another one's. Before the fleet starts. */
void fleet_hear_log(struct fleet *f, void (*grew)(void *ctx), void *ctx);
/* For several machines: where the log of a shard ends that another node has, by its record. Any thread. */
void fleet_log_heard(struct fleet *f, uint32_t shard, struct str record);
/* Read every identity from the store. ERR_CORRUPT, ERR_IO with a text that names the key or file. */
enum err fleet_load(struct fleet *f, struct fault *why);
/* An answer that has waited goes; any thread. */
void fleet_spread(struct fleet *f, struct work *w);
bool fleet_has_hub(const struct fleet *f); /* shard 0 is here */
/* Those that were loaded, empty ones where shard 0 is not here; the caller owns the set. Before fleet_start. */
struct configurations *fleet_configurations(const struct fleet *f);
struct routing *fleet_routing(const struct fleet *f);
struct settings *fleet_settings(const struct fleet *f);
/* ---- jobs of a hub on several nodes; any thread ---- */

/* What has changed of the set of jobs that shard 0 has. */
struct jobs_news {
	uint64_t epoch, version; /* the set that one has who knows this, too */
	uint64_t latest;         /* the version that there is: with that the set is in force */
	struct buf records;      /* each with its length in front */
	bool whole;         /* numbers are those of all jobs that are known: others are forgotten */
	struct buf numbers; /* rising, each less the one before, as varints */
};
void jobs_news_fini(struct jobs_news *n);
/* For a node that has the set so named, as much as goes into `most` bytes, one record at least. ERR_END: it is the newest; ERR_NOT_FOUND: shard 0 is not
 * here. Appended to out, which is zeroed. */
enum err fleet_jobs_since(
    struct fleet *f, uint64_t epoch, uint64_t version, size_t most, struct jobs_news *out);
/* The set, or as much of it, as this node has; 0: none. */
void fleet_jobs_at(struct fleet *f, uint64_t *epoch, uint64_t *version);
/* What another node has said. ERR_CORRUPT: it is asked for from the beginning. */
enum err fleet_jobs_learn(struct fleet *f, const struct jobs_news *news);
/* Another node's part of a job; or this one's. False: shard 0 is not here. */
bool fleet_job_reported(struct fleet *f, const struct job_report *r);
/* Called behind each change of the set of shard 0, which is here. A worker's thread: short. NULL: nobody is. */
void fleet_hear_jobs(struct fleet *f, void (*changed)(void *ctx), void *ctx);
/* How many shards are here. */
unsigned fleet_shards(const struct fleet *f);
bool fleet_has_shard(const struct fleet *f, uint32_t shard); /* this one? */

/* How far a partition of n has come, by the store. ERR_IO, ERR_CORRUPT: `why`. */
enum err fleet_partition(
    struct fleet *f, uint32_t partition, uint32_t n, struct partition_end *out, struct fault *why);
/* ERR_IO: no threads or descriptors; none runs then. */
enum err fleet_start(struct fleet *f);
/* Any thread. The work comes back through done, whatever happens. */
void fleet_submit(struct fleet *f, struct work *w);
/* Any thread; all devices in it are this shard's. It comes back through done, whatever happens. */
void fleet_parcel(struct fleet *f, uint32_t shard, struct parcel *p);
/*
 * Shards that come and go (worker/shifts.c). One that is given up is nobody's: what comes for it waits, a few seconds at the most. Calls end, watches
 * end with `shard-moved`, sessions are forgotten, to be resumed, or closed; what is on disk is all that is left of it, and a worker that takes it
 * begins with that, as a start does. Any thread; `done` is called once, on one of the fleet's threads: short. A fleet that stops calls none.
 * ERR_ARG, and nothing is done: it is under way already, the fleet stops, nobody has it (release), somebody has it (take). ERR_IO: no thread.
 */
typedef void shard_moved(void *ctx, uint32_t shard, enum err e, const struct fault *why);
enum err fleet_release(struct fleet *f, uint32_t shard, shard_moved *done, void *ctx);
enum err fleet_take(struct fleet *f, uint32_t shard, unsigned worker, shard_moved *done, void *ctx);
/* By order of a test: it is given up, and the next worker takes it; nothing, if it moves already. Any thread. */
void fleet_move(struct fleet *f, uint32_t shard);
/* The worker of an even stretch. */
unsigned fleet_worker_of(const struct fleet *f, uint32_t shard);
/* Refuse what has not been applied with ServiceUnavailable, finish what has, stop the threads. Answers are posted to
 * the loops before it returns. */
void fleet_stop(struct fleet *f);
void fleet_free(struct fleet *f);

/* Workers look around, also those that have nothing to do: something of all of them is another, as the time is in tests. Any thread. */
void fleet_poke(struct fleet *f);

uint16_t fleet_slot(const struct fleet *f);
/* Threads, and what columns may take together, as given. */
unsigned fleet_workers(const struct fleet *f);
/* A number that moves with each turn of a worker: odd while it is in one, even while it waits or has no thread; any thread. */
uint64_t fleet_turns(const struct fleet *f, unsigned worker);
uint64_t fleet_column_bytes(const struct fleet *f);
/* Shards that have feedback on disk, or had, a bit each; any thread. */
uint64_t fleet_feedback(const struct fleet *f);
/* And those of other nodes. */
uint64_t fleet_feedback_anywhere(const struct fleet *f);
/* Identities (devices and modules) in the fleet; any thread. of_others: that other nodes have, which count for the hub's limit. */
void fleet_identities_of_others(struct fleet *f, uint64_t n);
uint64_t fleet_identities(const struct fleet *f);
/* What metrics show of the fleet; what is in shards is as it was a second ago. Any thread. */
void fleet_look(struct fleet *f, struct metric_looks *looks);
/* Names of labels that metrics do not have themselves: metric_names.of. */
const char *fleet_label_name(enum metric_label label, unsigned i);

#endif
