/* A session's life: states, CONNECT and its verdict, take-over, wills, notes, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mqtt_kit.h"

#include <cmocka.h>

static const struct hello d1 = HELLO_D1;

/* What the peer has been sent since the last look. */
static void
check_sent(struct desk *d, const void *bytes, size_t n)
{
	assert_int_equal(d->sent.n, n);
	if (n != 0)
		assert_memory_equal(d->sent.p, bytes, n);
	d->sent.n = 0;
}
#define check_sent_bytes(d, ...)                                                                   \
	check_sent(d, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* The last line of the log is this one, and the only one since the last look. */
static void
check_line(struct desk *d, enum log_event event, enum reason why)
{
	assert_int_equal(d->nline, 1);
	assert_int_equal(d->line.event, event);
	assert_string_equal(reason_id(d->line.reason), reason_id(why));
	d->nline = 0;
}

/* ---- states ---- */

/* Brings a new desk into the state. */
static void
come_to(struct desk *d, enum session_state state)
{
	desk_init(d, 0);
	if (state == S_NEW)
		return;
	if (state == S_ASKING) {
		desk_hello(d, &d1);
	} else {
		desk_live(d, &d1);
		if (state != S_LIVE)
			desk_stop(d);
		if (state == S_CLOSED)
			desk_end(d, STREAM_CLOSED);
	}
	assert_int_equal(d->s.state, state);
	d->sent.n = d->nline = 0;
	d->ending = SESSION_STAYS;
}

/* One that would be good where its type is. */
static struct mqtt_packet
packet_of(enum mqtt_type type)
{
	static const char filter[] = { 0, 1, '#', 0 };
	struct mqtt_packet p = { .type = type };

	if (type == MQTT_CONNECT)
		p.connect = (struct mqtt_connect){ .level = MQTT_LEVEL,
			.client_id = STR("d1"),
			.has_user = true,
			.user = STR(HOST "/d1/") };
	else if (type == MQTT_PUBLISH)
		p.publish = (struct mqtt_publish){ .topic = STR(GET_TOPIC("1")) };
	else if (type == MQTT_SUBSCRIBE)
		p.filters = (struct mqtt_filters){
			.packet_id = 1, .n = 1, .list = { filter, 4 }, .with_qos = true
		};
	else if (type == MQTT_UNSUBSCRIBE)
		p.filters = (struct mqtt_filters){ .packet_id = 1, .n = 1, .list = { filter, 3 } };
	return p;
}

static bool
is_legal(enum mqtt_type type, enum session_state state)
{
	static const bool live[16] = { [MQTT_PUBLISH] = true,
		[MQTT_PUBACK] = true,
		[MQTT_SUBSCRIBE] = true,
		[MQTT_UNSUBSCRIBE] = true,
		[MQTT_PINGREQ] = true,
		[MQTT_DISCONNECT] = true };

	return state == S_NEW ? type == MQTT_CONNECT : state == S_LIVE && live[type];
}

static void
check_step(enum mqtt_type type, enum session_state state)
{
	struct mqtt_packet p = packet_of(type);
	struct actions a = { 0 };
	struct desk d;
	size_t nwork;
	enum err e;

	come_to(&d, state);
	nwork = d.nwork;
	e = session_step(&d.s, &p, d.now_us, &a);
	desk_perform(&d, &a);
	assert_int_equal(e, is_legal(type, state) ? ERR_OK : ERR_PROTOCOL);
	if (!is_legal(type, state)) {
		assert_int_equal(d.nwork, nwork);
		check_sent(&d, NULL, 0);
		if (state < S_LEAVING) {
			assert_int_equal(d.ending, SESSION_DROPS);
			assert_int_equal(d.s.why, REASON_OUT_OF_TURN);
		} else {
			assert_int_equal(d.ending, SESSION_STAYS); /* it is on its way already */
			assert_int_equal(d.s.why, REASON_STOPPING);
		}
	}
	desk_fini(&d);
}

static void
session__D28_each_type_of_packet_in_each_state(void **state)
{
	(void)state;
	for (unsigned type = 0; type < 16; type++)
		for (unsigned s = S_NEW; s < S_STATES; s++)
			check_step((enum mqtt_type)type, (enum session_state)s);
}

static void
session__D28_strangers_first_byte_tells(void **state)
{
	static const char bytes[][2] = { "\x30", "\x82", "\xc0", "\xe0" };
	struct desk d;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		desk_init(&d, 0);
		desk_bytes(&d, (struct str){ bytes[i], 1 });
		assert_int_equal(d.ending, SESSION_DROPS);
		assert_int_equal(d.s.why, REASON_OUT_OF_TURN);
		desk_fini(&d);
	}
	desk_init(&d, 0);
	desk_bytes(&d, STR("\x10")); /* that of a CONNECT does not */
	assert_int_equal(d.ending, SESSION_STAYS);
	desk_bytes(&d, STR("\x10\x02XX"));
	assert_int_equal(d.s.why, REASON_MALFORMED);
	desk_fini(&d);
}

