/* Sinks and routes: what is taken, what is kept, what is shown (E-30 to E-34). */
#include "routing/routing.h"

#define KIT_FEATURES &routing_feature
#include "hub_kit.h"

static struct kit k;

static int
setup(void **state)
{
	(void)state;
	kit_init(&k);
	kit_shard(&k, shard_new(0, kit_features));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kit_fini(&k);
	return 0;
}

static enum fault_code
ask(enum op_kind kind, const char *name, const char *tag, const char *json)
{
	struct op op = { .kind = kind, .name = str_of(name) };

	if (tag != NULL) {
		op.if_match = strcmp(tag, "*") == 0 ? IF_ANY : IF_TAG;
		op.if_tag = str_of(tag);
	}
	if (json != NULL)
		kit_doc(&k, json, &op);
	return kit_run(&k, &op);
}

#define WEBHOOK "{'kind':'webhook','url':'https://a.example/x'}"
#define ROUTE   "{'source':'TwinChangeEvents','endpointNames':['a']}"

/* As the API shows it, with ' for ". */
static const char *
shown(const char *sink, const char *route)
{
	static struct buf json;
	struct routing *set = routing_stored(k.sh);
	struct out o;

	json.n = 0;
	o = out_to(&json);
	if (sink != NULL)
		sink_def_show(&o, routing_sink(set, str_of(sink)));
	else
		route_def_show(&o, routing_route(set, str_of(route)));
	out_close(&o);
	routing_unref(set);
	buf_putc(&json, '\0');
	kit_quotes(&json, '"', '\'');
	return json.p;
}

static void
sinks__E30_E31_are_kept_with_their_defaults(void **state)
{
	(void)state;
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, WEBHOOK), F_NONE);
	assert_string_equal(k.reply.etag, "MQ==");
	assert_string_equal(shown("a", NULL),
	    "{'id':'a','kind':'webhook','from':'2024-01-01T00:00:01.0000000Z','enabled':true,"
	    "'batchEvents':100,'url':'https://a.example/x','timeoutSeconds':30,'handshake':true,"
	    "'etag':'MQ==','createdTime':'2024-01-01T00:00:01.0000000Z',"
	    "'lastUpdatedTime':'2024-01-01T00:00:01.0000000Z'}");
	assert_int_equal(
	    ask(OP_SINK_PUT, "f", NULL,
	        "{'kind':'file','path':'a/b.ndjson','files':3,'from':'earliest','enabled':"
	        "false}"),
	    F_NONE);
	assert_string_equal(shown("f", NULL),
	    "{'id':'f','kind':'file','from':'earliest','enabled':false,'batchEvents':100,"
	    "'path':'a/b.ndjson','maxBytes':67108864,'files':3,'etag':'MQ==',"
	    "'createdTime':'2024-01-01T00:00:02.0000000Z',"
	    "'lastUpdatedTime':'2024-01-01T00:00:02.0000000Z'}");
	/* what is replaced is replaced whole; kind and beginning stay */
	assert_int_equal(ask(OP_SINK_PUT, "f", "MQ==", "{'path':'c','from':'now'}"), F_NONE);
	assert_string_equal(k.reply.etag, "Mg==");
	assert_non_null(strstr(shown("f", NULL), "'from':'earliest','enabled':true"));
	assert_non_null(strstr(shown("f", NULL), "'path':'c','maxBytes':67108864,'files':10"));
	assert_int_equal(ask(OP_SINK_PUT, "f", "MQ==", "{'path':'c'}"), F_PreconditionFailed);
	assert_int_equal(ask(OP_SINK_PUT, "new", "*", WEBHOOK), F_PreconditionFailed);
	assert_int_equal(ask(OP_SINK_PUT, "f", NULL, WEBHOOK), F_ArgumentInvalid);
	assert_int_equal(ask(OP_SINK_DELETE, "f", "MQ==", NULL), F_PreconditionFailed);
	assert_int_equal(ask(OP_SINK_DELETE, "f", "Mg==", NULL), F_NONE);
	assert_int_equal(ask(OP_SINK_DELETE, "f", NULL, NULL), F_GenericNotFound);
}

