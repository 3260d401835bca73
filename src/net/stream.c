/*
 * What all kinds of streams share: states, the buffers of both directions, the bounds, the end.
 *
 * An owner's call never calls back into the owner: it changes the state and queues the stream, and the end of the
 * loop's turn does the rest. So an owner may free what it likes in a callback, and a hundred replies to one
 * peer in a turn are one write.
 */
#include "net/priv.h"

static void
stream_queue(struct stream *s)
{
	struct loop *l = s->loop;

	if (s->queued)
		return;
	s->queued = true;
	s->todo = l->todo;
	l->todo = s;
	event_active(l->turn_end, 0, 0);
}

/* ---- birth and end ---- */

static void
on_deadline(struct loop_timer *t)
{
	struct stream *s = container_of(t, struct stream, deadline);

	stream_finish(s, s->state >= ST_DRAINING ? STREAM_CLOSED : STREAM_TIMEOUT);
}

void
stream_init(struct stream *s, struct loop *l, const struct stream_ops *ops,
    const struct stream_limits *limits, const struct net_addr *peer)
{
	s->ops = ops;
	s->loop = l;
	s->peer = *peer;
	s->max_in = limits->max_in_bytes ? (uint32_t)limits->max_in_bytes : STREAM_IN_MAX;
	s->max_out = limits->max_out_bytes ? (uint32_t)limits->max_out_bytes : STREAM_OUT_MAX;
	s->deadline.fire = on_deadline;
	s->state = ST_OPENING;
	s->held_in = &l->held;
	s->next = l->streams;
	s->prev = &l->streams;
	if (s->next)
		s->next->prev = &s->next;
	l->streams = s;
	l->nstream++;
}

void
stream_opened(struct stream *s)
{
	if (s->state == ST_OPENING) {
		s->state = ST_OPEN;
		stream_queue(s);
	}
}

bool
stream_is_open(const struct stream *s)
{
	return s->state <= ST_OPEN;
}

void
stream_finish(struct stream *s, enum stream_end why)
{
	if (s->state == ST_ENDED)
		return;
	if (s->state < ST_DRAINING) /* after stream_close, that was the reason */
		s->why = why;
	s->state = ST_ENDED;
	held_set(s->held_in, s, 0); /* it goes at the end of this turn */
	loop_timer_clear(s->loop, &s->deadline);
	s->ops->read_enable(s, false);
	stream_queue(s);
}

/* The last of it. The owner has not heard of a stream whose handshake failed. */
static void
stream_end(struct stream *s)
{
	struct loop *l = s->loop;

	if (s->told && s->user->on_close)
		s->user->on_close(s, (enum stream_end)s->why, s->ctx);
	*s->prev = s->next;
	if (s->next)
		s->next->prev = s->prev;
	l->nstream--;
	buf_fini(&s->in);
	buf_fini(&s->out);
	s->ops->destroy(s);
}

size_t
stream_pending_output(const struct stream *s)
{
	return s->out.n - s->out_from + (s->ops->below ? s->ops->below(s) : 0);
}

/* Count what it holds now, by whose fault. That may end others, or itself. */
static void
stream_count(struct stream *s)
{
	struct held *h = s->paused ? &s->loop->paused : &s->loop->held;
	struct stream *most;

	if (s->state == ST_ENDED)
		return;
	if (s->held_in != h)
		held_set(s->held_in, s, 0);
	s->held_in = h;
	held_set(h, s, s->in.n + stream_pending_output(s));
	while ((most = held_most(h)) != NULL)
		stream_finish(most, STREAM_CROWDED);
}

/* ---- input ---- */

static void
tell_open(struct stream *s)
{
	if (s->told || s->state != ST_OPEN)
		return;
	s->told = true;
	s->user->on_open(s, s->ctx);
}

static void
drop_front(struct buf *b, size_t n)
{
	b->n -= n;
	if (b->n)
		memmove(b->p, b->p + n, b->n);
	else
		buf_fini(b); /* an idle connection holds no buffers */
}

static void
deliver_kept(struct stream *s)
{
	size_t used;

	if (s->in.n == 0 || s->paused || s->state != ST_OPEN)
		return;
	used = s->user->on_data(s, buf_view(&s->in), s->ctx);
	assert(used <= s->in.n);
	drop_front(&s->in, used);
}

bool
stream_received(struct stream *s, struct str bytes)
{
	tell_open(s);
	if (s->state == ST_OPEN && !s->paused && s->in.n == 0) {
		/* The usual case: the owner reads where the bytes are, nothing is copied. */
		size_t used = s->user->on_data(s, bytes, s->ctx);

		assert(used <= bytes.n);
		bytes = str_sub(bytes, used);
		if (s->state == ST_OPEN)
			buf_put(&s->in, bytes.p, bytes.n);
	} else if (s->state == ST_OPEN) {
		buf_put(&s->in, bytes.p, bytes.n);
		deliver_kept(s);
	}
	if (s->state == ST_OPEN && s->in.n > s->max_in && !s->paused)
		stream_finish(s, STREAM_OVERFLOW);
	stream_count(s);
	return s->state == ST_OPEN && !s->paused;
}

void
stream_fill_later(struct stream *s)
{
	static const struct timeval now = { 0, 0 };
	struct loop *l = s->loop;

	if (s->want_fill)
		return;
	s->want_fill = true;
	s->fill_next = l->filling;
	if (l->filling == NULL)
		event_add(l->again, &now);
	l->filling = s;
}

