/* The sweep as a task: a row after the other, each with its family (config/config.h). */
#include "config/config.h"
#include "task/task.h"

#include <stdlib.h>

/* What the row at hand needs is in memory: STEP_DONE. */
static enum step
have_row(struct task *t, struct shard *sh, struct slice *slice)
{
	unsigned records;
	uint32_t row = configure_sweep_row(sh, &records);

	if (row == TABLE_NONE)
		return STEP_DONE;
	switch (task_had(slice, sh, row, records)) {
	case HAD_ASKED: return STEP_NEED;
	case HAD_UNREAD: t->waits = WAIT_STORE; return STEP_OVER;
	default: return STEP_DONE; /* configure_sweep passes over one whose record is damaged */
	}
}

static enum step
step(struct task *t, struct shard *sh, struct slice *slice)
{
	t->waits = WAIT_TURN;
	while (configure_sweep_awaited(sh)) {
		enum step s = slice->full(slice->ctx) ? STEP_OVER : have_row(t, sh, slice);

		if (s != STEP_DONE)
			return s;
		configure_sweep(sh, slice->env);
		slice->wrote(slice->ctx, sh);
		if (slice_spent(slice, 1))
			return STEP_OVER;
	}
	return STEP_DONE;
}

static const struct task_kind kind = { .name = "sweep", .step = step, .tolerant = true };

struct task *
sweep_task_new(void)
{
	struct task *t = xcalloc(1, sizeof(*t));

	t->kind = &kind;
	return t;
}
