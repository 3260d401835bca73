/* Queries of the fleet as it was: see then.h. */
#include "feed/then.h"

#include <stdlib.h>

#include "feed/gone.h"
#include "feed/priv.h"
#include "os/clock.h"

#define END_SLACK 100000u /* positions behind the end that is known: commits on their way */

/* One run, and where it stands. */
struct run {
	struct then *t;
	struct query_task *q;
	struct slice slice;
	struct query_scratch scratch;
	int64_t begin_us, kept_us;
	bool pages;      /* a page may end before its time */
	bool from_birth; /* before all that is kept: each identity must be seen to begin */
	uint32_t shard;
	uint64_t since; /* the shard's first position behind the moment */
	struct gone gone;
	uint64_t walked; /* up to here for `gone` */
	struct past past;
	struct buf record, at; /* at: the key that is next */
	uint32_t looked;
};

static int64_t
moment(const struct run *r)
{
	return query_facts(r->q->query)->as_of_us;
}

/* ---- faults ---- */

static bool
fails(struct run *r)
{
	return r->q->task.fault.code != F_NONE;
}

static void
unread(struct run *r, enum err e)
{
	struct fault *f = &r->q->task.fault;

	if (e == ERR_CORRUPT)
		fault_set(f, F_StoredDamaged, "the event log, or what it belongs to, is damaged");
	else
		fault_set(f, F_ServiceUnavailable, "the store cannot be read at the moment");
}

static void
not_kept(struct run *r)
{
	char text[TIME_TEXT_MAX];
	size_t n = r->kept_us == INT64_MAX ? 0 : time_format(r->kept_us, text);

	if (n == 0)
		fault_set(
		    &r->q->task.fault, F_HistoryNotKept, "nothing of what was before is kept");
	else
		fault_set(&r->q->task.fault, F_HistoryNotKept,
		    "what is kept of changes goes back to %.*s", (int)n, text);
}

static bool
reads_change(struct run *r)
{
	if (++r->t->changes <= THEN_CHANGES_MAX)
		return true;
	fault_set(&r->q->task.fault, F_QueryTooLong,
	    "more than %u changes have been since, the limit of one answer", THEN_CHANGES_MAX);
	return false;
}

/* ---- the shard's log since ---- */

static void
meet_gone(struct run *r, const struct event *e, uint64_t position)
{
	struct buf key = { 0 };

	hub_key(&key, r->shard, e->device, e->module);
	if (gone_add(&r->gone, buf_view(&key), position) != ERR_OK)
		fault_set(&r->q->task.fault, F_QueryTooLarge,
		    "the identities that have gone since take more than %u bytes, the limit of a "
		    "shard",
		    THEN_GONE_MAX);
	buf_fini(&key);
}

/* From where it was left to what is on disk now. */
static void
walk(struct run *r)
{
	char first[EVENT_KEY], last[EVENT_KEY];
	struct store_cursor *c;
	struct str key, record;
	struct event e;
	enum err err;

	event_key(first, r->shard, r->walked);
	event_key(last, r->shard, UINT64_MAX);
	err = store_cursor_open(r->t->store, STORE_CHANGES, (struct str){ first, EVENT_KEY },
	    (struct str){ last, EVENT_KEY }, STORE_SCAN_ONCE, &c);
	if (err != ERR_OK) {
		unread(r, err);
		return;
	}
	while (!fails(r) && (err = store_next(c, &key, &record)) == ERR_OK) {
		uint64_t position;
		uint32_t shard;

		if (!reads_change(r))
			break;
		if (!event_key_decode(key, &shard, &position) || event_decode(record, &e) != ERR_OK)
			err = ERR_CORRUPT;
		else if (e.kind == EVENT_DELETED)
			meet_gone(r, &e, position);
		if (err != ERR_OK)
			break;
		r->walked = position + 1;
	}
	store_cursor_close(c);
	if (!fails(r) && err != ERR_END)
		unread(r, err);
	gone_sort(&r->gone, buf_view(&r->at));
}

/* Does the shard's log begin with the shard itself? The first record of an identity is that of its first one, or there was never one. What is
 * told of the hub may stand before it; of that so many are passed. */
