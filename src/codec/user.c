/*
 * The user name of a CONNECT (device-mqtt.md 2.2):
 *
 *	host / device [ / module ] [ / [?] name=value & ... ]
 *
 * Ids may hold '?' and '=', so parameters are known by being the last segment and looking like them.
 */
#include "codec/codec.h"

/* Percent-decode into the arena; false if the result is no plain text. */
static bool
decode(struct str raw, struct arena *a, struct str *out)
{
	char *p = arena_alloc(a, raw.n + 1);

	*out = (struct str){ p, percent_decode(raw, p) };
	for (size_t i = 0; i < out->n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7F)
			return false;
	return utf8_valid(*out);
}

static void
keep_first(struct str *raw, struct str value)
{
	if (raw->p == NULL)
		*raw = value;
}

static enum err
parse_params(struct str params, struct arena *a, struct mqtt_user *out)
{
	struct str api = STR_NONE, model = STR_NONE, type = STR_NONE;
	struct str part, name, value;

	if (str_starts(params, STR("?")))
		params = str_sub(params, 1);
	while (params.n > 0) {
		str_cut(params, '&', &part, &params);
		str_cut(part, '=', &name, &value);
		if (str_eq(name, STR("api-version")))
			keep_first(&api, value);
		else if (str_eq(name, STR("model-id")))
			keep_first(&model, value);
		else if (str_eq(name, STR("DeviceClientType")))
			keep_first(&type, value);
		else if (str_eq(name, STR("auth-chain")))
			out->on_behalf = true;
	}
	out->api_version = api;
	if (!decode(model, a, &out->model_id) || !decode(type, a, &out->client_type))
		return ERR_SYNTAX;
	return out->model_id.n <= MODEL_ID_MAX ? ERR_OK : ERR_SYNTAX;
}

static bool
looks_like_params(struct str segment)
{
	return segment.n == 0 || segment.p[0] == '?' ||
	    memmem(segment.p, segment.n, "api-version=", strlen("api-version=")) != NULL;
}

/* Cut the last segment off *s if it holds parameters. */
static struct str
take_params(struct str *s)
{
	const char *slash = memrchr(s->p, '/', s->n);
	size_t from = slash == NULL ? 0 : (size_t)(slash - s->p) + 1;
	struct str last = str_sub(*s, from);

	if (!looks_like_params(last))
		return STR_NONE;
	s->n = from > 0 ? from - 1 : 0;
	return last;
}

enum err
mqtt_user_parse(struct str user, struct arena *a, struct mqtt_user *out)
{
	struct str ids, params;
	bool module;

	memset(out, 0, sizeof(*out));
	if (user.n > MQTT_USER_MAX || !str_cut(user, '/', &out->host, &ids) || out->host.n == 0 ||
	    ids.n == 0)
		return ERR_SYNTAX;
	params = take_params(&ids);
	module = str_cut(ids, '/', &out->self.device, &out->self.module);
	if (!id_valid(out->self.device) || (module && !id_valid(out->self.module)))
		return ERR_SYNTAX;
	return parse_params(params, a, out);
}

bool
mqtt_self_is_client(const struct mqtt_self *self, struct str client_id)
{
	struct str d = self->device, m = self->module;

	if (m.n == 0)
		return str_eq(client_id, d);
	return client_id.n == d.n + 1 + m.n && str_starts(client_id, d) &&
	    client_id.p[d.n] == '/' && str_ends(client_id, m);
}
