/* Dry runs: each device is evaluated as if the configuration were there. */
#include "config/questions.h"
#include "task/walk.h"

#include <stdlib.h>

static struct dryrun_task *
of(struct task *t)
{
	return (struct dryrun_task *)t;
}

/* A device that would change goes into the page. The first page goes on counting beyond its end; the others stop there. */
static enum step
deliver(struct dryrun_task *d, struct str entry)
{
	struct page *page = d->task.page;

	if (d->over)
		return STEP_DONE;
	if (!page_full(page)) {
		page_put(page, entry);
		return STEP_DONE;
	}
	d->over = true;
	d->end = d->task.bookmark;
	page->more = !d->counts;
	return d->counts ? STEP_DONE : task_ends(&d->task);
}

static enum step
one_row(struct task *t, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct dryrun_task *d = of(t);
	struct str device, module;
	struct buf entry = { 0 };
	enum step s = STEP_DONE;
	unsigned records;
	uint32_t other;

	(void)shard_row(sh, row, &device, &module);
	if (module.n != 0)
		return STEP_DONE;
	other = dryrun_row(d->run, sh, row, &records);
	if (other != TABLE_NONE && !task_has(slice, sh, other, records))
		return STEP_NEED;
	if (dryrun_device(d->run, sh, row, slice->env->now_us, &entry))
		s = deliver(d, buf_view(&entry));
	buf_fini(&entry);
	return s;
}

static enum step
step(struct task *t, struct shard *sh, struct slice *slice)
{
	return task_rows(t, sh, slice, one_row);
}

static bool
is_cheap(const struct task *t)
{
	(void)t;
	return false;
}

static void
dryrun_task_free(struct task *t)
{
	dryrun_free(of(t)->run);
	free(t);
}

/* ---- of several nodes ---- */

static void
dryrun_task_ask(const struct task *t, struct buf *out)
{
	const struct dryrun_task *d = (const struct dryrun_task *)t;

	buf_putc(out, d->counts);
	dryrun_ask(d->run, out);
}

static bool
in_order(const struct task *t)
{
	return !((const struct dryrun_task *)t)->counts;
}

static void
dryrun_task_put(const struct task *t, struct buf *out)
{
	dryrun_put(((const struct dryrun_task *)t)->run, out);
}

static enum err
dryrun_task_take(struct task *t, struct str part)
{
	return dryrun_take(of(t)->run, part);
}

static bool
dryrun_task_end(const struct task *t, struct query_bookmark *at)
{
	const struct dryrun_task *d = (const struct dryrun_task *)t;

	if (d->over)
		*at = d->end;
	return d->over;
}

static void
dryrun_task_ends(struct task *t)
{
	struct dryrun_task *d = of(t);

	d->over = true;
	d->end = t->bookmark;
	t->page->more = !d->counts;
}

static const struct task_far far = { .kind = WALK_DRY_RUN,
	.ask = dryrun_task_ask,
	.in_order = in_order,
	.put = dryrun_task_put,
	.take = dryrun_task_take,
	.end = dryrun_task_end,
	.ends = dryrun_task_ends };

static const struct task_kind kind = {
	.name = "dry run of a configuration",
	.step = step,
	.cheap = is_cheap,
	.free = dryrun_task_free,
	.far = &far,
};

struct dryrun_task *
dryrun_task_new(void)
{
	struct dryrun_task *d = xcalloc(1, sizeof(*d));

	d->task.kind = &kind;
	d->task.page = page_new();
	return d;
}

struct task *
dryrun_task_made(const struct configurations *set, struct str text, struct fault *f)
{
	struct dryrun *run;
	struct dryrun_task *d;

	if (dryrun_made(set, str_sub(text, text.n > 0), &run, f) != ERR_OK)
		return NULL;
	d = dryrun_task_new();
	d->run = run;
	d->counts = text.p[0] != 0;
	return &d->task;
}
