/*
 * peers: what joins a fleet (worker/), the router (relay/), frames and links (mesh/): operations, answers and effects between the nodes of a
 * hub, shards that come to this node and go, and requests outside of any shard's order.
 *
 *   peers_open -> fleet_new with peers_elsewhere -> peers_has for each of its shards -> peers_start -> peers_view each second
 *              -> peers_stop -> fleet_stop -> peers_drain -> peers_free -> fleet_free
 *
 * All of it is on the mesh's loop, which owns the router: what is submitted for shards that no worker here is open for is posted there, under
 * the lock of the shard's route. An operation that comes from another node is entered at the worker that has its shard by the epoch that it
 * was sent with, or by a later one of the same possession; else it is answered by NOT_MINE, and has not been done.
 *
 * Whoever gets a shard, or is reached by another link, knows no sessions of it: each node has those resumed that it holds links of
 * (fleet_options.resume), and only then does anything else of this node's go to the shard. A link that goes ends, at either side, what the other
 * has of it: answers are unknown, sessions are forgotten until they are resumed, calls fail.
 *
 * docs/cluster-design.md, 6 to 8; docs/spec/operate.md, O-250 to O-259.
 */
#ifndef TWINHUB_PEERS_H
#define TWINHUB_PEERS_H

#include "mesh/mesh.h"
#include "worker/worker.h"

#define PEERS_CALLS_MAX  64u         /* requests under way at one node; beyond it ERR_FULL */
#define PEERS_CALL_BYTES (16u << 20) /* of them; likewise */
#define PEERS_OUT_MAX                                                                              \
	(16u                                                                                       \
	    << 20) /* bytes on their way to a node behind which no answer is sent: it is a fault, F_ServiceUnavailable */
/* What one asker may have on its way to other nodes, out and waiting: beyond it 429 (O-252). */
#define PEERS_SHARE       1024u
#define PEERS_SHARE_BYTES (2u << 20)

/* So long a node that lives, as the database says, may not be reached, until sessions of its shards are closed (O-262). */
#define PEERS_CUT_US INT64_C(10000000)

struct peers;

struct peers_options {
	struct pinned *pinned; /* outlives it */
	const char *address;   /* where the mesh listens, "10.0.0.1:7443" */
	const char *hub, *node, *version;
	uint16_t slot;
	uint64_t generation;
	struct link_times times; /* 0: those of mesh_options */
	int64_t cut_us;          /* PEERS_CUT_US, where it is 0 */
};

/* It listens from then on. ERR_ARG, ERR_EXISTS, ERR_DENIED, ERR_IO: `why`. */
enum err peers_open(const struct peers_options *o, struct peers **out, char why[NET_WHY_MAX]);
/* For fleet_options, as is the slot. */
const struct elsewhere *peers_elsewhere(struct peers *p);
const struct fleet_walks *peers_walks(struct peers *p);
/* Before the start: the fleet has this shard, by this epoch. */
void peers_has(struct peers *p, uint32_t shard, uint64_t epoch);
enum err peers_start(struct peers *p, struct fleet *f); /* ERR_IO: no thread */
/* Links end. What waits is refused, what is out is answered as unknown, nothing more is taken. Before fleet_stop, and before loops stop. */
void peers_stop(struct peers *p);
/* The fleet has stopped, and its loops, which are there: what is on its way between threads comes home. */
void peers_drain(struct peers *p);
/* The fleet's loops have gone, the fleet has not. NULL is fine. */
void peers_free(struct peers *p);
uint16_t peers_port(const struct peers *p);

/* ---- who and whose, as the database says it ---- */

struct peers_view {
	unsigned nnode;
	struct mesh_peer nodes[MESH_PEERS_MAX]; /* the others that live or drain */
	struct peers_owner {
		uint64_t epoch;
		int slot; /* -1: nobody */
	} shards[SHARDS];
};
/* Any thread; copied. To be called with each view, also if nothing is new. */
void peers_view(struct peers *p, const struct peers_view *v);

/* ---- shards that come and go: any thread ---- */

/*
 * As fleet_take, and then whoever waits for the shard, here and at other nodes, hears of it. epoch: by which this node has it. `done` is called
 * once, on any thread, whatever e is.
 */
void peers_take(
    struct peers *p, uint32_t shard, uint64_t epoch, unsigned worker, shard_moved *done, void *ctx);
/* First nobody is sent there any more, then as fleet_release. */
void peers_release(struct peers *p, uint32_t shard, shard_moved *done, void *ctx);

/* ---- requests outside of the order of any shard ---- */

/* ERR_OK: the body, borrowed. ERR_IO: there is no link, or it went: nobody knows what came of it. ERR_FULL, ERR_SIZE: not sent. ERR_ARG: what
 * the peer's handler said. On the mesh's loop, once; short. */
typedef void peers_answered(void *ctx, enum err e, struct str body, const struct fault *why);
/* Any thread; body is copied. deadline_us: of clock_mono_us; at it ERR_IO. */
void peers_call(struct peers *p, uint16_t slot, enum call_kind kind, struct str body,
    int64_t deadline_us, peers_answered *done, void *ctx);

/* One that is asked of this node. */
struct peers_asked;
/* On the mesh's loop; body is borrowed. To be answered once, by any thread, soon or later. */
typedef void peers_handler(void *ctx, uint16_t slot, struct str body, struct peers_asked *asked);
/* Before the start. */
void peers_handle(struct peers *p, enum call_kind kind, peers_handler *handler, void *ctx);
/* Over FRAME_MAX, or with too much on its way there, it is answered by a fault. */
void peers_answer(struct peers_asked *asked, struct str body);
void peers_refuse(struct peers_asked *asked, const struct fault *why);

/* ---- for status and metrics ---- */

struct peers_look {
	uint32_t waiting, out; /* operations for other nodes: not sent; sent, and not answered */
	uint64_t waiting_bytes;
	uint64_t unsettled;     /* shards whose operations wait, a bit each */
	uint64_t mine;          /* shards that are served here */
	uint32_t served;        /* operations of others that are under way here */
	uint64_t not_mine;      /* that were answered so, here; since the start, as what follows */
	uint64_t unknown;       /* operations whose node went */
	uint64_t late, full;    /* that nobody could be asked in time; that were too many */
	uint16_t owner[SHARDS]; /* slot of who serves it as this node knows; PEERS_NOBODY */
};
#define PEERS_NOBODY UINT16_MAX
/* Any thread; as it was a second ago at the most. */
void peers_look(struct peers *p, struct peers_look *out);
unsigned peers_links(struct peers *p, struct mesh_view out[MESH_PEERS_MAX]);
/* From now on (mesh_say). Any thread. */
void peers_say(struct peers *p, uint64_t common);
#endif
