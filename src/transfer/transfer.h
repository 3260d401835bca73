/*
 * transfer: the fleet as lines of JSON, out and in again (service-rest.md 12; docs/operations.md, "Export and import").
 *
 * A line is one identity with its twin, a module's after its device's: ExportImportDevice, with what a move to another hub
 * needs besides. Lines go out in the order of the store's keys, read from the store and not from the workers; they come in
 * as parcels, applied beside what devices do. Both take their time: they are called on threads of their own, never on a
 * loop's or a worker's.
 */
#ifndef TWINHUB_TRANSFER_H
#define TWINHUB_TRANSFER_H

#include "worker/worker.h"

/* ---- out ---- */

#define EXPORT_LINES_MAX 10000u
#define EXPORT_BYTES_MAX (4u << 20) /* a page ends with the line that passes it */

/* A cursor, between two lines: the key of the one before it, in base64. */
void export_cursor(struct buf *out, struct str device, struct str module);

/*
 * Append the next lines, each with its line break.
 *   cursor  where to go on: STR_NONE, what export_cursor says, or `next` of the page before
 *   next   appended to: where the next page begins; nothing when there is none
 * One page is of one moment; what is written between two pages is seen by the later one if it lies there.
 * ERR_ARG: cursor is none; ERR_IO, ERR_CORRUPT: the store; f says what.
 */
enum err export_page(struct store *store, struct str cursor, uint32_t nline, bool keys,
    struct buf *lines, struct buf *next, struct fault *f);

/* ---- in ---- */

#define IMPORT_LINES_MAX 20000u /* in one call */

struct import_options {
	struct fleet *fleet;
	struct str actor;               /* the policy */
	const struct import_mode *mode; /* of lines that name none */
	bool whole;                     /* IMPORT_WHOLE */
	/* perhaps these lines have been applied before: what was there already is no fault of theirs */
	bool again;
	bool strict;         /* a line with a member that no item has is refused */
	uint64_t first_line; /* number of the first line */
};

/* A line that was refused; texts are in the result. */
struct import_fault {
	uint64_t line;
	enum fault_code code;
	struct span device, module, text;
};

struct import_result {
	uint64_t nline;              /* lines, also empty ones */
	uint64_t ndone;              /* applied */
	uint64_t nthere;             /* of those: `again`, and it was so already */
	struct import_fault *faults; /* by line */
	uint32_t nfault, capfault;
	struct buf texts;
	/* what the first line with a member that no item has gives in vain; empty: none does */
	struct buf stray;
};

/*
 * Apply every line of a text and wait until what it did is on disk. Lines of one device are applied in their order.
 * ERR_SIZE: more than IMPORT_LINES_MAX lines that are not empty; nothing was applied.
 * ERR_IO: the hub stops, or its store takes no writes: some lines may have been applied, give all of them once more, with
 *   `again`; f says why.
 */
enum err import_lines(
    const struct import_options *o, struct str text, struct import_result *out, struct fault *f);
void import_result_fini(struct import_result *r);
/* {"line":7,"deviceId":"d","errorCode":400004,"errorStatus":"ArgumentInvalid: ..."}, into a list that is open; or a line each. */
void import_faults_put(struct out *o, const struct import_result *r);
void import_faults_write(struct buf *lines, const struct import_result *r);
/* Such a line for one that was longer than IMPORT_LINE_MAX. */
void import_long_line_write(struct buf *lines, uint64_t line, uint64_t size);

/* ---- a file of lines, in batches ---- */

/* of one request: 30 s are enough for it on a slow link, too */
#define BATCH_BYTES     ((size_t)2 << 20)
#define BATCH_LINES     8000u
#define IMPORT_LINE_MAX ((size_t)8 << 20)

/* { .fd, .line = 1 } is one; the owner closes fd and ends `in`. */
struct line_reader {
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
	bool configurations; /* its lines are {"configuration":{...}}, and nothing else */
	/* instead of lines: the size of one that is longer than a request may be */
	uint64_t too_long;
};

/* The first bytes of the file, as many as there are up to a batch's; nothing is taken. ERR_IO, with errno. */
enum err line_reader_peek(struct line_reader *r, struct str *head);
/* The next lines. A device's modules come with their device where that is possible. ERR_IO, with errno. */
enum err batch_read(struct line_reader *r, struct batch *b);

/* ---- import and export jobs on files (service-rest.md 12) ---- */

/*
 * One job at a time, on a thread of its own. A container is a directory: a file: URI, at or below one of those that the
 * operator has named. Symbolic links are not followed below these. Jobs are known until the hub stops, the last
 * FILE_JOBS_KEPT of them. Any thread.
 */
#define FILE_JOBS_KEPT 100u

#define FILE_JOB_ID    32 /* digits */

struct file_jobs;
struct file_jobs_options {
	struct fleet *fleet;
	struct store *store;
	struct loop *loop;       /* hears that the log has the end of a job */
	const char *const *dirs; /* borrowed, as is the fleet */
	unsigned ndir;           /* 0: no job can be made */
};

/* ERR_ARG: why says which directory cannot be had. */
enum err file_jobs_new(
    const struct file_jobs_options *o, struct file_jobs **out, char *why, size_t nwhy);
/* The job under way ends, and none begins any more. The fleet and the loop still run, so that its end gets into the log. */
void file_jobs_stop(struct file_jobs *j);
void file_jobs_free(struct file_jobs *j); /* after that. NULL is fine */

/*
 * Begin the job that the body asks for, and append its JobProperties; id gets its id. Touches files: not on a loop's thread.
 * F_BlobContainerValidationError: no file: URI, or not in the directories; F_ArgumentInvalid; F_JobQuotaExceeded.
 */
enum err file_job_create(struct file_jobs *j, struct doc body, struct str policy,
    char id[FILE_JOB_ID + 1], struct buf *json, struct fault *f);
void file_jobs_write(struct file_jobs *j, struct buf *json); /* an array, newest first */
bool file_job_write(
    struct file_jobs *j, struct str id, struct buf *json); /* false: there is none */
/* False: there is none. was_running: it has an effect. */
bool file_job_cancel(struct file_jobs *j, struct str id, bool *was_running);

#endif
