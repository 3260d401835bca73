/*
 * The work of jobs in shards, and what has come of it as queries see it (job/job.h has jobs themselves).
 *
 * Shard 0 has the jobs. The set of them, once on disk, is told to every shard (jobs_know), and each does its part of
 * what is active in it: chooses its targets, once; gives each its turn, in the order of their keys, so that a part's cursor
 * is one key; and reports how far it is. Everything a part does is in the commits of the twins that it concerns, or undone
 * with them, so after any end of the process it goes on where it was.
 *
 *   JOB_CHOOSES --part_targets--> JOB_ORDERS --part_order--> JOB_WORKS --the last one has ended--> JOB_ENDS
 *                                           ^                            |
 *                                           +-------- a new start -------+
 *
 * The order of calls, for one shard and each active job j of the set; the caller says how much is done at a time:
 *
 *   jobs_know(sh, set)                          when the set is on disk, and at start
 *   switch (part_phase(sh, j))
 *   JOB_CHOOSES   rows that its condition matches -> part_targets, once
 *   JOB_ORDERS    part_order, some steps at a time
 *   JOB_WORKS     while ((row = part_row(sh, j, &records)) != TABLE_NONE)
 *                     those records are in memory, or damaged
 *                     part_step: true: when that is on disk, call its method; then part_answer
 *   part_save                                    at the end of a turn, in the same commit; the report goes to shard 0 behind it:
 *   part_committed, on shard 0 jobs_reported, jobs_tick
 *   jobs_undone(sh)                            after an undo
 *   part_forgotten, then part_forget        what jobs have left that are known no more
 *
 * Errors: nothing here fails. A target that cannot have its change has a result that says why: a fault code and its text (J-16, J-18).
 * Ownership: a shard has a reference to the set; rows are numbers, good while the identity lives; what hub_target shows is borrowed until
 * the shard changes. Times are microseconds since 1970.
 *
 * A feature of shards (shard/feature.h): an identity that goes leaves its result under its name.
 *
 * Rules: docs/spec/jobs-and-configurations.md, part A (J-01 to J-27), J-69 to J-74.
 */
#ifndef TWINHUB_JOB_WORK_H
#define TWINHUB_JOB_WORK_H

#include "hub/hub.h"
#include "job/former.h"
#include "job/job.h"

extern const struct feature job_feature;

/* ---- shard 0 ---- */

/* Shard 0: the set as last written, perhaps not on disk yet. The caller's reference. */
struct jobs *jobs_stored(const struct shard *sh);
/* Shard 0: how far a shard is, on disk. */
struct job_report {
	uint64_t number;
	uint32_t shard;
	bool ended;     /* nothing of the job is under way there any more */
	bool broken;    /* its targets cannot be chosen there: a stored record is damaged */
	uint64_t epoch; /* of the shard, by which it was done; an older one counts no more */
	struct job_counts counts;
	uint64_t results; /* the shard's own: how many it had written */
};
void jobs_reported(struct shard *sh, const struct job_report *r);
/* Shard 0: what the time and the reports have brought about. Returns when to come again, env->now_us at the earliest;
 * INT64_MAX: when something has happened. */
int64_t jobs_tick(struct shard *sh, const struct hub_env *env);

/* Shard 0: as far as the shards have reported. */
struct job_counts jobs_counts(const struct shard *sh, const struct job *j);

/* The set that holds from now on; takes a reference. */
void jobs_know(struct shard *sh, struct jobs *set);
/* What has been done since the last commit has been undone. */
void jobs_undone(struct shard *sh);

enum job_phase {
	JOB_CHOOSES, /* its targets: part_targets is to be called */
	JOB_ORDERS,  /* them: part_order */
	JOB_WORKS,   /* part_row, then part_step */
	JOB_ENDS     /* nothing is to be done here */
};
enum job_phase part_phase(struct shard *sh, const struct job *j);
struct rowset;
/* Its targets. Those that are gone meanwhile do not count. */
void part_targets(
    struct shard *sh, const struct job *j, const struct rowset *rows, const struct hub_env *env);
