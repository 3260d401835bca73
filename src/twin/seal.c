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

/*
 * The bytes of a tree are its nodes in order, each but the root after its key, whatever their depth: no recursion. They
 * have just been written, so they are sound.
 */
static void
renumber_tree(struct renumber *rn, uint8_t *p, const uint8_t *end, uint8_t width)
{
	const uint8_t *payload, *next;

	for (;;) {
		uint32_t old = rn->only != UNUSED ? rn->only
		    : width == 1                  ? p[0]
		                                  : p[0] | (uint32_t)p[1] << 8;
		uint32_t number = rn->number[old];
		if (number == UNUSED) {
			number = rn->number[old] = (uint16_t)rn->n;
			rn->order[rn->n++] = (uint16_t)old;
		}
		p[0] = (uint8_t)number;
		if (width == 2)
			p[1] = (uint8_t)(number >> 8);
		p += width;
		next = node_end(p, &payload);
		p += ((*p & 15) == DOC_OBJECT ? payload : next) - p;
		if (p == end)
			return;
		p += node_end(p, &payload) - p; /* past the next one's key */
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
recode_tree(struct buf *out, size_t at, uint8_t was, uint8_t width)
{
	struct buf copy = { 0 };
	struct doc_writer dw;

	doc_writer_init(&dw, &copy, width);
	recode_node(&dw, doc_of_stamped((struct str){ out->p + at, out->n - at }, was));
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

static uint8_t *
varint_put(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;
	return p;
}

/* The table in its new order: first the operation's stamp. */
static uint8_t *
stamps_put(uint8_t *p, const struct renumber *rn, const struct section *old, const struct stamp *st)
{
	size_t n = stamp_size(st);
	struct stamp_index ix;

	assert(rn->order[0] == old->nstamp);
	stamp_index_init(&ix, old);
	for (uint32_t i = 1; i < rn->n; i++)
		n += ix.at[rn->order[i] + 1] - ix.at[rn->order[i]];
	p = varint_put(p, n);
	p = varint_put(p, (uint64_t)st->time_us);
	p = varint_put(p, st->version);
	p = varint_put(p, st->by.n);
	if (st->by.n > 0) {
		memcpy(p, st->by.p, st->by.n);
		p += st->by.n;
		for (int i = 0; i < 8; i++)
			*p++ = (uint8_t)((uint64_t)st->by_digest >> (8 * i));
	}
	for (uint32_t i = 1; i < rn->n; i++) {
		size_t from = ix.at[rn->order[i]];
		n = ix.at[rn->order[i] + 1] - from;
		memcpy(p, old->stamps.p + from, n);
		p += n;
	}
	stamp_index_fini(&ix);
	return p;
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
	uint8_t was = old->nstamp > STAMP_WIDTH_TWO ? 2 : 1, width, *tree, *p;
	struct renumber rn;

	renumber_init(&rn, old->nstamp + 1, h->one_stamp);
	renumber_tree(&rn, (uint8_t *)out->p + at, (uint8_t *)out->p + out->n, was);
	width = rn.n > STAMP_WIDTH_TWO ? 2 : 1;
	if (width != was)
		recode_tree(out, at, was, width);
	ntree = out->n - at;
	tree = (uint8_t *)out->p + at;
	p = (uint8_t *)out->p + start;
	*p++ = SECTION_FORMAT;
	p = varint_put(p, h->version);
	p = varint_put(p, h->size);
	*p++ = width;
	p = varint_put(p, rn.n);
	p = stamps_put(p, &rn, old, &h->stamp);
	assert(p <= tree);
	memmove(p, tree, ntree);
	out->n = (size_t)(p - (uint8_t *)out->p) + ntree;
	if (rn.number != rn.few)
		free(rn.number);
}
