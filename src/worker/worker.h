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
#include "config/dryrun.h"
#include "hub/hub.h"
#include "job/work.h"
#include "config/why.h"
#include "limit/limit.h"
#include "net/net.h"
#include "query/columns.h"
#include "store/store.h"

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
	struct worker *at; /* the fleet's, as is shard */
	uint32_t shard;
	size_t used, room; /* of bytes */
	char bytes[];      /* the strings of op */
};

/* ---- rate limits (limit/limit.h) of the whole hub; any thread ---- */

struct limiter;
/* NULL: there are none. Of so many identities at most. */
struct limiter *limiter_new(const struct limit_rules *rules, uint64_t nidentity);
void limiter_free(struct limiter *l); /* NULL is fine */
/* As limits_allow, limits_take, limits_owe, now. NULL: always, always, nothing. */
bool limiter_allows(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why);
bool limiter_takes(struct limiter *l, enum limit_kind kind, const struct limit_asker *asker,
    struct limit_refusal *why);
void limiter_owes(
    struct limiter *l, enum limit_kind kind, const struct limit_asker *asker, uint32_t n);

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

/* ---- parcels: many operations of one worker, as an import sends them ---- */

#define PARCEL_ITEMS_MAX 64u
#define PARCEL_BYTES_MAX (256u << 10) /* of payloads; the last one may go beyond it */

struct span {
	uint32_t at, n; /* in the parcel's bytes */
};

struct parcel_item {
	enum op_kind kind; /* of those that a back end sends, without reply_to */
	uint8_t import;
	enum precondition if_match;
	uint32_t nduplicate;
	uint32_t line;
	struct span device, module, if_tag, payload;
	enum fault_code fault; /* out: F_NONE is done */
	struct span text;      /* out: the fault's, in texts */
};

/*
 * Applied whole and in order, within one commit, between other operations: parcels wait until nobody else does, and a
 * commit holds few. Parcels to one worker keep their order.
 */
struct parcel {
	struct msg msg; /* the fleet's, as is `at` */
	struct worker *at;
	struct parcel *next;            /* whoever has it */
	void (*done)(struct parcel *p); /* on a worker's thread, or the sender's: short */
	void *owner;                    /* the sender's */
	struct str actor;               /* the policy; outlives the parcel */
	uint32_t n;
	struct buf bytes, texts;
	struct parcel_item items[PARCEL_ITEMS_MAX];
};
struct parcel *parcel_new(void (*done)(struct parcel *p), void *owner, struct str actor);
void parcel_free(struct parcel *p);
static inline struct str
span_str(const struct buf *bytes, struct span s)
{
	return s.n == 0 ? STR_NONE : (struct str){ bytes->p + s.at, s.n };
}

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
	struct str name, body;           /* in bytes */
	void (*on_note)(struct note *n); /* borrows n */
	char bytes[];
};

/* ---- who asks ---- */

/*
 * What one request holds of its asker's share: a seat of walks, and bytes of an answer that its client has not read. An
 * asker is a policy, or a device, at one address. A ticket goes with the walk and then with its answer, until that has left:
 * so who does not read has no more of either. Any thread.
 */
struct fleet;
struct ticket;
struct ticket *ticket_new(struct fleet *f, struct str who, struct str from);
void ticket_free(struct ticket *t); /* a walk that waits may begin; NULL is fine */
/* The answer takes so many bytes now; false: more than its share, or all that there is, and nothing has changed. */
bool ticket_hold(struct ticket *t, size_t bytes);
size_t ticket_bytes(const struct ticket *t);
/* Others wait for what it holds. */
bool ticket_pressed(struct ticket *t);

/* ---- a walk over the whole fleet: queries and lists ---- */

/* Rows whose place in a rollout (rollout_place) lies in [from, to); if there are buckets, each is counted in the one of
 * (place - from) >> shift. */
struct walk_draw {
	uint64_t salt, from, to;
	unsigned shift;
	uint32_t *buckets; /* NULL: none */
};

enum walk_kind {
	WALK_QUERY,
	WALK_IDENTITIES,
	WALK_COUNTS,
	WALK_COLUMNS,
	WALK_JOBS,
	WALK_DRY_RUN,
	WALK_WHY
};

