/*
 * cargo: many operations of back ends on devices of one thread, as an import sends them; a task (task/task.h). They are applied whole
 * and in order: each has its own fault, and the next one goes on.
 *
 *   cargo_init, n items with their bytes, task_step until it has ended, each item's fault, cargo_fini
 *
 * Rules: service-rest.md 8.
 */
#ifndef TWINHUB_HUB_CARGO_H
#define TWINHUB_HUB_CARGO_H

#include "hub/hub.h"
#include "task/task.h"

#define PARCEL_ITEMS_MAX 64u
#define PARCEL_BYTES_MAX (256u << 10) /* of payloads; the last one may go beyond it */

struct span {
	uint32_t at, n; /* in some buffer's bytes */
};

static inline struct str
span_str(const struct buf *bytes, struct span s)
{
	return s.n == 0 ? STR_NONE : (struct str){ bytes->p + s.at, s.n };
}

struct cargo_item {
	enum op_kind kind; /* of those that a back end sends, without reply_to */
	uint8_t import;
	enum precondition if_match;
	uint32_t nduplicate;
	uint32_t line;                               /* the sender's */
	struct span device, module, if_tag, payload; /* in bytes */
	enum fault_code fault;                       /* out: F_NONE is done */
	struct span text;                            /* out: the fault's, in texts */
};

struct cargo {
	struct task task;
	struct str actor; /* the policy; outlives it */
	uint32_t n;
	struct buf bytes, texts;
	struct cargo_item items[PARCEL_ITEMS_MAX];
};

void cargo_init(struct cargo *c, struct str actor);
void cargo_fini(struct cargo *c);
/* The shard of the next item: where the task is to be stepped, after each STEP_DONE. */
uint32_t cargo_shard(const struct cargo *c);
/* The i-th item's fault. */
void cargo_item_fails(struct cargo *c, uint32_t i, const struct fault *f);
/* What has not failed by itself has failed with ServiceUnavailable. */
void cargo_fails(struct cargo *c, const char *why);

#endif
