/* See shown.h. */
#include "watch/shown.h"

void
watch_shown_fini(struct watch_shown *s)
{
	for (uint32_t i = 0; i < SHARDS; i++)
		free(s->shards[i].bits);
	*s = (struct watch_shown){ 0 };
}

bool
watch_shown_has(const struct watch_shown *s, uint32_t shard, uint32_t row)
{
	return row / 64 < s->shards[shard].words &&
	    (s->shards[shard].bits[row / 64] >> row % 64 & 1) != 0;
}

/* Row numbers are as many as a shard has rows: its owner's bound. */
static void
set(struct watch_shown *s, uint32_t shard, uint32_t row, bool on)
{
	uint32_t words = s->shards[shard].words, more = row / 64 + 1;

	if (more > words) {
		more = more > words * 2 ? more : words * 2;
		s->shards[shard].bits = xrealloc(s->shards[shard].bits, more * sizeof(uint64_t));
		memset(s->shards[shard].bits + words, 0, (more - words) * sizeof(uint64_t));
		s->shards[shard].words = more;
	}
	s->shards[shard].bits[row / 64] ^= UINT64_C(1) << row % 64;
	if (on)
		s->n++;
	else
		s->n--;
}

enum err
watch_shown_take(struct watch_shown *s, const struct watch_sight *seen, enum watch_step *step)
{
	bool shown, matches = seen->matches || seen->first;

	assert(seen->shard < SHARDS);
	shown = watch_shown_has(s, seen->shard, seen->row);
	*step = WATCH_NONE;
	if (shown == matches) {
		if (shown && !seen->first && seen->differs)
			*step = WATCH_CHANGE;
		return ERR_OK;
	}
	if (matches && s->n == WATCH_ROWS_MAX)
		return ERR_FULL;
	set(s, seen->shard, seen->row, matches);
	*step = !matches ? WATCH_LEAVE : seen->first ? WATCH_ROW : WATCH_ENTER;
	return ERR_OK;
}
