/*
 * What became of a commit of which nobody has heard. A connection to the next server; what may still be under way of ours is ended there; then each
 * shard that the commit touches is taken again, which waits for the former transaction or shuts it out. The count of commits says the rest:
 *
 *   as it was     nothing of it is there, and never will be
 *   one more      it was made
 *   otherwise     the database has lost what was acknowledged
 */
#include "cluster/priv.h"

void
outcome_begin(struct cluster *c, uint64_t shards, bool fenced)
{
	assert(!c->unknown.on && !c->links[CLUSTER_COMMIT].busy);
	c->unknown.on = true;
	c->unknown.fenced = fenced;
	c->unknown.shards = shards;
	c->unknown.killed = c->unknown.made = c->unknown.undone = false;
	c->unknown.at = 0;
	c->unknown.again_us = INT64_MIN;
	if (!fenced)
		c->links[CLUSTER_COMMIT].open = false;
}

static void
outcome_is(struct cluster *c)
{
	if (c->unknown.made && c->unknown.undone) {
		do_end(c, CLUSTER_HISTORY, "the database has half of a commit");
		return;
	}
	c->unknown.on = false;
	do_put(c, CLUSTER_RESULT)->yes = c->unknown.made;
}

void
outcome_next(struct cluster *c)
{
	struct cluster_do *d;

	if (!c->unknown.on || !link_ready(c, CLUSTER_COMMIT) || c->now_us < c->unknown.again_us)
		return;
	if (!c->unknown.killed) {
		d = do_ask(c, CLUSTER_COMMIT, CLUSTER_KILL);
		id_copy(d->node, c->node);
		d->generation = c->generation;
		return;
	}
	while (c->unknown.at < c->o.shards && !(c->unknown.shards >> c->unknown.at & 1))
		c->unknown.at++;
	if (c->unknown.at == c->o.shards) {
		outcome_is(c);
		return;
	}
	d = do_ask(c, CLUSTER_COMMIT, CLUSTER_TAKE);
	d->shard = c->unknown.at;
	d->epoch =
	    -1; /* of this incarnation, or not at all: who has had it since may have written */
}

int64_t
outcome_wake(const struct cluster *c)
{
	const struct link *l = &c->links[CLUSTER_COMMIT];

	if (!c->unknown.on || l->busy)
		return NEVER;
	return l->open ? c->unknown.again_us : l->dial_us;
}

static void
count_says(struct cluster *c, unsigned s, const struct cluster_input *in)
{
	struct held *h = &c->shards[s];
	int64_t more = in->pos - h->pos;

	if (in->epoch <= h->epoch || in->epoch > h->epoch + 1 + h->late || more < 0 ||
	    more > !c->unknown.fenced) {
		do_end(c, CLUSTER_HISTORY,
		    "the database has lost what was acknowledged: shard %u, epoch %lld, has had "
		    "%lld commits, of which %lld are there",
		    s, (long long)h->epoch, (long long)h->pos, (long long)in->pos);
		return;
	}
	h->epoch = in->epoch;
	h->pos = in->pos;
	c->unknown.made |= more == 1;
	c->unknown.undone |= more == 0;
	c->unknown.at++;
}

void
outcome_answered(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in)
{
	if (q->question == CLUSTER_TAKE && in->answer == CLUSTER_LOST)
		c->shards[q->shard].late++;
	if (q->question == CLUSTER_DIAL || in->answer == CLUSTER_LOST ||
	    in->answer == CLUSTER_LOCKED)
		c->unknown.killed = false; /* once more, from there on */
	else if (in->answer == CLUSTER_DEAD)
		do_end(c, CLUSTER_REPLACED,
		    "this node was taken for dead, and its shards are others'");
	else if (q->question == CLUSTER_KILL)
		c->unknown.killed = true;
	else if (in->answer == CLUSTER_NO)
		do_end(c, CLUSTER_REPLACED, "shard %u is another node's", q->shard);
	else if (in->answer == CLUSTER_OK)
		count_says(c, q->shard, in);
	else
		c->unknown.again_us = c->now_us + c->o.times.retry_us;
}
