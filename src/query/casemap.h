/* Tables of simple case mapping; see casemap.c. */
#ifndef TWINHUB_QUERY_CASEMAP_H
#define TWINHUB_QUERY_CASEMAP_H

#include <stddef.h>
#include <stdint.h>

struct case_range {
	uint32_t lo, hi;
	uint32_t step;
	int32_t delta;
};

extern const struct case_range case_lower[], case_upper[];
extern const size_t case_nlower, case_nupper;

#endif
