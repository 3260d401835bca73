/*
 * sealed: files of JSON that are the program's own, with a checksum at their end:
 *
 *   {"format":1,"shards":64,...,"sum":"0f3c9a2b55d81e64"}\n      of all that is before ,"sum"
 *
 * To JSON a flipped bit may be another number, name or key. A file that has none is of a former program, or of somebody who has
 * edited it and taken the checksum off; it gets one at the next start.
 */
#ifndef TWINHUB_SEALED_H
#define TWINHUB_SEALED_H

#include "doc/doc.h"

/* json: an object whose closing brace is still to come. */
void sealed_end(struct buf *json);

struct sealed {
	struct buf json; /* a doc object; sealed_fini frees it */
	bool has_sum;
};

/*
 * ERR_CORRUPT: no object, or not what the checksum says. ERR_NOT_FOUND, ERR_IO. One line in why, which names the file.
 * What has no checksum is to be asked whether its members are known: it may be its name that is damaged.
 */
#define SEALED_MAX (1u << 20) /* bytes, where no other number is said */
enum err sealed_read(const char *path, struct sealed *out, char *why, size_t nwhy);
enum err sealed_read_most(
    const char *path, size_t max_bytes, struct sealed *out, char *why, size_t nwhy);
/* The same of bytes that are called so. */
enum err sealed_open(
    const char *name, struct str all, size_t max_bytes, struct sealed *out, char *why, size_t nwhy);
enum err sealed_known(const struct sealed *file, const char *path, const char *const *members,
    char *why, size_t nwhy);
void sealed_fini(struct sealed *file);
/* Give a file that has none its checksum; it has been read before. */
enum err sealed_add(const char *path, unsigned mode, struct fault *f);

struct str json_str(struct doc obj, const char *key);  /* "" when there is none */
uint64_t json_number(struct doc obj, const char *key); /* 0 when there is none */

#endif
