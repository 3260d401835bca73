/*
 * GET .../$edgeHub/devicesAndModulesInDeviceScope and deviceAndModuleInDeviceScope: whom an edge device may let in while the hub is
 * not to be reached (service-rest.md 3.7). First the scope is asked of the edge device, then the whole fleet who is in it, or
 * the one that is meant.
 */
#include "http/priv.h"

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
put_link(struct request *r, const struct walk *k, struct buf *json)
{
	if (!k->more) {
		buf_cstr(json, "null");
		return;
	}
	buf_cstr(json, "\"/devices/");
	buf_percent(json, r->segment[1]);
	buf_printf(json,
	    "/modules/%%24edgeHub/devicesAndModulesInDeviceScope?deviceCount=%u&continuationToken=",
	    k->limit);
	query_token_write(json, r->query_hash, &k->place);
	buf_cstr(json, "&api-version=" SCOPE_API "\"");
}

static void
done_members(struct walk *k)
{
	struct request *r = request_of(k->owner, k->reply_to);
	struct buf json = { 0 };

	if (r != NULL && k->fault.code != F_NONE) {
		reply_fault(r, &k->fault);
	} else if (r != NULL) {
		body_str(r, STR("{\"devices\":"));
		body_page(r, k);
		body_str(r, STR(",\"modules\":"));
		body_rows(r, &k->module_page, &k->modules);
		body_str(r, STR(",\"continuationLink\":"));
		put_link(r, k, &json);
		body_str(r, buf_view(&json));
		body_str(r, STR("}"));
		reply_body(r, 200, NULL);
	}
	buf_fini(&json);
	walk_free(k);
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

static enum err
walk_begin(struct request *r, struct walk *k, struct str scope, struct fault *f)
{
	struct str token = request_param(r, "continuationToken");
	struct buf text = { 0 };
	int64_t n = SCOPE_PAGE_DEFAULT;
	enum err e = request_number(r, "deviceCount", 1, INT32_MAX, &n, f);

	if (e != ERR_OK)
		return e;
	put_query(&text, scope);
	e = query_parse(buf_view(&text), NULL, &k->query, f);
	buf_fini(&text);
	if (e != ERR_OK)
		return e;
	k->limit = n < SCOPE_PAGE_MAX ? (uint32_t)n : SCOPE_PAGE_MAX;
	k->registry = true;
	r->query_hash = query_facts(k->query)->hash;
	return token.n == 0 ? ERR_OK : query_token_read(token, r->query_hash, &k->place, f);
}

static void
done_scope_of_list(struct work *w)
{
	struct request *r = work_back(w);
	struct fault f = { 0 };
	struct walk *k;

	if (r != NULL) {
		k = walk_new(r->hl->loop, WALK_QUERY, done_members);
		k->reply_to = request_address(r);
		k->owner = r->hl;
		if (walk_begin(r, k, buf_view(&w->reply.body), &f) == ERR_OK) {
			request_walk(r, k);
		} else {
			reply_fault(r, &f);
			walk_free(k);
		}
	}
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
