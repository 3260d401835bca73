/* Modules: service-rest.md 7, R-38 to R-40; twins.md 7, T-86 to T-91; and the counts of section 14, R-96. */
#include "hub_kit.h"

static void
put_module(struct kit *k, const char *id)
{
	assert_int_equal(kit_put(k, id, NULL,
	                     "{'authentication':{'symmetricKey':{'primaryKey':'" KEY1
	                     "','secondaryKey':'" KEY2 "'}}}"),
	    F_NONE);
}

static const char *
list(struct kit *k, const char *id)
{
	struct doc_iter it;
	struct buf bytes = { 0 };
	struct str key;
	struct doc d;

	assert_int_equal(kit_body(k, OP_MODULES_LIST, id, NULL, NULL), F_NONE);
	assert_int_equal(
	    doc_parse(k->parser, buf_view(&k->reply.body), &bytes, &(struct doc_parsed){ 0 }, NULL),
	    ERR_OK);
	k->text.n = 0;
	it = doc_iter(doc_of(buf_view(&bytes)));
	while (doc_next(&it, &key, &d)) {
		buf_str(&k->text, doc_str(doc_getc(d, "moduleId")));
		buf_putc(&k->text, ' ');
	}
	buf_putc(&k->text, '\0');
	buf_fini(&bytes);
	return k->text.p;
}

static void
module__R38_new_then_conflict(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(
	    kit_put(k, "d1/m1", NULL, "{'managedBy':'me','status':'disabled'}"), F_NONE);
	kit_shows(k, "moduleId", "'m1'");
	kit_shows(k, "deviceId", "'d1'");
	kit_shows(k, "managedBy", "'me'");
	kit_shows(k, "status", "-");
	kit_shows(k, "capabilities", "-");
	kit_shows(k, "deviceScope", "-");
	kit_shows(k, "authentication/type", "'sas'");
	assert_int_equal(kit_put(k, "d1/m1", NULL, "{}"), F_ModuleAlreadyExistsOnDevice);
	assert_int_equal(kit_put(k, "d1/m1", "*", "{}"), F_NONE);
	kit_shows(k, "managedBy", "null");
	assert_int_equal(kit_put(k, "d1/m1", "stale", "{}"), F_PreconditionFailed);
	assert_int_equal(kit_put(k, "d1/m2", "*", "{}"), F_ModuleNotFound);
}

static void
module__R39_says_what_is_missing(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_put(k, "d1/m1", NULL, "{}"), F_DeviceNotFound);
	assert_string_equal(k->reply.fault.text, "d1");
	assert_int_equal(kit_put(k, "d1/m1", "*", "{}"), F_DeviceNotFound);
	assert_int_equal(kit_get(k, "d1/m1"), F_DeviceNotFound);
	assert_int_equal(kit_delete(k, "d1/m1", NULL), F_DeviceNotFound);
	assert_int_equal(kit_patch(k, "d1/m1", NULL, "{}"), F_DeviceNotFound);
	assert_int_equal(kit_body(k, OP_MODULES_LIST, "d1", NULL, NULL), F_DeviceNotFound);
	kit_device(k, "d1");
	assert_int_equal(kit_get(k, "d1/m1"), F_ModuleNotFound);
	assert_int_equal(kit_delete(k, "d1/m1", NULL), F_ModuleNotFound);
	assert_int_equal(kit_patch(k, "d1/m1", NULL, "{}"), F_ModuleNotFound);
}

static void
module__R40_delete_leaves_the_others(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_string_equal(list(k, "d1"), "");
	put_module(k, "d1/b");
	put_module(k, "d1/a");
	put_module(k, "d1/c");
	assert_string_equal(list(k, "d1"), "a b c ");
	assert_int_equal(kit_delete(k, "d1/a", "stale"), F_PreconditionFailed);
	assert_int_equal(kit_delete(k, "d1/a", "*"), F_NONE);
	assert_string_equal(list(k, "d1"), "b c ");
	assert_int_equal(kit_delete(k, "d1/c", NULL), F_NONE);
	assert_int_equal(kit_delete(k, "d1/b", NULL), F_NONE);
	assert_string_equal(list(k, "d1"), "");
	assert_int_equal(shard_identities(k->sh), 1);
}

