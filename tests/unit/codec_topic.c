/* User names, topics, filters and property bags. */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct mqtt_self dev = { { "dev1", 4 }, { NULL, 0 } };
static const struct mqtt_self mod = { { "dev1", 4 }, { "$edgeHub", 8 } };
static const struct mqtt_self odd = { { "a+#?b", 5 }, { NULL, 0 } };

static void
assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("got '" STR_FMT "', want '%s'", STR_ARG(got), want);
}

/* ---- user name ---- */

static struct arena arena;

static int
fini(void **state)
{
	(void)state;
	arena_fini(&arena);
	return 0;
}

static struct mqtt_user
user(const char *text)
{
	struct mqtt_user u;

	if (mqtt_user_parse(str_of(text), &arena, &u))
		fail_msg("'%s' is refused", text);
	return u;
}

static void
mqtt_user__reads_what_each_sdk_sends(void **state)
{
	struct mqtt_user u;
	(void)state;

	u = user(
	    "hub.example.test:18883/dev1/?api-version=2021-04-12&model-id=dtmi:com:example:A;1&"
	    "DeviceClientType=azure-iot-device%2F1.18.1%20(node)");
	assert_str(u.host, "hub.example.test:18883");
	assert_str(u.self.device, "dev1");
	assert_int_equal(u.self.module.n, 0);
	assert_str(u.api_version, "2021-04-12");
	assert_str(u.model_id, "dtmi:com:example:A;1");
	assert_str(u.client_type, "azure-iot-device/1.18.1 (node)");
	u = user("h.x/dev1/$edgeHub/?api-version=2020-09-30&DeviceClientType=iothubclient%2f1.9&"
	         "model-id=dtmi%3acom%3aexample%3aA%3b1");
	assert_str(u.self.module, "$edgeHub");
	assert_str(u.model_id, "dtmi:com:example:A;1");
	assert_str(u.client_type, "iothubclient/1.9");
}

static void
mqtt_user__D09_accepts_legacy_forms(void **state)
{
	struct mqtt_user u;
	(void)state;

	u = user("h/d/api-version=2016-11-14");
	assert_str(u.self.device, "d");
	assert_int_equal(u.self.module.n, 0);
	assert_str(u.api_version, "2016-11-14");
	u = user("h/d/m/DeviceClientType=x&api-version=2016-11-14");
	assert_str(u.self.module, "m");
	assert_str(u.client_type, "x");
	assert_int_equal(user("h/d").self.module.n, 0);
	assert_str(user("h/d/m").self.module, "m");
	assert_int_equal(user("h/d/").self.module.n, 0);
	assert_str(user("h/d/m/").self.module, "m");
	assert_int_equal(user("h/d/?").api_version.n, 0);
}

static void
mqtt_user__D08_the_first_of_two_counts_and_unknown_ones_do_not(void **state)
{
	struct mqtt_user u;
	(void)state;

	u = user("h/d/?x=1&&auth-chain=q&model-id=a&model-id=b&api-version&api-version=2");
	assert_str(u.model_id, "a");
	assert_int_equal(u.api_version.n, 0);
	assert_true(u.on_behalf);
	assert_false(user("h/d/?api-version=2&auth-chains=x").on_behalf);
}

static void
mqtt_user__a_question_mark_may_be_in_an_id(void **state)
{
	struct mqtt_user u;
	(void)state;

	u = user("h/?d=1/m?/?api-version=1");
	assert_str(u.self.device, "?d=1");
	assert_str(u.self.module, "m?");
}

