/*
 * The two writes: merge a patch (T-35 to T-43, T-58 to T-60) and replace the whole (T-44 to T-48).
 *
 * Merging walks the old tree and the patch together. The old order stays, new keys go to the end. Whatever the patch
 * names gets the operation's stamp, so do the objects above it, for they are named too (T-27, T-28); subtrees that it
 * does not name are copied with their stamps. section_seal then brings the stamp table in order.
 */
#include "twin/priv.h"

struct merge {
	struct doc_writer dw;
	uint32_t stamp;
	int64_t grown; /* of the counted size: T-81 */
	/* T-39: values are not compared (T-38), only keys that appear, vanish or are set */
	bool changed;
};

static void merge_object(struct merge *m, struct doc old, struct doc patch);

static int64_t
member_size(struct str key, struct doc value)
{
	return doc_defined(value) ? (int64_t)key.n + twin_counted_size(value) : 0;
}

/* A scalar or array of the patch; inside an array nothing is stamped. */
static void
leaf_put(struct merge *m, struct doc value)
{
	const uint8_t *tag = value.p + value.w, *payload, *end = node_end(tag, &payload);
	uint8_t stamp[2] = { (uint8_t)m->stamp, (uint8_t)(m->stamp >> 8) };

	buf_put(m->dw.out, stamp, m->dw.w);
	buf_put(m->dw.out, tag, (size_t)(end - tag));
}

static void
merge_member(struct merge *m, struct str key, struct doc was, struct doc value)
{
	enum doc_kind kind = kind_of(value);

	if (kind == DOC_NULL) {
		m->changed |= doc_defined(was);
		m->grown -= member_size(key, was);
		return;
	}
	doc_key(&m->dw, key);
	if (kind == DOC_OBJECT && kind_of(was) == DOC_OBJECT) {
		doc_begin_object(&m->dw, m->stamp);
		merge_object(m, was, value);
		doc_end(&m->dw);
		return;
	}
	m->changed = true;
	m->grown -= member_size(key, was);
	if (kind == DOC_OBJECT) { /* into an empty one: its nulls are dropped (T-36, T-37) */
		m->grown += (int64_t)key.n;
		doc_begin_object(&m->dw, m->stamp);
		merge_object(m, DOC_NONE, value);
		doc_end(&m->dw);
	} else {
		m->grown += member_size(key, value);
		leaf_put(m, value);
	}
}

/* Members of the old object, as they are: consecutive ones are consecutive bytes, stamps included. */
static void
run_put(struct merge *m, const uint8_t *from, const uint8_t *to)
{
	if (from != to)
		buf_put(m->dw.out, from, (size_t)(to - from));
}

static void
merge_object(struct merge *m, struct doc old, struct doc patch)
{
	struct walk it = walk_of(old);
	const uint8_t *run = it.p, *at = it.p; /* not yet copied from here; this member */
	struct members named;
	struct doc was;
	struct str key;

	members_init(&named, patch);
	for (; named.left > 0 && walk_next(&it, &key, &was); at = it.p) {
		const struct member *p = members_take(&named, key);
		if (p == NULL)
			continue;
		run_put(m, run, at);
		run = it.p;
		merge_member(m, key, was, p->value);
	}
	run_put(m, run, it.end);
	for (uint32_t i = 0; named.left > 0 && i < named.n; i++)
		if (!named.v[i].taken)
			merge_member(m, named.v[i].key, DOC_NONE, named.v[i].value);
	members_fini(&named);
}

/* Java reads $version as a signed 32-bit number; that it can go down, devices know already (T-08). */
uint32_t
version_after(uint32_t version)
{
	return version < INT32_MAX ? version + 1 : 1;
}

static struct section_head
head_after(const struct section *old, const struct section_write *wr, uint32_t size)
{
	uint32_t version = version_after(old->version);

	return (struct section_head){ .version = version,
		.size = size,
		.stamp = { .time_us = wr->now_us,
		    .version = version,
		    .by_digest = wr->by_digest,
		    .by = wr->by },
		.one_stamp = wr->kind == SECTION_TAGS };
}

/* A section's members but for those that T-33 ignores. */
static void
members_copy(struct doc_writer *dw, uint32_t stamp, struct doc object)
{
	struct doc_iter it = doc_iter(object);
	struct doc value;
	struct str key;

	doc_begin_object(dw, stamp);
	while (doc_next(&it, &key, &value)) {
		if (key.p[0] == '$')
			continue;
		doc_key(dw, key);
		doc_put_copy(dw, stamp, value);
	}
	doc_end(dw);
}

/* Merge a patch that has passed patch_check and has no duplicate keys. */
static enum err
merge_checked(const struct section *old, struct doc patch, const struct section_write *wr,
    struct buf *out, struct buf *notify, bool *changed, struct fault *f)
{
	struct section_head head = head_after(old, wr, 0);
	struct merge m = { .stamp = old->nstamp };
	size_t start = out->n, gap = section_gap(old, &head.stamp);
	enum err e;

