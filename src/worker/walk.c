/*
 * Walks: one question to the whole fleet, answered worker by worker, shard by shard, in slices between batches.
 *
 * A row's number never changes while its identity lives, so a place in the walk, (shard, row), survives any number of
 * writes between two slices: what exists and matches all the time is delivered exactly once.
 */
#include "worker/priv.h"

#include <stdio.h>
#include <stdlib.h>

const char *const walk_step_names[WALK_STEPS] = {
	[STEP_PARSE] = "parse",
	[STEP_WAIT] = "wait",
	[STEP_BUILD] = "build",
	[STEP_JUDGE] = "judge",
	[STEP_LOAD] = "load",
	[STEP_ASK] = "ask",
	[STEP_OUTPUT] = "output",
	[STEP_FINISH] = "finish",
};

void
walk_lap(struct walk *k, enum walk_step step)
{
	int64_t now;

	if (!k->explain)
		return;
	now = clock_mono_ns();
	k->facts.ns[step] += now - k->lap_ns;
	k->lap_ns = now;
}

struct walk *
walk_new(struct loop *home, enum walk_kind kind, void (*done)(struct walk *w))
{
	struct walk *k = xcalloc(1, sizeof(*k));

	k->home = home;
	k->kind = kind;
	k->done = done;
	k->limit = QUERY_PAGE_DEFAULT;
	k->scanned = SHARDS;
	return k;
}

static void
parts_free(struct walk *k)
{
	for (unsigned i = 0; i < k->npart; i++) {
		query_groups_free(k->parts[i].groups);
		vector_free(k->parts[i].vector);
		column_report_free(k->parts[i].columns);
	}
	free(k->parts);
	k->parts = NULL;
	k->npart = 0;
}

void
walk_free(struct walk *k)
{
	if (k == NULL)
		return;
	walk_ids_free(k->ids);
	parts_free(k);
	query_groups_free(k->groups);
	query_order_free(k->order);
	vector_free(k->vector);
	column_report_free(k->columns);
	dryrun_free(k->dry);
	why_free(k->why);
	walk_trial_free(k->trial);
	query_free(k->query);
	ticket_free(k->ticket);
	rope_fini(&k->page);
	rope_fini(&k->module_page);
	buf_fini(&k->modules);
	buf_fini(&k->json);
	free(k);
}

/* The ids that the condition names; NULL if any device can match. */
const struct query_ids *
walk_point(const struct walk *k)
{
	const struct query_facts *facts = k->kind == WALK_QUERY ? query_facts(k->query) : NULL;

	if (k->kind == WALK_WHY && why_ids(k->why)->given)
		return why_ids(k->why);
	if (facts == NULL || facts->collection != QUERY_DEVICES || !facts->device_ids.given)
		return NULL;
	return &facts->device_ids;
}

/* ---- home ---- */

static void
walk_is_home(struct msg *m)
{
	struct walk *k = container_of(m, struct walk, msg);

	k->done(k);
}

void
walk_home(struct fleet *f, struct walk *k)
{
	walk_lap(k, STEP_FINISH);
	ticket_built(k->ticket);
	k->facts.total_ns = clock_mono_ns() - k->begin_ns;
	k->msg.run = walk_is_home;
	loop_post(k->home, &k->msg);
	atomic_fetch_sub(&f->nwalk, 1);
}

/* Past its limit of time it has failed. */
static void
walk_judge_time(const struct fleet *f, struct walk *k)
{
	if (k->fault.code == F_NONE && clock_mono_us() >= k->deadline_us)
		fault_set(&k->fault, F_QueryTooLong, "the query took longer than %d s, the limit",
		    (int)(f->o.walk_us / 1000000));
}

static void
parts_merge(struct fleet *f, struct walk *k)
{
	for (unsigned i = 0; i < k->npart && k->fault.code == F_NONE; i++) {
		k->fault = k->parts[i].fault;
		walk_judge_time(f, k);
		if (k->fault.code == F_NONE)
			(void)query_groups_merge(k->groups, k->parts[i].groups, &k->fault);
		for (unsigned s = 0; s < SHARDS; s++)
			k->reflects[s] += k->parts[i].reflects[s]; /* each shard is of one part */
	}
}

void
walk_conclude(struct fleet *f, struct walk *k)
{
	walk_lap(k, STEP_WAIT);
	parts_merge(f, k);
	walk_judge_time(f, k);
	if (k->fault.code == F_NONE)
		walk_page_finish(k);
	walk_home(f, k);
}

/* The whole fleet has been seen. */
static void
walk_finish(struct fleet *f, struct walk *k)
{
	if (k->fault.code != F_NONE || !finisher_takes(f, k))
		walk_conclude(f, k);
}

static void
send_walk(struct walk *k, struct worker *w)
{
	k->at = w;
	k->msg.run = walk_arrived;
	mailbox_post(&w->box, &k->msg);
}

/* ---- parts: an aggregate's groups are gathered by all workers at once ---- */

