/*
 * One node of several, or the only one, with its data in PostgreSQL: shards that the node gets come into the fleet, and those that it is to give away
 * leave it (docs/cluster-design.md, 4). pg says what is to be done (pg_calls) and must not be kept; the fleet says when it is done.
 *
 *   pg --attach--> COMES --fleet_take--> HERE --detach--> GOES --fleet_release--> AWAY --pg_detached--> pg
 *
 * With others (--mesh) both go by peers, which tells the other nodes and keeps the order of what waits, and hears of each view whose the shards are.
 */
#include "os/clock.h"
#include "peers/peers.h"
#include "pg/pg.h"
#include "server/priv.h"

#include <stdio.h>
#include <stdlib.h>

/* without any shard that comes, of those that are due: the death of another node may have to be waited for */
#define START_US (INT64_C(30) * 1000000)
#define AGAIN_US (INT64_C(5) * 1000000) /* for a shard that could not be read */
#define POKE_US  INT64_C(1000000)
#define LOOK_US  INT64_C(100000)
/* between looks at where the logs of others' shards end */
#define LOGS_US INT64_C(200000)
/* For tests alone: milliseconds. */
#define SETTLE_NAME "TWINHUB_TEST_SETTLE_MS"

static_assert(PG_SHARDS == SHARDS, "a shard is a shard");

/* UNSERVED: it is this node's, and could not be read. */
enum place { AWAY, COMES, HERE, GOES, UNSERVED };

struct nodes {
	struct server *s;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct {
		enum place place;
		bool leaves; /* COMES: it is to go as soon as it is here. UNSERVED: it is to go */
		uint64_t epoch;   /* by which it was taken */
		int64_t again_us; /* UNSERVED: it is tried again */
	} shards[PG_SHARDS];
	unsigned nhere;
	int64_t moved_us; /* when one was here, or not any more; monotonic */
	uint64_t due;     /* as of the last beat: pg_view.due */
	bool viewed;
	struct fault fault; /* why one cannot be served */
	bool stops;         /* what pg says from now on is for the next incarnation */
	unsigned busy;      /* calls of pg's that are in here */
	struct thread logs;
	struct pinned *pinned;
	struct peers *peers; /* NULL: it is the only one */
};

/* false: it stops. Else to be left. */
static bool
enter(struct nodes *n)
{
	bool stops;

	pthread_mutex_lock(&n->mu);
	stops = n->stops;
	n->busy += !stops;
	pthread_mutex_unlock(&n->mu);
	return !stops;
}

static void
leave(struct nodes *n)
{
	pthread_mutex_lock(&n->mu);
	n->busy--;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->mu);
}

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

/* With the lock; true: it is to go at once. */
static bool
place_is(struct nodes *n, unsigned shard, enum place place)
{
	bool leaves = n->shards[shard].leaves;

	n->nhere += (place == HERE) - (n->shards[shard].place == HERE);
	n->moved_us = clock_mono_us();
	n->shards[shard].place = place;
	n->shards[shard].leaves = place == UNSERVED && leaves;
	pthread_cond_broadcast(&n->changed);
	return leaves;
}

static bool
place_set(struct nodes *n, unsigned shard, enum place place)
{
	bool leaves;

	pthread_mutex_lock(&n->mu);
	leaves = place_is(n, shard, place);
	pthread_mutex_unlock(&n->mu);
	return leaves;
}

/* Of a node that stops the shard is its own until its end. */
static void
released(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct nodes *n = ctx;

	(void)why;
	if (e != ERR_OK || !enter(n))
		return;
	place_set(n, shard, AWAY);
	pg_detached(n->s->store, shard);
	leave(n);
}

static void
release(struct nodes *n, unsigned shard)
{
	place_set(n, shard, GOES);
	if (n->peers != NULL)
		peers_release(n->peers, shard, released, n);
	else
		(void)fleet_release(n->s->fleet, shard, released, n);
}

/* ---- it comes ---- */

/* Nobody else can have it meanwhile: it is tried again, and what is for it is refused. */
static void
unserved(struct nodes *n, unsigned shard, const struct fault *why)
{
	const char *text = why->text[0] != '\0' ? why->text : "the store cannot be read";

	log_text(LOG_ERROR, "shard %u cannot be served: %s", shard, text);
	pthread_mutex_lock(&n->mu);
	(void)place_is(n, shard, UNSERVED);
	n->shards[shard].again_us = clock_mono_us() + AGAIN_US;
	fault_set(&n->fault, F_ServerError, "shard %u cannot be served: %s", shard, text);
	pthread_mutex_unlock(&n->mu);
}

