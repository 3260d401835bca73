/*
 * After a change of the set of configurations only rows that it concerns are evaluated, and yet every row is in line with the
 * new set.
 */
#include "configuration_kit.h"
#include "config/evaluate.h"

/* ---- what a sweep looks at ---- */

/* Of all rows together, the records that a sweep asked to have in memory, with none there before. */
static unsigned
sweep_asks(struct kit *k)
{
	unsigned asked = 0;

	kit_commit(k);
	shard_evict(k->sh, 0);
	while (configure_sweep_awaited(k->sh))
		asked |= sweep_one(k);
	kit_commit(k);
	return asked;
}

/* Evaluation of a row needs its reported record; whether this change concerns it is known without. */
static void
touched__J42_a_sweep_evaluates_only_rows_that_the_change_concerns(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	for (int i = 0; i < 20; i++) {
		char id[8];

		snprintf(id, sizeof(id), "d%d", i);
		kit_device(&k, id);
		kit_report(&k, id, kit_connect(&k, id, (uint32_t)i, true), "{'x':0}");
		kit_patch(&k, id, NULL, i == 0 ? "{'tags':{'t':1}}" : "{'tags':{'t':0}}");
	}
	put(&k, "r", NULL, simple("properties.reported.x = 1", 1, ".r", "1"));
	put(&k, "a", NULL, simple("tags.t = 0", 1, ".a", "1"));

	try_put(&k, "n", NULL, simple("tags.t = 2", 1, ".n", "1"));
	publish(&k);
	assert_int_equal(sweep_asks(&k) & RECORD_BIT(RECORD_REPORTED), 0);
	try_put(&k, "n", "*", "{'targetCondition':'tags.t = 1','priority':1}");
	publish(&k);
	assert_int_not_equal(sweep_asks(&k) & RECORD_BIT(RECORD_REPORTED), 0);
	twin_shows(&k, "d0", "properties/desired/n", "1");
	twin_shows(&k, "d1", "properties/desired/a", "1");
	end(&k);
}

/* What has been put off is in line with no set that is known, so the next change looks at every row. */
static void
touched__J36_rows_that_were_put_off_are_evaluated_again(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "l", NULL, simple("NOT IS_DEFINED(properties.desired.x)", 1, ".x", "1"));
	assert_int_equal(configure_looped(k.sh), 1);
	put(&k, "n", NULL, simple("tags.t = 2", 1, ".n", "1"));
	assert_int_equal(configure_looped(k.sh), 2);
	end(&k);
}

/* A process does not know how its predecessor's set differs from its own. */
static void
touched__J54_a_start_with_another_set_evaluates_all(void **state)
{
	struct op op = op_of(OP_CONFIGURATION_DELETE, "a", NULL);
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "a", NULL, simple("*", 1, ".x", "1"));
	put(&k, "b", NULL, simple("tags.t = 2", 1, ".y", "1"));
	assert_int_equal(kit_run(&k, &op), F_NONE);
	assert_int_equal(try_put(&k, "c", NULL, simple("tags.t = 2", 1, ".z", "1")), F_NONE);
	restart(&k);
	sweep(&k);
	twin_shows(&k, "d", "properties/desired/x", "-");
	twin_shows(&k, "d", "configurations", "-");
	end(&k);
}

/* Nobody is connected then, and no operation says so. */
static void
touched__J42_a_start_evaluates_what_looks_at_connections(void **state)
{
	struct kit k;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	kit_connect(&k, "d", 0, true);
	put(&k, "c", NULL, simple("connectionState = \\u0027Connected\\u0027", 1, ".x", "1"));
	twin_shows(&k, "d", "properties/desired/x", "1");
	restart(&k);
	sweep(&k);
	twin_shows(&k, "d", "properties/desired/x", "-");
	assert_false(configure_sweep_awaited(k.sh));
	end(&k);
}

/* The link is gone all the same, and no operation comes to say so again. */
static void
touched__J42_what_the_end_of_a_link_brought_and_a_failed_commit_undid(void **state)
{
	struct kit k;
	uint64_t epoch;

	(void)state;
	kit_init(&k);
	kit_device(&k, "d");
	put(&k, "c", NULL, simple("connectionState = \\u0027Disconnected\\u0027", 1, ".x", "1"));
	epoch = kit_connect(&k, "d", 0, true);
	twin_shows(&k, "d", "properties/desired/x", "-");
	k.hold = true;
	kit_session_op(&k, OP_DISCONNECT, "d", epoch, NULL);
	twin_shows(&k, "d", "properties/desired/x", "1");
	kit_fail(&k, false);
	kit_commit(&k);
	configure_sweep_restart(k.sh);
	sweep(&k);
	twin_shows(&k, "d", "properties/desired/x", "1");
	end(&k);
}

