/*
 * Random conditions against a model that has neither text nor parser: a tree is drawn, printed with no more parentheses than precedence
 * asks for (or some more), compiled and judged; the tree itself is judged by the lines below. Leaves are paths of a body, so that kinds
 * are known at run time only, and constants.
 */
#include "rnd.h"
#include "route_kit.h"

#include <math.h>

static const char body[] = "{'t':true,'f':false,'n':2,'m':-3.5,'z':0,'s':'a','u':'b','o':{}}";

struct leaf {
	const char *text;
	struct value v;
};

#define NUMBER(x)                                                                                  \
	{                                                                                          \
		.kind = V_NUMBER, .number = (x)                                                    \
	}
static const struct leaf bools[] = { { "true", { .kind = V_BOOL, .truth = true } },
	{ "false", { .kind = V_BOOL } }, { "$body.t", { .kind = V_BOOL, .truth = true } },
	{ "$body.f", { .kind = V_BOOL } }, { "undefined", { .kind = V_UNDEFINED } } };
static const struct leaf numbers[] = { { "1", NUMBER(1) }, { "-2.5", NUMBER(-2.5) },
	{ "$body.n", NUMBER(2) }, { "$body.m", NUMBER(-3.5) }, { "$body.z", NUMBER(0) },
	{ "1e400", NUMBER(INFINITY) } };
static const struct leaf strings[] = { { "'a'", { .kind = V_STRING, .string = { "a", 1 } } },
	{ "$body.s", { .kind = V_STRING, .string = { "a", 1 } } },
	{ "$body.u", { .kind = V_STRING, .string = { "b", 1 } } },
	{ "absent", { .kind = V_UNDEFINED } } };
/* of another kind than is asked for: null is what it is, an object nothing */
static const struct leaf strangers[] = { { "$body.none", { .kind = V_NULL } },
	{ "$body.o", { .kind = V_OBJECT } }, { "$body.n", NUMBER(2) },
	{ "$body.t", { .kind = V_BOOL, .truth = true } } };
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum node_kind { LEAF, UNARY, BINARY };

struct node {
	enum node_kind kind;
	const struct leaf *leaf;
	const char *op;
	unsigned level; /* of precedence: 0 is the lowest, 9 an operand */
	const struct node *left, *right;
};

/* ---- drawing ---- */

static const struct node *draw(
    struct arena *a, struct rnd *r, enum value_kind want, unsigned depth);

static const struct node *
draw_leaf(struct arena *a, struct rnd *r, enum value_kind want)
{
	struct node *n = arena_alloc(a, sizeof(*n));

	n->level = 9;
	if (rnd_below(r, 8) == 0)
		n->leaf = &strangers[rnd_below(r, COUNT(strangers))];
	else if (want == V_BOOL)
		n->leaf = &bools[rnd_below(r, COUNT(bools))];
	else if (want == V_NUMBER)
		n->leaf = &numbers[rnd_below(r, COUNT(numbers))];
	else
		n->leaf = &strings[rnd_below(r, COUNT(strings))];
	return n;
}

static const struct operator
{
	const char *op;
	unsigned level;
	enum value_kind gives, takes; /* V_NULL: either two numbers or two strings */
	bool unary;
}
operators[] = { { "OR", 1, V_BOOL, V_BOOL, false }, { "AND", 2, V_BOOL, V_BOOL, false },
	{ "=", 3, V_BOOL, V_NULL, false }, { "!=", 3, V_BOOL, V_NULL, false },
	{ "<", 4, V_BOOL, V_NULL, false }, { "<=", 4, V_BOOL, V_NULL, false },
	{ ">", 4, V_BOOL, V_NULL, false }, { ">=", 4, V_BOOL, V_NULL, false },
	{ "NOT", 7, V_BOOL, V_BOOL, true }, { "+", 5, V_NUMBER, V_NUMBER, false },
	{ "-", 5, V_NUMBER, V_NUMBER, false }, { "*", 6, V_NUMBER, V_NUMBER, false },
	{ "/", 6, V_NUMBER, V_NUMBER, false }, { "%", 6, V_NUMBER, V_NUMBER, false },
	{ "-", 8, V_NUMBER, V_NUMBER, true }, { "||", 5, V_STRING, V_STRING, false } };

static const struct node *
draw(struct arena *a, struct rnd *r, enum value_kind want, unsigned depth)
{
	const struct operator* o;
	enum value_kind takes;
	struct node *n;

	if (depth == 0 || rnd_below(r, 6) == 0)
		return draw_leaf(a, r, want);
	n = arena_alloc(a, sizeof(*n));
	if (rnd_below(r, 8) == 0) { /* ?? is there for every kind */
		*n = (struct node){ .kind = BINARY, .op = "??" };
		n->left = draw(a, r, want, depth - 1);
		n->right = draw(a, r, want, depth - 1);
		return n;
	}
	do
		o = &operators[rnd_below(r, COUNT(operators))];
	while (o->gives != want);
	takes = o->takes != V_NULL ? o->takes : rnd_below(r, 2) ? V_NUMBER : V_STRING;
	*n = (struct node){ .kind = o->unary ? UNARY : BINARY, .op = o->op, .level = o->level };
	n->left = draw(a, r, takes, depth - 1);
	n->right = o->unary ? NULL : draw(a, r, takes, depth - 1);
	return n;
}

