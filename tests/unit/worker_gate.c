/* The gate over one shard and a simulated store: no threads, no clock, the end of each commit is the test's to say. */
#include "hub_kit.h"

#include "sim_store.h"
#include "worker/gate.h"

#define NAMES     4
#define HISTORIES 40
#define STEPS     400

struct rig {
	struct kit k; /* first: env.ctx is both */
	struct gate g;
	struct store *disk;
	/* "a+ b- c? ": what has happened after commits, what has not, and what may not be said */
	struct buf told;
	uint64_t lease;
	unsigned nlook; /* at the lease */
};

static void
rig_put(void *ctx, uint32_t shard, enum record_kind kind, struct str key, struct str value)
{
	gate_put(&((struct rig *)ctx)->g, shard, kind, key, value);
}

static void
rig_del(void *ctx, uint32_t shard, enum record_kind kind, struct str key)
{
	gate_del(&((struct rig *)ctx)->g, shard, kind, key);
}

static void
rig_submit(void *ctx, struct store_batch *b)
{
	store_submit(((struct rig *)ctx)->disk, 0, b, 0);
}

static void
rig_resume(void *ctx)
{
	store_resume(((struct rig *)ctx)->disk, 0);
}

static struct store_batch *
rig_next(void *ctx)
{
	return store_batch_next(((struct rig *)ctx)->disk, 0);
}

static uint64_t
rig_may_answer(void *ctx)
{
	struct rig *r = ctx;

	r->nlook++;
	return r->lease;
}

static void
rig_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct rig *r = ctx;

	(void)lane, (void)cookie;
	if (gate_ended(&r->g, result))
		return;
	buf_cstr(&r->told, "| ");
	gate_tell(&r->g);
}

/* What the gate is told of others. */
struct rule {
	bool leased, fenced;
};

static void
rig_init_under(struct rig *r, struct rule rule)
{
	kit_init(&r->k);
	r->k.hold = true;
	r->k.env.put = rig_put;
	r->k.env.del = rig_del;
	r->told = (struct buf){ 0 };
	r->disk = sim_store_new(1, r, rig_done);
	r->lease = 1;
	r->nlook = 0;
	gate_init(&r->g,
	    &(struct gate_face){ .ctx = r,
	        .submit = rig_submit,
	        .resume = rig_resume,
	        .next = rig_next,
	        .may_answer = rule.leased ? rig_may_answer : NULL,
	        .reads_fenced = rule.fenced });
	gate_turn(&r->g);
	r->k.env.undo = gate_undo(&r->g);
}

static void
rig_init(struct rig *r)
{
	rig_init_under(r, (struct rule){ false, false });
}

static void
rig_fini(struct rig *r)
{
	gate_fini(&r->g);
	sim_store_free(r->disk);
	buf_fini(&r->told);
	kit_fini(&r->k);
}

/* The commit that is under way ends; on_disk: of one that fails, it is found there all the same. */
static void
rig_end(struct rig *r, bool ok, bool on_disk)
{
	assert_true(sim_store_awaits(r->disk, 0));
	sim_store_set(r->disk, SIM_READY);
	sim_store_end(r->disk, 0, ok, on_disk);
	r->k.env.undo = gate_undo(&r->g);
}

/* It is refused. */
static void
rig_refuse(struct rig *r)
{
	sim_store_set(r->disk, SIM_BROKEN);
	sim_store_end(r->disk, 0, true, false);
	r->k.env.undo = gate_undo(&r->g);
}

static bool
rig_go(struct rig *r)
{
	bool empty = gate_submit(&r->g);

	r->k.env.undo = gate_undo(&r->g);
	return empty;
}

static void
told(void *ctx, void *p, enum gate_end end)
{
	static const char signs[] = {
		[GATE_ON_DISK] = '+', [GATE_UNDONE] = '-', [GATE_UNSAID] = '?'
	};
	struct rig *r = ctx;

	buf_printf(&r->told, "%s%c ", (const char *)p, signs[end]);
}

/* An operation is over, and its answer has this name. */
static void
rig_after(struct rig *r, char *name)
{
	gate_settle(&r->g);
	gate_after(&r->g, told, name);
}

