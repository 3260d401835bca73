/* Devices: who may connect, sessions, subscriptions, twin requests, telemetry (device-mqtt.md 2 to 6). */
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

/* ---- take-over (D-25, T-106) ---- */

static void
session__D25_the_newest_wins(void **state)
{
	struct kit *k = *state;
	uint64_t first, second;

	kit_device(k, "d1");
	first = kit_connect(k, "d1", 1, true);
	second = kit_connect(k, "d1", 2, true);
	assert_true(second != first);
	assert_string_equal(kit_effects(k), "close 1");
	assert_int_equal(
	    kit_report(k, "d1", first, "{'x':1}"), F_ConnectionForcefullyClosedOnNewConnection);
	assert_true(k->reply.gone);
	assert_int_equal(kit_report(k, "d1", second, "{'x':1}"), F_NONE);
	assert_false(k->reply.gone);
	kit_session_op(k, OP_DISCONNECT, "d1", first, NULL); /* late: T-106 */
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Connected'");
	kit_session_op(k, OP_DISCONNECT, "d1", second, NULL);
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Disconnected'");
}

static void
session__D25_a_refused_connect_leaves_the_old_one_alone(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_int_equal(connect_with(k, "d1", STR("wrong")), F_IotHubUnauthorizedAccess);
	assert_string_equal(kit_effects(k), "");
	assert_int_equal(kit_report(k, "d1", session_epoch, "{}"), F_NONE);
}

/* The close of the old link waits for the commit of what the new one writes: it comes behind the write. */
static void
session__close_of_the_old_link_is_behind_the_write(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	kit_connect(k, "d1", 1, true);
	k->hold = true;
	op = kit_connect_op(k, "d1", 2, false);
	k->env.can_write = false;
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_string_equal(kit_effects(k), "");
	k->env.can_write = true;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->batch.n, 1);
	assert_string_equal(kit_effects(k), "close 1");
}

static void
session__epochs_grow_over_restarts(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_restart(k);
	assert_true(kit_connect(k, "d1", 1, true) > session_epoch);
}

/* ---- durable sessions (2.7) ---- */

static void
session__D21_clean_0_keeps_its_filters(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_false(k->reply.session_present); /* the first */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "td"), "00");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), ""); /* T-65: not for later */
	kit_restart(k);                          /* D-22 */
	kit_connect(k, "d1", 2, false);
	assert_true(k->reply.session_present);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':2}}}"); /* T-72 */
	assert_string_equal(kit_effects(k), "notify 2 v3 {'a':2,'$version':3}");
}

static void
session__D23_clean_1_drops_what_was_stored(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	kit_subscribe(k, "d1", session_epoch, "d");
	kit_connect(k, "d1", 2, true);
	assert_false(k->reply.session_present);
	kit_effects(k);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
	assert_int_equal(k->store.n, 3); /* no session record */
	kit_connect(k, "d1", 3, false);
	assert_false(k->reply.session_present);
}

static void
session__clean_1_writes_nothing(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	k->hold = true;
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_subscribe(k, "d1", session_epoch, "tdmc");
	kit_unsubscribe(k, "d1", session_epoch, "c");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	assert_int_equal(k->batch.n, 0);
}

/* A store that takes no writes: whoever needs none may connect. */
static void
session__without_writes_only_connects_that_need_none(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	k->env.can_write = false;
	op = kit_connect_op(k, "d1", 1, false);
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	op = kit_connect_op(k, "d1", 1, true);
	assert_int_equal(kit_run(k, &op), F_NONE);
	k->env.can_write = true;
	kit_connect(k, "d1", 2, false);
	k->env.can_write = false;
	op = kit_connect_op(k, "d1", 3, false);
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_true(k->reply.session_present);
	op = kit_connect_op(k, "d1", 3, true);
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_true(op_writes(OP_REPORT) && op_writes(OP_TELEMETRY) && op_writes(OP_IDENTITY_PUT) &&
	    op_writes(OP_TWIN_PATCH) && op_writes(OP_TWIN_REPLACE) &&
	    op_writes(OP_IDENTITY_DELETE));
	assert_false(op_writes(OP_TWIN_GET) || op_writes(OP_TWIN_READ) || op_writes(OP_ACK) ||
	    op_writes(OP_CONNECT) || op_writes(OP_DISCONNECT) || op_writes(OP_IDENTITY_GET) ||
	    op_writes(OP_SUBSCRIBE) || op_writes(OP_UNSUBSCRIBE));
}

