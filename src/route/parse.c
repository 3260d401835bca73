/* The grammar of 8.1: one level of precedence a row of the table below, lowest first, then NOT, signs and operands. */
#include "route/priv.h"

static struct expr *parse_level(struct parser *p, unsigned level);
static struct expr *parse_not(struct parser *p);

#define LOWEST 0u

/* The operators of each level. */
static const char *const levels[] = { (const char[]){ OP_COALESCE, 0 }, (const char[]){ OP_OR, 0 },
	(const char[]){ OP_AND, 0 }, (const char[]){ '=', OP_NE, 0 },
	(const char[]){ '<', OP_LE, '>', OP_GE, 0 }, (const char[]){ '+', '-', OP_CONCAT, 0 },
	"*/%" };
#define LEVELS (sizeof(levels) / sizeof(levels[0]))

/* ---- helpers ---- */

static bool
at_op(const struct parser *p, char op)
{
	return p->tok.kind == TOK_OP && p->tok.op == op;
}

static bool
take_op(struct parser *p, char op)
{
	if (!at_op(p, op))
		return false;
	route_lex_next(p);
	return true;
}

static struct expr *
unexpected(struct parser *p, const char *what)
{
	struct token t = p->tok;
	struct str shown = text_shown((struct str){ t.at, (size_t)(t.end - t.at) });

	if (t.kind == TOK_END)
		fault_at(p, t.at, t.end, "Syntax error: the text ends where %s should be", what);
	else if (t.kind == TOK_OP && t.op == ')' && p->depth == 0)
		fault_at(p, t.at, t.end, "Syntax error: unmatched closing ')'");
	else
		fault_at(p, t.at, t.end,
		    "Syntax error: unexpected '" STR_FMT "' where %s should be", STR_ARG(shown),
		    what);
	return NULL;
}

/* The ) of the ( at `open`. */
static bool
take_close(struct parser *p, const struct token *open, const char *what)
{
	if (take_op(p, ')'))
		return true;
	if (p->tok.kind == TOK_END)
		return fault_at(p, open->at, open->end, "Syntax error: missing closing ')'");
	unexpected(p, what);
	return false;
}

static bool
enter(struct parser *p)
{
	if (++p->depth > ROUTE_DEPTH_MAX)
		return fault_at(p, p->tok.at, p->tok.end,
		    "Syntax error: more than %u levels of nesting", ROUTE_DEPTH_MAX);
	return true;
}

static struct expr *
expr_new(struct parser *p, enum expr_kind kind, unsigned is)
{
	struct expr *e;

	if (++p->nnode > ROUTE_NODES_MAX) {
		fault_at(p, p->tok.at, p->tok.end, "Syntax error: more than %u operands and calls",
		    ROUTE_NODES_MAX);
		return NULL;
	}
	e = arena_alloc(&p->c->arena, sizeof(*e));
	e->kind = kind;
	e->is = is;
	return e;
}

static struct expr *
expr_constant(struct parser *p, struct value v)
{
	struct expr *e = expr_new(p, E_CONST, v.kind);

	if (e != NULL)
		e->constant = v;
	return e;
}

/* ---- operands ---- */

/* $body.path, $twin.path, or a system property; `forced`: in braces. */
static struct expr *
parse_system(struct parser *p, bool forced)
{
	static const struct {
		struct str prefix;
		enum expr_kind kind;
	} documents[] = { { { "$body.", 6 }, E_BODY }, { { "$twin.", 6 }, E_TWIN } };
	struct token t = p->tok;
	struct expr *e = expr_new(p, E_SYSTEM, V_STRING);

	if (e == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
		size_t n = documents[i].prefix.n;
		if (t.text.n < n || !str_ieq((struct str){ t.text.p, n }, documents[i].prefix))
			continue;
		e->kind = documents[i].kind;
		e->is = KIND_DYNAMIC;
		if (!path_parse(&p->c->arena, str_sub(t.text, n), &e->path)) {
			fault_at(p, t.at, t.end, "Syntax error: invalid path '" STR_FMT "'",
			    STR_ARG(text_shown(t.text)));
			return NULL;
		}
	}
	e->name = t.text;
	e->forced = forced;
	p->c->needs.body |= e->kind == E_BODY;
	p->c->needs.twin |= e->kind == E_TWIN;
	p->c->needs.system |= e->kind == E_SYSTEM;
	p->c->needs.properties |= !forced;
	route_lex_next(p);
	return e;
}

static struct expr *
parse_forced(struct parser *p)
{
	struct expr *e;

	route_lex_next(p);
	if (p->tok.kind != TOK_SYSTEM)
		return unexpected(p, "a system property");
	if ((e = parse_system(p, true)) == NULL)
		return NULL;
	return take_op(p, '}') ? e : unexpected(p, "}");
}

