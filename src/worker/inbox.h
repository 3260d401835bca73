/*
 * The order in which a worker serves those who ask: each asker has a line of its own, and who has had more than others
 * waits longer. So a quiet device waits for the operation at hand and a few others, not for all that a busy one has sent.
 *
 * Cost is in nanoseconds of the worker's time. The inbox has a clock of its own, which goes on only when all that may be
 * served at its time has been served: an asker's share is how far by this clock it has been served already. One round of
 * the clock is INBOX_ROUND_NS:
 *
 *   first | this round | + 1 | + 2 | ... | + INBOX_ROUNDS - 1
 *
 * Whose share of this round is not used up, and who comes anew, is served first. Whose share is, waits in the round that
 * its share has come to; what is beyond the last one is forgiven. Whoever is known stays known, with nothing waiting
 * too, until the clock has come to its share: so one that sends its next operation as soon as the last one is answered
 * is not taken for a new one. All is constant time.
 *
 * Pure: no clock, no thread.
 */
#ifndef TWINHUB_WORKER_INBOX_H
#define TWINHUB_WORKER_INBOX_H

#include "base/base.h"

#define INBOX_MAX      65536u /* operations that wait in one worker; beyond it the answer is 429 */
#define WORK_BYTES_MAX (UINT64_C(64) << 20) /* of them; the same */
#define INBOX_SHARE    (INBOX_MAX / 4)      /* of one asker; beyond it the same */
/* known at once: beyond it those are forgotten who wait for nothing */
#define INBOX_ASKERS   (2 * INBOX_MAX)
#define INBOX_ROUNDS   64u
#define INBOX_ROUND_NS (1u << 17)
#define INBOX_FORGIVES 16 /* times as long as its share lasts: then a rest has made up for it */

struct msg;

struct asker {
	uint64_t key;
	uint64_t share_ns;        /* by the inbox's clock: it has had its share up to here */
	struct msg *first, *last; /* NULL: nothing waits */
	size_t bytes;             /* of what waits */
	uint32_t nwaiting;
	uint32_t line, prev, next; /* where it is, and who is beside it; next alone: free */
};

struct asker_line {
	uint32_t first, last; /* TABLE_NONE: empty */
};

struct inbox {
	struct table by_key;
	struct asker *askers;
	uint32_t cap, used, free;  /* used: of cap ever; free: the first of those given back */
	uint32_t nasker, nwaiting; /* known; operations that wait */
	/* of rounds, and of those who are served first */
	struct asker_line lines[INBOX_ROUNDS + 1];
	uint64_t filled; /* bit i: lines[i] is not empty */
	uint64_t clock_ns;
	size_t share_bytes; /* that one asker may have waiting; 0: no limit */
	uint32_t serving;   /* whose operation was taken last; TABLE_NONE: it is paid for */
};

void inbox_init(struct inbox *ib);
void inbox_fini(struct inbox *ib);
/* The messages of one asker keep their order. `key` is a hash; equal keys are one asker. False: it has INBOX_SHARE
 * messages waiting, or would have more than share_bytes, and this one is not taken unless `must`. */
bool inbox_put(struct inbox *ib, uint64_t key, struct msg *m, size_t bytes, bool must);
/* Would inbox_take give something? */
bool inbox_has(const struct inbox *ib, bool first);
/* Whose turn it is; NULL: nobody's. Its cost is to be told before the next one is taken. first: only who is served first. */
struct msg *inbox_take(struct inbox *ib, bool first);
/* bytes: as it was put. */
void inbox_paid(struct inbox *ib, uint64_t cost_ns, size_t bytes);
/* So much time has passed; counts if nothing waits. */
void inbox_rest(struct inbox *ib, uint64_t rest_ns);

#endif
