/* Judging a block: tables by code, comparisons of numbers, and the evaluator on column values for the rest. */
#include "query/vector.h"

#include <stdlib.h>

/* ---- leaves on a block; rows that `mask` has no TRUE for may get any verdict ---- */

static uint8_t
hashed_set(const struct leaf *l, uint32_t h)
{
	if (h < CODE_FIRST)
		return l->table[h];
	if (l->unheld[h & 1] != SET_ANY)
		return l->unheld[h & 1];
	return leaf_has_hash(l, h) ? SET_ANY : l->missed[h & 1];
}

/* One loop for each pair of relations that are each other's opposite: of a number `yes` if it holds, else `no`. What
 * is no number is looked up afterwards. */
static void
compare_equal(const uint64_t *restrict cells, uint32_t n, double number, uint8_t yes, uint8_t no,
    uint8_t *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = cell_number(cells[i]) == number ? yes : no;
}

static void
compare_less(const uint64_t *restrict cells, uint32_t n, double number, uint8_t yes, uint8_t no,
    uint8_t *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = cell_number(cells[i]) < number ? yes : no;
}

static void
compare_at_most(const uint64_t *restrict cells, uint32_t n, double number, uint8_t yes, uint8_t no,
    uint8_t *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = cell_number(cells[i]) <= number ? yes : no;
}

static void
compare_numbers(
    const struct leaf *l, const uint64_t *restrict cells, uint32_t n, uint8_t *restrict out)
{
	double x = l->number;

	switch (l->relop) {
	case REL_EQ: compare_equal(cells, n, x, SET_TRUE, SET_FALSE, out); break;
	case REL_NE: compare_equal(cells, n, x, SET_FALSE, SET_TRUE, out); break;
	case REL_LT: compare_less(cells, n, x, SET_TRUE, SET_FALSE, out); break;
	case REL_GE: compare_less(cells, n, x, SET_FALSE, SET_TRUE, out); break;
	case REL_LE: compare_at_most(cells, n, x, SET_TRUE, SET_FALSE, out); break;
	case REL_GT: compare_at_most(cells, n, x, SET_FALSE, SET_TRUE, out); break;
	}
	for (uint32_t i = 0; i < n; i++)
		if (cell_is_code(cells[i]))
			out[i] = l->table[(uint32_t)cells[i]];
}

static uint8_t
cell_set(struct vector *v, const struct leaf *l, uint64_t cell)
{
	if (cell_is_code(cell))
		return l->table[(uint32_t)cell];
	if (l->unheld[1] != SET_ANY)
		return l->unheld[1];
	return leaf_eval_value(v, l, column_value(l->column, cell));
}

static void
judge_sparse(struct vector *v, const struct leaf *l, uint32_t from, uint32_t n, uint8_t *out)
{
	const struct column *c = l->column;

	memset(out, l->table[CODE_UNDEFINED], n);
	for (uint32_t i = column_pair(c, from); i < c->npair && c->pairs[i] - from < n; i++)
		out[c->pairs[i] - from] = cell_set(v, l, c->cells[i]);
}

/* Bytes that are written could be any memory, for all a compiler knows: `restrict` says they are not. */
static void
by_table8(
    const uint8_t *restrict table, const uint8_t *restrict codes, uint32_t n, uint8_t *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = table[codes[i]];
}

static void
by_table16(const uint8_t *restrict table, const uint16_t *restrict codes, uint32_t n,
    uint8_t *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = table[codes[i]];
}

/* By comparison with the odd code. False: there are codes in it that are none of the dictionary's. */
static bool
by_odd8(const struct leaf *l, const uint8_t *restrict codes, uint32_t n, uint8_t *restrict out)
{
	uint8_t common = l->common, set = l->table[l->odd], odd = (uint8_t)l->odd, low = 0;

	for (uint32_t i = 0; i < n; i++) {
		out[i] = codes[i] == odd ? set : common;
		low |= codes[i] < CODE_FIRST;
	}
	return low == 0;
}

static bool
by_odd16(const struct leaf *l, const uint16_t *restrict codes, uint32_t n, uint8_t *restrict out)
{
	uint8_t common = l->common, set = l->table[l->odd];
	uint16_t odd = (uint16_t)l->odd, low = 0;

	for (uint32_t i = 0; i < n; i++) {
		out[i] = codes[i] == odd ? set : common;
		low |= codes[i] < CODE_FIRST;
	}
	return low == 0;
}

