/* Jobs and what has come of their targets as text, to the byte: who parses it by hand has seen it so. */
#include "job_kit.h"

static void
assert_shows(const struct query_row_ops *ops, const void *row, const char *want)
{
	struct buf json = { 0 };

	ops->write_document(row, &json);
	kit_quotes(&json, '"', '\'');
	buf_putc(&json, '\0');
	assert_string_equal(json.p, want);
	buf_fini(&json);
}

static void
job_shows(struct kit *k, const char *body, const struct job_state *state,
    const struct job_counts *counts, const char *want)
{
	struct hub_job row = { .job = job_in(k, body, state), .counts = *counts };

	assert_shows(&hub_job_ops, &row, want);
	job_unref((struct job *)row.job);
}

static void
job__text_of_each_kind(void **state)
{
	struct job_state ended = { .status = JOB_FAILED,
		.began_us = BEGIN,
		.end_us = BEGIN + 7 * SECOND,
		.failure = STR("a \"word\"") };
	struct kit k;

	(void)state;
	kit_init(&k);
	job_shows(&k,
	    "{'type':'scheduleUpdateTwin','queryCondition':'tags.a = 1','updateTwin':{'etag':"
	    "'*','tags':{'a':1.0,'b':null}},'maxUpdatesPerSecond':5}",
	    &(struct job_state){ .status = JOB_RUNNING, .began_us = BEGIN },
	    &(struct job_counts){ .devices = 9, .succeeded = 1, .failed = 2, .running = 3 },
	    "{'jobId':'j','queryCondition':'tags.a = 1','createdTime':'2024-01-01T00:00:00.000000"
	    "0Z','startTime':'2024-01-01T00:00:00.0000000Z','maxExecutionTimeInSeconds':3600,'max"
	    "UpdatesPerSecond':5,'type':'scheduleUpdateTwin','updateTwin':{'etag':'*','tags':{'a'"
	    ":1.0,'b':null}},'status':'running','deviceJobStatistics':{'deviceCount':9,'failedCou"
	    "nt':2,'succeededCount':1,'runningCount':3,'pendingCount':3}}");
	job_shows(&k,
	    "{'type':'scheduleDeviceMethod','queryCondition':'*','startTime':'2024-01-01T01:00:00Z'"
	    ",'maxExecutionTimeInSeconds':7,'cloudToDeviceMethod':{'methodName':'m','payload':[]}}",
	    &ended, &(struct job_counts){ .devices = 9, .succeeded = 1 },
	    "{'jobId':'j','queryCondition':'*','createdTime':'2024-01-01T00:00:00.0000000Z','star"
	    "tTime':'2024-01-01T01:00:00.0000000Z','endTime':'2024-01-01T00:00:07.0000000Z','maxE"
	    "xecutionTimeInSeconds':7,'type':'scheduleDeviceMethod','cloudToDeviceMethod':{'metho"
	    "dName':'m','payload':[]},'status':'failed','failureReason':'a \\'word\\'','deviceJob"
	    "Statistics':{'deviceCount':9,'failedCount':0,'succeededCount':1,'runningCount':0,'pe"
	    "ndingCount':0}}");
	kit_fini(&k);
}

