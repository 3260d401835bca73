/* The calls of section 3, each as it judges what it finds when it has its locks. */
#include "server.h"

static bool
lives(const struct tables *t, int id, int64_t generation)
{
	return id >= 0 && t->node[id].there && t->node[id].generation == generation &&
	    t->node[id].state <= CLUSTER_DRAINING;
}

static int
id_of(const char *node)
{
	return node[0] - 'a';
}

static void
view_make(const struct world *w, const struct tables *t, struct msg *m)
{
	struct cluster_view *v = m->view = need(sizeof(*v));
	int at[NODES];

	for (int i = 0; i < w->nid; i++) {
		if (!t->node[i].there)
			continue;
		at[i] = (int)v->nnode;
		v->nodes[v->nnode++] = (struct cluster_node){ .id = { (char)('a' + i) },
			.generation = t->node[i].generation,
			.beat = t->node[i].beat,
			.state = t->node[i].state,
			.takes = t->node[i].takes };
	}
	for (int s = 0; s < SHARDS; s++)
		v->rows[s] = (struct cluster_row){ t->shard[s].epoch, t->shard[s].pos,
			t->shard[s].owner < 0 ? -1 : at[t->shard[s].owner],
			t->shard[s].generation };
	m->in.view = v;
}

static int64_t
least_of_others(const struct tables *t, int me)
{
	int64_t least = INT64_MAX;

	for (int i = 0; i < NODES; i++)
		if (i != me && t->node[i].there && t->node[i].state <= CLUSTER_DRAINING &&
		    t->node[i].common < least)
			least = t->node[i].common;
	return least;
}

static enum cluster_answer
call_beat(struct world *w, struct tx *tx, int me, int64_t generation)
{
	struct node_row *n = &tx->after.node[me];
	struct server *s = &w->servers[tx->server];

	if (!lives(&tx->after, me, generation))
		return CLUSTER_DEAD;
	n->beat++;
	n->takes = tx->m->d.takes;
	n->common = tx->m->d.common;
	tx->m->in.least = least_of_others(&tx->after, me);
	tx->nodes = 1u << me;
	tx->m->in.beat = n->beat;
	tx->m->in.common = tx->after.common;
	tx->m->in.synchronous = s->names;
	tx->m->in.clock_us = w->now_us + s->clock_off_us;
	view_make(w, &tx->after, tx->m);
	return CLUSTER_OK;
}

static enum cluster_answer
call_begin(struct world *w, struct tx *tx, const struct proc *p)
{
	struct node_row *n = &tx->after.node[p->id];
	const struct cluster_do *d = &tx->m->d;
	int64_t generation;

	if (n->there &&
	    (n->state == CLUSTER_REVOKED || n->generation != d->generation ||
	        (n->dir != p->dir && n->beat != d->beat)))
		return CLUSTER_NO;
	generation = w->now_us + w->servers[tx->server].clock_off_us +
	    10 * S; /* one that nobody else gets, whatever is forgotten */
	*n = (struct node_row){ .there = true,
		.takes = n->there && n->takes,
		.generation = generation > n->generation ? generation : n->generation + 1,
		.beat = n->beat,
		.dir = p->dir };
	tx->nodes = 1u << p->id;
	tx->m->in.generation = n->generation;
	tx->m->in.beat = n->beat;
	tx->m->in.clock_us = w->now_us + w->servers[tx->server].clock_off_us;
	w->servers[tx->server].backends[tx->backend].generation =
	    n->generation; /* its name from here on */
	return CLUSTER_OK;
}

static enum cluster_answer
call_look(struct tx *tx, const struct proc *p)
{
	const struct node_row *n = &tx->after.node[p->id];

	tx->m->in.there = n->there;
	tx->m->in.same = n->dir == p->dir;
	tx->m->in.generation = n->generation;
	tx->m->in.beat = n->beat;
	tx->m->in.state = n->state;
	return CLUSTER_OK;
}

static enum cluster_answer
call_bury(struct tx *tx)
{
	const struct cluster_do *d = &tx->m->d;
	struct node_row *n = &tx->after.node[id_of(d->node)];

	if (!lives(&tx->after, id_of(d->node), d->generation) || n->beat != d->beat)
		return CLUSTER_NO;
	n->state = CLUSTER_BURIED;
	tx->nodes = 1u << id_of(d->node);
	return CLUSTER_OK;
}

static enum cluster_answer
call_take(struct tx *tx, int me, int64_t generation)
{
	struct shard_row *r = &tx->after.shard[tx->m->d.shard];

	if (!lives(&tx->after, me, generation))
		return CLUSTER_DEAD;
	if (!(r->owner == me && r->generation == generation) &&
	    !(r->epoch == tx->m->d.epoch && !lives(&tx->after, r->owner, r->generation)))
		return CLUSTER_NO;
	r->epoch++;
	r->owner = me;
	r->generation = generation;
	tx->shards = 1u << tx->m->d.shard;
	tx->m->in.epoch = r->epoch;
	tx->m->in.pos = r->pos;
	return CLUSTER_OK;
}

