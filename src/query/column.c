/* A column's forms: how cells are kept, and how one form becomes the next (column.h). */
#include "query/column.h"

#include <stdlib.h>

static const char *const form_names[] = {
	[COLUMN_NONE] = "none",
	[COLUMN_SPARSE] = "sparse",
	[COLUMN_CODES8] = "codes8",
	[COLUMN_CODES16] = "codes16",
	[COLUMN_NUMBERS] = "numbers",
	[COLUMN_HASHES] = "hashes",
};

static const size_t widths[] = {
	[COLUMN_CODES8] = 1,
	[COLUMN_CODES16] = 2,
	[COLUMN_NUMBERS] = 8,
	[COLUMN_HASHES] = 4,
};

const struct column column_none = { .form = COLUMN_NONE };

const char *
column_form_name(enum column_form f)
{
	return form_names[f];
}

/* What the data warrants: few different values beside the rows, and few pairs. */
static uint32_t
entries_max(const struct column *c)
{
	uint32_t n = 512 + c->rows / 8;

	return n < 32768 ? n : 32768;
}

static size_t
text_max(const struct column *c)
{
	return 16384 + (size_t)c->rows * 8;
}

static uint32_t
pairs_max(const struct column *c)
{
	return 32 + c->rows / 16;
}

/* ---- dense arrays ---- */

static void
fill_undefined(struct column *c, uint32_t from, uint32_t to)
{
	size_t width = widths[c->form];

	if (c->form != COLUMN_NUMBERS) {
		memset(c->codes8 + from * width, 0, (to - from) * width);
		return;
	}
	for (uint32_t i = from; i < to; i++)
		c->cells[i] = cell_of_code(CODE_UNDEFINED);
}

static void
dense_room(struct column *c, uint32_t rows)
{
	uint32_t old = c->room;

	if (rows <= old)
		return;
	c->room = old == 0 || rows > old + old / 8 ? rows : old + old / 8;
	c->codes8 = xrealloc(c->codes8, c->room * widths[c->form]);
	fill_undefined(c, old, c->room);
}

/* Give the column a dense form with all rows undefined; the old arrays are the caller's. */
static void
dense_new(struct column *c, enum column_form form)
{
	c->form = form;
	c->room = 0;
	c->codes8 = NULL;
	c->pairs = NULL;
	c->npair = 0;
	dense_room(c, c->rows > 0 ? c->rows : 1);
}

void
column_reserve(struct column *c, uint32_t rows)
{
	if (rows <= c->rows)
		return;
	c->rows = rows;
	if (c->form > COLUMN_SPARSE)
		dense_room(c, rows);
}

/* ---- pairs ---- */

