/* Messages, queues and locks as values: docs/spec/messages.md. */
#include "message/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rnd.h"

#include <cmocka.h>

#define SECOND INT64_C(1000000)

static enum err
put(struct buf *b, enum bag_key key, const char *name, const char *value, size_t *size, unsigned *n)
{
	const struct message_property p = {
		.key = key, .name = str_of(name), .value = str_of(value)
	};
	struct fault f;

	return message_put_property(b, &p, size, n, &f);
}

static void
message__M04_goes_there_and_back(void **state)
{
	struct buf bag = { 0 }, record = { 0 };
	struct message m = { .enqueued_us = 5 * SECOND,
		.expiry_us = 9 * SECOND,
		.ack = ACK_FULL,
		.expires = true,
		.device = STR("d1"),
		.payload = STR("a\0\377b") },
	               back;
	struct message_property p;
	size_t size = 0;
	unsigned n = 0;

	(void)state;
	assert_int_equal(put(&bag, BAG_MESSAGE_ID, NULL, "m1", &size, &n), ERR_OK);
	assert_int_equal(put(&bag, BAG_CUSTOM, "a", "", &size, &n), ERR_OK);
	assert_int_equal(n, 2);
	m.properties = buf_view(&bag);
	assert_int_equal(message_size(&m), 4 + size);
	message_encode(&record, &m);
	assert_int_equal(message_decode(buf_view(&record), &back), ERR_OK);
	assert_int_equal(back.enqueued_us, m.enqueued_us);
	assert_int_equal(back.expiry_us, m.expiry_us);
	assert_int_equal(back.ack, ACK_FULL);
	assert_true(back.expires);
	assert_true(str_eq(back.device, m.device) && str_eq(back.payload, m.payload));
	assert_true(message_property_next(&back.properties, &p) && p.key == BAG_MESSAGE_ID);
	assert_true(message_property_next(&back.properties, &p) && str_eq(p.name, STR("a")));
	assert_false(message_property_next(&back.properties, &p));
	for (size_t cut = 0; cut + m.payload.n < record.n; cut++) /* no part of it is one */
		assert_int_equal(message_decode((struct str){ record.p, cut }, &back), ERR_CORRUPT);
	buf_fini(&bag);
	buf_fini(&record);
}

static void
message__M04_properties_are_bounded(void **state)
{
	struct buf bag = { 0 };
	char *large = xmalloc(MESSAGE_BAG_MAX + 1);
	size_t size = 0;
	unsigned n = 0;

	(void)state;
	memset(large, 'x', MESSAGE_BAG_MAX);
	large[MESSAGE_BAG_MAX] = '\0';
	assert_int_equal(put(&bag, BAG_CUSTOM, "", "v", &size, &n), ERR_ARG);
	assert_int_equal(put(&bag, BAG_CUSTOM, "a\n", "v", &size, &n), ERR_ARG);
	assert_int_equal(put(&bag, BAG_CUSTOM, "a", "\x7f", &size, &n), ERR_ARG);
	assert_int_equal(put(&bag, BAG_CUSTOM, "a", "\xff", &size, &n), ERR_ARG);
	assert_int_equal(bag.n, 0);
	assert_int_equal(put(&bag, BAG_CUSTOM, "a", large, &size, &n), ERR_SIZE);
	size = n = 0;
	for (unsigned i = 0; i < MESSAGE_PROPERTIES_MAX; i++)
		assert_int_equal(put(&bag, BAG_CUSTOM, "a", "v", &size, &n), ERR_OK);
	assert_int_equal(put(&bag, BAG_CUSTOM, "a", "v", &size, &n), ERR_SIZE);
	free(large);
	buf_fini(&bag);
}

static void
message__M20_bodies_stand_in_the_order_of_their_expiry(void **state)
{
	char a[MESSAGE_KEY], b[MESSAGE_KEY];
	uint32_t shard;
	int64_t expiry_us;
	uint64_t number;

	(void)state;
	message_key(a, 3, 1000, 77);
	message_key(b, 3, 1001, 5);
	assert_true(memcmp(a, b, sizeof(a)) < 0);
	assert_true(message_key_decode((struct str){ a, sizeof(a) }, &shard, &expiry_us, &number));
	assert_int_equal(shard, 3);
	assert_int_equal(expiry_us, 1000);
	assert_int_equal(number, 77);
	assert_false(message_key_decode((struct str){ a, 17 }, &shard, &expiry_us, &number));
	assert_false(message_key_decode(STR("\0\003d1\0"), &shard, &expiry_us, &number));
}

