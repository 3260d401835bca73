/* What RocksDB's C face cannot say or do: checksums of whole table files, its version, listeners. */
#ifndef TWINHUB_STORE_TABLES_H
#define TWINHUB_STORE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* sum: CRC-32C of the file, 4 bytes, most significant first; nsum 0 when none was recorded. Borrowed for the call. */
typedef void table_seen(void *ctx, uint64_t number, const char *sum, size_t nsum);

/*
 * Calls seen for each table file that belongs to the closed database in dir, opened or not: a missing or damaged one
 * is listed too. Changes nothing on disk. NULL, or RocksDB's words on what is wrong with the manifest: free() them.
 */
char *tables_list(const char *dir, table_seen *seen, void *ctx);

/* Asked before each read of so many bytes, and may wait; false: give up. */
typedef bool table_pace(void *ctx, size_t nbyte);

/*
 * Reads a table file, each block against its checksum: from the disk itself where the file system can do that (O_DIRECT), as what the
 * page cache holds may be better than the disk, and is left to others. 34 bytes of the footer, which nobody reads, have no checksum.
 * NULL when it is good or was given up, else what is wrong: free() it.
 */
char *table_read(const char *path, table_pace *pace, void *ctx, bool *given_up);

struct rocksdb_t;
struct rocksdb_column_family_handle_t;

/* One of an open FIFO family. Times are seconds since 1970: of its oldest record, and when it was made. */
struct table_file {
	uint64_t number, bytes, oldest_s, made_s;
	/* a start has made it of a log: it does not say when, and RocksDB never finds it old. Then both times are of that start */
	bool ageless;
	bool busy; /* it is being merged */
};
typedef void table_file_seen(void *ctx, const struct table_file *file);

/* The newest first. */
void tables_of_family(struct rocksdb_t *db, struct rocksdb_column_family_handle_t *family,
    table_file_seen *seen, void *ctx);
/* Neighbours become one; returns when they have. NULL, or RocksDB's words: free() them. */
char *tables_merge(struct rocksdb_t *db, struct rocksdb_column_family_handle_t *family,
    const struct table_file *files, size_t n);

struct rocksdb_env_t;
/* The machine's files, and its clock ahead by so much. One in a program, which lasts. */
struct rocksdb_env_t *tables_env(int64_t (*ahead_us)(void));

/* The version of the library at run time: "7.8.3". */
const char *tables_version(void);

/*
 * Told on RocksDB's threads when a flush or compaction stands in the manifest, and before the files that it has replaced are
 * removed. May touch files, for the removing waits.
 */
struct tables_told {
	void (*run)(void *ctx);
	void *ctx;
};
#define TABLES_LISTENER_MAX 64
/* The option by whose text a database that is opened tells it; told is borrowed until that is closed. */
void tables_listener(const struct tables_told *told, char text[TABLES_LISTENER_MAX]);

/*
 * What it counts (stats.c), on its threads or who calls it: an fsync of the write-ahead log took so long; blocks of table files were in the
 * cache, or were read.
 */
void tables_synced(uint64_t us);
void tables_blocks(bool cached, uint64_t n);
/* The option by which a database that is opened counts. */
const char *tables_counts(void);

#ifdef __cplusplus
}
#endif
#endif