static void
taken(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct nodes *n = ctx;

	if (!enter(n))
		return;
	if (e != ERR_OK)
		unserved(n, shard, why);
	else if (place_set(n, shard, HERE))
		release(n, shard);
	else if (atomic_load(&n->s->loops_run)) /* who has given it may give the next one */
		nodes_poke(n->s);
	leave(n);
}

/* It is COMES. */
static void
take(struct nodes *n, unsigned shard, uint64_t epoch)
{
	struct fleet *f = n->s->fleet;
	unsigned worker = fleet_worker_of(f, shard);

	if (n->peers != NULL)
		peers_take(n->peers, shard, epoch, worker, taken, n);
	else if (fleet_take(f, shard, worker, taken, n) == ERR_IO)
		taken(n, shard, ERR_IO,
		    &(struct fault){ .code = F_ServerError, .text = "there is no thread for it" });
}

/* ---- those that could not be read: on a thread that may call pg ---- */

/* What is to be done with it: it goes, or it is tried again. */
static enum place
due(struct nodes *n, unsigned shard, uint64_t *epoch)
{
	enum place place = UNSERVED;

	pthread_mutex_lock(&n->mu);
	*epoch = n->shards[shard].epoch;
	if (n->shards[shard].place == UNSERVED && n->shards[shard].leaves)
		place = AWAY;
	else if (n->shards[shard].place == UNSERVED && clock_mono_us() >= n->shards[shard].again_us)
		place = COMES;
	if (place != UNSERVED)
		(void)place_is(n, shard, place);
	pthread_mutex_unlock(&n->mu);
	return place;
}

static void
unserved_look(struct nodes *n)
{
	uint64_t epoch;

	for (unsigned i = 0; i < PG_SHARDS; i++)
		switch (due(n, i, &epoch)) {
		case AWAY: pg_detached(n->s->store, i); break;
		case COMES: take(n, i, epoch); break;
		default: break;
		}
}

/* ---- what pg says ---- */

static void
attach(void *ctx, unsigned shard, uint64_t epoch)
{
	struct nodes *n = ctx;

	if (!enter(n))
		return;
	pthread_mutex_lock(&n->mu);
	n->shards[shard].epoch = epoch;
	(void)place_is(n, shard, COMES);
	pthread_mutex_unlock(&n->mu);
	take(n, shard, epoch);
	leave(n);
}

static void
detach(void *ctx, unsigned shard)
{
	struct nodes *n = ctx;
	enum place place;

	if (!enter(n))
		return;
	pthread_mutex_lock(&n->mu);
	place = n->shards[shard].place;
	n->shards[shard].leaves = place != HERE;
	pthread_mutex_unlock(&n->mu);
	if (place == HERE)
		release(n, shard);
	leave(n);
}

/* One that has no mesh, or does not live, nobody has to reach. */
static bool
is_peer(const struct pg_view *v, const struct pg_node *node)
{
	return node->slot != v->slot && node->state <= PG_DRAINING && node->has_print &&
	    node->address[0] != '\0';
}

static void
peer_of(const struct pg_node *node, struct mesh_peer *out)
{
	*out = (struct mesh_peer){ .slot = node->slot, .generation = (uint64_t)node->generation };
	snprintf(out->node, sizeof(out->node), "%s", node->name);
	snprintf(out->address, sizeof(out->address), "%s", node->address);
	memcpy(out->print, node->print, PG_PRINT);
}

static void
tell_peers(struct nodes *n, const struct pg_view *v)
{
	struct peers_view *to = xcalloc(1, sizeof(*to));

	for (unsigned i = 0; i < v->nnode && to->nnode < MESH_PEERS_MAX; i++)
		if (is_peer(v, &v->nodes[i]))
			peer_of(&v->nodes[i], &to->nodes[to->nnode++]);
	for (unsigned i = 0; i < PG_SHARDS; i++)
		to->shards[i] =
		    (struct peers_owner){ (uint64_t)v->shards[i].epoch, v->shards[i].owner };
	peers_view(n->peers, to);
	peers_say(n->peers, (uint64_t)v->common);
	free(to);
}

static unsigned
nodes_alive(const struct pg_view *v)
{
	unsigned n = 0;

	for (unsigned i = 0; i < v->nnode; i++)
		n += v->nodes[i].state == PG_LIVE || v->nodes[i].state == PG_DRAINING;
	return n;
}

static uint64_t
identities(void *ctx)
{
	const struct nodes *n = ctx;

	return n->s->fleet != NULL ? fleet_identities(n->s->fleet) : 0;
}

