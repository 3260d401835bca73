/*
 * Jobs and their results as the API shows them (service-rest.md 11.2) and as the query language sees them: rows of the
 * collections `jobs` and `devices.jobs`. A table each.
 */
#include "job/parts.h"

#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct section *
no_section(const void *row, enum section_kind kind)
{
	(void)row, (void)kind;
	return NULL;
}

/* ---- jobs ---- */

static const struct job *
job_of(const void *row)
{
	return ((const struct hub_job *)row)->job;
}

static void
put_id(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), job_of(row)->id);
}

static void
put_condition(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), job_condition(job_of(row)));
}

static void
put_created(const void *row, const char *name, struct out *o)
{
	out_time(out_key(o, name), job_of(row)->created_us);
}

static void
put_start(const void *row, const char *name, struct out *o)
{
	out_time(out_key(o, name), job_of(row)->start_us);
}

static void
put_end(const void *row, const char *name, struct out *o)
{
	out_some_time(o, name, job_of(row)->state.end_us);
}

static void
put_max(const void *row, const char *name, struct out *o)
{
	out_i64(out_key(o, name), job_of(row)->max_s);
}

static void
put_rate(const void *row, const char *name, struct out *o)
{
	if (job_of(row)->rate != 0)
		out_u64(out_key(o, name), job_of(row)->rate);
}

static void
put_type(const void *row, const char *name, struct out *o)
{
	out_cstr(out_key(o, name), job_type_name(job_of(row)->type));
}

static void
put_patch(const void *row, const char *name, struct out *o)
{
	if (job_of(row)->type == JOB_TWIN)
		out_doc(out_key(o, name), job_of(row)->patch);
}

static void
put_method(const void *row, const char *name, struct out *o)
{
	if (job_of(row)->type == JOB_METHOD)
		out_doc(out_key(o, name), doc_getc(job_of(row)->body, "cloudToDeviceMethod"));
}

static void
put_message(const void *row, const char *name, struct out *o)
{
	if (job_of(row)->type == JOB_MESSAGE)
		out_doc(out_key(o, name), doc_getc(job_of(row)->body, "cloudToDeviceMessage"));
}

static void
put_restore(const void *row, const char *name, struct out *o)
{
	if (job_of(row)->type == JOB_RESTORE)
		out_doc(out_key(o, name), doc_getc(job_of(row)->body, "restoreTwin"));
}

static void
put_status(const void *row, const char *name, struct out *o)
{
	out_cstr(out_key(o, name), job_status_name(job_of(row)->state.status));
}

static void
put_failure(const void *row, const char *name, struct out *o)
{
	out_some_str(o, name, job_of(row)->state.failure);
}

static void
put_counts(const void *row, const char *name, struct out *o)
{
	const struct job_counts *c = &((const struct hub_job *)row)->counts;
	uint64_t waiting = c->devices - c->succeeded - c->failed - c->running;

	out_open(out_key(o, name));
	out_u64(out_key(o, "deviceCount"), c->devices);
	out_u64(out_key(o, "failedCount"), c->failed);
	out_u64(out_key(o, "succeededCount"), c->succeeded);
	out_u64(out_key(o, "runningCount"), c->running);
	out_u64(out_key(o, "pendingCount"), job_ended(job_of(row)) ? 0 : waiting);
	out_close(o);
}

static const struct query_member job_members[] = {
	{ "jobId", QUERY_ROOT_JOB_ID, put_id, 0 },
	{ "queryCondition", QUERY_ROOT_QUERY_CONDITION, put_condition, 0 },
	{ "createdTime", QUERY_ROOT_CREATED_TIME, put_created, 0 },
	{ "startTime", QUERY_ROOT_START_TIME, put_start, 0 },
	{ "endTime", QUERY_ROOT_END_TIME, put_end, 0 },
	{ "maxExecutionTimeInSeconds", QUERY_ROOT_MAX_EXECUTION_TIME, put_max, 0 },
	{ "maxUpdatesPerSecond", QUERY_ROOT_NONE, put_rate, 0 },
	{ "type", QUERY_ROOT_TYPE, put_type, 0 },
	{ "updateTwin", QUERY_ROOT_NONE, put_patch, 0 },
	{ "cloudToDeviceMethod", QUERY_ROOT_NONE, put_method, 0 },
	{ "cloudToDeviceMessage", QUERY_ROOT_NONE, put_message, 0 },
	{ "restoreTwin", QUERY_ROOT_NONE, put_restore, 0 },
	{ "status", QUERY_ROOT_STATUS, put_status, 0 },
	{ "failureReason", QUERY_ROOT_FAILURE_REASON, put_failure, 0 },
	{ "deviceJobStatistics", QUERY_ROOT_NONE, put_counts, 0 },
};

