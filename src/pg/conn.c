/* A connection to PostgreSQL: questions with an end, what it says on one line. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "pg/priv.h"

#define PARAMS_MAX 20u

static void
on_notice(void *ctx, const PGresult *r)
{
	struct conn *c = ctx;
	const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);

	c->warned |= severity != NULL && strcmp(severity, "WARNING") == 0;
}

/* libpq's words have line ends, and name hosts; passwords only of what it cannot read (pg_url_check). */
static void
one_line(struct fault *f, const char *text)
{
	char line[FAULT_TEXT_MAX];
	size_t n = 0;

	for (; *text != '\0' && n + 1 < sizeof(line); text++)
		line[n++] = *text == '\n' || *text == '\t' ? ' ' : *text;
	while (n > 0 && line[n - 1] == ' ')
		n--;
	line[n] = '\0';
	fault_set(f, F_ServerError, "PostgreSQL: %s", line);
}

void
conn_fault(const struct conn *c, const PGresult *r, struct fault *f)
{
	const char *text = r != NULL ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	one_line(f, text != NULL ? text : c->pg != NULL ? PQerrorMessage(c->pg) : "no connection");
}

void
conn_close(struct conn *c)
{
	PQfinish(c->pg);
	c->pg = NULL;
}

static enum err
settings_make(struct conn *c, const char *purpose, struct fault *f)
{
	static const char sql[] =
	    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED; SET "
	    "client_min_messages = warning; "
	    "SET synchronous_commit = on; SET bytea_output = hex; SET lock_timeout = 5000";
	PGresult *r = PQexec(c->pg, sql);
	enum err e = PQresultStatus(r) == PGRES_COMMAND_OK ? ERR_OK : ERR_IO;

	if (e != ERR_OK)
		conn_fault(c, r, f);
	PQclear(r);
	/* a beat that waits for a row is soon one too late, and who takes can do something about it */
	if (e == ERR_OK && (strcmp(purpose, "beat") == 0 || strcmp(purpose, "work") == 0))
		e = conn_do(c, "SET lock_timeout = 500", 0, NULL, f);
	return e;
}

/* Another text is the name of a database. */
static bool
is_connection_string(struct str url)
{
	return str_starts(url, STR("postgresql://")) || str_starts(url, STR("postgres://")) ||
	    memchr(url.p, '=', url.n) != NULL;
}

enum err
pg_url_check(const char *url, struct fault *f)
{
	PQconninfoOption *options;

	if (!is_connection_string(str_of(url)))
		return ERR_OK;
	if ((options = PQconninfoParse(url, NULL)) == NULL)
		return fault_set(f, F_ArgumentInvalid,
		    "--cluster is not of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE, "
		    "with %%XX for what means something in it; where it is wrong is not shown, as "
		    "that may be the password");
	PQconninfoFree(options);
	return ERR_OK;
}

/* ---- the list of servers ---- */

/* The value of one of its options; NULL: it has none. */
static const char *
option_of(const PQconninfoOption *all, const char *name)
{
	for (; all != NULL && all->keyword != NULL; all++)
		if (strcmp(all->keyword, name) == 0)
			return all->val;
	return NULL;
}

static unsigned
items_of(const char *list)
{
	unsigned n = 1;

	for (; list != NULL && *list != '\0'; list++)
		n += *list == ',';
	return n;
}

void
pg_url_place(const char *url, char *out, size_t room)
{
	PQconninfoOption *all = PQconninfoParse(url, NULL);
	const char *host = option_of(all, "host"), *name = option_of(all, "dbname");

	if (host == NULL)
		host = option_of(all, "hostaddr");
	snprintf(out, room, "'%s'%s%s",
	    name != NULL      ? name
	        : all == NULL ? url
	                      : "",
	    host != NULL ? " of " : "", host != NULL ? host : "");
	PQconninfoFree(all);
}

unsigned
conn_hosts(const struct pg_options *o)
{
	PQconninfoOption *all = PQconninfoParse(o->url, NULL);
	unsigned host = items_of(option_of(all, "host")),
	         addr = items_of(option_of(all, "hostaddr"));

	PQconninfoFree(all);
	return host > addr ? host : addr;
}

/* The list, beginning with item `first`; one that is the same for all stays. NULL where there is none. */
static char *
rotated(const char *list, unsigned n, unsigned first)
{
	struct buf b = { 0 };
	const char *at = list;

	if (list == NULL || n < 2 || items_of(list) != n)
		return list == NULL ? NULL : str_dup0(str_of(list));
	for (unsigned i = 0; i < first; i++)
		at = strchr(at, ',') + 1;
	buf_str(&b, str_of(at));
	if (at != list) {
		buf_putc(&b, ',');
		buf_str(&b, (struct str){ list, (size_t)(at - list - 1) });
	}
	at = str_dup0(buf_view(&b));
	buf_fini(&b);
	return (char *)at;
}

/* The parts of the list that stand in for those of the URL. */
struct servers {
	char *host, *addr, *port;
};

