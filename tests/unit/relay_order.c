/*
 * Operations to shards that move between nodes, whose links come and go: each is answered once, those of a device are applied in their order, and
 * what is said of one that was not answered is true. docs/cluster-design.md, 7.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/relay.h"
#include "rnd.h"

#define NODES   3 /* 0 is this one */
#define SHARDS_ 3
#define DEVICES 6 /* of shard number % SHARDS_ */
#define LINK    256
#define EDGES   3 /* sessions of a shard, which ask to be known to its owner */

struct op {
	struct relay_item item;
	unsigned device;
	uint64_t number; /* of its device */
	bool sent, applied, ended, answered;
	unsigned session; /* that asks to be known, from 1 on; 0: it is another operation */
};

struct message { /* on a link: a question, or an answer */
	uint32_t slot, generation;
	struct op *op;
	uint64_t epoch; /* that it was sent with, or that who refuses it knows */
	bool not_mine;
};

struct queue {
	struct message v[LINK];
	unsigned head, n;
};

static struct world {
	struct relay *relay;
	struct rnd rnd;
	int64_t now_us;
	struct {
		uint64_t epoch;
		unsigned owner; /* 0: this one; NODES: nobody */
	} truth[SHARDS_];
	/* sessions that its owner knows, since it has the shard and by this link; those that have been told so in the greeting, those that ask */
	struct {
		unsigned known, told, asking;
		bool greets, strange;
		uint64_t server, epoch; /* who, by which epoch and link, as was heard */
		unsigned out;           /* that nobody has heard of since */
	} edges[SHARDS_];
	uint64_t ngreeted;
	uint64_t knows[NODES][SHARDS_]; /* epoch up to which a node has heard */
	bool up[NODES];
	unsigned links[NODES];   /* that have been up */
	uint64_t asked[SHARDS_]; /* the epoch of what was sent last */
	struct queue there[NODES], back[NODES],
	    late[NODES]; /* late: refused by a worker, which says so later than its node */
	uint64_t number[DEVICES], applied[DEVICES];
	unsigned nop, nfirst, nended, nunknown, nlate, nfull, nnot_mine, nhere;
} w;

static bool
push(struct queue *q, struct message m)
{
	if (q->n == LINK)
		return false;
	q->v[(q->head + q->n++) % LINK] = m;
	return true;
}

static struct message
take(struct queue *q)
{
	struct message m = q->v[q->head];

	assert_true(q->n > 0);
	q->head = (q->head + 1) % LINK;
	q->n--;
	return m;
}

static void
over(struct op *op)
{
	assert_false(op->ended);
	op->ended = true;
	w.nended++;
	if (op->session == 0)
		return;
	w.edges[op->item.shard].asking &= ~(1u << (op->session - 1));
	if (op->answered)
		w.edges[op->item.shard].told |= 1u << (op->session - 1);
}

static void
apply(struct op *op)
{
	assert_false(op->applied);
	op->applied = true;
	if (op->session > 0) {
		w.edges[op->item.shard].known |= 1u << (op->session - 1);
		return;
	}
	assert_int_equal(w.edges[op->item.shard].known, (1u << EDGES) - 1);
	if (op->number <= w.applied[op->device])
		fail_msg("device %u: %llu behind %llu", op->device, (unsigned long long)op->number,
		    (unsigned long long)w.applied[op->device]);
	w.applied[op->device] = op->number;
}

/* ---- the relay's other side ---- */

static bool
on_send(void *ctx, uint16_t slot, struct relay_item *item)
{
	struct op *op = (struct op *)item;

	(void)ctx;
	assert_true(slot > 0 && slot < NODES);
	if (!w.up[slot])
		return false;
	op->sent = true;
	w.edges[item->shard].out++;
	assert_true(item->epoch >= w.asked[item->shard]); /* what is old is not believed */
	w.asked[item->shard] = item->epoch;
	return push(&w.there[slot],
	    (struct message){ item->slot, item->generation, op, item->epoch, false });
}

/* The worker's: it has the shard at this moment, as only who is told so is the owner. */
static void
on_here(void *ctx, struct relay_item *item)
{
	struct op *op = (struct op *)item;

	(void)ctx;
	w.nhere++;
	assert_int_equal(w.truth[item->shard].owner, 0);
	apply(op);
	op->answered = true;
	over(op);
}

static void
on_ends(void *ctx, struct relay_item *item, enum relay_end why)
{
	struct op *op = (struct op *)item;

	(void)ctx;
	if (why == RELAY_UNKNOWN)
		assert_true(op->sent);
	else
		assert_false(op->applied);
	w.edges[item->shard].out -= why == RELAY_UNKNOWN;
	w.nunknown += why == RELAY_UNKNOWN;
	w.nlate += why == RELAY_LATE;
	w.nfull += why == RELAY_FULL;
	over(op);
	/* a later one of its device may be applied, and this one no more: unknown ones may come before it only */
}

