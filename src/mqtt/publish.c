/*
 * PUBLISH: twin requests, telemetry (device-mqtt.md 4, 6).
 *
 * Everything goes through the session's shard, faults found here and mere acknowledgements too: so answers and PUBACKs leave
 * in the order in which the packets came (D-40), each behind the commit that it stands for.
 */
#include "event/telemetry.h"
#include "mqtt/priv.h"

/* ---- answers ---- */

static void
put_error_body(struct session *s, struct buf *out, const struct fault *f)
{
	unsigned char random[16] = { 0 };
	struct out o = out_to(out);
	char id[32];

	s->all->world->random(s, random); /* a name for the log, no secret */
	hex_write(id, random, sizeof(random));
	out_open(&o);
	out_i64(out_key(&o, "errorCode"), fault_number(f->code));
	out_str(out_key(&o, "trackingId"), (struct str){ id, sizeof(id) });
	out_cstr(out_key(&o, "message"), f->text);
	out_time(out_key(&o, "timestampUtc"), s->all->world->wall_us(s));
	out_close(&o);
}

static void
put_twin_error(struct session *s, struct str rid, const struct fault *f, struct buf *packet)
{
	struct buf *topic = &s->all->topic, *body = &s->all->body;

	topic->n = body->n = 0;
	topic_put_twin_error(topic, fault_status(f->code), rid);
	put_error_body(s, body, f);
	mqtt_put_publish(packet, buf_view(topic), buf_view(body), 0, false, 0);
}

static void
put_twin_answer(struct session *s, const struct work *w, struct buf *packet)
{
	struct buf *topic = &s->all->topic;
	struct fault *big = &s->all->fault;

	topic->n = 0;
	if (w->op.kind == OP_TWIN_GET)
		topic_put_twin_got(topic, w->rid);
	else
		topic_put_twin_patched(topic, w->rid, (int64_t)w->reply.version);
	if (mqtt_put_publish(packet, buf_view(topic), buf_view(&w->reply.body), 0, false, 0) ==
	    ERR_OK) {
		if (w->op.kind == OP_TWIN_GET) {
			s->desired_sent = (uint32_t)w->reply.version;
			session_knows_all(s, s->desired_sent);
			session_meters(s, w->reply.body.n);
		}
		return;
	}
	fault_set(big, F_ServerError,
	    "the twin as text is %zu bytes, more than a packet may have (%d)", w->reply.body.n,
	    MQTT_SEND_MAX);
	put_twin_error(s, w->rid, big, packet);
}

/* Is it a request that has an answer of its own, beside the PUBACK? */
static bool
has_answer(const struct work *w)
{
	return w->rid.n != 0 && (w->reply.deliver || w->reply.fault.code != F_NONE);
}

void
on_published(struct session *s, const struct work *w, struct actions *a)
{
	struct buf *packet = session_packet(s);

	if (w->op.kind == OP_TELEMETRY && w->reply.fault.code != F_NONE) {
		/* MQTT has no negative acknowledgement (3.4) */
		session_leave(s, SESSION_DROPS, REASON_NOT_STORED, a);
		return;
	}
	if (w->tag != 0)
		mqtt_put_puback(packet, (uint16_t)w->tag);
	if (has_answer(w)) {
		if (w->reply.fault.code != F_NONE)
			put_twin_error(s, w->rid, &w->reply.fault, packet);
		else
			put_twin_answer(s, w, packet);
	}
	session_send(s, a);
}

/* ---- telemetry ---- */

enum err
telemetry_body(
    struct session *s, struct str bag, struct str payload, bool retain, bool will, struct buf *out)
{
	size_t size = payload.n;
	struct bag_pair pair;

	while (bag_next(&bag, &s->all->bag, &pair)) {
		if (pair.system == BAG_DEVICE_ID || pair.system == BAG_MODULE_ID)
			continue; /* the hub's to say: D-63 */
		size += pair.key.n + pair.value.n;
		if (pair.system == BAG_CUSTOM)
			telemetry_put(out, pair.key, pair.value);
		else
			telemetry_put_system(out, bag_key_name(pair.system), pair.value);
	}
	if (size > MQTT_MESSAGE_MAX)
		return ERR_SIZE;
	if (retain)
		telemetry_put(out, STR("mqtt-retain"), STR("true"));
	if (will)
		telemetry_put(out, STR("iothub-MessageType"), STR("Will"));
	telemetry_end(out, payload);
	return ERR_OK;
}

static enum err
publish_telemetry(struct session *s, const struct mqtt_publish *p, const struct topic *t,
    int64_t now_us, struct actions *a)
{
	struct buf *b = &s->all->body;
	struct work *w;
	enum err e = session_may_send(s, now_us, a);

	if (e != ERR_OK)
		return e;
	b->n = 0;
	if (telemetry_body(s, t->bag, p->payload, p->retain, false, b) != ERR_OK)
		return session_fault(s, REASON_MESSAGE_SIZE, a); /* D-64 */
	session_meters(s, p->payload.n);
	w = session_work(s, OP_TELEMETRY, b->n);
	w->op.payload = work_str(w, buf_view(b));
	w->tag = p->packet_id;
	session_submit(s, w, a);
	return ERR_OK;
}

