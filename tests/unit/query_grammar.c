/* Part 2 of docs/spec/query-language.md: what parses and what does not, and where a fault is said to be. */
#include "query_fleet.h"

static const char *const rows[] = {
	"{'deviceId':'d1','status':'enabled','configurations':{'fw-1.2':'f','sp ace':1},"
	"'tags':{'a':1,'b':2,'c':3,'group':'g','order':'o','count':7,'a-b':1,'größe':5,'s':'x','"
	"1st':1},"
	"'reported':{'x':1}}",
};

static int
setup(void **state)
{
	static struct fleet fl;

	fleet_init(&fl, rows, 1);
	*state = &fl;
	return 0;
}

static int
teardown(void **state)
{
	fleet_fini(*state);
	return 0;
}

static void
keeps(void **state, const char *condition)
{
	fleet_where_gives(*state, condition, "d1");
}

static void
drops(void **state, const char *condition)
{
	fleet_where_gives(*state, condition, "");
}

static void
refuses(void **state, const char *text, const char *part)
{
	fleet_refuses(*state, text, part);
}

static void
refuses_where(void **state, const char *condition, const char *part)
{
	const char *got = fleet_where(*state, condition);

	if (strncmp(got, "ArgumentInvalid: ", 17) != 0 || strstr(got, part) == NULL)
		fail_msg("%s\n  gives %s\n  not a 400 with '%s'", condition, got, part);
}

static void
query_parse__Q11_comments_aliases_and_parentheses_lists(void **state)
{
	fleet_gives(*state, "SELECT /* all * of / them */ * FROM devices/**/", "d1");
	fleet_gives(*state, "SELECT tags.a x, tags.b AS y FROM devices", "{'x':1,'y':2}");
	keeps(state, "tags.a IN (1, 2)");
	keeps(state, "tags.a NOT IN [2, 3]");
	keeps(state, "NOT tags.a IN [2, 3]");
	keeps(state, "NOT IS_DEFINED(tags.q)");
	refuses(state, "SELECT * FROM devices /* open", "comment");
}

static void
query_parse__Q12_precedence(void **state)
{
	keeps(state, "1 + 2 * 3 = 7");
	keeps(state, "(1 + 2) * 3 = 9");
	keeps(state, "10 - 3 - 2 = 5");
	keeps(state, "100 / 10 / 2 = 5");
	keeps(state, "7 % 4 * 2 = 6");
	keeps(state, "-2 * -3 = 6");
	keeps(state, "- - 2 = 2");
	keeps(state, "NOT 1 = 2");
	keeps(state, "NOT 1 = 2 AND 1 = 1");
	keeps(state, "1 = 1 OR 1 = 1 AND 1 = 2");
	drops(state, "(1 = 1 OR 1 = 1) AND 1 = 2");
	keeps(state, "NOT NOT true");
	keeps(state, "(1 = 2) = false");
	keeps(state, "1 + 1 IN [2]");
}

