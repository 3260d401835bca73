/*
 * Partitions of the log, by time: made before they are needed, dropped as a whole when all that is in them is older than is kept, or when there is
 * more than is kept. How long one is follows how much comes: as long as a 32nd of the age, so that none goes before its age and each soon after it
 * (E-07), and shorter where that would be more than an eighth of the size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "pg/priv.h"

#define TURN_US     INT64_C(2000000)
#define AHEAD_US    INT64_C(8000000) /* for which there are partitions */
#define WIDTH_FIRST INT64_C(2000000)
#define WIDTH_MIN   INT64_C(500000)
#define WIDTH_MAX   (INT64_C(86400) * 1000000)

struct upkept {
	struct conn conn;
	struct pg *p;
	struct fault made[FAMILIES],
	    dropped[FAMILIES]; /* what was said last of what does not work */
};

/* One partition, and the bytes of all. */
struct edge {
	char name[64]; /* empty: there is none but that for the rest */
	int64_t from_us, to_us;
	uint64_t bytes, total;
};

struct family_keep {
	const char *table;
	uint64_t bytes, age_s;
};

static enum err __attribute__((format(printf, 3, 4)))
run(struct upkept *u, struct fault *f, const char *fmt, ...)
{
	char sql[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof(sql), fmt, ap);
	va_end(ap);
	return conn_do(&u->conn, sql, 0, NULL, f);
}

/* The oldest, or the newest. */
static enum err
edge_find(struct upkept *u, const char *table, bool newest, struct edge *e, struct fault *f)
{
	static const char sql[] =
	    "SELECT c.relname::text,"
	    " (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM "
	    "\\(''(\\d+)''\\)'))[1]::bigint,"
	    " (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''(\\d+)''\\)'))[1]::bigint,"
	    " pg_total_relation_size(c.oid),"
	    " (SELECT sum(pg_total_relation_size(i.inhrelid))::bigint FROM pg_inherits i"
	    "   WHERE i.inhparent = $1::text::regclass)"
	    " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = "
	    "$1::text::regclass"
	    " AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' ORDER BY CASE WHEN $2 THEN -1 "
	    "ELSE 1 END *"
	    " (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \\(''(\\d+)''\\)'))[1]::bigint "
	    "LIMIT 1";
	char yes = newest;
	const struct param v[] = { { PG_TEXT, str_of(table), false },
		{ PG_BOOL, { &yes, 1 }, false } };
	PGresult *r;
	enum err err = conn_ask(&u->conn, sql, 2, v, clock_mono_us() + PG_PATIENCE_US, &r, f);

	*e = (struct edge){ 0 };
	if (err != ERR_OK)
		return err;
	if (PQresultStatus(r) != PGRES_TUPLES_OK) {
		conn_fault(&u->conn, r, f);
		err = ERR_ARG;
	} else if (PQntuples(r) > 0) {
		snprintf(e->name, sizeof(e->name), STR_FMT, STR_ARG(field(r, 0, 0)));
		e->from_us = field_int8(r, 0, 1);
		e->to_us = field_int8(r, 0, 2);
		e->bytes = (uint64_t)field_int8(r, 0, 3);
		e->total = (uint64_t)field_int8(r, 0, 4);
	}
	PQclear(r);
	return err;
}

/* How long the one behind it is. */
static int64_t
next_width(const struct family_keep *k, const struct edge *last)
{
	int64_t w = last->to_us - last->from_us,
	        most = k->age_s > 0 ? (int64_t)k->age_s * 1000000 / 32 : WIDTH_MAX;

	if (last->name[0] == '\0')
		w = WIDTH_FIRST;
	else if (last->bytes > k->bytes / 8)
		w /= 2;
	else if (last->bytes < k->bytes / 32)
		w *= 2;
	most = most > WIDTH_MAX ? WIDTH_MAX : most;
	w = w > most ? most : w;
	return w < WIDTH_MIN ? WIDTH_MIN : w;
}

/* Rows for which there is none, as the clock has jumped, are in that for the rest, and stand in the way of one that would be theirs. */
static enum err
partitions_make(struct upkept *u, const struct family_keep *k, int64_t now_us, struct fault *f)
{
	struct edge last;
	enum err e = edge_find(u, k->table, true, &last, f);

	while (e == ERR_OK && last.to_us < now_us + AHEAD_US) {
		int64_t from_us = last.to_us < now_us ? now_us + 100000 : last.to_us,
		        to_us = from_us + next_width(k, &last);

		e = run(u, f,
		    "CREATE TABLE %s_%lld PARTITION OF %s FOR VALUES FROM (%lld) TO (%lld)",
		    k->table, (long long)from_us, k->table, (long long)from_us, (long long)to_us);
		snprintf(last.name, sizeof(last.name), "made");
		last.from_us = from_us, last.to_us = to_us;
	}
	return e;
}

