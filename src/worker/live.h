/*
 * live: a watch of a query (watch/watch.h) between the workers, who find what is to be told, and one loop, which tells it.
 *
 *   fleet_watch --> each worker: its rows that match, in slices (watches.c); from then on what its commits make of them
 *                       | behind the commit                                  ^
 *                       v                                                    '--- rests while LIVE_SCAN_BYTES wait
 *                   what waits to be told --heard()--> loop: live_take ... live_left
 *   live_close --> each worker lets go --over()--> loop
 *
 * What is told is text: server-sent events, or lines of JSON. The workers never wait for who watches: one for whom more than
 * LIVE_BYTES_MAX would wait has its end there, as have all for whom the memory of the fleet is not enough.
 *
 * Rules: docs/spec/events.md (E-50 to E-64).
 */
#ifndef TWINHUB_WORKER_LIVE_H
#define TWINHUB_WORKER_LIVE_H

#include "base/reason.h"
#include "net/net.h"
#include "watch/watch.h"

#define LIVE_BYTES_MAX     (1u << 20) /* that wait to be told by one watch, from their commit on */
#define LIVE_ALL_BYTES_MAX (128u << 20) /* of all watches together */
#define LIVE_SCAN_BYTES    (256u << 10) /* the first rows rest while so many wait */
#define LIVE_ASKER_MAX     1024u        /* watches of one that asks */

struct fleet;
struct live;

struct live_conf {
	const struct watch *watch; /* a reference is taken */
	uint64_t asker;            /* for whom it counts */
	uint32_t hub;              /* of positions: position_write */
	bool sse;                  /* server-sent events; else lines of JSON */
	struct loop *home;
	/* On the loop: there is something for live_take. */
	void (*heard)(void *ctx);
	/* On the loop, behind live_close: it is no more. */
	void (*over)(void *ctx);
	void *ctx;
};

/* Any thread. ERR_FULL: there are too many, 429. ERR_ARG: the fleet stops, 503; other nodes have a part of it, 501. *out is set on success only. */
enum err fleet_watch(
    struct fleet *f, const struct live_conf *c, struct live **out, struct fault *why);

/* ---- on its loop ---- */

/* What waits, moved to out, which is empty; not before live_left of what was taken before. REASON_NONE; or why there is no more
 * behind it. */
enum reason live_take(struct live *l, struct buf *out);
/* It has gone. */
void live_left(struct live *l);
/* Nothing more is wanted. It is gone with over(). */
void live_close(struct live *l);

#endif
