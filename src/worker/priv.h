/* worker: what its files share. */
#ifndef TWINHUB_WORKER_PRIV_H
#define TWINHUB_WORKER_PRIV_H

#include "base/slots.h"
#include "job/rowset.h"
#include "os/clock.h"
#include "os/thread.h"
#include "worker/gate.h"
#include "worker/inbox.h"
#include "worker/share.h"
#include "worker/tail.h"
#include "worker/walk.h"
#include "worker/worker.h"

#include <pthread.h>

#define BATCH_OPS_MAX 4096u /* operations that one commit gathers; the rest waits in the inbox */
#define ROUND_LARGE   (256u << 10) /* bytes: a round takes no more of who has had its share */
/* Tours with a seat in the whole fleet, until their answers have left; of an asker's share of them: share.h. */
#define TOURS_CHEAP_MAX  64u
#define TOURS_COSTLY_MAX 64u
/* Tours that wait for one: of one asker in a lane, and of all. Beyond it the answer is 429. */
#define WAITING_SHARE_MAX 64u
#define WAITING_MAX       1024u
#define BUILDING_MAX      32u /* columns that tours of one asker make at a time; a query has no more */
#define RETRY_US          20000 /* between looks at a store that takes no writes, and while stopping */
#define SLICE_US          1000 /* a tour's turn between two batches */
/* Writes in a round when work of the hub's own begins: others' answers wait for them. Without others jobs may have more. A change is two: the
 * record and that of the log. */
#define SWEEP_WRITES_MAX 600u
#define JOB_WRITES_MAX   600u
#define JOB_WRITES_QUIET 4000u
/* parcels in one commit: what a device waits for, beside an import, is their time */
#define PARCELS_ROUND_MAX 6u

#define STOPPING          "the hub is stopping"
#define NO_LEASE          "the hub may not answer at the moment: nothing was done"
/* Of what is known, but may not be said from here: fleet_options.may_answer. */
#define MAY_NOT_ANSWER                                                                             \
	"the hub may not answer at the moment: what was asked for may have been done, or not"

struct job_call;
struct worker;
struct fleet;

/* What a worker does for jobs (jobs.c). */
struct worker_jobs {
	struct jobs *set; /* NULL until it is known */
	unsigned version; /* of the fleet's that it is */
	uint32_t turn;    /* of the set: whose slice is next */
	int64_t heard_us; /* when somebody else's operation came last; monotonic */
	bool busy;        /* some job may have something to do here */
	int64_t tick_us;  /* shard 0: when the time brings something about; wall clock */
	int64_t rest_us;  /* nothing can be done before; monotonic */
	bool quiet;       /* nobody else is about: the round may have more of them */
	struct part_task *part;
	struct part_face face;
	struct slots calls; /* struct job_call */
	uint32_t ncall;
	bool made;                 /* some calls are not listed in their part yet */
	bool forgets;              /* there may be parts of jobs that are known no more */
	uint32_t learning;         /* sets since which not all is on disk that was written before */
	bool calls_due;            /* some are to be looked at */
	bool calls_check;          /* there may be calls under way that only a record knows of */
	int64_t calls_us;          /* the first deadline; INT64_MAX: none */
	struct doc_parser *parser; /* NULL until there is an answer */
};

/* Who adds to a round. */
enum round_writer { ROUND_WORKS, ROUND_PARCELS, ROUND_SWEEP, ROUND_JOBS };

/* A range of records that a task reads (need.c): a cursor for each kind. */
struct reader {
	unsigned n;
	struct reader_at {
		unsigned kind; /* enum record_kind */
		struct store_cursor *cursor;
		struct str key, value; /* where it stands */
		enum err e;            /* of the step there */
	} at[RECORD_KINDS];
};

/* Bodies of messages that are wanted no more, until the next batch takes their deletions: what is lost of them with the process, or
 * over the bound, is erased when it is due. */
#define ERASED_MAX 4096u
/* Of messages on their way to sessions, in the fleet; those that would pass it wait for the next look. */
#define MESSAGE_BYTES_MAX (32u << 20)

