/* What goes through a live session: the order of answers, back-pressure, rate limits, silence and the end of a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mqtt_kit.h"
#include "rnd.h"

#include <cmocka.h>

#define DAY (INT64_C(86400) * SECOND)

static void
live(struct desk *d, uint32_t max_in_flight, uint16_t keep_alive_s)
{
	const struct hello h = {
		.id = "d1", .user = HOST "/d1/?api-version=2021-04-12", .keep_alive_s = keep_alive_s
	};

	desk_init(d, max_in_flight);
	desk_live(d, &h);
}

static void
check_sent(struct desk *d, const struct buf *want)
{
	assert_int_equal(d->sent.n, want->n);
	if (want->n != 0)
		assert_memory_equal(d->sent.p, want->p, want->n);
	d->sent.n = 0;
}

/* ---- answers ---- */

static void
order__D40_D50_every_answer_comes_from_the_shard(void **state)
{
	static const enum op_kind kinds[] = { OP_TELEMETRY, OP_ACK, OP_TWIN_GET, OP_ACK, OP_REPORT,
		OP_UNSUBSCRIBE };
	struct buf want = { 0 }, b = { 0 };
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_publish(&d, EVENTS_D1, STR("x"), 1);
	desk_publish(&d, PATCH_TOPIC("2"), STR("{no json"), 2);
	desk_publish(&d, GET_TOPIC("3"), STR_NONE, 3);
	desk_publish(&d, "$iothub/twin/GET/", STR_NONE, 4); /* without $rid: only acknowledged */
	desk_publish(&d, PATCH_TOPIC("5"), STR("{\"a\":1}"), 5);
	put_filter(&b, false, "#", 6);
	desk_bytes(&d, buf_view(&b));
	assert_int_equal(d.sent.n, 0); /* not one before its turn, faults found here neither */
	assert_int_equal(d.nwork, 6);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(d.works[i]->op.kind, kinds[i]);

	for (uint8_t i = 1; i <= 5; i++) {
		struct work *w = desk_take(&d);

		w->reply.deliver = true;
		w->reply.version = 9;
		if (w->op.kind == OP_TWIN_GET)
			buf_cstr(&w->reply.body, "{}");
		desk_answer(&d, w);
		assert_memory_equal(d.sent.p, ((const uint8_t[]){ 0x40, 2, 0, i }), 4);
		want.n = 0;
		if (i == 3)
			put_publish(&want, "$iothub/twin/res/200/?$rid=3", STR("{}"), 0);
		else if (i == 5)
			put_publish(&want, "$iothub/twin/res/204/?$rid=5&$version=9", STR_NONE, 0);
		if (i == 2)
			assert_non_null(
			    memmem(d.sent.p, d.sent.n, "$iothub/twin/res/400/?$rid=2", 28));
		else
			assert_int_equal(d.sent.n, 4 + want.n);
		if (want.n != 0)
			assert_memory_equal(d.sent.p + 4, want.p, want.n);
		d.sent.n = 0;
	}
	desk_answer(&d, desk_take(&d));
	want.n = 0;
	buf_put(&want, "\xb0\x02\x00\x06", 4);
	check_sent(&d, &want);
	buf_fini(&want);
	buf_fini(&b);
	desk_fini(&d);
}

static void
answer__D48_error_says_when_and_bears_a_number(void **state)
{
	struct buf want = { 0 };
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_publish(&d, "$iothub/twin/PATCH/properties/reported/?$rid=r&$version=x", STR("{}"), 0);
	desk_answer(&d, desk_take(&d));
	put_publish(&want, "$iothub/twin/res/400/?$rid=r",
	    STR("{\"errorCode\":400004,\"trackingId\":\"abababababababababababababababab\","
	        "\"message\":"
	        "\"$version of the topic is not a number\",\"timestampUtc\":\"2027-01-15T08:00:00."
	        "0000000Z\"}"),
	    0);
	check_sent(&d, &want);
	buf_fini(&want);
	desk_fini(&d);
}

