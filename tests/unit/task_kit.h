/*
 * For tests of tasks below the worker: who steps them is the test. What they need comes from the kit's store, unless the test refuses
 * it; a slice is over at the test's word.
 */
#ifndef TASK_KIT_H
#define TASK_KIT_H

#include "hub_kit.h"
#include "task/page.h"
#include "task/task.h"

struct stepper {
	struct kit *k;
	struct slice slice;
	struct query_scratch scratch;
	/* the test's */
	unsigned looks;     /* at the slice, after each step, until it is over; 0: it never is */
	bool no_leave;      /* nobody may make columns */
	bool cold;          /* nothing is in memory when a slice begins */
	const char *broken; /* this device's records cannot be read */
	enum err broken_as;
	int64_t kept_us;                     /* what is older is not in the log */
	uint64_t on_disk;                    /* the log's end there; 0: all of it is */
	void (*between)(struct stepper *st); /* after a slice; NULL: nothing */
	/* what has come of it */
	unsigned looked, slices, rows, ranges, leaves, wrote, logs;
	uint32_t at; /* of the range: the row of the store given last */
};

static UNUSED bool
stepper_over(void *ctx)
{
	struct stepper *st = ctx;

	st->slice.steps = SLICE_LOOK_EVERY; /* each step is looked at */
	return st->looks != 0 && ++st->looked >= st->looks;
}

static UNUSED bool
stepper_full(void *ctx)
{
	(void)ctx;
	return false;
}

static UNUSED void
stepper_wrote(void *ctx, struct shard *sh)
{
	struct stepper *st = ctx;

	(void)sh;
	st->wrote++;
	kit_commit(st->k);
}

static UNUSED void stepper_next(void *ctx);

static UNUSED void
stepper_init(struct stepper *st, struct kit *k, size_t column_bytes)
{
	*st = (struct stepper){ .k = k };
	st->slice = (struct slice){ .ctx = st,
		.over = stepper_over,
		.next = stepper_next,
		.full = stepper_full,
		.wrote = stepper_wrote,
		.scratch = &st->scratch,
		.column_bytes = column_bytes,
		.env = &k->env };
}

static UNUSED void
stepper_fini(struct stepper *st)
{
	slice_fini(&st->slice);
	query_scratch_fini(&st->scratch);
}

static UNUSED enum err
stepper_fault(struct stepper *st, enum err e)
{
	fault_set(&st->slice.need.fault, e == ERR_CORRUPT ? F_StoredDamaged : F_ServiceUnavailable,
	    "the test's");
	return e;
}

/* The records of the key that is in k->key. */
static UNUSED enum err
stepper_fill(struct stepper *st, unsigned missing)
{
	struct kit *k = st->k;
	struct str device, module;

	str_cut(str_sub(buf_view(&k->key), 2), '\0', &device, &module);
	if (st->broken != NULL && str_eq(device, str_of(st->broken)))
		return stepper_fault(st, st->broken_as);
	kit_fill(k, device, module, missing);
	return ERR_OK;
}

static UNUSED enum err
stepper_row(struct stepper *st)
{
	struct task_need *need = &st->slice.need;
	unsigned missing;

	st->k->key.n = 0;
	missing = shard_row_missing(st->k->sh, need->row, need->records, &st->k->key);
	assert_int_not_equal(missing, 0); /* nobody asks for what is there */
	st->rows++;
	return stepper_fill(st, missing);
}

/* Has this key of the store all kinds that the range is of? Then they are the answer. */
static UNUSED bool
stepper_gives(struct stepper *st, struct str key)
{
	struct task_need *need = &st->slice.need;

	for (unsigned i = 0; i < RECORD_KINDS; i++) {
		struct kit_row *r;

		if (!(need->records & RECORD_BIT(i)))
			continue;
		r = rows_find(&st->k->store, (enum record_kind)i, key);
		if (r == NULL)
			return false;
		need->values[i] = buf_view(&r->value);
	}
	need->key = key;
	return true;
}

