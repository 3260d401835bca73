/*
 * config: configurations, what they make of twins, and how they reach them.
 *
 *   configuration.h  a configuration and sets of them: immutable values, in the catalogue
 *   rollout.h        one that reaches its target wave by wave
 *   this             a shard brought in line with a set, and kept so
 *   dryrun.h, why.h  what one would do; why it is where it is, and not where it is not
 *
 * A feature of shards (shard/feature.h). A change of a row that a condition may look at, or that touches what configurations
 * have written, makes the row due; at the end of the operation it is evaluated, in the same commit. Another set makes every
 * row due: the sweep, slice by slice.
 *
 *   shard_configure --> shard_sweep_awaited --> shard_sweep_row --records are there--> shard_sweep --> ... --> the mark
 *
 * Rules: docs/spec/jobs-and-configurations.md, part B; docs/rollouts.md.
 */
#ifndef TWINHUB_CONFIG_CONFIG_H
#define TWINHUB_CONFIG_CONFIG_H

#include "config/configuration.h"
#include "hub/hub.h"

extern const struct feature configuration_feature;

/* The record that OP_CONFIGURATION_PUT writes beside such a set; or why it does not: ERR_ARG. */
enum err configuration_record(const struct configurations *set, const struct op *op, int64_t now_us,
    struct buf *record, struct fault *f);

/* Those of the hub as last written, perhaps not on disk yet; shard 0 has them. The caller owns the set. */
struct configurations *shard_configurations(const struct shard *sh);
/* The set that holds from now on; NULL is the empty one. Borrowed until the next call. Every row is to be brought
 * in line with it: */
void shard_configure(struct shard *sh, const struct configurations *set);
/* Configurations are applied to an edge device and its modules together. Before a change of a row: another of its family, or
 * itself, whose records are needed for that and not in memory; TABLE_NONE: there is none. */
uint32_t shard_family_row(struct shard *sh, uint32_t row, unsigned *records);
/* Is there a row yet to be looked at? Then call shard_sweep_row, load these records of the row that it names, again until it
 * names none (TABLE_NONE) or a record is damaged, and call shard_sweep. */
bool shard_sweep_awaited(const struct shard *sh);
uint32_t shard_sweep_row(struct shard *sh, unsigned *records);
void shard_sweep(struct shard *sh, const struct hub_env *env);
/* From the first row again: what it wrote has been undone. */
void shard_sweep_restart(struct shard *sh);
/* Once in CONFIGURE_PERIOD_US (J-42): conditions may have come true by time, and rows have been put off (J-36). */
void shard_sweep_again(struct shard *sh);
#define CONFIGURE_PERIOD_US (INT64_C(300) * 1000000)
/* Rows that still changed at their second evaluation in one commit (J-36). */
uint64_t shard_looped(const struct shard *sh);

#endif
