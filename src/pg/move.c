/* A hub into a database, and out of one: move.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg/priv.h"

#define COMMIT_US INT64_C(600000000) /* for a standby to have all of it */
#define NOBODY_US INT64_C(2500000)   /* in which a node that lives has beaten */

const char schema_moves[] = "ALTER TABLE hub ADD COLUMN IF NOT EXISTS came text;";

void
pg_whole_fini(struct pg_whole *w)
{
	for (unsigned i = 0; i < w->nsecret; i++)
		buf_wipe(&w->secrets[i].value);
	w->nsecret = 0;
}

static enum err
ask(struct conn *c, const char *sql, unsigned n, const struct param *v, PGresult **out,
    struct fault *f)
{
	enum err e = conn_ask(c, sql, n, v, clock_mono_us() + PG_PATIENCE_US, out, f);

	if (e == ERR_OK && PQresultStatus(*out) != PGRES_TUPLES_OK) {
		conn_fault(c, *out, f);
		PQclear(*out);
		*out = NULL;
		e = ERR_ARG;
	}
	return e;
}

/* One answer of yes or no. */
static enum err
ask_bool(struct conn *c, const char *sql, bool *yes, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c, sql, 0, NULL, &r, f);

	if (e != ERR_OK)
		return e;
	*yes = PQntuples(r) == 1 && field(r, 0, 0).n == 1 && field(r, 0, 0).p[0] != 0;
	PQclear(r);
	return ERR_OK;
}

/* ---- in ---- */

struct pg_mover {
	struct conn conn;
	struct buf rows;
	enum store_table table;
	bool copying;
};

/* The database is nobody's, and is this hub's from here on. *done: it is this bringing's already. */
static enum err
hub_begin(struct conn *c, const struct pg_whole *w, bool *done, struct fault *f)
{
	char number[4];
	const struct param v[] = { { PG_TEXT, str_of(w->id), false },
		{ PG_INT4, { number, 4 }, false }, { PG_TEXT, str_of(w->token), false } };
	PGresult *r;
	enum err e;

	be_put(number, PG_SCHEMA, 4);
	e = ask(c,
	    "INSERT INTO hub (id, schema, level, came) VALUES ($1, $2, 1, $3) ON CONFLICT DO "
	    "NOTHING RETURNING id",
	    3, v, &r, f);
	if (e != ERR_OK)
		return e;
	if (PQntuples(r) == 1) {
		PQclear(r);
		return ERR_OK;
	}
	PQclear(r);
	if ((e = ask(c, "SELECT id, coalesce(came, '') FROM hub", 0, NULL, &r, f)) != ERR_OK)
		return e;
	*done = PQntuples(r) == 1 && str_eq(field(r, 0, 1), str_of(w->token));
	if (!*done) {
		fault_set(f, F_ServerError, "the database has a hub already: " STR_FMT,
		    STR_ARG(PQntuples(r) == 1 ? field(r, 0, 0) : STR_NONE));
		e = ERR_EXISTS;
	}
	PQclear(r);
	return e;
}

static enum err
is_empty(struct conn *c, struct fault *f)
{
	bool any = false;
	enum err e = ask_bool(c,
	    "SELECT EXISTS (SELECT 1 FROM rec) OR EXISTS (SELECT 1 FROM log) OR EXISTS (SELECT 1 "
	    "FROM changes) OR EXISTS (SELECT 1 FROM secret) OR EXISTS (SELECT 1 FROM node)",
	    &any, f);

	if (e != ERR_OK || !any)
		return e;
	fault_set(f, F_ServerError,
	    "the database names no hub, and has rows of one: give an empty database");
	return ERR_EXISTS;
}

static enum err
secrets_put(struct conn *c, const struct pg_whole *w, struct fault *f)
{
	enum err e = ERR_OK;

	for (unsigned i = 0; i < w->nsecret && e == ERR_OK; i++) {
		const struct param v[] = { { PG_TEXT, str_of(w->secrets[i].name), false },
			{ PG_BYTEA, buf_view(&w->secrets[i].value), false } };

		e = conn_do(c, "INSERT INTO secret (name, value) VALUES ($1, $2)", 2, v, f);
	}
	return e;
}

