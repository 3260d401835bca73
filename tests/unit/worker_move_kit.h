/* Shards that move between the workers of a fleet, one after the other, while a test does something else. */
#ifndef WORKER_MOVE_KIT_H
#define WORKER_MOVE_KIT_H

#include "worker_kit.h"

#define WORKERS 3

/* Moves one shard after the other, from worker to worker, until it is told to stop. */
struct mover {
	struct kit *k;
	uint32_t only; /* this shard alone; SHARDS: all */
	bool rests;    /* between two moves, until mover_goes_on */
	uint32_t shard, moves;
	bool stops, idle; /* under k->mu */
};

static UNUSED void next_move(struct mover *m);

static UNUSED void
taken(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct mover *m = ctx;
	bool stops;

	(void)shard;
	if (e != ERR_OK)
		fail_msg("%s", why->text);
	pthread_mutex_lock(&m->k->mu);
	m->moves++;
	stops = m->idle = m->stops || m->rests;
	pthread_cond_broadcast(&m->k->changed);
	pthread_mutex_unlock(&m->k->mu);
	if (!stops)
		next_move(m);
}

static UNUSED void
given_up(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct mover *m = ctx;

	(void)why;
	assert_int_equal(e, ERR_OK);
	assert_int_equal(
	    fleet_take(m->k->fleet, shard, (shard + m->moves) % WORKERS, taken, m), ERR_OK);
}

static UNUSED void
next_move(struct mover *m)
{
	m->shard = m->only < SHARDS ? m->only : (m->shard + 1) % SHARDS;
	assert_int_equal(fleet_release(m->k->fleet, m->shard, given_up, m), ERR_OK);
}

static UNUSED void
mover_start(struct mover *m, struct kit *k, uint32_t only)
{
	*m = (struct mover){ .k = k, .only = only };
	next_move(m);
}

static UNUSED void
mover_stop(struct mover *m, uint32_t least)
{
	kit_await(m->k, m->moves >= least);
	pthread_mutex_lock(&m->k->mu);
	m->stops = true;
	pthread_mutex_unlock(&m->k->mu);
	kit_await(m->k, m->idle);
}

static UNUSED void
mover_goes_on(struct mover *m)
{
	bool idle;

	pthread_mutex_lock(&m->k->mu);
	idle = m->idle;
	m->idle = false;
	pthread_mutex_unlock(&m->k->mu);
	if (idle)
		next_move(m);
}

static UNUSED uint32_t
moves_of(struct mover *m)
{
	uint32_t n;

	pthread_mutex_lock(&m->k->mu);
	n = m->moves;
	pthread_mutex_unlock(&m->k->mu);
	return n;
}

#endif