static void
sinks__E30_what_is_refused_names_its_member(void **state)
{
	static const struct {
		const char *id, *body, *says;
	} rows[] = { { "a b", WEBHOOK, "id" }, { "..", WEBHOOK, "id" }, { "", WEBHOOK, "id" },
		{ "events", WEBHOOK, "events" }, { "s", "[]", "object" }, { "s", "{}", "kind" },
		{ "s", "{'kind':'builtin'}", "kind" }, { "s", "{'kind':'mail'}", "kind" },
		{ "s", "{'kind':'webhook'}", "url is missing" },
		{ "s", "{'kind':'webhook','url':null}", "url is missing" },
		{ "s", "{'kind':'webhook','url':5}", "url is not a string" },
		{ "s", "{'kind':'webhook','url':'http://a/'}", "url" },
		{ "s", "{'kind':'webhook','url':'https://'}", "url" },
		{ "s", "{'kind':'webhook','url':'https:///x'}", "url" },
		{ "s", "{'kind':'webhook','url':'https://u:p@a/'}", "url" },
		{ "s", "{'kind':'webhook','url':'https://a/#x'}", "url" },
		{ "s", "{'kind':'webhook','url':'https://a:65536/'}", "a port of 1 to 65535" },
		{ "s", "{'kind':'webhook','url':'https://a:0'}", "a port of 1 to 65535" },
		{ "s", "{'kind':'webhook','url':'https://a:b/'}", "a port of 1 to 65535" },
		{ "s", "{'kind':'webhook','url':'https://[::1/'}", "has a host" },
		{ "s", "{'kind':'webhook','url':'https://[::1]2/'}", "has a host" },
		{ "s", "{'kind':'webhook','url':'https://a/\\u0000'}", "url" },
		{ "s", "{'kind':'webhook','url':'https://a/','urls':1}", "no member urls" },
		{ "s", "{'kind':'webhook','url':'https://a/','path':'x'}", "no member path" },
		{ "s", "{'kind':'webhook','url':'https://a/','batchEvents':0}",
		    "batchEvents is 0" },
		{ "s", "{'kind':'webhook','url':'https://a/','batchEvents':501}",
		    "batchEvents is 501" },
		{ "s", "{'kind':'webhook','url':'https://a/','batchEvents':'x'}", "batchEvents" },
		{ "s", "{'kind':'webhook','url':'https://a/','enabled':1}", "enabled" },
		{ "s", "{'kind':'webhook','url':'https://a/','secret':'c2hvcnQ='}", "secret" },
		{ "s", "{'kind':'webhook','url':'https://a/','secret':'?'}", "secret" },
		{ "s", "{'kind':'webhook','url':'https://a/','token':'a b'}", "token" },
		{ "s", "{'kind':'webhook','url':'https://a/','ca':'x'}", "ca" },
		{ "s", "{'kind':'webhook','url':'https://a/','clientKey':'-----BEGIN X'}",
		    "clientCertificate" },
		{ "s", "{'kind':'webhook','url':'https://a/','from':'then'}", "from" },
		{ "s", "{'kind':'file','path':'../x'}", "path" },
		{ "s", "{'kind':'file','path':'/x'}", "path" },
		{ "s", "{'kind':'file','path':'x/'}", "path" },
		{ "s", "{'kind':'file','path':'x.1'}", "path" },
		{ "s", "{'kind':'file','path':'a/b/c/d/e/f/g/h/i'}", "path" },
		{ "s", "{'kind':'file','path':'x','maxBytes':1}", "maxBytes is 1" },
		{ "s", "{'kind':'file','path':'a'}", "path is that of the sink f" },
		{ "s", "{'kind':'kafka','brokers':'b'}", "topic is missing" },
		{ "s", "{'kind':'kafka','brokers':'b','topic':'a/b'}", "topic" },
		{ "s", "{'kind':'kafka','brokers':'b','topic':'t','username':'u'}", "password" },
		{ "s", "{'kind':'kafka','brokers':'b','topic':'t','mechanism':'NONE'}",
		    "mechanism" } };
	struct routing *set;

	(void)state;
	assert_int_equal(ask(OP_SINK_PUT, "f", NULL, "{'kind':'file','path':'a'}"), F_NONE);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (ask(OP_SINK_PUT, rows[i].id, NULL, rows[i].body) != F_ArgumentInvalid)
			fail_msg("%s is taken", rows[i].body);
		if (strstr(k.reply.fault.text, rows[i].says) == NULL)
			fail_msg("%s: %s", rows[i].body, k.reply.fault.text);
	}
	set = routing_stored(k.sh);
	assert_int_equal(set->nsink, 1);
	routing_unref(set);
}

