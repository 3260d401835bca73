/* IS_CONVERGED in conditions, by example. tests/unit/query_columns.c compares it with a naive model, by columns too. */
#include "query_fleet.h"

static const char *const rows[] = {
	"{'deviceId':'same','desired':{'a':1,'o':{'x':1}},'reported':{'a':1.0,'o':{'x':1,'y':2}}}",
	"{'deviceId':'late','desired':{'a':1,'o':{'x':1}},'reported':{'a':0,'o':{'x':1}}}",
	"{'deviceId':'mute','desired':{'a':1}}",
	"{'deviceId':'free','reported':{'a':1}}",
	"{'deviceId':'acks','desired':{'a':1,'o':{'x':1}},'reported':{'a':{'value':1,'ac':200,'av':"
	"2},"
	"'o':{'value':{'x':1},'ac':500,'av':2,'ad':'no'}}}",
	"{'deviceId':'odd','desired':{'my-key':{'from':true}},'reported':{'my-key':{'from':true}}}",
	"{'deviceId':'same','moduleId':'m','desired':{'a':1},'reported':{'a':2}}",
};

static struct fleet fl;

static int
setup(void **state)
{
	(void)state;
	fleet_init(&fl, rows, sizeof(rows) / sizeof(rows[0]));
	fl.extensions = true;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fleet_fini(&fl);
	return 0;
}

static void
where(const char *condition, const char *want)
{
	char text[512];

	snprintf(text, sizeof(text), "SELECT * FROM devices WHERE %s", condition);
	fleet_gives(&fl, text, want);
}

static void
query_converged__Q89_of_all_and_of_a_path(void **state)
{
	(void)state;
	where("IS_CONVERGED()", "same free odd");
	where("NOT is_converged( )", "late mute acks");
	where("IS_CONVERGED(properties.desired)", "same free odd");
	where("IS_CONVERGED(properties.desired.a)", "same acks");
	where("NOT IS_CONVERGED(properties.desired.a)", "late mute");
	where("IS_CONVERGED(devices.properties.DESIRED.o)", "same late");
	where("NOT IS_CONVERGED(properties.desired.o.x)", "acks");
	where("IS_CONVERGED(properties.desired.[[my-key]].[[from]])", "odd");
	where("IS_CONVERGED(properties.desired.nothing)", "");
	where("NOT IS_CONVERGED(properties.desired.nothing)", "");
	where("IS_CONVERGED() = false AND properties.desired.a = 1", "late mute acks");
	where("NOT IS_CONVERGED() AND IS_CONVERGED(properties.desired.o)", "late");
	fleet_gives(&fl, "SELECT * FROM devices.modules WHERE NOT IS_CONVERGED()", "same/m");
	fleet_gives(&fl, "SELECT COUNT() AS n FROM devices WHERE NOT IS_CONVERGED()", "{'n':3}");
}

static void
query_converged__Q89_of_what_it_is_refused(void **state)
{
	static const char *const conditions[] = { "IS_CONVERGED(tags.a)",
		"IS_CONVERGED(properties)", "IS_CONVERGED(properties.reported.a)",
		"IS_CONVERGED(a)", "IS_CONVERGED(deviceId)",
		"IS_CONVERGED(properties.desired.$version)",
		"IS_CONVERGED(properties.desired.$metadata.a)" };
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		snprintf(text, sizeof(text), "SELECT * FROM devices WHERE %s", conditions[i]);
		fleet_refuses(&fl, text, "a path of properties.desired");
	}
	fleet_refuses(&fl, "SELECT * FROM devices WHERE IS_CONVERGED(1)", "a path or )");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE IS_CONVERGED(", "a path or )");
	fleet_refuses(&fl, "SELECT * FROM devices WHERE IS_CONVERGED(properties.desired.a, 1)",
	    ") after the path");
	fleet_refuses(&fl, "SELECT * FROM devices.jobs WHERE IS_CONVERGED()", "not part of this");
	fleet_refuses(&fl,
	    "SELECT tags.a, COUNT() FROM devices GROUP BY tags.a HAVING IS_CONVERGED()",
	    "not into groups");
	fleet_where_gives(&fl, "IS_CONVERGED()",
	    "ArgumentInvalid: SQL query parse failed. Line 1:29: no function 'IS_CONVERGED' in a "
	    "condition");
	fl.extensions = false;
	fleet_refuses(&fl, "SELECT * FROM devices WHERE IS_CONVERGED()", "no function");
	fl.extensions = true;
}

static void
query_step__is_written_as_it_is_read(void **state)
{
	static const struct {
		const char *key, *text;
	} steps[] = { { "abc", "abc" }, { "_a9", "_a9" }, { "9a", "[[9a]]" }, { "a-b", "[[a-b]]" },
		{ "select", "[[select]]" }, { "Order", "Order" }, { "é", "é" }, { "×", "[[×]]" } };
	struct buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char text[128];
		struct query *q;

		out.n = 0;
		query_step_write(&out, str_of(steps[i].key));
		buf_putc(&out, '\0');
		assert_string_equal(out.p, steps[i].text);
		snprintf(text, sizeof(text), "SELECT tags.%s FROM devices", out.p);
		assert_int_equal(query_parse(str_of(text), NULL, &q, NULL), ERR_OK);
		query_free(q);
	}
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_converged__Q89_of_all_and_of_a_path),
		cmocka_unit_test(query_converged__Q89_of_what_it_is_refused),
		cmocka_unit_test(query_step__is_written_as_it_is_read),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
