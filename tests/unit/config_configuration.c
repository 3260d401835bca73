/* Configurations: what a request may say, and what they make of twins (jobs-and-configurations.md, part B). */
#include "configuration_kit.h"

#include "limit/limit.h"

/* ---- requests ---- */

static void
configuration__R84_shows_all_members(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL, simple(ENV_T, 5, ".cfg", "{'a':1}"));
	kit_shows(&k, "id", "'a'");
	kit_shows(&k, "etag", "'MQ=='");
	kit_shows(&k, "priority", "5");
	kit_shows(&k, "schemaVersion", "'1.0'");
	kit_shows(&k, "content", "{'deviceContent':{'properties.desired.cfg':{'a':1}}}");
	kit_shows(&k, "systemMetrics/results", "{'targetedCount':0,'appliedCount':0}");
	kit_shows(&k, "systemMetrics/queries/targetedCount",
	    "'select deviceId from devices where tags.env = 't''");
	kit_shows(&k, "systemMetrics/queries/appliedCount",
	    "'select deviceId from devices where configurations.[[a]].status = 'Applied''");
	kit_shows(&k, "metrics", "{'results':{},'queries':{}}");
	end(&k);
}

static void
text_is(struct kit *k, const uint64_t *results, const char *want)
{
	struct configurations *set = configurations_stored(k->sh);
	struct buf json = { 0 };

	configuration_write(&json, set->v[0], results);
	kit_quotes(&json, '"', '\'');
	buf_putc(&json, '\0');
	assert_string_equal(json.p, want);
	buf_fini(&json);
	configurations_free(set);
}

static void
configuration__R84_texts(void **state)
{
	static const uint64_t results[] = { 9, 8, 7, 6, 5, 4, 3, 2, 1 };
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL, "{'content':{'deviceContent':{'properties.desired.c':{'a':1.0}}}}");
	text_is(&k, NULL,
	    "{'id':'a','schemaVersion':'1.0','labels':{},'content':{'deviceContent':{'properties."
	    "desired.c':{'a':1.0}}},'targetCondition':'','createdTimeUtc':'2024-01-01T00:00:01.00"
	    "00000Z','lastUpdatedTimeUtc':'2024-01-01T00:00:01.0000000Z','priority':0,'systemMetr"
	    "ics':{'results':{'targetedCount':0,'appliedCount':0},'queries':{'targetedCount':'','"
	    "appliedCount':'select deviceId from devices where configurations.[[a]].status = 'App"
	    "lied''}},'metrics':{'results':{},'queries':{}},'etag':'MQ=='}");
	put(&k, "a", "*",
	    "{'labels':{'z':'y\\u0022'},'schemaVersion':'1.1','contentType':'assignment','content':"
	    "{"
	    "'deviceContent':{'properties.desired.c':{'a':1.0}}},'targetCondition':'*',"
	    "'priority':7,'metrics':{'queries':{'q':'SELECT deviceId FROM devices'}},"
	    "'rollout':{'onFailure':'rollback','waves':[{'percent':1.50},{'percent':100}]}}");
	text_is(&k, NULL,
	    "{'id':'a','schemaVersion':'1.1','labels':{'z':'y\\''},'content':{'deviceContent':{'p"
	    "roperties.desired.c':{'a':1.0}}},'contentType':'assignment','targetCondition':'*','c"
	    "reatedTimeUtc':'2024-01-01T00:00:01.0000000Z','lastUpdatedTimeUtc':'2024-01-01T00:00"
	    ":03.0000000Z','priority':7,'systemMetrics':{'results':{'targetedCount':0,'appliedCou"
	    "nt':0},'queries':{'targetedCount':'select deviceId from devices','appliedCount':'sel"
	    "ect deviceId from devices where configurations.[[a]].status = 'Applied''}},'metrics'"
	    ":{'results':{},'queries':{'q':'SELECT deviceId FROM devices'}},'rollout':{'onFailure"
	    "':'rollback','waves':[{'percent':1.5},{'percent':100}],'state':{'status':'pending','"
	    "run':1,'wave':0,'waves':[],'history':[{'event':'created','wave':0,'timeUtc':'2024-01"
	    "-01T00:00:03.0000000Z'}]}},'etag':'Mg=='}");
	text_is(&k, results,
	    "{'id':'a','schemaVersion':'1.1','labels':{'z':'y\\''},'content':{'deviceContent':{'p"
	    "roperties.desired.c':{'a':1.0}}},'contentType':'assignment','targetCondition':'*','c"
	    "reatedTimeUtc':'2024-01-01T00:00:01.0000000Z','lastUpdatedTimeUtc':'2024-01-01T00:00"
	    ":03.0000000Z','priority':7,'systemMetrics':{'results':{'targetedCount':9,'appliedCou"
	    "nt':8},'queries':{'targetedCount':'select deviceId from devices','appliedCount':'sel"
	    "ect deviceId from devices where configurations.[[a]].status = 'Applied''}},'metrics'"
	    ":{'results':{'q':7},'queries':{'q':'SELECT deviceId FROM devices'}},'rollout':{'onFa"
	    "ilure':'rollback','waves':[{'percent':1.5},{'percent':100}],'state':{'status':'pendi"
	    "ng','run':1,'wave':0,'waves':[],'history':[{'event':'created','wave':0,'timeUtc':'20"
	    "24-01-01T00:00:03.0000000Z'}]}},'etag':'Mg=='}");
	end(&k);
}

