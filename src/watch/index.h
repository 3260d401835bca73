/*
 * Which watches may a change of a row concern? A set of watches, found by what they look at:
 *
 *   by key    a condition that must have a value at a path (query_key_of) is asked only of rows that have it there, before or after
 *   by path   and only if a value at one of its paths has changed; SELECT * looks at everything
 *
 * So a change costs a look at each different path of all watches in the records that have changed, and an evaluation for each watch that it
 * concerns. Rows are shown as they were and as they are, through query_row_ops; which records they need is watch_index_records.
 *
 * Watches are named by the caller's ids. Nothing here is of a shard: one index serves all shards of a thread.
 */
#ifndef TWINHUB_WATCH_INDEX_H
#define TWINHUB_WATCH_INDEX_H

#include "shard/shard.h"
#include "watch/watch.h"

#define WATCH_INDEX_MAX 2048u /* watches */
#define WATCH_PATHS_MAX 4096u /* different paths of all of them */
#define WATCH_KEYS_MAX  64u /* constants of a key; a watch with more is found by its paths alone */

struct watch_index;

struct watch_index *watch_index_new(void);
void watch_index_free(struct watch_index *ix);

/* id: not in it yet. It holds a reference. ERR_FULL: WATCH_INDEX_MAX or WATCH_PATHS_MAX is reached, and f says so (429). */
enum err watch_index_add(
    struct watch_index *ix, const struct watch *w, uint64_t id, struct fault *f);
/* Nothing happens if there is none of that id. */
void watch_index_remove(struct watch_index *ix, uint64_t id);
uint32_t watch_index_count(const struct watch_index *ix);
/* The records of what all of them look at, as RECORD_BITs. */
unsigned watch_index_records(const struct watch_index *ix);
/* Does any of them look at connectionState, be it in a whole document? */
bool watch_index_connection(const struct watch_index *ix);

/* A change of one row. */
struct watch_change {
	const struct query_row_ops *ops;
	const void *was, *is;             /* NULL: it was not there; it is no more */
	enum query_collection collection; /* QUERY_DEVICES or QUERY_MODULES */
	/* RECORD_BITs of those that have changed; of a row that has come or gone nobody asks */
	unsigned records;
	bool connection; /* connectionState is another one, which rows do not tell apart */
};

/*
 * Is the condition of a watch that it concerns to be asked? moved: something that the condition looks at has changed. Else false for one to which the
 * row as it was has not been shown and will not be: it did not match, so it does not now, and nobody hears of it. NULL: all are asked.
 */
typedef bool watch_asks(void *ctx, uint64_t id, bool moved);

/* One that it concerns. */
struct watch_hit {
	uint64_t id;
	const struct watch *watch;
	bool matches; /* the row as it is */
	bool moved;   /* what the condition looks at: else it matched before as it does now */
	bool differs; /* what the select list shows of it */
};
typedef void watch_heard(void *ctx, const struct watch_hit *hit);
void watch_index_ask(struct watch_index *ix, const struct watch_change *c, struct query_scratch *s,
    watch_asks *asks, watch_heard *heard, void *ctx);

#endif
