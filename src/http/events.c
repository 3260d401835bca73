/*
 * POST /devices/{id}[/modules/{id}]/messages/events: telemetry over HTTPS (service-rest.md 3.5). One message is the body, its properties
 * are headers; with the batch's Content-Type the body is an array of them. All are in the log, on disk, before the answer.
 */
#include "event/telemetry.h"
#include "http/priv.h"

#define EVENT_BATCH_TYPE "application/vnd.microsoft.iothub.json"
#define APP_PREFIX       "iothub-app-"

/* Names of system properties, without case, and what they are in the log; 0: known, and of no use here. */
static const struct {
	struct str name;
	enum bag_key key;
} system_names[] = {
	{ { "iothub-messageid", 16 }, BAG_MESSAGE_ID },
	{ { "iothub-correlationid", 20 }, BAG_CORRELATION_ID },
	{ { "iothub-userid", 13 }, BAG_USER_ID },
	{ { "iothub-contenttype", 18 }, BAG_CONTENT_TYPE },
	{ { "iothub-contentencoding", 22 }, BAG_CONTENT_ENCODING },
	{ { "iothub-expiry", 13 }, BAG_EXPIRY },
	{ { "iothub-creationtimeutc", 22 }, BAG_CREATED },
	{ { "iothub-interface-id", 19 }, BAG_INTERFACE },
	{ { "dt-subject", 10 }, BAG_SUBJECT },
};
#define NSYSTEM (sizeof(system_names) / sizeof(system_names[0]))

/* The events of a request as they are gathered. */
struct events {
	struct buf *all; /* what OP_EVENTS takes */
	struct buf one;  /* a log record's body */
	size_t size;     /* of payloads and properties */
};

static bool
put_property(struct events *e, struct str name, struct str value)
{
	bool system = false;

	if (name.n > sizeof(APP_PREFIX) - 1 &&
	    str_ieq((struct str){ name.p, sizeof(APP_PREFIX) - 1 }, STR(APP_PREFIX))) {
		name = str_sub(name, sizeof(APP_PREFIX) - 1);
	} else {
		size_t i = 0;

		while (i < NSYSTEM && !str_ieq(name, system_names[i].name))
			i++;
		if (i == NSYSTEM)
			return false;
		system = true;
		name = bag_key_name(system_names[i].key);
	}
	e->size += name.n + value.n;
	(system ? telemetry_put_system : telemetry_put)(&e->one, name, value);
	return true;
}

static void
put_message(struct events *e, struct str payload)
{
	e->size += payload.n;
	telemetry_end(&e->one, payload);
	buf_lstr(e->all, buf_view(&e->one));
	e->one.n = 0;
}

/* ---- one message ---- */

static void
take_single(struct request *r, struct events *e)
{
	for (size_t i = 0; i < r->ask.nheader; i++)
		(void)put_property(
		    e, r->ask.headers[i].name, r->ask.headers[i].value); /* others are HTTP's */
	put_message(e, r->ask.body);
}

/* ---- a batch ---- */

static enum err
take_properties(struct events *e, struct doc properties, uint32_t i, struct fault *f)
{
	struct doc_iter it = doc_iter(properties);
	struct str name;
	struct doc v;

	if (doc_defined(properties) && doc_kind(properties) != DOC_NULL &&
	    doc_kind(properties) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "[%u].properties is not an object", i);
	while (doc_next(&it, &name, &v)) {
		if (doc_kind(v) != DOC_STRING)
			return fault_set(f, F_ArgumentInvalid,
			    "[%u].properties." STR_FMT " is not a string", i, STR_ARG(name));
		if (put_property(e, name, doc_str(v)))
			continue;
		e->size += name.n + doc_str(v).n; /* older clients leave the prefix out */
		telemetry_put(&e->one, name, doc_str(v));
	}
	return ERR_OK;
}

static enum err
take_item(struct events *e, struct doc item, uint32_t i, struct buf *bytes, struct fault *f)
{
	struct doc body = doc_getc(item, "body");
	bool text = doc_kind(doc_getc(item, "base64Encoded")) == DOC_FALSE;

	if (doc_kind(item) != DOC_OBJECT || doc_kind(body) != DOC_STRING)
		return fault_set(f, F_ArgumentInvalid, "[%u].body is not a string", i);
	if (take_properties(e, doc_getc(item, "properties"), i, f) != ERR_OK)
		return ERR_ARG;
	bytes->n = 0;
	if (!text && doc_str(body).n > 0 && !base64_decode(bytes, doc_str(body)))
		return fault_set(f, F_ArgumentInvalid,
		    "[%u].body is not base64 (base64Encoded: false for text)", i);
	put_message(e, text ? doc_str(body) : buf_view(bytes));
	return ERR_OK;
}

static enum err
take_batch(struct request *r, struct events *e, struct fault *f)
{
	struct buf bytes = { 0 };
	struct doc_parsed info;
	struct doc list, item;
	struct doc_iter it;
	struct str key;
	enum err err = ERR_OK;

	if (request_parse(r, &body_events, &info, f) != ERR_OK)
		return ERR_ARG;
	list = doc_of(buf_view(&r->hl->doc));
	if (doc_kind(list) != DOC_ARRAY || doc_count(list) == 0)
		return fault_set(
		    f, F_ArgumentInvalid, "a batch is an array of one message or more");
	if (doc_count(list) > EVENTS_BATCH_MAX)
		return fault_set(f, F_MessageTooLarge, "the batch has %u messages, the limit is %u",
		    doc_count(list), EVENTS_BATCH_MAX);
	request_counts(r, doc_count(list));
	it = doc_iter(list);
	for (uint32_t i = 0; err == ERR_OK && doc_next(&it, &key, &item); i++)
		err = take_item(e, item, i, &bytes, f);
	buf_fini(&bytes);
	return err;
}

/* ---- the request ---- */

static void
done_events(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_empty(r, 204);
	work_free(w);
}

static bool
is_batch(const struct request *r)
{
	struct str type = request_header(r, "Content-Type"), parameters;

	str_cut(type, ';', &type, &parameters);
	while (type.n > 0 && type.p[type.n - 1] == ' ')
		type.n--;
	return str_ieq(type, STR(EVENT_BATCH_TYPE));
}

void
on_events_post(struct request *r)
{
	struct buf all = { 0 };
	struct events e = { .all = &all };
	struct fault f = { 0 };

	if (is_batch(r))
		take_batch(r, &e, &f);
	else
		take_single(r, &e);
	if (f.code == F_NONE && e.size > MQTT_MESSAGE_MAX)
		fault_set(&f, F_MessageTooLarge,
		    "the messages have %zu bytes with their properties, the limit is %u", e.size,
		    MQTT_MESSAGE_MAX);
	if (f.code == F_NONE) {
		struct work *w = request_work(r, OP_EVENTS, all.n, done_events);

		w->op.payload = work_str(w, buf_view(&all));
		request_submit(r, w);
	} else {
		reply_fault(r, &f);
	}
	buf_fini(&all);
	buf_fini(&e.one);
}