static void
configuration__J29_preconditions(void **state)
{
	const char *body = simple("*", 0, "", "{'a':1}");
	struct op op;
	struct kit k;

	(void)state;
	kit_init(&k);
	assert_int_equal(try_put(&k, "a", "*", body), F_ConfigurationNotFound);
	put(&k, "a", NULL, body);
	assert_int_equal(try_put(&k, "a", NULL, body), F_ConfigurationAlreadyExists);
	assert_int_equal(try_put(&k, "a", "Mg==", body), F_PreconditionFailed);
	put(&k, "a", "MQ==", body);
	kit_shows(&k, "etag", "'Mg=='");
	put(&k, "a", "*", body);
	kit_shows(&k, "etag", "'Mw=='");
	op = op_of(OP_CONFIGURATION_DELETE, "a", "MQ==");
	assert_int_equal(kit_run(&k, &op), F_PreconditionFailed);
	op = op_of(OP_CONFIGURATION_DELETE, "b", NULL);
	assert_int_equal(kit_run(&k, &op), F_ConfigurationNotFound);
	drop(&k, "a");
	end(&k);
}

static void
configuration__J57_J60_L33_bad_bodies(void **state)
{
#define C "'content':{'deviceContent':{'properties.desired.a':1}}"
	static const struct {
		const char *body;
		enum fault_code code;
	} rows[] = {
		{ "[]", F_ArgumentInvalid },
		{ "{'id':'other'," C "}", F_ArgumentInvalid },
		{ "{'priority':-1," C "}", F_ArgumentInvalid },
		{ "{'priority':1.5," C "}", F_ArgumentInvalid },
		{ "{'labels':{'a':1}," C "}", F_ArgumentInvalid },
		{ "{'labels':'x'," C "}", F_ArgumentInvalid },
		{ "{'targetCondition':7," C "}", F_ArgumentInvalid },
		{ "{}", F_InvalidConfigurationContent },
		{ "{'content':{}}", F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{}}}", F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.a':1},'moduleContent':{'"
		  "properties.desired.a':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'tags.a':1}}}", F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desiredx':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.a..b':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.$version':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.a b':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.a':[null]}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired':1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired.a':{},'properties.desired.a.b':"
		  "1}}}",
		    F_InvalidConfigurationContent },
		{ "{'content':{'deviceContent':{'properties.desired':{},'properties.desired.b':1}}"
		  "}",
		    F_InvalidConfigurationContent },
		{ "{'targetCondition':'tags.a ='," C "}", F_InvalidConfigurationTargetCondition },
		{ "{'targetCondition':'from devices.modules where a = 1'," C "}",
		    F_InvalidConfigurationTargetCondition },
		{ "{'targetCondition':'*','content':{'moduleContent':{'properties.desired.a':1}}}",
		    F_InvalidConfigurationTargetCondition },
		{ "{'metrics':{'queries':{'a':'select'}}," C "}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'metrics':{'queries':{'a':'select * from devices.jobs'}}," C "}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'metrics':{'queries':{'a':'select * from devices','b':'select * from "
		  "devices','c':'select * from devices','d':'select * from devices','e':'select * "
		  "from devices','f':'select * from devices'}}," C "}",
		    F_InvalidConfigurationCustomMetricsQuery },
	};
