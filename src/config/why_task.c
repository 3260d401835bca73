/* Why configurations are where they are: each row is asked, or one device's. */
#include "config/config.h"
#include "config/questions.h"
#include "task/walk.h"

#include <stdlib.h>

static struct why_task *
of(struct task *t)
{
	return (struct why_task *)t;
}

static struct why_when
when_of(const struct shard *sh, const struct hub_env *env)
{
	int64_t due_us = configure_sweep_due_us(sh), left_us = due_us - env->elapsed_us;

	return (struct why_when){ .now_us = env->now_us,
		.again_us = due_us == 0 ? 0 : env->now_us + (left_us > 0 ? left_us : 0),
		.can_write = env->can_write,
		.has_room = env->identities_left > 0 };
}

/* Its entries go into the page, unless that is full: then the row is the next one's. */
static enum step
deliver(struct why_task *y, struct str entries, uint32_t n)
{
	struct page *page = y->task.page;

	if (n == 0)
		return STEP_DONE;
	if (page_full(page)) {
		page->more = true;
		return task_ends(&y->task);
	}
	page_put(page, entries);
	return STEP_DONE;
}

static enum step
one_row(struct task *t, struct shard *sh, uint32_t row, struct slice *slice)
{
	struct why_task *y = of(t);
	struct why_when when = when_of(sh, slice->env);
	struct buf entries = { 0 };
	enum step s;
	unsigned records;
	uint32_t other, n;

	if (!why_wants(y->why, sh, row))
		return STEP_DONE;
	other = why_row(y->why, sh, row, &records);
	if (other != TABLE_NONE && !task_has(slice, sh, other, records))
		return STEP_NEED;
	y->found = true;
	if (why_check_row(y->why, sh, row, &t->fault) != ERR_OK)
		return task_fails(t);
	n = why_visit(y->why, sh, row, &when, &entries);
	s = deliver(y, buf_view(&entries), n);
	buf_fini(&entries);
	return why_ids(y->why)->given ? task_ends(t) : s; /* no other row matters */
}

static enum step
step(struct task *t, struct shard *sh, struct slice *slice)
{
	return task_rows_of(t, sh, slice, why_ids(of(t)->why), one_row);
}

static void
why_task_free(struct task *t)
{
	why_free(of(t)->why);
	free(t);
}

/* ---- of several nodes ---- */

static void
why_task_ask(const struct task *t, struct buf *out)
{
	why_ask(((const struct why_task *)t)->why, out);
}

static bool
in_order(const struct task *t)
{
	(void)t;
	return true;
}

static void
why_task_put(const struct task *t, struct buf *out)
{
	buf_putc(out, ((const struct why_task *)t)->found);
}

static enum err
why_task_take(struct task *t, struct str part)
{
	of(t)->found |= part.n > 0 && part.p[0] != 0;
	return ERR_OK;
}

static const struct task_far far = { .kind = WALK_WHY,
	.ask = why_task_ask,
	.in_order = in_order,
	.put = why_task_put,
	.take = why_task_take };

static const struct task_kind kind = { .name = "why a configuration is where it is",
	.step = step,
	.free = why_task_free,
	.far = &far };

struct why_task *
why_task_new(struct why *why)
{
	struct why_task *y = xcalloc(1, sizeof(*y));

	y->task.kind = &kind;
	y->task.page = page_new();
	y->why = why;
	return y;
}

struct task *
why_task_made(const struct configurations *set, struct str text, struct fault *f)
{
	struct why *why;

	return why_made(set, text, &why, f) == ERR_OK ? &why_task_new(why)->task : NULL;
}

/* ---- how often twins have not come to rest ---- */

static enum step
loops_step(struct task *t, struct shard *sh, struct slice *slice)
{
	(void)slice;
	((struct loops_task *)t)->loops += configure_looped(sh);
	return STEP_DONE;
}

static void
loops_put(const struct task *t, struct buf *out)
{
	buf_varint(out, ((const struct loops_task *)t)->loops);
}

static enum err
loops_take(struct task *t, struct str part)
{
	struct rd rd = rd_of(part);

	((struct loops_task *)t)->loops += rd_varint(&rd);
	return rd.bad ? ERR_CORRUPT : ERR_OK;
}

static const struct task_far loops_far = {
	.kind = WALK_LOOPS, .put = loops_put, .take = loops_take
};

static const struct task_kind loops_kind = {
	.name = "loops of configurations", .step = loops_step, .far = &loops_far
};

struct loops_task *
loops_task_new(void)
{
	struct loops_task *l = xcalloc(1, sizeof(*l));

	l->task.kind = &loops_kind;
	return l;
}
