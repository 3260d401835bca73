/*
 * What clients were told of marks and epochs of sessions, over restarts, crashes and clocks that are set back by a year: a tour that
 * begins when another one is home has seen each shard no earlier, and no session's epoch is given twice (docs/spec/events.md, E-106).
 */
#include "epochs.h"
#include "shard/shard.h"
#include "world.h"

static struct {
	uint64_t marks[SHARDS], sessions[SHARDS]; /* the highest that were told */
} told;

void
epochs_new(void)
{
	memset(&told, 0, sizeof(told));
}

void
epochs_marks(uint64_t out[SHARDS])
{
	memcpy(out, told.marks, sizeof(told.marks));
}

void
epochs_marks_told(const uint64_t seen_marks[SHARDS], const uint64_t before[SHARDS])
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		if (seen_marks[s] == 0)
			continue;
		if (seen_marks[s] < before[s])
			world_fail("shard %u reflects %llx, and was told to reflect %llx", s,
			    (unsigned long long)seen_marks[s], (unsigned long long)before[s]);
		if (seen_marks[s] > told.marks[s])
			told.marks[s] = seen_marks[s];
		seen.marked++;
	}
}

/* One that is not on disk may be had again: the sessions of then have ended with their process. */
void
epochs_session_told(struct world *w, struct str device, uint64_t session_epoch)
{
	uint32_t s = hub_shard_of(device);

	if (shard_epoch_due(contact_shard(w, s)))
		return;
	if (session_epoch <= told.sessions[s])
		world_fail("a session of shard %u has epoch %llx, another one had %llx", s,
		    (unsigned long long)session_epoch, (unsigned long long)told.sessions[s]);
	told.sessions[s] = session_epoch;
}

/* Not where retention drops records: trimming of partitions goes by their times, and is behind until the clock is there again. */
void
epochs_clock(struct world *w)
{
	if (!w->retains && rnd_below(&w->rnd, 8) == 0)
		w->ahead_us = -365 * 86400 * SECOND;
}

void
epochs_clock_set(struct world *w)
{
	if (w->ahead_us < -3600 * SECOND)
		w->ahead_us = 0;
}
