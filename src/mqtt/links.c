/*
 * Links whose opener counts no more: the key of a policy that is rotated, a client CA that is removed, an identity's key
 * that is another one. Each is closed with its reason, all of them at a bounded rate, for each client that is closed comes back
 * with a handshake. What waits for its turn is no queue but a mark on the session: the slots are gone through again.
 */
#include "mqtt/loop.h"

#define REVIEWED_MAX 10000u /* links looked at in one turn */
#define TURN_US      (INT64_C(100) * 1000)

static void
reaper_run(struct mqtt_loop *ml, int64_t when_us)
{
	if (!loop_timer_is_set(&ml->reaper.timer))
		loop_timer_set(ml->loop, &ml->reaper.timer, when_us);
}

/* false: its turn comes later. */
static bool
link_close(struct link *l)
{
	struct mqtt_loop *ml = l->ml;
	int64_t now_us = loop_now_us(ml->loop), wait_ns;
	struct actions a = { 0 };

	if (!limit_take(&ml->reaper.until_ns, &ml->reaper.rate, now_us * 1000, &wait_ns)) {
		reaper_run(ml, now_us + wait_ns / 1000 + 1);
		return false;
	}
	session_turn(&l->session, &a);
	link_perform(l, &a);
	return true;
}

/* It may also have met its end by itself. */
void
link_ended(struct link *l)
{
	if (l->session.doomed != REASON_NONE)
		l->ml->reaper.ndoomed--;
}

void
link_doomed(struct link *l)
{
	l->ml->reaper.ndoomed++;
	link_close(l);
}

/* ---- a review of all ---- */

static enum reason
outdated(const struct session *s, const struct catalogue *c)
{
	if (opened_known(&s->opened, c->policies, c->npolicies, c->cas, c->nca))
		return REASON_NONE;
	return s->opened.by == OPENED_BY_POLICY ? REASON_POLICY_KEY_CHANGED : REASON_CA_REMOVED;
}

enum reason
link_outdated(struct session *s, uint64_t judged_by)
{
	struct catalogue_box *box = link_of(s)->ml->o.catalogue;
	const struct catalogue *c;
	enum reason why;

	if (catalogue_version(box) == judged_by)
		return REASON_NONE;
	c = catalogue_use(box);
	why = outdated(s, c);
	catalogue_drop(box, c);
	return why;
}

/* What the review and the doomed of one turn cost is bounded by REVIEWED_MAX; true: all slots have been seen. */
static bool
review_on(struct mqtt_loop *ml, const struct catalogue *c)
{
	struct reaper *rp = &ml->reaper;

	for (uint32_t n = 0; n < REVIEWED_MAX && rp->at < ml->nslot; n++) {
		struct link *l = ml->slots[rp->at].link;

		if (l != NULL && l->session.state == S_LIVE && stream_is_open(l->stream)) {
			struct session *s = &l->session;
			bool look = rp->review && s->doomed == REASON_NONE;
			enum reason why = look ? outdated(s, c) : REASON_NONE;

			if (why != REASON_NONE && session_doom(s, why))
				rp->ndoomed++;
			if (s->doomed != REASON_NONE && !link_close(l))
				return false;
		}
		rp->at++;
	}
	return rp->at >= ml->nslot;
}

static void
on_turn(struct loop_timer *t)
{
	struct mqtt_loop *ml =
	    (struct mqtt_loop *)((char *)t - offsetof(struct mqtt_loop, reaper.timer));
	struct reaper *rp = &ml->reaper;
	const struct catalogue *c = catalogue_use(ml->o.catalogue);

	if (review_on(ml, c)) {
		rp->review = false;
		rp->at = 0;
	}
	catalogue_drop(ml->o.catalogue, c);
	if (rp->review || rp->ndoomed > 0)
		reaper_run(ml, loop_now_us(ml->loop) + TURN_US);
}

static void
on_asked(struct msg *m)
{
	struct mqtt_loop *ml =
	    (struct mqtt_loop *)((char *)m - offsetof(struct mqtt_loop, reaper.msg));
	struct reaper *rp = &ml->reaper;

	atomic_store(&rp->asked, false); /* before the look: what changes from here on asks again */
	rp->review = true;
	rp->at = 0;
	reaper_run(ml, loop_now_us(ml->loop));
}

void
mqtt_loop_review(struct mqtt_loop *ml)
{
	if (!atomic_exchange(&ml->reaper.asked, true))
		loop_post(ml->loop, &ml->reaper.msg);
}

void
links_init(struct mqtt_loop *ml)
{
	ml->reaper.msg.run = on_asked;
	ml->reaper.timer.fire = on_turn;
	ml->reaper.rate = limit_a_second(MQTT_CLOSINGS_A_SECOND / (ml->o.nloop ? ml->o.nloop : 1));
}
