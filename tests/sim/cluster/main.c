/*
 * Nodes, database, network and clocks under one seed.
 *
 *   TWINHUB_SIM_SEED=7 sim_cluster        that history again; with TWINHUB_SIM_TRACE=1 it is told
 *   TWINHUB_SIM_SECONDS=600 sim_cluster   other histories for that long; the seed is printed if one fails
 *   TWINHUB_SIM_HISTORIES=n               so many times thirty from that seed on
 */
#include "sim.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WAR_US   (40 * S)
#define PEACE_US (55 * S)
#define OPS_MAX  16000u
#define EACH     30 /* histories for one of sim_fleet's */

static const struct world *being;

static void
on_signal(int sig)
{
	static char where[80];
	int n = snprintf(where, sizeof(where), "TWINHUB_SIM_SEED=%llu fails in step %llu\n",
	    (unsigned long long)being->seed, (unsigned long long)(being->now_us / 1000));

	signal(sig, SIG_DFL);
	(void)!write(STDERR_FILENO, where, (size_t)n);
	raise(sig);
}

static void
clients(struct world *w, struct event *e)
{
	(void)e;
	if (w->nop < OPS_MAX)
		op_new(w, (int)rnd_below(&w->r, SHARDS), one_in(w, 2));
	later(w, between(w, 1 * MS, w->peace ? 150 * MS : 30 * MS), clients);
}

static void
starts(struct world *w, struct event *e)
{
	proc_start(w, &w->procs[e->a]);
}

static struct world *
world_new(uint64_t seed)
{
	struct world *w = need(sizeof(*w));

	w->seed = seed;
	w->r.state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) | 1;
	w->nid = 3 + (int)rnd_below(&w->r, NODES - 2);
	w->forgetful = one_in(w, 6);
	w->ops = need(OPS_MAX * sizeof(*w->ops));
	servers_begin(w);
	for (int i = 0; i < SLOTS; i++) {
		struct proc *p = &w->procs[i];

		p->id = i < NODES ? i : 0;
		p->dir = i + 1;
		p->rate = 0.85 + 0.3 * (double)rnd_below(&w->r, 1001) / 1000;
		p->off_us = between(w, 0, 1000 * S);
		if (i < w->nid)
			later(w, between(w, 0, 3 * S), starts)->a = i;
	}
	later(w, 4 * S, nemesis);
	later(w, 1 * S, clients);
	return w;
}

static void
world_free(struct world *w)
{
	for (int i = 0; i < SLOTS; i++)
		cluster_free(w->procs[i].c);
	events_free(w);
	servers_free(w);
	free(w->ops);
	free(w);
}

static void
history(uint64_t seed)
{
	struct world *w = world_new(seed);

	being = w;
	while (event_next(w) && w->now_us < WAR_US + PEACE_US) {
		if (!w->peace && w->now_us >= WAR_US)
			peace(w);
		check_owners(w);
	}
	check_end(w);
	world_free(w);
}

static int
all_was_seen(bool must)
{
	static const char *const names[] = {
#define SEEN_NAME(n) #n,
		SEEN_FIELDS(SEEN_NAME)
	};
	const uint64_t *count = (const uint64_t *)&seen;
	int bad = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		printf("%s %llu\n", names[i], (unsigned long long)count[i]);
		if (must && count[i] == 0)
			fprintf(stderr, "%s: none in all histories\n", names[i]), bad = 1;
	}
	return bad;
}

static uint64_t
seed_anew(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

int
main(void)
{
	static const int fatal[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
	const char *seed_text = getenv("TWINHUB_SIM_SEED"), *s = getenv("TWINHUB_SIM_SECONDS");
	const char *most = getenv("TWINHUB_SIM_HISTORIES");
	time_t end = time(NULL) + (s ? atol(s) : 0);
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : seed_anew();
	uint64_t n = 0, least = most ? strtoull(most, NULL, 10) * EACH : seed_text ? 1 : 400;

	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], on_signal);
	do {
		history(seed++);
	} while (++n < least || time(NULL) < end);
	printf("%llu histories\n", (unsigned long long)n);
	return all_was_seen(seed_text == NULL);
}
