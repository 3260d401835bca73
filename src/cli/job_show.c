/* job show: how far a job is. JSON as the hub has it, or a view with bars for people. */
#include "cli/priv.h"

#include <stdio.h>

struct showing {
	const struct args *args;
	struct target target;
	struct buf path;
	struct watch watch;
};

static uint64_t
count_of(struct doc job, struct str name)
{
	struct doc d = doc_get(doc_getc(job, "deviceJobStatistics"), name);

	return doc_kind(d) == DOC_INT && doc_int(d) > 0 ? (uint64_t)doc_int(d) : 0;
}

static bool
status_is(struct doc job, struct str status)
{
	return str_eq(doc_str(doc_getc(job, "status")), status);
}

static bool
has_ended(struct doc job)
{
	return status_is(job, STR("completed")) || status_is(job, STR("failed")) ||
	    status_is(job, STR("cancelled"));
}

/* ---- the view, part by part ---- */

static void
put_when_given(struct view *v, const char *label, struct doc value)
{
	if (doc_defined(value))
		view_line(v, label, value);
}

static void
put_times(struct view *v, struct doc job)
{
	view_time(v, "created", doc_getc(job, "createdTime"));
	view_time(v, "start", doc_getc(job, "startTime"));
	view_time(v, "end", doc_getc(job, "endTime"));
}

static void
put_seconds(struct view *v, const char *label, struct doc seconds)
{
	struct buf text = { 0 };

	cell_text(&text, seconds, UINT32_MAX);
	buf_cstr(&text, " s");
	view_text(v, label, buf_view(&text));
	buf_fini(&text);
}

static void
put_counts(struct view *v, struct doc job)
{
	static const struct {
		const char *label;
		struct str name;
	} counts[] = { { "succeeded", { "succeededCount", 14 } },
		{ "failed", { "failedCount", 11 } }, { "running", { "runningCount", 12 } },
		{ "pending", { "pendingCount", 12 } } };
	uint64_t all = count_of(job, STR("deviceCount"));

	view_line(v, "devices", doc_getc(doc_getc(job, "deviceJobStatistics"), "deviceCount"));
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		view_bar(v, str_of(counts[i].label), count_of(job, counts[i].name), all);
}

static void
job_view(struct view *v, struct doc job)
{
	struct doc twin = doc_getc(job, "updateTwin"),
	           method = doc_getc(job, "cloudToDeviceMethod"),
	           message = doc_getc(job, "cloudToDeviceMessage");

	view_line(v, "id", doc_getc(job, "jobId"));
	view_line(v, "type", doc_getc(job, "type"));
	view_line(v, "status", doc_getc(job, "status"));
	put_when_given(v, "reason", doc_getc(job, "failureReason"));
	put_when_given(v, "message", doc_getc(job, "statusMessage"));
	view_line(v, "condition", doc_getc(job, "queryCondition"));
	put_times(v, job);
	put_seconds(v, "max. time", doc_getc(job, "maxExecutionTimeInSeconds"));
	put_when_given(v, "per second", doc_getc(job, "maxUpdatesPerSecond"));
	view_empty_line(v);
	put_counts(v, job);
	view_empty_line(v);
	if (doc_defined(twin))
		view_block(v, "change", twin);
	if (doc_defined(method))
		view_block(v, "method", method);
	if (doc_defined(message))
		view_block(v, "sends", message);
}

void
job_print(const struct args *a, struct doc job)
{
	struct view v = { 0 };

	if (output_json(a)) {
		show_record(a, job);
		return;
	}
	job_view(&v, job);
	view_print(&v);
	view_fini(&v);
}

/* ---- once, or until it has ended ---- */

/* J-16: completed is no success when some have failed. */
static int
outcome(struct doc job)
{
	uint64_t failed = count_of(job, STR("failedCount"));

	if (!status_is(job, STR("completed")))
		return cli_fail(EXIT_FAILED, "the job " STR_FMT " is " STR_FMT,
		    STR_ARG(doc_str(doc_getc(job, "jobId"))),
		    STR_ARG(doc_str(doc_getc(job, "status"))));
	if (failed > 0)
		return cli_fail(EXIT_FAILED, "the job " STR_FMT " failed on %llu of %llu devices",
		    STR_ARG(doc_str(doc_getc(job, "jobId"))), (unsigned long long)failed,
		    (unsigned long long)count_of(job, STR("deviceCount")));
	return EXIT_DONE;
}

static int
round_run(void *ctx)
{
	struct showing *s = ctx;
	struct answer answer = { 0 };
	struct doc job;
	int code = hub_call(&s->target, &(struct ask){ .method = GET, .path = s->path.p }, &answer);

	if (code == EXIT_DONE) {
		job = doc_of(buf_view(&answer.doc));
		watch_open(&s->watch, !output_json(s->args));
		job_print(s->args, job);
		s->watch.reached = s->watch.goal && has_ended(job);
		if (s->watch.reached)
			code = outcome(job);
	}
	answer_fini(&answer);
	return code;
}

int
cli_job_show(const struct args *a)
{
	struct showing s = { .args = a, .watch = { .every_s = a->number[OPT_WATCH] } };
	int code;

	s.watch.goal = s.watch.every_s > 0;
	if (job_path(&s.path, a->operand[0], "") != EXIT_DONE)
		return EXIT_USAGE;
	code = target_open(a, &s.target);
	if (code == EXIT_DONE)
		code = watch_run(&s.watch, round_run, &s);
	target_fini(&s.target);
	buf_fini(&s.path);
	return code;
}
