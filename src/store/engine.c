/*
 * Opening and closing RocksDB: every option is set here, and each for a reason that was measured or provoked.
 * RocksDB's C face lacks some options; those go by name, as text.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "store/pack.h"
#include "store/priv.h"

#define MB              (1024 * 1024ull)
#define MEMORY_DEFAULT  (64 * MB)
#define MEMORY_MIN      (16 * MB)
#define LOG_LEVEL_FATAL 4
/* kTolerateCorruptedTailRecords: refuses a bad record, accepts a torn tail */
#define RECOVERY_TORN_TAIL_ONLY 0
#define COMPACTION_BYTES_PER_S  (256 * (int64_t)MB)

static const char *const family_names[ENGINE_FAMILIES] = {
	"default",
	[1 + STORE_IDENTITY] = "identity",
	[1 + STORE_WANTED] = "wanted",
	[1 + STORE_REPORTED] = "reported",
	[1 + STORE_SESSION] = "session",
	[1 + STORE_HUB] = "hub",
	[1 + STORE_LOG] = "log",
	[1 + STORE_CHANGES] = "changes",
	[1 + STORE_MESSAGES] = "messages",
	[1 + STORE_PARTITIONS] = "partitions",
};

static uint64_t
memory_of(const struct store_options *o)
{
	uint64_t n = o->memory_bytes ? o->memory_bytes : MEMORY_DEFAULT;

	return n < MEMORY_MIN ? MEMORY_MIN : n;
}

/* Options without a function in the C face. Takes base, gives the whole; NULL (and f) if RocksDB knows one not. */
static rocksdb_options_t *
options_by_name(rocksdb_options_t *base, const char *text, struct fault *f)
{
	rocksdb_options_t *all = rocksdb_options_create();
	char *error = NULL;

	rocksdb_get_options_from_string(base, text, all, &error);
	rocksdb_options_destroy(base);
	if (error == NULL)
		return all;
	engine_error(error, f);
	rocksdb_options_destroy(all);
	return NULL;
}

/* Of the whole database, and a start for each table's own. */
static rocksdb_options_t *
options_common(const struct store_options *o, enum engine_mode mode, const struct tables_told *told,
    struct fault *f)
{
	char listener[TABLES_LISTENER_MAX] = "", text[384];
	rocksdb_options_t *r = rocksdb_options_create();
	uint64_t memory = memory_of(o);
	rocksdb_ratelimiter_t *limiter;

	rocksdb_options_set_create_if_missing(r, mode == ENGINE_CREATE);
	rocksdb_options_set_error_if_exists(r, mode == ENGINE_CREATE);
	rocksdb_options_set_paranoid_checks(r, 1);
	rocksdb_options_set_wal_recovery_mode(r, RECOVERY_TORN_TAIL_ONLY);
	rocksdb_options_set_max_total_wal_size(
	    r, 128 * MB); /* seldom written tables pin logs; replay: 200 MB/s */
	/* Its own text log asserts, and so ends the program, at its second failed append. */
	rocksdb_options_set_info_log_level(r, LOG_LEVEL_FATAL);
	rocksdb_options_set_keep_log_file_num(r, 2);
	rocksdb_options_set_bytes_per_sync(r, 1 * MB); /* p99.9 of commits 5.5 ms against 19 */
	rocksdb_options_set_wal_bytes_per_sync(r, 1 * MB);
	rocksdb_options_set_max_background_jobs(r, 2);
	rocksdb_options_set_max_open_files(r, -1); /* all opened, and so found missing, at open */
	rocksdb_options_set_stats_dump_period_sec(r, 0);
	rocksdb_options_set_stats_persist_period_sec(r, 0);
	rocksdb_options_set_max_manifest_file_size(r, 16 * MB);
	rocksdb_options_set_db_write_buffer_size(r, memory / 4);
	rocksdb_options_set_write_buffer_size(r, memory / 8 > 32 * MB ? 32 * MB : memory / 8);
	rocksdb_options_set_max_write_buffer_number(r, 4);
	rocksdb_options_set_compression(r, rocksdb_lz4_compression);
	if (o->ahead_us != NULL)
		rocksdb_options_set_env(r, tables_env(o->ahead_us));
	limiter = rocksdb_ratelimiter_create(COMPACTION_BYTES_PER_S, 100 * 1000, 10);
	rocksdb_options_set_ratelimiter(r, limiter);
	rocksdb_ratelimiter_destroy(limiter);
	if (told != NULL)
		tables_listener(told, listener);
	snprintf(text, sizeof text,
	    "track_and_verify_wals_in_manifest=true;"
	    "file_checksum_gen_factory=FileChecksumGenCrc32cFactory;" /* of whole table files: store_check */
	    "ttl=0;periodic_compaction_seconds=0;%s;%s",
	    tables_counts(), listener);
	return options_by_name(r, text, f);
}

