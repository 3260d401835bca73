/* Routing conditions that are refused, with what and where (Q-71, Q-79, Q-91 to Q-93); bodies that are read and not (Q-67). */
#include "route_kit.h"

static void
route_errors__Q79_syntax(void **state)
{
	(void)state;
	refuses("a = ", "Syntax error: the text ends where a value should be", 5, 5);
	refuses("a 'x'", "Syntax error: unexpected ''x'' where an operator should be", 3, 6);
	refuses("= 'x'", "Syntax error: unexpected '=' where a value should be", 1, 2);
	refuses("a == 'x'", "Syntax error: unexpected '=' where a value should be", 4, 5);
	refuses("a -5", "Syntax error: unexpected '-5' where an operator should be", 3, 5);
	refuses("a = 'x')", "Syntax error: unmatched closing ')'", 8, 9);
	refuses("a = )", "Syntax error: unmatched closing ')'", 5, 6);
	refuses("abs(3)) > 2", "Syntax error: unmatched closing ')'", 7, 8);
	refuses("(a = 'x'", "Syntax error: missing closing ')'", 1, 2);
	refuses("a = 'x' AND (b = 'y'", "Syntax error: missing closing ')'", 13, 14);
	refuses("abs(3", "Syntax error: missing closing ')'", 4, 5);
	refuses("(a 'x')", "Syntax error: unexpected ''x'' where an operator or ) should be", 4, 7);
	refuses("()", "Syntax error: unexpected ')' where a value should be", 2, 3);
	refuses("a = 'x", "Syntax error: unterminated string", 5, 7);
	refuses("a = \"", "Syntax error: unterminated string", 5, 6);
	refuses("a = 'x\\", "Syntax error: unterminated string", 5, 8);
	refuses("a = '\\x'", "Syntax error: a backslash", 6, 7);
	refuses("a = '\\uD800'", "Syntax error: a backslash", 6, 7);
	refuses("a = /* x", "Syntax error: unterminated comment", 5, 7);
	refuses("a @ 'x'", "Syntax error: invalid symbol '@'", 3, 4);
	refuses("a = [1]", "Syntax error: invalid symbol '['", 5, 6);
	refuses("a ? b", "Syntax error: invalid symbol '?'", 3, 4);
	refuses("$ sys = 'x'", "Syntax error: invalid symbol '$'", 1, 2);
	refuses("a[0] = 'x'", "Syntax error: invalid symbol '['", 2, 3);
	refuses(
	    "{a} = 'x'", "Syntax error: unexpected 'a' where a system property should be", 2, 3);
	refuses("{$a = 'x'", "Syntax error: unexpected '=' where } should be", 5, 6);
	refuses("a AND", "Syntax error: the text ends", 6, 6);
	refuses("a IN ['x']", "Syntax error: unexpected 'IN'", 3, 5); /* Q-65 */
}

static void
route_errors__Q79_paths(void **state)
{
	static const char *const paths[] = { "$body.", "$body..x", "$body.x.", "$body.x[]",
		"$body.x[1", "$body.x[a]", "$body.x[1][2]", "$body.[0]", "$body.x]", "$body.x[-1]",
		"$body.x[9999999999]", "$twin." };

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		refuses(paths[i], "Syntax error: invalid path", 1, (uint32_t)strlen(paths[i]) + 1);
	refuses("$body.x[1:2]", "Syntax error: invalid path '$body.x[1'", 1, 10);
}

