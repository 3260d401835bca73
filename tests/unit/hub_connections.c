/* What the log says of sessions: when one begins or ends, once each, whatever fails or ends between. */
#include "hub_kit.h"

#include "hub/leave.h"

#include "shard/record.h"

/* The record at that position; false: there is none. */
static bool
log_at(const struct kit *k, uint64_t position, struct event *e)
{
	char key[EVENT_KEY];
	struct kit_row *r;

	event_key(key, k->sh->index, position);
	r = rows_find(&k->store, RECORD_CHANGES, (struct str){ key, sizeof(key) });
	*e = (struct event){ 0 };
	return r != NULL && event_decode(buf_view(&r->value), e) == ERR_OK;
}

/* All of sessions since that position, as "+" and "-" with flaps and reason: "+ -1 keep-alive". */
static const char *
told_since(const struct kit *k, uint64_t from, struct buf *out)
{
	struct event e;

	out->n = 0;
	for (uint64_t p = from; log_at(k, p, &e); p++) {
		if (e.kind != EVENT_CONNECTED && e.kind != EVENT_DISCONNECTED)
			continue;
		buf_printf(
		    out, "%s%c", out->n != 0 ? " " : "", e.kind == EVENT_CONNECTED ? '+' : '-');
		if (e.numbers[EVENT_FLAPS] != 0)
			buf_printf(out, "%u", (unsigned)e.numbers[EVENT_FLAPS]);
		if (e.fields[EVENT_REASON].n != 0)
			buf_printf(out, " " STR_FMT, STR_ARG(e.fields[EVENT_REASON]));
	}
	buf_putc(out, '\0');
	return out->p;
}

static void
tell(struct kit *k)
{
	connections_tell(k->sh, 100, &k->env);
	if (!k->hold)
		kit_commit(k);
}

static void
leave(struct kit *k, const char *id, uint64_t session_epoch, enum reason why)
{
	struct op op = kit_op(OP_DISCONNECT, id);

	op.session_epoch = session_epoch;
	op.ended = why;
	assert_int_equal(kit_run(k, &op), F_NONE);
}

static uint64_t
last_end(struct kit *k, const char *id)
{
	return connection_last_end(k->sh, row_find(k->sh, str_of(id), STR_NONE));
}

static void
connection__E90_begins_and_ends_with_the_reason(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t session_epoch, from;
	struct event e;

	kit_device(k, "d1");
	from = shard_log_next(k->sh);
	session_epoch = kit_connect(k, "d1", 1, true);
	assert_int_equal(shard_log_next(k->sh), from); /* the CONNECT itself writes nothing */
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+");
	assert_true(log_at(k, from, &e));
	assert_int_equal(e.actor, ACTOR_DEVICE);
	leave(k, "d1", session_epoch, REASON_KEEP_ALIVE);
	tell(k);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ - keep-alive");
	kit_connect(k, "d1", 1, true);
	tell(k);
	assert_int_equal(kit_put(k, "d1", "*",
	                     "{'status':'disabled','authentication':{'symmetricKey':{"
	                     "'primaryKey':'" KEY1 "','secondaryKey':'" KEY2 "'}}}"),
	    F_NONE);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ - keep-alive + - disabled");
	assert_true(log_at(k, shard_log_next(k->sh) - 1, &e));
	assert_int_equal(e.actor, ACTOR_HUB);
	buf_fini(&text);
}

static void
connection__E91_a_flap_is_one_record_with_its_count(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t from;

	kit_device(k, "d1");
	from = shard_log_next(k->sh);
	leave(k, "d1", kit_connect(k, "d1", 1, true), REASON_LEFT);
	tell(k); /* nobody has heard of it: it came and went */
	assert_string_equal(told_since(k, from, &text), "-1 left");
	leave(k, "d1", kit_connect(k, "d1", 1, true), REASON_LEFT);
	leave(k, "d1", kit_connect(k, "d1", 1, true), REASON_GOODBYE);
	kit_connect(k, "d1", 1, true);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "-1 left +2 goodbye");
	kit_connect(k, "d1", 2, true); /* takes over */
	tell(k);
	assert_string_equal(told_since(k, from, &text), "-1 left +2 goodbye + taken-over");
	buf_fini(&text);
}

