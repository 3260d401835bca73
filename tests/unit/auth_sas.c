/* SAS tokens: grammar, signatures, ends, scopes. */
#include "auth/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define KEY   "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define OTHER "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="

static struct sas_mac *mac;

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
	return 0;
}

static struct sas
parsed(const char *token)
{
	struct sas t;

	if (sas_parse(str_of(token), &t))
		fail_msg("'%s' is refused", token);
	return t;
}

static void
refused_as(enum err want, const char *token)
{
	struct sas t;
	enum err e = sas_parse(str_of(token), &t);

	if (e != want)
		fail_msg("'%s' gives %d", token, e);
}

static void
refused(const char *token)
{
	refused_as(ERR_SYNTAX, token);
}

static void
assert_str(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("got '" STR_FMT "', want '%s'", STR_ARG(got), want);
}

/* The vectors of device-mqtt.md 2.3, all with se=1893456000. */
static const struct {
	const char *sr, *sig;
} vectors[] = {
	{ "hub.example.test%2Fdevices%2Fdev1", "mpE//qzWMo9famjXw4rnuEoIAT3zM5KGSItRb58kTk0=" },
	{ "hub.example.test%2fdevices%2fdev1", "25r4iv9F1+iYaLzeOl3CQNwbpwlUjxc/cxXl1awclUQ=" },
	{ "hub.example.test/devices/dev1", "7sTJrE1jTxYCGTe1gJdn+medb/RtxYHrZjJphVkFqR4=" },
	{ "hub.example.test", "6XUZuJeFXZZ77176/UNRwItXICLJvjye2GVuoSl9i8U=" },
	{ "hub.example.test%2Fdevices%2Fd%253A1", "gze5MSR5C7HGTyzDk8+5028V0XyEpw7TxZEvlPueUNA=" },
	{ "hub.example.test%2Fdevices%2Fdev1%2Fmodules%2Fm1",
	    "XaFHS+VLyuLbnmYm5V52yYf1sY+NZRHcys6TUwmZC0o=" },
};

/* A vector's token; the signature encoded with %XX in capitals, in small letters, or not but for '=' at the end. */
enum style { UPPER, LOWER, RAW };

static void
vector_token(struct buf *out, size_t i, enum style style)
{
	buf_printf(out, "SharedAccessSignature sr=%s&sig=", vectors[i].sr);
	for (const char *c = vectors[i].sig; *c != '\0'; c++) {
		if (style == RAW || strchr("+/=", *c) == NULL)
			buf_putc(out, *c);
		else
			buf_printf(out, style == UPPER ? "%%%02X" : "%%%02x", (unsigned)*c);
	}
	buf_cstr(out, "&se=1893456000");
}

static void
sas_signed_by__D11_D12_holds_for_every_vector_and_encoding(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		for (enum style style = UPPER; style <= RAW; style++) {
			struct buf token = { 0 };
			struct sas t;

			vector_token(&token, i, style);
			assert_int_equal(sas_parse(buf_view(&token), &t), ERR_OK);
			assert_true(sas_signed_by(mac, &t, STR(KEY), STR_NONE));
			assert_true(
			    sas_signed_by(mac, &t, STR(OTHER), STR(KEY))); /* the secondary */
			assert_false(sas_signed_by(mac, &t, STR(OTHER), STR(OTHER)));
			buf_fini(&token);
		}
	}
}

static void
sas_signed_by__every_changed_character_breaks_it(void **state)
{
	struct buf token = { 0 };
	struct sas t;
	(void)state;

	vector_token(&token, 0, UPPER);
	for (size_t i = sizeof("SharedAccessSignature ") - 1; i < token.n; i++) {
		char was = token.p[i];
		token.p[i] = was == '1' ? '2' : '1';
		if (sas_parse(buf_view(&token), &t) == ERR_OK)
			assert_false(sas_signed_by(mac, &t, STR(KEY), STR(KEY)));
		token.p[i] = was;
	}
	assert_int_equal(sas_parse(buf_view(&token), &t), ERR_OK);
	assert_true(sas_signed_by(mac, &t, STR(KEY), STR(KEY)));
	buf_fini(&token);
}

