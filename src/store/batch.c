/* A batch is our own bytes until its committer makes RocksDB's of them: it outlives a reopening, and the worker's
 * thread pays for one copy only. */
#include <stdlib.h>

#include "store/priv.h"

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
	free(b);
}

static void
batch_add(struct store_batch *b, enum store_table t, bool put, struct str key)
{
	assert((unsigned)t < STORE_TABLES && key.n <= STORE_KEY_MAX);
	b->count++;
	buf_putc(&b->rows, (char)t);
	buf_putc(&b->rows, put);
	buf_lstr(&b->rows, key);
}

void
store_batch_put(struct store_batch *b, enum store_table t, struct str key, struct str value)
{
	batch_add(b, t, true, key);
	buf_lstr(&b->rows, value);
}

void
store_batch_delete(struct store_batch *b, enum store_table t, struct str key)
{
	batch_add(b, t, false, key);
}

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

void
store_batch_clear(struct store_batch *b)
{
	b->rows.n = 0;
	b->count = 0;
}

void
batch_translate(const struct store_batch *b, const struct engine *e, rocksdb_writebatch_t *out)
{
	struct rd r = rd_of(buf_view(&b->rows));

	rocksdb_writebatch_clear(out);
	for (uint32_t i = 0; i < b->count; i++) {
		enum store_table t = rd_u8(&r);
		bool put = rd_u8(&r);
		struct str key = rd_lstr(&r), value;

		if (put) {
			value = rd_lstr(&r);
			rocksdb_writebatch_put_cf(
			    out, engine_table(e, t), key.p, key.n, value.p, value.n);
		} else {
			rocksdb_writebatch_delete_cf(out, engine_table(e, t), key.p, key.n);
		}
	}
	assert(!r.bad);
}
