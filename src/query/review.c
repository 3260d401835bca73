/*
 * What a query says without effect: found out from the plan and its text alone, so before any row is asked.
 *
 * What can never matter comes first: a path that no document has, a condition that is no condition. A subtraction without blanks
 * is only doubtful, for it may be meant.
 */
#include "query/priv.h"

struct review {
	const struct query *q;
	struct buf *why;
};

static struct str
raw(const char *from, const char *to)
{
	return text_shown((struct str){ from, (size_t)(to - from) });
}

void
review_dash(struct parser *p, const struct token *minus, const struct expr *before)
{
	if (p->q->dash != NULL || before->kind != E_PATH || minus->op != '-' ||
	    minus->at == p->q->text.p || char_among(minus->at[-1], " \t\r\n/") ||
	    p->tok.at != minus->at + 1)
		return;
	p->q->dash = minus->at;
	p->q->dashed = before->path;
}

/* As written, without the blanks behind it. */
static struct str
path_raw(const struct path *p)
{
	const char *end = p->end;

	while (end > p->at && char_among(end[-1], " \t\r\n"))
		end--;
	return raw(p->at, end);
}

/* ---- what is not there ---- */

static bool
step_is(const struct path *p, const char *a, const char *b)
{
	return str_eq(p->steps[0], str_of(a)) || str_eq(p->steps[0], str_of(b));
}

static bool
never_in_root(const struct path *p)
{
	switch (p->root) {
	case QUERY_ROOT_CONFIGURATIONS:
	case QUERY_ROOT_OUTCOME:
	case QUERY_ROOT_ERROR: return false;
	case QUERY_ROOT_CAPABILITIES: return !step_is(p, "iotEdge", "iotEdge");
	case QUERY_ROOT_X509_THUMBPRINT:
		return !step_is(p, "primaryThumbprint", "secondaryThumbprint");
	default: return true; /* below what is no object */
	}
}

static bool
never_in_section(const struct path *p)
{
	if (p->section != SECTION_TAGS && step_is(p, "$metadata", "$version"))
		return p->nstep > 1 && str_eq(p->steps[0], STR("$version"));
	for (unsigned i = 0; i < p->nstep; i++)
		if (!twin_key_legal(p->steps[i]))
			return true;
	return false;
}

static bool
never(const struct path *p)
{
	switch (p->kind) {
	case PATH_UNKNOWN: return true;
	case PATH_ROOT: return p->nstep > 0 && never_in_root(p);
	case PATH_SECTION: return p->nstep > 0 && never_in_section(p);
	case PATH_PROPERTIES:
	case PATH_CONVERGED: break;
	}
	return false;
}

/* The first of the text that no document has. */
static const struct path *
first_never(const struct query *q)
{
	const struct path *first = NULL;

	for (const struct path *p = q->paths; p != NULL; p = p->next)
		if (never(p) && (first == NULL || p->at < first->at))
			first = p;
	return first;
}

/* ---- is it a value that lost its quotes? ---- */

/* What an operand begins with, as a text would. */
static const struct path *
leftmost(const struct expr *e)
{
	while (e->kind == E_ARITH || e->kind == E_NEGATE)
		e = e->first;
	return e->kind == E_PATH ? e->path : NULL;
}

static bool
is_known(const struct expr *e)
{
	return e->kind == E_PATH && !never(e->path);
}

/* Does p stand where a path that is there is compared with something, or passed to a function with it? */
static bool
is_value(const struct expr *e, const struct path *p)
{
	bool beside = e->kind == E_COMPARE || e->kind == E_CALL, here = false, known = false;

	for (const struct expr *c = e->first; c != NULL; c = c->next) {
		here |= beside && leftmost(c) == p;
		known |= is_known(c);
		if (is_value(c, p))
			return true;
	}
	return here && known;
}

/* What would stand in the quotes: up to a blank, or what ends an operand. */
static struct str
value_raw(const struct query *q, const char *from)
{
	const char *end = str_end(q->text), *to = from;

	while (to < end && !char_among(*to, " \t\r\n,;()[]=!<>'\""))
		to++;
	return raw(from, to);
}

/* ---- a dash outside [[ ]] ---- */

