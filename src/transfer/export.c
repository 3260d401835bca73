/*
 * Lines out: three tables side by side in the order of their keys, shard by shard; of each shard they are of one moment. The shards of a hub of several
 * nodes stand in different stores, and a cursor is of one (store_cursors_open).
 */
#include "transfer/transfer.h"

enum { IDENTITY, WANTED, REPORTED, TABLES };

struct export_page {
	struct store_cursor *cursors[TABLES];
	struct str key[TABLES], value[TABLES];
	uint32_t nline;
	size_t start; /* of lines */
	bool keys;
	struct buf *lines;
	struct fault *f;
};

void
export_cursor(struct buf *out, struct str device, struct str module)
{
	struct buf key = { 0 };

	hub_key(&key, hub_shard_of(device), device, module);
	base64_encode(out, key.p, key.n);
	buf_fini(&key);
}

/* The first key behind the cursor. */
static enum err
begin_at(struct str cursor, struct buf *key, struct fault *f)
{
	if (cursor.n == 0)
		return ERR_OK;
	if (cursor.n > 2 * HUB_KEY_MAX || !base64_decode(key, cursor) || key->n < 3 ||
	    key->n > HUB_KEY_MAX)
		return fault_set(f, F_ArgumentInvalid, "the continuation is none of an export's");
	buf_putc(key, '\0');
	return ERR_OK;
}

static enum err
store_fault(struct export_page *p, enum err e)
{
	if (e == ERR_CORRUPT)
		fault_set(p->f, F_StoredDamaged, "a table of the store is damaged");
	else
		fault_set(p->f, F_ServiceUnavailable,
		    "the store cannot be read at the moment, try again later");
	return e;
}

static enum err
next_row(struct export_page *p, int table)
{
	return store_next(p->cursors[table], &p->key[table], &p->value[table]);
}

/* The row of this table with the identity's key: written with it and deleted with it. */
static enum err
row_beside(struct export_page *p, int table)
{
	enum err e = ERR_OK;

	while (e == ERR_OK && str_cmp(p->key[table], p->key[IDENTITY]) < 0)
		e = next_row(p, table);
	if (e == ERR_END || (e == ERR_OK && !str_eq(p->key[table], p->key[IDENTITY])))
		return ERR_CORRUPT;
	return e;
}

static enum err
damaged(struct export_page *p)
{
	struct str device, module;

	str_cut(str_sub(p->key[IDENTITY], p->key[IDENTITY].n < 2 ? p->key[IDENTITY].n : 2), '\0',
	    &device, &module);
	fault_set(
	    p->f, F_StoredDamaged, "a stored record of " STR_FMT " is damaged", STR_ARG(device));
	return ERR_CORRUPT;
}

static enum err
put_line(struct export_page *p)
{
	enum err e = row_beside(p, WANTED);

	if (e == ERR_OK)
		e = row_beside(p, REPORTED);
	if (e == ERR_OK)
		e = hub_export_item(p->lines, p->key[IDENTITY], p->value[IDENTITY],
		    p->value[WANTED], p->value[REPORTED], p->keys);
	if (e == ERR_OK)
		buf_putc(p->lines, '\n');
	return e == ERR_CORRUPT ? damaged(p) : e == ERR_OK ? e : store_fault(p, e);
}

/* ERR_END: the shard has no more; ERR_OK: the page is full, and `last` its last key. */
static enum err
put_lines(struct export_page *p, uint32_t nline, struct buf *last)
{
	enum err e;

	for (int t = WANTED; t < TABLES; t++)
		if ((e = next_row(p, t)) != ERR_OK && e != ERR_END)
			return store_fault(p, e);
	while ((e = next_row(p, IDENTITY)) == ERR_OK) {
		if (p->nline == nline || p->lines->n - p->start >= EXPORT_BYTES_MAX)
			return ERR_OK;
		if ((e = put_line(p)) != ERR_OK)
			return e;
		p->nline++;
		last->n = 0;
		buf_str(last, p->key[IDENTITY]);
	}
	return e == ERR_END ? e : store_fault(p, e);
}

static enum err
put_shard(struct export_page *p, struct store *store, struct str from, uint32_t shard,
    uint32_t nline, struct buf *last)
{
	static const enum store_table tables[TABLES] = { STORE_IDENTITY, STORE_WANTED,
		STORE_REPORTED };
	char to[2] = { (char)((shard + 1) >> 8), (char)(shard + 1) };
	enum err e = store_cursors_open(
	    store, tables, TABLES, from, (struct str){ to, 2 }, STORE_SCAN_BULK, p->cursors);

	if (e != ERR_OK)
		return store_fault(p, e);
	e = put_lines(p, nline, last);
	for (int t = 0; t < TABLES; t++)
		store_cursor_close(p->cursors[t]);
	return e;
}

enum err
export_page(struct store *store, struct str cursor, uint32_t nline, bool keys, struct buf *lines,
    struct buf *next, struct fault *f)
{
	struct export_page p = { .keys = keys, .lines = lines, .start = lines->n, .f = f };
	struct buf from = { 0 }, last = { 0 };
	enum err e = begin_at(cursor, &from, f);
	uint32_t shard =
	    from.n < 2 ? 0 : (uint32_t)((unsigned char)from.p[0] << 8 | (unsigned char)from.p[1]);

	if (e == ERR_OK)
		e = ERR_END;
	for (; shard < SHARDS && e == ERR_END; shard++) {
		if (from.n == 0) {
			buf_putc(&from, (char)(shard >> 8));
			buf_putc(&from, (char)shard);
		}
		e = put_shard(&p, store, buf_view(&from), shard, nline, &last);
		from.n = 0;
	}
	if (e == ERR_OK)
		base64_encode(next, last.p, last.n);
	buf_fini(&from);
	buf_fini(&last);
	return e == ERR_END ? ERR_OK : e;
}
