/*
 * Records of sessions (docs/spec/events.md, E-91): they go with the next commit, and have one of their own when none has come for a while. A
 * round takes a share of them, whatever else is in it: so they are not late when there is much to do, and hold nobody up when a whole fleet comes
 * back.
 */
#include "worker/priv.h"

#define CONNECTIONS_WAIT_US INT64_C(1000000)
#define CONNECTIONS_ROUND_MAX                                                                      \
	256u /* rows of a round: up to three writes each, a third of a millisecond in all */
#define CONNECTIONS_STOP_MAX 4096u /* and at the end, when nobody waits */
#define CONNECTIONS_STEP     32u

static uint32_t
room(const struct worker *w)
{
	uint32_t max = w->stopping ? CONNECTIONS_STOP_MAX : CONNECTIONS_ROUND_MAX;

	return w->taken.nconnection < max && gate_has_room(&w->gate, UINT32_MAX)
	    ? max - w->taken.nconnection
	    : 0;
}

static void
tell(struct worker *w, struct shard *sh)
{
	uint32_t n = room(w);

	w->env.undo = gate_undo(&w->gate);
	w->taken.nconnection +=
	    connections_tell(sh, n < CONNECTIONS_STEP ? n : CONNECTIONS_STEP, &w->env);
	gate_settle(&w->gate);
}

/* When the shard's are to be told at the latest; INT64_MAX: there are none. */
static int64_t
due_us(const struct shard *sh)
{
	int64_t since_us;

	if (!connections_wait(sh, &since_us))
		return INT64_MAX;
	return since_us < 0 ? 0 : since_us + CONNECTIONS_WAIT_US;
}

/* Who was to be resumed, and was not: when that is to be looked at next. */
static int64_t
miss(struct worker *w)
{
	int64_t first_us = INT64_MAX;

	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1)) {
		int64_t us = connections_missed_us(w->shards[s]);

		if (us <= w->env.elapsed_us)
			connections_miss(w->shards[s]);
		else if (us < first_us)
			first_us = us;
	}
	return first_us;
}

void
connections_turn(struct worker *w)
{
	int64_t first_us = INT64_MAX;

	w->connections.missed_us = miss(w);

	/* from where the last round was full: no shard is always the last one */
	for (unsigned i = 0; i < SHARDS; i++) {
		uint32_t s = (w->connections.shard + i) % SHARDS;
		struct shard *sh = has_shard(w, s) ? w->shards[s] : NULL;
		int64_t us;

		if (sh == NULL)
			continue;
		while ((us = due_us(sh)) != INT64_MAX && w->env.can_write &&
		    (gate_writes(&w->gate) != 0 || w->stopping || us <= w->env.elapsed_us) &&
		    room(w) != 0)
			tell(w, sh);
		if (us == INT64_MAX)
			continue;
		if (room(w) == 0 && first_us == INT64_MAX)
			w->connections.shard = s;
		if (us < first_us)
			first_us = us;
	}
	w->connections.due_us = first_us;
}

int64_t
connections_patience_us(const struct worker *w)
{
	int64_t due_us = w->connections.due_us < w->connections.missed_us
	    ? w->connections.due_us
	    : w->connections.missed_us;
	int64_t us = due_us - w->env.elapsed_us;

	if (due_us == INT64_MAX || room(w) == 0)
		return -1; /* until the round is over */
	if (!w->env.can_write)
		return CONNECTIONS_WAIT_US;
	return us > 0 ? us : 0;
}

bool
connections_told(const struct worker *w)
{
	return w->connections.due_us == INT64_MAX || !w->env.can_write;
}
