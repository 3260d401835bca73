/*
 * Columns are made in the slices of the query that wants them. Where few documents of a shard are in memory, its records are
 * read from the store in the order of their keys and shown as they are, without a place in memory; the rest goes row by
 * row.
 */
#include "task/query.h"

#define RECORDS_A_LOOK 32u /* records read by key between two looks at the slice */
/* records read by key that cost as much as one that is missing and looked up */
#define MISS_COSTS 4u

/* ---- by key ---- */

/* The records that have the values, as bits; 0 if they are to be had row by row for less. */
static unsigned
source_of(void *ctx, const struct query_needs *needs)
{
	const struct shard *sh = ctx;
	unsigned records = hub_records_of(needs);
	uint32_t missing = 0;

	for (int k = 0; k < RECORD_KINDS; k++)
		if (records & RECORD_BIT(k))
			missing += shard_records_missing(sh, (enum record_kind)k);
	return (uint64_t)missing * MISS_COSTS > shard_identities(sh) ? records : 0;
}

static void
put_bound(struct buf *out, struct str key, uint32_t shard)
{
	out->n = 0;
	if (key.n > 0) {
		buf_str(out, key);
		return;
	}
	buf_putc(out, (char)(shard >> 8));
	buf_putc(out, (char)shard);
}

static enum step
range_begins(struct query_task *q, const struct column_sweep *s, struct slice *slice)
{
	struct task_need *need = &slice->need;

	need->kind = NEED_RANGE;
	need->records = s->source;
	need->once = true;
	put_bound(&need->from, s->from, q->task.bookmark.shard);
	put_bound(&need->to, s->to, q->task.bookmark.shard + 1);
	q->sweeping = true;
	return STEP_NEED;
}

/* A damaged record is named when its row is shown. */
static void
take_records(struct query_task *q, struct shard *sh, struct slice *slice)
{
	const struct task_need *need = &slice->need;
	struct hub_row hr;

	if (!hub_row_meet(&hr, sh, need->key))
		return;
	for (int k = 0; k < RECORD_KINDS; k++)
		if ((need->records & RECORD_BIT(k)) &&
		    !hub_row_give(&hr, (enum record_kind)k, need->values[k]))
			return;
	vector_take(q->vector, hr.row, &hub_query_ops, &hr, slice->scratch);
	q->seen.shown++;
}

/* What has come of the range: STEP_OVER, its slice is; STEP_DONE: it is through, or cannot be read so; row by row it is said why. */
static enum step
range_goes_on(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct task_need *need = &slice->need;

	for (; need->e == ERR_OK; slice->next(slice->ctx)) {
		take_records(q, sh, slice);
		if (slice_spent(slice, SLICE_LOOK_EVERY / RECORDS_A_LOOK)) {
			vector_swept(q->vector, need->key, false);
			return STEP_OVER;
		}
	}
	q->sweeping = false;
	q->stuck = need->e != ERR_END;
	if (!q->stuck)
		vector_swept(q->vector, STR_NONE, true);
	return STEP_DONE;
}

static enum step
build_by_key(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct column_sweep s;

	if (q->sweeping) {
		enum step next = range_goes_on(q, sh, slice);
		if (next != STEP_DONE)
			return next;
	}
	if (!q->stuck && vector_sweep(q->vector, source_of, sh, &s))
		return range_begins(q, &s, slice);
	return STEP_DONE;
}

/* ---- row by row ---- */

static void
show_row(struct query_task *q, struct shard *sh, uint32_t row, bool module, struct slice *slice)
{
	struct hub_row hr;

	hub_row_open(&hr, sh, row);
	vector_show(
	    q->vector, row, module ? ROW_MODULE : ROW_DEVICE, &hub_query_ops, &hr, slice->scratch);
	q->seen.shown++;
}

static enum step
build_by_row(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct query_needs needs;
	struct str device, module;
	uint32_t row;

	while (vector_wants(q->vector, &row, &needs)) {
		if (!shard_row(sh, row, &device, &module))
			vector_show(q->vector, row, ROW_FREE, NULL, NULL, slice->scratch);
		else if (task_has(slice, sh, row, hub_records_of(&needs)))
			show_row(q, sh, row, module.n != 0, slice);
		else
			return STEP_NEED;
		if (slice_spent(slice, 1))
			return STEP_OVER;
	}
	return STEP_DONE;
}

enum step
query_build(struct query_task *q, struct shard *sh, struct slice *slice)
{
	enum step s = build_by_key(q, sh, slice);

	return s == STEP_DONE ? build_by_row(q, sh, slice) : s;
}
