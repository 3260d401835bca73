/* Twins as back ends see and change them: twins.md 1 to 4, 11, 12. What a merge does is tested with twin/. */
#include "hub_kit.h"

static void
twin__T01_T07_first_state(void **state)
{
	struct kit *k = *state;

	k->env.now_us = BEGIN;
	kit_device(k, "d1");
	assert_int_equal(kit_read(k, "d1"), F_NONE);
	assert_string_equal(k->reply.etag, "AAAAAAAAAAE=");
	kit_shows(k, "deviceEtag", kit_at(k, "deviceEtag"));
	k->text.n = 0;
	kit_get(k, "d1");
	{
		char want[1024], etag[32];

		kit_etag(k, etag);
		snprintf(want, sizeof(want),
		    "{'deviceId':'d1','etag':'AAAAAAAAAAE=','deviceEtag':'%s','status':'enabled',"
		    "'statusUpdateTime':'0001-01-01T00:00:00Z','connectionState':'Disconnected',"
		    "'lastActivityTime':'0001-01-01T00:00:00Z','cloudToDeviceMessageCount':0,"
		    "'authenticationType':'sas','x509Thumbprint':{'primaryThumbprint':null,"
		    "'secondaryThumbprint':null},'modelId':'','version':2,'properties':{'desired':"
		    "{'$metadata':{'$lastUpdated':'2024-01-01T00:00:01.0000000Z'},'$version':1},"
		    "'reported':{'$metadata':{'$lastUpdated':'2024-01-01T00:00:01.0000000Z'},"
		    "'$version':1}},'capabilities':{'iotEdge':false}}",
		    etag);
		kit_read(k, "d1");
		assert_string_equal(kit_body_text(k), want);
	}
}

static void
twin__T02_holds_no_keys_and_no_generation(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_read(k, "d1");
	assert_null(strstr(kit_body_text(k), KEY1));
	kit_shows(k, "generationId", "-");
	kit_shows(k, "connectionStateUpdatedTime", "-");
	kit_shows(k, "authentication", "-");
}

static void
twin__T03_root_members_are_ignored_but_a_foreign_id(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(kit_patch(k, "d1", NULL,
	                     "{'deviceId':'d1','etag':'x','version':99,'status':'disabled',"
	                     "'connectionState':7,'tags':{'a':1}}"),
	    F_NONE);
	kit_shows(k, "status", "'enabled'");
	assert_int_equal(kit_patch(k, "d1", NULL, "{'deviceId':null,'moduleId':'m'}"), F_NONE);
	assert_int_equal(
	    kit_patch(k, "d1", NULL, "{'deviceId':'d2','tags':{'a':2}}"), F_ArgumentInvalid);
	assert_int_equal(kit_replace(k, "d1", NULL, "{'deviceId':7}"), F_ArgumentInvalid);
	assert_string_equal(kit_counters(k, "d1"), "2 3 1 1");
}

static void
twin__T06_unknown_identity_is_404(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_read(k, "d1"), F_DeviceNotFound);
	assert_int_equal(kit_patch(k, "d1", NULL, "{}"), F_DeviceNotFound);
	assert_int_equal(kit_replace(k, "d1", NULL, "{}"), F_DeviceNotFound);
	assert_int_equal(kit_read(k, "d1/m1"), F_DeviceNotFound);
	kit_device(k, "d1");
	assert_int_equal(kit_read(k, "d1/m1"), F_ModuleNotFound);
	assert_string_equal(k->reply.fault.text, "d1/m1");
}

static void
twin__T13_reported_of_a_back_end_is_ignored(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(kit_patch(k, "d1", NULL, "{'properties':{'reported':{'a':1}}}"), F_NONE);
	assert_int_equal(kit_replace(k, "d1", NULL, "{'properties':{'reported':5}}"), F_NONE);
	kit_shows(k, "properties/reported/$version", "1");
	kit_shows(k, "properties/reported/a", "-");
}

static void
twin__T16_etag_is_a_counter_in_eight_bytes(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	for (int i = 0; i < 256; i++)
		kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	assert_string_equal(k->reply.etag, "AAAAAAAAAQE="); /* 257 */
	kit_shows(k, "etag", "'AAAAAAAAAQE='");
}

static void
twin__T18_version_is_the_sum(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	for (int i = 0; i < 5; i++)
		kit_report(k, "d1", session_epoch, "{'x':1}");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1}}");
	assert_string_equal(kit_counters(k, "d1"), "2 8 1 6");
}

static void
twin__T21_tags_and_desired_are_one_step(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b':2}}}");
	assert_string_equal(kit_counters(k, "d1"), "2 3 2 1");
}

