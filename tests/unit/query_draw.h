/*
 * Random rows as plain trees, random conditions and queries, and their text: the same of the same seed. What they draw from
 * is kept until pool_used and tree_used are set back.
 */
#ifndef QUERY_DRAW_H
#define QUERY_DRAW_H

#include "base/base.h"
#include "rnd.h"

#include <stdio.h>

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
	assert(pool_used < sizeof(pool) / sizeof(pool[0]));
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

static bool wide;       /* conditions ask for these paths too */
static bool real_twins; /* and for what twins of a hub have besides */

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
	static const char *const others[] = { "lastActivityTime", "connectionState", "etag",
		"moduleId", "statusUpdateTime", "capabilities.iotEdge", "configurations.c1.status",
		"desired.$version", "reported.$metadata.$lastUpdated", "Nothing.at.all" };
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
	case 2:
		t->path[t->npath++] =
		    real_twins && rnd_below(r, 2) ? PICK(r, others) : PICK(r, fields);
		break;
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
	if (strncmp(t->path[0], "desired", 7) == 0 || strncmp(t->path[0], "reported", 8) == 0)
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

/* ---- queries ---- */

static inline void
random_sorts(struct rnd *r, struct buf *out)
{
	struct tree path;

	buf_cstr(out, " ORDER BY ");
	for (uint32_t n = 1 + rnd_below(r, 3); n > 0; n--) {
		random_path(r, &path);
		path_text(out, &path);
		buf_cstr(out, rnd_below(r, 2) ? " DESC" : "");
		buf_cstr(out, n > 1 ? ", " : "");
	}
}

/* Rows as they are, put in order, or without those that are alike. */
static inline void
random_rows(struct rnd *r, struct buf *out, struct buf *tail)
{
	uint32_t kind = rnd_below(r, 3);
	struct tree path;

	if (kind < 2) {
		buf_cstr(out, rnd_below(r, 4) ? "*" : "TOP 7 deviceId");
		if (kind == 1)
			random_sorts(r, tail);
		return;
	}
	buf_cstr(out, "DISTINCT ");
	random_path(r, &path);
	path_text(out, &path);
	buf_cstr(tail, rnd_below(r, 2) ? " ORDER BY " : "");
	if (tail->n > 0)
		path_text(tail, &path);
}

static inline void
random_aggregate(struct rnd *r, struct buf *out)
{
	static const char *const calls_of[] = { "AVG(", "SUM(", "MIN(", "MAX(", "COUNT(DISTINCT " };
	struct tree path;

	random_path(r, &path);
	buf_cstr(out, PICK(r, calls_of));
	path_text(out, &path);
	buf_putc(out, ')');
}

static inline void
random_groups(struct rnd *r, struct buf *out, struct buf *tail)
{
	struct tree path;

	for (uint32_t n = rnd_below(r, 4); n > 0; n--) {
		random_path(r, &path);
		buf_cstr(tail, tail->n == 0 ? " GROUP BY " : ", ");
		path_text(tail, &path);
		buf_cstr(out, ", ");
		path_text(out, &path);
	}
}

/* Rows, a lone aggregate, or several with groups. */
static inline void
random_list(struct rnd *r, struct buf *out, struct buf *tail)
{
	struct tree path;

	if (rnd_below(r, 2) == 0) {
		random_rows(r, out, tail);
		return;
	}
	if (rnd_below(r, 4) == 0) {
		random_aggregate(r, out);
		return;
	}
	buf_cstr(out, "COUNT() AS cnt");
	for (uint32_t n = rnd_below(r, 3); n > 0; n--) {
		buf_cstr(out, ", ");
		random_aggregate(r, out);
	}
	random_groups(r, out, tail);
	random_path(r, &path);
	if (rnd_below(r, 3) == 0) {
		buf_cstr(tail, " HAVING cnt > 3 OR MAX(");
		path_text(tail, &path);
		buf_cstr(tail, ") > 1");
	}
	if (rnd_below(r, 3) == 0)
		buf_cstr(tail, " ORDER BY cnt DESC");
}

static inline struct tree *
random_query(struct rnd *r, struct buf *text)
{
	struct buf groups = { 0 };
	struct tree *t = NULL;

	text->n = 0;
	tree_used = 0;
	buf_cstr(text, "SELECT ");
	random_list(r, text, &groups);
	buf_cstr(text, rnd_below(r, 5) == 0 ? " FROM devices.modules" : " FROM devices");
	if (rnd_below(r, 6) > 0) {
		buf_cstr(text, " WHERE ");
		t = random_tree(r, 1 + (int)rnd_below(r, 4));
		tree_text(text, t);
	}
	buf_str(text, buf_view(&groups));
	buf_putc(text, '\0');
	buf_fini(&groups);
	return t;
}

#endif
