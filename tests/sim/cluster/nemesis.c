/* What goes wrong, until peace: then all of it is over. */
#include "sim.h"

static int
a_process(struct world *w)
{
	int i = (int)rnd_below(&w->r, SLOTS);

	for (int k = 0; k < SLOTS && !w->procs[i].alive; k++)
		i = (i + 1) % SLOTS;
	return i;
}

/* ---- processes ---- */

static void
stop_until(struct proc *p, int t, int64_t at_us)
{
	p->until_us[t] = at_us > p->until_us[t] ? at_us : p->until_us[t];
}

/* Its threads go on one after the other, in any order. */
static void
stop(struct world *w)
{
	struct proc *p = &w->procs[a_process(w)];
	int64_t us = between(w, 50 * MS, one_in(w, 2) ? 9 * S : 2 * S);

	seen.stops++;
	for (int t = 0; t < THREADS; t++)
		stop_until(p, t, w->now_us + us + between(w, 0, 5 * MS));
	trace(w, "nemesis: %d is stopped for %lld ms", slot_of(w, p), (long long)us / 1000);
}

static void
stop_thread(struct world *w)
{
	struct proc *p = &w->procs[a_process(w)];
	int t = (int)rnd_below(&w->r, THREADS);

	stop_until(p, t, w->now_us + between(w, 50 * MS, 7 * S));
	trace(w, "nemesis: thread %d of %d is stopped", t, slot_of(w, p));
}

/* At its next beat, while that is under way: the answer is there, and nobody hears it. */
static void
trap(struct world *w)
{
	w->trap = a_process(w) + 1;
}

static void
revokes(struct world *w, struct event *e)
{
	if (!w->peace) {
		seen.revoked++;
		server_mark(w, e->a, CLUSTER_REVOKED);
	}
}

/* The last of them is revoked sometimes, soon after it is back. */
static void
starts(struct world *w, struct event *e)
{
	if (w->procs[e->a].alive || (e->a >= NODES && w->peace))
		return;
	proc_start(w, &w->procs[e->a]);
	if (e->a == w->nid - 1 && one_in(w, 4))
		later(w, between(w, 20 * MS, 2 * S), revokes)->a = e->a;
}

static void
crash(struct world *w)
{
	int i = a_process(w);

	if (!w->procs[i].alive)
		return;
	seen.crashes++;
	trace(w, "nemesis: %d is killed", i);
	proc_end(w, &w->procs[i]);
	later(w, between(w, 300 * MS, 9 * S), starts)->a = i;
}

static void
other_dir(struct world *w)
{
	int i = NODES + (int)rnd_below(&w->r, SLOTS - NODES);

	if (w->procs[i].alive)
		return;
	seen.other_dirs++;
	w->procs[i].id = (int)rnd_below(&w->r, (uint32_t)w->nid);
	w->procs[i].dir = i + 1;
	trace(w, "nemesis: node %c from another directory, %d", 'a' + w->procs[i].id, i);
	proc_start(w, &w->procs[i]);
}

static void
disk_has_room(struct world *w, struct event *e)
{
	w->procs[e->a].disk_full = false;
}

static void
disk_full(struct world *w)
{
	int i = a_process(w);

	w->procs[i].disk_full = true;
	later(w, between(w, 1 * S, 8 * S), disk_has_room)->a = i;
}

static void
clock_is_right(struct world *w, struct event *e)
{
	w->procs[e->a].wall_off_us = 0;
}

static void
clock_wrong(struct world *w)
{
	int i = a_process(w);

	seen.clocks_wrong++;
	w->procs[i].wall_off_us = (one_in(w, 2) ? 1 : -1) * between(w, 12 * S, 3600 * S);
	later(w, between(w, 2 * S, 15 * S), clock_is_right)->a = i;
	trace(w, "nemesis: clock of %d", i);
}

/* ---- the network ---- */

static void joined(struct world *w, struct event *e);

static void
cut_way(struct world *w, int slot, int server, int way, int64_t us)
{
	struct event *e = later(w, us, joined);

	w->cut[slot][server][way] = true;
	w->cut_until_us[slot][server][way] = w->now_us + us;
	e->a = slot;
	e->x = server << 1 | way;
}

void
trapped(struct world *w, struct event *e)
{
	int64_t us = between(w, 100 * MS, 8 * S);

	if (w->peace)
		return;
	seen.traps++;
	trace(w, "nemesis: %d is trapped in its beat", e->a);
	for (int t = 0; t < THREADS; t++)
		if (t == T_BEAT || one_in(w, 2))
			stop_until(&w->procs[e->a], t, w->now_us + us + between(w, 0, 5 * MS));
	for (int v = 0; v < SERVERS && one_in(w, 2); v++)
		cut_way(w, e->a, v, 0, us + between(w, 0, 8 * S));
}

