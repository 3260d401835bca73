/* Names that nobody has: which was meant, and how a stranger's text is shown. */
#include "option/option.h"

#define NAME_MAX_NEAR 48 /* bytes; names of rows are shorter */
#define BEGINNING     3  /* letters that a beginning of a name has at the least */

/* Names are compared as a variable of the environment writes them: in any case, '_' for '-'. */
static char
folded(char c)
{
	return c == '_' ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool
same(struct str a, size_t i, struct str b, size_t k)
{
	return folded(a.p[i]) == folded(b.p[k]);
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters are to be put in, taken out, changed, or swapped with the next for a to be b (optimal string alignment). */
static unsigned
distance(struct str a, struct str b)
{
	unsigned rows[3][NAME_MAX_NEAR + 1], *before = rows[0], *above = rows[1], *row = rows[2];

	for (unsigned k = 0; k <= b.n; k++)
		above[k] = k;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *spent = before;

		row[0] = (unsigned)i;
		for (size_t k = 1; k <= b.n; k++) {
			row[k] = least(above[k - 1] + !same(a, i - 1, b, k - 1),
			    least(above[k], row[k - 1]) + 1);
			if (i > 1 && k > 1 && same(a, i - 1, b, k - 2) && same(a, i - 2, b, k - 1))
				row[k] = least(row[k], before[k - 2] + 1);
		}
		before = above;
		above = row;
		row = spent;
	}
	return above[b.n];
}

static bool
begins(struct str name, struct str beginning)
{
	return beginning.n >= BEGINNING && name.n > beginning.n &&
	    distance((struct str){ name.p, beginning.n }, beginning) == 0;
}

unsigned
word_distance(struct str typed, struct str name)
{
	/* Of a short name a letter, of a longer one two. */
	unsigned most = typed.n < 6 ? 1 : 2, d;

	if (typed.n < 2 || typed.n > NAME_MAX_NEAR || name.n > NAME_MAX_NEAR)
		return WORD_FAR;
	d = begins(name, typed) ? most : distance(typed, name);
	return d <= most ? d : WORD_FAR;
}

int
option_near(const struct option_table *t, struct str name)
{
	unsigned best = WORD_FAR, d;
	int found = -1;

	for (unsigned i = 0; i < t->n; i++) {
		d = option_taken(t, i) ? word_distance(name, str_of(t->v[i].name)) : WORD_FAR;
		if (d < best) {
			best = d;
			found = (int)i;
		}
	}
	return found;
}

void
option_show(struct buf *out, struct str text, size_t most)
{
	char escaped[UTF8_ESCAPE_MAX];
	size_t end = out->n + most;

	while (text.n > 0) {
		const char *at = text.p;
		uint32_t c = utf8_take(&text);
		size_t n = utf8_hidden(c) ? utf8_escape(c, escaped) : (size_t)(text.p - at);

		if (out->n + n > end) {
			buf_cstr(out, "...");
			return;
		}
		buf_put(out, utf8_hidden(c) ? escaped : at, n);
	}
}
