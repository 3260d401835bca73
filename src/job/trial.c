/* Rows that a job is about, in queries that do not show them: its targets, and dry runs. */
#include "job/questions.h"

#include <stdlib.h>

#define TWIN (RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_WANTED) | RECORD_BIT(RECORD_REPORTED))

/* ---- targets ---- */

static enum step
targets_take(
    struct sink *sink, struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	(void)q, (void)sh, (void)slice;
	rowset_add(&((struct targets *)sink)->rows, row);
	return STEP_DONE;
}

struct sink
targets_sink(void)
{
	return (struct sink){ .take = targets_take };
}

/* ---- dry runs ---- */

static void
sample(struct trial *t, struct shard *sh, uint32_t row, int64_t now_us)
{
	t->left--;
	if (t->samples.n > 0)
		buf_putc(&t->samples, ',');
	part_try(sh, row, t->job, &t->former, now_us, &t->samples);
}

/* The first page goes on counting beyond its end; the others stop there. */
static enum step
list(struct trial *t, struct query_task *q, struct shard *sh, uint32_t row)
{
	struct page *page = q->task.page;

	if (t->over)
		return STEP_DONE;
	if (!page_full(page)) {
		target_write(sh, row, page_row(page));
		page_row_ends(page);
		return STEP_DONE;
	}
	t->over = true;
	t->end = q->task.bookmark;
	t->end.row = row;
	page->more = !t->counts;
	return t->counts ? STEP_DONE : task_ends(&q->task);
}

/* What it was, for a job that restores it. */
static enum step
know_former(
    struct trial *t, struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	switch (former_step(&t->former, sh, row, t->job->at_us, slice)) {
	case FORMER_READY: return STEP_DONE;
	case FORMER_NEEDS: return STEP_NEED;
	case FORMER_OVER:
	case FORMER_LATER: return STEP_OVER;
	case FORMER_UNREAD: break;
	}
	fault_set(&q->task.fault, F_ServiceUnavailable, "the event log cannot be read");
	return task_fails(&q->task);
}

static enum step
trial_take(
    struct sink *sink, struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct trial *t = (struct trial *)sink;
	bool shows = t->left > 0 && t->samples.n < TRIAL_BYTES;

	if (shows && !task_has(slice, sh, row, TWIN))
		return STEP_NEED;
	if (shows && t->job->type == JOB_RESTORE) {
		enum step s = know_former(t, q, sh, row, slice);

		if (s != STEP_DONE)
			return s;
	}
	t->devices++;
	if (shows)
		sample(t, sh, row, slice->env->now_us);
	return list(t, q, sh, row);
}

static void
trial_free(struct sink *sink)
{
	struct trial *t = (struct trial *)sink;

	job_unref(t->job);
	buf_fini(&t->samples);
	former_fini(&t->former);
	free(t);
}

struct trial *
trial_new(struct job *job)
{
	struct trial *t = xcalloc(1, sizeof(*t));

	t->sink = (struct sink){ .take = trial_take, .free = trial_free };
	t->job = job;
	return t;
}
