/* What a beat has brought: how long others have been silent, whose the shards are and should be. */
#include "cluster/priv.h"

int
me_in(const struct cluster_view *v, const char *id)
{
	for (unsigned i = 0; i < v->nnode; i++)
		if (strcmp(v->nodes[i].id, id) == 0)
			return (int)i;
	return -1;
}

static bool
incarnation_lives(const struct cluster_view *v, int owner, int64_t generation)
{
	return owner >= 0 && v->nodes[owner].generation == generation &&
	    v->nodes[owner].state <= CLUSTER_DRAINING;
}

bool
row_has_owner(const struct cluster *c, unsigned shard)
{
	const struct cluster_row *r = &c->view.rows[shard];

	return incarnation_lives(&c->view, r->owner, r->generation);
}

bool
row_is_mine(const struct cluster *c, unsigned shard)
{
	const struct cluster_row *r = &c->view.rows[shard];

	return r->owner >= 0 && r->generation == c->generation &&
	    strcmp(c->view.nodes[r->owner].id, c->node) == 0;
}

bool
goes_back(struct cluster *c, unsigned shard, struct cluster_row was, int64_t epoch, int64_t pos)
{
	if (epoch >= was.epoch && pos >= was.pos)
		return false;
	do_end(c, CLUSTER_HISTORY,
	    "the database has lost what was acknowledged: shard %u, epoch %lld, has had %lld "
	    "commits, of which %lld are there, in epoch %lld",
	    shard, (long long)was.epoch, (long long)was.pos, (long long)pos, (long long)epoch);
	return true;
}

/* ---- other nodes ---- */

/* What was known of it stays so where nothing has come since. */
static struct peer
peer_seen(const struct cluster *c, const struct cluster_node *now)
{
	int i = c->viewed ? me_in(&c->view, now->id) : -1;
	const struct cluster_node *was = i < 0 ? NULL : &c->view.nodes[i];
	bool known = was != NULL && was->generation == now->generation;
	struct peer p = { .since_us = c->now_us, .lives_us = c->now_us, .revoked_us = NEVER };

	if (known) {
		p.lives_us = c->peers[i].lives_us;
		p.revoked_us = c->peers[i].revoked_us;
		if (was->beat == now->beat && !c->fresh) {
			p.since_us = c->peers[i].since_us;
			p.heard = c->peers[i].heard + !c->extra;
		}
	}
	if (now->state == CLUSTER_REVOKED && p.revoked_us == NEVER)
		p.revoked_us = c->now_us;
	return p;
}

static void
peers_seen(struct cluster *c, const struct cluster_view *v)
{
	struct peer now[CLUSTER_NODES_MAX];

	for (unsigned i = 0; i < v->nnode; i++)
		now[i] = peer_seen(c, &v->nodes[i]);
	memcpy(c->peers, now, v->nnode * sizeof(now[0]));
}

/* ---- shards ---- */

static void
shard_seen(struct cluster *c, unsigned s)
{
	struct held *h = &c->shards[s];
	const struct cluster_row *r = &c->view.rows[s];

	h->tried = false;
	if (h->hold == HOLD_NONE) {
		h->epoch = r->epoch > h->epoch ? r->epoch : h->epoch;
		h->pos = r->pos > h->pos ? r->pos : h->pos;
	}
	if (row_has_owner(c, s))
		h->orphan_us = NEVER;
	else if (h->orphan_us == NEVER)
		h->orphan_us = c->now_us;
}

/* What is held here is another's, or has been: it was given there by nobody. */
static void
held_is_anothers(struct cluster *c, unsigned s)
{
	const struct held *h = &c->shards[s];
	int64_t epoch = c->view.rows[s].epoch;

	if (h->hold != HOLD_OWNED && h->hold != HOLD_LOADING)
		return;
	if (!row_is_mine(c, s))
		do_end(c, CLUSTER_REPLACED, "shard %u is another node's, of epoch %lld", s,
		    (long long)epoch);
	else if (epoch > h->epoch + h->late + c->unknown.on)
		do_end(c, CLUSTER_HISTORY,
		    "the database has lost what was acknowledged: shard %u, epoch %lld, has been "
		    "another node's, and has epoch %lld",
		    s, (long long)h->epoch, (long long)epoch);
}

/* What is held is compared only if it was held when the beat was sent: a row that is older than its taking says nothing. */
static bool
held_since_sent(const struct cluster *c, unsigned s)
{
	return c->view.rows[s].epoch >= c->shards[s].epoch;
}

void
view_take(struct cluster *c, const struct cluster_view *v)
{
	assert(v->nnode <= CLUSTER_NODES_MAX);
	peers_seen(c, v);
	c->view = *v;
	c->viewed = true;
	c->fresh = false;
	cluster_place(&c->view, c->o.shards, c->place);
	for (unsigned s = 0; s < c->o.shards && c->phase != PHASE_ENDED; s++) {
		shard_seen(c, s);
		if (held_since_sent(c, s))
			held_is_anothers(c, s);
	}
}
