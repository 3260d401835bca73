/*
 * Queries in one shard: a block of rows is judged by columns, and the documents of those that remain are asked. Columns
 * that are worth making are made first, in the turns of the walk that wants them.
 */
#include "worker/priv.h"

/* Have what is needed of a row in memory; false: the walk has failed. */
static bool
row_load(struct worker *w, struct walk *k, struct shard *sh, uint32_t row,
    const struct query_needs *needs)
{
	enum err e = worker_load_row(w, sh, row, hub_records_of(needs), &k->fault);

	walk_lap(k, STEP_LOAD);
	return e == ERR_OK;
}

/* Deliver a row that matches; false when the page is full and this row is the next one's. */
bool
walk_deliver(struct worker *w, struct walk *k, const struct query_row_ops *ops, const void *row)
{
	if (!k->count && walk_page_full(k)) {
		k->more = true;
		return false;
	}
	if (!k->count) {
		walk_row_begins(k);
		query_project(k->query, ops, row, &w->query_scratch, &k->json);
		walk_row_ends(k);
		walk_lap(k, STEP_OUTPUT);
	}
	if (++k->place.delivered < query_facts(k->query)->top)
		return true;
	k->place.shard = SHARDS; /* TOP: no row matters any more */
	return false;
}

#define REGISTRY (RECORD_BIT(RECORD_IDENTITY) | RECORD_BIT(RECORD_REPORTED))

static bool
put_identity(struct worker *w, struct walk *k, struct shard *sh, uint32_t row, struct buf *json)
{
	if (worker_load_row(w, sh, row, REGISTRY, &k->fault) != ERR_OK)
		return false;
	hub_row_write_identity(sh, row, json);
	return true;
}

/* A device that matches, and its modules, as the registry shows them. */
static bool
registry_deliver(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	uint32_t module = TABLE_NONE;

	if (walk_page_full(k)) {
		k->more = true;
		return false;
	}
	walk_row_begins(k);
	if (!put_identity(w, k, sh, row, &k->json))
		return false;
	while ((module = shard_module_row(sh, row, module)) != TABLE_NONE) {
		if (k->module_page.n + k->modules.n > 0)
			buf_putc(&k->modules, ',');
		if (!put_identity(w, k, sh, module, &k->modules))
			return false;
	}
	walk_row_ends(k);
	k->place.delivered++;
	walk_lap(k, STEP_OUTPUT);
	return true;
}

/* Is this row one of those that a count is about? */
static bool
row_drawn(struct walk_draw *d, const struct hub_row *hr)
{
	uint64_t place = rollout_place(d->salt, shard_row_hash(hr->shard, hr->row));

	if (place < d->from || place >= d->to)
		return false;
	if (d->buckets != NULL)
		d->buckets[(place - d->from) >> d->shift]++;
	return true;
}

static bool
row_deliver(struct worker *w, struct walk *k, const struct hub_row *hr)
{
	return (k->draw != NULL && !row_drawn(k->draw, hr)) ||
	    walk_deliver(w, k, &hub_query_ops, hr);
}

/* A row that matches, one of many to be put in order; view: what columns say of it. */
static bool
row_order(struct worker *w, struct walk *k, struct shard *sh, uint32_t row, enum order_view view)
{
	const struct query_facts *facts = query_facts(k->query);
	struct hub_row hr;
	bool wanted = view == ORDER_TAKE;

	if (view == ORDER_ASK) {
		if (!row_load(w, k, sh, row, &facts->match))
			return false;
		hub_row_open(&hr, sh, row);
		wanted = query_order_wants(k->order, &hub_query_ops, &hr, &w->query_scratch);
	}
	walk_lap(k, STEP_OUTPUT);
	if (!wanted)
		return true;
	if (!row_load(w, k, sh, row, &facts->output))
		return false;
	hub_row_open(&hr, sh, row);
	if (query_order_take(k->order, &hub_query_ops, &hr, &w->query_scratch, &k->fault) != ERR_OK)
		return false;
	walk_lap(k, STEP_OUTPUT);
	return true;
}

bool
walk_count(struct worker *w, struct walk *k, const struct query_row_ops *ops, const void *row)
{
	enum err e = query_groups_add(k->groups, ops, row, &w->query_scratch, &k->fault);

	walk_lap(k, STEP_OUTPUT);
	return e == ERR_OK;
}

bool
scan_row(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	const struct query_facts *facts = query_facts(k->query);
	struct hub_row hr;
	bool match;

	if (!row_load(w, k, sh, row, &facts->match))
		return false;
	hub_row_open(&hr, sh, row);
	if (k->vector != NULL)
		vector_learn(k->vector, row, &hub_query_ops, &hr, &w->query_scratch);
	match = query_match(k->query, &hub_query_ops, &hr, &w->query_scratch);
	walk_lap(k, STEP_ASK);
	if (!match)
		return true;
	if (walk_takes_rows(k))
		return walk_take_row(w, k, sh, row);
	if (k->registry)
		return registry_deliver(w, k, sh, row);
	if (k->order != NULL)
		return row_order(w, k, sh, row, ORDER_ASK);
	if (!k->count || facts->aggregate) {
		if (!row_load(w, k, sh, row, &facts->output))
			return false;
		hub_row_open(&hr, sh, row);
	}
	if (facts->aggregate)
		return walk_count(w, k, &hub_query_ops, &hr);
	return row_deliver(w, k, &hr);
}

