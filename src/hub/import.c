/* An identity with its twin in one operation: what a bulk call and an import do with one item (service-rest.md 8.1). */
#include "hub/priv.h"

/* ---- modes ---- */

static const struct import_mode modes[] = {
	{ { "createOrUpdate", 14 }, OP_IDENTITY_IMPORT, IMPORT_CREATE | IMPORT_REPLACE, NULL },
	{ { "create", 6 }, OP_IDENTITY_IMPORT, IMPORT_CREATE, NULL },
	{ { "update", 6 }, OP_IDENTITY_IMPORT, IMPORT_REPLACE, NULL },
	{ { "updateIfMatchETag", 17 }, OP_IDENTITY_IMPORT, IMPORT_REPLACE, "eTag" },
	{ { "createOrUpdateIfMatchETag", 25 }, OP_IDENTITY_IMPORT, IMPORT_CREATE | IMPORT_REPLACE,
	    "eTag" },
	{ { "delete", 6 }, OP_IDENTITY_DELETE, 0, NULL },
	{ { "deleteIfMatchETag", 17 }, OP_IDENTITY_DELETE, 0, "eTag" },
	{ { "updateTwin", 10 }, OP_TWIN_PATCH, 0, NULL },
	{ { "updateTwinIfMatchETag", 21 }, OP_TWIN_PATCH, 0, "twinETag" },
};
const struct import_mode *const import_mode_default = &modes[0];

const struct import_mode *
import_mode_find(struct str name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (str_ieq(name, modes[i].name))
			return &modes[i];
	return NULL;
}

const struct import_mode *
import_mode_of(struct doc item, const struct import_mode *fallback, struct fault *f)
{
	struct doc v = doc_getc(item, "importMode");
	const struct import_mode *mode = fallback;

	if (doc_defined(v) && doc_kind(v) != DOC_NULL)
		mode = doc_kind(v) == DOC_STRING ? import_mode_find(doc_str(v)) : NULL;
	if (mode == NULL)
		fault_set(f, F_ArgumentInvalid, "importMode is none of those that there are");
	return mode;
}

/* A tag that is not there is no identity's. Node sends `etag` for eTag. */
struct str
import_tag(struct doc item, const struct import_mode *mode)
{
	struct doc v = mode->tag != NULL ? doc_get(item, str_of(mode->tag)) : DOC_NONE;

	if (!doc_defined(v) && mode->tag != NULL && mode->op != OP_TWIN_PATCH)
		v = doc_getc(item, "etag");
	return doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
}

/* ---- what an item may do ---- */

struct str
tag_plain(struct str tag)
{
	while (tag.n > 0 && tag.p[tag.n - 1] == ' ')
		tag.n--;
	if (str_starts(tag, STR("W/")))
		tag = str_sub(tag, 2);
	if (tag.n >= 2 && tag.p[0] == '"' && tag.p[tag.n - 1] == '"')
		tag = (struct str){ tag.p + 1, tag.n - 2 };
	return tag;
}

static enum err
check_tags(const struct row *r, const struct op *op, struct doc item, struct fault *f)
{
	struct op twin = { .if_match = IF_TAG };
	struct doc tag = doc_getc(item, "twinETag");
	struct identity id;
	struct wanted w;
	char etag[32];
	enum err e;

	row_read_identity(r, &id);
	identity_etag(&id, etag);
	if ((e = precondition_check(op, etag, f)) != ERR_OK)
		return e;
	/* an export names the etags that it saw: they are no condition */
	if ((op->import & IMPORT_WHOLE) || doc_kind(tag) != DOC_STRING)
		return ERR_OK;
	row_read_wanted(r, &w);
	wanted_etag(w.counter, etag);
	twin.if_tag = tag_plain(doc_str(tag));
	return str_eq(twin.if_tag, STR("*")) ? ERR_OK : precondition_check(&twin, etag, f);
}

