/* leave: what has to end before a shard is given up (docs/cluster-design.md, 4.6). */
#ifndef TWINHUB_HUB_LEAVE_H
#define TWINHUB_HUB_LEAVE_H

#include "hub/hub.h"

/*
 * End sessions of at most `max` rows from *row on, which moves behind them; when it is shard_rows, all have ended. Calls that wait for their
 * devices have failed with the first of these. How many sessions.
 */
uint32_t shard_end_sessions(
    struct shard *sh, uint32_t *row, uint32_t max, const struct hub_env *env);
/* The same of sessions that outlive it: none ends, their calls do. */
uint32_t shard_end_calls(struct shard *sh, uint32_t *row, uint32_t max, const struct hub_env *env);

/*
 * The node of that slot is not heard of any more: sessions whose links it holds are forgotten without a word, for it resumes them (O-231), and until
 * missed_us of env->elapsed_us has not ended them for the log (O-237). Their calls fail; calls that somebody there waits for are given up.
 */
void shard_edge_gone(struct shard *sh, uint8_t node, int64_t missed_us, const struct hub_env *env);

#endif
