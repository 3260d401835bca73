/* The two rounds, what waits behind each, and the repair after a failure: see gate.h. */
#include "worker/gate.h"

#include <stdlib.h>

const enum store_table record_tables[] = {
	[RECORD_IDENTITY] = STORE_IDENTITY,
	[RECORD_WANTED] = STORE_WANTED,
	[RECORD_REPORTED] = STORE_REPORTED,
	[RECORD_SESSION] = STORE_SESSION,
	[RECORD_QUEUE] = STORE_MESSAGES,
	[RECORD_MESSAGE] = STORE_MESSAGES,
	[RECORD_LOG] = STORE_LOG,
	[RECORD_CHANGES] = STORE_CHANGES,
	[RECORD_PARTITION] = STORE_PARTITIONS,
	[RECORD_COMMON] = STORE_HUB,
};

static struct gate_round *
gathering(struct gate *g)
{
	return &g->rounds[g->gathering];
}

static struct gate_round *
flying(struct gate *g)
{
	return &g->rounds[!g->gathering];
}

/* Is there state in memory that is on its way to the disk? A repair brings what is in memory already. */
static bool
commit_awaited(const struct gate *g)
{
	return g->in_flight && !g->repairing;
}

static void
round_init(struct gate_round *r, struct store_batch *batch)
{
	*r = (struct gate_round){ .batch = batch, .undo = undo_new() };
}

static void
round_fini(struct gate_round *r)
{
	assert(r->naction == 0);
	store_batch_free(r->batch);
	undo_free(r->undo);
	free(r->actions);
}

void
gate_init(struct gate *g, const struct gate_face *face)
{
	*g = (struct gate){ .face = *face, .undone = undo_new(), .op.writes = UINT32_MAX };
	round_init(&g->rounds[0], store_batch_new());
	round_init(&g->rounds[1], NULL);
}

void
gate_fini(struct gate *g)
{
	round_fini(&g->rounds[0]);
	round_fini(&g->rounds[1]);
	undo_free(g->undone);
	buf_fini(&g->repair);
}

/* ---- who may be told ---- */

static uint64_t
lease_now(const struct gate *g)
{
	return g->face.may_answer(g->face.ctx);
}

void
gate_turn(struct gate *g)
{
	uint64_t now;

	if (g->face.may_answer == NULL || (now = lease_now(g)) == g->lease)
		return;
	g->lease = now;
	for (int i = 0; i < 2; i++)
		g->rounds[i].nstale = g->rounds[i].naction;
}

/* One look for all that leaves now. */
static enum gate_end
end_now(const struct gate *g)
{
	if (g->face.may_answer == NULL || (g->lease != 0 && lease_now(g) == g->lease))
		return GATE_ON_DISK;
	return GATE_UNSAID;
}

/* ---- the gathering round ---- */

void
gate_put(struct gate *g, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	store_batch_put(gathering(g)->batch, shard, record_tables[kind], key, value);
}

void
gate_del(struct gate *g, uint32_t shard, enum record_kind kind, struct str key)
{
	store_batch_delete(gathering(g)->batch, shard, record_tables[kind], key);
}

struct undo *
gate_undo(struct gate *g)
{
	return gathering(g)->undo;
}

uint32_t
gate_writes(const struct gate *g)
{
	return store_batch_count(g->rounds[g->gathering].batch);
}

size_t
gate_bytes(const struct gate *g)
{
	return store_batch_bytes(g->rounds[g->gathering].batch);
}

bool
gate_has_room(const struct gate *g, uint32_t writes_max)
{
	return gate_writes(g) < writes_max && gate_bytes(g) < GATE_BYTES_MAX &&
	    undo_bytes(g->rounds[g->gathering].undo) < GATE_BYTES_MAX;
}

/* Does what is done now stand or fall with the gathering round? */
static bool
falls_with_gathering(const struct gate *g)
{
	return gate_writes(g) > 0 || g->face.reads_fenced;
}

bool
gate_may_begin(const struct gate *g)
{
	return g->face.may_answer == NULL || g->lease != 0;
}

void
gate_begin(struct gate *g)
{
	g->op.writes = gate_writes(g);
	g->op.actions = gathering(g)->naction;
	g->op.wrote = false;
}

/* Its effects so far, and its answer. */
static void
op_is_proved(struct gate *g)
{
	struct gate_round *r = gathering(g);

	g->op.wrote = true;
	for (uint32_t i = g->op.actions; i < r->naction; i++)
		r->actions[i].proved = true;
}

void
gate_settle(struct gate *g)
{
	if (gate_writes(g) > g->op.writes)
		op_is_proved(g);
	g->op.writes = UINT32_MAX; /* until another one begins */
	if (falls_with_gathering(g))
		return;
	if (commit_awaited(g))
		undo_append(flying(g)->undo, gathering(g)->undo);
	else
		undo_commit(gathering(g)->undo);
}

static void
action_push(struct gate_round *r, after_commit *act, void *p)
{
	if (r->naction == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->actions = xrealloc(r->actions, r->cap * sizeof(*r->actions));
	}
	r->actions[r->naction++] = (struct gate_action){ .act = act, .p = p };
}

