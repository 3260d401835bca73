/* From characters to tokens. The text is valid UTF-8 by now. */
#include "query/priv.h"

#include <math.h>

static bool
digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

/* Beyond ASCII, what is no letter in the first blocks and the general and CJK punctuation is left out, so that
 * a curly quote is told of and not taken for a name. */
static bool
letter(uint32_t c)
{
	if (c < 0x80)
		return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '$';
	if (c < 0xC0)
		return c == 0xAA || c == 0xB5 || c == 0xBA;
	return c != 0xD7 && c != 0xF7 && !(c >= 0x2000 && c <= 0x206F) &&
	    !(c >= 0x3000 && c <= 0x3020) && c != 0xFEFF;
}

/* The character at p; 0 at the end (a NUL in the text fits nowhere outside strings either). */
static uint32_t
peek(const struct parser *p, const char **next)
{
	const char *at = p->p;
	uint32_t c = at < p->end ? utf8_next(&at, p->end) : 0;

	*next = at;
	return c;
}

static void
bad(struct parser *p, const char *at, const char *what)
{
	p->tok.kind = TOK_BAD;
	parse_fault(p, at, "%s", what);
}

static struct str
rest(const struct parser *p)
{
	return (struct str){ p->p, (size_t)(p->end - p->p) };
}

/* Blanks and comments; false if a comment has no end. */
static bool
skip(struct parser *p)
{
	const char *next;

	for (;;) {
		if (p->p < p->end && text_blank(peek(p, &next))) {
			p->p = next;
		} else if (str_starts(rest(p), STR("/*"))) {
			const char *end = memmem(p->p + 2, (size_t)(p->end - p->p) - 2, "*/", 2);
			if (end == NULL)
				return false;
			p->p = end + 2;
		} else {
			return true;
		}
	}
}

static void
lex_name(struct parser *p)
{
	const char *next = p->p;

	for (uint32_t c; (c = peek(p, &next)) != 0 && (letter(c) || digit(c));)
		p->p = next;
	p->tok.kind = TOK_NAME;
	p->tok.text = (struct str){ p->tok.at, (size_t)(p->p - p->tok.at) };
}

/* [[any characters]] */
static void
lex_quoted(struct parser *p)
{
	const char *from = p->p + 2, *end = memmem(from, (size_t)(p->end - from), "]]", 2);

	if (end == NULL) {
		bad(p, p->tok.at, "[[ without ]]");
		return;
	}
	p->tok.kind = TOK_QUOTED;
	p->tok.text = (struct str){ from, (size_t)(end - from) };
	p->p = end + 2;
}

static void
lex_number(struct parser *p)
{
	const char *next;
	size_t n;

	p->tok.kind = TOK_NUMBER;
	if ((n = number_scan_hex(rest(p), &p->tok.number)) == 0) {
		n = number_scan(rest(p));
		p->tok.number = number_read(&p->q->arena, (struct str){ p->p, n });
	}
	p->p += n;
	p->tok.text = (struct str){ p->tok.at, (size_t)(p->p - p->tok.at) };
	if (!isfinite(p->tok.number))
		bad(p, p->tok.at, "a number too large");
	else if (p->p < p->end && letter(peek(p, &next)))
		bad(p, p->p, "a letter in a number");
}

/* Decode what stands between the quotes into o, which has room for it: no escape is shorter than what it means. */
static bool
decode(struct parser *p, const char *s, const char *end, char *o)
{
	char *start = o;

	while (s < end) {
		if (*s != '\\') {
			*o++ = *s++;
		} else if (p->in_pattern && (s[1] == '%' || s[1] == '_')) {
			*o++ = *s++; /* the escape is the pattern's */
			*o++ = *s++;
		} else if (!text_unescape(&s, end, &o)) {
			bad(p, s, "a backslash that stands before none of ' \" \\ uXXXX");
			return false;
		}
	}
	p->tok.text = (struct str){ start, (size_t)(o - start) };
	return true;
}

/* */
static void
lex_string(struct parser *p)
{
	const char *from = p->p + 1, *s = from;
	bool escapes = false;

	while (s < p->end && *s != *p->p) {
		bool escape = *s == '\\';
		escapes |= escape;
		s += escape && p->end - s > 1 ? 2 : 1;
	}
	if (s >= p->end) {
		bad(p, p->tok.at, "a string without end");
		return;
	}
	p->tok.kind = TOK_STRING;
	p->tok.text = (struct str){ from, (size_t)(s - from) };
	if (escapes && !decode(p, from, s, arena_alloc(&p->q->arena, p->tok.text.n)))
		return;
	p->p = s + 1;
}

static void
lex_op(struct parser *p, uint32_t c)
{
	static const struct {
		const char *text;
		char op;
	} pairs[] = { { "!=", 'n' }, { "<>", 'n' }, { "<=", 'l' }, { ">=", 'g' } };

	p->tok.kind = TOK_OP;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (str_starts(rest(p), str_of(pairs[i].text))) {
			p->tok.op = pairs[i].op;
			p->p += 2;
			return;
		}
	}
	if (c >= 0x80 || !char_among((char)c, "()[],.;*/%+-=<>")) {
		bad(p, p->tok.at, "a character that has no meaning here");
		return;
	}
	p->tok.op = (char)c;
	p->p++;
}

void
lex_next(struct parser *p)
{
	const char *next;
	uint32_t c;

	if (p->tok.kind == TOK_BAD)
		return;
	p->tok = (struct token){ .at = p->p };
	if (!skip(p)) {
		bad(p, p->p, "a comment without end");
		return;
	}
	p->tok.at = p->p;
	c = peek(p, &next);
	if (p->p == p->end)
		p->tok.kind = TOK_END;
	else if (letter(c))
		lex_name(p);
	else if (digit(c))
		lex_number(p);
	else if (c == '\'' || c == '"')
		lex_string(p);
	else if (str_starts(rest(p), STR("[[")))
		lex_quoted(p);
	else
		lex_op(p, c);
	if (p->tok.kind != TOK_BAD && p->tok.text.p == NULL)
		p->tok.text = (struct str){ p->tok.at, (size_t)(p->p - p->tok.at) };
}

bool
tok_word(const struct token *t, const char *word)
{
	return t->kind == TOK_NAME && str_ieq(t->text, str_of(word));
}

bool
tok_reserved(const struct token *t)
{
	static const char *const words[] = { "SELECT", "TOP", "FROM", "WHERE", "GROUP", "BY", "AS",
		"AND", "OR", "NOT", "IN", "NIN", "TRUE", "FALSE", "NULL", "UNDEFINED" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (tok_word(t, words[i]))
			return true;
	return false;
}

void
query_step_write(struct buf *out, struct str key)
{
	const char *p = key.p, *end = p + key.n;
	struct token t = { .kind = TOK_NAME, .text = key };
	bool plain = key.n > 0 && !digit((unsigned char)*p) && !tok_reserved(&t);

	while (plain && p < end) {
		uint32_t c = utf8_next(&p, end);
		plain = letter(c) || digit(c);
	}
	buf_cstr(out, plain ? "" : "[[");
	buf_str(out, key);
	buf_cstr(out, plain ? "" : "]]");
}

bool
tok_op(const struct token *t, char op)
{
	return t->kind == TOK_OP && t->op == op;
}
