#include "task/walk.h"

#include <stdlib.h>

void
walk_answer_fini(struct walk_answer *a)
{
	buf_fini(&a->marks);
	buf_fini(&a->rows);
	buf_fini(&a->modules);
	buf_fini(&a->sum);
}

/* ---- a part ---- */

void
walk_part_begin(struct task *t)
{
	if (t->page == NULL)
		return;
	t->page->at = &t->bookmark;
	t->page->bytes_max = WALK_PAGE_BYTES;
}

static void
rows_take(struct buf *out, struct page_rows *rows)
{
	struct rope_piece *piece;

	buf_reserve(out, rows->pieces.n + rows->rest.n);
	while ((piece = rope_take(&rows->pieces)) != NULL) {
		buf_put(out, piece->bytes, piece->n);
		free(piece);
	}
	buf_str(out, buf_view(&rows->rest));
	buf_fini(&rows->rest);
}

void
walk_answer_take(struct walk_answer *a, struct task *t)
{
	struct page *page = t->page;

	a->fault = t->fault;
	a->ended = t->ended;
	a->end = t->bookmark;
	if (t->fault.code != F_NONE)
		return;
	if (page != NULL) {
		a->more = page->more;
		if (t->kind->far->end != NULL && t->kind->far->end(t, &a->end))
			a->ended = a->more = true;
		a->nrow = page->nrow;
		a->marks = page->marks;
		page->marks = (struct buf){ 0 };
		rows_take(&a->rows, &page->rows);
		rows_take(&a->modules, &page->modules);
	}
	if (t->kind->far->put != NULL)
		t->kind->far->put(t, &a->sum);
}

struct mark {
	uint64_t shard, row, generation, bytes, modules;
};

static struct mark
mark_read(struct rd *rd)
{
	struct mark m;

	m.shard = rd_varint(rd);
	m.row = rd_varint(rd);
	m.generation = rd_varint(rd);
	m.bytes = rd_varint(rd);
	m.modules = rd_varint(rd);
	return m;
}

static bool
has_bit(uint64_t shards, uint64_t s)
{
	return s < SHARDS && (shards >> s & 1);
}

enum err
walk_answer_check(const struct walk_answer *a)
{
	struct rd rd = rd_of(buf_view(&a->marks));
	uint64_t n = 0, last = 0;
	size_t rows = a->rows.n, modules = a->modules.n;

	while (rd.p < rd.end) {
		struct mark m = mark_read(&rd);

		if (rd.bad || m.shard < last || !has_bit(a->shards, m.shard) || m.bytes > rows ||
		    m.modules > modules)
			return ERR_PROTOCOL;
		last = m.shard;
		rows -= (size_t)m.bytes;
		modules -= (size_t)m.modules;
		n++;
	}
	return n == a->nrow && rows == 0 && modules == 0 ? ERR_OK : ERR_PROTOCOL;
}

/* ---- put together ---- */

bool
walk_in_order(const struct task *t)
{
	return t->kind->far->in_order != NULL && t->kind->far->in_order(t);
}

static struct str
next_of(const struct buf *b, size_t *taken, uint64_t n)
{
	struct str s = { b->p + *taken, (size_t)n };

	*taken += (size_t)n;
	return s;
}

static enum walk_step
ends_full(struct task *t, uint32_t shard, uint64_t row, uint64_t generation)
{
	t->bookmark.shard = shard;
	t->bookmark.row = row;
	t->bookmark.generation = generation;
	if (!page_full(t->page) && walk_in_order(t))
		return WALK_AGAIN;
	t->page->more = true;
	t->ended = true;
	if (t->kind->far->ends != NULL)
		t->kind->far->ends(t);
	return WALK_OVER;
}

static enum walk_step
ends(struct task *t)
{
	t->ended = true;
	return WALK_OVER;
}

/* Its rows of one shard. */
static enum walk_step
rows_of(struct task *t, uint32_t shard, struct walk_answer *a)
{
	bool (*took)(struct task *) = t->kind->far->took;

	while (a->at.p < a->at.end) {
		struct rd rd = a->at;
		struct mark m = mark_read(&rd);
		struct str row;

		if (m.shard != shard)
			return WALK_ON;
		if (page_full(t->page))
			return ends_full(t, shard, m.row, m.generation);
		a->at = rd;
		row = next_of(&a->rows, &a->rows_taken, m.bytes);
		page_put_modules(t->page, row, next_of(&a->modules, &a->modules_taken, m.modules));
		if (took != NULL && took(t))
			return ends(t);
	}
	return WALK_ON;
}

enum walk_step
walk_rows(struct task *t, uint64_t shards, struct walk_answer *const of[SHARDS], uint64_t *seen)
{
	for (uint32_t s = 0; s < SHARDS; s++) {
		struct walk_answer *a = of[s];
		enum walk_step step;

		if (!has_bit(shards, s))
			continue;
		*seen |= UINT64_C(1) << s;
		if (a->at.p == NULL)
			a->at = rd_of(buf_view(&a->marks));
		step = rows_of(t, s, a);
		if (step != WALK_ON)
			return step;
		if (a->ended && a->end.shard == s)
			return a->more ? ends_full(t, s, a->end.row, a->end.generation) : ends(t);
	}
	return WALK_ON;
}

void
walk_sum(struct task *t, const struct walk_answer *a)
{
	const struct task_far *far = t->kind->far;
	enum err e = ERR_OK;

	if (far->take != NULL)
		e = far->take(t, buf_view(&a->sum));
	if (e != ERR_OK && t->fault.code == F_NONE)
		fault_set(&t->fault, F_ServerError, "a part of the answer is damaged");
}
