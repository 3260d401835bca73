/* The newest records of a shard's log, in memory: what is read there is what was put, with nothing missing between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rnd.h"
#include "worker/tail.h"

static struct str
record_of(uint64_t position, char room[4096])
{
	struct rnd r = { .state = position + 1 };
	uint32_t n;

	rnd_u64(&r);
	n = rnd_below(&r, rnd_below(&r, 9) == 0 ? 4096 : 200);
	memset(room, (int)(position & 0xff), n);
	return (struct str){ room, n };
}

static void
put(struct tail *t, uint64_t position)
{
	char room[4096];

	tail_put(t, position, record_of(position, room));
}

struct seen {
	uint64_t next;
	uint64_t until;
};

static bool
see(void *ctx, uint64_t position, struct str record)
{
	struct seen *s = ctx;
	char room[4096];

	assert_int_equal(position, s->next++);
	assert_true(str_eq(record, record_of(position, room)));
	return s->next < s->until;
}

static void
tail__gives_what_was_put_from_any_position_that_it_reaches(void **state)
{
	struct rnd r = { .state = 11 };
	struct tail t;
	uint64_t next = 1, begun = 1;

	(void)state;
	tail_init(&t);
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t from;
		struct seen s;

		if (rnd_below(&r, 500) == 0) /* what nobody has gathered, or what was taken back */
			begun = next =
			    rnd_below(&r, 2) == 0 ? next + 1 + rnd_below(&r, 5) : next - 1;
		put(&t, next++);
		if (i % 8 != 0)
			continue;
		from = next - 1 -
		    (next - begun > 300 ? rnd_below(&r, 300)
		                        : rnd_below(&r, (uint32_t)(next - begun)));
		s = (struct seen){ from, rnd_below(&r, 4) == 0 ? from + 3 : UINT64_MAX };
		if (tail_read(&t, from, see, &s))
			assert_true(s.next == next || s.next == s.until);
		else
			assert_int_equal(s.next, from);
	}
	tail_fini(&t);
}

static void
tail__is_bounded_and_reaches_back_as_far(void **state)
{
	struct seen s = { 0, UINT64_MAX };
	struct tail t;

	(void)state;
	tail_init(&t);
	for (uint64_t p = 1; p < 5000; p++) {
		put(&t, p);
		assert_true(t.records.n <= 2 * TAIL_BYTES + 4200);
	}
	assert_false(tail_read(&t, 1, see, &s));
	assert_false(tail_read(&t, 5000, see, &s));
	assert_true(t.to - t.from > 100);
	s.next = t.from;
	assert_true(tail_read(&t, t.from, see, &s));
	assert_int_equal(s.next, 5000);
	assert_false(tail_read(&t, t.from - 1, see, &s));
	tail_fini(&t);
}

/* A record that does not follow the last one: what is before it is not to be had here. */
static void
tail__begins_anew_where_something_is_missing(void **state)
{
	struct seen s = { 0, UINT64_MAX };
	struct tail t;

	(void)state;
	tail_init(&t);
	put(&t, 1);
	put(&t, 2);
	put(&t, 4);
	assert_false(tail_read(&t, 1, see, &s));
	assert_false(tail_read(&t, 3, see, &s));
	s.next = 4;
	assert_true(tail_read(&t, 4, see, &s));
	put(&t, 4); /* its commit had failed */
	s.next = 4;
	assert_true(tail_read(&t, 4, see, &s));
	assert_int_equal(s.next, 5);
	tail_fini(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tail__gives_what_was_put_from_any_position_that_it_reaches),
		cmocka_unit_test(tail__is_bounded_and_reaches_back_as_far),
		cmocka_unit_test(tail__begins_anew_where_something_is_missing),
	};

	return cmocka_run_group_tests_name("worker: the tail of a log", tests, NULL, NULL);
}
