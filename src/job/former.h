/*
 * former: what the tags and desired properties of a row were at a time, for jobs that restore them (J-71). Its wanted record is taken back along its
 * chain of the log (shard/past.h), a record for each time that the store is asked.
 */
#ifndef TWINHUB_JOB_FORMER_H
#define TWINHUB_JOB_FORMER_H

#include "shard/past.h"
#include "task/task.h"

#define FORMER_AGAIN_MAX                                                                           \
	100u /* changes of a twin while its past is read; more: its result says so */
#define FORMER_BACK_MAX                                                                            \
	10000u /* changes that one twin is taken back by; more: its result says so */

struct row;

struct former {
	struct past past;   /* ready: as it was; its identity and reported properties are none */
	struct fault fault; /* ready: F_NONE, or why there is nothing to restore */
	/* of what it is: a row's wanted record has another head with each change */
	bool begun, ready, asked;
	uint32_t shard, row, back, again;
	uint64_t head;
	int64_t at_us;
};

enum former_step {
	FORMER_READY,
	FORMER_NEEDS, /* return STEP_NEED, and come again */
	FORMER_OVER,  /* the slice is */
	FORMER_LATER, /* it has changed, and that is not on disk yet */
	FORMER_UNREAD /* the store cannot be read at the moment */
};
/* The row's wanted record is in memory. */
enum former_step former_step(
    struct former *f, struct shard *sh, uint32_t row, int64_t at_us, struct slice *slice);
/* Ready: does the row have the same tags and desired properties? */
bool former_is(const struct former *f, const struct row *r);
/* Ready: those as the document of a PUT, appended as a doc. */
void former_document(const struct former *f, struct buf *doc);
/* What was seen may have been undone. */
void former_forget(struct former *f);
void former_fini(struct former *f);

#endif