/* ---- what happens ---- */

static struct op *firsts[100000];
static unsigned nfirst;

/* As who asks the router does (peers/moves.c): whoever serves the shard newly, or by a new link, does not know its sessions. */
static void
is_strange(unsigned shard)
{
	relay_hold(w.relay, shard);
	w.edges[shard].strange = true;
}

static void
greets(unsigned shard)
{
	assert_int_equal(w.edges[shard].out, 0);
	w.edges[shard].greets = true;
	w.edges[shard].strange = false;
	w.edges[shard].told = 0;
}

/* Who has not been told asks, again if need be; when all have been the greeting is over. */
static void
edge_turns(unsigned shard)
{
	unsigned edge = (unsigned)rnd_u64(&w.rnd) % EDGES;
	struct op *op;

	if (!w.edges[shard].greets) {
		if (w.edges[shard].strange && relay_is_held(w.relay, shard))
			greets(shard);
		return;
	}
	if (w.edges[shard].told == (1u << EDGES) - 1) {
		w.edges[shard].greets = false;
		w.ngreeted++;
		if (!w.edges[shard].strange) /* else it is another's by now */
			relay_go(w.relay, shard);
		return;
	}
	if ((w.edges[shard].told | w.edges[shard].asking) >> edge & 1)
		return;
	op = calloc(1, sizeof(*op));
	op->session = edge + 1;
	op->item.shard = (uint8_t)shard;
	op->item.kind = RELAY_FIRST;
	op->item.bytes = 10;
	firsts[nfirst++] = op;
	w.nfirst++;
	w.edges[shard].asking |= 1u << edge;
	relay_submit(w.relay, &op->item, w.now_us);
}

static void
forgotten(unsigned shard)
{
	w.edges[shard].known = 0;
}

static struct op ops[400000];

static void
somebody_asks(void)
{
	struct op *op = &ops[w.nop];
	unsigned device = (unsigned)rnd_u64(&w.rnd) % DEVICES;

	if (w.nop == sizeof(ops) / sizeof(*ops))
		return;
	w.nop++;
	*op = (struct op){ .device = device, .number = ++w.number[device] };
	op->item.shard = (uint8_t)(device % SHARDS_);
	op->item.kind = (uint8_t)(rnd_u64(&w.rnd) % 3);
	op->item.bytes = rnd_u64(&w.rnd) % 4 != 0 ? 100 : RELAY_OUT_BYTES / 8;
	relay_submit(w.relay, &op->item, w.now_us);
}

static void
node_works(unsigned node)
{
	struct message m;
	unsigned shard;

	if (w.there[node].n == 0 || w.back[node].n == LINK || w.late[node].n == LINK)
		return;
	m = take(&w.there[node]);
	shard = m.op->item.shard;
	if (w.truth[shard].owner == node && w.truth[shard].epoch == m.epoch) {
		apply(m.op);
	} else {
		m.not_mine = true;
		m.epoch = w.knows[node][shard];
		w.nnot_mine++;
	}
	push(m.not_mine && rnd_u64(&w.rnd) % 2 == 0 ? &w.late[node] : &w.back[node], m);
}

static void
late_arrives(unsigned node)
{
	if (w.late[node].n > 0 && w.back[node].n < LINK)
		push(&w.back[node], take(&w.late[node]));
}

static void
answer_arrives(unsigned node)
{
	struct message m;
	struct relay_item *item;

	if (w.back[node].n == 0)
		return;
	m = take(&w.back[node]);
	w.edges[m.op->item.shard].out--;
	if (m.not_mine) {
		relay_not_mine(w.relay, m.slot, m.generation, m.epoch);
		return;
	}
	item = relay_answered(w.relay, m.slot, m.generation);
	assert_ptr_equal(item, &m.op->item);
	m.op->answered = true;
	over(m.op);
}

static void
says(unsigned shard, uint64_t epoch, unsigned owner)
{
	uint64_t server =
	    epoch << 32 | (uint64_t)owner << 24 | (owner > 0 && owner < NODES ? w.links[owner] : 0);

	if (owner < NODES && w.edges[shard].server != server && epoch >= w.edges[shard].epoch) {
		w.edges[shard].server = server;
		w.edges[shard].epoch = epoch;
		is_strange(shard);
	}
	relay_owner_is(w.relay, shard, epoch,
	    owner == 0          ? RELAY_SELF
	        : owner < NODES ? (int)owner
	                        : RELAY_NOBODY);
}

