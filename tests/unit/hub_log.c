/* The log of changes: a record for each, dense positions, what was before, the chains, and all of it taken back with its round. */
#include "hub_kit.h"

#include "shard/record.h"
#include "shard/told.h"

/* The record at that position, decoded; false: there is none. */
static bool
log_at(const struct kit *k, uint64_t position, struct event *e)
{
	char key[EVENT_KEY];
	struct kit_row *r;

	event_key(key, k->sh->index, position);
	r = rows_find(&k->store, RECORD_CHANGES, (struct str){ key, sizeof(key) });
	if (r == NULL)
		r = rows_find(&k->store, RECORD_LOG, (struct str){ key, sizeof(key) });
	if (r == NULL)
		return false;
	assert_int_equal(event_decode(buf_view(&r->value), e), ERR_OK);
	return true;
}

static uint32_t
log_count(const struct kit *k)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < k->store.n; i++)
		n += k->store.v[i].kind == RECORD_CHANGES || k->store.v[i].kind == RECORD_LOG;
	return n;
}

/* All positions from 1 on are there, and nothing else. */
static void
assert_dense(const struct kit *k)
{
	struct event e;

	for (uint64_t p = 1; p < shard_log_next(k->sh); p++)
		assert_true(log_at(k, p, &e));
	assert_int_equal(log_count(k), shard_log_next(k->sh) - 1);
}

static void
text_set(struct buf *b, struct str s)
{
	b->n = 0;
	buf_str(b, s);
	buf_putc(b, '\0');
}

static const char *
patch_text(const struct event *e, enum event_field field, struct buf *b)
{
	struct buf json = { 0 };

	if (e->fields[field].n != 0)
		doc_write_json(&json, doc_of(e->fields[field]));
	text_set(b, buf_view(&json));
	buf_fini(&json);
	return b->p;
}

static void
log__E01_each_change_has_its_record(void **state)
{
	static const enum event_kind kinds[] = { EVENT_CREATED, EVENT_TWIN_CHANGED,
		EVENT_TWIN_CHANGED, EVENT_TWIN_REPLACED, EVENT_MESSAGE, EVENT_IDENTITY_CHANGED,
		EVENT_DISCONNECTED, EVENT_DELETED };
	struct kit *k = *state;
	struct op regenerate = kit_op(OP_KEYS_REGENERATE, "d1"), message;
	struct buf text = { 0 };
	uint64_t session_epoch;
	struct event e;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b':{'c':2}}}}");
	assert_int_equal(kit_report(k, "d1", session_epoch, "{'x':1}"), F_NONE);
	kit_replace(k, "d1", NULL, "{'properties':{'desired':{'e':3}}}");
	message = kit_op(OP_TELEMETRY, "d1");
	message.session_epoch = session_epoch;
	message.payload = STR("body");
	assert_int_equal(kit_run(k, &message), F_NONE);
	regenerate.keys = 1;
	assert_int_equal(kit_run(k, &regenerate), F_NONE);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'nothing':null}}}"); /* T-39 */
	kit_delete(k, "d1", NULL);
	assert_dense(k);
	assert_int_equal(shard_log_next(k->sh), 9);
	for (uint64_t p = 1; p <= 8; p++) {
		assert_true(log_at(k, p, &e));
		assert_int_equal(e.kind, kinds[p - 1]);
		assert_true(str_eq(e.device, STR("d1")));
	}
	log_at(k, 2, &e);
	assert_int_equal(e.numbers[EVENT_VERSION], 3);
	assert_int_equal(e.numbers[EVENT_COUNTER], 2);
	assert_string_equal(patch_text(&e, EVENT_PATCH_TAGS, &text), "{\"a\":1}");
	assert_string_equal(patch_text(&e, EVENT_PATCH_DESIRED, &text), "{\"b\":{\"c\":2}}");
	assert_string_equal(patch_text(&e, EVENT_PATCH_REPORTED, &text), "");
	log_at(k, 3, &e);
	assert_int_equal(e.numbers[EVENT_VERSION], 4);
	assert_string_equal(patch_text(&e, EVENT_PATCH_REPORTED, &text), "{\"x\":1}");
	log_at(k, 4, &e);
	assert_string_equal(patch_text(&e, EVENT_PATCH_TAGS, &text), "{\"a\":null}");
	assert_string_equal(patch_text(&e, EVENT_PATCH_DESIRED, &text), "{\"b\":null,\"e\":3}");
	assert_true(e.fields[EVENT_REPORTED].n != 0);
	buf_fini(&text);
}