static void
query_parse__Q13_other_sql_is_refused(void **state)
{
	static const char *const texts[] = { "SELECT * FROM devices ORDER BY deviceId",
		"SELECT DISTINCT deviceId FROM devices", "SELECT DISTINCT tags.a FROM devices",
		"SELECT * FROM devices WHERE tags.a LIKE 'x'",
		"SELECT * FROM devices WHERE tags.a NOT LIKE 'x'",
		"SELECT * FROM devices WHERE tags.a BETWEEN 1 AND 2",
		"SELECT * FROM devices JOIN devices.modules",
		"SELECT COUNT() FROM devices GROUP BY tags.a HAVING COUNT() > 1",
		"SELECT COUNT() FROM devices GROUP BY tags.a ORDER BY tags.a",
		"SELECT * FROM devices OFFSET 5", "SELECT * FROM devices LIMIT 5",
		"SELECT * FROM (SELECT * FROM devices)", "SELECT COUNT(*) FROM devices",
		"UPDATE devices SET a = 1", "DELETE FROM devices",
		"SELECT *, deviceId FROM devices", "SELECT deviceId, * FROM devices",
		"SELECT COUNT(DISTINCT tags.a) FROM devices", "SELECT COUNT(tags.a) FROM devices",
		"SELECT * FROM devices; SELECT * FROM devices" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		refuses(state, texts[i], "SQL query parse failed. Line 1:");
	refuses(state, "SELECT * FROM devices ORDER BY deviceId", "1:23: ORDER is not supported");
	refuses(state, "SELECT COUNT() FROM devices GROUP BY tags.a HAVING COUNT() > 1",
	    "HAVING is not supported");
}

static void
query_parse__Q14_from_is_needed_and_known(void **state)
{
	const struct query_options modules = { .from_optional = true, .from = QUERY_MODULES };
	struct query *q;

	refuses(state, "SELECT *", "FROM");
	refuses(state, "SELECT * WHERE deviceId = 'd1'", "FROM");
	refuses(state, "SELECT * FROM c", "collection");
	refuses(state, "SELECT * FROM devices.things", "collection");
	refuses(state, "SELECT * FROM [[devices]]", "collection");
	refuses(state, "SELECT * FROM devices d", "unexpected 'd'");

	assert_int_equal(
	    query_parse(STR("select deviceId where tags.a = 1"), &modules, &q, NULL), ERR_OK);
	assert_int_equal(query_facts(q)->collection, QUERY_MODULES);
	query_free(q);
	assert_int_equal(query_parse(STR("select * from devices"), &modules, &q, NULL), ERR_OK);
	assert_int_equal(query_facts(q)->collection, QUERY_DEVICES);
	query_free(q);
}

static void
query_parse__Q15_keywords_and_reserved_words(void **state)
{
	static const char *const reserved[] = { "select", "Top", "FROM", "where", "group", "by",
		"as", "and", "or", "not", "in", "nin", "true", "false", "null", "undefined" };
	char text[64];

	fleet_gives(*state, "sElEcT tOp 1 deviceId fRoM DEVICES wHeRe tags.a iN [1] aNd nOt fAlSe",
	    "{'deviceId':'d1'}");
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		snprintf(text, sizeof(text), "tags.%s = 'g'", reserved[i]);
		refuses_where(state, text, reserved[i]);
		snprintf(text, sizeof(text), "tags.[[%s]] = 'zz'", reserved[i]);
		drops(state, text);
	}
	keeps(state, "tags.[[group]] = 'g'");
	keeps(state, "tags.order = 'o'"); /* no reserved word */
	keeps(state, "tags.count = 7");   /* a function's name is one only before a parenthesis */
	refuses_where(state, "tags.count(1) = 7", "unexpected");
}

static void
query_parse__Q16_quoted_steps(void **state)
{
	keeps(state, "configurations.[[fw-1.2]] = 'f'");
	keeps(state, "configurations.[[sp ace]] = 1 AND tags.[[1st]] = 1");
	keeps(state, "[[tags]].[[a]] = 1");
	keeps(state, "[[deviceId]] = 'd1'");
	keeps(state, "[[devices]].tags.a = 1");
	drops(state, "tags.[[]] = 1");
	refuses_where(state, "tags.[[a = 1", "[[ without ]]");
}

static void
query_parse__Q17_names(void **state)
{
	drops(state, "tags.a-b = 1"); /* a minus, and an unknown root: undefined */
	keeps(state, "tags.[[a-b]] = 1");
	keeps(state, "tags.a-2 = -1");
	keeps(state, "tags.größe = 5");
	drops(state, "tags._x$1 = 5");
	refuses_where(state, "tags.1st = 1", "a letter in a number");
	refuses_where(state, "tags.s = ‘x’", "character");
	refuses_where(state, "tags.s # 1", "character");
	refuses_where(state, "tags.a & 1", "character");
}

static void
query_parse__Q18_blanks_and_semicolon(void **state)
{
	fleet_gives(*state, "\r\n\tSELECT\n*\tFROM\r\ndevices\n;\n", "d1");
	fleet_gives(*state, "SELECT * FROM devices WHERE tags . a=1;", "d1");
	keeps(state, "tags.a = 1;");
	keeps(state, "*;");
	refuses(
	    state, "SELECT * FROM devices;;", "1:23: unexpected"); /* faults show no semicolon */
}

