/* The table by which a shard knows configurations (shard/feature.h). */
#include <stdlib.h>

#include "config/configure.h"

static void
configure_fini(void *state)
{
	struct configure *c = state;

	configurations_free(c->stored);
	evaluator_fini(&c->ev);
	touched_fini(&c->touched);
	buf_fini(&c->notify);
	free(c->due);
}

/* ---- the feature ---- */

static const struct feature_ops operations = {
	.operations = { [OP_CONFIGURATION_PUT] = on_configuration_put,
	    [OP_CONFIGURATION_DELETE] = on_configuration_delete,
	    [OP_ROLLOUT] = on_rollout,
	    [OP_APPLY_CONTENT] = on_apply_content },
	.needs = configure_needs,
	.missing = configure_missing,
	.begin = configure_begin,
	.end = configure_end,
};

const struct feature configuration_feature = {
	.state_bytes = sizeof(struct configure),
	.fini = configure_fini,
	.key_prefixes = configure_key_prefixes,
	.load = configure_load,
	.next_prefix = configure_next_prefix,
	.value = configure_value,
	.row_changed = configure_row_changed,
	.row_leaves = configure_row_leaves,
	.ops = &operations,
};
