/*
 * How many connections of a loop may be between their accept and the end of their handshake (O-220). In a storm those that have begun end, instead of
 * all running into their deadline together; the others wait in the kernel's backlog, where they cost nothing.
 *
 * What is rationed is this loop's time. So who has been waited for HANDSHAKE_SLOW_US, with nothing to read from it, counts no more until its deadline
 * ends it: else a few hundred silent connections would keep everybody else out. Whose bytes are here and not read yet waits for the loop, and counts.
 */
#include <sys/ioctl.h>

#include "net/priv.h"

bool
handshakes_full(const struct loop *l)
{
	return l->handshakes.n >= HANDSHAKES_MAX;
}

/* All acceptors of the loop rest, or go on. */
static void
tell(struct loop *l)
{
	bool full = handshakes_full(l);

	if (full == l->handshakes.told_full)
		return;
	l->handshakes.told_full = full;
	for (struct acceptor *a = l->handshakes.acceptors; a != NULL; a = a->next)
		a->rest(a, full);
}

static void
append(struct handshakes *hs, struct handshake *h, int64_t now_us)
{
	h->since_us = now_us;
	h->next = NULL;
	h->prev = hs->last;
	*hs->last = h;
	hs->last = &h->next;
	hs->n++;
}

static void
unlink_one(struct handshakes *hs, struct handshake *h)
{
	assert(h->prev != NULL && hs->n > 0);
	*h->prev = h->next;
	if (h->next != NULL)
		h->next->prev = h->prev;
	else
		hs->last = h->prev;
	h->prev = NULL;
	hs->n--;
}

static void
watch(struct loop *l)
{
	struct handshakes *hs = &l->handshakes;

	if (hs->first != NULL)
		loop_timer_set(l, &hs->slow, hs->first->since_us + HANDSHAKE_SLOW_US);
	else
		loop_timer_clear(l, &hs->slow);
}

/* Without a descriptor, which a connection of evhttp gets a turn later, it is our turn. */
static bool
waits_for_us(const struct handshake *h)
{
	int n = 0;

	return h->fd < 0 || (ioctl(h->fd, FIONREAD, &n) == 0 && n > 0);
}

static void
on_slow(struct loop_timer *t)
{
	struct handshakes *hs = container_of(t, struct handshakes, slow);
	struct loop *l = container_of(hs, struct loop, handshakes);
	int64_t now_us = loop_now_us(l);
	struct handshake *h;

	for (unsigned i = hs->n; i > 0 && hs->first->since_us + HANDSHAKE_SLOW_US <= now_us; i--) {
		h = hs->first;
		unlink_one(hs, h);
		if (waits_for_us(h))
			append(hs, h, now_us);
	}
	watch(l);
	tell(l);
}

void
handshakes_init(struct handshakes *hs)
{
	hs->last = &hs->first;
	hs->slow.fire = on_slow;
}

void
handshake_begin(struct loop *l, struct handshake *h, int fd)
{
	h->fd = fd;
	append(&l->handshakes, h, loop_now_us(l));
	if (l->handshakes.n == 1)
		watch(l);
	tell(l);
}

void
handshake_end(struct loop *l, struct handshake *h)
{
	if (h->prev == NULL)
		return;
	unlink_one(&l->handshakes, h);
	if (l->handshakes.n == 0)
		watch(l);
	tell(l);
}

void
acceptor_join(struct loop *l, struct acceptor *a)
{
	a->next = l->handshakes.acceptors;
	a->prev = &l->handshakes.acceptors;
	if (a->next != NULL)
		a->next->prev = &a->next;
	l->handshakes.acceptors = a;
	if (l->handshakes.told_full)
		a->rest(a, true);
}

void
acceptor_leave(struct acceptor *a)
{
	if (a->prev == NULL)
		return;
	*a->prev = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	a->prev = NULL;
}
