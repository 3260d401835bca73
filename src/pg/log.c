/*
 * The two tables of the log: what was written before the shard was taken, and all of a shard that another node has, is read from PostgreSQL, the rest
 * from the scratch. A position names the row that begins at or before it (store/pack.h). Who answers knows the epoch that this node has seen
 * (foreign.c).
 */
#include <stdlib.h>

#include "pg/priv.h"

/* ---- connections that read ---- */

void
readers_init(struct pg *p)
{
	pthread_mutex_init(&p->readers.mu, NULL);
	cond_init(&p->readers.free);
}

void
readers_fini(struct pg *p)
{
	for (unsigned i = 0; i < PG_READERS; i++)
		conn_close(&p->readers.conn[i]);
	pthread_mutex_destroy(&p->readers.mu);
	pthread_cond_destroy(&p->readers.free);
}

static unsigned
reader_take(struct pg *p)
{
	unsigned i;

	pthread_mutex_lock(&p->readers.mu);
	for (;;) {
		for (i = 0; i < PG_READERS && p->readers.used[i]; i++)
			;
		if (i < PG_READERS)
			break;
		pthread_cond_wait(&p->readers.free, &p->readers.mu);
	}
	p->readers.used[i] = true;
	pthread_mutex_unlock(&p->readers.mu);
	return i;
}

static void
reader_give(struct pg *p, unsigned i)
{
	pthread_mutex_lock(&p->readers.mu);
	p->readers.used[i] = false;
	pthread_cond_signal(&p->readers.free);
	pthread_mutex_unlock(&p->readers.mu);
}

void
readers_stale(struct pg *p)
{
	for (unsigned i = 0; i < PG_READERS; i++)
		atomic_store(&p->readers.stale[i], true);
}

/* A connection that has ended since it was used last is made again, once. */
enum err
read_rows(struct pg *p, const char *sql, unsigned n, const struct param *v, int64_t for_us,
    PGresult **out)
{
	unsigned i = reader_take(p);
	struct conn *c = &p->readers.conn[i];
	bool fresh;
	struct fault f;
	enum err e = ERR_OK;

	if (atomic_exchange(&p->readers.stale[i], false))
		conn_close(c);
	fresh = c->pg == NULL;
	*out = NULL;
	for (unsigned tries = 0; tries < 2 && *out == NULL; tries++) {
		if (c->pg == NULL &&
		    (e = conn_open(c, &p->o, p->readers.host[i]++, atomic_load(&p->generation),
		         "load", &f)) != ERR_OK)
			break;
		e = conn_ask(c, sql, n, v, clock_mono_us() + for_us, out, &f);
		if (fresh)
			break;
	}
	if (e == ERR_OK && PQresultStatus(*out) != PGRES_TUPLES_OK) {
		PQclear(*out);
		*out = NULL;
		e = ERR_IO;
	}
	reader_give(p, i);
	return e;
}

/* ---- one record ---- */

static void
key_make(char key[PACK_KEY], uint32_t shard, uint64_t position)
{
	be_put(key, shard, 2);
	be_put(key + 2, position, 8);
}

/* Rows of one shard, or one without a position where there is none; no row at all from who does not know the epoch. */
#define OF_SHARD(table, which)                                                                     \
	"SELECT l.pos, l.body FROM shard x LEFT JOIN LATERAL (SELECT pos, body FROM " table        \
	" WHERE shard = x.shard AND " which                                                        \
	") l ON true WHERE x.shard = $1 AND x.epoch >= $4 ORDER BY l.pos"

static int64_t
older_of(const struct pg *p, enum store_table t, uint32_t shard)
{
	if (shard >= PG_SHARDS)
		return -1;
	if (!(atomic_load_explicit(&p->held, memory_order_acquire) >> shard & 1))
		return INT64_MAX;
	return atomic_load(&p->older[t == STORE_CHANGES ? FAMILY_CHANGES : FAMILY_LOG][shard]);
}