static void
view(void *ctx, const struct pg_view *v)
{
	struct nodes *n = ctx;

	if (!enter(n))
		return;
	if (n->peers != NULL && n->s->fleet != NULL) {
		tell_peers(n, v);
		fleet_identities_of_others(n->s->fleet, v->identities);
		limiter_nodes(n->s->limiter, nodes_alive(v));
	}
	pthread_mutex_lock(&n->mu);
	n->due = v->due;
	n->viewed = true;
	pthread_cond_broadcast(&n->changed);
	pthread_mutex_unlock(&n->mu);
	leave(n);
}

/* ---- something hub-wide is new ---- */

/* Another node has changed it, and waits until it is in force here: the beat that says so does not wait for its turn. */
static void
poked(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	struct nodes *n = ctx;

	(void)slot, (void)body;
	pg_hurry(n->s->store);
	peers_answer(asked, STR_NONE);
}

/* Who has not heard it hears it from its next beat. */
static void
poke_over(void *ctx, enum err e, struct str body, const struct fault *why)
{
	(void)ctx, (void)e, (void)body, (void)why;
}

void
nodes_poke(struct server *s)
{
	struct mesh_view *links;
	unsigned n;

	if (s->nodes == NULL || s->nodes->peers == NULL)
		return;
	links = xcalloc(MESH_PEERS_MAX, sizeof(*links));
	n = peers_links(s->nodes->peers, links);
	for (unsigned i = 0; i < n; i++)
		if (links[i].up)
			peers_call(s->nodes->peers, links[i].slot, CALL_POKE, STR_NONE,
			    clock_mono_us() + POKE_US, poke_over, NULL);
	free(links);
}

static void
given(void *ctx)
{
	struct nodes *n = ctx;

	if (!enter(n))
		return;
	nodes_poke(n->s);
	leave(n);
}

/* ---- the logs of others' shards ---- */

static void
log_ends(void *ctx, unsigned shard, struct str record)
{
	struct nodes *n = ctx;

	fleet_log_heard(n->s->fleet, shard, record);
}

static bool
logs_wait(struct nodes *n)
{
	int64_t until_us = clock_mono_us() + LOGS_US;
	bool stops;

	pthread_mutex_lock(&n->mu);
	while (!n->stops && cond_wait_until(&n->changed, &n->mu, until_us))
		;
	stops = n->stops;
	pthread_mutex_unlock(&n->mu);
	return !stops;
}

/* While the server is away nothing comes. */
static void
logs_main(void *ctx)
{
	struct nodes *n = ctx;

	while (logs_wait(n)) {
		(void)pg_log_ends(n->s->store, log_ends, n);
		unserved_look(n);
	}
}

/* ---- beginning and end ---- */

static void
times_of(struct pg_options *po)
{
	const char *settle = getenv(SETTLE_NAME);
	uint64_t ms;

	if (settle != NULL && str_u64(str_of(settle), &ms) && ms > 0)
		po->times.settle_us = (int64_t)ms * 1000;
}

enum err
nodes_open(struct server *s, struct pg_options *po)
{
	static uint8_t print[PG_PRINT]; /* borrowed by po */
	struct nodes *n = xcalloc(1, sizeof(*n));
	char why[NET_WHY_MAX];
	struct fault f = { 0 };

	n->s = s;
	pthread_mutex_init(&n->mu, NULL);
	cond_init(&n->changed);
	s->nodes = n;
	if (s->o.mesh != NULL &&
	    pinned_open(s->o.data, node_name(s), clock_wall_us(), &n->pinned, why) != ERR_OK)
		return fail(s, "%s", why);
	if (s->o.mesh != NULL) {
		pinned_print(n->pinned, print);
		po->print = print;
	}
	po->several = s->o.mesh != NULL;
	po->address = s->o.mesh;
	po->calls = (struct pg_calls){ .attach = attach,
		.detach = detach,
		.view = view,
		.given = given,
		.apply = common_named,
		.identities = identities,
		.ctx = n };
	times_of(po);
	if (pg_open(po, &s->store, &f) == ERR_OK && pg_begin(s->store, &f) == ERR_OK)
		return ERR_OK;
	return fail(s, "%s", f.text);
}

enum err
nodes_join(struct server *s, const char *hub, struct fleet_options *fo)
{
	const struct peers_options o = { .pinned = s->nodes->pinned,
		.address = s->o.mesh,
		.hub = hub,
		.node = node_name(s),
		.version = TWINHUB_VERSION,
		.slot = pg_slot(s->store),
		.generation = pg_generation(s->store) };
	char why[NET_WHY_MAX];

	memset(s->nobody, FLEET_NOBODY, sizeof(s->nobody));
	fo->owners = s->nobody; /* they come */
	fo->may_answer = pg_lease;
	fo->lease = s->store;
	if (s->o.mesh == NULL)
		return ERR_OK;
	if (peers_open(&o, &s->nodes->peers, why) != ERR_OK)
		return fail(s, "%s", why);
	fo->slot = o.slot;
	peers_handle(s->nodes->peers, CALL_POKE, poked, s->nodes);
	fo->elsewhere = peers_elsewhere(s->nodes->peers);
	fo->walks = peers_walks(s->nodes->peers);
	return ERR_OK;
}

