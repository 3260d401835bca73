/* A question of cluster_step's, asked: SQL, and what came of it as its input. */
#include <stdio.h>

#include "pg/priv.h"

#define ASK_US    PG_WORD_US
#define NODE_WORD 24 /* bytes of a node's id in application_name, of which PostgreSQL keeps 63 */

static struct param
text_param(const char *text)
{
	return (struct param){ PG_TEXT, str_of(text), false };
}

/* A number's bytes live in `to`. */
static struct param
int8_param(char to[8], int64_t value)
{
	be_put(to, (uint64_t)value, 8);
	return (struct param){ PG_INT8, { to, 8 }, false };
}

static struct param
int4_param(char to[4], uint32_t value)
{
	be_put(to, value, 4);
	return (struct param){ PG_INT4, { to, 4 }, false };
}

/* What it is called in pg_stat_activity. */
void
conn_name(char out[CONN_NAME_MAX], const char *node, uint64_t generation, const char *purpose)
{
	snprintf(out, CONN_NAME_MAX, "twinhub/%.*s/%llu/%s", NODE_WORD, node,
	    (unsigned long long)generation, purpose);
}

/* ---- answers ---- */

static enum cluster_answer
answer_of(struct conn *c, const PGresult *r, struct fault *f)
{
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		conn_fault(c, r, f);
		return result_is(r, "TH002") ? CLUSTER_DEAD
		    : result_is(r, "55P03")  ? CLUSTER_LOCKED
		                             : CLUSTER_FAILED;
	}
	if (!c->warned)
		return CLUSTER_OK;
	fault_set(f, F_ServerError,
	    "PostgreSQL has committed, and does not know whether its standby has");
	conn_close(c);
	return CLUSTER_LOST;
}

/* The row of a call's results, NULL: there is none, and *answer says why. */
static PGresult *
call(struct conn *c, const char *sql, unsigned n, const struct param *v,
    enum cluster_answer *answer, struct fault *f)
{
	PGresult *r;

	if (conn_ask(c, sql, n, v, clock_mono_us() + ASK_US, &r, f) != ERR_OK) {
		*answer = CLUSTER_LOST;
		return NULL;
	}
	*answer = answer_of(c, r, f);
	if (*answer == CLUSTER_OK && PQntuples(r) == 1)
		return r;
	if (*answer == CLUSTER_OK)
		*answer = CLUSTER_NO;
	PQclear(r);
	return NULL;
}

static bool
field_yes(const PGresult *r, int column)
{
	return PQgetlength(r, 0, column) == 1 && *PQgetvalue(r, 0, column) != 0;
}

/* ---- questions ---- */

static void
ask_look(struct pg *p, struct conn *c, struct cluster_input *in, struct fault *f)
{
	const struct param v[] = { text_param(p->o.node), text_param(p->drive.dir) };
	PGresult *r = call(c, "SELECT generation, beat, state, dir = $2 FROM node WHERE id = $1", 2,
	    v, &in->answer, f);

	if (r == NULL) {
		in->answer = in->answer == CLUSTER_NO ? CLUSTER_OK : in->answer;
		return;
	}
	in->there = true;
	in->generation = field_int8(r, 0, 0);
	in->beat = field_int8(r, 0, 1);
	in->same = field_yes(r, 3);
	if (!node_state_of(field(r, 0, 2), &in->state))
		in->answer = CLUSTER_FAILED;
	PQclear(r);
}

static void
ask_begin(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct fault *f)
{
	char gen[8], beat[8], name[CONN_NAME_MAX];
	const struct drive *me = &p->drive;
	const struct param v[] = { text_param(p->o.node), text_param(me->dir),
		int8_param(gen, d->generation), int8_param(beat, d->beat),
		{ PG_TEXT, me->address != NULL ? str_of(me->address) : STR_NONE,
		    me->address == NULL },
		{ PG_BYTEA, { (const char *)me->print, PG_PRINT }, !me->has_print } };
	struct param called;
	PGresult *r = call(
	    c, "CALL th_begin($1, $2, $3, $4, $5, $6, NULL, NULL, NULL)", 6, v, &in->answer, f);

	if (r == NULL)
		return;
	in->answer = PQgetisnull(r, 0, 0) ? CLUSTER_NO : CLUSTER_OK;
	in->generation = field_int8(r, 0, 0);
	in->beat = field_int8(r, 0, 1);
	in->clock_us = field_int8(r, 0, 2);
	PQclear(r);
	if (in->answer != CLUSTER_OK)
		return;
	conn_name(name, p->o.node, (uint64_t)in->generation, "work");
	called = text_param(name);
	(void)conn_do(c, "SELECT set_config('application_name', $1, false)", 1, &called, f);
}

