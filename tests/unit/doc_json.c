/* JSON text in and out. */
#include "doc_help.h"

#include <math.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct doc_parser *parser;

static int
setup(void **state)
{
	(void)state;
	parser = doc_parser_new(TEST_TEXT_MAX);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	doc_parser_free(parser);
	return 0;
}

static void
assert_round_trip(const char *text, const char *want)
{
	struct buf b = { 0 };

	assert_json(doc_from(&b, text), want);
	assert_true(doc_valid(buf_view(&b), 0, DOC_DEPTH_MAX));
	buf_fini(&b);
}

/* A refusal leaves the output as it was and names the code and the byte. */
static void
assert_refused(struct str text, enum err want, enum fault_code code, const char *where)
{
	struct buf b = { 0 };
	struct doc_parsed info = { 77 };
	struct fault f = { .text = "" };
	enum err e;

	buf_str(&b, STR("kept"));
	e = doc_parse(parser, text, &b, &info, &f);
	if (e != want || f.code != code || strstr(f.text, where) == NULL)
		fail_msg("'" STR_FMT "' gave %d, %d, '%s'", STR_ARG(text), e, f.code, f.text);
	assert_str(buf_view(&b), "kept");
	assert_int_equal(doc_parse(parser, text, &b, NULL, NULL), want);
	assert_str(buf_view(&b), "kept");
	buf_fini(&b);
}

