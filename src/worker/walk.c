/* Walks: what is asked of this process for its shards. */
#include "worker/priv.h"

#include <stdlib.h>

/* Where a part begins: at the question's place if it is in one of its shards, else with the first of them behind it. */
static struct query_bookmark
begin_of(const struct walk_asked *asked)
{
	struct query_bookmark at = asked->from;

	if (at.shard >= SHARDS || !(asked->shards >> at.shard & 1))
		at = (struct query_bookmark){ .shard = next_of(asked->shards, at.shard),
			.delivered = at.delivered };
	return at;
}

void
fleet_walk(struct fleet *f, const struct walk_asked *asked, struct walk_call *c)
{
	struct task *t = walk_task_made(f, asked, &c->answer.fault);
	struct tour *k;

	if (t == NULL) {
		c->answer.shards = asked->shards;
		c->done(c);
		return;
	}
	t->bookmark = begin_of(asked);
	k = tour_new(NULL, t, NULL);
	k->call = c;
	k->shards = asked->shards;
	k->explain = asked->explain;
	k->samples = asked->samples;
	k->ticket = asked->who.n > 0 ? ticket_new(f, asked->who, asked->peer) : ticket_own(f);
	k->begin_ns = k->lap_ns = clock_mono_ns();
	k->deadline_us = k->begin_ns / 1000 + asked->left_us;
	k->lane = task_cheap(t) ? SHARE_CHEAP : SHARE_COSTLY;
	atomic_fetch_add(&f->ntour, 1);
	if (atomic_load(&f->stop))
		fault_set(&t->fault, F_ServiceUnavailable, "the hub is stopping");
	tour_start(f, k);
}

void
walk_begin(struct tour *k)
{
	walk_part_begin(k->task);
}

void
walk_conclude(struct tour *k)
{
	struct walk_answer *a = &k->call->answer;

	walk_answer_take(a, k->task);
	if (a->fault.code != F_NONE)
		return;
	a->shards = k->seen;
	if (k->task->ended &&
	    k->task->bookmark.shard < SHARDS) /* what is behind it matters no more */
		a->shards |= k->shards >> k->task->bookmark.shard << k->task->bookmark.shard;
	memcpy(a->reflects, k->reflects, sizeof(a->reflects));
	memcpy(a->ns, k->ns, sizeof(a->ns));
	a->unsplit_ns = k->unsplit_ns;
}

void
walk_home(struct fleet *f, struct tour *k)
{
	struct walk_call *c = k->call;

	tour_free(k);
	c->done(c);
	atomic_fetch_sub(&f->ntour, 1);
}
