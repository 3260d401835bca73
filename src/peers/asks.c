/*
 * The asker's side: operations for shards that no worker here is open for go through the router, to the node that has the shard, or to this
 * node's own worker in their turn.
 */
#include "peers/priv.h"

#include <stdlib.h>

#define NOBODY_SERVES "nobody serves the device at the moment, try again later"
#define TOO_MANY      "too many requests are waiting"
#define YOURS         "too many requests of yours are on their way to other nodes"
#define UNKNOWN                                                                                    \
	"the node that serves the device is not heard of any more: nobody knows whether this was " \
	"done"
#define TOO_LARGE "the request is larger than what may go between nodes"

static struct going *
going_of(struct relay_item *i)
{
	return container_of(i, struct going, item);
}

static void
going_free(struct going *g)
{
	shares_give(g->p->shares, g->asker, g->item.bytes);
	free(g);
}

/* It has no answer of its own. */
static void
home(struct work *w, struct parcel *c, enum fault_code code, const char *why)
{
	if (w != NULL) {
		fleet_refused(w, code, why);
		return;
	}
	assert(c != NULL); /* what goes is either */
	cargo_fails(&c->cargo, why);
	c->done(c);
}

static void
refuse(struct going *g, enum fault_code code, const char *why)
{
	struct work *w = g->w;
	struct parcel *c = g->parcel;

	going_free(g);
	home(w, c, code, why);
}

/* ---- the router's face ---- */

/* The frame of one that is out. */
static enum err
item_writes(struct buf *out, const struct going *g)
{
	const struct relay_item *i = &g->item;
	uint64_t seq = (uint64_t)i->slot << 32 | i->generation;
	size_t begun = frame_begin(out, g->w != NULL ? FRAME_OP : FRAME_PARCEL);

	if (g->w != NULL)
		asked_write(out,
		    &(struct asked){ .seq = seq,
		        .shard = i->shard,
		        .epoch = i->epoch,
		        .asker = g->asker,
		        .op = g->w->op });
	else
		parcel_write(out,
		    &(struct parcel_asked){ .seq = seq, .shard = i->shard, .epoch = i->epoch },
		    &g->parcel->cargo);
	return frame_end(out, begun);
}

static bool
item_sends(void *ctx, uint16_t slot, struct relay_item *i)
{
	struct peers *p = ctx;
	struct going *g = going_of(i);

	if (!mesh_is_up(p->mesh, slot))
		return false;
	p->out.n = 0;
	if (item_writes(&p->out, g) == ERR_OK)
		return peers_send(p, slot);
	g->next = p->unsent; /* it comes home when the router is asked no more */
	p->unsent = g;
	return true;
}

static void
item_here(void *ctx, struct relay_item *i)
{
	struct peers *p = ctx;
	struct going *g = going_of(i);

	if (g->w != NULL ? fleet_enter(p->fleet, g->w)
	                 : fleet_enter_parcel(p->fleet, i->shard, g->parcel))
		going_free(g);
	else
		refuse(g, F_ServiceUnavailable, NOBODY_SERVES);
}

static void
item_ends(void *ctx, struct relay_item *i, enum relay_end why)
{
	static const struct {
		enum fault_code code;
		const char *text;
	} said[] = {
		[RELAY_LATE] = { F_ServiceUnavailable, NOBODY_SERVES },
		[RELAY_FULL] = { F_ThrottleBacklogLimitExceeded, TOO_MANY },
		[RELAY_UNKNOWN] = { F_ServiceUnavailable, UNKNOWN },
	};
	struct peers *p = ctx;

	p->counts.late += why == RELAY_LATE;
	p->counts.full += why == RELAY_FULL;
	p->counts.unknown += why == RELAY_UNKNOWN;
	refuse(going_of(i), said[why].code, said[why].text);
}

void
asks_init(struct peers *p)
{
	const struct relay_face face = { item_sends, item_here, item_ends, p };

	p->relay = relay_new(&face);
}

void
asks_settle(struct peers *p)
{
	while (p->unsent != NULL) {
		struct going *g = p->unsent;

		p->unsent = g->next;
		if (relay_answered(p->relay, g->item.slot, g->item.generation) != NULL)
			refuse(g, F_GenericRequestEntityTooLarge, TOO_LARGE);
	}
}

/* ---- in ---- */

