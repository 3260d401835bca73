/* deliver: what its files share. */
#ifndef TWINHUB_DELIVER_PRIV_H
#define TWINHUB_DELIVER_PRIV_H

#include "deliver/deliver.h"
#include "deliver/partitions.h"
#include "os/thread.h"

#define OUTLET_DISABLED "disabled" /* its state beside those of senders */

/* ---- does an event go to a sink? routes.c ---- */

/* Does some enabled route of the set take it to this sink? (E-33) On the feed's thread. */
bool routes_take(
    struct feed *f, const struct routing *set, struct str sink, const struct feed_event *e);

/* Does it go to the built-in endpoint? The fallback route takes what no other one takes anywhere (E-34). */
bool routes_take_built_in(struct feed *f, const struct routing *set, const struct feed_event *e);

/* ---- who numbers events: appender.c; on the thread of sinks, but for what is asked ---- */

struct appender;
struct appender *appender_new(struct deliveries *d);
void appender_free(struct appender *a); /* NULL is fine; it has ended */
void appender_begin(struct appender *a, const struct partition_end *ends, uint32_t n);
void appender_route(struct appender *a, struct routing *set);
void appender_look(struct appender *a, int64_t now_us);
/* Somebody has asked for partitions at another node; any thread. */
void appender_want(struct appender *a);
void appender_end(struct appender *a);
/* How many there are, for somebody who reads them; begins: nobody has before, and it is time to look. */
uint32_t appender_ask(struct appender *a, bool *begins);
struct partition_info appender_info(struct appender *a, uint32_t partition);

/* ---- what goes from the front of a partition: trim.c ---- */

#define TRIM_ROWS 256u /* at a time; the next ones with the next look */
struct trim {
	uint64_t begin; /* the oldest sequence that is left */
	uint64_t rows[TRIM_ROWS];
	uint32_t n;
};
/* ERR_IO, ERR_CORRUPT: out is not to be used. */
enum err trim_look(struct store *store, const struct feed_extent *extent, uint32_t partition,
    const struct partition_end *end, struct trim *out);

/* ---- a sink at work: outlet.c ---- */

/*
 *   reader --take--> batch --rest--> sender --over--> taken --once a second--> the stored cursor
 *
 * One batch is filled, sent and empty again; while it is away nothing is taken, and the reader rests. What the place has is behind `taken`; where
 * the reader stands does not matter, as a new one begins there.
 *
 * Locks: mu is over what several threads touch, and comes behind that of the deliveries and before a sender's.
 */
struct outlet {
	struct deliveries *d;
	/* changed by the thread with both locks, so either is enough to read it */
	struct sink_def *def;
	pthread_mutex_t mu;
	pthread_cond_t quiet; /* the reader is gone; a cursor has been written */
	/* with mu: */
	struct sender *sender; /* NULL: it is disabled, or cannot be one, and why */
	struct fault fault;
	struct routing *set;
	struct feed_reader *reader;
	bool reading;                  /* a reader is there, or going */
	bool failed;                   /* it has */
	bool away;                     /* the batch is the sender's */
	bool begun;                    /* `taken` is known */
	bool dirty;                    /* and not stored */
	bool writing;                  /* a cursor is on its way to the disk */
	int64_t write_us;              /* not before that; monotonic */
	int64_t read_us;               /* the same of a new reader, after one that has failed */
	struct position taken, filled; /* behind what the place has; behind what is in the batch */
	struct sink_batch batch;
	uint64_t dropped; /* positions that retention has taken before they were sent */
};

struct deliveries {
	struct deliveries_options o;
	struct deliveries_world world;
	struct senders *senders;
	struct appender *appender;
	struct thread thread;
	pthread_mutex_t mu;
	pthread_cond_t wake;
	/* with mu: */
	struct routing *set;
	bool here; /* shard 0 is */
	bool changed, stop;
	struct outlet *v[SINKS_MAX];
	uint32_t n;
};

struct outlet *outlet_new(struct deliveries *d, struct sink_def *def, const struct cursor *c);
/* It has ended. */
void outlet_free(struct outlet *o);
/* Its sender, as the definition wants it; what it was before has ended. */
void outlet_begin(struct outlet *o);
/* Nothing is sent any more; what was in the batch stays, for the next sender. */
void outlet_pause(struct outlet *o);
/* The same, and nothing is read; the cursor is on disk, if it can be. */
void outlet_end(struct outlet *o);
/* Another set of routes: what is read from now on goes by it. */
void outlet_route(struct outlet *o, struct routing *set);
/* What is due: a reader, a cursor. Once a second, and when it is woken. */
void outlet_look(struct outlet *o, int64_t now_us);
/* The value of "status"; with the lock of the deliveries. */
void outlet_show(struct outlet *o, struct out *out);
struct metric_looks;
/* What metrics show of it, added to those of its kind; likewise. */
void outlet_look_at(struct outlet *o, struct metric_looks *looks);

#endif
