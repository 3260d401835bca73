/* What configurations keep in a shard: shared by configure.c, which applies them, and configurations.c, which has their records. */
#ifndef TWINHUB_CONFIG_CONFIGURE_H
#define TWINHUB_CONFIG_CONFIGURE_H

#include "config/config.h"
#include "config/evaluate.h"
#include "config/priv.h"
#include "config/touched.h"

struct configure {
	struct configurations *stored; /* shard 0: the hub's, as last written; NULL: none */
	uint64_t
	    swept; /* hash of the set that every row is in line with, or UNSWEPT: some with one, some with another */
	struct evaluator ev; /* its set: shard_configure; NULL: none has been told yet */
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
	uint32_t row;        /* of the sweep */
	bool passes;         /* and that row: the change does not concern it */
	uint32_t identities; /* of the shard when the operation began */
	struct blob
	    *was; /* the record of the twin of a back end's operation before it; NULL: it is none */
	struct buf notify;
};

static inline struct configure *
configure_of(const struct shard *sh)
{
	return shard_state(sh, &configuration_feature);
}

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