static void
target__J26_text_of_each_status(void **state)
{
	struct job_state running = { .status = JOB_RUNNING, .began_us = BEGIN };
	struct buf answer = { 0 };
	struct hub_target t = { .device = STR("d"), .status = TARGET_PENDING };
	struct doc_writer dw;
	struct job *j;
	struct kit k;

	(void)state;
	kit_init(&k);
	t.job = j = job_in(&k, PATCHES, &running);
	assert_shows(&hub_target_ops, &t,
	    "{'deviceId':'d','jobId':'j','jobType':'scheduleUpdateTwin','status':'pending','creat"
	    "edDateTimeUtc':'2024-01-01T00:00:00.0000000Z'}");
	t.status = TARGET_RUNNING;
	t.began_us = t.updated_us = BEGIN + 1;
	t.module = STR("m");
	assert_shows(&hub_target_ops, &t,
	    "{'deviceId':'d','moduleId':'m','jobId':'j','jobType':'scheduleUpdateTwin','status':'"
	    "running','startTimeUtc':'2024-01-01T00:00:00.0000010Z','createdDateTimeUtc':'2024-01"
	    "-01T00:00:00.0000000Z','lastUpdatedDateTimeUtc':'2024-01-01T00:00:00.0000010Z'}");
	t.status = TARGET_COMPLETED;
	t.ended_us = t.updated_us = BEGIN + SECOND;
	assert_shows(&hub_target_ops, &t,
	    "{'deviceId':'d','moduleId':'m','jobId':'j','jobType':'scheduleUpdateTwin','status':'"
	    "completed','startTimeUtc':'2024-01-01T00:00:00.0000010Z','endTimeUtc':'2024-01-01T00"
	    ":00:01.0000000Z','createdDateTimeUtc':'2024-01-01T00:00:00.0000000Z','lastUpdatedDat"
	    "eTimeUtc':'2024-01-01T00:00:01.0000000Z','outcome':{'deviceMethodResponse':null}}");
	doc_writer_init(&dw, &answer, 0);
	doc_put_null(&dw, 0);
	t.answered = true;
	t.answer_status = -200;
	t.answer = doc_of(buf_view(&answer));
	assert_shows(&hub_target_ops, &t,
	    "{'deviceId':'d','moduleId':'m','jobId':'j','jobType':'scheduleUpdateTwin','status':'"
	    "completed','startTimeUtc':'2024-01-01T00:00:00.0000010Z','endTimeUtc':'2024-01-01T00"
	    ":00:01.0000000Z','createdDateTimeUtc':'2024-01-01T00:00:00.0000000Z','lastUpdatedDat"
	    "eTimeUtc':'2024-01-01T00:00:01.0000000Z','outcome':{'deviceMethodResponse':{'status'"
	    ":-200,'payload':null}}}");
	t.status = TARGET_CANCELED;
	assert_shows(&hub_target_ops, &t,
	    "{'deviceId':'d','moduleId':'m','jobId':'j','jobType':'scheduleUpdateTwin','status':'"
	    "canceled','startTimeUtc':'2024-01-01T00:00:00.0000010Z','endTimeUtc':'2024-01-01T00:"
	    "00:01.0000000Z','createdDateTimeUtc':'2024-01-01T00:00:00.0000000Z','lastUpdatedDate"
	    "TimeUtc':'2024-01-01T00:00:01.0000000Z'}");
	t.status = TARGET_FAILED;
	t.code = STR("DeviceNotFound");
	t.text = STR("the \"device\"");
	assert_shows(&hub_target_ops, &t,
	    "{'deviceId':'d','moduleId':'m','jobId':'j','jobType':'scheduleUpdateTwin','status':'"
	    "failed','startTimeUtc':'2024-01-01T00:00:00.0000010Z','endTimeUtc':'2024-01-01T00:00"
	    ":01.0000000Z','createdDateTimeUtc':'2024-01-01T00:00:00.0000000Z','lastUpdatedDateTi"
	    "meUtc':'2024-01-01T00:00:01.0000000Z','error':{'code':'DeviceNotFound','description'"
	    ":'the \\'device\\''}}");
	buf_fini(&answer);
	job_unref(j);
	kit_fini(&k);
}

/* What a query reads is what is shown. */
static void
members_agree(const struct query_row_ops *ops, const void *row)
{
	static const char *const names[] = {
#define X(id, name, ...) #name,
		QUERY_ROOTS(X)
#undef X
	};
	struct doc_parser *ps = doc_parser_new(1 << 20);
	struct buf json = { 0 }, doc = { 0 }, scratch = { 0 };

	ops->write_document(row, &json);
	assert_int_equal(doc_parse(ps, buf_view(&json), &doc, NULL, NULL), ERR_OK);
	for (int i = 0; i < QUERY_ROOT_COUNT; i++) {
		struct doc v, shown = doc_get(doc_of(buf_view(&doc)), str_of(names[i]));

		scratch.n = 0;
		v = ops->root(row, (enum query_root)i, &scratch);
		assert_int_equal(doc_defined(v), doc_defined(shown));
		assert_true(!doc_defined(v) || doc_equal(v, shown));
	}
	buf_fini(&json);
	buf_fini(&doc);
	buf_fini(&scratch);
	doc_parser_free(ps);
}

static void
root__J26_is_what_is_shown(void **state)
{
	struct job_state s = { .status = JOB_COMPLETED, .began_us = BEGIN, .end_us = BEGIN };
	struct hub_target t = { .device = STR("d"),
		.module = STR("m"),
		.began_us = BEGIN,
		.ended_us = BEGIN,
		.updated_us = BEGIN,
		.code = STR("c"),
		.text = STR("t") };
	struct hub_job row = { 0 };
	struct kit k;

	(void)state;
	kit_init(&k);
	t.job = row.job = job_in(&k, CALLS, &s);
	members_agree(&hub_job_ops, &row);
	for (int i = 0; i < TARGET_STATUSES; i++) {
		t.status = (enum target_status)i;
		members_agree(&hub_target_ops, &t);
	}
	job_unref((struct job *)row.job);
	kit_fini(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(job__text_of_each_kind),
		cmocka_unit_test(target__J26_text_of_each_status),
		cmocka_unit_test(root__J26_is_what_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
