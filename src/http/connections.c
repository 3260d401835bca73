/*
 * Connections of devices and modules as operators see them: one's story, all of them in pages, and the end of one (O-10 to O-14). What the
 * shard knows comes from there, all else from the stories (story/story.h). A page looks at all stories, on a thread of its own.
 */
#include "http/priv.h"

#include "feed/feed.h"

#include <stdio.h>
#include <stdlib.h>

#define CONNECTIONS_PAGE     100u
#define CONNECTIONS_PAGE_MAX 1000u
#define LAST_ENDS_MAX        64u /* of a loop, at a time */
#define LISTINGS_MAX         4u  /* pages at once, each with a thread of its own */

/* ---- one story as JSON ---- */

static void
put_address(struct out *o, const char *name, const struct net_addr *from)
{
	char text[NET_ADDR_TEXT_MAX];

	out_cstr(out_key(o, name), net_addr_text(from, text));
}

static void
put_event(struct out *o, const char *name, const struct story_event *e, uint32_t count)
{
	if (e->reason == REASON_NONE)
		return;
	out_open(out_key(o, name));
	out_time(out_key(o, "time"), e->at_us);
	out_cstr(out_key(o, "reason"), reason_id(e->reason));
	out_cstr(out_key(o, "by"), reason_by_name(reason_by(e->reason)));
	out_cstr(out_key(o, "why"), reason_text(e->reason));
	if (e->from.port != 0) /* the log knows none */
		put_address(o, "address", &e->from);
	if (count > 0)
		out_u64(out_key(o, "count"), count);
	if (e->reason == REASON_AUTH_BACKOFF) {
		out_cstr(out_key(o, "cause"), reason_id(e->cause));
		out_time(out_key(o, "until"), e->at_us + e->wait_us);
	}
	out_close(o);
}

static void
put_traffic(struct out *o, const char *name, uint64_t messages, uint64_t bytes)
{
	out_open(out_key(o, name));
	out_u64(out_key(o, "messages"), messages);
	out_u64(out_key(o, "bytes"), bytes);
	out_close(o);
}

/* Of the connection that there is; of the last one what is still worth to know. */
static void
put_link(struct out *o, const struct story_view *v)
{
	out_time(out_key(o, v->connected ? "connectedSince" : "lastConnectedTime"), v->since_us);
	if (v->connected)
		put_address(o, "address", &v->from);
	out_cstr(out_key(o, "protocol"), v->websocket ? "MQTT over WebSocket" : "MQTT");
	out_cstr(out_key(o, "tls"), v->tls != NULL ? v->tls : "none");
	out_some_str(o, "client", v->client);
	put_traffic(o, "received", v->received, v->received_bytes);
	put_traffic(o, "sent", v->sent, v->sent_bytes);
	if (v->connected)
		out_u64(out_key(o, "inFlight"), v->in_flight);
	if (v->desired > 0)
		out_u64(out_key(o, "desiredVersionDelivered"), v->desired);
}

static void
put_story(struct out *o, const struct story_view *v)
{
	if (v->since_us != 0)
		put_link(o, v);
	out_u64(out_key(o, "connectsLastHour"), v->nconnect);
	put_event(o, "lastDisconnect", &v->ended, 0);
	put_event(o, "lastRefusal", &v->refused, v->nrefused);
}

/* ---- one ---- */

/* json: what the shard knows, an object. */
static void
reply_story(struct request *r, struct str json, const struct story_view *v)
{
	struct buf answer = { 0 };
	struct out o = out_to(&answer);

	out_open(&o);
	out_json(&o, str_sub(json, 1)); /* without its brace */
	put_story(&o, v);
	out_close(&o);
	reply_json(r, 200, buf_view(&answer));
	buf_fini(&answer);
}

/*
 * What memory does not know of the last end, as the hub was started since or the story had to go, the log does (O-32): a point read, on the feed's
 * thread. It does not know the address.
 */
struct last_end {
	struct msg msg, back;
	struct http_loop *hl;
	struct work *work; /* its answer waits */
	struct story_event ended;
};

