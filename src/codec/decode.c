/*
 * Packets from clients (MQTT 3.1.1, 2 and 3).
 *
 *	byte 0        type << 4 | flags
 *	byte 1 to 4   remaining length, base 128, little end first, high bit: one more
 *	...           that many bytes: variable header, then payload
 *
 * Two steps: the first bytes are judged by a table as soon as they are there, so that nothing is gathered
 * for a packet that will be refused; the rest is read through `struct in`, which never passes its end.
 */
#include "codec/codec.h"

struct in {
	const uint8_t *p, *end;
	bool bad; /* a read past the end, or text that is none; stays set */
};

static size_t
in_left(const struct in *in)
{
	return (size_t)(in->end - in->p);
}

static uint8_t
in_u8(struct in *in)
{
	if (in_left(in) < 1) {
		in->bad = true;
		return 0;
	}
	return *in->p++;
}

static uint16_t
in_u16(struct in *in)
{
	uint8_t high = in_u8(in);

	return (uint16_t)(high << 8 | in_u8(in));
}

/* Bytes with their length before them. */
static struct str
in_bytes(struct in *in)
{
	size_t n = in_u16(in);
	struct str s;

	if (in->bad || in_left(in) < n) {
		in->bad = true;
		return STR_NONE;
	}
	s = (struct str){ (const char *)in->p, n };
	in->p += n;
	return s;
}

/* A UTF-8 encoded string (MQTT 1.5.3): no surrogates, no U+0000. */
static struct str
in_text(struct in *in)
{
	struct str s = in_bytes(in);

	if (!in->bad && s.n > 0 && (memchr(s.p, '\0', s.n) != NULL || !utf8_valid(s)))
		in->bad = true;
	return s;
}

static uint16_t
in_packet_id(struct in *in)
{
	uint16_t id = in_u16(in);

	if (id == 0) /* MQTT 2.3.1 */
		in->bad = true;
	return id;
}

enum { FLAG_CLEAN = 0x02, FLAG_WILL = 0x04, FLAG_WILL_QOS = 0x18, FLAG_WILL_RETAIN = 0x20 };
enum { FLAG_PASSWORD = 0x40, FLAG_USER = 0x80, FLAG_RESERVED = 0x01 };

static bool
connect_flags(uint8_t flags, struct mqtt_connect *c)
{
	c->clean_session = flags & FLAG_CLEAN;
	c->has_will = flags & FLAG_WILL;
	c->will_qos = (flags & FLAG_WILL_QOS) >> 3;
	c->will_retain = flags & FLAG_WILL_RETAIN;
	c->has_password = flags & FLAG_PASSWORD;
	c->has_user = flags & FLAG_USER;
	if (flags & FLAG_RESERVED)
		return false;
	if (!c->has_will && (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)))
		return false;
	if (c->has_password && !c->has_user)
		return false;
	return c->will_qos <= 1; /* 3 is reserved; 2 is refused as for PUBLISH (2.8) */
}

static void
decode_connect(struct in *in, uint8_t flags, struct mqtt_packet *p)
{
	struct mqtt_connect *c = &p->connect;
	struct str name = in_bytes(in);

	(void)flags;
	c->level = in_u8(in);
	if (in->bad ||
	    !(str_eq(name, STR("MQTT")) || (str_eq(name, STR("MQIsdp")) && c->level == 3))) {
		in->bad = true;
		return;
	}
	if (c->level != MQTT_LEVEL) { /* of another layout from here on */
		in->p = in->end;
		return;
	}
	if (!connect_flags(in_u8(in), c))
		in->bad = true;
	c->keep_alive_s = in_u16(in);
	c->client_id = in_text(in);
	if (c->has_will) {
		c->will_topic = in_text(in);
		c->will_payload = in_bytes(in);
	}
	if (c->has_user)
		c->user = in_text(in);
	if (c->has_password)
		c->password = in_bytes(in);
	if (c->user.n > MQTT_USER_MAX || c->password.n > MQTT_USER_MAX)
		in->bad = true;
}

static void
decode_publish(struct in *in, uint8_t flags, struct mqtt_packet *p)
{
	struct mqtt_publish *b = &p->publish;

	b->dup = flags & 8;
	b->qos = flags >> 1 & 3;
	b->retain = flags & 1;
	b->topic = in_text(in);
	if (b->topic.n == 0)
		in->bad = true;
	if (b->qos > 0)
		b->packet_id = in_packet_id(in);
	b->payload = (struct str){ (const char *)in->p, in_left(in) };
	in->p = in->end;
}

