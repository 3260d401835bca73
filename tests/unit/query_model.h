/*
 * For the tests of query/: random rows as plain trees, random conditions, their text, and a naive evaluator that knows
 * nothing of docs, sections, plans or columns.
 */
#ifndef QUERY_MODEL_H
#define QUERY_MODEL_H

#include "query_fleet.h"
#include "rnd.h"

#include <math.h>

#define MODEL_TEXT 8192 /* bytes of the longest string that a condition makes */

/* ---- plain values and rows ---- */

enum kind { UNDEF, NUL, BOOL, NUM, STRING, ARRAY, OBJECT };

struct val {
	enum kind kind;
	double num; /* also of BOOL */
	const char *text;
	struct val *first, *next; /* elements or members */
	const char *name;         /* of a member */
};

static struct val pool[1 << 17];
static size_t pool_used;

static inline struct val *
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

static inline struct val *
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

static inline struct val *
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

static inline struct val *
val_get(struct val *v, const char *name)
{
	if (v == NULL || v->kind != OBJECT)
		return NULL;
	for (v = v->first; v != NULL; v = v->next)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

static inline void
val_put(struct val *object, const char *name, struct val *v)
{
	struct val **tail = &object->first;

	while (*tail != NULL)
		tail = &(*tail)->next;
	v->name = name;
	*tail = v;
}

static inline void
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
static inline struct val *
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

/* ---- wide rows: paths whose values are few, many, nearly all different, long, or rare ---- */

static bool wide; /* conditions ask for these paths too */

static const char *const wide_names[] = { "flag", "state", "code", "level", "temp", "serial",
	"mixed", "long", "rare" };

static inline struct val *
text_val(const char *prefix, uint32_t number)
{
	static char kept[8192][16];
	static uint32_t nkept;
	char *text = kept[nkept++ % 8192];
	struct val *v = val_new(STRING);

	snprintf(text, sizeof(kept[0]), "%s%04u", prefix, (unsigned)number);
	v->text = text;
	return v;
}

static inline struct val *
number_val(double x)
{
	struct val *v = val_new(NUM);

	v->num = x;
	return v;
}

static inline struct val *
long_val(uint32_t number)
{
	static char kept[4][280];
	struct val *v = val_new(STRING);

	memset(kept[number], 'x', sizeof(kept[0]) - 1);
	kept[number][100] = (char)('a' + number);
	v->text = kept[number];
	return v;
}

static inline struct val *
wide_val(struct rnd *r, const char *name)
{
	struct val *v;

	switch (name[0]) {
	case 'f':
		v = val_new(BOOL);
		v->num = rnd_below(r, 2);
		return v;
	case 'c': return text_val("c", rnd_below(r, 300));
	case 't': return number_val((double)rnd_below(r, 100000) / 8 - 5000);
	case 'r': return number_val(rnd_below(r, 5));
	case 'm': return random_val(r, 1);
	case 'l': return name[1] == 'o' ? long_val(rnd_below(r, 4)) : number_val(rnd_below(r, 101));
	default: return text_val("s", rnd_below(r, name[1] == 't' ? 3 : 8000));
	}
}

/* What a device reports of what is desired: mostly that, now and then something else, nothing, or an acknowledgement. */
static inline struct val *
reported_of(struct rnd *r, const struct val *desired)
{
	struct val *v, *m;

	if (rnd_below(r, 12) == 0)
		return random_val(r, 1);
	v = val_new(desired->kind);
	v->num = desired->num;
	v->text = desired->text;
	if (desired->kind == ARRAY)
		v->first = desired->first;
	for (const struct val *d = desired->first; desired->kind == OBJECT && d != NULL;
	     d = d->next)
		if (rnd_below(r, 12) > 0)
			val_put(v, d->name, reported_of(r, d));
	if (rnd_below(r, 6) > 0)
		return v;
	m = val_new(OBJECT);
	val_put(m, "value", v);
	val_put(m, "ac", number_val(rnd_below(r, 4) ? 200 : 400));
	val_put(
	    m, "av", number_val(rnd_below(r, 4) ? 2 : 1)); /* of 2, the version of all content */
	return m;
}

/* Nine paths of tags, most of which most rows have; and a little of what random rows have. */
static inline struct val *
wide_row(struct rnd *r)
{
	struct val *row = val_new(OBJECT), *tags = val_new(OBJECT), *desired, *reported;

	val_put(row, "deviceId", text_val("d", rnd_below(r, 10000)));
	if (rnd_below(r, 2))
		val_put(row, "status", random_scalar(r));
	for (size_t i = 0; i < sizeof(wide_names) / sizeof(wide_names[0]); i++)
		if (rnd_below(r, 100) < (wide_names[i][0] == 'r' ? 2u : 90u))
			val_put(tags, wide_names[i], wide_val(r, wide_names[i]));
	val_put(row, "tags", tags);
	while ((desired = random_val(r, 2))->kind != OBJECT)
		;
	while ((reported = reported_of(r, desired))->kind != OBJECT)
		;
	val_put(row, "desired", desired);
	val_put(row, "reported", reported);
	return row;
}

/* ---- conditions as trees ---- */

/* LIKE and BETWEEN with `wide` only, as are the last two of `calls`. */
enum op { CONST, PATH, CALL, NEG, ARITH, COMPARE, IN, LIKE, BETWEEN, NOT, AND, OR };

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
	{ "FLOOR", 1 }, { "LENGTH", 1 }, { "CONCAT", 2 }, { "INDEX_OF", 2 }, { "SUBSTRING", 2 },
	{ "CONTAINS", 2 }, { "IS_CONVERGED", 0 } };
