/*
 * bench_queries: fleet queries inside the hub's engine, without HTTP: a tour is sent to the workers and timed until it
 * is back. The store is one that a hub has filled. Prints one JSON object.
 */
#include "hub/priv.h"
#include "worker/priv.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEMORY     (UINT64_C(6) << 30)
#define PAGE       100
#define ROUNDS_MAX 1001

/* ---- asking ---- */

static struct hub {
	struct fleet *fleet;
	struct store *store;
	struct loop *loop;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct tour *back;
	uint64_t bytes; /* of the last answer */
	struct query_seen facts;
} hub = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void
on_tour(struct tour *w)
{
	pthread_mutex_lock(&hub.mu);
	hub.back = w;
	pthread_cond_signal(&hub.changed);
	pthread_mutex_unlock(&hub.mu);
}

static void
on_note(struct note *n)
{
	(void)n;
}

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of all threads: what another program takes from the machine does not count. */
static double
cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Milliseconds of one page; its JSON goes to stderr if `show`. */
static double
ask(const char *text, bool show)
{
	struct query *q = NULL;
	struct query_task *t;
	struct tour *w;
	struct fault f = { .text = "" };
	double begin = now_ms(), ms;

	if (query_parse(str_of(text), NULL, &q, &f)) {
		fprintf(stderr, "bench_queries: %s: %s\n", text, f.text);
		exit(1);
	}
	t = query_task_new(q);
	t->task.page->limit = PAGE;
	w = tour_new(hub.loop, &t->task, on_tour);
	fleet_tour(hub.fleet, w);
	pthread_mutex_lock(&hub.mu);
	while (hub.back == NULL)
		pthread_cond_wait(&hub.changed, &hub.mu);
	w = hub.back;
	hub.back = NULL;
	pthread_mutex_unlock(&hub.mu);
	ms = now_ms() - begin;
	if (w->task->fault.code != F_NONE) {
		fprintf(stderr, "bench_queries: %s: %s\n", text, w->task->fault.text);
		exit(1);
	}
	hub.bytes = w->task->page->rows.rest.n;
	hub.facts = query_task_of(w->task)->seen;
	if (show)
		fprintf(stderr, "%s\n  %.*s\n", text, (int)(hub.bytes < 300 ? hub.bytes : 300),
		    hub.bytes > 0 ? w->task->page->rows.rest.p : "");
	tour_free(w);
	return ms;
}

static int
number_order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define REPORTED "properties.reported."

static const struct question {
	const char *name, *text;
} questions[] = {
	{ "count_by_status",
	    "SELECT " REPORTED
	    "telemetryConfig.status AS status, COUNT() AS n FROM devices GROUP BY " REPORTED
	    "telemetryConfig.status" },
	{ "region_status_count",
	    "SELECT COUNT() AS n FROM devices WHERE tags.location.region = 'eu-west' AND " REPORTED
	    "telemetryConfig.status = 'Pending'" },
	{ "temperature_count",
	    "SELECT COUNT() AS n FROM devices WHERE " REPORTED "temperature > 60" },
	{ "avg_filtered",
	    "SELECT AVG(" REPORTED "temperature) AS t FROM devices WHERE " REPORTED
	    "connectivity.type = 'cellular'" },
	{ "first_page",
	    "SELECT * FROM devices WHERE tags.customer = 'customer-042' AND " REPORTED
	    "batteryLevel < 5" },
	{ "cold_column",
	    "SELECT COUNT() AS n FROM devices WHERE " REPORTED "connectivity.rssi > -60" },
};

/* Never asked before, asked again (columns are made), and then the median of many. */
static void
time_question(const struct question *q, unsigned rounds, const char *sep, bool show)
{
	static double ms[ROUNDS_MAX];
	double cpu = cpu_ms(), first = ask(q->text, show), first_cpu = cpu_ms() - cpu,
	       second = ask(q->text, false), second_cpu = cpu_ms() - cpu - first_cpu;
	struct query_seen built = hub.facts;

	cpu = cpu_ms();
	for (unsigned i = 0; i < rounds; i++)
		ms[i] = ask(q->text, false);
	cpu = (cpu_ms() - cpu) / rounds;
	qsort(ms, rounds, sizeof(*ms), number_order);
	printf("%s{\"name\":\"%s\",\"first_ms\":%.3f,\"first_cpu_ms\":%.3f,\"second_ms\":%.3f,"
	       "\"second_cpu_ms\":%.3f,\"built_rows\":%llu,\"hub_ms\":%.3f,\"p99_ms\":%.3f,"
	       "\"cpu_ms\":%.3f,\"judged\":%llu,\"asked\":%llu}",
	    sep, q->name, first, first_cpu, second, second_cpu, (unsigned long long)built.shown,
	    ms[rounds / 2], ms[rounds * 99 / 100], cpu, (unsigned long long)hub.facts.judged,
	    (unsigned long long)hub.facts.asked);
}

