/* The identity registry: create, read, update, delete (service-rest.md 6). A twin lives exactly as long as its identity. */
#include "hub/priv.h"

#include <stdio.h>

#define TICKS_OF_1970     INT64_C(621355968000000000) /* .NET ticks of 100 ns since 0001-01-01 */
#define STATUS_REASON_MAX 128
#define KEY_BYTES         32
#define SCOPE_MAX         (ID_MAX + 64)

static void
reply_identity(struct shard *sh, struct row *r, struct reply *reply)
{
	struct identity id;
	bool ok = identity_decode(blob_str(r->records[RECORD_IDENTITY]), &id);

	assert(ok);
	(void)ok;
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

/* ---- what a PUT asks for ---- */

/* Generated keys live here until the record is written. */
struct wish {
	struct identity id;
	struct buf keys[2];
	char scope[SCOPE_MAX];
};

/* A member that is a string; null and absent give the empty one. */
static bool
take_str(struct doc obj, struct str key, struct str *out, struct fault *f)
{
	struct doc v = doc_get(obj, key);

	*out = STR_NONE;
	if (!doc_defined(v) || doc_kind(v) == DOC_NULL)
		return true;
	if (doc_kind(v) != DOC_STRING) {
		fault_set(f, F_ArgumentInvalid, STR_FMT " is not a string", STR_ARG(key));
		return false;
	}
	*out = doc_str(v);
	return true;
}

static bool
take_object(struct doc obj, struct str key, struct doc *out, struct fault *f)
{
	*out = doc_get(obj, key);
	if (!doc_defined(*out) || doc_kind(*out) == DOC_NULL) {
		*out = DOC_NONE;
		return true;
	}
	if (doc_kind(*out) == DOC_OBJECT)
		return true;
	fault_set(f, F_ArgumentInvalid, STR_FMT " is not an object", STR_ARG(key));
	return false;
}

static bool
take_ids(const struct op *op, struct doc body, struct fault *f)
{
	struct str device, module;

	if (!take_str(body, STR("deviceId"), &device, f) ||
	    !take_str(body, STR("moduleId"), &module, f))
		return false;
	if (!str_eq(device, op->device) || (op->module.n != 0 && !str_eq(module, op->module))) {
		fault_set(f, F_ArgumentInvalid, "the id in the body is not the one of the path");
		return false;
	}
	return true;
}

static size_t
characters(struct str s)
{
	const char *p = s.p, *end = s.p + s.n;
	size_t n = 0;

	for (; p < end; n++)
		utf8_next(&p, end);
	return n;
}

static bool
take_status(struct doc body, struct identity *id, struct fault *f)
{
	struct str status;

	if (!take_str(body, STR("status"), &status, f) ||
	    !take_str(body, STR("statusReason"), &id->reason, f))
		return false;
	id->enabled = !str_ieq(status, STR("disabled"));
	if (status.n != 0 && id->enabled && !str_ieq(status, STR("enabled"))) {
		fault_set(f, F_ArgumentInvalid, "status is neither enabled nor disabled");
		return false;
	}
	if (characters(id->reason) > STATUS_REASON_MAX) {
		fault_set(f, F_ArgumentInvalid, "statusReason has %zu characters, the limit is %d",
		    characters(id->reason), STATUS_REASON_MAX);
		return false;
	}
	return true;
}

static bool
take_auth_type(struct doc auth, struct identity *id, struct fault *f)
{
	struct str type;

	if (!take_str(auth, STR("type"), &type, f))
		return false;
	if (type.n == 0) { /* older clients leave it out */
		id->auth =
		    id->thumbs[0].n != 0 || id->thumbs[1].n != 0 ? AUTH_SELF_SIGNED : AUTH_SAS;
		return true;
	}
	for (int t = 0; t < AUTH_TYPES; t++) {
		if (str_ieq(type, auth_type_names[t])) {
			id->auth = (enum auth_type)t;
			return true;
		}
	}
	fault_set(f, F_ArgumentInvalid,
	    "authentication.type is none of sas, selfSigned, certificateAuthority, none");
	return false;
}

static bool
keys_fit(const struct identity *id, struct fault *f)
{
	bool first = id->keys[0].n != 0, second = id->keys[1].n != 0;

	if (first != second) {
		fault_set(f, F_ArgumentInvalid, "both symmetric keys or neither must be given");
		return false;
	}
	for (int i = 0; first && i < 2; i++) {
		if (!key_valid(id->keys[i])) {
			fault_set(f, F_ArgumentInvalid,
			    "symmetricKey.%s is not base64 of %d to %d bytes",
			    i == 0 ? "primaryKey" : "secondaryKey", KEY_BYTES_MIN, KEY_BYTES_MAX);
			return false;
		}
	}
	return true;
}

static bool
thumbs_fit(const struct identity *id, struct fault *f)
{
	for (int i = 0; i < 2; i++) {
		if (id->thumbs[i].n != 0 && !thumbprint_valid(id->thumbs[i])) {
			fault_set(f, F_ArgumentInvalid,
			    "x509Thumbprint.%s is not 40 or 64 hexadecimal digits",
			    i == 0 ? "primaryThumbprint" : "secondaryThumbprint");
			return false;
		}
	}
	if (id->auth == AUTH_SELF_SIGNED && id->thumbs[0].n == 0) {
		fault_set(f, F_ArgumentInvalid,
		    "x509Thumbprint.primaryThumbprint is needed for selfSigned");
		return false;
	}
	return true;
}

/* Which credentials a type has; the others are null (service-rest.md 6.2). */
static bool
take_authentication(struct doc body, struct identity *id, struct fault *f)
{
	struct doc auth, sym, thumb;

	if (!take_object(body, STR("authentication"), &auth, f) ||
	    !take_object(auth, STR("symmetricKey"), &sym, f) ||
	    !take_object(auth, STR("x509Thumbprint"), &thumb, f) ||
	    !take_str(sym, STR("primaryKey"), &id->keys[0], f) ||
	    !take_str(sym, STR("secondaryKey"), &id->keys[1], f) ||
	    !take_str(thumb, STR("primaryThumbprint"), &id->thumbs[0], f) ||
	    !take_str(thumb, STR("secondaryThumbprint"), &id->thumbs[1], f) ||
	    !take_auth_type(auth, id, f))
		return false;
	if ((id->keys[0].n || id->keys[1].n) && (id->thumbs[0].n || id->thumbs[1].n)) {
		fault_set(f, F_ArgumentInvalid, "symmetricKey and x509Thumbprint are both given");
		return false;
	}
	if (!keys_fit(id, f) || !thumbs_fit(id, f))
		return false;
	if (id->auth != AUTH_SAS)
		id->keys[0] = id->keys[1] = STR_NONE;
	if (id->auth != AUTH_SELF_SIGNED)
		id->thumbs[0] = id->thumbs[1] = STR_NONE;
	return true;
}

static bool
take_edge(struct doc body, struct identity *id, struct fault *f)
{
	struct doc capabilities, edge, parents, v = DOC_NONE;
	struct doc_iter it;
	struct str key;

	if (!take_object(body, STR("capabilities"), &capabilities, f) ||
	    !take_str(body, STR("deviceScope"), &id->scope, f))
		return false;
	edge = doc_getc(capabilities, "iotEdge");
	if (doc_defined(edge) && doc_kind(edge) != DOC_TRUE && doc_kind(edge) != DOC_FALSE &&
	    doc_kind(edge) != DOC_NULL) {
		fault_set(f, F_ArgumentInvalid, "capabilities.iotEdge is not a boolean");
		return false;
	}
	id->edge = doc_kind(edge) == DOC_TRUE;
	if (!id->edge)
		return true;
	id->scope = STR_NONE; /* the hub's to give */
	parents = doc_getc(body, "parentScopes");
	it = doc_iter(parents);
	if (doc_next(&it, &key, &v) && doc_kind(v) == DOC_STRING)
		id->parent_scope = doc_str(v);
	return true;
}

static bool
take_body(const struct op *op, struct identity *id, struct fault *f)
{
	struct doc body = doc_of(op->payload);

	*id = (struct identity){ .enabled = true };
	if (doc_kind(body) != DOC_OBJECT) {
		fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
		return false;
	}
	if (!take_ids(op, body, f) || !take_authentication(body, id, f))
		return false;
	if (op->module.n != 0)
		return take_str(body, STR("managedBy"), &id->managed_by, f);
	return take_status(body, id, f) && take_edge(body, id, f);
}

/* ---- edge scopes ---- */

void
on_scope_check(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct identity id;

	(void)sh, (void)env;
	if (r == NULL || !identity_decode(blob_str(r->records[RECORD_IDENTITY]), &id) || !id.edge ||
	    !str_eq(id.scope, op->if_tag))
		fault_set(&reply->fault, F_ArgumentInvalid,
		    "deviceScope is not the scope of an edge device");
}

/* ---- writing it ---- */

static void
make_keys(struct wish *w, const struct hub_env *env)
{
	unsigned char random[KEY_BYTES];

	if (w->id.auth != AUTH_SAS || w->id.keys[0].n != 0)
		return;
	for (int i = 0; i < 2; i++) {
		env->random(env->ctx, random, sizeof(random));
		base64_encode(&w->keys[i], random, sizeof(random));
		w->id.keys[i] = buf_view(&w->keys[i]);
	}
}

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
	uint64_t ticks = (uint64_t)(env->now_us * 10 + TICKS_OF_1970);

	sh->generation = ticks > sh->generation ? ticks : sh->generation + 1;
	return sh->generation;
}

