/* Edge deployments: what a request may say, and what they make of the modules of edge devices (J-35 to J-60). */
#include "configuration_kit.h"

#include "shard/told.h"

#define BARE "'properties.desired'"

/* A deployment: a base if agent is given, with $edgeHub; and more modules. */
static const char *
deployment(const char *target, int priority, const char *agent, const char *more)
{
	static char text[2048];
	char base[512] = "";

	if (agent != NULL)
		snprintf(base, sizeof(base),
		    "'$edgeAgent':{" BARE ":%s},'$edgeHub':{" BARE ":{'routes':{}}}%s", agent,
		    *more ? "," : "");
	snprintf(text, sizeof(text),
	    "{'targetCondition':'%s','priority':%d,'content':{'modulesContent':{%s%s}}}", target,
	    priority, base, more);
	return text;
}

static void
edge(struct kit *k, const char *id)
{
	assert_int_equal(kit_put(k, id, NULL, "{'capabilities':{'iotEdge':true}}"), F_NONE);
}

#define agent_says(k, want) twin_shows(k, "e/$edgeAgent", "properties/desired/v", want)
#define state(k, id, want)                                                                         \
	do {                                                                                       \
		assert_int_equal(kit_read((k), "e/$edgeAgent"), F_NONE);                           \
		kit_shows((k), "configurations/" id "/status", (want));                            \
	} while (0)

static void
deployment__J44_the_highest_base_counts_alone(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	put(&k, "a", NULL, deployment("*", 1, "{'v':1}", "'m1':{" BARE ":{'x':1}}"));
	agent_says(&k, "1");
	state(&k, "a", "'Applied'");
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	kit_shows(&k, "configurations", "-");
	kit_get(&k, "e/m1");
	kit_shows(&k, "managedBy", "'IotEdge'");
	twin_shows(&k, "e", "configurations", "-");
	put(&k, "b", NULL, deployment("*", 5, "{'v':2}", "'m2':{" BARE ":{'y':2}}"));
	agent_says(&k, "2");
	state(&k, "a", "'Targeted'");
	state(&k, "b", "'Applied'");
	twin_shows(&k, "e/m1", "properties/desired/x", "-");
	twin_shows(&k, "e/m2", "properties/desired/y", "2");
	drop(&k, "b");
	agent_says(&k, "1");
	state(&k, "a", "'Applied'");
	state(&k, "b", "-");
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	twin_shows(&k, "e/m2", "properties/desired/y", "-");
	drop(&k, "a");
	agent_says(&k, "-");
	kit_shows(&k, "configurations", "-");
	twin_shows(&k, "e/m1", "properties/desired/x", "-"); /* the module itself stays */
	end(&k);
}

static void
deployment__J44_layers_lie_on_the_base_below_them(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	put(&k, "base", NULL,
	    deployment(
	        "*", 5, "{'v':1,'modules':{'m1':{'image':'a'}}}", "'m1':{" BARE ":{'x':1,'z':0}}"));
	put(&k, "below", NULL, deployment("*", 4, NULL, "'m1':{'properties.desired.x':9}"));
	state(&k, "below", "'Targeted'");
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	put(&k, "layer", NULL,
	    deployment("*", 6, NULL,
	        "'$edgeAgent':{'properties.desired.modules.m3':{'image':'c'}},"
	        "'m1':{'properties.desired.x':2},'m3':{'properties.desired.k':3}"));
	state(&k, "base", "'Applied'");
	state(&k, "layer", "'Applied'");
	kit_shows(&k, "properties/desired/modules", "{'m1':{'image':'a'},'m3':{'image':'c'}}");
	twin_shows(&k, "e/m1", "properties/desired/x", "2");
	kit_shows(&k, "properties/desired/z", "0");
	twin_shows(&k, "e/m3", "properties/desired/k", "3");
	put(&k, "top", NULL, deployment("*", 7, NULL, "'m1':{" BARE ":{'x':4}}"));
	twin_shows(&k, "e/m1", "properties/desired/x", "4"); /* all of the module */
	kit_shows(&k, "properties/desired/z", "-");
	state(&k, "layer", "'Applied'"); /* with some paths owned: J-45 */
	drop(&k, "top");
	twin_shows(&k, "e/m1", "properties/desired/z", "0");
	drop(&k, "base"); /* layers stand by themselves */
	agent_says(&k, "-");
	kit_shows(&k, "properties/desired/modules", "{'m3':{'image':'c'}}");
	state(&k, "below", "'Targeted'"); /* its only path is the layer's */
	drop(&k, "layer");
	state(&k, "below", "'Applied'");
	twin_shows(&k, "e/m1", "properties/desired/x", "9");
	end(&k);
}

