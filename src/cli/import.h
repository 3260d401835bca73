/* import: the file that says how far it has got. */
#ifndef TWINHUB_CLI_IMPORT_H
#define TWINHUB_CLI_IMPORT_H

#include "cli/priv.h"
#include "transfer/transfer.h"

struct progress {
	uint64_t size;                /* of the file */
	uint64_t offset, line;        /* before these everything is done */
	uint64_t sent;                /* before this offset it may be done */
	uint64_t done, there, failed; /* lines */
	uint64_t error_bytes;         /* of FILE.errors */
};

/* FILE.progress. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
enum err progress_read(const char *path, struct progress *p);
enum err progress_write(const char *path, const struct progress *p);

#endif
