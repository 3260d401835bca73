/* A condition and a message: where values come from (8.2), operators (8.3), truth. */
#include "route/priv.h"

#include <math.h>

struct judge {
	const struct route_message *m;
	struct arena values; /* of functions, and of the twin */
};

static struct value value_at(struct judge *j, const struct expr *e);

/* ---- sources ---- */

static const struct value missing = { .kind = V_NULL, .truth = true };

static bool
is_missing(const struct value *v)
{
	return v->kind == V_UNDEFINED || (v->kind == V_NULL && v->truth);
}

/* false: there is none of that name. */
static bool
property(const struct route_property *list, uint32_t n, struct str name, struct value *out)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!str_ieq(list[i].name, name))
			continue;
		if (list[i].is_null)
			*out = (struct value){ .kind = V_NULL };
		else
			*out = utf8_valid(list[i].value) ? value_string(list[i].value)
			                                 : VALUE_UNDEFINED;
		return true;
	}
	return false;
}

static struct value
system_property(struct judge *j, const struct expr *e)
{
	struct value v;

	if (!e->forced && property(j->m->properties, j->m->nproperty, e->name, &v))
		return v;
	if (property(j->m->system, j->m->nsystem, str_sub(e->name, 1), &v))
		return v;
	return VALUE_UNDEFINED;
}

static struct doc
body_of(struct judge *j)
{
	return j->m->body == NULL ? DOC_NONE : j->m->body(j->m->ctx);
}

/* What is below d from a step on. */
static struct doc
descend(struct doc d, const struct path *p, unsigned from)
{
	for (unsigned i = from; i < p->nstep && doc_defined(d); i++)
		d = path_step(d, p, i);
	return d;
}

static struct value
body_value(struct judge *j, const struct expr *e)
{
	struct doc body = body_of(j);

	if (!doc_defined(body))
		return VALUE_UNDEFINED; /* */
	body = descend(body, &e->path, 0);
	return doc_defined(body) ? value_of(body) : missing; /* */
}

/* The twin is asked for the names up to the first index. */
static struct value
twin_value(struct judge *j, const struct expr *e)
{
	const struct path *p = &e->path;
	unsigned n = 0;
	struct doc d;

	if (j->m->twin == NULL)
		return VALUE_UNDEFINED;
	while (n < p->nstep && p->indexes[n] == NO_INDEX)
		n++;
	if (n == p->nstep) {
		d = j->m->twin(j->m->ctx, p->names, n, &j->values);
	} else {
		d = j->m->twin(j->m->ctx, p->names, n + 1, &j->values);
		d = path_element(d, p->indexes[n]);
		d = descend(d, p, n + 1);
	}
	return doc_defined(d) ? value_of(d) : missing;
}

/* also what has gone, which a change shows as null. */
static struct value
changed(struct judge *j, const struct expr *e)
{
	struct doc body = j->m->source == ROUTE_TWIN_CHANGES ? body_of(j) : DOC_NONE;

	if (!doc_defined(body))
		return VALUE_UNDEFINED;
	return value_bool(doc_defined(descend(body, &e->path, 0)));
}

/* A path, unless an application property bears its whole name (8.2). */
static struct value
document_value(struct judge *j, const struct expr *e)
{
	struct value v;

	if (!e->forced && property(j->m->properties, j->m->nproperty, e->name, &v))
		return v;
	return e->kind == E_BODY ? body_value(j, e) : twin_value(j, e);
}

/* ---- operators ---- */

/* */
static struct value
arithmetic(char op, double a, double b)
{
	switch (op) {
	case '+': return value_real(a + b);
	case '-': return value_real(a - b);
	case '*': return value_real(a * b);
	case '/': return value_real(a / b);
	default: return value_real(fmod(a, b));
	}
}

static enum relop
relop_of(char op)
{
	switch (op) {
	case '=': return REL_EQ;
	case OP_NE: return REL_NE;
	case '<': return REL_LT;
	case OP_LE: return REL_LE;
	case '>': return REL_GT;
	default: return REL_GE;
	}
}

/* as in queries, but for null, which is equal to null and comparable with nothing else. */
static enum truth
compare(enum relop op, const struct value *a, const struct value *b)
{
	if (a->kind != b->kind)
		return IS_UNDEFINED;
	return a->kind == V_NULL ? value_compare_result(op, 0) : value_compare(op, a, b);
}

