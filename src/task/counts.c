#include "task/counts.h"

#include <stdlib.h>

/* ---- counts ---- */

static enum step
counts_step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct counts_task *c = (struct counts_task *)t;
	const struct shard_counts *of = shard_counts(sh);

	(void)slice;
	c->counts.devices += of->devices;
	c->counts.disabled += of->disabled;
	c->counts.connected += of->connected;
	return STEP_DONE;
}

static const struct task_kind counts_kind = { .name = "counts", .step = counts_step };

struct counts_task *
counts_task_new(void)
{
	struct counts_task *c = xcalloc(1, sizeof(*c));

	c->task.kind = &counts_kind;
	return c;
}

/* ---- columns ---- */

static enum step
columns_step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct columns_task *c = (struct columns_task *)t;

	column_report_shard(
	    c->report, shard_columns(sh, slice->column_bytes), slice->scratch, &c->bytes);
	return STEP_DONE;
}

static void
columns_task_free(struct task *t)
{
	struct columns_task *c = (struct columns_task *)t;

	column_report_free(c->report);
	free(c);
}

static const struct task_kind columns_kind = {
	.name = "columns", .step = columns_step, .free = columns_task_free
};

struct columns_task *
columns_task_new(void)
{
	struct columns_task *c = xcalloc(1, sizeof(*c));

	c->task.kind = &columns_kind;
	c->report = column_report_new();
	return c;
}
