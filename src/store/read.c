/* Reading: under the shared lock, so that the healer does not close what is being read. Uncontended that is one atomic
 * addition each way beside a read of 5 us. */
#include <stdlib.h>

#include "store/pack.h"
#include "store/priv.h"

#define BULK_READAHEAD_BYTES ((size_t)2 * 1024 * 1024)

enum err
store_read_failed(struct rocks *s, char *text)
{
	struct fault f = { 0 };
	enum err e = engine_error(text, &f);
	bool news;

	if (e != ERR_CORRUPT || store_is_away(s))
		return ERR_IO;
	damage_met(s, &f);
	pthread_mutex_lock(&s->fail.mu);
	news = strcmp(s->fail.warned, f.text) != 0;
	memcpy(s->fail.warned, f.text, sizeof f.text);
	pthread_mutex_unlock(&s->fail.mu);
	if (news && s->o.warn != NULL)
		s->o.warn(s->o.ctx, f.text);
	return ERR_CORRUPT;
}

static enum err
get(struct rocks *s, enum store_table t, struct str key, struct buf *out)
{
	struct engine *e = &s->engine;
	rocksdb_pinnableslice_t *row;
	struct str value;
	char *error = NULL;

	if (e->db == NULL)
		return ERR_IO;
	if (engine_table(e, t) == NULL)
		return ERR_NOT_FOUND;
	row = rocksdb_get_pinned_cf(e->db, e->read, engine_table(e, t), key.p, key.n, &error);
	if (error != NULL)
		return store_read_failed(s, error);
	if (row == NULL)
		return ERR_NOT_FOUND;
	value.p = rocksdb_pinnableslice_value(row, &value.n);
	buf_str(out, value);
	rocksdb_pinnableslice_destroy(row);
	return ERR_OK;
}

/* It is the first of its row. Filters tell of each table file whether it has the key. */
static enum err
get_first(struct rocks *s, enum store_table t, struct str key, struct buf *out)
{
	struct buf row = { 0 };
	enum err e = get(s, t, key, &row);

	if (e == ERR_OK)
		e = pack_find(key, buf_view(&row), key, out);
	buf_fini(&row);
	return e;
}

/* It is within the row before its key, if there is one in its stretch. Filters tell of each table file whether it has any of the stretch. */
static enum err
get_within(struct rocks *s, enum store_table t, struct str key, struct buf *out)
{
	rocksdb_readoptions_t *options = rocksdb_readoptions_create();
	rocksdb_iterator_t *rows;
	struct str row_key, row;
	char *error = NULL;
	enum err e = ERR_NOT_FOUND;

	rocksdb_readoptions_set_prefix_same_as_start(options, 1);
	rows = rocksdb_create_iterator_cf(s->engine.db, options, engine_table(&s->engine, t));
	rocksdb_iter_seek_for_prev(rows, key.p, key.n);
	if (rocksdb_iter_valid(rows)) {
		row_key.p = rocksdb_iter_key(rows, &row_key.n);
		row.p = rocksdb_iter_value(rows, &row.n);
		e = pack_find(row_key, row, key, out);
	} else {
		rocksdb_iter_get_error(rows, &error);
		if (error != NULL)
			e = store_read_failed(s, error);
	}
	rocksdb_iter_destroy(rows);
	rocksdb_readoptions_destroy(options);
	return e;
}

static enum err
get_packed(struct rocks *s, enum store_table t, struct str key, struct buf *out)
{
	enum err e = get_first(s, t, key, out);

	if (e == ERR_NOT_FOUND && key.n == PACK_KEY && engine_table(&s->engine, t) != NULL)
		e = get_within(s, t, key, out);
	return e;
}

enum err
rocks_get(struct store *face, enum store_table t, struct str key, struct buf *out)
{
	struct rocks *s = rocks_of(face);
	enum err e;

	store_share(s);
	e = pack_table(t) ? get_packed(s, t, key, out) : get(s, t, key, out);
	store_unshare(s);
	return e;
}

struct rocks_cursor {
	struct store_cursor face;
	struct rocks *store; /* its lock is held, shared, while the cursor lives */
	rocksdb_readoptions_t *options;
	rocksdb_iterator_t *rows;
	bool begun;
	struct buf to; /* RocksDB borrows the bound */
	/* of a table of the log, whose rows are taken apart */
	bool packed, in_row;
	struct pack_walk walk;
	struct buf from;
};

