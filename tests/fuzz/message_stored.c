/* Any bytes as a stored message and as a stored queue: what is taken is within its bounds, and is written again as the same. */
#include "message/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

static void
message_again(struct str record)
{
	struct message m, back;
	struct message_property p;
	struct buf b = { 0 };
	struct str rest;

	if (message_decode(record, &m) != ERR_OK)
		return;
	rest = m.properties;
	while (message_property_next(&rest, &p))
		require(p.key < BAG_KEYS && (p.key == BAG_CUSTOM) == (p.name.n > 0));
	require(rest.n == 0);
	message_encode(&b, &m);
	require(message_decode(buf_view(&b), &back) == ERR_OK);
	require(back.enqueued_us == m.enqueued_us && back.expiry_us == m.expiry_us &&
	    back.ack == m.ack && back.expires == m.expires && str_eq(back.device, m.device) &&
	    str_eq(back.properties, m.properties) && str_eq(back.payload, m.payload) &&
	    message_size(&back) == message_size(&m));
	buf_fini(&b);
}

static void
queue_again(struct str record)
{
	struct queue q, back;
	struct buf b = { 0 };

	if (queue_decode(record, &q) != ERR_OK) {
		require(queue_count(record) == 0);
		return;
	}
	require(q.n > 0 && q.n <= MESSAGES_MAX && queue_count(record) == q.n);
	for (unsigned i = 0; i < q.n; i++)
		require(queue_find(&q, q.v[i].number) == i &&
		    (i == 0 || q.v[i].number > q.v[i - 1].number));
	queue_encode(&b, &q);
	require(queue_decode(buf_view(&b), &back) == ERR_OK && back.n == q.n);
	require(!queue_takes(&q, queue_last_number(&q)));
	while (back.n > 0)
		queue_remove(&back, back.n / 2);
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str record = { (const char *)data, size };
	unsigned char token[LOCK_TOKEN];
	char text[LOCK_TOKEN_TEXT];
	uint64_t number;
	int64_t expiry_us;
	uint32_t shard;

	message_again(record);
	queue_again(record);
	if (message_key_decode(record, &shard, &expiry_us, &number)) {
		char key[MESSAGE_KEY];

		message_key(key, shard, expiry_us, number);
		require(memcmp(key, data, size) == 0);
	}
	if (lock_token_parse(record, token)) {
		lock_token_write(text, token);
		require(str_ieq(str_of(text), record));
	}
	return 0;
}
