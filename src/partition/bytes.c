/*
 * Bytes of partitions.
 *
 *   end    format | partitions | begin | next | last time | of each of its shards the next position
 *   row    format | entries | time of the first | for each: shard and family | position | time since the one before
 *   append sequence that is expected | end | rows: how many, each key and value | rows that go: how many, each first sequence
 */
#include "partition/priv.h"

#define ROW_FORMAT 1
#define END_FORMAT 1
#define TELEMETRY  0x40u
#define TIME_MAX   ((uint64_t)INT64_MAX / 2) /* what is later is damage */

void
partition_end_init(struct partition_end *end, uint32_t n)
{
	*end = (struct partition_end){ .n = n };
	for (uint32_t s = 0; s < SHARDS; s++)
		end->at[s] = 1;
}

void
partition_end_put(struct buf *out, uint32_t partition, const struct partition_end *end)
{
	buf_putc(out, END_FORMAT);
	buf_varint(out, end->n);
	buf_varint(out, end->begin);
	buf_varint(out, end->next);
	buf_varint(out, (uint64_t)end->last_us);
	for (uint32_t s = partition; s < SHARDS; s += end->n)
		buf_varint(out, end->at[s]);
}

enum err
partition_end_read(struct str bytes, uint32_t partition, struct partition_end *out)
{
	struct rd rd = rd_of(bytes);
	bool good = rd_u8(&rd) == END_FORMAT;
	uint64_t n = rd_varint(&rd), last_us;

	if (!good || n == 0 || n > PARTITIONS_MAX || partition >= n)
		return ERR_CORRUPT;
	partition_end_init(out, (uint32_t)n);
	out->begin = rd_varint(&rd);
	out->next = rd_varint(&rd);
	last_us = rd_varint(&rd);
	out->last_us = (int64_t)last_us;
	for (uint32_t s = partition; s < SHARDS; s += out->n) {
		out->at[s] = rd_varint(&rd);
		good = good && out->at[s] != 0;
	}
	good = good && !rd.bad && rd.p == rd.end && out->begin <= out->next && last_us <= TIME_MAX;
	return good ? ERR_OK : ERR_CORRUPT;
}

/* ---- rows ---- */

/* As many as go into one; they are consecutive. */
static uint32_t
row_entries(const struct partition_entry *v, uint32_t n)
{
	uint64_t room = PARTITION_STRETCH - v[0].sequence % PARTITION_STRETCH;

	return n < room ? n : (uint32_t)room;
}

static void
row_put(struct buf *out, const struct partition_entry *v, uint32_t n)
{
	int64_t before_us = v[0].time_us;

	buf_putc(out, ROW_FORMAT);
	buf_varint(out, n);
	buf_varint(out, (uint64_t)before_us);
	for (uint32_t i = 0; i < n; i++) {
		buf_putc(out, (char)(v[i].shard | (v[i].telemetry ? TELEMETRY : 0u)));
		buf_varint(out, v[i].position);
		buf_varint(out, (uint64_t)(v[i].time_us - before_us));
		before_us = v[i].time_us;
	}
}

void
partition_row_begin(struct partition_row *r, uint64_t sequence, struct str value)
{
	uint64_t time_us;

	*r = (struct partition_row){ .rd = rd_of(value), .sequence = sequence };
	r->bad = rd_u8(&r->rd) != ROW_FORMAT;
	r->left = rd_varint(&r->rd);
	time_us = rd_varint(&r->rd);
	r->time_us = (int64_t)time_us;
	r->bad = r->bad || r->rd.bad || r->left > PARTITION_STRETCH || time_us > TIME_MAX;
}

enum err
partition_row_next(struct partition_row *r, struct partition_entry *out)
{
	uint64_t more_us;
	uint8_t of;

	if (!r->bad && r->left == 0)
		return r->rd.p == r->rd.end ? ERR_END : ERR_CORRUPT;
	of = rd_u8(&r->rd);
	out->position = rd_varint(&r->rd);
	more_us = rd_varint(&r->rd);
	r->bad = r->bad || more_us > TIME_MAX - (uint64_t)r->time_us;
	if (r->bad || r->rd.bad || (of & ~(TELEMETRY | (SHARDS - 1))) != 0)
		return ERR_CORRUPT;
	out->shard = of & (SHARDS - 1);
	out->telemetry = (of & TELEMETRY) != 0;
	r->time_us += (int64_t)more_us;
	out->time_us = r->time_us;
	out->sequence = r->sequence++;
	r->left--;
	return ERR_OK;
}

/* ---- appends ---- */

static uint32_t
count_rows(const struct partition_entry *v, uint32_t n)
{
	uint32_t rows = 0;

	for (uint32_t i = 0; i < n; i += row_entries(v + i, n - i))
		rows++;
	return rows;
}

void
partition_append_put(struct buf *out, uint32_t partition, const struct partition_end *old,
    const struct partition_end *end, const struct partition_entry *v, uint32_t n,
    const uint64_t *gone, uint32_t ngone)
{
	struct buf bytes = { 0 };
	char key[EVENT_KEY];
	uint32_t of;

	buf_varint(out, old->next);
	partition_end_put(&bytes, partition, end);
	buf_lstr(out, buf_view(&bytes));
	buf_varint(out, count_rows(v, n));
	for (uint32_t i = 0; i < n; i += of) {
		of = row_entries(v + i, n - i);
		event_key(key, partition, v[i].sequence);
		buf_lstr(out, (struct str){ key, EVENT_KEY });
		bytes.n = 0;
		row_put(&bytes, v + i, of);
		buf_lstr(out, buf_view(&bytes));
	}
	buf_varint(out, ngone);
	for (uint32_t i = 0; i < ngone; i++)
		buf_varint(out, gone[i]);
	buf_fini(&bytes);
}
