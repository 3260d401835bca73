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

/* What a label tells apart: its key in the page, how many values it has at most, and where their names come from. */
/* clang-format off */
#define METRIC_LABELS(X) \
	X(NONE, "", 1) \
	X(PROTOCOL, "protocol", METRIC_PROTOCOLS) \
	X(REASON, "reason", REASONS)                        /* enum reason */ \
	X(OPERATION, "operation", METRIC_OPERATIONS_MAX)    /* named above */ \
	X(RESULT, "result", METRIC_OPERATIONS_MAX * METRIC_RESULTS) /* operation * METRIC_RESULTS + enum metric_result */ \
	X(STATUS, "status", METRIC_STATUSES) \
	X(QUEUE, "queue", METRIC_QUEUES) \
	X(ROOM, "queue", METRIC_ROOMS) \
	X(COST, "cost", METRIC_COSTS) \
	X(SINK, "kind", METRIC_SINKS) \
	X(LEVEL, "level", METRIC_LEVELS)                    /* enum log_level */ \
	X(CERTIFICATE, "certificate", METRIC_CERTIFICATES) \
	X(JOB, "status", METRIC_JOBS)                       /* named above, as are the two that follow */ \
	X(ROLLOUT, "status", METRIC_ROLLOUTS) \
	X(JOB_KIND, "kind", METRIC_JOB_KINDS) \
	X(MESSAGE_END, "end", METRIC_MESSAGE_ENDS) \
	X(LIMITED, "operation", METRIC_LIMITED_MAX)         /* kinds of operations that limits tell apart; named above, as is the next */ \
	X(LIMITER, "limit", METRIC_LIMITERS_MAX)            /* whose limit */ \
	X(LIMIT, "limit", METRIC_LIMITED_MAX * METRIC_LIMITERS_MAX) /* the former * METRIC_LIMITERS_MAX + the latter */ \
	X(VERSION, "version", 1)
/* clang-format on */
enum metric_label {
#define X(id, key, n) LABEL_##id,
	METRIC_LABELS(X)
#undef X
	    LABELS
};
enum metric_protocol { METRIC_MQTT, METRIC_WEBSOCKET, METRIC_PROTOCOLS };
enum metric_result { METRIC_OK, METRIC_REFUSED, METRIC_FAILED, METRIC_RESULTS };
/* Of HTTP, by its first digit. */
enum metric_status { METRIC_1XX, METRIC_2XX, METRIC_3XX, METRIC_4XX, METRIC_5XX, METRIC_STATUSES };
/* What waits, in number */
enum metric_queue {
	QUEUE_OPERATIONS, /* in the workers, and behind their commits */
	QUEUE_COMMITS,    /* batches that the disk has not taken yet */
	QUEUE_QUERIES,    /* questions to the whole fleet: under way or waiting */
	QUEUE_SEATS,      /* of them, those that wait until others have ended */
	METRIC_QUEUES
};
/* .. and in bytes. */
enum metric_room {
	ROOM_OPERATIONS,
	ROOM_MESSAGES, /* to devices, on their way to their sessions */
	ROOM_WATCHES,  /* what live queries have to be told */
	ROOM_ANSWERS,  /* of queries, until their clients have read them */
	ROOM_LOG,      /* lines that wait for who reads the log */
	METRIC_ROOMS
};
enum metric_cost { METRIC_CHEAP, METRIC_COSTLY, METRIC_COSTS }; /* as lanes of tours */
enum metric_sink { METRIC_WEBHOOK, METRIC_FILE, METRIC_KAFKA, METRIC_SINKS }; /* enum sink_kind */
enum metric_certificate { METRIC_SERVER, METRIC_SERVER_CA, METRIC_CLIENT_CA, METRIC_CERTIFICATES };
enum metric_job_kind { METRIC_SCHEDULED, METRIC_IMPORT_EXPORT, METRIC_JOB_KINDS };
#define METRIC_OPERATIONS_MAX 64u /* at most */
#define METRIC_LIMITED_MAX    16u
#define METRIC_LIMITERS_MAX   8u
#define METRIC_LEVELS         4u
#define METRIC_JOBS           6u
#define METRIC_JOB_RUNNING    2u
#define METRIC_ROLLOUTS       7u
#define METRIC_MESSAGE_ENDS   5u
enum {
#define X(id, key, n) METRIC_N_##id = (n),
	METRIC_LABELS(X)
#undef X
};