static void
queue_fill(struct queue *q, unsigned n)
{
	q->n = 0;
	for (unsigned i = 0; i < n; i++) {
		q->v[i] = (struct queue_entry){ .number = 1000 + i,
			.expiry_us = 100 * SECOND,
			.size = i,
			.deliveries = i % 11,
			.ack = (enum message_ack)(i % ACK_KINDS),
			.kept = i % 2 != 0,
			.id = STR("m") };
		q->n++;
	}
}

static void
queue__M03_goes_there_and_back(void **state)
{
	struct buf b = { 0 };
	struct queue q, back;

	(void)state;
	for (unsigned n = 1; n <= MESSAGES_MAX; n++) {
		queue_fill(&q, n);
		b.n = 0;
		queue_encode(&b, &q);
		assert_int_equal(queue_decode(buf_view(&b), &back), ERR_OK);
		assert_int_equal(queue_count(buf_view(&b)), n);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(back.v[i].number, q.v[i].number);
			assert_int_equal(back.v[i].deliveries, q.v[i].deliveries);
			assert_int_equal(back.v[i].ack, q.v[i].ack);
			assert_int_equal(back.v[i].kept, q.v[i].kept);
		}
	}
	q.v[1].number = q.v[0].number; /* not in order */
	b.n = 0;
	queue_encode(&b, &q);
	assert_int_equal(queue_decode(buf_view(&b), &back), ERR_CORRUPT);
	assert_int_equal(queue_decode(STR("\1"), &back), ERR_CORRUPT);
	assert_int_equal(queue_decode(STR_NONE, &back), ERR_CORRUPT);
	buf_fini(&b);
}

static void
queue__M16_numbers_grow_and_packet_ids_differ(void **state)
{
	struct queue q = { .n = 0 };

	(void)state;
	assert_int_equal(queue_last_number(&q), 0);
	assert_true(queue_takes(&q, 1));
	q.n = 1;
	q.v[0].number = 1000;
	assert_int_equal(queue_last_number(&q), 1000);
	assert_false(queue_takes(&q, 1000));
	assert_true(queue_takes(&q, 1001));
	assert_false(queue_takes(&q, 1000 + 65535)); /* the same packet id */
	assert_true(queue_takes(&q, 1001 + 65535));
	assert_int_equal(message_packet_id(65534), 65535);
	assert_int_equal(message_packet_id(65535), 1);
}

static void
queue__M12_M20_dies_of_time_and_of_deliveries(void **state)
{
	struct queue_entry e = { .number = 1, .expiry_us = 100 };

	(void)state;
	assert_int_equal(queue_entry_end(&e, &message_rules_default, 99), MESSAGE_ENDS);
	assert_int_equal(queue_entry_end(&e, &message_rules_default, 100), MESSAGE_EXPIRED);
	e.deliveries = message_rules_default.deliveries;
	assert_int_equal(queue_entry_end(&e, &message_rules_default, 99), MESSAGE_DELIVERED_OUT);
	assert_int_equal(queue_entry_end(&e, &message_rules_default, 100), MESSAGE_EXPIRED);
}