/* The least key of the range above the one given last. */
static UNUSED enum err
stepper_range(struct stepper *st, bool first)
{
	struct task_need *need = &st->slice.need;
	struct str last = first ? STR_NONE : need->key, best = STR_NONE;

	for (uint32_t i = 0; i < st->k->store.n; i++) {
		struct str key = buf_view(&st->k->store.v[i].key);

		if (!(need->records & RECORD_BIT(st->k->store.v[i].kind)) ||
		    str_cmp(key, buf_view(&need->from)) < 0 ||
		    str_cmp(key, buf_view(&need->to)) >= 0 ||
		    (last.n > 0 && str_cmp(key, last) <= 0))
			continue;
		if (best.n == 0 || str_cmp(key, best) < 0)
			best = key;
	}
	st->ranges++;
	if (best.n == 0)
		return ERR_END;
	need->key = best;
	return stepper_gives(st, best) ? ERR_OK : stepper_range(st, false);
}

static UNUSED void
stepper_next(void *ctx)
{
	struct stepper *st = ctx;

	st->slice.need.e = stepper_range(st, false);
}

static UNUSED enum err
stepper_log(struct stepper *st)
{
	struct task_need *need = &st->slice.need;
	char key[EVENT_KEY];
	struct kit_row *r;
	struct event e;

	st->logs++;
	need->record.n = 0;
	need->kept_us = st->kept_us;
	if (st->on_disk != 0 && need->position >= st->on_disk)
		return ERR_MORE;
	event_key(key, shard_index(st->k->sh), need->position);
	r = rows_find(&st->k->store, RECORD_CHANGES, (struct str){ key, EVENT_KEY });
	if (r == NULL || event_decode(buf_view(&r->value), &e) != ERR_OK || e.time_us < st->kept_us)
		return ERR_NOT_FOUND;
	buf_str(&need->record, buf_view(&r->value));
	return ERR_OK;
}

static UNUSED void
stepper_meets(struct stepper *st)
{
	struct task_need *need = &st->slice.need;

	switch (need->kind) {
	case NEED_ROW: need->e = stepper_row(st); break;
	case NEED_KEY:
		st->k->key.n = 0;
		buf_str(&st->k->key, buf_view(&need->from));
		st->rows++;
		need->e = stepper_fill(st, need->records);
		break;
	case NEED_RANGE: need->e = stepper_range(st, true); break;
	case NEED_LEAVE:
		st->leaves++;
		need->e = st->no_leave ? ERR_FULL : ERR_OK;
		break;
	case NEED_LOG: need->e = stepper_log(st); break;
	}
	need->answered = true;
}

/* One slice in the kit's shard. */
static UNUSED enum step
stepper_slice(struct stepper *st, struct task *t)
{
	enum step s;

	if (st->cold)
		shard_evict(st->k->sh, 0);
	st->looked = 0;
	st->slice.steps = SLICE_LOOK_EVERY;
	st->slice.need.answered = false;
	st->slices++;
	while ((s = task_step(t, st->k->sh, &st->slice)) == STEP_NEED) {
		stepper_meets(st);
		if (st->slice.need.kind != NEED_ROW || st->slice.need.e == ERR_OK ||
		    t->kind->tolerant)
			continue;
		t->fault = st->slice.need.fault;
		t->ended = true;
		return STEP_DONE;
	}
	shard_columns_settle(st->k->sh, &st->scratch);
	if (st->between != NULL)
		st->between(st);
	return s;
}

/* All of the kit's shard, and the answer. */
static UNUSED void
stepper_runs(struct stepper *st, struct task *t)
{
	t->bookmark.shard = st->k->sh->index;
	task_begin(t, 1 << 20);
	while (!t->ended && stepper_slice(st, t) == STEP_OVER)
		assert_true(st->slices < 1000000);
	task_finish(t);
}

/* The page's rows, with ' for ". Until the next call. */
static UNUSED const char *
stepper_rows(struct stepper *st, const struct task *t)
{
	struct buf *out = &st->k->text;

	out->n = 0;
	for (const struct rope_piece *p = t->page->rows.pieces.first; p != NULL; p = p->next)
		buf_put(out, p->bytes, p->n);
	buf_str(out, buf_view(&t->page->rows.rest));
	kit_quotes(out, '"', '\'');
	buf_putc(out, '\0');
	return out->p;
}

#endif