static struct str
make_scope(struct str device, uint64_t generation, char out[SCOPE_MAX])
{
	int n = snprintf(out, SCOPE_MAX, "ms-azure-iot-edge://" STR_FMT "-%llu", STR_ARG(device),
	    (unsigned long long)generation);

	return (struct str){ out, (size_t)n };
}

static void
write_identity(
    struct shard *sh, struct row *r, const struct identity *id, const struct hub_env *env)
{
	struct str bytes;

	env->scratch->n = 0;
	identity_encode(env->scratch, id);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_IDENTITY, &bytes, env);
	r->disabled = !id->enabled;
}

static void
write_first_twin(struct shard *sh, struct row *r, const struct hub_env *env)
{
	struct buf section = { 0 };
	struct str bytes;

	section_new(&section, env->now_us);
	env->scratch->n = 0;
	wanted_encode(env->scratch, 1, buf_view(&section), buf_view(&section), STR_NONE);
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_WANTED, &bytes, env);
	env->scratch->n = 0;
	reported_encode(env->scratch, 0, buf_view(&section));
	bytes = buf_view(env->scratch);
	row_write(sh, r, RECORD_REPORTED, &bytes, env);
	buf_fini(&section);
}

static void
identity_create(struct shard *sh, const struct op *op, struct wish *w, const struct hub_env *env,
    struct reply *reply)
{
	struct row *r;