static void
mqtt_user__refuses_the_rest(void **state)
{
	static const char *const bad[] = { "", "h", "h/", "/d", "/d/?x", "h/?api-version=1",
		"h//?x", "h/d//?x", "h/d/m/x", "h/d/m/x/?y", "h/d e/?x", "h/d/?model-id=%ff",
		"h/d/?model-id=a%00b", "h/d/?DeviceClientType=%0a" };
	struct mqtt_user u;
	struct buf b = { 0 };
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (mqtt_user_parse(str_of(bad[i]), &arena, &u) != ERR_SYNTAX)
			fail_msg("'%s' is accepted", bad[i]);
	buf_cstr(&b, "h/");
	for (int i = 0; i < ID_MAX + 1; i++)
		buf_putc(&b, 'd');
	assert_int_equal(mqtt_user_parse(buf_view(&b), &arena, &u), ERR_SYNTAX);
	b.n--;
	assert_int_equal(mqtt_user_parse(buf_view(&b), &arena, &u), ERR_OK);
	buf_cstr(&b, "/?model-id=");
	for (int i = 0; i < MODEL_ID_MAX; i++)
		buf_putc(&b, 'm');
	assert_int_equal(mqtt_user_parse(buf_view(&b), &arena, &u), ERR_OK);
	assert_int_equal(u.model_id.n, MODEL_ID_MAX);
	buf_putc(&b, 'm');
	assert_int_equal(mqtt_user_parse(buf_view(&b), &arena, &u), ERR_SYNTAX);
	buf_fini(&b);
}

static void
mqtt_self__D10_client_id_is_compared_by_byte(void **state)
{
	(void)state;
	assert_true(mqtt_self_is_client(&dev, STR("dev1")));
	assert_false(mqtt_self_is_client(&dev, STR("Dev1")));
	assert_false(mqtt_self_is_client(&dev, STR("dev1/$edgeHub")));
	assert_true(mqtt_self_is_client(&mod, STR("dev1/$edgeHub")));
	assert_false(mqtt_self_is_client(&mod, STR("dev1")));
	assert_false(mqtt_self_is_client(&mod, STR("dev1/$edgeHubs")));
	assert_false(mqtt_self_is_client(&mod, STR("dev1-$edgeHub")));
	assert_false(mqtt_self_is_client(&dev, STR_NONE));
}

/* ---- topics ---- */

static struct topic
topic(const char *text, const struct mqtt_self *self, enum topic_kind kind)
{
	struct topic t;

	topic_parse(str_of(text), self, &t);
	if (t.kind != kind)
		fail_msg("'%s' is of kind %d, not %d", text, (int)t.kind, (int)kind);
	return t;
}

static void
topic_parse__D44_keeps_the_rid_as_it_is(void **state)
{
	(void)state;
	assert_str(topic("$iothub/twin/GET/?$rid=7", &dev, TOPIC_TWIN_GET).rid, "7");
	assert_str(
	    topic("$iothub/twin/GET/?$rid=a%20b/c=d", &mod, TOPIC_TWIN_GET).rid, "a%20b/c=d");
	assert_str(topic("$iothub/twin/GET/?x=y&$rid=7&$rid=8", &dev, TOPIC_TWIN_GET).rid, "7");
	assert_str(
	    topic("$iothub/twin/PATCH/properties/reported/?$rid=4b81-x", &dev, TOPIC_TWIN_PATCH)
	        .rid,
	    "4b81-x");
}

static void
topic_parse__D46_reads_the_version(void **state)
{
	static const char base[] = "$iothub/twin/PATCH/properties/reported/?$rid=1";
	struct buf b = { 0 };
	struct topic t;
	static const struct {
		const char *tail;
		int64_t want;
	} cases[] = { { "", TOPIC_NO_VERSION }, { "&$version=6", 6 }, { "&$version=0", 0 },
		{ "&$version=9223372036854775807", INT64_MAX },
		{ "&$version=9223372036854775808", TOPIC_BAD_VERSION },
		{ "&$version=", TOPIC_BAD_VERSION }, { "&$version=-1", TOPIC_BAD_VERSION },
		{ "&$version=x", TOPIC_BAD_VERSION }, { "&version=6", TOPIC_NO_VERSION } };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		b.n = 0;
		buf_cstr(&b, base);
		buf_cstr(&b, cases[i].tail);
		assert_int_equal(topic_parse(buf_view(&b), &dev, &t), TOPIC_TWIN_PATCH);
		assert_int_equal(t.version, cases[i].want);
	}
	buf_fini(&b);
	t = topic(
	    "$iothub/twin/PATCH/properties/reported/?$version=3&$rid=x", &dev, TOPIC_TWIN_PATCH);
	assert_int_equal(t.version, 3);
	assert_str(t.rid, "x");
}

