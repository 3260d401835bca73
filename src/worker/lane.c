/*
 * Walks that have a turn in a worker, in two lanes: what is cheap however large the fleet is, and what is not. Lanes take
 * turns; within one it is the turn of who has had the least of the workers' time, first among policies, then among the
 * addresses of one. So a question waits for its own kind, and for its share of it.
 */
#include "worker/priv.h"

/* Neither documents nor columns of the whole fleet are needed for it. */
static bool
query_is_cheap(const struct query_facts *facts)
{
	const struct query_needs *n = &facts->output;

	return facts->everything && !facts->ordered &&
	    (!facts->aggregate || (n->roots == 0 && n->sections == 0));
}

enum share_kind
walk_lane(const struct walk *k)
{
	bool cheap;

	switch (k->kind) {
	case WALK_QUERY:
		cheap = walk_point(k) != NULL || query_facts(k->query)->collection == QUERY_JOBS ||
		    query_facts(k->query)->nothing ||
		    (query_is_cheap(query_facts(k->query)) && k->trial == NULL && k->draw == NULL);
		break;
	case WALK_DRY_RUN: cheap = false; break;
	default: cheap = true; break;
	}
	return cheap ? SHARE_CHEAP : SHARE_COSTLY;
}

static void
lane_put(struct lane *l, struct walk *k)
{
	k->next = NULL;
	*l->end = k;
	l->end = &k->next;
}

void
walk_arrived(struct msg *m)
{
	struct walk *k = container_of(m, struct walk, msg);

	lane_put(&k->at->lanes[k->lane], k);
}

static struct ticket *
ticket_of(const struct walk *k)
{
	return k->whole != NULL ? k->whole->ticket : k->ticket;
}

/* A job's choice of targets has no ticket: it is one of the hub's own. */
bool
walk_may_build(struct walk *k, uint32_t paths)
{
	struct ticket *t = ticket_of(k);

	k->builds = paths == 0 || t == NULL || ticket_build(t, paths) ? 0 : paths;
	return k->builds == 0;
}

static bool
may_run(const struct worker *w, const struct walk *k, int64_t now_us)
{
	return k->builds == 0 || w->stopping || now_us >= k->deadline_us ||
	    ticket_build(ticket_of(k), k->builds);
}

/* The hub's own come first: there is one at a time. */
static bool
before(const struct walk *a, const struct walk *b)
{
	const struct share *of_a = ticket_share(ticket_of(a)), *of_b = ticket_share(ticket_of(b));

	if (of_a == NULL || of_b == NULL)
		return of_a == NULL && of_b != NULL;
	return share_before(of_a, of_b, a->lane);
}

static struct walk **
lane_next(const struct worker *w, struct lane *l)
{
	struct walk **best = NULL;
	int64_t now_us = l->first != NULL ? clock_mono_us() : 0;

	for (struct walk **at = &l->first; *at != NULL; at = &(*at)->next)
		if ((best == NULL || before(*at, *best)) && may_run(w, *at, now_us))
			best = at;
	return best;
}

static void
walk_undone(struct walk *k)
{
	fault_set(&k->fault, F_ServiceUnavailable,
	    "the state that was seen could not be stored, try again later");
}

void
walks_undone(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		for (struct walk *k = w->lanes[i].first; k != NULL; k = k->next)
			walk_undone(k);
}

static void
walk_goes(void *ctx, void *p, enum gate_end end)
{
	struct walk *k = p;

	if (end == GATE_UNDONE)
		walk_undone(k);
	else if (end == GATE_UNSAID)
		fault_set(&k->fault, F_ServiceUnavailable, "%s", MAY_NOT_ANSWER);
	walk_go_on(ctx, k);
}

static void
lane_run(struct worker *w, struct lane *l, struct walk **at)
{
	struct walk *k = *at;
	struct share *share = ticket_share(ticket_of(k));
	int64_t begin_ns = clock_mono_ns();
	bool done;

	*at = k->next;
	if (l->end == &k->next)
		l->end = at;
	walk_lap(k, STEP_WAIT);
	walk_limits(w, k);
	done = k->fault.code != F_NONE || walk_slice(w, k);
	if (share != NULL)
		share_served(share, k->lane, (uint64_t)(clock_mono_ns() - begin_ns));
	if (done)
		gate_after(&w->gate, walk_goes, k);
	else
		lane_put(l, k);
}

void
walk_turn(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++) {
		struct lane *l = &w->lanes[w->lane];
		struct walk **at = lane_next(w, l);

		w->lane = (w->lane + 1) % SHARE_LANES;
		if (at != NULL) {
			lane_run(w, l, at);
			return;
		}
	}
}

bool
walks_await(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		if (lane_next(w, &w->lanes[i]) != NULL)
			return true;
	return false;
}

void
lanes_init(struct worker *w)
{
	for (unsigned i = 0; i < SHARE_LANES; i++)
		w->lanes[i].end = &w->lanes[i].first;
}
