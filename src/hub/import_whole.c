/*
 * What an import of an export takes more than a bulk call: etags, counters, times, generation, reported. So that a fleet
 * that moves to another hub is there what it was here; and so that a line which is applied twice, because nobody knows
 * whether it was applied once, changes nothing the second time.
 */
#include "hub/priv.h"

#define MODEL_MAX 4096 /* more than a CONNECT can hold */

static struct str
text_of(struct doc item, struct str key)
{
	struct doc v = doc_get(item, key);

	return doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
}

/* Never in the future: what is compared with the time goes on from it. */
static int64_t
time_of(struct doc item, struct str key, const struct hub_env *env)
{
	int64_t us;

	if (!time_parse(text_of(item, key), &us) || us < 0)
		return 0;
	return us < env->now_us ? us : env->now_us;
}

/* base64 of a decimal number (T-17); 0: it is another's kind of tag. */
static uint64_t
etag_of(struct str tag)
{
	struct buf digits = { 0 };
	uint64_t n = 0;

	tag = tag_plain(tag);
	if (tag.n > 16 || !base64_decode(&digits, tag) || !str_u64(buf_view(&digits), &n) ||
	    n > UINT32_MAX)
		n = 0;
	buf_fini(&digits);
	return n;
}

/* base64 of eight bytes (T-16). */
static uint64_t
counter_of(struct str tag)
{
	struct buf bytes = { 0 };
	uint64_t n = 0;

	tag = tag_plain(tag);
	if (tag.n == 12 && base64_decode(&bytes, tag) && bytes.n == 8)
		for (size_t i = 0; i < 8; i++)
			n = n << 8 | (unsigned char)bytes.p[i];
	buf_fini(&bytes);
	return n <= (uint64_t)TWIN_INT_MAX ? n
	                                   : 0; /* version is a sum with it, and a JSON integer */
}

static uint64_t
generation_of(struct doc item, const struct hub_env *env)
{
	uint64_t n;

	if (!str_u64(text_of(item, STR("generationId")), &n) || n > ticks_of(env->now_us))
		return 0;
	return n;
}

/* An edge device's own scope, if it can have been that. */
static struct str
own_scope_of(const struct op *op, struct doc item)
{
	struct str scope = text_of(item, STR("deviceScope")), device;

	if (scope.n < SCOPE_MAX && scope_device(scope, &device) && str_eq(device, op->device))
		return scope;
	return STR_NONE;
}

void
identity_request_take_whole(
    const struct op *op, struct doc item, struct identity_request *q, const struct hub_env *env)
{
	struct str model = text_of(item, STR("modelId"));

	q->id.etag = etag_of(text_of(item, STR("eTag")));
	q->id.generation = generation_of(item, env);
	q->id.status_us = time_of(item, STR("statusUpdatedTime"), env);
	q->id.model_id = model.n <= MODEL_MAX ? model : STR_NONE;
	if (q->id.edge)
		q->id.scope = own_scope_of(op, item);
	q->counter = counter_of(text_of(item, STR("twinETag")));
	q->activity_us = time_of(item, STR("lastActivityTime"), env);
}

/* Does it say of itself when and how often it was written? */
static bool
is_shown(struct doc section)
{
	return doc_defined(doc_getc(section, "$metadata")) ||
	    doc_defined(doc_getc(section, "$version"));
}

enum err
identity_request_restore_twin(const struct op *op, struct doc item, struct identity_request *q,
    const struct hub_env *env, struct fault *f)
{
	struct doc properties = doc_getc(item, "properties"),
	           desired = doc_getc(properties, "desired");
	bool shown = is_shown(desired);
	enum err e = identity_request_first_sections(op, item, !shown, q, env, f);

	if (e == ERR_OK && shown)
		e = section_restore(
		    &q->desired, SECTION_DESIRED, desired, op->nduplicate, env->now_us, f);
	if (e != ERR_OK)
		return e;
	return section_restore(&q->reported, SECTION_REPORTED, doc_getc(properties, "reported"),
	    op->nduplicate, env->now_us, f);
}

/* ---- onto what exists ---- */

/* Nobody has written the twin, and there is nothing to be seen in it: it may as well be the exported one. */
static bool
twin_is_fresh(const struct row *r)
{
	struct section reported;
	struct wanted w;

	row_read_wanted(r, &w);
	row_read_reported(r, &reported);
	return r->presence_us == 0 && w.counter == 1 && w.desired.version == 1 &&
	    reported.version == 1 &&
	    reported_activity(blob_str(r->records[RECORD_REPORTED])) == 0 &&
	    section_empty(&w.tags) && section_empty(&w.desired) && section_empty(&reported);
}

