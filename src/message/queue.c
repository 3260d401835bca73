/* The queue of a device: what stands in it, of each message what is needed to deliver and to end it. */
#include "message/message.h"

#define FORMAT    1
#define FLAG_ACK  3u /* enum message_ack */
#define FLAG_KEPT 4u

void
queue_encode(struct buf *out, const struct queue *q)
{
	buf_putc(out, FORMAT);
	for (unsigned i = 0; i < q->n; i++) {
		const struct queue_entry *e = &q->v[i];

		buf_varint(out, e->number);
		buf_varint(out, (uint64_t)e->expiry_us);
		buf_varint(out, e->size);
		buf_varint(out, e->deliveries);
		buf_putc(out, (char)(e->ack | (e->kept ? FLAG_KEPT : 0)));
		buf_lstr(out, e->id);
	}
}

static bool
entry_read(struct rd *rd, struct queue_entry *e)
{
	uint64_t size, deliveries, expiry;
	unsigned flags;

	e->number = rd_varint(rd);
	expiry = rd_varint(rd);
	size = rd_varint(rd);
	deliveries = rd_varint(rd);
	flags = rd_u8(rd);
	e->id = rd_lstr(rd);
	if (rd->bad || expiry > INT64_MAX || size > MESSAGE_SIZE_MAX || deliveries > UINT16_MAX ||
	    flags > (FLAG_ACK | FLAG_KEPT) || e->id.n > MESSAGE_ID_MAX)
		return false;
	e->expiry_us = (int64_t)expiry;
	e->size = (uint32_t)size;
	e->deliveries = (uint32_t)deliveries;
	e->ack = (enum message_ack)(flags & FLAG_ACK);
	e->kept = (flags & FLAG_KEPT) != 0;
	return true;
}

/* Is it a packet id that one before it has? */
static bool
packet_id_taken(const struct queue *q, unsigned n, uint64_t number)
{
	for (unsigned i = 0; i < n; i++)
		if (message_packet_id(q->v[i].number) == message_packet_id(number))
			return true;
	return false;
}

enum err
queue_decode(struct str record, struct queue *q)
{
	struct rd rd = rd_of(record);
	uint64_t last = 0;

	q->n = 0;
	if (rd_u8(&rd) != FORMAT)
		return ERR_CORRUPT;
	while (rd.p < rd.end) {
		if (q->n == MESSAGES_MAX || !entry_read(&rd, &q->v[q->n]) ||
		    q->v[q->n].number <= last || packet_id_taken(q, q->n, q->v[q->n].number))
			return ERR_CORRUPT;
		last = q->v[q->n++].number;
	}
	return q->n == 0 ? ERR_CORRUPT : ERR_OK;
}

unsigned
queue_count(struct str record)
{
	struct queue q;

	return queue_decode(record, &q) == ERR_OK ? q.n : 0;
}

uint64_t
queue_last_number(const struct queue *q)
{
	return q->n > 0 ? q->v[q->n - 1].number : 0;
}

bool
queue_takes(const struct queue *q, uint64_t number)
{
	return number > queue_last_number(q) && !packet_id_taken(q, q->n, number);
}

unsigned
queue_find(const struct queue *q, uint64_t number)
{
	for (unsigned i = 0; i < q->n; i++)
		if (q->v[i].number == number)
			return i;
	return MESSAGES_MAX;
}

void
queue_remove(struct queue *q, unsigned i)
{
	assert(i < q->n);
	q->n--;
	memmove(&q->v[i], &q->v[i + 1], (q->n - i) * sizeof(q->v[0]));
}

const struct message_rules message_rules_default = {
	.life_us = INT64_C(3600) * 1000000,
	.lock_us = INT64_C(60) * 1000000,
	.feedback_life_us = INT64_C(3600) * 1000000,
	.feedback_lock_us = INT64_C(60) * 1000000,
	.deliveries = 10,
};

enum message_end
queue_entry_end(const struct queue_entry *e, const struct message_rules *rules, int64_t now_us)
{
	if (e->expiry_us <= now_us)
		return MESSAGE_EXPIRED;
	return e->deliveries >= rules->deliveries ? MESSAGE_DELIVERED_OUT : MESSAGE_ENDS;
}
