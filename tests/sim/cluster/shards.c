/*
 * The shards of a node: a counter each. A write is one more, in memory at once, answered when its round is committed; a read that has seen what is
 * on its way waits for that. What no commit proves leaves under the lease, which is looked at when it leaves.
 */
#include "sim.h"

/* ---- loading ---- */

static void
loaded(struct world *w, struct proc *p, bool ok)
{
	p->conns[T_LOAD].question = 0;
	if (!ok) {
		p->conns[T_LOAD].open = false;
		p->load_host++;
	}
	proc_step(w, p,
	    &(struct cluster_input){
	        .what = ok ? CLUSTER_LOADED : CLUSTER_NOT_LOADED, .shard = p->loading.shard });
}

static void
load_dial(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	struct conn_of *k = &p->conns[T_LOAD];
	struct msg m = { .slot = e->slot, .conn = T_LOAD, .life = p->life, .serial = ++k->serial };

	k->server = (int)(p->load_host % SERVERS);
	k->backend = w->cut[e->slot][k->server][0] || w->cut[e->slot][k->server][1]
	    ? -1
	    : server_connect(w, k->server, &m);
	k->open = k->backend >= 0;
	if (k->open)
		shard_loads(w, e);
	else
		loaded(w, p, false);
}

/* The records, and in the same look whose they are, and the epoch: a server that was the primary once says less than what was taken. */
void
shard_loads(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	struct msg *m;

	if (e->d != NULL)
		p->loading = *e->d;
	if (p->disk_full) {
		proc_step(w, p,
		    &(struct cluster_input){
		        .what = CLUSTER_NOT_LOADED, .full = true, .shard = p->loading.shard });
		return;
	}
	if (!p->conns[T_LOAD].open) {
		later_on(w, p, T_LOAD, between(w, 500, 3000), load_dial);
		return;
	}
	m = need(sizeof(*m));
	m->d = p->loading;
	m->d.question = Q_COPY;
	proc_ask(w, p, T_LOAD, m);
}

void
shards_copied(struct world *w, struct proc *p, const struct msg *m)
{
	bool ok = m->in.answer == CLUSTER_OK && m->in.epoch == p->loading.epoch && m->in.same;

	seen.stale_copies += m->in.answer == CLUSTER_OK && !ok;
	if (ok)
		p->loaded[p->loading.shard] = m->value[0];
	if (ok && m->server == w->truth)
		p->lost &= ~(1u << p->loading.shard); /* it knows what there is */
	loaded(w, p, ok);
}

void
shard_attach(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	unsigned s = e->d->shard;

	p->state[s] = SHARD_IN;
	p->since_us[s] = w->now_us;
	p->memory[s] = p->stored[s] = p->loaded[s];
	trace(w, "%c%d has shard %u at %u", 'a' + p->id, slot_of(w, p), s, p->memory[s]);
}

/* ---- leaving ---- */

static bool
round_has(const struct round_of *r, int s)
{
	for (unsigned i = 0; i < r->nop; i++)
		if (r->ops[i]->shard == s)
			return true;
	return r->mask >> s & 1;
}

static void
shards_left(struct world *w, struct proc *p)
{
	for (int s = 0; s < SHARDS; s++) {
		if (p->state[s] != SHARD_LEAVING || p->nleaving[s] > 0 ||
		    round_has(&p->gathers, s) || round_has(&p->flies, s))
			continue;
		p->state[s] = SHARD_OUT;
		proc_step(w, p,
		    &(struct cluster_input){ .what = CLUSTER_DETACHED, .shard = (unsigned)s });
	}
}

void
shard_detach(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];

	p->state[e->d->shard] = SHARD_LEAVING;
	shards_left(w, p);
}

/* ---- rounds ---- */

static void
round_refuse(struct world *w, struct round_of *r, const char *why)
{
	for (unsigned i = 0; i < r->nop; i++)
		answer_no(w, r->ops[i], why);
	*r = (struct round_of){ 0 };
}

