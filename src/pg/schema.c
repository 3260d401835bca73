/* The schema, made where there is none. docs/cluster-design.md, 3, says why each statement is as it is. */
#include <stdio.h>
#include <stdlib.h>

#include "pg/operate.h"
#include "pg/priv.h"

#define TEXT_OF(x)  #x
#define TEXT_OF2(x) TEXT_OF(x)
#define SCHEMA_TEXT TEXT_OF2(PG_SCHEMA)
#define NOW_EPOCH   "((extract(epoch FROM clock_timestamp()) * 1000000)::bigint >> 40)"

/* Any change of what follows is one of PG_SCHEMA: it is run where the database has none, or an older one. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS hub (one bool PRIMARY KEY DEFAULT true CHECK (one), id text NOT "
    "NULL, schema int NOT NULL,"
    "  level int NOT NULL, lost jsonb, common bigint NOT NULL DEFAULT 1);"
    "CREATE TABLE IF NOT EXISTS node (id text PRIMARY KEY, slot int UNIQUE NOT NULL, generation "
    "bigint NOT NULL,"
    "  beat bigint NOT NULL DEFAULT 0, state text NOT NULL DEFAULT 'live', dir text NOT NULL, "
    "address text, cert bytea,"
    "  identities bigint NOT NULL DEFAULT 0, info jsonb) WITH (fillfactor = 10);"
    "CREATE TABLE IF NOT EXISTS shard (shard int PRIMARY KEY, epoch bigint NOT NULL, node text, "
    "generation bigint,"
    "  pos bigint NOT NULL DEFAULT 0, at bigint NOT NULL DEFAULT 0) WITH (fillfactor = 10);"
    /* above what was a time before there were epochs: shard/epoch.c */
    "INSERT INTO shard (shard, epoch) SELECT s, " NOW_EPOCH " FROM generate_series(0, 63) s "
    "ON CONFLICT DO NOTHING;"
    "UPDATE shard SET epoch = greatest(epoch, at >> 40, " NOW_EPOCH
    ") FROM hub WHERE hub.schema < 2;"
    "CREATE TABLE IF NOT EXISTS rec (shard int, tbl smallint, key bytea, value bytea NOT NULL, "
    "PRIMARY KEY (shard, tbl, key))"
    "  WITH (fillfactor = 80);"
    "ALTER TABLE rec ALTER value SET STORAGE EXTERNAL;"
    "CREATE TABLE IF NOT EXISTS log (shard int, pos bigint, at bigint, body bytea NOT NULL, "
    "PRIMARY KEY (shard, pos, at))"
    "  PARTITION BY RANGE (at);"
    "CREATE TABLE IF NOT EXISTS log_rest PARTITION OF log DEFAULT;"
    "CREATE TABLE IF NOT EXISTS changes (shard int, pos bigint, at bigint, body bytea NOT NULL, "
    "PRIMARY KEY (shard, pos, at))"
    "  PARTITION BY RANGE (at);"
    "CREATE TABLE IF NOT EXISTS changes_rest PARTITION OF changes DEFAULT;"
    /* bump: what is hub-wide changes with it. fs, fe, fpos: the fence; rs to rv: records, each key once, NULL: it goes; ls to lb: rows of the log, which say of themselves whose they are */
    "CREATE OR REPLACE PROCEDURE th_commit(me text, gen bigint, fs int[], fe bigint[], fpos "
    "bigint[], fat bigint,"
    "   rs int[], rt smallint[], rk bytea[], rv bytea[], ls int[], lp bigint[], lb bytea[], cs "
    "int[], cp bigint[], cb bytea[], bump bool)"
    " LANGUAGE plpgsql AS $$"
    " DECLARE n int;"
    " BEGIN"
    "  INSERT INTO rec SELECT * FROM unnest(rs, rt, rk, rv) AS t(s, t, k, v) WHERE v IS NOT NULL"
    "   ON CONFLICT (shard, tbl, key) DO UPDATE SET value = excluded.value;"
    "  IF array_position(rv, NULL) IS NOT NULL THEN"
    "   DELETE FROM rec USING unnest(rs, rt, rk, rv) AS t(s, t, k, v) WHERE v IS NULL AND shard = "
    "s AND tbl = t AND key = k;"
    "  END IF;"
    "  IF cardinality(ls) > 0 THEN INSERT INTO log SELECT s, p, fat, b FROM unnest(ls, lp, lb) AS "
    "t(s, p, b); END IF;"
    "  IF cardinality(cs) > 0 THEN INSERT INTO changes SELECT s, p, fat, b FROM unnest(cs, cp, cb) "
    "AS t(s, p, b); END IF;"
    "  IF bump THEN UPDATE hub SET common = common + 1; END IF;"
    "  UPDATE shard x SET pos = x.pos + 1, at = greatest(x.at, fat) FROM unnest(fs, fe, fpos) AS "
    "f(s, e, p)"
    "   WHERE x.shard = f.s AND x.epoch = f.e AND x.pos = f.p AND x.node = me AND x.generation = "
    "gen;"
    "  GET DIAGNOSTICS n = ROW_COUNT;"
    "  IF n <> cardinality(fs) THEN RAISE 'fenced' USING ERRCODE = 'TH001'; END IF;"
    "  COMMIT;"
    " END $$;";

