/* A node: its connections, and what cluster_step asks for, each on the thread that does it, and later than it was asked. */
#include "sim.h"

#include <stdio.h>

#define PATIENCE_US (3 * S)

uint64_t
proc_lease(const struct world *w, const struct proc *p)
{
	return cluster_holds(cluster_lease(p->c), local_us(w, p));
}

static void
feed(struct world *w, struct proc *p, int conn, const struct cluster_input *in)
{
	struct cluster_input i = *in;

	i.what = CLUSTER_ANSWER;
	i.conn = (enum cluster_conn)conn;
	i.wall_us = w->now_us + p->wall_off_us;
	proc_step(w, p, &i);
}

/* ---- connections ---- */

/* Of what it was told in vain, that which differs from what there is: who finds all as it knows it, cannot know better. */
static uint32_t
still_lost(const struct world *w, const struct proc *p)
{
	uint32_t lost = 0;

	for (unsigned s = 0; s < SHARDS; s++) {
		const struct shard_row *r = &truth(w)->shard[s];
		int64_t epoch, pos;

		if (cluster_fence(p->c, s, &epoch, &pos) &&
		    (r->owner != p->id || r->generation != cluster_generation(p->c) ||
		        r->epoch != epoch || r->pos != pos))
			lost |= p->lost & 1u << s;
	}
	return lost;
}

static void
delivered(struct world *w, struct proc *p, int conn, struct msg *m)
{
	enum cluster_question question = p->conns[conn].question;

	trace(w, "%c%d hears: q %d answer %d", 'a' + p->id, slot_of(w, p), question, m->in.answer);
	if (question == Q_COPY)
		shards_copied(w, p, m);
	else if (question == Q_COMMIT)
		commit_answered(w, p, m);
	else
		feed(w, p, conn, &m->in);
	if (question == CLUSTER_ASK_BEAT && m->in.answer == CLUSTER_OK && p->alive)
		check_beat(w, p, m);
	if (p->lost != 0 && p->alive && m->server == w->truth && m->in.answer == CLUSTER_OK)
		p->lost = still_lost(w, p);
}

/* What it has been told that it has, until it gives it away. */
static void
taken(struct world *w, struct proc *p, const struct msg *m)
{
	if (p->conns[m->conn].question == CLUSTER_GIVE)
		p->taken[m->d.shard] = 0;
	if (p->conns[m->conn].question != CLUSTER_TAKE || m->in.answer != CLUSTER_OK)
		return;
	p->taken[m->d.shard] = m->in.epoch;
	if (w->forgets > 0 && m->server != w->truth)
		p->lost |= 1u << m->d.shard;
}

void
client_hears(struct world *w, struct event *e)
{
	struct msg *m = e->m;
	struct proc *p = &w->procs[m->slot];
	struct conn_of *k = &p->conns[m->conn];

	if (!k->open || m->serial != k->serial || m->number != k->number)
		return;
	if (m->in.answer == CLUSTER_LOST)
		k->open = false;
	if (!k->waits)
		return;
	k->waits = false;
	k->number++;
	p->lost |= m->vain;
	taken(w, p, m);
	delivered(w, p, m->conn, m);
}

static void
out_of_patience(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	struct conn_of *k = &p->conns[e->a];
	struct msg m = { .slot = e->slot, .conn = e->a, .in = { .answer = CLUSTER_LOST } };

	if (!k->waits || k->number != (uint32_t)e->x)
		return;
	k->open = k->waits = false;
	k->number++;
	delivered(w, p, e->a, &m);
}

