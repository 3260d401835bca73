/*
 * store, for who makes one: what a batch holds. Callers of store.h need none of this.
 */
#ifndef TWINHUB_STORE_FACE_H
#define TWINHUB_STORE_FACE_H

#include "store/store.h"

/* ---- what is in a batch ---- */

struct store_change {
	uint32_t shard;
	enum store_table table;
	bool put; /* else the key goes */
	struct str key, value;
};

/* The next change, borrowed, in the order in which they came, each key once; begin with *at = 0. false: there is none. */
bool store_batch_next_change(const struct store_batch *b, size_t *at, struct store_change *out);

#endif
