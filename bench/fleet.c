/*
 * bench_fleet: makes the benchmarks' fleet from a seed. --store puts it into a hub's store while no hub runs, as the hub would
 * have; --import writes it for `twinhub import`, --lines for another database: a JSON object a line.
 */
#include "hub/priv.h"
#include "store/store.h"
#include "twins.h"

#include <getopt.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define BATCH    4000                      /* twins a commit */
#define BEGIN_US INT64_C(1767225600000000) /* 2026-01-01 */

/* ---- the store ---- */

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
	if (RAND_bytes(p, (int)n) != 1)
		abort();
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
	buf_printf(&identity, "{\"deviceId\":\"" STR_FMT "\"}", STR_ARG(t->id));
	fill_op(OP_IDENTITY_PUT, buf_view(&t->id), buf_view(&identity));
	fill_op(OP_TWIN_PATCH, buf_view(&t->id), buf_view(&t->body));
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

/* ---- lines ---- */

static FILE *
lines_open(const char *file)
{
	FILE *f = file != NULL ? fopen(file, "w") : NULL;

	if (file != NULL && f == NULL) {
		perror(file);
		exit(1);
	}
	return f;
}

/* One object of the two parts; `name` is what it calls the device. */
static void
lines_put(FILE *f, const char *name, const struct twin *t)
{
	if (f != NULL)
		fprintf(f, "{\"%s\":\"" STR_FMT "\",%.*s,\"reported\":" STR_FMT "}}\n", name,
		    STR_ARG(t->id), (int)t->body.n - 3, t->body.p + 1, STR_ARG(t->reported));
}

static void
lines_close(FILE *f)
{
	if (f != NULL && fclose(f) != 0) {
		perror("bench_fleet");
		exit(1);
	}
}

static void
make_twins(const char *dir, const char *lines, const char *import, uint32_t ntwin)
{
	FILE *other = lines_open(lines), *ours = lines_open(import);
	struct twin t = { 0 };

	if (dir != NULL)
		fill_begin(dir);
	for (uint32_t i = 0; i < ntwin; i++) {
		twin_make(&t, i);
		lines_put(other, "deviceId", &t);
		lines_put(ours, "id", &t);
		if (dir != NULL) {
			fill_twin(&t);
			if ((i + 1) % BATCH == 0)
				fill_submit(1);
		}
	}
	if (dir != NULL)
		fill_end();
	lines_close(other);
	lines_close(ours);
	twin_fini(&t);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "store", 1, NULL, 'd' },
		{ "lines", 1, NULL, 'j' }, { "import", 1, NULL, 'i' }, { "twins", 1, NULL, 'n' },
		{ "seed", 1, NULL, 's' }, { NULL, 0, NULL, 0 } };
	const char *dir = NULL, *lines = NULL, *import = NULL;
	uint32_t ntwin = 1000;
	uint64_t seed = 20260101;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'd': dir = optarg; break;
		case 'j': lines = optarg; break;
		case 'i': import = optarg; break;
		case 'n': ntwin = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		default: dir = lines = import = NULL; goto usage;
		}
	}
usage:
	if (dir == NULL && lines == NULL && import == NULL) {
		fprintf(stderr,
		    "usage: bench_fleet [--store DIR] [--lines FILE] [--import FILE] [--twins N] "
		    "[--seed N]\n");
		return 2;
	}
	rnd_seed(seed);
	make_twins(dir, lines, import, ntwin);
	printf("{\"twins\":%u}\n", (unsigned)ntwin);
	return 0;
}
