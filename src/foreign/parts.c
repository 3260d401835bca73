/*
 * A large JSON text cut into its parts, without parsing them: strings are passed over, brackets counted. Whoever takes a
 * part parses it, and so checks it.
 */
#include "foreign/priv.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
blanks(struct parts *s)
{
	for (; s->p < s->end && is_blank(*s->p); s->p++)
		s->line += *s->p == '\n';
}

/* Behind the string that begins here. */
static bool
string(struct parts *s)
{
	for (s->p++; s->p < s->end && *s->p != '"'; s->p++)
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
	if (s->p == s->end)
		return false;
	s->p++;
	return true;
}

/* Behind a number or a word. */
static bool
scalar(struct parts *s)
{
	const char *from = s->p;

	while (s->p < s->end && !is_blank(*s->p) && *s->p != ',' && *s->p != ']' && *s->p != '}')
		s->p++;
	return s->p > from;
}

static bool
container(struct parts *s)
{
	size_t depth = 0;

	do {
		if (s->p == s->end)
			return false;
		if (*s->p == '"') {
			if (!string(s))
				return false;
			continue;
		}
		if (*s->p == '{' || *s->p == '[')
			depth++;
		else if (*s->p == '}' || *s->p == ']')
			depth--;
		s->line += *s->p++ == '\n';
	} while (depth > 0);
	return true;
}

static bool
value(struct parts *s, struct str *out)
{
	const char *from = s->p;
	bool ok;

	if (s->p == s->end)
		return false;
	if (*s->p == '"')
		ok = string(s);
	else if (*s->p == '{' || *s->p == '[')
		ok = container(s);
	else
		ok = scalar(s);
	*out = (struct str){ from, (size_t)(s->p - from) };
	return ok;
}

static bool
take(struct parts *s, char c)
{
	blanks(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

struct parts
parts_of(struct str text, uint64_t line)
{
	struct parts s = { .p = text.p, .end = str_end(text), .line = line };

	blanks(&s);
	s.object = s.p < s.end && *s.p == '{';
	s.bad = !s.object && (s.p == s.end || *s.p != '[');
	if (!s.bad)
		s.p++;
	return s;
}

bool
parts_is_object(struct str text)
{
	return parts_of(text, 0).object;
}

static bool
part(struct parts *s, struct str *key, struct str *out, uint64_t *line)
{
	*key = STR_NONE;
	blanks(s);
	if (s->object) {
		if (s->p == s->end || *s->p != '"' || !value(s, key) || !take(s, ':'))
			return false;
		*key = (struct str){ key->p + 1, key->n - 2 };
		blanks(s);
	}
	*line = s->line;
	return value(s, out);
}

bool
parts_next(struct parts *s, struct str *key, struct str *out, uint64_t *line)
{
	if (s->bad || take(s, s->object ? '}' : ']'))
		return false;
	s->bad = (s->begun && !take(s, ',')) || !part(s, key, out, line);
	s->begun = true;
	return !s->bad;
}
