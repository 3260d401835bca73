/*
 * A shard's columns: which records hold what queries ask for, and the rows that changed since the columns last heard of
 * them. Every change of a row passes columns_note_row, undo too, and the columns call `bring` before each look at them, so what
 * they show is what the shard holds.
 */
#include "shard/record.h"

#include <stdlib.h>

#define TAGS_DESIRED (QUERY_SECTION_BIT(SECTION_TAGS) | QUERY_SECTION_BIT(SECTION_DESIRED))

static const uint8_t sections_of[RECORD_KINDS] = {
	[RECORD_WANTED] = TAGS_DESIRED, [RECORD_REPORTED] = QUERY_SECTION_BIT(SECTION_REPORTED)
};

unsigned
hub_records_of(const struct query_needs *needs)
{
	unsigned records = 0;

	for (unsigned i = 0; i < TWIN_MEMBERS; i++)
		if (needs->roots & QUERY_ROOT_BIT(twin_members[i].root))
			records |= twin_members[i].needs;
	for (int k = 0; k < RECORD_KINDS; k++)
		if (needs->sections & sections_of[k])
			records |= RECORD_BIT(k);
	return records;
}

/* All that these records have a part in. The bit of QUERY_ROOT_NONE is nobody's. */
static struct query_needs
parts_of(unsigned records)
{
	struct query_needs all = { 0 };

	if (records == 0)
		return all;
	for (unsigned i = 0; i < TWIN_MEMBERS; i++)
		if (twin_members[i].needs & records)
			all.roots |= QUERY_ROOT_BIT(twin_members[i].root);
	for (int k = 0; k < RECORD_KINDS; k++)
		if (records & RECORD_BIT(k))
			all.sections |= sections_of[k];
	return all;
}

/* What needs no record. */
static uint64_t
roots_of_row(void)
{
	uint64_t roots = 0;

	for (unsigned i = 0; i < TWIN_MEMBERS; i++)
		if (twin_members[i].needs == 0)
			roots |= QUERY_ROOT_BIT(twin_members[i].root);
	return roots;
}

/* ---- noting ---- */

void
columns_note_row(struct shard *sh, const struct row *r, unsigned what)
{
	uint32_t row = row_number(sh, r);

	sh->mark++;
	if (sh->columns == NULL)
		return;
	if (row >= sh->changed.room) {
		uint32_t room = sh->capchunk * ROWS_CHUNK;

		sh->changed.bits = xrealloc(sh->changed.bits, room);
		sh->changed.rows = xrealloc(sh->changed.rows, room * sizeof(*sh->changed.rows));
		memset(sh->changed.bits + sh->changed.room, 0, room - sh->changed.room);
		sh->changed.room = room;
	}
	if (sh->changed.bits[row] == 0)
		sh->changed.rows[sh->changed.n++] = row;
	sh->changed.bits[row] |= (uint8_t)what;
}

/* ---- bringing up to date ---- */

static enum row_kind
kind_of(const struct shard *sh, uint32_t row)
{
	if (row >= sh->nrow || row_at(sh, row)->id == NULL)
		return ROW_FREE;
	return row_at(sh, row)->module_n != 0 ? ROW_MODULE : ROW_DEVICE;
}

/* What queries can be told of a row as it is in memory; nothing of one that is not there any more. */
static struct query_needs
at_hand(const struct shard *sh, uint32_t row)
{
	const struct row *r = row < sh->nrow ? row_at(sh, row) : NULL;
	unsigned missing = 0;
	struct query_needs all = { .roots = UINT64_MAX, .sections = UINT8_MAX }, away;

	for (int k = 0; k < RECORD_KINDS; k++)
		if (r == NULL || r->records[k] == NULL)
			missing |= RECORD_BIT(k);
	away = parts_of(missing);
	all.roots &= ~away.roots;
	all.sections &= (uint8_t)~away.sections;
	return all;
}

static uint32_t
bring(void *shard, struct query_scratch *s)
{
	struct shard *sh = shard;

	for (uint32_t i = 0; i < sh->changed.n; i++) {
		uint32_t row = sh->changed.rows[i];
		unsigned what = sh->changed.bits[row];
		struct query_needs changed = parts_of(what), hand = at_hand(sh, row);
		struct hub_row hr;

		if (what & CHANGED_PRESENCE)
			changed.roots |= roots_of_row();
		if (what & RECORD_BIT(RECORD_QUEUE)) /* the row knows how many it has */
			changed.roots |= QUERY_ROOT_BIT(QUERY_ROOT_C2D_COUNT);
		hub_row_open(&hr, sh, row);
		columns_row_changed(
		    sh->columns, row, kind_of(sh, row), &changed, &hand, &hub_query_ops, &hr, s);
		sh->changed.bits[row] = 0;
	}
	sh->changed.n = 0;
	return sh->nrow;
}

const struct columns *
shard_columns_there(const struct shard *sh)
{
	return sh->columns;
}

struct columns *
shard_columns(struct shard *sh, size_t max_bytes)
{
	struct query_needs none = { 0 };

	if (sh->columns != NULL)
		return sh->columns;
	sh->columns = columns_new(max_bytes, bring, sh);
	for (uint32_t i = 0; i < sh->nrow; i++)
		columns_row_changed(sh->columns, i, kind_of(sh, i), &none, &none, NULL, NULL, NULL);
	return sh->columns;
}

void
shard_columns_settle(struct shard *sh, struct query_scratch *s)
{
	if (sh->columns == NULL || sh->changed.n == 0)
		return;
	columns_settle(sh->columns, s);
	columns_trim(sh->columns);
}
