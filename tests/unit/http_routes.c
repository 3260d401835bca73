/*
 * The table of routes by requests without a socket. What each path and method asks for stands here once more, by hand, as the
 * specification has it (service-rest.md 3.3, 3.5), with the answer of its handler to a request for what is not there; every set of
 * rights asks for each of them. Then what a path, a method and the order of the checks make of a request.
 */
#include "http_kit.h"

#define EVERY  "&"
#define RIGHTS 6 /* four of policies, two of identities */

/* Rights by letter: R, W the registry, S service, D devices connect; d, m the device's and the module's own. Any of them is
 * enough, or with EVERY all are needed. */
static const struct row {
	enum http_method method;
	const char *path, *need;
	int status; /* to who may; 0: no policy may */
	const char *code;
} rows[] = {
	{ HTTP_GET, "devices", "R", 200, "" },
	{ HTTP_POST, "devices", "W", 400, "ArgumentNull" },
	{ HTTP_POST, "devices/keys/regenerate", "W", 400, "ArgumentNull" },
	{ HTTP_POST, "devices/query", "SR", 400, "ArgumentNull" },
	{ HTTP_POST, "devices/query/watch", "SR", 400, "ArgumentNull" },
	{ HTTP_GET, "devices/{device}", "R", 404, "DeviceNotFound" },
	{ HTTP_PUT, "devices/{device}", "W", 400, "ArgumentNull" },
	{ HTTP_DELETE, "devices/{device}", "W", 404, "DeviceNotFound" },
	{ HTTP_GET, "devices/{device}/modules", "Rd", 404, "DeviceNotFound" },
	{ HTTP_GET, "devices/{device}/modules/{module}", "Rd", 404, "DeviceNotFound" },
	{ HTTP_PUT, "devices/{device}/modules/{module}", "Wd", 400, "ArgumentNull" },
	{ HTTP_DELETE, "devices/{device}/modules/{module}", "Wd", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}", "S", 404, "DeviceNotFound" },
	{ HTTP_PATCH, "twins/{device}", "S", 404, "DeviceNotFound" },
	{ HTTP_PUT, "twins/{device}", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/modules/{module}", "S", 404, "DeviceNotFound" },
	{ HTTP_PATCH, "twins/{device}/modules/{module}", "S", 404, "DeviceNotFound" },
	{ HTTP_PUT, "twins/{device}/modules/{module}", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/watch", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/modules/{module}/watch", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/history", "S", 400, "ArgumentInvalid" },
	{ HTTP_GET, "twins/{device}/modules/{module}/history", "S", 400, "ArgumentInvalid" },
	{ HTTP_GET, "twins/{device}/convergence", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/modules/{module}/convergence", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/configurations", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "twins/{device}/modules/{module}/configurations", "S", 404, "DeviceNotFound" },
	{ HTTP_POST, "twins/{device}/methods", "S", 404, "DeviceNotFound" },
	{ HTTP_POST, "twins/{device}/modules/{module}/methods", "S", 404, "DeviceNotFound" },
	{ HTTP_DELETE, "devices/{device}/commands", "SW", 404, "DeviceNotFound" },
	{ HTTP_POST, "devices/{device}/messages/deviceBound", "S", 404, "DeviceNotFound" },
	{ HTTP_GET, "messages/serviceBound/feedback", "S", 204, "" },
	{ HTTP_DELETE, "messages/serviceBound/feedback/{lock}", "S", 412, "DeviceMessageLockLost" },
	{ HTTP_POST, "messages/serviceBound/feedback/{lock}/abandon", "S", 412,
	    "DeviceMessageLockLost" },
	{ HTTP_GET, "connections", "SR", 200, "" },
	{ HTTP_GET, "devices/{device}/connection", "SR", 404, "DeviceNotFound" },
	{ HTTP_GET, "devices/{device}/modules/{module}/connection", "SR", 404, "DeviceNotFound" },
	{ HTTP_DELETE, "devices/{device}/connection", "W", 404, "DeviceNotFound" },
	{ HTTP_DELETE, "devices/{device}/modules/{module}/connection", "W", 404, "DeviceNotFound" },
	{ HTTP_GET, "statistics/messages", "SR", 200, "" },
	{ HTTP_GET, "statistics/devices", "SR", 200, "" },
	{ HTTP_GET, "statistics/service", "SR", 200, "" },
	{ HTTP_GET, "statistics/configurations", "SR", 200, "" },
	{ HTTP_GET, "statistics/columns", "SR", 200, "" },
	{ HTTP_GET, "statistics/paths", "SR", 200, "" },
	{ HTTP_GET, "statistics/queries", "S", 200, "" },
	{ HTTP_GET, "statistics/store", "SR", 200, "" },
	{ HTTP_GET, "statistics/metrics", "S", 200, "" },
	{ HTTP_GET, "statistics/events", "SR", 200, "" },
	{ HTTP_GET, "statistics/limits", "SR", 200, "" },
	{ HTTP_GET, "events/partitions", "S", 503, "ServiceUnavailable" },
	{ HTTP_GET, "events/partitions/{partition}", "S", 503, "ServiceUnavailable" },
	{ HTTP_GET, "events", "S", 400, "ArgumentInvalid" },
	{ HTTP_GET, "configurations", "SR", 200, "" },
	{ HTTP_POST, "configurations/testQueries", "SW", 400, "ArgumentNull" },
	{ HTTP_GET, "configurations/{configuration}", "SR", 404, "ConfigurationNotFound" },
	{ HTTP_GET, "configurations/{configuration}/devices", "SR", 404, "ConfigurationNotFound" },
	{ HTTP_PUT, "configurations/{configuration}", "SW", 400, "ArgumentNull" },
	{ HTTP_POST, "configurations/{configuration}", "SW", 405, "GenericMethodNotAllowed" },
	{ HTTP_DELETE, "configurations/{configuration}", "SW", 404, "ConfigurationNotFound" },
	{ HTTP_POST, "configurations/{configuration}/rollout/{action}", "SW", 404,
	    "GenericNotFound" },
	{ HTTP_POST, "devices/{device}/applyConfigurationContent", "SW", 400, "ArgumentNull" },
	{ HTTP_GET, "admin/policies", EVERY "RWSD", 200, "" },
	{ HTTP_GET, "admin/policies/{name}", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_PUT, "admin/policies/{name}", EVERY "RWSD", 400, "ArgumentInvalid" },
	{ HTTP_DELETE, "admin/policies/{name}", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_POST, "admin/policies/{name}/rotate", EVERY "RWSD", 400, "ArgumentInvalid" },
	{ HTTP_POST, "admin/backup", EVERY "RWSD", 400, "ArgumentInvalid" },
	{ HTTP_GET, "admin/clock", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_POST, "admin/clock", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_GET, "admin/faults", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_POST, "admin/faults", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_DELETE, "admin/faults", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_GET, "admin/backups", EVERY "RWSD", 200, "" },
	{ HTTP_GET, "jobs/v2/query", "SR", 200, "" },
	{ HTTP_POST, "jobs/v2/{job}", "SW", 405, "GenericMethodNotAllowed" },
	{ HTTP_PUT, "jobs/v2/{job}", "SW", 400, "ArgumentNull" },
	{ HTTP_GET, "jobs/v2/{job}", "SR", 404, "JobNotFound" },
	{ HTTP_POST, "jobs/v2/{job}/cancel", "SW", 404, "JobNotFound" },
	{ HTTP_GET, "admin/export", EVERY "RS", 200, "" },
	{ HTTP_POST, "admin/import", EVERY "WS", 400, "ArgumentNull" },
	{ HTTP_POST, "jobs/create", "W", 400, "ArgumentNull" },
	{ HTTP_GET, "jobs", "R", 200, "" },
	{ HTTP_GET, "jobs/{job}", "R", 404, "JobNotFound" },
	{ HTTP_DELETE, "jobs/{job}", "W", 404, "JobNotFound" },
	{ HTTP_GET, "digitaltwins/{device}", "S", 404, "DeviceNotFound" },
	{ HTTP_PATCH, "digitaltwins/{device}", "S", 404, "DeviceNotFound" },
	{ HTTP_POST, "digitaltwins/{device}/commands/{command}", "S", 404, "DeviceNotFound" },
	{ HTTP_POST, "digitaltwins/{device}/components/{component}/commands/{command}", "S", 404,
	    "DeviceNotFound" },
	{ HTTP_POST, "devices/{device}/messages/events", "dmD", 404, "DeviceNotFound" },
	{ HTTP_POST, "devices/{device}/modules/{module}/messages/events", "dmD", 404,
	    "DeviceNotFound" },
	{ HTTP_GET, "devices/{device}/modules/$edgeHub/devicesAndModulesInDeviceScope", "dm", 0,
	    "" },
	{ HTTP_GET, "devices/{device}/modules/$edgeHub/deviceAndModuleInDeviceScope", "dm", 0, "" },
	{ HTTP_POST, "devices/{device}/modules/{module}/devicesAndModulesInTargetDeviceScope", "dm",
	    0, "" },
	{ HTTP_POST, "devices/{device}/modules/{module}/getDeviceAndModuleOnBehalfOf", "dm", 0,
	    "" },
	{ HTTP_POST, "devices/{device}/modules/{module}/putModuleOnBehalfOf", "dm", 0, "" },
	{ HTTP_POST, "devices/{device}/modules/{module}/getModuleOnBehalfOf", "dm", 0, "" },
	{ HTTP_POST, "devices/{device}/modules/{module}/getModulesOnTargetDevice", "dm", 0, "" },
	{ HTTP_POST, "devices/{device}/modules/{module}/deleteModuleOnBehalfOf", "dm", 0, "" },
	{ HTTP_GET, "sinks", "S", 200, "" },
	{ HTTP_GET, "sinks/{sink}", "S", 404, "GenericNotFound" },
	{ HTTP_PUT, "sinks/{sink}", EVERY "RWSD", 400, "ArgumentNull" },
	{ HTTP_DELETE, "sinks/{sink}", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_GET, "routes", "S", 200, "" },
	{ HTTP_GET, "routes/{route}", "S", 404, "GenericNotFound" },
	{ HTTP_PUT, "routes/{route}", EVERY "RWSD", 400, "ArgumentNull" },
	{ HTTP_DELETE, "routes/{route}", EVERY "RWSD", 404, "GenericNotFound" },
	{ HTTP_POST, "routes/{route}/test", "S", 400, "ArgumentNull" },
	{ HTTP_GET, "settings", "SR", 200, "" },
	{ HTTP_PATCH, "settings", EVERY "RWSD", 400, "ArgumentNull" },
	{ HTTP_GET, "statistics/sinks", "SR", 200, "" },
	{ HTTP_POST, "devices/{device}/files", "dmD", 501, "GenericNotImplemented" },
	{ HTTP_POST, "devices/{device}/files/notifications", "dmD", 501, "GenericNotImplemented" },
	{ HTTP_GET, "devices/{device}/messages/deviceBound", "dmD", 404, "DeviceNotFound" },
	{ HTTP_DELETE, "devices/{device}/messages/deviceBound/{lock}", "dmD", 404,
	    "DeviceNotFound" },
	{ HTTP_POST, "devices/{device}/messages/deviceBound/{lock}/abandon", "dmD", 404,
	    "DeviceNotFound" },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

static bool
holds(unsigned have, char letter)
{
	switch (letter) {
	case 'R': return have & (RIGHT_REGISTRY_READ | RIGHT_REGISTRY_WRITE);
	case 'W': return have & RIGHT_REGISTRY_WRITE;
	case 'S': return have & RIGHT_SERVICE_CONNECT;
	case 'D': return have & RIGHT_DEVICE_CONNECT;
	case 'd': return have & RIGHT_DEVICE_SELF;
	default: return have & RIGHT_MODULE_SELF;
	}
}

static bool
may(unsigned have, const char *need)
{
	bool every = *need == '&';
	unsigned n = 0, of = 0;

	for (need += every; *need != '\0'; need++, of++)
		n += holds(have, *need);
	return every ? n == of : n > 0;
}

/* /devices/nobody/modules/m?api-version=...; what is in braces is the name or its substitute. */
static const char *
target(const char *path, const char *device, const char *module, const char *query)
{
	static char out[256];
	size_t n = 0;

	n += (size_t)snprintf(out, sizeof(out), "/");
	for (const char *p = path; *p != '\0';) {
		bool hole = *p == '{', is_device = strncmp(p, "{device}", 8) == 0;

		if (!hole) {
			out[n++] = *p++;
			continue;
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s", is_device ? device : module);
		p = strchr(p, '}') + 1;
	}
	/* what the log's reader answers is not for here: it is refused for what it asks */
	snprintf(out + n, sizeof(out) - n, "?%s%s", query,
	    strcmp(path, "events") == 0 || strstr(path, "/history") != NULL ? "&nobody=asks" : "");
	return out;
}

/* An error looks the same wherever it comes from (R-14, R-15), and its length is told. */
static void
assert_fault(const struct seen *s, int status, const char *code, const char *text)
{
	char begin[ANSWERS_ROOM], length[16];

	snprintf(
	    begin, sizeof(begin), "{\"Message\":\"ErrorCode:%s;%s", code, text != NULL ? text : "");
	if (s->status != status || strcmp(s->code, code) != 0 ||
	    strncmp(s->text, begin, strlen(begin)) != 0)
		fail_msg("%d %s, not %d %s; %s", s->status, s->code, status, begin, s->text);
	if (text != NULL)
		assert_memory_equal(
		    s->text + strlen(begin), "\",\"ExceptionMessage\":\"Tracking ID:", 34);
	snprintf(length, sizeof(length), "%zu", s->n);
	assert_string_equal(s->length, length);
	assert_string_equal(s->type, "application/json; charset=utf-8");
	assert_int_equal(strlen(s->id), 36);
	assert_string_equal(s->retry, status == 429 || status == 503 ? "2" : "");
}

static void
routes__R115_stand_in_the_specification_one_by_one(void **state)
{
	size_t found = 0;

	(void)state;
	for (size_t i = 0; i < nroutes; i++)
		for (size_t j = 0; j < NROWS; j++)
			found += rows[j].method == routes[i].method &&
			    strcmp(rows[j].path, routes[i].path) == 0;
	assert_int_equal(found, NROWS);
	assert_int_equal(nroutes, NROWS); /* none twice, none unknown, none left out */
}

static void
routes__R115_who_may_do_what_by_every_set_of_rights(void **state)
{
	(void)state;
	for (size_t i = 0; i < NROWS; i++)
		for (unsigned have = 0; have <= RIGHTS_ALL; have++) {
			const struct row *row = &rows[i];
			struct wire w = { .method = row->method, .rights = have };
			struct seen s;

			w.target = target(row->path, "nobody", "m", API);
			kit_ask(&w, &s);
			if (!may(have, row->need)) {
				assert_fault(&s, 401, "IotHubUnauthorizedAccess", "Unauthorized");
			} else if (row->status < 400) {
				assert_int_equal(s.status, row->status);
				assert_string_equal(s.code, "");
			} else {
				assert_fault(&s, row->status, row->code, NULL);
			}
		}
}

/* An edge device and its $edgeHub, with KEY1 and KEY2, made over the same way. */
static void
make_edge(const char *device_token)
{
	struct wire device = { .method = HTTP_PUT,
		.target = "/devices/edge?" API,
		.rights = RIGHTS_ALL,
		.body = "{\"deviceId\":\"edge\",\"capabilities\":{\"iotEdge\":true},"
		        "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" KEY1
		        "\",\"secondaryKey\":\"" KEY1 "\"}}}" };
	struct wire module = { .method = HTTP_PUT,
		.target = "/devices/edge/modules/$edgeHub?" API,
		.rights = RIGHTS_ALL,
		.body = "{\"deviceId\":\"edge\",\"moduleId\":\"$edgeHub\","
		        "\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"" KEY2
		        "\",\"secondaryKey\":\"" KEY2 "\"}}}",
		.name = "If-Match",
		.value = "*" };
	struct seen s;

	kit_ask(&device, &s);
	assert_int_equal(s.status, 200);
	module.token =
	    device_token; /* the runtime's modules get their keys from their device alone */
	kit_ask(&module, &s);
	if (s.status != 200)
		fail_msg("%s", s.text);
}

/* With its own key an identity gets through where the table says so, and nowhere else. */
static void
try_own(const struct row *row, const char *token, unsigned right, const char *module)
{
	struct wire w = { .method = row->method, .token = token };
	bool of_module = strstr(row->path, "/modules/") != NULL;
	struct seen s;

	w.target = target(row->path, "edge", module, API);
	kit_ask(&w, &s);
	if (strncmp(row->path, "devices/{device}", 16) != 0 ||
	    (right == RIGHT_MODULE_SELF && !of_module) || !may(right, row->need)) {
		if (s.status != 401)
			fail_msg("%d %s is open to %u: %d", row->method, w.target, right, s.status);
		assert_string_equal(s.code, "IotHubUnauthorizedAccess");
	} else if (s.status == 401) {
		fail_msg("%d %s is closed to %u: %s", row->method, w.target, right, s.text);
	}
}

static void
routes__R105_R106_R111_what_an_identity_may_ask_for_itself(void **state)
{
	char device[256], module[256];

	(void)state;
	kit_signed(device, sizeof(device), HOST "/devices/edge", "", KEY1);
	make_edge(device);
	kit_signed(module, sizeof(module), HOST "/devices/edge/modules/$edgeHub", "", KEY2);
	for (size_t i = 0; i < NROWS; i++) {
		try_own(&rows[i], device, RIGHT_DEVICE_SELF, "m");
		try_own(&rows[i], module, RIGHT_MODULE_SELF, "$edgeHub");
	}
}

/* ---- paths, methods, versions ---- */

static void
routes__R102_every_method_that_a_path_lacks_is_405(void **state)
{
	static const enum http_method methods[] = { HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_PATCH,
		HTTP_DELETE, HTTP_OTHER };

	(void)state;
	for (size_t i = 0; i < NROWS; i++)
		for (size_t m = 0; m < sizeof(methods) / sizeof(methods[0]); m++) {
			/* which has no right to anything, and needs none to be told */
			struct wire w = { .method = methods[m] };
			struct seen s;

			w.target = target(rows[i].path, "nobody", "m", API);
			kit_ask(&w, &s);
			if (s.status != 401)
				assert_fault(&s, 405, "GenericMethodNotAllowed",
				    "this path does not have this method");
			else /* some other route has it */
				assert_string_equal(s.code, "IotHubUnauthorizedAccess");
			if (methods[m] == HTTP_OTHER)
				assert_int_equal(s.status, 405);
		}
}

static void
routes__R01_R02_every_route_needs_a_dated_version(void **state)
{
	static const struct {
		const char *query;
		bool good;
	} versions[] = { { "api-version=2020-05-31-preview", true }, { "", false },
		{ "api-version=", false }, { "api-version=2021-04-1", false },
		{ "api-version=2021-04-12x", false }, { "api-version=2021/04/12", false },
		{ "api-version=-preview", false } };

	(void)state;
	for (size_t i = 0; i < NROWS; i++)
		for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++) {
			struct wire w = { .method = rows[i].method, .rights = RIGHTS_ALL };
			struct seen s;

			if (rows[i].status == 0)
				continue;
			w.target = target(rows[i].path, "nobody", "m", versions[v].query);
			kit_ask(&w, &s);
			if (!versions[v].good)
				assert_fault(&s, 400, "InvalidProtocolVersion", "BadRequest");
			else
				assert_int_equal(s.status, rows[i].status);
		}
}

#define ID_129                                                                                     \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
routes__R28_ids_in_paths_are_looked_at_before_anything_is_done(void **state)
{
	static const char *const bad[] = { "a%20b", "a%0Ab", "%C3%A9", "a%00", ID_129 };
	static const char bad_id[] =
	    "the id in the path is not 1 to 128 of the characters that ids may have";

	(void)state;
	for (size_t i = 0; i < NROWS; i++)
		for (size_t b = 0; b < sizeof(bad) / sizeof(bad[0]); b++) {
			struct wire w = { .method = rows[i].method, .rights = RIGHTS_ALL };
			struct seen s;

			if (rows[i].status == 0 || strstr(rows[i].path, "{device}") == NULL)
				continue;
			w.target = target(rows[i].path, bad[b], "m", API);
			kit_ask(&w, &s);
			assert_fault(&s, 400, "ArgumentInvalid", bad_id);
			if (strstr(rows[i].path, "{module}") == NULL)
				continue;
			w.target = target(rows[i].path, "nobody", bad[b], API);
			kit_ask(&w, &s);
			assert_fault(&s, 400, "ArgumentInvalid", bad_id);
		}
}

/* ---- the order of the checks ---- */

/* Each request has one fault less than the one before it, from the first check on; so the first fault is what is told. */
static void
checks__T116_come_in_their_order(void **state)
{
	static const struct https_fault framing = { 400, "no request at all" };
	static char large[HTTP_BODY_MAX + 2];
	const struct {
		struct wire w;
		int status;
		const char *code, *text;
	} order[] = {
		{ { HTTP_PATCH, "/x", large, 0, "", "Upgrade", "websocket", true, &framing }, 400,
		    "ArgumentInvalid", "no request at all" },
		{ { HTTP_PATCH, "/x", large, 0, "", "Upgrade", "websocket", true, NULL }, 404,
		    "GenericNotFound",
		    "no WebSocket is served at this path: MQTT's is /$iothub/websocket" },
		{ { HTTP_PATCH, "/x", large, 0, "x", NULL, NULL, false, NULL }, 401,
		    "IotHubUnauthorizedAccess", "Unauthorized" },
		{ { HTTP_PATCH, "/x", large, 0, NULL, NULL, NULL, false, NULL }, 404,
		    "GenericNotFound", "there is nothing at this path: it is not served here" },
		{ { HTTP_PATCH, "/devices/a%20b", large, 0, NULL, NULL, NULL, false, NULL }, 405,
		    "GenericMethodNotAllowed", "this path does not have this method" },
		{ { HTTP_PUT, "/devices/a%20b", large, 0, NULL, NULL, NULL, false, NULL }, 401,
		    "IotHubUnauthorizedAccess", "Unauthorized" },
		{ { HTTP_PUT, "/devices/a%20b", large, RIGHTS_ALL, NULL, NULL, NULL, false, NULL },
		    400, "InvalidProtocolVersion", "BadRequest" },
		{ { HTTP_PUT, "/devices/a%20b?" API, large, RIGHTS_ALL, NULL, NULL, NULL, false,
		      NULL },
		    400, "ArgumentInvalid",
		    "the id in the path is not 1 to 128 of the characters that ids may have" },
		{ { HTTP_PUT, "/devices/a?" API, large, RIGHTS_ALL, NULL, NULL, NULL, false, NULL },
		    413, "GenericRequestEntityTooLarge",
		    "the body has 1048577 bytes, the limit is 1048576" },
		{ { HTTP_PUT, "/devices/a?" API, large + 1, RIGHTS_ALL, NULL, NULL, NULL, false,
		      NULL },
		    400, "IotHubFormatError", "The text is not valid JSON, at byte 0." },
	};

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct seen s;

		kit_ask(&order[i].w, &s);
		assert_fault(&s, order[i].status, order[i].code, order[i].text);
		assert_string_equal(s.connection, i == 0 ? "close" : "");
	}
}

/* What is refused before is not counted, and what is over the rate is not done, whoever else asks. */
static void
checks__T116_R101_the_rate_comes_last(void **state)
{
	static char large[HTTP_BODY_MAX + 2];
	struct wire good = { .target = "/devices/a?" API, .rights = RIGHT_REGISTRY_READ },
	            other = good, bad = good, put = good;
	struct limit_rules rules = { 0 };
	char why[256];
	struct seen s;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	assert_int_equal(
	    limit_rule_parse(STR("policy:registry=1/d"), &rules, why, sizeof(why)), ERR_OK);
	the_http.hl->o.limiter = limiter_new(&rules, 1000);
	bad.target = "/devices/a";
	put.method = HTTP_PUT;
	put.rights = other.rights = RIGHTS_ALL;
	put.body = large;
	kit_ask(&bad, &s);
	assert_fault(&s, 400, "InvalidProtocolVersion", "BadRequest");
	kit_ask(&put, &s);
	assert_int_equal(s.status, 413);
	for (int i = 0; i < 2; i++) {
		kit_ask(i == 0 ? &good : &other, &s);
		assert_fault(&s, 404, "DeviceNotFound", "a");
		kit_ask(i == 0 ? &good : &other, &s);
		assert_int_equal(s.status, 429);
		assert_string_equal(s.code, "ThrottlingException");
		assert_in_range(atoi(s.retry), 86000, 86400);
	}
	kit_ask(&bad, &s);
	assert_int_equal(s.status, 400);
	limiter_free(the_http.hl->o.limiter);
	the_http.hl->o.limiter = NULL;
}

/* Of a hub that stops nothing is asked any more, but whether it lives. */
static void
checks__a_hub_that_stops_says_so_to_everybody(void **state)
{
	struct wire w = { HTTP_GET, "/x", NULL, 0, "x", NULL, NULL, false, NULL };
	struct seen s;

	(void)state;
	http_loop_stop(the_http.hl);
	kit_ask(&w, &s);
	assert_fault(&s, 503, "ServiceUnavailable", "the hub is stopping");
	w.target = "/readyz";
	kit_ask(&w, &s);
	assert_fault(&s, 503, "ServiceUnavailable", "the hub is stopping");
	w.target = "/healthz";
	kit_ask(&w, &s);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.text, "{\"status\":\"alive\"}");
	w.target = "/livez";
	kit_ask(&w, &s);
	assert_int_equal(s.status, 200);
	assert_string_equal(s.text, "{\"status\":\"alive\"}");
}

int
main(void)
{
#define http_test(f) cmocka_unit_test_setup_teardown(f, http_setup, http_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes__R115_stand_in_the_specification_one_by_one),
		http_test(routes__R115_who_may_do_what_by_every_set_of_rights),
		http_test(routes__R105_R106_R111_what_an_identity_may_ask_for_itself),
		http_test(routes__R102_every_method_that_a_path_lacks_is_405),
		http_test(routes__R01_R02_every_route_needs_a_dated_version),
		http_test(routes__R28_ids_in_paths_are_looked_at_before_anything_is_done),
		http_test(checks__T116_come_in_their_order),
		http_test(checks__T116_R101_the_rate_comes_last),
		http_test(checks__a_hub_that_stops_says_so_to_everybody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
