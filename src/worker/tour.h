/*
 * tour: a question (task/task.h) on its way through the fleet.
 *
 * It visits the workers in the order of their shards, in slices between batches, each worker's part behind its commits: what it
 * shows is durable and holds every write acknowledged before it began. Two devices may be seen at slightly different
 * moments. Where the task can be divided its parts are with all workers at once: the last bits of a SUM or AVG may differ
 * with the number of workers.
 */
#ifndef TWINHUB_WORKER_TOUR_H
#define TWINHUB_WORKER_TOUR_H

#include "net/net.h"
#include "task/page.h"
#include "task/task.h"

#include <stdatomic.h>

struct fleet;
struct walk;
struct walk_call;
struct worker;

/* ---- who asks ---- */

/*
 * What one request holds of its asker's share: a seat of tours, and bytes of an answer that its client has not read. An
 * asker is a policy, or a device, at one address. A ticket goes with the tour and then with its answer, until that has left:
 * so who does not read has no more of either. Any thread.
 */
struct ticket;
struct ticket *ticket_new(struct fleet *f, struct str who, struct str from);
void ticket_free(struct ticket *t); /* a tour that waits may begin; NULL is fine */
/* The answer takes so many bytes now; false: more than its share, or all that there is, and nothing has changed. */
bool ticket_hold(struct ticket *t, size_t bytes);
size_t ticket_bytes(const struct ticket *t);
/* Others wait for what it holds. */
bool ticket_pressed(struct ticket *t);

/* ---- a tour ---- */

struct tour {
	struct msg msg;        /* the fleet's */
	struct task *task;     /* its own. out: what has come of it; its fault, if any, first */
	struct ticket *ticket; /* its own; NULL: the hub's own tour, which waits for no seat */
	bool explain;          /* ns is wanted */
	bool samples;          /* the same, about: one slice in SAMPLED is told apart */
	struct loop *home;     /* where done runs */
	void (*done)(struct tour *t); /* owns t from then on: ends with tour_free */
	struct reply_to reply_to;     /* the sender's */
	void *owner;                  /* the sender's: outlives the tour */
	int64_t ns[LAPS];             /* in: LAP_PARSE; out: explain: summed over workers */
	int64_t total_ns;             /* out: from fleet_tour until it goes home */
	uint64_t reflects[SHARDS];    /* out: marks of shards when they were seen; 0: not seen */
	/* the fleet's */
	struct worker *at;
	unsigned lane;   /* enum share_kind */
	uint32_t builds; /* columns that it may not make yet; 0: it can have its turn */
	int64_t deadline_us, begin_ns, lap_ns;
	uint32_t nslice;
	int64_t unsplit_ns; /* of slices that were not looked at closely */
	struct tour *next;
	uint32_t inside; /* the shard that it is in the midst of, plus one; 0: it is in none */
	uint64_t shards; /* those that it sees, a bit each */
	uint64_t seen;   /* those that it is through with */
	/* it is another node's question, or a part of one; NULL: it is this one's */
	struct walk_call *call;
	struct walk *walk;          /* this one's to other nodes */
	struct tour *whole, *parts; /* of a task in parts: one a worker, all at once */
	unsigned npart;
	atomic_uint waiting; /* parts that are not done */
};

/* Takes the task. */
struct tour *tour_new(struct loop *home, struct task *task, void (*done)(struct tour *t));
void tour_free(struct tour *t); /* NULL is fine */
/* Any thread. It comes back through done, whatever happens. */
void fleet_tour(struct fleet *f, struct tour *t);

/* What a page reflects, as x-twinhub-reflects gives it: base64 of varints: the first shard seen, how many, the least of
 * their marks, and what each is above it. Nothing if no shard was seen. */
void tour_reflects(const struct tour *t, struct buf *out);

#endif
