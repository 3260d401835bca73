/* transfer, inside: containers and blobs of jobs, which are directories and files. */
#ifndef TWINHUB_TRANSFER_FILES_H
#define TWINHUB_TRANSFER_FILES_H

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

#endif
