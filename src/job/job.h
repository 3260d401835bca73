/*
 * Jobs (docs/spec/jobs-and-configurations.md, part A): one change of many twins, or one method of many devices, at a time
 * that was asked for. A job is an immutable value, made from its stored form and shared by counted reference between
 * threads; each step of its life is a new value. What has come of its devices is kept by their shards (job/work.h).
 *
 *   QUEUED --its start is ahead--> SCHEDULED
 *   QUEUED, SCHEDULED --its start, and fewer than JOBS_ACTIVE_MAX run--> RUNNING --each shard's part has ended--> COMPLETED,
 *                                                     or FAILED: a record that its condition asks for is damaged
 *   any of these --asked--> CANCELLED
 *
 * state.stop says why devices that have not had their turn shall not have it any more; after max_s that is no failure of the job.
 *
 *   job.h     this: the value and sets of them
 *   work.h    what a shard does of one, and what has come of it as queries see it
 *   rowset.h  sets of row numbers: targets
 *   parts.h   the room's own: what a shard keeps
 *
 * The order of calls: job_encode_new from a request's body, the record written; job_new from the record, at start as well; for another
 * state job_encode, the record written, and job_new of it takes its place in the set (jobs_with).
 *
 * Ownership: a job and a set live while somebody has a reference; every str in them is theirs. They may be read by all threads: only
 * the counts of references and what is in its pace change. Times are microseconds since 1970.
 */
#ifndef TWINHUB_JOB_JOB_H
#define TWINHUB_JOB_JOB_H

#include <stdatomic.h>

#include "base/refs.h"
#include "query/query.h"

#define JOBS_MAX 4096u /* remembered at once; beyond it the oldest that has ended is forgotten */
#define JOBS_ACTIVE_MAX                                                                            \
	10u /* running, or queued to run at once (L-56); a hub may have less: LIMIT_ACTIVE_JOBS */
#define JOBS_BYTES_MAX (UINT64_C(4) << 30) /* of results; beyond it the same */
/* of one job's results in a shard; beyond it answers go without payload */
#define JOB_PART_BYTES_MAX (16u << 20)
#define JOB_SIZE_MAX       (256u << 10) /* bytes of what was asked for, as a doc */
#define JOB_HISTORY_US     (INT64_C(30) * 86400 * 1000000) /* J-17 */
#define JOB_SECONDS        3600 /* maxExecutionTimeInSeconds, if none is given */

enum job_type { JOB_TWIN, JOB_METHOD, JOB_MESSAGE, JOB_RESTORE, JOB_TYPES };
enum job_status {
	JOB_QUEUED,
	JOB_SCHEDULED,
	JOB_RUNNING,
	JOB_COMPLETED,
	JOB_FAILED,
	JOB_CANCELLED,
	JOB_STATUSES
};
const char *job_type_name(enum job_type t);
/* The member of a job that says what is to be done. */
const char *job_type_member(enum job_type t);
/* By its name, without case; JOB_TYPES: there is none. */
enum job_type job_type_find(struct str name);
const char *job_status_name(enum job_status s);

/* Why devices that have not had their turn shall not have it any more. */
enum job_stop { JOB_GOES_ON, JOB_STOP_CANCELLED, JOB_STOP_LATE, JOB_STOP_FAILED, JOB_STOPS };

struct job_counts {
	uint64_t devices, succeeded, failed, running;
	uint64_t bytes; /* of the results that are stored */
};

/* What moves in a job's life. */
struct job_state {
	enum job_status status;
	enum job_stop stop;
	bool settled;                         /* nothing of it is under way: counts are final */
	int64_t began_us, stopped_us, end_us; /* 0: not yet */
	struct job_counts counts;             /* of a settled one */
	struct str failure;                   /* empty: none */
};

/* When the next device may have its turn: one for all values that a job takes, as its rate is one. The workers'. */
struct job_pace {
	struct refs refs;
	atomic_int_least64_t until_ns; /* what was taken is paid for by then */
};

struct job {
	struct refs refs;
	uint64_t number; /* later jobs have larger ones; never used twice */
	struct str id;
	enum job_type type;
	struct job_state state;
	int64_t created_us, start_us; /* start_us: asked for, or created_us */
	int64_t max_s;
	uint32_t rate; /* devices a second; 0: no limit of its own */
	struct query *target;
	struct doc body;   /* what was sent, without repeated members */
	struct doc patch;  /* JOB_TWIN: the twin document */
	struct str method; /* JOB_METHOD */
	/* JOB_METHOD: the JSON text for the device; JOB_MESSAGE: as OP_MESSAGE_SEND has it */
	struct str payload;
	struct job_message {
		uint8_t ack; /* enum message_ack */
		uint32_t bag_bytes, life_s;
		bool named; /* it has a message id; else each gets one of its own */
	} message;
	uint16_t response_s, connect_s;
	int64_t at_us; /* JOB_RESTORE: to what was then */
	struct str record;
	struct arena arena;
	struct job_pace *pace;
};

/* The record of a new job from a request's body (a doc without repeated members). Appended to out. ERR_ARG: f says what is
 * wrong (J-04 to J-08). */
enum err job_encode_new(struct buf *out, struct str id, uint64_t number, struct doc body,
    int64_t now_us, struct fault *f);
/* The record of the same job in another state. */
void job_encode(struct buf *out, const struct job *j, const struct job_state *state);
/* ERR_CORRUPT: not a record. The caller holds the only reference. */
enum err job_new(struct str record, struct job **out);
struct job *job_ref(struct job *j);
void job_unref(struct job *j); /* NULL is fine */

/* Has it been begun, and is some device of it still under way? */
static inline bool
job_active(const struct job *j)
{
	return j->state.began_us != 0 && !j->state.settled;
}
static inline bool
job_ended(const struct job *j)
{
	return j->state.end_us != 0;
}

/* The text of its condition. */
struct str job_condition(const struct job *j);

/* ---- sets: immutable too ---- */

struct jobs {
	struct refs refs;
	uint32_t n;
	struct job *v[]; /* by number, ascending */
};

struct jobs *jobs_ref(struct jobs *set);
void jobs_unref(struct jobs *set); /* NULL is fine */
/* A copy with one more, or another one in the place of its namesake; j NULL: without the one of that number. set NULL: the
 * empty one. Takes its own references. */
struct jobs *jobs_with(const struct jobs *set, uint64_t number, struct job *j);
struct job *jobs_find(const struct jobs *set, struct str id);     /* NULL: there is none */
struct job *jobs_number(const struct jobs *set, uint64_t number); /* NULL: there is none */
uint32_t jobs_from(const struct jobs *set, uint64_t number); /* index of the first at or after it */
/* Those of the set that were in the former one (NULL: none was) go on at their pace there. Before others see the set. */
void jobs_go_on(struct jobs *set, const struct jobs *former);

#endif