/* Of what a device sends without waiting for more than an acknowledgement the only other answer is its link's end. */
static enum relay_kind
kind_of(const struct work *w)
{
	if (w->op.kind == OP_DISCONNECT)
		return RELAY_MUST;
	if (w->op.kind == OP_RESUME)
		return RELAY_FIRST;
	return w->op.kind == OP_TELEMETRY ? RELAY_PATIENT : RELAY_USUAL;
}

static void
arrived(struct msg *m)
{
	struct going *g = container_of(m, struct going, msg);
	struct peers *p = g->p;

	fleet_passed(p->fleet, g->item.shard);
	if (!shares_take(p->shares, g->asker, g->item.bytes, g->item.kind == RELAY_MUST)) {
		p->counts.full++;
		home(g->w, g->parcel, F_ThrottleBacklogLimitExceeded, YOURS);
		free(g);
		return;
	}
	if (p->stopped)
		refuse(g, F_ServiceUnavailable, PEERS_STOPPING);
	else
		relay_submit(p->relay, &g->item, loop_now_us(p->loop));
	peers_settle(p);
}

static struct going *
going_new(struct peers *p, uint32_t shard, uint64_t asker, size_t bytes, enum relay_kind kind)
{
	struct going *g = xcalloc(1, sizeof(*g));

	g->msg.run = arrived;
	g->p = p;
	g->asker = asker;
	g->item.shard = (uint8_t)shard;
	g->item.kind = (uint8_t)kind;
	g->item.bytes = (uint32_t)bytes;
	return g;
}

bool
asks_submit(void *ctx, struct work *w)
{
	struct peers *p = ctx;
	struct going *g;

	if (atomic_load(&p->stops))
		return false;
	g = going_new(p, w->shard, w->asker, sizeof(*w) + w->room, kind_of(w));
	g->w = w;
	loop_post(p->loop, &g->msg);
	return true;
}

bool
asks_parcel(void *ctx, struct parcel *c)
{
	struct peers *p = ctx;
	struct going *g;

	if (atomic_load(&p->stops))
		return false;
	g = going_new(p, c->shard, 0, sizeof(*c) + c->cargo.bytes.n, RELAY_USUAL);
	g->parcel = c;
	loop_post(p->loop, &g->msg);
	return true;
}

/* ---- back ---- */

/* A request that was refused before it was sent goes to keep its place in the order of answers (OP_ACK), and has its fault already. */
static void
reply_take(struct work *w, struct reply *r)
{
	if (r->fault.code == F_NONE && w->reply.fault.code != F_NONE)
		r->fault = w->reply.fault;
	reply_fini(&w->reply);
	w->reply = *r;
}

/* One was asked for and the other has come: this link is of no more use. It is home already, so it has to be answered. */
static enum err
wrong_answer(struct relay_item *i, struct fault *f)
{
	refuse(going_of(i), F_ServiceUnavailable, UNKNOWN);
	return fault_set(f, F_ServerError, "it answers what it was not asked");
}

enum err
asks_replied(struct peers *p, struct str body, struct fault *f)
{
	struct answered a;
	struct relay_item *i;
	struct work *w;
	enum err e = answered_read(body, &a, f);

	if (e != ERR_OK)
		return e;
	i = relay_answered(p->relay, (uint32_t)(a.seq >> 32), (uint32_t)a.seq);
	if (i == NULL) { /* its link went, and it was answered as unknown */
		reply_fini(&a.reply);
		return ERR_OK;
	}
	w = going_of(i)->w;
	if (w == NULL)
		return wrong_answer(i, f);
	going_free(going_of(i));
	reply_take(w, &a.reply);
	fleet_answered(w);
	return ERR_OK;
}

enum err
asks_not_mine(struct peers *p, struct str body, struct fault *f)
{
	struct not_mine n;
	enum err e = not_mine_read(body, &n, f);

	if (e == ERR_OK)
		relay_not_mine(p->relay, (uint32_t)(n.seq >> 32), (uint32_t)n.seq, n.epoch);
	return e;
}

enum err
asks_parcel_done(struct peers *p, struct str body, struct fault *f)
{
	struct parcel_done d;
	struct relay_item *i;
	struct parcel *c;
	enum err e = parcel_done_read(body, &d, f);

	if (e != ERR_OK)
		return e;
	i = relay_answered(p->relay, (uint32_t)(d.seq >> 32), (uint32_t)d.seq);
	if (i == NULL)
		return ERR_OK;
	c = going_of(i)->parcel;
	if (c == NULL || parcel_done_take(&d, &c->cargo, f) != ERR_OK)
		return wrong_answer(i, f);
	going_free(going_of(i));
	c->done(c);
	return ERR_OK;
}
