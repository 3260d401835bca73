/* Part 6 of docs/spec/query-language.md: projections, aggregates, groups, and the facts of a plan. */
#include "query_fleet.h"

static const char *const rows[] = {
	"{'deviceId':'d1','status':'enabled','version':7,'tags':{'k':'a','v':1,'o':{'x':1,'y':[1,2]"
	"}},"
	"'desired':{'p':1},'reported':{'State':'on','n':1}}",
	"{'deviceId':'d2','status':'enabled','version':2,'tags':{'k':'b','v':2.5,'o':{'y':[1.0,2],'"
	"x':1}},"
	"'reported':{'n':2}}",
	"{'deviceId':'d3','status':'disabled','version':2,'tags':{'k':'a','v':'three','o':{'x':1}}"
	"}",
	"{'deviceId':'d4','status':'enabled','version':2}",
	"{'deviceId':'d5','status':'enabled','version':2,'tags':{'k':'a','v':-4,'o':{'x':1,'y':[2,"
	"1]}},'reported':{'n':1}}",
	"{'deviceId':'d1','moduleId':'m1','tags':{'k':'a'}}",
	"{'deviceId':'d1','moduleId':'m2','tags':{'k':'a'}}",
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

static void
gives(void **state, const char *text, const char *want)
{
	fleet_gives(*state, text, want);
}

static void
refuses(void **state, const char *text, const char *part)
{
	fleet_refuses(*state, text, part);
}

/* ---- projections ---- */

static void
query_project__Q44_undefined_members_are_left_out(void **state)
{
	gives(state,
	    "SELECT deviceId, properties.reported.State FROM devices WHERE tags.k = 'a' AND tags.v "
	    "!= 0",
	    "{'deviceId':'d1','State':'on'} {'deviceId':'d5'}");
	gives(state, "SELECT tags.none, moduleId, foo FROM devices WHERE deviceId = 'd1'", "{}");
}

static void
query_project__Q45_Q86_names(void **state)
{
	gives(state,
	    "SELECT DEVICEID, Tags.k, properties.Reported.State FROM devices WHERE deviceId = 'd1'",
	    "{'deviceId':'d1','k':'a','State':'on'}");
	gives(state,
	    "SELECT devices.deviceId AS Id, tags.k AS [[the key]] FROM devices WHERE deviceId = "
	    "'d1'",
	    "{'Id':'d1','the key':'a'}");
	gives(state, "SELECT PROPERTIES.REPORTED FROM devices.modules WHERE moduleId = 'm1'",
	    "{'reported':{'$metadata':{'$lastUpdated':'2020-01-01T00:00:00.0000000Z'},'$version':1}"
	    "}");
	/* of two with one name the later stands, at its place, and if it is undefined there is none */
	gives(state, "SELECT tags.k AS x, deviceId, tags.v AS x FROM devices WHERE deviceId = 'd1'",
	    "{'deviceId':'d1','x':1}");
	gives(state, "SELECT tags.k, tags.none AS k FROM devices WHERE deviceId = 'd1'", "{}");
}

static void
query_project__Q47_whole_sections(void **state)
{
	gives(state, "SELECT tags FROM devices WHERE deviceId IN ['d3', 'd4']",
	    "{'tags':{'k':'a','v':'three','o':{'x':1}}} {}");
	gives(state, "SELECT properties.desired FROM devices WHERE deviceId = 'd1'",
	    "{'desired':{'p':1,'$metadata':{'$lastUpdated':'2020-01-01T00:00:00.0000000Z','$"
	    "lastUpdatedVersion':2,"
	    "'p':{'$lastUpdated':'2020-01-01T00:00:00.0000000Z','$lastUpdatedVersion':2}},'$"
	    "version':2}}");
	gives(state, "SELECT properties AS p FROM devices WHERE deviceId = 'd4'",
	    "{'p':{'desired':{'$metadata':{'$lastUpdated':'2020-01-01T00:00:00.0000000Z'},'$"
	    "version':1},"
	    "'reported':{'$metadata':{'$lastUpdated':'2020-01-01T00:00:00.0000000Z'},'$version':1}}"
	    "}");
	gives(state,
	    "SELECT properties.reported.$version, properties.reported.$metadata.n FROM devices "
	    "WHERE deviceId = 'd2'",
	    "{'$version':2,'n':{'$lastUpdated':'2020-01-01T00:00:00.0000000Z'}}");
}

static void
query_project__Q85_Q86_what_is_refused(void **state)
{
	refuses(state, "SELECT tags.v + 1 FROM devices", "unexpected '+'");
	refuses(state, "SELECT 1 FROM devices", "*, a path or an aggregate");
	refuses(state, "SELECT 'x' FROM devices", "*, a path or an aggregate");
	refuses(state, "SELECT IS_DEFINED(tags.k) FROM devices", "no aggregate 'IS_DEFINED'");
	refuses(state, "SELECT FROM devices", "*, a path or an aggregate");
	refuses(state, "SELECT deviceId, FROM devices", "*, a path or an aggregate");
	refuses(state, "SELECT * FROM devices GROUP BY tags.k", "GROUP BY with SELECT *");
	refuses(
	    state, "SELECT tags.k, COUNT() FROM devices", "1:8: a path that is not in GROUP BY");
	refuses(state, "SELECT tags.v, COUNT() FROM devices GROUP BY tags.k", "not in GROUP BY");
	refuses(
	    state, "SELECT site, COUNT() FROM devices GROUP BY tags.k AS site", "not in GROUP BY");
	refuses(state, "SELECT * FROM devices WHERE tags.v = 1 = true", "parentheses");
	refuses(state, "SELECT SUM(1) FROM devices", "a path");
	refuses(state, "SELECT SUM() FROM devices", "a path");
	refuses(state, "SELECT SUM(tags.a + 1) FROM devices", "unexpected '+'");
	refuses(state, "SELECT SUM(tags.a, tags.b) FROM devices", "unexpected ','");
	refuses(state, "SELECT COUNT() FROM devices GROUP tags.k", "BY");
	refuses(state, "SELECT COUNT() FROM devices GROUP BY COUNT()", "unexpected '('");
}

static void
query_project__Q51_top(void **state)
{
	struct query *q;

	gives(state, "SELECT TOP 2 deviceId FROM devices", "{'deviceId':'d1'} {'deviceId':'d2'}");
	gives(state, "SELECT TOP 2 deviceId FROM devices WHERE status = 'disabled'",
	    "{'deviceId':'d3'}");
	refuses(state, "SELECT TOP 0 * FROM devices", "a number of rows from 1");
	refuses(state, "SELECT TOP -1 * FROM devices", "a number of rows from 1");
	refuses(state, "SELECT TOP 1.5 * FROM devices", "a number of rows from 1");
	refuses(state, "SELECT TOP x * FROM devices", "a number of rows from 1");
	assert_int_equal(
	    query_parse(STR("SELECT TOP 12345678901 * FROM devices"), NULL, &q, NULL), ERR_OK);
	assert_int_equal(query_facts(q)->top, 12345678901);
	query_free(q);
}

/* ---- aggregates ---- */

static void
query_groups__Q48_without_group_by(void **state)
{
	gives(state, "SELECT COUNT() FROM devices", "{'$1':5}");
	gives(state,
	    "SELECT COUNT() AS n, SUM(tags.v), AVG(tags.v) AS a, MIN(tags.v), MAX(tags.v) FROM "
	    "devices",
	    "{'n':5,'$1':-0.5,'a':-0.16666666666666666,'$2':-4,'$3':2.5}");
	gives(state,
	    "SELECT COUNT(), SUM(tags.v), AVG(tags.v), MIN(tags.v), MAX(tags.v) FROM devices WHERE "
	    "deviceId = 'd3'",
	    "{'$1':1}");
	gives(state, "SELECT COUNT(), SUM(tags.v) FROM devices WHERE deviceId = 'nobody'",
	    "{'$1':0}");
	gives(state, "SELECT SUM(version) FROM devices.modules", "{}");
	gives(state, "SELECT TOP 1 COUNT() FROM devices", "{'$1':5}");
	gives(state, "select count() N from devices where is_defined(tags.k)", "{'N':4}");
}

static void
query_groups__Q49_groups(void **state)
{
	gives(state, "SELECT tags.k, COUNT() AS n FROM devices GROUP BY tags.k",
	    "{'n':1} {'k':'a','n':3} {'k':'b','n':1}");
	gives(state, "SELECT COUNT() AS n FROM devices GROUP BY tags.k", "{'n':1} {'n':3} {'n':1}");
	gives(state, "SELECT tags.k FROM devices GROUP BY tags.k", "{} {'k':'a'} {'k':'b'}");
	gives(state,
	    "SELECT tags.k, COUNT() FROM devices WHERE deviceId = 'nobody' GROUP BY tags.k", "");
	gives(state, "SELECT COUNT() AS n, status, tags.k FROM devices GROUP BY tags.k, status",
	    "{'n':1,'status':'enabled'} {'n':1,'status':'disabled','k':'a'} "
	    "{'n':2,'status':'enabled','k':'a'} "
	    "{'n':1,'status':'enabled','k':'b'}");
	gives(state, "SELECT tags.k, SUM(properties.reported.n) AS s FROM devices GROUP BY tags.k",
	    "{} {'k':'a','s':2} {'k':'b','s':2}");
}

static void
query_groups__Q50_modules(void **state)
{
	gives(state, "SELECT tags.k, COUNT() FROM devices.modules GROUP BY tags.k",
	    "{'k':'a','$1':2}");
}

static void
query_groups__Q51_top_counts_groups(void **state)
{
	gives(state, "SELECT TOP 2 tags.k, COUNT() AS n FROM devices GROUP BY tags.k",
	    "{'n':1} {'k':'a','n':3}");
}

static void
query_groups__Q52_alias_in_group_by(void **state)
{
	gives(state,
	    "SELECT tags.k, COUNT() AS n FROM devices WHERE tags.k = 'b' GROUP BY tags.k AS kind",
	    "{'kind':'b','n':1}");
	gives(state,
	    "SELECT tags.k AS mine, COUNT() AS n FROM devices WHERE tags.k = 'b' GROUP BY tags.k "
	    "kind",
	    "{'mine':'b','n':1}");
	gives(
	    state, "SELECT COUNT() AS n FROM devices WHERE kind = 'b' GROUP BY tags.k AS kind", "");
}

static void
query_groups__Q85_deep_equality_and_equal_paths(void **state)
{
	gives(state, "SELECT tags.o, COUNT() AS n FROM devices GROUP BY tags.o",
	    "{'n':1} {'o':{'x':1},'n':1} {'o':{'x':1,'y':[1,2]},'n':2} "
	    "{'o':{'x':1,'y':[2,1]},'n':1}");
	gives(state,
	    "SELECT devices.tags.k, COUNT() AS n FROM devices WHERE tags.k = 'b' GROUP BY Tags.k",
	    "{'k':'b','n':1}");
	gives(state, "SELECT DEVICEID FROM devices WHERE tags.k = 'b' GROUP BY deviceId",
	    "{'deviceId':'d2'}");
	gives(state,
	    "SELECT properties.desired.$version AS v, COUNT() AS n FROM devices GROUP BY "
	    "properties.desired.$version",
	    "{'v':1,'n':4} {'v':2,'n':1}");
	gives(state, "SELECT foo, COUNT() AS n FROM devices GROUP BY foo", "{'n':5}");
	gives(state, "SELECT devices.foo, COUNT() AS n FROM devices GROUP BY foo", "{'n':5}");
	gives(state, "SELECT Foo.x, COUNT() AS n FROM devices GROUP BY devices.foo.x", "{'n':5}");
	gives(state,
	    "SELECT devices.Properties.Foo, COUNT() AS n FROM devices GROUP BY properties.foo",
	    "{'n':5}");
	gives(state, "SELECT foo.[[x]], COUNT() AS n FROM devices GROUP BY [[foo]].x", "{'n':5}");
	refuses(state, "SELECT foo.X, COUNT() FROM devices GROUP BY foo.x", "not in GROUP BY");
	refuses(state, "SELECT properties.foo.X, COUNT() FROM devices GROUP BY properties.foo.x",
	    "not in GROUP BY");
}

static void
query_groups__Q84_overflow_leaves_the_member_out(void **state)
{
	static const char *const big[] = { "{'deviceId':'a','tags':{'v':1.5e308}}",
		"{'deviceId':'b','tags':{'v':1.5e308}}" };
	struct fleet fl;

	(void)state;
	fleet_init(&fl, big, 2);
	fleet_gives(&fl,
	    "SELECT SUM(tags.v), AVG(tags.v), MAX(tags.v) AS m, COUNT() AS n FROM devices",
	    "{'m':1.5e+308,'n':2}");
	fleet_fini(&fl);
}

/* Keys come back from their encoding as they went in, and in the order of values. */
static void
query_groups__keys_of_every_kind(void **state)
{
	static const char *const kinds[] = { "{'deviceId':'1','tags':{'v':'b'}}",
		"{'deviceId':'2','tags':{'v':true}}", "{'deviceId':'3','tags':{'v':-1.5}}",
		"{'deviceId':'4','tags':{'v':[]}}", "{'deviceId':'5','tags':{'v':{}}}",
		"{'deviceId':'6','tags':{'v':''}}", "{'deviceId':'7','tags':{'v':false}}",
		"{'deviceId':'8','tags':{'v':100}}", "{'deviceId':'9','tags':{'v':0}}",
		"{'deviceId':'10','tags':{'v':-2}}",
		"{'deviceId':'11','tags':{'v':[[1],{'a':'x'}]}}",
		"{'deviceId':'12','tags':{'v':'b\\n'}}", "{'deviceId':'13','tags':{'v':'😀'}}",
		"{'deviceId':'14','tags':{'v':'～'}}",
		"{'deviceId':'15','tags':{'v':4503599627370495}}",
		"{'deviceId':'16','tags':{'v':100.0}}", "{'deviceId':'17','tags':{'v':1e300}}",
		"{'deviceId':'18','tags':{'v':-0.0}}", "{'deviceId':'19'}" };
	struct fleet fl;

	(void)state;
	fleet_init(&fl, kinds, sizeof(kinds) / sizeof(kinds[0]));
	fleet_gives(&fl, "SELECT tags.v, COUNT() AS n FROM devices GROUP BY tags.v",
	    "{'n':1} {'v':false,'n':1} {'v':true,'n':1} {'v':-2,'n':1} {'v':-1.5,'n':1} "
	    "{'v':0,'n':2} {'v':100,'n':2} "
	    "{'v':4503599627370495,'n':1} {'v':1e+300,'n':1} {'v':'','n':1} {'v':'b','n':1} "
	    "{'v':'b\\n','n':1} "
	    "{'v':'😀','n':1} {'v':'～','n':1} {'v':[],'n':1} {'v':[[1],{'a':'x'}],'n':1} "
	    "{'v':{},'n':1}");
	fleet_fini(&fl);
}

/* ---- bounds and merging ---- */

static struct query *
plan(const char *text)
{
	struct query *q;
	struct fault f;

	if (query_parse(str_of(text), NULL, &q, &f))
		fail_msg("%s: %s", text, f.text);
	return q;
}

static void
fill_ids(struct fleet *fl, int from, int to)
{
	char json[64];

	fleet_init(fl, NULL, 0);
	for (int i = from; i < to; i++) {
		snprintf(json, sizeof(json), "{\"deviceId\":\"device-%04d\"}", i);
		fleet_add(fl, str_of(json));
	}
}

static void
query_groups__are_bounded_with_a_clear_fault(void **state)
{
	struct query *q = plan("SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId");
	struct query_groups *g = query_groups_new(q, 1000),
	                    *other = query_groups_new(q, GROUP_BYTES);
	struct fault f;
	struct fleet fl;
	uint32_t n = 0;

	(void)state;
	fill_ids(&fl, 0, 100);
	while (query_groups_add(g, &fleet_ops, &fl.row[n], &fl.scratch, &f) == ERR_OK)
		assert_true(++n < 100);
	assert_int_equal(query_groups_add(g, &fleet_ops, &fl.row[n], &fl.scratch, &f), ERR_SIZE);
	assert_int_equal(f.code, F_QueryTooLarge);
	assert_non_null(strstr(f.text, "more groups than fit into its limit of 1000 bytes"));
	/* groups that are there go on counting, and the result is whole */
	assert_int_equal(query_groups_add(g, &fleet_ops, &fl.row[0], &fl.scratch, &f), ERR_OK);
	assert_int_equal(query_groups_add(other, &fleet_ops, &fl.row[99], &fl.scratch, &f), ERR_OK);
	assert_int_equal(fleet_merge(g, other, &f), ERR_SIZE);
	query_groups_finish(g);
	assert_int_equal(query_groups_count(g), n);
	query_groups_write(g, 0, 2, &fl.out);
	assert_true(str_eq(buf_view(&fl.out),
	    STR("{\"deviceId\":\"device-0000\",\"n\":2},{\"deviceId\":\"device-0001\",\"n\":1}")));
	query_groups_free(g);
	query_groups_free(other);
	query_free(q);
	fleet_fini(&fl);
}

/* The order in which rows and parts come makes no difference, and pages put together are the whole. */
static void
query_groups__order_and_pages_are_stable(void **state)
{
	struct query *q = plan("SELECT deviceId, COUNT() AS n FROM devices GROUP BY deviceId");
	struct query_groups *up = query_groups_new(q, GROUP_BYTES),
	                    *down = query_groups_new(q, GROUP_BYTES),
	                    *part = query_groups_new(q, GROUP_BYTES);
	struct buf whole = { 0 }, pages = { 0 };
	struct fleet fl;
	int n = 500;

	(void)state;
	fill_ids(&fl, 0, n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(
		    query_groups_add(up, &fleet_ops, &fl.row[i], &fl.scratch, NULL), ERR_OK);
		assert_int_equal(query_groups_add(i % 3 ? part : down, &fleet_ops,
		                     &fl.row[n - 1 - i], &fl.scratch, NULL),
		    ERR_OK);
	}
	assert_int_equal(fleet_merge(down, part, NULL), ERR_OK);
	query_groups_finish(up);
	query_groups_finish(down);
	query_groups_write(up, 0, UINT32_MAX, &whole);
	for (uint32_t at = 0; at < query_groups_count(down); at += 7) {
		if (at > 0)
			buf_putc(&pages, ',');
		query_groups_write(down, at, 7, &pages);
	}
	assert_true(str_eq(buf_view(&whole), buf_view(&pages)));
	query_groups_write(down, 500, 7, &pages);
	assert_int_equal(whole.n, pages.n); /* nothing past the end */
	query_groups_free(up);
	query_groups_free(down);
	query_groups_free(part);
	buf_fini(&whole);
	buf_fini(&pages);
	query_free(q);
	fleet_fini(&fl);
}

/* ---- facts ---- */

static void
query_facts__Q08_item_types(void **state)
{
	static const struct {
		const char *text, *type;
	} all[] = { { "SELECT * FROM devices", "Twin" },
		{ "SELECT * FROM devices.modules", "Twin" },
		{ "SELECT * FROM devices.jobs", "DeviceJob" },
		{ "SELECT * FROM jobs", "JobResponse" }, { "SELECT deviceId FROM devices", "Raw" },
		{ "SELECT COUNT() FROM devices", "Raw" } };
	struct query *q;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		q = plan(all[i].text);
		assert_string_equal(query_item_type_name(query_facts(q)->item_type), all[i].type);
		query_free(q);
	}
}

