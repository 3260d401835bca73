/*
 * Shards that come to this node and go, and what nodes say of it to each other.
 *
 *   NOT --peers_take--> COMES --the fleet has it--> GREETS --sessions are known--> HERE --peers_release--> GOES --the fleet has forgotten it--> NOT
 *
 * Who serves a shard says so (MAP): by the epoch with which it got it, which stays the same as long as it has it. A later epoch is another
 * possession, of the same node perhaps. The database's view alone sends nobody anywhere: who has taken a shard there has still to read it.
 */
#include "peers/priv.h"

#include <stdlib.h>

/* ---- who serves a shard ---- */

static bool
same_server(const struct server *a, const struct server *b)
{
	return a->owner == b->owner && a->epoch == b->epoch && a->nth == b->nth;
}

static void
served_by(struct peers *p, uint32_t shard, int owner, uint64_t epoch, bool greets)
{
	struct server *at = &p->servers[shard];
	struct server by = { owner, epoch, owner >= 0 ? p->nodes[owner].nth : 0 };

	if (at->owner != RELAY_NOBODY && epoch < at->epoch)
		return;
	if (!same_server(at, &by)) {
		if (at->owner >= 0 && at->owner != owner)
			p->leavers[shard] = at->owner;
		*at = by;
		relay_hold(p->relay, shard); /* who has it does not know the sessions */
		p->strange |= UINT64_C(1) << shard;
	}
	if (greets)
		p->greets |= UINT64_C(1) << shard;
	else
		moves_served(p, shard);
	relay_owner_is(p->relay, shard, epoch, owner);
}

/* ---- its sessions are resumed, before anything else goes there (O-236) ---- */

static void
all_known(struct peers *p, uint32_t shard)
{
	known_here(p, shard);
	if (!(p->greets >> shard & 1))
		relay_go(p->relay, shard);
}

void
moves_served(struct peers *p, uint32_t shard)
{
	p->greets &= ~(UINT64_C(1) << shard);
	if (!(p->strange >> shard & 1) && !p->comebacks[shard].under_way)
		relay_go(p->relay, shard);
}

static void
resumed(struct msg *m)
{
	struct comeback *c = container_of(m, struct comeback, msg);
	struct peers *p = c->p;
	uint32_t s = c->r.shard;

	c->under_way = false;
	if (!(p->strange >> s & 1)) /* else it is another's by now, who knows none of them */
		all_known(p, s);
	peers_settle(p);
}

static void
resumption_over(struct resumption *r)
{
	struct comeback *c = container_of(r, struct comeback, r);

	if (c->p->loop != NULL) /* else it stops, and its loops' last words come */
		loop_post(c->p->loop, &c->msg);
}

static void
resume(struct peers *p, uint32_t shard)
{
	struct comeback *c = &p->comebacks[shard];

	p->strange &= ~(UINT64_C(1) << shard);
	c->p = p;
	c->msg.run = resumed;
	c->r.shard = shard;
	c->r.over = resumption_over;
	c->under_way = true;
	if (!fleet_resume(p->fleet, &c->r)) {
		c->under_way = false;
		all_known(p, shard);
	}
}

/* Has who had it before, as far as he is reached, more to say of it? What his last changes told sessions here came before his word that he has it
 * no more, but by another link than that of who has it now. */
static bool
is_being_left(const struct peers *p, uint32_t shard)
{
	return p->leavers[shard] >= 0 && p->nodes[p->leavers[shard]].up;
}

/* Answers of whom it had before have come home by now: so each session that he has let in is there to be resumed. */
void
moves_resume(struct peers *p)
{
	for (uint64_t rest = p->strange; rest != 0; rest &= rest - 1) {
		uint32_t s = (uint32_t)__builtin_ctzll(rest);

		if (!p->comebacks[s].under_way && relay_is_held(p->relay, s) &&
		    !is_being_left(p, s) && !p->stopped)
			resume(p, s);
	}
}

