/* Events as CloudEvents: see told.h. */
#include "shard/told.h"

#include <inttypes.h>
#include <stdlib.h>

#include "doc/out.h"
#include "event/telemetry.h"
#include "shard/record.h"
#include "shard/told_parts.h"

const struct str told_source_names[TOLD_SOURCES] = {
	[TOLD_MESSAGES] = { "DeviceMessages", 14 },
	[TOLD_TWINS] = { "TwinChangeEvents", 16 },
	[TOLD_LIFE_CYCLE] = { "DeviceLifecycleEvents", 21 },
	[TOLD_CONNECTIONS] = { "DeviceConnectionStateEvents", 27 },
	[TOLD_JOBS] = { "DeviceJobLifecycleEvents", 24 },
	[TOLD_METHODS] = { "MethodEvents", 12 },
	[TOLD_ADMINISTRATION] = { "AdministrationEvents", 20 },
};

struct teller {
	struct str hub;
	struct doc_parser *parser;
	struct buf doc; /* working memory */
};

struct teller *
teller_new(struct str hub)
{
	struct teller *t = xcalloc(1, sizeof(*t) + hub.n);

	memcpy(t + 1, hub.p, hub.n);
	t->hub = (struct str){ (const char *)(t + 1), hub.n };
	t->parser = doc_parser_new(TOLD_JSON_MAX);
	return t;
}

void
teller_free(struct teller *t)
{
	if (t == NULL)
		return;
	doc_parser_free(t->parser);
	buf_fini(&t->doc);
	free(t);
}

static const char *const actor_names[ACTORS] = { "hub", "device", "policy", "job",
	"configuration" };

/* Of a section that the step has changed? A step that has changed nothing but the version is a record, and no event (T-95). */
static bool
has_change(const struct event *e, enum section_kind kind)
{
	struct str patch = e->fields[EVENT_PATCH_TAGS + kind], key;
	struct doc_iter members;
	struct doc value;

	if (patch.n == 0)
		return false;
	members = doc_iter(doc_of(patch));
	return doc_next(&members, &key, &value);
}

static bool
has_changes(const struct event *e)
{
	return has_change(e, SECTION_TAGS) || has_change(e, SECTION_DESIRED) ||
	    has_change(e, SECTION_REPORTED);
}

enum told_source
told_source_of(const struct event *e)
{
	switch (e->kind) {
	case EVENT_MESSAGE:
	case EVENT_WILL: return TOLD_MESSAGES;
	case EVENT_TWIN_CHANGED: return has_changes(e) ? TOLD_TWINS : TOLD_NOBODY;
	case EVENT_TWIN_REPLACED: return TOLD_TWINS;
	case EVENT_CREATED:
	case EVENT_DELETED: return TOLD_LIFE_CYCLE;
	case EVENT_CONNECTED:
	case EVENT_DISCONNECTED: return TOLD_CONNECTIONS;
	case EVENT_JOB_ENDED: return TOLD_JOBS;
	case EVENT_METHOD_CALLED:
	case EVENT_METHOD_ANSWERED: return TOLD_METHODS;
	case EVENT_ADMIN: return told_admin_type(e) != NULL ? TOLD_ADMINISTRATION : TOLD_NOBODY;
	case EVENT_IDENTITY_CHANGED:
	case EVENT_KINDS: break;
	}
	return TOLD_NOBODY;
}

const char *
told_type(const struct event *e)
{
	static const char *const types[EVENT_KINDS] = {
		[EVENT_MESSAGE] = "Microsoft.Devices.DeviceTelemetry",
		[EVENT_WILL] = "Microsoft.Devices.DeviceTelemetry",
		[EVENT_TWIN_CHANGED] = "twinhub.twin.changed",
		[EVENT_TWIN_REPLACED] = "twinhub.twin.replaced",
		[EVENT_CREATED] = "Microsoft.Devices.DeviceCreated",
		[EVENT_DELETED] = "Microsoft.Devices.DeviceDeleted",
		[EVENT_CONNECTED] = "Microsoft.Devices.DeviceConnected",
		[EVENT_DISCONNECTED] = "Microsoft.Devices.DeviceDisconnected",
		[EVENT_JOB_ENDED] = "twinhub.job.ended",
		[EVENT_METHOD_CALLED] = "twinhub.method.called",
		[EVENT_METHOD_ANSWERED] = "twinhub.method.answered",
	};

	if (e->kind == EVENT_ADMIN)
		return told_admin_type(e);
	return told_source_of(e) == TOLD_NOBODY ? NULL : types[e->kind];
}

