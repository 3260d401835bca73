/*
 * Aggregates from columns: rows are counted in their order, by the evaluator where a document must be asked, so that a
 * sum has the same last bit whichever way its rows came.
 *
 * Where all grouped paths have codes, their combination is a number, and v->direct tells its group. Else the key is made
 * of the values, unless the row has the same cells as the one before.
 */
#include "query/vector.h"

#include <stdlib.h>

#define MET_SPREAD UINT64_C(0x9E3779B97F4A7C15) /* so that cells differ in their highest bits */
/* combinations of codes that are counted before their groups are looked up */
#define COUNT_DIRECT 512

/* ---- a shard's turn ---- */

static bool
has_codes(const struct column *c)
{
	return c->form == COLUMN_CODES8 || c->form == COLUMN_CODES16;
}

void
tallies_open(struct vector *v)
{
	uint32_t n = 1, k = 0;

	v->last_group = TABLE_NONE;
	v->has_direct = false;
	memset(v->met, 0, sizeof(v->met)); /* codes may have got another meaning */
	if (v->groups_ask || !v->q->facts.aggregate)
		return;
	for (const struct item *it = v->q->groups; it != NULL; it = it->next) {
		const struct column *c = item_column(v, it);
		if (!has_codes(c) || n * (uint64_t)(c->dict.n + CODE_FIRST) > GROUP_DIRECT)
			return;
		v->radix[k] = c->dict.n + CODE_FIRST;
		n *= v->radix[k++];
	}
	if (n > v->ndirect)
		v->direct = xrealloc(v->direct, n * sizeof(*v->direct));
	if (n > v->ndirect)
		v->ndirect = n;
	v->ncode = n;
	memset(v->direct, 0xFF, n * sizeof(*v->direct));
	v->has_direct = true;
}

/* ---- judging ---- */

/* Bytes that are written could be any memory, for all a compiler knows: `restrict` says they are not. */
#define ASK_LOOP(type, array, test)                                                                \
	do {                                                                                       \
		const type *restrict at = (array) + from;                                          \
		for (uint32_t i = 0; i < n; i++)                                                   \
			verdicts[i] |= (test) ? SET_FALSE | SET_UNDEF : 0;                         \
	} while (0)

static void
ask_all(uint32_t n, uint8_t *restrict verdicts)
{
	for (uint32_t i = 0; i < n; i++)
		verdicts[i] |= SET_FALSE | SET_UNDEF;
}

static void
ask_group(const struct column *c, uint32_t from, uint32_t n, uint8_t *restrict verdicts)
{
	const unsigned unheld_codes = CODE_FIRST - CODE_ARRAY;

	switch (c->form) {
	case COLUMN_CODES8:
		ASK_LOOP(uint8_t, c->codes8, (uint8_t)(at[i] - CODE_ARRAY) < unheld_codes);
		break;
	case COLUMN_CODES16:
		ASK_LOOP(uint16_t, c->codes16, (uint16_t)(at[i] - CODE_ARRAY) < unheld_codes);
		break;
	case COLUMN_HASHES: ASK_LOOP(uint32_t, c->hashes, at[i] >= CODE_ARRAY); break;
	case COLUMN_NUMBERS: ASK_LOOP(uint64_t, c->cells, cell_unheld(at[i])); break;
	case COLUMN_NONE: ask_all(n, verdicts); break;
	case COLUMN_SPARSE:
		for (uint32_t i = column_pair(c, from); i < c->npair && c->pairs[i] - from < n; i++)
			if (cell_unheld(c->cells[i]))
				verdicts[c->pairs[i] - from] |= SET_FALSE | SET_UNDEF;
	}
}

/* Only what may be a number matters to an aggregate. */
static void
ask_number(const struct column *c, uint32_t from, uint32_t n, uint8_t *restrict verdicts)
{
	const uint64_t stale = cell_of_code(CODE_STALE);

	switch (c->form) {
	case COLUMN_CODES8: ASK_LOOP(uint8_t, c->codes8, at[i] == CODE_STALE); break;
	case COLUMN_CODES16: ASK_LOOP(uint16_t, c->codes16, at[i] == CODE_STALE); break;
	case COLUMN_HASHES:
		ASK_LOOP(uint32_t, c->hashes,
		    at[i] == CODE_STALE || (at[i] >= CODE_FIRST && (at[i] & 1)));
		break;
	case COLUMN_NUMBERS: ASK_LOOP(uint64_t, c->cells, at[i] == stale); break;
	case COLUMN_NONE: ask_all(n, verdicts); break;
	case COLUMN_SPARSE:
		for (uint32_t i = column_pair(c, from); i < c->npair && c->pairs[i] - from < n; i++)
			if (c->cells[i] == stale)
				verdicts[c->pairs[i] - from] |= SET_FALSE | SET_UNDEF;
	}
}

