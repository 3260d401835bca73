/* Numbers for the operator, from RocksDB's properties. */
#include <inttypes.h>

#include "metric/metric.h"
#include "store/priv.h"

/* ---- what RocksDB counts; on any thread ---- */

void
tables_synced(uint64_t us)
{
	metric_seen(METRIC_FSYNC_SECONDS, 0, us * 1000);
}

void
tables_blocks(bool cached, uint64_t n)
{
	metric_add(cached ? METRIC_BLOCK_HITS : METRIC_BLOCK_MISSES, 0, (int64_t)n);
}

/* ---- what it is asked ---- */

static uint64_t
family_number(const struct engine *e, unsigned family, const char *property)
{
	uint64_t n = 0;

	return rocksdb_property_int_cf(e->db, e->family[family], property, &n) == 0 ? n : 0;
}

static uint64_t
l0_of(const struct engine *e, unsigned family)
{
	char *text =
	    rocksdb_property_value_cf(e->db, e->family[family], "rocksdb.num-files-at-level0");
	uint64_t n = 0;

	if (text != NULL)
		str_u64(str_of(text), &n);
	rocksdb_free(text);
	return n;
}

/* "... Cumulative stall: 00:00:1.250 H:M:S, 0.0 percent ..." of rocksdb.dbstats */
static uint64_t
stall_ms(const struct engine *e)
{
	char *text = rocksdb_property_value(e->db, "rocksdb.dbstats");
	const char *at = text == NULL ? NULL : strstr(text, "Cumulative stall: ");
	unsigned h = 0, m = 0;
	double s = 0;

	if (at != NULL)
		(void)sscanf(at, "Cumulative stall: %u:%u:%lf", &h, &m, &s);
	rocksdb_free(text);
	return (uint64_t)h * 3600000 + (uint64_t)m * 60000 + (uint64_t)(s * 1000);
}

static void
count_files(const struct engine *e, struct store_stats *out)
{
	const rocksdb_livefiles_t *files = rocksdb_livefiles(e->db);
	int n = rocksdb_livefiles_count(files);

	for (int i = 0; i < n; i++) {
		uint64_t bytes = rocksdb_livefiles_size(files, i);

		out->table_files++;
		out->table_bytes += bytes;
		if (strcmp(rocksdb_livefiles_column_family_name(files, i), "log") == 0)
			out->log_bytes += bytes;
		else if (strcmp(rocksdb_livefiles_column_family_name(files, i), "changes") == 0)
			out->changes_bytes += bytes;
	}
	rocksdb_livefiles_destroy(files);
}

static void
engine_stats(const struct engine *e, struct store_stats *out)
{
	for (unsigned i = 0; i < e->families; i++) {
		uint64_t l0 = i == 1 + STORE_LOG || i == 1 + STORE_CHANGES ? 0 : l0_of(e, i);

		if (l0 > out->l0_files)
			out->l0_files = l0;
		out->memtable_bytes += family_number(e, i, "rocksdb.cur-size-all-mem-tables");
		out->memtables += family_number(e, i, "rocksdb.num-immutable-mem-table");
		out->compaction_bytes +=
		    family_number(e, i, "rocksdb.estimate-pending-compaction-bytes");
		out->keys += family_number(e, i, "rocksdb.estimate-num-keys");
		out->reader_bytes += family_number(e, i, "rocksdb.estimate-table-readers-mem");
	}
	out->write_stopped = family_number(e, 0, "rocksdb.is-write-stopped") != 0;
	out->compactions = family_number(e, 0, "rocksdb.num-running-compactions");
	out->flushes = family_number(e, 0, "rocksdb.num-running-flushes");
	out->errors = family_number(e, 0, "rocksdb.background-errors");
	out->snapshots = family_number(e, 0, "rocksdb.num-snapshots");
	out->cache_bytes = rocksdb_cache_get_usage(e->cache);
	out->cache_pinned_bytes = rocksdb_cache_get_pinned_usage(e->cache);
	out->stall_ms = stall_ms(e);
	count_files(e, out);
}

/* The healer may have the engine for as long as a disk takes. */
static void
look_at_engine(struct rocks *s, struct store_stats *out)
{
	pthread_mutex_lock(&s->looked.mu);
	if (pthread_rwlock_tryrdlock(&s->lock) == 0) {
		if (s->engine.db != NULL) {
			s->looked.engine = (struct store_stats){ 0 };
			engine_stats(&s->engine, &s->looked.engine);
		}
		pthread_rwlock_unlock(&s->lock);
	}
	*out = s->looked.engine;
	pthread_mutex_unlock(&s->looked.mu);
}

void
rocks_stats(struct store *face, struct store_stats *out)
{
	struct rocks *s = rocks_of(face);
	struct logs logs = { 0 };

	look_at_engine(s, out);
	out->commits = atomic_load(&s->commits);
	out->commit_bytes = atomic_load(&s->commit_bytes);
	out->commit_failures = atomic_load(&s->commit_failures);
	out->scrub_bytes = atomic_load(&s->scrub.bytes);
	out->scrub_files = atomic_load(&s->scrub.files);
	out->scrub_passes = atomic_load(&s->scrub.passes);
	out->scrub_of = atomic_load(&s->scrub.of);
	out->scrub_done = atomic_load(&s->scrub.done);
	out->inflight = lanes_inflight(s);
	if (logs_list(s->dir, &logs, NULL) == ERR_OK)
		out->wal_bytes = logs.bytes;
}
