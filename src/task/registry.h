/*
 * The registry's questions: the first devices in the order of their ids, and the members of a scope.
 */
#ifndef TWINHUB_TASK_REGISTRY_H
#define TWINHUB_TASK_REGISTRY_H

#include "task/query.h"

/* The identities of the page's limit of devices, smallest ids first. */
struct task *list_task_new(void);

/* A sink: matching devices as identities go to the page, and those of all their modules to page.modules. */
extern struct sink registry_sink;

#endif
