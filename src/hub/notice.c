/* What the log says of the hub itself, and of methods (docs/spec/events.md, E-95 to E-98). No record has a key, a secret or a payload. */
#include "hub/priv.h"

#include <inttypes.h>

/* What is said of it, gathered: o is open. */
struct about {
	struct buf doc;
	struct doc_writer dw;
	struct out o;
};

static void
about_begin(struct about *a)
{
	a->doc = (struct buf){ 0 };
	doc_writer_init(&a->dw, &a->doc, 0);
	a->o = out_to_doc(&a->dw);
	out_open(&a->o);
}

static uint64_t
about_end(struct about *a, struct shard *sh, struct event *e, const struct hub_env *env)
{
	uint64_t position;

	out_close(&a->o);
	e->fields[EVENT_ABOUT] = buf_view(&a->doc);
	position = log_notice(sh, e, env);
	buf_fini(&a->doc);
	return position;
}

/* ---- administration ---- */

void
admin_done(struct shard *sh, enum admin_what what, const struct op *op, const struct hub_env *env)
{
	struct event e = { .kind = EVENT_ADMIN };
	struct doc more =
	    op->kind == OP_ADMIN && op->payload.n != 0 ? doc_of(op->payload) : DOC_NONE;
	struct doc_iter it = doc_iter(more);
	struct doc value;
	struct str key;
	struct about a;

	if (!env_logs(env)->administration)
		return;
	e.numbers[EVENT_ADMIN_WHAT] = what;
	about_begin(&a);
	if (utf8_valid(op->name)) /* a path need not be */
		out_some_str(&a.o, "name", op->name);
	out_some_str(&a.o, "peer", op->peer);
	while (doc_next(&it, &key, &value))
		out_doc(out_key_str(&a.o, key), value);
	about_end(&a, sh, &e, env);
}

void
on_admin(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)r, (void)reply;
	admin_done(sh, (enum admin_what)op->admin, op, env);
}

/* ---- methods ---- */

static struct event
event_of_method(const struct row *r, enum event_kind kind)
{
	return (struct event){ .kind = kind, .device = row_device(r), .module = row_module(r) };
}

uint64_t
method_called(
    struct shard *sh, const struct row *r, struct str name, size_t bytes, const struct hub_env *env)
{
	struct event e = event_of_method(r, EVENT_METHOD_CALLED);
	struct about a;

	if (!env_logs(env)->methods || !env->can_write)
		return 0;
	about_begin(&a);
	out_str(out_key(&a.o, "methodName"), name);
	out_u64(out_key(&a.o, "payloadBytes"), bytes);
	return about_end(&a, sh, &e, env);
}

void
method_answered(struct shard *sh, const struct row *r, uint64_t called, const struct op *op,
    const struct hub_env *env)
{
	struct event e = event_of_method(r, EVENT_METHOD_ANSWERED);
	struct about a;

	if (called == 0 || !env->can_write)
		return;
	about_begin(&a);
	out_format(out_key(&a.o, "call"), "%u-%" PRIu64, sh->index, called);
	out_i64(out_key(&a.o, "status"), op->method.status);
	out_u64(out_key(&a.o, "payloadBytes"), op->payload.n);
	about_end(&a, sh, &e, env);
}
