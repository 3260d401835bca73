/* Dry runs: what they foretell is what then happens, to every twin, and nothing happens before. */
#include "configuration_kit.h"
#include "config/dryrun.h"

#define DESIRED(path) "'properties.desired" path "'"

static const char *const ids[] = { "d1", "d2", "d2/m", "e1", "e1/$edgeAgent", "e1/$edgeHub", "e1/m",
	"e1/made", "e2", "e2/$edgeAgent", "e2/made" };
#define IDS (sizeof(ids) / sizeof(ids[0]))

/* ---- a dry run ---- */

struct foretold {
	struct dryrun_counts counts;
	struct buf devices, json; /* entries as JSON text; samples as a doc */
};

static void
fill_row(struct kit *k, uint32_t row, unsigned records)
{
	struct str device, module;
	unsigned missing;

	k->key.n = 0;
	missing = shard_row_missing(k->sh, row, records, &k->key);
	str_cut(str_sub(buf_view(&k->key), 2), '\0', &device, &module);
	kit_fill(k, device, module, missing);
}

static enum fault_code
foretell(struct kit *k, const char *name, const char *etag, const char *json, struct foretold *out)
{
	struct op op = op_of(OP_CONFIGURATION_PUT, name, etag);
	struct buf record = { 0 }, array = { 0 };
	struct fault f = { 0 };
	struct str device, module;
	struct dryrun *d;
	unsigned records;
	uint32_t other;

	*out = (struct foretold){ 0 };
	kit_doc(k, json, &op);
	if (configuration_record(published, &op, NULL, k->env.now_us, &record, &f) != ERR_OK)
		return f.code;
	d = dryrun_new(published, buf_view(&record), DRYRUN_SAMPLE_MAX);
	for (uint32_t row = 0; row < shard_rows(k->sh); row++) {
		if (!shard_row(k->sh, row, &device, &module) || module.n > 0)
			continue;
		while ((other = dryrun_row(d, k->sh, row, &records)) != TABLE_NONE)
			fill_row(k, other, records);
		if (dryrun_device(d, k->sh, row, k->env.now_us, &out->devices))
			buf_putc(&out->devices, ' ');
	}
	buf_putc(&out->devices, '\0');
	kit_quotes(&out->devices, '"', '\'');
	out->counts = *dryrun_counts(d);
	buf_putc(&array, '[');
	buf_str(&array, dryrun_sample(d));
	buf_putc(&array, ']');
	assert_int_equal(doc_parse(k->parser, buf_view(&array), &out->json, NULL, NULL), ERR_OK);
	buf_fini(&array);
	buf_fini(&record);
	dryrun_free(d);
	return F_NONE;
}

static void
foretold_fini(struct foretold *fo)
{
	buf_fini(&fo->devices);
	buf_fini(&fo->json);
}

/* ---- and what happens ---- */

static void
state_of_twin(struct kit *k, const char *id, char out[256])
{
	out[0] = '\0';
	if (kit_read(k, id) == F_NONE)
		snprintf(out, 256, "%s %s", kit_at(k, "etag"), kit_at(k, "version"));
}

/* JSON of a member, with ' for ". */
static void
member_text(struct buf *out, struct doc d)
{
	out->n = 0;
	if (doc_defined(d))
		doc_write_json(out, d);
	else
		buf_putc(out, '-');
	buf_putc(out, '\0');
	kit_quotes(out, '"', '\'');
}

/* But for the times. */
static void
same_twin(struct kit *k, const char *id, struct doc twin)
{
	static const char *const members[] = { "etag", "version", "configurations", "tags" };
	struct doc desired = doc_getc(doc_getc(twin, "properties"), "desired"), v;
	struct doc_iter it = doc_iter(desired);
	struct buf text = { 0 };
	char path[128];
	struct str key;

	assert_int_equal(kit_read(k, id), F_NONE);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		member_text(&text, doc_get(twin, str_of(members[i])));
		kit_shows(k, members[i], text.p);
	}
	while (doc_next(&it, &key, &v)) {
		if (str_eq(key, STR("$metadata")))
			continue;
		snprintf(path, sizeof(path), "properties/desired/" STR_FMT, STR_ARG(key));
		member_text(&text, v);
		kit_shows(k, path, text.p);
	}
	buf_fini(&text);
}