static void
joined(struct world *w, struct event *e)
{
	if (w->cut_until_us[e->a][e->x >> 1][e->x & 1] <= w->now_us)
		w->cut[e->a][e->x >> 1][e->x & 1] = false;
}

static void
cut(struct world *w)
{
	int i = a_process(w), ways = 1 + (int)rnd_below(&w->r, 3),
	    servers = 1 + (int)rnd_below(&w->r, 3);
	int64_t us = between(w, 200 * MS, 10 * S);

	seen.cuts++;
	trace(w, "nemesis: %d is cut off from %d, ways %d, for %lld ms", i, servers, ways,
	    (long long)us / 1000);
	for (int v = 0; v < SERVERS; v++)
		for (int way = 0; way < 2; way++) {
			if (servers >> v & 1 && ways >> way & 1)
				cut_way(w, i, v, way, us);
		}
}

static void
together(struct world *w, struct event *e)
{
	w->apart[e->a][e->x] = false;
}

static void
mesh_cut(struct world *w)
{
	int a = a_process(w), b = a_process(w);
	struct event *e = later(w, between(w, 200 * MS, 8 * S), together);

	w->apart[a][b] = true;
	e->a = a;
	e->x = b;
}

static void
swift(struct world *w, struct event *e)
{
	(void)e;
	w->slow_us = 0;
}

static void
slow(struct world *w)
{
	w->slow_us = between(w, 5 * MS, 2 * S);
	later(w, between(w, 500 * MS, 6 * S), swift);
}

/* ---- PostgreSQL ---- */

static void
back_as_standby(struct world *w, struct event *e)
{
	if (e->a == w->truth || w->servers[e->a].role == ROLE_STANDBY)
		return;
	if (w->servers[w->truth].role == ROLE_PRIMARY)
		server_joins(w, e->a);
	else
		later(w, 1 * S, back_as_standby)->a = e->a;
}

static void
promote(struct world *w, struct event *e)
{
	const struct server *s = &w->servers[e->a];

	if (w->peace || s->role != ROLE_STANDBY || s->lsn < 0 || e->a == w->truth)
		return;
	trace(w, "nemesis: %d is promoted", e->a);
	server_promote(w, e->a);
	later(w, between(w, 500 * MS, 7 * S), back_as_standby)->a = !e->a;
}

/* The primary is gone, or lives on and its standby hears nothing of it. One that is behind is not promoted, but where all is misconfigured. */
static void
failover(struct world *w)
{
	struct server *p = &w->servers[w->truth], *s = &w->servers[!w->truth];

	if (p->role != ROLE_PRIMARY || s->role != ROLE_STANDBY || s->lsn < 0 || !p->names ||
	    !p->linked || (s->lsn < p->acked && !w->forgetful))
		return;
	p->linked = false;
	if (one_in(w, 2))
		server_crash(w, w->truth);
	trace(
	    w, "nemesis: failover, the primary %s", p->role == ROLE_DOWN ? "is gone" : "lives on");
	later(w, between(w, 200 * MS, 4 * S), promote)->a = !w->truth;
}

static void
up_again(struct world *w, struct event *e)
{
	if (w->servers[e->a].role == ROLE_DOWN && e->a == w->truth)
		server_restart(w, e->a);
}

static void
server_falls(struct world *w)
{
	if (w->servers[w->truth].role != ROLE_PRIMARY || !w->servers[w->truth].linked)
		return;
	seen.server_restarts++;
	trace(w, "nemesis: the primary starts anew");
	server_crash(w, w->truth);
	later(w, between(w, 200 * MS, 4 * S), up_again)->a = w->truth;
}

static void
linked_again(struct world *w, struct event *e)
{
	if (e->a == w->truth && w->servers[!w->truth].role == ROLE_STANDBY)
		server_link(w, true);
}

static void
standby_stops(struct world *w)
{
	if (!w->servers[w->truth].linked || w->servers[!w->truth].role != ROLE_STANDBY)
		return;
	server_link(w, false);
	later(w, between(w, 100 * MS, 6 * S), linked_again)->a = w->truth;
	trace(w, "nemesis: the standby stops");
}

static void
names_back(struct world *w, struct event *e)
{
	w->servers[e->a].names = true;
}

/* Only where the standby follows: what is acknowledged in that second has no guarantee. */
static void
names_emptied(struct world *w)
{
	struct server *p = &w->servers[w->truth];

	if (p->role != ROLE_PRIMARY || !p->linked || !p->names || w->forgetful)
		return;
	seen.emptied++;
	trace(w, "nemesis: synchronous_standby_names is empty");
	server_names(w, w->truth, false);
	later(w, between(w, 500 * MS, 5 * S), names_back)->a = w->truth;
}