static void
query_parse__Q36_Q81_lists(void **state)
{
	keeps(state, "-tags.a IN [-1, +2]");
	keeps(state, "tags.a IN [ [1], 1]");
	refuses_where(state, "tags.a IN []", "a constant");
	refuses_where(state, "tags.a IN ()", "a constant");
	refuses_where(state, "tags.a IN [1,]", "a constant");
	refuses_where(state, "tags.a IN [1 2]", "a comma or ]");
	refuses_where(state, "tags.a IN [1)", "a comma or ]");
	refuses_where(state, "tags.a IN [tags.b]", "a constant");
	refuses_where(state, "tags.a IN [-'x']", "a number");
	refuses_where(state, "tags.a IN 1", "a list");
	refuses_where(state, "tags.a IN [[1],2]", "[[ without ]]");
	refuses_where(state, "tags.a IN [[1]]", "a list in brackets");
}

static void
query_parse__Q38_strings(void **state)
{
	keeps(state, "'a' = \"a\"");
	keeps(state, "'it\\'s' = \"it's\"");
	keeps(state, "\"say \\\"x\\\"\" = 'say \"x\"'");
	keeps(state, "LENGTH('\\\\') = 1");
	keeps(state, "'\\u0041\\u00e9' = 'Aé'");
	keeps(state, "'\\uD83D\\uDE00' = '😀'");
	keeps(state, "LENGTH('\\u0000') = 1");
	keeps(state, "'' = ''");
	refuses_where(state, "'a''b' = 'x'", "unexpected");
	refuses_where(state, "'\\n' = 'x'", "backslash");
	refuses_where(state, "'\\uD83D' = 'x'", "backslash");
	refuses_where(state, "'\\uDE00' = 'x'", "backslash");
	refuses_where(state, "'\\u12' = 'x'", "backslash");
	refuses_where(state, "'abc", "string without end");
	refuses_where(state, "'abc\\'", "string without end");
	refuses_where(state, "\"abc'", "string without end");
	refuses_where(state, "'abc\\", "string without end");
}

static void
query_parse__numbers(void **state)
{
	keeps(state, "1.5e3 = 1500 AND 1E-2 = 0.01 AND 0x1f = 31 AND 0XFF = 255 AND 007 = 7");
	refuses_where(state, "1e999 = 1", "too large");
	refuses_where(state, "0x = 1", "a letter in a number");
	refuses_where(state, "12abc = 1", "a letter in a number");
	refuses_where(state, "1. = 1", "unexpected");
	refuses_where(state, ".5 = 1", "unexpected");
	refuses_where(state, "1e = 1", "a letter in a number");
}

