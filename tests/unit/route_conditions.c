/* Routing conditions that are taken: part 8 of docs/spec/query-language.md, and its examples (9.3). */
#include "route_kit.h"

static const char *const properties[] = { "processingPath=hot", "level=5", "key1=value1",
	"KEY3=VALUE3", "none_given", "$sys4=value4", "$body.conflict=100", "a-b=dash", "a=x", "b=y",
	"true1=true", "broken=\xFF", "opType=updateTwin", NULL };
static const char *const system_properties[] = { "contentType=application/json",
	"contentEncoding=utf-8", "connectionDeviceId=pump01",
	"enqueuedTime=2026-11-30T01:00:00.0000000Z", "sys4=sysvalue4", "priority=x",
	"dt-subject=thermostat1", NULL };
static const char body[] =
    "{'temp':31,'neg':-50.4,'name':'pump','on':true,'off':false,'nothing':null,'conflict':50,"
    "'weather':{'temps':[-1,20,'x'],'rows':[{'t':40},{'t':30}]},'alarm':'a','text':'"
    "a\xC3\xA9\xF0\x9F\x98\x80"
    "b','time':'2017-03-09T00:00:00.000Z','properties':{'reported':{'x':1}},'Case':1}";
static const char twin[] =
    "{'deviceId':'pump01','tags':{'site':'a','list':[{'x':1},2]},'properties':{'desired':{'d':1},"
    "'reported':{'r':2}}}";

static int
setup(void **state)
{
	static struct sample s;

	sample_init(&s, properties, system_properties, body, twin);
	*state = &s;
	return 0;
}

static int
teardown(void **state)
{
	sample_fini(*state);
	return 0;
}

struct row {
	const char *text, *want;
};

static void
rows(void **state, const struct row *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect(*state, r[i].text, r[i].want);
}
#define ROWS(state, table) rows(state, table, sizeof(table) / sizeof((table)[0]))

/* ---- 9.3, by number; 69 is refused: route_errors.c ---- */

static void
route_examples__66_to_79(void **state)
{
	static const struct row table[] = {
		{ /* 66 */ "true", "true" },
		{ /* 67 */ "processingPath = 'hot'", "true" },
		{ /* 68 */ "as_number(level) > 3", "true" },
		{ /* 70 */ "$contentEncoding = 'utf-8' AND processingPath = 'hot'", "true" },
		{ /* 71 */ "$body.temp > 30", "true" },
		{ /* 72 */ "$body.weather.temps[0] < 0 OR is_defined($body.alarm)", "true" },
		{ /* 73 */ "$twin.tags.site = 'a' AND $body.temp >= 30", "true" },
		{ /* 74 */ "$body.properties.reported.x = 1", "true" },
		{ /* 75 */ "opType = 'updateTwin'", "true" },
		{ /* 76 */ "starts_with($connectionDeviceId, 'pump')", "true" },
		{ /* 77 */ "NOT is_defined($connectionModuleId)", "true" },
		{ /* 78 */ "{$priority} = 'x' AND contains($dt-subject, 'thermo')", "true" },
		{ /* 79 */ "concat(a, '-', b) = 'x-y'", "true" },
		{ "processingPath = 'cold'", "false" },
		{ "as_number(level) > 5", "false" },
		{ "$body.temp > 31", "false" },
		{ "$body.weather.temps[1] < 0 OR is_defined($body.no)", "false" },
		{ "$twin.tags.site = 'b'", "false" },
		{ "concat(a, '-', b) = 'x-z'", "false" },
	};

	ROWS(state, table);
}

/* ---- 8.1 ---- */

