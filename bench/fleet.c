/*
 * bench_fleet: makes the benchmarks' fleet from a seed. --import writes it for `twinhub import`, --lines for another database: a
 * JSON object a line.
 */
#include "twins.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

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
make_twins(const char *lines, const char *import, uint32_t ntwin)
{
	FILE *other = lines_open(lines), *ours = lines_open(import);
	struct twin t = { 0 };

	for (uint32_t i = 0; i < ntwin; i++) {
		twin_make(&t, i);
		lines_put(other, "deviceId", &t);
		lines_put(ours, "id", &t);
	}
	lines_close(other);
	lines_close(ours);
	twin_fini(&t);
}

int
main(int argc, char **argv)
{
	static const struct option options[] = { { "lines", 1, NULL, 'j' },
		{ "import", 1, NULL, 'i' }, { "twins", 1, NULL, 'n' }, { "seed", 1, NULL, 's' },
		{ NULL, 0, NULL, 0 } };
	const char *lines = NULL, *import = NULL;
	uint32_t ntwin = 1000;
	uint64_t seed = 20260101;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 'j': lines = optarg; break;
		case 'i': import = optarg; break;
		case 'n': ntwin = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 's': seed = strtoull(optarg, NULL, 10); break;
		default: lines = import = NULL; goto usage;
		}
	}
usage:
	if (lines == NULL && import == NULL) {
		fprintf(stderr,
		    "usage: bench_fleet [--lines FILE] [--import FILE] [--twins N] "
		    "[--seed N]\n");
		return 2;
	}
	rnd_seed(seed);
	make_twins(lines, import, ntwin);
	printf("{\"twins\":%u}\n", (unsigned)ntwin);
	return 0;
}