static void
log__E09_telemetry_that_is_off_is_taken_and_not_kept(void **state)
{
	static const struct log_what nothing;
	struct kit *k = *state;
	struct op message = kit_op(OP_TELEMETRY, "d1");

	k->env.log = &nothing;
	kit_device(k, "d1");
	message.session_epoch = kit_connect(k, "d1", 1, true);
	message.payload = STR("body");
	assert_int_equal(kit_run(k, &message), F_NONE);
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	assert_dense(k);
	assert_int_equal(shard_log_next(k->sh), 3);
}

/* What is said of it: the record's object as JSON. */
static const char *
about(const struct event *e, struct buf *b)
{
	return patch_text(e, EVENT_ABOUT, b);
}

static void
log__E97_administration_is_told_by_shard_0(void **state)
{
	static const struct log_what nothing;
	struct kit *k = *state;
	struct buf text = { 0 };
	struct op op = kit_op(OP_ADMIN, "");
	struct event e;

	op.actor = ACTOR_POLICY;
	op.actor_name = STR("iothubowner");
	op.admin = ADMIN_KEY_ROTATED;
	op.name = STR("service");
	op.peer = STR("10.0.0.1:5");
	assert_int_equal(op_shard(&op), 0);
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_true(log_at(k, 1, &e));
	assert_int_equal(e.kind, EVENT_ADMIN);
	assert_true(told_sound(&e));
	assert_int_equal(e.numbers[EVENT_ADMIN_WHAT], ADMIN_KEY_ROTATED);
	assert_true(str_eq(e.actor_name, STR("iothubowner")));
	assert_string_equal(about(&e, &text), "{\"name\":\"service\",\"peer\":\"10.0.0.1:5\"}");
	op.admin = ADMIN_BACKUP;
	op.name = STR("/bad/\xff");
	kit_doc(k, "{'lines':3}", &op);
	op.told = op.payload;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_true(log_at(k, 2, &e));
	assert_string_equal(about(&e, &text), "{\"peer\":\"10.0.0.1:5\",\"lines\":3}");
	k->env.log = &nothing;
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(shard_log_next(k->sh), 3);
	buf_fini(&text);
}

static void
log__E96_methods_are_told_where_they_are_logged(void **state)
{
	static const struct log_what methods = { .methods = true };
	struct kit *k = *state;
	struct buf text = { 0 };
	struct op call = kit_op(OP_METHOD, "d1"), answer = kit_op(OP_METHOD_RESPONSE, "d1");
	struct event e;

	kit_device(k, "d1");
	answer.session_epoch = kit_connect(k, "d1", 1, true);
	kit_subscribe(k, "d1", answer.session_epoch, "m");
	call.actor = ACTOR_POLICY;
	call.actor_name = STR("service");
	call.method.name = STR("open");
	call.payload = STR("{\"secret\":1}");
	assert_int_equal(kit_run(k, &call), F_NONE);
	assert_int_equal(shard_log_next(k->sh), 2); /* off unless set */
	k->env.log = &methods;
	assert_int_equal(kit_run(k, &call), F_NONE);
	answer.method.call = 2;
	answer.method.status = 200;
	answer.payload = STR("{}");
	assert_int_equal(kit_run(k, &answer), F_NONE);
	assert_int_equal(kit_run(k, &answer), F_NONE); /* a second one is nobody's */
	assert_int_equal(shard_log_next(k->sh), 4);
	log_at(k, 2, &e);
	assert_int_equal(e.kind, EVENT_METHOD_CALLED);
	assert_true(told_sound(&e));
	assert_true(str_eq(e.actor_name, STR("service")));
	assert_string_equal(about(&e, &text), "{\"methodName\":\"open\",\"payloadBytes\":12}");
	log_at(k, 3, &e);
	assert_int_equal(e.kind, EVENT_METHOD_ANSWERED);
	assert_string_equal(
	    about(&e, &text), "{\"call\":\"3-2\",\"status\":200,\"payloadBytes\":2}");
	k->env.can_write = false;
	assert_int_equal(kit_run(k, &call), F_NONE);
	k->env.can_write = true;
	assert_int_equal(shard_log_next(k->sh), 4);
	buf_fini(&text);
}

