/* An event as routing conditions see it (query-language.md 8; twins.md 8.1). */
#include "feed/priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "event/telemetry.h"

/* As stored, and as conditions name them. */
static const struct {
	struct str stored, named;
} system_names[] = {
	{ { "message-id", 10 }, { "messageId", 9 } },
	{ { "correlation-id", 14 }, { "correlationId", 13 } },
	{ { "user-id", 7 }, { "userId", 6 } },
	{ { "to", 2 }, { "to", 2 } },
	{ { "content-type", 12 }, { "contentType", 11 } },
	{ { "content-encoding", 16 }, { "contentEncoding", 15 } },
	{ { "dt-subject", 10 }, { "dt-subject", 10 } },
	{ { "iothub-interface-id", 19 }, { "dt-dataschema", 13 } },
};
#define NSYSTEM (sizeof(system_names) / sizeof(system_names[0]))

struct judge {
	struct teller *teller;
	struct doc_parser *parser;
	struct store *store;
	struct route_property *v[2]; /* the application's, the system's */
	uint32_t n[2], room[2];
	struct buf text, body, key, wanted, reported;
	struct str payload, type, encoding;
	const struct event *e;
	uint32_t shard;
	char generation[24];
	bool has_properties, has_body, has_twin;
};

struct judge *
judge_new(struct store *store, struct teller *teller)
{
	struct judge *j = xcalloc(1, sizeof(*j));

	j->store = store;
	j->teller = teller;
	j->parser = doc_parser_new(TOLD_JSON_MAX);
	return j;
}

void
judge_free(struct judge *j)
{
	if (j == NULL)
		return;
	doc_parser_free(j->parser);
	free(j->v[0]);
	free(j->v[1]);
	buf_fini(&j->text);
	buf_fini(&j->body);
	buf_fini(&j->key);
	buf_fini(&j->wanted);
	buf_fini(&j->reported);
	free(j);
}

/* ---- properties ---- */

static void
put(struct judge *j, bool system, struct str name, struct str value)
{
	if (j->n[system] == j->room[system]) {
		j->room[system] = j->room[system] ? 2 * j->room[system] : 16;
		j->v[system] = xrealloc(j->v[system], j->room[system] * sizeof(*j->v[0]));
	}
	j->v[system][j->n[system]++] = (struct route_property){ .name = name, .value = value };
}

static void
put_system(struct judge *j, struct str stored, struct str value)
{
	if (str_eq(stored, STR("content-type")))
		j->type = value;
	if (str_eq(stored, STR("content-encoding")))
		j->encoding = value;
	for (size_t i = 0; i < NSYSTEM; i++)
		if (str_eq(stored, system_names[i].stored))
			put(j, true, system_names[i].named, value);
}

static void
take_message(struct judge *j)
{
	struct str rest = j->e->fields[EVENT_BODY];
	struct telemetry_property p;

	while (telemetry_next(&rest, &p))
		if (p.system)
			put_system(j, p.name, p.value);
		else
			put(j, false, p.name, p.value);
	j->payload = rest;
}

static struct str
time_text(struct judge *j, int64_t us)
{
	char text[TIME_TEXT_MAX];
	size_t n = time_format(us, text);

	j->text.n = 0;
	buf_put(&j->text, text, n);
	return buf_view(&j->text);
}

/* The envelope of an event that is the hub's own (twins.md 8.1). */
static void
take_notice(struct judge *j)
{
	const struct event *e = j->e;

	put(j, false, STR("hubName"), teller_hub(j->teller));
	if (e->device.n != 0)
		put(j, false, STR("deviceId"), e->device);
	if (e->module.n != 0)
		put(j, false, STR("moduleId"), e->module);
	put(j, false, STR("operationTimestamp"), buf_view(&j->text));
	put(j, false, STR("iothub-message-schema"), str_of(told_schema(e)));
	put(j, false, STR("opType"), str_of(told_operation(e)));
	put_system(j, STR("content-type"), STR("application/json"));
	put_system(j, STR("content-encoding"), STR("utf-8"));
}

