/*
 * The committer: what all lanes have waiting becomes one call and one transaction, then goes to the scratch, and is reported when it is there,
 * as a record that memory has let go of must not be read as it was before.
 *
 *   made      the call has come back: OK
 *   undone    the server has refused it: nothing of it is there
 *   unknown   no answer, a lost connection, a WARNING: the shards are taken again, and their counts of commits say which of the two it is
 */
#include <stdio.h>
#include <stdlib.h>

#include "metric/metric.h"
#include "pg/priv.h"

struct call {
	struct packer *packer;
	unsigned nlane,
	    left;        /* of lanes that are in it: left are not in the scratch yet; under mu */
	uint64_t shards; /* that it writes, a bit each */
	size_t bytes;
	bool bump; /* it changes what is hub-wide */
	int64_t begin_ns;
	struct array fs, fe, fpos, rs, rt, rk, rv, ls, lp, lb, cs, cp, cb;
};

enum outcome { MADE, UNDONE, UNKNOWN };

/* ---- what is said of the store ---- */

static void
told(struct pg *p, enum store_state state, const struct fault *why)
{
	bool news;

	pthread_mutex_lock(&p->mu);
	news = atomic_load(&p->state) != state;
	p->why = state == STORE_READY ? (struct fault){ 0 } : *why;
	atomic_store(&p->state, state);
	pthread_mutex_unlock(&p->mu);
	if (news && p->o.store.warn != NULL)
		p->o.store.warn(
		    p->o.store.ctx, state == STORE_READY ? "the store works again" : why->text);
}

/* ---- the call ---- */

static void
put_log_row(void *ctx, enum store_table t, struct str key, struct str value)
{
	struct call *c = ctx;
	bool changes = t == STORE_CHANGES;

	assert(key.n == PACK_KEY);
	array_int(changes ? &c->cs : &c->ls, (int64_t)be_get((struct str){ key.p, 2 }));
	array_int(changes ? &c->cp : &c->lp, (int64_t)be_get(str_sub(key, 2)));
	array_bytes(changes ? &c->cb : &c->lb, value);
}

static void
put_record(struct call *c, const struct store_change *change)
{
	c->bump |= change->table == STORE_HUB && common_key(change->key);
	array_int(&c->rs, change->shard);
	array_int(&c->rt, change->table);
	array_bytes(&c->rk, change->key);
	if (change->put)
		array_bytes(&c->rv, change->value);
	else
		array_null(&c->rv);
}

/* A row of the log is never taken back: what was undone is not there. */
static void
put_batch(struct call *c, const struct store_batch *b)
{
	struct store_change change;
	size_t at = 0;

	while (store_batch_next_change(b, &at, &change)) {
		c->shards |= UINT64_C(1) << change.shard;
		if (!pack_table(change.table))
			put_record(c, &change);
		else if (change.put)
			packer_add(c->packer, change.table, change.key, change.value);
	}
	packer_end(c->packer);
	c->bytes += store_batch_bytes(b);
}

static void
put_fence(struct pg *p, struct call *c)
{
	int64_t epoch, pos;

	for (uint32_t s = 0; s < PG_SHARDS; s++) {
		if (!(c->shards >> s & 1))
			continue;
		if (!drive_fence(p, s, &epoch, &pos))
			abort(); /* a batch is of shards that are here */
		array_int(&c->fs, s);
		array_int(&c->fe, epoch);
		array_int(&c->fpos, pos);
	}
}

static void
call_begin(struct call *c)
{
	c->nlane = c->left = 0;
	c->shards = 0;
	c->bytes = 0;
	c->bump = false;
	c->begin_ns = clock_mono_ns();
	array_begin(&c->fs, PG_INT4), array_begin(&c->fe, PG_INT8), array_begin(&c->fpos, PG_INT8);
	array_begin(&c->rs, PG_INT4), array_begin(&c->rt, PG_INT2);
	array_begin(&c->rk, PG_BYTEA), array_begin(&c->rv, PG_BYTEA);
	array_begin(&c->ls, PG_INT4), array_begin(&c->lp, PG_INT8), array_begin(&c->lb, PG_BYTEA);
	array_begin(&c->cs, PG_INT4), array_begin(&c->cp, PG_INT8), array_begin(&c->cb, PG_BYTEA);
}

static struct param
array_param(enum pg_array type, struct array *a)
{
	return (struct param){ type, array_view(a), false };
}

