/* The loop's side of the reaper: its timer, the catalogue, and the links that it ends. */
#include "mqtt/loop.h"

static void
keep_time(struct mqtt_loop *ml)
{
	if (ml->reaper.due_us == SESSION_NEVER)
		loop_timer_clear(ml->loop, &ml->reaping.timer);
	else
		loop_timer_set(ml->loop, &ml->reaping.timer, ml->reaper.due_us);
}

static void
link_end(void *ctx, struct session *s)
{
	struct actions a = { 0 };

	(void)ctx;
	session_turn(s, &a);
	link_perform(link_of(s), &a);
}

static struct session *
link_at(void *ctx, uint32_t slot)
{
	struct mqtt_loop *ml = ctx;
	struct link *l = slot_at(&ml->links, slot);

	return l != NULL && stream_is_open(l->stream) ? &l->session : NULL;
}

void
link_doomed(struct link *l)
{
	struct mqtt_loop *ml = l->ml;

	if (reaper_doomed(&ml->reaper, loop_now_us(ml->loop)))
		link_end(ml, &l->session);
	else
		keep_time(ml);
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
	why = reaper_outdated(s, c);
	catalogue_drop(box, c);
	return why;
}

bool
link_revoked(struct session *s)
{
	const struct link *l = link_of(s);

	return tls_is_revoked(l->ml->o.tls, l->stream);
}

static void
on_turn(struct loop_timer *t)
{
	struct mqtt_loop *ml = container_of(t, struct mqtt_loop, reaping.timer);
	const struct reaper_links links = { ml, ml->links.n, link_at, link_end };
	const struct catalogue *c = catalogue_use(ml->o.catalogue);

	reaper_turn(&ml->reaper, c, &links, loop_now_us(ml->loop));
	catalogue_drop(ml->o.catalogue, c);
	keep_time(ml);
}

static void
on_asked(struct msg *m)
{
	struct mqtt_loop *ml = container_of(m, struct mqtt_loop, reaping.msg);

	atomic_store(
	    &ml->reaping.asked, false); /* before the look: what changes from here on asks again */
	reaper_review(&ml->reaper, loop_now_us(ml->loop));
	keep_time(ml);
}

void
mqtt_loop_review(struct mqtt_loop *ml)
{
	if (!atomic_exchange(&ml->reaping.asked, true))
		loop_post(ml->loop, &ml->reaping.msg);
}

void
links_init(struct mqtt_loop *ml)
{
	ml->reaping.msg.run = on_asked;
	ml->reaping.timer.fire = on_turn;
	reaper_init(&ml->reaper, MQTT_CLOSINGS_A_SECOND / (ml->o.nloop ? ml->o.nloop : 1));
}
