/*
 * Sweeps: after a change of the configurations every row is brought in line with them, in slices between batches, its
 * writes in the same commits as everybody's (docs/architecture.md). A shard remembers on disk with which set it is
 * through; what is not remembered is begun anew at the next start, and writes nothing where it was done.
 */
#include <stdio.h>

#include "log/log.h"
#include "metric/metric.h"
#include "worker/priv.h"

/* When all twins are evaluated next, for whoever asks why (config/why.h). */
static void
sweep_due(struct worker *w, int64_t us)
{
	w->sweep_again_us = us;
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
		configure_sweep_due(w->shards[s], us);
}

static void
sweep_tell(const struct worker *w, const char *msg)
{
	char worker[16], seconds[32];
	int64_t us = clock_mono_us() - w->sweep_since_us;

	snprintf(worker, sizeof(worker), "%u", w->index);
	snprintf(seconds, sizeof(seconds), "%lld.%03lld", (long long)(us / 1000000),
	    (long long)(us / 1000 % 1000));
	log_pairs(LOG_WARN, msg,
	    (const struct log_pair[]){ { "worker", str_of(worker) }, { "seconds", str_of(seconds) },
	        { "why", w->env.can_write ? STR_NONE : STR("the store takes no writes") },
	        { NULL, STR_NONE } });
}

/* Once, and once more at its end. */
static void
sweep_is_slow(struct worker *w)
{
	int64_t slow_us = w->fleet->o.slow_sweep_us;

	if (!w->sweeping || w->sweep_slow || slow_us == 0 ||
	    clock_mono_us() - w->sweep_since_us < slow_us)
		return;
	w->sweep_slow = true;
	sweep_tell(w, "a sweep of configurations is slow");
}

static void
sweep_begins(struct worker *w)
{
	if (w->sweeping)
		return;
	w->sweeping = true;
	w->sweep_since_us = clock_mono_us();
	metric_add(METRIC_SWEEPS, 0, 1);
}

static void
sweep_ends(struct worker *w)
{
	sweep_is_slow(w);
	if (w->sweep_slow)
		sweep_tell(w, "the slow sweep of configurations is through");
	w->sweeping = w->sweep_slow = false;
	metric_add(METRIC_SWEEPS, 0, -1);
	metric_seen(
	    METRIC_SWEEP_SECONDS, 0, (uint64_t)(clock_mono_us() - w->sweep_since_us) * 1000);
}

void
sweep_configure(struct worker *w)
{
	const struct configurations *set = w->catalogue->configurations;

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		configure_use(w->shards[s], set);
	sweep_begins(w);
	if (set == NULL || set->n == 0)
		sweep_due(w, 0);
	else if (w->sweep_again_us == 0) /* new catalogues do not put the next round off */
		sweep_due(w, w->env.elapsed_us + CONFIGURE_PERIOD_US);
}

void
sweep_restart(struct worker *w)
{
	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1))
		configure_sweep_restart(w->shards[s]);
	sweep_begins(w);
}

void
sweep_takes(struct worker *w, struct shard *sh)
{
	configure_use(sh, w->catalogue->configurations);
	configure_sweep_due(sh, w->sweep_again_us);
	sweep_begins(w);
}

/* What time has brought about (J-42). */
static void
sweep_again(struct worker *w)
{
	if (w->sweep_again_us == 0 || w->env.elapsed_us < w->sweep_again_us)
		return;
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1))
		configure_sweep_again(w->shards[s]);
	sweep_begins(w);
	sweep_due(w, w->env.elapsed_us + CONFIGURE_PERIOD_US);
}

int64_t
sweep_patience_us(const struct worker *w)
{
	int64_t left_us;

	if (w->sweeping && !w->stopping) {
		if (!w->env.can_write || w->sweep_stuck)
			return RETRY_US;
		if (round_has_room(w, ROUND_SWEEP))
			return 0;
	}
	if (w->sweep_again_us == 0)
		return -1;
	left_us = w->sweep_again_us - w->env.elapsed_us;
	return left_us > 0 ? left_us : 0;
}

void
sweep_turn(struct worker *w)
{
	sweep_again(w);
	sweep_is_slow(w);
	if (!w->sweeping || w->stopping || !w->env.can_write)
		return;
	worker_slice_writes(w, ROUND_SWEEP);
	w->sweep_stuck = false;
	for (uint32_t s = next_shard(w, 0); s < SHARDS; s = next_shard(w, s + 1)) {
		w->sweep->bookmark.shard = s;
		if (worker_step(w, w->sweep, w->shards[s]) == STEP_OVER) {
			w->sweep_stuck = w->sweep->waits == WAIT_STORE;
			return;
		}
	}
	sweep_ends(w);
}
