/*
 * The effective section is made by merging the owned paths, the loser first, so that where paths lie below each other the
 * winner's leaves stand. It depends on which configurations match only, so it serves row after row.
 *
 * A content that does not fit beside those that win over it is not there: it owns no path (J-45). What configurations have
 * written is known by the stamps: section_lay.
 */
#include "config/effective.h"

#include <stdlib.h>

/* Bytes and stamps on the way: what losers say is there until winners have replaced it. */
#define MERGED_MAX        (16u * PROPERTIES_SIZE_MAX)
#define MERGED_STAMPS_MAX 30000u

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

const struct configuration *
deployment_above(const struct configurations *set, const struct chosen *targeted,
    const struct chosen *force, uint32_t i)
{
	if (!chosen_has(targeted, i) || chosen_has(force, i))
		return NULL;
	for (uint32_t o = 0; o < set->n; o++)
		if (chosen_has(force, set->order[o]) && set->v[set->order[o]]->base)
			return set->v[set->order[o]];
	return NULL;
}

/* Note a path of configuration i, unless it has an owner already. */
static bool
own(struct effective *e, const struct configurations *set, uint32_t i, uint32_t k)
{
	struct owned w = { i, k };

	if (e->taken.p[set->numbers[i][k]])
		return false;
	e->taken.p[set->numbers[i][k]] = (char)(i + 1);
	buf_put(&e->owned, &w, sizeof(w));
	chosen_add(&e->owners, i);
	return true;
}

uint32_t
effective_owner(const struct effective *e, const struct configurations *set, uint32_t i, uint32_t k)
{
	return (uint8_t)e->taken.p[set->numbers[i][k]] - 1u;
}

/* The owner of each path is the first in the order of winning (J-43). */
static uint32_t
choose_owners(struct effective *e, const struct configurations *set, const struct chosen *chosen,
    struct str module)
{
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
	struct section_write wr = { .kind = SECTION_DESIRED,
		.now_us = 1,
		.by = c->id,
		.by_digest = configuration_digest(c),
		.any_size = true };
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
	return e->section.size <= MERGED_MAX && e->section.nstamp <= MERGED_STAMPS_MAX;
}

/* ---- nulls (J-59) ---- */

static void
put_gone(struct doc_writer *dw, struct str key)
{
	doc_key(dw, key);
	doc_put_null(dw, 0);
}

static bool nulls_unite(struct doc_writer *dw, struct doc a, struct doc b, struct doc want);

/* One member; a, b: what either says of it, perhaps nothing. A null covers all below it, unless something is wanted there. */
static bool
null_unite(struct doc_writer *dw, struct str key, struct doc a, struct doc b, struct doc want)
{
	bool null = doc_kind(a) == DOC_NULL || doc_kind(b) == DOC_NULL;
	size_t from = dw->out->n;

	if (null && !doc_defined(want)) {
		put_gone(dw, key);
		return true;
	}
	if (doc_kind(a) != DOC_OBJECT && doc_kind(b) != DOC_OBJECT)
		return false;
	doc_key(dw, key);
	doc_begin_object(dw, 0);
	return doc_end_some(dw, from, nulls_unite(dw, a, b, want));
}

static bool
nulls_unite(struct doc_writer *dw, struct doc a, struct doc b, struct doc want)
{
	struct doc_iter it = doc_iter(doc_kind(a) == DOC_OBJECT ? a : DOC_NONE);
	bool some = false;
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v))
		some |= null_unite(dw, key, v, doc_get(b, key), doc_get(want, key));
	it = doc_iter(doc_kind(b) == DOC_OBJECT ? b : DOC_NONE);
	while (doc_next(&it, &key, &v))
		if (!doc_defined(doc_get(a, key)))
			some |= null_unite(dw, key, DOC_NONE, v, doc_get(want, key));
	return some;
}

static void
nulls_add(struct effective *e, struct doc patch)
{
	struct doc before = e->nulls.n > 0 ? doc_of(buf_view(&e->nulls)) : DOC_NONE;
	struct doc_writer dw;
	struct buf b;

	e->next.n = 0;
	doc_writer_init(&dw, &e->next, 0);
	doc_begin_object(&dw, 0);
	nulls_unite(&dw, before, patch, e->section.root);
	doc_end(&dw);
	b = e->nulls;
	e->nulls = e->next;
	e->next = b;
}

/* ---- all of it ---- */

static struct owned
owned_at(const struct effective *e, uint32_t n)
{
	struct owned w;

	memcpy(&w, e->owned.p + n * sizeof(w), sizeof(w));
	return w;
}

/* Whose each stamp is: a configuration with many paths has many. */
static void
note_owners(struct effective *e)
{
	e->stamps = xrealloc(e->stamps, (e->section.nstamp + 1) * sizeof(*e->stamps));
	section_stamps(&e->section, e->stamps);
	e->owner_of.n = 0;
	e->nowner = 0;
	for (uint32_t i = 0; i < e->section.nstamp; i++) {
		uint32_t k = 0;

		while (k < e->nowner && !str_eq(e->owner[k].by, e->stamps[i].by))
			k++;
		if (k == e->nowner)
			e->owner[e->nowner++] = e->stamps[i];
		buf_putc(&e->owner_of, (char)k);
	}
}

bool
effective_try(struct effective *e, const struct configurations *set, const struct chosen *chosen,
    struct str module)
{
	uint32_t n, all;

