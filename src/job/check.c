/* What may be asked for as a job (J-04 to J-08, J-11): everything that can be known to be wrong is refused at once. */
#include "hub/bodies.h"
#include "hub/hub.h"
#include "job/job.h"

static bool
given(struct doc d)
{
	return doc_defined(d) && doc_kind(d) != DOC_NULL;
}

static enum err
check_id(struct doc body, struct str id, struct fault *f)
{
	struct doc v = doc_getc(body, "jobId");

	/* it could be made, and never be read */
	if (str_ieq(id, STR("query")))
		return fault_set(f, F_ArgumentInvalid,
		    "no job can be named " STR_FMT ", which is the name of their list",
		    STR_ARG(id));
	if (!given(v) || (doc_kind(v) == DOC_STRING && str_eq(doc_str(v), id)))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid,
	    "jobId in the body is not the one of the path, " STR_FMT, STR_ARG(id));
}

static enum err
check_condition(struct doc body, struct fault *f)
{
	struct doc v = doc_getc(body, "queryCondition");
	struct query *q = NULL;
	enum err e;

	if (doc_kind(v) != DOC_STRING)
		return fault_set(f, F_ArgumentInvalid, "queryCondition is not a string");
	if ((e = query_parse_condition(doc_str(v), &q, f)) != ERR_OK)
		return e;
	if (query_facts(q)->nothing)
		e = fault_set(f, F_ArgumentInvalid, "queryCondition is empty, all devices are '*'");
	else
		e = condition_check(q, F_ArgumentInvalid, f);
	query_free(q);
	return e;
}

static enum err
check_number(
    struct doc body, struct str key, int64_t max, int64_t fallback, int64_t *out, struct fault *f)
{
	struct doc v = doc_get(body, key);

	*out = fallback;
	if (!given(v))
		return ERR_OK;
	if (doc_kind(v) != DOC_INT || doc_int(v) < 1 || doc_int(v) > max)
		return fault_set(f, F_ArgumentInvalid, STR_FMT " is not an integer from 1 to %lld",
		    STR_ARG(key), (long long)max);
	*out = doc_int(v);
	return ERR_OK;
}

static enum err
check_start(struct doc body, int64_t now_us, int64_t *out, struct fault *f)
{
	struct doc v = doc_getc(body, "startTime");

	*out = now_us;
	if (!given(v))
		return ERR_OK;
	if (doc_kind(v) != DOC_STRING || !time_parse(doc_str(v), out))
		return fault_set(
		    f, F_ArgumentInvalid, "startTime is not a time like 2030-12-31T23:59:59Z");
	if (*out <= 0) /* 0001-01-01 is how some clients write none */
		*out = now_us;
	return ERR_OK;
}

/* Would an empty section take it? Then each device's own may, if there is room in it. */
static enum err
check_section(struct doc patch, enum section_kind kind, struct fault *f)
{
	struct section_write wr = { .kind = kind, .now_us = 1 };
	struct buf empty = { 0 }, next = { 0 };
	struct section old;
	bool changed;
	enum err e;

	if (!doc_defined(patch))
		return ERR_OK;
	section_new(&empty, 1);
	old = section_of(buf_view(&empty));
	e = section_merge(&old, patch, 0, &wr, &next, NULL, &changed, f);
	buf_fini(&empty);
	buf_fini(&next);
	return e;
}

