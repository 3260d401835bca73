/* What must hold: of each answer, of who holds what, and in the end. */
#include "sim.h"

#include <stdio.h>
#include <unistd.h>

struct seen seen;

void
wrong(const struct world *w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTWINHUB_SIM_SEED=%llu fails in step %llu\n", (unsigned long long)w->seed,
	    (unsigned long long)(w->now_us / 1000));
	_exit(1);
}

void
trace(const struct world *w, const char *fmt, ...)
{
	static int on = -1;
	va_list ap;

	if (on < 0)
		on = getenv("TWINHUB_SIM_TRACE") != NULL;
	if (!on)
		return;
	va_start(ap, fmt);
	fprintf(stderr, "%9.4f ", (double)w->now_us / 1e6);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* ---- answers ---- */

void
answer_no(struct world *w, struct op *op, const char *why)
{
	assert(!op->over);
	op->over = true;
	w->nrefused++;
	seen.refused++;
	if (op->after_peace)
		wrong(w, "all is well, and a%s of shard %d by node %d is refused: %s",
		    op->write ? " write" : " read", op->shard, op->edge, why);
}

/* Servers that forget promise nothing until those who were told lies have noticed. */
static bool
unsettled(const struct world *w)
{
	return w->forgets > 0 && w->now_us < w->forgot_us + 25 * S;
}

static void
answered(struct world *w, struct op *op)
{
	assert(!op->over);
	op->over = true;
	if (op->judged < op->common && !unsettled(w))
		wrong(w,
		    "version %lld is in force, as was answered, and an operation was judged by "
		    "%lld",
		    (long long)op->common, (long long)op->judged);
}

void
answer_read(struct world *w, struct proc *p, struct op *op)
{
	answered(w, op);
	w->nread++;
	seen.reads++;
	if (p->lost != 0 || op->forgets != w->forgets)
		return;
	if (op->value < op->floor)
		wrong(w, "a read of shard %d by node %d is %u, and %u had been told before",
		    op->shard, slot_of(w, p), op->value, op->floor);
	if (op->value > truth(w)->value[op->shard])
		wrong(w, "a read of shard %d by node %d is %u, which is not stored", op->shard,
		    slot_of(w, p), op->value);
	if (op->value > w->heard[op->shard])
		w->heard[op->shard] = op->value;
}

static void
epoch_is_ones(struct world *w, const struct proc *p, int s, int64_t epoch)
{
	if (epoch >= VALUES)
		wrong(w, "epochs run away");
	if (w->acker[s][epoch].life != 0 &&
	    (w->acker[s][epoch].life != p->life || w->acker[s][epoch].slot != slot_of(w, p)))
		wrong(w, "two owners acknowledge in epoch %lld of shard %d", (long long)epoch, s);
	w->acker[s][epoch].life = p->life;
	w->acker[s][epoch].slot = slot_of(w, p);
}

/* A commit that was told, and gone when it was. */
static bool
was_forgotten(const struct world *w, const struct round_of *r, int s)
{
	return r->forgets != w->forgets && truth(w)->shard[s].pos <= r->pos[s];
}

void
answer_write(struct world *w, struct proc *p, struct op *op, const struct round_of *r)
{
	int s = op->shard;

	answered(w, op);
	w->nwrote++;
	seen.writes++;
	if (was_forgotten(w, r, s))
		p->lost |= 1u << s;
	if (p->lost >> s & 1 && r->forgets == w->forgets && r->by_truth)
		wrong(w, "node %d goes on over a history of shard %d that was lost", slot_of(w, p),
		    s);
	if (p->lost >> s & 1 || r->forgets != w->forgets)
		return;
	if (r->blind)
		wrong(w, "node %d acknowledges without a standby", slot_of(w, p));
	if (op->value >= VALUES)
		wrong(w, "values run away");
	if (w->made[s][op->value] != NULL)
		wrong(w, "%u of shard %d is acknowledged twice", op->value, s);
	if (w->by_pos[s][r->pos[s] + 1] != 0 && w->by_pos[s][r->pos[s] + 1] != r->id)
		wrong(w, "two commits of shard %d are its %lldth", s, (long long)r->pos[s] + 1);
	if (truth(w)->value[s] < op->value || truth(w)->shard[s].pos <= r->pos[s])
		wrong(w, "%u of shard %d is acknowledged, and not stored", op->value, s);
	epoch_is_ones(w, p, s, r->epoch[s]);
	w->made[s][op->value] = op;
	w->by_pos[s][r->pos[s] + 1] = r->id;
	if (op->value > w->heard[s])
		w->heard[s] = op->value;
}

/* ---- who holds what ---- */

void
check_owners(struct world *w)
{
	for (int s = 0; s < SHARDS && !unsettled(w); s++) {
		int n = 0, who[SLOTS];

		for (int i = 0; i < SLOTS; i++) {
			const struct proc *p = &w->procs[i];

			if (p->alive && p->state[s] == SHARD_IN && p->lost == 0 &&
			    p->forgets == w->forgets && proc_lease(w, p) != 0)
				who[n++] = i;
		}
		if (n > 1)
			wrong(
			    w, "nodes %d and %d both hold shard %d and a lease", who[0], who[1], s);
	}
}

/* It has been heard by now. */
void
check_beat(struct world *w, struct proc *p, const struct msg *m)
{
	bool ended = cluster_lease(p->c).until_us == INT64_MIN;

	p->blind = !m->in.synchronous;
	if (m->in.beat <= p->beat && !ended)
		wrong(w, "node %d takes a beat for good that is older than its last one",
		    slot_of(w, p));
	p->beat = m->in.beat;
}

/* Who has been silent on another connection, has perhaps had no server to speak to: a failover buries nobody. */
void
check_burial(struct world *w, const struct proc *p)
{
	seen.buried++;
	if ((double)(w->now_us - p->beats_us) * p->rate < (double)cluster_times.death_us)
		wrong(w,
		    "node %d buries another by what it has not heard on a connection of %lld ms",
		    slot_of(w, p), (long long)((w->now_us - p->beats_us) / 1000));
}

/* A failover has lost what was acknowledged: who knows of it must not go on. */
void
forgotten(struct world *w, const struct tables *before)
{
	const struct tables *now = truth(w);

	w->forgets++;
	w->forgot_us = w->now_us;
	for (int s = 0; s < SHARDS; s++) {
		seen.forgotten += before->shard[s].pos > now->shard[s].pos;
		w->heard[s] = now->value[s];
		for (uint32_t v = now->value[s] + 1; v < VALUES; v++)
			w->made[s][v] = NULL;
		for (int64_t i = now->shard[s].pos + 1; i < VALUES; i++)
			w->by_pos[s][i] = 0;
		for (int64_t i = now->shard[s].epoch + 1; i < VALUES; i++)
			w->acker[s][i].life = 0;
		for (int i = 0; i < SLOTS; i++) {
			struct proc *p = &w->procs[i];
			int64_t epoch, pos;

			if (!p->alive)
				continue;
			/* of what is another's it has heard, and there may be as much again before it asks */
			if (p->taken[s] > now->shard[s].epoch ||
			    (cluster_fence(p->c, (unsigned)s, &epoch, &pos) &&
			        pos > now->shard[s].pos))
				p->lost |= 1u << s;
		}
	}
	for (int i = 0; i < SLOTS; i++)
		if (w->procs[i].alive && w->procs[i].lost == 0 &&
		    cluster_generation(w->procs[i].c) <= now->node[w->procs[i].id].generation)
			w->procs[i].forgets = w->forgets;
	if (w->answered_common > now->common)
		w->answered_common = now->common;
	if (w->put_common > now->common)
		w->put_common = now->common;
}

/* ---- the end ---- */

static bool
is_sound(const struct world *w, int slot)
{
	const struct proc *p = &w->procs[slot];
	const struct node_row *n = &truth(w)->node[p->id];

	return p->alive && n->state == CLUSTER_LIVE && n->dir == p->dir &&
	    cluster_generation(p->c) == n->generation;
}

static void
check_shares(const struct world *w)
{
	unsigned nsound = 0;

	for (int i = 0; i < SLOTS; i++)
		nsound += is_sound(w, i);
	for (int i = 0; i < SLOTS; i++) {
		unsigned n = 0;

		for (int s = 0; s < SHARDS; s++)
			n += w->procs[i].alive && w->procs[i].state[s] == SHARD_IN;
		if (n > 0 && !is_sound(w, i))
			wrong(w, "node %d has shards, and is not to have any: state %d", i,
			    truth(w)->node[w->procs[i].id].state);
		if (is_sound(w, i) && (n < SHARDS / nsound || n > (SHARDS + nsound - 1) / nsound))
			wrong(w, "of %u nodes node %d has %u shards", nsound, i, n);
	}
}

void
check_end(struct world *w)
{
	check_shares(w);
	for (int i = 0; i < SLOTS; i++)
		if (w->procs[i].alive && w->procs[i].lost != 0)
			wrong(w, "node %d lives on over a history that was lost", i);
	for (int s = 0; s < SHARDS; s++) {
		int n = 0;

		for (int i = 0; i < SLOTS; i++)
			n += w->procs[i].alive && w->procs[i].state[s] == SHARD_IN;
		if (n != 1)
			wrong(w, "shard %d has %d owners in the end", s, n);
		for (uint32_t v = truth(w)->value[s] + 1; v < VALUES; v++)
			if (w->made[s][v] != NULL)
				wrong(w, "%u of shard %d was acknowledged, and there are %u", v, s,
				    truth(w)->value[s]);
	}
}