static void
route_grammar__Q60_NOT_binds_tightest(void **state)
{
	static const struct row table[] = {
		{ "NOT true = false", "true" }, /* (NOT true) = false */
		{ "NOT (true = false)", "true" },
		{ "NOT true = true", "false" },
		{ "NOT NOT true", "true" },
		{ "NOT false AND false", "false" },
		{ "2 + 3 * 4 = 14", "true" },
		{ "10 - 2 - 3 = 5", "true" },
		{ "- 2 * 3 = -6", "true" },
		{ "1 < 2 = true", "true" },
		{ "false AND false OR true", "true" },
		{ "true OR true AND false", "true" },
		{ "undefined ?? false OR true", "true" }, /* ?? is lowest */
		{ "(undefined ?? false) OR true", "true" },
		{ "'a' || 'b' = 'ab'", "true" },
		{ "1 = 1 = true", "true" },
	};

	ROWS(state, table);
}

static void
route_grammar__Q61_names_run_on(void **state)
{
	static const struct row table[] = {
		{ "a-b = 'dash'", "true" },
		{ "a='x'", "true" },
		{ "a='x'AND b='y'", "true" },
		{ "3 + 4 = 7", "true" },
		{ "is_defined(3+4)", "false" }, /* a property of that name */
		{ "6/2 = 3", "true" },          /* no name has a slash */
		{ "3 - -4 = 7", "true" },
		{ ".5 + .25 = 0.75", "true" },
		{ "1e3 = 1000 AND -1.5e+1 = -15", "true" },
		{ "0x1F = 31", "true" },
		{ "key1!='value2'", "true" },
		{ "key1!= 'value1'", "false" },
		{ "$body.temp!=31", "false" },
	};

	ROWS(state, table);
}

static void
route_grammar__Q62_case(void **state)
{
	static const struct row table[] = {
		{ "true and Not false oR false", "true" },
		{ "AS_NUMBER(level) = 5 AND As_Number(LEVEL) = 5", "true" },
		{ "KEY1 = 'value1' AND key3 = 'VALUE3'", "true" },
		{ "$CONTENTTYPE = 'application/json' AND {$Priority} = 'x'", "true" },
		{ "$BODY.temp = 31 AND $Twin.tags.site = 'a'", "true" },
		{ "is_null($body.TEMP)", "true" }, /* keys have a case */
		{ "is_defined(TRUE)", "false" },   /* a property of that name */
		{ "key1 = /* a\ncomment */ 'value1'", "true" },
		{ "key1\t=\n'value1'", "true" },
	};

	ROWS(state, table);
}

static void
route_grammar__Q63_empty_matches_nothing(void **state)
{
	static const struct row table[] = { { "", "undefined" }, { " \t\r\n", "undefined" },
		{ "/* */", "undefined" }, { "3", "undefined" }, { "'true'", "undefined" },
		{ "true1", "undefined" }, { "null", "undefined" }, { "undefined", "undefined" } };

	ROWS(state, table);
}

static void
route_grammar__Q65_words_of_queries_are_names(void **state)
{
	expect(*state, "is_defined(SELECT) OR is_defined(FROM) OR is_defined(IN)", "false");
}

/* ---- 8.2 ---- */

static void
route_sources__Q66_application_before_system(void **state)
{
	static const struct row table[] = {
		{ "$sys4 = 'value4'", "true" },
		{ "{$sys4} = 'sysvalue4'", "true" },
		{ "{ $sys4 } = 'sysvalue4'", "true" },
		{ "$body.conflict = '100'", "true" },
		{ "{$body.conflict} = 50", "true" },
		{ "as_number($body.conflict) = 100", "true" },
		{ "$enqueuedTime >= '2026-11-30T00:00:00Z'", "true" },
		{ "$enqueuedTime < '2026-11-30T00:00:00Z'", "false" },
		{ "is_defined($none)", "false" },
		{ "is_defined({$connectionDeviceId})", "true" },
		{ "$body = 'x'", "undefined" },
	};

	ROWS(state, table);
}

