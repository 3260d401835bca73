/* The identity registry: service-rest.md 5.1, 6; twins.md 1.2. */
#include "hub_kit.h"

static void
identity__R20_empty_keys_are_generated(void **state)
{
	struct kit *k = *state;
	char primary[64];

	assert_int_equal(kit_put(k, "d1", NULL,
	                     "{'deviceId':'d1','authentication':{'type':'sas','symmetricKey':"
	                     "{'primaryKey':'','secondaryKey':''}}}"),
	    F_NONE);
	snprintf(
	    primary, sizeof(primary), "%s", kit_at(k, "authentication/symmetricKey/primaryKey"));
	assert_int_equal(strlen(primary), 46); /* 44 characters of base64 for 32 bytes, quoted */
	assert_string_not_equal(kit_at(k, "authentication/symmetricKey/secondaryKey"), primary);
	kit_shows(k, "authentication/type", "'sas'");
	kit_shows(k, "status", "'enabled'");
	kit_shows(k, "statusReason", "null");
	kit_shows(k, "connectionState", "'Disconnected'");
	kit_shows(k, "statusUpdatedTime", "'0001-01-01T00:00:00Z'");
	kit_shows(k, "connectionStateUpdatedTime", "'0001-01-01T00:00:00Z'");
	kit_shows(k, "lastActivityTime", "'0001-01-01T00:00:00Z'");
	kit_shows(k, "cloudToDeviceMessageCount", "0");
	kit_shows(k, "capabilities", "{'iotEdge':false}");
	kit_shows(k, "deviceScope", "-");
	kit_shows(k, "parentScopes", "-");
}

static void
identity__bodies_without_authentication_are_sas(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_put(k, "d1", NULL, "{}"), F_NONE);
	kit_shows(k, "authentication/type", "'sas'");
	assert_string_not_equal(kit_at(k, "authentication/symmetricKey/primaryKey"), "null");
	assert_int_equal(kit_put(k, "d2", NULL,
	                     "{'status':null,'statusReason':null,"
	                     "'authentication':null,'capabilities':null,'deviceScope':null}"),
	    F_NONE);
	kit_shows(k, "deviceId", "'d2'");
}

static void
identity__given_keys_are_kept(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(kit_get(k, "d1"), F_NONE);
	kit_shows(k, "authentication/symmetricKey/primaryKey", "'" KEY1 "'");
	kit_shows(k, "authentication/symmetricKey/secondaryKey", "'" KEY2 "'");
}

static void
identity__R21_existing_without_if_match_is_409(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(kit_put(k, "d1", NULL, "{}"), F_DeviceAlreadyExists);
	assert_non_null(strstr(k->reply.fault.text, "Conflict: the device d1 exists, "));
	assert_non_null(strstr(k->reply.fault.text, "If-Match is missing"));
	kit_get(k, "d1");
	kit_shows(k, "authentication/symmetricKey/primaryKey", "'" KEY1 "'");
}

static void
identity__R22_wildcard_replaces(void **state)
{
	struct kit *k = *state;
	char etag[32], generation[64];

	kit_device(k, "d1");
	kit_etag(k, etag);
	snprintf(generation, sizeof(generation), "%s", kit_at(k, "generationId"));
	assert_int_equal(kit_put(k, "d1", "*", "{'statusReason':'why'}"), F_NONE);
	kit_shows(k, "statusReason", "'why'");
	assert_string_not_equal(kit_at(k, "authentication/symmetricKey/primaryKey"), "'" KEY1 "'");
	kit_shows(k, "generationId", generation);
	assert_string_not_equal(k->reply.etag, etag);
	kit_etag(k, etag);
	assert_int_equal(kit_put(k, "d1", "*", "{}"), F_NONE);
	kit_shows(k, "statusReason", "null"); /* a full replace */
	assert_string_not_equal(k->reply.etag, etag);
}

static void
identity__R23_stale_tag_is_412_and_the_right_one_replaces(void **state)
{
	struct kit *k = *state;
	char first[32];

	kit_device(k, "d1");
	kit_etag(k, first);
	assert_int_equal(kit_put(k, "d1", first, "{'status':'disabled'}"), F_NONE);
	assert_int_equal(kit_put(k, "d1", first, "{}"), F_PreconditionFailed);
	assert_string_equal(k->reply.fault.text, "PreconditionFailed");
	kit_get(k, "d1");
	kit_shows(k, "status", "'disabled'");
}

