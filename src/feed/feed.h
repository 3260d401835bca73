/*
 * feed: the one room that reads the log for those who want to hear of it (docs/spec/events.md 2 and 3), on a thread of its own, so that neither
 * workers nor loops ever read for a reader. What is on disk comes to it without a timer: the fleet tells it of each commit that has records.
 *
 * A reader takes events one at a time on the feed's thread, until it has no room; then it rests until it says that it has (feed_more), and
 * nothing is kept for it but where it stands. Readers at the end of the log share what is read and written for them (stretches, FEED_STRETCH_BYTES
 * a shard); one that is behind reads for itself.
 *
 * Threads: feed_open, feed_more and feed_close may be called on any thread; the callbacks come on the feed's.
 */
#ifndef TWINHUB_FEED_H
#define TWINHUB_FEED_H

#include "event/position.h"
#include "route/route.h"
#include "shard/past.h"
#include "shard/told.h"
#include "worker/worker.h"

struct feed;
struct feed_reader;

struct feed_options {
	struct fleet *fleet;
	struct store *store;
	uint32_t hub;    /* the number in its positions */
	struct str name; /* of the hub, in events; copied */
};

#define FEED_STRETCH_BYTES  (64u << 10) /* of records read at a time, of one shard */
#define FEED_STRETCH_EVENTS 512u        /* and so many */
#define FEED_TURN_EVENTS    4096u       /* of one reader, before it is another one's turn */
#define FEED_TURN_US        10000 /* and so long, as a condition may cost milliseconds an event */
#define FEED_READERS_MAX    64u   /* E-27 */
#define FEED_SHARE_MAX      16u   /* of one asker */
#define FEED_PATH_STEPS     16u

/* Its thread runs when it returns. ERR_IO: no descriptor or thread. */
enum err feed_new(const struct feed_options *o, struct feed **out);
/* No reader is left in it, and the fleet has stopped; NULL is fine. */
void feed_free(struct feed *f);

/* Twin changes or life cycle are shown to nobody from now on, or are again (E-09); all of them are at first. Any thread. */
void feed_show(struct feed *f, const struct log_what *what);

/* ---- which events ---- */

struct feed_filter {
	unsigned sources;          /* a bit for each enum told_source; 0: all */
	struct str device, module; /* empty: any */
	struct str path[FEED_PATH_STEPS];
	unsigned npath;                    /* 0: whatever it touches */
	const struct condition *condition; /* NULL: any. Its owner keeps it until over() */
};

/* From a source's name, without case; TOLD_NOBODY: there is none. */
enum told_source feed_source(struct str name);
/* As routes and conditions have it; ROUTE_SOURCES: none has it. */
enum route_source feed_route_source(enum told_source source);

/* ---- readers ---- */

struct feed_event {
	uint32_t shard;
	uint64_t position;
	const struct event *e; /* NULL: a gap (E-12) */
	enum told_source source;
	struct str json;  /* the CloudEvent; not yet written for wants() */
	uint64_t missing; /* positions that a gap stands for */
};

/* From where: see E-21. */
enum feed_from { FEED_NOW, FEED_EARLIEST, FEED_TIME, FEED_POSITION };

struct feed_reader_conf {
	enum feed_from from;
	int64_t time_us;
	struct position position;
	struct feed_filter filter; /* its texts are copied */
	uint64_t asker;            /* whose share it takes; 0: the hub's own, which has no bound */
	void *ctx;
	/* Is this event, which passes the filter, for it? Asked before its JSON is written, and of no gap. NULL: all are. */
	bool (*wants)(void *ctx, const struct feed_event *e);
	/* One event; false: there is no room, it comes again. */
	bool (*take)(void *ctx, const struct feed_event *e);
	/*
	 * Its turn is over: it stands behind all that it took and that did not concern it. `end`: there is nothing more at the moment. Comes
	 * once a second, too, when nothing happens. False: it has no room until feed_more.
	 */
	bool (*rest)(void *ctx, const struct position *at, bool end);
	/* The log cannot be read on: ERR_IO, ERR_CORRUPT. Nothing more comes; it is still to be closed. */
	void (*fails)(void *ctx, enum err why);
	/* It has been closed and is gone: the last call. */
	void (*over)(void *ctx);
};

/* ERR_FULL: there are too many, and f says whose. over() comes for each that was opened. */
enum err feed_open(
    struct feed *f, const struct feed_reader_conf *c, struct feed_reader **out, struct fault *why);
/* There is room again. Fine when there was. */
void feed_more(struct feed_reader *r);
/* Once; nothing else afterwards. */
void feed_close(struct feed_reader *r);

/* From wants() and take() alone: is the condition true of the event that they were given? What it needs of it is made once, however many ask. */
bool feed_matches(struct feed *f, const struct condition *c);

/* ---- reading the past, on the feed's thread ---- */

/* Run it there, between turns of readers; it is short, and posts itself again for more. It may call the three below. */
void feed_run(struct feed *f, struct msg *m);
/* One record, of a change; appended. ERR_NOT_FOUND: retention has dropped it; ERR_IO, ERR_CORRUPT. */
enum err feed_record(struct feed *f, uint32_t shard, uint64_t position, struct buf *out);
/* The twin's records as they are on disk, of one moment. ERR_NOT_FOUND: there is no such identity. */
enum err feed_twin(struct feed *f, struct str device, struct str module, struct past *out);
/* changes_kept_since (worker.h). */
enum err feed_kept_since(struct feed *f, int64_t *time_us);

/* ---- how far it reaches back (E-07); any thread, 128 seeks ---- */

enum feed_family_kind { FEED_TELEMETRY, FEED_CHANGES, FEED_FAMILIES };
struct feed_family {
	/* of each shard the first record's that is left; the end: none is */
	struct position oldest;
	int64_t oldest_us; /* 0: there is none */
};
struct feed_extent {
	struct feed_family family[FEED_FAMILIES];
	struct position end;
};
/* ERR_IO, ERR_CORRUPT. */
enum err feed_extent(struct feed *f, struct feed_extent *out);

/* As text, and from text (E-10); any thread. */
uint32_t feed_hub(const struct feed *f); /* the number in its positions */
void feed_position_write(const struct feed *f, struct buf *out, const struct position *p);
enum err feed_position_read(
    const struct feed *f, struct str text, struct position *out, struct fault *why);
/* All that is in the log now is before it. */
void feed_now(const struct feed *f, struct position *out);
unsigned feed_readers(const struct feed *f); /* that are open */

#endif
