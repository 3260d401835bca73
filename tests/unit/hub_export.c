/* Lines of an export, and what an import makes of them: IMPORT_WHOLE (import_whole.c), hub_export_item. */
#include "hub_kit.h"

static struct buf line; /* the last one */

/* The line of an identity as the store has it. */
static const char *export(struct kit *k, const char *id, bool keys)
{
	struct op op = kit_op(OP_ACK, id);
	struct kit_row *rows[3];
	struct buf key = { 0 };

	hub_key(&key, k->sh->index, op.device, op.module);
	for (int i = 0; i < 3; i++) {
		rows[i] = rows_find(&k->store, (enum record_kind)i, buf_view(&key));
		assert_non_null(rows[i]);
	}
	line.n = 0;
	assert_int_equal(hub_export_item(&line, buf_view(&key), buf_view(&rows[0]->value),
	                     buf_view(&rows[1]->value), buf_view(&rows[2]->value), keys),
	    ERR_OK);
	buf_fini(&key);
	kit_quotes(&line, '"', '\'');
	buf_putc(&line, '\0');
	return line.p;
}

static enum fault_code
import(struct kit *k, const char *id, uint8_t may, const char *json)
{
	struct op op = kit_op(OP_IDENTITY_IMPORT, id);

	kit_doc(k, json, &op);
	op.import = may | IMPORT_WHOLE;
	return kit_run(k, &op);
}

#define EITHER (IMPORT_CREATE | IMPORT_REPLACE)
#define KEYS                                                                                       \
	"'authentication':{'type':'sas','symmetricKey':{'primaryKey':'" KEY1                       \
	"','secondaryKey':'" KEY2 "'}}"

/* A line comes out as it went in. */
static void
comes_back(struct kit *k, const char *id, const char *json)
{
	assert_int_equal(import(k, id, EITHER, json), F_NONE);
	export(k, id, true);
	assert_string_equal(line.p, json);
}

#define TIMES  "'statusUpdatedTime':'2023-01-02T03:04:05.0000060Z'"
#define SCOPE  "ms-azure-iot-edge://e1-638000000000000001"
#define PRINTS "'x509Thumbprint':{'primaryThumbprint':null,'secondaryThumbprint':null}"
#define SAS                                                                                        \
	"'authentication':{'symmetricKey':{'primaryKey':'" KEY1 "','secondaryKey':'" KEY2          \
	"'}," PRINTS ",'type':'sas'}"
#define AT "'$lastUpdated':'2023-05-06T07:08:09.0000010Z'"
#define TWIN(desired)                                                                              \
	"'twinETag':'AAAAAAAAAAk=','tags':{'a':{'b':[1]}},'properties':{'desired':{" desired       \
	"'$metadata':{" AT ",'$lastUpdatedVersion':4,'x':{" AT                                     \
	",'$lastUpdatedVersion':3}},'$version':4},'reported':{'r':1.5,'$metadata':{" AT            \
	",'r':{" AT "}},'$version':7}}"

static void
export__a_line_comes_out_as_it_went_in(void **state)
{
	struct kit *k = *state;

	comes_back(k, "d1",
	    "{'id':'d1','eTag':'MTIz','generationId':'638000000000000005','status':'disabled',"
	    "'statusReason':'lost'," TIMES "," SAS
	    ",'capabilities':{'iotEdge':false},'deviceScope':'" SCOPE "','parentScopes':['" SCOPE
	    "'],'modelId':'dtmi:x,1',"
	    "'lastActivityTime':'2023-03-04T05:06:07.0000000Z'," TWIN("'x':1,") "}");
	comes_back(k, "d1/m1",
	    "{'id':'d1','moduleId':'m1','eTag':'MQ==','generationId':'638000000000000006',"
	    "'managedBy':'me'," SAS "," TWIN("'x':{},") "}");
	comes_back(k, "e1",
	    "{'id':'e1','eTag':'Nw==','generationId':'638000000000000001','status':'enabled'," SAS
	    ",'capabilities':{'iotEdge':true},'deviceScope':'" SCOPE "'," TWIN("'x':2,") "}");
	comes_back(k, "e1/$edgeAgent",
	    "{'id':'e1','moduleId':'$edgeAgent','eTag':'OQ==','generationId':'638000000000000002'"
	    "," SAS "," TWIN("'x':3,") "}");
	kit_read(k, "d1");
	kit_shows(k, "version", "16");
	export(k, "d1", false);
	assert_non_null(strstr(line.p, "'symmetricKey':{'primaryKey':null,'secondaryKey':null}"));
	kit_restart(k);
	kit_get(k, "d1");
	kit_shows(k, "generationId", "'638000000000000005'");
	kit_shows(k, "lastActivityTime", "'2023-03-04T05:06:07.0000000Z'");
}

