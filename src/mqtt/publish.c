/*
 * PUBLISH: twin requests, telemetry (device-mqtt.md 4, 6).
 *
 * Everything goes through the session's shard, faults found here and mere acknowledgements too: so answers and PUBACKs leave
 * in the order in which the packets came (D-40), each behind the commit that it stands for.
 */
#include "mqtt/priv.h"

#include <openssl/rand.h>

/* ---- answers ---- */

static void
put_error_body(struct buf *out, const struct fault *f)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char random[16] = { 0 };
	char id[32], t[TIME_TEXT_MAX];
	size_t n = time_format(clock_wall_us(), t);

	(void)RAND_bytes(random, sizeof(random)); /* a name for the log, no secret */
	for (size_t i = 0; i < sizeof(random); i++) {
		id[2 * i] = digits[random[i] >> 4];
		id[2 * i + 1] = digits[random[i] & 15];
	}
	buf_printf(
	    out, "{\"errorCode\":%d,\"trackingId\":\"%.32s\",\"message\":", (int)f->code, id);
	doc_write_json_str(out, str_of(f->text));
	buf_cstr(out, ",\"timestampUtc\":");
	doc_write_json_str(out, (struct str){ t, n });
	buf_putc(out, '}');
}

static void
put_twin_error(struct mqtt_loop *ml, struct str rid, const struct fault *f)
{
	ml->topic.n = ml->body.n = 0;
	topic_put_twin_error(&ml->topic, fault_status(f->code), rid);
	put_error_body(&ml->body, f);
	mqtt_put_publish(&ml->packet, buf_view(&ml->topic), buf_view(&ml->body), 0, false, 0);
}

static void
put_twin_answer(struct mqtt_loop *ml, struct work *w)
{
	struct fault big;

	ml->topic.n = 0;
	if (w->op.kind == OP_TWIN_GET)
		topic_put_twin_got(&ml->topic, w->rid);
	else
		topic_put_twin_patched(&ml->topic, w->rid, (int64_t)w->reply.version);
	if (mqtt_put_publish(
	        &ml->packet, buf_view(&ml->topic), buf_view(&w->reply.body), 0, false, 0) == ERR_OK)
		return;
	fault_set(&big, F_ServerError,
	    "the twin as text is %zu bytes, more than a packet may have (%d)", w->reply.body.n,
	    MQTT_SEND_MAX);
	put_twin_error(ml, w->rid, &big);
}

/* Is it a request that has an answer of its own, beside the PUBACK? */
static bool
has_answer(const struct work *w)
{
	return w->rid.n != 0 && (w->reply.deliver || w->reply.fault.code != F_NONE);
}

static void
on_published(struct work *w)
{
	struct session *s = session_back(w);
	struct buf *packet;

	if (s == NULL)
		return;
	packet = &s->ml->packet;
	packet->n = 0;
	if (w->reply.gone || (w->op.kind == OP_TELEMETRY && w->reply.fault.code != F_NONE)) {
		if (w->reply.gone)
			link_gone(s);
		else /* MQTT has no negative acknowledgement (3.4) */
			session_abort(s, REASON_NOT_STORED);
		work_free(w);
		return;
	}
	if (w->tag != 0)
		mqtt_put_puback(packet, (uint16_t)w->tag);
	if (has_answer(w)) {
		if (w->reply.fault.code != F_NONE)
			put_twin_error(s->ml, w->rid, &w->reply.fault);
		else
			put_twin_answer(s->ml, w);
	}
	if (packet->n != 0)
		session_write(s, packet);
	work_free(w);
}

/* ---- telemetry ---- */

enum err
telemetry_body(struct mqtt_loop *ml, struct str bag, struct str payload, bool retain, bool will,
    struct buf *out)
{
	size_t size = payload.n;
	struct bag_pair pair;

