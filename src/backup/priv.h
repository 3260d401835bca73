/* backup: what its files share. */
#ifndef TWINHUB_BACKUP_PRIV_H
#define TWINHUB_BACKUP_PRIV_H

#include <stdio.h>

#include "backup/backup.h"
#include "os/os.h"

#define PARTIAL    ".partial" /* behind the name of one that is being made, or removed */
#define TREE_DEPTH 3          /* of directories in what is removed */

/* DIR/NAME; false when too long, errno. */
bool join(char out[OS_PATH_MAX], const char *dir, const char *name);
/* A new one, with its mark. ERR_EXISTS: it is there; and what os_fault returns; errno. */
enum err partial_make(const char *path, const char *hub, struct fault *f);
/* Remove one that this hub has left. *was: there was something in it; what is empty is the last of a removal, perhaps another hub's that goes on.
 * ERR_EXISTS: it is somebody's, and stays; and what partial_discard returns. */
enum err partial_remove(const char *path, const char *hub, bool *was, struct fault *f);
/* The same of one that was killed before it had its name: PATH.HUB, of this hub. ERR_NOT_FOUND. */
enum err partial_own_remove(const char *own, struct fault *f);
/* A whole backup of this hub becomes one that is removed. What os_rename and os_replace_file return. */
enum err partial_from(const char *path, const char *partial, const char *hub, struct fault *f);
/* Remove it, whosever it is, so that it can be known for what it is up to its end. What os_remove_tree returns. */
enum err partial_discard(const char *path, struct fault *f);

#endif