static void
twin__T34_body_that_is_no_object_is_400(void **state)
{
	struct kit *k = *state;
	static const char *const bad[] = { "5", "[]", "null", "'x'", "{'properties':5}",
		"{'properties':[]}" };

	kit_device(k, "d1");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(kit_patch(k, "d1", NULL, bad[i]), F_ArgumentInvalid);
		assert_int_equal(kit_replace(k, "d1", NULL, bad[i]), F_ArgumentInvalid);
	}
	assert_int_equal(kit_patch(k, "d1", NULL, "{'properties':null}"), F_NONE);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

static void
twin__T39_no_change_moves_nothing_and_writes_nothing(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	k->hold = true;
	assert_int_equal(kit_patch(k, "d1", NULL, "{}"), F_NONE);
	assert_int_equal(kit_patch(k, "d1", NULL, "{'tags':{},'properties':{}}"), F_NONE);
	assert_int_equal(
	    kit_patch(k, "d1", NULL, "{'tags':{'x':null},'properties':{'desired':{'y':null}}}"),
	    F_NONE);
	kit_shows(k, "version", "2"); /* the answer is the twin all the same */
	assert_int_equal(k->batch.n, 0);
}

static void
twin__T41_a_null_section_is_cleared(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b':2}}}");
	assert_int_equal(
	    kit_patch(k, "d1", NULL, "{'tags':null,'properties':{'desired':null}}"), F_NONE);
	assert_string_equal(kit_counters(k, "d1"), "3 4 3 1");
	kit_shows(k, "tags", "-");
	kit_shows(k, "properties/desired/b", "-");
	kit_patch(k, "d1", NULL, "{'tags':null,'properties':{'desired':null}}");
	assert_string_equal(kit_counters(k, "d1"), "3 4 3 1");
}

static void
twin__T43_one_bad_section_refuses_both(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(
	    kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b c':2}}}"),
	    F_ArgumentInvalid);
	assert_int_equal(kit_replace(k, "d1", NULL, "{'tags':5,'properties':{'desired':{'b':2}}}"),
	    F_ArgumentInvalid);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

static void
twin__T45_put_clears_what_it_does_not_name(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b':2}}}");
	assert_int_equal(kit_replace(k, "d1", NULL, "{}"), F_NONE);
	kit_shows(k, "tags", "-");
	kit_shows(k, "properties/desired/b", "-");
	assert_string_equal(kit_counters(k, "d1"), "3 4 3 1");
	assert_int_equal(kit_replace(k, "d1", NULL, "{}"), F_NONE);
	assert_string_equal(kit_counters(k, "d1"), "4 5 3 1"); /* still a step of E */
}

static void
twin__T49_if_match(void **state)
{
	struct kit *k = *state;
	char first[32];

	kit_device(k, "d1");
	kit_read(k, "d1");
	kit_etag(k, first);
	assert_int_equal(kit_patch(k, "d1", first, "{'tags':{'a':1}}"), F_NONE);
	assert_int_equal(kit_patch(k, "d1", first, "{'tags':{'a':2}}"), F_PreconditionFailed);
	assert_int_equal(kit_replace(k, "d1", first, "{}"), F_PreconditionFailed);
	assert_int_equal(kit_patch(k, "d1", "*", "{'tags':{'a':3}}"), F_NONE);
	kit_shows(k, "tags", "{'a':3}");
	assert_int_equal(
	    kit_patch(k, "d1", NULL, "{'etag':'old','tags':{'a':4}}"), F_NONE); /* T-51 */
}

/* T-20: the etag of a chatty device's twin stays good. */
static void
twin__T20_reported_leaves_the_etag(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;
	char etag[32];

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, true);
	kit_read(k, "d1");
	kit_etag(k, etag);
	kit_report(k, "d1", session_epoch, "{'x':1}");
	assert_int_equal(kit_patch(k, "d1", etag, "{'tags':{'a':1}}"), F_NONE);
}

static void
twin__T83_the_last_of_repeated_members_counts(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(kit_patch(k, "d1", NULL,
	                     "{'tags':{'a':1},'properties':{'desired':{'b':1}},'tags':{'a':2},"
	                     "'properties':{'desired':{'b':2},'desired':{'b':3}}}"),
	    F_NONE);
	kit_shows(k, "tags", "{'a':2}");
	kit_shows(k, "properties/desired/b", "3");
	assert_int_equal(kit_patch(k, "d1", NULL, "{'tags':5,'tags':{'a':4}}"), F_NONE);
	kit_shows(k, "tags", "{'a':4}");
	assert_int_equal(kit_patch(k, "d1", NULL, "{'tags':{'a':5},'tags':5}"), F_ArgumentInvalid);
}

