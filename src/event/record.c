/* The stored form of events: see event.h. */
#include "event/event.h"

#define FORMAT_MESSAGES 1
#define FORMAT          2

void
event_encode(struct buf *out, const struct event *e)
{
	bool itself = e->actor == ACTOR_DEVICE && str_eq(e->actor_name, e->device);
	unsigned n = EVENT_NUMBERS;

	while (n > 0 && e->numbers[n - 1] == 0)
		n--;
	buf_reserve(out, 64 + e->actor_name.n + e->device.n + e->module.n);
	buf_putc(out, FORMAT);
	buf_putc(out, (char)e->kind);
	buf_varint(out, (uint64_t)e->time_us);
	buf_putc(out, (char)e->actor);
	buf_lstr(out, itself ? STR_NONE : e->actor_name);
	buf_lstr(out, e->device);
	buf_lstr(out, e->module);
	buf_putc(out, (char)n);
	for (unsigned i = 0; i < n; i++)
		buf_varint(out, e->numbers[i]);
	for (unsigned i = 0; i < EVENT_FIELDS; i++) {
		if (e->fields[i].n == 0)
			continue;
		buf_putc(out, (char)i);
		buf_lstr(out, e->fields[i]);
	}
}

static void
decode_names(struct rd *rd, struct event *e)
{
	unsigned actor = rd_u8(rd);

	if (actor >= ACTORS)
		rd->bad = true;
	e->actor = (enum actor_kind)actor;
	e->actor_name = rd_lstr(rd);
	e->device = rd_lstr(rd);
	e->module = rd_lstr(rd);
}

/* Messages were all there was. */
static void
decode_first_format(struct rd *rd, struct event *e)
{
	e->kind = EVENT_MESSAGE;
	e->time_us = (int64_t)rd_varint(rd);
	decode_names(rd, e);
	e->numbers[EVENT_GENERATION] = rd_varint(rd);
	e->numbers[EVENT_AUTHENTICATION] = rd_u8(rd);
	e->fields[EVENT_BODY] = rd_bytes(rd, (size_t)(rd->end - rd->p));
}

static void
decode_fields(struct rd *rd, struct event *e)
{
	unsigned last = 0;

	while (!rd->bad && rd->p < rd->end) {
		unsigned field = rd_u8(rd);

		if (field <= last || field >= EVENT_FIELDS) {
			rd->bad = true;
			return;
		}
		e->fields[field] = rd_lstr(rd);
		last = field;
	}
}

enum err
event_decode(struct str record, struct event *e)
{
	struct rd rd = rd_of(record);
	unsigned format = rd_u8(&rd), n;

	*e = (struct event){ 0 };
	if (format == FORMAT_MESSAGES) {
		decode_first_format(&rd, e);
		return rd.bad ? ERR_CORRUPT : ERR_OK;
	}
	if (format != FORMAT)
		return format > FORMAT ? ERR_VERSION : ERR_CORRUPT;
	e->kind = (enum event_kind)rd_u8(&rd);
	e->time_us = (int64_t)rd_varint(&rd);
	decode_names(&rd, e);
	if (e->actor == ACTOR_DEVICE && e->actor_name.n == 0)
		e->actor_name = e->device;
	n = rd_u8(&rd);
	if (e->kind < EVENT_MESSAGE || e->kind >= EVENT_KINDS || n > EVENT_NUMBERS)
		return ERR_CORRUPT;
	for (unsigned i = 0; i < n; i++)
		e->numbers[i] = rd_varint(&rd);
	decode_fields(&rd, e);
	return rd.bad ? ERR_CORRUPT : ERR_OK;
}

void
event_key(char out[EVENT_KEY], uint32_t shard, uint64_t position)
{
	out[0] = (char)(shard >> 8);
	out[1] = (char)shard;
	for (int i = 0; i < 8; i++)
		out[2 + i] = (char)(position >> (56 - 8 * i));
}

bool
event_key_decode(struct str key, uint32_t *shard, uint64_t *position)
{
	const unsigned char *p = (const unsigned char *)key.p;

	if (key.n != EVENT_KEY)
		return false;
	*shard = (uint32_t)p[0] << 8 | p[1];
	*position = 0;
	for (int i = 2; i < 10; i++)
		*position = *position << 8 | p[i];
	return true;
}