static void
end_read(struct msg *m)
{
	struct last_end *l = container_of(m, struct last_end, msg);
	const struct op *op = &l->work->op;
	struct buf record = { 0 };
	struct event e;

	/* what retention has dropped is not known any more; what cannot be read has its line */
	if (feed_record(l->hl->o.feed, hub_shard_of(op->device), l->work->reply.version, &record) ==
	        ERR_OK &&
	    event_decode(buf_view(&record), &e) == ERR_OK && str_eq(e.device, op->device) &&
	    str_eq(e.module, op->module)) {
		l->ended.reason = told_reason(&e);
		l->ended.at_us = e.time_us;
	}
	buf_fini(&record);
	loop_post(l->hl->loop, &l->back);
}

static void
view_of(struct http_loop *hl, const struct work *w, struct story_view *v)
{
	story_read(hl->o.stories, w->op.device, w->op.module, clock_wall_us(), v);
	v->connected = v->connected && w->reply.deliver; /* the shard hears of an end last */
}

static void
end_back(struct msg *m)
{
	struct last_end *l = container_of(m, struct last_end, back);
	struct request *r = request_of(l->hl, l->work->op.reply_to);
	struct story_view v;

	l->hl->nlast_end--;
	view_of(l->hl, l->work, &v);
	if (v.ended.reason == REASON_NONE)
		v.ended = l->ended;
	if (r != NULL)
		reply_story(r, buf_view(&l->work->reply.body), &v);
	work_free(l->work);
	free(l);
}

static void
end_ask(struct request *r, struct work *w)
{
	struct last_end *l;

	if (r->hl->nlast_end == LAST_ENDS_MAX) {
		reply_error(r, F_ThrottlingException,
		    "%u such requests wait for the log, which is the limit", LAST_ENDS_MAX);
		work_free(w);
		return;
	}
	r->hl->nlast_end++;
	l = xcalloc(1, sizeof(*l));
	l->msg.run = end_read;
	l->back.run = end_back;
	l->hl = r->hl;
	l->work = w;
	feed_run(r->hl->o.feed, &l->msg);
}

static void
done_connection(struct work *w)
{
	struct request *r = work_back(w);
	struct story_view v;

	if (r != NULL) {
		view_of(r->hl, w, &v);
		if (v.ended.reason == REASON_NONE && w->reply.version != 0) {
			end_ask(r, w);
			return;
		}
		reply_story(r, buf_view(&w->reply.body), &v);
	}
	work_free(w);
}

void
on_connection(struct request *r)
{
	request_submit(r, request_work(r, OP_CONNECTION_GET, 0, done_connection));
}

void
on_connection_end(struct request *r)
{
	struct work *w = request_work(r, OP_CONNECTION_CLOSE, WORK_PEER_ROOM, done_empty);

	work_peer(w, r);
	request_submit(r, w);
}

/* ---- all ---- */

static atomic_uint nlisting;

struct listing {
	struct msg msg;
	struct http_loop *hl;
	struct reply_to reply_to;
	struct stories_ask ask;
	struct net_addr from;
	char *after; /* the continuation that ask.after borrows from */
	int64_t now_us;
	struct buf json;
	struct out out;
	struct buf next; /* continuation: connects/device/module */
};

static void
listing_free(struct listing *l)
{
	free(l->after);
	buf_fini(&l->json);
	buf_fini(&l->next);
	free(l);
	atomic_fetch_sub(&nlisting, 1);
}

static void
listing_done(struct msg *m)
{
	struct listing *l = container_of(m, struct listing, msg);
	struct request *r = request_of(l->hl, l->reply_to);

	if (r != NULL && l->next.n > 0)
		add_header(r, "x-ms-continuation", l->next.p);
	if (r != NULL)
		reply_json(r, 200, buf_view(&l->json));
	listing_free(l);
}

static void
listing_put(void *ctx, const struct story_view *v)
{
	struct listing *l = ctx;
	struct out *o = &l->out;

	out_open(o);
	out_str(out_key(o, "deviceId"), v->device);
	out_some_str(o, "moduleId", v->module);
	out_bool(out_key(o, "connected"), v->connected);
	put_story(o, v);
	out_close(o);
	l->next.n = 0;
	buf_printf(&l->next, "%u/" STR_FMT "/" STR_FMT, v->nconnect, STR_ARG(v->device),
	    STR_ARG(v->module));
	buf_putc(&l->next, '\0');
}

static void
listing_main(void *arg)
{
	struct listing *l = arg;

	l->out = out_to(&l->json);
	out_list(&l->out);
	if (!stories_list(l->hl->o.stories, &l->ask, l->now_us, listing_put, l))
		l->next.n = 0;
	out_close(&l->out);
	l->msg.run = listing_done;
	loop_post(l->hl->loop, &l->msg);
}

