/*
 * The effective section is made by merging the owned paths, the loser first, so that where paths lie below each other the
 * winner's leaves stand. It depends on which configurations match only, so it serves row after row.
 *
 * What configurations have written is known by the stamps: a leaf that bears a configuration's id and is in no effective
 * section goes; a leaf that somebody else has overwritten meanwhile is theirs (T-30) and stays.
 */
#include "hub/effective.h"

#include <stdlib.h>

struct owned {
	uint32_t configuration, path;
};

/* ---- the effective section ---- */

struct chosen
deployments_in_force(const struct configurations *set, const struct chosen *targeted)
{
	struct chosen force = { 0 };

	for (uint32_t o = 0; o < set->n; o++) {
		uint32_t i = set->order[o];

		if (!chosen_has(targeted, i))
			continue;
		chosen_add(&force, i);
		if (set->v[i]->base)
			break; /* what is below it is no layer of it */
	}
	return force;
}

/* Note a path of configuration i, unless it has an owner already. */
static bool
own(struct effective *e, const struct configurations *set, uint32_t i, uint32_t k)
{
	struct owned w = { i, k };

	if (e->taken.p[set->numbers[i][k]])
		return false;
	e->taken.p[set->numbers[i][k]] = 1;
	buf_put(&e->owned, &w, sizeof(w));
	chosen_add(&e->owners, i);
	return true;
}

/* The owner of each path is the first in the order of winning (J-43). */
static uint32_t
choose_owners(struct effective *e, const struct configurations *set, const struct chosen *chosen)
{
	struct str module = buf_view(&e->module);
	uint32_t n = 0;

	e->owned.n = e->taken.n = 0;
	e->owners = (struct chosen){ 0 };
	buf_reserve(&e->taken, set->nnumber + 1);
	memset(e->taken.p, 0, set->nnumber + 1);
	for (uint32_t o = 0; o < set->n; o++) {
		uint32_t i = set->order[o];

		for (uint32_t k = 0; chosen_has(chosen, i) && k < set->v[i]->npath; k++) {
			struct str of = set->v[i]->paths[k].module;

			if (of.n == 0 || str_eq(of, module))
				n += own(e, set, i, k);
		}
	}
	return n;
}

static void
effective_empty(struct effective *e)
{
	e->bytes.n = 0;
	section_new(&e->bytes, 1);
	e->section = section_of(buf_view(&e->bytes));
}

static bool
merge_path(struct effective *e, const struct configuration *c, uint32_t path)
{
	struct section_write wr = { .kind = SECTION_DESIRED, .now_us = 1, .by = c->id };
	bool changed;

	e->next.n = 0;
	if (section_merge(&e->section, c->paths[path].patch, 0, &wr, &e->next, NULL, &changed,
	        NULL) != ERR_OK)
		return false;
	if (changed) {
		struct buf b = e->bytes;

		e->bytes = e->next;
		e->next = b;
		e->section = section_of(buf_view(&e->bytes));
	}
	return true;
}

void
effective_make(struct effective *e, const struct configurations *set, const struct chosen *chosen,
    struct str module)
{
	struct chosen failed = { 0 };
	uint32_t n;

	if (e->made && memcmp(&e->of, chosen, sizeof(*chosen)) == 0 &&
	    str_eq(buf_view(&e->module), module))
		return;
	e->made = true;
	e->of = *chosen;
	e->module.n = 0;
	buf_str(&e->module, module);
	e->whole = false;
	effective_empty(e);
	n = choose_owners(e, set, chosen);
	while (n-- > 0) {
		struct owned w;

		memcpy(&w, e->owned.p + n * sizeof(w), sizeof(w));
		if (set->v[w.configuration]->paths[w.path].whole) {
			effective_empty(e); /* in the place of all that lower ones say */
			e->whole = true;
		}
		if (!merge_path(e, set->v[w.configuration], w.path))
			chosen_add(&failed, w.configuration);
	}
	e->applied = chosen_but(e->owners, failed);
	e->stamps = xrealloc(e->stamps, (e->section.nstamp + 1) * sizeof(*e->stamps));
	section_stamps(&e->section, e->stamps);
}

void
effective_drop(struct effective *e)
{
	e->made = false;
}

void
effective_fini(struct effective *e)
{
	buf_fini(&e->bytes);
	buf_fini(&e->next);
	buf_fini(&e->module);
	buf_fini(&e->owned);
	buf_fini(&e->taken);
	free(e->stamps);
	*e = (struct effective){ 0 };
}

/* ---- differences ---- */

static bool
is_leaf(struct doc d)
{
	return doc_kind(d) != DOC_OBJECT || doc_count(d) == 0;
}

/* Take back a member that came out empty. */
static void
member_begin(struct doc_writer *dw, struct str key, size_t *from)
{
	*from = dw->out->n;
	doc_key(dw, key);
	doc_begin_object(dw, 0);
}

static bool
member_end(struct doc_writer *dw, size_t from, bool some)
{
	doc_end(dw);
	if (!some)
		dw->out->n = from;
	return some;
}

static void
put_gone(struct doc_writer *dw, struct str key)
{
	doc_key(dw, key);
	doc_put_null(dw, 0);
}

struct removing {
	struct doc_writer dw;
	const struct stamp *stamps;
	bool all; /* also what nobody's configuration has written */
};

