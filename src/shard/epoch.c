/*
 * The epoch of a shard: a number that is raised when somebody begins to serve it, and is on disk before anybody hears of what has
 * begun with it (docs/spec/events.md, E-106). Marks and numbers (shard_number) begin at epoch << 40, so that they grow over restarts
 * whatever the clocks say.
 *
 *   "epoch/" shard (2 bytes, big-endian) -> format (1) | epoch (varint) | the newest time of the shard then (varint)
 *
 * A store that keeps epochs itself has no such record. The first epoch ever is one above the clock's: marks and numbers of former
 * programs were times in microseconds, and those have to be below.
 */
#include "shard/record.h"

#define EPOCH_FORMAT 1
#define EPOCH_SHIFT  40
#define REST_US                                                                                    \
	INT64_C(                                                                                   \
	    10000) /* between the last time that was given, and the first one of whoever comes next */

static struct str
key_of(uint32_t shard, char room[HUB_PREFIX_MAX])
{
	size_t n = sizeof(EPOCH_PREFIX) - 1;

	memcpy(room, EPOCH_PREFIX, n);
	room[n] = (char)(shard >> 8);
	room[n + 1] = (char)shard;
	return (struct str){ room, n + 2 };
}

struct str
epoch_key(const struct shard *sh, char room[HUB_PREFIX_MAX])
{
	return key_of(sh->index, room);
}

static void
epoch_value(struct buf *out, uint64_t epoch, int64_t at_us)
{
	buf_putc(out, EPOCH_FORMAT);
	buf_varint(out, epoch);
	buf_varint(out, (uint64_t)at_us);
}

static bool
value_read(struct str value, uint64_t *epoch, int64_t *at_us)
{
	struct rd rd = rd_of(value);
	bool known = rd_u8(&rd) == EPOCH_FORMAT;

	*epoch = rd_varint(&rd);
	*at_us = (int64_t)rd_varint(&rd);
	return known && !rd.bad && rd.p == rd.end && *epoch != 0 && *epoch < EPOCH_MAX &&
	    *at_us >= 0;
}

enum err
epoch_load(struct shard *sh, const struct str *value)
{
	uint64_t epoch;
	int64_t at_us;

	if (value == NULL) { /* the write of the first one is taken back */
		sh->epoch.stored = 0;
		sh->epoch.stored_at_us = 0;
		return ERR_OK;
	}
	if (!value_read(*value, &epoch, &at_us))
		return ERR_CORRUPT;
	sh->epoch.stored = epoch;
	sh->epoch.stored_at_us = at_us;
	return ERR_OK;
}

void
epoch_record_put(struct buf *key, struct buf *value, uint32_t shard, uint64_t epoch, int64_t at_us)
{
	char room[HUB_PREFIX_MAX];

	buf_str(key, key_of(shard, room));
	epoch_value(value, epoch, at_us);
}

bool
epoch_record_get(struct str key, struct str value, uint32_t *shard, uint64_t *epoch, int64_t *at_us)
{
	const struct str prefix = STR(EPOCH_PREFIX);

	if (!str_starts(key, prefix) || key.n != prefix.n + 2)
		return false;
	*shard =
	    (uint32_t)((unsigned char)key.p[prefix.n] << 8 | (unsigned char)key.p[prefix.n + 1]);
	return *shard < SHARDS && value_read(value, epoch, at_us);
}

int64_t
epoch_begin(struct shard *sh, const struct shard_begin *b)
{
	int64_t at_us = sh->epoch.stored_at_us > b->at_us ? sh->epoch.stored_at_us : b->at_us;

	if (sh->log.end.time_us > at_us)
		at_us = sh->log.end.time_us;
	if (at_us > 0)
		at_us += REST_US;
	if (b->now_us > at_us)
		at_us = b->now_us;
	if (b->epoch != 0)
		sh->epoch.now = sh->epoch.stored = b->epoch;
	else if (sh->epoch.stored != 0)
		sh->epoch.now = sh->epoch.stored + 1;
	else
		sh->epoch.now = ((uint64_t)at_us >> EPOCH_SHIFT) + 1;
	sh->epoch.at_us = at_us;
	sh->number_next = sh->mark = sh->epoch.now << EPOCH_SHIFT;
	if (ticks_of(at_us) > sh->generation)
		sh->generation = ticks_of(at_us);
	return at_us;
}

bool
shard_epoch_due(const struct shard *sh)
{
	return sh->epoch.now != sh->epoch.stored;
}

void
shard_epoch_raise(struct shard *sh, const struct hub_env *env)
{
	char room[HUB_PREFIX_MAX];
	struct str key = epoch_key(sh, room), was;
	struct buf old = { 0 }, value = { 0 };

	if (sh->epoch.stored != 0)
		epoch_value(&old, sh->epoch.stored, sh->epoch.stored_at_us);
	was = buf_view(&old);
	undo_common(env->undo, sh, key, sh->epoch.stored != 0 ? &was : NULL);
	epoch_value(&value, sh->epoch.now, sh->epoch.at_us);
	sh->epoch.stored = sh->epoch.now;
	sh->epoch.stored_at_us = sh->epoch.at_us;
	env->put(env->ctx, sh->index, RECORD_COMMON, key, buf_view(&value));
	buf_fini(&old);
	buf_fini(&value);
}

uint64_t
shard_number(struct shard *sh, uint64_t above)
{
	if (sh->number_next <= above)
		sh->number_next = above + 1;
	return sh->number_next++;
}

/* Until the epoch is on disk the next start may have the same one: nobody is told of more than its beginning. */
uint64_t
shard_mark(const struct shard *sh)
{
	return shard_epoch_due(sh) ? sh->epoch.now << EPOCH_SHIFT : sh->mark;
}