static enum err
epochs_put(struct conn *c, const struct pg_whole *w, struct fault *f)
{
	struct array shards = { 0 }, epochs = { 0 }, times = { 0 };
	enum err e;

	array_begin(&shards, PG_INT4), array_begin(&epochs, PG_INT8), array_begin(&times, PG_INT8);
	for (uint32_t s = 0; s < PG_SHARDS; s++) {
		array_int(&shards, s);
		array_int(&epochs, (int64_t)w->shards[s].number);
		array_int(&times, w->shards[s].at_us);
	}
	/* who takes a shard has the next one */
	const struct param v[] = { { PG_INT4S, array_view(&shards), false },
		{ PG_INT8S, array_view(&epochs), false }, { PG_INT8S, array_view(&times), false } };
	e = conn_do(c,
	    "UPDATE shard x SET epoch = greatest(x.epoch, t.e - 1), at = greatest(x.at, t.a) FROM "
	    "unnest($1, $2, $3) AS t(s, e, a) WHERE x.shard = t.s",
	    3, v, f);
	array_fini(&shards), array_fini(&epochs), array_fini(&times);
	return e;
}

/* Of the log that is brought: what is kept by age goes partition by partition (upkeep.c). */
static enum err
partitions_put(struct conn *c, const struct pg_whole *w, struct fault *f)
{
	static const char *const tables[] = { "log", "changes" };
	int64_t from = w->log_from_us, end = w->now_us + 1, to,
	        width = (end - from) / PG_MOVE_PARTS + 1;
	enum err e = ERR_OK;
	char sql[256];

	if (from >= w->now_us)
		return ERR_OK;
	for (; from < end && e == ERR_OK; from = to) {
		to = from + width < end ? from + width : end;
		for (unsigned i = 0; i < 2 && e == ERR_OK; i++) {
			snprintf(sql, sizeof(sql),
			    "CREATE TABLE %s_%lld PARTITION OF %s FOR VALUES FROM (%lld) TO (%lld)",
			    tables[i], (long long)from, tables[i], (long long)from, (long long)to);
			e = conn_do(c, sql, 0, NULL, f);
		}
	}
	return e;
}

static enum err
move_begin(struct conn *c, const struct pg_whole *w, bool *done, struct fault *f)
{
	enum err e = schema_raise(c, NULL, f);

	if (e == ERR_OK)
		e = conn_do(c, "BEGIN", 0, NULL, f);
	if (e == ERR_OK)
		e = hub_begin(c, w, done, f);
	if (e != ERR_OK || *done)
		return e;
	if ((e = is_empty(c, f)) == ERR_OK && (e = secrets_put(c, w, f)) == ERR_OK)
		e = partitions_put(c, w, f);
	return e;
}

enum err
pg_move_in(const struct pg_options *o, const struct pg_whole *w, struct pg_mover **out, bool *done,
    struct fault *f)
{
	struct pg_mover *m = xcalloc(1, sizeof(*m));
	enum err e = conn_open(&m->conn, o, 0, 0, "init", f);

	*out = NULL;
	*done = false;
	if (e == ERR_OK)
		e = move_begin(&m->conn, w, done, f);
	if (e == ERR_OK && !*done)
		*out = m;
	else
		pg_move_drop(m);
	return e;
}

static enum err
table_begin(struct pg_mover *m, enum store_table t, struct fault *f)
{
	enum err e = m->copying ? copy_in_end(&m->conn, &m->rows, f) : ERR_OK;

	m->copying = e == ERR_OK;
	m->table = t;
	if (e != ERR_OK)
		return e;
	return copy_in_begin(&m->conn,
	    t == STORE_LOG ? "COPY log (shard, pos, at, body) FROM STDIN (FORMAT binary)"
	        : t == STORE_CHANGES
	        ? "COPY changes (shard, pos, at, body) FROM STDIN (FORMAT "
	          "binary)"
	        : "COPY rec (shard, tbl, key, value) FROM STDIN (FORMAT binary)",
	    &m->rows, f);
}

/* Do they go by one COPY? */
static bool
same_table(enum store_table a, enum store_table b)
{
	return a == b || (!pack_table(a) && !pack_table(b));
}

enum err
pg_move_row(struct pg_mover *m, const struct pg_row *row, struct fault *f)
{
	enum err e = ERR_OK;

	assert(row->shard < PG_SHARDS && (!pack_table(row->table) || row->key.n == PACK_KEY));
	if (!m->copying || !same_table(m->table, row->table))
		e = table_begin(m, row->table, f);
	if (e != ERR_OK)
		return e;
	copy_fields(&m->rows, 4);
	copy_number(&m->rows, row->shard, 4);
	if (pack_table(row->table)) {
		copy_field(&m->rows, str_sub(row->key, 2));
		copy_number(&m->rows, (uint64_t)row->at_us, 8);
	} else {
		copy_number(&m->rows, row->table, 2);
		copy_field(&m->rows, row->key);
	}
	copy_field(&m->rows, row->value);
	return copy_in_send(&m->conn, &m->rows, false, f);
}