/* ---- blocks ---- */

/* What is left of a block, from its i-th row on; the walk's place is kept at the first row not yet dealt with. */
static enum progress
visit_groups(struct worker *w, struct walk *k, struct shard *sh, const uint8_t *verdicts,
    uint32_t n, int64_t end_us)
{
	uint32_t from = (uint32_t)k->place.row, i = 0, steps = 0;

	while (i < n) {
		if (vector_add(k->vector, verdicts, i, n, k->groups, &i, &k->fault) != ERR_OK)
			return WALK_DONE;
		walk_lap(k, STEP_JUDGE);
		k->place.row = from + i;
		if (i == n)
			break;
		k->facts.asked++;
		if (!scan_row(w, k, sh, from + i++))
			return WALK_DONE;
		k->place.row = from + i;
		if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
			return TURN_OVER;
	}
	return SHARD_DONE;
}

/* A row whose match is certain, put in order. */
static bool
order_row(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	enum order_view view = vector_order(k->vector, row, k->order);

	k->facts.asked += view == ORDER_ASK;
	return view == ORDER_PASS || row_order(w, k, sh, row, view);
}

/* A row whose match is certain. */
static bool
deliver_row(struct worker *w, struct walk *k, struct shard *sh, uint32_t row)
{
	struct hub_row hr;

	if (walk_takes_rows(k))
		return walk_take_row(w, k, sh, row);
	if (k->registry)
		return registry_deliver(w, k, sh, row);
	if (k->order != NULL)
		return order_row(w, k, sh, row);
	if (!k->count && !row_load(w, k, sh, row, &query_facts(k->query)->output))
		return false;
	hub_row_open(&hr, sh, row);
	return row_deliver(w, k, &hr);
}

static enum progress
visit_rows(struct worker *w, struct walk *k, struct shard *sh, const uint8_t *verdicts, uint32_t n,
    int64_t end_us)
{
	uint32_t from = (uint32_t)k->place.row, steps = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool asks = verdict_asks(verdicts[i]), go_on;
		if (!(verdicts[i] & VERDICT_POSSIBLE))
			continue;
		k->place.row = from + i;
		k->facts.asked += asks;
		go_on = asks ? scan_row(w, k, sh, from + i) : deliver_row(w, k, sh, from + i);
		if (!go_on)
			return WALK_DONE;
		k->place.row = (uint64_t)from + i + 1;
		if (++steps % LOOK_EVERY == 0 && clock_mono_us() >= end_us)
			return TURN_OVER;
	}
	k->place.row = (uint64_t)from + n;
	return SHARD_DONE;
}

static enum progress
scan_block(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	uint32_t from = (uint32_t)k->place.row, n = vector_rows(k->vector) - from;
	uint8_t verdicts[VECTOR_ROWS];
	bool possible;

	if (n > VECTOR_ROWS)
		n = VECTOR_ROWS;
	k->facts.judged += n;
	possible = vector_judge(k->vector, from, n, verdicts);
	walk_lap(k, STEP_JUDGE);
	if (!possible) {
		k->place.row = (uint64_t)from + n;
		return SHARD_DONE;
	}
	return k->groups != NULL ? visit_groups(w, k, sh, verdicts, n, end_us)
	                         : visit_rows(w, k, sh, verdicts, n, end_us);
}

static enum progress
scan_blocks(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	enum progress p = SHARD_DONE;

	while (p == SHARD_DONE && k->place.row < vector_rows(k->vector)) {
		p = scan_block(w, k, sh, end_us);
		if (p == SHARD_DONE && k->place.row < vector_rows(k->vector) &&
		    clock_mono_us() >= end_us)
			return TURN_OVER;
	}
	return p;
}

enum progress
scan_shard(struct worker *w, struct walk *k, struct shard *sh, int64_t end_us)
{
	struct columns *c = shard_columns(sh, w->fleet->o.column_bytes / SHARDS);
	uint64_t shown = k->facts.shown;
	uint32_t wanted, held;
	enum progress p;

	if (k->vector == NULL)
		k->vector = vector_new(k->query);
	vector_open(k->vector, c, k->scanned != k->place.shard, &w->query_scratch);
	k->scanned = k->place.shard;
	if (!walk_may_build(k, vector_builds(k->vector)))
		return TURN_OVER;
	p = build_columns(w, k, sh, end_us);
	walk_lap(k, STEP_BUILD);
	if (p == SHARD_DONE)
		p = scan_blocks(w, k, sh, end_us);
	walk_lap(k, STEP_JUDGE);
	if (p == SHARD_DONE) {
		vector_facts(k->vector, &wanted, &held);
		k->facts.columns += wanted;
		k->facts.held += held;
	}
	if (k->facts.shown != shown || p == SHARD_DONE)
		columns_trim(c); /* the next turn looks again at what there is */
	return p;
}
