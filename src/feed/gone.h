/* gone: identities of a shard that have gone since a moment, in the order of their keys, each with the record of its first end since. */
#ifndef TWINHUB_FEED_GONE_H
#define TWINHUB_FEED_GONE_H

#include "base/base.h"

struct gone_one {
	uint32_t at, n; /* its key, in `keys` */
	uint64_t position;
};

struct gone {
	struct buf keys;
	struct gone_one *v;
	uint32_t n, room;
	uint32_t next; /* those before it have been passed */
};

void gone_clear(struct gone *g);
void gone_fini(struct gone *g);
/* ERR_FULL: THEN_GONE_MAX is reached. */
enum err gone_add(struct gone *g, struct str key, uint64_t position);
/* After all that was added: in order, from this key on, each one once, by its first end. */
void gone_sort(struct gone *g, struct str from);
/* NULL: there is none left. */
const struct gone_one *gone_next(const struct gone *g);
struct str gone_key(const struct gone *g, const struct gone_one *one);
void gone_pass(struct gone *g);

#endif
