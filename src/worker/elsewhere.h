/*
 * elsewhere: what a fleet sees of the other nodes of its hub (peers/peers.h), and what those who carry operations there see of it.
 *
 *   fleet_submit -- a worker here has the shard, and it is open ------------------------> its worker
 *                -- else, under the lock of the shard's route --> elsewhere.submit .. --> a node, or fleet_enter --> its worker
 *
 * A shard that comes to a worker (fleet_take) is not open at once: what has been given away for it before must not be overtaken. Who carries
 * opens it, when nothing for it is on its way any more (fleet_open). One that is given up is closed by fleet_release. docs/cluster-design.md, 7.
 */
#ifndef TWINHUB_WORKER_ELSEWHERE_H
#define TWINHUB_WORKER_ELSEWHERE_H

#include "base/base.h"
#include "hub/hub.h"

struct fleet;
struct work;
struct parcel;
struct job_report;
struct note;
struct resumption;

/* Any thread. */
struct elsewhere {
	void *ctx;
	/* Under the lock of the shard's route: it posts, and calls nothing of the fleet's. Owned, until fleet_answered, fleet_refused or
	 * fleet_enter, after fleet_passed. False: it stops, and takes nothing more. */
	bool (*submit)(void *ctx, struct work *w);
	/* The same, with the parcel's done for its way home. */
	bool (*parcel)(void *ctx, struct parcel *p);
	/* For a session or a caller of another node; owned: fleet_note_free. */
	void (*note)(void *ctx, struct note *n);
	/* Shards of other nodes that have feedback, as they have said last, a bit each */
	uint64_t (*feedback)(void *ctx);
	void (*has_feedback)(void *ctx); /* fleet_feedback is another */
	/* How far a part of a job is, for shard 0, which is not here. Any thread of the fleet's. NULL: it is not told */
	void (*job_report)(void *ctx, const struct job_report *r);
};

/* Each submit and parcel that had begun has returned. */
void fleet_settle(struct fleet *f);
/* What was given to submit or parcel has come to where its order is kept. */
void fleet_passed(struct fleet *f, uint32_t shard);
/* To the worker that has its shard, open or not; op, home and done are set. False: there is none, and nothing was done. */
bool fleet_enter(struct fleet *f, struct work *w);
bool fleet_enter_parcel(struct fleet *f, uint32_t shard, struct parcel *p);
/* The sessions of a shard that has come are known, or waited for no longer: whatever is for it may enter. Before that OP_RESUME alone does; nothing
 * if it may already. Any thread. */
void fleet_known(struct fleet *f, uint32_t shard);
/* The link to who serves these shards, a bit each, has gone: calls of methods that this fleet's callers wait for have no answer any more (O-258). */
void fleet_lost(struct fleet *f, uint64_t shards);
/* Who serves these shards has not been reached for too long: this fleet's sessions of them are closed (O-262). */
void fleet_cut(struct fleet *f, uint64_t shards);
/* From now on what is submitted here enters at once. False: something was given away and has not passed, or no worker has it. */
bool fleet_open(struct fleet *f, uint32_t shard);
/*
 * The link to the node of that slot is up, the nth of them; 0: it has gone. Then works of it that were not applied are not, sessions that it holds
 * are forgotten without a word, until it resumes them, their calls fail (404104), and calls that somebody there waits for are given up.
 */
void fleet_edge(struct fleet *f, uint16_t slot, uint64_t nth);
/* Sessions of the shard are to be resumed by each loop of this node (fleet_options.resume): r->shard and r->over are set. False: it does not do
 * that, and over is not called. */
bool fleet_resume(struct fleet *f, struct resumption *r);
/* Home with the reply that it has; home with a fault. */
void fleet_answered(struct work *w);
void fleet_refused(struct work *w, enum fault_code code, const char *why);
/* An effect of another node's, for a session or a caller of this one: on its loop it is a note. False: there is no such loop. */
bool fleet_note(struct fleet *f, const struct effect *e);
void fleet_note_free(struct note *n);

#endif