static void
identity__R24_if_match_on_a_missing_device_is_404(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_put(k, "d1", "*", "{}"), F_DeviceNotFound);
	assert_int_equal(kit_put(k, "d1", "MQ==", "{}"), F_DeviceNotFound);
	assert_string_equal(k->reply.fault.text, "d1");
	assert_int_equal(kit_records(k), 0);
}

static void
identity__R25_status_falls_back_and_its_time_moves_with_it(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1"); /* second 1 */
	kit_put(k, "d1", "*", "{'status':'Disabled','statusReason':'stolen'}");
	kit_shows(k, "status", "'disabled'");
	kit_shows(k, "statusUpdatedTime", "'2024-01-01T00:00:02.0000000Z'");
	kit_put(k, "d1", "*", "{'status':'disabled'}");
	kit_shows(k, "statusUpdatedTime", "'2024-01-01T00:00:02.0000000Z'"); /* no change of it */
	kit_put(k, "d1", "*", "{}");
	kit_shows(k, "status", "'enabled'");
	kit_shows(k, "statusUpdatedTime", "'2024-01-01T00:00:04.0000000Z'");
}

static void
identity__R26_self_signed_has_thumbprints_only(void **state)
{
	struct kit *k = *state;
	static const char body[] =
	    "{'authentication':{'type':'selfSigned','x509Thumbprint':{'primaryThumbprint':"
	    "'0123456789abcdef0123456789ABCDEF01234567'},'symmetricKey':null}}";

	assert_int_equal(kit_put(k, "d1", NULL, body), F_NONE);
	assert_string_equal(kit_at(k, "authentication"),
	    "{'symmetricKey':{'primaryKey':null,'secondaryKey':null},'x509Thumbprint':"
	    "{'primaryThumbprint':'0123456789abcdef0123456789ABCDEF01234567',"
	    "'secondaryThumbprint':null},'type':'selfSigned'}"); /* type is last */
	assert_int_equal(kit_put(k, "d2", NULL,
	                     "{'authentication':{'x509Thumbprint':{'primaryThumbprint':"
	                     "'0123456789abcdef0123456789abcdef01234567'}}}"),
	    F_NONE);
	kit_shows(k, "authentication/type", "'selfSigned'"); /* inferred */
}

static void
identity__R27_certificate_authority_has_no_credentials(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_put(k, "d1", NULL,
	                     "{'authentication':{'type':'certificateAuthority','symmetricKey':{'"
	                     "primaryKey':'" KEY1 "','secondaryKey':'" KEY2 "'}}}"),
	    F_NONE);
	assert_string_equal(kit_at(k, "authentication"),
	    "{'symmetricKey':{'primaryKey':null,'secondaryKey':null},'x509Thumbprint':"
	    "{'primaryThumbprint':null,'secondaryThumbprint':null},'type':'certificateAuthority'}");
}

