/* This incarnation: its row, the shards that it takes, and what they hold, read into the scratch. */
#include <stdlib.h>

#include "pg/priv.h"

#define FILL_MAX ((size_t)4 * 1024 * 1024) /* bytes of a batch for the scratch */

static struct param
text_param(const char *text)
{
	return (struct param){ PG_TEXT, str_of(text), false };
}

/*
 * The next generation of the node. One of the same name with another data directory is another node, which is asked for its end by hand; the
 * former incarnation of this one is dead, as it held the directory's lock.
 */
enum err
node_begin(struct pg *p, struct fault *f)
{
	static const char sql[] = "INSERT INTO node (id, slot, generation, dir) SELECT $1, "
	                          "coalesce(max(slot), -1) + 1, 1, $2 FROM node"
	                          " ON CONFLICT (id) DO UPDATE SET generation = node.generation + "
	                          "1, state = 'live' WHERE node.dir = $2"
	                          " RETURNING generation";
	const struct param v[] = { text_param(p->o.node), text_param(p->o.dir) };
	PGresult *r;
	enum err e = conn_ask(&p->commit, sql, 2, v, clock_mono_us() + PG_PATIENCE_US, &r, f);

	if (e != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(&p->commit, r, f), e = ERR_IO;
	else if (PQntuples(r) == 0)
		e = fault_set(
		    f, F_ServerError, "the node %s is that of another data directory", p->o.node);
	else
		p->generation = (uint64_t)field_int8(r, 0, 0);
	PQclear(r);
	return e;
}

static enum err
all_are_taken(struct pg *p, const PGresult *r, struct owned now[PG_SHARDS], struct fault *f)
{
	if (PQresultStatus(r) != PGRES_TUPLES_OK) {
		conn_fault(&p->commit, r, f);
		return result_is(r, "TH002") ? ERR_LOCKED : ERR_IO;
	}
	for (int i = 0; i < PQntuples(r); i++) {
		uint32_t s = (uint32_t)be_get(field(r, i, 0));

		if (s < PG_SHARDS)
			now[s] = (struct owned){ field_int8(r, i, 1), field_int8(r, i, 4),
				field_int8(r, i, 5) };
	}
	if (PQntuples(r) == (int)PG_SHARDS)
		return ERR_OK;
	fault_set(f, F_ServerError, "another node has %u of the hub's shards",
	    PG_SHARDS - (unsigned)PQntuples(r));
	return ERR_LOCKED;
}

enum err
shards_take(struct pg *p, struct owned now[PG_SHARDS], struct fault *f)
{
	char generation[8];
	struct array which = { 0 };
	struct param v[3];
	PGresult *r;
	enum err e;

	be_put(generation, p->generation, 8);
	array_begin(&which, PG_INT4);
	for (uint32_t s = 0; s < PG_SHARDS; s++)
		array_int(&which, s);
	v[0] = text_param(p->o.node);
	v[1] = (struct param){ PG_INT8, { generation, 8 }, false };
	v[2] = (struct param){ PG_INT4S, array_view(&which), false };
	e = conn_ask(&p->commit,
	    "SELECT shard, epoch, node, generation, pos, at FROM th_take($1, $2, $3)", 3, v,
	    clock_mono_us() + PG_PATIENCE_US, &r, f);
	array_fini(&which);
	if (e != ERR_OK)
		return e;
	e = all_are_taken(p, r, now, f);
	PQclear(r);
	return e;
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
row_copied(
    struct pg *p, struct rows *rows, struct str bytes, struct store_batch *b, struct fault *f)
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
	(void)p;
	store_batch_put(b, (uint32_t)be_get(shard), (enum store_table)be_get(table), key, value);
	return ERR_OK;
}

enum err
shards_read(struct pg *p, struct fault *f)
{
	static const char sql[] =
	    "COPY (SELECT shard, tbl, key, value FROM rec) TO STDOUT (FORMAT binary)";
	struct store_batch *b = store_batch_next(p->scratch, 0);
	struct rows rows = { 0 };
	PGresult *r;
	char *bytes = NULL;
	enum err e = ERR_OK;
	int n = -1;

	PQsetnonblocking(p->commit.pg, 0);
	r = PQexec(p->commit.pg, sql);
	if (PQresultStatus(r) != PGRES_COPY_OUT)
		conn_fault(&p->commit, r, f), e = ERR_IO;
	PQclear(r);
	while (e == ERR_OK && (n = PQgetCopyData(p->commit.pg, &bytes, 0)) > 0) {
		e = row_copied(p, &rows, (struct str){ bytes, (size_t)n }, b, f);
		PQfreemem(bytes);
		if (e == ERR_OK && store_batch_bytes(b) > FILL_MAX)
			e = fill(p, &b, f);
	}
	if (e == ERR_OK && n == -2)
		conn_fault(&p->commit, NULL, f), e = ERR_IO;
	if (e == ERR_OK)
		e = fill(p, &b, f);
	store_batch_free(b);
	while (e == ERR_OK && (r = PQgetResult(p->commit.pg)) != NULL) {
		if (PQresultStatus(r) != PGRES_COMMAND_OK)
			conn_fault(&p->commit, r, f), e = ERR_IO;
		PQclear(r);
	}
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
