/* What is known of shards without a look at their rows: how many devices there are (service-rest.md 14), and their columns. */
#ifndef TWINHUB_TASK_COUNTS_H
#define TWINHUB_TASK_COUNTS_H

#include "query/columns.h"
#include "task/task.h"

struct counts_task {
	struct task task;
	struct shard_counts counts; /* out */
};
struct counts_task *counts_task_new(void);

struct columns_task {
	struct task task;
	struct column_report *report; /* out */
	size_t bytes;                 /* out: that columns take */
};
struct columns_task *columns_task_new(void);

#endif
