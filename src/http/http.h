/*
 * http: the service API over HTTPS (docs/spec/service-rest.md), on evhttp. A request becomes an operation or a tour of the
 * fleet; its answer becomes the reply. The WebSocket path gives its connection to mqtt/.
 *
 * One http_loop for each event loop; it belongs to that loop's thread.
 */
#ifndef TWINHUB_HTTP_H
#define TWINHUB_HTTP_H

#include "deliver/deliver.h"
#include "metric/chart.h"
#include "mqtt/mqtt.h"
#include "settings/settings.h"

/* What the program around the API does on its request: policies and backups are files, no shard's business. Called on a
 * loop's thread; short. Texts of faults are for the client. */
struct http_admin {
	void *ctx;
	/* GET /admin/policies, GET /admin/policies/{name}: append the JSON of one policy, or of all when name is empty.
	 * ERR_NOT_FOUND. */
	enum err (*policy_show)(void *ctx, struct str name, struct buf *json);
	/* POST /admin/policies/{name}/rotate?key=primary|secondary: a new key, on disk before it returns; the policy as
	 * above. ERR_NOT_FOUND, ERR_IO. */
	enum err (*policy_rotate)(
	    void *ctx, struct str name, bool primary, struct buf *json, struct fault *f);
	/* POST /admin/backup?to=DIR: an online backup into a new directory. */
	enum err (*backup)(void *ctx, struct str to, struct buf *json, struct fault *f);
	/* GET /readyz: NULL when the hub takes requests and writes, else why not, one line. */
	const char *(*not_ready)(void *ctx, char why[NET_WHY_MAX]);
	/* PUT /admin/policies/{name}?rights=A,B: one more, with keys of its own. DELETE /admin/policies/{name}. On disk before they
	 * return; else f says why. ERR_NOT_FOUND: that alone is not said. */
	enum err (*policy_create)(
	    void *ctx, struct str name, unsigned rights, struct buf *json, struct fault *f);
	enum err (*policy_delete)(void *ctx, struct str name, struct fault *f);
	/* GET /settings: those in force; the caller's. */
	struct settings *(*settings)(void *ctx);
	/* GET /statistics/metrics: the last day, borrowed for good, and this moment. On a thread of its own. */
	struct chart *chart;
	void (*chart_now)(void *ctx, struct chart_point *out);
	/* GET /admin/backups: how they went. */
	void (*backups)(void *ctx, struct buf *json);
	/* GET /readyz: since when no scheduled backup has gone well; 0: all is well. */
	int64_t (*backups_failing)(void *ctx);
	/* May who asks be judged by what is in force here? Of several nodes one whose lease is over may not have heard of a change that was
	 * answered. NULL: always. Any thread. */
	bool (*may_judge)(void *ctx);
	/* POST /admin/clock: the hub's clock is ahead by so much more; false: that is too much. NULL: it is not to be moved. Not on a
	 * loop. */
	bool (*clock_advance)(void *ctx, int64_t by_us);
};

/* The table of routes: Markdown, and OpenAPI 3.0 in JSON. */
void http_routes_table(struct buf *out);
void http_routes_openapi(struct buf *out);

struct http_options {
	struct fleet *fleet;
	struct store *store; /* exports read it */
	struct file_jobs *file_jobs;
	struct feed *feed; /* reads events */
	struct catalogue_box *catalogue;
	struct deliveries *deliveries;
	struct tls *tls;
	struct admission *admission;
	const struct nets *proxies;      /* peers there name their clients; NULL: nobody */
	const struct nets *address_free; /* no limits by address for these; NULL: for all */
	struct limiter *limiter;         /* NULL: no rate limits */
	struct mishaps *mishaps;         /* NULL: nothing goes wrong by order */
	struct offenders *offenders;     /* NULL: nobody is held off */
	const char *throttle;            /* the edition that they are of, "S1"; NULL: none */
	uint64_t units;
	struct stories *stories;
	struct mqtt_loop *mqtt; /* of this loop: sessions of WebSocket clients */
	struct http_admin admin;
	int64_t slow_query_us;      /* from here on a query has a line in the log; 0: never */
	bool strict_queries;        /* no extensions of the query language: Q-88 */
	int64_t connect_timeout_us; /* from accept to a WebSocket's CONNECT. 0: HTTP_REQUEST_US */
	/* absolute: handshake and first request, and each later request. 0: HTTP_REQUEST_US */
	int64_t request_timeout_us;
};

#define HTTP_REQUEST_US (INT64_C(30) * 1000000)
#define HTTP_IDLE_US    (INT64_C(120) * 1000000) /* between requests of one connection */
/* our own 413 above it; 8 MB for a bulk call (service-rest.md 4.2) */
#define HTTP_BODY_MAX    (1u << 20)
#define HTTP_BULK_MAX    (8u << 20)
#define HTTP_READ_MAX    (9u << 20) /* a longer body is not read: 413 and the end of the connection */
#define EVENTS_BATCH_MAX 500u       /* messages of one POST; MQTT_MESSAGE_MAX bytes together */
#define HTTP_HEADERS_MAX (16u << 10)

struct http_loop;

enum err http_loop_new(struct loop *l, const struct http_options *o, struct http_loop **out);
/* Accept on a bound descriptor (net_bind); fd is taken over. ERR_IO. */
enum err http_loop_listen(struct http_loop *hl, int fd);
/* What the fleet sends to a request of this loop that waits: a method's outcome; borrowed. */
void http_note(struct http_loop *hl, const struct note *n);
/* The link to whoever serves these shards, a bit each, has gone: calls of methods there have no answer any more. Any thread; the loop runs. */
void http_loop_calls_lost(struct http_loop *hl, uint64_t shards);
/* No new connections and requests: what comes is answered 503, and so is what waits for a device. */
void http_loop_stop(struct http_loop *hl);
/* Requests under way. */
uint32_t http_loop_busy(const struct http_loop *hl);
/* None is under way; streams of WebSockets have ended. */
void http_loop_free(struct http_loop *hl);

#endif
