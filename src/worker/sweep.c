/*
 * Sweeps: after a change of the configurations every row is brought in line with them, in slices between batches, its
 * writes in the same commits as everybody's (docs/architecture.md). A shard remembers on disk with which set it is
 * through; what is not remembered is begun anew at the next start, and writes nothing where it was done.
 */
#include "worker/priv.h"

#define SWEEP_WRITES_MAX 300u /* that one commit takes with it: others' answers wait for it */

/* When all twins are evaluated next, for whoever asks why (config/why.h). */
static void
sweep_due(struct worker *w, int64_t us)
{
	w->sweep_again_us = us;
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_sweep_due(w->shards[s], us);
}

void
sweep_configure(struct worker *w)
{
	const struct configurations *set = w->catalogue->configurations;

	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_configure(w->shards[s], set);
	w->sweeping = true;
	if (set == NULL || set->n == 0)
		sweep_due(w, 0);
	else if (w->sweep_again_us == 0) /* new catalogues do not put the next round off */
		sweep_due(w, clock_mono_us() + CONFIGURE_PERIOD_US);
}

void
sweep_restart(struct worker *w)
{
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_sweep_restart(w->shards[s]);
	w->sweeping = true;
}

/* What time has brought about (J-42). */
static void
sweep_again(struct worker *w)
{
	int64_t now_us;

	if (w->sweep_again_us == 0 || (now_us = clock_mono_us()) < w->sweep_again_us)
		return;
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		shard_sweep_again(w->shards[s]);
	w->sweeping = true;
	sweep_due(w, now_us + CONFIGURE_PERIOD_US);
}

static bool
has_room(const struct worker *w)
{
	return gate_has_room(&w->gate, SWEEP_WRITES_MAX);
}

int64_t
sweep_patience_us(const struct worker *w)
{
	int64_t left_us;

	if (w->sweeping && !w->stopping) {
		if (!w->env.can_write || w->sweep_stuck)
			return RETRY_US;
		if (has_room(w))
			return 0;
	}
	if (w->sweep_again_us == 0)
		return -1;
	left_us = w->sweep_again_us - clock_mono_us();
	return left_us > 0 ? left_us : 0;
}

/* false: the store cannot be read at the moment. */
static bool
sweep_row(struct worker *w, struct shard *sh)
{
	uint32_t row, before = shard_identities(sh);
	struct fault f = { 0 };
	enum err e = ERR_OK;
	unsigned records;

	while (e == ERR_OK && (row = shard_sweep_row(sh, &records)) != TABLE_NONE)
		e = worker_load_row(w, sh, row, records, &f);
	if (e == ERR_IO)
		return false;
	worker_identities_left(w);
	shard_sweep(sh, &w->env); /* passes over a row whose record is damaged */
	worker_identities_changed(w, (int64_t)shard_identities(sh) - before);
	return true;
}

/* Rows of one shard; false: enough for this turn. */
static bool
sweep_shard(struct worker *w, struct shard *sh, int64_t end_us)
{
	uint32_t steps = 0;

	while (shard_sweep_awaited(sh)) {
		if (!has_room(w))
			return false;
		if (!sweep_row(w, sh)) {
			w->sweep_stuck = true;
			return false;
		}
		if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
			return false;
	}
	return true;
}

void
sweep_turn(struct worker *w)
{
	int64_t end_us;

	sweep_again(w);
	if (!w->sweeping || w->stopping || !w->env.can_write)
		return;
	w->sweep_stuck = false;
	end_us = clock_mono_us() + SLICE_US;
	w->env.undo = gate_undo(&w->gate);
	for (uint32_t s = w->shard_from; s < w->shard_to; s++)
		if (!sweep_shard(w, w->shards[s], end_us))
			return;
	w->sweeping = false;
}
