/*
 * The table of routes against the specification's (service-rest.md 3.3, 3.5), which stands here once more, by hand: what each
 * path and method asks for, and who may and may not by every set of rights that there is.
 */
#include "http/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define EVERY  "&"
#define RIGHTS 6 /* four of policies, two of identities */

/* Rights by letter: R, W the registry, S service, D devices connect; d, m the device's and the module's own. Any of them is
 * enough, or with EVERY all are needed. */
static const struct {
	const char *method, *path, *need;
} wanted[] = {
	{ "GET", "devices", "R" },
	{ "POST", "devices", "W" },
	{ "POST", "devices/keys/regenerate", "W" },
	{ "POST", "devices/query", "SR" },
	{ "GET", "devices/{device}", "R" },
	{ "PUT", "devices/{device}", "W" },
	{ "DELETE", "devices/{device}", "W" },
	{ "GET", "devices/{device}/modules", "Rd" },
	{ "GET", "devices/{device}/modules/{module}", "Rd" },
	{ "PUT", "devices/{device}/modules/{module}", "Wd" },
	{ "DELETE", "devices/{device}/modules/{module}", "Wd" },
	{ "GET", "twins/{device}", "S" },
	{ "PATCH", "twins/{device}", "S" },
	{ "PUT", "twins/{device}", "S" },
	{ "GET", "twins/{device}/modules/{module}", "S" },
	{ "PATCH", "twins/{device}/modules/{module}", "S" },
	{ "PUT", "twins/{device}/modules/{module}", "S" },
	{ "GET", "twins/{device}/convergence", "S" },
	{ "GET", "twins/{device}/modules/{module}/convergence", "S" },
	{ "GET", "twins/{device}/configurations", "S" },
	{ "GET", "twins/{device}/modules/{module}/configurations", "S" },
	{ "POST", "twins/{device}/methods", "S" },
	{ "POST", "twins/{device}/modules/{module}/methods", "S" },
	{ "DELETE", "devices/{device}/commands", "SW" },
	{ "GET", "messages/serviceBound/feedback", "S" },
	{ "GET", "statistics/devices", "SR" },
	{ "GET", "statistics/service", "SR" },
	{ "GET", "statistics/configurations", "SR" },
	{ "GET", "statistics/columns", "SR" },
	{ "GET", "statistics/store", "SR" },
	{ "GET", "configurations", "SR" },
	{ "POST", "configurations/testQueries", "SW" },
	{ "GET", "configurations/{configuration}", "SR" },
	{ "GET", "configurations/{configuration}/devices", "SR" },
	{ "PUT", "configurations/{configuration}", "SW" },
	{ "POST", "configurations/{configuration}", "SW" },
	{ "DELETE", "configurations/{configuration}", "SW" },
	{ "POST", "configurations/{configuration}/rollout/{action}", "SW" },
	{ "POST", "devices/{device}/applyConfigurationContent", "SW" },
	{ "GET", "admin/policies", EVERY "RWSD" },
	{ "GET", "admin/policies/{name}", EVERY "RWSD" },
	{ "POST", "admin/policies/{name}/rotate", EVERY "RWSD" },
	{ "POST", "admin/backup", EVERY "RWSD" },
	{ "GET", "jobs/v2/query", "SR" },
	{ "POST", "jobs/v2/{job}", "SW" },
	{ "PUT", "jobs/v2/{job}", "SW" },
	{ "GET", "jobs/v2/{job}", "SR" },
	{ "POST", "jobs/v2/{job}/cancel", "SW" },
	{ "GET", "admin/export", EVERY "RS" },
	{ "POST", "admin/import", EVERY "WS" },
	{ "POST", "jobs/create", "W" },
	{ "GET", "jobs", "R" },
	{ "GET", "jobs/{job}", "R" },
	{ "DELETE", "jobs/{job}", "W" },
	{ "GET", "digitaltwins/{device}", "S" },
	{ "PATCH", "digitaltwins/{device}", "S" },
	{ "POST", "digitaltwins/{device}/commands/{command}", "S" },
	{ "POST", "digitaltwins/{device}/components/{component}/commands/{command}", "S" },
	{ "POST", "devices/{device}/messages/events", "dmD" },
	{ "POST", "devices/{device}/modules/{module}/messages/events", "dmD" },
	{ "GET", "devices/{device}/modules/$edgeHub/devicesAndModulesInDeviceScope", "dm" },
	{ "GET", "devices/{device}/modules/$edgeHub/deviceAndModuleInDeviceScope", "dm" },
	{ "POST", "devices/{device}/modules/{module}/devicesAndModulesInTargetDeviceScope", "dm" },
	{ "POST", "devices/{device}/modules/{module}/getDeviceAndModuleOnBehalfOf", "dm" },
	{ "POST", "devices/{device}/modules/{module}/putModuleOnBehalfOf", "dm" },
	{ "POST", "devices/{device}/modules/{module}/getModuleOnBehalfOf", "dm" },
	{ "POST", "devices/{device}/modules/{module}/getModulesOnTargetDevice", "dm" },
	{ "POST", "devices/{device}/modules/{module}/deleteModuleOnBehalfOf", "dm" },
	{ "POST", "devices/{device}/files", "dmD" },
	{ "POST", "devices/{device}/files/notifications", "dmD" },
	{ "GET", "devices/{device}/messages/deviceBound", "dmD" },
	{ "DELETE", "devices/{device}/messages/deviceBound/{lock}", "dmD" },
	{ "POST", "devices/{device}/messages/deviceBound/{lock}/abandon", "dmD" },
};
#define NWANTED (sizeof(wanted) / sizeof(wanted[0]))

static const char *
method_name(enum evhttp_cmd_type method)
{
	switch (method) {
	case EVHTTP_REQ_GET: return "GET";
	case EVHTTP_REQ_PUT: return "PUT";
	case EVHTTP_REQ_POST: return "POST";
	case EVHTTP_REQ_PATCH: return "PATCH";
	case EVHTTP_REQ_DELETE: return "DELETE";
	default: return "?";
	}
}

static const char *
need_of(const struct route *route)
{
	for (size_t i = 0; i < NWANTED; i++)
		if (strcmp(wanted[i].path, route->path) == 0 &&
		    strcmp(wanted[i].method, method_name(route->method)) == 0)
			return wanted[i].need;
	fail_msg("%s %s is a route that the table does not know", method_name(route->method),
	    route->path);
	return NULL;
}

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

static void
routes__R115_who_may_do_what_by_every_set_of_rights(void **state)
{
	(void)state;
	assert_int_equal(nroutes, NWANTED); /* so none is there twice, and none is missing */
	for (size_t i = 0; i < nroutes; i++) {
		const char *need = need_of(&routes[i]);

		for (unsigned have = 0; have < 1u << RIGHTS; have++)
			if (need_met(routes[i].need, have) != may(have, need))
				fail_msg("%s %s with rights %u", method_name(routes[i].method),
				    routes[i].path, have);
	}
}

/* A GET or HEAD of keys, a change: nobody may who has no right at all. */
static void
routes__R115_a_route_that_asks_for_nothing_is_for_nobody(void **state)
{
	(void)state;
	for (unsigned have = 0; have < 1u << RIGHTS; have++) {
		assert_false(need_met((struct need){ false, 0 }, have));
		assert_false(need_met((struct need){ true, 0 }, have));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes__R115_who_may_do_what_by_every_set_of_rights),
		cmocka_unit_test(routes__R115_a_route_that_asks_for_nothing_is_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