static void
doc_parse__keeps_the_form_of_plain_texts(void **state)
{
	static const char *const same[] = { "null", "true", "false", "0", "-1", "\"\"", "[]", "{}",
		"[[],{}]", "{\"\":{\"a\":[1,2.5,\"x\"]}}", "9223372036854775807",
		"-9223372036854775808", "[[[[[[]]]]]]", "\"\xE2\x82\xAC \xF0\x9F\x98\x80 \x7F\"",
		"{\"b\":1,\"a\":2}" };
	(void)state;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		assert_round_trip(same[i], same[i]);
	assert_round_trip(" \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "{\"a\":[1,2]}");
}

static void
doc_parse__T77_keeps_integers_and_doubles_apart(void **state)
{
	struct buf b = { 0 };
	(void)state;

	assert_int_equal(doc_kind(doc_from(&b, "1")), DOC_INT);
	assert_int_equal(doc_kind(doc_from(&b, "1.0")), DOC_DOUBLE);
	assert_int_equal(doc_kind(doc_from(&b, "1e2")), DOC_DOUBLE);
	buf_fini(&b);
	assert_round_trip("1.0", "1.0");
	assert_round_trip("1e2", "100.0");
	assert_round_trip("1E+2", "100.0");
	assert_round_trip("-0", "0");
	assert_round_trip("-0.0", "-0.0");
}

static void
doc_write__T77_doubles_in_shortest_round_trip_form(void **state)
{
	static const char *const cases[][2] = { { "0.1", "0.1" }, { "21.5", "21.5" },
		{ "0.30000000000000004", "0.30000000000000004" }, { "1e14", "100000000000000.0" },
		{ "999999999999999.9", "999999999999999.9" }, { "1e15", "1e+15" },
		{ "0.00001", "0.00001" }, { "0.000001", "1e-06" }, { "1e300", "1e+300" },
		{ "5e-324", "5e-324" }, { "1.7976931348623157e308", "1.7976931348623157e+308" },
		{ "1e-400", "0.0" }, { "-123456.789", "-123456.789" }, { "0.1e1", "1.0" },
		{ "2.2250738585072014e-308", "2.2250738585072014e-308" } };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_round_trip(cases[i][0], cases[i][1]);
}

static void
doc_write__not_finite_is_null(void **state)
{
	struct buf b = { 0 };
	(void)state;

	doc_write_json_double(&b, INFINITY);
	doc_write_json_double(&b, NAN);
	assert_str(buf_view(&b), "nullnull");
	buf_fini(&b);
	assert_json(DOC_NONE, "null");
}

static void
doc_write__escapes_what_must_be_and_no_more(void **state)
{
	struct buf b = { 0 };
	(void)state;

	assert_round_trip(
	    "\"\\u0041\\/\\u20ac\\ud83d\\ude00\"", "\"A/\xE2\x82\xAC\xF0\x9F\x98\x80\"");
	assert_round_trip("{\"\\n\":\"\\\"\\\\\"}", "{\"\\n\":\"\\\"\\\\\"}");
	doc_write_json_str(&b, STR("\b\t\n\f\r\"\\/\x01\x1F\x7F\x00z"));
	assert_str(buf_view(&b), "\"\\b\\t\\n\\f\\r\\\"\\\\/\\u0001\\u001f\x7F\\u0000z\"");
	buf_fini(&b);
}

static void
doc_parse__a_leading_bom_is_skipped(void **state)
{
	(void)state;
	assert_round_trip("\xEF\xBB\xBF{\"a\":1}", "{\"a\":1}");
	assert_refused(STR("\xEF\xBB\xBF{\"a\"}"), ERR_SYNTAX, F_IotHubFormatError, "byte 7");
	assert_refused(STR("\xEF\xBB\xBF"), ERR_SYNTAX, F_IotHubFormatError, "byte 3");
	assert_refused(
	    STR("\xEF\xBB\xBF\xEF\xBB\xBF{}"), ERR_SYNTAX, F_IotHubFormatError, "byte 3");
}

static void
doc_parse__refuses_what_is_not_json_and_says_where(void **state)
{
	static const struct {
		const char *text, *where;
	} cases[] = { { "", "byte 0." }, { "   ", "byte 3." }, { "{", "byte 1." },
		{ "[1,]", "byte 3." }, { "{\"a\":1,}", "byte 7." }, { "{a:1}", "byte 1." },
		{ "[1 2]", "byte 3." }, { "{} {}", "byte 3." }, { "01", "byte 1." },
		{ "1.", "byte 2." }, { "-", "byte 1." }, { "+1", "byte 0." }, { ".5", "byte 0." },
		{ "1e", "byte 2." }, { "tru", "byte 0." }, { "nul", "byte 0." },
		{ "[falsey]", "byte 6." }, { "NaN", "byte 0." }, { "\"abc", "byte 4." },
		{ "\"\\x\"", "byte " }, { "\"\\ud800\"", "byte " }, { "\"\\ude00\"", "byte " },
		{ "\"\\u12\"", "byte " }, { "\"a\nb\"", "byte 2." },
		{ "[\"\xC3\x28\"]", "byte 2." }, { "\"\xED\xA0\x80\"", "byte " },
		{ "'a'", "byte 0." }, { "]", "byte 0." }, { "[1}", "byte 2." },
		{ "{\"a\" 1}", "byte 5." }, { "{\"a\":}", "byte 5." }, { "// no\n1", "byte 0." } };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(
		    str_of(cases[i].text), ERR_SYNTAX, F_IotHubFormatError, cases[i].where);
	assert_refused(STR_NONE, ERR_SYNTAX, F_IotHubFormatError, "byte 0.");
	assert_refused(STR("1\0"), ERR_SYNTAX, F_IotHubFormatError, "byte 1.");
}

static void
doc_parse__T76_numbers_beyond_64_bits_are_out_of_range(void **state)
{
	(void)state;
	assert_refused(STR("9223372036854775808"), ERR_RANGE, F_ArgumentInvalid, "byte 0 ");
	assert_refused(STR("[1,-9223372036854775809]"), ERR_RANGE, F_ArgumentInvalid, "byte 3 ");
	assert_refused(
	    STR("{\"a\":18446744073709551615}"), ERR_RANGE, F_ArgumentInvalid, "byte 5 ");
	assert_refused(
	    STR("123456789012345678901234567890"), ERR_RANGE, F_ArgumentInvalid, "byte 0 ");
	assert_refused(STR("[1e400]"), ERR_RANGE, F_ArgumentInvalid, "byte 1 ");
	assert_refused(STR("-1.8e308"), ERR_RANGE, F_ArgumentInvalid, "byte 0 ");
	/* After a number without a sign bit to spare, the rest of the object must not be misread. */
	assert_refused(STR("{\"a\":9223372036854775808,\"b\":\"c\",\"c\":1}"), ERR_RANGE,
	    F_ArgumentInvalid, "byte 5 ");
}

static void
nested(struct buf *b, unsigned levels, char open, char close)
{
	b->n = 0;
	for (unsigned i = 0; i < levels; i++) {
		buf_putc(b, open);
		if (open == '{' && i + 1 < levels)
			buf_cstr(b, "\"k\":");
	}
	for (unsigned i = 0; i < levels; i++)
		buf_putc(b, close);
}

static void
doc_parse__accepts_64_levels_and_not_65(void **state)
{
	struct buf text = { 0 }, out = { 0 };
	(void)state;

	for (int i = 0; i < 2; i++) {
		nested(&text, DOC_DEPTH_MAX, "[{"[i], "]}"[i]);
		out.n = 0;
		assert_int_equal(doc_parse(parser, buf_view(&text), &out, NULL, NULL), ERR_OK);
		assert_true(doc_valid(buf_view(&out), 0, DOC_DEPTH_MAX));
		assert_false(doc_valid(buf_view(&out), 0, DOC_DEPTH_MAX - 1));
		nested(&text, DOC_DEPTH_MAX + 1, "[{"[i], "]}"[i]);
		assert_refused(buf_view(&text), ERR_SIZE, F_ArgumentInvalid, "64 levels");
		nested(&text, 100000, "[{"[i], "]}"[i]);
		assert_refused(buf_view(&text), ERR_SIZE, F_ArgumentInvalid, "64 levels");
	}
	buf_fini(&text);
	buf_fini(&out);
}

static void
doc_parse__the_level_bound_holds_after_the_parser_grew(void **state)
{
	struct doc_parser *ps = doc_parser_new(TEST_TEXT_MAX);
	struct buf text = { 0 }, out = { 0 };
	(void)state;

	buf_putc(&text, '"');
	for (int i = 0; i < 100000; i++)
		buf_putc(&text, 'x');
	buf_putc(&text, '"');
	assert_int_equal(doc_parse(ps, buf_view(&text), &out, NULL, NULL), ERR_OK);
	nested(&text, DOC_DEPTH_MAX + 1, '[', ']');
	assert_int_equal(doc_parse(ps, buf_view(&text), &out, NULL, NULL), ERR_SIZE);
	doc_parser_free(ps);
	buf_fini(&text);
	buf_fini(&out);
}

static void
doc_parse__refuses_texts_over_the_limit(void **state)
{
	struct doc_parser *ps = doc_parser_new(10);
	struct buf out = { 0 };
	struct fault f = { .text = "" };
	(void)state;

	assert_int_equal(doc_parse(ps, STR("\"12345678\""), &out, NULL, &f), ERR_OK);
	assert_int_equal(doc_parse(ps, STR("\"123456789\""), &out, NULL, &f), ERR_SIZE);
	assert_int_equal(f.code, F_ArgumentInvalid);
	assert_non_null(strstr(f.text, "11"));
	assert_non_null(strstr(f.text, "10"));
	doc_parser_free(ps);
	doc_parser_free(NULL);
	buf_fini(&out);
}

static void
fill(struct buf *text, const char *before, size_t n, const char *after)
{
	buf_cstr(text, before);
	buf_reserve(text, n);
	memset(text->p + text->n, 'x', n);
	text->n += n;
	buf_cstr(text, after);
}

/* What the encoding's three bytes of length cannot say, whichever part is so large. */
static void
doc_parse__refuses_parts_over_the_encodings_length(void **state)
{
	struct doc_parser *ps = doc_parser_new(3 * (size_t)DOC_PAYLOAD_MAX);
	struct buf text = { 0 }, out = { 0 };
	(void)state;

	fill(&text, "\"", DOC_PAYLOAD_MAX, "\"");
	assert_int_equal(doc_parse(ps, buf_view(&text), &out, NULL, NULL), ERR_OK);
	assert_int_equal(doc_str(doc_of(buf_view(&out))).n, DOC_PAYLOAD_MAX);
	out.n = text.n = 0;
	fill(&text, "\"", DOC_PAYLOAD_MAX + 1, "\"");
	assert_int_equal(doc_parse(ps, buf_view(&text), &out, NULL, NULL), ERR_SIZE);
	text.n = 0;
	fill(&text, "[[\"", DOC_PAYLOAD_MAX, "\"]]");
	assert_int_equal(doc_parse(ps, buf_view(&text), &out, NULL, NULL), ERR_SIZE);
	text.n = 0;
	fill(&text, "{\"a\":1,\"", DOC_PAYLOAD_MAX + 1, "\":1,\"a\":1}");
	assert_int_equal(doc_parse(ps, buf_view(&text), &out, NULL, NULL), ERR_SIZE);
	assert_int_equal(out.n, 0);
	doc_parser_free(ps);
	buf_fini(&text);
	buf_fini(&out);
}

/* Doubles like 1e1 take most room for their text; all of it must have been reserved. */
static void
doc_parse__the_longest_encoding_fits(void **state)
{
	struct buf text = { 0 }, out = { 0 };
	(void)state;

	for (int n = 0; n < 300; n++) {
		buf_fini(&out);
		text.n = 0;
		buf_putc(&text, '[');
		for (int i = 0; i < n; i++)
			buf_cstr(&text, i ? ",1e1" : "1e1");
		buf_putc(&text, ']');
		assert_int_equal(doc_parse(parser, buf_view(&text), &out, NULL, NULL), ERR_OK);
		assert_int_equal(doc_count(doc_of(buf_view(&out))), n);
	}
	buf_fini(&text);
	buf_fini(&out);
}

static void
doc_parse__appends_behind_what_is_there(void **state)
{
	struct buf b = { 0 };
	(void)state;

	buf_str(&b, STR("head"));
	assert_int_equal(doc_parse(parser, STR("{\"a\":1}"), &b, NULL, NULL), ERR_OK);
	assert_json(doc_of(str_sub(buf_view(&b), 4)), "{\"a\":1}");
	assert_memory_equal(b.p, "head", 4);
	buf_fini(&b);
}

static void
doc_parse__T83_counts_repeated_keys_at_every_level(void **state)
{
	static const struct {
		const char *text;
		uint32_t n;
	} cases[] = { { "{}", 0 }, { "{\"a\":1}", 0 }, { "{\"a\":1,\"A\":1}", 0 },
		{ "{\"a\":1,\"b\":1,\"a\":1}", 1 }, { "{\"a\":1,\"a\":1,\"a\":1}", 2 },
		{ "[{\"a\":{\"\":1,\"\":2}},{\"a\":0,\"a\":0}]", 2 },
		{ "{\"a\":1,\"\\u0061\":2}", 1 }, { "{\"a\":{\"b\":1},\"b\":{\"a\":1}}", 0 } };
	struct buf b = { 0 };
	struct doc_parsed info;
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(doc_parse(parser, str_of(cases[i].text), &b, &info, NULL), ERR_OK);
		assert_int_equal(info.nduplicate, cases[i].n);
	}
	buf_fini(&b);
}