/* What a session listens to is stored for a durable one only, and only when it changes. */
static void
subscribe__without_writes_is_refused_only_if_it_takes_one(void **state)
{
	struct kit *k = *state;
	uint64_t clean, durable;

	kit_device(k, "clean");
	kit_device(k, "durable");
	durable = kit_connect(k, "durable", 2, false);
	assert_string_equal(kit_subscribe(k, "durable", durable, "td"), "00");
	k->hold = true;
	k->env.can_write = false;
	clean = kit_connect(k, "clean", 1, true);
	assert_string_equal(kit_subscribe(k, "clean", clean, "td"), "00");
	kit_unsubscribe(k, "clean", clean, "d");
	assert_string_equal(kit_subscribe(k, "durable", durable, "td"), "00"); /* as stored */
	assert_string_equal(kit_subscribe(k, "durable", durable, "tm"), "");
	assert_int_equal(k->reply.fault.code, F_ServiceUnavailable);
	assert_int_equal(k->reply.body.n, 0);
	assert_int_equal(k->batch.n, 0);
	k->env.can_write = true;
	assert_string_equal(kit_subscribe(k, "durable", durable, "tm"), "00");
	assert_int_equal(k->batch.n, 1);
}

/* ---- subscriptions ---- */

static void
subscribe__D31_one_code_each_in_order(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "tDxmC"), "01x01"); /* D-35 */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, ""), "");
}

static void
subscribe__D34_qos_2_is_granted_1(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_SUBSCRIBE, "d1");
	struct filter f = { FILTER_C2D, 2, STR_NONE };
	struct buf list = { 0 };

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	filters_put(&list, &f);
	op.payload = buf_view(&list);
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.body.p[0], 1);
	buf_fini(&list);
}

static void
subscribe__D36_L77_a_sixth_filter_is_refused(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "tdmcyz"), "00000x");
	assert_string_equal(
	    kit_subscribe(k, "d1", session_epoch, "T"), "1"); /* again is no sixth */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "z"), "x");
	kit_unsubscribe(k, "d1", session_epoch, "xzy"); /* what is not there is fine: D-37 */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "zy"), "0x");
}

static void
subscribe__D37_unsubscribed_hears_nothing_also_later(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	kit_subscribe(k, "d1", session_epoch, "td");
	kit_unsubscribe(k, "d1", session_epoch, "d");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
	kit_connect(k, "d1", 2, false);
	kit_effects(k);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
}

static void
subscribe__methods_of_two_names_are_two(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "yzt"), "000");
	kit_unsubscribe(k, "d1", session_epoch, "y");
	assert_string_equal(
	    kit_subscribe(k, "d1", session_epoch, "dmc"), "000"); /* z, t and these */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "y"), "x");
}

/* ---- the twin ---- */

static void
device_get__T52_bare_sections(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_patch(k, "d1", NULL, "{'tags':{'t':1},'properties':{'desired':{'a':{'b':1}}}}");
	kit_report(k, "d1", session_epoch, "{'x':2.5}");
	assert_int_equal(kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL), F_NONE);
	assert_string_equal(kit_body_text(k),
	    "{'desired':{'a':{'b':1},'$version':2},'reported':{'x':2.5,'$version':2}}");
	assert_false(k->reply.deliver); /* D-51: not subscribed to answers */
	kit_subscribe(k, "d1", session_epoch, "t");
	kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL);
	assert_true(k->reply.deliver);
}

static void
report__T60_every_accepted_patch_is_a_step(void **state)
{
	struct kit *k = *state;
	static const char *const patches[] = { "{'x':1}", "{'x':1}", "{}", "{'y':null}" };
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(kit_report(k, "d1", session_epoch, patches[i]), F_NONE);
		assert_int_equal(k->reply.version, 2 + i);
	}
	assert_int_equal(kit_report(k, "d1", session_epoch, "{'x':null}"), F_NONE); /* D-47 */
	assert_string_equal(kit_counters(k, "d1"), "1 7 1 6");
	kit_shows(k, "properties/reported/x", "-");
}

