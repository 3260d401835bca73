/* Who may connect as a device or module, and how long what let it in keeps the link (device-mqtt.md 2). */
#include "hub_kit.h"

/* ---- who is it? ---- */

static enum fault_code
connect_with(struct kit *k, const char *id, struct str token)
{
	struct op op = kit_op(OP_CONNECT, id);

	op.connect.clean = true;
	op.shown.token = token;
	return kit_run(k, &op);
}

static int64_t
in_an_hour(const struct kit *k)
{
	return k->env.now_us / SECOND + 3600;
}

static void
connect__tokens_of_either_key(void **state)
{
	struct kit *k = *state;
	int64_t end_s = in_an_hour(k);

	kit_device(k, "d1");
	assert_int_equal(
	    connect_with(k, "d1", kit_token(k, "/devices/d1", KEY1, end_s, NULL)), F_NONE);
	assert_int_equal(k->reply.verdict.end_us, (end_s + SAS_SKEW_S) * SECOND); /* D-20 */
	assert_int_equal(
	    connect_with(k, "d1", kit_token(k, "/devices/d1", KEY2, end_s, NULL)), F_NONE);
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Connected'");
	kit_shows(k, "connectionStateUpdatedTime", "'2024-01-01T00:00:03.0000000Z'");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:03.0000000Z'");
}

static void
connect__D15_refusals(void **state)
{
	struct kit *k = *state;
	static const char other[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	int64_t end_s = in_an_hour(k), now_s = k->env.now_us / SECOND;

	kit_device(k, "d1");
	kit_device(k, "d2");
	kit_put(k, "off", NULL,
	    "{'status':'disabled','authentication':{'symmetricKey':{'primaryKey':'" KEY1
	    "','secondaryKey':'" KEY2 "'}}}");
	kit_put(k, "ca", NULL, "{'authentication':{'type':'certificateAuthority'}}");
#define REFUSED(id, token)                                                                         \
	assert_int_equal(connect_with(k, (id), (token)), F_IotHubUnauthorizedAccess)
	REFUSED("d1", STR("password"));
	REFUSED("d1", kit_token(k, "/devices/d1", other, end_s, NULL));
	REFUSED("d1", kit_token(k, "/devices/d1", KEY1, now_s - SAS_SKEW_S - 1, NULL));
	REFUSED("d1", kit_token(k, "/devices/d2", KEY1, end_s, NULL));
	REFUSED("d1", kit_token(k, "/devices/d1x", KEY1, end_s, NULL));
	REFUSED("nobody", kit_token(k, "/devices/nobody", KEY1, end_s, NULL));
	REFUSED("off", kit_token(k, "/devices/off", KEY1, end_s, NULL));
	REFUSED("ca", kit_token(k, "/devices/ca", KEY1, end_s, NULL));
	REFUSED("d1", STR_NONE); /* D-19 */
	REFUSED("d1/m1", kit_token(k, "/devices/d1/modules/m1", KEY1, end_s, NULL));
#undef REFUSED
	assert_int_equal(k->reply.session_epoch, 0);
	assert_string_equal(kit_effects(k), "");
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Disconnected'");
	kit_shows(k, "lastActivityTime", "'0001-01-01T00:00:00Z'");
}

static void
connect__L79_skew_is_granted(void **state)
{
	struct kit *k = *state;
	int64_t now_s;

	kit_device(k, "d1");
	now_s = k->env.now_us / SECOND + 1; /* of the operation to come */
	assert_int_equal(
	    connect_with(k, "d1", kit_token(k, "/devices/d1", KEY1, now_s - SAS_SKEW_S, NULL)),
	    F_NONE);
	assert_int_equal(
	    connect_with(k, "d1", kit_token(k, "/devices/d1", KEY1, now_s - SAS_SKEW_S, NULL)),
	    F_IotHubUnauthorizedAccess); /* a second later */
}

static void
connect__D13_policy_tokens(void **state)
{
	struct kit *k = *state;
	int64_t end_s = in_an_hour(k);

	kit_device(k, "d1");
	kit_put(k, "ca", NULL, "{'authentication':{'type':'certificateAuthority'}}");
	assert_int_equal(connect_with(k, "d1", kit_token(k, "", KEY1, end_s, "device")), F_NONE);
	assert_int_equal(
	    connect_with(k, "d1", kit_token(k, "/devices", KEY2, end_s, "iothubowner")), F_NONE);
	assert_int_equal(connect_with(k, "ca", kit_token(k, "", KEY1, end_s, "device")), F_NONE);
	assert_int_equal(connect_with(k, "d1", kit_token(k, "", KEY1, end_s, "service")),
	    F_IotHubUnauthorizedAccess);
	assert_int_equal(connect_with(k, "d1", kit_token(k, "", KEY1, end_s, "unknown")),
	    F_IotHubUnauthorizedAccess);
	assert_int_equal(connect_with(k, "nobody", kit_token(k, "", KEY1, end_s, "device")),
	    F_IotHubUnauthorizedAccess);
}

static void
connect__D18_thumbprints(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1");
	uint8_t sha1[20] = { 1, 2, 3 }, sha256[32] = { 4, 5, 6 };

	kit_put(k, "d1", NULL,
	    "{'authentication':{'type':'selfSigned','x509Thumbprint':{'primaryThumbprint':"
	    "'0102030000000000000000000000000000000000','secondaryThumbprint':"
	    "'0405060000000000000000000000000000000000000000000000000000000000'}}}");
	op.connect.clean = op.shown.has_certificate = true;
	op.shown.not_after_us = INT64_MAX;
	cert_print_hex(&op.shown.print, sha1, (const uint8_t[32]){ 9 });
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.verdict.end_us, 0);
	cert_print_hex(&op.shown.print, (const uint8_t[20]){ 9 }, sha256);
	assert_int_equal(kit_run(k, &op), F_NONE);
	cert_print_hex(&op.shown.print, (const uint8_t[20]){ 9 }, (const uint8_t[32]){ 9 });
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	cert_print_hex(&op.shown.print, sha1, sha256);
	op.shown.has_certificate = false;
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	op.shown.has_certificate = true;
	op.shown.token = kit_token(k, "/devices/d1", KEY1, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess); /* the password decides */
	kit_device(k, "sas");
	op.device = STR("sas");
	op.shown.token = STR_NONE;
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
}