static void
lock__M13_tokens_are_guids_of_dotnet(void **state)
{
	const unsigned char token[LOCK_TOKEN] = { 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
		0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
	unsigned char back[LOCK_TOKEN];
	char text[LOCK_TOKEN_TEXT];

	(void)state;
	lock_token_write(text, token);
	assert_string_equal(text, "33221100-5544-7766-8899-aabbccddeeff");
	assert_true(lock_token_parse(str_of(text), back));
	assert_memory_equal(back, token, sizeof(token));
	assert_true(lock_token_parse(STR("33221100-5544-7766-8899-AABBCCDDEEFF"), back));
	for (const char *const *bad = (const char *const[]){ "", "33221100",
	         "33221100-5544-7766-8899-aabbccddeeff0", "33221100+5544-7766-8899-aabbccddeeff",
	         "g3221100-5544-7766-8899-aabbccddeeff", NULL };
	     *bad != NULL; bad++)
		assert_false(lock_token_parse(str_of(*bad), back));
}

/* Against a list of (row, number, until), many times. */
static void
lock__M10_agrees_with_a_list(void **state)
{
	struct model {
		uint32_t row;
		struct lock lock;
	} *list = xcalloc(4096, sizeof(*list));
	struct rnd rnd = { 12345 };
	struct locks l = { 0 };
	uint32_t n = 0;

	(void)state;
	for (int step = 0; step < 30000; step++) {
		uint32_t row = (uint32_t)(rnd_u64(&rnd) % 60), mine = 0, got, k = 0;
		int64_t now_us = step;

		for (uint32_t i = 0; i < n; i++)
			mine += list[i].row == row;
		switch (rnd_u64(&rnd) % 4) {
		case 0:
		case 1:
			assert_int_equal(locks_room(&l, row), mine < MESSAGES_OUT_MAX);
			if (mine == MESSAGES_OUT_MAX)
				break;
			list[n].row = row;
			list[n].lock = (struct lock){ .number = (uint64_t)step + 1,
				.session_epoch = rnd_u64(&rnd) % 2 ? 7 : 0,
				.until_us = now_us + 1 + (int64_t)(rnd_u64(&rnd) % 500) };
			locks_add(&l, row, &list[n++].lock);
			break;
		case 2:
			if (n == 0)
				break;
			k = (uint32_t)(rnd_u64(&rnd) % n);
			locks_remove(&l, list[k].row, list[k].lock.number);
			list[k] = list[--n];
			break;
		default:
			locks_sweep(&l, row, 7, now_us);
			for (uint32_t i = n; i > 0; i--)
				if (list[i - 1].row == row && list[i - 1].lock.session_epoch == 0 &&
				    list[i - 1].lock.until_us <= now_us)
					list[i - 1] = list[--n];
		}
		assert_int_equal(l.n, n);
		got = locks_over(&l, now_us);
		mine = 0;
		for (uint32_t i = 0; i < n; i++) {
			assert_non_null(locks_find(&l, list[i].row, list[i].lock.number));
			mine += list[i].lock.session_epoch == 0 && list[i].lock.until_us <= now_us;
		}
		assert_int_equal(got != TABLE_NONE, mine > 0);
	}
	locks_fini(&l);
	free(list);
}

/* Beyond the bound each row may have one: nobody waits for what others do not acknowledge. */
static void
lock__M10_a_full_shard_leaves_one_to_each_row(void **state)
{
	const struct lock lock = { .number = 1, .session_epoch = 7 };
	struct locks l = { 0 };
	uint32_t row = 0;

	(void)state;
	while (l.n < LOCKS_MAX) {
		struct lock next = lock;

		next.number = l.n + 1;
		assert_true(locks_room(&l, row));
		locks_add(&l, row, &next);
		row += !locks_room(&l, row);
	}
	assert_int_equal(row, LOCKS_MAX / MESSAGES_OUT_MAX);
	assert_true(locks_room(&l, row));
	locks_add(&l, row, &lock);
	assert_false(locks_room(&l, row));
	assert_true(locks_room(&l, row + 1));
	locks_fini(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message__M04_goes_there_and_back),
		cmocka_unit_test(message__M04_properties_are_bounded),
		cmocka_unit_test(message__M20_bodies_stand_in_the_order_of_their_expiry),
		cmocka_unit_test(queue__M03_goes_there_and_back),
		cmocka_unit_test(queue__M16_numbers_grow_and_packet_ids_differ),
		cmocka_unit_test(queue__M12_M20_dies_of_time_and_of_deliveries),
		cmocka_unit_test(lock__M13_tokens_are_guids_of_dotnet),
		cmocka_unit_test(lock__M10_agrees_with_a_list),
		cmocka_unit_test(lock__M10_a_full_shard_leaves_one_to_each_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
