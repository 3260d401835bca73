/* Sessions: slots, states, the dispatch of packets, back-pressure, timers. */
#include "mqtt/priv.h"

#include <stdlib.h>

#define BIT(x) (1u << (x))

static const unsigned may_move[S_STATES] = {
	[S_NEW] = BIT(S_ASKING) | BIT(S_CLOSED),
	[S_ASKING] = BIT(S_LIVE) | BIT(S_CLOSED),
	[S_LIVE] = BIT(S_CLOSED),
};

static void
session_move(struct session *s, enum session_state to)
{
	assert(may_move[s->state] & BIT(to));
	s->state = (uint8_t)to;
}

/* ---- slots ---- */

struct mqtt_loop *
mqtt_loop_new(struct loop *l, const struct mqtt_options *o)
{
	struct mqtt_loop *ml = xcalloc(1, sizeof(*ml));

	ml->loop = l;
	ml->o = *o;
	if (ml->o.max_in_flight == 0)
		ml->o.max_in_flight = MQTT_IN_FLIGHT;
	ml->parser = doc_parser_new(MQTT_REMAINING_MAX);
	ml->free_slot = TABLE_NONE;
	links_init(ml);
	return ml;
}

void
mqtt_loop_free(struct mqtt_loop *ml)
{
	if (ml == NULL)
		return;
	assert(ml->nsession == 0 && ml->nwork == 0); /* and the loop has gone: its timers with it */
	doc_parser_free(ml->parser);
	free(ml->slots);
	buf_fini(&ml->doc);
	buf_fini(&ml->topic);
	buf_fini(&ml->body);
	buf_fini(&ml->packet);
	buf_fini(&ml->bag);
	arena_fini(&ml->arena);
	free(ml);
}

uint32_t
mqtt_loop_busy(const struct mqtt_loop *ml)
{
	return ml->nsession + ml->nwork;
}

static uint32_t
slot_take(struct mqtt_loop *ml)
{
	uint32_t i = ml->free_slot;

	if (i == TABLE_NONE) {
		i = ml->nslot++;
		ml->slots = xrealloc(ml->slots, ml->nslot * sizeof(*ml->slots));
		ml->slots[i] = (struct slot){ .generation = 1 };
	} else {
		ml->free_slot = ml->slots[i].next_free;
	}
	return i;
}

static void
slot_give(struct mqtt_loop *ml, uint32_t i)
{
	ml->slots[i].session = NULL;
	ml->slots[i].generation++;
	ml->slots[i].next_free = ml->free_slot;
	ml->free_slot = i;
}

struct session *
session_of(struct mqtt_loop *ml, struct reply_to to)
{
	if (to.slot >= ml->nslot || ml->slots[to.slot].generation != to.generation)
		return NULL;
	return ml->slots[to.slot].session;
}

/* ---- works ---- */

struct work *
session_work(struct session *s, enum op_kind kind, size_t room, void (*done)(struct work *w))
{
	struct work *w = work_new(s->ml->loop, room + s->device.n + s->module.n, done);

	w->op.kind = kind;
	w->op.actor = ACTOR_DEVICE;
	w->op.device = work_str(w, s->device);
	w->op.module = work_str(w, s->module);
	w->op.actor_name = w->op.device;
	w->asker = asker_key(s->device, STR_NONE);
	w->op.epoch = s->epoch;
	w->op.reply_to = (struct reply_to){ .loop = (uint16_t)loop_index(s->ml->loop),
		.slot = s->slot,
		.generation = s->ml->slots[s->slot].generation };
	w->owner = s->ml;
	return w;
}

static bool
session_full(const struct session *s)
{
	return s->nwork >= s->ml->o.max_in_flight || s->work_bytes >= MQTT_IN_FLIGHT_BYTES;
}

void
session_submit(struct session *s, struct work *w)
{
	s->ml->nwork++;
	s->nwork++;
	s->work_bytes += (uint32_t)w->room;
	if (session_full(s) && !s->paused) {
		s->paused = true;
		stream_pause(s->stream);
	}
	fleet_submit(s->ml->o.fleet, w);
}

struct session *
session_back(struct work *w)
{
	struct mqtt_loop *ml = w->owner;
	struct session *s = session_of(ml, w->op.reply_to);

	ml->nwork--;
	if (s == NULL) {
		work_free(w);
		return NULL;
	}
	s->nwork--;
	s->work_bytes -= (uint32_t)w->room;
	if (s->paused && s->state == S_LIVE && s->nwork <= ml->o.max_in_flight / 2 &&
	    s->work_bytes <= MQTT_IN_FLIGHT_BYTES / 2) {
		s->paused = false;
		if (!s->resting)
			stream_resume(s->stream);
	}
	return s;
}

void
session_write(struct session *s, const struct buf *packet)
{
	stream_write(s->stream, buf_view(packet));
}

void
session_close(struct session *s, enum reason why)
{
	if (s->why == REASON_NONE)
		s->why = why;
	stream_close(s->stream);
}

