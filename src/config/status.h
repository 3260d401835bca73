/* The section `configurations` of a twin: which are for it, and which of these are applied (J-45, J-46, J-53). */
#ifndef TWINHUB_CONFIG_STATUS_H
#define TWINHUB_CONFIG_STATUS_H

#include "config/effective.h"

/* What it says of this one: a string, or nothing. configurations: the section, or empty. */
struct doc status_of(struct str configurations, struct str id);
bool status_is(struct doc status, const char *name);

/* How the new one differs from the old one, as struct evaluation. */
struct status_changes {
	bool targeted, applied, gone;
};
/* In the place of out; nothing, if none matches. */
struct status_changes statuses_write(const struct configurations *set, const struct chosen *matched,
    const struct chosen *applied, struct str old, struct buf *out);

#endif