static void
log__E98_an_import_is_the_cause_of_what_it_writes(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_IDENTITY_IMPORT, "d1");
	struct event e;

	kit_doc(k, "{'id':'d1','tags':{'a':1}}", &op);
	op.import = IMPORT_CREATE | IMPORT_REPLACE | IMPORT_WHOLE;
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_patch(k, "d1", NULL, "{'tags':{'a':2}}");
	log_at(k, 1, &e);
	assert_true(str_eq(e.fields[EVENT_CAUSE], STR("import")));
	log_at(k, 2, &e);
	assert_int_equal(e.fields[EVENT_CAUSE].n, 0);
}

static void
log__E04_says_who(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_TWIN_PATCH, "d1");
	uint64_t session_epoch;
	struct event e;

	kit_device(k, "d1");
	kit_doc(k, "{'tags':{'a':1}}", &op);
	op.actor = ACTOR_POLICY;
	op.actor_name = STR("iothubowner");
	assert_int_equal(kit_run(k, &op), F_NONE);
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_report(k, "d1", session_epoch, "{'x':1}");
	log_at(k, 2, &e);
	assert_int_equal(e.actor, ACTOR_POLICY);
	assert_true(str_eq(e.actor_name, STR("iothubowner")));
	log_at(k, 3, &e);
	assert_int_equal(e.time_us, k->env.now_us);
}

/* The head of a row's record of that kind. */
static uint64_t
head_of(const struct kit *k, const char *id, enum record_kind kind)
{
	struct row *r = row_find(k->sh, str_of(id), STR_NONE);

	return record_head(blob_str(r->records[kind]));
}

static void
log__E06_changes_are_chained(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;
	struct event e;

	kit_device(k, "d1");                             /* 1 */
	kit_device(k, "other");                          /* 2 */
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");    /* 3 */
	kit_patch(k, "other", NULL, "{'tags':{'a':1}}"); /* 4 */
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_report(k, "d1", session_epoch, "{'x':1}");                  /* 5 */
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'b':1}}}"); /* 6 */
	assert_int_equal(head_of(k, "d1", RECORD_IDENTITY), 1);
	assert_int_equal(head_of(k, "d1", RECORD_WANTED), 6);
	assert_int_equal(head_of(k, "d1", RECORD_REPORTED), 5);
	log_at(k, 6, &e);
	assert_int_equal(e.numbers[EVENT_BEFORE_WANTED], 3);
	assert_int_equal(e.numbers[EVENT_BEFORE_REPORTED], 0);
	log_at(k, 5, &e);
	assert_int_equal(e.numbers[EVENT_BEFORE_REPORTED], 1);
	log_at(k, 3, &e);
	assert_int_equal(e.numbers[EVENT_BEFORE_WANTED], 1);
	kit_restart(k);
	kit_patch(k, "d1", NULL, "{'tags':{'a':2}}"); /* 7 */
	log_at(k, 7, &e);
	assert_int_equal(e.numbers[EVENT_BEFORE_WANTED], 6);
	assert_int_equal(e.numbers[EVENT_VERSION], 6); /* though reported was not in memory */
	kit_delete(k, "d1", NULL);                     /* 8 */
	log_at(k, 8, &e);
	assert_int_equal(e.kind, EVENT_DELETED);
	assert_int_equal(e.numbers[EVENT_BEFORE_WANTED], 7);
	assert_int_equal(e.numbers[EVENT_BEFORE_REPORTED], 5);
	assert_int_equal(e.numbers[EVENT_BEFORE_IDENTITY], 1);
	assert_dense(k);
}

