/* The last part of a query's way: parts are put together, and what was gathered becomes the page. */
#include "task/query.h"

/* As bytes, also from thread to thread: there is one way to merge, that of parts which come from elsewhere. What is there as bytes
 * goes, so that it is not there twice. */
static void
merge_groups(struct query_task *q, struct query_task *part)
{
	struct buf bytes = { 0 };
	struct str parts;

	query_groups_put(part->groups, &bytes);
	query_groups_free(part->groups);
	part->groups = NULL;
	parts = buf_view(&bytes);
	(void)query_groups_merge(q->groups, &parts, &q->task.fault);
	buf_fini(&bytes);
}

static void
merge_order(struct query_task *q, struct query_task *part)
{
	struct buf bytes = { 0 };
	struct str parts;

	query_order_put(part->order, &bytes);
	query_order_free(part->order);
	part->order = NULL;
	parts = buf_view(&bytes);
	(void)query_order_merge(q->order, &parts, &q->task.fault);
	buf_fini(&bytes);
}

void
query_task_merge(struct task *t, struct task *of)
{
	struct query_task *q = query_task_of(t), *part = query_task_of(of);

	q->seen.judged += part->seen.judged;
	q->seen.asked += part->seen.asked;
	q->seen.shown += part->seen.shown;
	q->seen.columns += part->seen.columns;
	q->seen.held += part->seen.held;
	if (q->explain)
		column_report_merge(q->columns, part->columns);
	if (q->groups != NULL)
		merge_groups(q, part);
	else
		merge_order(q, part);
}

size_t
query_task_bytes(const struct task *t)
{
	const struct query_task *q = (const struct query_task *)t;

	return (q->groups != NULL ? query_groups_bytes(q->groups) : 0) +
	    (q->order != NULL ? query_order_bytes(q->order) : 0);
}

static void
groups_finish(struct query_task *q)
{
	struct task *t = &q->task;
	struct page *page = t->page;
	uint64_t from = t->bookmark.delivered;
	uint32_t count;

	query_groups_finish(q->groups);
	count = query_groups_count(q->groups);
	if (q->count) {
		t->bookmark.delivered = count;
		return;
	}
	for (; from < count && !page_full(page); from++) {
		query_groups_write(q->groups, (uint32_t)from, 1, page_row(page));
		page_row_ends(page);
	}
	t->bookmark = (struct query_bookmark){ .delivered = from };
	page->more = from < count;
}

/* Rows in the order asked for: every page sorts anew, and skips what the pages before it have given. */
static void
order_finish(struct query_task *q)
{
	struct task *t = &q->task;
	struct page *page = t->page;
	uint64_t from = t->bookmark.delivered, count;

	query_order_finish(q->order);
	count = query_order_count(q->order);
	for (; from < UINT32_MAX && from < count && !page_full(page); from++) {
		query_order_write(q->order, (uint32_t)from, 1, SIZE_MAX, page_row(page));
		page_row_ends(page);
	}
	t->bookmark = (struct query_bookmark){ .delivered = from };
	page->more = page->nrow > 0 && from < count;
}

void
query_task_finish(struct task *t)
{
	struct query_task *q = query_task_of(t);

	if (q->groups != NULL)
		groups_finish(q);
	else if (q->order != NULL)
		order_finish(q);
}
