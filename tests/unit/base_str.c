/* Byte strings, percent coding, UTF-8, ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>

#include "base/base.h"
#include "rnd.h"

static void
assert_text(struct str got, const char *want)
{
	if (!str_eq(got, str_of(want)))
		fail_msg("got '" STR_FMT "', want '%s'", STR_ARG(got), want);
}

static void
str_eq__compares_bytes_and_takes_no_string(void **state)
{
	(void)state;
	assert_true(str_eq(STR("abc"), STR("abc")));
	assert_false(str_eq(STR("abc"), STR("abC")));
	assert_false(str_eq(STR("abc"), STR("ab")));
	assert_true(str_eq(STR_NONE, STR("")));
	assert_true(str_eq(str_of(NULL), STR_NONE));
}

static void
str_ieq__ignores_case_of_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(str_ieq(STR("Content-Type"), STR("content-tYPE")));
	assert_false(str_ieq(STR("a"), STR("b")));
	assert_false(str_ieq(STR("@"), STR("`"))); /* 0x20 apart, as letters of two cases are */
	assert_false(str_ieq(STR("\xC3\x84"), STR("\xC3\xA4")));
	assert_false(str_ieq(STR("ab"), STR("abc")));
}

static void
str_cmp__orders_by_byte_and_prefix_first(void **state)
{
	(void)state;
	assert_true(str_cmp(STR("a"), STR("b")) < 0);
	assert_true(str_cmp(STR("\xFF"), STR("a")) > 0);
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("b"), STR("ab")) > 0);
	assert_int_equal(str_cmp(STR("ab"), STR("ab")), 0);
	assert_true(str_cmp(STR_NONE, STR("a")) < 0);
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
}

static void
str_starts_ends__at_the_edges(void **state)
{
	(void)state;
	assert_true(str_starts(STR("devices/x"), STR("devices/")));
	assert_false(str_starts(STR("devices"), STR("devices/")));
	assert_false(str_starts(STR("Devices/x"), STR("devices/")));
	assert_true(str_ends(STR("a/b"), STR("/b")));
	assert_false(str_ends(STR("b"), STR("/b")));
	assert_true(str_starts(STR_NONE, STR_NONE));
	assert_true(str_ends(STR_NONE, STR_NONE));
	assert_false(str_starts(STR_NONE, STR("a")));
}

static void
str_cut__splits_at_the_first(void **state)
{
	struct str before, rest;
	(void)state;

	assert_true(str_cut(STR("a=b=c"), '=', &before, &rest));
	assert_text(before, "a");
	assert_text(rest, "b=c");
	assert_true(str_cut(STR("="), '=', &before, &rest));
	assert_text(before, "");
	assert_text(rest, "");
	assert_false(str_cut(STR("abc"), '=', &before, &rest));
	assert_text(before, "abc");
	assert_text(rest, "");
	assert_false(str_cut(STR_NONE, '=', &before, &rest));
	assert_int_equal(before.n + rest.n, 0);
	assert_text(str_sub(STR("abc"), 3), "");
	assert_text(str_sub(STR("abc"), 1), "bc");
	assert_int_equal(str_sub(STR_NONE, 0).n, 0);
}

