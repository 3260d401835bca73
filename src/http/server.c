/*
 * The transport: evhttp's requests become struct ask, what was answered becomes evhttp's reply. All that http/ knows of sockets,
 * and of libevent's requests, is here.
 */
#include "http/answer_stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>

#include "ws/ws.h"

/* NULL: its client has gone. */
static struct bufferevent *
connection_of(struct evhttp_request *ev)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(ev);

	return conn != NULL ? evhttp_connection_get_bufferevent(conn) : NULL;
}

/* ---- the way out ---- */

static void
shown_by_client(void *link, struct tls_peer *out)
{
	https_shown(connection_of(link), out);
}

static struct evbuffer *
body_of_answer(void *link)
{
	return evhttp_request_get_output_buffer(link);
}

static void
send_answer(void *link, const struct answer *a, const struct https_answer *hold)
{
	struct bufferevent *bev = connection_of(link);
	struct evkeyvalq *headers = evhttp_request_get_output_headers(link);

	if (bev != NULL)
		https_answers(bev, evbuffer_get_length(body_of_answer(link)), hold, HTTP_IDLE_US);
	else if (hold != NULL)
		hold->over(hold->ctx);
	for (size_t i = 0; i < a->nheader; i++)
		evhttp_add_header(headers, a->headers[i].name, a->headers[i].value);
	evhttp_send_reply(link, a->status, a->reason, NULL);
}

/* The connection becomes a stream of MQTT; the request is evhttp's no more. */
static void
upgrade(struct request *r)
{
	struct http_loop *hl = r->hl;
	struct ws_conf conf = { .subprotocol = "mqtt" };
	struct fault f = { 0 };

	conf.due_us = https_began_us(connection_of(r->link), loop_now_us(hl->loop)) +
	    hl->o.connect_timeout_us;
	if (ws_take(hl->loop, r->link, &conf, &mqtt_user, hl->o.mqtt, &f) == ERR_OK)
		request_end(r);
	else
		reply_fault(r, &f);
}

/* ---- answers without an end ---- */

static void
on_taken_down(struct evhttp_connection *conn, void *ctx)
{
	(void)ctx;
	https_stream_gone(evhttp_connection_get_bufferevent(conn));
}

static void
begin_stream(void *link, const struct answer *a, void (*gone)(void *ctx), void *ctx)
{
	struct bufferevent *bev = connection_of(link);

	for (size_t i = 0; i < a->nheader; i++)
		evhttp_add_header(evhttp_request_get_output_headers(link), a->headers[i].name,
		    a->headers[i].value);
	evhttp_send_reply_start(link, a->status, a->reason);
	if (bev == NULL) {
		gone(ctx);
		return;
	}
	https_streams(bev, gone, ctx);
	evhttp_connection_set_closecb(evhttp_request_get_connection(link), on_taken_down, NULL);
}

static void
put_to_stream(void *link, struct str bytes, void (*left)(void *ctx), void *ctx)
{
	struct evbuffer *piece = evbuffer_new();
	struct bufferevent *bev = connection_of(link);

	evbuffer_add(piece, bytes.p, bytes.n);
	evhttp_send_reply_chunk(link, piece);
	evbuffer_free(piece);
	if (bev != NULL && left != NULL)
		https_stream_waits(bev, left, ctx);
}

/* Nothing is on its way any more, or will be. */
static void
finish_stream(void *link)
{
	struct bufferevent *bev = connection_of(link);

	if (bev != NULL) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(link), NULL, NULL);
		https_stream_done(bev);
	}
	evhttp_send_reply_end(link);
}

/* The client has left before the last bytes had. A request that still belongs to its connection goes with it. */
static void
drop_request(void *link)
{
	if (evhttp_request_get_connection(link) == NULL)
		evhttp_send_reply_end(link);
}

/*
 * The end is said when all that was put has left: evhttp hears of a write in a later turn of the loop, takes that of an earlier piece for the
 * end's, and closes a connection that is not kept before the rest is out.
 */
static void
end_stream(void *link, bool drop)
{
	struct bufferevent *bev = connection_of(link);

	if (bev == NULL || drop) {
		if (bev != NULL)
			https_drop(bev, REASON_SLOW_READER);
		finish_stream(link);
		return;
	}
	https_stream_over(bev, HTTP_IDLE_US, drop_request, finish_stream, link);
}

static const struct transport by_evhttp = { shown_by_client, body_of_answer, send_answer, upgrade,
	begin_stream, put_to_stream, end_stream };

/* ---- the way in ---- */

static enum http_method
method_of(struct evhttp_request *ev)
{
	switch (evhttp_request_get_command(ev)) {
	case EVHTTP_REQ_GET: return HTTP_GET;
	case EVHTTP_REQ_HEAD: return HTTP_HEAD;
	case EVHTTP_REQ_PUT: return HTTP_PUT;
	case EVHTTP_REQ_POST: return HTTP_POST;
	case EVHTTP_REQ_PATCH: return HTTP_PATCH;
	case EVHTTP_REQ_DELETE: return HTTP_DELETE;
	default: return HTTP_OTHER;
	}
}

