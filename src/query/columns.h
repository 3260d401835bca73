/*
 * columns: what the rows of a shard hold at the paths that queries ask for, side by side, so that a condition is judged a
 * block of rows at a time without a look at their documents.
 *
 *   struct columns   the columns of one shard. They are made for paths that are asked for, and dropped, least recently used
 *                    first, when they outgrow their memory. Who has the rows says how they are brought up to date
 *                    (columns_bring).
 *   struct vector    a plan made ready for blocks. It may look at any shard's columns, one after the other.
 *
 * A block's judgement says of each row: it matches, it does not, or its document must be asked (query_match). Where
 * there is no column, or a column does not hold a value itself (arrays, objects, long strings, too many different
 * ones), the answer is "ask": so the result is always that of the row evaluator.
 *
 *   vector_open(v, c, true, &s)                      a shard's turn begins
 *   while (vector_sweep(v, source, &s))              columns to be made: records in the order of their keys, if that is
 *           vector_take(v, row, ops, ...)            cheaper; in any number of turns
 *           vector_swept(v, key, ...)
 *   while (vector_wants(v, &row, &needs))            what is left: show it the rows, in any number of turns
 *           vector_show(v, row, kind, ops, ...)
 *   vector_judge(v, from, n, verdicts)               a block
 *   vector_add(v, verdicts, ...)                     aggregates: count what matches, up to a row that must be asked
 *
 * There is no way to a value but up to date. Both structures are opaque outside of query/ (scripts/rooms); whatever a caller has
 * from here that depends on a value is an answer of one of the calls above, of vector_learn, vector_order or column_report_shard,
 * and each of these asks columns_bring first (vector_settle, columns_settle; unit_query_fresh names them all). Within query/ a
 * plan's columns are had from vector_column, which those calls alone lead to. The rest tells forms and sizes.
 *
 * Rows may change at any time: what has been judged is what was true then, and what is judged, ordered or added next is
 * what is true now. Each turn begins with vector_open. Columns belong to one thread at a time, as does a vector; the plan may
 * be shared.
 */
#ifndef TWINHUB_QUERY_COLUMNS_H
#define TWINHUB_QUERY_COLUMNS_H

#include "query/query.h"

/* paths known of one shard, with a column or without; the least recently used goes */
#define COLUMNS_MAX     256u
#define COLUMN_TEXT_MAX 256u  /* bytes of a string that a column holds; longer ones are asked for */
#define VECTOR_ROWS     1024u /* rows of one block at most */

/* What a row number stands for. */
enum row_kind { ROW_FREE, ROW_DEVICE, ROW_MODULE };

struct columns;

/*
 * Say by columns_row_changed what has become of each row since the last time, and return how many rows there are. It is
 * called before every look at values; when nothing has changed it should cost next to nothing.
 */
typedef uint32_t columns_bring(void *rows, struct query_scratch *s);

/* max_bytes bounds what all columns hold together. bring NULL: columns_row_changed is called as rows change, all of them
 * once at the beginning. */
struct columns *columns_new(size_t max_bytes, columns_bring *bring, void *rows);
void columns_free(struct columns *c); /* NULL is fine */

/*
 * A row is new, gone or different: at the fields and sections in `changed`. `at_hand` says what ops can give: of the
 * rest is remembered that it must be asked. ops NULL for ROW_FREE.
 */
void columns_row_changed(struct columns *c, uint32_t row, enum row_kind kind,
    const struct query_needs *changed, const struct query_needs *at_hand,
    const struct query_row_ops *ops, const void *data, struct query_scratch *s);

/* Bring up to date now: for the sake of time only, while the records of changed rows are at hand. */
void columns_settle(struct columns *c, struct query_scratch *s);

/* Keep to the memory limit: to be called after a number of changes. */
void columns_trim(struct columns *c);

enum column_form {
	COLUMN_NONE,    /* there is none */
	COLUMN_SPARSE,  /* (row, value) of the few rows that have the path */
	COLUMN_CODES8,  /* a byte a row: number of the value in the column's dictionary */
	COLUMN_CODES16, /* two bytes a row */
	COLUMN_NUMBERS, /* eight bytes a row: numbers, and codes for all else */
	COLUMN_HASHES   /* four bytes a row: hashes of strings and numbers, nearly all different */
};
const char *column_form_name(enum column_form f); /* "sparse", "codes8", ... */

struct column_facts {
	enum column_form form;
	bool complete;         /* all rows are in */
	uint32_t uses, values; /* turns that asked for it; entries of its dictionary */
	uint32_t rows;         /* that have a cell */
	size_t bytes;
};
/* The n-th path that is known, for reports: its form and sizes, no row's value; false at the end. name: appended, as in a
 * query. */
bool columns_facts(const struct columns *c, uint32_t n, struct column_facts *out, struct buf *name);
size_t columns_bytes(const struct columns *c);
uint32_t columns_made(const struct columns *c); /* those that hold something */

/* ---- a plan on columns ---- */

struct vector;