static void
answer__D74_twin_too_large_for_a_packet_is_an_error(void **state)
{
	struct work *w;
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_publish(&d, GET_TOPIC("1"), STR_NONE, 0);
	w = desk_take(&d);
	w->reply.deliver = true;
	while (w->reply.body.n < MQTT_SEND_MAX)
		buf_cstr(&w->reply.body, "0123456789");
	desk_answer(&d, w);
	assert_non_null(memmem(d.sent.p, d.sent.n, "$iothub/twin/res/500/?$rid=1", 28));
	assert_int_equal(d.ending, SESSION_STAYS);
	desk_fini(&d);
}

static void
answer__D51_who_does_not_listen_gets_the_puback_alone(void **state)
{
	struct buf want = { 0 };
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_publish(&d, GET_TOPIC("1"), STR_NONE, 7);
	desk_answer(&d, desk_take(&d));
	buf_put(&want, "\x40\x02\x00\x07", 4);
	check_sent(&d, &want);
	buf_fini(&want);
	desk_fini(&d);
}

/* No packet says that it has failed. */
static void
answer__D30_telemetry_and_unsubscribe_that_fail_end_the_link(void **state)
{
	struct buf b = { 0 };
	struct work *w;
	struct desk d;

	(void)state;
	put_filter(&b, false, "#", 6);
	for (unsigned i = 0; i < 2; i++) {
		live(&d, 0, 0);
		if (i == 0)
			desk_publish(&d, EVENTS_D1, STR("x"), 0);
		else
			desk_bytes(&d, buf_view(&b));
		w = desk_take(&d);
		fault_set(&w->reply.fault, F_ServiceUnavailable, "no disk");
		desk_answer(&d, w);
		assert_int_equal(d.sent.n, 0);
		assert_int_equal(d.ending, SESSION_DROPS);
		assert_int_equal(d.s.why, REASON_NOT_STORED);
		desk_fini(&d);
	}
	buf_fini(&b);
}

static void
answer__D31_D35_suback_as_the_shard_says(void **state)
{
	struct buf b = { 0 }, want = { 0 };
	struct work *w;
	struct desk d;

	(void)state;
	put_filter(&b, true, "some/topic", 6);
	for (unsigned i = 0; i < 3; i++) { /* granted, refused, failed */
		live(&d, 0, 0);
		desk_bytes(&d, buf_view(&b));
		w = desk_take(&d);
		assert_int_equal(w->op.kind, OP_SUBSCRIBE);
		if (i == 2)
			fault_set(&w->reply.fault, F_ServiceUnavailable, "no disk");
		else
			buf_putc(&w->reply.body, (char)(i == 0 ? 1 : SUBACK_REFUSED));
		desk_answer(&d, w);
		want.n = 0;
		buf_put(&want, "\x90\x03\x00\x06", 4);
		buf_putc(&want, (char)(i == 0 ? 1 : SUBACK_REFUSED));
		check_sent(&d, &want);
		assert_int_equal(d.nline, i == 0 ? 0 : 1);
		assert_int_equal(d.ending, SESSION_STAYS);
		desk_fini(&d);
	}
	buf_fini(&b);
	buf_fini(&want);
}

/* ---- back-pressure ---- */

static void
pressure__reading_stops_at_256_operations_until_half_is_back(void **state)
{
	struct buf b = { 0 };
	struct desk d;
	size_t one, used;

	(void)state;
	live(&d, 0, 0);
	put_publish(&b, GET_TOPIC("1"), STR_NONE, 0);
	one = b.n;
	for (unsigned i = 1; i < MQTT_IN_FLIGHT + 50; i++)
		put_publish(&b, GET_TOPIC("1"), STR_NONE, 0);
	used = desk_bytes(&d, buf_view(&b));
	assert_int_equal(used, MQTT_IN_FLIGHT * one);
	assert_int_equal(d.nwork, MQTT_IN_FLIGHT);
	for (unsigned i = 1; i < MQTT_IN_FLIGHT / 2; i++) {
		desk_answer(&d, desk_take(&d));
		assert_false(session_reads(&d.s));
	}
	desk_answer(&d, desk_take(&d));
	assert_true(session_reads(&d.s));
	assert_int_equal(desk_bytes(&d, str_sub(buf_view(&b), used)), 50 * one);
	buf_fini(&b);
	desk_fini(&d);
}