static void
topic_parse__a_request_without_rid_is_ignored(void **state)
{
	(void)state;
	topic("$iothub/twin/GET", &dev, TOPIC_IGNORED);
	topic("$iothub/twin/GET/", &dev, TOPIC_IGNORED);
	topic("$iothub/twin/GET/?", &dev, TOPIC_IGNORED);
	topic("$iothub/twin/GET/?$rid=", &dev, TOPIC_IGNORED);
	topic("$iothub/twin/GET/?$rid", &dev, TOPIC_IGNORED);
	topic("$iothub/twin/PATCH/properties/reported/?$version=3", &dev, TOPIC_IGNORED);
	topic("$iothub/methods/res/200/", &dev, TOPIC_IGNORED);
}

static void
topic_parse__a_rid_that_cannot_be_echoed_is_forbidden(void **state)
{
	struct buf b = { 0 };
	struct topic t;
	(void)state;

	topic("$iothub/twin/GET/?$rid=a+b", &dev, TOPIC_FORBIDDEN);
	topic("$iothub/twin/GET/?$rid=#", &dev, TOPIC_FORBIDDEN);
	buf_cstr(&b, "$iothub/twin/GET/?$rid=");
	for (int i = 0; i < TOPIC_RID_MAX; i++)
		buf_putc(&b, 'r');
	assert_int_equal(topic_parse(buf_view(&b), &dev, &t), TOPIC_TWIN_GET);
	buf_putc(&b, 'r');
	assert_int_equal(topic_parse(buf_view(&b), &dev, &t), TOPIC_FORBIDDEN);
	buf_fini(&b);
}

static void
topic_parse__D57_reads_method_responses(void **state)
{
	struct topic t;
	(void)state;

	t = topic("$iothub/methods/res/200/?$rid=1f", &dev, TOPIC_METHOD_RESPONSE);
	assert_int_equal(t.status, 200);
	assert_str(t.rid, "1f");
	assert_int_equal(
	    topic("$iothub/methods/res/-5/?$rid=1", &dev, TOPIC_METHOD_RESPONSE).status, -5);
	assert_int_equal(
	    topic("$iothub/methods/res/-2147483648/?$rid=1", &dev, TOPIC_METHOD_RESPONSE).status,
	    INT32_MIN);
	assert_int_equal(
	    topic("$iothub/methods/res/2147483647/?$rid=1", &dev, TOPIC_METHOD_RESPONSE).status,
	    INT32_MAX);
	topic("$iothub/methods/res/2147483648/?$rid=1", &dev, TOPIC_FORBIDDEN);
	topic("$iothub/methods/res/-2147483649/?$rid=1", &dev, TOPIC_FORBIDDEN);
	topic("$iothub/methods/res//?$rid=1", &dev, TOPIC_FORBIDDEN);
	topic("$iothub/methods/res/ok/?$rid=1", &dev, TOPIC_FORBIDDEN);
	topic("$iothub/methods/res/200?$rid=1", &dev, TOPIC_FORBIDDEN);
}

static void
topic_parse__D61_trims_the_bag(void **state)
{
	(void)state;
	assert_str(topic("devices/dev1/messages/events", &dev, TOPIC_TELEMETRY).bag, "");
	assert_str(topic("devices/dev1/messages/events/", &dev, TOPIC_TELEMETRY).bag, "");
	assert_str(topic("devices/dev1/messages/events//", &dev, TOPIC_TELEMETRY).bag, "");
	assert_str(topic("devices/dev1/messages/events/a=b", &dev, TOPIC_TELEMETRY).bag, "a=b");
	assert_str(topic("devices/dev1/messages/events/a=b/", &dev, TOPIC_TELEMETRY).bag, "a=b");
	assert_str(topic("devices/dev1/messages/events/a=b//", &dev, TOPIC_TELEMETRY).bag, "a=b/");
	assert_str(
	    topic("devices/dev1/messages/events/?a=b/c&d+", &dev, TOPIC_TELEMETRY).bag, "a=b/c&d+");
	topic("devices/dev1/messages/events/a=#", &dev, TOPIC_FORBIDDEN);
	assert_str(
	    topic("devices/dev1/modules/$edgeHub/messages/events/$.on=o/", &mod, TOPIC_TELEMETRY)
	        .bag,
	    "$.on=o");
	assert_str(topic("devices/a+#?b/messages/events/x", &odd, TOPIC_TELEMETRY).bag, "x");
}

