/*
 * Jobs in a shard, as its files share them.
 *
 * Records of RECORD_COMMON (S: shard, 2 bytes; N: the job's number, 8; R: row, 4; all big-endian):
 *
 *   job/ID         shard 0: the job
 *   jobrows/ S N   the targets (rowset.h); of an ended part those that have no result of their own
 *   jobpart/ S N   how far the part is
 *   jobdone/ S N R the result of one target that is not told by the part alone: a failure, a method's answer, and whatever
 *                  a device was given before it was deleted
 *
 * A target without a result of its own has had its turn if its key is not behind the part's cursor. While a part is
 * active it has `left`: the targets without a result of their own.
 */
#ifndef TWINHUB_JOB_PARTS_H
#define TWINHUB_JOB_PARTS_H

#include "hub/change.h"
#include "job/rowset.h"
#include "job/work.h"

#define JOB_KEY         "job/"
#define ROWS_KEY        "jobrows/"
#define PART_KEY        "jobpart/"
#define DONE_KEY        "jobdone/"

#define JOB_FLIGHTS_MAX 32u /* calls of methods under way at once, of one job in one shard */

struct job_flight {
	uint32_t row;
	int64_t since_us;
};

/* What the record of a part holds. */
struct part_state {
	bool ended;
	enum job_stop stop;         /* why it has ended with targets behind the cursor */
	uint64_t generation;        /* of the newest identity when the targets were chosen */
	int64_t began_us, moved_us; /* the targets were chosen; last change */
	uint64_t devices, succeeded, failed;
	uint64_t bytes; /* of results of their own */
	uint32_t nflight;
	struct job_flight flight[JOB_FLIGHTS_MAX];
	/* key of the last target that had its turn, without its shard; 0: none has */
	uint16_t cursor_n;
	char cursor[2 * ID_MAX + 1];
};

/* A result that is perhaps not on disk yet. */
struct fresh_result {
	uint32_t row;
	uint64_t order;
	struct blob *value;
};

/* Of an active part. */
struct part_work {
	struct part_state now; /* and what has happened since it was written */
	bool moved;            /* something has */
	struct rowset left;
	uint32_t *heap; /* rows, the smallest key on top */
	uint32_t nheap, room, gathered;
	bool ordered;
	struct fresh_result *fresh;
	uint32_t nfresh, capfresh;
	uint64_t nresult; /* written in this life of the process */
};

struct job_part {
	uint64_t number;
	struct blob *record, *rows; /* as written; NULL: its targets are not chosen yet */
	struct part_work *work;     /* NULL: it has ended, and that is on disk */
	bool told;                  /* a report has been made since the last change */
};

struct job_reports;
void reports_free(struct job_reports *rs); /* NULL is fine */

/* What jobs keep in a shard. */
struct shard_jobs {
	struct jobs *stored; /* shard 0: the hub's, as last written; NULL: none */
	struct job_reports *reports;
	int64_t next_us;        /* shard 0: when the time brings something about, */
	uint32_t most;          /* as long as so many jobs may run at once */
	struct jobs *known;     /* to this shard; NULL: none */
	struct job_part **part; /* by number */
	uint32_t npart, cappart;
};

void reports_trim(struct shard_jobs *js);

static inline struct shard_jobs *
jobs_of(const struct shard *sh)
{
	return shard_state(sh, &job_feature);
}

/* Index of the first part at or after a number. */
uint32_t part_from(const struct shard_jobs *js, uint64_t number);
struct job_part *part_find(const struct shard *sh, uint64_t number);
struct job_part *part_make(struct shard *sh, uint64_t number);
void part_free(struct job_part *p);
/* From the record; false: it is none. */
bool part_decode(struct str record, struct part_state *s);
enum err part_common(struct shard *sh, struct str key, const struct str *value);
/* Key of a part's record, or the prefix of its results. */
struct str part_key(const char *prefix, uint32_t shard, uint64_t number, char room[HUB_PREFIX_MAX]);
void part_set_cursor(struct part_state *s, struct str cursor);
void part_work_free(struct part_work *w); /* NULL is fine */
/* As its record says; what is not written is forgotten. ERR_CORRUPT: it is none. */
enum err part_reset(struct job_part *p);
void part_rows_write(
    struct shard *sh, struct job_part *p, const struct rowset *rows, const struct hub_env *env);
/* Take the i-th row out of the order. */
void part_pop(const struct shard *sh, struct part_work *w, uint32_t i);
/* Fresh results of one row, or the first so many. */
void part_fresh_drop(struct part_work *w, uint32_t row, uint64_t upto);
/* The key of a row as cursors have it. */
struct str part_cursor_of(const struct row *r);
void part_write(struct shard *sh, struct job_part *p, const struct hub_env *env);
/* Take a row out of the calls under way; false: it is none of them. */
bool part_lands(struct part_state *s, uint32_t row, int64_t *since_us);
/* Take a row out of the order. */
void part_unorder(struct shard *sh, struct part_work *w, uint32_t row);

/* The first fresh result at or after `row`; TABLE_NONE: there is none. */
uint32_t part_fresh(const struct job_part *p, uint32_t row, struct str *value);
void part_fresh_add(struct job_part *p, uint32_t row, struct str value);

/* An identity is about to go: what jobs know of it is written under its name. */
void jobs_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env);
/* Would an identity of generation b, for a job that is remembered, not be what one of a is, a target or one that came later? */
bool jobs_chose_between(const struct shard *sh, uint64_t a, uint64_t b);

/* ---- operations, on shard 0 (J-09, J-10, J-15) ---- */

op_fn on_job_put, on_job_get, on_job_cancel;

/* ---- results ---- */

void result_key(struct buf *out, uint32_t shard, uint64_t number, uint32_t row);

enum result_kind {
	RESULT_COMPLETED,
	RESULT_CANCELED,
	RESULT_FAILED,
	RESULT_RESPONSE,
	RESULT_UNCHANGED, /* of a twin that was as it shall be: nothing was written */
	RESULT_KINDS
};

struct job_result {
	enum result_kind kind;
	int64_t began_us, ended_us;
	struct str device, module;
	struct str code, text; /* RESULT_FAILED */
	int32_t status;        /* RESULT_RESPONSE: the device's own */
	struct str payload;    /* RESULT_RESPONSE: a doc */
};

bool result_decode(struct str bytes, struct job_result *out);
/* What has come of a target that had no turn. */
void result_of_stop(struct job_result *what, enum job_stop stop);
/* Write what has come of a row of an identity; the part's counts are the caller's. */
void result_write(struct shard *sh, struct job_part *p, const struct row *r,
    const struct job_result *what, const struct hub_env *env);

#endif
