/* The functions of a condition (part 5, Q-83). IS_DEFINED is part of the grammar, not of this table. */
#include "value/value.h"

#include <math.h>

/* ---- predicates on strings and arrays ---- */

static struct value
starts_with(struct arena *a, const struct value *v, unsigned n)
{
	(void)a, (void)n;
	if (v[0].kind != V_STRING || v[1].kind != V_STRING)
		return VALUE_UNDEFINED;
	return value_bool(str_starts(v[0].string, v[1].string));
}

static struct value
ends_with(struct arena *a, const struct value *v, unsigned n)
{
	(void)a, (void)n;
	if (v[0].kind != V_STRING || v[1].kind != V_STRING)
		return VALUE_UNDEFINED;
	return value_bool(str_ends(v[0].string, v[1].string));
}

static struct value
contains(struct arena *a, const struct value *v, unsigned n)
{
	(void)a, (void)n;
	if (v[0].kind != V_STRING || v[1].kind != V_STRING)
		return VALUE_UNDEFINED;
	return value_bool(v[1].string.n == 0 ||
	    (v[0].string.n != 0 &&
	        memmem(v[0].string.p, v[0].string.n, v[1].string.p, v[1].string.n) != NULL));
}

static struct value
call_like(struct arena *a, const struct value *v, unsigned n)
{
	(void)a, (void)n;
	return v[0].kind == V_STRING ? value_bool(like_match(v[0].string, v[1].string))
	                             : VALUE_UNDEFINED;
}

/* The pattern is in lower case already. */
static struct value
call_ilike(struct arena *a, const struct value *v, unsigned n)
{
	(void)n;
	return v[0].kind == V_STRING
	    ? value_bool(like_match(text_lower(a, v[0].string), v[1].string))
	    : VALUE_UNDEFINED;
}

/* As v >= low AND v <= high. */
static struct value
call_between(struct arena *a, const struct value *v, unsigned n)
{
	enum truth low = value_compare(REL_GE, &v[0], &v[1]),
	           high = value_compare(REL_LE, &v[0], &v[2]);

	(void)a, (void)n;
	if (low == IS_FALSE || high == IS_FALSE)
		return value_bool(false);
	return low == IS_TRUE && high == IS_TRUE ? value_bool(true) : VALUE_UNDEFINED;
}

static struct value
array_contains(struct arena *a, const struct value *v, unsigned n)
{
	struct doc_iter it;
	struct doc d;
	struct str key;

	(void)a, (void)n;
	if (v[0].kind != V_ARRAY || v[1].kind == V_UNDEFINED)
		return VALUE_UNDEFINED;
	it = doc_iter(v[0].doc);
	while (doc_next(&it, &key, &d))
		if (value_equals(&v[1], d))
			return value_bool(true);
	return value_bool(false);
}

/* ---- kinds: of undefined all are false ---- */

#define IS_KIND(name, test)                                                                        \
	static struct value name(struct arena *a, const struct value *v, unsigned n)               \
	{                                                                                          \
		enum value_kind k = v[0].kind;                                                     \
		(void)a, (void)n;                                                                  \
		return value_bool(test);                                                           \
	}

IS_KIND(is_null, k == V_NULL)
IS_KIND(is_bool, k == V_BOOL)
IS_KIND(is_number, k == V_NUMBER && isfinite(v[0].number)) /* */
IS_KIND(is_string, k == V_STRING)
IS_KIND(is_array, k == V_ARRAY)
IS_KIND(is_object, k == V_OBJECT)
IS_KIND(is_primitive, k >= V_NULL && k <= V_STRING)

/* ---- numbers ---- */

#define OF_NUMBER(name, result)                                                                    \
	static struct value name(struct arena *a, const struct value *v, unsigned n)               \
	{                                                                                          \
		double x = v[0].kind == V_NUMBER ? v[0].number : NAN;                              \
		(void)a, (void)n;                                                                  \
		return value_real(result);                                                         \
	}