static void
route_errors__Q79_functions(void **state)
{
	(void)state;
	refuses("a = 'x' AND foo(a)", "Invalid built-in function 'foo'", 13, 16);
	refuses("STARTSWITH(a, 'x')", "Invalid built-in function 'STARTSWITH'", 1, 11);
	refuses("array_contains($body.l, 1)", "Invalid built-in function", 1, 15);
	refuses("!is_defined(a)", "Invalid built-in function '!is_defined'", 1, 12);
	refuses("abs()", "Invalid arguments to built-in function 'abs': abs()", 1, 4);
	refuses(
	    "abs(1, 2)", "Invalid arguments to built-in function 'abs': abs(number, number)", 1, 4);
	refuses("abs(key)", "Invalid arguments to built-in function 'abs': abs(string)", 1, 4);
	refuses("abs(null) = 1", "Invalid arguments to built-in function 'abs': abs(null)", 1, 4);
	refuses("length(undefined) = 1", "Invalid arguments", 1, 7);
	refuses("concat('a', 3) = 'a'", "Invalid arguments", 1, 7);
	refuses("concat('a') = 'a'", "Invalid arguments", 1, 7);
	refuses("substring('a', 'b') = 'a'", "Invalid arguments", 1, 10);
	refuses("substring('a', 1, 'b') = 'a'", "Invalid arguments", 1, 10);
	refuses("is_defined() = true", "Invalid arguments", 1, 11);
	refuses("as_number(true) = 1", "Invalid arguments", 1, 10);
	refuses("starts_with(a)", "Invalid arguments", 1, 12);
}

static void
route_errors__Q71_kinds(void **state)
{
	(void)state;
	refuses("level > 3",
	    "Invalid operands to binary operator '>': have 'string' and 'number', expected "
	    "'string' "
	    "and 'string'",
	    7, 8);
	refuses("3 = $to",
	    "Invalid operands to binary operator '=': have 'number' and 'string', expected "
	    "'number' "
	    "and 'number'",
	    3, 4);
	refuses("a <> true", "Invalid operands to binary operator '<>'", 3, 5);
	refuses("a + 1 = 2",
	    "Invalid operands to binary operator '+': have 'string' and 'number', expected "
	    "'number' "
	    "and 'number'",
	    3, 4);
	refuses("'a' + 'b' = 'ab'", "Invalid operands to binary operator '+'", 5, 6);
	refuses("1 || 'a' = 'a'", "Invalid operands to binary operator '||'", 3, 5);
	refuses("'a' || null = 'a'", "Invalid operands to binary operator '||'", 5, 7);
	refuses("a AND true",
	    "Invalid operands to binary operator 'AND': have 'string' and 'bool', expected 'bool' "
	    "and 'bool'",
	    3, 6);
	refuses("true or a", "Invalid operands to binary operator 'or'", 6, 8);
	refuses("NOT a = 'x'",
	    "Invalid operands to unary operator 'NOT': have 'string', expected 'bool'", 1, 4);
	refuses("- (a) = 1", "Invalid operands to unary operator '-'", 1, 2);
	refuses("(a ?? 5) = 5",
	    "Invalid operands to binary operator '?"
	    "?'",
	    4, 6);
	refuses("1 < 2 < 3", "Invalid operands to binary operator '<'", 7, 8);
	refuses("length(a) = '3'", "Invalid operands to binary operator '='", 11, 12);
	refuses("is_null(a) = 1", "Invalid operands to binary operator '='", 12, 13);
}

static void
route_errors__Q92_twin_change_includes(void **state)
{
	static const char *const wrong[] = { "", "properties", "properties.", "properties.other.x",
		"123", "'tags.x'", "properties.desired.", "tags.", "tagsx", "$body.tags.x" };
	char text[96];

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(text, sizeof(text), "twin_change_includes(%s)", wrong[i]);
		refuses(
		    text, "Invalid arguments to built-in function 'twin_change_includes'", 1, 21);
	}
	refuses("twin_change_includes(tags.x[0])", "Syntax error: invalid symbol '['", 28, 29);
	refuses("twin_change_includes(tags.x, tags.y)", "Syntax error: unexpected ','", 28, 29);
	refuses("twin_change_includes(tags.x", "Syntax error: missing closing ')'", 21, 22);
	refuses_for(ROUTE_SOURCE_BIT(ROUTE_MESSAGES), "twin_change_includes(tags.x)",
	    "Invalid built-in function 'twin_change_includes'", 1, 21);
}

