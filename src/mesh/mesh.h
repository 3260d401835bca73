/*
 * mesh: the connections between the nodes of a hub, one for each pair, on a loop of its own.
 *
 *   mesh_open -> mesh_start -> mesh_peers whenever who they are has changed -> mesh_stop -> mesh_free
 *
 * The node whose name comes first dials. Each shows the certificate whose print stands in the table of nodes (net.h: struct pinned); who shows
 * another, or is not in the table, or is of another incarnation, is refused. A later connection of the same peer takes the place of the former,
 * when its user has been told that it is down. docs/cluster-design.md, 6, 11.
 */
#ifndef TWINHUB_MESH_H
#define TWINHUB_MESH_H

#include "frame/frame.h"
#include "mesh/link.h"
#include "net/net.h"

#define MESH_PEERS_MAX 63u         /* with this node a hub has 64 at most, as many as shards */
#define MESH_OUT_MAX   (64u << 20) /* bytes that wait for a peer; at it the link is dropped */
#define MESH_REDIAL_US 500000

struct mesh_peer {
	char node[LINK_NAME_MAX], address[NET_ADDR_TEXT_MAX]; /* "10.0.0.1:7443" */
	uint16_t slot;
	uint64_t generation;
	uint8_t print[PRINT_SIZE];
};

struct mesh_options {
	struct pinned *pinned; /* outlives it */
	const char *address;   /* where it listens, "10.0.0.1:7443" */
	const char *hub, *node, *version;
	uint16_t slot;
	uint64_t generation;
	struct link_times times; /* 0: a second, and three */
	/* all on the mesh's loop; slot names the peer */
	void (*on_up)(void *ctx, uint16_t slot);
	void (*on_down)(void *ctx, uint16_t slot, const char *why); /* after on_up alone */
	enum err (*on_frame)(void *ctx, uint16_t slot, const struct frame *frame, struct fault *f);
	void *ctx;
};

struct mesh;

/* It listens from then on. ERR_ARG, ERR_EXISTS, ERR_DENIED, ERR_IO: `why`. */
enum err mesh_open(const struct mesh_options *o, struct mesh **out, char why[NET_WHY_MAX]);
enum err mesh_start(struct mesh *m); /* ERR_IO: no thread */
void mesh_stop(struct mesh *m);      /* links end; on_down is called for each that is up */
void mesh_free(struct mesh *m);      /* NULL is fine */
struct loop *mesh_loop(struct mesh *m);
uint16_t mesh_port(const struct mesh *m);
/* Who the others are, from now on. Any thread. */
void mesh_peers(struct mesh *m, const struct mesh_peer *peers, unsigned n);
/* From now on: the version of what is hub-wide. Any thread. */
void mesh_say(struct mesh *m, uint64_t common);

/* On its loop: a frame for the peer, whole (frame_begin to frame_end). False: there is no link, or too much waits there, and it is dropped. */
bool mesh_send(struct mesh *m, uint16_t slot, struct str frame);
bool mesh_is_up(const struct mesh *m, uint16_t slot);   /* on its loop */
size_t mesh_waits(const struct mesh *m, uint16_t slot); /* bytes for that peer; likewise */
/* On its loop: shards of this node that have feedback from now on, which its peers hear at once. */
void mesh_has_feedback(struct mesh *m, uint64_t shards);
/* Any thread: those of peers that are up, as they have said last. */
uint64_t mesh_feedback(const struct mesh *m);

/* Any thread: of each peer, what there is to say of its link. */
struct mesh_view {
	char node[LINK_NAME_MAX];
	uint16_t slot;
	bool up;
	int64_t trip_us;
	uint64_t sent, received; /* bytes, since the start */
	char why[NET_WHY_MAX];   /* not up: the last reason */
};
unsigned mesh_look(struct mesh *m, struct mesh_view out[MESH_PEERS_MAX]);

#endif
