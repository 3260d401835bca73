/*
 * Parcels: what an import brings, many operations a message. They have a line of their own, and a worker takes from it when
 * its inbox is empty or its round has room: an operation of a device waits for the parcel under way and for the commit
 * that holds at most PARCELS_ROUND_MAX of them, not for the import.
 */
#include "worker/priv.h"

#include <stdlib.h>

struct parcel *
parcel_new(void (*done)(struct parcel *p), void *owner, struct str actor)
{
	struct parcel *p = xmalloc(sizeof(*p));

	p->done = done;
	p->owner = owner;
	p->shard = SHARDS;
	cargo_init(&p->cargo, actor);
	return p;
}

void
parcel_free(struct parcel *p)
{
	if (p == NULL)
		return;
	cargo_fini(&p->cargo);
	free(p);
}

static void
parcel_home(struct worker *w, struct parcel *p)
{
	p->done(p);
	atomic_fetch_sub(&w->nwork, 1);
}

static void
parcel_goes(void *ctx, void *p, enum gate_end end)
{
	if (end != GATE_ON_DISK)
		cargo_fails(&((struct parcel *)p)->cargo,
		    end == GATE_UNDONE ? "the change could not be stored, try again later"
		                       : MAY_NOT_ANSWER);
	parcel_home(ctx, p);
}

/* ---- on the worker ---- */

static void
parcel_apply(struct worker *w, struct parcel *p)
{
	struct cargo *c = &p->cargo;

	if (w->stopping)
		cargo_fails(c, "the hub is stopping");
	else if (!w->env.can_write)
		cargo_fails(c, "the store takes no writes at the moment, try again later");
	c->task.bookmark.shard = p->shard;
	while (c->n > 0 && !c->task.ended) {
		assert(cargo_shard(c) == p->shard);
		worker_step(w, &c->task, w->shards[p->shard]);
	}
	w->waits[p->shard]--;
	w->taken.nitem += c->n;
	w->taken.item_bytes += c->bytes.n;
	gate_after(&w->gate, parcel_goes, p);
	notes_behind_reply(w);
}

static bool
awaits(const struct worker *w)
{
	return w->parcels != NULL && round_has_room(w, ROUND_PARCELS);
}

int64_t
parcel_patience_us(const struct worker *w)
{
	return awaits(w) ? 0 : -1;
}

void
parcel_turn(struct worker *w)
{
	if (!awaits(w))
		return;
	worker_slice_writes(w, ROUND_PARCELS);
	do {
		struct parcel *p = w->parcels;

		w->parcels = p->next;
		if (w->parcels == NULL)
			w->parcels_end = &w->parcels;
		parcel_apply(w, p);
	} while (awaits(w) && !w->slice.over(w));
}

static void
parcel_arrived(struct msg *m)
{
	struct parcel *p = container_of(m, struct parcel, msg);
	struct worker *w = p->at;

	p->next = NULL;
	*w->parcels_end = p;
	w->parcels_end = &p->next;
	w->waits[p->shard]++;
}

/* ---- on its way ---- */

static void
parcel_enters(struct worker *w, struct msg *m)
{
	struct parcel *p = container_of(m, struct parcel, msg);

	atomic_fetch_add(&w->nwork, 1); /* before the look at `stop`: worker_finished() */
	if (atomic_load(&w->fleet->stop)) {
		cargo_fails(&p->cargo, "the hub is stopping");
		parcel_home(w, p);
		return;
	}
	p->at = w;
	mailbox_post(&w->box, m);
}

static void
parcel_refused(struct fleet *f, struct msg *m, enum fault_code code, const char *why)
{
	struct parcel *p = container_of(m, struct parcel, msg);

	(void)f, (void)code;
	cargo_fails(&p->cargo, why);
	p->done(p);
}

static size_t
parcel_bytes(const struct msg *m)
{
	return container_of((struct msg *)m, struct parcel, msg)->cargo.bytes.n;
}

static int64_t
parcel_waits_us(const struct msg *m)
{
	(void)m;
	return PARKED_US;
}

static const char *
parcel_leaves(struct fleet *f, struct msg *m)
{
	struct parcel *p = container_of(m, struct parcel, msg);

	if (f->o.may_answer != NULL && f->o.may_answer(f->o.lease) == 0) /* as a work's: serve.c */
		return NO_LEASE;
	return f->o.elsewhere->parcel(f->o.elsewhere->ctx, p) ? NULL : STOPPING;
}

static const struct traveller travels = { .enter = parcel_enters,
	.refuse = parcel_refused,
	.bytes = parcel_bytes,
	.patience_us = parcel_waits_us,
	.leave = parcel_leaves };

bool
fleet_enter_parcel(struct fleet *f, uint32_t shard, struct parcel *p)
{
	p->shard = shard;
	p->msg.run = parcel_arrived;
	return route_enter(f, shard, &travels, &p->msg);
}

void
fleet_parcel(struct fleet *f, uint32_t shard, struct parcel *p)
{
	p->shard = shard;
	p->msg.run = parcel_arrived;
	route_send(f, shard, &travels, &p->msg);
}
