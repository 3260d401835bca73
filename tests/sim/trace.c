/*
 * With nothing under way the disk holds what memory does, and nothing else: whatever has failed, been undone and repaired has left
 * no trace, in records or in rows.
 */
#include "shard/row.h"
#include "world.h"

/* How many records the row has on the disk. */
static uint32_t
check_row(const struct world *w, const struct row *r)
{
	struct str id = row_key(r), stored;
	uint32_t n = 0;

	for (int kind = 0; kind < RECORD_KINDS; kind++) {
		bool there =
		    sim_store_peek(w->store, contact_table((enum record_kind)kind), id, &stored);
		const struct blob *b = r->records[kind];

		n += there;
		if (b == NULL)
			continue;
		if (there != (b != &blob_none) || (there && !str_eq(blob_str(b), stored)))
			world_fail("record %d of " STR_FMT "/" STR_FMT
			           " is not on the disk as it is in memory",
			    kind, STR_ARG(row_device(r)), STR_ARG(row_module(r)));
	}
	return n;
}

static uint32_t
stored_records(const struct world *w)
{
	uint32_t n = 0;

	for (int kind = 0; kind < RECORD_KINDS; kind++) {
		struct store_cursor *c;
		struct str key, value;

		if (store_cursor_open(w->store, contact_table((enum record_kind)kind), STR_NONE,
		        STR_NONE, STORE_SCAN, &c) != ERR_OK)
			world_fail("no cursor");
		while (store_next(c, &key, &value) == ERR_OK)
			n++;
		store_cursor_close(c);
	}
	return n;
}

void
trace_check(struct world *w)
{
	uint32_t n = 0, stored;

	if (!world_quiet(w, 30))
		return; /* a job or a sweep goes on */
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct shard *sh = contact_shard(w, s);

		for (uint32_t row = 0; row < sh->nrow; row++)
			if (row_at(sh, row) != NULL && row_at(sh, row)->id != NULL)
				n += check_row(w, row_at(sh, row));
	}
	stored = stored_records(w);
	if (stored != n)
		world_fail("%u records are on the disk, %u of them somebody's", stored, n);
	seen.compared += n;
}
