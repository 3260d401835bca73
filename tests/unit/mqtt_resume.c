/* O-230 to O-232: what a session's edge knows of its device, and how it asks for the session to be resumed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "mqtt_kit.h"

#include <cmocka.h>

#define DESIRED "$iothub/twin/PATCH/properties/desired/#"

static bool losing;

static bool
loses(struct session *s, enum mishap what, struct mishap_met *out)
{
	(void)s, (void)out;
	return losing && what == MISHAP_LOSE_NOTIFICATION;
}

static void
live_as(struct desk *d, bool clean)
{
	struct hello h = HELLO_D1;

	h.clean = clean;
	desk_init(d, 0);
	d->world.meets = loses;
	desk_hello(d, &h);
	d->works[0]->reply.identity = 99;
	desk_accept(d, 0);
}

static void
live(struct desk *d)
{
	live_as(d, true);
}

/* version 0: the subscription is to something else. */
static void
subscribe(struct desk *d, const char *filter, uint64_t version)
{
	struct buf b = { 0 };
	struct work *w;

	put_filter(&b, true, filter, 1);
	desk_bytes(d, buf_view(&b));
	buf_fini(&b);
	w = desk_take(d);
	assert_int_equal(w->op.kind, OP_SUBSCRIBE);
	buf_putc(&w->reply.body, 1);
	w->reply.version = version;
	desk_answer(d, w);
}

static void
notify(struct desk *d, uint32_t version, struct str body)
{
	desk_note(d, &(struct note){ .kind = EFFECT_NOTIFY, .version = version, .body = body });
}

static void
get(struct desk *d, uint64_t version, bool listens)
{
	struct work *w;

	desk_publish(d, GET_TOPIC("1"), STR_NONE, 0);
	w = desk_take(d);
	assert_int_equal(w->op.kind, OP_TWIN_GET);
	buf_cstr(&w->reply.body, "{}");
	w->reply.version = version;
	w->reply.deliver = listens;
	desk_answer(d, w);
}

static void
resume__O230_the_edge_knows_what_its_device_has_been_told(void **state)
{
	struct desk d;

	(void)state;
	live(&d);
	assert_int_equal(d.s.desired_known, 0);
	get(&d, 3, false); /* nobody has heard the answer */
	assert_int_equal(d.s.desired_known, 0);
	subscribe(&d, DESIRED, 4);
	assert_int_equal(d.s.desired_known, 4);
	notify(&d, 5, STR("{}"));
	assert_int_equal(d.s.desired_known, 5);
	subscribe(&d, "$iothub/methods/POST/#", 0);
	assert_int_equal(d.s.desired_known, 5);
	notify(&d, INT32_MAX, STR("{}"));
	notify(&d, 1, STR("{}")); /* versions begin again */
	assert_int_equal(d.s.desired_known, 1);
	get(&d, 2, true);
	assert_int_equal(d.s.desired_known, 2);
	desk_fini(&d);
}

static void
resume__O230_what_was_not_sent_is_not_hidden_by_what_comes_next(void **state)
{
	struct buf huge = { 0 };
	struct desk d;

	(void)state;
	for (int i = 0; i < 2; i++) {
		live(&d);
		subscribe(&d, DESIRED, 4);
		losing = i == 0;
		while (i == 1 && huge.n < MQTT_SEND_MAX)
			buf_cstr(&huge, "0123456789abcdef");
		notify(&d, 5, i == 0 ? STR("{}") : buf_view(&huge));
		losing = false;
		assert_int_equal(d.s.desired_known, 0);
		notify(&d, 6, STR("{}"));
		assert_int_equal(d.s.desired_known, 0);
		subscribe(&d, DESIRED, 6);
		assert_int_equal(d.s.desired_known, 0);
		get(&d, 6, true);
		assert_int_equal(d.s.desired_known, 6);
		notify(&d, 7, STR("{}"));
		assert_int_equal(d.s.desired_known, 7);
		desk_fini(&d);
	}
	buf_fini(&huge);
}

static struct work *
resume(struct desk *d)
{
	struct actions a = { 0 };
	struct work *w;

	session_resume(&d->s, &a);
	desk_perform(d, &a);
	w = desk_take(d);
	assert_int_equal(w->op.kind, OP_RESUME);
	return w;
}

