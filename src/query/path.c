/* Paths: what their steps mean in a collection, and their value in a row. */
#include "query/priv.h"

#define D (1u << QUERY_DEVICES)
#define M (1u << QUERY_MODULES)
#define R (1u << QUERY_DEVICE_JOBS)
#define J (1u << QUERY_JOBS)

static const struct root_name {
	const char *name;
	enum query_root root;
	unsigned collections;
} roots[] = {
#define X(id, name, collections, ...) { #name, QUERY_ROOT_##id, collections },
	QUERY_ROOTS(X)
#undef X
	    { "createdTimeUtc", QUERY_ROOT_CREATED_UTC, R }, /* */
};

#undef D
#undef M
#undef R
#undef J

static const char *const section_names[] = { "tags", "desired", "reported" };

#define NROOT (sizeof(roots) / sizeof(roots[0]))

static bool
holds_twins(enum query_collection c)
{
	return c == QUERY_DEVICES || c == QUERY_MODULES;
}

struct query_needs
path_all(enum query_collection c)
{
	struct query_needs all = { 0 };

	for (size_t i = 0; i < NROOT; i++)
		if (roots[i].collections & 1u << c)
			all.roots |= QUERY_ROOT_BIT(roots[i].root);
	if (holds_twins(c))
		all.sections = (1u << SECTION_KINDS) - 1;
	return all;
}

/* the name of the collection may stand before the root. A name that stands alone is a root. */
static unsigned
prefix_steps(const struct path *p, enum query_collection c)
{
	static const char *const second[] = {
		[QUERY_MODULES] = "modules", [QUERY_DEVICE_JOBS] = "jobs"
	};
	const char *name = c == QUERY_MODULES || c == QUERY_DEVICE_JOBS ? second[c] : NULL;

	if (p->nstep < 2)
		return 0;
	if (c == QUERY_JOBS)
		return str_ieq(p->steps[0], STR("jobs"));
	if (!str_ieq(p->steps[0], STR("devices")))
		return 0;
	return p->nstep > 2 && name != NULL && str_ieq(p->steps[1], str_of(name)) ? 2 : 1;
}

static void
path_set(struct path *p, enum path_kind kind, unsigned skip, const char *name)
{
	p->kind = kind;
	p->steps += skip;
	p->nstep -= skip;
	p->name = p->nstep ? p->steps[p->nstep - 1] : str_of(name);
}

static void
resolve_properties(struct path *p, unsigned skip)
{
	if (p->nstep == skip + 1) {
		path_set(p, PATH_PROPERTIES, skip + 1, "properties");
		return;
	}
	for (int k = SECTION_DESIRED; k <= SECTION_REPORTED; k++) {
		if (!str_ieq(p->steps[skip + 1], str_of(section_names[k])))
			continue;
		p->section = (enum section_kind)k;
		path_set(p, PATH_SECTION, skip + 2, section_names[k]);
		return;
	}
	path_set(p, PATH_UNKNOWN, skip, "");
}

static enum err
resolve(struct path *p, enum query_collection c)
{
	unsigned skip = prefix_steps(p, c);
	struct str root = p->steps[skip];
	bool tags = str_ieq(root, STR("tags"));

	if (tags || str_ieq(root, STR("properties"))) {
		if (!holds_twins(c))
			return ERR_PROTOCOL;
		if (!tags) {
			resolve_properties(p, skip);
		} else {
			p->section = SECTION_TAGS;
			path_set(p, PATH_SECTION, skip + 1, "tags");
		}
		return ERR_OK;
	}
	for (size_t i = 0; i < NROOT; i++) {
		if (!(roots[i].collections & 1u << c) || !str_ieq(root, str_of(roots[i].name)))
			continue;
		p->root = roots[i].root;
		path_set(p, PATH_ROOT, skip + 1, roots[i].name);
		return ERR_OK;
	}
	path_set(p, PATH_UNKNOWN, skip, "");
	return ERR_OK;
}

enum err
path_resolve(struct path *p, enum query_collection c)
{
	enum err e;

	if (p->nstep == 0) { /* of IS_CONVERGED() */
		p->section = SECTION_DESIRED;
		e = holds_twins(c) ? ERR_OK : ERR_PROTOCOL;
	} else if ((e = resolve(p, c)) == ERR_OK && p->converged &&
	    (p->kind != PATH_SECTION || p->section != SECTION_DESIRED ||
	        (p->nstep > 0 && p->steps[0].n > 0 && p->steps[0].p[0] == '$'))) {
		e = ERR_RANGE;
	}
	if (p->converged && e == ERR_OK)
		p->kind = PATH_CONVERGED;
	return e;
}

/* How many steps of an unknown path are names of fields, whose case does not matter. */
static unsigned
field_steps(const struct path *p)
{
	if (p->kind != PATH_UNKNOWN)
		return 0;
	return p->nstep > 0 && str_ieq(p->steps[0], STR("properties")) ? 2 : 1;
}

