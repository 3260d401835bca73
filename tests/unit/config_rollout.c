/* Rollouts: what a plan may say, the steps, who is reached, and what a rollback puts back (docs/rollouts.md). */
#include "configuration_kit.h"

#define FLEET 200

static const char *
body(const char *plan)
{
	static char text[4096];

	snprintf(text, sizeof(text),
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.cfg':{'a':1}}},"
	    "'rollout':%s}",
	    plan);
	return text;
}

#define WAVES "{'waves':[{'count':1},{'percent':10},{'percent':100}]}"

static struct rollout *
rollout(void)
{
	return configurations_find(published, STR("a"))->rollout;
}

static enum fault_code
run_rollout(struct kit *k, struct op_rollout ask)
{
	struct op op = op_of(OP_ROLLOUT, "a", NULL);
	enum fault_code code;

	op.rollout = ask;
	op.actor_name = STR("owner");
	code = kit_run(k, &op);
	publish(k);
	return code;
}

static enum fault_code
ask(struct kit *k, enum rollout_action action)
{
	enum fault_code code = run_rollout(k, (struct op_rollout){ .action = action });

	sweep(k);
	return code;
}

/* What the coordinator has counted, as of the step that holds. */
static void
see(struct kit *k, struct rollout_seen seen)
{
	seen.step = rollout()->step;
	assert_int_equal(
	    run_rollout(k, (struct op_rollout){ .action = ROLLOUT_LOOK, .seen = seen }), F_NONE);
	sweep(k);
}

static void
wave(struct kit *k, double share)
{
	see(k,
	    (struct rollout_seen){
	        .bound = (uint64_t)(share * (double)ROLLOUT_ALL), .size = 1, .all = 2 });
}

static void
counted(struct kit *k, uint64_t targeted, uint64_t succeeded, uint64_t failed)
{
	see(k, (struct rollout_seen){ .counts = { targeted, succeeded, succeeded, failed } });
}

static const char *
status(struct kit *k)
{
	static char text[64];
	struct buf json = { 0 };
	struct doc_parsed info;
	struct buf bytes = { 0 };
	struct out o = out_to(&json);

	rollout_put(&o, rollout(), NULL);
	assert_int_equal(doc_parse(k->parser, buf_view(&json), &bytes, &info, NULL), ERR_OK);
	snprintf(text, sizeof(text), STR_FMT " %u",
	    STR_ARG(doc_str(doc_getc(doc_of(buf_view(&bytes)), "status"))), rollout()->begun);
	buf_fini(&json);
	buf_fini(&bytes);
	return text;
}

#define is(k, want) assert_string_equal(status(k), (want))

static uint32_t
reached(struct kit *k, bool who[FLEET])
{
	uint32_t n = 0;

	for (int i = 0; i < FLEET; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%d", i);
		assert_int_equal(kit_read(k, id), F_NONE);
		who[i] = strcmp(kit_at(k, "configurations/a/status"), "'Applied'") == 0;
		n += who[i];
	}
	return n;
}

static void
begin(struct kit *k, const char *plan)
{
	kit_init(k);
	for (int i = 0; i < FLEET; i++) {
		char id[16];

		snprintf(id, sizeof(id), "d%d", i);
		kit_device(k, id);
	}
	put(k, "a", NULL, body(plan));
}

/* ---- plans ---- */