static void
rig_told(struct rig *r, const char *want)
{
	buf_putc(&r->told, '\0');
	assert_string_equal(r->told.p, want);
	r->told.n = 0;
}

static void
rig_device(struct rig *r, const char *id, char *name)
{
	kit_device(&r->k, id);
	rig_after(r, name);
}

static void
rig_patch(struct rig *r, const char *id, const char *patch, char *name)
{
	assert_int_equal(kit_patch(&r->k, id, NULL, patch), F_NONE);
	rig_after(r, name);
}

/* Every record in memory is on disk as it is there, and what is not in memory is not on disk. */
static void
disk_agrees(struct rig *r, const char *id)
{
	struct str device = str_of(id), value;
	uint32_t row = shard_find(r->k.sh, device, STR_NONE);

	for (int kind = 0; kind < RECORD_KINDS; kind++) {
		const struct blob *b =
		    row == TABLE_NONE ? &blob_none : row_at(r->k.sh, row)->records[kind];
		struct buf key = { 0 };
		bool there;

		hub_key(&key, r->k.sh->index, device, STR_NONE);
		there = sim_store_peek(r->disk, record_tables[kind], buf_view(&key), &value);
		assert_int_equal(there, b != NULL && b != &blob_none);
		if (there)
			assert_true(str_eq(value, blob_str(b)));
		buf_fini(&key);
	}
}

/* What is not in memory is read as it is on disk. */
static void
read_from_disk(struct rig *r)
{
	struct store_cursor *c;
	struct str key, value;

	shard_evict(r->k.sh, 0);
	rows_clear(&r->k.store);
	for (int kind = 0; kind < RECORD_KINDS; kind++) {
		assert_int_equal(store_cursor_open(r->disk, record_tables[kind], STR_NONE, STR_NONE,
		                     STORE_SCAN, &c),
		    ERR_OK);
		while (store_next(c, &key, &value) == ERR_OK)
			rows_add(&r->k.store, (enum record_kind)kind, key, &value);
		store_cursor_close(c);
	}
}

/* ---- in order ---- */

static void
gate__what_has_seen_a_round_happens_when_it_is_on_disk(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	rig_after(&r, "free");
	rig_told(&r, "free+ ");
	assert_true(gate_idle(&r.g));
	rig_device(&r, "d1", "made");
	assert_false(gate_idle(&r.g));
	assert_true(rig_go(&r));
	assert_int_equal(kit_read(&r.k, "d1"), F_NONE);
	rig_after(&r, "read");
	rig_patch(&r, "d1", "{'tags':{'a':1}}", "patched");
	assert_false(rig_go(&r)); /* the store has a batch */
	rig_told(&r, "");
	rig_end(&r, true, true);
	rig_told(&r, "made+ read+ ");
	assert_true(rig_go(&r));
	rig_end(&r, true, true);
	rig_told(&r, "patched+ ");
	assert_true(gate_idle(&r.g));
	disk_agrees(&r, "d1");
	rig_fini(&r);
}

static void
gate__an_empty_round_does_not_go_to_the_store(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	assert_true(rig_go(&r));
	assert_false(sim_store_awaits(r.disk, 0));
	assert_false(gate_in_flight(&r.g));
	rig_fini(&r);
}

static void
gate__a_round_has_room_by_writes_and_bytes(void **state)
{
	struct rig r;
	struct buf value = { 0 };

	(void)state;
	rig_init(&r);
	assert_false(gate_has_room(&r.g, 0));
	assert_true(gate_has_room(&r.g, 1));
	gate_put(&r.g, 0, RECORD_WANTED, STR("k"), STR("v"));
	assert_int_equal(gate_writes(&r.g), 1);
	assert_false(gate_has_room(&r.g, 1));
	while (value.n < GATE_BYTES_MAX)
		buf_cstr(&value, "0123456789abcdef");
	assert_true(gate_has_room(&r.g, 100));
	gate_put(&r.g, 0, RECORD_WANTED, STR("k"), buf_view(&value));
	assert_false(gate_has_room(&r.g, 100));
	assert_true(rig_go(&r));
	assert_true(gate_has_room(&r.g, 1));
	assert_int_equal(gate_bytes(&r.g), 0);
	rig_end(&r, true, true);
	buf_fini(&value);
	rig_fini(&r);
}

