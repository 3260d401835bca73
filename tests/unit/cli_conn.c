/* Connection strings, and who is behind them. */
#include "cli/priv.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY  "AAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define REST ";SharedAccessKeyName=service;SharedAccessKey=" KEY

static bool
parse(const char *text, struct conn_string *c)
{
	char why[WHY_MAX] = "";
	bool ok = conn_string_parse(str_of(text), c, why, sizeof(why));

	assert_int_equal(ok, why[0] == '\0');
	assert_null(strstr(why, "AAAA")); /* an error never shows a key */
	return ok;
}

static void
conn_string__is_taken_apart_in_any_order(void **state)
{
	struct conn_string c;

	(void)state;
	assert_true(parse("SharedAccessKey=" KEY ";HostName=hub.example.test;x=y;"
	                  "SharedAccessKeyName=iothubowner",
	    &c));
	assert_true(str_eq(c.host, STR("hub.example.test")));
	assert_int_equal(c.port, 443);
	assert_true(str_eq(c.policy, STR("iothubowner")));
	assert_true(str_eq(c.key, STR(KEY)));
	assert_int_equal(c.device.n, 0);
	assert_true(parse("hostname=h;DEVICEID=d1;sharedaccesskey=" KEY, &c));
	assert_true(str_eq(c.device, STR("d1")));
}

static void
conn_string__host_may_carry_a_port(void **state)
{
	static const struct {
		const char *text, *host;
		uint16_t port;
	} cases[] = {
		{ "HostName=h:8443" REST, "h", 8443 },
		{ "HostName=127.0.0.1:1" REST, "127.0.0.1", 1 },
		{ "HostName=[::1]:65535" REST, "::1", 65535 },
		{ "HostName=[::1]" REST, "::1", 443 },
		{ "HostName=fe80::1" REST, "fe80::1", 443 },
	};
	struct conn_string c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(parse(cases[i].text, &c));
		assert_true(str_eq(c.host, str_of(cases[i].host)));
		assert_int_equal(c.port, cases[i].port);
	}
}

static void
conn_string__what_is_wrong_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		";;=;",
		"HostName" REST,
		"HostName=" REST,
		"HostName=h:" REST,
		"HostName=h:0" REST,
		"HostName=h:65536" REST,
		"HostName=h:8x" REST,
		"HostName=:443" REST,
		"HostName=[::1" REST,
		"HostName=[::1]8" REST,
		"HostName=[]" REST,
		"HostName=h;SharedAccessKeyName=p",
		"HostName=h;SharedAccessKeyName=p;SharedAccessKey=AAAA",
		"HostName=h;SharedAccessKeyName=p;SharedAccessKey=AAAA!" KEY,
		"HostName=h;SharedAccessKey=" KEY,
		"HostName=h;SharedAccessKeyName=p;DeviceId=d;SharedAccessKey=" KEY,
		"HostName=h;SharedAccessKeyName=p q;SharedAccessKey=" KEY,
	};
	struct conn_string c;
	struct buf long_host = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(texts[i], &c))
			fail_msg("accepted: %s", texts[i]);
	buf_cstr(&long_host, "HostName=");
	for (int i = 0; i < HOST_MAX; i++)
		buf_putc(&long_host, 'h');
	buf_cstr(&long_host, REST);
	buf_putc(&long_host, '\0');
	assert_false(parse(long_host.p, &c));
	buf_fini(&long_host);
}

/* A machine that was busy for the whole of a call's time: what has answered by then is not said not to have. */
static void
reach__what_is_connected_has_not_timed_out(void **state)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct target t = { .address = "127.0.0.1" };
	char address[HOST_MAX], why[WHY_MAX] = "";
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &n), 0);
	t.port = ntohs(sin.sin_port);
	assert_int_equal(reach(&t, 0, address, why), ERR_OK);
	assert_string_equal(address, "127.0.0.1");
	close(fd);
	assert_int_equal(reach(&t, 0, address, why), ERR_IO);
	assert_non_null(strstr(why, "no hub answers at 127.0.0.1:"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conn_string__is_taken_apart_in_any_order),
		cmocka_unit_test(conn_string__host_may_carry_a_port),
		cmocka_unit_test(conn_string__what_is_wrong_is_refused),
		cmocka_unit_test(reach__what_is_connected_has_not_timed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
