/*
 * What configurations say, laid over a section in one go: whatever its number of owners, the two trees are walked together
 * once to see whether anything differs, and once more to write it.
 *
 * While it is written, a node's stamp is an index into the old table, followed by these for each owner
 *
 *   nold + 2 * owner      it has written a value now          nold + 2 * owner + 1  it has taken a value over as it was
 *
 * and by one for objects from which something was only removed. section_seal keeps those that a node bears.
 */
#include "twin/priv.h"

#define NONE UINT32_MAX

struct lay {
	const struct overlay *o;
	const struct section *old;
	struct stamp_index index; /* of the old stamps */
	struct doc_writer dw;
	bool writing;
	bool values, owners; /* there is a difference */
	uint32_t root;       /* the stamp of the root, which section_seal knows by another index */
	uint32_t last;       /* the index behind all */
};

static bool lay_object(struct lay *l, struct doc want, struct doc have, struct doc nulls,
    bool *empty, uint32_t *touched);

static bool
is_leaf(struct doc d)
{
	return kind_of(d) != DOC_OBJECT || doc_count(d) == 0;
}

static uint32_t
index_of(const struct lay *l, uint32_t stamp)
{
	return stamp == l->root ? l->last : stamp;
}

static struct str
writer_of(const struct lay *l, struct doc have)
{
	return stamp_at(l->old, &l->index, doc_stamp(have)).by;
}

static uint32_t
owner_of(const struct lay *l, struct doc want)
{
	return l->o->owner_of[doc_stamp(want)];
}

static void
leaf_put(struct lay *l, struct str key, struct doc value, uint32_t stamp)
{
	if (!l->writing)
		return;
	doc_key(&l->dw, key);
	doc_put_copy(&l->dw, index_of(l, stamp), value);
}

/* A tree of what is there, with its stamps. */
static void
tree_put(struct lay *l, struct str key, struct doc have)
{
	struct walk it = walk_of(have);
	struct str k;
	struct doc v;

	if (is_leaf(have)) {
		leaf_put(l, key, have, doc_stamp(have));
		return;
	}
	doc_key(&l->dw, key);
	doc_begin_object(&l->dw, index_of(l, doc_stamp(have)));
	while (walk_next(&it, &k, &v))
		tree_put(l, k, v);
	doc_end(&l->dw);
}

/* A leaf that a configuration wants, where there may be something. */
static void
lay_leaf(struct lay *l, struct str key, struct doc want, struct doc have, uint32_t *touched)
{
	uint32_t owner = owner_of(l, want), base = l->old->nstamp + 2 * owner;

	if (doc_defined(have) && is_leaf(have) && doc_equal(want, have)) {
		bool same = str_eq(writer_of(l, have), l->o->owners[owner].by);

		l->owners |= !same;
		leaf_put(l, key, have, same ? doc_stamp(have) : base + 1);
		return;
	}
	l->values = true;
	*touched = base;
	leaf_put(l, key, want, base);
}

/* An object as a member; empty: nothing has come into it, and it is not written. */
static void
lay_below(struct lay *l, struct str key, struct doc want, struct doc have, struct doc nulls,
    bool *empty, uint32_t *touched)
{
	size_t from = l->dw.out->n;
	uint32_t inside = NONE, stamp;
	size_t at = 0;

	if (l->writing) {
		doc_key(&l->dw, key);
		at = l->dw.out->n;
		doc_begin_object(&l->dw, 0);
	}
	lay_object(l, want, have, nulls, empty, &inside);
	if (inside != NONE)
		*touched = inside;
	if (!l->writing)
		return;
	doc_end(&l->dw);
	stamp = index_of(l, inside != NONE ? inside : doc_stamp(have));
	l->dw.out->p[at] = (char)stamp;
	if (l->dw.w == 2)
		l->dw.out->p[at + 1] = (char)(stamp >> 8);
	if (*empty)
		l->dw.out->n = from;
}

/* What is there and nobody's configuration wants: it stays if it was written by hand. */
static bool
stays(const struct lay *l, struct doc have)
{
	return !l->o->whole && writer_of(l, have).n == 0;
}

static void
gone(struct lay *l, uint32_t *touched)
{
	l->values = true;
	if (*touched == NONE)
		*touched = l->old->nstamp + 2 * l->o->nowner;
}

