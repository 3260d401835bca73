/*
 * evhttp over TLS. Libevent accepts and frees these connections; what it has no hook for hangs on their SSL: a
 * record in its ex_data, made with the bufferevent, dies with SSL_free. It counts the connection, holds its absolute
 * deadline, and stands between the bytes and evhttp:
 *
 *   SSL -> input --on_bytes--> raw --framing--> head, held --when they are whole--> input -> evhttp
 *
 * evhttp gets one message at a time, the next one when it has been answered. What is no message becomes one of ours,
 * REFUSED_HEAD, so that the answer to it has its place in the line of answers, and a form like any other.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/framing.h"
#include "net/priv.h"
#include "net/tls.h"

struct https_conn {
	struct https_port *port;
	struct bufferevent *bev;
	struct loop_timer deadline;
	struct handshake shake;
	/* one turn after the making of the bufferevent: it has its descriptor */
	struct event arrived;
	struct net_addr peer;
	size_t waiting;       /* bytes of a request that has not arrived whole */
	bool asked, counted;  /* whether it is admitted; by struct admission */
	bool named;           /* admission knows its address */
	bool told;            /* the log knows why it ends */
	struct proxy *proxy;  /* until the balancer has named its client; NULL: no balancer */
	struct proxied below; /* what takes its header off */
	struct framing framing;
	struct evbuffer *raw, *held;
	bool giving;   /* on_bytes hears of bytes that are given to evhttp */
	bool released; /* no HTTP any more */
	bool refused;
	struct https_fault fault;
	bool shaken, answered; /* the handshake is done; a request has been answered */
	enum reason why;       /* decided here; REASON_NONE: the peer left, or evhttp ended it */
	uint8_t alert;         /* of TLS that was sent or came */
	int64_t accepted_us;
	struct answer answer;
	int64_t idle_us;
	/* of an answer without an end; NULL: it is none, or nobody waits */
	void (*gone)(void *ctx), (*left)(void *ctx);
	void *gone_ctx, *left_ctx;
};

#define REFUSED_HEAD "GET /refused HTTP/1.1\r\nHost: -\r\nConnection: close\r\n\r\n"

/* Requests that are not whole belong to strangers: nobody has looked at their token yet. */
static atomic_size_t all_waiting;

static void
waiting_clear(struct https_conn *c)
{
	atomic_fetch_sub(&all_waiting, c->waiting);
	c->waiting = 0;
}

/* ---- what evhttp gets ---- */

static void
give(struct https_conn *c, struct str bytes)
{
	c->giving = true;
	evbuffer_add(bufferevent_get_input(c->bev), bytes.p, bytes.n);
	c->giving = false;
}

/* The first n bytes of one of our own buffers. */
static void
give_from(struct https_conn *c, struct evbuffer *from, size_t n)
{
	c->giving = true;
	evbuffer_remove_buffer(from, bufferevent_get_input(c->bev), n);
	c->giving = false;
}

static void
refuse(struct https_conn *c, unsigned status, const char *why)
{
	c->refused = true;
	c->fault = (struct https_fault){ status, why };
	evbuffer_drain(c->held, evbuffer_get_length(c->held));
	give(c, STR(REFUSED_HEAD));
}

/*
 * Not through the bufferevent: evhttp would take the callback about these bytes for one about an answer's. Nothing else is on
 * its way: an earlier answer has left, or the framing would rest. Who has no room for one line does not read.
 */
static void
say_continue(struct https_conn *c)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (SSL_write(bufferevent_openssl_get_ssl(c->bev), line, sizeof line - 1) <= 0) {
		c->why = REASON_SLOW_READER;
		loop_timer_set(c->port->loop, &c->deadline, loop_now_us(c->port->loop));
	}
}

