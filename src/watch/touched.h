/*
 * What of a shard's rows has been touched, as far as watches want to know: the feature by which a shard tells of it (shard/feature.h).
 *
 * Each row that an operation touches is noted once, as it was before. At the end of the operation, when configurations have had their say
 * (E-56), who owns the shard asks:
 *
 *   watch_missing   records of those rows that are not in memory, and must be
 *   watch_touched   whom it concerns, row after row; then nothing is noted any more
 *
 * It is asked before anything else happens in the shard, so what a row was, and what it is, are those of one operation.
 */
#ifndef TWINHUB_WATCH_TOUCHED_H
#define TWINHUB_WATCH_TOUCHED_H

#include "watch/index.h"

extern const struct feature watch_feature;

/* From now on it is noted what these look at; while there are none, a change costs one test (sh->watch). */
void watch_listen(struct shard *sh, const struct watch_index *ix);
/* Has anything been touched? */
bool watch_any(const struct shard *sh);
/* As hub_missing, of the rows that were touched. */
unsigned watch_missing(struct shard *sh, const struct watch_index *ix, struct buf *key);

/* A watch that a touched row concerns. Borrowed for the call. */
struct watch_news {
	const struct watch_hit *hit;
	struct str device, module;
	uint32_t row;
	const struct query_row_ops *ops;
	const void *was, *is; /* NULL: it was not there; it is no more */
};
/* As watch_asks, of this row. */
typedef bool watch_row_asks(void *ctx, uint64_t id, uint32_t row, bool moved);
typedef void watch_tell(void *ctx, const struct watch_news *n);
void watch_touched(struct shard *sh, struct watch_index *ix, struct query_scratch *s,
    watch_row_asks *asks, watch_tell *tell, void *ctx);
/* What is noted is undone, or nobody's business. */
void watch_forget(struct shard *sh);

#endif