/* in lower case only. */
static bool
word_constant(struct str word, struct value *out)
{
	if (str_eq(word, STR("true")) || str_eq(word, STR("false")))
		*out = value_bool(word.n == 4);
	else if (str_eq(word, STR("null")))
		*out = (struct value){ .kind = V_NULL };
	else if (str_eq(word, STR("undefined")))
		*out = VALUE_UNDEFINED;
	else
		return false;
	return true;
}

/* ---- calls: name is the function's, and the ( has been taken ---- */

/* a path of a section of the twin, as it stands. */
static struct expr *
parse_changed(struct parser *p, const struct token *name, const struct token *open)
{
	static const char *const sections[] = { "tags", "properties.desired",
		"properties.reported" };
	struct token t = p->tok;
	struct expr *e = expr_new(p, E_CHANGED, V_BOOL);
	bool known = false;

	if (e == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		struct str s = str_of(sections[i]);
		known |= t.kind == TOK_WORD && t.text.n >= s.n &&
		    str_ieq((struct str){ t.text.p, s.n }, s) &&
		    (t.text.n == s.n || t.text.p[s.n] == '.');
	}
	if (t.kind == TOK_BAD)
		return NULL;
	if (!known || !path_parse(&p->c->arena, t.text, &e->path)) {
		fault_at(p, name->at, name->end,
		    "Invalid arguments to built-in function '" STR_FMT
		    "': it takes one path below tags, properties.desired or properties.reported",
		    STR_ARG(name->text));
		return NULL;
	}
	p->c->needs.body = true;
	route_lex_next(p);
	return take_close(p, open, ")") ? e : NULL;
}

/* The arguments up to the ), as operands of e; *n: how many. */
static bool
parse_arguments(struct parser *p, const struct token *open, struct expr *e, unsigned *n)
{
	struct expr **tail = &e->first;

	*n = 0;
	if (take_op(p, ')'))
		return true;
	do {
		if ((*tail = parse_level(p, LOWEST)) == NULL)
			return false;
		tail = &(*tail)->next;
		++*n;
	} while (take_op(p, ','));
	return take_close(p, open, "a comma or )");
}

static struct expr *
parse_function(struct parser *p, const struct token *name, const struct token *open)
{
	static const struct function defined = { "IS_DEFINED", LANG_ROUTE, "*", 1, 1, V_BOOL, false,
		NULL };
	bool is_defined = str_ieq(name->text, str_of(defined.name));
	const struct function *f = is_defined ? &defined : function_find(name->text, LANG_ROUTE);
	struct expr *e;
	unsigned n;

	if (f == NULL) {
		fault_at(p, name->at, name->end, "Invalid built-in function '" STR_FMT "'",
		    STR_ARG(text_shown(name->text)));
		return NULL;
	}
	if ((e = expr_new(p, is_defined ? E_DEFINED : E_CALL, f->gives)) == NULL)
		return NULL;
	e->function = f;
	return parse_arguments(p, open, e, &n) && kinds_of_call(p, name, f, e, n) ? e : NULL;
}

static struct expr *
parse_call(struct parser *p, const struct token *name, const struct token *open)
{
	struct expr *e;

	if (!enter(p))
		return NULL;
	if (p->twin_changes && str_ieq(name->text, STR("twin_change_includes")))
		e = parse_changed(p, name, open);
	else
		e = parse_function(p, name, open);
	p->depth--;
	return e;
}

static struct expr *
parse_word(struct parser *p)
{
	struct token word = p->tok, open;
	struct expr *e;
	struct value v;

	route_lex_next(p);
	open = p->tok;
	if (take_op(p, '('))
		return parse_call(p, &word, &open);
	if (word_constant(word.text, &v))
		return expr_constant(p, v);
	if ((e = expr_new(p, E_PROPERTY, V_STRING)) != NULL)
		e->name = word.text;
	p->c->needs.properties = true;
	return e;
}

static struct expr *
parse_parentheses(struct parser *p)
{
	struct token open = p->tok;
	struct expr *e;

	route_lex_next(p);
	if (!enter(p) || (e = parse_level(p, LOWEST)) == NULL ||
	    !take_close(p, &open, "an operator or )"))
		return NULL;
	p->depth--;
	return e;
}

static struct expr *
parse_primary(struct parser *p)
{
	struct token t = p->tok;

	switch (t.kind) {
	case TOK_BAD: return NULL;
	case TOK_WORD: return parse_word(p);
	case TOK_SYSTEM: return parse_system(p, false);
	case TOK_NUMBER: route_lex_next(p); return expr_constant(p, value_real(t.number));
	case TOK_STRING: route_lex_next(p); return expr_constant(p, value_string(t.text));
	case TOK_OP:
		if (t.op == '(')
			return parse_parentheses(p);
		if (t.op == '{')
			return parse_forced(p);
		break;
	case TOK_END: break;
	}
	return unexpected(p, "a value");
}