static void
report__T61_base_version(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_REPORT, "d1");

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	kit_doc(k, "{'x':1}", &op);
	op.has_base_version = true;
	assert_int_equal(kit_run(k, &op), F_PreconditionFailed); /* 0 */
	op.base_version = UINT64_C(1) << 32 | 1;
	assert_int_equal(kit_run(k, &op), F_PreconditionFailed);
	op.base_version = 1;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.version, 2);
	assert_int_equal(kit_run(k, &op), F_PreconditionFailed);
	assert_string_equal(kit_counters(k, "d1"), "1 3 1 2");
}

static void
report__T64_refused_patches_change_nothing(void **state)
{
	struct kit *k = *state;
	static const char *const bad[] = { "5", "null", "[]", "{'$version':1}", "{'a':{'$b':1}}",
		"{'a.b':1}", "{'a b':1}", "{'a':[null]}", "{'a':4503599627370496}" };
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	k->hold = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(kit_report(k, "d1", session_epoch, bad[i]), F_ArgumentInvalid);
	assert_int_equal(k->batch.n, 0);
}

static void
report__version_wraps_as_the_section_does(void **state)
{
	struct kit *k = *state;
	struct buf record = { 0 }, section = { 0 };
	uint64_t session_epoch;
	struct str bytes;
	struct rd rd;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	section_new(&section, BEGIN);
	/* format | version 1 | ...: the same with the last version there is */
	rd = rd_of(buf_view(&section));
	buf_putc(&record, (char)rd_u8(&rd));
	assert_int_equal(rd_varint(&rd), 1);
	buf_varint(&record, INT32_MAX);
	buf_put(&record, rd.p, (size_t)(rd.end - rd.p));
	section.n = 0;
	reported_encode(&section, BEGIN, buf_view(&record));
	bytes = buf_view(&section);
	assert_true(reported_check(bytes));
	row_write(k->sh, row_find(k->sh, STR("d1"), STR_NONE), RECORD_REPORTED, &bytes, &k->env);
	assert_int_equal(kit_report(k, "d1", session_epoch, "{'x':1}"), F_NONE);
	assert_int_equal(k->reply.version, 1);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	buf_fini(&record);
	buf_fini(&section);
}

static void
report__activity_is_remembered_with_it(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1"); /* second 1 */
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_report(k, "d1", session_epoch, "{}");
	kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL); /* second 4 */
	kit_read(k, "d1");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:04.0000000Z'");
	kit_restart(k);
	kit_read(k, "d1");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:03.0000000Z'"); /* of the last write */
	kit_get(k, "d1");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:03.0000000Z'");
}

/* ---- notifications (T-65 to T-72) ---- */

static void
notify__T65_only_who_is_connected_and_subscribed(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	session_epoch = kit_connect(k, "d1", 5, true);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_subscribe(k, "d1", session_epoch, "t");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_subscribe(k, "d1", session_epoch, "d"); /* T-71: nothing by itself */
	assert_string_equal(kit_effects(k), "");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'a':{'b':null}}}}");
	assert_string_equal(kit_effects(k), "notify 5 v5 {'a':{'b':null},'$version':5}");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}"); /* T-66 */
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'b c':1}}}");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
}

/* ---- telemetry ---- */

static uint32_t
nlog(const struct kit *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->store.n; i++)
		n += k->store.v[i].kind == RECORD_LOG;
	return n;
}

static void
telemetry__is_logged_with_who_and_when(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_TELEMETRY, "d1");
	const struct kit_row *r = NULL;
	struct identity id;
	struct rd rd;

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	op.actor = ACTOR_DEVICE;
	op.actor_name = STR("d1");
	op.payload = STR("body");
	assert_int_equal(kit_run(k, &op), F_NONE);
	for (uint32_t i = 0; i < k->store.n; i++)
		if (k->store.v[i].kind == RECORD_LOG)
			r = &k->store.v[i];
	assert_non_null(r);
	assert_int_equal(r->key.n, 10);
	assert_memory_equal(r->key.p, "\0\3", 2);
	identity_decode(
	    blob_str(row_find(k->sh, STR("d1"), STR_NONE)->records[RECORD_IDENTITY]), &id);
	rd = rd_of(buf_view(&r->value));
	assert_int_equal(rd_u8(&rd), 1);
	assert_int_equal(rd_varint(&rd), k->env.now_us);
	assert_int_equal(rd_u8(&rd), ACTOR_DEVICE);
	assert_true(str_eq(rd_lstr(&rd), STR("d1")));
	assert_true(str_eq(rd_lstr(&rd), STR("d1")));
	assert_true(str_eq(rd_lstr(&rd), STR_NONE));
	assert_int_equal(rd_varint(&rd), id.generation);
	assert_int_equal(rd_u8(&rd), AUTH_SAS);
	assert_memory_equal(rd.p, "body", 4);
	assert_int_equal(rd.end - rd.p, 4);
	kit_run(k, &op);
	assert_int_equal(nlog(k), 2); /* a position of its own */
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

