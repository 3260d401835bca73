/*
 * Shares of what there is too little of: seats of tours, and bytes of answers that their clients have not read. A tree of
 * those who hold or want some of it:
 *
 *   all -> policy, or device -> address that it asks from
 *
 * One that is alone may have half, of two each may have a third, of n each 1/(n + 1); and so on with the addresses of a
 * policy and what is the policy's. So there is always something left for who comes next, and who comes first can not hold
 * all. What somebody holds is not taken away when others come: that is for its owner to end.
 *
 * Pure: no clock, no thread.
 */
#ifndef TWINHUB_WORKER_SHARE_H
#define TWINHUB_WORKER_SHARE_H

#include <stdatomic.h>

#include "base/base.h"

enum share_kind {
	SHARE_CHEAP, /* seats of tours whose work is small whatever the fleet's size */
	SHARE_COSTLY,
	SHARE_BYTES,
	SHARE_KINDS
};
#define SHARE_LANES SHARE_BYTES /* kinds that are seats */

struct tour;

struct share {
	struct share *parent; /* NULL: of all */
	struct buf name;      /* its parent's number, and its own name */
	uint64_t hash;
	uint32_t number, refs;
	uint32_t nactive[SHARE_KINDS]; /* children that have or want some */
	uint64_t used[SHARE_KINDS], wanted[SHARE_KINDS];
	/* The time of workers that it has had in a lane, and about the least of its children's. Any thread. */
	atomic_uint_least64_t served_ns[SHARE_LANES], clock_ns[SHARE_LANES];
	/* of one address: its tours that wait for a seat, oldest first, and the next one of those that have some */
	struct tour *first[SHARE_LANES], **end[SHARE_LANES];
	struct share *next[SHARE_LANES];
	uint32_t paths; /* columns that its tours build */
};

struct shares {
	uint64_t limit[SHARE_KINDS];
	struct share all;
	struct table by_name;
	struct share **v;  /* by number; NULL: free */
	uint32_t n, taken; /* none below `taken` is free */
};

void shares_init(struct shares *s, const uint64_t limit[SHARE_KINDS]);
void shares_fini(struct shares *s); /* nobody holds any more */
/* Of one address of one that asks; share_drop gives it back. */
struct share *share_get(struct shares *s, struct str who, struct str from);
void share_drop(struct shares *s, struct share *sh);
/* Would n more be within its share, its policy's, and what there is in all? The first seat is, if there is any. */
bool share_fits(const struct shares *s, const struct share *sh, enum share_kind kind, uint64_t n);
/* It has so much more, or less; and: it waits for so much more. */
void share_use(struct share *sh, enum share_kind kind, int64_t by);
void share_want(struct share *sh, enum share_kind kind, int64_t by);
/* It has had so much of a worker's time in this lane. Any thread. */
void share_served(struct share *sh, enum share_kind lane, uint64_t ns);
/* Is `a` to be served before `b`: its policy has had less, or, of one policy, its address? Any thread. */
bool share_before(const struct share *a, const struct share *b, enum share_kind lane);

#endif
