/* A shard's part of a job: its steps, what is undone of them, and what becomes of results whose room is over, and of rows that
 * somebody else has by then. */
#include "job_kit.h"

/* ---- results and rows ---- */

static void
part__J23_results_are_bounded_and_answers_go_without_payload_then(void **state)
{
	static const char doc[] = { (char)(DOC_STRING | 5 << 4), 'h', 'e', 'l', 'l', 'o' };
	struct job_answer a = { .status = 200, .payload = { doc, sizeof(doc) } };
	struct job_result r = { 0 };
	unsigned records;
	struct job *j;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d1");
	kit_device(&k, "d2");
	j = begin(&k, CALLS);
	for (int i = 0; i < 2; i++) {
		uint32_t row = part_row(k.sh, j, &records);

		assert_true(part_step(k.sh, j, false, &k.env));
		if (i == 1) /* as if so many had answered; the last one does not fit any more */
			part_find(k.sh, NUMBER)->work->now.bytes =
			    JOB_PART_BYTES_MAX - sizeof(doc) + 1;
		part_answer(k.sh, j, row, &a, &k.env);
		save(&k, j);
		assert_true(result_of(&k, row, &r));
		assert_int_equal(r.kind, RESULT_RESPONSE);
		assert_int_equal(r.status, 200);
		assert_int_equal(doc_kind(doc_of(r.payload)), i == 0 ? DOC_STRING : DOC_NULL);
	}
	end(&k, j);
}

/* The job has changed the twin of `old`, which goes, and its row has rested. Without `other` its part has ended. */
static struct job *
old_goes(struct kit *k, const char *other, uint32_t *row)
{
	struct job_result r = { 0 };
	unsigned records;
	struct job *j;

	kit_init(k);
	kit_device(k, "old");
	if (other != NULL)
		kit_device(k, other);
	*row = shard_find(k->sh, STR("old"), STR_NONE);
	j = begin(k, PATCHES);
	assert_int_equal(part_row(k->sh, j, &records), *row);
	assert_false(part_step(k->sh, j, false, &k->env));
	save(k, j);
	assert_int_equal(part_find(k->sh, NUMBER)->work == NULL, other == NULL);
	assert_false(result_of(k, *row, &r)); /* the part tells it */
	assert_int_equal(kit_delete(k, "old", NULL), F_NONE);
	k->env.elapsed_us += 2 * ROW_GRACE_US;
	return j;
}

/* Who is in the row now goes, too: it was never part of the job. */
static void
young_goes(struct kit *k, uint32_t row)
{
	struct job_result r = { 0 };

	assert_int_equal(shard_find(k->sh, STR("young"), STR_NONE), row);
	assert_int_equal(kit_delete(k, "young", NULL), F_NONE);
	assert_true(result_of(k, row, &r));
	assert_true(str_eq(r.device, STR("old")));
	assert_int_equal(r.kind, RESULT_COMPLETED);
}

static void
part__J18_who_comes_later_into_a_row_has_no_part_in_it(void **state)
{
	static const char *const others[] = { NULL, "waits" }; /* the part has ended, or goes on */

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct kit k;
		uint32_t row;
		struct job *j = old_goes(&k, others[i], &row);

		kit_device(&k, "young");
		young_goes(&k, row);
		end(&k, j);
	}
}

/* A line of an import brings a generation from before the job. */
static void
part__J18_who_is_imported_into_a_row_has_no_part_in_it(void **state)
{
	struct op op = kit_op(OP_IDENTITY_IMPORT, "young");
	struct identity id;
	struct job *j;
	struct kit k;
	uint32_t row;

	(void)state;
	j = old_goes(&k, NULL, &row);
	op.import = IMPORT_CREATE | IMPORT_WHOLE;
	kit_doc(&k, "{'id':'young','generationId':'638000000000000001'}", &op);
	assert_int_equal(kit_run(&k, &op), F_NONE);
	young_goes(&k, row);
	/* in a row that nobody had it is kept */
	kit_device(&k, "more");
	op.device = STR("elsewhere");
	kit_doc(&k, "{'id':'elsewhere','generationId':'638000000000000001'}", &op);
	assert_int_equal(kit_run(&k, &op), F_NONE);
	row = shard_find(k.sh, STR("elsewhere"), STR_NONE);
	assert_true(identity_decode(blob_str(row_at(k.sh, row)->records[RECORD_IDENTITY]), &id));
	assert_int_equal(id.generation, UINT64_C(638000000000000001));
	end(&k, j);
}

/* ---- steps ---- */

static uint32_t
row_of(struct kit *k, const char *id)
{
	return shard_find(k->sh, str_of(id), STR_NONE);
}

