/* told: the bodies that stand in files of their own. */
#ifndef TWINHUB_SHARD_TOLD_PARTS_H
#define TWINHUB_SHARD_TOLD_PARTS_H

#include "doc/out.h"
#include "shard/told.h"

void told_put_ids(struct out *o, const struct event *e);
/* A session has begun or ended: members of the open object (T-100, E-93). */
void told_put_connection(struct out *o, const struct event *e);

/* twinhub.admin.policy.created; NULL: it is of a later program. */
#define TOLD_ADMIN_PREFIX "twinhub.admin."
const char *told_admin_type(const struct event *e);

#endif
