/*
 * What the files of query/ share.
 *
 * A plan is a tree in one arena: the condition as `struct expr`, the select list as `struct item`, and every path the
 * text names once in q->paths, which is also what a column store would be asked for. Chains of one operator are one
 * node with many children, so the depth of a tree, and with it the recursion of the evaluator, is bounded by
 * QUERY_DEPTH_MAX however long the text.
 */
#ifndef TWINHUB_QUERY_PRIV_H
#define TWINHUB_QUERY_PRIV_H

#include "query/query.h"
#include "value/value.h"

/* ---- lists (Q-36) ---- */

/* The constants of an IN, sorted by value_order; what cannot equal anything is left out. */
struct list {
	uint32_t n;
	unsigned kinds; /* bit per value_kind that occurs, also of those left out */
	const struct value *v;
};

void list_sort(struct value *v, uint32_t n);
enum truth list_has(const struct list *l, const struct value *v);

/* ---- paths (Q-20 to Q-26) ---- */

enum path_kind {
	PATH_UNKNOWN,    /* no such root: always undefined */
	PATH_ROOT,       /* a root field, and steps below it */
	PATH_SECTION,    /* tags, desired, reported, and steps below */
	PATH_PROPERTIES, /* the object of desired and reported */
	PATH_CONVERGED /* no path of the document: is desired, at the steps below it, reported? */
};

#define SLOTS_MAX 32u /* different paths of one plan that columns may stand for */

struct path {
	struct path *next; /* q->paths */
	enum path_kind kind;
	enum query_root root;
	enum section_kind section;
	const struct str *steps; /* below the root or section; all of them when unknown */
	unsigned nstep;
	struct str name; /* the last step as the document spells it */
	const char *at;  /* place in q->text */
	const char *end; /* behind it, blanks included */
	uint32_t slot;   /* the same for equal paths of a plan; SLOTS_MAX: one too many */
	bool in_condition;
	bool converged; /* what IS_CONVERGED asks of; no steps: of all */
	/* in HAVING and ORDER BY of groups: the aggregate that it stands for */
	const struct item *of;
};

/* Find what the steps mean in this collection; until then they are as written. ERR_PROTOCOL: a twin's path in a
 * collection of jobs. ERR_RANGE: not one that IS_CONVERGED can be asked of. */
enum err path_resolve(struct path *p, enum query_collection c);
bool path_equal(const struct path *a, const struct path *b);
/* All roots and sections of a collection's documents. */
struct query_needs path_all(enum query_collection c);

/* ---- rows ---- */

struct row {
	const struct query_row_ops *ops;
	const void *row;
	struct query_scratch *s;
	/* values of paths by slot, where columns stand for the row; or NULL */
	const struct value *bound;
};

void row_begin(const struct row *r);
/* The value of a path; valid until the next path_get of the row. */
struct doc path_get(const struct row *r, const struct path *p);
bool path_defined(const struct row *r, const struct path *p);
/* The value of a path, valid until the next row. `deep`: arrays and objects too, not their kind only. */
struct value path_value(const struct row *r, const struct path *p, bool deep);

/* ---- expressions ---- */

enum expr_kind {
	E_CONST,
	E_PATH,
	E_DEFINED,
	E_CALL,
	E_NEGATE,
	E_ARITH,
	E_COMPARE,
	E_IN,
	E_NOT,
	E_AND,
	E_OR
};

struct expr {
	enum expr_kind kind;
	char before;        /* as an operand of E_ARITH: the operator that stands before it */
	struct expr *first; /* operands */
	struct expr *next;  /* next operand of the parent */
	union {
		struct value constant;
		const struct path *path;
		const struct function *function;
		const struct list *list;
		enum relop relop;
	};
};

enum truth expr_truth(const struct row *r, const struct expr *e);

/* ---- the plan ---- */

enum item_kind {
	ITEM_PATH,
	ITEM_COUNT,
	ITEM_AVG,
	ITEM_SUM,
	ITEM_MIN,
	ITEM_MAX,
	ITEM_DISTINCT /* COUNT(DISTINCT path) */
};

struct item {
	struct item *next;
	enum item_kind kind;
	struct path *path; /* not of ITEM_COUNT */
	struct str alias;  /* p NULL: none */
	struct str key;    /* the member's name in quotes, and a colon */
	bool hidden;       /* an aggregate of HAVING or ORDER BY only */
	const char *at;
	/* aggregates: number of the tally; paths of an aggregate plan: of the grouped path */
	uint32_t slot;
};

