/* Parts of the log: its newest records from memory, all others from both of its tables in the order of positions. */
#include <stdlib.h>

#include "feed/priv.h"

/* One of the two tables. */
struct strand {
	struct store_cursor *c;
	struct str record;
	uint64_t position; /* UINT64_MAX: it has no more */
};

struct strands {
	struct strand each[2];
};

static enum err
strand_next(struct strand *t)
{
	struct str key;
	uint32_t shard;
	enum err e = store_next(t->c, &key, &t->record);

	if (e == ERR_END) {
		t->position = UINT64_MAX;
		return ERR_OK;
	}
	if (e == ERR_OK && !event_key_decode(key, &shard, &t->position))
		e = ERR_CORRUPT;
	return e;
}

static void
strands_close(struct strands *s)
{
	store_cursor_close(s->each[0].c);
	store_cursor_close(s->each[1].c);
}

static enum err
strands_open(struct strands *s, struct store *store, uint32_t shard, uint64_t from, uint64_t end)
{
	static const enum store_table tables[] = { STORE_LOG, STORE_CHANGES };
	char first[EVENT_KEY], last[EVENT_KEY];
	struct store_cursor *c[2];
	enum err e;

	event_key(first, shard, from);
	event_key(last, shard, end);
	e = store_cursors_open(store, tables, 2, (struct str){ first, EVENT_KEY },
	    (struct str){ last, EVENT_KEY }, STORE_SCAN_ONCE, c);
	if (e != ERR_OK)
		return e;
	s->each[0] = (struct strand){ .c = c[0] };
	s->each[1] = (struct strand){ .c = c[1] };
	e = strand_next(&s->each[0]);
	if (e == ERR_OK)
		e = strand_next(&s->each[1]);
	if (e != ERR_OK)
		strands_close(s);
	return e;
}

/* NULL: there is none left. */
static struct strand *
strands_least(struct strands *s)
{
	struct strand *t = &s->each[s->each[0].position < s->each[1].position ? 0 : 1];

	return t->position == UINT64_MAX ? NULL : t;
}

/* ---- */

static void
stretch_add(struct stretch *s, uint64_t position, struct str record)
{
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 64;
		s->v = xrealloc(s->v, s->room * sizeof(*s->v));
	}
	s->v[s->n++] = (struct stretch_item){
		.position = position, .at = (uint32_t)s->records.n, .n = (uint32_t)record.n
	};
	buf_str(&s->records, record);
}

/* A stretch of large records is not kept as large. */
static void
stretch_empty(struct stretch *s, uint64_t from)
{
	s->from = s->to = from;
	s->n = 0;
	s->records.n = s->json.n = 0;
	if (s->records.cap > 4 * FEED_STRETCH_BYTES)
		buf_fini(&s->records);
	if (s->json.cap > 8 * FEED_STRETCH_BYTES)
		buf_fini(&s->json);
}

static bool
has_room(const struct stretch *s)
{
	return s->n < FEED_STRETCH_EVENTS && s->records.n < FEED_STRETCH_BYTES;
}

/* What of it lies before the end that is wanted. */
struct tail_part {
	struct stretch *s;
	uint64_t end;
};

static bool
take_newest(void *ctx, uint64_t position, struct str record)
{
	struct tail_part *part = ctx;

	if (position >= part->end || !has_room(part->s))
		return false;
	stretch_add(part->s, position, record);
	part->s->to = position + 1;
	return true;
}

static enum err
stretch_load(struct stretch *s, struct store *store, uint32_t shard, uint64_t from, uint64_t end)
{
	struct strands strands;
	struct strand *t;
	enum err e;

	e = strands_open(&strands, store, shard, from, end);
	if (e != ERR_OK)
		return e;
	while (e == ERR_OK && (t = strands_least(&strands)) != NULL && has_room(s)) {
		stretch_add(s, t->position, t->record);
		e = strand_next(t);
	}
	if (e == ERR_OK)
		s->to = strands_least(&strands) == NULL ? end : s->v[s->n - 1].position + 1;
	strands_close(&strands);
	return e;
}

enum err
stretch_read(
    struct stretch *s, const struct feed_options *o, uint32_t shard, uint64_t from, uint64_t end)
{
	struct tail_part newest = { s, end };

	stretch_empty(s, from);
	s->own = fleet_log_tail(o->fleet, shard, from, take_newest, &newest);
	if (s->own)
		return ERR_OK;
	return stretch_load(s, o->store, shard, from, end);
}

void
stretch_fini(struct stretch *s)
{
	free(s->v);
	buf_fini(&s->records);
	buf_fini(&s->json);
}

uint32_t
stretch_find(const struct stretch *s, uint64_t position)
{
	uint32_t low = 0, high = s->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (s->v[mid].position < position)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- by time ---- */

/* The first record from a position on: where it is and its time; UINT64_MAX: there is none. */
static enum err
first_from(struct store *store, uint32_t shard, uint64_t from, uint64_t end, uint64_t *position,
    int64_t *time_us)
{
	struct strands strands;
	struct strand *t;
	struct event event;
	enum err e = strands_open(&strands, store, shard, from, end);

	if (e != ERR_OK)
		return e;
	t = strands_least(&strands);
	*position = t == NULL ? UINT64_MAX : t->position;
	if (t != NULL && (e = event_decode(t->record, &event)) == ERR_OK)
		*time_us = event.time_us;
	strands_close(&strands);
	return e;
}

/* Times of a shard never go back (E-04): halve. */
enum err
log_find_time(
    struct store *store, uint32_t shard, uint64_t end, int64_t time_us, uint64_t *position)
{
	uint64_t low = 1, high = end;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2, found;
		int64_t at_us = 0;
		enum err e = first_from(store, shard, mid, end, &found, &at_us);

		if (e != ERR_OK)
			return e;
		if (found == UINT64_MAX || at_us >= time_us)
			high = mid;
		else
			low = found + 1;
	}
	*position = low;
	return ERR_OK;
}
