/* Messages to devices inside the shard: docs/spec/messages.md; device-mqtt.md 6.3. */
#include "hub/messages.h"

#define KIT_FEATURES &message_feature
#include "hub_kit.h"

/* What leaves, in short: "message 7 #1 q1 dup", "erase #1", "feedback", "close 7"; # counts from the first message of the test. */
static uint64_t first_number;

static unsigned
short_number(uint64_t number)
{
	static uint64_t seen[4096];
	static unsigned n;

	if (first_number == 0)
		n = 0;
	for (unsigned i = 0; i < n; i++)
		if (seen[i] == number)
			return i + 1;
	assert_true(n < 4096);
	first_number = 1;
	seen[n++] = number;
	return n;
}

static void
short_effect(void *ctx, const struct effect *e)
{
	struct kit *k = ctx;
	uint32_t shard;
	int64_t expiry_us;
	uint64_t number;

	if (k->effects.n > 0)
		buf_putc(&k->effects, '\n');
	switch (e->kind) {
	case EFFECT_MESSAGE:
		buf_printf(&k->effects, "message %u #%u q%u%s", e->session.slot,
		    short_number(e->call), e->qos, e->dup ? " dup" : "");
		break;
	case EFFECT_ERASE:
		assert_true(message_key_decode(e->body, &shard, &expiry_us, &number));
		buf_printf(&k->effects, "erase #%u", short_number(number));
		break;
	case EFFECT_FEEDBACK: buf_cstr(&k->effects, "feedback"); break;
	default: buf_printf(&k->effects, "close %u", e->session.slot);
	}
}

static int
setup(void **state)
{
	kit_setup(state);
	((struct kit *)*state)->env.effect = short_effect;
	first_number = 0;
	return 0;
}

static enum fault_code
send_until(struct kit *k, const char *id, const char *body, enum message_ack ack, int64_t expiry_us)
{
	struct op op = kit_op(OP_MESSAGE_SEND, id);
	struct message_property p = { .key = BAG_MESSAGE_ID, .value = str_of(body) };
	struct buf bag = { 0 };
	size_t size = 0;
	unsigned n = 0;
	enum fault_code code;

	assert_int_equal(message_put_property(&bag, &p, &size, &n, NULL), ERR_OK);
	op.message.bag_bytes = (uint32_t)bag.n;
	op.message.ack = ack;
	op.message.expiry_us = expiry_us;
	buf_cstr(&bag, body);
	op.payload = buf_view(&bag);
	code = kit_run(k, &op);
	buf_fini(&bag);
	return code;
}

static enum fault_code
send(struct kit *k, const char *id, const char *body, enum message_ack ack)
{
	return send_until(k, id, body, ack, 0);
}

static unsigned
count(struct kit *k, const char *id)
{
	return row_find(k->sh, str_of(id), STR_NONE)->nmessage;
}

/* Packet ids are those of the queue's messages, oldest first. */
static enum fault_code
ack(struct kit *k, const char *id, uint64_t session_epoch, unsigned i)
{
	struct op op = kit_op(OP_MESSAGE_ACK, id);
	const struct row *r = row_find(k->sh, str_of(id), STR_NONE);
	struct queue q = { 0 };

	if (r->nmessage > 0)
		queue_decode(blob_str(r->records[RECORD_QUEUE]), &q);
	assert_true(i < q.n);
	op.session_epoch = session_epoch;
	op.message.packet_id = message_packet_id(q.v[i].number);
	return kit_run(k, &op);
}

static enum fault_code
receive(struct kit *k, const char *id)
{
	struct op op = kit_op(OP_MESSAGE_RECEIVE, id);

	return kit_run(k, &op);
}

static enum fault_code
settle(struct kit *k, enum op_kind kind, const char *id, const char *token,
    enum message_outcome outcome)
{
	struct op op = kit_op(kind, id);

	op.message.outcome = outcome;
	assert_true(lock_token_parse(str_of(token), op.message.token));
	op.message.shard = 3;
	return kit_run(k, &op);
}

static void
look(struct kit *k, const char *id)
{
	struct op op = kit_op(OP_MESSAGES_LOOK, id);

	kit_run(k, &op);
}

static bool
stored(const struct kit *k, enum record_kind kind)
{
	for (uint32_t i = 0; i < k->store.n; i++)
		if (k->store.v[i].kind == kind)
			return true;
	return false;
}