/* The ids of a query, with blanks between; "any" if it gives none. */
static void
ids(const char *condition, const char *want)
{
	struct query *q;
	struct buf got = { 0 };
	const struct query_ids *d;

	assert_int_equal(query_parse_condition(str_of(condition), &q, NULL), ERR_OK);
	d = &query_facts(q)->device_ids;
	for (uint32_t i = 0; i < d->n; i++) {
		if (i > 0)
			buf_putc(&got, ' ');
		buf_str(&got, d->v[i]);
	}
	if (!d->given)
		buf_cstr(&got, "any");
	buf_putc(&got, '\0');
	fleet_expect(condition, got.p, want);
	buf_fini(&got);
	query_free(q);
}

static void
query_facts__point_lookups(void **state)
{
	struct query *q;

	(void)state;
	ids("*", "any");
	ids("deviceId = 'b'", "b");
	ids("'b' = devices.DeviceId", "b");
	ids("deviceId IN ['c', 'a', 1, 'b', 'a']", "a b c");
	ids("tags.x = 1 AND (deviceId = 'b' AND tags.y = 2)", "b");
	ids("deviceId IN ['a', 'b'] AND deviceId = 'z'", "z");
	ids("deviceId = 5", "");
	ids("deviceId = tags.x", "any");
	ids("deviceId != 'b'", "any");
	ids("deviceId = 'a' OR tags.x = 1", "any");
	ids("NOT deviceId = 'a'", "any");
	ids("deviceId NIN ['a']", "any");
	ids("deviceId.x = 'a'", "any");
	ids("tags.deviceId = 'a'", "any");
	ids("FROM devices.modules WHERE deviceId = 'a'", "a");
	q = plan("SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j1'");
	assert_true(query_facts(q)->job_ids.given);
	assert_int_equal(query_facts(q)->job_ids.n, 1);
	assert_false(query_facts(q)->device_ids.given);
	query_free(q);
}

