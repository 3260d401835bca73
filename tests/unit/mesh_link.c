/* What two nodes say on one connection, without one. docs/cluster-design.md, 6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "mesh/link.h"

#define S INT64_C(1000000)

static const struct link_times times = { S, 3 * S };

struct end {
	struct hello self;
	struct link link;
	struct buf out;
	unsigned nframe;
	enum frame_kind last;
	bool refuses;
};

static enum err
on_hello(void *ctx, const struct hello *h, struct fault *f)
{
	struct end *e = ctx;

	assert_true(h->node.n > 0);
	return e->refuses ? fault_set(f, F_ServerError, "not wanted") : ERR_OK;
}

static enum err
on_frame(void *ctx, const struct frame *frame, struct fault *f)
{
	struct end *e = ctx;

	e->nframe++;
	e->last = frame->kind;
	return frame->kind == FRAME_MAP ? fault_set(f, F_ServerError, "no map") : ERR_OK;
}

static void
end_begin(struct end *e, struct str node)
{
	*e = (struct end){ .self = { 1, 1, STR("hub"), node, STR("1.0.0"), 3, 4, 5 } };
	link_begin(&e->link, &e->self, &times, &e->out, 0);
}

/* All that one has said arrives at the other, `piece` bytes at a time. */
static bool
arrives(struct end *from, struct end *to, size_t piece, int64_t now_us)
{
	const struct link_user user = { on_hello, on_frame, to };
	struct buf in = { 0 };
	bool goes_on = true;

	for (size_t at = 0; goes_on && at < from->out.n; at += piece) {
		size_t n = from->out.n - at < piece ? from->out.n - at : piece, took;

		buf_put(&in, from->out.p + at, n);
		goes_on = link_take(&to->link, &user, buf_view(&in), &took, &to->out, now_us);
		memmove(in.p, in.p + took, in.n - took);
		in.n -= took;
	}
	from->out.n = 0;
	buf_fini(&in);
	return goes_on;
}

static void
end_fini(struct end *e)
{
	buf_fini(&e->out);
}

static void
pair_begin(struct end *a, struct end *b)
{
	end_begin(a, STR("a"));
	end_begin(b, STR("b"));
	assert_true(arrives(a, b, 1, 0));
	assert_true(arrives(b, a, 1000, 0));
	assert_int_equal(a->link.state, LINK_UP);
	assert_int_equal(b->link.state, LINK_UP);
}

static void
put(struct end *e, enum frame_kind kind)
{
	size_t begun = frame_begin(&e->out, kind);

	assert_int_equal(frame_end(&e->out, begun), ERR_OK);
}

static void
link__greets_then_carries_frames_in_their_order(void **state)
{
	struct end a, b;
	(void)state;

	pair_begin(&a, &b);
	assert_int_equal(b.link.common, 5);
	assert_int_equal(b.link.protocol, 1);
	put(&a, FRAME_OP), put(&a, FRAME_REPLY), put(&a, FRAME_EFFECT);
	assert_true(arrives(&a, &b, 7, 0));
	assert_int_equal(b.nframe, 3);
	assert_int_equal(b.last, FRAME_EFFECT);
	end_fini(&a), end_fini(&b);
}

static void
expect_over(struct end *from, struct end *to, const char *says)
{
	assert_false(arrives(from, to, 1000000, 0));
	assert_int_equal(to->link.state, LINK_OVER);
	if (strstr(to->link.why.text, says) == NULL)
		fail_msg("%s: %s", says, to->link.why.text);
	end_fini(from), end_fini(to);
}

static void
link__refuses_whom_it_does_not_know(void **state)
{
	struct end a, b;
	(void)state;

	end_begin(&a, STR("a")), end_begin(&b, STR("b"));
	b.self.hub = STR("other");
	expect_over(&a, &b, "a node of another hub, hub");
	end_begin(&a, STR("a")), end_begin(&b, STR("b"));
	b.self.protocol_min = b.self.protocol_max = 2;
	expect_over(&a, &b, "it speaks protocols 1 to 1, this node 2 to 2");
	end_begin(&a, STR("a")), end_begin(&b, STR("b"));
	b.refuses = true;
	expect_over(&a, &b, "not wanted");
	end_begin(&a, STR("a")), end_begin(&b, STR("b"));
	a.out.n = 0, put(&a, FRAME_OP);
	expect_over(&a, &b, "its first frame is OP, not HELLO");
	end_begin(&a, STR("a")), end_begin(&b, STR("b"));
	a.out.n = 0, buf_put(&a.out, "\0\0\x10\0\1\0", 6);
	expect_over(&a, &b, "its HELLO has 4102 bytes");
	end_begin(&a, STR("a")), end_begin(&b, STR("b"));
	a.out.n = 0, buf_put(&a.out, "\xff\0\0\0\1\0", 6);
	expect_over(&a, &b, "larger than frames are");
}

static void
link__is_over_at_what_it_may_not_carry(void **state)
{
	struct end a, b;
	(void)state;

	pair_begin(&a, &b);
	put(&a, FRAME_HELLO);
	expect_over(&a, &b, "it greets twice");
	pair_begin(&a, &b);
	put(&a, FRAME_MAP);
	expect_over(&a, &b, "MAP: no map");
}

static void
link__pings_and_says_what_has_feedback(void **state)
{
	struct end a, b;
	(void)state;

	pair_begin(&a, &b);
	assert_true(link_tick(&a.link, 0x81, &a.out, S - 1));
	assert_int_equal(a.out.n, 0);
	assert_true(link_tick(&a.link, 0x81, &a.out, S));
	assert_true(arrives(&a, &b, 1000, S + 10));
	assert_int_equal(b.link.feedback, 0x81);
	assert_true(arrives(&b, &a, 1000, S + 30));
	assert_int_equal(a.link.trip_us, 30);
	assert_int_equal(a.nframe + b.nframe, 0);
	end_fini(&a), end_fini(&b);
}

static void
link__is_over_when_nothing_is_heard(void **state)
{
	struct end a, b;
	(void)state;

	pair_begin(&a, &b);
	for (int64_t now = 0; now < 3 * S; now += S / 4)
		assert_true(link_tick(&a.link, 0, &a.out, now));
	assert_false(link_tick(&a.link, 0, &a.out, 3 * S));
	assert_non_null(strstr(a.link.why.text, "nothing was heard of it for 3000 ms"));
	end_fini(&a), end_fini(&b);
	/* who greets and is not greeted waits no longer */
	end_begin(&a, STR("a"));
	assert_false(link_tick(&a.link, 0, &a.out, 3 * S));
	end_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link__greets_then_carries_frames_in_their_order),
		cmocka_unit_test(link__refuses_whom_it_does_not_know),
		cmocka_unit_test(link__is_over_at_what_it_may_not_carry),
		cmocka_unit_test(link__pings_and_says_what_has_feedback),
		cmocka_unit_test(link__is_over_when_nothing_is_heard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
