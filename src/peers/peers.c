/* Begin and end, links that come and go, and where each frame goes. */
#include "peers/priv.h"

#include <stdlib.h>

#define TICK_US INT64_C(100000) /* what waits too long is looked for so often */

/* ---- frames ---- */

bool
peers_send(struct peers *p, uint16_t slot)
{
	return mesh_send(p->mesh, slot, buf_view(&p->out));
}

void
peers_settle(struct peers *p)
{
	asks_settle(p);
	moves_resume(p);
	known_settle(p);
	moves_open(p);
}

static enum err
on_frame(void *ctx, uint16_t slot, const struct frame *frame, struct fault *f)
{
	struct peers *p = ctx;
	enum err e;

	switch (frame->kind) {
	case FRAME_OP: e = serves_op(p, slot, frame->body, f); break;
	case FRAME_REPLY: e = asks_replied(p, frame->body, f); break;
	case FRAME_NOT_MINE: e = asks_not_mine(p, frame->body, f); break;
	case FRAME_PARCEL: e = serves_parcel(p, slot, frame->body, f); break;
	case FRAME_PARCEL_DONE: e = asks_parcel_done(p, frame->body, f); break;
	case FRAME_EFFECT: e = serves_effect(p, frame->body, f); break;
	case FRAME_MAP: e = moves_mapped(p, slot, frame->body, f); break;
	case FRAME_RESUMED: e = known_said(p, slot, frame->body, f); break;
	case FRAME_CALL: e = requests_called(p, slot, frame->body, f); break;
	case FRAME_ANSWER: e = requests_answered(p, slot, frame->body, f); break;
	default: return ERR_OK; /* of a later release: nothing that must be heard */
	}
	peers_settle(p);
	return e;
}

static void
on_up(void *ctx, uint16_t slot)
{
	struct peers *p = ctx;

	p->nodes[slot].up = true;
	p->nodes[slot].down_us = 0;
	p->nodes[slot].nth++;
	fleet_edge(p->fleet, slot, p->nodes[slot].nth);
	known_link(p, slot, true);
	moves_map(p, slot);
}

static void
on_down(void *ctx, uint16_t slot, const char *why)
{
	struct peers *p = ctx;

	(void)why;
	p->nodes[slot].up = false;
	fleet_edge(p->fleet, slot, 0);
	moves_link_down(p, slot);
	known_link(p, slot, false);
	requests_link_down(p, slot);
	peers_settle(p);
}

/* ---- what there is to say ---- */

static void
look(struct peers *p)
{
	struct peers_look now = p->counts;
	struct relay_view v;

	relay_look(p->relay, &v);
	now.waiting = v.waiting;
	now.waiting_bytes = v.waiting_bytes;
	now.out = v.out;
	for (uint32_t s = 0; s < SHARDS; s++) {
		int owner = p->servers[s].owner;

		now.mine |= (uint64_t)(p->mine[s].state == MINE_HERE) << s;
		now.owner[s] = owner == RELAY_NOBODY ? PEERS_NOBODY
		    : owner == RELAY_SELF            ? p->o.slot
		                                     : (uint16_t)owner;
	}
	now.unsettled = v.unsettled;
	for (unsigned n = 0; n < NODES; n++)
		now.served += p->nodes[n].served;
	pthread_mutex_lock(&p->mu);
	p->look = now;
	pthread_mutex_unlock(&p->mu);
}

static void
on_tick(struct loop_timer *t)
{
	struct peers *p = container_of(t, struct peers, tick);

	(void)relay_tick(p->relay, loop_now_us(p->loop));
	mesh_has_feedback(
	    p->mesh, fleet_feedback(p->fleet)); /* whatever came before the links were up */
	peers_settle(p);
	hub_jobs_look(p);
	look(p);
	loop_timer_set(p->loop, &p->tick, loop_now_us(p->loop) + TICK_US);
}

static void
feedback_heard(struct msg *m)
{
	struct peers *p = container_of(m, struct peers, word);

	atomic_store(&p->worded, false); /* before the look */
	if (!p->stopped)
		mesh_has_feedback(p->mesh, fleet_feedback(p->fleet));
}

static void
has_feedback(void *ctx)
{
	struct peers *p = ctx;

	if (!atomic_exchange(&p->worded, true))
		loop_post(p->loop, &p->word);
}

static uint64_t
feedback(void *ctx)
{
	return mesh_feedback(((struct peers *)ctx)->mesh);
}