static void
query_parse__Q07_text_limit_counts_code_points(void **state)
{
	struct buf text = { 0 };
	struct query *q;
	struct fault f;

	(void)state;
	buf_cstr(&text, "SELECT * FROM devices WHERE tags.s='");
	for (size_t n = text.n; n < QUERY_TEXT_MAX - 1; n++)
		buf_cstr(&text, "é");
	buf_putc(&text, '\'');
	assert_int_equal(query_parse(buf_view(&text), NULL, &q, &f), ERR_OK);
	query_free(q);
	buf_putc(&text, ' ');
	assert_int_equal(query_parse(buf_view(&text), NULL, &q, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentInvalid);
	assert_non_null(strstr(f.text, "8192"));
	buf_fini(&text);
}

static void
query_parse__empty_text_is_argument_null(void **state)
{
	struct query *q = NULL;
	struct fault f;

	(void)state;
	assert_int_equal(query_parse(STR(""), NULL, &q, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentNull);
	assert_int_equal(query_parse(STR_NONE, NULL, &q, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentNull);
	assert_int_equal(query_parse(STR(" \n "), NULL, &q, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentNull);
	assert_int_equal(query_parse(STR("\xFFx"), NULL, &q, &f), ERR_ARG);
	assert_int_equal(f.code, F_ArgumentInvalid);
	assert_null(q);
}

static void
query_parse__faults_say_where(void **state)
{
	refuses(state, "SELECT x y z FROM devices", "Line 1:12: unexpected 'z'");
	refuses(state, "SELECT *\nFROM devices\nWHERE é é", "Line 3:9: unexpected 'é'");
	refuses(state, "SELECT * FROM devices WHERE", "Line 1:28: the text ends");
	refuses(state, "SELECT * FROM devices WHERE foo(1)", "Line 1:29: no function 'foo'");
}

static void
query_parse_condition__Q54_columns_count_from_the_completed_text(void **state)
{
	refuses_where(state, "SELECT", "Line 1:29: unexpected 'SELECT'");
	refuses_where(state, "# = 1", "Line 1:29: ");
	refuses_where(state, "tags.a = ", "Line 1:38: the text ends");
	refuses_where(state, "tags.a =\n= 1", "Line 2:1: unexpected '='");
	/* SELECT * FROM devices.modules WHERE ! */
	refuses_where(state, "FROM devices.modules WHERE !", "Line 1:37: ");
}

static void
query_parse_condition__Q56_Q57_forms(void **state)
{
	struct query *q;

	keeps(state, " * ");
	keeps(state, "from devices where tags.a = 1");
	keeps(state, "from devices");
	drops(state, "");
	drops(state, "  /* none */ ");
	assert_int_equal(query_parse_condition(STR(""), &q, NULL), ERR_OK);
	assert_true(query_facts(q)->nothing);
	assert_false(query_facts(q)->everything);
	query_free(q);
	assert_int_equal(query_parse_condition(STR("*"), &q, NULL), ERR_OK);
	assert_true(query_facts(q)->everything);
	assert_int_equal(query_facts(q)->item_type, QUERY_TWIN);
	query_free(q);
	assert_int_equal(query_parse_condition(STR("FROM devices.modules"), &q, NULL), ERR_OK);
	assert_int_equal(query_facts(q)->collection, QUERY_MODULES);
	assert_true(query_facts(q)->everything);
	query_free(q);
	refuses_where(state, "FROM devices.jobs WHERE jobId = 'j'", "devices or devices.modules");
	refuses_where(state, "FROM jobs", "devices or devices.modules");
	refuses_where(state, "FROM devices.modules tags.a = 1", "unexpected 'tags'");
	refuses_where(state, "* AND tags.a = 1", "unexpected 'AND'");
	refuses_where(state, "tags.a = 1 GROUP BY tags.a", "unexpected 'GROUP'");
	refuses_where(state, "WHERE tags.a = 1", "unexpected 'WHERE'");
}

/* ---- bounds ---- */

static void
repeat(struct buf *b, const char *s, unsigned n)
{
	while (n-- > 0)
		buf_cstr(b, s);
}

/* open x n, middle, close x n: accepted up to QUERY_DEPTH_MAX levels, refused above, at any length. */
static void
nests(void **state, const char *open, const char *middle, const char *close, unsigned most)
{
	struct buf b = { 0 };

	for (unsigned n = most; n <= 4000; n = n == most ? most + 1 : n * 3) {
		b.n = 0;
		repeat(&b, open, n);
		buf_cstr(&b, middle);
		repeat(&b, close, n);
		buf_putc(&b, '\0');
		if (b.n > QUERY_TEXT_MAX)
			break;
		if (n <= most)
			assert_null(strstr(fleet_where(*state, b.p), "ArgumentInvalid"));
		else
			refuses_where(state, b.p, "levels of nesting");
	}
	buf_fini(&b);
}

static void
query_parse__nesting_is_bounded(void **state)
{
	nests(state, "(", "true", ")", QUERY_DEPTH_MAX);
	nests(state, "NOT ", "true", "", QUERY_DEPTH_MAX);
	nests(state, "- ", "tags.a", "", QUERY_DEPTH_MAX);
	nests(state, "LOWER(", "tags.s", ")", QUERY_DEPTH_MAX);
	nests(state, "IS_NULL(", "1", ")", QUERY_DEPTH_MAX);
	nests(state, "[ ", "1", " ]", QUERY_DEPTH_MAX);
}

static void
query_parse__long_chains_are_no_depth(void **state)
{
	static const char *const parts[][2] = { { "true", " OR true" }, { "true", " AND true" },
		{ "1", "+1" }, { "1", "*1" }, { "tags.a", "-tags.a" } };
	struct buf b = { 0 };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		b.n = 0;
		buf_cstr(&b, parts[i][0]);
		while (b.n + strlen(parts[i][1]) <= QUERY_TEXT_MAX)
			buf_cstr(&b, parts[i][1]);
		buf_putc(&b, '\0');
		assert_null(strstr(fleet_where(*state, b.p), "ArgumentInvalid"));
	}
	buf_fini(&b);
}

static void
query_parse__one_after_another_is_no_depth(void **state)
{
	static const char *const parts[] = { "(true)", "NOT false", "1 = - -1", "IS_NULL(null)",
		"IS_DEFINED(deviceId)", "ARRAY_CONTAINS([ [1], [1]], [1])",
		"ARRAY_CONTAINS((1, 2), 1)" };
	struct buf b = { 0 };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		b.n = 0;
		buf_cstr(&b, parts[i]);
		for (unsigned n = 0; n < 3 * QUERY_DEPTH_MAX; n++)
			buf_printf(&b, " AND %s", parts[i]);
		buf_putc(&b, '\0');
		keeps(state, b.p);
	}
	buf_fini(&b);
}

static void
query_parse__lists_items_and_paths_are_bounded(void **state)
{
	struct buf b = { 0 };

	buf_cstr(&b, "tags.a IN [1");
	repeat(&b, ",1", QUERY_LIST_MAX - 1);
	buf_cstr(&b, "]");
	buf_putc(&b, '\0');
	keeps(state, b.p);
	b.n -= 2;
	buf_cstr(&b, ",1]");
	buf_putc(&b, '\0');
	refuses_where(state, b.p, "2048 values in a list");

	b.n = 0;
	buf_cstr(&b, "SELECT a");
	repeat(&b, ",a", QUERY_ITEMS_MAX - 1);
	buf_cstr(&b, " FROM devices");
	buf_putc(&b, '\0');
	fleet_gives(*state, b.p, "{}");
	b.n = 0;
	buf_cstr(&b, "SELECT a");
	repeat(&b, ",a", QUERY_ITEMS_MAX);
	buf_cstr(&b, " FROM devices");
	buf_putc(&b, '\0');
	refuses(state, b.p, "256 items");

	b.n = 0;
	buf_cstr(&b, "IS_DEFINED(a");
	repeat(&b, ".a", QUERY_STEPS_MAX - 1);
	buf_cstr(&b, ")");
	buf_putc(&b, '\0');
	drops(state, b.p);
	b.n = 0;
	buf_cstr(&b, "IS_DEFINED(a");
	repeat(&b, ".a", QUERY_STEPS_MAX);
	buf_cstr(&b, ")");
	buf_putc(&b, '\0');
	refuses_where(state, b.p, "64 steps");
	buf_fini(&b);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(query_parse__Q11_comments_aliases_and_parentheses_lists),
		TEST(query_parse__Q12_precedence),
		TEST(query_parse__Q13_other_sql_is_refused),
		TEST(query_parse__Q14_from_is_needed_and_known),
		TEST(query_parse__Q15_keywords_and_reserved_words),
		TEST(query_parse__Q16_quoted_steps),
		TEST(query_parse__Q17_names),
		TEST(query_parse__Q18_blanks_and_semicolon),
		TEST(query_parse__Q36_Q81_lists),
		TEST(query_parse__Q38_strings),
		TEST(query_parse__numbers),
		TEST(query_parse__Q07_text_limit_counts_code_points),
		TEST(query_parse__empty_text_is_argument_null),
		TEST(query_parse__faults_say_where),
		TEST(query_parse_condition__Q54_columns_count_from_the_completed_text),
		TEST(query_parse_condition__Q56_Q57_forms),
		TEST(query_parse__nesting_is_bounded),
		TEST(query_parse__long_chains_are_no_depth),
		TEST(query_parse__one_after_another_is_no_depth),
		TEST(query_parse__lists_items_and_paths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
