/* What may be asked for as a job: what is wrong is refused at once, and said. */
#include "job_kit.h"

/* What is said of a body; "" if it is taken. */
static const char *
said(struct kit *k, const char *id, const char *body, struct job **out)
{
	static struct fault f;
	struct buf record = { 0 };
	struct op unused = { 0 };
	enum err e;

	f.text[0] = '\0';
	kit_doc(k, body, &unused);
	e = job_encode_new(&record, str_of(id), NUMBER, doc_of(unused.payload), k->env.now_us, &f);
	if (e != ERR_OK) {
		assert_int_equal(f.code, F_ArgumentInvalid);
		assert_int_equal(record.n, 0);
		assert_true(f.text[0] != '\0');
	} else if (out != NULL) {
		assert_int_equal(job_new(buf_view(&record), out), ERR_OK);
	}
	buf_fini(&record);
	return f.text;
}

#define TWIN(more) "{'type':'scheduleUpdateTwin','queryCondition':'*'," more "}"
#define TAGS       "'updateTwin':{'etag':'*','tags':{'a':1}}"
#define METHOD(m)  "{'type':'scheduleDeviceMethod','queryCondition':'*','cloudToDeviceMethod':" m "}"

static void
check__J04_J05_J06_J08_what_is_wrong_is_refused_and_named(void **state)
{
	static const struct {
		const char *id, *body, *says; /* says: how it begins */
	} cases[] = {
		{ "j", "[]", "the body is not a JSON object" },
		{ "query", TWIN(TAGS), "no job can be named query" },
		{ "j", TWIN("'jobId':'k'," TAGS),
		    "jobId in the body is not the one of the path, j" },
		{ "j", "{'queryCondition':'*'," TAGS "}",
		    "type is none of scheduleUpdateTwin, scheduleDeviceMethod, "
		    "scheduleDeviceMessage" },
		{ "j", "{'type':'export','queryCondition':'*'," TAGS "}", "type is none of" },
		{ "j", TWIN(TAGS ",'cloudToDeviceMethod':{'methodName':'m'}"),
		    "cloudToDeviceMethod does not belong to a job of type scheduleUpdateTwin" },
		{ "j", TWIN("'updateTwin':1"), "updateTwin is not an object" },
		{ "j", TWIN("'updateTwin':{'tags':{'a':1}}"), "the ETag of updateTwin is missing" },
		{ "j", TWIN("'updateTwin':{'etag':'AAE=','tags':{'a':1}}"),
		    "the ETag of updateTwin" },
		{ "j", TWIN("'updateTwin':{'etag':'*','properties':1}"),
		    "updateTwin.properties is not an object" },
		{ "j", TWIN("'updateTwin':{'etag':'*','tag':{'a':1}}"), "updateTwin." },
		{ "j", TWIN("'updateTwin':{'etag':'*','tags':{'$a':1}}"), "" },
		{ "j", METHOD("1"), "cloudToDeviceMethod is not an object" },
		{ "j", METHOD("{}"), "the body has no methodName" },
		{ "j", METHOD("{'methodName':'m','responseTimeoutInSeconds':4}"),
		    "responseTimeoutInSeconds is not a number from 5 to 300" },
		{ "j", METHOD("{'methodName':'m','connectTimeoutInSeconds':301}"),
		    "connectTimeoutInSeconds is not a number from 0 to 300" },
		{ "j", "{'type':'scheduleUpdateTwin'," TAGS "}", "queryCondition is not a string" },
		{ "j", "{'type':'scheduleUpdateTwin','queryCondition':''," TAGS "}",
		    "queryCondition is empty, all devices are '*'" },
		{ "j", "{'type':'scheduleUpdateTwin','queryCondition':'tags.a ='," TAGS "}", "" },
		{ "j", TWIN("'startTime':'tomorrow'," TAGS), "startTime is not a time like" },
		{ "j", TWIN("'startTime':1," TAGS), "startTime is not a time like" },
		{ "j", TWIN("'maxExecutionTimeInSeconds':0," TAGS),
		    "maxExecutionTimeInSeconds is not an integer from 1 to 2147483647" },
		{ "j", TWIN("'maxUpdatesPerSecond':1000001," TAGS),
		    "maxUpdatesPerSecond is not an integer from 1 to 1000000" },
	};
	struct kit k;

	(void)state;
	kit_init(&k);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = said(&k, cases[i].id, cases[i].body, NULL);

		if (text[0] == '\0')
			fail_msg("taken: %s", cases[i].body);
		if (strncmp(text, cases[i].says, strlen(cases[i].says)) != 0)
			fail_msg("%s: \"%s\"", cases[i].body, text);
	}
	kit_fini(&k);
}