bool
path_equal(const struct path *a, const struct path *b)
{
	unsigned fields = field_steps(a);

	if (a->kind != b->kind || a->root != b->root || a->section != b->section ||
	    a->nstep != b->nstep)
		return false;
	for (unsigned i = 0; i < a->nstep; i++)
		if (i < fields ? !str_ieq(a->steps[i], b->steps[i])
		               : !str_eq(a->steps[i], b->steps[i]))
			return false;
	return true;
}

/* ---- in a row ---- */

/* The first chunk of an arena is the one that stays from row to row: big enough for usual rows, so that they cost no
 * allocation. */
#define ROW_VALUES 8192

void
row_begin(const struct row *r)
{
	if (r->s->values.top == NULL)
		arena_alloc(&r->s->values, ROW_VALUES);
	arena_reset(&r->s->values);
}

void
query_scratch_fini(struct query_scratch *s)
{
	buf_fini(&s->bytes);
	buf_fini(&s->build);
	arena_fini(&s->values);
	*s = (struct query_scratch){ 0 };
}

static struct doc
descend(struct doc d, const struct str *steps, unsigned nstep)
{
	for (unsigned i = 0; i < nstep && doc_defined(d); i++)
		d = doc_get(d, steps[i]);
	return d;
}

static struct doc
section_path(const struct row *r, enum section_kind kind, const struct str *steps, unsigned nstep)
{
	const struct section *s = r->ops->section(r->row, kind);

	if (s == NULL)
		return DOC_NONE;
	if (nstep > 0 && (kind == SECTION_TAGS || steps[0].n == 0 || steps[0].p[0] != '$'))
		return descend(s->root, steps, nstep); /* nearly all paths: no view to make */
	if (kind == SECTION_TAGS && section_empty(s))  /* T-07: no empty tags in the document */
		return DOC_NONE;
	r->s->bytes.n = 0;
	return section_get(s, kind, steps, nstep, &r->s->bytes);
}

/* `properties` as a whole is in no one place: put it together. */
static struct doc
properties(const struct row *r)
{
	struct buf *out = &r->s->build;
	struct doc_writer dw;

	out->n = 0;
	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	for (int k = SECTION_DESIRED; k <= SECTION_REPORTED; k++) {
		struct doc d = section_path(r, (enum section_kind)k, NULL, 0);
		if (!doc_defined(d))
			continue;
		doc_key(&dw, str_of(section_names[k]));
		doc_put_copy(&dw, 0, d);
	}
	doc_end(&dw);
	return doc_of(buf_view(out));
}

static struct doc
converged(const struct row *r, const struct path *p)
{
	const struct section *desired = r->ops->section(r->row, SECTION_DESIRED),
	                     *reported = r->ops->section(r->row, SECTION_REPORTED);
	struct buf *out = &r->s->build;
	enum convergence c = NOTHING_DESIRED;
	struct doc_writer dw;

	if (desired != NULL && reported != NULL)
		c = section_convergence(desired, reported, p->steps, p->nstep);
	if (c == NOTHING_DESIRED)
		return DOC_NONE;
	out->n = 0;
	doc_writer_init(&dw, out, 0);
	doc_put_bool(&dw, 0, c == CONVERGED);
	return doc_of(buf_view(out));
}

struct doc
path_get(const struct row *r, const struct path *p)
{
	switch (p->kind) {
	case PATH_UNKNOWN: break;
	case PATH_CONVERGED: return converged(r, p);
	case PATH_PROPERTIES: return properties(r);
	case PATH_SECTION: return section_path(r, p->section, p->steps, p->nstep);
	case PATH_ROOT:
		r->s->bytes.n = 0;
		return descend(r->ops->root(r->row, p->root, &r->s->bytes), p->steps, p->nstep);
	}
	return DOC_NONE;
}

bool
path_defined(const struct row *r, const struct path *p)
{
	if (r->bound != NULL)
		return r->bound[p->slot].kind != V_UNDEFINED;
	if (p->kind == PATH_PROPERTIES)
		return true;
	if (p->kind == PATH_SECTION && p->nstep == 0) {
		const struct section *s = r->ops->section(r->row, p->section);
		return s != NULL && (p->section != SECTION_TAGS || !section_empty(s));
	}
	return doc_defined(path_get(r, p));
}

static bool
inside(const struct buf *b, const void *p)
{
	uintptr_t at = (uintptr_t)p, from = (uintptr_t)b->p;

	return b->p != NULL && at >= from && at < from + b->n;
}

struct value
path_value(const struct row *r, const struct path *p, bool deep)
{
	struct doc d;
	struct value v;
	bool passing;

	if (r->bound != NULL)
		return r->bound[p->slot];
	d = path_get(r, p);
	v = value_of(d);
	passing = doc_defined(d) && (inside(&r->s->bytes, d.p) || inside(&r->s->build, d.p));
	if (v.kind >= V_ARRAY && !deep)
		v.doc = DOC_NONE;
	else if (passing && v.kind >= V_ARRAY)
		v.doc = doc_of_stamped(arena_str(&r->s->values, doc_bytes(d)), d.w);
	else if (passing && v.kind == V_STRING)
		v.string = arena_str(&r->s->values, v.string);
	return v;
}
