/* Jobs (service-rest.md 11): asked for, read and cancelled. What they do is the workers' affair. */
#include "http/priv.h"
#include "transfer/transfer.h"

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
	struct str id = r->segment[2];
	struct work *w = work_new(r->hl->loop, id.n + r->policy.n + room, done_job);

	w->op.kind = kind;
	w->op.actor = ACTOR_POLICY;
	w->op.actor_name = work_str(w, r->policy);
	w->op.name = work_str(w, id);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	return w;
}

void
on_job_create(struct request *r)
{
	struct doc_parsed info;
	struct work *w;

	if (!request_doc(r, &info))
		return;
	w = job_work(r, OP_JOB_PUT, r->hl->doc.n);
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	w->op.nduplicate = info.nduplicate;
	request_submit(r, w);
}

/* Its id is that of an import or export: R-81 */
static void
reply_unknown(struct request *r)
{
	struct buf json = { 0 };

	buf_cstr(&json, "{\"jobId\":");
	doc_write_json_str(&json, r->segment[2]);
	buf_cstr(&json, ",\"type\":\"unknown\",\"status\":\"unknown\"}");
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
