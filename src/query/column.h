/*
 * One column: the value at a path, row by row.
 *
 * A value is a cell of 64 bits: a finite double is itself; all else is a code in the payload of a NaN. The first codes
 * are values that need no more (missing, null, booleans) and those whose content is not held (CODE_ARRAY to CODE_STALE:
 * "ask the document"); from CODE_FIRST on, entries of the column's dictionary.
 *
 *   SPARSE    rows in ascending order, a cell each; all other rows are undefined
 *   CODES*    a code a row; numbers are entries of the dictionary too
 *   NUMBERS   a cell a row
 *   HASHES    below CODE_FIRST a code, else a hash whose lowest bit tells numbers from strings; no dictionary
 *
 *   NONE      nothing is held: every row is stale. Where there is no column, column_none stands for it
 *
 * A column begins sparse and moves on when it outgrows its form: to CODES8 when too many rows have the path, to CODES16,
 * and, with too many different values, to NUMBERS if most of them are numbers, else to HASHES. It never moves back.
 */
#ifndef TWINHUB_QUERY_COLUMN_H
#define TWINHUB_QUERY_COLUMN_H

#include "query/columns.h"
#include "query/priv.h"

enum {
	CODE_UNDEFINED,
	CODE_NULL,
	CODE_FALSE,
	CODE_TRUE,
	CODE_ARRAY,
	CODE_OBJECT,
	CODE_STRING, /* one that the dictionary has no room for */
	CODE_STALE,  /* not known */
	CODE_FIRST
};

#define CELL_CODE UINT64_C(0x7FF8000000000000) /* a NaN */

static inline uint64_t
cell_of_code(uint32_t code)
{
	return CELL_CODE | code;
}

static inline bool
cell_is_code(uint64_t cell)
{
	return cell - CELL_CODE <= UINT32_MAX;
}

static inline uint64_t
cell_of_number(double v)
{
	uint64_t cell;

	memcpy(&cell, &v, sizeof(cell));
	return cell;
}

static inline double
cell_number(uint64_t cell)
{
	double v;

	memcpy(&v, &cell, sizeof(v));
	return v;
}

/* A code of a value that is not held: CODE_ARRAY to CODE_STALE. */
static inline bool
cell_unheld(uint64_t cell)
{
	return cell - cell_of_code(CODE_ARRAY) < CODE_FIRST - CODE_ARRAY;
}

/* ---- the dictionary: values with how many rows hold them ---- */

struct dict_entry {
	char *text; /* NULL: a number */
	union {
		size_t n; /* of text */
		double number;
	};
	uint32_t refs; /* 0: free */
	uint32_t next_free;
};

struct dict {
	struct dict_entry *v;
	uint32_t n, cap; /* entries, free ones too */
	uint32_t free;   /* the first free one, TABLE_NONE */
	uint32_t held, numbers;
	uint64_t generation; /* moves whenever an entry comes or goes */
	size_t text_bytes;
	struct table table;
};

void dict_init(struct dict *d);
void dict_fini(struct dict *d);
/* The entry of a number or string, with one reference more. Room: entries, and bytes of strings. TABLE_NONE: none. */
uint32_t dict_take(struct dict *d, const struct value *v, uint32_t max_entries, size_t max_bytes);
/* The entry of a string; TABLE_NONE if there is none. */
uint32_t dict_find(const struct dict *d, struct str text);
void dict_drop(struct dict *d, uint32_t entry);
struct value dict_value(const struct dict *d, uint32_t entry);
size_t dict_bytes(const struct dict *d);

/* ---- the column ---- */

struct column {
	uint64_t hash; /* of key */
	struct str key;
	struct path path; /* steps are the column's own */
	struct query_needs needs;
	uint64_t id;         /* of this content: another one after each dropping */
	uint64_t used, rest; /* ticks: last use; when it may be built again */
	uint32_t uses;
	enum column_form form;
	bool complete;
	/* while not complete: which rows are in */
	uint32_t built; /* those below */
	uint8_t *seen;  /* bit by row, for nseen rows */
	uint32_t nseen;
	bool swept;          /* records have been looked at in the order of keys, all of them, or */
	struct buf next_key; /* .. those below this key */
	uint32_t rows;       /* rows there are, at least */
	uint32_t room;       /* rows that the arrays hold; of COLUMN_SPARSE: pairs */
	uint32_t npair;      /* of COLUMN_SPARSE */
	union {
		uint8_t *codes8;
		uint16_t *codes16;
		uint64_t *cells; /* of COLUMN_SPARSE and COLUMN_NUMBERS */
		uint32_t *hashes;
	};
	uint32_t *pairs; /* rows of COLUMN_SPARSE */
	struct dict dict;
};

/* The column of a path that has none. */
extern const struct column column_none;

/* An empty column of `rows` rows. */
void column_begin(struct column *c, uint32_t rows);
void column_drop(struct column *c); /* back to COLUMN_NONE */
/* While it is built: is the row in? */
bool column_saw(const struct column *c, uint32_t row);
void column_see(struct column *c, uint32_t row, bool in);
/* Complete it if all rows below `rows` are in. */
void column_advance(struct column *c, uint32_t rows);
/* There are that many rows at least: the new ones are undefined. */
void column_reserve(struct column *c, uint32_t rows);
/* Of arrays and objects only the kind counts. row < c->rows. */
void column_set(struct column *c, uint32_t row, const struct value *v);
void column_set_stale(struct column *c, uint32_t row);
/* What is not held itself, as in COLUMN_HASHES and COLUMN_NONE: CODE_STALE. */
uint64_t column_cell(const struct column *c, uint32_t row);
/* The first pair of COLUMN_SPARSE at or after a row. */
uint32_t column_pair(const struct column *c, uint32_t row);
/* The value of a cell that is none of CODE_ARRAY to CODE_STALE; those give a value of their kind without content. */
struct value column_value(const struct column *c, uint64_t cell);
/* As COLUMN_HASHES holds a number or string: CODE_FIRST or more. */
uint32_t value_hash(const struct value *v);
size_t column_bytes(const struct column *c);

/* ---- the set ---- */

struct columns {
	struct column **v;
	uint32_t n;
	uint64_t tick, ids;
	size_t max_bytes;
	uint8_t *kinds;   /* enum row_kind by row */
	uint32_t nkind;   /* rows that have one */
	uint32_t rows;    /* that there are; at most nkind */
	uint64_t changes; /* moves with every change of a value, a kind, a column */
	columns_bring *bring;
	void *bring_rows;
};

/* The column of a path, counted as used; NULL if the path can have none. */
struct column *columns_use(struct columns *c, const struct path *p, uint32_t rows);
struct column *columns_find(const struct columns *c, const struct path *p);
/* Take a row into a column: at its path, or as undefined if ops is NULL. */
void column_take(struct column *c, uint32_t row, const struct query_row_ops *ops, const void *data,
    struct query_scratch *s);

#endif