static void
query_facts__needs(void **state)
{
	struct query *q =
	    plan("SELECT deviceId, tags.a, SUM(properties.reported.x) FROM devices WHERE status = "
	         "'x' AND "
	         "IS_DEFINED(properties.desired.y) AND foo = 1 GROUP BY deviceId, tags.a");
	const struct query_facts *f = query_facts(q);

	(void)state;
	assert_true(f->aggregate);
	assert_false(f->whole);
	assert_int_equal(f->match.roots, QUERY_ROOT_BIT(QUERY_ROOT_STATUS));
	assert_int_equal(f->match.sections, QUERY_SECTION_BIT(SECTION_DESIRED));
	assert_int_equal(f->output.roots, QUERY_ROOT_BIT(QUERY_ROOT_DEVICE_ID));
	assert_int_equal(f->output.sections,
	    QUERY_SECTION_BIT(SECTION_TAGS) | QUERY_SECTION_BIT(SECTION_REPORTED));
	query_free(q);

	q = plan("SELECT * FROM devices WHERE properties = 1");
	f = query_facts(q);
	assert_true(f->whole);
	assert_int_equal(f->match.roots, 0);
	assert_int_equal(f->match.sections,
	    QUERY_SECTION_BIT(SECTION_DESIRED) | QUERY_SECTION_BIT(SECTION_REPORTED));
	assert_int_equal(f->output.sections, 7);
	assert_true(f->output.roots & QUERY_ROOT_BIT(QUERY_ROOT_PARENT_SCOPES));
	assert_false(f->output.roots & QUERY_ROOT_BIT(QUERY_ROOT_MODULE_ID));
	query_free(q);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(query_project__Q44_undefined_members_are_left_out),
		TEST(query_project__Q45_Q86_names),
		TEST(query_project__Q47_whole_sections),
		TEST(query_project__Q85_Q86_what_is_refused),
		TEST(query_project__Q51_top),
		TEST(query_groups__Q48_without_group_by),
		TEST(query_groups__Q49_groups),
		TEST(query_groups__Q50_modules),
		TEST(query_groups__Q51_top_counts_groups),
		TEST(query_groups__Q52_alias_in_group_by),
		TEST(query_groups__Q85_deep_equality_and_equal_paths),
		cmocka_unit_test(query_groups__Q84_overflow_leaves_the_member_out),
		cmocka_unit_test(query_groups__keys_of_every_kind),
		cmocka_unit_test(query_groups__are_bounded_with_a_clear_fault),
		cmocka_unit_test(query_groups__order_and_pages_are_stable),
		cmocka_unit_test(query_facts__Q08_item_types),
		cmocka_unit_test(query_facts__point_lookups),
		cmocka_unit_test(query_facts__needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