static struct buf
secret_of(const char *sink)
{
	struct routing *set = routing_stored(k.sh);
	struct buf key = { 0 };

	sink_secret(routing_sink(set, str_of(sink)), &key);
	routing_unref(set);
	return key;
}

#define SECRET "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="

static void
sinks__E31_secrets_go_in_and_stay_in(void **state)
{
	struct buf key;

	(void)state;
	assert_int_equal(
	    ask(OP_SINK_PUT, "a", NULL,
	        "{'kind':'webhook','url':'https://a/','secret':'" SECRET
	        "','token':'t1','clientCertificate':'-----BEGIN A','clientKey':'-----BEGIN B'}"),
	    F_NONE);
	assert_non_null(strstr(shown("a", NULL), "'secret':'***'"));
	assert_non_null(strstr(shown("a", NULL), "'token':'***'"));
	assert_non_null(strstr(shown("a", NULL), "'clientKey':'***'"));
	assert_non_null(strstr(shown("a", NULL), "'clientCertificate':'-----BEGIN A'"));
	/* as it was shown, and without: what is stored stays */
	assert_int_equal(
	    ask(OP_SINK_PUT, "a", NULL,
	        "{'url':'https://b/','secret':'***','clientCertificate':'-----BEGIN A'}"),
	    F_NONE);
	key = secret_of("a");
	assert_true(str_eq(buf_view(&key), STR("0123456789abcdef")));
	buf_fini(&key);
	assert_non_null(strstr(shown("a", NULL), "'token':'***'"));
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL,
	                     "{'url':'https://b/','secret':null,'clientKey':null,'token':null}"),
	    F_NONE);
	assert_null(strstr(shown("a", NULL), "***"));
	/* a new one has none that it could keep */
	assert_int_equal(
	    ask(OP_SINK_PUT, "n", NULL, "{'kind':'webhook','url':'https://a/','secret':'***'}"),
	    F_ArgumentInvalid);
}

static void
routes__E33_lead_to_sinks_that_are_there(void **state)
{
	static const char *const bad[][2] = { { "[]", "object" }, { "{}", "source" },
		{ "{'source':'Weather','endpointNames':['a']}", "source" },
		{ "{'source':'DeviceMessages'}", "endpointNames" },
		{ "{'source':'DeviceMessages','endpointNames':[]}", "endpointNames" },
		{ "{'source':'DeviceMessages','endpointNames':['a','events']}", "endpointNames" },
		{ "{'source':'DeviceMessages','endpointNames':[1]}", "endpointNames[0]" },
		{ "{'source':'DeviceMessages','endpointNames':['b']}", "no sink b" },
		{ "{'source':'DeviceMessages','endpointNames':['a'],'condition':1}", "condition" },
		{ "{'source':'DeviceMessages','endpointNames':['a'],'isEnabled':1}", "isEnabled" },
		{ "{'source':'DeviceMessages','endpointNames':['a'],'when':1}",
		    "no member when" } };

	(void)state;
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL, ROUTE), F_ArgumentInvalid);
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, WEBHOOK), F_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL, bad[i][0]), F_ArgumentInvalid);
		assert_non_null(strstr(k.reply.fault.text, bad[i][1]));
	}
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL, ROUTE), F_NONE);
	assert_string_equal(shown(NULL, "r"),
	    "{'id':'r','source':'TwinChangeEvents','condition':'true','endpointNames':['a'],"
	    "'isEnabled':true,'etag':'MQ==','createdTime':'2024-01-01T00:00:14.0000000Z',"
	    "'lastUpdatedTime':'2024-01-01T00:00:14.0000000Z'}");
	assert_int_equal(
	    ask(OP_ROUTE_PUT, "x", NULL,
	        "{'source':'devicemessages','endpointNames':['events'],'condition':'a = b'}"),
	    F_NONE);
	assert_int_equal(ask(OP_SINK_DELETE, "a", NULL, NULL), F_GenericConflict);
	assert_int_equal(ask(OP_ROUTE_DELETE, "r", "x", NULL), F_PreconditionFailed);
	assert_int_equal(ask(OP_ROUTE_DELETE, "r", NULL, NULL), F_NONE);
	assert_int_equal(ask(OP_ROUTE_DELETE, "r", NULL, NULL), F_GenericNotFound);
	assert_int_equal(ask(OP_SINK_DELETE, "a", NULL, NULL), F_NONE);
}

