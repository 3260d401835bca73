/* Parts 3 to 5 of docs/spec/query-language.md: paths, values, operators and functions, each by a condition on one row. */
#include "query_fleet.h"

static const char *const rows[] = {
	"{'deviceId':'d1','status':'enabled','connectionState':'Connected','version':3,"
	"'x509Thumbprint':{'primaryThumbprint':null,'secondaryThumbprint':'AB'},"
	"'capabilities':{'iotEdge':true},'parentScopes':['p1','p2'],'time':'2022-01-01T00:00:00Z',"
	"'tags':{'n':5,'s':'abc','t':true,'f':false,'o':{'k':{'z':1}},'l':[1,'x',true,{'a':1},"
	"[2]],'Case':1,'neg':-7,"
	"'text':'aé😀b','upper':'ÀÉΣ','big':'x'},"
	"'desired':{'d':1},'reported':{'r':2}}",
	"{'deviceId':'d1','moduleId':'m1','status':'enabled','capabilities':{'iotEdge':true},'tags'"
	":{'n':5}}",
	"{'deviceId':'d1','jobId':'j1','createdDateTimeUtc':'2022-01-01T00:00:00Z','outcome':{'a':"
	"1}}",
	"{'jobId':'j1','status':'completed','type':'scheduleUpdateTwin'}",
};

static int
setup(void **state)
{
	static struct fleet fl;

	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	*state = &fl;
	return 0;
}

static int
teardown(void **state)
{
	fleet_fini(*state);
	return 0;
}

/* The truth of a condition: the row is kept by the condition alone, by its NOT alone, or by neither. */
static void
is(void **state, const char *condition, const char *want)
{
	char text[512];
	const char *got = fleet_where(*state, condition);
	bool yes = strcmp(got, "d1") == 0, no;

	if (!yes && got[0] != '\0')
		fail_msg("%s: %s", condition, got);
	snprintf(text, sizeof(text), "NOT (%s)", condition);
	no = strcmp(fleet_where(*state, text), "d1") == 0;
	assert_false(yes && no);
	fleet_expect(condition, yes ? "true" : no ? "false" : "undefined", want);
}

static void
refuses_where(void **state, const char *condition, const char *part)
{
	const char *got = fleet_where(*state, condition);

	if (strncmp(got, "ArgumentInvalid: ", 17) != 0 || strstr(got, part) == NULL)
		fail_msg("%s\n  gives %s\n  not a 400 with '%s'", condition, got, part);
}

/* ---- paths ---- */

static void
query_path__Q20_start_at_the_root(void **state)
{
	is(state, "tags.o.k.z = 1", "true");
	is(state, "n = 5", "undefined");
	is(state, "nothing.at.all = 5", "undefined");
	is(state, "properties.other.d = 1", "undefined");
	is(state, "properties.desired.d = 1 AND properties.reported.r = 2", "true");
	is(state, "properties.desired.$version = 2", "true");
	is(state, "properties.reported.$metadata.r.$lastUpdated > '2021'", "true");
	is(state, "tags.$version = 2", "undefined");
	is(state, "tags.n.more = 5", "undefined");
	is(state, "deviceId.more = 'd1'", "undefined");
	is(state, "moduleId = 'm1'", "undefined");
}

static void
query_path__Q21_collection_as_prefix(void **state)
{
	is(state, "devices.tags.n = 5 AND Devices.DeviceId = 'd1'", "true");
	is(state, "devices = 5", "undefined");
	is(state, "devices.modules.moduleId = 'm1'", "undefined");
	fleet_gives(*state,
	    "SELECT * FROM devices.modules WHERE devices.modules.tags.n = 5 AND devices.tags.n = 5",
	    "d1/m1");
	fleet_gives(*state,
	    "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j1' AND jobId = 'j1'", "j1:d1");
	fleet_gives(*state, "SELECT * FROM jobs WHERE jobs.jobId = 'j1'", "j1");
}

static void
query_path__Q22_case(void **state)
{
	is(state, "DEVICEID = 'd1' AND DeviceID = 'd1' AND connectionstate = 'Connected'", "true");
	is(state, "TAGS.n = 5 AND Properties.Desired.d = 1 AND PROPERTIES.REPORTED.r = 2", "true");
	is(state, "tags.N = 5", "undefined");
	is(state, "tags.case = 1", "undefined");
	is(state, "tags.Case = 1", "true");
	is(state, "deviceId = 'D1'", "false");
}