static void
served_no_more(struct peers *p, uint32_t shard)
{
	p->servers[shard].owner = RELAY_NOBODY;
	relay_nobody(p->relay, shard);
}

void
moves_link_down(struct peers *p, uint16_t slot)
{
	uint64_t lost = 0;

	for (uint32_t s = 0; s < SHARDS; s++) {
		if (p->servers[s].owner != slot)
			continue;
		p->servers[s].owner = RELAY_NOBODY;
		lost |= UINT64_C(1) << s;
	}
	relay_link_down(p->relay, slot);
	fleet_lost(p->fleet, lost);
}

/* ---- what is said ---- */

void
moves_map(struct peers *p, uint16_t slot)
{
	static const uint8_t states[] = { [MINE_NOT] = SHARD_NOT_KNOWN,
		[MINE_COMES] = SHARD_LOADING,
		[MINE_GREETS] = SHARD_GREETS,
		[MINE_HERE] = SHARD_SERVED,
		[MINE_GOES] = SHARD_LEAVING };
	struct shard_map map = { 0 };
	size_t begun;

	for (uint32_t s = 0; s < SHARDS; s++)
		map.of[s] =
		    (struct shard_at){ p->mine[s].epoch, p->o.slot, states[p->mine[s].state] };
	p->out.n = 0;
	begun = frame_begin(&p->out, FRAME_MAP);
	map_write(&p->out, &map);
	(void)frame_end(&p->out, begun); /* it is of one size, nearly */
	for (uint16_t n = 0; n < NODES; n++)
		if (p->nodes[n].up && (slot == n || slot == PEERS_NOBODY))
			(void)peers_send(p, n);
}

enum err
moves_mapped(struct peers *p, uint16_t slot, struct str body, struct fault *f)
{
	struct shard_map map;
	enum err e = map_read(body, &map, f);

	for (uint32_t s = 0; e == ERR_OK && s < SHARDS; s++) {
		const struct shard_at *at = &map.of[s];

		if ((at->state == SHARD_SERVED || at->state == SHARD_GREETS) && at->slot == slot)
			served_by(p, s, slot, at->epoch, at->state == SHARD_GREETS);
		else if (p->servers[s].owner == slot)
			served_no_more(p, s);
		if (at->state == SHARD_LEAVING)
			p->leavers[s] = slot;
		else if (p->leavers[s] == slot)
			p->leavers[s] = RELAY_NOBODY;
	}
	return e;
}

/* Whose the database says it is has not said so itself yet: but who had it before has it no more. The rest is said again. */
void
moves_viewed(struct peers *p, const struct peers_view *v)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		const struct server *at = &p->servers[s];

		if (at->owner == RELAY_NOBODY)
			continue;
		if (at->owner >= 0 && v->shards[s].slot != at->owner &&
		    v->shards[s].epoch > at->epoch)
			served_no_more(p, s);
		else
			relay_owner_is(p->relay, s, at->epoch, at->owner);
	}
}

/* ---- it comes ---- */

static void
ask_over(struct shift_ask *a)
{
	a->p->mine[a->shard].ask = NULL;
	if (!a->p->stopped)
		a->done(a->ctx, a->shard, a->e, &a->why);
	free(a);
}

static void
here(struct peers *p, uint32_t shard)
{
	p->mine[shard].state = MINE_HERE;
	p->opening |= UINT64_C(1) << shard;
	served_by(p, shard, RELAY_SELF, p->mine[shard].epoch, false);
}

static void
greets(struct peers *p, uint32_t shard)
{
	p->mine[shard].state = MINE_GREETS;
	known_begins(p, shard);
	served_by(p, shard, RELAY_SELF, p->mine[shard].epoch, true);
}

static void
came(struct msg *m)
{
	struct shift_ask *a = container_of(m, struct shift_ask, msg);
	struct peers *p = a->p;

	if (a->e == ERR_OK)
		greets(p, a->shard);
	else
		p->mine[a->shard].state = MINE_NOT;
	moves_map(p, PEERS_NOBODY);
	ask_over(a);
	peers_settle(p);
}

