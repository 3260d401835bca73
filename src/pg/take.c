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

/* Into the scratch, by the lane of its own, and until it is there. */
static enum err
fill(struct pg *p, struct store_batch **b, struct fault *f)
{
	struct store_batch *full = *b;
	enum store_result result;

	pthread_mutex_lock(&p->mu);
	p->filling.done = false;
	pthread_mutex_unlock(&p->mu);
	store_submit(p->scratch, p->nlane, full, 0);
	pthread_mutex_lock(&p->mu);
	while (!p->filling.done)
		pthread_cond_wait(&p->filling.heard, &p->mu);
	result = p->filling.result;
	pthread_mutex_unlock(&p->mu);
	*b = store_batch_next(p->scratch, p->nlane);
	if (result == STORE_OK)
		return ERR_OK;
	store_state(p->scratch, f);
	return ERR_IO;
}

/* ---- what a former ownership has left in the scratch ---- */

/*
 * Keys of STORE_HUB do not say whose they are, so the scratch has for each a row without a value: INDEX, the shard (2 bytes), the key. No reader looks
 * there, as each looks for a prefix of letters.
 */
#define INDEX '\xff'

static struct str
index_key(struct buf *room, uint32_t shard, struct str key)
{
	char s[2];

	be_put(s, shard, 2);
	room->n = 0;
	buf_putc(room, INDEX);
	buf_str(room, (struct str){ s, 2 });
	buf_str(room, key);
	return buf_view(room);
}

/* Of each change of such a key: is it put, its shard, its length (2 bytes), its bytes. A batch is not changed while it is read. */
static void
hub_keys(const struct store_batch *b, struct buf *out)
{
	struct store_change change;
	size_t at = 0;
	char n[2];

	while (store_batch_next_change(b, &at, &change)) {
		if (change.table != STORE_HUB)
			continue;
		be_put(n, change.key.n, 2);
		buf_putc(out, change.put);
		buf_putc(out, (char)change.shard);
		buf_put(out, n, 2);
		buf_str(out, change.key);
	}
}

void
hub_keys_note(struct store_batch *b)
{
	struct buf keys = { 0 }, room = { 0 };
	struct rd rd;

	hub_keys(b, &keys);
	for (rd = rd_of(buf_view(&keys)); rd.p < rd.end;) {
		bool put = rd_u8(&rd);
		uint32_t shard = rd_u8(&rd);
		struct str key = rd_bytes(&rd, be_get(rd_bytes(&rd, 2)));

		if (put)
			store_batch_put(
			    b, shard, STORE_HUB, index_key(&room, shard, key), STR_NONE);
		else
			store_batch_delete(b, shard, STORE_HUB, index_key(&room, shard, key));
	}
	buf_fini(&keys);
	buf_fini(&room);
}

/* All keys of a table that begin so. */
static enum err
range_forget(struct pg *p, struct store_batch **b, uint32_t shard, enum store_table t,
    struct str prefix, struct fault *f)
{
	struct store_cursor *c;
	struct str key, value;
	enum err e = store_cursor_open(p->scratch, t, prefix, STR_NONE, STORE_SCAN_ONCE, &c);

	if (e != ERR_OK)
		return e;
	while ((e = store_next(c, &key, &value)) == ERR_OK && str_starts(key, prefix)) {
		store_batch_delete(*b, shard, t, key);
		if (t == STORE_HUB)
			store_batch_delete(*b, shard, t, str_sub(key, prefix.n));
		if (store_batch_bytes(*b) > FILL_MAX && (e = fill(p, b, f)) != ERR_OK)
			break;
	}
	store_cursor_close(c);
	return e == ERR_OK || e == ERR_END ? ERR_OK : e;
}

/* Of the log nothing goes: its records never change, and readers take those of before from PostgreSQL. */
static enum err
shard_forget(struct pg *p, uint32_t shard, struct fault *f)
{
	struct store_batch *b = store_batch_next(p->scratch, p->nlane);
	char index[3] = { INDEX }, own[2], bodies[2];
	enum err e;

	be_put(own, shard, 2);
	be_put(bodies, shard | 0x8000, 2); /* of messages: message/message.h */
	be_put(index + 1, shard, 2);
	e = range_forget(p, &b, shard, STORE_HUB, (struct str){ index, sizeof(index) }, f);
	for (enum store_table t = 0; t < STORE_TABLES && e == ERR_OK; t++) {
		if (t == STORE_HUB || pack_table(t))
			continue;
		e = range_forget(p, &b, shard, t, (struct str){ own, 2 }, f);
		if (e == ERR_OK && t == STORE_MESSAGES)
			e = range_forget(p, &b, shard, t, (struct str){ bodies, 2 }, f);
	}
	if (e == ERR_OK)
		e = fill(p, &b, f);
	else
		store_state(p->scratch, f);
	store_batch_free(b);
	return e;
}