/* What nobody could be in any state: a session that has ended does nothing, whatever still comes. */
static void
session__nothing_comes_of_one_that_leaves(void **state)
{
	const struct note desired = { .kind = EFFECT_NOTIFY, .version = 2, .body = STR("{}") };
	const struct note paced = {
		.kind = EFFECT_CLOSE, .paced = true, .reason = REASON_DISABLED
	};
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_publish(&d, PATCH_TOPIC("1"), STR("{}"), 3);
	desk_stop(&d);
	assert_false(session_reads(&d.s));
	assert_int_equal(desk_bytes(&d, STR("\xc0\x00")), 0);
	desk_note(&d, &desired);
	desk_note(&d, &paced);
	d.now_us += 1000000 * SECOND;
	desk_tick(&d);
	desk_answer(&d, desk_take(&d));
	assert_int_equal(session_due_us(&d.s), SESSION_NEVER);
	assert_int_equal(d.nwork, 0);
	assert_false(d.doomed);
	assert_int_equal(d.ending, SESSION_LEAVES);
	check_sent(&d, NULL, 0);
	desk_fini(&d);
}

/* ---- CONNECT ---- */

static void
connect__D29_reads_nothing_before_its_verdict(void **state)
{
	struct buf b = { 0 };
	struct desk d;
	size_t n;

	(void)state;
	desk_init(&d, 0);
	put_connect(&b, &d1);
	n = b.n;
	put_publish(&b, GET_TOPIC("1"), STR_NONE, 0);
	assert_int_equal(desk_bytes(&d, buf_view(&b)), n);
	assert_false(session_reads(&d.s));
	assert_int_equal(d.nwork, 1);
	check_sent(&d, NULL, 0);
	desk_accept(&d, 0);
	check_sent_bytes(&d, 0x20, 2, 0, 0);
	assert_true(d.accepted);
	assert_true(session_reads(&d.s));
	assert_int_equal(desk_bytes(&d, str_sub(buf_view(&b), n)), b.n - n);
	assert_int_equal(d.works[0]->op.kind, OP_TWIN_GET);
	buf_fini(&b);
	desk_fini(&d);
}

static void
connect__D28_late_one_ends_without_a_trace(void **state)
{
	struct work *w;
	struct desk d;

	(void)state;
	desk_init(&d, 0);
	desk_end(&d, STREAM_TIMEOUT);
	check_line(&d, LOG_CLOSED, REASON_CONNECT_LATE);
	assert_int_equal(d.nwork, 0);
	desk_fini(&d);

	/* Its verdict is too late as well: the shard is told that nobody is there. */
	come_to(&d, S_ASKING);
	desk_end(&d, STREAM_TIMEOUT);
	check_line(&d, LOG_CLOSED, REASON_CONNECT_LATE);
	assert_int_equal(d.nwork, 1);
	w = d.works[0];
	w->reply.session_epoch = 42;
	w = session_orphan(w);
	assert_int_equal(w->op.kind, OP_DISCONNECT);
	assert_int_equal(w->op.session_epoch, 42);
	assert_true(str_eq(w->op.device, STR("d1")));
	assert_int_equal(w->op.payload.n, 0);
	work_free(w);
	desk_fini(&d);
}

/* The hub stops while the question is under way. */
static void
connect__D30_who_was_never_accepted_leaves_no_will(void **state)
{
	const struct hello h = {
		.id = "d1", .user = HOST "/d1/", .will_topic = EVENTS_D1, .will = "gone"
	};
	struct desk d;

	(void)state;
	desk_init(&d, 0);
	desk_hello(&d, &h);
	desk_stop(&d);
	desk_accept(&d, 0);
	check_sent(&d, NULL, 0);
	assert_false(d.accepted);
	assert_int_equal(d.nwork, 1);
	assert_int_equal(d.works[0]->op.kind, OP_DISCONNECT);
	assert_int_equal(d.works[0]->op.session_epoch, 42);
	assert_int_equal(d.works[0]->op.payload.n, 0);
	desk_end(&d, STREAM_CLOSED);
	assert_int_equal(d.nwork, 1);
	desk_fini(&d);
}

