/* What back ends do with twins: read, merge, replace (twins.md 4, service-rest.md 9.2). */
#include "hub/priv.h"
#include "twin/digital.h"

/* The digital twin: its face, for who asked by it. */
static void
digital_twin_write(const struct row *r, const struct section *desired, struct buf *json)
{
	struct section reported;
	struct identity id;

	row_read_identity(r, &id);
	row_read_reported(r, &reported);
	digital_write(json, row_device(r), id.model_id, desired, &reported);
}

static void
reply_twin(struct shard *sh, struct row *r, const struct op *op, struct reply *reply)
{
	struct wanted w;

	row_read_wanted(r, &w);
	wanted_etag(w.counter, reply->etag);
	if (op->digital)
		digital_twin_write(r, &w.desired, &reply->body);
	else
		twin_write(sh, r, &reply->body);
}

void
on_twin_read(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)env;
	reply_twin(sh, r, op, reply);
}

/* Of several members of one key the last counts (T-83). */
static struct doc
member_of(struct doc object, struct str key)
{
	struct doc_iter it = doc_iter(object);
	struct doc v, last = DOC_NONE;
	struct str k;

	while (doc_kind(object) == DOC_OBJECT && doc_next(&it, &k, &v))
		if (str_eq(k, key))
			last = v;
	return last;
}

/* A foreign id in the body would write the wrong twin (T-03). */
static enum err
check_id(struct doc body, struct str key, struct str id, struct fault *f)
{
	struct doc v = member_of(body, key);

	if (!doc_defined(v) || doc_kind(v) == DOC_NULL ||
	    (doc_kind(v) == DOC_STRING && str_eq(doc_str(v), id)))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid,
	    STR_FMT " in the body is not the one of the path, " STR_FMT, STR_ARG(key), STR_ARG(id));
}

static enum err
check_body(const struct op *op, struct doc body, struct fault *f)
{
	struct doc properties;

	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	properties = member_of(body, STR("properties"));
	if (doc_defined(properties) && doc_kind(properties) != DOC_OBJECT &&
	    doc_kind(properties) != DOC_NULL)
		return fault_set(f, F_ArgumentInvalid, "properties is not an object");
	if (check_id(body, STR("deviceId"), op->device, f) != ERR_OK)
		return ERR_ARG;
	return op->module.n == 0 ? ERR_OK : check_id(body, STR("moduleId"), op->module, f);
}

static enum err
section_next(const struct section *old, enum section_kind kind, struct doc value,
    const struct op *op, const struct hub_env *env, struct next_section *next, struct fault *f)
{
	struct section_write wr = { .kind = kind, .now_us = env->now_us };
	struct buf *notify = kind == SECTION_DESIRED ? &next->notify : NULL;

	if (op->kind == OP_TWIN_REPLACE)
		return section_replace(
		    old, value, op->nduplicate, &wr, &next->bytes, notify, &next->changed, f);
	if (!doc_defined(value))
		return ERR_OK;
	return section_merge(
	    old, value, op->nduplicate, &wr, &next->bytes, notify, &next->changed, f);
}

void
desired_notify(const struct row *r, struct doc members, uint32_t version, const struct hub_env *env)
{
	struct effect e = { .kind = EFFECT_NOTIFY, .version = version };
	struct buf body = { 0 };

	if (r->presence == NULL || !(r->presence->listens & 1u << FILTER_DESIRED))
		return;
	section_write_notification(&body, members, version);
	e.session = r->presence->session;
	e.body = buf_view(&body);
	env->effect(env->ctx, &e);
	buf_fini(&body);
}

static struct str
chosen(const struct next_section *next, const struct section *old)
{
	return next->changed ? buf_view(&next->bytes) : old->bytes;
}

enum err
twin_prepare(const struct row *r, const struct op *op, struct doc body, const struct hub_env *env,
    struct twin_next *next, struct fault *f)
{
	struct doc properties = member_of(body, STR("properties"));
	enum err e;

	*next = (struct twin_next){ 0 };
	row_read_wanted(r, &next->old);
	e = section_next(
	    &next->old.tags, SECTION_TAGS, member_of(body, STR("tags")), op, env, &next->tags, f);
	if (e != ERR_OK)
		return e;
	return section_next(&next->old.desired, SECTION_DESIRED,
	    member_of(properties, STR("desired")), op, env, &next->desired, f);
}

void
twin_apply(struct shard *sh, struct row *r, const struct op *op, const struct twin_next *next,
    const struct hub_env *env)
{
	uint32_t version = version_after(next->old.desired.version);
	struct str bytes;

	if (op->kind != OP_TWIN_REPLACE && !next->tags.changed && !next->desired.changed)
		return;
	env->scratch->n = 0;
	wanted_encode(env->scratch, next->old.counter + 1, chosen(&next->tags, &next->old.tags),
	    chosen(&next->desired, &next->old.desired), next->old.configurations,
	    next->old.before_rollout);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	if (next->desired.changed) /* behind the write: it waits for the commit */
		desired_notify(r, doc_of(buf_view(&next->desired.notify)), version, env);
}

void
twin_next_fini(struct twin_next *next)
{
	buf_fini(&next->tags.bytes), buf_fini(&next->tags.notify);
	buf_fini(&next->desired.bytes), buf_fini(&next->desired.notify);
}

static void
twin_change_by(struct shard *sh, struct row *r, const struct op *op, struct doc body,
    const struct hub_env *env, struct reply *reply)
{
	struct twin_next next;
	struct wanted w;
	char etag[32];

	if (check_body(op, body, &reply->fault) != ERR_OK)
		return;
	row_read_wanted(r, &w);
	wanted_etag(w.counter, etag);
	if (precondition_check(op, etag, &reply->fault) != ERR_OK)
		return;
	if (twin_prepare(r, op, body, env, &next, &reply->fault) == ERR_OK) {
		twin_apply(sh, r, op, &next, env);
		reply_twin(sh, r, op, reply);
	}
	twin_next_fini(&next);
}

/* A JSON Patch as the twin document that says the same, appended. */
static enum err
digital_body(const struct row *r, const struct op *op, struct buf *body, struct fault *f)
{
	struct section reported;
	struct wanted w;
	struct buf patch = { 0 }, ops = { 0 };
	struct doc_writer dw;
	enum err e;

	doc_put_unique(&ops, doc_of(op->payload));
	row_read_wanted(r, &w);
	row_read_reported(r, &reported);
	e = digital_patch(doc_of(buf_view(&ops)), &w.desired, &reported, &patch, f);
	if (e == ERR_OK) {
		doc_writer_init(&dw, body, 0);
		doc_begin_object(&dw, 0);
		doc_key(&dw, STR("properties"));
		doc_begin_object(&dw, 0);
		doc_key(&dw, STR("desired"));
		doc_put_copy(&dw, 0, doc_of(buf_view(&patch)));
		doc_end(&dw);
		doc_end(&dw);
	}
	buf_fini(&patch);
	buf_fini(&ops);
	return e;
}

static void
twin_change(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct op plain = *op; /* no key of the body is there twice */
	struct buf body = { 0 };

	plain.nduplicate = 0;
	if (!op->digital)
		twin_change_by(sh, r, op, doc_of(op->payload), env, reply);
	else if (digital_body(r, op, &body, &reply->fault) == ERR_OK)
		twin_change_by(sh, r, &plain, doc_of(buf_view(&body)), env, reply);
	buf_fini(&body);
}

void
on_twin_patch(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	twin_change(sh, r, op, env, reply);
}

void
on_twin_replace(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	twin_change(sh, r, op, env, reply);
}
