/* Jobs and their results as the query language sees them: rows of the collections `jobs` and `devices.jobs`. */
#include "job/parts.h"

#include <stdlib.h>

/* ---- values, as docs appended to scratch ---- */

static struct doc
value_str(struct buf *scratch, struct str s)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	doc_writer_init(&dw, scratch, 0);
	doc_put_str(&dw, 0, s);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

static struct doc
value_time(struct buf *scratch, int64_t us)
{
	char t[TIME_TEXT_MAX];

	return us == 0 ? DOC_NONE : value_str(scratch, (struct str){ t, time_format(us, t) });
}

static struct doc
value_int(struct buf *scratch, int64_t v)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	doc_writer_init(&dw, scratch, 0);
	doc_put_int(&dw, 0, v);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

/* ---- jobs ---- */

void
hub_job_open(struct hub_job *row, const struct shard *sh, const struct job *j)
{
	row->job = j;
	row->counts = shard_job_counts(sh, j);
}

static struct doc
job_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct job *j = ((const struct hub_job *)row)->job;

	switch (root) {
	case QUERY_ROOT_JOB_ID: return value_str(scratch, j->id);
	case QUERY_ROOT_STATUS: return value_str(scratch, str_of(job_status_name(j->state.status)));
	case QUERY_ROOT_TYPE: return value_str(scratch, str_of(job_type_name(j->type)));
	case QUERY_ROOT_QUERY_CONDITION: return value_str(scratch, job_condition(j));
	case QUERY_ROOT_CREATED_TIME: return value_time(scratch, j->created_us);
	case QUERY_ROOT_START_TIME: return value_time(scratch, j->start_us);
	case QUERY_ROOT_END_TIME: return value_time(scratch, j->state.end_us);
	case QUERY_ROOT_MAX_EXECUTION_TIME: return value_int(scratch, j->max_s);
	case QUERY_ROOT_FAILURE_REASON:
		return j->state.failure.n == 0 ? DOC_NONE : value_str(scratch, j->state.failure);
	default: return DOC_NONE;
	}
}

static const struct section *
no_section(const void *row, enum section_kind kind)
{
	(void)row, (void)kind;
	return NULL;
}

static void
job_document(const void *row, struct buf *json)
{
	const struct hub_job *r = row;

	job_write(json, r->job, &r->counts);
}

const struct query_row_ops hub_job_ops = { job_root, no_section, job_document };

/* ---- results ---- */

static struct str
status_of(const struct hub_target *t)
{
	static const char *const names[TARGET_STATUSES] = { "pending", "running", "completed",
		"failed", "canceled" };

	return str_of(names[t->status]);
}

/* J-23, J-24. DOC_NONE: there is none. */
static struct doc
outcome_of(const struct hub_target *t, struct buf *scratch)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	if (t->status != TARGET_COMPLETED)
		return DOC_NONE;
	doc_writer_init(&dw, scratch, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("deviceMethodResponse"));
	if (!t->answered) {
		doc_put_null(&dw, 0);
	} else {
		doc_begin_object(&dw, 0);
		doc_key(&dw, STR("status"));
		doc_put_int(&dw, 0, t->answer_status);
		doc_key(&dw, STR("payload"));
		doc_put_copy(&dw, 0, t->answer);
		doc_end(&dw);
	}
	doc_end(&dw);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

static struct doc
error_of(const struct hub_target *t, struct buf *scratch)
{
	struct doc_writer dw;
	size_t from = scratch->n;

	if (t->status != TARGET_FAILED)
		return DOC_NONE;
	doc_writer_init(&dw, scratch, 0);
	doc_begin_object(&dw, 0);
	doc_key(&dw, STR("code"));
	doc_put_str(&dw, 0, t->code);
	doc_key(&dw, STR("description"));
	doc_put_str(&dw, 0, t->text);
	doc_end(&dw);
	return doc_of((struct str){ scratch->p + from, scratch->n - from });
}

static struct doc
target_root(const void *row, enum query_root root, struct buf *scratch)
{
	const struct hub_target *t = row;

	switch (root) {
	case QUERY_ROOT_DEVICE_ID: return value_str(scratch, t->device);
	case QUERY_ROOT_MODULE_ID:
		return t->module.n == 0 ? DOC_NONE : value_str(scratch, t->module);
	case QUERY_ROOT_JOB_ID: return value_str(scratch, t->job->id);
	case QUERY_ROOT_JOB_TYPE: return value_str(scratch, str_of(job_type_name(t->job->type)));
	case QUERY_ROOT_STATUS: return value_str(scratch, status_of(t));
	case QUERY_ROOT_START_TIME_UTC: return value_time(scratch, t->began_us);
	case QUERY_ROOT_END_TIME_UTC: return value_time(scratch, t->ended_us);
	case QUERY_ROOT_CREATED_UTC: return value_time(scratch, t->job->created_us);
	case QUERY_ROOT_LAST_UPDATED_UTC: return value_time(scratch, t->updated_us);
	case QUERY_ROOT_OUTCOME: return outcome_of(t, scratch);
	case QUERY_ROOT_ERROR: return error_of(t, scratch);
	default: return DOC_NONE;
	}
}

/* The members in the order of J-26; what is not there is left out. */
static void
target_document(const void *row, struct buf *json)
{
	static const struct {
		enum query_root root;
		const char *name;
	} members[] = { { QUERY_ROOT_DEVICE_ID, "deviceId" }, { QUERY_ROOT_MODULE_ID, "moduleId" },
		{ QUERY_ROOT_JOB_ID, "jobId" }, { QUERY_ROOT_JOB_TYPE, "jobType" },
		{ QUERY_ROOT_STATUS, "status" }, { QUERY_ROOT_START_TIME_UTC, "startTimeUtc" },
		{ QUERY_ROOT_END_TIME_UTC, "endTimeUtc" },
		{ QUERY_ROOT_CREATED_UTC, "createdDateTimeUtc" },
		{ QUERY_ROOT_LAST_UPDATED_UTC, "lastUpdatedDateTimeUtc" },
		{ QUERY_ROOT_OUTCOME, "outcome" }, { QUERY_ROOT_ERROR, "error" } };
	struct buf scratch = { 0 };
	char sep = '{';

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		struct doc v;

		scratch.n = 0;
		v = target_root(row, members[i].root, &scratch);
		if (!doc_defined(v))
			continue;
		buf_printf(json, "%c\"%s\":", sep, members[i].name);
		doc_write_json(json, v);
		sep = ',';
	}
	buf_putc(json, '}');
	buf_fini(&scratch);
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
shard_targets_open(const struct shard *sh, uint64_t number)
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
	shard_targets_close(ts);
	return NULL;
}

void
shard_targets_close(struct hub_targets *ts)
{
	if (ts == NULL)
		return;
	rowset_fini(&ts->rows);
	free(ts);
}

const struct job *
shard_targets_job(const struct hub_targets *ts)
{
	return ts->job;
}

void
shard_targets_key(const struct hub_targets *ts, uint32_t row, struct buf *out)
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
	    str_cmp(part_place(r), (struct str){ s->cursor, s->cursor_n }) <= 0;

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
		[RESULT_RESPONSE] = TARGET_COMPLETED };
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
shard_targets_next(const struct hub_targets *ts, uint32_t row, uint32_t stored_row,
    struct str stored, struct hub_target *t)
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