static void
moved(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct shift_ask *a = ctx;

	(void)shard;
	a->e = e;
	a->why = *why;
	loop_post(a->p->loop, &a->msg);
}

static void
takes(struct msg *m)
{
	struct shift_ask *a = container_of(m, struct shift_ask, msg);
	struct mine *mine = &a->p->mine[a->shard];
	enum err e;

	a->e = ERR_ARG;
	if (mine->state != MINE_NOT || a->p->stopped) {
		fault_set(&a->why, F_ServerError, "it is here, or on its way");
		ask_over(a);
		return;
	}
	a->msg.run = came;
	e = fleet_take(a->p->fleet, a->shard, a->worker, moved, a); /* it may be moved by now */
	if (e != ERR_OK) {
		a->e = e;
		fault_set(&a->why, F_ServerError, "the fleet does not take it");
		ask_over(a);
		return;
	}
	mine->state = MINE_COMES;
	mine->epoch = a->epoch;
	mine->ask = a;
}

static struct shift_ask *
ask_new(struct peers *p, uint32_t shard, void (*run)(struct msg *m), shard_moved *done, void *ctx)
{
	struct shift_ask *a = xcalloc(1, sizeof(*a));

	a->msg.run = run;
	a->p = p;
	a->shard = shard;
	a->done = done;
	a->ctx = ctx;
	return a;
}

void
peers_take(
    struct peers *p, uint32_t shard, uint64_t epoch, unsigned worker, shard_moved *done, void *ctx)
{
	struct shift_ask *a = ask_new(p, shard, takes, done, ctx);

	a->epoch = epoch;
	a->worker = worker;
	loop_post(p->loop, &a->msg);
}

void
peers_has(struct peers *p, uint32_t shard, uint64_t epoch)
{
	p->mine[shard].epoch = epoch;
	here(p, shard);
	p->opening &= ~(UINT64_C(1) << shard);
	p->strange &= ~(UINT64_C(1) << shard); /* there are no sessions yet */
	relay_go(p->relay, shard);
}

void
moves_open(struct peers *p)
{
	for (uint64_t rest = p->opening; rest != 0; rest &= rest - 1) {
		uint32_t s = (uint32_t)__builtin_ctzll(rest);

		if (relay_is_clear(p->relay, s) && fleet_open(p->fleet, s))
			p->opening &= ~(UINT64_C(1) << s);
	}
}

/* ---- it goes ---- */

static void
went(struct msg *m)
{
	struct shift_ask *a = container_of(m, struct shift_ask, msg);
	struct peers *p = a->p;

	if (a->e == ERR_OK)
		p->mine[a->shard].state = MINE_NOT;
	else
		here(p, a->shard);
	moves_map(p, PEERS_NOBODY);
	ask_over(a);
	peers_settle(p);
}

static void
releases(struct msg *m)
{
	struct shift_ask *a = container_of(m, struct shift_ask, msg);
	struct peers *p = a->p;
	struct mine *mine = &p->mine[a->shard];
	enum err e;

	a->e = ERR_ARG;
	if (mine->state == MINE_GREETS)
		known_ends(p, a->shard);
	if (mine->state != MINE_HERE || p->stopped) {
		fault_set(&a->why, F_ServerError, "it is not here");
		ask_over(a);
		return;
	}
	mine->state = MINE_GOES;
	mine->ask = a;
	p->opening &= ~(UINT64_C(1) << a->shard);
	served_no_more(p, a->shard);
	moves_map(p, PEERS_NOBODY);
	a->msg.run = went;
	e = fleet_release(p->fleet, a->shard, moved, a);
	if (e == ERR_OK)
		return;
	a->e = e;
	went(m);
}

void
peers_release(struct peers *p, uint32_t shard, shard_moved *done, void *ctx)
{
	loop_post(p->loop, &ask_new(p, shard, releases, done, ctx)->msg);
}