static void
same_made(struct kit *k, const char *id, struct doc patch)
{
	struct doc_iter it = doc_iter(patch);
	struct buf text = { 0 };
	char path[128];
	struct str key;
	struct doc v;

	assert_int_equal(kit_read(k, id), F_NONE);
	while (doc_next(&it, &key, &v)) {
		snprintf(path, sizeof(path), "properties/desired/" STR_FMT, STR_ARG(key));
		member_text(&text, v);
		kit_shows(k, path, text.p);
	}
	buf_fini(&text);
}

static bool
is_of(struct doc sample, const char *id)
{
	struct doc module = doc_getc(sample, "moduleId");
	char text[300];

	snprintf(text, sizeof(text), STR_FMT "%s" STR_FMT,
	    STR_ARG(doc_str(doc_getc(sample, "deviceId"))), doc_defined(module) ? "/" : "",
	    STR_ARG(doc_str(module)));
	return strcmp(text, id) == 0;
}

static void
check_twin(struct kit *k, const char *id, const struct foretold *fo, const char *before)
{
	struct doc_iter it = doc_iter(doc_of(buf_view(&fo->json)));
	struct doc sample;
	char after[256];
	struct str key;

	while (doc_next(&it, &key, &sample)) {
		if (!is_of(sample, id))
			continue;
		if (doc_defined(doc_getc(sample, "created")))
			same_made(k, id, doc_getc(sample, "patch"));
		else
			same_twin(k, id, doc_getc(sample, "twin"));
		return;
	}
	state_of_twin(k, id, after);
	assert_string_equal(after, before);
}

/* Foretell, look that nothing has happened, do it, compare. */
static void
comes_true(struct kit *k, const char *name, const char *etag, const char *json, const char *devices)
{
	char before[IDS][256], after[256];
	struct foretold fo;

	for (size_t i = 0; i < IDS; i++)
		state_of_twin(k, ids[i], before[i]);
	assert_int_equal(foretell(k, name, etag, json, &fo), F_NONE);
	for (size_t i = 0; i < IDS; i++) {
		state_of_twin(k, ids[i], after);
		assert_string_equal(after, before[i]);
	}
	assert_string_equal(fo.devices.p, devices);
	assert_int_equal(fo.counts.twins, doc_count(doc_of(buf_view(&fo.json))));
	put(k, name, etag, json);
	for (size_t i = 0; i < IDS; i++)
		check_twin(k, ids[i], &fo, before[i]);
	foretold_fini(&fo);
}

static void
fleet(struct kit *k)
{
	kit_init(k);
	kit_device(k, "d1");
	kit_device(k, "d2");
	kit_put(k, "d2/m", NULL, "{}");
	kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true}}");
	kit_put(k, "e1/m", NULL, "{}");
	kit_put(k, "e2", NULL, "{'capabilities':{'iotEdge':true}}");
	kit_patch(k, "d1", NULL, "{'tags':{'env':'t'},'properties':{'desired':{'own':1,'a':9}}}");
	kit_patch(k, "e1", NULL, "{'tags':{'env':'t'}}");
	kit_patch(k, "e1/m", NULL, "{'tags':{'env':'t'},'properties':{'desired':{'own':1}}}");
	kit_patch(k, "d2/m", NULL, "{'tags':{'env':'t'}}");
}

static void
dryrun__of_device_configurations(void **state)
{
	struct kit k;

	(void)state;
	fleet(&k);
	comes_true(&k, "a", NULL, simple(ENV_T, 1, ".a", "{'x':1}"),
	    "{'deviceId':'d1','targeted':true} {'deviceId':'e1','targeted':true} ");
	comes_true(&k, "b", NULL, simple("*", 5, ".a", "{'y':2}"),
	    "{'deviceId':'d1','targeted':true} {'deviceId':'d2','targeted':true} "
	    "{'deviceId':'e1','targeted':true} {'deviceId':'e2','targeted':true} ");
	restart(&k); /* records are to be loaded */
	comes_true(&k, "b", "*", simple("tags.env = \\u0027p\\u0027", 5, ".a", "{'y':2}"),
	    "{'deviceId':'d1','targeted':false} {'deviceId':'d2','targeted':false} "
	    "{'deviceId':'e1','targeted':false} {'deviceId':'e2','targeted':false} ");
	comes_true(&k, "a", "*", simple(ENV_T, 7, ".a", "{'x':1}"), "");
	comes_true(&k, "c", NULL, simple("", 7, ".c", "1"), "");
	end(&k);
}

