#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/file_system.h>
#include <rocksdb/listener.h>
#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/statistics.h>
#include <rocksdb/utilities/object_registry.h>
#include <rocksdb/version.h>

#include "store/tables.h"

using namespace rocksdb;

/* What is behind the C face, which has no other way to it; so since its first release. tests/unit/store_retain.c would notice. */
struct rocksdb_t {
	DB *rep;
};
struct rocksdb_column_family_handle_t {
	ColumnFamilyHandle *rep;
};
struct rocksdb_env_t {
	Env *rep;
	bool is_default;
};

namespace
{

/* Lenient in all that is checked elsewhere, so that one bad file does not hide the others. */
DBOptions
lenient()
{
	DBOptions o;

	o.paranoid_checks = false; /* else a missing file ends the opening */
	o.max_open_files = 16;     /* -1 opens all of them at once */
	o.wal_recovery_mode = WALRecoveryMode::kSkipAnyCorruptedRecords;
	/* As it was written: without this a manifest that names logs ends the program by an assertion of RocksDB. */
	o.track_and_verify_wals_in_manifest = true;
	o.info_log_level = InfoLogLevel::FATAL_LEVEL;
	return o;
}

Status
open_read_only(
    const char *dir, std::vector<ColumnFamilyHandle *> *handles, std::unique_ptr<DB> *out)
{
	std::vector<std::string> names;
	std::vector<ColumnFamilyDescriptor> families;
	DB *db = nullptr;
	Status s = DB::ListColumnFamilies(lenient(), dir, &names);

	if (!s.ok())
		return s;
	families.reserve(names.size());
	for (const std::string &name : names)
		families.emplace_back(name, ColumnFamilyOptions());
	s = DB::OpenForReadOnly(lenient(), dir, families, handles, &db);
	out->reset(db);
	return s;
}

Status
list(DB *db, table_seen *seen, void *ctx)
{
	std::unique_ptr<FileChecksumList> all(NewFileChecksumList());
	std::vector<uint64_t> numbers;
	std::vector<std::string> sums, functions;
	Status s = db->GetLiveFilesChecksumInfo(all.get());

	if (s.ok())
		s = all->GetAllFileChecksums(&numbers, &sums, &functions);
	for (size_t i = 0; s.ok() && i < numbers.size(); i++) {
		bool known = functions[i] == "FileChecksumCrc32c" && sums[i].size() == 4;
		seen(ctx, numbers[i], sums[i].data(), known ? 4 : 0);
	}
	return s;
}

/* Its name carries whom it tells: RocksDB makes it of that text. */
const char listener_name[] = "twinhub-told";

class Listener : public EventListener
{
      public:
	explicit Listener(const tables_told *told) : told_(told)
	{
	}
	const char *Name() const override
	{
		return listener_name;
	}
	void OnFlushCompleted(DB *, const FlushJobInfo &) override
	{
		told_->run(told_->ctx);
	}
	void OnCompactionCompleted(DB *, const CompactionJobInfo &) override
	{
		told_->run(told_->ctx);
	}

