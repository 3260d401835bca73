/* Conditions: the expression part of the grammar, one function per level of precedence, lowest first. */
#include "query/priv.h"

#include <stdlib.h>

static struct expr *expr_or(struct parser *p);
static struct expr *parse_unary(struct parser *p);
static bool parse_constant(struct parser *p, struct value *out);

static struct expr *
expr_new(struct parser *p, enum expr_kind kind)
{
	struct expr *e = arena_alloc(&p->q->arena, sizeof(*e));

	e->kind = kind;
	return e;
}

static struct expr *
expr_unary(struct parser *p, enum expr_kind kind, struct expr *operand)
{
	struct expr *e;

	if (operand == NULL)
		return NULL;
	e = expr_new(p, kind);
	e->first = operand;
	return e;
}

static struct expr *
expr_constant(struct parser *p, struct value v)
{
	struct expr *e = expr_new(p, E_CONST);

	e->constant = v;
	return e;
}

/* NULL stays NULL. */
static struct expr *
expr_path(struct parser *p, const struct path *path)
{
	struct expr *e;

	if (path == NULL)
		return NULL;
	e = expr_new(p, E_PATH);
	e->path = path;
	return e;
}

static bool
enter(struct parser *p)
{
	if (++p->depth > QUERY_DEPTH_MAX)
		return parse_fault(p, p->tok.at, "more than %u levels of nesting", QUERY_DEPTH_MAX);
	return true;
}

/* ---- lists and constants ---- */

static bool
push_value(struct parser *p, size_t from, struct value v)
{
	if ((p->values.n - from) / sizeof(v) == QUERY_LIST_MAX)
		return parse_fault(p, p->tok.at, "more than %u values in a list", QUERY_LIST_MAX);
	buf_put(&p->values, &v, sizeof(v));
	return true;
}

/* The constants up to the closing bracket, pushed on p->values. */
static bool
parse_elements(struct parser *p, char close, size_t from)
{
	struct value v;

	do {
		if (!parse_constant(p, &v) || !push_value(p, from, v))
			return false;
	} while (parse_op(p, ','));
	return parse_op(p, close) ||
	    parse_unexpected(p, close == ')' ? "a comma or )" : "a comma or ]");
}

static void
put_value(struct doc_writer *dw, const struct value *v)
{
	switch (v->kind) {
	case V_UNDEFINED: break; /* no such thing in an array */
	case V_NULL: doc_put_null(dw, 0); break;
	case V_BOOL: doc_put_bool(dw, 0, v->truth); break;
	case V_NUMBER: doc_put_double(dw, 0, v->number); break;
	case V_STRING: doc_put_str(dw, 0, v->string); break;
	case V_ARRAY:
	case V_OBJECT: doc_put_copy(dw, 0, v->doc); break;
	}
}

/* Make an array of the values pushed since `from`, and pop them. */
static struct value
pop_array(struct parser *p, size_t from)
{
	struct buf out = { 0 };
	struct doc_writer dw;
	struct value v = { .kind = V_ARRAY };

	doc_writer_init(&dw, &out, 0);
	doc_begin_array(&dw, 0);
	for (size_t at = from; at < p->values.n; at += sizeof(v)) {
		struct value e;
		memcpy(&e, p->values.p + at, sizeof(e));
		put_value(&dw, &e);
	}
	doc_end(&dw);
	v.doc = doc_of(arena_str(&p->q->arena, buf_view(&out)));
	buf_fini(&out);
	p->values.n = from;
	return v;
}

static bool
parse_array(struct parser *p, struct value *out)
{
	size_t from = p->values.n;

	if (!enter(p))
		return false;
	lex_next(p);
	if (!parse_elements(p, ']', from))
		return false;
	*out = pop_array(p, from);
	p->depth--;
	return true;
}

static bool
word_constant(const struct token *t, struct value *out)
{
	if (tok_word(t, "true") || tok_word(t, "false"))
		*out = value_bool(tok_word(t, "true"));
	else if (tok_word(t, "null"))
		*out = (struct value){ .kind = V_NULL };
	else if (tok_word(t, "undefined"))
		*out = VALUE_UNDEFINED;
	else
		return false;
	return true;
}