static void
connection__E90_of_a_deleted_identity_its_end_comes_before(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t from;
	struct event e;

	kit_device(k, "d1");
	assert_int_equal(kit_put(k, "d1/m1", NULL,
	                     "{'authentication':{'symmetricKey':{'primaryKey':'" KEY1
	                     "','secondaryKey':'" KEY2 "'}}}"),
	    F_NONE);
	from = shard_log_next(k->sh);
	kit_connect(k, "d1", 1, true);
	tell(k);
	kit_delete(k, "d1", NULL);
	assert_string_equal(told_since(k, from, &text), "+ - deleted");
	assert_true(log_at(k, shard_log_next(k->sh) - 2, &e));
	assert_int_equal(e.kind, EVENT_DISCONNECTED);
	tell(k);
	kit_device(k, "d1"); /* the same row, perhaps: nothing is known of it */
	kit_restart(k);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ - deleted");
	buf_fini(&text);
}

static void
connection__E03_what_was_told_and_failed_is_told_again(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t from, session_epoch;

	for (int found = 0; found < 2; found++) {
		kit_device(k, "d1");
		from = shard_log_next(k->sh);
		session_epoch = kit_connect(k, "d1", 1, true);
		k->hold = true;
		tell(k);
		leave(k, "d1", session_epoch, REASON_LEFT);
		tell(k);
		kit_fail(k, found);
		kit_commit(k);
		assert_int_equal(shard_log_next(k->sh), from);
		k->hold = false;
		assert_string_equal(told_since(k, from, &text), "");
		assert_int_equal(last_end(k, "d1"), 0); /* O-32 */
		tell(k);
		assert_string_equal(told_since(k, from, &text), "-1 left");
		kit_connect(k, "d1", 1, true);
		tell(k);
		k->hold = true; /* a deletion that fails: its session has been closed */
		kit_delete(k, "d1", NULL);
		tell(k);
		kit_fail(k, found);
		kit_commit(k);
		k->hold = false;
		tell(k);
		assert_string_equal(told_since(k, from, &text), "-1 left + - deleted");
		k->hold = true; /* and a CONNECT: nobody has had its CONNACK */
		kit_connect(k, "d1", 1, false);
		tell(k);
		kit_fail(k, found);
		kit_commit(k);
		k->hold = false;
		tell(k);
		assert_string_equal(told_since(k, from, &text), "-1 left + - deleted");
		kit_delete(k, "d1", NULL);
	}
	buf_fini(&text);
}

static void
connection__E94_after_a_kill_the_missing_end_is_told(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t from;
	char id[16];

	for (int i = 0; i < 600; i++) { /* some chunks of rows */
		snprintf(id, sizeof(id), "d%d", i);
		kit_device(k, id);
	}
	from = shard_log_next(k->sh);
	kit_connect(k, "d1", 1, true);
	kit_connect(k, "d599", 2, true);
	tell(k);
	kit_connect(k, "d2", 3, true); /* it was not told, so nothing is missing */
	kit_restart(k);
	kit_connect(k, "d599", 1, true); /* is there before: the end of before comes first */
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ + - hub-ended - hub-ended +");
	kit_delete(k, "d599", NULL);
	kit_restart(k);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ + - hub-ended - hub-ended + - deleted");
	buf_fini(&text);
}

static void
connection__E09_off_there_are_none(void **state)
{
	static const struct log_what nothing;
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t from, session_epoch;

	kit_device(k, "d1");
	from = shard_log_next(k->sh);
	kit_connect(k, "d1", 1, true);
	tell(k);
	k->env.log = &nothing;
	session_epoch = kit_connect(k, "d1", 1, true);
	tell(k);
	leave(k, "d1", session_epoch, REASON_LEFT);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+");
	k->env.log = NULL;
	kit_connect(k, "d1", 1, true);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ +");
	k->env.log = &nothing;
	kit_delete(k, "d1", NULL);
	k->env.log = NULL;
	kit_restart(k);
	tell(k);
	assert_string_equal(told_since(k, from, &text), "+ +");
	buf_fini(&text);
}