/* What a worker does for messages to devices (messages.c). */
struct worker_messages {
	char (*erased)[MESSAGE_KEY];
	uint32_t nerased;
	/* monotonic: when locks are looked at next, and bodies whose time is over */
	int64_t look_us, due_us;
	uint32_t shard;         /* of the look for the latter */
	char from[MESSAGE_KEY]; /* in it: where it goes on */
	/* the store took no writes: sessions may wait for what could not be delivered */
	bool stuck;
	struct buf due; /* working memory: keys and devices of bodies that are due */
};

/* What is summed up of a worker's shards once a second (figures.c). */
enum figure {
	FIGURE_DEVICES,
	FIGURE_DISABLED,
	FIGURE_CACHED_BYTES,
	FIGURE_COLUMNS,
	FIGURE_COLUMN_BYTES,
	FIGURE_QUEUED,
	FIGURE_FEEDBACK,
	FIGURE_DEAD,
	FIGURES = FIGURE_DEAD + MESSAGE_ENDS
};

/* What a worker does for watches (watches.c). */
struct worker_watches {
	struct watch_index *index;
	struct watching *first, *last; /* last: whose first rows had their turn last */
	int64_t credit_ns,
	    credit_at_ns;  /* what costly conditions may take; when that was reckoned */
	uint32_t n, nscan; /* of those, with first rows that are not all found */
};

struct worker {
	struct fleet *fleet;
	unsigned index;
	_Atomic uint64_t turns; /* fleet_turns */
	/* Its shards, a bit each: holds_shard, next_held. Of those, such as it is giving up: has_shard, next_shard leave them out. And
	 * those that it has given up, while there is nobody who has them. */
	uint64_t mine, leaving, left;
	/* Of those that it has, such as wait for their sessions to be resumed, before all else: has_shard, next_shard leave them out, too. */
	uint64_t coming;
	uint32_t waits[SHARDS];       /* works and parcels that have come and are not applied */
	struct shard *shards[SHARDS]; /* by shard number; NULL for others' */
	uint64_t log_flying[SHARDS];  /* ends of their logs when what the store has is on disk */
	/* records for tails, of the round that gathers and of what the store has: shard (1 byte), key, length, bytes */
	struct buf tail_gathering, tail_flying;
	struct thread thread;
	struct mailbox box;
	struct msg *queue, **queue_end; /* taken from the box, not yet run: all but works */
	struct inbox inbox;             /* works */
	atomic_uint nwork;              /* works in box and queue, and behind the gate */
	atomic_size_t work_bytes;       /* and their bytes, of those that are not roomy */
	bool has_box;

	struct gate gate;
	struct {
		uint32_t nop, nitem, nconnection;
		size_t item_bytes;
	} taken;               /* by the gathering round */
	struct msg completion; /* posted by the committer */
	atomic_int result;     /* enum store_result, valid with completion */

	struct msg *later, **later_end; /* notes that leave behind the reply under way */
	struct lane {
		struct tour *first, **end;
	} lanes[SHARE_LANES]; /* tours that have a turn here */
	unsigned lane;        /* whose turn is next */
	struct slice slice;
	int64_t kept_us, kept_look_us; /* of the log, and when that was looked for; 0: never */
	int64_t slice_end_us;
	enum round_writer writes_as; /* of the task that has it */
	/* in the shard at hand, when the fleet's count last took them in */
	uint32_t identities_were;
	struct tour *touring; /* whose slice it is; NULL: it is a task of the hub's own */
	struct reader reader;
	struct parcel *parcels, **parcels_end;
	struct hub_env env;
	bool epochs_due; /* some may not be on disk, or on their way there */
	/* the newest time of its shards when they were loaded, if the clock was behind it */
	int64_t from_us;
	const struct catalogue *catalogue;
	struct buf scratch, key, value;
	struct query_scratch query_scratch;
	struct fault load_fault;
	enum err load_err;
	bool stopping; /* the fleet's stop, as of this turn */
	struct task *sweep;
	bool sweeping; /* there may be rows to be brought in line with the configurations */
	bool sweep_stuck;
	int64_t sweep_again_us; /* 0: nothing is to be looked at again */
	int64_t sweep_since_us;
	bool sweep_slow; /* its line is in the log */
	struct worker_jobs jobs;
	struct worker_messages messages;
	struct worker_watches watches;
	struct {                   /* connections.c */
		int64_t due_us;    /* when what waits is to be told; INT64_MAX: nothing does */
		int64_t missed_us; /* the first of connections_missed_us */
		uint32_t shard;    /* whose turn is first */
	} connections;
	struct worker_figures { /* figures.c: what its shards are, for who asks; any thread */
		atomic_uint_least64_t v[FIGURES];
		int64_t looked_us; /* monotonic; the worker's, as is stale */
		bool stale;        /* there were turns since */
	} figures;
	struct msg poke; /* a new catalogue, or a new set of jobs */
	atomic_bool poked;
};

