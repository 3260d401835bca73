/*
 * What a step has changed, found from the two sections alone, whoever wrote: a node differs if its value does or its stamp. Stamps are
 * numbered anew with each write, so the tables are compared first; then one walk of both trees.
 */
#include "twin/priv.h"

#include <stdlib.h>

/* ---- which stamp of one table is which of another one ---- */

#define NO_STAMP UINT32_MAX

struct stamp_map {
	uint32_t few[STAMPS_FEW];
	uint32_t *to; /* by index of `from`: the index of the equal stamp, or NO_STAMP */
};

static struct str
stamp_bytes(const struct section *s, const struct stamp_index *ix, uint32_t i)
{
	return (struct str){ s->stamps.p + ix->at[i], ix->at[i + 1] - ix->at[i] };
}

/* Tables mostly agree in order but for a few: the search begins behind what was found last. */
static uint32_t
stamp_find(const struct section *in, const struct stamp_index *ix, struct str bytes, uint32_t hint)
{
	for (uint32_t k = 0; k < in->nstamp; k++) {
		uint32_t i = hint + k < in->nstamp ? hint + k : hint + k - in->nstamp;

		if (str_eq(stamp_bytes(in, ix, i), bytes))
			return i;
	}
	return NO_STAMP;
}

static void
stamp_map_init(struct stamp_map *m, const struct section *from, const struct section *to)
{
	struct stamp_index of, in;
	uint32_t hint = 0;

	m->to = from->nstamp <= STAMPS_FEW ? m->few : xmalloc(from->nstamp * sizeof(*m->to));
	stamp_index_init(&of, from);
	stamp_index_init(&in, to);
	m->to[0] = NO_STAMP; /* the root's, also where there are none */
	for (uint32_t i = 0; i < from->nstamp; i++) {
		m->to[i] = stamp_find(to, &in, stamp_bytes(from, &of, i), hint);
		if (m->to[i] != NO_STAMP)
			hint = m->to[i] + 1 < to->nstamp ? m->to[i] + 1 : 0;
	}
	stamp_index_fini(&of);
	stamp_index_fini(&in);
}

static void
stamp_map_fini(struct stamp_map *m)
{
	if (m->to != m->few)
		free(m->to);
}

/* ---- a tree with other stamps ---- */

/* Copy a node with all below it, its stamps by a map; of the root's stamp it is `own`. */
struct restamp {
	struct doc_writer *dw;
	const uint32_t *to; /* NULL: as they are */
	uint32_t base;      /* for those that the map does not have: they follow from here */
	uint32_t root, own; /* a stamp, and the one that it becomes */
};

static uint32_t
restamped(const struct restamp *r, uint32_t stamp)
{
	if (stamp == r->root)
		return r->own;
	return r->to != NULL && r->to[stamp] != NO_STAMP ? r->to[stamp] : r->base + stamp;
}

static void
restamp_copy(struct restamp *r, struct doc d)
{
	struct walk it = walk_of(d);
	struct doc value;
	struct str key;

	if (kind_of(d) != DOC_OBJECT) {
		doc_put_copy(r->dw, restamped(r, doc_stamp(d)), d);
		return;
	}
	doc_begin_object(r->dw, restamped(r, doc_stamp(d)));
	while (walk_next(&it, &key, &value)) {
		doc_key(r->dw, key);
		restamp_copy(r, value);
	}
	doc_end(r->dw);
}

/* ---- the difference ---- */

struct delta {
	struct restamp before; /* stamps of the old section */
	struct doc_writer patch;
	struct stamp_map map; /* of the new section's stamps */
	bool by_value;        /* tags have one stamp, which each write moves */
};

static bool
leaf_differs(const struct delta *d, struct doc was, struct doc is)
{
	if (kind_of(was) != kind_of(is) || !doc_equal(was, is))
		return true;
	return !d->by_value && d->map.to[doc_stamp(is)] != doc_stamp(was);
}

static void
put_before(struct delta *d, struct str key, struct doc was)
{
	doc_key(d->before.dw, key);
	if (doc_defined(was))
		restamp_copy(&d->before, was);
	else /* a section has no nulls of its own */
		doc_put_null(d->before.dw, d->before.own);
}

static void
put_after(struct delta *d, struct str key, struct doc is)
{
	doc_key(&d->patch, key);
	if (doc_defined(is))
		doc_put_copy(&d->patch, 0, is);
	else
		doc_put_null(&d->patch, 0);
}

static bool delta_object(struct delta *d, struct doc was, struct doc is);

static bool
delta_member(struct delta *d, struct str key, struct doc was, struct doc is)
{
	size_t before = d->before.dw->out->n, patch = d->patch.out->n;

	if (kind_of(was) != DOC_OBJECT || kind_of(is) != DOC_OBJECT) {
		if (!leaf_differs(d, was, is))
			return false;
		put_before(d, key, was);
		put_after(d, key, is);
		return true;
	}
	doc_key(d->before.dw, key);
	doc_key(&d->patch, key);
	if (delta_object(d, was, is))
		return true;
	d->before.dw->out->n = before;
	d->patch.out->n = patch;
	return false;
}