/* ---- twin requests ---- */

/* The work of a request; `fault` turns it into the answer that carries it. */
static struct work *
request(struct session *s, enum op_kind kind, const struct mqtt_publish *p, const struct topic *t,
    size_t room, const struct fault *fault)
{
	struct work *w = session_work(s, fault != NULL ? OP_ACK : kind, room + t->rid.n);

	w->rid = work_str(w, t->rid);
	w->tag = p->packet_id;
	if (fault != NULL)
		w->reply.fault = *fault;
	return w;
}

/* By the rate limits. ERR_FULL: not now, and the fault is the answer; the log has it. */
static enum err
admit(struct session *s, enum limit_kind kind, struct fault *f, struct actions *a)
{
	struct limit_refusal why;

	if (session_may(s, kind, &why))
		return ERR_OK;
	limit_fault(&why, f);
	s->all->fault = *f;
	session_log(s, LOG_PART_REFUSED,
	    why.whose == LIMIT_DAILY ? REASON_QUOTA : REASON_RATE_LIMIT, STR_NONE,
	    str_of(s->all->fault.text), a);
	return ERR_FULL;
}

/* By order of a test: the answer is another one. */
static enum err
spared(struct session *s, struct fault *f)
{
	struct mishap_met met;

	if (!session_meets(s, MISHAP_REFUSE_TWIN, &met))
		return ERR_OK;
	fault_set(f, met.code, "by order of a test");
	return ERR_IO;
}

/* By order of a test: it is looked at again when its time has come; until then nothing is read. */
static bool
held_up(struct session *s, int64_t now_us)
{
	struct mishap_met met;

	if (s->late || !session_meets(s, MISHAP_DELAY_TWIN, &met)) {
		s->late = false;
		return false;
	}
	s->late = true;
	s->rest_us = now_us + met.us;
	return true;
}

static enum err
publish_get(
    struct session *s, const struct mqtt_publish *p, const struct topic *t, struct actions *a)
{
	struct fault fault = { 0 };
	enum err e = spared(s, &fault);

	if (e == ERR_OK)
		e = admit(s, LIMIT_READS, &fault, a);
	session_submit(s, request(s, OP_TWIN_GET, p, t, 0, e != ERR_OK ? &fault : NULL), a);
	return ERR_OK;
}

static enum err
publish_patch(
    struct session *s, const struct mqtt_publish *p, const struct topic *t, struct actions *a)
{
	struct doc_parsed info = { 0 };
	struct fault fault = { 0 };
	struct work *w;

	s->all->doc.n = 0;
	if (t->version == TOPIC_BAD_VERSION)
		fault_set(&fault, F_ArgumentInvalid, "$version of the topic is not a number");
	else if (spared(s, &fault) == ERR_OK && admit(s, LIMIT_UPDATES, &fault, a) == ERR_OK) {
		session_meters(s, p->payload.n);
		doc_parse(s->all->parser, p->payload, &s->all->doc, &info, &fault);
	}
	w = request(s, OP_REPORT, p, t, s->all->doc.n, fault.code != F_NONE ? &fault : NULL);
	w->op.payload = work_str(w, buf_view(&s->all->doc));
	w->op.nduplicate = info.nduplicate;
	if (t->version >= 0) {
		w->op.has_base_version = true;
		w->op.base_version = (uint64_t)t->version;
	}
	session_submit(s, w, a);
	return ERR_OK;
}

enum err
on_publish_packet(
    struct session *s, const struct mqtt_packet *packet, int64_t now_us, struct actions *a)
{
	const struct mqtt_publish *p = &packet->publish;
	struct mqtt_self self = { s->device, s->module };
	struct topic t;

	switch (topic_parse(p->topic, &self, &t)) {
	case TOPIC_TELEMETRY: return publish_telemetry(s, p, &t, now_us, a);
	case TOPIC_TWIN_PATCH: return held_up(s, now_us) ? ERR_MORE : publish_patch(s, p, &t, a);
	case TOPIC_TWIN_GET: return held_up(s, now_us) ? ERR_MORE : publish_get(s, p, &t, a);
	case TOPIC_METHOD_RESPONSE: return publish_method_response(s, p, &t, a);
	case TOPIC_IGNORED:
		t.rid = STR_NONE;
		session_submit(s, request(s, OP_ACK, p, &t, 0, NULL), a);
		return ERR_OK;
	case TOPIC_FORBIDDEN: break;
	}
	session_detail(s, STR_FMT, STR_ARG(session_shows(p->topic)));
	return session_fault(s, REASON_TOPIC, a);
}
