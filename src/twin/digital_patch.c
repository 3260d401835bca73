/*
 * A patch of a digital twin: its operations are done one after the other on a copy of the desired properties, and what then
 * differs, with all that an operation wrote, is the merge patch.
 */
#include "twin/digital.h"

#include <stdlib.h>

#include "twin/priv.h"

enum kind { OP_ADD, OP_REPLACE, OP_REMOVE, OP_KINDS };
static const struct str op_names[OP_KINDS] = { { "add", 3 }, { "replace", 7 }, { "remove", 6 } };

struct op {
	enum kind kind;
	struct str path;                 /* as sent */
	struct str keys[TWIN_DEPTH_MAX]; /* unescaped, in the arena */
	unsigned nkey;
	struct doc value;
	bool component; /* the value is one, or what is below the first key is part of one */
};

struct patching {
	struct op ops[DIGITAL_OPS_MAX];
	uint32_t nop;
	struct doc reported;
	struct doc now; /* desired as the operations so far have made it, in copies[at] */
	struct buf copies[2];
	unsigned at;
	struct arena arena;
};

/* ---- one operation, taken from the request ---- */

static enum err
bad(struct fault *f, uint32_t i, const char *what)
{
	return fault_set(f, F_InvalidDigitalTwinPatch, "[%u]%s", i, what);
}

static enum err
bad_path(struct fault *f, uint32_t i, struct str path, const char *what)
{
	return fault_set(
	    f, F_InvalidDigitalTwinPatchPath, "[%u].path " STR_FMT " %s", i, STR_ARG(path), what);
}

/* RFC 6901: ~1 is a slash, ~0 a tilde; false: another ~. */
static bool
unescape(struct arena *a, struct str raw, struct str *out)
{
	char *p = arena_alloc(a, raw.n + 1);

	*out = (struct str){ p, 0 };
	for (size_t i = 0; i < raw.n; i++) {
		if (raw.p[i] != '~') {
			p[out->n++] = raw.p[i];
			continue;
		}
		if (++i == raw.n || (raw.p[i] != '0' && raw.p[i] != '1'))
			return false;
		p[out->n++] = raw.p[i] == '0' ? '~' : '/';
	}
	return true;
}

static enum err
take_path(struct patching *pt, struct op *op, uint32_t i, struct fault *f)
{
	struct str rest = op->path, part;
	bool more = true;

	if (rest.n < 2 || rest.p[0] != '/')
		return bad_path(f, i, op->path, "is not a slash and a name");
	for (rest = str_sub(rest, 1); more; op->nkey++) {
		more = str_cut(rest, '/', &part, &rest);
		if (op->nkey == TWIN_DEPTH_MAX)
			return bad_path(f, i, op->path, "is deeper than a twin may be");
		if (!unescape(&pt->arena, part, &op->keys[op->nkey]))
			return bad_path(f, i, op->path, "has a ~ that is neither ~0 nor ~1");
		if (part.n == 0)
			return bad_path(f, i, op->path, "has a name of nothing");
		if (part.p[0] == '$')
			return bad_path(f, i, op->path, "is read-only");
	}
	return ERR_OK;
}

static enum err
take_op(struct patching *pt, struct doc d, uint32_t i, struct fault *f)
{
	struct doc name = doc_getc(d, "op"), path = doc_getc(d, "path");
	struct op *op = &pt->ops[i];

	if (doc_kind(d) != DOC_OBJECT)
		return bad(f, i, " is not an operation");
	while (op->kind < OP_KINDS &&
	    (doc_kind(name) != DOC_STRING || !str_eq(doc_str(name), op_names[op->kind])))
		op->kind++;
	if (op->kind == OP_KINDS)
		return bad(f, i, ".op is none of add, replace, remove");
	op->value = op->kind == OP_REMOVE ? DOC_NONE : doc_getc(d, "value");
	if (op->kind != OP_REMOVE && (!doc_defined(op->value) || doc_kind(op->value) == DOC_NULL))
		return bad(f, i, ".value is missing");
	if (doc_kind(path) != DOC_STRING)
		return bad(f, i, ".path is not a string");
	op->path = doc_str(path);
	return take_path(pt, op, i, f);
}

