/*
 * Making columns, in the turns of the walk that wants them. Where few documents of a shard are in memory, its records are
 * read from the store in the order of their keys and shown as they are, without a place in memory; the rest goes row by
 * row.
 */
#include "worker/priv.h"

#define RECORDS_A_LOOK 32u /* records of a sweep between two looks at the clock */
#define MISS_COSTS                                                                                 \
	4u /* records of a sweep that cost as much as one that is missing and looked up */

/* ---- by key ---- */

/* The records that have the values, as bits; 0 if they are to be had row by row for less. */
static unsigned
source_of(void *ctx, const struct query_needs *needs)
{
	const struct shard *sh = ctx;
	unsigned records = hub_records_of(needs);
	uint32_t missing = 0;

	for (int k = 0; k < RECORD_KINDS; k++)
		if (records & RECORD_BIT(k))
			missing += shard_records_missing(sh, (enum record_kind)k);
	return (uint64_t)missing * MISS_COSTS > shard_identities(sh) ? records : 0;
}

/* A cursor for each kind of record that is swept, side by side: every identity has one of each, under the same key. */
struct sweep {
	unsigned ncursor;
	struct swept_table {
		enum record_kind kind;
		struct store_cursor *cursor;
		struct str key, value; /* where it stands */
		enum err e;            /* of the step there */
	} tables[RECORD_KINDS];
};

static void
step(struct swept_table *t)
{
	t->e = store_next(t->cursor, &t->key, &t->value);
}

static void
sweep_close(struct sweep *sw)
{
	while (sw->ncursor > 0)
		store_cursor_close(sw->tables[--sw->ncursor].cursor);
}

static bool
sweep_open(struct worker *w, uint32_t shard, const struct column_sweep *s, struct sweep *sw)
{
	char first[2] = { (char)(shard >> 8), (char)shard },
	     end[2] = { (char)((shard + 1) >> 8), (char)(shard + 1) };
	struct str from = s->from.n > 0 ? s->from : (struct str){ first, 2 },
	           to = s->to.n > 0 ? s->to : (struct str){ end, 2 };

	sw->ncursor = 0;
	for (int k = 0; k < RECORD_KINDS; k++) {
		struct swept_table *t = &sw->tables[sw->ncursor];
		if (!(s->source & RECORD_BIT(k)))
			continue;
		*t = (struct swept_table){ .kind = (enum record_kind)k };
		if (store_cursor_open(w->fleet->o.store, record_tables[k], from, to,
		        STORE_SCAN_ONCE, &t->cursor) != ERR_OK) {
			sweep_close(sw);
			return false;
		}
		sw->ncursor++;
		step(t);
	}
	return true;
}

/* The row at the first cursor, if the others have it too. A damaged record is named when its row is shown. */
static void
take_records(struct worker *w, struct walk *k, struct shard *sh, struct sweep *sw)
{
	struct str key = sw->tables[0].key;
	struct hub_row hr;

	if (!hub_row_meet(&hr, sh, key))
		return;
	for (unsigned i = 0; i < sw->ncursor; i++) {
		struct swept_table *t = &sw->tables[i];
		while (t->e == ERR_OK && str_cmp(t->key, key) < 0)
			step(t);
		if (t->e != ERR_OK || !str_eq(t->key, key) || !hub_row_give(&hr, t->kind, t->value))
			return;
	}
	vector_take(k->vector, hr.row, &hub_query_ops, &hr, &w->query_scratch);
	k->facts.shown++;
}

/* SHARD_DONE: the stretch is through. WALK_DONE: the store cannot be read so; row by row it says why. */
static enum progress
sweep_some(struct worker *w, struct walk *k, struct shard *sh, const struct column_sweep *s,
    int64_t end_us)
{
	struct sweep sw;
	enum progress p = SHARD_DONE;

	if (!sweep_open(w, (uint32_t)k->place.shard, s, &sw))
		return WALK_DONE;
	for (uint32_t n = 1; sw.tables[0].e == ERR_OK && p == SHARD_DONE; n++) {
		take_records(w, k, sh, &sw);
		if (n % RECORDS_A_LOOK == 0 && clock_mono_us() >= end_us) {
			vector_swept(k->vector, sw.tables[0].key, false);
			p = TURN_OVER;
		} else {
			step(&sw.tables[0]);
		}
	}
	if (p == SHARD_DONE && sw.tables[0].e == ERR_END)
		vector_swept(k->vector, STR_NONE, true);
	else if (p == SHARD_DONE)
		p = WALK_DONE;
	sweep_close(&sw);
	return p;
}

/* ---- row by row ---- */

static void
show_row(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	struct str device, module;
	struct hub_row hr;

	if (!shard_row(sh, row, &device, &module)) {
		vector_show(k->vector, row, ROW_FREE, NULL, NULL, &w->query_scratch);
		return;
	}
	hub_row_open(&hr, sh, row);
	vector_show(k->vector, row, module.n != 0 ? ROW_MODULE : ROW_DEVICE, &hub_query_ops, &hr,
	    &w->query_scratch);
	k->facts.shown++;
}

static enum progress
show_rows(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	struct query_needs needs;
	struct str device, module;
	uint32_t row, steps = 0;

	while (vector_wants(k->vector, &row, &needs)) {
		if (shard_row(sh, row, &device, &module) &&
		    worker_load_row(w, sh, row, hub_records_of(&needs), &k->fault) != ERR_OK)
			return WALK_DONE;
		show_row(w, k, sh, row);
		if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
			return TURN_OVER;
	}
	return SHARD_DONE;
}

enum progress
build_columns(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	struct column_sweep s;

	while (vector_sweep(k->vector, source_of, sh, &s)) {
		enum progress p = sweep_some(w, k, sh, &s, end_us);
		if (p == TURN_OVER)
			return p;
		if (p == WALK_DONE)
			break;
	}
	return show_rows(w, k, sh, end_us);
}
