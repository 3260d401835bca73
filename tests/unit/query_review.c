/* what a query says without effect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "query/query.h"

static void
review_is(struct query *q, const char *text, enum query_effect want, const char *part)
{
	struct buf why = { 0 };
	enum query_effect got = query_review(q, &why);

	buf_putc(&why, '\0');
	if (got != want || (want == QUERY_SOUND && why.n > 1) || strstr(why.p, part) == NULL)
		fail_msg("%s\n  is %d: %s\n  not %d with: %s", text, got, why.p, want, part);
	assert_true(why.n - 1 <= QUERY_REVIEW_MAX && utf8_valid(str_of(why.p)));
	buf_fini(&why);
	query_free(q);
}

static void
where_is(const char *condition, enum query_effect want, const char *part)
{
	struct fault f = { 0 };
	struct query *q;

	if (query_parse_condition(str_of(condition), &q, &f) != ERR_OK)
		fail_msg("%s: %s", condition, f.text);
	review_is(q, condition, want, part);
}

static void
query_is(const char *text, enum query_effect want, const char *part)
{
	const struct query_options o = { .extensions = true };
	struct fault f = { 0 };
	struct query *q;

	if (query_parse(str_of(text), &o, &q, &f) != ERR_OK)
		fail_msg("%s: %s", text, f.text);
	review_is(q, text, want, part);
}

static void
query_review__Q90_paths_that_documents_have_are_sound(void **state)
{
	static const char *const sound[] = {
		"",
		"*",
		"deviceId = 'x' AND TAGS.a = 1 AND properties.Desired.b.c != 'x'",
		"devices.deviceId IN ['a', 'b-c'] AND NOT is_defined(tags)",
		"is_defined(properties) AND is_defined(properties.reported.$version)",
		"properties.desired.$metadata.a.$lastUpdated > '2020-01-01T00:00:00Z'",
		"capabilities.iotEdge = true AND x509Thumbprint.primaryThumbprint = 'A'",
		"configurations.[[fw-1.2]].status = 'Applied' AND tags.[[my-tag]] = 1",
		"FROM devices.modules WHERE moduleId = '$edgeAgent' AND devices.modules.deviceId = "
		"'x'",
		"tags.a - 1 = 2 AND tags.a - tags.b > 0 AND tags.a = -1 AND tags.b IN [-1, 2]",
		"true",
		"tags.enabled AND 1 = 1 AND (tags.a = 'b') = true",
		"tags.a + 1 IN [1, 'x'] AND tags.a * 2 = 4 /*-*/",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++)
		where_is(sound[i], QUERY_SOUND, "");
	query_is("SELECT * FROM devices.jobs WHERE outcome.deviceMethodResponse.status = 200 AND "
	         "error.code = 'x'",
	    QUERY_SOUND, "");
	query_is("SELECT tags.site AS s, COUNT() AS n FROM devices WHERE IS_CONVERGED() GROUP BY "
	         "tags.site HAVING COUNT() > 1 ORDER BY n DESC",
	    QUERY_SOUND, "");
}

static void
query_review__Q90_unknown_roots_are_named(void **state)
{
	(void)state;
	where_is("tag.environment = 'test'", QUERY_VAIN, "no device has tag.environment: ");
	where_is("tags.a = 1 AND is_defined( Tag.b )", QUERY_VAIN, "no device has Tag.b: ");
	where_is("properties.desird.a = 1", QUERY_VAIN, "no device has properties.desird.a: ");
	where_is("[[my-tag]] = 'x'", QUERY_VAIN, "no device has [[my-tag]]: ");
	where_is("moduleId = 'm'", QUERY_VAIN, "no device has moduleId");
	where_is("FROM devices.modules WHERE capabilities.iotEdge = true", QUERY_VAIN,
	    "no module has capabilities.iotEdge");
	where_is("my-tag = 'x'", QUERY_VAIN, "no device has my");
	query_is(
	    "SELECT site, COUNT() FROM devices GROUP BY site", QUERY_VAIN, "no device has site");
	query_is("SELECT * FROM devices ORDER BY age", QUERY_VAIN, "no device has age");
	query_is(
	    "SELECT * FROM devices.jobs WHERE id = 'x'", QUERY_VAIN, "no result of a job has id");
}