/* From here on a lost answer leaves it open. */
static enum err
move_commit(struct conn *c, struct fault *f)
{
	PGresult *r;
	enum err e;

	if (conn_ask(c, "COMMIT", 0, NULL, clock_mono_us() + COMMIT_US, &r, f) != ERR_OK)
		return ERR_UNSYNCED;
	if (PQresultStatus(r) != PGRES_COMMAND_OK || strcmp(PQcmdStatus(r), "COMMIT") != 0) {
		conn_fault(c, r, f);
		e = ERR_IO;
	} else if (c->warned) {
		fault_set(f, F_ServerError,
		    "PostgreSQL has committed, and does not know whether its standby has");
		e = ERR_UNSYNCED;
	} else {
		e = ERR_OK;
	}
	PQclear(r);
	return e;
}

enum err
pg_move_end(struct pg_mover *m, const struct pg_whole *w, struct fault *f)
{
	struct fault ignored;
	enum err e = m->copying ? copy_in_end(&m->conn, &m->rows, f) : ERR_OK;

	if (e == ERR_OK)
		e = epochs_put(&m->conn, w, f);
	if (e == ERR_OK)
		e = move_commit(&m->conn, f);
	if (e == ERR_OK) /* nodes that begin at once plan by it; it comes by itself, too */
		(void)conn_do(&m->conn, "ANALYZE rec", 0, NULL, &ignored);
	pg_move_drop(m);
	return e;
}

/* A connection that ends within a transaction leaves nothing. */
void
pg_move_drop(struct pg_mover *m)
{
	if (m == NULL)
		return;
	conn_close(&m->conn);
	buf_fini(&m->rows);
	free(m);
}

/* ---- out ---- */

struct leaving {
	pg_row_take *take;
	void *ctx;
	enum store_table table; /* of the log */
};

static enum err
rec_taken(void *ctx, const struct str *v, struct fault *f)
{
	const struct leaving *l = ctx;
	const struct pg_row row = { .shard = (uint32_t)be_get(v[0]),
		.table = (enum store_table)be_get(v[1]),
		.key = v[2],
		.value = v[3] };

	if (row.shard >= PG_SHARDS || be_get(v[1]) >= STORE_TABLES || pack_table(row.table) ||
	    row.key.n > STORE_KEY_MAX) {
		fault_set(f, F_StoredDamaged, "a row of rec is none of this hub's");
		return ERR_CORRUPT;
	}
	return l->take(l->ctx, &row, f);
}

static enum err
log_taken(void *ctx, const struct str *v, struct fault *f)
{
	const struct leaving *l = ctx;
	char key[PACK_KEY];
	const struct pg_row row = { .shard = (uint32_t)be_get(v[0]),
		.table = l->table,
		.key = { key, PACK_KEY },
		.value = v[2] };

	if (row.shard >= PG_SHARDS || v[1].n != 8) {
		fault_set(f, F_StoredDamaged, "a row of the log is none of this hub's");
		return ERR_CORRUPT;
	}
	be_put(key, row.shard, 2);
	be_put(key + 2, be_get(v[1]), 8);
	return l->take(l->ctx, &row, f);
}

static enum err
rows_out(struct conn *c, struct leaving *l, struct fault *f)
{
	enum err e =
	    copy_out(c, "COPY (SELECT shard, tbl, key, value FROM rec) TO STDOUT (FORMAT binary)",
	        4, rec_taken, l, f);

	l->table = STORE_LOG;
	if (e == ERR_OK)
		e = copy_out(c,
		    "COPY (SELECT shard, pos, body FROM log ORDER BY at, shard, pos) TO STDOUT "
		    "(FORMAT binary)",
		    3, log_taken, l, f);
	l->table = STORE_CHANGES;
	if (e == ERR_OK)
		e = copy_out(c,
		    "COPY (SELECT shard, pos, body FROM changes ORDER BY at, shard, pos) TO STDOUT "
		    "(FORMAT binary)",
		    3, log_taken, l, f);
	return e;
}

static enum err
epochs_get(struct conn *c, struct pg_whole *w, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c, "SELECT shard, epoch, at FROM shard", 0, NULL, &r, f);

	if (e != ERR_OK)
		return e;
	if (PQntuples(r) != (int)PG_SHARDS)
		e = ERR_CORRUPT;
	for (int i = 0; i < PQntuples(r) && e == ERR_OK; i++) {
		uint64_t s = be_get(field(r, i, 0));

		if (s >= PG_SHARDS)
			e = ERR_CORRUPT;
		else
			w->shards[s] = (struct store_epoch){ (uint64_t)field_int8(r, i, 1),
				field_int8(r, i, 2) };
	}
	if (e != ERR_OK)
		fault_set(f, F_StoredDamaged, "the table shard is not one of 64 shards");
	PQclear(r);
	return e;
}

