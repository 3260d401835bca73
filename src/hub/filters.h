/* filters: what a session listens to, as a list; one of each kind, and of each method by its name (device-mqtt.md 3). */
#ifndef TWINHUB_HUB_FILTERS_H
#define TWINHUB_HUB_FILTERS_H

#include "shard/shard.h"

struct filter_list {
	struct filter v[FILTERS_MAX]; /* names are borrowed from what it was read from */
	unsigned n;
};

/* From filters (filters_put), and to them: appended. */
void filter_list_read(struct filter_list *l, struct str filters);
void filter_list_put(struct buf *out, const struct filter_list *l);
/* The SUBACK's code: the QoS that is granted, or SUBACK_REFUSED. */
uint8_t filter_list_add(struct filter_list *l, const struct filter *f);
void filter_list_remove(struct filter_list *l, const struct filter *f);

/* Is one of these filters (filters_put) of this kind? */
bool filters_listen(struct str filters, enum filter_kind kind);

#endif