static void
connect__D10_D16_refused_ones_get_code_and_one_line(void **state)
{
	static const struct {
		struct hello h;
		uint8_t code;
		enum reason why;
	} rows[] = {
		{ { .id = "d1", .level = 5 }, 1, REASON_CONNECT_LEVEL },
		{ { .id = "", .user = HOST "/d1/", .clean = true }, 2, REASON_CLIENT_ID_EMPTY },
		{ { .id = "d1" }, 5, REASON_USER_NAME },
		{ { .id = "d1", .user = "nonsense" }, 5, REASON_USER_NAME },
		{ { .id = "d2", .user = HOST "/d1/" }, 5, REASON_CLIENT_ID_OTHER },
		{ { .id = "d1", .user = "other.example/d1/" }, 5, REASON_HOST_NAME },
		{ { .id = "d1", .user = HOST "/d1/", .will_topic = "a/b", .will = "x" }, 5,
		    REASON_WILL },
		{ { .id = "d1",
		      .user = HOST "/d1/",
		      .will_topic = "devices/d2/messages/events/",
		      .will = "x" },
		    5, REASON_WILL },
	};
	struct desk d;

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		desk_init(&d, 0);
		desk_hello(&d, &rows[i].h);
		check_sent_bytes(&d, 0x20, 2, 0, rows[i].code);
		check_line(&d, LOG_CONNECT_REFUSED, rows[i].why);
		assert_int_equal(d.ending, SESSION_LEAVES);
		assert_int_equal(d.nwork, 0);
		desk_end(&d, STREAM_CLOSED);
		assert_int_equal(d.nline, 0);
		assert_int_equal(d.nwork, 0);
		desk_fini(&d);
	}
}

static void
connect__D15_D17_its_verdict_says_why(void **state)
{
	static const struct {
		enum fault_code fault;
		enum reason said, why;
		uint8_t code;
	} rows[] = {
		{ F_IotHubUnauthorizedAccess, REASON_TOKEN_EXPIRED, REASON_TOKEN_EXPIRED, 5 },
		{ F_ServiceUnavailable, REASON_NONE, REASON_UNAVAILABLE, 3 },
		{ F_ThrottlingException, REASON_NONE, REASON_OVERLOADED, 3 },
	};
	struct work *w;
	struct desk d;

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		come_to(&d, S_ASKING);
		w = desk_take(&d);
		w->reply.reason = rows[i].said;
		fault_set(&w->reply.fault, rows[i].fault, "because");
		desk_answer(&d, w);
		check_sent_bytes(&d, 0x20, 2, 0, rows[i].code);
		check_line(&d, LOG_CONNECT_REFUSED, rows[i].why);
		assert_int_equal(d.ending, SESSION_LEAVES);
		assert_false(d.accepted);
		desk_end(&d, STREAM_CLOSED);
		assert_int_equal(d.nline, 0);
		assert_int_equal(d.nwork, 0);
		desk_fini(&d);
	}
}

/* Between the verdict and here the policy's key has gone. */
static void
connect__D81_opener_that_has_gone_meanwhile_dooms_it(void **state)
{
	struct desk d;

	(void)state;
	come_to(&d, S_ASKING);
	d.outdated = REASON_POLICY_KEY_CHANGED;
	desk_accept(&d, 0);
	check_sent_bytes(&d, 0x20, 2, 0, 0);
	assert_true(d.doomed);
	assert_int_equal(d.s.doomed, REASON_POLICY_KEY_CHANGED);
	desk_fini(&d);
}