static bool
has_memory(const struct judge *j)
{
	return j->values.used_bytes <= ROUTE_MEMORY_MAX;
}

static struct value
call(struct judge *j, const struct function *f, const struct value *args, unsigned n)
{
	return has_memory(j) ? f->call(&j->values, args, n) : VALUE_UNDEFINED;
}

/* c: the right operand, of the fold e. */
static struct value
binary(struct judge *j, const struct expr *e, const struct expr *c, struct value a)
{
	struct value b = value_at(j, c);

	switch (c->before) {
	case '+':
	case '-':
	case '*':
	case '/':
	case '%':
		if (a.kind != V_NUMBER || b.kind != V_NUMBER)
			return VALUE_UNDEFINED;
		return arithmetic(c->before, a.number, b.number);
	case OP_CONCAT: return call(j, e->function, (const struct value[]){ a, b }, 2);
	default: return value_truth(compare(relop_of(c->before), &a, &b));
	}
}

static enum truth
truth_of(const struct value *v)
{
	return v->kind != V_BOOL ? IS_UNDEFINED : v->truth ? IS_TRUE : IS_FALSE;
}

/* AND is false as soon as one operand is, OR true; else undefined if one is. */
static enum truth
logic(struct judge *j, const struct expr *e, enum truth decides)
{
	enum truth result = truth_not(decides);

	for (const struct expr *c = e->first; c != NULL; c = c->next) {
		struct value v = value_at(j, c);
		enum truth t = truth_of(&v);
		if (t == decides)
			return t;
		if (t == IS_UNDEFINED)
			result = t;
	}
	return result;
}

/* */
static struct value
coalesce(struct judge *j, const struct expr *e)
{
	const struct expr *c = e->first;
	struct value v = value_at(j, c);

	while (is_missing(&v) && (c = c->next) != NULL)
		v = value_at(j, c);
	return v;
}

static struct value
fold(struct judge *j, const struct expr *e)
{
	const struct expr *c = e->first;
	struct value v;

	switch (c->next->before) {
	case OP_AND: return value_truth(logic(j, e, IS_FALSE));
	case OP_OR: return value_truth(logic(j, e, IS_TRUE));
	case OP_COALESCE: return coalesce(j, e);
	default: break;
	}
	v = value_at(j, c);
	while ((c = c->next) != NULL)
		v = binary(j, e, c, v);
	return v;
}

/* ---- values ---- */

/* In routing only primitives are there (part 5, Q-68). */
static bool
defined(struct judge *j, const struct expr *e)
{
	struct value v = value_at(j, e->first);

	return !is_missing(&v) && v.kind < V_ARRAY;
}

static struct value
call_value(struct judge *j, const struct expr *e)
{
	struct value args[VALUE_ARGS_MAX];
	unsigned n = 0;

	for (const struct expr *c = e->first; c != NULL; c = c->next)
		args[n++] = value_at(j, c);
	return call(j, e->function, args, n);
}

static struct value
negated(struct judge *j, const struct expr *e)
{
	struct value v = value_at(j, e->first);

	return v.kind == V_NUMBER ? value_real(-v.number) : VALUE_UNDEFINED;
}

static struct value
value_at(struct judge *j, const struct expr *e)
{
	struct value v = VALUE_UNDEFINED;

	switch (e->kind) {
	case E_CONST: return e->constant;
	case E_PROPERTY: property(j->m->properties, j->m->nproperty, e->name, &v); return v;
	case E_SYSTEM: return system_property(j, e);
	case E_BODY:
	case E_TWIN: return document_value(j, e);
	case E_CHANGED: return changed(j, e);
	case E_DEFINED: return value_bool(defined(j, e));
	case E_CALL: return call_value(j, e);
	case E_NEGATE: return negated(j, e);
	case E_NOT: v = value_at(j, e->first); return value_truth(truth_not(truth_of(&v)));
	case E_FOLD: return fold(j, e);
	}
	return v;
}

enum truth
route_condition_judge(const struct condition *c, const struct route_message *m)
{
	struct judge j = { .m = m };
	struct value v;

	if (c->root == NULL)
		return IS_UNDEFINED; /* */
	v = value_at(&j, c->root);
	arena_fini(&j.values);
	return truth_of(&v);
}
