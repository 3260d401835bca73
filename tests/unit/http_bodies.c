/*
 * What handlers say to bodies, headers and parameters that are wrong, by requests without a socket: status, error code and
 * text, each exactly; and what they warn of. Nothing of it changes anything.
 */
#include "http_kit.h"

/* bytes of a string; with its quotes one more than a payload may have */
#define PAYLOAD_OVER 131071u
#define ITEMS_OVER   101u

static char large_payload[PAYLOAD_OVER + 64], many_items[ITEMS_OVER * 16];

static const struct row {
	enum http_method method;
	const char *target, *body;
	int status;
	const char *code, *text;  /* text NULL: any */
	const char *name, *value; /* a header */
} rows[] = {
	{ HTTP_PUT, "/devices/new?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/devices?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/devices?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/devices/keys/regenerate?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/devices/keys/regenerate?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/devices/query?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/devices/query?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_PUT, "/configurations/c?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_PUT, "/configurations/c?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/configurations/testQueries?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/configurations/testQueries?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_PUT, "/jobs/v2/j?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_PUT, "/jobs/v2/j?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/jobs/create?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/jobs/create?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_PATCH, "/twins/here?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_PATCH, "/twins/here?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_PUT, "/twins/here?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_PUT, "/twins/here?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_PATCH, "/digitaltwins/here?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_PATCH, "/digitaltwins/here?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/twins/here/methods?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/twins/here/methods?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_POST, "/devices/here/applyConfigurationContent?" API, "x", 400, "IotHubFormatError",
	    "The text is not valid JSON, at byte 0.", NULL, NULL },
	{ HTTP_POST, "/devices/here/applyConfigurationContent?" API, NULL, 400, "ArgumentNull",
	    "BadRequest: the request has no body", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API, "[]", 400, "ArgumentInvalid",
	    "the body is not a JSON object", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API, "{\"deviceId\":\"other\"}", 400, "ArgumentInvalid",
	    "the id in the body is not the one of the path", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API, "{\"deviceId\":{}}", 400, "ArgumentInvalid",
	    "deviceId is not a string, it is an object", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API, "{\"deviceId\":\"new\",\"status\":\"asleep\"}", 400,
	    "ArgumentInvalid", "status is neither enabled nor disabled", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API,
	    "{\"deviceId\":\"new\",\"statusReason\":"
	    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}",
	    400, "ArgumentInvalid", "statusReason has 129 characters, the limit is 128", NULL,
	    NULL },
	{ HTTP_PUT, "/devices/new?" API,
	    "{\"deviceId\":\"new\",\"capabilities\":{\"iotEdge\":\"yes\"}}", 400, "ArgumentInvalid",
	    "capabilities.iotEdge is not a boolean, it is \"yes\"", NULL, NULL },
	{ HTTP_PUT, "/devices/new?" API, "{\"deviceId\":\"new\",\"deviceScope\":\"x\"}", 400,
	    "ArgumentInvalid", "deviceScope is not the scope of an edge device", NULL, NULL },
	{ HTTP_POST, "/devices?" API, "{}", 400, "ArgumentInvalid", "there is no array of items",
	    NULL, NULL },
	{ HTTP_POST, "/devices?" API, "[]", 400, "ArgumentInvalid", "there is no array of items",
	    NULL, NULL },
	{ HTTP_POST, "/devices?" API, "[5]", 400, "ArgumentInvalid",
	    "item 0 is not an object with an id", NULL, NULL },
	{ HTTP_POST, "/devices?" API, "[{\"id\":\"a\"},{\"deviceId\":\"b\"}]", 400,
	    "ArgumentInvalid", "item 1 is not an object with an id", NULL, NULL },
	{ HTTP_POST, "/devices?" API, "[{\"id\":\"a\"},{\"id\":\"a\"}]", 400,
	    "DeviceDefinedMultipleTimes", "a is there twice", NULL, NULL },
	{ HTTP_POST, "/devices?" API, many_items, 413, "TooManyDevices",
	    "there are 101 items, the limit is 100", NULL, NULL },
	{ HTTP_POST, "/devices/keys/regenerate?" API, "{}", 400, "ArgumentInvalid",
	    "policyKey is none of primaryKey, secondaryKey, both", NULL, NULL },
	{ HTTP_POST, "/devices/keys/regenerate?" API, "{\"policyKey\":\"both\"}", 400,
	    "ArgumentInvalid", "there is no array of items", NULL, NULL },
	{ HTTP_POST, "/devices/query?" API, "{}", 400, "ArgumentNull",
	    "BadRequest: the body has no query", NULL, NULL },
	{ HTTP_POST, "/devices/query?" API, "{\"query\":\"\"}", 400, "ArgumentNull",
	    "BadRequest: the body has no query", NULL, NULL },
	{ HTTP_POST, "/devices/query?" API, "{\"query\":\"SELECT * FROM devices\"}", 400,
	    "ArgumentInvalid", "x-ms-max-item-count should be a number from 1",
	    "x-ms-max-item-count", "0" },
	{ HTTP_POST, "/devices/query?" API, "{\"query\":\"SELECT * FROM devices\"}", 400,
	    "ArgumentInvalid", "The continuation token is damaged", "x-ms-continuation", "x" },
	{ HTTP_POST, "/devices/query?explain=perhaps&" API, "{\"query\":\"SELECT * FROM devices\"}",
	    400, "ArgumentInvalid", "explain is neither true nor false", NULL, NULL },
	{ HTTP_POST, "/twins/here/methods?" API, "{}", 400, "ArgumentNull",
	    "the body has no methodName", NULL, NULL },
	{ HTTP_POST, "/twins/here/methods?" API,
	    "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":4}", 400, "ArgumentInvalid",
	    "responseTimeoutInSeconds is not an integer from 5 to 300, it is 4", NULL, NULL },
	{ HTTP_POST, "/twins/here/methods?" API, large_payload, 413, "MessageTooLarge",
	    "the payload has 131073 bytes, the limit is 131072", NULL, NULL },
	{ HTTP_POST, "/digitaltwins/here/commands/c?connectTimeoutInSeconds=301&" API, NULL, 400,
	    "ArgumentInvalid", "connectTimeoutInSeconds is not a number from 0 to 300", NULL,
	    NULL },
	{ HTTP_PATCH, "/twins/here?" API, "5", 400, "ArgumentInvalid",
	    "the body is not a JSON object", NULL, NULL },
	{ HTTP_PATCH, "/twins/here?" API, "{\"deviceId\":\"there\"}", 400, "ArgumentInvalid", NULL,
	    NULL, NULL },
	{ HTTP_PATCH, "/twins/here?" API, "{\"tags\":{\"a\":1}}", 412, "PreconditionFailed", NULL,
	    "If-Match", "\"x\"" },
	{ HTTP_PUT, "/jobs/v2/j?" API, "{\"type\":\"reboot\"}", 400, "ArgumentInvalid",
	    "type is none of scheduleUpdateTwin, scheduleDeviceMethod, scheduleDeviceMessage, "
	    "scheduleRestoreTwin",
	    NULL, NULL },
	{ HTTP_PUT, "/jobs/v2/j?dryRun=perhaps&" API, "{}", 400, "ArgumentInvalid",
	    "dryRun is neither true nor false", NULL, NULL },
	{ HTTP_GET, "/jobs/v2/query?jobType=reboot&" API, NULL, 400, "ArgumentInvalid",
	    "jobType is none of a job", NULL, NULL },
	{ HTTP_GET, "/jobs/v2/query?jobStatus=ill&" API, NULL, 400, "ArgumentInvalid",
	    "jobStatus is none of a job", NULL, NULL },
	{ HTTP_PUT, "/configurations/c?" API, "[]", 400, "ArgumentInvalid",
	    "the body is not a JSON object", NULL, NULL },
	{ HTTP_PUT, "/configurations/c?dryRun=perhaps&" API, "{}", 400, "ArgumentInvalid",
	    "dryRun is neither true nor false", NULL, NULL },
	{ HTTP_POST, "/configurations/c/rollout/burn?" API, NULL, 404, "GenericNotFound",
	    "a rollout has no action burn", NULL, NULL },
	{ HTTP_POST, "/configurations/testQueries?" API, "[]", 400, "ArgumentInvalid",
	    "the body is not a JSON object", NULL, NULL },
	{ HTTP_POST, "/jobs/create?" API, "{}", 400, "ArgumentInvalid",
	    "type is neither import nor export", NULL, NULL },
	{ HTTP_POST, "/admin/import?importMode=x&" API, "x", 400, "ArgumentInvalid",
	    "importMode is none of those that there are", NULL, NULL },
	{ HTTP_POST, "/admin/import?firstLine=x&" API, "x", 400, "ArgumentInvalid",
	    "firstLine is not a number", NULL, NULL },
	{ HTTP_GET, "/admin/export?" API, NULL, 400, "ArgumentInvalid",
	    "x-ms-max-item-count is not a number from 1 to 10000", "x-ms-max-item-count", "x" },
	{ HTTP_GET, "/admin/export?" API, NULL, 400, "ArgumentInvalid",
	    "the continuation is none of an export's", "x-ms-continuation", "!" },
	{ HTTP_POST, "/admin/policies/p1/rotate?key=third&" API, NULL, 400, "ArgumentInvalid",
	    "key is neither primary nor secondary", NULL, NULL },
	{ HTTP_POST, "/admin/policies/nobody/rotate?key=primary&" API, NULL, 404, "GenericNotFound",
	    "there is no policy 'nobody'", NULL, NULL },
	{ HTTP_POST, "/admin/backup?to=here&" API, NULL, 400, "ArgumentInvalid",
	    "to is not an absolute path", NULL, NULL },
	{ HTTP_POST, "/admin/backup?to=/a%0Ab&" API, NULL, 400, "ArgumentInvalid",
	    "to has control characters", NULL, NULL },
};

