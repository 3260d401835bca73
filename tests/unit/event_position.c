/* Positions of the hub, as readers have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "event/position.h"
#include "rnd.h"

#define HUB 0x12345678u

static void
expect_back(const struct position *p)
{
	struct buf text = { 0 };
	struct position got;
	struct fault f;

	position_write(&text, p, HUB);
	assert_true(text.n <= POSITION_TEXT_MAX);
	for (size_t i = 0; i < text.n; i++)
		assert_non_null(
		    memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
		        text.p[i], 64));
	assert_int_equal(position_read(buf_view(&text), HUB, &got, &f), ERR_OK);
	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		assert_true(got.next[s] == p->next[s]);
	buf_fini(&text);
}

static void
position__E10_is_what_was_written(void **state)
{
	struct position p;
	struct rnd rnd = { 7 };
	(void)state;

	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		p.next[s] = 1;
	expect_back(&p);
	for (int round = 0; round < 2000; round++) {
		uint64_t base = rnd_u64(&rnd) >> (8 + rnd_u64(&rnd) % 50);

		for (unsigned s = 0; s < POSITION_SHARDS; s++)
			p.next[s] = base + rnd_u64(&rnd) % (UINT64_C(1) << rnd_u64(&rnd) % 27);
		expect_back(&p);
	}
}

/* Further apart than it can say: never more than was there, and hardly less. */
static void
position__E11_far_apart_begins_a_little_earlier(void **state)
{
	struct position p = { 0 }, got;
	struct buf text = { 0 };
	struct fault f;
	(void)state;

	p.next[3] = UINT64_C(1) << 56;
	p.next[9] = (UINT64_C(1) << 50) + 12345;
	position_write(&text, &p, HUB);
	assert_true(text.n <= POSITION_TEXT_MAX);
	assert_int_equal(position_read(buf_view(&text), HUB, &got, &f), ERR_OK);
	for (unsigned s = 0; s < POSITION_SHARDS; s++) {
		assert_true(got.next[s] <= p.next[s]);
		assert_true(p.next[s] - got.next[s] <= UINT64_C(1) << (57 - POSITION_BITS));
	}
	buf_fini(&text);
}

static void
position__E10_the_longest_has_300_characters(void **state)
{
	struct position p;
	struct buf text = { 0 };
	(void)state;

	for (unsigned s = 0; s < POSITION_SHARDS; s++)
		p.next[s] = UINT64_MAX >> (s % 2);
	position_write(&text, &p, HUB);
	assert_int_equal(text.n, POSITION_TEXT_MAX);
	buf_fini(&text);
}

static void
expect_fault(struct str text, uint32_t hub, const char *says)
{
	struct position got;
	struct fault f = { 0 };

	assert_int_equal(position_read(text, hub, &got, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentInvalid);
	assert_non_null(strstr(f.text, says));
}

static void
position__E10_of_another_hub_or_none_is_said(void **state)
{
	struct position p = { { 5, 6, 7 } };
	struct buf text = { 0 };
	char bent[POSITION_TEXT_MAX];
	(void)state;

	position_write(&text, &p, HUB);
	expect_fault(buf_view(&text), HUB + 1, "another hub");
	expect_fault(STR_NONE, HUB, "no position");
	expect_fault(STR("now"), HUB, "no position");
	for (size_t n = 0; n < text.n; n++) {
		expect_fault((struct str){ text.p, n }, HUB, "no position");
		memcpy(bent, text.p, text.n);
		bent[n] = bent[n] == 'A' ? 'B' : 'A';
		expect_fault((struct str){ bent, text.n }, HUB, "no position");
	}
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(position__E10_is_what_was_written),
		cmocka_unit_test(position__E11_far_apart_begins_a_little_earlier),
		cmocka_unit_test(position__E10_the_longest_has_300_characters),
		cmocka_unit_test(position__E10_of_another_hub_or_none_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
