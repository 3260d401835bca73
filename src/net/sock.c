/*
 * A stream over a descriptor: plain TCP, or TLS by SSL_read and SSL_write on it.
 *
 * TLS reads ahead (one read(2) per wake-up instead of two per record), so decrypted or raw bytes may be inside SSL
 * where epoll cannot see them: whoever stops before SSL_has_pending is false asks for another fill. (Libevent's
 * bufferevents do not ask: they must not read ahead.)
 * Goodbye: close_notify, FIN, then whatever still comes is thrown away until the peer's FIN, since closing
 * with unread input makes a reset, which can overtake the last output.
 */
#include <errno.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/priv.h"

/* A connection from here: who is to hear that it was in vain, and why. */
struct dialled {
	void (*on_failed)(void *ctx, const char *why);
	void *ctx;
	bool connected;
	char why[NET_WHY_MAX];
};

struct sock {
	struct stream s;
	int fd;
	SSL *ssl; /* NULL: plain */
	struct admission *admission;
	struct listener *from;     /* until the handshake is done */
	struct handshake shake;    /* of an accepted one */
	struct proxy *proxy;       /* until the balancer has named its client; NULL: no balancer */
	bool named;                /* admission knows its address */
	struct dialled *dialled;   /* NULL: it was accepted */
	bool broken;               /* TLS failed: SSL may not be written to any more */
	bool write_waits_for_read; /* TLS wants input before it can go on with output */
	struct event readable, writable;
};

static struct sock *
sock_of(const struct stream *s)
{
	return (struct sock *)s; /* s is the first member */
}

/* What a failed SSL_ call means: ERR_MORE (wait), ERR_END (the peer is gone), ERR_IO. */
static enum err
tls_result(struct sock *k, int rc, bool writing)
{
	switch (SSL_get_error(k->ssl, rc)) {
	case SSL_ERROR_WANT_READ: k->write_waits_for_read |= writing; return ERR_MORE;
	case SSL_ERROR_WANT_WRITE: event_add(&k->writable, NULL); return ERR_MORE;
	case SSL_ERROR_ZERO_RETURN: return ERR_END;
	case SSL_ERROR_SYSCALL: /* reset, or FIN without close_notify */
		k->broken = true;
		return ERR_END;
	default:
		k->broken = true;
		return ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING
		    ? ERR_END
		    : ERR_IO;
	}
}

/* What a failed read or write means. */
static enum err
plain_result(void)
{
	switch (errno) {
	case EAGAIN:
	case EINTR: return ERR_MORE;
	case ECONNRESET:
	case EPIPE:
	case ETIMEDOUT: return ERR_END;
	default: return ERR_IO;
	}
}

/* ---- output ---- */

static enum err
write_some(struct sock *k, struct str left, size_t *n)
{
	ssize_t rc;
	int tls_rc;

	if (k->ssl == NULL) {
		rc = send(k->fd, left.p, left.n, MSG_NOSIGNAL);
		*n = rc > 0 ? (size_t)rc : 0;
		if (rc >= 0)
			return ERR_OK;
		if (errno == EAGAIN || errno == EINTR)
			event_add(&k->writable, NULL);
		return plain_result();
	}
	ERR_clear_error();
	tls_rc = SSL_write_ex(k->ssl, left.p, left.n, n);
	if (tls_rc == 1)
		return ERR_OK;
	*n = 0;
	return tls_result(k, tls_rc, true);
}

static enum err
sock_flush(struct stream *s)
{
	struct sock *k = sock_of(s);
	enum err e = ERR_OK;
	size_t n;

	while (e == ERR_OK && s->out_from < s->out.n) {
		struct str left = str_sub(buf_view(&s->out), s->out_from);

		e = write_some(k, left, &n);
		s->out_from += n;
		if (e == ERR_OK && n < left.n &&
		    k->ssl == NULL) { /* the kernel's buffer is full: spare the EAGAIN */
			event_add(&k->writable, NULL);
			e = ERR_MORE;
		}
	}
	return e;
}

/* ---- input ---- */

static void
finish_read(struct sock *k, enum err e)
{
	if (e != ERR_OK && e != ERR_MORE)
		stream_finish(&k->s, e == ERR_END ? STREAM_EOF : STREAM_FAILED);
}

static void
fill_plain(struct sock *k)
{
	char *room = k->s.loop->scratch;
	ssize_t n = recv(k->fd, room, READ_MAX, 0);

	if (n > 0)
		stream_received(&k->s, (struct str){ room, (size_t)n });
	else
		finish_read(k, n == 0 ? ERR_END : plain_result());
}

/* Take what records there are, up to READ_MAX, and hand them over as one. */
static void
fill_tls(struct sock *k)
{
	char *room = k->s.loop->scratch;
	size_t got = 0, n;
	enum err e = ERR_OK;

	do {
		int rc;

		ERR_clear_error();
		rc = SSL_read_ex(k->ssl, room + got, READ_MAX - got, &n);
		if (rc == 1)
			got += n;
		else
			e = tls_result(k, rc, false);
	} while (e == ERR_OK && got < READ_MAX && SSL_has_pending(k->ssl));
	if (got > 0)
		stream_received(&k->s, (struct str){ room, got });
	if (e == ERR_OK && SSL_has_pending(k->ssl))
		stream_fill_later(
		    &k->s); /* others first; after a pause, stream_resume asks again */
	finish_read(k, e);
}

