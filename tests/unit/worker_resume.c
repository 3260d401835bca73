/*
 * O-236: sessions that go on while their shards move between workers, under load. The test is the edge of all of them: it knows what their devices
 * have been told, and has them resumed.
 */
#include "worker_move_kit.h"

#define EDGES 48
#define MOVES 150
#define PER   2 /* patches and reports of each device under way at once */

static struct edge {
	char id[16];
	uint64_t session_epoch, identity;
	struct opened opened;
	uint64_t known, nnote;
	bool clean, closed, gap;
	unsigned nanswer;       /* to its callers */
	enum fault_code failed; /* the last of those */
	enum reason why;
} edges[EDGES];

/* ---- the edge's loops ---- */

static struct asking {
	struct msg msg;
	struct resumption *of;
	unsigned loop, left;
} askings[SHARDS][LOOPS];

static atomic_uint nresumed;

static void
answered(struct asking *a)
{
	if (--a->left == 0)
		resumption_through(a->of);
}

static void
edge_resumed(struct work *w)
{
	struct edge *e = &edges[w->tag];

	pthread_mutex_lock(&the_kit->mu);
	if (w->reply.gone)
		e->closed = true, e->why = w->reply.reason;
	else
		assert_int_equal(w->reply.fault.code, F_NONE);
	pthread_mutex_unlock(&the_kit->mu);
	atomic_fetch_add(&nresumed, 1);
	answered(&askings[w->shard][w->tag % LOOPS]);
	work_free(w);
}

static void
edge_resume(uint32_t slot)
{
	const struct edge *e = &edges[slot];
	struct work *w = work_new(the_kit->loops[slot % LOOPS], ROOM, edge_resumed);
	struct buf list = { 0 };

	filters_put(&list, &(struct filter){ .kind = FILTER_DESIRED });
	filters_put(&list, &(struct filter){ .kind = FILTER_TWIN_RES });
	filters_put(&list, &(struct filter){ .kind = FILTER_METHODS });
	w->op.kind = OP_RESUME;
	w->op.device = work_str(w, str_of(e->id));
	if (e->clean)
		w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = e->session_epoch;
	w->op.reply_to = (struct reply_to){ .loop = (uint16_t)(slot % LOOPS), .slot = slot };
	w->op.resume = (struct op_resume){
		.identity = e->identity, .desired = e->known, .opened = e->opened, .clean = e->clean
	};
	w->tag = slot;
	buf_fini(&list);
	fleet_submit(the_kit->fleet, w);
}

/* On one of them: all that was sent to it before has been heard. */
static void
edge_asks(struct msg *m)
{
	struct asking *a = container_of(m, struct asking, msg);

	a->left = 1;
	for (uint32_t i = a->loop; i < EDGES; i += LOOPS) {
		if (edges[i].session_epoch == 0 || edges[i].closed ||
		    hub_shard_of(str_of(edges[i].id)) != a->of->shard)
			continue;
		a->left++;
		edge_resume(i);
	}
	answered(a);
}

static void
edges_resume(struct resumption *r)
{
	for (unsigned i = 0; i < LOOPS; i++) {
		struct asking *a = &askings[r->shard][i];

		*a = (struct asking){ .msg.run = edge_asks, .of = r, .loop = i };
		loop_post(the_kit->loops[i], &a->msg);
	}
}

static void
edge_note(struct note *n)
{
	struct edge *e = &edges[n->session.slot];

	pthread_mutex_lock(&the_kit->mu);
	if (n->kind == EFFECT_NOTIFY) {
		e->gap = e->gap || n->version != e->known + 1;
		e->known = n->version;
		e->nnote++;
	} else if (n->kind == EFFECT_CLOSE) {
		e->closed = true, e->why = n->reason;
	} else if (n->kind == EFFECT_CALL_DONE) {
		e->nanswer++, e->failed = n->fault;
	}
	pthread_cond_broadcast(&the_kit->changed);
	pthread_mutex_unlock(&the_kit->mu);
}

static void
edge_connect(struct kit *k, uint32_t slot, bool clean)
{
	struct edge *e = &edges[slot];
	struct buf list = { 0 };
	struct work *w;

	*e = (struct edge){ .clean = clean };
	snprintf(e->id, sizeof(e->id), "d%u", slot);
	e->session_epoch = kit_connect(k, e->id, slot, clean);
	e->identity = k->reply.identity;
	e->opened = k->reply.verdict.opened;
	filters_put(&list, &(struct filter){ .kind = FILTER_DESIRED });
	filters_put(&list, &(struct filter){ .kind = FILTER_TWIN_RES });
	filters_put(&list, &(struct filter){ .kind = FILTER_METHODS });
	w = kit_work(k, OP_SUBSCRIBE, e->id, NULL);
	w->op.payload = work_str(w, buf_view(&list));
	w->op.session_epoch = e->session_epoch;
	buf_fini(&list);
	assert_int_equal(kit_do_work(k, w), F_NONE);
	e->known = k->reply.version;
}

static void
edges_start(struct kit *k, unsigned n)
{
	memset(edges, 0, sizeof(edges));
	atomic_store(&nresumed, 0);
	k->fo.on_note = edge_note;
	k->fo.resume = edges_resume;
	kit_start(k, WORKERS);
	kit_create(k, "d", n);
	for (uint32_t i = 0; i < n; i++)
		edge_connect(k, i, i % 2 == 0);
}

/* ---- rules ---- */

