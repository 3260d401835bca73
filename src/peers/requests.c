/* Requests outside of any shard's order: each is answered once, by the peer, by its deadline, or by the end of the link. */
#include "base/slots.h"
#include "peers/priv.h"

#include <stdlib.h>

/* One of this node's. */
struct call {
	struct msg msg;
	struct peers *p;
	struct loop_timer deadline;
	struct call *next, **prev; /* of its node's */
	peers_answered *done;
	void *ctx;
	int64_t deadline_us;
	uint32_t number;
	uint16_t slot;
	enum call_kind kind;
	size_t n;
	char body[];
};

struct peers_asked {
	struct msg msg;
	struct peers *p;
	uint64_t seq, nth;
	uint16_t slot;
	struct fault why;
	struct buf body;
};

struct requests {
	struct slots slots;
	struct {
		struct call *first;
		uint32_t n;
		size_t bytes;
		uint32_t asked; /* of its requests that wait for their answers here */
	} of[NODES];
	struct {
		peers_handler *run;
		void *ctx;
	} handlers[CALL_KINDS];
};

struct requests *
requests_new(void)
{
	return xcalloc(1, sizeof(struct requests));
}

void
requests_free(struct requests *c)
{
	if (c == NULL)
		return;
	slots_fini(&c->slots);
	free(c);
}

void
peers_handle(struct peers *p, enum call_kind kind, peers_handler *handler, void *ctx)
{
	p->requests->handlers[kind].run = handler;
	p->requests->handlers[kind].ctx = ctx;
}

/* ---- asked by this node ---- */

static void
call_ends(struct call *c, enum err e, struct str body, const struct fault *why)
{
	c->done(c->ctx, e, body, why);
	free(c);
}

static void
call_fails(struct call *c, enum err e, const char *text)
{
	struct fault why = { 0 };

	fault_set(&why, e == ERR_FULL ? F_ThrottleBacklogLimitExceeded : F_ServiceUnavailable, "%s",
	    text);
	call_ends(c, e, STR_NONE, &why);
}

static void
call_leaves(struct call *c)
{
	struct requests *all = c->p->requests;

	slot_free(&all->slots, c->number);
	*c->prev = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	all->of[c->slot].n--;
	all->of[c->slot].bytes -= c->n;
	loop_timer_clear(c->p->loop, &c->deadline);
}

static void
too_late(struct loop_timer *t)
{
	struct call *c = container_of(t, struct call, deadline);

	call_leaves(c);
	call_fails(c, ERR_IO, "the node has not answered in time");
}

static bool
call_sends(struct call *c, int64_t now_us)
{
	struct peers *p = c->p;
	const struct called called = { .seq = (uint64_t)c->number << 32 |
		    slot_generation(&p->requests->slots, c->number),
		.kind = c->kind,
		.patience_us = (uint64_t)(c->deadline_us - now_us),
		.body = { c->body, c->n } };
	size_t begun;

	p->out.n = 0;
	begun = frame_begin(&p->out, FRAME_CALL);
	called_write(&p->out, &called);
	return frame_end(&p->out, begun) == ERR_OK && peers_send(p, c->slot);
}

static void
call_begins(struct call *c, int64_t now_us)
{
	struct requests *all = c->p->requests;
	struct call **first = &all->of[c->slot].first;

	c->number = slot_take(&all->slots, c);
	c->next = *first;
	c->prev = first;
	if (*first != NULL)
		(*first)->prev = &c->next;
	*first = c;
	all->of[c->slot].n++;
	all->of[c->slot].bytes += c->n;
	c->deadline.fire = too_late;
	loop_timer_set(c->p->loop, &c->deadline, c->deadline_us);
	if (!call_sends(c, now_us)) {
		call_leaves(c);
		call_fails(c, ERR_IO, "there is no link to the node");
	}
}

static void
call_arrived(struct msg *m)
{
	struct call *c = container_of(m, struct call, msg);
	struct peers *p = c->p;
	int64_t now_us = loop_now_us(p->loop);

	if (c->n > FRAME_MAX - FRAME_HEAD - 64)
		call_fails(c, ERR_SIZE, "the request is larger than what may go between nodes");
	else if (p->stopped || !p->nodes[c->slot].up)
		call_fails(c, ERR_IO, "there is no link to the node");
	else if (c->deadline_us <= now_us)
		call_fails(c, ERR_IO, "its time was over before it was sent");
	else if (p->requests->of[c->slot].n >= PEERS_CALLS_MAX ||
	    p->requests->of[c->slot].bytes + c->n > PEERS_CALL_BYTES)
		call_fails(c, ERR_FULL, "too many requests to the node are under way");
	else
		call_begins(c, now_us);
}

