/*
 * The last step of every write: a tree whose nodes bear indexes into the old stamp table, plus one for the operation,
 * becomes a stored section. Stamps are numbered as the tree first shows them, so those that no node bears vanish.
 * The operation's stamp is on the root, hence always first. Indexes have a fixed width and are replaced in place.
 */
#include "twin/priv.h"

#include <stdlib.h>

#define HEAD_MAX                                                                                   \
	(2 +                                                                                       \
	    5 * 5) /* format, width; version, size, count, length of the stamps, and one to spare */
#define STAMP_MAX (10 + 5 + 10 + 8)
#define UNUSED    UINT16_MAX

struct renumber {
	uint16_t few[2 * (STAMPS_FEW + 1)];
	uint16_t *number; /* of each old index; UNUSED until a node shows it */
	uint16_t *order;  /* old index of each number */
	uint32_t n;
	uint16_t only; /* UNUSED, or the one index that all nodes get */
};

static void
renumber_init(struct renumber *rn, uint32_t nold, bool one_stamp)
{
	rn->number = nold <= STAMPS_FEW + 1 ? rn->few : xmalloc(2 * nold * sizeof(*rn->number));
	rn->order = rn->number + nold;
	memset(rn->number, 0xFF, nold * sizeof(*rn->number));
	rn->n = 0;
	rn->only = one_stamp ? (uint16_t)(nold - 1) : UNUSED;
}

static void
renumber_tree(struct renumber *rn, struct doc d)
{
	uint32_t old = rn->only != UNUSED ? rn->only : doc_stamp(d), new = rn->number[old];
	uint8_t *stamp = (uint8_t *)(uintptr_t)d.p; /* bytes of the buffer being written */

	if (new == UNUSED) {
		new = rn->number[old] = (uint16_t)rn->n;
		rn->order[rn->n++] = (uint16_t)old;
	}
	stamp[0] = (uint8_t) new;
	if (d.w == 2)
		stamp[1] = (uint8_t)(new >> 8);
	if (doc_kind(d) == DOC_OBJECT) {
		struct doc_iter it = doc_iter(d);
		struct doc value;
		struct str key;
		while (doc_next(&it, &key, &value))
			renumber_tree(rn, value);
	}
}

static void
recode_node(struct doc_writer *dw, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct doc value;
	struct str key;

	if (doc_kind(d) != DOC_OBJECT) {
		doc_put_copy(dw, doc_stamp(d), d);
		return;
	}
	doc_begin_object(dw, doc_stamp(d));
	while (doc_next(&it, &key, &value)) {
		doc_key(dw, key);
		recode_node(dw, value);
	}
	doc_end(dw);
}

/* The tree at offset `at` again, with another stamp width. Seldom: the number of stamps has passed STAMP_WIDTH_TWO. */
static void
recode_tree(struct buf *out, size_t at, struct doc tree, uint8_t width)
{
	struct buf copy = { 0 };
	struct doc_writer dw;

	doc_writer_init(&dw, &copy, width);
	recode_node(&dw, tree);
	out->n = at;
	buf_put(out, copy.p, copy.n);
	buf_fini(&copy);
}

static size_t
varint_size(uint64_t v)
{
	size_t n = 1;

	while ((v >>= 7) != 0)
		n++;
	return n;
}

static size_t
stamp_size(const struct stamp *st)
{
	return varint_size((uint64_t)st->time_us) + varint_size(st->version) +
	    varint_size(st->by.n) + st->by.n + (st->by.n > 0 ? 8 : 0);
}

/* The table in its new order. */
static void
stamps_put(
    struct buf *out, const struct renumber *rn, const struct section *old, const struct stamp *new)
{
	struct stamp_index ix;
	size_t n = 0;

	stamp_index_init(&ix, old);
	for (uint32_t i = 0; i < rn->n; i++) {
		uint32_t k = rn->order[i];
		n += k == old->nstamp ? stamp_size(new) : ix.at[k + 1] - ix.at[k];
	}
	buf_varint(out, n);
	for (uint32_t i = 0; i < rn->n; i++) {
		uint32_t k = rn->order[i];
		if (k == old->nstamp)
			stamp_put(out, new);
		else
			buf_put(out, old->stamps.p + ix.at[k], ix.at[k + 1] - ix.at[k]);
	}
	stamp_index_fini(&ix);
}

size_t
section_gap(const struct section *old, const struct stamp *st)
{
	return HEAD_MAX + old->stamps.n + STAMP_MAX + st->by.n;
}

void
section_seal(struct buf *out, size_t start, size_t gap, const struct section *old,
    const struct section_head *h)
{
	size_t at = start + gap, ntree;
	uint8_t was = old->nstamp > STAMP_WIDTH_TWO ? 2 : 1, width;
	struct doc tree = doc_of_stamped((struct str){ out->p + at, out->n - at }, was);
	struct renumber rn;

	renumber_init(&rn, old->nstamp + 1, h->one_stamp);
	renumber_tree(&rn, tree);
	width = rn.n > STAMP_WIDTH_TWO ? 2 : 1;
	if (width != was)
		recode_tree(out, at, tree, width);
	ntree = out->n - at;
	out->n = start; /* the head goes into the gap; nothing moves until it is whole */
	buf_putc(out, SECTION_FORMAT);
	buf_varint(out, h->version);
	buf_varint(out, h->size);
	buf_putc(out, (char)width);
	buf_varint(out, rn.n);
	stamps_put(out, &rn, old, &h->stamp);
	assert(out->n <= at);
	memmove(out->p + out->n, out->p + at, ntree);
	out->n += ntree;
	if (rn.number != rn.few)
		free(rn.number);
}