/* ---- failures ---- */

static void
failure(bool on_disk)
{
	struct rig r;

	rig_init(&r);
	rig_device(&r, "d1", "made");
	rig_device(&r, "d3", "too");
	rig_go(&r);
	rig_end(&r, true, true);
	rig_patch(&r, "d1", "{'tags':{'a':1}}", "first");
	rig_device(&r, "d2", "second");
	rig_go(&r);
	rig_patch(&r, "d1", "{'tags':{'a':2}}", "third");
	rig_patch(&r, "d3", "{'tags':{'a':3}}", "fourth");
	rig_told(&r, "made+ too+ ");
	rig_end(&r, false, on_disk);
	rig_told(&r, "| first- second- third- fourth- ");
	read_from_disk(&r); /* nobody may see there what never happened */
	assert_string_equal(kit_counters(&r.k, "d3"), "1 2 1 1");
	assert_int_equal(kit_read(&r.k, "d2"), F_DeviceNotFound);
	assert_string_equal(kit_counters(&r.k, "d1"), "1 2 1 1");
	assert_true(gate_needs_repair(&r.g));
	assert_int_equal(gate_writes(&r.g), 0);
	gate_repair(&r.g);
	assert_true(gate_in_flight(&r.g));
	rig_after(&r, "read"); /* a repair holds nobody up: it brings what is in memory already */
	rig_told(&r, "read+ ");
	rig_end(&r, false, false);
	assert_true(gate_needs_repair(&r.g)); /* it is tried again */
	gate_repair(&r.g);
	rig_end(&r, true, true);
	assert_false(gate_needs_repair(&r.g));
	disk_agrees(&r, "d1");
	disk_agrees(&r, "d2");
	rig_fini(&r);
}

static void
gate__a_failure_undoes_both_rounds_and_is_repaired(void **state)
{
	(void)state;
	failure(false);
}

static void
gate__a_failed_batch_that_is_on_disk_is_repaired(void **state)
{
	(void)state;
	failure(true);
}

/* The store knows that nothing of it is there: all is undone, and at once there may be writes again. */
static void
gate__a_refused_batch_is_undone_and_needs_no_repair(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	rig_device(&r, "d1", "made");
	rig_go(&r);
	rig_end(&r, true, true);
	rig_patch(&r, "d1", "{'tags':{'a':1}}", "first");
	rig_go(&r);
	rig_patch(&r, "d1", "{'tags':{'a':2}}", "second");
	rig_device(&r, "d2", "third");
	rig_refuse(&r);
	rig_told(&r, "made+ | first- second- third- ");
	assert_false(gate_needs_repair(&r.g));
	assert_true(gate_idle(&r.g));
	disk_agrees(&r, "d1");
	disk_agrees(&r, "d2");
	read_from_disk(&r);
	assert_string_equal(kit_counters(&r.k, "d1"), "1 2 1 1");
	assert_int_equal(kit_read(&r.k, "d2"), F_DeviceNotFound);
	rig_patch(&r, "d1", "{'tags':{'a':4}}", "fourth");
	rig_go(&r);
	rig_end(&r, true, true);
	rig_told(&r, "fourth+ ");
	disk_agrees(&r, "d1");
	rig_fini(&r);
}

/* A repair that was refused is still to be made. */
static void
gate__a_refused_repair_is_tried_again(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	rig_device(&r, "d1", "made");
	rig_go(&r);
	rig_end(&r, false, true);
	gate_repair(&r.g);
	rig_refuse(&r);
	assert_true(gate_needs_repair(&r.g));
	gate_repair(&r.g);
	rig_end(&r, true, true);
	assert_false(gate_needs_repair(&r.g));
	disk_agrees(&r, "d1");
	rig_told(&r, "| made- ");
	rig_fini(&r);
}

