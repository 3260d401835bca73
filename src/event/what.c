/* What is logged unless settings say otherwise: see what.h. */
#include "event/what.h"

const struct log_what log_what_default = {
	.telemetry = true,
	.twin_changes = true,
	.life_cycle = true,
	.connection = true,
	.jobs = true,
	.administration = true,
};