#undef C
	struct kit k;

	(void)state;
	kit_init(&k);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (try_put(&k, "a", NULL, rows[i].body) != rows[i].code)
			fail_msg("%s: %d %s", rows[i].body, k.reply.fault.code, k.reply.fault.text);
	assert_int_equal(try_put(&k, "A", NULL, simple("*", 0, "", "{}")), F_ArgumentInvalid);
	assert_int_equal(try_put(&k, "a b", NULL, simple("*", 0, "", "{}")), F_ArgumentInvalid);
	assert_int_equal(try_put(&k, "a/b", NULL, simple("*", 0, "", "{}")), F_ArgumentInvalid);
	assert_int_equal(k.store.n, 0);
	end(&k);
}

static void
configuration__J32_J33_all_but_the_content_changes(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL, simple("*", 0, ".a", "{'x':1,'y':2}"));
	assert_int_equal(try_put(&k, "a", "*", simple("*", 0, ".a", "{'x':2}")),
	    F_CannotModifyImmutableConfigurationContent);
	put(&k, "a", "*", simple("*", 1, ".a", "{'y':2,'x':1}"));
	put(&k, "a", "*", "{'targetCondition':'','priority':3}");
	kit_shows(&k, "content", "{'deviceContent':{'properties.desired.a':{'x':1,'y':2}}}");
	kit_shows(&k, "priority", "3");
	kit_shows(&k, "systemMetrics/queries/targetedCount", "''");
	end(&k);
}

static void
configuration__L32_J34_at_most_100(void **state)
{
	static const struct limit_counts few = { { [LIMIT_ALL_CONFIGURATIONS] = 10 } };
	char name[16];
	struct kit k;

	(void)state;
	kit_init(&k);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(try_put(&k, name, NULL, simple("*", i, ".a", "1")), F_NONE);
	}
	assert_int_equal(try_put(&k, "more", NULL, simple("*", 0, ".a", "1")),
	    F_ConfigurationCountLimitExceeded);
	assert_int_equal(try_put(&k, "c7", "*", simple("*", 200, ".a", "1")), F_NONE);
	k.env.counts = &few; /* what is there stays, and may be changed */
	assert_int_equal(try_put(&k, "c7", "*", simple("*", 200, ".a", "1")), F_NONE);
	kit_device(&k, "d");
	publish(&k);
	sweep(&k);
	twin_shows(&k, "d", "properties/desired/a", "1");
	kit_shows(&k, "configurations/c7/status", "'Applied'");
	kit_shows(&k, "configurations/c99/status", "'Targeted'");
	end(&k);
}

static void
configuration__L32_O159_as_many_as_the_hub_lets_be(void **state)
{
	static const struct limit_counts few = { { [LIMIT_ALL_CONFIGURATIONS] = 2 } };
	struct kit k;

	(void)state;
	kit_init(&k);
	k.env.counts = &few;
	assert_int_equal(try_put(&k, "a", NULL, simple("*", 1, ".a", "1")), F_NONE);
	assert_int_equal(try_put(&k, "b", NULL, simple("*", 1, ".a", "1")), F_NONE);
	assert_int_equal(
	    try_put(&k, "c", NULL, simple("*", 1, ".a", "1")), F_ConfigurationCountLimitExceeded);
	assert_int_equal(try_put(&k, "b", "*", simple("*", 2, ".a", "1")), F_NONE);
	end(&k);
}

/* ---- the test vector of part 11 ---- */

