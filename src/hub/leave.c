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