void
hub_job_open(struct hub_job *row, const struct shard *sh, const struct job *j)
{
	row->job = j;
	row->counts = jobs_counts(sh, j);
}

static struct doc
job_root(const void *row, enum query_root root, struct buf *scratch)
{
	return query_member_value(
	    query_member_of(job_members, COUNT(job_members), root), row, scratch);
}

static void
job_document(const void *row, struct buf *json)
{
	struct out o = out_to(json);

	out_open(&o);
	query_members_write(job_members, COUNT(job_members), row, &o);
	out_close(&o);
}

const struct query_row_ops hub_job_ops = { job_root, no_section, job_document };

/* ---- results ---- */

static const struct hub_target *
target_of(const void *row)
{
	return row;
}

static void
put_device(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), target_of(row)->device);
}

static void
put_module(const void *row, const char *name, struct out *o)
{
	out_some_str(o, name, target_of(row)->module);
}

static void
put_target_job(const void *row, const char *name, struct out *o)
{
	out_str(out_key(o, name), target_of(row)->job->id);
}

static void
put_target_type(const void *row, const char *name, struct out *o)
{
	out_cstr(out_key(o, name), job_type_name(target_of(row)->job->type));
}

static void
put_target_status(const void *row, const char *name, struct out *o)
{
	static const char *const names[TARGET_STATUSES] = { "pending", "running", "completed",
		"failed", "canceled" };

	out_cstr(out_key(o, name), names[target_of(row)->status]);
}

static void
put_begun(const void *row, const char *name, struct out *o)
{
	out_some_time(o, name, target_of(row)->began_us);
}

static void
put_ended(const void *row, const char *name, struct out *o)
{
	out_some_time(o, name, target_of(row)->ended_us);
}

static void
put_job_created(const void *row, const char *name, struct out *o)
{
	out_some_time(o, name, target_of(row)->job->created_us);
}

static void
put_updated(const void *row, const char *name, struct out *o)
{
	out_some_time(o, name, target_of(row)->updated_us);
}

/* J-23, J-24. */
static void
put_outcome(const void *row, const char *name, struct out *o)
{
	const struct hub_target *t = row;

	if (t->status != TARGET_COMPLETED)
		return;
	out_open(out_key(o, name));
	out_key(o, "deviceMethodResponse");
	if (!t->answered) {
		out_null(o);
	} else {
		out_open(o);
		out_i64(out_key(o, "status"), t->answer_status);
		out_doc(out_key(o, "payload"), t->answer);
		out_close(o);
	}
	if (t->job->type == JOB_RESTORE) /* J-72 */
		out_bool(out_key(o, "restored"), !t->unchanged);
	out_close(o);
}

static void
put_error(const void *row, const char *name, struct out *o)
{
	if (target_of(row)->status != TARGET_FAILED)
		return;
	out_open(out_key(o, name));
	out_str(out_key(o, "code"), target_of(row)->code);
	out_str(out_key(o, "description"), target_of(row)->text);
	out_close(o);
}

/* In the order of J-26. */
static const struct query_member target_members[] = {
	{ "deviceId", QUERY_ROOT_DEVICE_ID, put_device, 0 },
	{ "moduleId", QUERY_ROOT_MODULE_ID, put_module, 0 },
	{ "jobId", QUERY_ROOT_JOB_ID, put_target_job, 0 },
	{ "jobType", QUERY_ROOT_JOB_TYPE, put_target_type, 0 },
	{ "status", QUERY_ROOT_STATUS, put_target_status, 0 },
	{ "startTimeUtc", QUERY_ROOT_START_TIME_UTC, put_begun, 0 },
	{ "endTimeUtc", QUERY_ROOT_END_TIME_UTC, put_ended, 0 },
	{ "createdDateTimeUtc", QUERY_ROOT_CREATED_UTC, put_job_created, 0 },
	{ "lastUpdatedDateTimeUtc", QUERY_ROOT_LAST_UPDATED_UTC, put_updated, 0 },
	{ "outcome", QUERY_ROOT_OUTCOME, put_outcome, 0 },
	{ "error", QUERY_ROOT_ERROR, put_error, 0 },
};

static struct doc
target_root(const void *row, enum query_root root, struct buf *scratch)
{
	return query_member_value(
	    query_member_of(target_members, COUNT(target_members), root), row, scratch);
}

static void
target_document(const void *row, struct buf *json)
{
	struct out o = out_to(json);

	out_open(&o);
	query_members_write(target_members, COUNT(target_members), row, &o);
	out_close(&o);
}

const struct query_row_ops hub_target_ops = { target_root, no_section, target_document };

/* ---- the targets of a part, in the order of their rows ---- */

struct hub_targets {
	const struct shard *shard;
	const struct job *job;
	const struct job_part *part;
	struct part_state state;
	struct rowset rows;
};