static enum err
partitions_drop(struct upkept *u, const struct family_keep *k, int64_t now_us, struct fault *f)
{
	int64_t before_us = now_us - (int64_t)k->age_s * 1000000;
	struct edge o;
	enum err e;

	while ((e = edge_find(u, k->table, false, &o, f)) == ERR_OK && o.name[0] != '\0' &&
	    o.to_us <= now_us && (o.total > k->bytes || (k->age_s > 0 && o.to_us < before_us)))
		if ((e = run(u, f, "DROP TABLE %s", o.name)) != ERR_OK)
			break;
	if (e == ERR_OK && k->age_s > 0)
		e = run(
		    u, f, "DELETE FROM %s_rest WHERE at < %lld", k->table, (long long)before_us);
	return e;
}

/* Without partitions rows go to those for the rest, which have an age and no size: somebody should know. */
static void
upkeep_tell(const struct upkept *u, struct fault *told, enum err e, const struct fault *f)
{
	const struct store_options *o = &u->p->o.store;

	if (e != ERR_ARG || strcmp(told->text, f->text) == 0)
		return;
	*told = *f;
	if (o->warn != NULL)
		o->warn(o->ctx, f->text);
}

/* One node keeps them: who has shard 0. A statement of a former one that comes late does what the next one does, too. */
static bool
is_mine(struct pg *p)
{
	int64_t epoch, pos;

	return drive_fence(p, 0, &epoch, &pos);
}

/* Has the database lost something? For metrics. */
static void
lost_look(struct upkept *u)
{
	struct fault ignored;
	PGresult *r;

	if (conn_ask(&u->conn, "SELECT lost IS NOT NULL FROM hub", 0, NULL,
	        clock_mono_us() + PG_PATIENCE_US, &r, &ignored) != ERR_OK)
		return;
	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1)
		atomic_store(&u->p->counts.lost, *PQgetvalue(r, 0, 0) != 0);
	PQclear(r);
}

/* What does not work is tried again at the next turn; that the server is away the committer tells. */
static void
upkeep_turn(struct upkept *u, const struct store_retention *keep)
{
	const struct family_keep families[FAMILIES] = { { "log", keep->log_bytes, keep->log_age_s },
		{ "changes", keep->changes_bytes, keep->changes_age_s } };
	int64_t now_us = clock_wall_us();
	struct fault f = { 0 };
	enum err e;

	if (u->conn.pg == NULL &&
	    conn_open(&u->conn, &u->p->o, 0, atomic_load(&u->p->generation), "upkeep", &f) !=
	        ERR_OK)
		return;
	for (unsigned i = 0; i < FAMILIES; i++) {
		e = partitions_make(u, &families[i], now_us, &f);
		upkeep_tell(u, &u->made[i], e, &f);
		if (e != ERR_IO) {
			e = partitions_drop(u, &families[i], now_us, &f);
			upkeep_tell(u, &u->dropped[i], e, &f);
		}
		if (e == ERR_IO)
			return;
	}
	lost_look(u);
}

static void
upkeep_main(void *ctx)
{
	struct pg *p = ctx;
	struct upkept u = { .p = p };
	struct store_retention keep;
	int64_t until_us;

	pthread_mutex_lock(&p->mu);
	while (!p->stop) {
		p->upkeep.due = false;
		keep = p->upkeep.keep;
		pthread_mutex_unlock(&p->mu);
		if (is_mine(p))
			upkeep_turn(&u, &keep);
		else
			atomic_store(&p->counts.lost, -1);
		until_us = clock_mono_us() + TURN_US;
		pthread_mutex_lock(&p->mu);
		while (!p->stop && !p->upkeep.due &&
		    cond_wait_until(&p->upkeep.wake, &p->mu, until_us))
			;
	}
	pthread_mutex_unlock(&p->mu);
	conn_close(&u.conn);
}

void
upkeep_due(struct pg *p)
{
	pthread_mutex_lock(&p->mu);
	p->upkeep.due = true;
	pthread_cond_signal(&p->upkeep.wake);
	pthread_mutex_unlock(&p->mu);
}

void
pg_retain(struct store *face, const struct store_retention *r)
{
	struct pg *p = pg_of(face);

	pthread_mutex_lock(&p->mu);
	p->upkeep.keep = *r;
	pthread_mutex_unlock(&p->mu);
	upkeep_due(p);
	store_retain(p->scratch, r);
}

enum err
upkeep_start(struct pg *p, struct fault *f)
{
	return thread_start(&p->upkeep.thread, upkeep_main, p, f, "upkeep pg");
}

void
upkeep_stop(struct pg *p)
{
	pthread_mutex_lock(&p->mu);
	p->stop = true;
	pthread_cond_signal(&p->upkeep.wake);
	pthread_mutex_unlock(&p->mu);
	thread_join(&p->upkeep.thread);
}