static void
identity__R28_what_a_body_may_not_hold(void **state)
{
	struct kit *k = *state;
	static const char thumb[] = "0123456789abcdef0123456789abcdef01234567";
	char both[512];
	static const char *const bad[] = {
		"5",
		"[]",
		"{'deviceId':'d2'}",
		"{'deviceId':null}",
		"{'deviceId':7}",
		"{'status':'paused'}",
		"{'status':5}",
		"{'statusReason':{}}",
		"{'authentication':5}",
		"{'authentication':{'type':'magic'}}",
		"{'authentication':{'symmetricKey':{'primaryKey':'" KEY1 "'}}}",
		"{'authentication':{'symmetricKey':{'secondaryKey':'" KEY1 "'}}}",
		"{'authentication':{'symmetricKey':{'primaryKey':'###','secondaryKey':'" KEY1
		"'}}}",
		"{'authentication':{'symmetricKey':{'primaryKey':'AAAA','secondaryKey':'AAAA'}}}",
		"{'authentication':{'type':'selfSigned'}}",
		("{'authentication':{'type':'selfSigned','x509Thumbprint':{'primaryThumbprint':"
		 "'12'}}}"),
		"{'capabilities':{'iotEdge':'yes'}}",
		"{'capabilities':7}",
		"{'deviceScope':7}",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (kit_put(k, "d1", NULL, bad[i]) != F_ArgumentInvalid)
			fail_msg("accepted: %s", bad[i]);
	snprintf(both, sizeof(both),
	    "{'authentication':{'symmetricKey':{'primaryKey':'%s','secondaryKey':'%s'},"
	    "'x509Thumbprint':{'primaryThumbprint':'%s'}}}",
	    KEY1, KEY2, thumb);
	assert_int_equal(kit_put(k, "d1", NULL, both), F_ArgumentInvalid);
	assert_int_equal(kit_records(k), 0);
	assert_int_equal(shard_identities(k->sh), 0);
}

static void
identity__L39_status_reason_is_counted_in_characters(void **state)
{
	struct kit *k = *state;
	struct buf b = { 0 };

	buf_cstr(&b, "{'statusReason':'");
	for (int i = 0; i < 128; i++)
		buf_cstr(&b, "\xC3\xA9");
	buf_cstr(&b, "'}");
	buf_putc(&b, '\0');
	assert_int_equal(kit_put(k, "d1", NULL, b.p), F_NONE);
	b.n -= 3;
	buf_cstr(&b, "x'}");
	buf_putc(&b, '\0');
	assert_int_equal(kit_put(k, "d2", NULL, b.p), F_ArgumentInvalid);
	buf_fini(&b);
}

static void
identity__R29_edge_scope_is_generated_and_immutable(void **state)
{
	struct kit *k = *state;
	char scope[256], generation[64], want[256];

	assert_int_equal(
	    kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true},'deviceScope':'mine'}"),
	    F_NONE);
	snprintf(scope, sizeof(scope), "%s", kit_at(k, "deviceScope"));
	assert_true(str_starts(str_of(scope), STR("'ms-azure-iot-edge://e1-6")));
	kit_shows(k, "parentScopes", "-");
	assert_int_equal(kit_put(k, "e1", "*", "{'capabilities':{'iotEdge':true}}"), F_NONE);
	kit_shows(k, "deviceScope", scope);
	kit_device(k, "d1");
	snprintf(generation, sizeof(generation), "%s", kit_at(k, "generationId"));
	assert_int_equal(kit_put(k, "d1", "*", "{'capabilities':{'iotEdge':true}}"), F_NONE);
	generation[strlen(generation) - 1] = '\0';
	snprintf(want, sizeof(want), "'ms-azure-iot-edge://d1-%s'", generation + 1);
	kit_shows(k, "deviceScope", want); /* a leaf that becomes one gets a scope too */
}

static void
identity__R30_leaf_shows_its_scope_as_parent(void **state)
{
	struct kit *k = *state;

	assert_int_equal(
	    kit_put(k, "d1", NULL, "{'deviceScope':'ms-azure-iot-edge://e1-5'}"), F_NONE);
	kit_shows(k, "deviceScope", "'ms-azure-iot-edge://e1-5'");
	kit_shows(k, "parentScopes", "['ms-azure-iot-edge://e1-5']");
	kit_read(k, "d1");
	kit_shows(k, "deviceScope", "'ms-azure-iot-edge://e1-5'");
	kit_shows(k, "parentScopes", "['ms-azure-iot-edge://e1-5']");
	assert_int_equal(kit_put(k, "d1", "*", "{'deviceScope':''}"), F_NONE); /* detaches */
	kit_shows(k, "deviceScope", "-");
	assert_int_equal(
	    kit_put(k, "e2", NULL, "{'capabilities':{'iotEdge':true},'parentScopes':['ms://p']}"),
	    F_NONE);
	kit_shows(k, "parentScopes", "['ms://p']");
}

static void
identity__R31_scope_check(void **state)
{
	struct kit *k = *state;
	struct op op = kit_op(OP_SCOPE_CHECK, "e1");
	char scope[256];

	op.if_tag = STR("ms-azure-iot-edge://e1-5");
	assert_int_equal(kit_run(k, &op), F_ArgumentInvalid); /* no such device */
	kit_put(k, "e1", NULL, "{'capabilities':{'iotEdge':true}}");
	snprintf(scope, sizeof(scope), "%s", kit_at(k, "deviceScope"));
	assert_int_equal(kit_run(k, &op), F_ArgumentInvalid); /* another scope */
	op.if_tag = (struct str){ scope + 1, strlen(scope) - 2 };
	assert_int_equal(kit_run(k, &op), F_NONE);
	kit_device(k, "d1");
	op.device = STR("d1");
	assert_int_equal(kit_run(k, &op), F_ArgumentInvalid); /* no edge device */
}