static void
dryrun__of_module_configurations(void **state)
{
	struct kit k;

	(void)state;
	fleet(&k);
	comes_true(&k, "m", NULL,
	    "{'targetCondition':'FROM devices.modules WHERE " ENV_T
	    "','content':{'moduleContent':{" DESIRED(".q") ":7}}}",
	    "{'deviceId':'d2','targeted':true,'modules':['m']} "
	    "{'deviceId':'e1','targeted':true,'modules':['m']} ");
	end(&k);
}

static void
dryrun__of_deployments(void **state)
{
	struct kit k;

	(void)state;
	fleet(&k);
	comes_true(&k, "base", NULL,
	    "{'targetCondition':'*','priority':1,'content':{'modulesContent':{'$edgeAgent':"
	    "{" DESIRED("") ":{'v':1}},'$edgeHub':{" DESIRED("") ":{}},'m':{" DESIRED(
	        "") ":{'x':1}}}}}",
	    "{'deviceId':'e1','targeted':true,'modules':['m','$edgeAgent']} "
	    "{'deviceId':'e2','targeted':true,'modules':['m','$edgeAgent']} ");
	restart(&k);
	comes_true(&k, "layer", NULL,
	    "{'targetCondition':'" ENV_T
	    "','priority':2,'content':{'modulesContent':{'made':{" DESIRED(
	        ".z") ":{'w':[1]}},'m':{" DESIRED(".x") ":2}}}}",
	    "{'deviceId':'e1','targeted':true,'modules':['m','made','$edgeAgent']} ");
	comes_true(&k, "under", NULL,
	    "{'targetCondition':'*','content':{'modulesContent':{'made':{" DESIRED(".z") ":1}}}}",
	    "{'deviceId':'e1','targeted':true,'modules':['$edgeAgent']} "
	    "{'deviceId':'e2','targeted':true,'modules':['$edgeAgent']} ");
	comes_true(&k, "layer", "*", "{'targetCondition':'" ENV_T "','priority':0,'content':null}",
	    "{'deviceId':'e1','targeted':true,'modules':['made','m','$edgeAgent']} ");
	end(&k);
}

static void
dryrun__is_refused_as_the_change_would_be(void **state)
{
	struct foretold fo;
	struct kit k;

	(void)state;
	fleet(&k);
	put(&k, "a", NULL, simple("", 1, ".a", "1"));
	assert_int_equal(
	    foretell(&k, "a", NULL, simple("", 1, ".a", "1"), &fo), F_ConfigurationAlreadyExists);
	assert_int_equal(
	    foretell(&k, "b", "*", simple("", 1, ".a", "1"), &fo), F_ConfigurationNotFound);
	assert_int_equal(
	    foretell(&k, "a", "x", simple("", 1, ".a", "1"), &fo), F_PreconditionFailed);
	assert_int_equal(foretell(&k, "a", "*", simple("", 1, ".a", "2"), &fo),
	    F_CannotModifyImmutableConfigurationContent);
	assert_int_equal(foretell(&k, "c", NULL, simple("tags.", 1, ".a", "2"), &fo),
	    F_InvalidConfigurationTargetCondition);
	assert_int_equal(foretell(&k, "C", NULL, simple("", 1, ".a", "2"), &fo), F_ArgumentInvalid);
	end(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dryrun__of_device_configurations),
		cmocka_unit_test(dryrun__of_module_configurations),
		cmocka_unit_test(dryrun__of_deployments),
		cmocka_unit_test(dryrun__is_refused_as_the_change_would_be),
	};

	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
