/* A small deterministic random source for tests (xorshift64*): a failing run repeats from its seed. */
#ifndef TEST_RND_H
#define TEST_RND_H

#include <stdint.h>

struct rnd {
	uint64_t state; /* not 0 */
};

static inline uint64_t
rnd_u64(struct rnd *r)
{
	r->state ^= r->state >> 12;
	r->state ^= r->state << 25;
	r->state ^= r->state >> 27;
	return r->state * UINT64_C(0x2545F4914F6CDD1D);
}

/* A number below n. */
static inline uint32_t
rnd_below(struct rnd *r, uint32_t n)
{
	return (uint32_t)((rnd_u64(r) >> 32) * n >> 32);
}

#endif