static void
configuration__J43_J45_J46_J47_J50_J53_test_vector(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d1");
	assert_int_equal(kit_patch(&k, "d1", NULL, "{'tags':{'env':'t'}}"), F_NONE);
	assert_string_equal(kit_counters(&k, "d1"), "2 3 1 1");
	kit_subscribe(&k, "d1", kit_connect(&k, "d1", 7, true), "td");
	kit_effects(&k);

	put(&k, "a", NULL, simple(ENV_T, 1, ".cfg", "{'a':1}"));
	assert_string_equal(kit_effects(&k), "notify 7 v2 {'cfg':{'a':1},'$version':2}");
	assert_string_equal(kit_counters(&k, "d1"), "4 5 2 1");
	kit_shows(&k, "configurations", "{'a':{'status':'Applied'}}");
	put(&k, "c", NULL, simple("*", 0, ".other", "7"));
	assert_string_equal(kit_effects(&k), "notify 7 v3 {'other':7,'$version':3}");
	put(&k, "b", NULL, simple(ENV_T, 5, ".cfg", "{'a':2}"));
	assert_string_equal(kit_effects(&k), "notify 7 v4 {'cfg':{'a':2},'$version':4}");
	twin_shows(&k, "d1", "configurations",
	    "{'a':{'status':'Targeted'},'b':{'status':'Applied'},'c':{'status':'Applied'}}");

	assert_int_equal(
	    kit_patch(&k, "d1", NULL, "{'properties':{'desired':{'cfg':{'a':9}}}}"), F_NONE);
	kit_shows(&k, "properties/desired/cfg/a", "2"); /* the answer shows what holds */
	assert_string_equal(kit_effects(&k),
	    "notify 7 v5 {'cfg':{'a':9},'$version':5}\nnotify 7 v6 {'cfg':{'a':2},'$version':6}");
	drop(&k, "b");
	assert_string_equal(kit_effects(&k), "notify 7 v7 {'cfg':{'a':1},'$version':7}");
	twin_shows(
	    &k, "d1", "configurations", "{'a':{'status':'Applied'},'c':{'status':'Applied'}}");
	assert_int_equal(kit_patch(&k, "d1", NULL, "{'tags':{'env':'p'}}"), F_NONE);
	assert_string_equal(kit_effects(&k), "notify 7 v8 {'cfg':null,'$version':8}");
	twin_shows(&k, "d1", "configurations", "{'c':{'status':'Applied'}}");
	put(&k, "c", "*", "{'targetCondition':''}");
	assert_string_equal(kit_effects(&k), "notify 7 v9 {'other':null,'$version':9}");
	twin_shows(&k, "d1", "configurations", "-");
	kit_shows(&k, "properties/desired/other", "-");
	end(&k);
}

/* ---- application ---- */

static void
configuration__T07a_a_new_identity_has_it_at_once(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL, simple("*", 0, ".cfg", "{'a':1}"));
	kit_device(&k, "d");
	assert_string_equal(kit_counters(&k, "d"), "3 4 2 1");
	kit_shows(&k, "properties/desired/cfg", "{'a':1}");
	kit_shows(&k, "properties/desired/$metadata/cfg/a/$lastUpdatedBy", "'a'");
	end(&k);
}

static void
configuration__T30_J48_a_manual_write_drops_the_author(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL, simple(ENV_T, 0, ".cfg", "{'a':1}"));
	kit_device(&k, "d");
	kit_patch(&k, "d", NULL, "{'tags':{'env':'t'}}");
	/* it leaves the target in the same step: what was written by hand is nobody else's to remove */
	kit_patch(&k, "d", NULL, "{'tags':{'env':'p'},'properties':{'desired':{'cfg':{'a':9}}}}");
	kit_shows(&k, "properties/desired/cfg", "{'a':9}");
	kit_shows(&k, "properties/desired/$metadata/cfg/a/$lastUpdatedBy", "-");
	kit_shows(&k, "configurations", "-");
	end(&k);
}

static void
configuration__J51_other_keys_are_not_touched(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	kit_patch(
	    &k, "d", NULL, "{'tags':{'env':'t'},'properties':{'desired':{'cfg':{'z':5},'own':1}}}");
	put(&k, "a", NULL, simple(ENV_T, 0, ".cfg", "{'a':1}"));
	twin_shows(&k, "d", "properties/desired/cfg", "{'z':5,'a':1}");
	kit_patch(&k, "d", NULL, "{'tags':{'env':null}}");
	kit_shows(&k, "properties/desired/cfg", "{'z':5}");
	kit_shows(&k, "properties/desired/own", "1");
	end(&k);
}

