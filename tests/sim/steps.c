/* The steps of a history, the usual ones more often. */
#include "front.h"
#include "requests.h"
#include "wire.h"
#include "world.h"

#include <stdlib.h>

#define UNDER_WAY_MAX 400u /* works: clients wait for answers, too */

static void
step_turn(struct world *w)
{
	world_turn(w, rnd_below(&w->rnd, w->o.nworker));
}

static void
step_commit(struct world *w)
{
	world_commit(w, rnd_below(&w->rnd, w->o.nworker));
}

/* Microseconds, or seconds: jobs, rollouts and rows that rest have their time. */
static void
step_time(struct world *w)
{
	static const uint32_t most_us[] = { 1000, 1000, 100000, 5000000, 700000000 };

	w->mono_us += 1 + rnd_below(&w->rnd, most_us[rnd_below(&w->rnd, 5)]);
	w->look_us = rnd_below(&w->rnd, 2) ? 0 : rnd_below(&w->rnd, 1000);
	world_hear(w);
}

/* Somebody sets the clock: an hour off at most, so that what waits for a time has it in the end. */
static void
step_clock(struct world *w)
{
	static const int64_t ahead_s[] = { -3600, -600, 0, 60, 600, 3600 };

	w->ahead_us = ahead_s[rnd_below(&w->rnd, 6)] * SECOND;
}

/* Jobs are forgotten, while their devices go and not all lanes are quick. */
static void
step_month(struct world *w)
{
	for (int i = 0; i < 6; i++)
		write_delete(w);
	w->mono_us += 31 * 86400 * SECOND;
	for (int i = 0; i < 6; i++) {
		for (unsigned k = 0; k < w->o.nworker; k++)
			world_turn(w, k);
		world_commit(w, rnd_below(&w->rnd, 2) ? 0 : rnd_below(&w->rnd, w->o.nworker));
		write_delete(w);
	}
}

static void
step_evict(struct world *w)
{
	uint32_t s = hub_shard_of(str_of(world_device(w)));

	shard_evict(contact_shard(w, s), rnd_below(&w->rnd, 4000));
}

/* Shard 0 has what is the whole hub's. */
static void
step_move(struct world *w)
{
	uint32_t s = hub_shard_of(str_of(world_device(w)));

	contact_move(w, rnd_below(&w->rnd, 4) == 0 ? 0 : s, rnd_below(&w->rnd, w->o.nworker));
}

static void
step_heal(struct world *w)
{
	sim_store_set(w->store, SIM_READY);
}

static void
step_rest(struct world *w)
{
	world_rest(w);
	question_ask(w); /* with nothing under way its whole answer is compared */
	world_rest(w);
	wire_check(w);
	job_watch_results(w, false);
	trace_check(w);
	watched_check(w);
	if (rnd_below(&w->rnd, 4) == 0)
		numbered_check(w, 60);
	if (rnd_below(&w->rnd, 2) == 0)
		naive_check(w);
	if (rnd_below(&w->rnd, 3) == 0)
		ledger_look(w);
}

static const struct {
	void (*run)(struct world *w);
	unsigned share;
} kinds[] = {
	{ step_turn, 150 },
	{ step_commit, 100 },
	{ step_time, 40 },
	{ step_evict, 20 },
	{ write_identity, 40 },
	{ write_delete, 12 },
	{ write_keys, 3 },
	{ write_twin, 70 },
	{ write_read, 15 },
	{ request_send, 60 },
	{ request_send_bulk, 15 },
	{ front_errand, 15 },
	{ write_import, 15 },
	{ write_connect, 25 },
	{ write_report, 50 },
	{ write_telemetry, 10 },
	{ write_disconnect, 8 },
	{ write_ping, 20 },
	{ plan_job, 9 },
	{ plan_job_cancel, 1 },
	{ plan_configuration, 7 },
	{ plan_configuration_delete, 2 },
	{ plan_rollout, 2 },
	{ plan_content, 2 },
	{ question_ask, 60 },
	{ question_other, 8 },
	{ world_commit_fails, 2 },
	{ step_heal, 8 },
	{ step_full, 1 },
	{ step_fills, 1 },
	{ step_walked, 6 },
	{ step_watched, 12 },
	{ step_undone, 2 },
	{ step_appender, 40 },
	{ step_numbered, 12 },
	{ step_retention, 2 },
	{ step_rest, 8 },
	{ world_restart, 1 },
	{ world_crash, 2 },
	{ step_clock, 2 },
	{ step_month, 1 },
	{ step_move, 6 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

unsigned
world_kinds(void)
{
	return KINDS;
}

unsigned
world_draw_kind(struct rnd *r)
{
	unsigned all = 0, kind = 0;
	uint32_t at;

	for (unsigned i = 0; i < KINDS; i++)
		all += kinds[i].share;
	for (at = rnd_below(r, all); at >= kinds[kind].share; kind++)
		at -= kinds[kind].share;
	return kind;
}

void
world_step(struct world *w, unsigned kind, uint64_t number)
{
	w->step++;
	w->rnd.state = number * 2 + 1;
	(void)rnd_u64(&w->rnd);
	kinds[kind % KINDS].run(w);
	if (w->nwork > UNDER_WAY_MAX)
		world_rest(w);
	seen.steps++;
}