static void
deployment__J58_the_bare_key_is_all_there_is(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	kit_put(&k, "e/m1", NULL, "{}");
	kit_put(&k, "e/m2", NULL, "{}");
	kit_patch(&k, "e/m1", NULL, "{'properties':{'desired':{'own':1,'o':{'p':1}}}}");
	kit_patch(&k, "e/m2", NULL, "{'properties':{'desired':{'own':1}}}");
	put(&k, "a", NULL,
	    deployment(
	        "*", 1, "{'v':1}", "'m1':{" BARE ":{'x':1}},'m2':{'properties.desired.x':1}"));
	twin_shows(&k, "e/m1", "properties/desired/own", "-");
	kit_shows(&k, "properties/desired/o", "-");
	kit_shows(&k, "properties/desired/x", "1");
	twin_shows(&k, "e/m2", "properties/desired/own", "1"); /* J-51 */
	kit_patch(&k, "e/m1", NULL, "{'properties':{'desired':{'own':2,'x':5}}}");
	kit_shows(&k, "properties/desired/own", "-"); /* J-50, in the answer already */
	kit_shows(&k, "properties/desired/x", "1");
	end(&k);
}

static void
deployment__J35_is_for_edge_devices_only(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	kit_device(&k, "e");
	kit_put(&k, "e/m1", NULL, "{}");
	put(&k, "a", NULL, deployment(ENV_T, 1, "{'v':1}", "'m1':{'properties.desired.x':1}"));
	kit_patch(&k, "e", NULL, "{'tags':{'env':'t'}}");
	twin_shows(&k, "e/m1", "properties/desired/x", "-");
	kit_put(&k, "e", "*", "{'capabilities':{'iotEdge':true}}"); /* it becomes one */
	agent_says(&k, "1");
	state(&k, "a", "'Applied'");
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	kit_patch(&k, "e", NULL, "{'tags':{'env':'p'}}");
	agent_says(&k, "-");
	kit_shows(&k, "configurations", "-");
	twin_shows(&k, "e/m1", "properties/desired/x", "-");
	kit_patch(&k, "e", NULL, "{'tags':{'env':'t'}}");
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	kit_put(&k, "e", "*", "{'capabilities':{'iotEdge':false}}"); /* it is none any more */
	agent_says(&k, "-");
	kit_shows(&k, "configurations", "-");
	twin_shows(&k, "e/m1", "properties/desired/x", "-");
	end(&k);
}

static void
deployment__beside_module_and_device_configurations(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	put(&k, "a", NULL, deployment("*", 1, "{'v':1}", "'m1':{'properties.desired.x':1}"));
	put(&k, "mod", NULL,
	    "{'targetCondition':'FROM devices.modules WHERE moduleId = \\u0027m1\\u0027','content':"
	    "{'moduleContent':{'properties.desired.q':7}}}");
	put(&k, "dev", NULL, simple("*", 0, ".d", "8"));
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	kit_shows(&k, "properties/desired/q", "7");
	kit_shows(&k, "configurations", "{'mod':{'status':'Applied'}}");
	twin_shows(&k, "e", "properties/desired/d", "8");
	kit_shows(&k, "configurations", "{'dev':{'status':'Applied'}}");
	drop(&k, "a");
	twin_shows(&k, "e/m1", "properties/desired/x", "-");
	kit_shows(&k, "properties/desired/q", "7");
	drop(&k, "mod");
	twin_shows(&k, "e/m1", "properties/desired/q", "-");
	end(&k);
}

static void
deployment__a_failed_commit_takes_modules_back(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	put(&k, "a", NULL, deployment(ENV_T, 1, "{'v':1}", "'m1':{'properties.desired.x':1}"));
	restart(&k); /* what is needed is not in memory */
	k.hold = true;
	assert_int_equal(kit_patch(&k, "e", NULL, "{'tags':{'env':'t'}}"), F_NONE);
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	agent_says(&k, "1");
	kit_fail(&k, true);
	kit_commit(&k);
	assert_int_equal(kit_read(&k, "e/m1"), F_ModuleNotFound);
	agent_says(&k, "-");
	twin_shows(&k, "e", "tags", "-");
	k.hold = false;
	assert_int_equal(kit_patch(&k, "e", NULL, "{'tags':{'env':'t'}}"), F_NONE);
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	restart(&k);
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	state(&k, "a", "'Applied'");
	end(&k);
}

static void
deployment__L25_where_there_is_no_room_for_a_module_it_stays_targeted(void **ignored)
{
	struct kit k;
	char id[16];

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	for (int i = 0; i < 48; i++) {
		snprintf(id, sizeof(id), "e/x%d", i);
		assert_int_equal(kit_put(&k, id, NULL, "{}"), F_NONE);
	}
	put(&k, "a", NULL, deployment("*", 1, "{'v':1}", "'m1':{'properties.desired.x':1}"));
	state(&k, "a", "'Targeted'");
	assert_int_equal(kit_read(&k, "e/m1"), F_ModuleNotFound);
	kit_delete(&k, "e/x0", "*");
	state(&k, "a", "'Applied'");
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	end(&k);
}