static void
configuration__J44_J57_J58_paths_are_layered(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "low", NULL,
	    "{'targetCondition':'*','priority':1,'content':{'deviceContent':{'properties.desired.x'"
	    ":{'a':1,'b':1},'properties.desired.y':1}}}");
	put(&k, "high", NULL, simple("*", 9, ".x.a", "2"));
	twin_shows(&k, "d", "properties/desired/x", "{'a':2,'b':1}");
	kit_shows(&k, "properties/desired/$metadata/x/a/$lastUpdatedBy", "'high'");
	kit_shows(&k, "properties/desired/$metadata/x/b/$lastUpdatedBy", "'low'");
	kit_shows(&k, "configurations", "{'high':{'status':'Applied'},'low':{'status':'Applied'}}");
	put(&k, "same", NULL, simple("*", 5, ".x", "{'c':3}"));
	twin_shows(&k, "d", "properties/desired/x", "{'a':2,'c':3}"); /* the path has one owner */
	drop(&k, "same");
	twin_shows(&k, "d", "properties/desired/x", "{'a':2,'b':1}");
	drop(&k, "high");
	twin_shows(&k, "d", "properties/desired/x", "{'a':1,'b':1}");
	drop(&k, "low");
	twin_shows(&k, "d", "properties/desired/x", "-");
	kit_shows(&k, "properties/desired/y", "-");
	kit_patch(&k, "d", NULL, "{'properties':{'desired':{'own':1}}}");
	put(&k, "bare", NULL, simple("*", 0, "", "{'a':1}"));
	twin_shows(&k, "d", "properties/desired/a", "1");
	kit_shows(&k, "properties/desired/own", "1");
	end(&k);
}

static void
configuration__J43_equal_priorities_the_newer_wins(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "z", NULL, simple("*", 3, ".a", "1"));
	put(&k, "b", NULL, simple("*", 3, ".a", "2"));
	twin_shows(&k, "d", "properties/desired/a", "2");
	put(&k, "z", "*", "{'targetCondition':'*','priority':4}");
	twin_shows(&k, "d", "properties/desired/a", "1");
	put(&k, "z", "*", "{'targetCondition':'*','priority':3}");
	twin_shows(&k, "d", "properties/desired/a", "2"); /* an update does not make it newer */
	end(&k);
}

static void
configuration__J49_nothing_to_change_writes_nothing(void **state)
{
	struct kit k;
	char before[64];

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "a", NULL, simple("*", 0, ".a", "{'x':1.5,'l':[1,{'y':2}],'e':{}}"));
	snprintf(before, sizeof(before), "%s", kit_counters(&k, "d"));
	put(&k, "a", "*", "{'targetCondition':'*','priority':7}");
	put(&k, "other", NULL, simple("", 7, ".b", "1"));
	restart(&k);
	assert_false(configure_sweep_awaited(k.sh));
	assert_string_equal(kit_counters(&k, "d"), before);
	end(&k);
}

static void
configuration__J59_nulls_remove_the_key(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	kit_patch(&k, "d", NULL, "{'properties':{'desired':{'old':1,'x':{'a':1,'b':2}}}}");
	put(&k, "a", NULL,
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.old':null,'"
	    "properties.desired.x':{'a':null,'c':3}}}}");
	twin_shows(&k, "d", "properties/desired/old", "-");
	kit_shows(&k, "properties/desired/x", "{'b':2,'c':3}");
	kit_shows(&k, "configurations/a/status", "'Applied'");
	kit_patch(&k, "d", NULL, "{'properties':{'desired':{'old':2}}}");
	kit_shows(&k, "properties/desired/old", "-");
	end(&k);
}