static void
query_path__Q19_Q23_module_rows(void **state)
{
	fleet_gives(*state,
	    "SELECT * FROM devices.modules WHERE deviceId = 'd1' AND moduleId = 'm1'", "d1/m1");
	fleet_gives(*state, "SELECT * FROM devices.modules WHERE capabilities.iotEdge = true", "");
	fleet_gives(*state, "SELECT * FROM devices WHERE capabilities.iotEdge = true", "d1");
	fleet_gives(*state, "SELECT * FROM jobs WHERE type = 'scheduleUpdateTwin'", "j1");
}

static void
query_path__Q24_job_rows(void **state)
{
	fleet_gives(*state, "SELECT * FROM devices.jobs WHERE createdTimeUtc = createdDateTimeUtc",
	    "j1:d1");
	fleet_gives(*state, "SELECT * FROM devices.jobs WHERE outcome.a = 1", "j1:d1");
	fleet_gives(*state, "SELECT * FROM devices.jobs WHERE etag = 'x' OR moduleId = 'm'", "");
	fleet_refuses(*state, "SELECT jobId FROM devices.jobs", "SELECT *");
	fleet_refuses(*state, "SELECT COUNT() FROM devices.jobs", "SELECT *");
	fleet_refuses(*state, "SELECT COUNT() FROM jobs", "SELECT *");
	fleet_refuses(*state, "SELECT * FROM devices.jobs GROUP BY jobId", "SELECT *");
	fleet_refuses(
	    *state, "SELECT * FROM devices.jobs WHERE tags.a = 1", "1:34: twins are not part");
	fleet_refuses(*state, "SELECT * FROM devices.jobs WHERE properties.reported.a = 1",
	    "twins are not part");
}

static void
query_path__Q25_no_index(void **state)
{
	refuses_where(state, "tags.l[0] = 1", "unexpected '['");
	is(state, "tags.l = 1", "undefined");
}

static void
query_path__Q26_times_are_strings(void **state)
{
	is(state, "properties.reported.$metadata.$lastUpdated >= '2022-01-01T00:00:00Z'",
	    "false"); /* '.' < 'Z' */
	is(state, "properties.reported.$metadata.$lastUpdated >= '2022-01-01T00:00:00'", "true");
	is(state, "properties.reported.$metadata.$lastUpdated < '2022-01-01T00:00:01Z'", "true");
}

/* ---- comparisons ---- */

static void
query_match__Q28_keeps_only_true(void **state)
{
	fleet_where_gives(*state, "tags.t", "d1");
	fleet_where_gives(*state, "tags.f", "");
	fleet_where_gives(*state, "tags.n", "");
	fleet_where_gives(*state, "tags.s", "");
	fleet_where_gives(*state, "null", "");
	fleet_where_gives(*state, "undefined", "");
	fleet_where_gives(*state, "1", "");
	fleet_where_gives(*state, "tags.l", "");
	fleet_where_gives(*state, "true", "d1");
}

/* Q-30, whole: every pair of kinds under every operator. Rows and columns: undefined, null, boolean, number, string,
 * array, object. In a cell, = and != and an order: t, f or u, for operands that are equal where they can be. */
static void
query_compare__Q30_table(void **state)
{
	static const char *const operand[] = { "tags.none", "x509Thumbprint.primaryThumbprint",
		"tags.t", "tags.n", "tags.s", "tags.l", "tags.o" };
	static const char *const cell[7][7] = {
		{ "uuu", "uuu", "uuu", "uuu", "uuu", "uuu", "uuu" },
		{ "uuu", "tfu", "ftu", "ftu", "ftu", "uuu", "uuu" },
		{ "uuu", "ftu", "tfu", "uuu", "uuu", "uuu", "uuu" },
		{ "uuu", "ftu", "uuu", "tft", "uuu", "uuu", "uuu" },
		{ "uuu", "ftu", "uuu", "uuu", "tft", "uuu", "uuu" },
		{ "uuu", "uuu", "uuu", "uuu", "uuu", "uuu", "uuu" },
		{ "uuu", "uuu", "uuu", "uuu", "uuu", "uuu", "uuu" },
	};
	static const char *const ops[] = { "=", "!=", "<=", ">=", "<>" };
	char text[128];

	for (int a = 0; a < 7; a++) {
		for (int b = 0; b < 7; b++) {
			for (int o = 0; o < 5; o++) {
				char want = cell[a][b][o == 4 ? 1 : o > 2 ? 2 : o];
				snprintf(
				    text, sizeof(text), "%s %s %s", operand[a], ops[o], operand[b]);
				is(state, text,
				    want == 't'       ? "true"
				        : want == 'f' ? "false"
				                      : "undefined");
			}
		}
	}
}

