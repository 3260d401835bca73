/*
 * Nodes that hold links of sessions whose shards are here. When one is not heard of any more, what its works were to do is not done, and its sessions
 * are forgotten: at once and whole, before any work that it sends by its next link, for that may be the resumption of one of them.
 */
#include "hub/leave.h"
#include "worker/priv.h"

#include <stdlib.h>

#define MISSED_US INT64_C(10000000) /* until one that was not resumed has ended (O-237) */

struct edge_word {
	struct msg msg;
	struct worker *w;
	uint16_t slot;
};

static void
gone(struct msg *m)
{
	struct edge_word *e = container_of(m, struct edge_word, msg);
	struct worker *w = e->w;

	for (uint32_t s = next_held(w, 0); s < SHARDS; s = next_held(w, s + 1)) {
		w->env.undo = gate_undo(&w->gate);
		shard_edge_gone(
		    w->shards[s], (uint8_t)e->slot, w->env.elapsed_us + MISSED_US, &w->env);
		gate_settle(&w->gate);
		notes_behind_reply(w);
	}
	free(e);
}

bool
edges_drop(struct msg *m)
{
	if (m->run != gone)
		return false;
	free(container_of(m, struct edge_word, msg));
	return true;
}

void
fleet_edge(struct fleet *f, uint16_t slot, uint64_t nth)
{
	atomic_store(&f->edges[slot], nth);
	for (unsigned i = 0; nth == 0 && i < f->o.nworker; i++) {
		struct edge_word *e = xcalloc(1, sizeof(*e));

		e->msg.run = gone;
		e->w = &f->workers[i];
		e->slot = slot;
		mailbox_post(&e->w->box, &e->msg);
	}
}

bool
fleet_resume(struct fleet *f, struct resumption *r)
{
	if (f->o.resume == NULL)
		return false;
	atomic_store(&r->left, f->o.nloop);
	f->o.resume(r);
	return true;
}

void
fleet_lost(struct fleet *f, uint64_t shards)
{
	if (shards != 0 && f->o.lost != NULL)
		f->o.lost(shards);
}

void
fleet_cut(struct fleet *f, uint64_t shards)
{
	if (f->o.cut != NULL)
		f->o.cut(shards);
}
