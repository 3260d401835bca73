/* What who operates a hub tells its database: operate.h. */
#include <stdio.h>

#include "pg/operate.h"
#include "pg/priv.h"

#define DEATH_US  INT64_C(6000000) /* cluster_times.death_us */
#define LOOK_US   INT64_C(250000)
#define RAISED_BY "1000"

/* Each commits itself, so that a client which stops between two messages holds no row (docs/cluster-design.md, 3). */
const char schema_operate[] =
    "CREATE OR REPLACE PROCEDURE th_drain(which text, former text, next text, INOUT done bool) "
    "LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  UPDATE node SET state = next WHERE id = which AND state IN (former, next);"
    "  done := FOUND;"
    "  COMMIT;"
    " END $$;"
    "CREATE OR REPLACE PROCEDURE th_revoke(which text, INOUT done bool) LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  UPDATE node SET state = 'revoked' WHERE id = which AND state <> 'revoked';"
    "  IF FOUND THEN UPDATE hub SET common = common + 1; END IF;"
    "  done := EXISTS (SELECT 1 FROM node WHERE id = which);"
    "  COMMIT;"
    " END $$;"
    /* the lease of one that was revoked is waited for by who takes its shards: until then they are in its name */
    "CREATE OR REPLACE PROCEDURE th_remove(which text, INOUT done bool) LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  DELETE FROM node n WHERE n.id = which AND (n.state = 'buried' OR n.state = 'revoked' AND "
    "NOT "
    "EXISTS"
    "   (SELECT 1 FROM shard s WHERE s.node = n.id AND s.generation = n.generation));"
    "  done := FOUND;"
    "  COMMIT;"
    " END $$;"
    "CREATE OR REPLACE PROCEDURE th_level(best int, INOUT late text, INOUT now_level int) LANGUAGE "
    "plpgsql AS $$"
    " BEGIN"
    "  SELECT min(id) INTO late FROM node WHERE state IN ('live', 'draining') AND "
    "coalesce((info->>'level')::int, 1) < best;"
    "  IF late IS NULL THEN UPDATE hub SET level = best, common = common + 1 WHERE level < best; "
    "END "
    "IF;"
    "  SELECT level INTO now_level FROM hub;"
    "  COMMIT;"
    " END $$;"
    "CREATE OR REPLACE PROCEDURE th_info(me text, gen bigint, program text, best int) LANGUAGE "
    "plpgsql AS $$"
    " BEGIN"
    "  UPDATE node SET info = jsonb_build_object('version', program, 'level', best) WHERE id = me "
    "AND generation = gen;"
    "  COMMIT;"
    " END $$;"
    "CREATE OR REPLACE PROCEDURE th_lost(me text, what text) LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  UPDATE hub SET lost = jsonb_build_object('text', what, 'node', me, 'at', clock_timestamp());"
    "  COMMIT;"
    " END $$;"
    "CREATE OR REPLACE PROCEDURE th_accept_loss(raise_by int) LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  UPDATE shard SET epoch = epoch + raise_by WHERE raise_by > 0;"
    "  UPDATE hub SET lost = NULL;"
    "  COMMIT;"
    " END $$;";

/* ---- asking ---- */

/* The one row of a call; NULL: f and *e say why. */
static PGresult *
call(struct conn *c, const char *sql, unsigned n, const struct param *v, enum err *e,
    struct fault *f)
{
	PGresult *r;

	*e = conn_ask(c, sql, n, v, clock_mono_us() + PG_PATIENCE_US, &r, f);
	if (*e != ERR_OK)
		return NULL;
	if (PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1 && !c->warned)
		return r;
	*e = ERR_IO;
	if (c->warned)
		fault_set(f, F_ServerError,
		    "PostgreSQL has committed, and does not know whether its standby has");
	else
		conn_fault(c, r, f);
	PQclear(r);
	return NULL;
}

static bool
is_yes(const PGresult *r, int column)
{
	return PQgetlength(r, 0, column) == 1 && *PQgetvalue(r, 0, column) != 0;
}

/* A connection to a database that has a hub, with the procedures of this program. */
static enum err
hub_open(struct conn *c, const struct pg_options *o, struct fault *f)
{
	char id[PG_ID_MAX];
	enum err e = conn_open(c, o, 0, 0, "operate", f);

	if (e == ERR_OK && (e = hub_get(c, id, f)) == ERR_OK)
		e = schema_raise(c, NULL, f);
	return e;
}

