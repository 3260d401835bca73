/* CONNECT: who asks, the shard's verdict, CONNACK (device-mqtt.md 2). */
#include "mqtt/priv.h"

#include <stdio.h>

static void
connack(struct session *s, enum mqtt_connack code, bool present)
{
	struct buf *packet = &s->ml->packet;

	packet->n = 0;
	mqtt_put_connack(packet, present, code);
	session_write(s, packet);
	if (code != CONNACK_ACCEPTED)
		session_close(s);
}

static void
log_refused(const struct session *s, struct str device, const char *why)
{
	char line[512], peer[NET_ADDR_TEXT_MAX];

	if (s->ml->o.log == NULL)
		return;
	snprintf(line, sizeof(line), "refused CONNECT of '" STR_FMT "' from %s: %s",
	    STR_ARG(device), net_addr_text(stream_peer(s->stream), peer), why);
	s->ml->o.log(line);
}

static void
on_orphan_gone(struct work *w)
{
	struct mqtt_loop *ml = w->owner;

	ml->nwork--;
	work_free(w);
}

/* The link went while the question was under way: the shard must not think that the session lives. */
static void
disconnect_orphan(struct work *connect)
{
	struct mqtt_loop *ml = connect->owner;
	struct work *w =
	    work_new(ml->loop, connect->op.device.n + connect->op.module.n, on_orphan_gone);

	w->op.kind = OP_DISCONNECT;
	w->op.actor = ACTOR_DEVICE;
	w->op.device = w->op.actor_name = work_str(w, connect->op.device);
	w->op.module = work_str(w, connect->op.module);
	w->op.epoch = connect->reply.epoch;
	w->owner = ml;
	ml->nwork++;
	fleet_submit(ml->o.fleet, w);
}

static void
on_verdict(struct work *w)
{
	struct session *s = session_of(w->owner, w->op.reply_to);
	const struct reply *r = &w->reply;

	if (s == NULL && r->fault.code == F_NONE)
		disconnect_orphan(w);
	s = session_back(w);
	if (s == NULL)
		return;
	if (r->fault.code == F_NONE) {
		connack(s, CONNACK_ACCEPTED, r->session_present);
		session_accepted(s, r);
		if (catalogue_version(s->ml->o.catalogue) != r->judged_by)
			link_review(s); /* what opened it may have gone meanwhile */
	} else {
		log_refused(s, s->device, r->fault.text);
		connack(s,
		    fault_status(r->fault.code) == 401 ? CONNACK_DENIED : CONNACK_UNAVAILABLE,
		    false);
	}
	work_free(w);
}

/* The names this hub answers to. */
static bool
host_is_mine(struct session *s, struct str host)
{
	const struct catalogue *c = catalogue_use(s->ml->o.catalogue);
	bool mine = host_known(c->hosts, host);

	catalogue_drop(s->ml->o.catalogue, c);
	return mine;
}

static bool
take_identity(struct session *s, const struct mqtt_connect *c, struct mqtt_user *user)
{
	arena_reset(&s->ml->arena);
	if (!c->has_user || mqtt_user_parse(c->user, &s->ml->arena, user) != ERR_OK) {
		log_refused(s, c->client_id,
		    "the user name is not of the form {host}/{device}/?api-version=...");
		return false;
	}
	if (!mqtt_self_is_client(&user->self, c->client_id)) {
		log_refused(s, c->client_id, "the client id is not the user name's");
		return false;
	}
	if (!host_is_mine(s, user->host)) {
		log_refused(s, c->client_id,
		    "the user name's host is not a name of this hub (serve --hostname)");
		return false;
	}
	memcpy(s->ids, user->self.device.p, user->self.device.n);
	if (user->self.module.n)
		memcpy(s->ids + ID_MAX, user->self.module.p, user->self.module.n);
	s->device = (struct str){ s->ids, user->self.device.n };
	s->module = (struct str){ s->ids + ID_MAX, user->self.module.n };
	return true;
}

/* A will is telemetry or nothing (2.8). */
static bool
take_will(struct session *s, const struct mqtt_connect *c)
{
	struct mqtt_self self = { s->device, s->module };
	struct topic topic;

	if (!c->has_will)
		return true;
	return topic_parse(c->will_topic, &self, &topic) == TOPIC_TELEMETRY &&
	    telemetry_body(s->ml, topic.bag, c->will_payload, c->will_retain, true, &s->will) ==
	    ERR_OK;
}

static void
keep_alive(struct session *s, uint16_t keep_alive_s)
{
	uint32_t idle = keep_alive_s + keep_alive_s / 2u + (keep_alive_s & 1u);

	s->idle_s = idle == 0 || idle > MQTT_IDLE_MAX_S ? MQTT_IDLE_MAX_S : idle; /* L-74, D-77 */
}

static void
ask(struct session *s, const struct mqtt_connect *c, const struct mqtt_user *user)
{
	struct str token = c->has_password ? c->password : STR_NONE;
	struct tls_peer peer = { 0 };
	struct work *w;
	struct op_connect *oc;

	if (stream_is_tls(s->stream))
		stream_tls_peer(s->stream, &peer);
	w = session_work(s, OP_CONNECT, WORK_SHOWN_ROOM(token) + user->model_id.n, on_verdict);
	work_show(w, token, &peer);
	oc = &w->op.connect;
	oc->clean = c->clean_session;
	oc->has_model_id = user->model_id.n != 0;
	oc->model_id = work_str(w, user->model_id);
	session_asks(s);
	session_submit(s, w);
}

enum err
on_connect_packet(struct session *s, const struct mqtt_packet *p)
{
	const struct mqtt_connect *c = &p->connect;
	struct mqtt_user user;

	if (c->level != MQTT_LEVEL)
		connack(s, CONNACK_LEVEL, false); /* D-16 */
	else if (c->client_id.n == 0)
		connack(s, CONNACK_CLIENT_ID, false);
	else if (!take_identity(s, c, &user) || !take_will(s, c))
		connack(s, CONNACK_DENIED, false); /* D-10 */
	else {
		keep_alive(s, c->keep_alive_s);
		ask(s, c, &user);
	}
	return ERR_OK;
}
