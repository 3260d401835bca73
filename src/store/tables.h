/* The one thing that RocksDB's C face cannot say: the checksums of whole table files, kept in its manifest. */
#ifndef TWINHUB_STORE_TABLES_H
#define TWINHUB_STORE_TABLES_H

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

#ifdef __cplusplus
}
#endif
#endif