static void
connection__what_is_no_record_is_damage(void **state)
{
	static const struct str key = { "connected/\0\3\0\0\0\0", 16 };
	struct kit *k = *state;
	char long_one[34] = { 1 };

	kit_device(k, "d1");
	assert_int_equal(shard_common(k->sh, key, &(struct str){ "\1\1", 2 }), ERR_OK);
	assert_int_equal(shard_common(k->sh, key, &(struct str){ "\2\1", 2 }), ERR_CORRUPT);
	assert_int_equal(shard_common(k->sh, key, &(struct str){ "", 0 }), ERR_CORRUPT);
	assert_int_equal(
	    shard_common(k->sh, key, &(struct str){ long_one, sizeof(long_one) }), ERR_CORRUPT);
	assert_int_equal(shard_common(k->sh, (struct str){ key.p, 15 }, &(struct str){ "\1\1", 2 }),
	    ERR_CORRUPT);
	assert_int_equal(shard_common(k->sh, (struct str){ "connected/\0\3\377\0\0\0", 16 },
	                     &(struct str){ "\1\1", 2 }),
	    ERR_CORRUPT);
}

/* As a worker does in each of its turns. */
static void
miss(struct kit *k)
{
	if (connections_missed_us(k->sh) <= k->env.elapsed_us)
		connections_miss(k->sh);
	tell(k);
}

static void
resumes(struct kit *k, const char *id, uint64_t session_epoch, uint64_t identity)
{
	struct op op = kit_op(OP_RESUME, id);

	op.session_epoch = session_epoch;
	op.reply_to.slot = 1;
	op.resume = (struct op_resume){ .identity = identity, .clean = true };
	assert_int_equal(kit_run(k, &op), F_NONE);
}

static void
connection__O237_who_is_not_back_in_time_has_ended_with_the_owner_once(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t epochs[5], identity = 0, from;
	char id[4];

	for (unsigned i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "d%u", i);
		kit_device(k, id);
		epochs[i] = kit_connect(k, id, 1, true);
		if (i == 0)
			identity = k->reply.identity;
	}
	tell(k);
	k->patience_us = 10000000;
	for (unsigned owner = 0; owner < 2; owner++) { /* the first one dies within the time */
		kit_restart(k);
		from = shard_log_next(k->sh);
		resumes(k, "d0", epochs[0], identity);
		miss(k);
		assert_string_equal(told_since(k, from, &text), "");
	}
	kit_connect(k, "d1", 1, true); /* comes anew */
	miss(k);
	assert_string_equal(told_since(k, from, &text), "- hub-ended +");
	from = shard_log_next(k->sh);
	leave(k, "d2", epochs[2], REASON_KEEP_ALIVE); /* has gone while nobody served it */
	miss(k);
	assert_string_equal(told_since(k, from, &text), "- keep-alive");
	from = shard_log_next(k->sh);
	kit_delete(k, "d3", "*");
	miss(k);
	assert_string_equal(told_since(k, from, &text), "- hub-ended");
	from = shard_log_next(k->sh);
	k->env.elapsed_us = connections_missed_us(k->sh) - 1;
	miss(k);
	assert_string_equal(told_since(k, from, &text), "");
	k->env.elapsed_us++;
	miss(k);
	assert_string_equal(told_since(k, from, &text), "- hub-ended"); /* d4 */
	assert_true(connections_missed_us(k->sh) == INT64_MAX);
	miss(k);
	assert_string_equal(told_since(k, from, &text), "- hub-ended");
	k->patience_us = 0;
	kit_restart(k); /* and no owner says it again */
	from = shard_log_next(k->sh);
	miss(k);
	assert_string_equal(told_since(k, from, &text), "- hub-ended - hub-ended"); /* d0, d1 */
	buf_fini(&text);
}

/* Of a session that takes over, and goes with its node before that is told. */
static void
connection__O237_what_may_come_back_is_not_told_because_of_something_else(void **state)
{
	struct kit *k = *state;
	struct buf text = { 0 };
	uint64_t session_epoch, identity, from;

	kit_device(k, "d1");
	kit_connect(k, "d1", 2, true);
	tell(k);
	from = shard_log_next(k->sh);
	session_epoch = kit_connect(k, "d1", 1, true);
	identity = k->reply.identity;
	shard_edge_gone(k->sh, 0, k->env.elapsed_us + 10000000, &k->env);
	miss(k);
	assert_string_equal(told_since(k, from, &text), "");
	resumes(k, "d1", session_epoch, identity);
	miss(k);
	assert_string_equal(told_since(k, from, &text), "+ taken-over");
	buf_fini(&text);
}