/* The combination of codes of each row. */
static void
number_rows(struct vector *v, uint32_t from, uint32_t n)
{
	uint32_t factor = 1, k = 0;

	memset(v->index, 0, n * sizeof(*v->index));
	for (const struct item *it = v->q->groups; it != NULL; it = it->next) {
		const struct column *c = item_column(v, it);
		if (c->form == COLUMN_CODES8)
			for (uint32_t i = 0; i < n; i++)
				v->index[i] += c->codes8[from + i] * factor;
		else
			for (uint32_t i = 0; i < n; i++)
				v->index[i] += c->codes16[from + i] * factor;
		factor *= v->radix[k++];
	}
}

void
tallies_judge(struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	if (v->groups_ask) {
		ask_all(n, verdicts);
		return;
	}
	for (const struct item *it = v->q->groups; it != NULL; it = it->next)
		ask_group(item_column(v, it), from, n, verdicts);
	for (const struct item *it = v->q->items; it != NULL; it = it->next)
		if (it->kind == ITEM_DISTINCT)
			ask_group(item_column(v, it), from, n, verdicts);
		else if (it->kind != ITEM_COUNT && it->kind != ITEM_PATH)
			ask_number(item_column(v, it), from, n, verdicts);
	if (v->has_direct && v->q->ngroup > 0)
		number_rows(v, from, n);
}

/* ---- counting ---- */

/* The group by its values. */
static enum err
group_by_key(
    struct vector *v, uint32_t row, struct query_groups *g, uint32_t *group, struct fault *f)
{
	uint64_t cells[GROUP_PATHS] = { 0 };
	uint32_t k = 0;
	enum err e;

	for (const struct item *it = v->q->groups; it != NULL; it = it->next)
		cells[k++] = column_cell(item_column(v, it), row);
	if (v->last_group != TABLE_NONE && memcmp(cells, v->last, k * sizeof(*cells)) == 0) {
		*group = v->last_group;
		return ERR_OK;
	}
	v->key.n = k = 0;
	for (const struct item *it = v->q->groups; it != NULL; it = it->next) {
		struct value value = column_value(item_column(v, it), cells[k++]);
		key_put_value(&v->key, &value);
	}
	if ((e = groups_find(g, buf_view(&v->key), group, f)))
		return e;
	memcpy(v->last, cells, sizeof(cells));
	v->last_group = *group;
	return ERR_OK;
}

static enum err
group_of(struct vector *v, uint32_t i, struct query_groups *g, uint32_t *group, struct fault *f)
{
	enum err e;

	*group = 0;
	if (v->q->ngroup == 0)
		return ERR_OK;
	if (!v->has_direct)
		return group_by_key(v, v->from + i, g, group, f);
	*group = v->direct[v->index[i]];
	if (*group != TABLE_NONE)
		return ERR_OK;
	if ((e = group_by_key(v, v->from + i, g, group, f)) == ERR_OK)
		v->direct[v->index[i]] = *group;
	return e;
}

/* COUNT(DISTINCT): values that have just been met are met again and again. */
static enum err
meet_row(struct vector *v, const struct item *it, uint32_t row, struct query_groups *g,
    uint32_t group, struct fault *f)
{
	const struct column *c = item_column(v, it);
	uint64_t cell = column_cell(c, row);
	struct met_cell *m =
	    &v->met[(cell * MET_SPREAD ^ group * MET_SPREAD ^ it->slot) >> (64 - MET_BITS)];
	struct value value;
	enum err e;

	if (m->there && m->cell == cell && m->group == group && m->slot == it->slot)
		return ERR_OK;
	value = column_value(c, cell);
	if ((e = groups_meet(g, group, it, &value, f)) == ERR_OK)
		*m = (struct met_cell){ cell, group, it->slot, true };
	return e;
}

static void
tally_row(const struct vector *v, const struct item *it, uint32_t row, struct tally *t)
{
	const struct column *c;
	struct value value;

	if (it->kind == ITEM_COUNT) {
		t->n++;
		return;
	}
	c = item_column(v, it);
	if (c->form == COLUMN_NUMBERS) {
		if (!cell_is_code(c->cells[row]))
			tally_add(t, it->kind, 1, cell_number(c->cells[row]));
		return;
	}
	value = column_value(
	    c, column_cell(c, row)); /* one that is not held is no number, or the row was asked */
	tally_add(t, it->kind, value.kind == V_NUMBER, value.number);
}

/* Nothing but COUNT() of all rows. */
static void
count_all(
    const struct vector *v, const uint8_t *verdicts, uint32_t i, uint32_t n, struct query_groups *g)
{
	uint32_t count = 0;

	for (; i < n; i++)
		count += verdicts[i] == VERDICT_MATCH;
	for (uint32_t k = 0; k < v->q->ntally; k++)
		g->tally[k].n += count;
}