static void
topic_parse__D41_forbids_everything_else(void **state)
{
	static const char *const bad[] = { "x", "devices/dev2/messages/events/",
		"devices/dev11/messages/events/", "devices/dev/messages/events/",
		"devices/DEV1/messages/events/", "devices/dev1/messages/eventsx",
		"devices/dev1/messages/devicebound/", "devices/+/messages/events/",
		"/devices/dev1/messages/events/", "devices/dev1/modules/m/messages/events/",
		"devices/dev1/modules/$edgeHub/messages/events/", "$iothub/",
		"$iothub/twin/get/?$rid=1", "$iothub/twin/GETX/?$rid=1", "$iothub/twin/GET?$rid=1",
		"$iothub/twin/GET/x?$rid=1", "$iothub/twin/res/200/?$rid=1",
		"$iothub/twin/PATCH/properties/desired/?$rid=1",
		"$iothub/twin/PATCH/properties/reported?$rid=1",
		"$iothub/methods/POST/reboot/?$rid=1", "$SYS/broker" };
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		topic(bad[i], &dev, TOPIC_FORBIDDEN);
	topic("devices/dev1/messages/events/", &mod,
	    TOPIC_FORBIDDEN); /* a module is not its device */
	topic("devices/dev1/modules/$edgeHubs/messages/events/", &mod, TOPIC_FORBIDDEN);
}

/* ---- filters ---- */

static void
filter(const char *text, const struct mqtt_self *self, enum filter_kind kind)
{
	struct str name;

	if (filter_parse(str_of(text), self, &name) != kind)
		fail_msg("'%s' is not of kind %d", text, (int)kind);
}

static void
filter_parse__knows_the_filters_of_devices(void **state)
{
	(void)state;
	filter("devices/dev1/messages/devicebound/#", &dev, FILTER_C2D);
	filter("devices/dev1/messages/devicebound/", &dev, FILTER_C2D);
	filter("devices/+/messages/devicebound/#", &dev, FILTER_C2D); /* D-32 */
	filter("#", &dev, FILTER_C2D);                                /* D-82 */
	filter("devices/a+#?b/messages/devicebound/#", &odd, FILTER_C2D);
	filter("$iothub/twin/res/#", &dev, FILTER_TWIN_RES);
	filter("$iothub/twin/PATCH/properties/desired/#", &dev, FILTER_DESIRED);
	filter("$iothub/methods/POST/#", &dev, FILTER_METHODS);
}

static void
filter_parse__D33_D78_knows_the_filters_of_modules(void **state)
{
	(void)state;
	filter("devices/dev1/modules/$edgeHub/#", &mod, FILTER_MODULE_ALL);
	filter("devices/+/modules/+/#", &mod, FILTER_MODULE_ALL);
	filter("#", &mod, FILTER_MODULE_ALL); /* D-82 */
	filter("devices/dev1/modules/$edgeHub/inputs/#", &mod, FILTER_MODULE_INPUTS);
	filter("devices/dev1/modules/$edgeHub/messages/devicebound/#", &mod, FILTER_MODULE_C2D);
	filter("$iothub/twin/res/#", &mod, FILTER_TWIN_RES);
	filter("$iothub/methods/POST/#", &mod, FILTER_METHODS);
}