/* ---- route.c: where what is for a shard goes ---- */

/* What may wait for a shard that nobody has; beyond it the answer is 429. And for how long; then it is 503. */
#define PARKED_MAX          4096u
#define PARKED_BYTES_MAX    (8u << 20)
#define PARKED_US           INT64_C(5000000)
#define PARKED_TELEMETRY_US INT64_C(30000000)

/* A kind of what goes to shards. */
struct traveller {
	/* It is this worker's from now on; under the lock of the route, so it sends nothing on. */
	void (*enter)(struct worker *w, struct msg *m);
	/* It is not taken, or no more. */
	void (*refuse)(struct fleet *f, struct msg *m, enum fault_code code, const char *why);
	size_t (*bytes)(const struct msg *m); /* NULL: few */
	bool (*must)(const struct msg *m);    /* is it taken over the bounds, too? NULL: no */
	int64_t (*patience_us)(
	    const struct msg *m); /* how long it may wait; < 0: as long as it takes */
	/* To other nodes, as long as no worker here is open for it; under the lock of the route. Why not; NULL: it is theirs. No function: it waits
	 * here */
	const char *(*leave)(struct fleet *f, struct msg *m);
	bool (*first)(const struct msg *m); /* does it go before all that waits here? NULL: no */
};

struct shard_route {
	pthread_mutex_t mutex;
	struct parked {
		const struct traveller *of;
		struct msg *m;
		int64_t since_us;
	} * line; /* what has come while no worker has the shard, oldest first */
	uint32_t n, cap;
	uint32_t passing;     /* has left by traveller.leave, and did not arrive yet */
	bool open;            /* its worker gets what leaves else */
	struct worker *comes; /* to this one, which takes what goes before all that waits */
};

#define EDGES_MAX 64u /* nodes, by their slots */

/* A shard on its way between workers (shifts.c): one at a time each. */
struct shift {
	struct msg msg;
	struct fleet *fleet;
	atomic_bool under_way;
	struct worker *from, *to; /* whom it leaves; whose it becomes */
	struct shard *sh;         /* read, until somebody has it */
	int64_t from_us, now_us;  /* where its time goes on; when it was read */
	struct fault fault;
	shard_moved *done;
	void *ctx;
	/* whom it leaves: how far it is */
	enum shift_step { SHIFT_DRAINS, SHIFT_ENDS, SHIFT_FENCED, SHIFT_OUT } step;
	uint32_t row; /* SHIFT_ENDS: sessions below have ended */
	struct resumption resumption;
	struct msg opens; /* the last message of its coming */
};

