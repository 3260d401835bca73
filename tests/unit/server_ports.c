/* Which addresses and ports the options ask for, in which order, and where commands find the hub. */
#include "server/priv.h" /* its fail() is not cmocka's */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* "mqtts 0.0.0.0 8883, https 0.0.0.0 443, ...": '?' where it may be missing. */
static const char *
said(const struct server_options *o)
{
	static const char *const kinds[] = {
		[PORT_MQTTS] = "mqtts", [PORT_HTTPS] = "https", [PORT_MQTT] = "mqtt"
	};
	static char text[8192];
	struct port_spec specs[PORTS_MAX];
	unsigned n = ports_of(o, specs);
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "%s%s %s %u%s",
		    i > 0 ? ", " : "", kinds[specs[i].kind], specs[i].address, specs[i].number,
		    specs[i].optional ? "?" : "");
	return text;
}

static struct server_options
usual(void)
{
	return (struct server_options){ .mqtts_port = 8883, .https_port = 443 };
}

static void
ports__without_bind_everywhere_and_ipv6_if_there_is_any(void **state)
{
	struct server_options o = usual();

	(void)state;
	assert_string_equal(
	    said(&o), "mqtts 0.0.0.0 8883, https 0.0.0.0 443, mqtts :: 8883?, https :: 443?");
}

/* Who names an address wants it: none is left out in silence. */
static void
ports__each_bind_is_needed(void **state)
{
	struct server_options o = usual();

	(void)state;
	o.binds = (struct option_list){ { "10.0.0.7", "::", "hub.example" }, 3 };
	assert_string_equal(said(&o),
	    "mqtts 10.0.0.7 8883, https 10.0.0.7 443, mqtts :: 8883, https :: 443, "
	    "mqtts hub.example 8883, https hub.example 443");
}

static void
ports__mqtts_can_be_off_and_https_not(void **state)
{
	struct server_options o = usual();

	(void)state;
	o.mqtts_port = 0;
	o.binds = (struct option_list){ { "10.0.0.7" }, 1 };
	assert_string_equal(said(&o), "https 10.0.0.7 443");
}

/* Without TLS is for programs of this machine alone. */
static void
ports__plain_text_never_leaves_the_machine(void **state)
{
	static const struct {
		const char *bind, *plain;
	} cases[] = {
		{ NULL, "127.0.0.1" },
		{ "10.0.0.7", "127.0.0.1" },
		{ "0.0.0.0", "127.0.0.1" },
		{ "::", "127.0.0.1" },
		{ "127.0.0.9", "127.0.0.9" },
		{ "::1", "::1" },
		{ "0:0::1", "0:0::1" },
		{ "hub.example", "127.0.0.1" },
		{ "127.hub.example", "127.0.0.1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct server_options o = usual();
		char expected[64];

		o.mqtt_port = 1883;
		if (cases[i].bind != NULL)
			o.binds = (struct option_list){ { cases[i].bind }, 1 };
		snprintf(expected, sizeof expected, ", mqtt %s 1883", cases[i].plain);
		assert_non_null(strstr(said(&o), expected));
		assert_ptr_equal(strstr(strstr(said(&o), ", mqtt ") + 1, ", "), NULL);
	}
}

static void
ports__plain_text_is_on_each_loopback_address_among_bind(void **state)
{
	struct server_options o = usual();

	(void)state;
	o.mqtt_port = 1883;
	o.mqtts_port = 0;
	o.binds = (struct option_list){ { "127.0.0.9", "10.0.0.7", "::1" }, 3 };
	assert_string_equal(said(&o),
	    "https 127.0.0.9 443, https 10.0.0.7 443, https ::1 443, mqtt 127.0.0.9 1883, mqtt ::1 "
	    "1883");
}

/* As many as the option takes, each with all three. */
static void
ports__there_is_room_for_all(void **state)
{
	struct port_spec specs[PORTS_MAX];
	struct server_options o = usual();

	(void)state;
	o.mqtt_port = 1883;
	for (o.binds.n = 0; o.binds.n < LIST_MAX; o.binds.n++)
		o.binds.v[o.binds.n] = "127.0.0.1";
	assert_int_equal(ports_of(&o, specs), PORTS_MAX);
	assert_string_equal(specs[PORTS_MAX - 1].address, "127.0.0.1");
}

/* An address that can be dialled. */
static void
endpoint__is_the_first_bind_or_this_machine(void **state)
{
	struct server_options o = usual();

	(void)state;
	assert_string_equal(endpoint_of(&o, "hub.example").address, "127.0.0.1");
	assert_string_equal(endpoint_of(&o, "hub.example").host, "hub.example");
	o.binds = (struct option_list){ { "0.0.0.0", "10.0.0.7" }, 2 };
	assert_string_equal(endpoint_of(&o, "h").address, "127.0.0.1");
	o.binds = (struct option_list){ { "10.0.0.7", "0.0.0.0" }, 2 };
	assert_string_equal(endpoint_of(&o, "h").address, "10.0.0.7");
	assert_int_equal(endpoint_of(&o, "h").https_port, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ports__without_bind_everywhere_and_ipv6_if_there_is_any),
		cmocka_unit_test(ports__each_bind_is_needed),
		cmocka_unit_test(ports__mqtts_can_be_off_and_https_not),
		cmocka_unit_test(ports__plain_text_never_leaves_the_machine),
		cmocka_unit_test(ports__plain_text_is_on_each_loopback_address_among_bind),
		cmocka_unit_test(ports__there_is_room_for_all),
		cmocka_unit_test(endpoint__is_the_first_bind_or_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
