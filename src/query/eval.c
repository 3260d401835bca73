/* Conditions on a row: three-valued logic, comparisons, arithmetic, calls. */
#include "query/priv.h"

#include <math.h>

static struct value expr_value(const struct row *r, const struct expr *e);

static struct value
arith(char op, struct value a, struct value b)
{
	if (a.kind != V_NUMBER || b.kind != V_NUMBER)
		return VALUE_UNDEFINED;
	switch (op) {
	case '+': return value_number(a.number + b.number);
	case '-': return value_number(a.number - b.number);
	case '*': return value_number(a.number * b.number);
	case '/': return b.number == 0 ? VALUE_UNDEFINED : value_number(a.number / b.number);
	default:
		return b.number == 0 ? VALUE_UNDEFINED
		                     : value_number(fmod(a.number, b.number)); /* */
	}
}

static struct value
eval_arith(const struct row *r, const struct expr *e)
{
	const struct expr *c = e->first;
	struct value v = expr_value(r, c);

	while ((c = c->next) != NULL && v.kind == V_NUMBER)
		v = arith(c->before, v, expr_value(r, c));
	return v.kind == V_NUMBER ? v : VALUE_UNDEFINED;
}

static struct value
eval_call(const struct row *r, const struct expr *e)
{
	struct value args[VALUE_ARGS_MAX];
	struct value v;
	unsigned n = 0;

	for (const struct expr *c = e->first; c != NULL; c = c->next)
		args[n++] = c->kind == E_PATH ? path_value(r, c->path, e->function->deep)
		                              : expr_value(r, c);
	v = e->function->call(&r->s->values, args, n);
	return v.kind == V_NUMBER ? value_number(v.number) : v; /* */
}

static struct value
expr_value(const struct row *r, const struct expr *e)
{
	struct value v;

	switch (e->kind) {
	case E_CONST: return e->constant;
	case E_PATH: return path_value(r, e->path, false);
	case E_CALL: return eval_call(r, e);
	case E_ARITH: return eval_arith(r, e);
	case E_NEGATE:
		v = expr_value(r, e->first);
		return v.kind == V_NUMBER ? value_number(-v.number) : VALUE_UNDEFINED;
	default: return value_truth(expr_truth(r, e));
	}
}

static enum truth
eval_compare(const struct row *r, const struct expr *e)
{
	struct value a = expr_value(r, e->first), b;

	if (a.kind == V_UNDEFINED)
		return IS_UNDEFINED;
	b = expr_value(r, e->first->next);
	return value_compare(e->relop, &a, &b);
}

/* AND is false as soon as one operand is, OR true; else undefined if one is. */
static enum truth
eval_logic(const struct row *r, const struct expr *e, enum truth decides)
{
	enum truth result = truth_not(decides);

	for (const struct expr *c = e->first; c != NULL; c = c->next) {
		enum truth t = expr_truth(r, c);
		if (t == decides)
			return t;
		if (t == IS_UNDEFINED)
			result = t;
	}
	return result;
}

enum truth
expr_truth(const struct row *r, const struct expr *e)
{
	struct value v;

	switch (e->kind) {
	case E_AND: return eval_logic(r, e, IS_FALSE);
	case E_OR: return eval_logic(r, e, IS_TRUE);
	case E_NOT: return truth_not(expr_truth(r, e->first));
	case E_COMPARE: return eval_compare(r, e);
	case E_DEFINED: return path_defined(r, e->path) ? IS_TRUE : IS_FALSE;
	case E_IN: v = expr_value(r, e->first); return list_has(e->list, &v);
	default:
		v = expr_value(r, e);
		return v.kind != V_BOOL ? IS_UNDEFINED : v.truth ? IS_TRUE : IS_FALSE;
	}
}

bool
query_match(const struct query *q, const struct query_row_ops *ops, const void *row,
    struct query_scratch *s)
{
	struct row r = { ops, row, s, NULL };

	if (q->where == NULL)
		return !q->facts.nothing;
	row_begin(&r);
	return expr_truth(&r, q->where) == IS_TRUE;
}
