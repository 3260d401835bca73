/*
 * Three nodes in one process over loopback: each a fleet and its peers. They share one store, each with lanes of its own, and the test is the
 * database: it counts epochs, and says who owns what. Works go to the node that k->fleet names (at_node).
 */
#ifndef PEERS_KIT_H
#define PEERS_KIT_H

#include "worker_kit.h"

#include "peers/peers.h"
#include "store/face.h"

#include <sys/stat.h>

#define NODES_   3
#define WORKERS_ 2

struct lane_store {
	struct store face;
	unsigned first;
};

static struct hub {
	struct kit *k;
	struct store *store;
	struct node_ {
		struct lane_store store;
		struct fleet *fleet;
		struct peers *peers;
		struct pinned *pinned;
		char name[8], dir[160], address[NET_ADDR_TEXT_MAX];
		uint64_t generation;
		bool cut[NODES_]; /* from whom */
		bool blind
		    [NODES_]; /* whom it does not know the certificate of: there is no link, though both live */
		bool runs;
	} nodes[NODES_];
	atomic_uint_least64_t epochs[SHARDS];
	atomic_int owners[SHARDS];
	atomic_uint noted; /* notes that came */
} hub;

/* ---- the store, as each node sees it ---- */

static unsigned
real_lane(struct store *s, unsigned lane)
{
	return ((struct lane_store *)s)->first + lane;
}

static void
lane_close(struct store *s)
{
	(void)s;
}

static enum err
lane_get(struct store *s, enum store_table t, struct str key, struct buf *out)
{
	(void)s;
	return store_get(hub.store, t, key, out);
}

static enum err
lane_cursors_open(struct store *s, const enum store_table *tables, unsigned n, struct str from,
    struct str to, enum store_scan how, struct store_cursor **out)
{
	(void)s;
	return store_cursors_open(hub.store, tables, n, from, to, how, out);
}

static struct store_batch *
lane_batch_next(struct store *s, unsigned lane)
{
	return store_batch_next(hub.store, real_lane(s, lane));
}

static void
lane_submit(struct store *s, unsigned lane, struct store_batch *b, uint64_t cookie)
{
	store_submit(hub.store, real_lane(s, lane), b, cookie);
}

static void
lane_resume(struct store *s, unsigned lane)
{
	store_resume(hub.store, real_lane(s, lane));
}

static enum store_state
lane_state(struct store *s, struct fault *why)
{
	(void)s;
	return store_state(hub.store, why);
}

static uint32_t
lane_generation(const struct store *s)
{
	(void)s;
	return store_generation(hub.store);
}

static bool
lane_has_space(const struct store *s)
{
	(void)s;
	return true;
}

static void
lane_damage(struct store *s, struct store_damage *out)
{
	(void)s;
	store_damage(hub.store, out);
}

static void
lane_epoch(struct store *s, uint32_t shard, struct store_epoch *out)
{
	(void)s;
	*out = (struct store_epoch){ .number = atomic_load(&hub.epochs[shard]) };
}

static const struct store_ops lane_ops = { .close = lane_close,
	.get = lane_get,
	.cursors_open = lane_cursors_open,
	.batch_next = lane_batch_next,
	.submit = lane_submit,
	.resume = lane_resume,
	.state = lane_state,
	.generation = lane_generation,
	.has_space = lane_has_space,
	.damage = lane_damage,
	.epoch = lane_epoch };

static void
lane_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	(void)ctx;
	fleet_commit_done(&hub.nodes[lane / WORKERS_].fleet, lane % WORKERS_, cookie, result);
}

/* ---- what the database says ---- */

static void
view_tell(unsigned n)
{
	struct peers_view v = { 0 };

	for (unsigned i = 0; i < NODES_; i++) {
		const struct node_ *o = &hub.nodes[i];
		struct mesh_peer *m = &v.nodes[v.nnode];

		if (i == n || !o->runs || o->cut[n] || hub.nodes[n].cut[i])
			continue;
		*m = (struct mesh_peer){ .slot = (uint16_t)i, .generation = o->generation };
		snprintf(m->node, sizeof(m->node), "%s", o->name);
		snprintf(m->address, sizeof(m->address), "%s", o->address);
		pinned_print(o->pinned, m->print);
		m->print[0] ^= hub.nodes[n].blind[i];
		v.nnode++;
	}
	for (uint32_t s = 0; s < SHARDS; s++)
		v.shards[s] = (struct peers_owner){ atomic_load(&hub.epochs[s]),
			atomic_load(&hub.owners[s]) };
	peers_view(hub.nodes[n].peers, &v);
}

