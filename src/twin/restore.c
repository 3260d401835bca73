/*
 * A section from its own view: the mirror of view.c. The tree is gone over twice: first for the stamps, then, when their
 * number and with it the width of an index is known, to write it; section_seal does the rest.
 */
#include "twin/priv.h"

#include <stdlib.h>

#define BY_MAX 128 /* bytes of a configuration's id */

struct restore {
	int64_t now_us;
	uint32_t version;
	struct buf stamps; /* encoded, one after the other, each once; the first is the root's */
	uint32_t *at, n, cap;
	uint32_t last;      /* the stamp that was wanted last: most nodes share one */
	struct table index; /* the others, by their bytes */
	struct buf order;   /* of each node of the tree, as it is walked: its stamp, as uint16_t */
	uint32_t next;      /* in order */
	struct str time_text;
	int64_t time_us; /* what time_text says */
};

static struct str
stamp_bytes(const struct restore *r, uint32_t i)
{
	size_t end = i + 1 < r->n ? r->at[i + 1] : r->stamps.n;

	return (struct str){ r->stamps.p + r->at[i], end - r->at[i] };
}

static bool
same_stamp(const void *ctx, uint32_t i, const void *key)
{
	return str_eq(stamp_bytes(ctx, i), *(const struct str *)key);
}

/* The number of this stamp, a new one if need be. */
static uint32_t
stamp_number(struct restore *r, const struct stamp *st)
{
	size_t start = r->stamps.n;
	struct str bytes;
	uint32_t i;

	stamp_append(&r->stamps, st);
	bytes = (struct str){ r->stamps.p + start, r->stamps.n - start };
	if (r->n > 0) {
		r->stamps.n = start;
		if (str_eq(stamp_bytes(r, r->last), bytes))
			return r->last;
		i = table_get(&r->index, hash_table(bytes), same_stamp, r, &bytes);
		if (i != TABLE_NONE)
			return r->last = i;
		if (r->n ==
		    STAMPS_MAX) /* so many nodes are over the size's limit: it is refused below */
			return r->last;
		r->stamps.n = start + bytes.n;
	}
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 8;
		r->at = xrealloc(r->at, r->cap * sizeof(*r->at));
	}
	r->at[r->n] = (uint32_t)start;
	table_add(&r->index, hash_table(bytes), r->n);
	return r->last = r->n++;
}

/* ---- what $metadata says of a node ---- */

static void
take_time(struct restore *r, struct doc v, int64_t *out)
{
	struct str text = doc_kind(v) == DOC_STRING ? doc_str(v) : STR_NONE;
	int64_t us;

	if (text.n == 0)
		return;
	if (!str_eq(text, r->time_text)) {
		if (!time_parse(text, &us))
			return;
		r->time_text = text;
		r->time_us = us < 0 ? 0 : us > r->now_us ? r->now_us : us;
	}
	*out = r->time_us;
}

static void
take_digest(struct doc v, int64_t *out)
{
	uint64_t n;

	if (doc_kind(v) == DOC_STRING && str_u64(doc_str(v), &n) && n <= INT64_MAX)
		*out = (int64_t)n;
}

/* The node's own stamp; `st` comes as its parent's. */
static void
take_stamp(struct restore *r, struct doc entry, struct stamp *st)
{
	struct walk it = walk_of(entry);
	struct str key;
	struct doc v;

	if (doc_kind(entry) != DOC_OBJECT)
		return;
	st->version = 0;
	st->by = STR_NONE;
	while (walk_next(&it, &key, &v)) {
		if (key.n == 0 || key.p[0] != '$')
			continue;
		if (str_eq(key, STR("$lastUpdated")))
			take_time(r, v, &st->time_us);
		else if (str_eq(key, STR("$lastUpdatedVersion")) && doc_kind(v) == DOC_INT &&
		    doc_int(v) > 0 && doc_int(v) <= r->version)
			st->version = (uint32_t)doc_int(v);
		else if (str_eq(key, STR("$lastUpdatedBy")) && doc_kind(v) == DOC_STRING &&
		    doc_str(v).n <= BY_MAX)
			st->by = doc_str(v);
		else if (str_eq(key, STR("$lastUpdatedByDigest")))
			take_digest(v, &st->by_digest);
	}
}

/* ---- the tree, twice ---- */

static bool
shown_only(struct str key, unsigned level)
{
	return level == 0 && key.n > 0 && key.p[0] == '$';
}

