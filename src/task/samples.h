/*
 * samples: rows that are shown whole beside a question's counts, as JSON text with commas between, in the order of shards: so those of several
 * nodes are put together as one would have shown them.
 */
#ifndef TWINHUB_TASK_SAMPLES_H
#define TWINHUB_TASK_SAMPLES_H

#include "base/base.h"

#define SAMPLES_PART_BYTES (2u << 20) /* of a part's: at it there are fewer */

struct samples {
	struct buf text;
	struct buf marks; /* of each: its shard, bytes */
};

void samples_fini(struct samples *s);
/* One has been appended to the text, from `begun` on, with the comma before it if there is one. */
void samples_ends(struct samples *s, uint32_t shard, size_t begun);
/* As bytes; and: those of other shards are added, until there are so many, or so many bytes. */
void samples_put(const struct samples *s, struct buf *out);
enum err samples_take(struct samples *s, struct str part, unsigned most, size_t most_bytes);

#endif