static void
sas_signed_by__an_empty_or_broken_key_signs_nothing(void **state)
{
	/* HMAC-SHA256 with an empty key of "h\n1". */
	struct sas t = parsed(
	    "SharedAccessSignature sr=h&se=1&sig=OdHAuIKVNEWAaE1SzharSpEnNm0jw3PWj9kisSXFqZs%3D");
	struct sas u;
	struct buf long_sig = { 0 };
	(void)state;

	assert_false(sas_signed_by(mac, &t, STR_NONE, STR_NONE));
	assert_false(sas_signed_by(mac, &t, STR(""), STR("=")));
	assert_false(sas_signed_by(mac, &t, STR("not base64!"), STR("AAA")));
	buf_cstr(&long_sig, "SharedAccessSignature sr=h&se=1&sig=");
	for (int i = 0; i < 1000; i++)
		buf_putc(&long_sig, 'A');
	assert_int_equal(sas_parse(buf_view(&long_sig), &u), ERR_OK);
	assert_false(sas_signed_by(mac, &u, STR(KEY), STR(KEY)));
	buf_fini(&long_sig);
}

static void
sas_parse__takes_fields_in_any_order(void **state)
{
	struct sas t;
	(void)state;

	t = parsed("SharedAccessSignature sig=s%3d&se=12&skn=iothub%6Fwner&sr=h%2Fx");
	assert_str(t.sr, "h%2Fx");
	assert_str(t.sig, "s%3d");
	assert_str(t.se, "12");
	assert_int_equal(t.expiry_s, 12);
	assert_str(sas_policy(&t), "iothubowner");
	t = parsed("sharedaccesssignature SR=x&sr=h&&foo&se=012&sig=a=b&foo=1&foo=2");
	assert_str(t.sr, "h");
	assert_str(t.sig, "a=b");
	assert_str(t.se, "012");
	assert_int_equal(sas_policy(&t).n, 0);
	t = parsed("SharedAccessSignature sr=h&sig=s&se=99999999999999999999999");
	assert_int_equal(t.expiry_s, INT64_MAX);
}

static void
sas_parse__D14_an_empty_policy_is_none(void **state)
{
	struct sas t = parsed("SharedAccessSignature sr=h&sig=s&se=1&skn=");
	(void)state;

	assert_int_equal(sas_policy(&t).n, 0);
}

static void
sas_parse__refuses_the_rest(void **state)
{
	(void)state;
	refused("");
	refused("SharedAccessSignature");
	refused("SharedAccessSignature ");
	refused("SharedAccessSignaturesr=h&sig=s&se=1");
	refused("Bearer sr=h&sig=s&se=1");
	refused("SharedAccessSignature sig=s&se=1");
	refused("SharedAccessSignature sr=h&se=1");
	refused("SharedAccessSignature sr=h&sig=s");
	refused("SharedAccessSignature sr=&sig=s&se=1");
	refused("SharedAccessSignature sr=h&sig=&se=1");
	refused("SharedAccessSignature sr=h&sig=s&se=");
	refused("SharedAccessSignature sr=h&sig=s&se=1&sr=h");
	refused("SharedAccessSignature sr=h&sig=s&se=1&sig=s");
	refused("SharedAccessSignature sr=h&sig=s&se=1&se=1");
	refused("SharedAccessSignature sr=h&sig=s&se=1&skn=&skn=a");
	refused_as(ERR_RANGE, "SharedAccessSignature sr=h&sig=s&se=-1");
	refused_as(ERR_RANGE, "SharedAccessSignature sr=h&sig=s&se=1893456000.123");
	refused_as(ERR_RANGE, "SharedAccessSignature sr=h&sig=s&se=1.893456e9");
	refused_as(ERR_RANGE, "SharedAccessSignature sr=h&sig=s&se=%31");
	refused("SharedAccessSignature sr=h&sig=s&se=1&skn=a%20b");
	refused("SharedAccessSignature sr=h&sig=s&se=1&skn=a+b");
}

static void
sas_parse__limits_the_policy_and_the_whole(void **state)
{
	struct buf b = { 0 };
	struct sas t;
	(void)state;

	buf_cstr(&b, "SharedAccessSignature sr=h&sig=s&se=1&skn=");
	for (int i = 0; i < POLICY_NAME_MAX; i++)
		buf_cstr(&b, "%61");
	assert_int_equal(sas_parse(buf_view(&b), &t), ERR_OK);
	assert_int_equal(sas_policy(&t).n, POLICY_NAME_MAX);
	buf_putc(&b, 'a');
	assert_int_equal(sas_parse(buf_view(&b), &t), ERR_SYNTAX);
	b.n = 0;
	buf_cstr(&b, "SharedAccessSignature sr=h&sig=s&se=1&x=");
	while (b.n < SAS_MAX)
		buf_putc(&b, 'x');
	assert_int_equal(sas_parse(buf_view(&b), &t), ERR_OK);
	buf_putc(&b, 'x');
	assert_int_equal(sas_parse(buf_view(&b), &t), ERR_SYNTAX);
	buf_fini(&b);
}

