/* The identity registry: create, read, update, delete (service-rest.md 6). A twin lives exactly as long as its identity. */
#include "hub/priv.h"

#include <stdio.h>

#define EDGE_SCOPE "ms-azure-iot-edge://"

static void
reply_identity(struct shard *sh, struct row *r, struct reply *reply)
{
	struct identity id;

	row_read_identity(r, &id);
	identity_etag(&id, reply->etag);
	identity_write(sh, r, &reply->body);
}

void
on_identity_get(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	(void)op, (void)env;
	reply_identity(sh, r, reply);
}

/* ---- edge scopes ---- */

struct str
scope_wanted(struct doc body)
{
	bool edge = doc_kind(doc_getc(doc_getc(body, "capabilities"), "iotEdge")) == DOC_TRUE;
	struct doc v = doc_getc(body, "deviceScope");
	struct str key;

	if (edge) {
		struct doc_iter it = doc_iter(doc_getc(body, "parentScopes"));

		if (!doc_next(&it, &key, &v))
			return STR_NONE;
	}
	return doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
}

/* ms-azure-iot-edge://{device}-{number} */
bool
scope_device(struct str scope, struct str *device)
{
	if (!str_starts(scope, STR(EDGE_SCOPE)))
		return false;
	*device = str_sub(scope, sizeof(EDGE_SCOPE) - 1);
	while (device->n > 0 && device->p[device->n - 1] != '-')
		device->n--;
	if (device->n < 2)
		return false;
	device->n--;
	return id_valid(*device);
}

void
on_scope_check(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct identity id = { 0 };

	(void)sh, (void)env;
	if (r != NULL)
		row_read_identity(r, &id);
	if (!id.edge || !str_eq(id.scope, op->if_tag))
		fault_set(&reply->fault, F_ArgumentInvalid,
		    "deviceScope is not the scope of an edge device");
}

/* ---- writing it ---- */

/* Another number than before: the etag is opaque and must change. */
static void
make_etag(struct identity *id, const struct hub_env *env)
{
	uint64_t before = id->etag;
	uint32_t n;

	do {
		env->random(env->ctx, &n, sizeof(n));
		id->etag = n & 0x3FFFFFFF;
	} while (id->etag == before || id->etag == 0);
}

/* The time in ticks, or more: what is made anew in the same microsecond is another identity. */
static uint64_t
make_generation(struct shard *sh, const struct hub_env *env)
{
	uint64_t ticks = ticks_of(env->now_us);

	sh->generation = ticks > sh->generation ? ticks : sh->generation + 1;
	return sh->generation;
}

static struct str
make_scope(struct str device, uint64_t generation, char out[SCOPE_MAX])
{
	int n = snprintf(out, SCOPE_MAX, EDGE_SCOPE STR_FMT "-%llu", STR_ARG(device),
	    (unsigned long long)generation);

	return (struct str){ out, (size_t)n };
}

void
identity_store(
    struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env)
{
	struct str bytes;

	env->scratch->n = 0;
	identity_encode(env->scratch, id);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_IDENTITY, &bytes, env);
	if (r->edge != id->edge && (sh->watch & WATCH_EDGE))
		features_changed(sh, r, WATCH_EDGE);
	row_see_identity(sh, r, id);
	links_review(sh, r, id, env);
}

void
twin_write_first(
    struct shard *sh, struct row *r, const struct identity_request *q, const struct hub_env *env)
{
	struct buf section = { 0 };
	struct str bytes;

	section_new(&section, env->now_us);
	env->scratch->n = 0;
	wanted_encode(env->scratch, q->counter != 0 ? q->counter : 1,
	    buf_view(q->tags.n != 0 ? &q->tags : &section),
	    buf_view(q->desired.n != 0 ? &q->desired : &section), STR_NONE, STR_NONE);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	env->scratch->n = 0;
	reported_encode(
	    env->scratch, q->activity_us, buf_view(q->reported.n != 0 ? &q->reported : &section));
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_REPORTED, &bytes, env);
	buf_fini(&section);
}