/* A member that is there; false: it is there no more. */
static bool
lay_member(struct lay *l, struct str key, struct doc want, struct doc have, struct doc nulls,
    uint32_t *touched)
{
	bool empty = false;

	if (!doc_defined(want) &&
	    (kind_of(nulls) == DOC_NULL || (is_leaf(have) && !stays(l, have)))) {
		gone(l, touched);
		return false;
	}
	if (!doc_defined(want) && is_leaf(have)) {
		leaf_put(l, key, have, doc_stamp(have));
		return true;
	}
	if (l->o->only_remove && (doc_defined(want) && (is_leaf(have) || is_leaf(want)))) {
		if (l->writing)
			tree_put(l, key, have);
		return true;
	}
	if (doc_defined(want) && (is_leaf(have) || kind_of(want) != DOC_OBJECT)) {
		if (is_leaf(want))
			lay_leaf(l, key, want, have, touched);
		else
			lay_below(l, key, want, DOC_NONE, nulls, &empty, touched);
		return true;
	}
	lay_below(l, key, want, have, nulls, &empty, touched);
	if (!empty)
		return true;
	if (!doc_defined(want)) {
		gone(l, touched);
		return false;
	}
	lay_leaf(l, key, want, DOC_NONE, touched); /* the empty object that is wanted */
	return true;
}

static bool
lay_object(struct lay *l, struct doc want, struct doc have, struct doc nulls, bool *empty,
    uint32_t *touched)
{
	struct walk it = walk_of(have);
	struct members wanted;
	uint32_t n = 0;
	struct str key;
	struct doc v;

	members_init(&wanted, want);
	while (walk_next(&it, &key, &v)) {
		const struct member *w = members_take(&wanted, key);
		struct doc null = kind_of(nulls) == DOC_OBJECT ? doc_get(nulls, key) : DOC_NONE;

		n += lay_member(l, key, w != NULL ? w->value : DOC_NONE, v, null, touched);
	}
	for (uint32_t i = 0; !l->o->only_remove && wanted.left > 0 && i < wanted.n; i++) {
		bool below;

		if (wanted.v[i].taken)
			continue;
		n++;
		if (is_leaf(wanted.v[i].value))
			lay_leaf(l, wanted.v[i].key, wanted.v[i].value, DOC_NONE, touched);
		else
			lay_below(l, wanted.v[i].key, wanted.v[i].value, DOC_NONE, DOC_NONE, &below,
			    touched);
	}
	members_fini(&wanted);
	*empty = n == 0;
	return n > 0;
}

/* The old stamps and those of the owners, as one table. */
static void
stamps_extend(const struct lay *l, int64_t now_us, struct buf *out)
{
	struct stamp st = { .time_us = now_us };
	uint32_t next = version_after(l->old->version);

	buf_str(out, l->old->stamps);
	for (uint32_t i = 0; i < l->o->nowner; i++) {
		st.by = l->o->owners[i].by;
		st.by_digest = l->o->owners[i].by_digest;
		st.version = next;
		stamp_append(out, &st);
		st.version = l->old->version;
		stamp_append(out, &st);
	}
	st = (struct stamp){ .time_us = now_us, .version = next };
	stamp_append(out, &st);
}

static void
lay_write(struct lay *l, int64_t now_us, struct buf *out)
{
	struct buf stamps = { 0 };
	struct section ext = *l->old;
	struct section_head head = { .version = l->old->version };
	size_t start = out->n, gap;
	uint32_t unused = NONE;
	bool empty;

	stamps_extend(l, now_us, &stamps);
	ext.stamps = buf_view(&stamps);
	ext.nstamp = l->last;
	head.stamp = section_stamp(&ext, l->root);
	if (l->values)
		head.version = version_after(l->old->version);
	gap = section_gap(&ext, &head.stamp);
	buf_reserve(out, gap + 2 * l->old->bytes.n);
	out->n += gap;
	doc_writer_init(&l->dw, out, l->last > STAMP_WIDTH_TWO ? 2 : 1);
	l->writing = true;
	doc_begin_object(&l->dw, l->last);
	lay_object(l, l->o->want, l->old->root, l->o->nulls, &empty, &unused);
	doc_end(&l->dw);
	head.size = twin_counted_size(
	    doc_of_stamped((struct str){ out->p + start + gap, out->n - start - gap }, l->dw.w));
	section_seal(out, start, gap, &ext, &head);
	buf_fini(&stamps);
}

enum laid
section_lay(const struct section *old, const struct overlay *o, int64_t now_us, struct buf *out)
{
	struct lay l = { .o = o, .old = old, .dw = { .out = out }, .values = o->begun };
	uint32_t touched = NONE;
	bool empty;

	stamp_index_init(&l.index, old);
	l.last = old->nstamp + 2 * o->nowner + 1;
	l.root = NONE;
	lay_object(&l, o->want, old->root, o->nulls, &empty, &touched);
	if (l.values || l.owners) {
		l.root = touched != NONE ? touched : doc_stamp(old->root);
		lay_write(&l, now_us, out);
	}
	stamp_index_fini(&l.index);
	return l.values ? LAID_VALUES : l.owners ? LAID_OWNERS : LAID_NOTHING;
}

bool
section_fits(const struct section *s, enum section_kind kind)
{
	uint32_t limit = kind == SECTION_TAGS ? TAGS_SIZE_MAX : PROPERTIES_SIZE_MAX;

	return s->size <= limit && s->bytes.n <= SECTION_STORED_FACTOR * limit;
}
