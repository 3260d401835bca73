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
	while (c->n > 0 && !c->task.ended) {
		c->task.bookmark.shard = cargo_shard(c);
		worker_step(w, &c->task, w->shards[c->task.bookmark.shard]);
	}
	w->taken.nparcel++;
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
}

/* ---- on its way ---- */

void
fleet_parcel(struct fleet *f, unsigned worker, struct parcel *p)
{
	struct worker *w = &f->workers[worker];

	assert(worker < f->o.nworker);
	atomic_fetch_add(&w->nwork, 1); /* before the look at `stop`: worker_finished() */
	if (atomic_load(&f->stop)) {
		cargo_fails(&p->cargo, "the hub is stopping");
		parcel_home(w, p);
		return;
	}
	p->at = w;
	p->msg.run = parcel_arrived;
	mailbox_post(&w->box, &p->msg);
}

unsigned
fleet_worker_of(const struct fleet *f, struct str device)
{
	return f->of_shard[hub_shard_of(device)]->index;
}