struct fleet {
	struct fleet_options o;
	struct worker *workers;
	_Atomic(struct worker *) of_shard[SHARDS]; /* shard_worker; written by route.c alone */
	struct shard_route routes[SHARDS];
	atomic_uint_least64_t edges[EDGES_MAX]; /* fleet_edge */
	struct shift shifts[SHARDS];
	struct {
		pthread_mutex_t mutex;
		pthread_cond_t fewer;
		unsigned n;
	} reading;          /* threads that read shards */
	atomic_uint parked; /* in the lines of all routes */
	atomic_size_t parked_bytes;
	atomic_uint_least64_t log_ends[SHARDS]; /* of the log on disk: fleet_log_end */
	struct tail tails[SHARDS];
	atomic_bool log_read;        /* somebody reads at its end */
	void (*log_grew)(void *ctx); /* NULL: nobody hears of it */
	void *log_ctx;
	atomic_uint_least64_t identities, identities_of_others;
	atomic_uint_least64_t
	    message_bytes; /* of messages on their way to sessions, until their loops have them */
	atomic_uint_least64_t feedback; /* shards that have some, a bit each: fleet_feedback */
	atomic_uint ntour;              /* with a seat or without */
	struct seats {
		pthread_mutex_t mutex;
		struct shares shares;
		struct share *line[SHARE_LANES],
		    **end[SHARE_LANES]; /* those with tours that wait */
		uint32_t nwaiting;
	} seats;
	struct finisher { /* finish.c */
		struct mailbox box;
		struct thread thread;
		struct msg last; /* the stop's */
		bool has_box, over;
	} finisher;
	struct walker { /* walker.c */
		struct mailbox box;
		struct thread thread;
		struct msg last; /* the stop's */
		struct walk *walks;
		bool has_box;
		atomic_bool over;
	} walker;
	struct lives { /* live.c */
		pthread_mutex_t mutex;
		struct watch_index *index;
		struct lives_of {
			uint64_t asker;
			uint32_t n;
		} * of;
		uint32_t nof;
		atomic_size_t waiting; /* bytes to be told */
	} lives;
	atomic_bool stop;
	struct msg *wake; /* one a worker: the stop's alarm clock */
	pthread_mutex_t jobs_mutex;
	struct jobs *jobs; /* as on disk; NULL: nobody has said yet which there are */
	atomic_uint jobs_version;
	/* hub_jobs.c; under jobs_mutex, as jobs */
	struct hub_jobs {
		bool own; /* shard 0 is here */
		/* of jobs: shard 0's epoch, and how often it has changed since */
		uint64_t epoch, version;
		uint64_t dropped; /* own: the version when one was forgotten last */
		struct job_age *ages;
		uint32_t nage;
		/* another node's: what has come of the next; NULL: nothing has */
		struct jobs *staged;
		uint64_t staged_epoch, staged_version;
		void (*heard)(void *ctx); /* NULL: nobody cares */
		void *ctx;
	} hub_jobs;
};

static_assert(SHARDS == 64, "struct worker.mine");
/* The first of a set at or after s; SHARDS: there is none. */
static inline uint32_t
next_of(uint64_t shards, uint32_t s)
{
	uint64_t rest = s < SHARDS ? shards >> s : 0;

	return rest != 0 ? s + (uint32_t)__builtin_ctzll(rest) : SHARDS;
}
/* Its shards, with those that it is giving up: what is of rounds, and of what came before. */
static inline bool
holds_shard(const struct worker *w, uint32_t s)
{
	return w->mine >> s & 1;
}
static inline uint32_t
next_held(const struct worker *w, uint32_t s)
{
	return next_of(w->mine, s);
}
/* Its shards: what is begun. */
static inline bool
has_shard(const struct worker *w, uint32_t s)
{
	return (w->mine & ~w->leaving & ~w->coming) >> s & 1;
}
static inline uint32_t
next_shard(const struct worker *w, uint32_t s)
{
	return next_of(w->mine & ~w->leaving & ~w->coming, s);
}

/* route.c */
void routes_init(struct fleet *f);
void routes_fini(struct fleet *f);
/* What waits is refused, and nothing waits from then on: the fleet stops. */
void routes_stop(struct fleet *f);
/* Whose a shard is at the moment; NULL: nobody's. Any thread. */
struct worker *shard_worker(const struct fleet *f, uint32_t shard);
/* Any thread. m is the worker's, or waits, or is refused. */
void route_send(struct fleet *f, uint32_t shard, const struct traveller *t, struct msg *m);
/* It is going to be this worker's, who takes from now on what goes before all that waits, and nothing else. */
void route_half_open(struct fleet *f, uint32_t shard, struct worker *w);
/* Any thread. To the worker that has the shard, open or not. False: none has it. */
bool route_enter(struct fleet *f, uint32_t shard, const struct traveller *t, struct msg *m);
/* From now on it is this worker's, who hears of that by `first`; what has waited here follows. Open, unless other nodes may have something for it. w NULL: it
 * is half open: false if it is not. */
bool route_open(struct fleet *f, uint32_t shard, struct worker *w, struct msg *first);
/* From now on it is nobody's; `last` is the last message that its worker gets for it. */
void route_close(struct fleet *f, uint32_t shard, struct msg *last);
/* What has waited too long is refused. */
void route_look(struct fleet *f, uint32_t shard);