static void
stamps_collect(struct restore *r, struct doc d, struct doc entry, struct stamp st, unsigned level)
{
	struct members entries;
	struct walk it;
	struct str key;
	struct doc v;
	uint16_t number;

	take_stamp(r, entry, &st);
	number = (uint16_t)stamp_number(r, &st);
	buf_put(&r->order, &number, sizeof(number));
	if (kind_of(d) != DOC_OBJECT)
		return;
	members_init(&entries, kind_of(entry) == DOC_OBJECT ? entry : DOC_NONE);
	for (it = walk_of(d); walk_next(&it, &key, &v);) {
		const struct member *m;

		if (shown_only(key, level))
			continue;
		m = members_take(&entries, key);
		stamps_collect(r, v, m != NULL ? m->value : DOC_NONE, st, level + 1);
	}
	members_fini(&entries);
}

/* The root's stamp is the last of the old table and one more: section_seal. */
static uint32_t
next_stamp(struct restore *r)
{
	uint16_t number;

	memcpy(&number, r->order.p + r->next++ * sizeof(number), sizeof(number));
	return number == 0 ? r->n - 1 : number - 1u;
}

static void
tree_write(struct restore *r, struct doc_writer *dw, struct doc d, unsigned level)
{
	uint32_t stamp = next_stamp(r);
	struct walk it;
	struct str key;
	struct doc v;

	if (kind_of(d) != DOC_OBJECT) {
		doc_put_copy(dw, stamp, d);
		return;
	}
	doc_begin_object(dw, stamp);
	for (it = walk_of(d); walk_next(&it, &key, &v);) {
		if (shown_only(key, level))
			continue;
		doc_key(dw, key);
		tree_write(r, dw, v, level + 1);
	}
	doc_end(dw);
}

/* ---- all of it ---- */

static enum err
take_version(struct doc view, enum section_kind kind, uint32_t *version, struct fault *f)
{
	struct doc v = doc_getc(view, "$version");

	*version = 1;
	if (!doc_defined(v))
		return ERR_OK;
	if (doc_kind(v) != DOC_INT || doc_int(v) < 1 || doc_int(v) > INT32_MAX)
		return fault_set(f, F_ArgumentInvalid,
		    "$version is not an integer from 1 to %d: properties.%s", INT32_MAX,
		    kind == SECTION_DESIRED ? "desired" : "reported");
	*version = (uint32_t)doc_int(v);
	return ERR_OK;
}

static void
restore_seal(struct restore *r, struct doc view, struct buf *out, uint32_t *size)
{
	struct str first = stamp_bytes(r, 0);
	struct section table = { .nstamp = r->n - 1,
		.stamps = { r->stamps.p + first.n, r->stamps.n - first.n } };
	struct rd rd = rd_of(first);
	struct section_head head = { .version = r->version, .stamp = stamp_read(&rd) };
	uint8_t width = table.nstamp > STAMP_WIDTH_TWO ? 2 : 1;
	size_t start = out->n, gap = section_gap(&table, &head.stamp);
	struct doc_writer dw;

	buf_reserve(out, gap);
	out->n += gap;
	doc_writer_init(&dw, out, width);
	tree_write(r, &dw, view, 0);
	head.size = twin_counted_size(
	    doc_of_stamped((struct str){ out->p + start + gap, out->n - start - gap }, width));
	section_seal(out, start, gap, &table, &head);
	*size = head.size;
}

static enum err
restore_checked(struct buf *out, enum section_kind kind, struct doc view, int64_t now_us,
    uint32_t version, struct fault *f)
{
	const struct section none = { 0 };
	struct restore r = { .now_us = now_us, .version = version };
	size_t start = out->n;
	uint32_t size;
	enum err e;

	stamps_collect(&r, view, doc_getc(view, "$metadata"),
	    (struct stamp){ .time_us = now_us, .version = version }, 0);
	restore_seal(&r, view, out, &size);
	e = size_check(&none, kind, size, out->n - start, f);
	if (e != ERR_OK)
		out->n = start;
	buf_fini(&r.stamps);
	buf_fini(&r.order);
	table_fini(&r.index);
	free(r.at);
	return e;
}

enum err
section_restore(struct buf *out, enum section_kind kind, struct doc view, uint32_t nduplicate,
    int64_t now_us, struct fault *f)
{
	struct buf unique = { 0 };
	uint32_t version;
	enum err e;

	if (!doc_defined(view) || doc_kind(view) == DOC_NULL) {
		section_new(out, now_us);
		return ERR_OK;
	}
	if ((e = view_check(view, kind, f)))
		return e;
	if (nduplicate > 0) {
		doc_put_unique(&unique, view);
		view = doc_of(buf_view(&unique));
	}
	e = take_version(view, kind, &version, f);
	if (e == ERR_OK)
		e = restore_checked(out, kind, view, now_us, version, f);
	buf_fini(&unique);
	return e;
}
