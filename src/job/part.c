/*
 * A shard's part of a job: which rows are its targets, and how far it is with them (parts.h).
 *
 *   CHOOSES --part_targets--> ORDERS --part_order--> WORKS --the last one has ended--> ENDS
 *                                    ^                           |
 *                                    +------- a new start -------+
 */
#include "job/parts.h"

#include <stdlib.h>

#define FORMAT 1

struct str
part_key(const char *prefix, uint32_t shard, uint64_t number, char room[HUB_PREFIX_MAX])
{
	size_t n = strlen(prefix);

	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): a key, with a length */
	memcpy(room, prefix, n);
	room[n++] = (char)(shard >> 8);
	room[n++] = (char)shard;
	for (int i = 0; i < 8; i++)
		room[n++] = (char)(number >> (56 - 8 * i));
	return (struct str){ room, n };
}

struct str
part_cursor_of(const struct row *r)
{
	return str_sub(row_key(r), 2);
}

/* ---- the record ----
 *
 *   format | ended | stop | generation | began | moved | devices | succeeded | failed | bytes | cursor, with its length
 *   | calls under way: how many, then (row, since)*
 */

static void
part_encode(struct buf *out, const struct part_state *s)
{
	buf_putc(out, FORMAT);
	buf_putc(out, (char)s->ended);
	buf_putc(out, (char)s->stop);
	buf_varint(out, s->generation);
	buf_varint(out, (uint64_t)s->began_us);
	buf_varint(out, (uint64_t)s->moved_us);
	buf_varint(out, s->devices);
	buf_varint(out, s->succeeded);
	buf_varint(out, s->failed);
	buf_varint(out, s->bytes);
	buf_lstr(out, (struct str){ s->cursor, s->cursor_n });
	buf_varint(out, s->nflight);
	for (uint32_t i = 0; i < s->nflight; i++) {
		buf_varint(out, s->flight[i].row);
		buf_varint(out, (uint64_t)s->flight[i].since_us);
	}
}

void
part_set_cursor(struct part_state *s, struct str cursor)
{
	s->cursor_n = (uint16_t)cursor.n;
	if (cursor.n != 0)
		memcpy(s->cursor, cursor.p, cursor.n);
}

bool
part_decode(struct str record, struct part_state *s)
{
	struct rd rd = rd_of(record);
	uint64_t nflight;
	struct str cursor;

	if (rd_u8(&rd) != FORMAT)
		return false;
	s->ended = rd_u8(&rd) != 0;
	s->stop = (enum job_stop)rd_u8(&rd);
	s->generation = rd_varint(&rd);
	s->began_us = (int64_t)rd_varint(&rd);
	s->moved_us = (int64_t)rd_varint(&rd);
	s->devices = rd_varint(&rd);
	s->succeeded = rd_varint(&rd);
	s->failed = rd_varint(&rd);
	s->bytes = rd_varint(&rd);
	cursor = rd_lstr(&rd);
	nflight = rd_varint(&rd);
	if (rd.bad || s->stop >= JOB_STOPS || cursor.n > sizeof(s->cursor) ||
	    nflight > JOB_FLIGHTS_MAX)
		return false;
	part_set_cursor(s, cursor);
	s->nflight = (uint32_t)nflight;
	for (uint32_t i = 0; i < s->nflight; i++) {
		s->flight[i].row = (uint32_t)rd_varint(&rd);
		s->flight[i].since_us = (int64_t)rd_varint(&rd);
	}
	return !rd.bad && rd.p == rd.end;
}

/* ---- parts in memory ---- */