static void
sock_fill(struct stream *s)
{
	struct sock *k = sock_of(s);

	if (k->ssl)
		fill_tls(k);
	else
		fill_plain(k);
	if (k->write_waits_for_read) {
		k->write_waits_for_read = false;
		stream_writable(s);
	}
}

/* The balancer's header is through, or there is no balancer. */
static bool
proxy_passed(struct sock *k)
{
	struct net_addr client;
	enum err e;

	if (k->proxy == NULL)
		return true;
	e = proxy_read(k->fd, k->proxy);
	if (e == ERR_MORE)
		return false;
	if (e == ERR_ARG)
		log_peer(LOG_NOT_ADMITTED, REASON_PROXY_HEADER, &k->s.peer, str_of(k->proxy->why));
	if (e != ERR_OK) {
		stream_finish(&k->s, STREAM_FAILED);
		return false;
	}
	if (proxy_client(k->proxy, &client))
		k->s.peer = client;
	free(k->proxy);
	k->proxy = NULL;
	k->named = k->admission == NULL || admission_name(k->admission, &k->s.peer) == REASON_NONE;
	if (!k->named)
		stream_finish(&k->s, STREAM_FAILED);
	return k->named;
}

static void
opened(struct sock *k)
{
	handshake_end(k->s.loop, &k->shake);
	if (k->from != NULL)
		listener_handshake_done(k->from, true);
	k->from = NULL;
	stream_opened(&k->s);
}

/* Of an accepted one the log tells, of a dialled one who has dialled. */
static void
handshake_failed(struct sock *k, enum err e)
{
	const char *what = ERR_reason_error_string(ERR_peek_error());

	if (k->dialled != NULL)
		why_set(k->dialled->why, "TLS: %s",
		    e == ERR_END       ? "the peer has left"
		        : what != NULL ? what
		                       : "failed");
	else if (e == ERR_END)
		log_peer(LOG_TLS_FAILED, REASON_TLS_LEFT, &k->s.peer, STR_NONE);
	else
		log_peer(LOG_TLS_FAILED, REASON_TLS_FAILED, &k->s.peer, str_of(what));
	stream_finish(&k->s, STREAM_FAILED);
}

static void sock_read_enable(struct stream *s, bool on);

static void
handshake(struct sock *k)
{
	enum err e;
	int rc;

	ERR_clear_error();
	rc = k->dialled != NULL ? SSL_connect(k->ssl) : SSL_accept(k->ssl);
	if (rc == 1) {
		opened(k);
		sock_fill(
		    &k->s); /* the first packet may have come with the last of the handshake */
		return;
	}
	e = tls_result(k, rc, false);
	if (e != ERR_MORE)
		handshake_failed(k, e);
}

/* Is a dialled one through to its peer? An accepted one is. */
static bool
connect_passed(struct sock *k)
{
	socklen_t n = sizeof(int);
	int error = 0;

	if (k->dialled == NULL || k->dialled->connected)
		return true;
	if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
		error = errno;
	if (error != 0) {
		why_set(k->dialled->why, "%s", strerror(error));
		stream_finish(&k->s, STREAM_FAILED);
		return false;
	}
	k->dialled->connected = true;
	sock_read_enable(&k->s, true);
	return true;
}

/* What comes before the first byte that is the owner's. */
static void
open_on(struct sock *k)
{
	if (!proxy_passed(k) || !connect_passed(k))
		return;
	if (k->ssl != NULL)
		handshake(k);
	else
		opened(k);
}

/* After goodbye: until the peer's FIN, or the deadline. */
static void
discard(struct sock *k)
{
	ssize_t n = recv(k->fd, k->s.loop->scratch, READ_MAX, 0);

	if (n == 0 || (n < 0 && plain_result() != ERR_MORE))
		stream_finish(&k->s, STREAM_CLOSED);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct sock *k = arg;

	(void)fd;
	(void)what;
	if (k->s.state == ST_OPENING)
		open_on(k);
	else if (k->s.state == ST_LEAVING)
		discard(k);
	else if (k->s.state == ST_OPEN && !k->s.paused)
		sock_fill(&k->s);
}

/* Also what a read waits for if TLS has to write first. */
static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sock *k = arg;

	(void)fd;
	(void)what;
	if (k->s.state == ST_OPENING) {
		open_on(k);
		return;
	}
	stream_writable(&k->s);
	if (k->ssl && k->s.state == ST_OPEN && !k->s.paused)
		stream_fill_later(&k->s);
}

/* ---- the rest of the kind ---- */

static void
sock_read_enable(struct stream *s, bool on)
{
	struct sock *k = sock_of(s);

	if (on)
		event_add(&k->readable, NULL);
	else
		event_del(&k->readable);
}

