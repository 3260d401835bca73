/* Judging: whose key, what it may do, what the link then depends on (device-mqtt.md 2.3, 2.4). */
#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define HOST   "hub.example.test"
#define KEY1   "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY2   "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
#define KEY3   "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
#define KEY4   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define NOW_S  INT64_C(1893456000)
#define NOW_US (NOW_S * 1000000)
#define CA     UINT64_C(77)

static struct sas_mac *mac;
static struct str host = { HOST, sizeof(HOST) - 1 };
static const uint64_t cas[] = { 5, CA };
static struct buf token;
static struct verdict v;

static int
init(void **state)
{
	(void)state;
	mac = sas_mac_new();
	return 0;
}

static int
fini(void **state)
{
	(void)state;
	sas_mac_free(mac);
	buf_fini(&token);
	return 0;
}

static const struct policy policies[] = {
	{ .name = { "device", 6 },
	    .rights = RIGHT_DEVICE_CONNECT,
	    .primary = { KEY1, sizeof(KEY1) - 1 },
	    .secondary = { KEY2, sizeof(KEY2) - 1 } },
	{ .name = { "service", 7 },
	    .rights = RIGHT_SERVICE_CONNECT,
	    .primary = { KEY3, sizeof(KEY3) - 1 },
	    .secondary = { KEY4, sizeof(KEY4) - 1 } },
};

static struct auth_keys
sas_keys(const char *primary, const char *secondary)
{
	return (
	    struct auth_keys){ .type = AUTH_SAS, .keys = { str_of(primary), str_of(secondary) } };
}

static struct auth_ask
asks(const char *device, const char *module, const struct auth_keys *own,
    const struct auth_keys *parent)
{
	return (struct auth_ask){ .device = str_of(device),
		.module = str_of(module),
		.own = own,
		.parent = parent,
		.policies = policies,
		.npolicies = 2,
		.cas = cas,
		.nca = 2,
		.hosts = { &host, 1 },
		.skew_s = SAS_SKEW_S,
		.now_us = NOW_US };
}

/* NULL, or why this token is refused. */
static const char *
judged(const struct auth_ask *ask, const char *resource, const char *key, int64_t end_s,
    const char *policy)
{
	struct credentials shown = { 0 };

	token.n = 0;
	assert_int_equal(
	    sas_make(mac, &token, str_of(resource), str_of(key), end_s, str_of(policy)), ERR_OK);
	shown.token = buf_view(&token);
	auth_judge(mac, ask, &shown, &v);
	return v.refused != REASON_NONE ? reason_text(v.refused) : NULL;
}

static void
auth_judge__D13_tells_whose_key_it_is(void **state)
{
	struct auth_keys own = sas_keys(KEY1, KEY2), parent = sas_keys(KEY3, KEY4);
	struct auth_ask device = asks("d1", "", &parent, NULL),
	                module = asks("d1", "m1", &own, &parent);

	(void)state;
	assert_null(judged(&device, HOST "/devices/d1", KEY3, NOW_S + 60, ""));
	assert_int_equal(v.rights, RIGHT_DEVICE_SELF);
	assert_int_equal(v.opened.by, OPENED_BY_SELF);
	assert_int_equal(v.end_us, (NOW_S + 60 + SAS_SKEW_S) * 1000000);
	assert_null(judged(&module, HOST "/devices/d1/modules/m1", KEY1, NOW_S + 60, ""));
	assert_int_equal(v.rights, RIGHT_MODULE_SELF);
	assert_int_equal(v.opened.by, OPENED_BY_SELF);
	assert_null(judged(&module, HOST, KEY2, NOW_S + 60, "device"));
	assert_int_equal(v.rights, RIGHT_DEVICE_CONNECT);
	assert_int_equal(v.opened.by, OPENED_BY_POLICY);
	assert_memory_equal(v.policy, "device", 6);
	assert_non_null(judged(&module, HOST, KEY3, NOW_S + 60, "device"));
	assert_int_equal(v.rights, 0);
}