struct hub_targets *
targets_open(const struct shard *sh, uint64_t number)
{
	const struct shard_jobs *js = jobs_of(sh);
	struct hub_targets *ts = xcalloc(1, sizeof(*ts));

	ts->shard = sh;
	for (uint32_t i = part_from(js, number); i < js->npart; i++) {
		ts->part = js->part[i];
		ts->job = jobs_number(js->known, ts->part->number);
		if (ts->job != NULL && ts->part->record != NULL && ts->part->rows != NULL &&
		    part_decode(blob_str(ts->part->record), &ts->state) &&
		    rowset_decode(blob_str(ts->part->rows), &ts->rows))
			return ts;
	}
	targets_close(ts);
	return NULL;
}

void
targets_close(struct hub_targets *ts)
{
	if (ts == NULL)
		return;
	rowset_fini(&ts->rows);
	free(ts);
}

const struct job *
targets_job(const struct hub_targets *ts)
{
	return ts->job;
}

void
targets_key(const struct hub_targets *ts, uint32_t row, struct buf *out)
{
	result_key(out, ts->shard->index, ts->part->number, row);
}

/* What the part alone tells of a target. */
static void
tell_plain(const struct hub_targets *ts, uint32_t row, struct hub_target *t)
{
	const struct part_state *s = &ts->state;
	const struct row *r = row_at(ts->shard, row);
	struct job_result what = { 0 };
	bool stopped = s->ended && s->stop != JOB_GOES_ON,
	     done = (s->ended && !stopped) ||
	    str_cmp(part_cursor_of(r), (struct str){ s->cursor, s->cursor_n }) <= 0;

	t->device = row_device(r);
	t->module = row_module(r);
	t->updated_us = s->moved_us;
	t->began_us = s->began_us;
	t->ended_us = s->moved_us;
	t->status = TARGET_COMPLETED;
	for (uint32_t i = 0; i < s->nflight; i++) {
		if (s->flight[i].row != row)
			continue;
		t->began_us = t->updated_us = s->flight[i].since_us;
		t->ended_us = 0;
		t->status = TARGET_RUNNING;
		return;
	}
	if (done)
		return;
	t->began_us = 0;
	t->ended_us = stopped ? s->moved_us : 0;
	t->status = TARGET_PENDING;
	if (!stopped)
		return;
	result_of_stop(&what, s->stop);
	t->status = what.kind == RESULT_CANCELED ? TARGET_CANCELED : TARGET_FAILED;
	t->code = what.code;
	t->text = what.text;
}

/* From its own record; false: it is damaged. */
static bool
tell_result(struct str bytes, struct hub_target *t)
{
	static const enum target_status statuses[RESULT_KINDS] = { [RESULT_COMPLETED] =
		                                                       TARGET_COMPLETED,
		[RESULT_CANCELED] = TARGET_CANCELED,
		[RESULT_FAILED] = TARGET_FAILED,
		[RESULT_RESPONSE] = TARGET_COMPLETED,
		[RESULT_UNCHANGED] = TARGET_COMPLETED };
	struct job_result r;

	if (!result_decode(bytes, &r))
		return false;
	t->device = r.device;
	t->module = r.module;
	t->began_us = r.began_us;
	t->ended_us = t->updated_us = r.ended_us;
	t->status = statuses[r.kind];
	t->code = r.code;
	t->text = r.text;
	t->answered = r.kind == RESULT_RESPONSE;
	t->unchanged = r.kind == RESULT_UNCHANGED;
	t->answer_status = r.status;
	t->answer = doc_of(r.payload);
	return true;
}

/* The first row at or after `row` that is told by the part. */
static uint32_t
next_plain(const struct hub_targets *ts, uint32_t row)
{
	const struct shard *sh = ts->shard;

	for (row = rowset_next(&ts->rows, row); row < sh->nrow;
	     row = rowset_next(&ts->rows, row + 1))
		if (row_at(sh, row)->id != NULL)
			return row;
	return TABLE_NONE;
}

uint32_t
targets_next(const struct hub_targets *ts, uint32_t row, uint32_t stored_row, struct str stored,
    struct hub_target *t)
{
	struct str fresh = STR_NONE;
	uint32_t fresh_row = part_fresh(ts->part, row, &fresh), at = next_plain(ts, row);

	*t = (struct hub_target){ .job = ts->job };
	at = stored_row < at ? stored_row : at;
	at = fresh_row < at ? fresh_row : at;
	if (at == TABLE_NONE)
		return at;
	if (at != fresh_row && at != stored_row)
		tell_plain(ts, at, t);
	else
		t->damaged = !tell_result(at == fresh_row ? fresh : stored, t);
	return at;
}