static struct servers
servers_from(const struct pg_options *o, unsigned first)
{
	PQconninfoOption *all = PQconninfoParse(o->url, NULL);
	unsigned n = conn_hosts(o);
	struct servers s = { rotated(option_of(all, "host"), n, first % n),
		rotated(option_of(all, "hostaddr"), n, first % n),
		rotated(option_of(all, "port"), n, first % n) };

	PQconninfoFree(all);
	return s;
}

enum err
conn_open(struct conn *c, const struct pg_options *o, unsigned host, uint64_t generation,
    const char *purpose, struct fault *f)
{
	char name[CONN_NAME_MAX];
	enum err e = pg_url_check(o->url, f);
	struct servers s = e == ERR_OK ? servers_from(o, host) : (struct servers){ 0 };
	/* what is NULL is left to the URL */
	const char *keys[] = { "dbname", "host", "hostaddr", "port", "application_name",
		"target_session_attrs", "connect_timeout", "keepalives_idle", "keepalives_interval",
		"keepalives_count", "tcp_user_timeout", NULL };
	const char *values[] = { o->url, s.host, s.addr, s.port, name, "read-write", "3", "2", "1",
		"3", "3000", NULL };

	if (e != ERR_OK)
		return e;
	conn_name(name, o->node, generation, purpose);
	c->warned = false;
	c->pg = PQconnectdbParams(keys, values, 1);
	free(s.host), free(s.addr), free(s.port);
	if (PQstatus(c->pg) != CONNECTION_OK) {
		conn_fault(c, NULL, f);
		conn_close(c);
		return ERR_IO;
	}
	PQsetNoticeReceiver(c->pg, on_notice, c);
	if (settings_make(c, purpose, f) == ERR_OK)
		return ERR_OK;
	conn_close(c);
	return ERR_IO;
}

/* Until something can be read or written. */
static bool
wait_for(PGconn *pg, short what, int64_t until_us)
{
	struct pollfd fd = { .fd = PQsocket(pg), .events = what };

	for (;;) {
		int64_t left_us = until_us == INT64_MAX ? INT64_MAX : until_us - clock_mono_us();
		int ms = left_us == INT64_MAX ? -1 : left_us > 0 ? (int)(left_us / 1000) + 1 : 0;
		int n = poll(&fd, 1, ms);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static bool
all_is_sent(PGconn *pg, int64_t until_us)
{
	int left;

	while ((left = PQflush(pg)) == 1)
		if (!wait_for(pg, POLLIN | POLLOUT, until_us) || !PQconsumeInput(pg))
			return false;
	return left == 0;
}

/* The last result of the question, NULL if it does not come. */
static PGresult *
result_take(PGconn *pg, int64_t until_us)
{
	PGresult *last = NULL, *r;

	for (;;) {
		while (PQisBusy(pg))
			if (!wait_for(pg, POLLIN, until_us) || !PQconsumeInput(pg)) {
				PQclear(last);
				return NULL;
			}
		if ((r = PQgetResult(pg)) == NULL)
			return last;
		PQclear(last);
		last = r;
	}
}

enum err
conn_ask(struct conn *c, const char *sql, unsigned n, const struct param *v, int64_t until_us,
    PGresult **out, struct fault *f)
{
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX], formats[PARAMS_MAX];
	Oid types[PARAMS_MAX];

	assert(n <= PARAMS_MAX);
	*out = NULL;
	for (unsigned i = 0; i < n; i++) {
		types[i] = v[i].type;
		values[i] = v[i].null ? NULL : v[i].value.p != NULL ? v[i].value.p : "";
		lengths[i] = (int)v[i].value.n;
		formats[i] = 1;
	}
	c->warned = false;
	if (c->pg == NULL) {
		conn_fault(c, NULL, f);
		return ERR_IO;
	}
	PQsetnonblocking(c->pg, 1);
	if (PQsendQueryParams(c->pg, sql, (int)n, types, values, lengths, formats, 1) &&
	    all_is_sent(c->pg, until_us))
		*out = result_take(c->pg, until_us);
	if (*out == NULL || PQstatus(c->pg) != CONNECTION_OK) {
		if (PQstatus(c->pg) == CONNECTION_OK)
			fault_set(f, F_ServerError, "PostgreSQL has not answered in time");
		else
			conn_fault(c, *out, f);
		PQclear(*out);
		*out = NULL;
		conn_close(c);
		return ERR_IO;
	}
	return ERR_OK;
}

enum err
conn_do(struct conn *c, const char *sql, unsigned n, const struct param *v, struct fault *f)
{
	PGresult *r;
	enum err e = conn_ask(c, sql, n, v, clock_mono_us() + PG_PATIENCE_US, &r, f);

	if (e != ERR_OK)
		return e;
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		conn_fault(c, r, f);
		e = ERR_ARG;
	}
	PQclear(r);
	return e;
}

bool
result_is(const PGresult *r, const char *sqlstate)
{
	const char *is = PQresultErrorField(r, PG_DIAG_SQLSTATE);

	return is != NULL && strcmp(is, sqlstate) == 0;
}

struct str
field(const PGresult *r, int row, int column)
{
	return (struct str){ PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column) };
}

int64_t
field_int8(const PGresult *r, int row, int column)
{
	return (int64_t)be_get(field(r, row, column));
}
