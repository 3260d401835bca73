/*
 * packet: MQTT 3.1.1 as a device writes and reads it. What both sides write alike (PUBLISH, PUBACK) is codec's.
 */
#ifndef TWINHUB_DEVICE_PACKET_H
#define TWINHUB_DEVICE_PACKET_H

#include "codec/codec.h"

struct packet_connect {
	struct str client_id, user, password;
	bool clean_session;
	uint16_t keep_alive_s;
};

/* Each appends one packet. */
void packet_put_connect(struct buf *out, const struct packet_connect *c);
void packet_put_subscribe(struct buf *out, uint16_t id, const struct str *filters, unsigned n);
void packet_put_empty(struct buf *out, enum mqtt_type type); /* PINGREQ, DISCONNECT */
/* Its pieces, for who writes packets by the hundred thousand. */
void packet_put_header(struct buf *out, unsigned first, size_t nbyte);
void packet_put_text(struct buf *out, struct str s);

/* A packet that has come: its first byte, and what stands behind its length; borrowed. */
struct packet {
	uint8_t first;
	struct str body;
};
/* The length of the packet that `in` begins with, whole or not; 0: its header is not all there. ERR_MORE: the packet is not. ERR_PROTOCOL: no
 * length is so long. */
enum err packet_take(struct str in, struct packet *out, size_t *nbyte);
static inline enum mqtt_type
packet_type(const struct packet *p)
{
	return (enum mqtt_type)(p->first >> 4);
}
/* Of a PUBLISH; id 0: QoS 0. False: it is none. */
bool packet_publish(const struct packet *p, struct str *topic, struct str *payload, uint16_t *id);

#endif