#define WHOLE_PASSED 64u
static bool
is_whole(struct run *r)
{
	uint64_t end = fleet_log_end(r->t->fleet, r->shard);
	char key[EVENT_KEY];
	struct event e;

	for (uint64_t position = 1; position <= WHOLE_PASSED; position++) {
		if (position >= end)
			return true;
		event_key(key, r->shard, position);
		r->record.n = 0;
		if (store_get(r->t->store, STORE_CHANGES, (struct str){ key, EVENT_KEY },
		        &r->record) != ERR_OK ||
		    event_decode(buf_view(&r->record), &e) != ERR_OK)
			return false;
		if (e.device.n != 0)
			return e.kind == EVENT_CREATED;
	}
	return false;
}

/* ---- one identity ---- */

/* The record at a position; false: a fault is set. */
static bool
read_record(struct run *r, uint64_t position, struct event *e)
{
	char key[EVENT_KEY];
	enum err err;

	if (!reads_change(r))
		return false;
	event_key(key, r->shard, position);
	r->record.n = 0;
	err = store_get(r->t->store, STORE_CHANGES, (struct str){ key, EVENT_KEY }, &r->record);
	if (err == ERR_NOT_FOUND) {
		not_kept(r);
		return false;
	}
	if (err == ERR_OK)
		err = event_decode(buf_view(&r->record), e);
	if (err == ERR_OK && !told_sound(e))
		err = ERR_CORRUPT;
	if (err != ERR_OK)
		unread(r, err);
	return err == ERR_OK;
}

/* Back to the moment. False: it was not there then, or a fault is set. */
static bool
take_back(struct run *r)
{
	struct past *p = &r->past;
	struct event e;
	uint64_t at;

	r->t->back += past_next(p) >= r->since;
	while ((at = past_next(p)) >= r->since) {
		if (!read_record(r, at, &e))
			return false;
		if (past_take_back(p, &e, at) != ERR_OK) {
			unread(r, ERR_CORRUPT);
			return false;
		}
	}
	if (p->begun)
		return false;
	if (r->from_birth) {
		not_kept(r);
		return false;
	}
	while (p->version == 0) { /* of records of before EVENT_WAS_COUNTER */
		at = past_next(p);
		if (at == 0)
			not_kept(r);
		if (at == 0 || !read_record(r, at, &e))
			return false;
		past_learn(p, &e);
		past_pass(p, &e, at);
	}
	return true;
}

/* The page ends before this identity, at the latest when it has been looked at. */
static void
page_ends(struct run *r)
{
	r->q->task.page->more = true;
	r->q->task.ended = true;
}

static bool
time_is_up(struct run *r)
{
	int64_t took_us;

	if (r->t->stops(r->t->ctx)) {
		fault_set(&r->q->task.fault, F_ServiceUnavailable, "the hub is stopping");
		return true;
	}
	took_us = clock_mono_us() - r->begin_us;
	if (r->pages && r->looked != 0 &&
	    (took_us >= THEN_PAGE_US || r->t->changes >= THEN_CHANGES_PAGE))
		page_ends(r);
	else if (took_us >= THEN_US)
		fault_set(&r->q->task.fault, F_QueryTooLong,
		    "the query took longer than %d s, the limit", (int)(THEN_US / 1000000));
	return r->q->task.ended || fails(r);
}

static void
judge(struct run *r, struct str device, struct str module)
{
	struct past_row row = { .past = &r->past, .device = device, .module = module };

	r->q->seen.judged++;
	if (take_back(r) && query_task_asks(r->q, &past_query_ops, &row, &r->slice))
		(void)query_task_put(r->q, &past_query_ops, &row, &r->slice);
}

