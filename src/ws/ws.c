/*
 * Frames as a stream. wslay's frame layer cuts and unmasks (4.3 KB a connection instead of 9.4 for its event
 * layer); what may follow what is decided here, as a message is passed on piece by piece and never gathered.
 *
 * The connection belongs to evhttp, which frees it: through evhttp_connection_free from an event of its own, since
 * evhttp may be on the stack of any callback. So a struct ws outlives its stream:
 *
 *   stream alive --ws_destroy--> draining the last frames (2 s) --> evhttp_connection_free --on_gone--> freed
 *
 * and if evhttp goes first (evhttp_free), on_gone ends the stream.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "ws/priv.h"

#define CONTROL_MAX 125        /* bytes of payload in a control frame: RFC 6455, 5.5 */
#define FOREVER_S   (1L << 30) /* evhttp's timeouts do not go away by NULL */

enum { CLOSE_NORMAL = 1000, CLOSE_PROTOCOL = 1002, CLOSE_UNSUPPORTED = 1003 };

struct ws {
	struct stream s;
	struct evhttp_connection *evcon; /* NULL: evhttp has freed it, bev too */
	struct bufferevent *bev;
	wslay_frame_context_ptr frames;
	uint64_t left;             /* payload bytes of the current frame to come */
	bool in_frame, in_message; /* in_message: between the frames of a message in parts */
	bool close_sent;           /* and it must leave before the connection ends */
	bool leaving;              /* ours was the first Close: the peer's is awaited */
	bool ended;                /* stream_finish was called here */
	bool orphan;               /* the stream is gone */
	uint8_t opcode, ncontrol;
	uint8_t control[CONTROL_MAX];
	struct buf frame; /* being composed */
	struct loop *loop;
	struct event later;
	struct loop_timer patience;
};

static struct ws *
ws_of(const struct stream *s)
{
	return (struct ws *)s; /* s is the first member */
}

static void
ws_end(struct ws *w, enum stream_end why)
{
	w->ended = true;
	stream_finish(&w->s, why);
}

/* ---- output ---- */

static ssize_t
frames_send(const uint8_t *p, size_t n, int flags, void *arg)
{
	struct ws *w = arg;

	(void)flags;
	buf_put(&w->frame, p, n);
	return (ssize_t)n;
}

/* One whole frame, handed to the bufferevent in one piece: with TLS each piece would be a record. */
static void
send_frame(struct ws *w, uint8_t opcode, struct str payload)
{
	struct wslay_frame_iocb io = { .fin = 1, .opcode = opcode, .payload_length = payload.n };
	ssize_t n;

	do {
		io.data = (const uint8_t *)payload.p;
		io.data_length = payload.n;
		n = wslay_frame_send(w->frames, &io);
		assert(n >= 0); /* frames_send takes everything */
		payload = str_sub(payload, (size_t)n);
	} while (payload.n > 0);
	bufferevent_write(w->bev, w->frame.p, w->frame.n);
	buf_fini(&w->frame);
}

static size_t
ws_below(const struct stream *s)
{
	const struct ws *w = ws_of(s);

	return w->bev ? evbuffer_get_length(bufferevent_get_output(w->bev)) : 0;
}

/* What the owner wrote in a turn is one message. */
static enum err
ws_flush(struct stream *s)
{
	struct ws *w = ws_of(s);

	if (w->bev == NULL)
		return ERR_END;
	if (s->out_from < s->out.n)
		send_frame(w, WSLAY_BINARY_FRAME, str_sub(buf_view(&s->out), s->out_from));
	s->out_from = s->out.n;
	return ERR_OK;
}

static void
send_close(struct ws *w, unsigned code)
{
	char payload[2] = { (char)(code >> 8), (char)code };

	if (w->close_sent)
		return;
	w->close_sent = true;
	ws_flush(&w->s); /* nothing may follow a Close */
	send_frame(w, WSLAY_CONNECTION_CLOSE, (struct str){ payload, 2 });
}

/* ---- input ---- */

static ssize_t
frames_recv(uint8_t *p, size_t n, int flags, void *arg)
{
	struct ws *w = arg;
	int got = evbuffer_remove(bufferevent_get_input(w->bev), p, n);

	(void)flags;
	return got > 0 ? got : -1; /* -1: no more for now */
}

/* 0 if a frame with this header may come now, else the code to close with. */
static unsigned
frame_fault(const struct ws *w, const struct wslay_frame_iocb *io)
{
	if (!io->mask || io->rsv)
		return CLOSE_PROTOCOL;
	switch (io->opcode) {
	case WSLAY_CONTINUATION_FRAME: return w->in_message ? 0 : CLOSE_PROTOCOL;
	case WSLAY_BINARY_FRAME: return w->in_message ? CLOSE_PROTOCOL : 0;
	case WSLAY_TEXT_FRAME: return CLOSE_UNSUPPORTED;
	case WSLAY_CONNECTION_CLOSE:
	case WSLAY_PING:
	case WSLAY_PONG: return io->fin && io->payload_length <= CONTROL_MAX ? 0 : CLOSE_PROTOCOL;
	default: return CLOSE_PROTOCOL;
	}
}

