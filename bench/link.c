#include "link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *
tls_context(const char *ca_file)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	if (c == NULL || SSL_CTX_load_verify_file(c, ca_file) != 1) {
		fprintf(stderr, "bench: cannot use the CA file %s\n", ca_file);
		exit(2);
	}
	SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_mode(c,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	        SSL_MODE_ENABLE_PARTIAL_WRITE);
	return c;
}

void
target_init(struct target *t, const char *host, int port, const char *ca_file, const char *name)
{
	*t = (struct target){ .name = name };
	t->to.sin_family = AF_INET;
	t->to.sin_port = htons((uint16_t)port);
	if (inet_pton(AF_INET, host, &t->to.sin_addr) != 1) {
		fprintf(stderr, "bench: %s is not an IPv4 address\n", host);
		exit(2);
	}
	if (ca_file != NULL)
		t->tls = tls_context(ca_file);
}

void
target_fini(struct target *t)
{
	SSL_CTX_free(t->tls);
	t->tls = NULL;
}

/* Many source addresses: short connections by the million would use up the ports of one. */
static void
choose_source(int fd, const struct target *t, unsigned nth)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	unsigned i = nth % t->nsource;
	int on = 1;

	from.sin_addr.s_addr = htonl(0x7f640001u + ((i / 200) << 8) + i % 200); /* 127.100.x.y */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		perror("bench: bind");
}

static void
watch(struct link *l, int op, bool out)
{
	struct epoll_event ev = { .events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = l->owner };

	epoll_ctl(l->epoll, op, l->fd, &ev);
	l->wants_out = out;
}

enum err
link_open(struct link *l, const struct target *t, unsigned nth, int epoll, void *owner)
{
	int on = 1;

	l->owner = owner;
	l->epoll = epoll;
	l->out.n = l->sent = 0;
	l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return ERR_IO;
	setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (t->nsource > 0)
		choose_source(l->fd, t, nth);
	if (connect(l->fd, (const struct sockaddr *)&t->to, sizeof(t->to)) != 0 &&
	    errno != EINPROGRESS) {
		close(l->fd);
		return ERR_IO;
	}
	l->state = LINK_CONNECTING;
	watch(l, EPOLL_CTL_ADD, true);
	return ERR_OK;
}

static enum err
start_tls(struct link *l, const struct target *t)
{
	struct in_addr ip;

	l->ssl = SSL_new(t->tls);
	if (l->ssl == NULL || SSL_set_fd(l->ssl, l->fd) != 1)
		return ERR_IO;
	if (inet_pton(AF_INET, t->name, &ip) == 1) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(l->ssl), t->name);
	} else {
		SSL_set1_host(l->ssl, t->name);
		SSL_set_tlsext_host_name(l->ssl, t->name);
	}
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
link_advance(struct link *l, const struct target *t)
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