static enum err
take_ops(struct patching *pt, struct doc ops, struct fault *f)
{
	struct doc_iter it = doc_iter(ops);
	enum err e = ERR_OK;
	struct str key;
	struct doc d;

	if (doc_kind(ops) != DOC_ARRAY)
		return fault_set(
		    f, F_InvalidDigitalTwinPatch, "the body is not an array of operations");
	if (doc_count(ops) > DIGITAL_OPS_MAX)
		return fault_set(f, F_InvalidDigitalTwinPatch,
		    "there are %u operations, the limit is %u", doc_count(ops), DIGITAL_OPS_MAX);
	for (; e == ERR_OK && doc_next(&it, &key, &d); pt->nop++)
		e = take_op(pt, d, pt->nop, f);
	return e;
}

/* ---- does the path lead anywhere? ---- */

static struct doc
at_path(struct doc d, const struct str *keys, unsigned nkey)
{
	for (unsigned i = 0; i < nkey; i++)
		d = doc_get(d, keys[i]);
	return d;
}

/* Without a model: it bears the mark, or is made by one who knows it as a component. */
static bool
of_component(const struct patching *pt, const struct op *op)
{
	struct doc want = doc_get(pt->now, op->keys[0]), has = doc_get(pt->reported, op->keys[0]);

	if (digital_is_component(want) || digital_is_component(has))
		return op->nkey > 1 || doc_kind(op->value) == DOC_OBJECT;
	if (op->nkey == 1)
		return doc_defined(doc_getc(op->value, "$metadata"));
	return !doc_defined(want) && !doc_defined(has);
}

static enum err
check_path(const struct patching *pt, const struct op *op, uint32_t i, struct fault *f)
{
	for (unsigned n = 1; n < op->nkey; n++) {
		struct doc d = at_path(pt->now, op->keys, n);

		if (doc_defined(d) && doc_kind(d) != DOC_OBJECT)
			return bad_path(f, i, op->path, "is below what is not an object");
	}
	if (op->kind == OP_ADD || doc_defined(at_path(pt->now, op->keys, op->nkey)) ||
	    (op->kind == OP_REPLACE && doc_defined(at_path(pt->reported, op->keys, op->nkey))))
		return ERR_OK;
	return bad_path(f, i, op->path, "leads to nothing");
}

/* ---- doing it ---- */

static void
put_mark(struct doc_writer *dw)
{
	doc_key(dw, STR("__t"));
	doc_put_str(dw, 0, STR("c"));
}

/* A component's own metadata are what it is recognised by, and nothing that is written. */
static void
put_value(struct doc_writer *dw, const struct op *op)
{
	struct doc_iter it = doc_iter(op->value);
	struct str key;
	struct doc v;

	if (!op->component || op->nkey > 1) {
		doc_put_copy(dw, 0, op->value);
		return;
	}
	doc_begin_object(dw, 0);
	put_mark(dw);
	while (doc_next(&it, &key, &v)) {
		if (str_eq(key, STR("$metadata")) || str_eq(key, STR("__t")))
			continue;
		doc_key(dw, key);
		doc_put_copy(dw, 0, v);
	}
	doc_end(dw);
}

/* d with the operation done at keys[at...]; d is an object, or there is none yet. */
static void
put_done(struct doc_writer *dw, struct doc d, const struct op *op, unsigned at)
{
	bool last = at + 1 == op->nkey, seen = false;
	struct doc_iter it = doc_iter(d);
	struct str key;
	struct doc v = DOC_NONE;

	doc_begin_object(dw, 0);
	if (at == 1 && op->component && op->kind != OP_REMOVE && !digital_is_component(d))
		put_mark(dw);
	while (doc_next(&it, &key, &v)) {
		bool here = str_eq(key, op->keys[at]);

		seen |= here;
		if (here && last && op->kind == OP_REMOVE)
			continue;
		doc_key(dw, key);
		if (!here)
			doc_put_copy(dw, 0, v);
		else if (last)
			put_value(dw, op);
		else
			put_done(dw, v, op, at + 1);
	}
	if (!seen && op->kind != OP_REMOVE) {
		doc_key(dw, op->keys[at]);
		if (last)
			put_value(dw, op);
		else
			put_done(dw, DOC_NONE, op, at + 1);
	}
	doc_end(dw);
}

