/* The past, read for who shows it: see feed.h. */
#include "feed/priv.h"

enum err
feed_record(struct feed *f, uint32_t shard, uint64_t position, struct buf *out)
{
	char key[EVENT_KEY];

	event_key(key, shard, position);
	return store_get(feed_store(f), STORE_CHANGES, (struct str){ key, EVENT_KEY }, out);
}

enum err
feed_kept_since(struct feed *f, int64_t *time_us)
{
	return changes_kept_since(feed_store(f), time_us);
}

enum err
feed_twin(struct feed *f, struct str device, struct str module, struct past *out)
{
	static const enum store_table tables[PAST_CHAINS] = { STORE_IDENTITY, STORE_WANTED,
		STORE_REPORTED };
	struct store_cursor *c[PAST_CHAINS];
	struct str key, values[PAST_CHAINS];
	struct buf from = { 0 }, to = { 0 };
	enum err e;

	hub_key(&from, hub_shard_of(device), device, module);
	buf_str(&to, buf_view(&from));
	buf_putc(&to, '\0');
	e = store_cursors_open(
	    feed_store(f), tables, PAST_CHAINS, buf_view(&from), buf_view(&to), STORE_SCAN_ONCE, c);
	if (e == ERR_OK) {
		for (unsigned k = 0; k < PAST_CHAINS && e == ERR_OK; k++)
			e = store_next(c[k], &key, &values[k]);
		if (e == ERR_OK)
			e = past_begin(out, values[0], values[1], values[2]);
		for (unsigned k = 0; k < PAST_CHAINS; k++)
			store_cursor_close(c[k]);
	}
	buf_fini(&from);
	buf_fini(&to);
	return e == ERR_END ? ERR_NOT_FOUND : e;
}
