/*
 * The body of a message as a document. UTF-16 and UTF-32 are little-endian unless a byte order mark says other; a body whose
 * bytes are no text of its encoding is not read.
 */
#include "route/priv.h"

enum encoding { ENCODING_NONE, ENCODING_UTF8, ENCODING_UTF16, ENCODING_UTF32 };

/* Without what follows a semicolon, and blanks. */
static struct str
media_type(struct str s)
{
	struct str type, parameters;

	str_cut(s, ';', &type, &parameters);
	while (type.n > 0 && char_among(type.p[type.n - 1], " \t"))
		type.n--;
	while (type.n > 0 && char_among(type.p[0], " \t"))
		type = str_sub(type, 1);
	return type;
}

static enum encoding
encoding_of(struct str content_type, struct str content_encoding)
{
	static const struct {
		const char *name;
		enum encoding encoding;
	} names[] = { { "utf-8", ENCODING_UTF8 }, { "utf-16", ENCODING_UTF16 },
		{ "utf-32", ENCODING_UTF32 } };

	if (!str_ieq(media_type(content_type), STR("application/json")))
		return ENCODING_NONE;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (str_ieq(content_encoding, str_of(names[i].name)))
			return names[i].encoding;
	return ENCODING_NONE;
}

/* ---- to UTF-8 ---- */

static void
put_character(struct buf *out, uint32_t c)
{
	char bytes[4], *end = bytes;

	text_put_utf8(&end, c);
	buf_put(out, bytes, (size_t)(end - bytes));
}

/* A unit of so many bytes. */
static uint32_t
unit(const unsigned char *p, size_t width, bool big)
{
	uint32_t v = 0;

	for (size_t i = 0; i < width; i++)
		v |= (uint32_t)p[i] << 8 * (big ? width - 1 - i : i);
	return v;
}

static bool
surrogate(uint32_t c)
{
	return c >= 0xD800 && c <= 0xDFFF;
}

/* Units of 2 or 4 bytes as UTF-8. */
static bool
widen(struct str s, size_t width, struct buf *out)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	bool big = s.n >= width && unit(p, width, true) == 0xFEFF;

	if (s.n % width != 0)
		return false;
	while (p < end) {
		uint32_t c = unit(p, width, big), low;
		p += width;
		if (width == 2 && c >= 0xD800 && c <= 0xDBFF && p < end) {
			low = unit(p, width, big);
			if (low < 0xDC00 || low > 0xDFFF)
				return false;
			c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
			p += width;
		}
		if (surrogate(c) || c > 0x10FFFF)
			return false;
		put_character(out, c);
	}
	return true;
}

bool
route_body_parse(struct doc_parser *ps, struct str content_type, struct str content_encoding,
    struct str body, struct buf *out)
{
	enum encoding encoding = encoding_of(content_type, content_encoding);
	struct buf text = { 0 }, parsed = { 0 };
	struct doc_parsed info = { 0 };
	bool good = encoding != ENCODING_NONE;

	if (encoding == ENCODING_UTF16 || encoding == ENCODING_UTF32) {
		good = widen(body, encoding == ENCODING_UTF16 ? 2 : 4, &text);
		body = buf_view(&text);
	}
	good = good && doc_parse(ps, body, &parsed, &info, NULL) == ERR_OK;
	if (good && info.nduplicate > 0)
		doc_put_unique(out, doc_of(buf_view(&parsed)));
	else if (good)
		buf_str(out, buf_view(&parsed));
	buf_fini(&text);
	buf_fini(&parsed);
	return good;
}
