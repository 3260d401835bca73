/*
 * A simulated store behind store.h: what is on disk is in memory, and the end of each commit is the simulator's to say. It
 * has the face of store/face.h, and so store.h's functions work on it.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "store/store.h"

struct store *sim_store_new(unsigned lanes, void *ctx, store_done *done);
/* Nothing may be under way. */
void sim_store_free(struct store *s);
/* Another fleet with so many lanes has it. */
void sim_store_reopen(struct store *s, unsigned lanes);

/* Is a batch of this lane on its way? Then end it; on_disk: of one that fails, it is found there all the same. One that is to go
 * well is refused, and is certainly not there, if the store does not work or its lane was not resumed. */
bool sim_store_awaits(const struct store *s, unsigned lane);
void sim_store_end(struct store *s, unsigned lane, bool ok, bool on_disk);
/* READY; FULL and FAILED: every batch fails so; CRAMPED: less is free than shall stay so, and batches end well. */
enum sim_state { SIM_READY, SIM_CRAMPED, SIM_FULL, SIM_BROKEN };
void sim_store_set(struct store *s, enum sim_state state);
/* Changes of what is on the disk so far. */
uint64_t sim_store_changes(const struct store *s);

/* What becomes of a lane's batch. */
enum sim_commit { SIM_SUBMITTED, SIM_LANDED, SIM_FAILED };
void sim_store_watch(struct store *s, void (*watch)(unsigned lane, enum sim_commit what));

/* The machine dies: what this lane has on its way is on the disk, whatever is said of it later. */
void sim_store_lands(struct store *s, unsigned lane);
/* What is on the disk, and back to that. */
struct sim_disk;
struct sim_disk *sim_store_copy(const struct store *s);
void sim_store_back(struct store *s, struct sim_disk *disk);

/* Retention drops a row. */
void sim_store_drop(struct store *s, enum store_table t, struct str key);

/* A value as it stands, borrowed until a commit ends; false: there is none. */
bool sim_store_peek(const struct store *s, enum store_table t, struct str key, struct str *value);

#endif