/* Where the time of a query goes. Waiting is for its turn, behind other work and for commits that it has seen. */
enum walk_step {
	STEP_PARSE, /* the sender's */
	STEP_WAIT,
	STEP_BUILD,  /* rows shown to columns, their documents read */
	STEP_JUDGE,  /* by columns; groups counted by columns */
	STEP_LOAD,   /* documents from the store */
	STEP_ASK,    /* documents, whether they match */
	STEP_OUTPUT, /* of documents: projected, put in order, counted */
	STEP_FINISH, /* groups put together, all put in order and written */
	WALK_STEPS
};
extern const char *const walk_step_names[WALK_STEPS]; /* "parse", ... */

/* A job that is only tried: its targets are listed, and some shown as they would be. */
struct walk_trial {
	struct job *job;    /* owned */
	bool counts;        /* the first page: the whole fleet is counted */
	unsigned left;      /* twins still to be shown */
	uint64_t devices;   /* out: targets seen */
	struct buf samples; /* out: what would become of them, with commas between */
	bool over;          /* out: the next page begins at `end` */
	struct query_place end;
};
#define WALK_TRIAL_BYTES (8u << 20) /* of samples; at it there are fewer */

/*
 * Visits the shards in order, in slices between batches, each worker's part behind its commits: what it shows is durable
 * and holds every write acknowledged before it began. Two devices may be seen at slightly different moments. Aggregates
 * are gathered by all workers at once: the last bits of a SUM or AVG may differ with the number of workers.
 */
struct walk {
	struct msg msg; /* the fleet's */
	enum walk_kind kind;
	struct ticket *ticket;  /* owned; NULL: the hub's own walk, which waits for no seat */
	struct query *query;    /* WALK_QUERY: owned */
	bool count;             /* WALK_QUERY: rows are counted in place.delivered, none is shown */
	struct walk_draw *draw; /* of those, only what it takes; the sender's. NULL: all */
	bool explain;           /* WALK_QUERY: facts.ns and columns are wanted */
	int job_type, job_status; /* WALK_JOBS: only such ones; -1: any */
	struct dryrun *dry;       /* WALK_DRY_RUN: owned; json has entries of devices */
	bool
	    dry_counts; /* WALK_DRY_RUN: the whole fleet is counted, not only up to the page's end */
	bool page_over; /* out, WALK_DRY_RUN: the next page begins at page_end */
	struct query_place page_end;
	struct why *why;          /* WALK_WHY: owned; json has its entries */
	bool found;               /* out, WALK_WHY of one twin: its device is there */
	uint32_t limit;           /* rows of this page, or identities wanted, 1 to 1000 */
	struct query_place place; /* in: where to begin; out: where the next page begins */
	bool more;                /* out: there may be rows behind this page */
	uint32_t nrow;            /* out: rows in json */
	struct rope page;         /* out: rows as JSON, with commas between, without brackets... */
	struct buf json;          /* ...and the last of them, behind it */
	struct shard_counts counts; /* out: WALK_COUNTS */
	uint64_t looped;            /* out: WALK_COUNTS: shard_looped of all, since the start */
	struct fault fault;         /* out: F_NONE, or what went wrong; then json means nothing */
	struct loop *home;
	void (*done)(struct walk *w); /* owns w from then on: ends with walk_free */
	struct reply_to reply_to;     /* the sender's */
	void *owner;                  /* the sender's: outlives the walk */
	struct walk_facts {
		uint64_t judged; /* row numbers looked at, by columns or one by one */
		uint64_t asked;  /* of those, rows whose document was asked */
		uint64_t shown;  /* rows from which columns were made */
		uint32_t columns,
		    held; /* paths worth a column, summed over shards; those that had one */
		int64_t ns[WALK_STEPS]; /* explain: summed over workers */
		int64_t total_ns;       /* from fleet_walk until it goes home */
		size_t column_bytes;    /* WALK_COLUMNS */
	} facts;                        /* out */
	struct column_report *columns;  /* out: explain, those of its paths; WALK_COLUMNS: all */
	uint64_t reflects[SHARDS];      /* out: marks of shards when they were seen; 0: not seen */
	struct query_groups *groups;    /* the fleet's, as is all below */
	struct query_order *order;      /* ORDER BY on rows */
	struct walk_trial *trial;       /* owned; json has ids of targets. NULL: it is no trial */
	bool registry; /* WALK_QUERY: json has the matching devices' identities, no results */
	struct rope module_page; /* out: those of all their modules then, with commas between... */
	struct buf modules;      /* ...and the last of them */
	struct rowset *rows;     /* a job's targets: rows that match go here instead */
	struct vector *vector;
	uint32_t scanned; /* shard of the last turn */
	struct walk_ids *ids;
	struct worker *at;
	unsigned lane;      /* enum share_kind */
	uint32_t builds;    /* columns that it may not make yet; 0: it can have its turn */
	bool short_of_room; /* of answers: the page ends here */
	int64_t deadline_us;
	int64_t begin_ns, lap_ns;
	struct walk *next;
	struct walk *whole, *parts; /* of an aggregate: one a worker, all at once */
	unsigned npart;
	atomic_uint waiting; /* parts that are not done */
};

