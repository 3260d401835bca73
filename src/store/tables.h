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

#ifdef __cplusplus
}
#endif
#endif