static void
str_u64__digits_only_and_no_overflow(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1a",
		"18446744073709551616", "99999999999999999999", "100000000000000000000" };
	uint64_t v = 42;
	(void)state;

	assert_true(str_u64(STR("0"), &v));
	assert_int_equal(v, 0);
	assert_true(str_u64(STR("007"), &v));
	assert_int_equal(v, 7);
	assert_true(str_u64(STR("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (str_u64(str_of(bad[i]), &v))
			fail_msg("'%s' was taken", bad[i]);
	assert_true(v == UINT64_MAX);
}

static void
str_dup0__is_terminated(void **state)
{
	char *c = str_dup0((struct str){ "abcdef", 3 }), *e = str_dup0(STR_NONE);
	(void)state;

	assert_string_equal(c, "abc");
	assert_string_equal(e, "");
	free(c);
	free(e);
}

static void
str_eq_secret__is_an_equality(void **state)
{
	(void)state;
	assert_true(str_eq_secret(STR("k\0y"), STR("k\0y")));
	assert_false(str_eq_secret(STR("k\0y"), STR("k\0z")));
	assert_false(str_eq_secret(STR("a"), STR("ab")));
	assert_true(str_eq_secret(STR_NONE, STR("")));
}

static void
percent_decode__decodes_once_and_keeps_what_is_invalid(void **state)
{
	static const char *const cases[][2] = { { "a%20b", "a b" }, { "%41%6a%6A", "Ajj" },
		{ "a+b", "a+b" }, { "%2541", "%41" }, { "%", "%" }, { "%4", "%4" },
		{ "%zz", "%zz" }, { "%4g%41", "%4gA" }, { "%%41", "%A" }, { "100%", "100%" },
		{ "%E2%82%AC", "\xE2\x82\xAC" }, { "", "" } };
	char out[32];
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = percent_decode(str_of(cases[i][0]), out);
		assert_text((struct str){ out, n }, cases[i][1]);
	}
}

static void
buf_percent__round_trips_every_byte(void **state)
{
	char all[256], out[768];
	struct buf b = { 0 };
	(void)state;

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	buf_percent(&b, (struct str){ all, 256 });
	assert_int_equal(percent_decode(buf_view(&b), out), 256);
	assert_memory_equal(out, all, 256);
	b.n = 0;
	buf_percent(&b, STR("aZ09-_.~ /+%\xFF"));
	assert_text(buf_view(&b), "aZ09-_.~%20%2F%2B%25%FF");
	buf_fini(&b);
}

/* RFC 3629's grammar as a table of byte ranges, which is not how utf8_valid works. */
static size_t
utf8_by_grammar(const unsigned char *p, size_t n)
{
	static const struct {
		unsigned char lead[2], second[2];
		size_t len;
	} rows[] = { { { 0x00, 0x7F }, { 0, 0 }, 1 }, { { 0xC2, 0xDF }, { 0x80, 0xBF }, 2 },
		{ { 0xE0, 0xE0 }, { 0xA0, 0xBF }, 3 }, { { 0xE1, 0xEC }, { 0x80, 0xBF }, 3 },
		{ { 0xED, 0xED }, { 0x80, 0x9F }, 3 }, { { 0xEE, 0xEF }, { 0x80, 0xBF }, 3 },
		{ { 0xF0, 0xF0 }, { 0x90, 0xBF }, 4 }, { { 0xF1, 0xF3 }, { 0x80, 0xBF }, 4 },
		{ { 0xF4, 0xF4 }, { 0x80, 0x8F }, 4 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool fits = p[0] >= rows[i].lead[0] && p[0] <= rows[i].lead[1] && n >= rows[i].len;
		if (fits && rows[i].len > 1)
			fits = p[1] >= rows[i].second[0] && p[1] <= rows[i].second[1];
		for (size_t k = 2; fits && k < rows[i].len; k++)
			fits = p[k] >= 0x80 && p[k] <= 0xBF;
		if (fits)
			return rows[i].len;
	}
	return 0;
}

static void
utf8_valid__agrees_with_the_grammar(void **state)
{
	static const unsigned char edges[] = { 0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
		0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4,
		0xF5, 0xFF };
	struct rnd r = { 3 };
	int valid = 0;
	(void)state;

	for (int round = 0; round < 200000; round++) {
		unsigned char t[6];
		size_t n = rnd_below(&r, 7), at = 0;
		for (size_t i = 0; i < n; i++)
			t[i] = edges[rnd_below(&r, sizeof(edges))];
		while (at < n && utf8_by_grammar(t + at, n - at) > 0)
			at += utf8_by_grammar(t + at, n - at);
		assert_int_equal(utf8_valid((struct str){ (char *)t, n }), at == n);
		valid += at == n && n > 2;
	}
	assert_true(valid > 100);
}

static void
utf8_escape__is_what_json_says(void **state)
{
	static const struct {
		const char *bytes, *escaped;
		uint32_t c;
		bool hidden;
	} cases[] = {
		{ "\x1b", "\\u001b", 0x1b, true },
		{ "\xc2\x9b", "\\u009b", 0x9b, true },
		{ "\xe2\x80\xae", "\\u202e", 0x202e, true },
		{ "\xf3\xa0\x81\x81", "\\udb40\\udc41", 0xe0041, true },
		{ "\xff", "\\ufffd", 0xfffd, true },     /* begins none */
		{ "\xe2\x80", "\\ufffd", 0xfffd, true }, /* not whole */
		{ "\xc3\xa4", "\\u00e4", 0xe4, false },
		{ "\xf0\x9f\x98\x80", "\\ud83d\\ude00", 0x1f600, false },
	};
	char out[UTF8_ESCAPE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct str s = str_of(cases[i].bytes);

		assert_int_equal(utf8_take(&s), cases[i].c);
		assert_int_equal(utf8_hidden(cases[i].c), cases[i].hidden);
		assert_int_equal(utf8_escape(cases[i].c, out), strlen(cases[i].escaped));
		assert_string_equal(out, cases[i].escaped);
	}
}

static void
utf8_next__gives_code_points(void **state)
{
	const char *p = "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", *end = p + strlen(p);
	(void)state;

	assert_int_equal(utf8_next(&p, end), 'A');
	assert_int_equal(utf8_next(&p, end), 0xE9);
	assert_int_equal(utf8_next(&p, end), 0x20AC);
	assert_int_equal(utf8_next(&p, end), 0x1F600);
	assert_ptr_equal(p, end);
}

static void
utf8_next__stays_inside_a_cut_character(void **state)
{
	const char bytes[2] = { '\xE2', '\x82' }, *p = bytes;
	(void)state;

	utf8_next(&p, bytes + 2);
	assert_true(p > bytes && p <= bytes + 2);
}

static void
id_valid__L36_the_allowed_characters_and_no_other(void **state)
{
	static const char allowed[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-:.+%_#*?!(),=@;$'";
	char text[ID_MAX + 1];
	(void)state;

	for (int c = 0; c < 256; c++) {
		char one[3] = { 'a', (char)c, 'b' };
		assert_int_equal(
		    id_valid((struct str){ one, 3 }), c != 0 && strchr(allowed, c) != NULL);
	}
	memset(text, 'x', sizeof(text));
	assert_true(id_valid((struct str){ text, ID_MAX }));
	assert_false(id_valid((struct str){ text, ID_MAX + 1 }));
	assert_true(id_valid(STR("x")));
	assert_false(id_valid(STR("")));
	assert_false(id_valid(STR_NONE));
}

static int
by_byte(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

static int
by_byte_with(const void *a, const void *b, void *ctx)
{
	(*(unsigned *)ctx)++;
	return by_byte(a, b);
}

static void
char_among__never_finds_the_end_of_the_set(void **state)
{
	(void)state;
	assert_true(char_among('b', "abc"));
	assert_false(char_among('d', "abc"));
	assert_false(char_among('\0', "abc"));
	assert_false(char_among('\0', ""));
}

/* UBSan watches: what is empty may be NULL. */
static void
arrays__that_are_empty_may_be_null(void **state)
{
	char text[] = "cab";
	unsigned n = 0;

	(void)state;
	array_sort(NULL, 0, 1, by_byte);
	array_sort_with(NULL, 0, 1, by_byte_with, &n);
	bytes_copy(text, NULL, 0);
	assert_int_equal(n, 0);
	array_sort_with(text, 3, 1, by_byte_with, &n);
	assert_string_equal(text, "abc");
	assert_true(n > 0);
	bytes_copy(text, "z", 1);
	array_sort(text, 3, 1, by_byte);
	assert_string_equal(text, "bcz");
}

static void
hex__digits_of_every_byte_and_back(void **state)
{
	char text[2 * 256], one[3];
	unsigned char all[256];

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (unsigned char)i;
	hex_write(text, all, sizeof(all));
	for (int i = 0; i < 256; i++) {
		snprintf(one, sizeof(one), "%02x", (unsigned)i);
		assert_memory_equal(text + 2 * i, one, 2);
		assert_int_equal(hex_digit(one[0]) << 4 | hex_digit(one[1]), i);
		snprintf(one, sizeof(one), "%02X", (unsigned)i);
		assert_int_equal(hex_digit(one[0]) << 4 | hex_digit(one[1]), i);
		assert_int_equal(hex_digit((char)i) >= 0, i != 0 && isxdigit(i));
	}
	hex_write(text, NULL, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(str_eq__compares_bytes_and_takes_no_string),
		cmocka_unit_test(str_ieq__ignores_case_of_ascii_letters_only),
		cmocka_unit_test(str_cmp__orders_by_byte_and_prefix_first),
		cmocka_unit_test(str_starts_ends__at_the_edges),
		cmocka_unit_test(str_cut__splits_at_the_first),
		cmocka_unit_test(str_u64__digits_only_and_no_overflow),
		cmocka_unit_test(str_dup0__is_terminated),
		cmocka_unit_test(str_eq_secret__is_an_equality),
		cmocka_unit_test(percent_decode__decodes_once_and_keeps_what_is_invalid),
		cmocka_unit_test(buf_percent__round_trips_every_byte),
		cmocka_unit_test(hex__digits_of_every_byte_and_back),
		cmocka_unit_test(utf8_valid__agrees_with_the_grammar),
		cmocka_unit_test(utf8_escape__is_what_json_says),
		cmocka_unit_test(utf8_next__gives_code_points),
		cmocka_unit_test(utf8_next__stays_inside_a_cut_character),
		cmocka_unit_test(char_among__never_finds_the_end_of_the_set),
		cmocka_unit_test(arrays__that_are_empty_may_be_null),
		cmocka_unit_test(id_valid__L36_the_allowed_characters_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
