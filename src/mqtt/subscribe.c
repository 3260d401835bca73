/* SUBSCRIBE and UNSUBSCRIBE: filters become kinds, the session's shard keeps them (device-mqtt.md 3). */
#include "mqtt/priv.h"

static void
on_subscribed(struct work *w)
{
	struct session *s = session_back(w);
	uint8_t refused[MQTT_FILTERS_MAX];
	struct buf *packet;

	if (s == NULL)
		return;
	packet = &s->ml->packet;
	packet->n = 0;
	if (w->reply.gone) {
		link_gone(s);
	} else if (w->reply.fault.code != F_NONE && w->op.kind == OP_UNSUBSCRIBE) {
		session_abort(s, REASON_NOT_STORED); /* no packet says that it has failed */
	} else if (w->op.kind == OP_UNSUBSCRIBE) {
		mqtt_put_unsuback(packet, (uint16_t)w->tag);
	} else if (w->reply.fault.code != F_NONE) {
		session_log(
		    s, LOG_PART_REFUSED, REASON_UNAVAILABLE, STR_NONE, str_of(w->reply.fault.text));
		memset(refused, SUBACK_REFUSED, sizeof(refused));
		mqtt_put_suback(packet, (uint16_t)w->tag, refused, w->tag >> 16);
	} else {
		if (w->reply.body.n > 0 &&
		    memchr(w->reply.body.p, SUBACK_REFUSED, w->reply.body.n) != NULL)
			session_log(s, LOG_PART_REFUSED, REASON_FILTER, STR_NONE, STR_NONE);
		mqtt_put_suback(
		    packet, (uint16_t)w->tag, (const uint8_t *)w->reply.body.p, w->reply.body.n);
	}
	if (packet->n != 0)
		session_write(s, packet);
	work_free(w);
}

enum err
on_subscribe_packet(struct session *s, const struct mqtt_packet *p)
{
	struct mqtt_filters list = p->filters;
	struct mqtt_self self = { s->device, s->module };
	struct buf *b = &s->ml->body;
	struct str text;
	struct filter f;
	struct work *w;

	b->n = 0;
	while (mqtt_filter_next(&list, &text, &f.qos)) {
		f.kind = filter_parse(text, &self, &f.name);
		filters_put(b, &f);
	}
	w = session_work(
	    s, p->type == MQTT_SUBSCRIBE ? OP_SUBSCRIBE : OP_UNSUBSCRIBE, b->n, on_subscribed);
	w->tag = (uint32_t)p->filters.n << 16 | p->filters.packet_id;
	w->op.payload = work_str(w, buf_view(b));
	session_submit(s, w);
	return ERR_OK;
}
