#include "relay/relay.h"

#include <stdlib.h>

#define NODES 64u /* slots of nodes */

struct line {
	struct relay_item *first, *last;
};

struct way {
	uint64_t epoch; /* the highest that is known */
	int owner;      /* as that says */
	bool settled, held;
	struct line out;     /* at `asked`, in their order */
	struct line refused; /* came home unapplied, in their order; behind those that go first */
	struct line waiting; /* came since */
	int asked;           /* who has what is out; RELAY_NOBODY: nothing is */
};

struct relay {
	struct relay_face face;
	struct way ways[RELAY_SHARDS];
	struct slots slots; /* of what is out */
	struct {
		uint32_t n;
		uint64_t bytes;
	} at[NODES]; /* out there */
	uint64_t order,
	    again; /* of the next that is submitted; of the next that a worker gives back, which is before all that were submitted since */
	uint32_t nwaiting; /* refused ones among them */
	uint64_t waiting_bytes;
};

/* ---- lines ---- */

static void
line_push(struct line *l, struct relay_item *i)
{
	i->next = NULL;
	i->prev = l->last;
	if (l->last != NULL)
		l->last->next = i;
	else
		l->first = i;
	l->last = i;
}

static void
line_drop(struct line *l, struct relay_item *i)
{
	if (i->prev != NULL)
		i->prev->next = i->next;
	else
		l->first = i->next;
	if (i->next != NULL)
		i->next->prev = i->prev;
	else
		l->last = i->prev;
}

/* In the order in which they came; it is near the end. */
static void
line_put(struct line *l, struct relay_item *i)
{
	struct relay_item *before = l->last;

	while (before != NULL && before->order > i->order)
		before = before->prev;
	if (before == l->last) {
		line_push(l, i);
		return;
	}
	i->prev = before;
	i->next = before != NULL ? before->next : l->first;
	i->next->prev = i;
	if (before != NULL)
		before->next = i;
	else
		l->first = i;
}

/* ---- what waits ---- */

/* Who sends what goes first has its bound: it takes no room from what waits for it to go, nor waits for any. */
static void
wait_begins(struct relay *r, const struct relay_item *i)
{
	if (i->kind == RELAY_FIRST)
		return;
	r->nwaiting++;
	r->waiting_bytes += i->bytes;
}

static void
wait_ends(struct relay *r, struct line *l, struct relay_item *i)
{
	line_drop(l, i);
	if (i->kind == RELAY_FIRST)
		return;
	r->nwaiting--;
	r->waiting_bytes -= i->bytes;
}

static bool
has_room(const struct relay *r, const struct relay_item *i)
{
	return i->kind == RELAY_MUST ||
	    (r->nwaiting < RELAY_LINE_MAX && r->waiting_bytes + i->bytes <= RELAY_LINE_BYTES);
}

static void
wait_in(struct relay *r, struct way *w, struct relay_item *i)
{
	if (!has_room(r, i)) {
		r->face.ends(r->face.ctx, i, RELAY_FULL);
		return;
	}
	wait_begins(r, i);
	line_push(&w->waiting, i);
}

/* ---- what is out ---- */

static void
out_begins(struct relay *r, struct way *w, struct relay_item *i)
{
	i->slot = slot_take(&r->slots, i);
	i->generation = slot_generation(&r->slots, i->slot);
	i->epoch = w->epoch;
	w->asked = w->owner;
	line_push(&w->out, i);
	r->at[w->asked].n++;
	r->at[w->asked].bytes += i->bytes;
}

static void
out_ends(struct relay *r, struct way *w, struct relay_item *i)
{
	slot_free(&r->slots, i->slot);
	line_drop(&w->out, i);
	r->at[w->asked].n--;
	r->at[w->asked].bytes -= i->bytes;
	if (w->out.first == NULL)
		w->asked = RELAY_NOBODY;
}

static bool
node_is_full(const struct relay *r, int node, const struct relay_item *i)
{
	return r->at[node].n >= RELAY_OUT_MAX || r->at[node].bytes + i->bytes > RELAY_OUT_BYTES;
}