static void
route_sources__Q67_no_body(void **state)
{
	struct sample s;

	(void)state;
	sample_init(&s, properties, system_properties, NULL, NULL);
	expect(&s, "$body.temp > 30", "undefined");
	expect(&s, "is_defined($body.temp)", "false");
	expect(&s, "is_null($body.temp)", "false");
	expect(&s, "$body.temp = null", "undefined");
	expect(&s, "$twin.tags.site = null", "undefined"); /* not known */
	expect(&s, "key1 = 'value1' OR $body.temp > 30", "true");
	s.m.body = NULL;
	expect(&s, "is_defined($body.temp)", "false");
	sample_fini(&s);
}

static void
route_sources__Q68_missing_paths_are_null_and_not_defined(void **state)
{
	static const struct row table[] = {
		{ "$body.no = null", "true" },
		{ "is_null($body.no.deeper)", "true" },
		{ "is_defined($body.no)", "false" },
		{ "NOT is_defined($body.no)", "true" },
		{ "$body.no > 30", "undefined" },
		{ "$body.no != 'x'", "undefined" },
		{ "$body.no != null", "false" },
		{ "($body.no ?? 5) = 5", "true" },
		{ "$body.nothing = null", "true" },
		{ "is_defined($body.nothing)", "true" },
		{ "is_null($body.nothing ?? 5)", "true" },
		{ "$twin.tags.no = null AND NOT is_defined($twin.nowhere.x)", "true" },
		/* arrays and objects */
		{ "$body.weather = null", "undefined" },
		{ "is_defined($body.weather)", "false" },
		{ "is_object($body.weather) AND is_array($body.weather.temps)", "true" },
		{ "is_primitive($body.weather) OR is_object($body.temp)", "false" },
		{ "$body.weather.rows[1].t = 30", "true" },
		{ "is_null($body.weather.rows[2].t)", "true" },
		{ "is_null($body.temp[0])", "true" },
		{ "$body.weather.temps[2] = 'x'", "true" },
		{ "$twin.tags.list[0].x = 1 AND $twin.tags.list[1] = 2", "true" },
		{ "is_null($twin.tags.list[2])", "true" },
		{ "$twin.properties.reported.r = 2 AND $twin.deviceId = $connectionDeviceId",
		    "true" },
	};

	ROWS(state, table);
}

static void
route_sources__Q69_dates_are_strings(void **state)
{
	expect(*state, "is_string($body.time) AND $body.time < '2018'", "true");
}

static void
route_sources__Q93_properties_without_value_or_text(void **state)
{
	static const struct row table[] = {
		{ "is_null(none_given) AND is_defined(none_given)", "true" },
		{ "none_given = null", "true" },
		{ "none_given = ''", "undefined" },
		{ "length(none_given) = 0", "undefined" },
		{ "is_defined(broken)", "false" },
		{ "is_defined(absent) OR is_null(absent)", "false" },
	};

	ROWS(state, table);
}

/* What a condition does not need is not asked for. */
static void
route_needs__tells_what_is_asked_for(void **state)
{
	static const struct {
		const char *text;
		struct route_needs needs;
	} table[] = {
		{ "true", { .never = false } },
		{ "false", { .never = true } },
		{ "", { .never = true } },
		{ "3 + 4", { .never = true } },
		{ "a", { .properties = true, .never = true } },
		{ "a = 'x'", { .properties = true } },
		{ "$to = 'x'", { .properties = true, .system = true } },
		{ "{$to} = 'x'", { .system = true } },
		{ "{$body.x}", { .body = true } },
		{ "$body.x = 1", { .properties = true, .body = true } },
		{ "{$twin.tags.x} = 1", { .twin = true } },
		{ "twin_change_includes(tags.x)", { .body = true } },
	};
	struct sample s;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct condition *c = compiled(table[i].text);
		const struct route_needs *n = route_condition_needs(c), *want = &table[i].needs;
		if (n->properties != want->properties || n->system != want->system ||
		    n->body != want->body || n->twin != want->twin || n->never != want->never)
			fail_msg("%s", table[i].text);
		route_condition_free(c);
	}
	sample_init(&s, properties, system_properties, body, twin);
	expect(&s, "key1 = 'value1' OR $body.temp > 30", "true");
	expect(&s, "false AND $twin.tags.x = 1", "false");
	assert_int_equal(s.nbody + s.ntwin, 0);
	expect(&s, "$body.temp > 30 AND $twin.tags.site = 'a'", "true");
	assert_int_equal(s.nbody, 2); /* it is judged twice there */
	assert_int_equal(s.ntwin, 2);
	sample_fini(&s);
}