static enum err
older_get(struct pg *p, enum store_table t, struct str key, struct buf *out)
{
	const char *sql = t == STORE_LOG
	    ? OF_SHARD("log", "pos <= $2 AND pos >= $3 ORDER BY pos DESC LIMIT 1")
	    : OF_SHARD("changes", "pos <= $2 AND pos >= $3 ORDER BY pos DESC LIMIT 1");
	uint32_t s = (uint32_t)be_get((struct str){ key.p, 2 });
	char shard[4], stretch[8], epoch[8], row_key[PACK_KEY];
	struct param v[4];
	PGresult *r;
	enum err e;

	be_put(shard, s, 4);
	bytes_copy(stretch, key.p + 2, 8);
	stretch[7] = 0;
	be_put(epoch, (uint64_t)atomic_load(&p->epochs[s]), 8);
	v[0] = (struct param){ PG_INT4, { shard, 4 }, false };
	v[1] = (struct param){ PG_INT8, str_sub(key, 2), false };
	v[2] = (struct param){ PG_INT8, { stretch, 8 }, false };
	v[3] = (struct param){ PG_INT8, { epoch, 8 }, false };
	if ((e = read_rows(p, sql, 4, v, PG_READ_US, &r)) != ERR_OK)
		return e;
	e = PQntuples(r) == 0 ? ERR_IO : ERR_NOT_FOUND;
	if (e == ERR_IO)
		readers_stale(p);
	if (PQntuples(r) > 0 && !PQgetisnull(r, 0, 0)) {
		key_make(row_key, s, be_get(field(r, 0, 0)));
		e = pack_find((struct str){ row_key, PACK_KEY }, field(r, 0, 1), key, out);
	}
	PQclear(r);
	return e;
}

enum err
log_get(struct pg *p, enum store_table t, struct str key, struct buf *out)
{
	enum err e = store_get(p->scratch, t, key, out);

	if (e != ERR_NOT_FOUND || key.n != PACK_KEY ||
	    older_of(p, t, (uint32_t)be_get((struct str){ key.p, 2 })) < 0)
		return e;
	return older_get(p, t, key, out);
}

/* ---- many: of each shard what is older, then what the scratch has ---- */

struct log_cursor {
	struct store_cursor face;
	struct pg *p;
	enum store_table table;
	struct buf from, to;
	uint32_t shard;
	/* older rows: where the next page begins, and the page, NULL before the first one */
	uint64_t position;
	int64_t older; /* where the last of them begins */
	PGresult *page;
	int row;
	bool last; /* no page is behind it */
	char row_key[PACK_KEY];
	bool in_row;
	struct pack_walk walk;
	/* behind the last of the older ones: of a former ownership the scratch may have these, too */
	uint64_t behind;
	/* the scratch's, once the shard's older ones are over */
	struct store_cursor *newer;
};

enum err
log_cursor_open(
    struct pg *p, enum store_table t, struct str from, struct str to, struct store_cursor **out)
{
	struct log_cursor *c = xcalloc(1, sizeof(*c));

	c->face.ops = p->face.ops;
	c->p = p;
	c->table = t;
	buf_str(&c->from, from);
	buf_str(&c->to, to);
	if (from.n >= 2)
		c->shard = (uint32_t)be_get((struct str){ from.p, 2 });
	if (from.n == PACK_KEY) /* the row that has it may begin anywhere in its stretch */
		c->position = be_get(str_sub(from, 2)) & ~(uint64_t)(PACK_STRETCH - 1);
	*out = &c->face;
	return ERR_OK;
}

void
log_cursor_close(struct store_cursor *face)
{
	struct log_cursor *c = (struct log_cursor *)face;

	PQclear(c->page);
	store_cursor_close(c->newer);
	buf_fini(&c->from), buf_fini(&c->to);
	free(c);
}