/* Statuses of feedback that is free, as "d1 m1 Success"; it is locked then. */
static const char *
feedback(struct kit *k)
{
	struct op op = { .kind = OP_FEEDBACK_RECEIVE, .message.shard = 3 };
	const char *p, *end;

	assert_int_equal(kit_run(k, &op), F_NONE);
	buf_putc(&k->reply.body, '\0');
	k->reply.body.n--;
	k->text.n = 0;
	for (p = k->reply.body.p; p != NULL && (p = strstr(p, "\"originalMessageId\":\"")) != NULL;
	     p++) {
		const char *status = strstr(p, "\"statusCode\":\"") + 14;

		end = strchr(p + 21, '"');
		buf_printf(&k->text, "%s%.*s %.*s", k->text.n ? ", " : "", (int)(end - p - 21),
		    p + 21, (int)(strchr(status, '"') - status), status);
	}
	buf_putc(&k->text, '\0');
	return k->text.p;
}

static void
messages__D67_M02_delivered_acknowledged_gone(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 7, false);
	assert_string_equal(kit_subscribe(k, "d1", session_epoch, "C"), "1");
	assert_int_equal(send(k, "d1", "m1", ACK_NONE), F_NONE);
	assert_string_equal(kit_effects(k), "message 7 #1 q1");
	assert_int_equal(count(k, "d1"), 1);
	assert_true(stored(k, RECORD_QUEUE) && stored(k, RECORD_MESSAGE));
	assert_int_equal(ack(k, "d1", session_epoch, 0), F_NONE);
	assert_string_equal(kit_effects(k), "erase #1");
	assert_int_equal(count(k, "d1"), 0);
	assert_false(stored(k, RECORD_QUEUE));
	assert_int_equal(k->sh->nmessage, 0);
	assert_string_equal(feedback(k), "");
}

static void
messages__D68_M18_come_again_to_the_next_session(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 7, false);
	kit_subscribe(k, "d1", session_epoch, "C");
	send(k, "d1", "m1", ACK_NONE);
	send(k, "d1", "m2", ACK_NONE);
	kit_effects(k);
	ack(k, "d1", session_epoch, 0);
	kit_effects(k);
	kit_connect(k, "d1", 8, false); /* takes over */
	assert_string_equal(kit_effects(k), "close 7\nmessage 8 #2 q1 dup");
	kit_connect(k, "d1", 9, true); /* listens to nothing */
	assert_string_equal(kit_effects(k), "close 8");
	session_epoch = kit_connect(k, "d1", 10, true);
	kit_effects(k);
	kit_subscribe(k, "d1", session_epoch, "C");
	assert_string_equal(
	    kit_effects(k), "message 10 #2 q1"); /* another session: DUP says nothing to it */
}

static void
messages__M02_a_send_that_fails_leaves_nothing(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	for (int found = 0; found < 2; found++) {
		k->hold = true;
		send(k, "d1", "m1", ACK_NONE);
		assert_int_equal(count(k, "d1"), 1);
		kit_fail(k, found != 0);
		assert_int_equal(count(k, "d1"), 0);
		kit_commit(k); /* the repair */
		k->hold = false;
		assert_false(stored(k, RECORD_QUEUE));
		kit_restart(k);
		assert_int_equal(count(k, "d1"), 0);
	}
}

static void
messages__M02_an_end_that_fails_brings_it_back(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 7, false);
	kit_subscribe(k, "d1", session_epoch, "C");
	send(k, "d1", "m1", ACK_FULL);
	send(k, "d1", "m2", ACK_FULL);
	for (int found = 0; found < 2; found++) {
		k->hold = true;
		ack(k, "d1", session_epoch, 0);
		assert_int_equal(count(k, "d1"), 1);
		kit_fail(k, found != 0);
		assert_int_equal(count(k, "d1"), 2);
		kit_commit(k);
		k->hold = false;
		assert_string_equal(feedback(k), "");
		kit_effects(k);
		session_epoch = kit_connect(k, "d1", 8, false);
		assert_string_equal(
		    strchr(kit_effects(k), '\n') + 1, "message 8 #1 q1 dup\nmessage 8 #2 q1 dup");
	}
	kit_restart(k);
	assert_int_equal(count(k, "d1"), 2);
}

static void
messages__M25_a_deletion_that_fails_brings_the_queue_back(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	send(k, "d1", "m1", ACK_NEGATIVE);
	send(k, "d1", "m2", ACK_NONE);
	k->hold = true;
	kit_delete(k, "d1", NULL);
	assert_int_equal(k->sh->nmessage, 0);
	kit_fail(k, true);
	assert_int_equal(count(k, "d1"), 2);
	assert_int_equal(k->sh->nmessage, 2);
	kit_commit(k);
	k->hold = false;
	assert_string_equal(feedback(k), "");
	kit_restart(k);
	assert_int_equal(count(k, "d1"), 2);
	kit_effects(k);
	kit_delete(k, "d1", NULL);
	assert_string_equal(kit_effects(k), "erase #1\nfeedback\nerase #2");
	assert_false(stored(k, RECORD_QUEUE));
	assert_string_equal(feedback(k), "m1 Purged");
	kit_device(k, "d1");
	assert_int_equal(count(k, "d1"), 0);
}