	if (env->identities_left == 0) {
		fault_set(&reply->fault, F_IotHubQuotaExceeded,
		    "the hub holds as many identities as it may");
		return;
	}
	w->id.generation = make_generation(sh, env);
	if (w->id.edge)
		w->id.scope = make_scope(op->device, w->id.generation, w->scope);
	r = row_create(env->undo, sh, op->device, op->module, env->now_us);
	row_set_cached(sh, r, RECORD_SESSION, &blob_none);
	w->id.row = row_number(sh, r);
	make_etag(&w->id, env);
	write_identity(sh, r, &w->id, env);
	write_first_twin(sh, r, env);
	reply_identity(sh, r, reply);
}

static void
identity_update(struct shard *sh, struct row *r, const struct op *op, struct wish *w,
    const struct hub_env *env, struct reply *reply)
{
	struct blob *before = blob_ref(r->records[RECORD_IDENTITY]); /* `old` borrows from it */
	struct identity old;

	if (identity_decode(blob_str(before), &old)) {
		w->id.row = old.row;
		w->id.generation = old.generation;
		w->id.etag = old.etag;
		w->id.model_id = old.model_id;
		w->id.status_us = w->id.enabled != old.enabled ? env->now_us : old.status_us;
		if (w->id.edge && old.edge)
			w->id.scope = old.scope; /* immutable */
		else if (w->id.edge)
			w->id.scope = make_scope(op->device, old.generation, w->scope);
		make_etag(&w->id, env);
		write_identity(sh, r, &w->id, env);
		if (!w->id.enabled)
			presence_close(r, env); /* D-76 */
		reply_identity(sh, r, reply);
		w->id = (struct identity){ 0 }; /* parts of it were the old record's */
	}
	blob_unref(before);
}

/* Create, replace, or refuse, by what is there and what If-Match says (service-rest.md 5.1). */
static bool
put_allowed(struct row *r, const struct op *op, struct reply *reply)
{
	struct identity id;
	char etag[32];

	if (r == NULL) {
		if (op->if_match == IF_NONE)
			return true;
		reply_not_found(op, reply);
		return false;
	}
	if (op->if_match == IF_NONE) {
		fault_set(&reply->fault,
		    op->module.n ? F_ModuleAlreadyExistsOnDevice : F_DeviceAlreadyExists,
		    "Conflict");
		return false;
	}
	if (!identity_decode(blob_str(r->records[RECORD_IDENTITY]), &id))
		return false;
	identity_etag(&id, etag);
	return precondition_holds(op, etag, reply);
}

void
on_identity_put(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct wish w = { 0 };

	if (take_body(op, &w.id, &reply->fault) && put_allowed(r, op, reply)) {
		make_keys(&w, env);
		if (r == NULL)
			identity_create(sh, op, &w, env, reply);
		else
			identity_update(sh, r, op, &w, env, reply);
	}
	buf_fini(&w.keys[0]);
	buf_fini(&w.keys[1]);
}

void
on_identity_delete(struct shard *sh, struct row *r, const struct op *op, const struct hub_env *env,
    struct reply *reply)
{
	struct identity id;
	char etag[32];

	if (!identity_decode(blob_str(r->records[RECORD_IDENTITY]), &id))
		return;
	identity_etag(&id, etag);
	if (!precondition_holds(op, etag, reply))
		return;
	for (int k = 0; k < RECORD_KINDS; k++)
		env->del(env->ctx, (enum record_kind)k, row_key(r));
	presence_close(r, env); /* behind the writes: it waits for the commit */
	undo_deleted(env->undo, sh, row_number(sh, r), env->now_us);
}
