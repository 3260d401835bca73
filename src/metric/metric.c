/*
 * Cells: a set for each thread that counts, SETS_MAX at once; threads beyond that share one, with locked instructions. What was counted stays in a
 * set when its thread ends, and the next thread counts on from there.
 */
#include "metric/priv.h"

#include <assert.h>
#include <pthread.h>

#define SETS_MAX 192u

const uint64_t bounds_ns[METRIC_BOUNDS] = { 50000, 100000, 250000, 500000, 1000000, 2500000,
	5000000, 10000000, 25000000, 50000000, 100000000, 250000000, 500000000, 1000000000,
	2500000000, 5000000000, 10000000000 };
const uint64_t bounds_bytes[METRIC_BOUNDS] = { 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384,
	32768, 65536, 131072, 262144, 524288, 1048576, 4194304, 16777216 };

/* How many cells each has, so that offsets are known when the program is made. */
enum { W_COUNTER = 1, W_GAUGE = 1, W_SECONDS = WIDTH, W_SIZES = WIDTH };
struct cells {
#define X(id, kind, label, name, help) atomic_uint_least64_t id[METRIC_N_##label * W_##kind];
	METRICS_COUNTED(X)
#undef X
} __attribute__((aligned(64)));
enum { CELLS = sizeof(struct cells) / sizeof(uint64_t) };

const struct label labels[LABELS] = {
#define X(id, key, n) { key, n },
	METRIC_LABELS(X)
#undef X
};

const struct counted counted[METRICS] = {
#define X(id, kind, label, name, help)                                                             \
	{ METRIC_##kind, LABEL_##label, offsetof(struct cells, id) / sizeof(uint64_t), name, help },
	METRICS_COUNTED(X)
#undef X
};

/* The last one is shared. */
static atomic_uint_least64_t sets[SETS_MAX + 1][CELLS] __attribute__((aligned(64)));
static atomic_uint nset; /* that were ever given out */
static _Thread_local atomic_uint_least64_t *mine;
static struct {
	pthread_once_t once;
	pthread_mutex_t mutex;
	pthread_key_t key; /* of a thread's set, so that its end is heard of */
	bool has_key;
	unsigned n;
	atomic_uint_least64_t *v[SETS_MAX];
} given_back = { .once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER };

static void
give_back(void *set)
{
	mine = NULL;
	pthread_mutex_lock(&given_back.mutex);
	given_back.v[given_back.n++] = set;
	pthread_mutex_unlock(&given_back.mutex);
}

static void
hear_of_ends(void)
{
	given_back.has_key = pthread_key_create(&given_back.key, give_back) == 0;
}

/* The mutex shows the next thread what the former one has counted. */
static void
claim(void)
{
	unsigned n;

	pthread_once(&given_back.once, hear_of_ends);
	pthread_mutex_lock(&given_back.mutex);
	n = atomic_load_explicit(&nset, memory_order_relaxed);
	if (given_back.n > 0)
		mine = given_back.v[--given_back.n];
	else if (n < SETS_MAX)
		mine = sets[n], atomic_store_explicit(&nset, n + 1, memory_order_relaxed);
	else
		mine = sets[SETS_MAX];
	pthread_mutex_unlock(&given_back.mutex);
	if (mine != sets[SETS_MAX] && given_back.has_key)
		(void)pthread_setspecific(given_back.key, mine); /* if not, it stays its own */
}

static void
add(uint32_t at, uint64_t n)
{
	atomic_uint_least64_t *cell;

	if (mine == NULL)
		claim();
	cell = mine + at;
	if (mine == sets[SETS_MAX])
		atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
	else
		atomic_store_explicit(cell, atomic_load_explicit(cell, memory_order_relaxed) + n,
		    memory_order_relaxed);
}

void
metric_add(enum metric_counted m, unsigned label, int64_t n)
{
	assert(label < labels[counted[m].label].n);
	add(counted[m].at + label, (uint64_t)n);
}

void
metric_seen(enum metric_counted m, unsigned label, uint64_t value)
{
	const struct counted *c = &counted[m];
	const uint64_t *bounds = c->kind == METRIC_SECONDS ? bounds_ns : bounds_bytes;
	uint32_t at = c->at + label * WIDTH;
	unsigned i = 0;

	assert(label < labels[c->label].n);
	while (i < METRIC_BOUNDS && value > bounds[i])
		i++;
	add(at + i, 1);
	add(at + METRIC_BOUNDS + 1, value);
}

uint64_t
cells_sum(uint32_t at)
{
	unsigned n = atomic_load_explicit(&nset, memory_order_relaxed);
	uint64_t sum = atomic_load_explicit(&sets[SETS_MAX][at], memory_order_relaxed);

	for (unsigned i = 0; i < n && i < SETS_MAX; i++)
		sum += atomic_load_explicit(&sets[i][at], memory_order_relaxed);
	return sum;
}

uint64_t
metric_read(enum metric_counted m, unsigned label)
{
	const struct counted *c = &counted[m];
	unsigned width = width_of(c), ncount = width == 1 ? 1 : METRIC_BOUNDS + 1;
	uint64_t sum = 0;

	for (unsigned i = 0; i < ncount; i++)
		sum += cells_sum(c->at + label * width + i);
	return sum;
}
