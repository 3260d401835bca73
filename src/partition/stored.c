/*
 * Ends of partitions as shards keep them, and the operation that appends.
 *
 *   partition/ P (1 byte)    the end of partition P, on shard P: bytes.c
 */
#include "hub/change.h"
#include "partition/priv.h"

#define PREFIX "partition/"
#define KEY    sizeof(PREFIX) /* bytes, the partition's number for the NUL */

static_assert(KEY == PARTITION_KEY, "as others make room for it");

struct partition_state {
	struct buf end; /* as it is stored; empty: nobody has appended */
};

static struct partition_state *
state_of(const struct shard *sh)
{
	return shard_state(sh, &partition_feature);
}

static void
state_fini(void *state)
{
	buf_fini(&((struct partition_state *)state)->end);
}

bool
partition_stored(const struct shard *sh, uint32_t partition, uint32_t n, struct partition_end *out)
{
	const struct partition_state *st = state_of(sh);

	if (st->end.n != 0 && partition_end_read(buf_view(&st->end), partition, out) == ERR_OK &&
	    out->n == n)
		return true;
	partition_end_init(out, n);
	return false;
}

struct str
partition_key(uint32_t partition, char room[PARTITION_KEY])
{
	memcpy(room, PREFIX, KEY - 1);
	room[KEY - 1] = (char)partition;
	return (struct str){ room, KEY };
}

static struct str
key_of(const struct shard *sh, char room[KEY])
{
	return partition_key(sh->index, room);
}

enum err
partition_end_of(struct str value, uint32_t partition, uint32_t n, struct partition_end *out)
{
	if (value.n != 0 && partition_end_read(value, partition, out) != ERR_OK)
		return ERR_CORRUPT;
	if (value.n == 0 || out->n != n)
		partition_end_init(out, n);
	return ERR_OK;
}

/* ---- the record ---- */

static const char *const key_prefixes[] = { PREFIX, NULL };

static enum err
partition_load(struct shard *sh, struct str key, const struct str *value)
{
	struct partition_state *st = state_of(sh);
	struct partition_end end;
	char room[KEY];

	if (!str_eq(key, key_of(sh, room)) ||
	    (value != NULL && partition_end_read(*value, sh->index, &end) != ERR_OK))
		return ERR_CORRUPT;
	st->end.n = 0;
	if (value != NULL)
		buf_str(&st->end, *value);
	return ERR_OK;
}

static bool
partition_next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX])
{
	_Static_assert(KEY <= HUB_PREFIX_MAX, "a key is its prefix");
	char mine[KEY];

	if (sh->index >= PARTITIONS_MAX || str_eq(*prefix, key_of(sh, mine)))
		return false;
	*prefix = key_of(sh, room);
	return true;
}

static bool
partition_value(const struct shard *sh, struct str key, struct buf *out)
{
	(void)key;
	buf_str(out, buf_view(&state_of(sh)->end));
	return state_of(sh)->end.n != 0;
}

/* ---- the operation ---- */

/* What nobody else has appended meanwhile, and is what an appender makes. */
static bool
append_is_next(const struct shard *sh, struct rd *rd, struct str *end)
{
	struct partition_end was, next;
	uint64_t expected = rd_varint(rd);

	*end = rd_lstr(rd);
	return !rd->bad && partition_end_read(*end, sh->index, &next) == ERR_OK &&
	    (partition_stored(sh, sh->index, next.n, &was) || state_of(sh)->end.n == 0) &&
	    was.next == expected;
}

static void
on_append(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct rd rd = rd_of(op->payload);
	char room[KEY], row[EVENT_KEY];
	struct str end, key;

	(void)r;
	if (!append_is_next(sh, &rd, &end)) {
		fault_set(&reply->fault, F_PreconditionFailed,
		    "the partition is not where its appender takes it to be");
		return;
	}
	for (uint64_t n = rd_varint(&rd); n > 0 && !rd.bad; n--) {
		key = rd_lstr(&rd);
		env->put(env->ctx, sh->index, RECORD_PARTITION, key, rd_lstr(&rd));
	}
	for (uint64_t n = rd_varint(&rd); n > 0 && !rd.bad; n--) {
		event_key(row, sh->index, rd_varint(&rd));
		env->del(env->ctx, sh->index, RECORD_PARTITION, (struct str){ row, EVENT_KEY });
	}
	assert(!rd.bad); /* it is the hub's own */
	common_write(sh, key_of(sh, room), &end, env);
}

static const struct feature_ops operations = { .operations = {
	                                           [OP_PARTITION_APPEND] = on_append } };

const struct feature partition_feature = {
	.state_bytes = sizeof(struct partition_state),
	.fini = state_fini,
	.key_prefixes = key_prefixes,
	.load = partition_load,
	.next_prefix = partition_next_prefix,
	.value = partition_value,
	.ops = &operations,
};
