/*
 * What a node does with shards and with the dead, one thing at a time: it buries who has been silent for too long, takes a shard that is nobody's and
 * gives one away that should be another's. A shard is loaded before the next one is taken.
 */
#include "cluster/priv.h"

/* ---- the dead ---- */

/* Silence is heard on one connection: until the next one has brought something, nobody is. */
static int64_t
dies_at(const struct cluster *c, unsigned i)
{
	const struct cluster_node *n = &c->view.nodes[i];

	if (c->fresh || !c->links[CLUSTER_BEAT].open)
		return NEVER;
	if (n->state > CLUSTER_DRAINING || strcmp(n->id, c->node) == 0 || c->peers[i].heard < 5)
		return NEVER;
	return c->peers[i].since_us + c->o.times.death_us;
}

static bool
bury(struct cluster *c)
{
	for (unsigned i = 0; i < c->view.nnode; i++) {
		const struct cluster_node *n = &c->view.nodes[i];
		struct cluster_do *d;

		if (c->now_us < dies_at(c, i))
			continue;
		d = do_ask(c, CLUSTER_WORK, CLUSTER_BURY);
		id_copy(d->node, n->id);
		d->generation = n->generation;
		d->beat = n->beat;
		return true;
	}
	return false;
}

static void
kill_connections(struct cluster *c, const char *node, int64_t generation)
{
	id_copy(c->kill.node, node);
	c->kill.generation = generation;
}

static bool
kill_next(struct cluster *c)
{
	struct cluster_do *d;

	if (c->kill.node[0] == '\0')
		return false;
	d = do_ask(c, CLUSTER_WORK, CLUSTER_KILL);
	id_copy(d->node, c->kill.node);
	d->generation = c->kill.generation;
	return true;
}

/* 0 rows: it has beaten since, or another one has buried it; the next beat shows which. */
static void
buried(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in)
{
	int i = me_in(&c->view, q->node);

	if (in->answer == CLUSTER_OK || in->answer == CLUSTER_LOCKED)
		kill_connections(c, q->node, q->generation);
	if (i < 0 || c->view.nodes[i].generation != q->generation)
		return;
	if (in->answer == CLUSTER_OK) {
		do_say(
		    c, "the node %s has been silent for too long: its shards are taken", q->node);
		c->view.nodes[i].state = CLUSTER_BURIED;
		cluster_place(&c->view, c->o.shards, c->place);
		for (unsigned s = 0; s < c->o.shards; s++)
			if (!row_has_owner(c, s) && c->shards[s].orphan_us == NEVER)
				c->shards[s].orphan_us = c->now_us;
	} else if (in->answer == CLUSTER_NO || in->answer == CLUSTER_FAILED) {
		c->peers[i].since_us = c->now_us;
		c->peers[i].heard = 0;
	}
}

/* ---- taking ---- */

/* When it may be taken. The lease of a node that was revoked has been waited for by nobody. */
static int64_t
takeable_at(const struct cluster *c, unsigned s)
{
	const struct cluster_row *r = &c->view.rows[s];
	int mine = me_in(&c->view, c->node);
	int64_t at;

	if (c->shards[s].hold != HOLD_NONE || c->shards[s].tried)
		return NEVER;
	if (row_is_mine(c, s)) /* given, or taken and not heard of: nobody else can take it */
		return c->shards[s].again_us;
	if (c->shards[s].orphan_us == NEVER || !c->takes ||
	    c->view.nodes[mine].state != CLUSTER_LIVE)
		return NEVER;
	at = c->place[s] == mine ? c->shards[s].orphan_us
	                         : c->shards[s].orphan_us + c->o.times.orphan_us;
	if (r->owner >= 0 && c->view.nodes[r->owner].state == CLUSTER_REVOKED &&
	    c->view.nodes[r->owner].generation == r->generation) {
		int64_t over_us = c->peers[r->owner].revoked_us + c->o.times.death_us;

		at = at > over_us ? at : over_us;
	}
	return at > c->shards[s].again_us ? at : c->shards[s].again_us;
}

static bool
may_take(const struct cluster *c)
{
	if (cluster_holds(c->lease, c->now_us) == 0)
		return false;
	for (unsigned s = 0; s < c->o.shards; s++)
		if (c->shards[s].hold == HOLD_LOADING)
			return false;
	return true;
}

static void
take_ask(struct cluster *c, unsigned s)
{
	struct cluster_do *d = do_ask(c, CLUSTER_WORK, CLUSTER_TAKE);

	d->shard = s;
	d->epoch = c->view.rows[s].epoch;
	c->shards[s].hold = HOLD_TAKING;
	c->shards[s].tried = true;
}

/* What may have been taken already, comes first. */
static bool
take(struct cluster *c)
{
	if (!may_take(c))
		return false;
	for (unsigned s = 0; s < c->o.shards; s++)
		if (c->now_us >= takeable_at(c, s)) {
			take_ask(c, s);
			return true;
		}
	return false;
}

static void
load(struct cluster *c, unsigned s)
{
	struct held *h = &c->shards[s];
	struct cluster_do *d = do_put(c, CLUSTER_LOAD);

	d->shard = s;
	d->epoch = h->epoch;
	d->pos = h->pos;
	d->at = h->at;
}

