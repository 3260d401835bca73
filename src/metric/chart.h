/*
 * The last day in figures, for who looks at it later: of what metrics have, some forty that an operator looks at, a point each 10 s, in a ring
 * whose size is fixed when the program is made (O-125, O-126).
 *
 *   metric_sample --> metric_chart_add, each 10 s --> the ring --> metric_chart_read: from a time on, several points to one
 *                \--> metric_chart_now: what it is at this moment
 *
 * A point has no counters: a rate is of the time since the point before, a percentile of what was seen in it. NAN: nothing was, or it
 * is not known. Any thread.
 */
#ifndef TWINHUB_METRIC_CHART_H
#define TWINHUB_METRIC_CHART_H

#include "metric/metric.h"

#define CHART_STEP_US     INT64_C(10000000)
#define CHART_POINTS      8640u /* a day of them */
#define CHART_BYTES_MAX   (4u << 20)
#define CHART_NOW_US      INT64_C(2000000) /* the least time that a rate of now is of */
#define CHART_PERCENTILES 7u               /* figures that are percentiles, at most */

/* clang-format off */
/* id, name, unit, what several points become, where it comes from (chart.c), what it is */
#define CHART_FIGURES(X) \
	X(CONNECTIONS, "connections", "", MEAN, NOW(CONNECTIONS), "devices and modules that are connected") \
	X(CONNECTS, "connects", "1/s", MEAN, RATE(CONNECTS), "CONNECTs that were accepted") \
	X(CONNECTS_REFUSED, "connectsRefused", "1/s", MEAN, RATE(REFUSALS), "CONNECTs that were refused") \
	X(DISCONNECTS, "disconnects", "1/s", MEAN, RATE(DISCONNECTS), "connections that have ended") \
	X(RECEIVED, "receivedBytes", "B/s", MEAN, RATE(RECEIVED), "of MQTT, from devices") \
	X(SENT, "sentBytes", "B/s", MEAN, RATE(SENT), "of MQTT, to devices") \
	X(OPERATIONS, "operations", "1/s", MEAN, RATE(OPERATIONS), "operations that were answered") \
	X(OPERATIONS_REFUSED, "operationsRefused", "1/s", MEAN, RATE_OF(OPERATIONS, METRIC_REFUSED, METRIC_RESULTS), "of them, those with a 4xx") \
	X(OPERATIONS_FAILED, "operationsFailed", "1/s", MEAN, RATE_OF(OPERATIONS, METRIC_FAILED, METRIC_RESULTS), "of them, those with a 5xx") \
	X(OPERATION_P50, "operationP50", "s", MEAN, PERCENTILE(OPERATION_SECONDS, 0.5), "half of the operations were answered in that time") \
	X(OPERATION_P99, "operationP99", "s", MOST, PERCENTILE(OPERATION_SECONDS, 0.99), "99 of 100 were") \
	X(QUEUE_P99, "queueWaitP99", "s", MOST, PERCENTILE(QUEUE_SECONDS, 0.99), "the same of the wait for a turn") \
	X(GATE_P99, "gateWaitP99", "s", MOST, PERCENTILE(GATE_SECONDS, 0.99), "the same of the wait for the commit") \
	X(REQUESTS, "requests", "1/s", MEAN, RATE(REQUESTS), "HTTP requests that were answered") \
	X(REQUESTS_REFUSED, "requestsRefused", "1/s", MEAN, RATE_OF(REQUESTS, METRIC_4XX, METRIC_STATUSES), "of them, those with a 4xx") \
	X(REQUESTS_FAILED, "requestsFailed", "1/s", MEAN, RATE_OF(REQUESTS, METRIC_5XX, METRIC_STATUSES), "of them, those with a 5xx") \
	X(REQUESTS_RUNNING, "requestsRunning", "", MOST, NOW(REQUESTS_RUNNING), "HTTP requests that are not answered yet") \
	X(QUERIES, "queries", "1/s", MEAN, SEEN(QUERY_SECONDS), "questions to the whole fleet") \
	X(QUERY_P99, "queryP99", "s", MOST, PERCENTILE(QUERY_SECONDS, 0.99), "99 of 100 were answered in that time") \
	X(COMMITS, "commits", "1/s", MEAN, SEEN(COMMIT_SECONDS), "batches that were committed") \
	X(COMMIT_BYTES, "commitBytes", "B/s", MEAN, LOOK_RATE(store_commit_bytes), "of them") \
	X(COMMIT_P99, "commitP99", "s", MOST, PERCENTILE(COMMIT_SECONDS, 0.99), "99 of 100 took that time") \
	X(FSYNC_P99, "fsyncP99", "s", MOST, PERCENTILE(FSYNC_SECONDS, 0.99), "the same of their fsyncs") \
	X(OPERATIONS_WAITING, "operationsWaiting", "", MOST, LOOK_OF(queue_length, QUEUE_OPERATIONS), "operations under way") \
	X(COMMITS_WAITING, "commitsWaiting", "", MOST, LOOK_OF(queue_length, QUEUE_COMMITS), "batches that the disk has not taken yet") \
	X(QUERIES_RUNNING, "queriesRunning", "", MOST, LOOK_OF(queue_length, QUEUE_QUERIES), "questions under way, or waiting") \
	X(QUERIES_WAITING, "queriesWaiting", "", MOST, LOOK_OF(queue_length, QUEUE_SEATS), "of them, those that wait for others") \
	X(DOCUMENT_HITS, "documentHits", "ratio", MEAN, RATIO(DOCUMENT_HITS, DOCUMENT_MISSES), "operations that found all in memory") \
	X(BLOCK_HITS, "blockHits", "ratio", MEAN, RATIO(BLOCK_HITS, BLOCK_MISSES), "blocks of the store that were in its cache") \
	X(DOCUMENT_BYTES, "documentBytes", "B", MEAN, LOOK(document_cache_bytes), "memory of documents") \
	X(COLUMN_BYTES, "columnBytes", "B", MEAN, LOOK(columns_bytes), "memory of columns of queries") \
	X(IDENTITIES, "identities", "", MEAN, LOOK(identities), "devices and modules") \
	X(JOBS_RUNNING, "jobsRunning", "", MOST, LOOK_OF(jobs, METRIC_JOB_RUNNING), "jobs that run") \
	X(SINK_EVENTS, "sinkEvents", "1/s", MEAN, RATE(SINK_EVENTS), "events that sinks have taken") \
	X(SINK_LAG, "sinkLag", "", MOST, LOOK_MOST(sink_lag_events), "positions that the sink farthest behind lacks") \
	X(SINKS_FAILING, "sinksFailing", "", MOST, LOOK(sinks_failing), "sinks that take nothing") \
	X(EVENT_RECORDS, "eventRecords", "1/s", MEAN, LOOK_RATE(event_records), "records of the event log") \
	X(MESSAGES_QUEUED, "messagesQueued", "", MOST, LOOK(messages_queued), "messages to devices that wait") \
	X(TABLE_BYTES, "tableBytes", "B", MEAN, LOOK(store_table_bytes), "table files on disk") \
	X(WAL_BYTES, "walBytes", "B", MEAN, LOOK(store_wal_bytes), "write-ahead log on disk") \
	X(FREE_BYTES, "freeBytes", "B", LEAST, LOOK(free_space_bytes), "free on the file system") \
	X(STALLED, "stalled", "ratio", MEAN, LOOK_RATE(store_stall_seconds), "how much of the time compaction has held up writers") \
	X(TAKES_WRITES, "takesWrites", "", LEAST, LOOK(store_takes_writes), "1: changes are taken") \
	X(RESIDENT_BYTES, "residentBytes", "B", MEAN, LOOK(resident_memory_bytes), "memory of the process") \
	X(CPU, "cpu", "cores", MEAN, LOOK_RATE(cpu_seconds), "CPU of the process") \
	X(LOG_DROPPED, "logLinesDropped", "1/s", MEAN, RATE(LOG_DROPPED), "lines of the log that were lost")
