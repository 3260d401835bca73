/* MQTT 3.1.1 packets: what is decoded, what is refused, what is sent. */
#include "codec/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Bytes of a literal that may hold NULs, each case in its own memory so that a sanitizer sees overruns. */
static enum err
decode(struct str in, struct mqtt_packet *p, size_t *size)
{
	static char *copy;
	enum err e;

	copy = xrealloc(copy, in.n);
	memcpy(copy, in.p, in.n);
	e = mqtt_decode((struct str){ copy, in.n }, p, size);
	return e;
}

static void
assert_str(struct str got, struct str want)
{
	if (!str_eq(got, want))
		fail_msg("got '" STR_FMT "', want '" STR_FMT "'", STR_ARG(got), STR_ARG(want));
}

/* The packet is whole, and every proper prefix of it asks for more. */
static void
decodes(struct str in, struct mqtt_packet *p)
{
	size_t size;

	for (size_t n = 0; n < in.n; n++) {
		assert_int_equal(decode((struct str){ in.p, n }, p, &size), ERR_MORE);
		assert_true(size == 0 || size == in.n);
	}
	assert_int_equal(decode(in, p, &size), ERR_OK);
	assert_int_equal(size, in.n);
}

static void
refused(struct str in)
{
	struct mqtt_packet p;
	size_t size;

	assert_int_equal(decode(in, &p, &size), ERR_PROTOCOL);
}

#define REFUSED(literal) refused(STR(literal))

static void
mqtt_decode__reads_the_connect_of_the_specification(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x10\x3f\x00\x04MQTT\x04\x80\x00\x3c\x00\x04"
	            "dev1\x00\x2dhub.example.test/dev1/?api-version=2021-04-12"),
	    &p);
	assert_int_equal(p.type, MQTT_CONNECT);
	assert_int_equal(p.connect.level, 4);
	assert_int_equal(p.connect.keep_alive_s, 60);
	assert_false(p.connect.clean_session);
	assert_true(p.connect.has_user);
	assert_false(p.connect.has_password); /* D-18 */
	assert_false(p.connect.has_will);
	assert_str(p.connect.client_id, STR("dev1"));
	assert_str(p.connect.user, STR("hub.example.test/dev1/?api-version=2021-04-12"));
}

static void
mqtt_decode__reads_a_connect_with_everything(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x10\x1a\x00\x04MQTT\x04\xee\xff\xff\x00\x01"
	            "d\x00\x01t\x00\x02\x00\xff\x00\x01u\x00\x01\x00"),
	    &p);
	assert_true(p.connect.clean_session && p.connect.has_will && p.connect.will_retain);
	assert_int_equal(p.connect.will_qos, 1);
	assert_int_equal(p.connect.keep_alive_s, 65535);
	assert_str(p.connect.will_topic, STR("t"));
	assert_str(p.connect.will_payload, STR("\x00\xff"));
	assert_str(p.connect.user, STR("u"));
	assert_str(p.connect.password, STR("\x00"));
}

static void
mqtt_decode__D16_other_levels_are_reported_not_parsed(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00"), &p);
	assert_int_equal(p.connect.level, 3);
	decodes(STR("\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"), &p);
	assert_int_equal(p.connect.level, 5);
	assert_int_equal(p.connect.client_id.n, 0);
	REFUSED("\x10\x0c\x00\x04HTTP\x04\x02\x00\x3c\x00\x00");
	REFUSED("\x10\x0e\x00\x06MQIsdp\x04\x02\x00\x3c\x00\x00");
	REFUSED("\x10\x0c\x00\x04mqtt\x04\x02\x00\x3c\x00\x00");
}

static void
mqtt_decode__refuses_impossible_connect_flags(void **state)
{
	(void)state;
	struct mqtt_packet p;

	decodes(STR("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"), &p);
	REFUSED("\x10\x0d\x00\x04MQTT\x04\x03\x00\x3c\x00\x01x"); /* reserved bit */
	REFUSED("\x10\x0d\x00\x04MQTT\x04\x0a\x00\x3c\x00\x01x"); /* will QoS without will */
	REFUSED("\x10\x0d\x00\x04MQTT\x04\x22\x00\x3c\x00\x01x"); /* will retain without will */
	REFUSED(
	    "\x10\x10\x00\x04MQTT\x04\x42\x00\x3c\x00\x01x\x00\x01p"); /* password without user */
	REFUSED("\x10\x12\x00\x04MQTT\x04\x16\x00\x3c\x00\x01x\x00\x01t\x00\x00"); /* will QoS 2 */
	REFUSED("\x10\x12\x00\x04MQTT\x04\x1e\x00\x3c\x00\x01x\x00\x01t\x00\x00"); /* will QoS 3 */
	REFUSED("\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x01xy"); /* a byte too many */
	REFUSED("\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x01");   /* a byte too few */
	REFUSED("\x10\x0d\x00\x04MQTT\x04\x82\x00\x3c\x00\x01x");  /* no user where one is told */
}

