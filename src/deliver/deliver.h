/*
 * deliver: sinks at work. What shard 0 has of sinks and routes becomes senders (sink/); what they have taken becomes their cursors
 * (docs/spec/events.md 4).
 *
 *   routing --deliveries_learn--> outlets
 *   feed --take--> outlets --sender_offer--> senders --over--> outlets --OP_SINK_CURSOR--> shard 0
 *
 * One thread, "sinks", makes and ends them, so nobody else waits for a place. Any thread may call what is here.
 */
#ifndef TWINHUB_DELIVER_H
#define TWINHUB_DELIVER_H

#include "feed/feed.h"
#include "partition/partition.h"
#include "sink/sink.h"
#include "worker/worker.h"

struct deliveries;

struct deliveries_options {
	struct senders_options senders;
	struct str origin; /* the hub's host name, for handshakes; outlives it */
};

/* What sinks are fed from, and where their cursors go: there is more of a hub by then. */
struct deliveries_world {
	struct fleet *fleet;
	struct feed *feed;
	struct store *store;
	struct loop *loop; /* where answers of the fleet come */
	/* events are numbered in so many partitions, from these on (fleet_partition); borrowed for the call; 0: they are not */
	const struct partition_end *ends;
	uint32_t npartition;
	bool rests; /* nothing is delivered, nor numbered: a rehearsal */
	/* Of several nodes, this one sends while it has shard 0, and numbers the partitions whose shards it has. NULL: it has all. Any thread. */
	bool (*has)(void *ctx, uint32_t shard);
	/* Somebody asks for partitions for the first time: all nodes are to hear of it (deliveries_want). false: not yet, again later. It may wait. NULL:
	 * there are no others. */
	bool (*asked)(void *ctx);
	void *ctx;
};

/* ERR_IO, and those of senders_new: f says why. */
enum err deliveries_new(
    const struct deliveries_options *o, struct deliveries **out, struct fault *f);
/* Events go to sinks from now on. ERR_IO: no thread. */
enum err deliveries_begin(struct deliveries *d, const struct deliveries_world *w, struct fault *f);
/* The sinks and routes that are on disk; takes the set. here: with their cursors, as shard 0 has them: this node is who sends. Returns at once. */
void deliveries_learn(struct deliveries *d, struct routing *set, bool here);
/* Shard 0 is another node's: nothing is sent from here any more. Returns at once. */
void deliveries_elsewhere(struct deliveries *d);
/* Partitions have been asked for, at another node. Any thread. */
void deliveries_want(struct deliveries *d);
/* Nothing is sent or read any more when it returns; the fleet and its loop still run. */
void deliveries_stop(struct deliveries *d);
void deliveries_free(struct deliveries *d); /* NULL is fine */

/* The hub's name; borrowed. */
struct str deliveries_hub(const struct deliveries *d);
/* Those that were learned last; the caller's. */
struct routing *deliveries_routing(struct deliveries *d);
/* The member "status" of a sink's answer (E-38). */
void deliveries_show(struct deliveries *d, const struct sink_def *sink, struct out *o);
/* All of them: [{"id", "kind", "status"}] */
void deliveries_show_all(struct deliveries *d, struct out *o);
struct metric_looks;
/* What metrics show of them. */
void deliveries_look(struct deliveries *d, struct metric_looks *looks);

#endif
