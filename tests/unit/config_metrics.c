/* What configurations have counted, and their records: the texts of metrics, waves in devices, records that cannot be one. */
#include "configuration_kit.h"

static const struct configuration *
stored(const char *id)
{
	return configurations_find(published, str_of(id));
}

static const char *
metric(const struct configuration *c, uint32_t i)
{
	static char text[1024];
	struct buf out = { 0 };

	configuration_metric(c, i, &out);
	snprintf(text, sizeof(text), "%.*s", (int)out.n, out.n != 0 ? out.p : "");
	buf_fini(&out);
	return text;
}

#define metric_is(c, i, want) assert_string_equal(metric((c), (i)), (want))

/* Each of them can be asked, or is empty. */
static void
texts_are_queries(const struct configuration *c)
{
	for (uint32_t i = 0; i < configuration_metrics(c); i++) {
		struct str text = str_of(metric(c, i));
		struct query *q = NULL;
		struct fault f;

		if (text.n == 0)
			continue;
		assert_int_equal(configuration_metric_plan(text, &q, &f), ERR_OK);
		query_free(q);
	}
}

static const char *
content(const char *target, const char *kind, const char *members)
{
	static char text[1024];

	snprintf(text, sizeof(text), "{'targetCondition':'%s','content':{'%s':%s}}", target, kind,
	    members);
	return text;
}

static void
metrics__J38_texts_of_devices_and_modules(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "all", NULL, simple("*", 1, ".a", "1"));
	put(&k, "some", NULL, simple(ENV_T, 1, ".a", "1"));
	put(&k, "none", NULL, simple("", 1, ".a", "1"));
	put(&k, "mods", NULL,
	    content("from devices.modules where moduleId = \\u0027m\\u0027", "moduleContent",
	        "{'properties.desired.a':1}"));
	metric_is(stored("all"), 0, "select deviceId from devices");
	metric_is(stored("all"), 1,
	    "select deviceId from devices where configurations.[[all]].status = 'Applied'");
	metric_is(stored("some"), 0, "select deviceId from devices where tags.env = 't'");
	metric_is(stored("none"), 0, "");
	metric_is(stored("mods"), 0, "select deviceId from devices.modules where moduleId = 'm'");
	metric_is(stored("mods"), 1,
	    "select deviceId from devices.modules where configurations.[[mods]].status = "
	    "'Applied'");
	for (uint32_t i = 0; i < published->n; i++) {
		assert_int_equal(configuration_metrics(published->v[i]), 2);
		texts_are_queries(published->v[i]);
	}
	end(&k);
}

static void
metrics__J38_deployments_are_told_by_their_agents(void **state)
{
#define OF_AGENT                                                                                   \
	"select deviceId from devices.modules where moduleId = '$edgeAgent' and "                  \
	"configurations.[[e]].status = 'Applied'"
#define HEARD                                                                                      \
	" and properties.desired.$version = properties.reported.lastDesiredVersion and "           \
	"properties.reported.lastDesiredStatus.code"
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "e", NULL, content(ENV_T, "modulesContent", "{'m':{'properties.desired.a':1}}"));
	metric_is(stored("e"), 0,
	    "select deviceId from devices where capabilities.iotEdge = true and (tags.env = 't')");
	metric_is(stored("e"), 1, OF_AGENT);
	metric_is(stored("e"), 2, OF_AGENT HEARD " = 200");
	metric_is(stored("e"), 3, OF_AGENT HEARD " != 200");
	assert_int_equal(configuration_metrics(stored("e")), 4);
	texts_are_queries(stored("e"));
	end(&k);
}

static void
metrics__J40_users_come_in_their_order(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL,
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.a':1}},"
	    "'metrics':{'queries':{'z':'select deviceId from devices where tags.z = 1',"
	    "'b':'select deviceId from devices where tags.b = 1'}}}");
	assert_int_equal(configuration_metrics(stored("a")), 4);
	assert_int_equal(configuration_system_metrics(stored("a")), 2);
	metric_is(stored("a"), 2, "select deviceId from devices where tags.z = 1");
	metric_is(stored("a"), 3, "select deviceId from devices where tags.b = 1");
	end(&k);
}

#define PLAN                                                                                       \
	"'rollout':{'waves':[{'count':2,'successQuery':'tags.ok = true','failureQuery':'tags.bad " \
	"= true'},{'percent':10},{'percent':100}]}"