static void
sock_goodbye(struct stream *s)
{
	struct sock *k = sock_of(s);

	if (k->ssl && !k->broken) {
		ERR_clear_error();
		SSL_shutdown(
		    k->ssl); /* our half only; if the kernel's buffer is full it is lost, and FIN says it too */
	}
	if (shutdown(k->fd, SHUT_WR))
		stream_finish(s, STREAM_CLOSED);
	else
		sock_read_enable(s, true);
}

static SSL *
sock_ssl(const struct stream *s)
{
	return sock_of(s)->ssl;
}

static void
sock_destroy(struct stream *s)
{
	struct sock *k = sock_of(s);

	event_del(&k->readable);
	event_del(&k->writable);
	handshake_end(s->loop, &k->shake);
	if (k->from) {
		listener_handshake_done(k->from, false);
		if (s->why == STREAM_TIMEOUT && k->proxy != NULL)
			log_peer(LOG_NOT_ADMITTED, REASON_PROXY_HEADER, &s->peer, STR(PROXY_LATE));
		else if (s->why == STREAM_TIMEOUT)
			log_peer(LOG_TLS_FAILED, REASON_TLS_LATE, &s->peer, STR_NONE);
	}
	if (k->dialled != NULL &&
	    !s->told) { /* it may end between its handshake and its user's on_open */
		if (k->dialled->why[0] == '\0')
			why_set(k->dialled->why, "%s",
			    s->why == STREAM_TIMEOUT   ? "no answer in time"
			        : s->why == STREAM_EOF ? "the peer has left"
			                               : "given up");
		k->dialled->on_failed(k->dialled->ctx, k->dialled->why);
	}
	free(k->dialled);
	SSL_free(k->ssl);
	close(k->fd);
	if (k->admission)
		admission_leave(k->admission, k->named ? &s->peer : NULL);
	free(k->proxy);
	free(k);
}

static const struct stream_ops sock_ops = {
	.flush = sock_flush,
	.fill = sock_fill,
	.read_enable = sock_read_enable,
	.goodbye = sock_goodbye,
	.ssl = sock_ssl,
	.destroy = sock_destroy,
};

void
sock_stream_new(struct loop *l, const struct sock_conf *conf)
{
	struct sock *k = xcalloc(1, sizeof *k);

	k->fd = conf->fd;
	k->ssl = conf->ssl;
	k->admission = conf->listen->admission;
	stream_init(&k->s, l, &sock_ops, &conf->listen->limits, &conf->peer);
	stream_set_user(&k->s, conf->listen->user, conf->listen->ctx);
	event_assign(&k->readable, l->base, k->fd, EV_READ | EV_PERSIST, on_readable, k);
	event_assign(&k->writable, l->base, k->fd, EV_WRITE, on_writable, k);
	sock_read_enable(&k->s, true);
	if (conf->listen->deadline_us)
		stream_deadline(&k->s, loop_now_us(l) + conf->listen->deadline_us);
	k->from = conf->from;
	handshake_begin(l, &k->shake, k->fd);
	k->named = !conf->proxied;
	if (conf->proxied)
		k->proxy = xcalloc(1, sizeof(*k->proxy));
	if (k->ssl) {
		SSL_set_read_ahead(k->ssl, 1);
		SSL_set_fd(k->ssl, k->fd);
	} else if (k->proxy == NULL) {
		opened(k);
	}
}

/* ---- dialling ---- */

static int
dial_socket(const struct net_addr *to, char why[NET_WHY_MAX])
{
	struct sockaddr_storage sa;
	socklen_t n = net_addr_put(to, &sa);
	int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0) {
		why_set(why, "no socket: %s", strerror(errno));
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (struct sockaddr *)&sa, n) == 0 || errno == EINPROGRESS)
		return fd;
	why_set(why, "%s", strerror(errno));
	close(fd);
	return -1;
}

enum err
stream_dial(
    struct loop *l, const struct dial_conf *conf, struct stream **out, char why[NET_WHY_MAX])
{
	int fd = dial_socket(&conf->to, why);
	struct sock *k;

	if (fd < 0) {
		SSL_free(conf->ssl);
		return ERR_IO;
	}
	k = xcalloc(1, sizeof *k);
	k->fd = fd;
	k->ssl = conf->ssl;
	k->dialled = xcalloc(1, sizeof(*k->dialled));
	k->dialled->on_failed = conf->on_failed;
	k->dialled->ctx = conf->ctx;
	stream_init(&k->s, l, &sock_ops, &conf->limits, &conf->to);
	stream_set_user(&k->s, conf->user, conf->ctx);
	event_assign(&k->readable, l->base, fd, EV_READ | EV_PERSIST, on_readable, k);
	event_assign(&k->writable, l->base, fd, EV_WRITE, on_writable, k);
	event_add(&k->writable, NULL); /* which says that it is connected, or not */
	if (conf->deadline_us)
		stream_deadline(&k->s, loop_now_us(l) + conf->deadline_us);
	if (k->ssl) {
		SSL_set_read_ahead(k->ssl, 1);
		SSL_set_fd(k->ssl, fd);
	}
	*out = &k->s;
	return ERR_OK;
}
