/*
 * POST /devices/query/watch, GET /twins/{id}/watch: the rows of a query, and from then on what becomes of them, for as long as the client likes
 * (docs/spec/events.md 6). What is to be told comes from the workers as text (worker/live.h); here it is a piece of an answer at a time.
 */
#include "http/answer_stream.h"

#include <stdlib.h>

#include "feed/feed.h"
#include "worker/live.h"

#define WATCH_BEAT_US (INT64_C(15) * 1000000) /* between signs of life when nothing changes */

struct watch_stream {
	struct answer_stream stream;
	struct loop *loop;
	struct loop_timer beat;
	struct live *live;
	struct buf bytes;
};

static struct watch_stream *
of_stream(struct answer_stream *s)
{
	return container_of(s, struct watch_stream, stream);
}

static bool
piece_under_way(const struct watch_stream *s)
{
	return loop_timer_is_set(&s->stream.stall);
}

static void
put(struct watch_stream *s, struct str bytes)
{
	loop_timer_set(s->loop, &s->beat, loop_now_us(s->loop) + WATCH_BEAT_US);
	if (bytes.n > 0)
		answer_stream_put(&s->stream, bytes);
}

/* The next piece, if there is one. */
static void
pump(struct watch_stream *s)
{
	enum reason why;

	if (s->stream.closing || piece_under_way(s))
		return;
	s->bytes.n = 0;
	why = live_take(s->live, &s->bytes);
	if (s->bytes.n > 0)
		put(s, buf_view(&s->bytes));
	if (why != REASON_NONE)
		answer_stream_end(&s->stream, why);
}

static void
watch_heard(void *ctx)
{
	pump(ctx);
}

static void
watch_left(struct answer_stream *stream)
{
	struct watch_stream *s = of_stream(stream);

	live_left(s->live);
	pump(s);
}

static void
on_beat(struct loop_timer *t)
{
	struct watch_stream *s = container_of(t, struct watch_stream, beat);

	if (piece_under_way(s))
		put(s, STR_NONE); /* later */
	else
		put(s, s->stream.sse ? STR(": \n\n") : STR("{\"event\":\"beat\"}\n"));
}

/* ---- the end ---- */

static void
watch_ended(struct answer_stream *stream)
{
	struct watch_stream *s = of_stream(stream);

	loop_timer_clear(s->loop, &s->beat);
	live_close(s->live);
}

static void
watch_over(void *ctx)
{
	struct watch_stream *s = ctx;

	answer_stream_fini(&s->stream);
	buf_fini(&s->bytes);
	free(s);
}

static const struct answer_stream_face watch_face = { watch_left, watch_ended };

/* ---- the beginning ---- */

static enum err
check_parameters(const struct request *r, struct fault *f)
{
	static const char *const known[] = { "api-version" };

	return request_knows(r, known, 1, f);
}

static void
begin(struct request *r, struct str text)
{
	struct live_conf c = { .asker = asker_key(r->asker, STR_NONE),
		.hub = feed_hub(r->hl->o.feed),
		.sse = answer_stream_wants_sse(r),
		.home = r->hl->loop,
		.heard = watch_heard,
		.over = watch_over };
	struct watch_stream *s = xcalloc(1, sizeof(*s));
	struct watch *w = NULL;
	struct fault f;
	enum err e = check_parameters(r, &f);

	c.ctx = s;
	s->loop = c.home;
	s->beat.fire = on_beat;
	if (e == ERR_OK)
		e = watch_compile(text, !r->hl->o.strict_queries, &w, &f);
	c.watch = w;
	if (e == ERR_OK)
		e = fleet_watch(r->hl->o.fleet, &c, &s->live, &f);
	if (e != ERR_OK) {
		free(s);
		reply_fault(r, &f);
	} else {
		loop_timer_set(s->loop, &s->beat, loop_now_us(s->loop) + WATCH_BEAT_US);
		answer_stream_begin(&s->stream, r, c.sse, &watch_face);
	}
	watch_unref(w);
}

void
on_query_watch(struct request *r)
{
	struct doc_parsed info;
	struct doc text;

	if (!request_doc(r, &body_query, &info))
		return;
	text = doc_getc(doc_of(buf_view(&r->hl->doc)), "query");
	if (doc_kind(text) != DOC_STRING || doc_str(text).n == 0)
		reply_error(r, F_ArgumentNull, "BadRequest: the body has no query");
	else
		begin(r, doc_str(text));
}

/* ---- one twin ---- */

/* Of what ids are made of, a quote alone is none of a text in quotes. */
static void
put_id(struct buf *query, const char *name, struct str id)
{
	buf_cstr(query, name);
	buf_cstr(query, " = '");
	for (size_t i = 0; i < id.n; i++) {
		if (id.p[i] == '\'')
			buf_putc(query, '\\');
		buf_putc(query, id.p[i]);
	}
	buf_putc(query, '\'');
}

/* The twin is there: what becomes of it is what becomes of the one row of a query. */
static void
done_look(struct work *w)
{
	struct request *r = work_back(w);
	struct buf query = { 0 };

	if (r != NULL) {
		struct str module = path_module(r);

		buf_cstr(&query, "SELECT * FROM devices");
		buf_cstr(&query, module.n > 0 ? ".modules WHERE " : " WHERE ");
		put_id(&query, "deviceId", r->segment[1]);
		if (module.n > 0)
			put_id(&query, " AND moduleId", module);
		begin(r, buf_view(&query));
		buf_fini(&query);
	}
	work_free(w);
}

void
on_twin_watch(struct request *r)
{
	struct fault f;

	if (check_parameters(r, &f) != ERR_OK)
		reply_fault(r, &f);
	else
		request_submit(r, request_work(r, OP_TWIN_READ, 0, done_look));
}
