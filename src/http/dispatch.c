/*
 * What is asked, and may it be? The checks stand here in their order (T-116), each with its answer: framing, who asks
 * (identify.c), path, method, right, api-version, ids, size, rate; then the route's handler runs. All of it goes by what is in
 * struct ask: no socket is looked at.
 */
#include "http/priv.h"
#include "metric/metric.h"

#define WEBSOCKET_PATH "/$iothub/websocket"

/* Methods that routes have. */
static const char *const method_names[] = { [HTTP_GET] = "GET",
	[HTTP_PUT] = "PUT",
	[HTTP_POST] = "POST",
	[HTTP_PATCH] = "PATCH",
	[HTTP_DELETE] = "DELETE" };
#define METHOD_NAMES (sizeof(method_names) / sizeof(method_names[0]))

const char *
http_method_name(enum http_method m)
{
	return m < METHOD_NAMES ? method_names[m] : m == HTTP_HEAD ? "HEAD" : "other";
}

enum http_method
http_method_find(struct str name)
{
	for (size_t i = 0; i < METHOD_NAMES; i++)
		if (str_ieq(name, str_of(method_names[i])))
			return (enum http_method)i;
	return HTTP_OTHER;
}

static enum http_method
method_of(const struct request *r)
{
	struct str header = request_header(r, "X-HTTP-Method-Override"); /* Java's PATCH: R-16 */
	enum http_method wanted = http_method_find(header);

	return r->ask.method == HTTP_POST && wanted != HTTP_OTHER ? wanted : r->ask.method;
}

/* The target, without scheme and host if a proxy has put them before it (RFC 9112, 3.2.2). Of another host than Host says it
 * stays as it is, and leads nowhere: nothing is fetched from there. */
static struct str
target_of(const struct request *r)
{
	struct str uri = r->ask.target, scheme, rest;
	size_t n = 0;

	if (str_starts(uri, STR("/")) || !str_cut(uri, ':', &scheme, &rest) ||
	    !(str_ieq(scheme, STR("https")) || str_ieq(scheme, STR("http"))) ||
	    !str_starts(rest, STR("//")))
		return uri;
	rest = str_sub(rest, 2);
	while (n < rest.n && !char_among(rest.p[n], "/?"))
		n++;
	return str_ieq((struct str){ rest.p, n }, request_header(r, "Host")) ? str_sub(rest, n)
	                                                                     : uri;
}

/* YYYY-MM-DD, perhaps with -preview; any date will do (service-rest.md 1.3). */
static bool
version_known(struct str v)
{
	if (str_ends(v, STR("-preview")))
		v.n -= 8;
	if (v.n != 10 || v.p[4] != '-' || v.p[7] != '-')
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (i != 4 && i != 7 && (v.p[i] < '0' || v.p[i] > '9'))
			return false;
	return true;
}

void
request_dispatch(struct request *r)
{
	if (r->found == PATH_UNKNOWN) {
		reply_error(
		    r, F_GenericNotFound, "there is nothing at this path: it is not served here");
	} else if (r->found == PATH_OTHER_METHOD) {
		reply_error(r, F_GenericMethodNotAllowed, "this path does not have this method");
	} else if (!need_met(r->route->need, r->rights)) {
		r->refused = REASON_POLICY_RIGHTS;
		reply_error(r, F_IotHubUnauthorizedAccess, "Unauthorized");
	} else if (!version_known(request_param(r, "api-version"))) {
		reply_error(r, F_InvalidProtocolVersion, "BadRequest");
	} else if (!path_ids_good(r)) {
		reply_error(r, F_ArgumentInvalid,
		    "the id in the path is not 1 to %d of the characters that ids may have",
		    ID_MAX);
	} else if (r->ask.body.n > (r->route->bulk ? HTTP_BULK_MAX : HTTP_BODY_MAX)) {
		reply_error(r, F_GenericRequestEntityTooLarge,
		    "the body has %zu bytes, the limit is %u", r->ask.body.n,
		    r->route->bulk ? HTTP_BULK_MAX : HTTP_BODY_MAX);
	} else if (request_is_lost(r)) {
		r->refused = REASON_ORDERED;
		reply_error(r, F_ServiceUnavailable, "by order of a test");
	} else if (request_admitted(r)) {
		r->route->run(r);
	}
}

static bool
path_is(const struct request *r, const char *path)
{
	char decoded_path[64];

	return r->path.n < sizeof(decoded_path) &&
	    str_ieq(
	        (struct str){ decoded_path, percent_decode(r->path, decoded_path) }, str_of(path));
}

/* What came is no request as RFC 9112 has them; nobody knows where the next one would begin. */
static void
refuse_bytes(struct request *r)
{
	add_header(r, "Connection", "close");
	r->refused = REASON_REQUEST_FRAMING;
	reply_error(r,
	    r->ask.fault->status == 413 ? F_GenericRequestEntityTooLarge : F_ArgumentInvalid, "%s",
	    r->ask.fault->why);
}

static void
upgrade(struct request *r)
{
	metric_add(METRIC_REQUESTS, METRIC_1XX, 1);
	r->by->upgrade(r);
}

void
request_begin(struct request *r)
{
	r->method = method_of(r);
	/* a copy: the connection may go while the request is under way */
	str_cut(arena_str(&r->arena, target_of(r)), '?', &r->sent_path, &r->query);
	r->path = path_plain(&r->arena, r->sent_path);
	if (r->ask.fault != NULL)
		refuse_bytes(r);
	else if (path_is(r, "/healthz") || path_is(r, "/livez") || path_is(r, "/readyz"))
		on_health(r, path_is(r, "/readyz"));
	else if (r->hl->stopping)
		reply_error(r, F_ServiceUnavailable, "the hub is stopping");
	else if (path_is(r, WEBSOCKET_PATH) && r->ask.websocket)
		upgrade(r);
	else if ((r->found = path_find(r)) == PATH_UNKNOWN && r->ask.websocket)
		/* Its token would come with the CONNECT, for which there is no stream. */
		reply_error(r, F_GenericNotFound,
		    "no WebSocket is served at this path: MQTT's is " WEBSOCKET_PATH);
	else
		request_identify(r);
}
