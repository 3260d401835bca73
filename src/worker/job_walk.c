/*
 * Walks over jobs and over their results. A place in the results is (shard, number of the job, row): neither moves. Jobs
 * are on shard 0; their place is their number.
 */
#include "worker/priv.h"

static bool
among(const struct query_ids *ids, struct str id)
{
	for (uint32_t i = 0; ids->given && i < ids->n; i++)
		if (str_eq(ids->v[i], id))
			return true;
	return !ids->given;
}

/* One row; false: WALK_DONE. */
static bool
take(struct worker *w, struct walk *k, const struct query_row_ops *ops, const void *row)
{
	bool match = query_match(k->query, ops, row, &w->query_scratch);

	k->facts.judged++;
	k->facts.asked++;
	walk_lap(k, STEP_ASK);
	if (!match)
		return true;
	if (k->order != NULL)
		return !query_order_wants(k->order, ops, row, &w->query_scratch) ||
		    query_order_take(k->order, ops, row, &w->query_scratch, &k->fault) == ERR_OK;
	return query_facts(k->query)->aggregate ? walk_count(w, k, ops, row)
	                                        : walk_deliver(w, k, ops, row);
}

/* ---- jobs ---- */

/* The list is no query: a filter, and whole jobs. */
static bool
take_listed(struct walk *k, const struct hub_job *row)
{
	if ((k->job_type != -1 && (int)row->job->type != k->job_type) ||
	    (k->job_status != -1 && (int)row->job->state.status != k->job_status))
		return true;
	if (walk_page_full(k)) {
		k->more = true;
		return false;
	}
	walk_row_begins(k);
	hub_job_ops.write_document(row, &k->json);
	walk_row_ends(k);
	return true;
}

enum progress
walk_jobs(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	struct jobs *set = shard_jobs(sh);
	enum progress p = SHARD_DONE;
	uint32_t i = jobs_from(set, k->place.row), steps = 0;

	for (; i < set->n && p == SHARD_DONE; i++) {
		struct hub_job row;

		k->place.row = set->v[i]->number;
		hub_job_open(&row, sh, set->v[i]);
		if (!(k->kind == WALK_JOBS ? take_listed(k, &row)
		                           : take(w, k, &hub_job_ops, &row))) {
			p = WALK_DONE;
		} else {
			k->place.row++;
			if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
				p = TURN_OVER;
		}
	}
	jobs_unref(set);
	if (p == SHARD_DONE && k->whole == NULL)
		k->place.shard = SHARDS; /* no other shard has any */
	return p == SHARD_DONE && k->whole == NULL ? WALK_DONE : p;
}

/* ---- results ---- */

/* The results of one job in one shard that are stored, from a row on. */
struct stored {
	struct store_cursor *cursor;
	uint32_t row; /* TABLE_NONE: none is left */
	struct str value;
};

static enum err
stored_next(struct stored *st)
{
	struct str key;
	enum err e = st->cursor != NULL ? store_next(st->cursor, &key, &st->value) : ERR_END;

	st->row = TABLE_NONE;
	if (e == ERR_END)
		return ERR_OK;
	if (e == ERR_OK && key.n < 4)
		e = ERR_CORRUPT;
	if (e != ERR_OK)
		return e;
	st->row = 0;
	for (size_t i = key.n - 4; i < key.n; i++)
		st->row = st->row << 8 | (unsigned char)key.p[i];
	return ERR_OK;
}

static enum err
stored_open(struct worker *w, const struct hub_targets *ts, uint32_t row, struct stored *st)
{
	struct buf from = { 0 }, to = { 0 };
	enum err e;

	shard_targets_key(ts, row, &from);
	shard_targets_key(ts, TABLE_NONE, &to);
	e = store_cursor_open(
	    w->fleet->o.store, STORE_HUB, buf_view(&from), buf_view(&to), STORE_SCAN, &st->cursor);
	buf_fini(&from);
	buf_fini(&to);
	return e == ERR_OK ? stored_next(st) : e;
}

static enum progress
walk_fails(struct walk *k, enum err e)
{
	if (e == ERR_CORRUPT)
		fault_set(&k->fault, F_StoredDamaged, "a stored result of a job is damaged");
	else
		fault_set(&k->fault, F_ServiceUnavailable,
		    "the store cannot be read at the moment, try again later");
	return WALK_DONE;
}

/* The results of one job in this shard. */
static enum progress
walk_part(struct worker *w, struct walk *k, const struct hub_targets *ts, struct stored *st,
    int64_t end_us)
{
	const struct query_ids *devices = &query_facts(k->query)->device_ids;
	struct hub_target t;
	uint32_t row, steps = 0;

	while ((row = shard_targets_next(ts, (uint32_t)k->place.row, st->row, st->value, &t)) !=
	    TABLE_NONE) {
		enum err e = ERR_OK;

		if (t.damaged)
			return walk_fails(k, ERR_CORRUPT);
		k->place.row = row;
		if (among(devices, t.device) && !take(w, k, &hub_target_ops, &t))
			return WALK_DONE;
		k->place.row = (uint64_t)row + 1;
		if (st->row == row && (e = stored_next(st)) != ERR_OK)
			return walk_fails(k, e);
		if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
			return TURN_OVER;
	}
	return SHARD_DONE;
}

/* From the walk's place to the end of the job that is there, or is next; *more: there was one. */
static enum progress
walk_next_part(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us, bool *more)
{
	struct hub_targets *ts = shard_targets_open(sh, k->place.generation);
	struct stored st = { .row = TABLE_NONE };
	enum progress p = SHARD_DONE;
	enum err e = ERR_OK;

	*more = ts != NULL;
	if (ts == NULL)
		return SHARD_DONE;
	if (shard_targets_job(ts)->number != k->place.generation)
		k->place.row = 0;
	k->place.generation = shard_targets_job(ts)->number;
	if (among(&query_facts(k->query)->job_ids, shard_targets_job(ts)->id)) {
		e = stored_open(w, ts, (uint32_t)k->place.row, &st);
		p = e == ERR_OK ? walk_part(w, k, ts, &st, end_us) : walk_fails(k, e);
	}
	store_cursor_close(st.cursor);
	shard_targets_close(ts);
	if (p == SHARD_DONE) {
		k->place.generation++;
		k->place.row = 0;
	}
	return p;
}

/* Is a device of this shard asked for? */
static bool
shard_matters(const struct query_ids *devices, uint32_t shard)
{
	for (uint32_t i = 0; devices->given && i < devices->n; i++)
		if (hub_shard_of(devices->v[i]) == shard)
			return true;
	return !devices->given;
}

enum progress
walk_results(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	bool more = shard_matters(&query_facts(k->query)->device_ids, k->place.shard);
	enum progress p = SHARD_DONE;

	while (more && p == SHARD_DONE) {
		p = walk_next_part(w, k, sh, end_us, &more);
		if (p == SHARD_DONE && more && clock_mono_us() >= end_us)
			return TURN_OVER;
	}
	if (p == SHARD_DONE)
		k->place.generation = 0;
	return p;
}