static void
module__L25_at_most_50(void **state)
{
	struct kit *k = *state;
	char id[16];

	kit_device(k, "d1");
	kit_device(k, "d2");
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "d1/m%d", i);
		put_module(k, id);
	}
	assert_int_equal(kit_put(k, "d1/more", NULL, "{}"), F_TooManyModulesOnDevice);
	assert_int_equal(kit_put(k, "d1/m7", "*", "{}"), F_NONE);
	put_module(k, "d2/more");
	assert_int_equal(kit_delete(k, "d1/m7", NULL), F_NONE);
	put_module(k, "d1/more");
}

static void
module__L24_counts_as_an_identity(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	k->env.identities_left = 0;
	assert_int_equal(kit_put(k, "d1/m", NULL, "{}"), F_IotHubQuotaExceeded);
	k->env.identities_left = 2;
	assert_int_equal(
	    kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true}}"), F_IotHubQuotaExceeded);
	k->env.identities_left = 3;
	assert_int_equal(kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true}}"), F_NONE);
}

static void
module__T87_twin_is_its_own(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	put_module(k, "d1/m1");
	assert_int_equal(
	    kit_patch(k, "d1/m1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b':2}}}"),
	    F_NONE);
	kit_shows(k, "moduleId", "'m1'");
	kit_shows(k, "properties/desired/b", "2");
	kit_shows(k, "capabilities", "-"); /* T-89 */
	assert_string_equal(kit_counters(k, "d1/m1"), "2 3 2 1");
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

static void
module__D52_notifications_go_to_the_module(void **state)
{
	struct kit *k = *state;
	struct op op;
	uint64_t session_epoch;

	kit_device(k, "d1");
	put_module(k, "d1/m1");
	op = kit_connect_op(k, "d1/m1", 7, true);
	op.shown.token =
	    kit_token(k, "/devices/d1/modules/m1", KEY1, k->env.now_us / SECOND + 3600, NULL);
	assert_int_equal(kit_run(k, &op), F_NONE);
	session_epoch = k->reply.session_epoch;
	kit_subscribe(k, "d1/m1", session_epoch, "d");
	kit_effects(k);
	kit_patch(k, "d1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "");
	kit_patch(k, "d1/m1", NULL, "{'properties':{'desired':{'a':1}}}");
	assert_string_equal(kit_effects(k), "notify 7 v2 {'a':1,'$version':2}");
}

static void
module__T88_disabling_the_device_cuts_it(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	put_module(k, "d1/m1");
	put_module(k, "d1/m2");
	kit_connect(k, "d1", 1, true);
	kit_connect(k, "d1/m1", 2, true);
	kit_connect(k, "d1/m2", 3, true);
	kit_effects(k);
	assert_int_equal(
	    kit_put(k, "d1", "*",
	        "{'status':'disabled','authentication':{'symmetricKey':{'primaryKey':'" KEY1
	        "','secondaryKey':'" KEY2 "'}}}"),
	    F_NONE);
	assert_string_equal(kit_effects(k), "close 1\nclose 3\nclose 2");
	op = kit_connect_op(k, "d1/m1", 4, true);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	kit_read(k, "d1/m1");
	kit_shows(k, "status", "'enabled'");
}

static void
module__T90_edge_modules_are_the_hubs(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true}}"), F_NONE);
	kit_shows(k, "deviceId", "'e1'");
	assert_string_equal(list(k, "e1"), "$edgeAgent $edgeHub ");
	assert_int_equal(
	    kit_put(k, "e1/$edgeHub", "*", "{}"), F_SystemModuleModifyUnauthorizedAccess);
	assert_int_equal(
	    kit_delete(k, "e1/$edgeAgent", NULL), F_SystemModuleModifyUnauthorizedAccess);
	assert_int_equal(
	    kit_patch(k, "e1/$edgeAgent", NULL, "{'properties':{'desired':{'a':1}}}"), F_NONE);
	assert_int_equal(kit_put(k, "e1", "*", "{'capabilities':{'iotEdge':true}}"), F_NONE);
	assert_string_equal(list(k, "e1"), "$edgeAgent $edgeHub ");
	assert_int_equal(kit_put(k, "e1", "*", "{}"), F_NONE); /* no edge device any more */
	assert_int_equal(kit_delete(k, "e1/$edgeAgent", NULL), F_NONE);
	assert_int_equal(kit_put(k, "e1", "*", "{'capabilities':{'iotEdge':true}}"), F_NONE);
	assert_string_equal(list(k, "e1"), "$edgeAgent $edgeHub ");
	kit_read(k, "e1/$edgeAgent");
	kit_shows(k, "properties/desired/a", "-"); /* a new one: T-08 */
	assert_int_equal(kit_delete(k, "e1", NULL), F_NONE);
	assert_int_equal(shard_identities(k->sh), 0);
}

