/* The second part of a query's way: one shard. A block of rows is judged by columns, and the documents of those that remain are
 * asked. */
#include "task/query.h"

/* ---- a row ---- */

bool
query_task_asks(
    struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice)
{
	bool match = query_match(q->query, ops, row, slice->scratch);

	q->seen.asked++;
	slice_lap(slice, LAP_ASK);
	return match;
}

enum step
query_row(struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct hub_row hr;

	if (q->matched != row) {
		if (!task_has(slice, sh, row, q->asks))
			return STEP_NEED;
		hub_row_open(&hr, sh, row);
		if (q->vector != NULL)
			vector_learn(q->vector, row, &hub_query_ops, &hr, slice->scratch);
		else
			q->seen.judged++;
		if (!query_task_asks(q, &hub_query_ops, &hr, slice))
			return STEP_DONE;
		q->matched = row;
	}
	return query_take(q, sh, row, slice, false);
}

/* ---- a block ---- */

/* It is through, up to this row, which is next; its verdicts are good for this slice only. */
static enum step
block_over(struct query_task *q, uint32_t next, enum step s)
{
	q->task.bookmark.row = next;
	q->n = 0;
	return s;
}

/* Groups and counts: what columns know is counted at once, up to a row that must be asked. */
static enum step
count_block(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct task *t = &q->task;

	for (;;) {
		enum step s;

		if (vector_add(q->vector, q->verdicts, q->at, q->n, q->groups, &q->at, &t->fault) !=
		    ERR_OK)
			return task_fails(t);
		slice_lap(slice, LAP_JUDGE);
		t->bookmark.row = q->from + q->at;
		if (q->at == q->n)
			return block_over(q, q->from + q->n, STEP_DONE);
		s = query_row(q, sh, q->from + q->at, slice);
		if (s != STEP_DONE || t->ended)
			return s;
		q->at++;
		if (slice_spent(slice, 1))
			return block_over(q, q->from + q->at, STEP_OVER);
	}
}

static enum step
take_block(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct task *t = &q->task;

	for (; q->at < q->n; q->at++) {
		uint32_t row = q->from + q->at;
		uint8_t verdict = q->verdicts[q->at];
		enum step s;

		if (!(verdict & VERDICT_POSSIBLE))
			continue;
		t->bookmark.row = row;
		s = verdict_asks(verdict) ? query_row(q, sh, row, slice)
		                          : query_take(q, sh, row, slice, true);
		if (s != STEP_DONE || t->ended)
			return s;
		t->bookmark.row = (uint64_t)row + 1;
		if (slice_spent(slice, 1))
			return block_over(q, row + 1, STEP_OVER);
	}
	return block_over(q, q->from + q->n, STEP_DONE);
}

/* The next one; false: no row of it can match. */
static bool
judge_block(struct query_task *q, struct slice *slice)
{
	bool possible;

	q->from = (uint32_t)q->task.bookmark.row;
	q->n = vector_rows(q->vector) - q->from;
	if (q->n > VECTOR_ROWS)
		q->n = VECTOR_ROWS;
	q->at = 0;
	q->seen.judged += q->n;
	possible = vector_judge(q->vector, q->from, q->n, q->verdicts);
	slice_lap(slice, LAP_JUDGE);
	return possible;
}

static enum step
scan_blocks(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct task *t = &q->task;

	while (q->n > 0 || t->bookmark.row < vector_rows(q->vector)) {
		enum step s = STEP_DONE;

		if (q->n == 0 && !judge_block(q, slice))
			(void)block_over(q, q->from + q->n, s);
		else
			s = q->groups != NULL ? count_block(q, sh, slice)
			                      : take_block(q, sh, slice);
		if (s != STEP_DONE || t->ended)
			return s;
		if (t->bookmark.row < vector_rows(q->vector) && slice->over(slice->ctx))
			return STEP_OVER;
	}
	return STEP_DONE;
}

/* ---- a slice ---- */

static void
slice_begins(struct query_task *q, struct columns *c, struct slice *slice)
{
	uint32_t shard = q->task.bookmark.shard + 1;

	if (q->on)
		return;
	if (q->vector == NULL)
		q->vector = vector_new(q->query);
	vector_open(q->vector, c, q->scanned != shard, slice->scratch);
	q->scanned = shard;
	q->shown = q->seen.shown;
	q->on = true;
	q->n = 0;
	q->asked_leave = q->may_build = q->sweeping = q->stuck = false;
}

static void
slice_ends(struct query_task *q, struct columns *c, struct slice *slice, bool through)
{
	uint32_t wanted, held;

	slice_lap(slice, LAP_JUDGE);
	if (through) {
		vector_facts(q->vector, &wanted, &held);
		q->seen.columns += wanted;
		q->seen.held += held;
	}
	if (q->seen.shown != q->shown || through)
		columns_trim(c); /* the next slice looks again at what there is */
	if (q->explain && (through || q->task.ended))
		column_report_plan(q->columns, q->vector);
	q->on = false;
	q->n = 0;
}

/* Who asks may make some columns at a time; STEP_OVER: not now. */
static enum step
leave_to_build(struct query_task *q, struct slice *slice)
{
	uint32_t n = vector_builds(q->vector);

	if (q->asked_leave) {
		q->asked_leave = false;
		q->may_build = slice->need.e == ERR_OK;
		return q->may_build ? STEP_DONE : STEP_OVER;
	}
	if (q->may_build || n == 0)
		return STEP_DONE;
	slice->need.kind = NEED_LEAVE;
	slice->need.columns = n;
	q->asked_leave = true;
	return STEP_NEED;
}

enum step
query_scan(struct query_task *q, struct shard *sh, struct slice *slice)
{
	struct columns *c = shard_columns(sh, slice->column_bytes);
	enum step s;

	slice_begins(q, c, slice);
	s = leave_to_build(q, slice);
	if (s == STEP_DONE) {
		s = query_build(q, sh, slice);
		slice_lap(slice, LAP_BUILD);
	}
	if (s == STEP_DONE)
		s = scan_blocks(q, sh, slice);
	if (s != STEP_NEED)
		slice_ends(q, c, slice, s == STEP_DONE && !q->task.ended);
	return s;
}
