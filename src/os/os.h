/*
 * os: the floor of the operating system: files and directories. Whoever replaces, names or removes a file does it by
 * these, so that there is one opinion on what is durable, and no error of write, fsync, close or rename is lost.
 *
 * Errors: ERR_NOT_FOUND, ERR_EXISTS, ERR_FULL (no space, no quota), ERR_SIZE (a path or file too long), ERR_IO; f, which
 * may be NULL, gets one line with the file's name and the system's words; errno is the system's.
 *
 * ERR_UNSYNCED is no failure and no success: the new name is there for everybody, but the directory could not be synced, so a
 * crash of the machine may bring the old one back. It is told by what it is: what is in memory should follow the new file.
 */
#ifndef TWINHUB_OS_H
#define TWINHUB_OS_H

#include "base/base.h"

#define OS_PATH_MAX 4096

/* Begins the text of every fault that a failed fsync or fdatasync left. */
#define OS_SYNC_FAILED "While fsync: "

/* ---- files ---- */

/* All bytes, whatever interrupts. False: errno; what is written is a part of them. */
bool os_write_all(int fd, struct str bytes);
/* Append the whole of a file to out; ERR_SIZE when it has more than max bytes. On an error out is as before. */
enum err os_read_file(const char *path, size_t max, struct buf *out, struct fault *f);
/* Copy what is left in one descriptor to another. False: errno. */
bool os_copy(int in, int out);
/*
 * Replace a file, or make it: written beside it under another name, synced, renamed, directory synced. After a crash it has
 * the old content or the new. On an error but ERR_UNSYNCED it is as it was.
 */
enum err os_replace_file(const char *path, struct str bytes, unsigned mode, struct fault *f);
/* Give a file or directory, which is durable itself, another name. On an error but ERR_UNSYNCED it has the old one. */
enum err os_rename(const char *from, const char *to, struct fault *f);
/* The same for names in an open directory. */
enum err os_rename_at(int dir, const char *from, const char *to, struct fault *f);

/* ---- directories ---- */

/* Calls each(ctx, name) for every entry but . and ..; stops at its first error, which is the result. */
enum err os_each_entry(
    const char *dir, enum err (*each)(void *ctx, const char *name), void *ctx, struct fault *f);
enum err os_sync_dir(const char *dir, struct fault *f);
enum err os_sync_parent(const char *path, struct fault *f); /* what makes path's name durable */
/* Remove a directory with what is in it, directories down to `depth` levels below it; ERR_OK when there is none. */
enum err os_remove_tree(const char *dir, unsigned depth, struct fault *f);
/* Is path this directory, or below it, whatever links lead there? Its parent must exist, itself not. */
enum err os_is_below(const char *path, const char *dir, bool *below, struct fault *f);

/* Take a directory for one's own, until *fd is closed or the process ends. ERR_LOCKED: somebody has it. */
enum err os_hold_dir(const char *dir, int *fd, struct fault *f);

/* ---- the process ---- */

/*
 * To be called before anything is opened: of descriptors 0 to 2 one that was closed is taken, so that nothing that is opened has its number. Input
 * and output fail as before (EBADF), what goes to 2 goes nowhere.
 */
void os_standard_open(void);

/* ---- errors ---- */

/* What errno means; f: "DID PATH: the system's words". Leaves errno as it is. */
enum err os_fault(struct fault *f, const char *did, const char *path);

#endif