static void
module__T91_goes_with_its_device(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	put_module(k, "d1/m1");
	put_module(k, "d1/m2");
	kit_connect(k, "d1/m2", 5, true);
	shard_evict(k->sh, 0);
	shard_evict(k->sh, 0);
	kit_effects(k);
	assert_int_equal(kit_delete(k, "d1", "*"), F_NONE);
	assert_string_equal(kit_effects(k), "close 5");
	assert_int_equal(shard_identities(k->sh), 0);
	assert_int_equal(kit_records(k), 0);
	kit_device(k, "d1");
	assert_string_equal(list(k, "d1"), "");
}

static void
module__T91_all_come_back_when_the_commit_fails(void **state)
{
	struct kit *k = *state;

	for (int found = 0; found < 2; found++) {
		kit_device(k, "d1");
		put_module(k, "d1/m1");
		put_module(k, "d1/m2");
		kit_patch(k, "d1/m2", NULL, "{'tags':{'a':1}}");
		shard_evict(k->sh, 0);
		shard_evict(k->sh, 0);
		k->hold = true;
		put_module(k, "d1/m3");
		assert_int_equal(kit_delete(k, "d1", "*"), F_NONE);
		kit_device(k, "d1");
		put_module(k, "d1/m9");
		kit_fail(k, found);
		k->hold = false;
		kit_commit(k);
		assert_string_equal(list(k, "d1"), "m1 m2 ");
		kit_restart(k);
		assert_string_equal(list(k, "d1"), "m1 m2 ");
		kit_read(k, "d1/m2");
		kit_shows(k, "tags/a", "1");
		assert_int_equal(kit_delete(k, "d1", "*"), F_NONE);
		assert_int_equal(kit_records(k), 0);
	}
}

static void
module__a_module_without_its_device_is_refused_at_start(void **state)
{
	struct kit *k = *state;
	struct shard *sh = shard_new(3, NULL);
	struct kit_row *r;
	struct buf key = { 0 };

	kit_device(k, "d1");
	put_module(k, "d1/m1");
	hub_key(&key, 3, STR("d1"), STR("m1"));
	r = rows_find(&k->store, RECORD_IDENTITY, buf_view(&key));
	assert_int_equal(shard_load(sh, buf_view(&r->key), buf_view(&r->value)), ERR_CORRUPT);
	buf_fini(&key);
	shard_free(sh);
}

/* ---- counts ---- */

static void
assert_counts(struct kit *k, uint32_t devices, uint32_t disabled, uint32_t connected)
{
	const struct shard_counts *c = shard_counts(k->sh);

	assert_int_equal(c->devices, devices);
	assert_int_equal(c->disabled, disabled);
	assert_int_equal(c->connected, connected);
}

static void
counts__R96_devices_only(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	kit_device(k, "d2");
	put_module(k, "d1/m1");
	kit_connect(k, "d1/m1", 1, true);
	assert_counts(k, 2, 0, 0);
	session_epoch = kit_connect(k, "d1", 2, true);
	assert_counts(k, 2, 0, 1);
	session_epoch = kit_connect(k, "d1", 3, true); /* takes over */
	assert_counts(k, 2, 0, 1);
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	assert_counts(k, 2, 0, 0);
	kit_connect(k, "d2", 4, true);
	kit_put(k, "d2", "*", "{'status':'disabled'}");
	assert_counts(k, 2, 1, 0);
	kit_restart(k);
	assert_counts(k, 2, 1, 0);
	kit_delete(k, "d2", NULL);
	assert_counts(k, 1, 0, 0);
}