/* ---- 8.3 ---- */

static void
route_values__Q72_dynamic_kinds(void **state)
{
	static const struct row table[] = {
		{ "$body.temp = '31'", "undefined" },
		{ "$body.temp != '31'", "undefined" },
		{ "$body.name > 30", "undefined" },
		{ "$body.on", "true" },
		{ "$body.off", "false" },
		{ "$body.temp", "undefined" },
		{ "NOT $body.temp", "undefined" },
		{ "$body.on AND $body.on", "true" },
		{ "$body.off OR NOT $body.off", "true" },
		{ "$body.on = true AND $body.off <> true", "true" },
		{ "$body.on > $body.off", "undefined" },
		{ "is_defined($body.name + 1)", "false" },
		{ "$body.name || 'x' = 'pumpx'", "true" },
		{ "is_defined($body.temp || 'x')", "false" },
		{ "$body.temp + 1 = 32", "true" },
		{ "30 < $body.temp", "true" },
		{ "$body.temp >= $body.weather.rows[1].t + 1", "true" },
	};

	ROWS(state, table);
}

static void
route_values__Q73_null(void **state)
{
	static const struct row table[] = {
		{ "null = null", "true" },
		{ "null != null", "false" },
		{ "null <= null", "true" },
		{ "null < null", "false" },
		{ "null = 1", "undefined" },
		{ "null <> 'x'", "undefined" },
		{ "key1 = null", "undefined" },
		{ "NOT null", "true" },
		{ "null OR true", "true" },
		{ "null OR false", "false" },
		{ "null AND true", "false" },
		{ "3 + null = 3", "true" },
		{ "null - 3 = -3", "true" },
		{ "3 * null = 0", "true" },
		{ "is_defined(3 + $body.nothing)", "false" },
		{ "NOT $body.nothing", "undefined" },
		{ "$body.nothing OR true", "true" },
		{ "$body.nothing AND false", "false" },
		{ "undefined = undefined", "undefined" },
		{ "undefined = null", "undefined" },
		{ "undefined != 1", "undefined" },
		{ "absent = 'x'", "undefined" },
	};

	ROWS(state, table);
}

/* Rows and columns: false, undefined, true. */
static void
route_values__Q74_three_valued_logic(void **state)
{
	static const char *const operand[] = { "$body.off", "$body.temp", "$body.on" };
	static const char *const value[] = { "false", "undefined", "true" };
	char text[96];

	for (int a = 0; a < 3; a++) {
		snprintf(text, sizeof(text), "NOT %s", operand[a]);
		expect(*state, text, value[2 - a]);
		for (int b = 0; b < 3; b++) {
			snprintf(text, sizeof(text), "%s AND %s", operand[a], operand[b]);
			expect(*state, text, value[a < b ? a : b]);
			snprintf(text, sizeof(text), "%s OR %s", operand[a], operand[b]);
			expect(*state, text, value[a > b ? a : b]);
		}
	}
}

static void
route_values__Q75_strings(void **state)
{
	static const struct row table[] = {
		{ "'a' < 'b' AND 'B' < 'a'", "true" },
		{ "'\\uFF5E' > '\\uD83D\\uDE00'", "true" }, /* by UTF-16 unit */
		{ "'it\\'s' = \"it's\"", "true" },
		{ "'\\u0041\\\\' = 'A\\\\'", "true" },
		{ "a || '-' || b = concat(a, '-', b)", "true" },
		{ "is_defined(a || absent)", "false" },
		{ "is_defined(concat(a, absent))", "false" },
	};

	ROWS(state, table);
}

