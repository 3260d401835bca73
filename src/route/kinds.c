/*
 * What is known of kinds when a condition is compiled. Properties are strings, constants and results of functions are what they
 * are; paths of bodies and twins are dynamic and pass every check. Literal undefined does, too: what it makes undefined is so.
 */
#include "route/priv.h"

static const char *
kind_name(unsigned is)
{
	switch (is) {
	case V_UNDEFINED: return "undefined";
	case V_NULL: return "null";
	case V_BOOL: return "bool";
	case V_NUMBER: return "number";
	case V_STRING: return "string";
	default: return "unknown";
	}
}

static bool
is_open(unsigned is)
{
	return is == KIND_DYNAMIC || is == V_UNDEFINED;
}

/* What the operands of an operator should be; KIND_DYNAMIC: one kind, whichever. */
static unsigned
kind_wanted(char op)
{
	switch (op) {
	case OP_AND:
	case OP_OR:
	case OP_NOT: return V_BOOL;
	case OP_CONCAT: return V_STRING;
	case '+':
	case '-':
	case '*':
	case '/':
	case '%': return V_NUMBER;
	default: return KIND_DYNAMIC;
	}
}

/* where a literal null counts as something. */
static bool
fits(unsigned is, unsigned wanted)
{
	return is == wanted || is_open(is) || (is == V_NULL && wanted != V_STRING);
}

bool
kinds_of_operator(
    struct parser *p, const struct token *op, const struct expr *left, const struct expr *right)
{
	unsigned wanted = kind_wanted(op->op),
	         expected = wanted == KIND_DYNAMIC ? left->is : wanted;
	bool fit = wanted == KIND_DYNAMIC ? is_open(left->is) || left->is == V_NULL ||
	        right->is == V_NULL || fits(right->is, left->is)
	                                  : fits(left->is, wanted) && fits(right->is, wanted);

	return fit ||
	    fault_at(p, op->at, op->end,
	        "Invalid operands to binary operator '" STR_FMT
	        "': have '%s' and '%s', expected '%s' and '%s'",
	        STR_ARG(op->text), kind_name(left->is), kind_name(right->is), kind_name(expected),
	        kind_name(expected));
}

bool
kinds_of_unary(struct parser *p, const struct token *op, const struct expr *operand)
{
	unsigned wanted = op->op == OP_NOT ? V_BOOL : V_NUMBER;

	return fits(operand->is, wanted) ||
	    fault_at(p, op->at, op->end,
	        "Invalid operands to unary operator '" STR_FMT "': have '%s', expected '%s'",
	        STR_ARG(op->text), kind_name(operand->is), kind_name(wanted));
}

static bool
takes(char letter, unsigned is)
{
	if (letter == '*' || is == KIND_DYNAMIC)
		return true;
	return (is == V_STRING && letter != 'n') || (is == V_NUMBER && letter != 's');
}

#define SHOWN_ARGUMENTS 8u

bool
kinds_of_call(struct parser *p, const struct token *name, const struct function *f,
    const struct expr *call, unsigned n)
{
	const char *letter = f->takes;
	bool fit = n >= f->min && n <= f->max;
	struct buf shown = { 0 };
	unsigned i = 0;

	for (const struct expr *a = call->first; a != NULL; a = a->next, i++) {
		fit &= takes(*letter, a->is);
		if (letter[1] != '\0')
			letter++;
		if (i < SHOWN_ARGUMENTS)
			buf_printf(&shown, "%s%s", i > 0 ? ", " : "", kind_name(a->is));
		else if (i == SHOWN_ARGUMENTS)
			buf_cstr(&shown, ", ...");
	}
	if (!fit)
		fault_at(p, name->at, name->end,
		    "Invalid arguments to built-in function '" STR_FMT "': " STR_FMT "(" STR_FMT
		    ")",
		    STR_ARG(name->text), STR_ARG(name->text), STR_ARG(buf_view(&shown)));
	buf_fini(&shown);
	return fit;
}

unsigned
kind_of_result(char op, unsigned left, unsigned right)
{
	switch (op) {
	case '+':
	case '-':
	case '*':
	case '/':
	case '%': return left == KIND_DYNAMIC || right == KIND_DYNAMIC ? KIND_DYNAMIC : V_NUMBER;
	case OP_CONCAT: return V_STRING;
	case OP_COALESCE:
		if (left == KIND_DYNAMIC || right == KIND_DYNAMIC)
			return KIND_DYNAMIC;
		return left <= V_NULL ? right : left;
	default: return V_BOOL;
	}
}

void
null_counts(struct expr *operand, char op)
{
	unsigned wanted = kind_wanted(op);

	if (operand->kind != E_CONST || operand->constant.kind != V_NULL)
		return;
	if (wanted == V_BOOL)
		operand->constant = value_bool(false);
	else if (wanted == V_NUMBER)
		operand->constant = value_number(0);
	else
		return;
	operand->is = wanted;
}
