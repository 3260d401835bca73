/*
 * Answers without an end, whatever they tell: one piece is on its way at a time, and what opened one is looked at as long as it lasts
 * (docs/spec/events.md, E-26 and E-29). On the loop of their requests.
 */
#include "http/answer_stream.h"

#define STALL_US (INT64_C(10) * 1000000)
#define LOOK_US  (INT64_C(1) * 1000000)

/* ---- the end ---- */

static void
say_goodbye(struct answer_stream *s, enum reason why)
{
	struct buf line = { 0 };
	struct out o = out_to(&line);

	buf_cstr(&line, s->sse ? "event: closed\ndata: " : "");
	out_open(&o);
	out_cstr(out_key(&o, s->sse ? "reason" : "closed"), reason_id(why));
	out_cstr(out_key(&o, "text"), reason_text(why));
	out_close(&o);
	buf_cstr(&line, s->sse ? "\n\n" : "\n");
	s->r->by->stream_put(s->r->link, buf_view(&line), NULL, NULL);
	buf_fini(&line);
}

static void
log_closed(const struct answer_stream *s, enum reason why)
{
	struct log_story story = { .event = LOG_CLOSED,
		.reason = why,
		.policy = s->r->asker,
		.request = s->r->sent_path };
	char peer[NET_ADDR_TEXT_MAX];

	if (s->r->ask.named)
		story.peer = net_addr_text(&s->r->ask.from, peer);
	log_reason(&story);
}

void
answer_stream_end(struct answer_stream *s, enum reason why)
{
	bool drop = why == REASON_SLOW_READER;

	if (s->closing)
		return;
	s->closing = true;
	loop_timer_clear(s->r->hl->loop, &s->stall);
	if (why != REASON_NONE)
		log_closed(s, why);
	if (s->client && why != REASON_NONE && !drop)
		say_goodbye(s, why);
	if (s->client)
		s->r->by->stream_over(s->r->link, drop);
	s->client = false;
	s->face->ended(s);
}

/* The client has left: the request is the transport's no more. */
static void
on_gone(void *ctx)
{
	struct answer_stream *s = ctx;

	s->r->by->stream_over(s->r->link, false);
	s->client = false;
	answer_stream_end(s, REASON_NONE);
}

static void
on_stalled(struct loop_timer *t)
{
	answer_stream_end(container_of(t, struct answer_stream, stall), REASON_SLOW_READER);
}

void
answer_stream_fini(struct answer_stream *s)
{
	*s->prev = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	request_end(s->r);
}

/* ---- pieces ---- */

static void
on_left(void *ctx)
{
	struct answer_stream *s = ctx;

	if (s->closing || !loop_timer_is_set(&s->stall))
		return;
	loop_timer_clear(s->r->hl->loop, &s->stall);
	s->face->left(s);
}

void
answer_stream_put(struct answer_stream *s, struct str bytes)
{
	struct loop *l = s->r->hl->loop;

	assert(!loop_timer_is_set(&s->stall));
	if (s->closing)
		return;
	loop_timer_set(l, &s->stall, loop_now_us(l) + STALL_US);
	s->r->by->stream_put(s->r->link, bytes, on_left, s);
}

/* ---- does what opened it still count? ---- */

static enum reason
outdated(const struct request *r, const struct catalogue *c, int64_t now_us)
{
	const struct policy *p = policy_find(c->policies, c->npolicies, r->asker);

	if (r->end_us != 0 && now_us >= r->end_us)
		return REASON_TOKEN_END;
	if (p == NULL || !policy_has_key(p, r->opened.print))
		return REASON_POLICY_KEY_CHANGED;
	return need_met(r->route->need, p->rights) ? REASON_NONE : REASON_POLICY_RIGHTS;
}

static void
look_again(struct http_loop *hl)
{
	loop_timer_set(hl->loop, &hl->streams_look, loop_now_us(hl->loop) + LOOK_US);
}

static void
on_look(struct loop_timer *t)
{
	struct http_loop *hl = container_of(t, struct http_loop, streams_look);
	const struct catalogue *c = catalogue_use(hl->o.catalogue);
	int64_t now_us = clock_wall_us();
	struct answer_stream *next;

	for (struct answer_stream *s = hl->streams; s != NULL; s = next) {
		enum reason why = outdated(s->r, c, now_us);

		next = s->next;
		if (why != REASON_NONE)
			answer_stream_end(s, why);
	}
	catalogue_drop(hl->o.catalogue, c);
	if (hl->streams != NULL)
		look_again(hl);
}

/* ---- the beginning ---- */

bool
answer_stream_wants_sse(const struct request *r)
{
	struct str accept = request_header(r, "Accept"), one;

	while (accept.n != 0) {
		str_cut(accept, ',', &one, &accept);
		str_cut(one, ';', &one, &(struct str){ 0 });
		while (one.n != 0 && *one.p == ' ')
			one = str_sub(one, 1);
		if (str_ieq(one, STR("text/event-stream")))
			return true;
	}
	return false;
}

void
answer_stream_begin(
    struct answer_stream *s, struct request *r, bool sse, const struct answer_stream_face *face)
{
	struct http_loop *hl = r->hl;

	*s = (struct answer_stream){ .r = r, .face = face, .sse = sse, .client = true };
	s->stall.fire = on_stalled;
	s->next = hl->streams;
	s->prev = &hl->streams;
	if (s->next != NULL)
		s->next->prev = &s->next;
	hl->streams = s;
	hl->streams_look.fire = on_look;
	if (!loop_timer_is_set(&hl->streams_look))
		look_again(hl);
	reply_stream(r, sse ? "text/event-stream" : "application/x-ndjson", on_gone, s);
}

void
answer_streams_stop(struct http_loop *hl)
{
	struct answer_stream *next;

	for (struct answer_stream *s = hl->streams; s != NULL; s = next) {
		next = s->next;
		answer_stream_end(s, REASON_STOPPING);
	}
	loop_timer_clear(hl->loop, &hl->streams_look);
}
