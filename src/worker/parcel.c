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
	p->actor = actor;
	p->n = 0;
	p->bytes = p->texts = (struct buf){ 0 };
	return p;
}

void
parcel_free(struct parcel *p)
{
	if (p == NULL)
		return;
	buf_fini(&p->bytes);
	buf_fini(&p->texts);
	free(p);
}

static void
item_fault(struct parcel *p, struct parcel_item *item, const struct fault *f)
{
	size_t n = strlen(f->text);

	item->fault = f->code;
	item->text = (struct span){ (uint32_t)p->texts.n, (uint32_t)n };
	buf_put(&p->texts, f->text, n);
}

/* For what has not failed by itself. */
static void
all_fault(struct parcel *p, const char *why)
{
	struct fault f;

	fault_set(&f, F_ServiceUnavailable, "%s", why);
	for (uint32_t i = 0; i < p->n; i++)
		if (p->items[i].fault == F_NONE)
			item_fault(p, &p->items[i], &f);
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
		all_fault(p,
		    end == GATE_UNDONE ? "the change could not be stored, try again later"
		                       : MAY_NOT_ANSWER);
	parcel_home(ctx, p);
}

/* ---- on the worker ---- */

static void
item_apply(struct worker *w, struct parcel *p, struct parcel_item *item)
{
	struct op op = { .kind = item->kind,
		.actor = ACTOR_POLICY,
		.actor_name = p->actor,
		.device = span_str(&p->bytes, item->device),
		.module = span_str(&p->bytes, item->module),
		.if_match = item->if_match,
		.if_tag = span_str(&p->bytes, item->if_tag),
		.payload = span_str(&p->bytes, item->payload),
		.nduplicate = item->nduplicate,
		.import = item->import };
	struct reply reply;

	reply_init(&reply);
	worker_apply(w, w->shards[op_shard(&op)], &op, &reply);
	if (reply.fault.code != F_NONE)
		item_fault(p, item, &reply.fault);
	reply_fini(&reply);
}

static void
parcel_apply(struct worker *w, struct parcel *p)
{
	if (w->stopping)
		all_fault(p, "the hub is stopping");
	else if (!w->env.can_write)
		all_fault(p, "the store takes no writes at the moment, try again later");
	for (uint32_t i = 0; i < p->n; i++)
		if (p->items[i].fault == F_NONE)
			item_apply(w, p, &p->items[i]);
	w->taken.nparcel++;
	gate_after(&w->gate, parcel_goes, p);
	notes_behind_reply(w);
}

bool
parcel_awaits(struct worker *w)
{
	return w->parcels != NULL && w->taken.nparcel < PARCELS_ROUND_MAX && !worker_round_full(w);
}

void
parcel_turn(struct worker *w)
{
	int64_t end_us = w->parcels != NULL ? clock_mono_us() + SLICE_US : 0;

	while (parcel_awaits(w)) {
		struct parcel *p = w->parcels;

		w->parcels = p->next;
		if (w->parcels == NULL)
			w->parcels_end = &w->parcels;
		parcel_apply(w, p);
		if (clock_mono_us() >= end_us)
			return;
	}
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
		all_fault(p, "the hub is stopping");
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