	buf_reserve(out, gap + old->bytes.n + 2 * doc_size(patch));
	out->n += gap;
	doc_writer_init(&m.dw, out, old->root.w);
	doc_begin_object(&m.dw, m.stamp);
	merge_object(&m, old->root, patch);
	doc_end(&m.dw);
	if (!m.changed && wr->kind != SECTION_REPORTED) { /* T-39; T-60 */
		out->n = start;
		return ERR_OK;
	}
	head.size = (uint32_t)(old->size + m.grown);
	section_seal(out, start, gap, old, &head);
	if (!wr->any_size && (e = size_check(old, wr->kind, head.size, out->n - start, f))) {
		out->n = start;
		return e;
	}
	if (notify != NULL) { /* what was sent, nulls included: T-66 */
		doc_writer_init(&m.dw, notify, 0);
		members_copy(&m.dw, 0, patch);
	}
	*changed = true;
	return ERR_OK;
}

/* The merge patch from `old` to `new`, which holds no nulls: T-48. */
static void
diff_object(struct doc_writer *dw, struct doc old, struct doc new)
{
	struct doc_iter it = doc_iter(old);
	struct members now;
	struct doc was;
	struct str key;

	members_init(&now, new);
	doc_begin_object(dw, 0);
	while (doc_next(&it, &key, &was)) {
		const struct member *p = members_take(&now, key);
		doc_key(dw, key);
		if (p == NULL)
			doc_put_null(dw, 0);
		else if (kind_of(p->value) == DOC_OBJECT && kind_of(was) == DOC_OBJECT)
			diff_object(dw, was, p->value);
		else
			doc_put_copy(dw, 0, p->value);
	}
	for (uint32_t i = 0; now.left > 0 && i < now.n; i++) {
		if (now.v[i].taken)
			continue;
		doc_key(dw, now.v[i].key);
		doc_put_copy(dw, 0, now.v[i].value);
	}
	doc_end(dw);
	members_fini(&now);
}

/* Replace by an object that has passed patch_check and has no duplicate keys, or by DOC_NONE. */
static enum err
replace_checked(const struct section *old, struct doc value, const struct section_write *wr,
    struct buf *out, struct buf *notify, bool *changed, struct fault *f)
{
	const struct section blank = { .version = old->version }; /* no old stamp survives (T-47) */
	struct section_head head = head_after(old, wr, 0);
	size_t start = out->n, gap = section_gap(&blank, &head.stamp);
	struct doc_writer dw;
	struct doc root;
	enum err e;

	buf_reserve(out, gap + (doc_defined(value) ? 2 * doc_size(value) : 0));
	out->n += gap;
	doc_writer_init(&dw, out, 1);
	members_copy(&dw, 0, value);
	root = doc_of_stamped((struct str){ out->p + start + gap, out->n - start - gap }, 1);
	if (section_empty(old) && doc_count(root) == 0) { /* T-45 */
		out->n = start;
		return ERR_OK;
	}
	head.size = twin_counted_size(root);
	section_seal(out, start, gap, &blank, &head);
	if ((e = size_check(old, wr->kind, head.size, out->n - start, f))) {
		out->n = start;
		return e;
	}
	if (notify != NULL) {
		doc_writer_init(&dw, notify, 0);
		diff_object(&dw, old->root, value);
	}
	*changed = true;
	return ERR_OK;
}

typedef enum err write_checked(const struct section *, struct doc, const struct section_write *,
    struct buf *, struct buf *, bool *, struct fault *);

/* T-83: by now the overwritten members have been checked like the others. */
static enum err
write_unique(write_checked *write, const struct section *old, struct doc value, uint32_t nduplicate,
    const struct section_write *wr, struct buf *out, struct buf *notify, bool *changed,
    struct fault *f)
{
	struct buf unique = { 0 };
	enum err e;

	if (nduplicate > 0 && doc_defined(value)) {
		doc_put_unique(&unique, value);
		value = doc_of(buf_view(&unique));
	}
	e = write(old, value, wr, out, notify, changed, f);
	buf_fini(&unique);
	return e;
}

enum err
section_merge(const struct section *old, struct doc patch, uint32_t nduplicate,
    const struct section_write *wr, struct buf *out, struct buf *notify, bool *changed,
    struct fault *f)
{
	enum err e;

	*changed = false;
	if (!doc_defined(patch))
		return ERR_OK;
	if (doc_kind(patch) == DOC_NULL && wr->kind != SECTION_REPORTED) /* T-41 */
		return replace_checked(old, DOC_NONE, wr, out, notify, changed, f);
	if ((e = patch_check(patch, wr->kind, NULLS_DELETE, f)))
		return e;
	return write_unique(merge_checked, old, patch, nduplicate, wr, out, notify, changed, f);
}

enum err
section_replace(const struct section *old, struct doc value, uint32_t nduplicate,
    const struct section_write *wr, struct buf *out, struct buf *notify, bool *changed,
    struct fault *f)
{
	enum err e;

	*changed = false;
	if (doc_kind(value) == DOC_NULL)
		value = DOC_NONE;
	if (doc_defined(value) && (e = patch_check(value, wr->kind, NULLS_REFUSED, f)))
		return e;
	return write_unique(replace_checked, old, value, nduplicate, wr, out, notify, changed, f);
}

enum err
section_new_with(struct buf *out, struct doc value, uint32_t nduplicate,
    const struct section_write *wr, struct fault *f)
{
	struct buf first = { 0 };
	struct section old;
	bool changed;
	enum err e;

	section_new(&first, wr->now_us);
	old = section_of(buf_view(&first));
	old.version = 0; /* the content is version 1 */
	e = section_replace(&old, value, nduplicate, wr, out, NULL, &changed, f);
	if (e == ERR_OK && !changed)
		section_new(out, wr->now_us);
	buf_fini(&first);
	return e;
}