static void
rollout__RO2_bad_plans(void **state)
{
	static const struct {
		const char *plan;
		enum fault_code code;
	} rows[] = {
		{ "[]", F_ArgumentInvalid },
		{ "{}", F_ArgumentInvalid },
		{ "{'waves':[]}", F_ArgumentInvalid },
		{ "{'waves':[1]}", F_ArgumentInvalid },
		{ "{'waves':[{}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':50}]}", F_ArgumentInvalid },
		{ "{'waves':[{'count':5}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100,'count':5}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':0},{'percent':100}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':101}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':'100'}]}", F_ArgumentInvalid },
		{ "{'waves':[{'count':1.5},{'percent':100}]}", F_ArgumentInvalid },
		{ "{'waves':[{'count':0},{'percent':100}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':10},{'percent':10},{'percent':100}]}", F_ArgumentInvalid },
		{ "{'waves':[{'count':10},{'percent':5},{'count':9},{'percent':100}]}",
		    F_ArgumentInvalid },
		{ "{'waves':[{'percent':100,'maxFailurePercnt':5}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100}],'onFail':'halt'}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100}],'onFailure':'stop'}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100,'soakSeconds':-1}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100,'soakSeconds':99999999}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100,'maxFailurePercent':101}]}", F_ArgumentInvalid },
		{ "{'waves':[{'percent':100,'successQuery':7}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'successQuery':''}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'a ='}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'a = 1) or (b = 1'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'tag.broken = true'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'select count() from devices'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'select top 5 * from devices'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'select * from devices.modules'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':' from devices.modules where a = 1'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
		{ "{'waves':[{'percent':100,'failureQuery':'select * from devices.jobs'}]}",
		    F_InvalidConfigurationCustomMetricsQuery },
	};
	struct kit k;

	(void)state;
	kit_init(&k);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (try_put(&k, "a", NULL, body(rows[i].plan)) != rows[i].code)
			fail_msg("%s: %d %s", rows[i].plan, k.reply.fault.code, k.reply.fault.text);
	assert_int_equal(k.store.n, 0);
	end(&k);
}

static void
rollout__RO2_queries_are_conditions_or_as_metrics_are(void **state)
{
	static const char *const good[] = { "tags.a = 1", "properties.reported.x > 1 or tags.b",
		"from devices where tags.a = 1", "select deviceId from devices where tags.a = 1",
		"  SELECT * FROM devices WHERE tags.a = 1;", "*",
		" from devices\\nwhere tags.a = 1" };
	struct buf text = { 0 };
	struct kit k;

	(void)state;
	kit_init(&k);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char plan[256];

		snprintf(plan, sizeof(plan),
		    "{'waves':[{'percent':100,'successQuery':'%s','failureQuery':'%s'}]}", good[i],
		    good[i]);
		put(&k, "a", NULL, body(plan));
		wave(&k, 1);
		text.n = 0;
		configuration_count(configurations_find(published, STR("a")), COUNT_FAILED, &text);
		buf_putc(&text, '\0');
		if (i == 1)
			assert_string_equal(text.p,
			    "select deviceId from devices where configurations.[[a]].status = "
			    "'Applied' and (properties.reported.x > 1 or tags.b)");
		else if (i == 5)
			assert_string_equal(text.p,
			    "select deviceId from devices where configurations.[[a]].status = "
			    "'Applied'");
		else
			assert_string_equal(text.p,
			    "select deviceId from devices where configurations.[[a]].status = "
			    "'Applied' and (tags.a = 1)");
		drop(&k, "a");
	}
	buf_fini(&text);
	end(&k);
}

/* ---- the steps ---- */

static void
rollout__RO1_RO3_waves_soak_and_complete(void **state)
{
	struct kit k;

	(void)state;
	begin(&k,
	    "{'waves':[{'count':1,'soakSeconds':60},{'percent':10,'minSuccessPercent':90},{"
	    "'percent':100}]}");
	is(&k, "pending 0");
	see(&k, (struct rollout_seen){ 0 }); /* no device */
	is(&k, "pending 0");
	wave(&k, 0.05);
	is(&k, "running 1");
	counted(&k, 10, 9, 0);
	is(&k, "running 1");
	counted(&k, 10, 10, 0);
	is(&k, "soaking 1");
	counted(&k, 10, 10, 0);
	is(&k, "soaking 1");
	counted(&k, 10, 9, 0); /* the soak begins anew */
	is(&k, "running 1");
	counted(&k, 10, 10, 0);
	k.env.now_us += 40 * SECOND;
	counted(&k, 10, 10, 0);
	is(&k, "soaking 1");
	k.env.now_us += 30 * SECOND;
	counted(&k, 10, 10, 0);
	is(&k, "pending 1");
	wave(&k, 0.3);
	counted(&k, 20, 17, 0);
	is(&k, "running 2");
	counted(&k, 20, 18, 0);
	is(&k, "soaking 2");
	counted(&k, 20, 18, 0);
	wave(&k, 1);
	counted(&k, 0, 0, 0); /* nobody is not enough */
	is(&k, "running 3");
	counted(&k, 200, 200, 0);
	counted(&k, 200, 200, 0);
	is(&k, "completed 3");
	end(&k);
}

