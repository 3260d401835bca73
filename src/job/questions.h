/*
 * Questions about jobs, as tasks (task/task.h): jobs themselves, which are on shard 0, what has come of their devices, and which
 * devices one would be about.
 */
#ifndef TWINHUB_JOB_QUESTIONS_H
#define TWINHUB_JOB_QUESTIONS_H

#include "job/rowset.h"
#include "job/work.h"
#include "task/query.h"

/* A query of any collection: of devices and modules by task/query.h; of jobs and of their results, devices.jobs, here. A place in the
 * results is (shard, number of the job as generation, row), of jobs their number: neither moves. */
struct query_task *any_query_task_new(struct query *q);

/* The list of jobs is no query: a filter, and whole jobs. */
struct jobs_task {
	struct task task;
	int type, status; /* only such ones; -1: any */
};
struct jobs_task *jobs_task_new(int type, int status);

/* ---- sinks ---- */

/* Rows that match go to a set. */
struct targets {
	struct sink sink; /* first; targets_sink. The owner frees it */
	struct rowset rows;
};
struct sink targets_sink(void);

/* A job that is only tried: its targets are listed in the page, and some shown as they would be. */
struct trial {
	struct sink sink;   /* first; the query's: it frees the trial */
	struct job *job;    /* its own */
	bool counts;        /* the first page: the whole fleet is counted */
	unsigned left;      /* twins still to be shown */
	uint64_t devices;   /* out: targets seen */
	struct buf samples; /* out: what would become of them, with commas between */
	bool over;          /* out: the next page begins at `end` */
	struct query_place end;
};
#define TRIAL_BYTES (8u << 20) /* of samples; at it there are fewer */
struct trial *trial_new(struct job *job);

#endif