static void
mqtt_decode__refuses_text_that_is_not_utf8(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x30\x04\x00\x02\xc3\xa4"), &p);
	decodes(STR("\x30\x05\x00\x03\xef\xbb\xbf"), &p); /* U+FEFF is a character (MQTT 1.5.3-3) */
	REFUSED("\x30\x04\x00\x02\xc3\x28");
	REFUSED("\x30\x04\x00\x02\xc0\x80");     /* overlong */
	REFUSED("\x30\x05\x00\x03\xed\xa0\x80"); /* surrogate */
	REFUSED("\x30\x04\x00\x02"
	        "a\x00"); /* U+0000 */
	REFUSED("\x82\x07\x00\x01\x00\x02\xc3\x28\x00");
	REFUSED("\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01\xff");
}

/* A CONNECT whose user name and password have these lengths. */
static enum err
connect_of(size_t user_n, size_t password_n)
{
	struct buf b = { 0 };
	struct mqtt_packet p;
	size_t size;
	enum err e;

	buf_put(&b, "\x10", 1);
	buf_varint(&b, 13 + 2 + user_n + 2 + password_n);
	buf_put(&b, "\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01x", 13);
	buf_u16be(&b, (uint16_t)user_n);
	for (size_t i = 0; i < user_n; i++)
		buf_putc(&b, 'u');
	buf_u16be(&b, (uint16_t)password_n);
	for (size_t i = 0; i < password_n; i++)
		buf_putc(&b, 'p');
	e = mqtt_decode(buf_view(&b), &p, &size);
	buf_fini(&b);
	return e;
}

static void
mqtt_decode__limits_user_and_password(void **state)
{
	(void)state;
	assert_int_equal(connect_of(MQTT_USER_MAX, MQTT_USER_MAX), ERR_OK);
	assert_int_equal(connect_of(MQTT_USER_MAX + 1, 1), ERR_PROTOCOL);
	assert_int_equal(connect_of(1, MQTT_USER_MAX + 1), ERR_PROTOCOL);
}

static void
mqtt_decode__reads_the_twin_get_of_the_specification(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x30\x1b\x00\x18$iothub/twin/GET/?$rid=7 "), &p);
	assert_int_equal(p.type, MQTT_PUBLISH);
	assert_int_equal(p.publish.qos, 0);
	assert_int_equal(p.publish.packet_id, 0);
	assert_str(p.publish.topic, STR("$iothub/twin/GET/?$rid=7"));
	assert_str(p.publish.payload, STR(" "));
}

static void
mqtt_decode__reads_publish_flags(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x3b\x06\x00\x01t\x12\x34x"), &p);
	assert_true(p.publish.dup && p.publish.retain);
	assert_int_equal(p.publish.qos, 1);
	assert_int_equal(p.publish.packet_id, 0x1234);
	assert_str(p.publish.payload, STR("x"));
	REFUSED("\x38\x04\x00\x01tx");         /* DUP with QoS 0 */
	REFUSED("\x32\x06\x00\x01t\x00\x00x"); /* packet id 0 */
	REFUSED("\x32\x04\x00\x01t\x01");      /* half a packet id */
	REFUSED("\x30\x03\x00\x00x");          /* empty topic */
	REFUSED("\x30\x03\x00\x02x");          /* topic past the end */
}

static void
mqtt_decode__D38_refuses_qos_2_at_the_first_byte(void **state)
{
	(void)state;
	REFUSED("\x34");
	REFUSED("\x36");
	REFUSED("\x50"); /* PUBREC */
	REFUSED("\x62"); /* PUBREL */
	REFUSED("\x70"); /* PUBCOMP */
}

static void
mqtt_decode__D28_refuses_what_only_servers_send(void **state)
{
	(void)state;
	REFUSED("\x00");
	REFUSED("\x20\x02\x00\x00");
	REFUSED("\x90");
	REFUSED("\xb0");
	REFUSED("\xd0");
	REFUSED("\xf0");
	REFUSED("GET / HTTP/1.1\r\n");
	REFUSED("\x16\x03\x01"); /* TLS to the plain port */
}