static void
configuration__J52_leaves_by_reports_and_status(void **state)
{
	uint64_t session_epoch;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	session_epoch = kit_connect(&k, "d", 1, true);
	put(&k, "low", NULL, simple("properties.reported.fw < 2", 0, ".update", "2"));
	put(&k, "live", NULL,
	    simple("connectionState = \\u0027Connected\\u0027", 0, ".live", "true"));
	put(&k, "on", NULL, simple("status = \\u0027enabled\\u0027", 0, ".on", "true"));
	twin_shows(&k, "d", "properties/desired/update", "-");
	kit_shows(&k, "properties/desired/live", "true");
	assert_int_equal(kit_report(&k, "d", session_epoch, "{'fw':1}"), F_NONE);
	assert_int_equal(k.reply.version, 2);
	twin_shows(&k, "d", "properties/desired/update", "2");
	assert_int_equal(kit_report(&k, "d", session_epoch, "{'fw':2}"), F_NONE);
	twin_shows(&k, "d", "properties/desired/update", "-");
	kit_session_op(&k, OP_DISCONNECT, "d", session_epoch, NULL);
	twin_shows(&k, "d", "properties/desired/live", "-");
	kit_shows(&k, "properties/desired/on", "true");
	assert_int_equal(kit_put(&k, "d", "*", "{'status':'disabled'}"), F_NONE);
	twin_shows(&k, "d", "properties/desired/on", "-");
	end(&k);
}

static void
configuration__J36_a_loop_ends(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "flip", NULL, simple("NOT IS_DEFINED(properties.desired.flip)", 0, ".flip", "1"));
	assert_int_equal(configure_looped(k.sh), 1);
	assert_false(configure_sweep_awaited(k.sh));
	configure_sweep_again(k.sh);
	assert_true(configure_sweep_awaited(k.sh));
	sweep(&k);
	assert_int_equal(configure_looped(k.sh), 2);
	end(&k);
}

static void
configuration__T80_what_does_not_fit_stays_targeted(void **state)
{
	static char big[40000], body[41000];
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	for (int i = 0; i < 8; i++)
		snprintf(big + strlen(big), 60 + 3900, "%s'k%d':'%0*d'", i ? "," : "", i, 3900, 0);
	snprintf(body, sizeof(body), "{'properties':{'desired':{%s}}}", big);
	assert_int_equal(kit_patch(&k, "d", NULL, body), F_NONE);
	snprintf(big, 4000, "'%0*d'", 3900, 0);
	put(&k, "small", NULL, simple("*", 0, ".small", "1"));
	snprintf(body, sizeof(body),
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.big':%s}}}",
	    big);
	put(&k, "big", NULL, body);
	twin_shows(&k, "d", "configurations",
	    "{'big':{'status':'Targeted'},'small':{'status':'Applied'}}");
	kit_shows(&k, "properties/desired/small", "1");
	end(&k);
}

static void
configuration__J35_modules(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	assert_int_equal(kit_put(&k, "d/m", NULL, "{}"), F_NONE);
	put(&k, "m", NULL,
	    "{'targetCondition':'from devices.modules where tags.env = "
	    "\\u0027t\\u0027','content':{'moduleContent':{'properties.desired.a':1}}}");
	kit_shows(&k, "systemMetrics/queries/targetedCount",
	    "'select deviceId from devices.modules where tags.env = 't''");
	kit_patch(&k, "d", NULL, "{'tags':{'env':'t'}}");
	kit_shows(&k, "properties/desired/a", "-");
	kit_patch(&k, "d/m", NULL, "{'tags':{'env':'t'}}");
	kit_shows(&k, "properties/desired/a", "1");
	kit_shows(&k, "configurations/m/status", "'Applied'");
	end(&k);
}

static void
configuration__a_restart_in_the_middle_of_a_sweep(void **state)
{
	char id[16];
	struct kit k;

	(void)state;
	kit_init(&k);
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		kit_device(&k, id);
	}
	assert_int_equal(try_put(&k, "a", NULL, simple("*", 0, ".a", "1")), F_NONE);
	publish(&k);
	for (int i = 0; i < 10; i++)
		sweep_one(&k);
	kit_commit(&k);
	restart(&k);
	assert_true(configure_sweep_awaited(k.sh));
	sweep(&k);
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		assert_string_equal(kit_counters(&k, id), "3 4 2 1");
		kit_shows(&k, "properties/desired/a", "1");
	}
	restart(&k);
	assert_false(configure_sweep_awaited(k.sh));
	end(&k);
}

