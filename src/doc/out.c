#include "doc/out.h"

struct out
out_to(struct buf *to)
{
	return (struct out){ .to = to };
}

static bool
in_list(const struct out *o)
{
	return o->lists >> (o->depth - 1) & 1;
}

/* Of a value: what stands before it. */
static void
begin(struct out *o)
{
	assert(o->depth == 0 || in_list(o) || o->keyed);
	if (o->due)
		buf_putc(o->to, ',');
	o->due = true;
	o->keyed = false;
}

static void
open_as(struct out *o, bool list)
{
	assert(o->depth < OUT_DEPTH_MAX);
	begin(o);
	buf_putc(o->to, list ? '[' : '{');
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
	buf_putc(o->to, in_list(o) ? ']' : '}');
	o->depth--;
	o->due = true;
}

static void
key_ends(struct out *o)
{
	buf_putc(o->to, ':');
	o->due = false;
	o->keyed = true;
}

static void
key_begins(struct out *o)
{
	assert(o->depth > 0 && !in_list(o) && !o->keyed);
	if (o->due)
		buf_putc(o->to, ',');
}

void
out_key(struct out *o, const char *name)
{
	key_begins(o);
	buf_putc(o->to, '"');
	buf_cstr(o->to, name);
	buf_putc(o->to, '"');
	key_ends(o);
}

void
out_key_str(struct out *o, struct str name)
{
	key_begins(o);
	doc_write_json_str(o->to, name);
	key_ends(o);
}

struct buf *
out_value(struct out *o)
{
	begin(o);
	return o->to;
}

void
out_str(struct out *o, struct str s)
{
	begin(o);
	doc_write_json_str(o->to, s);
}

void
out_cstr(struct out *o, const char *s)
{
	out_str(o, str_of(s));
}

void
out_u64(struct out *o, uint64_t v)
{
	begin(o);
	buf_u64(o->to, v);
}

void
out_i64(struct out *o, int64_t v)
{
	begin(o);
	buf_printf(o->to, "%lld", (long long)v);
}

void
out_fixed(struct out *o, double v, int ndecimal)
{
	begin(o);
	buf_printf(o->to, "%.*f", ndecimal, v);
}

void
out_bool(struct out *o, bool v)
{
	begin(o);
	buf_cstr(o->to, v ? "true" : "false");
}

void
out_null(struct out *o)
{
	begin(o);
	buf_cstr(o->to, "null");
}

void
out_json(struct out *o, struct str json)
{
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
