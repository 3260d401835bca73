/*
 * Topics: what a client may publish to, what it may subscribe to, what the server publishes to.
 *
 * A name of a tree is matched by eating literals and own ids from the front, never by splitting at '/':
 * ids hold neither '/', but may hold '+' and '#', and a bag may hold '/'.
 */
#include "codec/codec.h"

/* Take a literal off the front. */
static bool
eat(struct str *s, struct str literal)
{
	if (!str_starts(*s, literal))
		return false;
	*s = str_sub(*s, literal.n);
	return true;
}

static bool
has_wildcard(struct str s)
{
	return s.n > 0 && (memchr(s.p, '+', s.n) != NULL || memchr(s.p, '#', s.n) != NULL);
}

/* ---- publishes ---- */

static int64_t
parse_version(struct str s)
{
	uint64_t v;

	return str_u64(s, &v) && v <= INT64_MAX ? (int64_t)v : TOPIC_BAD_VERSION;
}

/* `/?$rid=..[&$version=..]`, in any order; sets rid and version and gives `kind` if the topic is good. */
static enum topic_kind
parse_request(struct str s, enum topic_kind kind, struct topic *out)
{
	struct str part, name, value;

	if (s.n > 0 && !eat(&s, STR("/")))
		return TOPIC_FORBIDDEN;
	if (s.n > 0 && !eat(&s, STR("?")))
		return TOPIC_FORBIDDEN;
	while (s.n > 0) {
		str_cut(s, '&', &part, &s);
		str_cut(part, '=', &name, &value);
		if (str_eq(name, STR("$rid")) && out->rid.n == 0)
			out->rid = value;
		else if (str_eq(name, STR("$version")) && out->version == TOPIC_NO_VERSION)
			out->version = parse_version(value);
	}
	if (out->rid.n > TOPIC_RID_MAX || has_wildcard(out->rid))
		return TOPIC_FORBIDDEN;
	return out->rid.n > 0 ? kind : TOPIC_IGNORED;
}

/* `{status}/?$rid=..` */
static enum topic_kind
parse_method_response(struct str s, struct topic *out)
{
	bool negative = eat(&s, STR("-"));
	size_t n = 0;
	uint64_t v;

	while (n < s.n && s.p[n] != '/')
		n++;
	if (!str_u64((struct str){ s.p, n }, &v) || v > (uint64_t)INT32_MAX + negative)
		return TOPIC_FORBIDDEN;
	out->status = (int32_t)(negative ? -(int64_t)v : (int64_t)v);
	return parse_request(str_sub(s, n), TOPIC_METHOD_RESPONSE, out);
}

/* D-61. A raw '/' and a raw '+' inside are left as they are: c sends values unencoded (D-62). */
static struct str
trim_bag(struct str s)
{
	eat(&s, STR("/"));
	if (str_ends(s, STR("/")))
		s.n--;
	eat(&s, STR("?"));
	return s;
}

static enum topic_kind
parse_telemetry(struct str s, const struct mqtt_self *self, struct topic *out)
{
	if (!eat(&s, STR("devices/")) || !eat(&s, self->device))
		return TOPIC_FORBIDDEN;
	if (self->module.n > 0 && (!eat(&s, STR("/modules/")) || !eat(&s, self->module)))
		return TOPIC_FORBIDDEN;
	if (!eat(&s, STR("/messages/events")) || (s.n > 0 && s.p[0] != '/'))
		return TOPIC_FORBIDDEN;
	out->bag = trim_bag(s);
	if (out->bag.n > 0 && memchr(out->bag.p, '#', out->bag.n) != NULL)
		return TOPIC_FORBIDDEN; /* no topic may hold it (3.4) */
	return TOPIC_TELEMETRY;
}

enum topic_kind
topic_parse(struct str s, const struct mqtt_self *self, struct topic *out)
{
	memset(out, 0, sizeof(*out));
	out->version = TOPIC_NO_VERSION;
	if (!eat(&s, STR("$iothub/")))
		out->kind = parse_telemetry(s, self, out);
	else if (eat(&s, STR("twin/GET")))
		out->kind = parse_request(s, TOPIC_TWIN_GET, out);
	else if (eat(&s, STR("twin/PATCH/properties/reported")))
		out->kind = parse_request(s, TOPIC_TWIN_PATCH, out);
	else if (eat(&s, STR("methods/res/")))
		out->kind = parse_method_response(s, out);
	return out->kind;
}

/* ---- filters ---- */

