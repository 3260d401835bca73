/*
 * Features: what the rooms above keep in a shard, and what they hear of its rows. A shard is made with a list of them, and
 * knows them by this table alone, so that nothing in it calls upwards. They are told in the order of the list.
 *
 *   row_write ----------------.
 *   row_set_presence ----------+--> row_changed   if the feature watches that
 *   a device is made an edge one'
 *   an identity goes --------------> row_leaves
 *   a start, a write, its undo ----> load         of its records of RECORD_COMMON
 *   hub_apply ---------------------> ops          (hub/hub.h: struct feature_ops)
 *
 * Its records belong to no identity: a few, wholly in memory, which is a function of their keys and values, so that loading
 * one, writing one and taking a write back are the same: load.
 */
#ifndef TWINHUB_SHARD_FEATURE_H
#define TWINHUB_SHARD_FEATURE_H

#include "shard/row.h"

#define WATCH_PRESENCE (1u << 8) /* a session has begun or ended */
/* A device becomes an edge one, or is none any more: the row is still as before. */
#define WATCH_EDGE (1u << 9)

struct feature_ops;

/* What may be NULL says so, and is not asked then. */
struct feature {
	size_t state_bytes; /* of what it keeps in each shard, at first zero: shard_state */
	void (*fini)(void *state);

	/* Its records: their keys begin with one of these, NULL at the end. */
	const char *const *key_prefixes;
	/* What shard_common and shard_common_prefix do for them. load: ERR_CORRUPT, and nothing has changed. */
	enum err (*load)(struct shard *sh, struct str key, const struct str *value);
	bool (*next_prefix)(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX]);
	/* The value in memory, appended; false: there is none. */
	bool (*value)(const struct shard *sh, struct str key, struct buf *out);

	/* Something of a row that it watches has changed, in an operation; what: one of RECORD_BITs and WATCH_*. NULL: it never
	 * watches. It may note the row, and does what is to be done at the end of the operation. */
	void (*row_changed)(struct shard *sh, struct row *r, unsigned what);
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

/* Write a feature's record, value NULL: delete it; undone with the round. */
void common_write(
    struct shard *sh, struct str key, const struct str *value, const struct hub_env *env);

/* ---- for who changes rows ---- */

/* To be called where sh->watch has `what`. */
void features_changed(struct shard *sh, struct row *r, unsigned what);
void features_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env);
bool features_chose_between(const struct shard *sh, uint64_t a, uint64_t b);

/* ---- for shard_new and shard_free ---- */

void features_init(struct shard *sh, const struct feature *const *features);
void features_fini(struct shard *sh);

#endif
