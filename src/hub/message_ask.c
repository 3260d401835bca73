/* What a job says of the message that it sends (docs/spec/jobs-and-configurations.md 15). */
#include "hub/hub.h"

#define LIFE_MAX_S ((int64_t)(MESSAGE_LIFE_MAX_US / 1000000))

/* A text; absent or null: STR_NONE. */
static enum err
take_text(struct doc body, const char *name, struct str *out, struct fault *f)
{
	struct doc v = doc_get(body, str_of(name));

	*out = STR_NONE;
	if (!doc_defined(v) || doc_kind(v) == DOC_NULL)
		return ERR_OK;
	if (doc_kind(v) != DOC_STRING)
		return fault_set(f, F_ArgumentInvalid, "%s is not a text", name);
	*out = doc_str(v);
	return ERR_OK;
}

static enum err
take_terms(struct doc body, struct op_message *m, uint32_t *life_s, struct fault *f)
{
	struct doc life = doc_getc(body, "timeToLiveInSeconds");
	struct str ack;

	*life_s = 0;
	m->ack = ACK_NONE;
	if (take_text(body, "ack", &ack, f) != ERR_OK)
		return ERR_ARG;
	if (ack.n > 0 && !message_ack_parse(ack, &m->ack))
		return fault_set(
		    f, F_ArgumentInvalid, "ack is not none, positive, negative or full");
	if (!doc_defined(life) || doc_kind(life) == DOC_NULL)
		return ERR_OK;
	if (doc_kind(life) != DOC_INT || doc_int(life) < 1 || doc_int(life) > LIFE_MAX_S)
		return fault_set(f, F_ArgumentInvalid,
		    "timeToLiveInSeconds is not a number from 1 to %lld", (long long)LIFE_MAX_S);
	*life_s = (uint32_t)doc_int(life);
	return ERR_OK;
}

/* Properties as they are gathered. */
struct bag {
	struct buf *out;
	size_t size;
	unsigned n;
};

static enum err
put(struct bag *b, enum bag_key key, struct str name, struct str value, struct fault *f)
{
	const struct message_property p = { .key = key, .name = name, .value = value };

	return message_put_property(b->out, &p, &b->size, &b->n, f);
}

static enum err
take_system(struct doc body, struct bag *b, struct fault *f)
{
	static const struct {
		const char *name;
		enum bag_key key;
	} texts[] = { { "messageId", BAG_MESSAGE_ID }, { "correlationId", BAG_CORRELATION_ID },
		{ "userId", BAG_USER_ID }, { "contentType", BAG_CONTENT_TYPE },
		{ "contentEncoding", BAG_CONTENT_ENCODING } };
	struct str value;
	enum err e = ERR_OK;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && e == ERR_OK; i++) {
		e = take_text(body, texts[i].name, &value, f);
		if (e == ERR_OK && value.n > 0)
			e = put(b, texts[i].key, STR_NONE, value, f);
	}
	return e;
}

static enum err
take_properties(struct doc body, struct bag *b, struct fault *f)
{
	struct doc properties = doc_getc(body, "properties"), v;
	struct doc_iter it = doc_iter(properties);
	struct str name;
	enum err e = ERR_OK;

	if (doc_defined(properties) && doc_kind(properties) != DOC_NULL &&
	    doc_kind(properties) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "properties is not an object");
	while (e == ERR_OK && doc_next(&it, &name, &v))
		e = doc_kind(v) == DOC_STRING
		    ? put(b, BAG_CUSTOM, name, doc_str(v), f)
		    : fault_set(f, F_ArgumentInvalid, "properties." STR_FMT " is not a text",
		          STR_ARG(name));
	return e;
}

static enum err
take_body(struct doc body, struct buf *payload, struct fault *f)
{
	bool coded = doc_kind(doc_getc(body, "base64Encoded")) == DOC_TRUE;
	struct str text;

	if (take_text(body, "body", &text, f) != ERR_OK)
		return ERR_ARG;
	if (!coded)
		buf_str(payload, text);
	else if (text.n > 0 && !base64_decode(payload, text))
		return fault_set(f, F_ArgumentInvalid, "body is not base64");
	return ERR_OK;
}

enum err
message_ask_take(
    struct doc body, struct op_message *m, uint32_t *life_s, struct buf *payload, struct fault *f)
{
	struct bag bag = { .out = payload };
	size_t from = payload->n, body_from;
	enum err e = take_terms(body, m, life_s, f);

	if (e == ERR_OK)
		e = take_system(body, &bag, f);
	if (e == ERR_OK)
		e = take_properties(body, &bag, f);
	m->bag_bytes = (uint32_t)(payload->n - from);
	body_from = payload->n;
	if (e == ERR_OK)
		e = take_body(body, payload, f);
	if (e == ERR_OK && payload->n - body_from + bag.size > MESSAGE_SIZE_MAX) {
		fault_set(f, F_MessageTooLarge,
		    "the message has %zu bytes with its properties, the limit is %u",
		    payload->n - body_from + bag.size, MESSAGE_SIZE_MAX);
		e = ERR_SIZE;
	}
	return e;
}