/* The clock is set back: the log's time stands still, a microsecond for each record, and $lastUpdated follows. */
static void
telemetry__a_clock_that_is_set_back_leaves_the_logs_time_in_order(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_TELEMETRY, "d1");
	char text[TIME_TEXT_MAX + 3] = { 0 };
	unsigned seen = 0;
	int64_t ahead;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	op.session_epoch = session_epoch;
	op.actor = ACTOR_DEVICE;
	op.actor_name = STR("d1");
	op.payload = STR("body");
	k->env.now_us += 800 * 86400 * SECOND;
	kit_run(k, &op);
	ahead = k->env.now_us;
	k->env.now_us -= 801 * 86400 * SECOND;
	kit_run(k, &op);
	kit_run(k, &op);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_true(k->env.now_us < ahead);
	text[0] = text[time_format(k->env.now_us, text + 1) + 1] = '\'';
	kit_read(k, "d1");
	kit_shows(k, "properties/desired/$metadata/a/$lastUpdated", text);
	k->env.now_us += 802 * 86400 * SECOND;
	kit_run(k, &op);
	for (uint32_t i = 0; i < k->store.n; i++) {
		struct rd rd = rd_of(buf_view(&k->store.v[i].value));
		int64_t place = 0;

		if (k->store.v[i].kind != RECORD_LOG)
			continue;
		for (int b = 2; b < 10; b++)
			place = place << 8 | (unsigned char)k->store.v[i].key.p[b];
		rd_u8(&rd);
		assert_int_equal((int64_t)rd_varint(&rd), place); /* the key is the time */
		seen |= place == ahead       ? 1u
		    : place == ahead + 1     ? 2u
		    : place == ahead + 2     ? 4u
		    : place == k->env.now_us ? 8u
		                             : 16u;
	}
	assert_int_equal(nlog(k), 4);
	assert_int_equal(seen, 15);
}

/* The bodies of log records, in their order, with a slash between. */
static void
log_text(const struct kit *k, struct buf *out)
{
	out->n = 0;
	for (uint32_t i = 0; i < k->store.n; i++) {
		const struct kit_row *r = &k->store.v[i];
		struct rd rd = rd_of(buf_view(&r->value));

		if (r->kind != RECORD_LOG)
			continue;
		rd_u8(&rd), rd_varint(&rd), rd_u8(&rd);
		rd_lstr(&rd), rd_lstr(&rd), rd_lstr(&rd);
		rd_varint(&rd), rd_u8(&rd);
		buf_str(out, (struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) });
		buf_putc(out, '/');
	}
	buf_putc(out, 0);
}

static struct op
events_op(struct buf *bodies)
{
	struct op op = kit_op(OP_EVENTS, "d1");

	buf_lstr(bodies, STR("one"));
	buf_lstr(bodies, STR_NONE);
	buf_lstr(bodies, STR("three"));
	op.actor = ACTOR_DEVICE;
	op.actor_name = STR("d1");
	op.payload = buf_view(bodies);
	return op;
}

static void
events__R106_each_is_a_record_and_no_session_is_needed(void **state)
{
	struct kit *k = *state;
	struct buf bodies = { 0 }, log = { 0 };
	struct op op = events_op(&bodies);

	assert_true(op_writes(OP_EVENTS));
	assert_int_equal(kit_run(k, &op), F_DeviceNotFound);
	kit_device(k, "d1");
	k->env.now_us += 5000000;
	assert_int_equal(kit_run(k, &op), F_NONE);
	log_text(k, &log);
	assert_string_equal(log.p, "one//three/");
	assert_int_equal(row_find(k->sh, STR("d1"), STR_NONE)->activity_us, k->env.now_us);
	buf_fini(&bodies);
	buf_fini(&log);
}