static void
identity__R33_missing_is_404_with_its_id(void **state)
{
	struct kit *k = *state;

	assert_int_equal(kit_get(k, "nobody"), F_DeviceNotFound);
	assert_string_equal(k->reply.fault.text, "nobody");
	assert_int_equal(kit_get(k, "nobody/m"), F_DeviceNotFound);
}

static void
identity__R34_delete_takes_all_records(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	kit_connect(k, "d1", 7, false);
	assert_int_equal(kit_records(k), 4);
	assert_int_equal(kit_delete(k, "d1", "*"), F_NONE);
	assert_int_equal(kit_records(k), 0);
	assert_int_equal(k->reply.body.n, 0);
	assert_int_equal(shard_identities(k->sh), 0);
	assert_int_equal(shard_cached_bytes(k->sh), 0);
	assert_string_equal(kit_effects(k), "close 7"); /* D-76 */
	assert_int_equal(kit_get(k, "d1"), F_DeviceNotFound);
	assert_int_equal(kit_delete(k, "d1", "*"), F_DeviceNotFound); /* */
}

static void
identity__R36_delete_with_a_stale_tag_is_412(void **state)
{
	struct kit *k = *state;
	char etag[32];

	kit_device(k, "d1");
	kit_etag(k, etag);
	kit_put(k, "d1", "*", "{}");
	assert_int_equal(kit_delete(k, "d1", etag), F_PreconditionFailed);
	kit_get(k, "d1");
	kit_etag(k, etag);
	assert_int_equal(kit_delete(k, "d1", etag), F_NONE);
	kit_device(k, "d1");
	assert_int_equal(kit_delete(k, "d1", NULL), F_NONE); /* unconditional */
}

static void
identity__T08_made_again_it_is_another(void **state)
{
	struct kit *k = *state;
	char generation[64];

	kit_device(k, "d1");
	snprintf(generation, sizeof(generation), "%s", kit_at(k, "generationId"));
	kit_patch(k, "d1", NULL, "{'tags':{'a':1},'properties':{'desired':{'b':2}}}");
	kit_delete(k, "d1", NULL);
	k->env.now_us -= 3 * SECOND; /* as if all were in one batch */
	kit_device(k, "d1");
	assert_string_not_equal(kit_at(k, "generationId"), generation);
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	kit_shows(k, "tags", "-");
}

static void
identity__T09_disabled_is_cut_and_still_readable(void **state)
{
	struct kit *k = *state;
	struct op op;

	kit_device(k, "d1");
	kit_connect(k, "d1", 4, true);
	kit_put(k, "d1", "*",
	    "{'status':'disabled','authentication':{'symmetricKey':{'primaryKey':'" KEY1
	    "','secondaryKey':'" KEY2 "'}}}");
	assert_string_equal(kit_effects(k), "close 4"); /* D-76 */
	kit_shows(k, "connectionState", "'Disconnected'");
	op = kit_connect_op(k, "d1", 5, true);
	assert_int_equal(kit_run(k, &op), F_IotHubUnauthorizedAccess);
	assert_int_equal(kit_patch(k, "d1", NULL, "{'tags':{'a':1}}"), F_NONE);
	kit_shows(k, "status", "'disabled'");
}

static void
identity__T11_update_moves_only_the_device_etag(void **state)
{
	struct kit *k = *state;
	char etag[32], quoted[40];

	kit_device(k, "d1");
	kit_put(k, "d1", "*", "{}");
	kit_etag(k, etag);
	kit_shows(k, "etag", (snprintf(quoted, sizeof(quoted), "'%s'", etag), quoted));
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	kit_shows(k, "deviceEtag", quoted); /* T-17 */
}

static void
identity__L24_no_more_than_the_limit(void **state)
{
	struct kit *k = *state;

	k->env.identities_left = 0;
	assert_int_equal(kit_put(k, "d1", NULL, "{}"), F_IotHubQuotaExceeded);
	assert_int_equal(shard_rows(k->sh), 0);
	k->env.identities_left = 1;
	kit_device(k, "d1");
	k->env.identities_left = 0;
	assert_int_equal(kit_put(k, "d1", "*", "{}"), F_NONE);
}