uint32_t
part_from(const struct shard_jobs *js, uint64_t number)
{
	uint32_t lo = 0, hi = js->npart;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (js->part[mid]->number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct job_part *
part_find(const struct shard *sh, uint64_t number)
{
	const struct shard_jobs *js = jobs_of(sh);
	uint32_t i = part_from(js, number);

	return i < js->npart && js->part[i]->number == number ? js->part[i] : NULL;
}

struct job_part *
part_make(struct shard *sh, uint64_t number)
{
	struct shard_jobs *js = jobs_of(sh);
	uint32_t i = part_from(js, number);
	struct job_part *p;

	if (i < js->npart && js->part[i]->number == number)
		return js->part[i];
	if (js->npart == js->cappart) {
		js->cappart = js->cappart ? js->cappart * 2 : 8;
		js->part = xrealloc(js->part, js->cappart * sizeof(*js->part));
	}
	p = xcalloc(1, sizeof(*p));
	p->number = number;
	memmove(js->part + i + 1, js->part + i, (js->npart - i) * sizeof(*js->part));
	js->part[i] = p;
	js->npart++;
	return p;
}

/* ---- results that are perhaps not on disk yet ---- */

void
part_fresh_add(struct job_part *p, uint32_t row, struct str value)
{
	struct part_work *w = p->work;

	if (w == NULL)
		return;
	if (w->nfresh == w->capfresh) {
		w->capfresh = w->capfresh ? w->capfresh * 2 : 16;
		w->fresh = xrealloc(w->fresh, w->capfresh * sizeof(*w->fresh));
	}
	w->fresh[w->nfresh++] = (struct fresh_result){ row, ++w->nresult, blob_new(value) };
}

uint32_t
part_fresh(const struct job_part *p, uint32_t row, struct str *value)
{
	uint32_t best = TABLE_NONE;

	for (uint32_t i = 0; p->work != NULL && i < p->work->nfresh; i++) {
		const struct fresh_result *f = &p->work->fresh[i];

		if (f->row < row || f->row >= best)
			continue;
		best = f->row;
		*value = blob_str(f->value);
	}
	return best;
}

/* Those of one row, or those up to a number of results. */
void
part_fresh_drop(struct part_work *w, uint32_t row, uint64_t upto)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->nfresh; i++) {
		if (w->fresh[i].row == row || w->fresh[i].order <= upto)
			blob_unref(w->fresh[i].value);
		else
			w->fresh[kept++] = w->fresh[i];
	}
	w->nfresh = kept;
}

void
part_work_free(struct part_work *w)
{
	if (w == NULL)
		return;
	part_fresh_drop(w, TABLE_NONE, UINT64_MAX);
	free(w->fresh);
	rowset_fini(&w->left);
	free(w->heap);
	free(w);
}

void
part_free(struct job_part *p)
{
	blob_unref(p->record);
	blob_unref(p->rows);
	part_work_free(p->work);
	free(p);
}

static void
set_blob(struct blob **at, const struct str *value)
{
	blob_unref(*at);
	*at = value != NULL ? blob_new(*value) : NULL;
}

/* The record says where the work stands; the order is made anew when it is needed. */
enum err
part_reset(struct job_part *p)
{
	struct part_state s = { 0 };

	if (p->record == NULL) {
		if (p->work != NULL)
			p->work->now = s;
		return ERR_OK;
	}
	if (!part_decode(blob_str(p->record), &s))
		return ERR_CORRUPT;
	if (p->work == NULL && s.ended)
		return ERR_OK;
	if (p->work == NULL)
		p->work = xcalloc(1, sizeof(*p->work));
	if (p->work->left.room == 0 && p->rows != NULL &&
	    !rowset_decode(blob_str(p->rows), &p->work->left))
		return ERR_CORRUPT;
	p->work->now = s;
	p->work->moved = false;
	return ERR_OK;
}

static uint64_t
be(struct str s)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

/* A result of its own takes a target out of those that are left. */
static void
result_common(struct shard *sh, uint64_t number, uint32_t row, bool there)
{
	struct job_part *p = part_find(sh, number);

	if (p == NULL || p->work == NULL || row >= ROWSET_ROWS_MAX)
		return;
	if (there) {
		rowset_drop(&p->work->left, row);
	} else {
		rowset_add(&p->work->left, row);
		part_fresh_drop(p->work, row, 0);
	}
}

/* Who comes later is younger than a part's targets (leaves_ended), even if the newest of those is gone by a start and the clock
 * was set back. */
static void
generation_goes_on(struct shard *sh, const struct job_part *p)
{
	struct part_state s;

	if (p->record != NULL && part_decode(blob_str(p->record), &s) &&
	    s.generation > sh->generation)
		sh->generation = s.generation;
}

enum err
part_common(struct shard *sh, struct str key, const struct str *value)
{
	struct str at = str_sub(key, sizeof(PART_KEY) - 1);
	bool done = str_starts(key, STR(DONE_KEY)), rows = str_starts(key, STR(ROWS_KEY));
	struct rowset check = { 0 };
	struct job_part *p;
	uint64_t number;

	if (at.n != (done ? 14 : 10) || be((struct str){ at.p, 2 }) != sh->index)
		return ERR_CORRUPT;
	number = be((struct str){ at.p + 2, 8 });
	if (done) {
		result_common(sh, number, (uint32_t)be(str_sub(at, 10)), value != NULL);
		return ERR_OK;
	}
	p = part_make(sh, number);
	p->told = false;
	if (!rows) {
		set_blob(&p->record, value);
		generation_goes_on(sh, p);
		return part_reset(p);
	}
	if (value != NULL && !rowset_decode(*value, &check))
		return ERR_CORRUPT;
	rowset_fini(&check);
	set_blob(&p->rows, value);
	return ERR_OK;
}

