/* metric: what its files share. */
#ifndef TWINHUB_METRIC_PRIV_H
#define TWINHUB_METRIC_PRIV_H

#include "metric/metric.h"

#include <stdatomic.h>

#define WIDTH (METRIC_BOUNDS + 2) /* a count for each bound and for +Inf, and the sum */

extern const uint64_t bounds_ns[METRIC_BOUNDS], bounds_bytes[METRIC_BOUNDS];

struct counted {
	enum metric_kind kind;
	enum metric_label label;
	uint32_t at; /* its first cell */
	const char *name, *help;
};
extern const struct counted counted[METRICS];
struct label {
	const char *key;
	unsigned n;
};
extern const struct label labels[LABELS];

static inline unsigned
width_of(const struct counted *c)
{
	return c->kind == METRIC_SECONDS || c->kind == METRIC_SIZES ? WIDTH : 1;
}
/* Of one cell, over all threads. */
uint64_t cells_sum(uint32_t at);

#endif