/* ---- operators ---- */

static struct expr *
parse_unary(
    struct parser *p, enum expr_kind kind, unsigned is, struct expr *(*operand)(struct parser *))
{
	struct token op = p->tok;
	struct expr *e;

	route_lex_next(p);
	if (!enter(p) || (e = expr_new(p, kind, is)) == NULL || (e->first = operand(p)) == NULL ||
	    !kinds_of_unary(p, &op, e->first))
		return NULL;
	null_counts(e->first, op.op);
	p->depth--;
	return e;
}

static struct expr *
parse_negative(struct parser *p)
{
	return at_op(p, '-') ? parse_unary(p, E_NEGATE, V_NUMBER, parse_negative)
	                     : parse_primary(p);
}

/* */
static struct expr *
parse_not(struct parser *p)
{
	return at_op(p, OP_NOT) ? parse_unary(p, E_NOT, V_BOOL, parse_not) : parse_negative(p);
}

static bool
at_level(const struct parser *p, unsigned level)
{
	return p->tok.kind == TOK_OP && char_among(p->tok.op, levels[level]);
}

/* The next operand of a fold, which began with an operator of its level. */
static bool
fold_more(struct parser *p, struct expr *fold, struct expr **tail, unsigned level)
{
	struct token op = p->tok;
	struct expr left = { .is = fold->is }, *right;

	route_lex_next(p);
	if ((right = parse_level(p, level + 1)) == NULL)
		return false;
	right->before = op.op;
	(*tail)->next = right;
	*tail = right;
	if (!kinds_of_operator(p, &op, &left, right))
		return false;
	if (op.op == OP_CONCAT)
		fold->function = function_find(STR("CONCAT"), LANG_ROUTE);
	fold->is = kind_of_result(op.op, fold->is, right->is);
	null_counts(right, op.op);
	return true;
}

static struct expr *
parse_level(struct parser *p, unsigned level)
{
	struct expr *first = level == LEVELS ? parse_not(p) : parse_level(p, level + 1), *fold,
	            *tail = first;

	if (first == NULL || level == LEVELS || !at_level(p, level))
		return first;
	if ((fold = expr_new(p, E_FOLD, first->is)) == NULL)
		return NULL;
	fold->first = first;
	null_counts(first, p->tok.op);
	while (at_level(p, level))
		if (!fold_more(p, fold, &tail, level))
			return NULL;
	return fold;
}

/* ---- all of it ---- */

static bool
parse_text(struct parser *p)
{
	struct str text = p->c->text;

	if (text.n > ROUTE_TEXT_MAX)
		return fault_at(p, text.p, text.p,
		    "Syntax error: %zu bytes of condition, more than %u", text.n, ROUTE_TEXT_MAX);
	if (!utf8_valid(text))
		return fault_at(
		    p, text.p, text.p, "Syntax error: the condition is not valid UTF-8");
	route_lex_next(p);
	if (p->tok.kind == TOK_END)
		return true;
	if ((p->c->root = parse_level(p, LOWEST)) == NULL)
		return false;
	if (p->tok.kind == TOK_END)
		return true;
	if (p->tok.kind != TOK_BAD)
		unexpected(p, "an operator");
	return false;
}

/* Can it be true of anything? */
static bool
never(const struct expr *root)
{
	if (root == NULL || (root->is != V_BOOL && root->is != KIND_DYNAMIC))
		return true;
	return root->kind == E_CONST && !root->constant.truth;
}

enum err
route_condition_compile(
    struct str text, unsigned sources, struct condition **out, struct route_error *error)
{
	struct condition *c = xcalloc(1, sizeof(*c));
	struct parser p = { .c = c, .error = error };

	*error = (struct route_error){ .text = "" };
	c->text = text.n > ROUTE_TEXT_MAX ? text : arena_str(&c->arena, text);
	p.p = c->text.p;
	p.end = str_end(c->text);
	p.twin_changes = (sources & ROUTE_SOURCE_BIT(ROUTE_TWIN_CHANGES)) != 0;
	if (!parse_text(&p)) {
		route_condition_free(c);
		return ERR_ARG;
	}
	c->needs.never = never(c->root);
	*out = c;
	return ERR_OK;
}

void
route_condition_free(struct condition *c)
{
	if (c == NULL)
		return;
	arena_fini(&c->arena);
	free(c);
}

const struct route_needs *
route_condition_needs(const struct condition *c)
{
	return &c->needs;
}