void
session_abort(struct session *s, enum reason why)
{
	if (s->why == REASON_NONE)
		s->why = why;
	stream_abort(s->stream);
}

enum err
session_fault(struct session *s, enum reason why)
{
	s->why = why;
	return ERR_PROTOCOL;
}

void
session_log(const struct session *s, enum log_event event, enum reason why, struct str device,
    struct str detail)
{
	char peer[NET_ADDR_TEXT_MAX];
	struct log_story story = { .event = event,
		.reason = why,
		.device = s->device.n != 0 ? s->device : device,
		.module = s->module,
		.policy = str_of(s->policy),
		.detail = detail };

	story.peer = net_addr_text(stream_peer(s->stream), peer);
	log_reason(&story);
}

/* ---- timers ---- */

#define OF_TIMER(t, member) ((struct session *)((char *)(t)-offsetof(struct session, member)))

/* Set once per silence, not once per packet: at its end it looks how long the silence really was. */
static void
on_idle(struct loop_timer *t)
{
	struct session *s = OF_TIMER(t, idle);
	int64_t due_us = s->heard_us + (int64_t)s->idle_s * 1000000;

	if (s->resting) /* what it sends is not read */
		loop_timer_set(
		    s->ml->loop, &s->idle, loop_now_us(s->ml->loop) + (int64_t)s->idle_s * 1000000);
	else if (loop_now_us(s->ml->loop) >= due_us)
		session_abort(s, REASON_KEEP_ALIVE); /* D-26 */
	else
		loop_timer_set(s->ml->loop, &s->idle, due_us);
}

static void
on_token_end(struct loop_timer *t)
{
	session_close(OF_TIMER(t, token), REASON_TOKEN_END); /* D-20: some SDKs refresh only then */
}

void
session_accepted(struct session *s, const struct reply *r)
{
	int64_t now_us = loop_now_us(s->ml->loop), token_end_us = r->verdict.end_us;

	session_move(s, S_LIVE);
	s->epoch = r->epoch;
	s->opened = r->verdict.opened;
	if (s->opened.by == OPENED_BY_POLICY)
		s->policy = str_dup0((struct str){ r->verdict.policy, r->verdict.policy_n });
	s->heard_us = now_us;
	stream_deadline(s->stream, 0);
	loop_timer_set(s->ml->loop, &s->idle, now_us + (int64_t)s->idle_s * 1000000);
	if (token_end_us != 0 && token_end_us != INT64_MAX)
		loop_timer_set(s->ml->loop, &s->token, now_us + (token_end_us - clock_wall_us()));
	stream_resume(s->stream);
}

void
session_asks(struct session *s)
{
	session_move(s, S_ASKING);
	stream_pause(s->stream);
}

/* ---- packets ---- */

static enum err
on_pingreq(struct session *s, const struct mqtt_packet *p)
{
	(void)p;
	s->ml->packet.n = 0;
	mqtt_put_pingresp(&s->ml->packet);
	session_write(s, &s->ml->packet);
	return ERR_OK;
}

/* There is no message of QoS 1 to a device yet that it could acknowledge; late ones are harmless. */
static enum err
on_puback(struct session *s, const struct mqtt_packet *p)
{
	(void)s, (void)p;
	return ERR_OK;
}

static enum err
on_disconnect_packet(struct session *s, const struct mqtt_packet *p)
{
	(void)p;
	s->said_goodbye = true;
	session_close(s, REASON_GOODBYE);
	return ERR_OK;
}

static const struct rule {
	enum err (*step)(struct session *s, const struct mqtt_packet *p);
	unsigned states;
} rules[16] = {
	[MQTT_CONNECT] = { on_connect_packet, BIT(S_NEW) },
	[MQTT_PUBLISH] = { on_publish_packet, BIT(S_LIVE) },
	[MQTT_PUBACK] = { on_puback, BIT(S_LIVE) },
	[MQTT_SUBSCRIBE] = { on_subscribe_packet, BIT(S_LIVE) },
	[MQTT_UNSUBSCRIBE] = { on_subscribe_packet, BIT(S_LIVE) },
	[MQTT_PINGREQ] = { on_pingreq, BIT(S_LIVE) },
	[MQTT_DISCONNECT] = { on_disconnect_packet, BIT(S_LIVE) },
};

static bool
packet_allowed(const struct session *s, const struct mqtt_packet *p)
{
	const struct rule *r = &rules[p->type & 15];

	return r->step != NULL && (r->states & BIT(s->state));
}

/* One packet off the input. ERR_MORE: it is not whole. */
static enum err
session_step(struct session *s, struct str in, size_t *size)
{
	struct mqtt_packet p;
	enum err e = mqtt_decode(in, &p, size);

	if (e == ERR_MORE && p.type != 0 && !packet_allowed(s, &p))
		return session_fault(s, REASON_OUT_OF_TURN); /* a stranger's first byte tells */
	if (e == ERR_MORE)
		return e;
	if (e != ERR_OK)
		return session_fault(s, REASON_MALFORMED);
	if (!packet_allowed(s, &p))
		return session_fault(s, REASON_OUT_OF_TURN);
	s->heard_us = loop_now_us(s->ml->loop);
	return rules[p.type & 15].step(s, &p);
}

