/* The owner's side: operations of other nodes on shards that are here, their answers, and effects in both directions. */
#include "peers/priv.h"

#include <stdlib.h>

/* An operation of another node's, under way here. */
struct served {
	struct peers *p;
	uint64_t seq, nth; /* of the link that it came by: another one knows nothing of it */
	uint32_t bytes;
	uint16_t slot;
};

static void
not_mine(struct peers *p, uint16_t slot, uint64_t seq, uint64_t shard)
{
	const struct mine *m = &p->mine[shard];
	const struct not_mine n = { seq, shard, m->state == MINE_HERE ? m->epoch : 0 };
	size_t begun;

	p->counts.not_mine++;
	p->out.n = 0;
	begun = frame_begin(&p->out, FRAME_NOT_MINE);
	not_mine_write(&p->out, &n);
	(void)frame_end(&p->out, begun); /* three numbers always fit */
	(void)peers_send(p, slot);
}

static void
reply_send(struct peers *p, uint16_t slot, const struct answered *a)
{
	size_t begun;

	p->out.n = 0;
	begun = frame_begin(&p->out, FRAME_REPLY);
	answered_write(&p->out, a);
	if (frame_end(&p->out, begun) == ERR_OK) {
		(void)peers_send(p, slot);
	} else {
		struct answered too_large = { .seq = a->seq };

		fault_set(&too_large.reply.fault, F_ServerError,
		    "it was done, and its answer is larger than what may go between nodes");
		reply_send(p, slot, &too_large);
	}
}

/* On the mesh's loop, which is its home. */
static void
done(struct work *w)
{
	struct served *s = w->owner;
	struct peers *p = s->p;
	struct node *n = &p->nodes[s->slot];

	n->served--;
	n->served_bytes -= s->bytes;
	if (n->up && n->nth == s->nth) {
		struct answered a = { .seq = s->seq, .reply = w->reply };

		reply_send(p, s->slot, &a);
	}
	free(s);
	work_free(w);
}

