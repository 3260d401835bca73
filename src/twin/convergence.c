/*
 * Convergence (twins.md 14): which desired properties are not equal in reported. Both trees are walked side by side; a
 * reported value may be an acknowledgement (T-113), which says of itself which write it answers, so the stamps of the
 * desired properties are asked.
 */
#include "twin/priv.h"

struct acknowledgement {
	struct doc value, status, version, description;
};

struct comparison {
	const struct section *desired;
	pending_fn *each; /* NULL: whether there is one at all */
	void *ctx;
	bool indexed, over;
	uint32_t npending;
	struct stamp_index stamps;
	struct str keys[TWIN_DEPTH_MAX + 1]; /* of the property at hand, from the root */
	unsigned nkey;
};

static bool
is_number(struct doc d)
{
	return kind_of(d) == DOC_INT || kind_of(d) == DOC_DOUBLE;
}

/* {value, ac, av, ad}: nothing else, only ad may be missing. */
static bool
acknowledgement_take(struct doc d, struct acknowledgement *a)
{
	struct walk it = walk_of(kind_of(d) == DOC_OBJECT ? d : DOC_NONE);
	struct str key;
	struct doc v;

	*a = (struct acknowledgement){ DOC_NONE, DOC_NONE, DOC_NONE, DOC_NONE };
	while (walk_next(&it, &key, &v)) {
		if (str_eq(key, STR("value")))
			a->value = v;
		else if (str_eq(key, STR("ac")))
			a->status = v;
		else if (str_eq(key, STR("av")))
			a->version = v;
		else if (str_eq(key, STR("ad")))
			a->description = v;
		else
			return false;
	}
	return doc_defined(a->value) && is_number(a->status) && is_number(a->version);
}

/* A desired property of that shape is compared as what it is; an empty one needs no acknowledgement. */
static bool
acknowledges(struct doc desired, struct doc reported, struct acknowledgement *a)
{
	struct acknowledgement unused;

	return acknowledgement_take(reported, a) && !acknowledgement_take(desired, &unused) &&
	    (kind_of(desired) != DOC_OBJECT || doc_count(desired) > 0);
}

/* The mark of a component says what the object is: it is no property. */
static bool
is_mark(struct str key, struct doc v)
{
	return str_eq(key, STR("__t")) && kind_of(v) == DOC_STRING && str_eq(doc_str(v), STR("c"));
}

static void
object_members(struct members *ms, struct doc d)
{
	members_init(ms, kind_of(d) == DOC_OBJECT ? d : DOC_NONE);
}

/* Is everything of `desired` there? An object without members asks for nothing. */
static bool
covers(struct doc reported, struct doc desired)
{
	struct walk it = walk_of(desired);
	struct members ms;
	struct str key;
	struct doc d;
	bool all = true;

	if (kind_of(desired) != DOC_OBJECT)
		return doc_defined(reported) && doc_equal(desired, reported);
	object_members(&ms, reported);
	while (all && walk_next(&it, &key, &d)) {
		const struct member *m = members_take(&ms, key);

		all = is_mark(key, d) || covers(m != NULL ? m->value : DOC_NONE, d);
	}
	members_fini(&ms);
	return all;
}

/* The device has said yes (2xx), to this write or a later one. */
static bool
accepted(struct comparison *c, struct doc desired, const struct acknowledgement *a)
{
	double status = doc_number(a->status);

	if (!c->indexed)
		stamp_index_init(&c->stamps, c->desired);
	c->indexed = true;
	return status >= 200 && status <= 299 &&
	    doc_number(a->version) >= stamp_at(c->desired, &c->stamps, doc_stamp(desired)).version;
}

static void
pending(
    struct comparison *c, struct doc desired, struct doc reported, const struct acknowledgement *a)
{
	struct pending p = { .keys = c->keys, .nkey = c->nkey, .desired = desired };

	c->npending++;
	p.reported = a != NULL ? a->value : reported;
	if (a != NULL) {
		p.acknowledged = true;
		p.status = a->status;
		p.version = a->version;
		p.description = a->description;
	}
	c->over = c->each == NULL || !c->each(c->ctx, &p);
}

static void compare_members(struct comparison *c, struct doc desired, struct doc reported);

static void
compare(struct comparison *c, struct doc desired, struct doc reported)
{
	struct acknowledgement a;

	if (acknowledges(desired, reported, &a)) {
		if (!accepted(c, desired, &a) || !covers(a.value, desired))
			pending(c, desired, reported, &a);
	} else if (kind_of(desired) == DOC_OBJECT) {
		compare_members(c, desired, reported);
	} else if (!covers(reported, desired)) {
		pending(c, desired, reported, NULL);
	}
}

static void
compare_members(struct comparison *c, struct doc desired, struct doc reported)
{
	struct walk it = walk_of(desired);
	struct members ms;
	struct str key;
	struct doc d;

	object_members(&ms, reported);
	while (!c->over && walk_next(&it, &key, &d)) {
		const struct member *m = members_take(&ms, key);

		if (is_mark(key, d))
			continue;
		assert(c->nkey < TWIN_DEPTH_MAX + 1);
		c->keys[c->nkey++] = key;
		compare(c, d, m != NULL ? m->value : DOC_NONE);
		c->nkey--;
	}
	members_fini(&ms);
}

static void
comparison_fini(struct comparison *c)
{
	if (c->indexed)
		stamp_index_fini(&c->stamps);
}

void
section_pending(
    const struct section *desired, const struct section *reported, pending_fn *each, void *ctx)
{
	struct comparison c = { .desired = desired, .each = each, .ctx = ctx };

	compare_members(&c, desired->root, reported->root);
	comparison_fini(&c);
}

enum convergence
section_convergence(const struct section *desired, const struct section *reported,
    const struct str *path, unsigned npath)
{
	struct comparison c = { .desired = desired };
	struct doc d = desired->root, r = reported->root;
	struct acknowledgement a;
	bool inside = false, refused = false;

	for (unsigned i = 0; i < npath && doc_defined(d); i++) {
		if (i > 0 && !inside && acknowledges(d, r, &a)) { /* the object that holds it */
			inside = true;
			refused = !accepted(&c, d, &a);
			r = a.value;
		}
		d = doc_get(d, path[i]);
		r = doc_get(r, path[i]);
	}
	if (doc_defined(d) && inside)
		c.npending = refused || !covers(r, d);
	else if (doc_defined(d) && npath > 0)
		compare(&c, d, r);
	else if (npath == 0)
		compare_members(&c, d, r);
	comparison_fini(&c);
	return !doc_defined(d) ? NOTHING_DESIRED : c.npending > 0 ? PENDING : CONVERGED;
}