/* Refused: nothing of it is there, whatever the reason. */
static enum outcome
refused(struct pg *p, const PGresult *r, struct fault *f)
{
	conn_fault(&p->commit, r, f);
	return UNDONE;
}

static enum outcome
call_make(struct pg *p, struct call *c, bool *fenced, struct fault *f)
{
	static const char sql[] =
	    "CALL th_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
	    "$17)";
	char generation[8], at[8], bump = c->bump;
	const struct param v[] = { { PG_TEXT, str_of(p->o.node), false },
		{ PG_INT8, { generation, 8 }, false }, array_param(PG_INT4S, &c->fs),
		array_param(PG_INT8S, &c->fe), array_param(PG_INT8S, &c->fpos),
		{ PG_INT8, { at, 8 }, false }, array_param(PG_INT4S, &c->rs),
		array_param(PG_INT2S, &c->rt), array_param(PG_BYTEAS, &c->rk),
		array_param(PG_BYTEAS, &c->rv), array_param(PG_INT4S, &c->ls),
		array_param(PG_INT8S, &c->lp), array_param(PG_BYTEAS, &c->lb),
		array_param(PG_INT4S, &c->cs), array_param(PG_INT8S, &c->cp),
		array_param(PG_BYTEAS, &c->cb), { PG_BOOL, { &bump, 1 }, false } };
	enum outcome outcome;
	PGresult *r;

	be_put(generation, p->generation, 8);
	be_put(at, (uint64_t)clock_wall_us(), 8);
	if (conn_ask(&p->commit, sql, 17, v, clock_mono_us() + PG_WORD_US, &r, f) != ERR_OK)
		return UNKNOWN;
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		*fenced = result_is(r, "TH001");
		outcome = refused(p, r, f);
	} else if (p->commit.warned) {
		fault_set(f, F_ServerError,
		    "PostgreSQL has committed, and does not know whether its standby has");
		outcome = UNKNOWN;
	} else {
		outcome = MADE;
	}
	PQclear(r);
	return outcome;
}

/* ---- lanes ---- */

/* The oldest of a lane, out of its line. */
static struct waiting
lane_take(struct pg_lane *l)
{
	struct waiting w = l->queue[l->head];

	l->head = (l->head + 1) % STORE_LANE_INFLIGHT;
	l->queued--;
	return w;
}

static void
report(struct pg *p, unsigned lane, uint64_t cookie, enum store_result result)
{
	pthread_mutex_lock(&p->mu);
	p->lanes[lane].inflight--;
	p->lanes[lane].poisoned |= result != STORE_OK;
	pthread_mutex_unlock(&p->mu);
	if (p->o.store.done != NULL)
		p->o.store.done(p->o.store.ctx, lane, cookie, result);
}

/* What waits and will not be tried: of poisoned lanes, or of all. */
static void
refuse_waiting(struct pg *p, bool all)
{
	struct waiting w;

	for (unsigned i = 0; i < p->nlane; i++) {
		struct pg_lane *l = &p->lanes[i];

		for (;;) {
			w.batch = NULL;
			pthread_mutex_lock(&p->mu);
			if (l->queued > 0 && (all || l->poisoned))
				w = lane_take(l);
			pthread_mutex_unlock(&p->mu);
			if (w.batch == NULL)
				break;
			store_batch_free(w.batch);
			atomic_fetch_add(&p->commit_failures, 1);
			report(p, i, w.cookie, STORE_UNDONE);
		}
	}
}

/* One of each lane, as long as there is room. */
static void
call_gather(struct pg *p, struct call *c)
{
	call_begin(c);
	pthread_mutex_lock(&p->mu);
	for (unsigned i = 0; i < p->nlane; i++) {
		struct pg_lane *l = &p->lanes[i];

		if (l->queued == 0 || l->poisoned || (c->nlane > 0 && c->bytes > PG_JOIN_MAX))
			continue;
		l->flying = lane_take(l);
		c->nlane++;
		c->bytes += store_batch_bytes(l->flying.batch);
	}
	pthread_mutex_unlock(&p->mu);
	c->left = c->nlane;
	c->bytes = 0;
	for (unsigned i = 0; i < p->nlane; i++)
		if (p->lanes[i].flying.batch != NULL)
			put_batch(c, p->lanes[i].flying.batch);
	put_fence(p, c);
}

