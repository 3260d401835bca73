#ifndef TWINHUB_FRAME_PRIV_H
#define TWINHUB_FRAME_PRIV_H

#include "frame/fields.h"
#include "frame/frame.h"

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* ERR_PROTOCOL, f: "a frame WHAT". */
enum err frame_wrong(struct fault *f, const char *what);
/* What the fields do not say: ids, docs, filters, and the shard. */
enum err frame_op_good(const struct asked *a, struct fault *f);
/* As OP_SUBSCRIBE or a session has them, at most so many. */
bool frame_filters_good(struct str filters, unsigned most);

#endif