void
identity_make(struct shard *sh, struct str device, struct str module, struct identity_request *q,
    const struct hub_env *env)
{
	uint32_t nrow = sh->nrow;
	struct row *r = row_create(env->undo, sh, device, module, env->elapsed_us);

	if (q->id.generation == 0 ||
	    (sh->nrow == nrow && features_chose_between(sh, q->id.generation, UINT64_MAX)))
		q->id.generation = make_generation(sh, env);
	if (q->id.edge && q->id.scope.n == 0)
		q->id.scope = make_scope(device, q->id.generation, q->scope);
	if (q->id.auth == AUTH_SAS && q->id.keys[0].n == 0)
		identity_request_make_keys(q, 3, env);
	/* whatever the store has still of a namesake */
	row_set_cached(sh, r, RECORD_SESSION, &blob_none);
	row_set_cached(sh, r, RECORD_QUEUE, &blob_none);
	q->id.row = row_number(sh, r);
	if (q->id.etag == 0)
		make_etag(&q->id, env);
	log_create_begin(sh);
	identity_store(sh, r, &q->id, env);
	r->activity_us = q->activity_us;
	twin_write_first(sh, r, q, env);
	log_create_end(sh, r, env);
	if (q->id.edge)
		modules_make_system(sh, device, env);
}

enum err
hub_check_room(uint32_t n, const struct hub_env *env, struct fault *f)
{
	if (n <= env->identities_left)
		return ERR_OK;
	fault_set(f, F_IotHubQuotaExceeded, "the hub holds as many identities as it may");
	return ERR_FULL;
}

void
identity_create(struct shard *sh, const struct op *op, struct identity_request *q,
    const struct hub_env *env, struct reply *reply)
{
	struct row *device = NULL;
	uint32_t nmodule = q->id.edge ? modules_system_missing(sh, NULL) : 0;

	if (id_is_dots(op->module.n != 0 ? op->module : op->device)) {
		fault_set(&reply->fault, F_ArgumentInvalid,
		    "the id is " STR_FMT ", which paths of URLs leave out",
		    STR_ARG(op->module.n != 0 ? op->module : op->device));
		return;
	}
	if (op->module.n != 0) {
		nmodule = 1;
		device = row_find(sh, op->device, STR_NONE);
	}
	if (hub_check_room(nmodule + (op->module.n == 0), env, &reply->fault) != ERR_OK ||
	    modules_check_room(sh, device, nmodule, &reply->fault) != ERR_OK)
		return;
	identity_make(sh, op->device, op->module, q, env);
	if (op->kind != OP_IDENTITY_IMPORT)
		reply_identity(sh, row_find(sh, op->device, op->module), reply);
}

/* What goes on from the old identity to the new one. */
static void
inherit(const struct identity *old, struct str device, struct identity_request *q,
    const struct hub_env *env)
{
	q->id.row = old->row;
	q->id.generation = old->generation;
	q->id.etag = old->etag;
	q->id.model_id = old->model_id;
	q->id.status_us = q->id.enabled != old->enabled ? env->now_us : old->status_us;
	if (q->id.edge && old->edge)
		q->id.scope = old->scope; /* immutable */
	else if (q->id.edge)
		q->id.scope = make_scope(device, old->generation, q->scope);
	if (q->id.auth == AUTH_SAS && q->id.keys[0].n == 0)
		identity_request_make_keys(q, 3, env);
}

void
identity_update(struct shard *sh, struct row *r, const struct op *op, struct identity_request *q,
    const struct hub_env *env, struct reply *reply)
{
	struct blob *before = blob_ref(r->records[RECORD_IDENTITY]); /* `old` borrows from it */
	uint32_t nmodule = q->id.edge ? modules_system_missing(sh, r) : 0;
	struct identity old;

	if (hub_check_room(nmodule, env, &reply->fault) == ERR_OK &&
	    modules_check_room(sh, r, nmodule, &reply->fault) == ERR_OK) {
		row_read_identity(r, &old);
		inherit(&old, op->device, q, env);
		make_etag(&q->id, env);
		identity_store(sh, r, &q->id, env);
		if (!q->id.enabled) { /* D-76, T-88 */
			presence_close(sh, r, REASON_DISABLED, true, env);
			calls_refuse(sh, r, env);
			modules_close(sh, r, env);
		}
		if (q->id.edge)
			modules_make_system(sh, op->device, env);
		if (op->kind != OP_IDENTITY_IMPORT)
			reply_identity(sh, r, reply);
		q->id = (struct identity){ 0 }; /* parts of it were the old record's */
	}
	blob_unref(before);
}

