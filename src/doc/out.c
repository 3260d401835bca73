#include "doc/out.h"

#include <stdio.h>

struct out
out_to(struct buf *to)
{
	return (struct out){ .to = to };
}

struct out
out_to_doc(struct doc_writer *dw)
{
	return (struct out){ .doc = dw };
}

struct out
out_next(struct buf *values)
{
	return (struct out){ .to = values, .due = values->n > 0 };
}

static bool
in_list(const struct out *o)
{
	return o->lists >> (o->depth - 1) & 1;
}

/* Of a value: what stands before it. True: it goes to a document. */
static bool
begin(struct out *o)
{
	assert(o->depth == 0 || in_list(o) || o->keyed);
	if (o->due && o->doc == NULL)
		buf_putc(o->to, ',');
	o->due = true;
	o->keyed = false;
	return o->doc != NULL;
}

static void
open_as(struct out *o, bool list)
{
	assert(o->depth < OUT_DEPTH_MAX);
	if (!begin(o))
		buf_putc(o->to, list ? '[' : '{');
	else if (list)
		doc_begin_array(o->doc, 0);
	else
		doc_begin_object(o->doc, 0);
	o->lists = (o->lists & ~(UINT32_C(1) << o->depth)) | (uint32_t)list << o->depth;
	o->depth++;
	o->due = false;
}

void
out_open(struct out *o)
{
	open_as(o, false);
}

void
out_list(struct out *o)
{
	open_as(o, true);
}

void
out_close(struct out *o)
{
	assert(o->depth > 0 && !o->keyed);
	if (o->doc != NULL)
		doc_end(o->doc);
	else
		buf_putc(o->to, in_list(o) ? ']' : '}');
	o->depth--;
	o->due = true;
}

/* A comma, if one is due, and room for n bytes of a name with its quotes and colon: where they begin. */
static char *
key_begins(struct out *o, size_t n)
{
	char *p;

	assert(o->depth > 0 && !in_list(o) && !o->keyed);
	o->keyed = true;
	buf_reserve(o->to, n + 4);
	p = o->to->p + o->to->n;
	if (o->due)
		*p++ = ',';
	o->due = false;
	return p;
}

static struct out *
doc_key_begins(struct out *o, struct str name)
{
	assert(o->depth > 0 && !in_list(o) && !o->keyed);
	o->keyed = true;
	doc_key(o->doc, name);
	return o;
}

struct out *
out_key(struct out *o, const char *name)
{
	size_t n;
	char *p;

	if (name == NULL)
		return o;
	n = strlen(name);
	if (o->doc != NULL)
		return doc_key_begins(o, (struct str){ name, n });
	p = key_begins(o, n);
	*p = '"';
	memcpy(p + 1, name, n);
	p[n + 1] = '"';
	p[n + 2] = ':';
	o->to->n = (size_t)(p + n + 3 - o->to->p);
	return o;
}

struct out *
out_key_str(struct out *o, struct str name)
{
	if (o->doc != NULL)
		return doc_key_begins(o, name);
	o->to->n = (size_t)(key_begins(o, name.n) - o->to->p);
	doc_write_json_str(o->to, name);
	buf_putc(o->to, ':');
	return o;
}

void
out_str(struct out *o, struct str s)
{
	if (begin(o))
		doc_put_str(o->doc, 0, s);
	else
		doc_write_json_str(o->to, s);
}

void
out_cstr(struct out *o, const char *s)
{
	out_str(o, str_of(s));
}

void
out_str_or_null(struct out *o, struct str s)
{
	if (s.n != 0)
		out_str(o, s);
	else
		out_null(o);
}

void
out_format(struct out *o, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof(text));
	out_str(o, (struct str){ text, (size_t)n });
}

void
out_time(struct out *o, int64_t us)
{
	char t[TIME_TEXT_MAX];
	size_t n = time_format(us, t);

	out_str(o, (struct str){ t, n });
}

void
out_u64(struct out *o, uint64_t v)
{
	if (!begin(o))
		buf_u64(o->to, v);
	else if (v <= INT64_MAX)
		doc_put_int(o->doc, 0, (int64_t)v);
	else
		doc_put_double(o->doc, 0, (double)v);
}

void
out_i64(struct out *o, int64_t v)
{
	if (begin(o)) {
		doc_put_int(o->doc, 0, v);
		return;
	}
	if (v < 0)
		buf_putc(o->to, '-');
	buf_u64(o->to, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
out_fixed(struct out *o, double v, int ndecimal)
{
	if (begin(o))
		doc_put_double(o->doc, 0, v);
	else
		buf_printf(o->to, "%.*f", ndecimal, v);
}

void
out_bool(struct out *o, bool v)
{
	if (begin(o))
		doc_put_bool(o->doc, 0, v);
	else
		buf_str(o->to, v ? STR("true") : STR("false"));
}

void
out_null(struct out *o)
{
	if (begin(o))
		doc_put_null(o->doc, 0);
	else
		buf_str(o->to, STR("null"));
}

void
out_doc(struct out *o, struct doc d)
{
	if (!doc_defined(d))
		out_null(o);
	else if (begin(o))
		doc_put_copy(o->doc, 0, d);
	else
		doc_write_json(o->to, d);
}

void
out_some_str(struct out *o, const char *name, struct str s)
{
	if (s.n != 0)
		out_str(out_key(o, name), s);
}

void
out_some_time(struct out *o, const char *name, int64_t us)
{
	if (us != 0)
		out_time(out_key(o, name), us);
}

void
out_some_doc(struct out *o, const char *name, struct doc d)
{
	if (doc_defined(d))
		out_doc(out_key(o, name), d);
}

struct buf *
out_value(struct out *o)
{
	bool doc = begin(o);

	assert(!doc);
	(void)doc;
	return o->to;
}

void
out_json(struct out *o, struct str json)
{
	assert(o->doc == NULL);
	if (json.n == 0 && !o->keyed)
		return;
	if (o->depth > 0 && !in_list(o) && !o->keyed) { /* whole members */
		if (o->due)
			buf_putc(o->to, ',');
		o->due = true;
	} else {
		begin(o);
	}
	buf_str(o->to, json.n > 0 ? json : STR("null"));
}
