/* What a device does when it is connected: its twin, notifications, telemetry, its end (device-mqtt.md 4 to 6). */
#include "hub_kit.h"

/* ---- the twin ---- */

static void
device_get__T52_bare_sections(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_patch(k, "d1", NULL, "{'tags':{'t':1},'properties':{'desired':{'a':{'b':1}}}}");
	kit_report(k, "d1", session_epoch, "{'x':2.5}");
	assert_int_equal(kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL), F_NONE);
	assert_string_equal(kit_body_text(k),
	    "{'desired':{'a':{'b':1},'$version':2},'reported':{'x':2.5,'$version':2}}");
	assert_false(k->reply.deliver); /* D-51: not subscribed to answers */
	kit_subscribe(k, "d1", session_epoch, "t");
	kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL);
	assert_true(k->reply.deliver);
}

static void
report__T60_every_accepted_patch_is_a_step(void **state)
{
	struct kit *k = *state;
	static const char *const patches[] = { "{'x':1}", "{'x':1}", "{}", "{'y':null}" };
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(kit_report(k, "d1", session_epoch, patches[i]), F_NONE);
		assert_int_equal(k->reply.version, 2 + i);
	}
	assert_int_equal(kit_report(k, "d1", session_epoch, "{'x':null}"), F_NONE); /* D-47 */
	assert_string_equal(kit_counters(k, "d1"), "1 7 1 6");
	kit_shows(k, "properties/reported/x", "-");
}

static void
report__T61_base_version(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_REPORT, "d1");

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	kit_doc(k, "{'x':1}", &op);
	op.has_base_version = true;
	assert_int_equal(kit_run(k, &op), F_PreconditionFailed); /* 0 */
	op.base_version = UINT64_C(1) << 32 | 1;
	assert_int_equal(kit_run(k, &op), F_PreconditionFailed);
	op.base_version = 1;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.version, 2);
	assert_int_equal(kit_run(k, &op), F_PreconditionFailed);
	assert_string_equal(kit_counters(k, "d1"), "1 3 1 2");
}

static void
report__T64_refused_patches_change_nothing(void **state)
{
	struct kit *k = *state;
	static const char *const bad[] = { "5", "null", "[]", "{'$version':1}", "{'a':{'$b':1}}",
		"{'a.b':1}", "{'a b':1}", "{'a':[null]}", "{'a':4503599627370496}" };
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	k->hold = true;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(kit_report(k, "d1", session_epoch, bad[i]), F_ArgumentInvalid);
	assert_int_equal(k->batch.n, 0);
}

static void
report__version_wraps_as_the_section_does(void **state)
{
	struct kit *k = *state;
	struct buf record = { 0 }, section = { 0 };
	uint64_t session_epoch;
	struct str bytes;
	struct rd rd;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	section_new(&section, BEGIN);
	/* format | version 1 | ...: the same with the last version there is */
	rd = rd_of(buf_view(&section));
	buf_putc(&record, (char)rd_u8(&rd));
	assert_int_equal(rd_varint(&rd), 1);
	buf_varint(&record, INT32_MAX);
	buf_put(&record, rd.p, (size_t)(rd.end - rd.p));
	section.n = 0;
	reported_encode(&section, BEGIN, buf_view(&record));
	bytes = buf_view(&section);
	assert_true(reported_check(bytes));
	row_write(k->sh, row_find(k->sh, STR("d1"), STR_NONE), RECORD_REPORTED, &bytes, &k->env);
	assert_int_equal(kit_report(k, "d1", session_epoch, "{'x':1}"), F_NONE);
	assert_int_equal(k->reply.version, 1);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	buf_fini(&record);
	buf_fini(&section);
}

static void
report__activity_is_remembered_with_it(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1"); /* second 1 */
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_report(k, "d1", session_epoch, "{}");
	kit_session_op(k, OP_TWIN_GET, "d1", session_epoch, NULL); /* second 4 */
	kit_read(k, "d1");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:04.0000000Z'");
	kit_restart(k);
	kit_read(k, "d1");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:03.0000000Z'"); /* of the last write */
	kit_get(k, "d1");
	kit_shows(k, "lastActivityTime", "'2024-01-01T00:00:03.0000000Z'");
}

/* ---- notifications (T-65 to T-72) ---- */

static void
notify__T65_only_who_is_connected_and_subscribed(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	session_epoch = kit_connect(k, "d1", 5, true);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_subscribe(k, "d1", session_epoch, "t");
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	kit_subscribe(k, "d1", session_epoch, "d"); /* T-71: nothing by itself */
	assert_string_equal(kit_effects(k), "");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'a':{'b':null}}}}");
	assert_string_equal(kit_effects(k), "notify 5 v5 {'a':{'b':null},'$version':5}");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}"); /* T-66 */
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'b c':1}}}");
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
}

