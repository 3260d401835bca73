/* import: what its files share. */
#ifndef TWINHUB_CLI_IMPORT_H
#define TWINHUB_CLI_IMPORT_H

#include "cli/priv.h"
#include "foreign/foreign.h"
#include "transfer/transfer.h"

/* ---- FILE.progress: how far it has got ---- */

struct progress {
	uint64_t size;                /* of the file, or of the lines that it was made into */
	uint64_t offset, line;        /* before these everything is done */
	uint64_t sent;                /* before this offset it may be done */
	uint64_t done, there, failed; /* lines */
	uint64_t error_bytes;         /* of FILE.errors */
};

/* ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO. */
enum err progress_read(const char *path, struct progress *p);
enum err progress_write(const char *path, const struct progress *p);

/* ---- a file of another program, as lines ---- */

/* { 0 } is empty; the owner calls converted_fini. */
struct converted {
	FILE *lines;      /* without a name, at its beginning */
	uint64_t *origin; /* of each line: the number of the line of the file that it comes from */
	size_t n, cap;
	uint64_t nfault;
	/* {"line":..,"deviceId":..,"errorStatus":..}, each with its line break */
	struct buf faults;
	/* names of what was passed over, JSON strings with commas between them */
	struct buf passed;
};

/*
 * Convert the file (path for messages). t: the hub that the lines are for, which knows the scopes of its edge devices; NULL:
 * none is asked. Errors are said; returns an exit code.
 */
int convert_file(const struct target *t, enum foreign_kind kind, const char *path, int fd,
    struct converted *out);
void converted_fini(struct converted *c);

/* ---- lines {"configuration":{...}} ---- */

/*
 * Create each of them. One that exists with the same content is there; with another one it is refused. The answer is like
 * that of /admin/import. Returns an exit code with one line in why when the hub cannot be asked: the same may be sent again.
 */
int configurations_send(const struct target *t, struct str lines, uint64_t first_line,
    struct answer *out, char why[WHY_MAX]);

#endif