static void
resume__O231_the_edge_says_what_the_session_is(void **state)
{
	struct buf b = { 0 }, want = { 0 };
	struct desk d;
	struct work *w;

	(void)state;
	for (int clean = 0; clean < 2; clean++) {
		live_as(&d, clean);
		subscribe(&d, DESIRED, 4);
		subscribe(&d, "$iothub/methods/POST/#", 0);
		subscribe(&d, "$iothub/twin/res/#", 0);
		b.n = want.n = 0;
		put_filter(&b, false, "$iothub/methods/POST/#", 2);
		desk_bytes(&d, buf_view(&b));
		desk_answer(&d, desk_take(&d));
		notify(&d, 5, STR("{}"));
		w = resume(&d);
		filters_put(&want, &(struct filter){ .kind = FILTER_DESIRED, .qos = 1 });
		filters_put(&want, &(struct filter){ .kind = FILTER_TWIN_RES, .qos = 1 });
		if (!clean) /* they are stored */
			want.n = 0;
		assert_true(str_eq(w->op.payload, buf_view(&want)));
		assert_true(str_eq(w->op.device, STR("d1")));
		assert_int_equal(w->op.session_epoch, 42);
		assert_memory_equal(&w->op.reply_to, &d.s.self, sizeof(d.s.self));
		assert_int_equal(w->op.resume.identity, 99);
		assert_int_equal(w->op.resume.desired, 5);
		assert_int_equal(w->op.resume.since_us, WALL_US);
		assert_int_equal(w->op.resume.opened.by, OPENED_BY_SELF);
		assert_int_equal(w->op.resume.clean, clean);
		d.sent.n = 0;
		desk_answer(&d, w);
		assert_int_equal(d.ending, SESSION_STAYS);
		assert_int_equal(d.sent.n, 0);
		desk_fini(&d);
	}
	buf_fini(&b);
	buf_fini(&want);
}

static void
resume__O231_a_filter_that_was_refused_is_none(void **state)
{
	struct buf b = { 0 };
	struct desk d;
	struct work *w;

	(void)state;
	live(&d);
	put_filter(&b, true, DESIRED, 1);
	desk_bytes(&d, buf_view(&b));
	w = desk_take(&d);
	buf_putc(&w->reply.body, (char)SUBACK_REFUSED);
	desk_answer(&d, w);
	w = resume(&d);
	assert_int_equal(w->op.payload.n, 0);
	work_free(w);
	desk_fini(&d);
	buf_fini(&b);
}

static void
resume__O232_who_is_not_taken_up_ends_with_the_reason(void **state)
{
	struct desk d;
	struct work *w;

	(void)state;
	live(&d);
	w = resume(&d);
	assert_true(session_owed(&d.s));
	w->reply.gone = true;
	w->reply.reason = REASON_DESIRED_MISSED;
	fault_set(&w->reply.fault, F_ConnectionForcefullyClosedOnNewConnection, "no");
	desk_answer(&d, w);
	assert_false(session_owed(&d.s));
	assert_int_equal(d.ending, SESSION_DROPS);
	desk_end(&d, STREAM_CLOSED);
	assert_int_equal(d.line.reason, REASON_DESIRED_MISSED);
	assert_int_equal(d.works[0]->op.kind, OP_DISCONNECT);
	desk_fini(&d);
}

/* Its owner may not answer, or the commit that the verdict has seen has failed: whatever it was, it is none. */
static void
resume__O236_who_has_no_verdict_stays_and_asks_again(void **state)
{
	struct desk d;
	struct work *w;

	(void)state;
	live(&d);
	for (int i = 0; i < 2; i++) {
		w = resume(&d);
		w->reply.gone = i == 0;
		w->reply.reason = i == 0 ? REASON_DESIRED_MISSED : REASON_NONE;
		fault_set(&w->reply.fault, F_ServiceUnavailable, "not now");
		desk_answer(&d, w);
		assert_int_equal(d.ending, SESSION_STAYS);
		assert_true(session_owed(&d.s));
	}
	desk_answer(&d, resume(&d));
	assert_false(session_owed(&d.s));
	desk_fini(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resume__O230_the_edge_knows_what_its_device_has_been_told),
		cmocka_unit_test(resume__O230_what_was_not_sent_is_not_hidden_by_what_comes_next),
		cmocka_unit_test(resume__O231_the_edge_says_what_the_session_is),
		cmocka_unit_test(resume__O231_a_filter_that_was_refused_is_none),
		cmocka_unit_test(resume__O232_who_is_not_taken_up_ends_with_the_reason),
		cmocka_unit_test(resume__O236_who_has_no_verdict_stays_and_asks_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