/* ---- telemetry ---- */

static uint32_t
nlog(const struct kit *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->store.n; i++)
		n += k->store.v[i].kind == RECORD_LOG;
	return n;
}

static void
telemetry__is_logged_with_who_and_when(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_TELEMETRY, "d1");
	const struct kit_row *r = NULL;
	struct identity id;
	struct event e;

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	op.actor = ACTOR_DEVICE;
	op.actor_name = STR("d1");
	op.payload = STR("body");
	assert_int_equal(kit_run(k, &op), F_NONE);
	for (uint32_t i = 0; i < k->store.n; i++)
		if (k->store.v[i].kind == RECORD_LOG)
			r = &k->store.v[i];
	assert_non_null(r);
	assert_int_equal(r->key.n, 10);
	assert_memory_equal(r->key.p, "\0\3", 2);
	identity_decode(
	    blob_str(row_find(k->sh, STR("d1"), STR_NONE)->records[RECORD_IDENTITY]), &id);
	assert_int_equal(event_decode(buf_view(&r->value), &e), ERR_OK);
	assert_int_equal(e.kind, EVENT_MESSAGE);
	assert_int_equal(e.time_us, k->env.now_us);
	assert_int_equal(e.actor, ACTOR_DEVICE);
	assert_true(str_eq(e.actor_name, STR("d1")));
	assert_true(str_eq(e.device, STR("d1")));
	assert_true(str_eq(e.module, STR_NONE));
	assert_int_equal(e.numbers[EVENT_GENERATION], id.generation);
	assert_int_equal(e.numbers[EVENT_AUTHENTICATION], AUTH_SAS);
	assert_true(str_eq(e.fields[EVENT_BODY], STR("body")));
	kit_run(k, &op);
	assert_int_equal(nlog(k), 2); /* a position of its own */
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

/* The clock is set back: the log's time stands still until the clock is there again, and $lastUpdated follows the clock. */
static void
telemetry__E04_a_clock_that_is_set_back_leaves_the_logs_time_in_order(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_TELEMETRY, "d1");
	char text[TIME_TEXT_MAX + 3] = { 0 };
	unsigned behind = 0, later = 0;
	int64_t ahead;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	op.session_epoch = session_epoch;
	op.actor = ACTOR_DEVICE;
	op.actor_name = STR("d1");
	op.payload = STR("body");
	k->env.now_us += 800 * 86400 * SECOND;
	kit_run(k, &op);
	ahead = k->env.now_us;
	k->env.now_us -= 801 * 86400 * SECOND;
	kit_run(k, &op);
	kit_run(k, &op);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_true(k->env.now_us < ahead);
	text[0] = text[time_format(k->env.now_us, text + 1) + 1] = '\'';
	kit_read(k, "d1");
	kit_shows(k, "properties/desired/$metadata/a/$lastUpdated", text);
	k->env.now_us += 802 * 86400 * SECOND;
	kit_run(k, &op);
	for (uint32_t i = 0; i < k->store.n; i++) {
		struct event e;

		if (k->store.v[i].kind != RECORD_LOG)
			continue;
		assert_int_equal(event_decode(buf_view(&k->store.v[i].value), &e), ERR_OK);
		behind += e.time_us == ahead;
		later += e.time_us == k->env.now_us;
	}
	assert_int_equal(nlog(k), 4);
	assert_int_equal(behind, 3);
	assert_int_equal(later, 1);
}

/* The bodies of log records, in their order, with a slash between. */
static void
log_text(struct kit *k, struct buf *out)
{
	out->n = 0;
	for (uint64_t position = 1; position < shard_log_next(k->sh); position++) {
		const struct kit_row *r;
		char key[EVENT_KEY];
		struct event e;

		event_key(key, k->sh->index, position);
		r = rows_find(&k->store, RECORD_LOG, (struct str){ key, EVENT_KEY });
		if (r == NULL)
			continue;
		assert_int_equal(event_decode(buf_view(&r->value), &e), ERR_OK);
		buf_str(out, e.fields[EVENT_BODY]);
		buf_putc(out, '/');
	}
	buf_putc(out, 0);
}

static struct op
events_op(struct buf *bodies)
{
	struct op op = kit_op(OP_EVENTS, "d1");

	buf_lstr(bodies, STR("one"));
	buf_lstr(bodies, STR_NONE);
	buf_lstr(bodies, STR("three"));
	op.actor = ACTOR_DEVICE;
	op.actor_name = STR("d1");
	op.payload = buf_view(bodies);
	return op;
}

