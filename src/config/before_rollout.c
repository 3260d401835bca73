/* Values that rollouts have overwritten: what is to be kept, and what is to be put back. */
#include "config/before_rollout.h"

static bool
is_leaf(struct doc d)
{
	return doc_kind(d) != DOC_OBJECT || doc_count(d) == 0;
}

static bool take_below(
    struct doc_writer *dw, struct doc patch, struct doc have, const struct stamp *stamps);

/* All of a subtree that somebody has written by hand. */
static bool
take_all(struct doc_writer *dw, struct str key, struct doc have, const struct stamp *stamps)
{
	size_t from = dw->out->n;

	if (is_leaf(have)) {
		if (stamps[doc_stamp(have)].by.n > 0)
			return false;
		doc_key(dw, key);
		doc_put_copy(dw, 0, have);
		return true;
	}
	doc_key(dw, key);
	doc_begin_object(dw, 0);
	return doc_end_some(dw, from, take_below(dw, DOC_NONE, have, stamps));
}

/* patch DOC_NONE: all of have goes. */
static bool
take_below(struct doc_writer *dw, struct doc patch, struct doc have, const struct stamp *stamps)
{
	struct doc_iter it = doc_iter(have);
	bool some = false;
	struct str key;
	struct doc h;

	while (doc_next(&it, &key, &h)) {
		struct doc p = doc_get(patch, key);
		size_t from = dw->out->n;

		if (doc_defined(patch) && !doc_defined(p))
			continue;
		if (doc_kind(p) == DOC_OBJECT && doc_kind(h) == DOC_OBJECT) {
			doc_key(dw, key);
			doc_begin_object(dw, 0);
			some |= doc_end_some(dw, from, take_below(dw, p, h, stamps));
		} else {
			some |= take_all(dw, key, h, stamps);
		}
	}
	return some;
}

bool
before_rollout_take(
    const struct configuration *c, struct doc have, const struct stamp *stamps, struct buf *out)
{
	struct doc_writer dw;
	bool some = false;

	doc_writer_init(&dw, out, 0);
	doc_begin_array(&dw, 0);
	for (uint32_t i = 0; i < c->npath; i++) {
		size_t from = out->n;

		doc_begin_object(&dw, 0);
		some |= doc_end_some(&dw, from, take_below(&dw, c->paths[i].patch, have, stamps));
	}
	doc_end(&dw);
	return some;
}

static bool
put_missing(struct doc_writer *dw, struct doc before_rollout, struct doc have, struct doc wanted)
{
	struct doc_iter it = doc_iter(before_rollout);
	bool some = false;
	struct str key;
	struct doc f;

	while (doc_next(&it, &key, &f)) {
		struct doc h = doc_get(have, key), w = doc_get(wanted, key);
		size_t from = dw->out->n;

		if ((doc_defined(h) && doc_kind(h) != DOC_OBJECT) || (doc_defined(w) && is_leaf(w)))
			continue; /* somebody else's by now */
		if (!is_leaf(f)) {
			doc_key(dw, key);
			doc_begin_object(dw, 0);
			some |= doc_end_some(dw, from, put_missing(dw, f, h, w));
		} else if (!doc_defined(h) && !doc_defined(w)) {
			doc_key(dw, key);
			doc_put_copy(dw, 0, f);
			some = true;
		}
	}
	return some;
}

bool
before_rollout_patch(struct doc patch, struct doc have, struct doc wanted, struct buf *out)
{
	struct doc_writer dw;
	bool some;

	doc_writer_init(&dw, out, 0);
	doc_begin_object(&dw, 0);
	some = put_missing(&dw, patch, have, wanted);
	doc_end(&dw);
	return some;
}