/* To the owner of the shard. False: it stays, as the link is down, or too much is out there; the former unsettles the shard. */
static bool
item_goes(struct relay *r, struct way *w, struct relay_item *i)
{
	if (w->owner == RELAY_SELF) {
		r->face.here(r->face.ctx, i);
		return true;
	}
	if (i->kind != RELAY_MUST && i->kind != RELAY_FIRST && node_is_full(r, w->owner, i))
		return false;
	out_begins(r, w, i);
	if (r->face.send(r->face.ctx, (uint16_t)w->owner, i))
		return true;
	out_ends(r, w, i);
	w->settled = false;
	w->owner = RELAY_NOBODY;
	return false;
}

/* ---- a shard is settled ---- */

static void
line_goes(struct relay *r, struct way *w, struct line *l)
{
	struct relay_item *i;

	while (w->settled && (i = l->first) != NULL && !(w->held && i->kind != RELAY_FIRST)) {
		wait_ends(r, l, i);
		if (item_goes(r, w, i))
			continue;
		wait_begins(r, i); /* back to where it was */
		i->prev = NULL;
		i->next = l->first;
		if (l->first != NULL)
			l->first->prev = i;
		else
			l->last = i;
		l->first = i;
		return;
	}
}

/* Once all that was out elsewhere has come home: what was refused first, then what has come since. */
static void
settle(struct relay *r, struct way *w)
{
	if (w->owner == RELAY_NOBODY)
		return;
	if (w->asked != RELAY_NOBODY && (!w->settled || w->asked != w->owner))
		return;
	w->settled = true;
	line_goes(r, w, &w->refused);
	if (w->refused.first == NULL)
		line_goes(r, w, &w->waiting);
}

static void
unsettle(struct way *w)
{
	w->settled = false;
	w->owner = RELAY_NOBODY;
}

/* ---- */

struct relay *
relay_new(const struct relay_face *face)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	r->face = *face;
	r->order = UINT64_C(1) << 63;
	for (unsigned s = 0; s < RELAY_SHARDS; s++)
		r->ways[s] = (struct way){ .owner = RELAY_NOBODY, .asked = RELAY_NOBODY };
	return r;
}

void
relay_free(struct relay *r)
{
	if (r == NULL)
		return;
	slots_fini(&r->slots);
	free(r);
}

static int64_t
patience(const struct relay_item *i)
{
	return i->kind == RELAY_USUAL || i->kind == RELAY_FIRST ? RELAY_PATIENCE_US
	                                                        : RELAY_PATIENT_US;
}

static void
submit_first(struct relay *r, struct way *w, struct relay_item *i)
{
	i->order = r->again++;
	line_put(&w->refused, i);
	settle(r, w);
}

void
relay_submit(struct relay *r, struct relay_item *i, int64_t now_us)
{
	struct way *w = &r->ways[i->shard];

	assert(i->shard < RELAY_SHARDS);
	i->until_us = now_us + patience(i);
	if (i->kind == RELAY_FIRST) {
		submit_first(r, w, i);
		return;
	}
	i->order = r->order++;
	if (w->settled && !w->held && w->refused.first == NULL && w->waiting.first == NULL &&
	    item_goes(r, w, i))
		return;
	wait_in(r, w, i);
}

struct relay_item *
relay_answered(struct relay *r, uint32_t slot, uint32_t generation)
{
	struct relay_item *i = slot_get(&r->slots, slot, generation);
	struct way *w;

	if (i == NULL)
		return NULL;
	w = &r->ways[i->shard];
	out_ends(r, w, i);
	settle(r, w);
	return i;
}

static void
came_home(struct relay *r, struct way *w, struct relay_item *i)
{
	wait_begins(r, i); /* beyond the line's bound, if need be: it was taken once */
	line_put(&w->refused, i);
	settle(r, w);
}

void
relay_not_mine(struct relay *r, uint32_t slot, uint32_t generation, uint64_t epoch)
{
	struct relay_item *i = slot_get(&r->slots, slot, generation);
	struct way *w;

	if (i == NULL)
		return;
	w = &r->ways[i->shard];
	if (w->owner == w->asked) /* nobody has said more since */
		unsettle(w);
	w->settled = false;
	if (epoch > w->epoch)
		w->epoch = epoch;
	out_ends(r, w, i);
	came_home(r, w, i);
}