/* Borrowed from evhttp, which keeps them until the reply. */
static void
take_headers(struct request *r, struct evhttp_request *ev)
{
	const struct evkeyvalq *all = evhttp_request_get_input_headers(ev);
	struct header *headers;
	size_t n = 0;

	for (const struct evkeyval *h = all->tqh_first; h != NULL; h = h->next.tqe_next)
		n++;
	headers = arena_alloc(&r->arena, (n + 1) * sizeof(*headers));
	n = 0;
	for (const struct evkeyval *h = all->tqh_first; h != NULL; h = h->next.tqe_next)
		headers[n++] = (struct header){ str_of(h->key), str_of(h->value) };
	r->ask.headers = headers;
	r->ask.nheader = n;
}

static void
on_request(struct evhttp_request *ev, void *ctx)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(ev);
	size_t n = evbuffer_get_length(in);
	struct ask ask = {
		.method = method_of(ev),
		.target = https_target(ev),
		.body = { n == 0 ? NULL : (const char *)evbuffer_pullup(in, -1), n },
		.websocket = ws_wanted(ev),
	};
	struct request *r;

	ask.named = https_peer(connection_of(ev), &ask.from);
	ask.fault = https_request_begins(ev);
	r = request_new(ctx, &by_evhttp, ev, &ask);
	take_headers(r, ev);
	request_begin(r);
}

/* ---- the loop's server ---- */

enum err
http_loop_new(struct loop *l, const struct http_options *o, struct http_loop **out)
{
	struct http_loop *hl = xcalloc(1, sizeof(*hl));

	hl->loop = l;
	hl->o = *o;
	if (hl->o.request_timeout_us == 0)
		hl->o.request_timeout_us = HTTP_REQUEST_US;
	if (hl->o.connect_timeout_us == 0)
		hl->o.connect_timeout_us = HTTP_REQUEST_US;
	hl->parser = doc_parser_new(HTTP_BULK_MAX);
	hl->mac = sas_mac_new();
	hl->ev = evhttp_new(loop_base(l));
	*out = hl;
	if (hl->ev == NULL)
		return ERR_IO;
	evhttp_set_allowed_methods(
	    hl->ev, 0xffff); /* else the library answers in HTML; we answer 405 */
	/* What it sees has been measured before: https_conf. A Content-Length may be ours. */
	evhttp_set_max_headers_size(hl->ev, HTTP_HEADERS_MAX + 64);
	evhttp_set_max_body_size(hl->ev, HTTP_READ_MAX);
	evhttp_set_timeout(
	    hl->ev, (int)(HTTP_IDLE_US / 1000000) + 10); /* our own deadlines are sharper */
	evhttp_set_gencb(hl->ev, on_request, hl);
	return ERR_OK;
}

enum err
http_loop_listen(struct http_loop *hl, int fd)
{
	struct https_conf conf = {
		.tls = hl->o.tls,
		.admission = hl->o.admission,
		.proxies = hl->o.proxies,
		.deadline_us = hl->o.request_timeout_us,
		.max_head_bytes = HTTP_HEADERS_MAX,
		.max_body_bytes = HTTP_READ_MAX,
	};

	hl->ports = xrealloc(hl->ports, (hl->nport + 1) * sizeof(*hl->ports));
	if (https_port_new(hl->loop, hl->ev, fd, &conf, &hl->ports[hl->nport]) != ERR_OK)
		return ERR_IO;
	hl->nport++;
	return ERR_OK;
}

void
http_loop_stop(struct http_loop *hl)
{
	hl->stopping = true;
	atomic_store(&hl->stops, true);
	for (unsigned i = 0; i < hl->nport; i++)
		https_port_stop(hl->ports[i]);
	methods_stop(hl);
	answer_streams_stop(hl);
}

uint32_t
http_loop_busy(const struct http_loop *hl)
{
	return hl->nbusy;
}

void
http_loop_free(struct http_loop *hl)
{
	if (hl == NULL)
		return;
	assert(hl->nbusy == 0);
	if (hl->ev != NULL)
		evhttp_free(hl->ev);
	event_base_loop(
	    loop_base(hl->loop), EVLOOP_NONBLOCK); /* libevent frees connections in the next turn */
	for (unsigned i = 0; i < hl->nport; i++)
		https_port_free(hl->ports[i]);
	free(hl->ports);
	slots_fini(&hl->requests);
	doc_parser_free(hl->parser);
	sas_mac_free(hl->mac);
	buf_fini(&hl->doc);
	buf_fini(&hl->shaped);
	buf_fini(&hl->json);
	free(hl);
}
