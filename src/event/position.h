/*
 * Positions of the hub for readers (E-10, E-11): of each shard the next position that is to be read, in one text.
 *
 *   version (1 byte) | hub (4 bytes) | dropped bits (1) | width (1) | least (varint) | 64 differences from it, without their dropped bits,
 *   `width` bits each | check (2 bytes), in base64 for URLs without padding
 *
 * At most POSITION_TEXT_MAX characters: where the shards lie further apart than POSITION_BITS can say, the lowest bits of the differences are
 * dropped, so that a reader gets some again, and misses none.
 */
#ifndef TWINHUB_EVENT_POSITION_H
#define TWINHUB_EVENT_POSITION_H

#include "base/base.h"

#define POSITION_SHARDS   64u
#define POSITION_BITS     26u
#define POSITION_TEXT_MAX 300u

struct position {
	uint64_t next[POSITION_SHARDS];
};

/* hub: a number that this hub has and no other. Appended. */
void position_write(struct buf *out, const struct position *p, uint32_t hub);
/* false: f says what it is instead: of another hub, or none. */
enum err position_read(struct str text, uint32_t hub, struct position *out, struct fault *f);

#endif
