#include "device/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

bool
link_target_of(
    struct link_target *t, const char *address, uint16_t port, SSL_CTX *tls, const char *name)
{
	*t = (struct link_target){ .name = name, .tls = tls };
	if (inet_pton(AF_INET, address, &t->to.v4.sin_addr) == 1) {
		t->to.v4.sin_family = AF_INET;
		t->to.v4.sin_port = htons(port);
		t->nto = sizeof(t->to.v4);
	} else if (inet_pton(AF_INET6, address, &t->to.v6.sin6_addr) == 1) {
		t->to.v6.sin6_family = AF_INET6;
		t->to.v6.sin6_port = htons(port);
		t->nto = sizeof(t->to.v6);
	} else {
		return false;
	}
	if (tls == NULL)
		return true;
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_mode(tls,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	        SSL_MODE_ENABLE_PARTIAL_WRITE);
	return true;
}

/* Many source addresses: short connections by the million would use up the ports of one. */
static void
choose_source(int fd, const struct link_target *t, unsigned nth)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	unsigned i = nth % t->nsource;
	int on = 1;

	from.sin_addr.s_addr = htonl(0x7f640001u + ((i / 200) << 8) + i % 200); /* 127.100.x.y */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		perror("bind");
}

static void
watch(struct link *l, int op, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = l->owner };

	epoll_ctl(l->epoll, op, l->fd, &ev);
	l->wants_out = out;
}

enum err
link_open(struct link *l, const struct link_target *t, unsigned nth, int epoll, void *owner)
{
	int on = 1;

	l->owner = owner;
	l->epoll = epoll;
	l->out.n = l->sent = 0;
	l->fd = socket(t->to.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return ERR_IO;
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (t->nsource > 0)
		choose_source(l->fd, t, nth);
	if (connect(l->fd, &t->to.any, t->nto) != 0 && errno != EINPROGRESS) {
		close(l->fd);
		return ERR_IO;
	}
	l->state = LINK_CONNECTING;
	watch(l, EPOLL_CTL_ADD, true);
	return ERR_OK;
}

static enum err
start_tls(struct link *l, const struct link_target *t)
{
	unsigned char ip[16];
	bool digits = inet_pton(AF_INET, t->name, ip) == 1 || inet_pton(AF_INET6, t->name, ip) == 1;

	l->ssl = SSL_new(t->tls);
	if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1)
		return ERR_IO;
	if (t->pinned)
		X509_VERIFY_PARAM_set_flags(
		    SSL_get0_param(l->ssl), X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	else if (digits)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->ssl), t->name);
	else
		SSL_set1_host(l->ssl, t->name);
	if (!digits)
		SSL_set_tlsext_host_name(l->ssl, t->name);
	SSL_set_connect_state(l->ssl);
	l->state = LINK_HANDSHAKE;
	return ERR_OK;
}

static enum err
handshake(struct link *l)
{
	int r, why;

	ERR_clear_error();
	r = SSL_do_handshake(l->ssl);
	if (r == 1) {
		l->state = LINK_OPEN;
		return ERR_OK;
	}
	why = SSL_get_error(l->ssl, r);
	if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
		return ERR_IO;
	if (l->wants_out != (why == SSL_ERROR_WANT_WRITE))
		watch(l, EPOLL_CTL_MOD, why == SSL_ERROR_WANT_WRITE);
	return ERR_OK;
}

enum err
link_advance(struct link *l, const struct link_target *t)
{
	int failed = 0;
	socklen_t n = sizeof(failed);

	if (l->state == LINK_CONNECTING) {
		if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &failed, &n) != 0 || failed != 0) {
			errno = failed;
			return ERR_IO;
		}
		if (t->tls == NULL)
			l->state = LINK_OPEN;
		else if (start_tls(l, t) != ERR_OK)
			return ERR_IO;
	}
	return l->state == LINK_HANDSHAKE ? handshake(l) : ERR_OK;
}

ssize_t
link_read(struct link *l, void *p, size_t n)
{
	ssize_t r;
	int why;

	if (l->ssl == NULL) {
		r = read(l->fd, p, n);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		return r > 0 ? r : -1;
	}
	ERR_clear_error();
	r = SSL_read(l->ssl, p, (int)n);
	if (r > 0)
		return r;
	why = SSL_get_error(l->ssl, (int)r);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

bool
link_has_more(const struct link *l)
{
	return l->ssl != NULL && SSL_has_pending(l->ssl);
}

/* Bytes written; 0: the socket is full; -1: the peer is gone. */
static ssize_t
write_some(struct link *l, const char *p, size_t n)
{
	ssize_t w;
	int why;

	if (l->ssl == NULL) {
		w = send(l->fd, p, n, MSG_NOSIGNAL);
		return w < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : w;
	}
	ERR_clear_error();
	w = SSL_write(l->ssl, p, (int)n);
	if (w > 0)
		return w;
	why = SSL_get_error(l->ssl, (int)w);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

enum err
link_flush(struct link *l)
{
	ssize_t w = 1;

	while (l->sent < l->out.n && w > 0) {
		w = write_some(l, l->out.p + l->sent, l->out.n - l->sent);
		if (w < 0)
			return ERR_IO;
		l->sent += (size_t)w;
	}
	if (l->sent == l->out.n)
		l->sent = l->out.n = 0;
	if (l->wants_out != (l->out.n > 0))
		watch(l, EPOLL_CTL_MOD, l->out.n > 0);
	return ERR_OK;
}

void
link_close(struct link *l)
{
	SSL_free(l->ssl);
	l->ssl = NULL;
	close(l->fd);
	buf_fini(&l->out);
	l->sent = 0;
	l->state = LINK_CLOSED;
}
