/* Rows that a job is about, in queries that do not show them: its targets, and dry runs. */
#include "job/questions.h"
#include "task/walk.h"

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
sample(struct trial *t, uint32_t shard, struct shard *sh, uint32_t row, int64_t now_us)
{
	size_t begun = t->samples.text.n;

	t->left--;
	if (begun > 0)
		buf_putc(&t->samples.text, ',');
	part_try(sh, row, t->job, &t->former, now_us, &t->samples.text);
	samples_ends(&t->samples, shard, begun);
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
	bool shows = t->left > 0 && t->samples.text.n < t->most_bytes;

	if (shows && !task_has(slice, sh, row, TWIN))
		return STEP_NEED;
	if (shows && t->job->type == JOB_RESTORE) {
		enum step s = know_former(t, q, sh, row, slice);

		if (s != STEP_DONE)
			return s;
	}
	t->devices++;
	if (shows)
		sample(t, q->task.bookmark.shard, sh, row, slice->env->now_us);
	return list(t, q, sh, row);
}

static void
trial_free(struct sink *sink)
{
	struct trial *t = (struct trial *)sink;

	job_unref(t->job);
	samples_fini(&t->samples);
	former_fini(&t->former);
	free(t);
}

/* ---- of several nodes ---- */

static void
trial_ask(const struct sink *sink, struct buf *out)
{
	const struct trial *t = (const struct trial *)sink;

	buf_putc(out, t->counts);
	buf_varint(out, t->most);
	buf_str(out, t->job->record);
}

static bool
trial_in_order(const struct sink *sink)
{
	return !((const struct trial *)sink)->counts;
}

static void
trial_put(const struct sink *sink, struct buf *out)
{
	const struct trial *t = (const struct trial *)sink;

	buf_varint(out, t->devices);
	samples_put(&t->samples, out);
}

static enum err
trial_merge(struct sink *sink, struct str part)
{
	struct trial *t = (struct trial *)sink;
	struct rd rd = rd_of(part);

	t->devices += rd_varint(&rd);
	if (rd.bad)
		return ERR_CORRUPT;
	return samples_take(
	    &t->samples, rd_bytes(&rd, (size_t)(rd.end - rd.p)), t->most, TRIAL_BYTES);
}

static bool
trial_end(const struct sink *sink, struct query_bookmark *at)
{
	const struct trial *t = (const struct trial *)sink;

	if (t->over)
		*at = t->end;
	return t->over;
}

static void
trial_ends(struct sink *sink, struct task *task)
{
	struct trial *t = (struct trial *)sink;

	t->over = true;
	t->end = task->bookmark;
	task->page->more = !t->counts;
}

static const struct sink_far trial_far = { .kind = WALK_TRIAL,
	.ask = trial_ask,
	.in_order = trial_in_order,
	.put = trial_put,
	.take = trial_merge,
	.end = trial_end,
	.ends = trial_ends };

struct trial *
trial_new(struct job *job, bool counts, unsigned sample)
{
	struct trial *t = xcalloc(1, sizeof(*t));

	t->sink = (struct sink){ .take = trial_take, .free = trial_free, .far = &trial_far };
	t->job = job;
	t->counts = counts;
	t->left = t->most = sample;
	t->most_bytes = TRIAL_BYTES;
	return t;
}

struct sink *
trial_made(struct str text)
{
	struct rd rd = rd_of(text);
	bool counts = rd_u8(&rd) != 0;
	uint64_t sample = rd_varint(&rd);
	struct trial *t;
	struct job *job;

	if (rd.bad || sample > TRIAL_SAMPLE_MAX ||
	    job_new(rd_bytes(&rd, (size_t)(rd.end - rd.p)), &job) != ERR_OK)
		return NULL;
	t = trial_new(job, counts, (unsigned)sample);
	t->most_bytes = SAMPLES_PART_BYTES;
	return &t->sink;
}