/* A constant as lists have them: with a sign, if it is a number. */
static bool
parse_constant(struct parser *p, struct value *out)
{
	bool minus = tok_op(&p->tok, '-');

	if (minus || tok_op(&p->tok, '+')) {
		lex_next(p);
		if (p->tok.kind != TOK_NUMBER)
			return parse_unexpected(p, "a number");
	}
	if (p->tok.kind == TOK_NUMBER)
		*out = value_number(minus ? -p->tok.number : p->tok.number);
	else if (p->tok.kind == TOK_STRING)
		*out = value_string(p->tok.text);
	else if (tok_op(&p->tok, '['))
		return parse_array(p, out);
	else if (!word_constant(&p->tok, out))
		return parse_unexpected(p, "a constant");
	lex_next(p);
	return true;
}

static struct list *
pop_list(struct parser *p, size_t from)
{
	struct list *l = arena_alloc(&p->q->arena, sizeof(*l));
	struct value *v = arena_alloc(&p->q->arena, p->values.n - from);

	for (size_t at = from; at < p->values.n; at += sizeof(*v)) {
		memcpy(&v[l->n], p->values.p + at, sizeof(*v));
		l->kinds |= 1u << v[l->n].kind;
		if (v[l->n].kind != V_UNDEFINED && v[l->n].kind < V_ARRAY)
			l->n++;
	}
	p->values.n = from;
	list_sort(v, l->n);
	l->v = v;
	return l;
}

/* ---- primaries ---- */

static struct expr *
parse_defined(struct parser *p)
{
	struct token first = p->tok;
	struct expr *e = expr_new(p, E_DEFINED);

	if ((first.kind != TOK_NAME && first.kind != TOK_QUOTED) || tok_reserved(&first)) {
		parse_unexpected(p, "a path"); /* */
		return NULL;
	}
	lex_next(p);
	if ((e->path = parse_path(p, &first)) == NULL)
		return NULL;
	if (!parse_op(p, ')')) {
		parse_unexpected(p, ") after the path");
		return NULL;
	}
	return e;
}

static struct expr *
parse_args(struct parser *p, const struct token *name, const struct function *f)
{
	struct expr *e = expr_new(p, E_CALL), **tail = &e->first;
	unsigned n = 0;

	e->function = f;
	if (!tok_op(&p->tok, ')')) {
		do {
			if ((*tail = expr_or(p)) == NULL)
				return NULL;
			tail = &(*tail)->next;
			n++;
		} while (parse_op(p, ','));
	}
	if (!parse_op(p, ')')) {
		parse_unexpected(p, "a comma or )");
		return NULL;
	}
	if (f->deep && p->of_groups) {
		parse_fault(p, name->at, "%s looks into rows, not into groups", f->name);
		return NULL;
	}
	if (n < f->min || n > f->max) {
		parse_fault(p, name->at, "%u arguments for %s, which takes %u to %u", n, f->name,
		    f->min, f->max);
		return NULL;
	}
	return e;
}

/* Behind `name (`. */
static struct expr *
parse_call(struct parser *p, const struct token *name)
{
	const struct function *f = function_find(
	    name->text, p->extensions ? LANG_QUERY | LANG_QUERY_EXTENDED : LANG_QUERY);
	struct expr *e;

	if (!enter(p))
		return NULL;
	if (tok_word(name, "IS_DEFINED")) {
		e = parse_defined(p);
	} else if (p->extensions && tok_word(name, "IS_CONVERGED")) {
		e = expr_path(p, parse_converged(p, name));
	} else if (f != NULL) {
		e = parse_args(p, name, f);
	} else {
		parse_fault(p, name->at, "no function '" STR_FMT "' in a condition",
		    STR_ARG(text_shown(name->text)));
		return NULL;
	}
	p->depth--;
	return e;
}

static struct expr *
parse_name(struct parser *p)
{
	struct token first = p->tok;

	if (tok_reserved(&first)) {
		parse_unexpected(p, "a value");
		return NULL;
	}
	lex_next(p);
	if (first.kind != TOK_NAME || !parse_op(p, '('))
		return expr_path(p, parse_path(p, &first));
	if (p->of_groups && item_aggregate(&first, NULL))
		return expr_path(p, parse_tally(p, &first));
	return parse_call(p, &first);
}