static enum err
check_import(struct shard *sh, struct row *r, const struct op *op, struct doc item, struct fault *f)
{
	bool no_device = op->module.n != 0 && row_find(sh, op->device, STR_NONE) == NULL;
	enum err e;

	if (no_device || (r == NULL && !(op->import & IMPORT_CREATE)))
		return identity_not_found(sh, op, f);
	if ((e = identity_check_owner(sh, op, f)) != ERR_OK || r == NULL)
		return e;
	if (!(op->import & IMPORT_REPLACE))
		return fault_set(f,
		    op->module.n != 0 ? F_ModuleAlreadyExistsOnDevice : F_DeviceAlreadyExists,
		    "Conflict: the %s " STR_FMT " exists", op->module.n != 0 ? "module" : "device",
		    STR_ARG(op->module.n != 0 ? op->module : op->device));
	return check_tags(r, op, item, f);
}

/* The content is version 1 of its section (T-10); a null in it deletes what is not there. */
static enum err
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
	return e;
}

enum err
identity_request_first_sections(const struct op *op, struct doc item, bool desired,
    struct identity_request *q, const struct hub_env *env, struct fault *f)
{
	enum err e = first_section(&q->tags, SECTION_TAGS, doc_getc(item, "tags"), op, env, f);

	if (e != ERR_OK || !desired)
		return e;
	return first_section(&q->desired, SECTION_DESIRED,
	    doc_getc(doc_getc(item, "properties"), "desired"), op, env, f);
}

static void
import_over(struct shard *sh, struct row *r, const struct op *op, struct doc item,
    struct identity_request *q, const struct hub_env *env, struct reply *reply)
{
	struct twin_next next;

	if (twin_prepare(r, op, item, env, &next, &reply->fault) == ERR_OK) {
		identity_update(sh, r, op, q, env, reply);
		if (reply->fault.code == F_NONE)
			twin_apply(sh, r, op, &next, env);
	}
	twin_next_fini(&next);
}

static enum err
check_parts(struct doc item, struct fault *f)
{
	struct doc properties = doc_getc(item, "properties");
	enum doc_kind kind = doc_kind(properties);

	if (!doc_defined(properties) || kind == DOC_OBJECT || kind == DOC_NULL)
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "properties is not an object");
}

/* Whether the edge device is there was asked before, or, for an import, is not asked: it may come later in the file. */
static enum err
check_scope(const struct op *op, struct doc item, struct fault *f)
{
	struct str scope = op->module.n == 0 ? scope_wanted(item) : STR_NONE, device;

	if (scope.n == 0 || (scope.n <= SCOPE_MAX && scope_device(scope, &device)))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "deviceScope is not the scope of an edge device");
}

static enum err
take_import(const struct op *op, struct doc item, bool exists, struct identity_request *q,
    const struct hub_env *env, struct fault *f)
{
	if (check_parts(item, f) != ERR_OK || check_scope(op, item, f) != ERR_OK ||
	    identity_request_take(op, item, q, f) != ERR_OK)
		return ERR_ARG;
	if (op->import & IMPORT_WHOLE)
		identity_request_take_whole(op, item, q, env);
	if (exists)
		return ERR_OK;
	return op->import & IMPORT_WHOLE
	    ? identity_request_restore_twin(op, item, q, env, f)
	    : identity_request_first_sections(op, item, true, q, env, f);
}

void
on_identity_import(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct doc item = doc_of(op->payload);
	struct identity_request q = { 0 };

	if (check_import(sh, r, op, item, &reply->fault) == ERR_OK &&
	    take_import(op, item, r != NULL, &q, env, &reply->fault) == ERR_OK) {
		if (r == NULL)
			identity_create(sh, op, &q, env, reply);
		else if (op->import & IMPORT_WHOLE)
			import_whole_over(sh, r, op, item, &q, env, reply);
		else
			import_over(sh, r, op, item, &q, env, reply);
	}
	identity_request_fini(&q);
}
