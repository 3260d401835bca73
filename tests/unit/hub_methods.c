/* Direct methods inside the shard: device-mqtt.md 5; service-rest.md 10, R-64 to R-71. */
#include "hub_kit.h"

/* What leaves, in short: "call 7 #1 reboot {...}", "sent 100", "done 100 200 {...}", "fails 100 404104", "close 7". */
static void
short_effect(void *ctx, const struct effect *e)
{
	struct kit *k = ctx;

	if (k->effects.n > 0)
		buf_putc(&k->effects, '\n');
	switch (e->kind) {
	case EFFECT_METHOD:
		buf_printf(&k->effects, "call %u #%u " STR_FMT " " STR_FMT, e->session.slot,
		    (unsigned)e->call, STR_ARG(e->name), STR_ARG(e->body));
		break;
	case EFFECT_CALL_SENT: buf_printf(&k->effects, "sent %u", e->session.slot); break;
	case EFFECT_CALL_DONE:
		if (e->fault != F_NONE)
			buf_printf(&k->effects, "fails %u %d", e->session.slot, (int)e->fault);
		else
			buf_printf(&k->effects, "done %u %d " STR_FMT, e->session.slot,
			    (int)e->status, STR_ARG(e->body));
		break;
	default: buf_printf(&k->effects, "close %u", e->session.slot);
	}
}

static int
setup(void **state)
{
	kit_setup(state);
	((struct kit *)*state)->env.effect = short_effect;
	return 0;
}

/* A call in the name of that caller, with that many bytes. */
static enum fault_code
call(struct kit *k, const char *id, const char *name, uint32_t caller, bool wait, size_t bytes)
{
	struct op op = kit_op(OP_METHOD, id);
	char *payload = xmalloc(bytes);
	enum fault_code code;

	memset(payload, '7', bytes);
	op.method.name = str_of(name);
	op.method.wait = wait;
	op.reply_to.slot = caller;
	op.payload = (struct str){ payload, bytes };
	code = kit_run(k, &op);
	free(payload);
	return code;
}

static void
respond(struct kit *k, const char *id, uint64_t session_epoch, uint64_t number, int32_t status)
{
	struct op op = kit_op(OP_METHOD_RESPONSE, id);

	op.session_epoch = session_epoch;
	op.method.call = number;
	op.method.status = status;
	op.payload = STR("{}");
	kit_run(k, &op);
}

static void
cancel(struct kit *k, const char *id, uint32_t caller)
{
	struct op op = kit_op(OP_METHOD_CANCEL, id);

	op.reply_to.slot = caller;
	kit_run(k, &op);
}

static uint64_t
listener(struct kit *k, const char *id, uint32_t slot)
{
	uint64_t session_epoch = kit_connect(k, id, slot, true);

	kit_subscribe(k, id, session_epoch, "m");
	return session_epoch;
}

static void
method__R64_goes_there_and_back(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = listener(k, "d1", 7);
	assert_int_equal(call(k, "d1", "reboot", 100, false, 2), F_NONE);
	assert_true(k->reply.deliver);
	assert_string_equal(kit_effects(k), "call 7 #1 reboot 77");
	respond(k, "d1", session_epoch, 1, 201);
	assert_string_equal(kit_effects(k), "done 100 201 {}");
	respond(k, "d1", session_epoch, 1, 201); /* once */
	respond(k, "d1", session_epoch, 9, 201);
	assert_string_equal(kit_effects(k), "");
	assert_int_equal(k->sh->ncall, 0);
}

static void
method__R66_offline_fails_at_once(void **state)
{
	struct kit *k = *state;

	assert_int_equal(call(k, "d1", "m", 1, true, 1), F_DeviceNotFound);
	kit_device(k, "d1");
	assert_int_equal(call(k, "d1", "m", 1, false, 1), F_DeviceNotOnline);
	kit_connect(k, "d1", 7, true);
	assert_int_equal(call(k, "d1", "m", 1, false, 1), F_DeviceNotOnline);
	assert_int_equal(call(k, "d1/m1", "m", 1, true, 1), F_ModuleNotFound);
	assert_string_equal(kit_effects(k), "");
}

static void
method__R67_waits_for_the_subscription(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	kit_device(k, "d2");
	call(k, "d2", "m", 99, true, 1);
	assert_int_equal(call(k, "d1", "reboot", 100, true, 1), F_NONE);
	assert_false(k->reply.deliver);
	assert_int_equal(call(k, "d1", "update", 101, true, 1), F_NONE);
	session_epoch = kit_connect(k, "d1", 7, false);
	assert_string_equal(kit_effects(k), "");
	kit_subscribe(k, "d1", session_epoch, "z");
	assert_string_equal(kit_effects(k), "sent 101\ncall 7 #1 update 7");
	kit_subscribe(k, "d1", session_epoch, "m");
	assert_string_equal(kit_effects(k), "sent 100\ncall 7 #2 reboot 7");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	assert_string_equal(kit_effects(k), "fails 100 404104\nfails 101 404104");
	call(k, "d1", "again", 102, true, 1);
	kit_connect(k, "d1", 8, false); /* its session listens already */
	assert_string_equal(kit_effects(k), "sent 102\ncall 8 #3 again 7");
}