/* What the node's row says; ERR_NOT_FOUND. */
struct row_seen {
	char state[16];
	int64_t generation, beat, shards;
};

static enum err
row_look(struct conn *c, const char *node, struct row_seen *out, struct fault *f)
{
	const struct param v[] = { { PG_TEXT, str_of(node), false } };
	PGresult *r;
	enum err e = conn_ask(c,
	    "SELECT state, generation, beat, (SELECT count(*) FROM shard s WHERE s.node = n.id AND "
	    "s.generation = n.generation) FROM node n WHERE id = $1",
	    1, v, clock_mono_us() + PG_PATIENCE_US, &r, f);

	if (e != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_TUPLES_OK) {
		conn_fault(c, r, f), e = ERR_IO;
	} else if (PQntuples(r) != 1) {
		fault_set(f, F_ServerError, "the hub has no node '%s'", node);
		e = ERR_NOT_FOUND;
	} else {
		snprintf(out->state, sizeof(out->state), STR_FMT, STR_ARG(field(r, 0, 0)));
		out->generation = field_int8(r, 0, 1);
		out->beat = field_int8(r, 0, 2);
		out->shards = field_int8(r, 0, 3);
	}
	PQclear(r);
	return e;
}

static bool
is_alive(const struct row_seen *row)
{
	return strcmp(row->state, "live") == 0 || strcmp(row->state, "draining") == 0;
}

/* ---- what a node says of itself ---- */

enum err
info_write(struct pg *p, struct conn *c, struct fault *f)
{
	char generation[8], level[4];
	const struct param v[] = { { PG_TEXT, str_of(p->o.node), false },
		{ PG_INT8, { generation, 8 }, false }, { PG_TEXT, STR(TWINHUB_VERSION), false },
		{ PG_INT4, { level, 4 }, false } };

	be_put(generation, atomic_load(&p->generation), 8);
	be_put(level, PG_LEVEL, 4);
	return conn_do(c, "CALL th_info($1, $2, $3, $4)", 4, v, f);
}

void
lost_note(struct pg *p, const char *text)
{
	const struct param v[] = { { PG_TEXT, str_of(p->o.node), false },
		{ PG_TEXT, str_of(text), false } };
	struct conn c = { 0 };
	struct fault ignored;

	if (conn_open(&c, &p->o, 0, atomic_load(&p->generation), "lost", &ignored) == ERR_OK)
		(void)conn_do(&c, "CALL th_lost($1, $2)", 2, v, &ignored);
	conn_close(&c);
}

/* ---- drain ---- */

static enum err
drain(struct conn *c, const char *node, bool back, struct fault *f)
{
	const struct param v[] = { { PG_TEXT, str_of(node), false },
		{ PG_TEXT, back ? STR("draining") : STR("live"), false },
		{ PG_TEXT, back ? STR("live") : STR("draining"), false } };
	struct row_seen row;
	PGresult *r;
	enum err e = row_look(c, node, &row, f);

	if (e != ERR_OK || (r = call(c, "CALL th_drain($1, $2, $3, NULL)", 3, v, &e, f)) == NULL)
		return e;
	if (!is_yes(r, 0))
		e = fault_set(f, F_ServerError, "the node '%s' is %s: it has no shards to give",
		    node, row.state);
	PQclear(r);
	return e;
}

enum err
pg_node_drain(const struct pg_options *o, const char *node, bool back, struct fault *f)
{
	struct conn c = { 0 };
	enum err e = hub_open(&c, o, f);

	if (e == ERR_OK)
		e = drain(&c, node, back, f);
	conn_close(&c);
	return e;
}

/* ---- revoke ---- */

/* Its connections: what it had under way ends, and it finds itself revoked. As far as this role may. */
static void
connections_end(struct conn *c, const char *node, int64_t generation)
{
	char name[CONN_NAME_MAX];
	struct param v[] = { { PG_TEXT, STR_NONE, false } };
	struct fault ignored;

	conn_name(name, node, (uint64_t)generation, "");
	v[0].value = str_of(name);
	(void)conn_do(c,
	    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
	    "starts_with(application_name, $1) AND pid <> pg_backend_pid()",
	    1, v, &ignored);
}

