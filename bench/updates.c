/*
 * bench_updates: reported patches, or telemetry, against one server, from connections with a fixed window each.
 * Prints one JSON object: acknowledged updates a second, latency quantiles, CPU of the server.
 * bench/updates starts the servers and calls this for every case; see --help for the options.
 */
#include "client.h"
#include "token.h"

#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define CONNECT_S   120 /* for all connections to be ready */
#define TOKEN_S     86400

struct options {
	const char *host, *ca, *policy;
	int port, pid;
	unsigned seconds, warmup, threads;
};

static const char usage[] =
    "bench_updates --target hub|broker --host ADDR --port N [options]\n"
    "  --ca FILE         use TLS and trust this CA\n"
    "  --name NAME       the hub's host name: user names, tokens, certificate (localhost)\n"
    "  --policy NAME     shared access policy that signs for every device (device);\n"
    "                    its key is read from the environment variable BENCH_KEY\n"
    "  --conns N         connections (50)\n"
    "  --inflight N      patches in flight on each (1)\n"
    "  --qos 0|1         of the patches (1); 0 only against a hub\n"
    "  --what updates|telemetry  reported patches, or messages of QoS 1 (updates)\n"
    "  --clean 0|1       clean session flag (1)\n"
    "  --devices N       devices bench-0000000 to N-1 exist (as many as connections)\n"
    "  --rotate N        N patches as one device, then on as the next, until all are touched\n"
    "  --seconds N       time measured (10), and at most with --rotate\n"
    "  --warmup N        seconds before that (2)\n"
    "  --threads N       of this program (1)\n"
    "  --sources N       client addresses 127.100.x.y used in turn (64)\n"
    "  --pid N           the server's process, for its CPU time and what it writes\n"
    "example: BENCH_KEY=... bench_updates --target hub --host 127.0.2.1 --port 1883 --conns 1000\n";

static _Noreturn void
bad_usage(const char *why)
{
	fprintf(stderr, "bench_updates: %s\n%s", why, usage);
	exit(2);
}

static unsigned
number(const char *text, unsigned min, unsigned max)
{
	uint64_t n;

	if (!str_u64(str_of(text), &n) || n < min || n > max) {
		fprintf(
		    stderr, "bench_updates: %s is not a number from %u to %u\n", text, min, max);
		exit(2);
	}
	return (unsigned)n;
}

static void
options_read(struct options *o, struct plan *p, int argc, char **argv)
{
	static const struct option names[] = { { "target", 1, NULL, 'T' }, { "host", 1, NULL, 'h' },
		{ "port", 1, NULL, 'p' }, { "ca", 1, NULL, 'a' }, { "name", 1, NULL, 'n' },
		{ "policy", 1, NULL, 'y' }, { "conns", 1, NULL, 'c' }, { "inflight", 1, NULL, 'w' },
		{ "qos", 1, NULL, 'q' }, { "clean", 1, NULL, 'k' }, { "devices", 1, NULL, 'd' },
		{ "rotate", 1, NULL, 'r' }, { "seconds", 1, NULL, 's' }, { "warmup", 1, NULL, 'u' },
		{ "threads", 1, NULL, 't' }, { "sources", 1, NULL, 'o' }, { "pid", 1, NULL, 'i' },
		{ "what", 1, NULL, 'm' }, { "help", 0, NULL, '?' }, { NULL, 0, NULL, 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'T': p->hub = strcmp(optarg, "hub") == 0; break;
		case 'h': o->host = optarg; break;
		case 'p': o->port = (int)number(optarg, 1, 65535); break;
		case 'a': o->ca = optarg; break;
		case 'n': p->name = optarg; break;
		case 'y': o->policy = optarg; break;
		case 'c': p->nclient = number(optarg, 1, 100000); break;
		case 'w': p->inflight = number(optarg, 1, 1000); break;
		case 'q': p->qos = number(optarg, 0, 1); break;
		case 'k': p->clean = number(optarg, 0, 1) == 1; break;
		case 'd': p->ndevice = number(optarg, 1, 10000000); break;
		case 'r': p->per_session = number(optarg, 1, 1000000); break;
		case 's': o->seconds = number(optarg, 1, 86400); break;
		case 'u': o->warmup = number(optarg, 0, 3600); break;
		case 't': o->threads = number(optarg, 1, THREADS_MAX); break;
		case 'o': p->target.nsource = number(optarg, 0, 10000); break;
		case 'm': p->telemetry = strcmp(optarg, "telemetry") == 0; break;
		case 'i': o->pid = (int)number(optarg, 1, INT32_MAX); break;
		default: bad_usage("options are");
		}
	}
	if (o->host == NULL || o->port == 0)
		bad_usage("--host and --port are needed");
	if ((!p->hub || p->telemetry) && p->qos == 0)
		bad_usage("a broker acknowledges QoS 1 only, as a hub does telemetry");
	if (o->threads > p->nclient)
		o->threads = p->nclient;
}

static void
plan_finish(struct plan *p, const struct options *o)
{
	const char *key = getenv("BENCH_KEY");
	unsigned nsource = p->target.nsource;

	target_init(&p->target, o->host, o->port, o->ca, p->name);
	p->target.nsource = nsource;
	if (p->ndevice < p->nclient)
		p->ndevice = p->nclient;
	p->stride = stride_for(p->ndevice);
	if (p->hub && key == NULL)
		bad_usage("BENCH_KEY is not set");
	if (key != NULL)
		token_put(&p->password, &(struct signer){ p->name, o->policy, key }, TOKEN_S);
	else
		buf_cstr(&p->password, "none");
}