static void
query_compare__Q29_null_is_not_missing(void **state)
{
	is(state, "x509Thumbprint.primaryThumbprint = null", "true");
	is(state, "x509Thumbprint.secondaryThumbprint = null", "false");
	is(state, "x509Thumbprint.primaryThumbprint != 'AB'", "true");
	is(state, "IS_DEFINED(x509Thumbprint.primaryThumbprint)", "true");
	is(state, "tags.none = null", "undefined");
}

static void
query_compare__Q31_Q35_missing_keys(void **state)
{
	is(state, "tags.none != 'a'", "undefined");
	is(state, "NOT is_defined(tags.none) OR tags.none != 'a'", "true");
	is(state, "tags.none = undefined", "undefined");
	is(state, "tags.n = undefined", "undefined");
	is(state, "undefined = undefined", "undefined");
}

static void
query_compare__Q32_Q33_kinds_and_order(void **state)
{
	is(state, "tags.n = '5'", "undefined");
	is(state, "tags.n = 5.0", "true");
	is(state, "tags.t = 1", "undefined");
	is(state, "tags.t < tags.f", "undefined");
	is(state, "tags.s = 'ABC'", "false");
	is(state, "tags.s > 'ABD'", "true");
	is(state, "tags.s < 'abcd'", "true");
	is(state, "'10' < '9'", "true");
	is(state, "10 < 9", "false");
}

static void
query_compare__Q82_order_is_by_utf16_unit(void **state)
{
	/* U+FF5E is one unit, above the surrogates that U+1F600 begins with; code points would say the reverse. */
	is(state, "'😀' < '～'", "true");
	is(state, "'～' > '😀'", "true");
	is(state, "'a😀' < 'a～'", "true");
	is(state, "'\\uE000' > '😀'", "true");
	is(state, "'\\uD7FF' < '😀'", "true");
	is(state, "'é' > 'z'", "true");
	is(state, "'😀' < '😁'", "true");
}

static void
query_logic__Q34_three_values(void **state)
{
	static const char *const v[] = { "true", "false", "undefined" };
	static const char *const and[3][3] = { { "true", "false", "undefined" },
		{ "false", "false", "false" }, { "undefined", "false", "undefined" } };
	static const char *const or [3][3] = { { "true", "true", "true" },
		{ "true", "false", "undefined" }, { "true", "undefined", "undefined" } };
	char text[128];

	for (int a = 0; a < 3; a++) {
		for (int b = 0; b < 3; b++) {
			snprintf(text, sizeof(text), "%s AND %s", v[a], v[b]);
			is(state, text, and[a][b]);
			snprintf(text, sizeof(text), "%s OR %s", v[a], v[b]);
			is(state, text, or [a][b]);
		}
	}
	is(state, "NOT undefined", "undefined");
	is(state, "NOT tags.n", "undefined");
	is(state, "tags.n AND true", "undefined");
	is(state, "tags.n OR true", "true");
	is(state, "null OR false", "undefined");
}

static void
query_in__Q36(void **state)
{
	is(state, "tags.s IN ['x', 'abc']", "true");
	is(state, "tags.s IN ['x', 'y']", "false");
	is(state, "tags.s NIN ['x', 'y']", "true");
	is(state, "tags.s NOT IN ['x', 'abc']", "false");
	is(state, "tags.none IN ['x', null]", "undefined");
	is(state, "tags.none NIN ['x']", "undefined");
	is(state, "tags.s IN ['x', 1]", "undefined"); /* one of the comparisons is */
	is(state, "tags.s IN ['abc', 1]", "true");
	is(state, "tags.s IN ['x', null]", "false");
	is(state, "tags.s IN ['x', undefined]", "undefined");
	is(state, "tags.s IN ['x', [1]]", "undefined");
	is(state, "x509Thumbprint.primaryThumbprint IN [1, 'x', true]", "false");
	is(state, "x509Thumbprint.primaryThumbprint IN [1, null]", "true");
	is(state, "tags.t IN [false, true]", "true");
	is(state, "tags.n IN [9, 8, 7, 6, 5, 4, 3]", "true");
	is(state, "tags.n IN [9, 8, 7, 6, 4, 3]", "false");
	is(state, "tags.l IN [1]", "undefined");
}

