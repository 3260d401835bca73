/* A message: its properties, its record and key. */
#include "message/message.h"

#define FORMAT         1
#define END_OF_BAG     255
#define FLAG_ACK       3u /* enum message_ack */
#define FLAG_EXPIRES   4u
#define PROPERTY_BYTES 2u /* that count for each */

static const struct str ack_names[ACK_KINDS] = { { "none", 4 }, { "positive", 8 },
	{ "negative", 8 }, { "full", 4 } };
static const struct str end_names[MESSAGE_ENDS] = { { "Success", 7 }, { "Expired", 7 },
	{ "DeliveryCountExceeded", 21 }, { "Rejected", 8 }, { "Purged", 6 } };

bool
message_ack_parse(struct str text, enum message_ack *ack)
{
	for (unsigned i = 0; i < ACK_KINDS; i++) {
		if (!str_ieq(text, ack_names[i]))
			continue;
		*ack = (enum message_ack)i;
		return true;
	}
	return false;
}

struct str
message_ack_name(enum message_ack ack)
{
	return ack_names[ack];
}

struct str
message_end_name(enum message_end end)
{
	return end_names[end];
}

/* ---- properties ---- */

static bool
is_text(struct str s)
{
	if (!utf8_valid(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7F)
			return false;
	return true;
}

static enum err
property_check(const struct message_property *p, struct fault *f)
{
	if (p->key == BAG_CUSTOM && p->name.n == 0)
		return fault_set(f, F_ArgumentInvalid, "a property has no name");
	if (p->key == BAG_CUSTOM && !is_text(p->name))
		return fault_set(f, F_ArgumentInvalid, "the name of a property is no text");
	if (!is_text(p->value))
		return fault_set(f, F_ArgumentInvalid, "the property " STR_FMT " is no text",
		    STR_ARG(p->key == BAG_CUSTOM ? p->name : bag_key_name(p->key)));
	if (p->key == BAG_MESSAGE_ID && p->value.n > MESSAGE_ID_MAX)
		return fault_set(f, F_ArgumentInvalid,
		    "the message id has %zu bytes, the limit is %u", p->value.n, MESSAGE_ID_MAX);
	return ERR_OK;
}

enum err
message_put_property(
    struct buf *out, const struct message_property *p, size_t *size, unsigned *n, struct fault *f)
{
	if (property_check(p, f) != ERR_OK)
		return ERR_ARG;
	*size += p->name.n + p->value.n + PROPERTY_BYTES;
	if (++*n > MESSAGE_PROPERTIES_MAX || *size > MESSAGE_BAG_MAX) {
		fault_set(f, F_MessageTooLarge,
		    "the properties are %u of %zu bytes so far, the limits are %u and %u", *n,
		    *size, MESSAGE_PROPERTIES_MAX, MESSAGE_BAG_MAX);
		return ERR_SIZE;
	}
	buf_putc(out, (char)p->key);
	if (p->key == BAG_CUSTOM)
		buf_lstr(out, p->name);
	buf_lstr(out, p->value);
	return ERR_OK;
}

bool
message_property_next(struct str *rest, struct message_property *p)
{
	struct rd rd = rd_of(*rest);

	if (rest->n == 0)
		return false;
	p->key = (enum bag_key)rd_u8(&rd);
	p->name = p->key == BAG_CUSTOM ? rd_lstr(&rd) : STR_NONE;
	p->value = rd_lstr(&rd);
	if (rd.bad || p->key >= BAG_KEYS || (p->key == BAG_CUSTOM && p->name.n == 0))
		return false;
	*rest = (struct str){ (const char *)rd.p, (size_t)(rd.end - rd.p) };
	return true;
}

struct str
message_property_find(struct str properties, enum bag_key key)
{
	struct message_property p;

	while (message_property_next(&properties, &p))
		if (p.key == key)
			return p.value;
	return STR_NONE;
}

size_t
message_size(const struct message *m)
{
	struct str rest = m->properties;
	size_t size = m->payload.n;
	struct message_property p;

	while (message_property_next(&rest, &p))
		size += p.name.n + p.value.n + PROPERTY_BYTES;
	return size;
}

/* ---- the record ---- */

void
message_encode(struct buf *out, const struct message *m)
{
	buf_reserve(out, m->properties.n + m->payload.n + ID_MAX + 32);
	buf_putc(out, FORMAT);
	buf_varint(out, (uint64_t)m->enqueued_us);
	buf_varint(out, (uint64_t)m->expiry_us);
	buf_putc(out, (char)(m->ack | (m->expires ? FLAG_EXPIRES : 0)));
	buf_lstr(out, m->device);
	buf_str(out, m->properties);
	buf_putc(out, (char)END_OF_BAG);
	buf_str(out, m->payload);
}

/* Properties with what follows them, taken apart; false: there is no end of them. */
static bool
split(struct rd *rd, struct message *m)
{
	struct str rest = { (const char *)rd->p, (size_t)(rd->end - rd->p) };
	const char *begin = rest.p;
	struct message_property p;

	while (rest.n > 0 && (unsigned char)rest.p[0] != END_OF_BAG)
		if (!message_property_next(&rest, &p))
			return false;
	if (rest.n == 0)
		return false;
	m->properties = (struct str){ begin, (size_t)(rest.p - begin) };
	m->payload = str_sub(rest, 1);
	return true;
}

enum err
message_decode(struct str record, struct message *m)
{
	struct rd rd = rd_of(record);
	unsigned flags;

	if (rd_u8(&rd) != FORMAT)
		return ERR_CORRUPT;
	m->enqueued_us = (int64_t)rd_varint(&rd);
	m->expiry_us = (int64_t)rd_varint(&rd);
	flags = rd_u8(&rd);
	m->ack = (enum message_ack)(flags & FLAG_ACK);
	m->expires = (flags & FLAG_EXPIRES) != 0;
	m->device = rd_lstr(&rd);
	if (rd.bad || flags > (FLAG_ACK | FLAG_EXPIRES) || m->enqueued_us < 0 || m->expiry_us < 0 ||
	    !id_valid(m->device) || !split(&rd, m))
		return ERR_CORRUPT;
	return ERR_OK;
}

static void
put_be64(char *out, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (char)(v >> (56 - 8 * i));
}

static uint64_t
get_be64(const char *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

void
message_key(char out[MESSAGE_KEY], uint32_t shard, int64_t expiry_us, uint64_t number)
{
	out[0] = (char)((shard | MESSAGE_BODIES) >> 8);
	out[1] = (char)shard;
	put_be64(out + 2, (uint64_t)expiry_us);
	put_be64(out + 10, number);
}

bool
message_key_decode(struct str key, uint32_t *shard, int64_t *expiry_us, uint64_t *number)
{
	if (key.n != MESSAGE_KEY || !((unsigned char)key.p[0] & MESSAGE_BODIES >> 8))
		return false;
	*shard =
	    ((uint32_t)(unsigned char)key.p[0] << 8 | (unsigned char)key.p[1]) & ~MESSAGE_BODIES;
	*expiry_us = (int64_t)get_be64(key.p + 2);
	*number = get_be64(key.p + 10);
	return *expiry_us >= 0;
}