static void
routes__E34_the_fallback_route_is_always_there(void **state)
{
	static const char *const fallback =
	    "{'id':'$fallback','source':'DeviceMessages','condition':'true',"
	    "'endpointNames':['events'],'isEnabled':true}";

	(void)state;
	assert_string_equal(shown(NULL, "$fallback"), fallback);
	assert_int_equal(ask(OP_ROUTE_DELETE, "$fallback", NULL, NULL), F_ArgumentInvalid);
	assert_int_equal(
	    ask(OP_ROUTE_PUT, "$fallback", NULL, "{'isEnabled':false,'condition':'x'}"),
	    F_ArgumentInvalid);
	assert_int_equal(
	    ask(OP_ROUTE_PUT, "$fallback", NULL, "{'isEnabled':false,'source':'TwinChangeEvents'}"),
	    F_ArgumentInvalid);
	assert_int_equal(ask(OP_ROUTE_PUT, "$other", NULL, ROUTE), F_ArgumentInvalid);
	k.hold = true;
	assert_int_equal(ask(OP_ROUTE_PUT, "$fallback", NULL, "{'isEnabled':false}"), F_NONE);
	assert_non_null(strstr(shown(NULL, "$fallback"), "'isEnabled':false,'etag':'MQ=='"));
	kit_fail(&k, true);
	assert_string_equal(shown(NULL, "$fallback"), fallback);
	k.hold = false;
}

/* ---- kept ---- */

static void
load(struct shard *sh, struct str prefix)
{
	for (uint32_t i = 0; i < k.store.n; i++) {
		struct kit_row *r = &k.store.v[i];
		struct str value = buf_view(&r->value);

		if (r->kind == RECORD_COMMON && str_starts(buf_view(&r->key), prefix))
			assert_int_equal(shard_common(sh, buf_view(&r->key), &value), ERR_OK);
	}
}

static void
restart(void)
{
	struct shard *sh = shard_new(0, kit_features);
	char room[HUB_PREFIX_MAX];
	struct str prefix = STR_NONE;

	undo_commit(k.undo);
	while (shard_common_prefix(sh, &prefix, room))
		load(sh, prefix);
	shard_loaded(sh, &(struct shard_begin){ 0 });
	kit_shard(&k, sh);
}

static enum fault_code
move(const char *sink, int64_t of_us, const char *to)
{
	struct op op = { .kind = OP_SINK_CURSOR,
		.name = str_of(sink),
		.base_version = (uint64_t)of_us,
		.payload = str_of(to) };

	return kit_run(&k, &op);
}

static int64_t
created(const char *sink)
{
	struct routing *set = routing_stored(k.sh);
	int64_t us = routing_sink(set, str_of(sink))->created_us;

	routing_unref(set);
	return us;
}

static void
assert_cursor(const char *sink, const char *at)
{
	struct routing *set = routing_stored(k.sh);
	const struct cursor *c = routing_cursor(set, str_of(sink));

	if (at == NULL)
		assert_null(c);
	else
		assert_true(c != NULL && str_eq((struct str){ c->bytes, c->n }, str_of(at)));
	routing_unref(set);
}

static void
cursors__E36_are_of_one_sink_and_survive(void **state)
{
	int64_t of_us;

	(void)state;
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, WEBHOOK), F_NONE);
	assert_cursor("a", NULL);
	of_us = created("a");
	assert_int_equal(move("a", of_us, "here"), F_NONE);
	assert_int_equal(move("b", of_us, "here"), F_GenericNotFound);
	assert_cursor("a", "here");
	/* another definition of the same sink goes on */
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, "{'url':'https://b.example/'}"), F_NONE);
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL, ROUTE), F_NONE);
	assert_cursor("a", "here");
	restart();
	assert_cursor("a", "here");
	assert_int_equal(ask(OP_ROUTE_DELETE, "r", NULL, NULL), F_NONE);
	/* one that is made again begins anew, and what was on its way for the old one is nothing */
	assert_int_equal(ask(OP_SINK_DELETE, "a", NULL, NULL), F_NONE);
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, WEBHOOK), F_NONE);
	assert_int_equal(move("a", of_us, "there"), F_GenericNotFound);
	assert_cursor("a", NULL);
	restart();
	assert_cursor("a", NULL);
}

