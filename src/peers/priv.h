#ifndef TWINHUB_PEERS_PRIV_H
#define TWINHUB_PEERS_PRIV_H

#include "log/log.h"
#include "os/clock.h"
#include "peers/peers.h"
#include "relay/relay.h"

#include <pthread.h>

#define NODES          64u /* slots */
#define PEERS_STOPPING "the hub is stopping"

/* A parcel or a work that goes elsewhere, from the submitter's thread on. */
struct going {
	struct msg msg;
	struct going *next; /* of peers.unsent */
	struct peers *p;
	struct work *w; /* or the parcel */
	struct parcel *parcel;
	uint64_t asker;
	struct relay_item item;
};

/* A shard, as this node has it. */
struct mine {
	/* GREETS: it takes nothing but sessions yet */
	enum mine_state { MINE_NOT, MINE_COMES, MINE_GREETS, MINE_HERE, MINE_GOES } state;
	uint64_t epoch; /* by which it came */
	/* GREETS: nodes that have sessions to be resumed, perhaps, a bit each; and how long */
	uint64_t awaits;
	int64_t until_us;
	struct shift_ask {
		struct msg msg;
		struct peers *p;
		uint32_t shard;
		unsigned worker;
		uint64_t epoch;
		enum err e;
		struct fault why;
		shard_moved *done;
		void *ctx;
	} * ask;
};

/* Who serves a shard, as it has said itself. */
struct server {
	int owner;           /* enum relay_owner, or a slot */
	uint64_t epoch, nth; /* nth: of the links of that node, which it was said by */
};

/* Sessions of a shard that are being resumed where it is now. */
struct comeback {
	struct msg msg;
	struct peers *p;
	struct resumption r;
	bool under_way;
};

/* A node, by its slot. */
struct node {
	uint64_t nth; /* of its links; 0: none was up yet */
	bool up;
	int64_t down_us; /* since when it lives and is not up; 0: it is up, or lives no more */
	uint32_t served; /* its operations here, of links that went too */
	uint64_t served_bytes;
};

struct peers {
	struct peers_options o;
	struct elsewhere elsewhere;
	struct fleet_walks walks;
	struct fleet *fleet;
	struct mesh *mesh;
	struct relay *relay;
	struct loop *loop; /* the mesh's, which all that follows is of */
	struct loop_timer tick;
	struct mine mine[SHARDS];
	uint64_t opening; /* shards that are here and not open, a bit each */
	struct server servers[SHARDS];
	int leavers[SHARDS]; /* who has not yet said that he is through with it; RELAY_NOBODY */
	uint64_t cut; /* shards whose servers have not been reached for long, a bit each: cuts.c */
	uint64_t greets;  /* shards whose servers take nothing but sessions yet, a bit each */
	uint64_t strange; /* shards whose sessions are not known where they are now, a bit each */
	struct comeback comebacks[SHARDS];
	struct node nodes[NODES];
	struct shares *shares;
	struct going *unsent; /* too large to be sent */
	bool stopped;         /* as stops, on the loop */
	struct buf out;       /* a frame that is made */
	struct requests *requests;
	struct hub_jobs_of *hub_jobs;
	atomic_bool stops;
	struct msg word; /* fleet_feedback is another */
	atomic_bool worded;
	struct msg last;
	pthread_mutex_t mu;
	struct peers_look look; /* under mu */
	struct peers_look counts;
};

/* peers.c: a frame for a peer, begun with frame_begin in p->out. False: no link. ERR_SIZE: it is too large, and nothing was sent. */
bool peers_send(struct peers *p, uint16_t slot);
void peers_settle(
    struct peers *p); /* after each message: what can be opened is, and timers are set */

/* asks.c: the asker's side */
void asks_init(struct peers *p);
void asks_settle(struct peers *p); /* what could not be sent comes home */
bool asks_submit(void *ctx, struct work *w);
bool asks_parcel(void *ctx, struct parcel *c);
enum err asks_replied(struct peers *p, struct str body, struct fault *f);
enum err asks_parcel_done(struct peers *p, struct str body, struct fault *f);
enum err asks_not_mine(struct peers *p, struct str body, struct fault *f);

/* serves.c: the owner's side */
enum err serves_op(struct peers *p, uint16_t slot, struct str body, struct fault *f);
enum err serves_parcel(struct peers *p, uint16_t slot, struct str body, struct fault *f);
enum err serves_effect(struct peers *p, struct str body, struct fault *f);
void serves_note(void *ctx, struct note *n);

/* walks.c */
void walks_init(struct peers *p);

/* moves.c: shards that come and go, and what is said of them */
void moves_map(struct peers *p, uint16_t slot); /* to one; PEERS_NOBODY: to all */
enum err moves_mapped(struct peers *p, uint16_t slot, struct str body, struct fault *f);
void moves_open(struct peers *p);
void moves_viewed(struct peers *p, const struct peers_view *v);
void moves_resume(struct peers *p);
/* It is served; what waits goes there if this node's sessions are known. */
void moves_served(struct peers *p, uint32_t shard);
void moves_link_down(struct peers *p, uint16_t slot);

/* known.c: a shard that has come here takes nothing but sessions, until all are known or have been waited for long enough */
void known_begins(struct peers *p, uint32_t shard);
void known_link(struct peers *p, uint16_t slot, bool up);
/* This node's sessions of it have been resumed. */
void known_here(struct peers *p, uint32_t shard);
enum err known_said(struct peers *p, uint16_t slot, struct str body, struct fault *f); /* RESUMED */
void known_ends(struct peers *p, uint32_t shard);                                      /* now */
void known_settle(struct peers *p);

/* cuts.c: a view has come */
void cuts_viewed(struct peers *p, const struct peers_view *v);

/* shares.c: what each asker has on its way */
struct shares *shares_new(void);
void shares_free(struct shares *s);
bool shares_take(struct shares *s, uint64_t asker, uint32_t bytes, bool must);
void shares_give(struct shares *s, uint64_t asker, uint32_t bytes);

/* requests.c */
struct requests *requests_new(void);
void requests_free(struct requests *c);
void requests_link_down(struct peers *p, uint16_t slot);
enum err requests_called(struct peers *p, uint16_t slot, struct str body, struct fault *f);
enum err requests_answered(struct peers *p, uint16_t slot, struct str body, struct fault *f);
/* jobs.c */
void hub_jobs_init(struct peers *p);
void hub_jobs_start(struct peers *p);
void hub_jobs_look(struct peers *p);
void hub_jobs_stop(struct peers *p); /* on the loop */
void hub_jobs_free(struct peers *p);
void hub_jobs_report(void *ctx, const struct job_report *r);

#endif
