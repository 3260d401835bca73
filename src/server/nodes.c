/*
 * One node of several, or the only one, with its data in PostgreSQL: shards that the node gets come into the fleet, and those that it is to give away
 * leave it (docs/cluster-design.md, 4). pg says what is to be done (pg_calls) and must not be kept; the fleet says when it is done.
 *
 *   pg --attach--> COMES --fleet_take--> HERE --detach--> GOES --fleet_release--> AWAY --pg_detached--> pg
 */
#include "os/clock.h"
#include "pg/pg.h"
#include "server/priv.h"

#include <stdio.h>
#include <stdlib.h>

#define START_US                                                                                   \
	(INT64_C(30) *                                                                             \
	    1000000) /* for the shards that are due, by the death of another node if need be */
#define LOOK_US INT64_C(100000)
/* For tests alone: milliseconds. */
#define SETTLE_NAME "TWINHUB_TEST_SETTLE_MS"

static_assert(PG_SHARDS == SHARDS, "a shard is a shard");

enum place { AWAY, COMES, HERE, GOES };

struct nodes {
	struct server *s;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct {
		enum place place;
		bool leaves; /* COMES: it is to go as soon as it is here */
	} shards[PG_SHARDS];
	unsigned nhere;
	uint64_t due; /* as of the last beat: pg_view.due */
	bool viewed;
	struct fault fault; /* why one cannot be served */
};

/* As others are to reach it: an address, not a name. */
enum err
mesh_check(const struct server_options *o, char *why, size_t nwhy)
{
	struct net_addr at;

	if (o->mesh == NULL)
		return ERR_OK;
	if (o->cluster == NULL)
		snprintf(why, nwhy, "--mesh is for a node of several, whose data is in --cluster");
	else if (strlen(o->mesh) >= PG_ADDRESS_MAX || net_addr_parse(o->mesh, &at) != ERR_OK)
		snprintf(why, nwhy, "--mesh %.80s: not ADDRESS:PORT, as 10.0.0.1:7443", o->mesh);
	else
		return ERR_OK;
	return ERR_ARG;
}

/* ---- a shard goes ---- */

static void
place_set(struct nodes *n, unsigned shard, enum place place)
{
	pthread_mutex_lock(&n->mu);
	n->nhere += (place == HERE) - (n->shards[shard].place == HERE);
	n->shards[shard].place = place;
	n->shards[shard].leaves = false;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->mu);
}

static void
released(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct nodes *n = ctx;

	(void)e, (void)why;
	place_set(n, shard, AWAY);
	pg_detached(n->s->store, shard);
}

/* A fleet that stops releases nothing: the shard stays this node's until its end. */
static void
release(struct nodes *n, unsigned shard)
{
	place_set(n, shard, GOES);
	(void)fleet_release(n->s->fleet, shard, released, n);
}

/* ---- it comes ---- */

static void
say_unserved(struct nodes *n, unsigned shard, const struct fault *why)
{
	log_text(LOG_ERROR, "shard %u cannot be served: %s", shard,
	    why->text[0] != '\0' ? why->text : "the store cannot be read");
	pthread_mutex_lock(&n->mu);
	n->fault = *why;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->mu);
}

/* Is it to go again? */
static bool
came(struct nodes *n, unsigned shard)
{
	bool leaves;

	pthread_mutex_lock(&n->mu);
	leaves = n->shards[shard].leaves;
	pthread_mutex_unlock(&n->mu);
	place_set(n, shard, HERE);
	return leaves;
}

/* One that cannot be read is nobody's here, and what is for it is refused; where it goes to, it may be another matter. */
static void
taken(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct nodes *n = ctx;

	if (e == ERR_OK) {
		if (came(n, shard))
			release(n, shard);
		return;
	}
	say_unserved(n, shard, why);
	if (came(n, shard))
		released(n, shard, ERR_OK, NULL);
	else
		place_set(n, shard, AWAY);
}

/* ---- what pg says ---- */

static void
attach(void *ctx, unsigned shard)
{
	struct nodes *n = ctx;
	struct fleet *f = n->s->fleet;

	place_set(n, shard, COMES);
	if (fleet_take(f, shard, fleet_worker_of(f, shard), taken, n) == ERR_IO)
		taken(n, shard, ERR_IO,
		    &(struct fault){ .code = F_ServerError, .text = "there is no thread for it" });
}

static void
detach(void *ctx, unsigned shard)
{
	struct nodes *n = ctx;
	enum place place;

	pthread_mutex_lock(&n->mu);
	place = n->shards[shard].place;
	n->shards[shard].leaves = place == COMES;
	pthread_mutex_unlock(&n->mu);
	if (place == HERE)
		release(n, shard);
}

static void
view(void *ctx, const struct pg_view *v)
{
	struct nodes *n = ctx;

	pthread_mutex_lock(&n->mu);
	n->due = v->due;
	n->viewed = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->mu);
}

/* ---- beginning and end ---- */

enum err
nodes_open(struct server *s, struct pg_options *po)
{
	struct nodes *n = xcalloc(1, sizeof(*n));
	const char *settle = getenv(SETTLE_NAME);
	uint64_t ms;

	n->s = s;
	pthread_mutex_init(&n->mu, NULL);
	cond_init(&n->changed);
	s->nodes = n;
	po->several = s->o.mesh != NULL;
	po->address = s->o.mesh;
	po->calls = (struct pg_calls){
		.attach = attach, .detach = detach, .view = view, .apply = common_named, .ctx = n
	};
	if (settle != NULL && str_u64(str_of(settle), &ms) && ms > 0)
		po->times.settle_us = (int64_t)ms * 1000;
	return ERR_OK;
}

/* Are those served that are due? Of a node that is the only one: all. */
static bool
served(const struct nodes *n)
{
	if (n->s->o.mesh == NULL)
		return n->nhere == PG_SHARDS;
	for (unsigned i = 0; i < PG_SHARDS; i++)
		if (n->due >> i & 1 && n->shards[i].place != HERE)
			return false;
	return n->viewed;
}

static enum err
served_wait(struct nodes *n, struct fault *f)
{
	int64_t until_us = clock_mono_us() + START_US;
	unsigned missing;
	bool all;

	pthread_mutex_lock(&n->mu);
	while (!(all = served(n)) && n->fault.code == F_NONE && clock_mono_us() < until_us)
		(void)cond_wait_until(&n->changed, &n->mu, clock_mono_us() + LOOK_US);
	missing = PG_SHARDS - n->nhere;
	*f = n->fault;
	pthread_mutex_unlock(&n->mu);
	if (all || f->code != F_NONE)
		return all ? ERR_OK : ERR_CORRUPT;
	pg_why(n->s->store, f);
	return fail(n->s, "%u of the hub's shards cannot be had: %s", missing,
	    f->text[0] != '\0' ? f->text : "another node has them");
}

enum err
nodes_begin(struct server *s)
{
	struct fault f = { 0 };
	enum err e = pg_begin(s->store, &f);

	if (e == ERR_OK && (e = served_wait(s->nodes, &f)) != ERR_CORRUPT)
		return e;
	return fail(s, "%s", f.text);
}

bool
nodes_have(const struct server *s, unsigned shard)
{
	struct nodes *n = s->nodes;
	bool have;

	if (n == NULL)
		return true;
	pthread_mutex_lock(&n->mu);
	have = n->shards[shard].place == HERE;
	pthread_mutex_unlock(&n->mu);
	return have;
}

void
nodes_free(struct server *s)
{
	struct nodes *n = s->nodes;

	if (n == NULL)
		return;
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->mu);
	free(n);
	s->nodes = NULL;
}
