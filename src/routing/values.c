/*
 * Sinks and routes as values: the stored form, and what the API shows.
 *
 *   sink    format | counter | created | updated | from (varints) | body (a doc, to the end)
 *   route   format | counter | created | updated | 0 | source | enabled | condition, endpoint (each with its length)
 */
#include "routing/priv.h"

const char *const event_source_names[ROUTE_SOURCES] = { [ROUTE_MESSAGES] = "DeviceMessages",
	[ROUTE_TWIN_CHANGES] = "TwinChangeEvents",
	[ROUTE_LIFECYCLE] = "DeviceLifecycleEvents",
	[ROUTE_CONNECTION] = "DeviceConnectionStateEvents",
	[ROUTE_JOBS] = "DeviceJobLifecycleEvents",
	[ROUTE_METHODS] = "MethodEvents",
	[ROUTE_ADMINISTRATION] = "AdministrationEvents" };

bool
event_source_find(struct str name, enum route_source *out)
{
	for (int s = 0; s < ROUTE_SOURCES; s++) {
		if (event_source_names[s] == NULL || !str_ieq(name, str_of(event_source_names[s])))
			continue;
		*out = (enum route_source)s;
		return true;
	}
	return false;
}

/* ---- what both have ---- */

void
record_head_put(struct buf *out, const struct record_head *h)
{
	buf_putc(out, ROUTING_FORMAT);
	buf_varint(out, h->counter);
	buf_varint(out, (uint64_t)h->created_us);
	buf_varint(out, (uint64_t)h->updated_us);
	buf_varint(out, (uint64_t)h->from_us);
}

bool
record_head_take(struct rd *rd, struct record_head *h)
{
	unsigned format = rd_u8(rd);

	h->counter = rd_varint(rd);
	h->created_us = (int64_t)rd_varint(rd);
	h->updated_us = (int64_t)rd_varint(rd);
	h->from_us = (int64_t)rd_varint(rd);
	return format == ROUTING_FORMAT && !rd->bad;
}

void
record_head_step(struct record_head *h, int64_t now_us)
{
	if (h->counter++ == 0)
		h->created_us = now_us;
	h->updated_us = now_us;
}

bool
routing_id_good(struct str id)
{
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		        char_among(c, "-._")))
			return false;
	}
	return id.n > 0 && id.n <= ROUTING_ID_MAX && !id_is_dots(id);
}

enum err
routing_id_check(struct str id, struct fault *f)
{
	if (routing_id_good(id))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid,
	    "the id is not 1 to %u characters A-Z a-z 0-9 - . _, or it is . or ..", ROUTING_ID_MAX);
}

static void
show_head(struct out *o, uint64_t counter, int64_t created_us, int64_t updated_us)
{
	char etag[32];

	if (counter == 0)
		return; /* nobody has written it */
	decimal_etag(counter, etag);
	out_cstr(out_key(o, "etag"), etag);
	out_time(out_key(o, "createdTime"), created_us);
	out_time(out_key(o, "lastUpdatedTime"), updated_us);
}

/* ---- sinks ---- */

/* Where a new one begins: a time, 0 for the earliest. */
static enum err
from_of(struct doc body, int64_t now_us, int64_t *out, struct fault *f)
{
	struct doc v = doc_getc(body, "from");
	struct str s = doc_text(v);

	*out = now_us;
	if (!doc_defined(v) || doc_kind(v) == DOC_NULL || str_ieq(s, STR("now")))
		return ERR_OK;
	if (str_ieq(s, STR("earliest"))) {
		*out = 0;
		return ERR_OK;
	}
	if (time_parse(s, out))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "from is not now, earliest or a time");
}

enum err
sink_encode(
    struct buf *out, struct doc body, const struct sink_def *old, int64_t now_us, struct fault *f)
{
	struct record_head h = { 0 };
	enum sink_type type;

	if (old != NULL)
		h = (struct record_head){ old->counter, old->created_us, old->updated_us,
			old->from_us };
	else if (from_of(body, now_us, &h.from_us, f) != ERR_OK)
		return ERR_ARG;
	record_head_step(&h, now_us);
	record_head_put(out, &h);
	if (sink_body_put(out, body, old, &type, f) != ERR_OK)
		return ERR_ARG;
	if (out->n > ROUTING_SIZE_MAX)
		return fault_set(f, F_ArgumentInvalid, "the sink has %zu bytes, the limit is %u",
		    out->n, ROUTING_SIZE_MAX);
	return ERR_OK;
}

static bool
sink_decode(struct sink_def *d)
{
	struct rd rd = rd_of(d->record);
	struct record_head h;
	struct str kind, body;

	if (!record_head_take(&rd, &h))
		return false;
	body = rd_bytes(&rd, (size_t)(rd.end - rd.p));
	if (!doc_valid(body, 0, 4))
		return false;
	d->counter = h.counter;
	d->created_us = h.created_us;
	d->updated_us = h.updated_us;
	d->from_us = h.from_us;
	d->body = doc_of(body);
	kind = sink_text(d, "kind");
	for (d->type = TO_WEBHOOK; d->type < SINK_TYPES; d->type++)
		if (str_eq(kind, str_of(sink_type_names[d->type])))
			break;
	return d->type < SINK_TYPES && sink_body_whole(d->body, d->type);
}

