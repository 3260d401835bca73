/*
 * config: configurations, what they make of twins, and how they reach them.
 *
 *   configuration.h  a configuration and sets of them: immutable values, in the catalogue
 *   rollout.h        one that reaches its target wave by wave
 *   this             a shard brought in line with a set, and kept so
 *   dryrun.h, why.h  what one would do; why it is where it is, and not where it is not
 *
 * The room's own: effective.h (what the winners say together), evaluate.h (one row: what it says, what it should), touched.h (which
 * rows another set may concern), configure.h (what a shard keeps), before_rollout.h (values that rollouts have overwritten).
 *
 * A feature of shards (shard/feature.h): a shard is made with configuration_feature in its list, and from then on the room
 * hears of rows and does the operations OP_CONFIGURATION_PUT, OP_CONFIGURATION_DELETE, OP_ROLLOUT, OP_APPLY_CONTENT. Two things
 * bring a twin in line:
 *
 *   in the commit of a change  a change of a row that a condition may look at, or that touches what configurations have written,
 *                              makes the row due; at the end of the operation it is evaluated, and what comes of it is written with
 *                              the change itself (J-50). Once more, if conditions look at what was written; then the row is put off
 *                              until configure_sweep_again (J-36).
 *   by the sweep               another set makes every row due that it may concern.
 *
 * The order of calls, for the sweep of one shard; the caller says how much of it is done at a time:
 *
 *   configure_use(sh, set)                    at each new set, and at start
 *   while (configure_sweep_awaited(sh))
 *       while ((row = configure_sweep_row(sh, &records)) != TABLE_NONE)
 *           load these records of that row (shard_row_missing, hub_fill); a damaged one: go on as it is
 *       configure_sweep(sh, &env)                   one row; behind the last one its end is stored
 *   configure_sweep_restart(sh)                     after an undo
 *   configure_sweep_again(sh)                       every CONFIGURE_PERIOD_US
 *
 * Evaluating a row that is in line writes nothing (J-49), so a sweep may begin anew at any time. A stored hash of the set that the
 * shard is through with, says at the next start whether it has to.
 *
 * Shard 0 has the configurations themselves; their set reaches the other shards through the catalogue, when it is on disk.
 *
 * Errors: what a body says wrong is ERR_ARG and a fault that names the member; a stored record that cannot be one is ERR_CORRUPT. Evaluation
 * itself cannot fail: a twin that would become too large keeps what it has, and its configuration stays Targeted (J-45).
 *
 * Ownership: sets and configurations are counted references (configuration.h) and never change; a shard borrows its set. All of
 * this is pure: what is written goes through struct hub_env, and is undone with its round.
 *
 * Rules: docs/spec/jobs-and-configurations.md, part B (J-30 to J-60); docs/rollouts.md.
 */
#ifndef TWINHUB_CONFIG_CONFIG_H
#define TWINHUB_CONFIG_CONFIG_H

#include "config/configuration.h"
#include "hub/hub.h"

/* For shard_new. */
extern const struct feature configuration_feature;

/* ---- shard 0: the configurations of the hub ---- */

/*
 * The record that OP_CONFIGURATION_PUT writes beside such a set, appended to record: for a dry run.
 *
 *   set      the configurations that are there
 *   op       name, payload and precondition as for hub_apply
 *   counts   how many there may be; NULL: nothing is said
 *
 * ERR_ARG: f says why it is not taken; record is as before.
 */
enum err configuration_record(const struct configurations *set, const struct op *op,
    const struct limit_counts *counts, int64_t now_us, struct buf *record, struct fault *f);

/* Those of the hub as last written, perhaps not on disk yet; shard 0 has them. The caller owns the set. */
struct configurations *configurations_stored(const struct shard *sh);

/* ---- every shard: brought in line ---- */

/* The set that holds from now on; NULL is the empty one. Borrowed until the next call. Rows that it may concern are due. */
void configure_use(struct shard *sh, const struct configurations *set);

/* Is there a row yet to be looked at? */
bool configure_sweep_awaited(const struct shard *sh);
/* The row whose records are needed for the next step, and which (RECORD_BITs); TABLE_NONE: they are all in memory. */
uint32_t configure_sweep_row(struct shard *sh, unsigned *records);
/* The next step: a row is brought in line, or passed over; behind the last one that it is through is written. */
void configure_sweep(struct shard *sh, const struct hub_env *env);
/* These steps as a task (task/task.h), with the records that they need. */
struct task;
struct task *sweep_task_new(void);
/* From the first row again: what it wrote has been undone. */
void configure_sweep_restart(struct shard *sh);
/* Once in CONFIGURE_PERIOD_US (J-42): conditions may have come true by time, and rows have been put off (J-36). */
void configure_sweep_again(struct shard *sh);
/* When that is, by env->elapsed_us; 0: never. Only told (why.h). */
void configure_sweep_due(struct shard *sh, int64_t elapsed_us);
int64_t configure_sweep_due_us(const struct shard *sh);
#define CONFIGURE_PERIOD_US (INT64_C(300) * 1000000)

/* Configurations are applied to an edge device and its modules together. Before a change of a row that is made beside
 * hub_apply: another of its family, or itself, whose records are needed for that and not in memory; TABLE_NONE: there is none. */
uint32_t configure_family_row(struct shard *sh, uint32_t row, unsigned *records);

/* Rows that still changed at their second evaluation in one commit (J-36). */
uint64_t configure_looped(const struct shard *sh);

#endif
