#include "task/registry.h"

#include <stdlib.h>

#define IDENTITY (RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_REPORTED))

/* ---- the smallest ids ---- */

/* A heap with the largest on top, and what the registry shows of each. */
struct list_task {
	struct task task;
	uint32_t n, max;
	struct listed {
		struct buf id, json;
	} * v;
};

static struct list_task *
list_of(struct task *t)
{
	return (struct list_task *)t;
}

static int
id_order(const void *a, const void *b)
{
	return str_cmp(
	    buf_view(&((const struct listed *)a)->id), buf_view(&((const struct listed *)b)->id));
}

static void
sift(struct list_task *l, uint32_t i)
{
	for (;;) {
		uint32_t c = 2 * i + 1, top = i;
		struct listed t;

		for (uint32_t j = c; j < c + 2 && j < l->n; j++)
			if (id_order(&l->v[j], &l->v[top]) > 0)
				top = j;
		if (top == i)
			return;
		t = l->v[i];
		l->v[i] = l->v[top];
		l->v[top] = t;
		i = top;
	}
}

static void
list_begin(struct task *t, size_t memory)
{
	struct list_task *l = list_of(t);

	(void)memory;
	l->max = t->page->limit;
	l->v = xcalloc(l->max, sizeof(l->v[0]));
}

static enum step
list_row(struct task *t, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct list_task *l = list_of(t);
	struct listed *v = &l->v[l->n < l->max ? l->n : 0];
	struct str device, module;

	(void)shard_row(sh, row, &device, &module);
	if (module.n != 0 || (l->n == l->max && str_cmp(device, buf_view(&v->id)) >= 0))
		return STEP_DONE;
	if (!task_has(slice, sh, row, IDENTITY))
		return STEP_NEED;
	v->id.n = v->json.n = 0;
	buf_str(&v->id, device);
	hub_row_write_identity(sh, row, &v->json);
	if (l->n == l->max) {
		sift(l, 0);
	} else if (++l->n == l->max) {
		for (uint32_t i = l->n / 2 + 1; i-- > 0;)
			sift(l, i);
	}
	return STEP_DONE;
}

static enum step
list_step(struct task *t, struct shard *sh, struct slice *slice)
{
	return task_rows(t, sh, slice, list_row);
}

static void
list_finish(struct task *t)
{
	struct list_task *l = list_of(t);

	array_sort(l->v, l->n, sizeof(l->v[0]), id_order);
	for (uint32_t i = 0; i < l->n; i++)
		page_put(t->page, buf_view(&l->v[i].json));
}

static void
list_free(struct task *t)
{
	struct list_task *l = list_of(t);

	for (uint32_t i = 0; i < l->n; i++) {
		buf_fini(&l->v[i].id);
		buf_fini(&l->v[i].json);
	}
	free(l->v);
	free(l);
}

static const struct task_kind list_kind = {
	.name = "list of devices",
	.begin = list_begin,
	.step = list_step,
	.finish = list_finish,
	.free = list_free,
};

struct task *
list_task_new(void)
{
	struct list_task *l = xcalloc(1, sizeof(*l));

	l->task.kind = &list_kind;
	l->task.page = page_new();
	return &l->task;
}

/* ---- members of a scope ---- */

static bool
has_all(struct slice *slice, struct shard *sh, uint32_t row)
{
	uint32_t module = TABLE_NONE;

	if (!task_has(slice, sh, row, IDENTITY))
		return false;
	while ((module = shard_module_row(sh, row, module)) != TABLE_NONE)
		if (!task_has(slice, sh, module, IDENTITY))
			return false;
	return true;
}

static enum step
take_members(
    struct sink *sink, struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct page *page = q->task.page;
	struct buf *modules = &page->modules.rest;
	uint32_t module = TABLE_NONE;

	(void)sink;
	if (page_full(page)) {
		page->more = true;
		return task_ends(&q->task);
	}
	if (!has_all(slice, sh, row))
		return STEP_NEED;
	hub_row_write_identity(sh, row, page_row(page));
	while ((module = shard_module_row(sh, row, module)) != TABLE_NONE) {
		if (page->modules.pieces.n + modules->n > 0)
			buf_putc(modules, ',');
		hub_row_write_identity(sh, module, modules);
	}
	page_row_ends(page);
	q->task.bookmark.delivered++;
	slice_lap(slice, LAP_OUTPUT);
	return STEP_DONE;
}

struct sink registry_sink = { .take = take_members };
