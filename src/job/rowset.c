#include "job/rowset.h"

#include <stdlib.h>

enum { FORM_RUNS, FORM_BITS };

void
rowset_fini(struct rowset *s)
{
	free(s->bits);
	*s = (struct rowset){ 0 };
}

static void
reserve(struct rowset *s, uint32_t row)
{
	uint32_t room = s->room ? s->room : 64;

	if (row < s->room)
		return;
	while (room <= row)
		room += room / 2 + 8 - room / 2 % 8;
	s->bits = xrealloc(s->bits, room / 8);
	memset(s->bits + s->room / 8, 0, (room - s->room) / 8);
	s->room = room;
}

void
rowset_add(struct rowset *s, uint32_t row)
{
	assert(row < ROWSET_ROWS_MAX);
	reserve(s, row);
	s->bits[row / 8] |= (uint8_t)(1u << row % 8);
}

void
rowset_drop(struct rowset *s, uint32_t row)
{
	if (row < s->room)
		s->bits[row / 8] &= (uint8_t) ~(1u << row % 8);
}

uint32_t
rowset_next(const struct rowset *s, uint32_t row)
{
	while (row < s->room) {
		unsigned rest = s->bits[row / 8] >> row % 8;

		if (rest != 0)
			return row + (uint32_t)__builtin_ctz(rest);
		row = (row / 8 + 1) * 8;
	}
	return UINT32_MAX;
}

uint32_t
rowset_count(const struct rowset *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->room / 8; i++)
		n += (uint32_t)__builtin_popcount(s->bits[i]);
	return n;
}

static uint32_t
run_end(const struct rowset *s, uint32_t row)
{
	while (rowset_has(s, row))
		row++;
	return row;
}

void
rowset_encode(struct buf *out, const struct rowset *s)
{
	size_t from = out->n;
	uint32_t at = 0, row = rowset_next(s, 0), end = 0;

	buf_putc(out, FORM_RUNS);
	for (; row != UINT32_MAX; row = rowset_next(s, end)) {
		end = run_end(s, row);
		buf_varint(out, row - at);
		buf_varint(out, end - row);
		at = end;
	}
	if (out->n - from <= 1 + (size_t)(end + 7) / 8)
		return;
	out->n = from;
	buf_putc(out, FORM_BITS);
	buf_put(out, s->bits, (end + 7) / 8);
}

/* Rows from..end-1, for which there is room: whole bytes at once, as a damaged record may claim all there can be. */
static void
add_run(struct rowset *s, uint32_t from, uint32_t end)
{
	uint32_t first = (from + 7) / 8, last = end / 8; /* bytes that are set whole */

	if (first < last)
		memset(s->bits + first, 0xff, last - first);
	for (uint32_t row = from; row < end; row++) {
		if (row % 8 == 0 && row / 8 >= first && row / 8 < last)
			row = last * 8;
		if (row < end)
			rowset_add(s, row);
	}
}

static bool
decode_runs(struct rd *rd, struct rowset *s)
{
	uint64_t at = 0;

	while (!rd->bad && rd->p < rd->end) {
		uint64_t clear = rd_varint(rd), set = rd_varint(rd);

		if (clear > ROWSET_ROWS_MAX || set == 0 || set > ROWSET_ROWS_MAX ||
		    at + clear + set > ROWSET_ROWS_MAX)
			return false;
		at += clear;
		reserve(s, (uint32_t)(at + set - 1));
		add_run(s, (uint32_t)at, (uint32_t)(at + set));
		at += set;
	}
	return !rd->bad;
}

bool
rowset_decode(struct str bytes, struct rowset *s)
{
	struct rd rd = rd_of(bytes);
	uint8_t form = rd_u8(&rd);
	size_t n = (size_t)(rd.end - rd.p);

	if (!rd.bad && form == FORM_RUNS && decode_runs(&rd, s))
		return true;
	if (!rd.bad && form == FORM_BITS && n > 0 && n <= ROWSET_ROWS_MAX / 8) {
		reserve(s, (uint32_t)(n * 8 - 1));
		memcpy(s->bits, rd.p, n);
		return true;
	}
	rowset_fini(s);
	return false;
}
