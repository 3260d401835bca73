/* O-230: what a session's edge knows of its device, should it have to resume the session. */
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
live(struct desk *d)
{
	const struct hello h = HELLO_D1;

	desk_init(d, 0);
	d->world.meets = loses;
	desk_live(d, &h);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resume__O230_the_edge_knows_what_its_device_has_been_told),
		cmocka_unit_test(resume__O230_what_was_not_sent_is_not_hidden_by_what_comes_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
