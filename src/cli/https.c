/*
 * One HTTPS request: libevent's client over a TLS connection of its own, which is verified against a CA and the hub's
 * name. A deadline covers the whole of it.
 */
#include "cli/priv.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "net/net.h"

#define API_VERSION        "2021-04-12"
#define HEADERS_MAX        (64u << 10)
#define RETRY_AFTER_MOST_S 3600u

struct call {
	const struct target *t;
	char address[HOST_MAX]; /* as digits */
	struct answer *out;
	const struct ask *ask;
	struct event_base *base;
	SSL_CTX *ctx;
	SSL *ssl; /* a reference of our own: it is asked after the connection has gone */
	struct bufferevent *bev;
	struct evhttp_connection *conn;
	unsigned long ssl_error;
	bool answered, too_large, late, streams;
};

/* ---- TLS ---- */

static bool
is_address(const char *host)
{
	unsigned char ip[16];

	return inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1;
}

static bool
trust_file(SSL_CTX *ctx, const char *path, char why[WHY_MAX])
{
	if (access(path, F_OK) != 0)
		snprintf(why, WHY_MAX, "%.400s is missing", path);
	else if (SSL_CTX_load_verify_file(ctx, path) == 1)
		return true;
	else
		snprintf(why, WHY_MAX, "%.400s holds no CA certificate that can be read", path);
	return false;
}

static bool
trust(SSL_CTX *ctx, const struct target *t, char why[WHY_MAX])
{
	if (t->served[0] != '\0' && !trust_file(ctx, t->served, why))
		return false;
	if (t->ca[0] != '\0')
		return trust_file(ctx, t->ca, why);
	return t->served[0] != '\0' || SSL_CTX_set_default_verify_paths(ctx) == 1;
}

SSL_CTX *
https_context(const struct target *t, char why[WHY_MAX])
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	snprintf(why, WHY_MAX, "TLS cannot be set up");
	if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
	    trust(ctx, t, why))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* The hub itself has said what it serves, on this machine: neither its name nor its days say more. */
static bool
pin(struct call *c)
{
	const char *host = c->t->host;

	return X509_VERIFY_PARAM_set_flags(SSL_get0_param(c->ssl),
	           X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME) == 1 &&
	    (is_address(host) || SSL_set_tlsext_host_name(c->ssl, host) == 1);
}

static bool
tls_prepare(struct call *c, char why[WHY_MAX])
{
	const char *host = c->t->host;
	X509_VERIFY_PARAM *param;
	int ok;

	if ((c->ctx = https_context(c->t, why)) == NULL || (c->ssl = SSL_new(c->ctx)) == NULL)
		return false;
	SSL_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	if (c->t->served[0] != '\0')
		return pin(c);
	param = SSL_get0_param(c->ssl);
	if (is_address(host))
		ok = X509_VERIFY_PARAM_set1_ip_asc(param, host);
	else
		ok = X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
		    SSL_set_tlsext_host_name(c->ssl, host) == 1;
	return ok == 1;
}

/* ---- the connection ---- */

/* RFC 9110, section 10.2.3: seconds; a date counts as nothing said. */
static unsigned
retry_after(struct evhttp_request *req)
{
	const char *text = evhttp_find_header(evhttp_request_get_input_headers(req), "Retry-After");
	uint64_t s;

	return text != NULL && str_u64(str_of(text), &s) && s <= RETRY_AFTER_MOST_S ? (unsigned)s
	                                                                            : 0;
}

/* A header's value as text; n stays 0 when it is not there or empty. */
static void
keep_header(struct evhttp_request *req, const char *name, struct buf *out)
{
	const char *value = evhttp_find_header(evhttp_request_get_input_headers(req), name);

	if (value != NULL && value[0] != '\0')
		buf_put(out, value, strlen(value) + 1);
}

static bool
has_type(struct evhttp_request *req, const char *type)
{
	const char *value =
	    evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Type");

	return value != NULL && str_starts(str_of(value), str_of(type));
}

static void
on_answer(struct evhttp_request *req, void *arg)
{
	struct call *c = arg;
	struct evbuffer *in;
	size_t n;

	c->ssl_error = bufferevent_get_openssl_error(c->bev);
	event_base_loopbreak(c->base);
	if (req == NULL || evhttp_request_get_response_code(req) == 0)
		return;
	in = evhttp_request_get_input_buffer(req);
	n = evbuffer_get_length(in);
	buf_reserve(&c->out->body, n + 1);
	c->out->body.n += (size_t)evbuffer_remove(in, c->out->body.p, n);
	keep_header(req, "x-ms-continuation", &c->out->continuation);
	keep_header(req, "x-twinhub-warning", &c->out->warning);
	keep_header(req, "ETag", &c->out->etag);
	c->out->retry_after_s = retry_after(req);
	c->out->lines = has_type(req, "application/x-ndjson");
	c->out->status = evhttp_request_get_response_code(req);
	c->answered = true;
}

