/*
 * What all nodes of a hub share besides its data: its id, and secrets by name (docs/cluster-design.md, 10 and 11). Each call has a connection of its
 * own: they are rare, and the first comes before there is a store. No value is ever in a text of this file.
 */
#include <string.h>

#include "pg/priv.h"

#define TRIES 2 /* to learn what became of a change */

const char schema_secrets[] =
    "CREATE TABLE IF NOT EXISTS secret (name text PRIMARY KEY, value bytea NOT NULL);"
    /* former NULL: there is none. One that is there already was made by this call, whose answer was lost. A procedure that commits itself: docs/cluster-design.md, 3 */
    "CREATE OR REPLACE PROCEDURE th_secret(which text, former bytea, fresh bytea, INOUT done bool) "
    "LANGUAGE plpgsql AS $$"
    " BEGIN"
    "  IF former IS NULL THEN"
    "   INSERT INTO secret (name, value) VALUES (which, fresh) ON CONFLICT DO NOTHING;"
    "  ELSE"
    "   UPDATE secret SET value = fresh WHERE name = which AND value = former;"
    "  END IF;"
    "  IF FOUND THEN UPDATE hub SET common = common + 1; done := true;"
    "  ELSE done := EXISTS (SELECT 1 FROM secret WHERE name = which AND value = fresh); END IF;"
    "  COMMIT;"
    " END $$;";

enum err
pg_join(const struct pg_options *o, char id[PG_ID_MAX], struct fault *f)
{
	struct conn c = { 0 };
	enum err e = conn_open(&c, o, 0, 0, "start", f);

	if (e == ERR_OK)
		e = schema_ready(&c, o, id, f);
	conn_close(&c);
	return e;
}

enum err
pg_secret_get(const struct pg_options *o, const char *name, struct buf *out, struct fault *f)
{
	const struct param which = { PG_TEXT, str_of(name), false };
	struct conn c = { 0 };
	PGresult *r = NULL;
	enum err e = conn_open(&c, o, 0, 0, "secret", f);

	if (e == ERR_OK)
		e = conn_ask(&c, "SELECT value FROM secret WHERE name = $1", 1, &which,
		    clock_mono_us() + PG_WORD_US, &r, f);
	if (e == ERR_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		conn_fault(&c, r, f), e = ERR_IO;
	else if (e == ERR_OK && PQntuples(r) == 0)
		e = ERR_NOT_FOUND;
	else if (e == ERR_OK && PQgetlength(r, 0, 0) > (int)PG_SECRET_MAX)
		fault_set(f, F_StoredDamaged, "the secret '%s' in the database is too large", name),
		    e = ERR_CORRUPT;
	else if (e == ERR_OK)
		buf_str(out, field(r, 0, 0));
	PQclear(r);
	conn_close(&c);
	return e;
}

/* ERR_UNSYNCED: nobody knows. */
static enum err
set_once(const struct pg_options *o, const struct param v[3], bool *done, struct fault *f)
{
	struct conn c = { 0 };
	PGresult *r = NULL;
	enum err e = conn_open(&c, o, 0, 0, "secret", f);

	if (e != ERR_OK)
		return ERR_IO;
	if (conn_ask(&c, "CALL th_secret($1, $2, $3, NULL)", 3, v, clock_mono_us() + PG_WORD_US, &r,
	        f) != ERR_OK) {
		e = ERR_UNSYNCED;
	} else if (PQresultStatus(r) != PGRES_TUPLES_OK || PQntuples(r) != 1) {
		conn_fault(&c, r, f);
		e = ERR_IO;
	} else if (c.warned) { /* its standby may not have it, and what is here may not stay */
		fault_set(f, F_ServerError, "PostgreSQL does not know whether its standby has it");
		e = ERR_UNSYNCED;
	} else {
		*done = *PQgetvalue(r, 0, 0) != 0;
	}
	PQclear(r);
	conn_close(&c);
	return e;
}

enum err
pg_secret_set(const struct pg_options *o, const char *name, const struct str *former,
    struct str value, struct fault *f)
{
	const struct param v[] = { { PG_TEXT, str_of(name), false },
		{ PG_BYTEA, former != NULL ? *former : STR_NONE, former == NULL },
		{ PG_BYTEA, value, false } };
	bool done = false, unknown = false;
	enum err e = ERR_IO;

	assert(value.n <= PG_SECRET_MAX);
	for (unsigned i = 0; i < TRIES; i++) {
		e = set_once(o, v, &done, f);
		unknown |= e == ERR_UNSYNCED;
		if (e == ERR_OK)
			return done ? ERR_OK : ERR_EXISTS;
		if (!unknown)
			break;
	}
	return unknown ? ERR_UNSYNCED : e;
}
