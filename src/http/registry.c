/* The identity registry and the twins over HTTP (service-rest.md 6, 9.2). */
#include "http/priv.h"
#include "task/registry.h"

#define LIST_MOST 1000u

struct request *
work_back(struct work *w)
{
	struct request *r = request_of(w->owner, w->op.reply_to);

	if (r != NULL && w->reply.fault.code != F_NONE) {
		reply_fault(r, &w->reply.fault);
		r = NULL;
	}
	if (r != NULL && w->reply.warning.n > 0)
		request_warn(r, "", buf_view(&w->reply.warning));
	return r;
}

void
done_empty(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_empty(r, 204);
	work_free(w);
}

static void
done_with_body(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_etag(r, 200, buf_view(&w->reply.body), w->reply.etag);
	work_free(w);
}

void
on_device_get(struct request *r)
{
	request_submit(r, request_work(r, OP_IDENTITY_GET, 0, done_with_body));
}

void
on_device_delete(struct request *r)
{
	struct work *w = request_work(r, OP_IDENTITY_DELETE, request_if_match_room(r), done_empty);

	request_if_match(r, w);
	request_submit(r, w);
}

/* ---- PUT, with the scope of an edge device checked first where one is named ---- */

static void
done_scope(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL) {
		struct work *put = r->then;

		r->then = NULL;
		request_submit(r, put);
	}
	work_free(w);
}

static void
check_scope(struct request *r, struct work *put, struct str scope)
{
	struct str parent;
	struct work *w;

	if (!scope_device(scope, &parent)) {
		work_free(put);
		reply_error(r, F_ArgumentInvalid, "deviceScope is not the scope of an edge device");
		return;
	}
	w = work_new(r->hl->loop, parent.n + scope.n, done_scope);
	w->op.kind = OP_SCOPE_CHECK;
	w->op.actor = ACTOR_POLICY;
	w->op.device = work_str(w, parent);
	w->op.if_tag = work_str(w, scope);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	r->then = put;
	request_submit(r, w);
}

void
on_device_put(struct request *r)
{
	struct doc_parsed info;
	struct str scope;
	struct work *w;

	if (!request_doc(r, &body_identity, &info))
		return;
	warn_body(r, "", doc_of(buf_view(&r->hl->doc)), &body_identity);
	w = request_work(
	    r, OP_IDENTITY_PUT, r->hl->doc.n + request_if_match_room(r), done_with_body);
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	w->op.nduplicate = info.nduplicate;
	request_if_match(r, w);
	scope = r->nsegment > 2 ? STR_NONE : scope_wanted(doc_of(w->op.payload));
	if (scope.n == 0)
		request_submit(r, w);
	else
		check_scope(r, w, scope);
}

/* ---- lists ---- */

static void
done_list(struct tour *k)
{
	struct request *r = tour_back(k);

	if (r != NULL) {
		body_page(r, k);
		reply_body(r, 200, NULL);
	}
	tour_free(k);
}

void
on_device_modules(struct request *r)
{
	request_submit(r, request_work(r, OP_MODULES_LIST, 0, done_with_body));
}

void
on_devices_list(struct request *r)
{
	struct task *t = list_task_new();
	int64_t top = LIST_MOST; /* also in the place of one that is none: L-37 */

	(void)request_number(r, "top", 1, LIST_MOST, &top, NULL);
	t->page->limit = (uint32_t)top;
	request_asks(r, request_tour(r, t, done_list));
}

/* ---- twins ---- */

/* A body that cannot be read, but first: is there such a twin (T-116)? */
static void
done_bad_body(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_fault(r, &r->fault);
	work_free(w);
}

void
request_refuse(struct request *r)
{
	request_submit(r, request_work(r, OP_IDENTITY_GET, 0, done_bad_body));
}

void
on_convergence(struct request *r)
{
	request_submit(r, request_work(r, OP_TWIN_CONVERGENCE, 0, done_with_body));
}

void
on_twin(struct request *r)
{
	struct doc_parsed info = { 0 };
	struct work *w;

	if (r->method == HTTP_GET) {
		if (!on_twin_past(r))
			request_submit(r, request_work(r, OP_TWIN_READ, 0, done_with_body));
		return;
	}
	if (request_parse(r, &body_twin, &info, &r->fault) != ERR_OK) {
		request_refuse(r);
		return;
	}
	warn_twin(r, "", doc_of(buf_view(&r->hl->doc)));
	w = request_work(r, r->method == HTTP_PUT ? OP_TWIN_REPLACE : OP_TWIN_PATCH,
	    r->hl->doc.n + request_if_match_room(r), done_with_body);
	w->op.payload = work_str(w, buf_view(&r->hl->doc));
	w->op.nduplicate = info.nduplicate;
	request_if_match(r, w);
	request_submit(r, w);
}
