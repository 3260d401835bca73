/*
 * Tours that have a turn in a worker, in two lanes: what is cheap however large the fleet is, and what is not. Lanes take
 * turns; within one it is the turn of who has had the least of the workers' time, first among policies, then among the
 * addresses of one. So a question waits for its own kind, and for its share of it.
 */
#include "worker/priv.h"

static void
lane_put(struct lane *l, struct tour *k)
{
	k->next = NULL;
	*l->end = k;
	l->end = &k->next;
}

void
tour_arrived(struct msg *m)
{
	struct tour *k = container_of(m, struct tour, msg);

	lane_put(&k->at->lanes[k->lane], k);
}

static struct ticket *
ticket_of(const struct tour *k)
{
	return k->whole != NULL ? k->whole->ticket : k->ticket;
}

/* Its own, or its whole's. */
bool
tour_may_build(struct tour *k, uint32_t paths)
{
	struct ticket *t = ticket_of(k);

	k->builds = paths == 0 || t == NULL || ticket_build(t, paths) ? 0 : paths;
	return k->builds == 0;
}

static bool
may_run(const struct worker *w, const struct tour *k, int64_t now_us)
{
	return k->builds == 0 || w->stopping || now_us >= k->deadline_us ||
	    ticket_build(ticket_of(k), k->builds);
}

/* The hub's own come first: there is one at a time. */
static bool
before(const struct tour *a, const struct tour *b)
{
	const struct share *of_a = ticket_share(ticket_of(a)), *of_b = ticket_share(ticket_of(b));

	if (of_a == NULL || of_b == NULL)
		return of_a == NULL && of_b != NULL;
	return share_before(of_a, of_b, a->lane);
}

static struct tour **
lane_next(const struct worker *w, struct lane *l)
{
	struct tour **best = NULL;
	int64_t now_us = l->first != NULL ? clock_mono_us() : 0;

	for (struct tour **at = &l->first; *at != NULL; at = &(*at)->next)
		if ((best == NULL || before(*at, *best)) && may_run(w, *at, now_us))
			best = at;
	return best;
}

static void
lane_run(struct worker *w, struct lane *l, struct tour **at)
{
	struct tour *k = *at;
	struct share *share = ticket_share(ticket_of(k));
	int64_t begin_ns = clock_mono_ns();
	bool done;

	*at = k->next;
	if (l->end == &k->next)
		l->end = at;
	done = tour_slice(w, k);
	if (share != NULL)
		share_served(share, k->lane, (uint64_t)(clock_mono_ns() - begin_ns));
	if (done)
		gate_after(&w->gate, tour_leaves, k);
	else
		lane_put(l, k);
}

void
tour_turn(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++) {
		struct lane *l = &w->lanes[w->lane];
		struct tour **at = lane_next(w, l);

		w->lane = (w->lane + 1) % SHARE_LANES;
		if (at != NULL) {
			lane_run(w, l, at);
			return;
		}
	}
}

int64_t
tours_patience_us(const struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		for (const struct tour *k = w->lanes[i].first; k != NULL; k = k->next)
			if (may_run(w, k, k->builds != 0 ? clock_mono_us() : 0))
				return 0;
	return -1;
}

void
lanes_init(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		w->lanes[i].end = &w->lanes[i].first;
}