void
gate_after(struct gate *g, after_commit *act, void *p)
{
	assert(gathering(g)->naction == 0 || falls_with_gathering(g));
	if (falls_with_gathering(g))
		action_push(gathering(g), act, p);
	else if (commit_awaited(g))
		action_push(flying(g), act, p);
	else
		act(g->face.ctx, p, end_now(g));
}

void
gate_answer(struct gate *g, after_commit *act, void *p)
{
	bool wrote = g->op.wrote;

	g->op.wrote = false;
	g->op.writes = UINT32_MAX;
	gate_after(g, act, p);
	if (wrote)
		gathering(g)->actions[gathering(g)->naction - 1].proved = true;
}

/* What is heard of one, of those of a round that has ended so. */
static enum gate_end
heard(const struct gate_action *a, bool stale, enum gate_end end)
{
	if (end == GATE_UNDONE)
		return end;
	if (a->proved)
		return GATE_ON_DISK;
	return stale ? GATE_UNSAID : end;
}

static void
actions_happen(struct gate *g, struct gate_round *r, enum gate_end end)
{
	for (uint32_t i = 0; i < r->naction; i++)
		r->actions[i].act(
		    g->face.ctx, r->actions[i].p, heard(&r->actions[i], i < r->nstale, end));
	r->naction = r->nstale = 0;
}

/* ---- after a failure ---- */

/* Repairs are kept as operations of their own: a batch that fails is the store's to free. */
static void
repair_put(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	struct gate *g = ctx;

	buf_putc(&g->repair, (char)(kind << 1 | 1));
	buf_varint(&g->repair, shard);
	buf_lstr(&g->repair, key);
	buf_lstr(&g->repair, value);
}

static void
repair_del(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	struct gate *g = ctx;

	buf_putc(&g->repair, (char)(kind << 1));
	buf_varint(&g->repair, shard);
	buf_lstr(&g->repair, key);
}

static void
repair_write(const struct gate *g, struct store_batch *batch)
{
	struct rd rd = rd_of(buf_view(&g->repair));

	while (!rd.bad && rd.p < rd.end) {
		unsigned head = rd_u8(&rd);
		uint32_t shard = (uint32_t)rd_varint(&rd);
		struct str key = rd_lstr(&rd);

		if (head & 1)
			store_batch_put(batch, shard, record_tables[head >> 1], key, rd_lstr(&rd));
		else
			store_batch_delete(batch, shard, record_tables[head >> 1], key);
	}
	assert(!rd.bad);
}

bool
gate_needs_repair(const struct gate *g)
{
	return g->repair.n > 0;
}

void
gate_repair(struct gate *g)
{
	struct store_batch *b;

	if (g->in_flight)
		return;
	b = store_batch_new();
	repair_write(g, b);
	g->in_flight = g->repairing = true;
	g->face.submit(g->face.ctx, b);
}

static void
repair_ended(struct gate *g, bool ok)
{
	g->repairing = false;
	if (!ok) {
		g->face.resume(g->face.ctx);
		return;
	}
	g->repair.n = 0;
	undo_commit(g->undone);
}

/* Where certainly nothing of it is on disk there is nothing to be repaired. */
static void
take_back(struct gate *g, bool certainly)
{
	struct undo_sink sink = { g, repair_put, repair_del };
	size_t before = g->repair.n;

	undo_rollback(gathering(g)->undo, &sink);
	undo_rollback(flying(g)->undo, &sink);
	if (certainly)
		g->repair.n = before;
	undo_append(g->undone, gathering(g)->undo);
	undo_append(g->undone, flying(g)->undo);
	if (g->repair.n == 0)
		undo_commit(g->undone);
	store_batch_clear(gathering(g)->batch);
	g->face.resume(g->face.ctx);
}

void
gate_tell(struct gate *g)
{
	actions_happen(g, flying(g), GATE_UNDONE);
	actions_happen(g, gathering(g), GATE_UNDONE);
}

/* ---- to the disk ---- */

bool
gate_ended(struct gate *g, enum store_result result)
{
	assert(g->in_flight);
	g->in_flight = false;
	if (g->repairing) {
		repair_ended(g, result == STORE_OK);
		return true;
	}
	if (result != STORE_OK) {
		take_back(g, result == STORE_UNDONE);
		return false;
	}
	undo_commit(flying(g)->undo);
	actions_happen(g, flying(g), end_now(g));
	return true;
}

bool
gate_submit(struct gate *g)
{
	struct store_batch *batch = gathering(g)->batch;

	if (store_batch_count(batch) == 0 && gathering(g)->naction == 0)
		return true;
	if (g->in_flight)
		return false;
	g->in_flight = true;
	gathering(g)->batch = NULL;
	g->gathering = !g->gathering;
	gathering(g)->batch = g->face.next(g->face.ctx);
	g->face.submit(g->face.ctx, batch);
	return true;
}

bool
gate_in_flight(const struct gate *g)
{
	return g->in_flight;
}

bool
gate_awaits(const struct gate *g)
{
	return !g->in_flight && (gate_writes(g) > 0 || g->rounds[g->gathering].naction > 0);
}

bool
gate_idle(const struct gate *g)
{
	return !g->in_flight && g->rounds[g->gathering].naction == 0;
}
