/* What all of a session goes through: its states, the dispatch of packets, back-pressure, times, notes, its end. */
#include "mqtt/priv.h"

#include <stdio.h>
#include <stdlib.h>

#define BIT(x)    (1u << (x))
#define SHOWN_MAX 128u /* bytes of a topic */

static const unsigned may_move[S_STATES] = {
	[S_NEW] = BIT(S_ASKING) | BIT(S_LEAVING) | BIT(S_CLOSED),
	[S_ASKING] = BIT(S_LIVE) | BIT(S_LEAVING) | BIT(S_CLOSED),
	[S_LIVE] = BIT(S_LEAVING) | BIT(S_CLOSED),
	[S_LEAVING] = BIT(S_CLOSED),
};

static void
session_move(struct session *s, enum session_state to)
{
	assert(may_move[s->state] & BIT(to));
	s->state = (uint8_t)to;
}

/* ---- birth ---- */

void
sessions_init(struct sessions *all, const struct session_world *world, uint32_t max_in_flight)
{
	all->world = world;
	all->max_in_flight = max_in_flight != 0 ? max_in_flight : MQTT_IN_FLIGHT;
	all->parser = doc_parser_new(MQTT_REMAINING_MAX);
}

void
sessions_fini(struct sessions *all)
{
	doc_parser_free(all->parser);
	buf_fini(&all->doc);
	buf_fini(&all->topic);
	buf_fini(&all->body);
	buf_fini(&all->packet);
	buf_fini(&all->bag);
	arena_fini(&all->arena);
}

void
session_open(struct session *s, struct sessions *all, struct reply_to self, uint64_t address)
{
	*s = (struct session){ .all = all,
		.self = self,
		.address = address,
		.state = S_NEW,
		.idle_us = SESSION_NEVER,
		.token_us = SESSION_NEVER,
		.rest_us = SESSION_NEVER };
}

void
session_fini(struct session *s)
{
	buf_fini(&s->will);
	free(s->filters);
	free(s->policy);
	free(s->client);
	free(s->detail);
}

/* ---- actions ---- */

struct buf *
session_packet(struct session *s)
{
	s->all->packet.n = 0;
	return &s->all->packet;
}

void
session_send(struct session *s, struct actions *a)
{
	a->send = buf_view(&s->all->packet);
}

void
session_log(const struct session *s, enum log_event event, enum reason why, struct str device,
    struct str detail, struct actions *a)
{
	a->line = (struct log_story){ .event = event,
		.reason = why,
		.device = s->device.n != 0 ? s->device : device,
		.module = s->module,
		.policy = str_of(s->policy),
		.detail = detail };
}

/* Of two reasons the first stands, of two ways the faster one: who lingers for a goodbye is taken over all the same. */
void
session_leave(struct session *s, enum session_ending how, enum reason why, struct actions *a)
{
	if (s->why == REASON_NONE)
		s->why = why;
	if (how > a->ending)
		a->ending = how;
	if (s->state != S_LEAVING)
		session_move(s, S_LEAVING);
}

/* Of its end, as that stands: the first one. */
void
session_detail(struct session *s, const char *fmt, ...)
{
	char text[2 * SHOWN_MAX];
	va_list ap;

	if (s->detail != NULL || s->why != REASON_NONE)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	s->detail = str_dup0(str_of(text));
}

struct str
session_shows(struct str topic)
{
	struct str head, rest;

	str_cut(topic, '?', &head, &rest);
	return (struct str){ head.p, head.n < SHOWN_MAX ? head.n : SHOWN_MAX };
}

enum err
session_fault(struct session *s, enum reason why, struct actions *a)
{
	session_leave(s, SESSION_DROPS, why, a);
	return ERR_PROTOCOL;
}

/* ---- works ---- */

struct work *
session_work(const struct session *s, enum op_kind kind, size_t room)
{
	struct work *w = work_new(NULL, room + s->device.n + s->module.n, NULL);

	w->op.kind = kind;
	w->op.actor = ACTOR_DEVICE;
	w->op.device = work_str(w, s->device);
	w->op.module = work_str(w, s->module);
	w->op.actor_name = w->op.device;
	w->asker = asker_key(s->device, STR_NONE);
	w->op.session_epoch = s->session_epoch;
	w->op.reply_to = s->self;
	return w;
}

void
session_submit(struct session *s, struct work *w, struct actions *a)
{
	assert(a->work == NULL);
	a->work = w;
	s->nwork++;
	s->work_bytes += (uint32_t)w->room;
	if (s->nwork >= s->all->max_in_flight || s->work_bytes >= MQTT_IN_FLIGHT_BYTES)
		s->full = true;
}