/* CPU seconds a process has used so far, all threads; -1 if it is not there. proc(5) */
static double
cpu_seconds(int pid)
{
	char path[64], text[1024], *at;
	unsigned long user, system;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (pid == 0 || (f = fopen(path, "r")) == NULL)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	at = strrchr(text, ')'); /* the name before it may hold anything */
	if (at == NULL ||
	    sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	        &system) != 2)
		return -1;
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Bytes that a process has made the disk take so far, in whole pages; -1 if that is not known. proc(5) */
static double
written_bytes(int pid)
{
	char path[64], line[128];
	unsigned long long n;
	double bytes = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/io", pid);
	if (pid == 0 || (f = fopen(path, "r")) == NULL)
		return -1;
	while (bytes < 0 && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "write_bytes: %llu", &n) == 1)
			bytes = (double)n;
	fclose(f);
	return bytes;
}

/* What the server has used; -1: not known. */
struct usage {
	double cpu_s, written;
};

static struct usage
usage_of(int pid)
{
	return (struct usage){ cpu_seconds(pid), written_bytes(pid) };
}

static double
difference(double now, double before)
{
	return now < 0 || before < 0 ? -1 : now - before;
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

/* Sleep until the time, a failure, or a count has reached its goal. */
static void
wait_until(struct run *run, double end, const atomic_uint *count, unsigned goal)
{
	while (seconds_now() < end && !atomic_load(&run->failed) &&
	    (count == NULL || atomic_load(count) < goal))
		usleep(1000);
}

/* Returns the seconds measured, and what the server used in them. */
static double
measure(struct run *run, const struct options *o, struct usage *used)
{
	bool rotates = run->plan.per_session > 0;
	struct usage before, now;
	double begin, taken;

	if (!rotates) {
		wait_until(run, seconds_now() + CONNECT_S, &run->nready, run->plan.nclient);
		if (!atomic_load(&run->failed) && atomic_load(&run->nready) < run->plan.nclient) {
			fprintf(stderr, "bench_updates: not all connections were made in %d s\n",
			    CONNECT_S);
			atomic_store(&run->failed, true);
		}
		wait_until(run, seconds_now() + o->warmup, NULL, 0);
	}
	before = usage_of(o->pid);
	begin = seconds_now();
	atomic_store(&run->phase, PHASE_MEASURE);
	wait_until(run, begin + o->seconds, rotates ? &run->nfinished : NULL, run->plan.ndevice);
	atomic_store(&run->phase, PHASE_END);
	taken = seconds_now() - begin;
	now = usage_of(o->pid);
	*used = (struct usage){ difference(now.cpu_s, before.cpu_s),
		difference(now.written, before.written) };
	return taken;
}

static void
report(const struct worker *all, const struct plan *p, double seconds, const struct usage *used)
{
	const struct hist *h = &all->hists[0];

	printf("{\"acked\":%llu,\"seconds\":%.3f,\"per_s\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
	       "\"p999_ms\":%.3f,\"max_ms\":%.3f,",
	    (unsigned long long)h->count, seconds, (double)h->count / seconds,
	    hist_quantile(h, 0.5) / 1e3, hist_quantile(h, 0.99) / 1e3,
	    hist_quantile(h, 0.999) / 1e3, (double)h->max_us / 1e3);
	if (used->cpu_s >= 0 && h->count > 0)
		printf("\"cpu_s\":%.2f,\"cpu_s_per_100k\":%.3f,", used->cpu_s,
		    used->cpu_s * 1e5 / (double)h->count);
	if (used->written >= 0 && h->count > 0)
		printf("\"disk_bytes_each\":%.0f,", used->written / (double)h->count);
	printf("\"errors\":%llu,\"sessions\":%llu,\"conns\":%u,\"inflight\":%u,\"tls\":%s}\n",
	    (unsigned long long)all->nerror, (unsigned long long)all->nsession, p->nclient,
	    p->inflight, p->target.tls ? "true" : "false");
}

static void
gather(struct worker *all, struct worker *one)
{
	hist_merge(&all->hists[0], &one->hists[0]);
	all->nerror += one->nerror;
	all->nsession += one->nsession;
	worker_fini(one);
}

int
main(int argc, char **argv)
{
	static struct worker workers[THREADS_MAX], all;
	static struct run run = { .plan = { .clean = true,
		                      .qos = 1,
		                      .nclient = 50,
		                      .inflight = 1,
		                      .name = "localhost",
		                      .target = { .nsource = 64 } } };
	struct options o = { .policy = "device", .seconds = 10, .warmup = 2, .threads = 1 };
	pthread_t threads[THREADS_MAX];
	struct usage used;
	double seconds;

	options_read(&o, &run.plan, argc, argv);
	plan_finish(&run.plan, &o);
	for (unsigned i = 0; i < o.threads; i++) {
		worker_init(&workers[i], &run,
		    run.plan.nclient / o.threads + (i < run.plan.nclient % o.threads));
		if (run.plan.per_session > 0)
			atomic_store(&run.phase, PHASE_MEASURE);
		pthread_create(&threads[i], NULL, thread_main, &workers[i]);
	}
	seconds = measure(&run, &o, &used);
	for (unsigned i = 0; i < o.threads; i++) {
		pthread_join(threads[i], NULL);
		gather(&all, &workers[i]);
	}
	if (!atomic_load(&run.failed))
		report(&all, &run.plan, seconds, &used);
	target_fini(&run.plan.target);
	buf_fini(&run.plan.password);
	return atomic_load(&run.failed) ? 1 : 0;
}
