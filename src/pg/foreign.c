/*
 * Records of shards that other nodes have, read from PostgreSQL: what is visible there has been acknowledged, but for what a server that has just
 * crashed had not told its standby. A server that was the primary once shows what was: each question is answered by one that knows the epoch which
 * this node has seen, or not at all.
 *
 * Cursors that are opened together share pages: the records of one key are of one moment, as pages are.
 */
#include <stdlib.h>

#include "pg/priv.h"

#define PARTITION                                                                                  \
	"partition/"   /* and the partition's number, which is its shard's (partition/stored.c) */
#define BODIES 0x8000u /* message/message.h */

/* Whose a key is; PG_SHARDS: it does not say. */
static uint32_t
shard_of(enum store_table t, struct str key)
{
	uint64_t s;

	if (t == STORE_HUB)
		return key.n == sizeof(PARTITION) && str_starts(key, STR(PARTITION))
		    ? (unsigned char)key.p[key.n - 1]
		    : PG_SHARDS;
	if (key.n < 2)
		return PG_SHARDS;
	s = be_get((struct str){ key.p, 2 });
	if (t == STORE_MESSAGES)
		s &= ~(uint64_t)BODIES;
	return s < PG_SHARDS ? (uint32_t)s : PG_SHARDS;
}

bool
is_foreign(const struct pg *p, enum store_table t, struct str key)
{
	uint32_t s = shard_of(t, key);

	return s < PG_SHARDS && !(atomic_load_explicit(&p->held, memory_order_acquire) >> s & 1);
}

/* ---- one ---- */

enum err
foreign_get(struct pg *p, enum store_table t, struct str key, struct buf *out)
{
	static const char sql[] =
	    "SELECT r.value FROM shard x LEFT JOIN rec r ON r.shard = x.shard AND r.tbl = $2 AND "
	    "r.key = $3 WHERE x.shard = $1 AND x.epoch >= $4";
	uint32_t s = shard_of(t, key);
	char shard[4], table[2], epoch[8];
	const struct param v[] = { { PG_INT4, { shard, 4 }, false },
		{ PG_INT2, { table, 2 }, false }, { PG_BYTEA, key, false },
		{ PG_INT8, { epoch, 8 }, false } };
	PGresult *r;
	enum err e;

	be_put(shard, s, 4);
	be_put(table, t, 2);
	be_put(epoch, (uint64_t)atomic_load(&p->epochs[s]), 8);
	if ((e = read_rows(p, sql, 4, v, PG_READ_US, &r)) != ERR_OK)
		return e;
	if (PQntuples(r) != 1)
		readers_stale(p), e = ERR_IO;
	else if (PQgetisnull(r, 0, 0))
		e = ERR_NOT_FOUND;
	else
		buf_str(out, field(r, 0, 0));
	PQclear(r);
	return e;
}

/* ---- many ---- */

struct foreign {
	struct pg *p;
	unsigned refs;
	uint32_t shard;
	enum store_table first;
	struct array tables;
	struct buf from, to; /* from: where the next page begins */
	PGresult *page;
	unsigned number; /* of pages */
	bool last;
};

struct foreign_cursor {
	struct store_cursor face;
	struct foreign *f;
	enum store_table table;
	unsigned number;
	int row;
};

static void
foreign_close(struct store_cursor *face)
{
	struct foreign_cursor *c = (struct foreign_cursor *)face;
	struct foreign *f = c->f;

	free(c);
	if (--f->refs > 0)
		return;
	PQclear(f->page);
	array_fini(&f->tables);
	buf_fini(&f->from), buf_fini(&f->to);
	free(f);
}