#define METRIC_BOUNDS 17 /* of a histogram, without the last one, which is +Inf */
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
	X(RECEIVED, COUNTER, PROTOCOL, "received_bytes", "Bytes of MQTT packets from devices") \
	X(SENT, COUNTER, PROTOCOL, "sent_bytes", "Bytes of MQTT packets to devices") \
	X(OPERATIONS, COUNTER, RESULT, "operations", "Operations that were answered: ok, refused (4xx), failed (5xx)") \
	X(OPERATION_SECONDS, SECONDS, OPERATION, "operation_seconds", "From an operation's arrival to its answer, its commit included") \
	X(QUEUE_SECONDS, SECONDS, NONE, "queue_wait_seconds", "From an operation's arrival until its turn") \
	X(GATE_SECONDS, SECONDS, NONE, "gate_wait_seconds", "From an operation's turn until its answer may leave: the commit that it waits for") \
	X(DOCUMENT_HITS, COUNTER, NONE, "document_cache_hits", "Operations that found all they needed in memory") \
	X(DOCUMENT_MISSES, COUNTER, NONE, "document_cache_misses", "Operations that had to read the store") \
	X(QUERY_SECONDS, SECONDS, COST, "query_seconds", "Questions to the whole fleet (queries, counts), from arrival to answer; cheap: whatever its size") \
	X(REQUESTS, COUNTER, STATUS, "http_requests", "HTTP requests that were answered, by the first digit of the status") \
	X(REQUESTS_RUNNING, GAUGE, NONE, "http_requests_running", "HTTP requests that have not been answered yet") \
	X(REQUEST_REFUSALS, COUNTER, REASON, "http_requests_refused", "HTTP requests that were refused for a reason of the table of reasons") \
	X(THROTTLED, COUNTER, LIMIT, "throttled", "What rate limits and the day's quota have refused, or put off") \
	X(COMMIT_SECONDS, SECONDS, NONE, "commit_seconds", "Time of a commit, one write and its fsync") \
	X(COMMIT_SIZE, SIZES, NONE, "commit_size_bytes", "Size of a commit") \
	X(FSYNC_SECONDS, SECONDS, NONE, "fsync_seconds", "Time of an fsync of the write-ahead log; commits of several workers share one") \
	X(BLOCK_HITS, COUNTER, NONE, "store_cache_hits", "Blocks of table files that were found in the cache") \
	X(BLOCK_MISSES, COUNTER, NONE, "store_cache_misses", "Blocks of table files that were read from the disk") \
	X(SWEEP_SECONDS, SECONDS, NONE, "sweep_seconds", "Time in which a worker has brought all its twins in line with the configurations") \
	X(SWEEP_TWINS, COUNTER, NONE, "sweep_twins", "Twins that sweeps have looked at") \
	X(SWEEPS, GAUGE, NONE, "sweeps_running", "Workers that are in a sweep") \
	X(JOBS_FAILED, COUNTER, JOB_KIND, "jobs_failed", "Jobs that have ended as failed") \
	X(SINK_EVENTS, COUNTER, SINK, "sink_events_delivered", "Events that sinks have taken") \
	X(SINK_GIVEN_UP, COUNTER, SINK, "sink_events_given_up", "Events that a sink refuses for good") \
	X(SINK_DROPPED, COUNTER, SINK, "sink_events_dropped", "Positions of the log that retention has taken before a sink had them") \
	X(SINK_FAILURES, COUNTER, SINK, "sink_attempts_failed", "Attempts to deliver that have failed") \
	X(LOG_LINES, COUNTER, LEVEL, "log_lines", "Lines for the log") \
	X(LOG_DROPPED, COUNTER, NONE, "log_lines_dropped", "Lines that were lost as nobody read the log")
