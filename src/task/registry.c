#include "task/registry.h"
#include "task/walk.h"

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

/* Where a device is to be written if it is one of the first; NULL: it is not. */
static struct listed *
list_place(struct list_task *l, struct str device)
{
	struct listed *v;

	if (l->max == 0)
		return NULL;
	v = &l->v[l->n < l->max ? l->n : 0];
	return l->n == l->max && str_cmp(device, buf_view(&v->id)) >= 0 ? NULL : v;
}

static struct buf *
list_begins(struct listed *v, struct str device)
{
	v->id.n = v->json.n = 0;
	buf_str(&v->id, device);
	return &v->json;
}

static void
list_placed(struct list_task *l)
{
	if (l->n == l->max) {
		sift(l, 0);
	} else if (++l->n == l->max) {
		for (uint32_t i = l->n / 2 + 1; i-- > 0;)
			sift(l, i);
	}
}

static enum step
list_row(struct task *t, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct list_task *l = list_of(t);
	struct str device, module;
	struct listed *v;

	(void)shard_row(sh, row, &device, &module);
	if (module.n != 0 || (v = list_place(l, device)) == NULL)
		return STEP_DONE;
	if (!task_has(slice, sh, row, IDENTITY))
		return STEP_NEED;
	hub_row_write_identity(sh, row, list_begins(v, device));
	list_placed(l);
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

static void
list_put(const struct task *t, struct buf *out)
{
	const struct list_task *l = (const struct list_task *)t;

	for (uint32_t i = 0; i < l->n; i++) {
		buf_lstr(out, buf_view(&l->v[i].id));
		buf_lstr(out, buf_view(&l->v[i].json));
	}
}

static enum err
list_take(struct task *t, struct str part)
{
	struct list_task *l = list_of(t);
	struct rd rd = rd_of(part);

	while (rd.p < rd.end) {
		struct str id = rd_lstr(&rd), json = rd_lstr(&rd);
		struct listed *v = rd.bad ? NULL : list_place(l, id);

		if (rd.bad)
			return ERR_CORRUPT;
		if (v == NULL)
			continue;
		buf_str(list_begins(v, id), json);
		list_placed(l);
	}
	return ERR_OK;
}

static const struct task_far list_far = {
	.kind = WALK_IDENTITIES, .put = list_put, .take = list_take
};

static const struct task_kind list_kind = {
	.name = "list of devices",
	.begin = list_begin,
	.step = list_step,
	.finish = list_finish,
	.free = list_free,
	.far = &list_far,
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

static const struct sink_far members_far = { .kind = WALK_MEMBERS, .counted = true };

struct sink registry_sink = { .take = take_members, .far = &members_far };
