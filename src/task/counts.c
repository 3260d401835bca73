#include "task/counts.h"
#include "task/walk.h"

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

static void
counts_put(const struct task *t, struct buf *out)
{
	const struct shard_counts *c = &((const struct counts_task *)t)->counts;

	buf_varint(out, c->devices);
	buf_varint(out, c->disabled);
	buf_varint(out, c->connected);
}

static enum err
counts_take(struct task *t, struct str part)
{
	struct shard_counts *c = &((struct counts_task *)t)->counts;
	struct rd rd = rd_of(part);

	c->devices += rd_varint(&rd);
	c->disabled += rd_varint(&rd);
	c->connected += rd_varint(&rd);
	return rd.bad ? ERR_CORRUPT : ERR_OK;
}

static const struct task_far counts_far = {
	.kind = WALK_COUNTS, .put = counts_put, .take = counts_take
};

static const struct task_kind counts_kind = {
	.name = "counts", .step = counts_step, .far = &counts_far
};

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

static void
columns_put(const struct task *t, struct buf *out)
{
	const struct columns_task *c = (const struct columns_task *)t;

	buf_varint(out, c->bytes);
	column_report_put(c->report, out);
}

static enum err
columns_take(struct task *t, struct str part)
{
	struct columns_task *c = (struct columns_task *)t;
	struct rd rd = rd_of(part);

	c->bytes += rd_varint(&rd);
	return rd.bad ? ERR_CORRUPT
	              : column_report_take(c->report, rd_bytes(&rd, (size_t)(rd.end - rd.p)));
}

static const struct task_far columns_far = {
	.kind = WALK_COLUMNS, .put = columns_put, .take = columns_take
};

static const struct task_kind columns_kind = {
	.name = "columns", .step = columns_step, .free = columns_task_free, .far = &columns_far
};

struct columns_task *
columns_task_new(void)
{
	struct columns_task *c = xcalloc(1, sizeof(*c));

	c->task.kind = &columns_kind;
	c->report = column_report_new();
	return c;
}