/* ---- who and what ---- */

static void
put_subject(struct out *o, const struct event *e)
{
	struct buf text = { 0 };

	buf_cstr(&text, "devices/");
	buf_str(&text, e->device);
	if (e->module.n != 0) {
		buf_cstr(&text, "/modules/");
		buf_str(&text, e->module);
	}
	out_str(out_key(o, "subject"), buf_view(&text));
	buf_fini(&text);
}

void
told_actor(struct out *o, const char *name, const struct event *e)
{
	struct buf text = { 0 };

	buf_cstr(&text, actor_names[e->actor]);
	if (e->actor_name.n != 0)
		buf_putc(&text, ':');
	buf_str(&text, e->actor_name);
	out_str(out_key(o, name), buf_view(&text));
	buf_fini(&text);
}

void
told_put_ids(struct out *o, const struct event *e)
{
	out_str(out_key(o, "deviceId"), e->device);
	out_some_str(o, "moduleId", e->module);
}

/* ---- messages ---- */

/* A property's bytes are the client's: what is no UTF-8 is shown as base64. */
static void
put_property(struct out *o, struct str name, struct str value)
{
	struct buf text = { 0 };

	if (!utf8_valid(name))
		return;
	if (utf8_valid(value)) {
		out_str(out_key_str(o, name), value);
		return;
	}
	base64_encode(&text, value.p, value.n);
	out_str(out_key_str(o, name), buf_view(&text));
	buf_fini(&text);
}

/* Its properties of one sort; the payload. */
static struct str
put_properties(struct out *o, struct str body, bool system)
{
	struct telemetry_property p;

	while (telemetry_next(&body, &p))
		if (p.system == system)
			put_property(o, p.name, p.value);
	return body;
}

struct str
told_auth_method(const struct event *e)
{
	static const char *const methods[AUTH_TYPES] = {
		[AUTH_SAS] = "{\"scope\":\"device\",\"type\":\"sas\",\"issuer\":\"iothub\"}",
		[AUTH_SELF_SIGNED] =
		    "{\"scope\":\"device\",\"type\":\"x509\",\"issuer\":\"external\"}",
		[AUTH_CA] =
		    "{\"scope\":\"device\",\"type\":\"x509Certificate\",\"issuer\":\"external\"}",
	};
	uint64_t auth = e->numbers[EVENT_AUTHENTICATION];

	if (!event_is_message(e->kind) || auth >= AUTH_TYPES || methods[auth] == NULL)
		return STR_NONE;
	return str_of(methods[auth]);
}

static void
put_system(struct out *o, const struct event *e)
{
	struct str method = told_auth_method(e);

	put_properties(o, e->fields[EVENT_BODY], true);
	out_str(out_key(o, "iothub-connection-device-id"), e->device);
	out_some_str(o, "iothub-connection-module-id", e->module);
	out_some_str(o, "iothub-connection-auth-method", method);
	out_format(out_key(o, "iothub-connection-auth-generation-id"), "%" PRIu64,
	    e->numbers[EVENT_GENERATION]);
	out_time(out_key(o, "iothub-enqueuedtime"), e->time_us);
	out_cstr(out_key(o, "iothub-message-source"), "Telemetry");
}

/* Is the body said to be JSON in UTF-8, and is it? Then it stands as such; else as base64, as Event Grid has it. */
static bool
said_json(struct str body)
{
	struct telemetry_property p;
	bool json = false, utf8 = true;

	while (telemetry_next(&body, &p)) {
		if (!p.system)
			continue;
		if (str_eq(p.name, STR("content-type")))
			json = str_ieq(p.value, STR("application/json")) ||
			    (p.value.n > 16 &&
			        str_ieq((struct str){ p.value.p, 17 }, STR("application/json;")));
		if (str_eq(p.name, STR("content-encoding")))
			utf8 = str_ieq(p.value, STR("utf-8"));
	}
	return json && utf8;
}

