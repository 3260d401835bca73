/* Any bytes as a stream of MQTT packets: results stay inside the input, no prefix says other than the whole, and
 * a publish that was read is written back as it was. */
#include "codec/codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static void
inside(struct str s, struct str in)
{
	require(s.n == 0 || (s.p >= in.p && s.p + s.n <= in.p + in.n));
}

static void
check_publish(const struct mqtt_publish *b, struct str in)
{
	struct buf out = { 0 };
	struct mqtt_packet p;
	size_t size;

	inside(b->topic, in);
	inside(b->payload, in);
	require(b->topic.n > 0 && (b->packet_id != 0) == (b->qos == 1));
	if (mqtt_put_publish(&out, b->topic, b->payload, b->qos, b->dup, b->packet_id) == ERR_OK) {
		require(mqtt_decode(buf_view(&out), &p, &size) == ERR_OK && size == out.n);
		require(p.publish.dup == b->dup && p.publish.qos == b->qos &&
		    p.publish.packet_id == b->packet_id);
		require(str_eq(p.publish.topic, b->topic) && str_eq(p.publish.payload, b->payload));
	}
	buf_fini(&out);
}

static void
check_filters(struct mqtt_filters f, struct str in)
{
	struct str filter;
	uint8_t qos;
	unsigned n = 0;

	for (; mqtt_filter_next(&f, &filter, &qos); n++) {
		inside(filter, in);
		require(qos <= (f.with_qos ? 2 : 0) && utf8_valid(filter));
	}
	require(n == f.n && n > 0 && n <= MQTT_FILTERS_MAX && f.packet_id != 0);
}

static void
check_packet(const struct mqtt_packet *p, struct str in)
{
	switch (p->type) {
	case MQTT_CONNECT:
		inside(p->connect.client_id, in);
		inside(p->connect.will_topic, in);
		inside(p->connect.will_payload, in);
		inside(p->connect.user, in);
		inside(p->connect.password, in);
		break;
	case MQTT_PUBLISH: check_publish(&p->publish, in); break;
	case MQTT_SUBSCRIBE:
	case MQTT_UNSUBSCRIBE: check_filters(p->filters, in); break;
	case MQTT_PUBACK: require(p->packet_id != 0); break;
	default: require(in.n == 2 || in.n <= 5); break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = { (const char *)data, size };
	struct mqtt_packet p, part;
	size_t took, want;
	enum err e;

	while ((e = mqtt_decode(in, &p, &took)) == ERR_OK) {
		require(took >= 2 && took <= in.n);
		for (size_t n = 0; n < took && n < 64; n++) {
			require(mqtt_decode((struct str){ in.p, n }, &part, &want) == ERR_MORE);
			require(want == 0 || want == took);
		}
		check_packet(&p, (struct str){ in.p, took });
		in = str_sub(in, took);
	}
	require(e == ERR_PROTOCOL || (e == ERR_MORE && (took == 0 || took > in.n)));
	return 0;
}
