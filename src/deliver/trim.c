/* What retention has dropped goes from the front of partitions (E-105). */
#include "deliver/priv.h"

struct trimming {
	const struct feed_extent *extent;
	struct trim *out;
	int64_t until_us; /* what is later is there */
	uint64_t begin;
	uint64_t first[TRIM_ROWS], last[TRIM_ROWS]; /* of rows that may go */
	uint32_t n;
};

static bool
is_gone(const struct trimming *t, const struct partition_entry *e)
{
	const struct feed_family *f =
	    &t->extent->family[e->telemetry ? FEED_TELEMETRY : FEED_CHANGES];

	return e->position < f->oldest.next[e->shard];
}

/* False: it is late enough. An entry's time may be later than its record's, as those of a partition never fall: so a row of which something is gone is
 * not the last, whatever its time. */
static bool
look_at(struct trimming *t, uint64_t first, struct str value)
{
	uint64_t before = t->out->begin;
	struct partition_entry e = { 0 };
	struct partition_row row;

	partition_row_begin(&row, first, value);
	while (partition_row_next(&row, &e) == ERR_OK)
		if (e.sequence >= t->begin && is_gone(t, &e))
			t->out->begin = e.sequence + 1;
	if (t->n < TRIM_ROWS) {
		t->first[t->n] = first;
		t->last[t->n++] = e.sequence;
	}
	return e.time_us <= t->until_us || e.sequence < t->begin || t->out->begin != before;
}

/* When the younger of both families begins. */
static int64_t
younger_us(const struct feed_extent *x)
{
	int64_t us = 0;

	for (unsigned i = 0; i < FEED_FAMILIES; i++) {
		int64_t oldest_us = x->family[i].oldest_us;

		if (oldest_us == 0) /* there is nothing of it: all may be gone */
			return INT64_MAX;
		us = oldest_us > us ? oldest_us : us;
	}
	return us;
}

enum err
trim_look(struct store *store, const struct feed_extent *extent, uint32_t partition,
    const struct partition_end *end, struct trim *out)
{
	struct trimming t = {
		.extent = extent, .out = out, .until_us = younger_us(extent), .begin = end->begin
	};
	char from[EVENT_KEY], to[EVENT_KEY];
	struct store_cursor *c;
	struct str key, value;
	uint64_t first;
	uint32_t of;
	bool more = true;
	enum err e;

	*out = (struct trim){ .begin = end->begin };
	event_key(from, partition, 0); /* rows before the begin are few: those that are to go */
	event_key(to, partition, end->next);
	e = store_cursor_open(store, STORE_PARTITIONS, (struct str){ from, EVENT_KEY },
	    (struct str){ to, EVENT_KEY }, STORE_SCAN_ONCE, &c);
	if (e != ERR_OK)
		return e;
	while (more && (e = store_next(c, &key, &value)) == ERR_OK)
		more = event_key_decode(key, &of, &first) && look_at(&t, first, value);
	store_cursor_close(c);
	/* A row goes when the begin behind it is on disk: an append that is taken back may have deleted it all the same. */
	for (uint32_t i = 0; i < t.n && t.last[i] < end->begin; i++)
		out->rows[out->n++] = t.first[i];
	return e == ERR_END ? ERR_OK : e;
}