/* Behind `(`: a condition, or a list of constants. */
static struct expr *
parse_parentheses(struct parser *p)
{
	size_t from = p->values.n;
	struct expr *e;

	if (!enter(p) || (e = expr_or(p)) == NULL)
		return NULL;
	if (e->kind == E_CONST && parse_op(p, ',')) {
		if (!push_value(p, from, e->constant) || !parse_elements(p, ')', from))
			return NULL;
		e = expr_constant(p, pop_array(p, from));
	} else if (!parse_op(p, ')')) {
		parse_unexpected(p, ")");
		return NULL;
	}
	p->depth--;
	return e;
}

static struct expr *
parse_primary(struct parser *p)
{
	struct value v;

	if (parse_op(p, '('))
		return parse_parentheses(p);
	if (p->tok.kind == TOK_NUMBER || p->tok.kind == TOK_STRING || tok_op(&p->tok, '[') ||
	    word_constant(&p->tok, &v))
		return parse_constant(p, &v) ? expr_constant(p, v) : NULL;
	if (p->tok.kind == TOK_NAME || p->tok.kind == TOK_QUOTED)
		return parse_name(p);
	parse_unexpected(p, "a value");
	return NULL;
}

/* ---- operators ---- */

static struct expr *
parse_unary(struct parser *p)
{
	struct expr *e;

	if (!parse_op(p, '-'))
		return parse_primary(p);
	if (!enter(p) || (e = parse_unary(p)) == NULL)
		return NULL;
	p->depth--;
	if (e->kind == E_CONST && e->constant.kind == V_NUMBER) {
		e->constant.number = -e->constant.number;
		return e;
	}
	return expr_unary(p, E_NEGATE, e);
}

/* operand { op operand }: one node for the whole chain */
static struct expr *
parse_chain(struct parser *p, struct expr *(*operand)(struct parser *), const char *ops)
{
	struct expr *e = operand(p), *last = e;

	if (e == NULL || p->tok.kind != TOK_OP || !char_among(p->tok.op, ops))
		return e;
	e = expr_unary(p, E_ARITH, e);
	while (p->tok.kind == TOK_OP && char_among(p->tok.op, ops)) {
		struct token op = p->tok;
		lex_next(p);
		review_dash(p, &op, last);
		if ((last->next = operand(p)) == NULL)
			return NULL;
		last = last->next;
		last->before = op.op;
	}
	return e;
}

static struct expr *
parse_term(struct parser *p)
{
	return parse_chain(p, parse_unary, "*/%");
}

static struct expr *
parse_sum(struct parser *p)
{
	return parse_chain(p, parse_term, "+-");
}

static bool
relop_of(const struct token *t, enum relop *out)
{
	static const char ops[] = "=n<l>g"; /* in the order of enum relop */
	if (t->kind != TOK_OP || !char_among(t->op, ops))
		return false;
	*out = (enum relop)(strchr(ops, t->op) - ops);
	return true;
}

static struct expr *
parse_in(struct parser *p, struct expr *left)
{
	struct expr *e = expr_unary(p, E_IN, left);
	size_t from = p->values.n;
	bool square = parse_op(p, '[');

	if (!square && !parse_op(p, '(')) {
		parse_unexpected(p, "a list in brackets");
		return NULL;
	}
	if (!parse_elements(p, square ? ']' : ')', from))
		return NULL;
	e->list = pop_list(p, from);
	return e;
}

/* ---- LIKE, ILIKE, BETWEEN (Q-88) ---- */

static struct expr *
call_of(struct parser *p, const struct function *f, struct expr *left, struct expr *second)
{
	struct expr *e;

	if (left == NULL || second == NULL)
		return NULL;
	e = expr_unary(p, E_CALL, left);
	e->function = f;
	left->next = second;
	return e;
}

/* Behind LIKE, with its pattern in p->tok. */
static struct expr *
parse_pattern(struct parser *p, struct expr *left, const struct function *f)
{
	struct str pattern = p->tok.text;
	size_t n = 0;

	if (p->tok.kind != TOK_STRING) {
		parse_unexpected(p, "a pattern in quotes");
		return NULL;
	}
	for (size_t i = 0; i < pattern.n; i++)
		n += ((unsigned char)pattern.p[i] & 0xC0) != 0x80;
	if (n > QUERY_PATTERN_MAX) {
		parse_fault(
		    p, p->tok.at, "more than %u characters in a pattern", QUERY_PATTERN_MAX);
		return NULL;
	}
	lex_next(p);
	if (f == &function_ilike)
		pattern = text_lower(&p->q->arena, pattern);
	return call_of(p, f, left, expr_constant(p, value_string(pattern)));
}

