/* Draws: which twins are in a part of the fleet that a rollout has drawn. */
#include "config/config.h"
#include "config/questions.h"
#include "task/walk.h"

#include <stdlib.h>

/* No document is needed for it. */
static enum step
draw_take(
    struct sink *sink, struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct draw *d = (struct draw *)sink;
	uint64_t place = rollout_place(d->salt, shard_row_hash(sh, row));

	(void)slice;
	if (place < d->from || place >= d->to)
		return STEP_DONE;
	if (d->buckets != NULL)
		d->buckets[(place - d->from) >> d->shift]++;
	return ++q->task.bookmark.delivered < query_facts(q->query)->top ? STEP_DONE
	                                                                 : task_ends(&q->task);
}

/* ---- of several nodes ---- */

static uint64_t
buckets_of(const struct draw *d)
{
	return d->to > d->from ? ((d->to - d->from - 1) >> d->shift) + 1 : 0;
}

static void
draw_ask(const struct sink *sink, struct buf *out)
{
	const struct draw *d = (const struct draw *)sink;

	buf_putc(out, d->buckets != NULL);
	buf_putc(out, (char)d->shift);
	buf_le64(out, d->salt);
	buf_varint(out, d->from);
	buf_varint(out, d->to);
}

/* Those that have some: how far from the last one, and how many. */
static void
draw_put(const struct sink *sink, struct buf *out)
{
	const struct draw *d = (const struct draw *)sink;
	uint64_t n = d->buckets != NULL ? buckets_of(d) : 0, last = 0;

	for (uint64_t i = 0; i < n; i++)
		if (d->buckets[i] > 0) {
			buf_varint(out, i - last);
			buf_varint(out, d->buckets[i]);
			last = i;
		}
}

static enum err
draw_merge(struct sink *sink, struct str part)
{
	struct draw *d = (struct draw *)sink;
	struct rd rd = rd_of(part);
	uint64_t n = d->buckets != NULL ? buckets_of(d) : 0, at = 0;

	while (rd.p < rd.end) {
		uint64_t gap = rd_varint(&rd), count = rd_varint(&rd);

		if (rd.bad || gap >= n - at || count > UINT32_MAX)
			return ERR_CORRUPT;
		at += gap;
		d->buckets[at] += (uint32_t)count;
	}
	return ERR_OK;
}

static const struct sink_far draw_far = {
	.kind = WALK_DRAW, .ask = draw_ask, .put = draw_put, .take = draw_merge
};

struct sink
draw_sink(void)
{
	return (struct sink){ .take = draw_take, .far = &draw_far };
}

static void
made_free(struct sink *sink)
{
	struct draw *d = (struct draw *)sink;

	free(d->buckets);
	free(d);
}

struct sink *
draw_made(struct str text)
{
	struct draw *d = xcalloc(1, sizeof(*d));
	struct rd rd = rd_of(text);
	bool counts = rd_u8(&rd) != 0;

	d->sink = draw_sink();
	d->sink.free = made_free;
	d->shift = rd_u8(&rd);
	d->salt = rd_le64(&rd);
	d->from = rd_varint(&rd);
	d->to = rd_varint(&rd);
	if (rd.bad || d->shift > 63 || (counts && buckets_of(d) > DRAW_BUCKETS_MAX)) {
		free(d);
		return NULL;
	}
	if (counts)
		d->buckets = xcalloc(buckets_of(d) + 1, sizeof(*d->buckets));
	return &d->sink;
}