static enum cluster_answer
call_give(struct tx *tx, int me, int64_t generation)
{
	const struct cluster_do *d = &tx->m->d;
	struct shard_row *r = &tx->after.shard[d->shard];

	if (r->owner != me || r->generation != generation || r->epoch != d->epoch ||
	    !lives(&tx->after, id_of(d->node), d->generation))
		return CLUSTER_NO;
	r->epoch++;
	r->owner = id_of(d->node);
	r->generation = d->generation;
	tx->shards = 1u << d->shard;
	return CLUSTER_OK;
}

static enum cluster_answer
call_commit(struct tx *tx, int me, int64_t generation)
{
	struct msg *m = tx->m;

	for (int s = 0; s < SHARDS; s++) {
		struct shard_row *r = &tx->after.shard[s];

		if (!(m->mask >> s & 1))
			continue;
		if (r->epoch != m->epoch[s] || r->pos != m->pos[s] || r->owner != me ||
		    r->generation != generation) {
			m->fenced = true;
			return CLUSTER_FAILED;
		}
		r->pos++;
		tx->after.value[s] = m->value[s];
	}
	tx->shards = tx->values = (uint32_t)m->mask;
	return CLUSTER_OK;
}

static void
kill_named(struct world *w, struct tx *tx)
{
	const struct cluster_do *d = &tx->m->d;
	struct server *s = &w->servers[tx->server];
	bool own = tx->m->conn == T_COMMIT;

	for (int b = 0; b < s->nbackend; b++)
		if (b != tx->backend && s->backends[b].alive &&
		    s->backends[b].id == id_of(d->node) &&
		    s->backends[b].generation == d->generation &&
		    (!own || s->backends[b].conn == T_COMMIT)) {
			seen.killed++;
			server_kill(w, tx->server, b, false);
		}
}

static enum cluster_answer
call_copy(struct tx *tx, int me, int64_t generation)
{
	tx->m->in.epoch = tx->after.shard[tx->m->d.shard].epoch;
	tx->m->value[0] = tx->after.value[tx->m->d.shard];
	tx->m->in.same = tx->after.shard[tx->m->d.shard].owner == me &&
	    tx->after.shard[tx->m->d.shard].generation == generation;
	return CLUSTER_OK;
}

static enum cluster_answer
call_mark(struct tx *tx)
{
	int id = id_of(tx->m->d.node);
	struct node_row *n = &tx->after.node[id];

	if (!n->there || n->state > CLUSTER_DRAINING)
		return CLUSTER_NO;
	n->state = (enum cluster_state)tx->m->d.beat;
	tx->nodes = 1u << id;
	return CLUSTER_OK;
}

enum cluster_answer
call(struct world *w, struct tx *tx)
{
	const struct backend *b =
	    tx->backend < 0 ? NULL : &w->servers[tx->server].backends[tx->backend];
	const struct proc *p = b == NULL ? NULL : &w->procs[b->slot];

	switch ((int)tx->m->d.question) {
	case CLUSTER_KILL: kill_named(w, tx); return CLUSTER_OK;
	case CLUSTER_LOOK: return call_look(tx, p);
	case CLUSTER_BEGIN: return call_begin(w, tx, p);
	case CLUSTER_ASK_BEAT: return call_beat(w, tx, b->id, b->generation);
	case CLUSTER_BURY: return call_bury(tx);
	case CLUSTER_TAKE: return call_take(tx, b->id, tx->m->d.pos);
	case CLUSTER_GIVE: return call_give(tx, b->id, tx->m->d.pos);
	case Q_COMMIT: return call_commit(tx, b->id, b->generation);
	case Q_COPY: return call_copy(tx, b->id, b->generation);
	case Q_PUT: tx->after.common++, tx->common = true; return CLUSTER_OK;
	case Q_MARK: return call_mark(tx);
	}
	return CLUSTER_OK;
}

static void
want(struct tx *tx, int row, bool share)
{
	tx->wants[tx->nwant].row = row;
	tx->wants[tx->nwant++].share = share;
}

void
wants_make(struct tx *tx, int me)
{
	const struct cluster_do *d = &tx->m->d;

	switch ((int)d->question) {
	case CLUSTER_BEGIN:
	case CLUSTER_ASK_BEAT: want(tx, ROW_NODE + me, false); break;
	case CLUSTER_BURY: want(tx, ROW_NODE + id_of(d->node), false); break;
	case CLUSTER_TAKE:
		want(tx, ROW_NODE + me, true);
		want(tx, ROW_SHARD + (int)d->shard, false);
		break;
	case CLUSTER_GIVE: want(tx, ROW_SHARD + (int)d->shard, false); break;
	case Q_PUT: want(tx, ROW_HUB, false); break;
	case Q_MARK: want(tx, ROW_NODE + id_of(d->node), false); break;
	case Q_COMMIT:
		for (int s = 0; s < SHARDS; s++)
			if (tx->m->mask >> s & 1)
				want(tx, ROW_REC + s, false);
		for (int s = 0; s < SHARDS; s++)
			if (tx->m->mask >> s & 1)
				want(tx, ROW_SHARD + s, false);
		break;
	}
}
