/* foreign: fleets of other programs become lines of an import. */
#include "foreign/foreign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct seen {
	struct buf lines, faults, passed;
	uint64_t numbers[64];
	unsigned n;
};

static bool
take_line(void *ctx, uint64_t line, struct str json)
{
	struct seen *s = ctx;

	s->numbers[s->n++ % 64] = line;
	buf_str(&s->lines, json);
	buf_putc(&s->lines, '\n');
	return true;
}

static bool
take_fault(void *ctx, uint64_t line, struct str id, const char *why)
{
	struct seen *s = ctx;

	buf_printf(&s->faults, "%llu " STR_FMT " %s\n", (unsigned long long)line, STR_ARG(id), why);
	return true;
}

static void
take_passed(void *ctx, struct str name)
{
	struct seen *s = ctx;

	buf_printf(&s->passed, STR_FMT " ", STR_ARG(name));
}

static void
scope_known(void *ctx, struct str device, struct buf *scope)
{
	(void)ctx;
	if (str_eq(device, STR("there")))
		buf_cstr(scope, "ms-azure-iot-edge://there-7");
}

static enum err
read_text(struct seen *s, const char *text, struct fault *f)
{
	struct foreign_sink sink = { .ctx = s,
		.line = take_line,
		.fault = take_fault,
		.passed_over = take_passed,
		.scope = scope_known };
	struct str t = str_of(text);

	*s = (struct seen){ 0 };
	*f = (struct fault){ 0 };
	return foreign_read(foreign_kind(t), t, &sink, f);
}

static void
seen_fini(struct seen *s)
{
	buf_fini(&s->lines);
	buf_fini(&s->faults);
	buf_fini(&s->passed);
}

static void
expect(const char *text, const char *lines)
{
	struct seen s;
	struct fault f;

	assert_int_equal(read_text(&s, text, &f), ERR_OK);
	buf_putc(&s.lines, '\0');
	assert_string_equal(s.lines.p, lines);
	assert_int_equal(s.faults.n, 0);
	seen_fini(&s);
}

static void
refuse(const char *text, const char *why)
{
	struct seen s;
	struct fault f;

	assert_int_equal(read_text(&s, text, &f), ERR_SYNTAX);
	if (strstr(f.text, why) == NULL)
		fail_msg("%s: %s", text, f.text);
	seen_fini(&s);
}