/* One key of ORDER BY. Of groups, the path's slot counts grouped paths first, then tallies, as in HAVING. */
struct sort {
	struct sort *next;
	struct path *path;
	bool down; /* DESC */
};

struct query {
	struct arena arena;
	struct query_facts facts;
	struct str text; /* a copy: what points into it lives as long as the plan */
	struct path *paths;
	const struct path *slots[SLOTS_MAX]; /* the first of each set of equal paths */
	uint32_t nslot;
	struct expr *where; /* NULL: none */
	struct item *items; /* of those with one name the last only */
	uint32_t nitem, ntally;
	struct item *groups; /* GROUP BY, or the items of DISTINCT; kind ITEM_PATH */
	uint32_t ngroup;
	bool distinct;
	struct expr *having; /* on paths of `refs`; NULL: none */
	struct path *refs;   /* of HAVING and ORDER BY of groups: no paths of rows */
	struct sort *order;
	uint32_t nhidden;
	const char *dash;          /* the first minus without blanks behind a path; NULL: none */
	const struct path *dashed; /* that path */
};

/* ---- lexer ---- */

enum token_kind { TOK_END, TOK_BAD, TOK_NAME, TOK_QUOTED, TOK_NUMBER, TOK_STRING, TOK_OP };

struct token {
	enum token_kind kind;
	char op; /* the character; 'n' for != and <>, 'l' for <=, 'g' for >= */
	const char *at;
	struct str text; /* names and strings as they are meant; the rest as written */
	double number;
};

struct parser {
	struct query *q;
	struct fault *f;
	struct token tok;     /* the one looked at */
	const char *p, *end;  /* what is behind it */
	unsigned column_base; /* characters of the completed text before ours */
	unsigned depth;
	struct buf values; /* stack of list elements */
	bool in_condition;
	bool extensions; /* */
	bool past;       /* */
	bool of_groups;  /* paths go to q->refs */
	bool in_pattern; /* the next string is one of LIKE */
};

void lex_next(struct parser *p);                        /* a fault gives TOK_BAD */
bool tok_word(const struct token *t, const char *word); /* an unquoted name, without case */
bool tok_reserved(const struct token *t);               /* */
bool tok_op(const struct token *t, char op);

/* ---- parser: functions return false or NULL when the fault is set ---- */

