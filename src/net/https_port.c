/* Listeners of HTTPS: evhttp accepts, on sockets that rest where there are no descriptors left. */
#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/priv.h"

/* A listener's argument is evhttp's, so its error callback finds the port here. */
static struct https_port *ports;
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

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

/* Connections that evhttp_free ends, after it has freed the listener, change nothing. */
static void
listen_or_not(struct https_port *hp)
{
	if (hp->stopping)
		return;
	if (hp->resting || hp->full)
		evconnlistener_disable(hp->listener);
	else
		evconnlistener_enable(hp->listener);
}

static void
on_accept_failed(struct evconnlistener *lev, void *arg)
{
	struct https_port *hp = port_of(lev);

	(void)arg;
	listen_shed(evconnlistener_get_fd(lev), &hp->spare_fd);
	hp->resting = true;
	listen_or_not(hp);
	loop_timer_set(hp->loop, &hp->rest, loop_now_us(hp->loop) + LISTEN_REST_US);
}

static void
on_rested(struct loop_timer *t)
{
	struct https_port *hp = container_of(t, struct https_port, rest);

	hp->resting = false;
	listen_or_not(hp);
}

static void
on_full(struct acceptor *a, bool full)
{
	struct https_port *hp = container_of(a, struct https_port, acceptor);

	hp->full = full;
	listen_or_not(hp);
}

enum err
https_port_new(struct loop *l, struct evhttp *http, int fd, const struct https_conf *conf,
    struct https_port **out)
{
	struct https_port *hp;
	struct evconnlistener *lev;

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
	evhttp_set_bevcb(http, https_bev, hp);
	evconnlistener_set_error_cb(lev, on_accept_failed);
	hp->acceptor.rest = on_full;
	acceptor_join(l, &hp->acceptor);
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
	acceptor_leave(&hp->acceptor);
	loop_timer_clear(hp->loop, &hp->rest);
	if (hp->spare_fd >= 0)
		close(hp->spare_fd);
	free(hp);
}

void
https_port_stop(struct https_port *hp)
{
	hp->stopping = true;
}
