/* Reasons why a configuration is not applied to a twin, as JSON: objects with commas between. */
#ifndef TWINHUB_CONFIG_REASONS_H
#define TWINHUB_CONFIG_REASONS_H

#include "config/evaluate.h"
#include "config/why.h"
#include "hub/change.h"

struct reasons {
	struct buf json;
	struct out one;   /* that is being told */
	uint32_t n, more; /* told; not told, at REASONS_MAX */
};

void reasons_fini(struct reasons *rs);
/* Members of an open object: reasons, a list, and, if some are not told, moreReasons, their number. */
void reasons_put(const struct reasons *rs, struct out *o);

void reason_condition(struct reasons *rs);
void reason_rollout(struct reasons *rs, const struct rollout *r, uint64_t key_hash);
/* A base of higher priority takes the place of what is below it (J-44). */
void reason_base(struct reasons *rs, const struct configuration *base);
/* A module that it names cannot be made: the device has as many as it may have, or the hub has (L-24, L-25). */
void reason_module(struct reasons *rs, struct str module, bool of_device);
/* It would be evaluated by now, but for this: a sweep is under way, no writes are taken, or it waits for the next round. */
void reason_late(struct reasons *rs, bool sweeps, const struct why_when *when);
/* Of the content of configuration i, directly after row_evaluate: what does not fit; else whose paths win over its own. */
void reasons_of_content(struct reasons *rs, struct evaluator *ev, const struct evaluation *e,
    uint32_t i, struct str module);

#endif