/* *whole: nothing would be left of have. */
static bool
remove_from(struct removing *rm, struct doc want, struct doc have, bool *whole)
{
	struct doc_iter it = doc_iter(have);
	bool some = false;
	struct str key;
	struct doc h;

	*whole = true;
	while (doc_next(&it, &key, &h)) {
		struct doc w = doc_get(want, key);
		bool all = false, any;
		size_t from;

		if (is_leaf(h)) {
			if (!doc_defined(w) && (rm->all || rm->stamps[doc_stamp(h)].by.n > 0)) {
				put_gone(&rm->dw, key);
				some = true;
				continue;
			}
		} else if (!doc_defined(w) || doc_kind(w) == DOC_OBJECT) {
			member_begin(&rm->dw, key, &from);
			any = member_end(&rm->dw, from, remove_from(rm, w, h, &all));
			some |= any;
			if (any && all && !doc_defined(w)) {
				rm->dw.out->n = from;
				put_gone(&rm->dw, key);
				continue;
			}
		}
		*whole = false;
	}
	return some;
}

bool
effective_remove(
    const struct effective *e, struct doc have, const struct stamp *stamps, struct buf *out)
{
	struct removing rm = { .stamps = stamps, .all = e->whole };
	bool whole, some;

	doc_writer_init(&rm.dw, out, 0);
	doc_begin_object(&rm.dw, 0);
	some = remove_from(&rm, e->section.root, have, &whole);
	doc_end(&rm.dw);
	return some;
}

static bool
nulls_in(struct doc_writer *dw, struct doc patch, struct doc want, struct doc have)
{
	struct doc_iter it = doc_iter(patch);
	bool some = false;
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		struct doc w = doc_get(want, key), h = doc_get(have, key);
		size_t from;

		if (doc_kind(v) == DOC_NULL && doc_defined(h) && !doc_defined(w)) {
			put_gone(dw, key);
			some = true;
		} else if (doc_kind(v) == DOC_OBJECT && doc_kind(h) == DOC_OBJECT) {
			member_begin(dw, key, &from);
			some |= member_end(dw, from, nulls_in(dw, v, w, h));
		}
	}
	return some;
}

bool
effective_nulls(
    const struct effective *e, const struct configuration *c, struct doc have, struct buf *out)
{
	struct doc_writer dw;

	for (uint32_t i = 0; i < c->npath; i++) {
		bool some;

		if (!c->paths[i].has_nulls ||
		    (c->paths[i].module.n > 0 && !str_eq(c->paths[i].module, buf_view(&e->module))))
			continue;
		out->n = 0;
		doc_writer_init(&dw, out, 0);
		doc_begin_object(&dw, 0);
		some = nulls_in(&dw, c->paths[i].patch, e->section.root, have);
		doc_end(&dw);
		if (some)
			return true;
	}
	return false;
}

struct writing {
	struct doc_writer dw;
	const struct stamp *want, *have;
	struct str owner;
};

static bool
write_into(struct writing *wr, struct doc want, struct doc have)
{
	struct doc_iter it = doc_iter(want);
	bool some = false;
	struct str key;
	struct doc w;

	while (doc_next(&it, &key, &w)) {
		struct doc h = doc_get(have, key);
		size_t from;

		if (!is_leaf(w)) {
			member_begin(&wr->dw, key, &from);
			some |= member_end(&wr->dw, from,
			    write_into(wr, w, doc_kind(h) == DOC_OBJECT ? h : DOC_NONE));
		} else if (str_eq(wr->want[doc_stamp(w)].by, wr->owner) &&
		    !(doc_defined(h) && str_eq(wr->have[doc_stamp(h)].by, wr->owner) &&
		        doc_equal(w, h))) {
			doc_key(&wr->dw, key);
			doc_put_copy(&wr->dw, 0, w);
			some = true;
		}
	}
	return some;
}

bool
effective_write(const struct effective *e, const struct configuration *c, struct doc have,
    const struct stamp *stamps, struct buf *out)
{
	struct writing wr = { .want = e->stamps, .have = stamps, .owner = c->id };
	bool some;

	doc_writer_init(&wr.dw, out, 0);
	doc_begin_object(&wr.dw, 0);
	some = write_into(&wr, e->section.root, have);
	doc_end(&wr.dw);
	return some;
}

/* ---- what changed ---- */

static bool
differs(struct doc_writer *dw, struct doc was, struct doc now, const struct stamp *stamps,
    uint32_t version)
{
	struct doc_iter it = doc_iter(was);
	bool some = false;
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		if (doc_defined(doc_get(now, key)))
			continue;
		put_gone(dw, key);
		some = true;
	}
	it = doc_iter(now);
	while (doc_next(&it, &key, &v)) {
		struct doc old = doc_get(was, key);
		size_t from;

		if (stamps[doc_stamp(v)].version != version)
			continue; /* not touched, nor anything below */
		if (doc_kind(v) == DOC_OBJECT && doc_kind(old) == DOC_OBJECT) {
			member_begin(dw, key, &from);
			some |= member_end(dw, from, differs(dw, old, v, stamps, version));
		} else {
			doc_key(dw, key);
			doc_put_copy(dw, 0, v);
			some = true;
		}
	}
	return some;
}

void
section_difference(
    struct doc was, struct doc now, const struct stamp *stamps, uint32_t version, struct buf *out)
{
	struct doc_writer dw;

	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	differs(&dw, was, now, stamps, version);
	doc_end(&dw);
}