static void
twin__T107_connecting_moves_no_counter(void **state)
{
	struct kit *k = *state;
	uint64_t session_epoch;

	kit_device(k, "d1");
	session_epoch = kit_connect(k, "d1", 1, false);
	kit_session_op(k, OP_DISCONNECT, "d1", session_epoch, NULL);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
}

/* existence, body, If-Match, values: the first that fails is the answer. */
static void
twin__T116_order_of_checks(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_patch(k, "d1", "MQ==", "{'deviceId':'d2'}"), F_DeviceNotFound);
	kit_device(k, "d1");
	assert_int_equal(
	    kit_patch(k, "d1", "MQ==", "{'deviceId':'d2','tags':{'b c':1}}"), F_ArgumentInvalid);
	assert_non_null(strstr(k->reply.fault.text, "deviceId"));
	assert_int_equal(kit_patch(k, "d1", "MQ==", "{'tags':5}"), F_PreconditionFailed);
	assert_int_equal(kit_patch(k, "d1", "MQ==", "{'tags':{'b c':1}}"), F_PreconditionFailed);
	assert_int_equal(kit_patch(k, "d1", NULL, "{'tags':5}"), F_ArgumentInvalid);
}

/* The table of section 12: E, version, desired.$version, reported.$version, and what the device hears. */
static void
twin__section_12_worked_example_of_counters(void **state)
{
	static const struct step {
		enum { PATCH, PUT, REPORT, STALE } how;
		const char *body, *counters, *notification;
	} steps[] = {
		{ PATCH, "{'tags':{'site':'a'}}", "2 3 1 1", "" },
		{ PATCH, "{'properties':{'desired':{'a':1,'b':2}}}", "3 4 2 1",
		    "notify 9 v2 {'a':1,'b':2,'$version':2}" },
		{ REPORT, "{'x':1}", "3 5 2 2", "" },
		{ PATCH, "{'properties':{'desired':{'a':1,'b':2}}}", "4 6 3 2",
		    "notify 9 v3 {'a':1,'b':2,'$version':3}" },
		{ REPORT, "{'x':1}", "4 7 3 3", "" },
		{ PATCH, "{'properties':{'desired':{'zz':null}}}", "4 7 3 3", "" },
		{ PATCH, "{'tags':{'site':'b'},'properties':{'desired':{'a':null}}}", "5 8 4 3",
		    "notify 9 v4 {'a':null,'$version':4}" },
		{ PUT, "{'tags':{'site':'b'},'properties':{'desired':{'b':2,'c':{'d':1}}}}",
		    "6 9 5 3", "notify 9 v5 {'b':2,'c':{'d':1},'$version':5}" },
		{ PATCH, "{'properties':{'desired':{'c':{'d':null}}}}", "7 10 6 3",
		    "notify 9 v6 {'c':{'d':null},'$version':6}" },
		{ PUT, "{'properties':{'desired':{'b':2,'c':{}}}}", "8 11 7 3",
		    "notify 9 v7 {'b':2,'c':{},'$version':7}" },
		{ STALE, "{'tags':{'site':'c'}}", "8 11 7 3", "" },
		{ PUT, "{'properties':{'desired':{'e':[1,{'f':2}]}}}", "9 12 8 3",
		    "notify 9 v8 {'b':null,'c':null,'e':[1,{'f':2}],'$version':8}" },
		{ PUT, "{'tags':{'k':1}}", "10 13 9 3", "notify 9 v9 {'e':null,'$version':9}" },
		{ PUT, "{'tags':{'k':2}}", "11 14 9 3", "" },
	};
	struct kit *k = *state;
	char etag9[32] = "";
	uint64_t session_epoch;

	kit_device(k, "d1");
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	session_epoch = kit_connect(k, "d1", 9, true);
	kit_subscribe(k, "d1", session_epoch, "td");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const struct step *s = &steps[i];

		switch (s->how) {
		case PATCH: assert_int_equal(kit_patch(k, "d1", NULL, s->body), F_NONE); break;
		case PUT: assert_int_equal(kit_replace(k, "d1", NULL, s->body), F_NONE); break;
		case REPORT:
			assert_int_equal(kit_report(k, "d1", session_epoch, s->body), F_NONE);
			break;
		case STALE:
			assert_int_equal(kit_patch(k, "d1", etag9, s->body), F_PreconditionFailed);
			break;
		}
		if (i + 1 == 9)
			kit_etag(k, etag9);
		assert_string_equal(kit_effects(k), s->notification);
		assert_string_equal(kit_counters(k, "d1"), s->counters);
		if (i + 1 == 9)
			kit_shows(k, "properties/desired/c", "{}");
		if (i + 1 == 10)
			kit_shows(k, "tags", "-");
	}
}