/* The next one has its turn: whose it is. */
static const char *
step(struct kit *k, struct job *j)
{
	static char id[ID_MAX + 1];
	struct str device, module;
	unsigned records;
	uint32_t row = part_row(k->sh, j, &records);

	if (row == TABLE_NONE)
		return "";
	assert_true(shard_row(k->sh, row, &device, &module));
	snprintf(id, sizeof(id), STR_FMT, STR_ARG(device));
	assert_int_equal(shard_row_missing(k->sh, row, records, &k->key), 0);
	(void)part_step(k->sh, j, false, &k->env);
	return id;
}

static void
devices(struct kit *k)
{
	static const char *const ids[] = { "c", "a", "d", "b" };

	kit_init(k);
	for (unsigned i = 0; i < 4; i++)
		kit_device(k, ids[i]);
}

/* What a query of devices.jobs shows of a row, by what the store has. */
static enum target_status
shown(struct kit *k, uint32_t row, struct hub_target *t)
{
	struct hub_targets *ts = targets_open(k->sh, NUMBER);
	struct buf key = { 0 };
	struct kit_row *r;
	uint32_t at;

	assert_non_null(ts);
	targets_key(ts, row, &key);
	r = rows_find(&k->store, RECORD_COMMON, buf_view(&key));
	at = targets_next(
	    ts, row, r != NULL ? row : TABLE_NONE, r != NULL ? buf_view(&r->value) : STR_NONE, t);
	assert_int_equal(at, row);
	assert_false(t->damaged);
	buf_fini(&key);
	targets_close(ts);
	return t->status;
}

static void
part__J20_J21_targets_have_their_turn_in_the_order_of_their_keys(void **state)
{
	struct job_report r;
	struct hub_target t;
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	j = begin(&k, PATCHES);
	assert_int_equal(part_phase(k.sh, j), JOB_WORKS);
	assert_string_equal(step(&k, j), "a");
	assert_string_equal(step(&k, j), "b");
	save(&k, j);
	assert_int_equal(shown(&k, row_of(&k, "b"), &t), TARGET_COMPLETED);
	assert_int_equal(shown(&k, row_of(&k, "c"), &t), TARGET_PENDING);
	assert_string_equal(step(&k, j), "c");
	assert_string_equal(step(&k, j), "d");
	assert_string_equal(step(&k, j), "");
	assert_true(part_save(k.sh, j, &k.env, &r));
	assert_true(r.ended);
	assert_int_equal(r.counts.devices, 4);
	assert_int_equal(r.counts.succeeded, 4);
	part_committed(k.sh, &r);
	kit_commit(&k);
	assert_int_equal(part_phase(k.sh, j), JOB_ENDS);
	assert_int_equal(kit_read(&k, "d"), F_NONE);
	kit_shows(&k, "tags/a", "1");
	end(&k, j);
}

static void
part__J18_who_comes_later_is_no_target(void **state)
{
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	j = begin(&k, PATCHES);
	kit_device(&k, "aa");
	assert_string_equal(step(&k, j), "a");
	assert_string_equal(step(&k, j), "b");
	end(&k, j);
}

/* The turn that was not written comes again; a twin is changed once all the same. */
static void
part__J21_a_step_whose_commit_fails_has_not_been(void **state)
{
	struct job_report r;
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	j = begin(&k, PATCHES);
	assert_string_equal(step(&k, j), "a");
	save(&k, j);
	for (int found = 0; found < 2; found++) {
		assert_string_equal(step(&k, j), "b");
		assert_string_equal(step(&k, j), "c");
		assert_true(part_save(k.sh, j, &k.env, &r));
		assert_int_equal(r.counts.succeeded, 3);
		kit_fail(&k, found);
		jobs_undone(k.sh);
		kit_commit(&k);
		assert_string_equal(kit_counters(&k, "b"), "1 2 1 1");
		assert_int_equal(part_phase(k.sh, j), JOB_ORDERS);
		part_order(k.sh, j, 1000);
	}
	assert_string_equal(step(&k, j), "b");
	assert_string_equal(step(&k, j), "c");
	assert_string_equal(step(&k, j), "d");
	save(&k, j);
	assert_string_equal(kit_counters(&k, "a"), "2 3 1 1");
	assert_string_equal(kit_counters(&k, "b"), "2 3 1 1");
	end(&k, j);
}

static void
part__J21_it_goes_on_after_a_start_where_it_was(void **state)
{
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	j = begin(&k, PATCHES);
	assert_string_equal(step(&k, j), "a");
	assert_string_equal(step(&k, j), "b");
	save(&k, j);
	kit_restart_all(&k);
	know(&k, j);
	assert_int_equal(part_phase(k.sh, j), JOB_ORDERS);
	part_order(k.sh, j, 1000);
	kit_read(&k, "c"); /* its records, into memory */
	assert_string_equal(step(&k, j), "c");
	end(&k, j);
}

