/* Jobs, and what has come of their devices, as queries ask for them. */
#include "job/questions.h"
#include "task/walk.h"

#include <stdlib.h>

static bool
among(const struct query_ids *ids, struct str id)
{
	for (uint32_t i = 0; ids->given && i < ids->n; i++)
		if (str_eq(ids->v[i], id))
			return true;
	return !ids->given;
}

static enum step
take(struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice)
{
	q->seen.judged++;
	return query_task_asks(q, ops, row, slice) ? query_task_put(q, ops, row, slice) : STEP_DONE;
}

/* When the query is through with a shard, or ends there: columns had nothing to do with it. */
static enum step
explained(struct query_task *q, enum step s)
{
	if (q->explain && (s == STEP_DONE || q->task.ended))
		column_report_paths(q->columns, q->query);
	return s;
}

/* ---- jobs ---- */

typedef enum step job_row(struct task *t, const struct hub_job *row, struct slice *slice);

static enum step
each_job(struct task *t, struct shard *sh, struct slice *slice, job_row *each)
{
	struct jobs *set = jobs_stored(sh);
	enum step s = STEP_DONE;

	for (uint32_t i = jobs_from(set, t->bookmark.row);
	     i < set->n && s == STEP_DONE && !t->ended; i++) {
		struct hub_job row;

		t->bookmark.row = set->v[i]->number;
		hub_job_open(&row, sh, set->v[i]);
		s = each(t, &row, slice);
		if (s != STEP_DONE || t->ended)
			break;
		t->bookmark.row++;
		if (slice_spent(slice, 1))
			s = STEP_OVER;
	}
	jobs_unref(set);
	return s == STEP_DONE ? task_ends(t) : s; /* no other shard has any */
}

static enum step
one_asked(struct task *t, const struct hub_job *row, struct slice *slice)
{
	return take(query_task_of(t), &hub_job_ops, row, slice);
}

static enum step
asked_step(struct task *t, struct shard *sh, struct slice *slice)
{
	return explained(query_task_of(t), each_job(t, sh, slice, one_asked));
}

static const struct task_kind asked_kind = {
	.name = "query of jobs",
	.begin = query_task_begin,
	.step = asked_step,
	.bytes = query_task_bytes,
	.finish = query_task_finish,
	.free = query_task_free,
	.far = &query_far,
};

static enum step
one_listed(struct task *t, const struct hub_job *row, struct slice *slice)
{
	const struct jobs_task *jt = (const struct jobs_task *)t;

	(void)slice;
	if ((jt->type != -1 && (int)row->job->type != jt->type) ||
	    (jt->status != -1 && (int)row->job->state.status != jt->status))
		return STEP_DONE;
	if (page_full(t->page)) {
		t->page->more = true;
		return task_ends(t);
	}
	hub_job_ops.write_document(row, page_row(t->page));
	page_row_ends(t->page);
	return STEP_DONE;
}

static enum step
listed_step(struct task *t, struct shard *sh, struct slice *slice)
{
	return each_job(t, sh, slice, one_listed);
}

static void
listed_ask(const struct task *t, struct buf *out)
{
	const struct jobs_task *jt = (const struct jobs_task *)t;

	buf_putc(out, (char)(jt->type + 1));
	buf_putc(out, (char)(jt->status + 1));
}

static bool
listed_in_order(const struct task *t)
{
	(void)t;
	return true;
}

static const struct task_far listed_far = {
	.kind = WALK_JOBS, .ask = listed_ask, .in_order = listed_in_order
};

static const struct task_kind listed_kind = {
	.name = "list of jobs", .step = listed_step, .far = &listed_far
};

struct jobs_task *
jobs_task_new(int type, int status)
{
	struct jobs_task *jt = xcalloc(1, sizeof(*jt));

	jt->task.kind = &listed_kind;
	jt->task.page = page_new();
	jt->type = type;
	jt->status = status;
	return jt;
}

/* ---- results ---- */

/* Results of one job in one shard: those in memory, and those that are stored, which come one after the other by their keys. */
struct results_task {
	struct query_task query;
	bool reading; /* of the slice: stored ones have been asked for */
};

/* The stored result that is at hand: its row; TABLE_NONE: none is left. */
static enum err
stored_row(const struct task_need *need, uint32_t *row)
{
	struct str key = need->key;

	*row = TABLE_NONE;
	if (need->e == ERR_END)
		return ERR_OK;
	if (need->e != ERR_OK)
		return need->e;
	if (key.n < 4)
		return ERR_CORRUPT;
	*row = 0;
	for (size_t i = key.n - 4; i < key.n; i++)
		*row = *row << 8 | (unsigned char)key.p[i];
	return ERR_OK;
}

