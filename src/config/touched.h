/*
 * Which configurations have changed since every row of a shard was in line with the set of them: a row that none of these is
 * for, and that bears the name of none, is in line with the new set, too, and is not evaluated.
 */
#ifndef TWINHUB_CONFIG_TOUCHED_H
#define TWINHUB_CONFIG_TOUCHED_H

#include "config/effective.h"

struct touched {
	bool all; /* it is not known which */
	uint32_t n;
	struct buf ids;           /* of those that are new, changed or gone, each with its length */
	struct chosen now;        /* of these, those that are in the set */
	bool edge;                /* one of `ids` is, or was, a deployment */
	struct query_needs needs; /* of the conditions of `now` */
};

/* { 0 }: none has. */
void touched_none(struct touched *t);
void touched_all(struct touched *t);
/* And now what differs between these; was NULL: nobody knows what was. */
void touched_add(
    struct touched *t, const struct configurations *was, const struct configurations *now);
/* Has a twin with this section `configurations` an entry of one of them? */
bool touched_bears(const struct touched *t, struct str configurations);
void touched_fini(struct touched *t);

#endif
