/* Replies: JSON, errors in format A (service-rest.md 4.1), headers of every answer. */
#include "http/priv.h"

#include <event2/buffer.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *
reason(int status)
{
	switch (status) {
	case 200: return "OK";
	case 202: return "Accepted";
	case 204: return "No Content";
	case 207: return "Multi-Status";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 409: return "Conflict";
	case 412: return "Precondition Failed";
	case 413: return "Payload Too Large";
	case 429: return "Too Many Requests";
	case 501: return "Not Implemented";
	case 502: return "Bad Gateway";
	case 503: return "Service Unavailable";
	case 504: return "Gateway Timeout";
	default: return "Internal Server Error";
	}
}

/* 32 hexadecimal digits: a name for logs, no secret. */
static void
tracking_id(char out[33])
{
	unsigned char random[16] = { 0 };

	(void)RAND_bytes(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
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
	r->answer.reason = reason(status);
	answer_leaves(r);
	request_end(r);
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

static enum reason
reason_of_status(int status)
{
	switch (status) {
	case 403: return REASON_QUOTA;
	case 429: return REASON_OVERLOADED;
	case 500: return REASON_FAILED;
	case 503: return REASON_UNAVAILABLE;
	default: return REASON_NONE;
	}
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
	if (s.reason == REASON_NONE)
		s.reason = reason_of_status(fault_status(f->code));
	if (s.reason == REASON_NONE)
		return;
	*(r->actor == ACTOR_POLICY ? &s.policy : &s.device) = r->asker;
	if (r->ask.named)
		s.peer = net_addr_text(&r->ask.from, peer);
	log_reason(&s);
}

void
reply_fault(struct request *r, const struct fault *f)
{
	struct buf json = { 0 }, text = { 0 };
	char id[33], stamp[32];
	time_t now = (time_t)(clock_wall_us() / 1000000);
	struct tm tm;

	log_refused(r, f);
	tracking_id(id);
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%m/%d/%Y %H:%M:%S", &tm);
	buf_printf(&text, "ErrorCode:%s;%s", fault_name(f->code),
	    f->text[0] != '\0' ? f->text : reason(fault_status(f->code)));
	buf_cstr(&json, "{\"Message\":");
	doc_write_json_str(&json, buf_view(&text));
	buf_printf(&json, ",\"ExceptionMessage\":\"Tracking ID:%s-G:0-TimeStamp:%s\"}", id, stamp);
	add_header(r, "iothub-errorcode", fault_name(f->code));
	if ((fault_status(f->code) == 429 || fault_status(f->code) == 503) &&
	    !has_header(r, "Retry-After"))
		add_header(r, "Retry-After", RETRY_AFTER_S);
	reply_json(r, fault_status(f->code), buf_view(&json));
	buf_fini(&json);
	buf_fini(&text);
}

void
reply_device_fault(struct request *r, const struct fault *f)
{
	struct buf json = { 0 }, inner = { 0 };
	char id[33], t[TIME_TEXT_MAX];
	size_t n = time_format(clock_wall_us(), t);

	tracking_id(id);
	buf_printf(
	    &inner, "{\"errorCode\":%d,\"trackingId\":\"%s\",\"message\":", (int)f->code, id);
	doc_write_json_str(&inner, str_of(f->text));
	buf_cstr(&inner, ",\"timestampUtc\":");
	doc_write_json_str(&inner, (struct str){ t, n });
	buf_putc(&inner, '}');
	buf_cstr(&json, "{\"Message\":");
	doc_write_json_str(&json, buf_view(&inner));
	buf_cstr(&json, ",\"ExceptionMessage\":\"\"}");
	add_header(r, "iothub-errorcode", fault_name(f->code));
	reply_json(r, fault_status(f->code), buf_view(&json));
	buf_fini(&json);
	buf_fini(&inner);
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