static void
take_properties(struct judge *j)
{
	struct str method = told_auth_method(j->e);

	if (j->has_properties)
		return;
	j->has_properties = true;
	put(j, true, STR("enqueuedTime"), time_text(j, j->e->time_us));
	if (j->e->device.n != 0)
		put(j, true, STR("connectionDeviceId"), j->e->device);
	if (j->e->module.n != 0)
		put(j, true, STR("connectionModuleId"), j->e->module);
	if (method.n != 0)
		put(j, true, STR("connectionAuthMethod"), method);
	if (event_is_message(j->e->kind)) {
		snprintf(j->generation, sizeof(j->generation), "%" PRIu64,
		    j->e->numbers[EVENT_GENERATION]);
		put(j, true, STR("connectionDeviceGenerationId"), str_of(j->generation));
		take_message(j);
	} else {
		take_notice(j);
	}
}

/* ---- body and twin: made when a condition asks ---- */

static struct doc
body_of(void *ctx)
{
	struct judge *j = ctx;
	struct buf json = { 0 };
	struct doc_parsed info;

	if (!j->has_body) {
		j->has_body = true;
		j->body.n = 0;
		if (event_is_message(j->e->kind)) {
			route_body_parse(j->parser, j->type, j->encoding, j->payload, &j->body);
		} else {
			told_body(j->teller, &json, j->e);
			(void)doc_parse(j->parser, buf_view(&json), &j->body, &info, NULL);
			buf_fini(&json);
		}
	}
	return j->body.n != 0 ? doc_of(buf_view(&j->body)) : DOC_NONE;
}

/* The stored one, of now. */
static struct doc
twin_of(void *ctx, const struct str *path, unsigned nstep, struct arena *a)
{
	struct judge *j = ctx;

	(void)a;
	if (!j->has_twin) {
		j->has_twin = true;
		j->key.n = j->wanted.n = j->reported.n = 0;
		hub_key(&j->key, j->shard, j->e->device, j->e->module);
		(void)store_get(j->store, STORE_WANTED, buf_view(&j->key), &j->wanted);
		(void)store_get(j->store, STORE_REPORTED, buf_view(&j->key), &j->reported);
	}
	return told_twin_get(buf_view(&j->wanted), buf_view(&j->reported), path, nstep);
}

void
judge_look(struct judge *j, const struct event *e, uint32_t shard)
{
	j->e = e;
	j->shard = shard;
	j->n[0] = j->n[1] = 0;
	j->has_properties = j->has_body = j->has_twin = false;
	j->payload = j->type = j->encoding = STR_NONE;
}

enum route_source
feed_route_source(enum told_source source)
{
	switch (
	    source) { /* without default: a new one is missed by the compiler, and not taken for a message */
	case TOLD_MESSAGES: return ROUTE_MESSAGES;
	case TOLD_TWINS: return ROUTE_TWIN_CHANGES;
	case TOLD_LIFE_CYCLE: return ROUTE_LIFECYCLE;
	case TOLD_CONNECTIONS: return ROUTE_CONNECTION;
	case TOLD_JOBS: return ROUTE_JOBS;
	case TOLD_METHODS: return ROUTE_METHODS;
	case TOLD_ADMINISTRATION: return ROUTE_ADMINISTRATION;
	case TOLD_NOBODY: break;
	}
	return ROUTE_SOURCES;
}

bool
judge_matches(struct judge *j, const struct condition *c)
{
	const struct route_needs *needs = route_condition_needs(c);
	struct route_message m = { .source = feed_route_source(told_source_of(j->e)),
		.ctx = j,
		.body = body_of,
		.twin = twin_of };

	if (needs->properties || needs->system || needs->body)
		take_properties(j); /* they say what the body is */
	m.properties = j->v[0];
	m.nproperty = j->n[0];
	m.system = j->v[1];
	m.nsystem = j->n[1];
	return route_condition_matches(c, &m);
}