static void
put_payload(struct teller *t, struct out *o, struct str payload, bool json)
{
	struct doc_parsed info;

	t->doc.n = 0;
	if (json && doc_parse(t->parser, payload, &t->doc, &info, NULL) == ERR_OK) {
		out_doc(out_key(o, "body"), doc_of(buf_view(&t->doc)));
		return;
	}
	t->doc.n = 0;
	base64_encode(&t->doc, payload.p, payload.n);
	out_str(out_key(o, "body"), buf_view(&t->doc));
}

static void
put_message(struct teller *t, struct out *o, const struct event *e)
{
	struct str body = e->fields[EVENT_BODY], payload;

	out_open(o);
	out_open(out_key(o, "properties"));
	payload = put_properties(o, body, false);
	out_close(o);
	out_open(out_key(o, "systemProperties"));
	put_system(o, e);
	out_close(o);
	put_payload(t, o, payload, said_json(body));
	out_close(o);
}

/* ---- changes ---- */

/* $metadata of what a change touches: all of it has the time and version of the change. */
static void
put_touched(struct out *o, struct doc patch, int64_t time_us, uint32_t version)
{
	struct doc_iter it = doc_iter(doc_kind(patch) == DOC_OBJECT ? patch : DOC_NONE);
	struct doc value;
	struct str key;

	out_open(o);
	out_time(out_key(o, "$lastUpdated"), time_us);
	if (version != 0)
		out_u64(out_key(o, "$lastUpdatedVersion"), version);
	while (doc_next(&it, &key, &value))
		if (doc_kind(value) != DOC_NULL)
			put_touched(out_key_str(o, key), value, time_us, version);
	out_close(o);
}

static void
put_members(struct out *o, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct doc value;
	struct str key;

	while (doc_next(&it, &key, &value))
		out_doc(out_key_str(o, key), value);
}

static void
put_change(struct out *o, const struct event *e, enum section_kind kind)
{
	struct doc patch = doc_of(e->fields[EVENT_PATCH_TAGS + kind]);
	struct section was = section_of(e->fields[EVENT_WAS_TAGS + kind]);
	uint32_t version = version_after(was.version);

	out_open(o);
	put_members(o, patch);
	if (kind != SECTION_TAGS) {
		put_touched(out_key(o, "$metadata"), patch, e->time_us,
		    kind == SECTION_DESIRED ? version : 0);
		out_u64(out_key(o, "$version"), version);
	}
	out_close(o);
}

/* T-93 */
static void
put_changed(struct teller *t, struct out *o, const struct event *e)
{
	bool desired = has_change(e, SECTION_DESIRED), reported = has_change(e, SECTION_REPORTED);

	(void)t;
	out_open(o);
	out_u64(out_key(o, "version"), e->numbers[EVENT_VERSION]);
	if (has_change(e, SECTION_TAGS))
		put_change(out_key(o, "tags"), e, SECTION_TAGS);
	if (desired || reported)
		out_open(out_key(o, "properties"));
	if (desired)
		put_change(out_key(o, "desired"), e, SECTION_DESIRED);
	if (reported)
		put_change(out_key(o, "reported"), e, SECTION_REPORTED);
	if (desired || reported)
		out_close(o);
	out_close(o);
}

/* ---- whole twins ---- */

static void
put_sections(struct out *o, const struct event *e, bool empty_tags)
{
	struct wanted w;
	struct section reported;
	int64_t activity_us;

	if (!wanted_decode(e->fields[EVENT_WANTED], &w) ||
	    !reported_decode(e->fields[EVENT_REPORTED], &activity_us, &reported))
		return;
	if (empty_tags || !section_empty(&w.tags))
		section_write_tags(out_value(out_key(o, "tags")), &w.tags);
	out_open(out_key(o, "properties"));
	section_write_service(out_value(out_key(o, "desired")), &w.desired, SECTION_DESIRED);
	section_write_service(out_value(out_key(o, "reported")), &reported, SECTION_REPORTED);
	out_close(o);
}

static void
put_etag(struct out *o, const struct event *e)
{
	char etag[32];

	wanted_etag(e->numbers[EVENT_COUNTER], etag);
	out_cstr(out_key(o, "etag"), etag);
}

/* T-94 */
static void
put_replaced(struct teller *t, struct out *o, const struct event *e)
{
	(void)t;
	out_open(o);
	told_put_ids(o, e);
	put_etag(o, e);
	out_u64(out_key(o, "version"), e->numbers[EVENT_VERSION]);
	put_sections(o, e, true);
	out_close(o);
}