static void
ask_beat(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct beat_view *view, struct fault *f)
{
	char gen[8], identities[8], common[8], takes = d->takes;
	const struct pg_calls *calls = &p->o.calls;
	const uint64_t n = calls->identities != NULL ? calls->identities(calls->ctx) : 0;
	const struct param v[] = { text_param(p->o.node),
		int8_param(gen, (int64_t)atomic_load(&p->generation)),
		int8_param(identities, (int64_t)n), { PG_BOOL, { &takes, 1 }, false },
		int8_param(common, d->common) };
	PGresult *r = call(c,
	    "CALL th_beat($1, $2, $3, $4, $5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, "
	    "NULL)",
	    5, v, &in->answer, f);

	if (r == NULL)
		return;
	in->beat = field_int8(r, 0, 0);
	in->common = field_int8(r, 0, 1);
	in->synchronous = field_yes(r, 2);
	in->clock_us = field_int8(r, 0, 3);
	in->least = PQgetisnull(r, 0, 6) ? INT64_MAX : field_int8(r, 0, 6);
	in->view = &view->cluster;
	if (!view_read(field(r, 0, 4), field(r, 0, 5), view)) {
		fault_set(f, F_ServerError, "the tables of nodes and shards cannot be read");
		in->answer = CLUSTER_FAILED;
	}
	view_show(view, p->o.node, in->common);
	view->shown.identities = (uint64_t)field_int8(r, 0, 7);
	PQclear(r);
}

static void
ask_done(struct conn *c, const char *sql, unsigned n, const struct param *v,
    struct cluster_input *in, struct fault *f)
{
	PGresult *r = call(c, sql, n, v, &in->answer, f);

	if (r != NULL && !field_yes(r, 0))
		in->answer = CLUSTER_NO;
	PQclear(r);
}

static void
ask_bury(struct conn *c, const struct cluster_do *d, struct cluster_input *in, struct fault *f)
{
	char gen[8], beat[8];
	const struct param v[] = { text_param(d->node), int8_param(gen, d->generation),
		int8_param(beat, d->beat) };

	ask_done(c, "CALL th_bury($1, $2, $3, NULL)", 3, v, in, f);
}

static void
ask_kill(struct conn *c, const struct cluster_do *d, struct cluster_input *in, struct fault *f)
{
	char name[CONN_NAME_MAX];
	struct param called;
	PGresult *r;

	conn_name(
	    name, d->node, (uint64_t)d->generation, d->conn == CLUSTER_COMMIT ? "commit" : "");
	called = text_param(name);
	r = call(c,
	    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
	    " WHERE left(application_name, length($1)) = $1 AND pid <> pg_backend_pid()",
	    1, &called, &in->answer, f);
	PQclear(r);
}

static void
ask_take(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct fault *f)
{
	char gen[8], shard[4], epoch[8];
	const struct param v[] = { text_param(p->o.node),
		int8_param(gen, (int64_t)atomic_load(&p->generation)), int4_param(shard, d->shard),
		int8_param(epoch, d->epoch) };
	PGresult *r =
	    call(c, "CALL th_take_one($1, $2, $3, $4, NULL, NULL, NULL)", 4, v, &in->answer, f);

	if (r == NULL)
		return;
	in->answer = PQgetisnull(r, 0, 0) ? CLUSTER_NO : CLUSTER_OK;
	in->epoch = field_int8(r, 0, 0);
	in->pos = field_int8(r, 0, 1);
	in->at = field_int8(r, 0, 2);
	PQclear(r);
}

static void
ask_give(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct fault *f)
{
	char gen[8], shard[4], epoch[8], other[8];
	const struct param v[] = { text_param(p->o.node),
		int8_param(gen, (int64_t)atomic_load(&p->generation)), int4_param(shard, d->shard),
		int8_param(epoch, d->epoch), text_param(d->node),
		int8_param(other, d->generation) };

	ask_done(c, "CALL th_give($1, $2, $3, $4, $5, $6, NULL)", 6, v, in, f);
}

static void
ask_dial(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct fault *f)
{
	static const char *const purposes[] = { "beat", "work", "commit" };

	conn_close(c);
	in->answer = conn_open(c, &p->o, d->host, atomic_load(&p->generation), purposes[d->conn],
	                 f) == ERR_OK
	    ? CLUSTER_OK
	    : CLUSTER_FAILED;
}

void
pg_asks(struct pg *p, struct conn *c, const struct cluster_do *d, struct cluster_input *in,
    struct beat_view *view, struct fault *f)
{
	*in = (struct cluster_input){ .what = CLUSTER_ANSWER, .conn = d->conn };
	switch (d->question) {
	case CLUSTER_DIAL: ask_dial(p, c, d, in, f); break;
	case CLUSTER_LOOK: ask_look(p, c, in, f); break;
	case CLUSTER_BEGIN: ask_begin(p, c, d, in, f); break;
	case CLUSTER_ASK_BEAT: ask_beat(p, c, d, in, view, f); break;
	case CLUSTER_BURY: ask_bury(c, d, in, f); break;
	case CLUSTER_KILL: ask_kill(c, d, in, f); break;
	case CLUSTER_TAKE: ask_take(p, c, d, in, f); break;
	case CLUSTER_GIVE: ask_give(p, c, d, in, f); break;
	}
	in->wall_us = clock_machine_us();
}
