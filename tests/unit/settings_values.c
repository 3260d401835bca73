/* Settings of the hub: what is taken, kept and shown (E-80 to E-84). */
#include "settings/settings.h"

#define KIT_FEATURES &settings_feature
#include "hub_kit.h"

static struct kit k;

static int
setup(void **state)
{
	(void)state;
	kit_init(&k);
	kit_shard(&k, shard_new(0, kit_features));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kit_fini(&k);
	return 0;
}

static enum fault_code
patch(const char *tag, const char *json)
{
	struct op op = { .kind = OP_SETTINGS_PATCH, .actor = ACTOR_POLICY };

	if (tag != NULL) {
		op.if_match = IF_TAG;
		op.if_tag = str_of(tag);
	}
	kit_doc(&k, json, &op);
	return kit_run(&k, &op);
}

static const char *
shown(void)
{
	static struct buf json;
	struct settings *s = settings_stored(k.sh);
	struct out o;

	json.n = 0;
	o = out_to(&json);
	settings_show(&o, s);
	settings_unref(s);
	buf_putc(&json, '\0');
	kit_quotes(&json, '"', '\'');
	return json.p;
}

static int64_t
value(enum setting i)
{
	struct settings *s = settings_stored(k.sh);
	int64_t v = s->v[i];

	settings_unref(s);
	return v;
}

static void
settings__E80_are_there_before_anybody_has_set_them(void **state)
{
	(void)state;
	assert_string_equal(shown(),
	    "{'log':{'telemetry':true,'twinChanges':true,'lifeCycle':true,'connections':true,"
	    "'jobs':true,'methods':false,'administration':true},"
	    "'retention':{'logMaxSize':1073741824,'logMaxAge':86400,'changesMaxSize':4294967296,"
	    "'changesMaxAge':2592000},'events':{'partitions':4},"
	    "'cloudToDevice':{'defaultTimeToLive':3600,'maxDeliveryCount':10,'lockDuration':60,"
	    "'feedback':{'timeToLive':3600,'lockDuration':60}},"
	    "'limits':{'dailyMessages':0,'messageBlock':4096,'identities':0,'configurations':0,"
	    "'routes':0,'sinks':0,'activeJobs':0,'rates':{},'shares':{}}}");
}

static void
settings__E81_change_by_a_merge_patch(void **state)
{
	(void)state;
	assert_int_equal(
	    patch(NULL, "{'log':{'methods':true},'retention':{'logMaxAge':0}}"), F_NONE);
	assert_string_equal(k.reply.etag, "MQ==");
	assert_int_equal(value(SETTING_LOG_METHODS), 1);
	assert_int_equal(value(SETTING_LOG_MAX_AGE), 0);
	assert_int_equal(value(SETTING_LOG_MAX_SIZE), 1 << 30);
	assert_int_equal(
	    patch(
	        "MQ==", "{'cloudToDevice':{'feedback':{'lockDuration':5}},'log':{'methods':null}}"),
	    F_NONE);
	assert_int_equal(value(SETTING_FEEDBACK_LOCK), 5);
	assert_int_equal(value(SETTING_LOG_METHODS), 0);
	assert_int_equal(value(SETTING_LOG_MAX_AGE), 0);
	assert_int_equal(patch("MQ==", "{'log':{'methods':true}}"), F_PreconditionFailed);
}