/* Everything but the strings, which stay in the frame that the work has a copy of. */
static struct work *
work_made(struct peers *p, uint16_t slot, struct str body, struct asked *a, struct fault *f)
{
	struct work *w = work_new(p->loop, body.n, done);
	struct served *s;

	if (asked_read(work_str(w, body), a, f) != ERR_OK) {
		work_free(w);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	*s = (struct served){ .p = p,
		.seq = a->seq,
		.nth = p->nodes[slot].nth,
		.bytes = (uint32_t)(sizeof(*w) + body.n),
		.slot = slot };
	w->op = a->op;
	w->asker = a->asker;
	w->roomy = true; /* the link has the bound */
	w->edge = slot;
	w->edge_nth = s->nth;
	w->owner = s;
	return w;
}

static bool
is_here(const struct peers *p, uint64_t shard, uint64_t epoch, bool resumes)
{
	const struct mine *m = &p->mine[shard];

	return (m->state == MINE_HERE || (m->state == MINE_GREETS && resumes)) &&
	    m->epoch == epoch && !p->stopped;
}

/* Twice what its router may have out: those of a former link may not have ended yet. */
static bool
has_room(const struct node *n)
{
	return n->served < 2 * RELAY_OUT_MAX && n->served_bytes < 2 * (uint64_t)RELAY_OUT_BYTES;
}

enum err
serves_op(struct peers *p, uint16_t slot, struct str body, struct fault *f)
{
	struct node *n = &p->nodes[slot];
	struct asked a;
	struct work *w;

	if (!has_room(n))
		return fault_set(f, F_ServerError, "it has more under way here than it may");
	w = work_made(p, slot, body, &a, f);
	if (w == NULL)
		return ERR_PROTOCOL;
	if (is_here(p, a.shard, a.epoch, a.op.kind == OP_RESUME)) {
		struct served *s = w->owner;

		n->served++;
		n->served_bytes += s->bytes;
		if (fleet_enter(p->fleet, w))
			return ERR_OK;
		n->served--;
		n->served_bytes -= s->bytes;
	}
	not_mine(p, slot, a.seq, a.shard);
	free(w->owner);
	work_free(w);
	return ERR_OK;
}

/* ---- parcels ---- */

struct hauled {
	struct msg msg;
	struct peers *p;
	struct parcel *c;
	uint64_t seq, nth;
	uint32_t bytes;
	uint16_t slot;
	char actor[POLICY_NAME_MAX];
};

static void
hauled_free(struct hauled *h)
{
	parcel_free(h->c);
	free(h);
}

static void
hauled_home(struct msg *m)
{
	struct hauled *h = container_of(m, struct hauled, msg);
	struct peers *p = h->p;
	struct node *n = &p->nodes[h->slot];
	size_t begun;

	n->served--;
	n->served_bytes -= h->bytes;
	if (n->up && n->nth == h->nth) {
		p->out.n = 0;
		begun = frame_begin(&p->out, FRAME_PARCEL_DONE);
		parcel_done_write(&p->out, h->seq, &h->c->cargo);
		(void)frame_end(&p->out, begun); /* a text for each item at the most */
		(void)peers_send(p, h->slot);
	}
	hauled_free(h);
}

/* On a worker's thread. */
static void
hauled_done(struct parcel *c)
{
	struct hauled *h = c->owner;

	h->msg.run = hauled_home;
	loop_post(h->p->loop, &h->msg);
}

static struct hauled *
hauled_new(struct peers *p, uint16_t slot, struct str body, struct parcel_asked *a, struct fault *f)
{
	struct hauled *h = xcalloc(1, sizeof(*h));

	h->p = p;
	h->c = parcel_new(hauled_done, h, STR_NONE);
	if (parcel_read(body, a, &h->c->cargo, f) != ERR_OK) {
		hauled_free(h);
		return NULL;
	}
	h->seq = a->seq;
	h->nth = p->nodes[slot].nth;
	h->slot = slot;
	h->bytes = (uint32_t)(sizeof(*h->c) + body.n);
	if (a->actor.n != 0)
		memcpy(h->actor, a->actor.p, a->actor.n);
	h->c->cargo.actor = (struct str){ h->actor, a->actor.n };
	return h;
}

enum err
serves_parcel(struct peers *p, uint16_t slot, struct str body, struct fault *f)
{
	struct node *n = &p->nodes[slot];
	struct parcel_asked a;
	struct hauled *h;

	if (!has_room(n))
		return fault_set(f, F_ServerError, "it has more under way here than it may");
	h = hauled_new(p, slot, body, &a, f);
	if (h == NULL)
		return ERR_PROTOCOL;
	if (is_here(p, a.shard, a.epoch, false)) {
		n->served++;
		n->served_bytes += h->bytes;
		if (fleet_enter_parcel(p->fleet, (uint32_t)a.shard, h->c))
			return ERR_OK;
		n->served--;
		n->served_bytes -= h->bytes;
	}
	not_mine(p, slot, a.seq, a.shard);
	hauled_free(h);
	return ERR_OK;
}

/* ---- effects ---- */

enum err
serves_effect(struct peers *p, struct str body, struct fault *f)
{
	struct effect e;
	enum err err = effect_read(body, &e, f);

	if (err == ERR_OK)
		(void)fleet_note(
		    p->fleet, &e); /* one of a former incarnation's has no receiver here */
	return err;
}

struct parting {
	struct msg msg;
	struct peers *p;
	struct note *n;
};

/* Without a link nobody is there to be told: what was present by it has ended, and resumes (O-254). */
static void
parts(struct msg *m)
{
	struct parting *g = container_of(m, struct parting, msg);
	struct peers *p = g->p;
	const struct note *n = g->n;
	const struct effect e = { .kind = n->kind,
		.session = n->session,
		.reason = n->reason,
		.version = n->version,
		.call = n->call,
		.caller = n->caller,
		.name = n->name,
		.body = n->body,
		.status = n->status,
		.fault = n->fault,
		.size = n->size,
		.qos = n->qos,
		.dup = n->dup,
		.paced = n->paced };
	size_t begun;

	if (!p->stopped && mesh_is_up(p->mesh, n->session.node)) {
		p->out.n = 0;
		begun = frame_begin(&p->out, FRAME_EFFECT);
		effect_write(&p->out, &e);
		if (frame_end(&p->out, begun) == ERR_OK)
			(void)peers_send(p, n->session.node);
	}
	fleet_note_free(g->n);
	free(g);
}

void
serves_note(void *ctx, struct note *n)
{
	struct parting *g = xmalloc(sizeof(*g));

	g->msg.run = parts;
	g->p = ctx;
	g->n = n;
	loop_post(g->p->loop, &g->msg);
}