static void
tell(unsigned shard)
{
	unsigned owner = w.truth[shard].owner;

	if (owner > 0 && owner < NODES && !w.up[owner])
		return; /* it says so itself */
	w.knows[0][shard] = w.truth[shard].epoch;
	says(shard, w.truth[shard].epoch, owner);
}

/* As somebody knew it long ago. */
static void
tell_old(unsigned shard)
{
	if (w.truth[shard].epoch > 1)
		says(shard, rnd_u64(&w.rnd) % (w.truth[shard].epoch - 1),
		    1 + (unsigned)rnd_u64(&w.rnd) % (NODES - 1));
}

/* From this node it goes with its word, as it is the one that gives it; else word comes later. */
static void
shard_moves(void)
{
	unsigned shard = (unsigned)rnd_u64(&w.rnd) % SHARDS_, was = w.truth[shard].owner;

	w.truth[shard].owner = (unsigned)rnd_u64(&w.rnd) % (NODES + 1);
	w.truth[shard].epoch++;
	forgotten(shard);
	if (w.truth[shard].owner < NODES)
		w.knows[w.truth[shard].owner][shard] = w.truth[shard].epoch;
	if (was == 0) {
		w.edges[shard].server = UINT64_MAX;
		relay_nobody(w.relay, shard);
	}
	if (was == 0 || w.truth[shard].owner == 0)
		tell(shard);
}

static void
link_changes(void)
{
	unsigned node = 1 + (unsigned)rnd_u64(&w.rnd) % (NODES - 1);

	w.up[node] = !w.up[node];
	w.links[node] += w.up[node];
	if (w.up[node])
		return;
	/* what is on its way there may still arrive; no answer comes */
	for (unsigned left = (unsigned)rnd_u64(&w.rnd) % 4; left > 0; left--)
		node_works(node);
	w.there[node].n = w.back[node].n = w.late[node].n = 0;
	for (unsigned s = 0; s < SHARDS_; s++)
		if (w.truth[s].owner == node)
			forgotten(s);
	relay_link_down(w.relay, (uint16_t)node);
}

static void
something_happens(unsigned calm)
{
	unsigned what = (unsigned)rnd_u64(&w.rnd) % 1000, node = 1 + what % (NODES - 1);

	w.now_us += (int64_t)(rnd_u64(&w.rnd) % 40000);
	edge_turns((unsigned)rnd_u64(&w.rnd) % SHARDS_);
	if (what < 300)
		somebody_asks();
	else if (what < 600)
		node_works(node);
	else if (what < 900)
		answer_arrives(node);
	else if (what < 960)
		tell(what % SHARDS_);
	else if (what < 964)
		late_arrives(node);
	else if (what < 966)
		tell_old(what % SHARDS_);
	else if (what < 970)
		relay_tick(w.relay, w.now_us);
	else if (what < 970 + calm)
		shard_moves();
	else if (what < 970 + calm + calm / 3)
		link_changes();
}

/* When all is well again nothing is left. */
static void
comes_to_rest(void)
{
	for (unsigned node = 1; node < NODES; node++)
		w.links[node] += !w.up[node], w.up[node] = true;
	for (unsigned s = 0; s < SHARDS_; s++)
		if (w.truth[s].owner == NODES)
			w.truth[s].owner = s % NODES, w.truth[s].epoch++, forgotten(s);
	for (unsigned i = 0; i < 20000 && w.nended < w.nop + w.nfirst; i++) {
		for (unsigned s = 0; s < SHARDS_; s++) {
			tell(s);
			edge_turns(s);
		}
		for (unsigned node = 1; node < NODES; node++) {
			node_works(node);
			late_arrives(node);
			answer_arrives(node);
		}
		relay_tick(w.relay, w.now_us);
	}
	assert_int_equal(w.nended, w.nop + w.nfirst);
	while (nfirst > 0)
		free(firsts[--nfirst]);
}

static void
history(uint64_t seed, unsigned steps, unsigned calm)
{
	static const struct relay_face face = { on_send, on_here, on_ends, NULL };
	struct relay_view view;

	memset(&w, 0, sizeof(w));
	w.rnd = (struct rnd){ seed };
	w.relay = relay_new(&face);
	for (unsigned node = 1; node < NODES; node++)
		w.up[node] = true;
	for (unsigned s = 0; s < SHARDS_; s++)
		w.edges[s].server = UINT64_MAX; /* nobody has been heard of */
	for (unsigned i = 0; i < steps; i++)
		something_happens(calm);
	comes_to_rest();
	relay_look(w.relay, &view);
	assert_int_equal(view.waiting + view.out, 0);
	assert_int_equal(view.waiting_bytes, 0);
	relay_free(w.relay);
}

