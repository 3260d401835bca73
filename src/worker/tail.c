/* The newest records of a shard's log: see tail.h. */
#include "worker/tail.h"

/* A record: its position (8 bytes), its length (varint), its bytes. */
static struct str
next_record(struct rd *rd, uint64_t *position)
{
	*position = rd_le64(rd);
	return rd_lstr(rd);
}

static struct rd
records_of(const struct tail *t)
{
	return rd_of(str_sub(buf_view(&t->records), t->begin));
}

/* The same, from where nothing at or behind `from` is left out. */
static struct rd
records_from(const struct tail *t, uint64_t from)
{
	if (t->read_at < t->begin || from < t->read)
		return records_of(t);
	return rd_of(str_sub(buf_view(&t->records), t->read_at));
}

void
tail_init(struct tail *t)
{
	*t = (struct tail){ 0 };
	pthread_mutex_init(&t->mu, NULL);
}

void
tail_fini(struct tail *t)
{
	buf_fini(&t->records);
	pthread_mutex_destroy(&t->mu);
}

/* The oldest go; what they leave at the front is given back once it is as much as the rest may be. */
static void
drop_oldest(struct tail *t)
{
	uint64_t position;

	while (t->records.n - t->begin > TAIL_BYTES) {
		struct rd rd = records_of(t);
		const uint8_t *first = rd.p;

		next_record(&rd, &position);
		t->begin += (size_t)(rd.p - first);
		t->from = position + 1;
	}
	if (t->begin <= TAIL_BYTES)
		return;
	t->records.n -= t->begin;
	memmove(t->records.p, t->records.p + t->begin, t->records.n);
	t->read_at = t->read_at > t->begin ? t->read_at - t->begin : 0;
	t->begin = 0;
}

static void
begin_anew(struct tail *t, uint64_t position)
{
	if (t->records.cap > 4 * TAIL_BYTES) /* one of the former was large */
		buf_fini(&t->records);
	t->records.n = t->begin = t->read_at = 0;
	t->from = t->read = position;
}

void
tail_put(struct tail *t, uint64_t position, struct str record)
{
	pthread_mutex_lock(&t->mu);
	if (position != t->to)
		begin_anew(t, position);
	buf_le64(&t->records, position);
	buf_lstr(&t->records, record);
	t->to = position + 1;
	drop_oldest(t);
	pthread_mutex_unlock(&t->mu);
}

bool
tail_read(struct tail *t, uint64_t from, tail_seen *seen, void *ctx)
{
	struct rd rd;
	uint64_t position;
	bool reaches, more = true;

	pthread_mutex_lock(&t->mu);
	reaches = from >= t->from && from < t->to;
	rd = records_from(t, from);
	while (reaches && more && rd.p < rd.end) {
		size_t at = (size_t)((const char *)rd.p - t->records.p);
		struct str record = next_record(&rd, &position);

		if (position >= from)
			more = seen(ctx, position, record);
		t->read = more ? position + 1 : position;
		t->read_at = more ? (size_t)((const char *)rd.p - t->records.p) : at;
	}
	pthread_mutex_unlock(&t->mu);
	return reaches;
}