static bool
is_success(struct evhttp_request *req)
{
	int status = evhttp_request_get_response_code(req);

	return status >= 200 && status <= 299;
}

static int
on_header(struct evhttp_request *req, void *arg)
{
	struct call *c = arg;

	c->streams = c->streams || is_success(req);
	return 0;
}

/* A part of the body: libevent drops it behind this. */
static void
on_part(struct evhttp_request *req, void *arg)
{
	struct call *c = arg;
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	size_t n = evbuffer_get_length(in);
	struct str part = { n == 0 ? NULL : (const char *)evbuffer_pullup(in, -1), n };

	if (!is_success(req)) {
		if (c->out->body.n + n <= ANSWER_MAX)
			buf_str(&c->out->body, part);
	} else if (n != 0 && !c->ask->piece(c->ask->piece_ctx, part)) {
		event_base_loopbreak(c->base);
	}
}

static void
on_error(enum evhttp_request_error e, void *arg)
{
	struct call *c = arg;

	c->too_large = e == EVREQ_HTTP_DATA_TOO_LONG;
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;

	(void)fd, (void)what;
	if (c->streams)
		return;
	c->late = true;
	event_base_loopbreak(c->base);
}

static bool
connection_make(struct call *c)
{
	c->base = event_base_new();
	if (c->base == NULL || SSL_up_ref(c->ssl) != 1)
		return false;
	c->bev = bufferevent_openssl_socket_new(
	    c->base, -1, c->ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL) {
		SSL_free(c->ssl);
		return false;
	}
	c->conn =
	    evhttp_connection_base_bufferevent_new(c->base, NULL, c->bev, c->address, c->t->port);
	if (c->conn == NULL) {
		bufferevent_free(c->bev);
		return false;
	}
	evhttp_connection_set_max_headers_size(c->conn, HEADERS_MAX);
	evhttp_connection_set_max_body_size(
	    c->conn, c->ask->piece != NULL ? EV_SSIZE_MAX : (ev_ssize_t)ANSWER_MAX);
	evhttp_connection_set_timeout(c->conn,
	    c->ask->piece != NULL && c->t->timeout_s < STREAM_SILENCE_S
	        ? STREAM_SILENCE_S
	        : (int)c->t->timeout_s + 1); /* ours comes first */
	return true;
}

/* ---- the request ---- */

static bool
add_token(struct evkeyvalq *headers, const struct target *t)
{
	struct sas_mac *mac = sas_mac_new();
	struct buf token = { 0 };
	bool ok = sas_make(mac, &token, str_of(t->host), str_of(t->key),
	              clock_wall_us() / 1000000 + COMMAND_TOKEN_S, str_of(t->policy)) == ERR_OK;

	buf_putc(&token, '\0');
	ok = ok && evhttp_add_header(headers, "Authorization", token.p) == 0;
	buf_fini(&token);
	sas_mac_free(mac);
	return ok;
}

static bool
add_headers(struct evhttp_request *req, const struct target *t, const struct ask *ask)
{
	struct evkeyvalq *h = evhttp_request_get_output_headers(req);
	char host[HOST_MAX + 16], number[24];
	bool literal6 = strchr(t->host, ':') != NULL;

	snprintf(host, sizeof(host), "%s%s%s:%u", literal6 ? "[" : "", t->host, literal6 ? "]" : "",
	    t->port);
	evhttp_add_header(h, "Host", host);
	evhttp_add_header(h, "Connection", "close");
	evhttp_add_header(h, "User-Agent", "twinhub/" TWINHUB_VERSION);
	if (ask->body.n > 0)
		evhttp_add_header(h, "Content-Type",
		    ask->type != NULL ? ask->type : "application/json; charset=utf-8");
	for (const char *const *more = ask->headers; more != NULL && *more != NULL; more += 2)
		if (evhttp_add_header(h, more[0], more[1]) != 0)
			return false;
	if (ask->method != GET) {
		snprintf(number, sizeof(number), "%zu", ask->body.n);
		evhttp_add_header(h, "Content-Length", number);
	}
	if (ask->page_size != 0) {
		snprintf(number, sizeof(number), "%llu", (unsigned long long)ask->page_size);
		evhttp_add_header(h, "x-ms-max-item-count", number);
	}
	/* a line break in a value is refused there */
	if (ask->if_match != NULL && evhttp_add_header(h, "If-Match", ask->if_match) != 0)
		return false;
	if (ask->continuation != NULL && ask->continuation[0] != '\0' &&
	    evhttp_add_header(h, "x-ms-continuation", ask->continuation) != 0)
		return false;
	return add_token(h, t);
}