static void
settings__E81_E84_say_what_is_wrong_and_change_nothing(void **state)
{
	static const struct {
		const char *json, *text;
	} rows[] = {
		{ "{'log':{'methods':1}}", "log.methods is true or false, not 1" },
		{ "{'log':{'stuff':true}}", "there is no setting log.stuff" },
		{ "{'stuff':true}", "there is no setting stuff" },
		{ "{'log':true}", "log is not an object" },
		{ "{'log':{'jobs':false},'retention':{'logMaxAge':604801}}",
		    "retention.logMaxAge is a number from 1 to 604800, or 0, not 604801" },
		{ "{'cloudToDevice':{'maxDeliveryCount':101}}",
		    "cloudToDevice.maxDeliveryCount is a number from 1 to 100, not 101" },
		{ "{'cloudToDevice':{'feedback':{'timeToLive':'x'}}}",
		    "cloudToDevice.feedback.timeToLive is a number from 60 to 172800, not \"x\"" },
		{ "{'cloudToDevice':{'feedback':{'maxDeliveryCount':1}}}",
		    "there is no setting cloudToDevice.feedback.maxDeliveryCount" },
		{ "{'events':{'partitions':8}}",
		    "events.partitions is fixed when the data directory is made: it is 4, not 8" },
		{ "{'events':{'partitions':5}}",
		    "events.partitions is a power of two from 1 to 32, not 5" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(patch(NULL, rows[i].json), F_ArgumentInvalid);
		assert_string_equal(k.reply.fault.text, rows[i].text);
	}
	assert_int_equal(value(SETTING_LOG_JOBS), 1);
	assert_int_equal(patch(NULL, "{'events':{'partitions':4}}"), F_NONE);
}

static void
settings__E83_E84_first_values_are_the_hubs_own_once(void **state)
{
	struct op op = { .kind = OP_SETTINGS_PATCH, .actor = ACTOR_HUB };

	(void)state;
	kit_doc(&k, "{'events':{'partitions':16}}", &op);
	assert_int_equal(kit_run(&k, &op), F_NONE);
	assert_int_equal(value(SETTING_PARTITIONS), 16);
	kit_doc(&k, "{'events':{'partitions':8}}", &op);
	assert_int_equal(kit_run(&k, &op), F_ArgumentInvalid);
}

static void
settings__E80_records_of_former_programs_are_read(void **state)
{
	static const char one[] = "\1\7\5\2\0\0", bad[] = "\1\7\5\1\2", wrong[] = "\2\7\5\0";
	struct settings *s;

	(void)state;
	assert_int_equal(settings_read((struct str){ one, sizeof(one) - 1 }, &s), ERR_OK);
	assert_int_equal(s->counter, 7);
	assert_int_equal(s->v[SETTING_LOG_TWIN_CHANGES], 0);
	assert_int_equal(s->v[SETTING_LOG_LIFE_CYCLE], 1);
	settings_unref(s);
	assert_int_equal(settings_read((struct str){ bad, sizeof(bad) - 1 }, &s), ERR_CORRUPT);
	assert_int_equal(settings_read((struct str){ wrong, sizeof(wrong) - 1 }, &s), ERR_CORRUPT);
	assert_int_equal(settings_read(STR_NONE, &s), ERR_CORRUPT);
}

/* ---- limits ---- */

static void
limits__O150_O151_change_by_a_merge_patch_and_are_kept(void **state)
{
	struct settings *s, *again;
	struct limit_rules rules;
	struct buf record = { 0 };
	char why[256];

	(void)state;
	assert_int_equal(patch(NULL,
	                     "{'limits':{'rates':{'policy:queries':'20/m,5','hub:updates':'50/s'},"
	                     "'shares':{'policy(team-a)':30}}}"),
	    F_NONE);
	assert_int_equal(patch(NULL,
	                     "{'limits':{'rates':{'hub:updates':null,'hub:reads':'none',"
	                     "'policy:queries':'10/m'},'dailyMessages':8000,'identities':500,"
	                     "'activeJobs':1}}"),
	    F_NONE);
	assert_non_null(strstr(shown(),
	    "'limits':{'dailyMessages':8000,'messageBlock':4096,'identities':500,'configurations':"
	    "0,"
	    "'routes':0,'sinks':0,'activeJobs':1,'rates':{'hub:reads':'none',"
	    "'policy:queries':'10/m'},'shares':{'policy(team-a)':30}}}"));
	s = settings_stored(k.sh);
	settings_record(&record, s);
	assert_int_equal(settings_read(buf_view(&record), &again), ERR_OK);
	assert_true(settings_limits_same(s, again));
	assert_int_equal(settings_limits(again, &rules, why, sizeof(why)), ERR_OK);
	assert_int_equal(rules.n, 2);
	assert_int_equal(rules.shares, 30);
	assert_int_equal(rules.daily, 8000);
	assert_int_equal(rules.counts.most[LIMIT_IDENTITIES], 500);
	assert_int_equal(rules.counts.most[LIMIT_SINKS], 0);
	assert_int_equal(rules.counts.most[LIMIT_ACTIVE_JOBS], 1);
	for (size_t cut = 1; cut < 30; cut++) { /* a record that is cut off is none */
		struct settings *none = NULL;

		assert_int_equal(
		    settings_read((struct str){ record.p, record.n - cut }, &none), ERR_CORRUPT);
	}
	settings_unref(again);
	settings_unref(s);
	buf_fini(&record);
	assert_int_equal(patch(NULL, "{'limits':{'rates':null,'shares':null}}"), F_NONE);
	assert_non_null(strstr(shown(), "'rates':{},'shares':{}"));
}

static void
limits__O150_E81_what_is_none_changes_nothing(void **state)
{
	static const char *const bad[] = { "{'limits':{'rates':{'policy:queries':5}}}",
		"{'limits':{'rates':{'policy:queries':'5'}}}", "{'limits':{'rates':[]}}",
		"{'limits':{'rates':{'':'5/s'}}}", "{'limits':{'shares':{'policy(a)':'30'}}}",
		"{'limits':{'shares':{'policy(a)':-1}}}", "{'limits':{'shares':{'policy(a)':0}}}",
		"{'limits':{'shares':{'policy(a)':60,'policy(b)':40}}}",
		"{'limits':{'rates':{'policy:reads\\u0000':'5/s'}}}",
		"{'limits':{'rates':{'policy:reads':'5/s\\u0000'}}}",
		"{'limits':{'rates':{'policy:reads':'1/s'},'none':1}}", "{'limits':null}",
		"{'limits':{'messageBlock':511}}", "{'limits':{'dailyMessages':-1}}",
		"{'limits':{'activeJobs':11}}", "{'limits':{'configurations':101}}",
		"{'limits':{'sinks':33}}", "{'limits':{'routes':100}}",
		"{'limits':{'identities':100000001}}", "{'limits':{'routes':'5'}}" };
	struct buf many = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(patch(NULL, bad[i]), F_ArgumentInvalid);
	buf_cstr(&many, "{'limits':{'rates':{");
	for (unsigned i = 0; i <= LIMIT_LINES_MAX; i++)
		buf_printf(&many, "%s'policy(p%u):reads':'1/s'", i > 0 ? "," : "", i);
	buf_cstr(&many, "}}}");
	buf_putc(&many, '\0');
	assert_int_equal(patch(NULL, many.p), F_ArgumentInvalid);
	buf_fini(&many);
	assert_non_null(strstr(shown(), "'rates':{},'shares':{}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    settings__E80_are_there_before_anybody_has_set_them, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__E81_change_by_a_merge_patch, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__E81_E84_say_what_is_wrong_and_change_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    settings__E83_E84_first_values_are_the_hubs_own_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    limits__O150_O151_change_by_a_merge_patch_and_are_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    limits__O150_E81_what_is_none_changes_nothing, setup, teardown),
		cmocka_unit_test(settings__E80_records_of_former_programs_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