/* A session without a stored part writes nothing, but it saw a device that was not on disk. */
static void
gate__what_wrote_nothing_falls_with_what_it_saw(void **state)
{
	struct rig r;

	(void)state;
	rig_init(&r);
	rig_device(&r, "d1", "made");
	rig_go(&r);
	rig_end(&r, true, true);
	rig_patch(&r, "d1", "{'tags':{'a':1}}", "patched");
	rig_go(&r);
	kit_connect(&r.k, "d1", 7, true);
	assert_int_equal(gate_writes(&r.g), 0);
	rig_after(&r, "connected");
	rig_end(&r, false, false);
	rig_told(&r, "made+ | patched- connected- ");
	assert_int_equal(kit_read(&r.k, "d1"), F_NONE);
	assert_string_equal(kit_at(&r.k, "connectionState"), "'Disconnected'");
	gate_repair(&r.g);
	rig_end(&r, true, true);
	assert_false(gate_needs_repair(&r.g)); /* the store had been told that it may try again */
	rig_fini(&r);
}

/* ---- who may be told ---- */

/* The lease has ended, and perhaps there is a new one. */
static void
lease_ends(struct rig *r, uint64_t next)
{
	r->lease = next;
}

static void
gate__a_lease_lost_between_commit_and_answer_leaves_the_state(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .leased = true });
	rig_device(&r, "d1", "made");
	rig_go(&r);
	assert_int_equal(kit_read(&r.k, "d1"), F_NONE);
	rig_after(&r, "read");
	rig_patch(&r, "d1", "{'tags':{'a':1}}", "patched");
	lease_ends(&r, 0);
	rig_end(&r, true, true);
	rig_told(&r, "made? read? ");
	assert_false(gate_needs_repair(&r.g));
	assert_string_equal(kit_counters(&r.k, "d1"), "2 3 1 1"); /* the patch too */
	rig_go(&r);
	rig_end(&r, true, true);
	rig_told(&r, "patched? ");
	disk_agrees(&r, "d1");
	rig_fini(&r);
}

static void
gate__a_lease_lost_at_a_read_is_seen_when_its_answer_leaves(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .leased = true });
	rig_after(&r, "read");
	lease_ends(&r, 0); /* the thread was stopped in the middle of its turn */
	rig_after(&r, "late");
	gate_turn(&r.g);
	rig_after(&r, "later");
	lease_ends(&r, 2);
	rig_after(&r, "judged-without"); /* the turn had begun without one */
	gate_turn(&r.g);
	rig_after(&r, "anew");
	rig_told(&r, "read+ late? later? judged-without? anew+ ");
	rig_fini(&r);
}

/* What was judged before the lease ended may have been judged by what holds no more. */
static void
gate__an_answer_of_an_earlier_lease_does_not_leave_under_the_next(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .leased = true });
	rig_device(&r, "d1", "made");
	rig_go(&r);
	rig_device(&r, "d2", "gathered");
	lease_ends(&r, 2);
	gate_turn(&r.g);
	rig_device(&r, "d3", "anew");
	rig_end(&r, true, true);
	rig_told(&r, "made? ");
	rig_go(&r);
	rig_end(&r, true, true);
	rig_told(&r, "gathered? anew+ ");
	rig_fini(&r);
}

static void
gate__what_was_undone_is_said_without_a_lease(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .leased = true });
	rig_device(&r, "d1", "made");
	rig_go(&r);
	lease_ends(&r, 0);
	gate_turn(&r.g);
	rig_device(&r, "d2", "gathered");
	rig_end(&r, false, true);
	rig_told(&r, "| made- gathered- ");
	gate_repair(&r.g);
	rig_end(&r, true, true);
	rig_fini(&r);
}

static void
gate__one_look_at_the_lease_serves_all_that_leaves(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .leased = true });
	rig_device(&r, "d1", "a");
	rig_device(&r, "d2", "b");
	rig_device(&r, "d3", "c");
	rig_go(&r);
	r.nlook = 0;
	rig_end(&r, true, true);
	rig_told(&r, "a+ b+ c+ ");
	assert_int_equal(r.nlook, 1);
	rig_fini(&r);
}

/* An operation from its beginning: what it has written proves its effects and its answer, and nobody else's. */
static void
rig_proved(struct rig *r, const char *id, char *effect, char *name)
{
	gate_begin(&r->g);
	kit_device(&r->k, id);
	gate_after(&r->g, told, effect);
	gate_settle(&r->g);
	gate_answer(&r->g, told, name);
}