static void
part__J18_a_target_that_goes_leaves_its_result(void **state)
{
	struct job_result r;
	struct hub_target t;
	uint32_t done, waits;
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	done = row_of(&k, "a");
	waits = row_of(&k, "c");
	j = begin(&k, PATCHES);
	assert_string_equal(step(&k, j), "a");
	save(&k, j);
	assert_int_equal(kit_delete(&k, "a", NULL), F_NONE);
	assert_int_equal(kit_delete(&k, "c", NULL), F_NONE);
	assert_true(result_of(&k, done, &r));
	assert_int_equal(r.kind, RESULT_COMPLETED);
	assert_int_equal(shown(&k, waits, &t), TARGET_FAILED);
	assert_true(str_eq(t.device, STR("c")));
	assert_true(str_eq(t.code, str_of(fault_name(F_DeviceNotFound))));
	assert_string_equal(step(&k, j), "b");
	assert_string_equal(step(&k, j), "d");
	assert_string_equal(step(&k, j), "");
	end(&k, j);
}

/* A deletion that is undone leaves nothing of that. */
static void
part__a_target_whose_deletion_fails_has_its_turn(void **state)
{
	struct job_result r;
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	j = begin(&k, PATCHES);
	save(&k, j);
	k.hold = true;
	assert_int_equal(kit_delete(&k, "a", NULL), F_NONE);
	kit_fail(&k, true);
	jobs_undone(k.sh);
	kit_commit(&k);
	assert_false(result_of(&k, row_of(&k, "a"), &r));
	part_order(k.sh, j, 1000);
	assert_string_equal(step(&k, j), "a");
	save(&k, j);
	assert_int_equal(part_find(k.sh, NUMBER)->work->now.failed, 0);
	end(&k, j);
}

static void
part__J15_J19_who_had_no_turn_when_it_stopped(void **state)
{
	static const struct {
		enum job_stop stop;
		enum target_status status;
		enum fault_code code;
		uint64_t failed;
	} stops[] = { { JOB_STOP_CANCELLED, TARGET_CANCELED, F_NONE, 0 },
		{ JOB_STOP_LATE, TARGET_FAILED, F_GatewayTimeout, 3 },
		{ JOB_STOP_FAILED, TARGET_FAILED, F_ServerError, 3 } };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct job_state stopped = { .status = JOB_RUNNING, .stop = stops[i].stop };
		struct job_report r;
		struct hub_target t;
		struct job *j, *now;
		struct kit k;

		devices(&k);
		j = begin(&k, PATCHES);
		assert_string_equal(step(&k, j), "a");
		save(&k, j);
		stopped.began_us = j->state.began_us;
		now = job_in(&k, PATCHES, &stopped);
		know(&k, now);
		assert_string_equal(step(&k, now), "");
		assert_true(part_save(k.sh, now, &k.env, &r));
		assert_true(r.ended);
		assert_int_equal(r.counts.failed, stops[i].failed);
		part_committed(k.sh, &r);
		kit_commit(&k);
		assert_int_equal(shown(&k, row_of(&k, "a"), &t), TARGET_COMPLETED);
		assert_int_equal(shown(&k, row_of(&k, "d"), &t), stops[i].status);
		if (stops[i].code != F_NONE)
			assert_true(str_eq(t.code, str_of(fault_name(stops[i].code))));
		job_unref(now);
		end(&k, j);
	}
}

static void
part__J22_so_many_calls_are_under_way_and_the_next_waits(void **state)
{
	struct job_answer gone = { .fault = F_DeviceNotOnline, .text = STR("away") };
	struct hub_target t;
	unsigned records;
	struct job *j;
	struct kit k;
	uint32_t first;

	(void)state;
	kit_init(&k);
	for (unsigned i = 0; i <= JOB_FLIGHTS_MAX; i++) {
		char id[8];

		snprintf(id, sizeof(id), "d%02u", i);
		kit_device(&k, id);
	}
	first = row_of(&k, "d00");
	j = begin(&k, CALLS);
	for (unsigned i = 0; i < JOB_FLIGHTS_MAX; i++) {
		assert_true(part_row(k.sh, j, &records) != TABLE_NONE);
		assert_true(part_step(k.sh, j, false, &k.env));
	}
	assert_int_equal(part_row(k.sh, j, &records), TABLE_NONE);
	save(&k, j);
	assert_int_equal(shown(&k, first, &t), TARGET_RUNNING);
	part_answer(k.sh, j, first, &gone, &k.env);
	part_answer(k.sh, j, first, &gone, &k.env); /* it is not under way any more */
	save(&k, j);
	assert_int_equal(shown(&k, first, &t), TARGET_FAILED);
	assert_true(str_eq(t.text, STR("away")));
	assert_int_equal(part_find(k.sh, NUMBER)->work->now.failed, 1);
	assert_true(part_row(k.sh, j, &records) != TABLE_NONE);
	end(&k, j);
}

