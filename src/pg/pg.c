/* Opening, closing, and what of the face is the scratch's. */
#include <stdlib.h>
#include <string.h>

#include "pg/priv.h"

/* ---- reading ---- */

static enum err
pg_get(struct store *face, enum store_table t, struct str key, struct buf *out)
{
	struct pg *p = pg_of(face);

	if (pack_table(t))
		return log_get(p, t, key, out);
	return is_foreign(p, t, key) ? foreign_get(p, t, key, out)
	                             : store_get(p->scratch, t, key, out);
}

/* Tables of the log and others have no moment together, and nobody asks for one. */
static enum err
pg_cursors_open(struct store *face, const enum store_table *tables, unsigned n, struct str from,
    struct str to, enum store_scan how, struct store_cursor **out)
{
	struct pg *p = pg_of(face);

	if (!pack_table(tables[0]) && is_foreign(p, tables[0], from)) {
		foreign_cursors(p, tables, n, from, to, out);
		return ERR_OK;
	}
	if (!pack_table(tables[0]))
		return store_cursors_open(p->scratch, tables, n, from, to, how, out);
	for (unsigned i = 0; i < n; i++) {
		assert(pack_table(tables[i]));
		(void)log_cursor_open(p, tables[i], from, to, &out[i]);
	}
	return ERR_OK;
}

/* ---- state ---- */

/* Without a lease nothing is begun, whatever the committer thinks of the server. */
static enum store_state
with_lease(struct pg *p, enum store_state state)
{
	return state == STORE_READY && drive_lease(&p->drive) == 0 ? STORE_IS_FAILED : state;
}

static enum store_state
pg_state(struct store *face, struct fault *why)
{
	struct pg *p = pg_of(face);
	enum store_state state = atomic_load_explicit(&p->state, memory_order_acquire);

	if (why == NULL)
		return with_lease(p, state);
	pthread_mutex_lock(&p->mu);
	state = p->state;
	*why = p->why;
	pthread_mutex_unlock(&p->mu);
	if (state == STORE_READY && with_lease(p, state) != STORE_READY) {
		state = STORE_IS_FAILED;
		fault_set(why, F_ServerError,
		    "PostgreSQL has taken no beat for as long as a lease lasts");
	}
	return state;
}

/* Memory has never to be compared with what is stored: it is known what became of each commit. */
static uint32_t
pg_reopened(const struct store *face)
{
	(void)face;
	return 0;
}

static uint64_t
pg_space(const struct store *face)
{
	return store_space(pg_of(face)->scratch);
}

static bool
pg_has_space(const struct store *face)
{
	return store_has_space(pg_of(face)->scratch);
}

static void
pg_damage(struct store *face, struct store_damage *out)
{
	store_damage(pg_of(face)->scratch, out);
}

static void
pg_stats(struct store *face, struct store_stats *out)
{
	struct pg *p = pg_of(face);

	store_stats(p->scratch, out);
	out->commits = atomic_load(&p->commits);
	out->commit_bytes = atomic_load(&p->commit_bytes);
	out->commit_failures = atomic_load(&p->commit_failures);
}

static enum err
pg_checkpoint(struct store *face, const char *dir, struct fault *f)
{
	(void)face, (void)dir;
	return fault_set(f, F_GenericNotImplemented,
	    "the hub's data is in PostgreSQL: it is backed up there (pg_basebackup and its log)");
}

/* ---- opening and closing ---- */

static void
pg_free(struct pg *p)
{
	conn_close(&p->commit);
	readers_fini(p);
	pthread_cond_destroy(&p->more);
	pthread_cond_destroy(&p->filling.heard);
	pthread_cond_destroy(&p->upkeep.wake);
	pthread_mutex_destroy(&p->mu);
	free(p);
}

static void
pg_close(struct store *face)
{
	struct pg *p = pg_of(face);

	upkeep_stop(p);
	committer_stop(p);
	drive_stop(p);
	drive_fini(p);
	store_close(p->scratch);
	pg_free(p);
}

static void
pg_epoch(struct store *face, uint32_t shard, struct store_epoch *out)
{
	struct pg *p = pg_of(face);
	int64_t epoch, pos;

	*out = p->taken[shard];
	if (drive_fence(
	        p, shard, &epoch, &pos)) /* an outcome that was unknown may have raised it */
		out->number = (uint64_t)epoch;
}

