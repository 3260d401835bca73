/*
 * Where a refused text goes wrong, and how. simdjson only says that it does; its errors cannot tell 1e400, which is a
 * number out of range, from 01, which is none. So a refused text is read once more here, by a plain scanner of RFC 8259
 * that builds nothing. It never decides whether a text is accepted. No library stands in for it: simdjson's on-demand reader gives a
 * place, but only of what was asked for, not of the fault; others that do are whole readers with rules of their own.
 */
#include "doc/priv.h"

#include <math.h>
#include <stdlib.h>

enum expect { VALUE, ELEMENT_OR_END, KEY, KEY_OR_END, COLON, COMMA_OR_END };

struct scan {
	const char *p, *end;
	enum expect expect;
	unsigned depth;
	uint64_t objects; /* bit d: the container of level d is an object */
};

static_assert(DOC_DEPTH_MAX <= 64, "one bit for each level");

static bool
in_object(const struct scan *s)
{
	return s->depth > 0 && s->objects >> (s->depth - 1) & 1;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static enum err
scan_word(struct scan *s, struct str word)
{
	if (!str_starts((struct str){ s->p, (size_t)(s->end - s->p) }, word))
		return ERR_SYNTAX;
	s->p += word.n;
	return ERR_OK;
}

static bool
scan_digits(struct scan *s)
{
	const char *from = s->p;

	while (s->p < s->end && is_digit(*s->p))
		s->p++;
	return s->p > from;
}

static bool
integer_fits(struct str token)
{
	bool negative = token.p[0] == '-';
	uint64_t v;

	return str_u64(negative ? str_sub(token, 1) : token, &v) &&
	    v <= (uint64_t)INT64_MAX + negative;
}

static bool
double_fits(struct str token)
{
	char *text = str_dup0(token);
	bool fits = isfinite(strtod(text, NULL));

	free(text);
	return fits;
}

static enum err
scan_number(struct scan *s)
{
	const char *from = s->p;
	bool integer = true;
	struct str token;

	s->p += *s->p == '-';
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (!scan_digits(s))
		return ERR_SYNTAX;
	if (s->p < s->end && *s->p == '.') {
		integer = false;
		s->p++;
		if (!scan_digits(s))
			return ERR_SYNTAX;
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		integer = false;
		s->p++;
		s->p += s->p < s->end && (*s->p == '+' || *s->p == '-');
		if (!scan_digits(s))
			return ERR_SYNTAX;
	}
	token = (struct str){ from, (size_t)(s->p - from) };
	if (integer ? integer_fits(token) : double_fits(token))
		return ERR_OK;
	s->p = from;
	return ERR_RANGE;
}

/* Four hexadecimal digits; false if there are none. */
static bool
scan_hex(struct scan *s, unsigned *v)
{
	*v = 0;
	for (int i = 0; i < 4; i++, s->p++) {
		int digit = s->p < s->end ? hex_digit(*s->p) : -1;

		if (digit < 0)
			return false;
		*v = *v << 4 | (unsigned)digit;
	}
	return true;
}

/* After a backslash. A surrogate must be one of a pair. */
static enum err
scan_escape(struct scan *s)
{
	unsigned high, low;

	if (s->p == s->end)
		return ERR_SYNTAX;
	if (*s->p != 'u')
		return char_among(*s->p++, "\"\\/bfnrt") ? ERR_OK : ERR_SYNTAX;
	s->p++;
	if (!scan_hex(s, &high) || (high >= 0xDC00 && high < 0xE000))
		return ERR_SYNTAX;
	if (high < 0xD800 || high >= 0xE000)
		return ERR_OK;
	if (scan_word(s, STR("\\u")) || !scan_hex(s, &low) || low < 0xDC00 || low >= 0xE000)
		return ERR_SYNTAX;
	return ERR_OK;
}

static enum err
scan_string(struct scan *s)
{
	const char *from = ++s->p;

	while (s->p < s->end && *s->p != '"') {
		unsigned char c = (unsigned char)*s->p;
		if (c < 0x20)
			return ERR_SYNTAX;
		s->p++;
		if (c == '\\' && scan_escape(s))
			return ERR_SYNTAX;
	}
	if (s->p == s->end)
		return ERR_SYNTAX;
	if (!utf8_valid((struct str){ from, (size_t)(s->p - from) })) {
		s->p = from;
		return ERR_SYNTAX;
	}
	s->p++;
	return ERR_OK;
}

static enum err
scan_open(struct scan *s, bool object)
{
	if (s->depth == DOC_DEPTH_MAX)
		return ERR_SIZE;
	s->objects &= ~(UINT64_C(1) << s->depth);
	s->objects |= (uint64_t)object << s->depth++;
	s->expect = object ? KEY_OR_END : ELEMENT_OR_END;
	s->p++;
	return ERR_OK;
}

static enum err
scan_value(struct scan *s)
{
	s->expect = COMMA_OR_END;
	switch (*s->p) {
	case '{': return scan_open(s, true);
	case '[': return scan_open(s, false);
	case '"': return scan_string(s);
	case 'n': return scan_word(s, STR("null"));
	case 't': return scan_word(s, STR("true"));
	case 'f': return scan_word(s, STR("false"));
	default: return *s->p == '-' || is_digit(*s->p) ? scan_number(s) : ERR_SYNTAX;
	}
}

static enum err
scan_close_or_comma(struct scan *s)
{
	char c = *s->p++;

	if (s->depth > 0 && c == (in_object(s) ? '}' : ']')) {
		s->depth--;
		s->expect = COMMA_OR_END;
	} else if (s->depth > 0 && c == ',' && s->expect == COMMA_OR_END) {
		s->expect = in_object(s) ? KEY : VALUE;
	} else {
		s->p--;
		return ERR_SYNTAX;
	}
	return ERR_OK;
}

static enum err
scan_token(struct scan *s)
{
	switch (s->expect) {
	case ELEMENT_OR_END: return *s->p == ']' ? scan_close_or_comma(s) : scan_value(s);
	case KEY_OR_END:
		if (*s->p == '}')
			return scan_close_or_comma(s);
		/* fallthrough */
	case KEY: s->expect = COLON; return *s->p == '"' ? scan_string(s) : ERR_SYNTAX;
	case COLON: s->expect = VALUE; return scan_word(s, STR(":"));
	case COMMA_OR_END: return scan_close_or_comma(s);
	default: return scan_value(s);
	}
}

enum err
json_locate(struct str text, size_t *at)
{
	struct scan s = { .p = text.p, .end = str_end(text), .expect = VALUE };
	enum err e = ERR_OK;

	while (e == ERR_OK) {
		while (s.p < s.end && (*s.p == ' ' || *s.p == '\t' || *s.p == '\n' || *s.p == '\r'))
			s.p++;
		if (s.p == s.end)
			break;
		e = scan_token(&s);
	}
	*at = (size_t)(s.p - text.p);
	if (e == ERR_OK && (s.depth > 0 || s.expect != COMMA_OR_END))
		e = ERR_SYNTAX;
	return e;
}