static void
events__R106_each_is_a_record_and_no_session_is_needed(void **state)
{
	struct kit *k = *state;
	struct buf bodies = { 0 }, log = { 0 };
	struct op op = events_op(&bodies);

	assert_true(op_writes(OP_EVENTS));
	assert_int_equal(kit_run(k, &op), F_DeviceNotFound);
	kit_device(k, "d1");
	k->env.now_us += 5000000;
	assert_int_equal(kit_run(k, &op), F_NONE);
	log_text(k, &log);
	assert_string_equal(log.p, "one//three/");
	assert_int_equal(row_find(k->sh, STR("d1"), STR_NONE)->activity_us, k->env.now_us);
	buf_fini(&bodies);
	buf_fini(&log);
}

static void
events__R106_of_a_disabled_device_are_refused_its_modules_too(void **state)
{
	struct kit *k = *state;
	struct buf bodies = { 0 };
	struct op op = events_op(&bodies);

	kit_device(k, "d1");
	assert_int_equal(kit_put(k, "d1/m1", NULL, "{'deviceId':'d1','moduleId':'m1'}"), F_NONE);
	assert_int_equal(kit_put(k, "d1", "*", "{'deviceId':'d1','status':'disabled'}"), F_NONE);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	op.module = STR("m1");
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	assert_int_equal(nlog(k), 0);
	buf_fini(&bodies);
}

static void
disconnect__D30_the_will_is_logged(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_DISCONNECT, "d1");
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	op.session_epoch = session_epoch;
	kit_run(k, &op);
	assert_int_equal(nlog(k), 0);
	op.payload = STR("will");
	kit_run(k, &op); /* its session is over: after a take-over it is published too (2.8) */
	assert_int_equal(nlog(k), 1);
}

static void
disconnect__D30_a_will_that_is_not_logged_has_its_reason(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_DISCONNECT, "d1");

	kit_device(k, "d1");
	k->env.can_write = false;
	assert_int_equal(kit_run(k, &op), F_NONE); /* without a will there is nothing to lose */
	op.payload = STR("will");
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_int_equal(k->reply.reason, REASON_NO_WRITES);
	op.device = STR("nobody");
	assert_int_equal(kit_run(k, &op), F_ServiceUnavailable);
	assert_int_equal(k->reply.reason, REASON_DELETED);
	assert_int_equal(nlog(k), 0);
}

/* It must be heard when nothing can be read from the store. */
static void
disconnect__needs_no_record(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_DISCONNECT, "d1");

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	shard_evict(k->sh, 0);
	k->key.n = 0;
	assert_int_equal(hub_missing(k->sh, &op, &k->key), 0);
	op.payload = STR("will");
	assert_int_equal(hub_missing(k->sh, &op, &k->key), RECORD_BIT(RECORD_IDENTITY));
	hub_apply(k->sh, &op, &k->env, &k->reply); /* the store could not give it */
	assert_int_equal(k->reply.reason, REASON_NOT_STORED);
	kit_get(k, "d1");
	kit_shows(k, "connectionState", "'Disconnected'");
	assert_int_equal(nlog(k), 0);
}

static void
ack__keeps_the_fault_that_it_carries(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_ACK, "d1");

	kit_device(k, "d1");
	op.session_epoch = kit_connect(k, "d1", 1, true);
	fault_set(&k->reply.fault, F_IotHubFormatError, "no JSON");
	hub_apply(k->sh, &op, &k->env, &k->reply);
	assert_int_equal(k->reply.fault.code, F_IotHubFormatError);
	assert_false(k->reply.gone);
	op.session_epoch++;
	hub_apply(k->sh, &op, &k->env, &k->reply);
	assert_true(k->reply.gone);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(device_get__T52_bare_sections),
		kit_test(report__T60_every_accepted_patch_is_a_step),
		kit_test(report__T61_base_version),
		kit_test(report__T64_refused_patches_change_nothing),
		kit_test(report__version_wraps_as_the_section_does),
		kit_test(report__activity_is_remembered_with_it),
		kit_test(notify__T65_only_who_is_connected_and_subscribed),
		kit_test(telemetry__is_logged_with_who_and_when),
		kit_test(telemetry__E04_a_clock_that_is_set_back_leaves_the_logs_time_in_order),
		kit_test(events__R106_each_is_a_record_and_no_session_is_needed),
		kit_test(events__R106_of_a_disabled_device_are_refused_its_modules_too),
		kit_test(disconnect__D30_the_will_is_logged),
		kit_test(disconnect__D30_a_will_that_is_not_logged_has_its_reason),
		kit_test(disconnect__needs_no_record),
		kit_test(ack__keeps_the_fault_that_it_carries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