/* And who greets its owner is known to it before any other operation of the shard is applied there (O-260). */
static void
relay__O253_O260_operations_of_a_device_keep_their_order_and_are_answered_once(void **state)
{
	unsigned nunknown = 0, nlate = 0, nnot_mine = 0, nhere = 0, nended = 0;
	uint64_t ngreeted = 0;
	(void)state;

	for (uint64_t seed = 1; seed <= 300; seed++) {
		history(seed, 2000, (unsigned)(seed % 20));
		nunknown += w.nunknown, nlate += w.nlate, nnot_mine += w.nnot_mine;
		nhere += w.nhere, nended += w.nended, ngreeted += w.ngreeted;
	}
	/* all of it has happened */
	assert_true(
	    nended > 100000 && nunknown > 1000 && nlate > 100 && nnot_mine > 1000 && nhere > 10000);
	assert_true(ngreeted > 1000);
	print_message("%u operations: %u unknown, %u late, %u refused as NOT_MINE, %u here\n",
	    nended, nunknown, nlate, nnot_mine, nhere);
}

/* ---- bounds ---- */

static void
relay__what_waits_has_a_bound_and_an_end(void **state)
{
	static const struct relay_face face = { on_send, on_here, on_ends, NULL };
	struct relay_view view;
	(void)state;

	memset(&w, 0, sizeof(w));
	w.rnd = (struct rnd){ 5 };
	w.relay = relay_new(&face);
	for (unsigned i = 0; i < RELAY_LINE_MAX; i++) {
		ops[i] = (struct op){ .item = { .kind = RELAY_USUAL, .bytes = 1 } };
		relay_submit(w.relay, &ops[i].item, 0);
	}
	assert_int_equal(w.nfull, 0);
	ops[RELAY_LINE_MAX] = (struct op){ .item = { .kind = RELAY_PATIENT, .bytes = 1 } };
	relay_submit(w.relay, &ops[RELAY_LINE_MAX].item, 0);
	assert_int_equal(w.nfull, 1);
	ops[RELAY_LINE_MAX + 1] = (struct op){ .item = { .kind = RELAY_MUST, .bytes = 1 } };
	relay_submit(w.relay, &ops[RELAY_LINE_MAX + 1].item, 0);
	assert_int_equal(w.nfull, 1);
	assert_true(relay_tick(w.relay, RELAY_PATIENCE_US - 1) == RELAY_PATIENCE_US);
	assert_int_equal(w.nlate, 0);
	assert_true(relay_tick(w.relay, RELAY_PATIENCE_US) == RELAY_PATIENT_US);
	assert_int_equal(w.nlate, RELAY_LINE_MAX);
	assert_true(relay_tick(w.relay, RELAY_PATIENT_US) == INT64_MAX);
	ops[0] = (struct op){ .item = { .kind = RELAY_PATIENT, .bytes = RELAY_LINE_BYTES + 1 } };
	relay_submit(w.relay, &ops[0].item, 0);
	assert_int_equal(w.nfull, 2);
	relay_look(w.relay, &view);
	assert_int_equal(view.waiting, 0);
	assert_true(view.unsettled == UINT64_MAX);
	relay_free(w.relay);
}

/* Beyond what may be out at one node they wait, and go on as answers come. */
static void
relay__what_is_out_has_a_bound(void **state)
{
	static const struct relay_face face = { on_send, on_here, on_ends, NULL };
	struct relay_view view;
	(void)state;

	memset(&w, 0, sizeof(w));
	w.relay = relay_new(&face);
	w.up[1] = true;
	w.truth[0].owner = 1, w.truth[0].epoch = 1;
	w.edges[0].known = (1u << EDGES) - 1; /* nobody is greeted */
	tell(0);
	relay_go(w.relay, 0);
	for (unsigned i = 0; i < 4; i++) {
		ops[i] = (struct op){ .number = i + 1,
			.item = { .kind = RELAY_USUAL, .bytes = RELAY_OUT_BYTES / 3 } };
		ops[i].item.bytes = i == 3 ? 1000 : RELAY_OUT_BYTES / 3;
		relay_submit(w.relay, &ops[i].item, 0);
	}
	relay_look(w.relay, &view);
	assert_int_equal(view.out, 3);
	assert_int_equal(view.waiting, 1);
	node_works(1), answer_arrives(1);
	relay_look(w.relay, &view);
	assert_int_equal(view.out, 3);
	assert_int_equal(view.waiting, 0);
	relay_stop(w.relay);
	assert_int_equal(w.nunknown, 3);
	relay_free(w.relay);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    relay__O253_O260_operations_of_a_device_keep_their_order_and_are_answered_once),
		cmocka_unit_test(relay__what_waits_has_a_bound_and_an_end),
		cmocka_unit_test(relay__what_is_out_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
