/*
 * Random rows and random conditions: the plan's evaluator against a naive one that works on plain trees and knows
 * nothing of docs, sections or plans; the law of the three truths; and text that is no query at all.
 */
#include "query_fleet.h"
#include "rnd.h"

#include <math.h>

/* ---- plain values and rows ---- */

enum kind { UNDEF, NUL, BOOL, NUM, STRING, ARRAY, OBJECT };

struct val {
	enum kind kind;
	double num; /* also of BOOL */
	const char *text;
	struct val *first, *next; /* elements or members */
	const char *name;         /* of a member */
};

static struct val pool[4096];
static size_t pool_used;

static struct val *
val_new(enum kind kind)
{
	assert_true(pool_used < sizeof(pool) / sizeof(pool[0]));
	pool[pool_used] = (struct val){ .kind = kind };
	return &pool[pool_used++];
}

static const char *const texts[] = { "", "a", "ab", "abc", "b", "～", "😀", "aé", "É", "10", "9" };
static const char *const names[] = { "a", "b", "c", "k1", "k2" };
static const double numbers[] = { 0, 1, 2, -1, 0.5, 10, 9, -2.25, 1e15, 3 };

#define PICK(r, of) ((of)[rnd_below((r), sizeof(of) / sizeof((of)[0]))])

static struct val *
random_scalar(struct rnd *r)
{
	struct val *v = val_new(BOOL + rnd_below(r, 3));

	if (v->kind == BOOL)
		v->num = rnd_below(r, 2);
	else if (v->kind == NUM)
		v->num = PICK(r, numbers);
	else
		v->text = PICK(r, texts);
	return v;
}

static struct val *
random_val(struct rnd *r, int depth)
{
	struct val *v, **tail;
	bool object;

	if (depth == 0 || rnd_below(r, 3) > 0)
		return random_scalar(r);
	object = rnd_below(r, 3) > 0;
	v = val_new(object ? OBJECT : ARRAY);
	tail = &v->first;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (rnd_below(r, 2))
			continue;
		*tail = random_val(r, depth - 1);
		(*tail)->name = names[i];
		tail = &(*tail)->next;
	}
	return v;
}