uint32_t
column_pair(const struct column *c, uint32_t row)
{
	uint32_t lo = 0, hi = c->npair;

	if (hi > 0 && c->pairs[hi - 1] < row) /* rows come in order while it is built */
		return hi;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (c->pairs[mid] < row)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
pair_insert(struct column *c, uint32_t at, uint32_t row, uint64_t cell)
{
	if (c->npair == c->room) {
		c->room = c->room ? c->room + c->room / 2 : 4;
		c->pairs = xrealloc(c->pairs, c->room * sizeof(*c->pairs));
		c->cells = xrealloc(c->cells, c->room * sizeof(*c->cells));
	}
	assert(c->pairs != NULL && c->cells != NULL); /* room is 0 without them */
	memmove(c->pairs + at + 1, c->pairs + at, (c->npair - at) * sizeof(*c->pairs));
	memmove(c->cells + at + 1, c->cells + at, (c->npair - at) * sizeof(*c->cells));
	c->pairs[at] = row;
	c->cells[at] = cell;
	c->npair++;
}

static void
pair_put(struct column *c, uint32_t row, uint64_t cell)
{
	uint32_t at = column_pair(c, row);
	bool there = at < c->npair && c->pairs[at] == row;

	if (cell != cell_of_code(CODE_UNDEFINED)) {
		if (there)
			c->cells[at] = cell;
		else
			pair_insert(c, at, row, cell);
	} else if (there) {
		c->npair--;
		memmove(c->pairs + at, c->pairs + at + 1, (c->npair - at) * sizeof(*c->pairs));
		memmove(c->cells + at, c->cells + at + 1, (c->npair - at) * sizeof(*c->cells));
	}
}

/* ---- cells ---- */

uint64_t
column_cell(const struct column *c, uint32_t row)
{
	uint32_t at;

	assert(row < c->rows || c->form == COLUMN_NONE);
	switch (c->form) {
	case COLUMN_NONE: break;
	case COLUMN_HASHES:
		return cell_of_code(
		    c->hashes[row] < CODE_FIRST ? c->hashes[row] : (uint32_t)CODE_STALE);
	case COLUMN_CODES8: return cell_of_code(c->codes8[row]);
	case COLUMN_CODES16: return cell_of_code(c->codes16[row]);
	case COLUMN_NUMBERS: return c->cells[row];
	case COLUMN_SPARSE:
		at = column_pair(c, row);
		return at < c->npair && c->pairs[at] == row ? c->cells[at]
		                                            : cell_of_code(CODE_UNDEFINED);
	}
	return cell_of_code(CODE_STALE);
}

/* Every form but hashes; a code must fit. */
static void
cell_put(struct column *c, uint32_t row, uint64_t cell)
{
	switch (c->form) {
	case COLUMN_CODES8: c->codes8[row] = (uint8_t)cell; break;
	case COLUMN_CODES16: c->codes16[row] = (uint16_t)cell; break;
	case COLUMN_NUMBERS: c->cells[row] = cell; break;
	case COLUMN_SPARSE: pair_put(c, row, cell); break;
	default: assert(false);
	}
}

static void
cell_drop(struct column *c, uint64_t cell)
{
	uint32_t code = (uint32_t)cell;

	if (cell_is_code(cell) && code >= CODE_FIRST)
		dict_drop(&c->dict, code - CODE_FIRST);
}

struct value
column_value(const struct column *c, uint64_t cell)
{
	uint32_t code = (uint32_t)cell;

	if (!cell_is_code(cell))
		return (struct value){ .kind = V_NUMBER, .number = cell_number(cell) };
	switch (code) {
	case CODE_NULL: return (struct value){ .kind = V_NULL };
	case CODE_FALSE:
	case CODE_TRUE: return value_bool(code == CODE_TRUE);
	case CODE_ARRAY: return (struct value){ .kind = V_ARRAY };
	case CODE_OBJECT: return (struct value){ .kind = V_OBJECT };
	case CODE_STRING: return value_string(STR(""));
	case CODE_UNDEFINED:
	case CODE_STALE: return VALUE_UNDEFINED;
	default: return dict_value(&c->dict, code - CODE_FIRST);
	}
}

uint32_t
value_hash(const struct value *v)
{
	double number = v->kind == V_NUMBER ? v->number + 0.0 : 0; /* -0 equals 0 */
	struct str bytes =
	    v->kind == V_NUMBER ? (struct str){ (const char *)&number, sizeof(number) } : v->string;
	uint32_t h = (uint32_t)(hash_table(bytes) >> 32);

	if (h < 2 * CODE_FIRST)
		h += 2 * CODE_FIRST;
	return (h & ~1u) | (v->kind == V_NUMBER);
}

/* ---- from form to form ---- */

static void
to_codes16(struct column *c)
{
	uint8_t *old = c->codes8;

	dense_new(c, COLUMN_CODES16);
	for (uint32_t i = 0; i < c->rows; i++)
		c->codes16[i] = old[i];
	free(old);
}

/* Make the numbers among n cells entries of the dictionary; false, and no cell is changed, if there is no room. */
static bool
number_entries(struct column *c, uint64_t *cells, uint32_t n)
{
	uint32_t max = entries_max(c);

	for (uint32_t i = 0; i < n; i++) {
		struct value v = column_value(c, cells[i]);
		uint32_t entry;
		if (cell_is_code(cells[i]))
			continue;
		if ((entry = dict_take(&c->dict, &v, max, 0)) != TABLE_NONE) {
			cells[i] = cell_of_code(entry + CODE_FIRST);
			continue;
		}
		while (i-- > 0) {
			v = column_value(c, cells[i]);
			if (v.kind != V_NUMBER)
				continue;
			cell_drop(c, cells[i]);
			cells[i] = cell_of_number(v.number);
		}
		return false;
	}
	return true;
}

static void
to_dense(struct column *c)
{
	uint64_t *cells = c->cells;
	uint32_t *pairs = c->pairs, n = c->npair;
	bool codes = number_entries(c, cells, n);

	dense_new(c,
	    !codes                                   ? COLUMN_NUMBERS
	        : c->dict.n + CODE_FIRST > UINT8_MAX ? COLUMN_CODES16
	                                             : COLUMN_CODES8);
	for (uint32_t i = 0; i < n; i++)
		cell_put(c, pairs[i], cells[i]);
	free(cells);
	free(pairs);
}

/* Codes to cells or hashes. */
static void
to_wide(struct column *c, enum column_form form)
{
	struct column old = *c;

	dict_init(&c->dict);
	dense_new(c, form);
	for (uint32_t i = 0; i < c->rows; i++) {
		uint64_t cell = column_cell(&old, i);
		struct value v = column_value(&old, cell);
		if ((uint32_t)cell >= CODE_FIRST)
			column_set(c, i, &v);
		else if (form == COLUMN_HASHES)
			c->hashes[i] = (uint32_t)cell;
		else
			cell_put(c, i, cell);
	}
	free(old.codes8);
	dict_fini(&old.dict);
}

/* ---- setting ---- */

/* The cell of a number or string, with its reference; false: this form has no room for it. */
static bool
cell_take(struct column *c, const struct value *v, uint64_t *cell)
{
	bool direct = c->form == COLUMN_SPARSE || c->form == COLUMN_NUMBERS;
	uint32_t entry = TABLE_NONE;

	if (direct && v->kind == V_NUMBER) {
		*cell = cell_of_number(v->number);
		return true;
	}
	if (v->kind == V_NUMBER || v->string.n <= COLUMN_TEXT_MAX) {
		entry = dict_take(&c->dict, v, entries_max(c), text_max(c));
		if (entry == TABLE_NONE && !direct)
			return false;
	}
	*cell = cell_of_code(entry == TABLE_NONE ? CODE_STRING : entry + CODE_FIRST);
	return true;
}

static uint32_t
fixed_code(const struct value *v)
{
	switch (v->kind) {
	case V_NULL: return CODE_NULL;
	case V_BOOL: return v->truth ? CODE_TRUE : CODE_FALSE;
	case V_ARRAY: return CODE_ARRAY;
	case V_OBJECT: return CODE_OBJECT;
	default: return CODE_UNDEFINED;
	}
}

static void
cell_set(struct column *c, uint32_t row, uint64_t cell)
{
	uint64_t old = column_cell(c, row);

	if (c->form == COLUMN_CODES8 && (uint32_t)cell > UINT8_MAX)
		to_codes16(c);
	cell_put(c, row, cell);
	cell_drop(c, old);
	if (c->form == COLUMN_SPARSE && c->npair > pairs_max(c))
		to_dense(c);
}

void
column_set(struct column *c, uint32_t row, const struct value *v)
{
	bool held = v->kind == V_NUMBER || v->kind == V_STRING;
	uint64_t cell = cell_of_code(fixed_code(v));

	assert(row < c->rows && c->form != COLUMN_NONE);
	if (c->form == COLUMN_HASHES) {
		c->hashes[row] = held ? value_hash(v) : (uint32_t)cell;
		return;
	}
	if (held && !cell_take(c, v, &cell)) {
		to_wide(c, c->dict.numbers * 2 >= c->dict.held ? COLUMN_NUMBERS : COLUMN_HASHES);
		column_set(c, row, v); /* these forms take any value */
		return;
	}
	cell_set(c, row, cell);
}

void
column_set_stale(struct column *c, uint32_t row)
{
	if (c->form == COLUMN_HASHES)
		c->hashes[row] = CODE_STALE;
	else
		cell_set(c, row, cell_of_code(CODE_STALE));
}

/* ---- beginning and end ---- */

void
column_begin(struct column *c, uint32_t rows)
{
	assert(c->form == COLUMN_NONE);
	c->form = COLUMN_SPARSE;
	c->rows = rows;
	c->complete = false;
}

bool
column_saw(const struct column *c, uint32_t row)
{
	return row < c->built || (row < c->nseen && (c->seen[row / 8] >> row % 8 & 1));
}

void
column_see(struct column *c, uint32_t row, bool in)
{
	uint32_t n = row + 1 > c->rows ? row + 1 : c->rows;

	if (row >= c->nseen) {
		c->seen = xrealloc(c->seen, n / 8 + 1);
		memset(c->seen + (c->nseen + 7) / 8, 0, n / 8 + 1 - (c->nseen + 7) / 8);
		c->nseen = n;
	}
	if (in)
		c->seen[row / 8] |= (uint8_t)(1u << row % 8);
	else
		c->seen[row / 8] &= (uint8_t) ~(1u << row % 8);
}

/* What is of use only while it is built. */
static void
building_fini(struct column *c)
{
	free(c->seen);
	buf_fini(&c->next_key);
	c->seen = NULL;
	c->nseen = c->built = 0;
	c->swept = false;
}

void
column_advance(struct column *c, uint32_t rows)
{
	if (c->complete)
		return;
	while (c->built < rows && column_saw(c, c->built))
		c->built++;
	if (c->built < rows)
		return;
	building_fini(c);
	c->complete = true;
}

void
column_drop(struct column *c)
{
	building_fini(c);
	free(c->codes8);
	free(c->pairs);
	dict_fini(&c->dict);
	c->codes8 = NULL;
	c->pairs = NULL;
	c->room = c->npair = c->rows = 0;
	c->complete = false;
	c->form = COLUMN_NONE;
}

size_t
column_bytes(const struct column *c)
{
	size_t own = sizeof(*c) + c->key.n + c->path.nstep * sizeof(struct str) + c->nseen / 8 +
	    c->next_key.cap;

	if (c->form == COLUMN_NONE)
		return own;
	if (c->form == COLUMN_SPARSE)
		return own + c->room * 12 + dict_bytes(&c->dict);
	return own + c->room * widths[c->form] + dict_bytes(&c->dict);
}
