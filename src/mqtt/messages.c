/*
 * Messages to devices on the wire (device-mqtt.md 6.2, 6.3): PUBLISH with the properties in the topic, and its PUBACK. The device's shard
 * says what is sent and when; it knows by the packet id, which is made of the message's number, what a PUBACK is for.
 */
#include "mqtt/priv.h"

/* `/devices/{d}/messages/devicebound`: never left out, as C# takes the bag for granted. */
static void
put_to(struct session *s, struct buf *topic, bool first)
{
	struct buf *to = &s->all->bag;

	to->n = 0;
	buf_cstr(to, "/devices/");
	buf_str(to, s->device);
	buf_cstr(to, "/messages/devicebound");
	bag_put(topic, BAG_TO, STR_NONE, buf_view(to), first);
}

static void
put_expiry(const struct message *m, struct buf *topic)
{
	char text[TIME_TEXT_MAX];

	if (m->expires)
		bag_put(topic, BAG_EXPIRY, STR_NONE,
		    (struct str){ text, time_format(m->expiry_us, text) }, false);
}

static void
put_ack(const struct message *m, struct buf *topic)
{
	if (m->ack != ACK_NONE)
		bag_put(topic, BAG_CUSTOM, STR("iothub-ack"), message_ack_name(m->ack), false);
}

static void
put_system(const struct message *m, enum bag_key key, struct buf *topic, bool first)
{
	struct str value = message_property_find(m->properties, key);

	if (value.n > 0)
		bag_put(topic, key, STR_NONE, value, first);
}

/* System properties first (6.2): Java takes for the bag what begins with the first one. */
static void
put_topic(struct session *s, const struct message *m, struct buf *topic)
{
	static const enum bag_key keys[] = { BAG_CORRELATION_ID, BAG_USER_ID, BAG_CONTENT_TYPE,
		BAG_CONTENT_ENCODING };
	struct str rest = m->properties;
	struct message_property p;
	size_t begin;

	topic_put_devicebound(topic, s->device);
	begin = topic->n;
	put_system(m, BAG_MESSAGE_ID, topic, true);
	put_to(s, topic, topic->n == begin);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		put_system(m, keys[i], topic, false);
	put_expiry(m, topic);
	put_ack(m, topic);
	while (message_property_next(&rest, &p))
		if (p.key == BAG_CUSTOM)
			bag_put(topic, BAG_CUSTOM, p.name, p.value, false);
}

static void
submit_ack(struct session *s, uint16_t packet_id, struct actions *a)
{
	struct work *w = session_work(s, OP_MESSAGE_ACK, 0);

	w->op.message.packet_id = packet_id;
	session_submit(s, w, a);
}

void
session_message(struct session *s, const struct note *n, struct actions *a)
{
	struct buf *topic = &s->all->topic;
	uint16_t packet_id = message_packet_id(n->call);
	struct message m;
	enum err e = message_decode(n->body, &m);

	assert(e == ERR_OK); /* it has been looked at when it was read */
	(void)e;
	topic->n = 0;
	put_topic(s, &m, topic);
	if (mqtt_put_publish(
	        session_packet(s), buf_view(topic), m.payload, n->qos, n->dup, packet_id) == ERR_OK)
		session_send(s, a);
	else
		session_log(s, LOG_PART_REFUSED, REASON_NOTIFICATION_SIZE, STR_NONE, STR_NONE, a);
	if (n->qos == 0)
		submit_ack(s, packet_id, a); /* D-70: there is no other */
	else if (s->nout < MESSAGES_OUT_MAX) /* the shard sends no more */
		s->out[s->nout++] = packet_id;
}

enum err
on_puback_packet(struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a)
{
	(void)now_us;
	for (unsigned i = 0; i < s->nout; i++) {
		if (s->out[i] != p->packet_id)
			continue;
		s->out[i] = s->out[--s->nout];
		submit_ack(s, p->packet_id, a);
		break; /* a second one, or of another packet, is harmless */
	}
	return ERR_OK;
}

/* What could not be stored is sent again, to the next session. */
void
on_acknowledged(struct session *s, const struct work *w, struct actions *a)
{
	if (w->reply.fault.code != F_NONE)
		session_leave(s, SESSION_DROPS, REASON_NOT_STORED, a);
}
