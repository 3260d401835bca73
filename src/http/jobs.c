/* Jobs (service-rest.md 11): asked for, read and cancelled. What they do is the workers' affair. */
#include "http/priv.h"
#include "transfer/transfer.h"

#include <stdio.h>

static void
done_job(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_json(r, 200, buf_view(&w->reply.body));
	work_free(w);
}

static struct work *
job_work(struct request *r, enum op_kind kind, size_t room)
{
	return named_work(r, kind, r->segment[2], room, done_job);
}

static void
job_put(struct request *r, uint32_t nduplicate)
{
	struct str body = buf_view(&r->hl->doc);
	struct buf told = { 0 }, unique = { 0 };
	struct work *w;

	doc_put_unique(&unique, doc_of(body));
	told_member(&told, doc_of(buf_view(&unique)), "type");
	w = job_work(r, OP_JOB_PUT, body.n + told.n);
	w->op.payload = work_str(w, body);
	w->op.told = work_str(w, buf_view(&told));
	w->op.nduplicate = nduplicate;
	request_submit(r, w);
	buf_fini(&told), buf_fini(&unique);
}

/* dryRun=true: nothing is to be done. False: the request has been answered. */
static bool
takes_dry_run(struct request *r, bool *dry)
{
	struct fault f = { 0 };

	if (request_flag(r, "dryRun", dry, &f) == ERR_OK)
		return true;
	reply_fault(r, &f);
	return false;
}

static void
try_job(struct request *r, uint32_t nduplicate)
{
	struct buf unique = { 0 };

	doc_put_unique(&unique, doc_of(buf_view(&r->hl->doc)));
	job_dry_run(r, nduplicate > 0 ? doc_of(buf_view(&unique)) : doc_of(buf_view(&r->hl->doc)));
	buf_fini(&unique);
}

static void
job_body(struct request *r, bool dry)
{
	struct doc_parsed info;
	struct doc body;

	if (!request_doc(r, &body_job, &info))
		return;
	body = doc_of(buf_view(&r->hl->doc));
	warn_body(r, "", body, &body_job);
	warn_condition(r, "queryCondition", doc_getc(body, "queryCondition"));
	warn_twin(r, "updateTwin.", doc_getc(body, "updateTwin"));
	if (dry)
		try_job(r, info.nduplicate);
	else
		job_put(r, info.nduplicate);
}

void
on_job_create(struct request *r)
{
	bool dry;

	if (takes_dry_run(r, &dry))
		job_body(r, dry);
}

/* A POST is for dry runs only. */
void
on_job_try(struct request *r)
{
	bool dry;

	if (!takes_dry_run(r, &dry))
		return;
	if (dry)
		job_body(r, true);
	else
		reply_error(
		    r, F_GenericMethodNotAllowed, "a job is made by PUT; POST is for dryRun=true");
}

/* Its id is that of an import or export: R-81 */
static void
reply_unknown(struct request *r)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);

	out_open(&o);
	out_key(&o, "jobId");
	out_str(&o, r->segment[2]);
	out_key(&o, "type");
	out_cstr(&o, "unknown");
	out_key(&o, "status");
	out_cstr(&o, "unknown");
	out_close(&o);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}

void
on_job_read(struct request *r)
{
	if (file_job_write(r->hl->o.file_jobs, r->segment[2], NULL)) {
		reply_unknown(r);
		return;
	}
	request_submit(r, job_work(r, OP_JOB_GET, 0));
}

void
on_job_stop(struct request *r)
{
	request_submit(r, job_work(r, OP_JOB_CANCEL, 0));
}

/* ---- GET /jobs/v2/query (11.4) ---- */

#define NO_JOB (-2) /* known to clients, and here no job is one */

/* Without case, for some clients write the names of their enumerations (J-13). */
static enum err
take_type(struct str text, int *out, struct fault *f)
{
	static const char *const others[] = { "unknown", "export", "import", "backup",
		"readDeviceProperties", "writeDeviceProperties", "updateDeviceConfiguration",
		"rebootDevice", "factoryResetDevice", "firmwareUpdate" };

	*out = -1;
	if (text.n == 0)
		return ERR_OK;
	for (int i = 0; i < (int)JOB_TYPES; i++)
		if (str_ieq(text, str_of(job_type_name((enum job_type)i))))
			*out = i;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (str_ieq(text, str_of(others[i])))
			*out = NO_JOB;
	return *out != -1 ? ERR_OK : fault_set(f, F_ArgumentInvalid, "jobType is none of a job");
}

static enum err
take_status(struct str text, int *out, struct fault *f)
{
	*out = -1;
	if (text.n == 0)
		return ERR_OK;
	for (int i = 0; i < (int)JOB_STATUSES; i++)
		if (str_ieq(text, str_of(job_status_name((enum job_status)i))))
			*out = i;
	if (str_ieq(text, STR("canceled")))
		*out = JOB_CANCELLED;
	else if (str_ieq(text, STR("enqueued")))
		*out = JOB_QUEUED;
	else if (str_ieq(text, STR("unknown")))
		*out = NO_JOB;
	return *out != -1 ? ERR_OK : fault_set(f, F_ArgumentInvalid, "jobStatus is none of a job");
}

/* A header, or the parameter that old clients have instead (J-01). */
static struct str
either(struct request *r, const char *header, const char *param)
{
	struct str v = request_header(r, header);

	return v.n != 0 ? v : request_param(r, param);
}

/* The question, if nothing is wrong with it; else f says what is. */
static struct jobs_task *
list_prepare(struct request *r, struct fault *f)
{
	struct str token = either(r, "x-ms-continuation", "continuationToken"),
	           size = either(r, "x-ms-max-item-count", "pageSize");
	struct jobs_task *t;
	char asked[48];
	int type, status, n;

	if (take_type(request_param(r, "jobType"), &type, f) != ERR_OK ||
	    take_status(request_param(r, "jobStatus"), &status, f) != ERR_OK)
		return NULL;
	n = snprintf(asked, sizeof(asked), "jobs %d %d", type, status);
	r->query_hash = hash_stable((struct str){ asked, (size_t)n });
	snprintf(
	    r->item_type, sizeof(r->item_type), "%s", query_item_type_name(QUERY_JOB_RESPONSE));
	t = jobs_task_new(type, status);
	if (query_page_size(size, &t->task.page->limit, f) == ERR_OK &&
	    (token.n == 0 ||
	        query_token_read(token, r->query_hash, &t->task.bookmark, f) == ERR_OK))
		return t;
	task_free(&t->task);
	return NULL;
}

void
on_jobs_list(struct request *r)
{
	struct fault f = { 0 };
	struct jobs_task *t = list_prepare(r, &f);

	if (t != NULL)
		request_asks(r, request_tour(r, &t->task, done_query));
	else
		reply_fault(r, &f);
}