static void
kind__is_told_by_the_first_bytes(void **state)
{
	static const struct {
		struct str head;
		enum foreign_kind kind;
	} cases[] = {
		{ { "", 0 }, FOREIGN_LINES },
		{ { "{\"id\":\"d\"}\n{\"id\":\"e\"}\n", 22 }, FOREIGN_LINES },
		{ { "not json", 8 }, FOREIGN_LINES },
		{ { "{\n  \"id\": \"d\"\n}\n", 16 }, FOREIGN_PRETTY },
		{ { " [ {\"deviceId\":1}]", 18 }, FOREIGN_ARRAY },
		{ { "{\"devices\":{}}", 14 }, FOREIGN_STATE },
		{ { "{\n    \"arm\": {}", 15 }, FOREIGN_STATE },
		{ { "\xef\xbb\xbf{\"configurations\":[", 21 }, FOREIGN_STATE },
		{ { "deviceId,tags.a\n", 16 }, FOREIGN_CSV },
		{ { "\"deviceId\";\"tags.a\"\r\n", 21 }, FOREIGN_CSV },
		{ { "deviceId\r\nd1\r\n", 14 }, FOREIGN_CSV },
		{ { "\xff\xfe{\0", 4 }, FOREIGN_UTF16 },
		{ { "{\0\"\0", 4 }, FOREIGN_UTF16 },
		{ { "\0{\0\"", 4 }, FOREIGN_UTF16 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (foreign_kind(cases[i].head) != cases[i].kind)
			fail_msg("case %zu is taken for %s", i,
			    foreign_name(foreign_kind(cases[i].head)));
}

static void
csv__cells_have_the_type_that_they_look_like(void **state)
{
	(void)state;
	expect("deviceId,tags.n,tags.b,tags.s,tags.q,tags.o,desired.a.b,desired.a.c\n"
	       "1,5,true,00123,\"5\",\"{\"\"x\"\":[1,\"\",\"\"]}\",null,-1.50\n"
	       "d2,,,\"\",,{broken,1e3,\"a\r\nb\"\n",
	    "{\"id\":\"1\",\"tags\":{\"b\":true,\"n\":5,\"o\":{\"x\":[1,\",\"]},\"q\":\"5\",\"s\":"
	    "\"00123\"},"
	    "\"properties\":{\"desired\":{\"a\":{\"b\":null,\"c\":-1.5}}}}\n"
	    "{\"id\":\"d2\",\"tags\":{\"o\":\"{broken\",\"s\":\"\"},"
	    "\"properties\":{\"desired\":{\"a\":{\"b\":1000.0,\"c\":\"a\\r\\nb\"}}}}\n");
}

static void
csv__members_of_an_identity(void **state)
{
	(void)state;
	expect("\xef\xbb\xbf"
	       "DeviceId;moduleId;status;primaryKey;secondaryThumbprint;authenticationType;iotEdge;"
	       "properties.reported.x;tags\r\n"
	       "d;;disabled;123;456;sas;true;1;\"{\"\"a\"\":1}\"\r\n"
	       "\r\n"
	       "d;m;;;;;;;\r\n",
	    "{\"id\":\"d\",\"status\":\"disabled\",\"authentication\":{\"type\":\"sas\","
	    "\"symmetricKey\":{"
	    "\"primaryKey\":\"123\"},\"x509Thumbprint\":{\"secondaryThumbprint\":\"456\"}},"
	    "\"capabilities\":{\"iotEdge\":true},\"tags\":{\"a\":1},\"properties\":{\"reported\":{"
	    "\"x\":1}}}\n"
	    "{\"id\":\"d\",\"moduleId\":\"m\"}\n");
}

static void
csv__faults_name_line_and_column(void **state)
{
	struct seen s;
	struct fault f;

	(void)state;
	refuse("deviceId,colour\nd,red\n", "column colour");
	refuse("tags.a,tags.b\n1,2\n", "deviceId");
	refuse("deviceId,tags.a,tags.a.b\n", "column tags.a.b");
	refuse("deviceId,id\n", "column");
	refuse("deviceId,tags.a..b\n", "tags.a..b");
	refuse("deviceId,tags.a\nd,1\ne,\"open\n", "line 3");
	refuse("deviceId,tags.\xe4\n", "UTF-8");
	assert_int_equal(read_text(&s, "deviceId,tags.a\nd,\xe4\n", &f), ERR_OK);
	assert_int_equal(s.n, 0);
	assert_true(str_starts(buf_view(&s.faults), STR("2  the line is not UTF-8")));
	seen_fini(&s);
	assert_int_equal(
	    read_text(&s, "deviceId,tags.a,version\nd,\"x\ny\",1\ne,1\nf,2,3\n", &f), ERR_OK);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.numbers[0], 2);
	assert_int_equal(s.numbers[1], 5);
	buf_putc(&s.faults, '\0');
	assert_string_equal(s.faults.p, "4  the line has 2 cells, the heading 3\n");
	assert_true(str_eq(buf_view(&s.passed), STR("version ")));
	seen_fini(&s);
}

/* A bound is a bound: the last that fits is taken, the next is named. */
static void
csv__bounds_of_columns_steps_and_cells(void **state)
{
	struct buf text = { 0 };
	struct fault f;
	struct seen s;

	(void)state;
	for (int over = 0; over < 2; over++) {
		text.n = 0;
		buf_cstr(&text, "id");
		for (int i = 1; i < 4096 + over; i++)
			buf_printf(&text, ",tags.c%d", i);
		buf_putc(&text, '\0');
		if (over)
			refuse(text.p, "line 1: there are more than 4096 columns");
		else
			expect(text.p, "");

		text.n = 0;
		buf_cstr(&text, "id,tags");
		for (int i = 0; i < 64 + over; i++)
			buf_cstr(&text, ".a");
		buf_putc(&text, '\0');
		if (over)
			refuse(text.p, "there are too many");
		else
			expect(text.p, "");

		text.n = 0;
		buf_cstr(&text, "id,tags.a\nd,1\ne,");
		for (int i = 0; i < (1 << 20) + over; i++)
			buf_putc(&text, 'x');
		buf_putc(&text, '\0');
		assert_int_equal(read_text(&s, text.p, &f), over ? ERR_SYNTAX : ERR_OK);
		assert_int_equal(s.n, over ? 1 : 2);
		if (over)
			assert_non_null(strstr(f.text, "line 3: a cell is larger than 1 MB"));
		seen_fini(&s);
	}
	buf_fini(&text);
}

/* The heading says what separates; the last line needs no end, an empty one is none. */
static void
csv__separators_quotes_and_ends_of_lines(void **state)
{
	static const char one[] = "{\"id\":\"d\",\"tags\":{\"a\":\"x\"}}\n";

	(void)state;
	expect("id,tags.a\nd,x", one);
	expect("id;tags.a\r\nd;x\r\n", one);
	expect("id\ttags.a\n\n\nd\tx\n\n", one);
	expect("\"id\",\"tags.a\"\n\"d\",\"x\"\n", one);
	expect("id;tags.a\nd;\"x,;\"\"y\"\n", "{\"id\":\"d\",\"tags\":{\"a\":\"x,;\\\"y\"}}\n");
	refuse("\"id,tags.a\";x\n", "column id,tags.a"); /* the comma is the title's */
	expect("id,tags.a\n", "");
	expect("tags.a,id\nx\ry,d\n", "{\"id\":\"d\",\"tags\":{\"a\":\"x\\ry\"}}\n");
	refuse(
	    "id,tags.a\nd,\"x\"y\n", "line 2: a quote that opens a cell is not closed at its end");
}

#define KEYS "\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"p\"}}"

static void
state__of_todays_release(void **state)
{
	struct seen s;
	struct fault f;

	(void)state;
	assert_int_equal(
	    read_text(&s,
	        "{\n \"arm\": {\"x\": \"}]\\\"\"},\n \"configurations\": {\"admConfigurations\": "
	        "{\"c\": "
	        "{\"id\":\"c\",\"content\":{\"deviceContent\":{}},\"priority\":3,\"metrics\":"
	        "{\"queries\":{\"q\":\"SELECT\"},\"results\":{}},\"etag\":\"x\"}},"
	        "\"edgeDeployments\":{}},\n"
	        " \"devices\": {\n  \"e\": {\"identity\": {" KEYS
	        ", \"capabilities\":{\"iotEdge\":true},\"status\":\"enabled\"},\n"
	        "   \"twin\": {\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":2}}},\n"
	        "   \"modules\": "
	        "{\"$edgeAgent\":{\"identity\":{\"authentication\":{\"type\":\"none\"}},"
	        "\"twin\":{\"properties\":{\"desired\":{\"r\":1}}}}}},\n"
	        "  \"leaf\": {\"identity\": {\"authenticationType\":\"selfSigned\","
	        "\"x509Thumbprint\":{\"primaryThumbprint\":\"AA\"}},\"parent\":\"e\"},\n"
	        "  \"other\": {\"identity\": {},\"parent\":\"there\"},\n  \"bad\": 7\n }\n}\n",
	        &f),
	    ERR_OK);
	buf_putc(&s.lines, '\0');
	assert_string_equal(s.lines.p,
	    "{\"id\":\"e\",\"status\":\"enabled\",\"capabilities\":{\"iotEdge\":true}," KEYS
	    ",\"deviceScope\":\"ms-azure-iot-edge://"
	    "e-0\",\"tags\":{\"a\":1},\"properties\":{\"desired\":{\"b\":2}}}\n"
	    "{\"id\":\"e\",\"moduleId\":\"$edgeAgent\",\"authentication\":{\"type\":\"none\"},"
	    "\"properties\":{\"desired\":{\"r\":1}}}\n"
	    "{\"id\":\"leaf\",\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":{"
	    "\"primaryThumbprint\":\"AA\"}},"
	    "\"deviceScope\":\"ms-azure-iot-edge://e-0\"}\n"
	    "{\"id\":\"other\",\"deviceScope\":\"ms-azure-iot-edge://there-7\"}\n"
	    "{\"configuration\":{\"id\":\"c\",\"content\":{\"deviceContent\":{}},\"priority\":3,"
	    "\"metrics\":{\"queries\":"
	    "{\"q\":\"SELECT\"}}}}\n");
	assert_int_equal(s.numbers[0], 5);
	assert_int_equal(s.numbers[2], 8);
	assert_int_equal(s.numbers[4], 3);
	assert_true(str_eq(buf_view(&s.passed), STR("arm ")));
	buf_putc(&s.faults, '\0');
	assert_non_null(strstr(s.faults.p, "10 bad this is no device"));
	seen_fini(&s);
}