/* ---- what it holds now ---- */

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
rows_fill(struct pg *p, struct store_batch **b, struct fault *f)
{
	hub_keys_note(*b);
	return fill(p, b, f);
}

static enum err
rows_read(struct pg *p, struct conn *c, const char *sql, struct fault *f)
{
	struct store_batch *b = store_batch_next(p->scratch, p->nlane);
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
			e = rows_fill(p, &b, f);
	}
	if (e == ERR_OK && n == -2)
		conn_fault(c, NULL, f), e = ERR_IO;
	if (e == ERR_OK)
		e = rows_fill(p, &b, f);
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

/* Where the newest row of each table of the log begins; -1: there is none. */
static enum err
older_read(struct pg *p, struct conn *c, uint32_t shard, struct fault *f)
{
	static const char sql[] =
	    "SELECT coalesce((SELECT max(pos) FROM log WHERE shard = $1), -1),"
	    " coalesce((SELECT max(pos) FROM changes WHERE shard = $1), -1)";
	char which[4];
	const struct param v = { PG_INT4, { which, 4 }, false };
	PGresult *r;
	enum err e;

	be_put(which, shard, 4);
	if ((e = conn_ask(c, sql, 1, &v, INT64_MAX, &r, f)) != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(c, r, f), e = ERR_IO;
	for (int i = 0; e == ERR_OK && i < FAMILIES; i++)
		atomic_store(&p->older[i][shard], field_int8(r, 0, i));
	PQclear(r);
	return e;
}

enum err
shard_read(struct pg *p, struct conn *c, const struct cluster_do *load, struct fault *f)
{
	const uint64_t bit = UINT64_C(1) << load->shard;
	char sql[128];
	enum err e = p->filled & bit ? shard_forget(p, load->shard, f) : ERR_OK;

	p->filled |= bit;
	snprintf(sql, sizeof(sql),
	    "COPY (SELECT shard, tbl, key, value FROM rec WHERE shard = %u) TO STDOUT (FORMAT "
	    "binary)",
	    load->shard);
	if (e == ERR_OK)
		e = conn_do(c, "BEGIN ISOLATION LEVEL REPEATABLE READ", 0, NULL, f);
	if (e == ERR_OK)
		e = is_as_taken(p, c, load, f);
	if (e == ERR_OK)
		e = rows_read(p, c, sql, f);
	if (e == ERR_OK)
		e = older_read(p, c, load->shard, f);
	if (e == ERR_OK)
		e = conn_do(c, "COMMIT", 0, NULL, f);
	return e;
}

/* ---- this node's row ---- */

enum err
node_slot_take(struct pg *p, struct conn *c, struct fault *f)
{
	const struct param v[] = { { PG_TEXT, str_of(p->o.node), false },
		{ PG_TEXT, str_of(p->drive.dir), false } };
	PGresult *r = NULL;
	enum err e = ERR_ARG;

	for (unsigned i = 0; e == ERR_ARG && i < 3; i++) /* others may take the same number */
		e = conn_do(c,
		    "INSERT INTO node (id, slot, generation, dir, state)"
		    " SELECT $1, s.n, 0, $2, 'buried' FROM (" FREE_SLOT ") s WHERE s.n IS NOT NULL"
		    " ON CONFLICT (id) DO NOTHING",
		    2, v, f);
	if (e == ERR_OK)
		e = conn_ask(c, "SELECT slot FROM node WHERE id = $1", 1, v,
		    clock_mono_us() + PG_PATIENCE_US, &r, f);
	if (e == ERR_OK && PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 0)
		e = fault_set(f, F_ServerError,
		    "the hub has %u nodes, and cannot have more: `twinhub cluster remove` forgets "
		    "those that are no more",
		    CLUSTER_NODES_MAX);
	else if (e == ERR_OK && PQntuples(r) != 1)
		conn_fault(c, r, f), e = ERR_IO;
	else if (e == ERR_OK)
		p->slot = (uint16_t)be_get(field(r, 0, 0));
	PQclear(r);
	return e;
}