static void
fill_large(void)
{
	size_t n = (size_t)snprintf(
	    large_payload, sizeof(large_payload), "{\"methodName\":\"m\",\"payload\":\"");

	memset(large_payload + n, 'x', PAYLOAD_OVER);
	snprintf(large_payload + n + PAYLOAD_OVER, 8, "\"}");
	n = 0;
	for (unsigned i = 0; i < ITEMS_OVER; i++)
		n += (size_t)snprintf(many_items + n, sizeof(many_items) - n, "%c{\"id\":\"d%u\"}",
		    i == 0 ? '[' : ',', i);
	snprintf(many_items + n, sizeof(many_items) - n, "]");
}

/* {"Message":"ErrorCode:NAME;text","ExceptionMessage":"Tracking ID:(32 hex)-G:0-TimeStamp:(19)"} */
static void
assert_refused(const struct row *row, const struct seen *s)
{
	char message[ANSWERS_ROOM];
	struct buf json = { 0 };

	snprintf(message, sizeof(message), "ErrorCode:%s;%s", row->code,
	    row->text != NULL ? row->text : "");
	buf_cstr(&json, "{\"Message\":");
	doc_write_json_str(&json, str_of(message));
	if (row->text != NULL)
		buf_cstr(&json, ",\"ExceptionMessage\":\"Tracking ID:");
	else
		json.n--; /* the quote: its text goes on */
	if (s->status != row->status || strcmp(s->code, row->code) != 0 ||
	    strncmp(s->text, json.p, json.n) != 0)
		fail_msg("%s %.60s: %d %s; %s", row->target, row->body != NULL ? row->body : "",
		    s->status, s->code, s->text);
	if (row->text != NULL)
		assert_int_equal(
		    s->n, json.n + 32 + strlen("-G:0-TimeStamp:11/29/2026 15:38:00\"}"));
	buf_fini(&json);
}

