/*
 * What rollouts have overwritten in a twin's desired properties, kept beside them so that a rollback can put it back:
 *
 *   before_rollout   { configuration: [patch, ...] }: the leaves that nobody's configuration had written, where its content lies
 *
 * Taken when the configuration comes to be applied, in the same commit; put back where nothing else is by then; dropped
 * when the configuration leaves the twin, whatever for.
 */
#ifndef TWINHUB_CONFIG_BEFORE_ROLLOUT_H
#define TWINHUB_CONFIG_BEFORE_ROLLOUT_H

#include "config/configuration.h"

/* bytes of one twin's; a configuration whose part does not fit is not applied */
#define BEFORE_ROLLOUT_MAX (64u << 10)

/* The patches of one configuration, as an array, appended to out; false: there is nothing to keep. */
bool before_rollout_take(
    const struct configuration *c, struct doc have, const struct stamp *stamps, struct buf *out);
/* Append what is in one of the patches and neither in have nor wanted by configurations, as a patch; false: nothing. */
bool before_rollout_patch(struct doc patch, struct doc have, struct doc wanted, struct buf *out);

#endif