static bool
close_code_valid(unsigned code)
{
	return (code >= 1000 && code <= 1011 && code != 1004 && code != 1005 && code != 1006) ||
	    (code >= 3000 && code <= 4999);
}

/* The peer says goodbye, or answers ours. */
static void
on_close_frame(struct ws *w)
{
	unsigned code = CLOSE_NORMAL;

	if (w->ncontrol >= 2)
		code = (unsigned)w->control[0] << 8 | w->control[1];
	send_close(w, w->ncontrol == 1 || !close_code_valid(code) ? CLOSE_PROTOCOL : code);
	ws_end(w, STREAM_EOF);
}

static void
on_control_frame(struct ws *w)
{
	if (w->opcode == WSLAY_CONNECTION_CLOSE) {
		on_close_frame(w);
	} else if (w->opcode == WSLAY_PING && !w->close_sent) {
		if (stream_pending_output(&w->s) >
		    w->s.max_out) /* who only pings and never reads */
			ws_end(w, STREAM_OVERFLOW);
		else
			send_frame(w, WSLAY_PONG, (struct str){ (char *)w->control, w->ncontrol });
	}
}

static void
on_payload(struct ws *w, const struct wslay_frame_iocb *io)
{
	if (wslay_is_ctrl_frame(w->opcode)) {
		bytes_copy(w->control + w->ncontrol, io->data,
		    io->data_length); /* frame_fault has checked the length */
		w->ncontrol += (uint8_t)io->data_length;
	} else if (!w->close_sent && io->data_length > 0) {
		stream_received(&w->s, (struct str){ (const char *)io->data, io->data_length });
	}
}

static void
begin_frame(struct ws *w, const struct wslay_frame_iocb *io)
{
	w->in_frame = true;
	w->left = io->payload_length;
	w->opcode = io->opcode;
	w->ncontrol = 0;
	if (!wslay_is_ctrl_frame(io->opcode))
		w->in_message = !io->fin;
}

/* One piece from wslay: the start of a frame, the rest of one, or both. False: nothing more to be had. */
static bool
take_piece(struct ws *w)
{
	struct wslay_frame_iocb io;
	ssize_t n = wslay_frame_recv(w->frames, &io);
	unsigned fault = 0;

	if (n == WSLAY_ERR_WANT_READ)
		return false;
	if (n < 0)
		fault = CLOSE_PROTOCOL;
	else if (!w->in_frame)
		fault = frame_fault(w, &io);
	if (fault) {
		send_close(w, fault);
		ws_end(w, STREAM_PROTOCOL);
		return false;
	}
	if (!w->in_frame)
		begin_frame(w, &io);
	w->left -= io.data_length;
	w->in_frame = w->left > 0;
	on_payload(w, &io);
	if (!w->in_frame && wslay_is_ctrl_frame(w->opcode))
		on_control_frame(w);
	return true;
}

static bool
may_take(const struct ws *w)
{
	return w->bev && !w->ended && (w->leaving || (stream_is_open(&w->s) && !w->s.paused));
}

static void
ws_fill(struct stream *s)
{
	struct ws *w = ws_of(s);

	while (may_take(w) && take_piece(w))
		;
}

/* ---- libevent's callbacks while the stream lives ---- */

static void
on_readable(struct bufferevent *bev, void *arg)
{
	(void)bev;
	ws_fill(arg);
}

static void
on_drained(struct bufferevent *bev, void *arg)
{
	(void)bev;
	stream_writable(arg);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
		ws_end(arg, what & BEV_EVENT_EOF ? STREAM_EOF : STREAM_FAILED);
}

/* ---- and after it ---- */

/* evhttp frees the connection, by our wish or by its own. */
static void
on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct ws *w = arg;

	(void)evcon;
	w->evcon = NULL;
	w->bev = NULL;
	event_del(&w->later);
	loop_timer_clear(w->loop, &w->patience);
	if (w->orphan) {
		wslay_frame_context_free(w->frames);
		free(w);
	} else {
		ws_end(w, STREAM_SHUTDOWN);
	}
}

static void
on_later(evutil_socket_t fd, short what, void *arg)
{
	struct ws *w = arg;

	(void)fd;
	(void)what;
	evhttp_connection_free(w->evcon); /* on_gone frees w */
}

static void
free_later(struct ws *w)
{
	static const struct timeval now = { 0, 0 };

	event_add(&w->later, &now);
}

