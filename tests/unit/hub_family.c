/*
 * Devices and their modules under random histories: commits that fail, restarts, evictions, against a model that is a
 * table of what exists. T-88, T-91, R-96.
 */
#include "hub_kit.h"

#define DEVICES 6
#define MODULES 5
#define STEPS   20000

struct model {
	bool device[DEVICES], disabled[DEVICES];
	bool module[DEVICES][MODULES + 2]; /* the last two: $edgeAgent, $edgeHub */
};

static const char *const module_names[] = { "m0", "m1", "m2", "m3", "m4", "$edgeAgent",
	"$edgeHub" };

static void
check_list(struct kit *k, const struct model *m, int d)
{
	static const int by_id[] = { 5, 6, 0, 1, 2, 3, 4 };
	struct buf want = { 0 }, bytes = { 0 }, got = { 0 };
	struct doc_iter it;
	struct str key;
	struct doc v;
	char id[16];

	snprintf(id, sizeof(id), "d%d", d);
	if (!m->device[d]) {
		assert_int_equal(kit_body(k, OP_MODULES_LIST, id, NULL, NULL), F_DeviceNotFound);
		return;
	}
	for (int i = 0; i < MODULES + 2; i++)
		if (m->module[d][by_id[i]])
			buf_printf(&want, "%s ", module_names[by_id[i]]);
	assert_int_equal(kit_body(k, OP_MODULES_LIST, id, NULL, NULL), F_NONE);
	assert_int_equal(
	    doc_parse(k->parser, buf_view(&k->reply.body), &bytes, &(struct doc_parsed){ 0 }, NULL),
	    ERR_OK);
	it = doc_iter(doc_of(buf_view(&bytes)));
	while (doc_next(&it, &key, &v)) {
		buf_str(&got, doc_str(doc_getc(v, "moduleId")));
		buf_putc(&got, ' ');
	}
	assert_true(str_eq(buf_view(&want), buf_view(&got)));
	buf_fini(&want);
	buf_fini(&bytes);
	buf_fini(&got);
}

static void
check(struct kit *k, const struct model *m)
{
	uint32_t identities = 0, devices = 0, disabled = 0;

	for (int d = 0; d < DEVICES; d++) {
		check_list(k, m, d);
		devices += m->device[d];
		disabled += m->device[d] && m->disabled[d];
		identities += m->device[d];
		for (int i = 0; i < MODULES + 2; i++)
			identities += m->module[d][i];
	}
	assert_int_equal(shard_identities(k->sh), identities);
	assert_int_equal(shard_counts(k->sh)->devices, devices);
	assert_int_equal(shard_counts(k->sh)->disabled, disabled);
}

/* One random operation, and what the model makes of it. */
static void
step(struct kit *k, struct model *m)
{
	int d = (int)rnd_below(&k->rnd, DEVICES), i = (int)rnd_below(&k->rnd, MODULES);
	bool disabled = rnd_below(&k->rnd, 2), edge = rnd_below(&k->rnd, 4) == 0;
	char id[16], module[24], body[96];

	snprintf(id, sizeof(id), "d%d", d);
	snprintf(module, sizeof(module), "d%d/m%d", d, i);
	snprintf(body, sizeof(body), "{'status':'%s','capabilities':{'iotEdge':%s}}",
	    disabled ? "disabled" : "enabled", edge ? "true" : "false");
	switch (rnd_below(&k->rnd, 6)) {
	case 0:
		if (kit_delete(k, id, NULL) == F_NONE) {
			m->device[d] = false;
			memset(m->module[d], 0, sizeof(m->module[d]));
		}
		return;
	case 1:
		if (kit_delete(k, module, NULL) == F_NONE)
			m->module[d][i] = false;
		return;
	case 2:
	case 3:
	case 4:
		assert_int_equal(kit_put(k, module, m->module[d][i] ? "*" : NULL, "{}"),
		    m->device[d] ? F_NONE : F_DeviceNotFound);
		m->module[d][i] = m->device[d];
		return;
	default:
		assert_int_equal(kit_put(k, id, m->device[d] ? "*" : NULL, body), F_NONE);
		m->device[d] = true;
		m->disabled[d] = disabled;
		m->module[d][5] = m->module[d][5] || edge;
		m->module[d][6] = m->module[d][6] || edge;
	}
}

static void
family__T91_chains_and_counts_follow_any_history(void **state)
{
	struct kit *k = *state;
	struct model now = { 0 }, committed = { 0 };

	k->hold = true;
	for (int n = 0; n < STEPS; n++) {
		step(k, &now);
		switch (rnd_below(&k->rnd, 12)) {
		case 0:
			kit_fail(k, rnd_below(&k->rnd, 2));
			kit_commit(k); /* the repair */
			now = committed;
			break;
		case 1:
		case 2:
			kit_commit(k);
			committed = now;
			break;
		case 3: shard_evict(k->sh, 0); break;
		default: continue;
		}
		check(k, &now);
		if (rnd_below(&k->rnd, 50) == 0) {
			kit_commit(k);
			committed = now;
			kit_restart(k);
			check(k, &now);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(family__T91_chains_and_counts_follow_any_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
