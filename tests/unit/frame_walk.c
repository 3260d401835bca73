/* Parts of questions and their answers, as bytes and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "frame/frame.h"

#include <cmocka.h>

static void
frame__O265_a_question_comes_back(void **state)
{
	const struct walk_asked a = { .kind = WALK_QUERY,
		.explain = true,
		.limit = 100,
		.shards = 0x8000000000000005,
		.from = { 2, 17, 40, 9 },
		.left_us = 59000000,
		.text = STR("SELECT"),
		.who = STR("service"),
		.peer = STR("10.0.0.1") };
	struct walk_asked b;
	struct buf body = { 0 };
	struct fault f;

	(void)state;
	walk_asked_write(&body, &a);
	assert_int_equal(walk_asked_read(buf_view(&body), &b, &f), ERR_OK);
	assert_int_equal(b.kind, a.kind);
	assert_true(b.explain && !b.samples && b.limit == a.limit && b.shards == a.shards);
	assert_memory_equal(&b.from, &a.from, sizeof(a.from));
	assert_true(b.left_us == a.left_us && str_eq(b.text, a.text) && str_eq(b.who, a.who) &&
	    str_eq(b.peer, a.peer));
	buf_fini(&body);
}

static void
mark(struct walk_answer *a, uint64_t shard, uint64_t row, uint64_t bytes)
{
	buf_varint(&a->marks, shard);
	buf_varint(&a->marks, row);
	buf_varint(&a->marks, 0);
	buf_varint(&a->marks, bytes);
	buf_varint(&a->marks, 0);
	a->nrow++;
}

static enum err
there_and_back(struct walk_answer *a, struct walk_answer *b)
{
	struct buf body = { 0 };
	struct fault f;
	enum err e;

	walk_answer_write(&body, a);
	e = walk_answer_read(buf_view(&body), b, &f);
	buf_fini(&body);
	return e;
}

static void
frame__O265_an_answer_comes_back(void **state)
{
	struct walk_answer a = { .shards = 6, .ended = true, .more = true, .end = { 2, 5, 2, 0 } };
	struct walk_answer b = { 0 };

	(void)state;
	mark(&a, 1, 3, 2);
	mark(&a, 2, 4, 3);
	buf_cstr(&a.rows, "{}{ }");
	buf_cstr(&a.sum, "sum");
	a.reflects[1] = 77;
	a.reflects[2] = 78;
	a.ns[LAP_LOAD] = 12345;
	assert_int_equal(there_and_back(&a, &b), ERR_OK);
	assert_true(b.shards == 6 && b.ended && b.more && b.nrow == 2);
	assert_memory_equal(&b.end, &a.end, sizeof(a.end));
	assert_memory_equal(b.reflects, a.reflects, sizeof(a.reflects));
	assert_memory_equal(b.ns, a.ns, sizeof(a.ns));
	assert_true(str_eq(buf_view(&b.rows), buf_view(&a.rows)));
	assert_true(str_eq(buf_view(&b.sum), buf_view(&a.sum)));
	walk_answer_fini(&b);
	walk_answer_fini(&a);
}

/* Rows of shards that it does not answer for, out of order, longer than what there is, or fewer than it says. */
static void
frame__O265_an_answer_that_cannot_be_is_refused(void **state)
{
	static const struct {
		uint64_t shards[2], bytes[2];
		uint32_t nrow;
	} wrong[] = { { { 1, 3 }, { 2, 3 }, 2 }, { { 2, 1 }, { 2, 3 }, 2 },
		{ { 1, 2 }, { 2, 4 }, 2 }, { { 1, 2 }, { 2, 2 }, 2 }, { { 1, 2 }, { 2, 3 }, 3 } };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct walk_answer a = { .shards = 6 }, b = { 0 };

		mark(&a, wrong[i].shards[0], 1, wrong[i].bytes[0]);
		mark(&a, wrong[i].shards[1], 2, wrong[i].bytes[1]);
		a.nrow = wrong[i].nrow;
		buf_cstr(&a.rows, "{}{ }");
		assert_int_equal(there_and_back(&a, &b), ERR_PROTOCOL);
		walk_answer_fini(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__O265_a_question_comes_back),
		cmocka_unit_test(frame__O265_an_answer_comes_back),
		cmocka_unit_test(frame__O265_an_answer_that_cannot_be_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