void
streams_fill(struct loop *l)
{
	struct stream *s = l->filling, *next;

	l->filling = NULL;
	for (; s; s = next) {
		next = s->fill_next;
		s->want_fill = false;
		if (s->state == ST_ENDED) { /* its end waited for this list */
			stream_queue(s);
			continue;
		}
		if (s->paused || s->state != ST_OPEN)
			continue;
		deliver_kept(s);
		if (!s->paused && s->state == ST_OPEN)
			s->ops->fill(s);
		stream_count(s);
	}
}

void
stream_pause(struct stream *s)
{
	if (s->paused || s->state > ST_OPEN)
		return;
	s->paused = true;
	s->ops->read_enable(s, false);
}

void
stream_resume(struct stream *s)
{
	if (!s->paused || s->state > ST_OPEN)
		return;
	s->paused = false;
	s->ops->read_enable(s, true);
	stream_fill_later(s);
}

/* ---- output ---- */

/* True if the stream still lives and nothing waits any more. */
static bool
stream_flush(struct stream *s)
{
	if (s->out.n > 0) {
		enum err e = s->ops->flush(s);

		if (e != ERR_OK && e != ERR_MORE) {
			stream_finish(s, e == ERR_END ? STREAM_EOF : STREAM_FAILED);
			return false;
		}
		if (s->out_from == s->out.n) {
			s->out_from = 0;
			buf_fini(&s->out);
		}
	}
	return stream_pending_output(s) == 0;
}

void
stream_write(struct stream *s, struct str bytes)
{
	if (s->state > ST_OPEN || bytes.n == 0)
		return;
	if (stream_pending_output(s) + bytes.n > s->max_out && s->state == ST_OPEN && s->out.n > 0)
		stream_flush(s); /* a burst of one turn shall not end a peer that reads */
	if (s->state > ST_OPEN)
		return;
	if (stream_pending_output(s) + bytes.n > s->max_out) {
		stream_finish(s, STREAM_OVERFLOW);
		return;
	}
	if (s->out_from > 0 &&
	    s->out_from >= s->out.n / 2) { /* amortised: at most as many bytes moved as went out */
		s->out.n -= s->out_from;
		memmove(s->out.p, s->out.p + s->out_from, s->out.n);
		s->out_from = 0;
	}
	buf_put(&s->out, bytes.p, bytes.n);
	stream_queue(s);
}

void
stream_writable(struct stream *s)
{
	stream_queue(s);
}

void
stream_close(struct stream *s)
{
	if (s->state > ST_OPEN)
		return;
	s->why = STREAM_CLOSED;
	s->state = ST_DRAINING;
	s->ops->read_enable(s, false);
	loop_timer_set(s->loop, &s->deadline, loop_now_us(s->loop) + STREAM_LINGER_US);
	stream_queue(s);
}

void
stream_abort(struct stream *s)
{
	stream_finish(s, STREAM_CLOSED);
}

/* ---- the end of the turn ---- */

static void
stream_turn_end(struct stream *s)
{
	tell_open(s);
	if (s->state != ST_OPENING && s->state != ST_ENDED) {
		if (!stream_flush(s)) {
			s->was_full = true;
		} else if (s->state == ST_DRAINING) {
			s->state = ST_LEAVING;
			s->ops->goodbye(s);
		} else if (s->state == ST_OPEN && s->was_full) {
			s->was_full = false;
			if (s->user->on_drain)
				s->user->on_drain(s, s->ctx);
		}
	}
	stream_count(s);
	/* Telling or flushing may have ended it and put it on the list once more: then that turn is its last. */
	if (s->state == ST_ENDED && !s->want_fill && !s->queued)
		stream_end(s);
}

/* Callbacks may queue streams again, this one too: the list is taken from its head until it is empty. It does empty,
 * as nothing here reads. */
void
streams_turn_end(struct loop *l)
{
	struct stream *s;

	while ((s = l->todo) != NULL) {
		l->todo = s->todo;
		s->queued = false;
		stream_turn_end(s);
	}
}

void
loop_abort_streams(struct loop *l)
{
	for (struct stream *s = l->streams; s; s = s->next)
		stream_finish(s, STREAM_SHUTDOWN);
	streams_fill(l);
	streams_turn_end(l);
}

/* ---- what owners ask and set ---- */

void
stream_set_user(struct stream *s, const struct stream_user *user, void *ctx)
{
	s->user = user;
	s->ctx = ctx;
}

void *
stream_ctx(const struct stream *s)
{
	return s->ctx;
}

struct loop *
stream_loop(const struct stream *s)
{
	return s->loop;
}

const struct net_addr *
stream_peer(const struct stream *s)
{
	return &s->peer;
}

void
stream_deadline(struct stream *s, int64_t due_us)
{
	if (s->state > ST_OPEN) /* the deadline of the goodbye stays */
		return;
	if (due_us == 0)
		loop_timer_clear(s->loop, &s->deadline);
	else
		loop_timer_set(s->loop, &s->deadline, due_us);
}

bool
stream_is_tls(const struct stream *s)
{
	return s->ops->ssl && s->ops->ssl(s);
}

const char *
stream_tls_version(const struct stream *s)
{
	return stream_is_tls(s) ? SSL_get_version(s->ops->ssl(s)) : NULL;
}

void
stream_tls_peer(const struct stream *s, struct tls_peer *out)
{
	if (stream_is_tls(s))
		tls_peer_of(s->ops->ssl(s), out);
	else
		memset(out, 0, sizeof *out);
}