/* Is it among those that the condition names, if it names any? */
static bool
is_named(const struct query_ids *ids, struct str device)
{
	uint32_t low = 0, high = ids->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (str_cmp(ids->v[mid], device) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return !ids->given || (low < ids->n && str_eq(ids->v[low], device));
}

static bool
concerns(const struct run *r, struct str key, struct str *device, struct str *module)
{
	const struct query_facts *facts = query_facts(r->q->query);

	str_cut(str_sub(key, 2), '\0', device, module);
	return (module->n != 0) == (facts->collection == QUERY_MODULES) &&
	    is_named(&facts->device_ids, *device);
}

/* Next is the key behind this one. */
static void
goes_behind(struct run *r, struct str key)
{
	r->at.n = 0;
	buf_str(&r->at, key);
	buf_putc(&r->at, '\0');
}

/* False: the task has ended, and the key is the next page's first. */
static bool
at_key(struct run *r, struct str key)
{
	r->at.n = 0;
	buf_str(&r->at, key);
	return !time_is_up(r);
}

/* Those that have gone since and stand before this key; empty: all. False: the task has ended. */
static bool
judge_gone(struct run *r, struct str before)
{
	const struct gone_one *g;

	while ((g = gone_next(&r->gone)) != NULL) {
		struct str key = gone_key(&r->gone, g), device, module;
		struct event e;

		if (before.n != 0 && str_cmp(key, before) >= 0)
			return true;
		if (!at_key(r, key))
			return false;
		if (concerns(r, key, &device, &module)) {
			if (!read_record(r, g->position, &e))
				return false;
			if (past_begin_deleted(&r->past, &e) != ERR_OK)
				unread(r, ERR_CORRUPT);
			else
				judge(r, device, module);
			r->t->gone++;
			if (r->q->task.ended || fails(r))
				return false;
		}
		r->looked++;
		goes_behind(r, key);
		gone_pass(&r->gone);
	}
	return true;
}

/* ---- rows ---- */

#define TABLES 3u

struct rows {
	struct store_cursor *c[TABLES];
	struct str key[TABLES], value[TABLES];
};

static void
rows_close(struct rows *rows)
{
	for (unsigned i = 0; i < TABLES; i++)
		store_cursor_close(rows->c[i]);
}

static enum err
rows_open(struct run *r, struct rows *rows)
{
	static const enum store_table tables[TABLES] = { STORE_IDENTITY, STORE_WANTED,
		STORE_REPORTED };
	char end[2] = { (char)((r->shard + 1) >> 8), (char)(r->shard + 1) };

	*rows = (struct rows){ .c = { NULL } };
	return store_cursors_open(r->t->store, tables, TABLES, buf_view(&r->at),
	    (struct str){ end, sizeof(end) }, STORE_SCAN_BULK, rows->c);
}

/* The next identity with all of its records; ERR_END. */
static enum err
rows_next(struct rows *rows)
{
	enum err e = store_next(rows->c[0], &rows->key[0], &rows->value[0]);

	for (unsigned i = 1; i < TABLES && e == ERR_OK; i++) {
		e = store_next(rows->c[i], &rows->key[i], &rows->value[i]);
		if (e == ERR_END || (e == ERR_OK && !str_eq(rows->key[i], rows->key[0])))
			e = ERR_CORRUPT;
	}
	return e;
}

/* False: the task has ended. */
static bool
judge_row(struct run *r, const struct rows *rows)
{
	struct str key = rows->key[0], device, module;
	const struct gone_one *g;

	if (!judge_gone(r, key))
		return false;
	g = gone_next(&r->gone);
	if (g != NULL && str_eq(gone_key(&r->gone, g), key))
		return true; /* what was there then has gone since: it comes with the next key */
	if (!at_key(r, key))
		return false;
	if (concerns(r, key, &device, &module)) {
		if (past_begin(&r->past, rows->value[0], rows->value[1], rows->value[2]) != ERR_OK)
			unread(r, ERR_CORRUPT);
		else
			judge(r, device, module);
		if (r->q->task.ended || fails(r))
			return false;
	}
	r->looked++;
	goes_behind(r, key);
	return true;
}

/* A part of the shard; true: there is more of it. */
static bool
piece(struct run *r)
{
	struct rows rows;
	enum err e = rows_open(r, &rows);
	bool goes_on = e == ERR_OK;

	if (e == ERR_OK)
		walk(r); /* after the rows' cursors are open: see then.h */
	for (unsigned i = 0; goes_on && !fails(r) && i < THEN_PIECE && e == ERR_OK; i++)
		if ((e = rows_next(&rows)) == ERR_OK)
			goes_on = judge_row(r, &rows);
	rows_close(&rows);
	if (e == ERR_END && !fails(r) && goes_on)
		(void)judge_gone(r, STR_NONE);
	else if (e != ERR_OK && e != ERR_END)
		unread(r, e);
	return e == ERR_OK && goes_on && !fails(r);
}

/* ---- shards ---- */

/*
 * The first change behind the moment, or where the next one will be. What is named before it and not there any more was dropped, so it is older
 * than all that is kept.
 */
static enum err
find_since(struct run *r)
{
	uint64_t end = fleet_log_end(r->t->fleet, r->shard), position;
	char first[EVENT_KEY], last[EVENT_KEY];
	struct store_cursor *c;
	struct str key, record;
	uint32_t shard;
	enum err e =
	    log_find_time(r->t->store, r->shard, end + END_SLACK, moment(r) + 1, &position);

	if (e != ERR_OK)
		return e;
	event_key(first, r->shard, position);
	event_key(last, r->shard, UINT64_MAX);
	e = store_cursor_open(r->t->store, STORE_CHANGES, (struct str){ first, EVENT_KEY },
	    (struct str){ last, EVENT_KEY }, STORE_SCAN_ONCE, &c);
	if (e != ERR_OK)
		return e;
	e = store_next(c, &key, &record);
	if (e == ERR_OK && !event_key_decode(key, &shard, &position))
		e = ERR_CORRUPT;
	r->since = e == ERR_END ? end : position;
	store_cursor_close(c);
	return e == ERR_END ? ERR_OK : e;
}

static bool
shard_begins(struct run *r)
{
	enum err e = find_since(r);

	gone_clear(&r->gone);
	r->walked = r->since;
	r->q->task.bookmark.shard = r->shard;
	if (e != ERR_OK)
		unread(r, e);
	else if (r->from_birth && !is_whole(r))
		not_kept(r);
	return !fails(r);
}

/* Can any identity of the shard be asked for? */
static bool
shard_named(const struct run *r)
{
	const struct query_facts *facts = query_facts(r->q->query);
	bool named = !facts->device_ids.given;

	for (uint32_t i = 0; !named && i < facts->device_ids.n; i++)
		named = hub_shard_of(facts->device_ids.v[i]) == r->shard;
	return named;
}

static void
shard_key(struct run *r, uint32_t shard)
{
	r->shard = shard;
	r->at.n = 0;
	buf_putc(&r->at, (char)(shard >> 8));
	buf_putc(&r->at, (char)shard);
}

static bool
begin_at(struct run *r)
{
	struct str from = buf_view(&r->t->from);

	shard_key(r, 0);
	if (from.n == 0)
		return true;
	if (from.n < 2)
		return false;
	r->shard = (uint32_t)(unsigned char)from.p[0] << 8 | (unsigned char)from.p[1];
	r->at.n = 0;
	buf_str(&r->at, from);
	return r->shard < SHARDS;
}

static void
all_shards(struct run *r)
{
	while (!fails(r) && !r->q->task.ended) {
		if (shard_named(r) && shard_begins(r))
			while (piece(r) && !r->q->task.ended)
				;
		if (fails(r) || r->q->task.ended)
			return;
		if (r->shard + 1 == SHARDS)
			return;
		shard_key(r, r->shard + 1);
	}
}

void
then_run(struct then *t)
{
	const struct query_facts *facts = query_facts(t->q->query);
	struct run r = { .t = t, .q = t->q, .begin_us = clock_mono_us() };
	enum err e;

	r.slice.scratch = &r.scratch;
	r.pages = !facts->aggregate && !facts->ordered;
	e = changes_kept_since(t->store, &r.kept_us);
	r.from_birth = facts->as_of_us < r.kept_us;
	if (e != ERR_OK)
		unread(&r, e);
	else if (!begin_at(&r))
		fault_set(
		    &t->q->task.fault, F_ArgumentInvalid, "The continuation token is damaged");
	else
		all_shards(&r);
	if (!fails(&r))
		task_finish(&t->q->task);
	t->from.n = 0;
	if (r.pages) /* else each page looks at all anew */
		buf_str(&t->from, buf_view(&r.at));
	gone_fini(&r.gone);
	past_fini(&r.past);
	buf_fini(&r.record);
	buf_fini(&r.at);
	query_scratch_fini(&r.scratch);
	slice_fini(&r.slice);
}
