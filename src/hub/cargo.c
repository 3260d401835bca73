#include "hub/cargo.h"

static struct cargo *
of(struct task *t)
{
	return (struct cargo *)t;
}

static struct op
op_of(const struct cargo *c, const struct cargo_item *item)
{
	return (struct op){ .kind = item->kind,
		.actor = ACTOR_POLICY,
		.actor_name = c->actor,
		.device = span_str(&c->bytes, item->device),
		.module = span_str(&c->bytes, item->module),
		.if_match = item->if_match,
		.if_tag = span_str(&c->bytes, item->if_tag),
		.payload = span_str(&c->bytes, item->payload),
		.nduplicate = item->nduplicate,
		.import = item->import };
}

void
cargo_item_fails(struct cargo *c, uint32_t i, const struct fault *f)
{
	struct cargo_item *item = &c->items[i];
	size_t n = strlen(f->text);

	item->fault = f->code;
	item->text = (struct span){ (uint32_t)c->texts.n, (uint32_t)n };
	buf_put(&c->texts, f->text, n);
}

void
cargo_fails(struct cargo *c, const char *why)
{
	struct fault f;

	fault_set(&f, F_ServiceUnavailable, "%s", why);
	for (uint32_t i = 0; i < c->n; i++)
		if (c->items[i].fault == F_NONE)
			cargo_item_fails(c, i, &f);
}

uint32_t
cargo_shard(const struct cargo *c)
{
	struct op op = op_of(c, &c->items[c->task.bookmark.row]);

	return op_shard(&op);
}

/* STEP_DONE: it has been applied, or what it needs cannot be had. */
static enum step
item_step(struct cargo *c, struct cargo_item *item, const struct op *op, struct shard *sh,
    struct slice *slice)
{
	struct task_need *need = &slice->need;
	struct reply reply;

	if (need->answered && need->e != ERR_OK) {
		need->answered = false;
		cargo_item_fails(c, (uint32_t)(item - c->items), &need->fault);
		return STEP_DONE;
	}
	need->from.n = 0;
	need->records = hub_missing(sh, op, &need->from);
	if (need->records != 0) {
		need->kind = NEED_KEY;
		return STEP_NEED;
	}
	reply_init(&reply);
	hub_apply(sh, op, slice->env, &reply);
	slice->wrote(slice->ctx, sh);
	if (reply.fault.code != F_NONE)
		cargo_item_fails(c, (uint32_t)(item - c->items), &reply.fault);
	reply_fini(&reply);
	return STEP_DONE;
}

/* Items one after the other, up to one of another shard. */
static enum step
step(struct task *t, struct shard *sh, struct slice *slice)
{
	struct cargo *c = of(t);

	for (; t->bookmark.row < c->n; t->bookmark.row++) {
		struct cargo_item *item = &c->items[t->bookmark.row];
		struct op op = op_of(c, item);

		if (op_shard(&op) != t->bookmark.shard)
			return STEP_DONE;
		if (item->fault == F_NONE && item_step(c, item, &op, sh, slice) == STEP_NEED)
			return STEP_NEED;
	}
	return task_ends(t);
}

static void
cargo_free(struct task *t)
{
	cargo_fini(of(t));
}

static const struct task_kind kind = {
	.name = "items of an import", .step = step, .free = cargo_free, .tolerant = true
};

void
cargo_init(struct cargo *c, struct str actor)
{
	c->task = (struct task){ .kind = &kind };
	c->actor = actor;
	c->n = 0;
	c->bytes = c->texts = (struct buf){ 0 };
}

void
cargo_fini(struct cargo *c)
{
	buf_fini(&c->bytes);
	buf_fini(&c->texts);
}
