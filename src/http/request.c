/* Requests: taken apart, authenticated, routed; slots for the answers to find them. */
#include "http/priv.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>

#include "ws/ws.h"

#define WEBSOCKET_PATH "/$iothub/websocket"

/* ---- slots ---- */

static void
slot_take(struct request *r)
{
	struct http_loop *hl = r->hl;

	if (hl->free_slot == TABLE_NONE) {
		r->slot = hl->nslot++;
		hl->slots = xrealloc(hl->slots, hl->nslot * sizeof(*hl->slots));
		hl->slots[r->slot] = (struct http_slot){ .generation = 1 };
	} else {
		r->slot = hl->free_slot;
		hl->free_slot = hl->slots[r->slot].next_free;
	}
	hl->slots[r->slot].request = r;
	hl->nbusy++;
}

void
request_end(struct request *r)
{
	struct http_slot *s = &r->hl->slots[r->slot];

	s->request = NULL;
	s->generation++;
	s->next_free = r->hl->free_slot;
	r->hl->free_slot = r->slot;
	r->hl->nbusy--;
	work_free(r->then);
	ticket_free(r->ticket);
	loop_timer_clear(r->hl->loop, &r->timer);
	arena_fini(&r->arena);
	free(r);
}

struct reply_to
request_address(const struct request *r)
{
	return (struct reply_to){ .loop = (uint16_t)loop_index(r->hl->loop),
		.slot = r->slot,
		.generation = r->hl->slots[r->slot].generation };
}

struct request *
request_of(struct http_loop *hl, struct reply_to to)
{
	if (to.slot >= hl->nslot || hl->slots[to.slot].generation != to.generation)
		return NULL;
	return hl->slots[to.slot].request;
}

/* ---- parts of a request ---- */

struct str
request_header(const struct request *r, const char *name)
{
	return str_of(evhttp_find_header(evhttp_request_get_input_headers(r->ev), name));
}

struct str
request_decoded(struct request *r, struct str raw)
{
	char *p = arena_alloc(&r->arena, raw.n + 1);

	return (struct str){ p, percent_decode(raw, p) };
}

struct str
request_param(struct request *r, const char *name)
{
	struct str rest = r->query, pair, key, value;

	while (rest.n > 0) {
		str_cut(rest, '&', &pair, &rest);
		str_cut(pair, '=', &key, &value);
		if (str_ieq(key, str_of(name)))
			return request_decoded(r, value);
	}
	return STR_NONE;
}

enum err
request_flag(struct request *r, const char *name, bool *out, struct fault *f)
{
	struct str v = request_param(r, name);

	*out = false;
	if (v.p == NULL || text_to_bool(v, out))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid, "%s is neither true nor false", name);
}

enum err
request_number(
    struct request *r, const char *name, int64_t least, int64_t most, int64_t *out, struct fault *f)
{
	struct str v = request_param(r, name);
	int64_t n;

	if (v.n == 0) /* name= as some clients write what they do not set */
		return ERR_OK;
	if (!text_to_int(v, least, most, &n))
		return fault_set(f, F_ArgumentInvalid, "%s is not a number from %lld to %lld", name,
		    (long long)least, (long long)most);
	*out = n;
	return ERR_OK;
}

/* What is written otherwise than its shape says is replaced by what it should be. */
static bool
take_shape(struct http_loop *hl, const struct shape *shape, struct fault *f)
{
	struct doc body;
	struct buf as_sent = hl->doc;

	hl->shaped.n = 0;
	if (doc_shape(doc_of(buf_view(&hl->doc)), shape, &hl->shaped, &body, f) != ERR_OK)
		return false;
	if (hl->shaped.n > 0) {
		hl->doc = hl->shaped;
		hl->shaped = as_sent;
	}
	return true;
}

bool
request_parse(
    struct request *r, const struct shape *shape, struct doc_parsed *info, struct fault *f)
{
	r->hl->doc.n = 0;
	if (r->body.n == 0) {
		fault_set(f, F_ArgumentNull, "BadRequest: the request has no body");
		return false;
	}
	return doc_parse(r->hl->parser, r->body, &r->hl->doc, info, f) == ERR_OK &&
	    (shape == NULL || take_shape(r->hl, shape, f));
}

bool
request_doc(struct request *r, const struct shape *shape, struct doc_parsed *info)
{
	struct fault f = { 0 };

	if (request_parse(r, shape, info, &f))
		return true;
	reply_fault(r, &f);
	return false;
}