OF_NUMBER(call_abs, fabs(x))
OF_NUMBER(call_exp, exp(x))
OF_NUMBER(call_square, x *x)
OF_NUMBER(call_ceiling, ceil(x))
OF_NUMBER(call_floor, floor(x))
OF_NUMBER(call_sign, isnan(x) ? x : (double)((x > 0) - (x < 0)))
OF_NUMBER(call_sqrt, sqrt(x))

static struct value
call_power(struct arena *a, const struct value *v, unsigned n)
{
	(void)a, (void)n;
	if (v[0].kind != V_NUMBER || v[1].kind != V_NUMBER)
		return VALUE_UNDEFINED;
	return value_real(pow(v[0].number, v[1].number));
}

static struct value
as_number(struct arena *a, const struct value *v, unsigned n)
{
	struct str s;
	bool sign;
	double x;

	(void)n;
	if (v[0].kind == V_NUMBER)
		return v[0];
	if (v[0].kind != V_STRING)
		return VALUE_UNDEFINED;
	s = v[0].string;
	sign = s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
	if (s.n == (size_t)sign || number_scan(str_sub(s, sign)) != s.n - sign)
		return VALUE_UNDEFINED;
	x = number_read(a, str_sub(s, sign));
	return value_real(s.p[0] == '-' ? -x : x);
}

/* ---- strings ---- */

static struct value
bounded(struct str s)
{
	return s.n > VALUE_STRING_MAX ? VALUE_UNDEFINED : value_string(s);
}

static struct value
concat(struct arena *a, const struct value *v, unsigned n)
{
	size_t total = 0, at = 0;
	char *p;

	for (unsigned i = 0; i < n; i++) {
		if (v[i].kind != V_STRING)
			return VALUE_UNDEFINED;
		total += v[i].string.n;
	}
	if (total > VALUE_STRING_MAX)
		return VALUE_UNDEFINED;
	p = arena_alloc(a, total + 1);
	for (unsigned i = 0; i < n; i++) {
		bytes_copy(p + at, v[i].string.p, v[i].string.n);
		at += v[i].string.n;
	}
	return value_string((struct str){ p, total });
}

static struct value
length(struct arena *a, const struct value *v, unsigned n)
{
	(void)a, (void)n;
	return v[0].kind == V_STRING ? value_number((double)utf16_len(v[0].string))
	                             : VALUE_UNDEFINED;
}

static struct value
lower(struct arena *a, const struct value *v, unsigned n)
{
	(void)n;
	return v[0].kind == V_STRING ? bounded(text_lower(a, v[0].string)) : VALUE_UNDEFINED;
}

static struct value
upper(struct arena *a, const struct value *v, unsigned n)
{
	(void)n;
	return v[0].kind == V_STRING ? bounded(text_upper(a, v[0].string)) : VALUE_UNDEFINED;
}

/* A count of code units: a whole number that is not negative. */
static bool
units(const struct value *v, size_t *out)
{
	if (v->kind != V_NUMBER || !(v->number >= 0 && v->number <= 1e9) ||
	    v->number != trunc(v->number))
		return false;
	*out = (size_t)v->number;
	return true;
}

/* Out of range, or a cut through a surrogate pair: undefined. */
static struct value
substring(struct arena *a, const struct value *v, unsigned n)
{
	size_t start, count, from, to;
	struct str s = v[0].string;

	(void)a;
	if (v[0].kind != V_STRING || !units(&v[1], &start) || !utf16_offset(s, start, &from))
		return VALUE_UNDEFINED;
	s = str_sub(s, from);
	if (n == 2)
		return value_string(s);
	if (!units(&v[2], &count) || !utf16_offset(s, count, &to))
		return VALUE_UNDEFINED;
	return value_string((struct str){ s.p, to });
}