static void
filter_parse__names_a_method(void **state)
{
	struct str name;
	(void)state;

	assert_int_equal(
	    filter_parse(STR("$iothub/methods/POST/reboot/#"), &dev, &name), FILTER_METHOD);
	assert_str(name, "reboot");
	assert_int_equal(
	    filter_parse(STR("$iothub/methods/POST/reboot/"), &dev, &name), FILTER_METHOD);
	assert_str(name, "reboot");
	filter("$iothub/methods/POST//#", &dev, FILTER_REFUSED);
	filter("$iothub/methods/POST/+/#", &dev, FILTER_REFUSED);
	filter("$iothub/methods/POST/a/b/#", &dev, FILTER_REFUSED);
}

static void
filter_parse__D35_refuses_the_rest(void **state)
{
	static const char *const bad[] = { "", "##", "#/", "+", "/", "/#", "+/#", "$iothub/#",
		"$iothub/twin/#", "$iothub/twin/res", "$iothub/twin/res/+", "$iothub/twin/res/#/",
		"$iothub/twin/res/200/#", "$iothub/twin/res#", "$SYS/#", "devices/#",
		"devices/dev1/#", "devices/dev1/messages/#", "devices/dev1/messages/events/#",
		"devices/dev2/messages/devicebound/#", "devices/dev11/messages/devicebound/#",
		"devices/++/messages/devicebound/#", "devices/dev1/messages/devicebound/x/#",
		"devices/dev1/modules/$edgeHub/#", "devices/dev1/modules/+/inputs/#" };
	(void)state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		filter(bad[i], &dev, FILTER_REFUSED);
	filter("devices/dev1/messages/devicebound/#", &mod, FILTER_REFUSED);
	filter("devices/dev1/modules/m/#", &mod, FILTER_REFUSED);
	filter("devices/dev1/modules/$edgeHub/inputs/in1/#", &mod, FILTER_REFUSED);
}

/* ---- bags ---- */

/* All pairs as `kind:key=value|`, without '=' where there was none. */
static void
assert_bag(const char *bag, const char *want)
{
	struct str rest = str_of(bag);
	struct buf text = { 0 }, out = { 0 };
	struct bag_pair pair;

	while (bag_next(&rest, &text, &pair))
		buf_printf(&out, "%d:" STR_FMT "%s" STR_FMT "|", (int)pair.system,
		    STR_ARG(pair.key), pair.has_value ? "=" : "", STR_ARG(pair.value));
	assert_str(buf_view(&out), want);
	buf_fini(&out);
	buf_fini(&text);
}

static void
bag_next__reads_what_each_sdk_sends(void **state)
{
	(void)state;
	assert_bag("%24.mid=1&%24.ct=application%2Fjson&temp=high",
	    "1:$.mid=1|5:$.ct=application/json|0:temp=high|");
	assert_bag("temp=high&%24.mid=1&%24.ct=application/json",
	    "0:temp=high|1:$.mid=1|5:$.ct=application/json|");
	assert_bag("$.mid=1&$.cdid=dev1&%24.CT=x", "1:$.mid=1|12:$.cdid=dev1|0:$.CT=x|");
}

static void
bag_next__D62_a_plus_stays_a_plus(void **state)
{
	(void)state;
	assert_bag("a+b=c+d%2B%20", "0:a+b=c+d+ |");
}

static void
bag_next__is_tolerant(void **state)
{
	(void)state;
	assert_bag("", "");
	assert_bag("&&", "");
	assert_bag("key", "0:key|");
	assert_bag("key=", "0:key=|");
	assert_bag("&a=1&&b=2&", "0:a=1|0:b=2|");
	assert_bag("a=b=c", "0:a=b=c|");
	assert_bag("a%3Db=%26&%zz=%4", "0:a=b=&|0:%zz=%4|");
	assert_bag("%24.new=1", "0:$.new=1|");
}

static void
bag_key__every_system_key_has_a_name_to_be_stored_by(void **state)
{
	(void)state;
	assert_int_equal(bag_key_name(BAG_CUSTOM).n, 0);
	for (enum bag_key k = BAG_CUSTOM + 1; k < BAG_KEYS; k++)
		assert_true(bag_key_name(k).n > 0);
	assert_str(bag_key_name(BAG_CREATED), "iothub-creation-time-utc");
}

