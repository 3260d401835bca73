/*
 * Patterns of LIKE. After a failure only the last `%` takes one character more, so the work is at most the
 * length of the text times that of the pattern, which QUERY_PATTERN_MAX bounds.
 */
#include "value/value.h"

/* Behind the character at s, which is before end. */
static const char *
next_char(const char *s, const char *end)
{
	for (s++; s < end && ((unsigned char)*s & 0xC0) == 0x80;)
		s++;
	return s;
}

/* One step of the pattern at *p against the text at *s, both moved on. A character of several bytes is as many steps. */
static bool
step(const char **p, const char *pend, const char **s, const char *send)
{
	if (*p == pend)
		return false;
	if (**p == '_') {
		++*p;
		*s = next_char(*s, send);
		return true;
	}
	if (**p == '\\' && pend - *p > 1)
		++*p;
	return *(*p)++ == *(*s)++;
}

bool
like_match(struct str s, struct str pattern)
{
	const char *at = s.p, *end = str_end(s), *p = pattern.p, *pend = str_end(pattern);
	const char *any = NULL, *from = NULL; /* behind the last %, and where it has let go */

	while (at < end) {
		if (p < pend && *p == '%') {
			any = ++p;
			from = at;
		} else if (!step(&p, pend, &at, end)) {
			if (any == NULL)
				return false;
			p = any;
			at = from = next_char(from, end);
		}
	}
	while (p < pend && *p == '%')
		p++;
	return p == pend;
}