void
proc_ask(struct world *w, struct proc *p, int conn, struct msg *m)
{
	struct conn_of *k = &p->conns[conn];
	struct event *e;
	int64_t us;

	assert(!k->waits);
	k->question = m->d.question;
	k->waits = true;
	e = later_on(w, p, (enum thread_of)conn,
	    k->open ? (int64_t)((double)PATIENCE_US / p->rate) : 0, out_of_patience);
	e->a = conn;
	e->x = k->number;
	m->slot = slot_of(w, p);
	m->conn = conn;
	m->life = p->life;
	m->serial = k->serial;
	m->number = k->number;
	m->server = k->server;
	m->backend = k->backend;
	if (w->trap == m->slot + 1 && m->d.question == CLUSTER_ASK_BEAT) {
		w->trap = 0;
		later(w, between(w, 200, 3 * MS), trapped)->a = m->slot;
	}
	us = k->open ? net_us(w, m->slot, k->server, false) : -1;
	if (us >= 0 && !w->peace &&
	    ((m->d.question == CLUSTER_BEGIN && one_in(w, 5)) ||
	        (m->d.question == CLUSTER_TAKE && one_in(w, 25))))
		us += between(w, 2 * S, 7 * S); /* given up, and done all the same */
	if (us < 0)
		msg_free(m);
	else
		later(w, us, server_hears)->m = m;
}

/* ---- dialling: one server of the list after the other ---- */

static void
dialled(struct world *w, struct proc *p, int conn, int backend, int server)
{
	struct conn_of *k = &p->conns[conn];

	k->open = backend >= 0;
	k->server = server;
	k->backend = backend;
	if (conn == T_BEAT)
		p->beats_us = w->now_us;
	if (conn == T_LOAD) {
		shard_loads(w, &(struct event){ .slot = slot_of(w, p), .a = 1 });
		return;
	}
	feed(
	    w, p, conn, &(struct cluster_input){ .answer = k->open ? CLUSTER_OK : CLUSTER_FAILED });
}

/* x: which one; a: the connection */
static void
dial(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	int server = (int)(e->x % SERVERS), backend;
	bool cut = w->cut[e->slot][server][0] || w->cut[e->slot][server][1];
	struct msg m = {
		.slot = e->slot, .conn = e->a, .life = p->life, .serial = ++p->conns[e->a].serial
	};
	struct event *next;

	backend = cut ? -1 : server_connect(w, server, &m);
	if (backend >= 0 || e->x >> 8 == 1) {
		dialled(w, p, e->a, backend, server);
		return;
	}
	next = later_on(w, p, e->thread,
	    cut || (w->servers[server].role == ROLE_DOWN && one_in(w, 2)) ? 3 * S : 2 * MS, dial);
	next->a = e->a;
	next->x = (e->x + 1) | 256;
}

static void
dial_begin(struct world *w, struct proc *p, int conn, unsigned host)
{
	struct event *e = later_on(w, p, (enum thread_of)conn, between(w, 500, 3000), dial);

	p->conns[conn].open = false;
	e->a = conn;
	e->x = host % SERVERS;
}

/* ---- outputs ---- */

static void
asks(struct world *w, struct proc *p, const struct cluster_do *d)
{
	struct msg *m;

	if (d->question == CLUSTER_DIAL) {
		dial_begin(w, p, (int)d->conn, d->host);
		return;
	}
	if (d->question == CLUSTER_TAKE)
		seen.takes++;
	if (d->question == CLUSTER_GIVE)
		seen.given++;
	m = need(sizeof(*m));
	m->d = *d;
	m->d.pos = cluster_generation(p->c);
	proc_ask(w, p, (int)d->conn, m);
}

static void
start_again(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->a];

	if (!p->alive)
		proc_start(w, p);
}

static void
ends(struct world *w, struct proc *p, const struct cluster_do *d)
{
	struct event *e;

	trace(w, "%c%d ends: %d %s", 'a' + p->id, slot_of(w, p), d->code, d->text);
	if (d->code == CLUSTER_HISTORY && w->forgets == 0)
		wrong(w, "node %d ends with 76, and nothing was lost: %s", slot_of(w, p), d->text);
	seen.replaced += d->code == CLUSTER_REPLACED;
	seen.lost += d->code == CLUSTER_HISTORY;
	seen.full += d->code == CLUSTER_FULL;
	proc_end(w, p);
	e = later(w, between(w, 500 * MS, d->code == CLUSTER_REFUSED ? 6 * S : 2 * S), start_again);
	e->a = slot_of(w, p);
}

static void
applies(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];

	p->in_force = e->d->common;
	proc_step(w, p, &(struct cluster_input){ .what = CLUSTER_IN_FORCE });
}

