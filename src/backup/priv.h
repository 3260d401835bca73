/* backup: what its files share. */
#ifndef TWINHUB_BACKUP_PRIV_H
#define TWINHUB_BACKUP_PRIV_H

#include <stdio.h>

#include "backup/backup.h"
#include "os/os.h"

#define PARTIAL    ".partial"    /* behind the name of one that is being made, or removed */
#define MARK       "backup.part" /* in it: so that nothing else is ever taken for one */
#define TREE_DEPTH 3             /* of directories in what is removed */

/* DIR/NAME; false when too long, errno. */
bool join(char out[OS_PATH_MAX], const char *dir, const char *name);
/* Remove a directory that bears the name of a partial one. ERR_EXISTS: it is somebody's, and stays; and what os_remove_tree returns. */
enum err partial_remove(const char *path, struct fault *f);

#endif