static void
deployment__L24_where_the_hub_has_no_room_it_stays_targeted(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	k.env.identities_left = 1;
	put(&k, "a", NULL,
	    deployment("*", 1, "{'v':1}",
	        "'m1':{'properties.desired.x':1},'m2':{'properties.desired.x':1}"));
	state(&k, "a", "'Targeted'");
	assert_int_equal(kit_read(&k, "e/m1"), F_NONE);
	assert_int_equal(kit_read(&k, "e/m2"), F_ModuleNotFound);
	k.env.identities_left = 1;
	configure_sweep_again(k.sh);
	sweep(&k);
	state(&k, "a", "'Applied'");
	assert_int_equal(kit_read(&k, "e/m2"), F_NONE);
	end(&k);
}

static void
deployment__J50_a_module_that_is_deleted_is_made_again(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	put(&k, "a", NULL, deployment("*", 1, "{'v':1}", "'m1':{'properties.desired.x':1}"));
	k.hold = true;
	assert_int_equal(kit_delete(&k, "e/m1", "*"), F_NONE);
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	kit_fail(&k, false);
	kit_commit(&k);
	twin_shows(&k, "e/m1", "properties/desired/x", "1");
	k.hold = false;
	assert_int_equal(kit_delete(&k, "e/m1", "*"), F_NONE);
	state(&k, "a", "'Applied'");
	assert_string_equal(kit_counters(&k, "e/m1"), "2 3 2 1");
	restart(&k);
	assert_string_equal(kit_counters(&k, "e/m1"), "2 3 2 1");
	drop(&k, "a");
	assert_int_equal(kit_delete(&k, "e/m1", "*"), F_NONE);
	assert_int_equal(kit_read(&k, "e/m1"), F_ModuleNotFound);
	assert_int_equal(kit_delete(&k, "e", "*"), F_NONE);
	end(&k);
}

/* Who has made a module, as the log says. */
static struct str
maker(const struct kit *k, const char *module, enum actor_kind *actor)
{
	struct event e;

	for (uint32_t i = 0; i < k->store.n; i++)
		if (k->store.v[i].kind == RECORD_CHANGES &&
		    event_decode(buf_view(&k->store.v[i].value), &e) == ERR_OK &&
		    e.kind == EVENT_CREATED && str_eq(e.module, str_of(module))) {
			assert_true(told_sound(&e));
			*actor = e.actor;
			return e.actor_name;
		}
	fail_msg("nobody has made %s", module);
	return STR_NONE;
}

/* A sweep is no operation: whoever had the last one has nothing to do with it, and is perhaps no more. */
static void
deployment__E04_a_module_is_made_by_its_deployment(void **ignored)
{
	enum actor_kind actor;
	struct kit k;

	(void)ignored;
	kit_init(&k);
	edge(&k, "e");
	put(&k, "a", NULL, deployment("*", 1, "{'v':1}", "'m1':{" BARE ":{'x':1}}"));
	put(&k, "b", NULL, deployment("*", 2, NULL, "'m2':{" BARE ":{'y':1}}"));
	assert_true(str_eq(maker(&k, "m1", &actor), STR("a")));
	assert_int_equal(actor, ACTOR_CONFIGURATION);
	assert_true(str_eq(maker(&k, "m2", &actor), STR("b")));
	assert_int_equal(actor, ACTOR_CONFIGURATION);
	end(&k);
}

static void
deployment__a_sweep_loads_what_a_family_needs(void **ignored)
{
	struct kit k;
	char id[32];

	(void)ignored;
	kit_init(&k);
	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "e%d", i);
		edge(&k, id);
		strcat(id, "/m1");
		kit_put(&k, id, NULL, "{}");
	}
	assert_int_equal(try_put(&k, "a", NULL,
	                     deployment("*", 1, "{'v':1}", "'m1':{'properties.desired.x':1}")),
	    F_NONE);
	kit_commit(&k);
	restart(&k);
	assert_true(configure_sweep_awaited(k.sh));
	sweep(&k);
	for (int i = 0; i < 6; i++) {
		snprintf(id, sizeof(id), "e%d/m1", i);
		twin_shows(&k, id, "properties/desired/x", "1");
		assert_string_equal(kit_counters(&k, id), "2 3 2 1");
	}
	restart(&k);
	assert_false(configure_sweep_awaited(k.sh));
	end(&k);
}

/* ---- requests ---- */

