/* A query that several nodes answer: what they are asked, and what they hand over. */
#include "task/query.h"
#include "task/walk.h"

enum { ASKS_COUNT = 1, ASKS_EXPLAIN = 2, ASKS_CONDITION = 4 };

/* ---- what is asked ---- */

static void
query_ask(const struct task *t, struct buf *out)
{
	const struct query_task *q = (const struct query_task *)t;
	unsigned flags = (q->count ? ASKS_COUNT : 0) | (q->explain ? ASKS_EXPLAIN : 0) |
	    (query_facts(q->query)->alone ? ASKS_CONDITION : 0);

	buf_putc(out, (char)flags);
	buf_putc(out, (char)(q->sink != NULL ? q->sink->far->kind : WALK_NO_SINK));
	buf_lstr(out, query_text(q->query));
	if (q->sink != NULL && q->sink->far->ask != NULL)
		q->sink->far->ask(q->sink, out);
}

enum err
query_asked(struct str text, struct query_asked *out, struct fault *f)
{
	/* who was asked has judged what this hub takes */
	const struct query_options any = {
		.from_optional = true, .from = QUERY_DEVICES, .extensions = true
	};
	struct rd rd = rd_of(text);
	unsigned flags = rd_u8(&rd);

	*out = (struct query_asked){ .count = flags & ASKS_COUNT, .explain = flags & ASKS_EXPLAIN };
	out->sink = rd_u8(&rd);
	text = rd_lstr(&rd);
	if (rd.bad)
		return fault_set(f, F_ServerError, "a node asks what cannot be read");
	out->sink_text = rd_bytes(&rd, (size_t)(rd.end - rd.p));
	return flags & ASKS_CONDITION ? query_parse_condition(text, &out->query, f)
	                              : query_parse(text, &any, &out->query, f);
}

/* ---- what it has come to ---- */

static bool
query_in_order(const struct task *t)
{
	const struct query_task *q = (const struct query_task *)t;

	if (q->sink != NULL && q->sink->far->in_order != NULL && !q->sink->far->in_order(q->sink))
		return false;
	return !q->count && q->groups == NULL && q->order == NULL;
}

static void
query_put(const struct task *t, struct buf *out)
{
	const struct query_task *q = (const struct query_task *)t;
	struct buf part = { 0 };

	buf_varint(out, q->seen.judged);
	buf_varint(out, q->seen.asked);
	buf_varint(out, q->seen.shown);
	buf_varint(out, q->seen.columns);
	buf_varint(out, q->seen.held);
	buf_varint(out, q->count ? t->bookmark.delivered : 0);
	if (q->explain)
		column_report_put(q->columns, &part);
	buf_lstr(out, buf_view(&part));
	part.n = 0;
	if (q->sink != NULL && q->sink->far->put != NULL)
		q->sink->far->put(q->sink, &part);
	buf_lstr(out, buf_view(&part));
	buf_fini(&part);
	if (q->groups != NULL)
		query_groups_put(q->groups, out);
	else if (q->order != NULL)
		query_order_put(q->order, out);
}

/* TOP is of all nodes together. */
static void
count_take(struct query_task *q, uint64_t n)
{
	uint64_t top = query_facts(q->query)->top, *sum = &q->task.bookmark.delivered;

	*sum = n < top - *sum ? *sum + n : top;
}

static void
seen_take(struct query_task *q, struct rd *rd)
{
	q->seen.judged += rd_varint(rd);
	q->seen.asked += rd_varint(rd);
	q->seen.shown += rd_varint(rd);
	q->seen.columns += (uint32_t)rd_varint(rd);
	q->seen.held += (uint32_t)rd_varint(rd);
}

static enum err
query_take_part(struct task *t, struct str part)
{
	struct query_task *q = query_task_of(t);
	struct rd rd = rd_of(part);
	struct str report, of_sink, rest;
	uint64_t n;

	seen_take(q, &rd);
	n = rd_varint(&rd);
	report = rd_lstr(&rd);
	of_sink = rd_lstr(&rd);
	if (rd.bad)
		return ERR_CORRUPT;
	rest = rd_bytes(&rd, (size_t)(rd.end - rd.p));
	if (q->count)
		count_take(q, n);
	if (q->explain && column_report_take(q->columns, report) != ERR_OK)
		return ERR_CORRUPT;
	if (q->sink != NULL && q->sink->far->take != NULL &&
	    q->sink->far->take(q->sink, of_sink) != ERR_OK)
		return ERR_CORRUPT;
	if (q->groups != NULL)
		return query_groups_merge(q->groups, &rest, &t->fault);
	if (q->order != NULL)
		return query_order_merge(q->order, &rest, &t->fault);
	return ERR_OK;
}

static bool
query_took(struct task *t)
{
	const struct query_task *q = query_task_of(t);

	if (q->sink != NULL && !q->sink->far->counted)
		return false;
	return ++t->bookmark.delivered >= query_facts(q->query)->top;
}

static bool
query_end(const struct task *t, struct query_bookmark *at)
{
	const struct query_task *q = (const struct query_task *)t;

	return q->sink != NULL && q->sink->far->end != NULL && q->sink->far->end(q->sink, at);
}

static void
query_ends(struct task *t)
{
	struct query_task *q = query_task_of(t);

	if (q->sink != NULL && q->sink->far->ends != NULL)
		q->sink->far->ends(q->sink, t);
}

const struct task_far query_far = { .kind = WALK_QUERY,
	.ask = query_ask,
	.in_order = query_in_order,
	.put = query_put,
	.take = query_take_part,
	.took = query_took,
	.end = query_end,
	.ends = query_ends };
