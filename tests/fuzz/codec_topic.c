/* Any bytes as user name, topic, filter and property bag: whatever is accepted keeps what the header says of it.
 * The first byte chooses who is connected. */
#include "codec/codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static void
check_user(struct str s)
{
	struct arena a = { 0 };
	struct mqtt_user u;
	struct buf id = { 0 };

	if (mqtt_user_parse(s, &a, &u) == ERR_OK) {
		require(u.host.n > 0 && id_valid(u.self.device));
		require(u.self.module.n == 0 || id_valid(u.self.module));
		require(utf8_valid(u.model_id) && u.model_id.n <= MODEL_ID_MAX &&
		    utf8_valid(u.client_type));
		buf_str(&id, u.self.device);
		if (u.self.module.n > 0) {
			buf_putc(&id, '/');
			buf_str(&id, u.self.module);
		}
		require(mqtt_self_is_client(&u.self, buf_view(&id)));
		buf_putc(&id, 'x');
		require(!mqtt_self_is_client(&u.self, buf_view(&id)));
	}
	buf_fini(&id);
	arena_fini(&a);
}

static void
check_bag(struct str rest)
{
	struct buf text = { 0 };
	struct bag_pair pair;
	size_t before = rest.n, sum = 0;

	while (bag_next(&rest, &text, &pair)) {
		require(pair.has_value || pair.value.n == 0);
		require(pair.system < BAG_KEYS &&
		    (pair.system == BAG_CUSTOM || str_starts(pair.key, STR("$."))));
		sum += pair.key.n + pair.value.n;
	}
	require(sum <= before && rest.n == 0);
	buf_fini(&text);
}

static void
check_topic(struct str s, const struct mqtt_self *self)
{
	struct buf out = { 0 };
	struct topic t;

	switch (topic_parse(s, self, &t)) {
	case TOPIC_TWIN_GET:
	case TOPIC_TWIN_PATCH:
	case TOPIC_METHOD_RESPONSE:
		require(t.rid.n > 0 && t.rid.n <= TOPIC_RID_MAX && t.version >= TOPIC_BAD_VERSION);
		topic_put_twin_error(&out, 400, t.rid);
		require(str_ends(buf_view(&out), t.rid) && memchr(out.p, '+', out.n) == NULL);
		break;
	case TOPIC_TELEMETRY:
		require(t.bag.n == 0 || (t.bag.p > s.p && t.bag.p + t.bag.n <= s.p + s.n));
		check_bag(t.bag);
		break;
	case TOPIC_IGNORED:
	case TOPIC_FORBIDDEN: break;
	}
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mqtt_self selves[] = { { { "d", 1 }, { NULL, 0 } },
		{ { "d", 1 }, { "m", 1 } }, { { "+#?", 3 }, { NULL, 0 } } };
	const struct mqtt_self *self = &selves[size > 0 ? data[0] % 3 : 0];
	struct str s = { (const char *)data + (size > 0), size - (size > 0) }, name;
	enum filter_kind kind;

	check_user(s);
	check_topic(s, self);
	check_bag(s);
	kind = filter_parse(s, self, &name);
	require(
	    kind < FILTER_KINDS && (kind == FILTER_METHOD ? method_name_valid(name) : name.n == 0));
	require((kind != FILTER_C2D || self->module.n == 0) &&
	    (kind < FILTER_MODULE_ALL || self->module.n > 0));
	return 0;
}
