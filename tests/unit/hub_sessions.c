/* Sessions: take-over, what a durable one keeps, subscriptions (device-mqtt.md 2.7, 3). */
#include "hub_kit.h"

/* ---- take-over (D-25, T-106) ---- */

static void
session__D25_the_newest_wins(void **state)
{
	struct kit *k = *state;
	uint64_t first, second;

	kit_device(k, "d1");
	first = kit_connect(k, "d1", 1, true);
	second = kit_connect(k, "d1", 2, true);
	assert_true(second != first);
	assert_string_equal(kit_effects(k), "close 1");
	assert_int_equal(
	    kit_report(k, "d1", first, "{'x':1}"), F_ConnectionForcefullyClosedOnNewConnection);
	assert_true(k->reply.gone);
	assert_int_equal(kit_report(k, "d1", second, "{'x':1}"), F_NONE);
	assert_false(k->reply.gone);
	kit_session_op(k, OP_DISCONNECT, "d1", first, NULL); /* late: T-106 */
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Connected'");
	kit_session_op(k, OP_DISCONNECT, "d1", second, NULL);
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Disconnected'");
}

static void
session__D25_a_refused_connect_leaves_the_old_one_alone(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_CONNECT, "d1");
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	op.connect.clean = true;
	op.shown.token = STR("wrong");
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	assert_string_equal(kit_effects(k), "");
	assert_int_equal(kit_report(k, "d1", session_epoch, "{}"), F_NONE);
}

/* The close of the old link waits for the commit of what the new one writes: it comes behind the write. */
static void
session__close_of_the_old_link_is_behind_the_write(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	kit_connect(k, "d1", 1, true);
	k->hold = true;
	op = kit_connect_op(k, "d1", 2, false);
	k->env.can_write = false;
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_string_equal(kit_effects(k), "");
	k->env.can_write = true;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->batch.n, 1);
	assert_string_equal(kit_effects(k), "close 1");
}

static void
session__epochs_grow_over_restarts(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_restart(k);
	assert_true(kit_connect(k, "d1", 1, true) > session_epoch);
}

/* ---- durable sessions (2.7) ---- */

static void
session__D21_clean_0_keeps_its_filters(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_false(k->reply.session_present); /* the first */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "td"), "00");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), ""); /* T-65: not for later */
	kit_restart(k);                          /* D-22 */
	kit_connect(k, "d1", 2, false);
	assert_true(k->reply.session_present);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':2}}}"); /* T-72 */
	assert_string_equal(kit_effects(k), "notify 2 v3 {'a':2,'$version':3}");
}

static void
session__D23_clean_1_drops_what_was_stored(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	kit_subscribe(k, "d1", session_epoch, "d");
	kit_connect(k, "d1", 2, true);
	assert_false(k->reply.session_present);
	kit_effects(k);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
	assert_int_equal(kit_records(k), 3); /* no session record */
	kit_connect(k, "d1", 3, false);
	assert_false(k->reply.session_present);
}

static void
session__clean_1_writes_nothing(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	k->hold = true;
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_subscribe(k, "d1", session_epoch, "tdmc");
	kit_unsubscribe(k, "d1", session_epoch, "c");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	assert_int_equal(k->batch.n, 0);
}

/* A store that takes no writes: whoever needs none may connect. */
static void
session__without_writes_only_connects_that_need_none(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	k->env.can_write = false;
	op = kit_connect_op(k, "d1", 1, false);
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	op = kit_connect_op(k, "d1", 1, true);
	assert_int_equal(kit_run(k, &op), F_NONE);
	k->env.can_write = true;
	kit_connect(k, "d1", 2, false);
	k->env.can_write = false;
	op = kit_connect_op(k, "d1", 3, false);
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_true(k->reply.session_present);
	op = kit_connect_op(k, "d1", 3, true);
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_true(op_writes(OP_REPORT) && op_writes(OP_TELEMETRY) && op_writes(OP_IDENTITY_PUT) &&
	    op_writes(OP_TWIN_PATCH) && op_writes(OP_TWIN_REPLACE) &&
	    op_writes(OP_IDENTITY_DELETE));
	assert_false(op_writes(OP_TWIN_GET) || op_writes(OP_TWIN_READ) || op_writes(OP_ACK) ||
	    op_writes(OP_CONNECT) || op_writes(OP_DISCONNECT) || op_writes(OP_IDENTITY_GET) ||
	    op_writes(OP_SUBSCRIBE) || op_writes(OP_UNSUBSCRIBE));
}