static void
performs(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];

	if (e->d->what == CLUSTER_ASK)
		asks(w, p, e->d);
	else if (e->d->what == CLUSTER_RESULT)
		commit_result(w, p, e->d->yes);
	else
		ends(w, p, e->d);
}

static void
put_out(struct world *w, struct proc *p, const struct cluster_do *d)
{
	static const struct {
		enum thread_of thread;
		event_run *run;
	} by[] = {
		[CLUSTER_LOAD] = { T_LOAD, shard_loads },
		[CLUSTER_ATTACH] = { T_WORKER, shard_attach },
		[CLUSTER_DETACH] = { T_WORKER, shard_detach },
		[CLUSTER_APPLY] = { T_EDGE, applies },
		[CLUSTER_RESULT] = { T_COMMIT, performs },
		[CLUSTER_END] = { T_BEAT, performs },
	};
	enum thread_of t = d->what == CLUSTER_ASK ? (enum thread_of)d->conn : by[d->what].thread;
	event_run *run = d->what == CLUSTER_ASK ? performs : by[d->what].run;
	struct event *e;
	int64_t at_us;

	if (d->what == CLUSTER_SAY) {
		trace(w, "%c%d says: %s", 'a' + p->id, slot_of(w, p), d->text);
		return;
	}
	if (d->what == CLUSTER_ASK && d->question == CLUSTER_BURY)
		check_burial(w, p);
	if (d->what == CLUSTER_DURABLE) {
		p->durable = d->yes;
		return;
	}
	trace(w, "%c%d does %d: q %d shard %u node %s epoch %lld", 'a' + p->id, slot_of(w, p),
	    d->what, d->question, d->shard, d->node, (long long)d->epoch);
	at_us = w->now_us + pause_us(w);
	p->told_us[t] = at_us > p->told_us[t] ? at_us : p->told_us[t];
	e = later_on(w, p, t, p->told_us[t] - w->now_us, run);
	e->d = need(sizeof(*e->d));
	*e->d = *d;
}

static void
tick(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];

	if (p->tick == (uint64_t)e->x)
		proc_step(w, p, &(struct cluster_input){ .what = CLUSTER_TICK });
}

void
proc_step(struct world *w, struct proc *p, const struct cluster_input *in)
{
	static struct cluster_outputs out;
	int64_t at_us;

	cluster_step(p->c, in, local_us(w, p), &out);
	for (unsigned i = 0; i < out.n; i++)
		put_out(w, p, &out.v[i]);
	p->tick++;
	if (out.wake_us == INT64_MAX)
		return;
	at_us = real_us(p, out.wake_us);
	later_on(w, p, T_BEAT, at_us > w->now_us ? at_us - w->now_us : 1, tick)->x =
	    (int64_t)p->tick;
}

/* ---- */

void
proc_start(struct world *w, struct proc *p)
{
	const char name[] = { (char)('a' + p->id), 0 };
	struct cluster_options o = {
		.node = name, .shards = SHARDS, .hosts = SERVERS, .times = cluster_times
	};
	uint32_t life = p->life + 1;
	struct proc fresh = { .alive = true,
		.life = life,
		.id = p->id,
		.dir = p->dir,
		.rate = p->rate,
		.off_us = p->off_us,
		.wall_off_us = p->wall_off_us,
		.disk_full = p->disk_full,
		.forgets = w->forgets };

	o.times.settle_us = 5 * S;
	*p = fresh;
	p->c = cluster_new(&o);
	p->unknown = true; /* the committer has no connection yet */
	seen.restarts += life > 1;
	trace(w, "%s%d starts", name, slot_of(w, p));
	proc_step(w, p, &(struct cluster_input){ .what = CLUSTER_TICK });
	proc_step(w, p, &(struct cluster_input){ .what = CLUSTER_UNKNOWN });
}

void
proc_end(struct world *w, struct proc *p)
{
	shards_end(w, p);
	p->alive = false;
	p->life++;
	cluster_free(p->c);
	p->c = NULL;
}