static void
connect__D18_certificates_of_a_ca(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1");

	kit_put(k, "d1", NULL, "{'authentication':{'type':'certificateAuthority'}}");
	kit_put(k, "d1/m1", NULL, "{'authentication':{'type':'certificateAuthority'}}");
	op.connect.clean = op.shown.has_certificate = true;
	op.shown.not_after_us = INT64_MAX;
	op.shown.ca = KIT_CA;
	op.shown.common_name = STR("d1");
	assert_int_equal(kit_run(k, &op), F_NONE);
	op.shown.common_name = STR("d2");
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	op.shown.common_name = STR("d1");
	op.shown.ca = 0;
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	op.shown.ca = KIT_CA;
	op.module = STR("m1");
	assert_int_equal(kit_run(k, &op), F_NONE); /* D-79: its device's */
	op.shown.common_name = STR("d1/m1");
	assert_int_equal(kit_run(k, &op), F_NONE);
	op.shown.common_name = STR("d1.m1");
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
}

/* T-88: a module has no status of its own. */
static void
connect__modules_fall_with_their_device(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1/m1");

	kit_device(k, "d1");
	kit_device(k, "d1/m1");
	op.connect.clean = true;
	op.shown.token = kit_token(k, "/devices/d1/modules/m1", KEY1, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_put(k, "d1", "*", "{'status':'disabled'}");
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
}

static void
connect__D79_a_device_opens_its_modules(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1/m1");

	kit_device(k, "d1");
	kit_put(k, "d1/m1", NULL, "{'authentication':{'type':'none'}}");
	kit_restart(k); /* both records come from the store */
	op.connect.clean = true;
	op.shown.token = kit_token(k, "/devices/d1", KEY2, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_NONE);
	op.shown.token = kit_token(k, "/devices/d2", KEY2, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	op.module = STR("m2"); /* there is none */
	op.shown.token = kit_token(k, "/devices/d1", KEY2, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
}

/* ---- links and the keys that opened them ---- */

#define KEYS(first, second)                                                                        \
	"{'authentication':{'symmetricKey':{'primaryKey':'" first "','secondaryKey':'" second "'}" \
	"}}"
#define KEY9 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void
link__D81_lives_as_long_as_the_key_that_opened_it(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_connect(k, "d1", 1, true); /* by the primary key */
	kit_put(k, "d1", "*", KEYS(KEY1, KEY9));
	assert_string_equal(kit_effects(k), "");
	kit_put(k, "d1", "*", KEYS(KEY9, KEY1)); /* swapped: it still counts */
	assert_string_equal(kit_effects(k), "");
	kit_put(k, "d1", "*", KEYS(KEY9, KEY2));
	assert_string_equal(kit_effects(k), "close 1");
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Disconnected'");
	kit_put(k, "d1", "*", KEYS(KEY1, KEY2));
	kit_connect(k, "d1", 2, true);
	kit_put(k, "d1", "*", "{'authentication':{'type':'certificateAuthority'}}");
	assert_string_equal(kit_effects(k), "close 2");
}

static void
link__D81_regenerated_keys_close_their_side(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	kit_connect(k, "d1", 1, true);
	op = kit_op(OP_KEYS_REGENERATE, "d1");
	op.keys = 2;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_string_equal(kit_effects(k), "");
	op.keys = 1;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_string_equal(kit_effects(k), "close 1");
}

/* Those that the device's key opened, not those of their own keys. */
static void
link__D81_a_devices_key_takes_its_modules_along(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1/m1");

	kit_device(k, "d1");
	kit_put(k, "d1/m1", NULL, "{'authentication':{'type':'none'}}");
	kit_put(k, "d1/m2", NULL, KEYS(KEY9, KEY9));
	op.connect.clean = true;
	op.reply_to.slot = 1;
	op.shown.token = kit_token(k, "/devices/d1", KEY1, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_NONE);
	op.module = STR("m2");
	op.reply_to.slot = 2;
	op.shown.token = kit_token(k, "/devices/d1/modules/m2", KEY9, in_an_hour(k), NULL);
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_put(k, "d1", "*", KEYS(KEY1, KEY9));
	kit_put(k, "d1/m1", "*", "{'authentication':{'type':'none'}}");
	assert_string_equal(kit_effects(k), "");
	kit_put(k, "d1", "*", KEYS(KEY2, KEY9));
	assert_string_equal(kit_effects(k), "close 1");
	kit_put(k, "d1/m2", "*", KEYS(KEY1, KEY2));
	assert_string_equal(kit_effects(k), "close 2");
}

static void
link__D81_a_policys_link_is_no_matter_of_the_identitys_keys(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1");

	kit_device(k, "d1");
	op.connect.clean = true;
	op.reply_to.slot = 1;
	op.shown.token = kit_token(k, "", KEY1, in_an_hour(k), "device");
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_put(k, "d1", "*", KEYS(KEY9, KEY9));
	assert_string_equal(kit_effects(k), "");
	kit_put(k, "d1", "*", "{'status':'disabled'}");
	assert_string_equal(kit_effects(k), "close 1");
}

static void
connect__model_id_is_kept(void **state)
{
	struct kit *k = *state;
	struct op op;
	char etag[32];

	kit_device(k, "d1");
	kit_etag(k, etag);
	op = kit_connect_op(k, "d1", 1, true);
	op.connect.has_model_id = true;
	op.connect.model_id = STR("dtmi:com:example:Thermostat;1");
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_connect(k, "d1", 2, true); /* one that announces none changes nothing */
	kit_read(k, "d1");
	kit_shows(k, "modelId", "'dtmi:com:example:Thermostat;1'");
	kit_put(k, "d1", "*", "{}");
	kit_restart(k);
	kit_read(k, "d1");
	kit_shows(k, "modelId", "'dtmi:com:example:Thermostat;1'");
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	k->hold = true;
	op = kit_connect_op(k, "d1", 3, true);
	op.connect.has_model_id = true;
	op.connect.model_id = STR("dtmi:com:example:Thermostat;1");
	kit_run(k, &op);
	assert_int_equal(k->batch.n, 0); /* the same again is no write */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(connect__tokens_of_either_key),
		kit_test(connect__D15_refusals),
		kit_test(connect__L79_skew_is_granted),
		kit_test(connect__D13_policy_tokens),
		kit_test(connect__D18_thumbprints),
		kit_test(connect__D18_certificates_of_a_ca),
		kit_test(connect__modules_fall_with_their_device),
		kit_test(connect__D79_a_device_opens_its_modules),
		kit_test(link__D81_lives_as_long_as_the_key_that_opened_it),
		kit_test(link__D81_regenerated_keys_close_their_side),
		kit_test(link__D81_a_devices_key_takes_its_modules_along),
		kit_test(link__D81_a_policys_link_is_no_matter_of_the_identitys_keys),
		kit_test(connect__model_id_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