/* T-99, T-102 */
static void
put_whole(struct teller *t, struct out *o, const struct event *e)
{
	static const char *const types[AUTH_TYPES] = { [AUTH_SAS] = "sas",
		[AUTH_SELF_SIGNED] = "selfSigned",
		[AUTH_CA] = "certificateAuthority" };
	struct identity id;
	char etag[32];

	(void)t;
	out_open(o);
	told_put_ids(o, e);
	put_etag(o, e);
	if (identity_decode(e->fields[EVENT_IDENTITY], &id)) {
		identity_etag(&id, etag);
		out_cstr(out_key(o, "deviceEtag"), etag);
		out_cstr(out_key(o, "status"), id.enabled ? "enabled" : "disabled");
		out_some_str(o, "statusReason", id.reason);
		out_time(out_key(o, "statusUpdateTime"), id.status_us);
		if (types[id.auth] != NULL)
			out_cstr(out_key(o, "authenticationType"), types[id.auth]);
		out_open(out_key(o, "x509Thumbprint"));
		out_str_or_null(out_key(o, "primaryThumbprint"), id.thumbs[0]);
		out_str_or_null(out_key(o, "secondaryThumbprint"), id.thumbs[1]);
		out_close(o);
	}
	out_cstr(out_key(o, "connectionState"), "Disconnected");
	out_time(out_key(o, "lastActivityTime"), 0);
	out_u64(out_key(o, "cloudToDeviceMessageCount"), 0);
	out_u64(out_key(o, "version"), e->numbers[EVENT_VERSION]);
	put_sections(o, e, false);
	out_close(o);
}

/* T-100 */
static void
put_connection(struct teller *t, struct out *o, const struct event *e)
{
	(void)t;
	out_open(o);
	told_put_connection(o, e);
	out_close(o);
}

/* What is said of it stands in the record. */
static void
put_about(struct teller *t, struct out *o, const struct event *e)
{
	(void)t;
	out_doc(o, doc_of(e->fields[EVENT_ABOUT]));
}

static void
put_body(struct teller *t, struct out *o, const struct event *e)
{
	static void (*const put[EVENT_KINDS])(
	    struct teller *, struct out *, const struct event *) = {
		[EVENT_MESSAGE] = put_message,
		[EVENT_WILL] = put_message,
		[EVENT_TWIN_CHANGED] = put_changed,
		[EVENT_TWIN_REPLACED] = put_replaced,
		[EVENT_CREATED] = put_whole,
		[EVENT_DELETED] = put_whole,
		[EVENT_CONNECTED] = put_connection,
		[EVENT_DISCONNECTED] = put_connection,
		[EVENT_JOB_ENDED] = put_about,
		[EVENT_METHOD_CALLED] = put_about,
		[EVENT_METHOD_ANSWERED] = put_about,
		[EVENT_ADMIN] = put_about,
	};

	assert(e->kind < EVENT_KINDS && put[e->kind] != NULL); /* told_type has one for it */
	put[e->kind](t, o, e);
}

void
told_body(struct teller *t, struct buf *json, const struct event *e)
{
	struct out o = out_to(json);

	put_body(t, &o, e);
}

struct str
teller_hub(const struct teller *t)
{
	return t->hub;
}

/* ---- for conditions ---- */

const char *
told_schema(const struct event *e)
{
	switch (told_source_of(e)) {
	case TOLD_TWINS: return "twinChangeNotification";
	case TOLD_CONNECTIONS: return "deviceConnectionStateNotification";
	case TOLD_JOBS: return "deviceJobLifecycleNotification";
	case TOLD_METHODS: return "methodNotification";
	case TOLD_ADMINISTRATION: return "administrationNotification";
	default: break;
	}
	return e->module.n != 0 ? "moduleLifecycleNotification" : "deviceLifecycleNotification";
}