static void
check__J04_what_is_left_out_has_its_default(void **state)
{
	struct job *j;
	struct kit k;

	(void)state;
	kit_init(&k);
	/* as some clients write no time; the type in any case */
	assert_string_equal(said(&k, "j",
	                        "{'jobId':'j','type':'SCHEDULEUPDATETWIN','queryCondition':'*',"
	                        "'startTime':'0001-01-01T00:00:00Z'," TAGS "}",
	                        &j),
	    "");
	assert_int_equal(j->type, JOB_TWIN);
	assert_true(j->start_us == k.env.now_us && j->created_us == k.env.now_us);
	assert_int_equal(j->max_s, JOB_SECONDS);
	assert_int_equal(j->rate, 0);
	assert_int_equal(j->state.status, JOB_QUEUED);
	job_unref(j);
	assert_string_equal(said(&k, "j", METHOD("{'methodName':'m','payload':null}"), &j), "");
	assert_int_equal(j->response_s, METHOD_RESPONSE_S);
	assert_int_equal(j->connect_s, 0);
	assert_true(str_eq(j->payload, STR("null")));
	job_unref(j);
	kit_fini(&k);
}

static void
check__a_job_has_a_largest_size(void **state)
{
	struct buf body = { 0 };
	struct kit k;

	(void)state;
	kit_init(&k);
	buf_cstr(&body, "{'type':'scheduleDeviceMethod','queryCondition':'*','x':'");
	while (body.n < JOB_SIZE_MAX)
		buf_putc(&body, 'x');
	buf_cstr(&body, "','cloudToDeviceMethod':{'methodName':'m'}}");
	buf_putc(&body, '\0');
	assert_non_null(strstr(said(&k, "j", body.p, NULL), "bytes, the limit is 262144"));
	buf_fini(&body);
	kit_fini(&k);
}

/* What is stored is read back as it was, in each state; what is cut is no job. */
static void
job__J04_a_record_says_all_of_it(void **state)
{
	static const struct job_state states[] = {
		{ .status = JOB_SCHEDULED },
		{ .status = JOB_RUNNING, .began_us = BEGIN },
		{ .status = JOB_FAILED,
		    .stop = JOB_STOP_FAILED,
		    .settled = true,
		    .began_us = BEGIN,
		    .stopped_us = BEGIN + 1,
		    .end_us = BEGIN + 2,
		    .counts = { 5, 2, 3, 0, 77 },
		    .failure = { "why", 3 } },
	};
	struct kit k;

	(void)state;
	kit_init(&k);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct job *j = job_in(&k, PATCHES, &states[i]), *cut;
		const struct job_state *s = &j->state;

		assert_true(s->status == states[i].status && s->stop == states[i].stop &&
		    s->settled == states[i].settled && s->end_us == states[i].end_us);
		assert_memory_equal(&s->counts, &states[i].counts, sizeof(s->counts));
		assert_true(str_eq(s->failure, states[i].failure));
		assert_int_equal(job_active(j), states[i].began_us != 0 && !states[i].settled);
		for (size_t n = 0; n < j->record.n; n++)
			assert_int_equal(
			    job_new((struct str){ j->record.p, n }, &cut), ERR_CORRUPT);
		job_unref(j);
	}
	kit_fini(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check__J04_J05_J06_J08_what_is_wrong_is_refused_and_named),
		cmocka_unit_test(check__J04_what_is_left_out_has_its_default),
		cmocka_unit_test(check__a_job_has_a_largest_size),
		cmocka_unit_test(job__J04_a_record_says_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
