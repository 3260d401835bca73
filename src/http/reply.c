/* Replies: JSON, what is said of a fault (faults.c), headers of every answer. */
#include "http/priv.h"
#include "metric/metric.h"

#include <event2/buffer.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

/* 32 hexadecimal digits: a name for logs, no secret. */
static void
tracking_id(char out[33])
{
	unsigned char random[16] = { 0 };

	(void)RAND_bytes(random, sizeof(random));
	hex_write(out, random, sizeof(random));
	out[2 * sizeof(random)] = '\0';
}

void
add_header(struct request *r, const char *name, const char *value)
{
	struct answer *a = &r->answer;

	assert(a->nheader < ANSWER_HEADERS_MAX);
	a->headers[a->nheader].name = name;
	a->headers[a->nheader++].value = arena_str(&r->arena, str_of(value)).p;
}

static bool
has_header(const struct request *r, const char *name)
{
	for (size_t i = 0; i < r->answer.nheader; i++)
		if (strcmp(r->answer.headers[i].name, name) == 0)
			return true;
	return false;
}

/* ---- the body ---- */

void
body_str(struct request *r, struct str s)
{
	evbuffer_add(r->by->body(r->link), s.p, s.n);
}

static void
piece_left(const void *bytes, size_t n, void *piece)
{
	(void)bytes, (void)n;
	free(piece);
}

static void
body_lent(struct request *r, const void *bytes, size_t n, void *to_free)
{
	if (n == 0 ||
	    evbuffer_add_reference(r->by->body(r->link), bytes, n, piece_left, to_free) != 0)
		free(to_free);
}

void
body_rope(struct request *r, struct rope *rope)
{
	struct rope_piece *p;

	while ((p = rope_take(rope)) != NULL)
		body_lent(r, p->bytes, p->n, p);
}

void
body_buf(struct request *r, struct buf *b)
{
	body_lent(r, b->p, b->n, b->p);
	*b = (struct buf){ 0 };
}

/* ---- the reply ---- */

void
reply_body(struct request *r, int status, const char *type)
{
	struct evbuffer *body = r->by->body(r->link);
	size_t n = evbuffer_get_length(body);
	char id[33], guid[40], length[24];

	if (!answer_has_room(r, n))
		return;
	request_answered(r, status, n);
	tracking_id(id);
	snprintf(
	    guid, sizeof(guid), "%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
	add_header(r, "x-ms-request-id", guid);
	if (r->warning.n > 0 && status < 300)
		add_header(r, "x-twinhub-warning", r->warning.p);
	if (status != 204) {
		snprintf(length, sizeof(length), "%zu", n);
		add_header(
		    r, "Content-Type", type != NULL ? type : "application/json; charset=utf-8");
		add_header(r, "Content-Length", length);
	}
	if (r->ask.method == HTTP_HEAD)
		evbuffer_drain(body, n); /* it would be sent, as the beginning of the next answer */
	r->answer.status = status;
	r->answer.reason = outcome_of(status)->words;
	request_tell(r, status);
	answer_leaves(r);
	request_end(r);
}

void
reply_stream(struct request *r, const char *type, void (*gone)(void *ctx), void *ctx)
{
	add_header(r, "Content-Type", type);
	add_header(r, "Cache-Control", "no-cache");
	if (r->warning.n > 0)
		add_header(r, "x-twinhub-warning", r->warning.p);
	r->answer.status = 200;
	r->answer.reason = outcome_of(200)->words;
	request_tell(r, 200);
	r->by->stream(r->link, &r->answer, gone, ctx);
}

void
reply_json(struct request *r, int status, struct str body)
{
	if (status != 204)
		body_str(r, body);
	reply_body(r, status, NULL);
}

void
reply_etag(struct request *r, int status, struct str body, const char *etag)
{
	char quoted[40];

	if (etag[0] != '\0') {
		snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
		add_header(r, "ETag", quoted);
	}
	reply_json(r, status, body);
}

void
reply_empty(struct request *r, int status)
{
	reply_body(r, status, NULL);
}

/* Who says that it asks, known to be so or not; where it is a device's fault, that device. */
static void
put_who(const struct request *r, struct log_story *s)
{
	bool answered = s->reason == REASON_DEVICE_LATE || s->reason == REASON_DEVICE_ANSWER;

	s->device = answered && r->nsegment > 1 ? r->segment[1] : r->claimed_device;
	s->policy = r->claimed_policy;
}

/* What an operator wants to hear of: who is not let in, and what the hub could not do. The rest is the client's affair. */
static void
log_refused(const struct request *r, const struct fault *f)
{
	struct log_story s = { .event = LOG_REQUEST_REFUSED, .reason = r->refused };
	char peer[NET_ADDR_TEXT_MAX];

	if (s.reason != REASON_REQUEST_FRAMING)
		s.request = r->sent_path;
	if (s.reason == REASON_NONE || s.reason == REASON_REQUEST_FRAMING)
		s.detail = str_of(f->text);
	if (r->told.n > 0)
		s.detail = r->told;
	if (s.reason == REASON_NONE)
		s.reason = outcome_of(fault_status(f->code))->reason;
	if (s.reason == REASON_NONE)
		return;
	metric_add(METRIC_REQUEST_REFUSALS, s.reason, 1);
	s.status = (unsigned)fault_status(f->code);
	s.route = r->route != NULL ? r->route->path : NULL;
	put_who(r, &s);
	if (r->ask.named)
		s.peer = net_addr_text(&r->ask.from, peer);
	log_reason(&s);
}

void
reply_fault(struct request *r, const struct fault *f)
{
	const struct outcome *how = outcome_of(fault_status(f->code));
	struct buf json = { 0 };
	char id[33];

	log_refused(r, f);
	tracking_id(id);
	fault_write(&json, f, id, clock_wall_us());
	add_header(r, "iothub-errorcode", fault_name(f->code));
	if (how->retry_after != NULL && !has_header(r, "Retry-After"))
		add_header(r, "Retry-After", how->retry_after);
	reply_json(r, fault_status(f->code), buf_view(&json));
	buf_fini(&json);
}

void
reply_error(struct request *r, enum fault_code code, const char *fmt, ...)
{
	char text[FAULT_TEXT_MAX];
	struct fault f;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_set(&f, code, "%s", text);
	reply_fault(r, &f);
}
