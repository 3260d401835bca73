/*
 * Which paths twins have (O-130): every twin is looked at, its records read from the store in the order of their keys where memory does not
 * have them, and none is taken into memory.
 *
 * What is remembered is bounded, whatever the fleet holds: PATHS_MAX paths of at most PATH_TEXT_MAX bytes each and PATH_NAMES_MAX in all, and of one
 * object PATH_CHILDREN_MAX members, so that a map with a key for each device takes no place from the rest. A path that is remembered has been
 * counted from the first twin that has it, so its figures are exact; of the others is known how often one was met.
 */
#ifndef TWINHUB_TASK_PATHS_H
#define TWINHUB_TASK_PATHS_H

#include "query/columns.h"
#include "task/task.h"

#define PATHS_MAX         4096u
#define PATH_TEXT_MAX     1024u
#define PATH_NAMES_MAX    (1u << 20)
#define PATH_CHILDREN_MAX 256u

struct paths_task;

/* Those that begin with prefix, as text; empty: all. */
struct task *paths_task_new(struct str prefix);
/* When it has ended well: the answer as one object, its `top` most frequent paths; appended. */
void paths_write(struct task *t, uint32_t top, struct buf *json);

#endif
