/*
 * Requests in the log: who did what from where, of each administrative act that was done (O-19); with --log-level debug each request.
 * Queries are told of what is done under admin/ alone, whose parameters are names and directories: elsewhere anything may stand there.
 * Keys and tokens are in neither.
 */
#include "http/priv.h"
#include "metric/metric.h"

#include <stdio.h>

/* What is an administrative act: whatever changes what takes all rights, and anything but GET on paths that begin so. What a back end does all
 * day, with devices, twins and messages, is none; what takes identities or their keys away is. */
static const struct {
	const char *path;
	enum http_method method; /* HTTP_OTHER: any but GET */
} acts[] = {
	{ "admin/", HTTP_OTHER },
	{ "configurations/testQueries", HTTP_GET },
	{ "configurations", HTTP_OTHER },
	{ "jobs", HTTP_OTHER },
	{ "devices/keys/regenerate", HTTP_OTHER },
	{ "devices/{device}/applyConfigurationContent", HTTP_OTHER },
	{ "devices/{device}/commands", HTTP_OTHER },
	{ "devices/{device}/messages", HTTP_GET },
	{ "devices/{device}/modules/{module}/messages", HTTP_GET },
	{ "devices/{device}", HTTP_DELETE },
};

static bool
is_act(const struct route *route)
{
	if (route->method == HTTP_GET)
		return false;
	if (route->need.all && route->need.rights == RIGHTS_ALL)
		return true;
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		if (str_starts(str_of(route->path), str_of(acts[i].path)))
			return acts[i].method == HTTP_OTHER || acts[i].method == route->method;
	return false;
}

static void
tell(const struct request *r, bool done, const char *status)
{
	char peer[NET_ADDR_TEXT_MAX], ms[24];
	bool policy = r->actor == ACTOR_POLICY;
	bool admin = r->route != NULL && str_starts(str_of(r->route->path), STR("admin/"));

	snprintf(
	    ms, sizeof(ms), "%lld", (long long)((loop_now_us(r->hl->loop) - r->began_us) / 1000));
	log_pairs(done ? LOG_INFO : LOG_DEBUG, done ? "administrative act" : "request",
	    (const struct log_pair[]){ { "method", str_of(http_method_name(r->method)) },
	        { "path", r->sent_path }, { "query", done && admin ? r->query : STR_NONE },
	        { "route", str_of(r->route != NULL ? r->route->path : NULL) },
	        { "policy", policy ? r->asker : STR_NONE },
	        { "device", policy ? STR_NONE : r->asker },
	        { "address", r->ask.named ? str_of(net_addr_text(&r->ask.from, peer)) : STR_NONE },
	        { "status", str_of(status) }, { "ms", str_of(ms) }, { NULL, STR_NONE } });
}

void
request_tell(const struct request *r, int status)
{
	char text[16];
	bool done = status >= 200 && status < 300 && r->route != NULL && is_act(r->route);

	metric_add(METRIC_REQUESTS, METRIC_1XX + (unsigned)status / 100 - 1, 1);
	if (!done && !log_wants(LOG_DEBUG))
		return;
	snprintf(text, sizeof(text), "%d", status);
	tell(r, done, text);
}