/* All that wait on one loop share 8 MB; who is over it last goes. */
static void
connect__D28_unfinished_ones_are_bounded_together(void **state)
{
	struct desk d;
	struct session others[40];
	struct actions a = { 0 };

	(void)state;
	desk_init(&d, 0);
	for (unsigned i = 0; i < 40; i++) {
		session_open(&others[i], &d.all, (struct reply_to){ 0 }, 0);
		session_waits(&others[i], MQTT_STRANGERS_MAX / 40, &a);
		session_waits(&others[i], MQTT_STRANGERS_MAX / 40, &a); /* again, not more */
	}
	assert_int_equal(a.ending, SESSION_STAYS);
	session_waits(&d.s, 0, &a); /* who has sent nothing stays */
	assert_int_equal(a.ending, SESSION_STAYS);
	session_waits(&d.s, 1000, &a);
	assert_int_equal(a.ending, SESSION_DROPS);
	assert_int_equal(d.s.why, REASON_CONNECT_BYTES);
	desk_end(&d, STREAM_CLOSED);
	check_line(&d, LOG_CLOSED, REASON_CONNECT_BYTES);
	for (unsigned i = 0; i < 40; i++)
		session_end(&others[i], STREAM_EOF, &a);
	assert_int_equal(d.all.strangers, 0);
	desk_fini(&d);
}

/* ---- the end ---- */

static void
takeover__D25_ends_the_old_one_and_its_answers(void **state)
{
	const struct note n = { .kind = EFFECT_CLOSE, .reason = REASON_TAKEN_OVER };
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_publish(&d, PATCH_TOPIC("1"), STR("{}"), 3);
	desk_note(&d, &n);
	assert_int_equal(d.ending, SESSION_DROPS);
	desk_answer(&d, desk_take(&d));
	check_sent(&d, NULL, 0);
	desk_end(&d, STREAM_CLOSED);
	check_line(&d, LOG_CLOSED, REASON_TAKEN_OVER);
	assert_int_equal(d.nwork, 1);
	assert_int_equal(d.works[0]->op.kind, OP_DISCONNECT);
	assert_int_equal(d.works[0]->op.session_epoch, 42);
	desk_fini(&d);
}

/* DISCONNECT is the reason all the same, and the lingering is over. */
static void
takeover__D25_ends_one_that_says_goodbye(void **state)
{
	const struct note n = { .kind = EFFECT_CLOSE, .reason = REASON_TAKEN_OVER };
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_bytes(&d, STR("\xe0\x00"));
	assert_int_equal(d.ending, SESSION_LEAVES);
	desk_note(&d, &n);
	assert_int_equal(d.ending, SESSION_DROPS);
	desk_end(&d, STREAM_CLOSED);
	check_line(&d, LOG_CLOSED, REASON_GOODBYE);
	desk_fini(&d);
}

/* An operation that finds another session in its place. */
static void
takeover__D25_stale_answers_end_it(void **state)
{
	struct work *w;
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_publish(&d, GET_TOPIC("1"), STR_NONE, 3);
	w = desk_take(&d);
	w->reply.gone = true;
	desk_answer(&d, w);
	check_sent(&d, NULL, 0);
	assert_int_equal(d.ending, SESSION_DROPS);
	assert_int_equal(d.s.why, REASON_STALE);
	desk_fini(&d);
}

/* How a session may end, and whether its will is told. */
static void
leave_by(struct desk *d, unsigned way)
{
	const struct note over = { .kind = EFFECT_CLOSE, .reason = REASON_TAKEN_OVER };
	static const enum stream_end ends[] = { STREAM_EOF, STREAM_FAILED, STREAM_OVERFLOW,
		STREAM_PROTOCOL, STREAM_SHUTDOWN };

	if (way == 0) {
		desk_bytes(d, STR("\xe0\x00"));
	} else if (way == 1) {
		desk_note(d, &over);
	} else if (way == 2) {
		d->now_us += 10000 * SECOND;
		desk_tick(d);
		assert_int_equal(d->s.why, REASON_KEEP_ALIVE);
	} else if (way == 3) {
		desk_stop(d);
	} else if (way == 4) {
		desk_bytes(d, STR("\xf0\x00"));
		assert_int_equal(d->s.why, REASON_MALFORMED);
	} else if (way == 5) {
		desk_publish(d, "not/mine", STR("x"), 0);
		assert_int_equal(d->s.why, REASON_TOPIC);
	}
	assert_int_equal(d->ending != SESSION_STAYS, way < 6);
	desk_end(d, way < 6 ? STREAM_CLOSED : ends[way - 6]);
}