/* An operation under way may be the last one: one packet passes the limit, no second does. */
static void
pressure__reading_stops_at_a_megabyte_until_half_is_back(void **state)
{
	static char payload[100000];
	struct buf b = { 0 };
	struct desk d;
	size_t one, used, before;

	(void)state;
	live(&d, 0, 0);
	put_publish(&b, EVENTS_D1, (struct str){ payload, sizeof(payload) }, 0);
	one = b.n;
	for (unsigned i = 1; i < 20; i++)
		put_publish(&b, EVENTS_D1, (struct str){ payload, sizeof(payload) }, 0);
	used = desk_bytes(&d, buf_view(&b));
	assert_false(session_reads(&d.s));
	assert_in_range(d.s.work_bytes, MQTT_IN_FLIGHT_BYTES, MQTT_IN_FLIGHT_BYTES + one + 100);
	assert_int_equal(used, d.nwork * one);
	do {
		before = d.s.work_bytes;
		assert_false(session_reads(&d.s));
		desk_answer(&d, desk_take(&d));
	} while (d.s.work_bytes > MQTT_IN_FLIGHT_BYTES / 2);
	assert_true(before > MQTT_IN_FLIGHT_BYTES / 2);
	assert_true(session_reads(&d.s));
	buf_fini(&b);
	desk_fini(&d);
}

/* With room for one operation the CONNECT itself fills it. */
static void
pressure__one_at_a_time_goes_on(void **state)
{
	struct desk d;

	(void)state;
	live(&d, 1, 0);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(session_reads(&d.s));
		desk_publish(&d, GET_TOPIC("1"), STR_NONE, 1);
		assert_int_equal(d.nwork, 1);
		assert_false(session_reads(&d.s));
		desk_answer(&d, desk_take(&d));
	}
	desk_fini(&d);
}

/* Time passes; it is looked at whenever that is due. */
static void
ticks_until(struct desk *d, int64_t until_us)
{
	while (session_due_us(&d->s) <= until_us && d->ending == SESSION_STAYS) {
		d->now_us = session_due_us(&d->s);
		desk_tick(d);
	}
	d->now_us = until_us;
}

/* Who is not read, for what it has under way or for what others have, may be silent for as long, and then for its keep-alive. */
static void
pressure__D26_waiting_for_the_hub_is_no_silence(void **state)
{
	int64_t begin_us;
	struct desk d;

	(void)state;
	for (unsigned others = 0; others < 2; others++) {
		live(&d, 1, 2);
		begin_us = d.now_us;
		if (others)
			session_hold(&d.s, true, d.now_us);
		else
			desk_publish(&d, GET_TOPIC("1"), STR_NONE, 1);
		assert_false(session_reads(&d.s));
		ticks_until(&d, begin_us + 10 * SECOND);
		if (others)
			session_hold(&d.s, false, d.now_us);
		else
			desk_answer(&d, desk_take(&d));
		assert_true(session_reads(&d.s));
		ticks_until(&d, begin_us + 13 * SECOND - 1);
		assert_int_equal(d.ending, SESSION_STAYS);
		ticks_until(&d, begin_us + 16 * SECOND);
		assert_int_equal(d.ending, SESSION_DROPS);
		assert_int_equal(d.s.why, REASON_KEEP_ALIVE);
		desk_fini(&d);
	}
}

/* ---- rate limits ---- */

