/* What was told of marks and of epochs of sessions must grow, whatever becomes of the process and of its clock. */
#ifndef SIM_EPOCHS_H
#define SIM_EPOCHS_H

#include "shard/shard.h"

struct world;

void epochs_new(void);
/* The highest marks that were told: for a tour that begins. */
void epochs_marks(uint64_t out[SHARDS]);
/* One has come home; 0: it has not looked at that shard. `before`: when it began. */
void epochs_marks_told(const uint64_t seen_marks[SHARDS], const uint64_t before[SHARDS]);
void epochs_session_told(struct world *w, struct str device, uint64_t session_epoch);

/* At a start somebody may have set the clock back by a year; in the end it is right, as what waits for a time is waited for. */
void epochs_clock(struct world *w);
void epochs_clock_set(struct world *w);

#endif