static enum err
check_twin(struct doc patch, struct fault *f)
{
	struct doc etag = doc_getc(patch, "etag"), properties = doc_getc(patch, "properties");
	struct buf why = { 0 };
	enum err e = ERR_OK;

	if (doc_kind(patch) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "updateTwin is not an object");
	if (doc_kind(etag) != DOC_STRING || !str_eq(doc_str(etag), STR("*")))
		return fault_set(f, F_ArgumentInvalid,
		    "the ETag of updateTwin is missing or invalid for this type of job, it must be "
		    "'*'");
	if (given(properties) && doc_kind(properties) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "updateTwin.properties is not an object");
	if (body_stray(patch, &body_twin, &why))
		e = fault_set(f, F_ArgumentInvalid, "updateTwin." STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	if (e == ERR_OK)
		e = check_section(doc_getc(patch, "tags"), SECTION_TAGS, f);
	return e != ERR_OK ? e : check_section(doc_getc(properties, "desired"), SECTION_DESIRED, f);
}

static enum err
check_method(struct doc method, struct fault *f)
{
	struct method_ask ask;
	struct buf payload = { 0 };
	enum err e;

	if (doc_kind(method) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "cloudToDeviceMethod is not an object");
	e = method_ask_take(method, &ask, &payload, f);
	if (e != ERR_OK && f != NULL)
		f->code = F_ArgumentInvalid; /* J-06: one code for all that is wrong with a job */
	buf_fini(&payload);
	return e;
}

static enum err
check_message(struct doc message, struct fault *f)
{
	struct buf payload = { 0 };
	struct op_message m = { 0 };
	struct fault why;
	uint32_t life_s;
	enum err e = ERR_OK;

	if (doc_kind(message) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "cloudToDeviceMessage is not an object");
	if (message_ask_take(message, &m, &life_s, &payload, &why) != ERR_OK)
		e = fault_set(
		    f, F_ArgumentInvalid, "cloudToDeviceMessage: %s", why.text); /* J-06 */
	buf_fini(&payload);
	return e;
}

/* J-71 */
static enum err
check_restore(struct doc restore, int64_t now_us, struct fault *f)
{
	struct doc at = doc_getc(restore, "at"), v;
	struct doc_iter it;
	struct str key;
	int64_t at_us;

	if (doc_kind(restore) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "restoreTwin is not an object");
	it = doc_iter(restore);
	while (doc_next(&it, &key, &v))
		if (!str_eq(key, STR("at")))
			return fault_set(f, F_ArgumentInvalid,
			    "restoreTwin." STR_FMT " is no member of it, at is", STR_ARG(key));
	if (doc_kind(at) != DOC_STRING || !time_parse(doc_str(at), &at_us))
		return fault_set(
		    f, F_ArgumentInvalid, "restoreTwin.at is not a time like 2026-11-29T10:00:00Z");
	if (at_us > now_us)
		return fault_set(f, F_ArgumentInvalid, "restoreTwin.at is a time to come");
	return ERR_OK;
}

static enum err
check_work(struct doc body, int64_t now_us, struct fault *f)
{
	static enum err (*const check[JOB_TYPES])(struct doc work, struct fault * f) = {
		[JOB_TWIN] = check_twin, [JOB_METHOD] = check_method, [JOB_MESSAGE] = check_message
	};
	struct doc type = doc_getc(body, "type");
	enum job_type t = job_type_find(doc_kind(type) == DOC_STRING ? doc_str(type) : STR_NONE);

	if (t == JOB_TYPES)
		return fault_set(f, F_ArgumentInvalid, "type is none of %s, %s, %s, %s",
		    job_type_name(JOB_TWIN), job_type_name(JOB_METHOD), job_type_name(JOB_MESSAGE),
		    job_type_name(JOB_RESTORE));
	for (unsigned i = 0; i < JOB_TYPES; i++)
		if (i != t && given(doc_get(body, str_of(job_type_member((enum job_type)i)))))
			return fault_set(f, F_ArgumentInvalid,
			    "%s does not belong to a job of type %s",
			    job_type_member((enum job_type)i), job_type_name(t));
	if (t == JOB_RESTORE)
		return check_restore(doc_get(body, str_of(job_type_member(t))), now_us, f);
	return check[t](doc_get(body, str_of(job_type_member(t))), f);
}

enum err
job_encode_new(struct buf *out, struct str id, uint64_t number, struct doc body, int64_t now_us,
    struct fault *f)
{
	struct job j = { .number = number, .id = id, .created_us = now_us, .body = body };
	int64_t rate;
	enum err e;

	if (doc_kind(body) != DOC_OBJECT)
		return fault_set(f, F_ArgumentInvalid, "the body is not a JSON object");
	if (doc_size(body) > JOB_SIZE_MAX)
		return fault_set(f, F_ArgumentInvalid, "the job has %zu bytes, the limit is %u",
		    doc_size(body), JOB_SIZE_MAX);
	if ((e = check_id(body, id, f)) != ERR_OK || (e = check_work(body, now_us, f)) != ERR_OK ||
	    (e = check_condition(body, f)) != ERR_OK ||
	    (e = check_start(body, now_us, &j.start_us, f)) != ERR_OK ||
	    (e = check_number(body, STR("maxExecutionTimeInSeconds"), INT32_MAX, JOB_SECONDS,
	         &j.max_s, f)) != ERR_OK ||
	    (e = check_number(body, STR("maxUpdatesPerSecond"), JOB_RATE_MAX, 0, &rate, f)) !=
	        ERR_OK)
		return e;
	j.rate = (uint32_t)rate;
	job_encode(out, &j, &j.state);
	return ERR_OK;
}
