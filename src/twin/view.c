/* Sections as they are shown: for the device, for the back end with $metadata, as a notification; and to queries, as docs. */
#include "twin/priv.h"

#include <inttypes.h>

/* The members of a document, in an object that is open. */
static void
put_members(struct out *o, struct doc object)
{
	struct doc_iter it = doc_iter(object);
	struct doc value;
	struct str key;

	while (doc_next(&it, &key, &value))
		out_doc(out_key_str(o, key), value);
}

static void
write_with_version(struct buf *out, struct doc members, uint32_t version)
{
	struct out o = out_to(out);

	out_open(&o);
	put_members(&o, members);
	out_u64(out_key(&o, "$version"), version);
	out_close(&o);
}

void
section_write_tags(struct buf *out, const struct section *s)
{
	doc_write_json(out, s->root);
}

void
section_write_device(struct buf *out, const struct section *s)
{
	write_with_version(out, s->root, s->version);
}

void
section_write_notification(struct buf *out, struct doc members, uint32_t version)
{
	write_with_version(out, members, version);
}

/* Neighbours mostly share a stamp: its text, once written, is copied from where it stands. */
#define TEXTS 16
struct metadata {
	struct out *out;
	const struct section *s;
	bool desired;
	struct stamp_index stamps;
	struct stamp_text {
		uint32_t stamp;
		size_t at, n; /* n 0: free */
	} texts[TEXTS];
};

/* ---- what a stamp says: one member or all of them ---- */

static void
put_updated(struct out *o, const char *name, const struct stamp *st, bool desired)
{
	(void)desired;
	out_time(out_key(o, name), st->time_us);
}

static void
put_updated_version(struct out *o, const char *name, const struct stamp *st, bool desired)
{
	if (desired && st->version > 0)
		out_u64(out_key(o, name), st->version);
}

static void
put_updated_by(struct out *o, const char *name, const struct stamp *st, bool desired)
{
	(void)desired;
	out_some_str(o, name, st->by);
}

static void
put_updated_digest(struct out *o, const char *name, const struct stamp *st, bool desired)
{
	(void)desired;
	if (st->by.n > 0)
		out_format(out_key(o, name), "%" PRId64, st->by_digest);
}

static const struct {
	const char *name;
	void (*put)(struct out *o, const char *name, const struct stamp *st, bool desired);
} stamp_members[] = {
	{ "$lastUpdated", put_updated },
	{ "$lastUpdatedVersion", put_updated_version },
	{ "$lastUpdatedBy", put_updated_by },
	{ "$lastUpdatedByDigest", put_updated_digest },
};
#define STAMP_MEMBERS (sizeof(stamp_members) / sizeof(stamp_members[0]))

void
stamp_put_member(struct out *o, const struct stamp *st, enum section_kind kind, struct str name)
{
	for (size_t i = 0; i < STAMP_MEMBERS; i++)
		if (str_eq(name, str_of(stamp_members[i].name)))
			stamp_members[i].put(o, NULL, st, kind == SECTION_DESIRED);
}

/* ---- $metadata ---- */

static void
put_stamp(struct metadata *m, uint32_t stamp)
{
	struct stamp_text *t = &m->texts[stamp % TEXTS];
	struct buf *to = m->out->to;
	struct stamp st;

	if (to != NULL && t->n > 0 && t->stamp == stamp) {
		buf_reserve(to, t->n); /* it may be moved */
		out_json(m->out, (struct str){ to->p + t->at, t->n });
		return;
	}
	st = stamp_at(m->s, &m->stamps, stamp);
	t->stamp = stamp;
	t->at = to != NULL ? to->n : 0;
	for (size_t i = 0; i < STAMP_MEMBERS; i++)
		stamp_members[i].put(m->out, stamp_members[i].name, &st, m->desired);
	t->n = to != NULL ? to->n - t->at : 0;
}

/* An array is a leaf: T-26. */
static void
put_entry(struct metadata *m, struct doc d)
{
	struct doc_iter it = doc_iter(doc_kind(d) == DOC_OBJECT ? d : DOC_NONE);
	struct doc value;
	struct str key;

	out_open(m->out);
	put_stamp(m, doc_stamp(d));
	while (doc_next(&it, &key, &value)) {
		out_key_str(m->out, key);
		put_entry(m, value);
	}
	out_close(m->out);
}

void
metadata_put(struct out *o, const struct section *s, enum section_kind kind, struct doc d)
{
	struct metadata m = { .out = o, .s = s, .desired = kind == SECTION_DESIRED };

	stamp_index_init(&m.stamps, s);
	put_entry(&m, d);
	stamp_index_fini(&m.stamps);
}

void
section_put(struct out *o, const struct section *s, enum section_kind kind)
{
	out_open(o);
	put_members(o, s->root);
	metadata_put(out_key(o, "$metadata"), s, kind, s->root);
	out_u64(out_key(o, "$version"), s->version);
	out_close(o);
}

void
section_write_service(struct buf *out, const struct section *s, enum section_kind kind)
{
	struct out o = out_to(out);

	section_put(&o, s, kind);
}