static void
query_arithmetic__Q37_Q84(void **state)
{
	is(state,
	    "tags.n + 1 = 6 AND tags.n - 1 = 4 AND tags.n * 2 = 10 AND tags.n / 2 = 2.5 AND tags.n "
	    "% 3 = 2",
	    "true");
	is(state, "tags.n + '1' = 6", "undefined");
	is(state, "tags.s + 'x' = 'abcx'", "undefined");
	is(state, "tags.none + 1 = 1", "undefined");
	is(state, "tags.t + 1 = 2", "undefined");
	is(state, "null + 1 = 1", "undefined");
	is(state, "1 / 0 = 1", "undefined");
	is(state, "IS_NUMBER(1 % 0)", "false");
	is(state, "tags.neg % 3 = -1", "true");
	is(state, "7 % -3 = 1", "true");
	is(state, "IS_NUMBER(1e308 * 10)", "false");
	is(state, "IS_NUMBER(1e308 + 1e308 - 1e308)", "false");
	is(state, "-tags.n = -5", "true");
	is(state, "IS_NUMBER(-tags.s)", "false");
	is(state, "0.1 + 0.2 = 0.3", "false"); /* doubles */
}

/* ---- functions ---- */

static void
query_function__Q40_names_and_arguments(void **state)
{
	is(state, "StartsWith(tags.s, 'ab')", "true");
	refuses_where(state, "STARTSWITH(tags.s)", "1 arguments for STARTSWITH");
	refuses_where(state, "ABS()", "0 arguments");
	refuses_where(state, "ABS(1, 2)", "2 arguments");
	refuses_where(state, "SUBSTRING('a', 1, 1, 1)", "4 arguments");
	refuses_where(state, "CONCAT('a')", "1 arguments");
	refuses_where(state, "NOPE(1)", "no function 'NOPE'");
	refuses_where(state, "[[ABS]](1)", "unexpected '('");
	refuses_where(state, "TWIN_CHANGE_INCLUDES(tags.a)", "no function");
}

static void
query_function__Q41_of_routing_only(void **state)
{
	refuses_where(state, "STARTS_WITH(tags.s, 'a')", "no function 'STARTS_WITH'");
	refuses_where(state, "ENDS_WITH(tags.s, 'a')", "no function 'ENDS_WITH'");
	refuses_where(state, "CONTAINS(tags.s, 'a')", "no function 'CONTAINS'");
	refuses_where(state, "COUNT() > 1", "no function 'COUNT'");
	refuses_where(state, "AVG(tags.n) > 1", "no function 'AVG'");
}

static void
query_function__Q42_is_defined(void **state)
{
	is(state, "IS_DEFINED(tags.s)", "true");
	is(state, "IS_DEFINED(tags.o)", "true");
	is(state, "IS_DEFINED(tags.l)", "true");
	is(state, "IS_DEFINED(tags.none.below)", "false");
	is(state, "IS_DEFINED(tags.s.below)", "false");
	is(state, "IS_DEFINED(nothing)", "false");
	is(state, "IS_DEFINED(DeviceId)", "true");
	is(state, "IS_DEFINED(tags) AND IS_DEFINED(properties) AND IS_DEFINED(properties.reported)",
	    "true");
	is(state, "IS_DEFINED(properties.desired.$metadata.d)", "true");
	is(state, "IS_DEFINED(properties.desired.$metadata.e)", "false");
	fleet_gives(*state, "SELECT * FROM devices.modules WHERE IS_DEFINED(tags)", "d1/m1");
	refuses_where(state, "IS_DEFINED('x')", "a path");
	refuses_where(state, "IS_DEFINED(tags.a + 1)", ") after the path");
	refuses_where(state, "IS_DEFINED()", "a path");
	refuses_where(state, "IS_DEFINED(tags.a, tags.b)", ") after the path");
	refuses_where(state, "IS_DEFINED((tags.a))", "a path");
	refuses_where(state, "IS_DEFINED(null)", "a path");
}