static void
judge_one(struct vector *v, const struct leaf *l, uint32_t from, uint32_t n, const uint8_t *mask,
    uint8_t *out)
{
	const struct column *c = l->column;

	switch (c->form) {
	case COLUMN_CODES8:
		if (!l->one_odd || !by_odd8(l, c->codes8 + from, n, out))
			by_table8(l->table, c->codes8 + from, n, out);
		break;
	case COLUMN_CODES16:
		if (!l->one_odd || !by_odd16(l, c->codes16 + from, n, out))
			by_table16(l->table, c->codes16 + from, n, out);
		break;
	case COLUMN_HASHES:
		for (uint32_t i = 0; i < n; i++)
			out[i] = hashed_set(l, c->hashes[from + i]);
		break;
	case COLUMN_SPARSE: judge_sparse(v, l, from, n, out); break;
	case COLUMN_NUMBERS:
		if (l->compares) {
			compare_numbers(l, c->cells + from, n, out);
			break;
		}
		for (uint32_t i = 0; i < n; i++)
			out[i] = mask[i] & SET_TRUE ? cell_set(v, l, c->cells[from + i]) : SET_ANY;
		break;
	case COLUMN_NONE: memset(out, SET_ANY, n); break;
	}
}

/* Several paths: the evaluator on a row of values. */
static uint8_t
judge_values(struct vector *v, const struct leaf *l, uint32_t row)
{
	for (uint32_t k = 0; k < l->nslot; k++) {
		const struct column *c = vector_column(v, l->slot[k]);
		uint64_t cell = column_cell(c, row);
		if (cell == cell_of_code(CODE_STRING) || cell == cell_of_code(CODE_STALE))
			return SET_ANY;
		v->bound[l->slot[k]] = column_value(c, cell);
	}
	return leaf_eval(v, l);
}

/* Else no row of a block need be looked at. */
static bool
has_columns(const struct vector *v, const struct leaf *l)
{
	for (uint32_t k = 0; k < l->nslot; k++)
		if (vector_column(v, l->slot[k])->form == COLUMN_NONE)
			return false;
	return true;
}

static void
judge_leaf(struct vector *v, const struct leaf *l, uint32_t from, uint32_t n, const uint8_t *mask,
    uint8_t *out)
{
	if (l->kind == LEAF_ASK || !has_columns(v, l)) {
		memset(out, SET_ANY, n);
	} else if (l->kind == LEAF_CONST) {
		memset(out, leaf_eval(v, l), n);
	} else if (l->kind == LEAF_ONE) {
		judge_one(v, l, from, n, mask, out);
	} else {
		for (uint32_t i = 0; i < n; i++)
			out[i] = mask[i] & SET_TRUE ? judge_values(v, l, from + i) : SET_ANY;
	}
}

/* ---- nodes ---- */

#define EACH(set) (UINT64_C(0x0101010101010101) * (set)) /* that set in each of eight rows */