/* One step of the framing. False: nothing more for now. */
static bool
pump_step(struct https_conn *c)
{
	struct evbuffer_iovec piece = { 0 };
	size_t n;

	evbuffer_peek(c->raw, -1, NULL, &piece, 1);
	switch (framing_step(&c->framing, (struct str){ piece.iov_base, piece.iov_len }, &n)) {
	case FRAMING_CONTINUE: say_continue(c); break;
	case FRAMING_BODY: evbuffer_add(c->held, piece.iov_base, n); break;
	case FRAMING_WHOLE:
		give(c, buf_view(&c->framing.head));
		give_from(c, c->held, evbuffer_get_length(c->held));
		break;
	case FRAMING_TAKEN: break;
	case FRAMING_MORE: evbuffer_drain(c->raw, n); return evbuffer_get_length(c->raw) > 0;
	case FRAMING_BAD: refuse(c, c->framing.status, c->framing.why); return false;
	case FRAMING_END: return false;
	}
	evbuffer_drain(c->raw, n);
	return true;
}

static void
pump(struct https_conn *c)
{
	while (!c->refused && pump_step(c))
		;
	if (c->refused)
		evbuffer_drain(c->raw, evbuffer_get_length(c->raw));
}

/*
 * The newest n bytes of evhttp's input are not for it to see. Usually they are all that there is. They are copied, as the
 * body is: whoever moves libevent's pieces along keeps 16 KB for each record of TLS, be it of one byte.
 */
static void
take_newest(struct https_conn *c, struct evbuffer *in, size_t n)
{
	size_t old = evbuffer_get_length(in) - n;
	struct evbuffer *given = old > 0 ? evbuffer_new() : NULL;
	struct evbuffer_iovec piece;

	c->giving = true;
	if (old > 0)
		evbuffer_remove_buffer(in, given, old);
	while (evbuffer_get_length(in) > 0) {
		evbuffer_peek(in, -1, NULL, &piece, 1);
		evbuffer_add(c->raw, piece.iov_base, piece.iov_len);
		evbuffer_drain(in, piece.iov_len);
	}
	if (old > 0) {
		evbuffer_add_buffer(in, given);
		evbuffer_free(given);
	}
	c->giving = false;
}

/* What comes behind a whole message stays in the socket: evhttp reads on when it has answered.
 * Over the bound for all strangers together, the one whose bytes came last goes, with the next tick. A
 * connection without a deadline has a request under way: it is not read from for long. */
static void
on_bytes(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct https_conn *c = arg;

	if (info->n_added == 0 || c->giving || c->released)
		return;
	if (loop_timer_is_set(&c->deadline)) {
		c->waiting += info->n_added;
		if (atomic_fetch_add(&all_waiting, info->n_added) + info->n_added >
		    HTTPS_WAITING_MAX) {
			c->why = REASON_REQUEST_BYTES;
			loop_timer_set(c->port->loop, &c->deadline, loop_now_us(c->port->loop));
		}
	}
	take_newest(c, in, info->n_added);
	pump(c);
	if (evbuffer_get_length(c->raw) > 0)
		bufferevent_disable(c->bev, EV_READ);
}

static enum reason
reason_of_end(const struct https_conn *c)
{
	if (c->why != REASON_NONE)
		return c->why;
	if (c->port->stopping)
		return REASON_STOPPING;
	return framing_idle(&c->framing) ? REASON_REQUESTS_DONE : REASON_REQUEST_CUT;
}

/* What the log says of its end. WebSockets speak for themselves, and what was refused has been told. */
static void
conn_told(const struct https_conn *c)
{
	if (c->told || (c->asked && !c->counted && c->port->conf.admission != NULL))
		return; /* admission has told it */
	if (c->released || c->refused)
		return;
	if (c->shaken)
		log_peer(LOG_CLOSED, reason_of_end(c), &c->peer, STR_NONE);
	else if (!c->shaken && c->why != REASON_NONE)
		log_peer(LOG_TLS_FAILED, c->why, &c->peer, STR_NONE);
	else if (!c->shaken && c->alert != 0)
		log_peer(LOG_TLS_FAILED, REASON_TLS_FAILED, &c->peer,
		    str_of(SSL_alert_desc_string_long(c->alert)));
	else if (!c->shaken)
		log_peer(LOG_TLS_FAILED, REASON_TLS_LEFT, &c->peer, STR_NONE);
}

static void
on_output(struct evbuffer *out, const struct evbuffer_cb_info *info, void *arg)
{
	struct https_conn *c = arg;

	answer_left(&c->answer, info->n_deleted);
	if (info->n_deleted != 0 && c->left != NULL && evbuffer_get_length(out) == 0)
		c->left(c->left_ctx);
}