/* The etag of the identity changes, and no other of its tags and versions (T-11). */
void
on_keys_regenerate(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct blob *before =
	    blob_ref(r->records[RECORD_IDENTITY]); /* the request borrows from it */
	struct identity_request q = { 0 };

	row_read_identity(r, &q.id);
	if (q.id.auth != AUTH_SAS) {
		fault_set(&reply->fault, F_ArgumentInvalid, "%s", reason_text(REASON_KEY_NOT_USED));
	} else {
		identity_request_make_keys(&q, op->keys, env);
		make_etag(&q.id, env);
		identity_store(sh, r, &q.id, env);
		buf_printf(&reply->body,
		    "\"primaryKey\":\"" STR_FMT "\",\"secondaryKey\":\"" STR_FMT "\"",
		    STR_ARG(q.id.keys[0]), STR_ARG(q.id.keys[1]));
	}
	identity_request_fini(&q);
	blob_unref(before);
}

/* Create, replace, or refuse, by what is there and what If-Match says (service-rest.md 5.1). */
static enum err
check_put(struct shard *sh, struct row *r, const struct op *op, struct fault *f)
{
	struct identity id;
	char etag[32];

	if (r == NULL)
		return op->if_match == IF_NONE ? ERR_OK : identity_not_found(sh, op, f);
	if (op->if_match == IF_NONE)
		return fault_set(f,
		    op->module.n ? F_ModuleAlreadyExistsOnDevice : F_DeviceAlreadyExists,
		    "Conflict: the %s " STR_FMT " exists, " IF_MATCH_MISSING,
		    op->module.n ? "module" : "device",
		    STR_ARG(op->module.n ? op->module : op->device));
	row_read_identity(r, &id);
	identity_etag(&id, etag);
	return precondition_check(op, etag, f);
}

void
on_identity_put(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct identity_request q = { 0 };

	if (op->module.n != 0 && row_find(sh, op->device, STR_NONE) == NULL)
		identity_not_found(sh, op, &reply->fault);
	else if (identity_check_owner(sh, op, &reply->fault) == ERR_OK &&
	    identity_request_take_put(op, &q, &reply->fault) == ERR_OK &&
	    check_put(sh, r, op, &reply->fault) == ERR_OK) {
		if (r == NULL)
			identity_create(sh, op, &q, env, reply);
		else
			identity_update(sh, r, op, &q, env, reply);
	}
	identity_request_fini(&q);
}

static void
row_remove(struct shard *sh, struct row *r, const struct hub_env *env)
{
	features_row_leaves(sh, r, env);
	messages_leave(sh, r, env);
	connection_gone(sh, r, env);
	log_deleted(sh, r, env);
	for (int k = 0; k < RECORD_KINDS; k++)
		env->del(env->ctx, sh->index, (enum record_kind)k, row_key(r));
	presence_close(
	    sh, r, REASON_DELETED, true, env); /* behind the writes: it waits for the commit */
	calls_refuse(sh, r, env);
	undo_deleted(env->undo, sh, row_number(sh, r), env->elapsed_us);
}

void
identity_remove(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct row *m;

	while (r->module_n == 0 && (m = module_first(sh, r)) != NULL)
		row_remove(sh, m, env);
	row_remove(sh, r, env);
}

void
on_identity_delete(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct identity id;
	char etag[32];

	if (identity_check_owner(sh, op, &reply->fault) != ERR_OK)
		return;
	row_read_identity(r, &id);
	identity_etag(&id, etag);
	if (precondition_check(op, etag, &reply->fault) == ERR_OK)
		identity_remove(sh, r, env);
}
