/* What configurations keep in a shard: shared by configure.c, which applies them to rows, sweep.c, which goes through all of them, stored.c, which has their records, and feature.c. */
#ifndef TWINHUB_CONFIG_CONFIGURE_H
#define TWINHUB_CONFIG_CONFIGURE_H

#include "config/config.h"
#include "config/evaluate.h"
#include "config/priv.h"
#include "config/touched.h"

struct configure {
	struct configurations *stored; /* shard 0: the hub's, as last written; NULL: none */
	/* hash of the set that every row is in line with, or UNSWEPT: some with one, some with another */
	uint64_t swept;
	struct evaluator ev; /* its set: configure_use; NULL: none has been told yet */
	unsigned watch;      /* what makes a row due; 0: there is no configuration */
	unsigned records;    /* what evaluation needs in memory */
	struct touched touched;
	bool selfish;     /* conditions look at what configurations write */
	bool timed;       /* conditions that come true by time alone */
	bool running;     /* what is written now is written by configurations */
	bool postponed;   /* some row waits for the next round of all */
	bool again;       /* that round is under way */
	uint64_t nlooped; /* rows that still changed at their second evaluation (J-36) */
	uint32_t *due, ndue, capdue;
	int64_t due_us;      /* configure_sweep_due */
	uint32_t row;        /* of the sweep */
	bool passes;         /* and that row: the change does not concern it */
	uint32_t identities; /* of the shard when the operation began */
	/* the record of the twin of a back end's operation before it; NULL: it is none */
	struct blob *was;
	struct buf notify;
};

static inline struct configure *
configure_of(const struct shard *sh)
{
	return shard_state(sh, &configuration_feature);
}

/* ---- its rows ---- */

/* The edge device that the row is evaluated with: its own, or itself; NULL: it is evaluated alone. */
struct row *row_family_of(struct shard *sh, struct row *r);
/* A row of the family, or this row alone, of which some of these are not in memory; NULL: none. */
struct row *row_not_at_hand(struct shard *sh, struct row *r, unsigned records);
/* The same of what evaluation takes, which is row_wants() of the row that is returned. */
struct row *row_not_ready(struct shard *sh, struct row *r);
unsigned row_wants(const struct configure *c, const struct row *r);
/* Evaluate a row, or the family that it belongs to, and write what that changes. */
void row_bring_in_line(struct shard *sh, struct row *r, const struct hub_env *env);

/* As struct feature and struct feature_ops have it. */
void configure_row_changed(struct shard *sh, struct row *r, unsigned what);
void configure_row_leaves(struct shard *sh, struct row *r, const struct hub_env *env);
unsigned configure_needs(const struct shard *sh, enum op_kind kind);
unsigned configure_missing(struct shard *sh, const struct op *op, struct buf *key);
void configure_begin(struct shard *sh, const struct op *op);
void configure_end(
    struct shard *sh, const struct op *op, const struct hub_env *env, struct reply *reply);

/* ---- its records (struct feature) ---- */

extern const char *const configure_key_prefixes[];
enum err configure_load(struct shard *sh, struct str key, const struct str *value);
bool configure_next_prefix(const struct shard *sh, struct str *prefix, char room[HUB_PREFIX_MAX]);
bool configure_value(const struct shard *sh, struct str key, struct buf *out);
/* Every row of the shard is in line with the set of this hash. */
void swept_write(struct shard *sh, uint64_t hash, const struct hub_env *env);

/* ---- its operations ---- */

op_fn on_configuration_put, on_configuration_delete, on_rollout, on_apply_content;

#endif
