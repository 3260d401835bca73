/*
 * Questions about jobs, as tasks (task/task.h): jobs themselves, which are on shard 0, what has come of their devices, and which
 * devices one would be about.
 */
#ifndef TWINHUB_JOB_QUESTIONS_H
#define TWINHUB_JOB_QUESTIONS_H

#include "job/rowset.h"
#include "job/work.h"
#include "task/query.h"
#include "task/samples.h"

/* A query of any collection: of devices and modules by task/query.h; of jobs and of their results, devices.jobs, here. A bookmark in
 * the results is (shard, number of the job as generation, row), of jobs their number: neither moves. */
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
	struct sink sink;       /* first; the query's: it frees the trial */
	struct job *job;        /* its own */
	bool counts;            /* the first page: the whole fleet is counted */
	unsigned left;          /* twins still to be shown */
	uint64_t devices;       /* out: targets seen */
	struct samples samples; /* out: what would become of them */
	unsigned most;          /* `left` at the beginning; of another node's with less room */
	size_t most_bytes;
	struct former former;
	bool over; /* out: the next page begins at `end` */
	struct query_bookmark end;
};
#define TRIAL_SAMPLE_MAX 100u
#define TRIAL_BYTES      (8u << 20) /* of samples; at it there are fewer */
/* So many twins are shown. */
struct trial *trial_new(struct job *job, bool counts, unsigned sample);
/* One that another node asks for (task/walk.h); NULL: it is none. The query's: it frees it. */
struct sink *trial_made(struct str text);

/* ---- work: the parts of jobs ---- */

/* What a part sets off. */
struct part_face {
	void *ctx;
	/* May no other call be begun? Of a row that has begun one: it is to be sent once this is on disk. */
	bool (*calls_full)(void *ctx);
	void (*call)(void *ctx, const struct job *j, uint32_t shard, uint32_t row);
	/* May one more device of any job have its turn now (L-16)? Then it is taken. No: not before *wait_ns; again: it was put off before. */
	bool (*paces)(void *ctx, bool again, int64_t *wait_ns);
	/* Once what was written is on disk, shard 0 is to hear of it. */
	void (*report)(void *ctx, const struct job_report *r);
	/* Another row whose records a change of this one needs, and which; TABLE_NONE: they are all in memory. */
	uint32_t (*family_row)(struct shard *sh, uint32_t row, unsigned *records);
	/* What the round has says now how far the part is. */
	void (*saved)(void *ctx);
};

/* One job's part in the shard at hand; a thread has one, which goes from job to job. STEP_DONE: there is nothing left to be done
 * here. */
struct part_task {
	struct task task;
	/* whose turn it is; borrowed for the slice. task.bookmark.shard says where */
	struct job *job;
	unsigned shards; /* that this process has, of all; 0: all */
	/* out, WAIT_EVENT: not before, by env->elapsed_us; 0: until something comes */
	int64_t rest_us;
	bool put_off; /* the next turn was, by `paces` */
	const struct part_face *face;
	/* the choice of targets, of one part at a time */
	struct query_task *choice; /* NULL: none is made */
	uint64_t choice_job;
	struct targets chosen;
	struct former former; /* of the row whose turn is next; of one job at a time */
	uint64_t former_job;
	int64_t former_us; /* when it was gone on with */
};
struct part_task *part_task_new(const struct part_face *face);
/* What was chosen so far has been undone. */
void part_task_stop(struct part_task *pt);
/* Write how far the part is, which something else than a step has moved. */
void part_task_save(struct part_task *pt, struct shard *sh, struct slice *slice);

#endif