/* shifts.c */
void shifts_init(struct fleet *f);
/* No thread reads any more. */
void shifts_stop(struct fleet *f);
void shifts_fini(struct fleet *f);
void shifts_turn(struct worker *w);
int64_t shifts_patience_us(const struct worker *w);
bool shifts_drop(struct msg *m); /* as jobs_drop */
/* Of one that it is giving up: is it still being served? */
bool shift_drains(const struct worker *w, uint32_t s);

/* edges.c */
/* Has the node that it came from gone since? */
static inline bool
work_is_lost(const struct fleet *f, const struct work *k)
{
	return k->edge_nth != 0 && atomic_load(&f->edges[k->edge]) != k->edge_nth;
}
bool edges_drop(struct msg *m); /* as jobs_drop */

/* loading.c: a shard from the store, on whatever thread. from_us: where its time goes on (shard_loaded). */
/* begin: now, and how long sessions may be missing. */
enum err shard_from_store(struct fleet *f, struct shard *sh, struct shard_begin *begin,
    int64_t *from_us, struct fault *why);
/* worker.c */
struct shard *shard_make(uint32_t s);

/* worker.c */
/* mine: its shards, a bit each. */
void worker_init(struct worker *w, struct fleet *f, unsigned index, uint64_t mine);
void worker_fini(struct worker *w);
void worker_main(void *arg);
/* One turn of it, which waits for nothing; and is there nothing left to be done before the end? */
void worker_turn(struct worker *w);
bool worker_finished(struct worker *w);
/* One operation on the speculative state; what it needs is loaded. */
void worker_apply(struct worker *w, struct shard *sh, const struct op *op, struct reply *reply);

/* epochs.c */
#define BACK_HELD_US                                                                               \
	INT64_C(                                                                                   \
	    10000000) /* so far behind its shards' times the clock is waited for, not followed */
void epochs_turn(struct worker *w);
int64_t epochs_patience_us(const struct worker *w);
/* A shard has been loaded, and its time goes on from there (shard_loaded). */
void epochs_begun(struct worker *w, int64_t from_us, int64_t now_us);
/* The time of a turn, by the wall clock. */
int64_t epochs_time_us(const struct worker *w, int64_t wall_us);

/* tails.c: a record of the log is written; the round leaves; it is on disk, and the ends of the log do not say so yet; it is not */
void tail_gather(struct worker *w, uint32_t shard, struct str key, struct str record);
void tails_fly(struct worker *w);
void tails_land(struct worker *w);
void tails_fail(struct worker *w);
void tails_fini(struct worker *w);

/* round.c */
void round_init(struct worker *w);
/* May this one add to the gathering round? */
bool round_has_room(const struct worker *w, enum round_writer as);
/* To the store with it, unless that still has the other one. */
void round_turn(struct worker *w);
int64_t round_patience_us(const struct worker *w);
/* The store has done with its batch. */
void round_ended(struct worker *w);

/* notes.c: hub_env.effect; and those effects that go behind the reply of their operation */
void notes_effect(void *ctx, const struct effect *e);
void notes_behind_reply(struct worker *w);

/* serve.c: works, each in the line of who asks */
/* A work is put into its line; false: the message is none. */
bool serve_put(struct worker *w, struct msg *m);
/* Works of all askers in turn, for a while. */
void serve_turn(struct worker *w);
/* There are works that the round takes. */
bool serve_awaits(const struct worker *w);
int64_t serve_patience_us(const struct worker *w);

/* parcel.c */
void parcel_turn(struct worker *w);
int64_t parcel_patience_us(
    const struct worker *w); /* 0: there are some, and the round takes one more */

/* load.c */
/* Get missing records into memory; ERR_CORRUPT and ERR_IO set f. `key` is the row's. */
enum err worker_load(
    struct worker *w, struct shard *sh, struct str key, unsigned missing, struct fault *f);
/* The same for a tour: with what is missing, if the cache has room, comes what follows in the store. */
enum err worker_load_row(
    struct worker *w, struct shard *sh, uint32_t row, unsigned records, struct fault *f);

/* need.c */
void slice_init(struct worker *w);
/* A slice begins; of a task that writes, what that adds to the round is counted as this one's. */
void worker_slice(struct worker *w);
void worker_slice_writes(struct worker *w, enum round_writer as);
/* Steps in a shard until it is through, or the slice over; what they need is loaded. */
enum step worker_step(struct worker *w, struct task *t, struct shard *sh);
void reader_close(struct reader *rd);