static void
work_back(struct session *s, const struct work *w)
{
	s->nwork--;
	s->work_bytes -= (uint32_t)w->room;
	if (s->full && s->nwork <= s->all->max_in_flight / 2 &&
	    s->work_bytes <= MQTT_IN_FLIGHT_BYTES / 2) {
		s->full = false;
		s->heard_us = SESSION_NEVER; /* its silence was ours */
	}
}

bool
session_reads(const struct session *s)
{
	return (s->state == S_NEW || s->state == S_LIVE) && !s->full && !s->held &&
	    s->rest_us == SESSION_NEVER;
}

void
session_hold(struct session *s, bool held, int64_t now_us)
{
	s->held = held;
	if (!held)
		s->heard_us = now_us; /* its silence was ours */
}

void
session_asks(struct session *s)
{
	session_move(s, S_ASKING);
}

/* A time between now and `wall_us`, on the clock of now_us. */
static int64_t
due_of(int64_t end_us, int64_t wall_us, int64_t now_us)
{
	return end_us == 0 || end_us == INT64_MAX ? SESSION_NEVER : now_us + (end_us - wall_us);
}

void
session_accepted(
    struct session *s, const struct reply *r, int64_t now_us, int64_t wall_us, struct actions *a)
{
	session_move(s, S_LIVE);
	s->session_epoch = r->session_epoch;
	s->opened = r->verdict.opened;
	s->identity = r->identity;
	s->since_us = wall_us;
	if (s->opened.by == OPENED_BY_POLICY)
		s->policy = str_dup0((struct str){ r->verdict.policy, r->verdict.policy_n });
	s->heard_us = now_us;
	s->idle_us = now_us + (int64_t)s->idle_s * 1000000;
	s->token_us = due_of(r->verdict.end_us, wall_us, now_us);
	a->accepted = true;
}

/* ---- packets ---- */

static enum err
on_pingreq(struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a)
{
	(void)p, (void)now_us;
	mqtt_put_pingresp(session_packet(s));
	session_send(s, a);
	return ERR_OK;
}

static enum err
on_disconnect_packet(
    struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a)
{
	(void)p, (void)now_us;
	s->said_goodbye = true;
	session_leave(s, SESSION_LEAVES, REASON_GOODBYE, a);
	return ERR_OK;
}

static const struct rule {
	session_on *step;
	unsigned states; /* where the packet is legal */
} rules[16] = {
	[MQTT_CONNECT] = { on_connect_packet, BIT(S_NEW) },
	[MQTT_PUBLISH] = { on_publish_packet, BIT(S_LIVE) },
	[MQTT_PUBACK] = { on_puback_packet, BIT(S_LIVE) },
	[MQTT_SUBSCRIBE] = { on_subscribe_packet, BIT(S_LIVE) },
	[MQTT_UNSUBSCRIBE] = { on_subscribe_packet, BIT(S_LIVE) },
	[MQTT_PINGREQ] = { on_pingreq, BIT(S_LIVE) },
	[MQTT_DISCONNECT] = { on_disconnect_packet, BIT(S_LIVE) },
};

bool
session_meets(struct session *s, enum mishap what, struct mishap_met *out)
{
	return s->all->world->meets != NULL && s->all->world->meets(s, what, out);
}

static bool
packet_allowed(const struct session *s, enum mqtt_type type)
{
	const struct rule *r = &rules[type & 15];

	return r->step != NULL && (r->states & BIT(s->state));
}