static void
state__of_earlier_releases(void **state)
{
	(void)state;
	expect(
	    "{\"configurations\":[{\"id\":\"c\",\"priority\":1}],\"edgeDeployments\":[{\"id\":"
	    "\"d\"}],"
	    "\"devices\":{\"identities\":[{\"deviceId\":\"p\",\"capabilities\":{\"iotEdge\":true}},"
	    "{\"deviceId\":\"k\\u0041\",\"authenticationType\":\"sas\",\"symmetricKey\":{"
	    "\"primaryKey\":\"x\"},"
	    "\"tags\":{},\"properties\":{\"desired\":{\"a\":1}}}],\"children\":{\"p\":["
	    "\"k\\u0041\"]}},"
	    "\"modules\":{\"p\":[[{\"module_id\":\"m\",\"managed_by\":\"x\"},{\"tags\":{\"t\":1}}]]"
	    "}}",
	    "{\"id\":\"p\",\"capabilities\":{\"iotEdge\":true},\"deviceScope\":\"ms-azure-iot-edge:"
	    "//p-0\"}\n"
	    "{\"id\":\"kA\",\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":"
	    "\"x\"}},"
	    "\"deviceScope\":\"ms-azure-iot-edge://"
	    "p-0\",\"tags\":{},\"properties\":{\"desired\":{\"a\":1}}}\n"
	    "{\"id\":\"p\",\"moduleId\":\"m\",\"managedBy\":\"x\",\"tags\":{\"t\":1}}\n"
	    "{\"configuration\":{\"id\":\"c\",\"priority\":1}}\n"
	    "{\"configuration\":{\"id\":\"d\"}}\n");
	expect("{\"configurations\":[],\"devices\":{\"a\":{\"deviceId\":\"a\",\"etag\":"
	       "\"AAAAAAAAAAE=\",\"deviceEtag\":"
	       "\"MTI=\",\"properties\":{\"desired\":{\"$version\":4},\"reported\":{\"x\":1}}}},"
	       "\"modules\":{\"a\":[]}}",
	    "{\"id\":\"a\",\"eTag\":\"MTI=\",\"twinETag\":\"AAAAAAAAAAE=\",\"properties\":{"
	    "\"desired\":{\"$version\":4},"
	    "\"reported\":{\"x\":1}}}\n");
}

