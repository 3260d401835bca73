/*
 * gate: memory is ahead of the disk, and nobody hears of anything before the disk has followed.
 *
 *   gathering --gate_submit--> in flight --gate_ended(true)--> on disk
 *
 * Two rounds alternate. Operations are applied to the gathering one, on a state in memory that already holds what is in
 * flight. What is to happen because of them - an answer, a notification - is an after-commit action: it is put in order
 * behind the newest round that it may have seen, and happens when that round is on disk. If a round fails, both are undone,
 * newest first, the actions hear that nothing has come of it, and before anything else is written a repair brings the disk
 * back to what memory holds: a batch that failed may be found there all the same. (Not one that the store has refused.)
 *
 * Where others may take over what this process answers for, being on disk is not enough: face.may_answer is asked when answers
 * leave, by the thread that lets them. If it says no, the state stays, and the actions hear that nothing can be said. What an operation that wrote
 * has to say needs no lease: its commit was compared with whose the shard is, and is the proof.
 *
 *   gate_turn                       a turn begins
 *   gate_put, gate_del, gate_undo   what an operation writes, and how to undo it: struct hub_env's
 *   gate_begin, gate_settle         an operation begins, it is over
 *   gate_after, gate_answer         its effects, its answer
 *   gate_submit                     at the end of a turn
 *   gate_ended, gate_tell           when the store has done with a batch
 *
 * No threads, no clock: one caller at a time, and the store is a face of two functions.
 */
#ifndef TWINHUB_WORKER_GATE_H
#define TWINHUB_WORKER_GATE_H

#include "hub/hub.h"
#include "store/store.h"

/* By enum record_kind, those of the log and RECORD_COMMON too. */
extern const enum store_table record_tables[];

/* of a round's writes, or of what would undo them; the rest waits */
#define GATE_BYTES_MAX (8u << 20)

/* What has become of all that an after-commit action may have seen. */
enum gate_end {
	GATE_ON_DISK,
	GATE_UNDONE, /* nothing has come of it */
	GATE_UNSAID /* it stays, but whether it did may not be said from here: "unknown" is the answer */
};

typedef void after_commit(void *ctx, void *p, enum gate_end end);

struct gate_face {
	void *ctx; /* theirs, and the after-commit actions' */
	/* The batch is the store's from here on. One at a time; gate_ended when it has ended, never from within. */
	void (*submit)(void *ctx, struct store_batch *b);
	/* What failed has been taken back, batches may be tried again: see store_resume. */
	void (*resume)(void *ctx);
	/* An empty one, for the next round: see store_batch_next. */
	struct store_batch *(*next)(void *ctx);
	/* The lease that holds at this moment: a number, another one after each time that none did; 0: none does. An answer
	 * leaves under the lease under which its turn began. By the clock itself, as the thread may have been stopped anywhere.
	 * NULL: what is known may always be said. */
	uint64_t (*may_answer)(void *ctx);
	/* Nobody rests on the lease's clock: what wrote nothing waits for the next commit as well, an empty one if need be. */
	bool reads_fenced;
};

/* The fields are gate.c's. */
struct gate_round {
	struct store_batch *batch; /* NULL while the store has it */
	struct undo *undo;
	struct gate_action {
		after_commit *act;
		void *p;
		bool proved; /* by the round's commit */
	} * actions;
	uint32_t naction, cap;
	uint32_t nstale; /* the first of them: of turns under an earlier lease */
};

struct gate {
	struct gate_face face;
	struct gate_round rounds[2];
	unsigned gathering;
	uint64_t lease; /* under which the turn began */
	struct {
		uint32_t writes, actions; /* of the gathering round, as the operation began */
		bool wrote; /* the last one that is over, whose answer has not been given */
	} op;
	bool in_flight; /* the other round, or a repair */
	bool repairing; /* it is a repair */
	struct buf repair;
	struct undo *undone; /* what a repair is to bring to the disk stays in memory until then */
};

void gate_init(struct gate *g, const struct gate_face *face);
/* No action waits any more. */
void gate_fini(struct gate *g);

/* Before what a turn applies. */
void gate_turn(struct gate *g);

/* ---- the gathering round ---- */

/* Writes of a shard; the last one of a key counts. */
void gate_put(
    struct gate *g, uint32_t shard, enum record_kind kind, struct str key, struct str value);
void gate_del(struct gate *g, uint32_t shard, enum record_kind kind, struct str key);
/* Where to note how to undo them: another one after each gate_submit and gate_ended. */
struct undo *gate_undo(struct gate *g);
/* May one begin? Not in a turn that began without a lease: what it would be judged by may be old. */
bool gate_may_begin(const struct gate *g);
void gate_begin(struct gate *g);
/* An operation is over. One that wrote nothing stands or falls with what it may have seen. */
void gate_settle(struct gate *g);
/* At once if nothing that it may have seen is on its way. */
void gate_after(struct gate *g, after_commit *act, void *p);
/* The same for the answer of the operation that was settled last, begun by gate_begin. */
void gate_answer(struct gate *g, after_commit *act, void *p);
uint32_t gate_writes(const struct gate *g);
size_t gate_bytes(const struct gate *g); /* of them */
/* Are there fewer writes, and may it have more bytes? */
bool gate_has_room(const struct gate *g, uint32_t writes_max);

/* ---- to the disk ---- */

/* Hand the gathering round to the store, unless it still has the other one. true: the gathering round is empty now. */
bool gate_submit(struct gate *g);
/* The store has done with the batch that it had. true: it, or a repair, is on disk, and its actions have happened, or a repair
 * is to be tried again. false: both rounds are undone; the caller brings in line what else it knows, and then gate_tell. */
bool gate_ended(struct gate *g, enum store_result result);
/* The actions of both rounds hear that they are undone. */
void gate_tell(struct gate *g);
/* Is there a repair to be brought to the disk? Until then nothing may be written. */
bool gate_needs_repair(const struct gate *g);
/* Hand it to the store, unless that has a batch. */
void gate_repair(struct gate *g);
/* The store has a batch. */
bool gate_in_flight(const struct gate *g);
/* The gathering round has something for the store, which has no batch. */
bool gate_awaits(const struct gate *g);
/* Nothing is on its way and nobody waits. */
bool gate_idle(const struct gate *g);

#endif