/* Each part has only its share of the memory. Where that was too little, the walk goes the long way, with all of it. */
static bool
walk_alone(struct fleet *f, struct walk *k)
{
	bool full = false;

	for (unsigned i = 0; i < k->npart; i++) {
		if (k->parts[i].fault.code != F_NONE && k->parts[i].fault.code != F_QueryTooLarge)
			return false;
		full |= k->parts[i].fault.code == F_QueryTooLarge;
	}
	if (!full || clock_mono_us() >= k->deadline_us)
		return false;
	parts_free(k);
	if (k->explain) { /* shards are seen anew */
		column_report_free(k->columns);
		k->columns = column_report_new();
	}
	k->place.shard = 0;
	k->place.row = 0;
	send_walk(k, f->of_shard[0]);
	return true;
}

static void
facts_add(struct walk_facts *to, const struct walk_facts *from)
{
	to->judged += from->judged;
	to->asked += from->asked;
	to->shown += from->shown;
	to->columns += from->columns;
	to->held += from->held;
	for (unsigned i = 0; i < WALK_STEPS; i++)
		to->ns[i] += from->ns[i];
}

static void
parts_explain(struct walk *k)
{
	for (unsigned i = 0; i < k->npart; i++) {
		facts_add(&k->facts, &k->parts[i].facts);
		if (k->explain)
			column_report_merge(k->columns, k->parts[i].columns);
	}
	k->lap_ns = k->explain ? clock_mono_ns() : 0; /* their time is counted */
}

/* With the last part that is done they are put together. */
static void
part_done(struct fleet *f, struct walk *part)
{
	struct walk *k = part->whole;

	walk_lap(part, STEP_WAIT);
	if (atomic_fetch_sub(&k->waiting, 1) > 1)
		return;
	parts_explain(k);
	if (walk_alone(f, k))
		return;
	walk_finish(f, k);
}

static void
send_parts(struct fleet *f, struct walk *k)
{
	k->npart = f->o.nworker;
	k->parts = xcalloc(k->npart, sizeof(*k->parts));
	atomic_store(&k->waiting, k->npart);
	for (unsigned i = 0; i < k->npart; i++) {
		struct walk *p = &k->parts[i];

		p->kind = k->kind;
		p->query = k->query;
		p->groups = query_groups_new(k->query, f->o.query_bytes / k->npart);
		p->place.shard = f->workers[i].shard_from;
		p->scanned = SHARDS;
		p->deadline_us = k->deadline_us;
		p->lane = k->lane;
		p->explain = k->explain;
		p->lap_ns = k->begin_ns;
		p->columns = k->explain ? column_report_new() : NULL;
		p->whole = k;
	}
	for (unsigned i = 0, n = k->npart; i < n; i++)
		send_walk(&k->parts[i], &f->workers[i]);
}

void
walk_go_on(struct worker *w, struct walk *k)
{
	struct fleet *f = w->fleet;

	if (k->whole != NULL)
		part_done(f, k);
	else if (k->fault.code != F_NONE || k->more || k->place.shard >= SHARDS)
		walk_finish(f, k);
	else
		send_walk(k, f->of_shard[k->place.shard]);
}

/* Its groups are of the whole fleet, not of a few ids. */
static bool
in_parts(const struct fleet *f, const struct walk *k)
{
	return k->groups != NULL && walk_point(k) == NULL && f->o.nworker > 1;
}

/* It has its seat, or a fault. */
void
walk_start(struct fleet *f, struct walk *k)
{
	const struct query_facts *facts = k->kind == WALK_QUERY ? query_facts(k->query) : NULL;

	if (k->explain || k->kind == WALK_COLUMNS)
		k->columns = column_report_new();
	if (facts != NULL && facts->aggregate)
		k->groups = query_groups_new(k->query, f->o.query_bytes);
	if (facts != NULL && facts->ordered && !k->count)
		k->order = query_order_new(k->query,
		    k->place.delivered < UINT32_MAX ? k->place.delivered + k->limit : UINT32_MAX,
		    f->o.query_bytes);
	if (k->kind == WALK_IDENTITIES)
		k->ids = walk_ids_new(k->limit);
	if (k->fault.code != F_NONE || (facts != NULL && facts->nothing && !facts->aggregate))
		walk_home(f, k);
	else if (in_parts(f, k))
		send_parts(f, k);
	else
		send_walk(k, f->of_shard[k->place.shard < SHARDS ? k->place.shard : SHARDS - 1]);
}

/* The counter is raised before anybody looks at `stop`: workers wait for whoever was not refused. */
void
fleet_walk(struct fleet *f, struct walk *k)
{
	k->begin_ns = k->lap_ns = clock_mono_ns();
	k->deadline_us = k->begin_ns / 1000 + f->o.walk_us;
	k->lane = walk_lane(k);
	if (k->ticket == NULL)
		k->ticket = ticket_own(f);
	atomic_fetch_add(&f->nwalk, 1);
	walk_seat(f, k);
}

/* ---- one row ---- */

