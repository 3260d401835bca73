/* Writing: nodes appended to a buffer, and copies of nodes between trees of different stamp width. */
#include "doc/priv.h"

#include <math.h>

void
doc_writer_init(struct doc_writer *dw, struct buf *out, uint8_t w)
{
	assert(w <= 2);
	dw->out = out;
	dw->w = w;
	dw->depth = dw->arrays = 0;
}

static unsigned
stamp_width(const struct doc_writer *dw)
{
	return dw->arrays > 0 ? 0 : dw->w;
}

/* Room for n bytes after the stamp, which is written. */
static uint8_t *
node_start(struct doc_writer *dw, uint32_t stamp, size_t n)
{
	unsigned w = stamp_width(dw);
	uint8_t *p;

	assert(w == 0 || stamp >> (8 * w) == 0);
	buf_reserve(dw->out, w + n);
	p = (uint8_t *)dw->out->p + dw->out->n;
	for (unsigned i = 0; i < w; i++)
		*p++ = (uint8_t)(stamp >> (8 * i));
	return p;
}

static void
node_end(struct doc_writer *dw, const uint8_t *p)
{
	dw->out->n = (size_t)(p - (const uint8_t *)dw->out->p);
}

static void
put_scalar(struct doc_writer *dw, uint32_t stamp, enum doc_kind kind)
{
	uint8_t *p = node_start(dw, stamp, 1);

	*p++ = (uint8_t)kind;
	node_end(dw, p);
}

void
doc_put_null(struct doc_writer *dw, uint32_t stamp)
{
	put_scalar(dw, stamp, DOC_NULL);
}

void
doc_put_bool(struct doc_writer *dw, uint32_t stamp, bool v)
{
	put_scalar(dw, stamp, v ? DOC_TRUE : DOC_FALSE);
}

void
doc_put_int(struct doc_writer *dw, uint32_t stamp, int64_t v)
{
	node_end(dw, put_int(node_start(dw, stamp, 9), v));
}

void
doc_put_double(struct doc_writer *dw, uint32_t stamp, double v)
{
	if (isfinite(v))
		node_end(dw, put_double(node_start(dw, stamp, 9), v));
	else
		doc_put_null(dw, stamp);
}

void
doc_put_str(struct doc_writer *dw, uint32_t stamp, struct str v)
{
	assert(v.n <= DOC_PAYLOAD_MAX);
	node_end(dw, put_str(node_start(dw, stamp, HEAD_MAX + v.n), v.p, v.n));
}

void
doc_key(struct doc_writer *dw, struct str key)
{
	assert(dw->depth > 0 && dw->kind[dw->depth - 1] == DOC_OBJECT && key.n <= DOC_PAYLOAD_MAX);
	buf_reserve(dw->out, HEAD_MAX + key.n);
	node_end(dw, put_str((uint8_t *)dw->out->p + dw->out->n, key.p, key.n));
}

static void
begin(struct doc_writer *dw, uint32_t stamp, enum doc_kind kind)
{
	uint8_t *p = node_start(dw, stamp, HEAD_GUESS);

	assert(dw->depth < DEPTH_GUARD);
	node_end(dw, p + HEAD_GUESS);
	assert(dw->out->n <= UINT32_MAX);
	dw->start[dw->depth] = (uint32_t)(dw->out->n - HEAD_GUESS);
	dw->kind[dw->depth++] = (uint8_t)kind;
}

void
doc_begin_object(struct doc_writer *dw, uint32_t stamp)
{
	begin(dw, stamp, DOC_OBJECT);
}

void
doc_begin_array(struct doc_writer *dw, uint32_t stamp)
{
	begin(dw, stamp, DOC_ARRAY);
	dw->arrays++;
}

void
doc_end(struct doc_writer *dw)
{
	uint8_t *tag;
	enum doc_kind kind;

	assert(dw->depth > 0);
	kind = (enum doc_kind)dw->kind[--dw->depth];
	if (kind == DOC_ARRAY)
		dw->arrays--;
	buf_reserve(dw->out, HEAD_MAX - HEAD_GUESS);
	tag = (uint8_t *)dw->out->p + dw->start[dw->depth];
	assert(dw->out->n - dw->start[dw->depth] - HEAD_GUESS <= DOC_PAYLOAD_MAX);
	node_end(dw, put_end(tag, (uint8_t *)dw->out->p + dw->out->n, kind));
}

bool
doc_end_some(struct doc_writer *dw, size_t from, bool some)
{
	doc_end(dw);
	if (!some)
		dw->out->n = from;
	return some;
}

void
doc_put_copy(struct doc_writer *dw, uint32_t stamp, struct doc d)
{
	struct doc_iter it = doc_iter(d);
	struct str key, body;
	struct doc v;
	uint8_t *p;

	assert(doc_defined(d));
	/* Only the nodes of an object differ between two widths; all else is the same bytes behind the stamp. */
	if (it.object && (d.w > 0 || stamp_width(dw) > 0)) {
		doc_begin_object(dw, stamp);
		while (doc_next(&it, &key, &v)) {
			doc_key(dw, key);
			doc_put_copy(dw, stamp, v);
		}
		doc_end(dw);
		return;
	}
	body = str_sub(doc_bytes(d), d.w);
	p = node_start(dw, stamp, body.n);
	memcpy(p, body.p, body.n);
	node_end(dw, p + body.n);
}

void
doc_put_same(struct doc_writer *dw, struct doc d)
{
	assert(doc_defined(d) && d.w == stamp_width(dw));
	buf_str(dw->out, doc_bytes(d));
}