static void
make_device(const char *device)
{
	char body[64];
	struct wire w = { .method = HTTP_PUT, .rights = RIGHTS_ALL, .body = body };
	char target[64];
	struct seen s;

	snprintf(body, sizeof(body), "{\"deviceId\":\"%s\"}", device);
	snprintf(target, sizeof(target), "/devices/%s?" API, device);
	w.target = target;
	kit_ask(&w, &s);
	assert_int_equal(s.status, 200);
}

static void
bodies__L90_R14_R62_R70_are_refused_with_status_code_and_text(void **state)
{
	(void)state;
	fill_large();
	make_device("here");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire w = { .method = rows[i].method,
			.target = rows[i].target,
			.rights = RIGHTS_ALL,
			.body = rows[i].body,
			.name = rows[i].name,
			.value = rows[i].value };
		struct seen s;

		kit_ask(&w, &s);
		assert_refused(&rows[i], &s);
	}
}

/* What is the same for every error is told once, with the headers that clients look at. */
static void
bodies__R14_R15_every_refusal_has_its_headers_and_nothing_has_changed(void **state)
{
	struct wire w = { .method = HTTP_GET, .rights = RIGHTS_ALL, .target = "/devices?" API };
	struct seen before, after, s;

	(void)state;
	fill_large();
	make_device("here");
	kit_ask(&w, &before);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire bad = { rows[i].method, rows[i].target, rows[i].body, RIGHTS_ALL, NULL,
			rows[i].name, rows[i].value, false, NULL };
		char length[16];

		kit_ask(&bad, &s);
		snprintf(length, sizeof(length), "%zu", s.n);
		assert_string_equal(s.length, length);
		assert_string_equal(s.type, "application/json; charset=utf-8");
		assert_int_equal(strlen(s.id), 36);
		assert_string_equal(s.connection, ""); /* the connection goes on */
		assert_string_equal(s.warning, "");
	}
	kit_ask(&w, &after);
	assert_int_equal(before.status, 200);
	assert_string_equal(before.text, after.text);
}

/* ---- what is taken, and has no effect ---- */