static void
op_do(struct patching *pt, struct op *op)
{
	struct buf *out = &pt->copies[!pt->at];
	struct doc_writer dw;

	op->component = of_component(pt, op);
	out->n = 0;
	doc_writer_init(&dw, out, 0);
	put_done(&dw, pt->now, op, 0);
	pt->at = !pt->at;
	pt->now = doc_of(buf_view(out));
}

/* ---- what has changed ---- */

struct difference {
	const struct patching *pt;
	struct doc_writer dw;
	struct str keys[TWIN_DEPTH_MAX];
	unsigned nkey; /* deeper ones are below what a path can name */
};

/* Did an operation write what is at this place? */
static bool
written(const struct difference *df)
{
	for (uint32_t i = 0; df->nkey <= TWIN_DEPTH_MAX && i < df->pt->nop; i++) {
		const struct op *op = &df->pt->ops[i];
		unsigned k = 0;

		while (op->nkey == df->nkey && k < df->nkey && str_eq(op->keys[k], df->keys[k]))
			k++;
		if (k == df->nkey)
			return true;
	}
	return false;
}

static bool put_members(struct difference *df, struct doc old, struct doc now, bool all);

/* False: there is nothing to be said of it, and nothing has been. */
static bool
put_change(struct difference *df, struct str key, struct doc old, struct doc now, bool all)
{
	size_t start = df->dw.out->n;
	bool said = true;

	if (df->nkey < TWIN_DEPTH_MAX)
		df->keys[df->nkey] = key;
	df->nkey++;
	all = all || written(df);
	doc_key(&df->dw, key);
	if (kind_of(now) == DOC_OBJECT && kind_of(old) == DOC_OBJECT) {
		doc_begin_object(&df->dw, 0);
		said = put_members(df, old, now, all) || all;
		doc_end(&df->dw);
	} else {
		said = all || !doc_equal(old, now);
		doc_put_copy(&df->dw, 0, now);
	}
	if (!said)
		df->dw.out->n = start;
	df->nkey--;
	return said;
}

static bool
put_members(struct difference *df, struct doc old, struct doc now, bool all)
{
	struct walk it = walk_of(now);
	struct members was;
	struct str key;
	struct doc v;
	bool said = false;

	members_init(&was, old);
	while (walk_next(&it, &key, &v)) {
		const struct member *m = members_take(&was, key);

		said |= put_change(df, key, m != NULL ? m->value : DOC_NONE, v, all);
	}
	for (uint32_t i = 0; i < was.n; i++) {
		if (was.v[i].taken)
			continue;
		doc_key(&df->dw, was.v[i].key);
		doc_put_null(&df->dw, 0);
		said = true;
	}
	members_fini(&was);
	return said;
}

static void
put_difference(const struct patching *pt, struct doc old, struct buf *out)
{
	struct difference df = { .pt = pt };

	doc_writer_init(&df.dw, out, 0);
	doc_begin_object(&df.dw, 0);
	put_members(&df, old, pt->now, false);
	doc_end(&df.dw);
}

enum err
digital_patch(struct doc ops, const struct section *desired, const struct section *reported,
    struct buf *patch, struct fault *f)
{
	struct patching *pt = xcalloc(1, sizeof(*pt));
	enum err e;

	pt->reported = reported->root;
	pt->now = desired->root;
	e = take_ops(pt, ops, f);
	for (uint32_t i = 0; e == ERR_OK && i < pt->nop; i++)
		if ((e = check_path(pt, &pt->ops[i], i, f)) == ERR_OK)
			op_do(pt, &pt->ops[i]);
	if (e == ERR_OK)
		put_difference(pt, desired->root, patch);
	buf_fini(&pt->copies[0]), buf_fini(&pt->copies[1]);
	arena_fini(&pt->arena);
	free(pt);
	return e;
}