/* ---- as queries see it ---- */

static void
query_ops_agree_with_the_twin(struct kit *k, const char *id, bool module)
{
	static const char *const names[] = {
#define X(root, name, ...) #name,
		QUERY_ROOTS(X)
#undef X
	};
	struct op op = kit_op(OP_TWIN_READ, id);
	struct buf scratch = { 0 }, json = { 0 };
	struct hub_row hr;

	assert_int_equal(kit_read(k, id), F_NONE);
	hub_row_open(&hr, k->sh, shard_find(k->sh, op.device, op.module));
	for (int root = 0; root <= QUERY_ROOT_PARENT_SCOPES; root++) {
		struct doc d;

		if (module && root >= QUERY_ROOT_CAPABILITIES)
			break; /* never asked of modules */
		scratch.n = json.n = 0;
		d = hub_query_ops.root(&hr, (enum query_root)root, &scratch);
		if (doc_defined(d))
			doc_write_json(&json, d);
		else
			buf_putc(&json, '-');
		kit_quotes(&json, '"', '\'');
		buf_putc(&json, '\0');
		assert_string_equal(json.p, kit_at(k, names[root]));
	}
	for (int i = 0; i < SECTION_KINDS; i++) {
		static const char *const at[] = { "tags", "properties/desired",
			"properties/reported" };
		const struct section *s = hub_query_ops.section(&hr, (enum section_kind)i);

		json.n = 0;
		if (i == SECTION_TAGS)
			section_write_tags(&json, s);
		else
			section_write_service(&json, s, (enum section_kind)i);
		kit_quotes(&json, '"', '\'');
		buf_putc(&json, '\0');
		assert_string_equal(
		    section_empty(s) && i == SECTION_TAGS ? "-" : json.p, kit_at(k, at[i]));
	}
	json.n = 0;
	hub_query_ops.write_document(&hr, &json);
	assert_true(str_eq(buf_view(&json), buf_view(&k->reply.body)));
	buf_fini(&scratch);
	buf_fini(&json);
}

static void
query_ops__show_what_the_twin_shows(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "plain");
	query_ops_agree_with_the_twin(k, "plain", false);
	kit_put(k, "edge", NULL,
	    "{'status':'disabled','statusReason':'x','capabilities':{'iotEdge':true},"
	    "'parentScopes':['ms://p'],'authentication':{'type':'certificateAuthority'}}");
	kit_patch(k, "edge", NULL, "{'tags':{'a':{'b':1}},'properties':{'desired':{'c':[1]}}}");
	query_ops_agree_with_the_twin(k, "edge", false);
	kit_put(k, "leaf", NULL,
	    "{'deviceScope':'ms://p','authentication':{'x509Thumbprint':{'primaryThumbprint':"
	    "'0123456789abcdef0123456789abcdef01234567'}}}");
	query_ops_agree_with_the_twin(k, "leaf", false);
	op = kit_connect_op(k, "plain", 1, false);
	op.connect.has_model_id = true;
	op.connect.model_id = STR("dtmi:a;1");
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_report(k, "plain", k->reply.session_epoch, "{'temperature':21.5}");
	query_ops_agree_with_the_twin(k, "plain", false);
	kit_shows(k, "connectionState", "'Connected'");
	kit_shows(k, "modelId", "'dtmi:a;1'");
	kit_put(k, "plain/m", NULL, "{}");
	query_ops_agree_with_the_twin(k, "plain/m", true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(twin__T01_T07_first_state),
		kit_test(twin__T02_holds_no_keys_and_no_generation),
		kit_test(twin__T03_root_members_are_ignored_but_a_foreign_id),
		kit_test(twin__T06_unknown_identity_is_404),
		kit_test(twin__T13_reported_of_a_back_end_is_ignored),
		kit_test(twin__T16_etag_is_a_counter_in_eight_bytes),
		kit_test(twin__T18_version_is_the_sum),
		kit_test(twin__T20_reported_leaves_the_etag),
		kit_test(twin__T21_tags_and_desired_are_one_step),
		kit_test(twin__T34_body_that_is_no_object_is_400),
		kit_test(twin__T39_no_change_moves_nothing_and_writes_nothing),
		kit_test(twin__T41_a_null_section_is_cleared),
		kit_test(twin__T43_one_bad_section_refuses_both),
		kit_test(twin__T45_put_clears_what_it_does_not_name),
		kit_test(twin__T49_if_match),
		kit_test(twin__T83_the_last_of_repeated_members_counts),
		kit_test(twin__T107_connecting_moves_no_counter),
		kit_test(twin__T116_order_of_checks),
		kit_test(twin__section_12_worked_example_of_counters),
		kit_test(query_ops__show_what_the_twin_shows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
