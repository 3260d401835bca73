/*
 * bench_queries: fleet queries inside the hub's engine, without HTTP: a walk is sent to the workers and timed until it
 * is back. Makes its data first: twins of about 500 bytes from a seed, put into a store as the hub would have; --json
 * writes the same twins for another database, a JSON object a line. Prints one JSON object.
 */
#include "hub/priv.h"
#include "worker/priv.h"

#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MEMORY     (UINT64_C(4) << 30)
#define BATCH      4000 /* twins a commit */
#define CUSTOMERS  500
#define PAGE       100
#define ROUNDS_MAX 1001
#define BEGIN_US   INT64_C(1767225600000000) /* 2026-01-01 */

/* ---- random, from a seed ---- */

static uint64_t rnd_state;

static uint32_t
rnd_below(uint32_t n)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return (uint32_t)(((rnd_state * UINT64_C(0x2545F4914F6CDD1D)) >> 32) * n >> 32);
}

/* About normal: the sum of twelve. */
static double
rnd_normal(double mean, double deviation)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += rnd_below(1u << 30) / (double)(1u << 30);
	return mean + sum * deviation;
}

/* ---- twins ---- */

struct twin {
	char id[16];
	struct buf body, reported; /* JSON: {"tags":,"properties":{"desired":}}; the section */
};

static void
twin_make(struct twin *t, uint32_t n)
{
	static const char *const regions[] = { "eu-west", "eu-north", "us-east", "us-west",
		"ap-south" };
	static const char *const types[] = { "cellular", "wifi", "wired" };
	uint32_t s = rnd_below(100), type = rnd_below(10);
	const char *status = s < 90 ? "Success" : s < 98 ? "Pending" : "Failed";

	snprintf(t->id, sizeof(t->id), "twin-%07u", (unsigned)n);
	t->body.n = t->reported.n = 0;
	buf_printf(&t->body,
	    "{\"tags\":{\"location\":{\"region\":\"%s\",\"plant\":\"plant-%02u\"},\"customer\":"
	    "\"customer-%03u\"},\"properties\":{\"desired\":{\"telemetryConfig\":{\"configId\":"
	    "\"cfg-%u\","
	    "\"sendFrequency\":\"%um\"},\"firmware\":{\"version\":\"2.%u.0\"}}}}",
	    regions[rnd_below(5)], (unsigned)rnd_below(40), (unsigned)rnd_below(CUSTOMERS),
	    (unsigned)rnd_below(4), (unsigned)(5 * (1 + rnd_below(12))), (unsigned)rnd_below(5));
	buf_printf(&t->reported,
	    "{\"telemetryConfig\":{\"configId\":\"cfg-%u\",\"status\":\"%s\"},\"firmware\":{"
	    "\"version\":"
	    "\"2.%u.%u\"},\"batteryLevel\":%u,\"temperature\":%.2f,\"connectivity\":{\"type\":\"%"
	    "s\","
	    "\"rssi\":-%u},\"lastBoot\":\"2026-%02u-%02uT%02u:%02u:%02uZ\"}",
	    (unsigned)rnd_below(4), status, (unsigned)rnd_below(5), (unsigned)rnd_below(3),
	    (unsigned)rnd_below(101), rnd_normal(40, 12),
	    types[type < 5     ? 0
	            : type < 8 ? 1
	                       : 2],
	    (unsigned)(40 + rnd_below(70)), 1 + (unsigned)rnd_below(12),
	    1 + (unsigned)rnd_below(28), (unsigned)rnd_below(24), (unsigned)rnd_below(60),
	    (unsigned)rnd_below(60));
}

/* ---- filling a store ---- */

struct fill {
	struct shard *shards[SHARDS];
	struct store *store;
	struct store_batch *batch;
	struct hub_env env;
	struct catalogue catalogue;
	struct doc_parser *parser;
	struct undo *undo;
	struct buf scratch, reported; /* reported: the record of the twin at hand */
	pthread_mutex_t mu;
	pthread_cond_t changed;
	unsigned in_flight;
};

static struct fill fill;

static const enum store_table tables[] = {
	[RECORD_IDENTITY] = STORE_IDENTITY,
	[RECORD_WANTED] = STORE_WANTED,
	[RECORD_REPORTED] = STORE_REPORTED,
	[RECORD_SESSION] = STORE_SESSION,
	[RECORD_LOG] = STORE_LOG,
};

static void
fill_random(void *ctx, void *p, size_t n)
{
	(void)ctx;
	for (size_t i = 0; i < n; i++)
		((char *)p)[i] = (char)rnd_below(256);
}

