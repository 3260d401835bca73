/*
 * A shard that has come to this node knows no session. Until each node has had those resumed whose links it holds, this one too, nothing else is taken
 * for it, so that no change and no call comes between (docs/spec/operate.md, O-261). A node that does not say so is waited for a second.
 *
 *   MAP: GREETS --> each node: OP_RESUME of each of its sessions, then RESUMED --> from all, or time is up --> MAP: SERVED, and what waits comes
 */
#include "peers/priv.h"

#define KNOWN_US INT64_C(1000000)

static uint64_t
bit(uint32_t n)
{
	return UINT64_C(1) << n;
}

void
known_begins(struct peers *p, uint32_t shard)
{
	struct mine *m = &p->mine[shard];

	m->awaits = bit(p->o.slot);
	m->until_us = loop_now_us(p->loop) + KNOWN_US;
	for (uint16_t n = 0; n < NODES; n++)
		if (p->nodes[n].up)
			m->awaits |= bit(n);
}

void
known_link(struct peers *p, uint16_t slot, bool up)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct mine *m = &p->mine[s];

		if (m->state == MINE_GREETS)
			m->awaits = up ? m->awaits | bit(slot) : m->awaits & ~bit(slot);
	}
}

void
known_here(struct peers *p, uint32_t shard)
{
	const struct server *at = &p->servers[shard];
	size_t begun;

	if (at->owner == RELAY_SELF) {
		p->mine[shard].awaits &= ~bit(p->o.slot);
	} else if (at->owner >= 0) {
		p->out.n = 0;
		begun = frame_begin(&p->out, FRAME_RESUMED);
		numbers_write(&p->out, shard, at->epoch);
		(void)frame_end(&p->out, begun); /* two numbers always fit */
		(void)peers_send(p, (uint16_t)at->owner);
	}
}

enum err
known_said(struct peers *p, uint16_t slot, struct str body, struct fault *f)
{
	uint64_t shard, epoch;
	enum err e = numbers_read(body, &shard, &epoch, f);

	if (e == ERR_OK && shard < SHARDS && p->mine[shard].epoch == epoch)
		p->mine[shard].awaits &= ~bit(slot);
	return e;
}

void
known_ends(struct peers *p, uint32_t shard)
{
	p->mine[shard].state = MINE_HERE;
	p->opening |= bit(shard);
	fleet_known(p->fleet, shard);
	moves_map(p, PEERS_NOBODY);
	moves_served(p, shard);
}

void
known_settle(struct peers *p)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		const struct mine *m = &p->mine[s];

		if (m->state == MINE_GREETS &&
		    (m->awaits == 0 || loop_now_us(p->loop) >= m->until_us))
			known_ends(p, s);
	}
}