/* The plan must outlive it. */
struct vector *vector_new(const struct query *q);
void vector_free(struct vector *v); /* NULL is fine */

/* Turn to a shard. `begins`: its first turn in this walk, which counts as one use of the paths. Columns that are not complete
 * then, or begun by it, are those that the walk takes part in making; once they are dropped it does so no more. s: for the
 * whole turn. */
void vector_open(struct vector *v, struct columns *c, bool begins, struct query_scratch *s);
/* Its row numbers are below this. */
uint32_t vector_rows(struct vector *v);

/*
 * Where the values of a column come from: a number of the caller's, 0 if they are to be had row by row only.
 */
typedef unsigned column_source(void *ctx, const struct query_needs *needs);
struct column_sweep {
	unsigned source;
	struct str from, to; /* keys [from, to); empty: the shard's first, the end of the shard */
};
/* Is there a column to be filled from a source in the order of keys, and which keys are next? Views stand until
 * vector_swept. */
bool vector_sweep(struct vector *v, column_source *source, void *ctx, struct column_sweep *sweep);
/* A row met in the sweep; what the columns have of it already stays, for it may be newer. */
void vector_take(struct vector *v, uint32_t row, const struct query_row_ops *ops, const void *data,
    struct query_scratch *s);
/* Keys up to and with `key` are in; all_to: all below `to` are. */
void vector_swept(struct vector *v, struct str key, bool all_to);

/* Is there a row to be shown, so that a column gets complete? Then which one, and what must be at hand. */
bool vector_wants(struct vector *v, uint32_t *row, struct query_needs *needs);
/* ops NULL for ROW_FREE. */
void vector_show(struct vector *v, uint32_t row, enum row_kind kind,
    const struct query_row_ops *ops, const void *data, struct query_scratch *s);

/* A row's verdict; with any other value it does not match. */
#define VERDICT_MATCH    1u
#define VERDICT_POSSIBLE 1u /* bit: it may match */
static inline bool
verdict_asks(uint8_t verdict)
{
	return verdict != VERDICT_MATCH && (verdict & VERDICT_POSSIBLE);
}

/* Judge rows [from, from + n), n at most VECTOR_ROWS; true if any of them may match. Rows that are not there do not. Of an
 * aggregate plan a row of which a grouped or aggregated value is not held is asked for too. */
bool vector_judge(struct vector *v, uint32_t from, uint32_t n, uint8_t *verdicts);

/* The documents of a row that was asked for are at hand, all that the condition needs (facts.match): what columns had
 * lost of it they may take in again. No verdict of the block judged last changes. */
void vector_learn(struct vector *v, uint32_t row, const struct query_row_ops *ops, const void *data,
    struct query_scratch *s);

/* Aggregates: count the rows that match among [i, n) of the block judged last, in order, up to the first one that must
 * be asked; *stop is its index, or n. Once anything has changed since it was judged, all that may match must be asked.
 * ERR_SIZE as query_groups_add. */
enum err vector_add(struct vector *v, const uint8_t *verdicts, uint32_t i, uint32_t n,
    struct query_groups *g, uint32_t *stop, struct fault *f);

/* ORDER BY: may this row, which matches, be one of the first? As query_order_wants, and in its place, unless the answer is
 * ORDER_ASK: then a sort key is not held, and the row has not been counted yet. */
enum order_view { ORDER_PASS, ORDER_TAKE, ORDER_ASK };
enum order_view vector_order(struct vector *v, uint32_t row, struct query_order *o);

/* Columns that are to be made in the shard opened last. */
uint32_t vector_builds(const struct vector *v);
/* For reports: paths of the plan that columns could stand for, and how many of them do in the shard opened last. */
void vector_facts(const struct vector *v, uint32_t *paths, uint32_t *held);

/* ---- reports: columns of many shards, path by path ---- */

/* paths of a report; the columns of others are put together in one line */
#define COLUMN_LINES_MAX 1024u

struct column_report;
struct column_report *column_report_new(void);
void column_report_free(struct column_report *r); /* NULL is fine */
/* Add all columns of a shard; *bytes grows by what they take together. */
void column_report_shard(
    struct column_report *r, struct columns *c, struct query_scratch *s, size_t *bytes);
/* Add the paths of a plan as they are in the shard that v was opened for last, and is done with. */
void column_report_plan(struct column_report *r, const struct vector *v);
/* The same when no column is looked at. */
void column_report_paths(struct column_report *r, const struct query *q);
void column_report_merge(struct column_report *into, const struct column_report *from);
/* The same by bytes, appended. ERR_CORRUPT: they are none; what has been added stays. */
void column_report_put(const struct column_report *r, struct buf *out);
enum err column_report_take(struct column_report *into, struct str from);
/* What it has of a path by its name: the form that most shards have, rows and bytes of all; false: nothing. */
bool column_report_find(const struct column_report *r, struct str name, struct column_facts *out);
/* Append a JSON array, in the order in which the paths were added. Of a plan: who gives its values, and which columns
 * it has made. */
void column_report_write(const struct column_report *r, bool of_plan, struct buf *json);

#endif