static void
taken(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in)
{
	struct held *h = &c->shards[q->shard];
	const struct cluster_row *r = &c->view.rows[q->shard];

	h->hold = HOLD_NONE;
	if (in->answer == CLUSTER_LOST) /* the row says it, with the next beat or before */
		h->tried = false, h->late++;
	if (in->answer == CLUSTER_LOCKED && r->owner >= 0 && !row_has_owner(c, q->shard))
		kill_connections(c, c->view.nodes[r->owner].id, r->generation);
	if (in->answer != CLUSTER_OK ||
	    goes_back(c, q->shard, (struct cluster_row){ .epoch = h->epoch + 1, .pos = h->pos },
	        in->epoch, in->pos))
		return;
	h->hold = HOLD_LOADING;
	h->epoch = in->epoch;
	h->pos = in->pos;
	h->at = in->at;
	load(c, q->shard);
}

void
work_loaded(struct cluster *c, unsigned s)
{
	assert(c->shards[s].hold == HOLD_LOADING);
	c->shards[s].hold = HOLD_OWNED;
	do_put(c, CLUSTER_ATTACH)->shard = s;
}

/* It is taken once more: the row may have another epoch by now, of a taking that was thought to be lost. */
void
work_not_loaded(struct cluster *c, unsigned s, bool full)
{
	assert(c->shards[s].hold == HOLD_LOADING);
	if (full)
		do_end(c, CLUSTER_FULL, "shard %u cannot be loaded: the scratch is full", s);
	c->shards[s].hold = HOLD_NONE;
	c->shards[s].tried = false;
	c->shards[s].again_us = c->now_us + c->o.times.retry_us;
}

/* ---- giving ---- */

#define GIVEN_BEATS 2 /* in which a shard that was given is taken, or something else is amiss */

static int64_t
giveable_at(const struct cluster *c, unsigned s)
{
	int to = c->place[s];

	if (c->shards[s].hold != HOLD_OWNED || to < 0 || to == me_in(&c->view, c->node))
		return NEVER;
	return c->peers[to].lives_us + c->o.times.settle_us;
}

static bool
something_moves(const struct cluster *c)
{
	for (unsigned s = 0; s < c->o.shards; s++)
		if (c->shards[s].hold == HOLD_LEAVING || c->shards[s].hold == HOLD_GIVING)
			return true;
	return false;
}

/* What was given is served by nobody until it is taken: who gives many at once keeps the last ones waiting for all. */
static bool
given_waits(const struct cluster *c)
{
	return c->now_us < c->give.until_us && c->view.rows[c->give.shard].epoch <= c->give.epoch;
}

/* One at a time; nothing is asked yet, as operations that are under way end first. */
static void
leave(struct cluster *c)
{
	if (something_moves(c) || given_waits(c))
		return;
	for (unsigned s = 0; s < c->o.shards; s++) {
		const struct cluster_node *to;

		if (c->now_us < giveable_at(c, s))
			continue;
		to = &c->view.nodes[c->place[s]];
		id_copy(c->give.node, to->id);
		c->give.generation = to->generation;
		c->shards[s].hold = HOLD_LEAVING;
		do_put(c, CLUSTER_DETACH)->shard = s;
		return;
	}
}

void
work_detached(struct cluster *c, unsigned s)
{
	assert(c->shards[s].hold == HOLD_LEAVING);
	c->shards[s].hold = HOLD_GIVING;
}

static bool
give(struct cluster *c)
{
	for (unsigned s = 0; s < c->o.shards; s++) {
		struct cluster_do *d;

		if (c->shards[s].hold != HOLD_GIVING)
			continue;
		d = do_ask(c, CLUSTER_WORK, CLUSTER_GIVE);
		d->shard = s;
		d->epoch = c->shards[s].epoch;
		id_copy(d->node, c->give.node);
		d->generation = c->give.generation;
		return true;
	}
	return false;
}

/* Given, not given or perhaps: memory of it counts no more. If the row is still ours, it is taken again, and read. */
static void
given(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in)
{
	struct held *h = &c->shards[q->shard];

	h->hold = HOLD_NONE;
	h->tried = true;
	if (in->answer != CLUSTER_OK)
		return;
	h->epoch++;
	c->give.shard = q->shard;
	c->give.epoch = h->epoch;
	c->give.until_us = c->now_us + GIVEN_BEATS * c->o.times.beat_us;
}

/* ---- */

void
work_next(struct cluster *c)
{
	if (!c->viewed || c->phase == PHASE_ENDED)
		return;
	leave(c);
	if (!link_ready(c, CLUSTER_WORK))
		return;
	(void)(kill_next(c) || bury(c) || take(c) || give(c));
}

void
work_answered(struct cluster *c, const struct cluster_do *q, const struct cluster_input *in)
{
	if (in->answer == CLUSTER_DEAD) {
		do_end(c, CLUSTER_REPLACED,
		    "this node was taken for dead, and its shards are others'");
		return;
	}
	if (q->question == CLUSTER_KILL)
		c->kill.node[0] = '\0';
	else if (q->question == CLUSTER_BURY)
		buried(c, q, in);
	else if (q->question == CLUSTER_TAKE)
		taken(c, q, in);
	else if (q->question == CLUSTER_GIVE && in->answer != CLUSTER_LOCKED)
		given(c, q, in);
}

int64_t
work_wake(const struct cluster *c)
{
	int64_t at = NEVER;

	if (!c->viewed)
		return NEVER;
	for (unsigned i = 0; i < c->view.nnode; i++)
		at = sooner(at, dies_at(c, i));
	for (unsigned s = 0; s < c->o.shards; s++) {
		if (may_take(c))
			at = sooner(at, takeable_at(c, s));
		if (!something_moves(c) && !given_waits(c))
			at = sooner(at, giveable_at(c, s));
	}
	if (given_waits(c))
		at = sooner(at, c->give.until_us);
	return at > c->now_us
	    ? at
	    : c->now_us + c->o.times.beat_us / 10; /* the connection is busy, or away */
}