static void
bodies__R113_members_that_a_body_does_not_have_are_named(void **state)
{
	static const struct {
		enum http_method method;
		const char *target, *body, *warning;
	} taken[] = {
		{ HTTP_PUT, "/devices/w?" API, "{\"deviceId\":\"w\",\"nme\":1}", "nme" },
		{ HTTP_PATCH, "/twins/here?" API, "{\"tag\":{}}", "tag" },
		{ HTTP_POST, "/devices?" API, "[{\"id\":\"x\"},{\"id\":\"v\",\"tag\":{}}]",
		    "[1].tag" },
		{ HTTP_PATCH, "/twins/here?" API, "{\"properties\":{\"reported\":{\"a\":1}}}",
		    "properties.reported is written by the device alone, it was left out" },
		{ HTTP_PUT, "/devices/u?" API, "{\"deviceId\":\"u\",\"etag\":\"x\"}", "" },
	};

	(void)state;
	make_device("here");
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		struct wire w = { .method = taken[i].method,
			.target = taken[i].target,
			.rights = RIGHTS_ALL,
			.body = taken[i].body };
		struct seen s;

		kit_ask(&w, &s);
		assert_int_equal(s.status, 200);
		if (strncmp(s.warning, taken[i].warning, strlen(taken[i].warning)) != 0 ||
		    (taken[i].warning[0] == '\0' && s.warning[0] != '\0'))
			fail_msg("%s: %s", taken[i].body, s.warning);
	}
}

/* ---- the rest of what a request is ---- */

static void
bodies__R16_R14_overrides_of_the_method_and_HEAD(void **state)
{
	struct wire w = { .method = HTTP_POST,
		.target = "/twins/here?" API,
		.rights = RIGHTS_ALL,
		.body = "{\"tags\":{\"a\":1}}",
		.name = "x-http-method-override",
		.value = "patch" };
	struct seen s;

	(void)state;
	make_device("here");
	kit_ask(&w, &s);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.etag, "\"AAAAAAAAAAI=\"");
	w.value = "DELETE";
	kit_ask(&w, &s);
	assert_int_equal(s.status, 405);
	w.value = "BREW"; /* it stays what it is */
	kit_ask(&w, &s);
	assert_int_equal(s.status, 405);
	w = (struct wire){ .method = HTTP_HEAD, .target = "/healthz" };
	kit_ask(&w, &s);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.length, "18"); /* of the answer to GET */
	assert_int_equal(s.n, 0);
}

static void
bodies__R107_targets_with_a_host_or_an_encoded_slash_are_the_same(void **state)
{
	static const struct {
		const char *target;
		int status;
	} targets[] = {
		{ "/twins/here?" API, 200 },
		{ "/twins/here/?" API, 200 },
		{ "/twins%2Fhere?" API, 200 },
		{ "/%2Ftwins%2fhere?" API, 200 },
		{ "https://" HOST "/twins/here?" API, 200 },
		{ "HTTP://HUB.example.test/twins/here?" API, 200 },
		{ "https://elsewhere.test/twins/here?" API,
		    404 }, /* nothing is fetched from there */
		{ "/TWINS/here?" API, 200 },
		{ "/twins/he%2Fre?" API, 400 },
	};

	(void)state;
	make_device("here");
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct wire w = { .target = targets[i].target, .rights = RIGHTS_ALL };
		struct seen s;

		kit_ask(&w, &s);
		if (s.status != targets[i].status)
			fail_msg("%s: %d %s", targets[i].target, s.status, s.text);
	}
}

static void
bodies__a_websocket_is_taken_at_its_path_alone(void **state)
{
	struct wire w = { .target = "/$iothub/websocket", .token = "", .websocket = true };
	struct seen s;

	(void)state;
	kit_ask(&w, &s);
	assert_int_equal(s.nupgrade, 1);
	w.websocket = false;
	kit_ask(&w, &s);
	assert_int_equal(s.status, 401);
	w = (struct wire){ .target = "/mqtt", .token = "", .websocket = true };
	kit_ask(&w, &s);
	assert_int_equal(s.status, 404);
}

int
main(void)
{
#define http_test(f) cmocka_unit_test_setup_teardown(f, http_setup, http_teardown)
	const struct CMUnitTest tests[] = {
		http_test(bodies__L90_R14_R62_R70_are_refused_with_status_code_and_text),
		http_test(bodies__R14_R15_every_refusal_has_its_headers_and_nothing_has_changed),
		http_test(bodies__R113_members_that_a_body_does_not_have_are_named),
		http_test(bodies__R16_R14_overrides_of_the_method_and_HEAD),
		http_test(bodies__R107_targets_with_a_host_or_an_encoded_slash_are_the_same),
		http_test(bodies__a_websocket_is_taken_at_its_path_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