const char *
told_operation(const struct event *e)
{
	static const char *const names[EVENT_KINDS] = {
		[EVENT_TWIN_CHANGED] = "updateTwin",
		[EVENT_TWIN_REPLACED] = "replaceTwin",
		[EVENT_CREATED] = "createDeviceIdentity",
		[EVENT_DELETED] = "deleteDeviceIdentity",
		[EVENT_CONNECTED] = "deviceConnected",
		[EVENT_DISCONNECTED] = "deviceDisconnected",
		[EVENT_JOB_ENDED] = "jobEnded",
		[EVENT_METHOD_CALLED] = "methodCalled",
		[EVENT_METHOD_ANSWERED] = "methodAnswered",
	};

	if (e->kind == EVENT_ADMIN)
		return told_admin_type(e) + sizeof(TOLD_ADMIN_PREFIX) - 1;
	if (e->module.n != 0 && e->kind == EVENT_CREATED)
		return "createModuleIdentity";
	if (e->module.n != 0 && e->kind == EVENT_DELETED)
		return "deleteModuleIdentity";
	return names[e->kind] != NULL ? names[e->kind] : "";
}

static struct doc
walk(struct doc d, const struct str *path, unsigned nstep)
{
	for (unsigned i = 0; i < nstep && doc_defined(d); i++)
		d = doc_kind(d) == DOC_OBJECT ? doc_get(d, path[i]) : DOC_NONE;
	return d;
}

struct doc
told_twin_get(struct str wanted, struct str reported, const struct str *path, unsigned nstep)
{
	struct wanted w;
	struct section s;
	int64_t activity_us;
	bool properties = nstep > 1 && str_eq(path[0], STR("properties"));

	if (properties && str_eq(path[1], STR("reported"))) {
		if (!record_valid(RECORD_REPORTED, reported) ||
		    !reported_decode(reported, &activity_us, &s))
			return DOC_NONE;
		return walk(s.root, path + 2, nstep - 2);
	}
	if (nstep == 0 || !record_valid(RECORD_WANTED, wanted) || !wanted_decode(wanted, &w))
		return DOC_NONE;
	if (str_eq(path[0], STR("tags")))
		return walk(w.tags.root, path + 1, nstep - 1);
	if (properties && str_eq(path[1], STR("desired")))
		return walk(w.desired.root, path + 2, nstep - 2);
	return DOC_NONE;
}

/* ---- the envelope ---- */

static void
put_envelope(struct out *o, struct str hub, const char *type, int64_t time_us)
{
	struct buf source = { 0 };

	buf_cstr(&source, "/hubs/");
	buf_str(&source, hub);
	out_cstr(out_key(o, "specversion"), "1.0");
	out_cstr(out_key(o, "type"), type);
	out_str(out_key(o, "source"), buf_view(&source));
	out_time(out_key(o, "time"), time_us);
	out_cstr(out_key(o, "datacontenttype"), "application/json");
	buf_fini(&source);
}

/* Event Grid's data where the type is its own: E-24. */
static void
put_data(struct teller *t, struct out *o, const struct event *e)
{
	enum told_source source = told_source_of(e);

	if (source != TOLD_LIFE_CYCLE && source != TOLD_CONNECTIONS) {
		put_body(t, o, e);
		return;
	}
	out_open(o);
	put_body(t,
	    out_key(o, source == TOLD_LIFE_CYCLE ? "twin" : "deviceConnectionStateEventInfo"), e);
	out_str(out_key(o, "hubName"), t->hub);
	told_put_ids(o, e);
	out_close(o);
}

void
told_write(
    struct teller *t, struct buf *json, const struct event *e, uint32_t shard, uint64_t position)
{
	struct out o = out_to(json);

	out_open(&o);
	out_format(out_key(&o, "id"), "%u-%" PRIu64, shard, position);
	put_envelope(&o, t->hub, told_type(e), e->time_us);
	if (e->device.n != 0)
		put_subject(&o, e);
	told_actor(&o, "twinhubactor", e);
	out_some_str(&o, "twinhubcause", e->fields[EVENT_CAUSE]);
	put_data(t, out_key(&o, "data"), e);
	out_close(&o);
}

void
told_write_dropped(
    struct teller *t, struct buf *json, uint64_t missing, unsigned shards, int64_t now_us)
{
	struct out o = out_to(json);

	out_open(&o);
	out_format(out_key(&o, "id"), "dropped-%" PRId64, now_us);
	put_envelope(&o, t->hub, "twinhub.events.dropped", now_us);
	out_open(out_key(&o, "data"));
	out_u64(out_key(&o, "positions"), missing);
	out_u64(out_key(&o, "shards"), shards);
	out_close(&o);
	out_close(&o);
}
