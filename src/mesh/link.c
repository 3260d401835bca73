#include "mesh/link.h"

#include <stdio.h>

static bool
over(struct link *l, const char *fmt, ...)
{
	char text[FAULT_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_set(&l->why, F_ServerError, "%s", text);
	l->state = LINK_OVER;
	return false;
}

static void
say(struct buf *out, enum frame_kind kind, uint64_t a, uint64_t b)
{
	size_t begun = frame_begin(out, kind);

	numbers_write(out, a, b);
	(void)frame_end(out, begun); /* two numbers always fit */
}

void
link_begin(struct link *l, const struct hello *self, const struct link_times *times,
    struct buf *out, int64_t now_us)
{
	size_t begun = frame_begin(out, FRAME_HELLO);

	*l = (struct link){ .self = self, .times = times };
	l->begun_us = l->heard_us = l->pinged_us = now_us;
	hello_write(out, self);
	(void)frame_end(out, begun); /* names are short */
}

/* The newest that both speak; 0: there is none. */
static uint64_t
common_protocol(const struct hello *a, const struct hello *b)
{
	uint64_t newest = a->protocol_max < b->protocol_max ? a->protocol_max : b->protocol_max;
	uint64_t oldest = a->protocol_min > b->protocol_min ? a->protocol_min : b->protocol_min;

	return newest >= oldest ? newest : 0;
}

static bool
greet(struct link *l, const struct link_user *user, struct str body)
{
	struct hello h;

	if (hello_read(body, &h, &l->why) != ERR_OK)
		return over(l, "%s", l->why.text);
	if (!str_eq(h.hub, l->self->hub))
		return over(l, "it is a node of another hub, " STR_FMT, STR_ARG(h.hub));
	if ((l->protocol = common_protocol(l->self, &h)) == 0)
		return over(l, "it speaks protocols %llu to %llu, this node %llu to %llu",
		    (unsigned long long)h.protocol_min, (unsigned long long)h.protocol_max,
		    (unsigned long long)l->self->protocol_min,
		    (unsigned long long)l->self->protocol_max);
	if (user->on_hello(user->ctx, &h, &l->why) != ERR_OK)
		return over(l, "%s", l->why.text);
	l->common = h.common;
	l->state = LINK_UP;
	return true;
}

static bool
ponged(struct link *l, uint64_t number, uint64_t feedback, int64_t now_us)
{
	if (number == l->pings)
		l->trip_us = now_us - l->pinged_us;
	l->feedback = feedback;
	return true;
}

static bool
one(struct link *l, const struct link_user *user, const struct frame *frame, struct buf *out,
    int64_t now_us)
{
	uint64_t a, b;

	if (l->state == LINK_GREETING)
		return frame->kind == FRAME_HELLO
		    ? greet(l, user, frame->body)
		    : over(l, "its first frame is %s, not HELLO", frame_name(frame->kind));
	switch (frame->kind) {
	case FRAME_HELLO: return over(l, "it greets twice");
	case FRAME_PING:
	case FRAME_PONG:
		if (numbers_read(frame->body, &a, &b, &l->why) != ERR_OK)
			return over(l, "%s", l->why.text);
		if (frame->kind == FRAME_PONG)
			return ponged(l, a, b, now_us);
		l->feedback = b;
		say(out, FRAME_PONG, a, b);
		return true;
	default:
		if (user->on_frame(user->ctx, frame, &l->why) != ERR_OK)
			return over(l, "%s: %s", frame_name(frame->kind), l->why.text);
		return true;
	}
}

bool
link_take(struct link *l, const struct link_user *user, struct str in, size_t *took,
    struct buf *out, int64_t now_us)
{
	*took = 0;
	while (l->state != LINK_OVER) {
		struct frame frame;
		struct fault f;
		size_t n;
		enum err e = frame_read(str_sub(in, *took), &frame, &n, &f);

		if (e == ERR_MORE)
			return l->state == LINK_UP || n <= LINK_GREETING_MAX ||
			    over(l, "its HELLO has %zu bytes", n);
		if (e != ERR_OK)
			return over(l, "%s", f.text);
		*took += n;
		l->heard_us = now_us;
		if (!one(l, user, &frame, out, now_us))
			return false;
	}
	return false;
}

void
link_ping(struct link *l, uint64_t feedback, struct buf *out, int64_t now_us)
{
	if (l->state != LINK_UP)
		return;
	l->pinged_us = now_us;
	say(out, FRAME_PING, ++l->pings, feedback);
}

bool
link_tick(struct link *l, uint64_t feedback, struct buf *out, int64_t now_us)
{
	if (l->state == LINK_OVER)
		return false;
	if (now_us - l->heard_us >= l->times->silence_us)
		return over(l, "nothing was heard of it for %lld ms",
		    (long long)((now_us - l->heard_us) / 1000));
	if (now_us - l->pinged_us >= l->times->ping_us)
		link_ping(l, feedback, out, now_us);
	return true;
}
