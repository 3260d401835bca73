/*
 * Direct methods over HTTP (service-rest.md 10). The request waits in its slot for the device, measured by a timer of its
 * own: first until the device is there, then until it answers. Whatever ends the wait here is told to the shard.
 */
#include "http/priv.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the end of a call ---- */

static void
done_cancel(struct work *w)
{
	work_free(w);
}

/* By the request's address: it is the call's name. */
static void
cancel(struct request *r)
{
	request_submit(r, request_work(r, OP_METHOD_CANCEL, 0, done_cancel));
}

static void
on_late(struct loop_timer *t)
{
	struct request *r = container_of(t, struct request, timer);
	struct fault f;

	if (r->called)
		fault_set(&f, F_GatewayTimeout, "the device has not answered within %d s",
		    (int)r->response_s);
	else
		fault_set(&f, F_DeviceNotOnline,
		    "Timed out waiting for device to connect, and to listen to this method");
	cancel(r);
	reply_fault(r, &f);
}

static void
wait_for(struct request *r, int64_t seconds)
{
	r->timer.fire = on_late;
	loop_timer_set(r->hl->loop, &r->timer, loop_now_us(r->hl->loop) + seconds * 1000000);
}

static void
done_call(struct work *w)
{
	struct request *r = request_of(w->owner, w->op.reply_to);

	if (r != NULL && w->reply.fault.code != F_NONE) {
		if (w->reply.fault.code == F_ServiceUnavailable)
			cancel(r); /* the commit it waited behind has failed, but the call stands */
		reply_fault(r, &w->reply.fault);
	} else if (r != NULL) {
		r->called = w->reply.deliver;
		wait_for(r, r->called ? r->response_s : r->connect_s);
	}
	work_free(w);
}

static void
reply_response(struct request *r, const struct note *n)
{
	struct buf json = { 0 };
	struct out o = out_to(&json);
	char status[16];

	if (r->command) {
		snprintf(status, sizeof(status), "%d", (int)n->status);
		add_header(r, "x-ms-command-statuscode", status);
		reply_json(r, 200, n->body);
		return;
	}
	out_open(&o);
	out_key(&o, "status");
	out_i64(&o, n->status);
	out_key(&o, "payload");
	out_json(&o, n->body);
	out_close(&o);
	reply_json(r, 200, buf_view(&json));
	buf_fini(&json);
}

void
http_note(struct http_loop *hl, const struct note *n)
{
	struct request *r = request_of(hl, n->session);
	struct fault f;

	if (r == NULL)
		return;
	if (n->kind == EFFECT_CALL_SENT) {
		r->called = true;
		wait_for(r, r->response_s);
	} else if (n->kind == EFFECT_CALL_UNSENT) {
		cancel(r);
		reply_error(r, F_ServiceUnavailable,
		    "the state that was seen could not be stored, and the device has not been "
		    "called, try again later");
	} else if (n->fault == F_NONE) {
		reply_response(r, n);
	} else {
		fault_set(&f, n->fault, STR_FMT, STR_ARG(n->body));
		reply_fault(r, &f);
	}
}

/* Its shard had accepted it: until then the work itself is answered. */
static void
call_lost(struct request *r)
{
	loop_timer_clear(r->hl->loop, &r->timer);
	if (r->called)
		reply_error(r, F_DeviceConnectionClosedRemotely,
		    "the node that serves the device is not heard of any more: nobody knows "
		    "whether "
		    "it has answered");
	else
		reply_error(r, F_DeviceNotOnline,
		    "the node that serves the device is not heard of any more, and the device had "
		    "not connected");
}

struct lost {
	struct msg msg;
	struct http_loop *hl;
	uint64_t shards;
};

static void
on_lost(struct msg *m)
{
	struct lost *lost = container_of(m, struct lost, msg);
	struct slots *requests = &lost->hl->requests;

	for (uint32_t i = 0; i < requests->n; i++) {
		struct request *r = slot_at(requests, i);

		if (r != NULL && r->response_s != 0 && loop_timer_is_set(&r->timer) &&
		    r->timer.fire == on_late && lost->shards >> hub_shard_of(r->segment[1]) & 1)
			call_lost(r);
	}
	free(lost);
}

void
http_loop_calls_lost(struct http_loop *hl, uint64_t shards)
{
	struct lost *lost = xcalloc(1, sizeof(*lost));

	lost->msg.run = on_lost;
	lost->hl = hl;
	lost->shards = shards;
	loop_post(hl->loop, &lost->msg);
}

void
methods_stop(struct http_loop *hl)
{
	for (uint32_t i = 0; i < hl->requests.n; i++) {
		struct request *r = slot_at(&hl->requests, i);

		if (r != NULL && r->response_s != 0)
			reply_error(r, F_ServiceUnavailable, "the hub is stopping");
	}
}

/* ---- a call's beginning ---- */

static enum err
take_call(struct request *r, struct str *name, struct fault *f)
{
	struct method_ask ask;
	struct doc_parsed info;

	r->hl->json.n = 0;
	if (request_parse(r, &body_method, &info, f) != ERR_OK ||
	    method_ask_take(doc_of(buf_view(&r->hl->doc)), &ask, &r->hl->json, f) != ERR_OK)
		return ERR_ARG;
	warn_body(r, "", doc_of(buf_view(&r->hl->doc)), &body_method);
	*name = ask.name;
	r->response_s = ask.response_s;
	r->connect_s = ask.connect_s;
	return ERR_OK;
}

void
method_submit(struct request *r, struct str name)
{
	struct work *w = request_work(r, OP_METHOD, name.n + r->hl->json.n, done_call);

	w->op.method.name = work_str(w, name);
	w->op.method.wait = r->connect_s > 0;
	w->op.payload = work_str(w, buf_view(&r->hl->json));
	request_submit(r, w);
}

void
on_method_call(struct request *r)
{
	struct str name;

	if (take_call(r, &name, &r->fault) == ERR_OK) {
		method_submit(r, name);
		return;
	}
	r->response_s = 0;
	request_refuse(r);
}