enum err
pg_node_revoke(const struct pg_options *o, const char *node, struct fault *f)
{
	const struct param v[] = { { PG_TEXT, str_of(node), false } };
	struct row_seen row = { 0 };
	struct conn c = { 0 };
	PGresult *r;
	enum err e = hub_open(&c, o, f);

	if (e == ERR_OK)
		e = row_look(&c, node, &row, f);
	if (e == ERR_OK && (r = call(&c, "CALL th_revoke($1, NULL)", 1, v, &e, f)) != NULL)
		PQclear(r);
	if (e == ERR_OK && strcmp(row.state, "buried") != 0) {
		connections_end(&c, node, row.generation);
		clock_sleep_us(DEATH_US); /* a lease that its last beat has given is over */
	}
	conn_close(&c);
	return e;
}

/* ---- remove ---- */

/* Silent for as long as others would wait for it, on one connection: then it is buried. ERR_LOCKED: it lives. */
static enum err
bury(struct conn *c, const char *node, const struct row_seen *first, struct fault *f)
{
	int64_t until_us = clock_mono_us() + DEATH_US;
	char generation[8], beat[8];
	const struct param v[] = { { PG_TEXT, str_of(node), false },
		{ PG_INT8, { generation, 8 }, false }, { PG_INT8, { beat, 8 }, false } };
	struct row_seen row = *first;
	PGresult *r;
	enum err e = ERR_OK;

	while (e == ERR_OK && clock_mono_us() < until_us && row.beat == first->beat &&
	    row.generation == first->generation && is_alive(&row)) {
		clock_sleep_us(LOOK_US);
		e = row_look(c, node, &row, f);
	}
	if (e != ERR_OK || !is_alive(&row))
		return e;
	be_put(generation, (uint64_t)first->generation, 8);
	be_put(beat, (uint64_t)first->beat, 8);
	if ((r = call(c, "CALL th_bury($1, $2, $3, NULL)", 3, v, &e, f)) == NULL)
		return e;
	if (!is_yes(r, 0)) {
		fault_set(
		    f, F_ServerError, "the node '%s' lives: stop it, or revoke it, first", node);
		e = ERR_LOCKED;
	}
	PQclear(r);
	return e;
}

static enum err
node_remove(struct conn *c, const char *node, struct fault *f)
{
	const struct param v[] = { { PG_TEXT, str_of(node), false } };
	struct row_seen row;
	PGresult *r;
	enum err e = row_look(c, node, &row, f);

	if (e == ERR_OK && is_alive(&row))
		e = bury(c, node, &row, f);
	if (e != ERR_OK || (r = call(c, "CALL th_remove($1, NULL)", 1, v, &e, f)) == NULL)
		return e;
	if (!is_yes(r, 0))
		e = fault_set(f, F_ServerError,
		    "the node '%s' has %lld shards that no other has taken yet: try again", node,
		    (long long)row.shards);
	PQclear(r);
	return e;
}

enum err
pg_node_remove(const struct pg_options *o, const char *node, struct fault *f)
{
	struct conn c = { 0 };
	enum err e = hub_open(&c, o, f);

	if (e == ERR_OK)
		e = node_remove(&c, node, f);
	conn_close(&c);
	return e;
}

/* ---- upgrade ---- */

enum err
pg_finish_upgrade(const struct pg_options *o, unsigned *level, struct fault *f)
{
	char best[4];
	const struct param v[] = { { PG_INT4, { best, 4 }, false } };
	struct conn c = { 0 };
	PGresult *r = NULL;
	enum err e = hub_open(&c, o, f);

	be_put(best, PG_LEVEL, 4);
	if (e == ERR_OK)
		r = call(&c, "CALL th_level($1, NULL, NULL)", 1, v, &e, f);
	if (r != NULL && !PQgetisnull(r, 0, 0))
		e = fault_set(f, F_ServerError, "the node '" STR_FMT "' has a former program",
		    STR_ARG(field(r, 0, 0)));
	else if (r != NULL)
		*level = (unsigned)be_get(field(r, 0, 1));
	PQclear(r);
	conn_close(&c);
	return e;
}

/* ---- what is lost ---- */

enum err
pg_accept_loss(const struct pg_options *o, bool *raised, struct fault *f)
{
	struct conn c = { 0 };
	enum err e = hub_open(&c, o, f);

	*raised = false;
	if (e == ERR_OK) {
		e = nobody_beats(&c, f);
		*raised = e == ERR_OK;
		if (e == ERR_LOCKED)
			e = ERR_OK;
	}
	if (e == ERR_OK)
		e = conn_do(&c,
		    *raised ? "CALL th_accept_loss(" RAISED_BY ")" : "CALL th_accept_loss(0)", 0,
		    NULL, f);
	conn_close(&c);
	return e;
}
