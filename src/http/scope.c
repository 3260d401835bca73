/*
 * GET .../$edgeHub/devicesAndModulesInDeviceScope and deviceAndModuleInDeviceScope: whom an edge device may let in while the hub is
 * not to be reached (service-rest.md 3.7). First the scope is asked of the edge device, then the whole fleet who is in it, or
 * the one that is meant.
 */
#include "http/priv.h"
#include "task/registry.h"

#define SCOPE_PAGE_DEFAULT 100u
#define SCOPE_PAGE_MAX     1000u
#define SCOPE_API          "2018-08-30-preview"

/* Ask the edge device of the path for its scope. */
static void
ask_scope(struct request *r, void (*done)(struct work *w))
{
	struct work *w = work_new(r->hl->loop, r->segment[1].n, done);

	w->op.kind = OP_SCOPE_READ;
	w->op.actor = ACTOR_DEVICE;
	w->op.device = w->op.actor_name = work_str(w, r->segment[1]);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	request_submit(r, w);
}

/* ---- all ---- */

static void
put_link(struct request *r, const struct tour *k, struct out *o)
{
	const struct page *page = k->task->page;
	struct buf link = { 0 };

	if (page->more) {
		buf_cstr(&link, "/devices/");
		buf_percent(&link, r->segment[1]);
		buf_printf(&link,
		    "/modules/%%24edgeHub/"
		    "devicesAndModulesInDeviceScope?deviceCount=%u&continuationToken=",
		    page->limit);
		query_token_write(&link, r->query_hash, &k->task->bookmark);
		buf_cstr(&link, "&api-version=" SCOPE_API);
	}
	out_str_or_null(o, buf_view(&link));
	buf_fini(&link);
}

static void
done_members(struct tour *k)
{
	struct request *r = tour_back(k);
	struct buf json = { 0 };
	struct out o = out_to(&json);

	if (r != NULL) {
		out_open(&o);
		body_until(r, out_key(&o, "devices"));
		body_page(r, k);
		body_until(r, out_key(&o, "modules"));
		body_rows(r, &k->task->page->modules);
		put_link(r, k, out_key(&o, "continuationLink"));
		out_close(&o);
		body_str(r, buf_view(&json));
		reply_body(r, 200, NULL);
	}
	buf_fini(&json);
	tour_free(k);
}

/* The devices of a scope, as a query; ids may have a quote. */
static void
put_query(struct buf *text, struct str scope)
{
	buf_cstr(text, "SELECT * FROM devices WHERE deviceScope = '");
	for (size_t i = 0; i < scope.n; i++) {
		if (scope.p[i] == '\'')
			buf_putc(text, '\\');
		buf_putc(text, scope.p[i]);
	}
	buf_putc(text, '\'');
}

/* The question, if nothing is wrong with it; else f says what is. */
static struct query_task *
prepare(struct request *r, struct str scope, struct fault *f)
{
	struct str token = request_param(r, "continuationToken");
	struct buf text = { 0 };
	int64_t n = SCOPE_PAGE_DEFAULT;
	struct query *query = NULL;
	struct query_task *q;

	if (request_number(r, "deviceCount", 1, INT32_MAX, &n, f) != ERR_OK)
		return NULL;
	put_query(&text, scope);
	(void)query_parse(buf_view(&text), NULL, &query, f);
	buf_fini(&text);
	if (query == NULL)
		return NULL;
	q = query_task_new(query);
	q->sink = &registry_sink;
	q->task.page->limit = n < SCOPE_PAGE_MAX ? (uint32_t)n : SCOPE_PAGE_MAX;
	r->query_hash = query_facts(query)->hash;
	if (token.n == 0 || query_token_read(token, r->query_hash, &q->task.bookmark, f) == ERR_OK)
		return q;
	task_free(&q->task);
	return NULL;
}

static void
done_scope_of_list(struct work *w)
{
	struct request *r = work_back(w);
	struct fault f = { 0 };
	struct query_task *q = r != NULL ? prepare(r, buf_view(&w->reply.body), &f) : NULL;

	if (q != NULL)
		request_asks(r, request_tour(r, &q->task, done_members));
	else if (r != NULL)
		reply_fault(r, &f);
	work_free(w);
}

void
on_scope_list(struct request *r)
{
	ask_scope(r, done_scope_of_list);
}

/* ---- one ---- */

static void
done_target(struct work *w)
{
	struct request *r = work_back(w);

	if (r != NULL)
		reply_json(r, 200, buf_view(&w->reply.body));
	work_free(w);
}

static void
done_scope_of_target(struct work *w)
{
	struct request *r = work_back(w);
	struct str device, module;
	struct work *t;

	if (r != NULL) {
		device = request_param(r, "targetDeviceId");
		module = request_param(r, "targetModuleId");
		t = work_new(r->hl->loop, device.n + module.n + w->reply.body.n, done_target);
		t->op.kind = OP_SCOPE_MEMBER;
		t->op.actor = ACTOR_DEVICE;
		t->op.device = t->op.actor_name = work_str(t, device);
		t->op.name = work_str(t, module);
		t->op.if_tag = work_str(t, buf_view(&w->reply.body));
		t->op.reply_to = request_address(r);
		t->owner = r->hl;
		request_submit(r, t);
	}
	work_free(w);
}

void
on_scope_target(struct request *r)
{
	struct str module = request_param(r, "targetModuleId");

	if (id_valid(request_param(r, "targetDeviceId")) && (module.n == 0 || id_valid(module)))
		ask_scope(r, done_scope_of_target);
	else
		reply_error(r, F_ArgumentInvalid,
		    "targetDeviceId, or targetModuleId if it is given, is no id");
}
