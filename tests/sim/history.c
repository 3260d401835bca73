/*
 * The simulator: workers with a few shards each, a store that keeps what it has acknowledged and may or may not keep
 * what it has not, a clock that jumps, random operations, failed commits, and the death of the process at any point.
 * After each start every acknowledged write, counter and document is there, and nothing of half a commit.
 */
#include "hub_history.h"

#include <time.h>

#define WORKERS       3
#define SHARDS_OF_ONE 3
#define STEPS         3000
#define HISTORIES     12

struct sim {
	struct rnd rnd;
	struct lane lanes[WORKERS][SHARDS_OF_ONE];
	unsigned ncrash, nfailed, nacked;
};

static void
sim_init(struct sim *s, uint64_t seed)
{
	*s = (struct sim){ .rnd = { seed * 2 + 1 } };
	for (unsigned w = 0; w < WORKERS; w++)
		for (unsigned i = 0; i < SHARDS_OF_ONE; i++) {
			struct lane *l = &s->lanes[w][i];
			unsigned naming = w * SHARDS_OF_ONE + i;

			lane_init(l, rnd_u64(&s->rnd), naming);
			kit_shard(&l->k, shard_new(naming, kit_features));
		}
}

static void
sim_fini(struct sim *s)
{
	for (unsigned w = 0; w < WORKERS; w++)
		for (unsigned i = 0; i < SHARDS_OF_ONE; i++)
			lane_fini(&s->lanes[w][i]);
}

/* One commit is all shards' of a worker: it ends alike for them. */
static void
worker_event(struct sim *s, unsigned w, unsigned event)
{
	bool found = rnd_below(&s->rnd, 2) == 0;

	for (unsigned i = 0; i < SHARDS_OF_ONE; i++) {
		struct lane *l = &s->lanes[w][i];

		switch (event) {
		case 0:
		case 1: lane_submit(l); break;
		case 2:
		case 3:
			s->nacked += l->flying;
			lane_acked(l);
			break;
		case 4:
			s->nfailed += l->flying;
			lane_failed(l, found);
			break;
		case 5:
		case 6: lane_repaired(l); break;
		default: shard_evict(l->k.sh, rnd_below(&s->rnd, 3000)); break;
		}
	}
}

static void
sim_crash(struct sim *s)
{
	s->ncrash++;
	for (unsigned w = 0; w < WORKERS; w++) {
		bool found = rnd_below(&s->rnd, 2) == 0;

		for (unsigned i = 0; i < SHARDS_OF_ONE; i++) {
			lane_crash(&s->lanes[w][i], found);
			lane_check(&s->lanes[w][i]);
		}
	}
}

static void
sim_run(uint64_t seed)
{
	static struct sim s; /* large */

	sim_init(&s, seed);
	for (int i = 0; i < STEPS; i++) {
		unsigned w = rnd_below(&s.rnd, WORKERS), dice = rnd_below(&s.rnd, 60);

		lane_step(&s.lanes[w][rnd_below(&s.rnd, SHARDS_OF_ONE)]);
		if (dice < 8)
			worker_event(&s, w, dice);
		else if (dice == 8 && rnd_below(&s.rnd, 4) == 0)
			sim_crash(&s);
		else if (dice == 9)
			lane_check(&s.lanes[w][0]);
	}
	sim_crash(&s);
	assert_true(s.ncrash > 1 && s.nfailed > 0 && s.nacked > 0);
	sim_fini(&s);
}

static void
sim__acknowledged_writes_survive(void **state)
{
	const char *seed_text = getenv("TWINHUB_SIM_SEED"), *s = getenv("TWINHUB_SIM_SECONDS");
	time_t end = time(NULL) + (s ? atol(s) : 0);
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : (uint64_t)time(NULL);
	unsigned n = 0;

	(void)state;
	do {
		print_message("TWINHUB_SIM_SEED=%llu\n", (unsigned long long)seed);
		sim_run(seed++);
		n++;
	} while (seed_text == NULL && (n < HISTORIES || time(NULL) < end));
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(sim__acknowledged_writes_survive) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
