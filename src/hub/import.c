/* An identity with its twin in one operation: what a bulk call and an import do with one item (service-rest.md 8.1). */
#include "hub/priv.h"

/* A tag as clients write it: with or without quotes, W/ before it (service-rest.md 5.1). */
static bool
take_tag(struct doc item, struct str key, struct str *tag)
{
	struct doc v = doc_get(item, key);

	*tag = STR_NONE;
	if (doc_kind(v) != DOC_STRING)
		return false;
	*tag = doc_str(v);
	if (str_starts(*tag, STR("W/")))
		*tag = str_sub(*tag, 2);
	if (tag->n >= 2 && tag->p[0] == '"' && tag->p[tag->n - 1] == '"')
		*tag = (struct str){ tag->p + 1, tag->n - 2 };
	return true;
}

static bool
tags_hold(const struct row *r, const struct op *op, struct doc item, struct reply *reply)
{
	struct op twin = { .if_match = IF_TAG };
	struct identity id;
	struct wanted w;
	char etag[32];

	if (!identity_decode(blob_str(r->records[RECORD_IDENTITY]), &id) ||
	    !wanted_decode(blob_str(r->records[RECORD_WANTED]), &w))
		return false;
	identity_etag(&id, etag);
	if (!precondition_holds(op, etag, reply))
		return false;
	wanted_etag(w.counter, etag);
	if (!take_tag(item, STR("twinETag"), &twin.if_tag) || str_eq(twin.if_tag, STR("*")))
		return true;
	return precondition_holds(&twin, etag, reply);
}

static bool
import_allowed(
    struct shard *sh, struct row *r, const struct op *op, struct doc item, struct reply *reply)
{
	bool no_device = op->module.n != 0 && row_find(sh, op->device, STR_NONE) == NULL;

	if (no_device || (r == NULL && !(op->import & IMPORT_CREATE))) {
		reply_not_found(sh, op, reply);
		return false;
	}
	if (!identity_changeable(sh, op, reply))
		return false;
	if (r == NULL)
		return true;
	if (!(op->import & IMPORT_REPLACE)) {
		fault_set(&reply->fault,
		    op->module.n != 0 ? F_ModuleAlreadyExistsOnDevice : F_DeviceAlreadyExists,
		    "Conflict");
		return false;
	}
	return tags_hold(r, op, item, reply);
}

/* The content is version 1 of its section (T-10); a null in it deletes what is not there. */
static bool
first_section(struct buf *out, enum section_kind kind, struct doc value, const struct op *op,
    const struct hub_env *env, struct fault *f)
{
	struct section_write wr = { .kind = kind, .now_us = env->now_us };
	struct buf first = { 0 };
	struct section empty;
	bool changed;
	enum err e;

	section_new(&first, env->now_us);
	empty = section_of(buf_view(&first));
	empty.version = 0;
	e = section_merge(&empty, value, op->nduplicate, &wr, out, NULL, &changed, f);
	buf_fini(&first);
	return e == ERR_OK;
}

static void
import_new(struct shard *sh, const struct op *op, struct doc item, struct wish *w,
    const struct hub_env *env, struct reply *reply)
{
	struct doc properties = doc_getc(item, "properties");

	if (first_section(&w->tags, SECTION_TAGS, doc_getc(item, "tags"), op, env, &reply->fault) &&
	    first_section(&w->desired, SECTION_DESIRED, doc_getc(properties, "desired"), op, env,
	        &reply->fault))
		identity_create(sh, op, w, env, reply);
}

static void
import_over(struct shard *sh, struct row *r, const struct op *op, struct doc item, struct wish *w,
    const struct hub_env *env, struct reply *reply)
{
	struct twin_next next;

	if (twin_prepare(r, op, item, env, &next, reply)) {
		identity_update(sh, r, op, w, env, reply);
		if (reply->fault.code == F_NONE)
			twin_apply(sh, row_find(sh, op->device, op->module), op, &next, env);
	}
	twin_next_fini(&next);
}

static bool
parts_fit(struct doc item, struct fault *f)
{
	struct doc properties = doc_getc(item, "properties");
	enum doc_kind kind = doc_kind(properties);

	if (!doc_defined(properties) || kind == DOC_OBJECT || kind == DOC_NULL)
		return true;
	fault_set(f, F_ArgumentInvalid, "properties is not an object");
	return false;
}

void
on_identity_import(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct doc item = doc_of(op->payload);
	struct wish w = { 0 };

	if (import_allowed(sh, r, op, item, reply) && parts_fit(item, &reply->fault) &&
	    wish_take(op, item, &w, &reply->fault)) {
		if (r == NULL)
			import_new(sh, op, item, &w, env, reply);
		else
			import_over(sh, r, op, item, &w, env, reply);
	}
	wish_fini(&w);
}