/* While a wave is under way three more are counted, and of one of them only what the rollout has reached. */
static void
metrics__RO3_a_wave_is_counted_by_its_queries(void **state)
{
	struct op op = op_of(OP_ROLLOUT, "a", NULL);
	const struct configuration *c;
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "a", NULL,
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.a':1}}," PLAN
	    "}");
	assert_int_equal(configuration_metrics(stored("a")), 2);
	op.rollout = (struct op_rollout){ .action = ROLLOUT_LOOK,
		.seen = { .step = stored("a")->rollout->step, .bound = 7, .size = 2, .all = 9 } };
	assert_int_equal(kit_run(&k, &op), F_NONE);
	publish(&k);
	c = stored("a");
	assert_int_equal(configuration_metrics(c), 2 + ROLLOUT_COUNTS);
	metric_is(c, 2 + COUNT_TARGETED, "select deviceId from devices");
	metric_is(c, 2 + COUNT_SUCCEEDED,
	    "select deviceId from devices where configurations.[[a]].status = 'Applied' and "
	    "(tags.ok = true)");
	metric_is(c, 2 + COUNT_FAILED,
	    "select deviceId from devices where configurations.[[a]].status = 'Applied' and "
	    "(tags.bad = true)");
	for (uint32_t i = 0; i < configuration_metrics(c); i++)
		assert_int_equal(configuration_metric_reached(c, i), i == 2 + COUNT_TARGETED);
	texts_are_queries(c);
	end(&k);
}

static void
rollout__RO2_a_wave_in_devices(void **state)
{
	struct kit k;
	struct rollout r;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL,
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.a':1}}," PLAN
	    "}");
	r = *stored("a")->rollout;
	assert_int_equal(rollout_size(&r, 0), 0);
	assert_int_equal(rollout_size(&r, 1), 1); /* no more than there are */
	assert_int_equal(rollout_size(&r, 1000), 2);
	r.begun = 1;
	assert_int_equal(rollout_size(&r, 3), 1); /* a wave has a device, if there is one */
	assert_int_equal(rollout_size(&r, 1000), 100);
	assert_int_equal(rollout_size(&r, 1001), 101); /* upwards */
	r.begun = 2;
	assert_int_equal(rollout_size(&r, 1001), 1001);
	end(&k);
}

static enum err
load(struct kit *k, const char *key, size_t nkey, struct str value)
{
	return shard_common(k->sh, (struct str){ key, nkey }, &value);
}

/* Nothing has changed then. */
static void
stored__what_is_no_record_is_damage(void **state)
{
	struct buf record = { 0 };
	struct kit k;

	(void)state;
	kit_init(&k);
	put(&k, "a", NULL, simple("*", 1, ".a", "1"));
	buf_str(&record, stored("a")->record);
	assert_int_equal(load(&k, "configuration/b", 15, buf_view(&record)), ERR_CORRUPT);
	for (size_t n = 0; n < record.n; n++)
		assert_int_equal(
		    load(&k, "configuration/a", 15, (struct str){ record.p, n }), ERR_CORRUPT);
	record.p[0]++; /* a format that is not known */
	assert_int_equal(load(&k, "configuration/a", 15, buf_view(&record)), ERR_CORRUPT);
	assert_int_equal(load(&k, "swept/\0\3", 8, STR("1234567")), ERR_CORRUPT);
	assert_int_equal(load(&k, "swept/\0\3", 8, STR("123456789")), ERR_CORRUPT);
	publish(&k);
	assert_int_equal(published->n, 1);
	assert_non_null(stored("a"));
	assert_false(configure_sweep_awaited(k.sh)); /* through with the set, as before */
	buf_fini(&record);
	end(&k);
}

/* A start reads these keys and no others: the hub's configurations are on shard 0 alone. */
static void
stored__each_shard_has_its_prefixes(void **state)
{
	static const struct feature *const features[] = { &configuration_feature, NULL };
	char room[HUB_PREFIX_MAX];

	(void)state;
	for (uint32_t i = 0; i < 2; i++) {
		struct shard *sh = shard_new(i * 5, features);
		struct str prefix = STR_NONE;

		assert_true(shard_common_prefix(sh, &prefix, room));
		assert_memory_equal(prefix.p, i == 0 ? "epoch/\0\0" : "epoch/\0\5", 8);
		assert_true(shard_common_prefix(sh, &prefix, room));
		assert_memory_equal(prefix.p, i == 0 ? "events/\0\0" : "events/\0\5", 9);
		assert_true(shard_common_prefix(sh, &prefix, room));
		assert_memory_equal(prefix.p, i == 0 ? "connected/\0\0" : "connected/\0\5", 12);
		assert_true(shard_common_prefix(sh, &prefix, room));
		assert_memory_equal(prefix.p, i == 0 ? "ended/\0\0" : "ended/\0\5", 8);
		if (i == 0) {
			assert_true(shard_common_prefix(sh, &prefix, room));
			assert_true(str_eq(prefix, STR("configuration/")));
		}
		assert_true(shard_common_prefix(sh, &prefix, room));
		assert_int_equal(prefix.n, 8);
		assert_memory_equal(prefix.p, i == 0 ? "swept/\0\0" : "swept/\0\5", 8);
		assert_false(shard_common_prefix(sh, &prefix, room));
		shard_free(sh);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics__J38_texts_of_devices_and_modules),
		cmocka_unit_test(metrics__J38_deployments_are_told_by_their_agents),
		cmocka_unit_test(metrics__J40_users_come_in_their_order),
		cmocka_unit_test(metrics__RO3_a_wave_is_counted_by_its_queries),
		cmocka_unit_test(rollout__RO2_a_wave_in_devices),
		cmocka_unit_test(stored__what_is_no_record_is_damage),
		cmocka_unit_test(stored__each_shard_has_its_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
