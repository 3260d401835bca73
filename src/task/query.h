/*
 * A query as a task: devices or modules, row by row or by columns. Read it as it goes:
 *
 *   query.c         parsed and planned (query/query.h): which rows matter, what is kept of them, whether it is little
 *   query_scan.c    in each shard: a block of rows is judged by columns, the documents of those that remain are asked; the columns
 *                   that it is worth making are made first (query_build.c)
 *   query_output.c  what becomes of a row that matches: a row of the page, an entry of the order or of a group, or one more
 *   query_answer.c  parts put together; what was gathered becomes the page
 *   query_far.c     the same of parts that other nodes have made
 */
#ifndef TWINHUB_TASK_QUERY_H
#define TWINHUB_TASK_QUERY_H

#include "query/columns.h"
#include "task/page.h"
#include "task/task.h"

struct query_task;

#define ORDER_PARTS_ROWS                                                                           \
	16384u /* rows that all parts of an ORDER BY may keep; beyond that it goes from shard to shard */

struct sink;

/* Of one that several nodes have, as task_far; NULL where there is nothing. */
struct sink_far {
	uint8_t kind; /* enum walk_sink */
	bool counted; /* rows of the page are, in bookmark.delivered */
	void (*ask)(const struct sink *k, struct buf *out);
	bool (*in_order)(const struct sink *k); /* NULL: yes */
	void (*put)(const struct sink *k, struct buf *out);
	enum err (*take)(struct sink *k, struct str part);
	bool (*end)(const struct sink *k, struct query_bookmark *at);
	void (*ends)(struct sink *k, struct task *t);
};

/* What becomes of a row that matches, where that is none of what a query asks for. */
struct sink {
	/* STEP_DONE, perhaps after task_ends; STEP_NEED, and nothing has been taken of the row yet. */
	enum step (*take)(struct sink *k, struct query_task *q, struct shard *sh, uint32_t row,
	    struct slice *slice);
	void (*free)(struct sink *k); /* NULL: the owner does */
	const struct sink_far *far;   /* NULL: it is of one process alone */
};

struct query_seen {
	uint64_t judged;        /* row numbers looked at, by columns or one by one */
	uint64_t asked;         /* of those, rows whose document was asked */
	uint64_t shown;         /* rows from which columns were made */
	uint32_t columns, held; /* paths worth a column, summed over shards; those that had one */
};

struct query_task {
	struct task task;       /* first */
	struct query *query;    /* its own, unless it is borrowed */
	bool count;             /* rows are counted in task.bookmark.delivered, none is shown */
	bool explain;           /* columns are wanted */
	struct sink *sink;      /* its own; NULL: none */
	struct query_seen seen; /* out */
	struct column_report *columns; /* out: explain: those of its paths */

	/* the files' above */
	bool borrows;
	struct query_groups *groups; /* aggregates */
	struct query_order *order;   /* ORDER BY on rows */
	size_t memory;               /* that either may take */
	unsigned asks, shows; /* records, as RECORD_BITs, of a row that is asked; that is put out */
	struct vector *vector;
	uint32_t scanned; /* shard + 1 that the vector was opened for last; 0: none */
	/* of the slice: while it goes on nothing changes but what is loaded */
	bool on;                     /* the shard's columns are at hand */
	bool asked_leave, may_build; /* to make columns */
	bool sweeping, stuck;        /* columns are made by key; that cannot be done */
	uint64_t shown;              /* seen.shown when it began */
	uint32_t matched;     /* this row does: its documents have said so. TABLE_NONE: none */
	uint32_t counted;     /* this row is among the first in the order, as far as is known */
	uint32_t from, n, at; /* the block judged last, and where in it; n 0: none is */
	uint8_t verdicts[VECTOR_ROWS];
};

extern const struct task_kind query_task_kind;

/* Takes the plan, which may be of devices and modules only (others: job/ask.h). Then `count`, `explain`, `sink`, the page's
 * limit and the task's bookmark may be set. */
struct query_task *query_task_new(struct query *q);
/* The same with a plan that somebody else keeps. */
struct query_task *query_task_borrow(const struct query *q);
static inline struct query_task *
query_task_of(struct task *t)
{
	return (struct query_task *)t;
}

/* ---- for other tasks over a plan ---- */

/* The same of another kind, which begins with a struct query_task and has its functions but `step`. */
void query_task_init(struct query_task *q, const struct task_kind *kind, struct query *query);
void query_task_begin(struct task *t, size_t memory);
bool query_task_cheap(const struct task *t);
void query_task_merge(struct task *t, struct task *part);
size_t query_task_bytes(const struct task *t);
void query_task_finish(struct task *t);
void query_task_free(struct task *t);

/* The condition's answer for a row that is at hand; counted in `seen`. */
bool query_task_asks(
    struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice);
/* A row at hand that matches goes where the query says: STEP_DONE, perhaps at the end of the task. */
enum step query_task_put(
    struct query_task *q, const struct query_row_ops *ops, const void *row, struct slice *slice);

/* ---- of several nodes (task/walk.h) ---- */

/* Of all kinds that are queries; their take and put are for tasks that have begun. */
extern const struct task_far query_far;

/* What task_far.ask of a query said. */
struct query_asked {
	struct query *query; /* the caller's */
	bool count, explain;
	uint8_t sink; /* enum walk_sink */
	struct str sink_text;
};
enum err query_asked(struct str text, struct query_asked *out, struct fault *f);

/* ---- for the files above ---- */

/* One shard by columns. */
enum step query_scan(struct query_task *q, struct shard *sh, struct slice *slice);
/* A row by its documents. */
enum step query_row(struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice);
/* Make the columns that are to be made. */
enum step query_build(struct query_task *q, struct shard *sh, struct slice *slice);
/* A row that matches; certain: columns say so, and its documents may not be in memory. */
enum step query_take(
    struct query_task *q, struct shard *sh, uint32_t row, struct slice *slice, bool certain);

#endif
