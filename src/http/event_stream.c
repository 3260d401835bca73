/*
 * GET /events: what the feed reads for a client, as server-sent events or lines of JSON, for as long as the client likes (docs/spec/events.md 3).
 *
 *   feed's thread: take -> gather, until it is a batch -> rest --post--> loop: answer_stream_put -> left --feed_more--> take
 *
 * One batch is on its way at a time, so a client that does not read costs one batch, and after ten seconds its connection (answer_stream.h).
 */
#include "http/answer_stream.h"

#include <stdlib.h>

#include "feed/feed.h"

#define EVENT_BATCH_BYTES (64u << 10) /* of one batch; an event alone may have more */
#define EVENT_POSITION_US                                                                          \
	(INT64_C(1) * 1000000) /* between positions when events pass that are not for it */
#define EVENT_BEAT_US (INT64_C(15) * 1000000) /* between comments when nothing passes */

struct event_stream {
	struct msg batch_msg, over_msg;
	struct answer_stream stream; /* the loop's */
	struct loop *loop;
	struct feed_reader *reader;
	struct feed *feed;
	/* the feed's thread, until a batch is posted; then the loop's, until it asks for more */
	struct buf bytes;
	bool finished; /* all that was asked for is in it */
	bool sse, follow;
	struct position until, told;
	int64_t told_us; /* when the last bytes were posted; clock_mono_us */
	enum err failed;
	struct condition *condition;
};

/* ---- on the feed's thread ---- */

static bool
events_take(void *ctx, const struct feed_event *e)
{
	struct event_stream *s = ctx;

	if (s->bytes.n != 0 && s->bytes.n + e->json.n > EVENT_BATCH_BYTES)
		return false;
	if (s->sse)
		buf_cstr(&s->bytes, "data: ");
	buf_str(&s->bytes, e->json);
	buf_cstr(&s->bytes, s->sse ? "\n\n" : "\n");
	return true;
}

static void
put_position(struct event_stream *s, const struct position *at)
{
	buf_cstr(&s->bytes, s->sse ? "id: " : "{\"position\":\"");
	feed_position_write(s->feed, &s->bytes, at);
	buf_cstr(&s->bytes, s->sse ? "\n\n" : "\"}\n");
	s->told = *at;
}

static bool
passed(const struct position *at, const struct position *until)
{
	for (unsigned i = 0; i < POSITION_SHARDS; i++)
		if (at->next[i] < until->next[i])
			return false;
	return true;
}

static bool
events_rest(void *ctx, const struct position *at, bool end)
{
	struct event_stream *s = ctx;
	int64_t since_us = clock_mono_us() - s->told_us;
	bool moved = memcmp(at, &s->told, sizeof(*at)) != 0;
	bool beat = end && since_us >= EVENT_BEAT_US;

	s->finished = !s->follow && end && passed(at, &s->until);
	if (s->bytes.n != 0 || s->finished || (moved && since_us >= EVENT_POSITION_US) ||
	    (beat && !s->sse))
		put_position(s, at);
	else if (beat)
		buf_cstr(&s->bytes, ": \n\n");
	if (s->bytes.n == 0)
		return true;
	s->told_us = clock_mono_us();
	loop_post(s->loop, &s->batch_msg);
	return false;
}

static void
events_fail(void *ctx, enum err why)
{
	struct event_stream *s = ctx;

	s->failed = why;
	s->finished = true;
	loop_post(s->loop, &s->batch_msg);
}

static void
events_over(void *ctx)
{
	struct event_stream *s = ctx;

	loop_post(s->loop, &s->over_msg);
}

/* ---- on the loop ---- */

static struct event_stream *
of_stream(struct answer_stream *s)
{
	return container_of(s, struct event_stream, stream);
}

static void
events_left(struct answer_stream *stream)
{
	struct event_stream *s = of_stream(stream);

	s->bytes.n = 0;
	feed_more(s->reader);
}

static void
events_ended(struct answer_stream *stream)
{
	feed_close(of_stream(stream)->reader);
}

static const struct answer_stream_face events_face = { events_left, events_ended };

static void
on_batch(struct msg *m)
{
	struct event_stream *s = container_of(m, struct event_stream, batch_msg);

	if (s->stream.closing)
		return;
	if (s->failed != ERR_OK) {
		log_text(LOG_ERROR, "the event log cannot be read on for a reader of events");
		answer_stream_end(&s->stream, REASON_FAILED);
		return;
	}
	answer_stream_put(&s->stream, buf_view(&s->bytes));
	if (s->finished)
		answer_stream_end(&s->stream, REASON_NONE);
}

static void
on_over(struct msg *m)
{
	struct event_stream *s = container_of(m, struct event_stream, over_msg);

	answer_stream_fini(&s->stream);
	route_condition_free(s->condition);
	buf_fini(&s->bytes);
	free(s);
}

/* ---- what is asked for ---- */