static void
will__D30_told_on_any_end_but_a_goodbye(void **state)
{
	const struct hello h = { .id = "d1",
		.user = HOST "/d1/",
		.will_topic = EVENTS_D1 "k=v",
		.will = "I am gone",
		.keep_alive_s = 60 };
	struct buf body = { 0 };
	struct work *w;
	struct desk d;

	(void)state;
	telemetry_put(&body, STR("k"), STR("v"));
	telemetry_put(&body, STR("iothub-MessageType"), STR("Will"));
	telemetry_end(&body, STR("I am gone"));
	for (unsigned way = 0; way < 11; way++) {
		desk_init(&d, 0);
		desk_live(&d, &h);
		leave_by(&d, way);
		assert_int_equal(d.nline, 1);
		assert_int_equal(d.nwork, 1);
		w = d.works[0];
		assert_int_equal(w->op.kind, OP_DISCONNECT);
		assert_int_equal(w->op.session_epoch, 42);
		assert_int_equal(w->op.payload.n, way == 0 ? 0 : body.n);
		if (way != 0)
			assert_memory_equal(w->op.payload.p, body.p, body.n);
		desk_fini(&d);
	}
	buf_fini(&body);
}

/* As work_goes sets it when a commit fails, and on_disconnect when there is none. */
static void
will__D30_one_that_is_lost_has_a_line(void **state)
{
	struct work *w = work_new(NULL, 16, NULL);
	struct log_story line;

	(void)state;
	w->op.kind = OP_DISCONNECT;
	w->op.device = work_str(w, STR("d1"));
	fault_set(&w->reply.fault, F_ServiceUnavailable, "the hub is stopping");
	assert_false(session_will_lost(w, &line)); /* it had none */
	w->op.payload = work_str(w, STR("will"));
	assert_true(session_will_lost(w, &line));
	assert_int_equal(line.event, LOG_WILL_LOST);
	assert_int_equal(line.reason, REASON_NOT_STORED);
	assert_true(str_eq(line.device, STR("d1")));
	assert_true(str_eq(line.detail, STR("the hub is stopping")));
	w->reply.reason = REASON_NO_WRITES;
	assert_true(session_will_lost(w, &line));
	assert_int_equal(line.reason, REASON_NO_WRITES);
	w->reply.fault.code = F_NONE;
	assert_false(session_will_lost(w, &line));
	work_free(w);
}

static void
end__each_way_of_a_stream_has_its_reason(void **state)
{
	static const enum reason reasons[] = {
		[STREAM_OVERFLOW] = REASON_SLOW_READER,
		[STREAM_EOF] = REASON_LEFT,
		[STREAM_SHUTDOWN] = REASON_STOPPING,
	};
	struct desk d;

	(void)state;
	for (unsigned end = STREAM_EOF; end <= STREAM_SHUTDOWN; end++) {
		come_to(&d, S_LIVE);
		desk_end(&d, (enum stream_end)end);
		assert_int_equal(d.nline, 1);
		if (reasons[end] != REASON_NONE)
			check_line(&d, LOG_CLOSED, reasons[end]);
		desk_fini(&d);
	}
}

/* ---- links whose opener has gone: ended at a pace, by the reaper ---- */

static void
doomed__D81_goes_on_until_its_turn(void **state)
{
	const struct note n = { .kind = EFFECT_CLOSE, .paced = true, .reason = REASON_KEY_CHANGED };
	struct actions a = { 0 };
	struct work *w;
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_note(&d, &n);
	assert_true(d.doomed);
	assert_int_equal(d.ending, SESSION_STAYS);
	d.doomed = false;
	desk_note(&d, &n); /* counted once */
	assert_false(d.doomed);
	assert_false(session_doom(&d.s, REASON_CA_REMOVED));

	/* What it still sends finds that it is nobody's, and is silent. */
	desk_publish(&d, GET_TOPIC("1"), STR_NONE, 3);
	w = desk_take(&d);
	w->reply.gone = true;
	desk_answer(&d, w);
	check_sent(&d, NULL, 0);
	assert_int_equal(d.ending, SESSION_STAYS);

	session_turn(&d.s, &a);
	assert_int_equal(a.ending, SESSION_DROPS);
	desk_end(&d, STREAM_CLOSED);
	check_line(&d, LOG_CLOSED, REASON_KEY_CHANGED);
	desk_fini(&d);
}

static void
doomed__D81_is_the_reason_if_it_leaves_by_itself(void **state)
{
	const struct note n = { .kind = EFFECT_CLOSE, .paced = true, .reason = REASON_KEY_CHANGED };
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_note(&d, &n);
	desk_end(&d, STREAM_EOF);
	check_line(&d, LOG_CLOSED, REASON_KEY_CHANGED);
	desk_fini(&d);
}

