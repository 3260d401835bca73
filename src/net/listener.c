/* Listeners of streams. One per loop and address; the kernel spreads connections over them (SO_REUSEPORT). */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/priv.h"

#define ACCEPTS_PER_TURN 64 /* in a storm, handshakes go on between them */

struct listener {
	struct loop *loop;
	struct listen_conf conf;
	struct listen_stats stats;
	int fd, spare_fd;
	uint32_t nhandshake; /* they hold a pointer here */
	bool freed;
	bool resting, full; /* for want of descriptors; the loop has its handshakes */
	struct event *readable;
	struct loop_timer rest;
	struct acceptor acceptor;
};

int
listen_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void
listen_shed(int fd, int *spare_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	struct net_addr peer;
	int c;

	if (*spare_fd >= 0)
		close(*spare_fd);
	c = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c >= 0) {
		close(c);
		peer = net_addr_of((struct sockaddr *)&sa);
		log_peer(LOG_NOT_ADMITTED, REASON_NO_DESCRIPTORS, &peer, STR_NONE);
	}
	*spare_fd = listen_spare();
}

static enum reason
admit(struct admission *g, const struct sock_conf *sc)
{
	return sc->proxied ? admission_enter_unknown(g, &sc->peer) : admission_enter(g, &sc->peer);
}

static void
take(struct listener *ln, int fd, const struct sockaddr *sa)
{
	struct sock_conf sc = {
		.fd = fd, .from = ln, .listen = &ln->conf, .peer = net_addr_of(sa)
	};

	sc.proxied = ln->conf.proxies != NULL && nets_have(ln->conf.proxies, &sc.peer);
	if (ln->conf.admission && admit(ln->conf.admission, &sc) != REASON_NONE) {
		ln->stats.nrefused++;
		close(fd);
		return;
	}
	ln->stats.naccept++;
	ln->nhandshake++;
	if (ln->conf.make_ssl != NULL)
		sc.ssl = ln->conf.make_ssl(ln->conf.ctx);
	else if (ln->conf.tls)
		sc.ssl = tls_accept(ln->conf.tls, !ln->conf.no_client_cert);
	sock_stream_new(ln->loop, &sc);
}

static void
listen_or_not(struct listener *ln)
{
	if (ln->resting || ln->full)
		event_del(ln->readable);
	else
		event_add(ln->readable, NULL);
}

static void
rest(struct listener *ln)
{
	ln->resting = true;
	listen_or_not(ln);
	loop_timer_set(ln->loop, &ln->rest, loop_now_us(ln->loop) + LISTEN_REST_US);
}

static void
on_rested(struct loop_timer *t)
{
	struct listener *ln = container_of(t, struct listener, rest);

	ln->resting = false;
	listen_or_not(ln);
}

static void
on_full(struct acceptor *a, bool full)
{
	struct listener *ln = container_of(a, struct listener, acceptor);

	ln->full = full;
	listen_or_not(ln);
}

static void
on_connection(evutil_socket_t fd, short what, void *arg)
{
	struct listener *ln = arg;

	(void)what;
	for (int i = 0; i < ACCEPTS_PER_TURN && !handshakes_full(ln->loop); i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof sa;
		int c = accept4(fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (c >= 0) {
			take(ln, c, (struct sockaddr *)&sa);
		} else if (errno == EAGAIN) {
			return;
		} else if (errno != ECONNABORTED &&
		    errno != EINTR) { /* EMFILE, ENFILE, ENOMEM, ENOBUFS */
			ln->stats.nemfile++;
			listen_shed(fd, &ln->spare_fd);
			rest(ln);
			return;
		}
	}
}

enum err
listener_new(struct loop *l, int fd, const struct listen_conf *conf, struct listener **out)
{
	struct listener *ln;

	if (listen(fd, LISTEN_BACKLOG)) {
		close(fd);
		return ERR_IO;
	}
	ln = xcalloc(1, sizeof *ln);
	ln->loop = l;
	ln->conf = *conf;
	ln->fd = fd;
	ln->spare_fd = listen_spare();
	ln->rest.fire = on_rested;
	ln->readable = event_new(l->base, fd, EV_READ | EV_PERSIST, on_connection, ln);
	if (ln->readable == NULL || event_add(ln->readable, NULL)) {
		listener_free(ln);
		return ERR_IO;
	}
	ln->acceptor.rest = on_full;
	acceptor_join(l, &ln->acceptor);
	*out = ln;
	return ERR_OK;
}

static void
listener_drop(struct listener *ln)
{
	if (ln->freed && ln->nhandshake == 0)
		free(ln);
}

void
listener_handshake_done(struct listener *ln, bool ok)
{
	ln->nhandshake--;
	ln->stats.nhandshake_failed += !ok;
	listener_drop(ln);
}

void
listener_free(struct listener *ln)
{
	if (ln == NULL)
		return;
	acceptor_leave(&ln->acceptor);
	loop_timer_clear(ln->loop, &ln->rest);
	if (ln->readable)
		event_free(ln->readable);
	close(ln->fd);
	if (ln->spare_fd >= 0)
		close(ln->spare_fd);
	ln->freed = true;
	listener_drop(ln);
}

struct listen_stats
listener_stats(const struct listener *ln)
{
	return ln->stats;
}
