/* Questions over three nodes, each of which has some shards. */
#include "peers_kit.h"
#include "walk_kit.h"

/* The answers of a node: the same as of another, whoever has what. */
static void
answers_of(unsigned n, struct buf *out)
{
	out->n = 0;
	at_node(n);
	all_answers(hub.k, out);
	other_answers(hub.k, out);
}

static void
peers__O265_each_node_answers_as_one(void **state)
{
	struct buf expected = { 0 }, got = { 0 };
	struct shard_counts n, m;

	(void)state;
	make_devices(hub.k);
	answers_of(0, &expected);
	n = counts(hub.k);
	for (unsigned i = 1; i < NODES_; i++) {
		answers_of(i, &got);
		same_lines(i, buf_view(&got), buf_view(&expected));
		m = counts(hub.k);
		assert_memory_equal(&m, &n, sizeof(n));
	}
	assert_int_equal(n.devices, FLEET);
	for (uint32_t s = 0; s < SHARDS; s++)
		if (s % NODES_ != 2)
			move_to(s, 2);
	answers_of(2, &got);
	same_lines(9, buf_view(&got), buf_view(&expected));
	answers_of(1, &got); /* which has none */
	same_lines(10, buf_view(&got), buf_view(&expected));
	buf_fini(&expected);
	buf_fini(&got);
}

/* Shards move all the time; answers are whole. */
static void *
mover(void *arg)
{
	atomic_bool *stop = arg;

	for (uint32_t i = 0; !atomic_load(stop); i++)
		move_to(i * 7 % SHARDS, (i / 3) % NODES_);
	return NULL;
}

static void
peers__O266_answers_are_whole_while_shards_move(void **state)
{
	struct buf expected = { 0 }, got = { 0 };
	atomic_bool stop = false;
	pthread_t thread;

	(void)state;
	make_devices(hub.k);
	at_node(0);
	for (unsigned i = 0; i < 4; i++)
		pages_of(hub.k, few[i], 90, false, &expected);
	assert_int_equal(pthread_create(&thread, NULL, mover, &stop), 0);
	for (unsigned round = 0; round < 6; round++) {
		got.n = 0;
		at_node(round % NODES_);
		for (unsigned i = 0; i < 4; i++)
			pages_of(hub.k, few[i], 90, false, &got);
		same_lines(round, buf_view(&got), buf_view(&expected));
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	buf_fini(&expected);
	buf_fini(&got);
}

/* A node is cut off: its shards' part is 503, and named. */
static void
peers__O267_a_node_that_is_cut_off_is_named(void **state)
{
	struct tour *w;

	(void)state;
	make_devices(hub.k);
	hub.nodes[0].cut[1] = true;
	views_tell();
	at_node(0);
	for (unsigned i = 0; i < 3; i++) {
		w = kit_do_tour(hub.k, kit_tour(hub.k, few[i], 1000));
		assert_int_equal(w->task->fault.code, F_ServiceUnavailable);
		assert_non_null(strstr(w->task->fault.text, "shard 1 "));
	}
	at_node(2); /* which hears both */
	w = kit_do_tour(hub.k, kit_tour(hub.k, few[0], 1000));
	assert_int_equal(w->task->fault.code, F_NONE);
	assert_int_equal(w->task->page->nrow, FLEET);
}

/* ---- large answers ---- */

static struct {
	struct peers_asked *of[PEERS_CALLS_MAX];
	atomic_uint n;
} kept;

static void
keeps(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked)
{
	unsigned n = atomic_load(&kept.n); /* this loop alone counts */

	(void)ctx, (void)slot, (void)body;
	kept.of[n] = asked;
	atomic_store(&kept.n, n + 1);
}

static struct {
	unsigned nok, nfailed;
	bool other; /* for another reason than that there is no room */
} large;

static void
large_came(void *ctx, enum err e, struct str body, const struct fault *why)
{
	(void)ctx;
	pthread_mutex_lock(&hub.k->mu);
	large.nok += e == ERR_OK && body.n == FRAME_MAX - 4096;
	large.nfailed += e != ERR_OK;
	large.other |= e != ERR_OK && strstr(why->text, "too much") == NULL;
	pthread_cond_broadcast(&hub.k->changed);
	pthread_mutex_unlock(&hub.k->mu);
}

/* All at once they are more than what may wait for a peer: the link stays. */
static void
peers__O268_large_answers_drop_no_link(void **state)
{
	int64_t since_us = clock_mono_us();
	struct buf body = { 0 };

	(void)state;
	peers_handle(hub.nodes[1].peers, CALL_PAST, keeps, NULL);
	for (unsigned i = 0; i < PEERS_CALLS_MAX; i++)
		peers_call(hub.nodes[0].peers, 1, CALL_PAST, STR("?"), since_us + 60 * SECOND,
		    large_came, NULL);
	while (atomic_load(&kept.n) < PEERS_CALLS_MAX)
		kit_again(since_us, "the requests have come");
	buf_reserve(&body, FRAME_MAX);
	memset(body.p, 'x', FRAME_MAX);
	for (unsigned i = 0; i < PEERS_CALLS_MAX; i++)
		peers_answer(kept.of[i], (struct str){ body.p, FRAME_MAX - 4096 });
	kit_await(hub.k, large.nok + large.nfailed == PEERS_CALLS_MAX);
	assert_true(large.nok > 0 && !large.other);
	assert_true(nodes_linked());
	buf_fini(&body);
}

static int
short_setup(void **state)
{
	kit_tour_us = SECOND;
	return hub_setup(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    peers__O265_each_node_answers_as_one, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O266_answers_are_whole_while_shards_move, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O268_large_answers_drop_no_link, hub_setup, hub_teardown),
		cmocka_unit_test_setup_teardown(
		    peers__O267_a_node_that_is_cut_off_is_named, short_setup, hub_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
