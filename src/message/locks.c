/* What is out, by row: few rows have something out at a time, and each at most MESSAGES_OUT_MAX messages. */
#include "message/message.h"

#include <stdlib.h>

/* ---- tokens ---- */

/* Where each byte of a token stands in its text. */
static const unsigned char text_order[LOCK_TOKEN] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13,
	14, 15 };
static const unsigned char dashes[] = { 4, 6, 8, 10 };

static bool
dash_before(unsigned i)
{
	return memchr(dashes, (int)i, sizeof(dashes)) != NULL;
}

void
lock_token_write(char out[LOCK_TOKEN_TEXT], const unsigned char token[LOCK_TOKEN])
{
	for (unsigned i = 0; i < LOCK_TOKEN; i++) {
		if (dash_before(i))
			*out++ = '-';
		hex_write(out, &token[text_order[i]], 1);
		out += 2;
	}
	*out = '\0';
}

bool
lock_token_parse(struct str text, unsigned char token[LOCK_TOKEN])
{
	const char *p = text.p;

	if (text.n != LOCK_TOKEN_TEXT - 1)
		return false;
	for (unsigned i = 0; i < LOCK_TOKEN; i++) {
		int high, low;

		if (dash_before(i) && *p++ != '-')
			return false;
		high = hex_digit(*p++);
		low = hex_digit(*p++);
		if (high < 0 || low < 0)
			return false;
		token[text_order[i]] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* ---- rows ---- */

static uint64_t
row_hash(uint32_t row)
{
	return (uint64_t)(row + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

static bool
same_row(const void *ctx, uint32_t place, const void *key)
{
	return ((const struct locks *)ctx)->v[place].row == *(const uint32_t *)key;
}

static struct locks_row *
find_row(const struct locks *l, uint32_t row)
{
	uint32_t place = table_get(&l->rows, row_hash(row), same_row, l, &row);

	return place == TABLE_NONE ? NULL : &l->v[place];
}

static struct locks_row *
make_row(struct locks *l, uint32_t row)
{
	struct locks_row *at = find_row(l, row);

	if (at != NULL)
		return at;
	if (l->nrow == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 8;
		l->v = xrealloc(l->v, l->cap * sizeof(*l->v));
	}
	assert(l->v != NULL);
	at = &l->v[l->nrow];
	*at = (struct locks_row){ .row = row };
	table_add(&l->rows, row_hash(row), l->nrow++);
	return at;
}

/* It has none any more: the last one takes its place. */
static void
end_row(struct locks *l, struct locks_row *at)
{
	uint32_t place = (uint32_t)(at - l->v), last = l->nrow - 1;

	free(at->v);
	table_remove(&l->rows, row_hash(at->row), place);
	if (place != last) {
		table_remove(&l->rows, row_hash(l->v[last].row), last);
		*at = l->v[last];
		table_add(&l->rows, row_hash(at->row), place);
	}
	l->nrow--;
}

void
locks_fini(struct locks *l)
{
	while (l->nrow > 0)
		end_row(l, &l->v[l->nrow - 1]);
	free(l->v);
	table_fini(&l->rows);
	*l = (struct locks){ 0 };
}

/* ---- locks ---- */

const struct lock *
locks_of(const struct locks *l, uint32_t row, uint32_t *n)
{
	const struct locks_row *at = find_row(l, row);

	*n = at != NULL ? at->n : 0;
	return at != NULL ? at->v : NULL;
}

const struct lock *
locks_find(const struct locks *l, uint32_t row, uint64_t number)
{
	const struct locks_row *at = find_row(l, row);

	for (uint32_t i = 0; at != NULL && i < at->n; i++)
		if (at->v[i].number == number)
			return &at->v[i];
	return NULL;
}

const struct lock *
locks_by_token(const struct locks *l, uint32_t row, const unsigned char token[LOCK_TOKEN])
{
	const struct locks_row *at = find_row(l, row);

	for (uint32_t i = 0; at != NULL && i < at->n; i++)
		if (at->v[i].session_epoch == 0 && memcmp(at->v[i].token, token, LOCK_TOKEN) == 0)
			return &at->v[i];
	return NULL;
}

bool
locks_room(const struct locks *l, uint32_t row)
{
	const struct locks_row *at = find_row(l, row);

	return at == NULL || (at->n < MESSAGES_OUT_MAX && l->n < LOCKS_MAX);
}

void
locks_add(struct locks *l, uint32_t row, const struct lock *lock)
{
	struct locks_row *at = make_row(l, row);

	assert(at->n < MESSAGES_OUT_MAX);
	if (at->n == at->room) {
		at->room = at->room != 0 ? (uint8_t)(at->room * 2) : 1;
		at->v = xrealloc(at->v, at->room * sizeof(*at->v));
	}
	at->v[at->n++] = *lock;
	l->n++;
	if (lock->session_epoch == 0 && (l->next_us == 0 || lock->until_us < l->next_us))
		l->next_us = lock->until_us;
}

/* Returns how many are left; with none the row has gone. */
static uint32_t
remove_at(struct locks *l, struct locks_row *at, uint32_t i)
{
	at->n--;
	l->n--;
	memmove(&at->v[i], &at->v[i + 1], (at->n - i) * sizeof(*at->v));
	if (at->n > 0)
		return at->n;
	end_row(l, at);
	return 0;
}

void
locks_remove(struct locks *l, uint32_t row, uint64_t number)
{
	struct locks_row *at = find_row(l, row);

	for (uint32_t i = 0; at != NULL && i < at->n; i++) {
		if (at->v[i].number != number)
			continue;
		remove_at(l, at, i);
		return;
	}
}

void
locks_sweep(struct locks *l, uint32_t row, uint64_t session_epoch, int64_t elapsed_us)
{
	struct locks_row *at = find_row(l, row);

	for (uint32_t i = at != NULL ? at->n : 0; i > 0; i--) {
		const struct lock *lock = &at->v[i - 1];
		bool out = lock->session_epoch != 0 ? lock->session_epoch == session_epoch
		                                    : elapsed_us < lock->until_us;

		if (!out && remove_at(l, at, i - 1) == 0)
			return;
	}
}

void
locks_drop(struct locks *l, uint32_t row)
{
	struct locks_row *at = find_row(l, row);

	if (at == NULL)
		return;
	l->n -= at->n;
	end_row(l, at);
}

uint32_t
locks_over(struct locks *l, int64_t elapsed_us)
{
	int64_t next_us = 0;

	if (l->next_us == 0 || elapsed_us < l->next_us)
		return TABLE_NONE;
	for (uint32_t i = 0; i < l->nrow; i++)
		for (uint32_t k = 0; k < l->v[i].n; k++) {
			const struct lock *lock = &l->v[i].v[k];

			if (lock->session_epoch != 0)
				continue;
			if (lock->until_us <= elapsed_us)
				return l->v[i].row;
			if (next_us == 0 || lock->until_us < next_us)
				next_us = lock->until_us;
		}
	l->next_us = next_us;
	return TABLE_NONE;
}