static int conn_index;
static pthread_once_t conn_index_once = PTHREAD_ONCE_INIT;

/* Once; nobody waits any more for what was put. */
static void
stream_gone(struct https_conn *c)
{
	void (*gone)(void *ctx) = c->gone;

	c->gone = c->left = NULL;
	if (gone != NULL)
		gone(c->gone_ctx);
}

static void
conn_free(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct https_conn *c = p;

	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (c == NULL)
		return;
	conn_told(c);
	stream_gone(c);
	answer_over(&c->answer);
	waiting_clear(c);
	loop_timer_clear(c->port->loop, &c->deadline);
	handshake_end(c->port->loop, &c->shake);
	event_del(&c->arrived);
	if (c->counted)
		admission_leave(c->port->conf.admission, c->named ? &c->peer : NULL);
	free(c->proxy);
	framing_fini(&c->framing);
	evbuffer_free(c->raw);
	evbuffer_free(c->held);
	free(c);
}

static void
make_conn_index(void)
{
	conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, conn_free);
}

/*
 * evhttp has let go of it, and it ends in a later turn of the loop: libevent counts down to its end a second time for who asks anything of it
 * until then.
 */
static bool
is_down(const struct https_conn *c)
{
	bufferevent_event_cb on_event;

	bufferevent_getcb(c->bev, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

/* As if the peer had left: evhttp, or who has taken the connection over, cleans up. */
static void
conn_end(struct https_conn *c)
{
	if (!is_down(c))
		bufferevent_trigger_event(c->bev, BEV_EVENT_EOF | BEV_EVENT_READING, 0);
}

static enum err
refuse_proxy(struct https_conn *c, struct str why)
{
	c->told = true;
	log_peer(LOG_NOT_ADMITTED, REASON_PROXY_HEADER, &c->peer, why);
	return ERR_ARG;
}

static void
on_deadline(struct loop_timer *t)
{
	struct https_conn *c = container_of(t, struct https_conn, deadline);
	int64_t now_us = loop_now_us(c->port->loop);

	if (c->answer.leaving &&
	    answer_moves(
	        &c->answer, bufferevent_getfd(c->bev), now_us, c->port->conf.deadline_us)) {
		loop_timer_set(c->port->loop, t, now_us + HTTPS_LOOK_US);
		return;
	}
	if (c->answer.leaving)
		c->why = REASON_SLOW_READER;
	if (c->proxy != NULL)
		(void)refuse_proxy(c, STR(PROXY_LATE));
	else if (c->why == REASON_NONE)
		c->why = !c->shaken                  ? REASON_TLS_LATE
		    : c->answered && c->waiting == 0 ? REASON_REQUEST_IDLE
		                                     : REASON_REQUEST_LATE;
	conn_end(c);
}

/* What TLS reads begins behind the balancer's header. */
static enum err
take_header(void *ctx)
{
	struct https_conn *c = ctx;
	struct net_addr client;
	enum err e = proxy_read(bufferevent_getfd(c->bev), c->proxy);

	if (e == ERR_ARG)
		return refuse_proxy(c, str_of(c->proxy->why));
	if (e != ERR_OK)
		return e;
	if (proxy_client(c->proxy, &client))
		c->peer = client;
	free(c->proxy);
	c->proxy = NULL;
	c->named = c->port->conf.admission == NULL ||
	    admission_name(c->port->conf.admission, &c->peer) == REASON_NONE;
	c->told = !c->named;
	return c->named ? ERR_OK : ERR_FULL;
}

/* The reading half of its SSL is put above the one that libevent has made; the writing half stays. */
static void
await_header(struct https_conn *c)
{
	SSL *ssl = bufferevent_openssl_get_ssl(c->bev);
	BIO *below = SSL_get_rbio(ssl);

	c->proxy = xcalloc(1, sizeof(*c->proxy));
	c->below = (struct proxied){ .header = take_header, .ctx = c };
	BIO_up_ref(below);
	SSL_set0_rbio(ssl, proxied_bio(&c->below, below));
}

/* Ask for admission, once. */
static bool
admitted(struct https_conn *c)
{
	const struct https_conf *conf = &c->port->conf;
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	bool proxied;

	if (c->asked)
		return conf->admission == NULL || c->counted;
	if (getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&sa, &len))
		return conf->admission == NULL;
	c->asked = true;
	c->peer = net_addr_of((struct sockaddr *)&sa);
	proxied = conf->proxies != NULL && nets_have(conf->proxies, &c->peer);
	if (proxied)
		await_header(c);
	c->named = !proxied;
	if (conf->admission == NULL)
		return true;
	c->counted = (proxied ? admission_enter_unknown : admission_enter)(
	                 conf->admission, &c->peer) == REASON_NONE;
	return c->counted;
}

static void
on_arrived(evutil_socket_t fd, short what, void *arg)
{
	struct https_conn *c = arg;

	(void)fd;
	(void)what;
	c->shake.fd = bufferevent_getfd(c->bev);
	if (!admitted(c))
		conn_end(c);
}

/* The hello may be answered in the turn before on_arrived: who is refused shall not cost a signature. */
static int
before_signature(SSL *ssl, void *arg)
{
	(void)ssl;
	return admitted(arg);
}

/* The library sends an alert even then, of its own: that is no failure of the handshake. */
static bool
peer_has_left(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

static void
on_tls_news(const SSL *ssl, int where, int value)
{
	struct https_conn *c = SSL_get_ex_data(ssl, conn_index);

	/* Before the first byte is read, which may be in the turn before on_arrived. */
	if (where & SSL_CB_HANDSHAKE_START && !c->asked)
		(void)admitted(c);
	if (where & SSL_CB_HANDSHAKE_DONE) {
		c->shaken = true;
		handshake_end(c->port->loop, &c->shake);
	} else if (where & SSL_CB_ALERT && !peer_has_left()) {
		c->alert = (uint8_t)value;
	}
}

struct bufferevent *
https_bev(struct event_base *base, void *arg)
{
	static const struct timeval now = { 0, 0 };
	struct https_port *hp = arg;
	struct https_conn *c = xcalloc(1, sizeof *c);
	SSL *ssl = tls_accept(hp->conf.tls, !hp->conf.no_client_cert);

	pthread_once(&conn_index_once, make_conn_index);
	c->port = hp;
	c->deadline.fire = on_deadline;
	c->framing.max_head = hp->conf.max_head_bytes;
	c->framing.max_body = hp->conf.max_body_bytes;
	c->raw = evbuffer_new();
	c->held = evbuffer_new();
	c->bev = bufferevent_openssl_socket_new(
	    base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL || c->raw == NULL || c->held == NULL ||
	    !SSL_set_ex_data(ssl, conn_index, c))
		abort(); /* no memory; NULL would make evhttp go on without TLS */
	SSL_set_cert_cb(ssl, before_signature, c);
	SSL_set_info_callback(ssl, on_tls_news);
	c->accepted_us = loop_now_us(hp->loop);
	handshake_begin(hp->loop, &c->shake, -1);
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	evbuffer_add_cb(bufferevent_get_input(c->bev), on_bytes, c);
	evbuffer_add_cb(bufferevent_get_output(c->bev), on_output, c);
	event_assign(&c->arrived, base, -1, 0, on_arrived, c);
	event_add(&c->arrived, &now);
	if (hp->conf.deadline_us)
		loop_timer_set(
		    hp->loop, &c->deadline, loop_now_us(hp->loop) + hp->conf.deadline_us);
	return c->bev;
}

static struct https_conn *
conn_of(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	return ssl ? SSL_get_ex_data(ssl, conn_index) : NULL;
}

void
https_shown(struct bufferevent *bev, struct tls_peer *out)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	const struct https_conn *c = conn_of(bev);

	memset(out, 0, sizeof *out);
	if (ssl == NULL)
		return;
	tls_peer_of(ssl, out);
	/* since the handshake, which may be a day of requests ago */
	out->revoked = out->revoked || tls_revokes(c->port->conf.tls, ssl);
}

/* The answer has left, or what of it the socket holds: the next message may come. */
static void
on_answered(struct evhttp_request *ev, void *arg)
{
	struct https_conn *c = arg;

	(void)ev;
	answer_over(&c->answer);
	loop_timer_set(c->port->loop, &c->deadline, loop_now_us(c->port->loop) + c->idle_us);
	framing_next(&c->framing);
	pump(c);
}

const struct https_fault *
https_request_begins(struct evhttp_request *ev)
{
	static const struct https_fault unclear = { 400, "it is not clear where the request ends" };
	struct bufferevent *bev =
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev));
	struct https_conn *c = conn_of(bev);

	if (c == NULL)
		return NULL;
	evhttp_request_set_on_complete_cb(ev, on_answered, c);
	waiting_clear(c);
	loop_timer_clear(c->port->loop, &c->deadline);
	if (c->refused)
		return &c->fault;
	/* Two readers, one opinion: evhttp has taken all that it was given, and there is no more to this message. */
	if (framing_ended(&c->framing) && evbuffer_get_length(bufferevent_get_input(bev)) == 0)
		return NULL;
	c->refused = true;
	c->fault = unclear;
	return &c->fault;
}