static void
auth_judge__D79_a_devices_key_speaks_for_its_modules(void **state)
{
	struct auth_keys own = sas_keys(KEY1, KEY2), parent = sas_keys(KEY3, KEY4),
	                 none = { .type = AUTH_NONE };
	struct auth_ask ask = asks("d1", "m1", &own, &parent);

	(void)state;
	assert_null(judged(&ask, HOST "/devices/d1/modules/m1", KEY4, NOW_S + 60, ""));
	assert_int_equal(v.rights, RIGHT_DEVICE_SELF);
	assert_int_equal(v.opened.by, OPENED_BY_PARENT);
	assert_null(judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 60, ""));
	ask.own = &none;
	assert_null(judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 60, ""));
	ask.own = NULL; /* one that is to be made */
	assert_null(judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 60, ""));
	/* not for another's, and not the other way round */
	assert_non_null(judged(&ask, HOST "/devices/d2/modules/m1", KEY3, NOW_S + 60, ""));
	ask = asks("d1", "", &parent, NULL);
	assert_non_null(judged(&ask, HOST "/devices/d1", KEY1, NOW_S + 60, ""));
}

static void
auth_judge__D80_the_case_of_sr_counts_for_policies_only(void **state)
{
	struct auth_keys own = sas_keys(KEY3, KEY4), parent = sas_keys(KEY3, KEY4);
	struct auth_ask ask = asks("Dev1", "$edgeHub", &own, &parent);

	(void)state;
	assert_null(judged(&ask, HOST "/devices/dev1/modules/$edgehub", KEY3, NOW_S + 60, ""));
	assert_string_equal(
	    judged(&ask, HOST "/devices/dev1/modules/$edgehub", KEY1, NOW_S + 60, "device"),
	    "the token is for another resource");
	assert_false(v.tell);
	ask.path = STR("/devices/Dev1/modules/%24edgeHub/devicesAndModulesInDeviceScope");
	assert_null(judged(&ask, HOST "/devices/dev1/modules/$edgehub", KEY3, NOW_S + 60, ""));
	assert_non_null(judged(&ask, HOST "/devices/dev1", KEY1, NOW_S + 60, "device"));
	assert_non_null(judged(&ask, HOST "/devices/dev2", KEY3, NOW_S + 60, ""));
}

static void
auth_judge__L79_a_token_may_not_end_later_than_allowed(void **state)
{
	struct auth_keys own = sas_keys(KEY3, KEY4);
	struct auth_ask ask = asks("d1", "", &own, NULL);

	(void)state;
	assert_null(judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 999999, ""));
	ask.ttl_max_s = 3600;
	assert_null(judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 3600, ""));
	assert_string_equal(judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 3601, ""),
	    "the token ends later than --max-token-ttl allows");
	assert_true(v.tell);
	assert_string_equal(judged(&ask, HOST, KEY1, INT64_MAX, "device"),
	    "the token ends later than --max-token-ttl allows");
	assert_string_equal(judged(&ask, HOST "/devices/d1", KEY1, NOW_S + 3601, ""),
	    "the signature is not the identity's"); /* nothing is told to who has no key */
	assert_false(v.tell);
}

static void
opened_holds__D81_depends_on_the_side_that_signed(void **state)
{
	struct auth_keys own = sas_keys(KEY3, KEY4), other;
	struct auth_ask ask = asks("d1", "", &own, NULL);
	struct opened first, second;

	(void)state;
	judged(&ask, HOST "/devices/d1", KEY3, NOW_S + 60, "");
	first = v.opened;
	judged(&ask, HOST "/devices/d1", KEY4, NOW_S + 60, "");
	second = v.opened;
	assert_true(first.print != second.print);
	assert_true(opened_holds(&first, &own) && opened_holds(&second, &own));
	other = sas_keys(KEY3, KEY1);
	assert_true(opened_holds(&first, &other));
	assert_false(opened_holds(&second, &other));
	other = sas_keys(KEY4, KEY3); /* swapped: both are still keys of it */
	assert_true(opened_holds(&first, &other) && opened_holds(&second, &other));
	other = (struct auth_keys){ .type = AUTH_CA };
	assert_false(opened_holds(&first, &other));
	other.type = AUTH_NONE;
	assert_false(opened_holds(&first, &other));
}

static void
opened_known__D81_depends_on_the_policy_and_its_key(void **state)
{
	struct auth_ask ask = asks("d1", "", NULL, NULL);
	struct policy now[2] = { policies[0], policies[1] };
	struct opened o;

	(void)state;
	assert_null(judged(&ask, HOST, KEY1, NOW_S + 60, "device"));
	o = v.opened;
	assert_true(opened_known(&o, now, 2, NULL, 0));
	now[0].secondary = STR(KEY3);
	assert_true(opened_known(&o, now, 2, NULL, 0));
	now[0].primary = STR(KEY4);
	assert_false(opened_known(&o, now, 2, NULL, 0));
	now[1].primary = STR(KEY1); /* the same key of another policy is not the same */
	now[1].rights = RIGHTS_ALL;
	assert_false(opened_known(&o, now, 2, NULL, 0));
	now[0] = policies[0];
	now[0].rights = RIGHT_SERVICE_CONNECT;
	assert_false(opened_known(&o, now, 2, NULL, 0));
	assert_false(opened_known(&o, NULL, 0, NULL, 0));
}