/* The key of a row's result, in `out`. */
static struct str
result_name(const struct kit *k, uint32_t row, struct buf *out)
{
	out->n = 0;
	result_key(out, k->sh->index, NUMBER, row);
	return buf_view(out);
}

/* A former program wrote the results of lost calls before the part: stopped in between, with its device deleted, it left a part that lists
 * a call of a row that is nobody's. */
static void
part__J27_a_lost_call_of_a_device_that_has_gone_leaves_no_result_without_a_name(void **state)
{
	struct job_answer lost = { .fault = F_DeviceConnectionClosedRemotely, .text = STR("lost") };
	struct job_result r = { 0 };
	char room[HUB_PREFIX_MAX];
	struct buf part = { 0 };
	struct hub_target t;
	struct kit_row *stored;
	struct str key;
	unsigned records;
	struct job *j;
	struct kit k;
	uint32_t row = 0;

	(void)state;
	devices(&k);
	j = begin(&k, CALLS);
	row = part_row(k.sh, j, &records);
	assert_int_equal(row, row_of(&k, "a"));
	assert_int_not_equal(row, 0); /* that is c's, whose turn it is not */
	assert_true(part_step(k.sh, j, false, &k.env));
	save(&k, j);
	key = part_key(PART_KEY, k.sh->index, NUMBER, room);
	stored = rows_find(&k.store, RECORD_COMMON, key);
	buf_str(&part, buf_view(&stored->value));
	assert_int_equal(kit_delete(&k, "a", NULL), F_NONE); /* leaves its result */
	assert_true(result_of(&k, row, &r));
	stored = rows_find(&k.store, RECORD_COMMON, key);
	stored->value.n = 0;
	buf_str(&stored->value, buf_view(&part));
	kit_restart_all(&k);
	know(&k, j);
	assert_int_equal(part_called(k.sh, j, 0), row);
	part_answer(k.sh, j, row, &lost, &k.env);
	save(&k, j);
	assert_int_equal(part_called(k.sh, j, 0), TABLE_NONE);
	assert_int_equal(part_find(k.sh, NUMBER)->work->now.failed, 1);
	assert_int_equal(shown(&k, row, &t), TARGET_FAILED);
	assert_true(str_eq(t.device, STR("a")));
	stored = rows_find(&k.store, RECORD_COMMON, result_name(&k, 0, &part));
	assert_null(stored);
	buf_fini(&part);
	end(&k, j);
}

/* A job that is known no more: its results, then its part. */
static void
part__J17_what_a_forgotten_job_has_left_goes(void **state)
{
	char room[HUB_PREFIX_MAX];
	struct str results;
	struct jobs *none;
	struct job *j;
	struct kit k;

	(void)state;
	devices(&k);
	j = begin(&k, PATCHES);
	save(&k, j);
	assert_int_equal(part_forgotten(k.sh, room, &results), 0);
	none = jobs_with(NULL, 0, NULL);
	jobs_know(k.sh, none);
	jobs_unref(none);
	assert_int_equal(part_forgotten(k.sh, room, &results), NUMBER);
	part_forget(k.sh, NUMBER, &k.env);
	kit_commit(&k);
	assert_int_equal(part_forgotten(k.sh, room, &results), 0);
	for (uint32_t i = 0; i < k.store.n; i++)
		assert_false(k.store.v[i].kind == RECORD_COMMON &&
		    !str_starts(buf_view(&k.store.v[i].key), STR("events/")));
	end(&k, j);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(part__J23_results_are_bounded_and_answers_go_without_payload_then),
		cmocka_unit_test(part__J18_who_comes_later_into_a_row_has_no_part_in_it),
		cmocka_unit_test(part__J18_who_is_imported_into_a_row_has_no_part_in_it),
		cmocka_unit_test(part__J20_J21_targets_have_their_turn_in_the_order_of_their_keys),
		cmocka_unit_test(part__J18_who_comes_later_is_no_target),
		cmocka_unit_test(part__J21_a_step_whose_commit_fails_has_not_been),
		cmocka_unit_test(part__J21_it_goes_on_after_a_start_where_it_was),
		cmocka_unit_test(part__J18_a_target_that_goes_leaves_its_result),
		cmocka_unit_test(part__a_target_whose_deletion_fails_has_its_turn),
		cmocka_unit_test(part__J15_J19_who_had_no_turn_when_it_stopped),
		cmocka_unit_test(part__J22_so_many_calls_are_under_way_and_the_next_waits),
		cmocka_unit_test(
		    part__J27_a_lost_call_of_a_device_that_has_gone_leaves_no_result_without_a_name),
		cmocka_unit_test(part__J17_what_a_forgotten_job_has_left_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
