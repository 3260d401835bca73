/* Rollouts in a fleet at work: drawn and counted by tours, moved on by operations, over failures and restarts. */
#include "worker_configurations.h"

#include "worker/rollouts.h"

#define FLEET 300

/* ---- the looks, on a loop that runs ---- */

static struct rollouts *looks;

struct turn {
	struct msg msg;
	struct kit *k;
	bool done;
};

static void
turn_done(struct turn *t)
{
	pthread_mutex_lock(&t->k->mu);
	t->done = true;
	pthread_cond_broadcast(&t->k->changed);
	pthread_mutex_unlock(&t->k->mu);
}

static void
on_start(struct msg *m)
{
	struct turn *t = (struct turn *)m;

	looks = rollouts_new(t->k->fleet, t->k->box, t->k->loops[0]);
	turn_done(t);
}

static void
on_stop(struct msg *m)
{
	struct turn *t = (struct turn *)m;

	rollouts_stop(looks);
	if (rollouts_busy(looks)) {
		loop_post(t->k->loops[0], m);
		return;
	}
	rollouts_free(looks);
	turn_done(t);
}

static void
turn(struct kit *k, void (*run)(struct msg *m))
{
	struct turn t = { { .run = run }, k, false };

	loop_post(k->loops[0], &t.msg);
	kit_await(k, t.done);
}

static void
up(struct kit *k, unsigned nworker)
{
	begin(k, nworker);
	turn(k, on_start);
}

static void
down(struct kit *k)
{
	turn(k, on_stop);
	kit_stop(k);
}

static void
act(struct kit *k, enum rollout_action action)
{
	struct work *w;
	enum fault_code code;

	do {
		w = change(k, OP_ROLLOUT, "a", NULL);
		w->op.rollout.action = action;
		code = kit_do_work(k, w);
	} while (code == F_ServiceUnavailable);
	assert_int_equal(code, F_NONE);
}

#define PLAN(waves)                                                                                \
	"{'targetCondition':'*','content':{'deviceContent':{'properties.desired.a':1}},'rollout':" \
	"{'waves':[" waves "]}}"
#define HAVE "properties.desired.a = 1 AND properties.desired.$version = 2"

/* ---- tests ---- */

static void
rollouts__RO7_a_wave_has_as_many_devices_as_it_says(void **state)
{
	struct kit *k = *state;

	up(k, 3);
	kit_create(k, "d", FLEET);
	assert_int_equal(kit_do_work(k,
	                     change(k, OP_CONFIGURATION_PUT, "a",
	                         PLAN("{'count':7,'successQuery':'tags.x = 1'},{'percent':33.4,"
	                              "'successQuery':'tags.x = 1'},{'percent':100}"))),
	    F_NONE);
	until(k, HAVE, 7);
	down(k);
	up(k, 2); /* the same seven: an eighth would be seen */
	act(k, ROLLOUT_ADVANCE);
	until(k, HAVE, 101);
	act(k, ROLLOUT_HALT);
	down(k);
	up(k, 1);
	kit_create(k, "new", 20); /* nobody gets it */
	until(k, HAVE, 101);
	act(k, ROLLOUT_ADVANCE);
	until(k, HAVE, FLEET + 20);
	act(k, ROLLOUT_ROLLBACK);
	until(k, "NOT is_defined(properties.desired.a) AND NOT is_defined(configurations)",
	    FLEET + 20);
	down(k);
	up(k, 3);
	until(k, "properties.desired.$version = 3", FLEET + 20);
	turn(k, on_stop);
}

static void
rollouts__RO11_steps_that_are_not_stored_are_taken_again(void **state)
{
	struct kit *k = *state;

	up(k, 2);
	kit_create(k, "d", FLEET);
	assert_int_equal(kit_do_work(k,
	                     change(k, OP_CONFIGURATION_PUT, "a",
	                         PLAN("{'count':1},{'percent':10},{'percent':20},{'percent':30},{"
	                              "'percent':50},{'percent':80},{'percent':100}"))),
	    F_NONE);
	for (int i = 0; i < 5; i++) {
		char id[8];

		snprintf(id, sizeof(id), "b%d", i);
		disk_release(ENOSPC);
		while (
		    kit_do_work(k, change(k, OP_CONFIGURATION_PUT, id, body("", 0, 1))) == F_NONE)
			id[0]++;
		disk_release(0);
		while (store_state(k->store, NULL) != STORE_READY)
			sched_yield();
	}
	until(k, HAVE, FLEET);
	turn(k, on_stop);
}

static bool busy, moved;

static void
on_look(struct msg *m)
{
	struct turn *t = (struct turn *)m;

	busy = rollouts_busy(looks);
	turn_done(t);
}

static void
has_moved(void *ctx, uint32_t shard, enum err e, const struct fault *why)
{
	struct kit *k = ctx;

	(void)shard, (void)why;
	assert_int_equal(e, ERR_OK);
	pthread_mutex_lock(&k->mu);
	moved = true;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->mu);
}

/* Of several nodes only the one that has shard 0 looks; elsewhere its questions would wait for an answer that is of no use. */
static void
rollouts__O281_are_looked_at_where_shard_0_is(void **state)
{
	struct kit *k = *state;

	up(k, 2);
	kit_create(k, "d", 20);
	assert_int_equal(kit_do_work(k,
	                     change(k, OP_CONFIGURATION_PUT, "a",
	                         PLAN("{'count':2,'successQuery':'tags.x = 1'},{'percent':100}"))),
	    F_NONE);
	until(k, HAVE, 2);
	do /* one that was begun before may go on */
		turn(k, on_look);
	while (busy);
	moved = false;
	assert_int_equal(fleet_release(k->fleet, 0, has_moved, k), ERR_OK);
	kit_await(k, moved);
	clock_sleep_us(200000);
	for (int i = 0; i < 50; i++) {
		turn(k, on_look);
		assert_false(busy);
		clock_sleep_us(10000);
	}
	moved = false;
	assert_int_equal(fleet_take(k->fleet, 0, 1, has_moved, k), ERR_OK);
	kit_await(k, moved);
	act(k, ROLLOUT_ADVANCE);
	until(k, HAVE, 20);
	turn(k, on_stop);
}

#define fleet_test(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		fleet_test(rollouts__RO7_a_wave_has_as_many_devices_as_it_says),
		fleet_test(rollouts__RO11_steps_that_are_not_stored_are_taken_again),
		fleet_test(rollouts__O281_are_looked_at_where_shard_0_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
