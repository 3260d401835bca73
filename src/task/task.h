/*
 * task: work on the whole fleet, shard by shard, in steps; and the one protocol by which a thread that owns shards does it.
 *
 *   task_step(task, shard, slice) -> STEP_DONE   the shard is through: the next one's turn, unless the task has ended
 *                                   STEP_OVER   the turn's time or room is: go on in the next turn, other work comes between
 *                                   STEP_NEED   what slice->need says, then step again, before anything in the shard changes
 *
 * A task is a question (query.h, registry.h, counts.h; dry runs and reasons of configurations, jobs and their results in
 * the rooms above), or work that writes (sweeps, parts of jobs, parcels of imports). A row's number never changes while its
 * identity lives, so a bookmark, (shard, row), survives any number of writes between two turns: what exists and matches all
 * the time comes exactly once.
 *
 * A question to all shards whose parts can be put together (task_kind.part) has a part for each thread, side by side;
 * task_merge adds one. When all is seen task_finish makes the answer of what was gathered.
 *
 *   task_begin, task_step ... task_step, [task_merge ...], task_finish, task_free
 *
 * Pure: no clock, no store, no thread. What takes time is looked at through struct slice, what is not in memory is asked for by
 * struct task_need. One thread at a time may use a task.
 */
#ifndef TWINHUB_TASK_TASK_H
#define TWINHUB_TASK_TASK_H

#include "query/query.h"
#include "shard/shard.h"

struct task;
struct slice;
struct page;

/* ---- what a step needs ---- */

enum need_kind {
	NEED_ROW, /* records of a row that are not in memory: task_has */
	NEED_KEY, /* the same of an identity by its key, for what may not be there yet */
	/* stored records in the order of their keys: the first one from `from` on. slice.next gives the one behind it, until the step is over that
	 * was given the first */
	NEED_RANGE,
	NEED_LEAVE, /* to make so many columns: who asks may make some at a time */
	NEED_LOG    /* the record of a change in the shard's log, as it is on disk */
};

struct task_need {
	enum need_kind kind;
	uint32_t row; /* NEED_ROW */
	/* NEED_ROW, NEED_KEY: RECORD_BITs. NEED_RANGE: those that are read side by side; keys come that all of them have */
	unsigned records;
	struct buf from; /* NEED_KEY: the key. NEED_RANGE: [from, to) */
	struct buf to;
	bool once;         /* NEED_RANGE: what is read is not worth a place in the store's memory */
	uint32_t columns;  /* NEED_LEAVE */
	uint64_t position; /* NEED_LOG; 0: there is none */
	/* The answer. ERR_OK; NEED_ROW, NEED_KEY: ERR_CORRUPT, ERR_IO, and the fault says so; NEED_RANGE: ERR_END
	 * behind the last one, ERR_CORRUPT, ERR_IO; NEED_LEAVE: ERR_FULL, not in this slice; NEED_LOG: ERR_MORE, it is not on disk yet;
	 * ERR_NOT_FOUND, and all changes since kept_us are; ERR_IO. Views stand until the next step is over. */
	bool answered; /* since the step that asked */
	enum err e;
	struct fault fault;
	struct str key, values[RECORD_COMMON + 1];
	struct buf record; /* NEED_LOG */
	int64_t kept_us;
};

/* ---- a slice: a task's time in one turn of a thread ---- */

/* Where the time of a question goes. Waiting is for its turn, behind other work and for commits that it has seen. */
enum lap {
	LAP_PARSE, /* the sender's */
	LAP_WAIT,
	LAP_BUILD,  /* rows shown to columns, their documents read */
	LAP_JUDGE,  /* by columns; groups counted by columns */
	LAP_LOAD,   /* documents from the store */
	LAP_ASK,    /* documents, whether they match */
	LAP_OUTPUT, /* of documents: projected, put in order, counted */
	LAP_FINISH, /* groups put together, all put in order and written */
	LAPS
};
extern const char *const lap_names[LAPS]; /* "parse", ... */

#define SLICE_LOOK_EVERY 64u /* steps between two looks at what is left of a slice */

/* What a thread gives a task to work with. Everything in it is the thread's. */
struct slice {
	void *ctx;
	bool (*over)(void *ctx); /* the time is up */
	/* The next record of a range is the need's answer: at once, as a step for each would cost what it costs to take one. */
	void (*next)(void *ctx);
	/* the time since the last one belongs to this; NULL: nobody asks */
	void (*lap)(void *ctx, enum lap lap);
	/* Of tasks that write: the round has no room for more, so it is over; a row has been written, env is right for the next. */
	bool (*full)(void *ctx);
	void (*wrote)(void *ctx, struct shard *sh);
	struct query_scratch *scratch;
	size_t column_bytes; /* that a shard's columns may take; 0: none are made */
	struct hub_env *env; /* of tasks that write, and of what has to know the time of day */
	uint32_t steps;      /* since the last look */
	struct task_need need;
};

