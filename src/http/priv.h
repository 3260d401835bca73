/* http: what its files share. */
#ifndef TWINHUB_HTTP_PRIV_H
#define TWINHUB_HTTP_PRIV_H

#include "base/slots.h"
#include "http/http.h"
#include "log/log.h"
#include "os/clock.h"
#include "os/thread.h"

#include "doc/out.h"
#include "hub/bodies.h"

#define SEGMENTS_MAX 8
#define SEGMENT_MAX  1024  /* bytes of one decoded path segment */
#define WARNING_MAX  1024u /* bytes of x-twinhub-warning */

/* How far a path leads: nowhere, to a path that lacks the method, to a route. */
enum path_found { PATH_UNKNOWN, PATH_OTHER_METHOD, PATH_ROUTE };

/* ---- the face towards the transport: plain data in, plain data out ---- */

/* Those that routes have, and HEAD, which is answered as what it is not. */
enum http_method { HTTP_GET, HTTP_PUT, HTTP_POST, HTTP_PATCH, HTTP_DELETE, HTTP_HEAD, HTTP_OTHER };

struct header {
	struct str name, value; /* names are compared without case */
};

/* What has come. All of it stays the transport's, and valid until the answer is sent, whatever its client does meanwhile. */
struct ask {
	enum http_method method; /* as sent */
	struct str target; /* as sent: path and query, perhaps with scheme and host before them */
	const struct header *headers;
	size_t nheader;
	struct str body;                 /* empty: none */
	struct net_addr from;            /* who asks; a balancer has named it, perhaps */
	bool named;                      /* from is known */
	bool websocket;                  /* it has Upgrade: websocket */
	const struct https_fault *fault; /* NULL; or it is no request, and why */
};

#define ANSWER_HEADERS_MAX                                                                         \
	(32 + MESSAGE_PROPERTIES_MAX) /* of one answer; all are ours, or a message's properties */

/* What goes out, with the body that the transport lent (struct transport). */
struct answer {
	int status;
	const char *reason; /* the words behind the status */
	struct {
		const char *name, *value;
	} headers[ANSWER_HEADERS_MAX];
	size_t nheader;
};

struct evbuffer;
struct request;

/* What a request has come by. link: the transport's own name for it. */
struct transport {
	/* What its client has shown of itself. */
	void (*shown)(void *link, struct tls_peer *out);
	/* Where the body of the answer is gathered: the transport's. */
	struct evbuffer *(*body)(void *link);
	/* The answer leaves; link is not to be used again. What it holds of what is shared (NULL: nothing) is told of, and given
	 * back by hold->over, also if nobody is there to read it. */
	void (*send)(void *link, const struct answer *a, const struct https_answer *hold);
	/* The connection becomes a stream of MQTT, or the request is answered why not. */
	void (*upgrade)(struct request *r);
	/*
	 * An answer whose end is not known. Its head leaves; gone() once, if the client leaves before stream_over, and then stream_over is all
	 * that may still be called for the link. stream_put: more of it, copied; left(), perhaps more than once, when all of it has gone to the
	 * system. stream_over: that was its end; drop: the connection ends at once, as its client does not read. left NULL: nobody waits.
	 */
	void (*stream)(void *link, const struct answer *a, void (*gone)(void *ctx), void *ctx);
	void (*stream_put)(void *link, struct str bytes, void (*left)(void *ctx), void *ctx);
	void (*stream_over)(void *link, bool drop);
};

