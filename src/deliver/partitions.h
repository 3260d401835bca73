/*
 * The partitions of the built-in endpoint (docs/spec/events.md 10): events that routes send to `events`, numbered without holes, each once, over any end of the
 * hub; for whoever reads by partition and sequence.
 *
 *   feed --wants--> entries --rest--> OP_PARTITION_APPEND, one a partition at a time --committed--> readers
 *
 * One reader of the log for all partitions. What it has taken in a turn is committed before it takes more, so no more than a turn is in memory. If one append
 * fails, it begins again from where the store has come to.
 *
 * Any thread may call what is here.
 */
#ifndef TWINHUB_DELIVER_PARTITIONS_H
#define TWINHUB_DELIVER_PARTITIONS_H

#include "deliver/deliver.h"
#include "partition/partition.h"

struct partition_info {
	uint64_t begin;  /* the oldest sequence that is kept; next, when none is */
	uint64_t next;   /* the one that comes */
	int64_t last_us; /* when the last one was enqueued; 0: there was none */
};

/* How many there are, for somebody who reads them: from the first time on events are numbered (E-104). 0: they are not numbered, as the settings could not be stored yet. */
uint32_t partitions_count(struct deliveries *d);
struct partition_info partitions_info(struct deliveries *d, uint32_t partition);

/* One entry with its record, borrowed for the call; false: enough. */
typedef bool partition_take(void *ctx, const struct partition_entry *entry, struct str record);
/*
 * Entries from a sequence on, oldest first, as far as they are committed; from one that is gone, the oldest that is left. Reads the store: not for a loop's or
 * worker's thread. ERR_IO, ERR_CORRUPT.
 */
enum err partitions_read(struct deliveries *d, struct store *store, uint32_t partition,
    uint64_t sequence, partition_take *take, void *ctx);

#endif