static void
messages__M13_M14_locks_by_token(void **state)
{
	struct kit *k = *state;
	char one[40], two[40];

	kit_device(k, "d1");
	receive(k, "d1");
	assert_int_equal(k->reply.message.number, 0);
	send(k, "d1", "m1", ACK_FULL);
	send(k, "d1", "m2", ACK_FULL);
	receive(k, "d1");
	snprintf(one, sizeof(one), "%s", k->reply.etag);
	assert_int_equal(k->reply.message.deliveries, 0);
	receive(k, "d1");
	snprintf(two, sizeof(two), "%s", k->reply.etag);
	receive(k, "d1");
	assert_int_equal(k->reply.message.number, 0); /* both are out */
	assert_int_equal(settle(k, OP_MESSAGE_SETTLE, "d1", one, MESSAGE_ABANDON), F_NONE);
	assert_int_equal(
	    settle(k, OP_MESSAGE_SETTLE, "d1", one, MESSAGE_COMPLETE), F_DeviceMessageLockLost);
	receive(k, "d1");
	assert_int_equal(k->reply.message.deliveries, 1);
	snprintf(one, sizeof(one), "%s", k->reply.etag);
	assert_int_equal(settle(k, OP_MESSAGE_SETTLE, "d1", two, MESSAGE_REJECT), F_NONE);
	assert_int_equal(settle(k, OP_MESSAGE_SETTLE, "d1", one, MESSAGE_COMPLETE), F_NONE);
	assert_string_equal(feedback(k), "m2 Rejected, m1 Success");
	assert_int_equal(count(k, "d1"), 0);
}

static void
messages__M10_M15_a_lock_that_is_over_gives_the_message_to_who_listens(void **state)
{
	struct kit *k = *state;
	struct str device;
	uint64_t session_epoch;

	kit_device(k, "d1");
	send(k, "d1", "m1", ACK_NONE);
	receive(k, "d1");
	session_epoch = kit_connect(k, "d1", 7, true);
	kit_subscribe(k, "d1", session_epoch, "C");
	assert_string_equal(kit_effects(k), "");
	assert_false(messages_over(k->sh, k->env.elapsed_us, &device));
	k->env.elapsed_us += message_rules_default.lock_us;
	assert_true(messages_over(k->sh, k->env.elapsed_us, &device));
	assert_true(str_eq(device, STR("d1")));
	look(k, "d1");
	assert_string_equal(kit_effects(k), "message 7 #1 q1");
	assert_false(messages_over(k->sh, k->env.elapsed_us, &device));
}

static void
messages__M05_M20_die_of_their_time(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(send_until(k, "d1", "m0", ACK_NONE, k->env.now_us), F_ArgumentInvalid);
	send_until(k, "d1", "m1", ACK_NEGATIVE, k->env.now_us + 60 * SECOND);
	send(k, "d1", "m2", ACK_POSITIVE);
	kit_effects(k);
	k->env.now_us += 60 * SECOND;
	look(k, "d1");
	assert_string_equal(kit_effects(k), "feedback\nerase #1");
	assert_int_equal(count(k, "d1"), 1);
	k->env.now_us += message_rules_default.life_us;
	receive(k, "d1");
	assert_int_equal(k->reply.message.number, 0);
	assert_int_equal(count(k, "d1"), 0);
	assert_string_equal(feedback(k), "m1 Expired");
}

static void
messages__M12_M21_die_of_their_deliveries(void **state)
{
	struct kit *k = *state;
	struct messages_task *t = messages_task_new();

	kit_device(k, "d1");
	send(k, "d1", "m1", ACK_NEGATIVE);
	for (unsigned i = 0; i < message_rules_default.deliveries; i++) {
		receive(k, "d1");
		assert_int_equal(k->reply.message.deliveries, i);
		assert_int_equal(
		    settle(k, OP_MESSAGE_SETTLE, "d1", k->reply.etag, MESSAGE_ABANDON), F_NONE);
	}
	assert_int_equal(count(k, "d1"), 0);
	assert_string_equal(feedback(k), "m1 DeliveryCountExceeded");
	t->task.kind->step(&t->task, k->sh, NULL);
	assert_int_equal(t->counts.dead[MESSAGE_DELIVERED_OUT], 1);
	assert_int_equal(t->counts.queued, 0);
	assert_int_equal(t->counts.feedback, 1);
	free(t);
}