/* lane.c */
void lanes_init(struct worker *w);
void tour_arrived(struct msg *m);
/* Give the tour whose turn it is its slice; it leaves, or goes to the end of the line. */
void tour_turn(struct worker *w);
int64_t tours_patience_us(const struct worker *w); /* 0: there is one that can have a turn */
/* May it make so many columns now? If not it is not its turn until it may. */
bool tour_may_build(struct tour *k, uint32_t paths);

/* ticket.c */
void seats_init(struct fleet *f);
void seats_fini(struct fleet *f);
/* Whoever waits for a seat is sent home. */
void seats_stop(struct fleet *f);
/* tour_start, now or when its turn has come. */
void tour_seat(struct fleet *f, struct tour *k);
/* The hub's own: without bounds. */
struct ticket *ticket_own(struct fleet *f);
struct share *ticket_share(const struct ticket *t); /* NULL: the hub's own */
/* As ticket_new had them, appended; nothing: the hub's own. */
void ticket_asker(const struct ticket *t, struct buf *who, struct buf *from);
/* Columns that its tour makes, until ticket_built; false: its asker makes too many at the moment. */
bool ticket_build(struct ticket *t, uint32_t paths);
void ticket_built(struct ticket *t);

/* tour.c */
/* It has its seat, or a fault. */
void tour_start(struct fleet *f, struct tour *k);
/* A slice of it; true when its part is done here. */
bool tour_slice(struct worker *w, struct tour *k);
after_commit tour_leaves; /* what it has seen is durable */
/* Tours whose turn is not over may have seen what is no more. */
void tours_undone(struct worker *w);
/* The whole fleet has been seen: make the answer of what was gathered, unless its time is over, and send it home. */
void tour_conclude(struct fleet *f, struct tour *k);
/* The whole fleet has been seen. */
void tour_ends(struct fleet *f, struct tour *k);
/* Past its limit of time it has failed. */
void tour_judge_time(const struct fleet *f, struct tour *k);

/* walk.c: of what another node asks: it begins; what has come of it is said; it is over */
void walk_begin(struct tour *k);
void walk_conclude(struct tour *k);
void walk_home(struct fleet *f, struct tour *k);
/* walk_kinds.c: NULL: f says why it cannot be asked here. */
struct task *walk_task_made(struct fleet *fleet, const struct walk_asked *asked, struct fault *f);
/* walker.c: is it asked of the owners of shards? */
bool walker_takes(struct fleet *f, struct tour *k);
/* Bytes of what they have said; and: that is added to the task. */
size_t walk_bytes(const struct walk *w);
void walk_merge(struct fleet *f, struct tour *k);
void walk_free(struct walk *w); /* NULL is fine */
/* What has come is taken, what is due is done. */
void walker_turn(struct fleet *f);
enum err walker_open(struct fleet *f); /* ERR_IO: no descriptor */
enum err walker_start(struct fleet *f);
void walker_stop(struct fleet *f); /* no tour is under way */
void walker_fini(struct fleet *f);
/* finish.c: is the result a large one? Then it is concluded on the finisher's thread. */
bool finisher_takes(struct fleet *f, struct tour *k);
enum err finisher_open(struct fleet *f); /* ERR_IO: no descriptor */
enum err finisher_start(struct fleet *f);
void finisher_stop(struct fleet *f); /* no tour is under way */
void finisher_fini(struct fleet *f);

/* worker.c: set env.identities_left; and tell of what has been made or removed */
void worker_identities_left(struct worker *w);
void worker_identities_changed(struct worker *w, int64_t by);

/* figures.c */
void figures_turn(struct worker *w);
void figures_look(struct worker *w); /* its shards are others */
int64_t figures_patience_us(const struct worker *w);

/* sweep.c */
/* The catalogue's configurations hold from now on. */
void sweep_configure(struct worker *w);
/* What has been swept has been undone. */
void sweep_restart(struct worker *w);
void sweep_turn(struct worker *w);
void sweep_takes(struct worker *w, struct shard *sh); /* it is new here */
/* How long nothing is to be done; -1: until something comes. */
int64_t sweep_patience_us(const struct worker *w);