static void
object_text(struct buf *text, unsigned n, unsigned repeated)
{
	text->n = 0;
	buf_putc(text, '{');
	for (unsigned i = 0; i < n + repeated; i++)
		buf_printf(text, "%s\"key%u\":%u", i ? "," : "", i < n ? i : (i - n) * 7 % n, i);
	buf_putc(text, '}');
}

static void
doc_parse__T83_counts_repeated_keys_in_objects_of_any_size(void **state)
{
	struct buf text = { 0 }, b = { 0 };
	struct doc_parsed info;
	(void)state;

	for (unsigned n = 1; n < 40; n++)
		for (unsigned repeated = 0; repeated < 5; repeated++) {
			object_text(&text, n, repeated);
			b.n = 0;
			assert_int_equal(
			    doc_parse(parser, buf_view(&text), &b, &info, NULL), ERR_OK);
			assert_int_equal(info.nduplicate, repeated);
			assert_int_equal(doc_count(doc_of(buf_view(&b))), n + repeated);
		}
	object_text(&text, 5000, 3000);
	b.n = 0;
	assert_int_equal(doc_parse(parser, buf_view(&text), &b, &info, NULL), ERR_OK);
	assert_int_equal(info.nduplicate, 3000);
	buf_fini(&text);
	buf_fini(&b);
}

