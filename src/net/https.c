/*
 * evhttp over TLS. Libevent accepts and frees these connections; what it has no hook for hangs on their SSL: a
 * record in its ex_data, made with the bufferevent, dies with SSL_free. It counts the connection and
 * holds its absolute deadline.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event_struct.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/priv.h"

struct https_port {
	struct loop *loop;
	struct https_conf conf;
	struct evconnlistener *listener; /* evhttp's */
	int spare_fd;
	struct loop_timer rest;
	struct https_port *next;
};

/* A listener's argument is evhttp's, so its error callback finds the port here. */
static struct https_port *ports;
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

struct https_conn {
	struct https_port *port;
	struct bufferevent *bev;
	struct loop_timer deadline;
	struct event
	    arrived; /* one turn after the making of the bufferevent: it has its descriptor */
	struct net_addr peer;
	size_t waiting; /* bytes of a request that has not arrived whole */
	bool asked, counted;
};

/* Requests that are not whole belong to strangers: nobody has looked at their token yet. */
static atomic_size_t all_waiting;

static void
waiting_clear(struct https_conn *c)
{
	atomic_fetch_sub(&all_waiting, c->waiting);
	c->waiting = 0;
}

/* Over the bound for all strangers together, the one whose bytes came last goes, with the next tick. Connections without
 * a deadline are a WebSocket's, whose bytes are counted there. */
static void
on_bytes(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct https_conn *c = arg;

	(void)in;
	if (info->n_added == 0 || !loop_timer_is_set(&c->deadline))
		return;
	c->waiting += info->n_added;
	if (atomic_fetch_add(&all_waiting, info->n_added) + info->n_added > HTTPS_WAITING_MAX)
		loop_timer_set(c->port->loop, &c->deadline, loop_now_us(c->port->loop));
}

static int conn_index;
static pthread_once_t conn_index_once = PTHREAD_ONCE_INIT;

static void
conn_free(void *parent, void *p, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct https_conn *c = p;

	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (c == NULL)
		return;
	waiting_clear(c);
	loop_timer_clear(c->port->loop, &c->deadline);
	event_del(&c->arrived);
	if (c->counted)
		gate_leave(c->port->conf.gate, &c->peer);
	free(c);
}

static void
make_conn_index(void)
{
	conn_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, conn_free);
}

/* As if the peer had left: evhttp, or who has taken the connection over, cleans up. */
static void
conn_end(struct https_conn *c)
{
	bufferevent_trigger_event(c->bev, BEV_EVENT_EOF | BEV_EVENT_READING, 0);
}

static void
on_deadline(struct loop_timer *t)
{
	conn_end((struct https_conn *)((char *)t - offsetof(struct https_conn, deadline)));
}

/* Ask the gate, once. */
static bool
admitted(struct https_conn *c)
{
	struct gate *g = c->port->conf.gate;
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;

	if (g == NULL || c->counted)
		return true;
	if (c->asked || getpeername(bufferevent_getfd(c->bev), (struct sockaddr *)&sa, &len))
		return false;
	c->asked = true;
	c->peer = net_addr_of((struct sockaddr *)&sa);
	c->counted = gate_enter(g, &c->peer) == ERR_OK;
	return c->counted;
}

static void
on_arrived(evutil_socket_t fd, short what, void *arg)
{
	struct https_conn *c = arg;

	(void)fd;
	(void)what;
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

static struct bufferevent *
make_bev(struct event_base *base, void *arg)
{
	static const struct timeval now = { 0, 0 };
	struct https_port *hp = arg;
	struct https_conn *c = xcalloc(1, sizeof *c);
	SSL *ssl = tls_accept(hp->conf.tls, !hp->conf.no_client_cert);

	c->port = hp;
	c->deadline.fire = on_deadline;
	c->bev = bufferevent_openssl_socket_new(
	    base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL || !SSL_set_ex_data(ssl, conn_index, c))
		abort(); /* no memory; NULL would make evhttp go on without TLS */
	SSL_set_cert_cb(ssl, before_signature, c);
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	evbuffer_add_cb(bufferevent_get_input(c->bev), on_bytes, c);
	event_assign(&c->arrived, base, -1, 0, on_arrived, c);
	event_add(&c->arrived, &now);
	if (hp->conf.deadline_us)
		loop_timer_set(
		    hp->loop, &c->deadline, loop_now_us(hp->loop) + hp->conf.deadline_us);
	return c->bev;
}

static struct https_port *
port_of(const struct evconnlistener *lev)
{
	struct https_port *hp;

	pthread_mutex_lock(&ports_lock);
	for (hp = ports; hp->listener != lev; hp = hp->next)
		;
	pthread_mutex_unlock(&ports_lock);
	return hp;
}

static void
on_accept_failed(struct evconnlistener *lev, void *arg)
{
	struct https_port *hp = port_of(lev);

	(void)arg;
	listen_shed(evconnlistener_get_fd(lev), &hp->spare_fd);
	evconnlistener_disable(lev);
	loop_timer_set(hp->loop, &hp->rest, loop_now_us(hp->loop) + LISTEN_REST_US);
}

static void
on_rested(struct loop_timer *t)
{
	struct https_port *hp =
	    (struct https_port *)((char *)t - offsetof(struct https_port, rest));

	evconnlistener_enable(hp->listener);
}

enum err
https_port_new(struct loop *l, struct evhttp *http, int fd, const struct https_conf *conf,
    struct https_port **out)
{
	struct https_port *hp;
	struct evconnlistener *lev;

	pthread_once(&conn_index_once, make_conn_index);
	lev = evconnlistener_new(
	    l->base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, LISTEN_BACKLOG, fd);
	if (lev == NULL) {
		close(fd);
		return ERR_IO;
	}
	if (evhttp_bind_listener(http, lev) == NULL) {
		evconnlistener_free(lev);
		return ERR_IO;
	}
	hp = xcalloc(1, sizeof *hp);
	hp->loop = l;
	hp->conf = *conf;
	hp->listener = lev;
	hp->spare_fd = listen_spare();
	hp->rest.fire = on_rested;
	pthread_mutex_lock(&ports_lock);
	hp->next = ports;
	ports = hp;
	pthread_mutex_unlock(&ports_lock);
	evhttp_set_bevcb(http, make_bev, hp);
	evconnlistener_set_error_cb(lev, on_accept_failed);
	*out = hp;
	return ERR_OK;
}

void
https_port_free(struct https_port *hp)
{
	struct https_port **at = &ports;

	if (hp == NULL)
		return;
	pthread_mutex_lock(&ports_lock);
	while (*at != hp)
		at = &(*at)->next;
	*at = hp->next;
	pthread_mutex_unlock(&ports_lock);
	loop_timer_clear(hp->loop, &hp->rest);
	if (hp->spare_fd >= 0)
		close(hp->spare_fd);
	free(hp);
}

void
https_peer(struct bufferevent *bev, struct tls_peer *out)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	memset(out, 0, sizeof *out);
	if (ssl != NULL)
		tls_peer_of(ssl, out);
}

void
https_deadline(struct bufferevent *bev, int64_t due_us)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	struct https_conn *c = ssl ? SSL_get_ex_data(ssl, conn_index) : NULL;

	if (c == NULL)
		return;
	waiting_clear(c);
	if (due_us == 0)
		loop_timer_clear(c->port->loop, &c->deadline);
	else
		loop_timer_set(c->port->loop, &c->deadline, due_us);
}
