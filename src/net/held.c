/*
 * What the streams of a loop hold for their peers: input that is no whole packet yet, output that has not been read.
 *
 * Each stream has bounds of its own; as there may be very many of them, the sum has one too. At it, who holds most is
 * closed, so that links with a little on its way live on beside any number of peers that do not read. Streams stand
 * in lists by the size of what they hold, so finding the largest looks at no more than the lists' heads.
 */
#include "net/priv.h"

/* 0 holds nothing; list k: 2^(k-1) up to 2^k - 1 bytes. */
static unsigned
list_of(size_t bytes)
{
	unsigned bits = bytes == 0 ? 0 : (unsigned)(64 - __builtin_clzll(bytes));

	return bits < HELD_LISTS ? bits : HELD_LISTS - 1;
}

static void
list_leave(struct held *h, struct stream *s)
{
	struct held_list *l = &h->lists[list_of(s->held)];

	*s->held_prev = s->held_next;
	if (s->held_next)
		s->held_next->held_prev = s->held_prev;
	else
		l->last = s->held_prev;
	h->bytes -= s->held;
}

static void
list_join(struct held *h, struct stream *s)
{
	struct held_list *l = &h->lists[list_of(s->held)];

	s->held_next = NULL;
	s->held_prev = l->last;
	*l->last = s;
	l->last = &s->held_next;
	h->bytes += s->held;
}

void
held_init(struct held *h, size_t max_bytes)
{
	h->bytes = 0;
	h->max_bytes = max_bytes;
	for (unsigned k = 0; k < HELD_LISTS; k++) {
		h->lists[k].first = NULL;
		h->lists[k].last = &h->lists[k].first;
	}
}

void
held_set(struct held *h, struct stream *s, size_t bytes)
{
	if (s->held == bytes)
		return;
	if (s->held && bytes &&
	    list_of(s->held) ==
	        list_of(bytes)) { /* it keeps its place: who came first goes first */
		h->bytes += bytes;
		h->bytes -= s->held;
		s->held = bytes;
		return;
	}
	if (s->held)
		list_leave(h, s);
	s->held = bytes;
	if (bytes)
		list_join(h, s);
}

struct stream *
held_most(const struct held *h)
{
	if (h->bytes <= h->max_bytes)
		return NULL;
	for (unsigned k = HELD_LISTS - 1; k > 0; k--)
		if (h->lists[k].first)
			return h->lists[k].first;
	return NULL;
}
