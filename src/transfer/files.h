/* transfer, inside: jobs, and their containers and blobs, which are directories and files. */
#ifndef TWINHUB_TRANSFER_FILES_H
#define TWINHUB_TRANSFER_FILES_H

#include "os/clock.h"
#include "os/thread.h"
#include "transfer/transfer.h"

struct container_root {
	const char *path; /* absolute, as the operator wrote it */
	int fd;
};

/* ERR_ARG: one line in why. */
enum err root_open(struct container_root *root, const char *path, char *why, size_t nwhy);

/* The directory of a container's URI, to be closed; -1: f says why not. */
int container_open(const struct container_root *roots, unsigned n, struct str uri, struct fault *f);
/* May a blob have that name here? A file's, without a directory. */
bool blob_name_valid(struct str name);

/* A file that takes its name when it is whole. */
struct new_file {
	int dir, fd;
	char *name, *temporary;
};
bool new_file_open(struct new_file *nf, int dir, struct str name, const char *unique);
bool new_file_write(struct new_file *nf, struct str bytes);
/* On disk, by its name, with mode 0600. False: errno. */
bool new_file_commit(struct new_file *nf);
void new_file_end(struct new_file *nf); /* without commit: it is gone */

/* ---- jobs ---- */

enum file_job_status { RUNNING, COMPLETED, FAILED, CANCELLED };

struct file_job {
	struct file_job *next; /* older */
	struct file_jobs *all;
	char id[FILE_JOB_ID + 1];
	bool import, keys;
	char *uri[2], *name[2]; /* of the input and the output; uri[0] NULL: an export */
	char *actor;
	/* the thread's: */
	int in, out;           /* directories */
	uint64_t done, failed; /* identities, or lines of an import */
	/* with mu: */
	enum file_job_status status;
	/* nothing is done any more, and what it has ended as stands fast; shown when the log has it */
	bool over;
	unsigned progress;
	int64_t start_us, end_us;
	char reason[FAULT_TEXT_MAX];
};

struct file_jobs {
	struct file_jobs_options o;
	struct container_root *roots;
	pthread_mutex_t mu;
	/* signalled with stop, with a cancel, and when the log has a job's end, or cannot have it */
	pthread_cond_t stopped;
	struct file_job *newest;
	bool stop, busy;    /* busy: a thread works */
	bool told, refused; /* of the job's end: the log has answered; it was not taken */
	struct thread thread;
};

/* Do what the job is for, on its thread; from then on it is failed, or as it was. */
void file_job_run(struct file_job *job);
/* Its end, as `status` at end_us, to the log (E-95): waits until it is there, or cannot be. */
void file_job_tell(struct file_job *job, enum file_job_status status, int64_t end_us);
const char *file_job_status_name(enum file_job_status status);

#endif