/* Nobody knows whether a line was applied: it is applied once more. */
static void
import__a_line_twice_changes_nothing(void **state)
{
	static const char *const lines[] = {
		"{'id':'d1','tags':{'a':1},'properties':{'desired':{'b':1}}}",
		"{'id':'d1','status':'disabled','tags':{'a':2}," KEYS
		",'properties':{'desired':{'b':2,'c':{}}}}"
	};
	struct kit *k = *state;
	struct buf before = { 0 };

	for (int i = 0; i < 2; i++) {
		assert_int_equal(import(k, "d1", EITHER, lines[i]), F_NONE);
		before.n = 0;
		buf_cstr(&before, export(k, "d1", true));
		buf_putc(&before, '\0');
		assert_int_equal(import(k, "d1", EITHER, lines[i]), F_NONE);
		assert_string_equal(export(k, "d1", true), before.p);
		assert_int_equal(import(k, "d1", EITHER, before.p), F_NONE); /* its own export */
		assert_string_equal(export(k, "d1", true), before.p);
	}
	assert_string_equal(kit_counters(k, "d1"), "2 3 2 1");
	buf_fini(&before);
}

/* Identity overwritten, tags and desired merged, reported left to the device; a session hears of it. */
static void
import__onto_what_exists(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 7, true);
	kit_subscribe(k, "d1", session_epoch, "d");
	(void)kit_effects(k);
	assert_int_equal(
	    import(k, "d1", EITHER,
	        "{'id':'d1','statusReason':'moved','tags':{'a':1},'properties':{'desired':{'b':"
	        "1,'$version':40},'reported':{'c':1,'$version':50}}}"),
	    F_NONE);
	assert_string_equal(kit_effects(k), "notify 7 v2 {'b':1,'$version':2}");
	kit_read(k, "d1");
	kit_shows(k, "properties/reported/c", "-");
	kit_shows(k, "properties/desired/b", "1");
	kit_shows(k, "statusReason", "'moved'");
	export(k, "d1", true);
	assert_non_null(strstr(line.p, KEY1)); /* a line without keys leaves them */
	assert_int_equal(import(k, "d1", EITHER, "{'id':'d1','tags':{'a':null}}"), F_NONE);
	kit_read(k, "d1");
	kit_shows(k, "tags", "-");
	assert_int_equal(import(k, "d1", IMPORT_CREATE, "{'id':'d1'}"), F_DeviceAlreadyExists);
	assert_int_equal(import(k, "d2", IMPORT_REPLACE, "{'id':'d2'}"), F_DeviceNotFound);
}

/* A device that was registered, but whose twin nobody has seen, gets the exported twin whole; also again, if that failed. */
static void
import__onto_a_fresh_twin(void **state)
{
	const char *json = "{'id':'d1'," KEYS "," TWIN("'x':1,") "}";
	struct kit *k = *state;

	kit_device(k, "d1");
	k->hold = true;
	assert_int_equal(import(k, "d1", EITHER, json), F_NONE);
	kit_fail(k, false);
	kit_commit(k);
	k->hold = false;
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	assert_int_equal(import(k, "d1", EITHER, json), F_NONE);
	assert_string_equal(kit_counters(k, "d1"), "9 16 4 7");
	kit_restart(k);
	assert_string_equal(kit_counters(k, "d1"), "9 16 4 7");
}

