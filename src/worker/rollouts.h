/*
 * The rollouts of configurations, moved on by what is counted of them (config/rollout.h): a look counts by tours, and if that
 * takes the rollout a step further, the step is an operation on shard 0 as any other. On one loop; no thread waits.
 */
#ifndef TWINHUB_WORKER_ROLLOUTS_H
#define TWINHUB_WORKER_ROLLOUTS_H

#include "worker/worker.h"

/* between looks, or ten times what the last one took */
#define ROLLOUT_PERIOD_US (INT64_C(1) * 1000000)
#define ROLLOUT_SOON_US   20000 /* the same when something has moved */

struct rollouts;
/* Before the loop runs, or on it. The fleet and the catalogue outlive it. */
struct rollouts *rollouts_new(struct fleet *f, struct catalogue_box *catalogue, struct loop *l);
/* On the loop: no look begins any more. */
void rollouts_stop(struct rollouts *r);
bool rollouts_busy(const struct rollouts *r); /* on the loop: a look is under way */
void rollouts_free(
    struct rollouts *r); /* stopped and not busy, or the loop has ended; NULL is fine */

#endif