static void
doc_put_unique__T83_last_value_at_the_place_of_the_first(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}" },
		{ "{\"a\":{\"x\":1,\"x\":2},\"a\":{\"y\":[{\"z\":1,\"z\":null}]}}",
		    "{\"a\":{\"y\":[{\"z\":null}]}}" },
		{ "[1,{\"\":1,\"\":2},\"s\"]", "[1,{\"\":2},\"s\"]" }, { "7", "7" }, { "{}", "{}" },
		{ "{\"a\":{\"b\":1,\"b\":2},\"c\":{\"b\":3},\"a\":4}", "{\"a\":4,\"c\":{\"b\":3}}" }
	};
	struct buf b = { 0 }, u = { 0 };
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u.n = 0;
		doc_put_unique(&u, doc_from(&b, cases[i][0]));
		assert_json(doc_of(buf_view(&u)), cases[i][1]);
		assert_true(doc_valid(buf_view(&u), 0, DOC_DEPTH_MAX));
	}
	buf_fini(&b);
	buf_fini(&u);
}

/* Work is bounded by the size, not by its square: a hundred thousand keys would take minutes otherwise. */
static void
doc_put_unique__large_objects_in_linear_time(void **state)
{
	struct buf text = { 0 }, b = { 0 }, u = { 0 };
	struct doc_parsed info;
	unsigned n = 100000;
	(void)state;

	object_text(&text, n, n);
	assert_int_equal(doc_parse(parser, buf_view(&text), &b, &info, NULL), ERR_OK);
	assert_int_equal(info.nduplicate, n);
	doc_put_unique(&u, doc_of(buf_view(&b)));
	assert_int_equal(doc_count(doc_of(buf_view(&u))), n);
	assert_int_equal(doc_int(doc_getc(doc_of(buf_view(&u)), "key0")), n);
	buf_fini(&text);
	buf_fini(&b);
	buf_fini(&u);
}