/* What was made is taken back, whole. */
static void
import__an_undo_takes_all_back(void **state)
{
	struct kit *k = *state;

	k->hold = true;
	assert_int_equal(import(k, "e1", EITHER,
	                     "{'id':'e1','capabilities':{'iotEdge':true}," TWIN("'x':1,") "}"),
	    F_NONE);
	assert_int_equal(
	    import(k, "e1/$edgeHub", EITHER, "{'id':'e1','moduleId':'$edgeHub'," KEYS "}"), F_NONE);
	kit_fail(k, true);
	kit_commit(k);
	k->hold = false;
	assert_int_equal(kit_get(k, "e1"), F_DeviceNotFound);
	assert_int_equal(k->store.n, 0);
}

/* What cannot be another hub's is not taken from the line, and is no fault of it. */
static void
import__what_the_hub_keeps_to_itself(void **state)
{
	struct kit *k = *state;

	assert_int_equal(
	    import(k, "d1", EITHER,
	        "{'id':'d1','eTag':'!','generationId':'18446744073709551615','twinETag':'AA==',"
	        "'statusUpdatedTime':'2999-01-01T00:00:00Z','lastActivityTime':'yesterday','"
	        "modelId':7}"),
	    F_NONE);
	kit_get(k, "d1");
	assert_string_not_equal(kit_at(k, "generationId"), "'18446744073709551615'");
	kit_shows(k, "statusUpdatedTime", "'2024-01-01T00:00:01.0000000Z'");
	kit_shows(k, "lastActivityTime", "'0001-01-01T00:00:00Z'");
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	/* a scope of another device, an etag that is no number, a counter beyond what JSON integers hold */
	assert_int_equal(import(k, "e1", EITHER,
	                     "{'id':'e1','capabilities':{'iotEdge':true},'deviceScope':'ms-azure-"
	                     "iot-edge://e2-1',"
	                     "'eTag':'AAAA','twinETag':'//////////8='}"),
	    F_NONE);
	kit_get(k, "e1");
	assert_non_null(strstr(kit_at(k, "deviceScope"), "e1-"));
	kit_read(k, "e1");
	kit_shows(k, "version", "2");
	/* what is made next does not collide with a generation that came */
	assert_int_equal(
	    import(k, "d3", EITHER, "{'id':'d3','generationId':'638000000000000005'}"), F_NONE);
	kit_device(k, "d4");
}

static void
export__damaged_records_are_none(void **state)
{
	struct kit *k = *state;
	struct kit_row *rows[3];
	struct buf key = { 0 }, json = { 0 };

	kit_device(k, "d1");
	hub_key(&key, k->sh->index, STR("d1"), STR_NONE);
	for (int i = 0; i < 3; i++)
		rows[i] = rows_find(&k->store, (enum record_kind)i, buf_view(&key));
	for (int i = 0; i < 3; i++) {
		struct buf *b = &rows[i]->value;

		for (size_t n = 0; n < b->n; n++) {
			struct str values[3];

			for (int v = 0; v < 3; v++)
				values[v] = buf_view(&rows[v]->value);
			values[i].n = n; /* cut */
			assert_int_equal(hub_export_item(&json, buf_view(&key), values[0],
			                     values[1], values[2], true),
			    ERR_CORRUPT);
			assert_int_equal(json.n, 0);
		}
	}
	buf_fini(&key), buf_fini(&json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(export__a_line_comes_out_as_it_went_in),
		kit_test(import__a_line_twice_changes_nothing),
		kit_test(import__onto_what_exists),
		kit_test(import__onto_a_fresh_twin),
		kit_test(import__an_undo_takes_all_back),
		kit_test(import__what_the_hub_keeps_to_itself),
		kit_test(export__damaged_records_are_none),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_fini(&line);
	return failed;
}
