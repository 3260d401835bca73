/* Sections as JSON text: for the device, for the back end with $metadata, and as a notification. */
#include "twin/priv.h"

#include <inttypes.h>

/* An object's text without its closing brace, ready for one more member. */
static void
open_object(struct buf *out, struct doc object)
{
	doc_write_json(out, object);
	out->n--;
	if (out->p[out->n - 1] != '{')
		buf_putc(out, ',');
}

static void
close_with_version(struct buf *out, uint32_t version)
{
	buf_cstr(out, "\"$version\":");
	buf_u64(out, version);
	buf_putc(out, '}');
}

void
section_write_tags(struct buf *out, const struct section *s)
{
	doc_write_json(out, s->root);
}

void
section_write_device(struct buf *out, const struct section *s)
{
	open_object(out, s->root);
	close_with_version(out, s->version);
}

void
section_write_notification(struct buf *out, struct doc members, uint32_t version)
{
	open_object(out, members);
	close_with_version(out, version);
}

/* Neighbours mostly share a stamp: its text, once written, is copied from where it stands in out. */
#define TEXTS 16
struct metadata {
	struct buf *out;
	const struct section *s;
	bool desired;
	struct stamp_index stamps;
	struct stamp_text {
		uint32_t stamp;
		size_t at, n; /* n 0: free */
	} texts[TEXTS];
};

static void
stamp_text_put(struct metadata *m, const struct stamp *st)
{
	char time[TIME_TEXT_MAX];
	size_t n = time_format(st->time_us, time);

	buf_cstr(m->out, "\"$lastUpdated\":\"");
	buf_put(m->out, time, n);
	buf_putc(m->out, '"');
	if (m->desired && st->version > 0) {
		buf_cstr(m->out, ",\"$lastUpdatedVersion\":");
		buf_u64(m->out, st->version);
	}
	if (st->by.n > 0) {
		buf_cstr(m->out, ",\"$lastUpdatedBy\":");
		doc_write_json_str(m->out, st->by);
		buf_printf(m->out, ",\"$lastUpdatedByDigest\":\"%" PRId64 "\"", st->by_digest);
	}
}

static void
stamp_write(struct metadata *m, uint32_t stamp)
{
	struct stamp_text *t = &m->texts[stamp % TEXTS];
	struct stamp st;

	if (t->n > 0 && t->stamp == stamp) {
		buf_reserve(m->out, t->n);
		memcpy(m->out->p + m->out->n, m->out->p + t->at, t->n);
		m->out->n += t->n;
		return;
	}
	st = stamp_at(m->s, &m->stamps, stamp);
	t->stamp = stamp;
	t->at = m->out->n;
	stamp_text_put(m, &st);
	t->n = m->out->n - t->at;
}

static void
entry_write(struct metadata *m, struct doc d)
{
	struct doc_iter it;
	struct doc value;
	struct str key;

	buf_putc(m->out, '{');
	stamp_write(m, doc_stamp(d));
	if (doc_kind(d) == DOC_OBJECT) { /* an array is a leaf: T-26 */
		for (it = doc_iter(d); doc_next(&it, &key, &value);) {
			buf_putc(m->out, ',');
			doc_write_json_str(m->out, key);
			buf_putc(m->out, ':');
			entry_write(m, value);
		}
	}
	buf_putc(m->out, '}');
}

void
section_write_service(struct buf *out, const struct section *s, enum section_kind kind)
{
	struct metadata m = { .out = out, .s = s, .desired = kind == SECTION_DESIRED };

	stamp_index_init(&m.stamps, s);
	open_object(out, s->root);
	buf_cstr(out, "\"$metadata\":");
	entry_write(&m, s->root);
	buf_putc(out, ',');
	close_with_version(out, s->version);
	stamp_index_fini(&m.stamps);
}