static void
gate__O195_what_a_commit_proves_needs_no_lease(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .leased = true });
	gate_turn(&r.g);
	gate_begin(&r.g);
	gate_settle(&r.g);
	gate_answer(&r.g, told, "read");
	rig_proved(&r, "d1", "note", "made");
	rig_after(&r, "tour");
	gate_begin(&r.g);
	gate_settle(&r.g);
	gate_answer(&r.g, told, "read-behind");
	rig_go(&r);
	lease_ends(&r, 0);
	gate_turn(&r.g);
	assert_false(gate_may_begin(&r.g));
	rig_end(&r, true, true);
	rig_told(&r, "read+ note+ made+ tour? read-behind? ");
	lease_ends(&r, 2);
	gate_turn(&r.g);
	assert_true(gate_may_begin(&r.g));
	rig_proved(&r, "d2", "note", "made");
	rig_go(&r);
	rig_end(&r, false, false);
	rig_told(&r, "| note- made- ");
	gate_repair(&r.g);
	rig_end(&r, true, true);
	rig_fini(&r);
}

/* reads = fenced */
static void
gate__a_fenced_read_waits_for_an_empty_commit(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .fenced = true });
	assert_false(gate_awaits(&r.g));
	rig_after(&r, "read");
	assert_int_equal(gate_writes(&r.g), 0);
	assert_true(gate_awaits(&r.g));
	assert_false(gate_idle(&r.g));
	assert_true(rig_go(&r));
	rig_told(&r, "");
	rig_after(&r, "behind"); /* the commit on its way began before it */
	rig_end(&r, true, true);
	rig_told(&r, "read+ ");
	assert_true(rig_go(&r));
	rig_end(&r, true, true);
	rig_told(&r, "behind+ ");
	assert_true(gate_idle(&r.g));
	assert_true(rig_go(&r)); /* nobody waits: no commit */
	assert_false(gate_in_flight(&r.g));
	rig_fini(&r);
}

/* A session without a stored part writes nothing, but its answer falls with its commit. */
static void
gate__what_wrote_nothing_falls_with_its_fence(void **state)
{
	struct rig r;

	(void)state;
	rig_init_under(&r, (struct rule){ .fenced = true });
	rig_device(&r, "d1", "made");
	rig_go(&r);
	kit_connect(&r.k, "d1", 7, true);
	rig_after(&r, "connected");
	rig_end(&r, true, true);
	rig_go(&r);
	rig_refuse(&r);
	rig_told(&r, "made+ | connected- ");
	assert_int_equal(kit_read(&r.k, "d1"), F_NONE);
	assert_string_equal(kit_at(&r.k, "connectionState"), "'Disconnected'");
	rig_fini(&r);
}

/* ---- histories ---- */

static const char *const names[NAMES] = { "a", "b", "c", "d" };

static void
fleet_text(struct rig *r, struct buf *out)
{
	out->n = 0;
	for (int i = 0; i < NAMES; i++) {
		if (kit_read(&r->k, names[i]) == F_NONE)
			buf_cstr(out, kit_counters(&r->k, names[i]));
		buf_putc(out, ';');
	}
	gate_settle(&r->g);
}

static void
random_operation(struct rig *r, struct rnd *rnd)
{
	const char *id = names[rnd_below(rnd, NAMES)];
	char patch[64];

	switch (rnd_below(rnd, 4)) {
	case 0:
		kit_put(&r->k, id, NULL,
		    "{'authentication':{'symmetricKey':{'primaryKey':'" KEY1
		    "','secondaryKey':'" KEY2 "'}}}");
		break;
	case 1: kit_delete(&r->k, id, NULL); break;
	default:
		snprintf(patch, sizeof(patch), "{'tags':{'k%u':%u}}", rnd_below(rnd, 3),
		    rnd_below(rnd, 100));
		kit_patch(&r->k, id, NULL, patch);
	}
	gate_settle(&r->g);
}

