/* Sockets, and what is served on them: each address and port has one for every loop. */
#include "server/priv.h"

#include <errno.h>
#include <stdio.h>

static enum err
bind_one(struct server *s, int kind, const char *address, uint16_t number)
{
	struct port *p = &s->ports[s->nport];
	char why[NET_WHY_MAX];
	uint16_t bound;
	enum err e;

	p->kind = kind;
	e = net_bind(address, number, s->nio, p->fds, &bound, why);
	if (e == ERR_DENIED)
		return fail(s,
		    "%s; grant it with: setcap cap_net_bind_service=+ep $(command -v twinhub), or "
		    "sysctl net.ipv4.ip_unprivileged_port_start=443",
		    why);
	if (e != ERR_OK)
		return fail(s, "%s", why);
	s->nport++;
	if (kind == PORT_HTTPS)
		s->endpoint.https_port = bound;
	else if (kind == PORT_MQTTS)
		s->endpoint.mqtts_port = bound;
	return ERR_OK;
}

static bool
is_loopback(const char *address)
{
	return str_starts(str_of(address), STR("127.")) || str_eq(str_of(address), STR("::1"));
}

/* Plain text never leaves the machine: on the loopback addresses among --bind, else on 127.0.0.1. */
static enum err
bind_plain(struct server *s)
{
	unsigned n = 0;

	if (s->o.mqtt_port == 0)
		return ERR_OK;
	for (unsigned i = 0; i < s->o.binds.n; i++) {
		if (!is_loopback(s->o.binds.v[i]))
			continue;
		n++;
		if (bind_one(s, PORT_MQTT, s->o.binds.v[i], (uint16_t)s->o.mqtt_port) != ERR_OK)
			return ERR_ARG;
	}
	return n > 0 ? ERR_OK : bind_one(s, PORT_MQTT, PLAIN_ADDRESS, (uint16_t)s->o.mqtt_port);
}

enum err
bind_all(struct server *s)
{
	static const char *const everywhere[] = { "0.0.0.0", "::" };
	bool chosen = s->o.binds.n > 0;
	unsigned n = chosen ? s->o.binds.n : 2;

	for (unsigned i = 0; i < n; i++) {
		const char *address = chosen ? s->o.binds.v[i] : everywhere[i];
		bool optional = !chosen && i == 1; /* a machine without IPv6 */

		if (s->o.mqtts_port != 0 &&
		    bind_one(s, PORT_MQTTS, address, (uint16_t)s->o.mqtts_port) != ERR_OK &&
		    !optional)
			return ERR_ARG;
		if (bind_one(s, PORT_HTTPS, address, (uint16_t)s->o.https_port) != ERR_OK &&
		    !optional)
			return ERR_ARG;
	}
	if (bind_plain(s) != ERR_OK)
		return ERR_ARG;
	snprintf(s->endpoint.host, sizeof(s->endpoint.host), "%s", s->names.v[0]);
	snprintf(s->endpoint.address, sizeof(s->endpoint.address), "%s",
	    chosen && !str_eq(str_of(s->o.binds.v[0]), STR("0.0.0.0")) ? s->o.binds.v[0]
	                                                               : "127.0.0.1");
	return ERR_OK;
}

/* ---- loops ---- */

static enum err
listen_all(struct server *s, unsigned i)
{
	struct io *io = &s->io[i];
	struct listen_conf conf = { .admission = s->admission,
		.proxies = &s->proxies,
		.deadline_us = (int64_t)s->o.connect_timeout_s * 1000000,
		.user = &mqtt_user,
		.ctx = io->mqtt };
	enum err e = ERR_OK;

	for (unsigned p = 0; p < s->nport && e == ERR_OK; p++) {
		int fd = s->ports[p].fds[i];

		s->ports[p].fds[i] = -1;
		conf.tls = s->ports[p].kind == PORT_MQTTS ? s->tls : NULL;
		if (s->ports[p].kind == PORT_HTTPS)
			e = http_loop_listen(io->http, fd);
		else if ((e = listener_new(io->loop, fd, &conf, &io->listeners[io->nlistener])) ==
		    ERR_OK)
			io->nlistener++;
	}
	return e;
}

enum err
io_make(struct server *s, unsigned i)
{
	struct io *io = &s->io[i];
	struct mqtt_options mo = { .fleet = s->fleet,
		.catalogue = s->catalogue,
		.limiter = s->limiter,
		.address_free = &s->address_free,
		.work_bytes = s->sizes.session_bytes,
		.nloop = s->nio };
	struct http_options ho = { .fleet = s->fleet,
		.store = s->store,
		.file_jobs = s->file_jobs,
		.catalogue = s->catalogue,
		.tls = s->tls,
		.admission = s->admission,
		.limiter = s->limiter,
		.proxies = &s->proxies,
		.address_free = &s->address_free,
		.connect_timeout_us = (int64_t)s->o.connect_timeout_s * 1000000,
		.request_timeout_us = (int64_t)s->o.request_timeout_s * 1000000,
		.strict_queries = s->o.strict_queries,
		.admin = admin_of(s) };

	io->mqtt = mqtt_loop_new(io->loop, &mo);
	ho.mqtt = io->mqtt;
	if (i == 0)
		io->rollouts = rollouts_new(s->fleet, s->catalogue, io->loop);
	if (http_loop_new(io->loop, &ho, &io->http) != ERR_OK || listen_all(s, i) != ERR_OK)
		return fail(s, "the listeners could not be set up: %s", strerror(errno));
	return ERR_OK;
}
