/* What a PUT of an identity asks for, checked (service-rest.md 6.1, 6.2, 7). */
#include "hub/priv.h"

#define STATUS_REASON_MAX 128
#define KEY_BYTES         32

/* A member that is a string; null and absent give the empty one. */
static enum err
take_str(struct doc obj, struct str key, struct str *out, struct fault *f)
{
	struct doc v = doc_get(obj, key);

	*out = STR_NONE;
	if (!doc_defined(v) || doc_kind(v) == DOC_NULL)
		return ERR_OK;
	if (doc_kind(v) != DOC_STRING)
		return fault_set(f, F_ArgumentInvalid, STR_FMT " is not a string", STR_ARG(key));
	*out = doc_str(v);
	return ERR_OK;
}

static enum err
take_object(struct doc obj, struct str key, struct doc *out, struct fault *f)
{
	*out = doc_get(obj, key);
	if (!doc_defined(*out) || doc_kind(*out) == DOC_NULL) {
		*out = DOC_NONE;
		return ERR_OK;
	}
	if (doc_kind(*out) == DOC_OBJECT)
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, STR_FMT " is not an object", STR_ARG(key));
}

static enum err
take_ids(const struct op *op, struct doc body, struct fault *f)
{
	struct str device, module;

	if (take_str(body, STR("deviceId"), &device, f) != ERR_OK ||
	    take_str(body, STR("moduleId"), &module, f) != ERR_OK)
		return ERR_ARG;
	if (!str_eq(device, op->device) || (op->module.n != 0 && !str_eq(module, op->module)))
		return fault_set(
		    f, F_ArgumentInvalid, "the id in the body is not the one of the path");
	return ERR_OK;
}

static size_t
characters(struct str s)
{
	const char *p = s.p, *end = str_end(s);
	size_t n = 0;

	for (; p < end; n++)
		utf8_next(&p, end);
	return n;
}

static enum err
take_status(struct doc body, struct identity *id, struct fault *f)
{
	struct str status;

	if (take_str(body, STR("status"), &status, f) != ERR_OK ||
	    take_str(body, STR("statusReason"), &id->reason, f) != ERR_OK)
		return ERR_ARG;
	id->enabled = !str_ieq(status, STR("disabled"));
	if (status.n != 0 && id->enabled && !str_ieq(status, STR("enabled")))
		return fault_set(f, F_ArgumentInvalid, "status is neither enabled nor disabled");
	if (characters(id->reason) > STATUS_REASON_MAX)
		return fault_set(f, F_ArgumentInvalid,
		    "statusReason has %zu characters, the limit is %d", characters(id->reason),
		    STATUS_REASON_MAX);
	return ERR_OK;
}

static enum err
take_auth_type(struct doc auth, struct identity *id, struct fault *f)
{
	struct str type;

	if (take_str(auth, STR("type"), &type, f) != ERR_OK)
		return ERR_ARG;
	if (type.n == 0) { /* older clients leave it out */
		id->auth =
		    id->thumbs[0].n != 0 || id->thumbs[1].n != 0 ? AUTH_SELF_SIGNED : AUTH_SAS;
		return ERR_OK;
	}
	for (int t = 0; t < AUTH_TYPES; t++) {
		if (str_ieq(type, auth_type_names[t])) {
			id->auth = (enum auth_type)t;
			return ERR_OK;
		}
	}
	return fault_set(f, F_ArgumentInvalid,
	    "authentication.type is none of sas, selfSigned, certificateAuthority, none");
}

static enum err
check_keys(const struct identity *id, struct fault *f)
{
	bool first = id->keys[0].n != 0, second = id->keys[1].n != 0;

	if (first != second)
		return fault_set(
		    f, F_ArgumentInvalid, "both symmetric keys or neither must be given");
	for (int i = 0; first && i < 2; i++) {
		if (!key_valid(id->keys[i]))
			return fault_set(f, F_ArgumentInvalid,
			    "symmetricKey.%s is not base64 of %d to %d bytes",
			    i == 0 ? "primaryKey" : "secondaryKey", KEY_BYTES_MIN, KEY_BYTES_MAX);
	}
	return ERR_OK;
}

static enum err
check_thumbs(const struct identity *id, struct fault *f)
{
	for (int i = 0; i < 2; i++) {
		if (id->thumbs[i].n != 0 && !thumbprint_valid(id->thumbs[i]))
			return fault_set(f, F_ArgumentInvalid,
			    "x509Thumbprint.%s is not 40 or 64 hexadecimal digits",
			    i == 0 ? "primaryThumbprint" : "secondaryThumbprint");
	}
	if (id->auth == AUTH_SELF_SIGNED && id->thumbs[0].n == 0)
		return fault_set(f, F_ArgumentInvalid,
		    "x509Thumbprint.primaryThumbprint is needed for selfSigned");
	return ERR_OK;
}

