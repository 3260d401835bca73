/*
 * Which events go to a sink: some enabled route of their source leads to it, and its condition is true of them (E-33).
 *
 * A condition looks at the event as it is told (E-23), which is read once however many ask, and only if some condition needs more than the
 * constant true.
 */
#include "deliver/priv.h"
#include "shard/told.h"

#define EVENT_BYTES_MAX (4u << 20)
#define PROPERTIES_MAX  1024u

void
judge_init(struct judge *j)
{
	j->ps = doc_parser_new(EVENT_BYTES_MAX);
}

void
judge_fini(struct judge *j)
{
	doc_parser_free(j->ps);
	buf_fini(&j->doc);
}

/* The event's member data. */
static struct doc
data_of(struct judge *j, const struct feed_event *e)
{
	struct doc_parsed info;

	if (j->position == 0 || j->shard != e->shard || j->position != e->position) {
		j->doc.n = 0;
		j->shard = e->shard;
		j->position = e->position;
		(void)doc_parse(j->ps, e->json, &j->doc, &info, NULL);
	}
	return j->doc.n > 0 ? doc_getc(doc_of(buf_view(&j->doc)), "data") : DOC_NONE;
}

uint64_t
judge_gap(struct judge *j, const struct feed_event *e)
{
	struct doc v = doc_getc(data_of(j, e), "positions");

	j->position = 0; /* a gap has none */
	return doc_kind(v) == DOC_INT && doc_int(v) > 0 ? (uint64_t)doc_int(v) : 1;
}

/* ---- what a condition sees ---- */

struct view {
	struct doc data;
	bool is_message;
	uint32_t napplication, nsystem;
	struct route_property application[PROPERTIES_MAX], system[PROPERTIES_MAX];
};

/* Of a message: JSON, or base64 of what is none (E-24), which no path leads into. */
static struct doc
view_body(void *ctx)
{
	const struct view *v = ctx;
	struct doc body = v->is_message ? doc_getc(v->data, "body") : v->data;

	return v->is_message && doc_kind(body) == DOC_STRING ? DOC_NONE : body;
}

/* As Q-66 names them. */
static struct str
system_name(struct str name)
{
	static const struct {
		const char *told, *named;
	} names[] = { { "content-type", "contentType" }, { "content-encoding", "contentEncoding" },
		{ "correlation-id", "correlationId" }, { "message-id", "messageId" },
		{ "user-id", "userId" }, { "iothub-connection-device-id", "connectionDeviceId" },
		{ "iothub-connection-module-id", "connectionModuleId" },
		{ "iothub-connection-auth-generation-id", "connectionDeviceGenerationId" },
		{ "iothub-connection-auth-method", "connectionAuthMethod" },
		{ "iothub-enqueuedtime", "enqueuedTime" }, { "iothub-ack", "ack" } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_eq(name, str_of(names[i].told)))
			return str_of(names[i].named);
	return name;
}

static void
take_properties(struct view *v, struct doc properties, bool system)
{
	struct doc_iter it = doc_iter(properties);
	struct str name;
	struct doc value;

	while (doc_next(&it, &name, &value)) {
		struct route_property p = { system ? system_name(name) : name, doc_text(value),
			false };

		if (system && v->nsystem < PROPERTIES_MAX)
			v->system[v->nsystem++] = p;
		else if (!system && v->napplication < PROPERTIES_MAX)
			v->application[v->napplication++] = p;
	}
}

static struct str
operation_of(const struct event *e)
{
	bool module = e->module.n > 0;

	switch (e->kind) {
	case EVENT_TWIN_CHANGED: return STR("updateTwin");
	case EVENT_TWIN_REPLACED: return STR("replaceTwin");
	case EVENT_CREATED:
		return module ? STR("createModuleIdentity") : STR("createDeviceIdentity");
	case EVENT_DELETED:
		return module ? STR("deleteModuleIdentity") : STR("deleteDeviceIdentity");
	default: return STR_NONE;
	}
}

/* Of an event that is no message (T-93 to T-99). */
static void
take_names(struct view *v, const struct event *e)
{
	const struct route_property all[] = { { STR("opType"), operation_of(e), false },
		{ STR("deviceId"), e->device, false }, { STR("moduleId"), e->module, false } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].value.n > 0)
			v->application[v->napplication++] = all[i];
}

static void
view_make(struct view *v, struct judge *j, const struct feed_event *e, enum route_source source)
{
	v->data = data_of(j, e);
	v->is_message = source == ROUTE_MESSAGES;
	v->napplication = v->nsystem = 0;
	if (v->is_message) {
		take_properties(v, doc_getc(v->data, "properties"), false);
		take_properties(v, doc_getc(v->data, "systemProperties"), true);
	} else {
		take_names(v, e->e);
	}
}

/* ---- the routes ---- */

static bool
needs_nothing(const struct condition *c)
{
	const struct route_needs *n = route_condition_needs(c);

	return !n->properties && !n->system && !n->body && !n->twin;
}

static bool
condition_takes(
    struct judge *j, const struct route_def *r, const struct feed_event *e, struct view **view)
{
	struct route_message m = { .source = r->source, .body = view_body };

	if (needs_nothing(r->compiled))
		return route_condition_matches(r->compiled, &m);
	if (*view == NULL) {
		*view = xmalloc(sizeof(**view));
		view_make(*view, j, e, r->source);
	}
	m.ctx = *view;
	m.properties = (*view)->application;
	m.nproperty = (*view)->napplication;
	m.system = (*view)->system;
	m.nsystem = (*view)->nsystem;
	return route_condition_matches(r->compiled, &m);
}

bool
judge_takes(struct judge *j, const struct routing *set, struct str sink, const struct feed_event *e)
{
	static const enum route_source sources[TOLD_SOURCES] = { [TOLD_MESSAGES] = ROUTE_MESSAGES,
		[TOLD_TWINS] = ROUTE_TWIN_CHANGES,
		[TOLD_LIFE_CYCLE] = ROUTE_LIFECYCLE,
		[TOLD_CONNECTIONS] = ROUTE_CONNECTION };
	enum told_source told = told_source_of(e->e);
	struct view *view = NULL;
	bool takes = false;

	if (told >= TOLD_SOURCES)
		return false;
	for (uint32_t i = 0; i < set->nroute && !takes; i++) {
		const struct route_def *r = set->routes[i];

		if (r->enabled && r->source == sources[told] && r->compiled != NULL &&
		    str_eq(r->endpoint, sink))
			takes = condition_takes(j, r, e, &view);
	}
	free(view);
	return takes;
}