/* ---- E-05: what was before ---- */

#define HISTORY 60

/* Go back through the chain of one stored record: each section must be what it was then. */
static void
sections_go_back(struct kit *k, enum section_kind kind, struct str stored, uint64_t head,
    struct buf (*was)[SECTION_KINDS])
{
	bool reported = kind == SECTION_REPORTED;
	struct buf bytes = { 0 }, next = { 0 }, a = { 0 }, b = { 0 };
	struct event e;

	buf_str(&bytes, stored);
	for (uint64_t p = head; log_at(k, p, &e) && e.kind != EVENT_CREATED;) {
		struct str before = e.fields[EVENT_WAS_TAGS + kind];
		struct section s = section_of(buf_view(&bytes)), then;

		if (before.n != 0) {
			assert_int_equal(section_before_check(before), ERR_OK);
			next.n = 0;
			section_take_back(&s, before, kind, &next);
			bytes.n = 0;
			buf_str(&bytes, buf_view(&next));
		}
		s = section_of(buf_view(&bytes));
		then = section_of(buf_view(&was[p][kind]));
		assert_int_equal(section_check(buf_view(&bytes)), ERR_OK);
		assert_int_equal(s.version, then.version);
		assert_true(doc_equal(s.root, then.root));
		assert_int_equal(s.nstamp, then.nstamp);
		p = e.numbers[reported ? EVENT_BEFORE_REPORTED : EVENT_BEFORE_WANTED];
	}
	buf_fini(&bytes), buf_fini(&next), buf_fini(&a), buf_fini(&b);
}

/* The sections of d1 now, to be the ones before the record of that position. */
static void
note_sections(struct kit *k, struct buf was[SECTION_KINDS])
{
	struct row *r = row_find(k->sh, STR("d1"), STR_NONE);
	struct section reported;
	int64_t activity_us;
	struct wanted w;

	assert_true(wanted_decode(blob_str(r->records[RECORD_WANTED]), &w));
	assert_true(
	    reported_decode(blob_str(r->records[RECORD_REPORTED]), &activity_us, &reported));
	buf_str(&was[SECTION_TAGS], w.tags.bytes);
	buf_str(&was[SECTION_DESIRED], w.desired.bytes);
	buf_str(&was[SECTION_REPORTED], reported.bytes);
}

static void
log__E05_every_twin_that_was_can_be_made_again(void **state)
{
	static const char *const patches[] = { "{'a':1}", "{'a':{'b':1,'c':[1,2]}}", "{'a':null}",
		"{'x':{'y':{'z':1}},'w':2}", "{'x':{'y':null}}", "{'x':5}", "{'w':2}", "{}",
		"{'x':{'y':{'z':2,'q':'t'}}}" };
	struct kit *k = *state;
	struct buf was[HISTORY + 8][SECTION_KINDS] = { 0 };
	uint64_t session_epoch;
	struct wanted w;
	struct section reported;
	int64_t activity_us;
	struct row *r;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	while (shard_log_next(k->sh) < HISTORY) {
		const char *patch = patches[rnd_below(&k->rnd, sizeof(patches) / sizeof(*patches))];
		uint64_t position = shard_log_next(k->sh);
		char body[256];

		k->env.now_us += SECOND;
		note_sections(k, was[position]);
		snprintf(body, sizeof(body),
		    rnd_below(&k->rnd, 2) ? "{'tags':%s}" : "{'properties':{'desired':%s}}", patch);
		if (rnd_below(&k->rnd, 3) == 0)
			kit_report(k, "d1", session_epoch, patch);
		else if (rnd_below(&k->rnd, 6) == 0)
			kit_replace(k, "d1", NULL, body);
		else
			kit_patch(k, "d1", NULL, body);
		if (shard_log_next(k->sh) == position)
			for (int s = 0; s < SECTION_KINDS; s++)
				was[position][s].n = 0;
	}
	r = row_find(k->sh, STR("d1"), STR_NONE);
	assert_true(wanted_decode(blob_str(r->records[RECORD_WANTED]), &w));
	assert_true(
	    reported_decode(blob_str(r->records[RECORD_REPORTED]), &activity_us, &reported));
	sections_go_back(k, SECTION_TAGS, w.tags.bytes, head_of(k, "d1", RECORD_WANTED), was);
	sections_go_back(k, SECTION_DESIRED, w.desired.bytes, head_of(k, "d1", RECORD_WANTED), was);
	sections_go_back(
	    k, SECTION_REPORTED, reported.bytes, head_of(k, "d1", RECORD_REPORTED), was);
	for (unsigned i = 0; i < HISTORY + 8; i++)
		for (int s = 0; s < SECTION_KINDS; s++)
			buf_fini(&was[i][s]);
}