/* Lines and columns are counted in characters. */
static void
route_errors__Q79_places(void **state)
{
	struct route_error error;
	struct condition *c = NULL;

	(void)state;
	refuses("'\xC3\xA9\xF0\x9F\x98\x80' @", "Syntax error: invalid symbol '@'", 6, 7);
	refuses("a = \xE2\x80\x9Cx\xE2\x80\x9D OR", "Syntax error: the text ends", 11, 11);
	assert_int_equal(
	    route_condition_compile(STR("a = 'x'\r\n  AND b = 'x\ny"), ALL_SOURCES, &c, &error),
	    ERR_ARG);
	assert_int_equal(error.start.line, 2);
	assert_int_equal(error.start.column, 11);
	assert_int_equal(error.end.line, 3);
	assert_int_equal(error.end.column, 2);
	assert_int_equal(
	    route_condition_compile(STR("a = '\xFF'"), ALL_SOURCES, &c, &error), ERR_ARG);
	assert_string_equal(error.text, "Syntax error: the condition is not valid UTF-8");
	assert_int_equal(
	    route_condition_compile(((struct str){ "a = 'x\0'", 8 }), ALL_SOURCES, &c, &error),
	    ERR_OK);
	route_condition_free(c);
	c = NULL;
	assert_int_equal(
	    route_condition_compile(((struct str){ "a\0 = 'x'", 8 }), ALL_SOURCES, &c, &error),
	    ERR_ARG);
	assert_int_equal(error.start.column, 2);
}

/* ---- bounds ---- */

static void
repeat(struct buf *out, const char *s, unsigned n)
{
	while (n-- > 0)
		buf_cstr(out, s);
}

/* n times what comes before, then the middle, then what comes behind. */
static bool
taken(const char *before, unsigned n, const char *middle, const char *behind, const char **why)
{
	static struct route_error error;
	struct condition *c = NULL;
	struct buf text = { 0 };
	enum err e;

	repeat(&text, before, n);
	buf_cstr(&text, middle);
	repeat(&text, behind, n);
	e = route_condition_compile(buf_view(&text), ALL_SOURCES, &c, &error);
	route_condition_free(c);
	buf_fini(&text);
	*why = error.text;
	return e == ERR_OK;
}

static void
route_errors__Q91_bounds(void **state)
{
	const char *why;

	(void)state;
	assert_true(taken("(", 64, "true", ")", &why));
	assert_false(taken("(", 65, "true", ")", &why));
	assert_string_equal(why, "Syntax error: more than 64 levels of nesting");
	assert_true(taken("NOT ", 64, "true", "", &why));
	assert_false(taken("NOT ", 65, "true", "", &why));
	assert_false(taken("abs(", 65, "1", ")", &why));
	assert_false(taken("- ", 65, "1", "", &why));
	assert_true(taken("true OR ", 1000, "true", "", &why));
	assert_true(taken("1 + ", 1000, "1", "", &why));
	assert_false(taken("1 + ", 1023, "1", "", &why)); /* and the chain itself */
	assert_string_equal(why, "Syntax error: more than 1024 operands and calls");
	assert_true(taken("", 0, "$body.a", "", &why));
	assert_true(taken(" ", 8192 - 4, "true", "", &why));
	assert_false(taken(" ", 8193 - 4, "true", "", &why));
	assert_string_equal(why, "Syntax error: 8193 bytes of condition, more than 8192");
	assert_true(taken("", 63, "$body.a", ".a", &why));
	assert_false(taken("", 64, "$body.a", ".a", &why));
}

/* ---- bodies ---- */

