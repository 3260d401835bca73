/*
 * Requests without a socket: what a transport would hand over is written down, and what it would send is kept. All behind it is
 * real: routes, rights, a fleet of workers and its store. The loop of http/ is the test's own thread.
 */
#ifndef HTTP_KIT_H
#define HTTP_KIT_H

#include "worker_kit.h"

#include "http/priv.h"
#include "transfer/transfer.h"

#include <event2/buffer.h>
#include <event2/event.h>

#define POLICIES     (RIGHTS_ALL + 1) /* one for each set of rights */
#define API          "api-version=2021-04-12"
#define ASK_HEADERS  8
#define ANSWERS_ROOM 1024

/* A request as a table has it. NULL, 0: none. */
struct wire {
	enum http_method method;
	const char *target;
	const char *body;
	unsigned rights;          /* of the policy that signs */
	const char *token;        /* instead of a policy's; "": none */
	const char *name, *value; /* a header */
	bool websocket;
	const struct https_fault *fault;
};

/* What came of it. */
struct seen {
	bool over;
	int status;
	char reason[64], code[64], warning[ANSWERS_ROOM], retry[16], type[64], length[16], id[64],
	    etag[64], connection[16];
	struct evbuffer *body;
	char text[ANSWERS_ROOM]; /* the body's first bytes */
	size_t n;                /* of the body */
	unsigned nupgrade;
};

static struct {
	struct loop *loop;
	struct http_loop *hl;
	struct file_jobs *jobs;
	struct feed *feed;
	struct deliveries *deliveries;
	struct stories *stories;
	struct chart *chart;
	struct policy policies[POLICIES];
	char names[POLICIES][8];
	char tokens[POLICIES][256];
} the_http;

/* ---- the transport ---- */

static void
kit_shown(void *link, struct tls_peer *out)
{
	(void)link;
	*out = (struct tls_peer){ 0 };
}

static struct evbuffer *
kit_body(void *link)
{
	return ((struct seen *)link)->body;
}

static void
kit_keep(const struct answer *a, const char *name, char *out, size_t room)
{
	out[0] = '\0';
	for (size_t i = 0; i < a->nheader; i++)
		if (strcmp(a->headers[i].name, name) == 0)
			snprintf(out, room, "%s", a->headers[i].value);
}

static void
kit_sent(void *link, const struct answer *a, const struct https_answer *hold)
{
	struct seen *s = link;
	ev_ssize_t n;

	assert_false(s->over); /* one answer for each request */
	s->over = true;
	s->status = a->status;
	snprintf(s->reason, sizeof(s->reason), "%s", a->reason);
	kit_keep(a, "iothub-errorcode", s->code, sizeof(s->code));
	kit_keep(a, "x-twinhub-warning", s->warning, sizeof(s->warning));
	kit_keep(a, "Retry-After", s->retry, sizeof(s->retry));
	kit_keep(a, "Content-Type", s->type, sizeof(s->type));
	kit_keep(a, "Content-Length", s->length, sizeof(s->length));
	kit_keep(a, "x-ms-request-id", s->id, sizeof(s->id));
	kit_keep(a, "ETag", s->etag, sizeof(s->etag));
	kit_keep(a, "Connection", s->connection, sizeof(s->connection));
	s->n = evbuffer_get_length(s->body);
	n = evbuffer_copyout(s->body, s->text, sizeof(s->text) - 1);
	s->text[n < 0 ? 0 : n] = '\0';
	if (hold != NULL)
		hold->over(hold->ctx);
}

static void
kit_upgraded(struct request *r)
{
	struct seen *s = r->link;

	s->nupgrade++;
	s->over = true;
	request_end(r);
}

static const struct transport by_kit = {
	.shown = kit_shown, .body = kit_body, .send = kit_sent, .upgrade = kit_upgraded
};

/* ---- asking ---- */

static UNUSED void
kit_signed(char *out, size_t room, const char *resource, const char *policy, const char *key)
{
	struct buf token = { 0 };

	assert_int_equal(sas_make(the_kit->mac, &token, str_of(resource), str_of(key),
	                     clock_wall_us() / SECOND + 3600, str_of(policy)),
	    ERR_OK);
	snprintf(out, room, STR_FMT, STR_ARG(buf_view(&token)));
	buf_fini(&token);
}

/* Until it has been answered; what is in *s is the caller's: kit_over. */
static UNUSED void
kit_ask(const struct wire *w, struct seen *s)
{
	const char *token = w->token != NULL ? w->token : the_http.tokens[w->rights];
	struct header headers[ASK_HEADERS] = { { STR("Host"), STR(HOST) } };
	struct ask ask = { .method = w->method,
		.target = str_of(w->target),
		.headers = headers,
		.nheader = 1,
		.body = str_of(w->body),
		.websocket = w->websocket,
		.fault = w->fault };

	if (token[0] != '\0')
		headers[ask.nheader++] = (struct header){ STR("Authorization"), str_of(token) };
	if (w->name != NULL)
		headers[ask.nheader++] = (struct header){ str_of(w->name), str_of(w->value) };
	*s = (struct seen){ .body = evbuffer_new() };
	request_begin(request_new(the_http.hl, &by_kit, s, &ask));
	while (!s->over)
		event_base_loop(loop_base(the_http.loop), EVLOOP_ONCE);
	evbuffer_free(s->body);
	s->body = NULL;
}