static const struct store_ops pg_ops = {
	.epoch = pg_epoch,
	.close = pg_close,
	.get = pg_get,
	.cursors_open = pg_cursors_open,
	.next = log_next,
	.cursor_close = log_cursor_close,
	.batch_next = pg_batch_next,
	.submit = pg_submit,
	.resume = pg_resume,
	.retain = pg_retain,
	.state = pg_state,
	.generation = pg_reopened,
	.space = pg_space,
	.has_space = pg_has_space,
	.damage = pg_damage,
	.stats = pg_stats,
	.checkpoint = pg_checkpoint,
};

/* The context of its completions is a pointer to p, which is moved by nobody. */
static enum err
scratch_open(struct pg *p, struct fault *f)
{
	struct store_options so = p->o.store;
	enum err e = os_remove_tree(so.dir, 0, f);

	if (e != ERR_OK)
		return e;
	so.create = true;
	so.scratch = true;
	so.lanes = p->nlane + 1; /* the last one is the loader's */
	so.verify = false;
	so.scrub_bytes_per_s = 0;
	so.ctx = &p->self;
	so.done = scratch_done;
	return store_open(&so, &p->scratch, f);
}

/* The database is this hub's, and nobody has it who would be disturbed. */
static enum err
join(struct pg *p, struct fault *f)
{
	struct conn start = { 0 };
	enum err e = conn_open(&start, &p->o, 0, 0, "start", f);

	if (e == ERR_OK)
		e = schema_ready(&start, &p->o, NULL, f);
	if (e == ERR_OK && !p->o.several)
		e = others_are_dead(p, &start, f);
	if (e == ERR_OK)
		e = node_slot_take(p, &start, f);
	conn_close(&start);
	return e;
}

enum err
pg_open(const struct pg_options *o, struct store **out, struct fault *f)
{
	struct pg *p = xcalloc(1, sizeof(*p));
	enum err e;

	p->face.ops = &pg_ops;
	p->o = *o;
	p->self = p;
	p->nlane = o->store.lanes;
	pthread_mutex_init(&p->mu, NULL);
	cond_init(&p->more);
	cond_init(&p->filling.heard);
	cond_init(&p->upkeep.wake);
	p->upkeep.keep = o->store.retention;
	readers_init(p);
	drive_init(p);
	for (unsigned i = 0; i < FAMILIES; i++)
		for (unsigned s = 0; s < PG_SHARDS; s++)
			atomic_init(&p->older[i][s], -1);
	if ((e = scratch_open(p, f)) == ERR_OK && (e = join(p, f)) != ERR_OK)
		store_close(p->scratch);
	p->o.hub = p->o.dir = p->o.address = p->o.store.dir = NULL; /* the caller's, for the call */
	p->o.print = NULL;
	if (e == ERR_OK) {
		*out = &p->face;
		return ERR_OK;
	}
	drive_fini(p);
	pg_free(p);
	return e;
}

enum err
pg_begin(struct store *face, struct fault *f)
{
	struct pg *p = pg_of(face);
	enum err e = drive_start(p, f);

	if (e == ERR_OK)
		e = info_write(p, &p->commit, f);
	if (e == ERR_OK)
		e = committer_start(p, f);
	return e == ERR_OK ? upkeep_start(p, f) : e;
}

uint64_t
pg_generation(const struct store *face)
{
	return atomic_load(&pg_of(face)->generation);
}

uint16_t
pg_slot(const struct store *face)
{
	return pg_of(face)->slot;
}

void
pg_why(struct store *face, struct fault *f)
{
	drive_why(&pg_of(face)->drive, f);
}

void
pg_detached(struct store *face, unsigned shard)
{
	struct pg *p = pg_of(face);

	atomic_fetch_and(&p->held, ~(UINT64_C(1) << shard));
	drive_step(p, &(struct cluster_input){ .what = CLUSTER_DETACHED, .shard = shard });
}

uint64_t
pg_lease(void *face)
{
	return drive_lease(&pg_of(face)->drive);
}
