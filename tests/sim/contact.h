/*
 * The simulator's contact with the workers from inside: all that it knows of how they are made, beside what worker/worker.h has
 * for everybody. Who makes them another way changes contact.c, and nothing else here.
 */
#ifndef SIM_CONTACT_H
#define SIM_CONTACT_H

#include "worker/worker.h"

struct world;
struct vector;

/* ---- turns: the fleet is loaded, its threads are not ---- */

void contact_begin(struct world *w);
void contact_stop(struct world *w); /* from the next turns on nothing more is taken */
bool contact_stopping(const struct world *w);
/* Is there nothing left to be done before the end? */
bool contact_finished(struct world *w);
void contact_end(struct world *w); /* behind fleet_stop */
void contact_turn(struct world *w, unsigned worker);

/* To another worker, or the same once more, while all else goes on; nothing, if it moves already. */
/* Nobody has it at the moment: it is read. */
bool contact_is_nobodys(const struct world *w, uint32_t shard);
void contact_move(struct world *w, uint32_t shard, unsigned worker);

/* ---- looks ---- */

struct shard *contact_shard(const struct world *w, uint32_t shard);
unsigned contact_worker_of(const struct world *w, uint32_t shard);
void contact_partition(
    const struct world *w, uint32_t partition, uint32_t n, struct partition_end *out);
/* Where the store has such records. */
enum store_table contact_table(enum record_kind kind);
/* Nothing is on its way to the disk, is to go there or to be repaired. */
bool contact_rests(const struct world *w, unsigned worker);
/* There is something to be repaired, before anything may be written. */
bool contact_repairs(const struct world *w, unsigned worker);
/* There may be something of jobs that are known no more. */
bool contact_forgets(const struct world *w);
/* All twins are as the configurations have it, but those that are put off; and is any put off (J-36, J-50)? */
bool contact_in_line(const struct world *w);
bool contact_put_off(const struct world *w);
/* Does a job choose its targets with it? */
bool contact_job_chooses(const struct world *w, const struct vector *v);

/* ---- a tour of the whole fleet ---- */

enum ask_kind { ASK_QUERY, ASK_IDENTITIES, ASK_COUNTS, ASK_COLUMNS, ASK_JOBS, ASK_DRY_RUN };

struct inquiry {
	enum ask_kind kind;
	struct query *query;        /* ASK_QUERY: owned */
	struct str record;          /* ASK_DRY_RUN: of a configuration; borrowed for the call */
	struct configurations *set; /* ASK_DRY_RUN: borrowed for the call */
	bool count, explain;
	uint32_t limit;
	struct query_bookmark bookmark; /* out: where the next page begins */
	bool more;                      /* out */
	uint32_t nrow;                  /* out */
	struct buf rows;                /* out */
	struct fault fault;             /* out */
	void *owner;
	uint64_t marks[SHARDS];          /* epochs.h, when it began */
	void (*done)(struct inquiry *a); /* owns it: ends with ask_free */
};
struct inquiry *ask_new(enum ask_kind kind, void *owner, void (*done)(struct inquiry *a));
void ask_free(struct inquiry *a);
/* It comes back through done, in world_hear. */
void ask_send(struct world *w, struct inquiry *a);

#endif