static void
state__cut_short_is_refused(void **state)
{
	(void)state;
	refuse("{\"devices\":{\"a\":{}", "line 1");
	refuse("{\"devices\":\n{\"a\":{},}}", "line 2");
	refuse("{\"devices\":{\"a\":{}}", "the state");
	refuse("{\"devices\":{\"a\":{\"identity\":\"", "the state");
}

/* A stop of the sink ends the reading, wherever it is. */
static bool
stop_line(void *ctx, uint64_t line, struct str json)
{
	(void)line, (void)json;
	return ++*(unsigned *)ctx < 2;
}

static void
sink__stops_the_reading(void **state)
{
	static const char *const texts[] = { "deviceId,tags.a\na,1\nb,1\nc,1\n",
		"{\"devices\":{\"a\":{},\"b\":{\"identity\":{},\"modules\":{\"m\":{}}},\"c\":{}},"
		"\"configurations\":[{\"id\":\"x\"}]}" };
	struct fault f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		unsigned n = 0;
		struct foreign_sink sink = {
			.ctx = &n, .line = stop_line, .fault = NULL, .passed_over = take_passed
		};

		assert_int_equal(
		    foreign_read(foreign_kind(str_of(texts[i])), str_of(texts[i]), &sink, &f),
		    ERR_END);
		assert_int_equal(n, 2);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kind__is_told_by_the_first_bytes),
		cmocka_unit_test(csv__cells_have_the_type_that_they_look_like),
		cmocka_unit_test(csv__members_of_an_identity),
		cmocka_unit_test(csv__faults_name_line_and_column),
		cmocka_unit_test(csv__bounds_of_columns_steps_and_cells),
		cmocka_unit_test(csv__separators_quotes_and_ends_of_lines),
		cmocka_unit_test(state__of_todays_release),
		cmocka_unit_test(state__of_earlier_releases),
		cmocka_unit_test(state__cut_short_is_refused),
		cmocka_unit_test(sink__stops_the_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
