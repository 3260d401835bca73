/* Messages to devices on the wire: device-mqtt.md 6.2, 6.3. */
#include <setjmp.h>
#include <stdarg.h>

#include "mqtt_kit.h"

#include <cmocka.h>

#define FIRST UINT64_C(1704067200000000)

static int
setup(void **state)
{
	static struct desk d;

	desk_init(&d, 0);
	desk_live(&d, &(struct hello)HELLO_D1);
	*state = &d;
	return 0;
}

static int
teardown(void **state)
{
	desk_fini(*state);
	return 0;
}

/* A message with these properties, given to the session. */
static void
give(struct desk *d, uint64_t number, uint8_t qos, bool dup, const struct message_property *p,
    unsigned np, struct message *m)
{
	struct buf bag = { 0 }, record = { 0 };
	size_t size = 0;
	unsigned n = 0;

	for (unsigned i = 0; i < np; i++)
		assert_int_equal(message_put_property(&bag, &p[i], &size, &n, NULL), ERR_OK);
	m->device = STR("d1");
	m->properties = buf_view(&bag);
	message_encode(&record, m);
	d->sent.n = 0;
	desk_note(d,
	    &(struct note){ .kind = EFFECT_MESSAGE,
	        .call = number,
	        .qos = qos,
	        .dup = dup,
	        .body = buf_view(&record) });
	buf_fini(&bag);
	buf_fini(&record);
}

/* The packet that was sent, its topic and payload. */
static void
sent(const struct desk *d, unsigned first, const char *topic, int packet_id, const char *payload)
{
	const unsigned char *p = (const unsigned char *)d->sent.p + 1;
	size_t n;

	assert_true(d->sent.n > 4);
	assert_int_equal((unsigned char)d->sent.p[0], first);
	while (*p++ >= 128)
		;
	n = (size_t)p[0] << 8 | p[1];
	assert_int_equal(n, strlen(topic));
	assert_memory_equal(p + 2, topic, n);
	p += 2 + n;
	if (packet_id != 0) {
		assert_int_equal(p[0] << 8 | p[1], packet_id);
		p += 2;
	}
	assert_int_equal(
	    (size_t)((const unsigned char *)d->sent.p + d->sent.n - p), strlen(payload));
	assert_memory_equal(p, payload, strlen(payload));
}

static void
puback(struct desk *d, uint16_t packet_id)
{
	struct buf b = { 0 };

	mqtt_put_puback(&b, packet_id);
	desk_bytes(d, buf_view(&b));
	buf_fini(&b);
}

#define TO "%24.to=%2Fdevices%2Fd1%2Fmessages%2Fdevicebound"

static void
message__D65_D66_system_properties_first_and_all_encoded(void **state)
{
	struct desk *d = *state;
	const struct message_property p[] = { { BAG_CUSTOM, STR("a b"), STR("c+d/e=&") },
		{ BAG_CONTENT_TYPE, STR_NONE, STR("text/plain") },
		{ BAG_MESSAGE_ID, STR_NONE, STR("m#1") }, { BAG_CUSTOM, STR("e"), STR("") } };
	struct message m = { .expiry_us = INT64_C(1893456000000000),
		.expires = true,
		.ack = ACK_NEGATIVE,
		.payload = STR("hello") };

	give(d, FIRST, 1, false, p, 4, &m);
	sent(d, 0x32,
	    "devices/d1/messages/devicebound/%24.mid=m%231&" TO
	    "&%24.ct=text%2Fplain&%24.exp=2030-01-01T00%3A00%3A00.0000000Z&iothub-ack=negative"
	    "&a%20b=c%2Bd%2Fe%3D%26&e=",
	    message_packet_id(FIRST), "hello");
	m = (struct message){ .payload = STR("") };
	give(d, FIRST + 1, 1, true, NULL, 0, &m);
	sent(d, 0x3a, "devices/d1/messages/devicebound/" TO, message_packet_id(FIRST + 1), "");
}

static void
message__D67_a_puback_counts_once_and_in_any_order(void **state)
{
	struct desk *d = *state;
	struct message m = { .payload = STR("x") };
	struct work *w;

	for (unsigned i = 0; i < MESSAGES_OUT_MAX; i++)
		give(d, FIRST + i, 1, false, NULL, 0, &m);
	puback(d, 77);
	assert_int_equal(d->nwork, 0); /* nobody's */
	for (unsigned i = MESSAGES_OUT_MAX; i > 0; i--) {
		puback(d, message_packet_id(FIRST + i - 1));
		puback(d, message_packet_id(FIRST + i - 1));
		assert_int_equal(d->nwork, 1);
		w = desk_take(d);
		assert_int_equal(w->op.kind, OP_MESSAGE_ACK);
		assert_int_equal(w->op.message.packet_id, message_packet_id(FIRST + i - 1));
		desk_answer(d, w);
	}
	assert_int_equal(d->ending, SESSION_STAYS);
}

static void
message__D70_of_QoS_0_is_complete_when_it_is_sent(void **state)
{
	struct desk *d = *state;
	struct message m = { .payload = STR("x") };
	struct work *w;

	give(d, FIRST, 0, false, NULL, 0, &m);
	sent(d, 0x30, "devices/d1/messages/devicebound/" TO, 0, "x");
	w = desk_take(d);
	assert_int_equal(w->op.kind, OP_MESSAGE_ACK);
	assert_int_equal(w->op.message.packet_id, message_packet_id(FIRST));
	desk_answer(d, w);
}

static void
message__M17_what_cannot_be_completed_ends_the_link(void **state)
{
	struct desk *d = *state;
	struct message m = { .payload = STR("x") };
	struct work *w;

	give(d, FIRST, 1, false, NULL, 0, &m);
	puback(d, message_packet_id(FIRST));
	w = desk_take(d);
	fault_set(&w->reply.fault, F_ServiceUnavailable, "the change could not be stored");
	desk_answer(d, w);
	assert_int_equal(d->ending, SESSION_DROPS);
	assert_int_equal(d->s.why, REASON_NOT_STORED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(message__D65_D66_system_properties_first_and_all_encoded),
		TEST(message__D67_a_puback_counts_once_and_in_any_order),
		TEST(message__D70_of_QoS_0_is_complete_when_it_is_sent),
		TEST(message__M17_what_cannot_be_completed_ends_the_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