static void
identity__modules_live_beside_their_device(void **state)
{
	struct kit *k = *state;

	kit_device(k, "d1");
	assert_int_equal(
	    kit_put(k, "d1/m1", NULL, "{'managedBy':'me','status':'disabled'}"), F_NONE);
	kit_shows(k, "moduleId", "'m1'");
	kit_shows(k, "managedBy", "'me'");
	kit_shows(k, "status", "-");
	kit_shows(k, "capabilities", "-");
	assert_int_equal(kit_put(k, "d1/m1", NULL, "{}"), F_ModuleAlreadyExistsOnDevice);
	kit_patch(k, "d1/m1", NULL, "{'tags':{'a':1}}"); /* T-87 */
	kit_shows(k, "capabilities", "-");               /* T-89 */
	assert_string_equal(kit_counters(k, "d1"), "1 2 1 1");
	assert_string_equal(kit_counters(k, "d1/m1"), "2 3 1 1");
	assert_int_equal(kit_delete(k, "d1/m1", "*"), F_NONE);
	assert_int_equal(kit_get(k, "d1/m1"), F_ModuleNotFound);
	assert_int_equal(kit_get(k, "d1"), F_NONE);
}

static void
rows__rest_before_another_identity_gets_them(void **state)
{
	struct kit *k = *state;

	kit_device(k, "a");
	kit_device(k, "b");
	kit_delete(k, "a", NULL);
	kit_device(k, "c");
	assert_int_equal(shard_find(k->sh, STR("c"), STR_NONE), 2);
	k->env.elapsed_us += ROW_GRACE_US;
	kit_device(k, "d");
	assert_int_equal(shard_find(k->sh, STR("d"), STR_NONE), 0);
	kit_device(k, "e");
	assert_int_equal(shard_find(k->sh, STR("e"), STR_NONE), 3);
}

/* A clock that is set back by years does not let them rest for years. */
static void
rows__rest_by_the_time_that_passes(void **state)
{
	struct kit *k = *state;

	kit_device(k, "a");
	kit_delete(k, "a", NULL);
	k->env.now_us -= 365 * 86400 * SECOND;
	kit_device(k, "b");
	assert_int_equal(shard_find(k->sh, STR("b"), STR_NONE), 1);
	k->env.elapsed_us += ROW_GRACE_US;
	kit_device(k, "c");
	assert_int_equal(shard_find(k->sh, STR("c"), STR_NONE), 0);
}

static void
rows__stay_theirs_over_a_restart_and_free_ones_rest_again(void **state)
{
	struct kit *k = *state;

	kit_device(k, "a");
	kit_device(k, "b");
	kit_put(k, "c", NULL, "{'status':'disabled'}");
	kit_delete(k, "a", NULL);
	kit_restart(k);
	assert_int_equal(shard_identities(k->sh), 2);
	assert_int_equal(shard_find(k->sh, STR("b"), STR_NONE), 1);
	assert_int_equal(shard_find(k->sh, STR("a"), STR_NONE), TABLE_NONE);
	kit_device(k, "d");
	assert_int_equal(shard_find(k->sh, STR("d"), STR_NONE), 3);
	k->env.elapsed_us += ROW_GRACE_US;
	kit_device(k, "e");
	assert_int_equal(shard_find(k->sh, STR("e"), STR_NONE), 0);
	kit_get(k, "c");
	kit_shows(k, "status", "'disabled'");
}

static void
load__refuses_what_is_no_identity(void **state)
{
	struct kit *k = *state;
	struct shard *sh = shard_new(3, NULL);
	struct kit_row *r;
	struct buf bad = { 0 };
	struct str key, value;

	kit_device(k, "a");
	r = rows_find(&k->store, RECORD_IDENTITY, (struct str){ "\0\3a\0", 4 });
	assert_non_null(r);
	key = buf_view(&r->key);
	value = buf_view(&r->value);
	assert_int_equal(shard_load(sh, key, STR("")), ERR_CORRUPT);
	assert_int_equal(shard_load(sh, (struct str){ "\0\3a", 3 }, value), ERR_CORRUPT);
	assert_int_equal(shard_load(sh, (struct str){ "\0\3a/\0", 5 }, value), ERR_CORRUPT);
	for (size_t cut = 0; cut < value.n; cut++)
		assert_int_equal(shard_load(sh, key, (struct str){ value.p, cut }), ERR_CORRUPT);
	buf_str(&bad, value);
	bad.p[0] = 9; /* another format */
	assert_int_equal(shard_load(sh, key, buf_view(&bad)), ERR_CORRUPT);
	assert_int_equal(shard_load(sh, key, value), ERR_OK);
	assert_int_equal(
	    shard_load(sh, (struct str){ "\0\3b\0", 4 }, value), ERR_CORRUPT); /* same row */
	assert_int_equal(shard_identities(sh), 1);
	buf_fini(&bad);
	shard_free(sh);
}