static void
content__R92_all_modules_or_none(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_put(&k, "e", NULL, "{'capabilities':{'iotEdge':true}}");
	kit_device(&k, "leaf");
#define CONTENT                                                                                    \
	"{'modulesContent':{'$edgeHub':{'properties.desired':{'a':1}},'m':{'properties.desired.x." \
	"y':2"
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "leaf", NULL, CONTENT "}}}"),
	    F_InvalidConfigurationContent);
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "e", NULL, "{'modulesContent':{}}"),
	    F_InvalidConfigurationContent);
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "e", NULL, CONTENT "},'bad':{'x':1}}}"),
	    F_InvalidConfigurationContent);
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "e", NULL,
	                     CONTENT "},'bad':{'properties.desired':{'x':null,'y':[null]}}}}"),
	    F_InvalidConfigurationContent);
	assert_int_equal(kit_read(&k, "e/m"), F_ModuleNotFound);
	assert_string_equal(kit_counters(&k, "e/$edgeHub"), "1 2 1 1");

	k.hold = true; /* a commit that fails takes all of it back */
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "e", NULL, CONTENT "}}}"), F_NONE);
	assert_string_equal(kit_counters(&k, "e/m"), "2 3 2 1");
	kit_fail(&k, true);
	kit_commit(&k);
	assert_int_equal(kit_read(&k, "e/m"), F_ModuleNotFound);
	assert_string_equal(kit_counters(&k, "e/$edgeHub"), "1 2 1 1");
	k.hold = false;
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "e", NULL, CONTENT "}}}"), F_NONE);
	twin_shows(&k, "e/m", "properties/desired/x/y", "2");
	assert_int_equal(kit_body(&k, OP_APPLY_CONTENT, "e", NULL,
	                     "{'modulesContent':{'$edgeHub':{'properties.desired':{'b':2}}}}"),
	    F_NONE);
#undef CONTENT
	twin_shows(&k, "e/$edgeHub", "properties/desired/a", "-");
	kit_shows(&k, "properties/desired/b", "2");
	kit_shows(&k, "properties/desired/$version", "3");
	end(&k);
}

/* ---- random histories ---- */

/* What the configurations must make of the tags, by the plainest means. */
static void
check_device(struct kit *k, const char *id)
{
	char tag[16];

	assert_int_equal(kit_read(k, id), F_NONE);
	snprintf(tag, sizeof(tag), "%s", kit_at(k, "tags/t"));
	for (int p = 0; p < 3; p++) {
		const struct configuration *best = NULL;
		char path[64], want[64] = "-";

		for (uint32_t i = 0; i < published->n; i++) {
			const struct configuration *c = published->v[i];
			char condition[32];

			snprintf(condition, sizeof(condition), "tags.t = %s", tag);
			snprintf(path, sizeof(path), "properties.desired.p%d", p);
			if (!str_eq(c->target_text, str_of(condition)) &&
			    !str_eq(c->target_text, STR("*")))
				continue;
			if (!str_eq(c->paths[0].text, str_of(path)))
				continue;
			if (best == NULL || c->priority > best->priority ||
			    (c->priority == best->priority && c->created_us > best->created_us))
				best = c;
		}
		if (best != NULL)
			snprintf(want, sizeof(want), "'" STR_FMT "'", STR_ARG(best->id));
		snprintf(path, sizeof(path), "properties/desired/p%d/v", p);
		kit_shows(k, path, want);
	}
	kit_shows(k, "properties/desired/own", "1");
}

