/* How much of the machine each part of the hub gets. docs/architecture.md, "Memory". */
#include "server/priv.h"

#include <sys/sysinfo.h>
#include <unistd.h>

#define MEMORY_LEAST  (UINT64_C(64) << 20)  /* as the option has it */
#define MEMORY_UNTOLD (UINT64_C(512) << 20) /* the machine does not say what it has */
#define STORE_LEAST   (UINT64_C(16) << 20)
#define WORK_LEAST    (UINT64_C(32) << 20)
/* Of one query's groups or sorted rows: with all queries that may run at once, a quarter of the memory. */
#define QUERY_LEAST (UINT64_C(1) << 20)
/* Of all answers that are made or not read: a lone client's share of it, a quarter, is its largest page. */
#define ANSWER_LEAST (4 * (uint64_t)PAGE_BYTES_MAX)
#define LINK_LEAST   (UINT64_C(64) << 20)

struct machine
machine_look(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	struct sysinfo si;
	uint64_t memory = sysinfo(&si) == 0 ? (uint64_t)si.totalram * si.mem_unit : 0,
	         allowed = cgroup_memory();

	if (allowed != 0 && (memory == 0 || allowed < memory))
		memory = allowed;
	return (struct machine){ .cores = cores > 0 ? (uint64_t)cores : 1,
		.files = net_raise_nofile(),
		.memory_bytes = memory };
}

static uint64_t
at_least(uint64_t n, uint64_t least)
{
	return n > least ? n : least;
}

static unsigned
threads_of(uint64_t asked, uint64_t cores, uint64_t most)
{
	uint64_t half = at_least(cores / 2, 1);

	if (asked != 0)
		return (unsigned)asked;
	return (unsigned)(half < most ? half : most);
}

static uint64_t
memory_of(uint64_t asked, uint64_t machine_bytes)
{
	if (asked != 0)
		return asked;
	return machine_bytes == 0 ? MEMORY_UNTOLD : at_least(machine_bytes / 4, MEMORY_LEAST);
}

struct sizes
sizes_of(const struct server_options *o, const struct machine *m)
{
	uint64_t memory = memory_of(o->memory_bytes, m->memory_bytes), eighth = memory / 8,
	         files = m->files, connections = o->max_connections;
	unsigned nworker = threads_of(o->workers, m->cores, SHARDS),
	         nio = threads_of(o->io_threads, m->cores, IO_MAX);

	if (connections == 0)
		connections = files > 2 * FD_RESERVE ? files - FD_RESERVE : files / 2;
	return (struct sizes){ .nworker = nworker,
		.nio = nio,
		.memory_bytes = memory,
		.connections = connections,
		/* one host cannot shut out all others */
		.connections_per_address = o->max_connections_per_address != 0
		    ? o->max_connections_per_address
		    : connections / 2 + 1,
		.store_bytes = at_least(memory / 4, STORE_LEAST),
		.cache_bytes = memory / 2,
		.column_bytes = eighth,
		.query_bytes = at_least(memory / 256, QUERY_LEAST),
		.answer_bytes = at_least(eighth, ANSWER_LEAST),
		.worker_bytes = at_least(memory / 16, WORK_LEAST) / nworker,
		.session_bytes = at_least(memory / 16, WORK_LEAST) / nio,
		.link_bytes = at_least(eighth, LINK_LEAST) / nio };
}