/* base: what is on disk and acknowledged; flight: with the round that is under way. */
struct history {
	struct buf base, flight, now;
	unsigned nfailed;
};

static void
commit_ends(struct rig *r, struct rnd *rnd, struct history *h)
{
	bool repairing = gate_needs_repair(&r->g), ok = rnd_below(rnd, 4) > 0;

	if (!gate_in_flight(&r->g))
		return;
	if (!ok && rnd_below(rnd, 3) == 0)
		rig_refuse(r);
	else
		rig_end(r, ok, rnd_below(rnd, 2) == 0);
	if (repairing)
		return;
	fleet_text(r, &h->now);
	if (ok) {
		h->base.n = 0;
		buf_str(&h->base, buf_view(&h->flight));
		return;
	}
	h->nfailed++;
	assert_true(str_eq(buf_view(&h->now), buf_view(&h->base)));
}

static void
round_goes(struct rig *r, struct history *h)
{
	bool flew = gate_in_flight(&r->g);

	if (gate_needs_repair(&r->g)) {
		gate_repair(&r->g);
		return;
	}
	if (flew)
		return;
	fleet_text(r, &h->flight);
	if (!rig_go(r) || !gate_in_flight(&r->g)) {
		h->base.n = 0; /* nothing was written */
		buf_str(&h->base, buf_view(&h->flight));
	}
}

static void
history(uint64_t seed, struct history *h)
{
	struct rnd rnd = { seed * 2 + 1 };
	struct rig r;

	rig_init(&r);
	fleet_text(&r, &h->base);
	for (int i = 0; i < STEPS; i++) {
		unsigned step = rnd_below(&rnd, 6);

		if (step < 4 && !gate_needs_repair(&r.g))
			random_operation(&r, &rnd);
		else if (step == 4)
			round_goes(&r, h);
		else
			commit_ends(&r, &rnd, h);
	}
	while (!gate_idle(&r.g) || gate_needs_repair(&r.g) || gate_writes(&r.g) > 0) {
		if (gate_in_flight(&r.g))
			rig_end(&r, true, true);
		else
			round_goes(&r, h);
	}
	for (int i = 0; i < NAMES; i++)
		disk_agrees(&r, names[i]);
	rig_fini(&r);
}

static void
gate__histories_lose_nothing_and_leave_no_trace_of_what_failed(void **state)
{
	struct history h = { 0 };

	(void)state;
	for (uint64_t seed = 1; seed <= HISTORIES; seed++)
		history(seed, &h);
	assert_true(h.nfailed > HISTORIES);
	buf_fini(&h.base);
	buf_fini(&h.flight);
	buf_fini(&h.now);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gate__what_has_seen_a_round_happens_when_it_is_on_disk),
		cmocka_unit_test(gate__an_empty_round_does_not_go_to_the_store),
		cmocka_unit_test(gate__a_round_has_room_by_writes_and_bytes),
		cmocka_unit_test(gate__a_failure_undoes_both_rounds_and_is_repaired),
		cmocka_unit_test(gate__a_failed_batch_that_is_on_disk_is_repaired),
		cmocka_unit_test(gate__a_refused_batch_is_undone_and_needs_no_repair),
		cmocka_unit_test(gate__a_refused_repair_is_tried_again),
		cmocka_unit_test(gate__what_wrote_nothing_falls_with_what_it_saw),
		cmocka_unit_test(gate__a_lease_lost_between_commit_and_answer_leaves_the_state),
		cmocka_unit_test(gate__a_lease_lost_at_a_read_is_seen_when_its_answer_leaves),
		cmocka_unit_test(gate__an_answer_of_an_earlier_lease_does_not_leave_under_the_next),
		cmocka_unit_test(gate__what_was_undone_is_said_without_a_lease),
		cmocka_unit_test(gate__one_look_at_the_lease_serves_all_that_leaves),
		cmocka_unit_test(gate__O195_what_a_commit_proves_needs_no_lease),
		cmocka_unit_test(gate__a_fenced_read_waits_for_an_empty_commit),
		cmocka_unit_test(gate__what_wrote_nothing_falls_with_its_fence),
		cmocka_unit_test(gate__histories_lose_nothing_and_leave_no_trace_of_what_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