/* A request under way. */
struct request {
	struct http_loop *hl;
	const struct transport *by;
	void *link;
	struct ask ask;
	struct answer answer;
	uint32_t slot;
	enum http_method method;     /* after X-HTTP-Method-Override */
	struct str sent_path, query; /* raw, in the arena */
	struct str path;             /* raw, its separators plain, in the arena: path_plain */
	unsigned nsegment;
	struct str segment[SEGMENTS_MAX]; /* decoded, in the request's arena */
	struct arena arena;
	enum path_found found; /* where the path leads */
	enum actor_kind actor;
	struct str asker; /* who asks, in the arena: a policy, or a device */
	struct str claimed_policy,
	    claimed_device; /* who says that it asks, for the log; likewise */
	unsigned rights;
	struct opened opened; /* a policy's, with what it has shown */
	int64_t end_us;       /* when that ends; 0: never */
	enum reason refused;  /* why, when no fault says it: the client learns nothing more */
	struct str told;      /* what the log says beside it; empty: nothing */
	const struct route *route;
	int64_t began_us;   /* on the loop's clock */
	struct work *then;  /* to be submitted when the work under way has succeeded */
	char item_type[16]; /* of a query under way */
	uint64_t query_hash;
	uint32_t top;       /* of paths: so many are shown */
	bool explain;       /* of a query under way: what it costs is the answer */
	struct fault fault; /* of the body, to be told later */
	struct str warning; /* x-twinhub-warning of an answer of success, in the arena */
	/* of a method's call */
	struct loop_timer timer;
	uint16_t connect_s, response_s; /* response_s 0: it is no call */
	bool called;                    /* the device has been called */
	bool command;                   /* of a digital twin: answered as one */
	uint64_t shards;                /* that may have feedback, and have not been asked */
	struct gather *gather;          /* of a bulk call, in the arena */
	struct ticket *ticket;          /* NULL: it holds nothing of what is shared */
	bool toured;                    /* it has been answered by a tour, whose ticket it is */
};

typedef void handler(struct request *r);

/* What who asks must hold. */
struct need {
	bool all; /* every one of the rights; else any of them is enough */
	unsigned rights;
};
bool need_met(struct need need, unsigned have);

struct route {
	enum http_method method;
	const char *path; /* segments: literal, or {id} */
	struct need need; /* the only place where a right is asked for: no handler does */
	handler *run;
	bool bulk; /* bodies up to HTTP_BULK_MAX */
};

struct http_loop {
	struct loop *loop;
	struct http_options o;
	struct evhttp *ev;
	struct https_port **ports;
	unsigned nport;
	struct doc_parser *parser;
	struct sas_mac *mac;
	struct slots requests; /* under way */
	uint32_t nbusy;
	uint32_t nhistory;             /* questions about the past */
	uint32_t nlast_end;            /* about ends that only the log knows */
	struct answer_stream *streams; /* of those, answers without an end */
	struct loop_timer streams_look;
	bool stopping;
	atomic_bool stops;            /* the same, for threads of its requests */
	uint32_t feedback_turn;       /* which shard is asked first */
	struct buf doc, shaped, json; /* working memory */
};

/* faults.c: what a status, and a fault, is to who asked and to the log */
struct outcome {
	int status;
	const char *words;  /* of the status line */
	enum reason reason; /* of a refusal, if none is known: for the log. REASON_NONE: no line */
	const char *retry_after; /* seconds; NULL: the client is not told to come again */
};
/* Of one that the table does not have: that of 500. */
const struct outcome *outcome_of(int status);
/* The body (service-rest.md 4.1): in format B what went wrong with a device, all else in format A. id: a tracking id. */
void fault_write(struct buf *json, const struct fault *f, const char *id, int64_t now_us);

/* audit.c: lines of the log about an answer that is about to leave: an administrative act that was done; with debug, each request */
void request_tell(const struct request *r, int status);