static UNUSED void
views_tell(void)
{
	for (unsigned n = 0; n < NODES_; n++)
		if (hub.nodes[n].runs)
			view_tell(n);
}

/* ---- sessions, as loops of a node have them ---- */

#define SESSIONS_ 64

static struct session_ {
	bool live;
	unsigned node;
	char device[16];
	struct reply_to self;
	uint64_t epoch, identity, told; /* told: the version that it has heard of last */
	struct opened opened;
	enum reason closed;
} sessions_[SESSIONS_];

static unsigned nresumed; /* under k->mu, as sessions_ */

struct comeback_ {
	struct resumption *r;
	unsigned node;
	atomic_uint out;
};

static void
comeback_ends(struct comeback_ *c)
{
	if (atomic_fetch_sub(&c->out, 1) != 1)
		return;
	for (unsigned i = 0; i < LOOPS; i++)
		resumption_through(c->r);
	free(c);
}

static void
session_resumed(struct work *w)
{
	struct comeback_ *c = w->owner;
	struct session_ *s = &sessions_[w->tag];
	const struct reply *r = &w->reply;

	pthread_mutex_lock(&hub.k->mu);
	nresumed++;
	if (r->fault.code == F_ConnectionForcefullyClosedOnNewConnection) {
		s->live = false;
		s->closed = r->reason;
	}
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
	work_free(w);
	comeback_ends(c);
}

static void
session_resumes(struct comeback_ *c, unsigned i)
{
	struct session_ *s = &sessions_[i];
	const struct filter filter = { FILTER_DESIRED, 0, { NULL, 0 } };
	struct work *w = work_new(hub.k->loops[0], 256, session_resumed);
	struct buf list = { 0 };

	filters_put(&list, &filter);
	w->op.kind = OP_RESUME;
	w->op.device = work_str(w, str_of(s->device));
	w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = s->epoch;
	w->op.reply_to = s->self;
	w->op.resume = (struct op_resume){ .identity = s->identity,
		.desired = s->told,
		.since_us = 1,
		.opened = s->opened,
		.clean = true };
	w->owner = c;
	w->tag = i;
	buf_fini(&list);
	atomic_fetch_add(&c->out, 1);
	fleet_submit(hub.nodes[c->node].fleet, w);
}

static void
resume_at(unsigned node, struct resumption *r)
{
	struct comeback_ *c = xcalloc(1, sizeof(*c));
	bool wanted[SESSIONS_];

	c->r = r;
	c->node = node;
	atomic_store(&c->out, 1);
	pthread_mutex_lock(&hub.k->mu);
	for (unsigned i = 0; i < SESSIONS_; i++)
		wanted[i] = sessions_[i].live && sessions_[i].node == node &&
		    hub_shard_of(str_of(sessions_[i].device)) == r->shard;
	pthread_mutex_unlock(&hub.k->mu);
	for (unsigned i = 0; i < SESSIONS_; i++)
		if (wanted[i])
			session_resumes(c, i);
	comeback_ends(c);
}

/* As its loops do it: what they have not heard yet is before it. */
struct resume_word {
	struct msg msg;
	struct resumption *r;
	unsigned node;
};

static void
resume_heard(struct msg *m)
{
	struct resume_word *w = container_of(m, struct resume_word, msg);

	resume_at(w->node, w->r);
	free(w);
}

/* Its sessions are not resumed, for which `muted` waits; NODES_: all are. */
static unsigned mute = NODES_;
static struct resumption *muted; /* under k->mu */