static void
routing__E30_what_was_not_committed_has_not_been(void **state)
{
	char before[1024];

	(void)state;
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, WEBHOOK), F_NONE);
	assert_int_equal(move("a", created("a"), "here"), F_NONE);
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL, ROUTE), F_NONE);
	snprintf(before, sizeof before, "%s", shown("a", NULL));
	k.hold = true;
	assert_int_equal(move("a", created("a"), "there"), F_NONE);
	assert_int_equal(ask(OP_ROUTE_DELETE, "r", NULL, NULL), F_NONE);
	assert_int_equal(ask(OP_SINK_DELETE, "a", NULL, NULL), F_NONE);
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, "{'kind':'file','path':'x'}"), F_NONE);
	assert_int_equal(ask(OP_SINK_PUT, "b", NULL, "{'kind':'file','path':'y'}"), F_NONE);
	assert_int_equal(move("b", created("b"), "b"), F_NONE);
	kit_fail(&k, true);
	assert_string_equal(shown("a", NULL), before);
	assert_cursor("a", "here");
	assert_non_null(strstr(shown(NULL, "r"), "'endpointNames':['a']"));
	kit_commit(&k); /* the repair */
	k.hold = false;
	restart();
	assert_string_equal(shown("a", NULL), before);
	assert_cursor("a", "here");
	assert_int_equal(ask(OP_SINK_DELETE, "b", NULL, NULL), F_GenericNotFound);
}

static void
routing__E30_there_are_limits(void **state)
{
	char name[32], body[128];

	(void)state;
	for (unsigned i = 0; i < SINKS_MAX; i++) {
		snprintf(name, sizeof name, "s%u", i);
		assert_int_equal(ask(OP_SINK_PUT, name, NULL, WEBHOOK), F_NONE);
	}
	assert_int_equal(ask(OP_SINK_PUT, "more", NULL, WEBHOOK), F_IotHubQuotaExceeded);
	assert_int_equal(ask(OP_SINK_PUT, "s3", NULL, WEBHOOK), F_NONE);
	for (unsigned i = 1; i < ROUTES_MAX; i++) { /* the fallback is one */
		snprintf(name, sizeof name, "r%u", i);
		snprintf(body, sizeof body, "{'source':'DeviceMessages','endpointNames':['s%u']}",
		    i % SINKS_MAX);
		assert_int_equal(ask(OP_ROUTE_PUT, name, NULL, body), F_NONE);
	}
	assert_int_equal(
	    ask(OP_ROUTE_PUT, "more", NULL, "{'source':'DeviceMessages','endpointNames':['s1']}"),
	    F_IotHubQuotaExceeded);
	restart();
	assert_int_equal(
	    ask(OP_ROUTE_PUT, "r7", NULL, "{'source':'DeviceMessages','endpointNames':['s1']}"),
	    F_NONE);
}

static void
routing__E30_damaged_records_are_refused(void **state)
{
	struct routing *set;
	struct sink_def *d;
	struct route_def *r;
	struct buf cut = { 0 };

	(void)state;
	assert_int_equal(ask(OP_SINK_PUT, "a", NULL, WEBHOOK), F_NONE);
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL, ROUTE), F_NONE);
	set = routing_stored(k.sh);
	for (size_t n = 0; n < set->sinks[0]->record.n; n++)
		assert_int_equal(
		    sink_def_new(STR("a"), (struct str){ set->sinks[0]->record.p, n }, &d),
		    ERR_CORRUPT);
	for (size_t n = 0; n < routing_route(set, STR("r"))->record.n; n++)
		assert_int_equal(route_def_new(STR("r"),
		                     (struct str){ routing_route(set, STR("r"))->record.p, n }, &r),
		    ERR_CORRUPT);
	buf_fini(&cut);
	routing_unref(set);
}

/* ---- a route on a sample ---- */

