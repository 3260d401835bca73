/*
 * The beat, and the lease that comes of it: from when it was sent, and only with what is hub-wide in the version that it has named. A lease that had
 * ended and is there again is another run.
 */
#include "cluster/priv.h"

/* A node whose clock is wrong would hold the time of its shards still for as long as it is ahead. */
void
clock_judge(struct cluster *c, const struct cluster_input *in)
{
	int64_t off_us = in->wall_us - in->clock_us;
	bool right = off_us <= c->o.times.clock_us && off_us >= -c->o.times.clock_us;

	if (c->takes && !right)
		do_say(c, "the clock is %lld ms from the database's: the node takes no shards",
		    (long long)(off_us / 1000));
	if (!c->takes && right && c->viewed)
		do_say(c, "the clock agrees with the database's: the node takes shards");
	c->takes = right;
}

void
beat_next(struct cluster *c)
{
	struct cluster_do *d;

	if (!link_ready(c, CLUSTER_BEAT) || (c->now_us < c->beat_us && !c->hurry))
		return;
	d = do_ask(c, CLUSTER_BEAT, CLUSTER_ASK_BEAT);
	d->takes = c->takes;
	d->common = c->in_force;
	c->sent_us = c->now_us;
	c->extra = c->now_us < c->beat_us;
	c->hurry = false;
	if (!c->extra)
		c->beat_us = c->now_us + c->o.times.beat_us;
	for (unsigned s = 0; s < c->o.shards; s++)
		c->sent[s] =
		    (struct cluster_row){ .epoch = c->shards[s].epoch, .pos = c->shards[s].pos };
}

int64_t
beat_wake(const struct cluster *c)
{
	const struct link *l = &c->links[CLUSTER_BEAT];

	return l->open && !l->busy ? (c->hurry ? c->now_us : c->beat_us) : NEVER;
}

/* ---- the lease ---- */

static void
lease_extend(struct cluster *c, int64_t sent_us)
{
	int64_t until_us = sent_us + c->o.times.lease_us;

	if (until_us <= c->lease.until_us)
		return;
	if (c->now_us >= c->lease.until_us)
		c->lease.run++;
	c->lease.until_us = until_us;
}

static void
apply(struct cluster *c, struct version v)
{
	c->applying = v;
	do_put(c, CLUSTER_APPLY)->common = v.common;
}

/* A beat names a version: what it is worth depends on that being in force. */
static void
version_named(struct cluster *c, struct version v)
{
	if (v.common <= c->in_force)
		lease_extend(c, v.sent_us);
	else if (c->applying.common == 0)
		apply(c, v);
	else if (v.common <= c->applying.common)
		c->applying.sent_us = v.sent_us;
	else
		c->next = v;
}

void
beat_hurry(struct cluster *c)
{
	c->hurry = true;
}

void
beat_in_force(struct cluster *c)
{
	struct version next = c->next;

	c->in_force = c->applying.common;
	c->hurry |= c->least != NEVER; /* who waits for all hears it from that beat */
	lease_extend(c, c->applying.sent_us);
	c->applying = c->next = (struct version){ 0 };
	if (next.common != 0)
		version_named(c, next);
}

/* ---- what it says ---- */

static void
durable_judge(struct cluster *c, bool synchronous)
{
	bool durable = synchronous || c->o.single;

	if (c->durable_said && durable == c->durable)
		return;
	c->durable = durable;
	c->durable_said = true;
	do_put(c, CLUSTER_DURABLE)->yes = durable;
	if (!durable)
		do_say(c,
		    "PostgreSQL has no synchronous standby (synchronous_standby_names is "
		    "empty): no writes, but with --durability single");
}

/* A beat that was acknowledged is there for ever, and so is what others had acknowledged when it was sent. */
static bool
history_is_lost(struct cluster *c, const struct cluster_input *in)
{
	if (in->beat <= c->beat) {
		do_end(c, CLUSTER_HISTORY,
		    "the database has lost what was acknowledged: beat %lld of this node came "
		    "after %lld",
		    (long long)in->beat, (long long)c->beat);
		return true;
	}
	for (unsigned s = 0; s < c->o.shards; s++)
		if (goes_back(c, s, c->sent[s], in->view->rows[s].epoch, in->view->rows[s].pos))
			return true;
	return false;
}

void
beat_answered(struct cluster *c, const struct cluster_input *in)
{
	if (in->answer == CLUSTER_DEAD)
		do_end(c, CLUSTER_REPLACED,
		    "this node was taken for dead, and its shards are others'");
	if (in->answer != CLUSTER_OK || history_is_lost(c, in))
		return;
	c->beat = in->beat;
	clock_judge(c, in);
	durable_judge(c, in->synchronous);
	version_named(c, (struct version){ in->common, c->sent_us });
	view_take(c, in->view);
	c->named = in->common;
	c->least = in->least;
	c->seen_us = c->sent_us;
}
