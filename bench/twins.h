/* The fleet of the benchmarks: twins of about 500 bytes, the same for the same seed. */
#ifndef TWINHUB_BENCH_TWINS_H
#define TWINHUB_BENCH_TWINS_H

#include "base/base.h"

struct twin {
	struct buf id;             /* as device_put names it */
	struct buf body, reported; /* JSON: {"tags":,"properties":{"desired":}}; the section */
};

void rnd_seed(uint64_t seed);
uint32_t rnd_below(uint32_t n);
/* The nth twin; they are made in order. The buffers are used again. */
void twin_make(struct twin *t, uint32_t n);
void twin_fini(struct twin *t);

#endif
