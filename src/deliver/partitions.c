/* Partitions as they are read: see partitions.h. */
#include "deliver/priv.h"

uint32_t
partitions_count(struct deliveries *d)
{
	bool begins;
	uint32_t n = appender_ask(d->appender, &begins);

	if (begins) {
		pthread_mutex_lock(&d->mu);
		pthread_cond_signal(&d->wake);
		pthread_mutex_unlock(&d->mu);
	}
	return n;
}

struct partition_info
partitions_info(struct deliveries *d, uint32_t partition)
{
	return appender_info(d->appender, partition);
}

/* Whoever reads, and how far. */
struct reading {
	struct store *store;
	uint64_t from, end;
	partition_take *take;
	void *ctx;
	struct buf record;
	bool enough;
};

/* What retention has dropped meanwhile is passed over. */
static enum err
take_entry(struct reading *r, const struct partition_entry *entry)
{
	char key[EVENT_KEY];
	enum err e;

	if (entry->sequence < r->from || entry->sequence >= r->end)
		return ERR_OK;
	event_key(key, entry->shard, entry->position);
	r->record.n = 0;
	e = store_get(r->store, entry->telemetry ? STORE_LOG : STORE_CHANGES,
	    (struct str){ key, EVENT_KEY }, &r->record);
	if (e == ERR_OK)
		r->enough = !r->take(r->ctx, entry, buf_view(&r->record));
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err
take_row(struct reading *r, uint64_t sequence, struct str value)
{
	struct partition_entry entry;
	struct partition_row row;
	enum err e = ERR_OK;

	partition_row_begin(&row, sequence, value);
	while (e == ERR_OK && !r->enough && (e = partition_row_next(&row, &entry)) == ERR_OK)
		e = take_entry(r, &entry);
	return e == ERR_END ? ERR_OK : e;
}

enum err
partitions_read(struct deliveries *d, struct store *store, uint32_t partition, uint64_t sequence,
    partition_take *take, void *ctx)
{
	struct partition_info info = partitions_info(d, partition);
	struct reading r = { .store = store, .end = info.next, .take = take, .ctx = ctx };
	char from[EVENT_KEY], to[EVENT_KEY];
	struct store_cursor *c;
	struct str key, value;
	uint64_t first;
	uint32_t of;
	enum err e;

	r.from = sequence > info.begin ? sequence : info.begin;
	if (r.from >= r.end)
		return ERR_OK;
	event_key(from, partition, r.from - r.from % PARTITION_STRETCH);
	event_key(to, partition, r.end);
	e = store_cursor_open(store, STORE_PARTITIONS, (struct str){ from, EVENT_KEY },
	    (struct str){ to, EVENT_KEY }, STORE_SCAN_ONCE, &c);
	if (e != ERR_OK)
		return e;
	while (e == ERR_OK && !r.enough && (e = store_next(c, &key, &value)) == ERR_OK)
		e = event_key_decode(key, &of, &first) ? take_row(&r, first, value) : ERR_CORRUPT;
	store_cursor_close(c);
	buf_fini(&r.record);
	return e == ERR_END ? ERR_OK : e;
}
