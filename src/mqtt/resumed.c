/*
 * The loop's side of sessions whose shard has another owner (docs/spec/operate.md, O-236). All of a shard are asked for by OP_RESUME, some at a time; when
 * each has its answer the loop says so, and only then, when all loops have, does anything else of theirs reach the owner.
 *
 * Who gets no verdict, as the owner may not answer at the moment, asks again a little later. So nobody loses its link for an outage.
 */
#include "mqtt/loop.h"

#include <stdlib.h>

#define OUT_MAX   256u   /* of one shard under way at once */
#define LOOKS_MAX 16384u /* at links, before the loop does something else */
#define AGAIN_US  INT64_C(100000)

static bool
is_wanted(const struct comeback *c, const struct link *l)
{
	const struct session *s = &l->session;

	if (c->at < c->reached && !session_owed(s))
		return false;
	return s->state == S_LIVE && hub_shard_of(s->device) == c->of->shard;
}

static void
ask(struct comeback *c, struct link *l)
{
	struct actions a = { 0 };

	session_resume(&l->session, &a);
	c->out++;
	link_perform(l, &a);
}

/* Some of the links. false: it is to be called again, when there is room or time, or there are answers. */
static bool
look(struct comeback *c)
{
	struct slots *links = &c->ml->links;

	for (uint32_t n = 0; c->at < links->n && c->out < OUT_MAX && !c->again; n++, c->at++) {
		struct link *l = slot_at(links, c->at);

		if (n == LOOKS_MAX) {
			c->posted = true;
			loop_post(c->ml->loop, &c->msg);
			return false;
		}
		if (l != NULL && is_wanted(c, l))
			ask(c, l);
	}
	if (c->at > c->reached)
		c->reached = c->at;
	return c->out == 0;
}

static void
go_on(struct comeback *c)
{
	struct resumption *r = c->of;

	if (c->posted || !look(c))
		return;
	if (c->again) {
		loop_timer_set(c->ml->loop, &c->timer, loop_now_us(c->ml->loop) + AGAIN_US);
		return;
	}
	c->of = NULL; /* before: another one may begin at once */
	resumption_through(r);
}

static void
on_again(struct loop_timer *t)
{
	struct comeback *c = container_of(t, struct comeback, timer);

	c->at = 0;
	c->again = false;
	go_on(c);
}

static void
on_look(struct msg *m)
{
	struct comeback *c = container_of(m, struct comeback, msg);

	c->posted = false;
	go_on(c);
}

void
comeback_heard(struct mqtt_loop *ml, uint32_t shard, const struct link *l)
{
	struct comeback *c = &ml->comebacks[shard];

	c->out--;
	c->again = c->again || (l != NULL && session_owed(&l->session));
	go_on(c);
}

static void
on_begin(struct msg *m)
{
	struct comeback *c = container_of(m, struct comeback, msg);

	c->msg.run = on_look;
	c->at = c->reached = c->out = 0;
	c->again = false;
	go_on(c);
}

void
mqtt_loop_resume(struct mqtt_loop *ml, struct resumption *r)
{
	struct comeback *c = &ml->comebacks[r->shard];

	c->of = r;
	c->msg.run = on_begin;
	loop_post(ml->loop, &c->msg);
}

/* ---- who serves them is not reached ---- */

struct cut {
	struct msg msg;
	struct mqtt_loop *ml;
	uint64_t shards;
};

static void
on_cut(struct msg *m)
{
	struct cut *c = container_of(m, struct cut, msg);

	for (uint32_t i = 0; i < c->ml->links.n; i++) {
		struct link *l = slot_at(&c->ml->links, i);

		if (l != NULL && l->session.state == S_LIVE &&
		    c->shards >> hub_shard_of(l->session.device) & 1 &&
		    session_doom(&l->session, REASON_OWNER_UNREACHED))
			link_doomed(l);
	}
	free(c);
}

void
mqtt_loop_cut(struct mqtt_loop *ml, uint64_t shards)
{
	struct cut *c = xcalloc(1, sizeof(*c));

	c->msg.run = on_cut;
	c->ml = ml;
	c->shards = shards;
	loop_post(ml->loop, &c->msg);
}

void
comebacks_init(struct mqtt_loop *ml)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		ml->comebacks[s].ml = ml;
		ml->comebacks[s].timer.fire = on_again;
	}
}