static void
read_leaves(struct world *w, struct proc *p, struct op *op)
{
	uint64_t run = proc_lease(w, p);

	if (run == 0 || run != op->run) {
		seen.refused_by_lease++;
		answer_no(w, op, "the lease is over");
	} else {
		answer_read(w, p, op);
	}
}

/* a: it was made */
static void
round_ended(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	struct round_of r = p->flies;

	p->flies = (struct round_of){ 0 };
	p->flying = false;
	for (int s = 0; s < SHARDS; s++)
		if (r.mask >> s & 1) {
			if (e->a)
				p->stored[s] = r.value[s];
			else
				p->memory[s] = p->stored[s];
		}
	if (!e->a) {
		for (int s = 0; s < SHARDS; s++)
			p->memory[s] = p->stored[s];
		round_refuse(w, &p->gathers, "undone");
		round_refuse(w, &r, "undone");
	}
	for (unsigned i = 0; i < r.nop; i++)
		if (r.ops[i]->write)
			answer_write(w, p, r.ops[i], &r);
		else
			read_leaves(w, p, r.ops[i]);
	shards_left(w, p);
	commit_next(w, p);
}

static void
ended(struct world *w, struct proc *p, bool made)
{
	later_on(w, p, T_WORKER, pause_us(w), round_ended)->a = made;
}

void
commit_next(struct world *w, struct proc *p)
{
	struct round_of *r = &p->flies;
	struct msg *m;

	if (p->flying || p->unknown || p->gathers.nop == 0)
		return;
	*r = p->gathers;
	p->gathers = (struct round_of){ 0 };
	p->flying = true;
	r->id = ++w->nround;
	r->forgets = w->forgets;
	r->blind = p->blind;
	if (!p->durable) {
		ended(w, p, false);
		return;
	}
	m = need(sizeof(*m));
	m->d.question = Q_COMMIT;
	m->mask = r->mask;
	for (unsigned s = 0; s < SHARDS; s++)
		if (r->mask >> s & 1) {
			if (!cluster_fence(p->c, s, &r->epoch[s], &r->pos[s]))
				wrong(w, "node %d commits shard %u, which is not its own",
				    slot_of(w, p), s);
			m->epoch[s] = r->epoch[s];
			m->pos[s] = r->pos[s];
			m->value[s] = r->value[s];
		}
	proc_ask(w, p, T_COMMIT, m);
}

void
commit_answered(struct world *w, struct proc *p, struct msg *m)
{
	struct cluster_input in = { .what = CLUSTER_MADE, .shards = p->flies.mask };

	if (m->in.answer == CLUSTER_OK) {
		p->flies.by_truth = m->in.there;
		proc_step(w, p, &in);
		ended(w, p, true);
	} else if (m->fenced || m->in.answer == CLUSTER_LOST) {
		p->unknown = true;
		in.what = m->fenced ? CLUSTER_FENCED : CLUSTER_UNKNOWN;
		proc_step(w, p, &in);
	} else {
		ended(w, p, false);
	}
}

void
commit_result(struct world *w, struct proc *p, bool made)
{
	p->unknown = false;
	seen.made_unknown += made;
	seen.undone_unknown += !made && p->flying;
	if (p->flying)
		ended(w, p, made);
	else
		commit_next(w, p);
}

/* ---- operations ---- */

static void
turn_ends(struct world *w, struct event *e)
{
	commit_next(w, &w->procs[e->slot]);
}

static bool
round_add(struct round_of *r, struct op *op)
{
	if (r->nop == sizeof(r->ops) / sizeof(r->ops[0]))
		return false;
	r->ops[r->nop++] = op;
	return true;
}

static void
op_leaves(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	struct op *op = e->op;

	e->op = NULL;
	p->nleaving[op->shard]--;
	read_leaves(w, p, op);
	shards_left(w, p);
}