static void
deployment__J31_J57_contents_that_are_refused(void **ignored)
{
	static const char *const contents[] = { "{'m':{'x':1}}", "{'m':5}", "{'m':{}}",
		"{'m/n':{" BARE ":{}}}", "{'$edgeAgent':{" BARE ":{'v':1}}}",
		"{'m':{" BARE ":{'a':null,'b':[null]}}}", "{'m':{" BARE ":5}}",
		"{'m':{" BARE ":{},'properties.desired.a':1}}" };
	struct kit k;
	char text[512];

	(void)ignored;
	kit_init(&k);
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		snprintf(text, sizeof(text), "{'content':{'modulesContent':%s}}", contents[i]);
		if (try_put(&k, "a", NULL, text) != F_InvalidConfigurationContent)
			fail_msg("%s: %s", contents[i], fault_name(k.reply.fault.code));
	}
	snprintf(text, sizeof(text),
	    "{'content':{'modulesContent':{'m':{" BARE ":{'a':1}}},'deviceContent':{" BARE
	    ":{'a':1}}}}");
	assert_int_equal(try_put(&k, "a", NULL, text), F_InvalidConfigurationContent);
	assert_int_equal(try_put(&k, "a", NULL,
	                     deployment("FROM devices.modules WHERE moduleId = 1", 1, "{}", "")),
	    F_InvalidConfigurationTargetCondition);
	end(&k);
}

static void
deployment__J32_J38_what_is_shown_and_kept(void **ignored)
{
	struct kit k;

	(void)ignored;
	kit_init(&k);
	put(&k, "a", NULL, deployment(ENV_T, 1, "{'v':1}", "'m':{'properties.desired.x':1}"));
	kit_shows(&k, "systemMetrics/queries/targetedCount",
	    "'select deviceId from devices where capabilities.iotEdge = true and (tags.env = "
	    "'t')'");
	kit_shows(&k, "systemMetrics/queries/appliedCount",
	    "'select deviceId from devices.modules where moduleId = '$edgeAgent' and "
	    "configurations.[[a]].status = 'Applied''");
	kit_shows(&k, "systemMetrics/queries/reportedSuccessfulCount",
	    "'select deviceId from devices.modules where moduleId = '$edgeAgent' and "
	    "configurations.[[a]].status = 'Applied' and properties.desired.$version = "
	    "properties.reported.lastDesiredVersion and properties.reported.lastDesiredStatus.code "
	    "= "
	    "200'");
	kit_shows(&k, "systemMetrics/results/reportedFailedCount", "0");
	assert_int_equal(try_put(&k, "a", "*",
	                     deployment(ENV_T, 2, "{'v':1}", "'m':{'properties.desired.x':1.0}")),
	    F_NONE);
	kit_shows(&k, "priority", "2");
	assert_int_equal(try_put(&k, "a", "*", deployment(ENV_T, 2, "{'v':2}", "")),
	    F_CannotModifyImmutableConfigurationContent);
	assert_int_equal(
	    try_put(&k, "a", "*", "{'content':{'deviceContent':{'properties.desired.x':1}}}"),
	    F_CannotModifyImmutableConfigurationContent);
	put(&k, "b", NULL, deployment("*", 1, "{'v':1}", ""));
	kit_shows(&k, "systemMetrics/queries/targetedCount",
	    "'select deviceId from devices where capabilities.iotEdge = true'");
	put(&k, "c", NULL, deployment("FROM devices WHERE " ENV_T, 1, "{'v':1}", ""));
	kit_shows(&k, "systemMetrics/queries/targetedCount",
	    "'select deviceId from devices where capabilities.iotEdge = true and (tags.env = "
	    "'t')'");
	put(&k, "d", NULL, deployment("", 1, "{'v':1}", ""));
	kit_shows(&k, "systemMetrics/queries/targetedCount", "''");
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deployment__J44_the_highest_base_counts_alone),
		cmocka_unit_test(deployment__J44_layers_lie_on_the_base_below_them),
		cmocka_unit_test(deployment__J58_the_bare_key_is_all_there_is),
		cmocka_unit_test(deployment__J35_is_for_edge_devices_only),
		cmocka_unit_test(deployment__beside_module_and_device_configurations),
		cmocka_unit_test(deployment__a_failed_commit_takes_modules_back),
		cmocka_unit_test(
		    deployment__L25_where_there_is_no_room_for_a_module_it_stays_targeted),
		cmocka_unit_test(deployment__L24_where_the_hub_has_no_room_it_stays_targeted),
		cmocka_unit_test(deployment__J50_a_module_that_is_deleted_is_made_again),
		cmocka_unit_test(deployment__E04_a_module_is_made_by_its_deployment),
		cmocka_unit_test(deployment__a_sweep_loads_what_a_family_needs),
		cmocka_unit_test(deployment__J31_J57_contents_that_are_refused),
		cmocka_unit_test(deployment__J32_J38_what_is_shown_and_kept),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
