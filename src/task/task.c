#include "task/task.h"
#include "task/page.h"

#include <stdlib.h>

const char *const lap_names[LAPS] = {
	[LAP_PARSE] = "parse",
	[LAP_WAIT] = "wait",
	[LAP_BUILD] = "build",
	[LAP_JUDGE] = "judge",
	[LAP_LOAD] = "load",
	[LAP_ASK] = "ask",
	[LAP_OUTPUT] = "output",
	[LAP_FINISH] = "finish",
};

void
slice_fini(struct slice *slice)
{
	buf_fini(&slice->need.from);
	buf_fini(&slice->need.to);
	buf_fini(&slice->need.record);
}

void
task_begin(struct task *t, size_t memory)
{
	if (t->kind->begin != NULL)
		t->kind->begin(t, memory);
}

enum step
task_step(struct task *t, struct shard *sh, struct slice *slice)
{
	enum step s = t->kind->step(t, sh, slice);

	if (t->fault.code != F_NONE)
		t->ended = true;
	assert(s != STEP_NEED || !t->ended);
	return s;
}

bool
task_cheap(const struct task *t)
{
	return t->kind->cheap == NULL || t->kind->cheap(t);
}

struct task *
task_part(const struct task *t, unsigned n)
{
	return t->kind->part != NULL ? t->kind->part(t, n) : NULL;
}

void
task_merge(struct task *t, struct task *part)
{
	if (t->fault.code == F_NONE)
		t->fault = part->fault;
	if (t->fault.code == F_NONE)
		t->kind->merge(t, part);
}

size_t
task_bytes(const struct task *t)
{
	return t->kind->bytes != NULL ? t->kind->bytes(t) : 0;
}

void
task_finish(struct task *t)
{
	if (t->fault.code == F_NONE && t->kind->finish != NULL)
		t->kind->finish(t);
}

void
task_free(struct task *t)
{
	if (t == NULL)
		return;
	page_free(t->page);
	if (t->kind->free != NULL)
		t->kind->free(t);
	else
		free(t);
}

/* ---- for those who write tasks ---- */

bool
task_has(struct slice *slice, struct shard *sh, uint32_t row, unsigned records)
{
	if (shard_row_missing(sh, row, records, NULL) == 0)
		return true;
	slice->need.kind = NEED_ROW;
	slice->need.row = row;
	slice->need.records = records;
	return false;
}

enum had
task_had(struct slice *slice, struct shard *sh, uint32_t row, unsigned records)
{
	struct task_need *need = &slice->need;
	bool failed =
	    need->answered && need->e != ERR_OK && need->kind == NEED_ROW && need->row == row;

	if (task_has(slice, sh, row, records))
		return HAD_ALL;
	need->answered = false;
	if (!failed)
		return HAD_ASKED;
	return need->e == ERR_CORRUPT ? HAD_DAMAGED : HAD_UNREAD;
}

enum step
task_ends(struct task *t)
{
	t->ended = true;
	return STEP_DONE;
}

enum step
task_fails(struct task *t)
{
	assert(t->fault.code != F_NONE);
	return task_ends(t);
}

/* The next row at or after `row` that can matter: any, or one of the ids. */
static uint32_t
next_row(const struct query_ids *ids, const struct shard *sh, uint32_t row)
{
	uint32_t best = TABLE_NONE;

	if (!ids->given)
		return row;
	for (uint32_t i = 0; i < ids->n; i++) {
		uint32_t r = shard_find(sh, ids->v[i], STR_NONE);
		if (r != TABLE_NONE && r >= row && r < best)
			best = r;
	}
	return best;
}

enum step
task_rows_of(struct task *t, struct shard *sh, struct slice *slice, const struct query_ids *ids,
    task_row *each)
{
	uint32_t cost = ids->given ? 1 + ids->n : 1;

	while (t->bookmark.row < shard_rows(sh)) {
		uint32_t row = next_row(ids, sh, (uint32_t)t->bookmark.row);
		struct str device, module;
		enum step s = STEP_DONE;

		if (row >= shard_rows(sh))
			return STEP_DONE;
		t->bookmark.row = row;
		if (shard_row(sh, row, &device, &module))
			s = each(t, sh, row, slice);
		if (s != STEP_DONE || t->ended)
			return s;
		t->bookmark.row = (uint64_t)row + 1;
		if (slice_spent(slice, cost))
			return STEP_OVER;
	}
	return STEP_DONE;
}

enum step
task_rows(struct task *t, struct shard *sh, struct slice *slice, task_row *each)
{
	static const struct query_ids any = { 0 };

	return task_rows_of(t, sh, slice, &any, each);
}