static void
limit__L22_L97_telemetry_waits_and_comes_again(void **state)
{
	struct buf b = { 0 };
	struct desk d;
	size_t one;

	(void)state;
	live(&d, 0, 10);
	desk_limit(&d, "device:sends=1/s,1");
	put_publish(&b, EVENTS_D1, STR("x"), 1);
	one = b.n;
	put_publish(&b, EVENTS_D1, STR("x"), 2);
	put_publish(&b, GET_TOPIC("1"), STR_NONE, 3);
	assert_int_equal(desk_bytes(&d, buf_view(&b)), one);
	assert_int_equal(d.nwork, 1);
	assert_false(session_reads(&d.s));
	assert_int_equal(d.nline, 1);
	assert_int_equal(d.line.event, LOG_DELAYED);
	assert_non_null(strstr(d.detail, "sends"));

	/* What is behind it waits, too, an answer changes nothing, and then all of it comes. */
	desk_answer(&d, desk_take(&d));
	assert_false(session_reads(&d.s));
	assert_in_range(session_due_us(&d.s) - d.now_us, SECOND, SECOND + 2);
	d.now_us = session_due_us(&d.s) - 1;
	desk_tick(&d);
	assert_false(session_reads(&d.s));
	d.now_us++;
	desk_tick(&d);
	assert_true(session_reads(&d.s));
	assert_int_equal(desk_bytes(&d, str_sub(buf_view(&b), one)), b.n - one);
	assert_int_equal(d.nwork, 2);

	/* The second time there is no line. */
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	assert_false(session_reads(&d.s));
	assert_int_equal(d.nline, 1);
	assert_int_equal(d.ending, SESSION_STAYS);
	buf_fini(&b);
	desk_fini(&d);
}

static void
limit__L22_telemetry_that_would_wait_long_ends_the_link(void **state)
{
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_limit(&d, "device:sends=30/h,1");
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	assert_int_equal(d.ending, SESSION_DROPS);
	assert_int_equal(d.s.why, REASON_RATE_LIMIT);
	assert_int_equal(d.nwork, 1);
	desk_fini(&d);
}

/* Others are always faster: it asks seldom, and after a minute it is told to go. */
static void
limit__L97_who_waits_beside_many_asks_seldom_and_not_for_ever(void **state)
{
	struct limit_asker other = { .key = { [LIMIT_DEVICE] = 1 } };
	struct limit_refusal why;
	unsigned nasked = 0;
	int64_t since_us;
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_limit(&d, "hub:sends=100/s,1");
	since_us = d.now_us;
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	assert_in_range(session_due_us(&d.s) - d.now_us, SECOND / 100, SECOND / 100 + 2);
	for (; d.ending == SESSION_STAYS; nasked++) {
		d.now_us = session_due_us(&d.s);
		while (desk_takes(&d.s, LIMIT_SENDS, &other, &why))
			;
		desk_tick(&d);
		assert_true(session_reads(&d.s));
		desk_publish(&d, EVENTS_D1, STR("x"), 0);
	}
	assert_int_equal(d.s.why, REASON_RATE_LIMIT);
	assert_in_range(d.now_us - since_us, 60 * SECOND, 62 * SECOND);
	assert_in_range(nasked, 40, 100);
	assert_int_equal(d.nwork, 1);
	desk_fini(&d);
}

/* Who may not be read for longer than its keep-alive is not silent. */
static void
limit__D26_waiting_is_no_silence(void **state)
{
	int64_t since_us;
	struct desk d;

	(void)state;
	live(&d, 0, 5);
	desk_limit(&d, "device:sends=2/m,1");
	since_us = d.now_us;
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	desk_publish(&d, EVENTS_D1, STR("x"), 0);
	while (!session_reads(&d.s)) {
		d.now_us = session_due_us(&d.s);
		desk_tick(&d);
		assert_int_equal(d.ending, SESSION_STAYS);
	}
	assert_in_range(d.now_us - since_us, 30 * SECOND, 31 * SECOND);
	while (d.ending == SESSION_STAYS) { /* from here on it may be */
		d.now_us = session_due_us(&d.s);
		desk_tick(&d);
	}
	assert_in_range(d.now_us - since_us, 38 * SECOND, 39 * SECOND);
	assert_int_equal(d.s.why, REASON_KEEP_ALIVE);
	desk_fini(&d);
}

