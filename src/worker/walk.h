/*
 * walk: questions over the shards of several nodes (task/walk.h). The node that is asked coordinates: the list of shards goes to who has
 * them, what comes back is put together in the order of shards.
 *
 *   rows in order     the owner of the place's shard goes on through its own that follow without a gap; if the page is not full the rest is
 *                     asked of all owners at once
 *   all else          is asked of all owners at once
 *
 * A shard that was not the asked node's any more is asked again, until the time of the question is over: then it fails, and names the shard. Each
 * shard has one answer.
 */
#ifndef TWINHUB_WORKER_WALK_H
#define TWINHUB_WORKER_WALK_H

#include "base/base.h"
#include "task/walk.h"

struct fleet;

/* One owner's part. */
struct walk_call {
	void (*done)(struct walk_call *c); /* once, on any thread: short */
	struct walk_answer answer;         /* out: its owner frees it */
	bool lost;                         /* out: nobody has answered */
};

/* Whose the shards are. fleet_options.walks; NULL: all are this process's. */
struct fleet_walks {
	void *ctx;
	int self; /* this process, as an owner */
	/* Whose it is, as far as is known; < 0: nobody's. Any thread. */
	int (*owner)(void *ctx, uint32_t shard);
	/* To that owner, another than self: c->done follows, whatever happens, before the fleet has stopped. `asked` is borrowed for the call. */
	void (*ask)(void *ctx, int owner, const struct walk_asked *asked, struct walk_call *c);
	/* What it is called; appended. */
	void (*name)(void *ctx, int owner, struct buf *out);
};

/* What is asked of this process, for those of the shards that it has. Any thread; asked is borrowed for the call. It takes no seat, as who was
 * asked has one for it, or has given one: a node would wait for the seats of another, and that for its own. */
void fleet_walk(struct fleet *f, const struct walk_asked *asked, struct walk_call *c);

#endif