static struct value
index_of(struct arena *a, const struct value *v, unsigned n)
{
	struct str s = v[0].string;
	const char *at;

	(void)a, (void)n;
	if (v[0].kind != V_STRING || v[1].kind != V_STRING)
		return VALUE_UNDEFINED;
	if (v[1].string.n == 0)
		return value_number(0);
	at = s.n ? memmem(s.p, s.n, v[1].string.p, v[1].string.n) : NULL;
	return value_number(
	    at == NULL ? -1 : (double)utf16_len((struct str){ s.p, (size_t)(at - s.p) }));
}

#define Q  LANG_QUERY
#define QE LANG_QUERY_EXTENDED
#define R  LANG_ROUTE

static const struct function functions[] = {
	{ "STARTSWITH", Q, "s", 2, 2, V_BOOL, false, starts_with },
	{ "ENDSWITH", Q, "s", 2, 2, V_BOOL, false, ends_with },
	{ "STARTS_WITH", QE | R, "s", 2, 2, V_BOOL, false, starts_with },
	{ "ENDS_WITH", QE | R, "s", 2, 2, V_BOOL, false, ends_with },
	{ "CONTAINS", QE | R, "s", 2, 2, V_BOOL, false, contains },
	{ "ARRAY_CONTAINS", Q, "*", 2, 2, V_BOOL, true, array_contains },
	{ "IS_NULL", Q | R, "*", 1, 1, V_BOOL, false, is_null },
	{ "IS_BOOL", Q | R, "*", 1, 1, V_BOOL, false, is_bool },
	{ "IS_NUMBER", Q | R, "*", 1, 1, V_BOOL, false, is_number },
	{ "IS_STRING", Q | R, "*", 1, 1, V_BOOL, false, is_string },
	{ "IS_ARRAY", Q | R, "*", 1, 1, V_BOOL, false, is_array },
	{ "IS_OBJECT", Q | R, "*", 1, 1, V_BOOL, false, is_object },
	{ "IS_PRIMITIVE", Q | R, "*", 1, 1, V_BOOL, false, is_primitive },
	{ "ABS", Q | R, "n", 1, 1, V_NUMBER, false, call_abs },
	{ "EXP", Q | R, "n", 1, 1, V_NUMBER, false, call_exp },
	{ "POWER", Q | R, "n", 2, 2, V_NUMBER, false, call_power },
	{ "SQUARE", Q | R, "n", 1, 1, V_NUMBER, false, call_square },
	{ "CEILING", Q | R, "n", 1, 1, V_NUMBER, false, call_ceiling },
	{ "FLOOR", Q | R, "n", 1, 1, V_NUMBER, false, call_floor },
	{ "SIGN", Q | R, "n", 1, 1, V_NUMBER, false, call_sign },
	{ "SQRT", Q | R, "n", 1, 1, V_NUMBER, false, call_sqrt },
	{ "AS_NUMBER", Q | R, "x", 1, 1, V_NUMBER, false, as_number },
	{ "CONCAT", Q | R, "s", 2, VALUE_ARGS_MAX, V_STRING, false, concat },
	{ "LENGTH", Q | R, "s", 1, 1, V_NUMBER, false, length },
	{ "LOWER", Q | R, "s", 1, 1, V_STRING, false, lower },
	{ "UPPER", Q | R, "s", 1, 1, V_STRING, false, upper },
	{ "SUBSTRING", Q | R, "sn", 2, 3, V_STRING, false, substring },
	{ "INDEX_OF", Q | R, "s", 2, 2, V_NUMBER, false, index_of },
};

const struct function function_like = { "LIKE", QE, "s", 2, 2, V_BOOL, false, call_like },
                      function_ilike = { "ILIKE", QE, "s", 2, 2, V_BOOL, false, call_ilike },
                      function_between = { "BETWEEN", QE, "*", 3, 3, V_BOOL, false, call_between };

const struct function *
function_find(struct str name, unsigned languages)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		if ((functions[i].languages & languages) != 0 &&
		    str_ieq(name, str_of(functions[i].name)))
			return &functions[i];
	return NULL;
}