#define NWIDE_CALLS 2

static inline void
random_path(struct rnd *r, struct tree *t)
{
	static const char *const fields[] = { "deviceId", "version", "status", "nothing" };
	static const char *const sections[] = { "tags", "desired", "reported" };

	t->npath = 0;
	if (wide && rnd_below(r, 3) > 0) {
		t->path[t->npath++] = "tags";
		t->path[t->npath++] = PICK(r, wide_names);
		return;
	}
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

/* What IS_CONVERGED takes: nothing, or a path of desired. */
static inline void
random_desired_path(struct rnd *r, struct tree *t)
{
	t->npath = 0;
	if (rnd_below(r, 3) == 0)
		return;
	t->path[t->npath++] = "desired";
	for (uint32_t n = rnd_below(r, 3); n > 0; n--)
		t->path[t->npath++] = PICK(r, names);
}

static inline struct val
random_constant(struct rnd *r)
{
	struct val v = *random_scalar(r);

	if (wide && rnd_below(r, 2))
		do
			v = *wide_val(r, PICK(r, wide_names));
		while (v.kind >= ARRAY);

	if (rnd_below(r, 8) == 0)
		v.kind = rnd_below(r, 2) ? NUL : UNDEF;
	return v;
}

static const char *const patterns[] = { "%", "", "a%", "%b", "_", "__", "A_", "%É", "c00%", "s00_0",
	"%1%", "x%x", "S%", "ab", "s0001" };

static inline struct tree *
random_tree(struct rnd *r, int depth)
{
	static const char *const ariths[] = { "+", "-", "*", "/", "%" };
	static const char *const relops[] = { "=", "!=", "<>", "<", "<=", ">", ">=" };
	struct tree *t = &tree_pool[tree_used++];
	uint32_t call = rnd_below(r, sizeof(calls) / sizeof(calls[0]) - (wide ? 0 : NWIDE_CALLS));

	*t = (struct tree){ .op = depth == 0 ? rnd_below(r, 4) > 0 : rnd_below(r, OR + 1) };
	if (!wide && (t->op == LIKE || t->op == BETWEEN))
		t->op = COMPARE;
	switch (t->op) {
	case CONST: t->value = random_constant(r); break;
	case PATH: random_path(r, t); break;
	case CALL:
		t->sign = calls[call].name;
		t->narg = calls[call].narg;
		if (strcmp(t->sign, "IS_CONVERGED") == 0)
			random_desired_path(r, t);
		else if (t->narg == 0)
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
	case LIKE:
		t->narg = 1;
		t->sign =
		    PICK(r, ((const char *const[]){ "LIKE", "NOT LIKE", "ILIKE", "NOT ILIKE" }));
		t->value = (struct val){ .kind = STRING, .text = PICK(r, patterns) };
		break;
	case BETWEEN:
		t->narg = 3;
		t->sign = PICK(r, ((const char *const[]){ "BETWEEN", "NOT BETWEEN" }));
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

static inline void
val_text(struct buf *out, const struct val *v)
{
	if (v->kind == UNDEF)
		buf_cstr(out, "undefined");
	else if (v->kind == STRING)
		buf_printf(out, "'%s'", v->text);
	else
		val_json(out, v);
}

static inline void
path_text(struct buf *out, const struct tree *t)
{
	if (t->npath == 0)
		return;
	if (strcmp(t->path[0], "desired") == 0 || strcmp(t->path[0], "reported") == 0)
		buf_cstr(out, "properties.");
	for (int i = 0; i < t->npath; i++)
		buf_printf(out, "%s%s", i ? "." : "", t->path[i]);
}

static inline void
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
			buf_printf(out, " %s ", t->op == BETWEEN && i == 2 ? "AND" : between);
		tree_text(out, t->arg[i]);
	}
	if (t->op == LIKE)
		buf_printf(out, " %s '%s'", t->sign, t->value.text);
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

static inline struct val
boolean(bool b)
{
	return (struct val){ .kind = BOOL, .num = b };
}

static inline struct val
number(double v)
{
	return isfinite(v) ? (struct val){ .kind = NUM, .num = v } : undefined;
}

/* Code units of a string. */
static inline int
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

static inline int
order(const struct val *a, const struct val *b)
{
	uint16_t x[MODEL_TEXT], y[MODEL_TEXT];
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

static inline struct val
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

static inline struct val
negated(struct val v)
{
	return v.kind == BOOL ? boolean(v.num == 0) : undefined;
}

static inline struct val
lookup(const struct tree *t, struct val *row)
{
	struct val *v = row;

	for (int i = 0; i < t->npath; i++)
		v = val_get(v, t->path[i]);
	return v != NULL ? *v : undefined;
}

static inline struct val
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

static inline struct val
string_call(const char *name, const struct val *a, const struct val *b)
{
	static char joined[64][MODEL_TEXT];
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
		assert_true(n + m < MODEL_TEXT);
		memcpy(out, a->text, n);
		memcpy(out + n, b->text, m + 1);
		return (struct val){ .kind = STRING, .text = out };
	}
	uint16_t x[MODEL_TEXT], y[MODEL_TEXT];
	int nx = units(a->text, x), ny = units(b->text, y);
	for (int i = 0; i + ny <= nx; i++)
		if (memcmp(x + i, y, (size_t)ny * 2) == 0)
			return number(i);
	return number(-1);
}

static inline struct val
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

static inline struct val
call1(const char *name, const struct val *a)
{
	static const struct {
		const char *name;
		enum kind from, to;
	} kinds[] = { { "IS_NULL", NUL, NUL }, { "IS_BOOL", BOOL, BOOL }, { "IS_NUMBER", NUM, NUM },
		{ "IS_STRING", STRING, STRING }, { "IS_ARRAY", ARRAY, ARRAY },
		{ "IS_OBJECT", OBJECT, OBJECT }, { "IS_PRIMITIVE", NUL, STRING } };
	uint16_t x[MODEL_TEXT];

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
static inline struct val
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

/* ---- convergence ---- */

static inline bool
acknowledgement(struct val *v)
{
	struct val *ac = val_get(v, "ac"), *av = val_get(v, "av");

	return val_get(v, "value") != NULL && ac != NULL && ac->kind == NUM && av != NULL &&
	    av->kind == NUM;
}

static inline bool
said_yes(struct val *v)
{
	return val_get(v, "ac")->num == 200 && val_get(v, "av")->num >= 2;
}

/* acks: an object of r may be an acknowledgement. */
static inline bool
reports(struct val *d, struct val *r, bool acks)
{
	struct buf x = { 0 }, y = { 0 };
	bool same;

	if (d->kind == OBJECT && d->first == NULL)
		return true;
	if (acks && acknowledgement(r) && !acknowledgement(d))
		return said_yes(r) && reports(d, val_get(r, "value"), false);
	if (d->kind == OBJECT) {
		for (struct val *m = d->first; m != NULL; m = m->next)
			if (!reports(m, val_get(r, m->name), acks))
				return false;
		return true;
	}
	if (r == NULL)
		return false;
	val_json(&x, d);
	val_json(&y, r);
	same = str_eq(buf_view(&x), buf_view(&y));
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

static inline struct val
converged(const struct tree *t, struct val *row)
{
	struct val *d = val_get(row, "desired"), *r = val_get(row, "reported");
	bool acks = true, refused = false, all = true;

	/* the section itself is no property, and no acknowledgement */
	for (struct val *m = d != NULL ? d->first : NULL; m != NULL; m = m->next)
		all &= reports(m, val_get(r, m->name), true);
	if (t->npath <= 1)
		return boolean(all);
	for (int i = 1; i < t->npath && d != NULL; i++) {
		if (i > 1 && acks && acknowledgement(r) && !acknowledgement(d) &&
		    d->first != NULL) {
			acks = false;
			refused = !said_yes(r);
			r = val_get(r, "value");
		}
		d = val_get(d, t->path[i]);
		r = val_get(r, t->path[i]);
	}
	return d == NULL ? undefined : boolean(!refused && reports(d, r, acks));
}

static inline const char *
after(const char *s)
{
	for (s++; ((unsigned char)*s & 0xC0) == 0x80;)
		s++;
	return s;
}

/* Small letters of what the texts hold: ASCII, and E with an acute. */
static inline void
lower(const char *s, char *out)
{
	size_t n = strlen(s);

	for (size_t i = 0; i <= n; i++) {
		bool acute =
		    i > 0 && (unsigned char)s[i - 1] == 0xC3 && (unsigned char)s[i] == 0x89;
		out[i] = acute ? (char)0xA9 : s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] | 32) : s[i];
	}
}

static inline bool
like(const char *s, const char *pattern)
{
	if (*pattern == '\0')
		return *s == '\0';
	if (*pattern == '%')
		return like(s, pattern + 1) || (*s != '\0' && like(after(s), pattern));
	if (*s == '\0')
		return false;
	if (*pattern == '_')
		return like(after(s), pattern + 1);
	return *s == *pattern && like(s + 1, pattern + 1);
}

static inline struct val
like_val(const struct tree *t, const struct val *v)
{
	static char text[MODEL_TEXT], pattern[64];
	bool ignore = strstr(t->sign, "ILIKE") != NULL;
	struct val is;

	if (v->kind != STRING)
		return undefined;
	lower(v->text, text);
	lower(t->value.text, pattern);
	is = boolean(ignore ? like(text, pattern) : like(v->text, t->value.text));
	return strncmp(t->sign, "NOT", 3) == 0 ? negated(is) : is;
}

/* a AND b */
static inline struct val
both(struct val a, struct val b)
{
	bool no = (a.kind == BOOL && a.num == 0) || (b.kind == BOOL && b.num == 0);

	return no ? boolean(false) : a.kind == BOOL && b.kind == BOOL ? boolean(true) : undefined;
}

static inline struct val
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
		if (strcmp(t->sign, "IS_CONVERGED") == 0)
			return converged(t, row);
		if (t->narg == 0)
			return boolean(lookup(t, row).kind != UNDEF);
		if (t->narg == 1)
			return call1(t->sign, &v[0]);
		if (strcmp(t->sign, "ARRAY_CONTAINS") == 0)
			return contains(&v[0], &v[1]);
		if (strcmp(t->sign, "CONTAINS") == 0)
			return v[0].kind == STRING && v[1].kind == STRING
			    ? boolean(strstr(v[0].text, v[1].text) != NULL)
			    : undefined;
		if (strcmp(t->sign, "SUBSTRING") == 0)
			return rest_of(&v[0], &v[1]);
		return string_call(t->sign, &v[0], &v[1]);
	case LIKE: return like_val(t, &v[0]);
	case BETWEEN:
		v[0] = both(compare(">=", &v[0], &v[1]), compare("<=", &v[0], &v[2]));
		return strcmp(t->sign, "BETWEEN") == 0 ? v[0] : negated(v[0]);
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

#endif