static void
rollout__RO4_RO5_halts_over_the_threshold_and_resumes(void **state)
{
	struct kit k;

	(void)state;
	begin(&k,
	    "{'waves':[{'percent':10,'failureQuery':'tags.a = 1','maxFailurePercent':5},{"
	    "'percent':100}]}");
	wave(&k, 0.1);
	counted(&k, 100, 50, 5); /* not over it */
	is(&k, "running 1");
	counted(&k, 100, 50, 6);
	is(&k, "halted 1");
	assert_string_equal(
	    rollout()->events[rollout()->nevent - 1].reason, "6 of 100 devices fail, over 5 %");
	assert_int_equal(ask(&k, ROLLOUT_HALT), F_OperationNotAllowedInCurrentState);
	assert_int_equal(ask(&k, ROLLOUT_RESUME), F_NONE);
	counted(&k, 100, 50, 8); /* those that the one who resumes knows of */
	is(&k, "running 1");
	counted(&k, 100, 50, 8);
	is(&k, "running 1");
	counted(&k, 100, 50, 9);
	is(&k, "halted 1");
	assert_int_equal(ask(&k, ROLLOUT_ADVANCE), F_NONE);
	is(&k, "pending 1");
	assert_int_equal(ask(&k, ROLLOUT_HALT), F_NONE);
	assert_int_equal(ask(&k, ROLLOUT_RESUME), F_NONE);
	is(&k, "pending 1"); /* between two waves it resumes there */
	wave(&k, 1);
	is(&k, "running 2");
	assert_string_equal(rollout()->events[rollout()->nevent - 3].actor, "owner");
	end(&k);
}

static void
rollout__RO4_a_failure_rolls_back_where_the_plan_says_so(void **state)
{
	bool who[FLEET];
	struct kit k;

	(void)state;
	begin(&k, "{'waves':[{'percent':100,'failureQuery':'tags.a = 1'}],'onFailure':'rollback'}");
	wave(&k, 1);
	assert_int_equal(reached(&k, who), FLEET);
	counted(&k, FLEET, 3, 1);
	is(&k, "rollingBack 1");
	assert_int_equal(reached(&k, who), 0);
	see(&k, (struct rollout_seen){ .holders = 1 });
	is(&k, "rollingBack 1");
	see(&k, (struct rollout_seen){ .holders = 0 });
	is(&k, "rolledBack 1");
	end(&k);
}

static void
rollout__RO5_what_may_be_asked_when(void **state)
{
	static const enum rollout_action all[] = { ROLLOUT_HALT, ROLLOUT_RESUME, ROLLOUT_ADVANCE,
		ROLLOUT_ROLLBACK };
	static const struct {
		enum rollout_status status;
		const char *may; /* h r a b */
	} rows[] = { { ROLLOUT_PENDING, "hab" }, { ROLLOUT_RUNNING, "hab" },
		{ ROLLOUT_SOAKING, "hab" }, { ROLLOUT_HALTED, "rab" }, { ROLLOUT_COMPLETED, "b" },
		{ ROLLOUT_ROLLING_BACK, "" }, { ROLLOUT_ROLLED_BACK, "" } };
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	wave(&k, 0.1);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int a = 0; a < 4; a++) {
			struct rollout r = *rollout();
			bool may = strchr(rows[i].may, "hrab"[a]) != NULL;
			enum err e;

			r.status = rows[i].status;
			if (r.status == ROLLOUT_PENDING && all[a] == ROLLOUT_ADVANCE)
				continue; /* it is on its way */
			e = rollout_act(&r, all[a], STR("x"), 1, NULL);
			if ((e == ERR_OK) != may)
				fail_msg("status %d, action %d", (int)i, a);
		}
	}
	put(&k, "plain", NULL, simple("*", 0, ".b", "1"));
	{
		struct op op = op_of(OP_ROLLOUT, "plain", NULL);

		op.rollout.action = ROLLOUT_HALT;
		assert_int_equal(kit_run(&k, &op), F_OperationNotAllowedInCurrentState);
		op.name = STR("nobody");
		assert_int_equal(kit_run(&k, &op), F_ConfigurationNotFound);
	}
	end(&k);
}