static void
messages__M01_L64_50_are_the_most_and_the_dead_make_room(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	send_until(k, "d1", "m", ACK_NONE, k->env.now_us + 1000 * SECOND);
	for (unsigned i = 1; i < MESSAGES_MAX; i++)
		assert_int_equal(send(k, "d1", "m", ACK_NONE), F_NONE);
	assert_int_equal(send(k, "d1", "m", ACK_NONE), F_DeviceMaximumQueueDepthExceeded);
	assert_int_equal(count(k, "d1"), MESSAGES_MAX);
	k->env.now_us += 1000 * SECOND;
	assert_int_equal(send(k, "d1", "m", ACK_NONE), F_NONE);
	assert_int_equal(count(k, "d1"), MESSAGES_MAX);
	assert_int_equal(send(k, "d1/m1", "m", ACK_NONE), F_ModuleNotFound);
	kit_put(k, "d1/m1", NULL, "{}");
	assert_int_equal(send(k, "d1/m1", "m", ACK_NONE), F_ArgumentInvalid);
}

static void
messages__M24_a_purge_leaves_what_is_out(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	for (int i = 0; i < 3; i++)
		send(k, "d1", "m", ACK_FULL);
	receive(k, "d1");
	op = kit_op(OP_MESSAGES_PURGE, "d1");
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.version, 2);
	assert_int_equal(count(k, "d1"), 1);
	assert_string_equal(feedback(k), "m Purged, m Purged");
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(k->reply.version, 0);
}

static void
messages__M15_wait_for_a_store_that_takes_no_writes(void **state)
{
	struct kit *k = *state;
	struct str device;
	uint64_t session_epoch;
	uint32_t row = 0;

	kit_device(k, "d1");
	send(k, "d1", "m1", ACK_NONE);
	k->env.can_write = false;
	session_epoch = kit_connect(k, "d1", 7, true);
	kit_subscribe(k, "d1", session_epoch, "C");
	assert_string_equal(kit_effects(k), "");
	k->env.can_write = true;
	assert_true(messages_awaited(k->sh, &row, &device) && str_eq(device, STR("d1")));
	assert_false(messages_awaited(k->sh, &row, &device));
	look(k, "d1");
	assert_string_equal(kit_effects(k), "message 7 #1 q1");
}

static void
messages__M11_what_would_pass_the_bound_of_all_waits(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	send(k, "d1", "four", ACK_NONE);
	send(k, "d1", "five5", ACK_NONE);
	k->env.message_bytes_left =
	    12; /* with its id and 2 bytes for that, one has 10, the other 12 */
	session_epoch = kit_connect(k, "d1", 7, true);
	kit_subscribe(k, "d1", session_epoch, "C");
	assert_string_equal(kit_effects(k), "message 7 #1 q1");
	assert_true(messages_held(k->sh));
	assert_false(messages_held(k->sh));
	look(k, "d1");
	assert_string_equal(kit_effects(k), "message 7 #2 q1");
	assert_false(messages_held(k->sh));
}

static void
messages__M20_M25_a_body_that_no_queue_lists_is_erased_when_it_is_due(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_MESSAGES_LOOK, "gone");
	char key[MESSAGE_KEY];

	message_key(key, 3, 1, 77);
	op.payload = (struct str){ key, sizeof(key) };
	kit_run(k, &op);
	assert_string_equal(kit_effects(k), "erase #1");
	kit_device(k, "d1");
	op.device = STR("d1");
	kit_run(k, &op);
	assert_string_equal(kit_effects(k), "erase #1");
}

