/*
 * then: a query over the fleet as it was at a moment (docs/spec/events.md, E-74 to E-77): what is on disk, with what has happened since taken
 * back.
 *
 * Each shard is gone through in the order of keys. A row whose heads (E-06) lie before the moment is as it was; any other one is taken back along its
 * chain by point reads; and the shard's log from the moment on, which is walked once, tells which identities have gone since: the record of
 * a deletion has the whole twin. What was at a moment that is past never changes, so rows, log and chains need not be read of one moment, only in
 * this order: a row that goes meanwhile is found in the log.
 *
 * It runs on the thread that calls it, to its end or its bounds, and reads the store alone: neither workers nor loops wait for it.
 */
#ifndef TWINHUB_FEED_THEN_H
#define TWINHUB_FEED_THEN_H

#include "feed/feed.h"
#include "task/query.h"

#define THEN_CHANGES_MAX  4000000u /* changes read for one answer; more: F_QueryTooLong */
#define THEN_CHANGES_PAGE 500000u  /* at which a page of rows ends early */
#define THEN_GONE_MAX                                                                              \
	(16u << 20) /* bytes of a shard's identities that have gone: F_QueryTooLarge */
#define THEN_US      INT64_C(30000000) /* an answer may take; more: F_QueryTooLong */
#define THEN_PAGE_US INT64_C(5000000)  /* at which a page of rows ends early */
#define THEN_PIECE   4096u             /* keys read by one set of cursors */

struct then {
	/* in */
	struct store *store;
	const struct fleet *fleet;
	/* Its plan is of the past, and it has begun. Out: finished, or its fault says why not. */
	struct query_task *q;
	bool (*stops)(void *ctx); /* the hub stops; any answer is in vain */
	void *ctx;
	/* In: the key that the page begins with, empty: the first. Out: where the next one begins, if the page says that there is more */
	struct buf from;
	/* out: what it has cost: records read, rows taken back, identities that have gone since */
	uint64_t changes, back, gone;
};

void then_run(struct then *t);

#endif
