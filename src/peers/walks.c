/* Parts of questions: asked of other nodes, and answered to them. */
#include "peers/priv.h"

#include <stdlib.h>

#define GRACE_US INT64_C(1000000) /* beyond its time: it is the node's to say that it is over */
/* Bytes of an answer beside its rows and sums: heads, numbers, and the frame's. */
#define ANSWER_MAX (FRAME_MAX - 1024u)

/* ---- whose shards are ---- */

static int
owner(void *ctx, uint32_t shard)
{
	struct peers *p = ctx;
	uint16_t of;

	pthread_mutex_lock(&p->mu);
	of = p->look.owner[shard];
	pthread_mutex_unlock(&p->mu);
	return of == PEERS_NOBODY ? -1 : of;
}

static void
name(void *ctx, int of, struct buf *out)
{
	struct peers *p = ctx;
	struct mesh_view v[MESH_PEERS_MAX];
	unsigned n = peers_links(p, v);

	buf_cstr(out, "node ");
	for (unsigned i = 0; i < n; i++)
		if (v[i].slot == of) {
			buf_cstr(out, v[i].node);
			return;
		}
	if (of == p->o.slot)
		buf_cstr(out, p->o.node);
	else
		buf_printf(out, "of slot %d, which is gone", of);
}

/* ---- asked by this node ---- */

static void
answered(void *ctx, enum err e, struct str body, const struct fault *why)
{
	struct walk_call *c = ctx;
	struct fault f;

	(void)why;
	if (e == ERR_OK)
		e = walk_answer_read(body, &c->answer, &f);
	c->lost = e != ERR_OK;
	c->done(c);
}

/* The lock keeps it before the stop, which ends what is under way. */
static void
ask(void *ctx, int of, const struct walk_asked *asked, struct walk_call *c)
{
	struct peers *p = ctx;
	struct buf body = { 0 };
	bool stops;

	walk_asked_write(&body, asked);
	pthread_mutex_lock(&p->mu);
	stops = atomic_load(&p->stops);
	if (!stops)
		peers_call(p, (uint16_t)of, CALL_WALK, buf_view(&body),
		    clock_mono_us() + asked->left_us + GRACE_US, answered, c);
	pthread_mutex_unlock(&p->mu);
	buf_fini(&body);
	if (stops) {
		c->lost = true;
		c->done(c);
	}
}

/* ---- asked of this node ---- */

struct served {
	struct walk_call call; /* first */
	struct peers_asked *asked;
};

static void
put_too_large(struct buf *body)
{
	struct walk_answer a = { .too_large = true };

	fault_set(&a.fault, F_QueryTooLarge,
	    "what one shard has to say is over the limit of %u bytes between nodes", ANSWER_MAX);
	body->n = 0;
	walk_answer_write(body, &a);
}

static void
walked(struct walk_call *c)
{
	struct served *s = (struct served *)c;
	struct buf body = { 0 };

	walk_answer_write(&body, &c->answer);
	if (body.n > ANSWER_MAX)
		put_too_large(&body);
	peers_answer(s->asked, buf_view(&body));
	buf_fini(&body);
	walk_answer_fini(&c->answer);
	free(s);
}

static void
walk_asked_here(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	struct peers *p = ctx;
	struct walk_asked a;
	struct fault why = { 0 };
	struct served *s;

	(void)slot;
	if (walk_asked_read(body, &a, &why) != ERR_OK) {
		peers_refuse(asked, &why);
		return;
	}
	s = xcalloc(1, sizeof(*s));
	s->call.done = walked;
	s->asked = asked;
	fleet_walk(p->fleet, &a, &s->call);
}

void
walks_init(struct peers *p)
{
	p->walks = (struct fleet_walks){
		.ctx = p, .self = p->o.slot, .owner = owner, .ask = ask, .name = name
	};
	peers_handle(p, CALL_WALK, walk_asked_here, p);
}

const struct fleet_walks *
peers_walks(struct peers *p)
{
	return &p->walks;
}