static void
rollout__RO3_what_was_seen_of_another_step_is_nothing(void **state)
{
	struct rollout_seen seen = { .bound = ROLLOUT_ALL, .size = 1, .all = 1 };
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	seen.step = rollout()->step;
	assert_int_equal(ask(&k, ROLLOUT_HALT), F_NONE);
	run_rollout(&k, (struct op_rollout){ .action = ROLLOUT_LOOK, .seen = seen });
	is(&k, "halted 0");
	assert_int_equal(ask(&k, ROLLOUT_RESUME), F_NONE);
	run_rollout(&k, (struct op_rollout){ .action = ROLLOUT_LOOK, .seen = seen });
	is(&k, "pending 0");
	end(&k);
}

static void
rollout__RO6_a_look_that_saw_nothing_is_told_once(void **state)
{
	uint32_t n;
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	n = rollout()->nevent;
	see(&k, (struct rollout_seen){ .blind = true, .bound = ROLLOUT_ALL });
	see(&k, (struct rollout_seen){ .blind = true, .bound = ROLLOUT_ALL });
	is(&k, "pending 0");
	assert_int_equal(rollout()->nevent, n + 1);
	wave(&k, 1);
	see(&k, (struct rollout_seen){ .blind = true });
	assert_int_equal(rollout()->nevent, n + 3);
	restart(&k);
	is(&k, "running 1");
	end(&k);
}

static void
rollout__RO6_the_history_is_bounded(void **state)
{
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(ask(&k, ROLLOUT_HALT), F_NONE);
		assert_int_equal(ask(&k, ROLLOUT_RESUME), F_NONE);
	}
	assert_int_equal(rollout()->nevent, ROLLOUT_HISTORY_MAX);
	restart(&k);
	assert_int_equal(rollout()->nevent, ROLLOUT_HISTORY_MAX);
	is(&k, "pending 0");
	end(&k);
}

/* ---- who is reached ---- */

static void
rollout__RO7_a_device_joins_once_and_stays(void **state)
{
	bool before[FLEET], now[FLEET];
	uint32_t n, last = 0;
	struct kit k;

	(void)state;
	begin(&k,
	    "{'waves':[{'percent':1},{'percent':10},{'percent':30},{'percent':60},{'percent':"
	    "100}]}");
	assert_int_equal(reached(&k, before), 0);
	for (int w = 0; w < 5; w++) {
		static const double shares[] = { 0.05, 0.1, 0.3, 0.6, 1 };

		wave(&k, shares[w]);
		n = reached(&k, now);
		assert_true(n > last);
		if (w < 4)
			assert_true(n < FLEET);
		for (int i = 0; i < FLEET; i++)
			assert_true(now[i] || !before[i]);
		memcpy(before, now, sizeof(now));
		last = n;
		if (w % 2)
			restart(&k);
		assert_false(configure_sweep_awaited(k.sh));
		counted(&k, n, n, 0);
		counted(&k, n, n, 0);
	}
	assert_int_equal(last, FLEET);
	is(&k, "completed 5");
	for (int i = 0; i < FLEET; i++) { /* written to once */
		char id[16];

		snprintf(id, sizeof(id), "d%d", i);
		assert_string_equal(kit_counters(&k, id), "3 4 2 1");
	}
	end(&k);
}

static void
rollout__RO8_new_devices(void **state)
{
	unsigned n = 0;
	char id[16];
	struct kit k;

	(void)state;
	begin(&k, "{'waves':[{'percent':50},{'percent':100}]}");
	for (int i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "p%d", i);
		kit_device(&k, id);
		kit_shows(&k, "configurations", "-");
	}
	wave(&k, 0.5);
	for (int i = 0; i < 100; i++) { /* in proportion */
		snprintf(id, sizeof(id), "r%d", i);
		kit_device(&k, id);
		assert_int_equal(kit_read(&k, id), F_NONE);
		n += strcmp(kit_at(&k, "configurations"), "-") != 0;
	}
	assert_in_range(n, 25, 75);
	assert_int_equal(ask(&k, ROLLOUT_HALT), F_NONE);
	for (int i = 0; i < 100; i++) { /* nobody gets it */
		snprintf(id, sizeof(id), "h%d", i);
		kit_device(&k, id);
		assert_int_equal(kit_read(&k, id), F_NONE);
		kit_shows(&k, "configurations", "-");
	}
	snprintf(id, sizeof(id), "r%d", 0);
	assert_int_equal(ask(&k, ROLLOUT_RESUME), F_NONE);
	assert_int_equal(ask(&k, ROLLOUT_ADVANCE), F_NONE);
	wave(&k, 1);
	twin_shows(&k, "h7", "properties/desired/cfg/a", "1");
	twin_shows(&k, "p7", "properties/desired/cfg/a", "1");
	end(&k);
}

