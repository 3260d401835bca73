/* Rollouts: what their files share. */
#ifndef TWINHUB_CONFIG_ROLLOUT_PRIV_H
#define TWINHUB_CONFIG_ROLLOUT_PRIV_H

#include "config/rollout.h"

/* What the history tells of. Stored: append only. */
enum rollout_happening {
	HAPPENED_CREATED,
	HAPPENED_WAVE,
	HAPPENED_SOAK,
	HAPPENED_SOAK_BROKEN,
	HAPPENED_HALTED,
	HAPPENED_RESUMED,
	HAPPENED_ADVANCED,
	HAPPENED_COMPLETED,
	HAPPENED_ROLLBACK,
	HAPPENED_ROLLED_BACK,
	HAPPENED_PLANNED,
	HAPPENED_BLIND,
	HAPPENINGS
};

extern const struct str rollout_status_names[ROLLOUT_STATUSES];

#endif
