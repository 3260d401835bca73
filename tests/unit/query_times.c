/* constants with an offset are times where documents have times, and texts where users have texts. */
#include "query_fleet.h"

static const char *const rows[] = {
	"{'deviceId':'d1','lastActivityTime':'2019-04-16T10:19:56.8680000Z','time':'2020-06-01T10:"
	"00:00Z',"
	"'tags':{'t':'2019-04-16T12:19:56.868+02:00'},'desired':{'a':1}}",
	"{'deviceId':'d2','lastActivityTime':'2019-04-16T11:00:00.0000000Z','time':'2020-06-01T11:"
	"00:00Z',"
	"'tags':{'t':'2019-04-16T10:19:56.8680000Z'},'desired':{'a':2}}",
	"{'deviceId':'d3','lastActivityTime':'0001-01-01T00:00:00Z','desired':{}}",
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
times__Q26_constants_with_an_offset_are_times(void **state)
{
	(void)state;
	where("lastActivityTime = '2019-04-16T12:19:56.8680000+02:00'", "d1");
	where("'2019-04-16T12:19:56.868+02:00' = LastActivityTime", "d1");
	where("lastActivityTime > '2019-04-16T12:19:56.868+02:00'", "d2");
	where(
	    "lastActivityTime <= '2019-04-16T05:00:00-05:30' AND lastActivityTime > '2000'", "d1");
	where("lastActivityTime IN ['x', '2019-04-16T13:00:00+02:00', "
	      "'2019-04-16T10:19:56.868+00:00', 'a']",
	    "d1 d2");
	where(
	    "lastActivityTime BETWEEN '2019-04-16T12:00:00+02:00' AND '2019-04-16T12:30:00+02:00'",
	    "d1");
	where("NOT (tags.x = 1 OR lastActivityTime != '2019-04-16T13:00:00+02:00')", "");
	where("NOT (lastActivityTime != '2019-04-16T13:00:00+02:00')", "d2");
	where("properties.desired.$metadata.a.$lastUpdated = '2020-06-01T13:00:00+02:00'", "d2");
	where("properties.desired.$metadata.$lastUpdated < '2020-06-01T13:00:00+02:00' AND "
	      "tags.t > ''",
	    "d1");
	fleet_gives(&fl,
	    "SELECT lastActivityTime AS l, COUNT() AS n FROM devices GROUP BY lastActivityTime "
	    "HAVING lastActivityTime > '2019-04-16T12:30:00+02:00'",
	    "{'l':'2019-04-16T11:00:00.0000000Z','n':1}");
}

static void
times__Q26_all_other_texts_stay(void **state)
{
	(void)state;
	where("tags.t = '2019-04-16T12:19:56.868+02:00'", "d1");
	where("tags.t IN ['2019-04-16T12:19:56.868+02:00']", "d1");
	where("tags.t > '2019-04-16T12:19:56.868+02:00'", "");
	where("lastActivityTime >= '2019-04-16'", "d1 d2");
	where("lastActivityTime = '2019-04-16T11:00:00Z'", ""); /* another text, as in Azure */
	where("lastActivityTime > '2019-04-16T12:19:56.868+2:00'", "");
	where("lastActivityTime > 'a+02:00'", "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times__Q26_constants_with_an_offset_are_times),
		cmocka_unit_test(times__Q26_all_other_texts_stay),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