/* What waits of a CONNECT that is not whole: a stranger's bytes, bounded for all of them together. */
static void
strangers_count(struct session *s, size_t waiting)
{
	s->ml->strangers += waiting - s->waiting;
	s->waiting = waiting;
	if (s->ml->strangers > MQTT_STRANGERS_MAX && waiting > 0)
		session_abort(s, REASON_CONNECT_BYTES);
}

static size_t
on_data(struct stream *st, struct str in, void *ctx)
{
	struct session *s = ctx;
	size_t used = 0;

	while (used < in.n && s->state != S_ASKING && !s->paused && !s->resting &&
	    stream_is_open(st)) {
		size_t size = 0;
		enum err e = session_step(s, str_sub(in, used), &size);

		if (e == ERR_MORE) /* or it may not be done yet */
			break;
		if (e != ERR_OK) {
			session_abort(s, REASON_MALFORMED);
			break;
		}
		used += size;
	}
	strangers_count(s, s->state == S_NEW ? in.n - used : 0);
	return used;
}

static void
on_open(struct stream *st, void *ctx)
{
	struct mqtt_loop *ml = ctx;
	struct session *s = xcalloc(1, sizeof(*s));

	s->ml = ml;
	s->stream = st;
	s->slot = slot_take(ml);
	s->idle.fire = on_idle;
	s->token.fire = on_token_end;
	session_rest_init(s);
	ml->slots[s->slot].session = s;
	ml->nsession++;
	stream_set_user(st, &mqtt_user, s);
}

static void
on_gone(struct work *w)
{
	struct mqtt_loop *ml = w->owner;

	ml->nwork--;
	work_free(w);
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
		[STREAM_PROTOCOL] = REASON_WEBSOCKET,
		[STREAM_CLOSED] = REASON_STOPPING,
		[STREAM_SHUTDOWN] = REASON_STOPPING,
	};

	if (s->doomed != REASON_NONE)
		return s->doomed;
	return s->why != REASON_NONE ? s->why : reasons[end];
}

static void
on_close(struct stream *st, enum stream_end why, void *ctx)
{
	struct session *s = ctx;
	struct mqtt_loop *ml = s->ml;

	(void)st;
	if (!s->told)
		session_log(s, LOG_CLOSED, reason_of_end(s, why), STR_NONE, STR_NONE);
	if (s->state == S_LIVE) {
		bool will = !s->said_goodbye && s->will.n != 0;
		struct work *w = session_work(s, OP_DISCONNECT, will ? s->will.n : 0, on_gone);

		if (will)
			w->op.payload = work_str(w, buf_view(&s->will));
		ml->nwork++;
		fleet_submit(ml->o.fleet, w);
	}
	session_move(s, S_CLOSED);
	strangers_count(s, 0);
	loop_timer_clear(ml->loop, &s->idle);
	loop_timer_clear(ml->loop, &s->token);
	loop_timer_clear(ml->loop, &s->rest);
	slot_give(ml, s->slot);
	ml->nsession--;
	link_ended(s);
	buf_fini(&s->will);
	free(s->policy);
	free(s);
}

const struct stream_user mqtt_user = {
	.on_open = on_open, .on_data = on_data, .on_close = on_close
};

void
mqtt_loop_close(struct mqtt_loop *ml)
{
	for (uint32_t i = 0; i < ml->nslot; i++)
		if (ml->slots[i].session != NULL)
			session_close(ml->slots[i].session, REASON_STOPPING);
}

/* ---- notes ---- */

static void
send_desired(struct session *s, const struct note *n)
{
	struct mqtt_loop *ml = s->ml;

	ml->topic.n = ml->packet.n = 0;
	topic_put_desired(&ml->topic, n->version);
	if (mqtt_put_publish(&ml->packet, buf_view(&ml->topic), n->body, 0, false, 0) == ERR_OK)
		session_write(s, &ml->packet);
	else
		session_log(s, LOG_PART_REFUSED, REASON_NOTIFICATION_SIZE, STR_NONE, STR_NONE);
}

void
mqtt_note(struct mqtt_loop *ml, const struct note *n)
{
	struct session *s = session_of(ml, n->session);

	if (s == NULL)
		return;
	if (n->kind == EFFECT_CLOSE && n->paced)
		link_doom(s, n->reason);
	else if (n->kind == EFFECT_CLOSE)
		session_abort(s, n->reason);
	else if (s->state == S_LIVE && n->kind == EFFECT_METHOD)
		session_call(s, n);
	else if (s->state == S_LIVE)
		send_desired(s, n);
}
