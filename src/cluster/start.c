/*
 * The start of an incarnation. A node id that has run before from the same directory is dead, as it held the directory's lock: the next generation at
 * once. From another directory: refused while that one beats; when it has been silent for as long as the dead are, its place is taken.
 */
#include "cluster/priv.h"

static struct cluster_do *
begin(struct cluster *c, int64_t generation, int64_t beat)
{
	struct cluster_do *d = do_ask(c, CLUSTER_WORK, CLUSTER_BEGIN);

	d->generation = generation;
	d->beat = beat;
	return d;
}

static bool
silent_for_long(const struct cluster *c)
{
	return c->start.watched && c->start.heard >= 5 &&
	    c->now_us - c->start.since_us >= c->o.times.death_us;
}

void
start_next(struct cluster *c)
{
	if (!link_ready(c, CLUSTER_WORK) || c->now_us < c->start.look_us)
		return;
	if (silent_for_long(c)) {
		begin(c, c->start.generation, c->start.beat);
		c->start.watched = false;
		return;
	}
	do_ask(c, CLUSTER_WORK, CLUSTER_LOOK);
	c->start.look_us = c->now_us + c->o.times.beat_us;
}

int64_t
start_wake(const struct cluster *c)
{
	const struct link *l = &c->links[CLUSTER_WORK];

	return l->open && !l->busy ? c->start.look_us : NEVER;
}

static void
watch(struct cluster *c, const struct cluster_input *in)
{
	bool same =
	    c->start.watched && c->start.generation == in->generation && c->start.beat == in->beat;

	if (c->start.watched && !same) {
		do_end(
		    c, CLUSTER_REFUSED, "the node %s runs, from another data directory", c->node);
		return;
	}
	if (!same) {
		c->start.watched = true;
		c->start.generation = in->generation;
		c->start.beat = in->beat;
		c->start.since_us = c->now_us;
		c->start.heard = 0;
		return;
	}
	c->start.heard++;
}

static void
looked(struct cluster *c, const struct cluster_input *in)
{
	if (in->there && in->state == CLUSTER_REVOKED) {
		do_end(c, CLUSTER_REFUSED, "the node %s has been revoked", c->node);
		return;
	}
	if (!in->there || in->same || in->state == CLUSTER_BURIED) {
		begin(c, in->there ? in->generation : 0, in->there ? in->beat : 0);
		c->start.watched = false;
		return;
	}
	watch(c, in);
}

static void
begun(struct cluster *c, const struct cluster_input *in)
{
	c->phase = PHASE_RUN;
	c->generation = in->generation;
	c->beat = in->beat;
	clock_judge(c, in);
}

/* What has become of a BEGIN that was lost, another look says; a generation more is no harm. */
void
start_answered(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in)
{
	if (in->answer != CLUSTER_OK)
		return;
	if (q->question == CLUSTER_BEGIN)
		begun(c, in);
	else
		looked(c, in);
}