enum err
sink_def_new(struct str id, struct str record, struct sink_def **out)
{
	struct sink_def *d = xcalloc(1, sizeof(*d));

	refs_init(&d->refs);
	d->id = arena_str(&d->arena, id);
	d->record = arena_str(&d->arena, record);
	if (!routing_id_good(id) || !sink_decode(d)) {
		sink_def_unref(d);
		return ERR_CORRUPT;
	}
	d->enabled = sink_bool(d, "enabled");
	*out = d;
	return ERR_OK;
}

struct sink_def *
sink_def_ref(struct sink_def *d)
{
	refs_take(&d->refs);
	return d;
}

void
sink_def_unref(struct sink_def *d)
{
	if (d == NULL || !refs_drop(&d->refs))
		return;
	arena_fini(&d->arena);
	free(d);
}

void
sink_def_show(struct out *o, const struct sink_def *d)
{
	out_open(o);
	out_str(out_key(o, "id"), d->id);
	out_cstr(out_key(o, "kind"), sink_type_names[d->type]);
	if (d->from_us == 0)
		out_cstr(out_key(o, "from"), "earliest");
	else
		out_time(out_key(o, "from"), d->from_us);
	sink_body_show(o, d);
	show_head(o, d->counter, d->created_us, d->updated_us);
}

void
built_in_show(struct out *o)
{
	out_open(o);
	out_cstr(out_key(o, "id"), BUILT_IN);
	out_cstr(out_key(o, "kind"), sink_type_names[TO_EVENTS]);
	out_bool(out_key(o, "enabled"), true);
}

/* ---- routes ---- */

static enum err
check_members(struct doc body, struct fault *f)
{
	static const char *const known[] = { "id", "name", "source", "condition", "endpointNames",
		"isEnabled", "etag", "createdTime", "lastUpdatedTime" };
	struct doc_iter it = doc_iter(body);
	struct str name;
	struct doc v;
	size_t i;

	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	while (doc_next(&it, &name, &v)) {
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (str_eq(name, str_of(known[i])))
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return fault_set(
			    f, F_ArgumentInvalid, "a route has no member " STR_FMT, STR_ARG(name));
	}
	return ERR_OK;
}

/* The one element of endpointNames. */
static enum err
endpoint_of(struct doc body, const struct routing *set, struct str *out, struct fault *f)
{
	struct doc names = doc_getc(body, "endpointNames"), name;
	struct doc_iter it = doc_iter(names);
	struct str key;

	if (doc_kind(names) != DOC_ARRAY || doc_count(names) != 1)
		return fault_set(f, F_ArgumentInvalid,
		    "endpointNames is not an array with the name of one sink");
	(void)doc_next(&it, &key, &name);
	*out = doc_text(name);
	if (str_eq(*out, STR(BUILT_IN)) || routing_sink(set, *out) != NULL)
		return ERR_OK;
	return fault_set(
	    f, F_ArgumentInvalid, "endpointNames[0]: there is no sink " STR_FMT, STR_ARG(*out));
}

static enum err
enabled_of(struct doc body, bool *out, struct fault *f)
{
	struct doc v = doc_getc(body, "isEnabled");

	*out = doc_kind(v) != DOC_FALSE;
	if (!doc_defined(v) || doc_kind(v) == DOC_NULL || doc_kind(v) == DOC_TRUE || !*out)
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "isEnabled is not true or false");
}

enum err
route_condition_of(struct doc body, enum route_source source, struct str *out,
    struct route_error *error, struct fault *f)
{
	struct doc v = doc_getc(body, "condition");
	struct condition *c;

	*out = doc_kind(v) == DOC_STRING ? doc_str(v) : STR("true");
	if (doc_defined(v) && doc_kind(v) != DOC_NULL && doc_kind(v) != DOC_STRING)
		return fault_set(f, F_ArgumentInvalid, "condition is not a string");
	if (route_condition_compile(*out, ROUTE_SOURCE_BIT(source), &c, error) != ERR_OK)
		return fault_set(f, F_ArgumentInvalid, "condition, line %u, column %u: %s",
		    error->start.line, error->start.column, error->text);
	route_condition_free(c);
	return ERR_OK;
}

/* Of the fallback route nothing is its user's but whether it holds (E-34). */
static enum err
fallback_of(struct doc body, struct route_def *d, struct fault *f)
{
	struct doc names = doc_getc(body, "endpointNames"), name = DOC_NONE;
	struct doc_iter it = doc_iter(names);
	struct str key, source = doc_text(doc_getc(body, "source")),
	                condition = doc_text(doc_getc(body, "condition"));

	(void)doc_next(&it, &key, &name);
	if ((source.n > 0 && !str_ieq(source, str_of(event_source_names[ROUTE_MESSAGES]))) ||
	    (condition.n > 0 && !str_eq(condition, STR("true"))) ||
	    (doc_defined(names) && !str_eq(doc_text(name), STR(BUILT_IN))))
		return fault_set(f, F_ArgumentInvalid,
		    "of the route " FALLBACK " only isEnabled can be changed");
	d->source = ROUTE_MESSAGES;
	d->condition = STR("true");
	d->endpoint = STR(BUILT_IN);
	return enabled_of(body, &d->enabled, f);
}

