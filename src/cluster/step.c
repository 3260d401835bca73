/* The step: which part hears of an input, what each part wants next, and when to wake up. */
#include "cluster/priv.h"

#include <stdio.h>

#define S INT64_C(1000000)

const struct cluster_times cluster_times = {
	.beat_us = 1 * S,
	.lease_us = 4 * S,
	.death_us = 6 * S,
	.orphan_us = 3 * S,
	.settle_us = 30 * S,
	.clock_us = 10 * S,
	.retry_us = S / 2,
};

struct cluster_do *
do_put(struct cluster *c, enum cluster_do_what what)
{
	struct cluster_do *d = &c->out->v[c->out->n++];

	assert(c->out->n <= CLUSTER_DO_MAX);
	*d = (struct cluster_do){ .what = what };
	return d;
}

struct cluster_do *
do_ask(struct cluster *c, enum cluster_conn conn, enum cluster_question q)
{
	struct cluster_do *d = do_put(c, CLUSTER_ASK);

	assert(!c->links[conn].busy);
	c->links[conn].busy = true;
	d->conn = conn;
	d->question = q;
	return d;
}

bool
link_ready(struct cluster *c, enum cluster_conn conn)
{
	struct link *l = &c->links[conn];

	if (l->busy)
		return false;
	if (!l->open && c->now_us >= l->dial_us)
		do_ask(c, conn, CLUSTER_DIAL)->host = l->host;
	return l->open;
}

void
do_say(struct cluster *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(do_put(c, CLUSTER_SAY)->text, CLUSTER_TEXT_MAX, fmt, ap);
	va_end(ap);
}

/* What the step wanted besides is not wanted any more. */
void
do_end(struct cluster *c, enum cluster_end code, const char *fmt, ...)
{
	struct cluster_do *d;
	va_list ap;

	if (c->phase == PHASE_ENDED)
		return;
	c->phase = PHASE_ENDED;
	c->lease.until_us = INT64_MIN;
	c->out->n = 0;
	d = do_put(c, CLUSTER_END);
	d->code = code;
	va_start(ap, fmt);
	vsnprintf(d->text, CLUSTER_TEXT_MAX, fmt, ap);
	va_end(ap);
}

/* ---- answers ---- */

/* A server that does not let in, or has gone: the next one of the list. */
static void
link_answered(struct cluster *c, struct link *l, const struct cluster_input *in)
{
	bool dialled = l->asked.question == CLUSTER_DIAL;

	l->busy = false;
	if (dialled ? in->answer == CLUSTER_OK : in->answer != CLUSTER_LOST) {
		l->open = true;
		return;
	}
	l->open = false;
	l->host = (l->host + 1) % c->o.hosts;
	l->dial_us = dialled ? c->now_us + c->o.times.retry_us : c->now_us;
}

static void
answered(struct cluster *c, const struct cluster_input *in)
{
	struct link *l = &c->links[in->conn];
	const struct cluster_do q = l->asked;

	assert(l->busy);
	link_answered(c, l, in);
	if (in->conn == CLUSTER_BEAT) {
		if (q.question == CLUSTER_DIAL)
			c->fresh = true, c->beat_us = c->now_us;
		else
			beat_answered(c, in);
	} else if (in->conn == CLUSTER_COMMIT) {
		outcome_answered(c, &q, in);
	} else if (q.question != CLUSTER_DIAL) {
		(c->phase == PHASE_START ? start_answered : work_answered)(c, &q, in);
	} else {
		c->start.watched = false; /* who is watched is so from here on: by connection */
	}
}

static void
committed(struct cluster *c, uint64_t shards)
{
	for (unsigned s = 0; s < c->o.shards; s++)
		c->shards[s].pos += shards >> s & 1;
}

static void
hear(struct cluster *c, const struct cluster_input *in)
{
	switch (in->what) {
	case CLUSTER_TICK: break;
	case CLUSTER_ANSWER: answered(c, in); break;
	case CLUSTER_IN_FORCE: beat_in_force(c); break;
	case CLUSTER_HURRY: beat_hurry(c); break;
	case CLUSTER_LOADED: work_loaded(c, in->shard); break;
	case CLUSTER_NOT_LOADED: work_not_loaded(c, in->shard, in->full); break;
	case CLUSTER_DETACHED: work_detached(c, in->shard); break;
	case CLUSTER_MADE: committed(c, in->shards); break;
	case CLUSTER_FENCED: outcome_begin(c, in->shards, true); break;
	case CLUSTER_UNKNOWN: outcome_begin(c, in->shards, false); break;
	}
}

