/* What a hub's database says of it: operate.h. */
#include <stdio.h>
#include <stdlib.h>

#include "pg/operate.h"
#include "pg/priv.h"

#define BEATS_US INT64_C(2500000) /* in which a node that lives has beaten */
#define LOOK_US  INT64_C(250000)

static enum err
ask(struct conn *c, const char *sql, PGresult **out, struct fault *f)
{
	enum err e = conn_ask(c, sql, 0, NULL, clock_mono_us() + PG_PATIENCE_US, out, f);

	if (e == ERR_OK && PQresultStatus(*out) != PGRES_TUPLES_OK) {
		conn_fault(c, *out, f);
		PQclear(*out);
		e = ERR_IO;
	}
	return e;
}

static void
text_take(char *out, size_t room, const PGresult *r, int row, int column)
{
	snprintf(out, room, STR_FMT, STR_ARG(field(r, row, column)));
}

static enum err
hub_status(struct conn *c, struct pg_status *s, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c,
	    "SELECT id, schema, level, common, coalesce(lost::text, ''), current_database()::text,"
	    " 'PostgreSQL ' || current_setting('server_version'), "
	    "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), "
	    "current_setting('synchronous_standby_names'),"
	    " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM hub",
	    &r, f);

	if (e != ERR_OK)
		return e;
	text_take(s->hub, sizeof(s->hub), r, 0, 0);
	s->schema = (unsigned)be_get(field(r, 0, 1));
	s->level = (unsigned)be_get(field(r, 0, 2));
	s->common = field_int8(r, 0, 3);
	text_take(s->lost, sizeof(s->lost), r, 0, 4);
	text_take(s->database, sizeof(s->database), r, 0, 5);
	text_take(s->server, sizeof(s->server), r, 0, 6);
	text_take(s->timeline, sizeof(s->timeline), r, 0, 7);
	text_take(s->standbys, sizeof(s->standbys), r, 0, 8);
	s->now_us = field_int8(r, 0, 9);
	PQclear(r);
	return ERR_OK;
}

static void
node_take(struct pg_status_node *n, const PGresult *r, int i)
{
	text_take(n->name, sizeof(n->name), r, i, 0);
	n->slot = (unsigned)be_get(field(r, i, 1));
	n->generation = field_int8(r, i, 2);
	text_take(n->state, sizeof(n->state), r, i, 3);
	n->takes = *PQgetvalue(r, i, 4) != 0;
	text_take(n->address, sizeof(n->address), r, i, 5);
	text_take(n->version, sizeof(n->version), r, i, 6);
	n->level = (unsigned)be_get(field(r, i, 7));
	n->identities = field_int8(r, i, 8);
	n->common = field_int8(r, i, 9);
}

static enum err
nodes_status(struct conn *c, struct pg_status *s, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c,
	    "SELECT id, slot, generation, state, takes, coalesce(address, ''), "
	    "coalesce(info->>'version', ''), coalesce((info->>'level')::int, 1), identities, common"
	    " FROM node ORDER BY id COLLATE \"C\" LIMIT 64",
	    &r, f);

	if (e != ERR_OK)
		return e;
	s->nnode = (unsigned)PQntuples(r);
	for (unsigned i = 0; i < s->nnode; i++)
		node_take(&s->nodes[i], r, (int)i);
	PQclear(r);
	return ERR_OK;
}

static bool
is_there(const struct pg_status_node *n)
{
	return strcmp(n->state, "live") == 0 || strcmp(n->state, "draining") == 0;
}

static int
owner_of(const struct pg_status *s, struct str name, int64_t generation)
{
	for (unsigned i = 0; i < s->nnode; i++)
		if (str_eq(str_of(s->nodes[i].name), name) &&
		    s->nodes[i].generation == generation && is_there(&s->nodes[i]))
			return (int)i;
	return -1;
}

static enum err
shards_status(struct conn *c, struct pg_status *s, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c,
	    "SELECT shard, epoch, coalesce(node, ''), coalesce(generation, 0) FROM shard WHERE "
	    "shard "
	    "BETWEEN 0 AND 63",
	    &r, f);

	if (e != ERR_OK)
		return e;
	for (int i = 0; i < PQntuples(r); i++) {
		uint64_t n = be_get(field(r, i, 0));
		int owner = owner_of(s, field(r, i, 2), field_int8(r, i, 3));

		s->shards[n].epoch = field_int8(r, i, 1);
		s->shards[n].owner = owner;
		if (owner >= 0)
			s->nodes[owner].shards++;
		else
			s->norphan++;
	}
	PQclear(r);
	return ERR_OK;
}

/* ---- who beats ---- */

struct beats {
	unsigned n;
	struct {
		char name[PG_STATUS_TEXT];
		int64_t at; /* changes with each beat */
	} v[PG_STATUS_MAX];
};

