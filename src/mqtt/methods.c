/* Direct methods on the wire: calls to devices, responses from them (device-mqtt.md 5). */
#include "mqtt/priv.h"

#include <stdio.h>

void
session_call(struct session *s, const struct note *n, struct actions *a)
{
	struct buf *topic = &s->all->topic;
	char rid[20];
	int len = snprintf(rid, sizeof(rid), "%llx", (unsigned long long)n->call);

	topic->n = 0;
	topic_put_method(topic, n->name, (struct str){ rid, (size_t)len });
	if (mqtt_put_publish(session_packet(s), buf_view(topic), n->body, 0, false, 0) == ERR_OK)
		session_send(s, a);
}

/* As session_call writes it; 0, which is no call's, for anything else. */
static uint64_t
call_of(struct str rid)
{
	uint64_t call = 0;

	if (rid.n > 16)
		return 0;
	for (size_t i = 0; i < rid.n; i++) {
		char c = rid.p[i];

		if (c >= '0' && c <= '9')
			call = call << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			call = call << 4 | (uint64_t)(c - 'a' + 10);
		else
			return 0;
	}
	return call;
}

/* The response's JSON text into all->body; F_NONE, or what is wrong with it. */
static enum fault_code
response_body(struct sessions *all, struct str payload)
{
	struct doc_parsed info;
	struct fault f;

	all->body.n = all->doc.n = 0;
	if (payload.n > METHOD_PAYLOAD_MAX) {
		buf_printf(&all->body, "the device's response has %zu bytes, the limit is %u",
		    payload.n, METHOD_PAYLOAD_MAX);
		return F_GenericBadGateway;
	}
	if (payload.n == 0) {
		buf_cstr(&all->body, "null"); /* */
	} else if (doc_parse(all->parser, payload, &all->doc, &info, &f) == ERR_OK) {
		doc_write_json(&all->body, doc_of(buf_view(&all->doc)));
	} else {
		buf_printf(&all->body, "the device's response is not JSON: %s", f.text);
		return F_GenericBadGateway;
	}
	return F_NONE;
}

enum err
publish_method_response(
    struct session *s, const struct mqtt_publish *p, const struct topic *t, struct actions *a)
{
	enum fault_code fault = response_body(s->all, p->payload);
	struct work *w = session_work(s, OP_METHOD_RESPONSE, s->all->body.n);

	w->tag = p->packet_id;
	w->op.payload = work_str(w, buf_view(&s->all->body));
	w->op.method.call = call_of(t->rid);
	w->op.method.status = t->status;
	w->op.method.fault = fault;
	session_submit(s, w, a);
	return ERR_OK;
}
