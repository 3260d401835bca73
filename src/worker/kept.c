/* How far back the log of changes goes. */
#include "worker/priv.h"

static enum err
first_change(struct store *store, uint32_t shard, int64_t *time_us)
{
	char first[EVENT_KEY], last[EVENT_KEY];
	struct store_cursor *c;
	struct str key, record;
	struct event event;
	enum err e;

	event_key(first, shard, 0);
	event_key(last, shard, UINT64_MAX);
	e = store_cursor_open(store, STORE_CHANGES, (struct str){ first, EVENT_KEY },
	    (struct str){ last, EVENT_KEY }, STORE_SCAN_ONCE, &c);
	if (e != ERR_OK)
		return e;
	e = store_next(c, &key, &record);
	if (e == ERR_OK && (e = event_decode(record, &event)) == ERR_OK && event.time_us < *time_us)
		*time_us = event.time_us;
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* Files go whole, the oldest first: so what has been dropped is older than all that is left, of whatever shard. */
enum err
changes_kept_since(struct store *store, int64_t *time_us)
{
	enum err e = ERR_OK;

	*time_us = INT64_MAX;
	for (uint32_t s = 0; s < SHARDS && e == ERR_OK; s++)
		e = first_change(store, s, time_us);
	return e;
}