static void
query_review__Q90_below_what_is_no_object_there_is_nothing(void **state)
{
	static const char *const paths[] = { "deviceId.x", "status.code", "capabilities.edge",
		"x509Thumbprint.primary", "properties.reported.$version.x", "tags.$version",
		"tags.[[a b]]", "properties.reported.a.[[b.c]]", "properties.desired.$x" };
	char text[128], part[128];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(text, sizeof(text), "tags.a = 1 OR %s  = 'x'", paths[i]);
		snprintf(part, sizeof(part), "no device has %s", paths[i]);
		where_is(text, QUERY_VAIN, part);
	}
}

static void
query_review__Q90_a_value_without_quotes_is_shown_with_them(void **state)
{
	(void)state;
	where_is("deviceId=edgeDeviceVM", QUERY_VAIN, "needs quotes, 'edgeDeviceVM'");
	where_is("edgeDeviceVM = deviceId", QUERY_VAIN, "needs quotes, 'edgeDeviceVM'");
	where_is("tags.a = 1 AND NOT (deviceId = pump-line-a)", QUERY_VAIN,
	    "needs quotes, 'pump-line-a'");
	where_is("startswith(deviceId, pump)", QUERY_VAIN, "needs quotes, 'pump'");
	query_is(
	    "SELECT * FROM devices WHERE tags.a BETWEEN x AND y", QUERY_VAIN, "needs quotes, 'x'");
}

static void
query_review__Q90_names_with_a_dash_are_shown_in_brackets(void **state)
{
	(void)state;
	where_is("properties.reported.bathroom-light = true", QUERY_VAIN,
	    "properties.reported.bathroom-light is a subtraction: a name with a dash is written "
	    "[[bathroom-light]]");
	where_is("tags.my-status = 'x'", QUERY_VAIN, "[[my-status]]"); /* a root of that name */
	where_is("tags.line-1 IN ['x']", QUERY_VAIN, "[[line-1]]");
	where_is("tags.is-on", QUERY_VAIN, "[[is-on]]");
	where_is("tags.a-b-c.d = 1", QUERY_VAIN,
	    "tags.a-b-c is a subtraction: a name with a dash is "
	    "written [[a-b-c]]");
	where_is("tags.[[x y]]-b = 1", QUERY_VAIN, "no device has tags.[[x y]]");
	where_is("tags.[[xy]]-b = 1", QUERY_VAIN, "[[xy-b]]");
	where_is("tags.größe-max = 1", QUERY_VAIN, "[[größe-max]]");
	where_is("tags.floor-1 = 3", QUERY_DOUBTFUL, "[[floor-1]]");
	where_is("tags.a-tags.b > 3", QUERY_DOUBTFUL, "[[a-tags]]");
}

static void
query_review__Q90_a_constant_is_no_condition(void **state)
{
	(void)state;
	where_is(
	    "\"tags.environment = 'test'\"", QUERY_VAIN, "'tags.environment = 'test'' in quotes");
	where_is("tags.a = 1 AND 'x'", QUERY_VAIN, "the text 'x' in quotes is a constant");
	where_is("NOT 5", QUERY_VAIN, "a number is a constant");
	where_is("null", QUERY_VAIN, "null is a constant");
	where_is("undefined OR true", QUERY_VAIN, "undefined is a constant");
	where_is("[1]", QUERY_VAIN, "a list is a constant");
	where_is("tags.a + 1", QUERY_VAIN, "a number that is worked out");
	where_is("tags.a * 2 = 'x'", QUERY_VAIN, "a number that is worked out");
}

static void
query_review__Q90_what_is_repeated_is_bounded(void **state)
{
	struct buf text = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		buf_cstr(&text, "\xC3\xBC");
	buf_cstr(&text, "-x = 1");
	buf_putc(&text, '\0');
	where_is(text.p, QUERY_VAIN, "no device has");
	text.n = 0;
	buf_cstr(&text, "tags.");
	for (unsigned i = 0; i < 1000; i++)
		buf_cstr(&text, "a\xC3\xBC");
	buf_cstr(&text, "-x = 1");
	buf_putc(&text, '\0');
	where_is(text.p, QUERY_VAIN, "is a subtraction");
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_review__Q90_paths_that_documents_have_are_sound),
		cmocka_unit_test(query_review__Q90_unknown_roots_are_named),
		cmocka_unit_test(query_review__Q90_below_what_is_no_object_there_is_nothing),
		cmocka_unit_test(query_review__Q90_a_value_without_quotes_is_shown_with_them),
		cmocka_unit_test(query_review__Q90_names_with_a_dash_are_shown_in_brackets),
		cmocka_unit_test(query_review__Q90_a_constant_is_no_condition),
		cmocka_unit_test(query_review__Q90_what_is_repeated_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
