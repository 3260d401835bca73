/* A shard is given up: whoever has something to do with it in memory alone hears that this is over. */
#include "hub/leave.h"
#include "hub/priv.h"

uint32_t
shard_end_sessions(struct shard *sh, uint32_t *row, uint32_t max, const struct hub_env *env)
{
	uint32_t n = 0;

	for (; *row < shard_rows(sh) && n < max; ++*row) {
		struct row *r = row_at(sh, *row);

		if (r->id == NULL || r->presence == NULL)
			continue;
		presence_close(sh, r, REASON_SHARD_MOVED, true, env);
		n++;
	}
	calls_give_up(sh, env);
	return n;
}

uint32_t
shard_end_calls(struct shard *sh, uint32_t *row, uint32_t max, const struct hub_env *env)
{
	uint32_t n = 0;

	for (; *row < shard_rows(sh) && n < max; ++*row) {
		struct row *r = row_at(sh, *row);

		if (r->id == NULL || r->presence == NULL || r->presence->calls == NULL)
			continue;
		calls_lost(sh, r, env);
		n++;
	}
	calls_give_up(sh, env);
	return n;
}

void
shard_edge_gone(struct shard *sh, uint8_t node, int64_t missed_us, const struct hub_env *env)
{
	for (uint32_t i = 0; i < shard_rows(sh); i++) {
		struct row *r = row_at(sh, i);

		if (r->id == NULL || r->presence == NULL)
			continue;
		if (r->presence->session.node != node) {
			calls_forget(sh, r->presence, node);
			continue;
		}
		calls_lost(sh, r, env);
		row_set_presence(sh, r, NULL);
		connection_lost(sh, r, missed_us, env);
		r->presence_us = env->now_us;
	}
	calls_forget_waiting(sh, node);
}