static enum err
beats_look(struct conn *c, struct beats *b, struct fault *f)
{
	PGresult *r;
	enum err e = ask(c, "SELECT id, generation + beat FROM node LIMIT 64", &r, f);

	if (e != ERR_OK)
		return e;
	b->n = (unsigned)PQntuples(r);
	for (unsigned i = 0; i < b->n; i++) {
		text_take(b->v[i].name, sizeof(b->v[i].name), r, (int)i, 0);
		b->v[i].at = field_int8(r, (int)i, 1);
	}
	PQclear(r);
	return ERR_OK;
}

static const int64_t *
beat_of(const struct beats *b, const char *name)
{
	for (unsigned i = 0; i < b->n; i++)
		if (strcmp(b->v[i].name, name) == 0)
			return &b->v[i].at;
	return NULL;
}

/* false: one that should is not known to beat yet. */
static bool
all_beat(struct pg_status *s, const struct beats *first, const struct beats *now)
{
	bool all = true;

	for (unsigned i = 0; i < s->nnode; i++) {
		struct pg_status_node *n = &s->nodes[i];
		const int64_t *was = beat_of(first, n->name), *is = beat_of(now, n->name);

		n->beats |= is_there(n) && was != NULL && is != NULL && *was != *is;
		all &= n->beats || !is_there(n);
	}
	return all;
}

static enum err
beats_status(struct conn *c, struct pg_status *s, struct fault *f)
{
	struct beats *first = xcalloc(2, sizeof(*first)), *now = first + 1;
	int64_t until_us = clock_mono_us() + BEATS_US;
	enum err e = beats_look(c, first, f);

	*now = *first;
	while (e == ERR_OK && !all_beat(s, first, now) && clock_mono_us() < until_us) {
		clock_sleep_us(LOOK_US);
		e = beats_look(c, now, f);
	}
	free(first);
	return e;
}

enum err
pg_status_get(const struct pg_options *o, struct pg_status *out, struct fault *f)
{
	struct conn c = { 0 };
	enum err e = conn_open(&c, o, 0, 0, "operate", f);

	*out = (struct pg_status){ 0 };
	if (e == ERR_OK && (e = hub_get(&c, out->hub, f)) == ERR_OK &&
	    (e = hub_status(&c, out, f)) == ERR_OK && (e = nodes_status(&c, out, f)) == ERR_OK &&
	    (e = shards_status(&c, out, f)) == ERR_OK)
		e = beats_status(&c, out, f);
	conn_close(&c);
	return e;
}

/* ---- advice ---- */

/* Asked as one row of booleans: true, it is not as it should be. */
static const struct {
	const char *wrong, *line;
	bool grave;
} advice[] = {
	{ "current_setting('synchronous_standby_names') = ''",
	    "synchronous_standby_names is empty: what is acknowledged is on one server alone, and "
	    "lost "
	    "with it",
	    true },
	{ "current_setting('fsync') = 'off'",
	    "fsync is off: what is acknowledged is lost when the server's machine crashes", true },
	{ "current_setting('full_page_writes') = 'off'",
	    "full_page_writes is off: a crash of the server's machine may damage the tables",
	    true },
	{ "(SELECT setting::bigint FROM pg_settings WHERE name = 'checkpoint_timeout') < 900",
	    "checkpoint_timeout is under 15 minutes: what is written anew after each checkpoint "
	    "makes "
	    "the write-ahead log longer",
	    false },
	{ "(SELECT setting::bigint FROM pg_settings WHERE name = 'max_wal_size') < 8192",
	    "max_wal_size is under 8 GB: checkpoints come early under load", false },
	{ "current_setting('wal_compression') = 'off'",
	    "wal_compression is off: with lz4 the write-ahead log is shorter", false },
};
#define NADVICE (sizeof(advice) / sizeof(advice[0]))

enum err
pg_advice(const struct pg_options *o, pg_advise *tell, void *ctx, struct fault *f)
{
	struct buf sql = { 0 };
	struct conn c = { 0 };
	PGresult *r = NULL;
	enum err e = conn_open(&c, o, 0, 0, "operate", f);

	buf_cstr(&sql, "SELECT ");
	for (size_t i = 0; i < NADVICE; i++)
		buf_printf(&sql, "%s%s", i > 0 ? ", " : "", advice[i].wrong);
	buf_putc(&sql, '\0');
	if (e == ERR_OK)
		e = ask(&c, sql.p, &r, f);
	for (size_t i = 0; i < NADVICE && e == ERR_OK; i++)
		if (PQgetlength(r, 0, (int)i) == 1 && *PQgetvalue(r, 0, (int)i) != 0)
			tell(ctx, advice[i].line, advice[i].grave);
	if (e == ERR_OK)
		PQclear(r);
	buf_fini(&sql);
	conn_close(&c);
	return e;
}