/* At most `steps` steps of putting what is left into order. */
void part_order(struct shard *sh, const struct job *j, uint32_t steps);
/* The row whose turn it is, and which records it needs; TABLE_NONE: none is left. */
uint32_t part_row(struct shard *sh, const struct job *j, unsigned *records);
/* Do it; damaged: its records cannot be had. True: its method is to be called, once this is on disk: then comes
 * part_answer. */
bool part_step(struct shard *sh, const struct job *j, bool damaged, const struct hub_env *env);
/* The same of a JOB_RESTORE, whose row's former twin is ready, or says why there is none; NULL: its records are damaged. */
void part_restore(
    struct shard *sh, const struct job *j, const struct former *was, const struct hub_env *env);
/* What has come of the call of a row; of one that is not under way any more nothing is heard. */
struct job_answer {
	bool canceled;         /* the job was, before the device had been called */
	enum fault_code fault; /* F_NONE: the device has answered */
	struct str text;       /* of the fault */
	int32_t status;        /* the device's own */
	struct str payload;    /* a doc */
};
void part_answer(struct shard *sh, const struct job *j, uint32_t row, const struct job_answer *a,
    const struct hub_env *env);
/* What a job would do to a row whose records are in memory, and the twin as it would be; nothing is written. was: of a JOB_RESTORE.
 * Appended. */
void part_try(struct shard *sh, uint32_t row, const struct job *j, const struct former *was,
    int64_t now_us, struct buf *json);
/* Its ids as a JSON object. */
void target_write(const struct shard *sh, uint32_t row, struct buf *json);
/* The i-th row whose call is under way; TABLE_NONE: there are no more. */
uint32_t part_called(const struct shard *sh, const struct job *j, uint32_t i);
/* A job that is known no more and has left something here: its number, and the prefix of its results, which go first;
 * 0: there is none. Then its part. */
uint64_t part_forgotten(const struct shard *sh, char room[HUB_PREFIX_MAX], struct str *results);
void part_forget(struct shard *sh, uint64_t number, const struct hub_env *env);
/* Write how far the part is, at the end of a turn; *r says so too. False: nothing has happened since. */
bool part_save(
    struct shard *sh, const struct job *j, const struct hub_env *env, struct job_report *r);
/* That report is on disk. */
void part_committed(struct shard *sh, const struct job_report *r);

/* ---- as queries see it ---- */

/* A job as a row of the collection `jobs`: hub_job_ops. On shard 0. */
struct hub_job {
	const struct job *job;
	struct job_counts counts;
};
extern const struct query_row_ops hub_job_ops;
void hub_job_open(struct hub_job *row, const struct shard *sh, const struct job *j);

/* What has come of one device of a job, a row of `devices.jobs`: hub_target_ops. Borrowed. */
enum target_status {
	TARGET_PENDING,
	TARGET_RUNNING,
	TARGET_COMPLETED,
	TARGET_FAILED,
	TARGET_CANCELED,
	TARGET_STATUSES
};
struct hub_target {
	const struct job *job;
	struct str device, module;
	enum target_status status;
	int64_t began_us, ended_us, updated_us; /* 0: not yet */
	struct str code, text;                  /* TARGET_FAILED */
	bool answered;                          /* by the device: */
	int32_t answer_status;
	struct doc answer;
	bool unchanged; /* JOB_RESTORE: it was as it shall be */
	bool damaged;   /* its record is: nothing else holds */
};
extern const struct query_row_ops hub_target_ops;

/* The targets of the first job at or after this number that has some in the shard, in the order of their rows; NULL: there
 * is none. Until the shard changes. */
struct hub_targets;
struct hub_targets *targets_open(const struct shard *sh, uint64_t number);
void targets_close(struct hub_targets *ts); /* NULL is fine */
const struct job *targets_job(const struct hub_targets *ts);
/* Results that are stored have these keys of RECORD_COMMON, the row in their last four bytes; appended. */
void targets_key(const struct hub_targets *ts, uint32_t row, struct buf *out);
/* The next target at or after `row`; stored_row, stored: the next one that is stored, TABLE_NONE: none is. Its row;
 * TABLE_NONE: there is none. */
uint32_t targets_next(const struct hub_targets *ts, uint32_t row, uint32_t stored_row,
    struct str stored, struct hub_target *t);

#endif