/* ---- every row is in line ---- */

static void
loaded(struct kit *k, uint32_t row)
{
	struct str device, module;
	unsigned records;
	uint32_t other;

	while ((other = configure_family_row(k->sh, row, &records)) != TABLE_NONE) {
		unsigned missing;

		k->key.n = 0;
		missing = shard_row_missing(k->sh, other, records, &k->key);
		str_cut(str_sub(buf_view(&k->key), 2), '\0', &device, &module);
		kit_fill(k, device, module, missing);
	}
}

static void
in_line(struct kit *k, struct evaluator *ev, const struct row *r, struct family *family)
{
	struct evaluation e;

	if (row_evaluate(ev, k->sh, r, family, k->env.now_us, &e))
		fail_msg(STR_FMT "/" STR_FMT " is not in line with the set", STR_ARG(row_device(r)),
		    STR_ARG(row_module(r)));
}

static void
modules_are_there(struct kit *k, const struct row *device, const struct family *family)
{
	for (uint32_t i = 0; i < published->n; i++)
		for (uint32_t n = 0; chosen_has(&family->force, i) && n < published->v[i]->npath;
		     n++)
			assert_int_not_equal(
			    shard_find(k->sh, row_device(device), published->v[i]->paths[n].module),
			    TABLE_NONE);
}

static void
device_in_line(struct kit *k, struct evaluator *ev, const struct row *device)
{
	struct family family, *of = device->edge && published->edge ? &family : NULL;
	const struct row *agent = NULL;

	in_line(k, ev, device, NULL);
	if (of != NULL) {
		family_begin(of, ev, k->sh, device);
		modules_are_there(k, device, of);
	}
	for (const struct row *m = module_first(k->sh, device); m != NULL;
	     m = module_next(k->sh, m))
		if (of != NULL && row_is_agent(m))
			agent = m;
		else
			in_line(k, ev, m, of);
	if (agent != NULL)
		in_line(k, ev, agent, of);
}

static void
all_in_line(struct kit *k)
{
	struct evaluator ev = { 0 };

	evaluator_use(&ev, published);
	for (uint32_t row = 0; row < k->sh->nrow; row++)
		if (row_at(k->sh, row)->id != NULL)
			loaded(k, row);
	for (uint32_t row = 0; row < k->sh->nrow; row++)
		if (row_at(k->sh, row)->id != NULL && row_at(k->sh, row)->module_n == 0)
			device_in_line(k, &ev, row_at(k->sh, row));
	evaluator_fini(&ev);
}

/* ---- random changes ---- */

static const char *
random_id(struct kit *k, bool module)
{
	static char id[16];
	int n = snprintf(id, sizeof(id), "d%u", rnd_below(&k->rnd, 5));

	if (module)
		snprintf(id + n, sizeof(id) - (size_t)n, "/m%u", rnd_below(&k->rnd, 2));
	return id;
}

static void
random_target(struct kit *k, char kind, char *out, size_t room)
{
	const char *from = kind == 'm' ? "from devices.modules where " : "";

	if (kind != 'm' && rnd_below(&k->rnd, 6) == 0)
		snprintf(out, room, "*");
	else if (rnd_below(&k->rnd, 8) == 0)
		out[0] = '\0';
	else if (rnd_below(&k->rnd, 4) == 0)
		snprintf(out, room, "%s",
		    kind == 'm' ? "from devices.modules where moduleId = \\u0027m1\\u0027"
		                : "status = \\u0027disabled\\u0027");
	else
		snprintf(out, room, "%stags.t = %u", from, rnd_below(&k->rnd, 3));
}

