/*
 * walk: a question (task.h) that several nodes answer, each for shards of its own, as values.
 *
 *   who was asked   task_far.ask -> struct walk_asked, to each owner of shards
 *   an owner        a task made of it, stepped through those shards -> walk_answer_take
 *   who was asked   walk_rows in the order of shards, walk_sum of each answer; task_finish
 *
 * Answers have each row's place, so that what is put together is what one process would have said: rows up to the page's end, and where the
 * next page begins. docs/cluster-design.md, 9.
 */
#ifndef TWINHUB_TASK_WALK_H
#define TWINHUB_TASK_WALK_H

#include "task/page.h"
#include "task/task.h"

/* For ever of one meaning: nodes of two releases ask each other. */
enum walk_kind {
	WALK_QUERY = 1,
	WALK_JOBS,
	WALK_IDENTITIES,
	WALK_COUNTS,
	WALK_MESSAGES,
	WALK_LOOPS,
	WALK_COLUMNS,
	WALK_PATHS,
	WALK_DRY_RUN,
	WALK_WHY,
	WALK_KINDS
};
/* What becomes of a row that matches, where that is none of what a query asks for (struct sink). */
enum walk_sink { WALK_NO_SINK, WALK_MEMBERS, WALK_DRAW, WALK_TRIAL, WALK_SINKS };

struct walk_asked {
	uint8_t kind;    /* enum walk_kind */
	bool explain;    /* times are wanted */
	bool samples;    /* the same, about */
	uint32_t limit;  /* rows of a page, or of its rest: 0, whether there is one more */
	uint64_t shards; /* a bit each */
	struct query_bookmark from;
	int64_t left_us;      /* of its time */
	struct str text;      /* task_far.ask */
	struct str who, peer; /* whose share of workers it takes */
};

#define WALK_PAGE_BYTES                                                                            \
	(2u << 20) /* of a part's rows: at it the part ends, and is asked again from there */

struct walk_answer {
	struct fault fault;
	/* those that it answers for: others were not this node's. With a fault: whoever is asked for them would say so */
	uint64_t shards;
	bool ended;     /* at `end`: no row behind it matters */
	bool more;      /* there is one at `end` that has no room */
	bool too_large; /* it cannot be sent: fewer shards may be asked for */
	struct query_bookmark end;
	uint32_t nrow;
	/* of each row: its shard, row, generation, bytes and those of its modules */
	struct buf marks;
	struct buf rows, modules; /* without commas between */
	struct buf sum;           /* task_far.put */
	uint64_t reflects[SHARDS];
	int64_t ns[LAPS], unsplit_ns;
	struct rd at; /* walk_rows: of marks; how far rows and modules are taken */
	size_t rows_taken, modules_taken;
};

void walk_answer_fini(struct walk_answer *a);
/* A task is to be such a part: before its first step. */
void walk_part_begin(struct task *t);
/* What has come of it; its page is empty then. */
void walk_answer_take(struct walk_answer *a, struct task *t);
/* Is it one that a task can have come to? ERR_PROTOCOL: of what another node sent, before anything is taken of it. */
enum err walk_answer_check(const struct walk_answer *a);

/* ---- put together ---- */

/* Do rows go to the page in the order of shards? */
bool walk_in_order(const struct task *t);
enum walk_step {
	WALK_ON,   /* behind these shards */
	WALK_OVER, /* no other row matters */
	WALK_AGAIN /* from the task's bookmark on: a part ended for its size, and the page has room */
};
/* Rows of these shards, in their order, go to the page; of[s]: whose answer is that of s. Shards that were looked at are added to *seen. */
enum walk_step walk_rows(
    struct task *t, uint64_t shards, struct walk_answer *const of[SHARDS], uint64_t *seen);
/* The rest of an answer, once. */
void walk_sum(struct task *t, const struct walk_answer *a);

#endif
