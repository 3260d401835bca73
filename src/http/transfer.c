/*
 * POST /admin/import and GET /admin/export: what `twinhub import` and `twinhub export` speak to; and import and export jobs
 * (service-rest.md 12). Requests that take their time or touch files have a thread of their own while they are under way;
 * the transport keeps their bodies until the reply.
 */
#include "http/priv.h"

#include <pthread.h>
#include <stdlib.h>

#include "transfer/transfer.h"

#define TRANSFERS_MAX 4u /* at once */
#define NDJSON        "application/x-ndjson; charset=utf-8"

static atomic_uint ntransfer;

struct transfer {
	struct msg msg;
	struct http_loop *hl;
	struct reply_to reply_to;
	enum { TRANSFER_OUT, TRANSFER_IN, TRANSFER_JOB } kind;
	struct fault fault;
	enum err err;
	/* out */
	char *cursor;
	uint32_t nline;
	bool keys;
	struct buf lines, next;
	/* in */
	struct import_options import;
	struct admin_asker asker;
	struct buf told; /* of the log, as a doc */
	struct str body; /* the request's; of a job as a doc, in `doc` */
	struct buf doc, stray;
	char job[FILE_JOB_ID + 1];
};

static void
transfer_free(struct transfer *t)
{
	free(t->cursor);
	admin_asker_fini(&t->asker);
	buf_fini(&t->told);
	buf_fini(&t->lines);
	buf_fini(&t->next);
	buf_fini(&t->doc);
	buf_fini(&t->stray);
	free(t);
	atomic_fetch_sub(&ntransfer, 1);
}

static void
transfer_answer(void *ctx)
{
	struct transfer *t = ctx;
	struct request *r = request_of(t->hl, t->reply_to);

	if (r != NULL && t->err != ERR_OK) {
		reply_fault(r, &t->fault);
	} else if (r != NULL) {
		if (t->next.n > 0) {
			buf_putc(&t->next, '\0');
			add_header(r, "x-ms-continuation", t->next.p);
		}
		if (t->stray.n > 0)
			request_warn(r, "", buf_view(&t->stray));
		body_buf(r, &t->lines);
		reply_body(r, 200, t->kind == TRANSFER_OUT ? NDJSON : NULL);
	}
	transfer_free(t);
}

/* Of an export its first page is told, of an import each request. */
static void
transfer_done(struct msg *m)
{
	static const enum admin_what told[] = { [TRANSFER_OUT] = ADMIN_EXPORT,
		[TRANSFER_IN] = ADMIN_IMPORT,
		[TRANSFER_JOB] = ADMIN_FILE_JOB };
	struct transfer *t = container_of(m, struct transfer, msg);
	struct admin_told what = { told[t->kind], str_of(t->job), buf_view(&t->told) };

	if (t->err != ERR_OK || (t->kind == TRANSFER_OUT && t->cursor[0] != '\0'))
		transfer_answer(t);
	else
		admin_tell(t->hl, &t->asker, &what, t, transfer_answer);
}

/* What the log has of it: an object as a doc. */
static void
told_counts(struct transfer *t, const struct import_result *r)
{
	struct doc_writer dw;
	struct out o;

	doc_writer_init(&dw, &t->told, 0);
	o = out_to_doc(&dw);
	out_open(&o);
	out_u64(out_key(&o, "lines"), r->nline);
	out_u64(out_key(&o, "done"), r->ndone);
	out_u64(out_key(&o, "failed"), r->nfault);
	out_close(&o);
}

static void
told_keys(struct transfer *t)
{
	struct doc_writer dw;
	struct out o;

	doc_writer_init(&dw, &t->told, 0);
	o = out_to_doc(&dw);
	out_open(&o);
	out_bool(out_key(&o, "keys"), t->keys);
	out_close(&o);
}

static void
import_answer(struct transfer *t, const struct import_result *r)
{
	struct out o = out_to(&t->lines);

	out_open(&o);
	out_u64(out_key(&o, "lines"), r->nline);
	out_u64(out_key(&o, "done"), r->ndone);
	out_u64(out_key(&o, "there"), r->nthere);
	out_u64(out_key(&o, "failed"), r->nfault);
	out_list(out_key(&o, "errors"));
	import_faults_put(&o, r);
	out_close(&o);
	out_close(&o);
}

static void
transfer_main(void *arg)
{
	struct transfer *t = arg;
	struct import_result result;

	switch (t->kind) {
	case TRANSFER_OUT:
		t->err = export_page(t->hl->o.store, str_of(t->cursor), t->nline, t->keys,
		    &t->lines, &t->next, &t->fault);
		told_keys(t);
		break;
	case TRANSFER_JOB:
		t->err = file_job_create(t->hl->o.file_jobs, doc_of(buf_view(&t->doc)),
		    str_of(t->asker.actor), t->job, &t->lines, &t->fault);
		told_member(&t->told, doc_of(buf_view(&t->doc)), "type");
		break;
	case TRANSFER_IN:
		t->err = import_lines(&t->import, t->body, &result, &t->fault);
		import_answer(t, &result);
		told_counts(t, &result);
		buf_str(&t->stray, buf_view(&result.stray));
		import_result_fini(&result);
		break;
	}
	t->msg.run = transfer_done;
	loop_post(t->hl->loop, &t->msg);
}