static bool
request_send(struct call *c, const struct ask *ask)
{
	static const enum evhttp_cmd_type methods[] = { [GET] = EVHTTP_REQ_GET,
		[PUT] = EVHTTP_REQ_PUT,
		[POST] = EVHTTP_REQ_POST,
		[PATCH] = EVHTTP_REQ_PATCH,
		[DELETE] = EVHTTP_REQ_DELETE };
	struct evhttp_request *req = evhttp_request_new(on_answer, c);
	struct buf uri = { 0 };
	int rc;

	if (req == NULL)
		return false;
	evhttp_request_set_error_cb(req, on_error);
	if (ask->piece != NULL) {
		evhttp_request_set_header_cb(req, on_header);
		evhttp_request_set_chunked_cb(req, on_part);
	}
	if (!add_headers(req, c->t, ask)) {
		evhttp_request_free(req);
		return false;
	}
	if (ask->body.n > 0)
		evbuffer_add(evhttp_request_get_output_buffer(req), ask->body.p, ask->body.n);
	buf_cstr(&uri, ask->path);
	buf_putc(&uri, strchr(ask->path, '?') == NULL ? '?' : '&');
	buf_cstr(&uri, "api-version=" API_VERSION);
	buf_putc(&uri, '\0');
	rc = evhttp_make_request(c->conn, req, methods[ask->method], uri.p); /* owns req */
	buf_fini(&uri);
	return rc == 0;
}

/* ---- what went wrong ---- */

static void
explain(const struct call *c, char why[WHY_MAX])
{
	const struct target *t = c->t;
	long verdict = SSL_get_verify_result(c->ssl);
	bool other_name =
	    verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
	const char *reason = ERR_reason_error_string(c->ssl_error);

	if (reason == NULL)
		reason = "the connection ended";
	if (verdict != X509_V_OK)
		snprintf(why, WHY_MAX, "the certificate of %s:%u is not to be trusted: %s%s",
		    t->host, t->port, X509_verify_cert_error_string(verdict),
		    other_name ? "" : " (--ca FILE names the CA to trust)");
	else if (c->late)
		snprintf(why, WHY_MAX, "%s:%u has not answered within %llu s", t->address, t->port,
		    (unsigned long long)t->timeout_s);
	else if (c->too_large)
		snprintf(why, WHY_MAX, "the answer of %s:%u is larger than %zu MB", t->address,
		    t->port, ANSWER_MAX >> 20);
	else
		snprintf(why, WHY_MAX, "no hub answers at %s:%u: %s", t->address, t->port, reason);
}

/* ---- all of it ---- */

static void
call_fini(struct call *c)
{
	if (c->conn != NULL)
		evhttp_connection_free(c->conn);
	if (c->base != NULL) {
		event_base_loop(c->base, EVLOOP_NONBLOCK); /* what was freed ends there */
		event_base_free(c->base);
	}
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	ERR_clear_error();
}

enum err
https_call(const struct target *t, const struct ask *ask, struct answer *out, char why[WHY_MAX])
{
	struct call c = { .t = t, .out = out, .ask = ask };
	int64_t until_us = clock_mono_us() + (int64_t)t->timeout_s * 1000000, left_us;
	struct timeval deadline;

	if (tls_prepare(&c, why) && reach(t, until_us, c.address, why) == ERR_OK) {
		snprintf(why, WHY_MAX, "the request cannot be made");
		left_us = until_us > clock_mono_us() ? until_us - clock_mono_us() : 1;
		deadline = (struct timeval){ left_us / 1000000, left_us % 1000000 };
		if (connection_make(&c) && request_send(&c, ask) &&
		    event_base_once(c.base, -1, EV_TIMEOUT, on_deadline, &c, &deadline) == 0) {
			event_base_dispatch(c.base);
			explain(&c, why);
		}
	}
	call_fini(&c);
	return c.answered ? ERR_OK : ERR_IO;
}