bool parse_fault(struct parser *p, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* "unexpected 'x'"; what: what would have been right. */
bool parse_unexpected(struct parser *p, const char *what);
bool parse_word(struct parser *p, const char *word); /* take the word if it is next */
bool parse_op(struct parser *p, char op);
/* a-b, which may have been meant as one name: noted behind the minus, with the operand before it. */
void review_dash(struct parser *p, const struct token *minus, const struct expr *before);
/* Is it the name of an aggregate? kind may be NULL. */
bool item_aggregate(const struct token *name, enum item_kind *kind);
/* A name that can begin a path. */
bool parse_at_name(const struct parser *p);
/* HAVING and ORDER BY of groups, behind `name (`: an aggregate, as a path that stands for it. */
struct path *parse_tally(struct parser *p, const struct token *name);
/* Behind `IS_CONVERGED(`: what it asks of. */
struct path *parse_converged(struct parser *p, const struct token *name);
/* HAVING and ORDER BY: extend.c. */
bool parse_having(struct parser *p);
bool parse_order(struct parser *p);
/* Does AS OF with its time stand here, and no alias? */
bool parse_at_past(struct parser *p);
/* The same, if it stands here: false on a fault alone. */
bool parse_past(struct parser *p);
/* DISTINCT: take the word if it is one here. */
void parse_distinct(struct parser *p);
/* A path of the plan, as written. */
struct path *path_new(
    struct parser *p, const struct token *at, const struct str *steps, unsigned nstep);
/* The rest of a path whose first step has been taken. */
struct path *parse_path(struct parser *p, const struct token *first);
struct expr *parse_condition(struct parser *p);
/* Checks and facts, after all has been read. */
bool plan_finish(struct parser *p);
/* time.c: constants with an offset that are compared with times of documents become times in UTC. */
void plan_times(struct query *q);
/* extend.c: before paths are resolved, aliases in ORDER BY of rows; then what refs mean; groups of DISTINCT. */
void plan_order_aliases(struct query *q);
bool plan_refs(struct parser *p);
bool plan_distinct(struct parser *p);
/* No path is of what is not known of then. */
bool plan_past(struct parser *p);

/* ---- groups ---- */

struct tally {
	uint64_t n; /* rows for COUNT, numbers for the rest */
	double v;   /* the sum, or the extreme so far */
};

struct group {
	size_t key, keylen; /* in keys */
};

/* A value that COUNT(DISTINCT) has met: group and slot, big-endian, then the value as a group key. */
struct met {
	size_t key, keylen; /* in keys of met */
};

struct met_values {
	struct buf keys;
	struct met *v;
	uint32_t n, cap;
	struct table table;
};

struct query_groups {
	const struct query *q;
	size_t max_bytes;
	struct met_values met;
	struct buf keys, key; /* key: of the row at hand */
	struct group *group;
	struct tally *tally;
	uint32_t *order, nresult; /* after query_groups_finish */
	uint32_t n, cap;
	struct table table;
};

/* The group of a key, made if there is none. ERR_SIZE as query_groups_add. */
enum err groups_find(struct query_groups *g, struct str key, uint32_t *out, struct fault *f);

/* COUNT(DISTINCT) of `it` in a group: a value that is neither an array nor an object. */
enum err groups_meet(struct query_groups *g, uint32_t group, const struct item *it,
    const struct value *value, struct fault *f);

/* The same of a value as a group key; it is defined. */
enum err groups_meet_key(
    struct query_groups *g, uint32_t group, uint32_t slot, struct str value, struct fault *f);
/* The i-th value that it has met, as a group key; of which group and slot. */
struct str groups_met(const struct query_groups *g, uint32_t i, uint32_t *group, uint32_t *slot);
/* The key of the i-th group. */
struct str groups_key(const struct query_groups *g, uint32_t i);

/* Add n numbers whose sum or extreme is v. */
static inline void
tally_add(struct tally *t, enum item_kind kind, uint64_t n, double v)
{
	if (n == 0)
		return;
	if (kind == ITEM_MIN)
		t->v = t->n == 0 || v < t->v ? v : t->v;
	else if (kind == ITEM_MAX)
		t->v = t->n == 0 || v > t->v ? v : t->v;
	else
		t->v += v;
	t->n += n;
}

/* ---- ORDER BY: a row's key is put into the buffer that order_begin gives ---- */

struct buf *order_begin(struct query_order *o);
bool order_wants(const struct query_order *o);

/* ---- group keys: bytes whose memcmp order is the order of the values ---- */

void key_put(struct buf *key, struct doc d, struct arena *a);
/* The same of a value that is neither an array nor an object. */
void key_put_value(struct buf *key, const struct value *v);
/* Write the value at *at as JSON and move past it; json NULL moves only. False: it is undefined. */
bool key_write(struct buf *json, struct rd *at);
/* The value at *at, strings in the arena, and move past it; of arrays and objects the kind only. */
struct value key_value(struct rd *at, struct arena *a);
/* What has been put since `from`, for the reverse order. */
void key_invert(struct buf *key, size_t from);
/* Is what stands at *at, any bytes, a value exactly as key_put writes one? Move past it. */
bool key_check(struct rd *at);
/* A valid one: is it undefined? */
bool key_undefined(struct str key);

/* ---- parts of a query as bytes ---- */

enum partial_kind { PARTIAL_GROUPS = 'g', PARTIAL_ORDER = 'o' };

/* rows of any fleet, and so few that no sum of counts of all its parts wraps */
#define PARTIAL_ROWS_MAX (UINT64_C(1) << 48)

/* Append the frame's beginning; the body is appended by the caller, about `room` bytes; then partial_end with what this returned. */
size_t partial_begin(struct buf *out, enum partial_kind kind, const struct query *q, size_t room);
void partial_end(struct buf *out, size_t from);
/* Take a part off the front of `parts`; body: a view. ERR_CORRUPT: it is not whole, of another kind, query or format. */
enum err partial_take(
    struct str *parts, enum partial_kind kind, const struct query *q, struct str *body);
/* ERR_CORRUPT, and the fault says so. */
enum err partial_damaged(struct fault *f);

#endif