/* Every byte of every record damaged in turn: an error, or a record that can be read. */
static void
fill__damaged_records_never_crash(void **state)
{
	struct kit *k = *state;

	kit_put(k, "d", NULL, "{'statusReason':'x','capabilities':{'iotEdge':true}}");
	kit_device(k, "s");
	kit_subscribe(k, "s", kit_connect(k, "s", 1, false), "tdY");
	kit_patch(
	    k, "s", NULL, "{'tags':{'a':{'b':[1,2.5,null]}},'properties':{'desired':{'q':'r'}}}");
	kit_patch(
	    k, "s", NULL, "{'tags':{'a':{'b':[1,2.5,'x']}},'properties':{'desired':{'q':'r'}}}");
	for (uint32_t i = 0; i < k->store.n; i++) {
		struct kit_row *r = &k->store.v[i];

		for (size_t at = 0; r->kind < RECORD_KINDS && at < r->value.n; at++) {
			struct str device, module, value = buf_view(&r->value);
			char was = r->value.p[at];
			struct shard *sh = shard_new(3, NULL);
			struct hub_row hr;
			struct buf json = { 0 };
			uint32_t row;
			enum err e = ERR_OK;

			r->value.p[at] = (char)(was ^ (1 << rnd_below(&k->rnd, 8)));
			str_cut(str_sub(buf_view(&r->key), 2), '\0', &device, &module);
			for (uint32_t j = 0; j < k->store.n && e == ERR_OK; j++)
				if (k->store.v[j].kind == RECORD_IDENTITY &&
				    (r->kind != RECORD_IDENTITY || j == i))
					e = shard_load(sh, buf_view(&k->store.v[j].key),
					    buf_view(&k->store.v[j].value));
			row = shard_find(sh, device, module);
			for (int kind = 0; kind < RECORD_KINDS && e == ERR_OK; kind++) {
				struct kit_row *other =
				    rows_find(&k->store, (enum record_kind)kind, buf_view(&r->key));

				value = other ? buf_view(&other->value) : STR_NONE;
				e = hub_fill(sh, device, module, (enum record_kind)kind,
				    other ? &value : NULL);
			}
			if (e == ERR_OK) {
				hub_row_open(&hr, sh, row);
				hub_query_ops.write_document(&hr, &json);
				hub_row_write_identity(sh, row, &json);
				assert_true(json.n > 100);
			} else {
				assert_int_equal(e, ERR_CORRUPT);
			}
			r->value.p[at] = was;
			buf_fini(&json);
			shard_free(sh);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(identity__R20_empty_keys_are_generated),
		kit_test(identity__bodies_without_authentication_are_sas),
		kit_test(identity__given_keys_are_kept),
		kit_test(identity__R21_existing_without_if_match_is_409),
		kit_test(identity__R22_wildcard_replaces),
		kit_test(identity__R23_stale_tag_is_412_and_the_right_one_replaces),
		kit_test(identity__R24_if_match_on_a_missing_device_is_404),
		kit_test(identity__R25_status_falls_back_and_its_time_moves_with_it),
		kit_test(identity__R26_self_signed_has_thumbprints_only),
		kit_test(identity__R27_certificate_authority_has_no_credentials),
		kit_test(identity__R28_what_a_body_may_not_hold),
		kit_test(identity__L39_status_reason_is_counted_in_characters),
		kit_test(identity__R29_edge_scope_is_generated_and_immutable),
		kit_test(identity__R30_leaf_shows_its_scope_as_parent),
		kit_test(identity__R31_scope_check),
		kit_test(identity__R33_missing_is_404_with_its_id),
		kit_test(identity__R34_delete_takes_all_records),
		kit_test(identity__R36_delete_with_a_stale_tag_is_412),
		kit_test(identity__T08_made_again_it_is_another),
		kit_test(identity__T09_disabled_is_cut_and_still_readable),
		kit_test(identity__T11_update_moves_only_the_device_etag),
		kit_test(identity__L24_no_more_than_the_limit),
		kit_test(identity__modules_live_beside_their_device),
		kit_test(rows__rest_before_another_identity_gets_them),
		kit_test(rows__rest_by_the_time_that_passes),
		kit_test(rows__stay_theirs_over_a_restart_and_free_ones_rest_again),
		kit_test(load__refuses_what_is_no_identity),
		kit_test(fill__damaged_records_never_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