/* ---- notes ---- */

static void
note__D52_desired_change_is_a_publish(void **state)
{
	static const char topic[] = "$iothub/twin/PATCH/properties/desired/?$version=5";
	const struct note n = { .kind = EFFECT_NOTIFY, .version = 5, .body = STR("{\"a\":1}") };
	struct buf want = { 0 };
	struct desk d;

	(void)state;
	for (unsigned s = S_NEW; s < S_STATES; s++) {
		come_to(&d, (enum session_state)s);
		desk_note(&d, &n);
		want.n = 0;
		if (s == S_LIVE)
			put_publish(&want, topic, n.body, 0);
		check_sent(&d, want.p, want.n);
		desk_fini(&d);
	}
	buf_fini(&want);
}

static void
note__D74_desired_change_too_large_is_a_line(void **state)
{
	struct buf big = { 0 };
	struct note n = { .kind = EFFECT_NOTIFY, .version = 5 };
	struct desk d;

	(void)state;
	while (big.n < MQTT_SEND_MAX)
		buf_cstr(&big, "0123456789abcdef");
	n.body = buf_view(&big);
	come_to(&d, S_LIVE);
	desk_note(&d, &n);
	check_sent(&d, NULL, 0);
	check_line(&d, LOG_PART_REFUSED, REASON_NOTIFICATION_SIZE);
	assert_int_equal(d.ending, SESSION_STAYS);
	desk_fini(&d);
	buf_fini(&big);
}

static void
note__D55_D57_call_and_its_response(void **state)
{
	const struct note n = {
		.kind = EFFECT_METHOD, .call = 0x2f, .name = STR("reboot"), .body = STR("null")
	};
	struct buf want = { 0 };
	struct desk d;

	(void)state;
	come_to(&d, S_LIVE);
	desk_note(&d, &n);
	put_publish(&want, "$iothub/methods/POST/reboot/?$rid=2f", STR("null"), 0);
	check_sent(&d, want.p, want.n);
	desk_publish(&d, "$iothub/methods/res/200/?$rid=2f", STR("{ \"ok\": true }"), 9);
	assert_int_equal(d.works[0]->op.kind, OP_METHOD_RESPONSE);
	assert_int_equal(d.works[0]->op.method.call, 0x2f);
	assert_int_equal(d.works[0]->op.method.status, 200);
	assert_true(str_eq(d.works[0]->op.payload, STR("{\"ok\":true}")));
	desk_answer(&d, desk_take(&d));
	check_sent_bytes(&d, 0x40, 2, 0, 9);
	desk_fini(&d);
	buf_fini(&want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session__D28_each_type_of_packet_in_each_state),
		cmocka_unit_test(session__D28_strangers_first_byte_tells),
		cmocka_unit_test(session__nothing_comes_of_one_that_leaves),
		cmocka_unit_test(connect__D29_reads_nothing_before_its_verdict),
		cmocka_unit_test(connect__D28_late_one_ends_without_a_trace),
		cmocka_unit_test(connect__D30_who_was_never_accepted_leaves_no_will),
		cmocka_unit_test(connect__D10_D16_refused_ones_get_code_and_one_line),
		cmocka_unit_test(connect__D15_D17_its_verdict_says_why),
		cmocka_unit_test(connect__D81_opener_that_has_gone_meanwhile_dooms_it),
		cmocka_unit_test(connect__D28_unfinished_ones_are_bounded_together),
		cmocka_unit_test(takeover__D25_ends_the_old_one_and_its_answers),
		cmocka_unit_test(takeover__D25_ends_one_that_says_goodbye),
		cmocka_unit_test(takeover__D25_stale_answers_end_it),
		cmocka_unit_test(will__D30_told_on_any_end_but_a_goodbye),
		cmocka_unit_test(will__D30_one_that_is_lost_has_a_line),
		cmocka_unit_test(end__each_way_of_a_stream_has_its_reason),
		cmocka_unit_test(doomed__D81_goes_on_until_its_turn),
		cmocka_unit_test(doomed__D81_is_the_reason_if_it_leaves_by_itself),
		cmocka_unit_test(note__D52_desired_change_is_a_publish),
		cmocka_unit_test(note__D74_desired_change_too_large_is_a_line),
		cmocka_unit_test(note__D55_D57_call_and_its_response),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
