/* Values and how they compare: the table of Q-30. */
#include "value/value.h"

#include <math.h>

struct value
value_bool(bool v)
{
	return (struct value){ .kind = V_BOOL, .truth = v };
}

struct value
value_number(double v)
{
	return isfinite(v) ? (struct value){ .kind = V_NUMBER, .number = v } : VALUE_UNDEFINED;
}

struct value
value_real(double v)
{
	return isnan(v) ? VALUE_UNDEFINED : (struct value){ .kind = V_NUMBER, .number = v };
}

struct value
value_string(struct str s)
{
	return (struct value){ .kind = V_STRING, .string = s };
}

struct value
value_truth(enum truth t)
{
	return t == IS_UNDEFINED ? VALUE_UNDEFINED : value_bool(t == IS_TRUE);
}

struct value
value_of(struct doc d)
{
	switch (doc_kind(d)) {
	case DOC_NULL: return (struct value){ .kind = V_NULL };
	case DOC_FALSE: return value_bool(false);
	case DOC_TRUE: return value_bool(true);
	case DOC_INT:
	case DOC_DOUBLE: return value_number(doc_number(d));
	case DOC_STRING: return value_string(doc_str(d));
	case DOC_ARRAY: return (struct value){ .kind = V_ARRAY, .doc = d };
	case DOC_OBJECT: return (struct value){ .kind = V_OBJECT, .doc = d };
	default: return VALUE_UNDEFINED;
	}
}

static enum truth
truth_of(bool v)
{
	return v ? IS_TRUE : IS_FALSE;
}

enum truth
value_compare_result(enum relop op, int c)
{
	switch (op) {
	case REL_EQ: return truth_of(c == 0);
	case REL_NE: return truth_of(c != 0);
	case REL_LT: return truth_of(c < 0);
	case REL_LE: return truth_of(c <= 0);
	case REL_GT: return truth_of(c > 0);
	case REL_GE: return truth_of(c >= 0);
	}
	return IS_UNDEFINED;
}

static int
number_cmp(double a, double b)
{
	return (a > b) - (a < b);
}

enum truth
value_compare(enum relop op, const struct value *a, const struct value *b)
{
	bool equality = op == REL_EQ || op == REL_NE;

	if (a->kind == V_UNDEFINED || b->kind == V_UNDEFINED || a->kind >= V_ARRAY ||
	    b->kind >= V_ARRAY)
		return IS_UNDEFINED;
	if (a->kind == V_NULL || b->kind == V_NULL)
		return equality ? truth_of((a->kind == b->kind) == (op == REL_EQ)) : IS_UNDEFINED;
	if (a->kind != b->kind)
		return IS_UNDEFINED;
	if (a->kind == V_BOOL)
		return equality ? truth_of((a->truth == b->truth) == (op == REL_EQ)) : IS_UNDEFINED;
	if (a->kind == V_NUMBER)
		return value_compare_result(op, number_cmp(a->number, b->number));
	if (equality)
		return truth_of(str_eq(a->string, b->string) == (op == REL_EQ));
	return value_compare_result(op, utf16_cmp(a->string, b->string));
}

int
value_order(const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind) {
	case V_BOOL: return (int)a->truth - (int)b->truth;
	case V_NUMBER: return number_cmp(a->number, b->number);
	case V_STRING: return str_cmp(a->string, b->string);
	default: return 0;
	}
}

bool
value_equals(const struct value *v, struct doc d)
{
	struct value e = value_of(d);

	if (v->kind != e.kind)
		return false;
	if (v->kind >= V_ARRAY)
		return doc_equal(v->doc, d);
	return value_order(v, &e) == 0;
}

enum truth
truth_not(enum truth t)
{
	return t == IS_UNDEFINED ? t : t == IS_TRUE ? IS_FALSE : IS_TRUE;
}