static void
decode_puback(struct in *in, uint8_t flags, struct mqtt_packet *p)
{
	(void)flags;
	p->packet_id = in_packet_id(in);
}

static void
decode_filters(struct in *in, uint8_t flags, struct mqtt_packet *p)
{
	struct mqtt_filters *f = &p->filters;

	(void)flags;
	f->with_qos = p->type == MQTT_SUBSCRIBE;
	f->packet_id = in_packet_id(in);
	f->list = (struct str){ (const char *)in->p, in_left(in) };
	while (!in->bad && in_left(in) > 0) {
		in_text(in);
		if (f->with_qos &&
		    in_u8(in) > 2) /* MQTT 3.8.3: upper six bits and 3 are reserved */
			in->bad = true;
		if (++f->n > MQTT_FILTERS_MAX)
			in->bad = true;
	}
}

static void
decode_nothing(struct in *in, uint8_t flags, struct mqtt_packet *p)
{
	(void)in;
	(void)flags;
	(void)p;
}

/* Types that are missing here come from servers only, or belong to QoS 2. */
static const struct rule {
	void (*decode)(struct in *, uint8_t flags, struct mqtt_packet *);
	uint8_t flags;
	uint32_t least, most; /* remaining length; the least of SUBSCRIBE holds one filter */
} rules[16] = {
	[MQTT_CONNECT] = { decode_connect, 0, 10, MQTT_CONNECT_MAX },
	[MQTT_PUBLISH] = { decode_publish, 0, 3, MQTT_REMAINING_MAX }, /* flags: publish_flags */
	[MQTT_PUBACK] = { decode_puback, 0, 2, 2 },
	[MQTT_SUBSCRIBE] = { decode_filters, 2, 5, MQTT_REMAINING_MAX },
	[MQTT_UNSUBSCRIBE] = { decode_filters, 2, 4, MQTT_REMAINING_MAX },
	[MQTT_PINGREQ] = { decode_nothing, 0, 0, 0 },
	[MQTT_DISCONNECT] = { decode_nothing, 0, 0, 0 },
};

static bool
publish_flags(uint8_t flags)
{
	unsigned qos = flags >> 1 & 3;

	if (qos == 0)
		return !(flags & 8); /* MQTT 3.3.1: DUP is 0 for QoS 0 */
	return qos == 1;             /* 2: D-38; 3: reserved */
}

/* The remaining length and how many bytes it takes. */
static enum err
remaining(struct str in, uint32_t *length, size_t *bytes)
{
	*length = 0;
	for (size_t i = 0; i < 4; i++) {
		if (i + 1 >= in.n)
			return ERR_MORE;
		uint8_t b = (uint8_t)in.p[i + 1];
		*length |= (uint32_t)(b & 0x7F) << (7 * i);
		if (!(b & 0x80)) {
			*bytes = i + 1;
			return ERR_OK;
		}
	}
	return ERR_PROTOCOL;
}

enum err
mqtt_decode(struct str s, struct mqtt_packet *p, size_t *size)
{
	const struct rule *r;
	uint8_t flags;
	uint32_t length;
	size_t bytes;
	struct in in;
	enum err e;

	memset(p, 0, sizeof(*p));
	*size = 0;
	if (s.n == 0)
		return ERR_MORE;
	p->type = (enum mqtt_type)((uint8_t)s.p[0] >> 4);
	flags = s.p[0] & 15;
	r = &rules[p->type];
	if (r->decode == NULL ||
	    (p->type == MQTT_PUBLISH ? !publish_flags(flags) : flags != r->flags))
		return ERR_PROTOCOL;
	if ((e = remaining(s, &length, &bytes)))
		return e;
	if (length < r->least || length > r->most)
		return ERR_PROTOCOL;
	*size = 1 + bytes + length;
	if (s.n < *size)
		return ERR_MORE;
	in.p = (const uint8_t *)s.p + 1 + bytes;
	in.end = in.p + length;
	in.bad = false;
	r->decode(&in, flags, p);
	return in.bad || in.p != in.end ? ERR_PROTOCOL : ERR_OK;
}

bool
mqtt_filter_next(struct mqtt_filters *f, struct str *filter, uint8_t *qos)
{
	struct in in = { (const uint8_t *)f->list.p, (const uint8_t *)str_end(f->list), false };

	if (f->list.n == 0)
		return false;
	*filter = in_bytes(&in);
	*qos = f->with_qos ? in_u8(&in) : 0;
	f->list = (struct str){ (const char *)in.p, in_left(&in) };
	return !in.bad;
}
