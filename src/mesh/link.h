/*
 * What two nodes say on one connection, without the connection: HELLO both ways first, then frames; a PING each second, and silence ends it.
 *
 *   link_begin, then link_take with what has come and link_tick now and then, until one of them says that it is over
 *
 * Pure: bytes to be sent are appended to `out`. docs/cluster-design.md, 6.
 */
#ifndef TWINHUB_MESH_LINK_H
#define TWINHUB_MESH_LINK_H

#include "frame/frame.h"

#define LINK_NAME_MAX     64   /* bytes of a node's name, NUL included */
#define LINK_GREETING_MAX 4096 /* bytes of the first frame */

enum link_state { LINK_GREETING, LINK_UP, LINK_OVER };

struct link_times {
	int64_t ping_us;    /* between two PINGs */
	int64_t silence_us; /* after which the peer is gone */
};

struct link_user {
	/* May it be this peer's link? f: why not. */
	enum err (*on_hello)(void *ctx, const struct hello *h, struct fault *f);
	/* None of the link's own; borrowed. ERR_PROTOCOL: f says what is wrong with it, and the link is over. */
	enum err (*on_frame)(void *ctx, const struct frame *frame, struct fault *f);
	void *ctx;
};

struct link {
	const struct hello *self; /* borrowed */
	const struct link_times *times;
	enum link_state state;
	struct fault why;          /* LINK_OVER */
	uint64_t protocol, common; /* the peer's common; both as its HELLO, or POKE, said */
	int64_t begun_us, heard_us, pinged_us;
	int64_t trip_us; /* of the last PING that was answered; 0: none was */
	uint64_t pings;
	uint64_t feedback; /* shards of the peer's with some, a bit each */
};

void link_begin(struct link *l, const struct hello *self, const struct link_times *times,
    struct buf *out, int64_t now_us);
/* Bytes of whole frames; how many were taken. False: it is over, l->why. */
bool link_take(struct link *l, const struct link_user *user, struct str in, size_t *took,
    struct buf *out, int64_t now_us);
/* feedback: a bit for each shard of this node's that has some. False: it is over. */
bool link_tick(struct link *l, uint64_t feedback, struct buf *out, int64_t now_us);
void link_ping(struct link *l, uint64_t feedback, struct buf *out, int64_t now_us); /* now */

#endif
