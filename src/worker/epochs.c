/*
 * Epochs of the shards (docs/spec/events.md, E-106): raised in the first commit of a start, before anything else is applied, so that whatever
 * is answered waits behind it. Where the store takes no writes yet, or that commit has failed, as soon as it does.
 */
#include "worker/priv.h"

void
epochs_turn(struct worker *w)
{
	if (!w->epochs_due || !w->env.can_write)
		return;
	w->epochs_due = false;
	w->env.undo = gate_undo(&w->gate);
	for (uint32_t s = next_of(w->mine & ~w->leaving, 0); s < SHARDS;
	     s = next_of(w->mine & ~w->leaving, s + 1))
		if (shard_epoch_due(w->shards[s]))
			shard_epoch_raise(w->shards[s], &w->env);
}

int64_t
epochs_patience_us(const struct worker *w)
{
	if (!w->epochs_due)
		return -1;
	return w->env.can_write ? 0 : RETRY_US;
}

void
epochs_begun(struct worker *w, int64_t from_us, int64_t now_us)
{
	w->epochs_due = true;
	if (from_us <= now_us)
		return;
	clock_given(from_us);
	if (from_us > w->from_us)
		w->from_us = from_us;
}

int64_t
epochs_time_us(const struct worker *w, int64_t wall_us)
{
	return w->from_us > wall_us && w->from_us - wall_us <= BACK_HELD_US ? w->from_us : wall_us;
}
