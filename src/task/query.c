/* The first part of a query's way: which rows can matter, where what matches is kept, in how many parts, and whether it is
 * little. */
#include "task/query.h"

#include <stdlib.h>

void
query_task_init(struct query_task *q, const struct task_kind *kind, struct query *query)
{
	q->task.kind = kind;
	q->task.page = page_new();
	q->query = query;
	q->matched = q->counted = TABLE_NONE;
}

struct query_task *
query_task_new(struct query *query)
{
	struct query_task *q = xcalloc(1, sizeof(*q));

	assert(query_facts(query)->collection <= QUERY_MODULES);
	query_task_init(q, &query_task_kind, query);
	return q;
}

void
query_task_free(struct task *t)
{
	struct query_task *q = query_task_of(t);

	query_groups_free(q->groups);
	query_order_free(q->order);
	vector_free(q->vector);
	column_report_free(q->columns);
	if (q->sink != NULL && q->sink->free != NULL)
		q->sink->free(q->sink);
	if (!q->borrows)
		query_free(q->query);
	free(q);
}

struct query_task *
query_task_borrow(const struct query *query)
{
	struct query_task *q = query_task_new((struct query *)query); /* which nobody changes */

	q->borrows = true;
	return q;
}

/* ---- the plan ---- */

/* The ids that the condition names; given false: any device can match. */
static const struct query_ids *
ids_of(const struct query_task *q)
{
	static const struct query_ids any = { 0 };
	const struct query_facts *facts = query_facts(q->query);

	return facts->collection == QUERY_DEVICES ? &facts->device_ids : &any;
}

/* Neither documents nor columns of the whole fleet are needed for it. */
bool
query_task_cheap(const struct task *t)
{
	const struct query_task *q = (const struct query_task *)t;
	const struct query_facts *facts = query_facts(q->query);
	const struct query_needs *n = &facts->output;

	if (ids_of(q)->given || facts->nothing)
		return true;
	return facts->everything && !facts->ordered && q->sink == NULL &&
	    (!facts->aggregate || (n->roots == 0 && n->sections == 0));
}

void
query_task_begin(struct task *t, size_t memory)
{
	struct query_task *q = query_task_of(t);
	const struct query_facts *facts = query_facts(q->query);
	uint64_t before = t->bookmark.delivered;

	assert(q->sink == NULL || (!facts->aggregate && !facts->ordered));
	q->memory = memory;
	q->asks = hub_records_of(&facts->match);
	q->shows = hub_records_of(&facts->output);
	if (q->explain)
		q->columns = column_report_new();
	if (facts->aggregate)
		q->groups = query_groups_new(q->query, memory);
	if (facts->ordered && !q->count)
		q->order = query_order_new(
		    q->query, before < UINT32_MAX ? before + t->page->limit : UINT32_MAX, memory);
	if (facts->nothing && !facts->aggregate)
		t->ended = true;
}

/* Each part keeps all the rows that are wanted, and reads their documents: with many parts, or deep in the pages, that would be
 * more than what is saved. */
static bool
order_parts(const struct query_task *q, unsigned n)
{
	return q->order != NULL &&
	    (q->task.bookmark.delivered + q->task.page->limit) * n <= ORDER_PARTS_ROWS;
}

/* What it gathers is of the whole fleet, not of a few ids: each part gathers its own, with its share of the memory. */
static struct task *
part_of(const struct task *t, unsigned n)
{
	const struct query_task *q = (const struct query_task *)t;
	struct query_task *part;

	if (ids_of(q)->given || (q->groups == NULL && !order_parts(q, n)))
		return NULL;
	part = query_task_borrow(q->query);
	part->explain = q->explain;
	part->task.page->limit = t->page->limit;
	part->task.bookmark.delivered = t->bookmark.delivered;
	query_task_begin(&part->task, q->memory / n);
	return &part->task;
}

/* ---- one shard ---- */

static enum step
one_row(struct task *t, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct query_task *q = query_task_of(t);
	bool modules = query_facts(q->query)->collection == QUERY_MODULES;
	struct str device, module;

	(void)shard_row(sh, row, &device, &module);
	return (module.n != 0) == modules ? query_row(q, sh, row, slice) : STEP_DONE;
}

static enum step
row_by_row(struct query_task *q, struct shard *sh, struct slice *slice)
{
	enum step s = task_rows_of(&q->task, sh, slice, ids_of(q), one_row);

	if (q->explain && (s == STEP_DONE || q->task.ended))
		column_report_paths(q->columns, q->query);
	return s;
}

static enum step
step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct query_task *q = query_task_of(t);

	if (ids_of(q)->given || slice->column_bytes == 0)
		return row_by_row(q, sh, slice);
	return query_scan(q, sh, slice);
}

const struct task_kind query_task_kind = {
	.name = "query",
	.begin = query_task_begin,
	.step = step,
	.cheap = query_task_cheap,
	.part = part_of,
	.merge = query_task_merge,
	.bytes = query_task_bytes,
	.finish = query_task_finish,
	.free = query_task_free,
	.far = &query_far,
};
