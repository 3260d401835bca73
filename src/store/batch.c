/*
 * A batch is our own bytes until its store makes of them what it needs: it outlives a reopening, and the worker's thread pays for
 * one copy only. Changes stand one behind the other; of a key that comes again the earlier one is marked as passed over, and stays
 * where it is.
 */
#include <stdlib.h>

#include "store/face.h"
#include "store/priv.h"

#define SLOTS_MIN 64u

enum change_bits { CHANGE_PUT = 1, CHANGE_PASSED_OVER = 2 };

struct store_batch *
store_batch_new(void)
{
	return xcalloc(1, sizeof(struct store_batch));
}

void
store_batch_free(struct store_batch *b)
{
	if (b == NULL)
		return;
	buf_fini(&b->rows);
	free(b->slots);
	free(b);
}

/* ---- changes as bytes: bits, shard, table, key, value if put ---- */

/* Its bits. */
static unsigned
change_read(struct rd *r, struct store_change *out)
{
	unsigned bits = rd_u8(r);

	out->put = bits & CHANGE_PUT;
	out->shard = (uint32_t)rd_varint(r);
	out->table = (enum store_table)rd_u8(r);
	out->key = rd_lstr(r);
	out->value = out->put ? rd_lstr(r) : STR_NONE;
	assert(!r->bad);
	return bits;
}

bool
store_batch_next_change(const struct store_batch *b, size_t *at, struct store_change *out)
{
	struct rd r = rd_of(str_sub(buf_view(&b->rows), *at));
	unsigned bits = CHANGE_PASSED_OVER;

	while (r.p < r.end && bits & CHANGE_PASSED_OVER)
		bits = change_read(&r, out);
	*at = b->rows.n - (size_t)(r.end - r.p);
	return !(bits & CHANGE_PASSED_OVER);
}

/* ---- the last change of each key, by hash ---- */

static uint64_t
change_hash(const struct store_change *c)
{
	return hash_table(c->key) + c->table * UINT64_C(0x9e3779b97f4a7c15);
}

static bool
same_key(const struct store_batch *b, size_t at, const struct store_change *c)
{
	struct rd r = rd_of(str_sub(buf_view(&b->rows), at));
	struct store_change there;

	change_read(&r, &there);
	return there.shard == c->shard && there.table == c->table && str_eq(there.key, c->key);
}

static uint32_t *
slot_of(struct store_batch *b, const struct store_change *c)
{
	uint64_t i = change_hash(c);

	while (
	    b->slots[i & (b->nslot - 1)] != 0 && !same_key(b, b->slots[i & (b->nslot - 1)] - 1, c))
		i++;
	return &b->slots[i & (b->nslot - 1)];
}

/* At most half of them are taken. */
static void
slots_grow(struct store_batch *b)
{
	struct rd r = rd_of(buf_view(&b->rows));
	struct store_change c;

	free(b->slots);
	b->nslot = b->nslot > 0 ? b->nslot * 2 : SLOTS_MIN;
	b->slots = xcalloc(b->nslot, sizeof(*b->slots));
	while (r.p < r.end) {
		uint32_t at = (uint32_t)(b->rows.n - (size_t)(r.end - r.p));

		if (!(change_read(&r, &c) & CHANGE_PASSED_OVER))
			*slot_of(b, &c) = at + 1;
	}
}

static void
batch_add(struct store_batch *b, const struct store_change *c)
{
	uint32_t *slot;

	assert((unsigned)c->table < STORE_TABLES && c->key.n <= STORE_KEY_MAX);
	assert(b->rows.n < UINT32_MAX);
	if (b->count * 2 >= b->nslot)
		slots_grow(b);
	slot = slot_of(b, c);
	if (*slot != 0)
		b->rows.p[*slot - 1] |= CHANGE_PASSED_OVER;
	else
		b->count++;
	*slot = (uint32_t)b->rows.n + 1;
	buf_putc(&b->rows, c->put ? CHANGE_PUT : 0);
	buf_varint(&b->rows, c->shard);
	buf_putc(&b->rows, (char)c->table);
	buf_lstr(&b->rows, c->key);
	if (c->put)
		buf_lstr(&b->rows, c->value);
}

void
store_batch_put(
    struct store_batch *b, uint32_t shard, enum store_table t, struct str key, struct str value)
{
	batch_add(b, &(struct store_change){ shard, t, true, key, value });
}

void
store_batch_delete(struct store_batch *b, uint32_t shard, enum store_table t, struct str key)
{
	batch_add(b, &(struct store_change){ shard, t, false, key, STR_NONE });
}

/* ---- */

uint32_t
store_batch_count(const struct store_batch *b)
{
	return b->count;
}

size_t
store_batch_bytes(const struct store_batch *b)
{
	return b->rows.n;
}

/* Slots of which few were used would cost the next batches more to clear than to make anew. */
void
store_batch_clear(struct store_batch *b)
{
	if (b->nslot > SLOTS_MIN && b->count < b->nslot / 16) {
		free(b->slots);
		b->slots = NULL;
		b->nslot = 0;
	} else if (b->count > 0) {
		memset(b->slots, 0, b->nslot * sizeof(*b->slots));
	}
	b->rows.n = 0;
	b->count = 0;
}