/* ---- start and end ---- */

static enum err
kit_no_policy(void *ctx, struct str name, struct buf *json)
{
	(void)ctx, (void)json;
	return name.n == 0 ? ERR_OK : ERR_NOT_FOUND;
}

static enum err
kit_no_creation(void *ctx, struct str name, unsigned rights, struct buf *json, struct fault *f)
{
	(void)ctx, (void)name, (void)rights, (void)json, (void)f;
	return ERR_IO;
}

static enum err
kit_no_deletion(void *ctx, struct str name, struct fault *f)
{
	(void)ctx, (void)name, (void)f;
	return ERR_NOT_FOUND;
}

static enum err
kit_no_rotation(void *ctx, struct str name, bool primary, struct buf *json, struct fault *f)
{
	(void)ctx, (void)name, (void)primary, (void)json, (void)f;
	return ERR_NOT_FOUND;
}

static enum err
kit_no_backup(void *ctx, struct str to, struct buf *json, struct fault *f)
{
	(void)ctx, (void)to, (void)json;
	return fault_set(f, F_ServiceUnavailable, "no backup here");
}

static void
kit_backups(void *ctx, struct buf *json)
{
	(void)ctx;
	buf_cstr(json, "{}");
}

static int64_t
kit_backups_failing(void *ctx)
{
	return (void)ctx, 0;
}

static inline struct settings *
kit_settings(void *ctx)
{
	(void)ctx;
	return settings_new();
}

static const char *
kit_ready(void *ctx, char why[NET_WHY_MAX])
{
	(void)ctx, (void)why;
	return NULL;
}

static void
kit_now(void *ctx, struct chart_point *out)
{
	(void)ctx;
	*out = (struct chart_point){ 0 };
}

static void
kit_policies_release(struct catalogue *c)
{
	free(c);
}

static void
kit_policies(struct kit *k)
{
	struct catalogue *c = catalogue_new(2, 0);

	for (unsigned i = 0; i < POLICIES; i++) {
		snprintf(the_http.names[i], sizeof(the_http.names[i]), "p%u", i);
		the_http.policies[i] =
		    (struct policy){ str_of(the_http.names[i]), i, STR(KEY1), STR(KEY2) };
		kit_signed(
		    the_http.tokens[i], sizeof(the_http.tokens[i]), HOST, the_http.names[i], KEY1);
	}
	c->policies = the_http.policies;
	c->npolicies = POLICIES;
	catalogue_set(k->box, c, kit_policies_release);
}

static UNUSED int
http_setup(void **state)
{
	struct http_options o;
	struct file_jobs_options jobs;
	struct kit *k;
	char why[256];
	struct fault f;

	if (kit_setup(state) != 0)
		return -1;
	k = *state;
	kit_policies(k);
	kit_start(k, 1);
	jobs = (struct file_jobs_options){ .fleet = k->fleet, .store = k->store };
	if (file_jobs_new(&jobs, &the_http.jobs, why, sizeof(why)) != ERR_OK ||
	    loop_new(0, &the_http.loop) != ERR_OK)
		return -1;
	the_http.stories = stories_new();
	the_http.chart = chart_new();
	if (deliveries_new(&(struct deliveries_options){ 0 }, &the_http.deliveries, &f) != ERR_OK)
		return -1;
	if (feed_new(
	        &(struct feed_options){ .fleet = k->fleet, .store = k->store, .name = STR("hub") },
	        &the_http.feed) != ERR_OK)
		return -1;
	o = (struct http_options){ .fleet = k->fleet,
		.store = k->store,
		.feed = the_http.feed,
		.file_jobs = the_http.jobs,
		.catalogue = k->box,
		.deliveries = the_http.deliveries,
		.stories = the_http.stories,
		.admin = { k, kit_no_policy, kit_no_rotation, kit_no_backup, kit_ready,
		    kit_no_creation, kit_no_deletion, kit_settings, the_http.chart, kit_now,
		    kit_backups, kit_backups_failing } };
	return http_loop_new(the_http.loop, &o, &the_http.hl) == ERR_OK ? 0 : -1;
}

static UNUSED int
http_teardown(void **state)
{
	struct kit *k = *state;

	file_jobs_free(the_http.jobs);
	deliveries_free(the_http.deliveries);
	stories_free(the_http.stories);
	chart_free(the_http.chart);
	kit_halt(k);
	feed_free(the_http.feed);
	http_loop_free(the_http.hl);
	loop_free(the_http.loop);
	return kit_teardown(state);
}

#endif