static void
random_change(struct kit *k)
{
	char id[16], body[256];

	switch (rnd_below(&k->rnd, 3)) {
	case 0:
		snprintf(id, sizeof(id), "d%u", rnd_below(&k->rnd, 6));
		snprintf(body, sizeof(body),
		    "{'tags':{'t':%u},'properties':{'desired':{'p%u':{'v':null}}}}",
		    rnd_below(&k->rnd, 3), rnd_below(&k->rnd, 3));
		assert_int_equal(kit_patch(k, id, NULL, body), F_NONE);
		break;
	case 1:
		snprintf(id, sizeof(id), "c%u", rnd_below(&k->rnd, 8));
		snprintf(body, sizeof(body), rnd_below(&k->rnd, 3) ? "tags.t = %u" : "*",
		    rnd_below(&k->rnd, 3));
		if (configurations_find(published, str_of(id)) == NULL) {
			char path[8], value[32];

			snprintf(path, sizeof(path), ".p%u", rnd_below(&k->rnd, 3));
			snprintf(value, sizeof(value), "{'v':'%s'}", id);
			try_put(k, id, NULL, simple(body, (int)rnd_below(&k->rnd, 3), path, value));
		} else {
			char update[300];

			snprintf(update, sizeof(update), "{'targetCondition':'%s','priority':%u}",
			    body, rnd_below(&k->rnd, 3));
			try_put(k, id, "*", update);
		}
		break;
	default:
		snprintf(id, sizeof(id), "c%u", rnd_below(&k->rnd, 8));
		{
			struct op op = op_of(OP_CONFIGURATION_DELETE, id, NULL);

			kit_run(k, &op);
		}
	}
}

static void
check_all(struct kit *k)
{
	char id[16];

	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		check_device(k, id);
	}
}

/* Sweeps are cut short, commits fail, the process dies: in the end every twin says what the winner of each path says. */
static void
configuration__J43_random_histories_with_failures(void **state)
{
	char id[16];
	struct kit k;

	(void)state;
	kit_init(&k);
	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		kit_device(&k, id);
		kit_patch(&k, id, NULL, "{'properties':{'desired':{'own':1}}}");
	}
	publish(&k);
	k.hold = true;
	for (int step = 0; step < 4000; step++) {
		bool found = rnd_below(&k.rnd, 2);

		random_change(&k);
		for (uint32_t n = rnd_below(&k.rnd, 9); n > 0 && configure_sweep_awaited(k.sh); n--)
			sweep_one(&k);
		if (rnd_below(&k.rnd, 4) == 0) {
			kit_fail(&k, found);
			configure_sweep_restart(k.sh);
		}
		kit_commit(&k);
		publish(&k);
		if (rnd_below(&k.rnd, 20) == 0)
			restart(&k);
		if (rnd_below(&k.rnd, 5) == 0) {
			sweep(&k);
			kit_commit(&k);
			check_all(&k);
		}
		if (rnd_below(&k.rnd, 5) == 0)
			shard_evict(k.sh, 0);
	}
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configuration__R84_shows_all_members),
		cmocka_unit_test(configuration__R84_texts),
		cmocka_unit_test(configuration__J29_preconditions),
		cmocka_unit_test(configuration__J57_J60_L33_bad_bodies),
		cmocka_unit_test(configuration__J32_J33_all_but_the_content_changes),
		cmocka_unit_test(configuration__L32_J34_at_most_100),
		cmocka_unit_test(configuration__L32_O159_as_many_as_the_hub_lets_be),
		cmocka_unit_test(configuration__J43_J45_J46_J47_J50_J53_test_vector),
		cmocka_unit_test(configuration__T07a_a_new_identity_has_it_at_once),
		cmocka_unit_test(configuration__T30_J48_a_manual_write_drops_the_author),
		cmocka_unit_test(configuration__J51_other_keys_are_not_touched),
		cmocka_unit_test(configuration__J44_J57_J58_paths_are_layered),
		cmocka_unit_test(configuration__J43_equal_priorities_the_newer_wins),
		cmocka_unit_test(configuration__J49_nothing_to_change_writes_nothing),
		cmocka_unit_test(configuration__J59_nulls_remove_the_key),
		cmocka_unit_test(configuration__J52_leaves_by_reports_and_status),
		cmocka_unit_test(configuration__J36_a_loop_ends),
		cmocka_unit_test(configuration__T80_what_does_not_fit_stays_targeted),
		cmocka_unit_test(configuration__J35_modules),
		cmocka_unit_test(content__R92_all_modules_or_none),
		cmocka_unit_test(configuration__a_restart_in_the_middle_of_a_sweep),
		cmocka_unit_test(configuration__J43_random_histories_with_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
