/* Byte strings, percent coding, UTF-8, ids. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool
str_ieq(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

int
str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c != 0)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq((struct str){ s.p, prefix.n }, prefix);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && str_eq(str_sub(s, s.n - suffix.n), suffix);
}

struct str
str_sub(struct str s, size_t from)
{
	assert(from <= s.n);
	return from == 0 ? s : (struct str){ s.p + from, s.n - from }; /* p may be NULL */
}

bool
str_cut(struct str s, char c, struct str *before, struct str *rest)
{
	const char *at = s.n ? memchr(s.p, c, s.n) : NULL;

	if (at == NULL) {
		*before = s;
		*rest = str_sub(s, s.n);
		return false;
	}
	*before = (struct str){ s.p, (size_t)(at - s.p) };
	*rest = (struct str){ at + 1, s.n - before->n - 1 };
	return true;
}

bool
str_u64(struct str s, uint64_t *out)
{
	uint64_t v = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

char *
str_dup0(struct str s)
{
	char *c = xmalloc(s.n + 1);

	if (s.n)
		memcpy(c, s.p, s.n);
	c[s.n] = '\0';
	return c;
}

bool
str_eq_secret(struct str a, struct str b)
{
	volatile unsigned char diff = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		diff |= (unsigned char)(a.p[i] ^ b.p[i]);
	return diff == 0;
}

void
hex_write(char *out, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = "0123456789abcdef"[p[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
}

size_t
percent_decode(struct str s, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 &&
		    hex_digit(s.p[i + 2]) >= 0) {
			out[n++] = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i];
		}
	}
	return n;
}

/* Length of the character that starts with b, and the smallest code point that may need it. */
static int
utf8_length(unsigned char b, uint32_t *first, uint32_t *least)
{
	if (b < 0x80)
		return *first = b, *least = 0, 1;
	if (b >= 0xC2 && b < 0xE0)
		return *first = b & 0x1F, *least = 0x80, 2;
	if (b >= 0xE0 && b < 0xF0)
		return *first = b & 0x0F, *least = 0x800, 3;
	if (b >= 0xF0 && b < 0xF5)
		return *first = b & 0x07, *least = 0x10000, 4;
	return 0;
}

/* Bytes at the beginning that are ASCII, eight at a time. */
static size_t
ascii_run(struct str s)
{
	size_t i = 0;

	for (uint64_t v; s.n - i >= sizeof(v); i += sizeof(v)) {
		memcpy(&v, s.p + i, sizeof(v));
		if (v & UINT64_C(0x8080808080808080))
			break;
	}
	return i;
}

bool
utf8_valid(struct str s)
{
	for (size_t i = ascii_run(s); i < s.n;) {
		uint32_t c, least;
		int len = utf8_length((unsigned char)s.p[i], &c, &least);

		if (len == 0 || s.n - i < (size_t)len)
			return false;
		for (int k = 1; k < len; k++) {
			unsigned char b = (unsigned char)s.p[i + (size_t)k];
			if ((b & 0xC0) != 0x80)
				return false;
			c = c << 6 | (b & 0x3F);
		}
		if (c < least || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
			return false;
		i += (size_t)len;
	}
	return true;
}

uint32_t
utf8_next(const char **p, const char *end)
{
	uint32_t c, least;
	int len = utf8_length((unsigned char)**p, &c, &least);

	if (len == 0 ||
	    end - *p < len) { /* not reached with valid text; never reads past the end */
		c = (unsigned char)*(*p)++;
		return c;
	}
	for (int k = 1; k < len; k++)
		c = c << 6 | ((unsigned char)(*p)[k] & 0x3F);
	*p += len;
	return c;
}

uint32_t
utf8_take(struct str *s)
{
	unsigned char lead = (unsigned char)s->p[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
	const char *p = s->p;
	uint32_t c = 0xfffd;

	if (n <= s->n && utf8_valid((struct str){ p, n }))
		c = utf8_next(&p, s->p + n);
	else
		p++;
	s->n -= (size_t)(p - s->p);
	s->p = p;
	return c;
}

static const struct range {
	uint32_t from, to;
} hidden[] = {
	{ 0x00, 0x1f }, { 0x7f, 0x9f }, /* C0, DEL, C1 */
	{ 0xad, 0xad }, { 0x34f, 0x34f },
	{ 0x61c, 0x61c },                       /* soft hyphen, joiner, Arabic letter mark */
	{ 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, /* fillers */
	{ 0x180b, 0x180f }, { 0x200b, 0x200f }, /* selectors, zero width, marks of direction */
	{ 0x2028, 0x202e },                     /* separators, embeddings, overrides */
	{ 0x2060, 0x206f }, { 0x3164, 0x3164 }, /* invisible operators, isolates, filler */
	{ 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, /* selectors, byte order mark */
	{ 0xffa0, 0xffa0 }, { 0xfff0, 0xffff }, /* filler, annotations, specials, no characters */
	{ 0xe0000, 0x10ffff },                  /* tags, selectors, private use */
};

bool
utf8_hidden(uint32_t c)
{
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (c >= hidden[i].from && c <= hidden[i].to)
			return true;
	return false;
}

size_t
utf8_escape(uint32_t c, char out[UTF8_ESCAPE_MAX])
{
	if (c <= 0xffff)
		return (size_t)snprintf(out, UTF8_ESCAPE_MAX, "\\u%04x", (unsigned)c);
	c -= 0x10000;
	return (size_t)snprintf(out, UTF8_ESCAPE_MAX, "\\u%04x\\u%04x",
	    0xd800u + (unsigned)(c >> 10), 0xdc00u + (unsigned)(c & 0x3ff));
}

bool
id_is_dots(struct str id)
{
	return str_eq(id, STR(".")) || str_eq(id, STR(".."));
}

bool
id_valid(struct str id)
{
	if (id.n == 0 || id.n > ID_MAX)
		return false;
	for (size_t i = 0; i < id.n; i++) {
		char c = id.p[i];
		bool alnum = (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
		if (!alnum && !char_among(c, "-:.+%_#*?!(),=@;$'"))
			return false;
	}
	return true;
}