/* clang-format on */
enum chart_figure {
#define X(id, name, unit, fold, source, help) CHART_##id,
	CHART_FIGURES(X)
#undef X
	    CHART_FIGURES_N
};

struct chart_point {
	int64_t time_us; /* wall clock, when it ended */
	double v[CHART_FIGURES_N];
};

/* Whatever points are made of, at one moment. */
struct chart_sample {
	int64_t wall_us, mono_us;
	double v[CHART_FIGURES_N][2];
	uint64_t seen[CHART_PERCENTILES][METRIC_BOUNDS + 1]; /* of each bound of a histogram */
};

struct chart_names {
	const char *name, *unit, *help;
	const char *fold; /* "mean", "most", "least" */
};
extern const struct chart_names chart_names[CHART_FIGURES_N];

void chart_sample(
    struct chart_sample *out, const struct metric_looks *looks, int64_t wall_us, int64_t mono_us);

struct chart;
struct chart *chart_new(void);
void chart_free(struct chart *p); /* NULL is fine */
/* A point of the time since the sample before; of the first one there is none. */
void chart_add(struct chart *p, const struct chart_sample *now);
/* What it is now: of the time since the last sample, or, when that was less than CHART_NOW_US ago, since the one before. */
void chart_now(struct chart *p, const struct chart_sample *now, struct chart_point *out);
/*
 * The points whose time is from_us or later, oldest first; those of each step_us together as one, whose time is the step's end. out: room
 * for CHART_POINTS. How many.
 */
uint32_t chart_read(struct chart *p, int64_t from_us, int64_t step_us, struct chart_point *out);
/* The figures, as rows of a table in Markdown. */
void chart_table(struct buf *out);

#endif