static const char *
tested(const char *route, const char *json)
{
	static struct buf out;
	struct routing *set = routing_stored(k.sh);
	struct op op = { 0 };
	struct fault f = { 0 };
	struct out o;

	kit_doc(&k, json, &op);
	out.n = 0;
	o = out_to(&out);
	if (route_test(&o, doc_of(op.payload), routing_route(set, str_of(route)), k.parser, &f) !=
	    ERR_OK) {
		out.n = 0;
		buf_cstr(&out, f.text);
	}
	routing_unref(set);
	buf_putc(&out, '\0');
	kit_quotes(&out, '"', '\'');
	return out.p;
}

#define SAYS(r) "{'result':'" r "','details':{'compilationErrors':[]}}"

static void
routes__E35_are_tested_on_samples(void **state)
{
	(void)state;
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL,
	                     "{'source':'DeviceMessages','endpointNames':['events'],'condition':"
	                     "'$body.t > 30'}"),
	    F_NONE);
	assert_string_equal(tested("r", "{}"), SAYS("undefined"));
	assert_string_equal(tested("r",
	                        "{'message':{'body':{'t':31},'systemProperties':{'contentType':"
	                        "'application/json','contentEncoding':'utf-8'}}}"),
	    SAYS("true"));
	assert_string_equal(
	    tested("r",
	        "{'message':{'body':'{\\u0022t\\u0022:3}','systemProperties':{'contentType':"
	        "'application/json','contentEncoding':'utf-8'}}}"),
	    SAYS("false"));
	assert_string_equal(tested("r", "{'message':{'body':{'t':31}}}"), SAYS("undefined"));
	assert_string_equal(
	    tested("x",
	        "{'route':{'condition':'$twin.tags.a = b'},'message':{'appProperties':{'B':"
	        "'7'}},'twin':{'tags':{'a':'7'}}}"),
	    SAYS("true"));
	assert_string_equal(
	    tested("x",
	        "{'route':{'source':'TwinChangeEvents','condition':'$body.tags.a = 1'},"
	        "'message':{'body':{'tags':{'a':1}}}}"),
	    SAYS("true"));
	assert_non_null(strstr(tested("x", "{}"), "no such route"));
	assert_non_null(strstr(tested("r", "{'route':{'source':'x'}}"), "route.source"));
	assert_non_null(
	    strstr(tested("r", "{'message':{'appProperties':{'a':1}}}"), "appProperties.a"));
	assert_non_null(strstr(tested("r", "{'route':{'condition':'a = b AND\\n b ='}}"),
	    "{'result':'undefined','details':{'compilationErrors':[{'message':'"));
	assert_non_null(strstr(tested("r", "{'route':{'condition':'a = b AND\\n b ='}}"),
	    "'severity':'error','location':{'start':{'line':2,"));
}

static void
routes__E35_a_condition_that_is_wrong_is_refused_with_its_place(void **state)
{
	(void)state;
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL,
	                     "{'source':'DeviceMessages','endpointNames':['events'],'condition':"
	                     "'a = = b'}"),
	    F_ArgumentInvalid);
	assert_non_null(strstr(k.reply.fault.text, "condition, line 1, column 5: "));
	/* what is told of changes alone */
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL,
	                     "{'source':'DeviceMessages','endpointNames':['events'],'condition':"
	                     "'twin_change_includes(tags.a)'}"),
	    F_ArgumentInvalid);
	assert_int_equal(ask(OP_ROUTE_PUT, "r", NULL,
	                     "{'source':'TwinChangeEvents','endpointNames':['events'],'condition':"
	                     "'twin_change_includes(tags.a)'}"),
	    F_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
		T(sinks__E30_E31_are_kept_with_their_defaults),
		T(sinks__E30_what_is_refused_names_its_member),
		T(sinks__E31_secrets_go_in_and_stay_in),
		T(routes__E33_lead_to_sinks_that_are_there),
		T(routes__E34_the_fallback_route_is_always_there),
		T(cursors__E36_are_of_one_sink_and_survive),
		T(routing__E30_what_was_not_committed_has_not_been),
		T(routing__E30_there_are_limits),
		T(routing__E30_damaged_records_are_refused),
		T(routes__E35_are_tested_on_samples),
		T(routes__E35_a_condition_that_is_wrong_is_refused_with_its_place),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
