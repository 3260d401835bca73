/* What the shards hold, read into the scratch; and whether somebody else has them. */
#include <stdio.h>
#include <stdlib.h>

#include "pg/priv.h"

#define FILL_MAX ((size_t)4 * 1024 * 1024) /* bytes of a batch for the scratch */

/* ---- others ---- */

/* Numbers that change when another node that has shards beats; 0: there is none. */
static enum err
others_beat(struct pg *p, struct conn *c, int64_t *shards, int64_t *sum, struct fault *f)
{
	static const char sql[] =
	    "SELECT coalesce(sum(n.shards), 0)::bigint, coalesce(sum(x.beat + x.generation), "
	    "0)::bigint"
	    " FROM (SELECT node, generation, count(*) AS shards FROM shard GROUP BY 1, 2) n"
	    " JOIN node x ON x.id = n.node AND x.generation = n.generation"
	    " WHERE x.id <> $1 AND x.state IN ('live', 'draining')";
	const struct param me = { PG_TEXT, str_of(p->o.node), false };
	PGresult *r;
	enum err e = conn_ask(c, sql, 1, &me, clock_mono_us() + PG_PATIENCE_US, &r, f);

	if (e != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(c, r, f), e = ERR_IO;
	else
		*shards = field_int8(r, 0, 0), *sum = field_int8(r, 0, 1);
	PQclear(r);
	return e;
}

/*
 * One node serves a hub at a time: who beats is not disturbed. Who does not, is buried once this node has begun, and its shards are taken.
 */
enum err
others_are_dead(struct pg *p, struct conn *c, struct fault *f)
{
	int64_t shards = 0, first = 0, now, until_us = clock_mono_us() + PG_OTHERS_US;
	enum err e = others_beat(p, c, &shards, &first, f);

	now = first;
	while (e == ERR_OK && shards > 0 && now == first && clock_mono_us() < until_us) {
		clock_sleep_us(PG_RETRY_US / 2);
		e = others_beat(p, c, &shards, &now, f);
	}
	if (e != ERR_OK || now == first)
		return e;
	fault_set(f, F_ServerError, "another node has %lld of the hub's shards", (long long)shards);
	return ERR_LOCKED;
}

/* ---- what they hold ---- */

/* Into the scratch, and until it is there. */
static enum err
fill(struct pg *p, struct store_batch **b, struct fault *f)
{
	struct store_batch *full = *b;
	enum store_result result;

	pthread_mutex_lock(&p->mu);
	p->filling.on = true;
	p->filling.done = false;
	pthread_mutex_unlock(&p->mu);
	store_submit(p->scratch, 0, full, 0);
	pthread_mutex_lock(&p->mu);
	while (!p->filling.done)
		pthread_cond_wait(&p->filling.heard, &p->mu);
	p->filling.on = false;
	result = p->filling.result;
	pthread_mutex_unlock(&p->mu);
	*b = store_batch_next(p->scratch, 0);
	if (result == STORE_OK)
		return ERR_OK;
	store_state(p->scratch, f);
	return ERR_IO;
}

/* COPY's rows in binary: a head of 19 bytes (and what it announces), then for each row the number of fields, and each with its length. */
struct rows {
	bool begun;
	struct rd rd;
};

static struct str
copied(struct rows *rows)
{
	uint32_t n = (uint32_t)be_get(rd_bytes(&rows->rd, 4));

	return rd_bytes(&rows->rd, n);
}

static enum err
row_copied(struct rows *rows, struct str bytes, struct store_batch *b, struct fault *f)
{
	struct str shard, table, key, value;

	rows->rd = rd_of(bytes);
	if (!rows->begun) {
		rd_bytes(&rows->rd, 11 + 4);
		rd_bytes(&rows->rd, be_get(rd_bytes(&rows->rd, 4)));
		rows->begun = true;
		if (rows->rd.p == rows->rd.end)
			return ERR_OK;
	}
	if (be_get(rd_bytes(&rows->rd, 2)) == 0xffff)
		return ERR_OK; /* the end */
	shard = copied(rows), table = copied(rows), key = copied(rows), value = copied(rows);
	if (rows->rd.bad || be_get(table) >= STORE_TABLES || be_get(shard) >= PG_SHARDS ||
	    key.n > STORE_KEY_MAX) {
		fault_set(f, F_StoredDamaged, "a row of rec is none of this hub's");
		return ERR_CORRUPT;
	}
	store_batch_put(b, (uint32_t)be_get(shard), (enum store_table)be_get(table), key, value);
	return ERR_OK;
}

static enum err
rows_read(struct pg *p, struct conn *c, const char *sql, struct fault *f)
{
	struct store_batch *b = store_batch_next(p->scratch, 0);
	struct rows rows = { 0 };
	PGresult *r;
	char *bytes = NULL;
	enum err e = ERR_OK;
	int n = -1;

	PQsetnonblocking(c->pg, 0);
	r = PQexec(c->pg, sql);
	if (PQresultStatus(r) != PGRES_COPY_OUT)
		conn_fault(c, r, f), e = ERR_IO;
	PQclear(r);
	while (e == ERR_OK && (n = PQgetCopyData(c->pg, &bytes, 0)) > 0) {
		e = row_copied(&rows, (struct str){ bytes, (size_t)n }, b, f);
		PQfreemem(bytes);
		if (e == ERR_OK && store_batch_bytes(b) > FILL_MAX)
			e = fill(p, &b, f);
	}
	if (e == ERR_OK && n == -2)
		conn_fault(c, NULL, f), e = ERR_IO;
	if (e == ERR_OK)
		e = fill(p, &b, f);
	store_batch_free(b);
	while (e == ERR_OK && (r = PQgetResult(c->pg)) != NULL) {
		if (PQresultStatus(r) != PGRES_COMMAND_OK)
			conn_fault(c, r, f), e = ERR_IO;
		PQclear(r);
	}
	return e;
}

/* What is read is what was taken: a connection to a server that was the primary once reads what was. In the snapshot that is read. */
static enum err
is_as_taken(struct pg *p, struct conn *c, const struct cluster_do *load, struct fault *f)
{
	char shard[4], epoch[8], generation[8];
	const struct param v[] = { { PG_INT4, { shard, 4 }, false },
		{ PG_TEXT, str_of(p->o.node), false }, { PG_INT8, { generation, 8 }, false },
		{ PG_INT8, { epoch, 8 }, false } };
	PGresult *r;
	enum err e;

	be_put(shard, load->shard, 4);
	be_put(epoch, (uint64_t)load->epoch, 8);
	be_put(generation, atomic_load(&p->generation), 8);
	e = conn_ask(c,
	    "SELECT 1 FROM shard WHERE shard = $1 AND node = $2 AND generation = $3 AND epoch = $4",
	    4, v, clock_mono_us() + PG_PATIENCE_US, &r, f);
	if (e != ERR_OK)
		return e;
	if (PQntuples(r) != 1)
		e = ERR_NOT_FOUND;
	PQclear(r);
	return e;
}

enum err
shard_read(struct pg *p, struct conn *c, const struct cluster_do *load, struct fault *f)
{
	char sql[128];
	enum err e = conn_do(c, "BEGIN ISOLATION LEVEL REPEATABLE READ", 0, NULL, f);

	snprintf(sql, sizeof(sql),
	    "COPY (SELECT shard, tbl, key, value FROM rec WHERE shard = %u) TO STDOUT (FORMAT "
	    "binary)",
	    load->shard);
	if (e == ERR_OK)
		e = is_as_taken(p, c, load, f);
	if (e == ERR_OK)
		e = rows_read(p, c, sql, f);
	if (e == ERR_OK)
		e = conn_do(c, "COMMIT", 0, NULL, f);
	return e;
}

/* ---- what the log has of before ---- */

static enum err
family_older(struct pg *p, const char *sql, int64_t older[PG_SHARDS], struct fault *f)
{
	PGresult *r;
	enum err e = conn_ask(&p->commit, sql, 0, NULL, INT64_MAX, &r, f);

	for (uint32_t s = 0; s < PG_SHARDS; s++)
		older[s] = -1;
	if (e != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(&p->commit, r, f), e = ERR_IO;
	for (int i = 0; e == ERR_OK && i < PQntuples(r); i++)
		if (be_get(field(r, i, 0)) < PG_SHARDS && PQgetlength(r, i, 1) == 8)
			older[be_get(field(r, i, 0))] = field_int8(r, i, 1);
	PQclear(r);
	return e;
}

enum err
older_read(struct pg *p, struct fault *f)
{
	static const char *const sql[FAMILIES] = { "SELECT s, (SELECT max(pos) FROM log WHERE "
		                                   "shard = s) FROM generate_series(0, 63) s",
		"SELECT s, (SELECT max(pos) FROM changes WHERE shard = s) FROM generate_series(0, "
		"63) s" };
	enum err e = ERR_OK;

	for (unsigned i = 0; i < FAMILIES && e == ERR_OK; i++)
		e = family_older(p, sql[i], p->older[i], f);
	return e;
}