/* Where the log tells of the last end is known over undo and restart, and goes with the identity. */
static void
connection__O32_the_place_of_the_last_end_is_kept(void **state)
{
	struct kit *k = *state;
	uint64_t at;

	kit_device(k, "d1");
	assert_int_equal(last_end(k, "d1"), 0);
	leave(k, "d1", kit_connect(k, "d1", 1, true), REASON_LEFT);
	tell(k);
	at = shard_log_next(k->sh) - 1;
	assert_int_equal(last_end(k, "d1"), at);
	kit_connect(k, "d1", 1, true);
	tell(k); /* a beginning tells of no end */
	assert_int_equal(last_end(k, "d1"), at);
	kit_connect(k, "d1", 2, true); /* takes over */
	tell(k);
	assert_int_equal(last_end(k, "d1"), shard_log_next(k->sh) - 1);
	at = last_end(k, "d1");
	kit_restart(k);
	assert_int_equal(last_end(k, "d1"), at);
	tell(k); /* of who was connected: hub-ended */
	assert_int_equal(last_end(k, "d1"), shard_log_next(k->sh) - 1);
	assert_true(last_end(k, "d1") > at);
	assert_int_equal(kit_delete(k, "d1", "*"), F_NONE);
	kit_device(k, "d1"); /* of that name, and perhaps that row */
	assert_int_equal(last_end(k, "d1"), 0);
	kit_restart(k);
	assert_int_equal(last_end(k, "d1"), 0);
}

static void
connection__O32_what_is_no_place_is_damage(void **state)
{
	static const struct str key = { "ended/\0\3\0\0\0\0", 12 };
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(
	    shard_common(k->sh, key, &(struct str){ "\1\7\0\0\0\0\0\0\0", 9 }), ERR_OK);
	assert_int_equal(
	    shard_common(k->sh, key, &(struct str){ "\2\7\0\0\0\0\0\0\0", 9 }), ERR_CORRUPT);
	assert_int_equal(
	    shard_common(k->sh, key, &(struct str){ "\1\0\0\0\0\0\0\0\0", 9 }), ERR_CORRUPT);
	assert_int_equal(shard_common(k->sh, key, &(struct str){ "\1\7", 2 }), ERR_CORRUPT);
	assert_int_equal(shard_common(k->sh, (struct str){ "ended/\0\3\0\0\377\0", 12 },
	                     &(struct str){ "\1\7\0\0\0\0\0\0\0", 9 }),
	    ERR_CORRUPT);
}

/* Somebody always waits to be told: the list holds those who do, and not all who ever have. */
static void
connection__a_list_that_never_runs_empty_does_not_grow(void **state)
{
	static const char *const ids[] = { "d1", "d2", "d3" };
	struct kit *k = *state;
	uint64_t epochs[3];
	int64_t since_us;

	for (unsigned i = 0; i < 3; i++) {
		kit_device(k, ids[i]);
		epochs[i] = kit_connect(k, ids[i], i + 1, true);
	}
	for (unsigned i = 0; i < 3000; i++) {
		connections_tell(k->sh, 1, &k->env); /* the oldest, who comes again as the newest */
		kit_commit(k);
		leave(k, ids[i % 3], epochs[i % 3], REASON_LEFT);
		epochs[i % 3] = kit_connect(k, ids[i % 3], i % 3 + 1, true);
		assert_true(connections_wait(k->sh, &since_us));
	}
	assert_true(k->sh->connections.cap <= 128);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(connection__E90_begins_and_ends_with_the_reason),
		TEST(connection__E91_a_flap_is_one_record_with_its_count),
		TEST(connection__E90_of_a_deleted_identity_its_end_comes_before),
		TEST(connection__E03_what_was_told_and_failed_is_told_again),
		TEST(connection__E94_after_a_kill_the_missing_end_is_told),
		TEST(connection__E09_off_there_are_none),
		TEST(connection__O237_who_is_not_back_in_time_has_ended_with_the_owner_once),
		TEST(connection__O237_what_may_come_back_is_not_told_because_of_something_else),
		TEST(connection__O32_the_place_of_the_last_end_is_kept),
		TEST(connection__O32_what_is_no_place_is_damage),
		TEST(connection__what_is_no_record_is_damage),
		TEST(connection__a_list_that_never_runs_empty_does_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