/* ---- what comes of it ---- */

static void
call_is_made(struct pg *p, struct call *c)
{
	atomic_fetch_add(&p->commits, c->nlane);
	atomic_fetch_add(&p->commit_bytes, c->bytes);
	metric_seen(METRIC_COMMIT_SECONDS, 0, (uint64_t)(clock_mono_ns() - c->begin_ns));
	metric_seen(METRIC_COMMIT_SIZE, 0, c->bytes);
	for (unsigned i = 0; i < p->nlane; i++) {
		struct waiting w = p->lanes[i].flying;

		p->lanes[i].flying.batch = NULL;
		if (w.batch == NULL)
			continue;
		hub_keys_note(w.batch);
		store_submit(p->scratch, i, w.batch, w.cookie);
	}
	pthread_mutex_lock(&p->mu);
	while (c->left > 0)
		pthread_cond_wait(&p->more, &p->mu);
	pthread_mutex_unlock(&p->mu);
}

static void
call_is_not(struct pg *p, enum store_result result)
{
	for (unsigned i = 0; i < p->nlane; i++) {
		struct waiting w = p->lanes[i].flying;

		p->lanes[i].flying.batch = NULL;
		if (w.batch == NULL)
			continue;
		store_batch_free(w.batch);
		atomic_fetch_add(&p->commit_failures, 1);
		report(p, i, w.cookie, result);
	}
}

static void
filled(struct pg *p, enum store_result result)
{
	pthread_mutex_lock(&p->mu);
	p->filling.done = true;
	p->filling.result = result;
	pthread_cond_signal(&p->filling.heard);
	pthread_mutex_unlock(&p->mu);
}

/* A completion of the scratch, on its thread. */
void
scratch_done(void *ctx, unsigned lane, uint64_t cookie, enum store_result result)
{
	struct pg *p = *(struct pg **)ctx;

	if (lane == p->nlane) {
		filled(p, result);
		return;
	}
	if (result != STORE_OK &&
	    p->o.store.fatal !=
	        NULL) /* it has nothing that the database lacks: the next start fills it anew */
		p->o.store.fatal(p->o.store.ctx, "the scratch cannot be written");
	report(p, lane, cookie, result);
	pthread_mutex_lock(&p->mu);
	p->call->left--;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->mu);
}

/* ---- an unknown outcome, and a server that is away ---- */

static bool
stops(struct pg *p)
{
	bool stop;

	pthread_mutex_lock(&p->mu);
	stop = p->stop;
	pthread_mutex_unlock(&p->mu);
	return stop;
}

static bool
is_full(const struct fault *f)
{
	return strstr(f->text, "No space left") != NULL;
}

/*
 * What refused a commit would refuse the next, too, though the shards, whose rows are there, can be taken: a full disk, a server that may only
 * be read. Tried by a transaction that needs new room, a megabyte, and is not committed, so nothing of it stays.
 */
static enum err
takes_writes(struct pg *p, struct fault *f)
{
	static const char *const sql[] = {
		"BEGIN",
		"CREATE TABLE th_room (v text)",
		"INSERT INTO th_room SELECT repeat('x', 1000) FROM generate_series(1, 1000)",
		"ROLLBACK",
	};
	enum err e = ERR_OK;

	for (size_t i = 0; e == ERR_OK && i < sizeof(sql) / sizeof(*sql); i++)
		e = conn_do(&p->commit, sql[i], 0, NULL, f);
	return e;
}

/* The next look of find_out: nothing of this is under way any more, or a lane has waited for long enough. */
static bool
goes_on(struct pg *p)
{
	refuse_waiting(p, true);
	return !stops(p);
}

/*
 * Until the server takes writes and it is known what became of the call, which cluster_step finds out; a connection that is lost meanwhile is a
 * call of nothing. UNKNOWN: the store is being closed.
 */