/* Does the lease hold, and are those served that are due? Of a node that is the only one: all. Of one of several not those that cannot be: the others
 * are no worse for it. */
static bool
served(const struct nodes *n)
{
	if (pg_lease(n->s->store) == 0)
		return false;
	if (n->s->o.mesh == NULL)
		return n->nhere == PG_SHARDS;
	for (unsigned i = 0; i < PG_SHARDS; i++)
		if (n->due >> i & 1 && n->shards[i].place != HERE && n->shards[i].place != UNSERVED)
			return false;
	return n->viewed;
}

static enum err
served_wait(struct nodes *n)
{
	const bool several = n->s->o.mesh != NULL;
	struct fault f;
	unsigned missing;
	bool all;

	pthread_mutex_lock(&n->mu);
	n->moved_us = clock_mono_us();
	while (!(all = served(n)) && (several || n->fault.code == F_NONE) &&
	    clock_mono_us() < n->moved_us + START_US)
		(void)cond_wait_until(&n->changed, &n->mu, clock_mono_us() + LOOK_US);
	missing = PG_SHARDS - n->nhere;
	f = n->fault;
	pthread_mutex_unlock(&n->mu);
	if (all)
		return ERR_OK;
	if (!several && f.code != F_NONE)
		return fail(n->s, "%s", f.text);
	pg_why(n->s->store, &f);
	return fail(n->s, "%u of the hub's shards cannot be had: %s", missing,
	    f.text[0] != '\0' ? f.text : "another node has them");
}

/* Whoever reads from now on, begins behind what is there. */
static enum err
logs_begin(struct nodes *n)
{
	struct fault f = { 0 };

	if (pg_log_ends(n->s->store, log_ends, n) != ERR_OK)
		return fail(n->s, "the ends of logs cannot be read");
	return thread_start(&n->logs, logs_main, n, &f, "logs") == ERR_OK
	    ? ERR_OK
	    : fail(n->s, "%s", f.text);
}

enum err
nodes_begin(struct server *s)
{
	struct nodes *n = s->nodes;

	if (n->peers != NULL && peers_start(n->peers, s->fleet) != ERR_OK)
		return fail(s, "there is no thread for the mesh");
	if (common_start(s) != ERR_OK || served_wait(n) != ERR_OK)
		return ERR_IO;
	return n->peers != NULL ? logs_begin(n) : ERR_OK;
}

bool
nodes_links(const struct server *s, struct nodes_links *out)
{
	struct mesh_view *links;
	struct peers_look ops;

	*out = (struct nodes_links){ 0 };
	if (s->nodes == NULL || s->nodes->peers == NULL)
		return false;
	links = xcalloc(MESH_PEERS_MAX, sizeof(*links));
	out->others = peers_links(s->nodes->peers, links);
	for (unsigned i = 0; i < out->others; i++) {
		out->up += links[i].up;
		out->sent += links[i].sent;
		out->received += links[i].received;
	}
	free(links);
	peers_look(s->nodes->peers, &ops);
	out->waiting = ops.waiting, out->out = ops.out;
	out->not_mine = ops.not_mine, out->unknown = ops.unknown;
	out->late = ops.late, out->full = ops.full;
	return true;
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
nodes_stop(struct server *s)
{
	struct nodes *n = s->nodes;

	if (n == NULL)
		return;
	pthread_mutex_lock(&n->mu);
	n->stops = true;
	pthread_cond_broadcast(&n->changed);
	while (n->busy > 0)
		pthread_cond_wait(&n->changed, &n->mu);
	pthread_mutex_unlock(&n->mu);
	thread_join(&n->logs);
	if (n->peers != NULL)
		peers_stop(n->peers);
}

void
nodes_part(struct server *s)
{
	if (s->nodes == NULL)
		return;
	if (s->nodes->peers != NULL)
		peers_drain(s->nodes->peers);
}

void
nodes_free(struct server *s)
{
	struct nodes *n = s->nodes;

	if (n == NULL)
		return;
	peers_free(n->peers);
	pinned_free(n->pinned);
	pthread_cond_destroy(&n->changed);
	pthread_mutex_destroy(&n->mu);
	free(n);
	s->nodes = NULL;
}