/* reply.c: the body, in parts, then the reply */
void body_str(struct request *r, struct str s);
/* Without a copy: they are the answer's, and go as it goes. */
void body_rope(struct request *r, struct rope *rope);
void body_buf(struct request *r, struct buf *b);
/* With what is in the body, and this Content-Type; NULL: JSON's. */
void reply_body(struct request *r, int status, const char *type);
/* Each of these has one body, and ends the request, too. */
void reply_json(struct request *r, int status, struct str body);
void reply_etag(struct request *r, int status, struct str body, const char *etag);
void reply_empty(struct request *r, int status);
/* An answer without an end begins: see struct transport. The request stays until who streams ends it. */
void reply_stream(struct request *r, const char *type, void (*gone)(void *ctx), void *ctx);
void reply_fault(struct request *r, const struct fault *f);
void reply_error(struct request *r, enum fault_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The value is copied. */
void add_header(struct request *r, const char *name, const char *value);

/* answer.c */
/* What it is to hold of its asker's share. */
struct ticket *request_ticket(const struct request *r);
/* Ask the fleet, in the name of who asks: the tour of a task, and off it goes. */
struct tour *request_tour(struct request *r, struct task *t, void (*done)(struct tour *k));
void request_asks(struct request *r, struct tour *k);
/* Its request, if that is still there and waits for the answer: a fault is answered here. NULL otherwise. */
struct request *tour_back(struct tour *k);
/* There is a page behind this one, which begins there. */
void add_continuation(struct request *r, const struct query_bookmark *bookmark);
/* Is there room for an answer of n bytes? If not, it is another one now, and the request has ended. */
bool answer_has_room(struct request *r, size_t n);
/* It leaves now, and takes the request's ticket along. */
void answer_leaves(struct request *r);

/* identify.c: who asks? Goes on with request_dispatch, or answers 401 */
void request_identify(struct request *r);

/* dispatch.c */
const char *http_method_name(enum http_method m);
enum http_method http_method_find(struct str name); /* without case; HTTP_OTHER: no route has it */
/* What it asks for is looked at, and it is answered now or later. */
void request_begin(struct request *r);
/* It is known who asks. */
void request_dispatch(struct request *r);

/* request.c */
/* To be begun. ask is copied, not what it points to. */
struct request *request_new(
    struct http_loop *hl, const struct transport *by, void *link, const struct ask *ask);
void request_end(struct request *r); /* after the reply */
struct reply_to request_address(const struct request *r);
struct request *request_of(struct http_loop *hl, struct reply_to to);
struct str request_header(const struct request *r, const char *name); /* STR_NONE: absent */
/* Decoded once, into the request's arena. */
struct str request_decoded(struct request *r, struct str raw);
/* A query parameter, decoded into the request's arena; STR_NONE: absent. */
struct str request_param(struct request *r, const char *name);
/* Is it there, with or without a value? */
bool request_has_param(const struct request *r, const char *name);
/* Parse the body as JSON into hl->doc, its members with the names and kinds of its shape (NULL: as they are); on a fault the request is
 * answered and false returned. */
bool request_doc(struct request *r, const struct shape *shape, struct doc_parsed *info);
/* The same, with the fault given to the caller instead: ERR_ARG without a body, or as doc_parse and doc_shape. */
enum err request_parse(
    struct request *r, const struct shape *shape, struct doc_parsed *info, struct fault *f);
/* No query parameters but these; ERR_ARG names one. */
enum err request_knows(
    const struct request *r, const char *const *names, size_t n, struct fault *f);
/* A query parameter that is true or false, absent: false. ERR_ARG: it is neither. */
enum err request_flag(struct request *r, const char *name, bool *out, struct fault *f);
/* One that is an integer; absent: *out stays. ERR_ARG: it is none, or out of bounds. */
enum err request_number(struct request *r, const char *name, int64_t least, int64_t most,
    int64_t *out, struct fault *f);
/* A work about the identity of the path (segment 1, and 3 for modules), by the policy that asks. */
struct work *request_work(
    struct request *r, enum op_kind kind, size_t room, void (*done)(struct work *w));
/* The If-Match header as a precondition of the work; its text is copied (room: its length). */
void request_if_match(struct request *r, struct work *w);
/* *  "*"  tag  "tag"  W/"tag" (service-rest.md 5.1) */
void work_if_match(struct work *w, struct str tag);
size_t request_if_match_room(const struct request *r);
void request_submit(struct request *r, struct work *w);

/* warn.c: what has no effect is told in a header */
/* Beside what else was said, in ASCII; cut at WARNING_MAX. The prefix is ASCII. */
void request_warn(struct request *r, const char *prefix, struct str sentence);
void warn_query(struct request *r, const char *prefix, const struct query *q);
/* The member of a body that is a condition; one that is refused is not warned of. */
void warn_condition(struct request *r, const char *name, struct doc condition);
void warn_metrics(struct request *r, struct doc queries);
void warn_body(struct request *r, const char *prefix, struct doc body, const struct shape *s);
void warn_twin(struct request *r, const char *prefix, struct doc twin);

/* path.c */
/* The raw path with each encoded slash as a plain one, in the arena. */
/* limits.c: may it be done, by the rate limits? Else it is answered. */
bool request_admitted(struct request *r);
/* It is n operations, not one: what is beyond the first is a debt. */
void request_counts(struct request *r, uint32_t n);
/* Its answer is of so many bytes. */
void request_answered(struct request *r, int status, uint64_t bytes);

struct str path_plain(struct arena *a, struct str raw);
/* The path's segments, each decoded once, and with PATH_ROUTE the route that they lead to. */
enum path_found path_find(struct request *r);
/* The module of .../{device}/modules/{module}[/...]; STR_NONE: the path is a device's. */
struct str path_module(const struct request *r);
/* Of devices, modules and jobs. */
bool path_ids_good(const struct request *r);

/* registry.c */
/* The work is back: its request is answered with the fault, or is the caller's to answer. */
struct request *work_back(struct work *w);
/* The end of a work whose success says nothing: 204. */
void done_empty(struct work *w);

/* ---- what is done to the hub, for the log: admin_log.c ---- */

/* Who asks, kept: the request may be gone by the time that it is done. */
struct admin_asker {
	char *actor;
	char peer[NET_ADDR_TEXT_MAX];
};
void admin_asker_take(struct admin_asker *a, const struct request *r);
void admin_asker_fini(struct admin_asker *a);
struct admin_told {
	enum admin_what what;
	struct str name, more; /* op.name, op.told */
};
/* Then `then`, on this loop: when it is in the log, on disk, or cannot be. */
void admin_tell(struct http_loop *hl, const struct admin_asker *a, const struct admin_told *what,
    void *ctx, void (*then)(void *ctx));

/* The address of who asks, for the log; the work has this much room for it. */
#define WORK_PEER_ROOM NET_ADDR_TEXT_MAX
void work_peer(struct work *w, const struct request *r);
/* An object of one member, as a doc, for op.told; appended. */
void told_text(struct buf *doc, const char *name, struct str value);
/* As the body has it; an empty object, if it has none. */
void told_member(struct buf *doc, struct doc body, const char *name);

/* configurations.c: a work about what is no identity: a configuration, a job, a sink, a route. room: for its strings besides */
struct work *named_work(
    struct request *r, enum op_kind kind, struct str id, size_t room, void (*done)(struct work *w));

/* dryrun.c: what OP_CONFIGURATION_PUT would do; takes the work */
void configuration_dry_run(struct request *r, struct work *w);

/* methods.c */
/* Every waiting call is answered 503. */
void methods_stop(struct http_loop *hl);
/* Call it; the payload's text is in hl->json, r has its timeouts. */
void method_submit(struct request *r, struct str name);

/* registry.c: the body is bad, but first: is there such an identity (T-116)? Then r->fault is the answer. */
void request_refuse(struct request *r);

/* job_try.c: what a job of this body would do; answers the request */
void job_dry_run(struct request *r, struct doc body);

/* slow.c: a query has been run: text, engine time, what it has seen. explain: appends what the query route says of that, with columns or without */
struct query_run {
	struct str text;
	int64_t now_us, ns;
	bool failed;
	uint64_t judged, asked, returned;
	const void *ctx;
	void (*explain)(const void *ctx, bool columns, struct buf *json);
};
void slow_take(const struct query_run *run);
/* The same, and a line in the log if it took longer than --slow-query. r: who waits for it; NULL: nobody any more. */
void slow_tell(const struct http_loop *hl, const struct request *r, const struct query_run *run);

/* query.c: what o has written so far, before a value that goes into the body by itself */
void body_until(struct request *r, struct out *o);
/* a page's rows to the body, as an array; the tour's, with its ticket */
void body_rows(struct request *r, struct page_rows *rows);
void body_page(struct request *r, struct tour *k);
/* a page is answered */
void done_query(struct tour *k);

/* routes.c */
extern const struct route routes[];
extern const size_t nroutes;

/* store.c. The members "damagedFiles" and "moreDamagedFiles" of an object, and an object of all figures */
void damage_write(struct store *store, struct out *o);
void store_report_write(struct store *store, struct buf *json);

/* handlers */
handler on_device_get, on_device_put, on_device_delete, on_devices_list, on_device_modules;
handler on_twin, on_convergence, on_query, on_query_watch, on_twin_watch, on_method_call;
handler on_bulk, on_keys, on_statistics, on_column_statistics, on_store_statistics,
    on_message_statistics, on_path_statistics, on_query_statistics;
handler on_message_post, on_message_poll, on_message_settled, on_purge, on_feedback,
    on_feedback_settled;
handler on_configurations_list, on_configuration_get, on_configuration_update,
    on_configuration_remove, on_configuration_post, on_rollout_action, on_test_queries,
    on_apply_configuration, on_configuration_devices, on_twin_configurations;
handler on_jobs_list, on_job_create, on_job_try, on_job_read, on_job_stop;
handler on_partitions, on_partition_read;
/* partitions.c: on an errand's thread; from: a sequence, or empty. Appended. ERR_IO, ERR_CORRUPT. */
enum err partition_page_write(
    struct http_loop *hl, uint32_t partition, struct str from, struct buf *json);
/* admin.c */
void errand_partition(struct request *r, uint32_t partition, struct str sequence);
/* The hub's clock goes ahead, and the request is answered; clock.c does it. */
void errand_clock(struct request *r, uint32_t seconds);
enum err clock_put_ahead(
    const struct http_loop *hl, uint32_t seconds, struct buf *json, struct fault *f);
handler on_clock_get, on_clock_post;
handler on_mishaps_list, on_mishaps_order, on_mishaps_clear;

/* mishaps.c: what a test has ordered to go wrong; never, where there are none */
bool request_is_lost(struct request *r);          /* it is to be answered 503 */
int64_t request_token_late_us(struct request *r); /* credentials.late_us of its token */
/* charts.c: on an errand's thread; appended */
void figures_report_write(struct http_loop *hl, int64_t from_us, unsigned step_s, struct buf *json);
void errand_figures(struct request *r, int64_t from_us, unsigned step_s);
handler on_settings_get, on_settings_patch, on_figures, on_log_statistics, on_limit_statistics;
/* log_statistics.c: on an errand's thread; appended. ERR_IO, ERR_CORRUPT. */
enum err log_report_write(struct http_loop *hl, struct buf *json);
handler on_sinks_list, on_sink_get, on_sink_put, on_sink_delete, on_sink_statistics;
handler on_routes_list, on_route_get, on_route_put, on_route_delete, on_route_test;
handler on_policies, on_policy_rotate, on_policy_create, on_policy_delete, on_backup, on_backups;
handler on_digital_twin_get, on_digital_twin_patch, on_digital_command;
handler on_import, on_export, on_file_job_create, on_file_jobs_list, on_file_job_read,
    on_file_job_cancel;
handler on_events_post, on_events_read, on_twin_history, on_scope_list, on_scope_target, on_nested,
    on_no_files;
/* history.c: the twin as it was, if that is what the query asks for */
bool on_twin_past(struct request *r);
/* A query AS OF a time, which is taken. */
void past_query_start(struct request *r, struct query *query);
handler on_connection, on_connection_end, on_connections;
void on_health(struct request *r, bool ready);

#endif