/* Its store's lock is the caller's to take; rows is still to be made. */
static struct rocks_cursor *
cursor_new(struct rocks *s, struct str to, enum store_scan how)
{
	struct rocks_cursor *c = xcalloc(1, sizeof *c);

	c->face.ops = s->face.ops;
	c->store = s;
	c->options = rocksdb_readoptions_create();
	if (to.n > 0) {
		buf_str(&c->to, to);
		rocksdb_readoptions_set_iterate_upper_bound(c->options, c->to.p, c->to.n);
	}
	if (how == STORE_SCAN_BULK)
		rocksdb_readoptions_set_readahead_size(c->options, BULK_READAHEAD_BYTES);
	rocksdb_readoptions_set_fill_cache(c->options, how == STORE_SCAN);
	return c;
}

/* A table that is not there (engine.families) has no rows. */
static void
cursor_seek(struct rocks_cursor *c, enum store_table t, struct str from)
{
	const struct engine *e = &c->store->engine;
	char room[PACK_KEY];

	if (engine_table(e, t) == NULL)
		return;
	c->packed = pack_table(t);
	if (c->packed) {
		buf_str(&c->from, from);
		from = pack_seek_from(from, room);
		rocksdb_readoptions_set_total_order_seek(c->options, 1);
	}
	c->rows = rocksdb_create_iterator_cf(e->db, c->options, engine_table(e, t));
	rocksdb_iter_seek(c->rows, from.p, from.n);
}

enum err
rocks_cursors_open(struct store *face, const enum store_table *tables, unsigned n, struct str from,
    struct str to, enum store_scan how, struct store_cursor **out)
{
	struct rocks *s = rocks_of(face);
	const rocksdb_snapshot_t *moment = NULL;

	for (unsigned i = 0; i < n; i++)
		store_share(s);
	if (s->engine.db == NULL) {
		for (unsigned i = 0; i < n; i++)
			store_unshare(s);
		return ERR_IO;
	}
	if (n > 1) /* an iterator keeps its moment by itself, once it is made */
		moment = rocksdb_create_snapshot(s->engine.db);
	for (unsigned i = 0; i < n; i++) {
		struct rocks_cursor *c = cursor_new(s, to, how);

		rocksdb_readoptions_set_snapshot(c->options, moment);
		cursor_seek(c, tables[i], from);
		out[i] = &c->face;
	}
	if (moment != NULL)
		rocksdb_release_snapshot(s->engine.db, moment);
	return ERR_OK;
}

static enum err
next_row(struct rocks_cursor *c, struct str *key, struct str *value)
{
	char *error = NULL;

	if (c->rows == NULL)
		return ERR_END;
	if (c->begun && rocksdb_iter_valid(c->rows))
		rocksdb_iter_next(c->rows);
	c->begun = true;
	if (rocksdb_iter_valid(c->rows)) {
		key->p = rocksdb_iter_key(c->rows, &key->n);
		value->p = rocksdb_iter_value(c->rows, &value->n);
		return ERR_OK;
	}
	rocksdb_iter_get_error(c->rows, &error);
	return error == NULL ? ERR_END : store_read_failed(c->store, error);
}

/* What the first and the last row have beyond the bounds is left out. */
static enum err
next_record(struct rocks_cursor *c, struct str *key, struct str *value)
{
	struct str row_key, row;
	enum err e;

	for (;;) {
		while (c->in_row && (e = pack_walk_next(&c->walk, key, value)) != ERR_END) {
			if (e != ERR_OK)
				return e;
			if (c->to.n > 0 && str_cmp(*key, buf_view(&c->to)) >= 0)
				return ERR_END;
			if (str_cmp(*key, buf_view(&c->from)) >= 0)
				return ERR_OK;
		}
		if ((e = next_row(c, &row_key, &row)) != ERR_OK)
			return e;
		pack_walk_begin(&c->walk, row_key, row);
		c->in_row = true;
	}
}

enum err
rocks_next(struct store_cursor *face, struct str *key, struct str *value)
{
	struct rocks_cursor *c = (struct rocks_cursor *)face;

	return c->packed ? next_record(c, key, value) : next_row(c, key, value);
}

void
rocks_cursor_close(struct store_cursor *face)
{
	struct rocks_cursor *c = (struct rocks_cursor *)face;

	if (c->rows != NULL)
		rocksdb_iter_destroy(c->rows);
	rocksdb_readoptions_destroy(c->options);
	store_unshare(c->store);
	buf_fini(&c->to);
	buf_fini(&c->from);
	free(c);
}