static void
sas_end__L79_L80_is_se_and_the_skew(void **state)
{
	struct sas t = parsed("SharedAccessSignature sr=h&sig=s&se=1893456000");
	(void)state;

	assert_int_equal(sas_end_us(&t, SAS_SKEW_S), INT64_C(1893456300000000));
	assert_int_equal(sas_end_us(&t, 0), INT64_C(1893456000000000));
	t = parsed("SharedAccessSignature sr=h&sig=s&se=9223372036855");
	assert_int_equal(sas_end_us(&t, 0), INT64_MAX);
	t = parsed("SharedAccessSignature sr=h&sig=s&se=9223372036854775807");
	assert_int_equal(sas_end_us(&t, SAS_SKEW_S), INT64_MAX);
}

/* ---- scope ---- */

static const struct str names[] = { { "hub.example.test", 16 }, { "Gateway:18883", 13 },
	{ "::1", 3 } };
static const struct hosts hosts = { names, 3 };

static struct sas
of(const char *sr)
{
	struct sas t = { .sr = str_of(sr) };

	return t;
}

static void
host_known__D06_D07_aside_from_case_and_port(void **state)
{
	(void)state;
	assert_true(host_known(hosts, STR("hub.example.test")));
	assert_true(host_known(hosts, STR("HUB.example.test:443")));
	assert_true(host_known(hosts, STR("gateway")));
	assert_true(host_known(hosts, STR("gateway:1")));
	assert_true(host_known(hosts, STR("::1")));
	assert_false(host_known(hosts, STR("::2"))); /* not host ":" and port 2 */
	assert_false(host_known(hosts, STR("hub.example")));
	assert_false(host_known(hosts, STR("hub.example.test.evil")));
	assert_false(host_known(hosts, STR("hub.example.test:x")));
	assert_false(host_known(hosts, STR_NONE));
	assert_false(host_known(hosts, STR(":443")));
	assert_false(host_known((struct hosts){ NULL, 0 }, STR("hub.example.test")));
}

static bool
covers(const char *sr, const char *device, const char *module)
{
	struct sas t = of(sr);

	return sas_covers_device(&t, hosts, str_of(device), str_of(module), SCOPE_EXACT);
}

static void
sas_covers_device__D11_in_every_spelling(void **state)
{
	(void)state;
	assert_true(covers("hub.example.test%2Fdevices%2Fdev1", "dev1", NULL));
	assert_true(covers("HUB.example.test%3A18883%2fdevices%2fdev1", "dev1", NULL)); /* D-06 */
	assert_true(covers("hub.example.test/devices/dev1", "dev1", NULL));
	assert_true(covers("hub.example.test/devices/dev1/", "dev1", NULL));
	assert_true(covers("hub.example.test/devices/dev1/api-version=2016-11-14", "dev1", NULL));
	assert_true(covers("hub.example.test/devices/dev1/api-version=2016-11-14/", "dev1", NULL));
	assert_true(covers("hub.example.test%2Fdevices%2Fd%253A1", "d:1", NULL)); /* csharp */
	assert_true(covers("hub.example.test%2Fdevices%2Fd%2525", "d%25", NULL));
	assert_true(covers("hub.example.test/devices/d%23+", "d#+", NULL));
	assert_true(
	    covers("hub.example.test%2Fdevices%2Fdev1%2Fmodules%2F%24edgeHub", "dev1", "$edgeHub"));
}

static void
sas_covers_device__D13_is_a_prefix_by_segments(void **state)
{
	(void)state;
	assert_true(covers("hub.example.test", "dev1", NULL));
	assert_true(covers("hub.example.test/devices", "dev1", "m1"));
	assert_true(covers("hub.example.test/devices/dev1", "dev1", "m1"));
	assert_true(covers("hub.example.test/devices/dev1/modules", "dev1", "m1"));
	assert_false(covers("hub.example.test/devices/dev", "dev1", NULL));
	assert_false(covers("hub.example.test/devices/dev11", "dev1", NULL));
	assert_false(covers("hub.example.test/devices/DEV1", "dev1", NULL));
	assert_false(covers("hub.example.test/Devices/dev1", "dev1", NULL));
	assert_false(covers("hub.example.test/devices/dev1/modules/m1", "dev1", NULL));
	assert_false(covers("hub.example.test/devices/dev1/modules/m2", "dev1", "m1"));
	assert_false(covers("hub.example.test/devices/dev1/modules/m1/x", "dev1", "m1"));
	assert_false(covers("hub.example.test/twins/dev1", "dev1", NULL));
	assert_false(covers("hub.example.test//devices/dev1", "dev1", NULL));
	assert_false(covers("other.test/devices/dev1", "dev1", NULL));
	assert_false(covers("/devices/dev1", "dev1", NULL));
	assert_false(covers("", "dev1", NULL));
	assert_false(covers("/", "dev1", NULL));
}

