/*
 * pack: records of the log, many to a row.
 *
 * A commit has many records of one shard, and a row of RocksDB costs more than most records: its place in the memtable, its key, its head in
 * the write-ahead log. So the records of STORE_LOG and STORE_CHANGES that one batch has of a shard stand in one row, under the key of the first:
 *
 *   PACKED (1 byte) | for each record: how far its position is from the one before, 0 for the first (varint) | length (varint) | bytes
 *
 * One that is alone stands there as it is; its first byte is its format, which is below PACKED. A key is 10 bytes, of which the last 8 are the
 * position, big-endian; records with other keys stand alone, too. No row has records of two stretches of PACK_STRETCH positions, so where one
 * may be is known from its position. Pure.
 */
#ifndef TWINHUB_STORE_PACK_H
#define TWINHUB_STORE_PACK_H

#include "store/store.h"

#define PACK_KEY     10u
#define PACK_PREFIX  9u /* bytes of a key: its stretch */
#define PACK_STRETCH 256u
#define PACK_RECORDS 64u                 /* of a row */
#define PACK_BYTES   ((size_t)16 * 1024) /* of a row that takes one more */

/* Is it one of the two? */
static inline bool
pack_table(enum store_table t)
{
	return t == STORE_LOG || t == STORE_CHANGES;
}

/* ---- writing ---- */

struct packer;

/* A row that is complete; borrowed for the call. */
typedef void pack_row(void *ctx, enum store_table t, struct str key, struct str value);

struct packer *packer_new(pack_row *row, void *ctx);
void packer_free(struct packer *p); /* NULL is fine */
/* A record of a table that pack_table() names; borrowed until packer_end. */
void packer_add(struct packer *p, enum store_table t, struct str key, struct str value);
/* No more: what is there becomes rows. */
void packer_end(struct packer *p);

/* ---- reading ---- */

/* The records of one row, which is borrowed. */
struct pack_walk {
	struct rd rd;
	bool packed, begun;
	uint64_t position;
	struct str row_key;
	char key[PACK_KEY];
};

void pack_walk_begin(struct pack_walk *w, struct str key, struct str value);
/* The next one; its key is borrowed until the next call. ERR_END; ERR_CORRUPT. */
enum err pack_walk_next(struct pack_walk *w, struct str *key, struct str *value);
/* Append the record of this key, which the row may have. ERR_NOT_FOUND; ERR_CORRUPT. */
enum err pack_find(struct str row_key, struct str row, struct str key, struct buf *out);
/* Where rows begin that may have the record of this key, or one behind it: of its length, into room. */
struct str pack_seek_from(struct str key, char room[PACK_KEY]);

#endif
