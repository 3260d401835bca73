/* Packets to clients (MQTT 3.1.1, 3). */
#include "codec/codec.h"

static size_t
length_bytes(size_t n)
{
	return n < 128 ? 1 : n < 128 * 128 ? 2 : n < 128 * 128 * 128 ? 3 : 4;
}

static void
put_head(struct buf *out, enum mqtt_type type, unsigned flags, size_t remaining)
{
	buf_putc(out, (char)(type << 4 | flags));
	buf_varint(out, remaining); /* the same base 128 as MQTT's */
}

void
mqtt_put_connack(struct buf *out, bool session_present, enum mqtt_connack code)
{
	put_head(out, MQTT_CONNACK, 0, 2);
	buf_putc(out, session_present && code == CONNACK_ACCEPTED); /* MQTT 3.2.2.2 */
	buf_putc(out, (char)code);
}

void
mqtt_put_suback(struct buf *out, uint16_t packet_id, const uint8_t *codes, size_t ncodes)
{
	assert(ncodes >= 1 && ncodes <= MQTT_FILTERS_MAX);
	put_head(out, MQTT_SUBACK, 0, 2 + ncodes);
	buf_u16be(out, packet_id);
	buf_put(out, codes, ncodes);
}

static void
put_ack(struct buf *out, enum mqtt_type type, uint16_t packet_id)
{
	assert(packet_id != 0);
	put_head(out, type, 0, 2);
	buf_u16be(out, packet_id);
}

void
mqtt_put_unsuback(struct buf *out, uint16_t packet_id)
{
	put_ack(out, MQTT_UNSUBACK, packet_id);
}

void
mqtt_put_puback(struct buf *out, uint16_t packet_id)
{
	put_ack(out, MQTT_PUBACK, packet_id);
}

void
mqtt_put_pingresp(struct buf *out)
{
	put_head(out, MQTT_PINGRESP, 0, 0);
}

enum err
mqtt_put_publish(struct buf *out, struct str topic, struct str payload, uint8_t qos, bool dup,
    uint16_t packet_id)
{
	size_t remaining = 2 + topic.n + (qos ? 2 : 0) + payload.n;

	assert(qos <= 1 && topic.n > 0 && (qos == 0 ? !dup : packet_id != 0));
	if (topic.n > UINT16_MAX || 1 + length_bytes(remaining) + remaining > MQTT_SEND_MAX)
		return ERR_SIZE;
	buf_reserve(out, 5 + remaining);
	put_head(out, MQTT_PUBLISH, (unsigned)dup << 3 | (unsigned)qos << 1, remaining);
	buf_u16be(out, (uint16_t)topic.n);
	buf_str(out, topic);
	if (qos)
		buf_u16be(out, packet_id);
	buf_str(out, payload);
	return ERR_OK;
}
