/* A section's stored form: taken apart, checked, made for the first time. */
#include "twin/priv.h"

/* The head, up to the tree; false when it is not one. */
static bool
head_read(struct str bytes, struct section *s, uint8_t *width)
{
	struct rd r = rd_of(bytes);
	uint64_t version, size, nstamp;

	if (rd_u8(&r) != SECTION_FORMAT)
		return false;
	version = rd_varint(&r);
	size = rd_varint(&r);
	*width = rd_u8(&r);
	nstamp = rd_varint(&r);
	s->stamps = rd_lstr(&r);
	if (r.bad || version < 1 || version > INT32_MAX || size > SECTION_STORED_MAX ||
	    nstamp < 1 || nstamp > STAMPS_MAX || *width != (nstamp > STAMP_WIDTH_TWO ? 2 : 1))
		return false;
	s->version = (uint32_t)version;
	s->size = (uint32_t)size;
	s->nstamp = (uint32_t)nstamp;
	s->bytes = bytes;
	s->root = (struct doc){ r.p, r.end, *width };
	return true;
}

struct section
section_of(struct str bytes)
{
	struct section s = { 0 };
	uint8_t width;
	bool ok = head_read(bytes, &s, &width);

	assert(ok);
	(void)ok;
	return s;
}

static bool
stamps_valid(const struct section *s)
{
	struct rd r = rd_of(s->stamps);

	for (uint32_t i = 0; i < s->nstamp && !r.bad; i++) {
		struct stamp st = stamp_read(&r);
		if (st.version > INT32_MAX || !utf8_valid(st.by))
			return false;
	}
	return !r.bad && r.p == r.end;
}

/* No null where there may be none, no empty key, no stamp beyond the table. What is inside an array bears no stamp (its view has width
 * 0), and is never null. *size grows by what it counts (T-81): one walk does for both. */
static bool
node_valid(const struct section *s, struct doc d, bool nulls, uint32_t *size)
{
	enum doc_kind kind = kind_of(d);
	struct walk it;
	struct doc value;
	struct str key;

	if ((kind == DOC_NULL && !(nulls && d.w > 0)) || (d.w > 0 && doc_stamp(d) >= s->nstamp))
		return false;
	if (kind != DOC_OBJECT && kind != DOC_ARRAY) {
		*size += twin_counted_size(d);
		return true;
	}
	it = walk_of(d);
	while (walk_next(&it, &key, &value)) {
		if ((it.object && key.n == 0) || !node_valid(s, value, nulls, size))
			return false;
		*size += (uint32_t)key.n;
	}
	return true;
}

static enum err
check(struct str bytes, bool before)
{
	struct section s = { 0 };
	struct str tree;
	uint32_t size = 0;
	uint8_t width;

	if (bytes.n == 0 || bytes.n > SECTION_STORED_MAX)
		return ERR_CORRUPT;
	if ((uint8_t)bytes.p[0] != SECTION_FORMAT)
		return ERR_VERSION;
	if (!head_read(bytes, &s, &width) || !stamps_valid(&s))
		return ERR_CORRUPT;
	tree = (struct str){ (const char *)s.root.p, (size_t)(s.root.end - s.root.p) };
	if (!doc_valid(tree, width, TWIN_DEPTH_MAX + 1) || doc_kind(s.root) != DOC_OBJECT ||
	    !node_valid(&s, s.root, before, &size) || (size != s.size && !before))
		return ERR_CORRUPT;
	if (before && doc_stamp(s.root) != 0) /* the first stamp is the root's: section_seal */
		return ERR_CORRUPT;
	return ERR_OK;
}

enum err
section_check(struct str bytes)
{
	return check(bytes, false);
}

enum err
section_before_check(struct str before)
{
	return check(before, true);
}

void
section_new(struct buf *out, int64_t now_us)
{
	const struct section none = { 0 };
	const struct section_head head = {
		.version = 1, .stamp = { .time_us = now_us }, .one_stamp = true
	};
	size_t start = out->n, gap = section_gap(&none, &head.stamp);
	struct doc_writer dw;

	buf_reserve(out, gap);
	out->n += gap;
	doc_writer_init(&dw, out, 1);
	doc_begin_object(&dw, 0);
	doc_end(&dw);
	section_seal(out, start, gap, &none, &head);
}
