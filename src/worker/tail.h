/*
 * tail: the newest records of a shard's log, as they were committed, for who reads at its end. What it has need not be read from the store:
 * there each look into the log goes through all of its files.
 *
 *   an operation's record --tail_gather--> of the round --tails_fly--> on its way to the disk --tails_land--> tail --tail_read--> a reader
 *
 * Gathered only while somebody reads. A round that fails takes what it gathered along. Between two records of a tail none is missing: one
 * that does not follow the last one begins it anew.
 */
#ifndef TWINHUB_WORKER_TAIL_H
#define TWINHUB_WORKER_TAIL_H

#include "base/base.h"

#include <pthread.h>

#define TAIL_BYTES (64u << 10) /* of a shard's; the oldest go */
#define TAIL_ROUND_BYTES                                                                           \
	(1u << 20) /* that a round gathers; what is beyond is read from the store */

struct tail {
	pthread_mutex_t mu;
	uint64_t from, to; /* from <= position < to are in it */
	struct buf records;
	size_t begin; /* of the first one in `records` */
	/* where the last reader stopped, so that the next one need not pass what has been read: a position, and its place in `records` */
	uint64_t read;
	size_t read_at;
};

void tail_init(struct tail *t);
void tail_fini(struct tail *t);
void tail_put(struct tail *t, uint64_t position, struct str record);

/* Of each record from `from` on, in order; false: no more. Borrowed for the call, under the tail's lock. */
typedef bool tail_seen(void *ctx, uint64_t position, struct str record);
/* false: it does not reach back as far, and nobody was asked. */
bool tail_read(struct tail *t, uint64_t from, tail_seen *seen, void *ctx);

#endif
