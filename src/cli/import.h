/* import: the file that is read, cut into batches, and the file that says how far it has got. */
#ifndef TWINHUB_CLI_IMPORT_H
#define TWINHUB_CLI_IMPORT_H

#include "cli/priv.h"

#define BATCH_BYTES                                                                                \
	((size_t)2 << 20) /* of one request: 30 s are enough for it on a slow link, too */
#define BATCH_LINES     8000u
#define IMPORT_LINE_MAX ((size_t)8 << 20)

/* ---- lines ---- */

struct line_reader {
	const char *path;
	int fd;
	struct buf in; /* read; `from` bytes of it are gone */
	size_t from;
	bool eof;
	uint64_t offset,
	    line; /* of what comes next: bytes before it in the file; its number, from 1 */
};

struct batch {
	struct buf text;          /* lines; empty: the file has ended */
	uint64_t line, next_line; /* the first line's number; that of the first behind */
	uint64_t offset, end;     /* in the file */
	bool alone; /* begins in the middle of a device: everything before it must be done */
	uint64_t
	    too_long; /* instead of lines: the size of one that is longer than a request may be */
};

/* The next lines. A device's modules come with their device where that is possible. Errors are said. */
int batch_read(struct line_reader *r, struct batch *b);

/* ---- progress ---- */

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
