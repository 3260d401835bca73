/* What a request says of a method's call (service-rest.md 10): the same in a direct call and in a job. */
#include "hub/hub.h"

static enum err
take_seconds(
    struct doc body, struct str key, int least, int fallback, uint16_t *out, struct fault *f)
{
	struct doc v = doc_get(body, key);

	*out = (uint16_t)fallback;
	if (!doc_defined(v) || doc_kind(v) == DOC_NULL)
		return ERR_OK;
	if (doc_kind(v) != DOC_INT || doc_int(v) < least || doc_int(v) > METHOD_WAIT_MAX_S)
		return fault_set(f, F_ArgumentInvalid, STR_FMT " is not a number from %d to %d",
		    STR_ARG(key), least, METHOD_WAIT_MAX_S);
	*out = (uint16_t)doc_int(v);
	return ERR_OK;
}

static enum err
take_name(struct doc body, struct str *name, struct fault *f)
{
	struct doc v = doc_getc(body, "methodName");

	if (doc_kind(v) != DOC_STRING || doc_str(v).n == 0)
		return fault_set(f, F_ArgumentNull, "the body has no methodName");
	*name = doc_str(v);
	if (method_name_valid(*name))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid,
	    "methodName is not 1 to %d of the characters that method names may have",
	    METHOD_NAME_MAX);
}

/* Absent is no byte at all; null is the four of its text (device-mqtt.md 5). */
static enum err
take_payload(struct doc body, struct buf *json, struct fault *f)
{
	struct doc v = doc_getc(body, "payload");
	size_t from = json->n;

	if (doc_defined(v))
		doc_write_json(json, v);
	if (json->n - from <= METHOD_PAYLOAD_MAX)
		return ERR_OK;
	return fault_set(f, F_MessageTooLarge, "the payload has %zu bytes, the limit is %u",
	    json->n - from, METHOD_PAYLOAD_MAX);
}

enum err
method_ask_take(struct doc body, struct method_ask *ask, struct buf *payload, struct fault *f)
{
	enum err e = take_name(body, &ask->name, f);

	if (e == ERR_OK)
		e = take_seconds(body, STR("responseTimeoutInSeconds"), METHOD_RESPONSE_MIN_S,
		    METHOD_RESPONSE_S, &ask->response_s, f);
	if (e == ERR_OK)
		e = take_seconds(body, STR("connectTimeoutInSeconds"), 0, 0, &ask->connect_s, f);
	return e == ERR_OK ? take_payload(body, payload, f) : e;
}