static bool
body_read(const char *type, const char *encoding, const void *bytes, size_t n, const char *want)
{
	struct doc_parser *ps = doc_parser_new(1u << 16);
	struct buf out = { 0 }, json = { 0 };
	bool good;

	buf_cstr(&out, "before");
	good = route_body_parse(ps, str_of(type), str_of(encoding), (struct str){ bytes, n }, &out);
	if (good)
		doc_write_json(&json, doc_of(str_sub(buf_view(&out), 6)));
	else
		assert_int_equal(out.n, 6);
	if (good && !str_eq(buf_view(&json), str_of(want)))
		fail_msg(STR_FMT " is not %s", STR_ARG(buf_view(&json)), want);
	buf_fini(&out);
	buf_fini(&json);
	doc_parser_free(ps);
	return good;
}

static void
route_body__Q67_types_and_encodings(void **state)
{
	static const char json[] = "{\"a\":1,\"b\":2,\"a\":3}", once[] = "{\"a\":3,\"b\":2}";
	static const char type[] = "application/json";
	size_t n = sizeof(json) - 1;

	(void)state;
	assert_true(body_read(type, "utf-8", json, n, once));
	assert_true(body_read("Application/JSON ; charset=utf-8", "UTF-8", json, n, once));
	assert_false(body_read("text/plain", "utf-8", json, n, once));
	assert_false(body_read("application/jsonx", "utf-8", json, n, once));
	assert_false(body_read("", "utf-8", json, n, once));
	assert_false(body_read(type, "", json, n, once));
	assert_false(body_read(type, "latin1", json, n, once));
	assert_false(body_read(type, "utf-8", json, n - 1, once));
	assert_false(body_read(type, "utf-8", "", 0, once));
	assert_false(body_read(type, "utf-8", "\"\xFF\"", 3, once));
}

static void
route_body__Q67_wide_characters(void **state)
{
	static const char type[] = "application/json";

	(void)state;
	assert_true(body_read(
	    type, "utf-16", "\"\0\xE9\0\x3D\xD8\x00\xDE\"\0", 10, "\"\xC3\xA9\xF0\x9F\x98\x80\""));
	assert_true(body_read(type, "UTF-16", "\xFE\xFF\0\"\0\xE9\0\"", 8, "\"\xC3\xA9\""));
	assert_true(body_read(type, "utf-16", "\xFF\xFE\"\0a\0\"\0", 8, "\"a\""));
	assert_true(body_read(
	    type, "utf-32", "\"\0\0\0\x00\xF6\x01\0\"\0\0\0", 12, "\"\xF0\x9F\x98\x80\""));
	assert_true(body_read(type, "utf-32", "\0\0\xFE\xFF\0\0\0\x37", 8, "7"));
	assert_false(body_read(type, "utf-16", "\"\0\x3D\xD8\"\0", 6, "")); /* half a pair */
	assert_false(body_read(type, "utf-16", "\"\0\x00\xDE\"\0", 6, ""));
	assert_false(body_read(type, "utf-16", "\"\0\x3D\xD8\x00\xE0\"\0", 8, ""));
	assert_false(body_read(type, "utf-16", "\"\0\x3D\xD8", 4, ""));
	assert_false(body_read(type, "utf-16", "7\0\0", 3, ""));
	assert_false(body_read(type, "utf-32", "\"\0\0\0\0\0\x11\0\"\0\0\0", 12, ""));
	assert_false(body_read(type, "utf-32", "\"\0\0\0\x00\xD8\0\0\"\0\0\0", 12, ""));
	assert_false(body_read(type, "utf-32", "7\0", 2, ""));
	assert_false(body_read(type, "utf-16", "", 0, ""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route_errors__Q79_syntax),
		cmocka_unit_test(route_errors__Q79_paths),
		cmocka_unit_test(route_errors__Q79_functions),
		cmocka_unit_test(route_errors__Q71_kinds),
		cmocka_unit_test(route_errors__Q92_twin_change_includes),
		cmocka_unit_test(route_errors__Q79_places),
		cmocka_unit_test(route_errors__Q91_bounds),
		cmocka_unit_test(route_body__Q67_types_and_encodings),
		cmocka_unit_test(route_body__Q67_wide_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