static void
method__takeover_fails_the_calls_of_the_former(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = listener(k, "d1", 7);
	call(k, "d1", "m", 100, false, 1);
	kit_effects(k);
	listener(k, "d1", 8);
	assert_string_equal(kit_effects(k), "close 7\nfails 100 404104");
	respond(k, "d1", session_epoch, 1, 200);
	assert_true(k->reply.gone);
	assert_string_equal(kit_effects(k), "");
}

static void
method__cancelled_calls_are_forgotten(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	kit_device(k, "d2");
	session_epoch = listener(k, "d1", 7);
	call(k, "d1", "m", 100, false, 1);
	call(k, "d2", "m", 101, true, 1);
	kit_effects(k);
	cancel(k, "d1", 101); /* another's */
	assert_int_equal(k->sh->ncall, 1);
	cancel(k, "d1", 100);
	cancel(k, "d1", 100);
	cancel(k, "nobody", 100);
	assert_int_equal(k->sh->ncall, 0);
	assert_int_equal(k->sh->waiting_bytes, 0);
	respond(k, "d1", session_epoch, 1, 200);
	listener(k, "d2", 8);
	assert_string_equal(kit_effects(k), "");
}

static void
method__R69_fails_with_its_device(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_put(k, "d1/m1", NULL, "{}");
	call(k, "d1", "m", 100, true, 1);
	call(k, "d1/m1", "m", 101, true, 1);
	kit_put(k, "d1", "*", "{'status':'disabled'}");
	assert_string_equal(kit_effects(k), "fails 100 404001\nfails 101 404001");
	assert_int_equal(call(k, "d1", "m", 102, true, 1), F_DeviceNotFound);
	assert_int_equal(call(k, "d1/m1", "m", 102, true, 1), F_DeviceNotFound);
	kit_put(k, "d1", "*", "{}");
	call(k, "d1/m1", "m", 103, true, 1);
	kit_delete(k, "d1", NULL);
	assert_string_equal(kit_effects(k), "fails 103 404001");
	assert_int_equal(k->sh->ncall, 0);
}

static void
method__L84_calls_of_a_session_are_bounded(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = listener(k, "d1", 7);
	for (uint32_t i = 0; i < CALLS_MAX; i++)
		assert_int_equal(call(k, "d1", "m", i, false, 1), F_NONE);
	assert_int_equal(call(k, "d1", "m", 999, false, 1), F_DeviceThrottlingLimitExceeded);
	respond(k, "d1", session_epoch, 5, 200);
	assert_int_equal(call(k, "d1", "m", 999, false, 1), F_NONE);
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	listener(k, "d1", 8);
	assert_int_equal(call(k, "d1", "m", 1, false, METHOD_PAYLOAD_MAX), F_NONE);
	assert_int_equal(call(k, "d1", "m", 2, false, METHOD_PAYLOAD_MAX), F_NONE);
	assert_int_equal(call(k, "d1", "m", 3, false, 1), F_DeviceThrottlingLimitExceeded);
}

static void
method__waiting_calls_are_bounded(void **state)
{
	struct kit *k = *state;
	uint32_t n = 0;

	kit_device(k, "d1");
	while (call(k, "d1", "m", n, true, METHOD_PAYLOAD_MAX) == F_NONE)
		n++;
	assert_int_equal(k->reply.fault.code, F_ThrottleBacklogLimitExceeded);
	assert_int_equal(n, WAITING_BYTES_MAX / METHOD_PAYLOAD_MAX);
	while (call(k, "d1", "m", n, true, 0) == F_NONE)
		n++;
	assert_int_equal(n, CALLS_SHARD_MAX);
	kit_effects(k);
	listener(k, "d1", 7); /* as many as it may have are sent, the others fail */
	assert_int_equal(k->sh->ncall, 64);
	assert_int_equal(k->sh->waiting_bytes, 0);
}

static void
method__a_failed_commit_leaves_no_call_of_a_session_that_never_was(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	call(k, "d1", "m", 100, true, 1);
	k->hold = true;
	listener(k, "d1", 7);
	assert_int_equal(k->sh->ncall, 1);
	kit_fail(k, false);
	k->hold = false;
	kit_commit(k);
	assert_int_equal(k->sh->ncall, 0);
	cancel(k, "d1", 100);
	assert_int_equal(call(k, "d1", "m", 101, false, 1), F_DeviceNotOnline);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		test(method__R64_goes_there_and_back),
		test(method__R66_offline_fails_at_once),
		test(method__R67_waits_for_the_subscription),
		test(method__takeover_fails_the_calls_of_the_former),
		test(method__cancelled_calls_are_forgotten),
		test(method__R69_fails_with_its_device),
		test(method__L84_calls_of_a_session_are_bounded),
		test(method__waiting_calls_are_bounded),
		test(method__a_failed_commit_leaves_no_call_of_a_session_that_never_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
