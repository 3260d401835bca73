/*
 * What counting costs: nanoseconds of each call that is made where work is done, on threads that count at the same time, each in cells of its own,
 * and how many of them one durable update of a twin has. The rest of O-129 is arithmetic: with the CPU that an update takes (bench/updates).
 */
#include "metric/metric.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 20000000u

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Values as they come: a commit's time moves through five bounds or so. */
static uint64_t
value_of(unsigned i)
{
	return 60000 + (i * UINT64_C(2654435761) % 1048576) * 5;
}

struct cost {
	double add_ns, seen_ns, clock_ns;
};

static void *
measure(void *out)
{
	struct cost *c = out;
	struct timespec t;
	uint64_t sum = 0;
	double begin = now_ns(), idle;

	for (unsigned i = 0; i < ROUNDS; i++)
		metric_add(METRIC_OPERATIONS, i % METRIC_RESULTS, 1);
	c->add_ns = (now_ns() - begin) / ROUNDS;
	begin = now_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		sum += value_of(i);
	idle = now_ns() - begin;
	begin = now_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		metric_seen(METRIC_OPERATION_SECONDS, i % 8, value_of(i));
	c->seen_ns = (now_ns() - begin - idle) / ROUNDS;
	begin = now_ns();
	for (unsigned i = 0; i < ROUNDS / 10; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		sum += (uint64_t)t.tv_nsec;
	}
	c->clock_ns = (now_ns() - begin) / (ROUNDS / 10.0);
	if (sum == 1) /* it is not left out */
		puts("");
	return NULL;
}

/* Of one update over MQTT that is alone in its commit: received, sent; operation, its time, its wait, its commit's; found in memory; the commit's
 * time and size, its fsync. Where several share a commit, the last three are shared. */
#define ADDS 4
#define SEEN 6

int
main(int argc, char **argv)
{
	unsigned nthread = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	struct cost costs[64] = { 0 }, *worst = &costs[0];
	pthread_t threads[64];

	if (nthread < 1 || nthread > 64) {
		fprintf(stderr, "usage: bench_metrics [THREADS]\n");
		return 64;
	}
	for (unsigned i = 0; i < nthread; i++)
		if (pthread_create(&threads[i], NULL, measure, &costs[i]) != 0)
			return 1;
	for (unsigned i = 0; i < nthread; i++) {
		pthread_join(threads[i], NULL);
		if (costs[i].add_ns + costs[i].seen_ns > worst->add_ns + worst->seen_ns)
			worst = &costs[i];
	}
	printf(
	    "{\"bench\":\"metrics\",\"threads\":%u,\"add_ns\":%.2f,\"seen_ns\":%.2f,\"clock_ns\":"
	    "%.1f,\"update_ns\":%.0f}\n",
	    nthread, worst->add_ns, worst->seen_ns, worst->clock_ns,
	    ADDS * worst->add_ns + SEEN * worst->seen_ns);
	return 0;
}
