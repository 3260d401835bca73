/*
 * Questions about configurations, as tasks (task/task.h): what one would do to the fleet, why one is where it is, which twins are
 * in a part of the fleet that a rollout has drawn. Nothing is written.
 */
#ifndef TWINHUB_CONFIG_QUESTIONS_H
#define TWINHUB_CONFIG_QUESTIONS_H

#include "config/dryrun.h"
#include "config/why.h"
#include "task/query.h"

/* ---- a dry run: the page has entries of the devices that would change ---- */

struct dryrun_task {
	struct task task;
	struct dryrun *run; /* its own */
	bool counts; /* the first page: the whole fleet is counted, not only up to the page's end */
	bool over;   /* out: the next page begins at `end` */
	struct query_bookmark end;
};
struct dryrun_task *dryrun_task_new(void); /* run is to be set */
/* One that another node asks for (task/walk.h), beside that set; NULL: f says why not. As is why_task_made. */
struct task *dryrun_task_made(const struct configurations *set, struct str text, struct fault *f);

/* ---- why: the page has entries of twins and configurations ---- */

struct why_task {
	struct task task;
	struct why *why; /* its own */
	bool found;      /* out: of one twin: its device is there */
};
struct why_task *why_task_new(struct why *why);
struct task *why_task_made(const struct configurations *set, struct str text, struct fault *f);

/* ---- how often twins have not come to rest (J-36), since the start ---- */

struct loops_task {
	struct task task;
	uint64_t loops; /* out */
};
struct loops_task *loops_task_new(void);

/* ---- a draw: of the devices that match, those whose place in a rollout (rollout_place) lies in [from, to) ---- */

/* A sink: each is counted in task.bookmark.delivered, and, if there are buckets, in the one of (place - from) >> shift. */
struct draw {
	struct sink sink; /* first; draw_sink. The owner frees it */
	uint64_t salt, from, to;
	unsigned shift;
	uint32_t *buckets; /* borrowed; NULL: none */
};
struct sink draw_sink(void);
/* One that another node asks for (task/walk.h); NULL: it is none. The query's: it frees it. */
struct sink *draw_made(struct str text);
#define DRAW_BUCKETS_MAX 65536u

#endif
