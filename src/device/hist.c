/*
 * Bucket of a value v: below 64 the value itself; above, the position of its top bit chooses a group
 * of 64 and the next six bits the place in it.
 */
#include "device/hist.h"

static unsigned
bucket_of(uint64_t us)
{
	unsigned top, group;

	if (us < HIST_SUB)
		return (unsigned)us;
	top = 63 - (unsigned)__builtin_clzll(us);
	group = top - 5;
	if (group >= HIST_BUCKETS / HIST_SUB)
		return HIST_BUCKETS - 1;
	return group * HIST_SUB + (unsigned)((us >> (top - 6)) & (HIST_SUB - 1));
}

static double
upper_edge(unsigned bucket)
{
	unsigned group = bucket / HIST_SUB, sub = bucket % HIST_SUB;

	if (group == 0)
		return sub;
	return (double)(((uint64_t)HIST_SUB + sub + 1) << (group - 1)) - 1;
}

void
hist_add(struct hist *h, uint64_t us)
{
	h->count++;
	h->buckets[bucket_of(us)]++;
	if (us > h->max_us)
		h->max_us = us;
}

void
hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	if (from->max_us > into->max_us)
		into->max_us = from->max_us;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
}

double
hist_quantile(const struct hist *h, double share)
{
	uint64_t want = (uint64_t)((double)h->count * share), seen = 0;

	if (h->count == 0)
		return 0;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if (seen > want || seen == h->count)
			return upper_edge(i);
	}
	return (double)h->max_us;
}