void
https_answers(struct bufferevent *bev, size_t bytes, const struct https_answer *a, int64_t idle_us)
{
	struct https_conn *c = conn_of(bev);

	if (c == NULL) {
		if (a != NULL)
			a->over(a->ctx);
		return;
	}
	c->answered = true;
	answer_begins(&c->answer, bytes, a, loop_now_us(c->port->loop));
	c->idle_us = idle_us;
	loop_timer_set(c->port->loop, &c->deadline, loop_now_us(c->port->loop) + HTTPS_LOOK_US);
}

void
https_streams(struct bufferevent *bev, void (*gone)(void *ctx), void *ctx)
{
	struct https_conn *c = conn_of(bev);

	bufferevent_set_timeouts(bev, NULL, NULL); /* nothing may pass for as long as it likes */
	bufferevent_enable(bev, EV_READ);          /* to hear when it has left */
	if (c == NULL)
		return;
	c->answered = true;
	c->gone = gone;
	c->gone_ctx = ctx;
}

void
https_stream_gone(struct bufferevent *bev)
{
	struct https_conn *c = conn_of(bev);

	if (c != NULL)
		stream_gone(c);
}

void
https_stream_waits(struct bufferevent *bev, void (*left)(void *ctx), void *ctx)
{
	struct https_conn *c = conn_of(bev);

	if (c == NULL)
		return;
	c->left = left;
	c->left_ctx = ctx;
	if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
		left(ctx);
}

