/* LIKE, in both ways, against a walk that tries everything; and what it costs at the worst. */
#include "value/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rnd.h"

static bool
tries(struct str s, struct str p)
{
	const char *at = s.p, *pat = p.p;
	uint32_t c;

	if (p.n == 0)
		return s.n == 0;
	c = utf8_next(&pat, str_end(p));
	p = (struct str){ pat, (size_t)(str_end(p) - pat) };
	if (c == '%') {
		for (;;) {
			if (tries((struct str){ at, (size_t)(str_end(s) - at) }, p))
				return true;
			if (at == str_end(s))
				return false;
			utf8_next(&at, str_end(s));
		}
	}
	if (s.n == 0)
		return false;
	if (c != '_') {
		if (c == '\\' && p.n > 0) {
			c = utf8_next(&pat, str_end(p));
			p = (struct str){ pat, (size_t)(str_end(p) - pat) };
		}
		if (utf8_next(&at, str_end(s)) != c)
			return false;
	} else {
		utf8_next(&at, str_end(s));
	}
	return tries((struct str){ at, (size_t)(str_end(s) - at) }, p);
}

static void
draw(struct rnd *r, struct buf *out, const char *const *of, uint32_t n, uint32_t most)
{
	out->n = 0;
	for (uint32_t i = rnd_below(r, most + 1); i > 0; i--)
		buf_cstr(out, of[rnd_below(r, n)]);
}

static void
like__Q88_both_ways_are_one(void **state)
{
	static const char *const texts[] = { "a", "a", "b", "ü", "%", "_", "\\", "😀" };
	static const char *const patterns[] = { "a", "a", "b", "ü", "%", "%", "_", "_", "\\", "\\%",
		"😀" };
	struct buf text = { 0 }, pattern = { 0 };
	struct rnd r = { .state = 5 };
	uint32_t matched = 0;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		struct str s, p;
		bool is, can;

		draw(&r, &text, texts, 8, 9);
		draw(&r, &pattern, patterns, 11, 7);
		s = buf_view(&text);
		p = buf_view(&pattern);
		is = tries(s, p);
		matched += is;
		assert_int_equal(like_match(s, p), is);
		assert_int_equal(like_match_places(s, p, &can), is);
		assert_true(can);
	}
	assert_true(matched > 1000);
	buf_fini(&text);
	buf_fini(&pattern);
}

/* What nearly matches everywhere: each of these has cost up to half a millisecond. */
static void
like__Q88_no_pattern_costs_the_length_of_the_text_times_its_own(void **state)
{
	struct buf text = { 0 }, pattern = { 0 };
	bool can;

	(void)state;
	for (int i = 0; i < 4000; i++)
		buf_putc(&text, 'a');
	buf_putc(&pattern, '%');
	for (int i = 0; i < 126; i++)
		buf_cstr(&pattern, i % 8 == 7 ? "a_" : "aa");
	buf_cstr(&pattern, "b%");
	for (int i = 0; i < 3000; i++)
		assert_false(like_match(buf_view(&text), buf_view(&pattern)));
	text.p[3990] = 'b';
	assert_true(like_match(buf_view(&text), buf_view(&pattern)));
	for (int i = 0; i < 100; i++)
		buf_cstr(&pattern, "aa");
	assert_false(like_match_places(buf_view(&text), buf_view(&pattern), &can));
	assert_false(can);
	assert_false(like_match(buf_view(&text), buf_view(&pattern)));
	buf_fini(&text);
	buf_fini(&pattern);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like__Q88_both_ways_are_one),
		cmocka_unit_test(like__Q88_no_pattern_costs_the_length_of_the_text_times_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
