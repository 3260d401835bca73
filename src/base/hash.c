/* Hashing (xxHash) and an open-addressing table of 32-bit values whose keys live with the caller. */
#include "base/base.h"

#include <stdlib.h>
#include <xxhash.h>

static uint64_t table_seed = 0x9E3779B97F4A7C15u;

uint64_t
hash_stable(struct str s)
{
	return XXH3_64bits(s.p ? s.p : "", s.n);
}

void
hash_seed(uint64_t seed)
{
	table_seed = seed;
}

uint64_t
hash_table(struct str s)
{
	return XXH3_64bits_withSeed(s.p ? s.p : "", s.n, table_seed);
}

uint64_t
hash_checksum(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

/* A cell keeps the hash's upper half: most mismatches end without asking the caller, and growing
 * needs no keys. value: TABLE_NONE is free, GONE was removed (a chain runs on over it). */
struct table_cell {
	uint32_t tag, value;
};
#define GONE (TABLE_NONE - 1)

void
table_fini(struct table *t)
{
	free(t->cells);
	*t = (struct table){ 0 };
}

/* Fibonacci mixing of the kept half: growing must place a cell from `tag` alone. */
static uint32_t
home(const struct table *t, uint32_t tag)
{
	return (uint32_t)((tag * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & t->mask;
}

static void
place(struct table *t, uint32_t tag, uint32_t value)
{
	uint32_t i = home(t, tag);

	while (t->cells[i].value != TABLE_NONE && t->cells[i].value != GONE)
		i = (i + 1) & t->mask;
	if (t->cells[i].value == GONE)
		t->gone--;
	t->cells[i] = (struct table_cell){ tag, value };
	t->used++;
}

static void
resize(struct table *t, uint32_t size)
{
	struct table old = *t;

	t->cells = xmalloc(size * sizeof(*t->cells));
	memset(t->cells, 0xFF, size * sizeof(*t->cells));
	t->mask = size - 1;
	t->used = t->gone = 0;
	for (uint32_t i = 0; old.cells != NULL && i <= old.mask; i++)
		if (old.cells[i].value != TABLE_NONE && old.cells[i].value != GONE)
			place(t, old.cells[i].tag, old.cells[i].value);
	free(old.cells);
}

uint32_t
table_get(const struct table *t, uint64_t hash, table_same *same, const void *ctx, const void *key)
{
	uint32_t tag = (uint32_t)(hash >> 32), i;

	if (t->cells == NULL)
		return TABLE_NONE;
	for (i = home(t, tag); t->cells[i].value != TABLE_NONE; i = (i + 1) & t->mask)
		if (t->cells[i].tag == tag && t->cells[i].value != GONE &&
		    same(ctx, t->cells[i].value, key))
			return t->cells[i].value;
	return TABLE_NONE;
}

void
table_add(struct table *t, uint64_t hash, uint32_t value)
{
	assert(value < GONE);
	if (t->cells == NULL)
		resize(t, 16);
	else if ((t->used + t->gone + 1) * 4 > (t->mask + 1) * 3)
		resize(t, t->used * 2 > t->mask ? (t->mask + 1) * 2 : t->mask + 1);
	place(t, (uint32_t)(hash >> 32), value);
}

void
table_remove(struct table *t, uint64_t hash, uint32_t value)
{
	uint32_t tag = (uint32_t)(hash >> 32), i;

	if (t->cells == NULL)
		return;
	for (i = home(t, tag); t->cells[i].value != TABLE_NONE; i = (i + 1) & t->mask) {
		if (t->cells[i].value == value) {
			t->cells[i].value = GONE;
			t->used--;
			t->gone++;
			return;
		}
	}
}