void
peers_look(struct peers *p, struct peers_look *out)
{
	pthread_mutex_lock(&p->mu);
	*out = p->look;
	pthread_mutex_unlock(&p->mu);
}

unsigned
peers_links(struct peers *p, struct mesh_view out[MESH_PEERS_MAX])
{
	return mesh_look(p->mesh, out);
}

void
peers_say(struct peers *p, uint64_t common)
{
	mesh_say(p->mesh, common);
}

/* ---- views ---- */

struct view_msg {
	struct msg msg;
	struct peers *p;
	struct peers_view v;
};

static void
view_arrived(struct msg *m)
{
	struct view_msg *vm = container_of(m, struct view_msg, msg);
	struct peers *p = vm->p;

	if (!p->stopped)
		moves_viewed(p, &vm->v);
	if (!p->stopped)
		cuts_viewed(p, &vm->v);
	peers_settle(p);
	free(vm);
}

void
peers_view(struct peers *p, const struct peers_view *v)
{
	struct view_msg *vm = xmalloc(sizeof(*vm));

	mesh_peers(p->mesh, v->nodes, v->nnode);
	vm->msg.run = view_arrived;
	vm->p = p;
	vm->v = *v;
	loop_post(p->loop, &vm->msg);
}

/* ---- begin and end ---- */

enum err
peers_open(const struct peers_options *o, struct peers **out, char why[NET_WHY_MAX])
{
	struct peers *p = xcalloc(1, sizeof(*p));
	const struct mesh_options mo = { .pinned = o->pinned,
		.address = o->address,
		.hub = o->hub,
		.node = o->node,
		.version = o->version,
		.slot = o->slot,
		.generation = o->generation,
		.times = o->times,
		.on_up = on_up,
		.on_down = on_down,
		.on_frame = on_frame,
		.ctx = p };
	enum err e;

	p->o = *o;
	pthread_mutex_init(&p->mu, NULL);
	p->elsewhere = (struct elsewhere){ .ctx = p,
		.submit = asks_submit,
		.parcel = asks_parcel,
		.note = serves_note,
		.feedback = feedback,
		.has_feedback = has_feedback };
	p->word.run = feedback_heard;
	asks_init(p);
	p->shares = shares_new();
	p->requests = requests_new();
	walks_init(p);
	hub_jobs_init(p);
	for (uint32_t s = 0; s < SHARDS; s++)
		p->servers[s].owner = p->leavers[s] = RELAY_NOBODY;
	e = mesh_open(&mo, &p->mesh, why);
	if (e != ERR_OK) {
		peers_free(p);
		return e;
	}
	p->loop = mesh_loop(p->mesh);
	look(p);
	*out = p;
	return ERR_OK;
}

const struct elsewhere *
peers_elsewhere(struct peers *p)
{
	return &p->elsewhere;
}

enum err
peers_start(struct peers *p, struct fleet *f)
{
	p->fleet = f;
	hub_jobs_start(p);
	p->tick.fire = on_tick;
	loop_timer_set(p->loop, &p->tick, loop_now_us(p->loop) + TICK_US);
	return mesh_start(p->mesh);
}

static void
stops(struct msg *m)
{
	struct peers *p = container_of(m, struct peers, last);

	p->stopped = true;
	loop_timer_clear(p->loop, &p->tick);
	relay_stop(p->relay);
	asks_settle(p);
	for (uint16_t n = 0; n < NODES; n++)
		requests_link_down(p, n);
	hub_jobs_stop(p);
}

void
peers_stop(struct peers *p)
{
	pthread_mutex_lock(&p->mu); /* a question is asked before it, or not at all */
	atomic_store(&p->stops, true);
	pthread_mutex_unlock(&p->mu);
	if (p->fleet != NULL)
		fleet_settle(p->fleet); /* who has not seen that has posted by now */
	p->last.run = stops;
	loop_post(p->loop, &p->last);
	mesh_stop(p->mesh);
}

void
peers_drain(struct peers *p)
{
	mesh_free(p->mesh);
	p->mesh = NULL;
	p->loop = NULL;
}

void
peers_free(struct peers *p)
{
	if (p == NULL)
		return;
	mesh_free(p->mesh);
	relay_free(p->relay);
	shares_free(p->shares);
	requests_free(p->requests);
	hub_jobs_free(p);
	for (uint32_t s = 0; s < SHARDS; s++)
		free(p->mine[s].ask);
	buf_fini(&p->out);
	pthread_mutex_destroy(&p->mu);
	free(p);
}

uint16_t
peers_port(const struct peers *p)
{
	return mesh_port(p->mesh);
}
