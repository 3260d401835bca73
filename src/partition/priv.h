/* partition: what its files share. */
#ifndef TWINHUB_PARTITION_PRIV_H
#define TWINHUB_PARTITION_PRIV_H

#include "partition/partition.h"

void partition_end_put(struct buf *out, uint32_t partition, const struct partition_end *end);
/* ERR_CORRUPT: not the end of this partition. */
enum err partition_end_read(struct str bytes, uint32_t partition, struct partition_end *out);

#endif
