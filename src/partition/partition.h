/*
 * partition: events as partitions number them (docs/spec/events.md 10): beside the log, and no second one. A partition's sequence is dense; each number of it
 * names a record of the log. Pure.
 *
 *   appender --partition_append_put--> OP_PARTITION_APPEND --feature--> rows of STORE_PARTITIONS, and the partition's end, in one commit
 *
 * The shards of a partition p of n are p, p + n, p + 2n ...; what it knows is kept on shard p. Its end says how far it has taken each of its shards, so where
 * appending goes on after any end of the hub is where it had come to. Rows of an append that was taken back stay behind the end, where nobody reads, until
 * they are written over.
 */
#ifndef TWINHUB_PARTITION_H
#define TWINHUB_PARTITION_H

#include "event/event.h"
#include "shard/shard.h"

#define PARTITIONS_MAX    32u
#define PARTITION_STRETCH 256u  /* no row has sequences of two of these: so where one is is known */
#define PARTITION_APPEND  4096u /* entries of one append */

/* What a partition has. */
struct partition_end {
	uint32_t n;           /* partitions that there are */
	uint64_t begin, next; /* sequences: the oldest kept, the one that comes */
	int64_t last_us;      /* of the last entry; 0: there was none */
	uint64_t at[SHARDS];  /* of its shards: the next position to be looked at */
};

struct partition_entry {
	uint64_t sequence, position;
	int64_t time_us; /* that of its record, or the entry's before, if that is later */
	uint8_t shard;
	bool telemetry; /* its record is one of STORE_LOG, else of STORE_CHANGES */
};

/* One that nobody has appended to. */
void partition_end_init(struct partition_end *end, uint32_t n);

/* ---- what is appended ---- */

/* Entries in their order, sequences from `sequence` on, as rows into a payload; and rows that go. Appended; old: what the end was before. */
void partition_append_put(struct buf *out, uint32_t partition, const struct partition_end *old,
    const struct partition_end *end, const struct partition_entry *v, uint32_t n,
    const uint64_t *gone, uint32_t ngone);

/* ---- rows: the key is event_key(partition, first sequence) ---- */

/* The next entry of a row, which is borrowed. ERR_END; ERR_CORRUPT. */
struct partition_row {
	struct rd rd;
	uint64_t left, sequence;
	int64_t time_us;
	bool bad;
};
void partition_row_begin(struct partition_row *r, uint64_t sequence, struct str value);
enum err partition_row_next(struct partition_row *r, struct partition_entry *out);

/* ---- in the store ---- */

#define PARTITION_KEY 11u /* bytes of the key of a partition's end, in STORE_HUB */
struct str partition_key(uint32_t partition, char room[PARTITION_KEY]);
/* Its value, empty: there is none. Of another number of partitions: as partition_end_init makes it. ERR_CORRUPT. */
enum err partition_end_of(
    struct str value, uint32_t partition, uint32_t n, struct partition_end *out);

/* ---- in a shard ---- */

extern const struct feature partition_feature;
/* As shard `partition` has it; false: nobody has appended yet, and it is as partition_end_init makes it. */
bool partition_stored(
    const struct shard *sh, uint32_t partition, uint32_t n, struct partition_end *out);

#endif