void
https_stream_over(struct bufferevent *bev, int64_t idle_us, void (*gone)(void *ctx),
    void (*left)(void *ctx), void *ctx)
{
	struct https_conn *c = conn_of(bev);

	if (c == NULL) {
		left(ctx);
		return;
	}
	c->gone = gone;
	c->gone_ctx = ctx;
	https_answers(bev, evbuffer_get_length(bufferevent_get_output(bev)), NULL, idle_us);
	https_stream_waits(bev, left, ctx);
}

void
https_stream_done(struct bufferevent *bev)
{
	struct https_conn *c = conn_of(bev);

	if (c != NULL)
		c->gone = c->left = NULL;
}

void
https_drop(struct bufferevent *bev, enum reason why)
{
	struct https_conn *c = conn_of(bev);

	if (c == NULL)
		return;
	c->why = why;
	answer_over(&c->answer);
	loop_timer_set(c->port->loop, &c->deadline, loop_now_us(c->port->loop));
}

void
https_release(struct bufferevent *bev)
{
	struct https_conn *c = conn_of(bev);

	if (c == NULL)
		return;
	waiting_clear(c);
	loop_timer_clear(c->port->loop, &c->deadline);
	c->released = true;
	framing_next(&c->framing);
	give_from(c, c->raw, evbuffer_get_length(c->raw));
}

int64_t
https_began_us(struct bufferevent *bev, int64_t now_us)
{
	const struct https_conn *c = conn_of(bev);

	return c != NULL && !c->answered ? c->accepted_us : now_us;
}

struct str
https_target(struct evhttp_request *ev)
{
	struct https_conn *c =
	    conn_of(evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)));

	return c != NULL ? buf_view(&c->framing.target) : str_of(evhttp_request_get_uri(ev));
}

bool
https_peer(struct bufferevent *bev, struct net_addr *out)
{
	const struct https_conn *c = conn_of(bev);

	if (c == NULL || !c->asked)
		return false;
	*out = c->peer;
	return true;
}
