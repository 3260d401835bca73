#include <cstring>
#include <memory>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>

#include "store/tables.h"

using namespace rocksdb;

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

} // namespace

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
