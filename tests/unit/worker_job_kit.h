/* For the tests of jobs in a fleet: asking for them, and waiting for what they say. */
#ifndef WORKER_JOB_KIT_H
#define WORKER_JOB_KIT_H

#include "worker_kit.h"

static UNUSED struct work *
job_work(struct kit *k, enum op_kind kind, const char *id, const char *json)
{
	struct work *w = kit_work(k, kind, "", json);

	w->op.name = work_str(w, str_of(id));
	return w;
}

static UNUSED const char *
body(const char *condition, const char *more)
{
	static char text[512];

	snprintf(text, sizeof(text),
	    "{'type':'scheduleUpdateTwin','queryCondition':'%s'%s,'updateTwin':{'etag':'*','"
	    "properties':{'desired':{'a':1}}}}",
	    condition, more);
	return text;
}

static UNUSED void
ask(struct kit *k, const char *id, const char *json)
{
	while (kit_do_work(k, job_work(k, OP_JOB_PUT, id, json)) != F_NONE)
		assert_int_equal(
		    k->reply.fault.code, F_ServiceUnavailable); /* the disk has just failed */
}

/* Until the job says so. */
static UNUSED void
until(struct kit *k, const char *id, const char *part)
{
	for (int64_t since_us = clock_mono_us();;) {
		if (kit_do_work(k, job_work(k, OP_JOB_GET, id, NULL)) == F_NONE &&
		    kit_says(k, part))
			return;
		kit_again(since_us, part);
	}
}

/* Like until, with what the job has done so far: at least this much. */
static UNUSED void
until_done(struct kit *k, const char *id, unsigned least)
{
	for (int64_t since_us = clock_mono_us();;) {
		const char *at;

		/* An answer goes down with a commit that it may have seen. */
		if (kit_do_work(k, job_work(k, OP_JOB_GET, id, NULL)) != F_NONE) {
			assert_int_equal(k->reply.fault.code, F_ServiceUnavailable);
			kit_again(since_us, "an answer");
			continue;
		}
		(void)kit_says(k, "");
		at = strstr(k->text.p, "'succeededCount':");
		assert_non_null(at);
		if (strtoul(at + 17, NULL, 10) >= least)
			return;
		kit_again(since_us, "so many have succeeded");
	}
}

static UNUSED void
counts(struct kit *k, const char *query, unsigned want)
{
	struct tour *w = kit_tour(k, query, 100);

	query_task_of(w->task)->count = true;
	w = kit_do_tour(k, w);
	assert_int_equal(w->task->fault.code, F_NONE);
	assert_int_equal(w->task->bookmark.delivered, want);
}

#endif