static void
mqtt_decode__reads_filters_in_order(void **state)
{
	struct mqtt_packet p;
	struct str filter;
	uint8_t qos;
	(void)state;

	decodes(STR("\x82\x0d\x00\x07\x00\x01"
	            "a\x00\x00\x00\x01\x00\x01"
	            "b\x02"),
	    &p);
	assert_int_equal(p.filters.packet_id, 7);
	assert_int_equal(p.filters.n, 3);
	assert_true(mqtt_filter_next(&p.filters, &filter, &qos));
	assert_str(filter, STR("a"));
	assert_int_equal(qos, 0);
	assert_true(mqtt_filter_next(&p.filters, &filter, &qos));
	assert_int_equal(filter.n, 0); /* 0x80 is for the session to say */
	assert_int_equal(qos, 1);
	assert_true(mqtt_filter_next(&p.filters, &filter, &qos));
	assert_str(filter, STR("b"));
	assert_int_equal(qos, 2);
	assert_false(mqtt_filter_next(&p.filters, &filter, &qos));

	decodes(STR("\xa2\x08\x00\x08\x00\x01"
	            "a\x00\x01"
	            "b"),
	    &p);
	assert_int_equal(p.type, MQTT_UNSUBSCRIBE);
	assert_true(mqtt_filter_next(&p.filters, &filter, &qos));
	assert_true(mqtt_filter_next(&p.filters, &filter, &qos));
	assert_str(filter, STR("b"));
	assert_false(mqtt_filter_next(&p.filters, &filter, &qos));
}

static void
mqtt_decode__refuses_bad_subscriptions(void **state)
{
	(void)state;
	REFUSED("\x80\x06\x00\x07\x00\x01"
	        "a\x00"); /* flags must be 2 */
	REFUSED("\xa0\x05\x00\x07\x00\x01"
	        "a");
	REFUSED("\x82\x06\x00\x00\x00\x01"
	        "a\x00"); /* packet id 0 */
	REFUSED("\x82\x06\x00\x07\x00\x01"
	        "a\x03"); /* QoS 3 */
	REFUSED("\x82\x06\x00\x07\x00\x01"
	        "a\x04"); /* reserved bits */
	REFUSED("\x82\x05\x00\x07\x00\x01"
	        "a");                /* no QoS */
	REFUSED("\x82\x02\x00\x07"); /* no filter */
	REFUSED("\xa2\x02\x00\x07");
}

static void
mqtt_decode__limits_the_filters_of_a_packet(void **state)
{
	struct buf b = { 0 };
	struct mqtt_packet p;
	size_t size;
	(void)state;

	for (unsigned n = MQTT_FILTERS_MAX; n <= MQTT_FILTERS_MAX + 1; n++) {
		b.n = 0;
		buf_put(&b, "\x82", 1);
		buf_varint(&b, 2 + 4 * n);
		buf_u16be(&b, 1);
		for (unsigned i = 0; i < n; i++)
			buf_put(&b, "\x00\x01x\x00", 4);
		assert_int_equal(mqtt_decode(buf_view(&b), &p, &size),
		    n == MQTT_FILTERS_MAX ? ERR_OK : ERR_PROTOCOL);
	}
	buf_fini(&b);
}

static void
mqtt_decode__reads_the_small_ones(void **state)
{
	struct mqtt_packet p;
	(void)state;

	decodes(STR("\x40\x02\x12\x34"), &p);
	assert_int_equal(p.type, MQTT_PUBACK);
	assert_int_equal(p.packet_id, 0x1234);
	decodes(STR("\xc0\x00"), &p);
	assert_int_equal(p.type, MQTT_PINGREQ);
	decodes(STR("\xe0\x00"), &p);
	assert_int_equal(p.type, MQTT_DISCONNECT);
	REFUSED("\x40\x02\x00\x00");
	REFUSED("\x40\x03");
	REFUSED("\x41");
	REFUSED("\xc0\x01");
	REFUSED("\xe1");
}

static void
mqtt_decode__limits_the_length_before_gathering(void **state)
{
	struct mqtt_packet p;
	struct buf b = { 0 };
	size_t size;
	(void)state;

	buf_putc(&b, 0x30);
	buf_varint(&b, MQTT_REMAINING_MAX);
	assert_int_equal(decode(buf_view(&b), &p, &size), ERR_MORE);
	assert_int_equal(size, b.n + MQTT_REMAINING_MAX);
	assert_int_equal(p.type, MQTT_PUBLISH);
	b.n = 1;
	buf_varint(&b, MQTT_REMAINING_MAX + 1);
	refused(buf_view(&b));
	b.p[0] = 0x10;
	b.n = 1;
	buf_varint(&b, MQTT_CONNECT_MAX + 1);
	refused(buf_view(&b));
	buf_fini(&b);
	REFUSED("\x30\x80\x80\x80\x80");  /* a fifth length byte */
	decodes(STR("\xc0\x80\x00"), &p); /* long-winded, but not forbidden */
}