      private:
	const tables_told *told_;
};

const char counts_name[] = "twinhub-counts";

/*
 * The few figures that are wanted, and no others: RocksDB's own Statistics keeps three hundred, and looks at the clock for most of them. What is not
 * wanted costs it a call that does nothing.
 */
class Counts : public Statistics
{
      public:
	const char *Name() const override
	{
		return counts_name;
	}
	uint64_t getTickerCount(uint32_t) const override
	{
		return 0;
	}
	void histogramData(uint32_t, HistogramData *const) const override
	{
	}
	void recordTick(uint32_t ticker, uint64_t n) override
	{
		if (ticker == BLOCK_CACHE_HIT || ticker == BLOCK_CACHE_MISS)
			tables_blocks(ticker == BLOCK_CACHE_HIT, n);
	}
	void setTickerCount(uint32_t, uint64_t) override
	{
	}
	uint64_t getAndResetTickerCount(uint32_t) override
	{
		return 0;
	}
	bool HistEnabledForType(uint32_t histogram) const override
	{
		return histogram == WAL_FILE_SYNC_MICROS;
	}
	void recordInHistogram(uint32_t histogram, uint64_t n) override
	{
		if (histogram == WAL_FILE_SYNC_MICROS)
			tables_synced(n);
	}
};

Statistics *
counts_make(const std::string &, std::unique_ptr<Statistics> *guard, std::string *)
{
	guard->reset(new Counts());
	return guard->get();
}

/* Whoever is asked before each read. */
struct Pace {
	table_pace *ask;
	void *ctx;
	bool given_up;
};

class PacedFile : public FSRandomAccessFileOwnerWrapper
{
      public:
	PacedFile(std::unique_ptr<FSRandomAccessFile> &&file, Pace *pace)
	    : FSRandomAccessFileOwnerWrapper(std::move(file)), pace_(pace)
	{
	}
	IOStatus Read(uint64_t at, size_t n, const IOOptions &o, Slice *out, char *scratch,
	    IODebugContext *debug) const override
	{
		pace_->given_up = pace_->given_up || !pace_->ask(pace_->ctx, n);
		if (pace_->given_up)
			return IOStatus::Aborted();
		return target()->Read(at, n, o, out, scratch, debug);
	}

      private:
	Pace *pace_;
};

class PacedFiles : public FileSystemWrapper
{
      public:
	explicit PacedFiles(Pace *pace) : FileSystemWrapper(FileSystem::Default()), pace_(pace)
	{
	}
	const char *Name() const override
	{
		return "twinhub-paced";
	}
	IOStatus NewRandomAccessFile(const std::string &path, const FileOptions &o,
	    std::unique_ptr<FSRandomAccessFile> *out, IODebugContext *debug) override
	{
		std::unique_ptr<FSRandomAccessFile> file;
		IOStatus s = target()->NewRandomAccessFile(path, o, &file, debug);

		if (s.ok())
			out->reset(new PacedFile(std::move(file), pace_));
		return s;
	}

      private:
	Pace *pace_;
};

const size_t paced_read_bytes = 256 * 1024; /* a sync of the disk waits no longer than for this */

Status
read_blocks(const char *path, Env *env, bool direct)
{
	Options o;
	ReadOptions r;

	o.env = env;
	o.use_direct_reads = direct;
	o.info_log_level = InfoLogLevel::FATAL_LEVEL;
	SstFileReader file(o);
	Status s = file.Open(path);

	r.readahead_size = paced_read_bytes;
	return s.ok() ? file.VerifyChecksum(r) : s;
}

/* By which files of the log get old; what RocksDB waits for is counted otherwise. */
class AheadClock : public SystemClockWrapper
{
      public:
	explicit AheadClock(int64_t (*ahead_us)(void))
	    : SystemClockWrapper(SystemClock::Default()), ahead_us_(ahead_us)
	{
	}
	const char *Name() const override
	{
		return "twinhub-ahead";
	}
	Status GetCurrentTime(int64_t *seconds) override
	{
		Status s = SystemClockWrapper::GetCurrentTime(seconds);

		*seconds += ahead_us_() / 1000000;
		return s;
	}

      private:
	int64_t (*ahead_us_)(void);
};

class AheadEnv : public EnvWrapper
{
      public:
	explicit AheadEnv(int64_t (*ahead_us)(void)) : EnvWrapper(Env::Default())
	{
		file_system_ = FileSystem::Default();
		system_clock_ = std::make_shared<AheadClock>(ahead_us);
	}
	const char *Name() const override
	{
		return "twinhub-ahead";
	}
	Status GetCurrentTime(int64_t *seconds) override
	{
		return system_clock_->GetCurrentTime(seconds);
	}
};

EventListener *
listener_make(const std::string &name, std::unique_ptr<EventListener> *guard, std::string *why)
{
	void *told = nullptr;

	if (sscanf(name.c_str() + name.rfind('@') + 1, "%p", &told) != 1) {
		*why = "a listener that nobody has made";
		return nullptr;
	}
	guard->reset(new Listener(static_cast<const tables_told *>(told)));
	return guard->get();
}

} // namespace

