/* Who is to end, and when: see reaper.h. */
#include "mqtt/reaper.h"

void
reaper_init(struct reaper *rp, uint32_t a_second)
{
	*rp = (struct reaper){ .rate = limit_a_second(a_second), .due_us = SESSION_NEVER };
}

/* A turn that is awaited is not put off. */
static void
turn_at(struct reaper *rp, int64_t when_us)
{
	if (rp->due_us == SESSION_NEVER)
		rp->due_us = when_us;
}

/* False: its turn comes later. */
static bool
may_end(struct reaper *rp, int64_t now_us)
{
	int64_t wait_ns;

	if (limit_take(&rp->until_ns, &rp->rate, now_us * 1000, &wait_ns))
		return true;
	turn_at(rp, now_us + wait_ns / 1000 + 1);
	return false;
}

enum reason
reaper_outdated(const struct session *s, const struct catalogue *c)
{
	if (opened_known(&s->opened, c->policies, c->npolicies, c->cas, c->nca))
		return REASON_NONE;
	return s->opened.by == OPENED_BY_POLICY ? REASON_POLICY_KEY_CHANGED : REASON_CA_REMOVED;
}

void
reaper_review(struct reaper *rp, int64_t now_us)
{
	rp->review = true;
	rp->at = 0;
	turn_at(rp, now_us);
}

bool
reaper_doomed(struct reaper *rp, int64_t now_us)
{
	rp->ndoomed++;
	return may_end(rp, now_us);
}

static void
look(struct reaper *rp, struct session *s, const struct catalogue *c)
{
	enum reason why = reaper_outdated(s, c);

	if (why == REASON_NONE && session_revoked(s))
		why = REASON_CERTIFICATE_REVOKED;
	if (why != REASON_NONE && session_doom(s, why))
		rp->ndoomed++;
}

/* True: all slots have been seen. */
static bool
look_on(
    struct reaper *rp, const struct catalogue *c, const struct reaper_links *links, int64_t now_us)
{
	for (uint32_t n = 0; n < REAPER_LOOKS_MAX && rp->at < links->n; n++) {
		struct session *s = links->at(links->ctx, rp->at);

		if (s != NULL && s->state == S_LIVE) {
			if (rp->review && s->doomed == REASON_NONE)
				look(rp, s, c);
			if (s->doomed != REASON_NONE && !may_end(rp, now_us))
				return false;
			if (s->doomed != REASON_NONE)
				links->end(links->ctx, s);
		}
		rp->at++;
	}
	return rp->at >= links->n;
}

void
reaper_turn(
    struct reaper *rp, const struct catalogue *c, const struct reaper_links *links, int64_t now_us)
{
	rp->due_us = SESSION_NEVER;
	if (look_on(rp, c, links, now_us)) {
		rp->review = false;
		rp->at = 0;
	}
	if (rp->review || rp->ndoomed > 0)
		turn_at(rp, now_us + REAPER_TURN_US);
}

void
reaper_ended(struct reaper *rp, const struct session *s)
{
	if (s->doomed != REASON_NONE)
		rp->ndoomed--;
}