static enum err
secrets_get(struct conn *c, struct pg_whole *w, struct fault *f)
{
	PGresult *r;
	enum err e = ask(
	    c, "SELECT name, value FROM secret WHERE name IN ('policies', 'ca')", 0, NULL, &r, f);

	if (e != ERR_OK)
		return e;
	for (int i = 0; i < PQntuples(r); i++) {
		snprintf(w->secrets[i].name, PG_SECRET_NAME, STR_FMT, STR_ARG(field(r, i, 0)));
		buf_str(&w->secrets[i].value, field(r, i, 1));
		w->nsecret++;
	}
	PQclear(r);
	return ERR_OK;
}

enum err
hub_get(struct conn *c, char id[PG_ID_MAX], struct fault *f)
{
	bool there = false;
	PGresult *r;
	enum err e = ask_bool(c, "SELECT to_regclass('hub') IS NOT NULL", &there, f);

	if (e == ERR_OK && there)
		e = ask(c, "SELECT id, schema FROM hub", 0, NULL, &r, f);
	if (e != ERR_OK)
		return e;
	if (!there || PQntuples(r) != 1) {
		e = ERR_NOT_FOUND;
		fault_set(f, F_ServerError, "the database has no hub");
	} else if (be_get(field(r, 0, 1)) > PG_SCHEMA) {
		e = ERR_VERSION;
		fault_set(f, F_ServerError, "the database is of a newer program: schema %llu",
		    (unsigned long long)be_get(field(r, 0, 1)));
	} else {
		snprintf(id, PG_ID_MAX, STR_FMT, STR_ARG(field(r, 0, 0)));
	}
	if (there)
		PQclear(r);
	return e;
}

enum err
pg_hub_id(const struct pg_options *o, char id[PG_ID_MAX], struct fault *f)
{
	struct conn c = { 0 };
	enum err e = conn_open(&c, o, 0, 0, "init", f);

	if (e == ERR_OK)
		e = hub_get(&c, id, f);
	conn_close(&c);
	return e;
}

/* A number that changes with each beat; *n: of nodes that may live. */
static enum err
beats(struct conn *c, int64_t *n, int64_t *sum, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c,
	    "SELECT count(*), coalesce(sum(beat + generation), 0)::bigint FROM node WHERE state IN "
	    "('live', 'draining')",
	    0, NULL, &r, f);

	if (e != ERR_OK)
		return e;
	*n = field_int8(r, 0, 0);
	*sum = field_int8(r, 0, 1);
	PQclear(r);
	return ERR_OK;
}

static enum err
stayed(int64_t first, int64_t now, struct fault *f)
{
	if (now == first)
		return ERR_OK;
	fault_set(f, F_ServerError, "a node serves this database: stop all of them first");
	return ERR_LOCKED;
}

static enum err
silence(struct conn *c, int64_t *first, struct fault *f)
{
	int64_t n = 0, now, until_us = clock_mono_us() + NOBODY_US;
	enum err e = beats(c, &n, first, f);

	now = *first;
	while (e == ERR_OK && n > 0 && now == *first && clock_mono_us() < until_us) {
		clock_sleep_us(PG_RETRY_US / 2);
		e = beats(c, &n, &now, f);
	}
	return e == ERR_OK ? stayed(*first, now, f) : e;
}

enum err
nobody_beats(struct conn *c, struct fault *f)
{
	int64_t first = 0;

	return silence(c, &first, f);
}

/* Once more in the snapshot that is read: who has begun since lives. */
static enum err
nobody_lives(struct conn *c, struct fault *f)
{
	int64_t n, first = 0, now = 0;
	enum err e = silence(c, &first, f);

	if (e == ERR_OK)
		e = conn_do(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, f);
	if (e == ERR_OK)
		e = beats(c, &n, &now, f);
	return e == ERR_OK ? stayed(first, now, f) : e;
}

enum err
pg_move_out(
    const struct pg_options *o, struct pg_whole *w, pg_row_take *take, void *ctx, struct fault *f)
{
	struct leaving l = { .take = take, .ctx = ctx };
	struct conn c = { 0 };
	enum err e = conn_open(&c, o, 0, 0, "export", f);

	if (e == ERR_OK && (e = hub_get(&c, w->id, f)) == ERR_OK)
		e = nobody_lives(&c, f);
	if (e == ERR_OK && (e = hub_get(&c, w->id, f)) == ERR_OK &&
	    (e = epochs_get(&c, w, f)) == ERR_OK && (e = secrets_get(&c, w, f)) == ERR_OK)
		e = rows_out(&c, &l, f);
	conn_close(&c);
	return e;
}