/* Of a path it is two comparisons, which columns judge at once; all else is not to be worked out twice. */
static struct expr *
between(struct parser *p, struct expr *left, struct expr *low, struct expr *high)
{
	struct expr *from, *to, *copy;

	if (left->kind != E_PATH) {
		low->next = high;
		return call_of(p, &function_between, left, low);
	}
	copy = expr_new(p, E_PATH);
	copy->path = left->path;
	from = expr_unary(p, E_COMPARE, left);
	from->relop = REL_GE;
	left->next = low;
	to = expr_unary(p, E_COMPARE, copy);
	to->relop = REL_LE;
	copy->next = high;
	from->next = to;
	return expr_unary(p, E_AND, from);
}

static struct expr *
parse_between(struct parser *p, struct expr *left)
{
	struct expr *low = parse_sum(p), *high;

	if (low == NULL)
		return NULL;
	if (!parse_word(p, "AND")) {
		parse_unexpected(p, "AND");
		return NULL;
	}
	high = parse_sum(p);
	return high != NULL ? between(p, left, low, high) : NULL;
}

/* Is one of the words next? Then *out is what it makes of `left`, NULL after a fault. */
static bool
parse_extension(struct parser *p, struct expr *left, struct expr **out)
{
	bool ilike = tok_word(&p->tok, "ILIKE");

	if (!p->extensions)
		return false;
	if (ilike || tok_word(&p->tok, "LIKE")) {
		p->in_pattern = true;
		lex_next(p);
		p->in_pattern = false;
		*out = parse_pattern(p, left, ilike ? &function_ilike : &function_like);
		return true;
	}
	if (!parse_word(p, "BETWEEN"))
		return false;
	*out = parse_between(p, left);
	return true;
}

static struct expr *
parse_comparison(struct parser *p)
{
	struct expr *e = parse_sum(p), *c;
	enum relop op;

	if (e == NULL)
		return NULL;
	if (relop_of(&p->tok, &op)) {
		lex_next(p);
		c = expr_unary(p, E_COMPARE, e);
		c->relop = op;
		if ((e->next = parse_sum(p)) == NULL)
			return NULL;
		if (relop_of(&p->tok, &op)) {
			parse_fault(p, p->tok.at,
			    "a comparison of a comparison: parentheses are needed"); /* */
			return NULL;
		}
		return c;
	}
	if (parse_word(p, "IN"))
		return parse_in(p, e);
	if (parse_word(p, "NIN"))
		return expr_unary(p, E_NOT, parse_in(p, e));
	if (parse_extension(p, e, &c))
		return c;
	if (!parse_word(p, "NOT"))
		return e;
	if (parse_extension(p, e, &c))
		return expr_unary(p, E_NOT, c);
	if (!parse_word(p, "IN")) {
		parse_unexpected(p, p->extensions ? "IN, LIKE, ILIKE or BETWEEN" : "IN");
		return NULL;
	}
	return expr_unary(p, E_NOT, parse_in(p, e));
}

static struct expr *
parse_not(struct parser *p)
{
	struct expr *e;

	if (!parse_word(p, "NOT"))
		return parse_comparison(p);
	if (!enter(p) || (e = parse_not(p)) == NULL)
		return NULL;
	p->depth--;
	return expr_unary(p, E_NOT, e);
}

static struct expr *
parse_logic(struct parser *p, enum expr_kind kind, const char *word,
    struct expr *(*operand)(struct parser *))
{
	struct expr *e = operand(p), *last = e;

	if (e == NULL || !tok_word(&p->tok, word))
		return e;
	e = expr_unary(p, kind, e);
	while (parse_word(p, word)) {
		if ((last->next = operand(p)) == NULL)
			return NULL;
		last = last->next;
	}
	return e;
}

static struct expr *
parse_and(struct parser *p)
{
	return parse_logic(p, E_AND, "AND", parse_not);
}

static struct expr *
expr_or(struct parser *p)
{
	return parse_logic(p, E_OR, "OR", parse_and);
}

struct expr *
parse_condition(struct parser *p)
{
	return expr_or(p);
}