static struct transfer *
transfer_new(struct request *r)
{
	struct transfer *t;

	if (atomic_fetch_add(&ntransfer, 1) >= TRANSFERS_MAX) {
		atomic_fetch_sub(&ntransfer, 1);
		reply_error(r, F_ThrottlingException,
		    "%u requests of imports and exports are under way, the limit", TRANSFERS_MAX);
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->hl = r->hl;
	t->reply_to = request_address(r);
	admin_asker_take(&t->asker, r);
	return t;
}

static void
transfer_start(struct request *r, struct transfer *t)
{
	struct thread thread = { 0 };
	struct fault f;

	if (thread_start(&thread, transfer_main, t, &f, "transfer") == ERR_OK) {
		thread_let_go(&thread);
		return;
	}
	transfer_free(t);
	reply_fault(r, &f);
}

void
on_export(struct request *r)
{
	struct str size = request_header(r, "x-ms-max-item-count");
	uint64_t nline = EXPORT_LINES_MAX;
	struct transfer *t;

	if (size.n != 0 && (!str_u64(size, &nline) || nline == 0)) {
		reply_error(r, F_ArgumentInvalid,
		    "x-ms-max-item-count is not a number from 1 to %u", EXPORT_LINES_MAX);
		return;
	}
	if ((t = transfer_new(r)) == NULL)
		return;
	t->kind = TRANSFER_OUT;
	t->nline = nline < EXPORT_LINES_MAX ? (uint32_t)nline : EXPORT_LINES_MAX;
	t->keys = !str_eq(request_param(r, "keys"), STR("no"));
	t->cursor = str_dup0(request_header(r, "x-ms-continuation"));
	transfer_start(r, t);
}

static bool
take_import(struct request *r, struct import_options *o)
{
	struct str mode = request_param(r, "importMode"), first = request_param(r, "firstLine");

	o->fleet = r->hl->o.fleet;
	o->whole = true;
	o->again = str_eq(request_param(r, "again"), STR("yes"));
	o->strict = str_eq(request_param(r, "strict"), STR("yes"));
	o->mode = mode.n == 0 ? import_mode_default : import_mode_find(mode);
	o->first_line = 1;
	if (o->mode == NULL)
		reply_error(r, F_ArgumentInvalid, "importMode is none of those that there are");
	else if (first.n != 0 && !str_u64(first, &o->first_line))
		reply_error(r, F_ArgumentInvalid, "firstLine is not a number");
	else if (r->ask.body.n == 0)
		reply_error(r, F_ArgumentNull, "BadRequest: the request has no body");
	else
		return true;
	return false;
}

void
on_import(struct request *r)
{
	struct import_options o = { 0 };
	struct transfer *t;

	if (!take_import(r, &o) || (t = transfer_new(r)) == NULL)
		return;
	t->kind = TRANSFER_IN;
	o.actor = str_of(t->asker.actor);
	t->import = o;
	t->body = r->ask.body;
	transfer_start(r, t);
}

/* ---- jobs ---- */

void
on_file_job_create(struct request *r)
{
	struct doc_parsed info;
	struct transfer *t;

	if (!request_doc(r, &body_file_job, &info) || (t = transfer_new(r)) == NULL)
		return;
	t->kind = TRANSFER_JOB;
	doc_put_unique(&t->doc, doc_of(buf_view(&r->hl->doc)));
	transfer_start(r, t);
}

void
on_file_jobs_list(struct request *r)
{
	struct buf json = { 0 };

	file_jobs_write(r->hl->o.file_jobs, &json);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}

static void
no_such_job(struct request *r)
{
	reply_error(r, F_JobNotFound, "there is no job " STR_FMT, STR_ARG(r->segment[1]));
}

void
on_file_job_read(struct request *r)
{
	struct buf json = { 0 };

	if (file_job_write(r->hl->o.file_jobs, r->segment[1], &json))
		reply_json(r, 200, buf_view(&json));
	else
		no_such_job(r);
	buf_fini(&json);
}

/* A cancel on its way into the log. */
struct cancel {
	struct http_loop *hl;
	struct reply_to reply_to;
	struct admin_asker asker;
};

static void
cancel_answer(void *ctx)
{
	struct cancel *c = ctx;
	struct request *r = request_of(c->hl, c->reply_to);

	if (r != NULL)
		reply_empty(r, 204);
	admin_asker_fini(&c->asker);
	free(c);
}

static void
cancel_tell(struct request *r)
{
	struct admin_told what = { ADMIN_JOB_CANCELLED, r->segment[1], STR_NONE };
	struct cancel *c = xcalloc(1, sizeof(*c));

	c->hl = r->hl;
	c->reply_to = request_address(r);
	admin_asker_take(&c->asker, r);
	admin_tell(r->hl, &c->asker, &what, c, cancel_answer);
}

void
on_file_job_cancel(struct request *r)
{
	bool was_running;

	if (!file_job_cancel(r->hl->o.file_jobs, r->segment[1], &was_running))
		no_such_job(r);
	else if (was_running)
		cancel_tell(r);
	else
		reply_empty(r, 204);
}