static void
query_function__Q83_strings_and_arrays(void **state)
{
	is(state, "STARTSWITH(tags.s, 'ab')", "true");
	is(state, "STARTSWITH(tags.s, 'b')", "false");
	is(state, "STARTSWITH(tags.s, '')", "true");
	is(state, "STARTSWITH(tags.none, 'a')", "undefined");
	is(state, "STARTSWITH(tags.n, 'a')", "undefined");
	is(state, "STARTSWITH(tags.s, tags.n)", "undefined");
	is(state, "ENDSWITH(tags.s, 'bc')", "true");
	is(state, "ENDSWITH(tags.s, 'xabc')", "false");
	is(state, "ENDSWITH(null, 'x')", "undefined");
	is(state, "ARRAY_CONTAINS(parentScopes, 'p2')", "true");
	is(state, "ARRAY_CONTAINS(parentScopes, 'p')", "false");
	is(state,
	    "ARRAY_CONTAINS(tags.l, 1) AND ARRAY_CONTAINS(tags.l, 1.0) AND ARRAY_CONTAINS(tags.l, "
	    "true)",
	    "true");
	is(state, "ARRAY_CONTAINS(tags.l, '1')", "false");
	is(state, "ARRAY_CONTAINS(tags.l, [2])", "true");
	is(state, "ARRAY_CONTAINS(tags.l, [2, 3])", "false");
	is(state, "ARRAY_CONTAINS(tags.l, tags.l)", "false");
	refuses_where(state, "ARRAY_CONTAINS([1, 2, tags.n], 1)", "a constant");
	is(state, "ARRAY_CONTAINS([1, 2, 5], tags.n)", "true");
	is(state, "ARRAY_CONTAINS((1, 2, 5), tags.n)", "true");
	is(state, "ARRAY_CONTAINS(tags.s, 'a')", "undefined");
	is(state, "ARRAY_CONTAINS(tags.none, 'a')", "undefined");
	is(state, "ARRAY_CONTAINS([null], null)", "true");
	is(state, "ARRAY_CONTAINS(tags.l, tags.none)", "undefined");
}

static void
query_function__Q83_kinds(void **state)
{
	static const struct {
		const char *function,
		    *truths; /* of undefined, null, boolean, number, string, array, object */
	} kinds[] = { { "IS_NULL", "ftfffff" }, { "IS_BOOL", "fftffff" },
		{ "IS_NUMBER", "ffftfff" }, { "IS_STRING", "fffftff" }, { "IS_ARRAY", "ffffftf" },
		{ "IS_OBJECT", "fffffft" }, { "IS_PRIMITIVE", "fttttff" } };
	static const char *const operand[] = { "tags.none", "x509Thumbprint.primaryThumbprint",
		"tags.t", "tags.n", "tags.s", "tags.l", "tags.o" };
	char text[128];

	for (size_t f = 0; f < sizeof(kinds) / sizeof(kinds[0]); f++) {
		for (int o = 0; o < 7; o++) {
			snprintf(text, sizeof(text), "%s(%s)", kinds[f].function, operand[o]);
			is(state, text, kinds[f].truths[o] == 't' ? "true" : "false");
		}
	}
	is(state, "IS_NULL(null)", "true");
	is(state, "IS_BOOL(tags.n = 5)", "true");
	is(state, "IS_BOOL(tags.none = 5)", "false");
	is(state,
	    "IS_OBJECT(properties) AND IS_OBJECT(tags) AND IS_OBJECT(properties.desired.$metadata)",
	    "true");
}

static void
query_function__Q84_numbers(void **state)
{
	is(state, "ABS(tags.neg) = 7 AND ABS(2) = 2", "true");
	is(state, "EXP(0) = 1 AND POWER(2, 10) = 1024 AND SQUARE(tags.neg) = 49", "true");
	is(state, "CEILING(1.2) = 2 AND FLOOR(-1.2) = -2 AND SQRT(9) = 3", "true");
	is(state, "SIGN(tags.neg) = -1 AND SIGN(0) = 0 AND SIGN(3) = 1", "true");
	is(state, "SQRT(-1) = 0", "undefined");
	is(state, "EXP(1000) > 0", "undefined");
	is(state, "POWER(0, -1) > 0", "undefined");
	is(state, "SQUARE(1e200) > 0", "undefined");
	is(state, "SIGN(tags.s) = 0", "undefined");
	is(state, "ABS(tags.none) = 0", "undefined");
	is(state, "POWER('2', 2) = 4", "undefined");
	is(state,
	    "AS_NUMBER('12') = 12 AND AS_NUMBER('-1.5e2') = -150 AND AS_NUMBER('+3') = 3 AND "
	    "AS_NUMBER(4) = 4",
	    "true");
	is(state, "AS_NUMBER('12x') = 12", "undefined");
	is(state, "AS_NUMBER('') = 0", "undefined");
	is(state, "AS_NUMBER('-') = 0", "undefined");
	is(state, "AS_NUMBER('0x10') = 16", "undefined");
	is(state, "AS_NUMBER('1e999') > 0", "undefined");
	is(state, "AS_NUMBER(true) = 1", "undefined");
}

