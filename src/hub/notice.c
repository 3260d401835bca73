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

static void
put_told(struct out *o, struct str told)
{
	struct doc_iter it = doc_iter(told.n != 0 ? doc_of(told) : DOC_NONE);
	struct doc value;
	struct str key;

	while (doc_next(&it, &key, &value))
		out_doc(out_key_str(o, key), value);
}

void
admin_done(struct shard *sh, enum admin_what what, const struct op *op, const struct reply *reply,
    const struct hub_env *env)
{
	struct str name = op->device.n != 0 ? op->device : op->name;
	struct event e = { .kind = EVENT_ADMIN };
	struct about a;

	if (!env_logs(env)->administration || !env->can_write)
		return;
	e.numbers[EVENT_ADMIN_WHAT] = what;
	about_begin(&a);
	if (utf8_valid(name)) /* a path need not be */
		out_some_str(&a.o, "name", name);
	out_some_str(&a.o, "moduleId", op->module);
	out_some_str(&a.o, "peer", op->peer);
	put_told(&a.o, op->told);
	if (what == ADMIN_MESSAGES_PURGED)
		out_u64(out_key(&a.o, "messages"), reply->version);
	about_end(&a, sh, &e, env);
}

void
on_admin(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)r;
	admin_done(sh, (enum admin_what)op->admin, op, reply, env);
}

/* ---- jobs of others: those of shards tell it themselves ---- */

void
on_job_told(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct event e = { .kind = EVENT_JOB_ENDED };
	struct about a;

	(void)r, (void)reply;
	if (!env_logs(env)->jobs)
		return;
	about_begin(&a);
	put_told(&a.o, op->told);
	about_end(&a, sh, &e, env);
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