static const char *
packet_name(unsigned type)
{
	static const char *const names[16] = { "no packet", "CONNECT", "CONNACK", "PUBLISH",
		"PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE",
		"UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "no packet" };

	return names[type & 15];
}

static enum err
out_of_turn(struct session *s, enum mqtt_type type, struct actions *a)
{
	session_detail(
	    s, "%s %s", packet_name(type), s->state == S_NEW ? "before CONNECT" : "after CONNECT");
	return session_fault(s, REASON_OUT_OF_TURN, a);
}

enum err
session_step(struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a)
{
	struct mishap_met met;

	if (s->state == S_LEAVING || s->state == S_CLOSED)
		return ERR_PROTOCOL;
	if (!packet_allowed(s, p->type))
		return out_of_turn(s, p->type, a);
	if (p->type != MQTT_DISCONNECT && s->state == S_LIVE &&
	    session_meets(s, MISHAP_DROP_LINK, &met))
		return session_fault(s, REASON_ORDERED, a);
	s->heard_us = now_us;
	if (s->state == S_LIVE && session_meets(s, MISHAP_MOVE_SHARD, &met))
		s->all->world->moves(s);
	return rules[p->type & 15].step(s, p, now_us, a);
}

enum err
session_bytes(struct session *s, struct str in, int64_t now_us, size_t *size, struct actions *a)
{
	struct mqtt_packet p;
	enum err e = mqtt_decode(in, &p, size);

	if (e == ERR_OK)
		return session_step(s, &p, now_us, a);
	if (e != ERR_MORE) {
		session_detail(s, "%s, first byte 0x%02x", packet_name((uint8_t)in.p[0] >> 4),
		    (uint8_t)in.p[0]);
		return session_fault(s, REASON_MALFORMED, a);
	}
	if (p.type != 0 && !packet_allowed(s, p.type)) /* a stranger's first byte tells */
		return out_of_turn(s, p.type, a);
	return ERR_MORE;
}

/* What waits of a CONNECT that is not whole is a stranger's, and bounded for all of them together. */
static void
strangers_count(struct session *s, size_t waiting)
{
	s->all->strangers += waiting - s->waiting;
	s->waiting = waiting;
}

void
session_waits(struct session *s, size_t waiting, struct actions *a)
{
	strangers_count(s, s->state == S_NEW ? waiting : 0);
	if (s->all->strangers > MQTT_STRANGERS_MAX && s->waiting > 0)
		session_leave(s, SESSION_DROPS, REASON_CONNECT_BYTES, a);
}

/* ---- answers ---- */

void
session_answer(struct session *s, const struct work *w, struct actions *a)
{
	work_back(s, w);
	if (s->state != S_LIVE)
		return;
	if (w->reply.gone && w->op.kind != OP_RESUME)
		session_gone(s, a);
	else if (w->op.kind == OP_SUBSCRIBE || w->op.kind == OP_UNSUBSCRIBE)
		on_subscribed(s, w, a);
	else if (w->op.kind == OP_MESSAGE_ACK)
		on_acknowledged(s, w, a);
	else if (w->op.kind == OP_RESUME)
		on_resumed(s, w, a);
	else
		on_published(s, w, a);
}

void
session_verdict(
    struct session *s, const struct work *w, int64_t now_us, int64_t wall_us, struct actions *a)
{
	work_back(s, w);
	if (s->state == S_ASKING)
		on_judged(s, w, now_us, wall_us, a);
	else if (w->reply.fault.code == F_NONE)
		a->work = session_orphan(w);
}

struct work *
session_orphan(const struct work *connect)
{
	struct work *w = work_new(NULL, connect->op.device.n + connect->op.module.n, NULL);

	w->op.kind = OP_DISCONNECT;
	w->op.ended = REASON_LEFT;
	w->op.actor = ACTOR_DEVICE;
	w->op.device = w->op.actor_name = work_str(w, connect->op.device);
	w->op.module = work_str(w, connect->op.module);
	w->op.session_epoch = connect->reply.session_epoch;
	w->asker = connect->asker;
	return w;
}

bool
session_will_lost(const struct work *w, struct log_story *line)
{
	const struct reply *r = &w->reply;

	if (w->op.payload.n == 0 || r->fault.code == F_NONE)
		return false;
	*line = (struct log_story){ .event = LOG_WILL_LOST,
		.reason = r->reason != REASON_NONE ? r->reason : REASON_NOT_STORED,
		.device = w->op.device,
		.module = w->op.module,
		.detail = str_of(r->fault.text) };
	return true;
}

/* ---- times ---- */

/* The end of the silence is set once per silence, not once per packet: at its end it looks how long the silence really was. */
static void
idle_ends(struct session *s, int64_t now_us, struct actions *a)
{
	int64_t idle_us = (int64_t)s->idle_s * 1000000;

	if (!session_reads(s) || s->heard_us == SESSION_NEVER) {
		/* what it sends waits for us, or did since the last look */
		s->heard_us = now_us;
		s->idle_us = now_us + idle_us;
	} else if (now_us >= s->heard_us + idle_us)
		session_leave(s, SESSION_DROPS, REASON_KEEP_ALIVE, a); /* D-26 */
	else
		s->idle_us = s->heard_us + idle_us;
}

/* Its silence is counted by the clock that went on by itself. */
void
session_later(struct session *s, int64_t by_us)
{
	if (s->token_us != SESSION_NEVER)
		s->token_us -= by_us;
}

int64_t
session_due_us(const struct session *s)
{
	int64_t due_us = s->idle_us < s->token_us ? s->idle_us : s->token_us;

	if (s->state != S_LIVE)
		return SESSION_NEVER;
	return due_us < s->rest_us ? due_us : s->rest_us;
}

void
session_tick(struct session *s, int64_t now_us, struct actions *a)
{
	if (s->state != S_LIVE)
		return;
	if (now_us >= s->rest_us) {
		s->rest_us = SESSION_NEVER;
		s->heard_us = now_us; /* its silence was ours */
	}
	if (now_us >= s->token_us) /* D-20: some SDKs refresh only then */
		session_leave(s, SESSION_LEAVES, REASON_TOKEN_END, a);
	else if (now_us >= s->idle_us)
		idle_ends(s, now_us, a);
}

/* ---- notes ---- */

void
session_knows_all(struct session *s, uint32_t version)
{
	s->desired_missed = false;
	s->desired_known = version;
}

void
session_knows(struct session *s, uint32_t version)
{
	s->desired_known = s->desired_missed ? 0 : version;
}

/* The next one would hide that. */
static void
desired_not_sent(struct session *s)
{
	s->desired_missed = true;
	s->desired_known = 0;
}

static void
send_desired(struct session *s, const struct note *n, struct actions *a)
{
	struct buf *topic = &s->all->topic;

	topic->n = 0;
	topic_put_desired(topic, n->version);
	if (mqtt_put_publish(session_packet(s), buf_view(topic), n->body, 0, false, 0) == ERR_OK) {
		s->desired_sent = n->version;
		session_knows(s, n->version);
		session_meters(s, n->body.n);
		session_send(s, a);
	} else {
		desired_not_sent(s);
		session_log(s, LOG_PART_REFUSED, REASON_NOTIFICATION_SIZE, STR_NONE, STR_NONE, a);
	}
}

static void
dropped(struct session *s, const struct note *n, struct actions *a)
{
	if (n->body.n > 0)
		session_detail(s, "by " STR_FMT, STR_ARG(n->body));
	session_leave(s, SESSION_DROPS, n->reason, a);
}

void
session_note(struct session *s, const struct note *n, struct actions *a)
{
	struct mishap_met met;

	if (s->state == S_CLOSED)
		return;
	if (n->kind == EFFECT_CLOSE && n->paced)
		a->doomed = session_doom(s, n->reason);
	else if (n->kind == EFFECT_CLOSE)
		dropped(s, n, a);
	else if (s->state == S_LIVE && n->kind == EFFECT_METHOD)
		session_call(s, n, a);
	else if (s->state == S_LIVE && n->kind == EFFECT_MESSAGE)
		session_message(s, n, a);
	else if (s->state == S_LIVE && session_meets(s, MISHAP_LOSE_NOTIFICATION, &met))
		desired_not_sent(s);
	else if (s->state == S_LIVE)
		send_desired(s, n, a);
}

bool
session_revoked(struct session *s)
{
	const struct session_world *world = s->all->world;

	return s->opened.by_certificate && world->revoked != NULL && world->revoked(s);
}

bool
session_doom(struct session *s, enum reason why)
{
	if (s->doomed != REASON_NONE || s->state == S_LEAVING || s->state == S_CLOSED)
		return false;
	s->doomed = why;
	return true;
}

void
session_turn(struct session *s, struct actions *a)
{
	session_leave(s, SESSION_DROPS, s->doomed, a);
}

/* The session is its identity's no more. One that is doomed stays silent until its turn: ending all that happen to
 * send something would pass the rate. */
void
session_gone(struct session *s, struct actions *a)
{
	if (s->doomed == REASON_NONE)
		session_leave(s, SESSION_DROPS, REASON_STALE, a);
}

/* ---- the end ---- */

void
session_stop(struct session *s, struct actions *a)
{
	session_leave(s, SESSION_LEAVES, REASON_STOPPING, a);
}

/* A decision of ours stands even if the link went before it was carried out. */
static enum reason
reason_of_end(const struct session *s, enum stream_end end)
{
	static const enum reason reasons[] = {
		[STREAM_EOF] = REASON_LEFT,
		[STREAM_FAILED] = REASON_LINK_FAILED,
		[STREAM_TIMEOUT] =
		    REASON_CONNECT_LATE, /* the only deadline a session leaves its stream */
		[STREAM_OVERFLOW] = REASON_SLOW_READER,
		[STREAM_CROWDED] = REASON_LINK_BYTES,
		[STREAM_PROTOCOL] = REASON_WEBSOCKET,
		[STREAM_CLOSED] = REASON_STOPPING,
		[STREAM_SHUTDOWN] = REASON_STOPPING,
	};

	if (s->doomed != REASON_NONE)
		return s->doomed;
	return s->why != REASON_NONE ? s->why : reasons[end];
}

/* Its shard hears of it, and gets the will unless the client has said goodbye. */
static struct work *
disconnect(const struct session *s, enum reason why)
{
	bool will = !s->said_goodbye && s->will.n != 0;
	struct work *w = session_work(s, OP_DISCONNECT, will ? s->will.n : 0);

	w->op.ended = why;
	if (will)
		w->op.payload = work_str(w, buf_view(&s->will));
	return w;
}

void
session_end(struct session *s, enum stream_end end, struct actions *a)
{
	if (!s->told)
		session_log(s, LOG_CLOSED, reason_of_end(s, end), STR_NONE, str_of(s->detail), a);
	if (s->session_epoch != 0)
		a->work = disconnect(s, reason_of_end(s, end));
	session_move(s, S_CLOSED);
	strangers_count(s, 0);
}