static void
query_function__Q82_text_counts_utf16_units(void **state)
{
	is(state, "LENGTH(tags.text) = 5", "true"); /* a é (two units of an emoji) b */
	is(state, "LENGTH('') = 0", "true");
	is(state, "LENGTH(tags.l) = 6", "undefined");
	is(state, "SUBSTRING(tags.text, 1, 1) = 'é'", "true");
	is(state, "SUBSTRING(tags.text, 2, 2) = '😀'", "true");
	is(state, "SUBSTRING(tags.text, 4) = 'b'", "true");
	is(state, "SUBSTRING(tags.text, 5) = ''", "true");
	is(state, "SUBSTRING(tags.text, 6) = ''", "undefined");
	is(state, "SUBSTRING(tags.text, 3) = 'b'", "undefined"); /* inside a pair */
	is(state, "SUBSTRING(tags.text, 2, 1) = 'b'", "undefined");
	is(state, "SUBSTRING(tags.text, 4, 2) = 'b'", "undefined");
	is(state, "SUBSTRING(tags.text, -1) = 'b'", "undefined");
	is(state, "SUBSTRING(tags.text, 0.5) = 'b'", "undefined");
	is(state, "SUBSTRING(tags.s, 0, 0) = ''", "true");
	is(state,
	    "INDEX_OF(tags.text, 'b') = 4 AND INDEX_OF(tags.text, 'a') = 0 AND INDEX_OF(tags.text, "
	    "'z') = -1",
	    "true");
	is(state, "INDEX_OF(tags.text, '') = 0 AND INDEX_OF('', 'x') = -1", "true");
	is(state, "INDEX_OF(tags.text, 1) = 0", "undefined");
	is(state, "CONCAT(tags.s, '-', tags.s) = 'abc-abc'", "true");
	is(state, "CONCAT(tags.s, 1) = 'abc1'", "undefined");
	is(state, "CONCAT(tags.s, tags.none) = 'abc'", "undefined");
}

static void
query_function__Q82_simple_case_mapping(void **state)
{
	is(state, "LOWER(tags.upper) = 'àéσ' AND UPPER('àéσς') = 'ÀÉΣΣ'", "true");
	is(state, "LOWER('ABCxyz@[`{') = 'abcxyz@[`{' AND UPPER('abcXYZ@[`{') = 'ABCXYZ@[`{'",
	    "true");
	is(state, "UPPER('ß') = 'ß'", "true"); /* only the full mapping has SS */
	is(state, "LOWER('İ') = 'i'", "true");
	is(state, "UPPER('ɐ') = 'Ɐ'", "true"); /* two bytes become three */
	is(state, "LOWER('𐐀') = '𐐨'", "true");
	is(state, "UPPER('ǅ') = 'Ǆ' AND LOWER('ǅ') = 'ǆ'", "true");
	is(state, "LOWER('😀') = '😀'", "true");
	is(state, "LOWER(5) = '5'", "undefined");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(query_path__Q20_start_at_the_root),
		TEST(query_path__Q21_collection_as_prefix),
		TEST(query_path__Q22_case),
		TEST(query_path__Q19_Q23_module_rows),
		TEST(query_path__Q24_job_rows),
		TEST(query_path__Q25_no_index),
		TEST(query_path__Q26_times_are_strings),
		TEST(query_match__Q28_keeps_only_true),
		TEST(query_compare__Q30_table),
		TEST(query_compare__Q29_null_is_not_missing),
		TEST(query_compare__Q31_Q35_missing_keys),
		TEST(query_compare__Q32_Q33_kinds_and_order),
		TEST(query_compare__Q82_order_is_by_utf16_unit),
		TEST(query_logic__Q34_three_values),
		TEST(query_in__Q36),
		TEST(query_arithmetic__Q37_Q84),
		TEST(query_function__Q40_names_and_arguments),
		TEST(query_function__Q41_of_routing_only),
		TEST(query_function__Q42_is_defined),
		TEST(query_function__Q83_strings_and_arrays),
		TEST(query_function__Q83_kinds),
		TEST(query_function__Q84_numbers),
		TEST(query_function__Q82_text_counts_utf16_units),
		TEST(query_function__Q82_simple_case_mapping),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