/* ---- to clients ---- */

static void
topic_put__writes_what_sdks_parse(void **state)
{
	struct buf b = { 0 };
	(void)state;

	topic_put_twin_got(&b, STR("7"));
	assert_str(buf_view(&b), "$iothub/twin/res/200/?$rid=7");
	b.n = 0;
	topic_put_twin_patched(&b, STR("a%20"), 6); /* D-45 */
	assert_str(buf_view(&b), "$iothub/twin/res/204/?$rid=a%20&$version=6");
	b.n = 0;
	topic_put_twin_error(&b, 412, STR("7"));
	assert_str(buf_view(&b), "$iothub/twin/res/412/?$rid=7");
	b.n = 0;
	topic_put_desired(&b, 12); /* D-52 */
	assert_str(buf_view(&b), "$iothub/twin/PATCH/properties/desired/?$version=12");
	b.n = 0;
	topic_put_method(&b, STR("reboot-now_2"), STR("1f")); /* D-55 */
	assert_str(buf_view(&b), "$iothub/methods/POST/reboot-now_2/?$rid=1f");
	buf_fini(&b);
}

static void
method_name__is_what_a_topic_can_carry(void **state)
{
	char longest[METHOD_NAME_MAX + 1];
	(void)state;

	memset(longest, 'm', sizeof(longest));
	assert_true(method_name_valid(STR("getMaxMinReport*!'~.|^&-_`")));
	assert_true(method_name_valid((struct str){ longest, METHOD_NAME_MAX }));
	assert_false(method_name_valid((struct str){ longest, METHOD_NAME_MAX + 1 }));
	assert_false(method_name_valid(STR_NONE));
	assert_false(method_name_valid(STR("\xc3\xa4")));
	assert_false(method_name_valid(STR("a\0b")));
	assert_false(method_name_valid(STR("\x7f")));
	for (const char *c = "$()<>@,;:\\\"/[]?={} \t%+#"; *c != '\0'; c++)
		assert_false(method_name_valid((struct str){ c, 1 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mqtt_user__reads_what_each_sdk_sends),
		cmocka_unit_test(mqtt_user__D09_accepts_legacy_forms),
		cmocka_unit_test(mqtt_user__D08_the_first_of_two_counts_and_unknown_ones_do_not),
		cmocka_unit_test(mqtt_user__a_question_mark_may_be_in_an_id),
		cmocka_unit_test(mqtt_user__refuses_the_rest),
		cmocka_unit_test(mqtt_self__D10_client_id_is_compared_by_byte),
		cmocka_unit_test(topic_parse__D44_keeps_the_rid_as_it_is),
		cmocka_unit_test(topic_parse__D46_reads_the_version),
		cmocka_unit_test(topic_parse__a_request_without_rid_is_ignored),
		cmocka_unit_test(topic_parse__a_rid_that_cannot_be_echoed_is_forbidden),
		cmocka_unit_test(topic_parse__D57_reads_method_responses),
		cmocka_unit_test(topic_parse__D61_trims_the_bag),
		cmocka_unit_test(topic_parse__D41_forbids_everything_else),
		cmocka_unit_test(filter_parse__knows_the_filters_of_devices),
		cmocka_unit_test(filter_parse__D33_D78_knows_the_filters_of_modules),
		cmocka_unit_test(filter_parse__names_a_method),
		cmocka_unit_test(filter_parse__D35_refuses_the_rest),
		cmocka_unit_test(bag_next__reads_what_each_sdk_sends),
		cmocka_unit_test(bag_next__D62_a_plus_stays_a_plus),
		cmocka_unit_test(bag_next__is_tolerant),
		cmocka_unit_test(bag_key__every_system_key_has_a_name_to_be_stored_by),
		cmocka_unit_test(topic_put__writes_what_sdks_parse),
		cmocka_unit_test(method_name__is_what_a_topic_can_carry),
	};

	return cmocka_run_group_tests(tests, NULL, fini);
}