static enum err
members_of(struct doc body, const struct routing *set, struct route_def *d, struct fault *f)
{
	struct route_error error;

	if (!event_source_find(doc_text(doc_getc(body, "source")), &d->source))
		return fault_set(f, F_ArgumentInvalid, "source is not %s, %s, %s or %s",
		    event_source_names[ROUTE_MESSAGES], event_source_names[ROUTE_TWIN_CHANGES],
		    event_source_names[ROUTE_LIFECYCLE], event_source_names[ROUTE_CONNECTION]);
	if (route_condition_of(body, d->source, &d->condition, &error, f) != ERR_OK ||
	    enabled_of(body, &d->enabled, f) != ERR_OK)
		return ERR_ARG;
	return endpoint_of(body, set, &d->endpoint, f);
}

static void
route_put(struct buf *out, const struct record_head *h, const struct route_def *d)
{
	record_head_put(out, h);
	buf_putc(out, (char)d->source);
	buf_putc(out, d->enabled);
	buf_lstr(out, d->condition);
	buf_lstr(out, d->endpoint);
}

enum err
route_encode(struct buf *out, struct str id, struct doc body, const struct route_def *old,
    const struct routing *set, int64_t now_us, struct fault *f)
{
	struct record_head h = { 0 };
	struct route_def d = { 0 };
	enum err e = check_members(body, f);

	if (e == ERR_OK)
		e = str_eq(id, STR(FALLBACK)) ? fallback_of(body, &d, f)
		                              : members_of(body, set, &d, f);
	if (e != ERR_OK)
		return e;
	if (old != NULL)
		h = (struct record_head){ old->counter, old->created_us, old->updated_us, 0 };
	record_head_step(&h, now_us);
	route_put(out, &h, &d);
	return ERR_OK;
}

static void
compile(struct route_def *d)
{
	struct route_error error;

	if (route_condition_compile(
	        d->condition, ROUTE_SOURCE_BIT(d->source), &d->compiled, &error) != ERR_OK)
		d->compiled = NULL;
}

static bool
route_decode(struct route_def *d)
{
	struct rd rd = rd_of(d->record);
	struct record_head h;
	unsigned source, enabled;

	if (!record_head_take(&rd, &h))
		return false;
	source = rd_u8(&rd);
	enabled = rd_u8(&rd);
	d->condition = rd_lstr(&rd);
	d->endpoint = rd_lstr(&rd);
	d->counter = h.counter;
	d->created_us = h.created_us;
	d->updated_us = h.updated_us;
	d->source = (enum route_source)source;
	d->enabled = enabled != 0;
	compile(d);
	return !rd.bad && rd.p == rd.end && source < ROUTE_SOURCES &&
	    event_source_names[source] != NULL && enabled < 2 && routing_id_good(d->endpoint);
}

enum err
route_def_new(struct str id, struct str record, struct route_def **out)
{
	struct route_def *d = xcalloc(1, sizeof(*d));

	refs_init(&d->refs);
	d->id = arena_str(&d->arena, id);
	d->record = arena_str(&d->arena, record);
	if ((!routing_id_good(id) && !str_eq(id, STR(FALLBACK))) || !route_decode(d)) {
		route_def_unref(d);
		return ERR_CORRUPT;
	}
	*out = d;
	return ERR_OK;
}

struct route_def *
fallback_new(void)
{
	const struct route_def d = { .source = ROUTE_MESSAGES,
		.enabled = true,
		.condition = STR("true"),
		.endpoint = STR(BUILT_IN) };
	const struct record_head h = { 0 };
	struct buf record = { 0 };
	struct route_def *made = NULL;

	route_put(&record, &h, &d);
	(void)route_def_new(STR(FALLBACK), buf_view(&record), &made);
	assert(made != NULL);
	buf_fini(&record);
	return made;
}

struct route_def *
route_def_ref(struct route_def *d)
{
	refs_take(&d->refs);
	return d;
}

void
route_def_unref(struct route_def *d)
{
	if (d == NULL || !refs_drop(&d->refs))
		return;
	route_condition_free(d->compiled);
	arena_fini(&d->arena);
	free(d);
}

void
route_def_show(struct out *o, const struct route_def *d)
{
	out_open(o);
	out_str(out_key(o, "id"), d->id);
	out_cstr(out_key(o, "source"), event_source_names[d->source]);
	out_str(out_key(o, "condition"), d->condition);
	out_list(out_key(o, "endpointNames"));
	out_str(o, d->endpoint);
	out_close(o);
	out_bool(out_key(o, "isEnabled"), d->enabled);
	if (d->compiled == NULL)
		out_cstr(out_key(o, "error"),
		    "its condition is not understood any more, and matches nothing");
	show_head(o, d->counter, d->created_us, d->updated_us);
}