static void
rollout__RO4_a_halt_stops_in_the_middle_of_a_wave(void **state)
{
	bool who[FLEET];
	uint32_t n;
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	k.env.now_us += SECOND;
	run_rollout(&k,
	    (struct op_rollout){ .action = ROLLOUT_LOOK,
	        .seen = { .step = rollout()->step, .bound = ROLLOUT_ALL, .size = 1, .all = 1 } });
	for (int i = 0; i < FLEET / 2; i++)
		sweep_one(&k);
	kit_commit(&k);
	assert_int_equal(ask(&k, ROLLOUT_HALT), F_NONE);
	n = reached(&k, who);
	assert_int_equal(n, FLEET / 2);
	kit_patch(&k, "d199", NULL, "{'tags':{'x':1}}");
	kit_shows(&k, "configurations", "-");
	kit_patch(&k, "d0", NULL, "{'tags':{'x':1}}"); /* who has it keeps it */
	kit_shows(&k, "properties/desired/cfg/a", "1");
	restart(&k);
	assert_int_equal(ask(&k, ROLLOUT_RESUME), F_NONE);
	assert_int_equal(reached(&k, who), FLEET);
	end(&k);
}

/* ---- what was before ---- */

static void
rollout__RO9_rollback_puts_back_what_was_there(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	kit_patch(&k, "d", NULL,
	    "{'properties':{'desired':{'cfg':{'a':'old','own':1},'flag':{'x':1,'y':{'z':2}},"
	    "'gone':[1,{'q':2}],'same':5,'low':0,'keep':9}}}");
	put(&k, "below", NULL, simple("*", 1, ".low", "1"));
	put(&k, "a", NULL,
	    "{'targetCondition':'*','priority':9,'content':{'deviceContent':{'properties.desired."
	    "cfg':{'a':'new','b':'new'},'properties.desired.flag':true,'properties.desired.gone':"
	    "null,'properties.desired.same':5,'properties.desired.low':2,'properties.desired.fresh'"
	    ":{'k':1}}},'rollout':" WAVES "}");
	twin_shows(&k, "d", "properties/desired/cfg", "{'a':'old','own':1}");
	wave(&k, 1);
	twin_shows(&k, "d", "properties/desired/cfg", "{'a':'new','own':1,'b':'new'}");
	kit_shows(&k, "properties/desired/flag", "true");
	kit_shows(&k, "properties/desired/gone", "-");
	kit_shows(&k, "properties/desired/low", "2");
	kit_shows(&k, "configurations",
	    "{'a':{'status':'Applied'},'below':{'status':'Targeted'}}"); /* nothing else shows */
	shard_evict(k.sh, 0);
	restart(&k);
	kit_patch(&k, "d", NULL, "{'tags':{'t':1},'properties':{'desired':{'keep':10}}}");
	kit_subscribe(&k, "d", kit_connect(&k, "d", 7, true), "td");
	kit_effects(&k);
	assert_int_equal(ask(&k, ROLLOUT_ROLLBACK), F_NONE);
	twin_shows(&k, "d", "properties/desired/cfg", "{'own':1,'a':'old'}");
	kit_shows(&k, "properties/desired/flag", "{'x':1,'y':{'z':2}}");
	kit_shows(&k, "properties/desired/gone", "[1,{'q':2}]");
	kit_shows(&k, "properties/desired/same", "5");
	kit_shows(&k, "properties/desired/low", "1"); /* the next configuration's */
	kit_shows(&k, "properties/desired/fresh", "-");
	kit_shows(&k, "properties/desired/keep", "10");
	kit_shows(&k, "configurations", "{'below':{'status':'Applied'}}");
	kit_shows(&k, "properties/desired/$metadata/cfg/a/$lastUpdatedBy", "-");
	assert_true(strstr(kit_effects(&k), "$version") == strrchr(k.text.p, '$')); /* one change */
	end(&k);
}

