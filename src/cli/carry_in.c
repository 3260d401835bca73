/* A directory's rows, into a database: those of the log are packed anew, as their rows are the store's own affair. */
#include "cli/cluster.h"
#include "event/event.h"
#include "shard/shard.h"
#include "store/pack.h"

#define EPOCH_SHIFT   40
#define ARENA_RECORDS PACK_RECORDS /* that are packed at a time */

static const enum store_table logs[] = { STORE_LOG, STORE_CHANGES };

/* ---- what is known before: epochs, and how far back the log reaches ---- */

static enum err
epochs_survey(struct store *store, struct pg_whole *w)
{
	struct store_cursor *c;
	struct str key, value;
	uint32_t shard;
	uint64_t epoch;
	int64_t at_us;
	enum err e =
	    store_cursor_open(store, STORE_HUB, STR("epoch/"), STR("epoch0"), STORE_SCAN_BULK, &c);

	if (e != ERR_OK)
		return e;
	while ((e = store_next(c, &key, &value)) == ERR_OK) {
		if (!epoch_record_get(key, value, &shard, &epoch, &at_us)) {
			e = ERR_CORRUPT;
			break;
		}
		w->shards[shard] = (struct store_epoch){ epoch, at_us };
	}
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* A record whose format is a later one's has no time that this program knows. */
static int64_t
record_time(struct str record, int64_t otherwise_us)
{
	struct event e;

	return event_decode(record, &e) == ERR_OK ? e.time_us : otherwise_us;
}

static enum err
log_survey(struct store *store, enum store_table table, uint32_t shard, struct pg_whole *w)
{
	char from[] = { (char)(shard >> 8), (char)shard },
	     to[] = { (char)((shard + 1) >> 8), (char)(shard + 1) };
	struct store_cursor *c;
	struct str key, value;
	int64_t at_us;
	enum err e = store_cursor_open(
	    store, table, (struct str){ from, 2 }, (struct str){ to, 2 }, STORE_SCAN_ONCE, &c);

	if (e != ERR_OK)
		return e;
	if ((e = store_next(c, &key, &value)) == ERR_OK) {
		at_us = record_time(value, w->now_us);
		if (at_us > 0 && at_us < w->log_from_us)
			w->log_from_us = at_us;
	}
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

enum err
carry_survey(struct store *store, struct pg_whole *w, struct fault *f)
{
	enum err e = epochs_survey(store, w);

	w->log_from_us = w->now_us;
	for (unsigned i = 0; i < 2; i++)
		for (uint32_t s = 0; s < SHARDS && e == ERR_OK; s++)
			e = log_survey(store, logs[i], s, w);
	if (e != ERR_OK && f->text[0] == '\0')
		fault_set(f, F_StoredDamaged, "the store cannot be read");
	return e;
}

/* ---- rows ---- */

struct carrying {
	struct pg_whole *w;
	struct pg_mover *m;
	struct carried *told;
	struct fault *f;
	enum err e; /* of rows that the packer gives */
};

static enum err
put_row(struct carrying *k, const struct pg_row *row)
{
	carried_row(k->told, row->key.n + row->value.n);
	return pg_move_row(k->m, row, k->f);
}

/* Epochs are the table's of shards. */
static bool
stays_behind(enum store_table table, struct str key)
{
	return table == STORE_HUB && str_starts(key, STR("epoch/"));
}

static enum err
table_carry(struct carrying *k, struct store *store, enum store_table table)
{
	struct pg_row row = { .table = table };
	struct store_cursor *c;
	enum err e = store_cursor_open(store, table, STR_NONE, STR_NONE, STORE_SCAN_BULK, &c);

	if (e != ERR_OK)
		return e;
	while (e == ERR_OK && (e = store_next(c, &row.key, &row.value)) == ERR_OK) {
		if (!row_shard(table, row.key, &row.shard)) {
			fault_set(k->f, F_StoredDamaged,
			    "the record " STR_FMT " of table %u is none that this program knows",
			    STR_ARG(row.key), table);
			e = ERR_CORRUPT;
		} else if (!stays_behind(table, row.key)) {
			e = put_row(k, &row);
		}
	}
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

/* ---- rows of the log ---- */

/* The time of its newest record. What a clock that was ahead has written is as new as now: partitions are no place for it. */
static void
packed_row(void *ctx, enum store_table table, struct str key, struct str value)
{
	struct carrying *k = ctx;
	struct pg_row row = { .table = table, .key = key, .value = value };
	struct pack_walk walk;
	struct str record_key, record;
	int64_t *at_us;

	if (k->e != ERR_OK)
		return;
	if (!row_shard(table, key, &row.shard)) {
		fault_set(k->f, F_StoredDamaged, "a record of the log has a key that is none");
		k->e = ERR_CORRUPT;
		return;
	}
	pack_walk_begin(&walk, key, value);
	while (pack_walk_next(&walk, &record_key, &record) == ERR_OK)
		row.at_us = record_time(record, k->w->now_us);
	at_us = &k->w->shards[row.shard].at_us;
	if (row.at_us > *at_us)
		*at_us = row.at_us;
	if (row.at_us > k->w->now_us)
		row.at_us = k->w->now_us;
	if (row.at_us < k->w->log_from_us)
		row.at_us = k->w->log_from_us;
	k->e = put_row(k, &row);
}

static enum err
log_carry(struct carrying *k, struct store *store, enum store_table table)
{
	struct packer *packer = packer_new(packed_row, k);
	struct arena arena = { 0 };
	struct store_cursor *c;
	struct str key, value;
	unsigned n = 0;
	enum err e = store_cursor_open(store, table, STR_NONE, STR_NONE, STORE_SCAN_BULK, &c);

	while (e == ERR_OK && k->e == ERR_OK && (e = store_next(c, &key, &value)) == ERR_OK) {
		packer_add(packer, table, arena_str(&arena, key), arena_str(&arena, value));
		if (++n % ARENA_RECORDS == 0) {
			packer_end(packer);
			arena_reset(&arena);
		}
	}
	packer_end(packer);
	store_cursor_close(c);
	packer_free(packer);
	arena_fini(&arena);
	if (k->e != ERR_OK)
		return k->e;
	return e == ERR_END ? ERR_OK : e;
}

/* What starts the shard next is above its own epoch, the clock's, and what was a time before there were epochs (shard/epoch.c). */
static void
epochs_set(struct pg_whole *w)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct store_epoch *e = &w->shards[s];
		int64_t at_us = e->at_us > w->now_us ? e->at_us : w->now_us;
		uint64_t least = ((uint64_t)at_us >> EPOCH_SHIFT) + 1;

		e->number = e->number + 1 > least ? e->number + 1 : least;
	}
}

enum err
carry_in(struct store *store, struct pg_whole *w, struct pg_mover *m, struct carried *told,
    struct fault *f)
{
	struct carrying k = { w, m, told, f, ERR_OK };
	enum err e = ERR_OK;

	for (enum store_table t = 0; t < STORE_TABLES && e == ERR_OK; t++)
		if (!pack_table(t))
			e = table_carry(&k, store, t);
	for (unsigned i = 0; i < 2 && e == ERR_OK; i++)
		e = log_carry(&k, store, logs[i]);
	if (e == ERR_OK)
		epochs_set(w);
	else if (f->text[0] == '\0')
		fault_set(f, F_StoredDamaged, "the store cannot be read");
	return e;
}