static void
route_values__Q76_numbers_are_doubles(void **state)
{
	static const struct row table[] = {
		{ "is_number(3 / 0)", "false" },
		{ "is_defined(3 / 0)", "true" },
		{ "3 / 0 = 1e400 AND -3 / 0 < 0", "true" },
		{ "3 / 0 > 5", "true" },
		{ "is_defined(0 / 0)", "false" },
		{ "is_defined(3 % 0)", "false" },
		{ "is_defined(1e400 - 1e400)", "false" },
		{ "is_defined(sqrt(-4))", "false" },
		{ "is_defined(as_number(key1))", "false" },
		{ "as_number('10e1000') = 1 / 0", "true" },
		{ "exp(4000) = 3 / 0 AND power(10, 4000) = 3 / 0", "true" },
		{ "is_defined(abs(3 / 0)) AND sign(-3 / 0) = -1", "true" },
		{ "abs(-12) = 12 AND square(3) = 9 AND sqrt(4) = 2", "true" },
		{ "ceiling(-2.1) = -2 AND floor(-2.1) = -3 AND sign(0) = 0", "true" },
		{ "power(2, 3) = 8 AND -7 % 3 = -1", "true" },
		{ "as_number(as_number(4)) = 4 AND as_number('-2.5') = -2.5", "true" },
		{ "-$body.temp = -31", "undefined" }, /* a property that is called -$body.temp */
		{ "- $body.temp = -31", "true" },
		{ "is_defined(- $body.name)", "false" },
	};

	/* the name of row 17 is a string, so it cannot be compared with a number */
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].text[1] != '$')
			expect(*state, table[i].text, table[i].want);
	refuses("-$body.temp = -31", "Invalid operands to binary operator '='", 13, 14);
}

static void
route_values__Q77_parts_of_strings(void **state)
{
	static const struct row table[] = {
		{ "substring('abc', 1) = 'bc' AND substring('abc', 3) = ''", "true" },
		{ "is_defined(substring('abc', 4))", "false" },
		{ "is_defined(substring('abc', -1))", "false" },
		{ "substring('abc', 1, 1) = 'b' AND substring('abc', 1, 0) = ''", "true" },
		{ "is_defined(substring('abc', 1, 3))", "false" },
		{ "index_of('abcdef', 'cd') = 2 AND index_of('abc', 'xz') = -1", "true" },
		{ "length($body.text) = 5 AND index_of($body.text, 'b') = 4", "true" },
		{ "lower('\\u00C0B') = '\\u00E0b' AND upper(key1) = 'VALUE1'", "true" },
		{ "ends_with(key1, 'e1') AND starts_with(key1, 'val')", "true" },
		{ "contains('abc', 'xz')", "false" },
		{ "is_defined(contains(absent, 'x'))", "false" },
		{ "is_bool($body.on) AND is_string(key1) AND is_number($body.temp)", "true" },
		{ "is_bool(absent) OR is_string(absent) OR is_number(absent)", "false" },
	};

	ROWS(state, table);
}

static void
route_values__Q78_coalesce(void **state)
{
	static const struct row table[] = {
		{ "(key1 ?? 'hello') = 'value1'", "true" },
		{ "(absent ?? 'hello') = 'hello'", "true" },
		{ "(absent ?? absent ?? 'hello') = 'hello'", "true" },
		{ "(as_number(key1) ?? 12.5) = 12.5", "true" },
		{ "(3 % 0 ?? 12.5) = 12.5", "true" },
		{ "is_defined(undefined ?? undefined)", "false" },
		{ "absent = 'x' ?? true", "true" },
		{ "false ?? true", "false" },
	};

	ROWS(state, table);
}