static void
backend_ends(struct world *w)
{
	struct server *p = &w->servers[w->truth];
	bool cancel = one_in(w, 2);

	for (int k = 0; k < 8 && p->nbackend > 0 && p->role == ROLE_PRIMARY; k++) {
		int b = (int)rnd_below(&w->r, (uint32_t)p->nbackend);

		if (!p->backends[b].alive || (k < 6 && p->backends[b].tx == NULL))
			continue;
		seen.cancelled++;
		server_kill(w, w->truth, b, cancel);
		return;
	}
}

/* ---- by hand ---- */

static void
drain(struct world *w)
{
	if (w->drains || one_in(w, 2))
		return;
	w->drains = true;
	seen.drained++;
	server_mark(w, (int)rnd_below(&w->r, (uint32_t)w->nid), CLUSTER_DRAINING);
}

/* One node at most: the last of three. */
static void
revoke(struct world *w)
{
	if (one_in(w, 3)) {
		seen.revoked++;
		trace(w, "nemesis: %c is revoked", 'a' + w->nid - 1);
		server_mark(w, w->nid - 1, CLUSTER_REVOKED);
	}
}

/* A change of what is hub-wide: answered when all live nodes work by it, or when their leases are over. */
static bool
all_have_it(const struct world *w, int64_t common)
{
	for (int id = 0; id < w->nid; id++) {
		const struct node_row *n = &truth(w)->node[id];
		bool has = !n->there ||
		    n->state == CLUSTER_BURIED; /* one that was revoked may have its lease yet */

		for (int i = 0; i < SLOTS; i++)
			has |= w->procs[i].alive && w->procs[i].id == id &&
			    cluster_generation(w->procs[i].c) == n->generation &&
			    w->procs[i].in_force >= common;
		if (!has)
			return false;
	}
	return true;
}

/* A node that was asked for it, and waits for the word of all, answers. */
static bool
a_node_says_so(const struct world *w, int64_t common)
{
	for (int i = 0; i < SLOTS; i++) {
		const struct proc *p = &w->procs[i];
		struct cluster_spread s;

		if (!p->alive || p->life != w->put_life[i])
			continue;
		s = cluster_spread(p->c);
		if (s.sent_us > w->put_us[i] && s.least >= common)
			return true;
	}
	return false;
}

/* x: the version; a: looks that are left */
static void
put_answered(struct world *w, struct event *e)
{
	struct event *next;

	if (w->answered_common >= e->x || e->life != (uint32_t)w->forgets)
		return;
	seen.spreads += a_node_says_so(w, e->x);
	if (e->a == 0 || all_have_it(w, e->x) || a_node_says_so(w, e->x)) {
		w->answered_common = e->x;
		return;
	}
	next = later(w, 100 * MS * 10 / 11, put_answered);
	next->a = e->a - 1;
	next->x = e->x;
	next->life = e->life;
}

static void
put_made(struct world *w, struct event *e)
{
	struct event *next;

	if (w->put_common <= e->x) {
		if (e->a > 0) {
			next = later(w, 50 * MS, put_made);
			next->a = e->a - 1;
			next->x = e->x;
		}
		return;
	}
	for (int i = 0; i < SLOTS; i++) {
		w->put_us[i] = local_us(w, &w->procs[i]);
		w->put_life[i] = w->procs[i].life;
	}
	next = later(w, 1, put_answered);
	next->a = 60; /* D by a clock that is a tenth too fast */
	next->x = w->put_common;
	next->life = (uint32_t)w->forgets;
}

static void
put_common(struct world *w)
{
	struct event *e = later(w, 20 * MS, put_made);

	e->x = w->put_common;
	e->a = 100;
	server_put(w);
}

void
nemesis(struct world *w, struct event *e)
{
	static void (*const all[])(struct world *) = { trap, trap, trap, stop, stop, stop,
		stop_thread, stop_thread, crash, crash, other_dir, disk_full, clock_wrong, cut, cut,
		cut, mesh_cut, slow, failover, failover, server_falls, standby_stops, names_emptied,
		backend_ends, backend_ends, drain, revoke, put_common, put_common };

	(void)e;
	if (w->peace)
		return;
	all[rnd_below(&w->r, sizeof(all) / sizeof(all[0]))](w);
	later(w, between(w, 20 * MS, one_in(w, 4) ? 5 * S : 900 * MS), nemesis);
}

void
peace(struct world *w)
{
	w->peace = true;
	w->peace_us = w->now_us;
	w->slow_us = 0;
	memset(w->cut, 0, sizeof(w->cut));
	memset(w->apart, 0, sizeof(w->apart));
	trace(w, "peace");
	if (w->servers[w->truth].role == ROLE_DOWN)
		server_restart(w, w->truth);
	server_names(w, w->truth, true);
	if (w->servers[!w->truth].role != ROLE_STANDBY)
		server_joins(w, !w->truth);
	server_link(w, true);
	for (int i = 0; i < SLOTS; i++) {
		struct proc *p = &w->procs[i];

		p->wall_off_us = 0;
		p->disk_full = false;
		if (!p->alive && i < w->nid)
			proc_start(w, p);
	}
}