static void
on_impatient(struct loop_timer *t)
{
	free_later(container_of(t, struct ws, patience));
}

static void
on_orphan_readable(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);

	(void)arg;
	evbuffer_drain(in, evbuffer_get_length(in));
}

static void
on_orphan_drained(struct bufferevent *bev, void *arg)
{
	(void)bev;
	free_later(arg);
}

static void
on_orphan_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	(void)what;
	free_later(arg);
}

/* ---- the rest of the kind ---- */

static void
ws_read_enable(struct stream *s, bool on)
{
	struct ws *w = ws_of(s);

	if (w->bev == NULL)
		return;
	if (on)
		bufferevent_enable(w->bev, EV_READ);
	else
		bufferevent_disable(w->bev, EV_READ);
}

static void
ws_goodbye(struct stream *s)
{
	struct ws *w = ws_of(s);

	w->leaving = true;
	send_close(w, CLOSE_NORMAL);
	ws_read_enable(s, true);
	ws_fill(s); /* what has come meanwhile: no event will tell */
}

static SSL *
ws_ssl(const struct stream *s)
{
	const struct ws *w = ws_of(s);

	return w->bev ? bufferevent_openssl_get_ssl(w->bev) : NULL;
}

static void
ws_destroy(struct stream *s)
{
	struct ws *w = ws_of(s);

	w->orphan = true;
	if (w->evcon == NULL) {
		wslay_frame_context_free(w->frames);
		free(w);
		return;
	}
	bufferevent_setcb(w->bev, on_orphan_readable, on_orphan_drained, on_orphan_event, w);
	if (w->close_sent && ws_below(s) > 0) {
		bufferevent_enable(w->bev, EV_READ);
		loop_timer_set(w->loop, &w->patience, loop_now_us(w->loop) + STREAM_LINGER_US);
	} else {
		free_later(w);
	}
}

static const struct stream_ops ws_ops = {
	.flush = ws_flush,
	.fill = ws_fill,
	.read_enable = ws_read_enable,
	.goodbye = ws_goodbye,
	.below = ws_below,
	.ssl = ws_ssl,
	.destroy = ws_destroy,
	.websocket = true,
};

/* ---- the take-over ---- */

static struct net_addr
peer_of(struct bufferevent *bev)
{
	struct sockaddr_storage sa = { 0 };
	socklen_t len = sizeof sa;
	struct net_addr a;

	if (https_peer(bev, &a)) /* a balancer has named it, perhaps */
		return a;
	getpeername(bufferevent_getfd(bev), (struct sockaddr *)&sa, &len);
	return net_addr_of((struct sockaddr *)&sa);
}

static struct ws *
ws_new(struct loop *l, struct evhttp_connection *evcon)
{
	static const struct wslay_frame_callbacks callbacks = { frames_send, frames_recv, NULL };
	struct ws *w = xcalloc(1, sizeof *w);

	if (wslay_frame_context_init(&w->frames, &callbacks, w))
		abort(); /* no memory */
	w->loop = l;
	w->evcon = evcon;
	w->bev = evhttp_connection_get_bufferevent(evcon);
	w->patience.fire = on_impatient;
	event_assign(&w->later, loop_base(l), -1, 0, on_later, w);
	return w;
}

/* evhttp knows the request as one that will be answered some day. */
static void
take_bufferevent(struct ws *w)
{
	static const struct timeval forever = { FOREVER_S, 0 };

	https_release(w->bev);
	bufferevent_setcb(w->bev, on_readable, on_drained, on_event, w);
	bufferevent_set_timeouts(w->bev, &forever, &forever);
	bufferevent_enable(w->bev, EV_READ | EV_WRITE);
	evhttp_connection_set_closecb(w->evcon, on_gone, w);
}

enum err
ws_take(struct loop *l, struct evhttp_request *req, const struct ws_conf *conf,
    const struct stream_user *user, void *ctx, struct fault *f)
{
	struct buf head = { 0 };
	struct net_addr peer;
	struct ws *w;
	enum err e = upgrade_answer(req, conf->subprotocol, &head, f);

	if (e) {
		buf_fini(&head);
		return e;
	}
	w = ws_new(l, evhttp_request_get_connection(req));
	bufferevent_write(w->bev, head.p, head.n);
	buf_fini(&head);
	peer = peer_of(w->bev);
	stream_init(&w->s, l, &ws_ops, &conf->limits, &peer);
	stream_set_user(&w->s, user, ctx);
	take_bufferevent(w);
	if (conf->due_us)
		stream_deadline(&w->s, conf->due_us);
	stream_opened(&w->s);
	stream_fill_later(&w->s); /* frames may have come with the request */
	return ERR_OK;
}