static enum err
page_read(struct log_cursor *c)
{
	const char *sql = c->table == STORE_LOG
	    ? OF_SHARD("log", "pos >= $2 AND pos <= $3 ORDER BY pos LIMIT 64")
	    : OF_SHARD("changes", "pos >= $2 AND pos <= $3 ORDER BY pos LIMIT 64");
	char shard[4], position[8], last[8], epoch[8];
	const struct param v[] = { { PG_INT4, { shard, 4 }, false },
		{ PG_INT8, { position, 8 }, false }, { PG_INT8, { last, 8 }, false },
		{ PG_INT8, { epoch, 8 }, false } };
	enum err e;

	PQclear(c->page);
	c->page = NULL;
	c->row = 0;
	be_put(shard, c->shard, 4);
	be_put(position, c->position, 8);
	be_put(last, (uint64_t)c->older, 8);
	be_put(epoch, (uint64_t)atomic_load(&c->p->epochs[c->shard]), 8);
	if ((e = read_rows(c->p, sql, 4, v, PG_READ_US, &c->page)) != ERR_OK)
		return e;
	c->last = PQntuples(c->page) < PG_PAGE;
	if (PQntuples(c->page) == 0) {
		readers_stale(c->p);
		return ERR_IO;
	}
	if (PQgetisnull(c->page, 0, 0)) /* none */
		c->row = 1;
	return ERR_OK;
}

/* ERR_END: the shard has no more of them. */
static enum err
older_row(struct log_cursor *c)
{
	enum err e;

	while (c->page == NULL || c->row == PQntuples(c->page)) {
		if (c->page == NULL) /* as it is now, for the whole shard */
			c->older = older_of(c->p, c->table, c->shard);
		if (c->page != NULL ? c->last : (int64_t)c->position > c->older)
			return ERR_END;
		if ((e = page_read(c)) != ERR_OK)
			return e;
	}
	c->position = be_get(field(c->page, c->row, 0)) + 1;
	key_make(c->row_key, c->shard, c->position - 1);
	pack_walk_begin(&c->walk, (struct str){ c->row_key, PACK_KEY }, field(c->page, c->row, 1));
	c->in_row = true;
	c->row++;
	return ERR_OK;
}

static enum err
older_next(struct log_cursor *c, struct str *key, struct str *value)
{
	enum err e;

	for (;;) {
		while (c->in_row && (e = pack_walk_next(&c->walk, key, value)) != ERR_END) {
			if (e == ERR_OK)
				c->behind = be_get(str_sub(*key, 2)) + 1;
			if (e != ERR_OK || str_cmp(*key, buf_view(&c->from)) >= 0)
				return e;
		}
		c->in_row = false;
		if ((e = older_row(c)) != ERR_OK)
			return e;
	}
}

/* What the scratch has of this shard, within the cursor's bounds. */
static enum err
newer_open(struct log_cursor *c)
{
	char first[PACK_KEY], end[2];
	struct str from = buf_view(&c->from), to = buf_view(&c->to);

	key_make(first, c->shard, c->behind);
	be_put(end, c->shard + 1, 2);
	if (str_cmp(from, (struct str){ first, PACK_KEY }) < 0)
		from = (struct str){ first, PACK_KEY };
	if (to.n == 0 || str_cmp(to, (struct str){ end, 2 }) > 0)
		to = (struct str){ end, 2 };
	return store_cursor_open(c->p->scratch, c->table, from, to, STORE_SCAN, &c->newer);
}

static bool
shard_is_due(const struct log_cursor *c)
{
	char key[2];

	be_put(key, c->shard, 2);
	return c->shard < PG_SHARDS &&
	    (c->to.n == 0 || str_cmp((struct str){ key, 2 }, buf_view(&c->to)) < 0);
}

static enum err
in_shard(struct log_cursor *c, struct str *key, struct str *value)
{
	enum err e = ERR_END;

	if (c->newer == NULL)
		e = older_next(c, key, value);
	if (e != ERR_END || (c->newer == NULL && (e = newer_open(c)) != ERR_OK))
		return e;
	return store_next(c->newer, key, value);
}

static void
shard_over(struct log_cursor *c)
{
	store_cursor_close(c->newer);
	c->newer = NULL;
	PQclear(c->page);
	c->page = NULL;
	c->row = 0;
	c->in_row = false;
	c->position = c->behind = 0;
	c->shard++;
}

enum err
log_next(struct store_cursor *face, struct str *key, struct str *value)
{
	struct log_cursor *c = (struct log_cursor *)face;
	enum err e;

	for (; shard_is_due(c); shard_over(c)) {
		if ((e = in_shard(c, key, value)) == ERR_END)
			continue;
		if (e == ERR_OK && c->to.n > 0 && str_cmp(*key, buf_view(&c->to)) >= 0)
			return ERR_END;
		return e;
	}
	return ERR_END;
}
