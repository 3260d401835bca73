/*
 * What the files of route/ share.
 *
 * A condition is a tree in one arena. Operators of one level of precedence are one node with many operands (E_FOLD), judged from left to
 * right, so the depth of the tree, and with it the recursion of who walks it, is bounded by ROUTE_DEPTH_MAX however long the text.
 *
 * A path that an existing body or twin does not have is null, and yet it is not defined: such a null has `truth` set.
 */
#ifndef TWINHUB_ROUTE_PRIV_H
#define TWINHUB_ROUTE_PRIV_H

#include "route/route.h"

/* ---- the tree ---- */

/* What is known of a value when the text is compiled: an enum value_kind, or that it is known only then. */
#define KIND_DYNAMIC (V_OBJECT + 1)

/* a.b[2].c: names, and behind each an index or NO_INDEX. */
struct path {
	const struct str *names;
	const int32_t *indexes;
	unsigned nstep;
};
#define NO_INDEX (-1)

enum expr_kind {
	E_CONST,
	E_PROPERTY, /* of the application */
	E_SYSTEM,
	E_BODY,
	E_TWIN,
	E_CHANGED, /* twin_change_includes */
	E_DEFINED,
	E_CALL,
	E_NEGATE,
	E_NOT,
	E_FOLD
};

struct expr {
	enum expr_kind kind;
	unsigned is;        /* enum value_kind or KIND_DYNAMIC */
	char before;        /* as an operand of E_FOLD: the operator that stands before it */
	struct expr *first; /* operands */
	struct expr *next;  /* next operand of the parent */
	struct str name;    /* E_PROPERTY, E_SYSTEM, E_BODY, E_TWIN: as written, with the $ */
	bool forced;        /* it stands in braces: no application property (8.2) */
	union {
		struct value constant;
		/* E_DEFINED, E_CALL; E_FOLD with OP_CONCAT: what it does */
		const struct function *function;
		struct path path;
	};
};

struct condition {
	struct arena arena;
	struct str text;
	struct expr *root; /* NULL: an empty text */
	struct route_needs needs;
};

/* ---- lexer ---- */

enum token_kind { TOK_END, TOK_BAD, TOK_OP, TOK_WORD, TOK_SYSTEM, TOK_NUMBER, TOK_STRING };

/* Operators of more than one character. */
#define OP_NE       'n' /* != and <> */
#define OP_LE       'l'
#define OP_GE       'g'
#define OP_CONCAT   '|'
#define OP_COALESCE '?'
#define OP_AND      'A'
#define OP_OR       'O'
#define OP_NOT      'N'

struct token {
	enum token_kind kind;
	char op;
	const char *at, *end;
	struct str text; /* strings as they are meant; the rest as written */
	double number;
};

struct parser {
	struct condition *c;
	struct route_error *error;
	struct token tok;    /* the one looked at */
	const char *p, *end; /* what is behind it */
	unsigned depth, nnode;
	bool twin_changes; /* */
	bool failed;
};

void route_lex_next(struct parser *p); /* a fault gives TOK_BAD */

/* The first fault counts. Returns false. */
bool fault_at(struct parser *p, const char *at, const char *end, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- paths ---- */

/* `a.b[0]`; false: it is none. */
bool path_parse(struct arena *a, struct str text, struct path *out);
/* An element of an array; what a step names. DOC_NONE: there is none. */
struct doc path_element(struct doc d, int32_t index);
struct doc path_step(struct doc d, const struct path *p, unsigned step);

/* ---- kinds (kinds.c): false when the fault is set ---- */

bool kinds_of_operator(
    struct parser *p, const struct token *op, const struct expr *left, const struct expr *right);
bool kinds_of_unary(struct parser *p, const struct token *op, const struct expr *operand);
bool kinds_of_call(struct parser *p, const struct token *name, const struct function *f,
    const struct expr *call, unsigned n);
/* What an operator gives, of operands whose kinds are right. */
unsigned kind_of_result(char op, unsigned left, unsigned right);
/* A literal null as operand counts as 0 or false. */
void null_counts(struct expr *operand, char op);

#endif