static void
round_of_works(struct kit *k, unsigned round)
{
	char json[64];

	for (unsigned n = 0; n < PER; n++)
		for (unsigned i = 0; i < EDGES; i++) {
			snprintf(json, sizeof(json), "{'properties':{'desired':{'n':%u}}}",
			    round * PER + n);
			kit_send(k, OP_TWIN_PATCH, edges[i].id, json);
			snprintf(json, sizeof(json), "{'n':%u}", round * PER + n);
			fleet_submit(k->fleet,
			    kit_report_work(k, edges[i].id, edges[i].session_epoch, json));
		}
	kit_await(k, k->nback == 2 * PER * EDGES);
	for (unsigned i = 0; i < k->nback; i++) {
		assert_int_equal(k->back[i]->reply.fault.code, F_NONE);
		assert_false(k->back[i]->reply.gone); /* its session is there before what it says */
	}
	kit_forget(k);
}

static void
resume__O236_sessions_go_on_over_moves_under_load(void **state)
{
	struct kit *k = *state;
	struct mover m;
	unsigned round = 0;

	edges_start(k, EDGES);
	mover_start(&m, k, SHARDS);
	for (; round < 600 && (moves_of(&m) < MOVES || round < 10); round++)
		round_of_works(k, round);
	mover_stop(&m, MOVES);
	kit_flush(k);
	assert_true(atomic_load(&nresumed) > EDGES);
	pthread_mutex_lock(&k->mu);
	for (unsigned i = 0; i < EDGES; i++) {
		assert_false(edges[i].closed || edges[i].gap);
		assert_int_equal(edges[i].nnote, PER * round); /* each once */
	}
	pthread_mutex_unlock(&k->mu);
}

static void
move_once(struct kit *k, const char *id)
{
	struct mover m;

	mover_start(&m, k, hub_shard_of(str_of(id)));
	mover_stop(&m, 1);
	kit_flush(k);
}

/* Whoever has missed a change, or is another identity by now, is told so, and nobody else. */
static void
resume__O236_who_is_refused_ends_and_nobody_else(void **state)
{
	struct kit *k = *state;

	edges_start(k, 3);
	edges[1].known = 7; /* the edge has lost one */
	edges[2].identity++;
	for (unsigned i = 0; i < 3; i++)
		move_once(k, edges[i].id);
	pthread_mutex_lock(&k->mu);
	assert_false(edges[0].closed);
	assert_int_equal(edges[1].why, REASON_DESIRED_MISSED);
	assert_int_equal(edges[2].why, REASON_IDENTITY_CHANGED);
	pthread_mutex_unlock(&k->mu);
}

static void
resume__O236_calls_that_are_out_or_wait_fail(void **state)
{
	struct kit *k = *state;
	struct work *w;

	edges_start(k, 2);
	for (unsigned i = 0; i < 2; i++) { /* d2 is not connected */
		if (i == 1)
			kit_create(k, "e", 1);
		w = kit_work(k, OP_METHOD, i == 0 ? "d0" : "e0", NULL);
		w->op.method.name = STR("reboot");
		w->op.method.wait = true;
		w->op.payload = STR("null");
		w->op.reply_to = (struct reply_to){ .loop = 0, .slot = i, .caller = CALLER_CLIENT };
		assert_int_equal(kit_do_work(k, w), F_NONE);
	}
	move_once(k, "d0");
	move_once(k, "e0");
	pthread_mutex_lock(&k->mu);
	assert_int_equal(edges[0].nanswer, 1);
	assert_int_equal(edges[0].failed, F_DeviceConnectionClosedRemotely);
	assert_int_equal(edges[1].nanswer, 1);
	assert_int_equal(edges[1].failed, F_DeviceNotOnline);
	assert_false(edges[0].closed || edges[1].closed);
	pthread_mutex_unlock(&k->mu);
}

/* Its loop is held up: until it has had its answers, what comes for the shard waits, and so does who gives it up. */
static struct resumption *held;

static void
holds(struct resumption *r)
{
	pthread_mutex_lock(&the_kit->mu);
	held = r;
	pthread_cond_broadcast(&the_kit->changed);
	pthread_mutex_unlock(&the_kit->mu);
}

static void
resume__O236_nothing_of_the_shard_is_applied_before_all_have_asked(void **state)
{
	struct kit *k = *state;
	struct mover m;

	held = NULL;
	k->fo.resume = holds;
	kit_start(k, WORKERS);
	kit_create(k, "d", 1);
	mover_start(&m, k, hub_shard_of(STR("d0")));
	kit_await(k, held != NULL);
	kit_send(k, OP_TWIN_READ, "d0", NULL);
	kit_taken(k);
	kit_flush(k);
	assert_int_equal(fleet_release(k->fleet, m.shard, given_up, &m), ERR_ARG);
	assert_int_equal(k->nback, 0);
	pthread_mutex_lock(&k->mu);
	m.stops = true;
	pthread_mutex_unlock(&k->mu);
	for (unsigned i = 0; i < LOOPS; i++)
		resumption_through(held);
	kit_await(k, k->nback == 1 && m.idle);
	assert_int_equal(k->back[0]->reply.fault.code, F_NONE);
}

/* A fleet that stops in the midst of it has an end, too. */
static void
resume__O236_a_stop_waits_for_nobody(void **state)
{
	struct kit *k = *state;
	struct mover m;

	held = NULL;
	k->fo.resume = holds;
	kit_start(k, WORKERS);
	kit_create(k, "d", 1);
	mover_start(&m, k, hub_shard_of(STR("d0")));
	kit_await(k, held != NULL);
	kit_halt(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(resume__O236_sessions_go_on_over_moves_under_load),
		kit_test(resume__O236_who_is_refused_ends_and_nobody_else),
		kit_test(resume__O236_calls_that_are_out_or_wait_fail),
		kit_test(resume__O236_nothing_of_the_shard_is_applied_before_all_have_asked),
		kit_test(resume__O236_a_stop_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