/* The same of what is looked at: kind, label, name, what it is. */
#define METRICS_LOOKED(X) \
	X(GAUGE, VERSION, build_info, "1: the version that runs") \
	X(GAUGE, NONE, uptime_seconds, "Since the hub was ready") \
	X(GAUGE, NONE, identities, "Devices and modules in the hub") \
	X(GAUGE, NONE, devices, "Devices in the hub, modules not counted") \
	X(GAUGE, NONE, devices_disabled, "Of them, those that are disabled") \
	X(GAUGE, NONE, connections_open, "Connections of any kind, HTTPS with them") \
	X(GAUGE, NONE, connections_max, "Connections that may be there at once") \
	X(GAUGE, NONE, auth_backoff_waiting, "Who has failed to authenticate again and again, and has to wait: devices and policies at an address, and addresses") \
	X(GAUGE, QUEUE, queue_length, "What is under way or waits") \
	X(GAUGE, ROOM, queue_bytes, "Memory of what is under way or waits") \
	X(COUNTER, NONE, store_commits, "Batches that were committed") \
	X(COUNTER, NONE, store_commit_bytes, "Bytes of batches that were committed") \
	X(COUNTER, NONE, store_commit_failures, "Batches that could not be committed") \
	X(GAUGE, NONE, store_takes_writes, "1 when changes are taken") \
	X(GAUGE, NONE, store_damaged_files, "Files that are known to be damaged (at most 16 are counted)") \
	X(GAUGE, NONE, store_wal_bytes, "Write-ahead log on disk") \
	X(GAUGE, NONE, store_table_bytes, "Table files on disk") \
	X(GAUGE, NONE, store_table_files, "Number of table files") \
	X(GAUGE, NONE, store_log_bytes, "Of them, messages of devices") \
	X(GAUGE, NONE, store_changes_bytes, "Of them, the log of changes") \
	X(GAUGE, NONE, store_level0_files, "Files of level 0, most of any table: 20 slow writes down, 36 stop them") \
	X(COUNTER, NONE, store_stall_seconds, "Time for which compaction has held up writers") \
	X(GAUGE, NONE, store_write_stopped, "1 while compaction holds up writers altogether") \
	X(GAUGE, NONE, store_compactions_running, "Compactions that run") \
	X(GAUGE, NONE, store_compaction_pending_bytes, "Estimate of what compaction has to rewrite") \
	X(GAUGE, NONE, store_flushes_running, "Flushes that run") \
	X(GAUGE, NONE, store_memtables_waiting, "Memtables that wait for their flush") \
	X(COUNTER, NONE, store_background_errors, "Errors of RocksDB's own work") \
	X(GAUGE, NONE, store_keys, "Estimate of the rows of the store") \
	X(GAUGE, NONE, store_snapshots, "Moments that readers hold on to") \
	X(GAUGE, NONE, store_memtable_bytes, "Memory of what is not in table files yet") \
	X(GAUGE, NONE, store_cache_bytes, "Memory of the cache of blocks") \
	X(GAUGE, NONE, store_cache_pinned_bytes, "Of it, what is in use and cannot go") \
	X(GAUGE, NONE, store_reader_bytes, "Memory of open table files beside the cache") \
	X(COUNTER, NONE, scrub_bytes, "Bytes that the scrub has read again") \
	X(COUNTER, NONE, scrub_files, "Files that the scrub has read again") \
	X(COUNTER, NONE, scrub_passes, "Whole passes of the scrub") \
	X(GAUGE, NONE, scrub_progress_ratio, "How much of its pass the scrub has behind it; 0: it rests, or is off") \
	X(GAUGE, NONE, free_space_bytes, "Free on the file system of the data directory") \
	X(GAUGE, NONE, free_space_floor_bytes, "Below it changes are refused (--free-space)") \
	X(GAUGE, NONE, backup_last_success_timestamp_seconds, "When the last good backup began, since 1970; 0: none is known") \
	X(GAUGE, NONE, backup_last_duration_seconds, "How long it took; 0: it was made before this start") \
	X(GAUGE, NONE, backup_last_bytes, "Bytes of its files") \
	X(COUNTER, NONE, backups, "Backups that were made") \
	X(COUNTER, NONE, backup_failures, "Backups that have failed") \
	X(GAUGE, NONE, document_cache_bytes, "Memory of documents") \
	X(GAUGE, NONE, document_cache_max_bytes, "What it may be") \
	X(GAUGE, NONE, columns, "Columns that queries have made, in all shards") \
	X(GAUGE, NONE, columns_bytes, "Memory of columns") \
	X(GAUGE, NONE, columns_max_bytes, "What it may be") \
	X(GAUGE, JOB, jobs, "Jobs that are remembered, by their status") \
	X(GAUGE, NONE, configurations, "Configurations") \
	X(GAUGE, ROLLOUT, rollouts, "Configurations with a rollout, by its status") \
	X(GAUGE, SINK, sinks, "Sinks that are enabled") \
	X(GAUGE, SINK, sinks_failing, "Of them, those whose last attempt has failed, or that cannot begin") \
	X(GAUGE, SINK, sink_lag_events, "Positions of the log behind what a sink has, of the one that is farthest behind") \
	X(COUNTER, NONE, event_records, "Records of the event log, since the hub was made") \
	X(GAUGE, NONE, event_readers, "Readers of the event stream, those of sinks with them") \
	X(GAUGE, NONE, watches, "Live queries") \
	X(GAUGE, NONE, messages_queued, "Messages to devices that wait") \
	X(COUNTER, MESSAGE_END, messages_dead_lettered, "Messages to devices that have ended without success") \
	X(GAUGE, NONE, feedback_messages, "Records of feedback that wait for a back end") \
	X(GAUGE, CERTIFICATE, certificate_left_seconds, "Until the first certificate in use ends; negative: it has") \
	X(GAUGE, NONE, daily_messages, "Messages of this day (UTC) that count by the setting limits.dailyMessages") \
	X(GAUGE, NONE, daily_messages_max, "So many a day there may be; 0: any number") \
	X(GAUGE, NONE, cluster_lease_left_seconds, "With --cluster: until the lease ends by which this node answers; 0: there is none") \
	X(COUNTER, NONE, cluster_beats, "With --cluster: beats of this node that PostgreSQL has taken") \
	X(COUNTER, NONE, cluster_beat_failures, "Of them, those that it has not, or not in time") \
	X(GAUGE, NONE, cluster_nodes, "With --cluster: nodes that live, this one among them") \
	X(GAUGE, NONE, cluster_shards, "With --cluster: shards that this node has") \
	X(GAUGE, NONE, cluster_shards_without_owner, "Shards that no node has which lives") \
	X(COUNTER, NONE, cluster_shards_read, "Shards that this node has read when it took them") \
	X(COUNTER, NONE, cluster_shard_read_seconds, "Time of that") \
	X(COUNTER, NONE, cluster_commits_unknown, "Commits that PostgreSQL has refused or not answered, and whose outcome was found out") \
	X(COUNTER, NONE, cluster_commits_unknown_made, "Of them, those that had been made") \
	X(GAUGE, NONE, cluster_synchronous, "1 when commits wait for a standby") \
	X(GAUGE, NONE, cluster_clock_ahead_seconds, "By how much the clock of this node is ahead of the database's") \
	X(GAUGE, NONE, cluster_links, "With --mesh: other nodes that are reached") \
	X(GAUGE, NONE, cluster_links_wanted, "Other nodes that live") \
	X(COUNTER, NONE, cluster_sent_bytes, "Bytes to other nodes") \
	X(COUNTER, NONE, cluster_received_bytes, "Bytes from other nodes") \
	X(GAUGE, NONE, cluster_operations_waiting, "Operations for shards of other nodes that are not sent yet") \
	X(GAUGE, NONE, cluster_operations_out, "Those that are sent, and not answered") \
	X(COUNTER, NONE, cluster_operations_not_mine, "Operations of other nodes for shards that were not this node's any more") \
	X(COUNTER, NONE, cluster_operations_unknown, "Operations whose node went before it answered") \
	X(COUNTER, NONE, cluster_operations_refused, "Operations for which no node could be asked in time, or that were too many") \
	X(GAUGE, NONE, cluster_lost, "1: the database has lost what was acknowledged (cluster accept-loss). The node says it that has shard 0") \
	X(GAUGE, NONE, resident_memory_bytes, "Memory of the process") \
	X(GAUGE, NONE, memory_limit_bytes, "Memory for documents and caches (--memory)") \
	X(COUNTER, NONE, cpu_seconds, "CPU time of the process") \
	X(GAUGE, NONE, open_files, "Descriptors in use") \
	X(GAUGE, NONE, open_files_max, "Descriptors that the process may have")
/* clang-format on */

enum metric_counted {
#define X(id, kind, label, name, help) METRIC_##id,
	METRICS_COUNTED(X)
#undef X
	    METRICS
};
/* What is looked at, a value for each of its label; NAN: not known, and no line for it. */
struct metric_looks {
#define X(kind, label, name, help) double name[METRIC_N_##label];
	METRICS_LOOKED(X)
#undef X
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
	const char *(*of)(enum metric_label label, unsigned i);
};
enum metric_format { METRIC_PROMETHEUS, METRIC_OPENMETRICS };

/* The media type of a page. */
const char *metric_type(enum metric_format f);
/* What a scraper that sends this Accept wants: the latter only if it is named there, and text is not wanted more. */
enum metric_format metric_format_of(struct str accept);
void metric_write(struct buf *out, enum metric_format f, const struct metric_names *names,
    const struct metric_looks *looks);
/* The figures themselves, as rows of a table in Markdown (O-124). */
void metric_table(struct buf *out, const struct metric_names *names);

#endif
