/* CONNECT: who asks, the shard's verdict, CONNACK (device-mqtt.md 2). */
#include "mqtt/priv.h"

static void
connack(struct session *s, enum mqtt_connack code, bool present, struct actions *a)
{
	mqtt_put_connack(session_packet(s), present, code);
	session_send(s, a);
}

/* The client learns no more than the code. */
static void
refuse(struct session *s, enum mqtt_connack code, enum reason why, struct str device,
    struct str detail, struct actions *a)
{
	session_log(s, LOG_CONNECT_REFUSED, why, device, detail, a);
	s->told = true;
	connack(s, code, false, a);
	session_leave(s, SESSION_LEAVES, why, a);
}

/* Why, for a verdict that comes from the fleet: it never reached its shard, or its commit failed. */
static enum reason
reason_of_fault(const struct fault *f)
{
	return fault_status(f->code) == 429 ? REASON_OVERLOADED : REASON_UNAVAILABLE;
}

static void
hold_off(struct session *s, struct actions *a)
{
	char text[BACKOFF_TEXT_MAX];

	fault_set(&s->all->fault, F_ThrottlingException, "%s", backoff_text(&s->backoff, text));
	refuse(
	    s, CONNACK_UNAVAILABLE, REASON_AUTH_BACKOFF, STR_NONE, str_of(s->all->fault.text), a);
}

static void
refuse_by_verdict(struct session *s, const struct reply *r, struct actions *a)
{
	bool told = r->reason != REASON_NONE;

	if (told && s->all->world->failed != NULL &&
	    s->all->world->failed(s, r->reason, &s->backoff)) {
		hold_off(s, a);
		return;
	}

	if (s->on_behalf && fault_status(r->fault.code) == 401) {
		refuse(s, CONNACK_DENIED, REASON_NESTED_EDGE, STR_NONE, str_of(r->fault.text), a);
		return;
	}
	refuse(s, fault_status(r->fault.code) == 401 ? CONNACK_DENIED : CONNACK_UNAVAILABLE,
	    told ? r->reason : reason_of_fault(&r->fault), STR_NONE,
	    told ? STR_NONE : str_of(r->fault.text), a);
}

static void
refuse_by_limit(struct session *s, const struct limit_refusal *why, struct actions *a)
{
	struct fault *f = &s->all->fault;

	limit_fault(why, f);
	refuse(s, CONNACK_UNAVAILABLE, REASON_RATE_LIMIT, STR_NONE, str_of(f->text), a);
}

/* CONNACK leaves before anything else: a shard's notes come behind its verdict. */
void
on_judged(
    struct session *s, const struct work *w, int64_t now_us, int64_t wall_us, struct actions *a)
{
	const struct reply *r = &w->reply;
	struct limit_refusal why;
	enum reason outdated;

	if (r->fault.code != F_NONE) {
		refuse_by_verdict(s, r, a);
	} else if (!session_may_begin(s, &r->verdict, &why)) {
		a->work = session_orphan(w); /* its shard believes that it has begun */
		refuse_by_limit(s, &why, a);
	} else {
		if (s->all->world->passed != NULL)
			s->all->world->passed(s);
		connack(s, CONNACK_ACCEPTED, r->session_present, a);
		session_accepted(s, r, now_us, wall_us, a);
		outdated = s->all->world->outdated(s, r->judged_by);
		if (outdated == REASON_NONE && session_revoked(s)) /* since the handshake */
			outdated = REASON_CERTIFICATE_REVOKED;
		if (outdated != REASON_NONE) /* what opened it has gone meanwhile */
			a->doomed = session_doom(s, outdated);
	}
}

/* ---- the question ---- */

static enum reason
take_identity(struct session *s, const struct mqtt_connect *c, struct mqtt_user *user)
{
	arena_reset(&s->all->arena);
	if (!c->has_user || mqtt_user_parse(c->user, &s->all->arena, user) != ERR_OK)
		return REASON_USER_NAME;
	if (!mqtt_self_is_client(&user->self, c->client_id))
		return REASON_CLIENT_ID_OTHER;
	if (!s->all->world->host_is_mine(s, user->host))
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
	    telemetry_body(s, topic.bag, c->will_payload, c->will_retain, true, &s->will) == ERR_OK;
}

static void
keep_alive(struct session *s, uint16_t keep_alive_s)
{
	uint32_t idle = keep_alive_s + keep_alive_s / 2u + (keep_alive_s & 1u);

	s->idle_s = idle == 0 || idle > MQTT_IDLE_MAX_S ? MQTT_IDLE_MAX_S : idle; /* L-74, D-77 */
}

static void
ask(struct session *s, const struct mqtt_connect *c, const struct mqtt_user *user,
    struct actions *a)
{
	struct str token = c->has_password ? c->password : STR_NONE;
	const struct session_world *world = s->all->world;
	char text[NET_ADDR_TEXT_MAX];
	struct str from = world->from != NULL ? str_of(world->from(s, text)) : STR_NONE;
	struct tls_peer peer = { 0 };
	struct mishap_met met;
	struct work *w;
	struct op_connect *oc;

	world->shows(s, &peer);
	w = session_work(s, OP_CONNECT, WORK_SHOWN_ROOM(token) + user->model_id.n + from.n);
	work_show(w, token, &peer);
	if (token.n != 0 && session_meets(s, MISHAP_TOKEN_SKEW, &met))
		w->op.shown.late_us = met.us;
	oc = &w->op.connect;
	oc->clean = s->clean = c->clean_session;
	oc->has_model_id = user->model_id.n != 0;
	oc->model_id = work_str(w, user->model_id);
	oc->from = work_str(w, from);
	s->on_behalf = user->on_behalf;
	s->client = user->client_type.n > 0 ? str_dup0(user->client_type) : NULL;
	session_asks(s);
	session_submit(s, w, a);
}

enum err
on_connect_packet(struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a)
{
	const struct mqtt_connect *c = &p->connect;
	enum mqtt_connack code = CONNACK_DENIED; /* D-10 */
	enum reason why = REASON_NONE;
	struct limit_refusal limit;
	struct mishap_met met;
	struct mqtt_user user;

	(void)now_us;
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
		refuse(s, code, why, c->client_id, STR_NONE, a);
	} else if (session_meets(s, MISHAP_REFUSE_CONNECT, &met)) {
		refuse(s, CONNACK_UNAVAILABLE, REASON_ORDERED, STR_NONE, STR_NONE, a);
	} else if (s->all->world->holds != NULL && s->all->world->holds(s, &s->backoff)) {
		hold_off(s, a);
	} else if (!session_may_ask(s, c->has_password ? c->password : STR_NONE, &limit)) {
		refuse_by_limit(s, &limit, a);
	} else {
		keep_alive(s, c->keep_alive_s);
		ask(s, c, &user, a);
	}
	return ERR_OK;
}