/* COUNT() by groups that codes tell: first the rows of each combination, with two counters in turn, as the next row is
 * often of the same group. */
static enum err
count_groups(struct vector *v, const uint8_t *verdicts, uint32_t from, uint32_t n,
    struct query_groups *g, struct fault *f)
{
	uint32_t counts[2][COUNT_DIRECT], group;
	enum err e;

	memset(counts[0], 0, v->ncode * sizeof(counts[0][0]));
	memset(counts[1], 0, v->ncode * sizeof(counts[1][0]));
	for (uint32_t i = from; i < n; i++)
		counts[i & 1][v->index[i]] += verdicts[i] == VERDICT_MATCH;
	for (uint32_t code = 0; code < v->ncode; code++) {
		uint32_t count = counts[0][code] + counts[1][code], i = from;
		if (count == 0)
			continue;
		while (v->direct[code] == TABLE_NONE && v->index[i] != code) /* any row of it */
			i++;
		group = v->direct[code];
		if (group == TABLE_NONE && (e = group_of(v, i, g, &group, f)))
			return e;
		for (uint32_t k = 0; k < v->q->ntally; k++)
			g->tally[(size_t)group * v->q->ntally + k].n += count;
	}
	return ERR_OK;
}

/* The sum of the numbers that match. Without a branch: a row that does not match adds 0, which changes no sum. */
static void
add_numbers(const struct vector *v, const struct item *it, const uint8_t *verdicts, uint32_t i,
    uint32_t n, struct query_groups *g)
{
	const uint64_t *cells = item_column(v, it)->cells + v->from;
	struct tally t = g->tally[it->slot];

	for (; i < n; i++) {
		uint64_t counts = (verdicts[i] == VERDICT_MATCH) & !cell_is_code(cells[i]);
		t.v += cell_number(cells[i] & (0 - counts));
		t.n += counts;
	}
	g->tally[it->slot] = t;
}

static enum err
add_rows(struct vector *v, const uint8_t *verdicts, uint32_t i, uint32_t n, struct query_groups *g,
    struct fault *f)
{
	uint32_t group;
	enum err e;

	for (; i < n; i++) {
		struct tally *t;
		if (verdicts[i] != VERDICT_MATCH)
			continue;
		if ((e = group_of(v, i, g, &group, f)))
			return e;
		t = &g->tally[(size_t)group * v->q->ntally];
		for (const struct item *it = v->q->items; it != NULL; it = it->next) {
			if (it->kind == ITEM_DISTINCT &&
			    (e = meet_row(v, it, v->from + i, g, group, f)))
				return e;
			if (it->kind != ITEM_PATH && it->kind != ITEM_DISTINCT)
				tally_row(v, it, v->from + i, &t[it->slot]);
		}
	}
	return ERR_OK;
}

/* The first row that may match, at or after i: all that do are asked. */
static uint32_t
first_possible(const uint8_t *verdicts, uint32_t i, uint32_t n)
{
	while (i < n && !(verdicts[i] & VERDICT_POSSIBLE))
		i++;
	return i;
}

/* A lone sum of a column of numbers. */
static bool
sums_numbers(const struct vector *v)
{
	const struct item *it = v->q->items;

	return v->q->ngroup == 0 && it->next == NULL &&
	    (it->kind == ITEM_SUM || it->kind == ITEM_AVG) &&
	    item_column(v, it)->form == COLUMN_NUMBERS;
}

static enum err
add_block(struct vector *v, const uint8_t *verdicts, uint32_t i, uint32_t n, struct query_groups *g,
    struct fault *f)
{
	if (v->q->ngroup == 0 && v->counts)
		count_all(v, verdicts, i, n, g);
	else if (sums_numbers(v))
		add_numbers(v, v->q->items, verdicts, i, n, g);
	else if (v->counts && v->has_direct && v->ncode <= COUNT_DIRECT)
		return count_groups(v, verdicts, i, n, g, f);
	else
		return add_rows(v, verdicts, i, n, g, f);
	return ERR_OK;
}

enum err
vector_add(struct vector *v, const uint8_t *verdicts, uint32_t i, uint32_t n,
    struct query_groups *g, uint32_t *stop, struct fault *f)
{
	uint32_t there = n < v->n ? n : v->n, end = i;

	vector_settle(v);
	if (v->judged != v->changes) {
		end = first_possible(verdicts, i, there);
		*stop = end < there ? end : n;
		return ERR_OK;
	}
	while (end < there && !(v->asks && verdict_asks(verdicts[end])))
		end++;
	*stop = end < there ? end : n;
	return add_block(v, verdicts, i < end ? i : end, end, g, f);
}
