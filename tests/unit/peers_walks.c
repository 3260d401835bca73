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
		    peers__O267_a_node_that_is_cut_off_is_named, short_setup, hub_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