static struct val *
val_get(struct val *v, const char *name)
{
	if (v == NULL || v->kind != OBJECT)
		return NULL;
	for (v = v->first; v != NULL; v = v->next)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static void
val_put(struct val *object, const char *name, struct val *v)
{
	struct val **tail = &object->first;

	while (*tail != NULL)
		tail = &(*tail)->next;
	v->name = name;
	*tail = v;
}

static void
val_json(struct buf *out, const struct val *v)
{
	char close = v->kind == ARRAY ? ']' : '}';

	switch (v->kind) {
	case UNDEF:
	case NUL: buf_cstr(out, "null"); break;
	case BOOL: buf_cstr(out, v->num != 0 ? "true" : "false"); break;
	case NUM: buf_printf(out, "%.17g", v->num); break;
	case STRING: buf_printf(out, "\"%s\"", v->text); break;
	case ARRAY:
	case OBJECT:
		buf_putc(out, v->kind == ARRAY ? '[' : '{');
		for (const struct val *m = v->first; m != NULL; m = m->next) {
			if (close == '}')
				buf_printf(out, "\"%s\":", m->name);
			val_json(out, m);
			if (m->next != NULL)
				buf_putc(out, ',');
		}
		buf_putc(out, close);
	}
}

/* A document as the fleet takes it: the sections' content at the root. */
static struct val *
random_row(struct rnd *r)
{
	static const char *const sections[] = { "tags", "desired", "reported" };
	struct val *row = val_new(OBJECT), *x509 = val_new(OBJECT), *s;

	val_put(row, "deviceId", val_new(STRING));
	row->first->text = PICK(r, texts);
	if (rnd_below(r, 2))
		val_put(row, "version", random_scalar(r));
	if (rnd_below(r, 2))
		val_put(row, "status", random_scalar(r));
	val_put(x509, "primaryThumbprint", rnd_below(r, 2) ? val_new(NUL) : random_scalar(r));
	val_put(row, "x509Thumbprint", x509);
	for (int i = 0; i < 3; i++) {
		while ((s = random_val(r, 3))->kind != OBJECT)
			;
		val_put(row, sections[i], s);
	}
	return row;
}

/* ---- conditions as trees ---- */

enum op { CONST, PATH, CALL, NEG, ARITH, COMPARE, IN, NOT, AND, OR };

struct tree {
	enum op op;
	const char *sign; /* of ARITH and COMPARE; the name of CALL */
	const char *path[4];
	int npath;
	struct val value, list[4];
	int nlist;
	struct tree *arg[4];
	int narg;
};

static struct tree tree_pool[512];
static size_t tree_used;

static const struct {
	const char *name;
	int narg;
} calls[] = { { "IS_DEFINED", 0 }, { "STARTSWITH", 2 }, { "ENDSWITH", 2 }, { "ARRAY_CONTAINS", 2 },
	{ "IS_NULL", 1 }, { "IS_BOOL", 1 }, { "IS_NUMBER", 1 }, { "IS_STRING", 1 },
	{ "IS_ARRAY", 1 }, { "IS_OBJECT", 1 }, { "IS_PRIMITIVE", 1 }, { "ABS", 1 }, { "SQRT", 1 },
	{ "FLOOR", 1 }, { "LENGTH", 1 }, { "CONCAT", 2 }, { "INDEX_OF", 2 }, { "SUBSTRING", 2 } };

static void
random_path(struct rnd *r, struct tree *t)
{
	static const char *const fields[] = { "deviceId", "version", "status", "nothing" };
	static const char *const sections[] = { "tags", "desired", "reported" };

	t->npath = 0;
	switch (rnd_below(r, 8)) {
	case 0:
	case 1:
	case 2: t->path[t->npath++] = PICK(r, fields); break;
	case 3:
		t->path[t->npath++] = "x509Thumbprint";
		t->path[t->npath++] = "primaryThumbprint";
		break;
	default:
		t->path[t->npath++] = PICK(r, sections);
		for (uint32_t n = 1 + rnd_below(r, 2); n > 0; n--)
			t->path[t->npath++] = PICK(r, names);
	}
}

static struct val
random_constant(struct rnd *r)
{
	struct val v = *random_scalar(r);

	if (rnd_below(r, 8) == 0)
		v.kind = rnd_below(r, 2) ? NUL : UNDEF;
	return v;
}

static struct tree *
random_tree(struct rnd *r, int depth)
{
	static const char *const ariths[] = { "+", "-", "*", "/", "%" };
	static const char *const relops[] = { "=", "!=", "<>", "<", "<=", ">", ">=" };
	struct tree *t = &tree_pool[tree_used++];
	uint32_t call = rnd_below(r, sizeof(calls) / sizeof(calls[0]));

	*t = (struct tree){ .op = depth == 0 ? rnd_below(r, 4) > 0 : rnd_below(r, OR + 1) };
	switch (t->op) {
	case CONST: t->value = random_constant(r); break;
	case PATH: random_path(r, t); break;
	case CALL:
		t->sign = calls[call].name;
		t->narg = calls[call].narg;
		if (t->narg == 0)
			random_path(r, t);
		break;
	case NEG:
	case NOT: t->narg = 1; break;
	case IN:
		t->narg = 1;
		t->sign = PICK(r, ((const char *const[]){ "IN", "NIN", "NOT IN" }));
		t->nlist = 1 + (int)rnd_below(r, 4);
		for (int i = 0; i < t->nlist; i++)
			t->list[i] = random_constant(r);
		break;
	case ARITH:
		t->narg = 2;
		t->sign = PICK(r, ariths);
		break;
	case COMPARE:
		t->narg = 2;
		t->sign = PICK(r, relops);
		break;
	case AND:
	case OR: t->narg = 2 + (int)rnd_below(r, 2); break;
	}
	for (int i = 0; i < t->narg; i++)
		t->arg[i] = random_tree(r, depth - 1);
	return t;
}

static void
val_text(struct buf *out, const struct val *v)
{
	if (v->kind == UNDEF)
		buf_cstr(out, "undefined");
	else if (v->kind == STRING)
		buf_printf(out, "'%s'", v->text);
	else
		val_json(out, v);
}

static void
path_text(struct buf *out, const struct tree *t)
{
	if (strcmp(t->path[0], "desired") == 0 || strcmp(t->path[0], "reported") == 0)
		buf_cstr(out, "properties.");
	for (int i = 0; i < t->npath; i++)
		buf_printf(out, "%s%s", i ? "." : "", t->path[i]);
}

static void
tree_text(struct buf *out, const struct tree *t)
{
	const char *between = t->op == AND ? " AND "
	    : t->op == OR                  ? " OR "
	    : t->op == CALL                ? ", "
	                                   : t->sign;

	if (t->op == CONST)
		val_text(out, &t->value);
	if (t->op == PATH)
		path_text(out, t);
	if (t->op == CONST || t->op == PATH)
		return;
	buf_cstr(out, t->op == CALL ? t->sign : "");
	buf_cstr(out, t->op == NOT ? "(NOT " : t->op == NEG ? "(- " : "(");
	if (t->op == CALL && t->narg == 0)
		path_text(out, t);
	for (int i = 0; i < t->narg; i++) {
		if (i > 0)
			buf_printf(out, " %s ", between);
		tree_text(out, t->arg[i]);
	}
	if (t->op == IN) {
		buf_printf(out, " %s [", t->sign);
		for (int i = 0; i < t->nlist; i++) {
			buf_cstr(out, i ? "," : "");
			val_text(out, &t->list[i]);
		}
		buf_putc(out, ']');
	}
	buf_putc(out, ')');
}

/* ---- the naive evaluator ---- */

static const struct val undefined = { .kind = UNDEF };

static struct val
boolean(bool b)
{
	return (struct val){ .kind = BOOL, .num = b };
}

static struct val
number(double v)
{
	return isfinite(v) ? (struct val){ .kind = NUM, .num = v } : undefined;
}

/* Code units of a string. */
static int
units(const char *s, uint16_t *out)
{
	const char *end = s + strlen(s);
	int n = 0;

	while (s < end) {
		uint32_t c = utf8_next(&s, end);
		if (c >= 0x10000) {
			out[n++] = (uint16_t)(0xD800 + ((c - 0x10000) >> 10));
			c = 0xDC00 + ((c - 0x10000) & 0x3FF);
		}
		out[n++] = (uint16_t)c;
	}
	return n;
}

static int
order(const struct val *a, const struct val *b)
{
	uint16_t x[64], y[64];
	int n, m;

	if (a->kind == NUM)
		return (a->num > b->num) - (a->num < b->num);
	n = units(a->text, x);
	m = units(b->text, y);
	for (int i = 0; i < n && i < m; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return (n > m) - (n < m);
}

static struct val
compare(const char *op, const struct val *a, const struct val *b)
{
	bool equal = strcmp(op, "=") == 0, unequal = strcmp(op, "!=") == 0 || strcmp(op, "<>") == 0;
	int c;

	if (a->kind == UNDEF || b->kind == UNDEF || a->kind >= ARRAY || b->kind >= ARRAY)
		return undefined;
	if (a->kind == NUL || b->kind == NUL)
		return equal || unequal ? boolean((a->kind == b->kind) == equal) : undefined;
	if (a->kind != b->kind || (a->kind == BOOL && !equal && !unequal))
		return undefined;
	if (a->kind == BOOL)
		return boolean((a->num == b->num) == equal);
	c = order(a, b);
	if (equal || unequal)
		return boolean((c == 0) == equal);
	return boolean(
	    (c < 0 && op[0] == '<') || (c > 0 && op[0] == '>') || (c == 0 && op[1] == '='));
}

static struct val
negated(struct val v)
{
	return v.kind == BOOL ? boolean(v.num == 0) : undefined;
}

static struct val
lookup(const struct tree *t, struct val *row)
{
	struct val *v = row;

	for (int i = 0; i < t->npath; i++)
		v = val_get(v, t->path[i]);
	return v != NULL ? *v : undefined;
}

static struct val
arith(const char *op, const struct val *a, const struct val *b)
{
	if (a->kind != NUM || b->kind != NUM)
		return undefined;
	switch (op[0]) {
	case '+': return number(a->num + b->num);
	case '-': return number(a->num - b->num);
	case '*': return number(a->num * b->num);
	case '/': return b->num == 0 ? undefined : number(a->num / b->num);
	default: return b->num == 0 ? undefined : number(fmod(a->num, b->num));
	}
}

static struct val
string_call(const char *name, const struct val *a, const struct val *b)
{
	static char joined[64][256];
	static unsigned njoined;
	size_t n, m;

	if (a->kind != STRING || b->kind != STRING)
		return undefined;
	n = strlen(a->text);
	m = strlen(b->text);
	if (strcmp(name, "STARTSWITH") == 0)
		return boolean(strncmp(a->text, b->text, m) == 0);
	if (strcmp(name, "ENDSWITH") == 0)
		return boolean(n >= m && strcmp(a->text + n - m, b->text) == 0);
	if (strcmp(name, "CONCAT") == 0) {
		char *out = joined[njoined++ % 64];
		assert_true(n + m < 64);
		memcpy(out, a->text, n);
		memcpy(out + n, b->text, m + 1);
		return (struct val){ .kind = STRING, .text = out };
	}
	uint16_t x[64], y[64];
	int nx = units(a->text, x), ny = units(b->text, y);
	for (int i = 0; i + ny <= nx; i++)
		if (memcmp(x + i, y, (size_t)ny * 2) == 0)
			return number(i);
	return number(-1);
}

static struct val
contains(const struct val *a, const struct val *b)
{
	struct val equal;

	if (a->kind != ARRAY || b->kind == UNDEF)
		return undefined;
	for (const struct val *e = a->first; e != NULL; e = e->next) {
		struct buf x = { 0 }, y = { 0 };
		bool same;
		/* members stand in one order in every random object, so equal text is deep equality */
		val_json(&x, e);
		val_json(&y, b);
		same = str_eq(buf_view(&x), buf_view(&y));
		buf_fini(&x);
		buf_fini(&y);
		equal = compare("=", e, b);
		if (e->kind >= ARRAY ? same && b->kind == e->kind
		                     : equal.kind == BOOL && equal.num != 0)
			return boolean(true);
	}
	return boolean(false);
}

static struct val
call1(const char *name, const struct val *a)
{
	static const struct {
		const char *name;
		enum kind from, to;
	} kinds[] = { { "IS_NULL", NUL, NUL }, { "IS_BOOL", BOOL, BOOL }, { "IS_NUMBER", NUM, NUM },
		{ "IS_STRING", STRING, STRING }, { "IS_ARRAY", ARRAY, ARRAY },
		{ "IS_OBJECT", OBJECT, OBJECT }, { "IS_PRIMITIVE", NUL, STRING } };
	uint16_t x[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(name, kinds[i].name) == 0)
			return boolean(a->kind >= kinds[i].from && a->kind <= kinds[i].to);
	if (strcmp(name, "LENGTH") == 0)
		return a->kind == STRING ? number(units(a->text, x)) : undefined;
	if (a->kind != NUM)
		return undefined;
	return number(strcmp(name, "ABS") == 0 ? fabs(a->num)
	        : strcmp(name, "SQRT") == 0    ? sqrt(a->num)
	                                       : floor(a->num));
}

/* From a unit to the end, by cutting characters off the front. */
static struct val
rest_of(const struct val *s, const struct val *from)
{
	const char *p, *end;
	double left;

	if (s->kind != STRING || from->kind != NUM || from->num < 0 ||
	    from->num != floor(from->num))
		return undefined;
	p = s->text;
	end = p + strlen(p);
	for (left = from->num; left > 0; left -= utf8_next(&p, end) >= 0x10000 ? 2 : 1)
		if (p == end)
			return undefined;
	return left < 0 ? undefined : (struct val){ .kind = STRING, .text = p };
}

static struct val
eval(const struct tree *t, struct val *row)
{
	struct val v[4] = { { .kind = UNDEF } };
	bool unknown = false, decided = false;

	for (int i = 0; i < t->narg; i++)
		v[i] = eval(t->arg[i], row);
	switch (t->op) {
	case CONST: return t->value;
	case PATH: return lookup(t, row);
	case NEG: return v[0].kind == NUM ? number(-v[0].num) : undefined;
	case NOT: return negated(v[0]);
	case ARITH: return arith(t->sign, &v[0], &v[1]);
	case COMPARE: return compare(t->sign, &v[0], &v[1]);
	case CALL:
		if (t->narg == 0)
			return boolean(lookup(t, row).kind != UNDEF);
		if (t->narg == 1)
			return call1(t->sign, &v[0]);
		if (strcmp(t->sign, "ARRAY_CONTAINS") == 0)
			return contains(&v[0], &v[1]);
		if (strcmp(t->sign, "SUBSTRING") == 0)
			return rest_of(&v[0], &v[1]);
		return string_call(t->sign, &v[0], &v[1]);
	case IN:
		for (int i = 0; i < t->nlist; i++) {
			struct val c = compare("=", &v[0], &t->list[i]);
			decided |= c.kind == BOOL && c.num != 0;
			unknown |= c.kind == UNDEF;
		}
		v[0] = decided ? boolean(true) : unknown ? undefined : boolean(false);
		return strcmp(t->sign, "IN") == 0 ? v[0] : negated(v[0]);
	case AND:
	case OR:
		for (int i = 0; i < t->narg; i++) {
			decided |= v[i].kind == BOOL && (v[i].num != 0) == (t->op == OR);
			unknown |= v[i].kind != BOOL;
		}
		return decided ? boolean(t->op == OR) : unknown ? undefined : boolean(t->op == AND);
	}
	return undefined;
}

/* ---- the tests ---- */

static bool
matches(struct fleet *fl, size_t row, const char *text)
{
	struct fault f;
	struct query *q;
	bool m;

	if (query_parse_condition(str_of(text), &q, &f))
		fail_msg("%s: %s", text, f.text);
	m = query_match(q, &fleet_ops, &fl->row[row], &fl->scratch);
	query_free(q);
	return m;
}

#define ROWS    24
#define QUERIES 2000

static void
random_fleet(struct fleet *fl, struct val **row, struct rnd *r)
{
	struct buf json = { 0 };

	pool_used = 0;
	fleet_init(fl, NULL, 0);
	for (int i = 0; i < ROWS; i++) {
		row[i] = random_row(r);
		json.n = 0;
		val_json(&json, row[i]);
		fleet_add(fl, buf_view(&json));
	}
	buf_fini(&json);
}

static void
query_match__agrees_with_naive_evaluator(void **state)
{
	struct rnd r = { 20260101 };
	struct val *row[ROWS];
	struct buf text = { 0 };
	unsigned kept = 0, dropped = 0;
	struct fleet fl;
	size_t rows_used;

	(void)state;
	random_fleet(&fl, row, &r);
	rows_used = pool_used;
	for (int i = 0; i < QUERIES; i++) {
		pool_used = rows_used;
		tree_used = 0;
		text.n = 0;
		struct tree *t = random_tree(&r, 1 + (int)rnd_below(&r, 4));
		tree_text(&text, t);
		buf_putc(&text, '\0');
		for (size_t k = 0; k < ROWS; k++) {
			struct val want = eval(t, row[k]);
			bool keep = want.kind == BOOL && want.num != 0;
			if (matches(&fl, k, text.p) != keep)
				fail_msg("query %d, row %zu: %s should %s", i, k, text.p,
				    keep ? "match" : "not match");
			kept += keep;
			dropped += !keep;
		}
	}
	assert_true(kept > QUERIES && dropped > QUERIES); /* the conditions are worth something */
	buf_fini(&text);
	fleet_fini(&fl);
}

/* Every row is kept by p, by NOT p, or by neither, and then p IS neither true nor false: IS_BOOL says which. */
static void
query_match__three_truths_partition_the_rows(void **state)
{
	struct rnd r = { 42 };
	struct val *row[ROWS];
	struct buf p = { 0 }, text = { 0 };
	unsigned seen[3] = { 0 };
	struct fleet fl;
	size_t rows_used;

	(void)state;
	random_fleet(&fl, row, &r);
	rows_used = pool_used;
	for (int i = 0; i < 500; i++) {
		pool_used = rows_used;
		tree_used = 0;
		p.n = 0;
		tree_text(&p, random_tree(&r, 3));
		buf_putc(&p, '\0');
		for (size_t k = 0; k < ROWS; k++) {
			bool in[3];
			static const char *const of[] = { "%s", "NOT (%s)", "NOT IS_BOOL(%s)" };
			for (int j = 0; j < 3; j++) {
				text.n = 0;
				buf_printf(&text, of[j], p.p);
				buf_putc(&text, '\0');
				in[j] = matches(&fl, k, text.p);
				seen[j] += in[j];
			}
			if (in[0] + in[1] + in[2] != 1)
				fail_msg("%s: true %d, false %d, undefined %d", p.p, in[0], in[1],
				    in[2]);
		}
	}
	assert_true(seen[0] > 100 && seen[1] > 100 && seen[2] > 100);
	buf_fini(&p);
	buf_fini(&text);
	fleet_fini(&fl);
}

/* ---- text that is no query ---- */

static void
try_text(struct fleet *fl, const struct buf *text)
{
	struct fault f = { .text = "" };
	struct query *q;

	if (query_parse(buf_view(text), NULL, &q, &f) == ERR_OK)
		fleet_run_plan(fl, q);
	else
		assert_true(f.code != F_NONE && f.text[0] != '\0');
	if (query_parse_condition(buf_view(text), &q, &f) == ERR_OK)
		fleet_run_plan(fl, q);
	else
		assert_true(f.code != F_NONE && f.text[0] != '\0');
}

static void
query_parse__survives_token_soup(void **state)
{
	static const char *const tokens[] = { "SELECT", "TOP", "*", "FROM", "devices",
		"devices.modules", ".", ",", "WHERE", "GROUP", "BY", "AS", "AND", "OR", "NOT", "IN",
		"NIN", "[", "]", "(", ")", "[[x y]]", "tags.a", "deviceId", "properties.reported.b",
		"'s'", "\"t\"", "1", "2.5e3", "0x1F", "=", "!=", "<", ">=", "+", "-", "/", "%",
		"COUNT()", "SUM(", "IS_DEFINED(", "LOWER(", "null", "undefined", "true", "/* c */",
		";", "'", "[[", "/*", "é", "#", "ORDER", "\\" };
	struct rnd r = { 7 };
	struct buf text = { 0 };
	struct val *row[ROWS];
	struct fleet fl;

	(void)state;
	random_fleet(&fl, row, &r);
	for (int i = 0; i < 20000; i++) {
		text.n = 0;
		if (rnd_below(&r, 2))
			buf_cstr(
			    &text, rnd_below(&r, 2) ? "SELECT * FROM devices WHERE " : "SELECT ");
		for (uint32_t n = rnd_below(&r, 24); n > 0; n--)
			buf_printf(&text, "%s%s", PICK(&r, tokens), rnd_below(&r, 4) ? " " : "");
		try_text(&fl, &text);
	}
	buf_fini(&text);
	fleet_fini(&fl);
}

static void
query_parse__survives_damaged_queries(void **state)
{
	static const char *const good[] = {
		"SELECT TOP 5 tags.site AS s, AVG(properties.reported.temp) t FROM devices WHERE "
		"tags.a NOT IN [1, -2.5, 'x'] "
		"AND (NOT is_defined(tags.[[my-key]]) OR ARRAY_CONTAINS([1, [2]], deviceId)) GROUP "
		"BY tags.site AS q;",
		"SELECT * FROM devices WHERE tags.n + 0x1F * 2 % 3 >= -1e3 AND tags.t = 'it\\'s "
		"\\u00e9' /* é */",
	};
	struct rnd r = { 99 };
	struct buf text = { 0 };
	struct val *row[ROWS];
	struct fleet fl;

	(void)state;
	random_fleet(&fl, row, &r);
	for (int i = 0; i < 10000; i++) {
		text.n = 0;
		buf_cstr(&text, good[i % 2]);
		for (uint32_t n = 1 + rnd_below(&r, 4); n > 0; n--)
			text.p[rnd_below(&r, (uint32_t)text.n)] =
			    (char)(rnd_below(&r, 4) ? 32 + rnd_below(&r, 95) : rnd_below(&r, 256));
		if (rnd_below(&r, 4) == 0)
			text.n = rnd_below(&r, (uint32_t)text.n + 1);
		try_text(&fl, &text);
	}
	buf_fini(&text);
	fleet_fini(&fl);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(query_match__agrees_with_naive_evaluator),
		cmocka_unit_test(query_match__three_truths_partition_the_rows),
		cmocka_unit_test(query_parse__survives_token_soup),
		cmocka_unit_test(query_parse__survives_damaged_queries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