static void
rollout__RO9_only_a_rollback_does(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	for (int i = 0; i < 3; i++) {
		static const char *const ids[] = { "left", "written", "deleted" };

		kit_device(&k, ids[i]);
		kit_patch(
		    &k, ids[i], NULL, "{'tags':{'t':1},'properties':{'desired':{'v':'old'}}}");
	}
	put(&k, "a", NULL,
	    "{'targetCondition':'tags.t = 1','content':{'deviceContent':{'properties.desired.v':"
	    "'new'}},'rollout':" WAVES "}");
	wave(&k, 1);
	kit_patch(&k, "left", NULL, "{'tags':{'t':2}}");
	kit_shows(&k, "properties/desired/v", "-"); /* J-52 */
	assert_int_equal(ask(&k, ROLLOUT_ROLLBACK), F_NONE);
	twin_shows(&k, "left", "properties/desired/v", "-");
	twin_shows(&k, "deleted", "properties/desired/v", "'old'");
	kit_patch(&k, "deleted", NULL, "{'properties':{'desired':{'v':null}}}");
	drop(&k, "a");
	twin_shows(&k, "deleted", "properties/desired/v", "-");
	end(&k);
}

static void
rollout__RO9_another_ones_value_stands(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	kit_patch(&k, "d", NULL, "{'properties':{'desired':{'v':'old','w':'old'}}}");
	put(&k, "a", NULL,
	    "{'targetCondition':'*','content':{'deviceContent':{'properties.desired.v':'new',"
	    "'properties.desired.w':'new'}},'rollout':" WAVES "}");
	wave(&k, 1);
	put(&k, "over", NULL, simple("*", 9, ".v", "'over'"));
	twin_shows(&k, "d", "properties/desired/v", "'over'");
	assert_int_equal(ask(&k, ROLLOUT_ROLLBACK), F_NONE);
	twin_shows(&k, "d", "properties/desired/v", "'over'");
	kit_shows(&k, "properties/desired/w", "'old'");
	end(&k);
}

/* ---- changes of a plan ---- */

static void
rollout__RO10_plans_change_where_nothing_moves(void **state)
{
	bool who[FLEET];
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	put(&k, "a", "*", "{'targetCondition':'*','priority':3}"); /* left out: it stays */
	is(&k, "pending 0");
	put(&k, "a", "*", body("{'waves':[{'percent':10},{'percent':100}]}"));
	wave(&k, 0.1);
	put(&k, "a", "*", body("{'waves':[{'percent':10},{'percent':100}],'state':{'x':1}}"));
	is(&k, "running 1"); /* what was read may be sent back */
	assert_int_equal(try_put(&k, "a", "*", body(WAVES)), F_OperationNotAllowedInCurrentState);
	assert_int_equal(try_put(&k, "a", "*", body("null")), F_OperationNotAllowedInCurrentState);
	assert_int_equal(ask(&k, ROLLOUT_HALT), F_NONE);
	assert_int_equal(try_put(&k, "a", "*", body(WAVES)), F_OperationNotAllowedInCurrentState);
	put(&k, "a", "*",
	    body("{'waves':[{'percent':10,'maxFailurePercent':50},{'percent':20},{'percent':100}]"
	         "}"));
	is(&k, "halted 1");
	assert_int_equal(ask(&k, ROLLOUT_ROLLBACK), F_NONE);
	see(&k, (struct rollout_seen){ 0 });
	is(&k, "rolledBack 1");
	put(&k, "a", "*", body(WAVES)); /* a new run */
	is(&k, "pending 0");
	assert_int_equal(rollout()->generation, 2);
	wave(&k, 1);
	assert_int_equal(reached(&k, who), FLEET);
	end(&k);
}