static void
route_values__Q80_Q92_twin_changes(void **state)
{
	static const char change[] =
	    "{'version':4,'properties':{'reported':{'w':{'t':50},'gone':null}},'tags':{'x':1}}";
	static const struct row table[] = {
		{ "twin_change_includes(properties.reported.w)", "true" },
		{ "TWIN_CHANGE_INCLUDES(properties.reported.w.t)", "true" },
		{ "twin_change_includes(properties.reported.gone)", "true" },
		{ "twin_change_includes(properties.reported.w.u)", "false" },
		{ "twin_change_includes(properties.desired.w)", "false" },
		{ "twin_change_includes( tags.x )", "true" },
		{ "twin_change_includes(tags)", "true" },
		{ "twin_change_includes(properties.desired)", "false" },
		{ "NOT twin_change_includes(tags.y) AND twin_change_includes(tags.x) = true",
		    "true" },
		{ "$body.properties.reported.w.t = 50 AND $twin.tags.site = 'a'", "true" },
	};
	struct sample s;

	(void)state;
	sample_init(&s, properties, system_properties, change, twin);
	s.m.source = ROUTE_TWIN_CHANGES;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(&s, table[i].text, table[i].want);
	s.m.source = ROUTE_LIFECYCLE;
	expect(&s, "twin_change_includes(tags.x)", "undefined");
	sample_fini(&s);
}

/* ---- bounds ---- */

static void
route_bounds__Q91_strings_of_one_message(void **state)
{
	struct sample s;
	struct buf json = { 0 }, text = { 0 };

	(void)state;
	buf_cstr(&json, "{'s':'");
	for (int i = 0; i < 60000; i++)
		buf_putc(&json, 'a');
	buf_cstr(&json, "'}");
	buf_putc(&json, '\0');
	sample_init(&s, NULL, NULL, json.p, NULL);
	expect(&s, "length(lower($body.s)) = 60000", "true");
	expect(&s, "is_defined(concat($body.s, $body.s))", "false"); /* */
	for (int i = 0; i < 40; i++)
		buf_cstr(&text, "length(lower($body.s)) = 60000 AND ");
	buf_cstr(&text, "true");
	buf_putc(&text, '\0');
	expect(&s, text.p, "undefined");
	buf_fini(&json);
	buf_fini(&text);
	sample_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(route_examples__66_to_79),
		cmocka_unit_test(route_grammar__Q60_NOT_binds_tightest),
		cmocka_unit_test(route_grammar__Q61_names_run_on),
		cmocka_unit_test(route_grammar__Q62_case),
		cmocka_unit_test(route_grammar__Q63_empty_matches_nothing),
		cmocka_unit_test(route_grammar__Q65_words_of_queries_are_names),
		cmocka_unit_test(route_sources__Q66_application_before_system),
		cmocka_unit_test(route_sources__Q67_no_body),
		cmocka_unit_test(route_sources__Q68_missing_paths_are_null_and_not_defined),
		cmocka_unit_test(route_sources__Q69_dates_are_strings),
		cmocka_unit_test(route_sources__Q93_properties_without_value_or_text),
		cmocka_unit_test(route_needs__tells_what_is_asked_for),
		cmocka_unit_test(route_values__Q72_dynamic_kinds),
		cmocka_unit_test(route_values__Q73_null),
		cmocka_unit_test(route_values__Q74_three_valued_logic),
		cmocka_unit_test(route_values__Q75_strings),
		cmocka_unit_test(route_values__Q76_numbers_are_doubles),
		cmocka_unit_test(route_values__Q77_parts_of_strings),
		cmocka_unit_test(route_values__Q78_coalesce),
		cmocka_unit_test(route_values__Q80_Q92_twin_changes),
		cmocka_unit_test(route_bounds__Q91_strings_of_one_message),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