	e->made = false;
	e->whole = false;
	e->nulls.n = 0;
	effective_empty(e);
	n = all = choose_owners(e, set, chosen, module);
	while (n-- > 0) {
		struct owned w = owned_at(e, n);

		if (set->v[w.configuration]->paths[w.path].whole) {
			effective_empty(e); /* in the place of all that lower ones say */
			e->whole = true;
		}
		if (!merge_path(e, set->v[w.configuration], w.path))
			return false;
	}
	if (!section_fits(&e->section, SECTION_DESIRED))
		return false;
	for (n = all; n-- > 0;) {
		const struct owned w = owned_at(e, n);
		const struct configuration_path *p = &set->v[w.configuration]->paths[w.path];

		if (p->has_nulls)
			nulls_add(e, p->patch);
	}
	note_owners(e);
	e->accepted = *chosen;
	return true;
}

void
effective_make(struct effective *e, const struct configurations *set, const struct chosen *chosen,
    struct str module)
{
	struct chosen accepted = { 0 };

	if (e->made && memcmp(&e->of, chosen, sizeof(*chosen)) == 0 &&
	    str_eq(buf_view(&e->module), module))
		return;
	if (!effective_try(e, set, chosen, module)) {
		for (uint32_t o = 0; o < set->n; o++) {
			struct chosen with = accepted;

			if (!chosen_has(chosen, set->order[o]))
				continue;
			chosen_add(&with, set->order[o]);
			if (effective_try(e, set, &with, module))
				accepted = with;
		}
		effective_try(e, set, &accepted, module);
	}
	e->made = true;
	e->of = *chosen;
	e->module.n = 0;
	buf_str(&e->module, module);
}

struct overlay
effective_overlay(const struct effective *e)
{
	return (struct overlay){ .want = e->section.root,
		.nulls = e->nulls.n > 0 ? doc_of(buf_view(&e->nulls)) : DOC_NONE,
		.owner_of = (const uint8_t *)e->owner_of.p,
		.owners = e->owner,
		.nowner = e->nowner,
		.whole = e->whole };
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
	buf_fini(&e->nulls);
	buf_fini(&e->owner_of);
	free(e->stamps);
	*e = (struct effective){ 0 };
}

/* ---- what nobody says anything of ---- */

static bool
is_leaf(struct doc d)
{
	return doc_kind(d) != DOC_OBJECT || doc_count(d) == 0;
}

static bool uncontested(struct doc_writer *dw, struct doc have, struct doc patch);

static bool
uncontested_member(struct doc_writer *dw, struct str key, struct doc have, struct doc said)
{
	size_t from = dw->out->n;

	if (!doc_defined(said) || (!is_leaf(have) && doc_kind(said) == DOC_OBJECT)) {
		doc_key(dw, key);
		if (!doc_defined(said)) {
			doc_put_same(dw, have);
			return true;
		}
		doc_begin_object(dw, doc_stamp(have));
		return doc_end_some(dw, from, uncontested(dw, have, said));
	}
	return false;
}

static bool
uncontested(struct doc_writer *dw, struct doc have, struct doc patch)
{
	struct doc_iter it = doc_iter(have);
	bool some = false;
	struct str key;
	struct doc h;

	while (doc_next(&it, &key, &h))
		some |= uncontested_member(dw, key, h, doc_get(patch, key));
	return some;
}

void
configuration_spares(
    const struct configuration *c, struct str module, struct doc have, struct buf *out)
{
	struct buf at = { 0 }, next = { 0 };
	struct doc_writer dw;

	for (uint32_t i = 0; i < c->npath; i++) {
		struct buf b = at;

		if (c->paths[i].module.n > 0 && !str_eq(c->paths[i].module, module))
			continue;
		next.n = 0;
		doc_writer_init(&dw, &next, have.w);
		doc_begin_object(&dw, doc_stamp(have));
		uncontested(&dw, have, c->paths[i].patch);
		doc_end(&dw);
		at = next;
		next = b;
		have = doc_of_stamped(buf_view(&at), have.w);
	}
	out->n = 0;
	buf_str(out, doc_bytes(have));
	buf_fini(&at);
	buf_fini(&next);
}

/* ---- what changed ---- */

/* The member of a key, looked for first behind the last one found: mostly the two documents agree in order, and thousands of
 * members are gone through once. */
struct finger {
	struct doc in;
	struct doc_iter it;
};

static struct doc
finger_find(struct finger *f, struct str key)
{
	struct doc_iter at = f->it;
	struct str k;
	struct doc v;

	while (doc_next(&at, &k, &v)) {
		if (str_eq(k, key)) {
			f->it = at;
			return v;
		}
	}
	return doc_get(f->in, key);
}

static bool
differs(struct doc_writer *dw, struct doc was, struct doc now, const struct stamp *stamps,
    uint32_t version)
{
	struct finger before = { was, doc_iter(was) }, after = { now, doc_iter(now) };
	struct doc_iter it = doc_iter(was);
	bool some = false;
	struct str key;
	struct doc v;

	while (doc_next(&it, &key, &v)) {
		if (doc_defined(finger_find(&after, key)))
			continue;
		put_gone(dw, key);
		some = true;
	}
	it = doc_iter(now);
	while (doc_next(&it, &key, &v)) {
		struct doc old = finger_find(&before, key);
		size_t from;

		if (stamps[doc_stamp(v)].version != version)
			continue; /* not touched, nor anything below */
		if (doc_kind(v) == DOC_OBJECT && doc_kind(old) == DOC_OBJECT) {
			from = dw->out->n;
			doc_key(dw, key);
			doc_begin_object(dw, 0);
			some |= doc_end_some(dw, from, differs(dw, old, v, stamps, version));
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