static enum err
page_read(struct foreign *f)
{
	static const char sql[] =
	    "SELECT r.tbl, r.key, r.value FROM shard x LEFT JOIN LATERAL"
	    " (WITH k AS (SELECT key FROM rec WHERE shard = x.shard AND tbl = $2 AND key >= $3 AND "
	    "key < $4 ORDER BY key LIMIT 64)"
	    "  SELECT a.tbl, a.key, a.value FROM k JOIN rec a ON a.shard = x.shard AND a.tbl = "
	    "ANY($5) AND a.key = k.key) r ON true"
	    " WHERE x.shard = $1 AND x.epoch >= $6 ORDER BY 2, 1";
	char shard[4], table[2], epoch[8];
	const struct param v[] = { { PG_INT4, { shard, 4 }, false },
		{ PG_INT2, { table, 2 }, false }, { PG_BYTEA, buf_view(&f->from), false },
		{ PG_BYTEA, buf_view(&f->to), false }, { PG_INT2S, array_view(&f->tables), false },
		{ PG_INT8, { epoch, 8 }, false } };
	struct str last;
	enum err e;
	int n;

	PQclear(f->page);
	f->page = NULL;
	be_put(shard, f->shard, 4);
	be_put(table, f->first, 2);
	be_put(epoch, (uint64_t)atomic_load(&f->p->epochs[f->shard]), 8);
	if ((e = read_rows(f->p, sql, 6, v, PG_READ_US, &f->page)) != ERR_OK)
		return e;
	f->number++;
	n = PQntuples(f->page);
	if (n == 0) {
		readers_stale(f->p);
		return ERR_IO;
	}
	f->last = PQgetisnull(f->page, 0, 0); /* none at all */
	if (f->last)
		return ERR_OK;
	last = field(f->page, n - 1, 1);
	f->from.n = 0;
	buf_str(&f->from, last);
	buf_putc(&f->from, '\0');
	return ERR_OK;
}

static bool
row_is(const struct foreign_cursor *c)
{
	return !PQgetisnull(c->f->page, c->row, 0) &&
	    be_get(field(c->f->page, c->row, 0)) == c->table;
}

static enum err
foreign_next(struct store_cursor *face, struct str *key, struct str *value)
{
	struct foreign_cursor *c = (struct foreign_cursor *)face;
	struct foreign *f = c->f;
	enum err e;

	for (;;) {
		if (c->number == f->number) {
			if (f->last)
				return ERR_END;
			if ((e = page_read(f)) != ERR_OK)
				return e;
		}
		for (; c->row < PQntuples(f->page) && !row_is(c); c->row++)
			;
		if (c->row < PQntuples(f->page))
			break;
		c->number++;
		c->row = 0;
	}
	*key = field(f->page, c->row, 1);
	*value = field(f->page, c->row, 2);
	c->row++;
	return ERR_OK;
}

static const struct store_ops foreign_ops = { .next = foreign_next, .cursor_close = foreign_close };

/* To the end of the shard at the most; of a key of STORE_HUB, that one. */
static void
bound(struct foreign *f, enum store_table t, struct str from, struct str to)
{
	char end[2];

	buf_str(&f->from, from);
	if (t == STORE_HUB) {
		buf_str(&f->to, from);
		buf_putc(&f->to, '\0');
		return;
	}
	be_put(end, be_get((struct str){ from.p, 2 }) + 1, 2);
	if (to.n == 0 || str_cmp(to, (struct str){ end, 2 }) > 0)
		to = (struct str){ end, 2 };
	buf_str(&f->to, to);
}

void
foreign_cursors(struct pg *p, const enum store_table *tables, unsigned n, struct str from,
    struct str to, struct store_cursor **out)
{
	struct foreign *f = xcalloc(1, sizeof(*f));

	f->p = p;
	f->refs = n;
	f->shard = shard_of(tables[0], from);
	f->first = tables[0];
	bound(f, tables[0], from, to);
	array_begin(&f->tables, PG_INT2);
	for (unsigned i = 0; i < n; i++) {
		struct foreign_cursor *c = xcalloc(1, sizeof(*c));

		array_int(&f->tables, tables[i]);
		c->face.ops = &foreign_ops;
		c->f = f;
		c->table = tables[i];
		out[i] = &c->face;
	}
}

/* ---- where logs end ---- */

enum err
pg_log_ends(
    struct store *face, void (*end)(void *ctx, unsigned shard, struct str record), void *ctx)
{
	/* LOG_END_PREFIX of shard/row.h, and the shard */
	static const char sql[] = "SELECT x.shard, x.epoch, r.value FROM shard x JOIN rec r ON "
	                          "r.shard = x.shard AND r.tbl "
	                          "= 4 AND r.key = 'events/'::bytea || int2send(x.shard::int2)";
	struct pg *p = pg_of(face);
	PGresult *r;
	enum err e = read_rows(p, sql, 0, NULL, PG_WORD_US, &r);

	if (e != ERR_OK)
		return e;
	for (int i = 0; i < PQntuples(r); i++) {
		uint64_t s = be_get(field(r, i, 0));

		if (s < PG_SHARDS && !(atomic_load(&p->held) >> s & 1) &&
		    field_int8(r, i, 1) >= atomic_load(&p->epochs[s]))
			end(ctx, (unsigned)s, field(r, i, 2));
	}
	PQclear(r);
	return ERR_OK;
}