/* An own id, or `+` for it (D-32), and the '/' after it. */
static bool
eat_id(struct str *s, struct str id)
{
	if (eat(s, STR("+/")))
		return true;
	return eat(s, id) && eat(s, STR("/"));
}

static enum filter_kind
parse_device_filter(struct str s, const struct mqtt_self *self)
{
	if (!eat_id(&s, self->device))
		return FILTER_REFUSED;
	if (self->module.n == 0)
		return str_eq(s, STR("messages/devicebound/")) ? FILTER_C2D : FILTER_REFUSED;
	if (!eat(&s, STR("modules/")) || !eat_id(&s, self->module))
		return FILTER_REFUSED;
	if (s.n == 0)
		return FILTER_MODULE_ALL;
	if (str_eq(s, STR("inputs/")))
		return FILTER_MODULE_INPUTS;
	return str_eq(s, STR("messages/devicebound/")) ? FILTER_MODULE_C2D : FILTER_REFUSED;
}

static enum filter_kind
parse_methods_filter(struct str s, struct str *name)
{
	if (s.n == 0)
		return FILTER_METHODS;
	s.n--; /* the final '/' */
	if (!method_name_valid(s))
		return FILTER_REFUSED;
	*name = s;
	return FILTER_METHOD;
}

enum filter_kind
filter_parse(struct str s, const struct mqtt_self *self, struct str *name)
{
	*name = STR_NONE;
	if (str_eq(s, STR("#"))) /* all of its own tree; no topic with $ in front: MQTT 4.7.2 */
		return self->module.n > 0 ? FILTER_MODULE_ALL : FILTER_C2D;
	if (str_ends(s, STR("/#")))
		s.n--;
	if (!str_ends(s, STR("/")))
		return FILTER_REFUSED;
	if (str_eq(s, STR("$iothub/twin/res/")))
		return FILTER_TWIN_RES;
	if (str_eq(s, STR("$iothub/twin/PATCH/properties/desired/")))
		return FILTER_DESIRED;
	if (eat(&s, STR("$iothub/methods/POST/")))
		return parse_methods_filter(s, name);
	return eat(&s, STR("devices/")) ? parse_device_filter(s, self) : FILTER_REFUSED;
}

/* ---- to clients ---- */

static void
put_twin_res(struct buf *out, int status, struct str rid)
{
	assert(status >= 100 && status <= 999); /* java insists on three digits */
	buf_cstr(out, "$iothub/twin/res/");
	buf_u64(out, (uint64_t)status);
	buf_cstr(out, "/?$rid="); /* c finds the id by exactly this */
	buf_str(out, rid);
}

void
topic_put_twin_got(struct buf *out, struct str rid)
{
	put_twin_res(out, 200, rid);
}

void
topic_put_twin_patched(struct buf *out, struct str rid, int64_t version)
{
	assert(version >= 0);
	put_twin_res(out, 204, rid);
	buf_cstr(out, "&$version="); /* last: java reads it to the end */
	buf_u64(out, (uint64_t)version);
}

void
topic_put_twin_error(struct buf *out, int status, struct str rid)
{
	put_twin_res(out, status, rid);
}

void
topic_put_desired(struct buf *out, int64_t version)
{
	assert(version >= 0);
	buf_cstr(out, "$iothub/twin/PATCH/properties/desired/?$version=");
	buf_u64(out, (uint64_t)version);
}

void
topic_put_devicebound(struct buf *out, struct str device)
{
	buf_cstr(out, "devices/");
	buf_str(out, device);
	buf_cstr(out, "/messages/devicebound/");
}

__attribute__((unused)) static bool /* but by an assert */
method_rid_valid(struct str rid)
{
	for (size_t i = 0; i < rid.n; i++)
		if (!((rid.p[i] >= '0' && rid.p[i] <= '9') || (rid.p[i] >= 'a' && rid.p[i] <= 'z')))
			return false;
	return rid.n > 0;
}

void
topic_put_method(struct buf *out, struct str name, struct str rid)
{
	assert(method_name_valid(name) && method_rid_valid(rid));
	buf_cstr(out, "$iothub/methods/POST/");
	buf_str(out, name);
	buf_cstr(out, "/?$rid="); /* nothing after the id: c and csharp read it to the end */
	buf_str(out, rid);
}

bool
method_name_valid(struct str name)
{
	if (name.n == 0 || name.n > METHOD_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		if (c <= ' ' || c >= 0x7F || char_among(c, "$()<>@,;:\\\"/[]?={}%+#"))
			return false;
	}
	return true;
}