/* ---- choosing ---- */

void
part_write(struct shard *sh, struct job_part *p, const struct hub_env *env)
{
	char room[HUB_PREFIX_MAX];
	struct buf value = { 0 };
	struct str bytes;

	part_encode(&value, &p->work->now);
	bytes = buf_view(&value);
	common_write(sh, part_key(PART_KEY, sh->index, p->number, room), &bytes, env);
	buf_fini(&value);
}

void
part_rows_write(
    struct shard *sh, struct job_part *p, const struct rowset *rows, const struct hub_env *env)
{
	char room[HUB_PREFIX_MAX];
	struct buf value = { 0 };
	struct str bytes;

	rowset_encode(&value, rows);
	bytes = buf_view(&value);
	common_write(sh, part_key(ROWS_KEY, sh->index, p->number, room), &bytes, env);
	buf_fini(&value);
}

void
part_targets(
    struct shard *sh, const struct job *j, const struct rowset *rows, const struct hub_env *env)
{
	struct job_part *p = part_make(sh, j->number);
	struct part_work *w = p->work;

	rowset_fini(&w->left);
	for (uint32_t r = rowset_next(rows, 0); r < sh->nrow; r = rowset_next(rows, r + 1))
		if (row_at(sh, r)->id != NULL)
			rowset_add(&w->left, r);
	w->ordered = false;
	w->nheap = w->gathered = 0;
	w->now = (struct part_state){ .generation = sh->generation,
		.began_us = env->now_us,
		.moved_us = env->now_us,
		.devices = rowset_count(&w->left) };
	part_rows_write(sh, p, &w->left, env);
	part_write(sh, p, env);
}

/* ---- order: a heap of what is left ---- */

static bool
comes_first(const struct shard *sh, uint32_t a, uint32_t b)
{
	return str_cmp(part_cursor_of(row_at(sh, a)), part_cursor_of(row_at(sh, b))) < 0;
}

static void
heap_up(const struct shard *sh, struct part_work *w, uint32_t i)
{
	uint32_t row = w->heap[i];

	for (; i > 0 && comes_first(sh, row, w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = row;
}

static void
heap_down(const struct shard *sh, struct part_work *w, uint32_t i)
{
	uint32_t row = w->heap[i];

	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c + 1 < w->nheap && comes_first(sh, w->heap[c + 1], w->heap[c]))
			c++;
		if (c >= w->nheap || !comes_first(sh, w->heap[c], row))
			break;
		w->heap[i] = w->heap[c];
		i = c;
	}
	w->heap[i] = row;
}

void
part_pop(const struct shard *sh, struct part_work *w, uint32_t i)
{
	uint32_t last = w->heap[--w->nheap];

	if (i == w->nheap)
		return;
	w->heap[i] = last;
	heap_down(sh, w, i);
	heap_up(sh, w, i);
}

void
part_unorder(struct shard *sh, struct part_work *w, uint32_t row)
{
	for (uint32_t i = 0; i < w->nheap; i++) {
		if (w->heap[i] == row) {
			part_pop(sh, w, i);
			return;
		}
	}
}

static bool
behind_cursor(const struct part_state *s, const struct row *r)
{
	return str_cmp(part_cursor_of(r), (struct str){ s->cursor, s->cursor_n }) > 0;
}

void
part_order(struct shard *sh, const struct job *j, uint32_t steps)
{
	struct part_work *w = part_find(sh, j->number)->work;

	for (; steps > 0; steps--) {
		uint32_t row = rowset_next(&w->left, w->gathered);

		if (row >= sh->nrow) {
			w->ordered = true;
			return;
		}
		w->gathered = row + 1;
		if (row_at(sh, row)->id == NULL || !behind_cursor(&w->now, row_at(sh, row)))
			continue;
		if (w->nheap == w->room) {
			w->room = w->room ? w->room * 2 : 64;
			w->heap = xrealloc(w->heap, w->room * sizeof(*w->heap));
		}
		w->heap[w->nheap++] = row;
		heap_up(sh, w, w->nheap - 1);
	}
}
