/* From characters to tokens. The text is valid UTF-8 by now. A name runs on through whatever the grammar does not exclude, so
 * operators like + and AND are words that stand alone. */
#include "route/priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- faults ---- */

static struct route_place
place_of(const struct condition *c, const char *at)
{
	struct route_place place = { 1, 1 };

	for (const char *p = c->text.p; p < at; p++) {
		if (*p == '\n') {
			place.line++;
			place.column = 1;
		} else if (((unsigned char)*p & 0xC0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

bool
fault_at(struct parser *p, const char *at, const char *end, const char *fmt, ...)
{
	char text[FAULT_TEXT_MAX];
	struct fault f;
	va_list ap;

	p->tok.kind = TOK_BAD;
	if (p->failed)
		return false;
	p->failed = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fault_set(&f, F_ArgumentInvalid, "%s", text); /* what may stand in a fault */
	memcpy(p->error->text, f.text, sizeof(f.text));
	p->error->start = place_of(p->c, at);
	p->error->end = place_of(p->c, end);
	return false;
}

/* ---- characters ---- */

/* The character at `at`; 0 at the end. */
static uint32_t
peek(const struct parser *p, const char *at, const char **next)
{
	uint32_t c = 0;

	*next = at;
	if (at < p->end)
		c = utf8_next(next, p->end);
	return c;
}

static bool
name_character(uint32_t c)
{
	if (c < 0x21 || c == 0x7F || text_blank(c))
		return false;
	return c >= 0x80 || !char_among((char)c, "()<>@,;:\\\"/[]?={}");
}

static struct str
rest(const struct parser *p)
{
	return (struct str){ p->p, (size_t)(p->end - p->p) };
}

/* Blanks and comments. */
static bool
skip(struct parser *p)
{
	const char *next;

	for (;;) {
		if (p->p < p->end && text_blank(peek(p, p->p, &next))) {
			p->p = next;
		} else if (str_starts(rest(p), STR("/*"))) {
			const char *end = memmem(p->p + 2, (size_t)(p->end - p->p) - 2, "*/", 2);
			if (end == NULL)
				return fault_at(
				    p, p->p, p->p + 2, "Syntax error: unterminated comment");
			p->p = end + 2;
		} else {
			return true;
		}
	}
}

/* ---- words ---- */

static bool
word_operator(struct token *t)
{
	static const struct {
		const char *word;
		char op;
	} operators[] = { { "AND", OP_AND }, { "OR", OP_OR }, { "NOT", OP_NOT }, { "+", '+' },
		{ "-", '-' }, { "*", '*' }, { "%", '%' }, { "||", OP_CONCAT } };

	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
		if (str_ieq(t->text, str_of(operators[i].word))) {
			t->kind = TOK_OP;
			t->op = operators[i].op;
			return true;
		}
	}
	return false;
}

/* `-2`, `.5` and `1e400`, which is infinite, are numbers, too. */
static bool
word_number(struct parser *p, struct token *t)
{
	struct arena *a = &p->c->arena;
	bool minus = t->text.n > 1 && t->text.p[0] == '-';
	struct str digits = str_sub(t->text, minus);
	char zero[64] = "0";

	if (digits.n == 0 || number_scan_hex(digits, &t->number) == digits.n) {
		if (digits.n == 0 || minus)
			return false;
	} else if (digits.p[0] == '.' && digits.n < sizeof(zero) - 1) {
		memcpy(zero + 1, digits.p, digits.n);
		digits = (struct str){ zero, digits.n + 1 };
		if (number_scan(digits) != digits.n)
			return false;
		t->number = number_read(a, digits);
	} else if (number_scan(digits) == digits.n) {
		t->number = number_read(a, digits);
	} else {
		return false;
	}
	t->number = minus ? -t->number : t->number;
	t->kind = TOK_NUMBER;
	return true;
}

/* A name ends before `!=`, which nobody means as a part of it. */
static void
lex_word(struct parser *p)
{
	bool system = *p->p == '$';
	const char *next;

	while (p->p < p->end && !str_starts(rest(p), STR("!="))) {
		uint32_t c = peek(p, p->p, &next);
		if (!name_character(c) && !(system && (c == '[' || c == ']')))
			break;
		p->p = next;
	}
	p->tok.text = (struct str){ p->tok.at, (size_t)(p->p - p->tok.at) };
	p->tok.kind = system ? TOK_SYSTEM : TOK_WORD;
	if (system && p->tok.text.n == 1)
		fault_at(p, p->tok.at, p->p, "Syntax error: invalid symbol '$'");
	else if (!system && !word_operator(&p->tok))
		word_number(p, &p->tok);
}

/* ---- strings and symbols ---- */

static void
lex_string(struct parser *p)
{
	const char *s = p->p + 1, *close = s;
	char *start, *o;

	while (close < p->end && *close != *p->p)
		close += *close == '\\' && p->end - close > 1 ? 2 : 1;
	if (close >= p->end) {
		fault_at(p, p->tok.at, p->end, "Syntax error: unterminated string");
		return;
	}
	start = o = arena_alloc(&p->c->arena, (size_t)(close - s) + 1);
	while (s < close) {
		if (*s != '\\') {
			*o++ = *s++;
		} else if (!text_unescape(&s, close, &o)) {
			fault_at(p, s, s + 1,
			    "Syntax error: a backslash that stands before none of ' \" \\ uXXXX");
			return;
		}
	}
	p->p = close + 1;
	p->tok.kind = TOK_STRING;
	p->tok.text = (struct str){ start, (size_t)(o - start) };
}

static void
lex_symbol(struct parser *p)
{
	static const struct {
		const char *text;
		char op;
	} pairs[] = { { "!=", OP_NE }, { "<>", OP_NE }, { "<=", OP_LE }, { ">=", OP_GE },
		{ "??", OP_COALESCE } };
	const char *next;

	p->tok.kind = TOK_OP;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (str_starts(rest(p), str_of(pairs[i].text))) {
			p->tok.op = pairs[i].op;
			p->p += 2;
			return;
		}
	}
	if (char_among(*p->p, "()<>,/={}")) {
		p->tok.op = *p->p++;
		return;
	}
	peek(p, p->p, &next);
	fault_at(p, p->p, next, "Syntax error: invalid symbol '%.*s'", (int)(next - p->p), p->p);
}

void
route_lex_next(struct parser *p)
{
	const char *next;

	if (p->tok.kind == TOK_BAD)
		return;
	p->tok = (struct token){ .at = p->p, .end = p->p };
	if (!skip(p))
		return;
	p->tok.at = p->p;
	if (p->p == p->end)
		p->tok.kind = TOK_END;
	else if (*p->p == '\'' || *p->p == '"')
		lex_string(p);
	else if (name_character(peek(p, p->p, &next)) && !str_starts(rest(p), STR("!=")))
		lex_word(p);
	else
		lex_symbol(p);
	p->tok.end = p->p;
	if (p->tok.kind == TOK_OP || p->tok.kind == TOK_NUMBER)
		p->tok.text = (struct str){ p->tok.at, (size_t)(p->p - p->tok.at) };
}