static void
limit__L22_L97_twin_requests_are_answered_429_in_order(void **state)
{
	struct desk d;

	(void)state;
	live(&d, 0, 0);
	desk_limit(&d, "device:updates=1/s,1");
	desk_publish(&d, PATCH_TOPIC("1"), STR("{}"), 0);
	desk_publish(&d, PATCH_TOPIC("2"), STR("{}"), 0);
	assert_int_equal(d.works[0]->op.kind, OP_REPORT);
	assert_int_equal(d.works[1]->op.kind, OP_ACK);
	desk_answer(&d, desk_take(&d));
	desk_answer(&d, desk_take(&d));
	assert_non_null(memmem(d.sent.p, d.sent.n, "$iothub/twin/res/429/?$rid=2", 28));
	desk_fini(&d);
}

/* Before its shard is asked, or once it is known whose key it was. */
static void
limit__L97_connect_is_refused_with_3(void **state)
{
	const struct hello h = HELLO_D1;
	struct buf want = { 0 };
	struct limit_refusal why;
	struct limit_asker d1 = { .key = { [LIMIT_DEVICE] = asker_key(STR("d1"), STR_NONE) } };
	struct desk d;

	(void)state;
	buf_put(&want, "\x20\x02\x00\x03", 4);
	for (unsigned late = 0; late < 2; late++) {
		desk_init(&d, 0);
		desk_limit(&d, "device:connections=1/s,1");
		if (late)
			desk_hello(&d, &h);
		assert_true(desk_takes(&d.s, LIMIT_CONNECTIONS, &d1, &why));
		if (late)
			desk_accept(&d, 0);
		else
			desk_hello(&d, &h);
		check_sent(&d, &want);
		assert_int_equal(d.line.event, LOG_CONNECT_REFUSED);
		assert_int_equal(d.line.reason, REASON_RATE_LIMIT);
		assert_int_equal(d.ending, SESSION_LEAVES);
		assert_int_equal(d.nwork, late); /* its shard is told that it has not begun */
		if (late)
			assert_int_equal(d.works[0]->op.kind, OP_DISCONNECT);
		desk_end(&d, STREAM_CLOSED);
		assert_int_equal(d.nwork, late);
		desk_fini(&d);
	}
	buf_fini(&want);
}

/* ---- silence ---- */

static void
silence__D26_D77_L74_seconds_by_keep_alive(void **state)
{
	static const struct {
		uint16_t keep_alive_s;
		uint32_t idle_s;
	} rows[] = { { 1, 2 }, { 2, 3 }, { 3, 5 }, { 60, 90 }, { 1177, 1766 }, { 1178, 1767 },
		{ 1179, 1767 }, { 65535, 1767 }, { 0, 1767 } };
	struct desk d;

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		live(&d, 0, rows[i].keep_alive_s);
		d.now_us += rows[i].idle_s * SECOND - 1;
		desk_tick(&d);
		assert_int_equal(d.ending, SESSION_STAYS);
		d.now_us++;
		assert_true(session_due_us(&d.s) <= d.now_us);
		desk_tick(&d);
		assert_int_equal(d.ending, SESSION_DROPS);
		assert_int_equal(d.s.why, REASON_KEEP_ALIVE);
		desk_fini(&d);
	}
}

