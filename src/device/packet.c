/* MQTT packets of a device's side. */
#include "device/packet.h"

#define LEVEL_311 4

void
packet_put_header(struct buf *out, unsigned first, size_t n)
{
	buf_putc(out, (char)first);
	do {
		buf_putc(out, (char)((n & 127) | (n > 127 ? 128 : 0)));
		n >>= 7;
	} while (n > 0);
}

void
packet_put_text(struct buf *out, struct str s)
{
	buf_u16be(out, (uint16_t)s.n);
	buf_str(out, s);
}

void
packet_put_connect(struct buf *out, const struct packet_connect *c)
{
	packet_put_header(
	    out, MQTT_CONNECT << 4, 10 + 2 + c->client_id.n + 2 + c->user.n + 2 + c->password.n);
	packet_put_text(out, STR("MQTT"));
	buf_putc(out, LEVEL_311);
	buf_putc(out, (char)(0xc0 | (c->clean_session ? 2 : 0)));
	buf_u16be(out, c->keep_alive_s);
	packet_put_text(out, c->client_id);
	packet_put_text(out, c->user);
	packet_put_text(out, c->password);
}

void
packet_put_subscribe(struct buf *out, uint16_t id, const struct str *filters, unsigned n)
{
	size_t bytes = 2;

	for (unsigned i = 0; i < n; i++)
		bytes += 2 + filters[i].n + 1;
	packet_put_header(out, MQTT_SUBSCRIBE << 4 | 2, bytes);
	buf_u16be(out, id);
	for (unsigned i = 0; i < n; i++) {
		packet_put_text(out, filters[i]);
		buf_putc(out, 0);
	}
}

void
packet_put_empty(struct buf *out, enum mqtt_type type)
{
	packet_put_header(out, (unsigned)type << 4, 0);
}

enum err
packet_take(struct str in, struct packet *out, size_t *nbyte)
{
	size_t len = 0, i;

	*nbyte = 0;
	for (i = 1; i < in.n && i < 5; i++) {
		len |= (size_t)(in.p[i] & 127) << (7 * (i - 1));
		if ((in.p[i] & 128) == 0) {
			*nbyte = i + 1 + len;
			if (*nbyte > in.n)
				return ERR_MORE;
			*out = (struct packet){ (uint8_t)in.p[0], { in.p + i + 1, len } };
			return ERR_OK;
		}
	}
	return i == 5 ? ERR_PROTOCOL : ERR_MORE;
}

bool
packet_publish(const struct packet *p, struct str *topic, struct str *payload, uint16_t *id)
{
	const uint8_t *b = (const uint8_t *)p->body.p;
	size_t n = p->body.n, at;

	*id = 0;
	if (n < 2 || (at = 2 + (size_t)b[0] * 256 + b[1]) > n)
		return false;
	*topic = (struct str){ p->body.p + 2, at - 2 };
	if ((p->first >> 1 & 3) != 0) {
		if (at + 2 > n)
			return false;
		*id = (uint16_t)(b[at] * 256 + b[at + 1]);
		at += 2;
	}
	*payload = str_sub(p->body, at);
	return true;
}