/* The memory of each path's columns, all shards together. */
static void
print_columns(void)
{
	const struct columns *first = hub.fleet->workers[0].shards[0]->columns;
	struct column_facts facts, one;
	struct buf name = { 0 }, other = { 0 };

	for (uint32_t i = 0; first != NULL && (name.n = 0, columns_facts(first, i, &facts, &name));
	     i++) {
		size_t bytes = 0;
		for (uint32_t s = 0; s < SHARDS; s++) {
			const struct columns *c = hub.fleet->of_shard[s]->shards[s]->columns;
			for (uint32_t k = 0;
			     c != NULL && (other.n = 0, columns_facts(c, k, &one, &other)); k++)
				if (str_eq(buf_view(&name), buf_view(&other)))
					bytes += one.bytes;
		}
		printf("%s{\"path\":\"%.*s\",\"form\":\"%s\",\"bytes\":%zu}", i > 0 ? "," : "",
		    (int)name.n, name.p, column_form_name(facts.form), bytes);
	}
	buf_fini(&name);
	buf_fini(&other);
}

static void
hub_open(const char *dir, unsigned nworker, struct catalogue_box *box)
{
	struct store_options so = { .dir = dir,
		.lanes = nworker,
		.memory_bytes = MEMORY / 4,
		.ctx = &hub.fleet,
		.done = fleet_commit_done };
	struct fleet_options fo = { .nworker = nworker,
		.cache_bytes = MEMORY / 2,
		.query_bytes = MEMORY / 16,
		.column_bytes = MEMORY / 8,
		.tour_us = INT64_C(600) * 1000000,
		.identities_max = UINT64_MAX,
		.catalogue = box,
		.loops = &hub.loop,
		.nloop = 1,
		.on_note = on_note };
	struct fault f = { .text = "" };

	net_init();
	if (store_open(&so, &hub.store, &f) || loop_new(0, &hub.loop) || loop_start(hub.loop)) {
		fprintf(stderr, "bench_queries: %s\n", f.text);
		exit(1);
	}
	fo.store = hub.store;
	hub.fleet = fleet_new(&fo);
	if (fleet_load(hub.fleet, &f) || fleet_start(hub.fleet)) {
		fprintf(stderr, "bench_queries: %s\n", f.text);
		exit(1);
	}
}

static void
catalogue_drop_all(struct catalogue *c)
{
	(void)c;
}

static void
ask_all(const char *dir, unsigned nworker, unsigned rounds, const char *only)
{
	static struct catalogue catalogue = { .version = 1 };
	struct catalogue_box *box = catalogue_box_new();
	double begin = now_ms();

	catalogue_set(box, &catalogue, catalogue_drop_all);
	hub_open(dir, nworker, box);
	printf("{\"twins\":%llu,\"load_ms\":%.0f,\"workers\":%u,\"queries\":[",
	    (unsigned long long)fleet_identities(hub.fleet), now_ms() - begin, nworker);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (only == NULL || strcmp(only, questions[i].name) == 0)
			time_question(
			    &questions[i], rounds, i > 0 && only == NULL ? "," : "", only != NULL);
	fleet_stop(hub.fleet);
	printf("],\"columns\":[");
	print_columns();
	printf("]}\n");
	loop_stop(hub.loop);
	loop_join(hub.loop);
	store_close(hub.store);
	fleet_free(hub.fleet);
	loop_free(hub.loop);
	catalogue_box_free(box);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "store", 1, NULL, 'd' },
		{ "workers", 1, NULL, 'w' }, { "rounds", 1, NULL, 'r' }, { "only", 1, NULL, 'o' },
		{ NULL, 0, NULL, 0 } };
	const char *dir = NULL, *only = NULL;
	unsigned nworker = 2, rounds = 21;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'd': dir = optarg; break;
		case 'w': nworker = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o': only = optarg; break;
		case 'r': rounds = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if (dir == NULL || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr,
		    "usage: bench_queries --store DIR [--workers N] [--rounds 1..%d] "
		    "[--only QUERY]\n",
		    ROUNDS_MAX);
		return 2;
	}
	ask_all(dir, nworker, rounds, only);
	return 0;
}
