/*
 * metric: what the hub counts while it works, and how all of its figures are written for who scrapes them. O-120 to O-123.
 *
 * Two kinds of figures. What is counted stands in cells, a set of them for each thread, which that thread alone writes: neither locks nor
 * locked instructions where work is done; who writes the page adds them up. What is looked at (bytes on disk, memory) is found out when
 * somebody asks, by who writes the page.
 *
 * Labels are fixed sets with names from the tables that there are (reasons, operations): no device, policy or address is ever one, so the
 * number of series does not grow with the fleet.
 *
 * One set of figures in a program; any thread may count.
 */
#ifndef TWINHUB_METRIC_H
#define TWINHUB_METRIC_H

#include "base/base.h"
#include "base/reason.h"

/* What one label tells apart. */
enum metric_label {
	LABEL_NONE,
	LABEL_PROTOCOL,  /* enum metric_protocol */
	LABEL_REASON,    /* enum reason */
	LABEL_OPERATION, /* as metric_names.operation has them */
	LABEL_RESULT,    /* operation * METRIC_RESULTS + enum metric_result */
	LABELS
};
enum metric_protocol { METRIC_MQTT, METRIC_WEBSOCKET, METRIC_PROTOCOLS };
enum metric_result { METRIC_OK, METRIC_REFUSED, METRIC_FAILED, METRIC_RESULTS };
#define METRIC_OPERATIONS_MAX 64u /* at most */

enum metric_kind {
	METRIC_COUNTER, /* only grows */
	METRIC_GAUGE,
	METRIC_SECONDS, /* a histogram of times */
	METRIC_SIZES    /* a histogram of bytes */
};

/* clang-format off */
/* id, kind, label, name behind "twinhub_" without "_total", what it is */
#define METRICS_COUNTED(X) \
	X(CONNECTIONS, GAUGE, PROTOCOL, "connections", "Devices and modules that are connected") \
	X(CONNECTS, COUNTER, PROTOCOL, "connects", "CONNECTs that were accepted") \
	X(REFUSALS, COUNTER, REASON, "connects_refused", "CONNECTs that were refused") \
	X(DISCONNECTS, COUNTER, REASON, "disconnects", "Connections that have ended") \
	X(OPERATIONS, COUNTER, RESULT, "operations", "Operations that were answered: ok, refused (4xx), failed (5xx)") \
	X(OPERATION_SECONDS, SECONDS, OPERATION, "operation_seconds", "From an operation's arrival to its answer, its commit included") \
	X(COMMIT_SECONDS, SECONDS, NONE, "commit_seconds", "Time of a commit, one write and its fsync") \
	X(COMMIT_SIZE, SIZES, NONE, "commit_size_bytes", "Size of a commit")
/* The same of what is looked at; all without labels. */
#define METRICS_LOOKED(X) \
	X(IDENTITIES, GAUGE, "identities", "Devices and modules in the hub") \
	X(COMMITS, COUNTER, "store_commits", "Batches that were committed") \
	X(COMMIT_BYTES, COUNTER, "store_commit_bytes", "Bytes of batches that were committed") \
	X(COMMIT_FAILURES, COUNTER, "store_commit_failures", "Batches that could not be committed") \
	X(STORE_WRITES, GAUGE, "store_takes_writes", "1 when changes are taken") \
	X(DAMAGED, GAUGE, "store_damaged_files", "Files that are known to be damaged (at most 16 are counted)") \
	X(WAL, GAUGE, "store_wal_bytes", "Write-ahead log on disk") \
	X(TABLE_BYTES, GAUGE, "store_table_bytes", "Table files on disk") \
	X(TABLE_FILES, GAUGE, "store_table_files", "Number of table files") \
	X(TELEMETRY_LOG, GAUGE, "store_log_bytes", "Of them, messages of devices") \
	X(CHANGES_LOG, GAUGE, "store_changes_bytes", "Of them, the log of changes") \
	X(LEVEL0, GAUGE, "store_level0_files", "Files of level 0, most of any table: 20 slow writes down, 36 stop them") \
	X(STALL, COUNTER, "store_stall_seconds", "Time for which compaction has held up writers") \
	X(MEMTABLES, GAUGE, "store_memtable_bytes", "Memory of what is not in table files yet") \
	X(BLOCKS, GAUGE, "store_cache_bytes", "Memory of the cache of blocks") \
	X(SCRUBBED, COUNTER, "scrub_bytes", "Bytes that the scrub has read again") \
	X(SCRUBS, COUNTER, "scrub_passes", "Whole passes of the scrub") \
	X(FREE, GAUGE, "free_space_bytes", "Free on the file system of the data directory") \
	X(FREE_FLOOR, GAUGE, "free_space_floor_bytes", "Below it changes are refused (--free-space)") \
	X(COLUMN_MAX, GAUGE, "columns_max_bytes", "Memory that columns of queries may take") \
	X(FEEDBACK, GAUGE, "feedback_messages", "Records of feedback that wait for a back end") \
	X(RESIDENT, GAUGE, "resident_memory_bytes", "Memory of the process") \
	X(MEMORY_MAX, GAUGE, "memory_limit_bytes", "Memory for documents and caches (--memory)") \
	X(CONNECTIONS_MAX, GAUGE, "connections_max", "Connections that may be there at once") \
	X(UPTIME, GAUGE, "uptime_seconds", "Since the hub was ready")
/* clang-format on */

enum metric_counted {
#define X(id, kind, label, name, help) METRIC_##id,
	METRICS_COUNTED(X)
#undef X
	    METRICS
};
enum metric_looked {
#define X(id, kind, name, help) LOOK_##id,
	METRICS_LOOKED(X)
#undef X
	    LOOKS
};

/* ---- counting ---- */

/* label: below the number of its set; n may be negative for gauges. What is added on one thread may be taken on another. */
void metric_add(enum metric_counted m, unsigned label, int64_t n);
/* Of METRIC_SECONDS ns, of METRIC_SIZES bytes. */
void metric_seen(enum metric_counted m, unsigned label, uint64_t value);

/* The sum over all threads, as it is about now: of a histogram, how many were seen. */
uint64_t metric_read(enum metric_counted m, unsigned label);

/* ---- the page ---- */

/* Names that are in rooms above. NULL: there is no such number, and no line for it. */
struct metric_names {
	const char *(*operation)(unsigned kind);
};
enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS };

/* The media type of a page. */
const char *metric_type(enum metric_format f);
/* What a scraper that sends this Accept wants; empty: the former. */
enum metric_format metric_format_of(struct str accept);
/* looks: LOOKS figures. */
void metric_write(
    struct buf *out, enum metric_format f, const struct metric_names *names, const double *looks);

#endif
