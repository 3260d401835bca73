/* Property bags: pair *("&" pair), pair = key ["=" value], both percent-encoded (device-mqtt.md 6.1). */
#include "codec/codec.h"

static const struct {
	const char *wire, *stored;
} keys[BAG_KEYS] = {
	[BAG_CUSTOM] = { NULL, NULL },
	[BAG_MESSAGE_ID] = { "$.mid", "message-id" },
	[BAG_CORRELATION_ID] = { "$.cid", "correlation-id" },
	[BAG_USER_ID] = { "$.uid", "user-id" },
	[BAG_TO] = { "$.to", "to" },
	[BAG_CONTENT_TYPE] = { "$.ct", "content-type" },
	[BAG_CONTENT_ENCODING] = { "$.ce", "content-encoding" },
	[BAG_EXPIRY] = { "$.exp", "absolute-expiry-time" },
	[BAG_CREATED] = { "$.ctime", "iothub-creation-time-utc" },
	[BAG_OUTPUT] = { "$.on", "iothub-outputname" },
	[BAG_INTERFACE] = { "$.ifid", "iothub-interface-id" },
	[BAG_SUBJECT] = { "$.sub", "dt-subject" },
	[BAG_DEVICE_ID] = { "$.cdid", "iothub-connection-device-id" },
	[BAG_MODULE_ID] = { "$.cmid", "iothub-connection-module-id" },
	[BAG_SCHEMA] = { "$.schema", "iothub-message-schema" },
	[BAG_DIAGNOSTIC_ID] = { "$.diagid", "diagnostic-id" },
	[BAG_DIAGNOSTIC_CONTEXT] = { "$.diagctx", "diagnostic-context" },
};

static enum bag_key
system_key(struct str key)
{
	if (!str_starts(key, STR("$.")))
		return BAG_CUSTOM;
	for (enum bag_key k = BAG_CUSTOM + 1; k < BAG_KEYS; k++)
		if (str_eq(key, str_of(keys[k].wire)))
			return k;
	return BAG_CUSTOM;
}

bool
bag_next(struct str *rest, struct buf *text, struct bag_pair *pair)
{
	struct str part, key, value;

	do {
		if (rest->n == 0)
			return false;
		str_cut(*rest, '&', &part, rest);
	} while (part.n == 0);
	pair->has_value = str_cut(part, '=', &key, &value);
	text->n = 0;
	buf_reserve(text, part.n);
	pair->key = (struct str){ text->p, percent_decode(key, text->p) };
	pair->value =
	    (struct str){ text->p + pair->key.n, percent_decode(value, text->p + pair->key.n) };
	text->n = pair->key.n + pair->value.n;
	pair->system = system_key(pair->key);
	return true;
}

void
bag_put(struct buf *out, enum bag_key key, struct str name, struct str value, bool first)
{
	if (!first)
		buf_putc(out, '&');
	buf_percent(out, key == BAG_CUSTOM ? name : str_of(keys[key].wire));
	buf_putc(out, '=');
	buf_percent(out, value);
}

struct str
bag_key_name(enum bag_key k)
{
	return str_of(keys[k].stored);
}