static void
op_reads(struct world *w, struct proc *p, struct op *op)
{
	op->value = p->memory[op->shard];
	if (p->gathers.mask != 0 || p->flying) {
		if (!round_add(p->gathers.mask != 0 ? &p->gathers : &p->flies, op))
			answer_no(w, op, "full");
		return;
	}
	p->nleaving[op->shard]++;
	later_on(w, p, T_WORKER, pause_us(w), op_leaves)->op = op;
}

static void
op_writes(struct world *w, struct proc *p, struct op *op)
{
	struct round_of *r = &p->gathers;

	if (!p->durable || !round_add(r, op)) {
		answer_no(w, op, p->durable ? "full" : "not durable");
		return;
	}
	op->value = r->value[op->shard] = ++p->memory[op->shard];
	r->mask |= UINT64_C(1) << op->shard;
	later_on(w, p, T_WORKER, between(w, 20, 500), turn_ends);
}

/* At the worker. An operation without a lease is not even begun: what it was judged by may be old. */
void
op_arrives(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot];
	struct op *op = e->op;

	e->op = NULL;
	op->run = proc_lease(w, p);
	if (p->state[op->shard] != SHARD_IN || op->run == 0) {
		seen.refused_by_lease += op->run == 0;
		answer_no(w, op, op->run == 0 ? "no lease" : "not mine");
	} else if (op->write) {
		op_writes(w, p, op);
	} else {
		op_reads(w, p, op);
	}
}

/* A link is to an incarnation. */
static struct proc *
process_of(struct world *w, const char *id, int64_t generation)
{
	for (int i = 0; i < SLOTS; i++)
		if (w->procs[i].alive && 'a' + w->procs[i].id == id[0] &&
		    cluster_generation(w->procs[i].c) == generation)
			return &w->procs[i];
	return NULL;
}

/* At the edge, which judges it, and knows whose the shard is, more or less. */
static void
op_at_edge(struct world *w, struct event *e)
{
	struct proc *p = &w->procs[e->slot], *to;
	int64_t generation;
	const char *owner = cluster_owner(p->c, (unsigned)e->op->shard, &generation);
	struct op *op = e->op;

	e->op = NULL;
	op->judged = p->in_force;
	if (proc_lease(w, p) == 0 || owner == NULL) {
		answer_no(w, op, "no lease at the edge, or nobody's");
		return;
	}
	to = process_of(w, owner, generation);
	if (to == NULL ||
	    (to != p && (w->apart[e->slot][slot_of(w, to)] || (!w->peace && one_in(w, 300))))) {
		answer_no(w, op, "no way to the owner");
		return;
	}
	seen.elsewhere += to != p;
	later_on(w, to, T_WORKER,
	    to == p ? 5 : between(w, 100, !w->peace && one_in(w, 40) ? 3 * S : 900), op_arrives)
	    ->op = op;
}

void
op_new(struct world *w, int shard, bool write)
{
	struct op *op = &w->ops[w->nop++];
	int edge = (int)rnd_below(&w->r, SLOTS);

	*op = (struct op){ .shard = shard,
		.edge = edge,
		.write = write,
		.floor = w->heard[shard],
		.common = w->answered_common,
		.forgets = w->forgets };
	for (int i = 0; i < SLOTS &&
	     !(w->procs[edge].alive && (!w->peace || proc_lease(w, &w->procs[edge]) != 0));
	     i++)
		edge = (edge + 1) % SLOTS;
	op->edge = edge;
	op->after_peace = w->peace && w->now_us > w->peace_us + 45 * S;
	if (!w->procs[edge].alive)
		answer_no(w, op, "no node");
	else
		later_on(w, &w->procs[edge], T_EDGE, between(w, 100, 900), op_at_edge)->op = op;
}

void
shards_end(struct world *w, struct proc *p)
{
	round_refuse(w, &p->gathers, "its process has ended");
	round_refuse(w, &p->flies, "its process has ended");
}