struct work *
request_work(struct request *r, enum op_kind kind, size_t room, void (*done)(struct work *w))
{
	struct str device = r->segment[1], module = path_module(r);
	struct work *w = work_new(r->hl->loop, room + device.n + module.n + r->asker.n, done);

	w->op.kind = kind;
	w->op.actor = r->actor;
	w->op.actor_name = work_str(w, r->asker);
	w->op.device = work_str(w, device);
	w->op.module = work_str(w, module);
	w->op.reply_to = request_address(r);
	w->owner = r->hl;
	return w;
}

size_t
request_if_match_room(const struct request *r)
{
	return request_header(r, "If-Match").n;
}

void
work_if_match(struct work *w, struct str tag)
{
	tag = tag_plain(tag);
	w->op.if_match = str_eq(tag, STR("*")) ? IF_ANY : IF_TAG;
	w->op.if_tag = work_str(w, tag);
}

void
request_if_match(struct request *r, struct work *w)
{
	struct str tag = request_header(r, "If-Match");

	if (tag.p != NULL)
		work_if_match(w, tag);
}

/* Whose share of the workers a request takes: a device's own, or a policy's from one address. What asks who it is, in the
 * name of a device, takes nothing from the device. */
static uint64_t
share_of(const struct request *r)
{
	if (r->actor == ACTOR_DEVICE)
		return asker_key(r->asker, STR_NONE);
	return asker_key(r->asker.n > 0 ? r->asker : r->segment[1], net_addr_party(&r->from));
}

void
request_submit(struct request *r, struct work *w)
{
	w->asker = share_of(r);
	fleet_submit(r->hl->o.fleet, w);
}

/* ---- what is asked ---- */

static enum evhttp_cmd_type
method_of(const struct request *r)
{
	static const struct {
		const char *name;
		enum evhttp_cmd_type method;
	} names[] = { { "GET", EVHTTP_REQ_GET }, { "PUT", EVHTTP_REQ_PUT },
		{ "POST", EVHTTP_REQ_POST }, { "PATCH", EVHTTP_REQ_PATCH },
		{ "DELETE", EVHTTP_REQ_DELETE } };
	struct str header = request_header(r, "X-HTTP-Method-Override"); /* Java's PATCH: R-16 */
	enum evhttp_cmd_type method = evhttp_request_get_command(r->ev);

	for (size_t i = 0; method == EVHTTP_REQ_POST && i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(header, str_of(names[i].name)))
			return names[i].method;
	return method;
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

/* The checks in their order (T-116): authentication (identify.c), route, permission, api-version, ids, body. */
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
	} else if (r->body.n > (r->route->bulk ? HTTP_BULK_MAX : HTTP_BODY_MAX)) {
		reply_error(r, F_GenericRequestEntityTooLarge,
		    "the body has %zu bytes, the limit is %u", r->body.n,
		    r->route->bulk ? HTTP_BULK_MAX : HTTP_BODY_MAX);
	} else if (request_admitted(r)) {
		r->route->run(r);
	}
}

/* The request's target, without scheme and host if a proxy has put them before it (RFC 9112, 3.2.2). Of another host than Host
 * says it stays as it is, and leads nowhere: nothing is fetched from there. */