static bool
covers_path(const char *sr, const char *path)
{
	struct sas t = of(sr);

	return sas_covers_path(&t, hosts, str_of(path), SCOPE_EXACT);
}

static void
sas_covers_path__is_a_prefix_by_segments(void **state)
{
	(void)state;
	assert_true(covers_path("hub.example.test", "/twins/dev1"));
	assert_true(covers_path("hub.example.test%3a443", "/"));
	assert_true(covers_path("hub.example.test/", "/"));
	assert_true(covers_path("hub.example.test/devices", "/devices/query"));
	assert_true(covers_path("hub.example.test/devices", "/devices"));
	assert_true(covers_path("hub.example.test%2Fdevices%2Fd%231", "/devices/d%231"));
	assert_true(covers_path("hub.example.test%2Fdevices%2Fd%25231", "/devices/d%231/modules"));
	assert_false(covers_path("hub.example.test/devices", "/twins/dev1"));
	assert_false(covers_path("hub.example.test/devices", "/devicesx"));
	assert_false(covers_path("hub.example.test/devices/dev1", "/devices"));
	assert_false(covers_path("hub.example.test/devices/dev1", "/devices/dev11"));
	assert_false(covers_path("hub.example.test/devices", ""));
	assert_false(covers_path("other.test", "/devices"));
}

/* ---- making ---- */

static void
sas_make__makes_the_first_vector(void **state)
{
	struct buf b = { 0 };
	struct sas t;
	(void)state;

	assert_int_equal(
	    sas_make(mac, &b, STR("hub.example.test/devices/dev1"), STR(KEY), 1893456000, STR_NONE),
	    ERR_OK);
	assert_str(buf_view(&b),
	    "SharedAccessSignature "
	    "sr=hub.example.test%2Fdevices%2Fdev1&sig=mpE%2F%2FqzWMo9famjXw4rnu"
	    "EoIAT3zM5KGSItRb58kTk0%3D&se=1893456000");
	b.n = 0;
	assert_int_equal(
	    sas_make(mac, &b, STR("h:1/devices/a#b"), STR(KEY), 5, STR("p@x")), ERR_OK);
	assert_int_equal(sas_parse(buf_view(&b), &t), ERR_OK);
	assert_str(sas_policy(&t), "p@x");
	assert_true(sas_signed_by(mac, &t, STR(KEY), STR_NONE));
	b.n = 0;
	assert_int_equal(sas_make(mac, &b, STR("h"), STR("no key"), 5, STR_NONE), ERR_ARG);
	assert_int_equal(sas_make(mac, &b, STR("h"), STR_NONE, 5, STR_NONE), ERR_ARG);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sas_signed_by__D11_D12_holds_for_every_vector_and_encoding),
		cmocka_unit_test(sas_signed_by__every_changed_character_breaks_it),
		cmocka_unit_test(sas_signed_by__an_empty_or_broken_key_signs_nothing),
		cmocka_unit_test(sas_parse__takes_fields_in_any_order),
		cmocka_unit_test(sas_parse__D14_an_empty_policy_is_none),
		cmocka_unit_test(sas_parse__refuses_the_rest),
		cmocka_unit_test(sas_parse__limits_the_policy_and_the_whole),
		cmocka_unit_test(sas_end__L79_L80_is_se_and_the_skew),
		cmocka_unit_test(host_known__D06_D07_aside_from_case_and_port),
		cmocka_unit_test(sas_covers_device__D11_in_every_spelling),
		cmocka_unit_test(sas_covers_device__D13_is_a_prefix_by_segments),
		cmocka_unit_test(sas_covers_path__is_a_prefix_by_segments),
		cmocka_unit_test(sas_make__makes_the_first_vector),
	};

	return cmocka_run_group_tests(tests, init, fini);
}