/* Pings in time, each with some delay, ticks whenever one is due: nobody is dropped, and the timer is not set for each packet. */
static void
silence__D26_D27_a_year_of_keep_alives(void **state)
{
	struct rnd r = { 5 };
	unsigned npacket = 0, ntick = 0;
	int64_t end_us;
	struct desk d;

	(void)state;
	live(&d, 0, 60);
	end_us = d.now_us + 365 * DAY;
	while (d.now_us < end_us) {
		int64_t next_us = d.now_us + 60 * SECOND + rnd_below(&r, 29) * SECOND;

		while (session_due_us(&d.s) <= next_us) {
			d.now_us = session_due_us(&d.s);
			desk_tick(&d);
			ntick++;
		}
		d.now_us = next_us;
		assert_int_equal(desk_bytes(&d, STR("\xc0\x00")), 2);
		assert_int_equal(d.sent.n, 2);
		assert_memory_equal(d.sent.p, "\xd0\x00", 2);
		d.sent.n = 0;
		npacket++;
	}
	assert_int_equal(d.ending, SESSION_STAYS);
	assert_true(npacket > 365 * 24 * 40);
	assert_in_range(ntick, 365 * 24 * 20, 2 * npacket);
	end_us = d.now_us;
	while (d.ending == SESSION_STAYS) {
		d.now_us = session_due_us(&d.s);
		desk_tick(&d);
	}
	assert_int_equal(d.now_us - end_us, 90 * SECOND);
	assert_int_equal(d.s.why, REASON_KEEP_ALIVE);
	desk_fini(&d);
}

/* ---- the token's end ---- */

static void
token__D20_its_end_is_the_links_however_busy(void **state)
{
	const struct hello h = HELLO_D1;
	int64_t end_us;
	struct desk d;

	(void)state;
	desk_init(&d, 0);
	desk_hello(&d, &h);
	desk_accept(&d, WALL_US + 3600 * SECOND);
	end_us = d.now_us + 3600 * SECOND;
	while (d.now_us + 10 * SECOND < end_us) {
		d.now_us += 10 * SECOND;
		d.wall_us = 0; /* what a clock does afterwards changes nothing */
		desk_bytes(&d, STR("\xc0\x00"));
		desk_tick(&d);
	}
	assert_int_equal(session_due_us(&d.s), end_us);
	assert_int_equal(d.ending, SESSION_STAYS);
	d.now_us = end_us;
	desk_tick(&d);
	assert_int_equal(d.ending, SESSION_LEAVES);
	assert_int_equal(d.s.why, REASON_TOKEN_END);
	desk_fini(&d);
}

static void
token__D20_one_without_end_never_ends(void **state)
{
	static const int64_t ends_us[] = { 0, INT64_MAX };
	const struct hello h = HELLO_D1;
	struct desk d;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		desk_init(&d, 0);
		desk_hello(&d, &h);
		desk_accept(&d, ends_us[i]);
		assert_int_equal(session_due_us(&d.s), d.now_us + 1767 * SECOND);
		desk_fini(&d);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order__D40_D50_every_answer_comes_from_the_shard),
		cmocka_unit_test(answer__D48_error_says_when_and_bears_a_number),
		cmocka_unit_test(answer__D74_twin_too_large_for_a_packet_is_an_error),
		cmocka_unit_test(answer__D51_who_does_not_listen_gets_the_puback_alone),
		cmocka_unit_test(answer__D30_telemetry_and_unsubscribe_that_fail_end_the_link),
		cmocka_unit_test(answer__D31_D35_suback_as_the_shard_says),
		cmocka_unit_test(pressure__reading_stops_at_256_operations_until_half_is_back),
		cmocka_unit_test(pressure__reading_stops_at_a_megabyte_until_half_is_back),
		cmocka_unit_test(pressure__one_at_a_time_goes_on),
		cmocka_unit_test(pressure__D26_waiting_for_the_hub_is_no_silence),
		cmocka_unit_test(limit__L22_L97_telemetry_waits_and_comes_again),
		cmocka_unit_test(limit__L22_telemetry_that_would_wait_long_ends_the_link),
		cmocka_unit_test(limit__L97_who_waits_beside_many_asks_seldom_and_not_for_ever),
		cmocka_unit_test(limit__D26_waiting_is_no_silence),
		cmocka_unit_test(limit__L22_L97_twin_requests_are_answered_429_in_order),
		cmocka_unit_test(limit__L97_connect_is_refused_with_3),
		cmocka_unit_test(silence__D26_D77_L74_seconds_by_keep_alive),
		cmocka_unit_test(silence__D26_D27_a_year_of_keep_alives),
		cmocka_unit_test(token__D20_its_end_is_the_links_however_busy),
		cmocka_unit_test(token__D20_one_without_end_never_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