static void
counts__R96_follow_an_undo(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_device(k, "d2");
	kit_put(k, "d2", "*", "{'status':'disabled'}");
	k->hold = true;
	kit_put(k, "d1", "*", "{'status':'disabled'}");
	kit_delete(k, "d2", NULL);
	kit_device(k, "d3");
	kit_connect(k, "d3", 1, false);
	assert_counts(k, 2, 1, 1);
	kit_fail(k, false);
	assert_counts(k, 2, 1, 0);
	k->hold = false;
	kit_commit(k);
	kit_get(k, "d1");
	kit_shows(k, "status", "'enabled'");
}

/* ---- the scope of an edge device ---- */

/* How many times `text` is in the answer. */
static unsigned
answer_has(struct kit *k, const char *text)
{
	struct str body = buf_view(&k->reply.body);
	unsigned n = 0;

	for (size_t i = 0; i + strlen(text) <= body.n; i++)
		n += memcmp(body.p + i, text, strlen(text)) == 0;
	return n;
}

static void
scope__R111_is_the_device_its_leaves_and_their_modules(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_SCOPE_READ, "e1");
	char scope[256];

	kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true}}");
	kit_put(k, "e2", NULL, "{'capabilities':{'iotEdge':true}}");
	kit_device(k, "d1");
	kit_put(k, "d1/m1", NULL, "{}");
	kit_restart(k); /* nothing is in memory */
	assert_int_equal(kit_run(k, &op), F_NONE);
	snprintf(scope, sizeof(scope), STR_FMT, STR_ARG(buf_view(&k->reply.body)));
	assert_non_null(strstr(scope, "ms-azure-iot-edge://e1-"));

	op = kit_op(OP_SCOPE_MEMBER, "e1");
	op.if_tag = str_of(scope);
	op.name = STR("$edgeHub");
	assert_int_equal(kit_run(k, &op), F_NONE);
	assert_int_equal(answer_has(k, "\"deviceId\":\"e1\""), 2);
	assert_int_equal(answer_has(k, "\"moduleId\":\"$edgeHub\""), 1);
	op.name = STR("nosuch");
	kit_run(k, &op);
	assert_int_equal(answer_has(k, "\"deviceId\":\"e1\""), 1);
	for (unsigned i = 0; i < 3; i++) { /* another's, one without a scope, none */
		op = kit_op(OP_SCOPE_MEMBER, (const char *[]){ "e2", "d1", "nobody" }[i]);
		op.if_tag = str_of(scope);
		op.name = STR("m1");
		assert_int_equal(kit_run(k, &op), F_NONE);
		assert_true(str_eq(buf_view(&k->reply.body),
		    STR("{\"devices\":[],\"modules\":[],\"continuationLink\":null}")));
	}
	op = kit_op(OP_SCOPE_READ, "d1");
	assert_int_equal(kit_run(k, &op), F_ArgumentInvalid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(module__R38_new_then_conflict),
		kit_test(module__R39_says_what_is_missing),
		kit_test(module__R40_delete_leaves_the_others),
		kit_test(module__L25_at_most_50),
		kit_test(module__L24_counts_as_an_identity),
		kit_test(module__T87_twin_is_its_own),
		kit_test(module__D52_notifications_go_to_the_module),
		kit_test(module__T88_disabling_the_device_cuts_it),
		kit_test(module__T90_edge_modules_are_the_hubs),
		kit_test(module__T91_goes_with_its_device),
		kit_test(module__T91_all_come_back_when_the_commit_fails),
		kit_test(module__a_module_without_its_device_is_refused_at_start),
		kit_test(counts__R96_devices_only),
		kit_test(counts__R96_follow_an_undo),
		kit_test(scope__R111_is_the_device_its_leaves_and_their_modules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
