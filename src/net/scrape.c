/*
 * One page over plain HTTP: see scrape.h. A thread, and a few connections at once, so that who says nothing, or takes nothing, holds up nobody.
 *
 *   READS --the head is there--> WRITES --all is sent--> ENDS --the other side has closed--> gone
 *
 * and gone from anywhere when its time is over. In ENDS what still comes is thrown away: closing before would reset the connection, and
 * with it the answer. Where there are as many as may be, the one that has been there longest makes room, if that is
 * SCRAPE_IDLE_US and it is not in WRITES; until then further ones stay in the listener's queue.
 */
#include "net/scrape.h"
#include "os/clock.h"
#include "os/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRAPE_BACKLOG  64
#define SCRAPE_IDLE_US  INT64_C(250000)
#define SCRAPE_PAUSE_MS 100 /* while there are no descriptors, or no places */

enum visit_state { READS, WRITES, ENDS };
struct visit {
	enum visit_state state;
	int fd;
	int64_t until_us;
	size_t n; /* bytes of the head */
	char head[SCRAPE_REQUEST_MAX];
	struct buf out;
	size_t nsent;
};

struct scrape {
	struct scrape_options o;
	struct thread thread;
	int stop;
	bool pauses; /* no descriptors: connections stay in the queue */
	unsigned n;
	struct visit visits[SCRAPE_VISITS];
};

/* ---- one connection: each step is false when it is over ---- */

static bool
may_come_again(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static bool
visit_ends(struct visit *v)
{
	char waste[4096];
	ssize_t got = recv(v->fd, waste, sizeof(waste), 0);

	return got > 0 || (got < 0 && may_come_again());
}

static bool
visit_writes(struct visit *v)
{
	ssize_t n;

	while (v->nsent < v->out.n) {
		n = send(v->fd, v->out.p + v->nsent, v->out.n - v->nsent, MSG_NOSIGNAL);
		if (n < 0)
			return may_come_again();
		v->nsent += (size_t)n;
	}
	v->state = ENDS;
	return shutdown(v->fd, SHUT_WR) == 0;
}

static bool
visit_reads(const struct scrape_options *o, struct visit *v)
{
	ssize_t got = recv(v->fd, v->head + v->n, sizeof(v->head) - v->n, 0);

	if (got <= 0)
		return got < 0 && may_come_again();
	v->n += (size_t)got;
	if (memmem(v->head, v->n, "\r\n\r\n", 4) != NULL)
		scrape_answer(o, (struct str){ v->head, v->n }, &v->out);
	else if (v->n == sizeof(v->head))
		scrape_too_long(&v->out);
	else
		return true;
	v->state = WRITES;
	return visit_writes(v);
}

/* ---- all of them ---- */

static void
leave(struct scrape *p, unsigned i)
{
	struct visit *v = &p->visits[i], *last = &p->visits[--p->n];

	close(v->fd);
	buf_fini(&v->out);
	if (v != last)
		*v = *last;
}

/* The place of a further one; SCRAPE_VISITS: there is none. They stand in no order. */
static unsigned
place(const struct scrape *p, int64_t now_us)
{
	int64_t first_us = now_us + SCRAPE_US - SCRAPE_IDLE_US;
	unsigned found = SCRAPE_VISITS;

	if (p->n < SCRAPE_VISITS)
		return p->n;
	for (unsigned i = 0; i < p->n; i++)
		if (p->visits[i].state != WRITES && p->visits[i].until_us <= first_us) {
			first_us = p->visits[i].until_us;
			found = i;
		}
	return found;
}

static void
receive(struct scrape *p)
{
	unsigned at = place(p, clock_mono_us());
	struct visit *v;
	int fd;

	if (at == SCRAPE_VISITS)
		return;
	fd = accept4(p->o.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	p->pauses = fd < 0 && !may_come_again() && errno != ECONNABORTED;
	if (fd < 0)
		return;
	if (at < p->n)
		leave(p, at);
	v = &p->visits[p->n++];
	v->state = READS;
	v->fd = fd;
	v->until_us = clock_mono_us() + SCRAPE_US;
	v->n = v->nsent = 0;
	v->out = (struct buf){ 0 };
}

static bool
visit_goes_on(struct scrape *p, struct visit *v, short happened, int64_t now_us)
{
	if (now_us >= v->until_us)
		return false;
	if (happened == 0)
		return true;
	switch (v->state) {
	case READS: return visit_reads(&p->o, v);
	case WRITES: return visit_writes(v);
	case ENDS: return visit_ends(v);
	}
	return false;
}

/* at[0] is the end's, at[1] the listener's, then one for each connection. How long to wait, in ms; -1: for ever. */
static int
prepare(const struct scrape *p, struct pollfd at[SCRAPE_VISITS + 2])
{
	int64_t now_us = clock_mono_us(), first_us = INT64_MAX;
	bool open = !p->pauses && place(p, now_us) < SCRAPE_VISITS;
	int wait_ms;

	at[0] = (struct pollfd){ .fd = p->stop, .events = POLLIN };
	at[1] = (struct pollfd){ .fd = open ? p->o.fd : -1, .events = POLLIN };
	for (unsigned i = 0; i < p->n; i++) {
		const struct visit *v = &p->visits[i];

		at[2 + i] =
		    (struct pollfd){ .fd = v->fd, .events = v->state == WRITES ? POLLOUT : POLLIN };
		if (v->until_us < first_us)
			first_us = v->until_us;
	}
	if (first_us == INT64_MAX)
		return open ? -1 : SCRAPE_PAUSE_MS;
	wait_ms = first_us > now_us ? (int)((first_us - now_us) / 1000) + 1 : 0;
	return open || wait_ms < SCRAPE_PAUSE_MS ? wait_ms : SCRAPE_PAUSE_MS;
}

static void
scrape_main(void *arg)
{
	struct scrape *p = arg;
	struct pollfd at[SCRAPE_VISITS + 2];
	int64_t now_us;
	int wait_ms;

	for (;;) {
		wait_ms = prepare(p, at);
		if (poll(at, 2 + p->n, wait_ms) < 0)
			continue; /* EINTR, as signals are not this thread's */
		if (at[0].revents != 0)
			return;
		now_us = clock_mono_us();
		/* From the end: the place of who leaves is taken by one that was looked at. */
		for (unsigned i = p->n; i-- > 0;)
			if (!visit_goes_on(p, &p->visits[i], at[2 + i].revents, now_us))
				leave(p, i);
		p->pauses = false;
		if (at[1].revents != 0)
			receive(p);
	}
}

enum err
scrape_new(const struct scrape_options *o, struct scrape **out)
{
	struct scrape *p = xcalloc(1, sizeof(*p));

	p->o = *o;
	p->stop = eventfd(0, EFD_CLOEXEC);
	if (p->stop < 0 || listen(o->fd, SCRAPE_BACKLOG) != 0 ||
	    thread_start(&p->thread, scrape_main, p, NULL, "metrics") != ERR_OK) {
		scrape_free(p);
		return ERR_IO;
	}
	*out = p;
	return ERR_OK;
}

void
scrape_free(struct scrape *p)
{
	if (p == NULL)
		return;
	if (p->stop >= 0)
		(void)!eventfd_write(p->stop, 1);
	thread_join(&p->thread);
	while (p->n > 0)
		leave(p, p->n - 1);
	close(p->o.fd);
	if (p->stop >= 0)
		close(p->stop);
	free(p);
}