static enum step
results_fail(struct task *t, enum err e)
{
	if (e == ERR_CORRUPT)
		fault_set(&t->fault, F_StoredDamaged, "a stored result of a job is damaged");
	else
		fault_set(&t->fault, F_ServiceUnavailable,
		    "the store cannot be read at the moment, try again later");
	return task_fails(t);
}

/* Results up to the stored one at hand, and it; STEP_NEED: the next stored one. */
static enum step
results_up_to(struct results_task *rt, const struct hub_targets *ts, struct slice *slice)
{
	struct query_task *q = &rt->query;
	struct task *t = &q->task;
	const struct query_ids *devices = &query_facts(q->query)->device_ids;
	uint32_t stored, row;
	enum err e = stored_row(&slice->need, &stored);
	struct hub_target of;

	if (e != ERR_OK)
		return results_fail(t, e);
	while ((row = targets_next(ts, (uint32_t)t->bookmark.row, stored,
	            slice->need.values[RECORD_COMMON], &of)) != TABLE_NONE) {
		if (of.damaged)
			return results_fail(t, ERR_CORRUPT);
		t->bookmark.row = row;
		if (among(devices, of.device))
			(void)take(q, &hub_target_ops, &of, slice);
		if (t->ended)
			return STEP_DONE;
		t->bookmark.row = (uint64_t)row + 1;
		if (slice_spent(slice, 1))
			return STEP_OVER;
		if (row != stored)
			continue;
		slice->next(slice->ctx);
		if ((e = stored_row(&slice->need, &stored)) != ERR_OK)
			return results_fail(t, e);
	}
	return STEP_DONE;
}

static enum step
read_stored(struct results_task *rt, const struct hub_targets *ts, struct slice *slice)
{
	struct task_need *need = &slice->need;

	need->kind = NEED_RANGE;
	need->records = RECORD_BIT(RECORD_COMMON);
	need->once = false;
	need->from.n = need->to.n = 0;
	targets_key(ts, (uint32_t)rt->query.task.bookmark.row, &need->from);
	targets_key(ts, TABLE_NONE, &need->to);
	rt->reading = true;
	return STEP_NEED;
}

/* From the task's bookmark to the end of the job that is there, or is next; *more: there was one. */
static enum step
next_job(struct results_task *rt, struct shard *sh, struct slice *slice, bool *more)
{
	struct query_task *q = &rt->query;
	struct query_bookmark *bookmark = &q->task.bookmark;
	struct hub_targets *ts = targets_open(sh, bookmark->generation);
	enum step s = STEP_DONE;

	*more = ts != NULL;
	if (ts == NULL)
		return STEP_DONE;
	if (targets_job(ts)->number != bookmark->generation)
		bookmark->row = 0;
	bookmark->generation = targets_job(ts)->number;
	if (among(&query_facts(q->query)->job_ids, targets_job(ts)->id))
		s = rt->reading ? results_up_to(rt, ts, slice) : read_stored(rt, ts, slice);
	targets_close(ts);
	rt->reading = s == STEP_NEED;
	if (s == STEP_DONE && !q->task.ended) {
		bookmark->generation++;
		bookmark->row = 0;
	}
	return s;
}

/* Is a device of this shard asked for? */
static bool
shard_matters(const struct query_ids *devices, uint32_t shard)
{
	for (uint32_t i = 0; devices->given && i < devices->n; i++)
		if (hub_shard_of(devices->v[i]) == shard)
			return true;
	return !devices->given;
}

static enum step
results_step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct results_task *rt = (struct results_task *)t;
	bool more = shard_matters(&query_facts(rt->query.query)->device_ids, t->bookmark.shard);
	enum step s = STEP_DONE;

	while (more && s == STEP_DONE && !t->ended) {
		s = next_job(rt, sh, slice, &more);
		if (s == STEP_DONE && more && !t->ended && slice->over(slice->ctx))
			s = STEP_OVER;
	}
	if (s == STEP_DONE && !t->ended)
		t->bookmark.generation = 0;
	return explained(&rt->query, s);
}

static const struct task_kind results_kind = {
	.name = "query of what has come of jobs",
	.begin = query_task_begin,
	.step = results_step,
	.cheap = query_task_cheap,
	.bytes = query_task_bytes,
	.finish = query_task_finish,
	.free = query_task_free,
	.far = &query_far,
};

struct query_task *
any_query_task_new(struct query *query)
{
	enum query_collection of = query_facts(query)->collection;
	struct query_task *q;

	if (of <= QUERY_MODULES)
		return query_task_new(query);
	q = xcalloc(1, of == QUERY_JOBS ? sizeof(struct query_task) : sizeof(struct results_task));
	query_task_init(q, of == QUERY_JOBS ? &asked_kind : &results_kind, query);
	return q;
}