static struct credentials
certificate(const char *cn, uint64_t ca)
{
	struct credentials c = { .has_certificate = true,
		.common_name = str_of(cn),
		.ca = ca,
		.not_before_us = NOW_US - 1,
		.not_after_us = NOW_US + 1 };

	cert_print_hex(&c.print, (const uint8_t[20]){ 1, 2 }, (const uint8_t[32]){ 3, 4 });
	return c;
}

static const char *
judged_by(const struct auth_ask *ask, const struct credentials *c)
{
	auth_judge(mac, ask, c, &v);
	return v.refused != REASON_NONE ? reason_text(v.refused) : NULL;
}

static void
auth_judge__D18_certificates_say_what_is_wrong_with_them(void **state)
{
	struct auth_keys own = { .type = AUTH_CA };
	struct auth_ask ask = asks("d1", "", &own, NULL);
	struct credentials c = certificate("d1", CA);

	(void)state;
	assert_null(judged_by(&ask, &c));
	assert_int_equal(v.end_us, 0);
	assert_int_equal(v.opened.ca, CA);
	assert_true(opened_known(&v.opened, NULL, 0, cas, 2));
	assert_false(opened_known(&v.opened, NULL, 0, cas, 1)); /* it is registered no more */
	assert_true(opened_holds(&v.opened, &own));
	c.not_after_us = NOW_US - 1;
	assert_string_equal(judged_by(&ask, &c), "the certificate has expired");
	c.not_after_us = c.not_before_us = NOW_US + 1;
	assert_string_equal(judged_by(&ask, &c), "the certificate is not valid yet");
	c = certificate("d1", 6);
	assert_string_equal(
	    judged_by(&ask, &c), "the certificate does not lead to a registered CA");
	c = certificate("d1", 0);
	c.ca_outdated = true;
	assert_string_equal(judged_by(&ask, &c),
	    "a CA certificate of the certificate's chain has expired, or is not valid yet");
	c.revoked = true;
	assert_string_equal(judged_by(&ask, &c),
	    "the certificate, or a CA of its chain, is on a list of revoked ones (--client-crl)");
	c = certificate("d2", CA);
	assert_string_equal(judged_by(&ask, &c), "the certificate's common name is another id");
	c.has_certificate = false;
	assert_string_equal(judged_by(&ask, &c), "neither a token nor a certificate");
}

static void
auth_judge__D79_a_devices_certificate_speaks_for_its_modules(void **state)
{
	struct auth_keys own = sas_keys(KEY1, KEY2), parent = { .type = AUTH_CA };
	struct auth_ask ask = asks("d1", "m1", &own, &parent);
	struct credentials c = certificate("d1", CA);

	(void)state;
	assert_null(judged_by(&ask, &c));
	assert_int_equal(v.opened.by, OPENED_BY_PARENT);
	assert_int_equal(v.rights, RIGHT_DEVICE_SELF);
	parent = (struct auth_keys){ .type = AUTH_SELF_SIGNED,
		.thumbs = { STR_NONE, STR("0102000000000000000000000000000000000000") } };
	assert_null(judged_by(&ask, &c));
	assert_true(opened_holds(&v.opened, &parent));
	parent.thumbs[1] = STR("0103000000000000000000000000000000000000");
	assert_false(opened_holds(&v.opened, &parent));
	assert_non_null(judged_by(&ask, &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(auth_judge__D13_tells_whose_key_it_is),
		cmocka_unit_test(auth_judge__D79_a_devices_key_speaks_for_its_modules),
		cmocka_unit_test(auth_judge__D80_the_case_of_sr_counts_for_policies_only),
		cmocka_unit_test(auth_judge__L79_a_token_may_not_end_later_than_allowed),
		cmocka_unit_test(opened_holds__D81_depends_on_the_side_that_signed),
		cmocka_unit_test(opened_known__D81_depends_on_the_policy_and_its_key),
		cmocka_unit_test(auth_judge__D18_certificates_say_what_is_wrong_with_them),
		cmocka_unit_test(auth_judge__D79_a_devices_certificate_speaks_for_its_modules),
	};

	return cmocka_run_group_tests(tests, init, fini);
}
