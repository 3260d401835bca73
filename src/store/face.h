/*
 * store, for who makes one: what stands behind store.h. RocksDB's (rocks.c) is one; the simulator has another
 * (tests/sim/sim_store.c). Callers of store.h need none of this.
 *
 * A store begins with a `struct store`, which names its functions: store.c calls them and does nothing else, so what store.h says of
 * each holds of them. That is one indirect call for a batch, a read, a row of a scan.
 */
#ifndef TWINHUB_STORE_FACE_H
#define TWINHUB_STORE_FACE_H

#include "store/store.h"

struct store_ops {
	void (*close)(struct store *s);
	enum err (*get)(struct store *s, enum store_table t, struct str key, struct buf *out);
	enum err (*cursors_open)(struct store *s, const enum store_table *tables, unsigned n,
	    struct str from, struct str to, enum store_scan how, struct store_cursor **out);
	enum err (*next)(struct store_cursor *c, struct str *key, struct str *value);
	void (*cursor_close)(struct store_cursor *c);
	struct store_batch *(*batch_next)(struct store *s, unsigned lane);
	void (*submit)(struct store *s, unsigned lane, struct store_batch *b, uint64_t cookie);
	void (*resume)(struct store *s, unsigned lane);
	void (*retain)(struct store *s, const struct store_retention *r); /* NULL: it keeps all */
	void (*log_to_files)(struct store *s);                            /* NULL: it has no ages */
	enum store_state (*state)(struct store *s, struct fault *why);
	uint32_t (*generation)(const struct store *s);
	uint64_t (*space)(const struct store *s);
	bool (*has_space)(const struct store *s);
	void (*damage)(struct store *s, struct store_damage *out);
	void (*stats)(struct store *s, struct store_stats *out);
	enum err (*checkpoint)(struct store *s, const char *dir, struct fault *f);
	/* NULL: it keeps none */
	void (*epoch)(struct store *s, uint32_t shard, struct store_epoch *out);
};

struct store {
	const struct store_ops *ops;
};

struct store_cursor {
	const struct store_ops *ops;
};

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