struct walk *walk_new(struct loop *home, enum walk_kind kind, void (*done)(struct walk *w));
void walk_free(struct walk *w);

/* What a page reflects, as x-twinhub-reflects gives it: base64 of varints: the first shard seen, how many, the least of
 * their marks, and what each is above it. Nothing if no shard was seen. */
void walk_reflects(const struct walk *w, struct buf *out);

#define WALK_BYTES_MAX (16u << 20) /* of one page's JSON; at it the page ends early */

/* ---- the fleet: all shards and their workers ---- */

struct fleet;

struct fleet_options {
	struct store
	    *store; /* opened with `nworker` lanes and fleet_commit_done; outlives the fleet */
	unsigned nworker;     /* 1 to SHARDS */
	uint64_t cache_bytes; /* documents in memory, all shards together */
	uint64_t query_bytes; /* memory of one query's groups, or of the rows it sorts */
	uint64_t
	    work_bytes; /* of works of one worker, of senders without a bound of their own; 0: WORK_BYTES_MAX */
	uint64_t answer_bytes;   /* of answers that are made or have not been read, in all */
	uint64_t column_bytes;   /* memory of columns, all shards together; 0: none are made */
	int64_t walk_us;         /* time of one walk; at it the answer is 400 */
	uint64_t identities_max; /* L-24 */
	struct catalogue_box *catalogue;
	struct loop *const *loops; /* reply_to.loop indexes these */
	unsigned nloop;
	void (*on_note)(struct note *n);
	/* The configurations have changed, on disk: a new catalogue is to be set before it returns. Owns the set. A
	 * worker's thread; NULL: nobody cares. */
	void (*on_configurations)(struct configurations *set);
	/* For several machines: the gate's (worker/gate.h). NULL, false: this process alone has the store. */
	uint64_t (*may_answer)(void *lease);
	void *lease;
	bool reads_fenced;
};

struct fleet *fleet_new(const struct fleet_options *o);
/* To be given to store_open as the completion callback; ctx is a `struct fleet **` that is set before the first submit. */
void fleet_commit_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result);
/* Read every identity from the store. ERR_CORRUPT, ERR_IO with a text that names the key or file. */
enum err fleet_load(struct fleet *f, struct fault *why);
/* Those that were loaded; the caller owns the set. Before fleet_start. */
struct configurations *fleet_configurations(const struct fleet *f);
/* ERR_IO: no threads or descriptors; none runs then. */
enum err fleet_start(struct fleet *f);
/* Any thread. The work comes back through done, whatever happens. */
void fleet_submit(struct fleet *f, struct work *w);
void fleet_walk(struct fleet *f, struct walk *w);
/* Any thread; all devices in it are this worker's. It comes back through done, whatever happens. */
void fleet_parcel(struct fleet *f, unsigned worker, struct parcel *p);
unsigned fleet_worker_of(const struct fleet *f, struct str device);
/* Refuse what has not been applied with ServiceUnavailable, finish what has, stop the threads. Answers are posted to
 * the loops before it returns. */
void fleet_stop(struct fleet *f);
void fleet_free(struct fleet *f);

/* Threads, and what columns may take together, as given. */
unsigned fleet_workers(const struct fleet *f);
uint64_t fleet_column_bytes(const struct fleet *f);
/* Identities (devices and modules) in the fleet; any thread. */
uint64_t fleet_identities(const struct fleet *f);

/* Writes a log record's body as OP_TELEMETRY and the will of OP_DISCONNECT want it (struct op, payload): properties in
 * order, then the message. Call log_property for each, then log_message once. */
void log_property(struct buf *out, struct str key, struct str value);
void log_message(struct buf *out, struct str payload);

#endif
