/*
 * bench_load: a fleet that goes about its business while something else is measured. Connected devices send reported
 * patches at a fixed rate, whatever the answers take, and hear of desired properties. When all are connected it writes
 * "ready" on stdout. Each line of stdin names the section that begins; samples before the first count nowhere. The end of
 * stdin ends it. Prints one JSON object: the quantiles of each section.
 */
#include "client.h"
#include "token.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_S    120 /* for all connections to be ready */
#define TOKEN_S      86400
#define SECTION_NAME 32

struct section {
	char name[SECTION_NAME];
	double seconds;
};

static unsigned
number(const char *text, unsigned max)
{
	uint64_t n;

	if (!str_u64(str_of(text), &n) || n == 0 || n > max) {
		fprintf(stderr, "bench_load: %s is not a number from 1 to %u\n", text, max);
		exit(2);
	}
	return (unsigned)n;
}

static double
seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *
thread_main(void *worker)
{
	worker_loop(worker);
	return NULL;
}

static bool
connect_all(struct run *run)
{
	double end = seconds_now() + CONNECT_S;

	while (!atomic_load(&run->failed) && atomic_load(&run->nready) < run->plan.nclient) {
		if (seconds_now() > end) {
			fprintf(stderr, "bench_load: %u of %u connections made in %d s\n",
			    atomic_load(&run->nready), run->plan.nclient, CONNECT_S);
			return false;
		}
		usleep(1000);
	}
	return !atomic_load(&run->failed);
}

/* Until stdin ends. Returns how many sections there were. */
static unsigned
follow(struct run *run, struct section *sections)
{
	char line[SECTION_NAME];
	double begin = 0;
	unsigned n = 0;

	while (fgets(line, sizeof(line), stdin) != NULL && n < SECTIONS_MAX) {
		line[strcspn(line, "\n")] = 0;
		if (n > 0)
			sections[n - 1].seconds = seconds_now() - begin;
		begin = seconds_now();
		strcpy(sections[n].name, line);
		atomic_store(&run->section, n++);
		atomic_store(&run->phase, PHASE_MEASURE);
		if (atomic_load(&run->failed))
			break;
	}
	atomic_store(&run->phase, PHASE_END);
	if (n > 0)
		sections[n - 1].seconds = seconds_now() - begin;
	return n;
}

static void
report(const struct worker *w, const struct section *sections, unsigned n)
{
	printf("{\"conns\":%u,\"errors\":%llu,\"notifications\":%llu,\"sections\":[", w->nclient,
	    (unsigned long long)w->nerror, (unsigned long long)w->nnote);
	for (unsigned i = 0; i < n; i++) {
		const struct hist *h = &w->hists[i];

		printf("%s{\"name\":\"%s\",\"seconds\":%.3f,\"acked\":%llu,\"per_s\":%.0f,"
		       "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p999_ms\":%.3f,\"max_ms\":%.3f}",
		    i > 0 ? "," : "", sections[i].name, sections[i].seconds,
		    (unsigned long long)h->count, (double)h->count / sections[i].seconds,
		    hist_quantile(h, 0.5) / 1e3, hist_quantile(h, 0.99) / 1e3,
		    hist_quantile(h, 0.999) / 1e3, (double)h->max_us / 1e3);
	}
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	static const struct option names[] = { { "host", 1, NULL, 'h' }, { "port", 1, NULL, 'p' },
		{ "name", 1, NULL, 'n' }, { "policy", 1, NULL, 'y' }, { "conns", 1, NULL, 'c' },
		{ "devices", 1, NULL, 'd' }, { "rate", 1, NULL, 'r' }, { "inflight", 1, NULL, 'i' },
		{ "keys", 1, NULL, 'k' }, { "first", 1, NULL, 'f' }, { NULL, 0, NULL, 0 } };
	static struct section sections[SECTIONS_MAX];
	static struct worker w;
	static struct run run = { .plan = { .hub = true,
		                      .clean = true,
		                      .notify = true,
		                      .qos = 1,
		                      .inflight = 1,
		                      .nclient = 1000,
		                      .rate = 1000,
		                      .name = "localhost" } };
	const char *host = NULL, *policy = "device", *key = getenv("BENCH_KEY");
	unsigned port = 1883, n = 0;
	pthread_t thread;
	bool ok;
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'h': host = optarg; break;
		case 'p': port = number(optarg, 65535); break;
		case 'n': run.plan.name = optarg; break;
		case 'y': policy = optarg; break;
		case 'c': run.plan.nclient = number(optarg, 100000); break;
		case 'd': run.plan.ndevice = number(optarg, 100000000); break;
		case 'r': run.plan.rate = number(optarg, 1000000); break;
		case 'i':
			run.plan.inflight = number(optarg, 1000);
			run.plan.rate = 0;
			break;
		case 'k': run.plan.keys = number(optarg, 100000); break;
		case 'f': atomic_store(&run.next_device, number(optarg, 100000000)); break;
		default: host = NULL; goto usage;
		}
	}
usage:
	if (host == NULL || key == NULL) {
		fprintf(stderr,
		    "BENCH_KEY=... bench_load --host ADDR [--port 1883] [--name localhost]\n"
		    "    [--policy device] [--conns 1000] [--devices AS-MANY] [--rate 1000]\n"
		    "    [--inflight N: at no rate, but so many in flight on each]\n"
		    "    [--keys N: in each patch, all with new values] [--first N: device to "
		    "begin with]\n");
		return 2;
	}
	target_init(&run.plan.target, host, (int)port, NULL, run.plan.name);
	run.plan.target.nsource = 64;
	token_put(&run.plan.password, &(struct signer){ run.plan.name, policy, key }, TOKEN_S);
	if (run.plan.ndevice < run.plan.nclient)
		run.plan.ndevice = run.plan.nclient;
	run.plan.stride = stride_for(run.plan.ndevice);
	worker_init(&w, &run, run.plan.nclient);
	pthread_create(&thread, NULL, thread_main, &w);
	ok = connect_all(&run);
	if (ok) {
		atomic_store(&run.phase, PHASE_WARM);
		printf("ready\n");
		fflush(stdout);
		n = follow(&run, sections);
		ok = !atomic_load(&run.failed);
	}
	atomic_store(&run.phase, PHASE_END);
	pthread_join(thread, NULL);
	if (ok)
		report(&w, sections, n);
	worker_fini(&w);
	target_fini(&run.plan.target);
	buf_fini(&run.plan.password);
	return ok ? 0 : 1;
}
