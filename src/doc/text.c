/* JSON text: the parser's face with its faults, and the writer. */
#include "doc/priv.h"

#include <math.h>
#include <stdlib.h>

struct doc_parser {
	struct json *json;
	size_t max_bytes;
};

struct doc_parser *
doc_parser_new(size_t max_bytes)
{
	struct doc_parser *ps = xmalloc(sizeof(*ps));

	ps->max_bytes = max_bytes;
	ps->json = json_new(max_bytes);
	return ps;
}

void
doc_parser_free(struct doc_parser *ps)
{
	if (ps == NULL)
		return;
	json_free(ps->json);
	free(ps);
}

/* Turn json_encode's plain refusal into one that says what and where; skipped is the length of a BOM. */
static enum err
refuse(struct str text, size_t skipped, struct fault *f)
{
	size_t at;
	enum err e = json_locate(text, &at);

	at += skipped;
	switch (e) {
	case ERR_RANGE:
		fault_set(f, F_ArgumentInvalid,
		    "The number at byte %zu of the JSON text is out of range.", at);
		return ERR_RANGE;
	case ERR_SIZE:
		fault_set(f, F_ArgumentInvalid,
		    "The JSON text has more than %d levels, at byte %zu.", DOC_DEPTH_MAX, at);
		return ERR_SIZE;
	default:
		fault_set(f, F_IotHubFormatError, "The text is not valid JSON, at byte %zu.", at);
		return ERR_SYNTAX;
	}
}

enum err
doc_parse(struct doc_parser *ps, struct str text, struct buf *out, struct doc_parsed *info,
    struct fault *f)
{
	struct doc_parsed found = { 0 };
	size_t skipped = str_starts(text, STR("\xEF\xBB\xBF")) ? 3 : 0;
	enum err e;

	if (text.n > ps->max_bytes) {
		fault_set(f, F_ArgumentInvalid, "The JSON text has %zu bytes, the limit is %zu.",
		    text.n, ps->max_bytes);
		return ERR_SIZE;
	}
	text = text.p == NULL ? STR("") : str_sub(text, skipped);
	e = json_encode(ps->json, text, out, &found.nduplicate);
	if (e == ERR_SYNTAX)
		return refuse(text, skipped, f);
	if (e != ERR_OK)
		fault_set(f, F_ArgumentInvalid, "The JSON text is too large.");
	else if (info != NULL)
		*info = found;
	return e;
}

/* ---- writing ---- */

/* What stands for a byte inside a JSON string; 0 is the byte itself, 'u' is \u00XX. RFC 8259, section 7. */
static const char escapes[256] = {
	[0x00] = 'u',
	[0x01] = 'u',
	[0x02] = 'u',
	[0x03] = 'u',
	[0x04] = 'u',
	[0x05] = 'u',
	[0x06] = 'u',
	[0x07] = 'u',
	['\b'] = 'b',
	['\t'] = 't',
	['\n'] = 'n',
	[0x0B] = 'u',
	['\f'] = 'f',
	['\r'] = 'r',
	[0x0E] = 'u',
	[0x0F] = 'u',
	[0x10] = 'u',
	[0x11] = 'u',
	[0x12] = 'u',
	[0x13] = 'u',
	[0x14] = 'u',
	[0x15] = 'u',
	[0x16] = 'u',
	[0x17] = 'u',
	[0x18] = 'u',
	[0x19] = 'u',
	[0x1A] = 'u',
	[0x1B] = 'u',
	[0x1C] = 'u',
	[0x1D] = 'u',
	[0x1E] = 'u',
	[0x1F] = 'u',
	['"'] = '"',
	['\\'] = '\\',
};

/* From a character that has to be escaped on. */
static void
write_escaped(struct buf *out, struct str s)
{
	static const char digits[] = "0123456789abcdef";
	size_t from = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char text[6] = { '\\', escapes[c], '0', '0', digits[c >> 4], digits[c & 15] };
		if (escapes[c] == 0)
			continue;
		buf_put(out, s.p + from, i - from);
		buf_put(out, text, escapes[c] == 'u' ? 6 : 2);
		from = i + 1;
	}
	if (from < s.n)
		buf_put(out, s.p + from, s.n - from);
}

void
doc_write_json_str(struct buf *out, struct str s)
{
	size_t n = 0;
	char *p;

	while (n < s.n && escapes[(unsigned char)s.p[n]] == 0)
		n++;
	buf_reserve(out, s.n + 2);
	p = out->p + out->n;
	*p = '"';
	bytes_copy(p + 1, s.p, n);
	out->n += n + 1;
	if (n < s.n)
		write_escaped(out, str_sub(s, n));
	buf_putc(out, '"');
}

void
doc_write_json_double(struct buf *out, double v)
{
	if (!isfinite(v)) {
		buf_str(out, STR("null"));
		return;
	}
	buf_reserve(out, JSON_DOUBLE_MAX);
	out->n += json_double(v, out->p + out->n);
}

static void
write_int(struct buf *out, int64_t v)
{
	if (v < 0)
		buf_putc(out, '-');
	buf_u64(out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

static void write_value(struct buf *out, struct doc d, unsigned depth);

static void
write_container(struct buf *out, struct doc d, unsigned depth)
{
	struct doc_iter it = doc_iter(d);
	bool first = true;
	struct str key;
	struct doc v;

	buf_putc(out, it.object ? '{' : '[');
	for (; doc_next(&it, &key, &v); first = false) {
		if (!first)
			buf_putc(out, ',');
		if (it.object) {
			doc_write_json_str(out, key);
			buf_putc(out, ':');
		}
		write_value(out, v, depth + 1);
	}
	buf_putc(out, it.object ? '}' : ']');
}

static void
write_value(struct buf *out, struct doc d, unsigned depth)
{
	switch (depth > DEPTH_GUARD ? DOC_UNDEFINED : doc_kind(d)) {
	case DOC_FALSE: buf_str(out, STR("false")); break;
	case DOC_TRUE: buf_str(out, STR("true")); break;
	case DOC_INT: write_int(out, doc_int(d)); break;
	case DOC_DOUBLE: doc_write_json_double(out, doc_number(d)); break;
	case DOC_STRING: doc_write_json_str(out, doc_str(d)); break;
	case DOC_ARRAY:
	case DOC_OBJECT: write_container(out, d, depth); break;
	default: buf_str(out, STR("null")); break;
	}
}

void
doc_write_json(struct buf *out, struct doc d)
{
	write_value(out, d, 0);
}