static void
print(struct buf *out, const struct node *n, unsigned least, struct rnd *r)
{
	bool parentheses = n->level < least || rnd_below(r, 10) == 0;

	buf_cstr(out, parentheses ? "(" : "");
	if (n->kind == LEAF) {
		buf_cstr(out, n->leaf->text);
	} else if (n->kind == UNARY) {
		buf_printf(out, "%s ", n->op);
		print(out, n->left, n->level, r);
	} else {
		print(out, n->left, n->level, r);
		buf_printf(out, " %s ", n->op);
		print(out, n->right, n->level + 1, r);
	}
	buf_cstr(out, parentheses ? ")" : "");
}

/* ---- the model ---- */

static struct value
real(double x)
{
	return isnan(x) ? VALUE_UNDEFINED : (struct value)NUMBER(x);
}

static struct value
boolean(bool v)
{
	return (struct value){ .kind = V_BOOL, .truth = v };
}

/* false 0, undefined 1, true 2: AND is the least, OR the greatest, NOT what is missing to 2. */
static int
rank(struct value v)
{
	return v.kind != V_BOOL ? 1 : v.truth ? 2 : 0;
}

static struct value
of_rank(int k)
{
	return k == 1 ? VALUE_UNDEFINED : boolean(k == 2);
}

static struct value
model_compare(const char *op, struct value a, struct value b)
{
	bool equality = op[0] == '=' || op[0] == '!';
	double x, y;

	if (a.kind != b.kind || a.kind == V_UNDEFINED || a.kind == V_OBJECT ||
	    (a.kind == V_BOOL && !equality))
		return VALUE_UNDEFINED;
	x = a.kind == V_NUMBER ? a.number : a.kind == V_BOOL ? a.truth : 0;
	y = b.kind == V_NUMBER ? b.number : b.kind == V_BOOL ? b.truth : 0;
	if (a.kind == V_STRING) {
		x = str_cmp(a.string, b.string);
		y = 0;
	}
	switch (op[0]) {
	case '=': return boolean(x == y);
	case '!': return boolean(x != y);
	case '<': return boolean(op[1] ? x <= y : x < y);
	default: return boolean(op[1] ? x >= y : x > y);
	}
}

static struct value
model_arithmetic(char op, struct value a, struct value b)
{
	if (a.kind != V_NUMBER || b.kind != V_NUMBER)
		return VALUE_UNDEFINED;
	switch (op) {
	case '+': return real(a.number + b.number);
	case '-': return real(a.number - b.number);
	case '*': return real(a.number * b.number);
	case '/': return real(a.number / b.number);
	default: return real(fmod(a.number, b.number));
	}
}

static struct value
model(const struct node *n, struct arena *a)
{
	struct value l, r;
	struct buf s = { 0 };

	if (n->kind == LEAF)
		return n->leaf->v;
	l = model(n->left, a);
	if (n->kind == UNARY)
		return n->op[0] == 'N'   ? of_rank(2 - rank(l))
		    : l.kind == V_NUMBER ? real(-l.number)
		                         : VALUE_UNDEFINED;
	r = model(n->right, a);
	if (n->op[0] == '?') /* all nulls here are missing ones */
		return l.kind == V_UNDEFINED || l.kind == V_NULL ? r : l;
	if (n->op[0] == 'A')
		return of_rank(rank(l) < rank(r) ? rank(l) : rank(r));
	if (n->op[0] == 'O')
		return of_rank(rank(l) > rank(r) ? rank(l) : rank(r));
	if (n->op[0] != '|')
		return n->level >= 5 ? model_arithmetic(n->op[0], l, r)
		                     : model_compare(n->op, l, r);
	if (l.kind != V_STRING || r.kind != V_STRING)
		return VALUE_UNDEFINED;
	buf_str(&s, l.string);
	buf_str(&s, r.string);
	l.string = arena_str(a, buf_view(&s));
	buf_fini(&s);
	return l;
}

static void
route_random__agrees_with_a_model(void **state)
{
	static const char *const words[] = { "false", "undefined", "true" };
	unsigned seen[3] = { 0 };
	struct rnd r = { 20261130 };
	struct sample s;

	(void)state;
	sample_init(&s, NULL, NULL, body, NULL);
	for (int i = 0; i < 20000; i++) {
		struct arena a = { 0 };
		struct buf text = { 0 };
		const struct node *n = draw(&a, &r, V_BOOL, 1 + rnd_below(&r, 5));
		int want = rank(model(n, &a));
		print(&text, n, 0, &r);
		buf_putc(&text, '\0');
		expect(&s, text.p, words[want]);
		seen[want]++;
		buf_fini(&text);
		arena_fini(&a);
	}
	for (int k = 0; k < 3; k++)
		assert_true(seen[k] > 2000);
	sample_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(route_random__agrees_with_a_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
