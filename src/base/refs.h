/*
 * refs: how many hold something that is shared between threads and immutable, or guarded otherwise. Who makes it holds it; each
 * taker drops what it took; whoever drops the last one frees it, and sees all that the others did with it before.
 *
 * What belongs to one thread counts by itself (blobs, askers): an atomic would cost it for nothing.
 */
#ifndef TWINHUB_REFS_H
#define TWINHUB_REFS_H

#include <stdatomic.h>

#include "base/base.h"

struct refs {
	atomic_uint n;
};

/* Its maker's. */
static inline void
refs_init(struct refs *r)
{
	atomic_init(&r->n, 1);
}

/* By who holds it, or is shown it by somebody who does meanwhile: so no order is needed. */
static inline void
refs_take(struct refs *r)
{
	unsigned before = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);

	assert(before > 0 && before < UINT32_MAX);
	(void)before;
}

/* True: it was the last, and the thing is to be freed. */
static inline bool
refs_drop(struct refs *r)
{
	unsigned before = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);

	assert(before > 0);
	return before == 1;
}

#endif