static void
fill_put(void *ctx, enum record_kind kind, struct str key, struct str value)
{
	(void)ctx;
	if (kind != RECORD_LOG)
		store_batch_put(fill.batch, tables[kind], key,
		    kind == RECORD_REPORTED ? buf_view(&fill.reported) : value);
}

static void
fill_del(void *ctx, enum record_kind kind, struct str key)
{
	(void)ctx, (void)kind, (void)key;
}

static void
fill_effect(void *ctx, const struct effect *e)
{
	(void)ctx, (void)e;
}

static void
fill_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	(void)ctx, (void)lane, (void)cookie;
	if (result != STORE_OK)
		abort();
	pthread_mutex_lock(&fill.mu);
	fill.in_flight--;
	pthread_cond_signal(&fill.changed);
	pthread_mutex_unlock(&fill.mu);
}

static void
fill_submit(unsigned leave)
{
	pthread_mutex_lock(&fill.mu);
	while (fill.in_flight > leave)
		pthread_cond_wait(&fill.changed, &fill.mu);
	fill.in_flight++;
	pthread_mutex_unlock(&fill.mu);
	store_submit(fill.store, 0, fill.batch, 0);
	fill.batch = store_batch_new();
}

static void
fill_op(enum op_kind kind, struct str id, struct str json)
{
	struct op op = { .kind = kind, .actor = ACTOR_HUB, .device = id };
	struct reply reply = { 0 };
	struct buf doc = { 0 };

	if (doc_parse(fill.parser, json, &doc, NULL, NULL))
		abort();
	op.payload = buf_view(&doc);
	hub_apply(fill.shards[hub_shard_of(id)], &op, &fill.env, &reply);
	if (reply.fault.code != F_NONE)
		abort();
	undo_commit(fill.undo);
	buf_fini(&reply.body);
	buf_fini(&doc);
}

/* The record as a device's first report leaves it. */
static void
fill_reported(const struct twin *t)
{
	struct section_write wr = { .kind = SECTION_REPORTED, .now_us = fill.env.now_us };
	struct buf empty = { 0 }, doc = { 0 }, section = { 0 };
	struct section old;
	bool changed;

	section_new(&empty, BEGIN_US);
	old = section_of(buf_view(&empty));
	if (doc_parse(fill.parser, buf_view(&t->reported), &doc, NULL, NULL) ||
	    section_merge(&old, doc_of(buf_view(&doc)), 0, &wr, &section, NULL, &changed, NULL))
		abort();
	fill.reported.n = 0;
	reported_encode(&fill.reported, fill.env.now_us, buf_view(&section));
	buf_fini(&empty);
	buf_fini(&doc);
	buf_fini(&section);
}

static void
fill_twin(const struct twin *t)
{
	struct buf identity = { 0 };

	fill.env.now_us += 1000;
	fill_reported(t);
	buf_printf(&identity, "{\"deviceId\":\"%s\"}", t->id);
	fill_op(OP_IDENTITY_PUT, str_of(t->id), buf_view(&identity));
	fill_op(OP_TWIN_PATCH, str_of(t->id), buf_view(&t->body));
	buf_fini(&identity);
}

static void
fill_begin(const char *dir)
{
	struct store_options so = {
		.dir = dir, .create = true, .lanes = 1, .memory_bytes = 256 << 20, .done = fill_done
	};
	struct fault f = { .text = "" };

	pthread_mutex_init(&fill.mu, NULL);
	pthread_cond_init(&fill.changed, NULL);
	if (store_open(&so, &fill.store, &f)) {
		fprintf(stderr, "bench_queries: %s: %s\n", dir, f.text);
		exit(1);
	}
	for (uint32_t i = 0; i < SHARDS; i++)
		fill.shards[i] = shard_new(i);
	fill.batch = store_batch_new();
	fill.parser = doc_parser_new(1 << 20);
	fill.undo = undo_new();
	fill.env = (struct hub_env){ .now_us = BEGIN_US,
		.catalogue = &fill.catalogue,
		.identities_left = UINT64_MAX,
		.can_write = true,
		.scratch = &fill.scratch,
		.random = fill_random,
		.put = fill_put,
		.del = fill_del,
		.effect = fill_effect,
		.undo = fill.undo };
}

static void
fill_end(void)
{
	fill_submit(0);
	pthread_mutex_lock(&fill.mu);
	while (fill.in_flight > 0)
		pthread_cond_wait(&fill.changed, &fill.mu);
	pthread_mutex_unlock(&fill.mu);
	store_close(fill.store);
	for (uint32_t i = 0; i < SHARDS; i++)
		shard_free(fill.shards[i]);
	store_batch_free(fill.batch);
	undo_free(fill.undo);
	doc_parser_free(fill.parser);
}