/* Eight verdicts at once: none has more than three bits, so no shift below reaches another's. */
static inline uint64_t
load8(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void
store8(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline uint64_t
sets_not(uint64_t x)
{
	return (x & EACH(SET_UNDEF)) | (x & EACH(SET_TRUE)) << 1 | (x & EACH(SET_FALSE)) >> 1;
}

/* True where both can be; false where one can be; undefined where one can be and the other is not sure to be false. */
static inline uint64_t
sets_and(uint64_t x, uint64_t y)
{
	return (x & y & EACH(SET_TRUE)) | ((x | y) & EACH(SET_FALSE)) |
	    (((x & y) | (x & y << 2) | (y & x << 2)) & EACH(SET_UNDEF));
}

static inline uint64_t
sets_or(uint64_t x, uint64_t y)
{
	return ((x | y) & EACH(SET_TRUE)) | (x & y & EACH(SET_FALSE)) |
	    (((x & y) | (x & y << 1) | (y & x << 1)) & EACH(SET_UNDEF));
}

static void
block_not(uint8_t *a, uint32_t n)
{
	uint32_t i = 0;

	for (; i + 8 <= n; i += 8)
		store8(a + i, sets_not(load8(a + i)));
	for (; i < n; i++)
		a[i] = (uint8_t)sets_not(a[i]);
}

static void
block_and(uint8_t *restrict a, const uint8_t *restrict b, uint32_t n)
{
	uint32_t i = 0;

	for (; i + 8 <= n; i += 8)
		store8(a + i, sets_and(load8(a + i), load8(b + i)));
	for (; i < n; i++)
		a[i] = (uint8_t)sets_and(a[i], b[i]);
}

static void
block_or(uint8_t *restrict a, const uint8_t *restrict b, uint32_t n)
{
	uint32_t i = 0;

	for (; i + 8 <= n; i += 8)
		store8(a + i, sets_or(load8(a + i), load8(b + i)));
	for (; i < n; i++)
		a[i] = (uint8_t)sets_or(a[i], b[i]);
}

/* Rows that may match; *asks: does any of them need its document? */
static uint32_t
count_possible(const uint8_t *verdicts, uint32_t n, bool *asks)
{
	uint64_t sums = 0, open = 0; /* at most 128 in a byte: a block has 1,024 rows */
	uint32_t i = 0, count = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t x = load8(verdicts + i);
		sums += x & EACH(SET_TRUE);
		open |= x & (x >> 1 | x >> 2) & EACH(SET_TRUE);
	}
	for (; i < n; i++) {
		count += verdicts[i] & SET_TRUE;
		open |= verdict_asks(verdicts[i]);
	}
	for (i = 0; i < 8; i++)
		count += sums >> 8 * i & 255;
	*asks = open != 0;
	return count;
}

/* The block of a node at `level` is v->blocks[level]; deeper ones are free for its operands. */
static void
judge_node(struct vector *v, const struct node *node, uint32_t from, uint32_t n,
    const uint8_t *mask, unsigned level)
{
	uint8_t *out = v->blocks + level * VECTOR_ROWS, *operand = out + VECTOR_ROWS;
	bool first = true;

	if (node->kind == NODE_LEAF) {
		judge_leaf(v, &node->leaf, from, n, mask, out);
		return;
	}
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		judge_node(v, c, from, n, mask, level + 1);
		if (first)
			memcpy(out, operand, n);
		else if (node->kind == NODE_AND)
			block_and(out, operand, n);
		else
			block_or(out, operand, n);
		first = false;
	}
	if (node->kind == NODE_NOT)
		block_not(out, n);
}

/* What verdicts hold so far and the node: of the row only "true" counts from here on. */
static void
narrow(struct vector *v, const struct node *node, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	judge_node(v, node, from, n, verdicts, 0);
	block_and(verdicts, v->blocks, n);
}

#define FEW 32u /* rows that are judged one by one rather than with their block */

/* As narrow, when few rows are left. */
static void
narrow_few(struct vector *v, const struct node *node, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	uint32_t i = 0;

	while (i < n) {
		if (i + 8 <= n && (load8(verdicts + i) & EACH(SET_TRUE)) == 0) {
			i += 8;
			continue;
		}
		if (verdicts[i] & SET_TRUE)
			narrow(v, node, from + i, 1, verdicts + i);
		i++;
	}
}

/* Conjuncts one after the other, those that go row by row last: they look only at what is left. */
static void
judge_where(struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	uint32_t left = n;
	bool asks;

	if (v->where->kind != NODE_AND) {
		narrow(v, v->where, from, n, verdicts);
		return;
	}
	for (int slow = 0; slow <= 1; slow++) {
		for (const struct node *c = v->where->first; c != NULL && left > 0; c = c->next) {
			if (c->slow != slow)
				continue;
			if (left > FEW)
				narrow(v, c, from, n, verdicts);
			else
				narrow_few(v, c, from, n, verdicts);
			left = count_possible(verdicts, n, &asks);
		}
	}
}

static void
judge_kind(const uint8_t *restrict kinds, uint8_t kind, uint32_t n, uint8_t *restrict out)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = kinds[i] == kind ? SET_TRUE : SET_FALSE;
}

/* Rows of the block that are there. */
static void
judge_rows(struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	uint8_t kind = v->q->facts.collection == QUERY_MODULES ? ROW_MODULE : ROW_DEVICE;

	judge_kind(v->columns->kinds + from, kind, n, verdicts);
	if (v->q->facts.nothing)
		memset(verdicts, SET_FALSE, n);
	if (v->where != NULL)
		judge_where(v, from, n, verdicts);
	if (v->q->facts.aggregate)
		tallies_judge(v, from, n, verdicts);
}

bool
vector_judge(struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts)
{
	assert(n <= VECTOR_ROWS);
	vector_settle(v);
	if (!v->ready) {
		judge_bind(v);
		tallies_open(v);
		v->ready = true;
	}
	v->from = from;
	v->n = from >= v->rows ? 0 : v->rows - from < n ? v->rows - from : n;
	v->judged = v->changes;
	memset(verdicts + v->n, SET_FALSE, n - v->n);
	if (v->n > 0)
		judge_rows(v, from, v->n, verdicts);
	return count_possible(verdicts, n, &v->asks) > 0;
}
