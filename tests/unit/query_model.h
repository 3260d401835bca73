/*
 * For the tests of query/: a naive evaluator of random rows and conditions (query_draw.h) that knows nothing of docs, sections,
 * plans or columns.
 */
#ifndef QUERY_MODEL_H
#define QUERY_MODEL_H

#include "query_draw.h"
#include "query_fleet.h"

#include <math.h>

#define MODEL_TEXT 8192 /* bytes of the longest string that a condition makes */

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
