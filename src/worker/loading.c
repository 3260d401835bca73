/* A shard from the store: its identities, what each has waiting, what belongs to none, and where all of that goes on. */
#include "worker/priv.h"

static void
bounds(uint32_t s, char from[2], char to[2])
{
	from[0] = (char)(s >> 8);
	from[1] = (char)s;
	to[0] = (char)((s + 1) >> 8);
	to[1] = (char)(s + 1);
}

static enum err
load_shard(struct fleet *f, struct shard *sh, struct fault *why)
{
	char from[2], to[2];
	struct store_cursor *c;
	struct str key, value;
	enum err e;

	bounds(shard_index(sh), from, to);
	e = store_cursor_open(f->o.store, STORE_IDENTITY, (struct str){ from, 2 },
	    (struct str){ to, 2 }, STORE_SCAN_BULK, &c);
	if (e != ERR_OK)
		return e;
	while ((e = store_next(c, &key, &value)) == ERR_OK) {
		if ((e = shard_load(sh, key, value)) != ERR_OK) {
			fault_set(why, F_StoredDamaged,
			    "the identity record of " STR_FMT " is damaged",
			    STR_ARG(str_sub(key, key.n < 2 ? key.n : 2)));
			break;
		}
	}
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* How many messages each device has waiting. Their bodies stand elsewhere in the table. */
static enum err
load_queues(struct fleet *f, struct shard *sh, struct fault *why)
{
	char from[2], to[2];
	struct store_cursor *c;
	struct str key, value;
	enum err e;

	bounds(shard_index(sh), from, to);
	e = store_cursor_open(f->o.store, STORE_MESSAGES, (struct str){ from, 2 },
	    (struct str){ to, 2 }, STORE_SCAN_BULK, &c);
	if (e != ERR_OK)
		return e;
	while ((e = store_next(c, &key, &value)) == ERR_OK) {
		if ((e = shard_load_queue(sh, key, value)) != ERR_OK) {
			fault_set(why, F_StoredDamaged, "the queue of " STR_FMT " is damaged",
			    STR_ARG(str_sub(key, key.n < 2 ? key.n : 2)));
			break;
		}
	}
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* What belongs to no identity. */
static enum err
load_common(struct fleet *f, struct shard *sh, struct fault *why)
{
	struct str prefix = STR_NONE, key, value;
	struct store_cursor *c;
	enum err e = ERR_END;
	char room[HUB_PREFIX_MAX];

	while (e == ERR_END && shard_common_prefix(sh, &prefix, room)) {
		if ((e = store_cursor_open(
		         f->o.store, STORE_HUB, prefix, STR_NONE, STORE_SCAN, &c)) != ERR_OK)
			break;
		while ((e = store_next(c, &key, &value)) == ERR_OK && str_starts(key, prefix)) {
			if ((e = shard_common(sh, key, &value)) == ERR_OK)
				continue;
			fault_set(why, F_StoredDamaged, "the record " STR_FMT " is damaged",
			    STR_ARG(key));
			break;
		}
		store_cursor_close(c);
		if (e == ERR_OK) /* past the prefix */
			e = ERR_END;
	}
	return e == ERR_END ? ERR_OK : e;
}

/* The last position of the shard's log from `from` on, or the first one that is met; 0: there is none. */
static enum err
log_position(struct fleet *f, uint32_t shard, uint64_t from, bool first, uint64_t *position)
{
	char to[2] = { (char)((shard + 1) >> 8), (char)(shard + 1) }, key[EVENT_KEY];
	struct store_cursor *c;
	struct str row, value;
	enum err e;

	*position = 0;
	event_key(key, shard, from);
	e = store_cursor_open(f->o.store, STORE_LOG, (struct str){ key, EVENT_KEY },
	    (struct str){ to, 2 }, STORE_SCAN, &c);
	if (e != ERR_OK)
		return e;
	do
		e = store_next(c, &row, &value);
	while (e == ERR_OK && event_key_decode(row, &shard, position) && !first);
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/*
 * The last position of a log of format 1, whose positions are times in microseconds and whose end is not stored. A scan from now on, of what a
 * clock that was ahead has left; else it is now, if there is any. 0: there is no record.
 */
static enum err
load_former_log(struct fleet *f, uint32_t s, int64_t now_us, uint64_t *last)
{
	enum err e = log_position(f, s, (uint64_t)now_us, false, last);

	if (e == ERR_OK && *last == 0 && (e = log_position(f, s, 0, true, last)) == ERR_OK &&
	    *last != 0)
		*last = (uint64_t)now_us;
	return e;
}

enum err
shard_from_store(struct fleet *f, struct shard *sh, struct shard_begin *begin, int64_t *from_us,
    struct fault *why)
{
	uint32_t s = shard_index(sh);
	struct store_epoch epoch;
	enum err e = load_shard(f, sh, why);

	begin->elapsed_us = clock_elapsed_us();
	if (e == ERR_OK)
		e = load_queues(f, sh, why);
	if (e == ERR_OK)
		e = load_common(f, sh, why);
	if (e == ERR_OK && !shard_log_known(sh))
		e = load_former_log(f, s, begin->now_us, &begin->position);
	if (e != ERR_OK)
		return e;
	if (store_epoch(f->o.store, s, &epoch)) {
		begin->epoch = epoch.number;
		begin->at_us = epoch.at_us;
	}
	*from_us = shard_loaded(sh, begin);
	return ERR_OK;
}