static void
log__E05_no_record_has_a_key_and_a_deletion_has_the_twin(void **state)
{
	struct kit *k = *state;
	struct op regenerate = kit_op(OP_KEYS_REGENERATE, "d1");
	struct wanted w;
	struct event e;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'last':'one'}}");
	regenerate.keys = 3;
	kit_run(k, &regenerate);
	kit_delete(k, "d1", NULL);
	for (uint32_t i = 0; i < k->store.n; i++) {
		struct str value = buf_view(&k->store.v[i].value);

		for (size_t at = 0; at + 44 <= value.n; at++)
			assert_false(memcmp(value.p + at, KEY1, 44) == 0);
	}
	assert_true(log_at(k, 4, &e));
	assert_true(wanted_decode(e.fields[EVENT_WANTED], &w));
	assert_true(str_eq(doc_text(doc_getc(w.tags.root, "last")), STR("one")));
}

/* ---- E-03: taken back ---- */

static void
log__E03_what_is_taken_back_takes_its_position_back(void **state)
{
	struct kit *k = *state;
	struct event e;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	for (int found = 0; found < 2; found++) {
		k->hold = true;
		kit_patch(k, "d1", NULL, "{'tags':{'a':2}}");
		kit_patch(k, "d1", NULL, "{'tags':{'a':3}}");
		kit_device(k, "d2");
		kit_delete(k, "d1", NULL);
		assert_int_equal(shard_log_next(k->sh), 7);
		kit_fail(k, found != 0);
		assert_int_equal(shard_log_next(k->sh), 3);
		kit_commit(k); /* the repair */
		k->hold = false;
		assert_dense(k);
		assert_int_equal(head_of(k, "d1", RECORD_WANTED), 2);
	}
	kit_patch(k, "d1", NULL, "{'tags':{'b':1}}");
	assert_true(log_at(k, 3, &e));
	assert_int_equal(e.numbers[EVENT_BEFORE_WANTED], 2);
	assert_dense(k);
	kit_restart(k);
	assert_int_equal(shard_log_next(k->sh), 4);
}

/* The first record of all: no end is stored before it, and none is after it has been taken back. */
static void
log__E03_the_first_position_comes_back(void **state)
{
	struct kit *k = *state;

	k->hold = true;
	kit_device(k, "d1");
	assert_true(shard_log_known(k->sh));
	kit_fail(k, true);
	kit_commit(k);
	k->hold = false;
	assert_false(shard_log_known(k->sh));
	assert_int_equal(k->store.n, 0);
	kit_device(k, "d1");
	assert_dense(k);
	assert_int_equal(shard_log_next(k->sh), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    log__E01_each_change_has_its_record, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E09_telemetry_that_is_off_is_taken_and_not_kept, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E97_administration_is_told_by_shard_0, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E96_methods_are_told_where_they_are_logged, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E98_an_import_is_the_cause_of_what_it_writes, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(log__E04_says_who, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E06_changes_are_chained, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E05_every_twin_that_was_can_be_made_again, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E05_no_record_has_a_key_and_a_deletion_has_the_twin, kit_setup,
		    kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E03_what_is_taken_back_takes_its_position_back, kit_setup, kit_teardown),
		cmocka_unit_test_setup_teardown(
		    log__E03_the_first_position_comes_back, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