/* Is the identity as the item has it? Its etag and generation are not asked: they are the hub's. */
static bool
identity_is(const struct row *r, const struct identity *old, const struct identity_request *q)
{
	struct identity id = q->id;
	struct buf bytes = { 0 };
	bool same;

	id.row = old->row;
	id.generation = old->generation;
	id.etag = old->etag;
	id.model_id = old->model_id;
	id.status_us = old->status_us;
	if (id.edge && old->edge)
		id.scope = old->scope;
	identity_encode(&bytes, &id);
	same = record_same(buf_view(&bytes), blob_str(r->records[RECORD_IDENTITY]));
	buf_fini(&bytes);
	return same;
}

/* The modules that were made with an edge device a moment ago, for the exported ones. */
static void
system_module_restore(struct shard *sh, struct row *r, const struct identity *old,
    struct identity_request *q, const struct hub_env *env)
{
	q->id.row = old->row;
	if (q->id.generation == 0 || features_chose_between(sh, q->id.generation, old->generation))
		q->id.generation = old->generation;
	if (q->id.etag == 0)
		q->id.etag = old->etag;
	identity_store(sh, r, &q->id, env);
}

static void
identity_over(struct shard *sh, struct row *r, const struct op *op, bool fresh,
    struct identity_request *q, const struct hub_env *env, struct reply *reply)
{
	struct blob *before = blob_ref(r->records[RECORD_IDENTITY]); /* `old` borrows from it */
	struct identity old;

	row_read_identity(r, &old);
	if (q->id.auth == AUTH_SAS && q->id.keys[0].n == 0) { /* an export without keys */
		q->id.keys[0] = old.keys[0];
		q->id.keys[1] = old.keys[1];
	}
	if (!identity_is(r, &old, q)) {
		if (fresh && module_is_system(op->module))
			system_module_restore(sh, r, &old, q, env);
		else
			identity_update(sh, r, op, q, env, reply);
	}
	blob_unref(before);
}

/* The same content, whenever it was written. Nothing is what a new section has. */
static bool
says(const struct buf *next, const struct section *old)
{
	if (next->n == 0)
		return section_empty(old);
	return doc_equal(section_of(buf_view(next)).root, old->root);
}

/* A merge stamps what it names, whatever its value was (T-38): here what has its value already is as the item wants it. */
static void
drop_repeated(struct next_section *next, const struct section *old)
{
	if (next->changed && says(&next->bytes, old))
		next->changed = false;
}

/* The exported twin in the place of a fresh one. Written by hand, without times, it is the same when it says the same. */
static void
twin_restore(struct shard *sh, struct row *r, struct doc item, const struct identity_request *q,
    const struct hub_env *env)
{
	struct doc properties = doc_getc(item, "properties");
	struct section reported;
	struct wanted old;

	row_read_wanted(r, &old);
	row_read_reported(r, &reported);
	if (!is_shown(doc_getc(properties, "desired")) &&
	    !is_shown(doc_getc(properties, "reported")) && q->counter == 0 &&
	    says(&q->tags, &old.tags) && says(&q->desired, &old.desired) &&
	    says(&q->reported, &reported))
		return;
	r->activity_us = q->activity_us;
	twin_write_first(sh, r, q, env);
}

void
import_whole_over(struct shard *sh, struct row *r, const struct op *op, struct doc item,
    struct identity_request *q, const struct hub_env *env, struct reply *reply)
{
	bool fresh = twin_is_fresh(r);
	struct twin_next next;
	enum err e = fresh ? identity_request_restore_twin(op, item, q, env, &reply->fault)
	                   : twin_prepare(r, op, item, env, &next, &reply->fault);

	if (e == ERR_OK) {
		identity_over(sh, r, op, fresh, q, env, reply);
		if (reply->fault.code == F_NONE && fresh) {
			twin_restore(sh, r, item, q, env);
		} else if (reply->fault.code == F_NONE) {
			drop_repeated(&next.tags, &next.old.tags);
			drop_repeated(&next.desired, &next.old.desired);
			twin_apply(sh, r, op, &next, env);
		}
	}
	if (!fresh)
		twin_next_fini(&next);
}