/* jobs.c */
void jobs_init(struct worker *w);
void jobs_turn(struct worker *w);
void jobs_restart(struct worker *w);
void jobs_fini(struct worker *w);
void jobs_take(struct worker *w, struct shard *sh); /* it is new here */
void jobs_leave(struct worker *w, uint32_t shard);  /* it goes, its last commit is on disk */
after_commit jobs_set_goes; /* a set is on disk: to all shards, which own it */
/* A message that nobody has taken, at the end. */
void jobs_drop(struct msg *m);
/* job_calls.c: calls of methods, between the commit that they begin with and the one that they end with */
void job_call_begin(struct worker *w, const struct job *j, uint32_t shard, uint32_t row);
void job_calls_listed(struct worker *w); /* their part has been saved */
bool job_calls_full(const struct worker *w);
void job_calls_turn(struct worker *w);
void job_call_heard(struct worker *w, const struct effect *e);
bool job_calls_settled(
    const struct worker *w, uint32_t shard); /* nothing that was answered waits for its commit */
void job_calls_leave(struct worker *w, uint32_t shard);
void job_calls_fini(struct worker *w);
/* jobs.c: write how far a part is, and report it when that is on disk */
void jobs_save(struct worker *w, struct shard *sh, struct job *j);
/* How long nothing is to be done; -1: until something comes. */
int64_t jobs_patience_us(const struct worker *w);

/* messages.c: what is behind the commit of a message */
void messages_init(struct worker *w);
void messages_fini(struct worker *w);
/* Before an operation: how much it may deliver. After it: what has been held back. */
void messages_begin(struct worker *w);
void messages_end(struct worker *w, struct shard *sh);
void messages_moved(struct worker *w, uint32_t shard); /* it goes */
void messages_turn(struct worker *w);
int64_t messages_patience_us(const struct worker *w);
after_commit feedback_told;
void body_erase(struct worker *w, struct str key); /* wanted no more, behind the commit */
/* A body into out; ERR_OK, or the line of why not is in the log. */
enum err message_fetch(struct worker *w, struct str key, struct buf *out);
/* The body of a reply that has a message; its fault if it cannot be read. */
void message_reply(struct worker *w, struct reply *reply);

/* watches.c */
void watches_init(struct worker *w);
void watches_fini(struct worker *w);
/* An operation is over: what has it made of rows that are watched? */
void watches_hear(struct worker *w, struct shard *sh);
/* Both rounds are undone. */
void watches_undone(struct worker *w);
void watches_turn(struct worker *w);
int64_t watches_patience_us(const struct worker *w);
bool watches_drop(struct msg *m); /* as jobs_drop; false: it is none of theirs */
/* A shard comes, or goes: nobody can say what of it was not told (E-62's like). */
void watches_moved(struct worker *w);

/* live.c */
void lives_init(struct fleet *f);
void lives_fini(struct fleet *f);
uint32_t lives_count(struct fleet *f);
void lives_untold(struct fleet *f, size_t bytes); /* of a watch that is no more */
/* connections.c: what the log says of sessions */
void connections_turn(struct worker *w);
int64_t connections_patience_us(const struct worker *w);
/* Nothing waits, or the store takes nothing. */
bool connections_told(const struct worker *w);

/* fleet.c */
/* All is loaded: turns may begin. */
void fleet_begin(struct fleet *f);

/* work.c */
void work_home(struct work *w);

/* hub_jobs.c: on the node that has shard 0, its jobs. The set is the fleet's. put: with jobs_mutex held */
void hub_jobs_begin(struct fleet *f, struct jobs *set);
void hub_jobs_put(struct fleet *f, const struct jobs *former, const struct jobs *set);
void hub_jobs_end(struct fleet *f);
void hub_jobs_hear(struct fleet *f); /* it has changed */
void hub_jobs_fini(struct fleet *f);
/* Would a worker with this set know of a job of this number, if it were not forgotten? */
bool hub_jobs_knows(struct fleet *f, const struct jobs *set, uint64_t number);

/* hubwide.c */
bool work_spreads(
    const struct worker *w, const struct work *k); /* its answer waits for all nodes */
void hubwide_came(struct worker *w,
    const struct shard *sh); /* with shard 0: it says what is in force from now on */
void hubwide_left(struct worker *w);
void work_over(struct worker *w, struct work *k); /* serve.c */
void note_free(struct note *n);
struct note *note_new(const struct effect *e, void (*on_note)(struct note *n));

#endif
