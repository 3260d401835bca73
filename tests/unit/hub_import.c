/* An identity with its twin in one operation, and new keys: service-rest.md 8; T-10, T-11. */
#include "hub_kit.h"

static enum fault_code
import(struct kit *k, const char *id, uint8_t may, const char *etag, const char *json)
{
	struct op op = kit_op(OP_IDENTITY_IMPORT, id);

	kit_doc(k, json, &op);
	kit_if(&op, etag);
	op.import = may;
	return kit_run(k, &op);
}

#define EITHER (IMPORT_CREATE | IMPORT_REPLACE)

static void
import__T10_new_twin_holds_the_parts_at_version_1(void **state)
{
	struct kit *k = *state;

	assert_int_equal(
	    import(k, "d1", IMPORT_CREATE, NULL,
	        "{'id':'d1','tags':{'a':1,'no':null},'properties':{'desired':{'b':{'c':2,"
	        "'no':null}},'reported':{'x':1}}}"),
	    F_NONE);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	kit_shows(k, "tags", "{'a':1}");
	kit_shows(k, "properties/desired/b", "{'c':2}");
	kit_shows(k, "properties/reported/x", "-");
	kit_restart(k);
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1}");
}

static void
import__R43_R48_what_exists_and_what_does_not(void **state)
{
	struct kit *k = *state;

	assert_int_equal(import(k, "d1", IMPORT_REPLACE, NULL, "{}"), F_DeviceNotFound);
	assert_int_equal(import(k, "d1/m", EITHER, NULL, "{}"), F_DeviceNotFound);
	assert_int_equal(import(k, "d1", EITHER, NULL, "{}"), F_NONE);
	assert_int_equal(import(k, "d1", EITHER, NULL, "{'status':'disabled'}"), F_NONE);
	assert_int_equal(import(k, "d1", IMPORT_CREATE, NULL, "{}"), F_DeviceAlreadyExists);
	assert_int_equal(import(k, "d1/m", IMPORT_REPLACE, NULL, "{}"), F_ModuleNotFound);
	assert_int_equal(import(k, "d1/m", IMPORT_CREATE, NULL, "{}"), F_NONE);
	assert_int_equal(
	    import(k, "d1/m", IMPORT_CREATE, NULL, "{}"), F_ModuleAlreadyExistsOnDevice);
	kit_get(k, "d1");
	kit_shows(k, "status", "'disabled'");
}

static void
import__R46_tags_decide(void **state)
{
	struct kit *k = *state;
	char identity[32], twin[32], json[128];

	kit_device(k, "d1");
	kit_etag(k, identity);
	kit_read(k, "d1");
	kit_etag(k, twin);
	assert_int_equal(import(k, "d1", EITHER, "stale", "{}"), F_PreconditionFailed);
	assert_int_equal(import(k, "d2", EITHER, "stale", "{}"), F_NONE); /* for what exists */
	assert_int_equal(
	    import(k, "d1", EITHER, NULL, "{'twinETag':'stale'}"), F_PreconditionFailed);
	snprintf(json, sizeof(json), "{'twinETag':'%s','tags':{'a':1}}", twin);
	assert_int_equal(import(k, "d1", EITHER, identity, json), F_NONE);
	assert_int_equal(import(k, "d1", EITHER, NULL, json), F_PreconditionFailed);
}

static void
import__R47_all_or_nothing(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(
	    import(k, "d1", EITHER, NULL,
	        "{'status':'disabled','tags':{'a':1},'properties':{'desired':{'$x':1}}}"),
	    F_ArgumentInvalid);
	assert_int_equal(import(k, "d2", EITHER, NULL, "{'tags':{'$x':1}}"), F_ArgumentInvalid);
	assert_int_equal(import(k, "d2", EITHER, NULL, "{'properties':1}"), F_ArgumentInvalid);
	assert_int_equal(import(k, "d2", EITHER, NULL, "{'status':'maybe'}"), F_ArgumentInvalid);
	assert_int_equal(shard_identities(k->sh), 1);
	kit_get(k, "d1");
	kit_shows(k, "status", "'enabled'");
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

static void
import__R47_merges_and_notifies(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1,'b':2}}");
	session_epoch = kit_connect(k, "d1", 7, true);
	kit_subscribe(k, "d1", session_epoch, "d");
	kit_effects(k);
	assert_int_equal(
	    import(k, "d1", EITHER, NULL,
	        "{'authentication':{'symmetricKey':{'primaryKey':'" KEY1 "','secondaryKey':'" KEY2
	        "'}},'tags':{'b':null,'c':3},'properties':{'desired':{'x':1}}}"),
	    F_NONE);
	assert_string_equal(kit_effects(k), "notify 7 v2 {'x':1,'$version':2}");
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1,'c':3}");
}

static void
import__T90_a_leaf_becomes_an_edge_device(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	for (int i = 0; i < 70; i++) { /* so that the rows move when modules are made */
		char id[16];

		snprintf(id, sizeof(id), "x%d", i);
		assert_int_equal(
		    import(k, id, EITHER, NULL, "{'capabilities':{'iotEdge':true},'tags':{'a':1}}"),
		    F_NONE);
		assert_int_equal(import(k, id, EITHER, NULL, "{'tags':{'b':2}}"), F_NONE);
	}
	assert_int_equal(
	    import(k, "d1", EITHER, NULL, "{'capabilities':{'iotEdge':true},'tags':{'a':1}}"),
	    F_NONE);
	assert_int_equal(shard_identities(k->sh), 71 * 3);
	assert_int_equal(
	    import(k, "d1/$edgeHub", EITHER, NULL, "{}"), F_SystemModuleModifyUnauthorizedAccess);
	kit_read(k, "d1");
	kit_shows(k, "tags", "{'a':1}");
}

static void
import__an_undo_takes_both_back(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	k->hold = true;
	assert_int_equal(
	    import(k, "d1", EITHER, NULL, "{'status':'disabled','tags':{'a':1}}"), F_NONE);
	kit_fail(k, true);
	k->hold = false;
	kit_commit(k);
	kit_restart(k);
	kit_get(k, "d1");
	kit_shows(k, "status", "'enabled'");
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

static enum fault_code
regenerate(struct kit *k, const char *id, uint8_t keys)
{
	struct op op = kit_op(OP_KEYS_REGENERATE, id);

	op.keys = keys;
	return kit_run(k, &op);
}

static void
keys__R100_one_or_both_are_new(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(regenerate(k, "d1", 2), F_NONE);
	assert_non_null(strstr(kit_body_text(k), "'primaryKey':'" KEY1 "','secondaryKey':'"));
	assert_null(strstr(kit_body_text(k), KEY2));
	assert_int_equal(regenerate(k, "d1", 3), F_NONE);
	assert_null(strstr(kit_body_text(k), KEY1));
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1"); /* T-11 */
	assert_int_equal(regenerate(k, "d2", 3), F_DeviceNotFound);
	kit_put(k, "d1", "*", "{'authentication':{'type':'certificateAuthority'}}");
	assert_int_equal(regenerate(k, "d1", 1), F_ArgumentInvalid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(import__T10_new_twin_holds_the_parts_at_version_1),
		kit_test(import__R43_R48_what_exists_and_what_does_not),
		kit_test(import__R46_tags_decide),
		kit_test(import__R47_all_or_nothing),
		kit_test(import__R47_merges_and_notifies),
		kit_test(import__T90_a_leaf_becomes_an_edge_device),
		kit_test(import__an_undo_takes_both_back),
		kit_test(keys__R100_one_or_both_are_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
