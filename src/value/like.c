/*
 * Patterns of LIKE, in two ways. The first one goes along: after a failure the last `%` takes one character more. That is quick, but for a pattern
 * that nearly matches everywhere, where it is the length of the text times that of the pattern; so where it takes too long the second one begins anew.
 *
 * That one has all places of the pattern at which the text so far may stand, a bit each, and moves them on together with each character: a few words,
 * whatever the text is. Place i is behind i characters; one before a `%` stays.
 */
#include "value/priv.h"

#include <stdlib.h>

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

/* ---- all places at once ---- */

#define WORDS (LIKE_PLACES_MAX / 64 + 1)

struct places {
	uint64_t w[WORDS];
};

struct letter {
	uint32_t c;
	struct places at; /* where it leads to */
};

struct machine {
	struct letter letters[LIKE_PLACES_MAX]; /* by c, each once */
	uint32_t nletter;
	struct places any, stay; /* where each character leads to; where one may stay */
	uint32_t n;              /* the last place */
};

static void
place_add(struct places *p, uint32_t place)
{
	p->w[place / 64] |= UINT64_C(1) << place % 64;
}

static uint32_t
letter_find(const struct machine *m, uint32_t c)
{
	uint32_t from = 0, to = m->nletter;

	while (from < to) {
		uint32_t mid = from + (to - from) / 2;

		if (m->letters[mid].c < c)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

static void
letter_add(struct machine *m, uint32_t c, uint32_t place)
{
	uint32_t at = letter_find(m, c);

	if (at == m->nletter || m->letters[at].c != c) {
		memmove(&m->letters[at + 1], &m->letters[at],
		    (m->nletter++ - at) * sizeof(m->letters[0]));
		m->letters[at] = (struct letter){ .c = c };
	}
	place_add(&m->letters[at].at, place);
}

/* false: it has more characters than there are places. */
static bool
machine_make(struct machine *m, struct str pattern)
{
	const char *p = pattern.p, *end = str_end(pattern);

	m->nletter = m->n = 0;
	m->any = m->stay = (struct places){ { 0 } };
	while (p < end) {
		uint32_t c = utf8_next(&p, end);

		if (c == '%') {
			place_add(&m->stay, m->n);
			continue;
		}
		if (++m->n >= LIKE_PLACES_MAX)
			return false;
		if (c == '_')
			place_add(&m->any, m->n);
		else
			letter_add(m, c == '\\' && p < end ? utf8_next(&p, end) : c, m->n);
	}
	return true;
}

/* With one character; false: nowhere. */
static bool
places_move(struct places *at, const struct machine *m, uint32_t c)
{
	static const struct places none;
	uint32_t found = letter_find(m, c);
	const struct places *to =
	    found < m->nletter && m->letters[found].c == c ? &m->letters[found].at : &none;
	uint64_t carry = 0, all = 0;

	for (uint32_t i = 0; i <= m->n / 64; i++) {
		uint64_t was = at->w[i];

		at->w[i] = ((was << 1 | carry) & (to->w[i] | m->any.w[i])) | (was & m->stay.w[i]);
		carry = was >> 63;
		all |= at->w[i];
	}
	return all != 0;
}

bool
like_match_places(struct str s, struct str pattern, bool *can)
{
	const char *p = s.p, *end = str_end(s);
	struct places at = { { 1 } };
	struct machine m;

	*can = machine_make(&m, pattern);
	if (!*can)
		return false;
	while (p < end)
		if (!places_move(&at, &m, utf8_next(&p, end)))
			return false;
	return (at.w[m.n / 64] >> m.n % 64 & 1) != 0;
}

/* ---- along ---- */

bool
like_match(struct str s, struct str pattern)
{
	const char *at = s.p, *end = str_end(s), *p = pattern.p, *pend = str_end(pattern);
	const char *any = NULL, *from = NULL; /* behind the last %, and where it has let go */
	size_t left = LIKE_STEPS + 4 * s.n;

	while (at < end) {
		bool can, matches;

		if (--left == 0) {
			matches = like_match_places(s, pattern, &can);
			if (can)
				return matches;
			left = SIZE_MAX;
		}
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
