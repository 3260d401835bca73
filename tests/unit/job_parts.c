/* A shard's part of a job: what becomes of results whose room is over, and of rows that somebody else has by then. */
#include "job/parts.h"

#define KIT_FEATURES &job_feature
#include "hub_kit.h"

#define NUMBER 7u

/* A running job of every row of the shard; in the order of their keys. */
static struct job *
begin(struct kit *k, const char *body)
{
	struct job_state running = { .status = JOB_RUNNING, .began_us = k->env.now_us };
	struct buf record = { 0 }, moved = { 0 };
	struct rowset rows = { 0 };
	struct op unused = { 0 };
	struct jobs *set;
	struct fault f = { 0 };
	struct job *j, *now;

	kit_doc(k, body, &unused);
	if (job_encode_new(&record, STR("j"), NUMBER, doc_of(unused.payload), k->env.now_us, &f) !=
	    ERR_OK)
		fail_msg("%s", f.text);
	assert_int_equal(job_new(buf_view(&record), &j), ERR_OK);
	job_encode(&moved, j, &running);
	assert_int_equal(job_new(buf_view(&moved), &now), ERR_OK);
	set = jobs_with(NULL, NUMBER, now);
	shard_jobs_know(k->sh, set);
	for (uint32_t r = 0; r < k->sh->nrow; r++)
		rowset_add(&rows, r);
	shard_job_targets(k->sh, now, &rows, &k->env);
	shard_job_order(k->sh, now, 1000);
	rowset_fini(&rows);
	jobs_unref(set);
	job_unref(j);
	buf_fini(&record);
	buf_fini(&moved);
	return now;
}

static void
end(struct kit *k, struct job *j)
{
	job_unref(j);
	kit_fini(k);
}

static void
save(struct kit *k, const struct job *j)
{
	struct job_report r;

	if (shard_job_save(k->sh, j, &k->env, &r))
		shard_job_committed(k->sh, &r);
	kit_commit(k);
}

/* The result's own record; false: there is none. */
static bool
result_of(struct kit *k, uint32_t row, struct job_result *out)
{
	struct buf key = { 0 };
	struct kit_row *r;

	result_key(&key, k->sh->index, NUMBER, row);
	r = rows_find(&k->store, RECORD_COMMON, buf_view(&key));
	buf_fini(&key);
	return r != NULL && result_decode(buf_view(&r->value), out);
}

/* ---- tests ---- */

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
	j = begin(&k,
	    "{'type':'scheduleDeviceMethod','queryCondition':'*','cloudToDeviceMethod':{'"
	    "methodName'"
	    ":'m','connectTimeoutInSeconds':9}}");
	for (int i = 0; i < 2; i++) {
		uint32_t row = shard_job_row(k.sh, j, &records);

		assert_true(shard_job_step(k.sh, j, false, &k.env));
		if (i == 1) /* as if so many had answered; the last one does not fit any more */
			part_find(k.sh, NUMBER)->work->now.bytes =
			    JOB_PART_BYTES_MAX - sizeof(doc) + 1;
		shard_job_answer(k.sh, j, row, &a, &k.env);
		save(&k, j);
		assert_true(result_of(&k, row, &r));
		assert_int_equal(r.kind, RESULT_RESPONSE);
		assert_int_equal(r.status, 200);
		assert_int_equal(doc_kind(doc_of(r.payload)), i == 0 ? DOC_STRING : DOC_NULL);
	}
	end(&k, j);
}

#define PATCHES                                                                                    \
	"{'type':'scheduleUpdateTwin','queryCondition':'*','updateTwin':{'etag':'*','tags':{'a':"  \
	"1}}}"

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
	assert_int_equal(shard_job_row(k->sh, j, &records), *row);
	assert_false(shard_job_step(k->sh, j, false, &k->env));
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(part__J23_results_are_bounded_and_answers_go_without_payload_then),
		cmocka_unit_test(part__J18_who_comes_later_into_a_row_has_no_part_in_it),
		cmocka_unit_test(part__J18_who_is_imported_into_a_row_has_no_part_in_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
