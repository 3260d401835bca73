/* The third part of a query's way: what becomes of a row that matches. */
#include "task/query.h"

/* ---- a row whose documents are at hand ---- */

static enum step
put_group(
    struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice)
{
	enum err e = query_groups_add(q->groups, ops, row, slice->scratch, &q->task.fault);

	slice_lap(slice, LAP_OUTPUT);
	return e == ERR_OK ? STEP_DONE : task_fails(&q->task);
}

static enum step
put_order(
    struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice)
{
	enum err e = query_order_take(
	    q->order, q->task.bookmark.shard, ops, row, slice->scratch, &q->task.fault);

	slice_lap(slice, LAP_OUTPUT);
	return e == ERR_OK ? STEP_DONE : task_fails(&q->task);
}

/* One more is delivered, or counted; TOP may say that no other row matters. */
static enum step
delivered(struct query_task *q)
{
	return ++q->task.bookmark.delivered < query_facts(q->query)->top ? STEP_DONE
	                                                                 : task_ends(&q->task);
}

static enum step
put_row(struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice)
{
	struct page *page = q->task.page;

	if (q->count)
		return delivered(q);
	if (page_full(page)) {
		page->more = true; /* and this row is the next one's first */
		return task_ends(&q->task);
	}
	query_project(q->query, ops, row, slice->scratch, page_row(page));
	page_row_ends(page);
	slice_lap(slice, LAP_OUTPUT);
	return delivered(q);
}

enum step
query_task_put(
    struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice)
{
	if (q->groups != NULL)
		return put_group(q, ops, row, slice);
	if (q->order == NULL)
		return put_row(q, ops, row, slice);
	return query_order_wants(q->order, ops, row, slice->scratch) ? put_order(q, ops, row, slice)
	                                                             : STEP_DONE;
}

/* ---- a row of a shard ---- */

/* The documents that are put out are in memory. */
static bool
has_output(struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	return task_has(slice, sh, row, q->shows);
}

/* May the row, which has not been counted in the order yet, be one of the first? STEP_DONE with `counted` if it may. */
static enum step
order_counts(
    struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice, bool certain)
{
	enum order_view view = certain ? vector_order(q->vector, row, q->order) : ORDER_ASK;
	struct hub_row hr;
	bool wanted = view == ORDER_TAKE;

	if (view == ORDER_ASK) {
		if (!task_has(slice, sh, row, q->asks))
			return STEP_NEED;
		q->seen.asked += certain;
		hub_row_open(&hr, sh, row);
		wanted = query_order_wants(q->order, &hub_query_ops, &hr, slice->scratch);
	}
	slice_lap(slice, LAP_OUTPUT);
	q->counted = wanted ? row : TABLE_NONE;
	return STEP_DONE;
}

static enum step
take_order(struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice, bool certain)
{
	struct hub_row hr;

	if (q->counted != row) {
		enum step s = order_counts(q, sh, row, slice, certain);
		if (s != STEP_DONE || q->counted != row)
			return s;
	}
	if (!has_output(q, sh, row, slice))
		return STEP_NEED;
	hub_row_open(&hr, sh, row);
	return put_order(q, &hub_query_ops, &hr, slice);
}

static enum step
take_row(struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct hub_row hr;

	if ((q->groups != NULL || !q->count) && !has_output(q, sh, row, slice))
		return STEP_NEED;
	hub_row_open(&hr, sh, row);
	return query_task_put(q, &hub_query_ops, &hr, slice);
}

enum step
query_take(struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice, bool certain)
{
	enum step s;

	if (q->sink != NULL)
		s = q->sink->take(q->sink, q, sh, row, slice);
	else if (q->order != NULL)
		s = take_order(q, sh, row, slice, certain);
	else
		s = take_row(q, sh, row, slice);
	if (s != STEP_NEED)
		q->matched = q->counted = TABLE_NONE;
	return s;
}