/* "DeviceMessages,TwinChangeEvents" */
static enum err
take_sources(struct request *r, struct feed_filter *filter, struct fault *f)
{
	struct str rest = request_param(r, "source"), name;

	while (rest.n != 0) {
		enum told_source source;

		str_cut(rest, ',', &name, &rest);
		source = feed_source(name);
		if (source == TOLD_NOBODY)
			return fault_set(f, F_ArgumentInvalid,
			    "source: " STR_FMT " is none of DeviceMessages, TwinChangeEvents, "
			    "DeviceLifecycleEvents, DeviceConnectionStateEvents, "
			    "DeviceJobLifecycleEvents, MethodEvents, AdministrationEvents",
			    STR_ARG(name));
		filter->sources |= 1u << source;
	}
	return ERR_OK;
}

/* "properties.reported.a" */
static enum err
take_path(struct request *r, struct feed_filter *filter, struct fault *f)
{
	struct str path = request_param(r, "path"), rest = path;
	const struct str *p = filter->path;

	while (rest.n != 0) {
		if (filter->npath == FEED_PATH_STEPS)
			return fault_set(
			    f, F_ArgumentInvalid, "path: more than %u steps", FEED_PATH_STEPS);
		str_cut(rest, '.', &filter->path[filter->npath++], &rest);
	}
	if (filter->npath == 0 || str_eq(p[0], STR("tags")))
		return ERR_OK;
	if (str_eq(p[0], STR("properties")) &&
	    (filter->npath == 1 || str_eq(p[1], STR("desired")) || str_eq(p[1], STR("reported"))))
		return ERR_OK;
	return fault_set(f, F_ArgumentInvalid,
	    "path: " STR_FMT " does not begin with tags, properties.desired or properties.reported",
	    STR_ARG(path));
}

static enum err
take_condition(
    struct request *r, struct feed_filter *filter, struct condition **out, struct fault *f)
{
	struct str text = request_param(r, "where");
	unsigned sources = filter->sources == 0 || filter->sources == 1u << TOLD_TWINS
	    ? ROUTE_SOURCE_BIT(ROUTE_TWIN_CHANGES)
	    : filter->sources;
	struct route_error error;

	if (text.n == 0)
		return ERR_OK;
	if (route_condition_compile(text, sources, out, &error) != ERR_OK)
		return fault_set(f, F_ArgumentInvalid, "where, line %u, column %u: %s",
		    error.start.line, error.start.column, error.text);
	filter->condition = *out;
	return ERR_OK;
}

static enum err
take_from(struct request *r, struct feed_reader_conf *c, struct fault *f)
{
	struct str last = request_header(r, "Last-Event-ID"), from = request_param(r, "from");

	c->from = FEED_POSITION;
	if (last.n != 0)
		return feed_position_read(r->hl->o.feed, last, &c->position, f);
	if (from.n == 0 || str_ieq(from, STR("now")))
		c->from = FEED_NOW;
	else if (str_ieq(from, STR("earliest")))
		c->from = FEED_EARLIEST;
	else if (time_parse(from, &c->time_us))
		c->from = FEED_TIME;
	else
		return feed_position_read(r->hl->o.feed, from, &c->position, f);
	return ERR_OK;
}

static enum err
take_parameters(
    struct request *r, struct event_stream *s, struct feed_reader_conf *c, struct fault *f)
{
	static const char *const known[] = { "source", "device", "module", "path", "from", "follow",
		"where", "api-version" };
	struct str value = request_param(r, "follow");
	enum err e = request_knows(r, known, sizeof(known) / sizeof(known[0]), f);

	s->follow = true;
	if (e == ERR_OK && value.n != 0)
		e = request_flag(r, "follow", &s->follow, f);
	if (e == ERR_OK)
		e = take_sources(r, &c->filter, f);
	if (e == ERR_OK)
		e = take_path(r, &c->filter, f);
	if (e == ERR_OK)
		e = take_condition(r, &c->filter, &s->condition, f);
	if (e == ERR_OK)
		e = take_from(r, c, f);
	c->filter.device = request_param(r, "device");
	c->filter.module = request_param(r, "module");
	return e;
}

/* ---- the beginning ---- */

static enum err
events_begin(struct event_stream *s, const struct feed_reader_conf *c, struct fault *f)
{
	feed_now(s->feed, &s->until);
	return feed_open(s->feed, c, &s->reader, f);
}

void
on_events_read(struct request *r)
{
	struct feed_reader_conf c = { .take = events_take,
		.rest = events_rest,
		.fails = events_fail,
		.over = events_over,
		.asker = asker_key(r->asker, STR_NONE) | 1 };
	struct event_stream *s = xcalloc(1, sizeof(*s));
	struct fault f;

	s->loop = r->hl->loop;
	s->feed = r->hl->o.feed;
	s->sse = answer_stream_wants_sse(r);
	s->batch_msg.run = on_batch;
	s->over_msg.run = on_over;
	s->told_us = clock_mono_us();
	c.ctx = s;
	if (take_parameters(r, s, &c, &f) != ERR_OK || events_begin(s, &c, &f) != ERR_OK) {
		route_condition_free(s->condition);
		free(s);
		reply_fault(r, &f);
		return;
	}
	answer_stream_begin(&s->stream, r, s->sse, &events_face);
}