/* Of a connection that is to be dialled. */
static int64_t
link_wake(const struct link *l)
{
	return l->busy || l->open ? NEVER : l->dial_us;
}

static int64_t
wake(const struct cluster *c)
{
	int64_t at = link_wake(&c->links[CLUSTER_WORK]);

	if (c->phase == PHASE_START)
		return sooner(at, start_wake(c));
	at = sooner(at, link_wake(&c->links[CLUSTER_BEAT]));
	at = sooner(at, outcome_wake(c));
	return sooner(at, sooner(beat_wake(c), work_wake(c)));
}

static void
want(struct cluster *c)
{
	if (c->phase == PHASE_START) {
		start_next(c);
		return;
	}
	beat_next(c);
	outcome_next(c);
	work_next(c);
}

void
cluster_step(
    struct cluster *c, const struct cluster_input *in, int64_t now_us, struct cluster_outputs *out)
{
	out->n = 0;
	out->wake_us = NEVER;
	if (c->phase == PHASE_ENDED)
		return;
	c->now_us = now_us;
	c->out = out;
	hear(c, in);
	if (c->phase != PHASE_ENDED)
		want(c);
	for (unsigned i = 0; i < out->n; i++)
		if (out->v[i].what == CLUSTER_ASK)
			c->links[out->v[i].conn].asked = out->v[i];
	if (c->phase != PHASE_ENDED)
		out->wake_us = wake(c);
	c->out = NULL;
}

/* ---- what is seen from outside ---- */

struct cluster *
cluster_new(const struct cluster_options *o)
{
	struct cluster *c = xcalloc(1, sizeof(*c));

	assert(o->shards > 0 && o->shards <= CLUSTER_SHARDS_MAX && o->hosts > 0);
	assert(o->times.death_us * 2 >= o->times.lease_us * 3);
	c->o = *o;
	id_copy(c->node, o->node);
	c->o.node = c->node;
	c->lease.until_us = c->seen_us = INT64_MIN;
	c->least = NEVER;
	for (unsigned s = 0; s < CLUSTER_SHARDS_MAX; s++)
		c->shards[s] = (struct held){ .orphan_us = NEVER, .again_us = INT64_MIN },
		c->place[s] = -1;
	for (unsigned i = 0; i < CLUSTER_CONNS; i++)
		c->links[i].dial_us = INT64_MIN;
	c->start.look_us = INT64_MIN;
	c->give.until_us = INT64_MIN;
	return c;
}

void
cluster_free(struct cluster *c)
{
	free(c);
}

struct cluster_lease
cluster_lease(const struct cluster *c)
{
	return c->lease;
}

bool
cluster_fence(const struct cluster *c, unsigned shard, int64_t *epoch, int64_t *pos)
{
	const struct held *h = &c->shards[shard];

	*epoch = h->epoch;
	*pos = h->pos;
	return h->hold == HOLD_OWNED || h->hold == HOLD_LEAVING;
}

struct cluster_spread
cluster_spread(const struct cluster *c)
{
	struct cluster_spread s = { c->named, sooner(c->least, c->in_force), c->seen_us,
		c->least != NEVER };

	for (unsigned i = 0; c->viewed && i < c->view.nnode; i++)
		if (c->view.nodes[i].state == CLUSTER_REVOKED &&
		    c->now_us < c->peers[i].revoked_us + c->o.times.death_us)
			s.least = 0;
	return s;
}

int64_t
cluster_generation(const struct cluster *c)
{
	return c->generation;
}

const char *
cluster_owner(const struct cluster *c, unsigned shard, int64_t *generation)
{
	*generation = c->generation;
	if (c->shards[shard].hold == HOLD_OWNED)
		return c->node;
	*generation = c->view.rows[shard].generation;
	if (!c->viewed || c->view.rows[shard].owner < 0)
		return NULL;
	return c->view.nodes[c->view.rows[shard].owner].id;
}
