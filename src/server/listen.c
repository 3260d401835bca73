/* Sockets, and what is served on them: each address and port has one for every loop. */
#include "server/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

bool
address_is_loopback(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, address, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

unsigned
ports_of(const struct server_options *o, struct port_spec out[PORTS_MAX])
{
	static const struct option_list everywhere = { { "0.0.0.0", "::" }, 2 };
	bool chosen = o->binds.n > 0;
	const struct option_list *at = chosen ? &o->binds : &everywhere;
	unsigned n = 0, nplain = 0;

	for (unsigned i = 0; i < at->n; i++) {
		bool optional = !chosen && i == 1; /* a machine without IPv6 */

		if (o->mqtts_port != 0)
			out[n++] = (struct port_spec){ PORT_MQTTS, at->v[i],
				(uint16_t)o->mqtts_port, optional };
		out[n++] =
		    (struct port_spec){ PORT_HTTPS, at->v[i], (uint16_t)o->https_port, optional };
	}
	if (o->mqtt_port == 0)
		return n;
	/* Plain text never leaves the machine: on the loopback addresses among --bind, else on 127.0.0.1. */
	for (unsigned i = 0; i < o->binds.n; i++)
		if (address_is_loopback(o->binds.v[i])) {
			out[n++] = (struct port_spec){ PORT_MQTT, o->binds.v[i],
				(uint16_t)o->mqtt_port, false };
			nplain++;
		}
	if (nplain == 0)
		out[n++] =
		    (struct port_spec){ PORT_MQTT, PLAIN_ADDRESS, (uint16_t)o->mqtt_port, false };
	return n;
}

struct endpoint
endpoint_of(const struct server_options *o, const char *name)
{
	bool chosen = o->binds.n > 0 && !str_eq(str_of(o->binds.v[0]), STR("0.0.0.0"));
	struct endpoint e = { 0 };

	snprintf(e.host, sizeof(e.host), "%s", name);
	snprintf(e.address, sizeof(e.address), "%s", chosen ? o->binds.v[0] : "127.0.0.1");
	return e;
}

static enum err
bind_one(struct server *s, const struct port_spec *spec)
{
	struct port *p = &s->ports[s->nport];
	char why[NET_WHY_MAX];
	uint16_t bound;
	enum err e;

	p->kind = spec->kind;
	e = net_bind(spec->address, spec->number, s->nio, p->fds, &bound, why);
	if (e == ERR_DENIED)
		return fail(s,
		    "%s; take another one (--https-port 8443: devices on 8883 and this command "
		    "line need no "
		    "443), or grant it with: setcap cap_net_bind_service=+ep $(command -v "
		    "twinhub), or sysctl net.ipv4.ip_unprivileged_port_start=443 (a container: "
		    "--sysctl net.ipv4.ip_unprivileged_port_start=0)",
		    why);
	if (e != ERR_OK)
		return fail(s, "%s", why);
	s->nport++;
	if (spec->kind == PORT_HTTPS)
		s->endpoint.https_port = bound;
	else if (spec->kind == PORT_MQTTS)
		s->endpoint.mqtts_port = bound;
	return ERR_OK;
}

enum err
bind_all(struct server *s)
{
	struct port_spec specs[PORTS_MAX];
	unsigned n = ports_of(&s->o, specs);

	s->endpoint = endpoint_of(&s->o, s->names.v[0]);
	for (unsigned i = 0; i < n; i++)
		if (bind_one(s, &specs[i]) != ERR_OK && !specs[i].optional)
			return ERR_ARG;
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
		.mishaps = s->mishaps,
		.offenders = s->offenders,
		.stories = s->stories,
		.tls = s->tls,
		.address_free = &s->address_free,
		.work_bytes = s->sizes.session_bytes,
		.nloop = s->nio };
	struct http_options ho = { .fleet = s->fleet,
		.store = s->store,
		.file_jobs = s->file_jobs,
		.feed = s->feed,
		.catalogue = s->catalogue,
		.deliveries = s->deliveries,
		.tls = s->tls,
		.admission = s->admission,
		.limiter = s->limiter,
		.mishaps = s->mishaps,
		.offenders = s->offenders,
		.throttle = s->o.throttle != THROTTLE_OFF ? throttle_name(s->o.throttle) : NULL,
		.units = s->o.units,
		.stories = s->stories,
		.proxies = &s->proxies,
		.address_free = &s->address_free,
		.connect_timeout_us = (int64_t)s->o.connect_timeout_s * 1000000,
		.request_timeout_us = (int64_t)s->o.request_timeout_s * 1000000,
		.slow_query_us = (int64_t)s->o.slow_query_ms * 1000,
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