static bool
in_name(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	    c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* The step that is cut in two, and what follows it up to the end of the name that is meant. */
struct dashed {
	struct str before, whole; /* the path's steps before it, with their dot; from there on */
	const char *end;
};

static struct dashed
dashed_of(const struct query *q)
{
	const char *end = str_end(q->text), *from = q->dash, *to = q->dash;
	const char *path = q->dashed->at;

	if (from[-1] == ']') {
		while (from > path && !(from[0] == '[' && from[1] == '['))
			from--;
	} else {
		while (from > path && in_name(from[-1]))
			from--;
	}
	while (to < end && (in_name(*to) || *to == '-'))
		to++;
	return (
	    struct dashed){ { path, (size_t)(from - path) }, { from, (size_t)(to - from) }, to };
}

static void
say_dash(const struct review *rv, const struct dashed *d)
{
	struct str step = text_shown(d->whole), before = text_shown(d->before);

	buf_printf(rv->why, STR_FMT STR_FMT " is a subtraction: a name with a dash is written [[",
	    STR_ARG(before), STR_ARG(step));
	for (size_t i = 0; i < step.n; i++)
		if (step.p[i] != '[' && step.p[i] != ']')
			buf_putc(rv->why, step.p[i]);
	buf_cstr(rv->why, "]]");
}

/* ---- paths ---- */

static const char *
row_name(enum query_collection c)
{
	static const char *const names[] = {
		[QUERY_DEVICES] = "device",
		[QUERY_MODULES] = "module",
		[QUERY_DEVICE_JOBS] = "result of a job",
		[QUERY_JOBS] = "job",
	};

	return names[c];
}

static void
say_never(const struct review *rv, const struct path *p)
{
	const struct query *q = rv->q;
	const char *row = row_name(q->facts.collection);
	struct str shown = path_raw(p);

	if (q->dash != NULL && p->at > q->dash) {
		struct dashed d = dashed_of(q);
		if (p->at < d.end) {
			say_dash(rv, &d);
			return;
		}
	}
	if (q->where != NULL && is_value(q->where, p)) {
		shown = value_raw(q, p->at);
		buf_printf(rv->why,
		    STR_FMT
		    " is taken for a path, and no %s has it: a value needs quotes, '" STR_FMT "'",
		    STR_ARG(shown), row, STR_ARG(shown));
		return;
	}
	buf_printf(rv->why, "no %s has " STR_FMT, row, STR_ARG(shown));
	if (p->kind == PATH_UNKNOWN && q->facts.collection <= QUERY_MODULES)
		buf_cstr(rv->why,
		    ": a path begins with tags, properties.desired, properties.reported or another "
		    "member of the twin");
}

/* ---- conditions that are none ---- */

static bool
is_number(const struct expr *e)
{
	return e->kind == E_ARITH || e->kind == E_NEGATE;
}

static bool
say_number(const struct review *rv)
{
	if (rv->q->dash != NULL) {
		struct dashed d = dashed_of(rv->q);
		say_dash(rv, &d);
	} else {
		buf_cstr(rv->why,
		    "a number that is worked out is compared with none, or is no condition");
	}
	return true;
}

static void
say_constant(const struct review *rv, const struct value *v)
{
	static const char *const kinds[] = {
		[V_UNDEFINED] = "undefined",
		[V_NULL] = "null",
		[V_BOOL] = "a boolean",
		[V_NUMBER] = "a number",
		[V_STRING] = "a text",
		[V_ARRAY] = "a list",
		[V_OBJECT] = "an object",
	};

	if (v->kind == V_STRING)
		buf_printf(rv->why,
		    "the text '" STR_FMT "' in quotes is a constant, and no condition",
		    STR_ARG(text_shown(v->string)));
	else
		buf_printf(rv->why, "%s is a constant, and no condition", kinds[v->kind]);
}

/* Is a condition expected here? Then what is never true or false has been found. */
static bool
find_none(const struct review *rv, const struct expr *e, bool condition)
{
	bool inner = e->kind == E_AND || e->kind == E_OR || e->kind == E_NOT;

	if (condition && e->kind == E_CONST && e->constant.kind != V_BOOL) {
		say_constant(rv, &e->constant);
		return true;
	}
	if (condition && is_number(e))
		return say_number(rv);
	if (e->kind == E_COMPARE) {
		const struct expr *a = e->first, *b = a->next;
		if ((is_number(a) && b->kind == E_CONST && b->constant.kind != V_NUMBER) ||
		    (is_number(b) && a->kind == E_CONST && a->constant.kind != V_NUMBER))
			return say_number(rv);
	}
	if (e->kind == E_IN && is_number(e->first) && !(e->list->kinds & 1u << V_NUMBER))
		return say_number(rv);
	for (const struct expr *c = e->first; c != NULL; c = c->next)
		if (find_none(rv, c, inner))
			return true;
	return false;
}

enum query_effect
query_review(const struct query *q, struct buf *why)
{
	const struct review rv = { q, why };
	const struct path *p = first_never(q);
	struct dashed d;

	if (p != NULL) {
		say_never(&rv, p);
		return QUERY_VAIN;
	}
	if (q->where != NULL && find_none(&rv, q->where, true))
		return QUERY_VAIN;
	if (q->dash == NULL)
		return QUERY_SOUND;
	d = dashed_of(q);
	say_dash(&rv, &d);
	return QUERY_DOUBTFUL;
}

enum err
condition_check(const struct query *q, enum fault_code code, struct fault *f)
{
	struct buf why = { 0 };
	enum err e = ERR_OK;

	if (query_review(q, &why) == QUERY_VAIN)
		e = fault_set(f, code, STR_FMT, STR_ARG(buf_view(&why)));
	buf_fini(&why);
	return e;
}