static void
events__R106_of_a_disabled_device_are_refused_its_modules_too(void **state)
{
	struct kit *k = *state;
	struct buf bodies = { 0 };
	struct op op = events_op(&bodies);

	kit_device(k, "d1");
	assert_int_equal(kit_put(k, "d1/m1", NULL, "{'deviceId':'d1','moduleId':'m1'}"), F_NONE);
	assert_int_equal(kit_put(k, "d1", "*", "{'deviceId':'d1','status':'disabled'}"), F_NONE);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	op.module = STR("m1");
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	assert_int_equal(nlog(k), 0);
	buf_fini(&bodies);
}

static void
disconnect__D30_the_will_is_logged(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_DISCONNECT, "d1");
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	op.session_epoch = session_epoch;
	kit_run(k, &op);
	assert_int_equal(nlog(k), 0);
	op.payload = STR("will");
	kit_run(k, &op); /* its session is over: after a take-over it is published too (2.8) */
	assert_int_equal(nlog(k), 1);
}

static void
disconnect__D30_a_will_that_is_not_logged_has_its_reason(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_DISCONNECT, "d1");

	kit_device(k, "d1");
	k->env.can_write = false;
	assert_int_equal(kit_run(k, &op), F_NONE); /* without a will there is nothing to lose */
	op.payload = STR("will");
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_int_equal(k->reply.reason, REASON_NO_WRITES);
	op.device = STR("nobody");
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_int_equal(k->reply.reason, REASON_DELETED);
	assert_int_equal(nlog(k), 0);
}

/* It must be heard when nothing can be read from the store. */
static void
disconnect__needs_no_record(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_DISCONNECT, "d1");

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	shard_evict(k->sh, 0);
	k->key.n = 0;
	assert_int_equal(hub_missing(k->sh, &op, &k->key), 0);
	op.payload = STR("will");
	assert_int_equal(hub_missing(k->sh, &op, &k->key), RECORD_BIT(RECORD_IDENTITY));
	hub_apply(k->sh, &op, &k->env, &k->reply); /* the store could not give it */
	assert_int_equal(k->reply.reason, REASON_NOT_STORED);
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Disconnected'");
	assert_int_equal(nlog(k), 0);
}

static void
ack__keeps_the_fault_that_it_carries(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_ACK, "d1");

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	fault_set(&k->reply.fault, F_IotHubFormatError, "no JSON");
	hub_apply(k->sh, &op, &k->env, &k->reply);
	assert_int_equal(k->reply.fault.code, F_IotHubFormatError);
	assert_false(k->reply.gone);
	op.session_epoch++;
	hub_apply(k->sh, &op, &k->env, &k->reply);
	assert_true(k->reply.gone);
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
		kit_test(session__D25_the_newest_wins),
		kit_test(session__D25_a_refused_connect_leaves_the_old_one_alone),
		kit_test(session__close_of_the_old_link_is_behind_the_write),
		kit_test(session__epochs_grow_over_restarts),
		kit_test(session__D21_clean_0_keeps_its_filters),
		kit_test(session__D23_clean_1_drops_what_was_stored),
		kit_test(session__clean_1_writes_nothing),
		kit_test(session__without_writes_only_connects_that_need_none),
		kit_test(subscribe__without_writes_is_refused_only_if_it_takes_one),
		kit_test(subscribe__D31_one_code_each_in_order),
		kit_test(subscribe__D34_qos_2_is_granted_1),
		kit_test(subscribe__D36_L77_a_sixth_filter_is_refused),
		kit_test(subscribe__D37_unsubscribed_hears_nothing_also_later),
		kit_test(subscribe__methods_of_two_names_are_two),
		kit_test(device_get__T52_bare_sections),
		kit_test(report__T60_every_accepted_patch_is_a_step),
		kit_test(report__T61_base_version),
		kit_test(report__T64_refused_patches_change_nothing),
		kit_test(report__version_wraps_as_the_section_does),
		kit_test(report__activity_is_remembered_with_it),
		kit_test(notify__T65_only_who_is_connected_and_subscribed),
		kit_test(telemetry__is_logged_with_who_and_when),
		kit_test(telemetry__a_clock_that_is_set_back_leaves_the_logs_time_in_order),
		kit_test(events__R106_each_is_a_record_and_no_session_is_needed),
		kit_test(events__R106_of_a_disabled_device_are_refused_its_modules_too),
		kit_test(disconnect__D30_the_will_is_logged),
		kit_test(disconnect__D30_a_will_that_is_not_logged_has_its_reason),
		kit_test(disconnect__needs_no_record),
		kit_test(ack__keeps_the_fault_that_it_carries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