/* One cache for all tables; indexes and filters in it, so that it bounds them too. */
static void
options_table(rocksdb_options_t *r, rocksdb_cache_t *cache)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(t, cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_filter_policy(
	    t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_block_based_options_set_format_version(t, 5);
	rocksdb_options_set_block_based_table_factory(r, t);
	rocksdb_block_based_options_destroy(t);
}

/*
 * The event log: first in, first out; whole files are dropped. Small files (a slow log, flushed with the other tables) are merged by retain.c;
 * RocksDB would merge young ones with old ones, and drop both with the latter.
 */
static rocksdb_options_t *
options_log(const rocksdb_options_t *common, enum store_table t, uint64_t bytes, uint64_t age_s,
    struct fault *f)
{
	rocksdb_options_t *r = rocksdb_options_create_copy((rocksdb_options_t *)common);
	char text[400], fifo[RETAIN_FIFO_MAX];

	rocksdb_options_set_compaction_style(r, rocksdb_fifo_compaction);
	/* few files: what all tables together may have in memory ends it before */
	rocksdb_options_set_write_buffer_size(r, 2 * rocksdb_options_get_write_buffer_size(r));
	retain_fifo(fifo, t, bytes);
	snprintf(text, sizeof text,
	    "compaction_options_fifo=%s;ttl=%" PRIu64 ";memtable_insert_with_hint_prefix_extractor="
	    "rocksdb.FixedPrefix.2;"                   /* each shard appends */
	    "prefix_extractor=rocksdb.FixedPrefix.%u", /* pack.h: reads of what is within a row */
	    fifo, retain_ttl_s(age_s), PACK_PREFIX);
	return options_by_name(r, text, f);
}

/* Of each family; those that are not the common ones are in `own`, to be destroyed. */
struct family_options {
	const rocksdb_options_t *each[ENGINE_FAMILIES];
	rocksdb_options_t *log, *changes;
};

static bool
family_options_init(struct family_options *fo, const rocksdb_options_t *common,
    const struct store_options *o, struct fault *f)
{
	const struct store_retention *r = &o->retention;

	fo->log = options_log(common, STORE_LOG, r->log_bytes, r->log_age_s, f);
	fo->changes = options_log(common, STORE_CHANGES, r->changes_bytes, r->changes_age_s, f);
	for (unsigned i = 0; i < ENGINE_FAMILIES; i++)
		fo->each[i] = i == 1 + STORE_LOG ? fo->log
		    : i == 1 + STORE_CHANGES     ? fo->changes
		                                 : common;
	return fo->log != NULL && fo->changes != NULL;
}

static void
family_options_fini(struct family_options *fo)
{
	if (fo->log != NULL)
		rocksdb_options_destroy(fo->log);
	if (fo->changes != NULL)
		rocksdb_options_destroy(fo->changes);
}

/*
 * Stores of format 1 have the first of the families only, and one whose raising was ended some more: RocksDB makes them one after the other.
 * What else is not there it refuses, or names.
 */
static unsigned
families_there(const char *dir, const rocksdb_options_t *common)
{
	char *error = NULL;
	size_t n;
	char **names = rocksdb_list_column_families(common, dir, &n, &error);

	if (error != NULL) {
		rocksdb_free(error);
		return ENGINE_FAMILIES;
	}
	rocksdb_list_column_families_destroy(names, n);
	return n >= ENGINE_FORMER && n < ENGINE_FAMILIES ? (unsigned)n : ENGINE_FAMILIES;
}

static rocksdb_t *
open_families(struct engine *e, const char *dir, enum engine_mode mode, rocksdb_options_t *common,
    const struct family_options *fo, char **error)
{
	unsigned there = mode == ENGINE_CREATE ? ENGINE_FAMILIES : families_there(dir, common);

	e->families = ENGINE_FAMILIES;
	if (mode == ENGINE_READ_ONLY) {
		e->families = there;
		return rocksdb_open_for_read_only_column_families(
		    common, dir, (int)there, family_names, fo->each, e->family, 0, error);
	}
	rocksdb_options_set_create_missing_column_families(
	    common, there != ENGINE_FAMILIES || mode == ENGINE_CREATE);
	return rocksdb_open_column_families(
	    common, dir, ENGINE_FAMILIES, family_names, fo->each, e->family, error);
}

enum err
engine_open(struct engine *e, const char *dir, const struct store_options *o, enum engine_mode mode,
    const struct tables_told *told, struct fault *f)
{
	struct family_options fo = { 0 };
	rocksdb_options_t *common;
	char *error = NULL;
	enum err r = ERR_IO;

	*e = (struct engine){ 0 };
	if ((common = options_common(o, mode, told, f)) == NULL)
		return ERR_IO;
	e->cache = rocksdb_cache_create_lru(memory_of(o) / 4 * 3);
	options_table(common, e->cache);
	if (!family_options_init(&fo, common, o, f))
		goto done;
	e->db = open_families(e, dir, mode, common, &fo, &error);
	if (error != NULL) {
		e->db = NULL;
		r = engine_error(error, f);
		goto done;
	}
	e->read = rocksdb_readoptions_create();
	e->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(e->write, !o->scratch);
	rocksdb_writeoptions_disable_WAL(e->write, o->scratch);
	r = ERR_OK;
done:
	family_options_fini(&fo);
	rocksdb_options_destroy(common);
	if (r != ERR_OK)
		engine_close(e);
	return r;
}

void
engine_close(struct engine *e)
{
	if (e->db != NULL) {
		for (unsigned i = 0; i < e->families; i++)
			rocksdb_column_family_handle_destroy(e->family[i]);
		rocksdb_close(e->db);
		rocksdb_readoptions_destroy(e->read);
		rocksdb_writeoptions_destroy(e->write);
	}
	if (e->cache != NULL)
		rocksdb_cache_destroy(e->cache);
	*e = (struct engine){ 0 };
}

uint64_t
engine_version(const struct engine *e)
{
	uint64_t sum = 0, n;

	for (unsigned i = 0; i < e->families; i++)
		if (rocksdb_property_int_cf(
		        e->db, e->family[i], "rocksdb.current-super-version-number", &n) == 0)
			sum += n;
	return sum;
}

/* The C face has no codes, only text. */
enum err
engine_error(char *text, struct fault *f)
{
	bool corrupt = strncmp(text, "Corruption", strlen("Corruption")) == 0 ||
	    strstr(text, "No such file") != NULL;
	bool full =
	    strstr(text, "No space left") != NULL || strstr(text, "Disk quota exceeded") != NULL;
	bool locked = strstr(text, "lock hold by current process") != NULL ||
	    strstr(text, "While lock file") != NULL;

	fault_set(f, corrupt ? F_StoredDamaged : F_ServerError, "%s", text);
	rocksdb_free(text);
	if (full)
		return ERR_FULL;
	if (locked)
		return ERR_LOCKED;
	return corrupt ? ERR_CORRUPT : ERR_IO;
}

bool
engine_error_is_sync(const struct fault *f)
{
	return strstr(f->text, "While fsync") != NULL ||
	    strstr(f->text, "While fdatasync") != NULL ||
	    strstr(f->text, "sync_file_range") != NULL;
}
