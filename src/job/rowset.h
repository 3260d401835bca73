/*
 * Sets of row numbers: bitmaps in memory, and as stored whichever is shorter of the bitmap and the lengths of its runs.
 *
 *   0 | (clear rows, set rows)*   as varints, from row 0 on
 *   1 | bytes of the bitmap, row 0 in the lowest bit of the first
 */
#ifndef TWINHUB_JOB_ROWSET_H
#define TWINHUB_JOB_ROWSET_H

#include "base/base.h"

#define ROWSET_ROWS_MAX (UINT32_C(1) << 28)

struct rowset {
	uint8_t *bits;
	uint32_t room; /* rows that bits holds, a multiple of 8; those beyond are not in the set */
};

void rowset_fini(struct rowset *s);
void rowset_add(struct rowset *s, uint32_t row);
void rowset_drop(struct rowset *s, uint32_t row);
static inline bool
rowset_has(const struct rowset *s, uint32_t row)
{
	return row < s->room && (s->bits[row / 8] >> row % 8 & 1);
}
/* The first row of the set at or after `row`; UINT32_MAX: there is none. */
uint32_t rowset_next(const struct rowset *s, uint32_t row);
uint32_t rowset_count(const struct rowset *s);

void rowset_encode(struct buf *out, const struct rowset *s);
/* false: no such bytes. s is empty before. */
bool rowset_decode(struct str bytes, struct rowset *s);

#endif
