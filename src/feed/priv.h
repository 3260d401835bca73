/* feed: what its files share. */
#ifndef TWINHUB_FEED_PRIV_H
#define TWINHUB_FEED_PRIV_H

#include "feed/feed.h"

/* ---- stretches: a part of a shard's log in memory, with what was written of it for readers ---- */

struct stretch_item {
	uint64_t position;
	uint32_t at, n;           /* its record, in `records` */
	uint32_t json_at, json_n; /* of `json`; n 0: not written yet */
};

struct stretch {
	uint64_t from,
	    to; /* all of the log from <= position < to is in it, or gone; from == to: it is empty */
	bool own; /* from this process's memory, not from a disk: told_sound is true of it */
	struct stretch_item *v;
	uint32_t n, room;
	struct buf records, json;
};

/* Read from `from` on, up to `end` or to the bounds of a stretch. ERR_IO, ERR_CORRUPT. */
enum err stretch_read(
    struct stretch *s, const struct feed_options *o, uint32_t shard, uint64_t from, uint64_t end);
void stretch_fini(struct stretch *s);
/* The first item at or behind a position; s->n: none. */
uint32_t stretch_find(const struct stretch *s, uint64_t position);

/* The first position of the shard's log whose record is no older than that, or `end`. */
enum err log_find_time(
    struct store *store, uint32_t shard, uint64_t end, int64_t time_us, uint64_t *position);

struct store *feed_store(struct feed *f);

/* What its thread does between two waits; true: there is more to do. The simulator has no such thread. */
bool feed_turn(struct feed *f);

/* judge.c: whether a condition is true of an event; for one thread */
struct judge;
struct judge *judge_new(struct store *store, struct teller *teller);
void judge_free(struct judge *j); /* NULL is fine */
/* The event that is asked about from here on, until another one is; borrowed. */
void judge_look(struct judge *j, const struct event *e, uint32_t shard);
bool judge_matches(struct judge *j, const struct condition *c);

/* Does it concern the reader? The judge looks at it. filter.c */
bool filter_takes(
    const struct feed_filter *f, struct judge *j, const struct event *e, enum told_source source);
void filter_copy(struct feed_filter *f, struct buf *text);

#endif