#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
    !defined(__SANITIZE_THREAD__) /* which have their own memory */

/* In a process of its own: what becomes of a text that the parser would need more memory for than there is. */
static void
parse_without_memory(struct str text)
{
	struct rlimit none = { 0, 0 }, kept = { 0 };
	struct doc_parser *ps = doc_parser_new(text.n);
	struct buf out = { 0 };
	struct fault f;
	long pages = 0;
	FILE *statm = fopen("/proc/self/statm", "r");

	if (statm == NULL || fscanf(statm, "%ld", &pages) != 1)
		_exit(2);
	fclose(statm);
	kept.rlim_cur = kept.rlim_max = (rlim_t)pages * (rlim_t)getpagesize() + (1u << 20);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_AS, &kept);
	_exit(doc_parse(ps, text, &out, NULL, &f) == ERR_OK ? 0 : 1);
}

static void
doc_parse__memory_that_cannot_be_had_is_no_fault_of_the_text(void **state)
{
	struct buf text = { 0 }, said = { 0 };
	int to[2], status;
	char part[256];
	ssize_t n;
	pid_t child;

	(void)state;
	buf_reserve(&text, 16u << 20);
	memset(text.p, ' ', 16u << 20);
	text.p[0] = '1';
	text.n = 16u << 20;
	assert_int_equal(pipe(to), 0);
	child = fork();
	if (child == 0) {
		dup2(to[1], STDERR_FILENO);
		parse_without_memory(buf_view(&text));
	}
	close(to[1]);
	while ((n = read(to[0], part, sizeof(part))) > 0)
		buf_put(&said, part, (size_t)n);
	close(to[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	buf_putc(&said, '\0');
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT ||
	    strstr(said.p, "out of memory") == NULL)
		fail_msg("status %x, '%s'", (unsigned)status, said.p);
	buf_fini(&text);
	buf_fini(&said);
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doc_parse__keeps_the_form_of_plain_texts),
		cmocka_unit_test(doc_parse__T77_keeps_integers_and_doubles_apart),
		cmocka_unit_test(doc_write__T77_doubles_in_shortest_round_trip_form),
		cmocka_unit_test(doc_write__not_finite_is_null),
		cmocka_unit_test(doc_write__escapes_what_must_be_and_no_more),
		cmocka_unit_test(doc_parse__a_leading_bom_is_skipped),
		cmocka_unit_test(doc_parse__refuses_what_is_not_json_and_says_where),
		cmocka_unit_test(doc_parse__T76_numbers_beyond_64_bits_are_out_of_range),
		cmocka_unit_test(doc_parse__accepts_64_levels_and_not_65),
		cmocka_unit_test(doc_parse__the_level_bound_holds_after_the_parser_grew),
		cmocka_unit_test(doc_parse__refuses_texts_over_the_limit),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(doc_parse__memory_that_cannot_be_had_is_no_fault_of_the_text),
#endif
		cmocka_unit_test(doc_parse__refuses_parts_over_the_encodings_length),
		cmocka_unit_test(doc_parse__the_longest_encoding_fits),
		cmocka_unit_test(doc_parse__appends_behind_what_is_there),
		cmocka_unit_test(doc_parse__T83_counts_repeated_keys_at_every_level),
		cmocka_unit_test(doc_parse__T83_counts_repeated_keys_in_objects_of_any_size),
		cmocka_unit_test(doc_put_unique__T83_last_value_at_the_place_of_the_first),
		cmocka_unit_test(doc_put_unique__large_objects_in_linear_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
