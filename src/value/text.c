/* Strings as the languages count them, by UTF-16 code unit, case mapping, blanks, escapes, and numbers as text. */
#include "value/value.h"

#include <math.h>
#include <stdlib.h>
#include <unicase.h>

/* UTF-8 sorts by code point. UTF-16 differs in one thing only: U+E000 to U+FFFF (lead bytes EE, EF) come after the
 * surrogate pairs (lead bytes F0 to F4). */
int
utf16_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n, i = 0;

	while (i < n && a.p[i] == b.p[i])
		i++;
	if (i == n)
		return (a.n > b.n) - (a.n < b.n);
	unsigned x = (unsigned char)a.p[i], y = (unsigned char)b.p[i];
	if (x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0))
		return x >= 0xF0 ? -1 : 1;
	return x < y ? -1 : 1;
}

static bool
continuation(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

size_t
utf16_len(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += (size_t)!continuation(s.p[i]) + ((unsigned char)s.p[i] >= 0xF0);
	return n;
}

bool
utf16_offset(struct str s, size_t unit, size_t *offset)
{
	size_t at = 0, i = 0;

	while (at < unit && i < s.n) {
		at += (unsigned char)s.p[i] >= 0xF0 ? 2 : 1;
		do
			i++;
		while (i < s.n && continuation(s.p[i]));
	}
	*offset = i;
	return at == unit;
}

void
text_put_utf8(char **out, uint32_t c)
{
	char *o = *out;

	if (c < 0x80) {
		*o++ = (char)c;
	} else if (c < 0x800) {
		*o++ = (char)(0xC0 | c >> 6);
		*o++ = (char)(0x80 | (c & 0x3F));
	} else if (c < 0x10000) {
		*o++ = (char)(0xE0 | c >> 12);
		*o++ = (char)(0x80 | (c >> 6 & 0x3F));
		*o++ = (char)(0x80 | (c & 0x3F));
	} else {
		*o++ = (char)(0xF0 | c >> 18);
		*o++ = (char)(0x80 | (c >> 12 & 0x3F));
		*o++ = (char)(0x80 | (c >> 6 & 0x3F));
		*o++ = (char)(0x80 | (c & 0x3F));
	}
	*out = o;
}

/* By the simple mapping of each character (UAX #44), of the Unicode that libunistring knows; ASCII needs no table. */
static struct str
text_map(struct arena *a, struct str s, ucs4_t (*map)(ucs4_t c), char from, int ascii_delta)
{
	char *start = arena_alloc(a, 2 * s.n + 1), *o = start; /* of two bytes come at most four */
	const char *p = s.p, *end = str_end(s);

	while (p < end) {
		if ((unsigned char)*p < 0x80) {
			char c = *p++;
			*o++ = c >= from && c < from + 26 ? (char)(c + ascii_delta) : c;
		} else {
			text_put_utf8(&o, map(utf8_next(&p, end)));
		}
	}
	return (struct str){ start, (size_t)(o - start) };
}

struct str
text_lower(struct arena *a, struct str s)
{
	return text_map(a, s, uc_tolower, 'A', 32);
}

struct str
text_upper(struct arena *a, struct str s)
{
	return text_map(a, s, uc_toupper, 'a', -32);
}

bool
text_blank(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == 0xA0 || c == 0x3000 || c == 0xFEFF ||
	    (c >= 0x2000 && c <= 0x200B) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
	    c == 0x205F;
}

/* Four hex digits at s; -1 if they are not there. */
static int32_t
hex4(const char *s, const char *end)
{
	int32_t v = 0;

	if (end - s < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		if (hex_digit(s[i]) < 0)
			return -1;
		v = v << 4 | hex_digit(s[i]);
	}
	return v;
}

/* The \uXXXX at *s, two of them for a surrogate pair, as UTF-8 at *out. */
static bool
unescape_unicode(const char **s, const char *end, char **out)
{
	int32_t c = hex4(*s + 2, end), low;
	size_t n = 6;

	if (c < 0 || (c >= 0xDC00 && c <= 0xDFFF))
		return false;
	if (c >= 0xD800 && c <= 0xDBFF) {
		if (end - *s < 12 || (*s)[6] != '\\' || (*s)[7] != 'u')
			return false;
		low = hex4(*s + 8, end);
		if (low < 0xDC00 || low > 0xDFFF)
			return false;
		c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
		n = 12;
	}
	*s += n;
	text_put_utf8(out, (uint32_t)c);
	return true;
}

bool
text_unescape(const char **s, const char *end, char **out)
{
	if (end - *s < 2)
		return false;
	if ((*s)[1] == 'u')
		return unescape_unicode(s, end, out);
	if (!char_among((*s)[1], "'\"\\"))
		return false;
	*(*out)++ = (*s)[1];
	*s += 2;
	return true;
}

#define SHOWN_MAX 40

struct str
text_shown(struct str s)
{
	if (s.n <= SHOWN_MAX)
		return s;
	s.n = SHOWN_MAX;
	while (continuation(s.p[s.n]))
		s.n--;
	return s;
}

static size_t
digits(struct str s, size_t i)
{
	while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
		i++;
	return i;
}

size_t
number_scan(struct str s)
{
	size_t n = digits(s, 0), i;

	if (n == 0)
		return 0;
	if (n < s.n && s.p[n] == '.' && (i = digits(s, n + 1)) > n + 1)
		n = i;
	if (n < s.n && (s.p[n] == 'e' || s.p[n] == 'E')) {
		size_t from = n + 1;
		if (from < s.n && (s.p[from] == '+' || s.p[from] == '-'))
			from++;
		if ((i = digits(s, from)) > from)
			n = i;
	}
	return n;
}

size_t
number_scan_hex(struct str s, double *out)
{
	size_t i = 2;

	if (s.n < 3 || s.p[0] != '0' || (s.p[1] != 'x' && s.p[1] != 'X') || hex_digit(s.p[2]) < 0)
		return 0;
	for (*out = 0; i < s.n && hex_digit(s.p[i]) >= 0; i++)
		*out = *out * 16 + hex_digit(s.p[i]);
	return i;
}

double
number_read(struct arena *a, struct str s)
{
	/* strtod wants a NUL, and a point: the program never leaves the "C" locale. */
	return strtod(arena_str(a, s).p, NULL);
}

void
number_write(struct buf *json, double v)
{
	if (v == 0)
		buf_putc(json, '0'); /* also for -0 */
	else if (fabs(v) < 9007199254740992.0 && v == trunc(v))
		buf_printf(json, "%.0f", v);
	else
		doc_write_json_double(json, v);
}