static enum outcome
find_out(struct pg *p, const struct call *c, bool fenced, const struct fault *first)
{
	struct cluster_input in = { .what = fenced ? CLUSTER_FENCED : CLUSTER_UNKNOWN,
		.shards = c->shards };
	struct fault f = *first;
	enum outcome outcome = UNKNOWN;
	bool made;

	for (;;) {
		told(p, is_full(&f) ? STORE_IS_FULL : STORE_IS_FAILED, &f);
		drive_step(p, &in);
		while (!drive_resolve(p, PG_RETRY_US, &made, &f)) {
			told(p, is_full(&f) ? STORE_IS_FULL : STORE_IS_FAILED, &f);
			if (!goes_on(p))
				return UNKNOWN;
		}
		if (outcome == UNKNOWN)
			outcome = made ? MADE : UNDONE;
		if (takes_writes(p, &f) == ERR_OK)
			break;
		if (!goes_on(p))
			return UNKNOWN;
		clock_sleep_us(PG_RETRY_US);
		in = (struct cluster_input){ .what = CLUSTER_UNKNOWN };
		conn_close(&p->commit);
	}
	figures_unknown(p, outcome == MADE);
	return outcome;
}

static void
back_to_work(struct pg *p)
{
	told(p, STORE_READY, NULL);
}

static void
call_run(struct pg *p, struct call *c)
{
	struct fault f = { 0 };
	bool fenced = false;
	enum outcome outcome = call_make(p, c, &fenced, &f);

	if (outcome == UNKNOWN) {
		outcome = find_out(p, c, false, &f);
		if (outcome == UNKNOWN) {
			call_is_not(p, STORE_FAILED);
			return;
		}
		if (outcome == MADE)
			call_is_made(p, c);
		else
			call_is_not(p, STORE_UNDONE);
		back_to_work(p);
	} else if (outcome == UNDONE) {
		call_is_not(p, STORE_UNDONE);
		/* fenced: what is there says whether somebody else has it, or history was lost */
		if (find_out(p, c, true, &f) != UNKNOWN)
			back_to_work(p);
	} else {
		drive_step(p, &(struct cluster_input){ .what = CLUSTER_MADE, .shards = c->shards });
		call_is_made(p, c);
	}
}

static bool
something_waits(const struct pg *p)
{
	for (unsigned i = 0; i < p->nlane; i++)
		if (p->lanes[i].queued > 0)
			return true;
	return false;
}

static void
committer_main(void *ctx)
{
	struct pg *p = ctx;
	bool over;

	for (;;) {
		pthread_mutex_lock(&p->mu);
		while (!something_waits(p) && !p->stop)
			pthread_cond_wait(&p->more, &p->mu);
		over = !something_waits(p);
		pthread_mutex_unlock(&p->mu);
		if (over)
			return;
		refuse_waiting(p, false);
		call_gather(p, p->call);
		if (p->call->nlane > 0)
			call_run(p, p->call);
	}
}

/* ---- */

struct store_batch *
pg_batch_next(struct store *face, unsigned lane)
{
	return store_batch_next(pg_of(face)->scratch, lane);
}

void
pg_submit(struct store *face, unsigned lane, struct store_batch *b, uint64_t cookie)
{
	struct pg *p = pg_of(face);
	struct pg_lane *l = &p->lanes[lane];

	assert(lane < p->nlane);
	pthread_mutex_lock(&p->mu);
	assert(l->inflight < STORE_LANE_INFLIGHT && !p->stop);
	l->queue[(l->head + l->queued) % STORE_LANE_INFLIGHT] = (struct waiting){ b, cookie };
	l->queued++;
	l->inflight++;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->mu);
}

void
pg_resume(struct store *face, unsigned lane)
{
	struct pg *p = pg_of(face);

	pthread_mutex_lock(&p->mu);
	assert(lane < p->nlane && p->lanes[lane].inflight == 0);
	p->lanes[lane].poisoned = false;
	pthread_mutex_unlock(&p->mu);
}

enum err
committer_start(struct pg *p, struct fault *f)
{
	p->call = xcalloc(1, sizeof(*p->call));
	p->call->packer = packer_new(put_log_row, p->call);
	return thread_start(&p->committer, committer_main, p, f, "committer pg");
}

void
committer_stop(struct pg *p)
{
	struct call *c = p->call;

	pthread_mutex_lock(&p->mu);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->mu);
	thread_join(&p->committer);
	if (c == NULL)
		return;
	packer_free(c->packer);
	array_fini(&c->fs), array_fini(&c->fe), array_fini(&c->fpos);
	array_fini(&c->rs), array_fini(&c->rt), array_fini(&c->rk), array_fini(&c->rv);
	array_fini(&c->ls), array_fini(&c->lp), array_fini(&c->lb);
	array_fini(&c->cs), array_fini(&c->cp), array_fini(&c->cb);
	free(c);
}