static struct str
target_of(const struct request *r)
{
	struct str uri = https_target(r->ev), scheme, rest;
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

static struct request *
request_new(struct http_loop *hl, struct evhttp_request *ev)
{
	struct request *r = xcalloc(1, sizeof(*r));
	struct evbuffer *in = evhttp_request_get_input_buffer(ev);
	size_t n = evbuffer_get_length(in);

	r->hl = hl;
	r->ev = ev;
	r->method = method_of(r);
	/* copies: the connection may go while the request is under way */
	(void)https_peer(
	    evhttp_connection_get_bufferevent(evhttp_request_get_connection(ev)), &r->from);
	str_cut(arena_str(&r->arena, target_of(r)), '?', &r->sent_path, &r->query);
	r->path = path_plain(&r->arena, r->sent_path);
	r->body = (struct str){ n == 0 ? NULL : (const char *)evbuffer_pullup(in, -1), n };
	slot_take(r);
	return r;
}

static bool
path_is(const struct request *r, const char *path)
{
	char decoded_path[64];

	return r->path.n < sizeof(decoded_path) &&
	    str_ieq(
	        (struct str){ decoded_path, percent_decode(r->path, decoded_path) }, str_of(path));
}

/* The connection becomes a stream of MQTT; the request is evhttp's no more. */
static void
upgrade(struct request *r)
{
	struct http_loop *hl = r->hl;
	struct ws_conf conf = { .subprotocol = "mqtt" };
	struct fault f = { 0 };

	conf.due_us =
	    https_began_us(evhttp_connection_get_bufferevent(evhttp_request_get_connection(r->ev)),
	        loop_now_us(hl->loop)) +
	    hl->o.connect_timeout_us;
	if (ws_take(hl->loop, r->ev, &conf, &mqtt_user, hl->o.mqtt, &f) == ERR_OK)
		request_end(r);
	else
		reply_fault(r, &f);
}

/* What came is no request as RFC 9112 has them; nobody knows where the next one would begin. */
static void
refuse_bytes(struct request *r, const struct https_fault *fault)
{
	add_header(r, "Connection", "close");
	r->refused = REASON_REQUEST_FRAMING;
	reply_error(r, fault->status == 413 ? F_GenericRequestEntityTooLarge : F_ArgumentInvalid,
	    "%s", fault->why);
}

static void
on_request(struct evhttp_request *ev, void *ctx)
{
	struct http_loop *hl = ctx;
	struct request *r = request_new(hl, ev);
	const struct https_fault *fault = https_request_begins(ev);

	if (fault != NULL)
		refuse_bytes(r, fault);
	else if (path_is(r, "/healthz") || path_is(r, "/readyz"))
		on_health(r, path_is(r, "/readyz"));
	else if (hl->stopping)
		reply_error(r, F_ServiceUnavailable, "the hub is stopping");
	else if (path_is(r, WEBSOCKET_PATH) && ws_wanted(ev))
		upgrade(r);
	else if ((r->found = path_find(r)) == PATH_UNKNOWN && ws_wanted(ev))
		/* Its token would come with the CONNECT, for which there is no stream. */
		reply_error(r, F_GenericNotFound,
		    "no WebSocket is served at this path: MQTT's is " WEBSOCKET_PATH);
	else
		request_identify(r);
}

/* ---- the loop's server ---- */

enum err
http_loop_new(struct loop *l, const struct http_options *o, struct http_loop **out)
{
	struct http_loop *hl = xcalloc(1, sizeof(*hl));

	hl->loop = l;
	hl->o = *o;
	if (hl->o.request_timeout_us == 0)
		hl->o.request_timeout_us = HTTP_REQUEST_US;
	if (hl->o.connect_timeout_us == 0)
		hl->o.connect_timeout_us = HTTP_REQUEST_US;
	hl->free_slot = TABLE_NONE;
	hl->parser = doc_parser_new(HTTP_BULK_MAX);
	hl->mac = sas_mac_new();
	hl->ev = evhttp_new(loop_base(l));
	*out = hl;
	if (hl->ev == NULL)
		return ERR_IO;
	evhttp_set_allowed_methods(
	    hl->ev, 0xffff); /* else the library answers in HTML; we answer 405 */
	/* What it sees has been measured before: https_conf. A Content-Length may be ours. */
	evhttp_set_max_headers_size(hl->ev, HTTP_HEADERS_MAX + 64);
	evhttp_set_max_body_size(hl->ev, HTTP_READ_MAX);
	evhttp_set_timeout(
	    hl->ev, (int)(HTTP_IDLE_US / 1000000) + 10); /* our own deadlines are sharper */
	evhttp_set_gencb(hl->ev, on_request, hl);
	return ERR_OK;
}

enum err
http_loop_listen(struct http_loop *hl, int fd)
{
	struct https_conf conf = {
		.tls = hl->o.tls,
		.gate = hl->o.gate,
		.proxies = hl->o.proxies,
		.deadline_us = hl->o.request_timeout_us,
		.max_head_bytes = HTTP_HEADERS_MAX,
		.max_body_bytes = HTTP_READ_MAX,
	};

	hl->ports = xrealloc(hl->ports, (hl->nport + 1) * sizeof(*hl->ports));
	if (https_port_new(hl->loop, hl->ev, fd, &conf, &hl->ports[hl->nport]) != ERR_OK)
		return ERR_IO;
	hl->nport++;
	return ERR_OK;
}

void
http_loop_stop(struct http_loop *hl)
{
	hl->stopping = true;
	for (unsigned i = 0; i < hl->nport; i++)
		https_port_stop(hl->ports[i]);
	methods_stop(hl);
}

uint32_t
http_loop_busy(const struct http_loop *hl)
{
	return hl->nbusy;
}

void
http_loop_free(struct http_loop *hl)
{
	if (hl == NULL)
		return;
	assert(hl->nbusy == 0);
	if (hl->ev != NULL)
		evhttp_free(hl->ev);
	event_base_loop(
	    loop_base(hl->loop), EVLOOP_NONBLOCK); /* libevent frees connections in the next turn */
	for (unsigned i = 0; i < hl->nport; i++)
		https_port_free(hl->ports[i]);
	free(hl->ports);
	free(hl->slots);
	doc_parser_free(hl->parser);
	sas_mac_free(hl->mac);
	buf_fini(&hl->doc);
	buf_fini(&hl->shaped);
	buf_fini(&hl->json);
	free(hl);
}