/* The newest of the database, 0: there is none. Two nodes that begin at once wait for each other on the lock, until the transaction is over. */
static enum err
schema_look(struct conn *c, uint64_t *is, struct fault *f)
{
	PGresult *r = NULL;
	enum err e = conn_do(c, "BEGIN", 0, NULL, f);

	*is = 0;
	if (e == ERR_OK)
		e = conn_do(c, "SELECT pg_advisory_xact_lock(7242191)", 0, NULL, f);
	if (e == ERR_OK)
		e = conn_ask(c, "SELECT to_regclass('hub') IS NOT NULL", 0, NULL,
		    clock_mono_us() + PG_PATIENCE_US, &r, f);
	if (e != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(c, r, f), e = ERR_IO;
	else if (be_get(field(r, 0, 0)) != 0)
		*is = 1;
	PQclear(r);
	if (e != ERR_OK || *is == 0)
		return e;
	if ((e = conn_ask(c, "SELECT schema FROM hub", 0, NULL, clock_mono_us() + PG_PATIENCE_US,
	         &r, f)) != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(c, r, f), e = ERR_IO;
	else
		*is = PQntuples(r) > 0 ? be_get(field(r, 0, 0)) : 0;
	PQclear(r);
	return e;
}

static enum err
schema_make(struct conn *c, const char *hub, struct fault *f)
{
	const struct param mine = { PG_TEXT, hub != NULL ? str_of(hub) : STR_NONE, false };
	struct buf sql = { 0 };
	PGresult *r;
	enum err e = ERR_OK;

	buf_str(&sql, str_of(schema));
	buf_str(&sql, str_of(schema_calls));
	buf_str(&sql, str_of(schema_secrets));
	buf_str(&sql, str_of(schema_moves));
	buf_str(&sql, str_of(schema_operate));
	buf_printf(&sql, "UPDATE hub SET schema = %d", PG_SCHEMA);
	buf_putc(&sql, '\0');
	r = PQexec(c->pg, sql.p);
	buf_fini(&sql);
	if (PQresultStatus(r) != PGRES_COMMAND_OK) {
		conn_fault(c, r, f);
		e = ERR_IO;
	}
	PQclear(r);
	if (e == ERR_OK && hub != NULL)
		e = conn_do(c,
		    "INSERT INTO hub (id, schema, level) VALUES ($1, " SCHEMA_TEXT
		    ", 1) ON CONFLICT DO NOTHING",
		    1, &mine, f);
	return e;
}

enum err
schema_raise(struct conn *c, const char *hub, struct fault *f)
{
	uint64_t is;
	enum err e = schema_look(c, &is, f);

	if (e == ERR_OK && is > PG_SCHEMA)
		e = fault_set(f, F_ServerError,
		    "the database has schema %llu, this program knows %d: it is of a newer one",
		    (unsigned long long)is, PG_SCHEMA);
	if (e == ERR_OK && is < PG_SCHEMA)
		e = schema_make(c, hub, f);
	return e == ERR_OK ? conn_do(c, "COMMIT", 0, NULL, f) : e;
}

/* The database is a hub's, or nobody's yet. */
enum err
schema_ready(struct conn *c, const struct pg_options *o, char id[PG_ID_MAX], struct fault *f)
{
	PGresult *r;
	enum err e = schema_raise(c, o->hub, f);

	if (e == ERR_OK)
		e = conn_ask(c, "SELECT id, level FROM hub", 0, NULL,
		    clock_mono_us() + PG_PATIENCE_US, &r, f);
	if (e != ERR_OK)
		return e;
	if (PQntuples(r) != 1)
		conn_fault(c, r, f), e = ERR_IO;
	else if (be_get(field(r, 0, 1)) > PG_LEVEL)
		e = fault_set(f, F_ServerError,
		    "the hub's level is %llu, this program knows %u: it is of a newer one",
		    (unsigned long long)be_get(field(r, 0, 1)), PG_LEVEL);
	else if (id != NULL)
		snprintf(id, PG_ID_MAX, STR_FMT, STR_ARG(field(r, 0, 0)));
	else if (!str_eq(field(r, 0, 0), str_of(o->hub)))
		e = fault_set(f, F_ServerError,
		    "the database is that of the hub " STR_FMT ", not of %s",
		    STR_ARG(field(r, 0, 0)), o->hub);
	PQclear(r);
	return e;
}
