/* CONNECT: who asks, the shard's verdict, CONNACK (device-mqtt.md 2). */
#include "mqtt/priv.h"

static void
connack(struct session *s, enum mqtt_connack code, bool present)
{
	struct buf *packet = &s->ml->packet;

	packet->n = 0;
	mqtt_put_connack(packet, present, code);
	session_write(s, packet);
}

/* The client learns no more than the code. */
static void
refuse(struct session *s, enum mqtt_connack code, enum reason why, struct str device,
    struct str detail)
{
	session_log(s, LOG_CONNECT_REFUSED, why, device, detail);
	s->told = true;
	connack(s, code, false);
	session_close(s, why);
}

/* Why, for a verdict that comes from the fleet: it never reached its shard, or its commit failed. */
static enum reason
reason_of_fault(const struct fault *f)
{
	return fault_status(f->code) == 429 ? REASON_OVERLOADED : REASON_UNAVAILABLE;
}

static void
refuse_by_verdict(struct session *s, const struct reply *r)
{
	bool told = r->reason != REASON_NONE;

	if (s->on_behalf && fault_status(r->fault.code) == 401) {
		refuse(s, CONNACK_DENIED, REASON_NESTED_EDGE, STR_NONE, str_of(r->fault.text));
		return;
	}
	refuse(s, fault_status(r->fault.code) == 401 ? CONNACK_DENIED : CONNACK_UNAVAILABLE,
	    told ? r->reason : reason_of_fault(&r->fault), STR_NONE,
	    told ? STR_NONE : str_of(r->fault.text));
}

static void
refuse_by_limit(struct session *s, const struct limit_refusal *why)
{
	struct fault f = { 0 };

	limit_fault(why, &f);
	refuse(s, CONNACK_UNAVAILABLE, REASON_RATE_LIMIT, STR_NONE, str_of(f.text));
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
	w->asker = connect->asker;
	w->owner = ml;
	ml->nwork++;
	fleet_submit(ml->o.fleet, w);
}

static void
on_verdict(struct work *w)
{
	struct session *s = session_of(w->owner, w->op.reply_to);
	const struct reply *r = &w->reply;
	struct limit_refusal why;

	if (s == NULL && r->fault.code == F_NONE)
		disconnect_orphan(w);
	s = session_back(w);
	if (s == NULL)
		return;
	if (r->fault.code == F_NONE && !session_may_begin(s, &r->verdict, &why)) {
		disconnect_orphan(w); /* its shard believes that it has begun */
		refuse_by_limit(s, &why);
	} else if (r->fault.code == F_NONE) {
		connack(s, CONNACK_ACCEPTED, r->session_present);
		session_accepted(s, r);
		if (catalogue_version(s->ml->o.catalogue) != r->judged_by)
			link_review(s); /* what opened it may have gone meanwhile */
	} else {
		refuse_by_verdict(s, r);
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

static enum reason
take_identity(struct session *s, const struct mqtt_connect *c, struct mqtt_user *user)
{
	arena_reset(&s->ml->arena);
	if (!c->has_user || mqtt_user_parse(c->user, &s->ml->arena, user) != ERR_OK)
		return REASON_USER_NAME;
	if (!mqtt_self_is_client(&user->self, c->client_id))
		return REASON_CLIENT_ID_OTHER;
	if (!host_is_mine(s, user->host))
		return REASON_HOST_NAME;
	memcpy(s->ids, user->self.device.p, user->self.device.n);
	if (user->self.module.n)
		memcpy(s->ids + ID_MAX, user->self.module.p, user->self.module.n);
	s->device = (struct str){ s->ids, user->self.device.n };
	s->module = (struct str){ s->ids + ID_MAX, user->self.module.n };
	return REASON_NONE;
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
	s->on_behalf = user->on_behalf;
	session_asks(s);
	session_submit(s, w);
}

enum err
on_connect_packet(struct session *s, const struct mqtt_packet *p)
{
	const struct mqtt_connect *c = &p->connect;
	enum mqtt_connack code = CONNACK_DENIED; /* D-10 */
	enum reason why = REASON_NONE;
	struct limit_refusal limit;
	struct mqtt_user user;

	if (c->level != MQTT_LEVEL) {
		code = CONNACK_LEVEL; /* D-16 */
		why = REASON_CONNECT_LEVEL;
	} else if (c->client_id.n == 0) {
		code = CONNACK_CLIENT_ID;
		why = REASON_CLIENT_ID_EMPTY;
	} else if ((why = take_identity(s, c, &user)) == REASON_NONE && !take_will(s, c)) {
		why = REASON_WILL;
	}
	if (why != REASON_NONE) {
		refuse(s, code, why, c->client_id, STR_NONE);
	} else if (!link_may_ask(s, c->has_password ? c->password : STR_NONE, &limit)) {
		refuse_by_limit(s, &limit);
	} else {
		keep_alive(s, c->keep_alive_s);
		ask(s, c, &user);
	}
	return ERR_OK;
}