static void
messages__M22_M23_feedback_is_bounded_locked_and_ends(void **state)
{
	struct kit *k = *state;
	struct messages_task *t = messages_task_new();
	char token[40];
	unsigned n = 0;

	kit_device(k, "d1");
	for (unsigned i = 0; i < 1030; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%u", i);
		send(k, "d1", id, ACK_POSITIVE);
		receive(k, "d1");
		settle(k, OP_MESSAGE_SETTLE, "d1", k->reply.etag, MESSAGE_COMPLETE);
	}
	t->task.kind->step(&t->task, k->sh, NULL);
	assert_int_equal(t->counts.feedback, 1024);
	assert_int_equal(t->counts.dropped, 6);
	free(t);
	assert_true(strncmp(feedback(k), "m6 Success, m7 ", 15) == 0);
	snprintf(token, sizeof(token), "%s", k->reply.etag);
	assert_true(strncmp(feedback(k), "m70 ", 4) == 0); /* 64 are locked */
	assert_int_equal(settle(k, OP_FEEDBACK_SETTLE, "", token, MESSAGE_ABANDON), F_NONE);
	assert_int_equal(
	    settle(k, OP_FEEDBACK_SETTLE, "", token, MESSAGE_COMPLETE), F_DeviceMessageLockLost);
	k->env.elapsed_us += message_rules_default.lock_us; /* the other lock is over, too */
	while (feedback(k)[0] != '\0') {
		assert_int_equal(
		    settle(k, OP_FEEDBACK_SETTLE, "", k->reply.etag, MESSAGE_COMPLETE), F_NONE);
		n++;
	}
	assert_int_equal(n, 1024 / 64);
	for (uint32_t i = 0; i < k->store.n; i++)
		assert_false(str_starts(buf_view(&k->store.v[i].key), STR("feedback/")));
	send_until(k, "d1", "late", ACK_NEGATIVE, k->env.now_us + 5 * SECOND);
	k->env.now_us += 10 * SECOND;
	look(k, "d1");
	assert_true(feedback_due_us(k->sh, &k->env) > k->env.now_us);
	k->env.now_us = feedback_due_us(k->sh, &k->env);
	feedback_expire(k->sh, &k->env);
	assert_int_equal(feedback_due_us(k->sh, &k->env), 0);
}

/* One that is told to its sender; when. */
static int64_t
tell(struct kit *k, const char *id)
{
	send(k, "d1", id, ACK_POSITIVE);
	receive(k, "d1");
	settle(k, OP_MESSAGE_SETTLE, "d1", k->reply.etag, MESSAGE_COMPLETE);
	return k->env.now_us;
}

static void
messages__L68_M22_E82_feedback_is_kept_as_long_as_is_set_and_then_lost(void **state)
{
	struct message_rules rules = message_rules_default;
	struct kit *k = *state;
	int64_t first_us, second_us;

	kit_device(k, "d1");
	first_us = tell(k, "m1");
	k->env.now_us += 30 * SECOND;
	second_us = tell(k, "m2");
	assert_true(feedback_due_us(k->sh, &k->env) == first_us + 3600 * SECOND);
	rules.feedback_life_us =
	    172800 * SECOND; /* the longest; it is of those that are there, too */
	k->env.messages = &rules;
	assert_true(feedback_due_us(k->sh, &k->env) == first_us + 172800 * SECOND);
	rules.feedback_life_us = 60 * SECOND;
	k->env.now_us = first_us + 60 * SECOND - 1;
	feedback_expire(k->sh, &k->env);
	assert_string_equal(feedback(k), "m1 Success, m2 Success");
	k->env.elapsed_us += rules.feedback_lock_us;
	k->env.now_us = first_us + 60 * SECOND;
	feedback_expire(k->sh, &k->env);
	assert_string_equal(feedback(k), "m2 Success");
	assert_true(feedback_due_us(k->sh, &k->env) == second_us + 60 * SECOND);
	k->env.elapsed_us += rules.feedback_lock_us;
	k->env.now_us = second_us + 60 * SECOND;
	feedback_expire(k->sh, &k->env);
	assert_string_equal(feedback(k), "");
	assert_int_equal(feedback_due_us(k->sh, &k->env), 0);
	for (uint32_t i = 0; i < k->store.n; i++)
		assert_false(str_starts(buf_view(&k->store.v[i].key), STR("feedback/")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(messages__D67_M02_delivered_acknowledged_gone),
		TEST(messages__D68_M18_come_again_to_the_next_session),
		TEST(messages__M02_a_send_that_fails_leaves_nothing),
		TEST(messages__M02_an_end_that_fails_brings_it_back),
		TEST(messages__M25_a_deletion_that_fails_brings_the_queue_back),
		TEST(messages__M13_M14_locks_by_token),
		TEST(messages__M10_M15_a_lock_that_is_over_gives_the_message_to_who_listens),
		TEST(messages__M05_M20_die_of_their_time),
		TEST(messages__M12_M21_die_of_their_deliveries),
		TEST(messages__M01_L64_50_are_the_most_and_the_dead_make_room),
		TEST(messages__M24_a_purge_leaves_what_is_out),
		TEST(messages__M15_wait_for_a_store_that_takes_no_writes),
		TEST(messages__M11_what_would_pass_the_bound_of_all_waits),
		TEST(messages__M20_M25_a_body_that_no_queue_lists_is_erased_when_it_is_due),
		TEST(messages__M22_M23_feedback_is_bounded_locked_and_ends),
		TEST(messages__L68_M22_E82_feedback_is_kept_as_long_as_is_set_and_then_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