/* Both or one of: the store, the lines for another database. */
static void
make_twins(const char *dir, const char *json, uint32_t ntwin, uint64_t seed)
{
	FILE *lines = json != NULL ? fopen(json, "w") : NULL;
	struct twin t = { 0 };

	rnd_state = seed | 1;
	if (dir != NULL)
		fill_begin(dir);
	for (uint32_t i = 0; i < ntwin; i++) {
		uint64_t before;

		twin_make(&t, i);
		before = rnd_state;
		if (lines != NULL) /* one object of the two parts */
			fprintf(lines, "{\"deviceId\":\"%s\",%.*s,\"reported\":%.*s}}\n", t.id,
			    (int)t.body.n - 3, t.body.p + 1, (int)t.reported.n, t.reported.p);
		if (dir != NULL) {
			fill_twin(&t);
			if ((i + 1) % BATCH == 0)
				fill_submit(1);
		}
		rnd_state = before; /* what the hub drew is no part of the data */
	}
	if (dir != NULL)
		fill_end();
	if (lines != NULL)
		fclose(lines);
	buf_fini(&t.body);
	buf_fini(&t.reported);
}

/* ---- asking ---- */

static struct hub {
	struct fleet *fleet;
	struct store *store;
	struct loop *loop;
	pthread_mutex_t mu;
	pthread_cond_t changed;
	struct walk *back;
	uint64_t bytes; /* of the last answer */
	struct walk_facts facts;
} hub = { .mu = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void
on_walk(struct walk *w)
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
	struct walk *w = walk_new(hub.loop, WALK_QUERY, on_walk);
	struct fault f = { .text = "" };
	double begin = now_ms(), ms;

	w->limit = PAGE;
	if (query_parse(str_of(text), NULL, &w->query, &f)) {
		fprintf(stderr, "bench_queries: %s: %s\n", text, f.text);
		exit(1);
	}
	fleet_walk(hub.fleet, w);
	pthread_mutex_lock(&hub.mu);
	while (hub.back == NULL)
		pthread_cond_wait(&hub.changed, &hub.mu);
	w = hub.back;
	hub.back = NULL;
	pthread_mutex_unlock(&hub.mu);
	ms = now_ms() - begin;
	if (w->fault.code != F_NONE) {
		fprintf(stderr, "bench_queries: %s: %s\n", text, w->fault.text);
		exit(1);
	}
	hub.bytes = w->json.n;
	hub.facts = w->facts;
	if (show)
		fprintf(stderr, "%s\n  %.300s\n", text, w->json.n > 0 ? w->json.p : "");
	walk_free(w);
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
time_question(const struct question *q, unsigned rounds, const char *sep)
{
	static double ms[ROUNDS_MAX];
	double cpu = cpu_ms(), first = ask(q->text, true), first_cpu = cpu_ms() - cpu,
	       second = ask(q->text, false), second_cpu = cpu_ms() - cpu - first_cpu;
	struct walk_facts built = hub.facts;

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
			for (uint32_t k = 0; other.n = 0, columns_facts(c, k, &one, &other); k++)
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
		.walk_us = INT64_C(600) * 1000000,
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
			time_question(&questions[i], rounds, i > 0 && only == NULL ? "," : "");
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
	static const struct option options[] = { { "dir", required_argument, NULL, 'd' },
		{ "json", required_argument, NULL, 'j' }, { "twins", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "workers", required_argument, NULL, 'w' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "only", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 } };
	const char *dir = NULL, *json = NULL, *only = NULL;
	unsigned ntwin = 0, nworker = 2, rounds = 21;
	uint64_t seed = 20260101;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'd': dir = optarg; break;
		case 'j': json = optarg; break;
		case 'n': ntwin = (unsigned)strtoul(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		case 'w': nworker = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'o': only = optarg; break;
		case 'r': rounds = (unsigned)strtoul(optarg, NULL, 10); break;
		default: return 2;
		}
	}
	if ((dir == NULL && json == NULL) || rounds == 0 || rounds > ROUNDS_MAX) {
		fprintf(stderr,
		    "usage: bench_queries --dir DIR [--twins N] [--json FILE] [--seed N] "
		    "[--workers N] [--rounds 1..1001] [--only QUERY]\n");
		return 2;
	}
	if (ntwin > 0)
		make_twins(dir, json, ntwin, seed);
	if (dir != NULL)
		ask_all(dir, nworker, rounds, only);
	return 0;
}