static void
resume_post(unsigned node, struct resumption *r)
{
	struct resume_word *w;

	if (node == mute) {
		pthread_mutex_lock(&hub.k->mu);
		muted = r;
		pthread_cond_broadcast(&hub.k->changed);
		pthread_mutex_unlock(&hub.k->mu);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->msg.run = resume_heard;
	w->r = r;
	w->node = node;
	loop_post(hub.k->loops[0], &w->msg);
}

static void
resume_a(struct resumption *r)
{
	resume_post(0, r);
}

static void
resume_b(struct resumption *r)
{
	resume_post(1, r);
}

static void
resume_c(struct resumption *r)
{
	resume_post(2, r);
}

/* Under k->mu. */
static void
session_hears(const struct note *n)
{
	for (unsigned i = 0; i < SESSIONS_; i++) {
		struct session_ *s = &sessions_[i];

		if (!s->live || s->node != n->session.node || s->self.slot != n->session.slot)
			continue;
		if (n->kind == EFFECT_CLOSE) {
			s->live = false;
			s->closed = n->reason;
		} else if (n->kind == EFFECT_NOTIFY) {
			assert_int_equal(n->version, s->told + 1);
			s->told = n->version;
		}
	}
}

/* ---- begin and end ---- */

static void
hub_note(struct note *n)
{
	struct kit *k = hub.k;
	static const char *const names[] = { [EFFECT_NOTIFY] = "notify",
		[EFFECT_CLOSE] = "close",
		[EFFECT_METHOD] = "method",
		[EFFECT_CALL_SENT] = "sent",
		[EFFECT_CALL_DONE] = "done",
		[EFFECT_CALL_UNSENT] = "unsent",
		[EFFECT_MESSAGE] = "message" };

	pthread_mutex_lock(&k->mu);
	session_hears(n);
	buf_printf(&k->notes, "%s %u.%u v%u f%d call %llu caller %u.%u " STR_FMT " " STR_FMT "\n",
	    names[n->kind], n->session.node, n->session.slot, n->version, n->fault,
	    (unsigned long long)n->call, n->caller.node, n->caller.slot, STR_ARG(n->name),
	    STR_ARG(n->body));
	k->nnotes++;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

/* An address that nobody listens at; another test's, perhaps, in the moment after. */
static void
address_pick(char address[NET_ADDR_TEXT_MAX], unsigned i)
{
	char host[32], why[NET_WHY_MAX];
	uint16_t port;
	int fd;

	snprintf(host, sizeof(host), "127.%u.%u.%u", 1 + (unsigned)getpid() / 65536 % 200,
	    (unsigned)getpid() / 256 % 256, 1 + (unsigned)getpid() % 80 * 3 + i);
	assert_int_equal(net_bind(host, 0, 1, &fd, &port, why), ERR_OK);
	close(fd);
	snprintf(address, NET_ADDR_TEXT_MAX, "%s:%u", host, port);
}

static atomic_uint_least64_t cut_shards; /* that were told to be cut off, by whom it may be */

static void
hub_cut(uint64_t shards)
{
	atomic_fetch_or(&cut_shards, shards);
}

static atomic_uint_least64_t lost_shards; /* whose servers' links have gone, at whatever node */

static void
hub_lost(uint64_t shards)
{
	atomic_fetch_or(&lost_shards, shards);
}

static void
node_open(unsigned i)
{
	struct node_ *n = &hub.nodes[i];
	uint8_t owners[SHARDS];
	char why[NET_WHY_MAX] = "";
	struct fault f = { 0 };
	const struct peers_options po = { .pinned = n->pinned,
		.address = n->address,
		.hub = "hub",
		.node = n->name,
		.version = "1.0.0",
		.slot = (uint16_t)i,
		.generation = ++n->generation,
		.times = { 100000, 3000000 },
		.cut_us = 300000 };
	struct fleet_options fo = hub.k->fo;

	if (peers_open(&po, &n->peers, why) != ERR_OK)
		fail_msg("%s", why);
	for (uint32_t s = 0; s < SHARDS; s++)
		owners[s] = atomic_load(&hub.owners[s]) == (int)i ? s % WORKERS_ : FLEET_NOBODY;
	n->store = (struct lane_store){ { &lane_ops }, i * WORKERS_ };
	fo.store = &n->store.face;
	fo.nworker = WORKERS_;
	fo.owners = owners;
	fo.slot = (uint16_t)i;
	fo.elsewhere = peers_elsewhere(n->peers);
	fo.walks = peers_walks(n->peers);
	fo.on_note = hub_note;
	fo.lost = hub_lost;
	fo.cut = hub_cut;
	fo.resume = ((void (*const[])(struct resumption *)){ resume_a, resume_b, resume_c })[i];
	n->fleet = fleet_new(&fo);
	if (fleet_load(n->fleet, &f) != ERR_OK)
		fail_msg("%s", f.text);
	for (uint32_t s = 0; s < SHARDS; s++)
		if (owners[s] != FLEET_NOBODY)
			peers_has(n->peers, s, atomic_load(&hub.epochs[s]));
}

static void
node_start(unsigned i)
{
	struct node_ *n = &hub.nodes[i];

	assert_int_equal(fleet_start(n->fleet), ERR_OK);
	assert_int_equal(peers_start(n->peers, n->fleet), ERR_OK);
	n->runs = true;
}

static void
node_stop(unsigned i)
{
	struct node_ *n = &hub.nodes[i];

	n->runs = false;
	peers_stop(n->peers);
	fleet_stop(n->fleet);
	peers_drain(n->peers);
	peers_free(n->peers);
	fleet_free(n->fleet);
	n->peers = NULL;
	n->fleet = NULL;
}

static UNUSED bool
nodes_linked(void)
{
	struct mesh_view v[MESH_PEERS_MAX];

	for (unsigned n = 0; n < NODES_; n++) {
		unsigned nlink, up = 0;

		nlink = peers_links(hub.nodes[n].peers, v);
		for (unsigned i = 0; i < nlink; i++)
			up += v[i].up;
		if (up != NODES_ - 1)
			return false;
	}
	return true;
}

static UNUSED void
await_links(void)
{
	for (int64_t since_us = clock_mono_us(); !nodes_linked();) {
		clock_sleep_us(1000);
		kit_again(since_us, "the links are up");
	}
}

static UNUSED int
hub_setup(void **state)
{
	struct fault f = { 0 };

	if (kit_setup(state) != 0)
		return -1;
	hub.k = *state;
	memset(sessions_, 0, sizeof(sessions_));
	nresumed = 0;
	hub.k->so.lanes = NODES_ * WORKERS_;
	hub.k->so.done = lane_done;
	if (store_open(&hub.k->so, &hub.store, &f) != ERR_OK)
		fail_msg("%s", f.text);
	for (uint32_t s = 0; s < SHARDS; s++) {
		atomic_init(&hub.epochs[s], 10);
		atomic_init(&hub.owners[s], (int)(s % NODES_));
	}
	for (unsigned i = 0; i < NODES_; i++) {
		struct node_ *n = &hub.nodes[i];
		char why[NET_WHY_MAX] = "";

		*n = (struct node_){ .generation = 100 };
		snprintf(n->name, sizeof(n->name), "%c", 'a' + i);
		address_pick(n->address, i);
		snprintf(n->dir, sizeof(n->dir), "%s/%u", hub.k->root, i);
		if (mkdir(n->dir, 0700) != 0 ||
		    pinned_open(n->dir, n->name, clock_wall_us(), &n->pinned, why) != ERR_OK)
			fail_msg("%s", why);
		node_open(i);
	}
	for (unsigned i = 0; i < NODES_; i++)
		node_start(i);
	views_tell();
	await_links();
	hub.k->fleet = hub.nodes[0].fleet;
	return 0;
}

static UNUSED int
hub_teardown(void **state)
{
	for (unsigned i = 0; i < NODES_; i++) {
		if (hub.nodes[i].runs)
			node_stop(i);
		pinned_free(hub.nodes[i].pinned);
	}
	store_close(hub.store);
	hub.store = NULL;
	hub.k->fleet = NULL;
	return kit_teardown(state);
}

/* From now on works are submitted there. */
static UNUSED void
at_node(unsigned n)
{
	hub.k->fleet = hub.nodes[n].fleet;
}

/* ---- shards that move ---- */

struct move {
	uint32_t shard;
	unsigned to;
	void (*over)(void *ctx);
	void *ctx;
};

static void
move_taken(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct move *m = ctx;

	(void)shard;
	if (e != ERR_OK)
		fail_msg("%s", why->text);
	m->over(m->ctx);
}

/* The database has it that it is the next one's, who takes it anew: two epochs. */
static void
move_released(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct move *m = ctx;

	if (e != ERR_OK)
		fail_msg("%s", why->text);
	atomic_store(&hub.owners[shard], (int)m->to);
	peers_take(hub.nodes[m->to].peers, shard, atomic_fetch_add(&hub.epochs[shard], 2) + 2,
	    shard % WORKERS_, move_taken, m);
}

static UNUSED void
move_begin(struct move *m)
{
	peers_release(
	    hub.nodes[atomic_load(&hub.owners[m->shard])].peers, m->shard, move_released, m);
}

struct moved_ {
	bool over;
};

static void
one_over(void *ctx)
{
	pthread_mutex_lock(&hub.k->mu);
	((struct moved_ *)ctx)->over = true;
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
}

static UNUSED void
move_to(uint32_t shard, unsigned to)
{
	struct moved_ moved = { false };
	struct move m = { shard, to, one_over, &moved };

	move_begin(&m);
	kit_await(hub.k, moved.over);
}

#endif
