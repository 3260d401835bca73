/* Any bytes as a stored row of a partition and as its end: what is taken is within its bounds, and is written again as the same. */
#include "partition/priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool held)
{
	if (!held)
		abort();
}

/* The value of the one row of an append. */
static struct str
row_of(const struct buf *append)
{
	struct rd rd = rd_of(buf_view(append));
	struct str value;

	rd_varint(&rd);
	rd_lstr(&rd); /* the end */
	require(rd_varint(&rd) == 1);
	rd_lstr(&rd); /* the key */
	value = rd_lstr(&rd);
	require(!rd.bad);
	return value;
}

static void
row_again(struct str bytes)
{
	struct partition_entry v[PARTITION_STRETCH + 1], e;
	struct partition_end end;
	struct partition_row row;
	struct buf append = { 0 };
	uint32_t n = 0;
	enum err err;

	partition_row_begin(&row, 0, bytes);
	while ((err = partition_row_next(&row, &e)) == ERR_OK) {
		require(n < PARTITION_STRETCH && e.sequence == n && e.shard < SHARDS);
		require(e.time_us >= 0 && (n == 0 || e.time_us >= v[n - 1].time_us));
		v[n++] = e;
	}
	if (err != ERR_END || n == 0)
		return;
	partition_end_init(&end, 1);
	partition_append_put(&append, 0, &end, &end, v, n, NULL, 0);
	partition_row_begin(&row, 0, row_of(&append));
	for (uint32_t i = 0; i < n; i++)
		require(partition_row_next(&row, &e) == ERR_OK && e.position == v[i].position &&
		    e.time_us == v[i].time_us && e.shard == v[i].shard &&
		    e.telemetry == v[i].telemetry && e.sequence == i);
	require(partition_row_next(&row, &e) == ERR_END);
	buf_fini(&append);
}

static void
end_again(uint32_t partition, struct str bytes)
{
	struct partition_end end, back;
	struct buf b = { 0 };

	if (partition_end_read(bytes, partition, &end) != ERR_OK)
		return;
	require(end.n > 0 && end.n <= PARTITIONS_MAX && end.begin <= end.next && end.last_us >= 0);
	for (uint32_t s = 0; s < SHARDS; s++)
		require(end.at[s] > 0);
	partition_end_put(&b, partition, &end);
	require(partition_end_read(buf_view(&b), partition, &back) == ERR_OK);
	require(memcmp(&end, &back, sizeof(end)) == 0);
	buf_fini(&b);
}

/* The first byte: 0xff for a row; else the partition whose end it is. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = { (const char *)data + 1, size - 1 };

	if (size == 0)
		return 0;
	if (data[0] == 0xff)
		row_again(bytes);
	else
		end_again(data[0], bytes);
	return 0;
}
