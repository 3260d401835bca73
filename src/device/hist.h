/*
 * A latency histogram: counts in buckets of at most 1.6 % width, from 1 us to over an hour, in a
 * fixed 17 KB. Recording is a shift and an add; two histograms of different threads can be merged.
 */
#ifndef TWINHUB_DEVICE_HIST_H
#define TWINHUB_DEVICE_HIST_H

#include <stdint.h>

#define HIST_SUB     64 /* buckets per power of two */
#define HIST_BUCKETS (HIST_SUB * 34)

struct hist {
	uint64_t count, max_us;
	uint64_t buckets[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t us);
void hist_merge(struct hist *into, const struct hist *from);
/* The upper edge, in us, of the bucket below which `share` (0..1) of the samples lie; 0 if empty. */
double hist_quantile(const struct hist *h, double share);

#endif
