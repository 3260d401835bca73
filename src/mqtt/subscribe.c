/* SUBSCRIBE and UNSUBSCRIBE: filters become kinds, the session's shard keeps them (device-mqtt.md 3). */
#include "mqtt/priv.h"

void
on_subscribed(struct session *s, const struct work *w, struct actions *a)
{
	const struct reply *r = &w->reply;
	struct buf *packet = session_packet(s);
	uint16_t packet_id = (uint16_t)w->tag;
	uint8_t refused[MQTT_FILTERS_MAX];

	if (r->fault.code != F_NONE && w->op.kind == OP_UNSUBSCRIBE) {
		/* no packet says that it has failed */
		session_leave(s, SESSION_DROPS, REASON_NOT_STORED, a);
		return;
	}
	if (w->op.kind == OP_UNSUBSCRIBE) {
		session_filters_gone(s, w);
		mqtt_put_unsuback(packet, packet_id);
	} else if (r->fault.code != F_NONE) {
		session_log(s, LOG_SUBSCRIPTION_REFUSED, REASON_UNAVAILABLE, STR_NONE,
		    str_of(r->fault.text), a);
		memset(refused, SUBACK_REFUSED, sizeof(refused));
		mqtt_put_suback(packet, packet_id, refused, w->tag >> 16);
	} else {
		if (r->body.n > 0 && memchr(r->body.p, SUBACK_REFUSED, r->body.n) != NULL)
			session_log(
			    s, LOG_SUBSCRIPTION_REFUSED, REASON_FILTER, STR_NONE, w->op.name, a);
		session_filters_granted(s, w);
		if (r->version != 0)
			session_knows(s, (uint32_t)r->version);
		mqtt_put_suback(packet, packet_id, (const uint8_t *)r->body.p, r->body.n);
	}
	session_send(s, a);
}

enum err
on_subscribe_packet(
    struct session *s, const struct mqtt_packet *p, int64_t now_us, struct actions *a)
{
	struct mqtt_filters list = p->filters;
	struct mqtt_self self = { s->device, s->module };
	struct buf *b = &s->all->body;
	struct str text, unknown = STR_NONE;
	struct filter f;
	struct work *w;

	(void)now_us;
	b->n = 0;
	while (mqtt_filter_next(&list, &text, &f.qos)) {
		f.kind = filter_parse(text, &self, &f.name);
		filters_put(b, &f);
		if (f.kind == FILTER_REFUSED && unknown.n == 0)
			unknown = session_shows(text);
	}
	w = session_work(
	    s, p->type == MQTT_SUBSCRIBE ? OP_SUBSCRIBE : OP_UNSUBSCRIBE, b->n + unknown.n);
	w->tag = (uint32_t)p->filters.n << 16 | p->filters.packet_id;
	w->op.payload = work_str(w, buf_view(b));
	w->op.name = work_str(w, unknown); /* for the log */
	session_submit(s, w, a);
	return ERR_OK;
}