/* Of device, module or modules ("d0", "m0", "e0"); two bear each name, and one kind comes after another under a fourth ("x0"). */
static void
random_configuration(struct kit *k, const char *name, char kind)
{
	char target[64], body[512];
	unsigned v = rnd_below(&k->rnd, 1000), path = rnd_below(&k->rnd, 3);
	int priority = (int)rnd_below(&k->rnd, 4);

	random_target(k, kind, target, sizeof(target));
	if (configurations_find(published, str_of(name)) != NULL) {
		snprintf(
		    body, sizeof(body), "{'targetCondition':'%s','priority':%d}", target, priority);
		try_put(k, name, "*", body);
		return;
	}
	if (kind == 'e' && rnd_below(&k->rnd, 2))
		snprintf(body, sizeof(body),
		    "{'targetCondition':'%s','priority':%d,'content':{'modulesContent':{'$"
		    "edgeAgent':{"
		    "'properties.desired':{'v':%u}},'$edgeHub':{'properties.desired':{}}}}}",
		    target, priority, v);
	else if (kind == 'e')
		snprintf(body, sizeof(body),
		    "{'targetCondition':'%s','priority':%d,'content':{'modulesContent':{'m%u':{"
		    "'properties.desired.p%u':%u}}}}",
		    target, priority, v % 3, path, v);
	else
		snprintf(body, sizeof(body),
		    "{'targetCondition':'%s','priority':%d,'content':{'%sContent':{"
		    "'properties.desired.p%u':%u}}}",
		    target, priority, kind == 'm' ? "module" : "device", path, v);
	try_put(k, name, NULL, body);
}

static void
random_set_change(struct kit *k)
{
	static const char kinds[] = "dmex";
	char name[3] = { kinds[rnd_below(&k->rnd, 4)], (char)('0' + rnd_below(&k->rnd, 2)), '\0' };
	struct op op = op_of(OP_CONFIGURATION_DELETE, name, NULL);
	const struct configuration *c = configurations_find(published, str_of(name));

	if (rnd_below(&k->rnd, 3) == 0)
		kit_run(k, &op);
	else if (name[0] != 'x')
		random_configuration(k, name, name[0]);
	else if (c != NULL)
		random_configuration(k, name, "dme"[c->kind]);
	else
		random_configuration(k, name, kinds[rnd_below(&k->rnd, 3)]);
}

static void
random_row_change(struct kit *k)
{
	bool module = rnd_below(&k->rnd, 2);
	const char *id = random_id(k, module);
	char body[128];

	switch (rnd_below(&k->rnd, 8)) {
	case 0: kit_delete(k, id, NULL); return;
	case 1:
	case 2:
		snprintf(body, sizeof(body), "{'status':'%s','capabilities':{'iotEdge':%s}}",
		    rnd_below(&k->rnd, 2) ? "disabled" : "enabled",
		    rnd_below(&k->rnd, 2) ? "true" : "false");
		if (kit_put(k, id, "*", module ? "{}" : body) != F_NONE)
			kit_put(k, id, NULL, module ? "{}" : body);
		return;
	default:
		snprintf(body, sizeof(body),
		    "{'tags':{'t':%u},'properties':{'desired':{'p%u':%u}}}", rnd_below(&k->rnd, 3),
		    rnd_below(&k->rnd, 3), rnd_below(&k->rnd, 9));
		kit_patch(k, id, NULL, body);
	}
}

/* Sets that follow each other before a sweep is through, rows that come, go and change kind meanwhile, commits that fail, and
 * restarts. */
static void
touched__J42_J43_J52_every_row_is_in_line_after_any_history(void **state)
{
	unsigned evaluated = 0;
	struct kit k;

	(void)state;
	kit_init(&k);
	publish(&k);
	k.hold = true;
	for (int step = 0; step < 12000; step++) {
		bool found = rnd_below(&k.rnd, 2);

		if (rnd_below(&k.rnd, 2))
			random_row_change(&k);
		else
			random_set_change(&k);
		for (uint32_t n = rnd_below(&k.rnd, 12); n > 0 && configure_sweep_awaited(k.sh);
		     n--)
			sweep_one(&k);
		if (rnd_below(&k.rnd, 10) == 0) {
			kit_fail(&k, found);
			configure_sweep_restart(k.sh);
		}
		kit_commit(&k);
		publish(&k);
		if (rnd_below(&k.rnd, 40) == 0)
			restart(&k);
		if (rnd_below(&k.rnd, 3) == 0) {
			sweep(&k);
			kit_commit(&k);
			all_in_line(&k);
			evaluated++;
		}
		if (rnd_below(&k.rnd, 5) == 0)
			shard_evict(k.sh, 0);
	}
	assert_true(evaluated > 1000);
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(touched__J42_a_sweep_evaluates_only_rows_that_the_change_concerns),
		cmocka_unit_test(touched__J36_rows_that_were_put_off_are_evaluated_again),
		cmocka_unit_test(touched__J54_a_start_with_another_set_evaluates_all),
		cmocka_unit_test(touched__J42_a_start_evaluates_what_looks_at_connections),
		cmocka_unit_test(
		    touched__J42_what_the_end_of_a_link_brought_and_a_failed_commit_undid),
		cmocka_unit_test(touched__J42_J43_J52_every_row_is_in_line_after_any_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
