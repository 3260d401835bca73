/*
 * Features: what the rooms above keep in a shard, and what they hear of its rows. A shard is made with a list of them, and
 * knows them by this table alone, so that nothing in it calls upwards. They are told in the order of the list.
 *
 *   row_write ----------------.  ,-> row_changes   before it
 *   row_set_presence ----------+-+-> row_changed   behind it, if the feature watches that
 *   a device is made an edge one'
 *   an identity is made -----------> row_changed   with WATCH_COMES
 *   an identity goes --------------> row_leaves
 *   a start, a write, its undo ----> load         of its records of RECORD_COMMON
 *   hub_apply ---------------------> ops          (hub/change.h: struct feature_ops)
 *
 * Its records belong to no identity: a few, wholly in memory, which is a function of their keys and values, so that loading
 * one, writing one and taking a write back are the same: load. So a feature needs no undo of its own. What it keeps besides,
 * such as rows that are due within an operation, must be empty between operations, or good whatever has been undone.
 *
 * The order of calls in the life of a shard:
 *
 *   shard_new      state_bytes of zeros for each feature
 *   shard_load     rows; nobody is told of them
 *   shard_common   load, for each stored record with one of key_prefixes, in the order of keys
 *   operations     ops->begin, row_changed and row_leaves while it runs, ops->end; common_write from any of these
 *   undo_rollback  load with the old values, newest first
 *   shard_free     fini
 *
 * To add one: a `const struct feature` in its room, a line in the list `features` of worker.c, key prefixes that no other one has
 * (a longer one that begins with another's is another's, too), and its records in docs/architecture.md, "Stored formats".
 *
 * What it is not told is cheap: while nobody watches, a change of a row is one test of sh->watch.
 */
#ifndef TWINHUB_SHARD_FEATURE_H
#define TWINHUB_SHARD_FEATURE_H

#include "shard/row.h"

#define WATCH_PRESENCE (1u << 8) /* a session has begun or ended */
/* A device becomes an edge one, or is none any more: the row is still as before. */
#define WATCH_EDGE  (1u << 9)
#define WATCH_COMES (1u << 10) /* an identity has been made: its records are written next */

struct feature_ops;

/* Constant; one for all shards. What may be NULL says so, and is not asked then. */
struct feature {
	size_t state_bytes; /* of what it keeps in each shard, at first zero: shard_state */
	void (*fini)(void *state);

	/* Its records: their keys begin with one of these, NULL at the end. If there are none it has no load, next_prefix and value. */
	const char *const *key_prefixes;
	/* A record as it is now, value NULL: it is gone; both borrowed for the call. ERR_CORRUPT: it cannot be what was written, and nothing
	 * has changed. */
	enum err (*load)(struct shard *sh, struct str key, const struct str *value);
	/* The prefixes of the keys that it has in this shard, one after the other: see shard_common_prefix. */
	bool (*next_prefix)(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX]);
	/* The value in memory, appended; false: there is none. */
	bool (*value)(const struct shard *sh, struct str key, struct buf *out);

	/* Something of a row that it watches has changed, in an operation; what: one of RECORD_BITs and WATCH_*. NULL: it does not
	 * want to know. It may note the row, and does what is to be done at the end of the operation. */
	void (*row_changed)(struct shard *sh, struct row *r, unsigned what);
	/* The same, when it is about to change: the row is still as before. Not of WATCH_EDGE and WATCH_COMES. NULL: it is not asked. */
	void (*row_changes)(struct shard *sh, struct row *r, unsigned what);
	/* An identity is about to go, all of its records in memory. May be NULL. */
	void (*row_leaves)(struct shard *sh, struct row *r, const struct hub_env *env);
	/* Does it know something of identities older than some moment, which lies between generations a and b? So a row that
	 * was somebody else's takes no generation from before, whatever a line of an import says. May be NULL. */
	bool (*chose_between)(const struct shard *sh, uint64_t a, uint64_t b);

	const struct feature_ops *ops; /* what hub_apply asks of it. May be NULL */
};

/* What the feature keeps in this shard, which has it. */
void *shard_state(const struct shard *sh, const struct feature *f);
/* RECORD_BITs and WATCH_*: what it wants to hear of from now on. hub_apply asks it as long as it watches something. */
void shard_watch(struct shard *sh, const struct feature *f, unsigned what);

/*
 * Write a feature's record, in an operation; value NULL: delete it. The store gets it through env, the feature through load, at once;
 * both are undone with the round. A value that load does not take is a mistake of ours.
 */
void common_write(
    struct shard *sh, struct str key, const struct str *value, const struct hub_env *env);

/* ---- for who changes rows ---- */

/* To be called where sh->watch has `what`. */
void features_changed(struct shard *sh, struct row *r, unsigned what);
void features_change(struct shard *sh, struct row *r, unsigned what); /* before: row_changes */
void features_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env);
bool features_chose_between(const struct shard *sh, uint64_t a, uint64_t b);

/* ---- for shard_new and shard_free ---- */

void features_init(struct shard *sh, const struct feature *const *features);
void features_fini(struct shard *sh);

#endif