/* false: the walk is over, or has failed, or its page is full. */
static bool
row_visit(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	struct str device, module;
	bool modules = k->kind == WALK_QUERY && query_facts(k->query)->collection == QUERY_MODULES;

	if (k->kind == WALK_WHY)
		return why_walk_visit(w, k, sh, row);
	if (!shard_row(sh, row, &device, &module) || (module.n != 0) != modules)
		return true;
	if (k->kind == WALK_IDENTITIES)
		return walk_list_row(w, k, sh, row, device);
	k->facts.asked++;
	if (k->kind == WALK_DRY_RUN)
		return dryrun_visit(w, k, sh, row);
	return scan_row(w, k, sh, row);
}

/* ---- a slice ---- */

/* The next row at or after `row` that can matter: any, or one of the ids. */
static uint32_t
next_row(const struct query_ids *ids, const struct shard *sh, uint32_t row)
{
	uint32_t best = TABLE_NONE;

	if (ids == NULL)
		return row;
	for (uint32_t i = 0; i < ids->n; i++) {
		uint32_t r = shard_find(sh, ids->v[i], STR_NONE);
		if (r != TABLE_NONE && r >= row && r < best)
			best = r;
	}
	return best;
}

/* Row by row through a shard: lists, and queries that name ids. */
static enum progress
visit_shard(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	const struct query_ids *ids = walk_point(k);
	uint32_t steps = 0, cost = ids != NULL ? 1 + ids->n : 1;

	while (k->place.row < shard_rows(sh)) {
		uint32_t row = next_row(ids, sh, (uint32_t)k->place.row);
		if (row >= shard_rows(sh))
			return SHARD_DONE;
		k->place.row = row;
		k->facts.judged++;
		if (!row_visit(w, k, sh, row))
			return WALK_DONE;
		k->place.row = (uint64_t)row + 1;
		if ((steps += cost) >= LOOK_EVERY) {
			if (clock_mono_us() >= end_us)
				return TURN_OVER;
			steps = 0;
		}
	}
	return SHARD_DONE;
}

static enum progress
report_shard(struct worker *w, struct walk *k, struct shard *sh)
{
	column_report_shard(k->columns, shard_columns(sh, w->fleet->o.column_bytes / SHARDS),
	    &w->query_scratch, &k->facts.column_bytes);
	return SHARD_DONE;
}

static enum progress
count_shard(struct walk *k, const struct shard *sh)
{
	const struct shard_counts *c = shard_counts(sh);

	k->counts.devices += c->devices;
	k->counts.disabled += c->disabled;
	k->counts.connected += c->connected;
	k->looped += shard_looped(sh);
	return SHARD_DONE;
}

/* What columns had to do with it in the shard at hand. */
static void
explain_shard(struct walk *k, bool by_columns)
{
	if (by_columns)
		column_report_plan(k->columns, k->vector);
	else
		column_report_paths(k->columns, k->query);
	walk_lap(k, STEP_JUDGE);
}

static bool
by_columns(const struct worker *w, const struct walk *k)
{
	return k->kind == WALK_QUERY && query_facts(k->query)->collection <= QUERY_MODULES &&
	    walk_point(k) == NULL && w->fleet->o.column_bytes > 0;
}

enum progress
walk_shard(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	if (k->kind == WALK_COUNTS)
		return count_shard(k, sh);
	if (k->kind == WALK_COLUMNS)
		return report_shard(w, k, sh);
	if (k->kind == WALK_JOBS ||
	    (k->kind == WALK_QUERY && query_facts(k->query)->collection == QUERY_JOBS))
		return walk_jobs(w, k, sh, end_us);
	if (k->kind == WALK_QUERY && query_facts(k->query)->collection == QUERY_DEVICE_JOBS)
		return walk_results(w, k, sh, end_us);
	return by_columns(w, k) ? scan_shard(w, k, sh, end_us) : visit_shard(w, k, sh, end_us);
}

/* Go on from the walk's place in this worker's shards; true when its part is done. */
bool
walk_slice(struct worker *w, struct walk *k)
{
	int64_t end_us = clock_mono_us() + SLICE_US;

	while (k->place.shard < w->shard_to) {
		struct shard *sh = w->shards[k->place.shard];
		enum progress p;

		if (k->reflects[k->place.shard] == 0)
			k->reflects[k->place.shard] = shard_mark(sh);
		p = walk_shard(w, k, sh, end_us);
		if (k->explain && p != TURN_OVER)
			explain_shard(k, by_columns(w, k));
		if (p != SHARD_DONE)
			return p == WALK_DONE;
		k->place.shard++;
		k->place.row = 0;
		if (clock_mono_us() >= end_us)
			return k->place.shard >= w->shard_to;
	}
	return true;
}

void
walk_limits(struct worker *w, struct walk *k)
{
	if (w->stopping)
		fault_set(&k->fault, F_ServiceUnavailable, "the hub is stopping");
	else
		walk_judge_time(w->fleet, k);
}