extern "C" void
tables_listener(const struct tables_told *told, char text[TABLES_LISTENER_MAX])
{
	static std::once_flag once;

	std::call_once(once, [] {
		ObjectLibrary::Default()->AddFactory<EventListener>(
		    ObjectLibrary::PatternEntry(listener_name, false).AddSeparator("@"),
		    listener_make);
	});
	snprintf(text, TABLES_LISTENER_MAX, "listeners={%s@%p}", listener_name,
	    static_cast<const void *>(told));
}

extern "C" const char *
tables_counts(void)
{
	static const std::string option = std::string("statistics={") + counts_name + "}";
	static std::once_flag once;

	std::call_once(once, [] {
		ObjectLibrary::Default()->AddFactory<Statistics>(
		    ObjectLibrary::PatternEntry(counts_name), counts_make);
	});
	return option.c_str();
}

extern "C" char *
table_read(const char *path, table_pace *ask, void *ctx, bool *given_up)
{
	Pace pace = { ask, ctx, false };
	std::unique_ptr<Env> env = NewCompositeEnv(std::make_shared<PacedFiles>(&pace));
	Status s = read_blocks(path, env.get(), true);

	if (!s.ok() && !s.IsCorruption()) /* not every file system can */
		s = read_blocks(path, env.get(), false);
	*given_up = pace.given_up;
	return s.ok() || pace.given_up ? nullptr : strdup(s.ToString().c_str());
}

extern "C" rocksdb_env_t *
tables_env(int64_t (*ahead_us)(void))
{
	/* for ever: RocksDB's threads may outlast what is ended at exit */
	static rocksdb_env_t *const face = new rocksdb_env_t{ new AheadEnv(ahead_us), true };

	return face;
}

extern "C" const char *
tables_version(void)
{
	static const std::string version = GetRocksVersionAsString(true);

	return version.c_str();
}

extern "C" char *
tables_list(const char *dir, table_seen *seen, void *ctx)
{
	std::vector<ColumnFamilyHandle *> handles;
	std::unique_ptr<DB> db;
	Status s = open_read_only(dir, &handles, &db);

	if (s.ok())
		s = list(db.get(), seen, ctx);
	for (ColumnFamilyHandle *h : handles)
		delete h;
	return s.ok() ? nullptr : strdup(s.ToString().c_str());
}

extern "C" void
tables_of_family(
    rocksdb_t *db, rocksdb_column_family_handle_t *family, table_file_seen *seen, void *ctx)
{
	ColumnFamilyMetaData all;

	db->rep->GetColumnFamilyMetaData(family->rep, &all);
	for (const SstFileMetaData &one : all.levels[0].files) {
		const uint64_t oldest = one.oldest_ancester_time, made = one.file_creation_time;
		const table_file file = { one.file_number, one.size, oldest, std::max(oldest, made),
			made == 0, one.being_compacted };

		seen(ctx, &file);
	}
}

extern "C" char *
tables_merge(
    rocksdb_t *db, rocksdb_column_family_handle_t *family, const struct table_file *files, size_t n)
{
	std::vector<std::string> names;
	CompactionOptions o;
	Status s;

	o.compression = kLZ4Compression;
	for (size_t i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof name, "/%06" PRIu64 ".sst", files[i].number);
		names.emplace_back(name);
	}
	s = db->rep->CompactFiles(o, family->rep, names, 0);
	return s.ok() ? nullptr : strdup(s.ToString().c_str());
}