/* What a session listens to is stored for a durable one only, and only when it changes. */
static void
subscribe__without_writes_is_refused_only_if_it_takes_one(void **state)
{
	struct kit *k = *state;
	uint64_t clean, durable;

	kit_device(k, "clean");
	kit_device(k, "durable");
	durable = kit_connect(k, "durable", 2, false);
	assert_string_equal(kit_subscribe(k, "durable", durable, "td"), "00");
	k->hold = true;
	k->env.can_write = false;
	clean = kit_connect(k, "clean", 1, true);
	assert_string_equal(kit_subscribe(k, "clean", clean, "td"), "00");
	kit_unsubscribe(k, "clean", clean, "d");
	assert_string_equal(kit_subscribe(k, "durable", durable, "td"), "00"); /* as stored */
	assert_string_equal(kit_subscribe(k, "durable", durable, "tm"), "");
	assert_int_equal(k->reply.fault.code, F_ServiceUnavailable);
	assert_int_equal(k->reply.body.n, 0);
	assert_int_equal(k->batch.n, 0);
	k->env.can_write = true;
	assert_string_equal(kit_subscribe(k, "durable", durable, "tm"), "00");
	assert_int_equal(k->batch.n, 1);
}

/* ---- subscriptions ---- */

static void
subscribe__D31_one_code_each_in_order(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "tDxmC"), "01x01"); /* D-35 */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, ""), "");
}

static void
subscribe__D34_qos_2_is_granted_1(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_SUBSCRIBE, "d1");
	struct filter f = { FILTER_C2D, 2, STR_NONE };
	struct buf list = { 0 };

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	filters_put(&list, &f);
	op.payload = buf_view(&list);
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.body.p[0], 1);
	buf_fini(&list);
}

static void
subscribe__D36_L77_a_sixth_filter_is_refused(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "tdmcyz"), "00000x");
	assert_string_equal(
	    kit_subscribe(k, "d1", session_epoch, "T"), "1"); /* again is no sixth */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "z"), "x");
	kit_unsubscribe(k, "d1", session_epoch, "xzy"); /* what is not there is fine: D-37 */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "zy"), "0x");
}

static void
subscribe__D37_unsubscribed_hears_nothing_also_later(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	kit_subscribe(k, "d1", session_epoch, "td");
	kit_unsubscribe(k, "d1", session_epoch, "d");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
	kit_connect(k, "d1", 2, false);
	kit_effects(k);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
}

static void
subscribe__methods_of_two_names_are_two(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "yzt"), "000");
	kit_unsubscribe(k, "d1", session_epoch, "y");
	assert_string_equal(
	    kit_subscribe(k, "d1", session_epoch, "dmc"), "000"); /* z, t and these */
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "y"), "x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(session__D25_the_newest_wins),
		kit_test(session__D25_a_refused_connect_leaves_the_old_one_alone),
		kit_test(session__close_of_the_old_link_is_behind_the_write),
		kit_test(session__epochs_grow_over_restarts),
		kit_test(session__D21_clean_0_keeps_its_filters),
		kit_test(session__D23_clean_1_drops_what_was_stored),
		kit_test(session__clean_1_writes_nothing),
		kit_test(session__without_writes_only_connects_that_need_none),
		kit_test(subscribe__without_writes_is_refused_only_if_it_takes_one),
		kit_test(subscribe__D31_one_code_each_in_order),
		kit_test(subscribe__D34_qos_2_is_granted_1),
		kit_test(subscribe__D36_L77_a_sixth_filter_is_refused),
		kit_test(subscribe__D37_unsubscribed_hears_nothing_also_later),
		kit_test(subscribe__methods_of_two_names_are_two),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