void
peers_call(struct peers *p, uint16_t slot, enum call_kind kind, struct str body,
    int64_t deadline_us, peers_answered *done, void *ctx)
{
	struct call *c = xcalloc(1, sizeof(*c) + body.n);

	assert(slot < NODES);
	c->msg.run = call_arrived;
	c->p = p;
	c->slot = slot;
	c->kind = kind;
	c->deadline_us = deadline_us;
	c->done = done;
	c->ctx = ctx;
	c->n = body.n;
	if (body.n != 0)
		memcpy(c->body, body.p, body.n);
	loop_post(p->loop, &c->msg);
}

void
requests_link_down(struct peers *p, uint16_t slot)
{
	struct call *c;

	while ((c = p->requests->of[slot].first) != NULL) {
		call_leaves(c);
		assert(p->requests->of[slot].first != c);
		call_fails(c, ERR_IO, "the link to the node went: nobody knows what came of it");
	}
}

enum err
requests_answered(struct peers *p, uint16_t slot, struct str body, struct fault *f)
{
	struct call_answer a;
	struct call *c;
	enum err e = call_answer_read(body, &a, f);
	struct fault why = { 0 };

	if (e != ERR_OK)
		return e;
	c = slot_get(&p->requests->slots, (uint32_t)(a.seq >> 32), (uint32_t)a.seq);
	if (c == NULL || c->slot != slot) /* it came too late */
		return ERR_OK;
	call_leaves(c);
	if (a.code != F_NONE)
		fault_set(&why, (enum fault_code)a.code, STR_FMT, STR_ARG(a.text));
	call_ends(c, a.code == F_NONE ? ERR_OK : ERR_ARG, a.body, &why);
	return ERR_OK;
}

/* ---- asked of this node ---- */

static void
answer_sends(struct peers_asked *a)
{
	struct peers *p = a->p;
	struct call_answer answer = { .seq = a->seq,
		.code = a->why.code,
		.text = str_of(a->why.text),
		.body = buf_view(&a->body) };
	size_t begun;

	p->out.n = 0;
	begun = frame_begin(&p->out, FRAME_ANSWER);
	call_answer_write(&p->out, &answer);
	if (frame_end(&p->out, begun) == ERR_OK) {
		(void)peers_send(p, a->slot);
		return;
	}
	a->body.n = 0;
	fault_set(&a->why, F_ServerError, "the answer is larger than what may go between nodes");
	answer_sends(a);
}

/* A link that more waits for than it may is dropped, with all that is under way there: large answers wait for those before them. */
static void
answer_fits(struct peers_asked *a)
{
	if (a->body.n == 0 || mesh_waits(a->p->mesh, a->slot) + a->body.n <= PEERS_OUT_MAX)
		return;
	a->body.n = 0;
	fault_set(&a->why, F_ServiceUnavailable,
	    "too much is on its way to the node that asks, try again later");
}

static void
answer_leaves(struct msg *m)
{
	struct peers_asked *a = container_of(m, struct peers_asked, msg);
	struct node *n = &a->p->nodes[a->slot];

	a->p->requests->of[a->slot].asked--;
	answer_fits(a);
	if (n->up && n->nth == a->nth)
		answer_sends(a);
	buf_fini(&a->body);
	free(a);
}

void
peers_answer(struct peers_asked *a, struct str body)
{
	buf_str(&a->body, body);
	a->msg.run = answer_leaves;
	loop_post(a->p->loop, &a->msg);
}

void
peers_refuse(struct peers_asked *a, const struct fault *why)
{
	a->why = *why;
	peers_answer(a, STR_NONE);
}

static struct peers_asked *
asked_new(struct peers *p, uint16_t slot, const struct called *c)
{
	struct peers_asked *a = xcalloc(1, sizeof(*a));

	a->p = p;
	a->seq = c->seq;
	a->slot = slot;
	a->nth = p->nodes[slot].nth;
	p->requests->of[slot].asked++;
	return a;
}

enum err
requests_called(struct peers *p, uint16_t slot, struct str body, struct fault *f)
{
	struct called c;
	struct fault why = { 0 };
	enum err e = called_read(body, &c, f);

	if (e != ERR_OK)
		return e;
	if (p->requests->of[slot].asked >= 2 * PEERS_CALLS_MAX) /* some may be of a former link */
		return fault_set(f, F_ServerError, "it asks for more than it may");
	if (c.kind < CALL_KINDS && p->requests->handlers[c.kind].run != NULL) {
		p->requests->handlers[c.kind].run(
		    p->requests->handlers[c.kind].ctx, slot, c.body, asked_new(p, slot, &c));
		return ERR_OK;
	}
	fault_set(&why, F_ServerError, "this node does not answer requests of kind %llu",
	    (unsigned long long)c.kind);
	peers_refuse(asked_new(p, slot, &c), &why);
	return ERR_OK;
}