/* So many steps more have been taken: is the slice over? It is looked at now and then only. */
static inline bool
slice_spent(struct slice *slice, uint32_t steps)
{
	slice->steps += steps;
	if (slice->steps < SLICE_LOOK_EVERY)
		return false;
	slice->steps = 0;
	return slice->over(slice->ctx);
}

static inline void
slice_lap(struct slice *slice, enum lap lap)
{
	if (slice->lap != NULL)
		slice->lap(slice->ctx, lap);
}

void slice_fini(struct slice *slice);

/* ---- a task ---- */

enum step { STEP_DONE, STEP_OVER, STEP_NEED };

/* Of a question that several nodes answer, each for shards of its own (task/walk.h). */
struct task_far {
	uint8_t kind; /* enum walk_kind */
	/* What is asked for, beside the bookmark and the page's limit: appended; a task that is made of it does the same. NULL: nothing. */
	void (*ask)(const struct task *t, struct buf *out);
	/* Do rows go to the page in the order of shards, until it is full? Else all shards matter, in whatever order they come. NULL: no. */
	bool (*in_order)(const struct task *t);
	/* What has come of it, beside the page's rows: appended; and added to this one's. NULL: there is nothing else. */
	void (*put)(const struct task *t, struct buf *out);
	enum err (*take)(struct task *t, struct str part);
	/* A row of another's has been put into the page: does no other one matter? NULL: it may. */
	bool (*took)(struct task *t);
	/* Of one that may go on beyond its page's end: has the page come to it, and where? And: it ends at the bookmark, if all shards were asked at
	 * once. NULL: page.more says so. */
	bool (*end)(const struct task *t, struct query_bookmark *at);
	void (*ends)(struct task *t);
};

struct task_kind {
	const char *name;
	/* All is set that is asked for; what is gathered may take so many bytes. NULL: nothing is to be done. */
	void (*begin)(struct task *t, size_t memory);
	enum step (*step)(struct task *t, struct shard *sh, struct slice *slice);
	/* Is little to be done however large the fleet is? NULL: yes. */
	bool (*cheap)(const struct task *t);
	/* One of n parts that are done side by side, with an n-th of the memory; NULL, as is no function: it goes from shard to
	 * shard. */
	struct task *(*part)(const struct task *t, unsigned n);
	void (*merge)(struct task *t, struct task *part); /* on failure the fault is set */
	size_t (*bytes)(const struct task *t); /* that task_finish has to deal with; NULL: few */
	void (*finish)(struct task *t);        /* NULL: nothing is to be done */
	void (*free)(struct task *t);          /* NULL: it is one allocation */
	/* Step again although what was needed could not be had: need.e says so. Else the task fails. */
	bool tolerant;
	const struct task_far *far; /* NULL: it is of one process alone */
};

/* What a task of the hub's own waits for, when a slice was over before its time. */
enum task_wait {
	WAIT_TURN,  /* its next turn */
	WAIT_EVENT, /* something else has to come first */
	WAIT_STORE  /* the store cannot be read at the moment */
};

/* The beginning of every kind of task. */
struct task {
	const struct task_kind *kind;
	struct query_bookmark bookmark; /* in: where to begin; out: where the next page begins */
	struct page *page;              /* its own; NULL: it has none */
	bool ended;                     /* no other row matters, in any shard */
	enum task_wait waits;           /* valid with STEP_OVER */
	struct fault fault;             /* F_NONE, or why it has failed; it has ended then */
};

void task_begin(struct task *t, size_t memory);
/* One step; a task that fails has ended. */
enum step task_step(struct task *t, struct shard *sh, struct slice *slice);
bool task_cheap(const struct task *t);
struct task *task_part(const struct task *t, unsigned n);
void task_merge(struct task *t, struct task *part);
size_t task_bytes(const struct task *t);
void task_finish(struct task *t);
void task_free(struct task *t); /* NULL is fine */

/* ---- for those who write tasks ---- */

/* Are these records of a row in memory? If not they are needed: `return STEP_NEED`. */
bool task_has(struct slice *slice, struct shard *sh, uint32_t row, unsigned records);
/* The same for tolerant tasks: what has come of it, if that was asked for. */
enum had {
	HAD_ALL,
	HAD_ASKED,   /* return STEP_NEED */
	HAD_DAMAGED, /* a stored record is */
	HAD_UNREAD   /* the store cannot be read at the moment */
};
enum had task_had(struct slice *slice, struct shard *sh, uint32_t row, unsigned records);
/* It has failed, or nothing else of it matters: for `return`. */
enum step task_fails(struct task *t);
enum step task_ends(struct task *t);
/* Rows one after the other from the task's bookmark on: each(row) for those that are there, until it ends, is over or needs
 * something; a row's number is the bookmark's while it is looked at, and behind it then. cost: of a row that is not there, in steps. */
typedef enum step task_row(struct task *t, struct shard *sh, uint32_t row, struct slice *slice);
enum step task_rows(struct task *t, struct shard *sh, struct slice *slice, task_row *each);
/* The same for the devices that ids names; given false: for all rows. */
enum step task_rows_of(struct task *t, struct shard *sh, struct slice *slice,
    const struct query_ids *ids, task_row *each);

#endif
