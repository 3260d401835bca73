/* How far the log reaches back, in each of its families: see feed.h. */
#include "feed/priv.h"

static const enum store_table tables[FEED_FAMILIES] = { STORE_LOG, STORE_CHANGES };

/* The first record of a family in a shard, if there is one. */
static enum err
first_of(struct feed *f, enum store_table t, uint32_t shard, uint64_t end, uint64_t *position,
    int64_t *time_us)
{
	char from[EVENT_KEY], to[EVENT_KEY];
	struct store_cursor *c;
	struct str key, record;
	struct event e;
	uint32_t of;
	enum err err;

	event_key(from, shard, 0);
	event_key(to, shard, end);
	err = store_cursor_open(feed_store(f), t, (struct str){ from, EVENT_KEY },
	    (struct str){ to, EVENT_KEY }, STORE_SCAN_ONCE, &c);
	if (err != ERR_OK)
		return err;
	err = store_next(c, &key, &record);
	if (err == ERR_OK && (!event_key_decode(key, &of, position) || of != shard))
		err = ERR_CORRUPT;
	if (err == ERR_OK && (err = event_decode(record, &e)) == ERR_OK)
		*time_us = e.time_us;
	store_cursor_close(c);
	return err;
}

enum err
feed_extent(struct feed *f, struct feed_extent *out)
{
	enum err e = ERR_OK;

	memset(out, 0, sizeof(*out));
	feed_now(f, &out->end);
	for (unsigned i = 0; i < FEED_FAMILIES; i++) {
		struct feed_family *of = &out->family[i];

		of->oldest = out->end;
		for (uint32_t s = 0; s < SHARDS && e == ERR_OK; s++) {
			int64_t time_us = 0;

			e = first_of(
			    f, tables[i], s, out->end.next[s], &of->oldest.next[s], &time_us);
			if (e == ERR_OK && (of->oldest_us == 0 || time_us < of->oldest_us))
				of->oldest_us = time_us;
			if (e == ERR_END)
				e = ERR_OK;
		}
	}
	return e;
}
