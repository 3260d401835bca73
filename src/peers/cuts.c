/*
 * Nodes that live, as the database says, and are not reached from here: nobody else serves their shards, so that links of devices here would wait for
 * ever. After a while these are closed, and may come to a node that reaches theirs (docs/spec/operate.md, O-262). Of a node that is dead the shards are
 * taken; and where the database is away nothing comes here, so nothing is closed.
 */
#include "peers/priv.h"

/* Since when each that lives is not reached. */
static void
look(struct peers *p, const struct peers_view *v, int64_t now_us)
{
	uint64_t lives = 0;

	for (unsigned i = 0; i < v->nnode; i++)
		lives |= UINT64_C(1) << v->nodes[i].slot % NODES;
	for (uint32_t n = 0; n < NODES; n++) {
		struct node *node = &p->nodes[n];

		if (node->up || !(lives >> n & 1))
			node->down_us = 0;
		else if (node->down_us == 0)
			node->down_us = now_us;
	}
}

static bool
is_cut(const struct peers *p, int slot, int64_t now_us)
{
	int64_t most_us = p->o.cut_us != 0 ? p->o.cut_us : PEERS_CUT_US;

	return slot >= 0 && slot < (int)NODES && slot != p->o.slot && p->nodes[slot].down_us != 0 &&
	    now_us - p->nodes[slot].down_us >= most_us;
}

void
cuts_viewed(struct peers *p, const struct peers_view *v)
{
	int64_t now_us = loop_now_us(p->loop);
	uint64_t was = p->cut;

	look(p, v, now_us);
	p->cut = 0;
	for (uint32_t s = 0; s < SHARDS; s++)
		if (is_cut(p, v->shards[s].slot, now_us))
			p->cut |= UINT64_C(1) << s;
	if ((p->cut & ~was) != 0)
		fleet_cut(p->fleet, p->cut & ~was);
}
