/*
 * What is hub-wide (docs/cluster-design.md, 10): of several nodes each has a copy in force, and its version, hub.common, is raised by each change. It is
 * read whole, as of one moment that has the version which a beat has named: a connection to a server that was the primary once shows what was.
 */
#include "pg/priv.h"

#define IN_REC "shard = 0 AND tbl = $1 AND key >= $2 AND key < $3"

/* Key ranges of STORE_HUB on shard 0. Not those of cursors and jobs: each has a way of its own. */
static const struct {
	const char *from, *to;
} kept[] = {
	{ "configuration/", "configuration0" },
	{ "route/", "route0" },
	{ "settings", "settings\1" },
	{ "sink/", "sink0" },
};
#define KEPT (sizeof(kept) / sizeof(kept[0]))

bool
common_key(struct str key)
{
	for (size_t i = 0; i < KEPT; i++)
		if (str_cmp(key, str_of(kept[i].from)) >= 0 && str_cmp(key, str_of(kept[i].to)) < 0)
			return true;
	return false;
}

/* ---- the version ---- */

struct pg_spread
pg_common_spread(struct store *store)
{
	struct cluster_spread s = drive_spread(pg_of(store));

	return (struct pg_spread){ s.named, s.least, s.sent_us, s.others };
}

void
pg_in_force(struct store *store, int64_t common)
{
	(void)common; /* one is named at a time */
	drive_step(pg_of(store), &(struct cluster_input){ .what = CLUSTER_IN_FORCE });
}

void
pg_hurry(struct store *store)
{
	drive_step(pg_of(store), &(struct cluster_input){ .what = CLUSTER_HURRY });
}

/* ---- reading ---- */

static enum err
rows_of(struct conn *c, const char *sql, unsigned n, const struct param *v,
    enum err (*row)(void *ctx, struct str key, struct str value), void *ctx, struct fault *f)
{
	PGresult *r;
	enum err e = conn_ask(c, sql, n, v, clock_mono_us() + PG_WORD_US, &r, f);

	if (e != ERR_OK)
		return ERR_IO;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(c, r, f), e = ERR_IO;
	for (int i = 0; e == ERR_OK && i < PQntuples(r); i++)
		e = row(ctx, field(r, i, 0), field(r, i, 1));
	PQclear(r);
	return e;
}

static enum err
read_version(void *ctx, struct str key, struct str value)
{
	(void)key;
	*(int64_t *)ctx = (int64_t)be_get(value);
	return ERR_OK;
}

static enum err
read_records(struct conn *c, const struct pg_common_face *face, struct fault *f)
{
	char table[2];
	enum err e = ERR_OK;

	be_put(table, STORE_HUB, 2);
	for (size_t i = 0; e == ERR_OK && i < KEPT; i++) {
		const struct param v[] = { { PG_INT2, { table, 2 }, false },
			{ PG_BYTEA, str_of(kept[i].from), false },
			{ PG_BYTEA, str_of(kept[i].to), false } };

		e = rows_of(c, "SELECT key, value FROM rec WHERE " IN_REC, 3, v, face->record,
		    face->ctx, f);
	}
	return e;
}

static enum err
read_all(struct conn *c, int64_t common, const struct pg_common_face *face, struct fault *f)
{
	int64_t there = 0;
	enum err e = conn_do(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0, NULL, f);

	if (e == ERR_OK)
		e = rows_of(c, "SELECT id, common FROM hub", 0, NULL, read_version, &there, f);
	if (e == ERR_OK && there < common) {
		fault_set(f, F_ServerError,
		    "this server has version %lld of what is hub-wide, and %lld is there",
		    (long long)there, (long long)common);
		e = ERR_IO;
	}
	if (e == ERR_OK)
		e = rows_of(
		    c, "SELECT name, value FROM secret", 0, NULL, face->secret, face->ctx, f);
	if (e == ERR_OK && face->record != NULL)
		e = read_records(c, face, f);
	return e;
}

enum err
pg_common_read(
    const struct pg_options *o, int64_t common, const struct pg_common_face *face, struct fault *f)
{
	enum err e = ERR_IO;

	for (unsigned host = 0; host < conn_hosts(o) && e == ERR_IO; host++) {
		struct conn c = { 0 };

		e = conn_open(&c, o, host, 0, "common", f);
		if (e == ERR_OK)
			e = read_all(&c, common, face, f);
		conn_close(&c);
	}
	return e;
}