static void
rollout__RO10_guards_are_given_at_the_beginning(void **state)
{
	bool who[FLEET];
	struct kit k;

	(void)state;
	begin(&k, WAVES);
	put(&k, "a", "*", body("null")); /* taken away: for all at once */
	assert_int_equal(reached(&k, who), FLEET);
	assert_int_equal(try_put(&k, "a", "*", body(WAVES)), F_OperationNotAllowedInCurrentState);
	put(&k, "b", NULL, simple("", 0, ".b", "1"));
	put(&k, "b", "*", "{'targetCondition':'','rollout':" WAVES "}"); /* nobody has it yet */
	put(&k, "b", "*", "{'targetCondition':'*'}");
	twin_shows(&k, "d0", "properties/desired/b", "-");
	end(&k);
}

/* ---- failures and restarts ---- */

/* Whatever is cut short, in the end a device has it or not, as the rollout says, and was written to once each way. */
static void
rollout__RO11_failed_commits_and_restarts(void **state)
{
	bool who[FLEET];
	struct kit k;

	(void)state;
	begin(&k, "{'waves':[{'percent':50},{'percent':100}]}");
	k.hold = true;
	for (int round = 0; round < 40; round++) {
		uint32_t n, want = 0;
		bool found = rnd_below(&k.rnd, 2);

		if (round % 4 == 0 && rollout()->status == ROLLOUT_PENDING)
			run_rollout(&k,
			    (struct op_rollout){ .action = ROLLOUT_LOOK,
			        .seen = { .step = rollout()->step,
			            .bound = ROLLOUT_ALL / 2,
			            .size = 1,
			            .all = 1 } });
		else if (round % 4 == 2)
			run_rollout(&k, (struct op_rollout){ .action = ROLLOUT_HALT });
		else if (round % 4 == 3)
			run_rollout(&k, (struct op_rollout){ .action = ROLLOUT_RESUME });
		for (uint32_t i = rnd_below(&k.rnd, FLEET); i > 0 && configure_sweep_awaited(k.sh);
		     i--)
			sweep_one(&k);
		if (rnd_below(&k.rnd, 3) == 0) {
			kit_fail(&k, found);
			configure_sweep_restart(k.sh);
		}
		kit_commit(&k);
		publish(&k);
		if (rnd_below(&k.rnd, 3) == 0)
			restart(&k);
		if (rollout()->status == ROLLOUT_HALTED)
			continue;
		sweep(&k);
		kit_commit(&k);
		n = reached(&k, who);
		for (int i = 0; i < FLEET; i++) {
			char id[16];

			snprintf(id, sizeof(id), "d%d", i);
			want += rollout_reaches(rollout(),
			    shard_row_hash(k.sh, shard_find(k.sh, str_of(id), STR_NONE)), false);
			assert_string_equal(kit_counters(&k, id), who[i] ? "3 4 2 1" : "1 2 1 1");
		}
		assert_int_equal(n, want);
	}
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rollout__RO2_bad_plans),
		cmocka_unit_test(rollout__RO2_queries_are_conditions_or_as_metrics_are),
		cmocka_unit_test(rollout__RO1_RO3_waves_soak_and_complete),
		cmocka_unit_test(rollout__RO4_RO5_halts_over_the_threshold_and_resumes),
		cmocka_unit_test(rollout__RO4_a_failure_rolls_back_where_the_plan_says_so),
		cmocka_unit_test(rollout__RO5_what_may_be_asked_when),
		cmocka_unit_test(rollout__RO3_what_was_seen_of_another_step_is_nothing),
		cmocka_unit_test(rollout__RO6_a_look_that_saw_nothing_is_told_once),
		cmocka_unit_test(rollout__RO6_the_history_is_bounded),
		cmocka_unit_test(rollout__RO7_a_device_joins_once_and_stays),
		cmocka_unit_test(rollout__RO8_new_devices),
		cmocka_unit_test(rollout__RO4_a_halt_stops_in_the_middle_of_a_wave),
		cmocka_unit_test(rollout__RO9_rollback_puts_back_what_was_there),
		cmocka_unit_test(rollout__RO9_only_a_rollback_does),
		cmocka_unit_test(rollout__RO9_another_ones_value_stands),
		cmocka_unit_test(rollout__RO10_plans_change_where_nothing_moves),
		cmocka_unit_test(rollout__RO10_guards_are_given_at_the_beginning),
		cmocka_unit_test(rollout__RO11_failed_commits_and_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