/* ---- what is asked for ---- */

static enum err
ask_order(struct request *r, struct stories_ask *ask, struct fault *f)
{
	struct str order = request_param(r, "order"), state = request_param(r, "state");

	if (order.n > 0 && !str_eq(order, STR("id")) && !str_eq(order, STR("connects")))
		return fault_set(f, F_ArgumentInvalid, "order is neither id nor connects");
	ask->by_connects = str_eq(order, STR("connects"));
	if (str_eq(state, STR("connected")))
		ask->state = STORY_CONNECTED;
	else if (str_eq(state, STR("disconnected")))
		ask->state = STORY_GONE;
	else if (state.n > 0)
		return fault_set(
		    f, F_ArgumentInvalid, "state is neither connected nor disconnected");
	return ERR_OK;
}

static enum err
ask_filter(struct request *r, struct listing *l, struct fault *f)
{
	struct str reason = request_param(r, "reason"), address = request_param(r, "address");
	struct nets net = { 0 };
	char text[NET_ADDR_TEXT_MAX];

	for (unsigned i = REASON_NONE + 1; reason.n > 0 && i < REASONS; i++)
		if (str_eq(reason, str_of(reason_id((enum reason)i))))
			l->ask.reason = (enum reason)i;
	if (reason.n > 0 && l->ask.reason == REASON_NONE)
		return fault_set(f, F_ArgumentInvalid, "reason is none of docs/reasons.md");
	if (address.n == 0)
		return ERR_OK;
	if (address.n >= sizeof(text) || memchr(address.p, '\0', address.n) != NULL)
		return fault_set(f, F_ArgumentInvalid, "address is no IP address");
	snprintf(text, sizeof(text), STR_FMT, STR_ARG(address));
	if (nets_add(&net, text) != ERR_OK || net.v[0].bits != 128)
		return fault_set(f, F_ArgumentInvalid, "address is no IP address");
	memcpy(l->from.ip, net.v[0].ip, sizeof(l->from.ip));
	l->ask.from = &l->from;
	return ERR_OK;
}

/* connects/device/module */
static enum err
ask_after(struct request *r, struct listing *l, struct fault *f)
{
	struct str token = request_header(r, "x-ms-continuation"), count, rest, device, module;
	uint64_t n;

	if (token.n == 0)
		return ERR_OK;
	l->after = str_dup0(token);
	if (!str_cut(str_of(l->after), '/', &count, &rest) ||
	    !str_cut(rest, '/', &device, &module) || !str_u64(count, &n) || n > UINT32_MAX ||
	    !id_valid(device) || (module.n > 0 && !id_valid(module)))
		return fault_set(f, F_ArgumentInvalid, "x-ms-continuation is not of this list");
	l->ask.after.device = device;
	l->ask.after.module = module;
	l->ask.after.nconnect = (uint32_t)n;
	return ERR_OK;
}

static enum err
ask_read(struct request *r, struct listing *l, struct fault *f)
{
	static const char *const names[] = { "api-version", "order", "state", "reason", "address",
		"top" };
	int64_t top = CONNECTIONS_PAGE;
	enum err e = request_knows(r, names, sizeof(names) / sizeof(names[0]), f);

	if (e == ERR_OK)
		e = request_number(r, "top", 1, CONNECTIONS_PAGE_MAX, &top, f);
	l->ask.limit = (uint32_t)top;
	if (e == ERR_OK)
		e = ask_order(r, &l->ask, f);
	if (e == ERR_OK)
		e = ask_filter(r, l, f);
	return e == ERR_OK ? ask_after(r, l, f) : e;
}

void
on_connections(struct request *r)
{
	struct listing *l;
	struct thread thread = { 0 };
	struct fault f = { 0 };

	if (atomic_fetch_add(&nlisting, 1) >= LISTINGS_MAX) {
		atomic_fetch_sub(&nlisting, 1);
		reply_error(r, F_ThrottlingException, "%u such requests are under way, the limit",
		    LISTINGS_MAX);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->hl = r->hl;
	l->reply_to = request_address(r);
	l->now_us = clock_wall_us();
	if (ask_read(r, l, &f) == ERR_OK &&
	    thread_start(&thread, listing_main, l, &f, "connections") == ERR_OK) {
		thread_let_go(&thread);
		return;
	}
	listing_free(l);
	reply_fault(r, &f);
}