/* Both objects, opened and closed, with the members that differ. */
static bool
delta_object(struct delta *d, struct doc was, struct doc is)
{
	bool differs = !d->by_value && d->map.to[doc_stamp(is)] != doc_stamp(was);
	struct walk it = walk_of(was);
	struct members now;
	struct doc value;
	struct str key;

	doc_begin_object(d->before.dw, restamped(&d->before, doc_stamp(was)));
	doc_begin_object(&d->patch, 0);
	members_init(&now, is);
	while (walk_next(&it, &key, &value)) {
		const struct member *m = members_take(&now, key);

		differs |= delta_member(d, key, value, m != NULL ? m->value : DOC_NONE);
	}
	for (uint32_t i = 0; now.left > 0 && i < now.n; i++)
		if (!now.v[i].taken)
			differs |= delta_member(d, now.v[i].key, DOC_NONE, now.v[i].value);
	members_fini(&now);
	doc_end(d->before.dw);
	doc_end(&d->patch);
	return differs;
}

bool
section_delta(const struct section *old, const struct section *new, enum section_kind kind,
    struct buf *before, struct buf *patch)
{
	struct doc_writer dw;
	struct delta d = { .before.dw = &dw, .by_value = kind == SECTION_TAGS };
	struct section_head head = { .version = old->version,
		.size = old->size,
		.stamp = section_stamp(old, doc_stamp(old->root)) };
	size_t start = before->n, end = patch->n, gap = section_gap(old, &head.stamp);
	bool differs;

	buf_reserve(before, gap);
	before->n += gap;
	doc_writer_init(&dw, before, old->root.w);
	d.before.root = doc_stamp(old->root);
	d.before.own = old->nstamp;
	doc_writer_init(&d.patch, patch, 0);
	stamp_map_init(&d.map, new, old);
	differs = delta_object(&d, old->root, new->root);
	stamp_map_fini(&d.map);
	differs |= old->version != new->version;
	if (differs) {
		section_seal(before, start, gap, old, &head);
	} else {
		before->n = start;
		patch->n = end;
	}
	return differs;
}

/* ---- taken back ---- */

struct take_back {
	struct restamp kept,
	    before; /* one writer, the first's: nodes of the section, and of what was before */
};

static void take_back_object(struct take_back *t, struct doc is, struct doc before);

static void
take_back_member(struct take_back *t, struct str key, struct doc is, struct doc before)
{
	struct restamp *from = doc_defined(before) ? &t->before : &t->kept;

	if (kind_of(before) == DOC_NULL)
		return;
	doc_key(t->kept.dw, key);
	if (kind_of(before) == DOC_OBJECT && kind_of(is) == DOC_OBJECT) {
		take_back_object(t, is, before);
		return;
	}
	restamp_copy(from, doc_defined(before) ? before : is);
}

static void
take_back_object(struct take_back *t, struct doc is, struct doc before)
{
	struct walk it = walk_of(is);
	struct members was;
	struct doc value;
	struct str key;

	doc_begin_object(t->kept.dw, restamped(&t->before, doc_stamp(before)));
	members_init(&was, before);
	while (walk_next(&it, &key, &value)) {
		const struct member *m = members_take(&was, key);

		take_back_member(t, key, value, m != NULL ? m->value : DOC_NONE);
	}
	for (uint32_t i = 0; was.left > 0 && i < was.n; i++)
		if (!was.v[i].taken)
			take_back_member(t, was.v[i].key, DOC_NONE, was.v[i].value);
	members_fini(&was);
	doc_end(t->kept.dw);
}

void
section_take_back(
    const struct section *after, struct str before, enum section_kind kind, struct buf *out)
{
	struct section was = section_of(before);
	struct section both = { .nstamp = after->nstamp + was.nstamp };
	struct section_head head = { .version = was.version,
		.size = was.size,
		.stamp = section_stamp(&was, 0),
		.one_stamp = kind == SECTION_TAGS };
	struct doc_writer dw;
	struct take_back t = { .kept.dw = &dw, .before = { .dw = &dw, .base = after->nstamp } };
	struct buf stamps = { 0 };
	struct stamp_map map;
	size_t start = out->n, gap;

	buf_str(&stamps, after->stamps);
	buf_str(&stamps, was.stamps);
	both.stamps = buf_view(&stamps);
	gap = section_gap(&both, &head.stamp);
	buf_reserve(out, gap);
	out->n += gap;
	stamp_map_init(&map, &was, after);
	doc_writer_init(&dw, out, both.nstamp > STAMP_WIDTH_TWO ? 2 : 1);
	t.kept.root = map.to[0]; /* the root's of before, should the section have it, too */
	t.before.to = map.to;
	t.before.root = 0;
	t.kept.own = t.before.own = both.nstamp;
	take_back_object(&t, after->root, was.root);
	section_seal(out, start, gap, &both, &head);
	stamp_map_fini(&map);
	buf_fini(&stamps);
}