static void
mqtt_decode__takes_one_packet_of_several(void **state)
{
	struct mqtt_packet p;
	size_t size;
	(void)state;

	assert_int_equal(decode(STR("\xc0\x00\xe0\x00"), &p, &size), ERR_OK);
	assert_int_equal(p.type, MQTT_PINGREQ);
	assert_int_equal(size, 2);
}

static void
mqtt_put__writes_acknowledgements(void **state)
{
	struct buf b = { 0 };
	(void)state;

	mqtt_put_connack(&b, true, CONNACK_ACCEPTED);
	mqtt_put_connack(
	    &b, true, CONNACK_DENIED); /* session present is 0 with a refusal (MQTT 3.2.2-4) */
	mqtt_put_suback(&b, 0x102, (const uint8_t[]){ 0, 1, SUBACK_REFUSED }, 3);
	mqtt_put_unsuback(&b, 3);
	mqtt_put_puback(&b, 0xFFFF);
	mqtt_put_pingresp(&b);
	assert_str(buf_view(&b),
	    STR("\x20\x02\x01\x00\x20\x02\x00\x05\x90\x05\x01\x02\x00\x01\x80\xb0\x02\x00\x03"
	        "\x40\x02\xff\xff\xd0\x00"));
	buf_fini(&b);
}

static void
mqtt_put_publish__is_read_back(void **state)
{
	struct buf b = { 0 };
	struct mqtt_packet p;
	(void)state;

	assert_int_equal(mqtt_put_publish(&b, STR("t/x"), STR("{}"), 1, true, 9), ERR_OK);
	assert_str(buf_view(&b), STR("\x3a\x09\x00\x03t/x\x00\x09{}"));
	decodes(buf_view(&b), &p);
	b.n = 0;
	assert_int_equal(mqtt_put_publish(&b, STR("t/x"), STR_NONE, 0, false, 0), ERR_OK);
	assert_str(buf_view(&b), STR("\x30\x05\x00\x03t/x"));
	buf_fini(&b);
}

static void
mqtt_put_publish__D74_never_passes_the_maximum(void **state)
{
	struct buf b = { 0 };
	struct str big = { xcalloc(MQTT_SEND_MAX, 1), 0 };
	(void)state;

	big.n = MQTT_SEND_MAX - 4 - 2 - 1; /* header of 4 bytes, topic of one */
	assert_int_equal(mqtt_put_publish(&b, STR("t"), big, 0, false, 0), ERR_OK);
	assert_int_equal(b.n, MQTT_SEND_MAX);
	big.n++;
	assert_int_equal(mqtt_put_publish(&b, STR("t"), big, 0, false, 0), ERR_SIZE);
	big.n = 65536;
	assert_int_equal(mqtt_put_publish(&b, big, STR_NONE, 0, false, 0), ERR_SIZE);
	assert_int_equal(b.n, MQTT_SEND_MAX);
	buf_fini(&b);
	free((void *)big.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mqtt_decode__reads_the_connect_of_the_specification),
		cmocka_unit_test(mqtt_decode__reads_a_connect_with_everything),
		cmocka_unit_test(mqtt_decode__D16_other_levels_are_reported_not_parsed),
		cmocka_unit_test(mqtt_decode__refuses_impossible_connect_flags),
		cmocka_unit_test(mqtt_decode__refuses_text_that_is_not_utf8),
		cmocka_unit_test(mqtt_decode__limits_user_and_password),
		cmocka_unit_test(mqtt_decode__reads_the_twin_get_of_the_specification),
		cmocka_unit_test(mqtt_decode__reads_publish_flags),
		cmocka_unit_test(mqtt_decode__D38_refuses_qos_2_at_the_first_byte),
		cmocka_unit_test(mqtt_decode__D28_refuses_what_only_servers_send),
		cmocka_unit_test(mqtt_decode__reads_filters_in_order),
		cmocka_unit_test(mqtt_decode__refuses_bad_subscriptions),
		cmocka_unit_test(mqtt_decode__limits_the_filters_of_a_packet),
		cmocka_unit_test(mqtt_decode__reads_the_small_ones),
		cmocka_unit_test(mqtt_decode__limits_the_length_before_gathering),
		cmocka_unit_test(mqtt_decode__takes_one_packet_of_several),
		cmocka_unit_test(mqtt_put__writes_acknowledgements),
		cmocka_unit_test(mqtt_put_publish__is_read_back),
		cmocka_unit_test(mqtt_put_publish__D74_never_passes_the_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