/* Which credentials a type has; the others are null (service-rest.md 6.2). */
static enum err
take_authentication(struct doc body, struct identity *id, struct fault *f)
{
	struct doc auth, sym, thumb;

	if (take_object(body, STR("authentication"), &auth, f) != ERR_OK ||
	    take_object(auth, STR("symmetricKey"), &sym, f) != ERR_OK ||
	    take_object(auth, STR("x509Thumbprint"), &thumb, f) != ERR_OK ||
	    take_str(sym, STR("primaryKey"), &id->keys[0], f) != ERR_OK ||
	    take_str(sym, STR("secondaryKey"), &id->keys[1], f) != ERR_OK ||
	    take_str(thumb, STR("primaryThumbprint"), &id->thumbs[0], f) != ERR_OK ||
	    take_str(thumb, STR("secondaryThumbprint"), &id->thumbs[1], f) != ERR_OK ||
	    take_auth_type(auth, id, f) != ERR_OK)
		return ERR_ARG;
	if ((id->keys[0].n || id->keys[1].n) && (id->thumbs[0].n || id->thumbs[1].n))
		return fault_set(
		    f, F_ArgumentInvalid, "symmetricKey and x509Thumbprint are both given");
	if (check_keys(id, f) != ERR_OK || check_thumbs(id, f) != ERR_OK)
		return ERR_ARG;
	if (id->auth != AUTH_SAS)
		id->keys[0] = id->keys[1] = STR_NONE;
	if (id->auth != AUTH_SELF_SIGNED)
		id->thumbs[0] = id->thumbs[1] = STR_NONE;
	return ERR_OK;
}

static enum err
take_edge(struct doc body, struct identity *id, struct fault *f)
{
	struct doc capabilities, edge, parents, v = DOC_NONE;
	struct doc_iter it;
	struct str key;

	if (take_object(body, STR("capabilities"), &capabilities, f) != ERR_OK ||
	    take_str(body, STR("deviceScope"), &id->scope, f) != ERR_OK)
		return ERR_ARG;
	edge = doc_getc(capabilities, "iotEdge");
	if (doc_defined(edge) && doc_kind(edge) != DOC_TRUE && doc_kind(edge) != DOC_FALSE &&
	    doc_kind(edge) != DOC_NULL)
		return fault_set(f, F_ArgumentInvalid, "capabilities.iotEdge is not a boolean");
	id->edge = doc_kind(edge) == DOC_TRUE;
	if (!id->edge)
		return ERR_OK;
	id->scope = STR_NONE; /* the hub's to give */
	parents = doc_getc(body, "parentScopes");
	it = doc_iter(parents);
	if (doc_next(&it, &key, &v) && doc_kind(v) == DOC_STRING)
		id->parent_scope = doc_str(v);
	return ERR_OK;
}

enum err
identity_request_take(
    const struct op *op, struct doc body, struct identity_request *q, struct fault *f)
{
	*q = (struct identity_request){ .id.enabled = true };
	if (take_authentication(body, &q->id, f) != ERR_OK)
		return ERR_ARG;
	if (op->module.n != 0)
		return take_str(body, STR("managedBy"), &q->id.managed_by, f);
	if (take_status(body, &q->id, f) != ERR_OK)
		return ERR_ARG;
	return take_edge(body, &q->id, f);
}

enum err
identity_request_take_put(const struct op *op, struct identity_request *q, struct fault *f)
{
	struct doc body = doc_of(op->payload);

	*q = (struct identity_request){ 0 };
	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	if (take_ids(op, body, f) != ERR_OK)
		return ERR_ARG;
	return identity_request_take(op, body, q, f);
}

void
identity_request_make_keys(struct identity_request *q, unsigned which, const struct hub_env *env)
{
	unsigned char random[KEY_BYTES];

	for (int i = 0; i < 2; i++) {
		if (!(which & 1u << i))
			continue;
		env->random(env->ctx, random, sizeof(random));
		q->keys[i].n = 0;
		base64_encode(&q->keys[i], random, sizeof(random));
		q->id.keys[i] = buf_view(&q->keys[i]);
	}
}

void
identity_request_fini(struct identity_request *q)
{
	buf_fini(&q->keys[0]);
	buf_fini(&q->keys[1]);
	buf_fini(&q->tags);
	buf_fini(&q->desired);
	buf_fini(&q->reported);
}
