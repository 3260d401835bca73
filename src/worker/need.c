/* What a task's step needs (struct task_need), from the store: records of a row into memory, ranges of records one by one. */
#include "metric/metric.h"
#include "worker/priv.h"

#define KEPT_LOOK_US INT64_C(10000000) /* between two looks at how far back changes are kept */

/* ---- ranges ---- */

void
reader_close(struct reader *rd)
{
	while (rd->n > 0)
		store_cursor_close(rd->at[--rd->n].cursor);
}

static void
advance(struct reader_at *at)
{
	at->e = store_next(at->cursor, &at->key, &at->value);
}

/* One cursor for each kind of record, side by side: every identity has one of each, under the same key. */
static enum err
reader_open(struct worker *w, const struct task_need *need)
{
	struct reader *rd = &w->reader;
	enum err e = ERR_OK;

	reader_close(rd);
	for (unsigned k = 0; k <= RECORD_COMMON && e == ERR_OK; k++) {
		struct reader_at *at = &rd->at[rd->n];

		if (!(need->records & RECORD_BIT(k)))
			continue;
		*at = (struct reader_at){ .kind = k };
		e = store_cursor_open(w->fleet->o.store, record_tables[k], buf_view(&need->from),
		    buf_view(&need->to), need->once ? STORE_SCAN_ONCE : STORE_SCAN, &at->cursor);
		if (e != ERR_OK)
			break;
		rd->n++;
		advance(at);
	}
	return e;
}

/* Is the key that the first one stands at there in all? Others follow up to it. */
static bool
all_have(struct reader *rd)
{
	for (unsigned i = 1; i < rd->n; i++) {
		struct reader_at *at = &rd->at[i];

		while (at->e == ERR_OK && str_cmp(at->key, rd->at[0].key) < 0)
			advance(at);
		if (at->e != ERR_OK || !str_eq(at->key, rd->at[0].key))
			return false;
	}
	return true;
}

static void
reader_give(struct reader *rd, struct task_need *need)
{
	while (rd->at[0].e == ERR_OK && !all_have(rd))
		advance(&rd->at[0]);
	need->e = rd->at[0].e;
	need->key = rd->at[0].key;
	for (unsigned i = 0; i < rd->n; i++)
		need->values[rd->at[i].kind] = rd->at[i].value;
}

static void
reader_next(void *ctx)
{
	struct worker *w = ctx;

	advance(&w->reader.at[0]);
	reader_give(&w->reader, &w->slice.need);
}

/* ---- the log ---- */

/* The time of the oldest change that is kept moves seldom, and asking for it takes a look at each shard. */
static enum err
kept_since(struct worker *w, int64_t *kept_us)
{
	int64_t now_us = clock_mono_us();
	enum err e = ERR_OK;

	if (w->kept_look_us == 0 || now_us - w->kept_look_us > KEPT_LOOK_US) {
		e = changes_kept_since(w->fleet->o.store, &w->kept_us);
		w->kept_look_us = e == ERR_OK ? now_us : 0;
	}
	*kept_us = w->kept_us;
	return e;
}

static enum err
read_log(struct worker *w, uint32_t shard, struct task_need *need)
{
	char key[EVENT_KEY];
	enum err e = ERR_NOT_FOUND;

	need->record.n = 0;
	if (need->position >= fleet_log_end(w->fleet, shard))
		return ERR_MORE;
	event_key(key, shard, need->position);
	if (need->position != 0)
		e = store_get(w->fleet->o.store, STORE_CHANGES, (struct str){ key, EVENT_KEY },
		    &need->record);
	if (e == ERR_NOT_FOUND && kept_since(w, &need->kept_us) != ERR_OK)
		e = ERR_IO;
	return e;
}

/* ---- a slice ---- */

static bool
round_is_full(void *ctx)
{
	const struct worker *w = ctx;

	return !round_has_room(w, w->writes_as);
}

static void
row_is_written(void *ctx, struct shard *sh)
{
	struct worker *w = ctx;

	watches_hear(w, sh);
	if (w->writes_as == ROUND_SWEEP)
		metric_add(METRIC_SWEEP_TWINS, 0, 1);
	if (w->writes_as == ROUND_PARCELS) /* others have no answer that could leave before */
		gate_settle(&w->gate);
	worker_identities_changed(w, (int64_t)shard_identities(sh) - w->identities_were);
	w->identities_were = shard_identities(sh);
	worker_identities_left(w);
}

static bool
time_is_up(void *ctx)
{
	return clock_mono_us() >= ((struct worker *)ctx)->slice_end_us;
}

void
worker_slice(struct worker *w)
{
	w->slice_end_us = clock_mono_us() + SLICE_US;
	w->slice.steps = 0;
	w->writes_as = ROUND_WORKS;
	worker_identities_left(w);
}

/* Of a task that writes. */
void
worker_slice_writes(struct worker *w, enum round_writer as)
{
	worker_slice(w);
	w->writes_as = as;
	w->env.undo = gate_undo(&w->gate);
}

void
slice_init(struct worker *w)
{
	w->slice = (struct slice){ .ctx = w,
		.over = time_is_up,
		.next = reader_next,
		.full = round_is_full,
		.wrote = row_is_written,
		.scratch = &w->query_scratch,
		.column_bytes = w->fleet->o.column_bytes / SHARDS,
		.env = &w->env };
}

static void
need_met(struct worker *w, struct shard *sh)
{
	struct task_need *need = &w->slice.need;
	struct reader *rd = &w->reader;

	need->fault.code = F_NONE;
	switch (need->kind) {
	case NEED_ROW:
		need->e = worker_load_row(w, sh, need->row, need->records, &need->fault);
		break;
	case NEED_KEY:
		need->e = worker_load(w, sh, buf_view(&need->from), need->records, &need->fault);
		break;
	case NEED_RANGE:
		need->e = reader_open(w, need);
		if (need->e == ERR_OK)
			reader_give(rd, need);
		break;
	case NEED_LEAVE:
		need->e = w->touring == NULL || tour_may_build(w->touring, need->columns)
		    ? ERR_OK
		    : ERR_FULL;
		break;
	case NEED_LOG: need->e = read_log(w, shard_index(sh), need); break;
	}
}

/* Which needs a task hears of when they cannot be met; else it has failed. */
static bool
is_told(const struct task *t, enum need_kind kind)
{
	return t->kind->tolerant || (kind != NEED_ROW && kind != NEED_KEY);
}

enum step
worker_step(struct worker *w, struct task *t, struct shard *sh)
{
	struct task_need *need = &w->slice.need;
	enum step s;

	need->answered = false;
	w->identities_were = shard_identities(sh);
	while ((s = task_step(t, sh, &w->slice)) == STEP_NEED) {
		need_met(w, sh);
		need->answered = true;
		if (need->kind == NEED_ROW)
			slice_lap(&w->slice, LAP_LOAD);
		if (need->e == ERR_OK || is_told(t, need->kind))
			continue;
		t->fault = need->fault;
		t->ended = true;
		s = STEP_DONE;
		break;
	}
	reader_close(&w->reader);
	return s;
}