void
relay_again(struct relay *r, struct relay_item *i, int64_t now_us)
{
	struct way *w = &r->ways[i->shard];

	if (w->owner == RELAY_SELF)
		unsettle(w);
	i->order = r->again++;
	i->until_us = now_us + patience(i);
	came_home(r, w, i);
}

void
relay_owner_is(struct relay *r, uint32_t shard, uint64_t epoch, int owner)
{
	struct way *w = &r->ways[shard];

	assert(owner < (int)NODES);
	if (epoch < w->epoch || (epoch == w->epoch && owner == RELAY_NOBODY))
		return;
	if (w->owner != owner || w->epoch != epoch)
		w->settled = false;
	w->epoch = epoch;
	w->owner = owner;
	settle(r, w);
}

void
relay_hold(struct relay *r, uint32_t shard)
{
	r->ways[shard].held = true;
}

void
relay_go(struct relay *r, uint32_t shard)
{
	r->ways[shard].held = false;
	settle(r, &r->ways[shard]);
}

bool
relay_is_held(const struct relay *r, uint32_t shard)
{
	const struct way *w = &r->ways[shard];

	return w->held && w->settled && w->out.first == NULL;
}

void
relay_nobody(struct relay *r, uint32_t shard)
{
	unsettle(&r->ways[shard]);
}

bool
relay_is_clear(const struct relay *r, uint32_t shard)
{
	const struct way *w = &r->ways[shard];

	return w->settled && !w->held && w->owner == RELAY_SELF && w->out.first == NULL &&
	    w->refused.first == NULL && w->waiting.first == NULL;
}

void
relay_link_down(struct relay *r, uint16_t slot)
{
	for (unsigned s = 0; s < RELAY_SHARDS; s++) {
		struct way *w = &r->ways[s];
		struct relay_item *i;

		if (w->owner == slot)
			unsettle(w);
		while (w->asked == slot && (i = w->out.first) != NULL) {
			out_ends(r, w, i);
			r->face.ends(r->face.ctx, i, RELAY_UNKNOWN);
		}
		settle(r, w);
	}
}

/* Lines are in the order in which they came, but patience differs. */
static int64_t
line_tick(struct relay *r, struct line *l, int64_t now_us, int64_t next_us)
{
	struct relay_item *i, *after;

	for (i = l->first; i != NULL; i = after) {
		after = i->next;
		if (i->until_us <= now_us) {
			wait_ends(r, l, i);
			r->face.ends(r->face.ctx, i, RELAY_LATE);
		} else if (i->until_us < next_us) {
			next_us = i->until_us;
		}
	}
	return next_us;
}

int64_t
relay_tick(struct relay *r, int64_t now_us)
{
	int64_t next_us = INT64_MAX;

	for (unsigned s = 0; s < RELAY_SHARDS; s++) {
		struct way *w = &r->ways[s];

		settle(r, w); /* there may be room again */
		next_us = line_tick(r, &w->refused, now_us, next_us);
		next_us = line_tick(r, &w->waiting, now_us, next_us);
	}
	return next_us;
}

static void
line_ends(struct relay *r, struct line *l)
{
	while (l->first != NULL) {
		struct relay_item *i = l->first;

		wait_ends(r, l, i);
		r->face.ends(r->face.ctx, i, RELAY_LATE);
	}
}

void
relay_stop(struct relay *r)
{
	for (unsigned s = 0; s < RELAY_SHARDS; s++) {
		struct way *w = &r->ways[s];

		unsettle(w);
		while (w->out.first != NULL) {
			struct relay_item *i = w->out.first;

			out_ends(r, w, i);
			r->face.ends(r->face.ctx, i, RELAY_UNKNOWN);
		}
		line_ends(r, &w->refused);
		line_ends(r, &w->waiting);
	}
}

void
relay_look(const struct relay *r, struct relay_view *out)
{
	*out = (struct relay_view){ .waiting = r->nwaiting, .waiting_bytes = r->waiting_bytes };
	for (unsigned n = 0; n < NODES; n++)
		out->out += r->at[n].n;
	for (unsigned s = 0; s < RELAY_SHARDS; s++)
		out->unsettled |= (uint64_t)!r->ways[s].settled << s;
}
