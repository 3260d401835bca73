/*
 * backup: a hub's data in a directory that is whole or not there, and a manifest of what is in it (O-160 to O-169).
 *
 * A backup is what a data directory is, without what a running hub writes for others: `hub.json`, `twinhub.conf`, `policies.json`,
 * certificates, `store/`; and `backup.json`, the manifest, which is written last:
 *
 *   {"made":TIME,"program":"0.1.0","format":4,"hubId":ID,"identities":N,"bytes":N,
 *    "files":[{"name":"hub.json","bytes":N,"sha256":HEX},{"name":"store/000012.sst",...},...],"sha256":HEX,"sum":...}
 *
 * Files stand in the order of their names. The last sha256 is that of their lines "HEX  NAME\n", as sha256sum(1) prints and takes them. Each
 * checksum is of the bytes as they were read back from where the backup is; table files were held against the checksums of
 * the store besides, so a backup of what is damaged already does not come to its end.
 *
 * Nothing here locks: one backup of a hub at a time is the caller's affair.
 */
#ifndef TWINHUB_BACKUP_H
#define TWINHUB_BACKUP_H

#include "store/store.h"

#define BACKUP_FILE      "backup.json"
#define BACKUP_MARK      "backup.part"  /* in a backup that is not whole, with the hub's id */
#define BACKUP_STAGE     "backup.stage" /* in a data directory, while one is made */
#define BACKUP_FILES_MAX 65536u         /* in one backup */
#define BACKUP_NAME_MAX  64u            /* bytes of a file's name in a manifest, with the NUL */
#define BACKUP_WHY_MAX   (4096 + 256)   /* bytes of a line that names a file */
#define SHA256_TEXT_MAX  65             /* hexadecimal, with the NUL */

/* ---- the manifest ---- */

struct backup_file {
	char name[BACKUP_NAME_MAX]; /* "hub.json", "store/000012.sst" */
	uint64_t bytes;
	char sha256[SHA256_TEXT_MAX];
};

struct manifest {
	int64_t made_us;
	/* false: of a former program, which has written nothing but `made`, or not even a file */
	bool listed;
	char program[32], hub[64], sha256[SHA256_TEXT_MAX];
	uint64_t format, bytes;    /* bytes: of all files */
	uint64_t identities;       /* devices and modules */
	struct backup_file *files; /* in the order of their names */
	size_t n;
};

/*
 * Of a directory. ERR_NOT_FOUND: there is none. ERR_CORRUPT: not what was written, or of a backup that is not whole; ERR_SIZE: longer than
 * any; ERR_IO: one line in why, with the file's path. manifest_fini frees it, whatever was returned.
 */
enum err manifest_read(const char *dir, struct manifest *out, char *why, size_t nwhy);
/* Sorts the files, and writes. ERR_SIZE, ERR_FULL, ERR_IO, ERR_UNSYNCED. */
enum err manifest_write(const char *dir, struct manifest *m, struct fault *f);
void manifest_fini(struct manifest *m);
/* By its name; NULL. */
const struct backup_file *manifest_find(const struct manifest *m, const char *name);

/* ---- reading ---- */

/* Told of so many bytes that were read or copied, and may wait; false: give up. */
typedef bool backup_pace(void *ctx, size_t nbyte);

struct sums {
	uint64_t bytes;
	char sha256[SHA256_TEXT_MAX];
	uint32_t crc32c;
};
/* Of a whole file, from the disk itself where the file system can do that. pace may be NULL. ERR_END: given up; ERR_NOT_FOUND, ERR_IO. */
enum err file_sums(
    const char *path, backup_pace *pace, void *ctx, struct sums *out, struct fault *f);

struct backup_checkup {
	/* A file that is damaged, cut, missing, or of which the manifest does not know: its name in the backup. */
	void (*bad)(void *ctx, const char *file, const char *why);
	void *ctx;
	uint64_t nfiles, nbytes; /* out: read */
};
/* Every file against a manifest that lists them, and that there are no others. Goes on behind what is bad. ERR_OK, ERR_CORRUPT. */
enum err backup_verify(const char *dir, const struct manifest *m, struct backup_checkup *up);

/* ---- making ---- */

struct backup_source {
	struct store *store;
	const char *data, *config; /* its directory; its settings, NULL: those in the directory */
	const char *program, *hub; /* its version and id */
	uint64_t format;           /* of what is stored */
	int64_t made_us;           /* now */
	const char *like;          /* a former backup of the same hub; NULL: none */
	backup_pace *pace;
	void *ctx; /* for pace */
	/* One line about what was found on the way and keeps nothing from going on. */
	void (*warn)(void *ctx, const char *line);
};

struct backup_made {
	uint64_t files, bytes, copied_bytes, identities; /* copied: what is not shared by links */
};

/*
 * Into a new directory, outside of the hub's own, whose parent exists: written as DIR.partial, each file and directory synced, then renamed.
 * A kill leaves no DIR or a whole one. Table files are links to the store's where that is the same file system; elsewhere links to those of
 * `like`, when they are the same and good; else copies. ArgumentInvalid: the directory cannot be that; else ServerError,
 * ServiceUnavailable: the store is closed, or it was given up. On an error nothing of it is left.
 * ERR_EXISTS: it is there, or somebody makes it.
 */
enum err backup_make(
    const struct backup_source *s, const char *dir, struct backup_made *out, struct fault *f);
/* What a kill has left in the data directory. True: there was something. */
bool backup_clean_stage(const char *data);

/* ---- many of them in one directory, by time ---- */

#define BACKUP_DIR_NAME_MAX 40

struct backup_seen {
	char name[BACKUP_DIR_NAME_MAX]; /* twinhub-20261130T093000Z */
	int64_t made_us;
	uint64_t files, bytes, identities;
};

/* The name of one that is made at this time. */
void backup_dir_name(int64_t us, char out[BACKUP_DIR_NAME_MAX]);
/* Whole ones of this hub, newest first: what has another name, another hub's manifest or a damaged one is none. free(*out). ERR_IO,
 * ERR_NOT_FOUND: the directory. */
enum err backups_list(
    const char *dir, const char *hub, struct backup_seen **out, size_t *n, struct fault *f);
/* Ends those of this hub that a kill has cut short, and tells each. */
void backups_clean(
    const char *dir, const char *hub, void (*told)(void *ctx, const char *path), void *ctx);
/* `made` and `keep` - 1 others stay; keep >= 1. Whole ones of this hub alone go: those of later than `made`, which another clock has dated,
 * then the oldest; a kill leaves one whole or for
 * backups_clean. How many have gone: *gone. ERR_IO and what else removing may return: f. */
enum err backups_keep(const char *dir, const char *hub, const char *made, unsigned keep,
    unsigned *gone, struct fault *f);

#endif