	while (bag_next(&bag, &ml->bag, &pair)) {
		if (pair.system == BAG_DEVICE_ID || pair.system == BAG_MODULE_ID)
			continue; /* the hub's to say: D-63 */
		size += pair.key.n + pair.value.n;
		log_property(out, pair.system == BAG_CUSTOM ? pair.key : bag_key_name(pair.system),
		    pair.value);
	}
	if (size > MQTT_MESSAGE_MAX)
		return ERR_SIZE;
	if (retain)
		log_property(out, STR("mqtt-retain"), STR("true"));
	if (will)
		log_property(out, STR("iothub-MessageType"), STR("Will"));
	log_message(out, payload);
	return ERR_OK;
}

static enum err
publish_telemetry(struct session *s, const struct mqtt_publish *p, const struct topic *t)
{
	struct buf *b = &s->ml->body;
	struct work *w;
	enum err e = session_may_send(s);

	if (e != ERR_OK)
		return e;
	b->n = 0;
	if (telemetry_body(s->ml, t->bag, p->payload, p->retain, false, b) != ERR_OK)
		return session_fault(s, REASON_MESSAGE_SIZE); /* D-64 */
	w = session_work(s, OP_TELEMETRY, b->n, on_published);
	w->op.payload = work_str(w, buf_view(b));
	w->tag = p->packet_id;
	session_submit(s, w);
	return ERR_OK;
}

/* ---- twin requests ---- */

/* The work of a request; `fault` turns it into the answer that carries it. */
static struct work *
request(struct session *s, enum op_kind kind, const struct mqtt_publish *p, const struct topic *t,
    size_t room, const struct fault *fault)
{
	struct work *w =
	    session_work(s, fault != NULL ? OP_ACK : kind, room + t->rid.n, on_published);

	w->rid = work_str(w, t->rid);
	w->tag = p->packet_id;
	if (fault != NULL)
		w->reply.fault = *fault;
	return w;
}

/* May it be done, by the rate limits? If not, the fault is the answer. */
static bool
admitted(const struct session *s, enum limit_kind kind, struct fault *f)
{
	struct limit_refusal why;

	if (session_may(s, kind, &why))
		return true;
	limit_fault(&why, f);
	return false;
}

static enum err
publish_get(struct session *s, const struct mqtt_publish *p, const struct topic *t)
{
	struct fault fault = { 0 };

	session_submit(
	    s, request(s, OP_TWIN_GET, p, t, 0, admitted(s, LIMIT_READS, &fault) ? NULL : &fault));
	return ERR_OK;
}

static enum err
publish_patch(struct session *s, const struct mqtt_publish *p, const struct topic *t)
{
	struct doc_parsed info = { 0 };
	struct fault fault = { 0 };
	struct work *w;

	s->ml->doc.n = 0;
	if (t->version == TOPIC_BAD_VERSION)
		fault_set(&fault, F_ArgumentInvalid, "$version of the topic is not a number");
	else if (admitted(s, LIMIT_UPDATES, &fault))
		doc_parse(s->ml->parser, p->payload, &s->ml->doc, &info, &fault);
	w = request(s, OP_REPORT, p, t, s->ml->doc.n, fault.code != F_NONE ? &fault : NULL);
	w->op.payload = work_str(w, buf_view(&s->ml->doc));
	w->op.nduplicate = info.nduplicate;
	if (t->version >= 0) {
		w->op.has_base_version = true;
		w->op.base_version = (uint64_t)t->version;
	}
	session_submit(s, w);
	return ERR_OK;
}

enum err
on_publish_packet(struct session *s, const struct mqtt_packet *packet)
{
	const struct mqtt_publish *p = &packet->publish;
	struct mqtt_self self = { s->device, s->module };
	struct topic t;

	switch (topic_parse(p->topic, &self, &t)) {
	case TOPIC_TELEMETRY: return publish_telemetry(s, p, &t);
	case TOPIC_TWIN_PATCH: return publish_patch(s, p, &t);
	case TOPIC_TWIN_GET: return publish_get(s, p, &t);
	case TOPIC_METHOD_RESPONSE: return publish_method_response(s, p, &t, on_published);
	case TOPIC_IGNORED:
		t.rid = STR_NONE;
		session_submit(s, request(s, OP_ACK, p, &t, 0, NULL));
		return ERR_OK;
	case TOPIC_FORBIDDEN: break;
	}
	return session_fault(s, REASON_TOPIC);
}
