/* The wheel of coarse timers, with a clock of the test's own; and once on a real loop. */
#include "net_rig.h"

#include "net/priv.h"
#include "os/clock.h"

#define NTIMER 2000
#define TICK   ((int64_t)LOOP_TICK_US)

struct probe {
	struct loop_timer t;
	int nfired;
};

static struct wheel w;
static struct probe probes[NTIMER];
static int64_t now_us;

static void
on_fire(struct loop_timer *t)
{
	struct probe *p = (struct probe *)t;

	assert_true(t->due_us <= now_us);
	assert_false(loop_timer_is_set(t));
	p->nfired++;
}

static int
wheel_setup(void **state)
{
	(void)state;
	memset(&w, 0, sizeof w);
	memset(probes, 0, sizeof probes);
	for (int i = 0; i < NTIMER; i++)
		probes[i].t.fire = on_fire;
	now_us = 123456789;
	return 0;
}

static void
advance_to(int64_t t)
{
	now_us = t;
	wheel_advance(&w, now_us);
}

/* Any deadline up to four rounds away fires within one tick (and the step of this test's clock), once. */
static void
wheel__fires_never_early_and_at_most_a_tick_late(void **state)
{
	int64_t start = now_us, step = 7001, span = 4 * TICK * WHEEL_SLOTS;
	uint64_t seed = 1;

	(void)state;
	for (int i = 0; i < NTIMER; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		wheel_set(
		    &w, &probes[i].t, start + (int64_t)((seed >> 20) % (uint64_t)span), now_us);
	}
	while (w.ntimer > 0 && now_us < start + span + 10 * TICK) {
		advance_to(now_us + step);
		for (int i = 0; i < NTIMER; i++)
			if (loop_timer_is_set(&probes[i].t))
				assert_true(probes[i].t.due_us + 2 * TICK + step > now_us);
	}
	assert_int_equal(w.ntimer, 0);
	for (int i = 0; i < NTIMER; i++)
		assert_int_equal(probes[i].nfired, 1);
}

static void
wheel__overdue_timer_fires_at_the_next_tick(void **state)
{
	(void)state;
	wheel_set(&w, &probes[0].t, now_us - 5 * TICK, now_us);
	advance_to(now_us + TICK);
	assert_int_equal(probes[0].nfired, 1);
}

static void
wheel__moved_timer_fires_at_its_new_time_only(void **state)
{
	int64_t start = now_us;

	(void)state;
	wheel_set(&w, &probes[0].t, start + 10 * TICK, now_us);
	wheel_set(&w, &probes[0].t, start + 100 * TICK, now_us);
	assert_int_equal(w.ntimer, 1);
	advance_to(start + 50 * TICK);
	assert_int_equal(probes[0].nfired, 0);
	advance_to(start + 102 * TICK);
	assert_int_equal(probes[0].nfired, 1);
}

static void
wheel__long_sleep_fires_everything_due(void **state)
{
	int64_t start = now_us;

	(void)state;
	wheel_set(&w, &probes[0].t, start + 3 * TICK, now_us);
	wheel_set(&w, &probes[1].t, start + 5000 * TICK, now_us);
	wheel_set(&w, &probes[2].t, start + 90000 * TICK, now_us);
	advance_to(start + 50000 * TICK);
	assert_int_equal(probes[0].nfired, 1);
	assert_int_equal(probes[1].nfired, 1);
	assert_int_equal(probes[2].nfired, 0);
}

static void
on_fire_clear_others(struct loop_timer *t)
{
	on_fire(t);
	for (int i = 0; i < NTIMER; i++)
		if (loop_timer_is_set(&probes[i].t))
			wheel_clear(&w, &probes[i].t);
	wheel_set(&w, t, now_us + 10 * TICK, now_us);
}

static void
wheel__callback_may_clear_its_neighbours_and_set_itself(void **state)
{
	int n = 0;

	(void)state;
	for (int i = 0; i < NTIMER; i++) {
		probes[i].t.fire = on_fire_clear_others;
		wheel_set(&w, &probes[i].t, now_us + TICK, now_us);
	}
	advance_to(now_us + 3 * TICK);
	for (int i = 0; i < NTIMER; i++)
		n += probes[i].nfired;
	assert_int_equal(n, 1);
	assert_int_equal(w.ntimer, 1);
}

struct loop_probe {
	struct loop_timer t;
	struct rig *rig;
	int64_t fired_us;
	int n;
};

static void
on_loop_fire(struct loop_timer *t)
{
	struct loop_probe *p = (struct loop_probe *)t;

	pthread_mutex_lock(&p->rig->lock);
	p->fired_us = clock_mono_us();
	p->n++;
	pthread_cond_broadcast(&p->rig->moved);
	pthread_mutex_unlock(&p->rig->lock);
}

static void
set_probe(void *arg)
{
	struct loop_probe *p = arg;

	loop_timer_set(p->rig->loop, &p->t, loop_now_us(p->rig->loop) + 100000);
}

static void
loop__timer_fires_in_time(void **state)
{
	struct rig r;
	struct loop_probe p = { .t.fire = on_loop_fire, .rig = &r };

	(void)state;
	rig_init(&r);
	assert_int_equal(loop_start(r.loop), ERR_OK);
	for (int i = 1; i <= 2; i++) { /* the second time the wheel has stood still in between */
		rig_on_loop(&r, set_probe, &p);
		assert_true(rig_wait(&r, &p.n, i));
		assert_true(p.fired_us >= p.t.due_us);
	}
	rig_fini(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    wheel__fires_never_early_and_at_most_a_tick_late, wheel_setup),
		cmocka_unit_test_setup(wheel__overdue_timer_fires_at_the_next_tick, wheel_setup),
		cmocka_unit_test_setup(wheel__moved_timer_fires_at_its_new_time_only, wheel_setup),
		cmocka_unit_test_setup(wheel__long_sleep_fires_everything_due, wheel_setup),
		cmocka_unit_test_setup(
		    wheel__callback_may_clear_its_neighbours_and_set_itself, wheel_setup),
		cmocka_unit_test(loop__timer_fires_in_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
